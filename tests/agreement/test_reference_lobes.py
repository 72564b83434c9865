"""The compiled model of two lobes against each lobe written as a liver of its own."""

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
from hepatalk.experiments.run import perform
from hepatalk.knowledge.load import Knowledge, load
from hepatalk.model.compiler import compile_model

Floats = npt.NDArray[np.float64]
HERE = Path(__file__).parent
APART = {
    **{"lobe.A.portal": 0.1, "lobe.B.portal": 0.9, "portal_collaterals": 0.3, "body.demand": 1.3, "body.inflow": 0.9},
    **{"body.arterial_inflow": 0.8, "body.demand_shared": 0.7, "body.space": 0.2, "body.oxygen_beside_blood": 0.1},
}


def module_of(name: str) -> Any:
    module = types.ModuleType(name)
    exec(compile((HERE / f"{name}.py").read_text(encoding="utf-8"), f"{name}.py", "exec"), module.__dict__)
    return module


class Pair:
    """The compiled model of two lobes and the second writing of it."""

    def __init__(self, knowledge: Knowledge) -> None:
        self.model = compile_model(knowledge, lobes=2)
        self.system = PopulationEngine().system(self.model)
        plain = module_of("reference")
        self.reference = module_of("reference_lobes").TwoLobes(plain, plain.Reference(knowledge))

    def disagreements(
        self, y: Floats, runtime: Mapping[str, float], compiled_only: Mapping[str, float] | None = None
    ) -> list[str]:
        """Return the states whose derivatives differ by more than rounding."""
        m = self.model
        self.system.params = m.params.copy()
        for name, value in {**runtime, **(compiled_only or {})}.items():
            self.system.params[m.position(name)] = value
        got = np.empty(m.n_states)
        self.system.rhs(0.0, y, got)
        fluxes = np.abs(m.coefficient * self.system.values(y)[m.flux])
        turnover = np.add.reduceat(np.append(fluxes, 0.0), m.flux_start[:-1]) * (np.diff(m.flux_start) > 0)
        by_name = self.reference.rhs(dict(zip(m.state_names, y.tolist(), strict=True)), runtime)
        want = np.array([by_name[name] for name in m.state_names])
        wrong = np.flatnonzero(~(np.abs(got - want) <= 1e-8 * np.abs(want) + 1e-10 * turnover + 1e-13))
        return [f"{m.state_names[i]}: compiled {got[i]:.12g}, reference {want[i]:.12g}" for i in wrong]


@pytest.fixture(scope="module")
def pair() -> Pair:
    return Pair(load())


def test_same_states_and_healthy_values(pair: Pair) -> None:
    rest = pair.reference.rest
    assert set(rest) == set(pair.model.state_names)
    want = [rest[name] for name in pair.model.state_names]
    np.testing.assert_allclose(pair.model.rest, want, rtol=1e-10, atol=1e-14)


def test_along_alpps(pair: Pair) -> None:
    """Blood withheld from one lobe and cells killed, as a run has it; before a lobe is gone and floors matter."""
    run = perform("alpps", days=6, every=24.0)
    for state, which in zip(run.course.states, run.course.param_set_of, strict=True):
        params = run.course.param_sets[which]
        names = ("lobe.A.portal", "portal_collaterals")
        runtime = {name: float(params[pair.model.position(name)]) for name in names}
        assert runtime == {"lobe.A.portal": 0.0, "portal_collaterals": 0.0}
        assert not pair.disagreements(state, runtime)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_where_the_lobes_differ_in_everything(pair: Pair, seed: int) -> None:
    rng = np.random.default_rng(seed)
    names = pair.model.state_names
    y = np.maximum(pair.model.rest, 1e-3) * np.exp(rng.normal(0.0, 0.6, len(names)))
    for i, name in enumerate(names):
        y[i] = rng.uniform(0.0, 1.0) if name.startswith("node.") else y[i]
        y[i] = rng.uniform(-0.3, 0.3) if name == "inflow_response" else y[i]
    assert not pair.disagreements(y, {**APART, "inflow_fast": 0.2, "inflow_slow": 0.3, "body.bile_flow": 0.5})


@pytest.mark.parametrize("name", list(APART))
def test_a_difference_would_be_noticed(pair: Pair, name: str) -> None:
    y = np.where(pair.model.extensive, 0.6 * pair.model.rest, pair.model.rest)
    assert not pair.disagreements(y, APART)
    assert pair.disagreements(y, APART, {name: 1.001 * APART[name]})
