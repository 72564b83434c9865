"""A saved result comes back to the last bit, and a save that fails or is killed leaves the old one."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import pickle
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hepatalk.errors import OutputError, ResultError
from hepatalk.results import Provenance, Result, load_result, save_result, store

PARTS = ["provenance.json", "result.zarr"]
posix = pytest.mark.skipif(sys.platform == "win32", reason="needs kill -9, fork and locks of POSIX")

# Run by other interpreters as well, so that a killed save writes exactly what the tests expect.
MAKE = '''
import numpy as np
from hepatalk.results import Provenance, Result

def make(seed):
    """A small result whose every number depends on the seed."""
    rng = np.random.default_rng(seed)
    provenance = Provenance("phx70", "a title", "rat", "population", seed, "abc", "1", versions={"python": "3.11.0"},
                            created="2026-01-31T12:00:00+00:00", platform="test", parameters_set={"k": 0.1 * seed})
    readouts = {"s_phase.HEP": rng.random(5), "liver_volume": rng.random(5)}
    return Result.build(np.arange(5.0), readouts, dict.fromkeys(readouts, "1"), dict.fromkeys(readouts, "d"),
                        provenance, rng.random((5, 2)), ["a", "b"], {"s_phase.HEP": (0.3, 1.5)})
'''
_namespace: dict[str, Any] = {}
exec(MAKE, _namespace)
make: Callable[[int], Result] = _namespace["make"]


def same(one: Result, other: Result) -> bool:
    return one.content_hash() == other.content_hash() and one.provenance == other.provenance


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A folder that holds the result of seed 1."""
    folder = tmp_path / "run"
    save_result(make(1), folder)
    return folder


# --- round trip --------------------------------------------------------------------------------------------------


def test_a_result_comes_back_with_every_bit_and_every_attribute(tmp_path: Path) -> None:
    result = make(1)
    save_result(result, tmp_path / "deep" / "down" / "run")
    back = load_result(tmp_path / "deep" / "down" / "run")
    assert same(back, result)
    assert back.dataset.identical(result.dataset)
    assert back.names == result.names
    assert back.summary() == result.summary()
    assert back.to_json() == result.to_json()
    assert names(tmp_path / "deep" / "down" / "run") == PARTS


def test_extreme_numbers_and_any_language_come_back(tmp_path: Path) -> None:
    values = np.array([-0.0, 5e-324, np.finfo(float).max, -np.finfo(float).tiny, 1 / 3])
    zeros = np.zeros(5)
    provenance = Provenance("x", "Leber → \u2028 肝臓 \"'", "rat", "population", -(2**70), "", "", ("a\nb",))
    readouts = {"signal.IL6": values, "signal.HGF": zeros}
    result = Result.build(
        np.array([0, 1e-300, 1, 2, 1e300]), readouts, dict.fromkeys(readouts, "µm"), dict.fromkeys(readouts, "ein Maß"),
        provenance,
    )  # fmt: skip
    save_result(result, tmp_path)
    back = load_result(tmp_path)
    assert back.readout("signal.IL6").tobytes() == values.tobytes()
    assert same(back, result)
    assert back.dataset.identical(result.dataset)
    assert back.states is None


def test_the_store_is_plain_zarr_3_that_xarray_opens_by_itself(saved: Path) -> None:
    import xarray

    with xarray.open_zarr(saved / "result.zarr", consolidated=False) as dataset:
        assert dataset["time"].values.tolist() == [0.0, 1.0, 2.0, 3.0, 4.0]
        assert dataset["time"].attrs["units"] == "h"
        assert dataset["liver_volume"].values.tolist() == make(1).readout("liver_volume").tolist()
        assert dataset["liver_volume"].attrs == {"units": "1", "definition": "d"}
        assert dataset["state"].attrs["state_names"] == ["a", "b"]
        assert dataset.attrs["experiment"] == "phx70"
        assert dataset.attrs["seed"] == 1
    assert json.loads((saved / "result.zarr" / "zarr.json").read_text())["zarr_format"] == 3


def test_a_second_save_replaces_the_result_and_leaves_the_rest_of_the_folder(saved: Path) -> None:
    (saved / "notes.txt").write_text("mine")
    inode = saved.stat().st_ino
    smaller = Result.build([0.0], {"liver_volume": np.ones(1)}, {"liver_volume": "1"}, {"liver_volume": "d"},
                           make(2).provenance)  # fmt: skip
    save_result(smaller, saved)
    assert same(load_result(saved), smaller)
    assert (saved / "notes.txt").read_text() == "mine"
    assert names(saved) == sorted([*PARTS, "notes.txt"])
    assert sorted(path.name for path in (saved / "result.zarr").iterdir()) == ["liver_volume", "time", "zarr.json"]
    # The folder itself stays: it may be a mount point or the shell's working directory.
    assert saved.stat().st_ino == inode


