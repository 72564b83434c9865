"""Each rule on records and on the compiled model: silent on sound input, and one clear line on a planted fault."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hepatalk.errors import KnowledgeError
from hepatalk.knowledge import Knowledge, findings, load
from hepatalk.knowledge.lint import ALL_CHECKS, Check, Finding, lint
from hepatalk.knowledge.records import Parameter
from hepatalk.model import checks, compile_model
from hepatalk.model.checks import Compiled, check_model
from hepatalk.model.compiled import CompiledModel
from hepatalk.model.linear import Linearised

CLAIMS = ("C001",)
TINY = Path(__file__).parent / "tiny"


@pytest.fixture(scope="module")
def tiny() -> Knowledge:
    return load(TINY)


@pytest.fixture(scope="module")
def model(tiny: Knowledge) -> CompiledModel:
    return compile_model(tiny)


def edit(k: Knowledge, kind: str, record: str, /, **changes: Any) -> Knowledge:
    """Return the knowledge with some fields of one record replaced, unchecked, as a later change of code could."""
    records = getattr(k, kind)
    hit = [i for i, r in enumerate(records) if record in (getattr(r, "id", None), str(getattr(r, "number", None)))]
    assert len(hit) == 1, record
    new = records[hit[0]].model_copy(update=changes)
    return replace(k, **{kind: (*records[: hit[0]], new, *records[hit[0] + 1 :])})


def term(k: Knowledge, row: str, number: int, **changes: Any) -> Knowledge:
    """Return the knowledge with some fields of one term of a row replaced."""
    account = k.interaction[row].account
    terms = list(account.terms)  # type: ignore[union-attr]
    terms[number] = terms[number].model_copy(update=changes)
    return edit(k, "interactions", row, account=account.model_copy(update={"terms": tuple(terms)}))


def mouse(k: Knowledge, **changes: Any) -> Knowledge:
    """Return the knowledge with some fields of the mouse's own gain replaced."""
    stated = dict(k.parameter["gain"].species or {})
    stated["mouse"] = stated["mouse"].model_copy(update=changes)  # type: ignore[union-attr]
    return edit(k, "parameters", "gain", species=stated)


def process(k: Knowledge, cell: str, name: str, **changes: Any) -> Knowledge:
    """Return the knowledge with some fields of one process of a cell type replaced."""
    new = tuple(p.model_copy(update=changes) if p.id == name else p for p in k.cell[cell].processes)
    return edit(k, "cells", cell, processes=new)


def account(k: Knowledge, row: str, **changes: Any) -> Knowledge:
    return edit(k, "interactions", row, account=k.interaction[row].account.model_copy(update=changes))


def evidence(k: Knowledge, row: str, number: int, **changes: Any) -> Knowledge:
    stated = list(k.interaction[row].evidence)
    stated[number] = stated[number].model_copy(update=changes)
    return edit(k, "interactions", row, evidence=tuple(stated))


def without(k: Knowledge, row: str, number: int) -> Knowledge:
    """Return the knowledge without one term of a row."""
    terms = k.interaction[row].account.terms  # type: ignore[union-attr]
    return account(k, row, terms=(*terms[:number], *terms[number + 1 :]))


def more(k: Knowledge, kind: str, record: str, **changes: Any) -> Knowledge:
    """Return the knowledge with a changed copy of a record added."""
    new = next(r for r in getattr(k, kind) if r.id == record).model_copy(update=changes)
    return replace(k, **{kind: (*getattr(k, kind), new)})


def switch(k: Knowledge, **changes: Any) -> Knowledge:
    record = k.hypothesis["il6_sign"]
    assert record.switch is not None
    return edit(k, "hypotheses", "il6_sign", switch=record.switch.model_copy(update=changes))


NAN = float("nan")
Fault = Callable[[Knowledge], Knowledge]

