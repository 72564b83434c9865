"""Compiled events of cells: their clocks, what happens when they run out, and who comes with the blood.

Kernels know arrays only. Every thread writes its own cells, so that the bits of a result do not depend
on how many threads there are; what makes or removes cells runs on one thread, in the order of the cells.

The clocks follow the modified next reaction method (Anderson 2007, J Chem Phys 127:214107, doi 10.1063/1.2799998): each
cell carries a unit exponential number from which the integral of its total rate is taken away, and something happens
to it when nothing is left. That is exact for rates that change in time, and draws random numbers at events alone.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from numba import njit, prange

from hepatalk.engines.lobule.arrays import CellArrays, FateArrays
from hepatalk.engines.lobule.site_kernels import PIECES, WORTH_THREADS
from hepatalk.model.fates import FateKind
from hepatalk.rng import Purpose, uniform, uniform_pair

__all__ = [
    "FULL",
    "arrive",
    "bury",
    "first_clock",
    "grow",
    "resolve",
    "tick",
]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]

MOVE, DIVISION, DEATH = int(FateKind.MOVE), int(FateKind.DIVISION), int(FateKind.DEATH)
CONVERSION, MIGRATION = int(FateKind.CONVERSION), int(FateKind.MIGRATION)
CLOCK, CHOICE, SPLIT = int(Purpose.CYCLE_PROGRESS), int(Purpose.FATE), int(Purpose.CYTOKINESIS)
COMES = int(Purpose.RECRUITMENT)
NOTHING = -1
#: What `resolve` and `arrive` return when there is no room for another cell.
FULL = -1


@njit(cache=True)
def first_clock(seed: int, cell: int, event: int) -> float:
    """Return the unit exponential number of a cell's next event."""
    return -math.log(1.0 - uniform(seed, cell, event, CLOCK))


@njit(cache=True)
def _hazard(rates: Floats, f: FateArrays, site: int, comp: int) -> float:
    """Return the total rate (per h) of what can happen to a cell of a compartment at a site."""
    k = f.zone_of[site] * f.has_mass.size + comp
    total = 0.0
    for j in range(f.start[k], f.start[k + 1]):
        total += rates[site, f.rate[j]]
    return total


@njit(cache=True, nogil=True)
def _tick_part(  # noqa: PLR0913, PLR0917 - the arguments of `tick`
    first: int,
    last: int,
    clock: Floats,
    fired: Bytes,
    site: Ints,
    comp: Ints,
    n: int,
    rates: Floats,
    zone_of: Ints,
    start: Ints,
    rate: Ints,
    n_comps: int,
    h: float,
) -> None:
    """Do the work of `tick` from one item to another."""
    for i in range(first, last):
        at = site[i]
        k = zone_of[at] * n_comps + comp[i]
        hazard = 0.0
        for j in range(start[k], start[k + 1]):
            hazard += rates[at, rate[j]]
        left = clock[i] - hazard * h
        clock[i] = left
        fired[i] = 1 if left <= 0.0 else 0


@njit(cache=True, parallel=True)
def _tick_threads(  # noqa: PLR0913, PLR0917 - the arguments of `tick`
    clock: Floats,
    fired: Bytes,
    site: Ints,
    comp: Ints,
    n: int,
    rates: Floats,
    zone_of: Ints,
    start: Ints,
    rate: Ints,
    n_comps: int,
    h: float,
) -> None:
    """Do the work of `tick` in pieces, each on one thread."""
    for piece in prange(PIECES):
        first, last = piece * n // PIECES, (piece + 1) * n // PIECES
        _tick_part(first, last, clock, fired, site, comp, n, rates, zone_of, start, rate, n_comps, h)


def tick(  # noqa: PLR0913, PLR0917 - Numba 0.68 loses what a parallel loop writes through a named tuple
    clock: Floats,
    fired: Bytes,
    site: Ints,
    comp: Ints,
    n: int,
    rates: Floats,
    zone_of: Ints,
    start: Ints,
    rate: Ints,
    n_comps: int,
    h: float,
) -> None:
    """Take ``h`` hours from the clocks of the first ``n`` cells, and mark those whose clocks have run out.

    Parameters
    ----------
    clock, fired, site, comp : (capacity,) arrays
        As in `CellArrays`.
    n : int
    rates : (n_sites, n_rates) float array
        Per h.
    zone_of, start, rate : int arrays
        As in `FateArrays`.
    n_comps : int
    h : float
    """
    if n < WORTH_THREADS:
        _tick_part(0, n, clock, fired, site, comp, n, rates, zone_of, start, rate, n_comps, h)
    else:
        _tick_threads(clock, fired, site, comp, n, rates, zone_of, start, rate, n_comps, h)


@njit(cache=True, nogil=True)
def _grow_part(  # noqa: PLR0913, PLR0917 - the arguments of `grow`
    first: int,
    last: int,
    volume: Floats,
    site: Ints,
    comp: Ints,
    n: int,
    has_mass: Bytes,
    law: Floats,
    size: Floats,
    own: bool,
    h: float,
) -> None:
    """Do the work of `grow` from one item to another."""
    for i in range(first, last):
        if has_mass[comp[i]]:
            k = site[i]
            v = volume[i]
            s = v if own else size[k]
            volume[i] = v * math.exp((law[k, 0] * s ** law[k, 2] - law[k, 1]) * h)


