"""Which cells of a lobule move up which signal: displacement, and nothing else.

The pairs are those of the records (`hepatalk.model.compiled.Attraction`), and those that a user adds. What draws a cell
is how far a signal rises above its healthy profile, ``max(c - c0, 0)`` in units of its healthy mean, so that in health
nobody drifts though gradients are there, and a signal that is missing sends nobody away. Each pull counts in units of
its gradient of half the speed, and pulls add up; faint ones draw nobody.

KCs crawl inside sinusoids and HSCs beside them (`hepatalk.engines.lobule.walking`); other types are pushed by a force
(`hepatalk.engines.lobule.chemotaxis`). A bipotential cell that leaves for another zone, as its migration says, walks
straight towards it between the hepatocytes, and is read as there when it has come.

No rate depends on any of this: what changes is beside whom a cell comes to lie.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from hepatalk.engines.lobule.chemotaxis import climbing, gradient
from hepatalk.engines.lobule.layout import Layout
from hepatalk.engines.lobule.mechanics import MOVE_EVERY_H, MOVE_FOR_H
from hepatalk.engines.lobule.state import State
from hepatalk.errors import unknown
from hepatalk.model.compiled import Attraction
from hepatalk.model.fates import NOTHING

__all__ = ["HALF_PER_UM", "LEAST", "SPEED_UM_PER_H", "Drift", "excess"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

#: Of pairs that a user adds and no record has: the most a cell drifts, um/h, and the gradient of half of it, per um.
SPEED_UM_PER_H, HALF_PER_UM = 5.0, 0.01
#: Gradients below so much of the one of half the speed draw nobody: the turnover of cells in health makes such by
#: chance. With 1% per um this is 5% over the length of a cell, about what cells can tell. Assumed.
LEAST = 0.5
#: Types that crawl along sinusoids.
_CRAWL = ("KC", "HSC")


def excess(layout: Layout, state: State, signal: str) -> Floats:
    """Return how far a signal rises above its healthy profile, (n_sites,), in units of its healthy mean."""
    m, name = layout.model, f"signal.{signal}"
    relative, profile = np.ones(layout.tissue.n_sites), np.zeros(layout.tissue.n_sites)
    for z, (p, sites) in enumerate(zip(layout.programs, layout.sites, strict=True)):
        i = m.slot_index.get(f"{name}@{z + 1}", -1)
        column = np.flatnonzero(p.states[p.moving] == i)
        if column.size and m.rest[i] > 0.0:
            relative[sites], profile[sites] = state.level[z][:, column[0]] / m.rest[i], m.rest[i]
    if layout.carriage is not None and name in layout.carriage.names:
        profile = layout.carriage.profile[layout.carriage.names.index(name)]
    return np.maximum(relative - 1.0, 0.0) * profile


class Drift:
    """Cell types and the signals that they climb.

    Parameters
    ----------
    layout : Layout
        Of a tissue in space.
    pairs : sequence of (str, str)
        Cell type and signal, beside those of the model; a pair that the model has adds nothing.

    Raises
    ------
    HepatalkError
        If the model has no such cell type or signal; names the nearest.
    """

    def __init__(self, layout: Layout, pairs: Sequence[tuple[str, str]] = ()) -> None:
        self._layout, self._types = layout, layout.comps.types
        names = layout.model.state_names
        signals = sorted({n.removeprefix("signal.").partition("@")[0] for n in names if n.startswith("signal.")})
        found = [a for a in layout.model.attractions if a.speed > 0.0]
        for cell, signal in pairs:
            if cell not in self._types:
                raise unknown("cell", cell, self._types, "see 'hepatalk list cells'")
            if signal not in signals:
                raise unknown("signal", signal, signals, "see 'hepatalk list signals'")
            if not any((a.cell, a.signal) == (cell, signal) for a in found):
                found.append(Attraction(cell, signal, SPEED_UM_PER_H, HALF_PER_UM))
        self._by_type = {cell: tuple(a for a in found if a.cell == cell) for cell in self._types}

    def _pull(self, state: State, attractions: Sequence[Attraction]) -> Floats:
        """Return the sum of what draws a cell at every site, (n_sites, 3)."""
        layout, space = self._layout, self._layout.tissue.space
        pull = np.zeros((layout.tissue.n_sites, 3))
        if space is None or layout.motion is None:
            return pull
        place, t = layout.motion.sites(state.scale), space.transport
        for a in attractions:
            level = excess(layout, state, a.signal)
            if level.any():
                slope = gradient(level, place, t.start, t.other) / a.half
                steep = np.linalg.norm(slope, axis=1)[:, None]
                # Faint gradients are not perceived; at the gradient `half` the speed is half the greatest all the same.
                pull += slope * np.maximum(steep - LEAST, 0.0) / ((1.0 - LEAST) * np.maximum(steep, LEAST))
        return pull

    def forces(self, state: State) -> Floats | None:
        """Return the active forces of cells that do not crawl, (n_cells, 3), for a friction of 1; None if all rest."""
        layout, n = self._layout, state.n
        pushed = [cell for cell, own in self._by_type.items() if own and cell not in _CRAWL]
        if layout.tissue.space is None or not pushed:
            return None
        type_ = layout.comps.type_of[state.cells.comp[:n]]
        out = np.zeros((n, 3))
        for cell in pushed:
            own = np.flatnonzero(type_ == self._types.index(cell))
            pull = self._pull(state, self._by_type[cell])[state.cells.site[own]]
            # The way of several hours is made in the one for which cells move.
            speed = max(a.speed for a in self._by_type[cell]) * MOVE_EVERY_H / MOVE_FOR_H
            out[own] += climbing(pull, np.ones(own.size), speed, 1.0)
        return out

    def crawl(self, state: State, hours: float) -> None:
        """Let KCs and HSCs crawl along sinusoids for some hours, in place."""
        layout = self._layout
        if layout.endothelium is None or not hours > 0.0:
            return
        type_ = layout.comps.type_of[state.cells.comp[: state.n]]
        for cell in _CRAWL:
            attractions = self._by_type.get(cell, ())
            own = np.flatnonzero(type_ == self._types.index(cell))
            if attractions and len(own):
                spacing = layout.endothelium.spacing[cell]
                pull = self._pull(state, attractions)
                speed = max(a.speed for a in attractions)
                layout.endothelium.crawl(state, own, speed, hours, pull, spacing)

    def walk(self, state: State, hours: float) -> None:
        """Let bipotential cells that have left for another zone go on towards it, in place."""
        layout, n = self._layout, state.n
        if layout.motion is None or not hours > 0.0:
            return
        goal = state.cells.goal[:n]
        own = np.flatnonzero(goal != NOTHING)
        if not len(own):
            return
        way = layout.motion.sites(state.scale)[goal[own]] - state.cells.position[own]
        distance = np.linalg.norm(way, axis=1)
        share = np.minimum(layout.motion.walking_speed * hours / np.maximum(distance, 1e-9), 1.0)
        state.cells.position[own] += share[:, None] * way