#: rule -> (what is broken, record that must be named, text that the line must hold)
FAULTS: Mapping[str, list[tuple[Fault, str, str]]] = {
    "rows-accounted": [
        (lambda k: replace(k, interactions=k.interactions[1:]), "BG-01", "the row is missing"),
        (lambda k: more(k, "interactions", "BG-01", id="BG-02"), "BG-02", "allowed: BG-01"),
        (lambda k: more(k, "interactions", "BG-01"), "BG-01", "2 records have it"),
        (lambda k: account(k, "BG-01", note="  "), "BG-01", "one line that says why"),
        (lambda k: account(k, "HEP-KC-02", terms=()), "HEP-KC-02", "one term or more"),
        (lambda k: edit(k, "interactions", "PHY-01", id="PHY-03"), "PHY-01", "the row is missing"),
    ],
    "ids-unique": [
        (lambda k: edit(k, "parameters", "gain", id="hgf"), "hgf", "rename one of the two"),
        (lambda k: edit(k, "cells", "KC", id="IL6"), "IL6", "genes 'IL6' has it"),
        (lambda k: more(k, "nodes", "STAT3", name="again"), "HEP.STAT3", "an id used once"),
    ],
    "makers-named": [
        (lambda k: edit(k, "signals", "IL6", genes=()), "IL6", "a knock-out of its namesake"),
        (lambda k: edit(k, "nodes", "CCND", family=None), "HEP.CCND", "allowed: 'CCND'"),
    ],
    "genes-exist": [
        (lambda k: edit(k, "signals", "HGF", genes=("Hgf",)), "HGF",
         "its symbol in rat and mouse; records use the id 'HGF'"),
        (lambda k: edit(k, "signals", "IL6", genes=("IL-6",)), "IL6", "is a synonym"),
        (lambda k: edit(k, "nodes", "CCND", family="CCNX"), "HEP.CCND", "allowed: CCND"),
        (lambda k: term(k, "HEP-KC-03", 0, needs=("CCNE1",)), "HEP-KC-03", "allowed: CCND1"),
    ],
    "gene-symbols": [
        (lambda k: edit(k, "genes", "HGF", rat="HGF"), "HGF", "'HGF' is the human symbol"),
        (lambda k: edit(k, "genes", "HGF", human="Hgf"), "HGF", "'Hgf' is the rat and mouse symbol"),
        (lambda k: edit(k, "genes", "HGF", mouse="hgf"), "HGF", "allowed: 'Hgf'"),
        (lambda k: edit(k, "genes", "HGF", mouse="Il6"), "HGF", "'IL6' has it too"),
    ],
    "synonyms": [
        (lambda k: edit(k, "genes", "HGF", synonyms=("il-6",)), "HGF", "'IL6' has it too"),
        (lambda k: edit(k, "signals", "LPS", synonyms=("ECM",)), "LPS", "'ECM' has it too"),
        (lambda k: edit(k, "glossary", "hepatocyte", synonyms=("interleukin 6",)), "interleukin_6",
         "'hepatocyte' has it"),
    ],
    "families": [
        (lambda k: edit(k, "families", "CCND", shares=(0.5, 0.6)), "CCND", "add up to 1"),
        (lambda k: edit(k, "families", "CCND", shares=(1.0,)), "CCND", "2 numbers, one per gene"),
        (lambda k: edit(k, "families", "CCND", genes=("CCND1", "CCND1")), "CCND", "each once"),
    ],
    "ontology-ids": [
        (lambda k: edit(k, "cells", "HEP", ontology="CL:182"), "HEP", "an id such as CL:0000182"),
        (lambda k: edit(k, "signals", "LPS", chebi="16412"), "LPS", "an id such as CHEBI:16480"),
        (lambda k: edit(k, "genes", "HGF", hgnc="HGNC:6018"), "HGF", "'IL6' has it too"),
    ],
    "cell-states": [
        (lambda k: process(k, "KC", "tire", to="restin"), "KC", "allowed: resting"),
        (lambda k: process(k, "LSEC", "recruit", lineage="blood"), "LSEC", "resident"),
        (lambda k: process(k, "KC", "tire", id="commit"), "KC", "an id used once in the cell type"),
        (lambda k: edit(k, "cells", "KC", zones=(1, 4)), "KC", "zones 1, 2, 3"),
        (lambda k: edit(k, "nodes", "STAT3", cell="HEPX"), "HEPX.STAT3", "allowed: HEP"),
    ],
    "law-cells": [
        (lambda k: replace(k, cells=k.cells[1:]), "HEP", "a list with 'HEP'"),
        (lambda k: edit(k, "cells", "KC", zones=(1,)), "KC", "allowed: [1, 2, 3]"),
        (lambda k: edit(k, "cells", "HEP", has_mass=False), "HEP", "capacity is the mass"),
    ],
    "term-names": [
        (lambda k: term(k, "HEP-KC-03", 0, by="node.HEP.CCNDD"), "HEP-KC-03", "allowed: node.HEP.CCND"),
        (lambda k: term(k, "HEP-KC-03", 0, target="process.HEP.comit"), "HEP-KC-03", "allowed: process.HEP.commit"),
        (lambda k: term(k, "HEP-KC-04", 1, target="supply.LPX"), "HEP-KC-04", "allowed: supply.LPS"),
        (lambda k: term(k, "HEP-KC-01", 0, signal="IL7"), "HEP-KC-01", "allowed: IL6"),
        (lambda k: term(k, "HEP-KC-01", 0, state="active"), "HEP-KC-01", "allowed: activated"),
        (lambda k: term(k, "HEP-KC-01", 0, cell="KCC"), "HEP-KC-01", "allowed: KC"),
        (lambda k: term(k, "HEP-KC-05", 0, target="release.IL6"), "HEP-KC-05", "release.HGF"),
    ],
    "term-shape": [
        (lambda k: term(k, "HEP-KC-03", 0, gain=None), "HEP-KC-03", "process.HEP.commit needs it"),
        (lambda k: term(k, "HEP-KC-02", 0, weight=None), "HEP-KC-02", "node.HEP.CCND needs it"),
        (lambda k: term(k, "HEP-KC-02", 0, gain="gain"), "HEP-KC-02", "does not use it"),
        (lambda k: term(k, "HEP-KC-03", 0, effect="permits"), "HEP-KC-03", "'permits' acts on nodes only"),
        (lambda k: term(k, "HEP-KC-05", 0, gate="x"), "HEP-KC-05", "share gates"),
        (lambda k: edit(k, "signals", "HGF", store=None), "HEP-LSEC-01", "give the signal both"),
        (lambda k: edit(k, "signals", "IL6", kind="systemic"), "HEP-KC-01", "not systemic"),
    ],
    "zones-meet": [(lambda k: term(edit(k, "cells", "KC", zones=(1,)), "HEP-KC-03", 0, by="state.KC.activated"),
                    "HEP-KC-03", "zones 1, 2, 3")],
    "signals-secreted": [(lambda k: without(k, "HEP-KC-01", 0), "IL6", "nobody releases it")],
    "nodes-driven": [(lambda k: without(k, "HEP-KC-01", 1), "HEP.STAT3", "nothing acts on it")],
    "parameters-exist": [
        (lambda k: term(k, "HEP-KC-03", 0, gain="gian"), "HEP-KC-03", "allowed: gain"),
        (lambda k: process(k, "HEP", "divide", duration="passag"), "HEP", "allowed: passage"),
        (lambda k: replace(k, parameters=k.parameters[1:]), "body.demand", "add the parameter"),
        (lambda k: switch(k, parameters={"gian": 1.0}), "il6_sign", "allowed: gain"),
    ],
    "parameters-used": [(lambda k: more(k, "parameters", "gain", id="idle"), "idle", "nobody uses it")],
    "numbers-sourced": [
        (lambda k: edit(k, "parameters", "gain", source="cressman1997"), "gain", "allowed: cressman1996"),
        (lambda k: edit(k, "parameters", "half", reason=" "), "half", "a written reason"),
        (lambda k: edit(k, "parameters", "half", source="fitted: "), "half", "name the script"),
        (lambda k: edit(k, "parameters", "half", source=()), "half", "name a source"),
        (lambda k: mouse(k, source="cressman1997"), "gain", "field 'species.mouse.source': value 'cressman1997'"),
        (lambda k: mouse(k, reason=" "), "gain", "field 'species.mouse.reason'"),
    ],
    "numbers-finite": [
        (lambda k: edit(k, "parameters", "half", value=NAN), "half", "value nan"),
        (lambda k: edit(k, "parameters", "half", species={"rat": float("inf")}), "half", "field 'species.rat'"),
        (lambda k: mouse(k, value=NAN), "gain", "field 'species.mouse'"),
        (lambda k: mouse(k, prior=(1.0, NAN)), "gain", "field 'species.mouse'"),
        (lambda k: switch(k, parameters={"gain": NAN}), "il6_sign", "field 'switch.parameters.gain'"),
        (lambda k: edit(k, "families", "CCND", shares=(NAN, 1.0)), "CCND", "value nan"),
    ],
    "prior-holds-value": [
        (lambda k: edit(k, "parameters", "gain", value=9.0), "gain", "1 to 8, the prior"),
        (lambda k: edit(k, "parameters", "gain", species={"human": 0.5}), "gain", "field 'species.human'"),
        (lambda k: edit(k, "parameters", "gain", prior=(8.0, 1.0)), "gain", "low < high"),
        (lambda k: mouse(k, value=13.0), "gain", "2 to 12, the prior"),
        (lambda k: mouse(k, prior=(12.0, 2.0)), "gain", "field 'species.mouse.prior'"),
        (lambda k: mouse(k, prior=None), "gain", "1 to 8, the prior"),
    ],
    "unit-known": [(lambda k: edit(k, "parameters", "tau", unit="hourz"), "tau", "correct the unit")],
    "unit-fits-role": [
        (lambda k: edit(k, "parameters", "commit_rate", unit="h"), "commit_rate", "another dimension"),
        (lambda k: edit(k, "parameters", "commit_rate", unit="1/day"), "commit_rate", "nothing is converted silently"),
        (lambda k: edit(k, "parameters", "half_life", unit="min"), "half_life", "'h'"),
        (lambda k: edit(k, "parameters", "gain", unit="ng/mL"), "gain", "another dimension"),
        (lambda k: edit(k, "parameters", "lethal_deficit", unit="1"), "lethal_deficit", "takes it as a time"),
    ],
    "range-fits-role": [
        (lambda k: edit(k, "parameters", "weight", value=1.5), "weight", "from 0 to 1"),
        (lambda k: edit(k, "parameters", "tau", value=0.0), "tau", "above 0"),
        (lambda k: edit(k, "parameters", "commit_rate", species={"rat": -1.0}), "commit_rate", "field 'species.rat'"),
    ],
    "zone-shape": [
        (lambda k: edit(k, "parameters", "portal", value=(0.5, 0.3, 0.1)), "portal", "add up to 1"),
        (lambda k: edit(k, "parameters", "portal", value=0.3), "portal", "three numbers"),
        (lambda k: edit(k, "parameters", "gain", value=(1.0, 2.0, 3.0)), "gain", "one number"),
        (lambda k: edit(k, "parameters", "portal", species={"rat": 0.3}), "portal", "cannot replace three"),
        (lambda k: edit(k, "parameters", "oxygen_profile", value=(0.0, 0.0, 0.0)), "oxygen_profile", "above 0"),
    ],
    "volume-shares": [(lambda k: edit(k, "parameters", "kc_volume_share", species={"human": 0.1}),
                       "sinusoid_volume_share", "human: hep_volume_share")],
    "normal-hill": [
        (lambda k: edit(k, "parameters", "node_half", value=0.9), "HEP-KC-02", "half 0.9 and power 2"),
        (lambda k: edit(k, "parameters", "node_half", species={"human": 1.2}), "HEP-KC-02", "half^power < 1/2"),
    ],
    "rows-exist": [
        (lambda k: edit(k, "disputes", "D-01", rows=("HEP-KC-99",)), "D-01", "HEP-KC-"),
        (lambda k: switch(k, silence=("HEP-KC-33",)), "il6_sign", "allowed: HEP-KC-03"),
        (lambda k: edit(k, "signals", "LPS", rows=("BG-09",)), "LPS", "allowed: BG-01"),
        (lambda k: process(k, "HEP", "commit", rows=("BG-09",)), "HEP", "allowed: BG-01"),
    ],
    "outcomes-claimed": [(lambda k: account(k, "HEP-LSEC-03", claims=()), "HEP-LSEC-03", "name the claim")],
    "claims-exist": [(lambda k: account(k, "HEP-LSEC-03", claims=("C999",)), "HEP-LSEC-03", "allowed: C001")],
    "sources-exist": [
        (lambda k: evidence(k, "HEP-KC-01", 1, source="cressman1997"), "HEP-KC-01", "allowed: cressman1996"),
        (lambda k: edit(k, "interactions", "HEP-KC-05", opposed_by=("tachibana2015",)), "HEP-KC-05", "tachibana2014"),
        (lambda k: edit(k, "references", "1", sources=("cressman1997",)), "1", "allowed: cressman1996"),
        (lambda k: evidence(k, "PHY-01", 0, note=None), "PHY-01", "a written reason"),
    ],
    "sources-distinct": [(lambda k: edit(k, "sources", "cressman1996", pmid="35941604"), "cressman1996",
                          "'review2022' has it")],
    "evidence": [
        (lambda k: evidence(k, "HEP-KC-02", 0, source="cressman1996", refs=()), "HEP-KC-02", "'review2022' among"),
        (lambda k: evidence(k, "PHY-01", 0, source="review2022"), "PHY-01", "other than 'review2022'"),
        (lambda k: evidence(k, "HEP-KC-02", 0, refs=(3,)), "HEP-KC-02", "correct the number"),
        (lambda k: evidence(k, "HEP-KC-01", 1, refs=(1,)), "HEP-KC-01", "nothing here"),
    ],
    "evidence-links": [
        (lambda k: evidence(k, "HEP-KC-01", 1, link="recalled"), "HEP-KC-01", "allowed: matched"),
        (lambda k: evidence(k, "HEP-KC-01", 0, refs=(2,)), "HEP-KC-01", "no reference number of the row"),
    ],
    "stance": [
        (lambda k: edit(k, "interactions", "HEP-KC-05", opposed_by=()), "HEP-KC-05", "the stance is 'contested'"),
        (lambda k: edit(k, "interactions", "HEP-KC-05", stance="supported"), "HEP-KC-05", "nothing while"),
        (lambda k: edit(k, "interactions", "HEP-KC-05", opposed_by=("review2022",)), "HEP-KC-05", "on both sides"),
    ],
    "hypotheses": [
        (lambda k: account(k, "HEP-KC-05", hypothesis="il6_sing"), "HEP-KC-05", "allowed: il6_sign"),
        (lambda k: edit(k, "hypotheses", "il6_sign", rows=()), "il6_sign", "a list with 'HEP-KC-05'"),
        (lambda k: edit(k, "hypotheses", "il6_sign", disputes=("D-02",)), "il6_sign", "allowed: D-01"),
        (lambda k: edit(k, "hypotheses", "il6_sign", disputes=()), "il6_sign", "a list with 'D-01'"),
        (lambda k: edit(k, "disputes", "D-01", hypothesis=None), "D-01", "name the hypothesis"),
        (lambda k: edit(k, "hypotheses", "il6_sign", alternatives=("a", "b")), "il6_sign", "say which alternative"),
        (lambda k: edit(k, "hypotheses", "il6_sign", alternatives=("a", "b"), runs=3), "il6_sign", "allowed: 1 to 2"),
        (lambda k: edit(k, "disputes", "D-01", hypothesis="il6"), "D-01", "allowed: il6_sign"),
    ],
    "duplicate-terms": [
        (lambda k: account(k, "HEP-KC-02", terms=k.interaction["HEP-KC-02"].account.terms * 2),  # type: ignore[union-attr]
         "HEP-KC-02", "it would count twice"),
        (lambda k: account(k, "HEP-LSEC-02", terms=k.interaction["HEP-KC-03"].account.terms),  # type: ignore[union-attr]
         "HEP-LSEC-02", "row 'HEP-KC-03' has it too"),
    ],
    "double-influence": [
        (lambda k: account(k, "HEP-LSEC-02", terms=term(k, "HEP-KC-03", 0, gain="half").interaction["HEP-KC-03"]
                           .account.terms), "HEP-LSEC-02", "merge the two"),  # type: ignore[union-attr]
    ],
    "duplicate-claims": [(lambda k: edit(k, "interactions", "HEP-KC-03", claim="STAT3 raises the D-cyclins"),
                          "HEP-KC-03", "row 'HEP-KC-02' makes it too")],
    "signal-met": [
        (lambda k: edit(k, "interactions", "HEP-KC-02", signal="LPS"), "HEP-KC-02", "no term acts by 'LPS'"),
        (lambda k: edit(k, "interactions", "PHY-01", signal="shear stress"), "PHY-01", "say in 'read_as'"),
    ],
    "pathway-met": [
        (lambda k: edit(k, "interactions", "HEP-KC-02", pathway=("STAT3", "LPS")), "HEP-KC-02", "no term meets 'LPS'"),
    ],
    "sign": [
        (lambda k: edit(k, "interactions", "HEP-KC-02", sign="-"), "HEP-KC-02",
         "node.HEP.STAT3 activates node.HEP.CCND"),
        (lambda k: edit(k, "interactions", "HEP-KC-01", sign="-"), "HEP-KC-01", "its terms do the opposite"),
        (lambda k: edit(k, "interactions", "HEP-KC-03", sign="-"), "HEP-KC-03",
         "node.HEP.CCND activates process.HEP.commit"),
        (lambda k: edit(k, "interactions", "HEP-KC-05", sign="+"), "HEP-KC-05", "its terms do the opposite"),
        (lambda k: term(k, "PHY-01", 0, effect="inhibits"), "PHY-01", "load inhibits process.HEP.enlarge"),
    ],
    "actors": [
        (lambda k: edit(k, "interactions", "HEP-KC-03", source=("HEPP",)), "HEP-KC-03", "nearest: HEP"),
        (lambda k: edit(k, "interactions", "HEP-KC-03", target=("HEP", "zzz")), "HEP-KC-03", "'zzz' is no cell"),
        (lambda k: edit(k, "interactions", "HEP-KC-03", receptor="gp31"), "HEP-KC-03", "'gp31' is no cell"),
    ],
}  # fmt: skip


