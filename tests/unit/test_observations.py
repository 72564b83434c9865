"""Observations, claims and rat group means: complete, typed, and true to their own text."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import pytest
from pydantic import ValidationError

from hepatalk.errors import KnowledgeError
from hepatalk.experiments import observations as module
from hepatalk.experiments.observations import (
    ClaimRecord,
    GroupPoint,
    ObservationRecord,
    Quantity,
    load_claims,
    load_observations,
    load_rat_groups,
)

OBSERVATIONS = load_observations()
CLAIMS = load_claims()
RATS = load_rat_groups()

#: Pooled means of both sexes on the carbohydrate diet, fraction of the volume before; read apart from the data file.
VOLUME = {0.3: 0.327, 10: 0.396, 24: 0.515, 48: 0.697, 72: 0.807, 168: 0.910, 336: 0.937}

QUANTITY: dict[str, Any] = {
    "quantity": "liver_volume", "time_h": 24, "value": 0.5, "spread": None, "spread_kind": None, "n": None, "unit": "1",
}  # fmt: skip
OBSERVATION: dict[str, Any] = {
    "id": "T1-01", "topic": "lsec", "observable": "x", "value": "1", "how": "read", "use": "validate",
}  # fmt: skip
POINT: dict[str, Any] = {"diet": "Chow", "sex": "Male", "time_h": 24, "quantity": "a", "mean": 1, "sd": 1, "median": 1}
RAT_FILE: dict[str, Any] = {
    "source": "ding2010", "licence": "CC BY", "subject": "rats", "points": [{**POINT, "n": 3}],
    "quantities": {"a": {"unit": "g", "definition": "mass"}},
}  # fmt: skip


def rat(quantity: str, diet: str, time_h: float, sex: str = "both") -> GroupPoint:
    """Return the one point of a group."""
    (found,) = [p for p in RATS if (p.quantity, p.diet, p.time_h, p.sex) == (quantity, diet, time_h, sex)]
    return found


def test_counts() -> None:
    assert len(OBSERVATIONS) == 304
    assert len(CLAIMS) == 98


def test_ids_are_unique() -> None:
    assert len({row.id for row in OBSERVATIONS}) == 304
    assert len({claim.id for claim in CLAIMS}) == 98


def test_use_and_how_are_the_known_counts() -> None:
    assert Counter(row.how for row in OBSERVATIONS) == {"read": 233, "recalled": 62, "derived": 7, "not_found": 2}
    assert Counter(row.use for row in OBSERVATIONS) == {
        "validate": 144, "context": 67, "recalled": 62, "calibrate": 31,
    }  # fmt: skip


def test_topic_follows_the_id() -> None:
    topics: dict[str, set[str]] = {}
    for row in OBSERVATIONS:
        topics.setdefault(row.id.split("-")[0], set()).add(row.topic)
    assert all(len(names) == 1 for names in topics.values())
    assert len(set.union(*topics.values())) == len(topics) == 10


def test_a_derived_row_keeps_the_source_of_its_numbers() -> None:
    derived = {row.source for row in OBSERVATIONS if row.how == "derived"}
    assert derived == {"hockings2002", "weibel1969"}


def test_calibration_rows_have_a_source() -> None:
    assert all(row.source for row in OBSERVATIONS if row.use == "calibrate")


def test_most_rows_have_numbers() -> None:
    assert sum(bool(row.quantities) for row in OBSERVATIONS) == 246


def numbers(text: str) -> set[float]:
    """Return the numbers of a text without their signs, 2e3 and the fraction 2/3 included."""
    found = {float(x) for x in re.findall(r"\d+(?:\.\d+)?(?:e-?\d+)?", text)}
    found |= {float(a) / float(b) for a, b in re.findall(r"(\d+)/(\d+)", text) if float(b)}
    # 14-20e6 means 14e6 to 20e6.
    found |= {float(a) * 10 ** float(e) for a, e in re.findall(r"(\d+(?:\.\d+)?)-\d+(?:\.\d+)?e(\d+)", text)}
    return found


@pytest.mark.parametrize("row", [row for row in OBSERVATIONS if row.quantities], ids=lambda row: row.id)
def test_every_number_stands_in_the_text(row: ObservationRecord) -> None:
    known = numbers(" ".join([row.observable, row.perturbation or "", row.time or "", row.value]))
    for q in row.quantities:
        spread = q.spread or 0.0
        said = [q.value - spread, q.value + spread] if q.spread_kind == "range" else [q.value, spread]
        for number in said:
            # A value without a spread adds a zero here.
            assert number == 0 or any(abs(abs(number) - k) <= 1e-4 * abs(number) for k in known), (q, number)
        assert q.n is None or q.n in known, q


def test_hours_match_the_text() -> None:
    factor = {"h": 1, "d": 24, "wk": 168, "mo": 730, "y": 8760}
    checked = 0
    for row in OBSERVATIONS:
        match = re.fullmatch(r"[~d]*(\d+(?:\.\d+)?) (h|d|wk|mo|y)", row.time or "")
        if match is None:
            continue
        hours = float(match[1]) * factor[match[2]]
        for q in row.quantities:
            if q.time_h is not None:
                assert q.time_h == hours, row.id
                checked += 1
    assert checked > 50


def test_bounds_and_spreads() -> None:
    for row in OBSERVATIONS:
        for q in row.quantities:
            assert (q.spread is None) == (q.spread_kind is None), row.id
            if q.spread_kind in {"unknown", "sd"}:
                assert "±" in row.value or "(SD)" in (row.unit or ""), row.id


def test_claims_point_to_rows_and_references_of_the_review() -> None:
    assert all(1 <= ref <= 143 for claim in CLAIMS for ref in claim.refs)
    assert {c.id: c.refs for c in CLAIMS}["C104"] == tuple(range(114, 121))
    assert {c.id: c.rows for c in CLAIMS}["C002"] == ("BG-11", "BG-19")
    assert all("STATED" in claim.expected or "IMPLIED" in claim.expected for claim in CLAIMS)


@pytest.mark.parametrize(("time_h", "mean"), VOLUME.items())
def test_pooled_carbohydrate_volume(time_h: float, mean: float) -> None:
    assert rat("liver_volume_fraction", "Carbohydrate", time_h).mean == pytest.approx(mean, abs=0.002)


def test_rat_groups_are_means_not_animals() -> None:
    assert max(p.n for p in RATS) == 22
    assert rat("liver_volume_fraction", "Carbohydrate", -24).n == 22
    assert rat("liver_volume_fraction", "Chow", -24).n == 6
    assert all(p.source == "barnhart2023" for p in RATS)


def test_both_sexes_pool_the_animals() -> None:
    index = {(p.quantity, p.diet, p.time_h, p.sex): p for p in RATS}
    pooled = [p for p in RATS if p.sex == "both"]
    assert pooled
    for point in pooled:
        parts = [index.get((point.quantity, point.diet, point.time_h, sex)) for sex in ("Male", "Female")]
        there = [part for part in parts if part is not None]
        assert sum(part.n for part in there) == point.n
        weighted = sum(part.n * part.mean for part in there) / point.n
        assert point.mean == pytest.approx(weighted, rel=1e-3)


def test_portal_flow_rises_per_volume_while_total_inflow_falls_at_once() -> None:
    for diet in ("Chow", "Carbohydrate"):
        assert 1.3 < rat("portal_flow_per_volume_ratio", diet, 0.3).median < 1.5
        assert 0.4 < rat("total_portal_inflow_ratio", diet, 0.3).median < 0.6
        assert rat("portal_flow_per_volume_ratio", diet, 10).median > 1.8
        assert 0.7 < rat("total_portal_inflow_ratio", diet, 10).median < 1.1


def test_records_are_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        OBSERVATIONS[0].use = "context"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"use": "calibrat"}, "use is 'calibrat'; allowed: calibrate"),
        ({"how": "recalled"}, "a recalled value has use 'recalled'"),
        ({"colour": 1}, "colour: Extra inputs are not permitted"),
        ({"id": "X1"}, "id is 'X1': String should match"),
        ({"quantities": [{**QUANTITY, "spread": 1}]}, "spread and spread_kind come together"),
        ({"quantities": [{**QUANTITY, "value": float("nan")}]}, "quantities.0.value is nan"),
    ],
)
def test_a_bad_observation_names_its_place(change: dict[str, Any], words: str) -> None:
    with pytest.raises(KnowledgeError) as caught:
        module._parse_list(ObservationRecord, [{**OBSERVATION, **change}], "observations.yaml")
    message = str(caught.value)
    assert words in message
    assert message.startswith("observations.yaml, record 1 (")
    assert "\n" not in message


def test_a_claim_without_rows_is_refused() -> None:
    claim = CLAIMS[0].model_dump()
    with pytest.raises(KnowledgeError, match="rows"):
        module._parse_list(ClaimRecord, [{**claim, "rows": []}], "claims.yaml")


def test_a_file_of_the_wrong_shape_is_refused() -> None:
    with pytest.raises(KnowledgeError, match="allowed: a list of Quantity"):
        module._parse_list(Quantity, {"a": 1}, "x.yaml")
    with pytest.raises(KnowledgeError, match="no list 'points'"):
        module._parse_groups([], "x.yaml")


def test_a_sound_rat_file_is_read() -> None:
    (point,) = module._parse_groups(RAT_FILE, "x.yaml")
    assert (point.unit, point.source, point.n) == ("g", "ding2010", 3)


@pytest.mark.parametrize(
    ("points", "words"),
    [
        ([{**POINT, "n": 3, "quantity": "b"}], "unknown quantity 'b'; allowed: a"),
        ([{**POINT, "n": 1}], "sd is null for a single animal"),
        ([{**POINT, "n": 3}, {**POINT, "n": 3}], "'a Chow Male 24 h' occurs twice"),
    ],
)
def test_a_bad_rat_point_is_refused(points: list[dict[str, Any]], words: str) -> None:
    with pytest.raises(KnowledgeError, match=re.escape(words)):
        module._parse_groups({**RAT_FILE, "points": points}, "x.yaml")


def test_a_missing_file_is_named() -> None:
    with pytest.raises(KnowledgeError, match="cannot read nothing"):
        module._read("nothing.yaml")
