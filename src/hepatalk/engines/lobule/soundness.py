"""Numbers of cells and of their blood that are no numbers are found in the step in which they arise, and named.

Levels and rates are looked at where they are evaluated (`hepatalk.engines.lobule.layout`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hepatalk.engines.lobule.tables import Compartments
from hepatalk.errors import EngineError

if TYPE_CHECKING:
    from hepatalk.engines.lobule.state import State
    from hepatalk.engines.lobule.tissue import Tissue

__all__ = ["check_cells", "check_flow"]

_NEXT = "check the parameters set"


def check_cells(state: State, comps: Compartments, tissue: Tissue, time_h: float) -> None:
    """Raise if a cell is nowhere, has no size, or will never meet anything because its clock is lost.

    Raises
    ------
    EngineError
        Names the quantity, the first such cell, its type, site and zone, and the time.
    """
    cells, n = state.cells, state.n
    for what, values in (("volume", cells.volume), ("clock", cells.clock), ("position", cells.position)):
        if np.isfinite(values[:n]).all():
            continue
        i = int(np.argwhere(~np.isfinite(values[:n]))[0, 0])
        type_, site = comps.types[comps.type_of[cells.comp[i]]], int(cells.site[i])
        raise EngineError(
            f"the {what} of cell {cells.ident[i]} ({type_}, site {site}, zone {tissue.zone[site] + 1}) is not finite "
            f"at {time_h:.6g} h; {_NEXT}"
        )


def check_flow(state: State, tissue: Tissue) -> None:
    """Raise if the flow at a site is no number.

    Raises
    ------
    EngineError
        Names the site, its zone and the time.
    """
    bad = np.flatnonzero(~np.isfinite(state.flow_at_sites))
    if len(bad):
        site = int(bad[0])
        raise EngineError(
            f"the flow at site {site} (zone {tissue.zone[site] + 1}) is not finite at {state.time_h:.6g} h; {_NEXT}"
        )
