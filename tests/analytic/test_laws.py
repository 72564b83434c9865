"""The rate laws: values that can be said beforehand, slopes against differences, and the edges of their domains."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from hepatalk.engines.population.engine import PopulationEngine
from hepatalk.engines.population.kernels import evaluate
from hepatalk.model.compiled import CompiledModel
from hepatalk.model.laws import (
    Law,
    hill,
    hill_slope,
    normal_hill,
    normal_hill_slope,
    power,
    power_slope,
    ratio,
    relax,
)
from hepatalk.model.rest import apply_law
from hepatalk.model.tape import Tape

MakeModel = Callable[[Tape, list[float]], CompiledModel]

POWERS = [1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 5.0, 7.0, 1.4, 2.5, 0.5]
powers = st.one_of(st.sampled_from(POWERS), st.floats(0.3, 10.0))
levels = st.floats(1e-3, 1e3)
#: Node logic needs half^n < 1/2; where it is tiny, rounding takes digits (1e-16 / half^n) from B - 1.
node_shapes = st.tuples(st.floats(0.1, 0.9), st.floats(1.0, 8.0)).filter(lambda s: 1e-3 < s[0] ** s[1] < 0.49)


def difference(f: Callable[[float], float], x: float) -> float:
    """Return the slope from four points: the error is of fourth order in a step of 1e-3 of x."""
    h = 1e-3 * abs(x)
    return (8.0 * (f(x + h) - f(x - h)) - (f(x + 2 * h) - f(x - 2 * h))) / (12.0 * h)


# ------------------------------------------------------------------------------------------------- response laws


@pytest.mark.parametrize("n", POWERS)
def test_hill_at_known_points(n: float) -> None:
    assert hill(0.0, 2.0, n) == 0.0
    assert hill(2.0, 2.0, n) == pytest.approx(0.5, rel=1e-14)
    assert hill(6.0, 2.0, n) == pytest.approx(3.0**n / (1.0 + 3.0**n), rel=1e-14)
    assert hill(1e30, 2.0, n) == pytest.approx(1.0, abs=1e-14)


@given(x=levels, half=levels, n=powers)
def test_hill_is_the_hill_equation(x: float, half: float, n: float) -> None:
    assert hill(x, half, n) == pytest.approx(x**n / (half**n + x**n), rel=1e-12)


@given(x=levels, half=levels, n=powers)
def test_hill_slope(x: float, half: float, n: float) -> None:
    scale = hill(x, half, n) / x
    assert hill_slope(x, half, n) == pytest.approx(
        difference(lambda v: hill(v, half, n), x), rel=1e-6, abs=1e-8 * scale
    )


@pytest.mark.parametrize("n", POWERS)
@pytest.mark.parametrize("x", [0.0, -0.0, -1e-12, -3.0])
def test_nothing_responds_to_nothing(x: float, n: float) -> None:
    assert hill(x, 1.5, n) == 0.0
    assert hill_slope(x, 1.5, n) == 0.0
    assert normal_hill(x, 0.4, n) == 0.0
    assert normal_hill_slope(x, 0.4, n) == 0.0
    assert power(x, n) == 0.0
    assert power_slope(x, n) == 0.0


@given(shape=node_shapes)
def test_normal_hill_at_known_points(shape: tuple[float, float]) -> None:
    half, n = shape
    assert normal_hill(half, half, n) == pytest.approx(0.5, rel=1e-11)
    assert normal_hill(1.0, half, n) == 1.0
    assert normal_hill(7.0, half, n) == 1.0
    assert normal_hill(1.0 - 1e-12, half, n) == pytest.approx(1.0, abs=1e-9)
    assert normal_hill_slope(1.0, half, n) == 0.0
    assert normal_hill_slope(7.0, half, n) == 0.0


@given(shape=node_shapes, x=st.floats(0.01, 0.99))
def test_normal_hill_is_that_of_its_source(shape: tuple[float, float], x: float) -> None:
    half, n = shape
    b = (half**n - 1.0) / (2.0 * half**n - 1.0)
    c = (b - 1.0) ** (1.0 / n)
    assert normal_hill(x, half, n) == pytest.approx(b * x**n / (c**n + x**n), rel=1e-10)


@given(shape=node_shapes, x=st.floats(0.01, 0.99))
def test_normal_hill_slope(shape: tuple[float, float], x: float) -> None:
    half, n = shape
    scale = normal_hill(x, half, n) / x
    measured = difference(lambda v: normal_hill(v, half, n), x)
    assert normal_hill_slope(x, half, n) == pytest.approx(measured, rel=1e-6, abs=1e-8 * scale)


@given(shape=node_shapes, x=st.floats(0.0, 1.0), y=st.floats(0.0, 1.0))
def test_responses_never_fall(shape: tuple[float, float], x: float, y: float) -> None:
    half, n = shape
    low, high = min(x, y), max(x, y)
    assert hill(low, half, n) <= hill(high, half, n) <= 1.0
    assert normal_hill(low, half, n) <= normal_hill(high, half, n) * (1 + 1e-14) <= 1.0 + 1e-14


@given(x=levels, n=st.one_of(powers, st.just(-3.0)))
def test_power_and_its_slope(x: float, n: float) -> None:
    assert power(x, n) == pytest.approx(math.exp(n * math.log(x)), rel=1e-11)
    assert power_slope(x, n) == pytest.approx(difference(lambda v: power(v, n), x), rel=1e-6)


@pytest.mark.parametrize(
    ("x", "y", "value"), [(6.0, 3.0, 2.0), (6.0, 0.5, 12.0), (6.0, 0.1, 12.0), (6.0, -4.0, 12.0), (0.0, 0.0, 0.0)]
)
def test_ratio_keeps_to_its_floor(x: float, y: float, value: float) -> None:
    assert ratio(x, y, 0.5) == value


def test_relax() -> None:
    assert relax(0.8, 0.8, 1.0, 3.0) == 0.0
    assert relax(1.0, 0.0, 1.0, 4.0) == 0.25
    assert relax(1.0, 0.6, 0.5, 2.0) == pytest.approx(-0.05)


# ------------------------------------------------------------------- every law of the table, as the engine uses it

#: Law, inputs, arguments, value.
TABLE: list[tuple[Law, list[float], list[float], float]] = [
    (Law.CONSTANT, [5.0], [0.7], 0.7),
    (Law.LINEAR, [2.0, -3.0], [1.0, 0.5, 2.0], 1.0 + 0.5 * 2.0 - 2.0 * 3.0),
    (Law.LINEAR, [], [4.0], 4.0),
    (Law.PRODUCT, [2.0, 3.0], [0.5, 0.1], 0.3),
    (Law.PRODUCT, [2.0, 0.0, 3.0], [], 0.0),
    (Law.PRODUCT, [], [0.5], 0.5),
    (Law.PRODUCT, [3.0, 3.0], [], 9.0),
    (Law.RATIO, [6.0, 3.0], [0.5, 1e-3], 1.0),
    (Law.RATIO, [6.0, 1e-6], [0.5, 1e-3], 3000.0),
    (Law.POWER, [4.0], [3.0, 0.5], 6.0),
    (Law.POWER, [2.0], [1.0, -3.0], 0.125),
    (Law.HILL, [3.0], [1.5, 2.0], 0.8),
    (Law.HILL, [3.0], [1.5, 2.5], 2.0**2.5 / (1 + 2.0**2.5)),
    (Law.NORMAL_HILL, [0.5], [0.5, 1.4], 0.5),
    (Law.GATE, [0.5, 0.25], [2.0, 4.0, 8.0], (1 + 2 + 2) / 2),
    (Law.BRAKE, [0.5, 0.25], [2.0, 4.0, 8.0], 2 / (1 + 2 + 2)),
    (Law.ANY, [0.5, 0.5], [1.0, 0.5], 1 - 0.5 * 0.75),
    (Law.ANY, [1.0, 0.3], [1.0, 0.5], 1.0),
    (Law.NOT, [0.25], [0.8], 0.8),
    (Law.RELAX, [0.5, 0.2], [0.8, 2.0], 0.1),
]


def test_the_table_has_every_law() -> None:
    assert {law for law, *_ in TABLE} == set(Law)


def one_operation(make_model: MakeModel, law: Law, x: list[float], c: list[float]) -> CompiledModel:
    """Return a model whose first state changes at the value of one operation on its states."""
    tape = Tape()
    slots = [tape.state(f"x{i}", "1") for i in range(max(len(x), 1))]
    op = tape.op(law, slots[: len(x)], [tape.param(f"c{i}", v) for i, v in enumerate(c)], name="value")
    tape.flux(slots[0], op, 1.0)
    return make_model(tape, [*x, *([0.0] if not x else [])])


@pytest.mark.parametrize(("law", "x", "c", "value"), TABLE)
def test_value_of_a_law(make_model: MakeModel, law: Law, x: list[float], c: list[float], value: float) -> None:
    model = one_operation(make_model, law, x, c)
    values = np.append(model.rest, np.nan)
    evaluate(values, model.params, model.law, model.input_start, model.inputs, model.argument_start, model.arguments)
    assert values[-1] == pytest.approx(value, rel=1e-14)
    assert apply_law(law, x, c) == pytest.approx(value, rel=1e-14)


@pytest.mark.parametrize(("law", "x", "c"), [entry[:3] for entry in TABLE if entry[1]])
def test_slope_of_a_law(make_model: MakeModel, law: Law, x: list[float], c: list[float]) -> None:
    model = one_operation(make_model, law, x, c)
    system = PopulationEngine().system(model)
    entries = np.empty(system.sparsity.pattern.nnz)
    system.jac(0.0, model.rest, np.zeros(model.n_states), entries)
    pattern = system.sparsity.pattern.copy()
    pattern.data = entries
    slopes = pattern.toarray()[0]
    h = 1e-6
    for i in range(len(x)):
        high, low = x.copy(), x.copy()
        high[i], low[i] = x[i] + h, x[i] - h
        measured = (apply_law(law, high, c) - apply_law(law, low, c)) / (2 * h) if law is not Law.CONSTANT else 0.0
        assert slopes[i] == pytest.approx(measured, rel=1e-6, abs=1e-6)


def test_an_input_used_twice_counts_twice(make_model: MakeModel) -> None:
    tape = Tape()
    x = tape.state("x", "1")
    tape.flux(x, tape.op(Law.PRODUCT, [x, x, x], []), 2.0)
    system = PopulationEngine().system(make_model(tape, [1.5]))
    entries = np.empty(1)
    system.jac(0.0, np.array([1.5]), np.zeros(1), entries)
    assert entries[0] == pytest.approx(2.0 * 3.0 * 1.5**2, rel=1e-14)


@given(x=st.lists(st.floats(0.0, 1.0), min_size=1, max_size=5), data=st.data())
def test_any_is_at_least_its_strongest_input(x: list[float], data: st.DataObject) -> None:
    w = data.draw(st.lists(st.floats(0.0, 1.0), min_size=len(x), max_size=len(x)))
    value = apply_law(Law.ANY, x, w)
    strongest = max(a * b for a, b in zip(x, w, strict=True))
    assert strongest - 1e-12 <= value <= 1.0


@given(x=st.floats(0.0, 1.0), gain=st.floats(0.0, 1e4), rest=st.floats(1.0, 1e4))
def test_gate_and_brake_are_inverse(x: float, gain: float, rest: float) -> None:
    assume(rest <= 1.0 + gain)
    assert apply_law(Law.GATE, [x], [rest, gain]) * apply_law(Law.BRAKE, [x], [rest, gain]) == pytest.approx(1.0)
