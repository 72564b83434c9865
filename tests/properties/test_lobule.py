"""What must hold of a lobule whatever happens to it: the same bits everywhere, cells that add up, health at rest."""

from __future__ import annotations

from itertools import permutations

import numba
import numpy as np
import numpy.typing as npt
import pytest

from hepatalk.engines.base import Course
from hepatalk.engines.lobule import kernels, row_kernels, site_kernels
from hepatalk.engines.lobule.anatomy import Anatomy
from hepatalk.engines.lobule.engine import LobuleEngine, step
from hepatalk.engines.lobule.geometry import build
from hepatalk.engines.lobule.state import State, first_cells
from hepatalk.engines.lobule.system import LobuleSystem
from hepatalk.engines.lobule.tables import compartments_of
from hepatalk.engines.lobule.tissue import Tissue, from_geometry, zones_only
from hepatalk.knowledge import load
from hepatalk.model import compile_model
from hepatalk.model.compiled import CompiledModel
from hepatalk.model.fates import FateKind
from hepatalk.model.schedule import Change

Floats = npt.NDArray[np.float64]
PHX70 = Change(0.0, "scale_extensive", "liver", 0.3, "70% of the liver removed")


@pytest.fixture(scope="module")
def model() -> CompiledModel:
    return compile_model(load())


@pytest.fixture(scope="module")
def zones(model: CompiledModel) -> Tissue:
    numbers = {t: round(3000 * model.anatomy[f"{t}.number"]) for t in model.fates.cells}
    return zones_only(compartments_of(model), numbers)


@pytest.fixture(scope="module")
def lobule(model: CompiledModel) -> Tissue:
    return from_geometry(build(Anatomy.of(model.anatomy, hepatocytes=1000), seed=1), compartments_of(model))


def run(
    model: CompiledModel, tissue: Tissue, changes: list[Change], time_h: Floats, seed: int = 1, tolerance: float = 1e-2
) -> Course:
    return LobuleEngine(seed, tissue, tolerance).run(model, changes, time_h)


def begun(model: CompiledModel, tissue: Tissue, seed: int = 1) -> tuple[LobuleSystem, State]:
    system = LobuleSystem(model, tissue, seed, 1e-2)
    cells, n, ident = first_cells(system.comps, tissue, seed)
    state = system.healthy(cells, n, ident, 0.0)
    system.make_fresh(state)
    state.step_h = 1e-3
    return system, state


def without_labels(model: CompiledModel, states: Floats) -> Floats:
    return np.delete(states, model.relabel.tracers, axis=1)


# -------------------------------------------------------------------------------------------------- the same to a bit


