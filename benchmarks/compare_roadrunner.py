"""Compare one 14-day run after a 70% hepatectomy with libRoadRunner on the same equations, in one process.

Usage: ``python benchmarks/compare_roadrunner.py [--repeats N] [--optimise none|less|default|aggressive|mcjit]``. Needs
the ``bench`` extra. Loading the model into libRoadRunner takes more than a minute.
"""

# ruff: noqa: T201 -- a script that reports by printing

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import roadrunner  # type: ignore[import-untyped]

sys.path.insert(0, str(Path(__file__).parent))
from sbml_writer import write_sbml  # type: ignore[import-not-found]

from hepatalk.engines.population.changes import relabelled
from hepatalk.engines.population.engine import PopulationEngine
from hepatalk.engines.population.kernels import evaluate_many
from hepatalk.knowledge.load import load
from hepatalk.model.compiled import CompiledModel
from hepatalk.model.compiler import compile_model
from hepatalk.model.laws import Law
from hepatalk.model.schedule import Change

Floats = npt.NDArray[np.float64]
Spent = tuple[float, float]
Timed = tuple[list[float], list[float], Floats]

RTOL, ATOL = 1e-7, 1e-10
HOURS = 14 * 24
LEFT = 0.3
GOAL = 3.0
AGREEMENT = 1e-4
#: States are compared relative to their size, or to this where they are smaller: on the scale of each state, 1e-3 of
#: its healthy value; far below it the absolute tolerance of both solvers rules.
SMALLEST = 1e-3


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the comparison; return 1 if the solutions disagree."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--repeats", type=positive, default=5, help="timed runs of each, in turn (default 5)")
    parser.add_argument(
        "--optimise",
        choices=["none", "less", "default", "aggressive", "mcjit"],
        default="none",
        help="how far libRoadRunner's compiler optimises; anything but none may not end on a model of this size",
    )
    options = parser.parse_args(arguments)

    start = time.perf_counter()
    model = compile_model(load(), "rat")
    loaded = time.perf_counter() - start
    times = np.arange(HOURS + 1, dtype=np.float64)
    engine = PopulationEngine(rtol=RTOL, atol=ATOL)
    change = Change(0.0, "scale_extensive", "", LEFT, "70% hepatectomy")

    print(f"hepatalk: {model.n_states} states, {model.n_ops} operations; libRoadRunner {roadrunner.__version__}")
    start = time.perf_counter()
    runner = load_roadrunner(model, options.optimise)
    theirs_loaded = time.perf_counter() - start
    print(f"load: hepatalk {loaded:.2f} s (records to model), libRoadRunner {theirs_loaded:.1f} s", flush=True)
    choose_method(runner)

    ours, theirs = alternate(
        lambda: engine.run(model, [change], times).states,
        lambda: simulate(runner),
        options.repeats,
        prepare=runner.resetToOrigin,
    )
    report_times("wall", ours[0], theirs[0])
    report_times("processor", ours[1], theirs[1])
    return report_agreement(model, ours[2], theirs[2])


def positive(text: str) -> int:
    """Return a whole number above zero."""
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def load_roadrunner(model: CompiledModel, optimise: str) -> roadrunner.RoadRunner:
    """Return libRoadRunner with the model loaded, at the settings that suit it best.

    Numbers written in, guards left out (see `report_agreement`), tolerances as hepatalk's. A single absolute
    tolerance would be scaled by each initial value, so a vector of equal ones is set. Its CVODE has no other Jacobian
    than a dense one by differences.

    Its compiler (LLVM) takes the right-hand side as one block of code, on which the optimising code generator takes a
    time that grows far faster than the block; the one that does not optimise ends. Setters and initial values that
    could be changed are left out, since each is another copy of the rules.
    """
    start = relabelled(model, model.rest)
    start = np.where(model.extensive, start * LEFT, start)
    text = write_sbml(model, start, numbers="inline", guards=False)
    settings = roadrunner.LoadSBMLOptions()
    settings.readOnly, settings.mutableInitialConditions = True, False
    if optimise != "mcjit":
        settings.setLLVMBackend(settings.LLJIT)
        settings.setLLJitOptimizationLevel(getattr(settings, optimise.upper()))
    runner = roadrunner.RoadRunner()
    runner.load(text, settings)
    runner.timeCourseSelections = ["time", *(f"s{i}" for i in range(model.n_states))]
    integrator = runner.getIntegrator()
    integrator.setValue("maximum_num_steps", 1_000_000)
    integrator.setValue("relative_tolerance", RTOL)
    integrator.setValue("absolute_tolerance", [ATOL] * model.n_states)
    return runner


