"""The pages of the crosstalk pairs are those that the knowledge base makes now."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

from hepatalk.knowledge import load

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("pages", ROOT / "scripts" / "make_crosstalk_pages.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def pages(script: ModuleType) -> dict[str, str]:
    found: dict[str, str] = script.pages(load())
    return found


def test_pages_are_current(script: ModuleType, pages: dict[str, str]) -> None:
    assert script.stale(pages, ROOT / "docs" / "crosstalk") == [], "run python scripts/make_crosstalk_pages.py"


def test_check_names_stale_missing_and_surplus_pages(
    script: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert script.main(["--folder", str(tmp_path)]) == 0
    assert script.main(["--check", "--folder", str(tmp_path)]) == 0
    (tmp_path / "hep-kc.md").write_text("edited by hand", encoding="utf-8")
    (tmp_path / "td-oth.md").unlink()
    (tmp_path / "other.md").write_text("of no pair", encoding="utf-8")
    capsys.readouterr()
    assert script.main(["--check", "--folder", str(tmp_path)]) == 1
    named = [line.split()[0] for line in capsys.readouterr().err.splitlines()]
    assert named == ["hep-kc.md", "other.md", "td-oth.md"]
    assert script.main(["--folder", str(tmp_path)]) == 0
    assert script.main(["--check", "--folder", str(tmp_path)]) == 0


def test_every_statement_has_its_place_once(pages: dict[str, str]) -> None:
    headings = [h for text in pages.values() for h in re.findall(r"^## (\S+)$", text, re.MULTILINE)]
    assert sorted(headings) == sorted(row.id for row in load().interactions)


def test_diagrams_name_every_thing_that_they_join(pages: dict[str, str]) -> None:
    drawn = 0
    for text in pages.values():
        for block in re.findall(r"```mermaid\n(.*?)```", text, re.DOTALL):
            known = set(re.findall(r'^  (n\d+)\["[^"]+"\]$', block, re.MULTILINE))
            edges = re.findall(r"^  (n\d+) (?:-->|--x|-\.->) (n\d+)$", block, re.MULTILINE)
            assert edges
            assert {end for edge in edges for end in edge} == known
            assert len(block.splitlines()) == 1 + len(known) + len(edges)
            drawn += 1
    assert drawn >= 11


def test_pages_carry_no_numbers_of_parameters(pages: dict[str, str]) -> None:
    """A new calibration leaves them as they are."""
    row = pages["hep-kc.md"].split("## HEP-KC-07\n")[1].split("\n## ")[0]
    assert "releases TNF (share " in row
    assert "gain gain" in row
    assert not re.search(r" = -?\d", row)


def test_a_statement_names_the_experiment_that_interferes_with_it(pages: dict[str, str]) -> None:
    row = pages["hep-kc.md"].split("## HEP-KC-16\n")[1].split("\n## ")[0]
    assert "tested by: `hepatalk run phx70_anti_il6`" in row
    assert "says: " in row
