"""Knock-outs: which parameters of a model the loss of a gene sets to what.

A knock-out takes effect a week before time zero, from the wild-type steady state; volumes stay relative to the wild
type, and what was solved for homeostasis stays the wild type's.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from hepatalk.errors import HepatalkError, UnknownNameError, nearest, unknown
from hepatalk.knowledge.load import Knowledge
from hepatalk.knowledge.records import SPECIES, Species
from hepatalk.model.compiled import CompiledModel
from hepatalk.model.schedule import Change

__all__ = ["KNOCKOUT_AT_H", "gene_shares", "knockout_changes"]

KNOCKOUT_AT_H = -7 * 24.0


def knockout_changes(knowledge: Knowledge, model: CompiledModel, wanted: Sequence[str]) -> tuple[Change, ...]:
    """Return the changes that a set of knock-outs makes.

    Parameters
    ----------
    knowledge : Knowledge
    model : CompiledModel
    wanted : sequence of str
        ``GENE`` or ``GENE@CELL``, in the symbols of the model's species.

    Returns
    -------
    tuple of Change
        One for each parameter that loses a share of its genes, a week before time zero.

    Raises
    ------
    UnknownNameError
        For a symbol that is no gene, that belongs to another species, or that the model does not use in that cell.
    """
    lost: dict[str, set[str]] = defaultdict(set)
    for text in wanted:
        symbol, _, cell = text.partition("@")
        _check(knowledge, model, text, symbol, cell)
        for activity in model.activities:
            if symbol in activity.genes and cell in ("", activity.cell):
                lost[activity.parameter].add(symbol)
    shares = {a.parameter: a.genes for a in model.activities}
    return tuple(
        Change(
            KNOCKOUT_AT_H,
            "scale_parameter",
            parameter,
            max(0.0, 1.0 - sum(shares[parameter][s] for s in symbols)),
            f"knock-out of {', '.join(sorted(symbols))}",
        )
        for parameter, symbols in sorted(lost.items())
    )


def gene_shares(knowledge: Knowledge, model: CompiledModel, text: str) -> dict[str, float]:
    """Return which parameters a gene moves, with the share of the gene in what each of them scales.

    Parameters
    ----------
    knowledge : Knowledge
    model : CompiledModel
    text : str
        ``GENE`` or ``GENE@CELL``, in the symbols of the model's species.

    Raises
    ------
    UnknownNameError
        As for `knockout_changes`.
    """
    symbol, _, cell = text.partition("@")
    _check(knowledge, model, text, symbol, cell, "gene")
    here = (a for a in model.activities if symbol in a.genes and cell in ("", a.cell))
    return {a.parameter: float(a.genes[symbol]) for a in here}


def _check(
    knowledge: Knowledge, model: CompiledModel, text: str, symbol: str, cell: str, what: str = "knock-out"
) -> None:
    in_model = {s for a in model.activities for s in a.genes}
    cells = sorted({a.cell for a in model.activities if a.cell})
    if cell and cell not in cells:
        raise unknown("cell", cell, cells, "hepatalk list cells")
    if symbol in in_model:
        where = sorted({a.cell for a in model.activities if symbol in a.genes})
        if cell and cell not in where:
            allowed = ", ".join(f"{symbol}@{c}" for c in where)
            raise UnknownNameError(
                f"{what} {text!r}: {symbol} does nothing in {cell} in this model; allowed: {allowed}; "
                "choose one of these"
            )
        return
    raise _not_a_gene(knowledge, model.species, symbol, in_model)  # type: ignore[arg-type]


def _not_a_gene(knowledge: Knowledge, species: Species, symbol: str, in_model: Iterable[str]) -> HepatalkError:
    """Say why a symbol cannot be knocked out: another species', not in the model, no gene, or unknown."""
    near = ", ".join(nearest(symbol, sorted(in_model)))
    for gene in knowledge.genes:
        for other in SPECIES:
            if other != species and symbol in gene.symbols(other):
                own = gene.symbols(species)
                advice = f"the {species} symbol is {' or '.join(own)}" if own else f"{species} has no orthologue"
                if symbol not in own:
                    return UnknownNameError(
                        f"gene {symbol!r} is a {other} symbol, the experiment is on {species}: {advice}; use that"
                    )
        if symbol in gene.symbols(species):
            return UnknownNameError(
                f"gene {symbol!r} is known but no term of this model needs it; nearest that do: {near}; "
                "see 'hepatalk list cells'"
            )
    others = {s.id for s in knowledge.signals} | {n.id for n in knowledge.nodes}
    if symbol in others:
        return UnknownNameError(
            f"{symbol!r} is a signal or node, not a {species} gene; nearest genes: {near}; knock out a gene"
        )
    return unknown("gene", symbol, sorted(in_model), "see 'hepatalk explain SIGNAL' for the genes behind a signal")
