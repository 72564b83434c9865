"""The healthy steady state: found at compile time, and verified before any run.

Cell populations stand still by their solved death rates, signals by the normalisation of their sources, so that what
is left to find is the resting activity of the nodes. They are relaxed to their fixed point, then every GATE and BRAKE
is divided by its resting sum: each process then runs at its stated baseline rate.
"""

from __future__ import annotations

import numpy as np

from hepatalk.errors import ModelError
from hepatalk.model.compiled import Floats
from hepatalk.model.laws import Law, hill, normal_hill, power, ratio, relax
from hepatalk.model.tape import Tape

__all__ = ["apply_law", "evaluate_tape", "fill_resting_values"]

#: A resting state is accepted when no node's activity moves by more than this in a round.
TOLERANCE = 1e-14
MAX_ROUNDS = 4000


def evaluate_tape(tape: Tape, values: Floats, params: Floats, *, fill: bool = False) -> None:
    """Evaluate the operations in order, in plain Python.

    Parameters
    ----------
    tape : Tape
    values : (n_states + n_ops,) float array
        States first; the values of the operations are written behind them.
    params : (n_params,) float array
        With ``fill`` the resting values of gates, brakes and held responses are written here.
    fill : bool
        Take the present state for the healthy one.
    """
    n = len(tape.state_names)
    for k, law in enumerate(tape.law):
        x = [values[i if i >= 0 else n - i - 1] for i in tape.inputs[k]]
        a = tape.arguments[k]
        c = [params[i] for i in a]
        if fill and law in (Law.GATE, Law.BRAKE):
            params[a[0]] = 1.0 + sum(g * h for g, h in zip(c[1:], x, strict=True))
            c[0] = params[a[0]]
        elif fill and law is Law.CONSTANT:
            params[a[0]] = x[0]
            c[0] = x[0]
        values[n + k] = apply_law(law, x, c)


def apply_law(law: Law, x: list[float], c: list[float]) -> float:  # noqa: C901, PLR0911, PLR0912 - one case per law
    """Return the value of one operation: the table of `hepatalk.model.laws` in plain Python.

    Parameters
    ----------
    law : Law
    x : list of float
        Inputs.
    c : list of float
        Parameters, in the order of the table.
    """
    match law:
        case Law.CONSTANT:
            return c[0]
        case Law.LINEAR:
            return c[0] + sum(k * v for k, v in zip(c[1:], x, strict=True))
        case Law.PRODUCT:
            out = 1.0
            for v in (*c, *x):
                out *= v
            return out
        case Law.RATIO:
            return c[0] * ratio(x[0], x[1], c[1])
        case Law.POWER:
            return c[0] * power(x[0], c[1])
        case Law.HILL:
            return hill(x[0], c[0], c[1])
        case Law.NORMAL_HILL:
            return normal_hill(x[0], c[0], c[1])
        case Law.GATE:
            return (1.0 + sum(k * v for k, v in zip(c[1:], x, strict=True))) / c[0]
        case Law.BRAKE:
            return c[0] / (1.0 + sum(k * v for k, v in zip(c[1:], x, strict=True)))
        case Law.ANY:
            left = 1.0
            for k, v in zip(c, x, strict=True):
                left *= 1.0 - k * v
            return 1.0 - left
        case Law.NOT:
            return 1.0 - c[0] * x[0]
        case Law.RELAX:
            return relax(x[0], x[1], c[0], c[1])


def fill_resting_values(tape: Tape, rest: Floats, nodes: dict[int, int]) -> tuple[Floats, Floats]:
    """Find the resting node activities and write the resting values of all gates.

    Parameters
    ----------
    tape : Tape
    rest : (n_states,) float array
        The healthy state, nodes at any value.
    nodes : mapping of node state -> slot of its RELAX operation

    Returns
    -------
    rest : (n_states,) float array
        With the nodes at rest.
    params : (n_params,) float array
        With every ``rest:`` parameter filled.

    Raises
    ------
    ModelError
        If the nodes find no resting state; names the node that moves fastest.
    """
    params = np.asarray(tape.params, dtype=np.float64)
    n = len(tape.state_names)
    values = np.concatenate([rest, np.zeros(len(tape.law))])
    feed = _node_ops(tape, set(nodes.values()))
    speed = np.inf
    for _ in range(MAX_ROUNDS):
        _evaluate_some(tape, values, params, feed)
        speed, fastest = 0.0, -1
        for state, slot in nodes.items():
            k = -slot - 1
            ymax, target = params[tape.arguments[k][0]], values[tape.settle(tape.inputs[k][0])]
            step = ymax * target - values[state]
            values[state] += step
            if abs(step) > speed:
                speed, fastest = abs(step), state
        if speed < TOLERANCE:
            break
    else:
        raise ModelError(
            f"node {tape.state_names[fastest]!r} finds no resting activity (still moving by {speed:.2g}); "
            "weaken a feedback loop through it"
        )
    evaluate_tape(tape, values, params, fill=True)
    return values[:n].copy(), params


def _node_ops(tape: Tape, relaxing: set[int]) -> list[int]:
    """Return the operations on which the node targets depend, in order."""
    needed: set[int] = set()
    stack = [-s - 1 for s in relaxing]
    while stack:
        k = stack.pop()
        if k in needed:
            continue
        needed.add(k)
        stack += [-i - 1 for i in tape.inputs[k] if i < 0]
    return sorted(needed)


def _evaluate_some(tape: Tape, values: Floats, params: Floats, ops: list[int]) -> None:
    """Evaluate some operations in order while the resting values of gates are not yet known."""
    n = len(tape.state_names)
    for k in ops:
        law = tape.law[k]
        x = [values[i if i >= 0 else n - i - 1] for i in tape.inputs[k]]
        c = [params[i] for i in tape.arguments[k]]
        if law in (Law.GATE, Law.BRAKE):
            # Not yet normalised; physics at rest is 1 by construction.
            values[n + k] = 1.0
        elif law is Law.CONSTANT:
            values[n + k] = x[0]
        else:
            values[n + k] = apply_law(law, x, c)
