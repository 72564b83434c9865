"""The scoreboard of observations: what was measured, what the model does, and whether that is in the band.

Rows and rules stand in ``score_rows.yaml`` and SCORING.md; they were written before any run. A row passes when all of
its checks hold; with several parameter sets, when it does so for four in five of them.
"""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib import resources
from multiprocessing import get_context
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import yaml

from hepatalk.engines.base import Progress
from hepatalk.errors import ExperimentError, HepatalkError, unknown
from hepatalk.experiments.bands import band, bound
from hepatalk.experiments.cycled import cycled_shares
from hepatalk.experiments.observations import ObservationRecord, load_observations
from hepatalk.experiments.posing import NOTHING, beyond, key_of, onset, pose, reduced
from hepatalk.experiments.run import Run, perform
from hepatalk.experiments.score_rows import Check, Reading, RowReduce, ScoreRow, load_rows
from hepatalk.knowledge.findings import value_faults
from hepatalk.knowledge.load import Knowledge, load

__all__ = ["AGREE", "Outcome", "RowScore", "fitted_rows", "judge", "score", "tally"]

#: Share of the parameter sets that must meet a row.
AGREE = 0.8
#: Fewer runs than this are made here: starting other processes would take longer.
FEW = 4

#: A number to take from a run: readouts to add up, how to reduce them, hour, level.
Wanted = tuple[tuple[str, ...], str, float | None, float | None]
#: What a run says: its numbers, or why it could not be made.
Answer = Mapping[Wanted, float | None] | str
Member = Mapping[str, float]


@dataclass(frozen=True)
class Outcome:
    """What became of one check.

    Attributes
    ----------
    margin : float or None
        Distance from the line as a fraction; negative where the check fails, None where the model gives no value.
    value, low, high : float or None
        The model's value and the band; a direction has one end only.
    words : str
    """

    margin: float | None
    value: float | None
    low: float | None
    high: float | None
    words: str

    @property
    def holds(self) -> bool:
        """Whether the check holds."""
        return self.margin is not None and self.margin >= 0.0


@dataclass(frozen=True)
class RowScore:
    """What became of an observation.

    Attributes
    ----------
    status : {'pass', 'fail', 'not_scored'}
    use : {'validate', 'calibrate', 'recalled', 'context'}
    reason : str
        What decides it with the numbers, or why it is not scored.
    margin, value, low, high : float or None
        Of the worst check, with the first parameter set.
    agree : float or None
        Share of the parameter sets that meet the row.
    held, checks : int
        How many of its checks hold.
    why_not : str or None
        The one word of the closed list, or 'awaits'; None for a scored row.
    fitted : bool
        Whether the calibration of the rat has seen it.
    """

    id: str
    topic: str
    use: str
    status: Literal["pass", "fail", "not_scored"]
    reason: str
    stated: str
    margin: float | None = None
    value: float | None = None
    low: float | None = None
    high: float | None = None
    agree: float | None = None
    held: int = 0
    checks: int = 0
    why_not: str | None = None
    fitted: bool = False


@cache
def fitted_rows() -> frozenset[str]:
    """Return the observations that the calibration of the rat has seen."""
    text = (resources.files("hepatalk.experiments") / "data" / "calibration_rat.yaml").read_text(encoding="utf-8")
    rows = yaml.load(text, Loader=yaml.CSafeLoader)["rows"]
    # One observation may give several numbers, which then end in a letter.
    return frozenset(str(row["id"]).rstrip("abcdefgh") for row in rows)


