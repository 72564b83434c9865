"""Compiled rows: cells and volume beside each site put into the rows of a zone, and the tape evaluated on them.

The tape is evaluated for several sites at once: each operation is looked up once and done for all of them, side by side
in memory. A site's numbers do not depend on which others stand beside it, nor on the number of threads.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit, prange

from hepatalk.engines.lobule.site_kernels import PIECES, WORTH_THREADS
from hepatalk.engines.tape import (
    ANY,
    BRAKE,
    GATE,
    HILL,
    LINEAR,
    NORMAL_HILL,
    NOT,
    POWER,
    PRODUCT,
    RATIO,
    RELAX,
)
from hepatalk.model.laws import hill, normal_hill, power, ratio, relax

__all__ = ["evaluate_sites", "fill_rows"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

#: Sites that are evaluated side by side.
_WIDE = 16


@njit(cache=True, nogil=True)
def fill_rows(  # noqa: PLR0913, PLR0917 - arrays cannot be bundled without a cost per call
    row: Floats,
    given: Floats,
    front: int,
    count: Floats,
    volume: Floats,
    scale: Floats,
    type_of: Ints,
    own: Ints,
    columns: Ints,
    kinds: Ints,
    count_columns: Ints,
    massive: Ints,
    mass_columns: Ints,
) -> None:
    """Fill what stands in front of the operations: what is given, and cells; the rest is zero.

    Parameters
    ----------
    row : (n_sites, width) float array
    given : (n_external,) float array
        The same for all sites.
    front : int
        Where operations begin.
    count, volume : (n_sites, n_comps) float array
        Cells and their volume.
    scale : (n_sites, n_types) float array
        From cells to the model's units.
    type_of : (n_comps,) int array
    own, columns : int array
        Compartments of the zone, and their places.
    kinds, count_columns, massive, mass_columns : int array
        Types whose number, and whose mass, has a place, and those places.
    """
    n_types = scale.shape[1]
    cells, mass = np.empty(n_types), np.empty(n_types)
    for i in range(row.shape[0]):
        for k in range(given.size):
            row[i, k] = given[k]
        for k in range(given.size, front):
            row[i, k] = 0.0
        cells[:], mass[:] = 0.0, 0.0
        for c in range(type_of.size):
            cells[type_of[c]] += count[i, c]
            mass[type_of[c]] += volume[i, c]
        for k in range(own.size):
            row[i, columns[k]] = count[i, own[k]] * scale[i, type_of[own[k]]]
        for k in range(kinds.size):
            row[i, count_columns[k]] = cells[kinds[k]] * scale[i, kinds[k]]
        for k in range(massive.size):
            row[i, mass_columns[k]] = mass[massive[k]] * scale[i, massive[k]]


@njit(cache=True, nogil=True)
def _products(v: Floats, out: Floats, params: Floats, args: Ints, inputs: Ints) -> None:
    c = 1.0
    for j in range(args.size):
        c *= params[args[j]]
    for s in range(_WIDE):
        out[s] = c
    for j in range(inputs.size):
        x = v[inputs[j]]
        for s in range(_WIDE):
            out[s] *= x[s]


@njit(cache=True, nogil=True)
def _sums(v: Floats, out: Floats, params: Floats, args: Ints, inputs: Ints, first: float) -> None:
    """Fill ``first`` and the inputs, each times its parameter, the first of which belongs to no input."""
    for s in range(_WIDE):
        out[s] = first
    for j in range(inputs.size):
        x, w = v[inputs[j]], params[args[1 + j]]
        for s in range(_WIDE):
            out[s] += w * x[s]


@njit(cache=True, nogil=True)
def _evaluate_wide(  # noqa: C901, PLR0912 - one branch per law, as in `hepatalk.engines.tape`
    v: Floats, front: int, params: Floats, law: Ints, start: Ints, inputs: Ints, arg_start: Ints, args: Ints
) -> None:
    """Do what `hepatalk.engines.tape.evaluate` does, on values (width, `_WIDE`) of sites side by side."""
    for k in range(law.size):
        which = law[k]
        at, a, out = inputs[start[k] : start[k + 1]], args[arg_start[k] : arg_start[k + 1]], v[front + k]
        if which == PRODUCT:
            _products(v, out, params, a, at)
        elif which == HILL:
            x, half, n = v[at[0]], params[a[0]], params[a[1]]
            for s in range(_WIDE):
                out[s] = hill(x[s], half, n)
        elif which == LINEAR:
            _sums(v, out, params, a, at, params[a[0]])
        elif which == RELAX:
            x, y, most, tau = v[at[0]], v[at[1]], params[a[0]], params[a[1]]
            for s in range(_WIDE):
                out[s] = relax(x[s], y[s], most, tau)
        elif which in (GATE, BRAKE):
            _sums(v, out, params, a, at, 1.0)
            rest = params[a[0]]
            for s in range(_WIDE):
                out[s] = out[s] / rest if which == GATE else rest / out[s]
        elif which == NORMAL_HILL:
            x, half, n = v[at[0]], params[a[0]], params[a[1]]
            for s in range(_WIDE):
                out[s] = normal_hill(x[s], half, n)
        elif which == ANY:
            for s in range(_WIDE):
                out[s] = 1.0
            for j in range(at.size):
                x, w = v[at[j]], params[a[j]]
                for s in range(_WIDE):
                    out[s] *= 1.0 - w * x[s]
            for s in range(_WIDE):
                out[s] = 1.0 - out[s]
        elif which == NOT:
            x, w = v[at[0]], params[a[0]]
            for s in range(_WIDE):
                out[s] = 1.0 - w * x[s]
        elif which == RATIO:
            x, y, c, floor = v[at[0]], v[at[1]], params[a[0]], params[a[1]]
            for s in range(_WIDE):
                out[s] = c * ratio(x[s], y[s], floor)
        elif which == POWER:
            x, c, n = v[at[0]], params[a[0]], params[a[1]]
            for s in range(_WIDE):
                out[s] = c * power(x[s], n)
        else:
            for s in range(_WIDE):
                out[s] = params[a[0]]


@njit(cache=True, nogil=True)
def _evaluate_part(
    first: int,
    last: int,
    rows: Floats,
    params: Floats,
    law: Ints,
    start: Ints,
    inputs: Ints,
    arg_start: Ints,
    args: Ints,
) -> None:
    """Do the work of `evaluate_sites` from one site to another."""
    width = rows.shape[1]
    front = width - law.size
    v = np.empty((width, _WIDE))
    for block in range(first, last, _WIDE):
        used = min(_WIDE, last - block)
        for s in range(_WIDE):
            i = block + min(s, used - 1)  # the last site again where there are no more
            for k in range(front):
                v[k, s] = rows[i, k]
        _evaluate_wide(v, front, params, law, start, inputs, arg_start, args)
        for s in range(used):
            for k in range(front, width):
                rows[block + s, k] = v[k, s]


@njit(cache=True, parallel=True)
def _evaluate_threads(
    rows: Floats, params: Floats, law: Ints, start: Ints, inputs: Ints, arg_start: Ints, args: Ints
) -> None:
    """Do the work of `evaluate_sites` in pieces, each on one thread."""
    for piece in prange(PIECES):
        first, last = piece * rows.shape[0] // PIECES, (piece + 1) * rows.shape[0] // PIECES
        _evaluate_part(first, last, rows, params, law, start, inputs, arg_start, args)


def evaluate_sites(
    rows: Floats, params: Floats, law: Ints, start: Ints, inputs: Ints, arg_start: Ints, args: Ints
) -> None:
    """Fill the operations behind the given values of every row, (n_sites, width), in place."""
    if rows.size < WORTH_THREADS:
        _evaluate_part(0, rows.shape[0], rows, params, law, start, inputs, arg_start, args)
    else:
        _evaluate_threads(rows, params, law, start, inputs, arg_start, args)
