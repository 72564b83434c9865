"""Sites: pieces of tissue of about one size, who touches whom, what blood passes them, and in which zone they lie.

Tissue is sampled by a cubic lattice of points. A site is what lies nearest to its centre (a Voronoi cell), and centres
are moved into the middle of their cells a few times (Lloyd 1982), so that sites are round and alike. Faces between
Voronoi cells are planes: where the lattice steps over one in the three directions c_x, c_y and c_z times, its area is
step^2 sqrt(c_x^2 + c_y^2 + c_z^2).

Depth is a fraction of the time that blood spends in the lobule: time since it came in over that plus the time until it
leaves, both means weighted by flow. Unlike a fraction of the pressure drop it says how much tissue blood has met, and
unlike a distance it follows the blood where sinusoids wind. Zones are thirds of the hepatocytes in its order.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from hepatalk.engines.lobule.anatomy import Anatomy
from hepatalk.engines.lobule.flow import Exchange, Flow, ages, course
from hepatalk.engines.lobule.hexagons import Frame
from hepatalk.engines.lobule.network import Network
from hepatalk.engines.lobule.points import centres
from hepatalk.engines.lobule.vessels import Pieces

__all__ = ["Cloud", "Sites", "divide", "fill", "zones"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_STAGE_SITES = 10
_ROUNDS = 8
_POINTS_PER_HEPATOCYTE = 30


@dataclass(frozen=True)
class Sites:
    """Pieces of lobule.

    Attributes
    ----------
    position : (M, 3) float array
        um.
    volume : (M,) float array
        In health, um^3.
    node : (M,) int array
        The nearest node of the sinusoids.
    start : (M + 1,) int array
        Neighbours of site i stand at ``start[i]:start[i+1]``.
    other : (k,) int array
    area, distance : (k,) float array
        Of the contact, um^2, and of the centres, um; each contact stands twice, once for each side.
    depth : (M,) float array
        0 where blood comes in, 1 where it leaves.
    zone : (M,) int array
        1 periportal to 3 pericentral.
    lobule : (M,) int array
    exchange : Exchange
        Where along the sinusoids each site meets the blood.
    """

    position: Floats
    volume: Floats
    node: Ints
    start: Ints
    other: Ints
    area: Floats
    distance: Floats
    depth: Floats
    zone: Ints
    lobule: Ints
    exchange: Exchange


@dataclass(frozen=True)
class Cloud:
    """A lattice of points that fills the tissue outside the vessels.

    Attributes
    ----------
    points : (m, 3) float array
        um.
    step : (3,) float array
        Of the lattice, um.
    place : (m, 3) int array
        Position in the lattice.
    beside : (m,) int array
        The nearest point of a lining.
    distance : (m,) float array
        To it, um.
    """

    points: Floats
    step: Floats
    place: Ints
    beside: Ints
    distance: Floats


def fill(a: Anatomy, f: Frame, lining: Pieces) -> Cloud:
    """Return points that fill the tissue of all lobules, with what lies beside them."""
    step = (a.tissue_volume / a.hepatocytes / _POINTS_PER_HEPATOCYTE) ** (1.0 / 3.0)
    low, high = f.corner.min(axis=0), f.corner.max(axis=0)
    levels = max(2, round(f.height / step))
    size = np.array([step, step, f.height / levels])
    counts = np.ceil((high - low) / step).astype(np.int64)
    grid = np.meshgrid(np.arange(counts[0]), np.arange(counts[1]), indexing="ij")
    plane = np.column_stack([g.ravel() for g in grid])
    at = low + (plane + 0.5) * step
    inside = (f.to_face(at) > 0.0) & (f.to_vein(at) > a.central_vein_radius) & (f.to_corner(at) > a.portal_tract_radius)
    plane = plane[inside]
    place = np.column_stack([np.tile(plane, (levels, 1)), np.repeat(np.arange(levels), len(plane))])
    points = np.column_stack([low + (place[:, :2] + 0.5) * step, (place[:, 2] + 0.5) * size[2]])
    distance, beside = cKDTree(lining.points).query(points)
    return Cloud(points=points, step=size, place=place, beside=beside, distance=distance)


def divide(a: Anatomy, f: Frame, network: Network, flow: Flow, cloud: Cloud, lining: Pieces, seed: int) -> Sites:
    """Divide the tissue into sites; zones are all 1 until the hepatocytes are placed (`zones`).

    Parameters
    ----------
    a, f : Anatomy, Frame
    network, flow : Network, Flow
        Healthy.
    cloud, lining : Cloud, Pieces
    seed : int

    Returns
    -------
    Sites
    """
    own = f.lobule_of(cloud.points)
    middle = np.concatenate(
        [
            centres(cloud.points[own == k], a.sites, a.tissue_volume / a.sites, seed, _STAGE_SITES + 1000 * k, _ROUNDS)
            for k in range(len(f.centre))
        ]
    )
    lobule = np.repeat(np.arange(len(f.centre)), a.sites)
    nearest = _nearest_own(middle, lobule, cloud.points, own)
    size = np.bincount(nearest, minlength=len(middle))
    start, other, area = _contacts(cloud, nearest, len(middle))
    from_site = np.repeat(np.arange(len(middle)), np.diff(start))
    at_node = _depth(network, flow)
    one, two = at_node[network.edges[lining.edge]].T
    lining_depth = one + lining.along * (two - one)
    depth = np.bincount(nearest, weights=lining_depth[cloud.beside], minlength=len(middle)) / size
    return Sites(
        position=middle,
        volume=size / size.sum() * a.tissue_volume * len(f.centre),
        node=np.asarray(cKDTree(network.nodes).query(middle)[1], dtype=np.int64),
        start=start,
        other=other,
        area=area,
        distance=np.linalg.norm(middle[from_site] - middle[other], axis=1),
        depth=depth,
        zone=np.ones(len(middle), dtype=np.int64),
        lobule=lobule,
        exchange=_exchange(network, flow, lining, middle),
    )


def _nearest_own(middle: Floats, lobule: Ints, points: Floats, own: Ints) -> Ints:
    """Return the nearest site of each point's own lobule: sites end where lobules end."""
    nearest = np.empty(len(points), dtype=np.int64)
    for k in range(int(lobule.max()) + 1):
        here = np.flatnonzero(lobule == k)
        nearest[own == k] = here[cKDTree(middle[here]).query(points[own == k])[1]]
    return nearest