def one(name: str) -> Check:
    return next(c for c in ALL_CHECKS if c.id == name)


def cases() -> Iterator[Any]:
    for rule, faults in FAULTS.items():
        for number, (fault, record, text) in enumerate(faults):
            yield pytest.param(rule, fault, record, text, id=f"{rule}-{number}")


def test_every_rule_has_a_fault_and_an_id_of_its_own() -> None:
    ids = [c.id for c in ALL_CHECKS]
    assert len(set(ids)) == len(ids)
    assert set(FAULTS) == set(ids)
    assert all(c.title and c.severity in ("error", "warning", "note") for c in ALL_CHECKS)


@pytest.mark.parametrize("rule", [c.id for c in ALL_CHECKS])
def test_sound_records_pass(rule: str, tiny: Knowledge) -> None:
    assert [str(f) for f in one(rule).run(tiny, CLAIMS)] == []


@pytest.mark.parametrize(("rule", "fault", "record", "text"), list(cases()))
def test_a_fault_is_found(rule: str, fault: Fault, record: str, text: str, tiny: Knowledge) -> None:
    broken = fault(tiny)
    found = [f for f in one(rule).run(broken, CLAIMS) if f.record == record]
    assert found
    lines = [str(f) for f in found]
    assert any(text in line for line in lines), lines
    for line, finding in zip(lines, found, strict=True):
        assert len(line.splitlines()) == 1
        assert "allowed: " in line
        assert f"record {record!r}: field {finding.field!r}: value " in line
        assert (finding.check, finding.severity) == (rule, one(rule).severity)
    assert set(lines) <= {str(f) for f in lint(broken, CLAIMS)}


