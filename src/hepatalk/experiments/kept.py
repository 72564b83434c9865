"""Answers of runs that are kept on disk, so that an interrupted scoreboard of many virtual animals goes on.

A file for each animal, below the user's cache folder, in a folder named after the text of the program: any change of
the program starts anew. One line of JSON for each run. A line that was cut off is as if it had never been written.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from hepatalk import _cache
from hepatalk.errors import OutputError, shown

__all__ = ["Answer", "Kept", "Wanted"]

#: A number to take from a run: readouts to add up, how to reduce them, hour, level.
Wanted = tuple[tuple[str, ...], str, float | None, float | None]
#: What a run says: its numbers, or why it could not be made.
Answer = Mapping[Wanted, float | None] | str

#: Folders of other versions of the program that are kept.
VERSIONS = 2
_NAME = re.compile(r"[0-9a-f]{16}")


class Kept:
    """Answers on disk.

    Parameters
    ----------
    folder : Path, optional
        Where they are kept; ``answers`` in the user's cache folder when omitted.

    Attributes
    ----------
    folder : Path
        That of this version of the program.
    """

    def __init__(self, folder: Path | None = None) -> None:
        parent = _cache.user_cache() / "answers" if folder is None else folder
        self.folder = parent / _program()
        self._read: dict[str, dict[str, dict[Wanted, float | None] | str]] = {}
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            _cache.prune(parent, _NAME, VERSIONS, spare=self.folder.name)
            if not os.access(self.folder, os.W_OK | os.X_OK):
                raise PermissionError(13, "permission denied")
        except OSError as error:
            raise _cannot(self.folder, error) from error

    def find(self, animal: str, run: str, wanted: Iterable[Wanted]) -> Answer | None:
        """Return what is known of a run, None unless it is all that is wanted.

        Parameters
        ----------
        animal : str
            Key of the animal: hexadecimal digits.
        run : str
            Key of the run.
        wanted : iterable of Wanted
        """
        known = self._animal(animal).get(run)
        if known is None or isinstance(known, str):
            return known
        numbers = tuple(wanted)
        return {n: known[n] for n in numbers} if all(n in known for n in numbers) else None

    def keep(self, animal: str, run: str, answer: Answer) -> None:
        """Write an answer to the disk.

        Raises
        ------
        OutputError
            If that is not possible.
        """
        self._take(self._animal(animal), run, answer)
        said = answer if isinstance(answer, str) else [[list(w), v] for w, v in answer.items()]
        try:
            with (self.folder / f"{animal}.jsonl").open("a", encoding="utf-8") as stream:
                # A line break first: what stands before it may have been cut off.
                stream.write(f"\n{json.dumps([run, said])}\n")
        except OSError as error:
            raise _cannot(self.folder, error) from error

    @staticmethod
    def _take(known: dict[str, dict[Wanted, float | None] | str], run: str, answer: Answer) -> None:
        before = known.get(run)
        if isinstance(answer, str):
            known[run] = answer
        else:
            known[run] = {**(before if isinstance(before, dict) else {}), **answer}

    def _animal(self, animal: str) -> dict[str, dict[Wanted, float | None] | str]:
        if animal not in self._read:
            known: dict[str, dict[Wanted, float | None] | str] = {}
            self._read[animal] = known
            path = self.folder / f"{animal}.jsonl"
            try:
                lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []
            except OSError as error:
                raise _cannot(self.folder, error) from error
            for line in lines:
                entry = _entry(line)
                if entry is not None:
                    self._take(known, *entry)
        return self._read[animal]


def _entry(line: str) -> tuple[str, Answer] | None:
    """Return run and answer of a line, None for one that is empty or damaged: its run is then made again."""
    try:
        run, said = json.loads(line)
        if isinstance(said, str):
            return str(run), said
        return str(run), {
            (tuple(names), reduce, at_h, level): None if value is None else float(value)
            for (names, reduce, at_h, level), value in said
        }
    except (ValueError, TypeError):
        return None


def _program() -> str:
    """Return a key that changes with the text of the program: an answer is as good as the code that gave it."""
    root = Path(_cache.__file__).parent
    digest = hashlib.sha256()
    faces = ("cli", "plots", "report")
    for path in sorted([*root.rglob("*.py"), *(root / "experiments" / "catalogue").glob("*.yaml")]):
        if path.relative_to(root).parts[0] not in faces:
            text = path.read_bytes()
            digest.update(f"{path.relative_to(root).as_posix()}:{len(text)}:".encode() + text)
    return digest.hexdigest()[:16]


def _cannot(folder: Path, error: OSError) -> OutputError:
    return OutputError(
        f"cannot keep the answers of runs in {shown(str(folder))}: {error.strerror or error}; free some space there, "
        "or set XDG_CACHE_HOME to a folder that can be written"
    )
