"""Cost and accuracy of the signals of the lobule engine, beside locally one-dimensional splitting with short steps.

    python benchmarks/lobule_fields.py [--quick]

Three tables: cost of one step against the number of sites; the published size (15,625 voxels of 20 um, ten signals);
and the error of our step of 1 to 6 min beside that of the splitting with 0.01 min, both against a fine reference. The
splitting is the scheme of BioFVM (Ghaffarizadeh et al. 2016, doi:10.1093/bioinformatics/btv730): sources and sinks
cell by cell, then an implicit sweep (Thomas) along x, y and z. It is written here only to be compared with.

Times on one thread are those of the process, so that waiting for others does not count; on two they are of the wall.
"""

# ruff: noqa: T201 -- a script that reports by printing

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import replace

import numba
import numpy as np
import numpy.typing as npt
from numba import njit, prange

from hepatalk.engines.lobule.fields import Setting, Transport, advance, plasma_order
from hepatalk.engines.lobule.voxels import Grid, grid

Floats = npt.NDArray[np.float64]
MINUTE = 1.0 / 60.0
#: um^2/h: 1,000 um^2/min, about that of a growth factor in water at 37 degrees.
DIFFUSIVITY = 6e4


@njit(cache=False, parallel=True)
def _sweep(c: Floats, lower: Floats, inverse: Floats) -> None:
    """Solve one direction of the splitting in place: c (lines, n, signals), one coefficient set for all lines."""
    lines, n, signals = c.shape
    for line in prange(lines):
        for s in range(signals):
            c[line, 0, s] *= inverse[0, s]
        for i in range(1, n):
            for s in range(signals):
                c[line, i, s] = (c[line, i, s] + lower[s] * c[line, i - 1, s]) * inverse[i, s]
        for i in range(n - 2, -1, -1):
            for s in range(signals):
                c[line, i, s] += lower[s] * inverse[i, s] * c[line, i + 1, s]


def splitting(
    level: Floats, production: Floats, loss: Floats, made: Grid, diffusivity: Floats, h: float
) -> Callable[[Floats], Floats]:
    """Return a function that takes one step of locally one-dimensional splitting with closed walls.

    Parameters
    ----------
    level, production, loss : (F, M) float array
    made : Grid
    diffusivity : (F,) float array
        um^2/h.
    h : float
        h.
    """
    n, signals = made.shape[0], level.shape[0]
    lower = diffusivity * h / made.edge**2
    inverse = np.empty((n, signals))
    for i in range(n):
        degree = (i > 0) + (i < n - 1)
        inverse[i] = 1.0 / (1.0 + degree * lower - (lower**2 * inverse[i - 1] if i else 0.0))
    gain, shrink = (production * h).T.reshape(n, n, n, signals), 1.0 / (1.0 + (loss * h).T.reshape(n, n, n, signals))

    def step(c: Floats) -> Floats:
        c = (c + gain) * shrink
        for axis in range(3):
            lines = np.ascontiguousarray(np.moveaxis(c, axis, 2))
            _sweep(lines.reshape(n * n, n, signals), lower, inverse)
            c = np.moveaxis(lines, 2, axis)
        return c

    return step


def _tissue(side: int, edge: float) -> Transport:
    """Return cubes with a tube of plasma along each row, passed in ten seconds, 15 % of the volume being blood."""
    made, index = grid(side, side, side, edge), np.arange(side**3).reshape(side, side * side)
    flow = 0.15 * edge**3 * side / (10.0 / 3600.0)
    edges = np.stack([index[:-1].ravel(), index[1:].ravel()], axis=1)
    inflow = np.zeros(side**3)
    inflow[index[0]], inflow[index[-1]] = flow, -flow
    return replace(made.transport, plasma=plasma_order(edges, np.full(len(edges), flow), inflow, index.ravel()))


def _clock(take: Callable[[], object], count: int, threads: int) -> float:
    """Return the least time of a call among batches of 0.2 s, ms."""
    timer, best = time.process_time if threads == 1 else time.perf_counter, np.inf
    take()
    for _ in range(count):
        begin, calls, spent = timer(), 0, 0.0
        while spent < 0.2:
            take()
            calls += 1
            spent = timer() - begin
        best = min(best, 1e3 * spent / calls)
    return best


def _fields(signals: int, sites: int) -> tuple[Floats, Floats, Floats]:
    rng = np.random.default_rng(1)
    return tuple(rng.uniform(0.5, 1.5, (signals, sites)) for _ in range(3))  # type: ignore[return-value]


