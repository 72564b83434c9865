"""Points in space: reproducible draws, points that keep their distance, even samples, centres of equal shares."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from hepatalk.engines.lobule import graph_kernels

__all__ = ["centres", "draws", "even_sample", "keep_apart", "quotas"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
#: Points of a cloud that each centre is found from; more make the parts no more alike.
_PER_CENTRE = 16


def draws(seed: int, stage: int, n: int) -> Floats:
    """Return (n, 2) uniform numbers in [0, 1) of a stage of the building; the same for a seed on every machine."""
    return np.asarray(graph_kernels.fill_uniform(seed, stage, n))


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
    return np.asarray(graph_kernels.keep_apart(candidates, fixed, gap, low, shape))


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
    shuffled = cloud[np.argsort(draws(seed, stage, len(cloud))[:, 0], kind="stable")]
    points, cloud = shuffled[:n].copy(), shuffled[: _PER_CENTRE * n]
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
    return np.asarray(whole, dtype=np.int64)


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
    return np.asarray(np.minimum(np.searchsorted(edge, at, side="right"), len(weight) - 1), dtype=np.int64)
