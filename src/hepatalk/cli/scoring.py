"""``hepatalk claims``: what the review says must happen, and whether the model does it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Annotated

import typer

from hepatalk.cli.console import background, note, print_json, say, table

if TYPE_CHECKING:
    from hepatalk.experiments.score import Verdict

__all__ = ["register"]

_ORDER = {"fail": 0, "pass": 1, "not_posable": 2}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("claims", short_help="Pose the review's claims to the model: which pass, which fail, and why")(claims)


def claims(
    ids: Annotated[list[str] | None, typer.Argument(metavar="[CLAIM]...", help="Claims; all when omitted.")] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON list, and nothing else.")] = False,
) -> None:
    """Run every claim as a virtual experiment with its control, failing ones first.

    The predicates were written from the claims alone, before any was run. A failing claim is a finding, not an error:
    the exit code stays 0. No claim is used to fit the model.
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
