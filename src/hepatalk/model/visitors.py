r"""Cells that visit the liver and have no states of their own here: NK and T cells, each a level of the body.

    d NK/dt = (blood - NK) / nk_return_time,    d T/dt = (blood - T) / t_cell_return_time

Both are 1 in health. They come with the blood and leave or die at a constant rate. What they do is told by statements
of which ``NK`` or ``T`` is the regulator; where none is switched on, they do nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hepatalk.model.laws import Law

if TYPE_CHECKING:
    from hepatalk.model.compiler import Compiler

__all__ = ["VISITORS", "declare", "write"]

#: States of visiting cells, and the parameter that holds the time in which each comes back.
VISITORS = {"NK": "nk_return_time", "T": "t_cell_return_time"}


def declare(c: Compiler) -> None:
    """Declare the levels of visiting cells, with their healthy values."""
    for name in VISITORS:
        c.rest_values[c.tape.state(name, "x healthy")] = 1.0


def write(c: Compiler) -> None:
    """Write what moves them; after the blood.

    Raises
    ------
    KnowledgeError
        If a parameter that the law needs has no record.
    """
    t = c.tape
    for name, time in VISITORS.items():
        pace = t.param(f"rest:pace {name}", 1.0 / c.value(time))
        level = c.slot(name)
        t.flux(level, t.op(Law.PRODUCT, [c.slot("blood")], [pace]), 1.0)
        t.flux(level, t.op(Law.PRODUCT, [level], [pace]), -1.0)
