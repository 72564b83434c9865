"""Injuries and interventions as a family: no dose is no effect, order does not matter, nothing is lost or made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from hepatalk.engines.population.changes import apply_change
from hepatalk.engines.population.engine import PopulationEngine
from hepatalk.experiments.experiment import Experiment, parse_experiment
from hepatalk.experiments.run import perform
from hepatalk.knowledge.load import Knowledge, load
from hepatalk.model.compiled import CompiledModel
from hepatalk.model.compiler import compile_model
from hepatalk.model.schedule import Change
from hepatalk.results.result import Result

PHX = "{at: 0 h, injury: partial_hepatectomy, fraction: 0.70}"
HEADLINE = ("liver_volume", "hepatocyte_count", "count.BEC", "count.KC", "s_phase.HEP", "signal.BA", "function")


@pytest.fixture(scope="module")
def knowledge() -> Knowledge:
    return load()


@pytest.fixture(scope="module")
def model(knowledge: Knowledge) -> CompiledModel:
    return compile_model(knowledge)


def posed(items: Sequence[str], days: float) -> Experiment:
    lines = "".join(f"\n  - {item}" for item in items)
    return parse_experiment(f"title: t\nreadouts: [liver_volume]\ndays: {days}\nschedule:{lines or ' []'}\n", "t.yaml")


def ran(*items: str, days: float = 4.0) -> Result:
    return perform(posed(items, days), every=6.0).result


def differ(a: Result, b: Result, names: Sequence[str] = HEADLINE) -> float:
    """Return the largest difference of the headline readouts, relative to the larger of the two and at least 0.01."""
    pairs = [(a.readout(n), b.readout(n)) for n in names]
    return max(float((np.abs(x - y) / np.maximum(np.maximum(np.abs(x), np.abs(y)), 0.01)).max()) for x, y in pairs)


# --- dose


DOSES = {
    "graft": ("{{at: 0 h, injury: graft, fraction: {0}}}", "0.99999", "0.3", ()),
    "duct_injury": ("{{at: 0 h, injury: duct_injury, fraction: {0}}}", "1e-5", "0.7", ()),
    "hepatocyte_ablation": ("{{at: 0 h, injury: hepatocyte_ablation, fraction: {0}}}", "1e-5", "0.6", ()),
    "zonal_necrosis": ("{{at: 0 h, injury: zonal_necrosis, zone3: {0}}}", "1e-5", "0.9", ()),
    "block_division": ("{{at: 0 h, injury: block_division, cell: HEP, efficacy: {0}}}", "1e-6", "0.999", (PHX,)),
    "deplete": ("{{at: 0 h, intervention: deplete, cell: KC, fraction: {0}}}", "1e-5", "0.9", (PHX,)),
    "deplete_matrix": ("{{at: 0 h, intervention: deplete_matrix, fraction: {0}}}", "1e-5", "0.9", (PHX,)),
    "shunt": ("{{at: 0 h, intervention: shunt, fraction: {0}}}", "1e-6", "0.5", (PHX,)),
    "vasoconstriction": (
        "{{at: 0 h, intervention: splanchnic_vasoconstriction, factor: {0}}}",
        "0.999999",
        "0.6",
        (PHX,),
    ),
    "recombinant": ("{{at: 0 h, intervention: recombinant, signal: HGF, dose: {0}}}", "1e-6", "20", (PHX,)),
    "serum_transfer": ("{{at: 0 h, intervention: serum_transfer, signals: {{HGF: {0}}}}}", "1.000001", "9", (PHX,)),
    "transfer_exosomes": ("{{at: 0 h, intervention: transfer_exosomes, factor: {0}}}", "1.000001", "9", (PHX,)),
    "knock_down": ("{{at: 0 h, intervention: knock_down, gene: Met@HEP, fraction: {0}}}", "1e-6", "0.99", (PHX,)),
    "overexpress": ("{{at: 0 h, intervention: overexpress, gene: Hgf, factor: {0}}}", "1.000001", "5", (PHX,)),
    "body": ("{{at: 0 h, intervention: body, demand: {0}}}", "1.000001", "1.3", (PHX,)),
}


@pytest.mark.parametrize("kind", DOSES)
def test_a_dose_near_nothing_is_the_control_and_a_large_one_is_not(kind: str) -> None:
    item, nothing, much, also = DOSES[kind]
    control = ran(*also)
    assert differ(ran(*also, item.format(nothing)), control) < 2e-3
    assert differ(ran(*also, item.format(much)), control) > 0.01


def test_bile_given_back_is_as_if_not_drained() -> None:
    drained = "{at: 0 h, intervention: drain_bile, bile_return: %s}"
    control = ran(PHX)
    assert differ(ran(PHX, drained % "true"), control) == 0.0
    assert ran(PHX, drained % "false").at("signal.BA", 96.0) < 0.5 * control.at("signal.BA", 96.0)


# --- order


@pytest.mark.parametrize(
    "items",
    [
        (
            PHX,
            "{at: 0 h, injury: zonal_necrosis, zone3: 0.5}",
            "{at: 0 h, injury: hepatocyte_ablation, fraction: 0.2}",
            "{at: 0 h, intervention: deplete, cell: KC, fraction: 0.5}",
        ),
        (
            "{at: 2 h, injury: bile_duct_ligation}",
            "{at: 2 h, injury: duct_injury, fraction: 0.3}",
            "{at: 2 h, intervention: shunt, fraction: 0.3}",
            "{at: 2 h, intervention: splanchnic_vasoconstriction, factor: 0.8}",
            "{at: 2 h, intervention: knock_down, gene: Met, fraction: 0.5}",
            "{at: 2 h, intervention: deplete_matrix, fraction: 0.5}",
        ),
    ],
    ids=["deaths and removals", "everything else"],
)
def test_the_order_of_what_happens_at_one_time_does_not_matter(items: tuple[str, ...]) -> None:
    assert differ(ran(*items, days=2.0), ran(*reversed(items), days=2.0)) < 1e-6


def test_an_intervention_before_time_zero_acts_before_it() -> None:
    deplete = "{at: %s, intervention: deplete, cell: KC, fraction: 0.9}"
    before, at_once = ran(PHX, deplete % "-48 h", days=1.0), ran(PHX, deplete % "0 h", days=1.0)
    assert at_once.at("count.KC", 0.0) == pytest.approx(0.03, rel=1e-6)
    assert 0.03 < before.at("count.KC", 0.0) < 0.15
    assert before.time_h[0] == 0.0


# --- what is killed, removed or renewed


def amounts(m: CompiledModel, y: Any) -> tuple[float, float]:
    """Return (volume of living hepatocytes, volume of dead tissue), fractions of the healthy liver."""
    living = float(y[m.groups["HEP.mass"]].sum()) * float(m.params[m.position("hep_volume_share")])
    dead = sum(float(y[m.slot_index[f"dead.{k}@{z}"]]) for k in ("necrotic", "apoptotic") for z in (1, 2, 3))
    return living, dead


@pytest.mark.parametrize("target", ["HEP", "HEP@1", "HEP@3"])
@pytest.mark.parametrize("into", ["dead.necrotic", "dead.apoptotic", ""])
def test_what_is_killed_stays_as_dead_tissue(model: CompiledModel, target: str, into: str) -> None:
    y = apply_change(model, model.params.copy(), model.rest, Change(0.0, "kill", target, 0.4, "", into))
    living, dead = amounts(model, model.rest)
    left, found = amounts(model, y)
    lost = 0.6 * (living if target == "HEP" else living / 3.0)
    assert living - left == pytest.approx(lost, rel=1e-12)
    assert found - dead == pytest.approx(lost if into else 0.0, rel=1e-9, abs=1e-15)
    others = [i for i, n in enumerate(model.state_names) if not n.startswith(("HEP.", "dead."))]
    assert np.array_equal(y[others], model.rest[others])


def test_a_graft_is_a_healthy_liver_whatever_was_there_before(model: CompiledModel) -> None:
    spoiled = model.rest * np.random.default_rng(3).uniform(0.2, 3.0, model.n_states)
    y = apply_change(model, model.params.copy(), spoiled, Change(0.0, "renew", "liver", 0.4, ""))
    zoned = np.array(["@" in name for name in model.state_names])
    counts = np.concatenate([model.groups[f"{cell}.count"] for cell in ("HEP", "LSEC", "HSC", "KC", "BEC")])
    assert y[counts] == pytest.approx(0.4 * model.rest[counts], rel=1e-12)
    local = zoned & ~model.extensive
    assert np.array_equal(y[local], model.rest[local])
    assert np.array_equal(y[~zoned], spoiled[~zoned])


def test_a_graft_into_a_healthy_animal_is_a_remnant_of_its_size() -> None:
    graft = "{at: 0 h, injury: graft, fraction: 0.30}"
    assert differ(ran(graft), ran(PHX)) < 1e-6


@pytest.mark.parametrize(
    "items",
    [
        ("{at: 0 h, every: 24 h, injury: hepatocyte_ablation, fraction: 0.5}",),
        ("{at: 0 h, every: 12 h, injury: zonal_necrosis, zone1: 0.9, zone3: 0.99}",),
        ("{at: 0 h, injury: bile_duct_ligation}", "{at: 24 h, every: 24 h, injury: duct_injury, fraction: 0.9}"),
        (PHX, "{at: 1 h, intervention: deplete, cell: LSEC, fraction: 0.9}"),
    ],
    ids=["ablation", "zonal", "ducts", "endothelium"],
)
def test_no_amount_becomes_negative(items: tuple[str, ...], knowledge: Knowledge) -> None:
    done = perform(posed(items, 4.0), knowledge=knowledge)
    amounts = [k for k, name in enumerate(done.model.state_names) if name != "inflow_response"]
    assert done.course.states[:, amounts].min() > -1e-8


def test_dead_cells_take_up_room_and_kupffer_cells_clear_them() -> None:
    killed = "{at: 0 h, injury: hepatocyte_ablation, fraction: 0.4}"
    bare = "{at: 0 h, intervention: deplete, cell: KC, fraction: 0.99}"
    control, without = ran(killed, days=7.0), ran(killed, bare, days=7.0)
    assert control.at("liver_volume", 0.0) == pytest.approx(1.0, abs=1e-9)
    assert control.at("dead_cell_area", 0.0) == pytest.approx(0.32, abs=1e-3)
    assert control.at("dead_cell_area", 168.0) < 0.01
    assert without.at("dead_cell_area", 48.0) > 1.5 * control.at("dead_cell_area", 48.0)


def test_silent_death_alarms_no_kupffer_cells() -> None:
    killed = "{at: 0 h, injury: hepatocyte_ablation, fraction: 0.3, manner: %s}"
    loud, silent = ran(killed % "necrosis", days=1.0), ran(killed % "apoptosis", days=1.0)
    assert loud.readout("state.KC.activated").max() > 3.0 * silent.readout("state.KC.activated").max()


# --- bile


def test_bile_acids_rise_while_the_duct_is_closed_and_fall_when_it_opens() -> None:
    opened = ran("{at: 0 h, until: 5 d, injury: bile_duct_ligation}", days=12.0)
    closed = ran("{at: 0 h, injury: bile_duct_ligation}", days=12.0)
    assert closed.at("signal.BA", 120.0) > 3.0
    assert closed.at("bile_pressure", 120.0) == pytest.approx(2.5)
    assert opened.at("signal.BA", 288.0) == pytest.approx(1.0, abs=0.05)
    assert opened.at("bile_pressure", 288.0) == pytest.approx(1.0)
    assert closed.at("count.BEC", 288.0) > opened.at("count.BEC", 288.0) > 1.0


def test_bile_without_flow_is_balanced_by_the_other_way_out(model: CompiledModel, knowledge: Knowledge) -> None:
    """Where nothing returns, the level at rest is synthesis over the share that leaves otherwise."""
    made, other = (knowledge.parameter[n].value for n in ("bile_synthesis_share", "bile_detox_share"))
    assert isinstance(made, float)
    assert isinstance(other, float)
    system = PopulationEngine().system(model)
    system.params[model.position("body.bile_flow")] = 0.0
    y, yp = model.rest.copy(), np.empty(model.n_states)
    y[model.slot_index["bile_return"]], y[model.slot_index["signal.BA"]] = 0.0, made / other
    system.rhs(0.0, y, yp)
    moving = [yp[model.slot_index[name]] for name in ("bile_return", "signal.BA")]
    assert moving == pytest.approx([0.0, 0.0], abs=1e-14)


# --- cells that are a level of the body


NK = "{at: %s, intervention: deplete, cell: NK, fraction: %s}"


def test_depleted_killer_cells_come_back_and_do_nothing_unless_a_hypothesis_says_so() -> None:
    control, depleted = ran(PHX), ran(PHX, NK % ("-24 h", "0.99"))
    left = 0.01 + 0.99 * (1.0 - np.exp(-24.0 / 120.0))
    assert depleted.at("count.NK", 0.0) == pytest.approx(left, rel=1e-4)
    assert control.readout("count.NK").min() == pytest.approx(1.0)
    assert differ(control, depleted) < 1e-6


def test_depleted_killer_cells_release_their_brake_where_the_hypothesis_is_on() -> None:
    role = ("nk_role",)
    control = perform(posed([PHX], 3.0), every=6.0, hypotheses=role).result
    depleted = perform(posed([PHX, NK % ("-24 h", "0.99")], 3.0), every=6.0, hypotheses=role).result
    little = perform(posed([PHX, NK % ("-24 h", "1e-6")], 3.0), every=6.0, hypotheses=role).result
    # The brake is on priming: without it the wave comes sooner, to the same height.
    assert depleted.at("s_phase.HEP", 12.0) > 1.005 * control.at("s_phase.HEP", 12.0)
    assert differ(little, control) < 1e-4


T_CELLS = "{at: %s, intervention: deplete, cell: T, fraction: %s}"


def test_t_cells_ready_hepatocytes_for_the_cycle_and_come_back() -> None:
    control, depleted = ran(PHX), ran(PHX, T_CELLS % ("-24 h", "0.99"))
    left = 0.01 + 0.99 * (1.0 - np.exp(-24.0 / 120.0))
    assert depleted.at("count.T", 0.0) == pytest.approx(left, rel=1e-4)
    assert control.readout("count.T").min() == pytest.approx(1.0)
    assert depleted.at("s_phase.HEP", 18.0) < 0.98 * control.at("s_phase.HEP", 18.0)
    assert differ(ran(PHX, T_CELLS % ("-24 h", "1e-6")), control) < 1e-4
