"""Rules that need a compiled model: homeostasis, stability, mass balance, and terms and records that do nothing.

The rules on records alone are in `hepatalk.knowledge.lint`. They are for a model compiled from the records as they
stand: with hypotheses switched on or rows silenced, terms that lead nowhere are what was asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from hepatalk.knowledge.findings import Finding, PlacedTerm, Severity, placed_terms
from hepatalk.knowledge.load import Knowledge
from hepatalk.knowledge.records import Attracts, Carries, Regulates, Secretes
from hepatalk.model.compiled import CompiledModel
from hepatalk.model.laws import Law
from hepatalk.model.linear import Linearised

__all__ = [
    "ALL_CHECKS",
    "CheckCellsConserved",
    "CheckHomeostasis",
    "CheckNodesDrive",
    "CheckRestingState",
    "CheckSignalsAnswered",
    "CheckSlowModes",
    "CheckStable",
    "CheckStoresBalanced",
    "CheckTermsReach",
    "CheckZeroModes",
    "Compiled",
    "ModelCheck",
    "check_model",
]

Floats = npt.NDArray[np.float64]

MODEL = "compiled model"
#: Fastest motion that the healthy state may have, per h: a year of it moves a state by less than 1e-6.
STILL = 1e-10
#: An eigenvalue nearer to 0 than this (per h) counts as 0: its mode would take 11 000 years.
ZERO = 1e-8
#: A mode that takes longer than a year to fade is worth a note: experiments end before it does.
SLOW = 1.0 / (365.0 * 24.0)
#: Relative error that rounding may leave in a balance.
ROUNDING = 1e-9
_PHYSICS_NAMES = {"mixing": "mean.{}", "supply": "supply.{}", "blood": "source.{}.blood", "release": "release.{}"}


@dataclass(frozen=True)
class Compiled:
    """A compiled model with what several rules want to know about it, worked out once."""

    model: CompiledModel

    @cached_property
    def at_rest(self) -> Linearised:
        """The model at its healthy state."""
        return Linearised(self.model, self.model.rest)

    @cached_property
    def disturbed(self) -> tuple[Linearised, ...]:
        """The model at three states, each amount off by about a third, counts kept equal to their compartments."""
        m = self.model
        random = np.random.default_rng(20100925)
        out = []
        for _ in range(3):
            y = m.rest * np.exp(random.normal(0.0, 0.3, m.n_states)) + 1e-3 * random.random(m.n_states)
            for count, compartments in self.counts.items():
                y[count] = y[compartments].sum()
            out.append(Linearised(m, y))
        return tuple(out)

    @cached_property
    def counts(self) -> dict[int, npt.NDArray[np.int64]]:
        """State of each count of cells in a zone -> states of its compartments."""
        m, out = self.model, {}
        for name, group in m.groups.items():
            if name.endswith(".count"):
                for count in group.tolist():
                    zone = m.state_names[count].rsplit("@", 1)[1]
                    here = [i for i in m.groups[name.removesuffix(".count")] if m.state_names[i].endswith(f"@{zone}")]
                    out[count] = np.array(here, dtype=np.int64)
        return out

    @cached_property
    def live(self) -> frozenset[int]:
        """Operations from which a path leads to the derivative of a state."""
        return frozenset(self._closure([s - self.model.n_states for s in self.model.flux.tolist()]))

    def _closure(self, ops: list[int]) -> set[int]:
        """Return operations and those that they need in the same evaluation (states end the search)."""
        m, seen = self.model, set()
        stack = [k for k in ops if k >= 0]
        while stack:
            k = stack.pop()
            if k not in seen:
                seen.add(k)
                inputs = m.inputs[m.input_start[k] : m.input_start[k + 1]].tolist()
                stack += [i - m.n_states for i in inputs if i >= m.n_states]
        return seen

    def behind(self, slots: list[int]) -> list[int]:
        """Return the operations behind slots, themselves included."""
        return sorted(self._closure([s - self.model.n_states for s in slots]))

    @cached_property
    def groups(self) -> tuple[str, ...]:
        """What each state belongs to: its name without zone, a store with its signal; '' for cells and body."""
        names = (n.split("@")[0].replace("store.", "signal.") for n in self.model.state_names)
        return tuple(n if n.startswith(("signal.", "node.")) else "" for n in names)

    @cached_property
    def drives(self) -> dict[str, set[str]]:
        """Each signal and node -> the groups whose derivatives depend on it."""
        m = self.model
        masks: list[int] = [1 << i for i in range(m.n_states)]
        for k in range(m.n_ops):
            mask = 0
            if m.law[k] != Law.CONSTANT:
                for i in m.inputs[m.input_start[k] : m.input_start[k + 1]].tolist():
                    mask |= masks[i]
            masks.append(mask)
        out: dict[str, set[str]] = {g: set() for g in self.groups}
        for i in range(m.n_states):
            mask = 0
            for slot in m.flux[m.flux_start[i] : m.flux_start[i + 1]].tolist():
                mask |= masks[slot]
            for j in range(m.n_states):
                if mask >> j & 1:
                    out[self.groups[j]].add(self.groups[i])
        return out

    @cached_property
    def idle(self) -> frozenset[str]:
        """Signals and nodes from which no path leads to cells or body."""
        reach = {""}
        while more := {g for g, to in self.drives.items() if g not in reach and to & reach}:
            reach |= more
        return frozenset(self.drives) - reach


@dataclass(frozen=True)
class ModelCheck:
    """A rule on a compiled model and the records it comes from; subclasses say which."""

    id: ClassVar[str]
    title: ClassVar[str]
    severity: ClassVar[Severity] = "error"

    def run(self, c: Compiled, k: Knowledge) -> list[Finding]:
        """Return what breaks the rule."""
        raise NotImplementedError

    def found(
        self, record: str, field: str, value: object, allowed: str, message: str, *, file: str = MODEL
    ) -> Finding:
        """Return a finding of this rule."""
        return Finding(file, record, field, value, allowed, message, self.id, self.severity)


# ----------------------------------------------------------------------------------------------------- homeostasis


@dataclass(frozen=True)
class CheckRestingState(ModelCheck):
    """The healthy state and all parameters are finite, and no amount is negative."""

    id = "resting-state"
    title = "The healthy state is finite and not negative"

    def run(self, c: Compiled, k: Knowledge) -> list[Finding]:
        """Return states and parameters that are no sound numbers."""
        m = c.model
        found = [
            self.found(name, "rest", float(v), "a finite number, not negative", "check the parameters behind it")
            for name, v in zip(m.state_names, m.rest, strict=True)
            if not v >= 0.0 or np.isinf(v)
        ]
        return found + [
            self.found(name, "value", float(v), "a finite number", "check the record, or the law that solves it")
            for name, v in zip(m.param_names, m.params, strict=True)
            if not np.isfinite(v)
        ]


@dataclass(frozen=True)
class CheckHomeostasis(ModelCheck):
    """The healthy state stands still."""

    id = "homeostasis"
    title = "The healthy state stands still"

    def run(self, c: Compiled, k: Knowledge) -> list[Finding]:
        """Return the states that move, the fastest first."""
        m, speed = c.model, c.at_rest.derivative
        moving = sorted(np.flatnonzero(~(np.abs(speed) <= STILL)).tolist(), key=lambda i: -abs(speed[i]))
        allowed = f"at most {STILL:g} per h either way"
        return [
            self.found(m.state_names[i], "derivative", float(speed[i]), allowed, f"largest term: {self._largest(c, i)}")
            for i in moving
        ]

    @staticmethod
    def _largest(c: Compiled, state: int) -> str:
        m = c.model
        f = slice(m.flux_start[state], m.flux_start[state + 1])
        slot = int(m.flux[f][int(np.abs(m.coefficient[f] * c.at_rest.values[m.flux[f]]).argmax())])
        if slot < m.n_states:
            return m.state_names[slot]
        op = slot - m.n_states
        return m.slot_names[op] or ", ".join(m.rows[op]) or f"operation {op}"


def _mode(c: Compiled, number: int) -> list[str]:
    """Return the three states that take part most in a mode, by participation factor.

    The factor is the product of right and left eigenvector: unlike either alone it does not depend on units.
    """
    part = np.abs(c.at_rest.modes[1][:, number] * c.at_rest.left[number])
    return [c.model.state_names[i] for i in np.argsort(-part, kind="stable")[:3]]


@dataclass(frozen=True)
class CheckStable(ModelCheck):
    """No small disturbance of the healthy state grows: no eigenvalue has a positive real part."""

    id = "stable"
    title = "The healthy state is stable"

    def run(self, c: Compiled, k: Knowledge) -> list[Finding]:
        """Return the growing modes with the states that take part most."""
        return [
            self.found(
                ", ".join(_mode(c, i)),
                "eigenvalue",
                float(e.real),
                "below 0 per h",
                "a disturbance there grows; weaken a feedback",
            )
            for i, e in enumerate(c.at_rest.modes[0])
            if e.real > ZERO
        ]


@dataclass(frozen=True)
class CheckZeroModes(ModelCheck):
    """Every disturbance of the healthy state fades: eigenvalues of zero are listed, to be explained."""

    id = "zero-modes"
    title = "Disturbances of the healthy state fade"
    severity = "note"

    def run(self, c: Compiled, k: Knowledge) -> list[Finding]:
        """Return the modes that neither grow nor fade."""
        advice = "a disturbance there neither grows nor fades; say why, or give it a way back"
        return [
            self.found(", ".join(_mode(c, i)), "eigenvalue", float(e.real), "below 0 per h", advice)
            for i, e in enumerate(c.at_rest.modes[0])
            if abs(e.real) <= ZERO
        ]


@dataclass(frozen=True)
class CheckSlowModes(ModelCheck):
    """Disturbances fade within a year; slower ones are listed, one for each set of states that carries them."""

    id = "slow-modes"
    title = "Disturbances of the healthy state fade within a year"
    severity = "note"

    def run(self, c: Compiled, k: Knowledge) -> list[Finding]:
        """Return the modes that take longer than a year, the slowest of each kind."""
        found: dict[str, Finding] = {}
        for i, e in enumerate(c.at_rest.modes[0]):
            if -SLOW < e.real < -ZERO:
                leads = _mode(c, i)
                kind = c.groups[c.model.state_names.index(leads[0])] or leads[0].split(".")[0]
                message = f"fades in {-1.0 / e.real / 8760.0:.3g} years; mostly {', '.join(leads)}"
                allowed = f"below {-SLOW:.2g} per h"
                found.setdefault(kind, self.found(kind, "eigenvalue", float(e.real), allowed, message))
        return list(found.values())


# ---------------------------------------------------------------------------------------------------- mass balance


@dataclass(frozen=True)
class CheckCellsConserved(ModelCheck):
    """No cell appears or vanishes between states: counts are the sum of their compartments, and change as these do."""

    id = "cells-conserved"
    title = "Counts equal the sum of their compartments"

    def run(self, c: Compiled, k: Knowledge) -> list[Finding]:
        """Return the counts that differ from their compartments, at rest or in their change at other states."""
        m = c.model
        found = []
        for count, here in c.counts.items():
            pairs = [("rest", float(m.rest[count]), m.rest[here])]
            pairs += [("derivative", float(x.derivative[count]), x.derivative[here]) for x in c.disturbed]
            for field, whole, parts in pairs:
                if not abs(whole - parts.sum()) <= ROUNDING * max(float(np.abs(parts).sum()), 1e-9):
                    allowed = f"{float(parts.sum()):.9g}, the sum of its compartments"
                    advice = "a process makes or loses cells on the way; check where each move leads"
                    found.append(self.found(m.state_names[count], field, whole, allowed, advice))
                    break
        return found


@dataclass(frozen=True)
class CheckStoresBalanced(ModelCheck):
    """What leaves the matrix arrives in the tissue, and the other way round, as amounts."""

    id = "stores-balanced"
    title = "Binding and release conserve the signal"

    def run(self, c: Compiled, k: Knowledge) -> list[Finding]:
        """Return the stores whose exchange with the free signal does not balance."""
        m = c.model
        found = []
        for store, name in enumerate(m.state_names):
            if not name.startswith("store.") or "@" not in name:
                continue
            free = m.state_names.index(name.replace("store.", "signal."))
            zone = m.slot_index[f"volume@{name.rsplit('@', 1)[1]}"]
            x = c.disturbed[0]
            same_zone = [m.slot_index[f"volume@{lobe}{name[-1]}"] for lobe in m.lobes]
            volume = x.values[zone] / c.at_rest.values[same_zone].sum()
            released, arrived = -x.jacobian[store, store], x.jacobian[free, store] * volume
            bound = x.values[m.slot_index[name.replace("store.", "binding.")]] * volume
            stored = x.jacobian[store, free] * x.state[free]
            for what, given, got in (("release", released, arrived), ("binding", bound, stored)):
                if not abs(given - got) <= ROUNDING * max(abs(given), abs(got)):
                    found.append(
                        self.found(
                            name, what, float(got), f"{float(given):.9g}, what was given", "an amount is made or lost"
                        )
                    )
        return found


# --------------------------------------------------------------------------------------------- terms and records


@dataclass(frozen=True)
class CheckTermsReach(ModelCheck):
    """Every term of a row that runs has an operation from which a path leads to a state."""

    id = "terms-reach"
    title = "Every term reaches a state"

    def run(self, c: Compiled, k: Knowledge) -> list[Finding]:
        """Return the terms that the model does not hold, or that act on nothing."""
        named: dict[str, list[int]] = {}
        for op, name in ((i, x) for i, x in enumerate(c.model.slot_names) if x):
            named.setdefault(name.split("@")[0].split(":")[0], []).append(op)
        found = []
        for p in placed_terms(k):
            if p.hypothesis is None and not self._reaches(c, p, named):
                file = k.origin.get((p.kind, p.record), p.kind)
                said = p.term.model_dump_json(exclude_none=True)
                advice = "the compiled model holds nothing of it; correct the term or take it out"
                found.append(
                    self.found(p.record, p.field, said, "a term from which a path leads to a state", advice, file=file)
                )
        return found

    @staticmethod
    def _reaches(c: Compiled, p: PlacedTerm, named: dict[str, list[int]]) -> bool:
        """Tell whether a live operation that belongs to the term has the row behind it."""
        m = c.model
        if isinstance(p.term, Attracts):  # it changes places, and no operation
            return any(a.row == p.record for a in m.attractions)
        ends = [op for name in _anchors(p) for op in named.get(name, ()) if op in c.live]
        if isinstance(p.term, Regulates) and p.term.target.startswith("secretion."):
            ends += [
                op
                for name, ops in named.items()
                if name.startswith(f"gate.{p.term.target}.")
                for op in ops
                if op in c.live
            ]
        if not isinstance(p.term, Regulates):
            return any(p.record in m.rows[op] for op in ends)
        responses = (Law.HILL, Law.NORMAL_HILL, Law.CONSTANT)
        return any(
            p.record in m.rows[op] and m.law[op] in responses for op in c.behind([m.n_states + op for op in ends])
        )


def _anchors(p: PlacedTerm) -> Iterator[str]:
    """Yield the names, without zone and gate, of the operations that a term must have written."""
    t = p.term
    if isinstance(t, Regulates):
        yield f"target.{t.target}" if t.target.startswith("node.") else f"gate.{t.target}"
    elif isinstance(t, Secretes):
        yield f"source.{t.signal}.{t.cell}.{t.state or 'all'}"
    elif isinstance(t, Carries):
        first, _, rest = t.target.partition(".")
        yield {"physics": rest, "node": f"relax.{t.target}", "process": t.target}.get(
            first, _PHYSICS_NAMES.get(first, t.target).format(rest)
        )
    else:
        yield from (f"release.{t.signal}", f"binding.{t.signal}")


def _only_with(k: Knowledge, name: str) -> str:
    """Return which hypotheses give a signal or node something to act on, in words."""
    waiting = {p.hypothesis for p in placed_terms(k) if isinstance(p.term, Regulates) and p.term.by == name}
    names = sorted(h for h in waiting if h is not None)
    return f"only with the hypothesis {', '.join(names)} on" if names else "nothing answers it, down to cells or body"


@dataclass(frozen=True)
class CheckSignalsAnswered(ModelCheck):
    """From every signal a path leads to cells or body."""

    id = "signals-answered"
    title = "Somebody answers each signal"
    severity = "warning"

    def run(self, c: Compiled, k: Knowledge) -> list[Finding]:
        """Return the signals that change nothing."""
        return [
            self.found(
                s.id,
                "id",
                s.id,
                "a signal that regulates something",
                _only_with(k, f"signal.{s.id}"),
                file=k.origin.get(("signals", s.id), MODEL),
            )
            for s in k.signals
            if f"signal.{s.id}" in c.idle
        ]


@dataclass(frozen=True)
class CheckNodesDrive(ModelCheck):
    """From every node a path leads to cells or body."""

    id = "nodes-drive"
    title = "Each node drives something"
    severity = "warning"

    def run(self, c: Compiled, k: Knowledge) -> list[Finding]:
        """Return the nodes that change nothing."""
        return [
            self.found(
                f"{n.cell}.{n.id}",
                "id",
                n.id,
                "a node that regulates something",
                _only_with(k, f"node.{n.cell}.{n.id}"),
                file=k.origin.get(("nodes", f"{n.cell}.{n.id}"), MODEL),
            )
            for n in k.nodes
            if f"node.{n.cell}.{n.id}" in c.idle
        ]


ALL_CHECKS: tuple[ModelCheck, ...] = (
    CheckRestingState(),
    CheckHomeostasis(),
    CheckStable(),
    CheckZeroModes(),
    CheckSlowModes(),
    CheckCellsConserved(),
    CheckStoresBalanced(),
    CheckTermsReach(),
    CheckSignalsAnswered(),
    CheckNodesDrive(),
)


def check_model(model: CompiledModel, knowledge: Knowledge) -> tuple[Finding, ...]:
    """Apply every rule on compiled models.

    Parameters
    ----------
    model : CompiledModel
        Compiled from `knowledge` without hypotheses and silenced rows.
    knowledge : Knowledge

    Returns
    -------
    tuple of Finding
        In the order of `ALL_CHECKS`. A model whose healthy state is not finite is examined no further.
    """
    compiled = Compiled(model)
    sound = CheckRestingState().run(compiled, knowledge)
    if sound:
        return tuple(sound)
    return tuple(finding for check in ALL_CHECKS for finding in check.run(compiled, knowledge))
