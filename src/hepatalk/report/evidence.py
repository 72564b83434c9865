"""Statements, their evidence and their sources, as HTML; all text is escaped here."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from urllib.parse import quote

from hepatalk.experiments.statements import REVIEW
from hepatalk.knowledge.load import Knowledge
from hepatalk.knowledge.records import (
    AccountAlternative,
    AccountNotRun,
    AccountOutcome,
    AccountTerms,
    Attracts,
    Carries,
    Evidence,
    Interaction,
    Regulates,
    Secretes,
    Stores,
    Term,
)
from hepatalk.plots.captions import citation

__all__ = ["doi_link", "source_item", "statement", "term_text"]

_LINKS = {
    "matched": "the paper fits the statement; that the review's number means it is inferred",
    "recalled": "link recalled, not checked",
    "unknown": "link unknown",
    "direct": "cited directly",
}
_READ = {
    "full_text": "full text read",
    "abstract": "abstract read",
    "citation_line": "citation line read",
    "indexing_page": "indexing page read",
    "none": "not read",
}


def doi_link(doi: str | None) -> str:
    """Return an anchor to a DOI, or what to say where none is known."""
    if not doi:
        return "<span class='muted'>no DOI on record</span>"
    return f'<a href="https://doi.org/{quote(doi, safe="/:;()._-")}" rel="noreferrer">doi:{escape(doi)}</a>'


def source_item(knowledge: Knowledge, name: str) -> str:
    """Return a source in one line with its DOI and how far it was read."""
    source = knowledge.source.get(name)
    if source is None:
        return f"<code>{escape(name)}</code>"
    read = f"<span class='muted'>[{escape(name)}; {_READ[source.read]}]</span>"
    return f"{escape(citation(source))} {doi_link(source.doi)} {read}"


def term_text(term: Term) -> str:
    """Return a term of the model in words, unescaped."""
    match term:
        case Secretes():
            who = term.cell if term.state is None else f"{term.cell} that are {term.state}"
            return f"{who} secrete {term.signal}, with the share {term.share}"
        case Regulates():
            law = [
                f"{name} {value}"
                for name, value in (
                    ("gain", term.gain),
                    ("weight", term.weight),
                    ("half", term.half),
                    ("power", term.power),
                )
                if value
            ]
            needs = f", if {' and '.join(term.needs)}" if term.needs else ""
            gate = f", as one of the alternatives '{term.gate}'" if term.gate else ""
            return f"{term.by} {term.effect} {term.target}{needs}{gate}" + (f" ({', '.join(law)})" if law else "")
        case Carries():
            return f"carried by {term.target}"
        case Stores():
            return f"{term.signal} binds to the matrix and is released from it"
        case Attracts():
            return (
                f"{term.cell} move up {term.signal}, in the lobule engine only (speed {term.speed}, half {term.half})"
            )
    raise TypeError(f"no words are known for {type(term).__name__}")


def statement(knowledge: Knowledge, row: str) -> str:
    """Return what a statement says, who says so, who disputes it, and which terms it became."""
    record = knowledge.interaction.get(row)
    if record is None:
        return f"<p>{escape(row)} is a term of the model that belongs to no statement.</p>"
    context = f" Context: {escape(record.context)}." if record.context else ""
    facts = (
        f"{escape(', '.join(record.source))} → {escape(', '.join(record.target))}; "
        f"mode: {escape(record.mode.replace('_', ' '))}; stage: {escape(record.stage)}; "
        f"certainty: {escape(record.certainty)}.{context}"
    )
    evidence = "".join(f"<li>{_evidence(knowledge, item)}</li>" for item in record.evidence)
    return (
        f"<p class='claim'>{escape(record.claim)}</p><p class='muted'>{facts}</p>"
        f"<h5>Evidence</h5><ul>{evidence}</ul>{_stance(knowledge, record)}<h5>In the model</h5>{_account(record)}"
    )


def _evidence(knowledge: Knowledge, item: Evidence) -> str:
    extra = [f"its references {', '.join(map(str, item.refs))}"] if item.refs else []
    extra += [_LINKS[item.link]] if item.link else []
    extra += [text for text in (item.species, (item.assay or "").replace("_", " "), item.note) if text]
    details = f" <span class='muted'>({escape('; '.join(extra))})</span>" if extra else ""
    return source_item(knowledge, item.source) + details + _references(knowledge, item)


def _references(knowledge: Knowledge, item: Evidence) -> str:
    """Return the papers that the review's numbered references stand for, as far as that is known."""
    if item.source != REVIEW or not item.refs:
        return ""
    known = {r.number: r for r in knowledge.references}
    lines = []
    for number in item.refs:
        found = known.get(number)
        for name in found.sources if found is not None else ():
            link = _LINKS[found.link] if found is not None else ""
            lines.append(f"[{number}] {source_item(knowledge, name)} <span class='muted'>({escape(link)})</span>")
        if found is None or not found.sources:
            lines.append(f"[{number}] <span class='muted'>which paper this is, is not known here</span>")
    return f"<ul>{''.join(f'<li>{line}</li>' for line in lines)}</ul>"


def _stance(knowledge: Knowledge, record: Interaction) -> str:
    disputes = [d for d in knowledge.disputes if record.id in d.rows]
    words = f"<h5>Stance: {escape(record.stance)}</h5>"
    if record.opposed_by:
        words += (
            f"<p>Opposed by:</p><ul>{''.join(f'<li>{source_item(knowledge, s)}</li>' for s in record.opposed_by)}</ul>"
        )
    for dispute in disputes:
        words += (
            f"<p><b>{escape(dispute.id)}</b> Review: {escape(dispute.review_says)} "
            f"Literature: {escape(dispute.literature_says)}</p>"
        )
    return words


def _account(record: Interaction) -> str:
    account = record.account
    note = f"<p>{escape(account.note)}</p>" if account.note else ""
    match account:
        case AccountTerms():
            return _terms(account.terms) + note
        case AccountAlternative():
            return (
                f"<p>Part of the hypothesis <code>{escape(account.hypothesis)}</code>.</p>{_terms(account.terms)}{note}"
            )
        case AccountOutcome():
            claims = escape(", ".join(account.claims)) or "none yet"
            return f"<p>No term: it must come out of the others (claims: {claims}).</p>{note}"
        case AccountNotRun():
            return f"<p>Not run: {escape(account.reason.replace('_', ' '))}.</p>{note}"
    raise TypeError(f"no words are known for {type(account).__name__}")


def _terms(terms: Iterable[Term]) -> str:
    return f"<ul>{''.join(f'<li><code>{escape(term_text(term))}</code></li>' for term in terms)}</ul>"
