"""Cells that climb a gradient: an active force along it, for `hepatalk.engines.lobule.motion`.

A cell drifts up the gradient g of a level c (relative to health, so that g is per um)::

    v = speed g / (|g| + half)        force = friction v

With ``half`` = 0 only the direction counts, as in the published case (docs/lobule_cases.md); where a field is flat, and
for a speed of 0, nothing acts. The form is assumed: the simplest that has a direction, an upper bound and a slope.
The gradient at a site is that of the plane through the levels of its neighbours (least squares, near ones counting
more): exact where the field is linear, whatever the shape of the sites.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from hepatalk.errors import EngineError, ModelError

__all__ = ["climbing", "gradient"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

#: Directions along which the neighbours of a site hardly spread (less than a fifth of the widest, as squares) are left
#: out: across a slab of one layer of sites, a small difference of levels would become a steep slope.
_FLAT = 0.04


def gradient(level: Floats, place: Floats, start: Ints, other: Ints) -> Floats:
    """Return the gradient of a field at every site.

    Parameters
    ----------
    level : (M,) float array
    place : (M, 3) float array
        Middles of the sites, um.
    start : (M + 1,) int array
    other : (n,) int array
        Neighbours of site i are ``other[start[i]:start[i+1]]``.

    Returns
    -------
    (M, 3) float array
        Level per um; 0 along directions in which a site has no neighbours.

    Raises
    ------
    EngineError
        If a level is not finite; names the site.
    """
    bad = np.flatnonzero(~np.isfinite(level))
    if bad.size:
        raise EngineError(f"the gradient at site {bad[0]}: its level is {level[bad[0]]}; allowed: finite levels")
    here = np.repeat(np.arange(level.size), np.diff(start))
    away = place[other] - place[here]
    weight = 1.0 / np.maximum((away**2).sum(axis=1), 1e-300)
    square, slope = np.zeros((level.size, 3, 3)), np.zeros((level.size, 3))
    np.add.at(square, here, (weight[:, None] * away)[:, :, None] * away[:, None, :])
    np.add.at(slope, here, (weight * (level[other] - level[here]))[:, None] * away)
    value, vector = np.linalg.eigh(square)
    inverse = np.where(value > _FLAT * value[:, -1:], 1.0 / np.where(value > 0.0, value, 1.0), 0.0)
    along = np.einsum("ikj,ik->ij", vector, slope) * inverse
    return np.asarray(np.einsum("ijk,ik->ij", vector, along))


def climbing(slope: Floats, friction: Floats, speed: float, half: float = 0.0) -> Floats:
    """Return the active forces of cells that climb a gradient.

    Parameters
    ----------
    slope : (n, 3) float array
        Gradient at each cell, per um.
    friction : (n,) float array
        Of each cell, nN h/um.
    speed : float
        The most a cell drifts, um/h; not negative.
    half : float
        Gradient at which it drifts half as fast, per um; 0 where the direction alone counts.

    Returns
    -------
    (n, 3) float array
        nN.

    Raises
    ------
    ModelError
        If a number is negative or not finite.
    """
    if not (math.isfinite(speed) and speed >= 0.0 and math.isfinite(half) and half >= 0.0):
        raise ModelError(f"chemotaxis with {speed:g} um/h and {half:g} per um; allowed: finite numbers, not below 0")
    steep = np.linalg.norm(slope, axis=1) + half
    share = np.divide(slope, steep[:, None], out=np.zeros_like(slope), where=steep[:, None] > 0.0)
    return np.asarray(speed * friction[:, None] * share)
