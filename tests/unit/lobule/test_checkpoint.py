"""A run that was broken off goes on to the last bit, and nothing else goes on from its file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hepatalk.engines.lobule import engine as engine_module
from hepatalk.engines.lobule.engine import LobuleEngine, LobuleSettings
from hepatalk.engines.lobule.record import Snapshot
from hepatalk.errors import EngineError, OutputError
from hepatalk.knowledge.load import load
from hepatalk.model.compiled import CompiledModel
from hepatalk.model.compiler import compile_model
from hepatalk.model.schedule import Change

HOURS = np.arange(0.0, 9.0)
CUT = Change(0.0, "scale_extensive", "liver", 0.3, "70% removed")
LATER = Change(5.0, "set_parameter", "body.demand", 1.1, "more demand")
EARLY = Change(-2.0, "set_parameter", "body.inflow", 1.05, "more inflow")


class BrokenError(Exception):
    """What breaks a run off."""


@pytest.fixture(scope="module")
def model() -> CompiledModel:
    return compile_model(load())


def lobule(model: CompiledModel, path: Path | None = None, seed: int = 3, hepatocytes: int = 200) -> LobuleEngine:
    settings = LobuleSettings(hepatocytes=hepatocytes, checkpoint=path, checkpoint_every_s=0.0)
    return LobuleEngine.in_space(model, seed, settings)


def broken_at(model: CompiledModel, path: Path, hour: float) -> None:
    """Run until an hour, and break off as a killed process does: without a word."""
    engine = lobule(model, path)

    def stop(snapshot: Snapshot) -> None:
        del snapshot
        raise BrokenError

    engine.settings = replace(engine.settings, cells_at_h=(hour,), keep=stop)
    with pytest.raises(BrokenError):
        engine.run(model, [CUT, LATER], HOURS, lead_in=[EARLY])


@pytest.mark.parametrize("hour", [3.3, 6.5])
def test_a_run_goes_on_to_the_last_bit(model: CompiledModel, tmp_path: Path, hour: float) -> None:
    path = tmp_path / "run.npz"
    whole_engine = lobule(model)
    whole = whole_engine.run(model, [CUT, LATER], HOURS, lead_in=[EARLY])
    broken_at(model, path, hour)
    assert path.exists()
    resumed_engine = lobule(model, path)
    resumed = resumed_engine.run(model, [CUT, LATER], HOURS, lead_in=[EARLY])
    assert not path.exists()
    np.testing.assert_array_equal(resumed.states, whole.states)
    np.testing.assert_array_equal(resumed.param_sets, whole.param_sets)
    np.testing.assert_array_equal(resumed.param_set_of, whole.param_set_of)
    one, other = whole_engine.last, resumed_engine.last
    assert one is not None
    assert other is not None
    assert (one.n, one.ident, one.steps) == (other.n, other.ident, other.steps)
    for name, values in one.cells._asdict().items():
        np.testing.assert_array_equal(getattr(other.cells, name)[: one.n], values[: one.n], err_msg=name)


def test_a_resumed_run_is_not_begun_anew(model: CompiledModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "run.npz"
    broken_at(model, path, 6.5)

    def begun(*args: object) -> None:
        raise AssertionError("first cells were made again")

    monkeypatch.setattr(engine_module, "first_cells", begun)
    lobule(model, path).run(model, [CUT, LATER], HOURS, lead_in=[EARLY])


@pytest.mark.parametrize("what", ["model", "seed", "tissue", "schedule", "times of output"])
def test_another_run_does_not_go_on_from_it(model: CompiledModel, tmp_path: Path, what: str) -> None:
    path = tmp_path / "run.npz"
    broken_at(model, path, 3.3)
    engine, changes, hours = lobule(model, path), [CUT, LATER], HOURS
    if what == "model":
        model = model.with_params({"hep_commit_rate": 0.01})
    elif what == "seed":
        # The same tissue, other fates.
        engine = replace(engine, seed=4)
    elif what == "tissue":
        engine = lobule(model, path, hepatocytes=220)
    elif what == "schedule":
        changes = [CUT]
    else:
        hours = HOURS[:-1]
    with pytest.raises(EngineError, match=rf"checkpoint .*run\.npz: its {what} is .* remove the file to begin anew"):
        engine.run(model, changes, hours, lead_in=[EARLY])
    assert path.exists()


@pytest.mark.parametrize("what", ["half", "empty", "text", "one array", "cut", "lost"])
def test_a_file_that_is_none_is_refused(model: CompiledModel, tmp_path: Path, what: str) -> None:
    path = tmp_path / "run.npz"
    broken_at(model, path, 3.3)
    sound = path.read_bytes()
    content = {"half": sound[: len(sound) // 2], "empty": b"", "text": b"no archive", "cut": sound[:-40]}
    path.write_bytes(content.get(what, sound))
    if what == "one array":
        with path.open("wb") as file:
            np.save(file, np.arange(3))
    if what == "lost":
        with np.load(path) as whole:
            some = {name: whole[name] for name in whole.files if name != "cells.clock"}
        np.savez(path, **some)
    with pytest.raises(EngineError, match=r"it cannot be read .* remove it to begin anew"):
        lobule(model, path).run(model, [CUT, LATER], HOURS, lead_in=[EARLY])


def test_a_file_that_cannot_be_written_is_one_line(model: CompiledModel, tmp_path: Path) -> None:
    path = tmp_path / "gone" / "run.npz"
    with pytest.raises(
        EngineError, match=r"checkpoint .*: No such file or directory; allowed: a file that can be written"
    ):
        lobule(model, path).run(model, [CUT], HOURS)


def test_a_failed_writing_leaves_the_old_file(
    model: CompiledModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run.npz"
    broken_at(model, path, 3.3)
    before = path.read_bytes()

    def full(*args: object, **arrays: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(OutputError, match=r"No space left on device; .* it goes on from what was last written"):
        lobule(model, path).run(model, [CUT, LATER], HOURS, lead_in=[EARLY])
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["run.npz"]