def _depth(network: Network, flow: Flow) -> Floats:
    age, rest = ages(course(network, flow))
    return np.asarray(age / np.maximum(age + rest, np.finfo(float).tiny))


def _contacts(cloud: Cloud, nearest: Ints, n: int) -> tuple[Ints, Ints, Floats]:
    """Return neighbours of each site and the areas of contact."""
    shape = cloud.place.max(axis=0) + 1
    lattice = np.full(shape, -1, dtype=np.int64)
    lattice[tuple(cloud.place.T)] = nearest
    keys, squares = [], []
    for axis in range(3):
        one = np.moveaxis(lattice, axis, 0)[:-1].ravel()
        two = np.moveaxis(lattice, axis, 0)[1:].ravel()
        met = (one >= 0) & (two >= 0) & (one != two)
        key = np.minimum(one, two)[met] * n + np.maximum(one, two)[met]
        face = float(np.prod(np.delete(cloud.step, axis)))
        found, count = np.unique(key, return_counts=True)
        keys.append(found)
        squares.append((count * face) ** 2)
    key, which = np.unique(np.concatenate(keys), return_inverse=True)
    area = np.sqrt(np.bincount(which, weights=np.concatenate(squares), minlength=len(key)))
    i, j = key // n, key % n
    first, second = np.concatenate([i, j]), np.concatenate([j, i])
    order = np.lexsort([second, first])
    start = np.zeros(n + 1, dtype=np.int64)
    start[1:] = np.cumsum(np.bincount(first, minlength=n))
    return start, second[order], np.tile(area, 2)[order]


def _exchange(network: Network, flow: Flow, lining: Pieces, middle: Floats) -> Exchange:
    """Divide the exchange of each site among the nodes beside it, in proportion to the length of sinusoid."""
    n, m = len(network.nodes), len(middle)
    site = cKDTree(middle).query(lining.points)[1]
    # Blood of a piece of sinusoid counts with the node that it flows to: there it has met the tissue of the piece.
    ends = network.edges[lining.edge]
    node = np.where(flow.flow[lining.edge] >= 0.0, ends[:, 1], ends[:, 0])
    alone = np.setdiff1d(np.arange(m), site)
    away = np.asarray(cKDTree(lining.points).query(middle[alone])[1], dtype=np.int64) if len(alone) else alone
    key = np.concatenate([node * m + site, node[away] * m + alone])
    weight = np.concatenate([lining.length, lining.length[away]])
    key, which = np.unique(key, return_inverse=True)
    weight = np.bincount(which, weights=weight, minlength=len(key))
    of_node, of_site = key // m, key % m
    start = np.zeros(n + 1, dtype=np.int64)
    start[1:] = np.cumsum(np.bincount(of_node, minlength=n))
    return Exchange(
        start=start, site=of_site, weight=weight / np.bincount(of_site, weights=weight, minlength=m)[of_site]
    )


def zones(depth: Floats, hepatocytes: Ints) -> Ints:
    """Return the zone (1 to 3) of each site: in the order of depth, thirds of the hepatocytes.

    Parameters
    ----------
    depth : (M,) float array
    hepatocytes : (M,) int array
        In each site.
    """
    order = np.argsort(depth, kind="stable")
    own = hepatocytes[order].astype(float)
    before = np.cumsum(own) - 0.5 * own
    zone = np.empty(len(depth), dtype=np.int64)
    zone[order] = 1 + np.minimum((3.0 * before / own.sum()).astype(np.int64), 2)
    # Every zone has a site, however few there are.
    zone[order[0]], zone[order[-1]] = 1, 3
    if not (zone == 2).any():
        zone[order[len(order) // 2]] = 2
    return zone
