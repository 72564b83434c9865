"""The errors a user can meet, each of them one line of text and one exit code.

Every message names the thing that is wrong, the values that are allowed (the nearest first) and the next step.
The command line prints the message alone, without a traceback, and leaves with ``exit_code``. This module imports
the standard library only, so that every other module, and a command that only has to say "no", may import it at
no cost.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import ClassVar

__all__ = [
    "EngineError",
    "ExperimentError",
    "GeometryError",
    "HepatalkError",
    "KnowledgeError",
    "ModelError",
    "OutputError",
    "ResultError",
    "UnitError",
    "UnknownNameError",
    "nearest",
    "shown",
    "unknown",
]

#: Longest stretch of a user's own text that a message repeats, in characters.
_LONGEST_SHOWN = 80


class HepatalkError(Exception):
    """Base of every error that hepatalk raises on purpose.

    Parameters
    ----------
    message : str
        What is wrong, what is allowed and what to do next. Line breaks and runs of blanks become one blank and
        other unprintable characters are escaped, so that ``str(error)`` is a single line whatever text it repeats.

    Attributes
    ----------
    exit_code : int
        What the command line returns: 2 for bad input, 1 for a run that failed on sound input.
    """

    exit_code: ClassVar[int] = 2

    def __init__(self, message: str) -> None:
        super().__init__(_one_line(message))

    def __str__(self) -> str:
        return str(self.args[0])


class UnitError(HepatalkError):
    """A quantity has no unit, an unknown unit, a unit of another dimension, or no finite value."""


class KnowledgeError(HepatalkError):
    """A record of the knowledge base is malformed, or contradicts another one."""


class ExperimentError(HepatalkError):
    """An experiment cannot be read, or asks for something that cannot be posed."""


class UnknownNameError(HepatalkError):
    """A name (gene, signal, readout, experiment, ...) is not among the known ones."""


class ModelError(HepatalkError):
    """The records cannot be compiled to a model, or a model is asked for something it does not have."""


class GeometryError(HepatalkError):
    """A lobule of these measures cannot be built, or blood cannot pass it."""


class EngineError(HepatalkError):
    """A sound experiment on a sound model failed while it was being solved."""

    exit_code: ClassVar[int] = 1


class ResultError(HepatalkError):
    """A saved result is missing, damaged, or of another format; it was handed in, so it counts as bad input."""


class OutputError(HepatalkError):
    """A result cannot be written: the folder refuses, or the disk is full.

    The exit code is 1, not 2: the question was sound and it was the run that failed, and the same command may
    succeed once there is room. Nothing half-written may be left behind.
    """

    exit_code: ClassVar[int] = 1


def shown(text: object) -> str:
    """Return a user's own text as a message may repeat it: quoted, on one line, at most 80 characters.

    Parameters
    ----------
    text : object
        Anything; what is not a string is shown by its ``repr``.

    Returns
    -------
    str
        A string in single quotes, or the ``repr`` of another value; shortened in the middle when it is long.
    """
    raw = text if isinstance(text, str) else repr(text)
    line = _one_line(raw)
    if len(line) > _LONGEST_SHOWN:
        half = (_LONGEST_SHOWN - 3) // 2
        line = f"{line[:half]}...{line[-half:]}"
    return f"'{line}'" if isinstance(text, str) else line


def nearest(name: str, allowed: Iterable[str], n: int = 5) -> list[str]:
    """Return the allowed names that resemble a name most, the nearest first.

    Upper and lower case count as the same letter, because symbols of rat, mouse and human often differ in case
    alone; between names that are equally near, the one with the right case comes first, then alphabetical order.

    Parameters
    ----------
    name : str
        What the user wrote.
    allowed : iterable of str
        The names that would have been accepted.
    n : int
        The greatest number of names to return.

    Returns
    -------
    list of str
        At most `n` names; never empty unless `allowed` is: where nothing resembles the name, the best of them.
    """
    folded = name.casefold()
    ranked: list[tuple[float, float, str]] = []
    for candidate in set(allowed):
        same_case = difflib.SequenceMatcher(None, candidate, name, autojunk=False).ratio()
        any_case = difflib.SequenceMatcher(None, candidate.casefold(), folded, autojunk=False).ratio()
        ranked.append((-any_case, -same_case, candidate))
    return [candidate for _, _, candidate in sorted(ranked)[: max(n, 0)]]


def unknown(kind: str, name: object, allowed: Iterable[str], next_step: str) -> UnknownNameError:
    """Make the error for a name that is not among the allowed ones.

    Parameters
    ----------
    kind : str
        What sort of thing was asked for, such as ``'signal'``.
    name : object
        What the user wrote.
    allowed : iterable of str
        Every name that would have been accepted.
    next_step : str
        Where the whole list is, such as ``'hepatalk list signals'``; a leading 'see' is understood.

    Returns
    -------
    UnknownNameError
        To be raised by the caller: ``unknown KIND 'X'; nearest: a, b, c (N allowed: see NEXT_STEP)``.
    """
    names = set(allowed)
    close = nearest(name if isinstance(name, str) else str(name), names)
    listed = f"nearest: {', '.join(close)}" if close else "none exists"
    next_step = next_step.removeprefix("see ")
    return UnknownNameError(f"unknown {kind} {shown(name)}; {listed} ({len(names)} allowed: see {next_step})")


def _one_line(text: str) -> str:
    """Join the lines of a text with single blanks and escape what cannot be printed."""
    joined = " ".join(text.split())
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape", "backslashreplace").decode("ascii")
        for character in joined
    )
