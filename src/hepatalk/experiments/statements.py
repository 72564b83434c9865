"""Statements with their papers, disputes and terms: what every explanation is made of."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from hepatalk.experiments.phrases import citation, term_phrase, terms_of
from hepatalk.knowledge.findings import changes
from hepatalk.knowledge.load import Knowledge
from hepatalk.knowledge.records import (
    AccountAlternative,
    AccountNotRun,
    AccountOutcome,
    AccountTerms,
    Attracts,
    Hypothesis,
    Interaction,
    Regulates,
    Secretes,
    Stores,
)

__all__ = [
    "REVIEW",
    "Explanation",
    "Group",
    "Paper",
    "Statement",
    "group",
    "hypotheses_on",
    "mentions",
    "refers",
    "statement_of",
    "statements",
    "switched_on",
]

#: The source whose numbered references stand for primary papers.
REVIEW = "review2022"


@dataclass(frozen=True)
class Paper:
    """A paper behind a statement.

    Attributes
    ----------
    id, citation : str
        Record id; authors, year, title and journal as far as they are known.
    doi, pmid : str or None
    link : str
        How sure it is that the statement rests on this paper.
    """

    id: str
    citation: str
    doi: str | None
    pmid: str | None
    link: str


@dataclass(frozen=True)
class Statement:
    """A statement with its papers, its disputes and what became of it.

    Attributes
    ----------
    row, claim, stance, certainty : str
    papers : tuple of Paper
    disputes : tuple of str
        What others say, with the sources.
    account : str
        What becomes of it, in words.
    terms : tuple of str
        The terms it became, in words, with the names and values of their parameters.
    """

    row: str
    claim: str
    stance: str
    certainty: str
    papers: tuple[Paper, ...]
    disputes: tuple[str, ...]
    account: str
    terms: tuple[str, ...]


@dataclass(frozen=True)
class Group:
    """A heading and the lines below it."""

    title: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Explanation:
    """Everything that is known of a name.

    Attributes
    ----------
    kind, id, title : str
    facts : tuple of (str, str)
        Short labelled facts.
    groups : tuple of Group
        Who releases it, who answers, and so on.
    statements : tuple of Statement
    """

    kind: str
    id: str
    title: str
    facts: tuple[tuple[str, str], ...]
    groups: tuple[Group, ...] = ()
    statements: tuple[Statement, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)


def statement_of(k: Knowledge, row: Interaction) -> Statement:
    """Return a statement with its papers, disputes and terms.

    Parameters
    ----------
    k : Knowledge
    row : Interaction
    """
    papers: dict[str, Paper] = {}
    for evidence in row.evidence:
        if evidence.source != REVIEW:
            papers[evidence.source] = _paper(k, evidence.source, evidence.link or "direct", evidence.refs)
    references = {r.number: r for r in k.references}
    for evidence in row.evidence:
        if evidence.source != REVIEW:
            continue
        for ref in evidence.refs:
            for source in references[ref].sources if ref in references else ():
                papers.setdefault(source, _paper(k, source, references[ref].link, (ref,)))
        refs = ", ".join(f"[{r}]" for r in evidence.refs)
        found = _paper(k, REVIEW, f"cites {refs}" if refs else "cites nothing for it", ())
        papers[REVIEW] = found
    disputes = [
        f"{d.literature_says} ({', '.join(d.sources) or 'no source'}; {d.id})" for d in k.disputes if row.id in d.rows
    ]
    if row.opposed_by:
        disputes.append(f"opposed by {', '.join(_cited(k, s) for s in row.opposed_by)}")
    return Statement(
        row.id, row.claim, row.stance, row.certainty, tuple(papers.values()), tuple(disputes), _account(row),
        tuple(term_phrase(k, t) for t in terms_of(row)),
    )  # fmt: skip


def _paper(k: Knowledge, source: str, link: str, refs: tuple[int, ...]) -> Paper:
    record = k.source.get(source)
    sure = f"{link}, reference {', '.join(map(str, refs))} of the review" if refs else link
    if record is None:
        return Paper(source, source, None, None, sure)
    return Paper(source, citation(record), record.doi, record.pmid, sure)


def _cited(k: Knowledge, source: str) -> str:
    record = k.source.get(source)
    if record is None:
        return source
    return f"{source} (doi {record.doi})" if record.doi else f"{source} (PMID {record.pmid})" if record.pmid else source


def _account(row: Interaction) -> str:
    match row.account:
        case AccountTerms(terms=terms):
            return f"runs as {len(terms)} term{'s' if len(terms) != 1 else ''}"
        case AccountOutcome(claims=claims):
            return f"is no input: it must come out ({', '.join(claims) or 'not yet a claim'})"
        case AccountAlternative(hypothesis=hypothesis):
            return f"runs only under the hypothesis {hypothesis} (--hypothesis {hypothesis})"
        case AccountNotRun(reason=reason, note=note):
            return f"does not run: {reason.replace('_', ' ')}; {note}"


def statements(k: Knowledge, rows: Iterable[Interaction]) -> tuple[Statement, ...]:
    """Return statements, those that run first."""
    order = {"terms": 0, "alternative": 1, "outcome": 2, "not_run": 3}
    return tuple(statement_of(k, r) for r in sorted(rows, key=lambda r: order[r.account.kind]))


def mentions(row: Interaction, names: Iterable[str]) -> bool:
    """Say whether a statement names one of these in its signal, receptor or pathway; short names only as written."""
    text = " | ".join((row.signal or "", row.receptor or "", *row.pathway))
    for name in names:
        flags = 0 if len(name) <= 3 else re.IGNORECASE
        if re.search(rf"(?<![A-Za-z0-9-]){re.escape(name)}(?![A-Za-z0-9-])", text, flags):
            return True
    return False


def refers(row: Interaction, name: str) -> bool:
    """Say whether a term of a statement names a signal or node, as itself or as part of a target."""
    for term in terms_of(row):
        if isinstance(term, Secretes | Stores | Attracts) and f"signal.{term.signal}" == name:
            return True
        if isinstance(term, Regulates) and name in (term.by, term.target):
            return True
        target = getattr(term, "target", "")
        if name.startswith("signal.") and re.fullmatch(
            rf"(secretion|release|clearance|mixing|supply|blood)\.{re.escape(name[7:])}(\..+)?", target
        ):
            return True
        if target == name:
            return True
    return False


def group(title: str, lines: Iterable[str]) -> list[Group]:
    """Return a group of distinct lines, or nothing where there are none."""
    found = tuple(dict.fromkeys(lines))
    return [Group(title, found)] if found else []


def hypotheses_on(k: Knowledge, rows: Iterable[str]) -> list[Group]:
    """Return what hypotheses can be switched on for some statements."""
    wanted = set(rows)
    return group(
        "Hypotheses that touch it (switch on with --hypothesis)",
        (f"{h.id}: {h.question} Now: {h.default}" for h in k.hypotheses if wanted & set(h.rows)),
    )


def switched_on(k: Knowledge, h: Hypothesis) -> str:
    """Return which alternative runs when a hypothesis is switched on, or that nothing changes.

    Parameters
    ----------
    k : Knowledge
    h : Hypothesis
    """
    if not changes(k, h):
        return f"nothing changes in this version.{f' {h.note}' if h.note else ''}"
    number = (h.runs or 1) - 1
    return h.alternatives[number] if number < len(h.alternatives) else "its terms run"
