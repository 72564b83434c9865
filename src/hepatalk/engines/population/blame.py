"""Which term is to blame when a run goes wrong, in words: what moves a state, and the statements behind it.

A compiled model is a tape of operations, most of them without a name. A person needs to read what an operation is made
of and which statements brought it, so that is looked up here, outside the solver's loop.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hepatalk.model.compiled import CompiledModel

__all__ = ["largest_term", "slot_in_words", "state_in_words"]

Floats = npt.NDArray[np.float64]

#: How many statements and factors a message names before it says how many more there are.
_MOST = 4
#: Kinds of operations that are parts of a term; others are quantities of their own. Nameless ones are parts.
_PARTS = ("", "process", "death", "gate", "target", "drive", "needs", "relax", "supply", "source", "added", "removal")
_KINDS = {
    "relax": "approach of node {2} of {1} to its drive",
    "death": "death of {0}",
    "removal": "removal of {0}",
    "added": "what is added to {0}",
    "binding": "binding of {0} to the matrix",
    "process": "process {1} of {0}",
    "node": "node {1} of {0}",
    "target": "drive of node {2} of {1}",
    "signal": "signal {0}",
    "free": "signal {0}",
    "supply": "supply of {0}",
    "source": "release of {0}",
    "store": "store of {0}",
    "release": "release of {0} from its store",
}


def state_in_words(name: str) -> str:
    """Return a state or slot as people say it: ``signal.HGF@2`` is signal HGF, zone 2; of two lobes ``@A2``."""
    bare, _, where = name.partition("@")
    kind, _, rest = bare.partition(".")
    parts = rest.split(".")
    try:
        words = _KINDS[kind].format(*parts) if kind in _KINDS else bare
    except IndexError:  # a name of fewer parts than usual is shown as it stands
        words = bare
    lobe, zone = "".join(filter(str.isalpha, where)), "".join(filter(str.isdigit, where))
    return words + (f", zone {zone}" if zone else "") + (f", lobe {lobe}" if lobe else "")


def largest_term(model: CompiledModel, values: Floats, state: int) -> str:
    """Name what moves a state most, whether it adds or takes away, how fast, and the statements behind it.

    Parameters
    ----------
    model : CompiledModel
    values : (n_states + n_ops,) float array
        All slots at the moment asked for.
    state : int
    """
    first, end = model.flux_start[state], model.flux_start[state + 1]
    if first == end:
        return "none, nothing moves it but changes of the schedule"
    speeds = model.coefficient[first:end] * values[model.flux[first:end]]
    k = int(np.abs(speeds).argmax())
    slot = int(model.flux[first + k])
    rows = _statements(model, slot)
    behind = ", ".join(rows[:_MOST]) + (f" and {len(rows) - _MOST} more" if len(rows) > _MOST else "")
    said = f"statement{'s' if len(rows) > 1 else ''} {behind}" if rows else "no statement, healthy turnover"
    return f"{slot_in_words(model, slot)} ({speeds[k]:+.3g} per h; {said})"


def slot_in_words(model: CompiledModel, slot: int) -> str:
    """Return what a slot is; an operation without a name is said by the named things that it is made of."""
    named: list[str] = []
    ahead, seen = [slot], set()
    while ahead:
        here = ahead.pop(0)
        if here in seen:
            continue
        seen.add(here)
        name = _name(model, here)
        if name:
            named.append(state_in_words(name))
        else:
            ahead += _inputs(model, here)
    named = list(dict.fromkeys(named))
    return " x ".join(named[:_MOST]) + (" x ..." if len(named) > _MOST else "") or "a constant rate"


def _statements(model: CompiledModel, slot: int) -> list[str]:
    """Return the statements behind an operation: those of the influences that it is made of, else its own."""
    found: dict[str, None] = {}
    ahead, seen = [slot], set()
    while ahead:
        here = ahead.pop(0)
        k = here - model.n_states
        if here in seen or k < 0:
            continue
        seen.add(here)
        brought = _input_rows(model, k)
        found |= dict.fromkeys(row for row in brought if row) if any(brought) else dict.fromkeys(model.rows[k])
        # Beyond a statement's own influence, and beyond whole quantities, lie other terms.
        ahead += [i for i, row in zip(_inputs(model, here), brought, strict=True)
                  if not row and _name(model, i).partition(".")[0] in _PARTS]  # fmt: skip
    return list(found)


def _name(model: CompiledModel, slot: int) -> str:
    return model.state_names[slot] if slot < model.n_states else model.slot_names[slot - model.n_states]


def _inputs(model: CompiledModel, slot: int) -> list[int]:
    k = slot - model.n_states
    return [] if k < 0 else [int(i) for i in model.inputs[model.input_start[k] : model.input_start[k + 1]]]


def _input_rows(model: CompiledModel, op: int) -> tuple[str, ...]:
    return model.input_rows[model.input_start[op] : model.input_start[op + 1]]
