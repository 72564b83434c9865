"""Cells that crawl along sinusoids: inside them, or beside them in the space of Disse.

A cell has a drive, a vector without a unit: the sum of what pulls it. Along a segment with the direction e it crawls at
``speed x/(1 + |x|)`` with x = e . drive, so that it never leaves the vessel; at a branching point it goes on along the
segment with the greatest x, and stays where every way leads down. Cells of a type keep apart besides: two of them
nearer than a given distance push each other away, the more the nearer, and a cell that has another one ahead of it does
not follow what draws it, so that cells gather beside each other and are not heaped up.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from hepatalk.engines.lobule.network import SINUSOID, Network
from hepatalk.engines.lobule.vessels import Pieces

__all__ = ["APART", "Ways", "apart", "crawl", "driven", "ways_of"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

#: Drive of a cell that stands at half the distance that it keeps; it grows as one over the distance. Assumed.
APART = 2.0
#: Nearer than this, two cells push each other as if they were so far apart, um.
_LEAST_UM = 0.1
#: The longest way between two looks at where things are, um.
_LOOK_UM = 10.0
#: Branching points that a cell passes between two looks, at most.
_MOST_POINTS = 8


@dataclass(frozen=True)
class Ways:
    """The sinusoids as ways.

    Attributes
    ----------
    network : Network
    along : (e, 3) float array
        Unit vectors from the first node of each segment to the second.
    at_node : list of int arrays
        The sinusoids that meet in each node.
    """

    network: Network
    along: Floats
    at_node: list[Ints]


def ways_of(network: Network) -> Ways:
    """Return the ways along the sinusoids of a network."""
    step = network.nodes[network.edges[:, 1]] - network.nodes[network.edges[:, 0]]
    along = step / np.maximum(np.linalg.norm(step, axis=1), 1e-12)[:, None]
    own = np.flatnonzero(network.kind == SINUSOID)
    ends = network.edges[own].ravel()
    order = np.argsort(ends, kind="stable")
    split = np.cumsum(np.bincount(ends, minlength=len(network.nodes)))[:-1]
    return Ways(network, along, np.split(np.repeat(own, 2)[order], split))


def apart(position: Floats, spacing: float) -> Floats:
    """Return the drive of cells away from those nearer than a distance, (n, 3).

    Parameters
    ----------
    position : (n, 3) float array
        um.
    spacing : float
        um.
    """
    out = np.zeros(position.shape)
    if len(position) < 2 or not spacing > 0.0:
        return out
    pairs = cKDTree(position).query_pairs(spacing, output_type="ndarray")
    pairs = pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]
    away = position[pairs[:, 0]] - position[pairs[:, 1]]
    distance = np.linalg.norm(away, axis=1)
    distance = np.maximum(distance, _LEAST_UM)
    push = away * (APART * (spacing / distance - 1.0) / distance)[:, None]
    np.add.at(out, pairs[:, 0], push)
    np.add.at(out, pairs[:, 1], -push)
    return out


def driven(pull: Floats, push: Floats) -> Floats:
    """Return the drives of cells that are drawn and pushed, (n, 3): who is pushed back is not drawn on.

    Parameters
    ----------
    pull, push : (n, 3) float array
    """
    free = (pull * push).sum(axis=1) >= 0.0
    return np.asarray(push + pull * free[:, None])


def crawl(ways: Ways, on: Pieces, tree: cKDTree, start: Floats, speed: Floats, hours: float,
          drive: Callable[[Floats], Floats]) -> Floats:  # fmt: skip
    """Return where cells come to on the sinusoids.

    Parameters
    ----------
    ways : Ways
    on : Pieces
        Points along the sinusoids.
    tree : cKDTree
        Of these points.
    start : (n, 3) float array
        Where the cells are, in the coordinates of the network, um. How far off the axis they are they keep.
    speed : (n,) float array
        At most, um/h in the coordinates of the network.
    hours : float
    drive : callable
        From positions (n, 3) to the drives of the cells there.

    Returns
    -------
    (n, 3) float array
    """
    if not len(start) or not hours > 0.0:
        return start.copy()
    n = ways.network
    edge = on.edge[tree.query(start)[1]]
    one = n.nodes[n.edges[edge, 0]]
    at = np.clip(((start - one) * ways.along[edge]).sum(axis=1), 0.0, n.length[edge])
    off = start - one - at[:, None] * ways.along[edge]
    looks = max(1, int(np.ceil(float(speed.max()) * hours / _LOOK_UM)))
    for _ in range(looks):
        here = n.nodes[n.edges[edge, 0]] + at[:, None] * ways.along[edge]
        _advance(ways, edge, at, drive(here + off), speed, hours / looks)
    return np.asarray(n.nodes[n.edges[edge, 0]] + at[:, None] * ways.along[edge] + off)


def _advance(ways: Ways, edge: Ints, at: Floats, pull: Floats, speed: Floats, hours: float) -> None:
    """Move cells along their segments, and on to others, for some time; changes ``edge`` and ``at`` in place."""
    n = ways.network
    left = np.full(len(edge), hours)
    for _ in range(_MOST_POINTS):
        go = np.flatnonzero(left > 0.0)
        if not len(go):
            return
        x = (pull[go] * ways.along[edge[go]]).sum(axis=1)
        pace = speed[go] * x / (1.0 + np.abs(x))
        there = at[go] + pace * left[go]
        room = np.where(pace > 0.0, n.length[edge[go]] - at[go], at[go])
        beyond = (there < 0.0) | (there > n.length[edge[go]])
        at[go] = np.clip(there, 0.0, n.length[edge[go]])
        spent = np.divide(room, np.abs(pace), out=np.zeros(len(go)), where=np.abs(pace) > 0.0)
        left[go] = np.where(beyond, left[go] - spent, 0.0)
        for k in go[beyond]:
            node = n.edges[edge[k], 0 if at[k] <= 0.0 else 1]
            own = ways.at_node[node]
            first = n.edges[own, 0] == node
            lead = np.where(first, 1.0, -1.0) * (ways.along[own] @ pull[k])
            best = int(np.argmax(lead))
            if lead[best] <= 0.0:
                left[k] = 0.0
                continue
            edge[k], at[k] = own[best], 0.0 if first[best] else n.length[own[best]]
