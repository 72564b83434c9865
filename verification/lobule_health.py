"""Follow a healthy lobule in space for a month; write a table of what may not drift.

    python verification/lobule_health.py                      # default size
    python verification/lobule_health.py --hepatocytes 3000

The table goes to `docs/lobule_health.md`. The small form that runs with every change is
`tests/properties/test_lobule_health.py`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from hepatalk.engines.lobule.anatomy import DEFAULT_HEPATOCYTES
from hepatalk.engines.lobule.engine import LobuleEngine, LobuleSettings
from hepatalk.engines.lobule.record import Snapshot
from hepatalk.knowledge import load
from hepatalk.model import compile_model

DOCS = Path(__file__).resolve().parents[1] / "docs"
DAYS = (0, 1, 3, 7, 14, 21, 30)
HEAD = """\
# A healthy lobule for a month

`python verification/lobule_health.py --hepatocytes {hepatocytes} --seed {seed}` follows a lobule to which nothing
happens. Numbers are those of the sample; oxygen and WNT are means over the sites of zones 1, 2 and 3, relative to
health.

"""
#: What the table says, by the word that heads each column.
COLUMNS = (
    *("day", "HEP", "LSEC", "HSC", "KC", "BEC", "volume of HEP", "edge", "HEP by zone, %"),
    *("oxygen by zone", "WNT by zone"),
)


def row(day: int, m: Snapshot) -> str:
    """Return a line of the table."""
    own = m.type_ == m.types.index("HEP")
    zones = [1, 2, 3]
    shares = [100.0 * float((m.zone[own] == z).mean()) for z in zones]
    levels = [
        " ".join(f"{float(np.nanmean(m.fields[name][m.site_zone == z])):.2f}" for z in zones)
        for name in ("oxygen", "signal.WNT")
    ]
    numbers = [str(int((m.type_ == m.types.index(cell)).sum())) for cell in ("HEP", "LSEC", "HSC", "KC", "BEC")]
    cells = [str(day), *numbers, f"{m.volume[own].sum() / max(int(own.sum()), 1):.3f}", f"{m.scale:.4f}"]
    return "| " + " | ".join([*cells, " ".join(f"{s:.1f}" for s in shares), *levels]) + " |"


def main() -> None:
    """Run, and write the table between the head of the page and what is said below it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hepatocytes", type=int, default=DEFAULT_HEPATOCYTES)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    model = compile_model(load())
    kept: list[Snapshot] = []
    settings = LobuleSettings(hepatocytes=asked.hepatocytes, cells_at_h=tuple(24.0 * d for d in DAYS), keep=kept.append)
    hours = np.arange(0.0, 24.0 * DAYS[-1] + 1.0, 6.0)
    course = LobuleEngine.in_space(model, asked.seed, settings).run(model, [], hours)
    il6 = course.states[:, [model.slot_index[f"signal.IL6@{z}"] for z in (1, 2, 3)]].mean(axis=1)
    count = course.states[:, [model.slot_index[f"HEP.count@{z}"] for z in (1, 2, 3)]].sum(axis=1)
    burst = il6 > 3.0
    after = np.array([burst[max(0, i - 16) : i + 1].any() for i in range(len(hours) - 1)])
    grown = np.diff(count / count[0])
    lines = ["| " + " | ".join(COLUMNS) + " |", "| " + " | ".join("---" for _ in COLUMNS) + " |"]
    lines += [row(day, m) for day, m in zip(DAYS, kept, strict=True)]
    said = (
        f"Bursts of IL-6 (above 3 x healthy) filled {burst.mean():.0%} of the time, the highest {il6.max():.3g} x. "
        f"Hepatocytes grew by {grown[after].sum():+.1%} within four days of a burst, by {grown[~after].sum():+.1%} "
        f"in the remaining {1.0 - after.mean():.0%} of the time.\n"
    )
    page = DOCS / "lobule_health.md"
    below = page.read_text(encoding="utf-8").partition("\n## ")[2] if page.exists() else ""
    text = HEAD.format(hepatocytes=asked.hepatocytes, seed=asked.seed) + "\n".join(lines) + "\n\n" + said
    page.write_text(text + (f"\n## {below}" if below else ""), encoding="utf-8")


if __name__ == "__main__":
    main()
