"""A run that is killed leaves a hidden folder; the next command clears it, and never one that is in use."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hepatalk.cli import leftovers
from hepatalk.cli.leftovers import STAGE, clear, stage_in

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no locks of folders, and no SIGKILL")

#: Makes a hidden folder with a file, says so, and waits to be killed.
_WRITER = """
import sys, time
from pathlib import Path
from hepatalk.cli.leftovers import stage_in
with stage_in(Path(sys.argv[1])) as stage:
    (stage / "half.txt").write_text("half")
    print("ready", flush=True)
    time.sleep(600)
"""


def hidden(folder: Path) -> list[Path]:
    return sorted(folder.rglob(".hepatalk-*"))


def aged(folder: Path) -> None:
    """Make hidden folders older than those that may not have been locked yet."""
    for path in hidden(folder):
        then = time.time() - 60.0
        os.utime(path, (then, then))


def test_a_killed_run_leaves_a_folder_that_the_next_command_clears(tmp_path: Path) -> None:
    results = tmp_path / "results" / "phx70"
    results.mkdir(parents=True)
    (results / "mine.txt").write_text("kept", encoding="utf-8")
    writer = subprocess.Popen([sys.executable, "-c", _WRITER, str(results)], stdout=subprocess.PIPE, text=True)
    try:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
        aged(tmp_path)
        assert clear(results) == 0  # it is in use: the lock says so, whatever its age
        assert len(hidden(results)) == 1
        writer.send_signal(signal.SIGKILL)
        writer.wait(timeout=60)
        assert len(hidden(results)) == 1
        assert clear(tmp_path) == 0  # only the folder itself is looked at, unless more is asked for
        assert clear(tmp_path, below=True) == 1
    finally:
        writer.kill()
        writer.wait(timeout=60)
        if writer.stdout is not None:
            writer.stdout.close()
    assert hidden(tmp_path) == []
    assert (results / "mine.txt").read_text(encoding="utf-8") == "kept"


def test_a_folder_that_was_only_just_made_is_left(tmp_path: Path) -> None:
    (tmp_path / f"{STAGE}new").mkdir()
    assert clear(tmp_path) == 0
    aged(tmp_path)
    assert clear(tmp_path) == 1


def test_without_locks_age_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError("no locks here")

    monkeypatch.setattr(leftovers.fcntl, "flock", refuse)
    (tmp_path / f"{STAGE}old").mkdir()
    aged(tmp_path)
    assert clear(tmp_path) == 0
    then = time.time() - 7200.0
    os.utime(tmp_path / f"{STAGE}old", (then, then))
    assert clear(tmp_path) == 1


def test_folders_of_killed_saves_go_as_well(tmp_path: Path) -> None:
    (tmp_path / "run" / ".hepatalk-new-abcd").mkdir(parents=True)
    (tmp_path / "run" / ".git").mkdir()
    assert clear(tmp_path, below=True) == 1
    assert [p.name for p in (tmp_path / "run").iterdir()] == [".git"]


def test_a_stage_is_removed_when_the_work_is_done_or_fails(tmp_path: Path) -> None:
    with stage_in(tmp_path) as stage:
        assert stage.is_dir()
    assert hidden(tmp_path) == []
    with pytest.raises(ValueError, match="on purpose"), stage_in(tmp_path):
        raise ValueError("on purpose")
    assert hidden(tmp_path) == []
