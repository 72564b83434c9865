"""Units at the edges: what a person writes is checked and turned into the numbers the model computes with.

Inside hepatalk time is always in hours and a signal is relative to its healthy baseline. Text with units exists only
in the files that people edit, and this module is the only one that reads it. Times of experiments are read with a
closed list of units and without pint, which takes half a second to start; everything else goes through one pint
registry, made when it is first needed and never changed afterwards.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from hepatalk.errors import UnitError, shown

if TYPE_CHECKING:
    import pint

__all__ = ["HOURS_PER_UNIT", "check_dimensions", "convert", "hours_text", "parse_hours", "registry"]

#: Hours in each unit of time that an experiment may use.
HOURS_PER_UNIT: Mapping[str, float] = MappingProxyType(
    {
        "s": 1.0 / 3600.0,
        "min": 1.0 / 60.0,
        "h": 1.0,
        "hour": 1.0,
        "hours": 1.0,
        "d": 24.0,
        "day": 24.0,
        "days": 24.0,
        "week": 168.0,
        "weeks": 168.0,
    }
)

_TIME = re.compile(r"\s*([-+]?(?:nan|inf|[0-9.]+(?:e[-+]?[0-9]+)?))\s*([^\s0-9.]\S*)?\s*", re.IGNORECASE)
_TIME_UNITS = "s, min, h, d, week"
_EXAMPLE = "write, for example, '48 h'"
# Text outside this grammar never reaches pint, which may raise anything, or compute for ever, on it.
_FACTOR = r"(?:1|[A-Za-zµμ][A-Za-z0-9_µμ]{0,30}(?:(?:\^|\*\*)-?[1-9])?)"
_UNIT = re.compile(rf"{_FACTOR}(?: ?[*/] ?{_FACTOR}){{0,7}}")


def parse_hours(text: object) -> float:
    """Return a time as a number of hours.

    Parameters
    ----------
    text : object
        A number and a unit of time as text, such as ``'48 h'`` or ``'2 d'``.

    Returns
    -------
    float
        Hours; finite, not negative.

    Raises
    ------
    UnitError
        If the unit is missing or is none of time, or the number is negative, not finite or not a number at all.
    """
    said = f"time {shown(text)}"
    if isinstance(text, (int, float)) and not isinstance(text, bool):
        raise UnitError(f"{said} has no unit; allowed units: {_TIME_UNITS}; write, for example, '{text} h'")
    match = _TIME.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise UnitError(f"{said} is not a number with a unit; allowed units: {_TIME_UNITS}; {_EXAMPLE}")
    number, unit = match.groups()
    if unit is None:
        raise UnitError(f"{said} has no unit; allowed units: {_TIME_UNITS}; write, for example, '{number} h'")
    if unit not in HOURS_PER_UNIT:
        raise UnitError(f"{said}: {shown(unit)} is no unit of time; allowed units: {_TIME_UNITS}; {_EXAMPLE}")
    try:
        hours = float(number) * HOURS_PER_UNIT[unit]
    except ValueError as error:
        raise UnitError(f"{said}: {shown(number)} is not a number; allowed: such as 0.5 or 48; {_EXAMPLE}") from error
    if not math.isfinite(hours):
        raise UnitError(f"{said} is not finite; allowed: a time from 0 h up; {_EXAMPLE}")
    if hours < 0.0:
        raise UnitError(f"{said} is negative; allowed: a time from 0 h up; {_EXAMPLE}")
    return abs(hours)  # -0 h is 0 h


def hours_text(hours: float) -> str:
    """Return hours as text that `parse_hours` turns into the same number again.

    Parameters
    ----------
    hours : float
        A time in hours.

    Returns
    -------
    str
        Such as ``'48 h'``.
    """
    number = str(int(hours)) if float(hours).is_integer() and abs(hours) < 1e15 else repr(float(hours))
    return f"{number} h"


@functools.cache
def registry() -> pint.UnitRegistry[Any]:
    """Return the one registry of units, made on the first call.

    Besides the usual units it knows ``baseline``: a number relative to the healthy animal. It has no dimension, so it
    converts to a plain number and back; the word is there for the reader.

    Returns
    -------
    pint.UnitRegistry
        Shared by all callers, who must not change it.
    """
    import pint

    units: pint.UnitRegistry[Any] = pint.UnitRegistry(cache_folder=None)
    units.define("baseline = []")
    return units


def convert(value: float, unit: str, to: str) -> float:
    """Return a quantity in another unit of the same dimension.

    Parameters
    ----------
    value : float
        The number, in `unit`.
    unit, to : str
        Units as text, such as ``'ng/mL'``, ``'1/h'`` or ``'baseline'``; the empty text is a plain number. No
        brackets: ``'ng/mL/h'``, not ``'ng/(mL*h)'``.

    Returns
    -------
    float
        The number, in `to`.

    Raises
    ------
    UnitError
        If `value` is not finite, a unit is unknown, or the two have different dimensions.
    """
    import pint

    if not math.isfinite(value):
        raise UnitError(f"value {value} in {shown(unit)} is not finite; allowed: any finite number; correct the value")
    check_dimensions(unit, to)
    try:
        converted = float(registry().Quantity(value, _parsed(unit)).to(_parsed(to)).magnitude)
    except (pint.PintError, ArithmeticError) as error:
        raise UnitError(f"{value} {unit} cannot be converted to {shown(to)}: {error}; choose another unit") from error
    if not math.isfinite(converted):
        raise UnitError(f"{value} {unit} is not finite in {shown(to)}; choose a larger unit")
    return converted


def check_dimensions(unit_a: str, unit_b: str) -> None:
    """Check that two units measure the same thing.

    Parameters
    ----------
    unit_a, unit_b : str
        Units as text.

    Raises
    ------
    UnitError
        If one is unknown or their dimensions differ.
    """
    first, second = _parsed(unit_a), _parsed(unit_b)
    if first.dimensionality != second.dimensionality:
        raise UnitError(
            f"unit {shown(unit_a)} is {_dimension(first)} but {shown(unit_b)} is {_dimension(second)}; "
            f"allowed: units of {_dimension(second)}; correct one of the two"
        )


def _parsed(unit: str) -> pint.Unit:
    """Return a unit as pint's object; the empty text is a plain number."""
    import pint

    if unit and not _UNIT.fullmatch(unit):
        raise UnitError(
            f"unit {shown(unit)} cannot be read; allowed: unit names joined by * or /, with powers from -9 to 9; "
            "write, for example, 'ng/mL/h' or '1/h'"
        )
    try:
        return registry().Unit(unit)
    except pint.PintError as error:
        raise UnitError(
            f"unknown unit {shown(unit)}; allowed: the units of the pint library, and 'baseline'; "
            "write, for example, 'h', '1/h' or 'ng/mL'"
        ) from error


def _dimension(unit: pint.Unit) -> str:
    """Return a dimension in plain words, such as ``time``."""
    text = str(unit.dimensionality)
    return "a plain number" if unit.dimensionless else text.replace("[", "").replace("]", "")