def test_claims_are_not_looked_up_where_nobody_says_which_exist(tiny: Knowledge) -> None:
    assert lint(account(tiny, "HEP-LSEC-03", claims=("C999",))) == ()


def test_a_finding_stays_on_one_line() -> None:
    finding = Finding("a.yaml", "two\nlines", "field", "x\ny" * 100, "a\tb", "do\r\nthis")
    assert str(finding).isprintable()
    assert str(finding).startswith("a.yaml: record ")


@pytest.mark.parametrize(
    "text",
    ["- {prefix: BG}\n", "- {prefix: BG, count: 0}\n", "- {prefix: BG, count: true}\n", "- {prefix: 3, count: 1}\n",
     "- BG\n", "- {prefix: BG, review: true}\n", "- {prefix: BG, count: 1}\n- {prefix: BG, count: 1}\n"],
)  # fmt: skip
def test_the_list_of_rows_is_checked_too(text: str, tmp_path: Path) -> None:
    shutil.copytree(TINY, tmp_path / "data")
    (tmp_path / "data" / "rows.yaml").write_text(text)
    with pytest.raises(KnowledgeError, match=r"^rows\.yaml: record '#\d': field 'record': value .*allowed: "):
        lint(load(tmp_path / "data"))


def test_without_the_list_of_rows(tmp_path: Path) -> None:
    shutil.copytree(TINY, tmp_path / "data")
    (tmp_path / "data" / "rows.yaml").unlink()
    with pytest.raises(KnowledgeError, match=r"^rows\.yaml: cannot be read"):
        lint(load(tmp_path / "data"))


