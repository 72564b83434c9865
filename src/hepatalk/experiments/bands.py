"""Bands of observations: between which numbers a value of the model counts as met. The rules are in SCORING.md."""

from __future__ import annotations

from typing import Literal

__all__ = ["Scale", "SpreadKind", "band", "bound"]

Scale = Literal["volume", "amount", "fold", "time"]
SpreadKind = Literal["sd", "sem", "range", "unknown"]

VOLUME = 0.08
AMOUNT = 1.5
TIME = 0.25
LEAST_TIME_H = 6.0
#: A change counts from here.
DIRECTION = 0.05
#: Half-width of a band in standard deviations, where the source gives a spread.
SPREADS = 2.0


def default_band(value: float, scale: Scale, share: float = 1.0) -> tuple[float, float]:
    """Return the band of a value without a spread, or a share of it: an amount's on the logarithm.

    Parameters
    ----------
    value : float
        In the unit of its scale: fraction of the healthy liver, hours, or any amount above zero.
    scale : {'volume', 'amount', 'fold', 'time'}
    share : float
        1 is the default band, 0.5 the narrowest that is allowed.
    """
    if scale == "volume":
        return value - share * VOLUME, value + share * VOLUME
    if scale == "time":
        half = share * max(TIME * value, LEAST_TIME_H)
        return value - half, value + half
    factor = AMOUNT**share
    return value / factor, value * factor


def band(
    value: float, scale: Scale, spread: float | None = None, kind: SpreadKind | None = None
) -> tuple[float, float]:
    """Return the band of an observation.

    Parameters
    ----------
    value, spread : float
        As the source gives them.
    scale : {'volume', 'amount', 'fold', 'time'}
    kind : {'sd', 'sem', 'range', 'unknown'}, optional
        What the spread is.

    Returns
    -------
    (low, high)
        Both ends are in the band.
    """
    if spread is None:
        low, high = default_band(value, scale)
    else:
        half = spread if kind == "range" else SPREADS * spread
        narrow = default_band(value, scale, 0.5)
        low, high = min(value - half, narrow[0]), max(value + half, narrow[1])
    if scale == "fold":
        # A change is an amount and a direction: no change is never in its band.
        if value > 1.0:
            low = max(low, 1.0 + DIRECTION)
        else:
            high = min(high, 1.0 - DIRECTION)
    return low, high


def bound(value: float, scale: Scale, lower: bool) -> float:
    """Return a bound of a source, relaxed by half of the default band."""
    low, high = default_band(value, scale, 0.5)
    return low if lower else high
