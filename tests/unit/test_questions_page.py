"""The page of what everyone asks first: its words follow the numbers, and all that it names exists."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from hepatalk.experiments.experiment import catalogue_names, load_experiment, overridden, with_items
from hepatalk.experiments.observations import load_observations
from hepatalk.knowledge import load

ROOT = Path(__file__).parents[2]


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    return importlib.import_module("questions_told")


@pytest.fixture
def script(told: ModuleType) -> ModuleType:
    assert told.__file__ is not None
    return importlib.import_module("make_questions_page")


def animal(told: ModuleType, label: str, wave: float, volume: list[float], died: float | None = None) -> object:
    """Return an animal seen at 0, 7, 14 and 28 d."""
    y = np.array(volume)
    time_h = 24.0 * np.array([0.0, 7.0, 14.0, 28.0])
    curves = {"liver_volume": y, "hepatocyte_mass": y, "hepatocyte_count": np.sqrt(y), "hepatocytes_from_bec": y}
    return told.Outcome(label, wave, 24.0, y, died, time_h, curves, dict.fromkeys(curves, "fraction"), "hash")


@pytest.mark.parametrize(
    ("value", "control", "words"),
    [
        (0.46, 1.0, "falls by 54%"),
        (1.3, 1.0, "rises by 30%"),
        (2.3, 1.0, "rises 2.3-fold"),
        (260.0, 1.0, "rises 260-fold"),
        (1.04, 1.0, "stays within 5% (+4.0%)"),
        (0.96, 1.0, "stays within 5% (-4.0%)"),
        (0.3, 0.0, "is 0.3 where the control has none"),
    ],
)
def test_a_change_is_told_by_its_size(told: ModuleType, value: float, control: float, words: str) -> None:
    assert told.moved(value, control) == words


def test_times_and_volumes_are_told(told: ModuleType) -> None:
    assert told.later(6.0) == "6 h later"
    assert told.later(-3.0) == "3 h earlier"
    assert told.later(0.5) == "at the same hour"
    assert told.lower(0.90, 0.95) == "0.90, 0.05 lower"
    assert told.lower(0.951, 0.95) == "0.95, the same within 0.01"
    assert told.lower(float("nan"), 0.95) == "not reached: the animal is dead"
    assert told.listed(["a", "b", "c"]) == "a; b; and c"


def test_numbers_have_no_exponents(told: ModuleType) -> None:
    assert [told.rounded(x, 3) for x in (8.7e-49, 0.0003244, 43.84, 1234.0)] == ["0", "0.000324", "43.8", "1230"]
    assert [told.share(x) for x in (0.2988, 0.00032, 0.0)] == ["29.9%", "0.032%", "0%"]


def test_waves_are_told_against_the_first_animal(told: ModuleType) -> None:
    control = animal(told, "control", 0.30, [0.3, 0.8, 0.9, 1.0])
    other = animal(told, "without X", 0.12, [0.3, np.nan, np.nan, np.nan], died=30.0)
    words = told.tell_waves([control, other])
    assert "**without X** the wave falls by 60% and peaks at the same hour" in words
    assert "not reached: the animal is dead" in words
    assert "without X dies after 30 h" in words


def test_a_regained_mass_is_split_into_number_and_size(told: ModuleType) -> None:
    """The made-up animal's number is the root of its mass, so that half of the growth is division."""
    assert "50% with *half*" in told.tell_division([animal(told, "half", 0.3, [0.3, 0.8, 0.9, 1.0])])


def test_overshoot_is_told_only_where_there_is_one(told: ModuleType) -> None:
    flat = animal(told, "flat", 0.3, [0.3, 0.8, 0.9, 0.9])
    high = animal(told, "high", 0.3, [0.3, 0.8, 1.2, 1.1])
    assert "in none of these 2 animals" in told.tell_overshoot([flat, flat])
    assert "health in high (highest: high, 1.20)" in told.tell_overshoot([flat, high])
    assert told.on_each_other([flat, flat, high]) == ["flat"]


def test_the_edge_of_survival_is_bisected(told: ModuleType, script: ModuleType) -> None:
    lives, dies = animal(told, "90%", 0.3, [0.1, 0.8, 0.9, 0.9]), animal(told, "95%", 0.3, [0.1] * 4, died=24.0)
    assert script.edge_of([lives, dies], lambda percent: percent <= 92) == (92, 93)
    assert script.edge_of([lives], lambda percent: True) is None


def test_all_that_a_question_names_exists(told: ModuleType, script: ModuleType) -> None:
    knowledge = load()
    rows = {i.id for i in knowledge.interactions}
    observed = {r.id for r in load_observations()}
    symbols = {g.rat for g in knowledge.genes}
    colours = {"dose", *script.NAMED}
    wanted = script.questions()
    assert len({q.id for q in wanted}) == len(wanted) == 12
    for question in wanted:
        assert set(question.rows) <= rows, question.id
        assert set(question.observations) <= observed, question.id
        assert set(question.tell) <= {*told.TELL, "series"}, question.id
        for case in question.cases:
            assert case.colour in colours, case.label
            assert {name.partition("@")[0] for name in case.knockouts} <= symbols, case.label
            if case.experiment in question.needs and case.experiment not in catalogue_names():
                continue  # the section says that it cannot be posed
            posed = overridden(load_experiment(case.experiment), species=case.species, days=question.days)
            with_items(posed, case.items, case.label)


def test_every_link_to_a_statement_leads_to_its_heading(script: ModuleType) -> None:
    for question in script.questions():
        for row in question.rows:
            page, _, anchor = script.page_of(row).partition("#")
            headings = re.findall(r"^## (\S+)$", (ROOT / "docs" / page).read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in {heading.lower() for heading in headings}, row


def test_the_page_shows_the_figures_that_are_there(script: ModuleType) -> None:
    shown = set(re.findall(r"\(questions/(\w+)\.png\)", script.PAGE.read_text(encoding="utf-8")))
    assert shown == {path.stem for path in script.FIGURES.glob("*.png")}
    assert all(path.stat().st_size < 120_000 for path in script.FIGURES.glob("*.png"))
