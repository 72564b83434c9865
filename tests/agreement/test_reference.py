"""The compiled model against the same equations written a second time, by hand, from the records.

`reference.py` beside this file shares nothing with the compiled model but the records. What the two must agree on: the
states, the healthy state, and the time derivative wherever a run may come.
"""

from __future__ import annotations

import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hepatalk.engines.population.engine import PopulationEngine
from hepatalk.knowledge.load import Knowledge, load
from hepatalk.knowledge.records import SPECIES, Species
from hepatalk.model.compiled import CompiledModel
from hepatalk.model.compiler import compile_model
from hepatalk.model.schedule import Change

Floats = npt.NDArray[np.float64]

SOURCE = (Path(__file__).parent / "reference.py").read_text(encoding="utf-8")
PHX70 = Change(0.0, "scale_extensive", "liver", 0.3, "70% of the liver removed")

LABEL = Change(0.0, "mark", "HEP.label", 0.2, "a fifth of the hepatocytes labelled")


def reference_module(source: str) -> Any:
    """Return the module that a source text makes."""
    module = types.ModuleType("reference")
    exec(compile(source, "reference.py", "exec"), module.__dict__)
    return module


class Pair:
    """The compiled model and a reference, to be evaluated at the same states."""

    def __init__(self, model: CompiledModel, reference: Any) -> None:
        self.model, self.reference = model, reference
        self.system = PopulationEngine().system(model)

    def values(self, y: Floats, runtime: Mapping[str, float]) -> Floats:
        """Return every slot of the compiled model."""
        self.system.params = self.model.params.copy()
        for name, value in runtime.items():
            self.system.params[self.model.position(name)] = value
        return self.system.values(y).copy()

    def compiled(self, y: Floats, runtime: Mapping[str, float]) -> tuple[Floats, Floats]:
        """Return the compiled derivative and the turnover: the same sum with every flux counted as positive."""
        m = self.model
        yp = np.empty(m.n_states)
        values = self.values(y, runtime)
        self.system.rhs(0.0, y, yp)
        fluxes = np.abs(m.coefficient * values[m.flux])
        return yp, np.add.reduceat(np.append(fluxes, 0.0), m.flux_start[:-1]) * (np.diff(m.flux_start) > 0)

    def expected(self, y: Floats, runtime: Mapping[str, float]) -> Floats:
        """Return the derivative of the reference in the compiled order."""
        state = dict(zip(self.model.state_names, y.tolist(), strict=True))
        by_name = dict(zip(self.reference.state_names, self.reference.rhs(state, runtime), strict=True))
        return np.array([by_name[name] for name in self.model.state_names])

    def disagreements(self, y: Floats, runtime: Mapping[str, float] | None = None) -> list[str]:
        """Return the states whose derivatives differ by more than rounding: 1e-9 of it, 1e-11 of what it balances."""
        got, turnover = self.compiled(y, runtime or {})
        want = self.expected(y, runtime or {})
        allowed = 1e-9 * np.abs(want) + 1e-11 * turnover + 1e-14
        wrong = np.flatnonzero(~(np.abs(got - want) <= allowed))
        return [f"{self.model.state_names[i]}: compiled {got[i]:.12g}, reference {want[i]:.12g}" for i in wrong]


@pytest.fixture(scope="module")
def knowledge() -> Knowledge:
    return load()


@pytest.fixture(scope="module")
def pair(knowledge: Knowledge) -> Pair:
    return Pair(compile_model(knowledge), reference_module(SOURCE).Reference(knowledge))


@pytest.fixture(scope="module")
def course(pair: Pair) -> Floats:
    """Ten states along two weeks after 70% resection, a fifth of the hepatocytes labelled."""
    time_h = np.array([0.0, 1.0, 4.0, 12.0, 24.0, 36.0, 60.0, 96.0, 168.0, 336.0])
    return PopulationEngine().run(pair.model, [PHX70, LABEL], time_h).states


