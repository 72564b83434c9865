"""What carries signals between the sites of a lobule, in place of the population model's exchange between zones.

Two numbers of the model are read anew in space, and none is added:

- a signal that the blood mixes at the pace m (per h) exchanges with plasma at that pace, and plasma goes along the
  sinusoids; blood passes a lobule in seconds, so that plasma comes near to the mean that the zones exchange with;
- a signal that tissue mixes at the pace m diffuses with D = m (L / pi)^2, L being the way from the portal tract to the
  central vein: the slowest pattern that diffusion evens out over a length L then fades at the pace m, as a difference
  between zones does in the population engine.

The healthy level then is no longer one number for a zone, but the profile c0 at which supply, clearance and transport
stand still. What the tape reads at a site is c / c0 in units of the healthy level of the zone: relative to health, as
everywhere in the model, so that a healthy lobule stands still to the last digit. Signals without exchange act where
they are made.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from hepatalk.engines.lobule.fields import Setting, advance, steady
from hepatalk.engines.lobule.local import ZoneProgram
from hepatalk.engines.lobule.state import State
from hepatalk.engines.lobule.tissue import Tissue
from hepatalk.errors import EngineError
from hepatalk.model.compiled import CompiledModel

if TYPE_CHECKING:
    from hepatalk.engines.lobule.tissue import Space

__all__ = ["Carriage"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

#: Residual of the linear systems, of the greatest level of a signal: far below the error of a step.
_RESIDUAL = 1e-6


class Carriage:
    """The signals that blood or tissue carries, and where they stand among the moving states of each zone.

    Parameters
    ----------
    model : CompiledModel
    tissue : Tissue
        In space.
    programs : sequence of ZoneProgram
    healthy : sequence of ((n_moving,) float array, (n_moving,) float array)
        Production and loss of the moving states of each zone in health, per h.

    Attributes
    ----------
    profile : (n_signals, n_sites) float array
        Healthy levels at every site, relative to the healthy mean over the zones.

    Raises
    ------
    EngineError
        If the tissue has no space.
    """

    def __init__(
        self,
        model: CompiledModel,
        tissue: Tissue,
        programs: Sequence[ZoneProgram],
        healthy: Sequence[tuple[Floats, Floats]],
    ) -> None:
        if tissue.space is None:
            raise EngineError("signals are carried in space; allowed: a tissue made from a geometry")
        self.space: Space = tissue.space
        by_name: dict[str, dict[int, int]] = {}
        pace: dict[str, tuple[int, bool]] = {}
        for e in model.fates.exchanges:
            name, _, zone = model.state_names[e.state].partition("@")
            by_name.setdefault(name, {})[int(zone) - 1] = e.state
            pace[name] = (e.pace, e.by_blood)
        self.names = tuple(by_name)
        self.pace = np.array([pace[n][0] for n in self.names], dtype=np.int64)
        self.by_blood = np.array([pace[n][1] for n in self.names], dtype=bool)
        self.column = []
        for z, p in enumerate(programs):
            moving = p.states[p.moving].tolist()
            self.column.append(np.array([moving.index(by_name[n][z]) for n in self.names], dtype=np.int64))
        rest = np.array([[model.rest[by_name[n][int(z)]] for z in tissue.zone] for n in self.names])
        names = tuple(n.removeprefix("signal.") for n in self.names)
        self.setting = Setting(names=names, positive=True, exact=True)
        self.rough = replace(self.setting, judged=False)
        made, lost = (
            np.array([[healthy[z][part][self.column[z][f]] for z in tissue.zone] for f in range(len(self.names))])
            for part in (0, 1)
        )
        diffusivity, exchange = self._paces(model.params)
        self.profile = steady(
            made, lost, self.space.transport, diffusivity, exchange, setting=self.setting, guess=rest
        ).level
        if not (self.profile > 0.0).all():
            f, i = np.argwhere(~(self.profile > 0.0))[0]
            raise EngineError(f"{self.names[f]!r} does not reach site {i} in health; build smaller sites")
        self._per_level = self.profile / rest

    def _paces(self, params: Floats) -> tuple[Floats, Floats]:
        """Return diffusivity (um^2/h) and exchange with plasma (1/h) of each signal."""
        pace = params[self.pace]
        diffusivity = np.where(self.by_blood, 0.0, pace * (self.space.reach / math.pi) ** 2)
        return diffusivity, np.where(self.by_blood, pace, 0.0)

    def advance(
        self,
        out: Sequence[Floats],
        level: Sequence[Floats],
        production: Sequence[Floats],
        loss: Sequence[Floats],
        sites: Sequence[Ints],
        state: State,
        h: float,
        judged: bool = True,
    ) -> float:
        """Advance what is carried by ``h`` hours, in place in ``out``, with production and loss held.

        Parameters
        ----------
        out, level, production, loss : sequence of (n_sites_of_zone, n_moving) float array
        sites : sequence of int array
            Of each zone.
        state : State
            Gives the parameters in force.
        h : float
        judged : bool
            Whether the error is estimated.

        Returns
        -------
        float
            Estimated error of the step, relative to 1 + the greatest level of the signal; 0 unless judged.

        Raises
        ------
        EngineError
            If something is not finite.
        """
        now, made, lost = (self._gather(x, sites) for x in (level, production, loss))
        diffusivity, exchange = self._paces(state.params)
        new = advance(
            now * self._per_level,
            np.maximum(made, 0.0),
            np.maximum(lost, 0.0),
            self.space.transport,
            diffusivity,
            exchange,
            h,
            tolerance=_RESIDUAL,
            setting=self.setting if judged else self.rough,
        )
        read = new.level / self._per_level
        for x, columns, own in zip(out, self.column, sites, strict=True):
            x[:, columns] = read[:, own].T
        return float((new.error / (1.0 + new.level.max(axis=1))).max())

    def _gather(self, by_zone: Sequence[Floats], sites: Sequence[Ints]) -> Floats:
        """Return (n_signals, n_sites) from the columns of the zones."""
        out = np.empty((len(self.names), sum(len(s) for s in sites)))
        for x, columns, own in zip(by_zone, self.column, sites, strict=True):
            out[:, own] = x[:, columns].T
        return out
