"""The scoreboard of observations: what was measured, what the model does, and whether that is in the band.

Rows and rules stand in ``score_rows.yaml`` and SCORING.md; they were written before any run. A row passes when all of
its checks hold; with several parameter sets, when it does so for four in five of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Literal

import numpy as np
import yaml

from hepatalk.engines.base import Progress
from hepatalk.errors import HepatalkError, unknown
from hepatalk.experiments.answers import AGREE, Answer, Demand, Member, Wanted, ask, herd, share
from hepatalk.experiments.bands import band, bound
from hepatalk.experiments.kept import Kept
from hepatalk.experiments.observations import ObservationRecord, load_observations
from hepatalk.experiments.posing import NOTHING, beyond, key_of, pose
from hepatalk.experiments.score_rows import Check, Reading, RowReduce, ScoreRow, load_rows
from hepatalk.knowledge.load import Knowledge, load
from hepatalk.knowledge.records import SPECIES

__all__ = [
    "AGREE",
    "Outcome",
    "RowScore",
    "chosen_rows",
    "demand_of",
    "fitted_rows",
    "judge",
    "score",
    "tally",
    "verdicts",
]


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
    not_run : bool
        Whether the check fails because a run could not be made.
    """

    margin: float | None
    value: float | None
    low: float | None
    high: float | None
    words: str
    not_run: bool = False

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
        Of the worst check, with the best fit.
    agree : float or None
        Share of the parameter sets that meet the row; of the best fit, 0 or 1, where there are none.
    held, checks : int
        How many of its checks hold with the best fit.
    why_not : str or None
        The one word of the closed list, or 'awaits'; None for a scored row.
    fitted : bool
        Whether the calibration of the rat has seen it.
    members, not_run : int
        Parameter sets beside the best fit, and how many of them could not be run; these do not agree.
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
    members: int = 0
    not_run: int = 0


@cache
def fitted_rows() -> frozenset[str]:
    """Return the observations that the calibration of the rat, the mouse or the human has seen."""
    folder = resources.files("hepatalk.experiments") / "data"
    seen = []
    for species in SPECIES:
        text = (folder / f"calibration_{species}.yaml").read_text(encoding="utf-8")
        seen += [str(row["id"]) for row in yaml.load(text, Loader=yaml.CSafeLoader)["rows"]]
    # One observation may give several numbers, which then end in a letter.
    return frozenset(name.rstrip("abcdefgh") for name in seen)


def score(
    ids: Sequence[str] = (),
    *,
    knowledge: Knowledge | None = None,
    members: Sequence[Member] | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
    kept: Kept | None = None,
    hypotheses: Sequence[str] = (),
) -> tuple[RowScore, ...]:
    """Score observations. Each distinct run is made once for each parameter set and shared between rows.

    Parameters
    ----------
    ids : sequence of str
        Observations; all when empty.
    knowledge : Knowledge, optional
    members : sequence of mapping, optional
        Parameter sets, each as values that replace those of the knowledge base: a row passes when `AGREE` of them
        meet it. The numbers shown are always those of the best fit, which is the knowledge base as it stands and is
        judged alone when there are no members.
    workers : int, optional
        Processes; as many as there are processors when omitted.
    progress : callable, optional
        Told the fraction of the runs done, 0 when they start.
    kept : Kept, optional
        Where answers are kept as they come, so that an interrupted score goes on.
    hypotheses : sequence of str
        Alternatives to switch on in every run.

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
    chosen = chosen_rows(ids)
    animals = herd(load() if knowledge is None else knowledge, members, hypotheses)
    return verdicts(chosen, ask(demand_of(chosen), animals, workers=workers, progress=progress, kept=kept))


def verdicts(rows: Sequence[ScoreRow], answers: Sequence[Mapping[str, Answer]]) -> tuple[RowScore, ...]:
    """Return what becomes of observations.

    Parameters
    ----------
    rows : sequence of ScoreRow
    answers : sequence of mapping of str to Answer
        To `demand_of` these rows, for each animal; the best fit first, whose numbers are shown.
    """
    data, records = load_rows(), {record.id: record for record in load_observations()}
    out = []
    for row in rows:
        record, wait = records[row.id], _waits(row, data.runs)
        if row.reason is not None or wait is not None:
            out.append(_not_scored(row, record, wait, data.reasons))
            continue
        named = [{run: found[key_of(data.runs[run])] for run in row.runs} for found in answers]
        out.append(_judged(row, record, [[judge(check, one) for check in row.checks] for one in named]))
    return tuple(out)


def chosen_rows(ids: Sequence[str]) -> list[ScoreRow]:
    """Return how some observations are scored, all when there are no ids, in the order of the observations.

    Raises
    ------
    UnknownNameError
        For an unknown observation.
    """
    rows = {row.id: row for row in load_rows().rows}
    for name in ids:
        if name not in rows:
            raise unknown("observation", name, rows, "hepatalk list observations")
    return [row for row in rows.values() if not ids or row.id in ids]


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
    """Turn the outcomes, animals by checks, into one verdict; numbers are those of the first, the best fit."""
    agree = share([all(o.holds for o in one) for one in found])
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
        members=len(found) - 1,
        not_run=sum(any(o.not_run for o in one) for one in found[1:]),
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


def demand_of(rows: Sequence[ScoreRow]) -> Demand:
    """Return every run that rows need, with the numbers to take from it; rows that are not scored need none."""
    runs = load_rows().runs
    demand = Demand("score_rows.yaml", "an observation")
    for row in rows:
        if row.reason is None and _waits(row, runs) is None:
            for check in row.checks:
                for name, number in _parts(check):
                    demand.want(runs[name], number)
    return demand


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
            return Outcome(None, None, None, None, f"{name} could not be run: {answer}", not_run=True)
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
