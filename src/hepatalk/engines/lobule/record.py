"""What is kept of the cells and fields of a lobule at a moment, for tables, pictures and films."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from hepatalk.model.fates import NOTHING

if TYPE_CHECKING:
    from hepatalk.engines.lobule.state import State
    from hepatalk.engines.lobule.system import LobuleSystem

__all__ = ["Snapshot", "take"]

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
        NaN where a zone does not have them; and ``flow``, ``shear``, ``oxygen``, ``volume`` relative to health.
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


#: Quantities of a zone that are no states, and are kept as fields.
_LAWS = ("shear", "oxygen", "volume")


def take(system: LobuleSystem, state: State) -> Snapshot:
    """Return what is to be kept of a moment."""
    c, cells, n = system.comps, state.cells, state.n
    tissue = system.tissue
    comp, site = cells.comp[:n].copy(), cells.site[:n].copy()
    now = system.evaluation(state)
    fields: dict[str, Floats] = {"flow": state.flow_at_sites.copy()}
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
    )
