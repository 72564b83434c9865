"""Compiled work at every site: what moves each quantity, its step, and how far two steps differ.

Kernels know arrays only. Every thread writes its own rows, so that the bits of a result do not depend on how many
threads there are.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from numba import njit, prange

__all__ = ["PIECES", "WORTH_THREADS", "advance_local", "difference", "production_and_loss"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

NOTHING = -1
#: Into how many pieces work for threads is divided: fixed, whatever the number of threads.
PIECES = 16
#: Work (numbers to compute) from which on threads pay: starting them takes tens of microseconds on an idle machine,
#: and much more on a busy one.
WORTH_THREADS = 100_000
#: A quantity below this has no relative loss of its own.
_LEAST = 1e-300


@njit(cache=True, nogil=True)
def _production_and_loss_part(  # noqa: PLR0913, PLR0917 - the arguments of `production_and_loss`
    first: int,
    last: int,
    production: Floats,
    loss: Floats,
    rows: Floats,
    level: Floats,
    params: Floats,
    start: Ints,
    place: Ints,
    coefficient: Floats,
    tau: Ints,
) -> None:
    """Do the work of `production_and_loss` from one item to another."""
    for i in range(first, last):
        for k in range(level.shape[1]):
            gain, lost, y = 0.0, 0.0, level[i, k]
            for j in range(start[k], start[k + 1]):
                value = coefficient[j] * rows[i, place[j]]
                if tau[j] != NOTHING:
                    pace = coefficient[j] / params[tau[j]]
                    gain += value + pace * y
                    lost += pace
                elif coefficient[j] < 0.0 and abs(y) > _LEAST:
                    lost -= value / y
                else:
                    gain += value
            production[i, k] = gain
            loss[i, k] = lost


@njit(cache=True, parallel=True)
def _production_and_loss_threads(
    production: Floats,
    loss: Floats,
    rows: Floats,
    level: Floats,
    params: Floats,
    start: Ints,
    place: Ints,
    coefficient: Floats,
    tau: Ints,
) -> None:
    """Do the work of `production_and_loss` in pieces, each on one thread."""
    for piece in prange(PIECES):
        first, last = piece * rows.shape[0] // PIECES, (piece + 1) * rows.shape[0] // PIECES
        _production_and_loss_part(first, last, production, loss, rows, level, params, start, place, coefficient, tau)


def production_and_loss(
    production: Floats,
    loss: Floats,
    rows: Floats,
    level: Floats,
    params: Floats,
    start: Ints,
    place: Ints,
    coefficient: Floats,
    tau: Ints,
) -> None:
    """Divide what moves each quantity at each site into production P and relative loss L: dy/dt = P - L y.

    Parameters
    ----------
    production, loss : (n_sites, n) float array
        Filled here; per h.
    rows : (n_sites, width) float array
        Evaluated.
    level : (n_sites, n) float array
        The quantities.
    params : (n_params,) float array
    start, place, coefficient, tau : arrays
        As in `hepatalk.engines.lobule.local.Fluxes`.
    """
    if level.size < WORTH_THREADS:
        _production_and_loss_part(
            0, rows.shape[0], production, loss, rows, level, params, start, place, coefficient, tau
        )
    else:
        _production_and_loss_threads(production, loss, rows, level, params, start, place, coefficient, tau)


@njit(cache=True, nogil=True)
def _advance_local_part(
    first: int, last: int, out: Floats, level: Floats, production: Floats, loss: Floats, h: float
) -> None:
    """Do the work of `advance_local` from one item to another."""
    for i in range(first, last):
        for k in range(level.shape[1]):
            x = loss[i, k] * h
            # (1 - e^-x)/x without the loss of digits near 0
            share = -math.expm1(-x) / x if abs(x) > 1e-8 else 1.0 - 0.5 * x
            out[i, k] = level[i, k] * math.exp(-x) + production[i, k] * h * share


@njit(cache=True, parallel=True)
def _advance_local_threads(out: Floats, level: Floats, production: Floats, loss: Floats, h: float) -> None:
    """Do the work of `advance_local` in pieces, each on one thread."""
    for piece in prange(PIECES):
        first, last = piece * level.shape[0] // PIECES, (piece + 1) * level.shape[0] // PIECES
        _advance_local_part(first, last, out, level, production, loss, h)


def advance_local(out: Floats, level: Floats, production: Floats, loss: Floats, h: float) -> None:
    """Fill ``out`` with the exact solution of dy/dt = P - L y after ``h`` hours, P and L held."""
    if level.size < WORTH_THREADS:
        _advance_local_part(0, level.shape[0], out, level, production, loss, h)
    else:
        _advance_local_threads(out, level, production, loss, h)


@njit(cache=True, nogil=True)
def difference(rough: Floats, fine: Floats, scale: float) -> tuple[float, float]:
    """Return how far two levels differ, relative to ``scale`` + their size.

    Parameters
    ----------
    rough, fine : (n_sites, n) float array
    scale : float

    Returns
    -------
    typical : float
        Root of the mean square over all sites, of the quantity in which it is largest.
    worst : float
        Of the site and quantity in which it is largest. Both are not numbers if a difference is none.
    """
    typical = worst = 0.0
    for k in range(fine.shape[1]):
        total = 0.0
        for i in range(fine.shape[0]):
            d = abs(fine[i, k] - rough[i, k]) / (scale + abs(fine[i, k]))
            total += d * d
            if not d <= worst:
                worst = d
        total = math.sqrt(total / fine.shape[0])
        if not total <= typical:
            typical = total
    return typical, worst
