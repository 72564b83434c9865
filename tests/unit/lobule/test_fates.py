"""The fates of cells and the levels of sites are the tape's: no rule is lost, none counts twice, none is another."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from hepatalk.engines.lobule.state import State, first_cells
from hepatalk.engines.lobule.system import LobuleSystem
from hepatalk.engines.lobule.tables import compartments_of
from hepatalk.engines.lobule.tissue import Tissue, zones_only
from hepatalk.engines.population.engine import PopulationEngine
from hepatalk.knowledge import load
from hepatalk.model import compile_model
from hepatalk.model.compiled import CompiledModel
from hepatalk.model.fates import NOTHING, FateKind

Floats = npt.NDArray[np.float64]
EVERY = range(3)


@pytest.fixture(scope="module")
def model() -> CompiledModel:
    return compile_model(load())


def numbers(model: CompiledModel, hepatocytes: int) -> dict[str, int]:
    return {t: round(hepatocytes * model.anatomy[f"{t}.number"]) for t in model.fates.cells}


def any_state(model: CompiledModel, seed: int) -> Floats:
    """Return a state that no run visits; some compartments are empty."""
    rng = np.random.default_rng(seed)
    y = model.rest * np.exp(rng.normal(0.0, 1.0, model.n_states))
    for i, name in enumerate(model.state_names):
        if name.startswith("node."):
            y[i] = rng.uniform(0.0, 1.0)
        elif name == "inflow_response":
            y[i] = rng.uniform(-0.5, 0.5)
        elif name.startswith(model.fates.cells) and ".mass@" not in name and rng.uniform() < 0.1:
            y[i] = 0.0
    # Compartments that health leaves empty have cells too.
    for indices in (model.groups[c] for c in model.fates.cells):
        y[indices] += rng.uniform(0.0, 0.01, len(indices))
    return y


def evaluated(model: CompiledModel, y: Floats) -> tuple[Floats, Floats, Floats]:
    """Return all slots, the derivative, and the turnover: the same sum with every flux counted as positive."""
    system = PopulationEngine().system(model)
    slots, yp = system.values(y).copy(), np.empty(model.n_states)
    system.rhs(0.0, y, yp)
    fluxes = np.append(np.abs(model.coefficient * slots[model.flux]), 0.0)
    return slots, yp, np.add.reduceat(fluxes, model.flux_start[:-1]) * (np.diff(model.flux_start) > 0)


def by_fates(model: CompiledModel, slots: Floats, y: Floats, without: int | None = None) -> Floats:
    """Return what the fates say of cells, their numbers and their mass, per h; 0 for all other states."""
    f, index, out = model.fates, model.slot_index, np.zeros(model.n_states)

    def gain(state: int, amount: float, mass: float) -> None:
        """Add cells to a compartment and to the number of its type; and mass, if the type has any."""
        name, _, place = model.state_names[state].partition("@")
        cell = name.partition(".")[0]
        out[[state, index[f"{cell}.count@{place}"]]] += amount
        if f"{cell}.mass@{place}" in index:
            out[index[f"{cell}.mass@{place}"]] += mass

    def size(state: int) -> float:
        name, _, place = model.state_names[state].partition("@")
        cell = name.partition(".")[0]
        mass = index.get(f"{cell}.mass@{place}")
        return 1.0 if mass is None else float(y[mass] / y[index[f"{cell}.count@{place}"]])

    for j in (j for j in range(len(f.kind)) if j != without):
        rate = slots[f.rate[j]] if f.rate[j] != NOTHING else model.params[f.constant[j]]
        other = slots[f.chance[j]] if f.chance[j] != NOTHING else 0.0
        origin, target, second = int(f.origin[j]), int(f.target[j]), int(f.other[j])
        kind = FateKind(int(f.kind[j]))
        if kind == FateKind.ARRIVAL:
            gain(target, rate * (1.0 - other), 0.0)
            if second != NOTHING:
                gain(second, rate * other, 0.0)
            continue
        flow = rate * y[origin]
        gain(origin, -flow, -flow * size(origin))
        if kind == FateKind.DIVISION:
            gain(target, 2.0 * flow * (1.0 - other), flow * (1.0 - other) * size(origin))
            if second != NOTHING:
                gain(second, flow * other, flow * other * size(origin))
        elif kind in (FateKind.MOVE, FateKind.MIGRATION):
            gain(target, flow, flow * size(origin))
        elif kind == FateKind.CONVERSION:
            here, there = (model.state_names[s].partition(".")[0] for s in (origin, target))
            ratio = model.anatomy[f"{here}.number"] / model.anatomy[f"{there}.number"]
            gain(target, ratio * flow, ratio * flow * f.size[j])
    for g in f.growing:
        mass, count = (index[f"{g.cell}.{word}@{g.place}"] for word in ("mass", "count"))
        v = y[mass] / y[count]
        out[mass] += y[mass] * (slots[g.synthesis] * v ** model.params[g.opposing] - model.params[g.decay])
    return out


def of_cells(model: CompiledModel) -> Floats:
    """Return which states count cells or their mass."""
    chosen = np.zeros(model.n_states, dtype=bool)
    chosen[np.concatenate([model.groups[c] for c in model.fates.cells])] = True
    words = (".count@", ".mass@")
    return chosen | np.array([any(w in n for w in words) for n in model.state_names])


def consistent(model: CompiledModel, y: Floats) -> Floats:
    """Return the state with numbers that are the sums of their compartments."""
    y = y.copy()
    for i, name in enumerate(model.state_names):
        cell, _, place = name.partition(".count@")
        if place:
            own = [s for s in model.groups[cell] if model.state_names[s].endswith(f"@{place}")]
            y[i] = y[own].sum()
    return y


@pytest.mark.parametrize("seed", EVERY)
def test_fates_and_growth_are_all_that_moves_cells(model: CompiledModel, seed: int) -> None:
    y = consistent(model, any_state(model, seed))
    slots, yp, turnover = evaluated(model, y)
    cells = of_cells(model)
    assert cells.sum() > 300
    got = by_fates(model, slots, y)
    scale = np.maximum(turnover, np.abs(yp).max() * 1e-6)[cells]
    assert (np.abs(got - yp)[cells] <= 1e-12 * scale).all()


def test_each_fate_counts(model: CompiledModel) -> None:
    """Without any single one the sum is another: so none stands there twice under two names either."""
    y = consistent(model, any_state(model, 7))
    slots, yp, turnover = evaluated(model, y)
    cells, f = of_cells(model), model.fates
    for kind in FateKind:
        for j in np.flatnonzero(f.kind == kind)[:: 40 if kind == FateKind.DEATH else 12]:
            rate = slots[f.rate[j]] if f.rate[j] != NOTHING else model.params[f.constant[j]]
            if rate == 0.0 or (kind != FateKind.ARRIVAL and y[f.origin[j]] == 0.0):
                continue
            off = np.abs(by_fates(model, slots, y, without=int(j)) - yp)[cells]
            assert (off > 1e-12 * turnover[cells]).any(), f"{f.process[j]} in {f.place[j]}"


def test_every_fate_stands_in_the_engines_table_once(model: CompiledModel) -> None:
    system = LobuleSystem(model, zones_only(compartments_of(model), numbers(model, 1500)), 1, 1e-2)
    t, f, c = system.table, model.fates, system.comps
    found = []
    for z in EVERY:
        for comp in range(c.n):
            for j in range(t.start[z * c.n + comp], t.start[z * c.n + comp + 1]):
                end = c.state[t.zone[j], t.target[j]] if t.target[j] != NOTHING else NOTHING
                found.append((t.process[j], int(t.kind[j]), int(c.state[z, comp]), int(end)))
    cells = f.kind != FateKind.ARRIVAL
    wanted = [(f.process[j], int(f.kind[j]), int(f.origin[j]), int(f.target[j])) for j in np.flatnonzero(cells)]
    assert sorted(found) == sorted(wanted)
    assert len(set(found)) == len(found)
    assert len(t.sources) == int((~cells).sum())


# ------------------------------------------------------------------------------------------------ rows of the sites


def doubled(tissue: Tissue) -> Tissue:
    """Return a tissue whose zones are each two sites of the same cells."""
    n_zones, n = len(tissue.zone), len(tissue.type_)
    twins = 2 * tissue.cell_site
    return replace(
        tissue,
        zone=np.repeat(tissue.zone, 2),
        weight=np.full(2 * n_zones, 0.5),
        gate=np.repeat(2 * tissue.gate, 2, axis=0) + (np.arange(2 * n_zones) % 2)[:, None],
        position=np.zeros((2 * n_zones, 3)),
        expected=np.repeat(tissue.expected, 2, axis=0),
        type_=np.tile(tissue.type_, 2),
        cell_site=np.concatenate([twins, twins + 1]),
        cell_position=np.zeros((2 * n, 3)),
    )


def stirred(model: CompiledModel, seed: int, *, twice: bool) -> tuple[LobuleSystem, State]:
    """Return a system and a state of cells anywhere and levels anywhere, all sites of a zone alike."""
    comps, rng = compartments_of(model), np.random.default_rng(seed)
    one = zones_only(comps, numbers(model, 3000))
    system = LobuleSystem(model, doubled(one) if twice else one, seed, 1e-2)
    cells, n, ident = first_cells(comps, one, seed)
    n = len(one.type_)
    for i in np.flatnonzero(rng.uniform(size=n) < 0.5):
        zone, kind = one.zone[one.cell_site[i]], one.type_[i]
        cells.comp[i] = rng.choice(np.flatnonzero((comps.type_of == kind) & (comps.state[zone] != NOTHING)))
    volume = np.where(comps.has_mass[cells.comp[:n]] > 0, rng.uniform(0.5, 2.0, n), 1.0)
    if twice:
        first, _, ident = first_cells(comps, system.tissue, seed)
        first.comp[: 2 * n], first.volume[: 2 * n] = np.tile(cells.comp[:n], 2), np.tile(volume, 2)
        cells, n = first, 2 * n
    else:
        cells.volume[:n] = volume
    state = system.healthy(cells, n, ident, 0.0)
    state.lobules = 0.4
    state.body = state.body * rng.uniform(0.2, 5.0, len(state.body))
    for z, p in enumerate(system.programs):
        draw = any_state(model, seed + z)[p.states[p.moving]]
        state.level[z][:] = draw
    return system, state


@pytest.mark.parametrize("twice", [False, True])
@pytest.mark.parametrize("seed", EVERY)
def test_sites_that_are_alike_are_the_population_model(model: CompiledModel, seed: int, twice: bool) -> None:
    system, state = stirred(model, seed, twice=twice)
    y, now = system.sums(state), system.evaluation(state)
    slots, _, _ = evaluated(model, y)
    np.testing.assert_allclose(now.slots, slots, rtol=1e-12, atol=1e-300)
    for z, p in enumerate(system.programs):
        order = np.array(sorted(p.column, key=lambda s, c=p.column: c[s]))
        assert len(order) == p.width
        tracers = set(model.relabel.tracers.tolist())  # no rate depends on them, and rows leave them out
        seen = np.array([s not in tracers for s in order])
        for row in now.rows[z]:
            np.testing.assert_allclose(row[seen], slots[order][seen], rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize("twice", [False, True])
@pytest.mark.parametrize("seed", EVERY)
def test_production_less_loss_is_the_derivative(model: CompiledModel, seed: int, twice: bool) -> None:
    """Of every signal, store, node and dead tissue at every site, and of the states of the body."""
    system, state = stirred(model, seed, twice=twice)
    now = system.evaluation(state)
    _, yp, turnover = evaluated(model, system.sums(state))
    seen = 0
    for z, p in enumerate(system.programs):
        own = p.states[p.moving]
        for site, level in enumerate(state.level[z]):
            got = now.production[z][site] - now.loss[z][site] * level
            assert (np.abs(got - yp[own]) <= 1e-10 * turnover[own]).all()
        seen += len(own)
    own = system.body.states
    got = (now.body_production - now.body_loss * state.body)[0]
    assert (np.abs(got - yp[own]) <= 1e-10 * turnover[own] + 1e-300).all()
    assert seen + len(own) + of_cells(model).sum() + len(model.relabel.tracers) == model.n_states


@pytest.mark.parametrize("seed", EVERY)
def test_what_is_foreseen_is_the_derivative(model: CompiledModel, seed: int) -> None:
    """Cells and mass expected after a moment, from fates, growth and arrivals, move as the population engine says."""
    system, state = stirred(model, seed, twice=False)
    # What converts takes its own size with it; the tape knows the mean of its type and zone only.
    state.cells.volume[: state.n][system.comps.has_mass[state.cells.comp[: state.n]] > 0] = 1.3
    now = system.evaluation(state)
    _, yp, turnover = evaluated(model, system.sums(state))
    h = 0.01
    before = system.sums(state)
    after = system._sums(state, system.foreseen(state, now, h), state.level, state.body)
    cells = of_cells(model)
    assert np.abs(yp[cells]).max() > 1e-3
    assert (np.abs((after - before) / h - yp)[cells] <= 1e-10 * turnover[cells] + 1e-15 / h).all()


# --------------------------------------------------------------------------------------------------- the first cells


def test_first_cells_are_a_systematic_sample(model: CompiledModel) -> None:
    """Numbers differ from the healthy distribution by less than one cell, and every cell has its fair chance."""
    comps = compartments_of(model)
    tissue = zones_only(comps, numbers(model, 1500))
    kind = comps.types.index("KC")
    where = np.flatnonzero((tissue.type_ == kind) & (tissue.zone[tissue.cell_site] == 0))
    common = np.flatnonzero(comps.type_of == kind)[np.argmax(comps.rest[0, comps.type_of == kind])]
    share = comps.rest[0, common]
    assert 0.2 < share < 0.8
    chosen, together = [], []
    for seed in range(60):
        cells, n, ident = first_cells(comps, tissue, seed)
        assert n == ident == len(tissue.type_)
        zone = tissue.zone[cells.site[:n]]
        for z in EVERY:
            here = zone == z
            of_type = np.bincount(tissue.type_[here], minlength=len(comps.types))
            expected = comps.rest[z] * of_type[comps.type_of]
            counts = np.bincount(cells.comp[:n][here], minlength=comps.n)
            assert (np.abs(counts - expected) < 1.0 + 1e-9).all()
        got = cells.comp[where] == common
        chosen.append(got)
        together.append(np.mean(got[1:] & got[:-1]))
    # Every cell as often as any other, and beside one of its kind no more often than by chance.
    spread = np.sum((np.sum(chosen, axis=0) - 60 * share) ** 2) / (60 * share * (1.0 - share))
    assert 1e-5 < stats.chi2.sf(spread, len(where)) < 1.0 - 1e-5
    assert abs(np.mean(together) - share**2) < 4.4 * np.std(together, ddof=1) / np.sqrt(60) + 1.0 / len(where) / 60


def test_labels_begin_at_time_zero(model: CompiledModel) -> None:
    comps = compartments_of(model)
    system = LobuleSystem(model, zones_only(comps, numbers(model, 1500)), 1, 1e-2)
    cells, n, ident = first_cells(comps, system.tissue, 1)
    state = system.healthy(cells, n, ident, 0.0)
    label = 1 << comps.bits.index("label")
    state.cells.marks[:n:3] |= label
    system.make_fresh(state)
    y = system.sums(state)
    index = model.slot_index
    np.testing.assert_allclose(y[model.relabel.marks], y[model.relabel.counts], rtol=1e-12)
    assert (y[model.relabel.settled] == 0.0).all()
    assert ((state.cells.marks[:n] & label > 0) == (np.arange(n) % 3 == 0)).all()  # a user's, not one of origin
    assert y[index["HEP.label@1"]] > 0.0
