"""Two lobes: alike they are one liver, apart they share blood and load by the laws, and a deprived one shrinks."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hepatalk.engines.population.changes import apply_change
from hepatalk.engines.population.engine import PopulationEngine, System
from hepatalk.experiments.drivers import drivers
from hepatalk.experiments.experiment import experiment_from_mapping
from hepatalk.experiments.lobes import LOBE_PARAMETERS
from hepatalk.experiments.readouts import measure, readouts_of
from hepatalk.experiments.run import Run, perform
from hepatalk.knowledge.load import Knowledge, load
from hepatalk.model.checks import check_model
from hepatalk.model.compiled import CompiledModel
from hepatalk.model.compiler import compile_model
from hepatalk.model.schedule import Change

Floats = npt.NDArray[np.float64]
SHARE = {"A": 0.7, "B": 0.3}


@pytest.fixture(scope="module")
def knowledge() -> Knowledge:
    return load()


@pytest.fixture(scope="module")
def whole(knowledge: Knowledge) -> CompiledModel:
    return compile_model(knowledge)


@pytest.fixture(scope="module")
def divided(knowledge: Knowledge) -> CompiledModel:
    return compile_model(knowledge, lobes=2)


def split(whole: CompiledModel, divided: CompiledModel, y: Floats) -> Floats:
    """Return numbers per state of the undivided liver as those of two lobes alike: amounts are shared, levels equal."""
    index = {name: i for i, name in enumerate(whole.state_names)}
    out = np.empty(divided.n_states)
    for k, name in enumerate(divided.state_names):
        bare, _, place = name.partition("@")
        if place:
            i = index[f"{bare}@{place[1]}"]
            out[k] = y[i] * (SHARE[place[0]] if whole.extensive[i] else 1.0)
        else:
            out[k] = y[index[name]]
    return out


def derivative(system: System, y: Floats) -> Floats:
    yp = np.empty_like(y)
    system.rhs(0.0, y, yp)
    return yp


def disturbed(model: CompiledModel, seed: int, size: float = 0.5) -> Floats:
    rng = np.random.default_rng(seed)
    y = np.maximum(model.rest, 1e-3) * np.exp(rng.normal(0.0, size, model.n_states))
    nodes = [i for i, name in enumerate(model.state_names) if name.startswith("node.")]
    y[nodes] = rng.uniform(0.05, 0.95, len(nodes))
    return y


def of_schedule(*items: dict[str, object], days: float = 14.0, readouts: tuple[str, ...] = ("liver_volume.A",)) -> Run:
    data = {"title": "two lobes", "days": days, "schedule": items, "readouts": readouts}
    return perform(experiment_from_mapping(data, "test"))


def curve(run: Run, name: str) -> Floats:
    return np.asarray(measure(run.model, run.course, [name])[name])


def at_day(run: Run, name: str, day: float) -> float:
    return float(np.interp(day * 24.0, run.course.time_h, curve(run, name)))


# ------------------------------------------------------------------------------------------------ alike: one liver


def test_an_undivided_liver_knows_nothing_of_lobes(whole: CompiledModel, knowledge: Knowledge) -> None:
    assert compile_model(knowledge, lobes=1).hash == whole.hash
    assert whole.lobes == ("",)
    assert not [n for n in (*whole.state_names, *whole.slot_names) if n.partition("@")[2][:1] in {"A", "B"}]
    assert not set(LOBE_PARAMETERS) & set(whole.param_names)
    assert not [name for name in readouts_of(whole) if name.endswith((".A", ".B"))]


def test_the_number_of_lobes_is_one_or_two(knowledge: Knowledge) -> None:
    with pytest.raises(ValueError, match="a liver of 3 lobes; allowed: 1 or 2"):
        compile_model(knowledge, lobes=3)


@pytest.mark.parametrize("species", ["rat", "mouse", "human"])
def test_two_healthy_lobes_stand_still_and_add_up(knowledge: Knowledge, species: str) -> None:
    one, two = compile_model(knowledge, species), compile_model(knowledge, species, lobes=2)  # type: ignore[arg-type]
    np.testing.assert_allclose(two.rest, split(one, two, one.rest), rtol=1e-12, atol=1e-15)
    assert np.abs(derivative(PopulationEngine().system(two), two.rest)).max() < 1e-12


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_lobes_alike_move_as_the_undivided_liver(whole: CompiledModel, divided: CompiledModel, seed: int) -> None:
    one, two = PopulationEngine().system(whole), PopulationEngine().system(divided)
    for name, value in (("body.demand", 1.4), ("body.inflow", 0.8), ("inflow_fast", 0.4), ("body.bile_flow", 0.5)):
        one.params[whole.position(name)] = two.params[divided.position(name)] = value
    y = disturbed(whole, seed)
    expected = split(whole, divided, derivative(one, y))
    got = derivative(two, split(whole, divided, y))
    scale = 1e-9 * np.abs(expected).max()
    off = np.abs(got - expected) / (np.abs(expected) + scale)
    assert off.max() < 1e-7, divided.state_names[int(off.argmax())]


def test_a_resection_of_both_lobes_is_a_resection_of_the_liver() -> None:
    cut = {"at": "0 h", "injury": "partial_hepatectomy", "fraction": 0.7}
    two, one = of_schedule(cut), of_schedule(cut, readouts=("liver_volume",))
    assert (two.model.lobes, one.model.lobes) == (("A", "B"), ("",))
    of_one, of_two = measure(one.model, one.course), measure(two.model, two.course)
    for name, expected in of_one.items():
        np.testing.assert_allclose(of_two[name], expected, rtol=2e-4, atol=2e-6, err_msg=name)
    np.testing.assert_allclose(curve(two, "liver_volume.A") * 3, curve(two, "liver_volume.B") * 7, rtol=1e-5)


def test_what_a_lobectomy_leaves_regrows_as_a_remnant_of_its_size() -> None:
    lobe, cut = of_schedule({"at": "0 h", "injury": "lobectomy", "lobe": "A"}), perform("phx70", days=14)
    for name in ("liver_volume", "hepatocyte_count", "s_phase.HEP", "shear", "portal_flow", "oxygen", "signal.HGF"):
        np.testing.assert_allclose(curve(lobe, name), curve(cut, name), rtol=1e-3, atol=1e-5, err_msg=name)
    assert np.abs(curve(lobe, "liver_volume.A")).max() < 1e-5
    assert np.abs(curve(lobe, "s_phase.HEP.A")).max() == 0.0


def test_two_healthy_lobes_do_not_drift_in_a_year() -> None:
    run = of_schedule(days=365.0)
    for name in (
        "liver_volume.A",
        "liver_volume.B",
        "liver_volume",
        "portal_flow.A",
        "load.B",
        "signal.HGF",
        "function",
    ):
        values = curve(run, name)
        assert np.abs(values / values[0] - 1.0).max() < 1e-3, name


# --------------------------------------------------------------------------------------------------- apart: the laws


@pytest.mark.parametrize("collaterals", [0.0, 0.2])
@pytest.mark.parametrize(("a", "b"), [(1.0, 1.0), (0.0, 1.0), (0.3, 1.0), (0.4, 0.7), (1.0, 0.0)])
def test_blood_and_load_divide_by_the_laws(divided: CompiledModel, a: float, b: float, collaterals: float) -> None:
    """The laws once more on paper, at a state where nothing is as in health and the lobes differ."""
    system = PopulationEngine().system(divided)
    setting = {"lobe.A.portal": a, "lobe.B.portal": b, "portal_collaterals": collaterals, "body.demand": 1.3}
    for name, value in setting.items():
        system.params[divided.position(name)] = value
    y = disturbed(divided, 7)
    values, index = system.values(y), divided.slot_index

    def slot(name: str) -> float:
        return float(values[index[name]])

    def amount(name: str, lobe: str) -> float:
        return sum(float(y[index[f"{name}@{lobe}{z}"]]) for z in (1, 2, 3))

    # Blood reaches a lobe by its own branch, and by what the other branch brings where its own one is closed.
    own, other = {"A": a, "B": b}, {"A": b, "B": a}
    bed = {x: amount("LSEC.count", x) for x in "AB"}
    way = {x: bed[x] * (own[x] + (1 - own[x]) * collaterals * other[x]) for x in "AB"}
    inflow, artery = slot("inflow"), slot("artery")
    assert inflow == pytest.approx(slot("inflow@A") + slot("inflow@B"), rel=1e-12)
    blood = {x: 0.25 * artery * bed[x] / sum(bed.values()) + 0.75 * inflow * way[x] / sum(way.values()) for x in "AB"}
    assert slot("blood") == pytest.approx(0.25 * artery + 0.75 * inflow, rel=1e-12)
    for x in "AB":
        share = blood[x] / sum(blood.values())
        assert slot(f"blood@{x}") == pytest.approx(blood[x], rel=1e-9)
        assert slot(f"inflow@{x}") == pytest.approx(inflow * share, rel=1e-9)
        assert slot(f"load@{x}") == pytest.approx(1.3 * share / amount("HEP.mass", x), rel=1e-9)
        assert slot(f"flow@{x}") == pytest.approx(inflow * share / slot(f"volume@{x}"), rel=1e-9)
        assert slot(f"tissue.BEC@{x}") == pytest.approx(float(y[index[f"BEC.count@{x}1"]]) / slot(f"volume@{x}"))
        for z in (1, 2, 3):
            per_sinusoid = blood[x] / 3 / float(y[index[f"LSEC.count@{x}{z}"]])
            assert slot(f"sinusoid_flow@{x}{z}") == pytest.approx(per_sinusoid, rel=1e-9)
    assert slot("volume") == pytest.approx(slot("volume@A") + slot("volume@B"), rel=1e-12)
    capacity = amount("HEP.mass", "A") + amount("HEP.mass", "B")
    assert slot("function") == pytest.approx(capacity / 1.3, rel=1e-12)
    assert slot("load") == pytest.approx(1.3 / capacity, rel=1e-12)


def test_only_the_blood_carries_a_signal_to_the_other_lobe(divided: CompiledModel) -> None:
    system = PopulationEngine().system(divided)
    y = disturbed(divided, 3)
    before = derivative(system, y)
    index = {name: i for i, name in enumerate(divided.state_names)}

    def reached(name: str) -> set[str]:
        moved = y.copy()
        moved[index[name]] *= 1.5
        changed = np.flatnonzero(derivative(system, moved) != before)
        return {divided.state_names[i] for i in changed if "@A" in divided.state_names[i]}

    assert not reached("signal.TGFB1@B2")
    assert reached("signal.HGF@B2") == {f"signal.HGF@A{z}" for z in (1, 2, 3)}
    # The mean of the blood is that of the tissue it runs through, each zone by its volume over its healthy one.
    name = divided.slot_index
    healthy, values = system.values(divided.rest).copy(), system.values(y)
    volume = {x: float(values[name[f"volume@{x}"]]) for x in "AB"}
    kept = {x: [values[name[f"volume@{x}{z}"]] / healthy[name[f"volume@{x}{z}"]] for z in (1, 2, 3)] for x in "AB"}
    level = {x: np.average([y[index[f"signal.HGF@{x}{z}"]] for z in (1, 2, 3)], weights=kept[x]) for x in "AB"}
    expected = sum(volume[x] * level[x] for x in "AB") / sum(volume.values())
    assert float(values[name["mean.HGF"]]) == pytest.approx(expected, rel=1e-9)


def test_two_lobes_break_no_rule(divided: CompiledModel, knowledge: Knowledge) -> None:
    """Homeostasis, stability, cells and stores accounted for: the rules of compiled models."""
    assert [str(f) for f in check_model(divided, knowledge) if f.severity == "error"] == []


# --------------------------------------------------------------------------------------------------- what comes out


def test_a_deprived_lobe_shrinks_and_the_other_grows() -> None:
    run = perform("pvl", days=14)
    a, b = curve(run, "liver_volume.A"), curve(run, "liver_volume.B")
    np.testing.assert_allclose(a + b, curve(run, "liver_volume"), rtol=1e-9)
    assert a[0] == pytest.approx(0.7, abs=0.05)
    assert b[0] == pytest.approx(0.3, abs=0.05)
    assert a[-1] < 0.8 * a[0]
    assert b[-1] > 1.2 * b[0]
    assert curve(run, "s_phase.HEP.B").max() > 3 * curve(run, "s_phase.HEP.A").max()


def test_an_opened_branch_gives_the_lobe_its_blood_back() -> None:
    tied = {"at": "0 h", "until": "3 d", "injury": "portal_ligation", "lobe": "A"}
    run = of_schedule(tied, days=10.0, readouts=("portal_flow.A",))
    assert at_day(run, "portal_flow.A", 2.9) < 0.7
    assert at_day(run, "portal_flow.A", 3.1) > 0.8
    assert at_day(run, "liver_volume.A", 10.0) > at_day(run, "liver_volume.A", 3.0)


def test_without_collaterals_the_remnant_gets_more_of_the_blood() -> None:
    flows = {k: perform("pvl", days=1.0, set={"portal_collaterals": k}) for k in (0.0, 0.2, 0.5)}
    first = [float(curve(run, "portal_flow.B")[0]) for run in flows.values()]
    assert first == sorted(first, reverse=True)
    assert first[0] > 1.2 * first[1]


def test_injuries_of_zones_and_labels_reach_both_lobes(divided: CompiledModel) -> None:
    killed = apply_change(
        divided, divided.params.copy(), divided.rest, Change(0.0, "kill", "HEP@3", 0.4, "", "dead.necrotic")
    )
    marked = apply_change(divided, divided.params.copy(), divided.rest, Change(0.0, "mark", "HEP.label@1", 1.0, ""))
    for i, name in enumerate(divided.state_names):
        if name.startswith("HEP.count"):
            left = 0.4 if name.endswith("3") else 1.0
            assert killed[i] == pytest.approx(left * divided.rest[i], rel=1e-12), name
        if name.startswith("HEP.label"):
            count = divided.rest[divided.slot_index[name.replace("label", "count")]]
            assert marked[i] == (count if name.endswith("1") else 0.0), name
    lost = divided.rest - killed
    dead = [i for i, name in enumerate(divided.state_names) if name.startswith("dead.necrotic@")]
    grown = {divided.state_names[i]: -lost[i] for i in dead}
    assert grown["dead.necrotic@A3"] / grown["dead.necrotic@B3"] == pytest.approx(7 / 3, rel=1e-9)


def test_removing_a_lobe_leaves_the_other_one_untouched(divided: CompiledModel) -> None:
    left = apply_change(divided, divided.params.copy(), divided.rest, Change(0.0, "scale_extensive", "B", 0.0, ""))
    for i, name in enumerate(divided.state_names):
        gone = divided.extensive[i] and "@B" in name
        assert left[i] == (0.0 if gone else divided.rest[i]), name


def test_a_transection_kills_along_the_cut_and_a_knockout_reaches_both_lobes() -> None:
    run = perform("alpps", days=1.0)
    assert curve(run, "dead_cell_area")[0] == pytest.approx(0.03 * 0.8, rel=0.2)
    assert of_schedule({"at": "0 h", "injury": "transection", "necrosis": 0.0}, days=1.0).result.provenance.changes == (
        "0 h: tissue between the lobes cut, no collaterals",
    )
    without = perform("pvl", days=3.0, knockouts=["Met@HEP"])
    assert at_day(without, "liver_volume.B", 3.0) < at_day(perform("pvl", days=3.0), "liver_volume.B", 3.0)


def test_what_drives_a_lobe_is_its_own() -> None:
    run = perform("pvl", days=3.0)
    push = {lobe: {driver.row: driver.effect for driver in drivers(run, f"liver_volume.{lobe}", 24.0)} for lobe in "AB"}
    assert push["B"]["PHY-01"] > 0.01  # load makes hepatocytes enlarge in the lobe that has all the blood,
    assert push["A"]["PHY-01"] < -0.01  # and shrink in the other one
