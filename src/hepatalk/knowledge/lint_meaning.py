"""Rules on meaning: the terms of a statement act on what it speaks of, and in the direction that it states."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from hepatalk.knowledge.findings import Check, Finding, placed_terms
from hepatalk.knowledge.lint_terms import division_states
from hepatalk.knowledge.load import Knowledge
from hepatalk.knowledge.quantities import QUANTITIES
from hepatalk.knowledge.records import (
    SPECIES,
    AccountAlternative,
    AccountTerms,
    Attracts,
    Carries,
    CellProcess,
    CellType,
    Death,
    Growth,
    Influx,
    Interaction,
    Regulates,
    Secretes,
    Stores,
    Timed,
    Transition,
)

__all__ = ["CheckPathway", "CheckSign", "CheckSignal"]

Term = Secretes | Regulates | Carries | Stores | Attracts
#: Targets that are a part of a signal: ``secretion.HGF.HSC`` is about the signal HGF.
_OF_SIGNAL = re.compile(r"(secretion|release|clearance|mixing|supply|blood)\.([^.]+)(\.\w+)?")
_LEADING = re.compile(r"^(-\|\s*|active\s+|pro-|intracellular\s+|nuclear\s+|canonical\s+)", re.IGNORECASE)


def _plain(word: str) -> str:
    """Return a word without case, blanks, dashes and a plural s, so that spellings of one name meet."""
    bare = re.sub(r"[\s_-]+", "", word.casefold())
    return bare[:-1] if len(bare) > 4 and bare.endswith("s") and not bare.endswith("ss") else bare


def _vocabulary(k: Knowledge) -> Mapping[str, set[str]]:
    """Return what every plain name stands for: signals, nodes and physical quantities of the model."""
    out: dict[str, set[str]] = {}
    by_gene: dict[str, set[str]] = {}
    for thing, genes in _genes_of(k).items():
        for name in genes:
            by_gene.setdefault(name, set()).add(thing)
    named: list[tuple[set[str], tuple[str, ...]]] = [({q.id}, (q.id, q.name, *q.synonyms)) for q in QUANTITIES]
    named += [({f"signal.{s.id}"}, (s.id, s.name, *s.synonyms, s.family or s.id)) for s in k.signals]
    named += [({f"node.{n.cell}.{n.id}"}, (n.id, n.name, n.family or n.id)) for n in k.nodes]
    for gene in k.genes:
        symbols = (s for sp in SPECIES for s in gene.symbols(sp))
        named.append((by_gene.get(gene.id, set()), (gene.id, gene.name, *gene.synonyms, *symbols)))
    for things, names in named:
        for name in names if things else ():
            out.setdefault(_plain(name), set()).update(things)
    for entry in k.glossary:
        words = [_plain(n) for n in (entry.id, entry.name, *entry.synonyms)]
        things = set().union(*(out.get(n, set()) for n in words), *(by_gene.get(g, set()) for g in entry.genes))
        for word in words if things else ():
            out.setdefault(word, set()).update(things)
    return out


def _named(vocabulary: Mapping[str, set[str]], text: str) -> list[tuple[str, set[str]]]:
    """Return each name in a free text that the model knows, with what it stands for."""
    found = []
    for part in re.split(r"[;+,()/]|\bor\b|\band\b|\bvs\b", text):
        word = _LEADING.sub("", part.strip())
        things = vocabulary.get(_plain(word)) if word else None
        if things:
            found.append((word, things))
    return found


def _touched(term: Term) -> set[str]:
    """Return the signals, nodes, quantities, processes and genes that a term names."""
    names: set[str] = set()
    if isinstance(term, Secretes | Stores | Attracts):
        return {f"signal.{term.signal}"}
    if isinstance(term, Regulates):
        names |= {term.by, *(f"gene.{g}" for g in term.needs)}
    match = _OF_SIGNAL.fullmatch(term.target)
    names |= {term.target, f"signal.{match[2]}"} if match else {term.target}
    return {"density" if n.startswith(("density.", "tissue.")) else n.removeprefix("physics.") for n in names}


def _links(k: Knowledge) -> Mapping[str, set[str]]:
    """Return what acts directly on each thing by the terms that always run, by transitions and by physical laws."""
    into: dict[str, set[str]] = {}
    for placed in placed_terms(k):
        t = placed.term
        if placed.hypothesis is not None:
            continue
        if isinstance(t, Regulates):
            match = _OF_SIGNAL.fullmatch(t.target)
            into.setdefault(f"signal.{match[2]}" if match else t.target, set()).add(t.by)
        if isinstance(t, Secretes):
            into.setdefault(f"signal.{t.signal}", set()).add(f"state.{t.cell}.{t.state}" if t.state else t.cell)
    for cell in k.cells:
        for p in cell.processes:
            if isinstance(p, Transition):
                into.setdefault(f"state.{cell.id}.{p.to}", set()).add(f"process.{cell.id}.{p.id}")
    for q in QUANTITIES:
        into.setdefault(q.id, set()).update(q.follows)
    return into


def _genes_of(k: Knowledge) -> Mapping[str, set[str]]:
    """Return the genes that make each signal and node."""

    def made(genes: Iterable[str], family: str | None) -> set[str]:
        return {*genes, *(k.family[family].genes if family is not None and family in k.family else ())}

    out = {f"signal.{s.id}": made(s.genes, s.family) for s in k.signals}
    return out | {f"node.{n.cell}.{n.id}": made(n.genes, n.family) for n in k.nodes}


class _Reach:
    """Answers whether the terms of a row act on, by or through a thing; prepared once for a knowledge base."""

    def __init__(self, k: Knowledge) -> None:
        self.vocabulary = _vocabulary(k)
        self.into = _links(k)
        self.genes = _genes_of(k)

    def met(self, things: set[str], touched: set[str], downstream: int) -> bool:
        """Say whether terms touch one of several things, something it drives, or something that leads to it."""
        genes = {g for t in things for g in self.genes.get(t, ())}
        if things & touched or any(f"gene.{g}" in touched for g in genes):
            return True
        if any(self.into.get(t, set()) & things for t in touched):
            return True  # what the terms name is itself driven by the thing: a receptor, a relay
        # A quantity also follows from what carries the row: oxygen from the endothelium that brings it.
        if any(self.into.get(t, set()) & touched for t in things if "." not in t):
            return True
        behind = set(things)
        for _ in range(downstream):
            behind = set().union(*(self.into.get(t, set()) for t in behind))
            if behind & touched:
                return True
        return False


def _accounted(k: Knowledge) -> Iterator[tuple[Interaction, tuple[Term, ...]]]:
    for r in k.interactions:
        if isinstance(r.account, AccountTerms | AccountAlternative) and r.account.terms:
            yield r, r.account.terms


@dataclass(frozen=True)
class CheckSignal(Check):
    """The signal that a row names is met by a term: acts, is acted on, or drives what acts; else the row says how."""

    id = "signal-met"
    title = "Terms act by the signal that their row names"

    def run(self, k: Knowledge, claim_ids: Collection[str] = ()) -> list[Finding]:
        """Return the rows whose signal no term meets and that do not say how it acts."""
        reach = _Reach(k)
        found = []
        for r, terms in _accounted(k):
            if r.signal is None or r.read_as is not None:
                continue
            touched = set().union(*(_touched(t) for t in terms))
            named = _named(reach.vocabulary, r.signal)
            missed = [word for word, things in named if not reach.met(things, touched, 0)]
            if missed or not named:
                why = (
                    f"no term acts by {missed[0]!r}, on it, or on what it drives" if missed
                    else "it names no signal, node or quantity of the model"
                )  # fmt: skip
                advice = f"{why}; correct the row or say in 'read_as' what it acts through"
                said = self.found(k, "interactions", r.id, "signal", r.signal, _some(touched), advice)
                found.append(said if missed else replace(said, severity="warning"))
        return found


@dataclass(frozen=True)
class CheckPathway(Check):
    """Each step of a row's pathway that the model knows is met by a term, or lies one step from what a term meets."""

    id = "pathway-met"
    title = "Terms pass through the pathway that their row names"
    severity = "warning"

    def run(self, k: Knowledge, claim_ids: Collection[str] = ()) -> list[Finding]:
        """Return the steps that no term meets, of rows that do not say how they act."""
        reach = _Reach(k)
        found = []
        for r, terms in _accounted(k):
            touched = set().union(*(_touched(t) for t in terms))
            for step in r.pathway if r.read_as is None else ():
                for word, things in _named(reach.vocabulary, step):
                    if not reach.met(things, touched, 2):
                        advice = f"no term meets {word!r}; correct the row or say in 'read_as' what it acts through"
                        found.append(self.found(k, "interactions", r.id, "pathway", step, _some(touched), advice))
        return found


