"""How the network of sinusoids grows and shrinks: sprouts into groups of hepatocytes without a vessel, and regression.

Endothelium is conserved. In health a neighbourhood has so much sinusoid per LSEC. When the LSECs of a zone can line
clearly more than there is, those of the neighbourhoods in excess cross the groups of hepatocytes that touch no vessel,
from one vessel to another, until the healthy length for each LSEC is met. How many LSECs there are, and when, is the
model's; here they get a place. Where nothing is without a vessel, LSECs in excess line what there is; where LSECs are
too few, those that are left stretch, and far below the healthy lining vessels without endothelium close, as long as
every branching point keeps its way from portal to central vein. Between the two nothing happens: chance in the turnover
of a healthy lobule makes and breaks no vessel.

A sprout takes time: its tip advances at a given speed, and blood finds it when its whole length is grown. Until then it
is no part of the network (`hepatalk.engines.lobule.endothelium` keeps it). It is two segments that meet in a new
branching point in the middle of the group. They begin at the nearest points of vessels on both sides, at a branching
point if one is near. Short and radial ones are preferred, as in the healthy network
(`hepatalk.engines.lobule.network`), and two segments never leave a point at a narrow angle.

Nothing is drawn: hepatocytes farthest from a vessel come first, and ties go by number.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from hepatalk.engines.lobule.network import SINUSOID, VENULE, Network
from hepatalk.engines.lobule.vessels import Avascular, avascular, gaps, pieces, sinusoids

__all__ = ["LEGS", "Budget", "Rules", "Sprout", "join", "regress", "sprout"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

#: Narrower than this (its cosine) two segments have no room for a cell between them: as for the healthy network.
_NARROWEST = float(np.cos(np.radians(35.0)))
#: A sprout goes across its group and does not turn back: cosine of the least angle at its middle.
_ACROSS = float(np.cos(np.radians(100.0)))
#: How much dearer a way across the radius is than one along it: as for the healthy network.
_AGAINST_RADIUS = 1.5
#: The two segments of a sprout.
LEGS = np.array([[0, 1], [1, 2]])
#: A sprout has this many vessels within reach to choose its two ends from, the nearest ones.
_MOST_ENDS = 12


@dataclass(frozen=True)
class Rules:
    """What a sprout needs.

    Attributes
    ----------
    least_gap : float
        Hepatocytes nearer to a vessel than this touch it, um.
    least_group : int
        Hepatocytes that stand together without a vessel, below which no sprout comes.
    sprout_lining : float
        LSECs per length of sinusoid in the zone, relative to health, from which they sprout: until health is met.
    least_lining : float
        LSECs per length of sinusoid, relative to health, below which vessels close.
    reach : float
        The longest segment, um.
    near_node : float
        A sprout that would begin nearer to a branching point begins there, um.
    """

    least_gap: float
    least_group: int
    sprout_lining: float
    least_lining: float
    reach: float
    near_node: float


@dataclass(frozen=True)
class Budget:
    """How much sinusoid the LSECs of each neighbourhood can line.

    Attributes
    ----------
    middle : (n_sites, 3) float array
        um.
    beside : (n_sites, n_sites) sparse array
        1 where a site belongs to the neighbourhood of another, itself included.
    sustained : (n_sites,) float array
        Length that the LSECs of the neighbourhood line in health, um.
    zone : (n_sites,) int array
        From 0.
    in_zone : (n_zones,) float array
        Length that the LSECs of each zone line in health, um.
    length : (n_sites,) float array
        Sinusoids of each site now, um; changed in place.
    """

    middle: Floats
    beside: sparse.csr_array
    sustained: Floats
    zone: Ints
    in_zone: Floats
    length: Floats

    def _zones(self) -> Floats:
        return np.asarray(np.bincount(self.zone, weights=self.length, minlength=len(self.in_zone)))

    def left(self) -> Floats:
        """Return the length that LSECs could line in addition, of the neighbourhood and of the zone, (n_sites,), um."""
        zone = (self.in_zone - self._zones())[self.zone]
        return np.asarray(np.minimum(self.sustained - self.beside @ self.length, zone))

    def crowded(self, least: float) -> npt.NDArray[np.bool_]:
        """Return where the zone has so many LSECs per length of sinusoid, relative to health, (n_sites,)."""
        return np.asarray(self.in_zone >= least * self._zones())[self.zone]

    def lining(self) -> Floats:
        """Return LSECs per length of sinusoid in each neighbourhood relative to health, (n_sites,)."""
        return np.asarray(self.sustained / np.maximum(self.beside @ self.length, 1e-9))

    def add(self, nodes: Floats, edges: Ints, sign: float) -> None:
        """Count the segments in, or out with -1."""
        p = pieces(nodes, edges)
        np.add.at(self.length, cKDTree(self.middle).query(p.points)[1], sign * p.length)


@dataclass(frozen=True)
class Sprout:
    """A new vessel.

    Attributes
    ----------
    line : (3, 3) float array
        Where it begins, its middle, and where it ends, um.
    length : float
        um.
    """

    line: Floats
    length: float


@dataclass
class _Growing:
    """A network to which segments are added; positions are those of the enlarged lobule."""

    nodes: list[Floats]
    edges: list[tuple[int, int]]
    radius: list[float]
    kind: list[int]
    split: set[int]
    ends: dict[int, list[int]]

    @classmethod
    def of(cls, network: Network) -> _Growing:
        """Return a network that can grow."""
        edges = [(int(a), int(b)) for a, b in network.edges]
        ends: dict[int, list[int]] = {}
        for k, pair in enumerate(edges):
            for node in pair:
                ends.setdefault(node, []).append(k)
        kind = [int(k) for k in network.kind]
        return cls(list(network.nodes), edges, [float(r) for r in network.radius], kind, set(), ends)

    def add(self, one: int, other: int, radius: float, kind: int) -> None:
        """Add a segment."""
        for node in (one, other):
            self.ends.setdefault(node, []).append(len(self.edges))
        self.edges.append((one, other))
        self.radius.append(radius)
        self.kind.append(kind)

    def divide(self, edge: int, at: Floats) -> int:
        """Divide a segment at a point and return the new node."""
        node = len(self.nodes)
        self.nodes.append(at)
        one, other = self.edges[edge]
        self.edges[edge] = (one, node)
        self.ends[node] = [edge]
        self.ends[other].remove(edge)
        self.add(node, other, self.radius[edge], self.kind[edge])
        self.split.add(edge)
        return node

    def directions(self, node: int) -> Floats:
        """Return unit vectors along the segments that leave a node, (k, 3)."""
        away = [sum(self.edges[k]) - node for k in self.ends[node]]
        along = np.array([self.nodes[k] for k in away]) - self.nodes[node]
        unit: Floats = along / np.maximum(np.linalg.norm(along, axis=1), 1e-12)[:, None]
        return unit

    def network(self, before: Network) -> Network:
        """Return the network as it has become."""
        nodes, edges = np.array(self.nodes), np.array(self.edges, dtype=np.int64)
        return replace(
            before,
            nodes=nodes,
            edges=edges,
            length=np.linalg.norm(nodes[edges[:, 0]] - nodes[edges[:, 1]], axis=1),
            radius=np.array(self.radius),
            kind=np.array(self.kind, dtype=np.int64),
        )


@dataclass(frozen=True)
class _End:
    """Where a sprout may begin: at a node, or on a segment that is divided there."""

    at: Floats
    node: int
    edge: int
    along: Floats


def sprout(
    network: Network,
    hepatocytes: Floats,
    radius: Floats,
    budget: Budget,
    rules: Rules,
    *,
    inwards: Callable[[Floats], Floats],
    wide: Callable[[Floats], float],
    begun: Sequence[Floats] = (),
) -> tuple[Network, list[Sprout]]:
    """Return the network as it will be with the sprouts that its LSECs can line, and the new ones of these.

    Parameters
    ----------
    network : Network
        As it is now, in the coordinates of the enlarged lobule.
    hepatocytes : (n, 3) float array
        um.
    radius : (n,) float array
        Of the hepatocytes, um.
    budget : Budget
        Changed in place.
    rules : Rules
    inwards : callable
        Unit vector (2,) from a point towards the central vein of its lobule.
    wide : callable
        Healthy radius of a sinusoid at a point, um.
    begun : sequence of (3, 3) float array
        Sprouts that are on their way: lines as of `Sprout`. They have their endothelium and need no second one.
    """
    for line in begun:
        budget.add(line, LEGS, 1.0)
    able = budget.crowded(rules.sprout_lining)
    if not able.any():
        return network, []
    gap = gaps(pieces(network.nodes, network.edges), network.radius, hepatocytes, radius)
    g = _Growing.of(network)
    for line in begun:
        gap = np.minimum(gap, _gaps_to(line, wide, hepatocytes, radius))
        _meet(g, network, line, rules, inwards, wide)
    found: list[Sprout] = []
    own_ways = sinusoids(network.nodes, network.edges, network.kind)
    tree = cKDTree(own_ways.points)
    site = cKDTree(budget.middle).query(hepatocytes)[1] if len(hepatocytes) else np.zeros(0, dtype=np.int64)
    refused = ~able[site]
    bare = avascular(hepatocytes, radius, gap, rules.least_gap)
    while True:
        room = budget.left()[site]
        # No sprout through the middle of a cell is shorter than twice its way to a vessel.
        chosen = _farthest(bare, gap, refused | (room < 2.0 * (gap + radius)), rules)
        if chosen < 0:
            break
        middle = _middle(chosen, bare, hepatocytes, radius)
        ends = _ends(g, network, own_ways.edge[_within(tree, middle, rules.reach)], middle, rules)
        pair = _pair(ends, middle, inwards(middle), float(room[chosen]))
        refused[chosen] = True
        if pair is None:
            continue
        line = np.array([pair[0].at, middle, pair[1].at])
        _join(g, pair, middle, wide)
        budget.add(line, LEGS, 1.0)
        found.append(Sprout(line, float(np.linalg.norm(np.diff(line, axis=0), axis=1).sum())))
        gap = np.minimum(gap, _gaps_to(line, wide, hepatocytes, radius))
        bare = avascular(hepatocytes, radius, gap, rules.least_gap)
    return (g.network(network), found) if found else (network, found)


def join(
    network: Network,
    lines: Sequence[Floats],
    rules: Rules,
    *,
    inwards: Callable[[Floats], Floats],
    wide: Callable[[Floats], float],
) -> tuple[Network, list[Sprout]]:
    """Return the network with sprouts that have met a vessel at both ends, and these.

    The vessels from which a sprout began may have changed while it grew; then it joins the nearest ones that it finds
    room at. One that finds none withers.

    Parameters
    ----------
    network : Network
        As it is now, in the coordinates of the enlarged lobule.
    lines : sequence of (3, 3) float array
        As of `Sprout`.
    rules, inwards, wide
        As for `sprout`.
    """
    g, met = _Growing.of(network), []
    for line in lines:
        new = _meet(g, network, line, rules, inwards, wide)
        if new is not None:
            met.append(Sprout(new, float(np.linalg.norm(np.diff(new, axis=0), axis=1).sum())))
    return (g.network(network), met) if met else (network, met)


def _meet(
    g: _Growing,
    network: Network,
    line: Floats,
    rules: Rules,
    inwards: Callable[[Floats], Floats],
    wide: Callable[[Floats], float],
) -> Floats | None:
    """Join a line to the vessels beside its ends; return where it then goes, None if nowhere."""
    middle = line[1]
    p = sinusoids(network.nodes, network.edges, network.kind)
    near = p.edge[np.linalg.norm(p.points - middle, axis=1) <= rules.reach]
    ends = _ends(g, network, near, middle, rules)
    pair: tuple[_End, _End] | None = None
    if len(ends) >= 2:
        one, other = (ends[int(np.argmin([np.linalg.norm(e.at - x) for e in ends]))] for x in (line[0], line[2]))
        away = max(float(np.linalg.norm(e.at - x)) for e, x in ((one, line[0]), (other, line[2])))
        if one is not other and away <= rules.near_node:
            pair = (one, other)
    pair = _pair(ends, middle, inwards(middle), np.inf) if pair is None else pair
    if pair is None:
        return None
    _join(g, pair, middle, wide)
    return np.array([pair[0].at, middle, pair[1].at])


def _gaps_to(line: Floats, wide: Callable[[Floats], float], position: Floats, radius: Floats) -> Floats:
    """Return the gap between each hepatocyte and a sprout, um."""
    return gaps(pieces(line, LEGS), np.full(2, wide(line[1])), position, radius)


def _farthest(bare: Avascular, gap: Floats, refused: npt.NDArray[np.bool_], rules: Rules) -> int:
    """Return the hepatocyte that is farthest from a vessel in a group large enough, -1 for none."""
    if len(bare.cell) == 0:
        return -1
    own = bare.cell[(bare.size[bare.cluster] >= rules.least_group) & ~refused[bare.cell]]
    return int(own[np.argmax(gap[own])]) if len(own) else -1


def _middle(chosen: int, bare: Avascular, position: Floats, radius: Floats) -> Floats:
    """Return the middle of a hepatocyte and those of its group that touch it."""
    group = bare.cell[bare.cluster == bare.cluster[np.searchsorted(bare.cell, chosen)]]
    apart = np.linalg.norm(position[group] - position[chosen], axis=1)
    return np.asarray(position[group[apart < 1.25 * (radius[group] + radius[chosen])]].mean(axis=0))


def _within(tree: cKDTree, point: Floats, reach: float) -> Ints:
    return np.array(sorted(tree.query_ball_point(point, reach)), dtype=np.int64)


def _ends(g: _Growing, network: Network, near: Ints, middle: Floats, rules: Rules) -> list[_End]:
    """Return where a sprout from a point may end: the nearest point of each vessel within reach, nearest first."""
    found: dict[tuple[int, int], _End] = {}
    for k in np.unique(near):
        a, b = (int(x) for x in network.edges[k])
        one, along = network.nodes[a], network.nodes[b] - network.nodes[a]
        length = float(np.linalg.norm(along))
        at = float(np.clip((middle - one) @ along / length**2, 0.0, 1.0))
        if at * length < rules.near_node or (k in g.split and at < 0.5):
            end = _End(one, a, -1, along / length)
        elif (1.0 - at) * length < rules.near_node or k in g.split:
            end = _End(network.nodes[b], b, -1, along / length)
        else:
            end = _End(one + at * along, -1, int(k), along / length)
        found.setdefault((end.node, end.edge), end)
    away = sorted((float(np.linalg.norm(e.at - middle)), key) for key, e in found.items())
    ends = [found[key] for d, key in away if 0.0 < d <= rules.reach][:_MOST_ENDS]
    return [e for e in ends if _has_room(g, e, middle)]


def _has_room(g: _Growing, end: _End, middle: Floats) -> bool:
    """Return whether a segment towards the middle leaves no other at a narrow angle."""
    leg = (middle - end.at) / np.linalg.norm(middle - end.at)
    others = g.directions(end.node) if end.node >= 0 else np.array([end.along, -end.along])
    return bool((others @ leg).max() <= _NARROWEST)


def _pair(ends: list[_End], middle: Floats, inwards: Floats, room: float) -> tuple[_End, _End] | None:
    """Return the two ends of the cheapest sprout that the LSECs can line: short and radial is cheap."""
    best, cheapest = None, np.inf
    legs = [e.at - middle for e in ends]
    length = [float(np.linalg.norm(leg)) for leg in legs]
    for i in range(len(ends)):
        for j in range(i + 1, len(ends)):
            total = length[i] + length[j]
            if total > room or legs[i] @ legs[j] > _ACROSS * length[i] * length[j]:
                continue
            through = ends[j].at - ends[i].at
            cosine = through[:2] @ inwards / np.linalg.norm(through)
            cost = total * (1.0 + _AGAINST_RADIUS * (1.0 - float(cosine) ** 2))
            if cost < cheapest:
                best, cheapest = (ends[i], ends[j]), cost
    return best


def _join(g: _Growing, pair: tuple[_End, _End], middle: Floats, wide: Callable[[Floats], float]) -> None:
    """Add a sprout: its middle, its two segments, and the points at which it divides segments."""
    hub = len(g.nodes)
    g.nodes.append(middle)
    for end in pair:
        node = end.node if end.node >= 0 else g.divide(end.edge, end.at)
        g.add(node, hub, wide(0.5 * (end.at + middle)), SINUSOID)


# ---------------------------------------------------------------------------------------------------------- regression


def regress(network: Network, endothelium: Floats, budget: Budget, rules: Rules) -> tuple[Network, int]:
    """Return the network without the vessels that have lost their endothelium, and how many these are.

    Vessels farthest from any LSEC go first, until the lining of the neighbourhood is enough. None goes that is the only
    way of a branching point, or leaves one with a single segment; so a sprout closes only after others have joined it.

    Parameters
    ----------
    network : Network
        As it is now, in the coordinates of the enlarged lobule.
    endothelium : (n, 3) float array
        LSECs, um.
    budget : Budget
        Changed in place.
    rules : Rules
    """
    thin = budget.lining() < rules.least_lining
    if not thin.any():
        return network, 0
    n = len(network.nodes)
    middle = network.nodes[network.edges].mean(axis=1)
    site = cKDTree(budget.middle).query(middle)[1]
    away = np.full(len(middle), np.inf) if len(endothelium) == 0 else cKDTree(endothelium).query(middle)[0]
    order = np.argsort(-np.asarray(away), kind="stable")
    least = np.full(n, 2)
    venules = network.edges[network.kind == VENULE]
    least[venules.ravel()] = least[network.outlets] = 1
    degree = np.bincount(network.edges.ravel(), minlength=n)
    kept = np.ones(len(network.edges), dtype=bool)
    for k in order[(network.kind[order] == SINUSOID) & thin[site[order]]]:
        ends = network.edges[k]
        if (degree[ends] <= least[ends]).any() or not budget.lining()[site[k]] < rules.least_lining:
            continue
        kept[k] = False
        if not _whole(network.edges[kept], n):
            kept[k] = True
            continue
        degree[ends] -= 1
        budget.add(network.nodes, network.edges[[k]], -1.0)
    if kept.all():
        return network, 0
    shorter = replace(
        network,
        edges=network.edges[kept],
        length=network.length[kept],
        radius=network.radius[kept],
        kind=network.kind[kept],
    )
    return shorter, int((~kept).sum())


def _whole(edges: Ints, n: int) -> bool:
    graph = sparse.coo_array((np.ones(len(edges)), edges.T), shape=(n, n))
    return int(connected_components(graph, directed=False)[0]) == 1
