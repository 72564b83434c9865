"""The claims scoreboard: what the review says must happen, posed to the model, and whether it does.

The predicates (`data/predicates.yaml`) were written from the claims alone. A claim passes when all of its predicates
hold; one that cannot be posed gives its reason; a failing claim is a finding, not an error.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Literal

import numpy as np
import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from hepatalk.engines.base import Progress
from hepatalk.errors import ExperimentError, HepatalkError, unknown
from hepatalk.experiments.answers import AGREE, Answer, Demand, Member, Wanted, ask, herd, share
from hepatalk.experiments.kept import Kept
from hepatalk.experiments.posing import NOTHING, Reduce, beyond, key_of, pose
from hepatalk.knowledge.load import Knowledge, load

__all__ = [
    "ClaimTest",
    "Judgement",
    "Verdict",
    "chosen_tests",
    "demand_of",
    "judge",
    "load_tests",
    "score_claims",
    "verdict",
    "why_not_posed",
]

Compare = Literal["greater", "less", "about", "between", "before", "after"]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Reading(_Record):
    """A number taken from a run."""

    run: str | None = None
    readout: str | None = None
    reduce: Reduce | None = None
    at_h: float | None = None
    value: float | None = None
    low: float | None = None
    high: float | None = None


class Predicate(_Record):
    """One thing that a run must show."""

    readout: str
    reduce: Reduce
    run: str
    compare: Compare
    than: Reading
    margin: float = Field(default=0.05, ge=0.0)
    at_h: float | None = None
    why: str | None = None


class ClaimTest(_Record):
    """How one claim is posed: runs and predicates, or why it cannot be posed.

    Attributes
    ----------
    awaits : tuple of str
        Experiments, injuries, interventions and cell types (in capitals) that this version may not have. Until it has
        them the claim cannot be posed.
    """

    id: str
    status: Literal["posable", "not_posable"]
    awaits: tuple[str, ...] = ()
    reason: str | None = None
    note: str | None = None
    stated: str | None = None
    implied: bool = False
    runs: dict[str, dict[str, Any]] = Field(default_factory=dict)
    predicates: tuple[Predicate, ...] = ()

    @model_validator(mode="after")
    def _waits_with_predicates(self) -> ClaimTest:
        if self.awaits and not self.predicates:
            raise ValueError("what awaits something has predicates; what has none has a reason")
        return self


@dataclass(frozen=True)
class Verdict:
    """What became of a claim.

    Attributes
    ----------
    status : {'pass', 'fail', 'not_posable'}
    reason : str
        The predicate that decides it with both numbers, with the best fit, or why it cannot be posed.
    margin : float or None
        How far the worst predicate is from its line with the best fit, as a fraction of the control: negative where
        it fails.
    agree : float or None
        Share of the members that show it; of the best fit, 0 or 1, where there are no members.
    members, not_run : int
        Members beside the best fit, and how many of them could not be run; these do not agree.
    """

    id: str
    status: Literal["pass", "fail", "not_posable"]
    reason: str
    margin: float | None
    agree: float | None
    stated: str
    implied: bool
    members: int = 0
    not_run: int = 0


@dataclass(frozen=True)
class Judgement:
    """What one animal makes of a claim: whether it shows it, by what margin, and what decides it."""

    passed: bool
    margin: float | None
    reason: str
    not_run: bool = False


@cache
def load_tests() -> tuple[ClaimTest, ...]:
    """Return how each claim is posed, in the order of the claims.

    Raises
    ------
    ExperimentError
        If a record does not fit; names it.
    """
    text = (resources.files("hepatalk.experiments") / "data" / "predicates.yaml").read_text(encoding="utf-8")
    try:
        return TypeAdapter(tuple[ClaimTest, ...]).validate_python(tuple(yaml.load(text, Loader=yaml.CSafeLoader)))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise ExperimentError(
            f"predicates.yaml: {'.'.join(map(str, first['loc']))}: {first['msg']}; correct it"
        ) from None


def score_claims(
    ids: Sequence[str] = (),
    *,
    knowledge: Knowledge | None = None,
    members: Sequence[Member] | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
    kept: Kept | None = None,
    hypotheses: Sequence[str] = (),
) -> tuple[Verdict, ...]:
    """Pose claims to the calibrated rat. Each distinct run is made once for each animal and shared between claims.

    Parameters
    ----------
    ids : sequence of str
        Claims to pose; all when empty.
    knowledge : Knowledge, optional
    members : sequence of mapping, optional
        Parameter sets, each as values that replace those of the knowledge base: a claim passes when `AGREE` of them
        show it. Reason and margin are always those of the best fit, which is the knowledge base as it stands and is
        judged alone when there are no members.
    workers : int, optional
        Processes; as many as there are processors when omitted.
    progress : callable, optional
        Told the fraction of the runs done, 0 when they start.
    kept : Kept, optional
        Where answers are kept as they come, so that an interrupted scoreboard goes on.
    hypotheses : sequence of str
        Alternatives to switch on in every run.

    Returns
    -------
    tuple of Verdict
        In the order of the claims.

    Raises
    ------
    UnknownNameError
        For an unknown claim, hypothesis or parameter.
    ExperimentError
        If there is no member, or one has a value that its parameter cannot have.
    """
    chosen = chosen_tests(ids)
    facts = load() if knowledge is None else knowledge
    animals = herd(facts, members, hypotheses)
    answers = ask(demand_of(chosen, facts), animals, workers=workers, progress=progress, kept=kept)
    return tuple(verdict(test, facts, answers) for test in chosen)


def chosen_tests(ids: Sequence[str]) -> list[ClaimTest]:
    """Return how some claims are posed, all when there are no ids, in the order asked for.

    Raises
    ------
    UnknownNameError
        For an unknown claim.
    """
    tests = {t.id: t for t in load_tests()}
    for name in ids:
        if name not in tests:
            raise unknown("claim", name, tests, "hepatalk list claims")
    return [tests[i] for i in ids] if ids else list(tests.values())


def demand_of(tests: Sequence[ClaimTest], facts: Knowledge) -> Demand:
    """Return the runs that claims need, with the numbers to take from each; claims that cannot be posed need none."""
    demand = Demand("predicates.yaml", "a claim")
    for test in (t for t in tests if why_not_posed(t, facts) is None):
        for p in test.predicates:
            for run, number in _parts(p):
                demand.want(test.runs[run], number)
    return demand


def judge(test: ClaimTest, answers: Mapping[str, Answer]) -> Judgement:
    """Say whether one animal shows a claim.

    Parameters
    ----------
    test : ClaimTest
        Posable.
    answers : mapping of str to Answer
        By key of the run.
    """
    by_name = {p.run: answers[key_of(test.runs[p.run])] for p in test.predicates}
    by_name |= {p.than.run: answers[key_of(test.runs[p.than.run])] for p in test.predicates if p.than.run is not None}
    for answer in by_name.values():
        if isinstance(answer, str):
            # A run that cannot be made leaves its claim unpassed, with the model's own words for it.
            return Judgement(False, None, f"could not be run: {answer}", not_run=True)
    try:
        outcomes = [_outcome(p, by_name) for p in test.predicates]
    except ExperimentError as error:
        return Judgement(False, None, f"could not be run: {error}", not_run=True)
    worst = min(outcomes, key=lambda o: o[0])
    return Judgement(all(o[0] >= 0.0 for o in outcomes), worst[0], worst[1])


def verdict(test: ClaimTest, facts: Knowledge, answers: Sequence[Mapping[str, Answer]]) -> Verdict:
    """Return what becomes of a claim.

    Parameters
    ----------
    test : ClaimTest
    facts : Knowledge
    answers : sequence of mapping of str to Answer
        To `demand_of` this claim, for each animal; the best fit first, whose reason and margin are shown.
    """
    stated = test.stated or ""
    why_not = why_not_posed(test, facts)
    if why_not is not None:
        return Verdict(test.id, "not_posable", why_not, None, None, stated, test.implied)
    found = [judge(test, one) for one in answers]
    agree = share([j.passed for j in found])
    status: Literal["pass", "fail"] = "pass" if agree >= AGREE else "fail"
    not_run = sum(j.not_run for j in found[1:])
    first = found[0]
    return Verdict(test.id, status, first.reason, first.margin, agree, stated, test.implied, len(found) - 1, not_run)


def why_not_posed(test: ClaimTest, facts: Knowledge) -> str | None:
    """Return why a claim cannot be posed, None where it can."""
    if test.status == "not_posable":
        return f"{test.reason}: {test.note}" if test.note else str(test.reason)
    return _waits(test, facts)


def _waits(test: ClaimTest, facts: Knowledge) -> str | None:
    """Return what a claim waits for, None where it can be posed."""
    if not test.awaits:
        return None
    words = f"awaits {', '.join(test.awaits)}"
    if any(name.isupper() and name not in facts.cell for name in test.awaits):
        return words
    try:
        for spec in test.runs.values():
            pose(spec, "predicates.yaml", "a claim")
    except HepatalkError as error:
        return f"{words}: {error}"
    return None


def _parts(p: Predicate) -> list[tuple[str, Wanted]]:
    """Return (run, number to take from it) of a predicate and of its control."""
    parts = [(p.run, _wanted(p.readout, p.reduce, p.at_h))]
    if p.compare != "between" and p.than.run is not None:
        parts.append((p.than.run, _wanted(p.than.readout or p.readout, p.than.reduce or p.reduce, p.than.at_h)))
    return parts


def _wanted(readout: str, reduce: Reduce, at_h: float | None) -> Wanted:
    return (readout,), reduce, at_h, None


def _reading(answer: Answer, wanted: Wanted) -> float:
    value = None if isinstance(answer, str) else answer[wanted]
    if value is None:
        raise ExperimentError(
            f"{wanted[0][0]} has no {wanted[1]}; allowed: what always happens; correct predicates.yaml"
        )
    return value


def _outcome(p: Predicate, answers: Mapping[str, Answer]) -> tuple[float, str]:
    """Return (distance from the line as a fraction of the control, words); negative where the predicate fails."""
    (run, wanted), *control_part = _parts(p)
    value = _reading(answers[run], wanted)
    name = f"{p.readout} ({p.reduce}{f' {p.at_h:g} h' if p.at_h is not None else ''}) in {p.run}"
    if p.compare == "between":
        low, high = float(p.than.low or 0.0), float(p.than.high if p.than.high is not None else np.inf)
        distance = min(value - low, high - value) / max(abs(high), NOTHING)
        return distance, f"{name} is {value:.4g}; wanted {low:g} to {high:g}"
    if control_part:
        ((against_run, other),) = control_part
        control = _reading(answers[against_run], other)
        against = f"{control:.4g} ({other[0][0]}, {other[1]}) in {against_run}"
    else:
        control = float(p.than.value or 0.0)
        against = f"{control:g}"
    scale = max(abs(control), NOTHING)
    if p.compare == "about":
        words = f"{name} is {value:.4g}; wanted within {p.margin:.0%} of {against}"
        return p.margin - abs(value - control) / scale, words
    words = f"{name} is {value:.4g}; wanted {p.compare} than {against} by {p.margin:.0%}"
    return beyond(value, control, p.compare in ("greater", "after")) - max(p.margin, NOTHING), words
