"""Blood by two ways: the artery answers to portal inflow, and hepatocytes without oxygen die."""

from __future__ import annotations

import numpy as np
import pytest

from hepatalk.experiments.experiment import experiment_from_mapping
from hepatalk.experiments.run import perform
from hepatalk.knowledge.load import load
from hepatalk.model.compiled import CompiledModel
from hepatalk.model.compiler import compile_model
from hepatalk.results.result import Result

BUFFER = 0.44  # of missing portal blood, Lautt et al. 1990
PORTAL = 0.75


def ran(*items: dict[str, object], days: float = 2.0, lobes: bool = False) -> Result:
    readouts = ["arterial_flow", *(["liver_volume.A"] if lobes else [])]
    data = {"title": "t", "readouts": readouts, "days": days, "schedule": items}
    return perform(experiment_from_mapping(data, "t"), every=0.5).result


def clamp(until: str = "60 min", at: str = "0 h", fraction: float = 1.0) -> dict[str, object]:
    return {"at": at, "injury": "ischaemia", "until": until, "fraction": fraction}


@pytest.fixture(scope="module")
def model() -> CompiledModel:
    return compile_model(load())


@pytest.mark.parametrize("left", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("lobes", [False, True])
def test_the_artery_makes_good_a_part_of_the_portal_blood_that_is_missing(left: float, lobes: bool) -> None:
    result = ran({"at": "0 h", "intervention": "scale_inflow", "factor": left}, days=1, lobes=lobes)
    missing = PORTAL * (1.0 - left)
    gained = (1.0 - PORTAL) * (result.at("arterial_flow", 12.0) - 1.0)
    assert gained == pytest.approx(BUFFER * missing, rel=1e-9)


def test_too_much_portal_blood_closes_the_artery_and_no_more() -> None:
    flow = ran({"at": "0 h", "intervention": "scale_inflow", "factor": 5}, days=1).readout("arterial_flow")
    assert flow.min() == flow.max() == 0.0


def test_a_resection_leaves_the_artery_as_it_is() -> None:
    flow = ran({"at": "0 h", "injury": "partial_hepatectomy", "fraction": 0.7}).readout("arterial_flow")
    np.testing.assert_allclose(flow, 1.0, rtol=1e-12)


def test_oxygen_and_shear_do_not_fall_to_nothing_without_portal_blood() -> None:
    result = ran({"at": "0 h", "intervention": "shunt", "fraction": 0.999})
    assert result.at("arterial_flow", 24.0) > 2.0
    assert result.at("oxygen", 24.0) > 0.9
    assert result.at("shear", 24.0) > 0.5
    assert result.at("portal_flow", 24.0) < 0.01


def test_what_is_clamped_is_open_again_and_hepatocytes_have_died_between() -> None:
    result = ran(clamp())
    for name in ("oxygen", "arterial_flow", "portal_flow", "shear"):
        assert result.at(name, 0.5) == 0.0
        assert result.at(name, 1.0) > 0.9
    rate = 0.3  # per h without oxygen: gain_anoxia x hep_anoxia_at_rest
    assert result.at("necrosis.HEP", 0.5) == pytest.approx(rate, rel=0.01)
    assert result.at("hepatocyte_count", 1.0) == pytest.approx(np.exp(-rate), rel=0.01)
    assert result.at("dead_cell_area", 1.0) > 0.1
    assert result.at("dead_cell_area", 48.0) < 0.5 * result.at("dead_cell_area", 1.0)


def test_necrosis_is_a_law_of_oxygen_and_not_of_the_clamp(model: CompiledModel) -> None:
    """Cells in a dish without air die as those of a clamped liver do."""
    data = {"title": "t", "readouts": ["oxygen"], "days": 1, "culture": {"cells": ["HEP"], "oxygen": 0.0, "at": "0 h"}}
    dish = perform(experiment_from_mapping(data, "t"), every=0.5).result
    assert dish.at("hepatocyte_count", 1.0) == pytest.approx(ran(clamp()).at("hepatocyte_count", 1.0), rel=1e-3)
    assert not any("isch" in name or "clamp" in name for name in (*model.slot_names, *model.param_names))


def test_no_clamp_is_the_control_and_a_longer_one_kills_more() -> None:
    sham = ran()
    nothing = ran(clamp(fraction=1e-6))
    short, long = ran(clamp("30 min")), ran(clamp("90 min"))
    for name in ("hepatocyte_count", "oxygen", "arterial_flow", "s_phase.HEP"):
        np.testing.assert_allclose(nothing.readout(name), sham.readout(name), rtol=1e-4)
    assert 1.0 > short.at("hepatocyte_count", 2.0) > long.at("hepatocyte_count", 2.0) > 0.5


def test_a_part_of_the_flow_is_enough_to_live() -> None:
    assert ran(clamp("6 h", fraction=0.6)).at("hepatocyte_count", 6.0) > 0.98


def test_order_of_a_clamp_and_another_injury_of_one_time_does_not_matter() -> None:
    items = (clamp(), {"at": "0 h", "injury": "zonal_necrosis", "zone3": 0.4})
    one, two = ran(*items), ran(*reversed(items))
    np.testing.assert_array_equal(one.readout("hepatocyte_count"), two.readout("hepatocyte_count"))


def test_a_held_artery_is_what_is_left_when_the_statement_is_silenced() -> None:
    flow = {"at": "0 h", "intervention": "scale_inflow", "factor": 0.4}
    data = {"title": "t", "readouts": ["arterial_flow"], "days": 1, "schedule": [flow]}
    silent = perform(experiment_from_mapping(data, "t"), every=6.0, silenced=["PHY-18"]).result
    np.testing.assert_allclose(silent.readout("arterial_flow"), 1.0, rtol=1e-12)
