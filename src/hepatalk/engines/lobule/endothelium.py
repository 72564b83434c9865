"""Endothelium and vessels kept together during a run: the network of the moment, and the cells that belong to it.

The network is part of the state. It is kept in the coordinates of the healthy lobule, along which it is enlarged. When
cells have been given room, vessels whose endothelium is gone close, LSECs in excess sprout
(`hepatalk.engines.lobule.sprouts`), and the cells that live on sinusoids are brought back to them, from where
mechanics, which knows cells alone, has pushed them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.spatial import cKDTree

from hepatalk.engines.lobule.network import LONGEST, SINUSOID, Network, mean_radius
from hepatalk.engines.lobule.sprouts import LEGS, Budget, Rules, Sprout, join, regress, sprout
from hepatalk.engines.lobule.tables import Compartments
from hepatalk.engines.lobule.vessels import Pieces, avascular, gaps, lengths_in_sites, pieces, sinusoids, volume
from hepatalk.engines.lobule.walking import Ways, apart, crawl, driven, ways_of

if TYPE_CHECKING:
    from hepatalk.engines.lobule.state import State
    from hepatalk.engines.lobule.tissue import Space, Tissue

__all__ = ["Endothelium"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

#: Part of its radius by which a hepatocyte beside a new sinusoid stays away from it, as when a lobule is built.
_PRESSED = 0.7
#: Kupffer cells stay within this part of a sinusoid's radius, HSCs so many of their diameters off its wall: as built.
_LUMEN, _DISSE = 0.5, 0.25


class Endothelium:
    """Sprouting, closing, and the cells on the wall.

    Parameters
    ----------
    tissue : Tissue
        In space.
    comps : Compartments
    """

    def __init__(self, tissue: Tissue, comps: Compartments) -> None:
        if tissue.space is None or tissue.near is None:
            raise ValueError("vessels are in space only")
        self._comps, self._healthy = comps, tissue.space
        self._space = tissue.space
        self._anatomy, self._frame = tissue.space.geometry.anatomy, tissue.space.geometry.frame
        a = self._anatomy
        self._diameter = np.array([a.cell_diameter[name] for name in comps.types])
        self._type = {name: comps.types.index(name) for name in ("HEP", "LSEC", "HSC", "KC")}
        self._middle = tissue.position
        self._sites = cKDTree(self._middle)
        self._zone = tissue.zone
        self._lobule = tissue.space.geometry.sites.lobule[tissue.space.order]
        self._centre = tissue.space.geometry.boundary.centre
        self._beside = sparse.csr_array((np.ones(tissue.near.nnz), tissue.near.indices, tissue.near.indptr),
                                        shape=tissue.near.shape)  # fmt: skip
        expected = tissue.expected[:, self._type["LSEC"]]
        self._expected = self._beside @ expected
        n = tissue.space.geometry.network
        in_sites = np.asarray(lengths_in_sites(n.nodes, n.edges, n.kind, self._middle).sum(axis=1)).ravel()
        self._length = np.asarray(self._beside @ in_sites)
        length, number = (np.asarray(np.bincount(self._zone, weights=x), dtype=float) for x in (in_sites, expected))
        # um per LSEC
        self._zone_length: Floats = np.divide(length, number, out=np.zeros(len(length)), where=number > 0.0)
        self._rules = Rules(
            least_gap=a.vessel_contact,
            least_group=round(a.sprout_group),
            sprout_lining=a.sprout_lining,
            least_lining=a.least_lining,
            reach=LONGEST * a.sinusoid_spacing,
            near_node=0.5 * a.hepatocyte_diameter,
        )
        self._along: tuple[Network, Pieces, cKDTree] | None = None
        self._ways: Ways | None = None
        #: Cells that crawl keep this far apart, um: HSCs do not overlap.
        self.spacing = {"KC": a.kc_spacing, "HSC": a.cell_diameter["HSC"]}

    # ------------------------------------------------------------------------------------------------ the network now

    def space(self, state: State) -> Space:
        """Return what lies beside what, with the network of now."""
        if state.network is not None and state.network is not self._space.network:
            n = state.network
            table = lengths_in_sites(n.nodes, n.edges, n.kind, self._middle)
            self._space = replace(self._healthy, network=n, length=table)
        return self._space

    def _sinusoids(self, network: Network) -> tuple[Pieces, cKDTree]:
        """Return points along the sinusoids in the coordinates of health."""
        if self._along is None or self._along[0] is not network:
            p = sinusoids(network.nodes, network.edges, network.kind)
            self._along = (network, p, cKDTree(p.points))
        return self._along[1], self._along[2]

    def directions(self, state: State, cells: Ints) -> Floats:
        """Return the unit vector along the sinusoid that is nearest to each cell, (n, 3)."""
        network = _known(state)
        p, tree = self._sinusoids(network)
        ends = network.nodes[network.edges[p.edge[tree.query(self._in_health(state, cells))[1]]]]
        along = ends[:, 1] - ends[:, 0]
        return np.asarray(along / np.maximum(np.linalg.norm(along, axis=1), 1e-12)[:, None])

    def _in_health(self, state: State, cells: Ints) -> Floats:
        """Return where cells would be in a lobule of healthy size, um."""
        centre = self._centre[self._lobule[state.cells.site[cells]]]
        return np.asarray(centre + (state.cells.position[cells] - centre) / state.scale)

    def _put(self, state: State, cells: Ints, in_health: Floats) -> None:
        centre = self._centre[self._lobule[state.cells.site[cells]]]
        state.cells.position[cells] = centre + (in_health - centre) * state.scale

    # ------------------------------------------------------------------------------------------------ growing

    def renew(self, state: State, hours: float = 0.0) -> bool:
        """Let vessels close and sprout, and bring the cells of the wall back to it; return whether vessels changed.

        Parameters
        ----------
        state : State
            Changed in place.
        hours : float
            For which sprouts that are on their way have grown since.
        """
        healthy, scale = _known(state), state.scale
        type_ = self._comps.type_of[state.cells.comp[: state.n]]
        budget = self._budget(state, type_)
        lining = np.flatnonzero(type_ == self._type["LSEC"])
        hepatocytes = np.flatnonzero(type_ == self._type["HEP"])
        large = _enlarged(healthy, scale)
        thinner, closed = regress(large, self._in_health(state, lining) * scale, budget, self._rules)
        radius = 0.5 * self._diameter[type_[hepatocytes]] * np.cbrt(state.cells.volume[hepatocytes])

        def inwards(at: Floats) -> Floats:
            return self._inwards(at / scale)

        def wide(at: Floats) -> float:
            return float(mean_radius(self._anatomy, self._frame, at[None, :] / scale)[0])

        state.sprout_grown = state.sprout_grown + hours * self._anatomy.sprout_speed
        length = np.linalg.norm(np.diff(state.sprouts, axis=1), axis=2).sum(axis=1) * scale
        there = state.sprout_grown >= length
        grown, new = join(thinner, list(state.sprouts[there] * scale), self._rules, inwards=inwards, wide=wide)
        state.sprouts, state.sprout_grown = state.sprouts[~there], state.sprout_grown[~there]
        for s in new:
            budget.add(s.line, LEGS, 1.0)
        where = self._in_health(state, hepatocytes) * scale
        _, more = sprout(
            grown, where, radius, budget, self._rules, begun=list(state.sprouts * scale), inwards=inwards, wide=wide
        )
        if more:
            state.sprouts = np.concatenate([state.sprouts, np.array([s.line for s in more]) / scale])
            state.sprout_grown = np.concatenate([state.sprout_grown, np.zeros(len(more))])
        if closed or new:
            state.network = _in_health(grown, healthy, scale)
        if new:
            self._move_in(state, lining, new, budget)
            self._make_way(state, hepatocytes, radius, new)
        self.hold(state, np.arange(state.n))
        return bool(closed or new)

    def _budget(self, state: State, type_: Ints) -> Budget:
        own = state.cells.site[: state.n][type_ == self._type["LSEC"]]
        beside = self._beside @ np.bincount(own, minlength=len(self._zone)).astype(float)
        whole = len(own) / max(float(self._expected.sum()), 1e-12)
        relative = np.divide(beside, self._expected, out=np.full(len(beside), whole), where=self._expected > 0.0)
        length = np.asarray(self.space(state).length.sum(axis=1)).ravel()
        zones = np.bincount(self._zone[own], minlength=len(self._zone_length)) * self._zone_length
        return Budget(
            middle=self._middle * state.scale,
            beside=self._beside,
            sustained=relative * self._length,
            zone=self._zone,
            in_zone=zones,
            length=length * state.scale,
        )

    def _inwards(self, at: Floats) -> Floats:
        way = self._frame.centre[self._frame.lobule_of(at[None, :])[0]] - at[:2]
        return np.asarray(way / max(float(np.linalg.norm(way)), 1e-9))

    def _move_in(self, state: State, lining: Ints, new: list[Sprout], budget: Budget) -> None:
        """Let the nearest LSECs of the zone move to each sprout: as many as line its length in health, at least one."""
        free = np.ones(len(lining), dtype=bool)
        where = self._in_health(state, lining) * state.scale
        zone = self._zone[state.cells.site[lining]]
        sites = cKDTree(budget.middle)
        for s in new:
            site = int(sites.query(s.line[1])[1])
            able = np.flatnonzero(free & (zone == self._zone[site]))
            away = np.linalg.norm(where[able] - s.line[1], axis=1)
            per_cell = self._length[site] / max(float(self._expected[site]), 1e-12)
            wanted = max(1, round(s.length / per_cell))
            chosen = able[np.argsort(away, kind="stable")[:wanted]]
            free[chosen] = False
            for k, cell in enumerate(chosen):
                at = 2.0 * (k + 0.5) / len(chosen)
                leg = int(at)
                point = s.line[leg] + (at - leg) * (s.line[leg + 1] - s.line[leg])
                self._put(state, lining[[cell]], point[None, :] / state.scale)

    def _make_way(self, state: State, hepatocytes: Ints, radius: Floats, new: list[Sprout]) -> None:
        """Push hepatocytes off the sprouts that pass through them."""
        lines = np.array([s.line for s in new])
        nodes = lines.reshape(-1, 3)
        first = 3 * np.arange(len(lines))
        edges = np.concatenate([np.column_stack([first, first + 1]), np.column_stack([first + 1, first + 2])])
        p = pieces(nodes, edges)
        where = self._in_health(state, hepatocytes) * state.scale
        distance, nearest = cKDTree(p.points).query(where)
        wall = mean_radius(self._anatomy, self._frame, p.points[nearest] / state.scale)
        near = np.flatnonzero((distance < wall + _PRESSED * radius) & (distance > 1e-9))
        away = (where[near] - p.points[nearest[near]]) / distance[near, None]
        moved = p.points[nearest[near]] + away * (wall[near] + _PRESSED * radius[near])[:, None]
        self._put(state, hepatocytes[near], moved / state.scale)

    # ------------------------------------------------------------------------------------------------ cells on the wall

    def hold(self, state: State, cells: Ints) -> None:
        """Bring cells that live on sinusoids to the nearest one: LSECs on its wall, KCs inside, HSCs beside it.

        HSCs farther than a hepatocyte from any sinusoid stay where they are.
        """
        type_ = self._comps.type_of[state.cells.comp[cells]]
        lives = np.isin(type_, [self._type[name] for name in ("LSEC", "KC", "HSC")])
        cells, type_ = cells[lives], type_[lives]
        if not len(cells):
            return
        network = _known(state)
        p, tree = self._sinusoids(network)
        where = self._in_health(state, cells)
        edge = p.edge[tree.query(where)[1]]
        one = network.nodes[network.edges[edge, 0]]
        along = network.nodes[network.edges[edge, 1]] - one
        part = np.clip(((where - one) * along).sum(axis=1) / (along**2).sum(axis=1), 0.0, 1.0)
        axis = one + part[:, None] * along
        away = where - axis
        distance = np.linalg.norm(away, axis=1)
        wall = network.radius[edge]
        target = np.where(type_ == self._type["LSEC"], wall, wall + _DISSE * self._diameter[type_])
        target = np.where(type_ == self._type["KC"], np.minimum(distance * state.scale, _LUMEN * wall), target)
        held = distance * state.scale - wall < self._anatomy.hepatocyte_diameter
        held |= type_ != self._type["HSC"]
        held &= distance > 1e-9
        new = axis + away * (target / state.scale / np.maximum(distance, 1e-9))[:, None]
        self._put(state, cells[held], new[held])

    def crawl(self, state: State, cells: Ints, speed: float, hours: float, pull: Floats, spacing: float) -> None:
        """Let cells crawl along the sinusoids, and bring them back to where their type lies.

        Parameters
        ----------
        state : State
            Changed in place.
        cells : int array
        speed : float
            At most, um/h.
        hours : float
        pull : (n_sites, 3) float array
            What draws a cell at each site.
        spacing : float
            Cells nearer to each other than this part, um; 0 for never.
        """
        network = _known(state)
        p, tree = self._sinusoids(network)
        if self._ways is None or self._ways.network is not network:
            self._ways = ways_of(network)
        start, scale = self._in_health(state, cells), state.scale
        near = np.flatnonzero(tree.query(start)[0] * scale < self._anatomy.hepatocyte_diameter)
        cells, start = cells[near], start[near]
        lobule = self._lobule[state.cells.site[cells]]

        def drive(at: Floats) -> Floats:
            site = np.asarray(self._sites.query(at)[1], dtype=np.int64)
            # Another lobule's sites pull nobody across the face between them.
            own = np.where(self._lobule[site] == lobule, site, state.cells.site[cells])
            return driven(pull[own], apart(at * scale, spacing))

        there = crawl(self._ways, p, tree, start, np.full(len(cells), speed / scale), hours, drive)
        self._put(state, cells, there)
        self.hold(state, cells)

    # ------------------------------------------------------------------------------------------------ measures

    def measures(self, state: State, widened: Floats) -> dict[str, float]:
        """Return what a microscope would measure of the vessels.

        Parameters
        ----------
        state : State
        widened : (n_sites,) float array
            Radius of the sinusoids at each site, relative to health.

        Returns
        -------
        dict of str to float
            ``sinusoid_length``: um in the lobules. ``sinusoid_share``: of the volume of the tissue. ``avascular``:
            share of the hepatocytes that touch no vessel. ``avascular_groups``: groups of neighbours among them large
            enough to draw a sprout. ``avascular_group``: mean number of cells in these; ``largest_group``: of the
            largest.
        """
        network = _enlarged(_known(state), state.scale)
        along = self.space(state).along_segments(widened)
        tissue = float(self._healthy.transport.volume.sum()) * state.scale**3
        type_ = self._comps.type_of[state.cells.comp[: state.n]]
        own = np.flatnonzero(type_ == self._type["HEP"])
        where = self._in_health(state, own) * state.scale
        radius = 0.5 * self._diameter[type_[own]] * np.cbrt(state.cells.volume[own])
        gap = gaps(pieces(network.nodes, network.edges), network.radius, where, radius)
        bare = avascular(where, radius, gap, self._rules.least_gap)
        size = bare.size[bare.size >= self._rules.least_group]
        return {
            "sinusoid_share": volume(network.nodes, network.edges, network.radius * along, network.kind) / tissue,
            "sinusoid_length": float(network.length[network.kind == SINUSOID].sum()),
            "avascular": len(bare.cell) / max(len(own), 1),
            "avascular_groups": float(len(size)),
            "avascular_group": float(size.mean()) if len(size) else 0.0,
            "largest_group": float(size.max(initial=0)),
        }


def _known(state: State) -> Network:
    if state.network is None:
        raise ValueError("no network in this state")
    return state.network


def _in_health(grown: Network, before: Network, scale: float) -> Network:
    """Return a network of an enlarged lobule in the coordinates of health; nodes from before keep theirs exactly."""
    new = grown.nodes[len(before.nodes) :] / scale
    nodes = np.concatenate([before.nodes, new])
    ends = nodes[grown.edges]
    return replace(grown, nodes=nodes, length=np.linalg.norm(ends[:, 1] - ends[:, 0], axis=1))


def _enlarged(network: Network, factor: float) -> Network:
    """Return the network enlarged about the origin; radii stay."""
    return replace(network, nodes=network.nodes * factor, length=network.length * factor)
