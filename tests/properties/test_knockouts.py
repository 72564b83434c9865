"""Knock-outs: what they set, when they take effect, and what a germline loss means."""

from __future__ import annotations

import numpy as np
import pytest

import hepatalk
from hepatalk.errors import ExperimentError
from hepatalk.experiments.experiment import experiment_from_mapping
from hepatalk.experiments.knockouts import KNOCKOUT_AT_H, knockout_changes
from hepatalk.experiments.run import run
from hepatalk.knowledge import Knowledge, load
from hepatalk.model import compile_model
from hepatalk.model.compiled import CompiledModel


@pytest.fixture(scope="module")
def knowledge() -> Knowledge:
    return load()


@pytest.fixture(scope="module")
def model(knowledge: Knowledge) -> CompiledModel:
    return compile_model(knowledge)


def experiment(**fields: object) -> hepatalk.Experiment:
    base: dict[str, object] = {"title": "knock-out", "days": 3.0, "readouts": ["liver_volume"]}
    return experiment_from_mapping({**base, **fields}, "test")


def test_a_gene_is_gone_a_week_before_time_zero(knowledge: Knowledge, model: CompiledModel) -> None:
    changes = knockout_changes(knowledge, model, ["Met"])
    assert {c.target for c in changes} == {"activity.node.HEP.MET", "activity.gene.MET@BEC", "activity.gene.MET@BIP"}
    assert all(c.at_h == KNOCKOUT_AT_H == -168.0 and c.value == 0.0 for c in changes)


def test_a_member_of_a_family_costs_its_share(knowledge: Knowledge, model: CompiledModel) -> None:
    one = {c.target: c.value for c in knockout_changes(knowledge, model, ["Rela"])}
    both = {c.target: c.value for c in knockout_changes(knowledge, model, ["Rela", "Nfkb1"])}
    assert one["activity.node.HEP.NFKB"] == pytest.approx(0.5)
    assert both["activity.node.HEP.NFKB"] == pytest.approx(0.0)


def test_a_cell_restricts_the_loss(knowledge: Knowledge, model: CompiledModel) -> None:
    everywhere = {c.target for c in knockout_changes(knowledge, model, ["Hgf"])}
    in_stellate_cells = {c.target for c in knockout_changes(knowledge, model, ["Hgf@HSC"])}
    assert in_stellate_cells < everywhere
    assert in_stellate_cells == {"activity.signal.HGF@HSC"}


def test_the_signal_of_a_lost_gene_is_gone_by_time_zero() -> None:
    result = run("sham", days=1, knockouts=["Il6"])
    assert result.readout("signal.IL6")[0] < 1e-6
    assert result.readout("liver_volume")[0] == pytest.approx(1.0, abs=0.02)


def test_no_knockouts_equals_control() -> None:
    control, none = run("phx70", days=2), run(experiment(schedule=[], days=2.0), days=2, knockouts=[])
    assert control.readout("liver_volume")[0] < none.readout("liver_volume")[0]
    again = run("phx70", days=2, knockouts=())
    assert np.array_equal(control.readout("liver_volume"), again.readout("liver_volume"))


def test_germline_animals_start_from_a_steady_state_of_their_own() -> None:
    result = run(experiment(knockouts=["Il6"], germline=True, days=30.0))
    for name in ("liver_volume", "signal.IL6", "node.HEP.STAT3", "count.LSEC"):
        curve = result.readout(name)
        assert np.all(np.abs(curve - curve[0]) <= 2e-3 * max(abs(curve[0]), 1e-3)), name
    assert result.readout("signal.IL6")[0] < 1e-6


def test_a_germline_loss_without_a_steady_state_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    from hepatalk.experiments import run as module

    monkeypatch.setattr(module, "GERMLINE_YEARS", 1.05)
    with pytest.raises(ExperimentError, match="no steady state within") as caught:
        run(experiment(knockouts=["Met"], germline=True))
    assert "\n" not in str(caught.value)
