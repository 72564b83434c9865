"""Pictures that another process draws are those that are drawn here, whatever becomes of that process."""

from __future__ import annotations

import multiprocessing
import os
from multiprocessing.connection import Connection
from typing import cast

import pytest

import hepatalk.plots
from hepatalk.errors import ExperimentError
from hepatalk.experiments.run import perform
from hepatalk.knowledge.load import load
from hepatalk.plots import aside, encoded_figures
from hepatalk.plots.aside import Artist, drawing_aside
from hepatalk.plots.view import View, view_of


@pytest.fixture(scope="module")
def view() -> View:
    knowledge = load()
    return view_of(perform("sham", days=1.0, knowledge=knowledge), knowledge)


@pytest.fixture(scope="module")
def drawn_here(view: View) -> dict[str, bytes]:
    return encoded_figures(view)


@pytest.fixture
def two_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 2)


def never(view: View) -> dict[str, bytes]:
    raise AssertionError("these pictures were to be drawn in the other process")


@pytest.mark.usefixtures("two_processors")
def test_the_other_process_draws_the_same_pictures_and_ends(
    view: View, drawn_here: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hepatalk.plots, "encoded_figures", never)
    with drawing_aside() as artist:
        artist.begin(view)
        found = artist.pictures()
    assert found == drawn_here
    assert multiprocessing.active_children() == []


@pytest.mark.usefixtures("two_processors")
def test_pictures_are_drawn_here_when_the_other_process_dies(
    view: View, drawn_here: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hepatalk.plots, "encoded_figures", lambda given: {"a.png": b"here"})
    for early in (True, False):
        with drawing_aside() as artist:
            (process,) = multiprocessing.active_children()
            if not early:
                artist.begin(view)
            process.kill()
            process.join()
            if early:
                artist.begin(view)
            assert artist.pictures() == {"a.png": b"here"}


def test_one_processor_draws_here(view: View, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    monkeypatch.setattr(hepatalk.plots, "encoded_figures", lambda given: {"a.png": b"here"})
    with drawing_aside() as artist:
        assert multiprocessing.active_children() == []
        artist.begin(view)
        assert artist.pictures() == {"a.png": b"here"}


def test_what_the_other_process_raises_is_raised_here() -> None:
    ours, theirs = multiprocessing.Pipe()
    theirs.send(ExperimentError("cannot be drawn; try again"))
    artist = Artist(ours)
    artist.begin(cast("View", "a view so small that nobody needs to read it"))
    with pytest.raises(ExperimentError, match="cannot be drawn"):
        artist.pictures()


def test_a_process_that_is_no_longer_wanted_draws_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    class Closed(Connection):
        def __init__(self) -> None:
            """Hold no handle."""

        def __del__(self) -> None:
            """Close none."""

        def recv(self) -> View:
            raise EOFError

    monkeypatch.setattr(aside, "_warm_up", lambda: None)
    monkeypatch.setattr(hepatalk.plots, "encoded_figures", never)
    aside._draw(Closed())