def cost(sides: tuple[int, ...], count: int) -> None:
    """Print the cost of one step of 40 signals against the number of sites of 50 um."""
    print("40 signals, 8 of them local, 15 with plasma at 60/h; sites of 50 um; one thread; ms per step (iterations)")
    print(f"{'sites':>8} {'h':>8} {'tolerance 1e-6':>20} {'tolerance 1e-10':>20}")
    numba.set_num_threads(1)
    for side in sides:
        transport, sites = _tissue(side, 50.0), side**3
        level, production, loss = _fields(40, sites)
        diffusivity, exchange = np.full(40, DIFFUSIVITY), np.zeros(40)
        diffusivity[:8], exchange[-15:] = 0.0, 60.0
        setting = Setting(np.ones((40, sites)))
        for minutes in (1.0, 6.0):
            cells = []
            for tolerance in (1e-6, 1e-10):
                start = level
                for _ in range(3):  # away from the rough start
                    start = advance(
                        start, production, loss, transport, diffusivity, exchange, MINUTE, 1e-8, setting
                    ).level
                problem = (start, production * 1.1, loss, transport, diffusivity, exchange, minutes * MINUTE)
                used = advance(*problem, tolerance, setting).iterations.mean()
                spent = _clock(lambda: advance(*problem, tolerance, setting), count, 1)  # noqa: B023
                cells.append(f"{spent:.2f} ({used:.0f})")
            print(f"{sites:8d} {minutes:5.0f} min {cells[0]:>20} {cells[1]:>20}")


def _row(name: str, spent: list[float], whole: float, error: float) -> str:
    return f"{name:>28} {spent[0]:7.1f} ms {spent[1]:7.1f} ms {whole / 1e3:9.2f} s {error:10.1e}"


def published(count: int) -> None:
    """Print cost and error on 15,625 voxels with ten signals."""
    side, signals, duration = 25, 10, 12.0
    made = grid(side, side, side, 20.0)
    _, production, loss = _fields(signals, side**3)
    rng = np.random.default_rng(2)
    cells = rng.uniform(-250.0, 250.0, (10_000, 3))
    production = np.array([made.spread(cells, rng.uniform(0.0, 2.0, 10_000) * 8e3) for _ in range(signals)])
    loss = 6.0 + np.array([made.spread(cells, rng.uniform(0.0, 6.0, 10_000) * 8e3) for _ in range(signals)])
    diffusivity, none = np.full(signals, DIFFUSIVITY), np.zeros(signals)
    begin = np.ones((signals, side**3)) * (production.sum(axis=1) / loss.sum(axis=1))[:, None]
    shape = (side, side, side, signals)

    def ours(minutes: float, tolerance: float) -> Floats:
        level = begin
        for _ in range(round(duration / minutes)):
            level = advance(
                level, production, loss, made.transport, diffusivity, none, minutes * MINUTE, tolerance
            ).level
        return level

    fine = ours(0.1, 1e-11)
    print(f"\n15,625 voxels of 20 um, 10 signals, 10,000 cells, D 1,000 um^2/min; errors after {duration:.0f} min")
    print(f"{'scheme':>28} {'1 thread':>10} {'2 threads':>10} {'per 12 min':>11} {'max error':>10}")
    for minutes in (1.0, 2.0, 3.0, 6.0):
        error, spent = np.abs(ours(minutes, 1e-6) - fine).max() / fine.max(), []
        problem = (begin, production, loss, made.transport, diffusivity, none, minutes * MINUTE, 1e-6)
        for threads in (1, 2):
            numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))
            spent.append(_clock(lambda: advance(*problem), count, threads))  # noqa: B023
        whole = spent[0] * duration / minutes
        print(_row(f"ours, {minutes:.0f} min", spent, whole, error))
    for minutes in (0.01, 0.1):
        step, spent = splitting(begin, production, loss, made, diffusivity, minutes * MINUTE), []
        for threads in (1, 2):
            numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))
            start = np.ascontiguousarray(begin.T).reshape(shape)
            step(start)
            spent.append(_clock(lambda: step(start), count, threads))  # noqa: B023
        level = np.ascontiguousarray(begin.T).reshape(shape)
        for _ in range(round(duration / minutes)):
            level = step(level)
        error = np.abs(np.ascontiguousarray(level).reshape(-1, signals).T - fine).max() / fine.max()
        whole = spent[0] * duration / minutes
        print(_row(f"splitting, {minutes:.2f} min", spent, whole, error))


def main() -> int:
    """Run the benchmark.

    Returns
    -------
    int
        0.
    """
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer sizes and repeats")
    quick = parser.parse_args().quick
    cost((10,) if quick else (5, 10, 16, 25), 5 if quick else 15)
    published(3 if quick else 7)
    return 0


if __name__ == "__main__":
    sys.exit(main())
