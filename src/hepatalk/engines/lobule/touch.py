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
from hepatalk.engines.lobule.touch_kernels import Kinds, see
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
        self._level = [np.array([self._touch[n][z].state for z in range(n_zones)]) for n in self.names]
        self._lay_out()

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
        n_sites = self._tissue.n_sites
        out, held = np.empty((len(self.who), n_sites)), np.zeros((self._rows, n_sites))
        for row, own, (known, columns) in zip(rows, sites, self._held, strict=True):
            held[known[:, None], own] = row[:, columns].T
        see(
            out,
            held,
            count,
            self._tissue.zone,
            self._table,
            touching.at,
            touching.chance,
            touching.bare,
            self._healthy,
            self._rest,
        )
        for w, f, z, column in self._seen:
            rows[z][:, column] = params[self._free[f]] * out[w, sites[z]]

    def _lay_out(self) -> None:
        """Find the rows and columns of what is read and written at every step."""
        kinds, names = self.kinds, self.names
        slots = dict.fromkeys(
            [tuple(int(x) for x in level) for level in self._level] + [tuple(int(x) for x in k.density) for k in kinds]
        )
        place = {slot: row for row, slot in enumerate(slots)}
        self._rows = len(slots)
        self._held = []
        for z, p in enumerate(self._programs):
            known = [(row, p.column[slot[z]]) for slot, row in place.items() if slot[z] != NOTHING]
            self._held.append((np.array([r for r, _ in known], dtype=np.int64), [c for _, c in known]))
        signal = [self.who[k.who][0] for k in kinds]
        comps = [np.flatnonzero(k.presents) for k in kinds]
        self._table = Kinds(
            who=np.array([k.who for k in kinds], dtype=np.int64),
            signal=np.array(signal, dtype=np.int64),
            density=np.array([place[tuple(int(x) for x in k.density)] for k in kinds], dtype=np.int64),
            share=np.array([k.share for k in kinds]).reshape(len(kinds), len(self._programs)),
            start=np.cumsum([0, *map(len, comps)]).astype(np.int64),
            comps=np.concatenate([np.zeros(0, dtype=np.int64), *comps]),
            level=np.array([place[tuple(int(x) for x in level)] for level in self._level], dtype=np.int64),
            first=np.array(
                [
                    next((k.who for k, f in zip(kinds, signal, strict=True) if f == g), NOTHING)
                    for g in range(len(names))
                ],
                dtype=np.int64,
            ),
        )
        self._free = [self._model.position(f"free.{name}") for name in names]
        self._seen = []
        for w, (f, receiver) in enumerate(self.who):
            for z, p in enumerate(self._programs):
                touch = self._touch[names[f]].get(z)
                column = None if touch is None else p.seen.get((touch.free, self._comps.types[receiver]))
                if column is not None:
                    self._seen.append((w, f, z, column))
