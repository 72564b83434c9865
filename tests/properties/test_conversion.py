"""Hepatocytes and cholangiocytes become each other: nothing is lost, health stands still, and the mode emerges."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest

from hepatalk.engines.base import Course
from hepatalk.engines.population.engine import PopulationEngine
from hepatalk.errors import EngineError
from hepatalk.experiments.readouts import measure
from hepatalk.knowledge import load
from hepatalk.model import compile_model
from hepatalk.model.compiled import CompiledModel
from hepatalk.model.linear import Linearised
from hepatalk.model.schedule import Change

Floats = npt.NDArray[np.float64]
EPITHELIUM = ("HEP", "BIP", "BEC")
#: Cells per hepatocyte, as recorded.
NUMBER = {cell: float(load().parameter[f"{cell.lower()}_number"].value) for cell in EPITHELIUM}  # type: ignore[arg-type]
WEEKS = np.arange(0.0, 24.0 * 56 + 1, 24.0)


@pytest.fixture(scope="module")
def model() -> CompiledModel:
    return compile_model(load())


def change(action: str, target: str, value: float, at_h: float = 0.0) -> Change:
    return Change(at_h, action, target, value, "")  # type: ignore[arg-type]


LOSS = [change("scale_extensive", "liver", 0.3)]
HEP_LOSS = [change("scale_state", "HEP", 0.15)]
HEP_STUCK = [change("scale_parameter", "hep_commit_rate", 1e-3)]
BEC_LOSS = [change("scale_state", "BEC", 0.1)]
BEC_STUCK = [change("scale_parameter", "bec_commit_rate", 1e-3)]
CHOLESTASIS = [change("set_parameter", "supply.BA", 4.0)]


def run(model: CompiledModel, changes: list[Change], time_h: Floats = WEEKS) -> Course:
    return PopulationEngine().run(model, changes, time_h)


def last(model: CompiledModel, course: Course, name: str) -> float:
    return float(measure(model, course, [name])[name][-1])


def share(model: CompiledModel, course: Course, cell: str, tracer: str) -> Floats:
    """Return the share of a cell type that bears a tracer, per time and zone."""
    at = {name: i for i, name in enumerate(model.state_names)}
    zones = [z for z in (1, 2, 3) if f"{cell}.count@{z}" in at]
    marked = course.states[:, [at[f"{cell}.{tracer}@{z}"] for z in zones]]
    return np.asarray(marked / course.states[:, [at[f"{cell}.count@{z}"] for z in zones]])


# ----------------------------------------------------------------------------------------------------- conservation


def test_a_conversion_moves_cells_and_makes_none(model: CompiledModel) -> None:
    """Without division and death the cells of the three types together stay as many, whatever converts."""
    still = [change("set_parameter", f"pace.{cell}.divide", 0.0) for cell in EPITHELIUM]
    deaths = [n for n in model.param_names if n.startswith(tuple(f"rest:death {c}." for c in EPITHELIUM))]
    assert len(deaths) == 3
    still += [
        change("set_parameter", name, 0.0)
        for name in (*deaths, "hep_necrosis_rate", "hep_anoxia_at_rest", "hep_shear_injury_rate")
    ]
    rates = ["bip_to_hepatocyte_rate", "bip_to_cholangiocyte_rate"]
    rates += [f"rest:{cell}.dedifferentiate@1" for cell in ("HEP", "BEC")]
    still += [change("scale_parameter", name, 30.0) for name in rates]
    course = run(model, [*BEC_LOSS, *CHOLESTASIS, *HEP_LOSS, *still])
    total = sum(NUMBER[cell] * course.states[:, model.groups[f"{cell}.count"]].sum(axis=1) for cell in EPITHELIUM)
    assert last(model, course, "hepatocytes_from_bec") > 1e-3  # something converts
    assert last(model, course, "bec_from_hepatocytes") > 1e-3
    np.testing.assert_allclose(total, total[0], rtol=1e-5)
    for cell in EPITHELIUM:
        parts = course.states[:, model.groups[cell]].sum(axis=1)
        np.testing.assert_allclose(parts, course.states[:, model.groups[f"{cell}.count"]].sum(axis=1), rtol=1e-5)


def test_in_health_as_many_cells_come_back_as_leave(model: CompiledModel) -> None:
    values = Linearised(model, model.rest).values

    def flow(name: str, cell: str) -> float:
        return float(values[model.slot_index[name]] * NUMBER[cell])

    pairs = [("HEP", "to_hepatocyte", z) for z in (1, 2, 3)] + [("BEC", "to_cholangiocyte", 1)]
    for cell, back, z in pairs:
        there, here = (
            flow(f"converted.{cell}.dedifferentiate@{z}", cell),
            flow(f"converted.BIP.{back}@{z}", "BIP"),
        )
        assert there == pytest.approx(here, rel=1e-12)
        assert 0.0 < there < 2e-7  # cells per hepatocyte and h: rare
    for z in (1, 2):
        inwards, outwards = (values[model.slot_index[f"moved.BIP.spread@{a}-{b}"]] for a, b in ((z, z + 1), (z + 1, z)))
        assert inwards == pytest.approx(outwards, rel=1e-12)


def test_new_hepatocytes_are_small_and_grow(model: CompiledModel) -> None:
    """Where hepatocytes are almost gone, those that bipotential cells make bring little mass, and gain it later."""
    spread = [change("set_parameter", "bip_to_hepatocyte_rate", 0.05), change("scale_state", "BIP", 50.0)]
    spread += [change("set_parameter", "lethal_deficit", 1e6)]
    course = run(model, [change("scale_state", "HEP", 1e-3), *HEP_STUCK, *spread], np.array([0.0, 6.0, 120.0]))
    size = measure(model, course, ["hepatocyte_volume"])["hepatocyte_volume"]
    assert size[1] < 0.6 * size[0]
    assert size[2] > 1.5 * size[1]


# ----------------------------------------------------------------------------------------------------------- labels


def test_what_is_labelled_everywhere_stays_labelled(model: CompiledModel) -> None:
    marks = [change("mark", f"{cell}.label", 1.0) for cell in (*EPITHELIUM, "HSC")]
    course = run(model, [*HEP_LOSS, *HEP_STUCK, *marks])
    for cell in (*EPITHELIUM, "HSC"):
        np.testing.assert_allclose(share(model, course, cell, "label"), 1.0, rtol=2e-5, err_msg=cell)


def test_what_nobody_labels_is_never_labelled(model: CompiledModel) -> None:
    course = run(model, [*HEP_LOSS, *HEP_STUCK])
    labels = [i for i, name in enumerate(model.state_names) if name.split("@")[0].endswith(".label")]
    assert len(labels) == 16
    assert not course.states[:, labels].any()


def test_every_epithelial_cell_has_one_origin(model: CompiledModel) -> None:
    course = run(model, [*BEC_LOSS, *CHOLESTASIS, *HEP_STUCK])
    for cell in EPITHELIUM:
        both = share(model, course, cell, "from_HEP") + share(model, course, cell, "from_BEC")
        np.testing.assert_allclose(both, 1.0, rtol=2e-5, err_msg=cell)


def test_a_label_is_inherited_by_zone_and_fraction(model: CompiledModel) -> None:
    marks = [change("mark", "HEP.label@1", 0.5, 24.0), change("mark", "HEP.label@1", 0.5, 24.0)]
    course = run(model, [*LOSS, *marks], np.array([0.0, 23.0, 25.0, 336.0]))
    got = share(model, course, "HEP", "label")
    assert not got[:2].any()
    assert got[2] == pytest.approx([0.75, 0.0, 0.0], abs=1e-4)
    assert got[3] == pytest.approx([0.75, 0.0, 0.0], abs=1e-3)  # daughters bear it, neighbours do not


def test_what_removes_cells_removes_their_labels(model: CompiledModel) -> None:
    changes = [
        change("mark", "BEC.label", 0.4),
        change("scale_state", "BEC", 0.2, 24.0),
        change("scale_extensive", "", 0.5, 48.0),
    ]
    course = run(model, changes, np.array([0.0, 23.99, 24.0, 47.99, 48.0]))
    got = share(model, course, "BEC", "label")[:, 0]
    assert got[0] == pytest.approx(0.4, rel=1e-12)
    assert got[[2, 4]] == pytest.approx(got[[1, 3]], rel=1e-5)


def test_no_rate_depends_on_a_label(model: CompiledModel) -> None:
    y = run(model, [*HEP_LOSS, *HEP_STUCK, change("mark", "HEP.label", 0.3)], np.array([0.0, 100.0])).states[-1]
    slopes = Linearised(model, y).jacobian
    tracers = model.relabel.tracers
    others = np.setdiff1d(np.arange(model.n_states), tracers)
    assert len(tracers) == 30
    assert not slopes[np.ix_(others, tracers)].any()
    assert slopes[np.ix_(tracers, others)].any()


def test_labelling_does_not_change_what_happens(model: CompiledModel) -> None:
    others = np.setdiff1d(np.arange(model.n_states), model.relabel.tracers)
    marks = [change("mark", f"{cell}.label", 0.7) for cell in ("HEP", "BEC", "LSEC")]
    plain, marked = (run(model, [*LOSS, *more], np.arange(0.0, 337.0, 12.0)) for more in ([], marks))
    np.testing.assert_allclose(marked.states[:, others], plain.states[:, others], rtol=2e-4, atol=1e-7)


def test_an_unknown_label_is_an_error(model: CompiledModel) -> None:
    with pytest.raises(
        EngineError, match=r"unknown label 'HEPP\.label'; nearest: .*HEP\.label.*; correct the schedule"
    ):
        run(model, [change("mark", "HEPP.label", 0.5)], np.array([0.0, 1.0]))


# ------------------------------------------------------------------------------------------------------ which mode


def test_hepatocytes_come_from_ducts_only_if_they_cannot_divide(model: CompiledModel) -> None:
    loss, stuck = run(model, LOSS), run(model, [*LOSS, *HEP_STUCK])
    assert last(model, loss, "hepatocytes_from_bec") < 1e-3
    assert last(model, stuck, "hepatocytes_from_bec") > 0.05
    assert last(model, run(model, HEP_STUCK), "hepatocytes_from_bec") < 1e-3  # without loss nothing calls for them


def test_the_more_division_is_held_the_more_comes_from_ducts(model: CompiledModel) -> None:
    held = [1.0, 0.3, 0.1, 0.03, 0.001]
    got = [
        last(model, run(model, [*LOSS, change("scale_parameter", "hep_commit_rate", k)]), "hepatocytes_from_bec")
        for k in held
    ]
    assert all(more > 1.1 * less for less, more in pairwise(got))
    assert got[-1] > 100.0 * got[0]


def test_a_greater_loss_of_hepatocytes_takes_more_from_ducts(model: CompiledModel) -> None:
    mild = run(model, [change("scale_state", "HEP", 0.5), *HEP_STUCK])
    severe = run(model, [*HEP_LOSS, *HEP_STUCK])
    assert last(model, severe, "hepatocytes_from_bec") > 3.0 * last(model, mild, "hepatocytes_from_bec")
    zones = severe.states[:, model.groups["BIP.count"]]
    assert (zones[-1] > 10.0 * zones[0]).all()  # bipotential cells reach the centre of the lobule too


def test_ducts_come_from_hepatocytes_when_they_are_lost(model: CompiledModel) -> None:
    tied = run(model, CHOLESTASIS)
    poisoned = run(model, [*CHOLESTASIS, *BEC_LOSS])
    stuck = run(model, [*CHOLESTASIS, *BEC_LOSS, *BEC_STUCK])
    got = [last(model, c, "bec_from_hepatocytes") for c in (tied, poisoned, stuck)]
    assert got[0] < 0.05
    assert got[1] > 5.0 * got[0]
    assert got[2] > 1.5 * got[1]
    assert last(model, stuck, "hepatocytes_from_bec") < 0.02


# ------------------------------------------------------------------------------------------------------------- fate


def fates(model: CompiledModel, changes: list[Change]) -> float:
    """Return how many bipotential cells become hepatocytes for each that becomes a cholangiocyte, after ten days."""
    course = run(model, [*HEP_LOSS, *HEP_STUCK, *changes], np.array([0.0, 240.0]))
    params, values = course.param_sets[-1], np.zeros(0)
    system = PopulationEngine().system(model)
    system.params = params
    values = system.values(course.states[-1])
    slots = model.slot_index
    hepatocytes = sum(values[slots[f"converted.BIP.to_hepatocyte@{z}"]] for z in (1, 2, 3))
    return float(hepatocytes / values[slots["converted.BIP.to_cholangiocyte@1"]])


def test_notch_decides_for_the_duct_and_numb_for_the_hepatocyte(model: CompiledModel) -> None:
    usual = fates(model, [])
    assert fates(model, [change("set_parameter", "activity.node.BIP.NOTCH", 0.0)]) > 2.0 * usual
    assert fates(model, [change("set_parameter", "free.JAG1", 10.0)]) < 0.8 * usual
    fed = fates(model, [change("set_parameter", "supply.DEBRIS", 100.0)])
    assert fed > 1.5 * usual
    for lost in ("free.WNT3A", "activity.node.BIP.CTNNB1", "activity.node.BIP.NUMB"):
        without = [change("set_parameter", "supply.DEBRIS", 100.0), change("set_parameter", lost, 0.0)]
        assert fates(model, without) < 0.8 * fed


@pytest.mark.parametrize(
    "gone",
    [
        "activity.gene.TNFRSF12A@BIP",
        "free.HGF",
        "activity.node.BIP.MTORC1",
        "activity.node.BIP.YAP",
    ],
)
def test_what_feeds_the_ductular_reaction(model: CompiledModel, gone: str) -> None:
    lost, times = [change("set_parameter", gone, 0.0)], np.array([0.0, 48.0])
    usual, without = (run(model, [*HEP_LOSS, *HEP_STUCK, *more], times) for more in ([], lost))
    assert last(model, without, "count.BIP") < 0.97 * last(model, usual, "count.BIP")


@pytest.mark.xfail(reason="cholangiocytes fall to 0.404 since the mechanism was changed: docs/science.md")
def test_lost_hepatocytes_take_most_cholangiocytes(model: CompiledModel) -> None:
    course = run(model, [*HEP_LOSS, *HEP_STUCK])
    assert measure(model, course, ["count.BEC"])["count.BEC"].min() < 0.4


def test_cholangiocytes_that_lack_mtorc1_keep_their_identity_longer(model: CompiledModel) -> None:
    lost, times = [change("set_parameter", "activity.node.BEC.MTORC1", 0.0)], np.array([0.0, 96.0])
    usual, without = (run(model, [*HEP_LOSS, *HEP_STUCK, *more], times) for more in ([], lost))
    assert last(model, without, "count.BEC") > 1.02 * last(model, usual, "count.BEC")


def test_without_bmp_bipotential_cells_do_not_become_hepatocytes(model: CompiledModel) -> None:
    lost = [change("set_parameter", "free.BMP", 0.0)]
    usual, without = (run(model, [*HEP_LOSS, *HEP_STUCK, *more]) for more in ([], lost))
    assert last(model, without, "hepatocytes_from_bec") < 0.5 * last(model, usual, "hepatocytes_from_bec")
    assert last(model, without, "count.BIP") > last(model, usual, "count.BIP")  # they stay what they are


def test_ducts_that_are_there_keep_the_identity_of_hepatocytes(model: CompiledModel) -> None:
    """The loss of ducts loosens no identity by itself; where bile acids and Notch do, it decides how far."""
    alone = run(model, BEC_LOSS)
    assert last(model, alone, "node.HEP.SOX9") < 0.1
    tied, poisoned = run(model, CHOLESTASIS), run(model, [*CHOLESTASIS, *BEC_LOSS])
    first = 14 * 24.0
    flows = []
    for course in (tied, poisoned):
        system = PopulationEngine().system(model)
        system.params = course.param_sets[-1]
        at = int(np.argmin(np.abs(WEEKS - first)))
        flows.append(float(system.values(course.states[at])[model.slot_index["converted.HEP.dedifferentiate@1"]]))
    assert flows[1] > 2.0 * flows[0]


def test_without_notch_cholangiocytes_keep_their_identity(model: CompiledModel) -> None:
    lost = [change("set_parameter", "activity.node.BEC.NOTCH", 0.0)]
    usual, without = (run(model, [*HEP_LOSS, *HEP_STUCK, *more]) for more in ([], lost))
    taken, kept = (measure(model, c, ["count.BEC"])["count.BEC"].min() for c in (usual, without))
    assert kept > max(0.8, 1.5 * taken)
    assert last(model, without, "node.BEC.SOX9") < 0.1 * last(model, usual, "node.BEC.SOX9")


def test_tgf_beta_in_the_place_of_notch() -> None:
    """With the alternative on, hepatocytes convert by TGF-beta; Jagged 1, without which none does else, is needless."""
    injured = [*CHOLESTASIS, *BEC_LOSS, *BEC_STUCK]
    settings: list[tuple[str, ...]] = [(), ("notch_role",)]
    usual, other = (compile_model(load(), hypotheses=h) for h in settings)

    def kept(model: CompiledModel, lost: str) -> float:
        """Return how much of the conversion is left without a signal."""
        without = run(model, [*injured, change("set_parameter", f"free.{lost}", 0.0)])
        name = "bec_from_hepatocytes"
        return last(model, without, name) / last(model, run(model, injured), name)

    assert kept(usual, "JAG1") < 0.5
    assert kept(usual, "TGFB1") > 0.7
    assert kept(other, "JAG1") > 0.9
    assert kept(other, "TGFB1") < 0.7


def test_a_label_set_in_an_experiment_is_read_as_one() -> None:
    """Periportal hepatocytes labelled before a resection keep their share of the liver, since all zones regrow."""
    from hepatalk.experiments.experiment import parse_experiment
    from hepatalk.experiments.run import run as run_experiment

    text = """
