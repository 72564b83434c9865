"""Results on disk: written whole or not at all, and checked when they are read again.

The layout and the protocol are described for users in ``docs/file_format.md``. In short: a save prepares everything
in a hidden folder inside the result's own folder, flushes it to the disk, and then renames that folder to
``.hepatalk-commit``. This one rename is the moment of truth: before it the old result counts, after it the new one.
What follows (moving the parts to their places) can be cut off anywhere and is finished by the next save; until then
a load takes each part from the commit folder if it is still there.

The result's folder itself is never renamed: it may be a mount point or somebody's working directory, and it may hold
files that are not ours.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hepatalk.errors import OutputError, ResultError, shown
from hepatalk.results.arrays import zarr_files
from hepatalk.results.provenance import Provenance
from hepatalk.results.result import IDENTITY, Result

if TYPE_CHECKING:
    import xarray

if sys.platform != "win32":
    import fcntl

__all__ = ["FORMAT", "FORMAT_VERSION", "clear_leftovers", "load_result", "save_result"]

#: Name and version of the format; the version grows when an older hepatalk could not read what a newer one wrote.
FORMAT = "hepatalk result"
FORMAT_VERSION = 1

_ARRAYS = "result.zarr"
_RECORD = "provenance.json"
#: The order in which the parts of a committed save move into place.
_PARTS = (_ARRAYS, _RECORD)

_STAGE_PREFIX = ".hepatalk-new-"
_COMMIT = ".hepatalk-commit"
#: Folder inside the commit folder where the parts of the old result wait for their removal: a rename moves whatever
#: they are (folder, file or link), and leaves a place empty for an instant only.
_ASIDE = "old"

_RUN_AGAIN = "run the experiment again with --out"
#: What a file system without locks answers; saving goes on, since the checksum still tells a mixture from a result.
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EBADF, errno.EINVAL)


def save_result(result: Result, directory: Path) -> None:
    """Write a result into a folder, which then holds this result, or, if anything fails, what it held before.

    Parameters
    ----------
    result : Result
        What to write.
    directory : Path
        The folder; made if it does not exist. A result that it holds is replaced, other files are left alone.

    Raises
    ------
    OutputError
        If the path is a file, the folder cannot be written, the disk is full, or the folder holds a
        ``result.zarr`` or ``provenance.json`` that hepatalk did not write. Nothing half-written is left behind.
    """
    directory = Path(directory)
    made: list[Path] = []
    try:
        _make_folder(directory, made)
        with _locked(directory, exclusive=True):
            _finish_commit(directory)
            _sweep(directory)
            _refuse_foreign(directory)
            _stage_and_commit(result, directory)
    except BaseException as exc:
        # An interrupt cleans up as well. Only folders that this call made and that are still empty go.
        for folder in reversed(made):
            with contextlib.suppress(OSError):
                folder.rmdir()
        if isinstance(exc, OSError):
            raise _cannot_write(directory, exc) from exc
        raise


def load_result(directory: Path) -> Result:
    """Read the result that a folder holds, and check it against its checksum and its provenance.

    Nothing is written, so results on read-only media can be read, also after an interrupted save.

    Parameters
    ----------
    directory : Path
        A folder that `save_result` wrote.

    Returns
    -------
    Result
        Equal to the one that was saved, to the last bit.

    Raises
    ------
    ResultError
        If there is no such folder, or it holds no result, a damaged one, one of another format version, or one whose
        arrays and provenance do not belong together.
    """
    directory = Path(directory)
    try:
        if not stat.S_ISDIR(directory.stat().st_mode):
            raise ResultError(f"{_at(directory)} is a file; give the folder that hepatalk run --out wrote")
        with _locked(directory, exclusive=False):
            record = _read_record(directory)
            dataset = _read_arrays(directory)
    except FileNotFoundError as exc:
        raise ResultError(f"no folder {_at(directory)}; give the folder that hepatalk run --out wrote") from exc
    except OSError as exc:
        raise ResultError(
            f"cannot read {_at(directory)}: {exc.strerror or exc}; check its permissions and the disk, then try again"
        ) from exc
    return _checked_result(directory, record, dataset)


# --- writing -----------------------------------------------------------------------------------------------------


def _make_folder(directory: Path, made: list[Path]) -> None:
    """Make a folder and its missing parents; `made` notes them, outermost first, also when this fails half-way."""
    missing: list[Path] = []
    folder = directory
    # lexists, not exists: a dangling link must fail in mkdir, not send this loop above it.
    while not os.path.lexists(folder) and folder.parent != folder:
        missing.append(folder)
        folder = folder.parent
    for folder in reversed(missing):
        folder.mkdir(exist_ok=True)
        made.append(folder)
    if not stat.S_ISDIR(directory.stat().st_mode):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(directory))


def _stage_and_commit(result: Result, directory: Path) -> None:
    """Prepare the new result beside the old one, make it count, and move it into place; the lock is held."""
    stage = Path(tempfile.mkdtemp(prefix=_STAGE_PREFIX, dir=directory))
    try:
        (stage / _ASIDE).mkdir()
        for name, content in _encoded(result).items():
            _write_file(stage / name, content)
        _flush_tree(stage)
        stage.rename(directory / _COMMIT)
    except BaseException:
        # The first error is the one to report; should a file resist removal, the next save sweeps it away.
        shutil.rmtree(stage, ignore_errors=True)
        raise
    _flush_folder(directory)
    _finish_commit(directory)


def _encoded(result: Result) -> dict[str, bytes]:
    """Return the files of a result, by path with '/', encoded in memory.

    Encoding in memory keeps the writing itself plain, so that an interrupt or a full disk stops it at once.
    """
    record = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "content_sha256": result.content_hash(),
        "provenance": result.provenance.to_dict(),
    }
    files = {f"{_ARRAYS}/{path}": content for path, content in zarr_files(result, record).items()}
    text = json.dumps(record, indent=2, ensure_ascii=False, allow_nan=False)
    return files | {_RECORD: f"{text}\n".encode()}


def _write_file(path: Path, content: bytes) -> None:
    """Write a file, without waiting for the disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as file:
        file.write(content)