@njit(cache=True, parallel=True)
def _grow_threads(
    volume: Floats, site: Ints, comp: Ints, n: int, has_mass: Bytes, law: Floats, size: Floats, own: bool, h: float
) -> None:
    """Do the work of `grow` in pieces, each on one thread."""
    for piece in prange(PIECES):
        first, last = piece * n // PIECES, (piece + 1) * n // PIECES
        _grow_part(first, last, volume, site, comp, n, has_mass, law, size, own, h)


def grow(
    volume: Floats, site: Ints, comp: Ints, n: int, has_mass: Bytes, law: Floats, size: Floats, own: bool, h: float
) -> None:
    """Let cells with mass grow for ``h`` hours: dv/dt = v (synthesis s^-q - decay).

    Parameters
    ----------
    volume, site, comp : (capacity,) arrays
        As in `CellArrays`.
    n : int
        Number of cells.
    has_mass : (n_comps,) uint8 array
    law : (n_sites, 3) float array
        Synthesis and decay, per h, and -q.
    size : (n_sites,) float array
        Mean size at each site.
    own : bool
        Whether s is the size of each cell; the mean of its site otherwise.
    h : float
    """
    if n < WORTH_THREADS:
        _grow_part(0, n, volume, site, comp, n, has_mass, law, size, own, h)
    else:
        _grow_threads(volume, site, comp, n, has_mass, law, size, own, h)


@njit(cache=True)
def _chosen(cell_draw: float, hazard: float, rates: Floats, f: FateArrays, site: int, comp: int) -> int:
    """Return which fate a number in [0, 1) stands for, each in proportion to its rate."""
    k = f.zone_of[site] * f.has_mass.size + comp
    wanted = cell_draw * hazard
    j = f.start[k]
    while j < f.start[k + 1] - 1:
        wanted -= rates[site, f.rate[j]]
        if wanted < 0.0:
            break
        j += 1
    return int(j)


@njit(cache=True)
def _convert(cells: CellArrays, i: int, j: int, seed: int, beyond: float, f: FateArrays, descent: Floats) -> None:
    """Make cell ``i`` one of another type; ``descent`` is as in `resolve`.

    Within the exchange of health a convert takes the origin of a cell among those it joins, so that labels of origin
    tell of conversion beyond it.
    """
    cells.comp[i], cells.goal[i] = f.target[j], NOTHING
    cells.volume[i] = f.size[j] if f.has_mass[f.target[j]] else 1.0
    stays, other = uniform_pair(seed, cells.ident[i], cells.events[i], SPLIT)
    if stays < beyond:
        return
    zone = f.zone_of[cells.site[i]]
    marks = cells.marks[i]
    for bit in range(descent.shape[0]):
        here = descent[bit, zone, f.target[j]]
        if here < 0.0:
            continue
        # One number for all labels of origin: they exclude each other.
        marks = marks | (1 << bit) if 0.0 <= other < here else marks & ~(1 << bit)
        other -= here
    cells.marks[i] = marks


@njit(cache=True)
def _divide(cells: CellArrays, i: int, n: int, ident: int, target: int, f: FateArrays) -> None:
    """Make cell ``i`` two of the compartment ``target``, the second of them in place ``n``; clocks are set later."""
    cells.comp[i] = target
    if f.has_mass[target]:
        cells.volume[i] *= 0.5
    cells.comp[n], cells.site[n], cells.goal[n] = target, cells.site[i], NOTHING
    cells.ident[n], cells.parent[n], cells.clone[n] = ident, cells.ident[i], cells.clone[i]
    cells.events[n], cells.marks[n], cells.volume[n] = 0, cells.marks[i], cells.volume[i]
    cells.fired[n], cells.dead[n] = 0, 0
    for k in range(3):
        cells.position[n, k] = cells.position[i, k]


