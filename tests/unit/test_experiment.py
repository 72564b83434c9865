"""Experiments: the catalogue, files, overrides, output times, and what they change in the model."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from hepatalk.errors import ExperimentError
from hepatalk.experiments.experiment import (
    DEFAULT_READOUTS,
    Experiment,
    catalogue_names,
    experiment_from_mapping,
    load_experiment,
    overridden,
    parse_experiment,
)
from hepatalk.experiments.injuries import changes_of
from hepatalk.experiments.items import Neutralise, PartialHepatectomy, SetParameter
from hepatalk.model.schedule import Change


def _with_schedule(*items: str, head: str = "") -> Experiment:
    lines = "".join(f"\n  - {item}" for item in items)
    return parse_experiment(f"title: t\nreadouts: [liver_volume]\n{head}\nschedule:{lines or ' []'}\n", "t.yaml")


def _short(changes: tuple[Change, ...]) -> list[tuple[float, str, str, Any]]:
    return [(change.at_h, change.action, change.target, pytest.approx(change.value)) for change in changes]


# --- catalogue and files


def test_catalogue_holds_what_it_should() -> None:
    expected = {"sham", "phx70_anti_il6", "phx70_anti_vegf", "phx70_anti_tgfb", "phx70_held_flow", "second_phx"}
    assert expected <= set(catalogue_names())


@pytest.mark.parametrize("name", catalogue_names())
def test_every_catalogue_file_loads_and_can_be_posed(name: str) -> None:
    experiment = load_experiment(name)
    assert experiment.title
    assert experiment.species == "rat"
    changes = changes_of(experiment, lambda gene: {f"activity.{gene}": 1.0})
    assert all(change.at_h < experiment.end_h for change in changes)


def _phx(fraction: float) -> PartialHepatectomy:
    return PartialHepatectomy.model_validate({"at": "0 h", "injury": "partial_hepatectomy", "fraction": fraction})


def test_the_published_example() -> None:
    antibody = {"at": "0 h", "until": "48 h", "intervention": "neutralise", "signal": "IL6", "fraction": 0.9}
    assert load_experiment("phx70_anti_il6") == Experiment(
        title="70% partial hepatectomy with an IL-6 antibody",
        species="rat",
        days=14,
        schedule=(_phx(0.70), Neutralise.model_validate(antibody)),
        readouts=("liver_volume", "s_phase.HEP", "signal.IL6"),
    )


@pytest.mark.parametrize("percent", range(1, 100))
def test_phx_names_are_generated(percent: int) -> None:
    experiment = load_experiment(f"phx{percent}")
    assert experiment.title == f"{percent}% partial hepatectomy"
    assert experiment.readouts == DEFAULT_READOUTS
    assert experiment.schedule == (_phx(percent / 100),)


@pytest.mark.parametrize("suffix", [".yaml", ".yml"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_files_load_from_text_and_path(tmp_path: Path, suffix: str, encoding: str) -> None:
    file = tmp_path / f"mine{suffix}"
    file.write_text("title: Größe\nreadouts: [liver_volume]\n", encoding=encoding)
    assert load_experiment(str(file)) == load_experiment(file)
    assert load_experiment(file).title == "Größe"


def test_defaults() -> None:
    experiment = _with_schedule()
    assert (experiment.species, experiment.days, experiment.every, experiment.schedule) == ("rat", 14.0, None, ())
    assert (experiment.germline, experiment.hypotheses, experiment.knockouts, experiment.set) == (False, (), (), {})


def test_words_stay_words() -> None:
    """YAML 1.1 would read NO as false, 010 as 8 and 1e1 as text."""
    experiment = _with_schedule(
        "{at: 1e1 min, intervention: neutralise, signal: NO, fraction: 9e-1}", head="days: 010\nknockouts: [NO@KC]"
    )
    item = experiment.schedule[0]
    assert isinstance(item, Neutralise)
    assert (item.signal, item.fraction, experiment.days, experiment.knockouts) == ("NO", 0.9, 10.0, ("NO@KC",))


def test_an_experiment_cannot_be_changed() -> None:
    experiment = load_experiment("phx70")
    with pytest.raises(ValidationError, match="frozen"):
        experiment.days = 3.0  # type: ignore[misc]


@pytest.mark.parametrize("name", [*catalogue_names(), "phx33"])
def test_experiments_survive_being_written_down(name: str) -> None:
    experiment = load_experiment(name)
    assert experiment_from_mapping(experiment.model_dump(), "copy") == experiment
    assert experiment_from_mapping(experiment.model_dump(mode="json"), "copy") == experiment


# --- output times


def test_output_is_hourly_to_28_days_then_daily() -> None:
    times = overridden(load_experiment("sham"), days=30).output_times_h()
    assert times[:3] == (0.0, 1.0, 2.0)
    assert times[671:] == (671.0, 672.0, 696.0, 720.0)


@pytest.mark.parametrize(("days", "every", "expected"), [(0.1, None, 4), (1, 5.0, 6), (1, 6.0, 5), (1, 0.1, 241)])
def test_output_times_rise_and_end_at_the_end(days: float, every: float | None, expected: int) -> None:
    times = overridden(load_experiment("sham"), days=days, every_h=every).output_times_h()
    assert times[0] == 0.0
    assert times[-1] == days * 24
    assert len(times) == expected
    assert all(later - earlier > 1e-6 for earlier, later in pairwise(times))


# --- overrides


def test_overrides_replace_and_add() -> None:
    base = _with_schedule(head="knockouts: [Il6]\nset: {a: 1, b: 2}")
    new = overridden(
        base,
        species="mouse",
        days=2,
        every_h=0.5,
        knockouts=["Hgf@LSEC", "Il6"],
        hypotheses=["h1"],
        parameters={"b": 3.0},
    )
    assert (new.species, new.days, new.every) == ("mouse", 2.0, 0.5)
    assert (new.knockouts, new.hypotheses, new.set) == (("Il6", "Hgf@LSEC"), ("h1",), {"a": 1.0, "b": 3.0})
    assert base.set == {"a": 1.0, "b": 2.0}


def test_overrides_of_nothing_change_nothing() -> None:
    experiment = load_experiment("second_phx")
    assert overridden(experiment) == experiment


def test_a_shortened_experiment_drops_what_no_longer_happens() -> None:
    short = overridden(load_experiment("second_phx"), days=7)
    assert _short(changes_of(short)) == [(0.0, "scale_extensive", "liver", 0.3)]


# --- changes of the model


def test_partial_hepatectomy_keeps_what_is_left() -> None:
    assert _short(changes_of(load_experiment("phx70"))) == [(0.0, "scale_extensive", "liver", 0.3)]
    assert changes_of(load_experiment("sham")) == ()


def test_second_hepatectomy() -> None:
    assert _short(changes_of(load_experiment("second_phx"))) == [
        (0.0, "scale_extensive", "liver", 0.3),
        (672.0, "scale_extensive", "liver", 0.3),
    ]


def test_neutralisation_is_taken_back() -> None:
    first, second, third = changes_of(load_experiment("phx70_anti_il6"))
    assert _short((first, second, third)) == [
        (0.0, "scale_extensive", "liver", 0.3),
        (0.0, "scale_parameter", "free.IL6", 0.1),
        (48.0, "scale_parameter", "free.IL6", 10.0),
    ]
    assert second.value * third.value == pytest.approx(1.0, rel=1e-15)
    assert third.label == f"end of: {second.label}"


@pytest.mark.parametrize(
    ("item", "target", "value"),
    [
        ("intervention: supplement, signal: HGF, factor: 4", "free.HGF", 4.0),
        ("intervention: scale_demand, factor: 1.5", "body.demand", 1.5),
        ("intervention: scale_inflow, factor: 0.8", "body.inflow", 0.8),
    ],
)
def test_scaling_interventions(item: str, target: str, value: float) -> None:
    assert _short(changes_of(_with_schedule(f"{{at: 2 h, until: 1 d, {item}}}"))) == [
        (2.0, "scale_parameter", target, value),
        (24.0, "scale_parameter", target, 1 / value),
    ]
    assert len(changes_of(_with_schedule(f"{{at: 2 h, {item}}}"))) == 1


def test_set_parameter_and_an_open_end() -> None:
    experiment = _with_schedule("{at: 3 h, intervention: set_parameter, parameter: body.demand, value: -2}")
    assert isinstance(experiment.schedule[0], SetParameter)
    assert _short(changes_of(experiment)) == [(3.0, "set_parameter", "body.demand", -2.0)]


@pytest.mark.parametrize(
    ("before", "head", "restored"),
    [
        ([], "", 1.0),
        ([], "set: {body.inflow: 1.2}", 1.2),
        (["{at: 1 h, intervention: scale_inflow, factor: 1.5}"], "", 1.5),
        (["{at: 1 h, until: 2 h, intervention: scale_inflow, factor: 1.5}"], "", 1.0),
        (["{at: 1 h, intervention: set_parameter, parameter: body.inflow, value: 0.7}"], "", 0.7),
    ],
)
def test_held_flow_returns_to_what_it_was(before: list[str], head: str, restored: float) -> None:
    hold = "{at: 10 h, until: 20 h, intervention: hold_portal_flow, factor: 0.3}"
    changes = changes_of(_with_schedule(hold, *before, head=head))
    assert _short(changes)[-4:] == [
        (10.0, "set_parameter", "body.inflow", 0.3),
        (10.0, "set_parameter", "body.inflow_answers", 0.0),
        (20.0, "set_parameter", "body.inflow", restored),
        (20.0, "set_parameter", "body.inflow_answers", 1.0),
    ]


def test_a_hold_taken_over_by_the_next_is_not_restored_between() -> None:
    changes = changes_of(
        _with_schedule(
            "{at: 4 h, until: 8 h, intervention: hold_portal_flow, factor: 0.6}",
            "{at: 0 h, until: 4 h, intervention: hold_portal_flow, factor: 0.3}",
        )
    )
    inflow = [(change.at_h, change.value) for change in changes if change.target == "body.inflow"]
    answers = [(change.at_h, change.value) for change in changes if change.target == "body.inflow_answers"]
    assert inflow == [(0.0, 0.3), (4.0, 0.6), (8.0, 1.0)]
    assert answers == [(0.0, 0.0), (4.0, 0.0), (8.0, 1.0)]


def test_changes_are_in_order_of_time_and_stable() -> None:
    changes = changes_of(
        _with_schedule(
            "{at: 5 h, intervention: set_parameter, parameter: b, value: 1}",
            "{at: 1 h, until: 5 h, intervention: neutralise, signal: TNF, fraction: 0.5}",
            "{at: 5 h, intervention: set_parameter, parameter: a, value: 1}",
            "{at: 0 h, injury: partial_hepatectomy, fraction: 0.5}",
        )
    )
    assert [(change.at_h, change.target) for change in changes] == [
        (0.0, "liver"),
        (1.0, "free.TNF"),
        (5.0, "free.TNF"),
        (5.0, "b"),
        (5.0, "a"),
    ]


def test_scalings_of_one_parameter_may_overlap() -> None:
    changes = changes_of(
        _with_schedule(
            "{at: 0 h, until: 5 h, intervention: neutralise, signal: TNF, fraction: 0.5}",
            "{at: 2 h, until: 9 h, intervention: neutralise, signal: TNF, fraction: 0.8}",
        )
    )
    product = 1.0
    for change in changes:
        product *= change.value
    assert product == pytest.approx(1.0, rel=1e-14)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (
            "at: 1 h, intervention: set_parameter, parameter: p, value: 1",
            "at: 1 h, intervention: set_parameter, parameter: p, value: 2",
        ),
        ("at: 1 h, intervention: scale_inflow, factor: 2", "at: 1 h, intervention: hold_portal_flow, factor: 0.3"),
        (
            "at: 0 h, until: 9 h, intervention: neutralise, signal: TNF, fraction: 0.9",
            "at: 5 h, intervention: set_parameter, parameter: free.TNF, value: 1",
        ),
        (
            "at: 0 h, until: 9 h, intervention: hold_portal_flow, factor: 0.3",
            "at: 5 h, intervention: scale_inflow, factor: 2",
        ),
    ],
)
def test_contradictions_are_refused_in_either_order(first: str, second: str) -> None:
    for items in ((first, second), (second, first)):
        with pytest.raises(ExperimentError) as caught:
            changes_of(_with_schedule(*(f"{{{item}}}" for item in items)))
        message = str(caught.value)
        assert message.startswith("schedule[0] and schedule[1] contradict each other: both change '")
        assert "allowed: " in message
        assert message.endswith("remove one or let it begin when the other has ended")
        assert "\n" not in message