class Asked(dict[str, Parameter]):
    """Parameters that remember which of them were asked for."""

    def __init__(self, records: Mapping[str, Parameter]) -> None:
        super().__init__(records)
        self.names: set[str] = set()

    def get(self, key: str, default: Any = None) -> Any:
        self.names.add(key)
        return super().get(key, default)


def test_the_uses_that_lint_knows_are_those_of_the_compiler(tiny: Knowledge) -> None:
    asked = Asked(tiny.parameter)
    fresh = replace(tiny)
    fresh.__dict__["parameter"] = asked  # where the cached property keeps it
    compile_model(fresh, lobes=2)
    known = {u.parameter for u in findings.parameter_uses(tiny) if u.hypothesis is None}
    assert asked.names == known | set(findings.LAW_PARAMETERS)


# ----------------------------------------------------------------------------------------------- the shipped knowledge


def test_the_shipped_records_break_no_rule() -> None:
    assert [str(f) for f in lint(load()) if f.severity == "error"] == []


def test_the_shipped_model_breaks_no_rule() -> None:
    knowledge = load()
    assert [str(f) for f in check_model(compile_model(knowledge), knowledge) if f.severity == "error"] == []


def test_a_signal_that_drives_what_acts_is_met(tiny: Knowledge) -> None:
    """IL-6 drives STAT3, which the row's term names: the statement acts by it."""
    assert one("signal-met").run(edit(tiny, "interactions", "HEP-KC-02", signal="interleukin-6")) == []
    assert one("pathway-met").run(edit(tiny, "interactions", "HEP-KC-01", pathway=("IL6", "STAT3"))) == []


