"""Operations told apart by the cell type that reads them, where each type sees a contact signal of its own.

The tape has one value of a contact signal in a zone, and operations on it that several cell types share (the response
to it, say). Here what the cells of a type read is written once for every type: the operations between the signal and a
target of the type, a node or a process, are repeated on what the type sees. Targets carry their type in their names.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, replace

from hepatalk.model.compiled import CompiledModel

__all__ = ["Key", "Line", "by_receiver"]

#: What stands in a column of a row: a slot of the model, or a slot as a cell type sees it.
Key = int | tuple[int, str]


@dataclass(frozen=True)
class Line:
    """An operation of a zone.

    Attributes
    ----------
    key : Key
        Of its value.
    op : int
        Its number in the model.
    inputs : tuple of Key
    """

    key: Key
    op: int
    inputs: tuple[Key, ...]


def by_receiver(
    m: CompiledModel, ops: Collection[int], touched: Collection[int]
) -> tuple[list[Line], int, list[tuple[int, str]]]:
    """Return the operations of a zone with those on contact signals written for each cell type that reads them.

    Parameters
    ----------
    m : CompiledModel
    ops : collection of int
        In the order of the tape.
    touched : collection of int
        Slots that each cell type sees by itself.

    Returns
    -------
    lines : list of Line
    late : int
        How many of them, the last ones, depend on what is seen.
    seen : list of (slot, cell type)
    """
    n = m.n_states
    lines = [Line(n + k, k, tuple(int(i) for i in m.inputs[m.input_start[k] : m.input_start[k + 1]])) for k in ops]
    types = {int(slot): _type_of(name, m.fates.cells) for name, slot in m.slot_index.items() if slot >= n}
    follows = set(touched)
    for x in lines:
        if follows.intersection(x.inputs) and not types.get(n + x.op):
            follows.add(n + x.op)
    readers: dict[int, set[str]] = {slot: set() for slot in follows}
    for x in reversed(lines):
        who = {types[n + x.op]} if types.get(n + x.op) else readers.get(n + x.op, set())
        for i in follows.intersection(x.inputs):
            readers[int(i)] |= who
    seen = [(int(slot), cell) for slot in sorted(touched) for cell in sorted(readers[slot])]
    early: list[Line] = []
    late: list[Line] = []
    behind: set[Key] = set()
    for x in lines:
        slot, cell = n + x.op, types.get(n + x.op)
        own = replace(x, inputs=tuple((int(i), cell) if i in follows else i for i in x.inputs)) if cell else x
        known = bool(behind.intersection(own.inputs)) or any(isinstance(i, tuple) for i in own.inputs)
        (late if known else early).append(own)
        if known:
            behind.add(slot)
        if slot in follows and slot not in touched:
            for reader in sorted(readers[slot]):
                inputs = tuple((int(i), reader) if i in follows else i for i in x.inputs)
                late.append(Line((slot, reader), x.op, inputs))
    return [*early, *late], len(late), seen


def _type_of(name: str, types: Collection[str]) -> str:
    """Return the cell type that a named quantity belongs to, '' for none."""
    return next((part for part in re.split(r"[.:@]", name) if part in types), "")