@njit(cache=True)
def resolve(
    cells: CellArrays,
    n: int,
    ident: int,
    seed: int,
    rates: Floats,
    chances: Floats,
    f: FateArrays,
    descent: Floats,
    tally: Ints,
) -> tuple[int, int]:
    """Let happen what is due to the cells whose clocks have run out, and to the cells that they make.

    Cells that die are marked as dead and keep their place; new ones are put behind the others. What is left of the
    step after an event goes on with the rates of the new compartment.

    Parameters
    ----------
    cells : CellArrays
    n : int
        Number of cells.
    ident : int
        Identity of the next new cell.
    seed : int
    rates, chances : (n_sites, n_rates), (n_sites, n_chances) float array
        Per h, and probabilities.
    f : FateArrays
    descent : (n_bits, n_zones, n_comps) float array
        For labels of origin: the share of bearers among the cells of the type of each compartment; -1 for other labels.
    tally : (n_fates,) int array
        How often each fate has happened; added to.

    Returns
    -------
    n, ident : int
        After all events; n is `FULL` if there was no room.
    """
    i = 0
    while i < n:
        if not cells.fired[i]:
            i += 1
            continue
        cells.fired[i] = 0
        while cells.clock[i] <= 0.0:
            s = cells.site[i]
            hazard = _hazard(rates, f, s, cells.comp[i])
            left = -cells.clock[i] / hazard
            cells.events[i] += 1
            j = _chosen(uniform(seed, cells.ident[i], cells.events[i], CHOICE), hazard, rates, f, s, cells.comp[i])
            tally[j] += 1
            kind, chance = f.kind[j], f.chance[j]
            if kind == DEATH:
                cells.dead[i] = 1
                break
            if kind == MIGRATION and f.walks[0]:
                if cells.goal[i] == NOTHING:  # who is on the way goes on
                    cells.goal[i] = f.gate[s, f.zone[j]]
            elif kind in (MOVE, MIGRATION):
                cells.comp[i] = f.target[j]
                if f.zone[j] != f.zone_of[s]:
                    cells.site[i] = f.gate[s, f.zone[j]]
            elif kind == CONVERSION:
                _convert(cells, i, j, seed, chances[s, chance] if chance != NOTHING else 1.0, f, descent)
            elif chance != NOTHING and uniform(seed, cells.ident[i], cells.events[i], SPLIT) < chances[s, chance]:
                cells.comp[i] = f.other[j]
            else:
                if n >= cells.clock.size:
                    return FULL, ident
                _divide(cells, i, n, ident, f.target[j], f)
                cells.clock[n] = first_clock(seed, ident, 0) - left * _hazard(rates, f, s, cells.comp[n])
                cells.fired[n] = 1 if cells.clock[n] <= 0.0 else 0
                n, ident = n + 1, ident + 1
            fresh = first_clock(seed, cells.ident[i], cells.events[i])
            cells.clock[i] = fresh - left * _hazard(rates, f, cells.site[i], cells.comp[i])
        i += 1
    return n, ident


@njit(cache=True)
def arrive(  # noqa: PLR0913, PLR0917 - all that a new cell needs
    cells: CellArrays,
    n: int,
    ident: int,
    seed: int,
    waiting: Floats,
    drawn: Ints,
    pace: Floats,
    chance: Floats,
    sites: Ints,
    target: Ints,
    other: Ints,
    position: Floats,
    h: float,
) -> tuple[int, int]:
    """Let cells come from the blood to some sites.

    Parameters
    ----------
    cells, n, ident, seed
        As for `resolve`.
    waiting : (n_here, n_kinds) float array
        Unit exponential numbers from which the expected arrivals are taken away.
    drawn : (n_here, n_kinds) int array
        How many numbers each has used.
    pace, chance : (n_here, n_kinds) float array
        Cells per h, and the probability of the compartment ``other``.
    sites : (n_here,) int array
    target, other : (n_kinds,) int array
        Compartments.
    position : (n_sites, 3) float array
        Where cells settle, in um.
    h : float

    Returns
    -------
    n, ident : int
        n is `FULL` if there was no room.
    """
    n_kinds = pace.shape[1]
    for a in range(pace.shape[0]):
        for k in range(n_kinds):
            waiting[a, k] -= pace[a, k] * h
            while waiting[a, k] <= 0.0:
                if n >= cells.clock.size:
                    return FULL, ident
                drawn[a, k] += 1
                # The vessel of a site has a negative identity: no cell has the same.
                first, second = uniform_pair(seed, -1 - (sites[a] * n_kinds + k), drawn[a, k], COMES)
                waiting[a, k] -= math.log(1.0 - first)
                cells.comp[n] = other[k] if other[k] != NOTHING and second < chance[a, k] else target[k]
                cells.site[n], cells.ident[n], cells.parent[n], cells.clone[n] = sites[a], ident, NOTHING, ident
                cells.events[n], cells.marks[n], cells.volume[n] = 0, 0, 1.0
                cells.goal[n] = NOTHING
                cells.fired[n], cells.dead[n] = 0, 0
                for axis in range(3):
                    cells.position[n, axis] = position[sites[a], axis]
                cells.clock[n] = first_clock(seed, ident, 0)
                n, ident = n + 1, ident + 1
    return n, ident


@njit(cache=True)
def bury(cells: CellArrays, n: int) -> int:
    """Close the gaps that dead cells leave, in order; return the number of cells that live."""
    kept = 0
    for i in range(n):
        if cells.dead[i]:
            continue
        if kept != i:
            cells.comp[kept], cells.site[kept], cells.ident[kept] = cells.comp[i], cells.site[i], cells.ident[i]
            cells.parent[kept], cells.clone[kept] = cells.parent[i], cells.clone[i]
            cells.goal[kept] = cells.goal[i]
            cells.events[kept], cells.marks[kept] = cells.events[i], cells.marks[i]
            cells.clock[kept], cells.volume[kept] = cells.clock[i], cells.volume[i]
            for axis in range(3):
                cells.position[kept, axis] = cells.position[i, axis]
            cells.fired[kept], cells.dead[kept] = 0, 0
        kept += 1
    return kept