def removed(model: CompiledModel, fraction: float) -> Floats:
    return np.where(model.extensive, model.rest * (1.0 - fraction), model.rest)


def perturbed(model: CompiledModel, seed: int) -> Floats:
    """Return a state that no run visits: levels e-fold apart, some gone, some a hair below zero, nodes anywhere."""
    rng = np.random.default_rng(seed)
    y = model.rest * np.exp(rng.normal(0.0, 1.0, model.n_states))
    for i, name in enumerate(model.state_names):
        if name.startswith("node."):
            y[i] = rng.uniform(-0.05, 1.05)
        elif name == "inflow_response":
            y[i] = rng.uniform(-0.5, 0.5)
        elif rng.uniform() < 0.03:
            y[i] = rng.choice([0.0, -1e-9])
    if rng.uniform() < 0.3:
        gone = rng.choice(["HEP", "LSEC", "HSC", "KC", "BEC", "BIP"])
        y[[name.startswith(f"{gone}.") for name in model.state_names]] = 0.0
    return y


# ----------------------------------------------------------------------------------------------------- at rest


def test_same_states(pair: Pair) -> None:
    assert len(set(pair.reference.state_names)) == len(pair.reference.state_names)
    assert set(pair.reference.state_names) == set(pair.model.state_names)


def test_same_states_belong_to_the_tissue(pair: Pair) -> None:
    names = np.array(pair.model.state_names)
    assert set(names[pair.model.extensive]) == pair.reference.tissue


def test_same_healthy_state(pair: Pair) -> None:
    want = [pair.reference.rest[name] for name in pair.model.state_names]
    np.testing.assert_allclose(pair.model.rest, want, rtol=1e-10, atol=1e-14)


def test_both_stand_still_at_rest(pair: Pair) -> None:
    got, turnover = pair.compiled(pair.model.rest, {})
    assert np.abs(got).max() < 1e-12 * max(1.0, turnover.max())
    assert np.abs(pair.reference.rhs(pair.reference.rest)).max() < 1e-12 * max(1.0, turnover.max())
    assert not pair.disagreements(pair.model.rest)


def test_an_array_is_as_good_as_a_mapping(pair: Pair) -> None:
    r = pair.reference
    state = r.resected(r.rest, 0.5)
    np.testing.assert_array_equal(r.rhs(state), r.rhs([state[name] for name in r.state_names]))


# ------------------------------------------------------------------------------------------------- derivatives


@pytest.mark.parametrize("fraction", [0.3, 0.7, 0.95])
def test_same_derivative_after_resection(pair: Pair, fraction: float) -> None:
    y = removed(pair.model, fraction)
    state = pair.reference.resected(pair.reference.rest, fraction)
    np.testing.assert_allclose(y, [state[name] for name in pair.model.state_names], rtol=1e-10, atol=1e-14)
    assert np.abs(pair.compiled(y, {})[0]).max() > 1e-3
    assert not pair.disagreements(y)


@pytest.mark.parametrize("index", range(10))
def test_same_derivative_along_a_run(pair: Pair, course: Floats, index: int) -> None:
    assert not pair.disagreements(course[index])


@settings(max_examples=25)
@given(seed=st.integers(0, 2**32 - 1))
def test_same_derivative_at_any_state(pair: Pair, seed: int) -> None:
    assert not pair.disagreements(perturbed(pair.model, seed))