def _flush_tree(top: Path) -> None:
    """Wait until the disk has every file below a folder, then every folder, from the inside out.

    Some file systems only say here that they are full. Files are flushed after all of them have been written, not each
    at once: the disk can then take many in one go.
    """
    below = list(os.walk(top, topdown=False))
    for folder, _, names in below:
        for name in names:
            _flush(Path(folder) / name)
    for folder, _, _ in below:
        _flush_folder(Path(folder))


def _flush_folder(folder: Path) -> None:
    """Wait until the disk has the entries of a folder; Windows offers no such thing."""
    if sys.platform != "win32":
        _flush(folder)


def _flush(path: Path) -> None:
    """Wait until the disk has a file, or the entries of a folder."""
    # Windows flushes only what may be written.
    descriptor = os.open(path, os.O_RDWR if sys.platform == "win32" else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _finish_commit(directory: Path) -> None:
    """Move the parts of a committed save into place; does nothing if there is none, and may be repeated."""
    commit = directory / _COMMIT
    if not commit.is_dir():
        return
    for name in _PARTS:
        if not os.path.lexists(commit / name):
            continue
        if os.path.lexists(directory / name):
            (directory / name).rename(commit / _ASIDE / name)
        (commit / name).rename(directory / name)
    _flush_folder(directory)
    shutil.rmtree(commit)


def _sweep(directory: Path) -> None:
    """Remove what killed saves left; the lock is held, so nobody is still writing there."""
    for leftover in directory.glob(f"{_STAGE_PREFIX}*"):
        shutil.rmtree(leftover)


def clear_leftovers(directory: Path) -> int:
    """Remove what killed saves left in a folder; return how many hidden folders went. A result is never touched.

    Parameters
    ----------
    directory : Path

    Raises
    ------
    OSError
        If the folder cannot be read or written.
    """
    with _locked(directory, exclusive=True):
        found = len(list(directory.glob(f"{_STAGE_PREFIX}*")))
        _sweep(directory)
    return found


def _refuse_foreign(directory: Path) -> None:
    """Refuse to replace files that bear our names but are not a result."""
    present = [name for name in _PARTS if os.path.lexists(directory / name)]
    if not present:
        return
    try:
        record = json.loads((directory / _RECORD).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        record = None
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise OutputError(
            f"{_at(directory)} holds {' and '.join(present)}, but no sound hepatalk result, and is left as it is; "
            "choose another folder with --out, or move those files away"
        )


def _cannot_write(directory: Path, exc: OSError) -> OutputError:
    """Make the error for a save that the operating system stopped."""
    where = _at(directory)
    elsewhere = "choose another folder with --out"
    if exc.errno in (errno.ENOSPC, errno.EDQUOT):
        message = f"no space left on the disk of {where}; free some space, or {elsewhere}"
    elif exc.errno in (errno.ENOTDIR, errno.EEXIST):
        message = f"cannot make the folder {where}: a file is in its way; {elsewhere}"
    elif exc.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        message = f"cannot write into {where}: {exc.strerror}; change its permissions, or {elsewhere}"
    else:
        message = f"cannot write into {where}: {exc.strerror or exc}; {elsewhere}"
    return OutputError(message)


# --- reading -----------------------------------------------------------------------------------------------------


def _part(directory: Path, name: str) -> Path:
    """Return where a part of the result is: in its place, or still in the folder of an interrupted commit."""
    pending = directory / _COMMIT / name
    return pending if os.path.lexists(pending) else directory / name


def _read_record(directory: Path) -> dict[str, Any]:
    """Return the content of ``provenance.json``, if it is of a format that can be read."""
    path = _part(directory, _RECORD)
    if not path.is_file():
        if any(directory.glob(f"{_STAGE_PREFIX}*")):
            raise ResultError(f"{_at(directory)} holds no result, only the start of a save; {_RUN_AGAIN}")
        raise ResultError(
            f"{_at(directory)} is not a result: it holds no {_RECORD}; give the folder that hepatalk run --out wrote"
        )
    try:
        record = json.loads(path.read_bytes())
    except ValueError as exc:
        raise _damaged(directory, f"{_RECORD} is not JSON ({exc})") from exc
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise ResultError(
            f"{_at(directory)} is not a result: its {_RECORD} was not written by hepatalk; "
            "give the folder that hepatalk run --out wrote"
        )
    version = record.get("format_version")
    if version != FORMAT_VERSION:
        raise ResultError(
            f"{_at(directory)} has format version {shown(version)}; allowed: {FORMAT_VERSION}; "
            f"read it with the release of hepatalk that wrote it, or {_RUN_AGAIN}"
        )
    return record


def _read_arrays(directory: Path) -> xarray.Dataset:
    """Return the arrays as a dataset in memory, attributes undecoded."""
    import xarray
    from zarr.core.buffer import default_buffer_prototype
    from zarr.storage import MemoryStore

    root = _part(directory, _ARRAYS)
    if not root.is_dir():
        raise _damaged(directory, f"{_ARRAYS} is missing")
    to_buffer = default_buffer_prototype().buffer.from_bytes
    buffers = {
        path.relative_to(root).as_posix(): to_buffer(path.read_bytes())
        for path in sorted(root.rglob("*"))
        # Desktops drop hidden files of their own (.DS_Store) into folders that they have shown.
        if path.is_file() and not path.name.startswith(".")
    }
    try:
        # Undecoded, so that what comes back is what is on the disk: no units, fill values or times are interpreted.
        with xarray.open_dataset(
            MemoryStore(buffers, read_only=True),  # type: ignore[arg-type]  # xarray's stub lists no zarr stores
            engine="zarr",
            consolidated=False,
            decode_cf=False,
        ) as dataset:
            return dataset.load()
    except Exception as exc:
        # Damaged bytes can make the decoders fail in any way; whichever it is, the user needs to know the folder.
        raise _damaged(directory, f"{_ARRAYS} cannot be read ({type(exc).__name__}: {exc})") from exc


def _checked_result(directory: Path, record: dict[str, Any], dataset: xarray.Dataset) -> Result:
    """Return the result, if its parts belong together and its numbers are the ones that were saved."""
    for name in ("format", "format_version", "content_sha256", "provenance"):
        if dataset.attrs.get(name) != record.get(name):
            raise _damaged(directory, f"{_RECORD} and {_ARRAYS} do not belong together: {name} differs")
    try:
        provenance = Provenance.from_dict(record.get("provenance"))
        names = dataset["state"].attrs.get("state_names", []) if "state" in dataset else None
        labelled = dataset if names is None else dataset.assign_coords(state_name=("state_name", names))
        result = Result.from_dataset(labelled, provenance)
    except (ResultError, ValueError) as exc:
        raise _damaged(directory, str(exc)) from exc
    for name in IDENTITY:
        if dataset.attrs.get(name) != getattr(provenance, name):
            raise _damaged(directory, f"{_RECORD} and {_ARRAYS} do not belong together: {name} differs")
    if result.content_hash() != record.get("content_sha256"):
        raise _damaged(directory, f"the numbers in {_ARRAYS} do not match their checksum")
    return result


def _damaged(directory: Path, what: str) -> ResultError:
    """Make the error for a result that is not what was saved."""
    return ResultError(f"the result in {_at(directory)} is damaged: {what}; restore it from a copy, or {_RUN_AGAIN}")


def _at(directory: Path) -> str:
    """Return a folder as a message shows it."""
    return shown(str(directory))


@contextlib.contextmanager
def _locked(directory: Path, *, exclusive: bool) -> Iterator[None]:
    """Hold the lock of a folder: one save at a time, and no load in the middle of one.

    The lock belongs to the open folder and ends with the process, however that ends, so it cannot go stale. Windows
    and some network file systems have no such lock; there the checksum alone guards against a mixture.
    """
    if sys.platform == "win32":
        yield
    else:
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH)
            except OSError as exc:
                if exc.errno not in _NO_LOCKS:
                    raise
            yield
        finally:
            os.close(descriptor)
