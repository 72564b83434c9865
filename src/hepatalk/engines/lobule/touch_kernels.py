"""Compiled: what cells see of contact signals, from who touches whom and what senders present."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

__all__ = ["Kinds", "see"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

#: Senders near a site, relative to health, below which they present nothing.
_LEAST = 1e-9


class Kinds(NamedTuple):
    """The kinds of contact as the kernel reads them.

    Attributes
    ----------
    who : (n_kinds,) int array
        Signal and receiver, as a place among those that see.
    signal : (n_kinds,) int array
    density : (n_kinds,) int array
        Row of the senders' density.
    share : (n_kinds, n_zones) float array
        Of these senders in the resting supply.
    start : (n_kinds + 1,) int array
    comps : (n,) int array
        Compartments that present the signal: ``comps[start[q]:start[q + 1]]``.
    level : (n_signals,) int array
        Row of the signal's level.
    first : (n_signals,) int array
        Signal and receiver of whom the senders of a signal are counted.
    """

    who: Ints
    signal: Ints
    density: Ints
    share: Floats
    start: Ints
    comps: Ints
    level: Ints
    first: Ints


@njit(cache=True, nogil=True)
def _present(held: Floats, zone: Ints, k: Kinds, f: int, out: Floats) -> None:
    """Fill what each sender of a signal presents: the level at its site over the density of senders there."""
    out[:] = 0.0
    for q in range(k.who.size):
        if k.who[q] == k.first[f]:
            for i in range(out.size):
                out[i] += k.share[q, zone[i]] * held[k.density[q], i]
    for i in range(out.size):
        out[i] = held[k.level[f], i] / out[i] if out[i] > _LEAST else 0.0


@njit(cache=True, nogil=True)
def see(
    out: Floats,
    held: Floats,
    count: Floats,
    zone: Ints,
    k: Kinds,
    at: Ints,
    chance: Floats,
    bare: Bools,
    healthy: Floats,
    rest: Floats,
) -> None:
    """Fill what each receiver sees of each signal at every site.

    Parameters
    ----------
    out : (n_who, n_sites) float array
        Overwritten.
    held : (n_rows, n_sites) float array
        Levels of signals and densities of senders; 0 where a zone has none.
    count : (n_sites, n_comps) float array
        Cells.
    zone : (n_sites,) int array
    k : Kinds
    at : (n, 3) int array
        Kind of contact, ascending, site of the receivers, site of the senders.
    chance : (n,) float array
        That a sender and a receiver of these sites touch.
    bare : (n_kinds, n_sites) bool array
        Sites where the density of senders stands in for contacts.
    healthy, rest : (n_kinds, n_zones), (n_signals, n_zones) float array
        What is met in health, and the healthy level.
    """
    sites = zone.size
    each, met, worth = np.empty((k.level.size, sites)), np.empty(sites), np.empty(sites)
    for f in range(k.level.size):
        _present(held, zone, k, f, each[f])
    out[:] = 0.0
    e = 0
    for q in range(k.who.size):
        f = k.signal[q]
        met[:], worth[:] = 0.0, 0.0
        for c in k.comps[k.start[q] : k.start[q + 1]]:
            for i in range(sites):
                worth[i] += count[i, c]
        while e < chance.size and at[e, 0] == q:
            j = at[e, 2]
            met[at[e, 1]] += chance[e] * (worth[j] * each[f, j])
            e += 1
        for i in range(sites):
            z = zone[i]
            if bare[q, i]:
                seen = held[k.density[q], i] * each[f, i]
            else:
                seen = met[i] / healthy[q, z] * rest[f, z] if healthy[q, z] > 0.0 else 0.0
            out[k.who[q], i] += k.share[q, z] * seen
