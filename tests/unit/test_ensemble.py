"""Virtual animals: priors, draws, near copies, and the file they are shipped in."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from hepatalk.errors import ExperimentError, ModelError
from hepatalk.experiments.members import load_members, members_text, parse_members
from hepatalk.inference.calibration import data_of_rat
from hepatalk.inference.ensemble import SPREAD, Draft, Prior, Sampler, constraint, prior_of, uncertain
from hepatalk.knowledge import load
from hepatalk.knowledge.load import Knowledge
from hepatalk.model.compiler import compile_model


@pytest.fixture(scope="module")
def knowledge() -> Knowledge:
    return load()


@pytest.fixture(scope="module")
def sampler(knowledge: Knowledge) -> Sampler:
    """Return a sampler to which no datum says anything, so that draws are those of the prior."""
    return Sampler(knowledge, data_of_rat(), jacobian=np.zeros((len(data_of_rat()), len(uncertain(knowledge)))))


def test_priors_follow_the_records(knowledge: Knowledge) -> None:
    fitted = prior_of(knowledge.parameter["gain_load_cycle"])
    assert fitted is not None
    bounds = knowledge.parameter["gain_load_cycle"].prior
    assert bounds is not None
    assert np.exp([fitted.low, fitted.high]) == pytest.approx(bounds)
    assumed = prior_of(knowledge.parameter["half_cyclin"])
    assert assumed is not None
    assert np.exp(2 * assumed.deviation) == pytest.approx(SPREAD)
    assert np.exp(assumed.middle) == pytest.approx(knowledge.parameter["half_cyclin"].value)


@pytest.mark.parametrize("name", ["distension_exponent", "power_two", "weight_full", "hep_zone_share", "inflow_fast"])
def test_sourced_fixed_and_zero_numbers_are_not_uncertain(knowledge: Knowledge, name: str) -> None:
    assert prior_of(knowledge.parameter[name]) is None


def test_a_weight_cannot_exceed_one(knowledge: Knowledge) -> None:
    prior = prior_of(knowledge.parameter["weight_half"])
    assert prior is not None
    assert prior.high == 0.0


def test_the_same_seed_draws_the_same_member_and_another_seed_another(sampler: Sampler) -> None:
    first, again, other = sampler.draw(1), sampler.draw(1), sampler.draw(2)
    assert first == again
    assert sampler.distance(first, other) > 0.5


def test_draws_keep_to_the_bounds_and_are_judged(sampler: Sampler) -> None:
    draft = sampler.draw(3)
    for prior in sampler.priors:
        assert prior.low - 1e-3 <= np.log(draft.values[prior.name]) <= prior.high + 1e-3
    assert draft.kept == (draft.misfit <= sampler.limit and draft.growth <= 1e-9)
    assert bool(draft.why) != draft.kept


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("drawn", Path(__file__).parents[2] / "scripts" / "make_ensemble.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def recorded(sampler: Sampler) -> dict[str, float]:
    return {name: float(f"{np.exp(x):.4g}") for name, x in zip(sampler.names, sampler.best, strict=True)}


def test_a_member_is_judged_again_by_the_rule_of_a_draft(sampler: Sampler) -> None:
    best = sampler.judge(recorded(sampler))
    assert best.kept
    assert best.misfit == pytest.approx(sampler.misfit, rel=1e-3)
    assert best.values == recorded(sampler)
    assert sampler.judge({}).misfit == pytest.approx(best.misfit, rel=1e-3)  # what is not said is as recorded
    off = sampler.judge(recorded(sampler) | {"hep_g1_duration": 70.0})
    assert not off.kept
    assert off.misfit > sampler.limit
    assert off.why == "misses the calibration data"


def test_a_member_with_a_number_that_is_no_longer_uncertain_cannot_be_judged_again(sampler: Sampler) -> None:
    with pytest.raises(ModelError, match=r"'gain_of_old' is not uncertain in this model; draw the members anew"):
        sampler.judge({"gain_of_old": 2.0})


def test_too_few_members_after_a_recheck_are_refused_with_their_number(sampler: Sampler, script: ModuleType) -> None:
    best = recorded(sampler)
    sets = [
        best,
        best | {"half_cyclin": 2.0 * best["half_cyclin"], "gain_weak": 30.0},
        best | {"hep_g1_duration": 70.0},
    ]
    told = [sampler.judge(best), Draft(sets[1], 0.5, 0.0, True, ""), sampler.judge(sets[2])]
    assert script.refusal(sampler, told, 2) == ""
    refused = script.refusal(sampler, told, 3)
    assert refused.startswith("2 of 3 members are left (2 kept, 1 misses the calibration data); allowed: 3 at least")
    assert script.refusal(sampler, [told[0], told[0]], 2).startswith("1 of 2 members are left")  # a copy counts once
    again = script.rechecked(sampler, [best, sets[2]], 0)
    assert [d.kept for d in again] == [True, False]


def test_the_page_says_that_members_were_judged_again_once(script: ModuleType) -> None:
    told = [Draft({}, 0.5, 0.0, True, ""), Draft({}, 9.0, 0.0, False, "misses the calibration data")]
    page = "# Title\n\n7 drawn (seeds 1 to 7): 2 kept, 5 misses the calibration data.\n3 numbers\n"
    once = script.line_after_recheck(page, told)
    assert once.startswith("7 drawn (seeds 1 to 7): 2 kept, 5 misses the calibration data. Judged again")
    assert "1 of 2 still meet the rule" in once
    assert script.line_after_recheck(once, told) == once


def test_the_best_fit_meets_the_data_within_one_half_band(sampler: Sampler) -> None:
    assert sampler.misfit < 1.0


def test_a_near_copy_is_recognised(sampler: Sampler) -> None:
    values = {p.name: float(np.exp(p.middle)) for p in sampler.priors}
    one = Draft(values, 0.5, 0.0, True, "")
    near = Draft({n: v * 1.01 for n, v in values.items()}, 0.5, 0.0, True, "")
    far = Draft({n: v * 1.5 for n, v in values.items()}, 0.5, 0.0, True, "")
    assert sampler.is_near_copy(near, [one])
    assert not sampler.is_near_copy(far, [one])


def test_constraint_is_one_for_draws_from_the_prior_and_zero_for_a_known_number() -> None:
    rng = np.random.default_rng(0)
    bounded = Prior("a", 0.0, 0.5, -1.0, 1.0)
    free = Prior("b", 0.0, 0.3, -np.inf, np.inf)
    members = [{"a": float(np.exp(rng.uniform(-1, 1))), "b": float(np.exp(0.3 * rng.normal()))} for _ in range(4000)]
    ratio = constraint([bounded, free], members)
    assert ratio["a"] == pytest.approx(1.0, abs=0.05)
    assert ratio["b"] == pytest.approx(1.0, abs=0.05)
    assert constraint([free], [{"b": 2.0}, {"b": 2.0}])["b"] == 0.0


def test_the_file_of_members_comes_back_as_written() -> None:
    sets = [{"a": 0.5, "b": 1234.0}, {"a": 2e-5, "b": 3.25}]
    members = parse_members(members_text("abc", sets))
    assert members.model_hash == "abc"
    assert list(members.sets) == sets
    told = members_text("abc", sets, [0.91234, 1.2])
    assert "0.912 1.200" in told
    assert parse_members(told) == members


def test_shipped_members_are_at_least_a_hundred_and_belong_to_this_knowledge(knowledge: Knowledge) -> None:
    members = load_members()
    assert len(members.sets) >= 100
    assert set(members.sets[0]) == {p.name for p in uncertain(knowledge)}
    assert members.model_hash == compile_model(knowledge, "rat").hash


@pytest.mark.parametrize("number", [0, -1, 100_000])
def test_a_wrong_number_of_members_is_refused(number: int) -> None:
    with pytest.raises(ExperimentError, match=r"members: value .*; allowed: 1 to \d+; more are drawn with"):
        load_members().first(number)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,b\n1,2\n", "first line; allowed"),
        ("# model_hash: x\na,b\n1,two\n", "numbers only"),
        ("# model_hash: x\na,b\n1\n", "numbers only"),
    ],
)
def test_a_damaged_file_of_members_is_refused(text: str, said: str) -> None:
    with pytest.raises(ExperimentError, match=said):
        parse_members(text)
