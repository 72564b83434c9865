"""Where compiled kernels and other things that can be made anew are kept on a user's machine.

Numba stores machine code beside the file that holds a kernel and looks at that file alone to see whether it is still
good. The kernels call the rate laws, the random numbers and each other, which stand in other files: after a change
there the old machine code would go on running. So the folder of the machine code is named after the text of them all.

This module is imported with the package, before Numba, and costs next to nothing: it imports no heavy module and reads
a few small files.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import sys
import time
from pathlib import Path

__all__ = ["kernel_folder", "kernel_key", "prepare", "prune", "user_cache"]

#: Patterns of the files whose text decides what the machine code must do, relative to the package.
SOURCES = ("model/laws.py", "rng.py", "engines/tape.py", "engines/*/*kernels.py")
#: Folders of machine code of other versions that are kept, the newest first: a person may work with several.
KEPT = 4
#: Set beside NUMBA_CACHE_DIR, so that a child process knows that hepatalk chose it, not the user.
_MARK = "HEPATALK_KERNEL_CACHE"
_KEY = re.compile(r"[0-9a-f]{16}")
_DAY_S = 86_400.0


def user_cache() -> Path:
    """Return the folder for things that hepatalk can make anew; it need not exist.

    Returns
    -------
    Path
        ``hepatalk`` in the user's cache folder as the system defines it.
    """
    given = os.environ.get("LOCALAPPDATA" if sys.platform == "win32" else "XDG_CACHE_HOME", "")
    if given and Path(given).is_absolute():  # the XDG specification ignores any other
        return Path(given) / "hepatalk"
    try:
        home = Path.home()
    except RuntimeError:  # an account without a home
        return Path("/nonexistent/hepatalk")
    return home / ("Library/Caches" if sys.platform == "darwin" else ".cache") / "hepatalk"


def kernel_key(package: Path | None = None) -> str:
    """Return the name of the folder for machine code: it changes with the text of any law or kernel.

    Parameters
    ----------
    package : Path, optional
        Folder of the package; the running one when omitted.

    Returns
    -------
    str
        16 hexadecimal digits.
    """
    root = Path(__file__).parent if package is None else package
    digest = hashlib.sha256()
    for path in (path for pattern in SOURCES for path in sorted(root.glob(pattern))):
        try:
            text = path.read_bytes()
        except OSError:  # a package without sources: its compiled files change with its release only
            text = b""
        digest.update(b"%d:" % len(text) + text)
    return digest.hexdigest()[:16]


def kernel_folder(base: Path | None = None, package: Path | None = None) -> Path:
    """Return a folder that can be written, named after laws and kernels; makes it and removes outdated ones.

    Parameters
    ----------
    base : Path, optional
        Where it is to be; `user_cache` when omitted.
    package : Path, optional
        As for `kernel_key`.

    Returns
    -------
    Path
        Below `base` if that can be written, else below the system's folder for temporary files.
    """
    parent, key = user_cache() if base is None else base, kernel_key(package)
    folder = parent / key
    try:
        fresh = not folder.is_dir()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):
            return _temporary(key)
        if fresh:
            prune(parent, _KEY, KEPT, spare=key)
        elif time.time() - folder.stat().st_mtime > _DAY_S:
            os.utime(folder)  # what is in use is not outdated
    except OSError:
        return _temporary(key)
    return folder


def prune(parent: Path, names: re.Pattern[str], keep: int, spare: str) -> None:
    """Remove all but the newest folders of a kind; what cannot be removed stays.

    Parameters
    ----------
    parent : Path
        Where the folders are.
    names : re.Pattern
        The whole name of a folder of this kind.
    keep : int
        How many are kept besides `spare`.
    spare : str
        A name that is never removed.
    """
    import shutil

    found = [p for p in parent.iterdir() if names.fullmatch(p.name) and p.name != spare and not p.is_symlink()]
    for path in sorted(found, key=lambda p: p.stat().st_mtime, reverse=True)[keep:]:
        shutil.rmtree(path, ignore_errors=True)


def prepare() -> None:
    """Tell Numba where to keep machine code, unless the user has said so; to be called before Numba is imported."""
    chosen = os.environ.get("NUMBA_CACHE_DIR")
    if chosen and chosen != os.environ.get(_MARK):
        return
    folder = str(kernel_folder())
    os.environ["NUMBA_CACHE_DIR"] = os.environ[_MARK] = folder
    numba = sys.modules.get("numba")
    if numba is not None:  # it has read its environment already
        numba.config.CACHE_DIR = folder


def _temporary(key: str) -> Path:
    """Return a folder for machine code among the temporary files: this user's own, or a new one."""
    import tempfile

    owner = os.getuid() if hasattr(os, "getuid") else 0
    folder = Path(tempfile.gettempdir()) / f"hepatalk-{owner}-{key}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError:
        return Path(tempfile.mkdtemp(prefix="hepatalk-"))
    # Machine code is run, so a folder that others may have filled is no place for it.
    own = stat.S_ISDIR(found.st_mode) and found.st_uid == owner and not found.st_mode & 0o077
    return folder if own or os.name == "nt" else Path(tempfile.mkdtemp(prefix="hepatalk-"))
