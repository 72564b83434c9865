"""What a person reads when a culture cannot be: one line each, with the next step."""

from __future__ import annotations

from pathlib import Path

import pytest

from hepatalk.cli import asking
from hepatalk.errors import HepatalkError
from hepatalk.experiments.experiment import parse_experiment
from hepatalk.experiments.run import perform
from hepatalk.results.store import save_result

_MEDIUM = "{at: 0 h, intervention: medium, signals: {HGF: 5}}"
_ITEMS = (
    "block_division, conditioned_medium, deplete, deplete_matrix, duct_injury, hepatocyte_ablation, knock_down, label, "
    "medium, neutralise, overexpress, recombinant, scale_demand, set_parameter, supplement, transfer_exosomes"
)


def message(culture: str, *lines: str, readouts: str = "s_phase.HEP", more: str = "") -> str:
    schedule = "".join(f"\n  - {line}" for line in lines) or " []"
    text = (
        f"title: t\nreadouts: [{readouts}]\ndays: 2\n{more}{culture and f'culture: {culture}'}\nschedule:{schedule}\n"
    )
    with pytest.raises(HepatalkError) as caught:
        perform(parse_experiment(text, "t.yaml"))
    assert caught.value.exit_code == 2
    assert str(caught.value).isprintable()
    return str(caught.value)


@pytest.mark.parametrize(
    ("culture", "expected"),
    [
        (
            "HEP",
            "t.yaml: field 'culture': value 'HEP'; allowed: a mapping of what the dish holds; "
            "write, for example, `culture: {cells: [HEP, KC], medium: {EGF: 1}}`",
        ),
        (
            "{medium: {HGF: 5}}",
            "t.yaml: field 'culture.cells' is missing; allowed: names of cell types, or names with a number above 0 up "
            "to 100 (x the cells of a healthy liver); write, for example, `cells: [HEP, KC]`",
        ),
        (
            "{cells: {HEP: 0}}",
            "t.yaml: field 'culture.cells.HEP': value 0; allowed: names of cell types, or names with a number above 0 "
            "up to 100 (x the cells of a healthy liver); write, for example, `cells: [HEP, KC]`",
        ),
        (
            "{cells: [HEP], at: -24}",
            "t.yaml: field 'culture.at': time -24 has no unit; allowed units: s, min, h, d, week; "
            "write, for example, '-24 h'",
        ),
        (
            "{cells: [HEP], medum: {HGF: 5}}",
            "t.yaml: unknown field 'culture.medum'; nearest: medium, held, cells; allowed: cells, at, medium, held, "
            "space, oxygen; correct or remove it",
        ),
        (
            "{cells: [HEPP]}",
            "culture.cells: unknown cell 'HEPP'; nearest: HEP, BEC, BIP, HSC, LSEC; hepatalk list cells",
        ),
        (
            "{cells: [HEP], medium: {HGFF: 5}}",
            "culture.medium: unknown signal 'HGFF'; nearest: HGF, HBEGF, EGF, FGF, FGF1; see 'hepatalk list signals'",
        ),
        (
            "{cells: {HEP: 2}}",
            "culture.space: value 1, but the cells alone have 1.6 x the volume of a liver; allowed: more than that; "
            "raise space or put in fewer cells",
        ),
        (
            "{cells: [HEP], at: 3 d}",
            "culture.at: value '72 h'; allowed: before the end of the experiment ('48 h'); raise days or correct it",
        ),
    ],
)
def test_a_dish_that_cannot_be(culture: str, expected: str) -> None:
    assert message(culture) == expected


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        (
            "{at: 0 h, injury: partial_hepatectomy, fraction: 0.7}",
            f"schedule[0]: partial_hepatectomy at '0 h' cannot be done to cells in a dish; allowed: {_ITEMS}; "
            "take it out, or let it end before the cells are taken: '-24 h'",
        ),
        (
            "{at: -48 h, intervention: shunt, fraction: 0.5}",
            f"schedule[0]: shunt at '-48 h' cannot be done to cells in a dish; allowed: {_ITEMS}; "
            "take it out, or let it end before the cells are taken: '-24 h'",
        ),
        (
            "{at: 0 h, intervention: deplete, cell: KC, fraction: 0.5}",
            "schedule[0]: deplete needs KC, of which there are none in the dish; allowed: HEP; "
            "add KC to culture.cells or take it out",
        ),
        (
            "{at: 0 h, injury: duct_injury, fraction: 0.5}",
            "schedule[0]: duct_injury needs BEC, of which there are none in the dish; allowed: HEP; "
            "add BEC to culture.cells or take it out",
        ),
        (
            "{at: 0 h, intervention: set_parameter, parameter: body.inflow, value: 1}",
            "schedule[0].parameter: 'body.inflow' is set by the dish itself; allowed: culture.oxygen, culture.space, "
            "and any other parameter; leave it out",
        ),
        (
            "{at: -48 h, intervention: medium, signals: {HGF: 5}}",
            "schedule[0]: medium at '-48 h' comes before the cells are in the dish; allowed: from '-24 h' on; "
            "correct one of the two times",
        ),
        (
            "{at: 0 h, intervention: medium, signals: {HGFF: 5}}",
            "schedule[0]: unknown signal 'HGFF'; nearest: HGF, HBEGF, EGF, FGF, FGF1; see 'hepatalk list signals'",
        ),
        (
            "{at: 0 h, intervention: medium, signals: {HGF: -1}}",
            "t.yaml: field 'schedule[0].signals.HGF': value -1; allowed: names of signals, each with a level: "
            "0 <= level <= 1000 (x the healthy level in the liver); write, for example, `signals: {HGF: 5}`",
        ),
        (
            "{at: 0 h, intervention: conditioned_medium, source: phx70}",
            "schedule[0].source: 'phx70' is an animal, which has no medium; allowed: a culture (hepatalk list "
            "experiments); choose one, or give serum of the animal by 'medium'",
        ),
        (
            "{at: 0 h, intervention: conditioned_medium, source: hsc_culture, after: 5 d}",
            "schedule[0].after: value '120 h', but the run of 'hsc_culture' ends at '48 h'; allowed: up to '48 h'; "
            "correct it, or make that run longer",
        ),
    ],
)
def test_an_item_that_a_dish_cannot_have(item: str, expected: str) -> None:
    assert message("{cells: [HEP]}", item) == expected


