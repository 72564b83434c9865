"""Cost and memory of the lobule engine against the number of cells.

    python benchmarks/lobule_scaling.py [--hepatocytes 1000 ...] [--hours 6] [--many 2]

Each size is a process of its own: it builds a lobule, runs the first hours after a loss of 70%, and tells the
processor time of building, of finding the healthy rest with the first step, and of the other steps, and how much memory
it held at most beyond what it held before building. The first steps, in which kernels for many cells are compiled if
they have not been yet, do not count as steps; hours beyond 6 have the mechanics of cells twice. The slope of the
logarithms says how cost grows: 1 is linear. ``--many N`` also runs N lobules of 1,000 cells for 7 days, for the cost of
a hundred. One thread; processor time, so that waiting for others does not count.
"""

# ruff: noqa: T201 -- a script that reports by printing

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time

import numpy as np

#: Steps at the beginning that are not counted.
SKIPPED = 3


def _held_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0


def measure(hepatocytes: int, hours: float, seed: int) -> dict[str, float]:
    """Return what a lobule costs; the kernels are warmed up before."""
    import numba

    from hepatalk.engines.lobule.engine import LobuleEngine, LobuleSettings
    from hepatalk.knowledge import load
    from hepatalk.model import compile_model
    from hepatalk.model.schedule import Change

    numba.set_num_threads(1)
    model = compile_model(load(), "rat")
    change = [Change(0.0, "scale_extensive", "liver", 0.3, "70% of the liver removed")]
    small = LobuleEngine.in_space(model, seed, LobuleSettings(hepatocytes=300))
    small.run(model, change, np.array([0.0, 0.5]))
    held, begin = _held_mb(), time.process_time()
    engine = LobuleEngine.in_space(model, seed, LobuleSettings(hepatocytes=hepatocytes))
    built = time.process_time() - begin
    at: list[tuple[float, float]] = []
    begun = time.process_time()
    engine.run(
        model, change, np.array([0.0, hours]), progress=lambda _: at.append((time.process_time(), time.perf_counter()))
    )
    # Kernels for many cells are compiled in the first steps, for they run on threads: these steps are not counted.
    spent, wall = (at[-1][k] - at[SKIPPED - 1][k] for k in (0, 1))
    last = engine.last
    if last is None:
        raise AssertionError("a run leaves its last state")
    return {
        "cells": len(engine.tissue.type_),
        "sites": engine.tissue.n_sites,
        "build_s": built,
        "rest_s": at[0][0] - begun,
        "run_s": spent,
        "wall_s": wall,
        "steps": len(at) - SKIPPED,
        "all_steps": last.steps,
        "all_s": built + at[-1][0] - begun,
        "memory_mb": _held_mb() - held,
    }


def _apart(hepatocytes: int, hours: float, seed: int) -> dict[str, float]:
    """Measure in a fresh process."""
    order = [sys.executable, __file__, "--one", str(hepatocytes), str(hours), str(seed)]
    done = subprocess.run(order, check=True, capture_output=True, text=True)  # noqa: S603 - this very script
    found: dict[str, float] = json.loads(done.stdout)
    return found


def main() -> int:
    """Run the benchmark.

    Returns
    -------
    int
        0.
    """
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--hepatocytes", type=int, nargs="+", default=[650, 2000, 6500, 20_000, 65_000])
    parser.add_argument("--hours", type=float, default=6.5)
    parser.add_argument("--many", type=int, default=0, help="lobules of 1,000 cells that are run for 7 days")
    parser.add_argument("--one", nargs=3, metavar=("N", "HOURS", "SEED"), help="one process of this benchmark")
    given = parser.parse_args()
    if given.one:
        print(json.dumps(measure(int(given.one[0]), float(given.one[1]), int(given.one[2]))))
        return 0
    print("   cells  sites  build s   rest s    run s   wall s  steps  us/(cell step)  kB/cell")
    rows = []
    for n in given.hepatocytes:
        r = _apart(n, given.hours, 1)
        rows.append(r)
        each = r["run_s"] / r["cells"]
        print(
            f"{r['cells']:8.0f} {r['sites']:6.0f} {r['build_s']:8.1f} {r['rest_s']:8.1f} {r['run_s']:8.1f}"
            f" {r['wall_s']:8.1f} {r['steps']:6.0f} {1e6 * each / r['steps']:15.2f}"
            f" {1e3 * r['memory_mb'] / r['cells']:8.1f}",
            flush=True,
        )
    if len(rows) > 1:
        cells = np.log([r["cells"] for r in rows])
        for name in ("build_s", "run_s"):
            print(f"slope of {name}: {np.polyfit(cells, np.log([r[name] for r in rows]), 1)[0]:.2f}")
        each = np.log([r["run_s"] / r["steps"] for r in rows])
        print(f"slope of a step: {np.polyfit(cells, each, 1)[0]:.2f}")
    if given.many:
        spent = [_apart(640, 168.0, 1 + k) for k in range(given.many)]
        mean = float(np.mean([r["all_s"] for r in spent]))
        print(
            f"{spent[0]['cells']:.0f} cells for 7 d: {mean:.1f} s of processor time each with building; a hundred on "
            f"two processors: {50.0 * mean / 60.0:.1f} min"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
