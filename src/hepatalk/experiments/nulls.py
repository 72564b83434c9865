"""Null models: what a claim must not pass in, if passing it is to say anything about crosstalk.

Without crosstalk
-----------------
One model in which every row that carries an influence from one cell type to another is silenced: held at its resting
value, as the compiler defines it. These are

- rows that regulate something in a cell type (its processes, nodes, secretion or binucleation) by a signal that
  another cell type secretes, or by the states or nodes of another cell type;
- rows that secrete, from one cell type, a signal by which a row regulates something in another.

What stays is physiology within one cell type (signals that only the cell type itself makes, its own nodes and states),
the body (nerves, gut, hormones, bile acids, flow, shear, oxygen, load, the organ's size) and what the matrix keeps.
Rows of a hypothesis are treated alike.

Shuffled signs
--------------
Models in which the signs of all regulating terms (activates or permits, against inhibits) are permuted among them, with
a seed: as many of either sign, each influence as strong as before and between the same partners. A model that cannot be
compiled, or whose healthy state is not stable (a disturbance grows e-fold within 28 d), fails every claim, and is
counted.

A claim that passes without crosstalk, or in more than half of the shuffled models, is uninformative.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from hepatalk.engines.base import Progress
from hepatalk.errors import HepatalkError
from hepatalk.experiments.answers import Animal, ask
from hepatalk.experiments.kept import Kept
from hepatalk.experiments.parallel import in_parallel
from hepatalk.experiments.score import chosen_tests, demand_of, judge, why_not_posed
from hepatalk.knowledge.load import Knowledge, load
from hepatalk.knowledge.records import AccountAlternative, AccountTerms, Interaction, Regulates, Secretes, Term
from hepatalk.model.compiler import compile_model
from hepatalk.model.linear import Linearised

__all__ = ["SHUFFLED", "Null", "Nulls", "crosstalk_rows", "fault_of", "score_nulls", "shuffled"]

#: Models with shuffled signs.
SHUFFLED = 20
#: A claim that passes in more than this share of them is uninformative.
MOST = 0.5
#: A disturbance of the healthy state that grows faster than this (per h) makes it unstable: e-fold in 28 d, the length
#: of the longest claims. Slower growth cannot be told from standing still in any run.
MOST_GROWTH = 1.0 / 672.0

#: Targets that name a cell type, and the part of the name where it stands.
_CELL_AT = {"process": 1, "node": 1, "state": 1, "density": 1, "tissue": 1, "binucleation": 1, "secretion": 2}


@dataclass(frozen=True)
class Null:
    """How a claim fares in the null models.

    Attributes
    ----------
    id : str
    without_crosstalk : bool or None
        Whether it passes without crosstalk; None for a claim that is not posed.
    shuffled : int or None
        In how many models with shuffled signs it passes.
    of : int
        How many of these there are.
    """

    id: str
    without_crosstalk: bool | None
    shuffled: int | None
    of: int

    @property
    def uninformative(self) -> bool:
        """Whether passing says nothing about crosstalk."""
        return bool(self.without_crosstalk) or (self.shuffled or 0) > MOST * self.of


@dataclass(frozen=True)
class Nulls:
    """What the null models say.

    Attributes
    ----------
    claims : tuple of Null
        In the order of the claims.
    silenced : tuple of str
        Rows that are silenced in the model without crosstalk.
    broken : tuple of str
        For each shuffled model that fails as a whole, the reason.
    """

    claims: tuple[Null, ...]
    silenced: tuple[str, ...]
    broken: tuple[str, ...]


# --- without crosstalk ---------------------------------------------------------------------------------------------


def crosstalk_rows(knowledge: Knowledge) -> tuple[str, ...]:
    """Return the rows that carry an influence from one cell type to another, in the order of the records."""
    makers: dict[str, set[str]] = defaultdict(set)
    hearers: dict[str, set[str]] = defaultdict(set)
    running = [term for row in knowledge.interactions for term in _running(row)]
    for term in running:
        if isinstance(term, Secretes):
            makers[term.signal].add(term.cell)
    for term in running:
        if isinstance(term, Regulates) and term.by.startswith("signal."):
            hearers[term.by.removeprefix("signal.")] |= _cells(term.target, makers)
    return tuple(r.id for r in knowledge.interactions if any(_crosses(t, makers, hearers) for t in _terms(r)))


def _running(row: Interaction) -> tuple[Term, ...]:
    return row.account.terms if isinstance(row.account, AccountTerms) else ()


def _terms(row: Interaction) -> tuple[Term, ...]:
    return row.account.terms if isinstance(row.account, AccountTerms | AccountAlternative) else ()


def _cells(name: str, makers: Mapping[str, set[str]]) -> set[str]:
    """Return the cell types that a target or regulator belongs to; a signal belongs to those that secrete it."""
    parts = name.split(".")
    if parts[0] == "signal" or (parts[0] == "secretion" and len(parts) == 2):
        return set(makers.get(parts[1], ()))
    at = _CELL_AT.get(parts[0])
    return {parts[at]} if at is not None and len(parts) > at else set()


def _crosses(term: Term, makers: Mapping[str, set[str]], hearers: Mapping[str, set[str]]) -> bool:
    if isinstance(term, Secretes):
        return bool(hearers.get(term.signal, set()) - {term.cell})
    if not isinstance(term, Regulates):
        return False
    # An influence crosses unless source and target are one and the same cell type; the body belongs to none.
    sources, targets = _cells(term.by, makers), _cells(term.target, makers)
    return bool(sources and targets and len(sources | targets) > 1)


# --- shuffled signs ------------------------------------------------------------------------------------------------


def shuffled(knowledge: Knowledge, seed: int) -> Knowledge:
    """Return knowledge in which the signs of the regulating terms are permuted among them.

    A requirement (permits) counts as positive. An inhibitor that becomes positive activates, in the common gate of its
    target; a term that keeps its sign stays as it is. Terms of hypotheses keep theirs.

    Parameters
    ----------
    knowledge : Knowledge
    seed : int
        Not negative; the same seed gives the same knowledge.
    """
    old = [t.effect == "inhibits" for r in knowledge.interactions for t in _running(r) if isinstance(t, Regulates)]
    new = iter(np.random.default_rng(seed).permutation(np.array(old, dtype=bool)).tolist())
    rows = []
    for row in knowledge.interactions:
        account = row.account
        if isinstance(account, AccountTerms):
            terms = tuple(_signed(t, next(new)) if isinstance(t, Regulates) else t for t in account.terms)
            rows.append(row.model_copy(update={"account": account.model_copy(update={"terms": terms})}))
        else:
            rows.append(row)
    return replace(knowledge, interactions=tuple(rows))


def _signed(term: Regulates, negative: bool) -> Regulates:
    if negative == (term.effect == "inhibits"):
        return term
    effect: Literal["activates", "inhibits"] = "inhibits" if negative else "activates"
    return term.model_copy(update={"effect": effect, "gate": None})


def fault_of(knowledge: Knowledge) -> str:
    """Return why a model cannot be used, '' for one with a stable healthy state."""
    try:
        model = compile_model(knowledge)
    except HepatalkError as error:
        return str(error)
    growth = float(Linearised(model, model.rest).modes[0][0].real)
    return f"its healthy state is unstable (a disturbance grows by {growth:.2g} per h)" if growth > MOST_GROWTH else ""


# --- scores --------------------------------------------------------------------------------------------------------


def score_nulls(
    ids: Sequence[str] = (),
    *,
    knowledge: Knowledge | None = None,
    number: int = SHUFFLED,
    seed: int = 0,
    workers: int | None = None,
    progress: Progress | None = None,
    kept: Kept | None = None,
) -> Nulls:
    """Pose claims to the null models.

    Parameters
    ----------
    ids : sequence of str
        Claims; all when empty.
    knowledge : Knowledge, optional
    number : int
        Models with shuffled signs.
    seed : int
        Of the first of these; the others follow.
    workers, progress, kept
        As for `hepatalk.experiments.score.score_claims`.

    Returns
    -------
    Nulls

    Raises
    ------
    UnknownNameError
        For an unknown claim.
    """
    tests = chosen_tests(ids)
    facts = load() if knowledge is None else knowledge
    altered = [shuffled(facts, seed + k) for k in range(number)]
    faults = in_parallel(fault_of, altered, workers=workers)
    rows = crosstalk_rows(facts)
    sound = [k for k, fault in zip(altered, faults, strict=True) if not fault]
    animals = [Animal(facts, silenced=rows), *(Animal(k) for k in sound)]
    without, *others = ask(demand_of(tests, facts), animals, workers=workers, progress=progress, kept=kept)
    found = []
    for test in tests:
        posed = why_not_posed(test, facts) is None
        alone = judge(test, without).passed if posed else None
        passing = sum(judge(test, one).passed for one in others) if posed else None
        found.append(Null(test.id, alone, passing, number))
    return Nulls(tuple(found), rows, tuple(f for f in faults if f))
