"""Points in space: reproducible draws, points that keep their distance, even samples, centres of equal shares."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit
from scipy.spatial import cKDTree

from hepatalk.rng import Purpose, uniform_pair

__all__ = ["centres", "draws", "even_sample", "keep_apart", "quotas"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
_PLACEMENT = int(Purpose.PLACEMENT)


@njit()
def _fill(seed: int, stage: int, n: int) -> Floats:
    out = np.empty((n, 2))
    for i in range(n):
        out[i, 0], out[i, 1] = uniform_pair(seed, i, stage, _PLACEMENT)
    return out


def draws(seed: int, stage: int, n: int) -> Floats:
    """Return (n, 2) uniform numbers in [0, 1) of a stage of the building; the same for a seed on every machine."""
    return np.asarray(_fill(seed, stage, n))


@njit()
def _apart(candidates: Floats, fixed: int, gap: float, low: Floats, shape: Ints) -> Ints:
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


def keep_apart(candidates: Floats, fixed: int, gap: float) -> Ints:
    """Choose points that keep a distance (random sequential addition).

    Parameters
    ----------
    candidates : (n, 3) float array
        In the order in which they are tried.
    fixed : int
        So many of the first are kept in any case.
    gap : float
        Least distance of a chosen point to all chosen before.

    Returns
    -------
    (k,) int array
        Positions of the chosen ones.
    """
    low = candidates.min(axis=0)
    shape = ((candidates.max(axis=0) - low) / gap).astype(np.int64) + 3
    return np.asarray(_apart(candidates, fixed, gap, low, shape))


def centres(cloud: Floats, n: int, seed: int, stage: int, rounds: int) -> Floats:
    """Return ``n`` points, each the centre of the part of a cloud that is nearest to it (Lloyd 1982).

    Parameters
    ----------
    cloud : (m, 3) float array
        Points that fill a space evenly; m >= n.
    n : int
    seed, stage : int
        Of the start.
    rounds : int
        Improvements; parts become rounder and more equal with each.
    """
    chosen = np.argsort(draws(seed, stage, len(cloud))[:, 0], kind="stable")[:n]
    points = cloud[np.sort(chosen)].copy()
    for _ in range(rounds):
        nearest = cKDTree(points).query(cloud)[1]
        size = np.bincount(nearest, minlength=n)
        filled = size > 0
        for axis in range(3):
            total = np.bincount(nearest, weights=cloud[:, axis], minlength=n)
            points[filled, axis] = total[filled] / size[filled]
    return points


def quotas(total: int, shares: Floats) -> Ints:
    """Return whole numbers that add up to ``total`` and differ from their shares by less than one (largest remainder).

    Parameters
    ----------
    total : int
    shares : (k,) float array
        Not negative, one of them positive; need not add up to 1.
    """
    exact = total * shares / shares.sum()
    whole = np.floor(exact).astype(np.int64)
    order = np.argsort(-(exact - whole), kind="stable")
    whole[order[: total - int(whole.sum())]] += 1
    return whole


def even_sample(weight: Floats, n: int, offset: float) -> Ints:
    """Return ``n`` positions, each drawn in proportion to its weight, spread evenly in the order given.

    Parameters
    ----------
    weight : (k,) float array
        Not negative, one of them positive.
    n : int
    offset : float
        In [0, 1): where the first lies in its interval.
    """
    edge = np.cumsum(weight)
    at = (np.arange(n) + offset) / n * edge[-1]
    return np.minimum(np.searchsorted(edge, at, side="right"), len(weight) - 1)
