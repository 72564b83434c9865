"""One page for each kind of record: what it is, who says so, and what became of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from hepatalk.experiments.phrases import because, citation, number, phrase, term_phrase, terms_of, verb, with_unit
from hepatalk.experiments.statements import (
    REVIEW,
    Explanation,
    group,
    hypotheses_on,
    mentions,
    refers,
    statement_of,
    statements,
    switched_on,
)
from hepatalk.experiments.topics import ExperimentName, experiment_page, quantity_groups, quantity_page
from hepatalk.knowledge.findings import changes
from hepatalk.knowledge.load import Knowledge
from hepatalk.knowledge.quantities import Quantity
from hepatalk.knowledge.records import (
    SPECIES,
    AccountAlternative,
    AccountTerms,
    Attracts,
    CellType,
    Family,
    Gene,
    GlossaryEntry,
    Hypothesis,
    Interaction,
    Node,
    Parameter,
    Regulates,
    Secretes,
    Signal,
    Source,
    Stores,
)

__all__ = ["page", "squeezed"]


def squeezed(name: str) -> str:
    """Return a name without case, blanks, dots and dashes: c-Met, C MET and cmet are one name."""
    return re.sub(r"[\s_.-]+", "", name.casefold())


def page(k: Knowledge, record: Any) -> Explanation:
    """Return the page of a record, or of a readout given as a mapping."""
    pages: Mapping[type, Callable[[Knowledge, Any], Explanation]] = {
        Signal: _signal_page,
        CellType: _cell_page,
        Node: _node_page,
        Interaction: _row_page,
        Parameter: _parameter_page,
        Hypothesis: _hypothesis_page,
        Source: _source_page,
        Gene: _gene_page,
        Family: _family_page,
        GlossaryEntry: _glossary_page,
        Quantity: quantity_page,
        ExperimentName: experiment_page,
    }
    if type(record) in pages:
        return pages[type(record)](k, record)
    if isinstance(record, Mapping):
        return _readout_page(k, record)
    return _dispute_page(k, record)


def _gene_facts(k: Knowledge, genes: Iterable[str]) -> list[tuple[str, str]]:
    lines = []
    for name in genes:
        gene = k.gene.get(name)
        if gene is not None:
            lines.append(
                "; ".join(f"{s} {' '.join(gene.symbols(s)) or 'none'}" for s in SPECIES[::-1])
                + (f"; {gene.hgnc}" if gene.hgnc else "")
            )
    return [("gene" if i == 0 else "", line) for i, line in enumerate(lines)]


def _genes_behind(k: Knowledge, genes: tuple[str, ...], family: str | None) -> tuple[str, ...]:
    return k.family[family].genes if family is not None and family in k.family else genes


def _value(k: Knowledge, name: str | None) -> str:
    record = k.parameter.get(name or "")
    return f"{with_unit(record.value, record.unit)} ({record.id}; {because(record)})" if record else str(name)


def _other_names(k: Knowledge, genes: Iterable[str], own: Iterable[str]) -> list[str]:
    names = dict.fromkeys(own)
    for gene in genes:
        names |= dict.fromkeys(k.gene[gene].synonyms if gene in k.gene else ())
    return list(names)


def _signal_page(k: Knowledge, signal: Signal) -> Explanation:
    genes = _genes_behind(k, signal.genes, signal.family)
    words = _other_names(k, genes, signal.synonyms)
    facts = [("kind", f"{signal.kind} signal; 1 in the healthy liver"), *_gene_facts(k, genes)]
    facts += [("family", signal.family)] if signal.family else []
    facts += [("also called", ", ".join(words))] if words else []
    facts += [("half-life", _value(k, signal.half_life))]
    facts += [("matrix store", _value(k, signal.store))] if signal.store else []
    facts += [("spreads", _value(k, signal.mixing))] if signal.mixing else []
    facts += [("from blood", _value(k, signal.blood_share))] if signal.blood_share else []
    facts += [
        (
            "removed by",
            {"volume": "the tissue, per volume", "bile": "hepatocytes, into the bile", "none": "nothing"}.get(
                signal.cleared_by, signal.cleared_by
            ),
        )
    ]
    facts += [("note", signal.note)] if signal.note else []
    rows = [
        r
        for r in k.interactions
        if refers(r, f"signal.{signal.id}")
        or r.id in signal.rows
        or mentions(r, [signal.id, signal.name, *words, *genes])
    ]
    groups = [
        *group("Who releases it", _releases(k, rows, signal.id)),
        *group("What changes its supply", _changes(k, rows, signal.id)),
        *group("Who answers", _answers(k, f"signal.{signal.id}")),
        *hypotheses_on(k, [r.id for r in rows]),
    ]
    return Explanation("signal", signal.id, signal.name, tuple(facts), tuple(groups), statements(k, rows))


def _releases(k: Knowledge, rows: Iterable[Interaction], signal: str) -> Iterator[str]:
    for row in rows:
        for term in terms_of(row):
            if isinstance(term, Secretes) and term.signal == signal:
                name = k.cell[term.cell].name if term.cell in k.cell else "its source"
                where = f" in state {term.state}" if term.state else ""
                idle = "" if isinstance(row.account, AccountTerms) else ", only under its hypothesis"
                yield f"{term.cell} ({name}){where}: weight {_short(k, term.share)}{idle}  [{row.id}]"
            if isinstance(term, Stores) and term.signal == signal:
                yield f"the matrix, from its store  [{row.id}]"


def _short(k: Knowledge, name: str) -> str:
    record = k.parameter.get(name)
    return f"{number(record.value)} ({name})" if record else name


def _changes(k: Knowledge, rows: Iterable[Interaction], signal: str) -> Iterator[str]:
    pattern = re.compile(rf"(secretion|release|clearance|mixing|supply|blood)\.{re.escape(signal)}(\..+)?")
    for row in rows:
        for term in terms_of(row):
            if isinstance(term, Regulates) and pattern.fullmatch(term.target):
                yield f"{phrase(k, term.by)} {verb(term)} {phrase(k, term.target)}  [{row.id}]"


def _answers(k: Knowledge, name: str) -> Iterator[str]:
    for row in k.interactions:
        for term in terms_of(row):
            if isinstance(term, Regulates) and term.by == name:
                idle = "" if isinstance(row.account, AccountTerms) else ", only under its hypothesis"
                yield f"{phrase(k, term.target)}: it {verb(term)} it{idle}  [{row.id}]"
            if isinstance(term, Attracts) and name == f"signal.{term.signal}":
                yield f"{term.cell}: they move up its gradient, in the lobule engine only  [{row.id}]"


def _node_page(k: Knowledge, node: Node) -> Explanation:
    full = f"node.{node.cell}.{node.id}"
    genes = _genes_behind(k, node.genes, node.family)
    words = _other_names(k, genes, ())
    facts = [("kind", f"activity in {node.cell}, from 0 to 1"), *_gene_facts(k, genes)]
    facts += [("also called", ", ".join(words))] if words else []
    facts += [("time constant", _value(k, node.tau))]
    twins = [f"{n.cell}.{n.id}" for n in k.nodes if n.id == node.id and n is not node]
    facts += [("also in", ", ".join(twins))] if twins else []
    facts += [("note", node.note)] if node.note else []
    runs = [r for r in k.interactions if refers(r, full)]
    named = [
        r
        for r in k.interactions
        if r not in runs and node.cell in r.target and mentions(r, [node.id, node.name, *words, *genes])
    ]
    drives = (
        f"{phrase(k, t.by)} {verb(t)} it  [{r.id}]"
        for r in runs
        for t in terms_of(r)
        if isinstance(t, Regulates) and t.target == full
    )
    groups = [
        *group("What drives it", drives),
        *group("What it acts on", _answers(k, full)),
        *hypotheses_on(k, [r.id for r in runs]),
    ]
    return Explanation(
        "node", f"{node.cell}.{node.id}", node.name, tuple(facts), tuple(groups), statements(k, [*runs, *named])
    )


def _cell_page(k: Knowledge, cell: CellType) -> Explanation:
    facts = [("kind", "cell type"), ("what it does", cell.description)]
    facts += [("ontology", cell.ontology)] if cell.ontology else []
    facts += [("also called", ", ".join(cell.synonyms))] if cell.synonyms else []
    facts += [("share of volume", _value(k, cell.volume_share)), ("zones", _value(k, cell.zone_share))]
    states = (f"{s.id}: {s.meaning}" + (f", {s.stages} stages" if s.stages > 1 else "") for s in cell.states)
    processes = []
    for p in cell.processes:
        rate = getattr(p, "rate", None) or getattr(p, "duration", "")
        processes.append(
            f"{phrase(k, f'process.{cell.id}.{p.id}')}: {_value(k, rate) if rate in k.parameter else rate}"
        )
    releases, hears = [], []
    for row in k.interactions:
        for term in terms_of(row) if isinstance(row.account, AccountTerms) else ():
            if isinstance(term, Secretes) and term.cell == cell.id:
                releases.append(f"{term.signal}{f' in state {term.state}' if term.state else ''}  [{row.id}]")
            if isinstance(term, Regulates) and f".{cell.id}" in f"{term.target}.":
                hears.append(f"{phrase(k, term.by)} {verb(term)} {phrase(k, term.target)}  [{row.id}]")
    said = (f"{r.id}: {r.claim}" for r in k.interactions if cell.id in r.source or cell.id in r.target)
    groups = [
        *group("States", states), *group("Processes", processes), *group("What it releases", releases),
        *group("What it answers to", hears), *group("Statements about it (explain ID tells who says so)", said),
    ]  # fmt: skip
    return Explanation("cell", cell.id, cell.name, tuple(facts), tuple(groups))


def _row_page(k: Knowledge, row: Interaction) -> Explanation:
    facts = [("from", ", ".join(row.source)), ("to", ", ".join(row.target))]
    facts += [(label, text) for label, text in (("signal", row.signal), ("receptor", row.receptor)) if text]
    facts += [("pathway", " > ".join(row.pathway))] if row.pathway else []
    facts += [("read as", row.read_as)] if row.read_as else []
    sign = {"+": "furthers it (+)", "-": "holds it back (-)", "0": "no effect (0)", "?": "direction not stated"}[
        row.sign
    ]
    facts += [("process", f"{row.process}: {sign}"), ("when", f"{row.stage}; {row.mode.replace('_', ' ')}")]
    facts += [("context", row.context)] if row.context else []
    return Explanation(
        "statement", row.id, row.claim, tuple(facts), tuple(hypotheses_on(k, [row.id])), (statement_of(k, row),)
    )


def _species_facts(parameter: Parameter) -> list[tuple[str, str]]:
    """Return the numbers that species have of their own, each with where it comes from."""
    facts = []
    for species in SPECIES:
        own = parameter.of_species(species)
        if own is not None:
            why = "; ".join(filter(None, (", ".join(own.sources), own.reason)))
            facts.append((f"in the {species}", f"{with_unit(own.value, parameter.unit)} ({why})"))
    return facts


def _parameter_page(k: Knowledge, parameter: Parameter) -> Explanation:
    facts = [("kind", "parameter"), ("value", with_unit(parameter.value, parameter.unit))]
    facts += _species_facts(parameter)
    for source in parameter.sources:
        record = k.source.get(source)
        facts.append(
            (
                "source",
                f"{source}: {citation(record)}" + (f" doi {record.doi}" if record.doi else "") if record else source,
            )
        )
    facts += [("reason", parameter.reason)] if parameter.reason else []
    facts += (
        [("plausible range", f"{number(parameter.prior[0])} to {with_unit(parameter.prior[1], parameter.unit)}")]
        if parameter.prior
        else []
    )
    facts += [("change it with", f"hepatalk run phx70 --set {parameter.id}=VALUE")]
    used = [
        f"{term_phrase(k, t)}  [{r.id}]" for r in k.interactions for t in terms_of(r)
        if parameter.id in (getattr(t, f, None) for f in ("share", "gain", "weight", "half", "power"))
    ]  # fmt: skip
    for kind, records in (("cell", k.cells), ("signal", k.signals), ("node", k.nodes)):
        used += [
            f"{kind} {getattr(r, 'cell', '')}{'.' if hasattr(r, 'cell') else ''}{r.id}"
            for r in records
            if parameter.id in _strings(r.model_dump())
        ]
    title = "Where it is used" if used else "Where it is used: in a physical law"
    return Explanation("parameter", parameter.id, parameter.meaning, tuple(facts), tuple(group(title, used)))


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _strings(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _strings(item)


def _hypothesis_page(k: Knowledge, h: Hypothesis) -> Explanation:
    facts = [("kind", "hypothesis"), ("question", h.question), ("default", h.default)]
    facts += [("alternative", text) for text in h.alternatives]
    facts += [("switched on", switched_on(k, h))]
    facts += [("note", h.note)] if h.note and changes(k, h) else []
    switch = []
    if h.switch is not None:
        switch += [f"holds {row} at rest" for row in h.switch.silence]
        switch += [term_phrase(k, t) for t in h.switch.terms]
        switch += [f"{name} = {number(value)}" for name, value in h.switch.parameters.items()]
    switch += [
        f"{term_phrase(k, t)}  [{r.id}]"
        for r in k.interactions
        for t in terms_of(r)
        if isinstance(r.account, AccountAlternative) and r.account.hypothesis == h.id
    ]
    facts += [("switch it on with", f"hepatalk run phx70 --hypothesis {h.id}")] if switch else []
    said = (
        f"{d.id}: the review: {d.review_says} The literature: {d.literature_says} ({', '.join(d.sources)})"
        for d in k.disputes
        if d.id in h.disputes
    )
    groups = [*group("What it changes", switch), *group("The dispute", said)]
    return Explanation(
        "hypothesis",
        h.id,
        h.title,
        tuple(facts),
        tuple(groups),
        statements(k, [k.interaction[r] for r in h.rows if r in k.interaction]),
    )


def _source_page(k: Knowledge, source: Source) -> Explanation:
    read = {"none": "not read", "abstract": "abstract read", "full_text": "read in full"}.get(
        source.read, source.read.replace("_", " ") + " read"
    )
    facts = [("kind", "source"), ("citation", citation(source)), ("read", read)]
    facts += [
        (label, value)
        for label, value in (("doi", source.doi), ("PMID", source.pmid), ("PMCID", source.pmcid), ("note", source.note))
        if value
    ]
    refs = {r.number for r in k.references if source.id in r.sources}
    cites = [
        r
        for r in k.interactions
        if any(e.source == source.id or (e.source == REVIEW and refs & set(e.refs)) for e in r.evidence)
    ]
    groups = [
        *group("Statements that rest on it", (f"{r.id}: {r.claim}" for r in cites)),
        *group(
            "Numbers from it",
            (f"{p.id} = {with_unit(p.value, p.unit)}: {p.meaning}" for p in k.parameters if source.id in p.sources),
        ),
        *group("Statements it opposes", (f"{r.id}: {r.claim}" for r in k.interactions if source.id in r.opposed_by)),
        *group("Disputes", (f"{d.id}: {d.literature_says}" for d in k.disputes if source.id in d.sources)),
    ]
    return Explanation("source", source.id, source.title or source.id, tuple(facts), tuple(groups))


def _gene_page(k: Knowledge, gene: Gene) -> Explanation:
    """Explain a gene: the page of what it makes where that is one thing, a page of its own where it is several."""
    families = {f.id for f in k.families if gene.id in f.genes}
    molecules: tuple[Signal | Node, ...] = (*k.signals, *k.nodes)
    makes = [r for r in molecules if gene.id in r.genes or r.family in families]
    if len(makes) == 1:
        return page(k, makes[0])
    facts = [("kind", "gene"), *_gene_facts(k, [gene.id])]
    facts += [("also called", ", ".join(gene.synonyms))] if gene.synonyms else []
    facts += [("families", ", ".join(sorted(families)))] if families else []
    facts += [("note", gene.note)] if gene.note else []
    made = (f"node {r.cell}.{r.id}: {r.name}" if isinstance(r, Node) else f"signal {r.id}: {r.name}" for r in makes)
    rows = [
        r
        for r in k.interactions
        if mentions(r, [gene.id, *gene.synonyms]) or any(gene.id in getattr(t, "needs", ()) for t in terms_of(r))
    ]
    return Explanation(
        "gene",
        gene.id,
        gene.name,
        tuple(facts),
        tuple(group("What it makes in the model", made)),
        statements(k, rows),
    )


def _family_page(k: Knowledge, family: Family) -> Explanation:
    shares = family.shares or tuple(1.0 / len(family.genes) for _ in family.genes)
    facts = [("kind", "family of genes")] + ([("note", family.note)] if family.note else [])
    genes = (f"{g}: {share:.3g} of the activity" for g, share in zip(family.genes, shares, strict=True))
    molecules: tuple[Signal | Node, ...] = (*k.signals, *k.nodes)
    makes = (f"{type(r).__name__.lower()} {r.id}: {r.name}" for r in molecules if r.family == family.id)
    rows = [r for r in k.interactions if mentions(r, [family.id])]
    groups = [*group("Genes", genes), *group("What it makes in the model", makes)]
    return Explanation("family", family.id, family.id, tuple(facts), tuple(groups), statements(k, rows))


def _glossary_page(k: Knowledge, entry: GlossaryEntry) -> Explanation:
    """Explain a word of the review: the model's page where it has one gene or a name in the model, else its own."""
    words = {squeezed(w) for w in (entry.id, entry.name, *entry.synonyms)}
    named: tuple[CellType | Signal | Node, ...] = (*k.cells, *k.signals, *k.nodes)
    for record in named:
        if words & {squeezed(w) for w in (record.id, record.name, *getattr(record, "synonyms", ()))}:
            return page(k, record)
    facts = [("kind", entry.kind.replace("_", " "))]
    facts += [(label, value) for label, value in (("ontology", entry.ontology), ("note", entry.note)) if value]
    facts += [("also called", ", ".join(entry.synonyms))] if entry.synonyms else []
    facts += _gene_facts(k, entry.genes)
    rows = [r for r in k.interactions if mentions(r, [entry.name, *entry.synonyms, *entry.genes])]
    return Explanation("glossary", entry.id, entry.name, tuple(facts), (), statements(k, rows))


