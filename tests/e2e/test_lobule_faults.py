"""What can happen to a run of the lobule from outside, through the installed command."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from hepatalk.cli import main as cli_main
from hepatalk.results import cell_tables
from hepatalk.results.cells import load_cells
from hepatalk.results.store import load_result

HEPATALK = str(Path(sys.executable).with_name("hepatalk"))
SMALL = ("run", "phx70", "--engine", "lobule", "--hepatocytes", "150", "--days", "1", "--seed", "3")
KEPT = ("--checkpoint", "c.npz", "--checkpoint-every", "0")


def hepatalk(arguments: Sequence[str], cwd: Path, code: int = 0) -> str:
    done = subprocess.run([HEPATALK, *arguments], cwd=cwd, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    if code:
        assert done.stderr.count("\n") == 1
    return done.stderr.rstrip("\n")


def broken_off(cwd: Path, until: str, more: Sequence[str] = ()) -> None:
    """Begin a run and kill it without a word once a file is there."""
    run = subprocess.Popen([HEPATALK, *SMALL, *KEPT, *more], cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    end = time.monotonic() + 240.0
    while not any(cwd.glob(until)) or not (cwd / "c.npz").exists():
        assert run.poll() is None, "the run ended before it could be killed"
        assert time.monotonic() < end
        time.sleep(0.002)
    run.send_signal(signal.SIGKILL)
    run.communicate()
    assert run.returncode == -signal.SIGKILL


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a run that nothing disturbed."""
    folder = tmp_path_factory.mktemp("whole")
    hepatalk([*SMALL, "--out", "l"], folder)
    return folder / "l"


@pytest.mark.skipif(sys.platform == "win32", reason="there is no kill -9")
def test_a_run_that_was_killed_goes_on_to_the_last_bit(whole: Path, tmp_path: Path) -> None:
    broken_off(tmp_path, "c.npz.cells/moments/h00006*", ("--out", "l"))
    before = files(tmp_path / "c.npz.cells")
    assert not (tmp_path / "l" / "cells.zarr").exists()
    hepatalk([*SMALL, *KEPT, "--out", "l"], tmp_path)
    one, other = load_result(whole), load_result(tmp_path / "l")
    assert other.content_hash() == one.content_hash()
    assert other.to_json() == one.to_json()
    cells = files(tmp_path / "l" / "cells.zarr")
    assert cells == files(whole / "cells.zarr")
    # The killed run's hidden folder is young: the next run there clears it.
    assert not [p.name for p in tmp_path.iterdir() if p.name.startswith("c.npz")]
    assert {name for name in before if "/." not in name and not name.startswith(".")} <= cells.keys()