def score(
    ids: Sequence[str] = (),
    *,
    knowledge: Knowledge | None = None,
    members: Sequence[Member] = ({},),
    workers: int | None = None,
    progress: Progress | None = None,
) -> tuple[RowScore, ...]:
    """Score observations. Each distinct run is made once for each parameter set and shared between rows.

    Parameters
    ----------
    ids : sequence of str
        Observations; all when empty.
    knowledge : Knowledge, optional
    members : sequence of mapping
        Parameter sets, each as values that replace those of the knowledge base.
    workers : int, optional
        Processes; as many as there are processors when omitted.
    progress : callable, optional
        Told the fraction of the runs done, 0 when they start.

    Returns
    -------
    tuple of RowScore
        In the order of the observations.

    Raises
    ------
    UnknownNameError
        For an unknown observation or parameter.
    ExperimentError
        If there is no parameter set, or one has a value that its parameter cannot have.
    """
    if not members:
        raise ExperimentError("a score needs parameter sets, got none; allowed: one or more; leave 'members' out")
    data = load_rows()
    rows = {row.id: row for row in data.rows}
    for name in ids:
        if name not in rows:
            raise unknown("observation", name, rows, "hepatalk list observations")
    chosen = [row for row in data.rows if not ids or row.id in ids]
    facts = load() if knowledge is None else knowledge
    _check_members(facts, members)
    waiting = {row.id: _waits(row, data.runs) for row in chosen}
    scored = [row for row in chosen if row.reason is None and waiting[row.id] is None]
    answers = _all_runs(scored, data.runs, facts, members, workers, progress)
    records = {record.id: record for record in load_observations()}
    out = []
    for row in chosen:
        record, wait = records[row.id], waiting[row.id]
        if row.reason is not None or wait is not None:
            out.append(_not_scored(row, record, wait, data.reasons))
            continue
        named = [{run: found[key_of(data.runs[run])] for run in row.runs} for found in answers]
        out.append(_judged(row, record, [[judge(check, one) for check in row.checks] for one in named]))
    return tuple(out)


def _check_members(facts: Knowledge, members: Sequence[Member]) -> None:
    """Raise for what would otherwise fail every row: a parameter that is unknown, or a value it cannot have."""
    names = {p.id for p in facts.parameters}
    for number, member in enumerate(members, start=1):
        for name in member:
            if name not in names:
                raise unknown("parameter", name, names, "see 'hepatalk list parameters'")
        for name, allowed in value_faults(facts, member):
            raise ExperimentError(
                f"parameter set {number}: {name!r} is {member[name]!r}; allowed: {allowed}; correct the value"
            )


def _waits(row: ScoreRow, runs: Mapping[str, Mapping[str, Any]]) -> str | None:
    """Return what a row waits for, None where it can be scored."""
    if not row.awaits:
        return None
    if not row.checks:
        return f"awaits {', '.join(row.awaits)}" + (f": {row.note}" if row.note else "")
    try:
        for name in row.runs:
            pose(runs[name], f"score_rows.yaml, run {name}", row.id)
    except HepatalkError as error:
        return f"awaits {', '.join(row.awaits)}: {error}"
    return None


def _not_scored(row: ScoreRow, record: ObservationRecord, wait: str | None, reasons: Mapping[str, str]) -> RowScore:
    if row.reason is None:
        return RowScore(row.id, record.topic, record.use, "not_scored", str(wait), _stated(record), why_not="awaits")
    more = [x for x in (row.duplicate_of, row.note) if x]
    words = f"{row.reason}: {', '.join(more) or reasons[row.reason]}"
    return RowScore(row.id, record.topic, record.use, "not_scored", words, _stated(record), why_not=row.reason)


def _stated(record: ObservationRecord) -> str:
    return f"{record.observable}: {record.value}" + (f" {record.unit}" if record.unit else "")


def _judged(row: ScoreRow, record: ObservationRecord, found: Sequence[Sequence[Outcome]]) -> RowScore:
    """Turn the outcomes, members by checks, into one verdict; numbers are those of the first member."""
    agree = float(np.mean([all(o.holds for o in one) for one in found]))
    first = found[0]
    worst = min(first, key=lambda o: -np.inf if o.margin is None else o.margin)
    held = sum(o.holds for o in first)
    words = worst.words if len(first) == 1 else f"{held} of {len(first)} checks hold; {worst.words}"
    if row.cross_species:
        words += f" (measured in {row.cross_species})"
    if row.contradicts:
        words += f" (contradicts {row.contradicts})"
    return RowScore(
        row.id,
        record.topic,
        record.use,
        "pass" if agree >= AGREE else "fail",
        words,
        _stated(record),
        worst.margin,
        worst.value,
        worst.low,
        worst.high,
        agree,
        held,
        len(first),
        fitted=row.id in fitted_rows(),
    )


