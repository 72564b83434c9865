"""The analytic Jacobian against differences of the derivative, and the pattern that says where it may be nonzero."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hepatalk.engines.population.engine import PopulationEngine, System
from hepatalk.knowledge.load import load
from hepatalk.model.compiled import CompiledModel
from hepatalk.model.compiler import compile_model

Floats = npt.NDArray[np.float64]


def analytic(system: System, y: Floats) -> Floats:
    """Return the Jacobian of the engine as a full matrix."""
    pattern = system.sparsity.pattern.copy()
    entries = np.empty(pattern.nnz)
    system.jac(0.0, y, np.zeros_like(y), entries)
    pattern.data = entries
    return np.asarray(pattern.toarray())


def derivative(system: System, y: Floats) -> Floats:
    yp = np.empty_like(y)
    system.rhs(0.0, y, yp)
    return yp


def numerical(system: System, y: Floats, column: int) -> tuple[Floats, Floats]:
    """Return a column of the Jacobian by central differences of fourth order, and how far rounding may spoil it."""
    h = 1e-4 * max(abs(y[column]), 1e-3)
    at = {}
    for k in (-2, -1, 1, 2):
        moved = y.copy()
        moved[column] += k * h
        at[k] = derivative(system, moved)
    slope = (8.0 * (at[1] - at[-1]) - (at[2] - at[-2])) / (12.0 * h)
    size = np.max([np.abs(v) for v in at.values()], axis=0)
    return slope, size * 1e-14 / h


def perturbed(model: CompiledModel, seed: int) -> Floats:
    """Return a state at which every amount is positive and every node strictly inside (0, 1): no law has a corner."""
    rng = np.random.default_rng(seed)
    y = np.maximum(model.rest, 1e-3) * np.exp(rng.normal(0.0, 0.7, model.n_states))
    nodes = [i for i, name in enumerate(model.state_names) if name.startswith("node.")]
    y[nodes] = rng.uniform(0.05, 0.95, len(nodes))
    return y


def worst_column(system: System, y: Floats) -> tuple[float, str]:
    """Return the largest disagreement, relative to the entry or to what its row and column make of it, and where."""
    full = analytic(system, y)
    # An entry matters beside the largest effect on its row: effects are slopes x the size of what they are slopes of.
    effect = np.abs(full) * np.maximum(np.abs(y), 1e-3)
    row = effect.max(axis=1)
    worst = (0.0, "nowhere")
    for j in range(len(y)):
        slope, rounding = numerical(system, y, j)
        allowed = np.abs(full[:, j]) + 1e-4 * row / max(abs(y[j]), 1e-3) + 1e6 * rounding + 1e-12
        off = np.abs(slope - full[:, j]) / allowed
        i = int(off.argmax())
        if off[i] > worst[0]:
            names = system.model.state_names
            worst = (float(off[i]), f"d({names[i]})'/d({names[j]}): {full[i, j]:.8g}, measured {slope[i]:.8g}")
    return worst


@pytest.fixture(scope="module")
def system(rat: CompiledModel) -> System:
    return PopulationEngine().system(rat)


def test_jacobian_after_resection(system: System) -> None:
    m = system.model
    # Nodes at rest may stand at the corner of a law (0 or 1): they are moved inside.
    y = np.where(m.extensive, 0.3 * np.maximum(m.rest, 1e-4), m.rest)
    nodes = [i for i, name in enumerate(m.state_names) if name.startswith("node.")]
    y[nodes] = np.clip(y[nodes], 0.01, 0.99)
    off, where = worst_column(system, y)
    assert off < 1e-5, where


def test_jacobian_at_rest(system: System) -> None:
    """At rest itself, but for the states that stand at zero, where a response is one-sided."""
    m = system.model
    full = analytic(system, m.rest)
    inside = [j for j in range(m.n_states) if 1e-3 < m.rest[j] < 0.99 or (m.rest[j] > 1.01)]
    assert len(inside) > m.n_states / 4
    for j in inside:
        slope, rounding = numerical(system, m.rest, j)
        np.testing.assert_allclose(
            full[:, j], slope, rtol=1e-5, atol=1e-9 + float(rounding.max()), err_msg=m.state_names[j]
        )


@settings(max_examples=3)
@given(seed=st.integers(0, 2**32 - 1))
def test_jacobian_at_perturbed_states(system: System, seed: int) -> None:
    off, where = worst_column(system, perturbed(system.model, seed))
    assert off < 1e-5, where


@settings(max_examples=3)
@given(seed=st.integers(0, 2**32 - 1))
def test_pattern_has_every_entry_that_is_not_zero(system: System, seed: int) -> None:
    m = system.model
    pattern = system.sparsity.pattern.toarray() > 0
    assert pattern.diagonal().all()
    y = perturbed(m, seed)
    before = derivative(system, y)
    for j in range(m.n_states):
        moved = y.copy()
        moved[j] *= 1.5
        # Outside the pattern not a bit may change: the state is not read at all.
        changed = derivative(system, moved) != before
        outside = [m.state_names[i] for i in np.flatnonzero(changed & ~pattern[:, j])]
        assert not outside, f"{m.state_names[j]} acts on {outside}"


def test_pattern_is_sparse_and_not_far_too_large(system: System) -> None:
    m = system.model
    pattern = system.sparsity.pattern.toarray() > 0
    used = np.zeros_like(pattern)
    for seed in range(4):
        used |= analytic(system, perturbed(m, seed)) != 0.0
    assert not (used & ~pattern).any()
    assert pattern.mean() < 0.25
    assert used.sum() > 0.9 * pattern.sum()


def test_jacobian_of_two_lobes_that_differ() -> None:
    """Blood and load divide between the lobes: each reads cells of the other."""
    model = compile_model(load(), lobes=2)
    system = PopulationEngine().system(model)
    for name, value in (("lobe.A.portal", 0.2), ("lobe.B.portal", 0.9), ("portal_collaterals", 0.3)):
        system.params[model.position(name)] = value
    y = perturbed(model, 11)
    off, where = worst_column(system, y)
    assert off < 1e-5, where
    index = model.slot_index
    full = analytic(system, y)
    assert full[index["HEP.mass@A1"], index["LSEC.count@B2"]] != 0.0


def test_a_wrong_jacobian_would_be_noticed(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    m = system.model
    y = perturbed(m, 1)
    right = System.jac

    def wrong(self: System, t: float, y: Floats, yp: Floats, entries: Floats) -> None:
        right(self, t, y, yp, entries)
        entries[int(np.abs(entries).argmax())] *= 1.001

    monkeypatch.setattr(System, "jac", wrong)
    assert worst_column(system, y)[0] > 1e-5
