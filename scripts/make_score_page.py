"""Score every observation and write docs/score.md, failing ones first; with --check, only say whether it is current."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

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
    out = [f"\n### {title}\n", "| row | margin | what was observed | what decides it |", "| --- | --- | --- | --- |"]
    for r in here:
        margin = "" if r.margin is None else f"{r.margin:+.2f}"
        out.append(f"| {r.id}{' *fitted*' if r.fitted else ''} | {margin} | {cell(r.stated)} | {cell(r.reason)} |")
    return out


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
    return "\n".join(parts) + "\n"


def main() -> int:
    """Write or check the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if the page is not current")
    wanted = parser.parse_args()
    found = score()
    text = page(found)
    if wanted.check:
        current = PAGE.exists() and PAGE.read_text(encoding="utf-8") == text
        sys.stdout.write(f"docs/{PAGE.name}: {'current' if current else 'not current; run it without --check'}\n")
        return 0 if current else 1
    PAGE.write_text(text, encoding="utf-8")
    sys.stdout.write(f"docs/{PAGE.name}: validation: {tally([r for r in found if r.use == 'validate'])}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
