"""Pose every claim to the model and to the null models, and write docs/claims.md, failing claims first."""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import failures_told as told_of

from hepatalk.experiments.answers import AGREE
from hepatalk.experiments.failures import load_failures
from hepatalk.experiments.kept import Kept
from hepatalk.experiments.members import load_members
from hepatalk.experiments.nulls import SHUFFLED, Null, Nulls, score_nulls
from hepatalk.experiments.score import Verdict, score_claims

PAGE = Path(__file__).resolve().parent.parent / "docs" / "claims.md"
HEAD = """# The claims scoreboard

The review's claims, posed as virtual experiments to the calibrated rat. The predicates stand in
`src/hepatalk/experiments/data/predicates.yaml`; they were written from the claims alone, each before its first run, and
none has been edited since. No claim is used to fit the model. `margin` is the distance of the worst predicate from its
line with the best fit, as a fraction of the control: negative where it fails. Regenerate this page with
`python scripts/make_claims_page.py`.
"""
NULLS = """
Two columns stand beside ours; they say what passing is worth. `alone` is the same predicate on a model without
crosstalk: {rows} rows are held at rest, namely every row that secretes, from one cell type, a signal that regulates
another, and every row by which a signal, state or node of one cell type regulates another. What happens within one cell
type stays, and so do the body (nerves, gut, hormones, bile acids), flow, shear, oxygen and load. `shuffled` counts the
models, of {of} with the signs of all regulating terms permuted, in which the claim passes; {broken} of the {of} have no
stable healthy state (a disturbance grows e-fold within 28 d) or cannot be compiled, and fail every claim. A claim that
passes alone, or in more than half of the shuffled models, is *uninformative*: a pass says nothing about crosstalk.
"""


def rows(verdicts: Sequence[Verdict], nulls: Mapping[str, Null], status: str) -> list[str]:
    """Return the table of one status."""
    many = any(v.members for v in verdicts)
    head = ["claim", "margin", *(["agree"] if many else []), "alone", "shuffled", "what is claimed", "what decides it"]
    if status == "fail":
        head.append("cause")
    if status == "not_posable":
        head = ["claim", "what is claimed", "why"]
    out = [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
    for v in verdicts:
        if v.status == status:
            out.append(f"| {' | '.join(cells(v, nulls[v.id], many))} |")
    return out


def cells(v: Verdict, null: Null, many: bool) -> list[str]:
    """Return the cells of one claim."""
    stated = f"{v.stated}{' (implied)' if v.implied else ''}".replace("|", "\\|")
    if v.status == "not_posable":
        return [v.id, stated, v.reason]
    agree = "" if v.agree is None else f"{v.agree:.0%}" + (f" ({v.not_run} not run)" if v.not_run else "")
    return [
        f"{v.id}{' *uninformative*' if null.uninformative else ''}",
        "" if v.margin is None else f"{v.margin:+.2f}",
        *([agree] if many else []),
        "pass" if null.without_crosstalk else "fail",
        f"{null.shuffled}/{null.of}",
        stated,
        v.reason.replace("|", "\\|"),
        *([told_of.cause_of(load_failures().claims, v.id)] if v.status == "fail" else []),
    ]


def page(verdicts: Sequence[Verdict], nulls: Nulls) -> str:
    """Return the text of the page."""
    by_id = {n.id: n for n in nulls.claims}
    counts = Counter(v.status for v in verdicts)
    posed = counts["pass"] + counts["fail"]
    empty = sum(v.status == "pass" and by_id[v.id].uninformative for v in verdicts)
    alone = sum(bool(n.without_crosstalk) for n in nulls.claims)
    number = nulls.claims[0].of
    most = sum((n.shuffled or 0) > number / 2 for n in nulls.claims)
    members = max(v.members for v in verdicts)
    who = f"in at least {AGREE:.0%} of {members} virtual animals" if members else "with the best fit"
    parts = [
        HEAD,
        f"**{counts['pass']} of {posed} posed claims pass {who}; {counts['not_posable']} of {len(verdicts)} cannot be "
        f"posed. {empty} of the {counts['pass']} are uninformative.** Without crosstalk {alone} of the {posed} pass; "
        f"{most} pass in more than half of the models with shuffled signs.",
        NULLS.strip().join(("\n", "")).format(rows=len(nulls.silenced), of=number, broken=len(nulls.broken)),
    ]
    parts += ["\n## Fail\n", *rows(verdicts, by_id, "fail")]
    failing = [v.id for v in verdicts if v.status == "fail"]
    known = load_failures()
    parts += ["\n## Why they fail\n", *told_of.lines(known, known.claims, failing, {v.id: v.stated for v in verdicts})]
    for status, title in (("pass", "Pass"), ("not_posable", "Cannot be posed in this version")):
        parts += [f"\n## {title}\n", *rows(verdicts, by_id, status)]
    return "\n".join(parts) + "\n"


def told(what: str) -> Callable[[float], None]:
    """Return what writes the share done and an estimate of the rest to the error stream."""
    start = time.monotonic()

    def progress(done: float) -> None:
        left = (time.monotonic() - start) * (1.0 / done - 1.0) if done else 0.0
        sys.stderr.write(f"{what}: {done:.0%}" + (f", about {left:.0f} s left\n" if 0.0 < done < 1.0 else "\n"))

    return progress


def main() -> int:
    """Write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--members", type=int, default=1, help="virtual animals; 1 is the best fit alone")
    wanted = parser.parse_args()
    start = time.monotonic()
    kept = Kept()  # an interrupted page goes on
    members = load_members().first(wanted.members) if wanted.members > 1 else None
    verdicts = score_claims(members=members, progress=told("claims"), kept=kept)
    nulls = score_nulls(number=SHUFFLED, progress=told("null models"), kept=kept)
    PAGE.write_text(page(verdicts, nulls), encoding="utf-8")
    told_of.report(load_failures().claims, [v.id for v in verdicts if v.status == "fail"], [v.id for v in verdicts])
    passed = sum(v.status == "pass" for v in verdicts)
    took = time.monotonic() - start
    sys.stdout.write(f"docs/{PAGE.name}: {passed} pass; {took:.0f} s for the runs that were not kept already\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
