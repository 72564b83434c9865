"""Healthy cells in their places.

Hepatocytes stand in plates between sinusoids, each in the middle of its share of the tissue; LSECs lie on the wall of
the sinusoids; HSCs in the space of Disse where sinusoids branch, so that each touches several; KCs inside sinusoids, by
chance but apart from each other; BECs around a duct in each corner's part of a portal tract; BIPs at the rim of the
tracts, where canals of Hering end. The numbers in each zone are the model's; within a zone cells are spread evenly
along what they line.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from hepatalk.engines.lobule.anatomy import TYPES, Anatomy
from hepatalk.engines.lobule.hexagons import Frame
from hepatalk.engines.lobule.network import SINUSOID, Network
from hepatalk.engines.lobule.points import centres, draws, even_sample, keep_apart, quotas
from hepatalk.engines.lobule.sites import Cloud, Sites
from hepatalk.engines.lobule.vessels import Pieces

__all__ = ["Cells", "Ducts", "ducts", "hepatocytes", "place"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_STAGE_HEPATOCYTES, _STAGE_LINING, _STAGE_DISSE, _STAGE_LUMEN, _STAGE_DUCT, _STAGE_HERING = 20, 21, 22, 23, 24, 25
_ROUNDS = 6
_PRESSED = 0.7  # part of its radius by which a hepatocyte beside a sinusoid stays away from it


@dataclass(frozen=True)
class Cells:
    """Cells as columns.

    Attributes
    ----------
    type : (n,) int array
        Position in `hepatalk.engines.lobule.anatomy.TYPES`.
    position : (n, 3) float array
        um.
    diameter : (n,) float array
        um.
    site : (n,) int array
    edge : (n,) int array
        The segment of sinusoid that a cell lines, wraps or sits in, or that is nearest to it; -1 for BECs.
    lobule : (n,) int array
    """

    type: Ints
    position: Floats
    diameter: Floats
    site: Ints
    edge: Ints
    lobule: Ints


@dataclass(frozen=True)
class Ducts:
    """Bile ducts, one in each lobule's part of each portal tract.

    Attributes
    ----------
    position : (d, 2) float array
        um.
    lobule : (d,) int array
    radius : float
        Of the ring on which the BECs stand, um.
    outwards : (d,) float array
        Angle towards the lobule, radians.
    """

    position: Floats
    lobule: Ints
    radius: float
    outwards: Floats


def hepatocytes(a: Anatomy, f: Frame, network: Network, cloud: Cloud, lining: Pieces, seed: int) -> tuple[Floats, Ints]:
    """Return the positions of all hepatocytes and the segment nearest to each.

    Parameters
    ----------
    a, f : Anatomy, Frame
    network : Network
    cloud, lining : Cloud, Pieces
    seed : int
    """
    outside = cloud.distance > network.radius[lining.edge[cloud.beside]]
    own = f.lobule_of(cloud.points)
    share = a.tissue_volume / a.hepatocytes
    found = []
    for k in range(len(f.centre)):
        here = cloud.points[outside & (own == k)]
        if len(here) < a.hepatocytes:
            here = cloud.points[own == k]
        found.append(centres(here, a.hepatocytes, share, seed, _STAGE_HEPATOCYTES + 1000 * k, _ROUNDS))
    points = np.concatenate(found)
    distance, beside = cKDTree(lining.points).query(points)
    edge = lining.edge[beside]
    least = network.radius[edge] + _PRESSED * 0.5 * a.hepatocyte_diameter
    away = points - lining.points[beside]
    pushed = lining.points[beside] + away / np.maximum(distance, 1e-9)[:, None] * np.maximum(least, distance)[:, None]
    pushed[:, 2] = np.clip(pushed[:, 2], 0.0, f.height)
    ok = (
        (f.to_face(pushed) > 0.0)
        & (f.to_vein(pushed) > a.central_vein_radius)
        & (f.to_corner(pushed) > a.portal_tract_radius)
        & (f.lobule_of(pushed) == f.lobule_of(points))
    )
    points[ok] = pushed[ok]
    return points, edge


def ducts(a: Anatomy, f: Frame) -> Ducts:
    """Return the bile ducts: a sixth of a lobule's BECs on each."""
    angle = np.radians(60.0 * np.arange(6) + 180.0)
    diameter = a.cell_diameter["BEC"]
    rows = max(1.0, f.height / diameter)
    around = max(3.0, a.count("BEC") / 6.0 / rows)
    radius = min(around * diameter / (2.0 * np.pi), 0.4 * a.portal_tract_radius)
    away = max(0.5 * (a.portal_vein_radius + a.portal_tract_radius), 0.0)
    middle = [f.corner[own] + away * np.column_stack([np.cos(angle), np.sin(angle)]) for own in f.corners]
    return Ducts(
        position=np.concatenate(middle),
        lobule=np.repeat(np.arange(len(f.centre)), 6),
        radius=radius,
        outwards=np.tile(angle, len(f.centre)),
    )


