r"""Which statements move a rate away from its healthy value, and by how much.

A rate is a product of gates that are 1 in health, so the logarithm of the rate relative to health is a sum over gates.
Within a gate the sum is shared among its influences in proportion to how far each has moved. An influence comes from a
regulator (a signal or a node) that has itself been moved by others: the same share is passed up the chain, in the
same proportions, through node targets, supplies and sources, until it ends at something physical (flow, load, oxygen).
Each level of the chain so accounts for the whole change; shares of different levels must not be added.

The proportions are exact for the instant within a level; passing upstream treats nodes and signals as if they had
settled on their present drive, which holds for all that is faster than the hours over which a liver regrows.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from hepatalk.model.compiled import CompiledModel
from hepatalk.model.laws import Law

__all__ = ["Push", "pushes"]

Floats = npt.NDArray[np.float64]

MAX_LEVEL = 8
#: A share smaller than this (in the logarithm of the rate) is not followed further.
SMALL = 1e-4


@dataclass
class Push:
    """What one statement contributes to a rate.

    Attributes
    ----------
    effect : float
        Contribution to ln(rate / healthy rate).
    level : int
        1 where it acts on the rate itself, 2 on what acts on it, and so on: the lowest level at which it appears.
    via : str
        What it acts through.
    """

    effect: float = 0.0
    level: int = MAX_LEVEL
    via: str = ""


@dataclass
class _Walk:
    model: CompiledModel
    now: Floats
    rest: Floats
    found: dict[str, Push] = field(default_factory=lambda: defaultdict(Push))

    def op(self, slot: int) -> tuple[Law, list[int], list[int], int]:
        m = self.model
        k = slot - m.n_states
        inputs = [int(i) for i in m.inputs[m.input_start[k] : m.input_start[k + 1]]]
        arguments = [int(i) for i in m.arguments[m.argument_start[k] : m.argument_start[k + 1]]]
        return Law(int(m.law[k])), inputs, arguments, k

    def credit(self, rows: Sequence[str], share: float, level: int, via: str) -> None:
        """Add a share to rows, remembering the lowest level at which each appears."""
        for row in rows:
            p = self.found[row]
            p.effect += share
            if level < p.level:
                p.level, p.via = level, via

    def credit_input(self, k: int, j: int, share: float, level: int, slot: int) -> None:
        """Add a share to the statement that brings the j-th input of an operation."""
        row = self.model.input_rows[int(self.model.input_start[k]) + j]
        if row and abs(share) >= SMALL:
            self.credit([row], share, level, self.name_of(slot))

    def rate(self, slot: int, share: float | None, level: int, seen: frozenset[int]) -> None:
        """Spread the log change of a product over its factors; ``share`` rescales the whole."""
        law, inputs, _, _ = self.op(slot)
        if law is not Law.PRODUCT:
            self.value(slot, share if share is not None else 0.0, level, seen, "")
            return
        logs = {i: _log_ratio(self.now[i], self.rest[i]) for i in inputs}
        total = sum(logs.values())
        for i, change in logs.items():
            part = change if share is None else (share * change / total if abs(total) > 1e-12 else 0.0)
            self.value(i, part, level, seen, "")

    def value(self, slot: int, share: float, level: int, seen: frozenset[int], via: str) -> None:
        """Pass a share to what moves the value of a slot."""
        if abs(share) < SMALL or level > MAX_LEVEL or slot in seen:
            return
        seen = seen | {slot}
        if slot < self.model.n_states:
            self.state(slot, share, level, seen)
            return
        law, inputs, arguments, k = self.op(slot)
        name = self.model.slot_names[k].split("@")[0]
        if law in (Law.HILL, Law.NORMAL_HILL, Law.CONSTANT):
            self.value(inputs[0], share, level + 1, seen, self.name_of(inputs[0]))
            return
        if law in (Law.GATE, Law.BRAKE, Law.ANY, Law.LINEAR):
            weights = {
                Law.GATE: arguments[1:],
                Law.BRAKE: arguments[1:],
                Law.LINEAR: arguments[1:],
                Law.ANY: arguments,
            }[law]
            moved = [self.now_param(w) * (self.now[i] - self.rest[i]) for i, w in zip(inputs, weights, strict=True)]
            total = sum(moved)
            scale = sum(abs(x) for x in moved)
            if law is Law.LINEAR:
                self.credit(self.model.rows[k], share, level, name or via)
            if scale < 1e-12 or abs(total) < 1e-6 * scale:
                return
            for j, (i, x) in enumerate(zip(inputs, moved, strict=True)):
                self.credit_input(k, j, share * x / total, level, i)
                self.value(i, share * x / total, level, seen, via)
            return
        if law is Law.NOT:
            self.credit_input(k, 0, share, level, inputs[0])
            self.value(inputs[0], share, level, seen, via)
            return
        if law is Law.PRODUCT:
            if name.startswith(
                ("source.", "supply.", "release.", "shear", "radius", "flow", "oxygen", "vascular", "mean.")
            ):
                self.credit(self.model.rows[k], share, level, name)
            self.rate(slot, share, level, seen)
            return
        # RATIO, POWER: one change of the log, shared among the inputs by their own log changes.
        logs = [_log_ratio(self.now[i], self.rest[i]) for i in inputs]
        total = sum(abs(x) for x in logs)
        for i, x in zip(inputs, logs, strict=True):
            if total > 1e-12:
                self.value(i, share * abs(x) / total, level, seen, via)

    def state(self, slot: int, share: float, level: int, seen: frozenset[int]) -> None:
        """Go from a node to its target and from a signal to its supply."""
        name = self.model.state_names[slot]
        kind, _, rest_of_name = name.partition(".")
        target = {"node": f"target.{name}", "signal": f"supply.{rest_of_name}"}.get(kind)
        found = self.model.slot_index.get(target) if target else None
        if found is not None:
            law, _, _, _ = self.op(found)
            if law is Law.PRODUCT:
                self.rate(found, share, level, seen)
            else:
                self.value(found, share, level, seen, name)

    def name_of(self, slot: int) -> str:
        m = self.model
        name = m.state_names[slot] if slot < m.n_states else m.slot_names[slot - m.n_states]
        if not name and slot >= m.n_states:
            _, inputs, _, _ = self.op(slot)
            return self.name_of(inputs[0]) if inputs else ""
        return name.split("@")[0].replace("free.", "signal.")

    def now_param(self, index: int) -> float:
        return float(self.model.params[index])


def pushes(model: CompiledModel, now: Floats, rest: Floats, slots: list[int]) -> dict[str, Push]:
    """Return the push of every statement on rates, averaged over the given slots.

    Parameters
    ----------
    model : CompiledModel
    now, rest : (n_states + n_ops,) float arrays
        All slots at the moment asked for, and in health.
    slots : list of int
        The rates (one per zone, say).

    Returns
    -------
    dict of row id to Push
    """
    total: dict[str, Push] = defaultdict(Push)
    for slot in slots:
        walk = _Walk(model, now, rest)
        walk.rate(slot, None, 1, frozenset())
        for row, push in walk.found.items():
            p = total[row]
            p.effect += push.effect / len(slots)
            if push.level < p.level:
                p.level, p.via = push.level, push.via
    return dict(total)


def _log_ratio(now: float, rest: float) -> float:
    return float(np.log(max(now, 1e-12) / max(rest, 1e-12)))