def _some(touched: set[str]) -> str:
    return "what the terms meet, " + ", ".join(sorted(touched)[:4])


# ------------------------------------------------------------------------------------------------------------- sign


@dataclass(frozen=True)
class CheckSign(Check):
    """The sign of a row agrees with what its terms do, in the end, to the cells that it names as target.

    A term's effect is followed from its target to the processes of those cells that add cells or mass (growth, influx,
    entry to and passage of the cycle: +) or take them away (death, leaving the cycle: -), through the nodes of these
    cells and, where the target is a supply, through what that signal does to them. It is known where every way leads to
    one sign; changes between resting states say nothing. A row is named when effects are known and all go against its
    sign: certainly wrong (an error) where they all act on a process at once or every term's effect is known; a warning
    where some term's is open.
    """

    id = "sign"
    title = "Terms go in the direction of the row's sign"

    def run(self, k: Knowledge, claim_ids: Collection[str] = ()) -> list[Finding]:
        """Return the rows whose terms all go against their sign."""
        ways = _Ways(k)
        found = []
        for r, terms in _accounted(k):
            cells = frozenset(set(r.target) & set(k.cell))
            if r.sign not in ("+", "-") or not cells:
                continue
            acting = [t for t in terms if isinstance(t, Regulates)]
            effects = {_key(t): ways.of_term(t, cells) for t in acting}
            known = {said: e for said, e in effects.items() if e}
            wanted = 1 if r.sign == "+" else -1
            if known and all(e == -wanted for e in known.values()):
                allowed = "'-', '0', '?'" if wanted > 0 else "'+', '0', '?'"
                advice = f"its terms do the opposite ({'; '.join(known)}); correct the sign or the term"
                said = self.found(k, "interactions", r.id, "sign", r.sign, allowed, advice)
                certain = len(known) == len(effects) or all(ways.direct(t, cells) for t in acting if _key(t) in known)
                found.append(said if certain else replace(said, severity="warning"))
        return found


