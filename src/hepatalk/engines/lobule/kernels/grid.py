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

__all__ = ["bins", "count", "fill", "sort"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Shorts = npt.NDArray[np.int32]


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
def _row(  # noqa: PLR0913, PLR0917 - arrays cannot be bundled without a cost per call
    i: int,
    other: Shorts,
    at: int,
    position: Floats,
    radius: Floats,
    reach: float,
    skin: float,
    bin_of: Ints,
    first: Ints,
    order: Ints,
    shape: Ints,
    period: float,
) -> int:
    """Count the neighbours of cell i, and write them from place `at` on unless that is negative."""
    nx, ny, nz = shape[0], shape[1], shape[2]
    b = bin_of[i]
    iz = b % nz
    iy = (b // nz) % ny
    ix = b // (nz * ny)
    # With two bins along a periodic axis the one before is the one behind; with one bin there is no other.
    below, above = -1, 1
    if period > 0.0 and nz == 2:
        below = 0
    if period > 0.0 and nz == 1:
        below, above = 0, 0
    found = 0
    for jx in range(max(ix - 1, 0), min(ix + 2, nx)):
        for jy in range(max(iy - 1, 0), min(iy + 2, ny)):
            for step in range(below, above + 1):
                jz = iz + step
                if period > 0.0:
                    jz = (jz + nz) % nz
                elif jz < 0 or jz >= nz:
                    continue
                c = (jx * ny + jy) * nz + jz
                for p in range(first[c], first[c + 1]):
                    j = order[p]
                    if j == i:
                        continue
                    dx = position[j, 0] - position[i, 0]
                    dy = position[j, 1] - position[i, 1]
                    dz = position[j, 2] - position[i, 2]
                    if period > 0.0:
                        dz -= period * np.rint(dz / period)
                    limit = reach * (radius[i] + radius[j]) + skin
                    if dx * dx + dy * dy + dz * dz < limit * limit:
                        if at >= 0:
                            other[at + found] = j
                        found += 1
    return found


@njit(cache=True, nogil=True, parallel=True)
def count(  # noqa: PLR0913, PLR0917
    out: Ints,
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
    """Count the neighbours of each cell: centres nearer than ``reach * (radius_i + radius_j) + skin``.

    Parameters
    ----------
    out : (n,) int array
        Overwritten.
    position : (n, 3) float array
        um.
    radius : (n,) float array
        um.
    reach : float
        Relative to the sum of the radii.
    skin : float
        um.
    bin_of, first, order, shape, period
        The grid, as for `bins` and `sort`; its bins are no smaller than the largest distance searched.
    """
    nowhere = np.empty(0, dtype=np.int32)
    for i in prange(position.shape[0]):
        out[i] = _row(i, nowhere, -1, position, radius, reach, skin, bin_of, first, order, shape, period)


@njit(cache=True, nogil=True, parallel=True)
def fill(  # noqa: PLR0913, PLR0917
    other: Shorts,
    start: Ints,
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
    """Write the neighbours of each cell, in ascending order; see `count` for the arguments.

    Parameters
    ----------
    other : (n_pairs,) int32 array
        Overwritten: the neighbours of cell i are ``other[start[i]:start[i+1]]``.
    start : (n + 1,) int array
        From the counts.
    """
    for i in prange(position.shape[0]):
        a = start[i]
        n = _row(i, other, a, position, radius, reach, skin, bin_of, first, order, shape, period)
        for p in range(a + 1, a + n):  # insertion sort: rows are short and come in sorted runs
            j = other[p]
            q = p
            while q > a and other[q - 1] > j:
                other[q] = other[q - 1]
                q -= 1
            other[q] = j
