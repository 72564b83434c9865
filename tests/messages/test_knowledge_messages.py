"""Breaking any one record gives one line: file, record, field, value, what is allowed."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from hepatalk.errors import HepatalkError, KnowledgeError
from hepatalk.knowledge import load
from hepatalk.knowledge.lint import lint
from hepatalk.model import compile_model

Records = dict[str, Any]

CELLS, SIGNALS, NODES = "cells/cells.yaml", "signals/signals.yaml", "nodes/nodes.yaml"
ROWS, PARAMETERS, SOURCES = "interactions/rows.yaml", "parameters/parameters.yaml", "sources/sources.yaml"
GENES, FAMILIES, REFERENCES = "genes/genes.yaml", "genes/families.yaml", "sources/review_references.yaml"
DISPUTES, HYPOTHESES, GLOSSARY = "disputes.yaml", "hypotheses.yaml", "glossary/entities.yaml"


@pytest.fixture
def folder(repository: Path, tmp_path: Path) -> Path:
    """A copy of a small knowledge folder that is sound."""
    return Path(shutil.copytree(repository / "tests" / "knowledge" / "tiny", tmp_path / "data"))


def first_complaint(folder: Path) -> str:
    """Return the first line that a user sees on the way from the files to a model, '' where all is well."""
    try:
        knowledge = load(folder)
        found = lint(knowledge, ("C001",))
        if found:
            return str(found[0])
        compile_model(knowledge)
    except HepatalkError as error:
        return str(error)
    return ""


def change(folder: Path, file: str, record: str, edit: Callable[[Records], object]) -> None:
    """Change one record of a file by its id, or its number."""
    path = folder / file
    records = yaml.safe_load(path.read_text())
    (hit,) = [r for r in records if record in (r.get("id"), str(r.get("number")), f"{r.get('cell')}.{r.get('id')}")]
    edit(hit)
    path.write_text(yaml.safe_dump(records, sort_keys=False))


def put(*place: str | int, value: Any) -> Callable[[Records], object]:
    """Return an edit that puts a value at a place inside a record."""

    def edit(record: Records) -> None:
        inside: Any = record
        for step in place[:-1]:
            inside = inside[step]
        inside[place[-1]] = value

    return edit


def drop(*place: str | int) -> Callable[[Records], object]:
    """Return an edit that takes a field out."""

    def edit(record: Records) -> None:
        inside: Any = record
        for step in place[:-1]:
            inside = inside[step]
        del inside[place[-1]]

    return edit


def test_the_small_knowledge_is_sound(folder: Path) -> None:
    assert first_complaint(folder) == ""


TERM = ("account", "terms", 0)

#: (file, record, edit, field as named, value as shown, part of what is allowed)
BREAKAGES: dict[str, tuple[str, str, Callable[[Records], object], str, str, str]] = {
    "missing-field": (SIGNALS, "IL6", drop("half_life"), "half_life", "missing", "any half_life"),
    "unknown-field": (SIGNALS, "IL6", put("halflife", value="half_life"), "halflife", "", "half_life"),
    "wrong-type": (PARAMETERS, "gain", put("value", value="much"), "value", "'much'", "number"),
    "text-for-list": (CELLS, "KC", put("zones", value="all"), "zones", "'all'", "tuple"),
    "number-for-text": (NODES, "HEP.STAT3", put("name", value=3), "name", "3", "string"),
    "yes-for-text": (SIGNALS, "LPS", put("name", value=True), "name", "True", "string"),
    "bad-enum": (ROWS, "HEP-KC-01", put("sign", value="up"), "sign", "'up'", "'+', '-', '0' or '?'"),
    "bad-kind-of-signal": (SIGNALS, "IL6", put("kind", value="solubel"), "kind", "'solubel'", "'soluble'"),
    "bad-kind-of-process": (CELLS, "KC", put("processes", 0, "kind", value="jump"),
                          "processes.0", "jump", "'transition'"),
    "bad-kind-of-account": (ROWS, "BG-01", put("account", "kind", value="ignored"), "account", "ignored", "'not_run'"),
    "bad-stages": (CELLS, "HEP", put("states", 1, "stages", value=0), "states.1.stages", "0", "1"),
    "bad-row-id": (ROWS, "BG-01", put("id", value="bg-1"), "id", "'bg-1'", "^[A-Z]"),
    "bad-doi": (SOURCES, "review2022", put("doi", value="doi:10.1186/x"), "doi", "'doi:10.1186/x'", "^10"),
    "bad-pmid": (SOURCES, "review2022", put("pmid", value="PMID 1"), "pmid", "'PMID 1'", "^\\d"),
    "no-evidence": (ROWS, "HEP-KC-02", put("evidence", value=[]), "evidence", "[]", "at least 1"),
    "assumed-without-reason": (PARAMETERS, "half", drop("reason"), "record", "half", "reason"),
    "infinite": (PARAMETERS, "half", put("value", value=float("inf")), "value", "inf", "finite"),
    "outside-prior": (PARAMETERS, "gain", put("value", value=80.0), "value", "80.0", "1 to 8"),
    "wrong-unit": (PARAMETERS, "tau", put("unit", value="1/h"), "unit", "'1/h'", "'h'"),
    "other-scale": (PARAMETERS, "commit_rate", put("unit", value="1/day"), "unit", "'1/day'", "'1/h'"),
    "unknown-unit": (PARAMETERS, "tau", put("unit", value="hourz"), "unit", "'hourz'", "h, 1/h"),
    "unknown-parameter": (ROWS, "HEP-KC-03", put(*TERM, "gain", value="gian"),
                          "account.terms.0.gain", "'gian'", "gain"),
    "unknown-regulator": (ROWS, "HEP-KC-03", put(*TERM, "by", value="signal.IL7"), "account.terms.0.by", "'signal.IL7'",
                          "signal.IL6"),
    "unknown-target": (ROWS, "HEP-KC-03", put(*TERM, "target", value="process.HEP.divided"), "account.terms.0.target",
                       "'process.HEP.divided'", "process.HEP.divide"),
    "unknown-secreting-cell": (ROWS, "HEP-LSEC-02", put(*TERM, "cell", value="LSEK"),
                          "account.terms.0.cell", "'LSEK'", "LSEC"),
    "unknown-gene": (SIGNALS, "HGF", put("genes", value=["HGFF"]), "genes", "'HGFF'", "HGF"),
    "gene-of-a-rat": (SIGNALS, "HGF", put("genes", value=["Hgf"]), "genes", "'Hgf'", "records use the id 'HGF'"),
    "symbol-of-another-species": (GENES, "IL6", put("rat", value="IL6"), "rat", "'IL6'", "'Il6'"),
    "unknown-family": (NODES, "HEP.CCND", put("family", value="CCNE"), "family", "'CCNE'", "CCND"),
    "shares-of-a-family": (FAMILIES, "CCND", put("shares", value=[0.5, 0.1]), "shares", "[0.5, 0.1]", "add up to 1"),
    "unknown-source": (ROWS, "HEP-KC-01", put("evidence", 1, "source", value="cresman1996"),
                          "evidence", "'cresman1996'",
                       "cressman1996"),
    "unknown-reference": (REFERENCES, "1", put("sources", value=["cresman1996"]),
                          "sources", "'cresman1996'", "cressman1996"),
    "unknown-row": (DISPUTES, "D-01", put("rows", value=["HEP-KC-55"]), "rows", "'HEP-KC-55'", "HEP-KC-05"),
    "unknown-hypothesis": (DISPUTES, "D-01", put("hypothesis", value="il6sign"), "hypothesis", "'il6sign'", "il6_sign"),
    "unknown-claim": (ROWS, "HEP-LSEC-03", put("account", "claims", value=["C01"]), "account.claims", "'C01'", "C001"),
    "unknown-setting": (HYPOTHESES, "il6_sign", put("switch", "parameters", value={"gian": 1.0}), "switch.parameters",
                        "'gian'", "gain"),
    "unknown-state": (CELLS, "HEP", put("processes", 0, "to", value="g3"), "processes.commit.to", "'g3'", "g1"),
    "no-mass": (CELLS, "HEP", put("has_mass", value=False), "has_mass", "False", "true"),
    "missing-zone": (CELLS, "KC", put("zones", value=[1, 2]), "zones", "[1, 2]", "[1, 2, 3]"),
    "synonym-of-two": (GLOSSARY, "hepatocyte", put("synonyms", value=["IL-6"]),
                          "synonyms", "'IL-6'", "one record only"),
}  # fmt: skip


@pytest.mark.parametrize("name", BREAKAGES)
def test_a_broken_record(name: str, folder: Path) -> None:
    file, record, edit, field, value, allowed = BREAKAGES[name]
    change(folder, file, record, edit)
    line = first_complaint(folder)
    shown_id = "bg-1" if name == "bad-row-id" else record
    if name == "synonym-of-two":
        shown_id = "interleukin_6"  # the second record that has the name
    assert len(line.splitlines()) == 1
    assert line.startswith(f"{file}: record '{shown_id}': "), line
    assert f"field '{field}" in line, line
    assert value in line, line
    before, _, after = line.partition("allowed")
    assert before, line
    assert allowed in after, line


@pytest.mark.parametrize(
    ("file", "record"),
    [(CELLS, "HEP"), (SIGNALS, "IL6"), (NODES, "STAT3"), (ROWS, "BG-01"), (PARAMETERS, "gain"), (SOURCES, "review2022"),
     (GENES, "HGF"), (GLOSSARY, "hepatocyte"), (FAMILIES, "CCND"), (DISPUTES, "D-01"), (HYPOTHESES, "il6_sign")],
)  # fmt: skip
def test_an_id_used_twice(file: str, record: str, folder: Path) -> None:
    path = folder / file
    records = yaml.safe_load(path.read_text())
    records.append(next(r for r in records if r["id"] == record))
    path.write_text(yaml.safe_dump(records))
    shown_id = f"HEP.{record}" if file == NODES else record
    assert first_complaint(folder) == (
        f"{file}: record '{shown_id}': field 'id': value '{shown_id}' is already used in {file}; "
        "allowed: an id used once; rename one of the two"
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("- id: X\n\tname: y\n", "not valid YAML at line 2", id="tab"),
        pytest.param("id: X\nname: y\n", "holds a dict; allowed: a YAML list of records", id="mapping"),
        pytest.param("just words\n", "holds a str; allowed: a YAML list of records", id="words"),
        pytest.param("- {id: X\n", "not valid YAML at line", id="unclosed"),
        pytest.param("- !!python/object/apply:os.getcwd []\n", "not valid YAML at line 1", id="tag"),
        pytest.param("- just words\n", "record '#1': field 'record': value 'just words'; allowed: ", id="no-record"),
        pytest.param("- id: X\n  name: \0\n", "not valid YAML at", id="control-character"),
    ],
)
def test_a_file_that_is_no_list_of_records(text: str, expected: str, folder: Path) -> None:
    (folder / NODES).write_text(text)
    line = first_complaint(folder)
    assert line.startswith(f"{NODES}: {expected}"), line
    assert len(line.splitlines()) == 1


def test_a_file_that_is_no_text(folder: Path) -> None:
    (folder / NODES).write_bytes(b"- id: \xff\xfe\n")
    assert first_complaint(folder).startswith(f"{NODES}: cannot be read as UTF-8 text (")


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(KnowledgeError, match="does not exist; give a folder laid out like 'data'"):
        load(tmp_path / "none")


@pytest.mark.parametrize(
    ("change_it", "named"),
    [
        pytest.param({"by": "signal.IL7"}, "'signal.IL7' is nothing that zone 1 has; nearest: signal.IL6",
                     id="regulator"),
        pytest.param({"target": "process.HEP.comit"},
                     "'process.HEP.comit' is nothing the model has; nearest: process.HEP.commit", id="target"),
        pytest.param({"gain": "gian"}, "parameter 'gian' has no record; nearest: gain", id="parameter"),
        pytest.param({"effect": "permits"}, "row HEP-KC-03: 'permits' acts on nodes only", id="effect"),
    ],
)  # fmt: skip
def test_the_compiler_says_it_too(change_it: dict[str, str], named: str, folder: Path) -> None:
    """Who compiles without lint gets one line as well."""
    change(folder, ROWS, "HEP-KC-03", lambda r: r["account"]["terms"][0].update(change_it))
    with pytest.raises(KnowledgeError) as caught:
        compile_model(load(folder))
    assert named in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_a_broken_record_of_the_shipped_knowledge(tmp_path: Path) -> None:
    from hepatalk.knowledge.load import default_folder

    shipped = Path(shutil.copytree(default_folder(), tmp_path / "data"))
    change(shipped, GENES, "HGF", put("rat", value="HGF"))
    found = [str(f) for f in lint(load(shipped)) if f.severity == "error"]
    assert found == [
        "genes/genes.yaml: record 'HGF': field 'rat': value 'HGF'; allowed: 'Hgf'; "
        "'HGF' is the human symbol; human symbols are upper case, mouse and rat symbols capitalised"
    ]
