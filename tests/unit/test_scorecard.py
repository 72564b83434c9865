"""The scoreboard of observations: every row accounted for, bands, numbers of a curve, and how rows are judged."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from hepatalk.errors import ExperimentError, UnknownNameError
from hepatalk.experiments.bands import band, bound
from hepatalk.experiments.observations import load_observations
from hepatalk.experiments.posing import beyond, key_of, onset, pose, reduced
from hepatalk.experiments.score_rows import Check, ScoreRow, load_rows, parse_rows
from hepatalk.experiments.scorecard import RowScore, fitted_rows, judge, score, tally, verdicts

DATA = load_rows()
RECORDS = {record.id: record for record in load_observations()}


# --- the file ------------------------------------------------------------------------------------------------------


def test_every_observation_has_one_row_in_the_same_order() -> None:
    assert [row.id for row in DATA.rows] == list(RECORDS)


def test_the_reasons_are_few_defined_and_used() -> None:
    used = {row.reason for row in DATA.rows if row.reason is not None}
    assert used == set(DATA.reasons)
    assert len(DATA.reasons) < 10
    assert all(meaning.strip() for meaning in DATA.reasons.values())


def test_every_run_is_used_and_ends_after_what_is_read() -> None:
    used = {name for row in DATA.rows for name in row.runs}
    assert used == set(DATA.runs)
    for row in DATA.rows:
        for check in row.checks:
            hours = [check.at_h, *(r.at_h for r in (check.over, check.minus, check.than) if r is not None)]
            shortest = min(24.0 * float(DATA.runs[name]["days"]) for name in row.runs)
            assert all(h is None or h <= shortest for h in hours), row.id


def test_what_awaits_nothing_can_be_posed() -> None:
    for row in DATA.rows:
        if not row.awaits:
            for name in row.runs:
                pose(DATA.runs[name], name, row.id)


def test_runs_are_on_the_animal_of_the_row_or_say_so() -> None:
    for row in DATA.rows:
        species = RECORDS[row.id].species or ""
        for name in row.runs:
            animal = str(DATA.runs[name]["species"])
            assert animal in species or "rodent" in species or row.cross_species is not None, row.id
            assert row.cross_species is None or row.cross_species in species, row.id


def test_other_rows_are_named_by_their_ids_and_contradict_each_other() -> None:
    rows = {row.id: row for row in DATA.rows}
    for row in DATA.rows:
        assert row.duplicate_of is None or rows[row.duplicate_of].checks, row.id
        assert row.contradicts is None or rows[row.contradicts].contradicts == row.id, row.id


def test_context_rows_are_never_scored_and_direction_margins_count() -> None:
    for row in DATA.rows:
        assert RECORDS[row.id].use != "context" or not row.checks, row.id
        for check in row.checks:
            # One row asks for 'not less'.
            assert check.margin >= 0.05 or row.id == "T7-58", row.id


def test_what_the_calibration_has_seen_is_no_validation_row() -> None:
    assert fitted_rows() <= set(RECORDS)
    assert {RECORDS[name].use for name in fitted_rows()} == {"calibrate"}


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([{"id": "T1-01", "reason": "boring"}], "boring"),
        ([{"id": "T1-01"}], "a row has checks or awaits something, or else one reason"),
        ([{"id": "T1-01", "reason": "r", "awaits": ["bdl"]}], "or else one reason"),
        ([{"id": "T1-01", "reason": "duplicate_of"}], "come together"),
        ([{"id": "T1-01", "checks": [{"run": "a", "readout": "x", "reduce": "max"}]}], "needs value and scale"),
        (
            [{"id": "T1-01", "checks": [{"run": "a", "readout": "x", "reduce": "max", "compare": "less"}]}],
            "needs than",
        ),
        (
            [{"id": "T1-01", "checks": [{"run": "b", "readout": "x", "reduce": "max", "value": 1, "scale": "time"}]}],
            "run 'b' is not among 'runs'",
        ),
    ],
)
def test_a_row_that_does_not_fit_is_named(rows: list[dict[str, Any]], said: str) -> None:
    reasons = {"r": "because", "duplicate_of": "twice"}
    with pytest.raises(ExperimentError, match=r"^score_rows\.yaml: .*correct it$") as caught:
        parse_rows({"reasons": reasons, "runs": {"a": {"experiment": "sham"}}, "rows": rows})
    assert said in str(caught.value)


# --- bands ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        ((0.88, "volume"), (0.80, 0.96)),
        ((0.3, "amount"), (0.2, 0.45)),
        ((48.0, "time"), (36.0, 60.0)),
        ((3.0, "time"), (-3.0, 9.0)),
        ((2.0, "fold"), (2.0 / 1.5, 3.0)),
        ((1.2, "fold"), (1.05, 1.8)),
        ((0.8, "fold"), (0.8 / 1.5, 0.95)),
        ((0.83, "volume", 0.09, "unknown"), (0.65, 1.01)),
        ((0.83, "volume", 0.09, "sd"), (0.65, 1.01)),
        ((0.83, "volume", 0.001, "sem"), (0.79, 0.87)),
        ((60.0, "time", 12.0, "range"), (48.0, 72.0)),
        ((2.5, "time", 0.5, "range"), (-0.5, 5.5)),
        ((0.35, "amount", 0.05, "range"), (0.35 / math.sqrt(1.5), 0.35 * math.sqrt(1.5))),
        ((5.0, "amount", 3.0, "range"), (2.0, 8.0)),
    ],
)
def test_bands(arguments: tuple[Any, ...], wanted: tuple[float, float]) -> None:
    assert band(*arguments) == pytest.approx(wanted)


def test_no_change_is_in_no_band_of_a_change() -> None:
    for row in DATA.rows:
        for check in row.checks:
            if check.scale == "fold" and check.value is not None:
                low, high = band(check.value, "fold", check.spread, check.spread_kind)
                assert not low <= 1.0 <= high, row.id


def test_bounds_are_relaxed_by_half_a_band() -> None:
    assert bound(2.0, "time", lower=False) == 5.0
    assert bound(0.65, "volume", lower=True) == pytest.approx(0.61)
    assert bound(0.25, "amount", lower=False) == pytest.approx(0.25 * math.sqrt(1.5))


# --- numbers of a curve --------------------------------------------------------------------------------------------

T = np.arange(9.0)
HILL = np.array([1.0, 1.0, 3.0, 5.0, 4.0, 2.0, 1.2, 1.0, 1.0])


@pytest.mark.parametrize(
    ("reduce", "at_h", "level", "wanted"),
    [
        ("max", None, None, 5.0),
        ("min", None, None, 1.0),
        ("end", None, None, 1.0),
        ("at", 2.5, None, 4.0),
        ("at", 9.0, None, None),
        ("rise", None, None, 4.0),
        ("waves", None, None, 1.0),
        ("time_of_max", None, None, 3.0),
        ("first_max_h", None, None, 3.0),
        ("steepest_h", None, None, 1.5),
        ("reaches_h", None, 2.0, 1.5),
        ("reaches_h", None, 6.0, None),
        ("reaches_h", None, 0.5, 0.0),
        ("rise_h", None, None, 1.025),
        ("falls_h", None, 0.25, 5.0),
        ("death_h", None, None, None),
    ],
)
def test_what_is_read_from_a_curve(reduce: str, at_h: float | None, level: float | None, wanted: float | None) -> None:
    found = reduced(T, HILL, reduce, at_h, level)
    assert found == (wanted if wanted is None else pytest.approx(wanted))


def test_regained_doubling_death_and_onset() -> None:
    volume = np.linspace(0.3, 1.0, 9)
    assert reduced(T, volume, "regained", 4.0) == pytest.approx(0.5)
    assert reduced(T, 2.0 ** (T / 2.0), "doubling_h", 8.0) == pytest.approx(2.0)
    assert reduced(T, -T, "falls_h", level=0.1) is None
    assert reduced(T, np.where(T < 5, 1.0, 0.0), "death_h") == 5.0
    assert onset(T, T / 8.0, 1.0) == pytest.approx(0.8)
    assert onset(T, T * 0.0, 0.0) is None
    with pytest.raises(ValueError, match="median"):
        reduced(T, HILL, "median")


def test_no_difference_is_beyond_nothing() -> None:
    assert beyond(1.0 + 1e-12, 1.0, rises=True) == 0.0
    assert beyond(0.9, 1.0, rises=False) == pytest.approx(0.1)


# --- judging -------------------------------------------------------------------------------------------------------


def check(**fields: Any) -> Check:
    return Check.model_validate({"run": "a", "readout": "x", "reduce": "max", **fields})


def outcome(one: Check, a: float | None, b: float | None = None) -> float | None:
    number = (("x",), "max", None, None)
    return judge(one, {"a": {number: a}, "b": {number: b}}).margin


def test_a_band_holds_up_to_its_ends() -> None:
    one = check(value=2.0, scale="amount")
    assert outcome(one, 3.0) == pytest.approx(0.0)
    assert outcome(one, 2.0) == pytest.approx(1.0 / 3.0)
    assert outcome(one, 4.0) == pytest.approx(-0.5)


@pytest.mark.parametrize(
    ("compare", "value", "wanted"),
    [
        ("greater", 1.06, 0.01),
        ("greater", 1.04, -0.01),
        ("less", 0.94, 0.01),
        ("less", 1.0, -0.05),
        ("about", 1.04, 0.01),
        ("about", 0.94, -0.01),
    ],
)
def test_directions_need_five_in_a_hundred(compare: str, value: float, wanted: float) -> None:
    assert outcome(check(compare=compare, than={"run": "b"}), value, 1.0) == pytest.approx(wanted)


def test_ratios_differences_and_gains() -> None:
    assert outcome(check(over={"run": "b"}, value=2.0, scale="amount"), 4.0, 2.0) == pytest.approx(1.0 / 3.0)
    assert outcome(check(over={"run": "b"}, value=2.0, scale="amount"), 4.0, 0.0) is None
    assert outcome(check(minus={"run": "b"}, value=24.0, scale="time"), 48.0, 24.0) == pytest.approx(0.25)
    gain = check(over={"run": "b"}, offset=-1, value=0.7, scale="amount")
    assert outcome(gain, 1.7, 1.0) == pytest.approx(1.0 / 3.0)


def test_what_never_happens_and_what_cannot_run_do_not_hold() -> None:
    one = check(compare="least", value=1.0, scale="time")
    never = judge(one, {"a": {(("x",), "max", None, None): None}})
    assert not never.holds
    assert "never happens" in never.words
    broken = judge(one, {"a": "no such thing"})
    assert not broken.holds
    assert broken.words == "a could not be run: no such thing"


def test_the_tally_gives_the_denominator_and_the_reasons() -> None:
    rows = [
        RowScore("T1-01", "lsec", "validate", "pass", "", ""),
        RowScore("T1-02", "lsec", "validate", "fail", "", ""),
        RowScore("T1-03", "lsec", "validate", "not_scored", "", "", why_not="awaits"),
    ]
    assert tally(rows) == "1 of 2 scored rows pass; 2 of 3 are scored (not: 1 awaits)"


def test_rows_are_scored_in_the_order_of_the_observations() -> None:
    told: list[float] = []
    skipped, scored = score(["T5-54", "T1-03"], progress=told.append)
    assert (scored.id, scored.status, scored.agree, scored.use) == ("T5-54", "pass", 1.0, "recalled")
    assert scored.value == pytest.approx(1.0 / 0.3, rel=0.2)
    assert told == [0.0, 1.0]
    assert (skipped.id, skipped.status, skipped.margin) == ("T1-03", "not_scored", None)
    assert (skipped.why_not, skipped.reason) == ("no_such_readout", "no_such_readout: clotting factors")


def test_a_row_passes_when_four_in_five_parameter_sets_meet_it() -> None:
    stunted = {"hep_growth_rate": 1e-4}
    (half,) = score(["T2-18"], members=[{}, stunted])
    assert (half.status, half.agree) == ("fail", 0.5)
    assert half.value is not None and half.value > 1.05
    (most,) = score(["T2-18"], members=[{}, {}, {}, {}, stunted], workers=1)
    assert (most.status, most.agree) == ("pass", 0.8)


def test_what_a_row_waits_for_is_said() -> None:
    (row,) = verdicts([ScoreRow(id="T8-03", awaits=("not_yet",), note="what the checks will be")], [{}])
    assert (row.status, row.why_not) == ("not_scored", "awaits")
    assert row.reason == "awaits not_yet: what the checks will be"


def test_the_same_run_has_the_same_key_in_any_order() -> None:
    assert key_of({"experiment": "sham", "days": 1}) == key_of({"days": 1, "experiment": "sham"})


def test_an_unknown_observation_and_no_parameter_set_are_errors() -> None:
    with pytest.raises(UnknownNameError, match="T1-1x"):
        score(["T1-1x"])
    with pytest.raises(ExperimentError, match="parameter sets"):
        score(["T1-10"], members=())
    with pytest.raises(UnknownNameError, match="hep_growth_rate"):
        score(["T1-10"], members=[{"hep_growth_rat": 1.0}])
    with pytest.raises(ExperimentError, match="parameter set 2: 'hep_growth_rate' is -1"):
        score(["T1-10"], members=[{}, {"hep_growth_rate": -1.0}])
