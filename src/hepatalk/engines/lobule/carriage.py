"""What carries signals between the sites of a lobule, in place of the population model's exchange between zones.

Two numbers of the model are read anew in space, and none is added:

- a signal that the blood mixes at the pace m (per h) exchanges with plasma at that pace, and plasma goes along the
  sinusoids; blood passes a lobule in seconds, so that plasma comes near to the mean that the zones exchange with;
- a signal that tissue mixes at the pace m diffuses with D = m (L / pi)^2, L being the way from the portal tract to the
  central vein: the slowest pattern that diffusion evens out over a length L then fades at the pace m, as a difference
  between zones does in the population engine.

Both act on the deviation from the healthy levels, so that a healthy lobule stands still. Signals without exchange act
where they are made.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from hepatalk.engines.lobule.fields import FieldError, Setting, advance
from hepatalk.engines.lobule.local import ZoneProgram
from hepatalk.engines.lobule.state import State
from hepatalk.engines.lobule.tissue import Tissue
from hepatalk.errors import EngineError
from hepatalk.model.compiled import CompiledModel

if TYPE_CHECKING:
    from hepatalk.engines.lobule.tissue import Space

__all__ = ["Carriage", "TooLong"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

#: Residual of the linear systems, of the greatest level of a signal: far below the error of a step.
_RESIDUAL = 1e-6


class TooLong(Exception):  # noqa: N818 - it asks for a shorter step and is no error of the user
    """A step that would make a level negative."""


class Carriage:
    """The signals that blood or tissue carries, and where they stand among the moving states of each zone.

    Parameters
    ----------
    model : CompiledModel
    tissue : Tissue
        In space.
    programs : sequence of ZoneProgram

    Raises
    ------
    EngineError
        If the tissue has no space.
    """

    def __init__(self, model: CompiledModel, tissue: Tissue, programs: Sequence[ZoneProgram]) -> None:
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
        self.setting = Setting(rest=rest, names=tuple(n.removeprefix("signal.") for n in self.names))

    def advance(
        self,
        out: Sequence[Floats],
        level: Sequence[Floats],
        production: Sequence[Floats],
        loss: Sequence[Floats],
        sites: Sequence[Ints],
        state: State,
        h: float,
    ) -> None:
        """Advance what is carried by ``h`` hours, in place in ``out``, with production and loss held.

        Parameters
        ----------
        out, level, production, loss : sequence of (n_sites_of_zone, n_moving) float array
        sites : sequence of int array
            Of each zone.
        state : State
            Gives the parameters in force.
        h : float

        Raises
        ------
        TooLong
            If a level would become negative; a shorter step succeeds.
        EngineError
            If something is not finite.
        """
        gathered = [self._gather(x, sites) for x in (level, production, loss)]
        pace = state.params[self.pace]
        diffusivity = np.where(self.by_blood, 0.0, pace * (self.space.reach / math.pi) ** 2)
        exchange = np.where(self.by_blood, pace, 0.0)
        now, made, lost = gathered
        try:
            new = advance(
                now,
                np.maximum(made, 0.0),
                np.maximum(lost, 0.0),
                self.space.transport,
                diffusivity,
                exchange,
                h,
                tolerance=_RESIDUAL,
                setting=self.setting,
            ).level
        except FieldError as e:
            if np.isfinite(now).all() and np.isfinite(made).all() and np.isfinite(lost).all():
                raise TooLong(str(e)) from e
            raise
        for x, columns, own in zip(out, self.column, sites, strict=True):
            x[:, columns] = new[:, own].T

    def _gather(self, by_zone: Sequence[Floats], sites: Sequence[Ints]) -> Floats:
        """Return (n_signals, n_sites) from the columns of the zones."""
        out = np.empty((len(self.names), sum(len(s) for s in sites)))
        for x, columns, own in zip(by_zone, self.column, sites, strict=True):
            out[:, own] = x[:, columns].T
        return out