@pytest.mark.parametrize("where", ["zones", "lobule"])
def test_threads_change_no_bit(
    model: CompiledModel, where: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With as many threads as there are, all work divided among them, as with one."""
    tissue, until = request.getfixturevalue(where), np.array([0.0, 0.5 if where == "zones" else 0.02])
    alone = run(model, tissue, [PHX70], until)
    for module in (kernels, row_kernels, site_kernels):
        monkeypatch.setattr(module, "WORTH_THREADS", 0)
    most = min(2, numba.config.NUMBA_NUM_THREADS)
    before = numba.get_num_threads()
    try:
        for threads in (1, most):
            numba.set_num_threads(threads)
            np.testing.assert_array_equal(run(model, tissue, [PHX70], until).states, alone.states)
    finally:
        numba.set_num_threads(before)


def test_seeds_differ_and_repeat(model: CompiledModel, zones: Tissue) -> None:
    once, again, other = (run(model, zones, [PHX70], np.array([0.0, 6.0]), seed=s).states for s in (1, 1, 2))
    np.testing.assert_array_equal(once, again)
    assert (once[1] != other[1]).any()


def test_output_changes_nothing(model: CompiledModel, zones: Tissue) -> None:
    coarse = run(model, zones, [PHX70], np.array([0.0, 12.0])).states
    fine = run(model, zones, [PHX70], np.linspace(0.0, 12.0, 49)).states
    np.testing.assert_array_equal(coarse, fine[[0, -1]])


def test_dose_zero_is_the_control(model: CompiledModel, zones: Tissue) -> None:
    """To the last bit, for every change that can be done by nothing at all."""
    until = np.array([0.0, 2.0, 8.0])
    nothing = [
        Change(0.0, "scale_extensive", "liver", 1.0, "nothing removed"),
        Change(0.0, "kill", "HEP@3", 1.0, "nobody killed", "dead.necrotic"),
        Change(0.0, "scale_state", "KC", 1.0, "no KC lost"),
        Change(0.0, "mark", "HEP.label", 0.0, "no label"),
        Change(0.0, "scale_parameter", "hep_prime_rate", 1.0, "as before"),
    ]
    control = run(model, zones, [], until).states
    np.testing.assert_array_equal(run(model, zones, nothing, until).states, control)


@pytest.mark.parametrize("at_h", [0.0, 5.0])
def test_labels_change_nothing_else(model: CompiledModel, zones: Tissue, at_h: float) -> None:
    """A label of a third of the cells, and of none, at the same time."""
    third, none = (
        run(model, zones, [PHX70, Change(at_h, "mark", "HEP.label", x, "label")], np.array([0.0, 5.0, 12.0])).states
        for x in (0.3, 0.0)
    )
    np.testing.assert_array_equal(*(without_labels(model, x) for x in (third, none)))
    labels = [i for name, i in model.slot_index.items() if name.startswith("HEP.label@")]
    counts = [model.slot_index[model.state_names[i].replace("label", "count")] for i in labels]
    assert third[-1, labels].sum() / third[-1, counts].sum() == pytest.approx(0.3, abs=0.05)
    assert none[-1, labels].sum() == 0.0


def test_the_order_of_changes_at_one_time_changes_nothing(model: CompiledModel, zones: Tissue) -> None:
    """Where they do not touch the same thing."""
    changes = [
        PHX70,
        Change(0.0, "set_parameter", "activity.node.HEP.MET", 0.5, "half of MET"),
        Change(0.0, "scale_parameter", "body.demand", 1.2, "more demand"),
    ]
    courses = [run(model, zones, list(order), np.array([0.0, 1.0])).states for order in permutations(changes)]
    for other in courses[1:]:
        np.testing.assert_array_equal(courses[0], other)


# --------------------------------------------------------------------------------------------------------- accounts


@pytest.mark.parametrize("where", ["zones", "lobule"])
def test_cells_add_up_and_levels_stay_above_zero(
    model: CompiledModel, where: str, request: pytest.FixtureRequest
) -> None:
    """Births and arrivals less deaths are the change, type by type with conversions; checked at every step."""
    tissue = request.getfixturevalue(where)
    system, state = begun(model, tissue)
    state.lobules = 0.3
    for p, level in zip(system.programs, state.level, strict=True):
        level[:, model.extensive[p.states[p.moving]]] *= 0.3
    t, c = system.table, system.comps
    origin = np.repeat(np.arange(len(t.start) - 1), np.diff(t.start)) % c.n
    first, made = state.n, state.ident
    by_type = np.bincount(c.type_of[state.cells.comp[: state.n]], minlength=len(c.types))
    most_ident = state.ident
    until = 36.0 if where == "zones" else 3.0
    while state.time_h < until:
        step(system, state, until)
        deaths = int(state.tally[t.kind == FateKind.DEATH].sum())
        assert state.n - first == (state.ident - made) - deaths
        assert state.ident >= most_ident
        most_ident = state.ident
        assert all((x >= 0.0).all() for x in state.level)
        assert (state.cells.volume[: state.n] > 0.0).all()
    idents = state.cells.ident[: state.n]
    assert len(np.unique(idents)) == state.n
    assert idents.max() < state.ident
    drawn = sum(int(x.sum()) for x in state.drawn)
    divisions = int(state.tally[t.kind == FateKind.DIVISION].sum())
    assert divisions > 100 or where == "lobule"
    assert state.ident - made <= divisions + drawn
    # Type by type: what came and went by conversion is in the tally.
    come, gone = np.zeros(len(c.types), dtype=int), np.zeros(len(c.types), dtype=int)
    for j in np.flatnonzero(t.kind == FateKind.CONVERSION):
        come[c.type_of[t.target[j]]] += state.tally[j]
        gone[c.type_of[origin[j]]] += state.tally[j]
    for j in np.flatnonzero(t.kind == FateKind.DEATH):
        gone[c.type_of[origin[j]]] += state.tally[j]
    now = np.bincount(c.type_of[state.cells.comp[: state.n]], minlength=len(c.types))
    born = now - by_type - come + gone
    assert (born >= 0).all()
    assert born.sum() == state.ident - made


def test_clones_are_families(model: CompiledModel, zones: Tissue) -> None:
    """Every cell belongs to the clone of its mother, and first cells to their own."""
    system, state = begun(model, zones)
    state.lobules = 0.3
    clone_of = {int(i): int(i) for i in state.cells.ident[: state.n]}
    while state.time_h < 32.0:
        known = state.ident
        step(system, state, 32.0)
        c = state.cells
        for i in np.flatnonzero(c.ident[: state.n] >= known):
            ident, parent = int(c.ident[i]), int(c.parent[i])
            # A mother may be as young as her daughter; identities rise from mother to daughter.
            clone_of[ident] = clone_of.get(parent, int(c.clone[i])) if parent >= 0 else ident
    for ident, clone in zip(c.ident[: state.n].tolist(), c.clone[: state.n].tolist(), strict=True):
        assert clone == clone_of[ident]
    parents = state.cells.parent[: state.n]
    assert ((parents == -1) | (parents < state.cells.ident[: state.n])).all()
    sizes = np.bincount(state.cells.clone[: state.n])
    assert sizes.max() >= 2


def test_a_resection_takes_lobules_and_leaves_the_others(model: CompiledModel, zones: Tissue) -> None:
    engine = LobuleEngine(1, zones)
    course = engine.run(model, [PHX70], np.array([0.0, 1e-9]))
    assert engine.last is not None
    healthy = len(zones.type_)
    assert engine.last.n == healthy
    assert engine.last.lobules == pytest.approx(0.3)
    counts = [i for name, i in model.slot_index.items() if name.startswith("HEP.count@")]
    control = run(model, zones, [], np.array([0.0, 1e-9])).states
    np.testing.assert_allclose(course.states[0, counts], 0.3 * control[0, counts], rtol=1e-12)


def test_who_is_killed_is_gone_at_once(model: CompiledModel, zones: Tissue) -> None:
    """And leaves its volume as dead tissue, where the change says so."""
    at = np.array([0.0, 1e-3])
    counts = [model.slot_index[f"KC.count@{z}"] for z in (1, 2, 3)]
    y = run(model, zones, [Change(0.0, "scale_state", "KC", 0.1, "most KC lost")], at).states
    assert (y[0, counts] / model.rest[counts] < 0.25).all()
    killed = run(model, zones, [Change(0.0, "kill", "HEP@3", 0.4, "killed", "dead.necrotic")], at).states
    hep, dead = model.slot_index["HEP.mass@3"], model.slot_index["dead.necrotic@3"]
    share = model.params[model.position("hep_volume_share")]
    lost = model.rest[hep] - killed[0, hep]
    assert lost == pytest.approx(0.6 * model.rest[hep], rel=0.1)
    assert killed[0, dead] - model.rest[dead] == pytest.approx(share * lost, rel=1e-9)


# ------------------------------------------------------------------------------------------------------ time and rest


def test_a_healthy_lobule_rests(model: CompiledModel, zones: Tissue) -> None:
    """Ten days: numbers of cells within what their own births and deaths scatter, volume and flow with them."""
    days = np.arange(0.0, 241.0, 24.0)
    engine = LobuleEngine(3, zones, 5e-2)
    course = engine.run(model, [], days)
    assert engine.last is not None
    system = LobuleSystem(model, zones, 3, 1e-2)
    t, c, state = system.table, system.comps, engine.last
    origin = np.repeat(np.arange(len(t.start) - 1), np.diff(t.start))
    for z in range(3):
        for k, cell in enumerate(c.types):
            if system.healthy_zone[z, k] < 30:
                continue
            own = (origin // c.n == z) & (c.type_of[origin % c.n] == k)
            deaths = state.tally[own & (t.kind == FateKind.DEATH)].sum()
            turned = max(2.0 * deaths, 4.0)  # as many are born or come: the variance of the difference
            i = model.slot_index[f"{cell}.count@{z + 1}"]
            change = (course.states[-1, i] / course.states[0, i] - 1.0) * system.healthy_zone[z, k]
            assert abs(change) < 4.4 * np.sqrt(turned), f"{cell} in zone {z + 1}"
    mass = [model.slot_index[f"HEP.mass@{z}"] for z in (1, 2, 3)]
    assert np.abs(course.states[:, mass] / model.rest[mass] - 1.0).max() < 0.05
    assert course.died_at_h is None


def test_a_resection_after_rest_is_a_resection(model: CompiledModel, zones: Tissue) -> None:
    """100 h of health and then 70% resection, and 70% resection at once: the same in distribution, not in bits."""
    index = [model.slot_index[f"{name}@{z}"] for name in ("HEP.mass", "LSEC.count", "store.HGF") for z in (1, 2, 3)]
    at_once, later = [], []
    for seed in range(4):
        at_once.append(run(model, zones, [PHX70], np.array([0.0, 24.0]), seed, 5e-2).states[-1, index])
        shifted = Change(100.0, "scale_extensive", "liver", 0.3, "70% of the liver removed")
        later.append(run(model, zones, [shifted], np.array([0.0, 124.0]), seed + 50, 5e-2).states[-1, index])
    a, b = np.array(at_once), np.array(later)
    assert (a[:, :3] != b[:, :3]).all()
    error = np.sqrt((a.var(axis=0, ddof=1) + b.var(axis=0, ddof=1)) / 4)
    # 9 numbers with 6 degrees of freedom each: 6.8 is p = 5e-4 for one.
    assert (np.abs(a.mean(axis=0) - b.mean(axis=0)) / error).max() < 6.8
    # And what is compared tells a liver at 24 h from one that was resected an hour earlier or later.
    assert np.abs(error / b.mean(axis=0))[:3].max() < 0.01


def test_after_death_everything_is_held(model: CompiledModel, zones: Tissue) -> None:
    cut = Change(0.0, "scale_extensive", "liver", 0.03, "97% removed")
    course = run(model, zones, [cut], np.arange(0.0, 31.0, 2.0))
    assert course.died_at_h is not None
    assert 0.0 < course.died_at_h < 28.0
    after = course.time_h > course.died_at_h
    last = course.states[~after][-1]
    assert (course.states[after] == last).all()
    assert np.isfinite(course.states).all()
