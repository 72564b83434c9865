"""Reading an experiment file: from a path to text, and from text to one plain mapping.

Files come from anywhere, so nothing in them is trusted: at most 1 MB of UTF-8, one document, no tags, no aliases, no
repeated keys, little nesting. All of this is decided on the stream of YAML events, before anything is built.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from hepatalk.errors import ExperimentError, shown

__all__ = ["exists", "mapping_of", "read_text"]

_LARGEST_FILE = 1_000_000  # bytes; the largest catalogue file has under a thousand
_MOST_EVENTS = 20_000
_DEEPEST = 10


def exists(path: str) -> bool:
    """Return whether there is a file or folder of this name; an impossible name has none."""
    try:
        return bool(path) and Path(path).exists()
    except (OSError, ValueError):  # too long for the system; a null character; not encodable
        return False


def read_text(path: Path) -> str:
    """Return the text of an experiment file.

    Parameters
    ----------
    path : Path
        A file that ends in .yaml or .yml.

    Returns
    -------
    str
        Decoded; a byte-order mark is dropped.

    Raises
    ------
    ExperimentError
        If there is no such file, or it is not a text file of at most 1 MB in UTF-8 that can be read.
    """
    where = shown(str(path))
    try:
        if path.is_dir():
            raise ExperimentError(f"{where} is a folder; allowed: a .yaml or .yml file; give one of its files")
        if path.suffix not in (".yaml", ".yml"):
            raise ExperimentError(f"{where} ends in {shown(path.suffix)}; allowed: .yaml, .yml; rename it")
        if path.exists() and not path.is_file():
            raise ExperimentError(f"{where} is not a regular file; allowed: a .yaml or .yml file; save the text in one")
        with path.open("rb") as stream:
            raw = stream.read(_LARGEST_FILE + 1)
    except FileNotFoundError as error:
        listed = "a name that 'hepatalk list experiments' shows"
        raise ExperimentError(f"{where}: no such file; allowed: an existing .yaml file, or {listed}") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ExperimentError(f"{where} cannot be read: {reason}; check the path and its permissions") from error
    if len(raw) > _LARGEST_FILE:
        raise ExperimentError(f"{where} has more than 1 MB; allowed: a file up to 1 MB; split or shorten it")
    if b"\0" in raw:
        raise ExperimentError(f"{where} is a binary file; allowed: text in UTF-8; save it as a YAML text file")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ExperimentError(f"{where} is not UTF-8 text (byte {error.start}); allowed: UTF-8; save it so") from error


class _Loader(yaml.CSafeLoader):
    """PyYAML's safe loader with the scalars of YAML 1.2 and without repeated keys."""

    # PyYAML follows YAML 1.1, where NO is false, 1:30 is 90, 010 is 8 and 2001-01-01 is a date.
    yaml_implicit_resolvers = {}  # noqa: RUF012

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: dict[str, int] = {}
        for key, _ in node.value:
            line = key.start_mark.line + 1
            if key.tag != "tag:yaml.org,2002:str":
                raise yaml.constructor.ConstructorError(None, None, "a key is not plain text", key.start_mark)
            if key.value in seen:
                problem = f"key {shown(key.value)} appears twice, first on line {seen[key.value]}"
                raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
            seen[key.value] = line
        return super().construct_mapping(node, deep)


_NUMBER_START = list("-+.0123456789")
for _tag, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("int", r"[-+]?(?:0|[1-9][0-9]{0,14})", _NUMBER_START),
    ("float", r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", _NUMBER_START),
    ("float", r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)", _NUMBER_START),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"^(?:{_pattern})$"), _first)


def mapping_of(text: str, where: str) -> dict[str, object]:
    """Return the one mapping that a YAML text holds.

    Parameters
    ----------
    text : str
        One YAML document.
    where : str
        Name of the text in error messages.

    Returns
    -------
    dict
        Keys are text; values are text, numbers, booleans, None, lists and such mappings.

    Raises
    ------
    ExperimentError
        If the text is not YAML, or uses more of YAML than an experiment needs.
    """
    try:
        _refuse_tricks(text, where)
        data = yaml.load(text, Loader=_Loader)  # noqa: S506 - _Loader is a safe loader
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f" (line {mark.line + 1}, column {mark.column + 1})" if mark is not None else ""
        problem = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error)
        raise ExperimentError(f"{where}: not valid YAML: {problem}{place}; correct that line") from error
    except (UnicodeError, ValueError) as error:
        raise ExperimentError(f"{where}: not valid YAML: {error}; remove what is not plain text") from error
    if data is None:
        raise ExperimentError(f"{where} is empty; allowed: a mapping of field names to values; begin with `title: ...`")
    if not isinstance(data, dict):
        kind = "list" if isinstance(data, list) else "single value"
        raise ExperimentError(f"{where} holds a {kind}; allowed: a mapping of field names; begin with `title: ...`")
    return data


def _refuse_tricks(text: str, where: str) -> None:
    """Refuse, from the stream of events and before anything is built, what an experiment never needs."""
    depth = documents = 0
    for count, event in enumerate(yaml.parse(text, Loader=_Loader)):
        problem = ""
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        documents += isinstance(event, yaml.DocumentStartEvent)
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            problem = "an alias or anchor (& or *); write the value out"
        elif (tag := getattr(event, "tag", None)) is not None:
            problem = f"the tag {shown(tag)}; remove it"
        elif depth > _DEEPEST:
            problem = f"more than {_DEEPEST} levels; flatten it"
        elif documents > 1:
            problem = "a second document (---); keep one document in each file"
        elif count > _MOST_EVENTS:
            problem = f"more than {_MOST_EVENTS} entries; shorten it"
        if problem:
            place = f"line {event.start_mark.line + 1} " if event.start_mark is not None else ""
            raise ExperimentError(f"{where}: {place}has {problem} (allowed: plain mappings, lists and values)")