def test_words_that_the_model_lacks_ask_for_a_reading(tiny: Knowledge) -> None:
    strange = edit(tiny, "interactions", "HEP-KC-02", signal="a hunch")
    found = one("signal-met").run(strange)
    assert [(f.record, f.severity) for f in found] == [("HEP-KC-02", "warning")]
    assert "names no signal, node or quantity" in str(found[0])
    said = edit(strange, "interactions", "HEP-KC-02", read_as="STAT3 stands for it")
    assert one("signal-met").run(said) == []


def test_a_sign_that_some_term_leaves_open_is_a_warning(tiny: Knowledge) -> None:
    """A brake on stellate-free supply says nothing about hepatocytes: the sign is doubtful, not certainly wrong."""
    both = account(tiny, "HEP-KC-02", terms=(
        *tiny.interaction["HEP-KC-02"].account.terms,  # type: ignore[union-attr]
        tiny.interaction["HEP-KC-04"].account.terms[0],  # type: ignore[union-attr]
    ))  # fmt: skip
    found = one("sign").run(edit(both, "interactions", "HEP-KC-02", sign="-"))
    assert [(f.record, f.severity) for f in found] == [("HEP-KC-02", "warning")]


def test_shipped_statements_act_on_what_they_name() -> None:
    """Also where the sign runs through nodes: SMAD holds ERK back, and ERK drives division, so that '-' is right."""
    k = load()
    assert one("sign").run(k) == []
    wrong = edit(k, "interactions", "HEP-HSC-25", sign="+")
    assert [(f.record, f.severity) for f in one("sign").run(wrong)] == [("HEP-HSC-25", "error")]


