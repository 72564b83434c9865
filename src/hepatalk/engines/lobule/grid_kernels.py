"""Compiled search for neighbours on a uniform grid.

Every parallel loop gathers: a thread writes the elements of its own cells and nothing else, so the number of threads
cannot change a bit. Rows of neighbours are sorted by cell, so that neither the bins nor the margin of a list decide in
which order a sum over neighbours runs.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from numba import njit, prange

__all__ = ["SPAN", "bins", "gather", "pack", "sort"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Shorts = npt.NDArray[np.int32]

#: Neighbours are looked for in so many bins to each side: with 2, fewer distant cells are tried than with 1.
SPAN = 2


@njit(cache=True, nogil=True, parallel=True)
def bins(out: Ints, position: Floats, low: Floats, edge: Floats, shape: Ints, period: float) -> None:
    """Find the bin of each cell; a centre beyond the outermost bin belongs to that bin.

    Parameters
    ----------
    out : (n,) int array
        Overwritten with the bin, ``(ix * shape[1] + iy) * shape[2] + iz``.
    position : (n, 3) float array
        Centres, um; finite.
    low : (3,) float array
        Corner of the grid, um.
    edge : (3,) float array
        Edges of a bin, um, positive.
    shape : (3,) int array
        Bins along x, y and z.
    period : float
        Period along z, um; 0 for none.
    """
    for i in prange(position.shape[0]):
        index = 0
        for axis in range(3):
            away = position[i, axis] - low[axis]
            if axis == 2 and period > 0.0:
                away -= period * math.floor(away / period)
            place = math.floor(away / edge[axis])
            # Clamped before it becomes an integer: a far outlier must not overflow.
            place = min(max(place, 0.0), float(shape[axis] - 1))
            index = index * shape[axis] + int(place)
        out[i] = index


@njit(cache=True, nogil=True)
def sort(first: Ints, order: Ints, bin_of: Ints) -> None:
    """Sort cells by bin: a counting sort, stable, so that the cells of a bin stand by their number.

    Parameters
    ----------
    first : (n_bins + 1,) int array
        Overwritten: the cells of bin b are ``order[first[b]:first[b+1]]``.
    order : (n,) int array
        Overwritten.
    bin_of : (n,) int array
        As filled by `bins`.
    """
    first[:] = 0
    for i in range(bin_of.size):
        first[bin_of[i] + 1] += 1
    for b in range(1, first.size):
        first[b] += first[b - 1]
    free = first[:-1].copy()
    for i in range(bin_of.size):
        b = bin_of[i]
        order[free[b]] = i
        free[b] += 1


@njit(cache=True, nogil=True)
def _runs(iz: int, nz: int, periodic: bool) -> tuple[int, int, int, int]:
    """Return the bins along z that hold neighbours of bin `iz`, as two runs (from, to), the second perhaps empty."""
    if not periodic:
        return max(iz - SPAN, 0), min(iz + SPAN, nz - 1), 0, -1
    if nz <= 2 * SPAN + 1:
        return 0, nz - 1, 0, -1
    if iz < SPAN:
        return 0, iz + SPAN, iz - SPAN + nz, nz - 1
    if iz + SPAN >= nz:
        return 0, iz + SPAN - nz, iz - SPAN, nz - 1
    return iz - SPAN, iz + SPAN, 0, -1


@njit(cache=True, nogil=True, parallel=True)
def gather(  # noqa: PLR0913, PLR0917 - arrays cannot be bundled without a cost per call
    table: Shorts,
    count: Ints,
    position: Floats,
    radius: Floats,
    reach: float,
    skin: float,
    bin_of: Ints,
    first: Ints,
    order: Ints,
    shape: Ints,
    period: float,
) -> None:
    """Write the neighbours of each cell: centres nearer than ``reach * (radius_i + radius_j) + skin``.

    Parameters
    ----------
    table : (n, capacity) int32 array
        Overwritten: the first ``count[i]`` of row i are the neighbours of cell i, ascending. Of a cell with more
        neighbours than the table has columns, some are left out.
    count : (n,) int array
        Overwritten with the true numbers, which may exceed the capacity.
    position : (n, 3) float array
        um.
    radius : (n,) float array
        um.
    reach : float
        Relative to the sum of the radii.
    skin : float
        um.
    bin_of, first, order, shape, period
        The grid, as for `bins` and `sort`; `SPAN` of its bins are no shorter than the largest distance searched.
    """
    placed, sized = position[order], radius[order]  # the cells of a bin beside each other in memory
    nx, ny, nz = shape[0], shape[1], shape[2]
    periodic = period > 0.0
    capacity = table.shape[1]
    for i in prange(position.shape[0]):
        x, y, z, own = position[i, 0], position[i, 1], position[i, 2], radius[i]
        b = bin_of[i]
        iz, iy, ix = b % nz, (b // nz) % ny, b // (nz * ny)
        low_1, high_1, low_2, high_2 = _runs(iz, nz, periodic)
        found = 0
        for jx in range(max(ix - SPAN, 0), min(ix + SPAN + 1, nx)):
            for jy in range(max(iy - SPAN, 0), min(iy + SPAN + 1, ny)):
                column = (jx * ny + jy) * nz
                for run in range(2):
                    low, high = (low_1, high_1) if run == 0 else (low_2, high_2)
                    if high < low:
                        continue
                    for p in range(first[column + low], first[column + high + 1]):
                        dx, dy, dz = placed[p, 0] - x, placed[p, 1] - y, placed[p, 2] - z
                        if periodic:
                            dz -= period * np.rint(dz / period)
                        limit = reach * (own + sized[p]) + skin
                        if dx * dx + dy * dy + dz * dz < limit * limit and order[p] != i:
                            if found < capacity:
                                table[i, found] = order[p]
                            found += 1
        count[i] = found
        for p in range(1, min(found, capacity)):  # insertion sort: rows are short and come in sorted runs
            j = table[i, p]
            q = p
            while q > 0 and table[i, q - 1] > j:
                table[i, q] = table[i, q - 1]
                q -= 1
            table[i, q] = j


@njit(cache=True, nogil=True, parallel=True)
def pack(other: Shorts, start: Ints, table: Shorts) -> None:
    """Put the rows of a table one behind the other.

    Parameters
    ----------
    other : (n_pairs,) int32 array
        Overwritten: the neighbours of cell i are ``other[start[i]:start[i+1]]``.
    start : (n + 1,) int array
        From the counts.
    table : (n, capacity) int32 array
        As filled by `gather`.
    """
    for i in prange(table.shape[0]):
        for p in range(start[i], start[i + 1]):
            other[p] = table[i, p - start[i]]