def _key(t: Regulates) -> str:
    return f"{t.by} {t.effect} {t.target}"


class _Ways:
    """Follows effects through nodes and signals of the terms that always run."""

    def __init__(self, k: Knowledge) -> None:
        self.valence = {f"process.{c.id}.{p.id}": v for c in k.cells for p, v in _valences(c)}
        self.out: dict[str, list[tuple[str, int]]] = {}
        for placed in placed_terms(k):
            if placed.hypothesis is None and isinstance(placed.term, Regulates):
                self.out.setdefault(placed.term.by, []).append((placed.term.target, _direction(placed.term)))

    def direct(self, t: Regulates, cells: frozenset[str]) -> bool:
        """Say whether a term acts on a process of the cells whose direction is beyond doubt."""
        return bool(self.valence.get(t.target)) and t.target.split(".")[1] in cells

    def of_term(self, t: Regulates, cells: frozenset[str]) -> int:
        """Return +1 or -1 where a term's effect on the cells is known, else 0."""
        start, direction = t.target, _direction(t)
        match = _OF_SIGNAL.fullmatch(start)
        if match:
            start, direction = f"signal.{match[2]}", -direction if match[1] == "clearance" else direction
        signs = self._signs(start, cells)
        return direction * signs.pop() if len(signs) == 1 else 0

    def _signs(self, start: str, cells: frozenset[str]) -> set[int]:
        """Return the signs with which a thing reaches processes of the cells, by ways inside these cells."""
        found: set[int] = set()
        seen: set[tuple[str, int]] = set()
        ahead = [(start, 1)]
        while ahead:
            thing, sign = ahead.pop()
            if (thing, sign) in seen:
                continue
            seen.add((thing, sign))
            kind, _, rest = thing.partition(".")
            if kind in ("process", "node") and rest.split(".")[0] not in cells:
                continue
            if self.valence.get(thing):
                found.add(sign * self.valence[thing])
            for target, direction in self.out.get(thing, []):
                if target.startswith(("node.", "process.")):
                    ahead.append((target, sign * direction))
        return found


def _direction(t: Regulates) -> int:
    return -1 if t.effect == "inhibits" else 1


def _valences(cell: CellType) -> Iterator[tuple[CellProcess, int]]:
    """Yield each process with +1 where it adds cells or mass, -1 where it takes them away, 0 where that is open."""
    cycle = division_states(cell)
    for p in cell.processes:
        match p:
            case Growth() | Influx():
                yield p, 1
            case Death():
                yield p, -1
            case Timed():
                yield p, 1 if p.state in cycle else 0
            case Transition():
                yield p, (p.to in cycle) - (p.origin in cycle and p.to not in cycle)
