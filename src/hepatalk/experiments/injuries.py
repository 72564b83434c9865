"""From what is done to an animal to what changes in the model.

The model knows three kinds of change, and this module writes every injury and intervention in them. A change says
what happens to state, inflow or parameters at one moment; it leaves no trace of which injury it came from.

======================  =====================================================================
item of the schedule    changes
======================  =====================================================================
partial_hepatectomy f   every amount that belongs to liver tissue x (1 - f)
neutralise S, q         ``free.S`` x (1 - q) at `at`, x 1 / (1 - q) at `until`
supplement S, k         ``free.S`` x k at `at`, x 1 / k at `until`
scale_demand k          ``body.demand`` x k at `at`, x 1 / k at `until`
scale_inflow k          ``body.inflow`` x k at `at`, x 1 / k at `until`
hold_portal_flow k      ``body.inflow`` = k at `at`, = what it was before at `until`; ``body.inflow_answers`` = 0
                        between, so that no response of inflow to lost function is added
set_parameter P, v      P = v at `at`
======================  =====================================================================
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from hepatalk.errors import ExperimentError, shown
from hepatalk.experiments.experiment import (
    Experiment,
    HoldPortalFlow,
    Neutralise,
    PartialHepatectomy,
    ScaleDemand,
    ScaleInflow,
    ScheduleItem,
    SetParameter,
    Supplement,
)
from hepatalk.model.schedule import Change
from hepatalk.units import hours_text

__all__ = ["changes_of"]

_LIVER = "liver"
_DEMAND = "body.demand"
_INFLOW = "body.inflow"
_ANSWERS = "body.inflow_answers"
_HEALTHY_INFLOW = 1.0  # inflow is relative to the healthy animal


@dataclass(frozen=True)
class _Action:
    """One item of the schedule in words of the model, before its end is written out.

    `value` multiplies the target, or replaces it where `sets`; `until` is None where it lasts.
    """

    index: int
    at: float
    until: float | None
    target: str
    value: float
    sets: bool
    label: str
    holds: bool = False


def changes_of(experiment: Experiment) -> tuple[Change, ...]:
    """Return what an experiment changes in the model, in order of time.

    Parameters
    ----------
    experiment : Experiment
        Its schedule may be in any order.

    Returns
    -------
    tuple of Change
        Sorted by time in hours. At one time, ends come before beginnings, and either keep the order of the schedule.
        Changes at or after the end of the experiment never happen and are left out.

    Raises
    ------
    ExperimentError
        If two items contradict each other: they act on one parameter, at least one of them sets its value, and both
        begin at one time or one begins before the other has ended.
    """
    resections: list[tuple[float, int, int, Change]] = []
    actions: list[_Action] = []
    for index, item in enumerate(experiment.schedule):
        if isinstance(item, PartialHepatectomy):
            label = f"{item.fraction:.4g} of the liver removed"
            change = Change(item.at, "scale_extensive", _LIVER, 1.0 - item.fraction, label)
            resections.append((item.at, 1, index, change))
        else:
            actions.append(_action(index, item))
    _refuse_contradictions(actions)
    timed = resections + [entry for action in actions for entry in _written_out(action, actions, experiment)]
    timed.sort(key=lambda entry: entry[:3])
    return tuple(change for at_h, _, _, change in timed if at_h < experiment.end_h)


def _action(index: int, item: ScheduleItem) -> _Action:
    """Say in words of the model what an intervention does."""
    match item:
        case Neutralise(signal=signal, fraction=fraction):
            label = f"{fraction:.4g} of {signal} neutralised"
            return _Action(index, item.at, item.until, f"free.{signal}", 1.0 - fraction, False, label)
        case Supplement(signal=signal, factor=factor):
            label = f"{signal} supplemented to x {factor:.4g}"
            return _Action(index, item.at, item.until, f"free.{signal}", factor, False, label)
        case ScaleDemand(factor=factor):
            return _Action(index, item.at, item.until, _DEMAND, factor, False, f"demand of the body x {factor:.4g}")
        case ScaleInflow(factor=factor):
            return _Action(index, item.at, item.until, _INFLOW, factor, False, f"all inflow x {factor:.4g}")
        case HoldPortalFlow(factor=factor):
            return _Action(index, item.at, item.until, _INFLOW, factor, True, f"inflow held at {factor:.4g}", True)
        case SetParameter(parameter=parameter, value=value):
            return _Action(index, item.at, None, parameter, value, True, f"{parameter} set to {value:.6g}")
    raise TypeError(f"no change is known for {type(item).__name__}")


def _written_out(
    action: _Action, actions: Iterable[_Action], experiment: Experiment
) -> list[tuple[float, int, int, Change]]:
    """Return the beginning of an action and, if it ends, its end, each with its sort key."""
    kind: Literal["set_parameter", "scale_parameter"] = "set_parameter" if action.sets else "scale_parameter"
    begin = Change(action.at, kind, action.target, action.value, action.label)
    entries = [(action.at, 1, action.index, begin)]
    same_target = [other for other in actions if other.target == action.target and other is not action]
    taken_over = action.sets and any(other.sets and other.at == action.until for other in same_target)
    if action.until is not None and not taken_over:
        back = _value_before(action, same_target, experiment) if action.sets else 1.0 / action.value
        end = Change(action.until, kind, action.target, back, f"end of: {action.label}")
        entries.append((action.until, 0, action.index, end))
    return entries + [(at_h, order, index, _answering(c)) for at_h, order, index, c in entries if action.holds]


def _answering(change: Change) -> Change:
    """Return what takes away the response of inflow when it is held, and gives it back when the holding ends."""
    ends = change.label.startswith("end of: ")
    label = "inflow answers to lost function again" if ends else "inflow does not answer to lost function"
    return Change(change.at_h, "set_parameter", _ANSWERS, 1.0 if ends else 0.0, label)


def _value_before(action: _Action, same_target: Iterable[_Action], experiment: Experiment) -> float:
    """Return the value an action replaces: only earlier actions that last have left something of theirs."""
    value = experiment.set.get(action.target, _HEALTHY_INFLOW)
    for other in sorted(same_target, key=lambda other: (other.at, other.index)):
        if other.at < action.at and other.until is None:
            value = other.value if other.sets else value * other.value
    return value


def _refuse_contradictions(actions: Iterable[_Action]) -> None:
    """Raise if the value of a parameter would depend on which of two items is listed first, or outlive a set value."""
    ordered = sorted(actions, key=lambda action: (action.at, action.index))
    for first, second in itertools.combinations(ordered, 2):
        overlap = first.at == second.at or (first.until is not None and second.at < first.until)
        if overlap and first.target == second.target and (first.sets or second.sets):
            low, high = sorted((first.index, second.index))
            raise ExperimentError(
                f"schedule[{low}] and schedule[{high}] contradict each other: both change {shown(first.target)} at "
                f"'{hours_text(second.at)}'; allowed: one at a time where one of them sets the value; "
                "remove one or let it begin when the other has ended"
            )
