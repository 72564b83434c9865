"""The sinusoids as a graph: branching points, segments, and where blood comes in and leaves.

How it grows
------------
Branching points keep a least distance from each other and fill the space between the vessels; more lie on the walls of
the central veins (where blood leaves), on the portal tracts and on the faces of the hexagons, along which venules bring
portal blood. In mice the sinusoids are, to a good approximation, a part of the Delaunay graph of their branching points
(Karschau et al. 2020, doi 10.1371/journal.pcbi.1007965), so segments are chosen from that graph:

1. each point sends one segment inwards and takes at least one from outside: blood passes everywhere, paths converge;
2. further segments, the shortest and most radial first, join them until as many meet in a point as asked for.
   Two segments that leave a point at a narrow angle would have no room for a cell between them and are not both taken.

Top and bottom of the slab are mirrors: nothing crosses them.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import Delaunay

from hepatalk.engines.lobule import graph_kernels
from hepatalk.engines.lobule.anatomy import Anatomy
from hepatalk.engines.lobule.hexagons import Frame
from hepatalk.engines.lobule.points import draws, keep_apart
from hepatalk.errors import GeometryError

__all__ = ["LONGEST", "SINUSOID", "VENULE", "Network", "grow", "mean_radius"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
#: Kinds of segment.
SINUSOID, VENULE = 0, 1

_STAGE_WALLS, _STAGE_POINTS, _STAGE_HEIGHTS, _STAGE_EDGES, _STAGE_RADII = 1, 2, 3, 4, 5
_TRIES = 40  # candidates per point: beyond, fewer than one in a hundred more find a place
LONGEST = 1.9  # of a segment, in spacings: longer ones of the Delaunay graph run along the rim
_AGAINST_RADIUS = 1.5  # how much dearer a segment across the radius is than one along it
_NARROWEST = np.cos(np.radians(35.0))
_CHANCE = 0.5  # part of the cost that is drawn, so that no lobule is a crystal


@dataclass(frozen=True)
class Network:
    """Sinusoids of all lobules.

    Attributes
    ----------
    nodes : (n, 3) float array
        Branching points, um.
    edges : (e, 2) int array
        Segments; the order of the two ends means nothing.
    length, radius : (e,) float array
        um.
    kind : (e,) int array
        `SINUSOID` or `VENULE`.
    inlets : (i,) int array
        Nodes of the portal veins, all at one pressure.
    outlets : (o,) int array
        Nodes on the central veins, at pressure 0.
    arterial : (a,) int array
        Nodes that arterioles open into.
    """

    nodes: Floats
    edges: Ints
    length: Floats
    radius: Floats
    kind: Ints
    inlets: Ints
    outlets: Ints
    arterial: Ints


@dataclass(frozen=True)
class _Walls:
    """Nodes on vessels and faces, before the tissue is filled: positions, and the venules that join them."""

    nodes: Floats
    venules: Ints
    inlets: Ints
    outlets: Ints
    arterial: Ints
    tracts: Ints


def grow(anatomy: Anatomy, frame: Frame, seed: int) -> Network:
    """Grow the sinusoids of all lobules.

    Parameters
    ----------
    anatomy : Anatomy
    frame : Frame
    seed : int

    Returns
    -------
    Network

    Raises
    ------
    GeometryError
        If the space is too small for a connected network.
    """
    walls = _walls(anatomy, frame, seed)
    nodes = _fill(anatomy, frame, walls, seed)
    pairs, cost = _candidates(anatomy, frame, walls, nodes, seed)
    if len(pairs) == 0:
        raise GeometryError("lobule: no sinusoid fits between portal tracts and central vein; ask for more hepatocytes")
    chosen = _choose(anatomy, frame, walls, nodes, pairs, cost)
    edges = np.concatenate([walls.venules, pairs[chosen]])
    kind = np.repeat([VENULE, SINUSOID], [len(walls.venules), len(chosen)])
    _check_connected(nodes, edges)
    return Network(
        nodes=nodes,
        edges=edges,
        length=np.linalg.norm(nodes[edges[:, 0]] - nodes[edges[:, 1]], axis=1),
        radius=_radii(anatomy, frame, nodes, edges, kind, seed),
        kind=kind,
        inlets=walls.inlets,
        outlets=walls.outlets,
        arterial=walls.arterial,
    )


# ------------------------------------------------------------------------------------------------ branching points


def _walls(a: Anatomy, f: Frame, seed: int) -> _Walls:
    """Place nodes on the veins, the tracts and the faces, level by level."""
    nodes: list[tuple[float, float, float]] = []
    venules: list[tuple[int, int]] = []
    inlets, outlets, arterial, tracts = [], [], [], []
    levels = max(1, round(f.height / a.sinusoid_spacing))
    turn = draws(seed, _STAGE_WALLS, levels * (len(f.centre) + 1))[:, 0]
    for level in range(levels):
        z = (level + 0.5) / levels * f.height
        for lobule, (x, y) in enumerate(f.centre):
            count = max(3, round(2.0 * np.pi * a.central_vein_radius / a.sinusoid_spacing))
            start = turn[level * (len(f.centre) + 1) + lobule]
            for angle in (np.arange(count) + start) / count * 2.0 * np.pi:
                outlets.append(len(nodes))
                r = a.central_vein_radius
                nodes.append((x + r * np.cos(angle), y + r * np.sin(angle), z))
        portal = {}
        for corner, (x, y) in enumerate(f.corner):
            portal[corner] = len(nodes)
            inlets.append(len(nodes))
            nodes.append((x, y, z))
        for lobule, own in enumerate(f.corners):
            for k, corner in enumerate(own):
                for n, angle in enumerate(_sector(a, k)):
                    at = f.corner[corner] + _reach(a) * np.array([np.cos(angle), np.sin(angle)])
                    venules.append((portal[int(corner)], len(nodes)))
                    tracts.append(len(nodes))
                    if n == 0 and (levels == 1 or (level + lobule) % 2 == 0):
                        arterial.append(len(nodes))
                    nodes.append((at[0], at[1], z))
        for one, other in f.face:
            line = _face_line(a, f.corner[one], f.corner[other])
            chain = [portal[int(one)], *range(len(nodes), len(nodes) + len(line)), portal[int(other)]]
            nodes.extend((x, y, z) for x, y in line)
            venules.extend(pairwise(chain))
    return _Walls(
        nodes=np.array(nodes),
        venules=np.array(venules, dtype=np.int64).reshape(-1, 2),
        inlets=np.array(inlets, dtype=np.int64),
        outlets=np.array(outlets, dtype=np.int64),
        arterial=np.array(arterial, dtype=np.int64),
        tracts=np.array(tracts, dtype=np.int64),
    )


def _reach(a: Anatomy) -> float:
    """Distance of the nodes around a tract from its middle: on its wall, but never at the portal vein itself."""
    return max(a.portal_tract_radius, 0.3 * a.sinusoid_spacing)


def _sector(a: Anatomy, k: int) -> Floats:
    """Angles at which sinusoids leave a tract into the lobule of which it is corner ``k``."""
    count = max(1, round(2.0 / 3.0 * np.pi * _reach(a) / a.sinusoid_spacing))
    middle = np.radians(60.0 * k + 180.0)
    return np.asarray(middle + ((np.arange(count) + 0.5) / count - 0.5) * 2.0 / 3.0 * np.pi)


def _face_line(a: Anatomy, one: Floats, other: Floats) -> Floats:
    """Points of a venule along a face, from tract to tract."""
    length = float(np.linalg.norm(other - one))
    count = max(1, round((length - 2.0 * _reach(a)) / a.sinusoid_spacing))
    at = (_reach(a) + (np.arange(count) + 0.5) / count * (length - 2.0 * _reach(a))) / length
    return np.asarray(one + at[:, None] * (other - one))


def _fill(a: Anatomy, f: Frame, walls: _Walls, seed: int) -> Floats:
    """Fill the tissue with branching points that keep their distance from each other and from the walls."""
    volume = a.tissue_area * f.height * len(f.centre)
    n = int(_TRIES * volume / a.sinusoid_spacing**3) + _TRIES
    low, high = f.corner.min(axis=0), f.corner.max(axis=0)
    box = float(np.prod(high - low)) * f.height
    tries = int(n * box / volume)
    plane, third = draws(seed, _STAGE_POINTS, tries), draws(seed, _STAGE_HEIGHTS, tries)[:, :1]
    points = np.hstack([low + plane * (high - low), third * f.height])
    room = 0.55 * a.sinusoid_spacing
    inside = (
        (f.to_face(points) > room)
        & (f.to_vein(points) > a.central_vein_radius + room)
        & (f.to_corner(points) > _reach(a) + room)
    )
    every = np.concatenate([walls.nodes, points[inside]])
    return np.asarray(every[keep_apart(every, len(walls.nodes), 0.85 * a.sinusoid_spacing)])


# ------------------------------------------------------------------------------------------------------------- segments


def _candidates(a: Anatomy, f: Frame, walls: _Walls, nodes: Floats, seed: int) -> tuple[Ints, Floats]:
    """Return the pairs of nodes that a segment may join, and the cost of each: short and radial is cheap."""
    usable = np.setdiff1d(np.arange(len(nodes)), walls.inlets)
    # A slab of one layer of points has no tetrahedra; four points far above close them.
    cap = np.array([[x, y, 40.0 * f.radius] for x, y in (f.corner.min(axis=0), f.corner.max(axis=0))])
    corners = Delaunay(np.concatenate([nodes[usable], cap]), qhull_options="QJ Pp").simplices
    pairs = np.concatenate([corners[:, [i, j]] for i in range(4) for j in range(i + 1, 4)])
    pairs = np.unique(np.sort(pairs[(pairs < len(usable)).all(axis=1)], axis=1), axis=0)
    pairs = usable[pairs]
    along = nodes[pairs[:, 1]] - nodes[pairs[:, 0]]
    length = np.linalg.norm(along, axis=1)
    middle = 0.5 * (nodes[pairs[:, 0]] + nodes[pairs[:, 1]])
    wall = np.zeros(len(nodes), dtype=bool)
    wall[: len(walls.nodes)] = True
    role = np.zeros(len(nodes), dtype=np.int64)
    role[walls.outlets], role[walls.tracts] = 1, 2
    both_walls = wall[pairs].all(axis=1)
    same_vessel = (role[pairs[:, 0]] == 1) & (role[pairs[:, 1]] == 1)
    kept = (
        (length < LONGEST * a.sinusoid_spacing)
        & ~same_vessel
        & ~(both_walls & (role[pairs] != 1).all(axis=1))
        & (f.to_vein(middle) > 0.97 * a.central_vein_radius)
        & (f.to_corner(middle) > 0.9 * a.portal_tract_radius)
        & (f.to_face(middle) > -1e-6 * f.radius)
    )
    pairs, along, length, middle = pairs[kept], along[kept], length[kept], middle[kept]
    radial = f.centre[f.lobule_of(middle)] - middle[:, :2]
    radial /= np.maximum(np.linalg.norm(radial, axis=1), 1e-9)[:, None]
    cosine = (along[:, :2] * radial).sum(axis=1) / length
    chance = 1.0 + _CHANCE * (draws(seed, _STAGE_EDGES, len(pairs))[:, 0] - 0.5)
    cost = length / a.sinusoid_spacing * (1.0 + _AGAINST_RADIUS * (1.0 - cosine**2)) * chance
    return pairs, cost


def _choose(a: Anatomy, f: Frame, walls: _Walls, nodes: Floats, pairs: Ints, cost: Floats) -> Ints:
    """Return the positions of the candidates that become segments."""
    depth = f.to_vein(nodes)
    middle = 0.5 * (nodes[pairs[:, 0]] + nodes[pairs[:, 1]])
    lobule = f.lobule_of(middle)
    # A face belongs to two lobules, so that its nodes are as far from one vein as from the other.
    swap = depth[pairs[:, 0]] < depth[pairs[:, 1]]
    outer, inner = np.where(swap, pairs[:, 1], pairs[:, 0]), np.where(swap, pairs[:, 0], pairs[:, 1])
    drop = depth[outer] - depth[inner]
    steep = drop > 0.25 * a.sinusoid_spacing
    score = np.where(steep, cost, np.inf)
    taken = np.zeros(len(pairs), dtype=bool)
    taken[_cheapest(outer * len(f.centre) + lobule, score)] = True
    fed = np.zeros(len(nodes), dtype=bool)
    fed[inner[taken]] = True
    fed[: len(walls.nodes)] = True
    fed[walls.outlets] = False
    score[fed[inner]] = np.inf
    taken[_cheapest(inner, score)] = True
    joined = np.concatenate([walls.venules, pairs[taken]])
    order = np.argsort(cost, kind="stable")
    order = order[~taken[order]]
    graph = coo_array((np.ones(len(joined)), joined.T), shape=(len(nodes), len(nodes)))
    label = connected_components(graph, directed=False)[1].astype(np.int64)
    wanted = round(0.5 * a.sinusoid_branching * len(nodes)) - len(joined)
    more = graph_kernels.add_segments(nodes, joined, pairs[order], label, max(wanted, 0), _NARROWEST)
    taken[order[more]] = True
    return np.flatnonzero(taken)


def _cheapest(key: Ints, score: Floats) -> Ints:
    """Return the position of the least finite score of each key."""
    order = np.lexsort([score, key])
    first = np.ones(len(order), dtype=bool)
    first[1:] = key[order[1:]] != key[order[:-1]]
    best = order[first]
    return np.asarray(best[np.isfinite(score[best])])


def mean_radius(a: Anatomy, f: Frame, points: Floats) -> Floats:
    """Return the healthy radius of sinusoids at points (n, 3), um: they widen towards the central vein."""
    inner, outer = a.central_vein_radius, f.radius * np.sqrt(0.75)
    depth = np.clip((outer - f.to_vein(points)) / (outer - inner), 0.0, 1.0)
    # Linear in the distance from the face, with the ratio asked for and the mean over a line from face to vein.
    portal = 2.0 / (1.0 + a.sinusoid_widening)
    return np.asarray(a.sinusoid_radius * (portal * (1.0 + (a.sinusoid_widening - 1.0) * depth)))


def _radii(a: Anatomy, f: Frame, nodes: Floats, edges: Ints, kind: Ints, seed: int) -> Floats:
    """Return radii: sinusoids widen towards the vein and vary by chance, venules narrow away from the tract."""
    middle = 0.5 * (nodes[edges[:, 0]] + nodes[edges[:, 1]])
    u = draws(seed, _STAGE_RADII, len(edges))
    normal = np.sqrt(-2.0 * np.log1p(-u[:, 0])) * np.cos(2.0 * np.pi * u[:, 1])
    chance = np.exp(a.sinusoid_spread * np.clip(normal, -2.5, 2.5) - 0.5 * a.sinusoid_spread**2)
    sinusoid = mean_radius(a, f, middle) * chance
    along = np.clip(f.to_corner(middle) / (0.5 * f.radius), 0.0, 1.0)
    venule = a.venule_radius + along * (a.sinusoid_radius - a.venule_radius)
    return np.asarray(np.where(kind == VENULE, np.maximum(venule, a.sinusoid_radius), sinusoid))


def _check_connected(nodes: Floats, edges: Ints) -> None:
    parts, label = connected_components(
        coo_array((np.ones(len(edges)), edges.T), shape=(len(nodes), len(nodes))), directed=False
    )
    if parts > 1:
        lone = int(np.flatnonzero(label != label[0])[0])
        x, y, z = nodes[lone]
        raise GeometryError(
            f"lobule: node {lone} at ({x:.0f}, {y:.0f}, {z:.0f}) um joins no other part of the sinusoids; "
            "ask for more hepatocytes or a closer sinusoid_spacing"
        )
