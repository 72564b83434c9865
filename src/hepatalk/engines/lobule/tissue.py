"""Tissue as the engine needs it: sites in zones, what lies beside what, and where the first cells are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.spatial import cKDTree

from hepatalk.engines.lobule.flow import Flow, solve
from hepatalk.engines.lobule.geometry import Geometry
from hepatalk.engines.lobule.network import Network
from hepatalk.engines.lobule.tables import Compartments
from hepatalk.engines.lobule.transport import Transport, plasma_order
from hepatalk.engines.lobule.vessels import lengths_in_sites
from hepatalk.errors import EngineError

__all__ = ["Space", "Tissue", "expected_at_sites", "from_geometry", "zones_only"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Space:
    """What lies beside what, and where the blood goes.

    Attributes
    ----------
    geometry : Geometry
    order : (n_sites,) int array
        The geometry's number of each site.
    transport : Transport
        With the plasma of health.
    reach : float
        Way of the blood through the tissue, from portal tract to central vein, um.
    network : Network
        The sinusoids of now; those of health until some sprout or close.
    length : (n_sites, n_segments) sparse array
        Length of each segment of the network in each site, in the coordinates of health, um.
    """

    geometry: Geometry
    order: Ints
    transport: Transport
    reach: float
    network: Network
    length: sparse.csr_array

    def flow_of(self, radius: Floats) -> Flow:
        """Return the blood of health through segments of other radii, relative to their own, (n_segments,)."""
        a = self.geometry.anatomy
        return solve(
            self.network,
            a.inflow,
            viscosity=a.viscosity,
            arterial_share=a.arterial_share,
            radius=self.network.radius * radius,
        )

    def along_segments(self, at_sites: Floats) -> Floats:
        """Return the mean over the sites beside each segment, (n_segments,); 1 where no site is."""
        weight = np.asarray(self.length.sum(axis=0)).ravel()
        total = np.asarray(self.length.T @ at_sites)
        mean: Floats = np.divide(total, weight, out=np.ones_like(total), where=weight > 0.0)
        return mean

    def at_sites(self, flow: Flow) -> Floats:
        """Return the blood that moves in each site relative to health, (n_sites,): flow times length, all segments."""
        out: Floats = np.asarray((self.length @ np.abs(flow.flow)) / self.healthy_flow)
        return out

    @cached_property
    def healthy_flow(self) -> Floats:
        """Flow times length in each site in health, (n_sites,), um^4/h."""
        n = self.geometry.network
        table = lengths_in_sites(n.nodes, n.edges, n.kind, self.geometry.sites.position[self.order])
        moving = np.asarray(table @ np.abs(self.geometry.flow.flow))
        return np.asarray(np.maximum(moving, 1e-12 * moving.max()))


@dataclass(frozen=True)
class Tissue:
    """Sites and cells of a healthy lobule.

    Attributes
    ----------
    zone : (n_sites,) int array
        From 0, in ascending order.
    weight : (n_sites,) float array
        Healthy volume of each site as a share of its zone; adds up to 1 in every zone.
    gate : (n_sites, n_zones) int array
        The site of each zone that a cell at a site reaches first; the site itself in its own zone.
    position : (n_sites, 3) float array
        In um.
    near : (n_sites, n_sites) sparse array or None
        Over which sites the number of cells that a site has beside it is averaged, rows adding up to 1; None for the
        site alone.
    expected : (n_sites, n_types) float array
        Cells of each type at each site in health. Of a rare type it may be a fraction of a cell; positive in every zone
        in which the type lives, at one site at least.
    type_, cell_site : (n_cells,) int array
        Cell type and site of each cell.
    cell_position : (n_cells, 3) float array
        In um.
    space : Space or None
        None for zones that the model's own exchange joins.
    """

    zone: Ints
    weight: Floats
    gate: Ints
    position: Floats
    near: sparse.csr_array | None
    expected: Floats
    type_: Ints
    cell_site: Ints
    cell_position: Floats
    space: Space | None = None

    @property
    def n_sites(self) -> int:
        """Number of sites."""
        return len(self.zone)


def zones_only(comps: Compartments, numbers: Mapping[str, int]) -> Tissue:
    """Return a tissue of three well-mixed zones, with the exchange of the population model between them.

    Parameters
    ----------
    comps : Compartments
    numbers : mapping of cell type to int
        Cells of each type in the three zones together.

    Raises
    ------
    EngineError
        If a cell type has no cell.
    """
    n_zones = len(comps.state)
    types, sites = [], []
    for k, cell in enumerate(comps.types):
        number = numbers.get(cell, 0)
        if number < 1:
            raise EngineError(
                f"{number} cells of type {cell}; allowed: one or more of {', '.join(comps.types)}; ask for more "
                "hepatocytes"
            )
        here = np.floor(number * comps.share[:, k] + 0.5).astype(int)
        types += [k] * int(here.sum())
        sites += np.repeat(np.arange(n_zones), here).tolist()
    return Tissue(
        zone=np.arange(n_zones),
        weight=np.ones(n_zones),
        gate=np.tile(np.arange(n_zones), (n_zones, 1)),
        position=np.zeros((n_zones, 3)),
        near=None,
        expected=comps.share * np.array([float(numbers[cell]) for cell in comps.types]),
        type_=np.array(types, dtype=np.int64),
        cell_site=np.array(sites, dtype=np.int64),
        cell_position=np.zeros((len(types), 3)),
    )


def from_geometry(geometry: Geometry, comps: Compartments) -> Tissue:
    """Return the tissue of lobules in space.

    What a cell has beside it is what its site and the sites in contact with it hold: some tens of cells, so that the
    numbers of rare neighbours do not jump from site to site.

    Parameters
    ----------
    geometry : Geometry
    comps : Compartments

    Raises
    ------
    EngineError
        If the geometry has a cell type that the model does not know, or lacks a zone.
    """
    unknown = set(geometry.types) - set(comps.types)
    if unknown:
        raise EngineError(
            f"cell type {min(unknown)!r} of the tissue is not in the model; allowed: {', '.join(comps.types)}"
        )
    s, cells = geometry.sites, geometry.cells
    order = np.argsort(s.zone, kind="stable")
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    zone = (s.zone[order] - 1).astype(np.int64)
    n_zones = len(comps.state)
    if len(np.unique(zone)) < n_zones:
        raise EngineError(f"the tissue lacks a zone; allowed: sites in all {n_zones}; build a larger tissue")
    volume = s.volume[order]
    weight = volume / np.bincount(zone, weights=volume, minlength=n_zones)[zone]
    number = np.array([comps.types.index(name) for name in geometry.types], dtype=np.int64)
    type_, site = number[cells.type], place[cells.site]
    built = Tissue(
        zone=zone,
        weight=weight,
        gate=_gates(zone, s.position[order], s.lobule[order], n_zones),
        position=s.position[order],
        near=_near(s.start, s.other, order, place, volume),
        expected=np.zeros((len(zone), len(comps.types))),
        type_=type_,
        cell_site=site,
        cell_position=cells.position,
        space=_space(geometry, order, place),
    )
    return replace(built, expected=expected_at_sites(built, comps))


def expected_at_sites(tissue: Tissue, comps: Compartments) -> Floats:
    """Return the cells of each type at each site in health, (n_sites, n_types): as they lie, or in the mean if rare.

    Parameters
    ----------
    tissue : Tissue
        In space.
    comps : Compartments
    """
    if tissue.space is None:
        raise ValueError("cells lie at sites in space only")
    a = tissue.space.geometry.anatomy
    expected = np.zeros((tissue.n_sites, len(comps.types)))
    np.add.at(expected, (tissue.cell_site, tissue.type_), 1.0)
    for z, k in np.argwhere(comps.share > 0.0):
        here = np.flatnonzero(tissue.zone == z)
        if not expected[here, k].any():  # a rare type: a fraction of a cell at every site
            total = a.cells_per_hepatocyte[comps.types[k]] * a.hepatocytes * a.lobules
            expected[here, k] = comps.share[z, k] * total * tissue.weight[here]
    return expected


def _gates(zone: Ints, position: Floats, lobule: Ints, n_zones: int) -> Ints:
    """Return the nearest site of every zone within the same lobule, (n_sites, n_zones)."""
    gate = np.zeros((len(zone), n_zones), dtype=np.int64)
    for k in np.unique(lobule):
        own = np.flatnonzero(lobule == k)
        for z in range(n_zones):
            there = own[zone[own] == z]
            if not len(there):
                raise EngineError(f"lobule {k} has no site in zone {z + 1}; allowed: some; build a larger lobule")
            gate[own, z] = there[cKDTree(position[there]).query(position[own])[1]]
    gate[np.arange(len(zone)), zone] = np.arange(len(zone))
    return gate


def _near(start: Ints, other: Ints, order: Ints, place: Ints, volume: Floats) -> sparse.csr_array:
    """Return the mean over a site and its neighbours, weighted by volume."""
    n = len(order)
    here = np.repeat(np.arange(n), np.diff(start))
    rows = np.concatenate([np.arange(n), place[here]])
    columns = np.concatenate([np.arange(n), place[other]])
    table = sparse.csr_array((volume[columns], (rows, columns)), shape=(n, n))
    table.sort_indices()
    return sparse.csr_array(sparse.diags_array(1.0 / table.sum(axis=1)) @ table)


def _space(geometry: Geometry, order: Ints, place: Ints) -> Space:
    s, flow, network = geometry.sites, geometry.flow, geometry.network
    here = np.repeat(np.arange(len(order)), np.diff(s.start))
    by_site = np.lexsort((place[s.other], place[here]))
    start = np.concatenate([[0], np.cumsum(np.diff(s.start)[order])]).astype(np.int64)
    transport = Transport(
        start=start,
        other=place[s.other][by_site],
        area=s.area[by_site],
        distance=s.distance[by_site],
        volume=s.volume[order],
        wall=np.zeros(len(order)),
        plasma=plasma_order(network.edges, flow.flow, flow.source, s.node[order]),
    )
    a = geometry.anatomy
    # The mean way of the blood ends at the vein and begins at the faces of the hexagon.
    reach = 0.5 * (np.sqrt(0.75) + 1.0) * a.lobule_radius - a.central_vein_radius
    length = lengths_in_sites(network.nodes, network.edges, network.kind, s.position[order])
    return Space(geometry, order, transport, float(reach), network, length)
