"""Contact signals: what a cell sees is what the cells that touch it present.

Two cells touch when their centres are nearer than `REACH` times the sum of their reaches, as in the mechanics. The
reach of a cell is its radius, except of the flat ones, whose spheres have the right volume only:

- an LSEC lines its share of the sinusoids; its reach is the mean of half that length and the radius of a sinusoid,
- an HSC stretches from one branching point of the sinusoids to those beside it; its reach is their distance.

Cells of a type share their nodes at a site, so that what counts is the mean over the cells of a type at a site. Of a
signal f, cells of type R at site i see

    s(i, R) = s0(zone) sum_T share_T E(i, R, T) / H(zone, R, T),      E = sum_j a(i, j) n_T(j) p(j),

n_T(j) being the cells of type T (in the state that presents) at site j, a(i, j) the chance that one of them touches a
cell of R at i, p(j) what each presents relative to health: the signal's level at j over the density of its senders
there, so that the half-life is that of what sits on a sender, and a law of the model acts where it did. H is the mean
of E over the cells R of a zone in health, in the same lobule at rest (`hepatalk.engines.lobule.resting`), with senders
in the states that health has in the mean: seen levels are 1 in the mean of a zone, not at each site, since contacts
differ from cell to cell in health too. No sender that touches, nothing seen. The mean over a zone of a node that reads
this by a law that saturates is another matter: where senders are rare it is below that of the mean (docs/lobule.md).

a(i, j) is counted when cells have been moved and after every change from outside; between two countings n_T follows the
cells that come, go and change their state, so that daughters have the contacts of their mothers, and the first cells of
a type at a site have none until the next counting. Where a site has no cell of R, or R meets no T in health in the
whole zone, the density of senders stands in for contacts, as in well-mixed zones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from hepatalk.engines.lobule.grid import contacts
from hepatalk.engines.lobule.local import ZoneProgram
from hepatalk.engines.lobule.network import SINUSOID
from hepatalk.engines.lobule.tables import Compartments
from hepatalk.model.compiled import CompiledModel
from hepatalk.model.fates import NOTHING, Touch

if TYPE_CHECKING:
    from hepatalk.engines.lobule.geometry import Geometry
    from hepatalk.engines.lobule.state import State
    from hepatalk.engines.lobule.tissue import Tissue

__all__ = ["REACH", "Contacts", "Touching", "reaches", "touching"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

#: Where contact ends, in sums of reaches: where attraction ends in the mechanics.
REACH = 1.25
#: Cell types that are flat in life, and reach farther than their radius.
FLAT = ("LSEC", "HSC")
#: Senders near a site, relative to health, below which they present nothing.
_LEAST = 1e-9


@dataclass(frozen=True)
class Touching:
    """Contacts as they were counted last.

    Attributes
    ----------
    at : (k, 3) int array
        Kind of contact, site of the receivers, site of the senders.
    chance : (k,) float array
        That a sender and a receiver of these sites touch.
    bare : (n_kinds, n_sites) bool array
        Sites without a receiver.
    """

    at: Ints
    chance: Floats
    bare: Bools


@dataclass(frozen=True)
class _Kind:
    """One kind of contact.

    Attributes
    ----------
    who : int
        Signal and receiver, as a position in `Contacts.who`.
    receiver, sender : int
        Cell types.
    share : (n_zones,) float array
        Share of these senders in the resting supply.
    density : (n_zones,) int array
        Slot of the senders per volume; `NOTHING` where they do not live.
    presents : (n_comps,) bool array
        Compartments that present the signal.
    """

    who: int
    receiver: int
    sender: int
    share: Floats
    density: Ints
    presents: Bools


def reaches(g: Geometry, types: Sequence[str]) -> Floats:
    """Return how far a healthy cell of each type reaches from its centre, (n_types,), um."""
    out = np.array([0.5 * g.anatomy.cell_diameter[name] for name in types])
    number = int((g.cells.type == g.types.index("LSEC")).sum())
    own = g.network.kind == SINUSOID
    lined = float(g.network.length[own].sum()) / max(number, 1)
    flat = (0.5 * (0.5 * lined + g.anatomy.sinusoid_radius), g.anatomy.sinusoid_spacing)
    for name, reach in zip(FLAT, flat, strict=True):
        k = types.index(name)
        out[k] = max(out[k], reach)
    return out


def touching(position: Floats, reach: Floats, lobule: Ints) -> tuple[Ints, Ints]:
    """Return all pairs of cells that touch, both ways round: receivers and senders, (n_pairs,) each.

    Parameters
    ----------
    position : (n, 3) float array
        um.
    reach : (n,) float array
        um.
    lobule : (n,) int array
        Cells of different lobules do not touch, as in the mechanics.

    Raises
    ------
    EngineError
        If a cell is nowhere or reaches nowhere (names the cell).
    """
    near = contacts(position, reach, REACH)
    receiver = np.repeat(np.arange(len(reach)), np.diff(near.start))
    sender = near.other.astype(np.int64)
    together = lobule[receiver] == lobule[sender]
    return receiver[together], sender[together]


class Contacts:
    """Which cells see which contact signal, and how much of it.

    Parameters
    ----------
    model : CompiledModel
    tissue : Tissue
        In space.
    comps : Compartments
    programs : sequence of ZoneProgram
        Name what is seen by whom.

    Attributes
    ----------
    names : tuple of str
        Contact signals.
    who : tuple of (int, int)
        Signal and cell type that sees it.
    kinds : tuple
        Kinds of contact.
    """

    def __init__(
        self, model: CompiledModel, tissue: Tissue, comps: Compartments, programs: Sequence[ZoneProgram]
    ) -> None:
        if tissue.space is None:
            raise ValueError("cells touch in space only")
        self._model, self._tissue, self._comps, self._programs = model, tissue, comps, programs
        self._reach = reaches(tissue.space.geometry, comps.types)
        self._flat = np.isin(np.array(comps.types), FLAT)
        self._touch: dict[str, dict[int, Touch]] = {}
        for t in model.fates.touches:
            name, _, zone = model.state_names[t.state].partition("@")
            self._touch.setdefault(name.removeprefix("signal."), {})[int(zone) - 1] = t
        self.names = tuple(self._touch)
        seen = {(slot, cell) for p in programs for slot, cell in p.seen}
        pairs = {(f, cell) for f, n in enumerate(self.names) for t in self._touch[n].values() for x, cell in seen
                 if x == t.free}  # fmt: skip
        self.who = tuple(sorted((f, comps.types.index(cell)) for f, cell in pairs))
        self.kinds = tuple(k for i in range(len(self.who)) for k in self._kinds_of(i))
        n_zones = len(programs)
        self._rest = np.array([[model.rest[self._touch[n][z].state] for z in range(n_zones)] for n in self.names])
        self._healthy = np.zeros((len(self.kinds), n_zones))
        self._presenting = [np.flatnonzero(k.presents) for k in self.kinds]
        self._level = [np.array([self._touch[n][z].state for z in range(n_zones)]) for n in self.names]

    def _kinds_of(self, who: int) -> list[_Kind]:
        f, receiver = self.who[who]
        touch, c = self._touch[self.names[f]], self._comps
        found = []
        for cell in dict.fromkeys(p.cell for t in touch.values() for p in t.by):
            share = np.zeros(len(self._programs))
            density = np.full(len(self._programs), NOTHING)
            presents = np.zeros(c.n, dtype=bool)
            for z, t in touch.items():
                for p in (p for p in t.by if p.cell == cell):
                    share[z], density[z] = p.share, p.density
                    presents |= np.isin(c.state[z], np.array(p.states))
            found.append(_Kind(who, receiver, c.types.index(cell), share, density, presents))
        return found

    def _pairs(self, state: State) -> tuple[Ints, Ints, Ints, Ints]:
        """Return receivers, senders and their sites among cells of types that send or receive anything."""
        cells, n = state.cells, state.n
        type_ = self._comps.type_of[cells.comp[:n]]
        own = np.flatnonzero(np.isin(type_, [t for k in self.kinds for t in (k.receiver, k.sender)]))
        larger = np.where(self._flat[type_[own]], state.scale, np.cbrt(cells.volume[own]))
        reach = self._reach[type_[own]] * larger
        receiver, sender = touching(cells.position[own], reach, self._lobule(cells.site[own]))
        return own[receiver], own[sender], cells.site[own[receiver]], cells.site[own[sender]]

    def _lobule(self, site: Ints) -> Ints:
        space = self._tissue.space
        return np.zeros_like(site) if space is None else space.geometry.sites.lobule[space.order][site]

    def measure_health(self, state: State) -> None:
        """Take the contacts of a healthy tissue as what later ones are compared with."""
        receiver, sender, at, of = self._pairs(state)
        comp, zone = state.cells.comp[: state.n], self._tissue.zone
        type_ = self._comps.type_of[comp]
        for q, k in enumerate(self.kinds):
            chosen = (type_[receiver] == k.receiver) & (type_[sender] == k.sender)
            fraction = self._comps.rest[:, k.presents & (self._comps.type_of == k.sender)].sum(axis=1)
            worth = (fraction * self._rest[self.who[k.who][0]])[zone[of[chosen]]]
            sums = np.bincount(zone[at[chosen]], weights=worth, minlength=len(self._programs))
            there = zone[state.cells.site[: state.n][type_ == k.receiver]]
            self._healthy[q] = sums / np.maximum(np.bincount(there, minlength=len(self._programs)), 1)

    def count(self, state: State) -> Touching:
        """Return who touches whom, as chances between sites."""
        n_sites, site = self._tissue.n_sites, state.cells.site[: state.n]
        receiver, sender, at, of = self._pairs(state)
        comp = state.cells.comp[: state.n]
        type_ = self._comps.type_of[comp]
        tables, bare = [], np.zeros((len(self.kinds), n_sites), dtype=bool)
        for q, k in enumerate(self.kinds):
            here = np.bincount(site[type_ == k.receiver], minlength=n_sites)
            presents = k.presents[comp]
            active, every = (np.bincount(site[x], minlength=n_sites) for x in (presents, type_ == k.sender))
            # Of the cells that present now, as they lie; where none does, of all cells of the type.
            ready = active[of] > 0
            chosen = (type_[receiver] == k.receiver) & np.where(ready, presents[sender], type_[sender] == k.sender)
            key, number = np.unique(at[chosen] * n_sites + of[chosen], return_counts=True)
            i, j = key // n_sites, key % n_sites
            senders = np.where(active[j] > 0, active[j], every[j])
            tables.append(np.column_stack([np.full(len(i), q), i, j, number / (here[i] * senders)]))
            bare[q] = (here == 0) | (self._healthy[q, self._tissue.zone] <= 0.0)
        table = np.concatenate(tables) if tables else np.zeros((0, 4))
        return Touching(table[:, :3].astype(np.int64), table[:, 3].copy(), bare)

    def fill(
        self, rows: Sequence[Floats], sites: Sequence[Ints], count: Floats, touching: Touching, params: Floats
    ) -> None:
        """Fill in what each cell type sees, after the first operations of all rows are done.

        Parameters
        ----------
        rows : sequence of (n_sites_of_zone, width) float array
            Changed in place.
        sites : sequence of int array
            Of each zone.
        count : (n_sites, n_comps) float array
            Cells.
        touching : Touching
        params : (n_params,) float array
            In force.
        """
        zone, n_sites = self._tissue.zone, self._tissue.n_sites
        out = np.zeros((len(self.who), n_sites))
        each: dict[int, Floats] = {}
        edges = np.searchsorted(touching.at[:, 0], np.arange(len(self.kinds) + 1))
        for q, k in enumerate(self.kinds):
            f = self.who[k.who][0]
            if f not in each:
                each[f] = self._presented(rows, sites, f, k.who)
            _, i, j = touching.at[edges[q] : edges[q + 1]].T
            worth = count[:, self._presenting[q]].sum(axis=1) * each[f]
            met = np.bincount(i, touching.chance[edges[q] : edges[q + 1]] * worth[j], n_sites)
            healthy = self._healthy[q, zone]
            seen = np.divide(met, healthy, out=np.zeros(n_sites), where=healthy > 0.0) * self._rest[f][zone]
            bare = touching.bare[q]
            if bare.any():
                seen[bare] = (self._read(rows, sites, k.density) * each[f])[bare]
            out[k.who] += k.share[zone] * seen
        for w, (f, receiver) in enumerate(self.who):
            name = self._comps.types[receiver]
            free = params[self._model.position(f"free.{self.names[f]}")]
            for z, own in enumerate(sites):
                column = self._programs[z].seen.get((self._touch[self.names[f]][z].free, name))
                if column is not None:
                    rows[z][:, column] = free * out[w, own]

    def _presented(self, rows: Sequence[Floats], sites: Sequence[Ints], f: int, who: int) -> Floats:
        """Return what the senders of a signal present, each: the level at their site over their density there."""
        zone = self._tissue.zone
        around = np.zeros(self._tissue.n_sites)
        for k in self.kinds:
            if k.who == who:
                around += k.share[zone] * self._read(rows, sites, k.density)
        level = self._read(rows, sites, self._level[f])
        return np.divide(level, around, out=np.zeros(len(level)), where=around > _LEAST)

    def _read(self, rows: Sequence[Floats], sites: Sequence[Ints], slot: Ints) -> Floats:
        """Return a quantity at all sites, (n_sites,), from its slot in each zone; 0 where a zone has none."""
        out = np.zeros(self._tissue.n_sites)
        for z, own in enumerate(sites):
            if slot[z] != NOTHING:
                out[own] = rows[z][:, self._programs[z].column[int(slot[z])]]
        return out