@pytest.mark.parametrize(
    "runtime",
    [
        {"body.demand": 1.5},
        {"body.inflow": 0.4},
        {"body.inflow": 0.0},
        {"body.inflow": 4.0, "body.arterial_inflow": 0.5},
        {"body.inflow": 0.0, "body.arterial_inflow": 0.0, "body.oxygen_beside_blood": 1.0, "body.space": 0.4},
        {"body.demand_shared": 0.3, "body.demand": 1.4},
        {"free.IL6": 0.1},
        {"free.ECM": 0.5, "free.HGF": 3.0},
        {"supply.IL6": 3.0, "supply.LPS": 2.0},
        {"activity.node.HEP.MET": 0.0},
        {"activity.signal.IL6@KC": 0.0},
        {"activity.gene.TLR4@KC": 0.0},
        {"inflow_fast": -0.2, "inflow_slow": 0.3},
        {"inflow_fast": -0.2, "inflow_slow": 0.3, "body.inflow": 0.6, "body.inflow_answers": 0.0},
    ],
    ids=", ".join,
)
def test_same_derivative_with_parameters_changed(pair: Pair, course: Floats, runtime: dict[str, float]) -> None:
    changed = 0.0
    for y in course[[0, 4, 7]]:
        assert not pair.disagreements(y, runtime)
        changed = max(changed, float(np.abs(pair.compiled(y, runtime)[0] - pair.compiled(y, {})[0]).max()))
    assert changed > 1e-9  # else the change reached nothing, and agreement says nothing


def named_parameters(model: CompiledModel) -> list[str]:
    """Return what an experiment may change, but for the limit of survival, which only the engine looks at."""
    return [n for n in model.param_names if not n.startswith("rest:") and n != "lethal_deficit"]


@settings(max_examples=10)
@given(seed=st.integers(0, 2**32 - 1))
def test_same_derivative_with_every_parameter_changed(pair: Pair, course: Floats, seed: int) -> None:
    rng = np.random.default_rng(seed)
    m = pair.model
    runtime = {n: float(m.params[m.position(n)] * rng.uniform(0.7, 1.4)) for n in named_parameters(m)}
    # Above these limits the laws have no meaning: halves and powers of node logic, weights of activities.
    runtime |= {n: min(v, 1.0) for n, v in runtime.items() if n.startswith("weight_")}
    runtime |= {"node_ec50": float(rng.uniform(0.4, 0.5)), "node_hill": float(rng.uniform(1.2, 3.0))}
    assert not pair.disagreements(course[rng.integers(len(course))], runtime)


def test_a_parameter_that_does_not_exist_is_refused(pair: Pair) -> None:
    with pytest.raises(KeyError, match=r"free\.NOTHING"):
        pair.reference.rhs(pair.reference.rest, {"free.NOTHING": 2.0})


# ---------------------------------------------------------------------------------- other models of the same records


@pytest.mark.parametrize("species", SPECIES)
@pytest.mark.parametrize(
    "factors",
    [
        {},
        {
            "hep_commit_rate": 1.3,
            "hep_binucleate_share": 0.9,
            "kc_recruit_rate": 2.0,
            "hgf_store": 0.5,
            "gain_weak": 0.7,
        },
    ],
    ids=["as recorded", "overridden"],
)
def test_same_model_of_each_species(knowledge: Knowledge, species: Species, factors: dict[str, float]) -> None:
    overrides = {name: float(knowledge.parameter[name].value) * k for name, k in factors.items()}  # type: ignore[arg-type]
    model = compile_model(knowledge, species, overrides=overrides)
    reference = reference_module(SOURCE).Reference(knowledge, species, overrides)
    want = [reference.rest[name] for name in model.state_names]
    np.testing.assert_allclose(model.rest, want, rtol=1e-10, atol=1e-14)
    pair = Pair(model, reference)
    assert not pair.disagreements(model.rest)
    assert not pair.disagreements(removed(model, 0.7))


# ---------------------------------------------------------------------------------------------------- readings


def test_same_physics(pair: Pair, course: Floats) -> None:
    m = pair.model
    for y in (m.rest, *course):
        values = pair.values(y, {})
        readings = pair.reference.readings(dict(zip(m.state_names, y.tolist(), strict=True)))
        assert {"volume", "load", "flow", "shear@1", "oxygen@3"} <= set(readings)
        for name, want in readings.items():
            assert values[m.slot_index[name]] == pytest.approx(want, rel=1e-11), name


def test_physics_is_one_in_health(pair: Pair) -> None:
    readings = pair.reference.readings(pair.reference.rest)
    one = ["volume", "load", "flow", "inflow", *(f"{q}@{z}" for q in ("shear", "radius", "size") for z in (1, 2, 3))]
    assert [readings[name] for name in one] == pytest.approx([1.0] * len(one), rel=1e-12)


