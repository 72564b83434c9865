"""The JSON Schema files are what the record classes say, and the shipped data fits them."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "make_schema.py"


def generated() -> dict[str, str]:
    spec = importlib.util.spec_from_file_location("make_schema", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return dict(module.schemas())


@pytest.mark.parametrize("name", sorted(generated()))
def test_schema_files_are_up_to_date(name: str) -> None:
    committed = SCRIPT.parent.parent / "docs" / "schema" / name
    assert committed.read_text(encoding="utf-8") == generated()[name], "run scripts/make_schema.py"
