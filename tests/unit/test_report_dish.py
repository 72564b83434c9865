"""The report of cells in a dish: no liver, no blood, no cells that are not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from hepatalk.experiments.run import perform
from hepatalk.knowledge.load import Knowledge, load
from hepatalk.plots.captions import TITLES, titles
from hepatalk.plots.panels import draw_all
from hepatalk.plots.view import View, view_of
from hepatalk.report import write_report
from hepatalk.report.charts import charts
from hepatalk.report.words import summary


@pytest.fixture(scope="module")
def knowledge() -> Knowledge:
    return load()


@pytest.fixture(scope="module")
def view(knowledge: Knowledge) -> View:
    return view_of(perform("hep_kc_coculture", knowledge=knowledge), knowledge)


def test_the_summary_says_what_was_put_in_and_nothing_of_a_liver(view: View) -> None:
    said = summary(view)
    assert "hepatocytes (as many as in a healthy liver), Kupffer cells (as many as in a healthy liver)" in said
    assert "without any signal" in said
    assert "24 h after they were put in" in said
    count = view.result.readout("count.KC")
    assert f"Kupffer cells: {count[-1] / count[0]:.2f} times the number of time zero" in said
    for word in ("liver volume", "ortal flow", "animal dies", "cells put into a dish"):
        assert word not in said


def test_a_dish_has_neither_flow_nor_liver_volume_and_only_its_own_cells(view: View) -> None:
    names = set(TITLES) - {"liver_volume", "flow"}
    assert set(titles(view)) == set(charts(view)) == set(draw_all(view)) == names
    assert view.cells == ("HEP", "KC")
    shown = {line["name"] for line in charts(view)["s_phase"]["data"]}
    assert shown == {"hepatocytes (HEP)", "Kupffer cells (KC)"}
    assert {wave.cell for wave in view.waves} <= {"HEP", "KC"}
    assert [drive.readout for drive in view.drives] == ["s_phase.HEP"]


def test_signals_that_were_washed_away_are_not_said_to_respond(view: View) -> None:
    assert view.responses.names
    for name in view.responses.names:
        assert view.result.readout(f"signal.{name}").max() >= 0.01


def test_a_dish_without_hepatocytes_has_no_figure_of_them(knowledge: Knowledge, tmp_path: Path) -> None:
    run = perform("kc_culture", knowledge=knowledge, days=1)
    view = view_of(run, knowledge)
    assert "hepatocytes" not in titles(view)
    assert [drive.readout for drive in view.drives] == ["s_phase.KC"]
    text = write_report(run, tmp_path / "report.html", view=view).read_text(encoding="utf-8")
    assert "<code>count.KC</code>" in text
    assert "Portal flow per liver volume" not in text


def test_an_animal_has_all_figures(knowledge: Knowledge) -> None:
    view = view_of(perform("phx30", knowledge=knowledge, days=1), knowledge)
    assert titles(view) == TITLES
    assert view.dish is None
