"""Nodes on the tape: activities inside cells, which approach the target that their inputs make."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hepatalk.model.laws import Law

if TYPE_CHECKING:
    from hepatalk.model.compiler import Compiler

__all__ = ["declare", "write"]


def declare(c: Compiler) -> None:
    """Declare the states of all nodes; their healthy values are found when the tape is frozen."""
    for node in c.knowledge.nodes:
        for place in c.places_of(node.cell):
            slot = c.tape.state(f"node.{node.cell}.{node.id}@{place}", "activity, 0 to 1")
            c.rest_values[slot] = 0.0


def write(c: Compiler) -> None:
    """Write what moves every node: (activity of its genes x target - level) / tau.

    Raises
    ------
    KnowledgeError
        If a statement lacks what a node needs, or names a regulator that a place does not have.
    """
    for node in c.knowledge.nodes:
        name = f"node.{node.cell}.{node.id}"
        c.gates.ask(name)
        activity = c.activity(f"activity.{name}", node.cell, node.genes, node.family)
        ymax = activity if activity is not None else c.tape.number(1.0)
        for place in c.places_of(node.cell):
            slot = c.slot(f"{name}@{place}")
            target = c.gates.node_target(name, place)
            rows = c.rows_of(name)
            if rows & c.silenced:
                target = c.held(target, f"{name}@{place}")
            relax = c.tape.op(Law.RELAX, [target, slot], [ymax, c.p(node.tau)], name=f"relax.{name}@{place}", rows=rows)
            c.tape.flux(slot, relax, 1.0)
            c.node_relax[slot] = relax
