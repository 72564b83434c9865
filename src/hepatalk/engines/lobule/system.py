"""What happens over a tissue in a step: levels move, cells grow, meet their fates and arrive, blood finds its way."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from hepatalk.engines.lobule import census_kernels, kernels, site_kernels
from hepatalk.engines.lobule.drifting import Drift
from hepatalk.engines.lobule.layout import Evaluation, Layout
from hepatalk.engines.lobule.mechanics import MOVE_EVERY_H
from hepatalk.engines.lobule.soundness import check_cells, check_flow
from hepatalk.engines.lobule.state import State
from hepatalk.engines.lobule.tables import Source
from hepatalk.errors import EngineError
from hepatalk.model.fates import NOTHING

__all__ = ["LobuleSystem"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

#: How often the network of sinusoids is solved, in h.
FLOW_EVERY_H = 1.0
#: Blood, or functional mass, relative to health, below which what blood carries is found as if there were so much.
LEAST_BLOOD = 1e-3
#: The longest time for which cells crawl between two looks, in h.
MOST_WALK_H = 2.0 * MOVE_EVERY_H
#: Errors are relative to this + the size of a quantity.
_SCALE = 0.05
#: How much larger the error at one site may be than the root mean square over the sites of its zone.
SINGLE_SITE = 10.0


class LobuleSystem(Layout):
    """A model over a tissue, and the steps that it takes; made as `hepatalk.engines.lobule.layout.Layout`."""

    #: Who climbs which signal: as the records say, unless another is set.
    drift: Drift | None = None

    # --------------------------------------------------------------------------------------------------- steps

    def advance(self, state: State, now: Evaluation, then: Evaluation, h: float) -> tuple[list[Floats], Floats, float]:
        """Return levels and states of the body after ``h`` hours, with the mean of two evaluations.

        The third number is the error of transport, in tolerances.
        """
        carried = 0.0
        level: list[Floats] = []
        production: list[Floats] = []
        loss: list[Floats] = []
        for z in range(self.zones):
            out = np.empty(state.level[z].shape)
            made = 0.5 * (now.production[z] + then.production[z])
            lost = 0.5 * (now.loss[z] + then.loss[z])
            site_kernels.advance_local(out, state.level[z], made, lost, h)
            level.append(out)
            production.append(made)
            loss.append(lost)
        if self.carriage is not None:
            # The first of the two steps is only what the second is held against.
            judged = then is not now
            carried = self.carriage.advance(level, state.level, production, loss, self.sites, state, h, judged)
            carried /= self.tolerance
        body = np.empty((1, len(state.body)))
        made = 0.5 * (now.body_production + then.body_production)
        lost = 0.5 * (now.body_loss + then.body_loss)
        site_kernels.advance_local(body, state.body[None, :], made, lost, h)
        return level, body[0], carried

    def error(self, level: Sequence[Floats], body: Floats, new_level: Sequence[Floats], new_body: Floats) -> float:
        """Return the difference between two steps, in tolerances: of the body, of the sites of a zone, of any site.

        A cell that comes or goes beside one site among hundreds is a jump that no step is short enough for. So the
        bound is that of the root mean square over the sites of a zone, of the quantity that is worst, and one site may
        be off by `SINGLE_SITE` times as much.
        """
        parts = [float((np.abs(new_body - body) / (_SCALE + np.abs(new_body))).max())]
        for a, b in zip(level, new_level, strict=True):
            typical, worst = site_kernels.difference(a, b, _SCALE)
            parts += [typical, worst / SINGLE_SITE]
        return float(np.max(parts)) / self.tolerance

    def foreseen(self, state: State, now: Evaluation, h: float) -> tuple[Floats, Floats, Floats]:
        """Return the census that is to be expected after ``h`` hours; labels, on which no rate depends, are as now."""
        count, volume, marked = now.census
        law, size = self._growth(state, now)
        growth = law[:, 0] * size ** law[:, 2] - law[:, 1]
        count, volume = census_kernels.foresee(count, volume, now.rates, now.chances, self.fates, growth, h)
        for z, sites in enumerate(self.sites):
            sources, pace, chance = self._coming(state, now, z)
            for k, s in enumerate(sources):
                for comp, share in ((s.target, 1.0 - chance[:, k]), (s.other, chance[:, k])):
                    if comp != NOTHING:
                        count[sites, comp] += share * pace[:, k] * h
                        volume[sites, comp] += share * pace[:, k] * h
        return count, volume, marked

    def move_cells(self, state: State, now: Evaluation, then: Evaluation, h: float) -> None:
        """Let cells grow, meet their fates and arrive, for ``h`` hours, with the mean of two evaluations.

        Raises
        ------
        EngineError
            If there was no room for new cells, or a number of a cell is not finite (names it).
        """
        before = state.n
        rates, chances = 0.5 * (now.rates + then.rates), 0.5 * (now.chances + then.chances)
        self._grow(state, now, then, h)
        c, f = state.cells, self.fates
        kernels.tick(c.clock, c.fired, c.site, c.comp, state.n, rates, f.zone_of, f.start, f.rate, self.comps.n, h)
        n, ident = kernels.resolve(
            state.cells,
            state.n,
            state.ident,
            self.seed,
            rates,
            chances,
            self.fates,
            self._descent(state, now),
            state.tally,
        )
        for z in range(self.zones):
            if n == kernels.FULL:
                break
            n, ident = self._arrive(state, now, then, z, n, ident, h)
        if n == kernels.FULL:
            raise EngineError(f"too many new cells in one step at {state.time_h:.6g} h; use a smaller tolerance")
        state.n, state.ident = n, ident
        check_cells(state, self.comps, self.tissue, state.time_h + h)
        if self.motion is not None and n > before:
            self._place(state, before)

    def _place(self, state: State, before: int) -> None:
        """Give the cells that stand behind the first ``before`` ones their places: beside mothers, on vessels."""
        if self.motion is None or self.endothelium is None:
            return
        self.motion.place_daughters(state, before, self.endothelium.directions)
        self.motion.place_arrivals(state, before)
        self.endothelium.hold(state, np.arange(before, state.n))

    def give_room(self, state: State, now: Evaluation) -> None:
        """Let the tissue grow with its cells, cells push each other apart and vessels follow, every few hours."""
        if self.motion is None or self.endothelium is None or state.time_h - state.moved_at_h < MOVE_EVERY_H:
            return
        index = self.model.slot_index
        dead = sum(
            float(now.slots[index[f"dead.{manner}@{z}"]])
            for manner in ("necrotic", "apoptotic")
            for z in range(1, self.zones + 1)
        )
        hours = min(state.time_h - state.moved_at_h, MOST_WALK_H) if np.isfinite(state.moved_at_h) else 0.0
        if self.drift is not None:
            self.drift.walk(state, hours)
        self.motion.settle(state, dead / state.lobules, None if self.drift is None else self.drift.forces(state))
        if self.endothelium.renew(state, hours):
            state.flow_seen_at_h = -np.inf
        if self.drift is not None:
            self.drift.crawl(state, hours)
        self.motion.confine(state)
        self.see_contacts(state)

    def _growth(self, state: State, now: Evaluation) -> tuple[Floats, Floats]:
        """Return the law of growth at every site, (n_sites, 3), and the mean size of the cells there, (n_sites,)."""
        law = np.zeros((self.tissue.n_sites, 3))
        size = np.ones(self.tissue.n_sites)
        for z, (p, sites) in enumerate(zip(self.programs, self.sites, strict=True)):
            g = self.growing.get(str(z + 1))
            if g is None:
                continue
            law[sites, 0] = now.rows[z][:, p.column[g.synthesis]]
            law[sites, 1] = state.params[g.decay]
            law[sites, 2] = state.params[g.opposing]
            t = self.comps.types.index(g.cell)
            mass, count = (now.rows[z][:, p.column[int(x[z, t])]] for x in (self.comps.mass, self.comps.count))
            size[sites] = np.divide(mass, count, out=np.ones_like(mass), where=(count > 0.0) & (mass > 0.0))
        return law, size

    def _grow(self, state: State, now: Evaluation, then: Evaluation, h: float) -> None:
        (law, size), (later, larger) = self._growth(state, now), self._growth(state, then)
        law, size = 0.5 * (law + later), 0.5 * (size + larger)
        cells, own = state.cells, self.tissue.near is not None
        kernels.grow(cells.volume, cells.site, cells.comp, state.n, self.comps.has_mass, law, size, own, h)

    def _descent(self, state: State, now: Evaluation) -> Floats:
        """Return the share of bearers of each label of origin in the type of each compartment; -1 for other labels."""
        c = self.comps
        out = np.full((len(c.bits), self.zones, c.n), -1.0)
        for b in self.origin_bits:
            for z in range(self.zones):
                for t in np.flatnonzero(c.tracer[b, z] != NOTHING):
                    count = now.slots[c.count[z, t]]
                    share = now.slots[c.tracer[b, z, t]] / count if count > 0.0 else 0.0
                    out[b, z, c.type_of == t] = share
        return out

    def _coming(self, state: State, now: Evaluation, z: int) -> tuple[list[Source], Floats, Floats]:
        """Return what comes from the blood to the sites of a zone: cells per h, and chances of the other state."""
        c, sites = self.comps, self.sites[z]
        sources = [s for s in self.table.sources if s.zone == z]
        pace = np.empty((len(sites), len(sources)))
        chance = np.zeros(pace.shape)
        for k, s in enumerate(sources):
            # The rate is a fraction of the healthy number of the type, as if the whole zone were like the site.
            number = self.healthy_count[sites, s.type_] / c.share[z, s.type_]
            pace[:, k] = now.rows[z][:, s.rate] * number / state.lobules
            if s.chance != NOTHING:
                chance[:, k] = now.rows[z][:, s.chance]
        return sources, pace, chance

    def _arrive(
        self, state: State, now: Evaluation, then: Evaluation, z: int, n: int, ident: int, h: float
    ) -> tuple[int, int]:
        sources, pace, chance = self._coming(state, now, z)
        if not sources:
            return n, ident
        _, later, likelier = self._coming(state, then, z)
        return kernels.arrive(
            state.cells,
            n,
            ident,
            self.seed,
            state.waiting[z],
            state.drawn[z],
            0.5 * (pace + later),
            0.5 * (chance + likelier),
            self.sites[z],
            np.array([s.target for s in sources], dtype=np.int64),
            np.array([s.other for s in sources], dtype=np.int64),
            self.tissue.position,
            h,
        )

    def see_flow(self, state: State, now: Evaluation) -> None:
        """Solve the network of the moment with the radii of now, and what blood brings, if some time has passed."""
        if self.endothelium is None or state.time_h - state.flow_seen_at_h < FLOW_EVERY_H:
            return
        space = self.endothelium.space(state)
        radius = np.empty(self.tissue.n_sites)
        for z, (p, sites) in enumerate(zip(self.programs, self.sites, strict=True)):
            radius[sites] = now.rows[z][:, p.column[self.model.slot_index[f"radius@{z + 1}"]]]
        flow = space.flow_of(space.along_segments(radius))
        state.flow_at_sites = space.at_sites(flow)
        check_flow(state, self.tissue)
        if self.uptake is not None:
            more = max(float(now.slots[self.model.slot_index["blood"]]) / state.lobules, LEAST_BLOOD)
            state.carried = self.uptake.at_sites(
                space.network, flow, self._mass_at_sites(state, now), self._paces(now), more
            )
        state.flow_seen_at_h = state.time_h

    def _mass_at_sites(self, state: State, now: Evaluation) -> Floats:
        """Return the mass of hepatocytes beside each site relative to health, (n_sites,)."""
        t, c = self.comps.types.index("HEP"), self.comps
        out = np.empty(self.tissue.n_sites)
        for z, (p, sites) in enumerate(zip(self.programs, self.sites, strict=True)):
            out[sites] = now.rows[z][:, p.column[int(c.mass[z, t])]] / (state.lobules * c.share[z, t])
        return out

    def _paces(self, now: Evaluation) -> Floats:
        """Return what each unit of hepatocyte mass takes of each cargo relative to health: as fast as the body's law.

        The model clears a signal from the blood of the body at a relative rate, in proportion to all hepatocytes and
        to what acts on them: over their number it is the rate of each.
        """
        if self.uptake is None:
            return np.zeros(0)
        capacity = max(float(now.slots[self.model.slot_index["capacity"]]), LEAST_BLOOD)
        out = np.ones(len(self.uptake.names))
        for k, name in enumerate(self.uptake.signals):
            if name:
                clearance = self.model.params[self.model.position(f"clearance.{name.removeprefix('signal.')}")]
                at = int(np.flatnonzero(self.body.states == self.model.slot_index[name])[0])
                out[k] = now.body_loss[0, at] / (clearance * capacity)
        return out

    def see_death(self, state: State, before: Evaluation, h: float) -> None:
        """Note the moment at which the accumulated shortfall of function has become lethal."""
        m = self.model
        if state.died_at_h is not None or "deficit" not in m.slot_index:
            return
        limit = state.params[m.position("lethal_deficit")]
        at = m.slot_index["deficit"]
        now, then = before.slots[at], state.body[int(np.flatnonzero(self.body.states == at)[0])]
        if then >= limit:
            share = (limit - now) / (then - now) if then > now else 0.0
            state.died_at_h = state.time_h - h + min(max(share, 0.0), 1.0) * h
