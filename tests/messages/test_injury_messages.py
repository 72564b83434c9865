"""What a person reads when an injury or an intervention cannot be: one line each, with the next step."""

from __future__ import annotations

import pytest

from hepatalk.cli.asking import items
from hepatalk.errors import HepatalkError
from hepatalk.experiments.bisection import smallest_remnant
from hepatalk.experiments.experiment import Experiment, load_experiment, parse_experiment, with_items
from hepatalk.experiments.injuries import changes_of
from hepatalk.experiments.run import run

_BOTH = "schedule[0] and schedule[1] contradict each other"
_ORDER = f"{_BOTH}: the result of both at '2 h' depends on which comes first; allowed: one at a time; move one of them"
_ONE = "allowed: one at a time where one of them sets the value; remove one or let it begin when the other has ended"


def posed(*lines: str) -> Experiment:
    schedule = "".join(f"\n  - {line}" for line in lines)
    return parse_experiment(f"title: t\nreadouts: [liver_volume]\ndays: 1\nschedule:{schedule}\n", "t.yaml")


def message(*lines: str, to_the_end: bool = False) -> str:
    with pytest.raises(HepatalkError) as caught:
        experiment = posed(*lines)
        changes_of(experiment)
        if to_the_end:
            run(experiment)
    assert caught.value.exit_code == 2
    assert str(caught.value).isprintable()
    return str(caught.value)


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        (
            "{at: 0, injury: bile_duct_ligation}",
            "t.yaml: field 'schedule[0].at': time 0 has no unit; allowed units: s, min, h, d, week; "
            "write, for example, '0 h'",
        ),
        (
            "{at: 0 h, intervention: ischaemia}",
            "t.yaml: field 'schedule[0].intervention': 'ischaemia' is an injury; allowed: injury; write it there",
        ),
        (
            "{at: 0 h, injury: ischaemia}",
            "t.yaml: field 'schedule[0].until' is missing; allowed: a time with unit, later than 'at'; "
            "write, for example, `until: 60 min`",
        ),
        (
            "{at: 2 h, until: 1 h, injury: ischaemia}",
            "t.yaml: field 'schedule[0].until': value '1 h'; allowed: later than 'at' (2 h); "
            "correct one of the two times",
        ),
        (
            "{at: 0 h, every: 72, injury: duct_injury, fraction: 0.5}",
            "t.yaml: field 'schedule[0].every': time 72 has no unit; allowed units: s, min, h, d, week; "
            "write, for example, '72 h'",
        ),
        (
            "{at: -24 h, injury: duct_injury, fraction: 0.5}",
            "t.yaml: field 'schedule[0].at': time '-24 h' is negative; allowed: a time from 0 h up; "
            "write, for example, '48 h'",
        ),
        (
            "{at: -24 x, intervention: deplete, cell: KC, fraction: 0.5}",
            "t.yaml: field 'schedule[0].at': time '24 x': 'x' is no unit of time; allowed units: s, min, h, d, week; "
            "write, for example, '48 h'",
        ),
        (
            "{at: 0 h, every: 0 h, injury: duct_injury, fraction: 0.5}",
            "t.yaml: field 'schedule[0].every': value '0 h'; allowed: a time with unit, longer than 0 h; "
            "write, for example, `every: 72 h`",
        ),
        (
            "{at: 0 h, until: 5 h, injury: duct_injury, fraction: 0.5}",
            "t.yaml: field 'schedule[0].until': value '5 h'; allowed: 'until' only with 'every'; "
            "add 'every', or leave 'until' out",
        ),
        (
            "{at: 6 h, every: 1 h, until: 5 h, injury: duct_injury, fraction: 0.5}",
            "t.yaml: field 'schedule[0].until': value '5 h'; allowed: later than 'at' (6 h); "
            "correct one of the two times",
        ),
        (
            "{at: 0 h, injury: zonal_necrosis}",
            "t.yaml: field 'schedule[0].zone3': value 0.0; allowed: a share above 0 in one zone at least; "
            "write, for example, `zone3: 0.9`",
        ),
        (
            "{at: 0 h, injury: hepatocyte_ablation, fraction: 0.5, manner: pyroptosis}",
            "t.yaml: field 'schedule[0].manner': value 'pyroptosis'; allowed: necrosis (alarms Kupffer cells), "
            "apoptosis (silent); write, for example, `manner: necrosis`",
        ),
        (
            "{at: 0 h, intervention: body}",
            "t.yaml: field 'schedule[0].demand': value 1.0; allowed: a factor other than 1 for one at least; "
            "write, for example, `demand: 1.2`",
        ),
        (
            "{at: 0 h, intervention: serum_transfer, signals: {}}",
            "t.yaml: field 'schedule[0].signals': value {}; allowed: names of signals, each with a fold: "
            "0 < fold <= 1000; write, for example, `signals: {HGF: 5, IL6: 3}`",
        ),
        (
            "{at: 0 h, intervention: serum_transfer, signals: {HGF: -1}}",
            "t.yaml: field 'schedule[0].signals.HGF': value -1; allowed: names of signals, each with a fold: "
            "0 < fold <= 1000; write, for example, `signals: {HGF: 5, IL6: 3}`",
        ),
        (
            "{at: 0 h, intervention: drain_bile, bile_return: perhaps}",
            "t.yaml: field 'schedule[0].bile_return': value 'perhaps'; allowed: true, false; "
            "write, for example, `bile_return: false`",
        ),
    ],
)
def test_fields(item: str, expected: str) -> None:
    assert message(item) == expected


