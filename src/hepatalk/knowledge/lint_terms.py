"""Rules on terms: what they name exists, they have the fields that their target needs, signals and nodes have input."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from hepatalk.knowledge.findings import Check, Finding, PlacedTerm, choices, placed_terms
from hepatalk.knowledge.load import Knowledge
from hepatalk.knowledge.records import Attracts, Carries, CellType, Regulates, Secretes, Timed, Transition

__all__ = [
    "CheckNodesDriven",
    "CheckSignalsSecreted",
    "CheckTermNames",
    "CheckTermShape",
    "CheckZonesMeet",
    "division_states",
    "regulators",
    "targets",
]

_PHYSICS = (
    *("artery", "bile_clearance", "bile_pressure", "dead_area", "dead_cell_removal", "flow", "necrotic_area"),
    *("oxygen", "radius", "shear", "sinusoid_flow", "vascular"),
)
_QUANTITIES = (
    *_PHYSICS,
    *("NK", "T", "capacity", "demand", "function", "inflow", "load", "sinusoid_flow", "size", "volume"),
)


def state_words(cell: CellType) -> set[str]:
    """Return the words that select cells of a type in a term: states, lineages, nuclei, 'cycling' and 'roused'."""
    return {*(s.id for s in cell.states), *cell.lineages, *cell.nuclei, "cycling", "roused"}


def regulators(k: Knowledge) -> set[str]:
    """Return every name that may regulate."""
    names = {f"signal.{s.id}" for s in k.signals} | {f"node.{n.cell}.{n.id}" for n in k.nodes}
    for cell in k.cells:
        names |= {f"state.{cell.id}.{word}" for word in state_words(cell)} | {
            f"density.{cell.id}",
            f"tissue.{cell.id}",
            f"{cell.id}.count",
        }
        names |= {f"{cell.id}.mass"} if cell.has_mass else set()
    return names | set(_QUANTITIES)


def targets(k: Knowledge, hypothesis: str | None) -> set[str]:
    """Return every name that may be regulated when a hypothesis is on (None: none is)."""
    terms = [p.term for p in placed_terms(k) if p.hypothesis in (None, hypothesis)]
    stored = {t.signal for t in terms if t.kind == "stores"}
    names = {f"process.{c.id}.{p.id}" for c in k.cells for p in c.processes}
    names |= {f"binucleation.{c.id}" for c in k.cells if c.binucleation}
    names |= {f"node.{n.cell}.{n.id}" for n in k.nodes} | {f"release.{s}" for s in stored}
    names |= {f"{word}.{s.id}" for word in ("secretion", "clearance") for s in k.signals}
    local = {s.id for s in k.signals if s.kind != "systemic"}
    names |= {f"secretion.{t.signal}.{t.cell}" for t in terms if isinstance(t, Secretes) and t.signal in local}
    return names | {"physics.radius"}


def carriers(k: Knowledge) -> set[str]:
    """Return every process and law that may carry a statement."""
    names = {f"process.{c.id}.{p.id}" for c in k.cells for p in c.processes} | {f"physics.{q}" for q in _PHYSICS}
    names |= {f"node.{n.cell}.{n.id}" for n in k.nodes}
    names |= {f"release.{p.term.signal}" for p in placed_terms(k) if p.term.kind == "stores"}
    for s in k.signals:
        names |= {f"supply.{s.id}"} if s.kind == "systemic" else set()
        names |= {f"mixing.{s.id}"} if s.mixing and s.kind != "systemic" else set()
        names |= {f"blood.{s.id}"} if s.blood_share and s.kind != "systemic" else set()
    return names


@dataclass(frozen=True)
class CheckTermNames(Check):
    """Cells, states, signals, regulators and targets of terms are things the model has."""

    id = "term-names"
    title = "Terms name things that exist"

    def run(self, k: Knowledge, claim_ids: Collection[str] = ()) -> list[Finding]:
        """Return the unknown names in terms."""
        found = []
        by, carried = regulators(k), carriers(k)
        at = {h: targets(k, h) for h in {p.hypothesis for p in placed_terms(k)}}
        for p in placed_terms(k):
            t = p.term
            if isinstance(t, Regulates):
                named = [("by", t.by, by), ("target", t.target, at[p.hypothesis])]
            elif isinstance(t, Carries):
                named = [("target", t.target, carried)]
            else:
                named = [("signal", t.signal, set(k.signal))]
            if isinstance(t, Secretes | Attracts):
                named.append(("cell", t.cell, set(k.cell)))
                if isinstance(t, Secretes) and t.state is not None and t.cell in k.cell:
                    named.append(("state", t.state, state_words(k.cell[t.cell])))
            for field, name, allowed in named:
                if name not in allowed:
                    found.append(
                        self.found(
                            k, p.kind, p.record, f"{p.field}.{field}", name, choices(name, allowed), "correct the term"
                        )
                    )
        return found


@dataclass(frozen=True)
class CheckTermShape(Check):
    """A term on a rate has a gain, a term on a node a weight, neither the other's; both have half and power.

    A signal that is stored has the two parameters of its store; a systemic signal is secreted by no cell.
    """

    id = "term-shape"
    title = "Terms have the fields that their target needs"

    def run(self, k: Knowledge, claim_ids: Collection[str] = ()) -> list[Finding]:
        """Return the fields that are missing or would be ignored."""
        found = []
        for p in placed_terms(k):
            for field, value, allowed, message in self._misfits(k, p):
                found.append(self.found(k, p.kind, p.record, f"{p.field}.{field}", value, allowed, message))
        return found

    @staticmethod
    def _misfits(k: Knowledge, p: PlacedTerm) -> Iterator[tuple[str, object, str, str]]:
        t = p.term
        if isinstance(t, Regulates):
            node = t.target.startswith("node.")
            needed, idle = ("weight", "gain") if node else ("gain", "weight")
            for field in (needed, "half", "power"):
                if getattr(t, field) is None:
                    yield field, None, "the name of a parameter", f"a term on {t.target} needs it; add it"
            if getattr(t, idle) is not None:
                yield idle, getattr(t, idle), "nothing here", f"a term on {t.target} does not use it; take it out"
            if t.effect == "permits" and not node:
                yield "effect", t.effect, "activates, inhibits", "'permits' acts on nodes only"
            if t.gate is not None and (node or t.effect == "inhibits"):
                yield "gate", t.gate, "nothing here", "only activators of a rate share gates; take it out"
        elif t.kind in ("secretes", "stores", "attracts") and t.signal in k.signal:
            signal = k.signal[t.signal]
            if signal.kind == "systemic":
                yield (
                    "signal",
                    t.signal,
                    "a signal that is not systemic",
                    "it is alike in the whole body; name another" if t.kind == "attracts"
                    else "cells of the liver do not release it; change its kind",
                )  # fmt: skip
            if t.kind == "stores" and (signal.store is None or signal.release is None):
                yield "signal", t.signal, "a signal with 'store' and 'release'", "give the signal both parameters"


@dataclass(frozen=True)
class CheckZonesMeet(Check):
    """What acts in a zone is there: a regulator tied to a cell type lives wherever its target does."""

    id = "zones-meet"
    title = "Regulators live where their targets are"

    def run(self, k: Knowledge, claim_ids: Collection[str] = ()) -> list[Finding]:
        """Return the terms whose regulator is missing in a zone of the target."""
        found = []
        for p in placed_terms(k):
            t = p.term
            if not isinstance(t, Regulates):
                continue
            here, there = self._zones(k, t.by), self._zones(k, t.target)
            if not there <= here:
                allowed = f"a regulator in zones {', '.join(map(str, sorted(there)))}"
                found.append(
                    self.found(
                        k,
                        p.kind,
                        p.record,
                        f"{p.field}.by",
                        t.by,
                        allowed,
                        f"it is in {sorted(here)} only, {t.target} in {sorted(there)}",
                    )
                )
        return found

    @staticmethod
    def _zones(k: Knowledge, name: str) -> set[int]:
        parts = name.split(".")
        if parts[0] in ("node", "state", "density", "process", "binucleation") and len(parts) > 1:
            cell = k.cell.get(parts[1])
        elif parts[0] == "secretion" and len(parts) == 3:
            cell = k.cell.get(parts[2])
        else:
            cell = k.cell.get(parts[0])
        return set(cell.zones) if cell is not None else {1, 2, 3}


@dataclass(frozen=True)
class CheckSignalsSecreted(Check):
    """A local signal is released by a cell type or comes with the blood."""

    id = "signals-secreted"
    title = "Somebody secretes each signal"

    def run(self, k: Knowledge, claim_ids: Collection[str] = ()) -> list[Finding]:
        """Return the signals that nobody releases unless a hypothesis is on."""
        released = {p.term.signal for p in placed_terms(k) if isinstance(p.term, Secretes) and p.hypothesis is None}
        advice = "nobody releases it; add a 'secretes' term to a row, or a blood_share"
        return [
            self.found(k, "signals", s.id, "id", s.id, "a signal that a row secretes", advice)
            for s in k.signals
            if s.kind != "systemic" and not s.blood_share and s.id not in released
        ]


@dataclass(frozen=True)
class CheckNodesDriven(Check):
    """A node has input; without any it would be fully active for ever."""

    id = "nodes-driven"
    title = "Something drives each node"

    def run(self, k: Knowledge, claim_ids: Collection[str] = ()) -> list[Finding]:
        """Return the nodes on which nothing acts unless a hypothesis is on."""
        driven = {p.term.target for p in placed_terms(k) if isinstance(p.term, Regulates) and p.hypothesis is None}
        advice = "nothing acts on it, so it would always be fully active; add a term to a row"
        return [
            self.found(k, "nodes", f"{n.cell}.{n.id}", "id", n.id, "a node that a row regulates", advice)
            for n in k.nodes
            if f"node.{n.cell}.{n.id}" not in driven
        ]


def division_states(cell: CellType) -> set[str]:
    """Return the states of the cell cycle: the one that divides, and the timed ones from which cells come to it."""
    timed = {p.state for p in cell.processes if isinstance(p, Timed)}
    cycle = {p.state for p in cell.processes if isinstance(p, Timed) and p.divides}
    steps = [(p.state, p.to) for p in cell.processes if isinstance(p, Timed) and p.to and not p.divides]
    steps += [(p.origin, p.to) for p in cell.processes if isinstance(p, Transition)]
    grown = True
    while grown:
        more = {a for a, b in steps if b in cycle and a in timed} - cycle
        cycle |= more
        grown = bool(more)
    return cycle
