"""The records as plain values, fast: validated once, then kept as JSON until any record or reader changes.

Reading and checking the YAML takes about half a second, a list of readouts needs a compiled model and takes several.
What comes out is kept in the user's cache folder, named after the content of all files that it was made from. If the
cache cannot be read or written, everything is read anew, and nothing else changes.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hepatalk import _cache

if TYPE_CHECKING:
    from hepatalk.knowledge.load import Knowledge

__all__ = ["KINDS", "records"]

Rows = list[dict[str, Any]]

_KNOWLEDGE = ("cells", "signals", "nodes", "genes", "interactions", "parameters", "hypotheses", "sources")
#: What can be listed, in the order in which it is shown.
KINDS = (
    *("cells", "signals", "nodes", "genes", "interactions", "parameters", "experiments", "claims", "observations"),
    *("readouts", "hypotheses", "sources"),
)
_ROOT = Path(__file__).parents[1]
#: Folders and files that decide what the lists hold.
_MADE_FROM = ("knowledge", "model", "experiments", "cli/index.py", "units.py")
_NAME = re.compile(r"lists-[0-9a-f]{16}")
_KEPT = 2


def records(kind: str) -> Rows:
    """Return all records of a kind as plain values.

    Parameters
    ----------
    kind : str
        One of `KINDS`.

    Returns
    -------
    list of dict

    Raises
    ------
    KnowledgeError
        If a record is malformed.
    """
    folder = _cache.user_cache() / f"lists-{_key()}"
    kept = _read(folder / f"{kind}.json")
    if kept is not None:
        return kept
    made = _made(kind)
    with contextlib.suppress(OSError):  # without a cache the next list takes longer, no more
        fresh = not folder.is_dir()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name, rows in made.items():
            _write(folder / f"{name}.json", rows)
        if fresh:
            _cache.prune(folder.parent, _NAME, _KEPT, spare=folder.name)
    return made[kind]


def _key() -> str:
    """Return a hash of the text of every file that the lists are made from."""
    digest = hashlib.sha256()
    for name in _MADE_FROM:
        top = _ROOT / name
        found = [top] if top.is_file() else [p for p in top.rglob("*") if p.suffix in (".py", ".yaml")]
        for path in sorted(found):
            text = path.read_bytes()
            digest.update(f"{path.relative_to(_ROOT).as_posix()}:{len(text)}:".encode() + text)
    return digest.hexdigest()[:16]


def _read(path: Path) -> Rows | None:
    """Return what is kept, or None if nothing sound is."""
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return content if isinstance(content, list) and all(isinstance(row, dict) for row in content) else None


def _write(path: Path, rows: Rows) -> None:
    """Write a list whole or not at all: another process may read it at this moment."""
    partial = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        partial.write_text(json.dumps(rows, ensure_ascii=False), encoding="utf-8")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _made(kind: str) -> dict[str, Rows]:
    """Return the records of a kind, with those of other kinds that cost nothing more."""
    if kind == "experiments":
        return {kind: _experiments()}
    if kind in ("claims", "observations"):
        from hepatalk.experiments.observations import load_claims, load_observations

        return {kind: _dumped(load_claims() if kind == "claims" else load_observations())}
    from hepatalk.knowledge.load import load

    knowledge = load()
    if kind == "readouts":
        return {kind: _readouts(knowledge)}
    from hepatalk.experiments.statements import switched_on

    found = {name: _dumped(getattr(knowledge, name)) for name in _KNOWLEDGE}
    for row in found["hypotheses"]:
        row["switched_on"] = switched_on(knowledge, knowledge.hypothesis[row["id"]])
    return found


def _dumped(found: Sequence[Any]) -> Rows:
    return [record.model_dump(mode="json") for record in found]


def _experiments() -> Rows:
    from hepatalk.experiments.experiment import catalogue_names, load_experiment

    names = [*catalogue_names(), *(f"phx{percent}" for percent in range(1, 100))]
    return [{"name": name} | load_experiment(name).model_dump(mode="json") for name in names]


def _readouts(knowledge: Knowledge) -> Rows:
    from hepatalk.experiments.readouts import readouts_of
    from hepatalk.model.compiler import compile_model

    found = readouts_of(compile_model(knowledge, lobes=2)).values()
    rows = [
        {"name": r.name, "unit": r.unit, "definition": r.definition, "drivers": [list(d) for d in r.drivers]}
        for r in found
    ]
    alive = {"name": "survived", "unit": "0 or 1", "definition": "1 while the animal lives", "drivers": []}
    return [*rows, alive]