# --- runs ----------------------------------------------------------------------------------------------------------


def _wanted(check: Check, reading: Reading | None) -> tuple[str, Wanted]:
    """Return (run, number to take from it); a reading says only what differs from its check."""
    readout = check.readout if reading is None or reading.readout is None else reading.readout
    names = (readout,) if isinstance(readout, str) else readout
    if reading is None:
        return check.run, (names, check.reduce, check.at_h, check.level)
    reduce: RowReduce = reading.reduce or check.reduce
    at_h = check.at_h if reading.at_h is None and reading.reduce is None else reading.at_h
    level = check.level if reading.level is None else reading.level
    return reading.run or check.run, (names, reduce, at_h, level)


def _parts(check: Check) -> list[tuple[str, Wanted]]:
    readings = [None, *(r for r in (check.over, check.minus, check.than) if r is not None and r.value is None)]
    return [_wanted(check, r) for r in readings]


def _all_runs(
    rows: Sequence[ScoreRow],
    runs: Mapping[str, Mapping[str, Any]],
    facts: Knowledge,
    members: Sequence[Member],
    workers: int | None,
    progress: Progress | None,
) -> list[dict[str, Answer]]:
    """Make every run that rows need, for every member; one mapping from run to answer for each member."""
    wanted: dict[str, dict[Wanted, None]] = {}
    specs: dict[str, Mapping[str, Any]] = {}
    for row in rows:
        for check in row.checks:
            for name, number in _parts(check):
                key = key_of(runs[name])
                specs[key] = runs[name]
                wanted.setdefault(key, {})[number] = None
    keys = list(wanted)
    jobs = [(specs[k], dict(m), tuple(wanted[k]), facts) for m in members for k in keys]
    count = min(workers or os.cpu_count() or 1, len(jobs))
    found: list[Answer] = []
    if progress is not None:
        progress(0.0)

    def took(answer: Answer) -> None:
        found.append(answer)
        if progress is not None:
            progress(len(found) / len(jobs))

    if count <= 1 or len(jobs) < FEW:
        for job in jobs:
            took(_answer(job))
    else:
        # Forked copies of a process that has run the solver hang in its thread library; fresh ones do not.
        with ProcessPoolExecutor(count, mp_context=get_context("spawn")) as pool:
            with _deaf_children():
                answers = pool.map(_answer, jobs)
            for answer in answers:
                took(answer)
    width = len(keys)
    return [dict(zip(keys, found[k * width : (k + 1) * width], strict=True)) for k in range(len(members))]


