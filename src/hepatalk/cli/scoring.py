"""``hepatalk claims`` and ``hepatalk score``: what the review says and what was measured, and what the model does."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from hepatalk.cli.console import background, note, print_json, say, table
from hepatalk.errors import ExperimentError

if TYPE_CHECKING:
    from hepatalk.experiments.score import Verdict
    from hepatalk.experiments.scorecard import RowScore

__all__ = ["register"]

_ORDER = {"fail": 0, "pass": 1, "not_posable": 2, "not_scored": 2}
_USES = ("validate", "calibrate", "recalled", "context")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("claims", short_help="Pose the review's claims to the model: which pass, which fail, and why")(claims)
    app.command("score", short_help="Score the published observations: which are met, which are not, and why")(score)


def claims(
    ids: Annotated[list[str] | None, typer.Argument(metavar="[CLAIM]...", help="Claims; all when omitted.")] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON list, and nothing else.")] = False,
) -> None:
    """Run every claim as a virtual experiment with its control, failing ones first.

    The predicates were written from the claims alone, each before its first run. A failing claim is a finding, not an
    error: the exit code stays 0. No claim is used to fit the model.
    """
    from hepatalk.experiments.score import score_claims

    note("posing the claims (about a minute) ...")
    verdicts = background(lambda: score_claims(tuple(ids or ())))
    if json:
        print_json([_row(v) for v in verdicts])
        return
    ranked = sorted(verdicts, key=lambda v: (_ORDER[v.status], v.id))
    table(
        ["claim", "status", "margin", "what is claimed", "what decides it"],
        [[v.id, v.status, "" if v.margin is None else f"{v.margin:+.2f}", v.stated, v.reason] for v in ranked],
    )
    counts = Counter(v.status for v in verdicts)
    posed = counts["pass"] + counts["fail"]
    say(
        f"{counts['pass']} of {posed} posed claims pass; {counts['not_posable']} of {len(verdicts)} cannot be posed yet"
    )


def _row(v: Verdict) -> dict[str, object]:
    return {"id": v.id, "status": v.status, "reason": v.reason, "margin": v.margin, "agree": v.agree}


def score(
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="ID", help="Rows such as T1-10, with commas between them, or repeated."),
    ] = None,
    members: Annotated[int, typer.Option(metavar="N", help="Parameter sets; this version has one.")] = 1,
    json: Annotated[bool, typer.Option("--json", help="One JSON list, and nothing else.")] = False,
) -> None:
    """Compare the model with every published observation, failing ones first.

    How each is scored was written before the first run. Rows the fit has seen (calibrate) and rows without a source at
    hand (recalled) are counted apart. A failing row is a finding, not an error: the exit code stays 0.
    """
    if members != 1:
        raise ExperimentError(f"--members {members}; allowed: 1 (this version has one parameter set); leave it out")
    from hepatalk.experiments.scorecard import score as scored

    ids = tuple(name.strip() for text in only or () for name in text.split(",") if name.strip())
    found = background(lambda: scored(ids, progress=_progress()))
    if json:
        print_json([_score_row(r) for r in found])
        return
    for use in _USES:
        rows = sorted((r for r in found if r.use == use), key=lambda r: (_ORDER[r.status], r.margin or 0.0))
        if rows:
            table(
                ["row", "status", "margin", "what was observed", "what decides it"],
                [[r.id, r.status, "" if r.margin is None else f"{r.margin:+.2f}", r.stated, r.reason] for r in rows],
                title=f"{use}:",
            )
            say()
    _print_totals(found)


def _progress() -> Callable[[float], None]:
    """Return what tells the share done and an estimate of what is left, now and then."""
    start = time.monotonic()
    last = [0.0]

    def progress(done: float) -> None:
        if done == 0.0:
            note("score: making the runs (about a minute for all) ...")
        elif done - last[0] >= 0.1 or done >= 1.0:
            last[0] = done
            left = (time.monotonic() - start) * (1.0 / done - 1.0)
            note(f"score: {done:.0%} of the runs" + (f", about {left:.0f} s left" if done < 1.0 else ""))

    return progress


def _print_totals(found: Sequence[RowScore]) -> None:
    from hepatalk.experiments.scorecard import tally

    for topic in dict.fromkeys(r.topic for r in found):
        here = [r for r in found if r.topic == topic and r.use == "validate"]
        if here:
            say(f"{topic}: {tally(here)}")
    say()
    for use in _USES:
        here = [r for r in found if r.use == use]
        if here:
            say(f"{use}: {tally(here)}")


def _score_row(r: RowScore) -> dict[str, object]:
    first = ("id", "status", "reason", "margin", "value", "low", "high", "use", "topic")
    return {name: getattr(r, name) for name in (*first, "agree", "held", "checks", "fitted")}
