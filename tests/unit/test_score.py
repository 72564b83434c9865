"""The claims scoreboard: how predicates are read and judged."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from hepatalk.errors import ExperimentError, UnknownNameError
from hepatalk.experiments.answers import Animal, Answer, ask
from hepatalk.experiments.observations import load_claims
from hepatalk.experiments.posing import pose
from hepatalk.experiments.score import (
    ClaimTest,
    Predicate,
    Reading,
    _outcome,
    _waits,
    demand_of,
    judge,
    load_tests,
    score_claims,
    verdict,
)
from hepatalk.knowledge.load import load

REASONS = {
    "needs_transdifferentiation",
    "needs_injury_not_in_version",
    "needs_cell_not_in_version",
    "needs_readout_not_in_version",
    "needs_space",
    "in_vitro",
    "no_direction_stated",
    "definition_only",
}


def judged(compare: str, value: float, control: float, margin: float = 0.05) -> bool:
    p = Predicate(
        readout="liver_volume",
        reduce="end",
        run="a",
        compare=compare,  # type: ignore[arg-type]
        than=Reading(run="b", readout="liver_volume", reduce="end"),
        margin=margin,
    )
    number = (("liver_volume",), "end", None, None)
    return _outcome(p, {"a": {number: value}, "b": {number: control}})[0] >= 0.0


@pytest.mark.parametrize(
    ("compare", "value", "passes"),
    [
        ("greater", 1.06, True),
        ("greater", 1.04, False),
        ("greater", 0.9, False),
        ("less", 0.94, True),
        ("less", 0.96, False),
        ("less", 1.1, False),
        ("about", 1.04, True),
        ("about", 0.96, True),
        ("about", 1.06, False),
        ("after", 1.06, True),
        ("before", 0.94, True),
        ("before", 1.0, False),
    ],
)
def test_each_comparison(compare: str, value: float, passes: bool) -> None:
    assert judged(compare, value, 1.0) is passes


def test_no_difference_never_passes_a_direction() -> None:
    assert not judged("greater", 1.0 + 1e-12, 1.0, margin=0.0)
    assert not judged("less", 1.0 - 1e-12, 1.0, margin=0.0)


def test_between_includes_its_ends() -> None:
    p = Predicate(readout="liver_volume", reduce="max", run="a", compare="between", than=Reading(low=0.9, high=1.1))
    number = (("liver_volume",), "max", None, None)
    assert _outcome(p, {"a": {number: 1.1}})[0] >= 0.0
    assert _outcome(p, {"a": {number: 1.11}})[0] < 0.0


def test_every_claim_is_accounted_for() -> None:
    tests = load_tests()
    assert [t.id for t in tests] == [c.id for c in load_claims()]
    for t in tests:
        assert (t.status == "posable") == bool(t.predicates), t.id
        assert t.status == "posable" or t.reason in REASONS, t.id
        for p in t.predicates:
            assert p.run in t.runs, t.id
            assert p.than.run is None or p.than.run in t.runs, t.id
            if p.compare in ("greater", "less", "before", "after") and p.than.run is not None:
                assert p.margin >= 0.05, t.id


def test_every_run_is_an_experiment_or_its_claim_says_what_it_awaits() -> None:
    allowed = {"experiment", "culture", "schedule", "days", "knockouts", "hypotheses"}
    for t in load_tests():
        for name, spec in t.runs.items():
            assert set(spec) <= allowed, (t.id, name)
        used = {x for p in t.predicates for x in (p.run, p.than.run) if x is not None}
        assert used == set(t.runs), t.id
        if _waits(t, load()) is None:
            for name, spec in t.runs.items():
                assert pose(spec, t.id, name).days == float(spec["days"])


def _awaiting(name: str, experiment: str) -> ClaimTest:
    p = Predicate(readout="liver_volume", reduce="end", run="a", compare="between", than=Reading(low=0.9, high=1.1))
    run = {"experiment": experiment, "days": 1}
    return ClaimTest(id="C999", status="posable", awaits=(name,), runs={"a": run}, predicates=(p,))


@pytest.mark.parametrize(
    ("name", "experiment", "waits"),
    [
        ("sham", "sham", False),
        ("not_yet", "not_yet", True),
        ("HEP", "sham", False),
        ("NOCELL", "sham", True),
    ],
)
def test_a_claim_waits_until_what_it_needs_is_there(name: str, experiment: str, waits: bool) -> None:
    assert (_waits(_awaiting(name, experiment), load()) is not None) is waits


def test_a_waiting_claim_is_not_posable_and_says_what_it_waits_for() -> None:
    test = _awaiting("not_yet", "not_yet")
    assert not demand_of([test], load()).specs
    found = verdict(test, load(), [])
    assert found.status == "not_posable"
    assert found.reason.startswith("awaits not_yet: unknown experiment 'not_yet'")
    assert found.margin is None


def test_a_claim_that_names_no_awaited_thing_fails_when_it_cannot_be_run() -> None:
    test = _awaiting("not_yet", "not_yet").model_copy(update={"awaits": ()})
    (answers,) = ask(demand_of([test], load()), [Animal(load())])
    found = verdict(test, load(), [answers])
    assert found.status == "fail"
    assert found.reason.startswith("could not be run: unknown experiment 'not_yet'")


def test_only_a_claim_with_predicates_awaits_something() -> None:
    with pytest.raises(ValidationError, match="has predicates"):
        ClaimTest(id="C999", status="not_posable", reason="needs_space", awaits=("alpps",))


def test_a_claim_is_posed_with_its_control() -> None:
    (verdict,) = score_claims(["C127"])
    assert verdict.status in ("pass", "fail")
    assert verdict.margin is not None
    assert verdict.agree in (0.0, 1.0)
    assert "wanted" in verdict.reason


def test_what_has_no_number_leaves_a_claim_unpassed() -> None:
    test = next(t for t in load_tests() if t.id == "C127")
    demand = demand_of([test], load())
    none: dict[str, Answer] = {run: dict.fromkeys(numbers) for run, numbers in demand.numbers.items()}
    found = judge(test, none)
    assert (found.passed, found.margin, found.not_run) == (False, None, True)
    assert found.reason.startswith("could not be run: ")
    assert judge(test, dict.fromkeys(none, "the liver is gone")).reason == "could not be run: the liver is gone"


def test_a_claim_passes_when_four_in_five_members_show_it() -> None:
    unrunnable = {"hep_growth_rate": 1e9}
    (half,) = score_claims(["C002"], members=[{}, {"hep_growth_rate": 1e-4}])
    assert (half.status, half.agree, half.members, half.not_run) == ("fail", 0.5, 2, 0)
    (alone,) = score_claims(["C002"])
    assert (half.reason, half.margin) == (alone.reason, alone.margin)
    assert (alone.status, alone.members) == ("pass", 0)
    (most,) = score_claims(["C002"], members=[{}] * 4 + [unrunnable])
    assert (most.status, most.agree, most.not_run) == ("pass", 0.8, 1)


def test_no_member_and_members_that_cannot_be_are_errors() -> None:
    with pytest.raises(ExperimentError, match="parameter sets"):
        score_claims(["C002"], members=())
    with pytest.raises(UnknownNameError, match="hep_growth_rate"):
        score_claims(["C002"], members=[{"hep_growth_rat": 1.0}])
    with pytest.raises(UnknownNameError, match="hypothesis"):
        score_claims(["C002"], hypotheses=["none_such"])


def test_an_unknown_claim_is_an_error() -> None:
    with pytest.raises(UnknownNameError, match="C12"):
        score_claims(["C12x"])


def test_influences_past_reading_are_shown_as_factors() -> None:
    from hepatalk.cli.checking import _size

    assert [_size(x) for x in (0.0123, 9.5, 11.0, 250.0, 3e9)] == ["1.23%", "950.00%", "x 12", "x 251", "x 1e6 or more"]
