"""Conditioned medium: from the name of a culture, its file or a saved run to the levels of signals in its medium."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from hepatalk.errors import ExperimentError, shown
from hepatalk.experiments.culture import SEEDED, ConditionedMedium
from hepatalk.experiments.experiment import Experiment, catalogue_names, load_experiment
from hepatalk.knowledge.load import Knowledge
from hepatalk.results.result import Result
from hepatalk.results.store import load_result
from hepatalk.units import hours_text

__all__ = ["with_levels"]

#: Kinds of signals that are dissolved in the medium and go where it goes.
_DISSOLVED = ("soluble", "systemic", "vesicle")
#: Below this, x healthy, a signal counts as not there.
_NOTHING = 1e-9


def with_levels(posed: Experiment, knowledge: Knowledge, make: Callable[[Experiment], Result]) -> Experiment:
    """Return an experiment whose conditioned media have the levels that their sources made.

    Parameters
    ----------
    posed : Experiment
        Items that have their levels already keep them.
    knowledge : Knowledge
        Which signals are dissolved.
    make : callable
        Runs a source that is an experiment.

    Returns
    -------
    Experiment

    Raises
    ------
    ExperimentError
        If a source is no culture, is of another species, conditions itself, or its run does not reach the time.
    HepatalkError
        As for the source itself.
    """
    if not any(isinstance(item, ConditionedMedium) and item.levels is None for item in posed.schedule):
        return posed
    _refuse_circle(posed, ())
    items = []
    for index, item in enumerate(posed.schedule):
        if not isinstance(item, ConditionedMedium) or item.levels is not None:
            items.append(item)
            continue
        where = f"schedule[{index}].source"
        result = _made(item.source, where, posed, make)
        items.append(item.model_copy(update={"levels": _levels(item, where, result, knowledge)}))
    return posed.model_copy(update={"schedule": tuple(items)})


def _is_saved(source: str) -> bool:
    return source not in catalogue_names() and not source.endswith((".yaml", ".yml")) and Path(source).is_dir()


def _made(source: str, where: str, posed: Experiment, make: Callable[[Experiment], Result]) -> Result:
    """Return the run of a source: the saved one, or one made now for the same species."""
    if _is_saved(source):
        result = load_result(Path(source))
        if not any(SEEDED in change for change in result.provenance.changes):
            raise ExperimentError(_no_culture(where, source))
        species = result.provenance.species
    else:
        culture = load_experiment(source)
        if culture.culture is None:
            raise ExperimentError(_no_culture(where, source))
        species = posed.species if source in catalogue_names() else culture.species
    if species != posed.species:
        raise ExperimentError(
            f"{where}: {shown(source)} is of {species}, the experiment is on {posed.species}: two species mixed; "
            f"allowed: a culture of {posed.species}; choose one species"
        )
    return result if _is_saved(source) else make(culture.model_copy(update={"species": species}))


def _no_culture(where: str, source: str) -> str:
    return (
        f"{where}: {shown(source)} is an animal, which has no medium; allowed: a culture (hepatalk list experiments); "
        "choose one, or give serum of the animal by 'medium'"
    )


def _levels(item: ConditionedMedium, where: str, result: Result, knowledge: Knowledge) -> Mapping[str, float]:
    """Return what is dissolved in the medium of a run."""
    end = float(result.time_h[-1])
    after = end if item.after is None else item.after
    if after > end:
        field = where.replace("source", "after")
        raise ExperimentError(
            f"{field}: value '{hours_text(after)}', but the run of {shown(item.source)} ends at '{hours_text(end)}'; "
            f"allowed: up to '{hours_text(end)}'; correct it, or make that run longer"
        )
    dissolved = [s.id for s in knowledge.signals if s.kind in _DISSOLVED]
    found = {s: float(result.at(f"signal.{s}", after)) for s in dissolved if f"signal.{s}" in result.names}
    return {s: level for s, level in found.items() if level > _NOTHING}


def _refuse_circle(posed: Experiment, above: tuple[str, ...]) -> None:
    """Raise if the medium of a culture would have to be made before itself."""
    for index, item in enumerate(posed.schedule):
        if isinstance(item, ConditionedMedium) and item.levels is None and not _is_saved(item.source):
            if item.source in above:
                raise ExperimentError(
                    f"schedule[{index}].source: the medium of {shown(item.source)} would be conditioned by itself; "
                    "allowed: a culture that does not need this one; choose another source"
                )
            _refuse_circle(load_experiment(item.source), (*above, item.source))
