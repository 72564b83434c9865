"""Cells that climb a signal in a lobule: they move, others do not, and health moves nobody."""

from __future__ import annotations

import numpy as np
import pytest

from hepatalk.engines.lobule.drifting import SPEED_UM_PER_H, Drift
from hepatalk.engines.lobule.engine import LobuleEngine, LobuleSettings
from hepatalk.engines.lobule.mechanics import MOVE_EVERY_H, MOVE_FOR_H
from hepatalk.engines.lobule.state import State, first_cells
from hepatalk.engines.lobule.system import LobuleSystem
from hepatalk.errors import HepatalkError
from hepatalk.knowledge import load
from hepatalk.model import compile_model
from hepatalk.model.compiled import CompiledModel
from hepatalk.model.schedule import Change


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
    system.give_room(state, system.evaluation(state))  # once, so that only the drift moves cells from now on
    state.moved_at_h = -np.inf
    return system, state


def test_nobody_drifts_in_health(model: CompiledModel, engine: LobuleEngine) -> None:
    system, state = begun(model, engine)
    forces = Drift(system, [("HSC", "PDGFB")]).forces(state)
    assert forces is not None
    np.testing.assert_allclose(forces, 0.0, atol=1e-9)


def test_stellate_cells_climb_and_others_stay(model: CompiledModel, engine: LobuleEngine) -> None:
    """A level that rises along x: HSCs move that way, hepatocytes as much as they are pushed."""
    along = []
    for climbs in (False, True):
        system, state = begun(model, engine)
        if climbs:
            system.drift = Drift(system, [("HSC", "PDGFB")])
        x = system.tissue.position[:, 0]
        for z, (p, sites) in enumerate(zip(system.programs, system.sites, strict=True)):
            i = model.slot_index[f"signal.PDGFB@{z + 1}"]
            column = int(np.flatnonzero(p.states[p.moving] == i)[0])
            state.level[z][:, column] = model.rest[i] * (10.0 + 0.03 * x[sites])
        before = state.cells.position[: state.n].copy()
        system.give_room(state, system.evaluation(state))
        type_ = system.comps.type_of[state.cells.comp[: state.n]]
        moved = state.cells.position[: state.n] - before
        along.append({cell: moved[type_ == k].mean(axis=0) for k, cell in enumerate(system.comps.types)})
    gained = along[1]["HSC"] - along[0]["HSC"]
    most = SPEED_UM_PER_H * MOVE_EVERY_H / MOVE_FOR_H
    assert 0.2 * most < gained[0] < most  # three quarters of it where nothing is in the way
    assert np.abs(gained[1:]).max() < 0.3 * gained[0]
    assert abs(along[1]["HEP"][0] - along[0]["HEP"][0]) < 0.1 * gained[0]


def test_it_is_off_unless_asked_for_and_part_of_the_run(model: CompiledModel, engine: LobuleEngine) -> None:
    cut = [Change(0.0, "scale_extensive", "liver", 0.3, "70% removed")]
    hours = np.array([0.0, 13.0])
    courses = []
    for climbs in ((), (("HSC", "PDGFB"),), (("HSC", "PDGFB"),)):
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
