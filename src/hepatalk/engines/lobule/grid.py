"""Which cells are near which: a uniform grid in three dimensions, and lists of neighbours.

The grid covers the cells that are there, so nothing bounds the tissue and memory follows the number of cells. Lists are
exact (every pair within reach, both ways round) and sorted by cell, so that they do not depend on the grid.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hepatalk.engines.lobule import grid_kernels as kernels
from hepatalk.engines.lobule.threads import as_worth
from hepatalk.errors import EngineError, ModelError

__all__ = ["Neighbours", "check_cells", "contacts", "spatial_order"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Shorts = npt.NDArray[np.int32]

#: Most bins per cell: in a thin cloud, bins become larger instead of more.
_BINS_PER_CELL = 8
_LEAST_BINS = 64
#: Neighbours for which there is room at first: dense packings have about 25 within reach 1.5, small cells more.
_CAPACITY = 96


@dataclass(frozen=True)
class Neighbours:
    """Who is near whom, both ways round.

    Attributes
    ----------
    start : (n + 1,) int array
    other : (n_pairs,) int32 array
        The neighbours of cell i are ``other[start[i]:start[i+1]]``, ascending.
    """

    start: Ints
    other: Shorts

    def of(self, cell: int) -> Shorts:
        """Return the neighbours of one cell, ascending."""
        return self.other[self.start[cell] : self.start[cell + 1]]


def check_cells(position: Floats, radius: Floats) -> None:
    """Refuse arrays that do not belong together, and cells that are nowhere or have no size.

    Parameters
    ----------
    position : (n, 3) float array
        Centres, um.
    radius : (n,) float array
        um.

    Raises
    ------
    EngineError
        If the shapes differ, a position is not finite, or a radius is not a positive number; it names the cell.
    """
    if position.ndim != 2 or position.shape[1] != 3 or radius.shape != position.shape[:1]:
        raise EngineError(
            f"positions of shape {position.shape} with radii of shape {radius.shape}; allowed: (n, 3) with (n,); "
            "one row per cell"
        )
    lost = ~np.isfinite(position).all(axis=1)
    if lost.any():
        cell = int(np.argmax(lost))
        x, y, z = position[cell]
        raise EngineError(f"cell {cell} is at ({x:g}, {y:g}, {z:g}) um; allowed: finite numbers; look at what moved it")
    empty = ~(np.isfinite(radius) & (radius > 0))
    if empty.any():
        cell = int(np.argmax(empty))
        raise EngineError(
            f"cell {cell} has radius {radius[cell]:g} um; allowed: finite and above 0; remove dead cells before moving"
        )


def contacts(
    position: Floats, radius: Floats, reach: float, *, low_z: float = 0.0, period: float = 0.0, skin: float = 0.0
) -> Neighbours:
    """List all pairs whose centres are nearer than ``reach * (radius_i + radius_j) + skin``.

    Parameters
    ----------
    position : (n, 3) float array
        Centres, um.
    radius : (n,) float array
        um.
    reach : float
        1 for cells that touch or overlap; larger for those whose protrusions meet.
    low_z, period : float
        Where the periodic axis z begins and how long it is, um; period 0 for none.
    skin : float
        Margin, um.

    Returns
    -------
    Neighbours
        For signals that need true contact (Notch and Jagged), and for forces.

    Raises
    ------
    EngineError
        As for `check_cells`.
    ModelError
        If `reach` or `skin` is no length to search, or the period is so short that a cell could meet another one, or
        itself, twice.
    """
    if not (math.isfinite(reach) and reach > 0 and math.isfinite(skin) and skin >= 0):
        raise ModelError(f"reach {reach:g} and skin {skin:g} um; allowed: a reach above 0, a skin of 0 or more")
    position, radius = np.ascontiguousarray(position, dtype=float), np.ascontiguousarray(radius, dtype=float)
    check_cells(position, radius)
    n = radius.size
    if n == 0:
        return Neighbours(np.zeros(1, dtype=np.int64), np.zeros(0, dtype=np.int32))
    longest = 2.0 * reach * float(radius.max()) + skin
    if period != 0 and not (math.isfinite(period) and period >= 2.0 * longest):
        raise ModelError(
            f"period {period:g} um along z; allowed: 0 (none) or at least {2.0 * longest:g} um, twice the reach; "
            "take a thicker slab"
        )
    with as_worth(n):
        grid = _binned(position, longest / kernels.SPAN, low_z, period)
        count, capacity = np.empty(n, dtype=np.int64), _CAPACITY
        while True:
            table = np.empty((n, capacity), dtype=np.int32)
            kernels.gather(table, count, position, radius, reach, skin, *grid, period)
            most = int(count.max())
            if most <= capacity:
                break
            capacity = most
        start = np.zeros(n + 1, dtype=np.int64)
        np.cumsum(count, out=start[1:])
        other = np.empty(int(start[-1]), dtype=np.int32)
        kernels.pack(other, start, table)
    return Neighbours(start, other)


def spatial_order(position: Floats, edge: float) -> Ints:
    """Return an order of the cells in which those that are near each other stand near each other.

    Parameters
    ----------
    position : (n, 3) float array
        Finite, um.
    edge : float
        Of the bins, um.

    Returns
    -------
    (n,) int array
        By bin, and within a bin by number.
    """
    if len(position) == 0:
        return np.zeros(0, dtype=np.int64)
    with as_worth(len(position)):
        return _binned(np.ascontiguousarray(position, dtype=float), edge, 0.0, 0.0)[2]


def _binned(position: Floats, edge: float, low_z: float, period: float) -> tuple[Ints, Ints, Ints, Ints]:
    """Return the bin of each cell, where the cells of each bin stand in the order, that order, and the grid's shape."""
    low, edges, shape = _layout(position, edge, low_z, period)
    bin_of, order = np.empty(len(position), dtype=np.int64), np.empty(len(position), dtype=np.int64)
    first = np.empty(int(shape.prod()) + 1, dtype=np.int64)
    kernels.bins(bin_of, position, low, edges, shape, period)
    kernels.sort(first, order, bin_of)
    return bin_of, first, order, shape


def _layout(position: Floats, least: float, low_z: float, period: float) -> tuple[Floats, Floats, Ints]:
    """Return corner, edges of a bin and number of bins; no bin is shorter than `least`."""
    low, extent = position.min(axis=0), np.ptp(position, axis=0)
    if period > 0:
        low[2], extent[2] = low_z, period
    most = max(_BINS_PER_CELL * len(position), _LEAST_BINS)
    edge = least
    counts = np.maximum(np.floor(extent / edge), 1.0)
    while counts.prod() > most:
        edge *= 1.25
        counts = np.maximum(np.floor(extent / edge), 1.0)
    return low, np.maximum(extent / counts, least), counts.astype(np.int64)
