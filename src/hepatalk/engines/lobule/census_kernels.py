"""Compiled counting of cells, and of those to be expected. Kernels know arrays only."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from hepatalk.engines.lobule.arrays import CellArrays, FateArrays
from hepatalk.model.fates import FateKind

__all__ = ["count_cells", "count_labels", "foresee"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

DIVISION, DEATH, CONVERSION = int(FateKind.DIVISION), int(FateKind.DEATH), int(FateKind.CONVERSION)
NOTHING = -1


@njit(cache=True)
def foresee(
    count: Floats, volume: Floats, rates: Floats, chances: Floats, f: FateArrays, growth: Floats, h: float
) -> tuple[Floats, Floats]:
    """Return the cells to be expected after ``h`` hours, to first order, if nothing arrives.

    Parameters
    ----------
    count, volume : (n_sites, n_comps) float array
        Cells and their volume.
    rates, chances : (n_sites, n_rates), (n_sites, n_chances) float array
        Per h, and probabilities.
    f : FateArrays
    growth : (n_sites,) float array
        Of cells with mass, per h.
    h : float

    Returns
    -------
    count, volume : (n_sites, n_comps) float array
    """
    later, larger = count.copy(), volume.copy()
    n_comps = f.has_mass.size
    for s in range(count.shape[0]):
        for c in range(n_comps):
            n, v = count[s, c], volume[s, c]
            if n == 0.0:
                continue
            larger[s, c] += (growth[s] if f.has_mass[c] else 0.0) * v * h
            k = f.zone_of[s] * n_comps + c
            for j in range(f.start[k], f.start[k + 1]):
                share = rates[s, f.rate[j]] * h
                later[s, c] -= share * n
                larger[s, c] -= share * v
                kind, to = f.kind[j], f.target[j]
                if kind == DEATH:
                    continue
                made = v if f.has_mass[to] else n
                if kind == DIVISION:
                    other = chances[s, f.chance[j]] if f.chance[j] != NOTHING else 0.0
                    later[s, to] += 2.0 * (1.0 - other) * share * n
                    larger[s, to] += (1.0 - other) * share * (made if f.has_mass[to] else 2.0 * n)
                    if other > 0.0:
                        later[s, f.other[j]] += other * share * n
                        larger[s, f.other[j]] += other * share * made
                    continue
                at = f.gate[s, f.zone[j]] if f.zone[j] != f.zone_of[s] else s
                if kind == CONVERSION:
                    made = f.size[j] * n if f.has_mass[to] else n
                later[at, to] += share * n
                larger[at, to] += share * made
    return np.maximum(later, 0.0), np.maximum(larger, 0.0)


@njit(cache=True)
def count_cells(cells: CellArrays, n: int, n_sites: int, n_comps: int) -> tuple[Floats, Floats]:
    """Return the cells of every compartment at every site, and their volume.

    Returns
    -------
    count, volume : (n_sites, n_comps) float array
    """
    count = np.zeros((n_sites, n_comps))
    volume = np.zeros((n_sites, n_comps))
    for i in range(n):
        s, c = cells.site[i], cells.comp[i]
        count[s, c] += 1.0
        volume[s, c] += cells.volume[i]
    return count, volume


@njit(cache=True)
def count_labels(cells: CellArrays, n: int, zone_of: Ints, type_of: Ints, marked: Floats) -> None:
    """Count the bearers of each label.

    Parameters
    ----------
    cells : CellArrays
    n : int
    zone_of : (n_sites,) int array
    type_of : (n_comps,) int array
    marked : (n_bits, n_zones, n_types) float array
        Added to.
    """
    for i in range(n):
        zone, kind = zone_of[cells.site[i]], type_of[cells.comp[i]]
        bits, bit = cells.marks[i], 0
        while bits:
            if bits & 1:
                marked[bit, zone, kind] += 1.0
            bits >>= 1
            bit += 1
