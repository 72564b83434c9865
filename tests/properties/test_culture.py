"""Cells in a dish: the same model, of which only state, inflow and parameters are other."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hepatalk.engines.population.changes import apply_change
from hepatalk.experiments.experiment import (
    catalogue_names,
    experiment_from_mapping,
    load_experiment,
    parse_experiment,
)
from hepatalk.experiments.run import Run, perform
from hepatalk.knowledge.load import load
from hepatalk.model.compiled import CompiledModel
from hepatalk.model.compiler import compile_model
from hepatalk.model.schedule import Change
from hepatalk.results.result import Result
from hepatalk.results.store import save_result

SHOWN = ("hepatocyte_count", "hepatocyte_volume", "s_phase.HEP", "count.KC", "signal.HGF", "signal.IL6", "node.HEP.MET")
HGF = {"at": "0 h", "intervention": "medium", "signals": {"HGF": 5.0}, "held": True}


def dish(
    cells: Any, *items: Mapping[str, object], days: float = 2.0, knockouts: Sequence[str] = (), **more: Any
) -> Run:
    data = {
        **{"title": "t", "readouts": ["s_phase.HEP"], "days": days, "schedule": items},
        **{"culture": {"cells": cells, **more}, "knockouts": knockouts},
    }
    return perform(experiment_from_mapping(data, "t"), every=6.0)


def differ(a: Result, b: Result, names: Sequence[str] = SHOWN) -> float:
    pairs = [(a.readout(n), b.readout(n)) for n in names]
    return max(float((np.abs(x - y) / np.maximum(np.maximum(np.abs(x), np.abs(y)), 1e-6)).max()) for x, y in pairs)


@pytest.fixture(scope="module")
def model() -> CompiledModel:
    return compile_model(load())


# --- what a dish is


@pytest.mark.parametrize("name", [n for n in catalogue_names() if load_experiment(n).culture is not None])
def test_every_culture_of_the_catalogue_is_the_model_of_the_animal_and_has_no_others_in_it(
    name: str, model: CompiledModel
) -> None:
    run = perform(name, every=12.0)
    assert run.result.provenance.model_hash == model.hash
    culture = run.experiment.culture
    assert culture is not None
    for cell in ("HEP", "LSEC", "HSC", "KC", "BEC"):
        number = run.result.readout("hepatocyte_count" if cell == "HEP" else f"count.{cell}")
        if cell in culture.cells:
            assert number[0] == pytest.approx(culture.cells[cell], rel=0.02)  # a day has passed since
        elif not {cell, *culture.cells} >= {"HEP", "BEC"}:  # which may become each other
            assert np.abs(number).max() < 1e-9
            assert run.result.readout(f"s_phase.{cell}").max() == 0.0
    for nothing in ("portal_flow", "arterial_flow", "shear"):
        assert np.abs(run.result.readout(nothing)).max() == 0.0
    assert run.result.readout("survived").min() == 1.0


def test_the_dish_has_room_for_cells_and_medium_and_its_readout_leaves_the_medium_out() -> None:
    for space in (1.0, 5.0):
        run = dish(["HEP"], space=space)
        index = run.model.slot_index
        values = perform_values(run, 0)
        # Cells shrink a little while they settle; the medium stays.
        cells = run.result.at("liver_volume", 0.0)
        assert values[index["volume"]] - cells == pytest.approx(space - 0.8, rel=1e-3)
        assert 0.7 < cells < 0.801


def perform_values(run: Run, k: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return every slot of the model at an output of a run."""
    from hepatalk.engines.population.engine import PopulationEngine

    system = PopulationEngine().system(run.model)
    system.params = run.course.param_sets[run.course.param_set_of[k]].copy()
    return np.array(system.values(run.course.states[k]))


