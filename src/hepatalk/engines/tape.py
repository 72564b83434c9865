"""Evaluation of a tape: the values of all operations, in order. Both engines run it; it knows arrays only."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit
from numba.extending import register_jitable

from hepatalk.model.laws import (
    Law,
    hill,
    hill_slope,
    normal_hill,
    normal_hill_slope,
    power,
    power_slope,
    raise_to,
    ratio,
    relax,
)

__all__ = ["evaluate"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

# Each law is compiled into the kernel that calls it, the slopes into those of the population engine.
for _law in (raise_to, hill, hill_slope, normal_hill, normal_hill_slope, power, power_slope, ratio, relax):
    register_jitable(inline="always")(_law)

# Numba freezes these as constants.
LINEAR, PRODUCT, RATIO = int(Law.LINEAR), int(Law.PRODUCT), int(Law.RATIO)
POWER, HILL, NORMAL_HILL, GATE = int(Law.POWER), int(Law.HILL), int(Law.NORMAL_HILL), int(Law.GATE)
BRAKE, ANY, NOT, RELAX = int(Law.BRAKE), int(Law.ANY), int(Law.NOT), int(Law.RELAX)


@njit(cache=True, nogil=True)
def evaluate(  # noqa: C901, PLR0912 - one branch per law; a call for each would cost as much as the law
    values: Floats, params: Floats, law: Ints, start: Ints, inputs: Ints, arg_start: Ints, args: Ints
) -> None:
    """Fill the operation slots behind the states.

    Parameters
    ----------
    values : (n_states + n_ops,) float array
        States in front; overwritten behind them.
    params : (n_params,) float array
    law : (n_ops,) int array
    start, arg_start : (n_ops + 1,) int array
    inputs : (n_inputs,) int array
    args : (n_arguments,) int array
        The tape.
    """
    n = values.size - law.size
    for k in range(law.size):
        which = law[k]
        i0, i1 = start[k], start[k + 1]
        a0 = arg_start[k]
        if which == PRODUCT:
            out = 1.0
            for j in range(a0, arg_start[k + 1]):
                out *= params[args[j]]
            for j in range(i0, i1):
                out *= values[inputs[j]]
        elif which == HILL:
            out = hill(values[inputs[i0]], params[args[a0]], params[args[a0 + 1]])
        elif which == LINEAR:
            out = params[args[a0]]
            for j in range(i0, i1):
                out += params[args[a0 + 1 + j - i0]] * values[inputs[j]]
        elif which == RELAX:
            out = relax(values[inputs[i0]], values[inputs[i0 + 1]], params[args[a0]], params[args[a0 + 1]])
        elif which in (GATE, BRAKE):
            total = 1.0
            for j in range(i0, i1):
                total += params[args[a0 + 1 + j - i0]] * values[inputs[j]]
            out = total / params[args[a0]] if which == GATE else params[args[a0]] / total
        elif which == NORMAL_HILL:
            out = normal_hill(values[inputs[i0]], params[args[a0]], params[args[a0 + 1]])
        elif which == ANY:
            left = 1.0
            for j in range(i0, i1):
                left *= 1.0 - params[args[a0 + j - i0]] * values[inputs[j]]
            out = 1.0 - left
        elif which == NOT:
            out = 1.0 - params[args[a0]] * values[inputs[i0]]
        elif which == RATIO:
            out = params[args[a0]] * ratio(values[inputs[i0]], values[inputs[i0 + 1]], params[args[a0 + 1]])
        elif which == POWER:
            out = params[args[a0]] * power(values[inputs[i0]], params[args[a0 + 1]])
        else:
            out = params[args[a0]]
        values[n + k] = out