@dataclass
class _Placing:
    """What the placing of each type needs."""

    a: Anatomy
    f: Frame
    network: Network
    lining: Pieces
    sites: Sites
    seed: int
    at: Ints  # site of each point of the lining


def place(
    a: Anatomy, f: Frame, network: Network, lining: Pieces, sites: Sites, liver: tuple[Floats, Ints, Ints], seed: int
) -> Cells:
    """Place all cells.

    Parameters
    ----------
    a, f : Anatomy, Frame
    network, lining : Network, Pieces
    sites : Sites
        With their zones.
    liver : tuple
        Positions, nearest segments and sites of the hepatocytes.
    seed : int

    Returns
    -------
    Cells
        Type by type in the order of `TYPES`.
    """
    task = _Placing(a, f, network, lining, sites, seed, np.asarray(cKDTree(sites.position).query(lining.points)[1]))
    parts = {
        "HEP": liver,
        "LSEC": _on_wall(task),
        "HSC": _in_disse(task),
        "KC": _in_lumen(task),
        "BEC": _around_ducts(task),
        "BIP": _at_canals(task, liver),
    }
    sizes = [len(parts[cell][0]) for cell in TYPES]
    diameter = np.array([a.cell_diameter[cell] for cell in TYPES])
    site = np.concatenate([parts[cell][2] for cell in TYPES]).astype(np.int64)
    position = np.concatenate([parts[cell][0] for cell in TYPES])
    position = _inside(f, position, sites.lobule[site])
    return Cells(
        type=np.repeat(np.arange(len(TYPES)), sizes),
        position=position,
        diameter=np.repeat(diameter, sizes),
        site=site,
        edge=np.concatenate([parts[cell][1] for cell in TYPES]).astype(np.int64),
        lobule=sites.lobule[site],
    )


def _inside(f: Frame, position: Floats, lobule: Ints) -> Floats:
    """Return the positions, those beyond a face, the bottom or the top of their own lobule moved onto it."""
    position = position.copy()
    position[:, 2] = np.clip(position[:, 2], 0.0, f.height)
    for inward in f.inward:
        beyond = f.radius * np.sqrt(0.75) + (position[:, :2] - f.centre[lobule]) @ inward
        position[:, :2] -= np.minimum(beyond, 0.0)[:, None] * inward
    return position


def _spread(t: _Placing, cell: str, site: Ints, weight: Floats, stage: int) -> Ints:
    """Return which of the places a type's cells take: the zones' numbers exactly, sites in turn, even within each."""
    chosen = []
    numbers = quotas(t.a.count(cell) * t.a.lobules, np.array(t.a.zone_share[cell]))
    start = draws(t.seed, stage, 3)[:, 0]
    for zone in (1, 2, 3):
        here = np.flatnonzero((t.sites.zone[site] == zone) & (weight > 0.0))
        if len(here) == 0:  # a miniature whose zone has no such place
            here = np.flatnonzero(weight > 0.0)
        here = here[np.argsort(site[here], kind="stable")]
        chosen.append(here[even_sample(weight[here], int(numbers[zone - 1]), float(start[zone - 1]))])
    return np.concatenate(chosen)


