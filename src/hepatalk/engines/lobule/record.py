"""What is kept of the cells and fields of a lobule at a moment, for tables, pictures and films."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hepatalk.model.fates import NOTHING

if TYPE_CHECKING:
    from hepatalk.engines.lobule.network import Network
    from hepatalk.engines.lobule.state import State
    from hepatalk.engines.lobule.system import LobuleSystem

__all__ = ["Snapshot", "anatomy_of", "take", "vessels_of"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Snapshot:
    """Cells and fields at a moment.

    Attributes
    ----------
    time_h : float
    lobules : float
        Number of lobules relative to the healthy liver.
    scale : float
        Edge of the lobule relative to health: the cube root of its volume.
    types, compartments, labels : tuple of str
        What the numbers below stand for.
    ident, parent, clone : (n_cells,) int array
        Identity, that of the mother (-1 for none), and of the first cell of the clone.
    type_, compartment, site, zone : (n_cells,) int array
        Zone 1 periportal to 3 pericentral; site in the order of ``site_position``.
    marks : (n_cells,) int array
        Bit k stands for ``labels[k]``.
    volume : (n_cells,) float array
        Relative to a healthy cell of the type.
    position : (n_cells, 3) float array
        In um.
    site_position : (n_sites, 3) float array
        In um.
    site_zone : (n_sites,) int array
    fields : mapping of str to (n_sites,) float array
        Signals, nodes, stores and dead tissue at the sites, by the names of the model's states without their place;
        NaN where a zone does not have them; ``flow``, ``shear``, ``oxygen``, ``volume``, ``radius`` relative to health;
        ``dead_area``, ``necrotic_area`` as fractions of the section; ``blood.oxygen`` in the sinusoids, mmHg, and
        ``blood.SIGNAL``, part of what enters with the blood, if blood enters as in health.
    vessels : mapping of str to array
        ``node``, ``edge``, ``edge_radius``, ``edge_kind``: the sinusoids of the moment, in the coordinates and with the
        radii of the healthy lobule. Empty for a tissue without a place in space.
    measures : mapping of str to float
        Of the vessels: `hepatalk.engines.lobule.endothelium.Endothelium.measures`.
    anatomy : mapping of str to array
        What stays as it is in health: see `anatomy_of`. Empty for a tissue without a place in space.
    """

    time_h: float
    lobules: float
    scale: float
    types: tuple[str, ...]
    compartments: tuple[str, ...]
    labels: tuple[str, ...]
    ident: Ints
    parent: Ints
    clone: Ints
    type_: Ints
    compartment: Ints
    site: Ints
    zone: Ints
    marks: Ints
    volume: Floats
    position: Floats
    site_position: Floats
    site_zone: Ints
    fields: Mapping[str, Floats]
    vessels: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    measures: Mapping[str, float] = field(default_factory=dict)
    anatomy: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)


#: Quantities of a zone that are no states, and are kept as fields.
_LAWS = ("shear", "oxygen", "volume", "radius", "dead_area", "necrotic_area")


def anatomy_of(system: LobuleSystem) -> dict[str, npt.NDArray[Any]]:
    """Return the parts of a healthy lobule that tables and pictures need beside the cells.

    Returns
    -------
    dict of str to array
        Sites, in the order of the engine: ``site_depth`` (0 portal to 1 central), ``site_volume`` (um^3),
        ``site_lobule``. Segments: ``node`` (n, 3), ``edge`` (e, 2), ``edge_radius``, ``edge_kind``. Hexagons:
        ``centre`` (L, 2), ``corner`` (C, 2), ``corners`` (L, 6), ``face`` (F, 2), ``inward`` (6, 2). ``duct`` (d, 2)
        and ``duct_outwards`` (angle). ``cell_diameter`` (n_types,), in the order of ``types``. Of one value each:
        ``lobule_radius``, ``height``, ``central_vein_radius``, ``portal_tract_radius``, ``portal_vein_radius``,
        ``duct_radius``, ``hepatocyte_diameter``. All lengths in um.
    """
    space = system.tissue.space
    if space is None:
        return {}
    g, order = space.geometry, space.order
    a, f = g.anatomy, g.frame
    single = {
        "lobule_radius": f.radius,
        "height": f.height,
        "central_vein_radius": a.central_vein_radius,
        "portal_tract_radius": a.portal_tract_radius,
        "portal_vein_radius": a.portal_vein_radius,
        "duct_radius": g.ducts.radius,
        "hepatocyte_diameter": a.hepatocyte_diameter,
    }
    return {
        "site_depth": g.sites.depth[order],
        "site_volume": g.sites.volume[order],
        "site_lobule": g.sites.lobule[order],
        **vessels_of(g.network),
        "centre": f.centre,
        "corner": f.corner,
        "corners": f.corners,
        "face": f.face,
        "inward": f.inward,
        "duct": g.ducts.position,
        "duct_outwards": g.ducts.outwards,
        "cell_diameter": np.array([a.cell_diameter[name] for name in system.comps.types]),
        **{name: np.array([float(value)]) for name, value in single.items()},
    }


def vessels_of(network: Network) -> dict[str, npt.NDArray[Any]]:
    """Return a network as tables and pictures have it."""
    return {
        "node": network.nodes,
        "edge": network.edges,
        "edge_radius": network.radius,
        "edge_kind": network.kind,
    }


def take(system: LobuleSystem, state: State) -> Snapshot:
    """Return what is to be kept of a moment."""
    c, cells, n = system.comps, state.cells, state.n
    tissue = system.tissue
    comp, site = cells.comp[:n].copy(), cells.site[:n].copy()
    now = system.evaluation(state)
    fields: dict[str, Floats] = {"flow": state.flow_at_sites.copy()}
    if system.uptake is not None:
        for name, at_sites in zip(system.uptake.names, system.uptake.absolute(state.carried), strict=True):
            fields[f"blood.{name}"] = at_sites
    for z, (p, sites) in enumerate(zip(system.programs, system.sites, strict=True)):
        for k, i in enumerate(p.states[p.moving]):
            name = system.model.state_names[i].partition("@")[0]
            fields.setdefault(name, np.full(tissue.n_sites, np.nan))[sites] = state.level[z][:, k]
        for name in _LAWS:
            column = p.column.get(system.model.slot_index[f"{name}@{z + 1}"], NOTHING)
            if column != NOTHING:
                fields.setdefault(name, np.full(tissue.n_sites, np.nan))[sites] = now.rows[z][:, column]
    scale = state.scale
    return Snapshot(
        time_h=state.time_h,
        lobules=state.lobules,
        scale=scale,
        types=c.types,
        compartments=c.names,
        labels=c.bits,
        ident=cells.ident[:n].copy(),
        parent=cells.parent[:n].copy(),
        clone=cells.clone[:n].copy(),
        type_=c.type_of[comp],
        compartment=comp,
        site=site,
        zone=tissue.zone[site] + 1,
        marks=cells.marks[:n].copy(),
        volume=cells.volume[:n].copy(),
        position=cells.position[:n].copy(),
        site_position=tissue.position if system.motion is None else system.motion.sites(scale),
        site_zone=tissue.zone + 1,
        fields=fields,
        vessels={} if state.network is None else vessels_of(state.network),
        measures={} if system.endothelium is None else system.endothelium.measures(state, fields["radius"]),
        anatomy=anatomy_of(system),
    )
