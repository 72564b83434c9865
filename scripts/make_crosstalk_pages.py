"""Write docs/crosstalk/: one page for each crosstalk pair, from the knowledge base and nothing else.

A page shows what the terms of the pair make, and then each statement in our words, with its sources, what others say
against it, the terms that it became, the claims that it must meet and the experiments of the catalogue that test it.
Numbers are left out: they stand in one place, and `hepatalk explain STATEMENT` shows them. With ``--check`` nothing is
written, and stale pages are named.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from hepatalk.experiments.experiment import Experiment, catalogue_names, load_experiment
from hepatalk.experiments.observations import load_claims
from hepatalk.experiments.phrases import phrase, term_phrase, terms_of
from hepatalk.experiments.statements import REVIEW, Paper, refers, statement_of
from hepatalk.knowledge import Knowledge, load
from hepatalk.knowledge.records import (
    AccountAlternative,
    AccountTerms,
    Attracts,
    Interaction,
    Regulates,
    Secretes,
    Stores,
    Term,
)

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "crosstalk"
TITLES = {
    "BG": "Background: what the review takes for granted",
    "EXT": "Beyond the liver: gut, hormones, nerves, blood",
    "HEP-BEC": "Hepatocytes and cholangiocytes",
    "HEP-HEP": "Hepatocytes among themselves",
    "HEP-HSC": "Hepatocytes and stellate cells",
    "HEP-KC": "Hepatocytes and Kupffer cells",
    "HEP-LSEC": "Hepatocytes and sinusoidal endothelium",
    "HSC-BEC": "Stellate cells and cholangiocytes",
    "HSC-KC": "Stellate cells and Kupffer cells",
    "KC-BEC": "Kupffer cells and cholangiocytes",
    "KC-LSEC": "Kupffer cells and sinusoidal endothelium",
    "LSEC-BEC": "Sinusoidal endothelium and cholangiocytes",
    "LSEC-HSC": "Sinusoidal endothelium and stellate cells",
    "DMG": "Damage that is not loss: dead tissue, and bile that does not flow",
    "PHY": "Physiology that the review takes for granted",
    "TD-HEP-BEC": "Changing identity: hepatocytes and cholangiocytes",
    "TD-HSC-BEC": "Changing identity: stellate cells",
    "TD-KC-BEC": "Changing identity: Kupffer cells",
    "TD-LSEC-BEC": "Changing identity: sinusoidal endothelium",
    "TD-OTH": "Changing identity: other influences",
}
ARROWS = {"activates": "-->", "inhibits": "--x", "permits": "-.->"}
_VALUES = re.compile(r" = -?\d[-\d.e+]*(, -?\d[-\d.e+]*)*(?=[,)])")
_PART_OF_SIGNAL = re.compile(r"(secretion|release|clearance|mixing|supply|blood)\.([^.]+)(?:\.\w+)?")


def pages(k: Knowledge) -> dict[str, str]:
    """Return the text of each page by file name, ``README.md`` among them."""
    by_prefix: dict[str, list[Interaction]] = {}
    for row in k.interactions:
        by_prefix.setdefault(row.id.rpartition("-")[0], []).append(row)
    out = {"README.md": _index(by_prefix)}
    claims = _claims()
    tests = [(name, load_experiment(name)) for name in catalogue_names()]
    for prefix, rows in by_prefix.items():
        out[f"{prefix.lower()}.md"] = _page(k, prefix, rows, claims, tests)
    return out


def _claims() -> Mapping[str, list[str]]:
    found: dict[str, list[str]] = {}
    for claim in load_claims():
        for row in claim.rows:
            found.setdefault(row, []).append(claim.id)
    return found


def _index(by_prefix: Mapping[str, Sequence[Interaction]]) -> str:
    lines = ["# Crosstalk, pair by pair", "",
             "Made by `python scripts/make_crosstalk_pages.py` from the knowledge base; do not edit.", "",
             "| page | statements | run | must come out | only under a hypothesis | cannot run |",
             "| --- | --- | --- | --- | --- | --- |"]  # fmt: skip
    for prefix, rows in by_prefix.items():
        kinds = [row.account.kind for row in rows]
        counts = " | ".join(str(kinds.count(kind)) for kind in ("terms", "outcome", "alternative", "not_run"))
        lines.append(f"| [{TITLES.get(prefix, prefix)}]({prefix.lower()}.md) | {len(rows)} | {counts} |")
    return "\n".join(lines) + "\n"


def _page(
    k: Knowledge,
    prefix: str,
    rows: Sequence[Interaction],
    claims: Mapping[str, Sequence[str]],
    tests: Sequence[tuple[str, Experiment]],
) -> str:
    lines = [f"# {TITLES.get(prefix, prefix)}", "",
             f"{len(rows)} statements ({prefix}). Made from the knowledge base; do not edit. The numbers of a term: "
             "`hepatalk explain STATEMENT`; its influence: `hepatalk check --influence`.", ""]  # fmt: skip
    diagram = list(_diagram(k, rows))
    if diagram:
        lines += ["```mermaid", "flowchart LR", *diagram, "```", "",
                  "Arrows further, crossed lines hold back, dotted lines are needed or run under a hypothesis only.",
                  ""]  # fmt: skip
    for row in rows:
        lines += [*_statement(k, row, claims.get(row.id, ()), [n for n, e in tests if _tests(row, e)]), ""]
    return "\n".join(lines).rstrip("\n") + "\n"


# ------------------------------------------------------------------------------------------------------- diagrams


def _diagram(k: Knowledge, rows: Iterable[Interaction]) -> Iterator[str]:
    """Yield the lines of a diagram: each thing once, each influence once."""
    ids: dict[str, str] = {}
    edges: dict[str, None] = {}
    for row in rows:
        for term in terms_of(row):
            idle = isinstance(row.account, AccountAlternative)
            for start, arrow, end in _edges(k, term):
                for label in (start, end):
                    ids.setdefault(label, f"n{len(ids)}")
                edges[f"  {ids[start]} {'-.->' if idle else arrow} {ids[end]}"] = None
    for label, name in ids.items():
        yield f'  {name}["{label.replace(chr(34), chr(39))}"]'
    yield from edges


def _edges(k: Knowledge, term: Term) -> Iterator[tuple[str, str, str]]:
    match term:
        case Secretes():
            yield (f"{term.state} {term.cell}" if term.state else term.cell), "-->", term.signal
        case Stores():
            yield "matrix", "-->", term.signal
        case Attracts():
            yield term.signal, "-->", f"place of {term.cell}"
        case Regulates():
            yield phrase(k, term.by), ARROWS[term.effect], phrase(k, term.target)
            part = _PART_OF_SIGNAL.fullmatch(term.target)
            if part:
                yield phrase(k, term.target), "--x" if part[1] == "clearance" else "-->", part[2]


# ------------------------------------------------------------------------------------------------------ statements


def _statement(k: Knowledge, row: Interaction, claims: Sequence[str], tests: Sequence[str]) -> Iterator[str]:
    said = statement_of(k, row)
    doubt = [word for word in (said.stance, said.certainty) if word not in ("supported", "established")]
    yield f"## {row.id}"
    yield ""
    yield _plain(said.claim) + (f" *({', '.join(doubt)})*" if doubt else "")
    yield ""
    for paper in said.papers:
        yield f"- says: {_paper(paper)}"
    for dispute in said.disputes:
        yield f"- but: {_plain(dispute)}"
    if row.read_as is not None:
        yield f"- read as: {_plain(row.read_as)}"
    yield f"- {_plain(said.account)}"
    for term in terms_of(row):
        yield f"  - {_plain(_VALUES.sub('', term_phrase(k, term)))}"
    if claims:
        yield f"- must meet: {', '.join(claims)} (see [the scoreboard](../claims.md))"
    if tests:
        yield f"- tested by: {', '.join(f'`hepatalk run {name}`' for name in tests)}"


def _paper(paper: Paper) -> str:
    if paper.id == REVIEW:
        return f"the review, which {_plain(paper.link)}"
    where = (
        f" [doi:{paper.doi}](https://doi.org/{paper.doi})" if paper.doi else f" PMID {paper.pmid}" if paper.pmid else ""
    )
    return f"{_plain(paper.citation)}{where} ({_plain(paper.link)})"


def _plain(text: str) -> str:
    """Return a text in one line in which nothing is taken for markup."""
    return re.sub(r"([\\`*_\[\]<>|])", r"\\\1", " ".join(text.split()))


def _tests(row: Interaction, posed: Experiment) -> bool:
    """Tell whether an experiment interferes with what a statement's terms name: a signal, flow, demand or a gene."""
    if not isinstance(row.account, AccountTerms | AccountAlternative):
        return False
    genes = {name.split("@")[0].casefold() for name in posed.knockouts}
    for term in terms_of(row):
        if isinstance(term, Regulates) and genes & {need.casefold() for need in term.needs}:
            return True
    for item in posed.schedule:
        signal = getattr(item, "signal", None)
        if signal is not None and refers(row, f"signal.{signal}"):
            return True
        kind = getattr(item, "intervention", "")
        named = {getattr(t, "by", "") for t in terms_of(row)} | {getattr(t, "target", "") for t in terms_of(row)}
        if kind in ("hold_portal_flow", "scale_inflow") and named & {"shear", "flow", "physics.flow", "physics.shear"}:
            return True
        if kind == "scale_demand" and "load" in named:
            return True
    return False


# ------------------------------------------------------------------------------------------------------------ files


def stale(wanted: Mapping[str, str], folder: Path) -> list[str]:
    """Return the names of pages that are missing, differ, or belong to no pair."""
    there = {path.name: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.md"))}
    return sorted(name for name in {**wanted, **there} if wanted.get(name) != there.get(name))


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the pages, or with ``--check`` say which are stale; return 1 if any is."""
    parser = argparse.ArgumentParser(description="Write docs/crosstalk/ from the knowledge base.")
    parser.add_argument("--check", action="store_true", help="write nothing, and name stale pages")
    parser.add_argument("--folder", type=Path, default=FOLDER)
    asked = parser.parse_args(arguments)
    wanted = pages(load())
    old = stale(wanted, asked.folder)
    if asked.check:
        for name in old:
            sys.stderr.write(f"{name} is stale; run: python scripts/make_crosstalk_pages.py\n")
        return 1 if old else 0
    asked.folder.mkdir(parents=True, exist_ok=True)
    for name in old:
        if name in wanted:
            (asked.folder / name).write_text(wanted[name], encoding="utf-8")
        else:
            (asked.folder / name).unlink()
    sys.stdout.write(f"docs/crosstalk: {len(old)} of {len(wanted)} pages written\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
