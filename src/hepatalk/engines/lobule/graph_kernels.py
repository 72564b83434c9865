"""Compiled loops over points and segments: even spacing, the choice of segments, and the way of plasma.

Kernels know arrays only. Loops over threads write each to its own field, so that the number of threads changes no bit.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit, prange

from hepatalk.rng import Purpose, uniform_pair

__all__ = ["add_segments", "ages", "fill_uniform", "keep_apart", "march", "remaining"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
_PLACEMENT = int(Purpose.PLACEMENT)  # Numba freezes it as a constant


@njit(cache=True, nogil=True)
def fill_uniform(seed: int, stage: int, n: int) -> Floats:
    """Return (n, 2) uniform numbers of a stage of the building."""
    out = np.empty((n, 2))
    for i in range(n):
        out[i, 0], out[i, 1] = uniform_pair(seed, i, stage, _PLACEMENT)
    return out


@njit(cache=True, nogil=True)
def keep_apart(candidates: Floats, fixed: int, gap: float, low: Floats, shape: Ints) -> Ints:
    """Return the candidates kept, taken in turn; the first ``fixed`` are kept whatever their distance."""
    first = np.full(shape[0] * shape[1] * shape[2], -1, dtype=np.int64)
    following = np.full(len(candidates), -1, dtype=np.int64)
    kept = np.empty(len(candidates), dtype=np.int64)
    n = 0
    place = np.empty(3, dtype=np.int64)
    for c in range(len(candidates)):
        for k in range(3):
            place[k] = int((candidates[c, k] - low[k]) / gap) + 1
        free = True
        if c >= fixed:
            for i in range(place[0] - 1, place[0] + 2):
                for j in range(place[1] - 1, place[1] + 2):
                    for k in range(place[2] - 1, place[2] + 2):
                        other = first[(i * shape[1] + j) * shape[2] + k]
                        while other >= 0 and free:
                            d = 0.0
                            for axis in range(3):
                                d += (candidates[c, axis] - candidates[other, axis]) ** 2
                            free = d >= gap * gap
                            other = following[other]
        if free:
            cell = (place[0] * shape[1] + place[1]) * shape[2] + place[2]
            following[c] = first[cell]
            first[cell] = c
            kept[n] = c
            n += 1
    return kept[:n]


@njit(cache=True, nogil=True)
def _root(label: Ints, i: int) -> int:
    while label[i] != i:
        label[i] = label[label[i]]
        i = label[i]
    return i


@njit(cache=True, nogil=True)
def _narrow(nodes: Floats, at: int, to: int, near: Ints, narrowest: float) -> bool:
    """Return whether a new segment would leave a node too close to one that is there."""
    for k in range(near.shape[1]):
        other = near[at, k]
        if other < 0:
            break
        dot, one, two = 0.0, 0.0, 0.0
        for axis in range(3):
            u, v = nodes[to, axis] - nodes[at, axis], nodes[other, axis] - nodes[at, axis]
            dot, one, two = dot + u * v, one + u * u, two + v * v
        if dot > narrowest * np.sqrt(one * two):
            return True
    return False


@njit(cache=True, nogil=True)
def _note(near: Ints, at: int, to: int) -> None:
    for k in range(near.shape[1]):
        if near[at, k] < 0:
            near[at, k] = to
            break


@njit(cache=True, nogil=True)
def add_segments(nodes: Floats, joined: Ints, offered: Ints, part: Ints, wanted: int, narrowest: float) -> Ints:
    """Return which of the offered segments to add, cheapest first: those that join parts, then those that have room."""
    near = np.full((len(nodes), 16), -1, dtype=np.int64)
    for i in range(len(joined)):
        _note(near, joined[i, 0], joined[i, 1])
        _note(near, joined[i, 1], joined[i, 0])
    label = np.arange(len(nodes))
    used = np.zeros(len(offered), dtype=np.bool_)
    n = 0
    for i in range(len(offered)):  # parts are few: the first sweep makes one network of them
        one, other = _root(label, part[offered[i, 0]]), _root(label, part[offered[i, 1]])
        if one != other:
            label[one] = other
            used[i] = True
            n += 1
            _note(near, offered[i, 0], offered[i, 1])
            _note(near, offered[i, 1], offered[i, 0])
    for i in range(len(offered)):
        if n >= wanted:
            break
        one, other = offered[i, 0], offered[i, 1]
        if used[i] or _narrow(nodes, one, other, near, narrowest) or _narrow(nodes, other, one, near, narrowest):
            continue
        used[i] = True
        n += 1
        _note(near, one, other)
        _note(near, other, one)
    return np.flatnonzero(used)


@njit(cache=True, nogil=True, parallel=True)
def march(
    way: tuple[Ints, Ints, Ints, Floats, Floats],
    exchange: tuple[Ints, Ints, Floats],
    clearance: Floats,
    level: Floats,
    inlet: Floats,
    plasma: Floats,
    uptake: Floats,
) -> None:
    """Fill plasma (F, n) and uptake (F, M, zero before): see `hepatalk.engines.lobule.flow.march`."""
    order, start, origin, flow, source = way
    exchange_start, exchange_site, exchange_weight = exchange
    for f in prange(level.shape[0]):
        for i in order:
            total = source[i]
            brought = source[i] * inlet[f]
            for k in range(start[i], start[i + 1]):
                total += flow[k]
                brought += flow[k] * plasma[f, origin[k]]
            for k in range(exchange_start[i], exchange_start[i + 1]):
                c = exchange_weight[k] * clearance[f, exchange_site[k]]
                total += c
                brought += c * level[f, exchange_site[k]]
            # A node that nothing reaches holds what the blood had at the inlet; nothing depends on it.
            p = brought / total if total > 0.0 else inlet[f]
            plasma[f, i] = p
            for k in range(exchange_start[i], exchange_start[i + 1]):
                j = exchange_site[k]
                uptake[f, j] += exchange_weight[k] * clearance[f, j] * (p - level[f, j])


@njit(cache=True, nogil=True)
def ages(order: Ints, start: Ints, origin: Ints, flow: Floats, time: Floats, source: Floats) -> Floats:
    """Return the mean time since blood came in, at each node; weighted by flow."""
    age = np.zeros(len(order))
    for i in order:
        total, sum_age = source[i], 0.0
        for k in range(start[i], start[i + 1]):
            total += flow[k]
            sum_age += flow[k] * (age[origin[k]] + time[k])
        age[i] = sum_age / total if total > 0.0 else 0.0
    return age


@njit(cache=True, nogil=True)
def remaining(order: Ints, start: Ints, origin: Ints, flow: Floats, time: Floats, leaving: Floats) -> Floats:
    """Return the mean time until blood leaves, at each node; weighted by flow."""
    out, gathered = leaving.copy(), np.zeros(len(order))
    rest = np.zeros(len(order))
    for i in order[::-1]:
        rest[i] = gathered[i] / out[i] if out[i] > 0.0 else 0.0
        for k in range(start[i], start[i + 1]):
            out[origin[k]] += flow[k]
            gathered[origin[k]] += flow[k] * (rest[i] + time[k])
    return rest
