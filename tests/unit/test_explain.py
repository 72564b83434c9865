"""What explanations find, what they list, and what they say turned a readout down."""

from __future__ import annotations

import numpy as np
import pytest

from hepatalk.errors import UnknownNameError
from hepatalk.experiments.drivers import drivers, since_peak
from hepatalk.experiments.explain import explain
from hepatalk.experiments.run import Run, perform
from hepatalk.knowledge.load import Knowledge, load


@pytest.fixture(scope="module")
def knowledge() -> Knowledge:
    return load()


@pytest.fixture(scope="module")
def run(knowledge: Knowledge) -> Run:
    return perform("phx70", knowledge=knowledge)


@pytest.mark.parametrize(
    ("name", "kind", "found"),
    [
        ("Kupffer", "cell", "KC"),
        ("stellate", "cell", "HSC"),
        ("hepatocyte", "cell", "HEP"),
        ("Hepatocytes", "cell", "HEP"),
        ("sinusoidal endothelial cells", "cell", "LSEC"),
        ("load", "quantity", "load"),
        ("Shear Stress", "quantity", "shear"),
        ("portal flow", "quantity", "flow"),
        ("phx70_anti_il6", "experiment", "phx70_anti_il6"),
        ("PHX70_ANTI_IL6", "experiment", "phx70_anti_il6"),
        ("phx70", "experiment", "phx70"),
        ("sham", "experiment", "sham"),
    ],
)
def test_names_that_people_type_are_found(knowledge: Knowledge, name: str, kind: str, found: str) -> None:
    page = explain(knowledge, name)
    assert (page.kind, page.id) == (kind, found)


def test_readouts_win_over_quantities_and_are_found_in_any_case(knowledge: Knowledge) -> None:
    known = [{"name": "s_phase.HEP", "unit": "1", "definition": "d", "drivers": []},
             {"name": "portal_flow", "unit": "1", "definition": "d", "drivers": []}]  # fmt: skip
    for name in ("S_Phase.hep", "S phase HEP", "s phase.HEP"):
        assert explain(knowledge, name, lambda: known).id == "s_phase.HEP"
    page = explain(knowledge, "portal flow", lambda: known)
    assert (page.kind, page.id) == ("readout", "portal_flow")
    assert any(g.title == "What it acts on" for g in page.groups)


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("shear", "release of NO by LSEC: it raises it  [HEP-LSEC-13]"),
        ("portal flow", "release of NO by LSEC: through shear it raises it  [HEP-LSEC-13]"),
        ("load", "HEP commit (primed to g1): it raises it  [PHY-02]"),
    ],
)
def test_quantities_list_what_they_act_on(knowledge: Knowledge, name: str, line: str) -> None:
    page = explain(knowledge, name)
    lines = [text for g in page.groups if g.title == "What it acts on" for text in g.lines]
    assert line in lines
    assert {text.split("[")[1].rstrip("]") for text in lines} <= {s.row for s in page.statements}


def test_a_word_of_two_cell_types_finds_neither(knowledge: Knowledge) -> None:
    with pytest.raises(UnknownNameError, match="unknown name 'hepatic'"):
        explain(knowledge, "hepatic")


def test_an_experiment_that_is_nearly_named_is_offered(knowledge: Knowledge) -> None:
    with pytest.raises(UnknownNameError, match="nearest: phx70_anti_il6"):
        explain(knowledge, "phx70_anti_il7")


def test_what_turned_it_down_is_the_push_now_minus_the_push_at_the_peak(run: Run, knowledge: Knowledge) -> None:
    turn = since_peak(run, "s_phase.HEP", 60.0, 400, knowledge=knowledge)
    assert turn is not None
    values = run.result.readout("s_phase.HEP")
    assert turn.peak_h == run.result.time_h[int(values[:61].argmax())]
    now = {d.row: d.effect for d in drivers(run, "s_phase.HEP", 60.0, 400, knowledge=knowledge)}
    then = {d.row: d.effect for d in drivers(run, "s_phase.HEP", turn.peak_h, 400, knowledge=knowledge)}
    for d in turn.drivers[:10]:
        assert d.effect == pytest.approx(now.get(d.row, 0.0) - then.get(d.row, 0.0), abs=2e-4)
    assert min(d.effect for d in turn.drivers) < -0.1
    assert "PHY-02" in {d.row for d in turn.drivers if d.effect < 0.0}  # the load is less than it was


def test_a_readout_at_its_highest_has_not_turned(run: Run, knowledge: Knowledge) -> None:
    peak_h = float(run.result.time_h[int(np.argmax(run.result.readout("s_phase.HEP")))])
    assert since_peak(run, "s_phase.HEP", peak_h, knowledge=knowledge) is None
    assert since_peak(run, "liver_volume", 48.0, knowledge=knowledge) is None


def test_hypotheses_say_which_alternative_runs_or_that_nothing_changes(knowledge: Knowledge) -> None:
    for h in knowledge.hypotheses:
        said = dict(explain(knowledge, h.id).facts)["switched on"]
        assert said in h.alternatives or said.startswith("nothing changes in this version")
    assert "Inhibitory" in dict(explain(knowledge, "nk_role").facts)["switched on"]
    assert "Bile ducts" in dict(explain(knowledge, "sdf1_source").facts)["switched on"]
    assert "second brake" in dict(explain(knowledge, "second_terminator").facts)["switched on"]


def test_a_misprint_is_shown_where_it_stands(knowledge: Knowledge) -> None:
    """A dispute about three misprints was shown on rows that hold one of them."""
    for row, word in (("HEP-HSC-15", "MARK"), ("HEP-HSC-19", "NP"), ("HEP-BEC-13", "extrabiliary")):
        here = [d.review_says for d in knowledge.disputes if row in d.rows and d.id.startswith("D-C")]
        assert [w for w in ("MARK", "NP", "extrabiliary") if any(w in text for text in here)] == [word]