def test_half_the_cells_in_half_the_room_behave_as_all_of_them() -> None:
    whole, half = dish({"HEP": 1, "KC": 1}).result, dish({"HEP": 0.5, "KC": 0.5}, space=0.5).result
    per_cell = ("hepatocyte_volume", "s_phase.HEP", "state.KC.activated", "signal.IL6", "signal.TNF")
    assert differ(whole, half, per_cell) < 1e-4
    assert half.at("count.KC", 0.0) == pytest.approx(0.5 * whole.at("count.KC", 0.0), rel=1e-4)
    assert (
        differ(whole, dish({"HEP": 0.5, "KC": 0.5}).result, ("signal.IL6",)) > 0.3
    )  # in all the room they are diluted


def test_load_does_not_rise_where_cells_are_lost_and_nobody_dies() -> None:
    killed = {"at": "0 h", "intervention": "deplete", "cell": "HEP", "fraction": 0.99}
    run = dish(["HEP"], killed, days=6.0)
    assert run.result.at("hepatocyte_count", 144.0) < 0.02
    assert perform_values(run, -1)[run.model.slot_index["load"]] == 1.0
    assert run.course.died_at_h is None


def test_oxygen_comes_with_the_air() -> None:
    assert dish(["HEP"]).result.at("oxygen", 24.0) == pytest.approx(1.0, rel=1e-9)
    low = dish(["HEP"], oxygen=0.1).result
    assert low.at("oxygen", 24.0) < 0.5
    assert low.at("node.HEP.HIF", 24.0) > dish(["HEP"]).result.at("node.HEP.HIF", 24.0)


def test_cells_may_come_from_an_animal_in_which_something_has_been_done() -> None:
    phx = {"at": "0 h", "injury": "partial_hepatectomy", "fraction": 0.7}
    taken = dish(["HEP"], phx, days=3.0, at="24 h").result
    whole = perform("phx70", days=3.0, every=6.0)
    animal = whole.result
    assert taken.at("s_phase.HEP", 18.0) == pytest.approx(animal.at("s_phase.HEP", 18.0), rel=1e-5)
    # In the dish the zones count by their healthy shares, which the animal's cells have not quite kept.
    m, y = whole.model, whole.course.states[4]
    index = {name: i for i, name in enumerate(m.state_names)}
    expected = 0.0
    for z in (1, 2, 3):
        cycling = sum(y[i] for name, i in index.items() if name.startswith("HEP.s.") and name.endswith(f"@{z}"))
        expected += m.rest[index[f"HEP.count@{z}"]] * cycling / y[index[f"HEP.count@{z}"]]
    assert whole.course.time_h[4] == 24.0
    assert taken.at("s_phase.HEP", 24.0) == pytest.approx(expected, rel=1e-5)
    assert taken.at("hepatocyte_count", 24.0) == pytest.approx(1.0, rel=1e-9)
    assert taken.at("s_phase.HEP", 60.0) < 0.5 * animal.at("s_phase.HEP", 60.0)


# --- medium


def test_a_held_level_stands_and_one_given_once_goes_at_the_clearance_of_the_signal() -> None:
    held = dish(["KC"], HGF).result.readout("signal.HGF")
    np.testing.assert_allclose(held, 5.0, rtol=1e-6)
    run = dish(["KC"], {**HGF, "held": False})
    pace = float(run.model.params[run.model.position("clearance.HGF")])
    expected = 5.0 * np.exp(-pace * run.result.time_h[:3])
    np.testing.assert_allclose(run.result.readout("signal.HGF")[:3], expected, rtol=1e-4, atol=1e-8)
    assert math.isclose(pace, math.log(2.0) / float(load().parameter["hgf_half_life"].value))  # type: ignore[arg-type]


