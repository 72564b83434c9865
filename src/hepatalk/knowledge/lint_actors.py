"""Rules on who acts in a statement: its source, target and receptor are names that the knowledge base has."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from hepatalk.errors import nearest, shown
from hepatalk.knowledge.findings import Check, Finding
from hepatalk.knowledge.load import Knowledge

__all__ = ["CheckActors"]


@dataclass(frozen=True)
class CheckActors(Check):
    """Every source, target and receptor of a row is a cell, a signal, a gene, a family or an entry of the glossary."""

    id = "actors"
    title = "Sources, targets and receptors are known names"
    severity = "error"

    def run(self, k: Knowledge, claim_ids: Collection[str] = ()) -> list[Finding]:
        """Return the names that nothing in the knowledge base bears."""
        known = sorted(set(_names(k)))
        folded = {name.casefold() for name in known}
        found = []
        for row in k.interactions:
            actors = [("source", s) for s in row.source] + [("target", t) for t in row.target]
            actors += [("receptor", row.receptor)] if row.receptor else []
            for field, text in actors:
                for name in re.split(r"->|;", text):
                    if name.strip().casefold() not in folded:
                        allowed = f"nearest: {', '.join(nearest(name.strip(), known))}"
                        message = f"{shown(name.strip())} is no cell, signal, gene or entry of the glossary; correct it"
                        found.append(self.found(k, "interactions", row.id, field, text, allowed, message))
        return found


def _names(k: Knowledge) -> Iterator[str]:
    for records in (k.cells, k.signals, k.genes, k.glossary):
        for r in records:
            yield from (r.id, r.name, *r.synonyms)
    yield from (f.id for f in k.families)
