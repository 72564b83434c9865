"""Which cells of a lobule climb which signal: displacement within the mechanics, and nothing else.

Off unless asked for. A record says that BECs attract stellate cells to the portal tracts, chiefly by PDGF-BB; with the
pair (HSC, PDGFB) they drift up the level of that signal relative to health, so that nobody drifts in a healthy lobule.
No rate depends on it: what changes is beside whom a cell comes to lie.

Speed and the gradient of half the speed are assumed: at 5 um/h a cell crosses a zone in about a day; a level that
doubles over two sites is taken as steep.
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

__all__ = ["Drift"]

Floats = npt.NDArray[np.float64]

#: The most a cell drifts, um/h, and the gradient of the relative level at which it is half as fast, per um.
SPEED_UM_PER_H, HALF_PER_UM = 5.0, 0.01


class Drift:
    """Cell types and the signals that they climb.

    Parameters
    ----------
    layout : Layout
        Of a tissue in space.
    pairs : sequence of (str, str)
        Cell type and signal.

    Raises
    ------
    HepatalkError
        If the model has no such cell type or signal; names the nearest.
    """

    def __init__(self, layout: Layout, pairs: Sequence[tuple[str, str]]) -> None:
        self._layout, self._pairs = layout, []
        names = layout.model.state_names
        signals = sorted({n.removeprefix("signal.").partition("@")[0] for n in names if n.startswith("signal.")})
        for cell, signal in pairs:
            if cell not in layout.comps.types:
                raise unknown("cell", cell, layout.comps.types, "see 'hepatalk list cells'")
            if signal not in signals:
                raise unknown("signal", signal, signals, "see 'hepatalk list signals'")
            self._pairs.append((layout.comps.types.index(cell), signal))

    def forces(self, state: State) -> Floats | None:
        """Return the active forces of all cells, (n_cells, 3), for a friction of 1; None where nobody drifts."""
        layout, space = self._layout, self._layout.tissue.space
        if space is None or layout.motion is None or not self._pairs:
            return None
        m, n = layout.model, state.n
        place, t = layout.motion.sites(state.scale), space.transport
        type_ = layout.comps.type_of[state.cells.comp[:n]]
        out = np.zeros((n, 3))
        for k, signal in self._pairs:
            level = np.ones(layout.tissue.n_sites)
            for z, (p, sites) in enumerate(zip(layout.programs, layout.sites, strict=True)):
                i = m.slot_index.get(f"signal.{signal}@{z + 1}", -1)
                column = np.flatnonzero(p.states[p.moving] == i)
                if column.size and m.rest[i] > 0.0:
                    level[sites] = state.level[z][:, column[0]] / m.rest[i]
            slope = gradient(level, place, t.start, t.other)
            own = np.flatnonzero(type_ == k)
            # The way of several hours is made in the one for which cells move.
            speed = SPEED_UM_PER_H * MOVE_EVERY_H / MOVE_FOR_H
            out[own] += climbing(slope[state.cells.site[own]], np.ones(own.size), speed, HALF_PER_UM)
        return out
