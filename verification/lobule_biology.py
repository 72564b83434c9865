"""Hold the lobule against the biology that it should show: gradients, waves, clusters, ductules, necrosis, clones.

    python verification/lobule_biology.py --keep results/biology --hepatocytes 1000 --seeds 3

Runs that the folder holds already are not made again. The page goes to `docs/lobule_biology.md`, the figure beside it.
What a line needs to agree is written beside its measure and was fixed before the numbers were seen.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

sys.path.insert(0, str(Path(__file__).parent))

from lobule_biology_page import write

from hepatalk.engines.lobule.engine import LobuleSettings
from hepatalk.experiments.bench import Bench
from hepatalk.experiments.run import perform
from hepatalk.knowledge import load
from hepatalk.results.cell_tables import CELLS, CellTables

Floats = npt.NDArray[np.float64]
DOCS = Path(__file__).resolve().parents[1] / "docs"
CURVES = ("hepatocyte_count", "dead_cell_area", "liver_volume", "count.BEC", "count.BIP", "count.LSEC", "count.HSC",
          "count.KC", "s_phase.HEP", "s_phase.LSEC", "s_phase.KC", "s_phase.HSC", "s_phase.BEC")  # fmt: skip


@dataclass(frozen=True)
class Case:
    """An experiment with what is added to it, how long it runs, and how often cells are kept."""

    name: str
    experiment: str
    days: float
    every_h: float
    items: tuple[dict[str, object], ...] = ()
    knockouts: tuple[str, ...] = ()


BLOCKED = {"at": "0 h", "until": "14 d", "injury": "block_division", "cell": "HEP", "efficacy": 0.999}


CASES = (
    Case("sham", "sham", 2.0, 12.0),
    Case("phx70", "phx70", 7.0, 3.0),
    Case("ccl4", "ccl4", 7.0, 4.0),
    Case("bdl", "bdl", 10.0, 48.0),
    Case("bdl_without", "bdl", 10.0, 48.0, knockouts=("Pdgfb@BEC",)),
    Case("blocked", "phx70", 10.0, 48.0, (BLOCKED,)),
)


def main() -> None:
    """Make the runs that are not there, and write what came out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--hepatocytes", type=int, default=1000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--runs-only", action="store_true", help="write no page")
    given = parser.parse_args()
    bench, facts = Bench(), load()
    folders: dict[str, list[Path]] = {c.name: [] for c in CASES}
    for seed in range(1, given.seeds + 1):
        for case in CASES:
            folder = given.keep / f"{case.name}_{given.hepatocytes}_{seed}"
            folders[case.name].append(folder)
            if (folder / "curves.npz").is_file():
                continue
            folder.mkdir(parents=True, exist_ok=True)
            tables = CellTables(folder / CELLS, 24.0 * case.days, case.every_h)
            settings = LobuleSettings(hepatocytes=given.hepatocytes, cells_at_h=tables.wanted_h, keep=tables)
            result = perform(
                case.experiment, engine="lobule", days=case.days, seed=seed, knowledge=facts, bench=bench,
                lobule=settings, items=case.items, knockouts=case.knockouts,
            ).result  # fmt: skip
            tables.finish(result, hepatocytes=given.hepatocytes, lobules=1)
            np.savez(folder / "curves.npz", time_h=result.time_h, **{n: result.readout(n) for n in CURVES})
            print(folder.name, flush=True)  # noqa: T201 - minutes pass between two of them
    if not given.runs_only:
        write(folders, given.hepatocytes, DOCS)


if __name__ == "__main__":
    main()