def test_an_animal_has_no_medium() -> None:
    assert message("", _MEDIUM) == (
        "schedule[0]: medium at '0 h' needs cells in a dish, and this is an animal; allowed: serum_transfer, "
        "recombinant or supplement in an animal; add a 'culture:' (or --culture) or take it out"
    )


@pytest.mark.parametrize(
    "second", [_MEDIUM, "{at: 6 h, intervention: medium, signals: {HGF: 1}}"], ids=["at once", "before the end"]
)
def test_two_media_that_contradict_each_other(second: str) -> None:
    first = "{at: 0 h, until: 24 h, intervention: medium, signals: {HGF: 2}}"
    when = "0 h" if second == _MEDIUM else "6 h"
    assert message("{cells: [HEP]}", first, second) == (
        "schedule[0] and schedule[1] contradict each other: both set 'HGF' in the medium at "
        f"'{when}'; allowed: one at a time; remove one or let it begin when the other has ended"
    )


def test_what_the_dish_sets_is_not_set_besides() -> None:
    assert message("{cells: [HEP]}", more="set: {body.inflow: 1.0}\n") == (
        "set.body.inflow: 'body.inflow' is set by the dish itself; allowed: culture.oxygen, culture.space, and any "
        "other parameter; leave it out"
    )


def test_a_dish_has_no_lobes() -> None:
    assert message("{cells: [HEP]}", readouts="liver_volume.A") == (
        "culture: cells in a dish have no lobes, and the experiment names some; allowed: readouts, parameters and "
        "items without a lobe; take them out"
    )


def test_a_culture_is_not_conditioned_by_itself(tmp_path: Path) -> None:
    file = tmp_path / "round.yaml"
    item = f"{{at: 0 h, intervention: conditioned_medium, source: {file}}}"
    file.write_text(f"title: t\nreadouts: [s_phase.HEP]\nculture: {{cells: [HEP]}}\nschedule:\n  - {item}\n")
    assert message("{cells: [HEP]}", item).endswith(
        "would be conditioned by itself; allowed: a culture that does not need this one; choose another source"
    )


def test_the_cells_and_the_medium_are_of_one_species(tmp_path: Path) -> None:
    save_result(perform("kc_culture", species="mouse", days=0.5).result, tmp_path / "mice")
    item = f"{{at: 0 h, intervention: conditioned_medium, source: {tmp_path / 'mice'}}}"
    assert message("{cells: [HEP]}", item).endswith(
        "is of mouse, the experiment is on rat: two species mixed; allowed: a culture of rat; choose one species"
    )
    save_result(perform("sham", days=0.5).result, tmp_path / "animal")
    item = f"{{at: 0 h, intervention: conditioned_medium, source: {tmp_path / 'animal'}}}"
    assert "is an animal, which has no medium" in message("{cells: [HEP]}", item)


@pytest.mark.parametrize(
    ("cells", "medium", "expected"),
    [
        (
            "HEP,KC:x",
            None,
            "--culture 'HEP,KC:x'; allowed: NAME or NAME:NUMBER, with commas between; "
            "write, for example, --culture HEP,KC:0.5",
        ),
        (
            None,
            "HGF",
            "--medium 'HGF'; allowed: NAME:NUMBER,...; write, for example, --medium HGF:5,EGF:3",
        ),
        ("HEP,HEP", None, "--culture names 'HEP' twice; allowed: each name once; remove one"),
    ],
)
def test_a_dish_of_the_command_line_that_cannot_be_read(cells: str | None, medium: str | None, expected: str) -> None:
    with pytest.raises(HepatalkError) as caught:
        asking.dish(cells, medium)
    assert str(caught.value) == expected


def test_the_command_line_says_what_a_dish_holds() -> None:
    assert asking.dish("HEP, KC:0.5", "HGF:5,EGF:3") == {
        "cells": {"HEP": 1.0, "KC": 0.5},
        "medium": {"HGF": 5.0, "EGF": 3.0},
    }
    assert asking.dish(None, None) == {}
