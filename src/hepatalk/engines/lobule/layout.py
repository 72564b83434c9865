"""A model laid out over a tissue: from cells and levels to rates, and back to the states of the whole liver."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from hepatalk.engines.lobule.arrays import CellArrays, FateArrays
from hepatalk.engines.lobule.carriage import Carriage
from hepatalk.engines.lobule.census_kernels import count_cells, count_labels
from hepatalk.engines.lobule.endothelium import Endothelium
from hepatalk.engines.lobule.local import body_program, follow_local, places_of_slots, zone_program
from hepatalk.engines.lobule.mechanics import Motion
from hepatalk.engines.lobule.resting import at_rest
from hepatalk.engines.lobule.row_kernels import evaluate_sites, fill_rows
from hepatalk.engines.lobule.site_kernels import production_and_loss
from hepatalk.engines.lobule.state import State, first_cells
from hepatalk.engines.lobule.tables import compartments_of, fates_of
from hepatalk.engines.lobule.tissue import Tissue
from hepatalk.engines.lobule.touch import Contacts, Touching
from hepatalk.engines.lobule.uptake import Uptake
from hepatalk.engines.tape import evaluate
from hepatalk.errors import EngineError
from hepatalk.model.compiled import CompiledModel
from hepatalk.model.fates import NOTHING
from hepatalk.rng import Purpose, uniform

__all__ = ["LEAST_LINING", "Evaluation", "Layout"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

#: Lining of a site (relative to health) below which its sinusoids count as this many.
LEAST_LINING = 1e-3


@dataclass(frozen=True)
class Evaluation:
    """What the tape says at a moment.

    Attributes
    ----------
    slots : (n_slots,) float array
        Of the whole liver.
    rows : list of (n_sites_of_zone, width) float array
    rates, chances : (n_sites, n) float array
        Per h, and probabilities.
    production, loss : list of (n_sites_of_zone, n_moving) float array
    body_production, body_loss : (1, n_body) float array
    census : tuple of arrays
        As from `Layout.census`: the cells for which this holds.
    """

    slots: Floats
    rows: list[Floats]
    rates: Floats
    chances: Floats
    production: list[Floats]
    loss: list[Floats]
    body_production: Floats
    body_loss: Floats
    census: tuple[Floats, Floats, Floats]


def _where_there(slots: Ints) -> tuple[tuple[Ints, ...], Ints]:
    """Return the places of a table that name a slot, and the slots."""
    places = np.nonzero(slots != NOTHING)
    return places, slots[places]


class Layout:
    """A model over a tissue.

    Parameters
    ----------
    model : CompiledModel
    tissue : Tissue
    seed : int
    tolerance : float
        Bound of the error of a step.

    Raises
    ------
    EngineError
        For a model of two lobes, or a tissue without a cell that the model needs.
    """

    def __init__(self, model: CompiledModel, tissue: Tissue, seed: int, tolerance: float) -> None:
        place = places_of_slots(model)
        self.zones = model.zones
        index = model.slot_index
        self.comps = compartments_of(model)
        if tissue.space is not None:
            tissue = at_rest(tissue, self.comps, seed)
        self.model, self.tissue, self.seed, self.tolerance = model, tissue, seed, tolerance
        hepatocytes = tissue.expected[:, self.comps.types.index("HEP")]
        self.uptake = None if tissue.space is None else Uptake(model.anatomy, tissue, hepatocytes)
        densities: dict[int, list[int]] = {}
        for t in model.fates.touches if tissue.space is not None else ():
            densities.setdefault(int(place[t.state]), []).extend(p.density for p in t.by)
        local = () if self.uptake is None else tuple(index[name] for name in self.uptake.slots)
        self.programs = tuple(
            zone_program(
                model,
                z,
                follow_local(model, place, z, local),
                wanted=[index[f"radius@{z}"], index[f"volume@{z}"], *densities.get(z, ())],
                forced=[] if tissue.space is None else [index[f"sinusoid_flow@{z}"], *local],
                transported=tissue.space is not None,
                touched=() if tissue.space is None else [t.free for t in model.fates.touches if place[t.state] == z],
            )
            for z in range(1, model.zones + 1)
        )
        self.body = body_program(model)
        table = fates_of(model, self.comps, self.programs)
        self.table = table
        self.fates = FateArrays(
            zone_of=tissue.zone,
            gate=tissue.gate,
            start=table.start,
            rate=table.rate,
            kind=table.kind,
            target=table.target,
            other=table.other,
            chance=table.chance,
            zone=table.zone,
            size=table.size,
            walks=np.array([tissue.space is not None], dtype=np.uint8),
            has_mass=self.comps.has_mass,
        )
        self.motion = None if tissue.space is None else Motion(tissue, self.comps, seed)
        self.endothelium = None if tissue.space is None else Endothelium(tissue, self.comps)
        self.carriage = None if tissue.space is None else Carriage(model, tissue, self.programs, self._healthy_pace())
        edges = np.searchsorted(tissue.zone, np.arange(model.zones + 1))
        self.sites = tuple(np.arange(a, b) for a, b in pairwise(edges))
        self._lay_out()
        self.contacts: Contacts | None = None
        if self.motion is not None:
            self.contacts = self._contacts()

    # ------------------------------------------------------------------------------------------------- layout

    def _contacts(self) -> Contacts:
        """Return who sees whom, with the contacts of healthy cells at rest."""
        found = Contacts(self.model, self.tissue, self.comps, self.programs)
        state = self.healthy(*first_cells(self.comps, self.tissue, self.seed), 0.0)
        found.measure_health(state)
        return found

    def see_contacts(self, state: State) -> None:
        """Count who touches whom."""
        if self.contacts is None:
            return
        found = self.contacts.count(state)
        state.touch_at, state.touch_chance, state.touch_bare = found.at, found.chance, found.bare

    def _lay_out(self) -> None:
        """Find which columns of the rows take cells, and how many cells health has beside each site."""
        c, m = self.comps, self.model
        n_types = len(c.types)
        self.healthy_count = self._beside(self.tissue.expected)
        self.healthy_zone = np.stack([self.tissue.expected[s].sum(axis=0) for s in self.sites])
        missing = (self.healthy_zone <= 0.0) & (c.share > 0.0)
        if missing.any():
            zone, cell = np.argwhere(missing)[0]
            raise EngineError(
                f"the tissue has no {c.types[cell]} in zone {zone + 1}; allowed: some; build a larger tissue"
            )
        self.comp_columns, self.sum_columns = [], []
        for z, p in enumerate(self.programs):
            own = np.flatnonzero(c.state[z] != NOTHING)
            self.comp_columns.append((own, np.array([p.column[int(s)] for s in c.state[z, own]])))
            kinds = np.flatnonzero(c.count[z] != NOTHING)
            massive = np.flatnonzero(c.mass[z] != NOTHING)
            self.sum_columns.append(
                (
                    kinds,
                    np.array([p.column[int(s)] for s in c.count[z, kinds]]),
                    massive,
                    np.array([p.column[int(s)] for s in c.mass[z, massive]], dtype=np.int64),
                )
            )
        # The same for the whole liver, all zones at once: where a number stands, and the slot that takes it.
        self.first_site = np.array([s[0] for s in self.sites])
        self.whole_comps = _where_there(c.state)
        self.whole_types = (_where_there(c.count), _where_there(c.mass))
        self.whole_labels = _where_there(c.tracer)
        self.moved = [p.states[p.moving] for p in self.programs]
        self.one_hot = np.zeros((c.n, n_types))
        self.one_hot[np.arange(c.n), c.type_of] = 1.0
        self.growing = {g.place: g for g in m.fates.growing}
        origin = [b for b, name in enumerate(c.bits) if name.startswith("from_")]
        self.origin_bits = np.array(origin, dtype=np.int64)

    def _healthy_pace(self) -> list[tuple[Floats, Floats]]:
        """Return production and loss of the moving states of each zone in health, per h."""
        m, out = self.model, []
        slots = np.empty(m.n_states + m.n_ops)
        slots[: m.n_states] = m.rest
        evaluate(slots, m.params, m.law, m.input_start, m.inputs, m.argument_start, m.arguments)
        for p in self.programs:
            row = np.zeros((1, p.width))
            row[0, : len(p.external)] = slots[p.external]
            row[0, [p.column[int(s)] for s in (*p.states, *p.forced)]] = slots[[*p.states, *p.forced]]
            evaluate_sites(row, m.params, p.law, p.input_start, p.inputs, p.argument_start, p.arguments)
            level, f = m.rest[p.states[p.moving]][None, :], p.fluxes
            made, lost = np.empty(level.shape), np.empty(level.shape)
            production_and_loss(made, lost, row, level, m.params, f.start, f.place, f.coefficient, f.tau)
            out.append((made[0], lost[0]))
        return out

    def _beside(self, by_site: Floats) -> Floats:
        """Return what a site has beside it: its own, or the mean over the sites near it."""
        near = self.tissue.near
        return by_site if near is None else np.asarray(near @ by_site)

    # ------------------------------------------------------------------------------------------------- states

    def healthy(self, cells: CellArrays, n: int, ident: int, time_h: float) -> State:
        """Return the healthy state with the given cells."""
        m = self.model
        sources = [sum(s.zone == z for s in self.table.sources) for z in range(self.zones)]
        waiting = []
        for z, kinds in enumerate(sources):
            draws = [
                [
                    -np.log(1.0 - uniform(self.seed, -1 - (int(s) * kinds + k), 0, int(Purpose.RECRUITMENT)))
                    for k in range(kinds)
                ]
                for s in self.sites[z]
            ]
            waiting.append(np.array(draws).reshape(len(self.sites[z]), kinds))
        state = State(
            time_h=time_h,
            lobules=1.0,
            params=m.params.copy(),
            body=m.rest[self.body.states].copy(),
            level=[
                np.tile(m.rest[p.states[p.moving]], (len(s), 1)) for p, s in zip(self.programs, self.sites, strict=True)
            ],
            cells=cells,
            n=n,
            ident=ident,
            waiting=waiting,
            drawn=[np.zeros(w.shape, dtype=np.int64) for w in waiting],
            tally=np.zeros(len(self.table.kind), dtype=np.int64),
            step_h=0.0,
            flow_at_sites=np.ones(self.tissue.n_sites),
            touch_at=np.zeros((0, 3), dtype=np.int64),
            touch_chance=np.zeros(0),
            touch_bare=np.zeros((0, self.tissue.n_sites), dtype=np.bool_),
            carried=np.ones((0 if self.uptake is None else len(self.uptake.names), self.tissue.n_sites)),
            network=None if self.tissue.space is None else self.tissue.space.network,
        )
        self.see_contacts(state)
        return state

    def make_fresh(self, state: State) -> None:
        """Make all labels fresh: every cell undivided, of its own origin. A label that a user set stays."""
        c, cells, n = self.comps, state.cells, state.n
        cells.comp[:n] = c.fresh[cells.comp[:n]]
        bits = np.zeros(len(c.types), dtype=np.int64)
        for b in range(len(c.bits)):
            bits |= c.marked_at_start[b].astype(np.int64) << b
        origins = np.bitwise_or.reduce(1 << self.origin_bits) if len(self.origin_bits) else 0
        cells.marks[:n] = (cells.marks[:n] & ~origins) | bits[c.type_of[cells.comp[:n]]]
        cells.clone[:n] = cells.ident[:n]

    def census(self, state: State) -> tuple[Floats, Floats, Floats]:
        """Return cells and volume by site and compartment, and the bearers of each label by zone and type."""
        c = self.comps
        marked = np.zeros((len(c.bits), self.zones, len(c.types)))
        count_labels(state.cells, state.n, self.tissue.zone, c.type_of, marked)
        return *count_cells(state.cells, state.n, self.tissue.n_sites, c.n), marked

    def sums(self, state: State) -> Floats:
        """Return the states of the whole liver, (n_states,), in the units of the model."""
        return self._sums(state, self.census(state), state.level, state.body)

    def _sums(
        self, state: State, census: tuple[Floats, Floats, Floats], level: Sequence[Floats], body: Floats
    ) -> Floats:
        m, c = self.model, self.comps
        count, volume, marked = census
        out = np.zeros(m.n_states)
        out[self.body.states] = body
        scale = np.divide(
            state.lobules * c.share, self.healthy_zone, out=np.zeros(c.share.shape), where=self.healthy_zone > 0.0
        )
        # Cells of each zone, by compartment and by type.
        here, large = (np.add.reduceat(x, self.first_site, axis=0) for x in (count, volume))
        of_type = (here @ self.one_hot, large @ self.one_hot)
        (z, own), slot = self.whole_comps
        out[slot] = here[z, own] * scale[z, c.type_of[own]]
        for known, ((z, t), slot) in zip(of_type, self.whole_types, strict=True):
            out[slot] = known[z, t] * scale[z, t]
        (b, z, t), slot = self.whole_labels
        out[slot] = marked[b, z, t] * scale[z, t]
        for moved, sites, here_level in zip(self.moved, self.sites, level, strict=True):
            out[moved] = self.tissue.weight[sites[0] : sites[-1] + 1] @ here_level
        return out

    # --------------------------------------------------------------------------------------------- evaluation

    def evaluation(
        self,
        state: State,
        *,
        level: Sequence[Floats] | None = None,
        body: Floats | None = None,
        time_h: float | None = None,
        census: tuple[Floats, Floats, Floats] | None = None,
    ) -> Evaluation:
        """Evaluate the tape for the whole liver and at every site.

        Parameters
        ----------
        state : State
        level, body : arrays, optional
            In place of those of the state.
        time_h : float, optional
            For messages.
        census : tuple of arrays, optional
            In place of the cells of the state.

        Raises
        ------
        EngineError
            If a quantity is not finite; names it and the site.
        """
        m = self.model
        level = state.level if level is None else level
        body = state.body if body is None else body
        census = self.census(state) if census is None else census
        slots = np.empty(m.n_states + m.n_ops)
        slots[: m.n_states] = self._sums(state, census, level, body)
        evaluate(slots, state.params, m.law, m.input_start, m.inputs, m.argument_start, m.arguments)
        rows, production, loss = [], [], []
        for z, row in enumerate(self._evaluated(state, census, level, slots)):
            p = self.programs[z]
            made, lost = np.empty(level[z].shape), np.empty(level[z].shape)
            f = p.fluxes
            production_and_loss(made, lost, row, level[z], state.params, f.start, f.place, f.coefficient, f.tau)
            rows.append(row)
            production.append(made)
            loss.append(lost)
        made, lost = np.empty((1, len(body))), np.empty((1, len(body)))
        f = self.body.fluxes
        production_and_loss(
            made, lost, slots[None, :], body[None, :], state.params, f.start, f.place, f.coefficient, f.tau
        )
        rates, chances = self._gathered(rows, state.params)
        self._check(production, loss, made, state.time_h if time_h is None else time_h)
        self._check_rates(rates, state.time_h if time_h is None else time_h)
        return Evaluation(slots, rows, rates, chances, production, loss, made, lost, census)

    def _evaluated(
        self, state: State, census: tuple[Floats, Floats, Floats], level: Sequence[Floats], slots: Floats
    ) -> list[Floats]:
        """Return the rows of all zones with their operations done: what cells see of contacts comes in between."""
        rows = []
        beside = (self._beside(census[0]), self._beside(census[1]))
        for z, p in enumerate(self.programs):
            row = self._rows(state, z, beside, level[z], slots)
            evaluate_sites(row if not p.late else row[:, : -p.late], state.params, *p.early)
            rows.append(row)
        if self.contacts is not None:
            touching = Touching(state.touch_at, state.touch_chance, state.touch_bare)
            self.contacts.fill(rows, self.sites, census[0], touching, state.params)
        for row, p in zip(rows, self.programs, strict=True):
            if p.late:
                evaluate_sites(row, state.params, *p.last)
        return rows

    def _rows(self, state: State, z: int, beside: tuple[Floats, Floats], level: Floats, slots: Floats) -> Floats:
        """Return the rows of a zone with everything in front of the operations filled in.

        The numbers ``beside`` are cells and volume by site and compartment, those in contact included.
        """
        m, c, p, sites = self.model, self.comps, self.programs[z], self.sites[z]
        part = slice(sites[0], sites[-1] + 1)
        row = np.empty((len(sites), p.width))
        healthy = self.healthy_count[part]
        scale = np.divide(state.lobules * c.share[z], healthy, out=np.zeros_like(healthy), where=healthy > 0.0)
        own, columns = self.comp_columns[z]
        fill_rows(
            row,
            slots[p.external],
            p.width - len(p.law),
            beside[0][part],
            beside[1][part],
            scale,
            c.type_of,
            own,
            columns,
            *self.sum_columns[z],
        )
        # A type that health does not have near a site is there as it is in the zone.
        for t in np.flatnonzero((healthy <= 0.0).any(axis=0) & (c.share[z] > 0.0)):
            bare = np.flatnonzero(healthy[:, t] <= 0.0)
            mine = own[c.type_of[own] == t]
            row[np.ix_(bare, columns[c.type_of[own] == t])] = slots[c.state[z, mine]]
            row[bare, p.column[int(c.count[z, t])]] = slots[c.count[z, t]]
            if c.mass[z, t] != NOTHING:
                row[bare, p.column[int(c.mass[z, t])]] = slots[c.mass[z, t]]
        row[:, len(p.external) + p.moving] = level
        if self.carriage is not None:
            lining = row[:, p.column[int(c.count[z, c.types.index("LSEC")])]] / (
                state.lobules * c.share[z, c.types.index("LSEC")]
            )
            inflow = slots[m.slot_index["blood"]] / state.lobules
            forced = state.flow_at_sites[sites] * inflow / np.maximum(lining, LEAST_LINING)
            row[:, p.column[m.slot_index[f"sinusoid_flow@{z + 1}"]]] = forced
        if self.uptake is not None:
            for k, name in enumerate(self.uptake.slots):
                slot = m.slot_index[name]
                row[:, p.column[slot]] = slots[slot] * state.carried[k, sites]
        return row

    def _gathered(self, rows: Sequence[Floats], params: Floats) -> tuple[Floats, Floats]:
        """Return rates and chances of all sites side by side."""
        t = self.table
        n = self.tissue.n_sites
        rates = np.zeros((n, max(len(x) for x in t.rate_column)))
        chances = np.zeros((n, max(1, *(len(x) for x in t.chance_column))))
        for z, sites in enumerate(self.sites):
            columns, constant = t.rate_column[z], t.constant[z]
            block = rows[z][:, columns]
            fixed = np.flatnonzero(constant != NOTHING)
            block[:, fixed] = params[constant[fixed]]
            rates[sites[0] : sites[-1] + 1, : len(columns)] = block
            chances[sites[0] : sites[-1] + 1, : len(t.chance_column[z])] = rows[z][:, t.chance_column[z]]
        return rates, chances

    def _check(self, production: Sequence[Floats], loss: Sequence[Floats], body: Floats, time_h: float) -> None:
        for z, p in enumerate(self.programs):
            bad = ~(np.isfinite(production[z]) & np.isfinite(loss[z]))
            if bad.any():
                i, k = np.argwhere(bad)[0]
                name = self.model.state_names[p.states[p.moving[k]]].partition("@")[0]
                raise EngineError(
                    f"{name!r} is not finite at site {self.sites[z][i]} (zone {z + 1}) at {time_h:.6g} h; "
                    "check the parameters set"
                )
        if not np.isfinite(body).all():
            name = self.model.state_names[self.body.states[int(np.argwhere(~np.isfinite(body[0]))[0, 0])]]
            raise EngineError(f"{name!r} of the body is not finite at {time_h:.6g} h; check the parameters set")

    def _check_rates(self, rates: Floats, time_h: float) -> None:
        """Raise if a rate is not finite: a clock that loses such a number would stand for ever, and say nothing."""
        if np.isfinite(rates).all():
            return
        t, n = self.table, self.comps.n
        site, column = np.argwhere(~np.isfinite(rates))[0]
        zone = int(self.tissue.zone[site])
        own = np.arange(t.start[zone * n], t.start[(zone + 1) * n])
        process = next(t.process[j] for j in own if t.rate[j] == column)
        raise EngineError(
            f"the rate of {process!r} is not finite at site {site} (zone {zone + 1}) at {time_h:.6g} h; "
            "check the parameters set"
        )
