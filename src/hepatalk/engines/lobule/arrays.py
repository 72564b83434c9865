"""Arrays that kernels pass on together: all cells, and all that can happen to them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["CellArrays", "FateArrays"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]


class CellArrays(NamedTuple):
    """All cells, one array per quantity; every array is (capacity,) and only the first cells of it are there.

    Attributes
    ----------
    comp, site : int array
        Compartment and site.
    goal : int array
        The site of another zone that a cell walks to, -1 for none.
    ident, parent, clone : int array
        Identity, never used again; identity of the mother (-1 for none) and of the first cell of the clone.
    events : int array
        How many things have happened to the cell.
    marks : int array
        Inherited labels, one bit each.
    clock : float array
        What is left of the unit exponential number of the next event.
    volume : float array
        Relative to the mean healthy cell of a type with mass; 1 in other types.
    position : (capacity, 3) float array
        In um.
    fired, dead : uint8 array
        What the next pass has to see to.
    """

    comp: Ints
    site: Ints
    goal: Ints
    ident: Ints
    parent: Ints
    clone: Ints
    events: Ints
    marks: Ints
    clock: Floats
    volume: Floats
    position: Floats
    fired: Bytes
    dead: Bytes


class FateArrays(NamedTuple):
    """What can happen to cells, as in `hepatalk.engines.lobule.tables.FateTable`, with what an event needs.

    Attributes
    ----------
    zone_of : (n_sites,) int array
        From 0.
    gate : (n_sites, n_zones) int array
        The site of another zone that a cell at a site reaches first.
    start : (n_zones * n_comps + 1,) int array
    rate, kind, target, other, chance, zone : (n_fates,) int array
    size : (n_fates,) float array
    walks : (1,) uint8 array
        Whether a cell that migrates walks to the other zone, and is not there at once.
    has_mass : (n_comps,) uint8 array
    """

    zone_of: Ints
    gate: Ints
    start: Ints
    rate: Ints
    kind: Ints
    target: Ints
    other: Ints
    chance: Ints
    zone: Ints
    size: Floats
    walks: Bytes
    has_mass: Bytes