def test_all_rows_of_the_review_are_counted() -> None:
    from hepatalk.knowledge.lint_rows import row_counts

    assert sum(n for n in row_counts(load().folder).values() if n is not None) == 297


# ---------------------------------------------------------------------------------------------------- compiled models


def rule(name: str, model: CompiledModel, knowledge: Knowledge) -> list[Finding]:
    check = next(c for c in checks.ALL_CHECKS if c.id == name)
    found = check.run(Compiled(model), knowledge)
    assert all(f.check == name and f.severity == check.severity and "\n" not in str(f) for f in found)
    return found


def test_model_rules_have_ids_of_their_own() -> None:
    ids = [c.id for c in checks.ALL_CHECKS]
    assert len(set(ids)) == len(ids)
    assert not set(ids) & {c.id for c in ALL_CHECKS}


@pytest.mark.parametrize("name", [c.id for c in checks.ALL_CHECKS if c.id != "slow-modes"])
def test_a_sound_model_passes(name: str, model: CompiledModel, tiny: Knowledge) -> None:
    assert [str(f) for f in rule(name, model, tiny)] == []


def test_the_jacobian_is_the_slope_of_the_derivative(model: CompiledModel) -> None:
    state = Compiled(model).disturbed[0].state
    jacobian = Linearised(model, state).jacobian
    for j in range(0, model.n_states, 7):
        step = np.zeros(model.n_states)
        step[j] = 1e-6 * max(state[j], 1e-3)
        up, down = (Linearised(model, state + sign * step).derivative for sign in (1, -1))
        assert np.allclose((up - down) / (2 * step[j]), jacobian[:, j], rtol=1e-5, atol=1e-6)


def test_a_resting_state_that_is_no_number(model: CompiledModel, tiny: Knowledge) -> None:
    params = model.params.copy()
    params[model.position("gain")] = np.nan
    found = rule("resting-state", replace(model, params=params), tiny)
    assert [f.record for f in found] == ["gain"]
    assert [str(f) for f in check_model(replace(model, params=params), tiny)] == [str(f) for f in found]
    rest = model.rest.copy()
    rest[0] = -1.0
    assert [f.record for f in rule("resting-state", replace(model, rest=rest), tiny)] == [model.state_names[0]]


def test_a_resting_state_that_moves(model: CompiledModel, tiny: Knowledge) -> None:
    found = rule("homeostasis", model.with_params({"tau": 1.0, "growth_rate": 0.021}), tiny)
    assert {"HEP.mass@1", "store.HGF@1"} <= {f.record for f in found}
    assert "largest term: " in str(found[0])


def test_a_healthy_state_that_runs_away(tiny: Knowledge) -> None:
    alone = edit(tiny, "interactions", "PHY-02", account=tiny.interaction["BG-01"].account)
    found = rule("stable", compile_model(alone), alone)
    assert len(found) == 1
    assert "KC." in found[0].record  # fewer cells leave more lipopolysaccharide, which keeps the rest from dividing


