"""Bands: between which values most virtual animals lie, from the runs to figures, report, JSON and disk."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hepatalk.errors import ExperimentError, ResultError, UnknownNameError
from hepatalk.experiments.banded import SHARE, with_bands
from hepatalk.experiments.run import Run, perform
from hepatalk.knowledge.load import Knowledge, load
from hepatalk.plots import figures
from hepatalk.plots.view import view_of
from hepatalk.report.charts import charts
from hepatalk.results.band import Band, Bands
from hepatalk.results.store import load_result, save_result

RATES = (0.004, 0.006, 0.008, 0.01)


@pytest.fixture(scope="module")
def knowledge() -> Knowledge:
    return load()


@pytest.fixture(scope="module")
def alone(knowledge: Knowledge) -> Run:
    return perform("phx70", days=3.0, every=6.0, knowledge=knowledge)


@pytest.fixture(scope="module")
def banded(alone: Run, knowledge: Knowledge) -> Run:
    run, not_run = with_bands(alone, [{"hep_growth_rate": r} for r in RATES], knowledge, workers=1)
    assert not_run == ()
    return run


def test_a_band_is_the_middle_of_the_animals(banded: Run, knowledge: Knowledge) -> None:
    bands = banded.result.bands
    assert bands is not None
    assert (bands.members, bands.share) == (4, SHARE)
    curves = [
        perform("phx70", days=3.0, every=6.0, knowledge=knowledge, set={"hep_growth_rate": r}).result.readout(
            "liver_volume"
        )
        for r in RATES
    ]
    band = bands.curves["liver_volume"]
    low, median, high = np.quantile(curves, (0.05, 0.5, 0.95), axis=0)
    np.testing.assert_allclose([band.low, band.median, band.high], [low, median, high], rtol=1e-12)
    assert (band.high - band.low)[-1] > 0.01
    assert {"portal_flow", "shear", "function", "s_phase.HEP"} <= set(bands.curves)


def test_the_curves_of_the_run_stay_those_of_the_best_fit(alone: Run, banded: Run) -> None:
    assert alone.result.bands is None
    for name in alone.result.names:
        np.testing.assert_array_equal(alone.result.readout(name), banded.result.readout(name))


def test_json_has_bands_only_when_there_are_any(alone: Run, banded: Run) -> None:
    assert "bands" not in alone.result.to_json()
    record = banded.result.to_json()
    assert {k: v for k, v in record.items() if k != "bands"} == alone.result.to_json()
    assert list(record["bands"]["liver_volume"]) == ["low", "high", "median"]
    assert all(len(v) == len(record["time_h"]) for v in record["bands"]["liver_volume"].values())


def test_bands_survive_disk_and_pickle_and_are_part_of_the_checksum(alone: Run, banded: Run, tmp_path: Path) -> None:
    save_result(banded.result, tmp_path)
    for again in (load_result(tmp_path), pickle.loads(pickle.dumps(banded.result))):
        assert again.content_hash() == banded.result.content_hash() != alone.result.content_hash()
        assert again.to_json()["bands"] == banded.result.to_json()["bands"]
        assert again.bands is not None
        assert (again.bands.members, again.bands.share) == (4, SHARE)
        assert not again.bands.curves["liver_volume"].low.flags.writeable


def test_what_the_experiment_sets_stays_set_in_every_animal(knowledge: Knowledge) -> None:
    fixed = perform("phx70", days=1.0, knowledge=knowledge, set={"hep_growth_rate": 0.01})
    run, _ = with_bands(fixed, [{"hep_growth_rate": 0.001}], knowledge)
    assert run.result.bands is not None
    np.testing.assert_array_equal(run.result.bands.curves["liver_volume"].high, fixed.result.readout("liver_volume"))


def test_animals_that_cannot_be_run_are_in_no_band_and_counted(alone: Run, knowledge: Knowledge) -> None:
    broken = {"hep_growth_rate": 1e9}
    run, not_run = with_bands(alone, [{}, broken], knowledge, workers=1)
    assert run.result.bands is not None
    assert (run.result.bands.members, len(not_run)) == (1, 1)
    with pytest.raises(ExperimentError, match=r"none of 1 virtual animals can be run .*leave --members out"):
        with_bands(alone, [broken], knowledge)
    with pytest.raises(ExperimentError, match="parameter sets"):
        with_bands(alone, [], knowledge)


# --- pictures ------------------------------------------------------------------------------------------------------


def test_figures_and_report_draw_bands_and_say_what_they_are(alone: Run, banded: Run, knowledge: Knowledge) -> None:
    view, plain = view_of(banded, knowledge), view_of(alone, knowledge)
    label = "90% of 4 virtual rats"
    for name in ("liver_volume", "s_phase", "flow"):
        with_band, without = figures(banded, view=view)[name], figures(alone, view=plain)[name]
        entries = [t.get_text() for a in with_band.axes for t in (a.get_legend().get_texts() if a.get_legend() else [])]
        assert entries.count(label) == 1, name
        caption = " ".join(with_band.texts[1].get_text().split())
        assert "5% to the 95% quantile of 4 virtual animals" in caption
        assert label not in str([t.get_text() for t in without.findobj(lambda a: hasattr(a, "get_text"))])
        pale = [t for t in charts(view)[name]["data"] if t.get("fill") == "tonexty"]
        assert [t["name"] for t in pale] == [label] * len(pale)
        assert sum(t["showlegend"] for t in pale) == 1
        assert not [t for t in charts(plain)[name]["data"] if "fill" in t]


# --- checks --------------------------------------------------------------------------------------------------------

THREE = np.array([0.1, 0.2, 0.3])


@pytest.mark.parametrize(
    ("band", "said"),
    [
        (Band(THREE, THREE - 0.01, THREE), "low <= median <= high"),
        (Band(THREE, THREE, THREE[:2]), "low <= median <= high"),
        (Band(THREE * np.nan, THREE, THREE), "low is not finite"),
    ],
)
def test_a_band_that_is_none_is_refused(band: Band, said: str) -> None:
    with pytest.raises(ResultError, match=said):
        Bands(3, 0.9, {"x": band})


def test_bands_belong_to_readouts_and_times_of_the_result(alone: Run) -> None:
    with pytest.raises(ResultError, match="one for each of"):
        replace(alone.result, bands=Bands(3, 0.9, {"liver_volume": Band(THREE, THREE, THREE)}))
    many = np.ones_like(alone.result.time_h)
    with pytest.raises(UnknownNameError, match="liver_volum"):
        replace(alone.result, bands=Bands(3, 0.9, {"liver_volum": Band(many, many, many)}))
    with pytest.raises(ResultError, match="0 animals"):
        Bands(0, 0.9, {})
