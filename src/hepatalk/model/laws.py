r"""The rate laws of hepatalk: every number a model produces passes through one of these functions.

Both engines evaluate these same scalar functions, so a law exists once. Each law has a value and, for the analytic
Jacobian, its derivative. Arguments are plain floats; concentrations are relative to the healthy baseline, node
activities lie in [0, 1], rates are per hour.

=============  =====================================================  ==========================================
law            value                                                  used for
=============  =====================================================  ==========================================
CONSTANT       c                                                      a response held at its resting value
LINEAR         c0 + sum_i c_i x_i                                     totals, mixing, balances
PRODUCT        c * x_1 * ... * x_n                                    mass action, AND gates
RATIO          c * x / max(y, floor)                                  densities, load, flow per volume
POWER          c * x^n                                                sinusoid radius, wall shear
HILL           x^n / (K^n + x^n)                                      receptor occupancy, dose responses
NORMAL_HILL    B x^n / (C^n + x^n), f(0)=0, f(EC50)=1/2, f(1)=1       node-to-node logic (Kraeutler et al. 2010)
GATE           (1 + sum_i a_i h_i) / rest                             OR gate of activators; 1 at rest
BRAKE          rest / (1 + sum_i a_i h_i)                             inhibitors; 1 at rest
ANY            1 - prod_i (1 - w_i x_i)                               fuzzy OR of node inputs
NOT            1 - w x                                                inhibition of a node
RELAX          (ymax * target - y) / tau                              first-order approach of a node
=============  =====================================================  ==========================================

``rest`` in GATE and BRAKE is the value of the sum in the healthy liver, found once per model and zone: so every
process runs at its stated baseline rate in health, and homeostasis does not depend on the strength of any influence.

The functions are plain Python. Engines that compile them say so where they do: what only reads or writes a model
needs no compiler, whose import takes a third of a second.

Sources
-------
NORMAL_HILL, ANY and RELAX: Kraeutler, Soltis, Saucerman (2010), BMC Syst Biol 4:157, doi 10.1186/1752-0509-4-157.
HILL: the Hill equation; with n = 1 it is receptor occupancy at equilibrium.
"""

from __future__ import annotations

from enum import IntEnum
from math import pow as _pow

__all__ = [
    "Law",
    "hill",
    "hill_slope",
    "normal_hill",
    "normal_hill_slope",
    "power",
    "power_slope",
    "raise_to",
    "ratio",
    "relax",
]


class Law(IntEnum):
    """Number of each law in the compiled tables."""

    CONSTANT = 0
    LINEAR = 1
    PRODUCT = 2
    RATIO = 3
    POWER = 4
    HILL = 5
    NORMAL_HILL = 6
    GATE = 7
    BRAKE = 8
    ANY = 9
    NOT = 10
    RELAX = 11


def raise_to(x: float, n: float) -> float:
    """Return ``x**n`` for x >= 0; the usual small integer powers avoid a call to ``pow``."""
    if n == 1.0:
        return x
    if n == 2.0:
        return x * x
    if n == 3.0:
        return x * x * x
    if n == 4.0:
        square = x * x
        return square * square
    if n == 6.0:
        square = x * x
        return square * square * square
    if n == 8.0:
        square = x * x
        fourth = square * square
        return fourth * fourth
    return _pow(x, n)


def hill(x: float, half: float, n: float) -> float:
    """Return the Hill response ``x^n / (K^n + x^n)``, 0 for x <= 0.

    A solver may step a hair below zero; a negative base would give NaN, so the response is 0 there.
    """
    if x <= 0.0:
        return 0.0
    xn = raise_to(x / half, n)
    return xn / (1.0 + xn)


def hill_slope(x: float, half: float, n: float) -> float:
    """Return d hill / dx = n h (1 - h) / x, 0 for x <= 0."""
    if x <= 0.0:
        return 0.0
    h = hill(x, half, n)
    return n * h * (1.0 - h) / x


def normal_hill(x: float, half: float, n: float) -> float:
    """Return the normalised Hill function of Kraeutler et al. (2010): f(0)=0, f(half)=1/2, f(1)=1.

    C^n = half^n / (1 - 2 half^n) and B = 1 + C^n; needs half^n < 1/2. Constant 1 above x = 1.
    """
    if x <= 0.0:
        return 0.0
    if x >= 1.0:
        return 1.0
    kn = raise_to(half, n)
    c = kn / (1.0 - 2.0 * kn)
    xn = raise_to(x, n)
    return (1.0 + c) * xn / (c + xn)


def normal_hill_slope(x: float, half: float, n: float) -> float:
    """Return d normal_hill / dx, 0 outside (0, 1)."""
    if x <= 0.0 or x >= 1.0:
        return 0.0
    kn = raise_to(half, n)
    c = kn / (1.0 - 2.0 * kn)
    xn = raise_to(x, n)
    bottom = c + xn
    return (1.0 + c) * n * (xn / x) * c / (bottom * bottom)


def power(x: float, n: float) -> float:
    """Return ``x^n`` for x > 0, else 0 (n > 0) by continuity."""
    if x <= 0.0:
        return 0.0
    return _pow(x, n)


def power_slope(x: float, n: float) -> float:
    """Return d x^n / dx for x > 0, else 0."""
    if x <= 0.0:
        return 0.0
    return n * _pow(x, n - 1.0)


def ratio(x: float, y: float, floor: float) -> float:
    """Return ``x / max(y, floor)``: the floor keeps a density finite when a cell type has been removed."""
    return x / (y if y > floor else floor)


def relax(target: float, y: float, ymax: float, tau: float) -> float:
    """Return ``(ymax * target - y) / tau``, per hour."""
    return (ymax * target - y) / tau