def test_a_medium_of_matrix_binds_what_is_given_once_and_not_what_is_held() -> None:
    coated = {"medium": {"ECM": 1.0}}
    assert dish(["HEP"], HGF, **coated).result.at("signal.HGF", 24.0) == pytest.approx(5.0, rel=1e-6)
    once, bare = dish(["HEP"], {**HGF, "held": False}, **coated).result, dish(["HEP"], {**HGF, "held": False}).result
    assert once.at("matrix_store.HGF", 24.0) > 1e-4 > 1e3 * abs(bare.at("matrix_store.HGF", 24.0))


def test_no_dose_is_the_control_and_a_dose_is_not() -> None:
    control = dish(["HEP"]).result
    assert differ(dish(["HEP"], {**HGF, "signals": {"HGF": 0.0}}).result, control) < 1e-6
    assert differ(dish(["HEP"], {**HGF, "signals": {"HGF": 1e-6}}).result, control, SHOWN[:3]) < 1e-4
    with_hgf = dish(["HEP"], HGF).result
    assert with_hgf.at("s_phase.HEP", 48.0) > 1.5 * control.at("s_phase.HEP", 48.0)
    # What is in the medium from the beginning is there when the time begins.
    assert dish(["HEP"], medium={"HGF": 5.0}).result.at("node.HEP.MET", 0.0) > 0.1


def test_the_order_of_media_of_one_time_does_not_matter() -> None:
    items = (
        HGF,
        {**HGF, "signals": {"EGF": 3.0}},
        {"at": "0 h", "intervention": "deplete", "cell": "KC", "fraction": 0.5},
    )
    assert differ(dish(["HEP", "KC"], *items).result, dish(["HEP", "KC"], *reversed(items)).result) == 0.0


def test_without_its_receptor_a_ligand_in_the_medium_says_nothing() -> None:
    without, given = dish(["HEP"], knockouts=["Met"]).result, dish(["HEP"], HGF, knockouts=["Met"]).result
    assert differ(given, without, ("hepatocyte_count", "hepatocyte_volume", "s_phase.HEP", "node.HEP.MET")) < 1e-6


def test_at_its_end_the_medium_is_that_of_the_dish_again() -> None:
    result = dish(["HEP"], {**HGF, "until": "24 h"}, medium={"HGF": 2.0}).result
    assert [result.at("signal.HGF", t) for t in (0.0, 18.0, 24.0, 48.0)] == pytest.approx(
        [5.0, 5.0, 2.0, 2.0], rel=1e-6
    )
    replaced = dish(["HEP"], HGF, {**HGF, "at": "24 h", "signals": {"HGF": 1.0}}).result
    assert [replaced.at("signal.HGF", t) for t in (18.0, 24.0, 48.0)] == pytest.approx([5.0, 1.0, 1.0], rel=1e-6)


def test_a_co_culture_hears_what_the_other_cells_release_and_only_that(model: CompiledModel) -> None:
    medium = {"LPS": 20.0}
    alone, together = dish(["HEP"], medium=medium).result, dish(["HEP", "KC"], medium=medium).result
    assert together.at("signal.TNF", 24.0) > 0.5 > 1e3 * abs(alone.at("signal.TNF", 24.0))
    assert differ(alone, together, ("s_phase.HEP",)) > 0.05
    released = [x for x in model.activities if x.parameter.startswith("activity.signal.") and x.cell == "KC"]
    mute = [f"{gene}@KC" for gene in sorted({g for x in released for g in x.genes})]
    silent = dish(["HEP", "KC"], knockouts=mute, medium=medium).result
    deaf = dish(["HEP"], knockouts=mute, medium=medium).result
    assert differ(deaf, silent, ("hepatocyte_count", "s_phase.HEP")) < 1e-3


def test_a_label_changes_nothing_but_itself() -> None:
    label = {"at": "0 h", "intervention": "label", "cell": "HEP", "fraction": 0.5}
    plain, marked = dish(["HEP"]).result, dish(["HEP"], label).result
    assert differ(plain, marked) < 1e-6
    assert marked.at("label.HEP", 0.0) == pytest.approx(0.5)


# --- conditioned medium


