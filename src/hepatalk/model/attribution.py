r"""Which statements move a rate away from its healthy value, and by how much.

A rate is a product of gates that are 1 in health, so the logarithm of the rate relative to health is a sum over gates.
Within a gate the sum is shared among its influences in proportion to how far each has moved. An influence comes from a
regulator (a signal or a node) that has itself been moved by others: the same share is passed up the chain, in the
same proportions, through node targets, supplies and sources, until it ends at something physical (flow, load, oxygen).
Each level of the chain so accounts for the whole change; shares of different levels must not be added. A quantity is
followed upstream once, at the level nearest to the rate, so that a feedback loop is not counted round and round.

The proportions are exact for the instant within a level; passing upstream treats nodes and signals as if they had
settled on their present drive, which holds for all that is faster than the hours over which a liver regrows.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import log

import numpy as np
import numpy.typing as npt

from hepatalk.model.compiled import CompiledModel
from hepatalk.model.laws import Law

__all__ = ["Decoded", "Push", "decode", "pushes"]

Floats = npt.NDArray[np.float64]

MAX_LEVEL = 8
#: A share smaller than this (in the logarithm of the rate) is not followed further.
SMALL = 1e-4
#: Operations that are a statement's own doing as a whole: their rows are credited with all that passes through.
_WHOLE = ("source.", "supply.", "release.", "shear", "radius", "flow", "oxygen", "vascular", "mean.", "sinusoid_flow")


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

    def add(self, effect: float, level: int, via: str) -> None:
        """Add a share, remembering the lowest level."""
        self.effect += effect
        if level < self.level or not self.via:
            self.level, self.via = min(level, self.level), via


@dataclass(frozen=True)
class Decoded:
    """The operations of a model as tuples, quicker to walk than arrays.

    Attributes
    ----------
    ops : list of (law, inputs, weights, rows of the inputs)
        ``weights`` are the coefficients of GATE, BRAKE, LINEAR and ANY.
    names : list of str
        Short name of each slot, for 'through what'.
    upstream : mapping of state slot to operation slot
        From a node to its target and from a signal to its supply.
    """

    ops: list[tuple[Law, tuple[int, ...], tuple[float, ...], tuple[str, ...]]]
    names: list[str]
    upstream: dict[int, int]


def decode(model: CompiledModel) -> Decoded:
    """Return a model's operations as tuples.

    Parameters
    ----------
    model : CompiledModel
    """
    n = model.n_states
    inputs, starts = model.inputs.tolist(), model.input_start.tolist()
    arguments, argument_starts = model.arguments.tolist(), model.argument_start.tolist()
    ops = []
    for k, number in enumerate(model.law.tolist()):
        law = Law(number)
        slots = tuple(inputs[starts[k] : starts[k + 1]])
        values = tuple(float(model.params[a]) for a in arguments[argument_starts[k] : argument_starts[k + 1]])
        weights = values if law is Law.ANY else values[1:]
        ops.append((law, slots, weights, tuple(model.input_rows[starts[k] : starts[k + 1]])))
    names = [name.split("@")[0] for name in (*model.state_names, *model.slot_names)]
    for k, (_, slots, _, _) in enumerate(ops):
        if not names[n + k] and slots:
            names[n + k] = names[slots[0]]
    upstream = {}
    for i, name in enumerate(model.state_names):
        kind, _, rest = name.partition(".")
        target = {"node": f"target.{name}", "signal": f"supply.{rest}"}.get(kind)
        if target is not None and target in model.slot_index:
            upstream[i] = model.slot_index[target]
    return Decoded(ops, [name.replace("free.", "signal.") for name in names], upstream)


@dataclass
class _Spread:
    """Spreads the log change of one rate over the statements behind it, level by level."""

    model: CompiledModel
    decoded: Decoded
    now: list[float]
    rest: list[float]
    found: dict[str, Push] = field(default_factory=lambda: defaultdict(Push))
    expanded: set[int] = field(default_factory=set)

    def rate(self, slot: int) -> None:
        """Start from a rate, a product: each factor's own log change is its share."""
        _, inputs, _, _ = self.decoded.ops[slot - self.model.n_states]
        frontier: dict[int, float] = defaultdict(float)
        for i in inputs:
            frontier[i] += _log_ratio(self.now[i], self.rest[i])
        for level in range(1, MAX_LEVEL + 1):
            frontier = self.level(frontier, level)
            if not frontier:
                return

    def level(self, frontier: dict[int, float], level: int) -> dict[int, float]:
        """Pass shares down the operations of one level; return those that reach a regulator."""
        n = self.model.n_states
        share: dict[int, float] = defaultdict(float)
        heap: list[int] = []
        beyond: dict[int, float] = defaultdict(float)

        def give(slot: int, part: float) -> None:
            if abs(part) < SMALL:
                return
            if slot < n:
                above = self.decoded.upstream.get(slot)
                if above is not None:
                    beyond[above] += part
                return
            if slot not in share:
                heapq.heappush(heap, -slot)
            share[slot] += part

        for slot, part in frontier.items():
            give(slot, part)
        while heap:
            slot = -heapq.heappop(heap)
            if slot in self.expanded:
                continue
            self.expanded.add(slot)
            for i, part, next_level in self.split(slot, share[slot], level):
                if next_level:
                    above = self.decoded.upstream.get(i) if i < n else i
                    if above is not None and abs(part) >= SMALL:
                        beyond[above] += part
                else:
                    give(i, part)
        return beyond

    def split(self, slot: int, share: float, level: int) -> list[tuple[int, float, bool]]:
        """Credit the rows of an operation and return (input, share, whether the input is a regulator)."""
        k = slot - self.model.n_states
        law, inputs, weights, rows = self.decoded.ops[k]
        name = self.decoded.names[slot]
        if law in (Law.HILL, Law.NORMAL_HILL, Law.CONSTANT):
            return [(inputs[0], share, True)]
        if law in (Law.GATE, Law.BRAKE, Law.ANY, Law.LINEAR):
            moved = [w * (self.now[i] - self.rest[i]) for i, w in zip(inputs, weights, strict=True)]
            total, scale = sum(moved), sum(abs(x) for x in moved)
            if scale < 1e-12 or abs(total) < 1e-6 * scale:
                return []
            parts = [share * x / total for x in moved]
            for i, part, row in zip(inputs, parts, rows, strict=True):
                self.credit([row] if row else [], part, level, self.decoded.names[i])
            if law is Law.LINEAR:
                self.credit(self.model.rows[k], share, level, name)
            return [(i, part, False) for i, part in zip(inputs, parts, strict=True)]
        if law is Law.NOT:
            self.credit([rows[0]] if rows[0] else [], share, level, self.decoded.names[inputs[0]])
            return [(inputs[0], share, False)]
        if law is Law.PRODUCT and name.startswith(_WHOLE):
            self.credit(self.model.rows[k], share, level, name)
        logs = [_log_ratio(self.now[i], self.rest[i]) for i in inputs]
        if law is Law.PRODUCT:
            total = sum(logs)
            return (
                [(i, share * x / total, False) for i, x in zip(inputs, logs, strict=True)] if abs(total) > 1e-9 else []
            )
        # RATIO and POWER: one change of the logarithm, shared by how far each input has moved.
        total = sum(abs(x) for x in logs)
        return [(i, share * abs(x) / total, False) for i, x in zip(inputs, logs, strict=True)] if total > 1e-9 else []

    def credit(self, rows: Sequence[str], share: float, level: int, via: str) -> None:
        """Add a share to rows."""
        if abs(share) >= SMALL:
            for row in rows:
                self.found[row].add(share, level, via)


def pushes(
    model: CompiledModel, now: Floats, rest: Floats, slots: Sequence[int], decoded: Decoded | None = None
) -> dict[str, Push]:
    """Return the push of every statement on rates, averaged over the given slots.

    Parameters
    ----------
    model : CompiledModel
    now, rest : (n_states + n_ops,) float arrays
        All slots at the moment asked for, and in health.
    slots : sequence of int
        The rates (one per zone, say).
    decoded : Decoded, optional
        The model's operations from `decode`, when many moments are asked for.

    Returns
    -------
    dict of row id to Push
    """
    decoded = decode(model) if decoded is None else decoded
    total: dict[str, Push] = defaultdict(Push)
    # Plain floats: indexing arrays element by element would take most of the time.
    here, health = now.tolist(), rest.tolist()
    for slot in slots:
        spread = _Spread(model, decoded, here, health)
        spread.rate(slot)
        for row, push in spread.found.items():
            total[row].add(push.effect / len(slots), push.level, push.via)
    return dict(total)


def _log_ratio(now: float, rest: float) -> float:
    return log(max(now, 1e-12) / max(rest, 1e-12))