def test_unknown_injury_names_all() -> None:
    said = message("{at: 0 h, injury: bile_duct_ligature}")
    assert said.startswith(
        "t.yaml: field 'schedule[0].injury': value 'bile_duct_ligature'; allowed: bile_duct_ligation, "
    )
    assert "zonal_necrosis" in said
    assert said.endswith("; choose one")


def test_unknown_cell_types() -> None:
    assert message("{at: 0 h, injury: block_division, cell: HEPS, efficacy: 0.9}").startswith(
        "unknown cell 'HEPS'; nearest: HEP, "
    )
    said = message("{at: 0 h, intervention: label, cell: BEC, zone: 2, fraction: 0.9}", to_the_end=True)
    assert said == "intervention label: zone 2 has no BEC; allowed: 1; correct the zone or leave it out"
    said = message("{at: 0 h, intervention: label, cell: HEPP, fraction: 0.9}", to_the_end=True)
    assert "HEPP" in said
    assert "HEP" in said.split("HEPP")[1]
    said = message("{at: 0 h, intervention: label, cell: BEC, marker: TERT, fraction: 0.9}")
    assert "marker': value 'TERT'" in said
    assert said.endswith("allowed: with cell HEP, whose subset it marks; say `cell: HEP`, or leave it out")
    said = message("{at: 0 h, intervention: deplete, cell: KCC, fraction: 0.9}", to_the_end=True)
    assert said.startswith("unknown cell 'KCC'; nearest: KC, ")


def test_unknown_signals_and_genes() -> None:
    said = message("{at: 0 h, intervention: recombinant, signal: HGFF, dose: 2}", to_the_end=True)
    assert said.startswith("unknown signal 'HGFF'; nearest: HGF, ")
    with pytest.raises(HepatalkError, match=r"^gene 'MET' is a human symbol, the experiment is on rat: "):
        run(posed("{at: 0 h, intervention: knock_down, gene: MET, fraction: 0.5}"))
    with pytest.raises(
        HepatalkError, match=r"^gene 'Met@KC': Met does nothing in KC in this model; allowed: Met@BEC, "
    ):
        run(posed("{at: 0 h, intervention: overexpress, gene: Met@KC, factor: 2}"))


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (
            "{at: 0 h, injury: bile_duct_ligation}",
            "{at: 0 h, intervention: drain_bile}",
            f"{_BOTH}: both change 'body.bile_flow' at '0 h'; {_ONE}",
        ),
        (
            "{at: 2 h, injury: graft, fraction: 0.5}",
            "{at: 2 h, injury: partial_hepatectomy, fraction: 0.5}",
            _ORDER,
        ),
        (
            "{at: 2 h, injury: hepatocyte_ablation, fraction: 0.5, manner: apoptosis}",
            "{at: 0 h, every: 1 h, until: 4 h, injury: zonal_necrosis, zone1: 0.2}",
            _ORDER,
        ),
        (
            "{at: 2 h, intervention: deplete, cell: BEC, fraction: 0.5}",
            "{at: 2 h, injury: duct_injury, fraction: 0.5}",
            _ORDER,
        ),
        (
            "{at: 0 h, until: 5 h, intervention: hold_portal_flow, factor: 0.5}",
            "{at: 2 h, intervention: shunt, fraction: 0.5}",
            f"{_BOTH}: both change 'body.inflow' at '2 h'; {_ONE}",
        ),
    ],
)
def test_contradictions(first: str, second: str, expected: str) -> None:
    assert message(first, second) == expected


