"""Rules on statements: every row accounted for, its sign, its hypotheses, and nothing said twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from hepatalk.errors import KnowledgeError, shown
from hepatalk.knowledge.findings import Check, Finding, changes, choices, placed_terms
from hepatalk.knowledge.load import Knowledge, _read_list
from hepatalk.knowledge.records import (
    AccountAlternative,
    AccountNotRun,
    AccountOutcome,
    AccountTerms,
    Regulates,
)

__all__ = [
    "CheckClaimsExist",
    "CheckDoubleInfluence",
    "CheckDuplicateClaims",
    "CheckDuplicateTerms",
    "CheckHypotheses",
    "CheckOutcomesClaimed",
    "CheckRowsAccounted",
    "CheckRowsExist",
    "row_counts",
]

ROWS_FILE = "rows.yaml"


def row_counts(folder: Path) -> Mapping[str, int | None]:
    """Return how many rows of the review each prefix has; None for the prefixes of rows from elsewhere.

    Raises
    ------
    KnowledgeError
        If ``rows.yaml`` is missing, or is not a list of ``{prefix, count}`` or ``{prefix, review: false}``.
    """
    out: dict[str, int | None] = {}
    for i, raw in enumerate(_read_list(folder / ROWS_FILE, ROWS_FILE)):
        fields = raw if isinstance(raw, dict) else {}
        prefix, count = fields.get("prefix"), fields.get("count")
        counted = set(fields) == {"prefix", "count"} and type(count) is int and count > 0
        sound = counted or (set(fields) == {"prefix", "review"} and fields["review"] is False)
        if not sound or not isinstance(prefix, str) or prefix in out:
            raise KnowledgeError(
                f"{ROWS_FILE}: record '#{i + 1}': field 'record': value {shown(raw)}; allowed: a prefix, once, with "
                "the number of its rows in 'count' or with 'review: false'; correct the line"
            )
        out[prefix] = count
    return out


def _wanted(k: Knowledge) -> dict[str, str]:
    """Return the ids that there should be; prefixes without a count are numbered without gaps as far as they go."""
    out = {}
    for prefix, count in row_counts(k.folder).items():
        numbers = [int(r.id[-2:]) for r in k.interactions if r.id[:-3] == prefix]
        for i in range(1, (max(numbers, default=0) if count is None else count) + 1):
            out[f"{prefix}-{i:02d}"] = prefix
    return out


@dataclass(frozen=True)
class CheckRowsAccounted(Check):
    """Every row that there should be is there, numbered from 01, with one account that says what becomes of it."""

    id = "rows-accounted"
    title = "All rows are there and accounted for"

    def run(self, k: Knowledge, claim_ids: Collection[str] = ()) -> list[Finding]:
        """Return missing, surplus and repeated rows and empty accounts."""
        wanted = _wanted(k)
        seen = Counter(r.id for r in k.interactions)
        found = [
            Finding(ROWS_FILE, row, "id", row, "a record under interactions/", "the row is missing; add it", self.id)
            for row in wanted
            if row not in seen
        ]
        for r in k.interactions:
            if r.id not in wanted:
                found.append(
                    self.found(
                        k,
                        "interactions",
                        r.id,
                        "id",
                        r.id,
                        choices(r.id, wanted),
                        f"{ROWS_FILE} does not count it; correct one of the two",
                    )
                )
            if isinstance(r.account, AccountNotRun) and not r.account.note.strip():
                found.append(
                    self.found(
                        k,
                        "interactions",
                        r.id,
                        "account.note",
                        r.account.note,
                        "one line that says why",
                        "say why the row cannot run",
                    )
                )
            if isinstance(r.account, AccountTerms) and not r.account.terms:
                found.append(
                    self.found(
                        k,
                        "interactions",
                        r.id,
                        "account.terms",
                        [],
                        "one term or more",
                        "add a term or give another account",
                    )
                )
        for row, number in seen.items():
            if number > 1:
                found.append(
                    self.found(k, "interactions", row, "id", row, "an id used once", f"{number} records have it")
                )
        return found


@dataclass(frozen=True)
class CheckOutcomesClaimed(Check):
    """A row that must come out of the others names a claim that tests it."""

    id = "outcomes-claimed"
    title = "Outcomes become claims"
    severity = "warning"

    def run(self, k: Knowledge, claim_ids: Collection[str] = ()) -> list[Finding]:
        """Return the outcomes that no claim tests."""
        advice = "an outcome that no claim tests is not accounted for; name the claim"
        return [
            self.found(k, "interactions", r.id, "account.claims", [], "one claim id or more", advice)
            for r in k.interactions
            if isinstance(r.account, AccountOutcome) and not r.account.claims
        ]


@dataclass(frozen=True)
class CheckClaimsExist(Check):
    """Claims that rows name exist; without knowing which exist the caller learns nothing."""

    id = "claims-exist"
    title = "Claims that are named exist"

    def run(self, k: Knowledge, claim_ids: Collection[str] = ()) -> list[Finding]:
        """Return the unknown claims."""
        return [
            self.found(k, "interactions", r.id, "account.claims", name, choices(name, claim_ids), "correct the claim")
            for r in k.interactions
            if isinstance(r.account, AccountOutcome)
            for name in r.account.claims
            if claim_ids and name not in claim_ids
        ]


@dataclass(frozen=True)
class CheckRowsExist(Check):
    """Rows, review numbers, disputes and hypotheses that records name exist."""

    id = "rows-exist"
    title = "Rows and review references that are named exist"

    def run(self, k: Knowledge, claim_ids: Collection[str] = ()) -> list[Finding]:
        """Return references to rows and review numbers that do not exist."""
        return [
            self.found(k, kind, record, field, row, choices(row, k.interaction), "correct the row id")
            for kind, record, field, rows in self._named(k)
            for row in rows
            if row not in k.interaction
        ]

    @staticmethod
    def _named(k: Knowledge) -> Iterator[tuple[str, str, str, tuple[str, ...]]]:
        for c in k.cells:
            for p in c.processes:
                yield "cells", c.id, f"processes.{p.id}.rows", p.rows
        for s in k.signals:
            yield "signals", s.id, "rows", s.rows
        for d in k.disputes:
            yield "disputes", d.id, "rows", d.rows
        for h in k.hypotheses:
            yield "hypotheses", h.id, "rows", h.rows
            yield "hypotheses", h.id, "switch.silence", h.switch.silence if h.switch else ()


# ------------------------------------------------------------------------------------------------------ hypotheses


@dataclass(frozen=True)
class CheckHypotheses(Check):
    """Alternative rows, hypotheses and disputes name each other; a dispute about dynamics can be switched."""

    id = "hypotheses"
    title = "Hypotheses, rows and disputes agree"

    def run(self, k: Knowledge, claim_ids: Collection[str] = ()) -> list[Finding]:
        """Return links that lead nowhere or one way only."""
        hits = [*self._rows(k), *self._hypotheses(k), *self._disputes(k), *self._alternatives(k)]
        return [self.found(k, *hit) for hit in hits]

    @staticmethod
    def _rows(k: Knowledge) -> Iterator[tuple[str, str, str, object, str, str]]:
        for r in k.interactions:
            if not isinstance(r.account, AccountAlternative):
                continue
            name = r.account.hypothesis
            if name not in k.hypothesis:
                allowed = choices(name, k.hypothesis)
                yield "interactions", r.id, "account.hypothesis", name, allowed, "correct the hypothesis"
            elif r.id not in k.hypothesis[name].rows:
                rows = list(k.hypothesis[name].rows)
                yield (
                    "hypotheses",
                    name,
                    "rows",
                    rows,
                    f"a list with {r.id!r}",
                    "the row waits for this hypothesis; add it",
                )

    @staticmethod
    def _hypotheses(k: Knowledge) -> Iterator[tuple[str, str, str, object, str, str]]:
        disputes = {d.id: d for d in k.disputes}
        for h in k.hypotheses:
            for name in h.disputes:
                if name not in disputes:
                    yield "hypotheses", h.id, "disputes", name, choices(name, disputes), "correct the dispute"
                elif disputes[name].hypothesis != h.id:
                    advice = "the hypothesis names this dispute; correct one of the two"
                    yield "disputes", name, "hypothesis", disputes[name].hypothesis, repr(h.id), advice

    @staticmethod
    def _alternatives(k: Knowledge) -> Iterator[tuple[str, str, str, object, str, str]]:
        """Of several alternatives one runs, and the record says which; of one that changes nothing none does."""
        for h in k.hypotheses:
            several = len(h.alternatives) > 1
            if not changes(k, h):
                if h.runs is not None:
                    yield (
                        "hypotheses",
                        h.id,
                        "runs",
                        h.runs,
                        "nothing",
                        "switched on, it changes nothing; remove it",
                    )
            elif (h.runs is None and several) or (h.runs is not None and h.runs > len(h.alternatives)):
                allowed = f"1 to {len(h.alternatives)}"
                yield "hypotheses", h.id, "runs", h.runs, allowed, "say which alternative runs when it is switched on"

    @staticmethod
    def _disputes(k: Knowledge) -> Iterator[tuple[str, str, str, object, str, str]]:
        for d in k.disputes:
            name = d.hypothesis
            if name is None:
                if d.effect == "dynamics":
                    advice = "a dispute that changes dynamics can be switched; name the hypothesis"
                    yield "disputes", d.id, "hypothesis", None, choices(d.id, k.hypothesis), advice
            elif name not in k.hypothesis:
                yield "disputes", d.id, "hypothesis", name, choices(name, k.hypothesis), "correct the hypothesis"
            elif d.id not in k.hypothesis[name].disputes:
                listed = list(k.hypothesis[name].disputes)
                advice = "the dispute names this hypothesis; add it"
                yield "hypotheses", name, "disputes", listed, f"a list with {d.id!r}", advice


# ------------------------------------------------------------------------------------------- said twice, or wrongly


@dataclass(frozen=True)
class CheckDuplicateTerms(Check):
    """No term that always runs stands twice: it would count twice. That two rows carry one process adds nothing."""

    id = "duplicate-terms"
    title = "Terms stand once"

    def run(self, k: Knowledge, claim_ids: Collection[str] = ()) -> list[Finding]:
        """Return the terms that stand twice."""
        first: dict[str, str] = {}
        found = []
        for p in placed_terms(k):
            if p.hypothesis is not None or p.term.kind == "carries":
                continue
            text = p.term.model_dump_json(exclude_none=True)
            if text in first:
                advice = f"row {first[text]!r} has it too; it would count twice"
                found.append(self.found(k, p.kind, p.record, p.field, text, "a term that stands once", advice))
            first.setdefault(text, p.record)
        return found


@dataclass(frozen=True)
class CheckDoubleInfluence(Check):
    """One regulator acts on one target by one term only, whatever its strength and direction."""

    id = "double-influence"
    title = "No influence is counted twice"
    severity = "warning"

    def run(self, k: Knowledge, claim_ids: Collection[str] = ()) -> list[Finding]:
        """Return influences that an earlier term of the same regulator on the same target exerts already."""
        first: dict[tuple[str, str], tuple[str, Regulates]] = {}
        found = []
        for p in placed_terms(k):
            t = p.term
            if p.hypothesis is not None or not isinstance(t, Regulates):
                continue
            row, other = first.setdefault((t.by, t.target), (p.record, t))
            if other is not t and other != t:  # equal ones break another rule
                advice = f"row {row!r} has a term of both too ({other.effect}); merge the two"
                said = f"{t.by} {t.effect} {t.target}"
                found.append(self.found(k, p.kind, p.record, p.field, said, "one term per influence", advice))
        return found


@dataclass(frozen=True)
class CheckDuplicateClaims(Check):
    """No two rows make the same claim in the same words."""

    id = "duplicate-claims"
    title = "Claims stand once"
    severity = "warning"

    def run(self, k: Knowledge, claim_ids: Collection[str] = ()) -> list[Finding]:
        """Return the claims that stand twice."""
        first: dict[str, str] = {}
        found = []
        for r in k.interactions:
            words = "".join(c for c in r.claim.casefold() if c.isalnum())
            other = first.setdefault(words, r.id)
            if other != r.id:
                found.append(
                    self.found(
                        k, "interactions", r.id, "claim", r.claim, "a claim made once", f"row {other!r} makes it too"
                    )
                )
        return found