def _at_random(t: _Placing, cell: str, gap: float, stage: int) -> Ints:
    """Return which points along sinusoids a type's cells take: the zones' numbers exactly, each place by chance.

    Cells keep a distance as long as there is room for it.
    """
    numbers = quotas(t.a.count(cell) * t.a.lobules, np.array(t.a.zone_share[cell]))
    rank = draws(t.seed, stage, len(t.at))[:, 0]
    chosen = np.zeros(0, dtype=np.int64)
    for zone, n in zip((1, 2, 3), numbers.tolist(), strict=True):
        here = np.flatnonzero(t.sites.zone[t.at] == zone)
        here = np.setdiff1d(here if len(here) else np.arange(len(t.at)), chosen)
        tried = np.concatenate([chosen, here[np.argsort(rank[here], kind="stable")]])
        kept = keep_apart(t.lining.points[tried], len(chosen), gap)[len(chosen) :]
        crowded = np.setdiff1d(np.arange(len(chosen), len(tried)), kept)
        more = np.concatenate([kept, crowded])[:n]
        chosen = np.concatenate([chosen, tried[more]])
    return chosen


def _frame_of(t: _Placing, edge: Ints) -> tuple[Floats, Floats]:
    """Return two unit vectors at right angles to each segment and to each other."""
    ends = t.network.edges[edge]
    along = t.network.nodes[ends[:, 1]] - t.network.nodes[ends[:, 0]]
    along /= np.linalg.norm(along, axis=1)[:, None]
    helper = np.where(np.abs(along[:, 2:]) < 0.9, [[0.0, 0.0, 1.0]], [[1.0, 0.0, 0.0]])
    first = np.cross(along, helper)
    first /= np.linalg.norm(first, axis=1)[:, None]
    return first, np.cross(along, first)


def _on_wall(t: _Placing) -> tuple[Floats, Ints, Ints]:
    chosen = _spread(t, "LSEC", t.at, t.lining.length, _STAGE_LINING)
    edge = t.lining.edge[chosen]
    angle = 2.0 * np.pi * draws(t.seed, _STAGE_LINING + 100, len(chosen))[:, :1]
    first, second = _frame_of(t, edge)
    wall = t.network.radius[edge][:, None]
    return t.lining.points[chosen] + wall * (np.cos(angle) * first + np.sin(angle) * second), edge, t.at[chosen]


def _in_lumen(t: _Placing) -> tuple[Floats, Ints, Ints]:
    chosen = _at_random(t, "KC", t.a.kc_spacing, _STAGE_LUMEN)
    edge = t.lining.edge[chosen]
    u = draws(t.seed, _STAGE_LUMEN + 100, len(chosen))
    angle, part = 2.0 * np.pi * u[:, :1], 0.5 * np.sqrt(u[:, 1:])
    first, second = _frame_of(t, edge)
    inside = part * t.network.radius[edge][:, None]
    return t.lining.points[chosen] + inside * (np.cos(angle) * first + np.sin(angle) * second), edge, t.at[chosen]


def _in_disse(t: _Placing) -> tuple[Floats, Ints, Ints]:
    """Beside branching points: away from the segments that meet there, at the wall."""
    network = t.network
    n = len(network.nodes)
    sinusoids = np.flatnonzero(network.kind == SINUSOID)
    ends = network.edges[sinusoids]
    degree = np.bincount(ends.ravel(), minlength=n)
    branching = np.flatnonzero(degree >= 3)
    if len(branching) == 0:
        branching = np.flatnonzero(degree >= 1)
    site = np.asarray(cKDTree(t.sites.position).query(network.nodes[branching])[1])
    weight = np.ones(len(branching))
    node = branching[_spread(t, "HSC", site, weight, _STAGE_DISSE)]
    along = network.nodes[ends[:, 1]] - network.nodes[ends[:, 0]]
    along /= np.linalg.norm(along, axis=1)[:, None]
    pull = np.zeros((n, 3))
    np.add.at(pull, ends[:, 0], along)
    np.add.at(pull, ends[:, 1], -along)
    first = np.full(n, -1, dtype=np.int64)
    first[ends[::-1, 1]] = sinusoids[::-1]
    first[ends[::-1, 0]] = sinusoids[::-1]
    u = draws(t.seed, _STAGE_DISSE + 100, len(node))
    z, angle = 2.0 * u[:, 0] - 1.0, 2.0 * np.pi * u[:, 1]
    chance = np.column_stack([np.sqrt(1.0 - z**2) * np.cos(angle), np.sqrt(1.0 - z**2) * np.sin(angle), z])
    away = 0.4 * chance - pull[node]
    away /= np.linalg.norm(away, axis=1)[:, None]
    gap = network.radius[first[node]] + 0.25 * t.a.cell_diameter["HSC"]
    position = network.nodes[node] + gap[:, None] * away
    return position, first[node], np.asarray(cKDTree(t.sites.position).query(network.nodes[node])[1])


