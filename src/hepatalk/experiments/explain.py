"""What a name stands for: who says so, who disputes it, and which terms and parameters it became.

Nothing is printed here. An `Explanation` is plain text in a fixed order, so that a terminal, a page or a program can
show it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from hepatalk.errors import unknown
from hepatalk.experiments.pages import page, squeezed
from hepatalk.experiments.statements import Explanation, Group, Paper, Statement, statement_of
from hepatalk.experiments.topics import cell_by_part, experiment_names
from hepatalk.knowledge.load import Knowledge
from hepatalk.knowledge.quantities import QUANTITIES
from hepatalk.knowledge.records import SPECIES

#: Readouts belong to a compiled model, so whoever asks says where to get them, and they are got only when needed.
Readouts = Callable[[], Sequence[Mapping[str, Any]]]

__all__ = ["Explanation", "Group", "Paper", "Statement", "explain", "names_of", "statement_of"]


def explain(knowledge: Knowledge, name: str, readouts: Readouts = tuple) -> Explanation:
    """Explain a name.

    Parameters
    ----------
    knowledge : Knowledge
    name : str
        Id, gene symbol of any species, readout, experiment, physical quantity, preferred name or synonym, or a word of
        one cell type's name; upper and lower case count alike unless two names differ in case alone.
    readouts : callable
        Returns ``name``, ``unit``, ``definition`` and ``drivers`` (pairs of target and sign) of every readout.

    Returns
    -------
    Explanation

    Raises
    ------
    UnknownNameError
        With the nearest names.
    """
    bare = squeezed(name)
    forms = (name, name.casefold(), bare, bare.removesuffix("s"))
    for index in _indices(knowledge, readouts):
        for form in forms:
            if form in index:
                return page(knowledge, index[form])
    cell = cell_by_part(knowledge, name)
    if cell is not None:
        return page(knowledge, cell)
    raise unknown("name", name, names_of(knowledge, readouts), "'hepatalk list signals', or another list")


def names_of(knowledge: Knowledge, readouts: Readouts = tuple) -> tuple[str, ...]:
    """Return every name that can be explained, once where names differ in case alone."""
    names: dict[str, str] = {}
    for step in _steps(knowledge, readouts):
        for name, _ in step:
            names.setdefault(name.casefold(), name)
    return tuple(names.values())


def _indices(knowledge: Knowledge, readouts: Readouts) -> Iterator[dict[str, Any]]:
    """Yield name tables, the most specific first; in each, exact names win over those that differ in case."""
    for step in _steps(knowledge, readouts):
        table: dict[str, Any] = {}
        pairs = list(step)
        for change in (str, str.casefold, squeezed):
            for name, record in pairs:
                table.setdefault(change(name), record)
        yield table


def _steps(knowledge: Knowledge, readouts: Readouts) -> Iterator[list[tuple[str, Any]]]:
    """Yield (name, record) pairs: what the model has, then ids, then genes, then other names for any of these."""
    k: Any = knowledge  # records of many kinds share `id` and `name`, but no type that says so
    yield [(r.id, r) for r in (*k.cells, *k.signals)] + [(f"{r.cell}.{r.id}", r) for r in k.nodes]
    yield [(r.id, r) for r in (*k.interactions, *k.parameters, *k.hypotheses, *k.sources, *k.disputes)]
    yield [(f"node.{r.cell}.{r.id}", r) for r in k.nodes] + [(f"signal.{r.id}", r) for r in k.signals]
    yield [(str(r["name"]), r) for r in readouts()]
    yield [(q.id, q) for q in QUANTITIES]
    yield [(str(name), record) for name, record in experiment_names()]
    yield [(r.id, r) for r in k.nodes]
    yield [(symbol, g) for g in k.genes for s in SPECIES for symbol in (g.id, *g.symbols(s))]
    yield [(r.id, r) for r in k.families]
    yield [(n, r) for r in (*k.cells, *k.signals) for n in (r.name, *r.synonyms)]
    yield [(n, g) for g in k.genes for n in (g.name, *g.synonyms)]
    yield [(r.name, r) for r in k.nodes] + [(n, q) for q in QUANTITIES for n in (q.name, *q.synonyms)]
    yield [(n, r) for r in k.glossary for n in (r.id, r.name, *r.synonyms)]
