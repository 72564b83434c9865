"""Rules on names: ids, genes and their symbols, synonyms, families, cell states."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from hepatalk.knowledge.findings import Check, Finding, choices, placed_terms
from hepatalk.knowledge.load import Knowledge
from hepatalk.knowledge.records import SPECIES, CellType, Conversion, Gene, Regulates, Species

__all__ = [
    "CheckCellStates",
    "CheckFamilies",
    "CheckGeneSymbols",
    "CheckGenesExist",
    "CheckIdsUnique",
    "CheckLawCells",
    "CheckMakersNamed",
    "CheckOntologyIds",
    "CheckSynonyms",
]

_HUMAN = re.compile(r"[A-Z][A-Z0-9-]*(?:orf[0-9]+)?")
_RODENT = re.compile(r"[A-Z][a-z0-9-]*")
_ONTOLOGY = re.compile(r"[A-Z][A-Za-z]*:\w+")


def named_genes(k: Knowledge) -> Iterator[tuple[str, str, str, tuple[str, ...]]]:
    """Yield (kind, record, field, genes) of every field that lists genes."""
    for s in k.signals:
        yield "signals", s.id, "genes", s.genes
    for n in k.nodes:
        yield "nodes", f"{n.cell}.{n.id}", "genes", n.genes
    for f in k.families:
        yield "families", f.id, "genes", f.genes
    for g in k.glossary:
        yield "glossary", g.id, "genes", g.genes
    for placed in placed_terms(k):
        if isinstance(placed.term, Regulates):
            yield placed.kind, placed.record, f"{placed.field}.needs", placed.term.needs


@dataclass(frozen=True)
class CheckIdsUnique(Check):
    """One name, one thing: signals, nodes, cells, genes, families and parameters share a namespace.

    A signal or node may carry the name of the gene or family that makes it, and two cell types may have a node of one
    name; case tells nothing apart.
    """

    id = "ids-unique"
    title = "Ids are used once"

    def run(self, k: Knowledge, claim_ids: Collection[str] = ()) -> list[Finding]:
        """Return the ids that two records use."""
        taken: dict[str, list[tuple[str, str]]] = {}
        found = []
        for kind in ("genes", "families", "cells", "parameters", "signals", "nodes"):
            for record in getattr(k, kind):
                label = f"{record.cell}.{record.id}" if kind == "nodes" else record.id
                others = taken.setdefault(record.id.casefold(), [])
                clash = next((o for o in others if not self._may_share(o, (kind, label))), None)
                if clash is not None:
                    advice = f"{clash[0]} {clash[1]!r} has it; rename one of the two"
                    found.append(self.found(k, kind, label, "id", record.id, "an id used once", advice))
                others.append((kind, label))
        return found

    @staticmethod
    def _may_share(a: tuple[str, str], b: tuple[str, str]) -> bool:
        kinds = {a[0], b[0]}
        if kinds == {"nodes"}:
            return a[1].split(".")[0] != b[1].split(".")[0]
        return len(kinds & {"signals", "nodes"}) == 1 and len(kinds & {"genes", "families"}) == 1


@dataclass(frozen=True)
class CheckMakersNamed(Check):
    """A signal or node with the name of a gene or family is made by it, so that a knock-out reaches it."""

    id = "makers-named"
    title = "Signals and nodes name the genes that they are called after"
    severity = "warning"

    def run(self, k: Knowledge, claim_ids: Collection[str] = ()) -> list[Finding]:
        """Return the signals and nodes that a knock-out of their namesake would not reach."""
        found = []
        records = [("signals", s.id, s) for s in k.signals] + [("nodes", f"{n.cell}.{n.id}", n) for n in k.nodes]
        for kind, label, record in records:
            family = k.family.get(record.family or "")
            made = {*record.genes, *(family.genes if family else ())}
            for field, wanted in self._namesakes(k, record.id):
                if not made & set(wanted):
                    said = record.family if field == "family" else list(record.genes)
                    advice = "a knock-out of its namesake would not reach it; name the maker"
                    found.append(self.found(k, kind, label, field, said, repr(record.id), advice))
        return found

    @staticmethod
    def _namesakes(k: Knowledge, name: str) -> Iterator[tuple[str, tuple[str, ...]]]:
        if name in k.gene:
            yield "genes", (name,)
        elif name in k.family:
            yield "family", k.family[name].genes


@dataclass(frozen=True)
class CheckGenesExist(Check):
    """Genes and families that are named have records; a symbol of another species names the right one."""

    id = "genes-exist"
    title = "Genes and families that are named exist"

    def run(self, k: Knowledge, claim_ids: Collection[str] = ()) -> list[Finding]:
        """Return the unknown genes and families."""
        found = []
        for kind, record, field, genes in named_genes(k):
            for name in genes:
                if name not in k.gene:
                    found.append(self.found(k, kind, record, field, name, choices(name, k.gene), self._advice(k, name)))
        for kind, label, family in (
            *(("signals", s.id, s.family) for s in k.signals),
            *(("nodes", f"{n.cell}.{n.id}", n.family) for n in k.nodes),
        ):
            if family is not None and family not in k.family:
                found.append(
                    self.found(k, kind, label, "family", family, choices(family, k.family), "correct the family")
                )
        return found

    @staticmethod
    def _advice(k: Knowledge, name: str) -> str:
        for gene in k.genes:
            species = [s for s in SPECIES if name in gene.symbols(s)]
            if species:
                return f"{name!r} is its symbol in {' and '.join(species)}; records use the id {gene.id!r}"
            if name in gene.synonyms:
                return f"{name!r} is a synonym; records use the id {gene.id!r}"
        return "correct the gene or add it under genes/"


@dataclass(frozen=True)
class CheckGeneSymbols(Check):
    """Human symbols are upper case, rodent symbols capitalised; the id is the human symbol; none stands twice."""

    id = "gene-symbols"
    title = "Gene symbols belong to their species"

    def run(self, k: Knowledge, claim_ids: Collection[str] = ()) -> list[Finding]:
        """Return symbols of the wrong species and symbols of two genes."""
        found = []
        owner: dict[tuple[str, str], str] = {}
        for gene in k.genes:
            human = gene.symbols("human")
            if len(human) == 1 and human[0] != gene.id:
                found.append(
                    self.found(k, "genes", gene.id, "id", gene.id, repr(human[0]), "the id is the human symbol")
                )
            for species in SPECIES:
                for symbol in gene.symbols(species):
                    right = self._right(symbol, species)
                    if right is not None:
                        found.append(
                            self.found(
                                k, "genes", gene.id, species, symbol, repr(right), self._whose(gene, symbol, species)
                            )
                        )
                    other = owner.setdefault((species, symbol.casefold()), gene.id)
                    if other != gene.id:
                        found.append(
                            self.found(
                                k,
                                "genes",
                                gene.id,
                                species,
                                symbol,
                                "a symbol of one gene only",
                                f"{other!r} has it too; correct one of the two",
                            )
                        )
        return found

    @staticmethod
    def _right(symbol: str, species: Species) -> str | None:
        """Return how the symbol is written in a species, None where it is right already."""
        if (_HUMAN if species == "human" else _RODENT).fullmatch(symbol):
            return None
        return symbol.upper() if species == "human" else symbol[:1].upper() + symbol[1:].lower()

    @staticmethod
    def _whose(gene: Gene, symbol: str, species: Species) -> str:
        others = [s for s in SPECIES if s != species and symbol in gene.symbols(s)]
        case = "human symbols are upper case, mouse and rat symbols capitalised"
        return f"{symbol!r} is the {' and '.join(others)} symbol; {case}" if others else case


@dataclass(frozen=True)
class CheckSynonyms(Check):
    """Within a kind of record no name, id or synonym belongs to two records; case does not tell names apart."""

    id = "synonyms"
    title = "Synonyms name one record"

    def run(self, k: Knowledge, claim_ids: Collection[str] = ()) -> list[Finding]:
        """Return the names that two records of a kind claim."""
        found = []
        for kind in ("cells", "signals", "genes", "glossary"):
            owner: dict[str, str] = {}
            for record in getattr(k, kind):
                symbols = [s for sp in SPECIES for s in record.symbols(sp)] if kind == "genes" else []
                named = [("id", record.id), ("name", record.name), *(("symbol", s) for s in symbols)]
                named += [("synonyms", s) for s in record.synonyms]
                for field, name in named:
                    other = owner.setdefault(name.strip().casefold(), record.id)
                    if other != record.id:
                        found.append(
                            self.found(
                                k,
                                kind,
                                record.id,
                                field,
                                name,
                                "a name of one record only",
                                f"{other!r} has it too; keep it in one of the two",
                            )
                        )
        return found


@dataclass(frozen=True)
class CheckFamilies(Check):
    """A family lists each gene once; shares are one per gene and add up to 1."""

    id = "families"
    title = "Families have genes with shares that add up to 1"

    def run(self, k: Knowledge, claim_ids: Collection[str] = ()) -> list[Finding]:
        """Return the families whose genes or shares do not fit."""
        found = []
        for f in k.families:
            if not f.genes or len(set(f.genes)) < len(f.genes):
                found.append(
                    self.found(
                        k, "families", f.id, "genes", list(f.genes), "one gene or more, each once", "correct the list"
                    )
                )
            if f.shares is None:
                continue
            if len(f.shares) != len(f.genes):
                found.append(
                    self.found(
                        k,
                        "families",
                        f.id,
                        "shares",
                        list(f.shares),
                        f"{len(f.genes)} numbers, one per gene",
                        "correct the list",
                    )
                )
            elif not abs(sum(f.shares) - 1.0) <= 1e-9 or min(f.shares) < 0.0:
                found.append(
                    self.found(
                        k, "families", f.id, "shares", list(f.shares), "numbers from 0 that add up to 1", "correct them"
                    )
                )
        return found


@dataclass(frozen=True)
class CheckOntologyIds(Check):
    """Ontology ids have the form PREFIX:ID of their ontology, and no two genes share one."""

    id = "ontology-ids"
    title = "Ontology ids are well formed"

    def run(self, k: Knowledge, claim_ids: Collection[str] = ()) -> list[Finding]:
        """Return the malformed and repeated ids."""
        found = []
        stated = [("cells", c.id, "ontology", c.ontology, r"CL:\d{7}", "CL:0000182") for c in k.cells]
        stated += [("signals", s.id, "chebi", s.chebi, r"CHEBI:\d+", "CHEBI:16480") for s in k.signals]
        stated += [("genes", g.id, "hgnc", g.hgnc, r"HGNC:\d+", "HGNC:4893") for g in k.genes]
        stated += [("glossary", g.id, "ontology", g.ontology, _ONTOLOGY.pattern, "CL:0000182") for g in k.glossary]
        taken: dict[str, str] = {}
        for kind, record, field, value, pattern, example in stated:
            if value is None:
                continue
            if not re.fullmatch(pattern, value):
                found.append(
                    self.found(k, kind, record, field, value, f"an id such as {example}", "correct it or leave it out")
                )
            elif kind == "genes" and taken.setdefault(value, record) != record:
                found.append(
                    self.found(
                        k,
                        kind,
                        record,
                        field,
                        value,
                        "an id of one gene only",
                        f"{taken[value]!r} has it too; correct one",
                    )
                )
        return found


@dataclass(frozen=True)
class CheckCellStates(Check):
    """Processes move cells between states that the cell type has, and nodes belong to a cell type."""

    id = "cell-states"
    title = "Processes and nodes belong to cells and states that exist"

    def run(self, k: Knowledge, claim_ids: Collection[str] = ()) -> list[Finding]:
        """Return the unknown states, lineages, zones and cells, and processes named twice."""
        found = [self.found(k, "cells", cell.id, *hit) for cell in k.cells for hit in self._misfits(cell)]
        found += [self.found(k, "cells", cell.id, *hit) for cell in k.cells for hit in self._misled(k, cell)]
        for node in k.nodes:
            if node.cell not in k.cell:
                label, allowed = f"{node.cell}.{node.id}", choices(node.cell, k.cell)
                found.append(self.found(k, "nodes", label, "cell", node.cell, allowed, "correct the cell type"))
        return found

    @staticmethod
    def _misfits(cell: CellType) -> Iterator[tuple[str, object, str, str]]:
        states = [s.id for s in cell.states]
        for p in cell.processes:
            for field in ("origin", "state", "to"):
                name = None if field == "to" and isinstance(p, Conversion) else getattr(p, field, None)
                if name is not None and name not in states:
                    yield f"processes.{p.id}.{field}", name, choices(name, states), "correct the state"
            lineage = getattr(p, "lineage", None)
            if lineage is not None and lineage not in cell.lineages:
                yield f"processes.{p.id}.lineage", lineage, choices(lineage, cell.lineages), "correct the lineage"
        for field, names in (("states", states), ("processes", [p.id for p in cell.processes])):
            for name in sorted({n for n in names if names.count(n) > 1}):
                yield field, name, "an id used once in the cell type", "rename one of the two"
        if not cell.zones or not set(cell.zones) <= {1, 2, 3} or len(set(cell.zones)) < len(cell.zones):
            yield "zones", list(cell.zones), "zones 1, 2, 3, each at most once", "correct the zones"

    @staticmethod
    def _misled(k: Knowledge, cell: CellType) -> Iterator[tuple[str, object, str, str]]:
        """Yield what is wrong with where cells of a type convert to."""
        converts = [p for p in cell.processes if isinstance(p, Conversion)]
        if cell.counts_as is not None and cell.counts_as not in k.cell:
            yield "counts_as", cell.counts_as, choices(cell.counts_as, k.cell), "correct the cell type"
        if converts and cell.number is None:
            yield "number", None, "a parameter name", "conversions need a common unit of cells; add it"
        for p in converts:
            other = k.cell.get(p.becomes)
            if other is None or other.id == cell.id:
                allowed = choices(p.becomes, [c for c in k.cell if c != cell.id])
                yield f"processes.{p.id}.becomes", p.becomes, allowed, "correct the cell type"
                continue
            if p.to not in [s.id for s in other.states]:
                allowed = choices(p.to, [s.id for s in other.states])
                yield f"processes.{p.id}.to", p.to, allowed, "correct the state"
            if any(t.stages > 1 for t in cell.states if t.id == p.origin):
                allowed = "a state of one stage"
                yield f"processes.{p.id}.origin", p.origin, allowed, "who leaves the last stage would come to the first"
            back = [q for q in other.processes if isinstance(q, Conversion) and q.becomes == cell.id]
            solved = [q for q in (p, *back) if q.rate == "solved"]
            if len(back) != 1 or len(solved) != 1 or (back[0].origin, back[0].to) != (p.to, p.origin):
                allowed = f"one conversion of {other.id} back, between the same states, one of the two rates 'solved'"
                yield f"processes.{p.id}", p.id, allowed, "without it health would not stand still; correct one"


@dataclass(frozen=True)
class CheckLawCells(Check):
    """The cell types that the laws of physics ask for are there: in every zone, hepatocytes with a mass."""

    id = "law-cells"
    title = "The cell types that physics needs exist"

    def run(self, k: Knowledge, claim_ids: Collection[str] = ()) -> list[Finding]:
        """Return what the laws would look for in vain."""
        found = []
        for name in ("HEP", "LSEC", "KC"):
            cell = k.cell.get(name)
            if cell is None:
                advice = f"the laws need {name}; add it under cells/"
                found.append(self.found(k, "cells", name, "id", sorted(k.cell), f"a list with {name!r}", advice))
            elif set(cell.zones) != {1, 2, 3}:
                advice = f"the laws count {name} in every zone; add the zones"
                found.append(self.found(k, "cells", name, "zones", list(cell.zones), "[1, 2, 3]", advice))
        if "HEP" in k.cell and not k.cell["HEP"].has_mass:
            found.append(
                self.found(k, "cells", "HEP", "has_mass", False, "true", "capacity is the mass of hepatocytes")
            )
        return found
