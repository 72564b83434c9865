"""The solver: two codes agree, tighter tolerances converge, and output times do not alter the solution."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest

from hepatalk.engines.base import Course
from hepatalk.engines.population.engine import PopulationEngine
from hepatalk.engines.population.kernels import evaluate_many
from hepatalk.model.compiled import CompiledModel
from hepatalk.model.schedule import Change

Floats = npt.NDArray[np.float64]

PHX70 = Change(0.0, "scale_extensive", "liver", 0.3, "70% of the liver removed")
DAYS_14 = np.linspace(0.0, 336.0, 57)


def volume(model: CompiledModel, course: Course) -> Floats:
    slots = np.array([model.slot_index["volume"]])
    tape = (model.law, model.input_start, model.inputs, model.argument_start, model.arguments)
    return np.asarray(evaluate_many(course.states, course.param_sets[0], slots, *tape)[:, 0])


def test_cvode_and_lsoda_agree(rat: CompiledModel) -> None:
    cvode = PopulationEngine().run(rat, [PHX70], DAYS_14)
    lsoda = PopulationEngine(solver="lsoda").run(rat, [PHX70], DAYS_14)
    want = volume(rat, lsoda)
    assert want.max() / want.min() > 1.5  # something has happened
    np.testing.assert_allclose(volume(rat, cvode), want, rtol=1e-4)
    for cell in ("HEP", "LSEC", "HSC", "KC", "BEC"):
        group = rat.groups[f"{cell}.s"]
        got, expected = cvode.states[:, group].sum(axis=1), lsoda.states[:, group].sum(axis=1)
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4 * expected.max(), err_msg=f"{cell} in S phase")


def test_tighter_tolerances_converge(rat: CompiledModel) -> None:
    """The error falls with the tolerance, tenfold for tenfold within what a solver of variable order keeps to."""

    def run(rtol: float) -> Floats:
        return PopulationEngine(rtol=rtol, atol=1e-3 * rtol).run(rat, [PHX70], DAYS_14).states

    best = run(1e-12)
    scale = np.abs(best).max(axis=0) + 1e-6
    tolerances = np.array([1e-5, 1e-6, 1e-7, 1e-8, 1e-9])
    errors = np.array([(np.abs(run(rtol) - best) / scale).max() for rtol in tolerances])
    assert (errors < 3e3 * tolerances).all(), errors
    order = np.polyfit(np.log10(tolerances), np.log10(errors), 1)[0]
    assert 0.6 < order < 1.3, f"errors {errors} fall with order {order:.2f}"


@pytest.mark.parametrize(
    "changes",
    [
        [PHX70],
        [
            PHX70,
            Change(0.0, "scale_parameter", "free.IL6", 0.1, "antibody"),
            Change(48.0, "scale_parameter", "free.IL6", 10.0, "end of antibody"),
            Change(101.5, "set_parameter", "body.demand", 1.2, "demand"),
        ],
    ],
    ids=["phx70", "changes on and off the grid"],
)
def test_output_times_do_not_alter_a_bit(rat: CompiledModel, changes: Sequence[Change]) -> None:
    engine = PopulationEngine()
    hourly = engine.run(rat, changes, np.arange(0.0, 337.0))
    six_hourly = engine.run(rat, changes, np.arange(0.0, 337.0, 6.0))
    np.testing.assert_array_equal(hourly.states[::6], six_hourly.states)
    np.testing.assert_array_equal(
        hourly.param_sets[hourly.param_set_of[::6]], six_hourly.param_sets[six_hourly.param_set_of]
    )


def test_uneven_output_times_do_not_alter_a_bit(rat: CompiledModel) -> None:
    engine = PopulationEngine()
    hourly = engine.run(rat, [PHX70], np.arange(0.0, 169.0))
    few = np.array([0.0, 1.0, 2.0, 7.0, 48.0, 49.0, 168.0])
    np.testing.assert_array_equal(engine.run(rat, [PHX70], few).states, hourly.states[few.astype(int)])


def test_a_run_is_repeated_to_the_last_bit(rat: CompiledModel) -> None:
    time_h = np.arange(0.0, 97.0)
    first, second = (PopulationEngine().run(rat, [PHX70], time_h) for _ in range(2))
    np.testing.assert_array_equal(first.states, second.states)


@pytest.mark.parametrize("solver", ["cvode", "lsoda"])
def test_health_lasts(rat: CompiledModel, solver: str) -> None:
    """Nothing happens to an animal to which nothing is done, but that its labels of descent grow old."""
    course = PopulationEngine(solver=solver).run(rat, [], np.array([0.0, 24.0, 336.0]))  # type: ignore[arg-type]
    assert np.abs(volume(rat, course) - 1.0).max() < 1e-7
    labels = set(rat.relabel.tracers.tolist())
    kept = [i for i, name in enumerate(rat.state_names) if "generation" not in name and not name.startswith("LSEC.")]
    kept = [i for i in kept if i not in labels]
    kept += [i for i, name in enumerate(rat.state_names) if "count@" in name]
    drift = np.abs(course.states[:, kept] - rat.rest[kept]) / (np.abs(rat.rest[kept]) + 1e-3)
    assert drift.max() < 1e-6, rat.state_names[kept[int(drift.max(axis=0).argmax())]]