def _readout_page(k: Knowledge, readout: Mapping[str, Any]) -> Explanation:
    facts = [("kind", "readout"), ("unit", str(readout["unit"])), ("definition", str(readout["definition"]))]
    driven = [f"{phrase(k, target)} {'raises' if sign > 0 else 'lowers'} it" for target, sign in readout["drivers"]]
    targets = {target.removeprefix("target.") for target, _ in readout["drivers"]}
    acts = [
        f"{phrase(k, t.by)} {verb(t)} {phrase(k, t.target)}  [{r.id}]"
        for r in k.interactions
        if isinstance(r.account, AccountTerms)
        for t in terms_of(r)
        if isinstance(t, Regulates) and t.target in targets
    ]
    facts += [("why it moved", f"hepatalk explain --run DIR --readout {readout['name']} --at '24 h'")] if driven else []
    onward, rows = quantity_groups(k, str(readout["name"]))
    return Explanation(
        "readout",
        str(readout["name"]),
        str(readout["definition"]),
        tuple(facts),
        (*group("What moves it", driven), *group("What acts there", acts), *onward),
        statements(k, rows),
    )


def _dispute_page(k: Knowledge, d: Any) -> Explanation:
    facts = [
        ("kind", "dispute"),
        ("the review", d.review_says),
        ("the literature", d.literature_says),
        ("effect", d.effect),
    ]
    facts += [("hypothesis", d.hypothesis)] if d.hypothesis else []
    facts += [("note", d.note)] if d.note else []
    sources = (f"{s}: {citation(k.source[s])}" if s in k.source else s for s in d.sources)
    rows = [k.interaction[r] for r in d.rows if r in k.interaction]
    return Explanation(
        "dispute", d.id, d.literature_says, tuple(facts), tuple(group("Sources", sources)), statements(k, rows)
    )
