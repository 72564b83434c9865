"""What ``scripts/setup`` says when it cannot start; it must say it in one line, before it touches anything."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest


def _interpreter(folder: Path, name: str, version: str) -> Path:
    """Write a program that, like an interpreter, prints its version."""
    folder.mkdir(exist_ok=True)
    file = folder / name
    file.write_text(f"#!/bin/sh\necho {version}\n", encoding="utf-8")
    file.chmod(0o755)
    return file


def _setup(repository: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [str(repository / "scripts" / "setup"), *arguments]
    return subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("version", ["2.7", "3.9", "3.10"])
def test_named_python_too_old(repository: Path, tmp_path: Path, version: str) -> None:
    old = _interpreter(tmp_path / "bin", "old", version)
    done = _setup(repository, "python", PYTHON=str(old))
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == (
        f"setup: PYTHON={old} is {version}; hepatalk needs Python 3.11 or newer: "
        "install it, or name one with 'make PYTHON=python3.12 ...'\n"
    )


def test_named_python_absent(repository: Path, tmp_path: Path) -> None:
    done = _setup(repository, "python", PYTHON=str(tmp_path / "none"))
    assert done.returncode == 1
    assert "is not an interpreter that starts; hepatalk needs Python 3.11 or newer" in done.stderr


def test_newer_python_is_found_beside_an_old_one(repository: Path, tmp_path: Path) -> None:
    folder = tmp_path / "bin"
    _interpreter(folder, "python3", "3.9")
    for name in ("python3.13", "python3.12"):
        _interpreter(folder, name, name.removeprefix("python"))
    done = _setup(repository, "python", PYTHON="", PATH=f"{folder}{os.pathsep}{os.environ['PATH']}")
    assert (done.returncode, done.stdout, done.stderr) == (0, "python3.13\n", "")


def test_no_python_is_new_enough(repository: Path, tmp_path: Path) -> None:
    folder = tmp_path / "bin"
    for name in ("python3", "python3.13", "python3.12", "python3.11", "python3.14", "python"):
        _interpreter(folder, name, "3.8")
    done = _setup(repository, "python", PYTHON="", PATH=f"{folder}{os.pathsep}{os.environ['PATH']}")
    assert done.returncode == 1
    assert done.stderr.startswith("setup: no Python 3.11 or newer (looked at python3:3.8 python3.13:3.8")
    assert done.stderr.count("\n") == 1


def test_unknown_request(repository: Path) -> None:
    done = _setup(repository, "everything")
    assert (done.returncode, done.stderr) == (1, "setup: usage: scripts/setup run|dev|python\n")
