"""Compiled steps and steady states of signals on sites, one block of signals to a thread.

Lengths in um, times in h, flows in um^3/h. The systems and their solvers are in
`hepatalk.engines.lobule.linear_kernels`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit, prange

from hepatalk.engines.lobule.linear_kernels import (
    EPSILON,
    LANES,
    Problem,
    System,
    Tables,
    apply,
    assemble,
    row_sums,
    solve,
    solve_roughly,
)

__all__ = ["decay", "euler_blocks", "steady_blocks", "step_blocks", "within"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

#: TR-BDF2 with both stages of one matrix (Bank et al. 1985, doi:10.1109/T-ED.1985.22232).
GAMMA = 2.0 - np.sqrt(2.0)
A1 = 1.0 / (GAMMA * (2.0 - GAMMA))
A0 = (1.0 - GAMMA) ** 2 / (GAMMA * (2.0 - GAMMA))
#: Weight of its error estimate (Hosea and Shampine 1996, doi:10.1016/0168-9274(95)00115-8).
ERROR = 2.0 * (-3.0 * GAMMA**2 + 4.0 * GAMMA - 2.0) / (12.0 * (2.0 - GAMMA))
#: The error estimate is itself solved to this fraction of its size.
ESTIMATE_TOLERANCE = 0.02


#: Numbers to compute from which on threads pay: starting them costs tens of microseconds, more on a busy machine.
WORTH_THREADS = 20_000


@njit(cache=True, nogil=True)
def _gather(t: Tables, f: Problem, lanes: Ints, x: Floats, source: Floats, scale: Floats) -> None:
    """Fill deviations from health and what moves them, and the size of each signal; a lane of -1 is empty."""
    x[:], source[:], scale[:] = 0.0, 0.0, 0.0
    for k in range(LANES):
        s = lanes[k]
        if s >= 0:
            for i in range(t.volume.size):
                x[i, k] = f.level[s, i] - f.rest[s, i]
                source[i, k] = f.production[s, i] - f.loss[s, i] * f.rest[s, i]
                scale[k] = max(scale[k], abs(f.level[s, i]), abs(f.rest[s, i]))


@njit(cache=True, nogil=True)
def _infuse(t: Tables, f: Problem, a: System, lanes: Ints, source: Floats) -> None:
    """Add what a level added to the inflow brings to each site."""
    if not a.plasma:
        return
    inflow = t.inflow.sum()
    for k in range(LANES):
        given = f.inlet[lanes[k]] if lanes[k] >= 0 else 0.0
        if given != 0.0:
            # The inflow is `given` plus what returns; the gain of return is written for plasma without inflow.
            outflow = 0.0
            for n in range(t.through.size):
                outflow += t.outflow[n] * a.echo[n, k]
            level = given * (1.0 + outflow * a.back[k]) if inflow > 0.0 else 0.0
            for i in range(t.volume.size):
                if t.node[i] >= 0:
                    source[i, k] += a.rate[k] * level * a.echo[t.node[i], k]


@njit(cache=True, nogil=True)
def _goals(a: System, scale: Floats, rhs: Floats, tolerance: float, goal: Floats) -> None:
    """Fill the residual that is allowed: a share of the signal's size, and never below what rounding leaves.

    The size is that of before, or of what the step makes of it where that is more: rhs over diagonal, which the
    solution exceeds. Otherwise a signal that had faded to nothing and is made again would be asked for digits that no
    number has.
    """
    for k in range(LANES):
        largest, size = 0.0, scale[k]
        for i in range(rhs.shape[0]):
            largest = max(largest, a.diagonal[i, k])
            if a.diagonal[i, k] > 0.0:
                size = max(size, abs(rhs[i, k]) / a.diagonal[i, k])
        goal[k] = max(tolerance, 8.0 * EPSILON * largest) * size


@njit(cache=True, nogil=True)
def _write(
    f: Problem, lanes: Ints, end: Floats, excess: Floats, spent: Ints, out: Floats, report: Floats, used: Ints
) -> None:
    """Write levels, excess residuals and iterations of a block where they belong."""
    for k in range(LANES):
        if lanes[k] >= 0:
            report[lanes[k], 1], used[lanes[k]] = excess[k], spent[k]
            for i in range(end.shape[0]):
                out[lanes[k], i] = f.rest[lanes[k], i] + end[i, k]


@njit(cache=True, nogil=True)
def _step_block(
    t: Tables,
    f: Problem,
    lanes: Ints,
    h: float,
    tolerance: float,
    out: Floats,
    report: Floats,
    used: Ints,
    judged: bool,
) -> None:
    """One TR-BDF2 step of a block: `out` (F, M) levels, `report` (F, 2) error and excess residual, `used` (F,)."""
    sites = t.volume.size
    s = 0.5 * GAMMA * h
    x, source, scale = np.empty((sites, LANES)), np.empty((sites, LANES)), np.empty(LANES)
    _gather(t, f, lanes, x, source, scale)
    a = assemble(t, f, lanes, 1.0, s)
    _infuse(t, f, a, lanes, source)
    p, slope, rhs, goal = np.empty((t.through.size, LANES)), np.empty_like(x), np.empty_like(x), np.empty(LANES)
    spent, excess = np.zeros(LANES, np.int64), np.zeros(LANES)
    gain = np.empty(LANES)
    row_sums(t, a, p, gain)
    apply(t, a, x, p, slope)
    for i in range(sites):
        for k in range(LANES):
            slope[i, k] = source[i, k] + (x[i, k] - slope[i, k]) / s
            rhs[i, k] = x[i, k] + s * (slope[i, k] + source[i, k])
    _goals(a, scale, rhs, tolerance, goal)
    middle = x.copy()
    excess = np.maximum(excess, solve(t, a, gain, middle, rhs, goal, spent) / np.maximum(goal, 1e-300))
    end = np.empty_like(x)
    for i in range(sites):
        for k in range(LANES):
            rhs[i, k] = A1 * middle[i, k] - A0 * x[i, k] + s * source[i, k]
            end[i, k] = x[i, k] + (middle[i, k] - x[i, k]) / GAMMA
    excess = np.maximum(excess, solve(t, a, gain, end, rhs, goal, spent) / np.maximum(goal, 1e-300))
    _write(f, lanes, end, excess, spent, out, report, used)
    if not judged:
        return
    worst = np.zeros(LANES)
    for i in range(sites):
        for k in range(LANES):
            at_middle = (middle[i, k] - x[i, k]) / s - slope[i, k]
            at_end = (end[i, k] - A1 * middle[i, k] + A0 * x[i, k]) / s
            rhs[i, k] = slope[i, k] / GAMMA - at_middle / (GAMMA * (1.0 - GAMMA)) + at_end / (1.0 - GAMMA)
            rhs[i, k] *= ERROR * h
            worst[k] = max(worst[k], abs(rhs[i, k]))
    # Stiff parts of the estimate that the step damps are damped in it too (Hosea and Shampine 1996, section 3).
    solve_roughly(t, a, middle, rhs, np.maximum(goal, ESTIMATE_TOLERANCE * worst), spent)
    for k in range(LANES):
        if lanes[k] >= 0:
            report[lanes[k], 0], used[lanes[k]] = np.abs(middle[:, k]).max(), spent[k]


@njit(cache=True, nogil=True)
def _euler_block(
    t: Tables, f: Problem, lanes: Ints, h: float, tolerance: float, out: Floats, report: Floats, used: Ints
) -> None:
    """Two steps of half the length by the implicit Euler method, which keeps levels positive; as `_step_block`.

    The error is estimated by the difference from one step of the whole length, which is the larger error of the two.
    """
    sites, half = t.volume.size, 0.5 * h
    x, source, scale = np.empty((sites, LANES)), np.empty((sites, LANES)), np.empty(LANES)
    _gather(t, f, lanes, x, source, scale)
    p, rhs, goal = np.empty((t.through.size, LANES)), np.empty_like(x), np.empty(LANES)
    spent, excess, gain = np.zeros(LANES, np.int64), np.zeros(LANES), np.empty(LANES)
    whole, end = x.copy(), x.copy()
    for part in range(2):
        step = h if part == 0 else half
        a = assemble(t, f, lanes, 1.0, step)
        if part == 0:
            _infuse(t, f, a, lanes, source)
        row_sums(t, a, p, gain)
        for again in range(part + 1):
            y = whole if part == 0 else end
            for i in range(sites):
                for k in range(LANES):
                    rhs[i, k] = y[i, k] + step * source[i, k]
            if again == 0:
                _goals(a, scale, rhs, tolerance, goal)
            excess = np.maximum(excess, solve(t, a, gain, y, rhs, goal, spent) / np.maximum(goal, 1e-300))
    for k in range(LANES):
        if lanes[k] >= 0:
            report[lanes[k], 0] = np.abs(end[:, k] - whole[:, k]).max()
    _write(f, lanes, end, excess, spent, out, report, used)


@njit(cache=True, nogil=True)
def _steady_block(
    t: Tables, f: Problem, lanes: Ints, tolerance: float, out: Floats, report: Floats, used: Ints
) -> None:
    """Steady state of a block from the guess in ``f.level``; as `_step_block`."""
    x, source = np.empty((t.volume.size, LANES)), np.empty((t.volume.size, LANES))
    scale, goal, spent = np.empty(LANES), np.empty(LANES), np.zeros(LANES, np.int64)
    _gather(t, f, lanes, x, source, scale)
    a = assemble(t, f, lanes, 0.0, 1.0)
    _infuse(t, f, a, lanes, source)
    for k in range(LANES):
        scale[k] = np.abs(source[:, k]).max()
        # What rounding of the levels leaves of the largest term is no more than can be asked.
        goal[k] = max(tolerance * scale[k], 8.0 * EPSILON * np.abs(a.diagonal[:, k] * x[:, k]).max())
    excess = solve(t, a, np.zeros(LANES), x, source, goal, spent) / np.maximum(goal, 1e-300)
    for k in range(LANES):
        if lanes[k] >= 0:
            report[lanes[k], 1], used[lanes[k]] = excess[k], spent[k]
            for i in range(t.volume.size):
                out[lanes[k], i] = f.rest[lanes[k], i] + x[i, k]


@njit(cache=True, nogil=True)
def within(values: Floats, low: float, high: float) -> bool:
    """Return whether all numbers, (n,), are finite and from `low` to `high`."""
    for i in range(values.size):  # noqa: SIM110 - kernels have no generators
        if not (np.isfinite(values[i]) and low <= values[i] <= high):
            return False
    return True


@njit(cache=True, nogil=True)
def decay(f: Problem, signals: Ints, h: float, out: Floats) -> None:
    """Advance signals that stay where they are by the exact exponential.

    Parameters
    ----------
    f : Problem
    signals : (n,) int array
    h : float
        h.
    out : (F, M) float array
        Overwritten with the levels at the end, for these signals.
    """
    for s in signals:
        for i in range(out.shape[1]):
            x = f.loss[s, i] * h
            shrink = -np.expm1(-x) / x if x > 0.0 else 1.0
            out[s, i] = f.level[s, i] + h * (f.production[s, i] - f.loss[s, i] * f.level[s, i]) * shrink


@njit(cache=True, nogil=True)
def _step_blocks_here(
    t: Tables,
    f: Problem,
    lanes: Ints,
    h: float,
    tolerance: float,
    out: Floats,
    report: Floats,
    used: Ints,
    judged: bool,
) -> None:
    """Do the work of `step_blocks` on this thread."""
    for b in range(lanes.shape[0]):
        _step_block(t, f, lanes[b], h, tolerance, out, report, used, judged)


@njit(cache=True, parallel=True)
def _step_blocks_threads(
    t: Tables,
    f: Problem,
    lanes: Ints,
    h: float,
    tolerance: float,
    out: Floats,
    report: Floats,
    used: Ints,
    judged: bool,
) -> None:
    """Do the work of `step_blocks`, each block on one thread."""
    for b in prange(lanes.shape[0]):
        _step_block(t, f, lanes[b], h, tolerance, out, report, used, judged)


def step_blocks(
    t: Tables,
    f: Problem,
    lanes: Ints,
    h: float,
    tolerance: float,
    out: Floats,
    report: Floats,
    used: Ints,
    judged: bool,
) -> None:
    """One TR-BDF2 step of all blocks, each on one thread.

    Parameters
    ----------
    t : Tables
    f : Problem
    lanes : (B, LANES) int array
        Signals of each block; -1 for an empty lane.
    h : float
        h.
    tolerance : float
        Greatest residual of the linear systems, of the greatest level of the signal.
    out : (F, M) float array
        Overwritten with the levels at the end.
    report : (F, 2) float array
        Overwritten with the estimate of the greatest error, and the residual as a multiple of what is allowed.
    used : (F,) int array
        Overwritten with the numbers of iterations.
    judged : bool
        Whether the error is estimated; 0 otherwise.
    """
    work = _step_blocks_here if out.size < WORTH_THREADS else _step_blocks_threads
    work(t, f, lanes, h, tolerance, out, report, used, judged)


@njit(cache=True, nogil=True)
def _steady_blocks_here(
    t: Tables, f: Problem, lanes: Ints, tolerance: float, out: Floats, report: Floats, used: Ints
) -> None:
    """Do the work of `steady_blocks` on this thread."""
    for b in range(lanes.shape[0]):
        _steady_block(t, f, lanes[b], tolerance, out, report, used)


@njit(cache=True, parallel=True)
def _steady_blocks_threads(
    t: Tables, f: Problem, lanes: Ints, tolerance: float, out: Floats, report: Floats, used: Ints
) -> None:
    """Do the work of `steady_blocks`, each block on one thread."""
    for b in prange(lanes.shape[0]):
        _steady_block(t, f, lanes[b], tolerance, out, report, used)


def steady_blocks(
    t: Tables, f: Problem, lanes: Ints, tolerance: float, out: Floats, report: Floats, used: Ints
) -> None:
    """Steady state of all blocks; arguments as in `step_blocks`, with ``f.level`` as a first guess."""
    work = _steady_blocks_here if out.size < WORTH_THREADS else _steady_blocks_threads
    work(t, f, lanes, tolerance, out, report, used)


@njit(cache=True, nogil=True)
def euler_blocks(
    t: Tables, f: Problem, lanes: Ints, h: float, tolerance: float, out: Floats, report: Floats, used: Ints
) -> None:
    """Two implicit Euler steps of half the length, for blocks that `step_blocks` would make negative; as there."""
    for b in range(lanes.shape[0]):
        _euler_block(t, f, lanes[b], h, tolerance, out, report, used)
