"""Data files to records: the only reader of the knowledge base.

Layout of a knowledge folder: ``cells/ signals/ nodes/ interactions/ parameters/ sources/ genes/ glossary/`` with any
number of ``.yaml`` files each, plus ``disputes.yaml`` and ``hypotheses.yaml``. Every file is a list of records.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import TypeAdapter, ValidationError

from hepatalk.errors import KnowledgeError, nearest
from hepatalk.knowledge.records import (
    CellType,
    Dispute,
    Family,
    Gene,
    GlossaryEntry,
    Hypothesis,
    Interaction,
    Node,
    Parameter,
    Record,
    ReviewReference,
    Signal,
    Source,
)

__all__ = ["Knowledge", "default_folder", "load"]

R = TypeVar("R", bound=Record)

KINDS: Mapping[str, type[Record]] = {
    "cells": CellType,
    "signals": Signal,
    "nodes": Node,
    "interactions": Interaction,
    "parameters": Parameter,
    "sources": Source,
    "genes": Gene,
    "families": Family,
    "glossary": GlossaryEntry,
    "references": ReviewReference,
    "disputes": Dispute,
    "hypotheses": Hypothesis,
}


@dataclass(frozen=True)
class Knowledge:
    """All records of a knowledge folder, in file order, with look-ups by id."""

    folder: Path
    cells: tuple[CellType, ...]
    signals: tuple[Signal, ...]
    nodes: tuple[Node, ...]
    interactions: tuple[Interaction, ...]
    parameters: tuple[Parameter, ...]
    sources: tuple[Source, ...]
    genes: tuple[Gene, ...]
    families: tuple[Family, ...]
    glossary: tuple[GlossaryEntry, ...]
    references: tuple[ReviewReference, ...]
    disputes: tuple[Dispute, ...]
    hypotheses: tuple[Hypothesis, ...]
    origin: Mapping[tuple[str, str], str]

    @cached_property
    def cell(self) -> Mapping[str, CellType]:
        """Cell types by id."""
        return {r.id: r for r in self.cells}

    @cached_property
    def signal(self) -> Mapping[str, Signal]:
        """Signals by id."""
        return {r.id: r for r in self.signals}

    @cached_property
    def interaction(self) -> Mapping[str, Interaction]:
        """Interactions by row id."""
        return {r.id: r for r in self.interactions}

    @cached_property
    def parameter(self) -> Mapping[str, Parameter]:
        """Parameters by id."""
        return {r.id: r for r in self.parameters}

    @cached_property
    def source(self) -> Mapping[str, Source]:
        """Sources by id."""
        return {r.id: r for r in self.sources}

    @cached_property
    def gene(self) -> Mapping[str, Gene]:
        """Genes by id."""
        return {r.id: r for r in self.genes}

    @cached_property
    def family(self) -> Mapping[str, Family]:
        """Families by id."""
        return {r.id: r for r in self.families}

    @cached_property
    def hypothesis(self) -> Mapping[str, Hypothesis]:
        """Hypotheses by id."""
        return {r.id: r for r in self.hypotheses}

    @cached_property
    def version(self) -> str:
        """First 12 hex digits of a hash over every record: equal on every machine for equal content."""
        payload = {kind: [r.model_dump(mode="json") for r in getattr(self, kind)] for kind in sorted(KINDS)}
        text = json.dumps(payload, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


def default_folder() -> Path:
    """Return the folder of the knowledge base shipped with the package."""
    return Path(str(resources.files("hepatalk.knowledge"))) / "data"


def load(folder: str | Path | None = None) -> Knowledge:
    """Read a knowledge folder.

    Parameters
    ----------
    folder : path, optional
        A folder laid out like the shipped one; the shipped one when omitted.

    Raises
    ------
    KnowledgeError
        One line naming file, record, field, value and what is allowed.
    """
    root = default_folder() if folder is None else Path(folder)
    if not root.is_dir():
        raise KnowledgeError(
            f"knowledge folder {str(root)!r} does not exist; give a folder laid out like {default_folder().name!r}"
        )
    origin: dict[tuple[str, str], str] = {}
    read = {kind: tuple(_read_kind(root, kind, origin)) for kind in KINDS}
    return Knowledge(folder=root, origin=origin, **read)  # type: ignore[arg-type]


def _files(root: Path, kind: str) -> Sequence[Path]:
    """Return the files that hold a kind of record, sorted by name so that order never depends on the machine."""
    special = {
        "disputes": [root / "disputes.yaml"],
        "hypotheses": [root / "hypotheses.yaml"],
        "families": [root / "genes" / "families.yaml"],
        "references": [root / "sources" / "review_references.yaml"],
    }
    if kind in special:
        return [f for f in special[kind] if f.exists()]
    taken = {f for files in special.values() for f in files}
    return [f for f in sorted((root / kind).glob("*.yaml")) if f not in taken]


def _read_kind(root: Path, kind: str, origin: dict[tuple[str, str], str]) -> Iterator[Record]:
    adapter: TypeAdapter[Any] = TypeAdapter(KINDS[kind])
    for path in _files(root, kind):
        shown = str(path.relative_to(root))
        for position, raw in enumerate(_read_list(path, shown)):
            label = _label(raw, kind, position)
            try:
                record = adapter.validate_python(raw)
            except ValidationError as error:
                raise KnowledgeError(_one_line(shown, label, error, KINDS[kind])) from None
            if (kind, label) in origin:
                raise KnowledgeError(
                    f"{shown}: record {label!r}: field 'id': value {label!r} is already used in {origin[kind, label]}; "
                    "allowed: an id used once; rename one of the two"
                )
            origin[kind, label] = shown
            yield record


def _label(raw: Any, kind: str, position: int) -> str:
    """Return what a record is called in messages: its id, with the cell type for nodes, or its place in the file."""
    if not isinstance(raw, dict):
        return f"#{position + 1}"
    name = str(raw.get("id", raw.get("number", f"#{position + 1}")))
    return f"{raw.get('cell')}.{name}" if kind == "nodes" else name


def _read_list(path: Path, shown: str) -> list[Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise KnowledgeError(f"{shown}: cannot be read as UTF-8 text ({error}); save it as plain YAML") from None
    try:
        data = yaml.load(text, Loader=yaml.CSafeLoader)
    except yaml.YAMLError as error:
        place = getattr(error, "problem_mark", None)
        where = f"line {place.line + 1}" if place is not None else "unknown line"
        raise KnowledgeError(
            f"{shown}: not valid YAML at {where} ({getattr(error, 'problem', error)}); mend that line"
        ) from None
    if data is None:
        return []
    if not isinstance(data, list):
        raise KnowledgeError(
            f"{shown}: holds a {type(data).__name__}; allowed: a YAML list of records, each starting with '- id:'"
        )
    return data


def _one_line(shown: str, label: str, error: ValidationError, model: type[Record]) -> str:
    """Turn the first pydantic complaint into: file, record, field, value, allowed values."""
    first = error.errors(include_url=False)[0]
    location = ".".join(str(part) for part in first["loc"]) or "record"
    value = first.get("input")
    if first["type"] == "extra_forbidden":
        name = str(first["loc"][-1])
        known = list(model.model_fields)
        return f"{shown}: record {label!r}: field {name!r}: unknown field; allowed, nearest first: {', '.join(nearest(name, known) or known)}"
    if first["type"] == "missing":
        return f"{shown}: record {label!r}: field {location!r}: value missing; allowed: any {first['loc'][-1]}; add the field"
    allowed = first.get("ctx", {}).get("expected") or first.get("ctx", {}).get("pattern") or first["msg"]
    shown_value = repr(value)
    shown_value = shown_value if len(shown_value) <= 60 else shown_value[:57] + "..."
    return f"{shown}: record {label!r}: field {location!r}: value {shown_value}; allowed: {allowed}"