@pytest.mark.parametrize(
    "ligation",
    [[], ["{at: 6 h, injury: bile_duct_ligation}"], ["{at: 0 h, until: 2 h, injury: bile_duct_ligation}"]],
    ids=["none", "later", "opened before"],
)
def test_a_release_needs_a_ligature(ligation: list[str]) -> None:
    index = len(ligation)
    assert message(*ligation, "{at: 4 h, intervention: release_ligature}") == (
        f"schedule[{index}]: release_ligature at '4 h' opens nothing; allowed: after a bile_duct_ligation that still "
        "lasts; add one before it, or remove the release"
    )


def test_too_many_repeats() -> None:
    assert message("{at: 0 h, every: 1 min, injury: duct_injury, fraction: 0.01}") == (
        "an injury repeated every '0.016666666666666666 h' happens 1440 times; allowed: at most 1000 times; "
        "repeat it less often, or end it with 'until'"
    )


# --- on the command line


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "",
            "--intervene '' has no name; allowed: NAME KEY=VALUE ...; write, for example, "
            "--intervene 'deplete cell=KC fraction=0.9 at=48h'",
        ),
        (
            "cell=KC",
            "--intervene 'cell=KC' has no name; allowed: NAME KEY=VALUE ...; write, for example, "
            "--intervene 'deplete cell=KC fraction=0.9 at=48h'",
        ),
        (
            "deplete KC",
            "--intervene 'deplete KC': 'KC' is no KEY=VALUE; write, for example, "
            "--intervene 'deplete cell=KC fraction=0.9 at=48h'",
        ),
        (
            "deplete cell=KC cell=HSC",
            "--intervene 'deplete cell=KC cell=HSC' names 'cell' twice; allowed: each key once; write, for example, "
            "--intervene 'deplete cell=KC fraction=0.9 at=48h'",
        ),
    ],
)
def test_texts_of_the_command_line(text: str, expected: str) -> None:
    with pytest.raises(HepatalkError) as caught:
        items([], [text])
    assert str(caught.value) == expected


def test_items_of_the_command_line_are_checked_like_those_of_a_file() -> None:
    found = items(
        ["zonal_necrosis zone3=0.9"], ["serum_transfer signals=HGF:5,IL6:3 at=2h", "drain_bile bile_return=true"]
    )
    assert found == (
        {"injury": "zonal_necrosis", "zone3": 0.9, "at": "0 h"},
        {"intervention": "serum_transfer", "signals": {"HGF": 5.0, "IL6": 3.0}, "at": "2h"},
        {"intervention": "drain_bile", "bile_return": True, "at": "0 h"},
    )
    assert len(with_items(load_experiment("sham"), found, "command line").schedule) == 3
    with pytest.raises(
        HepatalkError, match=r"^command line: field 'schedule\[1\]\.fraction': value 7\.0; allowed: 0 < "
    ):
        with_items(load_experiment("phx70"), items([], ["deplete cell=KC fraction=7"]), "command line")
    with pytest.raises(
        HepatalkError, match=r"^command line: field 'schedule\[0\]\.at': value '480 h'; allowed: before "
    ):
        with_items(load_experiment("sham"), items([], ["deplete cell=KC fraction=0.5 at=20d"]), "command line")


def test_tolerance_of_the_bisection() -> None:
    with pytest.raises(HepatalkError, match=r"^tolerance 0\.001; allowed: 0\.01 to 0\.5; write, for example, 0\.01$"):
        smallest_remnant(tolerance=0.001)
