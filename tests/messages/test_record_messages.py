"""Complaints about records: nested fields, kinds, truth values and keys that stand twice."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from hepatalk.errors import KnowledgeError
from hepatalk.knowledge import load

ROWS, PARAMETERS = "interactions/rows.yaml", "parameters/parameters.yaml"


@pytest.fixture
def folder(repository: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(repository / "tests" / "knowledge" / "tiny", tmp_path / "data"))


def complaint(folder: Path, file: str, name: str, **changed: Any) -> str:
    """Change fields of one record (of the first term of a row) and return what loading says."""
    path = folder / file
    records = yaml.safe_load(path.read_text())
    record = next(r for r in records if r["id"] == name)
    (record["account"]["terms"][0] if file == ROWS else record).update(changed)
    path.write_text(yaml.safe_dump(records))
    with pytest.raises(KnowledgeError) as caught:
        load(folder)
    return str(caught.value)


def test_a_misspelt_field_of_a_term_offers_the_fields_of_the_term(folder: Path) -> None:
    line = complaint(folder, ROWS, "HEP-KC-03", gian="gain")
    assert "field 'account.terms.0.gian': unknown field; allowed, nearest first: gain, " in line


def test_an_unknown_kind_of_term_offers_the_kinds(folder: Path) -> None:
    line = complaint(folder, ROWS, "HEP-KC-03", kind="regulate")
    assert "field 'account.terms.0.kind': value 'regulate'; allowed: 'secretes', 'regulates', " in line


@pytest.mark.parametrize("value", [True, False])
def test_a_truth_value_is_no_number(value: bool, folder: Path) -> None:
    line = complaint(folder, PARAMETERS, "gain", value=value)
    assert line.endswith(f"record 'gain': field 'value': value {value}; allowed: a number, not true or false")


def test_a_key_that_stands_twice_is_named_with_its_line(folder: Path) -> None:
    (folder / PARAMETERS).write_text("- id: gain\n  value: 1.0\n  unit: '1'\n  value: 2.0\n")
    with pytest.raises(KnowledgeError) as caught:
        load(folder)
    assert str(caught.value) == f"{PARAMETERS}: not valid YAML at line 4 (key 'value' stands twice); mend that line"


@pytest.mark.parametrize(
    ("stated", "said"),
    [
        ({"value": 2.0}, "field 'species.mouse.source': value missing; allowed: any source; add the field"),
        (
            {"value": 2.0, "source": "assumed"},
            "field 'species.mouse': value {'source': 'assumed', 'value': 2.0}; allowed: Value error, a number whose ",
        ),
        (
            {"value": 2.0, "source": "x", "valu": 1},
            "field 'species.mouse.valu': unknown field; allowed, nearest first: value",
        ),
        (True, "field 'species.mouse': value True; allowed: a number, not true or false"),
        ("much", "field 'species.mouse': value 'much'; allowed: "),
    ],
)
def test_a_species_number_that_does_not_fit_is_named(stated: Any, said: str, folder: Path) -> None:
    line = complaint(folder, PARAMETERS, "gain", species={"mouse": stated})
    assert line.startswith(f"{PARAMETERS}: record 'gain': {said}")
    assert "\n" not in line


def test_a_species_that_is_not_in_the_model_is_named(folder: Path) -> None:
    assert "'rat'" in complaint(folder, PARAMETERS, "gain", species={"dog": 2.0})