def _around_ducts(t: _Placing) -> tuple[Floats, Ints, Ints]:
    """Rings of cells around the ducts, row above row; a cell belongs to the nearest periportal site of its lobule."""
    d = ducts(t.a, t.f)
    numbers = quotas(t.a.count("BEC") * t.a.lobules, np.ones(len(d.position)))
    around = max(3, round(2.0 * np.pi * d.radius / t.a.cell_diameter["BEC"]))
    found, own = [], []
    for k, n in enumerate(numbers):
        index = np.arange(n)
        rows = max(1, -(-int(n) // around))
        angle = 2.0 * np.pi * (index % around + 0.5 * (index // around % 2)) / around
        z = (index // around + 0.5) / rows * t.f.height
        x, y = d.position[k]
        found.append(np.column_stack([x + d.radius * np.cos(angle), y + d.radius * np.sin(angle), z]))
        own.append(np.full(n, d.lobule[k]))
    position, lobule = np.concatenate(found), np.concatenate(own)
    return position, np.full(len(position), -1, dtype=np.int64), _periportal(t, position, lobule)


def _periportal(t: _Placing, position: Floats, lobule: Ints) -> Ints:
    site = np.empty(len(position), dtype=np.int64)
    for k in np.unique(lobule):
        here = np.flatnonzero((t.sites.zone == 1) & (t.sites.lobule == k))
        if len(here) == 0:
            here = np.flatnonzero(t.sites.zone == 1)
        site[lobule == k] = here[cKDTree(t.sites.position[here]).query(position[lobule == k])[1]]
    return site


def _at_canals(t: _Placing, liver: tuple[Floats, Ints, Ints]) -> tuple[Floats, Ints, Ints]:
    """At the rim of the tracts in zone 1; the few elsewhere stand beside hepatocytes."""
    numbers = quotas(t.a.count("BIP") * t.a.lobules, np.array(t.a.zone_share["BIP"]))
    d = ducts(t.a, t.f)
    u = draws(t.seed, _STAGE_HERING, int(numbers.sum()))
    n = int(numbers[0])
    of_duct = even_sample(np.ones(len(d.position)), n, 0.5) if n else np.zeros(0, dtype=np.int64)
    corner = t.f.corner[t.f.corners.ravel()[of_duct]]
    angle = d.outwards[of_duct] + (u[:n, 0] - 0.5) * np.radians(70.0)
    reach = t.a.portal_tract_radius + 0.5 * t.a.cell_diameter["BIP"]
    rim = corner + reach * np.column_stack([np.cos(angle), np.sin(angle)])
    position, site = [np.column_stack([rim, u[:n, 1] * t.f.height])], [np.zeros(0, dtype=np.int64)]
    site.append(_periportal(t, position[0], d.lobule[of_duct]))
    hepatocyte, _, at = liver
    first = n
    for zone in (2, 3):
        more = int(numbers[zone - 1])
        here = np.flatnonzero(t.sites.zone[at] == zone)
        chosen = here[(u[first : first + more, 0] * len(here)).astype(np.int64)]
        position.append(hepatocyte[chosen] + 0.5 * (t.a.hepatocyte_diameter) * np.array([0.0, 0.0, 0.5]))
        site.append(at[chosen])
        first += more
    every = np.concatenate(position)
    near = cKDTree(t.lining.points).query(every)[1] if len(every) else np.zeros(0, dtype=np.int64)
    return every, t.lining.edge[near], np.concatenate(site)
