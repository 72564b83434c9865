"""Diffusion, decay and held production over any stretch of time, by Chebyshev polynomials of the operator.

With production p and loss held, ``dc/dt = p - A c`` has the solution ``c(h) = c + h phi(h A) (p - A c)``, where
``phi(z) = (1 - exp(-z)) / z``. A is symmetric in the product weighted by volume, so that its eigenvalues lie between
the least loss and Gershgorin's bound of the greatest; on that interval phi is expanded in Chebyshev polynomials, whose
three-term recurrence needs one product with A for each (Tal-Ezer and Kosloff 1984, doi:10.1063/1.448136, for the
exponential). About ``sqrt(h a ln(1/e))`` of them are needed for an error e, a being the width of the interval: an error
of the time does not arise, no system is solved, and the part that is cut off is bounded before the work begins. In the
weighted norm no polynomial of the scaled operator is larger than what it acts on; so at site i the error is at most
``h sum_cut |coefficient| |p - A c| / sqrt(V_i)``.

Each signal has its own number of terms, chosen from its own numbers; a lane whose terms are over adds zeros. So its
bits depend neither on its company nor on threads. Lengths in um, times in h.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from numba import njit, prange

from hepatalk.engines.lobule.linear_kernels import LANES, Problem, Tables

__all__ = ["STIFFEST", "coefficients", "propagate_blocks", "widths"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Places = npt.NDArray[np.uint32]

#: Step times width of the spectrum above which implicit steps are cheaper: some 500 terms.
STIFFEST = 2e4
#: Least relative error that is asked for: rounding leaves more.
_LEAST = 1e-15
#: Numbers to compute from which on threads pay.
_WORTH_THREADS = 20_000


def widths(t: Tables, f: Problem) -> Floats:
    """Return the width of the interval that holds the eigenvalues of each signal, 1/h, (F,)."""
    low, high = f.loss.min(axis=1), f.loss.max(axis=1)
    return np.asarray(high - low + 2.0 * f.diffusivity * t.total.max(), dtype=np.float64)


@njit(cache=True, nogil=True)
def coefficients(low: float, high: float, h: float, error: float, out: Floats) -> int:
    """Fill the coefficients of phi on an interval, and return how many are needed.

    Parameters
    ----------
    low, high : float
        Ends of the interval, 1/h, not negative.
    h : float
        h.
    error : float
        Sum of the absolute coefficients that may be left out.
    out : (n,) float array
        Overwritten with n coefficients, from values at n points.

    Returns
    -------
    int
        Terms to take, at least 1.
    """
    n = out.size
    middle, half = 0.5 * (low + high), 0.5 * (high - low)
    # Cosines from a table: those of a recurrence lose digits near the ends of the interval.
    table = np.empty(4 * n)
    for m in range(4 * n):
        table[m] = math.cos(math.pi * m / (2.0 * n))
    out[:] = 0.0
    for j in range(n):
        z = h * (middle + half * table[2 * j + 1])
        value = -math.expm1(-z) / z if z > 0.0 else 1.0
        at = 0
        for k in range(n):
            out[k] += value * table[at]
            at += 2 * j + 1
            at -= 4 * n if at >= 4 * n else 0
    out[0] /= n
    for k in range(1, n):
        out[k] *= 2.0 / n
    cut, terms = 0.0, n
    while terms > 1 and cut + abs(out[terms - 1]) <= error:
        cut += abs(out[terms - 1])
        terms -= 1
    return terms


@njit(cache=True, nogil=True)
def _slope(t: Tables, f: Problem, lanes: Ints, other: Places, r: Floats, diagonal: Floats) -> None:
    """Fill production less loss and diffusion of each lane, and the diagonal of the operator."""
    r[:], diagonal[:] = 0.0, 0.0
    for k in range(LANES):
        s = lanes[k]
        if s >= 0:
            d = f.diffusivity[s]
            for i in range(t.volume.size):
                total = 0.0
                for e in range(t.start[i], t.start[i + 1]):
                    total += t.coupling[e] * (f.level[s, other[e]] - f.rest[s, other[e]])
                diagonal[i, k] = f.loss[s, i] + d * t.total[i]
                away = f.level[s, i] - f.rest[s, i]
                r[i, k] = f.production[s, i] - f.loss[s, i] * f.level[s, i] - d * (t.total[i] * away - total)


@njit(cache=True, nogil=True)
def _expand(
    t: Tables,
    f: Problem,
    lanes: Ints,
    h: float,
    tolerance: float,
    r: Floats,
    diagonal: Floats,
    mode: Floats,
    terms: Ints,
) -> Floats:
    """Return the coefficients, (terms, LANES), and turn the diagonal into that of the scaled operator.

    `mode` and `terms` (LANES,) are overwritten with the factor of the neighbours in it, and the terms of each lane.
    """
    smallest = math.sqrt(t.volume.min())
    row = [np.zeros(1) for _ in range(LANES)]
    mode[:], terms[:] = 0.0, 1
    for k in range(LANES):
        s = lanes[k]
        if s < 0:
            continue
        low, high, size, steep, d = np.inf, 0.0, 1.0, 0.0, f.diffusivity[s]
        for i in range(t.volume.size):
            low, size = min(low, f.loss[s, i]), max(size, abs(f.level[s, i]))
            high = max(high, f.loss[s, i] + 2.0 * d * t.total[i])
            steep += t.volume[i] * r[i, k] * r[i, k]
        steep = h * math.sqrt(steep) / smallest
        error = min(max(tolerance * size / steep, _LEAST), 1.0) if steep > 0.0 else 1.0
        # Coefficients fall as exp(-k**2 / (h width)), faster when that is small.
        points = int(math.sqrt(h * (high - low) * (10.0 - math.log(error)))) + 16
        row[k] = np.empty(points)
        terms[k] = coefficients(low, high, h, error, row[k])
        middle, half = 0.5 * (low + high), max(0.5 * (high - low), 1e-300)
        mode[k] = d / half
        for i in range(t.volume.size):
            diagonal[i, k] = (diagonal[i, k] - middle) / half
    out = np.zeros((terms.max(), LANES))
    for k in range(LANES):
        out[: terms[k], k] = row[k][: terms[k]]
    return out


@njit(cache=True, nogil=True)
def _recur(
    t: Tables,
    other: Places,
    diagonal: Floats,
    mode: Floats,
    factor: float,
    now: Floats,
    before: Floats,
    weight: Floats,
    total: Floats,
) -> None:
    """Turn the polynomial before the last into the next, ``factor A now - before``, and add it times `weight`."""
    start, coupling = t.start, t.coupling
    d0, d1, d2, d3 = mode[0], mode[1], mode[2], mode[3]
    w0, w1, w2, w3 = weight[0], weight[1], weight[2], weight[3]
    for i in range(now.shape[0]):
        s0 = s1 = s2 = s3 = 0.0
        for e in range(start[i], start[i + 1]):
            j, g = other[e], coupling[e]
            s0 += g * now[j, 0]
            s1 += g * now[j, 1]
            s2 += g * now[j, 2]
            s3 += g * now[j, 3]
        s0 = factor * (diagonal[i, 0] * now[i, 0] - d0 * s0) - before[i, 0]
        s1 = factor * (diagonal[i, 1] * now[i, 1] - d1 * s1) - before[i, 1]
        s2 = factor * (diagonal[i, 2] * now[i, 2] - d2 * s2) - before[i, 2]
        s3 = factor * (diagonal[i, 3] * now[i, 3] - d3 * s3) - before[i, 3]
        before[i, 0], before[i, 1], before[i, 2], before[i, 3] = s0, s1, s2, s3
        total[i, 0] += w0 * s0
        total[i, 1] += w1 * s1
        total[i, 2] += w2 * s2
        total[i, 3] += w3 * s3


@njit(cache=True, nogil=True)
def _propagate_block(
    t: Tables, f: Problem, lanes: Ints, other: Places, h: float, tolerance: float, out: Floats, used: Ints
) -> None:
    """One step of a block; arguments as in `propagate_blocks`."""
    now, diagonal = np.empty((t.volume.size, LANES)), np.empty((t.volume.size, LANES))
    _slope(t, f, lanes, other, now, diagonal)
    mode, terms = np.empty(LANES), np.empty(LANES, np.int64)
    c = _expand(t, f, lanes, h, tolerance, now, diagonal, mode, terms)
    total, before = np.empty_like(now), np.zeros_like(now)
    for i in range(now.shape[0]):
        for k in range(LANES):
            total[i, k] = c[0, k] * now[i, k]
    for term in range(1, c.shape[0]):
        # T1 = x T0, and after it T(n+1) = 2 x Tn - T(n-1).
        _recur(t, other, diagonal, mode, 1.0 if term == 1 else 2.0, now, before, c[term], total)
        now, before = before, now
    for k in range(LANES):
        if lanes[k] >= 0:
            used[lanes[k]] = terms[k] - 1
            for i in range(now.shape[0]):
                out[lanes[k], i] = f.level[lanes[k], i] + h * total[i, k]


@njit(cache=True, nogil=True)
def _here(
    t: Tables, f: Problem, lanes: Ints, other: Places, h: float, tolerance: float, out: Floats, used: Ints
) -> None:
    for b in range(lanes.shape[0]):
        _propagate_block(t, f, lanes[b], other, h, tolerance, out, used)


@njit(cache=True, parallel=True)
def _threads(
    t: Tables, f: Problem, lanes: Ints, other: Places, h: float, tolerance: float, out: Floats, used: Ints
) -> None:
    for b in prange(lanes.shape[0]):
        _propagate_block(t, f, lanes[b], other, h, tolerance, out, used)


def propagate_blocks(t: Tables, f: Problem, lanes: Ints, h: float, tolerance: float, out: Floats, used: Ints) -> None:
    """Advance signals that diffuse and decay, each block on one thread.

    Parameters
    ----------
    t : Tables
    f : Problem
        Without exchange with plasma.
    lanes : (B, LANES) int array
        Signals of each block; -1 for an empty lane.
    h : float
        h.
    tolerance : float
        Bound of what is cut off, of the greatest level of a signal or of 1 if that is more.
    out : (F, M) float array
        Overwritten with the levels at the end.
    used : (F,) int array
        Overwritten with the products with the operator.
    """
    # Places that cannot be negative need no test for it in the innermost loop.
    other = t.other.astype(np.uint32)
    work = _here if out.size < _WORTH_THREADS else _threads
    work(t, f, lanes, other, h, tolerance, out, used)
