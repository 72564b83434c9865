"""Models that know nothing of crosstalk: which rows fall silent, and how signs are shuffled."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from hepatalk.experiments import nulls
from hepatalk.experiments.nulls import Null, crosstalk_rows, fault_of, score_nulls, shuffled
from hepatalk.experiments.run import perform, run
from hepatalk.experiments.score import load_tests
from hepatalk.knowledge.load import Knowledge, load
from hepatalk.knowledge.records import AccountTerms, Interaction, Regulates, Term


@pytest.fixture(scope="module")
def knowledge() -> Knowledge:
    return load()


def terms_of(row: Interaction) -> tuple[Term, ...]:
    return row.account.terms if isinstance(row.account, AccountTerms) else ()


def regulating(knowledge: Knowledge) -> list[Regulates]:
    return [t for row in knowledge.interactions for t in terms_of(row) if isinstance(t, Regulates)]


def planted(knowledge: Knowledge, *terms: dict[str, str]) -> Knowledge:
    """Return knowledge that has these terms only, one row each, named X-01, X-02, ..."""
    pattern = knowledge.interactions[0]
    rows = tuple(
        pattern.model_copy(
            update={
                "id": f"X-{k:02d}",
                "account": AccountTerms.model_validate({"kind": "terms", "terms": [term]}),
            }
        )
        for k, term in enumerate(terms, start=1)
    )
    return replace(knowledge, interactions=rows)


HGF_FROM_HSC = {"kind": "secretes", "cell": "HSC", "signal": "HGF", "share": "s"}
HGF_TO_HEP = {"kind": "regulates", "by": "signal.HGF", "target": "node.HEP.MET", "effect": "activates"}
HGF_TO_HSC = {"kind": "regulates", "by": "signal.HGF", "target": "process.HSC.divide", "effect": "activates"}
WITHIN = {"kind": "regulates", "by": "node.HSC.SMAD", "target": "secretion.HGF.HSC", "effect": "activates"}
ACROSS = {"kind": "regulates", "by": "state.KC.activated", "target": "secretion.HGF.HSC", "effect": "activates"}
BODY = {"kind": "regulates", "by": "signal.LPS", "target": "process.KC.activate", "effect": "activates"}
PHYSICS = {"kind": "regulates", "by": "shear", "target": "secretion.HGF", "effect": "activates"}


def test_secretion_and_reception_of_a_message_between_types_cross(knowledge: Knowledge) -> None:
    facts = planted(knowledge, HGF_FROM_HSC, HGF_TO_HEP, WITHIN, ACROSS, BODY, PHYSICS)
    assert crosstalk_rows(facts) == ("X-01", "X-02", "X-04")


def test_what_a_cell_type_tells_itself_stays(knowledge: Knowledge) -> None:
    assert crosstalk_rows(planted(knowledge, HGF_FROM_HSC, HGF_TO_HSC, WITHIN)) == ()


def test_a_message_with_a_second_maker_crosses_for_both(knowledge: Knowledge) -> None:
    second = HGF_FROM_HSC | {"cell": "LSEC"}
    assert crosstalk_rows(planted(knowledge, HGF_FROM_HSC, HGF_TO_HSC, second)) == ("X-02", "X-03")


def test_without_crosstalk_the_animal_is_healthy_and_regenerates_worse(knowledge: Knowledge) -> None:
    rows = crosstalk_rows(knowledge)
    assert {"HEP-HSC-08", "HEP-LSEC-06"} <= set(rows)
    assert not {"HEP-BEC-06", "HEP-KC-09", "PHY-17"} & set(rows)
    rest = perform("sham", days=14.0, knowledge=knowledge, silenced=rows).result
    assert rest.readout("liver_volume") == pytest.approx(1.0, abs=1e-6)
    alone = perform("phx70", days=7.0, knowledge=knowledge, silenced=rows).result
    whole = run("phx70", days=7.0, knowledge=knowledge)
    assert alone.summary()["s_phase.HEP.max"] < 0.5 * whole.summary()["s_phase.HEP.max"]


def test_signs_are_permuted_and_nothing_else(knowledge: Knowledge) -> None:
    before, after = regulating(knowledge), regulating(shuffled(knowledge, 3))
    negative = [[t.effect == "inhibits" for t in terms] for terms in (before, after)]
    assert Counter(negative[0]) == Counter(negative[1])
    assert negative[0] != negative[1]
    for old, new in zip(before, after, strict=True):
        assert (old.by, old.target, old.gain, old.weight, old.half) == (
            new.by,
            new.target,
            new.gain,
            new.weight,
            new.half,
        )
        if (old.effect == "inhibits") == (new.effect == "inhibits"):
            assert old == new


def test_the_seed_decides(knowledge: Knowledge) -> None:
    assert shuffled(knowledge, 3).version == shuffled(knowledge, 3).version
    assert len({shuffled(knowledge, seed).version for seed in range(4)} | {knowledge.version}) == 5


def test_a_model_that_cannot_be_used_says_why(knowledge: Knowledge, monkeypatch: pytest.MonkeyPatch) -> None:
    assert fault_of(knowledge) == ""
    monkeypatch.setattr(nulls, "MOST_GROWTH", -1e3)  # no disturbance dies out as fast
    assert "unstable" in fault_of(knowledge)
    assert "XXX" in fault_of(planted(knowledge, HGF_FROM_HSC | {"cell": "XXX"}))


def test_claims_are_posed_to_the_null_models(knowledge: Knowledge) -> None:
    other = next(t.id for t in load_tests() if t.status == "not_posable")
    found = score_nulls(["C034", other], knowledge=knowledge, number=2, seed=0, workers=1)
    posed, not_posed = found.claims
    assert (posed.id, posed.without_crosstalk, posed.of) == ("C034", False, 2)
    assert posed.shuffled in (0, 1, 2)
    assert len(found.broken) <= 2 - posed.shuffled
    assert (not_posed.without_crosstalk, not_posed.shuffled, not_posed.uninformative) == (None, None, False)
    assert found.silenced == crosstalk_rows(knowledge)


@pytest.mark.parametrize(
    ("without", "passing", "uninformative"),
    [(True, 0, True), (False, 10, False), (False, 11, True), (None, None, False)],
)
def test_what_passes_anywhere_else_is_uninformative(
    without: bool | None, passing: int | None, uninformative: bool
) -> None:
    assert Null("C001", without, passing, 20).uninformative is uninformative