def conditioned(source: object, **more: object) -> dict[str, object]:
    item = {"at": "0 h", "intervention": "conditioned_medium", "source": str(source), "after": "24 h", "held": True}
    return {**item, **more}


def test_conditioned_medium_is_what_is_dissolved_in_that_of_the_source(tmp_path: Path) -> None:
    source = perform("hsc_culture").result
    run = dish(["BEC"], conditioned("hsc_culture"))
    assert run.result.at("signal.HGF", 0.0) == pytest.approx(source.at("signal.HGF", 24.0), rel=1e-6)
    assert source.at("signal.ECM", 24.0) > 1e-4
    assert run.result.at("signal.ECM", 0.0) < 1e-6  # matrix stays where it was made
    assert run.result.at("signal.HGF", 0.0) > 0.1
    half = dish(["BEC"], conditioned("hsc_culture", fraction=0.5), medium={"EGF": 2.0}).result
    assert half.at("signal.HGF", 24.0) == pytest.approx(0.5 * run.result.at("signal.HGF", 24.0), rel=1e-6)
    assert half.at("signal.EGF", 24.0) == pytest.approx(2.0, rel=1e-6)
    nothing = dish(["BEC"], conditioned("hsc_culture", fraction=1e-9)).result
    assert differ(nothing, dish(["BEC"]).result, ("count.BEC", "s_phase.BEC")) < 1e-4
    save_result(source, tmp_path / "saved")
    assert (
        differ(dish(["BEC"], conditioned(tmp_path / "saved")).result, run.result, ("signal.HGF", "s_phase.BEC")) < 1e-5
    )


def test_a_run_keeps_the_levels_of_its_conditioned_medium() -> None:
    run = dish(["BEC"], conditioned("hsc_culture"))
    item = run.experiment.schedule[0]
    again = perform(experiment_from_mapping(run.experiment.model_dump(), "again")).result
    assert again.at("signal.HGF", 24.0) == pytest.approx(item.levels["HGF"], rel=1e-6)  # type: ignore[attr-defined]


# --- the two changes of state


def test_seeding_makes_the_stated_number_and_keeps_states_and_sizes(model: CompiledModel) -> None:
    y = np.where(model.extensive, 0.3 * model.rest, model.rest)
    out = apply_change(model, model.params.copy(), y, Change(0.0, "seed", "HEP", 2.0, ""))
    here = [i for i, n in enumerate(model.state_names) if n.startswith("HEP.")]
    np.testing.assert_allclose(out[here], 2.0 * model.rest[here], rtol=1e-12)
    others = np.setdiff1d(np.arange(model.n_states), here)
    assert np.array_equal(out[others], y[others])
    gone = apply_change(model, model.params.copy(), out, Change(0.0, "seed", "HEP", 0.0, ""))
    back = apply_change(model, model.params.copy(), gone, Change(0.0, "seed", "HEP", 1.0, ""))
    assert gone[here].max() == back[here].max() == 0.0


def test_a_state_is_set_in_every_zone(model: CompiledModel) -> None:
    out = apply_change(model, model.params.copy(), model.rest, Change(0.0, "set_state", "signal.HGF", 3.0, ""))
    changed = [model.state_names[i] for i in np.flatnonzero(out != model.rest)]
    assert changed == [f"signal.HGF@{z}" for z in (1, 2, 3)]


def test_a_culture_is_read_back_from_what_it_writes() -> None:
    held = "culture: {cells: {HEP: 1, KC: 0.5}, at: -6 h, medium: {EGF: 2}, held: false}"
    posed = parse_experiment(f"title: t\nreadouts: [s_phase.HEP]\n{held}\n", "t.yaml")
    assert experiment_from_mapping(posed.model_dump(), "again") == posed
    assert posed.culture is not None
    assert (posed.culture.at, posed.culture.cells["KC"], posed.culture.held) == (-6.0, 0.5, False)