@contextmanager
def _deaf_children() -> Iterator[None]:
    """Leave Ctrl-C, which a terminal sends to all processes, to this one: processes inherit what is blocked."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _answer(job: tuple[Mapping[str, Any], dict[str, float], tuple[Wanted, ...], Knowledge]) -> Answer:
    spec, member, numbers, facts = job
    try:
        posed = pose(spec, "score_rows.yaml", "an observation")
        done = perform(posed, knowledge=facts, set=member)
        return {number: _number(done, number) for number in numbers}
    except HepatalkError as error:
        # Its rows fail with the model's own words for it.
        return str(error)


def _number(done: Run, wanted: Wanted) -> float | None:
    names, reduce, at_h, level = wanted
    result = done.result
    if reduce in ("first_peak", "first_peak_h", "onset_h"):
        summary = result.summary()
        if reduce == "onset_h":
            return onset(result.time_h, result.readout(names[0]), float(summary[f"{names[0]}.first_peak"]))
        return float(summary[f"{names[0]}.{reduce}"])
    curve = sum((_curve(done, name) for name in names), start=np.zeros(len(result.time_h)))
    return reduced(result.time_h, curve, reduce, at_h, level)


def _curve(done: Run, name: str) -> npt.NDArray[np.float64]:
    if name in ("cycled_once.HEP", "cycled_twice.HEP"):
        once, twice = cycled_shares(done.model, done.course)
        return once if name == "cycled_once.HEP" else twice
    return done.result.readout(name)


# --- judging -------------------------------------------------------------------------------------------------------


def judge(check: Check, answers: Mapping[str, Answer]) -> Outcome:
    """Say whether a check holds.

    Parameters
    ----------
    check : Check
    answers : mapping of str to Answer
        What each run says, by the name of the run.

    Returns
    -------
    Outcome
    """
    for name, _ in _parts(check):
        answer = answers[name]
        if isinstance(answer, str):
            return Outcome(None, None, None, None, f"{name} could not be run: {answer}")
    value = _taken(check, None, answers)
    if value is not None and check.over is not None:
        under = _taken(check, check.over, answers)
        value = None if under is None or abs(under) < NOTHING else value / under
    if value is not None and check.minus is not None:
        less = _taken(check, check.minus, answers)
        value = None if less is None else value - less
    value = None if value is None else value + check.offset
    control = None if check.than is None else _taken(check, check.than, answers)
    return _against(check, value, control)


def _taken(check: Check, reading: Reading | None, answers: Mapping[str, Answer]) -> float | None:
    if reading is not None and reading.value is not None:
        return reading.value
    run, number = _wanted(check, reading)
    answer = answers[run]
    return None if isinstance(answer, str) else answer[number]


def _against(check: Check, value: float | None, control: float | None) -> Outcome:
    """Compare a value with its band or control."""
    name = _words(check)
    if check.value is not None and check.scale is not None:
        low, high = _ends(check, check.value)
        wanted = f"stated {check.value:.4g}, wanted {_span(low, high)}"
        scale = max(abs(check.value), NOTHING)
    elif control is None:
        return Outcome(None, value, None, None, f"{name}: the control has no value")
    else:
        scale = max(abs(control), NOTHING)
        step = check.margin * scale
        low = control - step if check.compare == "about" else control + step if check.compare == "greater" else None
        high = control + step if check.compare == "about" else control - step if check.compare == "less" else None
        wanted = f"wanted {_span(low, high)} (control {control:.4g})"
    if value is None:
        return Outcome(None, None, low, high, f"{name} never happens or has no value; {wanted}")
    if check.compare in ("greater", "less"):
        least = max(check.margin, NOTHING) if check.margin >= 0.0 else check.margin
        margin = beyond(value, float(control or 0.0), check.compare == "greater") - least
    else:
        margin = min(x for x in (_above(value, low), _above(high, value)) if x is not None) / scale
    return Outcome(margin, value, low, high, f"{name} is {value:.4g}; {wanted}")


def _above(upper: float | None, lower: float | None) -> float | None:
    return None if upper is None or lower is None else upper - lower


def _ends(check: Check, value: float) -> tuple[float | None, float | None]:
    scale = check.scale or "amount"
    if check.compare == "least":
        return bound(value, scale, lower=True), None
    if check.compare == "most":
        return None, bound(value, scale, lower=False)
    return band(value, scale, check.spread, check.spread_kind)


def _span(low: float | None, high: float | None) -> str:
    if low is None:
        return f"at most {high:.4g}"
    return f"at least {low:.4g}" if high is None else f"{low:.4g} to {high:.4g}"


def _words(check: Check) -> str:
    names = check.readout if isinstance(check.readout, str) else " + ".join(check.readout)
    at = "" if check.at_h is None else f" {check.at_h:g} h"
    level = "" if check.level is None else f" {check.level:g}"
    more = ""
    if check.over is not None:
        more += f" over {check.over.readout or 'that'} in {check.over.run or check.run}"
    if check.minus is not None:
        more += f" less that in {check.minus.run or check.run}"
    if check.offset:
        more += f" {check.offset:+g}"
    return f"{names} ({check.reduce}{at}{level}) in {check.run}{more}"


def tally(rows: Sequence[RowScore]) -> str:
    """Return in words how many rows pass, with the denominator and why the others are not scored."""
    counts = Counter(r.status for r in rows)
    why = Counter(r.why_not for r in rows if r.why_not is not None)
    reasons = ", ".join(f"{n} {word}" for word, n in why.most_common())
    posed = counts["pass"] + counts["fail"]
    said = f"{counts['pass']} of {posed} scored rows pass; {posed} of {len(rows)} are scored"
    return f"{said} (not: {reasons})" if reasons else said
