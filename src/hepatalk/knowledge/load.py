"""Data files to records: the only reader of the knowledge base.

Layout of a knowledge folder: ``cells/ signals/ nodes/ interactions/ parameters/ sources/ genes/ glossary/`` with any
number of ``.yaml`` files each, plus ``disputes.yaml`` and ``hypotheses.yaml``. Every file is a list of records.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, TypeAdapter, ValidationError

from hepatalk.errors import KnowledgeError, nearest
from hepatalk.knowledge.base import Record
from hepatalk.knowledge.records import (
    ALONE,
    WITH_SOURCE,
    CellType,
    Dispute,
    Family,
    Gene,
    GlossaryEntry,
    Hypothesis,
    Interaction,
    Node,
    Parameter,
    ReviewReference,
    Signal,
    Source,
    SpeciesNumber,
)

__all__ = ["Knowledge", "default_folder", "load"]

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
    """All records of a knowledge folder, in file order, with look-ups by id.

    Attributes
    ----------
    folder : Path
    cells, signals, nodes, interactions, parameters, sources, genes, families, glossary, references, disputes, \
hypotheses : tuple of records
    origin : mapping of (kind, name) to str
        The file in which each record stands, relative to the folder. Nodes are named CELL.NODE, references by number.
    """

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

    Returns
    -------
    Knowledge

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


class _Loader(yaml.CSafeLoader):
    """YAML without objects, in which a key that stands twice is an error: the first value would be lost unseen."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """Return the mapping of a node; raises `yaml.constructor.ConstructorError` for a key that stands twice."""
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    problem = f"key {key.value!r} stands twice"
                    raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
                seen.add(key.value)
        return super().construct_mapping(node, deep=deep)


def _read_list(path: Path, shown: str) -> list[Any]:
    """Return the list in a YAML file; raises `KnowledgeError` with file and line for anything else."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise KnowledgeError(f"{shown}: cannot be read as UTF-8 text ({error}); save it as plain YAML") from None
    try:
        data = yaml.load(text, Loader=_Loader)  # noqa: S506 - a CSafeLoader: it makes no objects
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
    path, place, tags = _place(model, first["loc"])
    start = f"{shown}: record {label!r}"
    context = first.get("ctx", {})
    value = first.get("input")
    match first["type"]:
        case "extra_forbidden":
            known = list((place or model).model_fields)
            near = ", ".join(nearest(path[-1], known) or known)
            return f"{start}: field {'.'.join(path)!r}: unknown field; allowed, nearest first: {near}"
        case "missing":
            return f"{start}: field {'.'.join(path)!r}: value missing; allowed: any {path[-1]}; add the field"
        case "union_tag_invalid" | "union_tag_not_found":
            path.append(context["discriminator"].strip("'"))
            value = context.get("tag")
            allowed = ", ".join(repr(tag) for tag in tags)
            if value is None:
                return f"{start}: field {'.'.join(path)!r}: value missing; allowed: {allowed}; add the field"
        case _:
            allowed = context.get("expected") or context.get("pattern") or first["msg"]
    shown_value = repr(value)
    shown_value = shown_value if len(shown_value) <= 60 else shown_value[:57] + "..."
    return f"{start}: field {'.'.join(path) or 'record'!r}: value {shown_value}; allowed: {allowed}"


def _place(
    model: type[BaseModel], location: Sequence[str | int]
) -> tuple[list[str], type[BaseModel] | None, tuple[str, ...]]:
    """Follow the location of a pydantic complaint into a record.

    Pydantic mixes the names of fields with the tags of unions (``account.terms.terms.0.regulates.gain``); only the
    fields stand in the file.

    Parameters
    ----------
    model : type
        The record in which the location starts.
    location : sequence of str or int

    Returns
    -------
    path : list of str
        Fields and places in lists, as in the file.
    place : type or None
        The record in which the last field stands or should stand; None inside a mapping.
    tags : tuple of str
        The kinds of record that may stand there, where there are several.
    """
    path: list[str] = []
    here: type[BaseModel] | None = model
    inside: type[BaseModel] | None = model
    tagged: dict[str, type[BaseModel]] = {}
    branches = False
    for part in location:
        if isinstance(part, int):
            path.append(str(part))
        elif here is not None:
            path.append(part)
            inside = here
            field = here.model_fields.get(part)
            found = _records_in(field.annotation) if field else []
            here = found[0] if len(found) == 1 else None
            tagged = {tag: r for r in found if "kind" in r.model_fields for tag in _tags(r)}
            branches = field is not None and not found and _is_union(field.annotation)
        elif part in tagged:
            here = inside = tagged[part]
        elif part == WITH_SOURCE:
            here = inside = SpeciesNumber
        elif branches or part in ("[key]", ALONE):
            branches = False
        else:
            path.append(part)
            inside = None
    return path, inside, tuple(tagged)


def _records_in(annotation: Any) -> list[type[BaseModel]]:
    """Return the record classes in a type such as ``tuple[A | B, ...]``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [record for part in get_args(annotation) for record in _records_in(part)]


def _tags(record: type[BaseModel]) -> tuple[str, ...]:
    return get_args(record.model_fields["kind"].annotation)


def _is_union(annotation: Any) -> bool:
    """Return whether a type has several alternatives apart from None, so that pydantic names the one it tried."""
    parts = [part for part in get_args(annotation) if part is not NoneType]
    return get_origin(annotation) in (Union, UnionType) and len(parts) > 1
