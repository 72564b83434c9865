"""Pose every claim and write docs/claims.md, failing ones first."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

from hepatalk.experiments.score import Verdict, score_claims

PAGE = Path(__file__).resolve().parent.parent / "docs" / "claims.md"
HEAD = """# The claims scoreboard

The review's claims, posed as virtual experiments to the calibrated rat. The predicates stand in
`src/hepatalk/experiments/data/predicates.yaml`; they were written from the claims alone, each before its first run, and
none has been edited since. No claim is used to fit the model. `margin` is the distance of the worst predicate from its
line, as a fraction of the control: negative where it fails. Regenerate this page with
`python scripts/make_claims_page.py`.
"""


def rows(verdicts: list[Verdict], status: str) -> list[str]:
    """Return the table rows of one status."""
    out = []
    for v in verdicts:
        if v.status == status:
            margin = "" if v.margin is None else f"{v.margin:+.2f}"
            out.append(f"| {v.id} | {margin} | {v.stated}{' (implied)' if v.implied else ''} | {v.reason} |")
    return out


def main() -> int:
    """Write the page."""
    verdicts = list(score_claims())
    counts = Counter(v.status for v in verdicts)
    posed = counts["pass"] + counts["fail"]
    head = ["| claim | margin | what is claimed | what decides it |", "| --- | --- | --- | --- |"]
    parts = [
        HEAD,
        f"**{counts['pass']} of {posed} posed claims pass; {counts['not_posable']} of {len(verdicts)} cannot.**",
    ]
    for status, title in (("fail", "Fail"), ("pass", "Pass"), ("not_posable", "Cannot be posed in this version")):
        parts += [f"\n## {title}\n", *head, *rows(verdicts, status)]
    PAGE.write_text("\n".join(parts) + "\n", encoding="utf-8")
    sys.stdout.write(f"docs/{PAGE.name}: {counts['pass']} of {posed} pass\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
