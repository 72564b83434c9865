"""Measure the mechanics of cells: time of a force evaluation, of a search and of a step, and memory, by cells.

Usage: ``python benchmarks/lobule_motion.py [--cells 1000 10000 100000] [--threads 1 2] [--repeats N]``. Cells are a
dense packing with every centre moved a little, in a box with walls; times are the least of N.
"""

# ruff: noqa: T201 -- a script reports by printing

from __future__ import annotations

import argparse
import time
import tracemalloc
from collections.abc import Callable, Sequence

import numba
import numpy as np

from hepatalk.engines.lobule.motion import Bodies, Box, Mechanics, contacts, relax, velocity

RADIUS_UM, REACH, RATE_PER_H = 10.0, 1.5, 10.0
LAW = Mechanics(np.array([[RATE_PER_H]]), np.array([[0.5]]), np.array([1.0]), REACH, 2 * RATE_PER_H)


def packing(n: int, seed: int = 1) -> tuple[Bodies, Box]:
    """Return n cells near the places of a face-centred cubic packing, numbered at random, and the box around them."""
    edge = 2 * RADIUS_UM * np.sqrt(2)
    k = int(np.ceil((n / 4) ** (1 / 3)))
    corner = np.stack(np.meshgrid(*[np.arange(k)] * 3, indexing="ij"), axis=-1).reshape(-1, 1, 3)
    base = np.array([[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]])
    rng = np.random.default_rng(seed)
    place = rng.permutation((corner + base).reshape(-1, 3)[:n] * edge) + RADIUS_UM
    place += rng.uniform(-1, 1, (n, 3))
    top = k * edge + 2 * RADIUS_UM
    box = Box(np.vstack([np.eye(3), -np.eye(3)]), np.array([-1.0] * 3 + [-top - 1] * 3))
    return Bodies(place, rng.uniform(0.95, 1.05, n) * RADIUS_UM, np.zeros(n, dtype=np.int8)), box


def least_s(act: Callable[[], object], repeats: int) -> tuple[float, float]:
    """Return the least wall and processor times of a call, s, after one that is not counted."""
    act()
    wall, processor = [], []
    for _ in range(repeats):
        begin, used = time.perf_counter(), time.process_time()
        act()
        wall.append(time.perf_counter() - begin)
        processor.append(time.process_time() - used)
    return min(wall), min(processor)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--cells", type=int, nargs="+", default=[1000, 10_000, 100_000])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args(arguments)
    print("cells  threads  neighbours  search ms  step ms  step us/cell  processor us/cell  searches/step  bytes/cell")
    for n in given.cells:
        cells, box = packing(n)
        near = contacts(cells.position, cells.radius, REACH)
        for threads in given.threads:
            numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))
            search, _ = least_s(lambda: contacts(cells.position, cells.radius, REACH), given.repeats)  # noqa: B023
            report = relax(cells, LAW, box, duration_h=0.2, tolerance_um=0.02)
            tried = report.steps + report.rejected
            run, used = least_s(lambda: relax(cells, LAW, box, duration_h=0.2, tolerance_um=0.02), given.repeats)  # noqa: B023
            tracemalloc.start()
            velocity(cells, LAW, box)
            relax(cells, LAW, box, duration_h=0.01, tolerance_um=0.02)
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            print(
                f"{n:6d} {threads:7d} {near.other.size / n:11.1f} {1e3 * search:10.2f} {1e3 * run / tried:8.2f} "
                f"{1e6 * run / tried / n:13.3f} {1e6 * used / tried / n:18.3f} {report.searches / tried:14.2f} "
                f"{peak / n:11.0f}"
            )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