def test_a_disturbance_that_stays(tiny: Knowledge) -> None:
    alone = edit(tiny, "interactions", "PHY-02", account=tiny.interaction["BG-01"].account)
    found = rule("zero-modes", compile_model(alone), alone)
    assert len(found) == 2  # in which zone Kupffer cells are: three numbers, of which only the sum matters
    assert all(f.severity == "note" and "KC." in f.record for f in found)


def test_a_disturbance_that_fades_slowly(model: CompiledModel, tiny: Knowledge) -> None:
    slow = rule("slow-modes", model, tiny)
    assert "LSEC" in {f.record for f in slow}  # marrow cells arrive at 1e-5 of the pool per h
    assert all("years" in f.message for f in slow)
    settings = {"influx_rate": 1e-2, "commit_rate": 1e-1, "gain": 8.0}
    faster = tiny
    for name, value in settings.items():
        faster = edit(faster, "parameters", name, value=value)
    assert "LSEC" not in {f.record for f in rule("slow-modes", compile_model(faster), faster)}


def test_cells_that_vanish_on_the_way(model: CompiledModel, tiny: Knowledge) -> None:
    state = model.state_names.index("HEP.g2m@2")
    coefficient = model.coefficient.copy()
    coefficient[model.flux_start[state] : model.flux_start[state + 1]] *= 0.5
    found = rule("cells-conserved", replace(model, coefficient=coefficient), tiny)
    assert [(f.record, f.field) for f in found] == [("HEP.count@2", "derivative")]


def test_counts_that_are_not_their_compartments(model: CompiledModel, tiny: Knowledge) -> None:
    rest = model.rest.copy()
    rest[model.state_names.index("KC.count@1")] *= 1.1
    found = rule("cells-conserved", replace(model, rest=rest), tiny)
    assert [(f.record, f.field) for f in found] == [("KC.count@1", "rest")]


def test_a_store_that_makes_more_than_it_takes(model: CompiledModel, tiny: Knowledge) -> None:
    state = model.state_names.index("store.HGF@3")
    coefficient = model.coefficient.copy()
    coefficient[model.flux_start[state] : model.flux_start[state + 1]] *= 1.01
    found = rule("stores-balanced", replace(model, coefficient=coefficient), tiny)
    assert {(f.record, f.field) for f in found} == {("store.HGF@3", "release"), ("store.HGF@3", "binding")}


def test_terms_that_the_model_does_not_hold(model: CompiledModel, tiny: Knowledge) -> None:
    faults: list[tuple[Knowledge, str]] = [
        (term(tiny, "HEP-KC-04", 1, target="mixing.LPS"), "HEP-KC-04"),
        (term(tiny, "HEP-KC-01", 0, state=None), "HEP-KC-01"),
        (term(tiny, "HEP-LSEC-01", 1, signal="IL6"), "HEP-LSEC-01"),
        (term(tiny, "PHY-01", 0, target="process.KC.commit"), "PHY-01"),
        (term(tiny, "HEP-KC-02", 0, target="node.HEP.STAT3"), "HEP-KC-02"),
    ]
    for broken, row in faults:
        assert [f.record for f in rule("terms-reach", model, broken)] == [row]


def test_a_term_that_ends_nowhere(model: CompiledModel, tiny: Knowledge) -> None:
    cut = model.slot_index["process.HEP.enlarge@1"]
    flux = np.where(model.flux == cut, 0, model.flux)
    gates = [i for z in (1, 2, 3) for i, n in enumerate(model.slot_names) if n == f"gate.process.HEP.enlarge:@{z}"]
    assert len(gates) == 3
    inputs = model.inputs.copy()
    inputs[np.isin(inputs, [model.n_states + g for g in gates])] = 0
    found = rule("terms-reach", replace(model, flux=flux, inputs=inputs), tiny)
    assert [f.record for f in found] == ["PHY-01"]


def test_a_signal_that_nobody_answers(tiny: Knowledge) -> None:
    unheard = account(tiny, "HEP-KC-04", terms=tiny.interaction["HEP-KC-04"].account.terms[1:])  # type: ignore[union-attr]
    found = rule("signals-answered", compile_model(unheard), unheard)
    assert [(f.file, f.record) for f in found] == [("signals/signals.yaml", "LPS")]
    assert "nothing answers it" in found[0].message


def test_nodes_that_drive_nothing(tiny: Knowledge) -> None:
    idle = edit(tiny, "interactions", "HEP-KC-03", account=tiny.interaction["BG-01"].account)
    found = rule("nodes-drive", compile_model(idle), idle)
    assert [f.record for f in found] == ["HEP.STAT3", "HEP.CCND"]  # STAT3 drives CCND, which drives nothing
    assert "only with the hypothesis il6_sign on" in found[0].message
