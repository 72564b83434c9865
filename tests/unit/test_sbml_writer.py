"""The benchmark's SBML text says what the kernels evaluate: read back with a small evaluator and compared."""

from __future__ import annotations

import importlib.util
import math
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from types import ModuleType
from typing import Literal

import numpy as np
import numpy.typing as npt
import pytest

from hepatalk.engines.population.kernels import derivative, evaluate
from hepatalk.knowledge.load import load
from hepatalk.model.compiled import CompiledModel
from hepatalk.model.compiler import compile_model

Floats = npt.NDArray[np.float64]
S = "{http://www.sbml.org/sbml/level3/version1/core}"
M = "{http://www.w3.org/1998/Math/MathML}"


@pytest.fixture(scope="module")
def writer(repository: Path) -> ModuleType:
    """The benchmark's module; benchmarks/ is no package and is not installed."""
    spec = importlib.util.spec_from_file_location("sbml_writer", repository / "benchmarks" / "sbml_writer.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look their module up by name while the module runs.
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "sbml_writer", module)
        spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def model() -> CompiledModel:
    return compile_model(load(), "rat")


def evaluated(node: ET.Element, values: dict[str, float]) -> float:
    """Return the value of a MathML element; an operator it does not know is an error."""
    tag = node.tag.removeprefix(M)
    if tag == "math":
        (only,) = node
        return evaluated(only, values)
    if tag == "ci":
        return values[(node.text or "").strip()]
    if tag == "cn":
        if node.get("type") == "e-notation":
            return float(f"{node.text}e{node[0].tail}")
        return float(node.text or "nan")
    if tag == "piecewise":
        for piece in node.findall(f"{M}piece"):
            if evaluated(piece[1], values):
                return evaluated(piece[0], values)
        otherwise = node.find(f"{M}otherwise")
        assert otherwise is not None
        return evaluated(otherwise[0], values)
    assert tag == "apply", tag
    x = [evaluated(child, values) for child in node[1:]]
    return {
        "plus": lambda: sum(x),
        "times": lambda: math.prod(x),
        "minus": lambda: x[0] - x[1],
        "divide": lambda: x[0] / x[1],
        "power": lambda: x[0] ** x[1],
        "leq": lambda: float(x[0] <= x[1]),
        "geq": lambda: float(x[0] >= x[1]),
        "gt": lambda: float(x[0] > x[1]),
    }[node[0].tag.removeprefix(M)]()


def written_derivative(root: ET.Element, y: Floats) -> Floats:
    """Return the derivative that the text describes; assignment rules must stand in an order that works."""
    values = {p.get("id", ""): float(p.get("value", "nan")) for p in root.iter(f"{S}parameter")}
    values |= {f"s{i}": float(v) for i, v in enumerate(y)}
    for rule in root.iter(f"{S}assignmentRule"):
        values[rule.get("variable", "")] = evaluated(rule[0], values)
    rates = {rule.get("variable"): evaluated(rule[0], values) for rule in root.iter(f"{S}rateRule")}
    return np.array([rates[f"s{i}"] for i in range(len(y))])


def kernel_derivative(model: CompiledModel, y: Floats) -> tuple[Floats, Floats]:
    """Return the derivative, and the sum of the sizes of its terms, both (n_states,)."""
    values = np.concatenate([y, np.zeros(model.n_ops)])
    evaluate(values, model.params, model.law, model.input_start, model.inputs, model.argument_start, model.arguments)
    out, size = np.empty(model.n_states), np.empty(model.n_states)
    derivative(out, values, model.flux_start, model.flux, model.coefficient)
    derivative(size, np.abs(values), model.flux_start, model.flux, np.abs(model.coefficient))
    return out, size


def assert_same_derivative(root: ET.Element, model: CompiledModel, y: Floats) -> None:
    """Compare with the kernels; where terms cancel (at rest), what rounding leaves is measured against the terms.

    The small absolute part is for a term that is itself a difference of order one, such as a node's approach.
    """
    expected, size = kernel_derivative(model, y)
    np.testing.assert_array_less(np.abs(written_derivative(root, y) - expected), 1e-12 * size + 1e-14)


def perturbed(model: CompiledModel) -> Floats:
    """A state away from rest; what is zero at rest is made positive too, so that every term acts."""
    rng = np.random.default_rng(7)
    return (model.rest + 0.01) * rng.uniform(0.4, 0.9, model.n_states)


@pytest.mark.parametrize("numbers", ["inline", "parameters"])
@pytest.mark.parametrize("fold", [True, False])
def test_text_gives_the_kernels_derivative(
    writer: ModuleType, model: CompiledModel, numbers: Literal["inline", "parameters"], fold: bool
) -> None:
    root = ET.fromstring(writer.write_sbml(model, numbers=numbers, fold=fold))
    for y in (model.rest, perturbed(model)):
        assert_same_derivative(root, model, y)


def test_perturbed_state_moves(model: CompiledModel) -> None:
    moving = np.abs(kernel_derivative(model, perturbed(model))[0]) > 1e-9
    assert moving.mean() > 0.9


def test_guards_hold_outside_the_sound_range(writer: ModuleType, model: CompiledModel) -> None:
    y = np.where(np.arange(model.n_states) % 3 == 0, -0.01, 1.2) * (model.rest + 0.01)
    assert_same_derivative(ET.fromstring(writer.write_sbml(model)), model, y)


def test_guards_can_be_left_out(writer: ModuleType, model: CompiledModel) -> None:
    text = writer.write_sbml(model, guards=False)
    assert "piecewise" in writer.write_sbml(model)
    assert "piecewise" not in text
    y = perturbed(model)
    # Guards may only be left out where no input passes one: recruitment from the marrow must be above its healthy rate.
    for i, name in enumerate(model.state_names):
        if name.startswith(("signal.VEGFA@", "signal.CXCL12@")):
            y[i] = 4.0
    assert_same_derivative(ET.fromstring(text), model, y)


def test_every_state_has_one_rate_rule_and_its_start(writer: ModuleType, model: CompiledModel) -> None:
    start = model.rest * 0.3
    root = ET.fromstring(writer.write_sbml(model, start))
    states = [f"s{i}" for i in range(model.n_states)]
    assert sorted(r.get("variable", "") for r in root.iter(f"{S}rateRule")) == sorted(states)
    by_id = {p.get("id"): p for p in root.iter(f"{S}parameter")}
    assert [float(by_id[s].get("value", "nan")) for s in states] == start.tolist()
    assert [by_id[s].get("name") for s in states] == list(model.state_names)


def test_kept_operations_have_a_rule(writer: ModuleType, model: CompiledModel) -> None:
    slot = model.slot_index["volume"] - model.n_states
    root = ET.fromstring(writer.write_sbml(model, keep=("volume",)))
    assert f"o{slot}" in {r.get("variable") for r in root.iter(f"{S}assignmentRule")}
    with pytest.raises(KeyError, match="no such quantity"):
        writer.write_sbml(model, keep=("no such quantity",))
