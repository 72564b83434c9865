"""Runge-Kutta-Chebyshev steps: explicit, of second order, and stable over times far longer than the fastest decay.

Cells find their places within an hour, overlaps of neighbours within minutes: Heun's method, stable to twice the time
of the fastest decay, would follow what has long died out. The stages of this one (Sommeijer, Shampine and Verwer 1998,
doi:10.1016/S0377-0427(97)00219-7) are spent on stability: s of them reach ``0.65 s**2`` such times. It is meant for
decays without oscillation, which those of forces from a potential are.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from hepatalk.engines.lobule import motion_kernels as kernels

__all__ = ["MOST_STAGES", "fastest_decay", "reach_of", "stabilised_step", "stages_for"]

Floats = npt.NDArray[np.float64]
Velocity = Callable[[Floats], Floats]

#: Stages of a step; more would save little, and rounding grows with their square.
MOST_STAGES = 12
_DAMPING = 2.0 / 13.0
#: By how much the fastest decay is taken faster than it was found.
_MARGIN = 1.2
#: Length of the probe for the fastest decay, um: far below a cell, far above rounding.
_PROBE_UM = 1e-3


def stages_for(times: float) -> int:
    """Return the stages that a step needs, from its length in times of the fastest decay."""
    return max(2, 1 + math.floor(math.sqrt(1.0 + 1.54 * times)))


def reach_of(stages: int) -> float:
    """Return how many times of the fastest decay a step of so many stages may last."""
    return ((stages - 1) ** 2 - 1.0) / 1.54


def fastest_decay(velocity: Velocity, here: Floats, slope: Floats, towards: Floats) -> tuple[float, Floats]:
    """Return an estimate of the fastest decay, 1/h, by a step of the power method, and the direction of that decay.

    Parameters
    ----------
    velocity : callable
    here, slope : (n, 3) float array
        um, um/h.
    towards : (n, 3) float array
        What is known of the direction, of any length but zero.

    Returns
    -------
    float
        With a margin.
    (n, 3) float array
    """
    # Of the largest component, so that no cell leaves its list of neighbours.
    step = towards * (_PROBE_UM / float(np.abs(towards).max()))
    turned = velocity(here + step) - slope
    return _MARGIN * math.sqrt(float((turned**2).sum()) / float((step**2).sum())), turned


def stabilised_step(velocity: Velocity, here: Floats, slope: Floats, h: float, stages: int) -> Floats:
    """Return the positions after a step.

    Parameters
    ----------
    velocity : callable
        Returns an array that it overwrites.
    here, slope : (n, 3) float array
        um; velocities there, um/h.
    h : float
        h.
    stages : int
        From `stages_for`.
    """
    w0 = 1.0 + _DAMPING / stages**2
    t, dt, ddt = _chebyshev(stages, w0)
    w1 = dt[stages] / ddt[stages]
    b = np.empty(stages + 1)
    b[2:] = ddt[2:] / dt[2:] ** 2
    b[:2] = b[2]
    a = 1.0 - b * t
    before, now, spare = here, np.empty_like(here), np.empty_like(here)
    kernels.euler(now, here, slope, b[1] * w1 * h)
    for j in range(2, stages + 1):
        mu, nu, ahead = 2.0 * b[j] * w0 / b[j - 1], -b[j] / b[j - 2], 2.0 * b[j] * w1 / b[j - 1]
        kernels.blend(spare, here, now, before, velocity(now), slope, mu, nu, ahead * h, -a[j - 1] * ahead * h)
        before, now, spare = now, spare, before if before is not here else np.empty_like(here)
    return now


def _chebyshev(n: int, x: float) -> tuple[Floats, Floats, Floats]:
    """Return the Chebyshev polynomials of degrees 0 to n, and their first and second derivatives."""
    t, d, dd = np.zeros(n + 1), np.zeros(n + 1), np.zeros(n + 1)
    t[0], t[1], d[1] = 1.0, x, 1.0
    for k in range(2, n + 1):
        t[k] = 2.0 * x * t[k - 1] - t[k - 2]
        d[k] = 2.0 * t[k - 1] + 2.0 * x * d[k - 1] - d[k - 2]
        dd[k] = 4.0 * d[k - 1] + 2.0 * x * dd[k - 1] - dd[k - 2]
    return t, d, dd
