"""Cells that move up a signal in a lobule: the ones that records name, along their vessels, and nobody in health."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from scipy.spatial import cKDTree

from hepatalk.engines.lobule.drifting import Drift, excess
from hepatalk.engines.lobule.engine import LobuleEngine, LobuleSettings
from hepatalk.engines.lobule.network import SINUSOID, Network
from hepatalk.engines.lobule.state import State, first_cells
from hepatalk.engines.lobule.system import LobuleSystem
from hepatalk.engines.lobule.vessels import gaps, sinusoids
from hepatalk.engines.lobule.walking import APART, apart, crawl, driven, ways_of
from hepatalk.errors import HepatalkError, KnowledgeError
from hepatalk.knowledge import load
from hepatalk.knowledge.records import Attracts
from hepatalk.model import compile_model
from hepatalk.model.attraction import gather
from hepatalk.model.compiled import CompiledModel
from hepatalk.model.compiler import Compiler
from hepatalk.model.fates import NOTHING
from hepatalk.model.schedule import Change

Floats = npt.NDArray[np.float64]


@pytest.fixture(scope="module")
def model() -> CompiledModel:
    return compile_model(load())


@pytest.fixture(scope="module")
def engine(model: CompiledModel) -> LobuleEngine:
    return LobuleEngine.in_space(model, 1, LobuleSettings(hepatocytes=600))


def begun(model: CompiledModel, engine: LobuleEngine) -> tuple[LobuleSystem, State]:
    system = LobuleSystem(model, engine.tissue, 1, 5e-2)
    cells, n, ident = first_cells(system.comps, engine.tissue, 1)
    state = system.healthy(cells, n, ident, 0.0)
    system.give_room(state, system.evaluation(state))  # once, so that only what is asked for moves cells from now on
    return system, state


def rising(system: LobuleSystem, state: State, signal: str, low: float, slope: float) -> None:
    """Make a signal ``low`` + ``slope`` x times as high as in health, x in um."""
    m, x = system.model, system.tissue.position[:, 0]
    for z, (p, sites) in enumerate(zip(system.programs, system.sites, strict=True)):
        i = m.slot_index[f"signal.{signal}@{z + 1}"]
        column = int(np.flatnonzero(p.states[p.moving] == i)[0])
        state.level[z][:, column] = m.rest[i] * np.maximum(low + slope * x[sites], 0.0)


# --- The records ------------------------------------------------------------------------------------------------------


def test_the_records_say_who_moves(model: CompiledModel) -> None:
    pairs = {(a.cell, a.signal): a.row for a in model.attractions}
    assert pairs["HSC", "PDGFB"] == "HSC-BEC-03"
    assert {s for c, s in pairs if c == "KC"} == {"IL1", "IL6", "CXCL8", "IFNG"}
    assert {s for c, s in pairs if c == "HSC"} == {"PDGFB", "TGFB1", "ANGPT2", "NO"}
    assert all(a.speed > 0.0 and a.half > 0.0 for a in model.attractions)


def test_a_silenced_row_moves_nobody_and_the_tape_knows_of_none(model: CompiledModel) -> None:
    silent = compile_model(load(), silenced=["KC-BEC-05"])
    assert {a.signal: a.speed for a in silent.attractions if a.cell == "KC"}["CXCL8"] == 0.0
    faster = compile_model(load(), overrides={"hsc_drift_speed": 7.0})
    assert {a.speed for a in faster.attractions if a.cell == "HSC"} == {7.0}
    np.testing.assert_array_equal(faster.law, model.law)
    np.testing.assert_array_equal(faster.params, model.params)
    assert faster.hash != model.hash  # so that a checkpoint of the other speed is refused


@pytest.mark.parametrize(
    ("cell", "signal", "said"),
    [("HSCC", "PDGFB", "row X: cell 'HSCC' has no record"), ("KC", "IL66", "row X: signal 'IL66' has no record")],
)
def test_a_term_names_what_there_is(cell: str, signal: str, said: str) -> None:
    compiler = Compiler(load(), "rat", (), {}, frozenset())
    with pytest.raises(KnowledgeError, match=said):
        gather(compiler, "X", Attracts(kind="attracts", cell=cell, signal=signal, speed="kc_drift_speed", half="x"))


def test_a_pair_has_one_row() -> None:
    compiler = Compiler(load(), "rat", (), {}, frozenset())
    term = Attracts(kind="attracts", cell="KC", signal="IL6", speed="kc_drift_speed", half="lobule_half_gradient")
    gather(compiler, "A", term)
    with pytest.raises(KnowledgeError, match=r"row B: KC moves up IL6 already, by row A; allowed: one row per pair"):
        gather(compiler, "B", term)


# --- Crawling ---------------------------------------------------------------------------------------------------------


def fork() -> Network:
    """A way along x that forks at 100 um: up to y = 50, down to y = -50."""
    nodes = np.array([[0.0, 0, 0], [100, 0, 0], [150, 50, 0], [150, -50, 0]])
    edges = np.array([[0, 1], [2, 1], [1, 3]])
    length = np.linalg.norm(nodes[edges[:, 0]] - nodes[edges[:, 1]], axis=1)
    ends = np.array([0])
    return Network(nodes, edges, length, np.full(3, 4.0), np.full(3, SINUSOID), ends, np.array([3]), ends)


def crawled(start: Floats, pull: Floats, speed: float, hours: float) -> Floats:
    n = fork()
    p = sinusoids(n.nodes, n.edges, n.kind)
    drive = np.broadcast_to(pull, start.shape)
    return crawl(ways_of(n), p, cKDTree(p.points), start, np.full(len(start), speed), hours, lambda at: drive)


def test_a_cell_crawls_as_fast_as_its_drive_says_and_along_its_vessel() -> None:
    start = np.array([[20.0, 2.0, 0.0]])
    # x = 1, half the speed; the part of the drive across the vessel does nothing.
    there = crawled(start, np.array([1.0, 5.0, 0.0]), 10.0, 6.0)
    np.testing.assert_allclose(there, [[50.0, 2.0, 0.0]])
    np.testing.assert_allclose(crawled(start, np.array([-1.0, 0.0, 0.0]), 10.0, 6.0), [[0.0, 2.0, 0.0]])
    np.testing.assert_array_equal(crawled(start, np.zeros(3), 10.0, 6.0), start)


@pytest.mark.parametrize("side", [1.0, -1.0])
def test_at_a_branching_point_it_takes_the_steepest_way(side: float) -> None:
    there = crawled(np.array([[90.0, 0.0, 0.0]]), np.array([10.0, side * 5.0, 0.0]), 20.0, 2.0)[0]
    assert there[0] > 110.0
    assert there[1] == pytest.approx(side * (there[0] - 100.0))


def test_cells_push_each_other_apart_and_others_not() -> None:
    push = apart(np.array([[0.0, 0, 0], [10.0, 0, 0], [100.0, 0, 0]]), 20.0)
    np.testing.assert_allclose(push, [[-APART, 0, 0], [APART, 0, 0], [0, 0, 0]])
    assert not apart(np.zeros((1, 3)), 20.0).any()


def test_who_has_another_cell_ahead_is_not_drawn_on() -> None:
    pull = np.array([[5.0, 0, 0], [5.0, 0, 0], [5.0, 0, 0]])
    push = np.array([[-0.1, 0, 0], [0.1, 0, 0], [0.0, 0, 0]])
    np.testing.assert_allclose(driven(pull, push), [[-0.1, 0, 0], [5.1, 0, 0], [5.0, 0, 0]])


def test_nobody_moves_in_health(model: CompiledModel, engine: LobuleEngine) -> None:
    system, state = begun(model, engine)
    drift = Drift(system)
    assert drift.forces(state) is None
    for a in model.attractions:
        np.testing.assert_allclose(excess(system, state, a.signal), 0.0, atol=1e-9)
    before = state.cells.position[: state.n].copy()
    kc = system.comps.type_of[state.cells.comp[: state.n]] == system.comps.types.index("KC")
    drift.crawl(state, 6.0)
    moved = np.linalg.norm(state.cells.position[: state.n] - before, axis=1)
    assert moved[~kc].max() < 8.0  # HSCs that the mechanics pushed onto each other part
    assert np.median(moved[kc]) < 0.5


def test_a_signal_that_falls_sends_nobody_away(model: CompiledModel, engine: LobuleEngine) -> None:
    system, state = begun(model, engine)
    rising(system, state, "PDGFB", 0.5, 0.0)
    assert not excess(system, state, "PDGFB").any()


@pytest.mark.parametrize(("cell", "signal"), [("HSC", "PDGFB"), ("KC", "CXCL8")])
def test_cells_climb_along_vessels_and_others_stay(
    model: CompiledModel, engine: LobuleEngine, cell: str, signal: str
) -> None:
    system, state = begun(model, engine)
    system.drift = Drift(system)
    rising(system, state, signal, 10.0, 0.03)
    before = state.cells.position[: state.n].copy()
    system.drift.crawl(state, 6.0)
    type_ = system.comps.type_of[state.cells.comp[: state.n]]
    moved = state.cells.position[: state.n] - before
    own = type_ == system.comps.types.index(cell)
    level = excess(system, state, signal)
    tree = cKDTree(system.motion.sites(state.scale)) if system.motion else None
    assert tree is not None
    there, then = (level[tree.query(at[own])[1]].mean() for at in (state.cells.position[: state.n], before))
    assert there > 1.02 * then
    speed = next(a.speed for a in model.attractions if a.cell == cell)
    assert np.linalg.norm(moved[own], axis=1).mean() < 6.0 * speed
    hep = type_ == system.comps.types.index("HEP")
    assert not moved[hep].any()
    assert state.network is not None
    n = state.network
    kc = state.cells.position[: state.n][type_ == system.comps.types.index("KC")] / state.scale
    assert gaps(sinusoids(n.nodes, n.edges, n.kind), n.radius, kc, np.zeros(len(kc))).max() < 0.0  # inside


def test_what_a_user_adds_is_part_of_the_run(model: CompiledModel) -> None:
    cut = [Change(0.0, "scale_extensive", "liver", 0.3, "70% removed")]
    hours = np.array([0.0, 13.0])
    courses = []
    for climbs in ((), (("HEP", "HGF"),), (("HEP", "HGF"),)):
        settings = LobuleSettings(hepatocytes=150, chemotaxis=climbs)
        courses.append(LobuleEngine.in_space(model, 1, settings).run(model, cut, hours).states)
    np.testing.assert_array_equal(courses[1], courses[2])
    assert (courses[0] != courses[1]).any()


@pytest.mark.parametrize(
    ("pair", "said"), [(("HSCC", "PDGFB"), "unknown cell 'HSCC'"), (("HSC", "PDGF"), "unknown signal 'PDGF'")]
)
def test_who_is_not_there(model: CompiledModel, engine: LobuleEngine, pair: tuple[str, str], said: str) -> None:
    system, _ = begun(model, engine)
    with pytest.raises(HepatalkError, match=said):
        Drift(system, [pair])


# --- Bipotential cells on their way -----------------------------------------------------------------------------------


def test_a_bipotential_cell_walks_to_the_next_zone_and_is_then_read_as_there(
    model: CompiledModel, engine: LobuleEngine
) -> None:
    system, state = begun(model, engine)
    drift, tissue = Drift(system), engine.tissue
    # One cell, at the portal end, on its way to the zone in the middle.
    own = int(np.flatnonzero(tissue.zone[state.cells.site[: state.n]] == 0)[0])
    bip = system.comps.types.index("BIP")
    state.cells.comp[own] = int(np.flatnonzero(system.comps.type_of == bip)[0])
    goal = int(tissue.gate[state.cells.site[own], 1])
    state.cells.goal[own] = goal
    assert system.motion is not None
    target = system.motion.sites(state.scale)[goal]
    far = float(np.linalg.norm(target - state.cells.position[own]))
    drift.walk(state, 1.0)
    assert np.linalg.norm(target - state.cells.position[own]) == pytest.approx(far - system.motion.walking_speed)
    system.motion.confine(state)
    assert state.cells.goal[own] in (goal, NOTHING)
    drift.walk(state, 1000.0)
    system.motion.confine(state)
    assert tissue.zone[state.cells.site[own]] == 1
    assert state.cells.goal[own] == NOTHING


def test_in_space_a_migration_is_a_walk_and_elsewhere_a_jump(model: CompiledModel, engine: LobuleEngine) -> None:
    system, _ = begun(model, engine)
    assert system.fates.walks[0] == 1
    mixed = replace(engine.tissue, space=None)
    assert LobuleSystem(model, mixed, 1, 5e-2).fates.walks[0] == 0
