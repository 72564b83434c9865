"""What the checks of a run add up to: pushes, influence, and the hash that tells models apart."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hepatalk.cli.checking import _print_influences
from hepatalk.engines.population.engine import PopulationEngine
from hepatalk.experiments.influence import SILENT, influence
from hepatalk.experiments.run import Run, perform
from hepatalk.knowledge import Knowledge, load
from hepatalk.knowledge.records import AccountTerms, Parameter, Regulates
from hepatalk.model import attribution, compile_model
from hepatalk.model.attribution import pushes


@pytest.fixture(scope="module")
def knowledge() -> Knowledge:
    return load()


@pytest.fixture(scope="module")
def run(knowledge: Knowledge) -> Run:
    return perform("phx70", knowledge=knowledge)


@pytest.mark.parametrize("rate", ["process.HEP.commit", "process.HEP.enter_s", "process.LSEC.commit"])
@pytest.mark.parametrize("hour", [3, 12, 24, 96])
def test_pushes_on_a_rate_add_up_to_the_change_of_its_logarithm(
    run: Run, rate: str, hour: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of level 1: what acts on the rate itself. Levels are not to be added, so the others are switched off here."""
    monkeypatch.setattr(attribution, "MAX_LEVEL", 1)
    monkeypatch.setattr(attribution, "SMALL", 0.0)
    system = PopulationEngine().system(run.model)
    rest = system.values(run.model.rest).copy()
    now = system.values(run.course.states[hour]).copy()
    assert run.course.time_h[hour] == hour
    for zone in (1, 2, 3):
        slot = run.model.slot_index[f"{rate}@{zone}"]
        found = pushes(run.model, now, rest, [slot])
        assert all(push.level == 1 for push in found.values())
        total = sum(push.effect for push in found.values())
        assert total == pytest.approx(float(np.log(now[slot] / rest[slot])), abs=1e-9)
        assert abs(total) > 0.01  # else the sum says nothing


def with_parameter(k: Knowledge, name: str, **changes: object) -> Knowledge:
    new = tuple(p.model_copy(update=changes) if p.id == name else p for p in k.parameters)
    return replace(k, parameters=new)


def planted(k: Knowledge, row: str) -> Knowledge:
    """Return the knowledge with the gains of a row set to nothing: it runs, and does nothing."""
    nothing = Parameter(id="gain_nothing", value=0.0, unit="1", meaning="none", source="assumed", reason="a test")
    record = k.interaction[row]
    assert isinstance(record.account, AccountTerms)
    terms = tuple(
        t.model_copy(update={"gain": nothing.id}) if isinstance(t, Regulates) else t for t in record.account.terms
    )
    silent = record.model_copy(update={"account": record.account.model_copy(update={"terms": terms})})
    rows = tuple(silent if r.id == row else r for r in k.interactions)
    return replace(k, interactions=rows, parameters=(*k.parameters, nothing))


def test_a_row_that_does_nothing_is_named_as_silent(knowledge: Knowledge, capsys: pytest.CaptureFixture[str]) -> None:
    rows = ("PHY-02", "PHY-11")
    sound = influence(knowledge, rows=rows, experiments=("phx70",), workers=1)
    assert min(i.change for i in sound) > SILENT
    found = influence(planted(knowledge, "PHY-11"), rows=rows, experiments=("phx70",), workers=1)
    assert [(i.row, i.change < SILENT) for i in found] == [("PHY-11", True), ("PHY-02", False)]
    _print_influences(found)
    said = capsys.readouterr().out
    assert [line.split()[0] for line in said.splitlines() if line.rstrip().endswith(" silent")] == ["PHY-11"]
    assert "1 of 2 statements with terms are silent" in said


def test_an_edited_number_changes_the_hash_of_the_model(knowledge: Knowledge) -> None:
    plain = compile_model(knowledge).hash  # of values to 12 digits, so that machines agree
    assert compile_model(load()).hash == plain
    value = knowledge.parameter["hgf_half_life"].value
    assert isinstance(value, float)
    assert compile_model(with_parameter(knowledge, "hgf_half_life", value=value * (1 + 1e-9))).hash != plain
    # What is written about a number is not the number.
    assert compile_model(with_parameter(knowledge, "hgf_half_life", meaning="other words")).hash == plain
