"""Compiled evaluation of a tape: values of all operations, time derivatives, and the analytic sparse Jacobian.

Kernels know arrays only. The tables of the tape are those of `hepatalk.model.compiled.CompiledModel`; `GradientTables`
are made once per model from `hepatalk.engines.population.jacobian`. Times are in hours, so derivatives are per hour.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from hepatalk.engines.tape import evaluate
from hepatalk.model.laws import Law, hill_slope, normal_hill_slope, power_slope

__all__ = ["GradientTables", "derivative", "evaluate", "evaluate_many", "jacobian"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

# Numba freezes these as constants.
CONSTANT, LINEAR, PRODUCT, RATIO = int(Law.CONSTANT), int(Law.LINEAR), int(Law.PRODUCT), int(Law.RATIO)
POWER, HILL, NORMAL_HILL, GATE = int(Law.POWER), int(Law.HILL), int(Law.NORMAL_HILL), int(Law.GATE)
BRAKE, ANY, NOT, RELAX = int(Law.BRAKE), int(Law.ANY), int(Law.NOT), int(Law.RELAX)


class GradientTables(NamedTuple):
    """Where the gradients of operations and fluxes go.

    Attributes
    ----------
    gradient_start : (n_ops + 1,) int array
        Operation k has its gradient at ``gradient_start[k]:gradient_start[k+1]`` of the work space.
    scatter_start : (n_inputs + 1,) int array
    scatter : (n_scatter,) int array
        For input j of the tape, ``scatter[scatter_start[j]:scatter_start[j+1]]`` are the places in the gradient of the
        operation to which the input's gradient entries go.
    flux : (n_fluxes,) int array
    coefficient : (n_fluxes,) float array
        Slots and coefficients of the fluxes, state by state.
    entry_start : (n_fluxes + 1,) int array
    entry : (n_entry,) int array
        The places of flux f are ``entry[entry_start[f]:entry_start[f+1]]``.
    """

    gradient_start: Ints
    scatter_start: Ints
    scatter: Ints
    flux: Ints
    coefficient: Floats
    entry_start: Ints
    entry: Ints


@njit(cache=True, nogil=True)
def derivative(out: Floats, values: Floats, flux_start: Ints, flux: Ints, coefficient: Floats) -> None:
    """Gather the fluxes: ``out[i] = sum_j coefficient[j] * values[flux[j]]``.

    Parameters
    ----------
    out : (n_states,) float array
    values : (n_states + n_ops,) float array
        As filled by `evaluate`.
    flux_start : (n_states + 1,) int array
    flux : (n_fluxes,) int array
    coefficient : (n_fluxes,) float array
    """
    for i in range(out.size):
        total = 0.0
        for j in range(flux_start[i], flux_start[i + 1]):
            total += coefficient[j] * values[flux[j]]
        out[i] = total


@njit(cache=True, nogil=True)
def evaluate_many(
    states: Floats, params: Floats, slots: Ints, law: Ints, start: Ints, inputs: Ints, arg_start: Ints, args: Ints
) -> Floats:
    """Return chosen slots along a course.

    Parameters
    ----------
    states : (n_times, n_states) float array
    params : (n_params,) float array
    slots : (n_chosen,) int array
    law, start, inputs, arg_start, args : int arrays
        The tape, as for `evaluate`.

    Returns
    -------
    (n_times, n_chosen) float array
    """
    n = states.shape[1]
    values = np.empty(n + law.size)
    out = np.empty((states.shape[0], slots.size))
    for t in range(states.shape[0]):
        values[:n] = states[t]
        evaluate(values, params, law, start, inputs, arg_start, args)
        for j in range(slots.size):
            out[t, j] = values[slots[j]]
    return out


@njit(cache=True, nogil=True)
def _partials(  # noqa: C901, PLR0912, PLR0913, PLR0917 - one branch per law; the arguments are one operation's
    partial: Floats,
    values: Floats,
    params: Floats,
    which: int,
    i0: int,
    i1: int,
    inputs: Ints,
    a0: int,
    a1: int,
    args: Ints,
    value: float,
) -> None:
    """Fill ``partial[j - i0]`` with the derivative of one operation by its j-th input; ``value`` is its own value."""
    if which == PRODUCT:
        scale = 1.0
        for j in range(a0, a1):
            scale *= params[args[j]]
        for j in range(i0, i1):
            others = scale
            for m in range(i0, i1):
                if m != j:
                    others *= values[inputs[m]]
            partial[j - i0] = others
    elif which == HILL:
        partial[0] = hill_slope(values[inputs[i0]], params[args[a0]], params[args[a0 + 1]])
    elif which == LINEAR:
        for j in range(i0, i1):
            partial[j - i0] = params[args[a0 + 1 + j - i0]]
    elif which == RELAX:
        partial[0] = params[args[a0]] / params[args[a0 + 1]]
        partial[1] = -1.0 / params[args[a0 + 1]]
    elif which == GATE:
        for j in range(i0, i1):
            partial[j - i0] = params[args[a0 + 1 + j - i0]] / params[args[a0]]
    elif which == BRAKE:
        for j in range(i0, i1):
            partial[j - i0] = -value * value / params[args[a0]] * params[args[a0 + 1 + j - i0]]
    elif which == NORMAL_HILL:
        partial[0] = normal_hill_slope(values[inputs[i0]], params[args[a0]], params[args[a0 + 1]])
    elif which == ANY:
        for j in range(i0, i1):
            left = params[args[a0 + j - i0]]
            for m in range(i0, i1):
                if m != j:
                    left *= 1.0 - params[args[a0 + m - i0]] * values[inputs[m]]
            partial[j - i0] = left
    elif which == NOT:
        partial[0] = -params[args[a0]]
    elif which == RATIO:
        bottom = values[inputs[i0 + 1]]
        floor = params[args[a0 + 1]]
        partial[0] = params[args[a0]] / (bottom if bottom > floor else floor)
        partial[1] = -value / bottom if bottom > floor else 0.0
    elif which == POWER:
        partial[0] = params[args[a0]] * power_slope(values[inputs[i0]], params[args[a0 + 1]])
    else:
        for j in range(i0, i1):
            partial[j - i0] = 0.0


@njit(cache=True, nogil=True)
def jacobian(
    entries: Floats,
    gradient: Floats,
    values: Floats,
    params: Floats,
    law: Ints,
    start: Ints,
    inputs: Ints,
    arg_start: Ints,
    args: Ints,
    tables: GradientTables,
) -> None:
    """Fill the nonzero entries of d(derivative)/d(state), in the order of the sparsity pattern.

    Forward accumulation: the gradient of each operation over the states it depends on is the sum of its partials times
    the gradients of its inputs; a state's gradient is 1 at itself.

    Parameters
    ----------
    entries : (nnz,) float array
        Overwritten.
    gradient : (n_gradient,) float array
        Work space: the gradients of all operations, one behind another, operation k at ``gradient_start[k]``.
    values : (n_states + n_ops,) float array
        As filled by `evaluate`.
    params, law, start, inputs, arg_start, args
        As for `evaluate`.
    tables : GradientTables
    """
    gradient_start, scatter_start, scatter = tables.gradient_start, tables.scatter_start, tables.scatter
    n = values.size - law.size
    partial = np.empty(64)
    gradient[:] = 0.0
    for k in range(law.size):
        i0, i1 = start[k], start[k + 1]
        if i0 == i1 or gradient_start[k] == gradient_start[k + 1]:
            continue
        if i1 - i0 > partial.size:
            partial = np.empty(i1 - i0)
        _partials(partial, values, params, law[k], i0, i1, inputs, arg_start[k], arg_start[k + 1], args, values[n + k])
        for j in range(i0, i1):
            d = partial[j - i0]
            if d == 0.0:
                continue
            source = inputs[j]
            s0 = scatter_start[j]
            if source < n:
                gradient[scatter[s0]] += d
            else:
                g0 = gradient_start[source - n]
                for m in range(scatter_start[j + 1] - s0):
                    gradient[scatter[s0 + m]] += d * gradient[g0 + m]
    entries[:] = 0.0
    for f in range(tables.flux.size):
        c = tables.coefficient[f]
        e0 = tables.entry_start[f]
        source = tables.flux[f]
        if source < n:
            entries[tables.entry[e0]] += c
        else:
            g0 = gradient_start[source - n]
            for m in range(tables.entry_start[f + 1] - e0):
                entries[tables.entry[e0 + m]] += c * gradient[g0 + m]
