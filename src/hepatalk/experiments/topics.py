"""Pages of what has no record of its own: physical quantities and experiments; and cells by a part of their name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from hepatalk.experiments.experiment import catalogue_names, load_experiment
from hepatalk.experiments.injuries import changes_of
from hepatalk.experiments.phrases import phrase, terms_of, verb
from hepatalk.experiments.statements import Explanation, Group, group, statements
from hepatalk.knowledge.load import Knowledge
from hepatalk.knowledge.quantities import QUANTITIES, Quantity
from hepatalk.knowledge.records import AccountTerms, CellType, Interaction, Regulates

__all__ = ["ExperimentName", "cell_by_part", "experiment_names", "experiment_page", "quantity_groups", "quantity_page"]

#: Names whose effects are those of another quantity: flow per volume is portal inflow as it is measured.
_SAME = {
    "portal_flow": "inflow",
    "flow": "inflow",
    "liver_volume": "volume",
    "hepatocyte_volume": "size",
    "hepatocyte_mass": "capacity",
}


@dataclass(frozen=True)
class ExperimentName:
    """The name of an experiment of the catalogue, or of a plain resection."""

    name: str


def experiment_names() -> Iterator[tuple[str, ExperimentName]]:
    """Yield the names of all experiments that can be run by name."""
    for name in (*catalogue_names(), *(f"phx{percent}" for percent in range(1, 100))):
        yield name, ExperimentName(name)


def experiment_page(k: Knowledge, asked: ExperimentName) -> Explanation:
    """Return the page of an experiment: what is done to which animal, and how to run it.

    Raises
    ------
    ExperimentError
        If its file is malformed.
    """
    posed = load_experiment(asked.name)
    facts = [("kind", "experiment"), ("animal", posed.species), ("length", f"{posed.days:g} d")]
    facts += [("knocked out", ", ".join(posed.knockouts))] if posed.knockouts else []
    facts += [("hypotheses", ", ".join(posed.hypotheses))] if posed.hypotheses else []
    facts += [("sets", ", ".join(f"{n} = {v:g}" for n, v in posed.set.items()))] if posed.set else []
    facts += [("measured", ", ".join(posed.readouts)), ("run it with", f"hepatalk run {asked.name} --out DIR")]
    done = [f"{c.at_h:g} h: {c.label}" for c in changes_of(posed)] or ["nothing"]
    words = {e.id: e.note for e in k.glossary}
    injury = words.get(re.sub(r"phx(\d+)", r"phx_\1", asked.name))
    facts += [("note", injury)] if injury else []
    return Explanation("experiment", asked.name, posed.title, tuple(facts), tuple(group("What is done", done)))


def quantity_page(k: Knowledge, quantity: Quantity) -> Explanation:
    """Return the page of a physical quantity: what it follows from, what it acts on, who says so."""
    facts = [("kind", "physical quantity")]
    facts += [("also called", ", ".join(quantity.synonyms))] if quantity.synonyms else []
    facts += [("follows from", ", ".join(quantity.follows))] if quantity.follows else []
    groups, rows = quantity_groups(k, quantity.id)
    return Explanation("quantity", quantity.id, quantity.meaning, tuple(facts), groups, statements(k, rows))


def quantity_groups(k: Knowledge, name: str) -> tuple[tuple[Group, ...], list[Interaction]]:
    """Return what a quantity (or the readout that measures it) acts on, and the statements behind that.

    Parameters
    ----------
    k : Knowledge
    name : str
        Id of a quantity, or of a readout.

    Returns
    -------
    groups : tuple of Group
        Empty where the name is no quantity.
    rows : list of Interaction
    """
    name = _SAME.get(name, name)
    if name not in {q.id for q in QUANTITIES}:
        return (), []
    chain = _downstream(name)
    acts, rows = [], []
    for row in k.interactions:
        for term in terms_of(row):
            by = next((q for q in chain if isinstance(term, Regulates) and f"{term.by}.".startswith(f"{q}.")), None)
            if by is not None and isinstance(term, Regulates):
                idle = "" if isinstance(row.account, AccountTerms) else ", only under its hypothesis"
                through = "it" if by == name else f"through {by} it"
                acts.append(f"{phrase(k, term.target)}: {through} {verb(term)} it{idle}  [{row.id}]")
            elif getattr(term, "target", "") != f"physics.{name}":
                continue
            rows += [row] if row not in rows else []
    follow = [f"{q.id}: {q.meaning}" for q in QUANTITIES if q.id in chain[1:]]
    if name == "inflow":
        borne = ", ".join(s.id for s in k.signals if s.kind == "systemic")
        follow.append(f"what the blood brings: {borne}, and cells from outside the liver")
    return (*group("What it acts on", acts), *group("What follows from it by a law", follow)), rows


def _downstream(name: str) -> list[str]:
    """Return a quantity and all that follow from it by the laws, the nearest first."""
    chain = [name]
    for here in chain:
        chain += [q.id for q in QUANTITIES if here in q.follows and q.id not in chain]
    return chain


def cell_by_part(k: Knowledge, name: str) -> CellType | None:
    """Return the one cell type among whose names a plain word, such as 'Kupffer', stands; None where it is not one."""
    wanted = [w.removesuffix("s") for w in _words(name) if w not in ("cell", "cells")]
    hits = []
    for cell in k.cells:
        named = [cell.name, *cell.synonyms]
        named += [n for e in k.glossary if {cell.id, cell.name} & {e.name, *e.synonyms} for n in (e.name, *e.synonyms)]
        lists = [[w.removesuffix("s") for w in _words(n)] for n in named]
        if wanted and any(have[i : i + len(wanted)] == wanted for have in lists for i in range(len(have))):
            hits.append(cell)
    return hits[0] if len(hits) == 1 else None


def _words(name: str) -> list[str]:
    return [w for w in re.split(r"[\s_-]+", name.casefold()) if w]
