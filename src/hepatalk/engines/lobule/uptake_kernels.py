"""Compiled sweep along the sinusoids: what blood carries, and what cells take from it. Kernels know arrays only."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from numba import njit

__all__ = ["left_over", "sweep"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

#: Newton steps for the content behind a vessel; the equation is convex, and a handful does.
_MOST_STEPS = 60
#: Relative change at which they end.
_DONE = 1e-15


@njit(cache=True, nogil=True)
def left_over(content: float, taken: float, half: float) -> float:
    """Return the content of blood behind a vessel whose wall takes from it.

    Along the vessel, flow x dc/dx = -u c / (half + c), or -u c where ``half`` is infinite; the exact solution of the
    first is c + half ln c = c0 + half ln c0 - u/flow, of the second c0 exp(-u/flow).

    Parameters
    ----------
    content : float
        What enters, c0.
    taken : float
        u over the flow: in units of content, or without unit where ``half`` is infinite.
    half : float
        Content at which uptake is half of the largest; infinite for uptake in proportion.
    """
    if content <= 0.0:
        return 0.0
    if math.isinf(half):
        return content * math.exp(-taken)
    start = content / half
    wanted = start + math.log(start) - taken / half
    # z + exp(z) = wanted for z = ln(c / half): convex, so that Newton's method comes down from the right.
    z = wanted if wanted < 1.0 else math.log(wanted)
    for _ in range(_MOST_STEPS):
        step = (z + math.exp(z) - wanted) / (1.0 + math.exp(z))
        z -= step
        if abs(step) <= _DONE * (1.0 + abs(z)):
            break
    return min(half * math.exp(z), content)


@njit(cache=True, nogil=True)
def sweep(  # noqa: PLR0913, PLR0917 - arrays cannot be bundled without a cost per call
    node: Floats,
    along: Floats,
    uptake: Floats,
    order: Ints,
    start: Ints,
    segment: Ints,
    origin: Ints,
    flow: Floats,
    source: Floats,
    inlet: Floats,
    wish: Floats,
    half: float,
) -> None:
    """Carry something from the inlets to the outlets, each node after all that flow into it.

    Parameters
    ----------
    node : (n,) float array
        Overwritten with the content at each node, mixed by flow.
    along : (e,) float array
        Overwritten for segments with flow: the mean of what enters and what leaves.
    uptake : (e,) float array
        Overwritten for segments with flow: what is taken there, content x flow.
    order : (n,) int array
    start : (n + 1,) int array
        What flows into node i are the entries ``start[i]:start[i+1]`` of the next three.
    segment, origin : (k,) int array
    flow : (k,) float array
        um^3/h.
    source : (n,) float array
        Flow that enters from outside, um^3/h.
    inlet : (n,) float array
        Its content.
    wish : (e,) float array
        Largest uptake of each segment (content x um^3/h); its clearance (um^3/h) where ``half`` is infinite.
    half : float
        As for `left_over`.
    """
    for i in order:
        amount, through = source[i] * inlet[i], source[i]
        for k in range(start[i], start[i + 1]):
            e, enters = segment[k], node[origin[k]]
            leaves = left_over(enters, wish[e] / flow[k], half)
            along[e] = 0.5 * (enters + leaves)
            uptake[e] = flow[k] * (enters - leaves)
            amount += flow[k] * leaves
            through += flow[k]
        node[i] = amount / through if through > 0.0 else 0.0
