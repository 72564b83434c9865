"""Every sourced number was read twice; the log agrees with the records of today, and every disagreement is settled."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest

from hepatalk.experiments.observations import ObservationRecord, load_observations, load_rat_groups
from hepatalk.knowledge import load

HERE = Path(__file__).parent


def rows(name: str) -> list[dict[str, str]]:
    """Return the rows of a file beside this one."""
    with (HERE / name).open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


LOG = {row["id"]: row for row in rows("second_readings.csv")}
OBSERVATIONS = {row.id: row for row in load_observations()}
PARAMETERS = {f"parameter:{p.id}": p for p in load().parameters}
NOT_FROM_A_PAPER = {"assumed", "definition", "fitted"}
AGREED = [id_ for id_, row in LOG.items() if row["agree"] == "yes"]
DISPUTED = [id_ for id_, row in LOG.items() if row["agree"] != "yes"]


def numbers(text: str) -> list[tuple[float, float]]:
    """Return the numbers of a text without their signs, each with half a unit of its last digit; 2/3 is one too."""
    text = re.sub(r"(?<=\d),(?=\d{3}\b)", "", text)
    found = []
    for digits, exponent in re.findall(r"(\d+(?:\.\d+)?)(?:e(\d+))?", text):
        scale = 10.0 ** int(exponent or 0)
        places = len(digits.partition(".")[2])
        found.append((float(digits) * scale, 0.5 * 10.0**-places * scale))
    found += [(float(a) / float(b), 0.005) for a, b in re.findall(r"(\d+)/(\d+)", text) if float(b)]
    return found


def rounding(number: float) -> float:
    """Return half a unit of the last digit that a number of a record shows."""
    return float(0.5 * 10.0 ** -len(str(float(number)).partition(".")[2].removesuffix("0")))


def confirmed(number: float, text: str) -> bool:
    """Return whether a text holds a number, up to the rounding of whichever of the two shows fewer digits.

    Rounding moves none of the numbers by more than 2%; the cap keeps an integer from confirming any small fraction.
    """
    number = abs(number)
    allowed = 0.02 * number
    return any(abs(number - x) <= min(max(half, rounding(number)), allowed) * (1 + 1e-9) for x, half in numbers(text))


def said(row: ObservationRecord) -> Iterable[float]:
    """Return the numbers that a record takes from its source: an interval by its ends."""
    for q in row.quantities:
        spread = q.spread or 0.0
        if q.spread_kind == "range":
            yield from (round(q.value - spread, 9), round(q.value + spread, 9))
        else:
            yield q.value
            if q.spread:
                yield q.spread


def test_rounding_is_all_that_is_forgiven() -> None:
    assert confirmed(5.457, "5.4572 ± 0.0267")
    assert confirmed(566.0, "565.6")
    assert confirmed(14e6, "14e6 to 20e6")
    assert confirmed(10000, "10,000")
    assert not confirmed(0.19, "1.27 ± 0.29")
    assert not confirmed(2.5, "2.4")
    assert not confirmed(17.0, "18")
    assert not confirmed(0.27, "27")
    assert not confirmed(0.4, "0 or 1")


def test_the_log_is_well_formed() -> None:
    assert len(LOG) == len(rows("second_readings.csv"))
    for row in LOG.values():
        assert row["agree"] in {"yes", "no", "partly", "not found"}, row
        assert row["second_page"] in {"abstract", "full text", "secondary page", "none"}, row
        assert row["record"] in {"kept", "corrected", "reworded", "retagged", "parameter corrected"}, row
        assert row["first_value"], row
        assert bool(row["cause"]) == (row["agree"] != "yes"), row
        assert (row["second_page"] == "none") <= (row["agree"] == "not found"), row


def test_every_observation_that_was_read_is_in_the_log() -> None:
    assert {row.id for row in OBSERVATIONS.values() if row.how == "read"} <= set(LOG)


def test_every_sourced_parameter_is_in_the_log() -> None:
    sourced = {id_ for id_, p in PARAMETERS.items() if {s.partition(":")[0] for s in p.sources} - NOT_FROM_A_PAPER}
    assert sourced
    assert sourced <= set(LOG)


def test_the_log_names_no_record_that_is_gone() -> None:
    assert set(LOG) <= set(OBSERVATIONS) | set(PARAMETERS)


@pytest.mark.parametrize("id_", [id_ for id_ in AGREED if id_ in OBSERVATIONS])
def test_an_agreed_observation_is_confirmed_number_by_number(id_: str) -> None:
    row = OBSERVATIONS[id_]
    missing = [x for x in said(row) if x and not confirmed(x, LOG[id_]["second_value"])]
    assert not missing, f"{id_}: {missing} not in the second reading '{LOG[id_]['second_value']}'"


@pytest.mark.parametrize("id_", [id_ for id_ in AGREED if id_ in PARAMETERS])
def test_an_agreed_parameter_has_the_value_read_twice(id_: str) -> None:
    value = PARAMETERS[id_].value
    now = [float(x) for x in (value if isinstance(value, list | tuple) else [value])]
    second = [float(x) for x in LOG[id_]["second_value"].partition(" (")[0].split()]
    assert now == pytest.approx(second, rel=2e-3)


@pytest.mark.parametrize("id_", [id_ for id_, row in LOG.items() if id_ in OBSERVATIONS])
def test_only_a_corrected_record_differs_from_the_first_entry(id_: str) -> None:
    changed = OBSERVATIONS[id_].value != LOG[id_]["first_value"]
    assert changed == (LOG[id_]["record"] == "corrected")


@pytest.mark.parametrize("id_", [id_ for id_, row in LOG.items() if row["record"] == "corrected"])
def test_a_corrected_observation_has_the_second_value_now(id_: str) -> None:
    missing = [x for x in said(OBSERVATIONS[id_]) if x and not confirmed(x, LOG[id_]["second_value"])]
    assert not missing


@pytest.mark.parametrize("id_", DISPUTED)
def test_every_disagreement_is_settled_and_told(id_: str) -> None:
    assert len(LOG[id_]["settled"]) >= len("as T0-00")
    assert LOG[id_]["settled"] != "agree"
    assert f"| {id_.removeprefix('parameter:')} |" in (HERE / "README.md").read_text(encoding="utf-8")


def test_a_settlement_that_points_to_another_row_finds_one() -> None:
    for id_ in DISPUTED:
        for other in re.findall(r"T\d+-\d\d", LOG[id_]["settled"]):
            assert other in OBSERVATIONS, (id_, other)


def test_a_number_without_a_source_is_used_for_nothing() -> None:
    row = OBSERVATIONS["T4-20"]
    assert (row.how, row.use, row.source) == ("not_found", "context", None)


def test_a_number_seen_once_calibrates_nothing() -> None:
    once = [id_ for id_, row in LOG.items() if row["agree"] == "not found"]
    assert once
    assert all(OBSERVATIONS[id_].use != "calibrate" for id_ in once)


def test_the_log_is_honest_about_disagreement() -> None:
    # A log without disagreements would mean that the second reading was not blind.
    found = Counter(row["agree"] for row in LOG.values())
    assert found["yes"] > 0.7 * len(LOG)
    assert found["no"] >= 5
    assert found["partly"] >= 10
    assert found["not found"] >= 4


def test_rat_group_means_were_computed_twice() -> None:
    first = {(p.diet, p.sex, p.time_h, p.quantity): p for p in load_rat_groups()}
    second = {(r["diet"], r["sex"], float(r["time_h"]), r["quantity"]): r for r in rows("rat_second_computation.csv")}
    assert set(first) == set(second)
    for key, p in first.items():
        row = second[key]
        assert p.n == int(row["n"]), key
        for name in ("mean", "sd", "median"):
            value = getattr(p, name)
            assert (value is None) == (row[name] == ""), (key, name)
            # The records show four significant digits.
            assert value is None or value == pytest.approx(float(row[name]), rel=5.1e-4, abs=1e-9), (key, name)


def test_raw_and_published_volume_differ_in_male_chow_rats_alone() -> None:
    raw = {(p.diet, p.sex, p.time_h): p.mean for p in load_rat_groups() if p.quantity == "liver_volume_raw_ratio"}
    published = {(p.diet, p.sex, p.time_h): p.mean for p in load_rat_groups() if p.quantity == "liver_volume_fraction"}
    apart = {key[:2] for key, mean in raw.items() if abs(mean - published[key]) > 0.002}
    assert apart == {("Chow", "Male"), ("Chow", "both")}
