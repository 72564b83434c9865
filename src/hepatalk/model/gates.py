"""Statements to operations: the responses of one target, gathered into OR gates, brakes and node logic."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from hepatalk.errors import KnowledgeError, nearest
from hepatalk.knowledge.records import Regulates
from hepatalk.model.laws import Law
from hepatalk.model.places import Place
from hepatalk.model.tape import Slot, Tape

__all__ = ["GateBuilder", "Statement"]


@dataclass(frozen=True)
class Statement:
    """A regulating term and the row it belongs to.

    Attributes
    ----------
    row : str
        Id of the row, or ``hypothesis:ID``.
    term : Regulates
    silent : bool
        Whether its response is held at rest.
    """

    row: str
    term: Regulates
    silent: bool


@dataclass
class GateBuilder:
    """Builds the operations of all statements that act on a target in a place.

    ``regulator`` returns the slot of a regulator's name in a place; ``parameter`` the position of a parameter record;
    ``activity`` the position of the parameter that scales a gene's product in a cell type, None where the species
    lacks the gene.
    """

    tape: Tape
    statements: Mapping[str, list[Statement]]
    regulator: Callable[[str, Place], Slot]
    parameter: Callable[[str], int]
    activity: Callable[[str, str], int | None]
    used: set[str] = field(default_factory=set)
    known_targets: set[str] = field(default_factory=set)

    def gate(self, target: str, place: Place, also: Iterable[str] = ()) -> list[Slot]:
        """Return the factors that multiply a rate: one GATE per label, one BRAKE per inhibitor.

        Parameters
        ----------
        target : str
        place : Place
        also : iterable of str
            Statements on these names act too (all sources of a signal, for one of them).

        Returns
        -------
        list of Slot
            Each 1 at rest; empty where no statement acts.

        Raises
        ------
        KnowledgeError
            If a statement lacks what a rate needs, or names a regulator that the place does not have.
        """
        labels: dict[str, list[Statement]] = {}
        factors: list[Slot] = []
        for s in self._on((target, *also)):
            if s.term.effect == "permits":
                raise KnowledgeError(
                    f"row {s.row}: 'permits' acts on nodes only, not on {s.term.target!r}; "
                    "use 'activates' with a gate of its own"
                )
            if s.term.gain is None:
                raise _missing(s, "gain")
            if s.term.effect == "activates":
                labels.setdefault(s.term.gate or "", []).append(s)
            else:
                factors.append(self._sum(Law.BRAKE, [s], f"{target}:-{s.term.by} {s.row}", place))
        for label, group in labels.items():
            factors.append(self._sum(Law.GATE, group, f"{target}:{label}", place))
        return factors

    def node_target(self, target: str, place: Place) -> Slot:
        """Return the slot of a node's target activity in [0, 1].

        That is the fuzzy OR of its activators, times what its inhibitors leave and what each requirement lets pass.

        Raises
        ------
        KnowledgeError
            As for `gate`.
        """
        drive: list[tuple[Slot, int, str]] = []
        factors: list[Slot] = []
        for s in self._on((target,)):
            if s.term.weight is None:
                raise _missing(s, "weight")
            h = self.response(s, place)
            w = self.parameter(s.term.weight)
            one = self.tape.number(1.0)
            if s.term.effect == "activates":
                drive.append((h, w, s.row))
            elif s.term.effect == "inhibits":
                factors.append(self._less(h, w, f"less.{target}:{s.term.by}@{place}", s.row))
            else:
                lacking = self.tape.op(Law.NOT, [h], [one])
                factors.append(self._less(lacking, w, f"needs.{target}:{s.term.by}@{place}", s.row))
        if drive:
            hills, weights, rows = zip(*drive, strict=True)
            name = f"drive.{target}@{place}"
            factors.append(self.tape.op(Law.ANY, hills, weights, name=name, rows=rows, input_rows=rows))
        return self.tape.op(Law.PRODUCT, factors, [], name=f"target.{target}@{place}")

    def _less(self, slot: Slot, weight: int, name: str, row: str) -> Slot:
        """Return 1 - weight x slot, brought by a row."""
        return self.tape.op(Law.NOT, [slot], [weight], name=name, rows=[row], input_rows=[row])

    def response(self, s: Statement, place: Place) -> Slot:
        """Return the slot of the Hill response of one statement, held at rest when the statement is silent.

        Raises
        ------
        KnowledgeError
            If the statement has no half or power, its regulator is unknown, or it needs genes of no one cell type.
        """
        term = s.term
        if term.half is None or term.power is None:
            raise KnowledgeError(
                f"row {s.row}: term on {term.target!r}: fields 'half' and 'power' need parameter names; add them"
            )
        between_nodes = term.by.startswith("node.") and term.target.startswith("node.")
        law = Law.NORMAL_HILL if between_nodes else Law.HILL
        arguments = [self.parameter(term.half), self.parameter(term.power)]
        if s.silent:
            # Held at rest: the resting value is filled in with the other resting values.
            live = self.tape.op(law, [self.regulator(term.by, place)], arguments)
            held = self.tape.param(f"rest:held {s.row} {term.by} {term.target}@{place}", float("nan"))
            return self.tape.op(Law.CONSTANT, [live], [held], rows=[s.row])
        h = self.tape.op(law, [self.regulator(term.by, place)], arguments, rows=[s.row])
        cell = _cell_of(term.target)
        if term.needs and not cell:
            raise KnowledgeError(
                f"row {s.row}: term on {term.target!r}: field 'needs': value {list(term.needs)}; allowed: only on "
                "targets of one cell type (process, node, secretion.SIGNAL.CELL); leave it out"
            )
        scales = [a for gene in term.needs if (a := self.activity(gene, cell)) is not None]
        return self.tape.op(Law.PRODUCT, [h], scales, rows=[s.row]) if scales else h

    def _sum(self, law: Law, group: list[Statement], label: str, place: Place) -> Slot:
        """Return the slot of a gate or brake over the responses of a group of statements."""
        hills = [self.response(s, place) for s in group]
        gains = [self.parameter(s.term.gain or "") for s in group]
        rest = self.tape.param(f"rest:{label}@{place}", float("nan"))
        rows = [s.row for s in group]
        return self.tape.op(law, hills, [rest, *gains], name=f"gate.{label}@{place}", rows=rows, input_rows=rows)

    def _on(self, targets: Iterable[str]) -> list[Statement]:
        found = [s for t in targets for s in self.statements.get(t, [])]
        self.used.update(t for t in targets if t in self.statements)
        return found

    def check_all_used(self) -> None:
        """Raise `KnowledgeError` for a statement whose target nothing has asked for."""
        for target, group in self.statements.items():
            if target not in self.used:
                raise KnowledgeError(
                    f"row {group[0].row}: term target {target!r} is nothing the model has; "
                    f"nearest: {', '.join(nearest(target, self.known_targets))}; correct the target"
                )

    def ask(self, target: str) -> None:
        """Note that a target exists, for error messages."""
        self.known_targets.add(target)


def _missing(s: Statement, name: str) -> KnowledgeError:
    return KnowledgeError(
        f"row {s.row}: term on {s.term.target!r}: field {name!r}: value missing; allowed: a parameter name; add it"
    )


def _cell_of(target: str) -> str:
    """Return the cell type that a target belongs to: process.HEP.x, node.HEP.x, secretion.IL6.KC."""
    parts = target.split(".")
    if parts[0] == "secretion":
        return parts[2] if len(parts) > 2 else ""
    return parts[1] if parts[0] in ("process", "node", "binucleation") else ""
