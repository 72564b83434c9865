"""Cells that move up a signal: who, and how fast. Nothing of it is on the tape, and no rate depends on it.

A zone of the population model has no places inside, and its cells keep their zones but for those of a migration; so
that engine cannot express these statements, and the lobule engine does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hepatalk.errors import KnowledgeError, nearest
from hepatalk.knowledge.records import Attracts
from hepatalk.model.compiled import Attraction

if TYPE_CHECKING:
    from hepatalk.model.compiler import Compiler

__all__ = ["Attraction", "gather"]


def gather(c: Compiler, row: str, term: Attracts) -> None:
    """Note who moves up which signal; a row that is held at rest moves nobody.

    Raises
    ------
    KnowledgeError
        If the cell type or the signal has no record, or another row has the pair already.
    """
    for kind, name, known in (("cell", term.cell, c.knowledge.cell), ("signal", term.signal, c.knowledge.signal)):
        if name not in known:
            raise KnowledgeError(
                f"row {row}: {kind} {name!r} has no record; nearest: {', '.join(nearest(name, known))}; "
                "correct the term"
            )
    for other in c.attractions:
        if (other.cell, other.signal) == (term.cell, term.signal):
            raise KnowledgeError(
                f"row {row}: {term.cell} moves up {term.signal} already, by row {other.row}; allowed: one row per "
                "pair; merge the two"
            )
    speed = 0.0 if row in c.silenced else c.value(term.speed)
    c.attractions.append(Attraction(term.cell, term.signal, speed, c.value(term.half), row))