@pytest.mark.skipif(sys.platform == "win32", reason="there is no kill -9")
def test_what_does_not_go_on_from_a_checkpoint(tmp_path: Path) -> None:
    broken_off(tmp_path, "c.npz")
    sound = (tmp_path / "c.npz").read_bytes()
    line = hepatalk([*SMALL, *KEPT, "--set", "hep_commit_rate=0.01"], tmp_path, code=1)
    assert line.startswith("checkpoint c.npz: its model is ")
    assert "the model (records, species, parameters, hypotheses) has changed" in line
    assert line.endswith("allowed: the run that wrote it; remove the file to begin anew")
    assert (tmp_path / "c.npz").read_bytes() == sound
    flipped = bytearray(sound)
    flipped[len(sound) // 2] ^= 0xFF
    for bad in (sound[: len(sound) // 2], bytes(flipped)):
        (tmp_path / "c.npz").write_bytes(bad)
        line = hepatalk([*SMALL, *KEPT], tmp_path, code=1)
        assert line.startswith("checkpoint c.npz: it cannot be read (")
        assert line.endswith("remove it to begin anew")
        assert (tmp_path / "c.npz").read_bytes() == bad


def called(
    arguments: Sequence[str], capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> tuple[int, str]:
    """Call the command within this process, where a disk can be made full; return exit code and last line."""
    said: list[str] = []
    monkeypatch.setattr("hepatalk.cli.console.warn", said.append)
    code = cli_main._run(list(arguments))
    capfd.readouterr()
    return code, said[-1] if said else ""


@pytest.mark.parametrize("checkpoint", [True, False])
def test_a_disk_that_is_full_while_cells_are_kept(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], checkpoint: bool
) -> None:
    """One line with the folder and what to do; what was kept is whole, and the run goes on once there is room."""
    monkeypatch.chdir(tmp_path)
    arguments = [*SMALL, *(KEPT if checkpoint else ()), "--out", "l"]
    plain = cell_tables._write_file

    def full(path: Path, content: bytes) -> None:
        if "h00012" in str(path) and path.match("obs/zone/c/0"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        plain(path, content)

    with monkeypatch.context() as patch:
        patch.setattr(cell_tables, "_write_file", full)
        code, line = called(arguments, capfd, patch)
    assert code == 1
    assert line.startswith("cells at 12.") and " h cannot be written into " in line
    assert "No space left on device; free some space" in line
    if not checkpoint:
        assert line.endswith("with --checkpoint FILE, a run that was broken off goes on")
        assert list(tmp_path.iterdir()) == []
        return
    assert line.endswith("run it again, and it goes on from 'c.npz'")
    kept = files(tmp_path / "c.npz.cells" / "moments")
    expected = {k: v for k, v in files(whole / "cells.zarr" / "moments").items() if k.startswith(("h00000", "h00006"))}
    assert kept == expected
    code, _ = called(arguments, capfd, monkeypatch)
    assert code == 0
    assert files(tmp_path / "l" / "cells.zarr") == files(whole / "cells.zarr")
    assert not (tmp_path / "c.npz").exists()


def test_a_disk_that_is_full_at_the_end(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The run is over and its result does not fit: run again, it has only to be written."""
    monkeypatch.chdir(tmp_path)

    def full(*args: object, **more: object) -> Path:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr("hepatalk.results.store.save_result", full)
        code, line = called([*SMALL, *KEPT, "--out", "l"], capfd, patch)
    assert code == 1
    assert "no space left on the disk of 'l'; free some space" in line
    assert line.endswith("run it again, and it goes on from 'c.npz'")
    assert len(load_cells(whole)) == len(list((tmp_path / "c.npz.cells" / "moments").glob("h*")))

    def begun(*args: object) -> None:
        raise AssertionError("the run was taken again")

    monkeypatch.setattr("hepatalk.engines.lobule.engine.step", begun)
    assert called([*SMALL, *KEPT, "--out", "l"], capfd, monkeypatch)[0] == 0
    assert load_result(tmp_path / "l").content_hash() == load_result(whole).content_hash()
    assert files(tmp_path / "l" / "cells.zarr") == files(whole / "cells.zarr")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["l"]


def test_a_disk_that_is_full_for_the_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)

    def full(*args: object, **arrays: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(np, "savez", full)
    code, line = called([*SMALL, *KEPT], capfd, monkeypatch)
    assert (code, line) == (1, "checkpoint c.npz: No space left on device; free some space, and run it again")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--hepatocytes", "0"], "lobule: hepatocytes = 0; allowed: a whole number from 1; correct it"),
        (["--hepatocytes", "-3"], "lobule: hepatocytes = -3; allowed: a whole number from 1; correct it"),
        (["--hepatocytes", "5"], "ask for more hepatocytes"),
        (["--hepatocytes", "100000000"], "1 x 100000000 hepatocytes; allowed: up to 5000000 in all; ask for fewer"),
        (["--lobules", "0"], "lobule: lobules = 0; allowed: a whole number from 1; correct it"),
        (["--lobules", "100000"], "100000 x 3000 hepatocytes; allowed: up to 5000000 in all; ask for fewer"),
        (["--chemotaxis", "HSC"], "--chemotaxis 'HSC'; allowed: CELL:SIGNAL, such as HSC:PDGFB; correct it"),
        (["--hepatocytes", "150", "--chemotaxis", "HSC:PDGF"], "unknown signal 'PDGF'; nearest: PDGFB"),
        (["--checkpoint", "c.npz", "--checkpoint-every", "nan"], "--checkpoint-every nan s; allowed: 0 or more"),
    ],
)
def test_lobules_that_cannot_be(
    arguments: list[str],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    code, line = called(["run", "sham", "--engine", "lobule", *arguments, "--out", "l"], capfd, monkeypatch)
    assert code == 2
    assert said in line
    assert "\n" not in line
    assert list(tmp_path.iterdir()) == []


def test_memory_that_runs_out_is_one_line(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    def none_left(*args: object, **more: object) -> None:
        raise MemoryError

    monkeypatch.setattr("hepatalk.experiments.run.perform", none_left)
    code, line = called(["run", "sham", "--engine", "lobule"], capfd, monkeypatch)
    assert code == 1
    assert line == "there is not enough memory for this; ask for fewer cells, animals or days, or close other programs"
