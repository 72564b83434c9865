"""Runs shared between scoreboards: jobs in several processes, and answers that outlive an interrupted scoreboard."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hepatalk.errors import OutputError
from hepatalk.experiments import answers, kept
from hepatalk.experiments.answers import Animal, Demand, ask, share
from hepatalk.experiments.kept import Kept, Wanted
from hepatalk.experiments.parallel import in_parallel
from hepatalk.experiments.posing import key_of
from hepatalk.knowledge.load import load

END: Wanted = (("liver_volume",), "end", None, None)
TOP: Wanted = (("liver_volume",), "max", None, None)
SPECS: list[dict[str, Any]] = [{"experiment": "phx70", "days": 0.25}, {"experiment": "sham", "days": 0.25}]


def square(x: int) -> int:
    if x < 0:
        raise ValueError("negative")
    return x * x


def demand(*numbers: Wanted) -> Demand:
    out = Demand("here", "a test")
    for spec in SPECS:
        for number in numbers:
            out.want(spec, number)
    return out


# --- processes -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [1, 2])
def test_results_are_in_order_and_progress_is_told(workers: int) -> None:
    told: list[float] = []
    came: dict[int, int] = {}
    found = in_parallel(square, range(5), workers=workers, progress=told.append, took=came.__setitem__)
    assert found == [0, 1, 4, 9, 16]
    assert told == [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    assert came == dict(enumerate(found))


@pytest.mark.parametrize("workers", [1, 2])
def test_what_a_job_raises_is_raised_here(workers: int) -> None:
    with pytest.raises(ValueError, match="negative"):
        in_parallel(square, [1, -1, 2, 3], workers=workers)


def test_no_jobs_are_done_at_once() -> None:
    told: list[float] = []
    assert in_parallel(square, [], progress=told.append) == []
    assert told == [0.0, 1.0]


# --- answers -------------------------------------------------------------------------------------------------------


def test_equal_animals_are_run_once_and_runs_share_a_model(monkeypatch: pytest.MonkeyPatch) -> None:
    made, compiled = [], []
    perform, compile_model = answers.perform, answers.Bench.model

    def counted(*args: Any, **more: Any) -> Any:
        made.append(args)
        return perform(*args, **more)

    def compiling(bench: Any, *args: Any) -> Any:
        model = compile_model(bench, *args)
        compiled.append(id(model))
        return model

    monkeypatch.setattr(answers, "perform", counted)
    monkeypatch.setattr(answers.Bench, "model", compiling)
    facts = load()
    found = ask(demand(END), [Animal(facts), Animal(facts, {})], workers=1)
    assert len(made) == 2
    assert len(set(compiled)) == 1
    assert found[0] == found[1]
    assert found[0][key_of(SPECS[1])][END] == pytest.approx(1.0)


def test_what_a_run_or_hypothesis_sets_comes_before_the_animals_own_number() -> None:
    facts = load()
    spec = {"experiment": "phx70", "days": 5}
    out = Demand("here", "a test")
    out.want(spec, END)
    chosen = next(h for h in facts.hypotheses if h.switch and h.switch.parameters)
    assert chosen.switch is not None
    (name, value), *_ = chosen.switch.parameters.items()
    other = {name: 0.5 * value + 0.01}
    plain, same = ask(
        out,
        [Animal(facts, hypotheses=(chosen.id,)), Animal(facts, other, hypotheses=(chosen.id,))],
        workers=1,
    )
    assert plain == same


def test_animals_that_differ_in_anything_have_other_keys() -> None:
    facts = load()
    animals = [
        Animal(facts),
        Animal(facts, {"hep_growth_rate": 0.01}),
        Animal(facts, silenced=("PHY-11",)),
        Animal(facts, hypotheses=("portal_inflow",)),
    ]
    assert len({a.key for a in animals}) == 4


def test_the_share_is_that_of_the_members_or_of_the_best_fit_alone() -> None:
    assert share([True]) == 1.0
    assert share([False, True, True, False, True]) == 0.75


# --- kept answers --------------------------------------------------------------------------------------------------


def test_an_interrupted_scoreboard_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    perform = answers.perform
    made: list[str] = []

    def interrupted(posed: Any, **more: Any) -> Any:
        if len(made) == 2:
            raise KeyboardInterrupt
        made.append(posed.title)
        return perform(posed, **more)

    facts = load()
    herd = [Animal(facts), Animal(facts, {"hep_growth_rate": 0.01})]
    monkeypatch.setattr(answers, "perform", interrupted)
    with pytest.raises(KeyboardInterrupt):
        ask(demand(END), herd, workers=1, kept=Kept(tmp_path))
    made.clear()
    found = ask(demand(END), herd, workers=1, kept=Kept(tmp_path))
    assert len(made) == 2, "the first animal's runs are kept, only the second's are made"
    monkeypatch.setattr(answers, "perform", perform)
    assert found == ask(demand(END), herd, workers=1)
    made.clear()
    monkeypatch.setattr(answers, "perform", interrupted)
    assert found == ask(demand(END), herd, workers=1, kept=Kept(tmp_path))
    assert made == []


def test_a_kept_run_is_made_again_for_a_number_that_it_lacks(tmp_path: Path) -> None:
    store = Kept(tmp_path)
    store.keep("a", "run", {END: 0.1 + 0.2})
    store.keep("a", "broken", "no such thing")
    for again in (store, Kept(tmp_path)):
        assert again.find("a", "run", [END]) == {END: 0.1 + 0.2}
        assert again.find("a", "run", [END, TOP]) is None
        assert again.find("a", "broken", [TOP]) == "no such thing"
        assert again.find("a", "other", [END]) is None
        assert again.find("b", "run", [END]) is None
    store.keep("a", "run", {TOP: None})
    assert Kept(tmp_path).find("a", "run", [END, TOP]) == {END: 0.1 + 0.2, TOP: None}


def test_a_line_that_was_cut_off_costs_its_own_run_only(tmp_path: Path) -> None:
    store = Kept(tmp_path)
    store.keep("a", "one", {END: 1.0})
    with (store.folder / "a.jsonl").open("a") as stream:
        stream.write(json.dumps(["two", [[list(END), 2.0]]])[:25])
    Kept(tmp_path).keep("a", "three", {END: 3.0})
    again = Kept(tmp_path)
    assert [again.find("a", run, [END]) for run in ("one", "two", "three")] == [{END: 1.0}, None, {END: 3.0}]


def test_answers_of_another_program_are_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Kept(tmp_path).keep("a", "run", {END: 1.0})
    monkeypatch.setattr(kept, "_program", lambda: "0" * 16)
    assert Kept(tmp_path).find("a", "run", [END]) is None


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="XDG_CACHE_HOME"):
        Kept(tmp_path / "file")