def choose_method(runner: roadrunner.RoadRunner) -> None:
    """Set the method of CVODE, BDF or Adams, that is faster on this run, and say so."""
    spent = {}
    for name, stiff in (("BDF", True), ("Adams", False)):
        runner.getIntegrator().setValue("stiff", stiff)
        runner.resetToOrigin()
        start = time.perf_counter()
        simulate(runner)
        spent[name] = time.perf_counter() - start
    best = min(spent, key=lambda name: spent[name])
    runner.getIntegrator().setValue("stiff", best == "BDF")
    shown = ", ".join(f"{name} {1e3 * seconds:.0f} ms" for name, seconds in spent.items())
    print(f"libRoadRunner's CVODE: {shown}; {best} is used", flush=True)


def simulate(runner: roadrunner.RoadRunner) -> Floats:
    """Return the course of the states, (n_times, n_states)."""
    return np.array(runner.simulate(0, HOURS, HOURS + 1))[:, 1:]


def alternate(
    ours: Callable[[], Floats], theirs: Callable[[], Floats], repeats: int, *, prepare: Callable[[], None]
) -> tuple[Timed, Timed]:
    """Time two runs in turn after one warm-up of each; going back to the start is not timed."""
    ours()
    prepare()
    theirs()
    first: list[Spent] = []
    second: list[Spent] = []
    for _ in range(repeats):
        wall, processor, a = timed(ours)
        first.append((wall, processor))
        prepare()
        wall, processor, b = timed(theirs)
        second.append((wall, processor))
    return (
        ([s[0] for s in first], [s[1] for s in first], a),
        ([s[0] for s in second], [s[1] for s in second], b),
    )


def timed(run: Callable[[], Floats]) -> tuple[float, float, Floats]:
    """Return the wall time and the processor time (all threads) of a run, s, and its outcome."""
    wall, processor = time.perf_counter(), time.process_time()
    out = run()
    return time.perf_counter() - wall, time.process_time() - processor, out


def report_times(kind: str, ours: list[float], theirs: list[float]) -> None:
    """Print median and least time of both, and their ratio."""
    for name, spent in (("hepatalk", ours), ("libRoadRunner", theirs)):
        median, least = 1e3 * statistics.median(spent), 1e3 * min(spent)
        print(f"{kind} time: {name:13s} median {median:8.1f} ms, least {least:8.1f} ms")
    ratio = statistics.median(theirs) / statistics.median(ours)
    least_ratio = min(theirs) / min(ours)
    word = "met" if min(ratio, least_ratio) >= GOAL else "MISSED"
    print(f"  ratio {ratio:.1f} of medians, {least_ratio:.1f} of least times (goal: at least {GOAL:g}: {word})")


def report_agreement(model: CompiledModel, ours: Floats, theirs: Floats) -> int:
    """Print the largest differences, and how near the course comes to a guard that was left out."""
    a, b = volume(model, ours), volume(model, theirs)
    worst_volume = float(np.max(np.abs(a - b) / a))
    difference = np.abs(ours - theirs) / np.maximum(np.abs(ours), SMALLEST)
    at, state = np.unravel_index(int(difference.argmax()), difference.shape)
    worst = float(difference[at, state])
    print(f"liver volume: largest relative difference {worst_volume:.1e}")
    print(f"all states:   largest relative difference {worst:.1e} ({model.state_names[state]} at {at} h)")
    print(f"guards left out: an input passes one by at most {guard_effect(model, ours):.1e}")
    agreed = max(worst_volume, worst) < AGREEMENT
    print(f"agreement to {AGREEMENT:g}: {'yes' if agreed else 'NO'}")
    return 0 if agreed else 1


def slots_along(model: CompiledModel, states: Floats, slots: Sequence[int]) -> Floats:
    """Return chosen slots along a course, (n_times, n_chosen)."""
    tape = (model.law, model.input_start, model.inputs, model.argument_start, model.arguments)
    chosen = np.asarray(slots, dtype=np.int64)
    return evaluate_many(np.ascontiguousarray(states), model.params, chosen, *tape)


def volume(model: CompiledModel, states: Floats) -> Floats:
    """Return the liver volume along a course, (n_times,), relative to the healthy one."""
    return slots_along(model, states, [model.slot_index["volume"]])[:, 0]


def guard_effect(model: CompiledModel, states: Floats) -> float:
    """Return how far any input of a guarded law goes past its guard along the course; 0 if none does."""
    worst = 0.0
    for k, law in enumerate(model.law):
        first, argument = model.input_start[k], model.argument_start[k]
        match Law(law):
            case Law.RATIO:
                floor = model.params[model.arguments[argument + 1]]
                x = slots_along(model, states, [int(model.inputs[first + 1])])
                worst = max(worst, float(np.max(floor - x)))
            case Law.HILL | Law.POWER | Law.NORMAL_HILL:
                x = slots_along(model, states, [int(model.inputs[first])])
                worst = max(worst, float(np.max(-x)))
                if law == Law.NORMAL_HILL:
                    worst = max(worst, float(np.max(x - 1.0)))
    return worst


if __name__ == "__main__":
    raise SystemExit(main())
