"""Every refusal to save or load is one line that names the folder, what is wrong and the next step."""

from __future__ import annotations

import errno
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hepatalk.errors import HepatalkError, OutputError, ResultError
from hepatalk.results import Provenance, Result, load_result, save_result, store


def result() -> Result:
    provenance = Provenance("phx70", "a title", "rat", "population", 1, "abc", "1", created="2026-01-31T12:00:00+00:00")
    return Result.build([0.0, 1.0], {"liver_volume": np.ones(2)}, {"liver_volume": "1"}, {"liver_volume": "d"},
                        provenance)  # fmt: skip


def refusal(kind: type[HepatalkError], call: Callable[[], object]) -> str:
    """Return the message of the expected error, after checking that it is one line."""
    with pytest.raises(kind) as caught:
        call()
    message = str(caught.value)
    assert message
    assert len(message.splitlines()) == 1
    return message


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A saved result, under a short relative path, so that messages can be compared whole."""
    monkeypatch.chdir(tmp_path)
    save_result(result(), Path("run"))
    return Path("run")


def edit(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


# --- load --------------------------------------------------------------------------------------------------------


def test_load_no_folder(run: Path) -> None:
    message = refusal(ResultError, lambda: load_result(Path("runn")))
    assert message == "no folder 'runn'; give the folder that hepatalk run --out wrote"


def test_load_a_file(run: Path) -> None:
    message = refusal(ResultError, lambda: load_result(run / "provenance.json"))
    assert message == "'run/provenance.json' is a file; give the folder that hepatalk run --out wrote"


def test_load_below_a_file(run: Path) -> None:
    message = refusal(ResultError, lambda: load_result(run / "provenance.json" / "x"))
    assert message.startswith("cannot read 'run/provenance.json/x': Not a directory; check its permissions")


def test_load_a_folder_that_is_no_result(run: Path) -> None:
    message = refusal(ResultError, lambda: load_result(Path()))
    assert message == (
        "'.' is not a result: it holds no provenance.json; give the folder that hepatalk run --out wrote"
    )


def test_load_a_cut_off_first_save(run: Path) -> None:
    Path("cut", ".hepatalk-new-x").mkdir(parents=True)
    message = refusal(ResultError, lambda: load_result(Path("cut")))
    assert message == "'cut' holds no result, only the start of a save; run the experiment again with --out"


@pytest.mark.parametrize("text", ["{}", "[]", '{"format": "something else"}'])
def test_load_a_provenance_of_another_program(run: Path, text: str) -> None:
    (run / "provenance.json").write_text(text)
    message = refusal(ResultError, lambda: load_result(run))
    assert message == (
        "'run' is not a result: its provenance.json was not written by hepatalk; "
        "give the folder that hepatalk run --out wrote"
    )


@pytest.mark.parametrize("version", [2, 0, "1", None])
def test_load_another_format_version(run: Path, version: object) -> None:
    edit(run / "provenance.json", format_version=version)
    message = refusal(ResultError, lambda: load_result(run))
    assert message.startswith(f"'run' has format version {version!r}; allowed: 1; read it with the release of hepatalk")


def damaged(run: Path) -> str:
    message = refusal(ResultError, lambda: load_result(run))
    start, end = "the result in 'run' is damaged: ", "; restore it from a copy, or run the experiment again with --out"
    assert message.startswith(start)
    assert message.endswith(end)
    return message.removeprefix(start).removesuffix(end)


@pytest.mark.parametrize("content", [b"", b'{"format": "hepa', b"\xff\xfe\x00"])
def test_load_a_cut_provenance(run: Path, content: bytes) -> None:
    (run / "provenance.json").write_bytes(content)
    assert damaged(run).startswith("provenance.json is not JSON (")


def test_load_without_arrays(run: Path) -> None:
    (run / "result.zarr").rename("elsewhere")
    assert damaged(run) == "result.zarr is missing"


def test_load_a_cut_chunk(run: Path) -> None:
    chunk = run / "result.zarr" / "liver_volume" / "c" / "0"
    chunk.write_bytes(chunk.read_bytes()[:-5])
    assert damaged(run).startswith("result.zarr cannot be read (")


def test_load_a_lost_chunk(run: Path) -> None:
    (run / "result.zarr" / "liver_volume" / "c" / "0").unlink()
    assert damaged(run).startswith("readout 'liver_volume' is nan at 0 h")


def test_load_a_provenance_of_another_run(run: Path) -> None:
    edit(run / "provenance.json", content_sha256="0" * 64)
    assert damaged(run) == "provenance.json and result.zarr do not belong together: content_sha256 differs"


def test_load_numbers_that_are_not_the_saved_ones(run: Path) -> None:
    path = run / "result.zarr" / "liver_volume" / "zarr.json"
    edit(path, attributes=json.loads(path.read_text())["attributes"] | {"definition": "another"})
    assert damaged(run) == "the numbers in result.zarr do not match their checksum"


def test_load_a_folder_that_may_not_be_read(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(store, "_read_record", forbidden)
    message = refusal(ResultError, lambda: load_result(run))
    assert message == "cannot read 'run': Permission denied; check its permissions and the disk, then try again"


# --- save --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["run/provenance.json", "run/provenance.json/below"])
def test_save_where_a_file_is(run: Path, path: str) -> None:
    message = refusal(OutputError, lambda: save_result(result(), Path(path)))
    assert message == f"cannot make the folder '{path}': a file is in its way; choose another folder with --out"
    assert load_result(run).names == ("liver_volume",)


def test_save_through_a_dangling_link(run: Path) -> None:
    Path("link").symlink_to("nowhere")
    message = refusal(OutputError, lambda: save_result(result(), Path("link")))
    assert message.startswith("cannot write into 'link': No such file or directory; choose another folder")


@pytest.mark.parametrize("code", [errno.EACCES, errno.EPERM, errno.EROFS])
def test_save_into_a_folder_that_may_not_be_written(run: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    def forbidden(**_: object) -> str:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(store.tempfile, "mkdtemp", forbidden)
    message = refusal(OutputError, lambda: save_result(result(), run))
    assert message == (
        f"cannot write into 'run': {os.strerror(code)}; change its permissions, or choose another folder with --out"
    )


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="no folder is closed to the superuser")
def test_save_into_a_folder_that_is_really_closed(run: Path) -> None:
    run.chmod(0o555)
    try:
        message = refusal(OutputError, lambda: save_result(result(), run))
        assert message.startswith("cannot write into 'run': Permission denied; change its permissions")
        assert load_result(run).names == ("liver_volume",)
    finally:
        run.chmod(0o755)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_save_on_a_full_disk(run: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    def full(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(store, "_write_file", full)
    message = refusal(OutputError, lambda: save_result(result(), run))
    assert message == ("no space left on the disk of 'run'; free some space, or choose another folder with --out")


def test_save_under_a_name_that_is_too_long(run: Path) -> None:
    message = refusal(OutputError, lambda: save_result(result(), Path("x" * 300)))
    assert message.startswith("cannot write into 'xxx")
    assert message.endswith("File name too long; choose another folder with --out")


@pytest.mark.parametrize(
    ("present", "listed"),
    [
        ({"provenance.json": '{"mine": 1}'}, "provenance.json"),
        ({"provenance.json": "not json"}, "provenance.json"),
        ({"result.zarr/zarr.json": "{}"}, "result.zarr"),
        ({"result.zarr/zarr.json": "{}", "provenance.json": "[]"}, "result.zarr and provenance.json"),
    ],
)
def test_save_over_files_of_another_program(run: Path, present: dict[str, str], listed: str) -> None:
    for name, text in present.items():
        Path("mine", name).parent.mkdir(parents=True, exist_ok=True)
        Path("mine", name).write_text(text)
    message = refusal(OutputError, lambda: save_result(result(), Path("mine")))
    assert message == (
        f"'mine' holds {listed}, but no sound hepatalk result, and is left as it is; "
        "choose another folder with --out, or move those files away"
    )
    for name, text in present.items():
        assert Path("mine", name).read_text() == text


# --- both --------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform == "win32", reason="needs locks of POSIX")
def test_a_file_system_without_locks_will_do_but_other_errors_of_the_lock_count(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = errno.ENOLCK

    def refuse(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(store.fcntl, "flock", refuse)
    save_result(result(), run)
    assert load_result(run).names == ("liver_volume",)
    code = errno.EIO
    message = refusal(OutputError, lambda: save_result(result(), run))
    assert message == "cannot write into 'run': Input/output error; choose another folder with --out"
    message = refusal(ResultError, lambda: load_result(run))
    assert message == "cannot read 'run': Input/output error; check its permissions and the disk, then try again"