def test_the_working_directory_and_a_link_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "target"
    target.mkdir()
    monkeypatch.chdir(target)
    for seed in (1, 2):
        save_result(make(seed), Path())
        assert same(load_result(Path()), make(seed))
    (tmp_path / "link").symlink_to(target, target_is_directory=True)
    save_result(make(3), tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert same(load_result(target), make(3))


def test_hidden_files_of_a_desktop_do_not_matter(saved: Path) -> None:
    (saved / "result.zarr" / ".DS_Store").write_bytes(b"\0")
    (saved / "result.zarr" / "liver_volume" / ".DS_Store").write_bytes(b"\0")
    assert same(load_result(saved), make(1))


def test_the_checksum_is_the_documented_one(saved: Path) -> None:
    result = make(1)
    labels = {
        "n_times": 5,
        "readouts": [["s_phase.HEP", "1", "d", [0.3, 1.5]], ["liver_volume", "1", "d", None]],
        "state_names": ["a", "b"],
    }
    arrays = [result.time_h, result.readout("s_phase.HEP"), result.readout("liver_volume"), result.states]
    content = json.dumps(labels).encode() + b"".join(np.asarray(array, "<f8").tobytes() for array in arrays)
    record = json.loads((saved / "provenance.json").read_text())
    assert record["content_sha256"] == hashlib.sha256(content).hexdigest()


def test_the_documentation_names_every_key_on_the_disk(saved: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "file_format.md").read_text(encoding="utf-8")
    documented = {name for line in page.splitlines() if line.startswith("| ") for name in re.findall(r"`(\w+)`", line)}
    record = json.loads((saved / "provenance.json").read_text())
    attributes = json.loads((saved / "result.zarr" / "zarr.json").read_text())["attributes"]
    assert {*record, *record["provenance"], *attributes} <= documented
    for path in (saved / "result.zarr").rglob("*/zarr.json"):
        assert {*json.loads(path.read_text())["attributes"]} <= documented
    assert f"**format version {store.FORMAT_VERSION}**" in page


# --- kill -9 -----------------------------------------------------------------------------------------------------

# Forks once for each save, after the imports, and kills the fork just before its k-th change of the file system.
KILLER = (
    MAKE
    + '''
import os, shutil, signal, sys
from pathlib import Path
import xarray, zarr.storage, zarr.core.buffer
from hepatalk.results import save_result

CHANGES = {"os.mkdir", "os.rename", "os.rmdir", "os.remove", "open"}

def save_and_die(seed, folder, k):
    """Save in a fork that dies at its k-th change; True if the save came to its end before."""
    pid = os.fork()
    if pid == 0:
        seen = 0
        def count(event, args):
            nonlocal seen
            if event in CHANGES and not (event == "open" and args[2] & os.O_ACCMODE == os.O_RDONLY):
                seen += 1
                if seen == k:
                    os.kill(os.getpid(), signal.SIGKILL)
        result = make(seed)
        sys.addaudithook(count)
        save_result(result, folder)
        os._exit(0)
    status = os.waitpid(pid, 0)[1]
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, status
    return not os.WIFSIGNALED(status)
'''
)


def run_killer(code: str, *arguments: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", KILLER + code, *map(str, arguments)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@posix
def test_a_save_killed_at_any_moment_leaves_the_old_result_or_the_new_one(saved: Path, tmp_path: Path) -> None:
    code = """
import pickle
from hepatalk.results import store
old, work = Path(sys.argv[1]), Path(sys.argv[2])
# Encoded once, beforehand: it is the changes on the disk that are put to the test.
files = pickle.loads(Path(sys.argv[3]).read_bytes())
store._encoded = lambda result: files
for k in range(1, 1000):
    folder = work / f"{k:03d}"
    shutil.copytree(old, folder)
    if save_and_die(2, folder, k):
        break
"""
    work = tmp_path / "killed"
    work.mkdir()
    (tmp_path / "encoded").write_bytes(pickle.dumps(store._encoded(make(2))))
    run_killer(code, saved, work, tmp_path / "encoded")
    seen = []
    for number, folder in enumerate(sorted(work.iterdir())):
        before = names(folder)
        result = load_result(folder)
        assert names(folder) == before, "a load must not write"
        assert same(result, make(1)) or same(result, make(2))
        seen.append(result.provenance.seed)
        if number % 4 == 0:
            save_result(make(3), folder)
            assert same(load_result(folder), make(3))
            assert names(folder) == PARTS, "the next save clears up"
    # There is one moment at which the new result takes over, neither at the first nor at the last change.
    assert seen == sorted(seen)
    assert seen.count(1) > 10
    assert seen.count(2) > 5


@posix
def test_saves_killed_one_after_the_other_never_lose_the_last_result(saved: Path, tmp_path: Path) -> None:
    code = """
import random
folder, work = Path(sys.argv[1]), Path(sys.argv[2])
moments = random.Random(20260131)
for seed in range(2, 27):
    save_and_die(seed, folder, moments.randint(1, 70))
    shutil.copytree(folder, work / f"{seed:03d}")
"""
    work = tmp_path / "snapshots"
    work.mkdir()
    run_killer(code, saved, work)
    last, moves = 1, 0
    for folder in sorted(work.iterdir()):
        result = load_result(folder)
        assert result.provenance.seed in (last, int(folder.name))
        assert same(result, make(result.provenance.seed))
        moves += result.provenance.seed != last
        last = result.provenance.seed
    assert 3 < moves < 22


@posix
def test_a_killed_first_save_is_no_result_and_the_next_save_clears_up(tmp_path: Path) -> None:
    run_killer("save_and_die(1, Path(sys.argv[1]), 6)", tmp_path / "run")
    assert [name[:14] for name in names(tmp_path / "run")] == [".hepatalk-new-"]
    with pytest.raises(ResultError, match="holds no result, only the start of a save; run the experiment again"):
        load_result(tmp_path / "run")
    save_result(make(2), tmp_path / "run")
    assert names(tmp_path / "run") == PARTS


def test_leftovers_of_killed_saves_are_swept_and_other_hidden_folders_are_not(saved: Path) -> None:
    for name in (".hepatalk-new-abc", ".hepatalk-new-def", ".git"):
        (saved / name).mkdir()
        (saved / name / "file").write_text("x")
    assert same(load_result(saved), make(1))
    save_result(make(2), saved)
    assert names(saved) == sorted([".git", *PARTS])


# --- failures of the operating system ----------------------------------------------------------------------------


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_a_disk_that_fails_at_any_flush_leaves_a_whole_result(
    saved: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    flush, outcomes = os.fsync, []
    for fatal in range(100):
        calls = 0

        def failing(descriptor: int, fatal: int = fatal) -> None:
            nonlocal calls
            calls += 1
            if calls > fatal:
                raise OSError(code, os.strerror(code))
            flush(descriptor)

        monkeypatch.setattr(store.os, "fsync", failing)
        try:
            save_result(make(2), saved)
        except OutputError as error:
            assert "cannot write into" in str(error) or "no space left" in str(error)
            result = load_result(saved)
            assert same(result, make(1)) or same(result, make(2))
            if same(result, make(1)):
                assert names(saved) == PARTS, "temporary files are removed"
            outcomes.append(result.provenance.seed)
        else:
            break
        monkeypatch.setattr(store.os, "fsync", flush)
        save_result(make(1), saved)
    assert same(load_result(saved), make(2))
    assert outcomes == sorted(outcomes)
    assert outcomes.count(1) > 10


def test_a_failed_first_save_takes_the_folders_it_made_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(store.os, "fsync", full)
    with pytest.raises(OutputError, match=r"no space left on the disk of .*; free some space, or choose another"):
        save_result(make(1), tmp_path / "a" / "b")
    assert names(tmp_path) == []


def test_an_interrupt_leaves_the_old_result_and_nothing_else(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(descriptor: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(store.os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        save_result(make(2), saved)
    assert same(load_result(saved), make(1))
    assert names(saved) == PARTS


def test_a_disk_that_really_is_full(tmp_path: Path) -> None:
    # A tmpfs of 160 KiB in a namespace of our own: no rights are needed where the kernel allows such namespaces.
    mount = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
    disk = tmp_path / "disk"
    disk.mkdir()
    script = 'mount -t tmpfs -o size=160k tmpfs "$1" && shift && exec "$@"'
    if (
        shutil.which("unshare") is None
        or subprocess.run([*mount, script, "sh", str(disk), "true"], capture_output=True, check=False).returncode
    ):
        pytest.skip("this system mounts no tmpfs without rights")
    code = (
        MAKE
        + """
import sys
from pathlib import Path
from hepatalk.errors import OutputError
from hepatalk.results import load_result, save_result

disk = Path(sys.argv[1])
save_result(make(1), disk / "run")
big = np.random.default_rng(0).random(100_000)
huge = Result.build(np.arange(big.size), {"x": big}, {"x": "1"}, {"x": "d"}, make(2).provenance)
for folder in (disk / "run", disk / "other"):
    try:
        save_result(huge, folder)
    except OutputError as error:
        print(error)
assert load_result(disk / "run").content_hash() == make(1).content_hash()
print(sorted(path.name for path in disk.iterdir()), sorted(path.name for path in (disk / "run").iterdir()))
"""
    )
    command = [*mount, script, "sh", str(disk), sys.executable, "-c", code, str(disk)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    first, second, left = done.stdout.splitlines()
    assert first.startswith("no space left on the disk of") and first.endswith("choose another folder with --out")
    assert second.startswith("no space left on the disk of")
    assert left == "['run'] ['provenance.json', 'result.zarr']"


@posix
def test_saves_and_loads_at_the_same_time_do_not_disturb_each_other(saved: Path) -> None:
    results = {seed: make(seed) for seed in (1, 2, 3)}
    errors: list[BaseException] = []
    loads: list[int] = []

    def guarded(work: Callable[[], None]) -> threading.Thread:
        def body() -> None:
            try:
                for _ in range(8):
                    work()
            except BaseException as error:
                errors.append(error)

        return threading.Thread(target=body)

    def load() -> None:
        result = load_result(saved)
        assert same(result, results[result.provenance.seed])
        loads.append(result.provenance.seed)

    threads = [guarded(lambda seed=seed: save_result(results[seed], saved)) for seed in (2, 3)]  # type: ignore[misc]
    threads += [guarded(load), guarded(load)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(loads) == 16
    assert names(saved) == PARTS


# --- damage ------------------------------------------------------------------------------------------------------


def files_of(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("harm", [cut, empty, Path.unlink])
def test_a_cut_emptied_or_lost_file_is_found(saved: Path, tmp_path: Path, harm: Callable[[Path], None]) -> None:
    files = files_of(saved)
    assert len(files) == 10
    for number, path in enumerate(files):
        copy = tmp_path / str(number)
        shutil.copytree(saved, copy)
        harm(copy / path.relative_to(saved))
        with pytest.raises(ResultError) as caught:
            load_result(copy)
        assert str(copy) in str(caught.value)


def test_a_flipped_bit_is_found_or_harmless(saved: Path, tmp_path: Path) -> None:
    # Some bits carry no meaning (a blank in JSON, unused bits of a compressed frame); all others must be noticed.
    rng = np.random.default_rng(1)
    found = 0
    files = files_of(saved)
    trials = 150
    for number in range(trials):
        path = files[number % len(files)]
        copy = tmp_path / str(number)
        shutil.copytree(saved, copy)
        data = bytearray(path.read_bytes())
        data[rng.integers(len(data))] ^= 1 << rng.integers(8)
        (copy / path.relative_to(saved)).write_bytes(data)
        try:
            assert same(load_result(copy), make(1))
        except ResultError:
            found += 1
    assert found > trials // 2


def test_a_chunk_of_another_run_is_found(saved: Path, tmp_path: Path) -> None:
    save_result(make(2), tmp_path / "other")
    chunk = Path("result.zarr") / "liver_volume" / "c" / "0"
    shutil.copy(tmp_path / "other" / chunk, saved / chunk)
    with pytest.raises(ResultError, match=r"numbers in result.zarr do not match their checksum"):
        load_result(saved)


def edit(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    record = json.loads(path.read_text())
    change(record)
    path.write_text(json.dumps(record))


def test_an_edited_provenance_is_found(saved: Path) -> None:
    edit(saved / "provenance.json", lambda record: record["provenance"].update(seed=8))
    with pytest.raises(ResultError, match="do not belong together: provenance differs"):
        load_result(saved)


def test_an_edited_attribute_of_the_arrays_is_found(saved: Path) -> None:
    edit(saved / "result.zarr" / "zarr.json", lambda record: record["attributes"].update(species="mouse"))
    with pytest.raises(ResultError, match="do not belong together: species differs"):
        load_result(saved)


def test_a_provenance_that_both_parts_agree_on_is_still_checked(saved: Path) -> None:
    edit(saved / "provenance.json", lambda record: record["provenance"].pop("seed"))
    edit(saved / "result.zarr" / "zarr.json", lambda record: record["attributes"]["provenance"].pop("seed"))
    with pytest.raises(ResultError, match="damaged: provenance: the field 'seed' is missing"):
        load_result(saved)
