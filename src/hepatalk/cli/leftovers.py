"""Hidden folders in which a run is prepared, and what is left of them when a run is killed.

A run that is killed (kill -9, a power cut) cannot clear up. Its hidden folder is known to be left over by its lock:
the lock ends with the process, however that ends. Where the file system has no locks, age decides.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

if sys.platform != "win32":
    import fcntl

__all__ = ["STAGE", "clear", "stage_in"]

STAGE = ".hepatalk-files-"
#: Where there are no locks, a hidden folder that nobody has touched for this long belongs to a run that was killed.
_ABANDONED_S = 3600.0
#: A folder younger than this may not have been locked yet by the run that made it.
_NEW_S = 10.0
#: How deep `clear` looks below a folder: results/, results/phx70/.
_DEPTH = 2


@contextlib.contextmanager
def stage_in(directory: Path) -> Iterator[Path]:
    """Make a hidden folder, locked while it is in use, and remove it in the end.

    Parameters
    ----------
    directory : Path
        It must exist.

    Raises
    ------
    OSError
        If the folder cannot be made.
    """
    stage = Path(tempfile.mkdtemp(prefix=STAGE, dir=directory))
    try:
        with _lock(stage):
            yield stage
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def clear(directory: Path, *, below: bool = False) -> int:
    """Remove what killed runs left in a folder; return how many hidden folders went.

    Nothing is raised: what cannot be removed, on a read-only medium for instance, harms nobody and stays.

    Parameters
    ----------
    directory : Path
    below : bool
        Whether to look two levels below as well, where the results of this folder's runs are.
    """
    from hepatalk.results.store import clear_leftovers

    gone = 0
    patterns = ["", *("/".join(["*"] * depth) + "/" for depth in range(1, _DEPTH + 1))] if below else [""]
    for pattern in patterns:
        for leftover in sorted(directory.glob(f"{pattern}{STAGE}*")):
            if leftover.is_dir() and _is_left_over(leftover):
                shutil.rmtree(leftover, ignore_errors=True)
                gone += not leftover.exists()
        for folder in {path.parent for path in directory.glob(f"{pattern}.hepatalk-new-*")}:
            with contextlib.suppress(OSError):
                gone += clear_leftovers(folder)
    return gone


def _is_left_over(folder: Path) -> bool:
    """Tell whether the run that made a hidden folder is dead."""
    with contextlib.suppress(OSError):
        age = time.time() - folder.stat().st_mtime
        if age < _NEW_S or folder.is_symlink():
            return False
        with _lock(folder) as held:
            return held is True or (held is None and age > _ABANDONED_S)
    return False


@contextlib.contextmanager
def _lock(folder: Path) -> Iterator[bool | None]:
    """Lock a folder without waiting: True if that worked, False if another process holds it, None without locks."""
    if sys.platform == "win32":
        yield None
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            held: bool | None = True
        except BlockingIOError:
            held = False
        except OSError:  # a network file system without locks
            held = None
        yield held
    finally:
        os.close(descriptor)
