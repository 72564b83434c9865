"""Which cells are near which: a uniform grid in three dimensions, and lists of neighbours.

The grid covers the cells that are there, so nothing bounds the tissue and memory follows the number of cells. Lists are
exact (every pair within reach, both ways round) and sorted by cell, so that they do not depend on the grid.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hepatalk.engines.lobule.kernels import grid as kernels
from hepatalk.errors import EngineError, ModelError

__all__ = ["Neighbours", "check_cells", "contacts"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Shorts = npt.NDArray[np.int32]

#: Most bins per cell: in a thin cloud, bins become larger instead of more.
_BINS_PER_CELL = 8
_LEAST_BINS = 64


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
            f"period {period:g} um along z; allowed: 0 (none) or at least {2.0 * longest:g} um, twice the longest reach; "
            "take a thicker slab"
        )
    low, edge, shape = _layout(position, longest, low_z, period)
    bin_of, order = np.empty(n, dtype=np.int64), np.empty(n, dtype=np.int64)
    first = np.empty(int(shape.prod()) + 1, dtype=np.int64)
    kernels.bins(bin_of, position, low, edge, shape, period)
    kernels.sort(first, order, bin_of)
    start = np.zeros(n + 1, dtype=np.int64)
    kernels.count(start[1:], position, radius, reach, skin, bin_of, first, order, shape, period)
    np.cumsum(start, out=start)
    other = np.empty(int(start[-1]), dtype=np.int32)
    kernels.fill(other, start, position, radius, reach, skin, bin_of, first, order, shape, period)
    return Neighbours(start, other)


def _layout(position: Floats, longest: float, low_z: float, period: float) -> tuple[Floats, Floats, Ints]:
    """Return corner, edges of a bin and number of bins; no bin is shorter than the longest reach."""
    low, extent = position.min(axis=0), np.ptp(position, axis=0)
    if period > 0:
        low[2], extent[2] = low_z, period
    most = max(_BINS_PER_CELL * len(position), _LEAST_BINS)
    edge = longest
    counts = np.maximum(np.floor(extent / edge), 1.0)
    while counts.prod() > most:
        edge *= 1.25
        counts = np.maximum(np.floor(extent / edge), 1.0)
    return low, np.maximum(extent / counts, longest), counts.astype(np.int64)