title: periportal hepatocytes labelled
days: 7
schedule:
  - {at: -24 h, intervention: label, cell: HEP, zone: 1, fraction: 0.9}
  - {at: 0 h, injury: partial_hepatectomy, fraction: 0.7}
readouts: [label.HEP, label.BEC]
"""
    result = run_experiment(parse_experiment(text, "label.yaml"))
    assert result.readout("label.HEP")[0] == pytest.approx(0.3, rel=1e-3)
    assert 0.2 < result.readout("label.HEP")[-1] < 0.4
    assert result.readout("label.BEC").max() < 1e-3


@pytest.mark.parametrize(("zone", "share"), [("", 0.04), (", zone: 3", 0.04 / 3)])
def test_hepatocytes_are_labelled_by_a_marker(zone: str, share: float) -> None:
    """A label by telomerase marks its share of each zone, and its bearers are as their neighbours."""
    from hepatalk.experiments.experiment import parse_experiment
    from hepatalk.experiments.run import run as run_experiment

    text = """
title: hepatocytes with high telomerase labelled
days: 7
schedule:
  - {{at: -24 h, intervention: label, cell: HEP, marker: TERT, fraction: 1.0{zone}}}
  - {{at: 0 h, injury: partial_hepatectomy, fraction: 0.7}}
readouts: [label.HEP, liver_volume]
"""
    result = run_experiment(parse_experiment(text.format(zone=zone), "label.yaml"))
    assert result.readout("label.HEP")[0] == pytest.approx(share, rel=1e-3)
    assert result.readout("label.HEP")[-1] == pytest.approx(share, rel=0.2)
    assert any(f"{0.04:.4g} of the HEP" in line for line in result.provenance.changes)
