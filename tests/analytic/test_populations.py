"""Cell populations against textbook results: gamma chains, exponential decay and growth, and standing still."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import simpson
from scipy.linalg import expm
from scipy.stats import gamma

from hepatalk.engines.population.engine import PopulationEngine
from hepatalk.errors import ModelError
from hepatalk.knowledge.load import Knowledge
from hepatalk.knowledge.records import CellType
from hepatalk.model.compiled import CompiledModel
from hepatalk.model.laws import Law
from hepatalk.model.populations import Population, influx_targets, resting_population
from hepatalk.model.tape import Tape

Floats = npt.NDArray[np.float64]
MakeModel = Callable[[Tape, list[float]], CompiledModel]


def cell_type(states: list[dict[str, Any]], processes: list[dict[str, Any]], **more: Any) -> CellType:
    """Return a cell type for a test; the names of its numbers are never looked up."""
    return CellType.model_validate(
        {
            "id": "X", "name": "test cell", "description": "", "zones": (1,), "zone_share": "-", "volume_share": "-",
            "states": [{"meaning": "", **s} for s in states], "processes": processes, **more,
        }
    )  # fmt: skip


def movement(population: Population, rate: dict[str, float], p: float = 0.0) -> Floats:
    """Return the matrix of dn/dt = A n for the moves alone."""
    a = np.zeros((len(population.compartments),) * 2)
    for move in population.moves():
        k = rate[move.process]
        a[move.origin, move.origin] -= k
        for target, number in move.arrivals:
            a[target, move.origin] += k * number * (1.0 - p if move.binucleating else 1.0)
        for target in move.binucleating or ():
            a[target, move.origin] += k * p
    return a


# -------------------------------------------------------------------------------------------- passage of a chain

PASSAGE = [{"kind": "timed", "id": "pass", "state": "transit", "duration": "-", "to": "done"}]


@settings(max_examples=40)
@given(stages=st.integers(1, 20), duration=st.floats(0.5, 100.0))
def test_passage_of_a_chain_is_gamma_distributed(stages: int, duration: float) -> None:
    cell = cell_type([{"id": "transit", "stages": stages}, {"id": "done"}], PASSAGE)
    a = movement(Population(cell), {"pass": stages / duration})
    step = expm(a * duration / 100.0)
    n = np.zeros((4001, stages + 1))
    n[0, 0] = 1.0
    for i in range(len(n) - 1):
        n[i + 1] = step @ n[i]
    time, under_way = np.arange(len(n)) * duration / 100.0, n[:, :-1].sum(axis=1)
    np.testing.assert_allclose(under_way, gamma.sf(time, stages, scale=duration / stages), atol=1e-11)
    # Moments of the passage time are integrals of the share still on the way: E[T] = int S, E[T^2] = int 2 t S.
    mean = simpson(under_way, x=time)
    second = simpson(2.0 * time * under_way, x=time)
    assert mean == pytest.approx(duration, rel=1e-6)
    assert second - mean**2 == pytest.approx(duration**2 / stages, rel=1e-5)


def test_a_chain_in_the_engine_passes_in_the_stated_time(make_model: MakeModel) -> None:
    stages, duration = 6, 13.0
    tape = Tape()
    slots = [tape.state(f"stage{i}", "1") for i in range(stages)] + [tape.state("done", "1")]
    pace = tape.param("pace", stages / duration)
    for here, there in itertools.pairwise(slots):
        flow = tape.op(Law.PRODUCT, [here], [pace])
        tape.flux(here, flow, -1.0)
        tape.flux(there, flow, 1.0)
    time_h = np.linspace(0.0, 60.0, 61)
    model = make_model(tape, [1.0, *[0.0] * stages])
    course = PopulationEngine().run(model, [], time_h, start=model.rest)
    np.testing.assert_allclose(course.states[:, -1], gamma.cdf(time_h, stages, scale=duration / stages), atol=2e-6)
    np.testing.assert_allclose(course.states.sum(axis=1), 1.0, atol=1e-9)


# --------------------------------------------------------------------------------------------- death and birth


@pytest.mark.parametrize("rate", [-0.05, 0.03], ids=["pure death", "pure birth"])
@pytest.mark.parametrize("solver", ["cvode", "lsoda"])
def test_pure_death_and_pure_birth_are_exponential(make_model: MakeModel, rate: float, solver: Any) -> None:
    tape = Tape()
    n = tape.state("n", "1")
    tape.flux(n, tape.op(Law.PRODUCT, [n], [tape.param("rate", abs(rate))]), math.copysign(1.0, rate))
    time_h = np.linspace(0.0, 100.0, 51)
    model = make_model(tape, [1.0])
    course = PopulationEngine(solver=solver).run(model, [], time_h, start=model.rest)
    np.testing.assert_allclose(course.states[:, 0], np.exp(rate * time_h), rtol=5e-6)


@given(stages=st.integers(1, 8), duration=st.floats(1.0, 200.0))
def test_pure_birth_is_balanced_by_its_growth_rate(stages: int, duration: float) -> None:
    """Cells that divide after n stages of rate r grow at g with 2 (r / (r + g))^n = 1: Euler and Lotka."""
    states = [{"id": "cycle", "stages": stages}]
    divide = {"kind": "timed", "id": "divide", "state": "cycle", "duration": "-", "to": "cycle", "divides": True}
    r = stages / duration
    resting = resting_population(Population(cell_type(states, [divide])), {"divide": r}, None)
    g = r * (2.0 ** (1.0 / stages) - 1.0)
    assert resting.death_rate == pytest.approx(g, rel=1e-9)
    # Stages fill up in proportion to (r / (r + g))^i: there are always more young cells than old ones.
    want = (r / (r + g)) ** np.arange(stages)
    np.testing.assert_allclose(resting.distribution, want / want.sum(), rtol=1e-8)


@given(arrival=st.floats(1e-6, 1e-2), mature=st.floats(1e-3, 1.0))
def test_a_type_fed_by_the_blood_alone_dies_as_fast_as_it_is_fed(arrival: float, mature: float) -> None:
    processes = [
        {"kind": "influx", "id": "come", "to": "young", "rate": "-"},
        {"kind": "transition", "id": "mature", "origin": "young", "to": "old", "rate": "-"},
    ]
    population = Population(cell_type([{"id": "young"}, {"id": "old"}], processes))
    resting = resting_population(population, {"come": arrival, "mature": mature}, None)
    assert resting.death_rate == pytest.approx(arrival, rel=1e-9)
    assert resting.distribution[0] == pytest.approx(arrival / (mature + arrival), rel=1e-9)


def test_a_type_that_never_divides_cannot_stand_still() -> None:
    states = [{"id": "a"}, {"id": "b"}]
    moves = [
        {"kind": "transition", "id": "there", "origin": "a", "to": "b", "rate": "-"},
        {"kind": "transition", "id": "back", "origin": "b", "to": "a", "rate": "-"},
    ]
    with pytest.raises(ModelError, match="cell type X"):
        resting_population(Population(cell_type(states, moves)), {"there": 1.0, "back": 0.5}, None)


# ------------------------------------------------------------------------------------------------- binucleation

TWO_NUCLEI = {"nuclei": ("mononucleate", "binucleate"), "binucleation": "solved", "binucleate_share": "-"}
SELF_DIVIDING = [{"kind": "timed", "id": "divide", "state": "cycle", "duration": "-", "to": "cycle", "divides": True}]


@given(share=st.floats(0.01, 0.3), rate=st.floats(1e-3, 1.0))
def test_binucleate_share_is_as_asked(share: float, rate: float) -> None:
    """With one state: b (r + d) = p r m and d = r (1 - p) m + r b, so both p and d follow from b = share by hand."""
    population = Population(cell_type([{"id": "cycle"}], SELF_DIVIDING, **TWO_NUCLEI))
    resting = resting_population(population, {"divide": rate}, share)
    m, b = 1.0 - share, share
    p, d = resting.binucleation, resting.death_rate
    np.testing.assert_allclose(resting.distribution, [m, b], rtol=1e-9)
    assert d == pytest.approx(rate * ((1 - p) * m + b), rel=1e-9)
    assert b * (rate + d) == pytest.approx(p * rate * m, rel=1e-9)


def test_no_binucleation_gives_none() -> None:
    population = Population(cell_type([{"id": "cycle"}], SELF_DIVIDING, **TWO_NUCLEI))
    resting = resting_population(population, {"divide": 0.1}, 0.0)
    assert resting.binucleation == pytest.approx(0.0, abs=1e-12)
    assert resting.death_rate == pytest.approx(0.1, rel=1e-12)


def test_a_share_that_no_probability_gives_is_refused() -> None:
    population = Population(cell_type([{"id": "cycle"}], SELF_DIVIDING, **TWO_NUCLEI))
    with pytest.raises(ModelError, match=r"binucleate share of 0\.9"):
        resting_population(population, {"divide": 0.1}, 0.9)


def test_division_counts_generations_and_nuclei() -> None:
    population = Population(cell_type([{"id": "cycle"}], SELF_DIVIDING, counts_generations=True, **TWO_NUCLEI))
    for move in population.moves():
        mother = population.compartments[move.origin]
        assert mother.generation is not None
        ((daughter, number),) = move.arrivals
        assert number == 2.0
        assert population.compartments[daughter].nuclei == "mononucleate"
        assert population.compartments[daughter].generation == min(mother.generation + 1, 2)
        assert (move.binucleating is not None) == (mother.nuclei == "mononucleate")


# ------------------------------------------------------------------------------------- the cell types of the model


@pytest.mark.parametrize("cell_id", ["HEP", "LSEC", "HSC", "KC", "BEC"])
def test_resting_population_stands_still(knowledge: Knowledge, cell_id: str) -> None:
    cell = knowledge.cell[cell_id]
    population = Population(cell)

    def number(name: str) -> float:
        value = knowledge.parameter[name].value
        assert isinstance(value, float)
        return value

    rate = {}
    for process in cell.processes:
        if process.kind == "timed":
            stages = next(s.stages for s in cell.states if s.id == process.state)
            rate[process.id] = stages / number(process.duration)
        elif process.kind in ("transition", "influx"):
            rate[process.id] = number(process.rate)
    share = number(cell.binucleate_share) if cell.binucleate_share else None
    resting = resting_population(population, rate, share)
    n = resting.distribution
    change = movement(population, rate, resting.binucleation) @ n - resting.death_rate * n
    for process in cell.processes:
        if process.kind == "influx":  # in health everyone who arrives counts as resident
            (target,) = influx_targets(population, process, cell.lineages[0])
            change[target] += rate[process.id]
    assert np.abs(change).max() < 1e-15
    assert n.sum() == pytest.approx(1.0, rel=1e-12)
    assert (n >= 0).all()
    assert resting.death_rate > 0
    if share is not None:
        assert n[population.select("binucleate")].sum() == pytest.approx(share, rel=1e-10)
