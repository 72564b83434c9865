"""Units: times, conversions, dimensions, and the refusals."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hepatalk.errors import UnitError
from hepatalk.units import HOURS_PER_UNIT, check_dimensions, convert, hours_text, parse_hours, registry


@pytest.mark.parametrize(
    ("text", "hours"),
    [
        ("0 h", 0.0),
        ("48 h", 48.0),
        ("48h", 48.0),
        (" 2 d ", 48.0),
        ("1 day", 24.0),
        ("0.5 week", 84.0),
        ("30 min", 0.5),
        ("7.2e3 s", 2.0),
        ("+3 hours", 3.0),
        (".5 h", 0.5),
    ],
)
def test_times(text: str, hours: float) -> None:
    assert parse_hours(text) == pytest.approx(hours, rel=1e-15)


def test_minus_zero_is_zero() -> None:
    assert math.copysign(1.0, parse_hours("-0 h")) == 1.0


@pytest.mark.parametrize("unit", sorted(HOURS_PER_UNIT))
def test_closed_list_of_times_agrees_with_pint(unit: str) -> None:
    assert HOURS_PER_UNIT[unit] == pytest.approx(convert(1.0, unit, "h"), rel=1e-14)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (48, "time 48 has no unit; allowed units: s, min, h, d, week; write, for example, '48 h'"),
        (4.5, "time 4.5 has no unit"),
        ("48", "time '48' has no unit; allowed units: s, min, h, d, week; write, for example, '48 h'"),
        ("48 kg", "time '48 kg': 'kg' is no unit of time; allowed units: s, min, h, d, week"),
        ("48 H", "'H' is no unit of time"),
        ("-3 h", "time '-3 h' is negative; allowed: a time from 0 h up"),
        ("nan h", "is not finite"),
        ("inf h", "is not finite"),
        ("1e400 h", "is not finite"),
        ("1e308 week", "is not finite"),
        ("1.2.3 h", "'1.2.3' is not a number"),
        ("soon", "is not a number with a unit"),
        ("h", "is not a number with a unit"),
        ("", "is not a number with a unit"),
        ("٣ h", "is not a number with a unit"),
        (None, "is not a number with a unit"),
        (True, "is not a number with a unit"),
        (["1 h"], "is not a number with a unit"),
    ],
)
def test_bad_times(text: object, reason: str) -> None:
    with pytest.raises(UnitError) as caught:
        parse_hours(text)
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "write, for example" in str(caught.value)


@given(st.floats(min_value=0.0, max_value=1e12))
def test_hours_survive_text(hours: float) -> None:
    assert parse_hours(hours_text(hours)) == hours


def test_hours_text_is_short_for_whole_hours() -> None:
    assert hours_text(48.0) == "48 h"
    assert hours_text(0.5) == "0.5 h"


@pytest.mark.parametrize(
    ("value", "unit", "to", "expected"),
    [
        (1.0, "1/d", "1/h", 1.0 / 24.0),
        (5.0, "ng/mL", "µg/L", 5.0),
        (5.0, "ng/mL", "μg/L", 5.0),
        (1.0, "mL/min/kg", "L/h/kg", 0.06),
        (2.0, "nM", "pmol/L", 2000.0),
        (37.0, "degC", "kelvin", 310.15),
        (3.0, "baseline", "", 3.0),
        (3.0, "", "baseline", 3.0),
        (3.0, "baseline/h", "1/h", 3.0),
        (-1.0, "h", "min", -60.0),
    ],
)
def test_convert(value: float, unit: str, to: str, expected: float) -> None:
    assert convert(value, unit, to) == pytest.approx(expected, rel=1e-12)


def test_baseline_keeps_its_name() -> None:
    assert str(registry().Unit("baseline")) == "baseline"
    check_dimensions("baseline", "")


def test_one_registry() -> None:
    assert registry() is registry()


def test_wrong_dimension_names_both_and_what_is_allowed() -> None:
    with pytest.raises(UnitError) as caught:
        convert(1.0, "kg", "h")
    assert str(caught.value) == "unit 'kg' is mass but 'h' is time; allowed: units of time; correct one of the two"
    with pytest.raises(UnitError, match="is a plain number but 'h' is time"):
        check_dimensions("baseline", "h")


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_convert_refuses_what_is_not_finite(value: float) -> None:
    with pytest.raises(UnitError, match=f"value {value} in 'h' is not finite; allowed: any finite number"):
        convert(value, "h", "h")


def test_convert_refuses_overflow() -> None:
    with pytest.raises(UnitError, match="is not finite in 's'; choose a larger unit"):
        convert(1e308, "week", "s")


@pytest.mark.parametrize("unit", ["fortnigt", "kilo", "qqq/h"])
def test_unknown_unit(unit: str) -> None:
    with pytest.raises(UnitError, match=r"unknown unit '.*'; allowed: .*write, for example"):
        check_dimensions(unit, "h")


_NO_UNITS = ["m**9**9**9", "m^99999", "h(", "()", "/", "2*h", "3", "h.real", "__import__('os')", "m\nm"]


@pytest.mark.parametrize("unit", _NO_UNITS)
def test_text_that_is_no_unit_never_reaches_pint(unit: str) -> None:
    with pytest.raises(UnitError, match=r"cannot be read; allowed: .*write, for example"):
        check_dimensions(unit, "h")
