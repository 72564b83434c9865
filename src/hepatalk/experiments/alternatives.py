"""What tells a disputed alternative from the default: claims, observations, and the experiment that would.

Each hypothesis that can be switched is run against the default on both scoreboards. A row tells the two apart when its
verdict changes, or when its margin (the distance from its line or band, as a fraction of the control or of what is
stated) moves by more than `MOVED`. The experiment that would tell is the one of the catalogue, with the readout and the
time, at which the two differ most.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from hepatalk.engines.base import Progress
from hepatalk.errors import HepatalkError, unknown
from hepatalk.experiments.answers import Animal, Answer, ask
from hepatalk.experiments.bench import Bench
from hepatalk.experiments.experiment import catalogue_names
from hepatalk.experiments.kept import Kept
from hepatalk.experiments.parallel import in_parallel
from hepatalk.experiments.run import perform
from hepatalk.experiments.score import ClaimTest, Verdict, chosen_tests, verdict
from hepatalk.experiments.score import demand_of as demand_of_claims
from hepatalk.experiments.score_rows import ScoreRow
from hepatalk.experiments.scorecard import RowScore, chosen_rows, verdicts
from hepatalk.experiments.scorecard import demand_of as demand_of_rows
from hepatalk.experiments.statements import switched_on
from hepatalk.knowledge.findings import changes
from hepatalk.knowledge.load import Knowledge, load

__all__ = ["Alternative", "Apart", "Telling", "compare_hypotheses", "switchable"]

#: A margin that moves by more than this tells two alternatives apart.
MOVED = 0.05
#: A difference counts in full only where a readout is at least this share of its highest value in either run.
FLOOR = 0.1
#: How many readouts are named for each hypothesis.
NAMED = 3
#: Output step of the experiments compared, in h.
EVERY_H = 6.0


@dataclass(frozen=True)
class Telling:
    """A claim or observation that tells an alternative from the default.

    Attributes
    ----------
    kind : {'claim', 'observation'}
    id : str
    stated : str
        What is claimed or was observed.
    default, alternative : str
        'pass' or 'fail'.
    moved : float or None
        Change of the margin; None where either has none.
    """

    kind: Literal["claim", "observation"]
    id: str
    stated: str
    default: str
    alternative: str
    moved: float | None

    @property
    def decides(self) -> bool:
        """Whether the verdict itself changes."""
        return self.default != self.alternative


@dataclass(frozen=True)
class Apart:
    """Where two alternatives differ most.

    Attributes
    ----------
    experiment, readout : str
    at_h : float
        Hours.
    default, alternative : float
        The readout.
    apart : float
        |difference| over the larger of the two, at most 1; over a tenth of the readout's highest value where that is
        more.
    """

    experiment: str
    readout: str
    at_h: float
    default: float
    alternative: float
    apart: float


@dataclass(frozen=True)
class Alternative:
    """A hypothesis beside the default.

    Attributes
    ----------
    id, title : str
    runs : str
        What runs when it is switched on.
    changes : bool
        Whether switching it on changes anything.
    telling : tuple of Telling
        Rows that tell it from the default; changed verdicts first, then the largest moves.
    compared : int
        Rows that were scored under both.
    apart : tuple of Apart
        Readouts of experiments that differ most, largest first, one for each readout.
    not_run : tuple of str
        Experiments that one of the two cannot run.
    """

    id: str
    title: str
    runs: str
    changes: bool
    telling: tuple[Telling, ...]
    compared: int
    apart: tuple[Apart, ...]
    not_run: tuple[str, ...]


def switchable(knowledge: Knowledge, ids: Sequence[str] = ()) -> tuple[str, ...]:
    """Return the hypotheses asked for, all when there are no ids.

    Raises
    ------
    UnknownNameError
        For an unknown hypothesis.
    """
    for name in ids:
        if name not in knowledge.hypothesis:
            raise unknown("hypothesis", name, knowledge.hypothesis, "see 'hepatalk list hypotheses'")
    return tuple(ids) or tuple(knowledge.hypothesis)


def compare_hypotheses(
    ids: Sequence[str] = (),
    *,
    knowledge: Knowledge | None = None,
    claims: Sequence[str] = (),
    observations: Sequence[str] = (),
    experiments: Sequence[str] | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
    kept: Kept | None = None,
) -> tuple[Alternative, ...]:
    """Run hypotheses against the default on both scoreboards and on the catalogue.

    Parameters
    ----------
    ids : sequence of str
        Hypotheses; all when empty.
    knowledge : Knowledge, optional
    claims, observations : sequence of str
        Rows to compare; all when empty.
    experiments : sequence of str, optional
        Those in which the largest difference is looked for; the catalogue and three resections when omitted.
    workers : int, optional
        Processes; as many as there are processors when omitted.
    progress : callable, optional
        Told the fraction done, 0 at the start.
    kept : Kept, optional
        Where answers of the scoreboards are kept, so that an interrupted comparison goes on.

    Returns
    -------
    tuple of Alternative
        In the order asked for, or of the records.

    Raises
    ------
    UnknownNameError
        For an unknown hypothesis, claim, observation or experiment.
    """
    facts = load() if knowledge is None else knowledge
    names = switchable(facts, ids)
    active = [n for n in names if changes(facts, facts.hypothesis[n])]
    tests, rows = chosen_tests(claims), chosen_rows(observations)
    if not active:
        tests, rows = [], []  # there is nothing to tell apart
    herd = [Animal(facts), *(Animal(facts, hypotheses=(n,)) for n in active)]
    places = ("phx30", "phx70", "phx85", *catalogue_names()) if experiments is None else tuple(experiments)

    def part(number: int) -> Progress | None:
        """Return what tells the progress of one of the three parts as that of the whole."""
        return None if progress is None else lambda done: progress((number + done) / 3.0)

    said = ask(demand_of_claims(tests, facts), herd, workers=workers, progress=part(0), kept=kept)
    measured = ask(demand_of_rows(rows), herd, workers=workers, progress=part(1), kept=kept)
    jobs = [(facts, name, place) for name in active for place in places]
    differences = in_parallel(_differences, jobs, workers=workers, progress=part(2))
    told = {n: _telling(k + 1, facts, tests, rows, said, measured) for k, n in enumerate(active)}
    out = []
    for name in names:
        record = facts.hypothesis[name]
        telling, compared = told.get(name, ((), 0))
        found = [d for (_, other, _), d in zip(jobs, differences, strict=True) if other == name]
        apart = _largest([a for d in found if not isinstance(d, str) for a in d])
        not_run = tuple(d for d in found if isinstance(d, str))
        runs = switched_on(facts, record)
        out.append(Alternative(name, record.title, runs, name in active, telling, compared, apart, not_run))
    return tuple(out)


_Scored = tuple[str, str, str, float | None]


def _telling(
    k: int,
    facts: Knowledge,
    tests: Sequence[ClaimTest],
    rows: Sequence[ScoreRow],
    said: Sequence[Mapping[str, Answer]],
    measured: Sequence[Mapping[str, Answer]],
) -> tuple[tuple[Telling, ...], int]:
    """Return the rows that tell the k-th animal from the first, and how many rows were compared."""
    found, compared = [], 0
    kinds: tuple[Literal["claim", "observation"], ...] = ("claim", "observation")
    for kind in kinds:
        old, new = (
            [_scored(verdict(t, facts, [said[i]])) for t in tests]
            if kind == "claim"
            else [_scored(r) for r in verdicts(rows, [measured[i]])]
            for i in (0, k)
        )
        for before, after in zip(old, new, strict=True):
            (name, stated, status, margin), (_, _, other, moved_to) = before, after
            if status not in ("pass", "fail"):
                continue
            compared += 1
            moved = None if margin is None or moved_to is None else moved_to - margin
            if status != other or abs(moved or 0.0) > MOVED:
                found.append(Telling(kind, name, stated, status, other, moved))
    ranked = sorted(found, key=lambda t: (not t.decides, -abs(t.moved or 0.0)))
    return tuple(ranked), compared


def _scored(row: Verdict | RowScore) -> _Scored:
    return row.id, row.stated, row.status, row.margin


def _differences(job: tuple[Knowledge, str, str]) -> tuple[Apart, ...] | str:
    """Return the largest differences of one experiment, or why it cannot be compared."""
    facts, hypothesis, experiment = job
    bench = Bench()
    try:
        old, new = (
            perform(experiment, every=EVERY_H, knowledge=facts, hypotheses=chosen, bench=bench).result
            for chosen in ((), (hypothesis,))
        )
    except HepatalkError as error:
        return f"{experiment}: {error}"
    found = []
    for name in old.names:
        if name not in new.readouts:
            continue
        a, b = old.readout(name), new.readout(name)
        size = np.maximum(np.abs(a), np.abs(b))
        apart = np.abs(a - b) / np.maximum(np.maximum(size, FLOOR * size.max()), 1e-9)
        i = int(apart.argmax())
        found.append(Apart(experiment, name, float(old.time_h[i]), float(a[i]), float(b[i]), float(apart[i])))
    return _largest(found)


def _largest(found: Sequence[Apart]) -> tuple[Apart, ...]:
    """Return the largest differences, one for each readout."""
    chosen: dict[str, Apart] = {}
    for one in sorted(found, key=lambda d: -d.apart):
        chosen.setdefault(one.readout, one)
    return tuple(chosen.values())[:NAMED]
