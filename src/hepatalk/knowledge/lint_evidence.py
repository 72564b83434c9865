"""Rules on evidence: sources exist and stand once, rows cite the review, papers are linked as its bibliography says."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from hepatalk.knowledge.findings import Check, Finding, choices
from hepatalk.knowledge.lint_rows import row_counts
from hepatalk.knowledge.load import Knowledge

__all__ = ["CheckEvidence", "CheckEvidenceLinks", "CheckSourcesDistinct", "CheckSourcesExist", "CheckStance"]

REVIEW = "review2022"


@dataclass(frozen=True)
class CheckSourcesExist(Check):
    """Every source that a row, a dispute or a review reference names has a record; 'assumed' needs a note."""

    id = "sources-exist"
    title = "Sources that are named exist"

    def run(self, k: Knowledge, claim_ids: Collection[str] = ()) -> list[Finding]:
        """Return the unknown sources."""
        found = []
        for r in k.interactions:
            for i, e in enumerate(r.evidence):
                if e.source == "assumed" and not (e.note or "").strip():
                    found.append(
                        self.found(
                            k,
                            "interactions",
                            r.id,
                            f"evidence.{i}.note",
                            e.note,
                            "a written reason",
                            "the source is 'assumed'; say why",
                        )
                    )
        for kind, record, field, names in self._named(k):
            found += [
                self.found(
                    k, kind, record, field, name, choices(name, k.source), "correct the source or add it under sources/"
                )
                for name in names
                if name not in k.source
            ]
        return found

    @staticmethod
    def _named(k: Knowledge) -> Iterator[tuple[str, str, str, list[str]]]:
        for r in k.interactions:
            yield "interactions", r.id, "evidence", [e.source for e in r.evidence if e.source != "assumed"]
            yield "interactions", r.id, "opposed_by", list(r.opposed_by)
        for d in k.disputes:
            yield "disputes", d.id, "sources", list(d.sources)
        for ref in k.references:
            yield "references", str(ref.number), "sources", list(ref.sources)


@dataclass(frozen=True)
class CheckSourcesDistinct(Check):
    """One paper, one record: no DOI, PMID or PMCID stands in two sources."""

    id = "sources-distinct"
    title = "Each paper has one record"

    def run(self, k: Knowledge, claim_ids: Collection[str] = ()) -> list[Finding]:
        """Return the identifiers that stand twice."""
        found = []
        for field in ("doi", "pmid", "pmcid"):
            owner: dict[str, str] = {}
            for s in k.sources:
                value = getattr(s, field)
                if value is not None and owner.setdefault(value.casefold(), s.id) != s.id:
                    found.append(
                        self.found(
                            k,
                            "sources",
                            s.id,
                            field,
                            value,
                            f"a {field} of one source only",
                            f"{owner[value.casefold()]!r} has it too; merge the two or correct one",
                        )
                    )
        return found


@dataclass(frozen=True)
class CheckEvidence(Check):
    """Rows of the review cite the review, by numbers that its bibliography has; other rows do not."""

    id = "evidence"
    title = "Review rows cite the review"

    def run(self, k: Knowledge, claim_ids: Collection[str] = ()) -> list[Finding]:
        """Return rows without the review, and unknown numbers of its bibliography."""
        counts = row_counts(k.folder)
        numbers = {str(r.number) for r in k.references}
        found = []
        for r in k.interactions:
            of_review = counts.get(r.id.rsplit("-", 1)[0], 0) is not None
            cites = [e.source for e in r.evidence]
            if of_review != (REVIEW in cites):
                allowed = f"{REVIEW!r} among the sources" if of_review else f"sources other than {REVIEW!r}"
                found.append(self.found(k, "interactions", r.id, "evidence", cites, allowed, "correct the evidence"))
            for i, e in enumerate(r.evidence):
                if e.source != REVIEW and e.refs:
                    found.append(
                        self.found(
                            k,
                            "interactions",
                            r.id,
                            f"evidence.{i}.refs",
                            list(e.refs),
                            "nothing here",
                            f"only {REVIEW!r} has reference numbers; take them out",
                        )
                    )
                found += [
                    self.found(
                        k, "interactions", r.id, f"evidence.{i}.refs", n, choices(str(n), numbers), "correct the number"
                    )
                    for n in e.refs
                    if str(n) not in numbers
                ]
        return found


@dataclass(frozen=True)
class CheckEvidenceLinks(Check):
    """The link between a row and a paper is the one that the review's numbers of the row give that paper."""

    id = "evidence-links"
    title = "Papers are linked as the bibliography links them"
    severity = "warning"

    def run(self, k: Knowledge, claim_ids: Collection[str] = ()) -> list[Finding]:
        """Return papers that no number of the row stands for, and links of another confidence."""
        by_number = {r.number: r for r in k.references}
        found = []
        for r in k.interactions:
            cited = [by_number[n] for e in r.evidence for n in e.refs if n in by_number]
            for i, e in enumerate(r.evidence):
                if e.link not in ("matched", "recalled"):
                    continue
                links = {ref.link for ref in cited if e.source in ref.sources}
                if not links:
                    allowed = choices(e.source, (s for ref in cited for s in ref.sources))
                    found.append(
                        self.found(
                            k,
                            "interactions",
                            r.id,
                            f"evidence.{i}.source",
                            e.source,
                            f"{allowed}, or link: direct",
                            "no reference number of the row stands for this paper",
                        )
                    )
                elif e.link not in links:
                    found.append(
                        self.found(
                            k,
                            "interactions",
                            r.id,
                            f"evidence.{i}.link",
                            e.link,
                            ", ".join(sorted(links)),
                            "review_references.yaml says otherwise; correct one of the two",
                        )
                    )
        return found


@dataclass(frozen=True)
class CheckStance(Check):
    """A contested or refuted row names who opposes it, a supported one nobody, and no paper is on both sides."""

    id = "stance"
    title = "Contested rows name their opponents"

    def run(self, k: Knowledge, claim_ids: Collection[str] = ()) -> list[Finding]:
        """Return stances without opponents, opponents without a stance, and papers on both sides."""
        found = []
        for r in k.interactions:
            if (r.stance == "supported") == bool(r.opposed_by):
                allowed = (
                    "nothing while the stance is 'supported'" if r.opposed_by else "source ids, or stance: supported"
                )
                found.append(
                    self.found(
                        k,
                        "interactions",
                        r.id,
                        "opposed_by",
                        list(r.opposed_by),
                        allowed,
                        f"the stance is {r.stance!r}; correct one of the two",
                    )
                )
            both = {e.source for e in r.evidence} & set(r.opposed_by)
            for name in sorted(both):
                found.append(
                    self.found(
                        k,
                        "interactions",
                        r.id,
                        "opposed_by",
                        name,
                        "a source that is not evidence for the row",
                        "one paper cannot be on both sides; correct one of the two",
                    )
                )
        return found
