"""Virtual animals: priors, draws, near copies, and the file they are shipped in."""

from __future__ import annotations

import numpy as np
import pytest

from hepatalk.errors import ExperimentError
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
