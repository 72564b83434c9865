"""Score every observation and write docs/score.md, failing ones first; with --check, only say whether it is current."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import failures_told as told_of

from hepatalk.experiments.failures import load_failures
from hepatalk.experiments.score_rows import load_rows
from hepatalk.experiments.scorecard import RowScore, score, tally

PAGE = Path(__file__).resolve().parent.parent / "docs" / "score.md"
HEAD = """# The scoreboard of observations

Published observations, posed as virtual experiments. How each is scored stands in
`src/hepatalk/experiments/data/score_rows.yaml`, by the rules of `SCORING.md` beside it; both were written from the
observations and committed before the first run. The denominator is the rows whose use is `validate`: nothing is tuned
on them. Rows the calibration may use (`calibrate`) and rows from memory (`recalled`) are counted apart; those the
calibration of the row's animal has seen are marked *fitted*. Mouse and human have the rat's numbers but for a few that
are fitted to their own rows (`hepatalk list parameters --differs`). `margin` is the distance of the worst check from
its line as a fraction of the stated value (of the control for directions): negative where it fails, none where the
model gives no value. Regenerate this page with `python scripts/make_score_page.py`.
"""
#: The rows whose failures are explained.
EXPLAINED = "validate"
TITLES = {
    "validate": "Validation rows",
    "calibrate": "Calibration rows",
    "recalled": "Rows from memory",
    "context": "Context rows",
}


def cell(text: str) -> str:
    """Return a text that stays in one cell of a table."""
    return text.replace("|", "\\|").replace("\n", " ")


def table(rows: Sequence[RowScore], status: str) -> list[str]:
    """Return the table of one status, worst first."""
    here = sorted(
        (r for r in rows if r.status == status),
        key=lambda r: -float("inf") if r.margin is None and status != "not_scored" else r.margin or 0.0,
    )
    if not here:
        return []
    title = {"fail": "Fail", "pass": "Pass", "not_scored": "Not scored"}[status]
    known = load_failures().observations
    why = status == "fail" and any(explained(r) for r in here)
    head = ["row", "margin", "what was observed", "what decides it", *(["cause"] if why else [])]
    out = [f"\n### {title}\n", f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
    for r in here:
        margin = "" if r.margin is None else f"{r.margin:+.2f}"
        cells = [f"{r.id}{' *fitted*' if r.fitted else ''}", margin, cell(r.stated), cell(r.reason)]
        out.append(f"| {' | '.join([*cells, *([told_of.cause_of(known, r.id)] if why else [])])} |")
    return out


def explained(r: RowScore) -> bool:
    """Return whether a row is of those whose failures are explained."""
    return r.use == EXPLAINED


def why_they_fail(rows: Sequence[RowScore]) -> list[str]:
    """Return the section on why the validation rows fail, worst first as in their table; none where none fails."""
    failing = failing_rows(rows)
    if not failing:
        return []
    known = load_failures()
    stated = {r.id: " ".join(r.stated.split()) for r in rows}
    return ["\n### Why they fail\n", *told_of.lines(known, known.observations, failing, stated, level=4)]


def failing_rows(rows: Sequence[RowScore]) -> list[str]:
    """Return the ids of the failing rows whose failures are explained, in the order of the observations."""
    return [r.id for r in rows if explained(r) and r.status == "fail"]


def page(found: Sequence[RowScore]) -> str:
    """Return the text of the page."""
    parts = [HEAD]
    for use, title in TITLES.items():
        parts.append(f"- **{title}: {tally([r for r in found if r.use == use])}.**")
    parts += ["", "Validation rows by topic:", ""]
    for topic in dict.fromkeys(r.topic for r in found if r.use == "validate"):
        parts.append(f"- {topic}: {tally([r for r in found if r.use == 'validate' and r.topic == topic])}")
    parts += ["", "Why a row is not scored:", ""]
    parts += [f"- `{name}`: {meaning}" for name, meaning in load_rows().reasons.items()]
    parts.append("- `awaits`: the experiment or intervention it needs is not part of this version")
    for use, title in TITLES.items():
        here = [r for r in found if r.use == use]
        parts.append(f"\n## {title}")
        for status in ("fail", "pass", "not_scored"):
            parts += table(here, status)
            parts += why_they_fail(here) if status == "fail" else []
    return "\n".join(parts) + "\n"


def main() -> int:
    """Write or check the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if the page is not current")
    wanted = parser.parse_args()
    found = score()
    text = page(found)
    told_of.report(load_failures().observations, failing_rows(found), [r.id for r in found])
    if wanted.check:
        current = PAGE.exists() and PAGE.read_text(encoding="utf-8") == text
        sys.stdout.write(f"docs/{PAGE.name}: {'current' if current else 'not current; run it without --check'}\n")
        return 0 if current else 1
    PAGE.write_text(text, encoding="utf-8")
    sys.stdout.write(f"docs/{PAGE.name}: validation: {tally([r for r in found if r.use == 'validate'])}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
