"""``hepatalk compare --hypotheses``: what tells disputed alternatives apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from hepatalk.cli.console import background, print_json, say, table
from hepatalk.cli.members import told

if TYPE_CHECKING:
    from hepatalk.experiments.alternatives import Alternative

__all__ = ["compare_alternatives"]


def compare_alternatives(ids: Sequence[str], json: bool) -> None:
    """Run hypotheses against the default and print what tells them apart; raises UnknownNameError."""
    from hepatalk.experiments.alternatives import compare_hypotheses, switchable
    from hepatalk.experiments.kept import Kept
    from hepatalk.knowledge.load import load

    knowledge = load()
    switchable(knowledge, ids)  # what is wrong is said before anything long begins
    progress = told("hypotheses")
    found = background(lambda: compare_hypotheses(ids, knowledge=knowledge, progress=progress, kept=Kept()))
    if json:
        print_json([_record(a) for a in found])
        return
    for alternative in found:
        _print(alternative)


def _record(a: Alternative) -> dict[str, object]:
    return {
        "id": a.id,
        "title": a.title,
        "runs": a.runs,
        "changes": a.changes,
        "compared": a.compared,
        "telling": [{**vars(t), "decides": t.decides} for t in a.telling],
        "apart": [vars(d) for d in a.apart],
        "not_run": list(a.not_run),
    }


def _print(a: Alternative) -> None:
    say(f"{a.id}: {a.title}")
    say(f"  switched on: {a.runs}")
    if not a.changes:
        say()
        return
    deciding = sum(t.decides for t in a.telling)
    say(f"  {deciding} of {a.compared} rows change their verdict; {len(a.telling) - deciding} more move by over 5%")
    if a.telling:
        table(
            ["row", "default", "switched", "margin moves", "what is stated"],
            [[t.id, t.default, t.alternative, "" if t.moved is None else f"{t.moved:+.2f}", t.stated]
             for t in a.telling],
        )  # fmt: skip
    for d in a.apart:
        say(
            f"  would tell: {d.readout} in {d.experiment} at {d.at_h:g} h: {d.default:.4g} by default, "
            f"{d.alternative:.4g} switched"
        )
    for reason in a.not_run:
        say(f"  cannot be run: {reason}")
    say()
