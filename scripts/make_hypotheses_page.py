"""Run every disputed alternative against the default and write docs/hypotheses.md."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path

from hepatalk.experiments.alternatives import Alternative, Telling, compare_hypotheses
from hepatalk.experiments.kept import Kept

PAGE = Path(__file__).resolve().parent.parent / "docs" / "hypotheses.md"
HEAD = """# What tells the disputed alternatives apart

Each hypothesis of the knowledge base that can be switched, run against the default on both scoreboards and on the
catalogue of experiments, with the calibrated rat as it stands: no parameter is fitted anew. A row tells the two apart
when its verdict changes, or when its margin (the distance from its line or band, as a fraction of the control or of
what is stated) moves by more than 0.05. The experiments named are those of the catalogue, with the readout and time, at
which the two differ most: by `apart`, the difference over the larger of the two values. `hepatalk compare --hypotheses`
prints the same; regenerate this page with `python scripts/make_hypotheses_page.py`.
"""


def cell(text: str) -> str:
    """Return a text that stays in one cell of a table."""
    return text.replace("|", "\\|").replace("\n", " ")


def rows(telling: Sequence[Telling]) -> list[str]:
    """Return the table of the rows that tell a hypothesis from the default."""
    out = ["", "| row | default | switched | margin moves | what is stated |", "| --- | --- | --- | --- | --- |"]
    for t in telling:
        moved = "" if t.moved is None else f"{t.moved:+.2f}"
        other = f"**{t.alternative}**" if t.decides else t.alternative
        out.append(f"| {t.id} | {t.default} | {other} | {moved} | {cell(t.stated)} |")
    return out


def section(a: Alternative) -> list[str]:
    """Return the part of the page about one hypothesis."""
    out = [f"\n## {a.title} (`{a.id}`)\n", f"Switched on: {a.runs}"]
    if not a.changes:
        return out
    deciding = sum(t.decides for t in a.telling)
    more = len(a.telling) - deciding
    out.append(f"\n{deciding} of {a.compared} rows change their verdict; {more} more move by over 5%.")
    if a.telling:
        out += rows(a.telling)
    if a.apart:
        out += ["\nWould tell:\n", "| experiment | readout | at | default | switched | apart |", "|" + " --- |" * 6]
    for d in a.apart:
        numbers = f"{d.default:.4g} | {d.alternative:.4g} | {d.apart:.0%}"
        out.append(f"| {d.experiment} | {d.readout} | {d.at_h:g} h | {numbers} |")
    out += [f"\nCannot be run: {cell(reason)}" for reason in a.not_run]
    return out


def main() -> int:
    """Write the page."""
    start = time.monotonic()

    def progress(done: float) -> None:
        left = (time.monotonic() - start) * (1.0 / done - 1.0) if done else 0.0
        sys.stderr.write(f"hypotheses: {done:.0%}, about {left:.0f} s left\n")

    found = compare_hypotheses(progress=progress, kept=Kept())
    PAGE.write_text(
        "\n".join([HEAD.rstrip("\n"), *(line for a in found for line in section(a))]) + "\n", encoding="utf-8"
    )
    sys.stdout.write(f"docs/{PAGE.name}: {len(found)} hypotheses; {time.monotonic() - start:.0f} s\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
