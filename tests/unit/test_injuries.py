"""What each injury and intervention becomes: changes of state, inflow or parameters, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from hepatalk.experiments.experiment import Experiment, load_experiment, parse_experiment
from hepatalk.experiments.injuries import DIVISION_RATES, changes_of
from hepatalk.experiments.items import KINDS
from hepatalk.experiments.knockouts import gene_shares
from hepatalk.knowledge.load import Knowledge, load
from hepatalk.model.compiled import CompiledModel
from hepatalk.model.compiler import compile_model


@pytest.fixture(scope="module")
def knowledge() -> Knowledge:
    return load()


@pytest.fixture(scope="module")
def model(knowledge: Knowledge) -> CompiledModel:
    return compile_model(knowledge)


def posed(*items: str, days: float = 14.0) -> Experiment:
    lines = "".join(f"\n  - {item}" for item in items)
    return parse_experiment(f"title: t\nreadouts: [liver_volume]\ndays: {days}\nschedule:{lines}\n", "t.yaml")


def short(*items: str, shares: Any = None, days: float = 14.0) -> list[tuple[float, str, str, float, str]]:
    found = changes_of(posed(*items, days=days), shares)
    return [(c.at_h, c.action, c.target, round(c.value, 12), c.into) for c in found]


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ("{at: 1 h, injury: graft, fraction: 0.3}", [(1.0, "renew", "liver", 0.3, "")]),
        (
            "{at: 1 h, injury: graft, fraction: 0.3, cold_ischaemia: 0.1}",
            [
                (1.0, "renew", "liver", 0.3, ""),
                (1.0, "kill", "HEP", 0.9, "dead.necrotic"),
                (1.0, "kill", "LSEC", 0.9, "dead.necrotic"),
            ],
        ),
        ("{at: 0 h, injury: bile_duct_ligation}", [(0.0, "set_parameter", "body.bile_flow", 0.0, "")]),
        ("{at: 0 h, injury: duct_injury, fraction: 0.7}", [(0.0, "kill", "BEC", 0.3, "dead.necrotic")]),
        ("{at: 0 h, injury: hepatocyte_ablation, fraction: 0.7}", [(0.0, "kill", "HEP", 0.3, "dead.necrotic")]),
        (
            "{at: 0 h, injury: hepatocyte_ablation, fraction: 0.7, manner: apoptosis}",
            [(0.0, "kill", "HEP", 0.3, "dead.apoptotic")],
        ),
        (
            "{at: 0 h, injury: zonal_necrosis, zone3: 0.9, zone2: 0.25}",
            [(0.0, "kill", "HEP@2", 0.75, "dead.necrotic"), (0.0, "kill", "HEP@3", 0.1, "dead.necrotic")],
        ),
        (
            "{at: -24 h, until: 2 h, injury: block_division, cell: BEC, efficacy: 0.75}",
            [
                (-24.0, "scale_parameter", "bec_commit_rate", 0.25, ""),
                (2.0, "scale_parameter", "bec_commit_rate", 4.0, ""),
            ],
        ),
        ("{at: -1 d, intervention: deplete, cell: KC, fraction: 0.9}", [(-24.0, "kill", "KC", 0.1, "")]),
        ("{at: 6 h, intervention: label, cell: HEP, fraction: 0.5}", [(6.0, "mark", "HEP.label", 0.5, "")]),
        ("{at: 6 h, intervention: label, cell: HEP, zone: 3, fraction: 1.0}", [(6.0, "mark", "HEP.label@3", 1.0, "")]),
        (
            "{at: 0 h, intervention: deplete_matrix, fraction: 0.5}",
            [(0.0, "scale_state", "signal.ECM", 0.5, ""), (0.0, "scale_state", "store", 0.5, "")],
        ),
        ("{at: 0 h, intervention: shunt, fraction: 0.5}", [(0.0, "scale_parameter", "body.inflow", 0.5, "")]),
        (
            "{at: 0 h, intervention: splanchnic_vasoconstriction, factor: 0.7}",
            [(0.0, "scale_parameter", "body.inflow", 0.7, "")],
        ),
        (
            "{at: 0 h, until: 6 h, intervention: recombinant, signal: HGF, dose: 5}",
            [(0.0, "set_parameter", "supply.HGF", 5.0, ""), (6.0, "set_parameter", "supply.HGF", 0.0, "")],
        ),
        (
            "{at: 0 h, intervention: serum_transfer, signals: {HGF: 5, IL6: 0.5}}",
            [(0.0, "scale_parameter", "free.HGF", 5.0, ""), (0.0, "scale_parameter", "free.IL6", 0.5, "")],
        ),
        (
            "{at: 0 h, intervention: transfer_exosomes, factor: 4}",
            [(0.0, "scale_parameter", "free.EXO_SPHK2", 4.0, "")],
        ),
        (
            "{at: 0 h, intervention: drain_bile}",
            [
                (0.0, "set_parameter", "body.bile_flow", 1.0, ""),
                (0.0, "set_parameter", "body.bile_return", 0.0, ""),
            ],
        ),
        (
            "{at: 0 h, intervention: body, demand: 1.2, endotoxin: 3}",
            [(0.0, "scale_parameter", "body.demand", 1.2, ""), (0.0, "scale_parameter", "free.LPS", 3.0, "")],
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_each_item_becomes(item: str, expected: list[tuple[float, str, str, float, str]]) -> None:
    assert short(item) == expected


def test_every_change_names_something_of_the_model(model: CompiledModel, knowledge: Knowledge) -> None:
    for name in ("bdl", "ccl4", "aaf_phx", "dapm_bdl", "phx70_bile_drained", "phx70_met_knocked_down", "sfss"):
        for change in changes_of(load_experiment(name), lambda gene: gene_shares(knowledge, model, gene)):
            if change.action.endswith("parameter"):
                assert model.params[model.position(change.target)] > 0.0
            if change.into:
                assert f"{change.into}@1" in model.slot_index


def test_every_cell_type_can_be_kept_from_dividing(model: CompiledModel) -> None:
    dividing = {name.removesuffix(".count") for name in model.groups if name.endswith(".count")}
    dividing = {cell for cell in dividing if f"{cell}.s" in model.groups}
    assert set(DIVISION_RATES) >= dividing & {"HEP", "LSEC", "HSC", "KC", "BEC"}
    assert all(model.position(rate) >= 0 for rate in DIVISION_RATES.values())


def test_the_docs_name_every_injury_and_intervention(repository: Path) -> None:
    text = (repository / "docs" / "experiments.md").read_text(encoding="utf-8")
    missing = [name for kinds in KINDS.values() for name in kinds if f"`{name}`" not in text]
    assert missing == []


# --- repeats and reversals


def test_an_injury_repeats_until_its_end() -> None:
    item = "{at: 6 h, every: 24 h, until: 78 h, injury: duct_injury, fraction: 0.5}"
    assert [entry[0] for entry in short(item)] == [6.0, 30.0, 54.0]


def test_an_injury_repeats_to_the_end_of_the_experiment() -> None:
    item = "{at: 0 h, every: 12 h, injury: zonal_necrosis, zone3: 0.5}"
    assert [entry[0] for entry in short(item, days=2.0)] == [0.0, 12.0, 24.0, 36.0]


@pytest.mark.parametrize("release", ["until: 48 h", "release"])
def test_a_ligature_can_be_opened(release: str) -> None:
    items = ["{at: 0 h, injury: bile_duct_ligation}", "{at: 48 h, intervention: release_ligature}"]
    if release != "release":
        items = [f"{{at: 0 h, {release}, injury: bile_duct_ligation}}"]
    expected = [(0.0, "set_parameter", "body.bile_flow", 0.0, ""), (48.0, "set_parameter", "body.bile_flow", 1.0, "")]
    assert short(*items) == expected


# --- genes


def test_a_gene_moves_what_it_makes_by_its_share(model: CompiledModel, knowledge: Knowledge) -> None:
    def shares(gene: str) -> Mapping[str, float]:
        return gene_shares(knowledge, model, gene)

    alone = shares("Met@HEP")
    assert set(alone.values()) == {1.0}
    down = short("{at: 0 h, until: 5 h, intervention: knock_down, gene: Met@HEP, fraction: 0.8}", shares=shares)
    assert [(c[0], c[3]) for c in down if c[2] == "activity.node.HEP.MET"] == [(0.0, 0.2), (5.0, 5.0)]
    up = short("{at: 0 h, intervention: overexpress, gene: Il1a, factor: 3}", shares=shares)
    (share,) = {shares("Il1a")[c[2]] for c in up}
    assert share == pytest.approx(0.5)
    assert {c[3] for c in up} == {2.0}


def test_genes_need_the_model_that_they_belong_to() -> None:
    with pytest.raises(TypeError, match="shares"):
        changes_of(posed("{at: 0 h, intervention: knock_down, gene: Met, fraction: 0.8}"))
