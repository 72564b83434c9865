"""What tells disputed alternatives apart."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hepatalk.errors import UnknownNameError
from hepatalk.experiments.alternatives import FLOOR, MOVED, Apart, _largest, compare_hypotheses, switchable
from hepatalk.experiments.run import run
from hepatalk.experiments.score import score_claims
from hepatalk.knowledge.load import Knowledge, load


@pytest.fixture(scope="module")
def knowledge() -> Knowledge:
    return load()


def test_an_alternative_is_told_apart_by_rows_and_by_an_experiment(knowledge: Knowledge) -> None:
    told: list[float] = []
    (found,) = compare_hypotheses(
        ["portal_inflow"],
        knowledge=knowledge,
        claims=["C023", "C002"],
        observations=["T1-11"],
        experiments=["phx70"],
        workers=1,
        progress=told.append,
    )
    assert (found.id, found.changes, found.compared, found.not_run) == ("portal_inflow", True, 3, ())
    for kind, name in ((t.kind, t.id) for t in found.telling):
        assert (kind, name) in {("claim", "C023"), ("claim", "C002"), ("observation", "T1-11")}
    (old,), (new,) = (score_claims(["C023"], hypotheses=chosen) for chosen in ((), ("portal_inflow",)))
    told_apart = {t.id: t for t in found.telling}
    moved = (new.margin or 0.0) - (old.margin or 0.0)
    assert ("C023" in told_apart) == (old.status != new.status or abs(moved) > MOVED)
    assert told == sorted(told) and told[0] == 0.0 and told[-1] == pytest.approx(1.0)
    largest = found.apart[0]
    assert found.apart == tuple(sorted(found.apart, key=lambda d: -d.apart))
    a = run("phx70", knowledge=knowledge).at(largest.readout, largest.at_h)
    b = run("phx70", knowledge=knowledge, hypotheses=["portal_inflow"]).at(largest.readout, largest.at_h)
    assert (largest.default, largest.alternative) == (pytest.approx(a, rel=1e-4), pytest.approx(b, rel=1e-4))
    assert FLOOR < largest.apart <= 1.0


def test_a_hypothesis_that_changes_nothing_is_not_run(knowledge: Knowledge) -> None:
    idle = tuple(h.model_copy(update={"switch": None}) if h.id == "portal_inflow" else h for h in knowledge.hypotheses)
    (found,) = compare_hypotheses(["portal_inflow"], knowledge=replace(knowledge, hypotheses=idle))
    assert (found.changes, found.telling, found.compared, found.apart) == (False, (), 0, ())
    assert "nothing changes" in found.runs


def test_an_experiment_that_cannot_be_run_is_named(knowledge: Knowledge) -> None:
    (found,) = compare_hypotheses(
        ["portal_inflow"], knowledge=knowledge, claims=["C023"], observations=["T1-03"], experiments=["no_such"]
    )
    assert found.apart == ()
    assert found.not_run[0].startswith("no_such: unknown experiment 'no_such'")


def test_each_readout_is_named_once_and_the_largest_first() -> None:
    def one(readout: str, apart: float) -> Apart:
        return Apart("x", readout, 0.0, 1.0, 1.0, apart)

    found = _largest([one("a", 0.1), one("b", 0.4), one("a", 0.5), one("c", 0.2), one("d", 0.3)])
    assert [(d.readout, d.apart) for d in found] == [("a", 0.5), ("b", 0.4), ("d", 0.3)]


def test_hypotheses_are_all_or_those_asked_for(knowledge: Knowledge) -> None:
    assert switchable(knowledge) == tuple(h.id for h in knowledge.hypotheses)
    assert switchable(knowledge, ["il6_sign"]) == ("il6_sign",)
    with pytest.raises(UnknownNameError, match="il6_sign"):
        switchable(knowledge, ["il6_sing"])
