"""From an experiment to a result: compile, run, measure, keep the provenance."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from hepatalk.engines.base import Course, Engine, Progress
from hepatalk.errors import ExperimentError, unknown
from hepatalk.experiments.bench import Bench
from hepatalk.experiments.conditioned import with_levels
from hepatalk.experiments.culture import culture_changes
from hepatalk.experiments.experiment import Experiment, load_experiment, overridden, with_items
from hepatalk.experiments.injuries import changes_of
from hepatalk.experiments.knockouts import gene_shares, knockout_changes
from hepatalk.experiments.markers import with_shares
from hepatalk.experiments.readouts import Readout, measure, readouts_of, tells_descent
from hepatalk.experiments.waves import first_waves
from hepatalk.knowledge.findings import value_faults
from hepatalk.knowledge.load import Knowledge, load
from hepatalk.knowledge.records import Species
from hepatalk.model.compiled import CompiledModel
from hepatalk.model.schedule import Change
from hepatalk.model.visitors import VISITORS
from hepatalk.results.provenance import Provenance
from hepatalk.results.result import Result

if TYPE_CHECKING:
    from hepatalk.engines.lobule.engine import LobuleSettings
    from hepatalk.engines.population.engine import PopulationEngine

Floats = npt.NDArray[np.float64]

__all__ = ["ENGINES", "Run", "perform", "run"]

#: Engines that exist.
ENGINES = ("population", "lobule")
#: How long an animal without a gene is followed to find its own steady state, and the drift of a year that is none.
GERMLINE_YEARS = 20.0
GERMLINE_DRIFT = 1e-3
#: With germline losses the genes are gone before anything else; the state is steady, so how long before is immaterial.
GERMLINE_LEAD_H = 1.0
#: Peaks are looked for on an hourly course up to here, in h: 28 days.
HOURLY_TO_H = 672.0


@dataclass(frozen=True)
class Run:
    """A finished run with everything needed to look into it.

    Attributes
    ----------
    result : Result
    experiment : Experiment
    model : CompiledModel
    course : Course
        On the output times of the result.
    """

    result: Result
    experiment: Experiment
    model: CompiledModel
    course: Course


def run(  # noqa: PLR0913 - whatever an experiment says can be said otherwise, by name
    experiment: str | Path | Experiment,
    *,
    species: Species | None = None,
    engine: str = "population",
    days: float | None = None,
    every: float | None = None,
    seed: int = 0,
    knockouts: Sequence[str] = (),
    set: Mapping[str, float] | None = None,
    hypotheses: Sequence[str] = (),
    items: Sequence[Mapping[str, object]] = (),
    culture: Mapping[str, object] | None = None,
    knowledge: Knowledge | None = None,
    progress: Progress | None = None,
) -> Result:
    """Run one virtual experiment.

    Parameters
    ----------
    experiment : str, Path or Experiment
        A name of the catalogue (``sham``, ``phx70``, ...), a YAML file, or an experiment.
    species : {'rat', 'mouse', 'human'}, optional
        Instead of the experiment's own.
    engine : {'population', 'lobule'}
        The mean over the liver, or one lobule in space, cell by cell.
    days : float, optional
        Length in days.
    every : float, optional
        Output step in hours; hourly to 28 d and then daily when omitted.
    seed : int
        Of the lobule's shape and cells. The population engine uses no random numbers and keeps it in the provenance.
    knockouts : sequence of str
        ``GENE`` or ``GENE@CELL``, in the species' symbols.
    set : mapping, optional
        Parameter values, by id.
    hypotheses : sequence of str
        Alternatives to switch on.
    items : sequence of mapping
        Injuries and interventions added to the schedule, as a file has them.
    culture : mapping, optional
        What the dish holds, as a file has it: instead of the experiment's own, or to make a culture of it.
    knowledge : Knowledge, optional
        The shipped knowledge base when omitted.
    progress : callable, optional
        Told the fraction done.

    Returns
    -------
    Result

    Raises
    ------
    HepatalkError
        One line for anything that cannot be posed or run.
    """
    return perform(
        experiment,
        species=species,
        engine=engine,
        days=days,
        every=every,
        seed=seed,
        knockouts=knockouts,
        set=set,
        hypotheses=hypotheses,
        items=items,
        culture=culture,
        knowledge=knowledge,
        progress=progress,
    ).result


def perform(  # noqa: PLR0913 - as for run
    experiment: str | Path | Experiment,
    *,
    species: Species | None = None,
    engine: str = "population",
    days: float | None = None,
    every: float | None = None,
    seed: int = 0,
    knockouts: Sequence[str] = (),
    set: Mapping[str, float] | None = None,
    hypotheses: Sequence[str] = (),
    items: Sequence[Mapping[str, object]] = (),
    culture: Mapping[str, object] | None = None,
    knowledge: Knowledge | None = None,
    progress: Progress | None = None,
    silenced: Sequence[str] = (),
    bench: Bench | None = None,
    lobule: LobuleSettings | None = None,
) -> Run:
    """Run an experiment and keep model and course beside the result.

    Parameters
    ----------
    experiment, species, engine, days, every, seed, knockouts, set, hypotheses, items, culture, knowledge, progress
        As for `run`.
    silenced : sequence of str
        Rows whose influence is held at rest: what a statement does to an experiment.
    bench : Bench, optional
        Shared by runs of the same animals, so that each model is compiled once.
    lobule : LobuleSettings, optional
        Size of the lobule, what is kept of its cells, and where it is saved on the way; for the lobule engine only.

    Returns
    -------
    Run

    Raises
    ------
    HepatalkError
        One line for anything that cannot be posed or run.
    """
    if engine not in ENGINES:
        raise unknown("engine", engine, ENGINES, "see 'hepatalk run --help'")
    posed = experiment if isinstance(experiment, Experiment) else load_experiment(experiment)
    posed = overridden(
        posed,
        species=species,
        days=days,
        every_h=every,
        knockouts=tuple(knockouts),
        hypotheses=tuple(hypotheses),
        parameters=dict(set or {}),
        culture=culture,
    )
    posed = with_items(posed, items, "added to the schedule")
    facts = load() if knowledge is None else knowledge
    conditions, overrides = _split_parameters(facts, posed)
    bench = Bench() if bench is None else bench
    posed = with_levels(posed, facts, lambda other: _source(other, posed, overrides, facts, silenced, bench))
    model = bench.model(facts, posed.species, posed.hypotheses, overrides, silenced, posed.lobes)
    from_start = [Change(0.0, "set_parameter", n, v, f"{n} set to {v:.6g}") for n, v in conditions.items()]
    asked = _asked(posed, facts, model)
    changes = (*from_start, *(c for c in asked if c.at_h >= 0.0))
    early = tuple(c for c in asked if c.at_h < 0.0)
    _check_targets(model, (*early, *changes))
    readouts = readouts_of(model)
    for wanted in posed.readouts:
        if wanted not in (*readouts, "survived"):
            raise unknown("readout", wanted, [*readouts, "survived"], "see 'hepatalk list readouts'")
    lead_in, start = _before_zero(bench.solver, facts, model, posed, early)
    solver = _lobule(model, posed, seed, lobule) if engine == "lobule" else bench.solver
    course, waves = _followed(
        lambda times: solver.run(model, changes, times, lead_in=lead_in, start=start, progress=progress), model, posed
    )
    result = _result(
        _name_of(experiment), posed, facts, model, readouts, course, waves, seed, engine, (*lead_in, *changes)
    )
    return Run(result, posed, model, course)


def _lobule(model: CompiledModel, posed: Experiment, seed: int, settings: LobuleSettings | None) -> Engine:
    """Return an engine for one lobule of the species.

    Raises
    ------
    ExperimentError
        For an experiment that has no lobule: a dish, or a liver of two lobes.
    """
    from hepatalk.engines.lobule.engine import LobuleEngine, LobuleSettings

    if posed.culture is not None or posed.lobes > 1:
        what = "a culture" if posed.culture is not None else "a liver of two lobes"
        raise ExperimentError(f"engine 'lobule': {what} has no lobule; allowed: population; leave --engine out")
    return LobuleEngine.in_space(model, seed, settings or LobuleSettings())


def _split_parameters(facts: Knowledge, posed: Experiment) -> tuple[dict[str, float], dict[str, float]]:
    """Return the parameters set that are conditions of the body, and those that make another animal.

    What the body demands and sends belongs to the animal: it is set at time zero, on the model of a healthy one.
    """
    conditions = {name: value for name, value in posed.set.items() if name.startswith("body.")}
    for name, allowed in value_faults(facts, conditions):
        raise ExperimentError(f"parameter {name!r}: value {conditions[name]!r}; allowed: {allowed}; correct the value")
    return conditions, {name: value for name, value in posed.set.items() if name not in conditions}


def _followed(
    follow: Callable[[Floats], Course], model: CompiledModel, posed: Experiment
) -> tuple[Course, dict[str, tuple[float, float]]]:
    """Return the course at the output times, and the first waves, looked for on an hourly course whatever these are."""
    times = np.array(posed.output_times_h())
    fine = np.union1d(times, np.arange(0.0, min(posed.end_h, HOURLY_TO_H) + 0.5))
    fine = fine[fine <= posed.end_h]
    course = follow(fine)
    keep = np.searchsorted(fine, times)
    kept = Course(times, course.states[keep], course.param_sets, course.param_set_of[keep], course.died_at_h)
    return kept, first_waves(model, course)


def _source(
    other: Experiment,
    posed: Experiment,
    overrides: Mapping[str, float],
    facts: Knowledge,
    silenced: Sequence[str],
    bench: Bench,
) -> Result:
    """Run a culture whose medium another one gets: of the same virtual animal, but for what its own file says."""
    free = {name: value for name, value in overrides.items() if name not in other.set}
    hypotheses = tuple(h for h in posed.hypotheses if h not in other.hypotheses)
    return perform(other, set=free, hypotheses=hypotheses, knowledge=facts, silenced=silenced, bench=bench).result


def _asked(posed: Experiment, facts: Knowledge, model: CompiledModel) -> tuple[Change, ...]:
    """Return what the schedule changes, and what the dish does where there is one, in order of time.

    At the time at which cells are put into a dish, they are put there before anything is done to them, and whatever
    ends then has ended before the dish sets its own conditions.
    """
    asked = changes_of(with_shares(posed, facts), lambda gene: gene_shares(facts, model, gene))
    if posed.culture is None:
        return asked
    if posed.lobes > 1:
        raise ExperimentError(
            "culture: cells in a dish have no lobes, and the experiment names some; allowed: readouts, parameters and "
            "items without a lobe; take them out"
        )
    dish = culture_changes(posed.culture, posed.schedule, model, posed.end_h)
    ranked = [(c.at_h, 2 if c.action == "set_parameter" else 0, c) for c in dish] + [(c.at_h, 1, c) for c in asked]
    return tuple(change for _, _, change in sorted(ranked, key=lambda entry: entry[:2]))


def _before_zero(
    solver: PopulationEngine, facts: Knowledge, model: CompiledModel, posed: Experiment, early: Sequence[Change]
) -> tuple[tuple[Change, ...], Floats | None]:
    """Return what happens before time zero, in order, and the state that it begins from if that is not the healthy one.

    Germline losses are there before everything else.
    """
    losses, start = knockout_changes(facts, model, posed.knockouts), None
    if posed.germline and losses:
        start = germline_state(solver, model, losses, posed.knockouts)
        first = min((c.at_h for c in early), default=0.0)
        losses = tuple(replace(c, at_h=first - GERMLINE_LEAD_H) for c in losses)
    return tuple(sorted((*losses, *early), key=lambda c: c.at_h)), start


def germline_state(
    solver: PopulationEngine, model: CompiledModel, losses: Sequence[Change], knockouts: Sequence[str]
) -> Floats:
    """Return the steady state of an animal that never had its genes.

    The animal is followed from the wild type's state until its readouts stand still. What was solved for the wild
    type's homeostasis stays the wild type's, and volumes stay relative to it.

    Parameters
    ----------
    solver : PopulationEngine
    model : CompiledModel
    losses : sequence of Change
        What the knock-outs set, from `knockout_changes`.
    knockouts : sequence of str
        As the user wrote them, for messages.

    Returns
    -------
    (n_states,) float array

    Raises
    ------
    ExperimentError
        If such an animal dies, or finds no steady state within `GERMLINE_YEARS`.
    """
    year = 24.0 * 365.0
    times = np.array([0.0, (GERMLINE_YEARS - 1.0) * year, GERMLINE_YEARS * year])
    lost = ", ".join(knockouts)
    course = solver.run(model, [replace(c, at_h=0.0) for c in losses], times)
    if course.died_at_h is not None:
        raise ExperimentError(
            f"germline: an animal without {lost} dies {course.died_at_h / 24.0:.1f} d after the loss and has no steady "
            "state; allowed: a loss that is survived; use germline: false"
        )
    for name, curve in measure(model, course).items():
        # A label of descent since time zero is not a state.
        if not tells_descent(name) and abs(curve[2] - curve[1]) > GERMLINE_DRIFT * max(abs(curve[2]), 1e-3):
            raise ExperimentError(
                f"germline: an animal without {lost} finds no steady state within {GERMLINE_YEARS:g} years "
                f"({name!r} still moves); allowed: a loss that settles; use germline: false"
            )
    return np.ascontiguousarray(course.states[2])


def _name_of(experiment: str | Path | Experiment) -> str:
    """Return the name of the catalogue or the stem of the file, 'experiment' for one that has neither."""
    if isinstance(experiment, Experiment):
        return "experiment"
    name = str(experiment)
    return Path(name).stem if isinstance(experiment, Path) or name.endswith((".yaml", ".yml")) else name


def _check_targets(model: CompiledModel, changes: Sequence[Change]) -> None:
    """Raise for a signal or parameter that the model does not have, before anything runs."""
    for change in changes:
        if change.action in ("set_parameter", "scale_parameter"):
            if change.target.startswith("free.") and change.target not in model.param_index:
                signals = [n.removeprefix("free.") for n in model.param_names if n.startswith("free.")]
                raise unknown("signal", change.target.removeprefix("free."), signals, "see 'hepatalk list signals'")
            if change.target.startswith("supply.") and change.target not in model.param_index:
                signals = [n.removeprefix("supply.") for n in model.param_names if n.startswith("supply.")]
                raise unknown("signal", change.target.removeprefix("supply."), signals, "see 'hepatalk list signals'")
            model.position(change.target)
        elif change.action in ("kill", "mark"):
            cells = [name.removesuffix(".count") for name in model.groups if name.endswith(".count")]
            cell = change.target.partition("@")[0].removesuffix(".label")
            if cell not in cells:
                raise unknown(
                    "cell", cell, [*cells, *(VISITORS if change.action == "kill" else ())], "hepatalk list cells"
                )
            here = sorted({p.zone for p in model.places if f"{cell}.label@{p}" in model.slot_index})
            if change.action == "mark" and not {*map(str, here), ""} & {change.target.partition("@")[2]}:
                raise ExperimentError(
                    f"intervention label: zone {change.target.partition('@')[2]} has no {cell}; "
                    f"allowed: {', '.join(map(str, here))}; correct the zone or leave it out"
                )


def _result(
    name: str,
    posed: Experiment,
    facts: Knowledge,
    model: CompiledModel,
    records: Mapping[str, Readout],
    course: Course,
    waves: Mapping[str, tuple[float, float]],
    seed: int,
    engine: str,
    changes: Sequence[Change],
) -> Result:
    readouts = measure(model, course, available=records)
    units = {n: records[n].unit if n in records else "0 or 1" for n in readouts}
    definitions = {n: records[n].definition if n in records else "1 while the animal lives" for n in readouts}
    used = {row for rows in model.rows for row in rows}
    sources = sorted({e.source for i in facts.interactions if i.id in used for e in i.evidence} - {"assumed"})
    provenance = Provenance(
        experiment=name,
        title=posed.title,
        species=posed.species,
        engine=engine,
        seed=seed,
        model_hash=model.hash,
        knowledge_version=facts.version,
        changes=tuple(f"{c.at_h:g} h: {c.label}" for c in changes),
        parameters_set=dict(posed.set),
        knockouts=posed.knockouts,
        hypotheses=posed.hypotheses,
        sources=tuple(sources),
    )
    return Result.build(
        course.time_h, readouts, units, definitions, provenance, course.states, model.state_names, waves
    )
