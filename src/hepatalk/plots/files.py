"""Writing a finished file: whole, or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from hepatalk.errors import OutputError, shown

__all__ = ["write_whole"]


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that a crash leaves the old one or the new one, never a part.

    Parameters
    ----------
    path : Path
        Its folder is made if it does not exist.
    content : bytes

    Raises
    ------
    OutputError
        If the folder cannot be made or written, or the disk is full.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=".hepatalk-new-", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            # mkstemp makes files for the owner's eyes only; a picture gets the rights that any new file would get.
            mask = os.umask(0)
            os.umask(mask)
            Path(name).chmod(0o666 & ~mask)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise OutputError(
            f"cannot write {shown(str(path))}: {error.strerror or error}; free space or change permissions, or choose "
            "another folder with --out"
        ) from error
