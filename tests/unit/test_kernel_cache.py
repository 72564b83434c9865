"""Machine code is kept per text of laws and kernels: a changed law never runs old code."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hepatalk import _cache

#: One file for each pattern, and a second one for the last.
NAMES = ("model/laws.py", "rng.py", "engines/population/kernels.py", "engines/lobule/motion_kernels.py")


@pytest.fixture
def package(tmp_path: Path) -> Path:
    for name in NAMES:
        path = tmp_path / "package" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"# {name}\n", encoding="utf-8")
    return tmp_path / "package"


@pytest.mark.parametrize("name", NAMES)
def test_a_changed_law_or_kernel_changes_the_folder(package: Path, tmp_path: Path, name: str) -> None:
    before = _cache.kernel_folder(tmp_path / "cache", package)
    assert before == _cache.kernel_folder(tmp_path / "cache", package)
    (package / name).write_text("# other text\n", encoding="utf-8")
    after = _cache.kernel_folder(tmp_path / "cache", package)
    assert after != before
    assert after.parent == before.parent == tmp_path / "cache"


def test_text_that_moves_between_the_files_changes_the_folder(package: Path) -> None:
    laws, kernels = (package / name for name in NAMES[:2])
    laws.write_bytes(b"ab")
    kernels.write_bytes(b"c")
    before = _cache.kernel_key(package)
    laws.write_bytes(b"a")
    kernels.write_bytes(b"bc")
    assert _cache.kernel_key(package) != before


def test_the_sources_of_the_running_package_exist() -> None:
    root = Path(_cache.__file__).parent
    assert all(list(root.glob(pattern)) for pattern in _cache.SOURCES)
    found = {path for pattern in _cache.SOURCES for path in root.glob(pattern)}
    kernels = {path for path in root.rglob("*.py") if "@njit(" in path.read_text(encoding="utf-8")}
    assert kernels <= found


def test_outdated_folders_go_and_others_stay(package: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    old = [cache / f"{k:016x}" for k in range(7)]
    for age, folder in enumerate(old):
        folder.mkdir(parents=True)
        os.utime(folder, (1e9 - age, 1e9 - age))
    (cache / "lists-0").mkdir()
    fresh = _cache.kernel_folder(cache, package)
    left = {p.name for p in cache.iterdir()}
    assert left == {fresh.name, "lists-0", *(p.name for p in old[: _cache.KEPT])}


def test_a_cache_that_cannot_be_made_falls_back_to_a_private_temporary_folder(package: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    folder = _cache.kernel_folder(tmp_path / "file" / "cache", package)
    assert folder.is_dir()
    assert folder.stat().st_mode & 0o077 == 0
    assert _cache.kernel_key(package) in folder.name


def _cache_dir(**environment: str) -> str:
    code = "import os, hepatalk; print(os.environ['NUMBA_CACHE_DIR'])"
    base = {k: v for k, v in os.environ.items() if k not in ("NUMBA_CACHE_DIR", "HEPATALK_KERNEL_CACHE")}
    done = subprocess.run(
        [sys.executable, "-c", code], env=base | environment, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_importing_the_package_tells_numba(tmp_path: Path) -> None:
    assert _cache_dir(XDG_CACHE_HOME=str(tmp_path)) == str(tmp_path / "hepatalk" / _cache.kernel_key())


def test_what_the_user_chose_is_left_alone(tmp_path: Path) -> None:
    assert _cache_dir(NUMBA_CACHE_DIR=str(tmp_path / "mine"), XDG_CACHE_HOME=str(tmp_path)) == str(tmp_path / "mine")


def test_what_a_parent_process_chose_for_other_code_is_not_taken_for_the_users_choice(tmp_path: Path) -> None:
    stale = str(tmp_path / "hepatalk" / "0123456789abcdef")
    found = _cache_dir(NUMBA_CACHE_DIR=stale, HEPATALK_KERNEL_CACHE=stale, XDG_CACHE_HOME=str(tmp_path))
    assert found == str(tmp_path / "hepatalk" / _cache.kernel_key())
