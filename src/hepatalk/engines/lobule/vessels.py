"""Sinusoids beside tissue: which pieces of them lie in which site, which hepatocytes they touch, what they take up.

Everything here is measured on a network as it is at a moment, so that it holds for one that has grown as well.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from hepatalk.engines.lobule.network import SINUSOID

__all__ = ["Avascular", "Pieces", "avascular", "gaps", "lengths_in_sites", "pieces", "sinusoids", "volume"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

#: The longest piece of a vessel that one point stands for, um.
_PIECE_UM = 2.5
#: Hepatocytes whose middles are nearer than so many sums of their radii are neighbours.
_BESIDE = 1.25


@dataclass(frozen=True)
class Pieces:
    """Points along the axes of vessels.

    Attributes
    ----------
    points : (p, 3) float array
        um.
    edge : (p,) int array
        The segment.
    along : (p,) float array
        0 at the first node of the segment, 1 at the second.
    length : (p,) float array
        What a point stands for, um.
    """

    points: Floats
    edge: Ints
    along: Floats
    length: Floats


def pieces(nodes: Floats, edges: Ints, chosen: Ints | None = None) -> Pieces:
    """Return points along some segments, or all.

    Parameters
    ----------
    nodes : (n, 3) float array
        um.
    edges : (e, 2) int array
    chosen : int array, optional
        Segments.
    """
    which = np.arange(len(edges)) if chosen is None else chosen
    one, other = nodes[edges[which, 0]], nodes[edges[which, 1]]
    length = np.linalg.norm(other - one, axis=1)
    count = np.maximum(1, np.ceil(length / _PIECE_UM).astype(np.int64))
    of = np.repeat(np.arange(len(which)), count)
    along = (np.arange(len(of)) - np.repeat(np.cumsum(count) - count, count) + 0.5) / count[of]
    return Pieces(one[of] + along[:, None] * (other - one)[of], which[of], along, (length / count)[of])


def sinusoids(nodes: Floats, edges: Ints, kind: Ints) -> Pieces:
    """Return points along the sinusoids; venules have none.

    Parameters
    ----------
    nodes, edges, kind : arrays
        As of `hepatalk.engines.lobule.network.Network`.
    """
    return pieces(nodes, edges, np.flatnonzero(kind == SINUSOID))


def lengths_in_sites(nodes: Floats, edges: Ints, kind: Ints, middle: Floats) -> sparse.csr_array:
    """Return the length of each sinusoid in each site, (n_sites, n_segments), um; venules count nowhere.

    A site that no sinusoid crosses has a piece of the nearest one.

    Parameters
    ----------
    nodes, edges, kind : arrays
        As of `hepatalk.engines.lobule.network.Network`.
    middle : (n_sites, 3) float array
        Middles of the sites, um.
    """
    p = sinusoids(nodes, edges, kind)
    site = cKDTree(middle).query(p.points)[1]
    alone = np.setdiff1d(np.arange(len(middle)), site)
    away = np.asarray(cKDTree(p.points).query(middle[alone])[1], dtype=np.int64)
    rows, columns = np.concatenate([site, alone]), np.concatenate([p.edge, p.edge[away]])
    table = sparse.csr_array(
        (np.concatenate([p.length, p.length[away]]), (rows, columns)), shape=(len(middle), len(edges))
    )
    table.sort_indices()
    return table


def volume(nodes: Floats, edges: Ints, radius: Floats, kind: Ints) -> float:
    """Return the volume of the sinusoids, um^3.

    Parameters
    ----------
    nodes, edges, radius, kind : arrays
        As of `hepatalk.engines.lobule.network.Network`.
    """
    own = kind == SINUSOID
    ends = nodes[edges[own]]
    return float((np.pi * radius[own] ** 2 * np.linalg.norm(ends[:, 1] - ends[:, 0], axis=1)).sum())


def gaps(p: Pieces, edge_radius: Floats, position: Floats, radius: Floats) -> Floats:
    """Return how far the surface of each cell is from the wall of the nearest vessel, um; negative where they overlap.

    Parameters
    ----------
    p : Pieces
    edge_radius : (e,) float array
        um.
    position : (k, 3) float array
        um.
    radius : (k,) float array
        um.
    """
    if len(position) == 0:
        return np.zeros(0)
    distance, nearest = cKDTree(p.points).query(position)
    return np.asarray(distance - edge_radius[p.edge[nearest]] - radius)


@dataclass(frozen=True)
class Avascular:
    """Hepatocytes that touch no vessel.

    Attributes
    ----------
    cell : (k,) int array
        Which of the hepatocytes asked about, in their order.
    cluster : (k,) int array
        Number of the group of neighbours each belongs to.
    size : (c,) int array
        Cells of each group.
    """

    cell: Ints
    cluster: Ints
    size: Ints


def avascular(position: Floats, radius: Floats, gap: Floats, least_gap: float) -> Avascular:
    """Return the hepatocytes that touch no vessel, in groups of neighbours.

    Parameters
    ----------
    position : (n, 3) float array
        Of hepatocytes, um.
    radius : (n,) float array
        um.
    gap : (n,) float array
        To the nearest vessel, from `gaps`.
    least_gap : float
        Cells nearer to a vessel than this touch it, um.
    """
    bare = np.flatnonzero(gap > least_gap)
    if len(bare) == 0:
        return Avascular(bare, bare.copy(), bare.copy())
    r = radius[bare]
    pairs = cKDTree(position[bare]).query_pairs(2.0 * _BESIDE * float(r.max()), output_type="ndarray")
    apart = np.linalg.norm(position[bare[pairs[:, 0]]] - position[bare[pairs[:, 1]]], axis=1)
    pairs = pairs[apart < _BESIDE * (r[pairs[:, 0]] + r[pairs[:, 1]])]
    graph = sparse.coo_array((np.ones(len(pairs)), pairs.T), shape=(len(bare), len(bare)))
    label = connected_components(graph, directed=False)[1].astype(np.int64)
    return Avascular(bare, label, np.bincount(label).astype(np.int64))