# --------------------------------------------------------------------------------------- would an error be noticed?

ERRORS = {
    "Hill power": ("x**n / (K**n + x**n)", "x**n / (K**n + x**(n + 0.01))"),
    "node logic": ("C_to_n = B - 1", "C_to_n = B - 1.001"),
    "shear": ("power(radius, -3.0)", "power(radius, -2.0)"),
    "lumen": ("lining * radius**2", "lining * radius"),
    "an inhibitor multiplies": ("factor /= self._sum(m, [term], z)", "factor *= self._sum(m, [term], z)"),
    "gates of one label multiply": ('setdefault(term.gate or ""', "setdefault(str(id(term))"),
    "a gate is left out": ('.{cell.id}", f"secretion.{signal.id}")', '.{cell.id}")'),
    "free level ignored": ('level * self.now(f"free.{signal}", 1.0)', 'level * self.now(f"free.{signal}", 1.0) ** 0'),
    "daughters": ("d[daughter] += 2 * flow", "d[daughter] += 2 * flow * 1.001"),
    "binucleation": ("p = odds / (1 + odds)", "p = odds"),
    "generation": ("min(c.generation + 1, LAST_GENERATION)", "min(c.generation + 2, LAST_GENERATION)"),
    "the store keeps what it frees": ("bound * growth - freed", "bound * growth - freed * growth"),
    "mixing": ("m.now(signal.mixing) * (mean - m[here])", "m.now(signal.mixing) * (m[here] - mean)"),
    "mass does not die": ("(m.now(process.rate) + death) * m[mass]", "(m.now(process.rate) + healthy.death) * m[mass]"),
    "arrivals ignore inflow": ('gates(process) * m.physics["blood"]', "gates(process)"),
    "the artery does not answer": ("max(0.0, by_artery + spared)", "by_artery"),
    "an artery can flow backwards": ("max(0.0, by_artery + spared)", "(by_artery + spared)"),
    "oxygen without blood": ('vessels * q["oxygen_supply"]', "vessels"),
    "a shared demand": ("shared * asked /", "asked /"),
    "no room beside the tissue": ('m.now("body.space") / 3', 'm.now("body.space")'),
    "clearance ignores Kupffer cells": ('"KC": "KC.total"}', '"KC": "volume"}'),
    "failure": ("FAILURE_POWER = 3.0", "FAILURE_POWER = 3.5"),
    "number ratio": ("self.number(cell.number) / self.number(other.number)", "1.0"),
    "way back": ("self.zone_share(cell.id, z) / self.zone_share(cell.id, z + 1)", "1.0"),
    "mass of a new cell": ("j.fold * total * j.size", "j.fold * total"),
    "labels do not divide": ("added * part(name, z) - death", "-death"),
    "labels stay behind": ("+= j.fold * flow", "+= 0.0 * flow"),
    "the dead do not count": (
        "amount *= self._death(m, cell, z)",
        "amount *= healthy and self.healthy_cells[cell.id].death",
    ),
    "requirement": ("target *= 1 - w * (1 - h)", "target *= 1 - w * h"),
}


@pytest.mark.parametrize("error", ERRORS)
def test_a_planted_error_is_noticed(pair: Pair, knowledge: Knowledge, course: Floats, error: str) -> None:
    right, wrong = ERRORS[error]
    assert SOURCE.count(right) == 1, "the text to spoil is not there once"
    spoiled = Pair(pair.model, reference_module(SOURCE.replace(right, wrong)).Reference(knowledge))
    runtime = {"free.IL6": 0.1, "activity.gene.TLR4@KC": 0.0, "inflow_fast": -0.2, "body.demand_shared": 0.8}
    runtime |= {"body.inflow": 3.0 if "backwards" in error else 0.9, "body.space": 0.1}
    assert any(spoiled.disagreements(y, runtime) for y in course[[0, 4, 7]])
