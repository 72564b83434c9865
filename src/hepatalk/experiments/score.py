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
from hepatalk.experiments.posing import NOTHING, Reduce, beyond, key_of, pose, reduced
from hepatalk.experiments.run import run
from hepatalk.knowledge.load import Knowledge, load
from hepatalk.results.result import Result

__all__ = ["ClaimTest", "Verdict", "load_tests", "score_claims"]

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
        The predicate that decides it with both numbers, or why it cannot be posed.
    margin : float or None
        How far the worst predicate is from its line, as a fraction of the control: negative where it fails.
    agree : float or None
        Share of the virtual animals that pass; there is one animal in this version.
    """

    id: str
    status: Literal["pass", "fail", "not_posable"]
    reason: str
    margin: float | None
    agree: float | None
    stated: str
    implied: bool


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
    ids: Sequence[str] = (), *, knowledge: Knowledge | None = None, progress: Progress | None = None
) -> tuple[Verdict, ...]:
    """Pose claims to the calibrated rat.

    Parameters
    ----------
    ids : sequence of str
        Claims to pose; all when empty.
    knowledge : Knowledge, optional
    progress : callable, optional
        Told the fraction done.

    Returns
    -------
    tuple of Verdict
        In the order of the claims.

    Raises
    ------
    UnknownNameError
        For an unknown claim.
    """
    tests = {t.id: t for t in load_tests()}
    for name in ids:
        if name not in tests:
            raise unknown("claim", name, tests, "hepatalk list claims")
    facts = load() if knowledge is None else knowledge
    chosen = [tests[i] for i in ids] if ids else list(tests.values())
    done: dict[str, Result] = {}
    verdicts = []
    for k, test in enumerate(chosen):
        verdicts.append(_judge(test, facts, done))
        if progress is not None:
            progress((k + 1) / len(chosen))
    return tuple(verdicts)


def _judge(test: ClaimTest, facts: Knowledge, done: dict[str, Result]) -> Verdict:
    stated = test.stated or ""
    if test.status == "not_posable":
        reason = f"{test.reason}: {test.note}" if test.note else str(test.reason)
        return Verdict(test.id, "not_posable", reason, None, None, stated, test.implied)
    wait = _waits(test, facts)
    if wait is not None:
        return Verdict(test.id, "not_posable", wait, None, None, stated, test.implied)
    try:
        results = {name: _run(spec, facts, done) for name, spec in test.runs.items()}
        outcomes = [_outcome(p, results) for p in test.predicates]
    except HepatalkError as error:
        # A run that cannot be made leaves its claim unpassed, with the model's own words for it.
        return Verdict(test.id, "fail", f"could not be run: {error}", None, 0.0, stated, test.implied)
    worst = min(outcomes, key=lambda o: o[0])
    passed = all(o[0] >= 0.0 for o in outcomes)
    return Verdict(test.id, "pass" if passed else "fail", worst[1], worst[0], float(passed), stated, test.implied)


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


def _run(spec: Mapping[str, Any], facts: Knowledge, done: dict[str, Result]) -> Result:
    """Run what a claim asks for, once for all claims that ask for the same."""
    key = key_of(spec)
    if key not in done:
        done[key] = run(pose(spec, "predicates.yaml", "a claim"), knowledge=facts)
    return done[key]


def _reading(result: Result, readout: str, reduce: Reduce, at_h: float | None) -> float:
    if reduce in ("first_peak", "first_peak_h"):
        return float(result.summary()[f"{readout}.{reduce}"])
    if reduce == "at":
        return result.at(readout, float(at_h or 0.0))
    value = reduced(result.time_h, result.readout(readout), reduce)
    if value is None:
        raise ExperimentError(f"{readout} has no {reduce}; allowed: what always happens; correct predicates.yaml")
    return value


def _outcome(p: Predicate, results: Mapping[str, Result]) -> tuple[float, str]:
    """Return (distance from the line as a fraction of the control, words); negative where the predicate fails."""
    value = _reading(results[p.run], p.readout, p.reduce, p.at_h)
    name = f"{p.readout} ({p.reduce}{f' {p.at_h:g} h' if p.at_h is not None else ''}) in {p.run}"
    if p.compare == "between":
        low, high = float(p.than.low or 0.0), float(p.than.high if p.than.high is not None else np.inf)
        distance = min(value - low, high - value) / max(abs(high), NOTHING)
        return distance, f"{name} is {value:.4g}; wanted {low:g} to {high:g}"
    if p.than.run is not None:
        readout, reduce = p.than.readout or p.readout, p.than.reduce or p.reduce
        control = _reading(results[p.than.run], readout, reduce, p.than.at_h)
        against = f"{control:.4g} ({readout}, {reduce}) in {p.than.run}"
    else:
        control = float(p.than.value or 0.0)
        against = f"{control:g}"
    scale = max(abs(control), NOTHING)
    if p.compare == "about":
        words = f"{name} is {value:.4g}; wanted within {p.margin:.0%} of {against}"
        return p.margin - abs(value - control) / scale, words
    words = f"{name} is {value:.4g}; wanted {p.compare} than {against} by {p.margin:.0%}"
    return beyond(value, control, p.compare in ("greater", "after")) - max(p.margin, NOTHING), words
