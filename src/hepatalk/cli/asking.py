"""What a person asks of a run on the command line: parameters, injuries and interventions as text."""

from __future__ import annotations

import math
from collections.abc import Sequence

from hepatalk.errors import ExperimentError, shown

__all__ = ["assignments", "dish", "items", "pairs"]

_EXAMPLES = {
    "injury": "--injury 'hepatocyte_ablation fraction=0.5 at=0h'",
    "intervention": "--intervene 'deplete cell=KC fraction=0.9 at=48h'",
}
_OPTIONS = {"injury": "--injury", "intervention": "--intervene"}


def assignments(texts: Sequence[str]) -> dict[str, float]:
    """Return the parameters of ``--set PARAM=VALUE``.

    Raises
    ------
    ExperimentError
        For a text that is no assignment of a finite number, or a parameter that is named twice.
    """
    values: dict[str, float] = {}
    for text in texts:
        name, equals, number = text.partition("=")
        allowed = "allowed: PARAM=VALUE with a finite number; write, for example, --set hgf_half_life=0.1"
        try:
            value = float(number)
        except ValueError:
            value = math.nan
        if not (name.strip() and equals and math.isfinite(value)):
            raise ExperimentError(f"--set {shown(text)}; {allowed}")
        if name.strip() in values:
            raise ExperimentError(f"--set names {shown(name.strip())} twice; allowed: each parameter once; remove one")
        values[name.strip()] = value
    return values


def items(injuries: Sequence[str], interventions: Sequence[str]) -> tuple[dict[str, object], ...]:
    """Return items of a schedule from texts such as ``deplete cell=KC fraction=0.9 at=48h``.

    Parameters
    ----------
    injuries, interventions : sequence of str
        A name and its fields; `at` is 0 h where it is left out. A field that maps names to numbers is written
        ``signals=HGF:5,IL6:3``.

    Returns
    -------
    tuple of dict
        As a file has them; the fields are not checked here.

    Raises
    ------
    ExperimentError
        For a text without a name, a part that is no KEY=VALUE, or a key that is given twice.
    """
    texts = [("injury", text) for text in injuries] + [("intervention", text) for text in interventions]
    return tuple(_item(kind, text) for kind, text in texts)


def dish(cells: str | None, medium: str | None) -> dict[str, object]:
    """Return the culture that ``--culture HEP,KC:0.5`` and ``--medium HGF:5,EGF:3`` ask for; empty without both.

    Raises
    ------
    ExperimentError
        For a name or number that cannot be read, or a name that is given twice.
    """
    asked: dict[str, object] = {}
    if cells is not None:
        asked["cells"] = _levels("--culture", cells, 1.0, "--culture HEP,KC:0.5")
    if medium is not None:
        asked["medium"] = _levels("--medium", medium, None, "--medium HGF:5,EGF:3")
    return asked


def _levels(option: str, text: str, otherwise: float | None, example: str) -> dict[str, float]:
    """Return the numbers of ``NAME:NUMBER,...``; a name alone has `otherwise`, if there is one."""
    found: dict[str, float] = {}
    for part in text.split(","):
        name, colon, number = part.strip().partition(":")
        try:
            value = float(number) if colon or otherwise is None else otherwise
        except ValueError:
            value = math.nan
        if not name or not math.isfinite(value):
            form = "NAME:NUMBER,..." if otherwise is None else "NAME or NAME:NUMBER, with commas between"
            raise ExperimentError(f"{option} {shown(text)}; allowed: {form}; write, for example, {example}")
        if name in found:
            raise ExperimentError(f"{option} names {shown(name)} twice; allowed: each name once; remove one")
        found[name] = value
    return found


def _item(kind: str, text: str) -> dict[str, object]:
    option, example = _OPTIONS[kind], f"write, for example, {_EXAMPLES[kind]}"
    name, *parts = text.split() or [""]
    if not name or "=" in name:
        raise ExperimentError(f"{option} {shown(text)} has no name; allowed: NAME KEY=VALUE ...; {example}")
    item: dict[str, object] = {kind: name}
    for part in parts:
        key, equals, value = part.partition("=")
        if not (key and equals and value):
            raise ExperimentError(f"{option} {shown(text)}: {shown(part)} is no KEY=VALUE; {example}")
        if key in item:
            raise ExperimentError(f"{option} {shown(text)} names {shown(key)} twice; allowed: each key once; {example}")
        item[key] = _value(value)
    item.setdefault("at", "0 h")
    return item


def _value(text: str) -> object:
    """Return what a value means: a number, true or false, a mapping of names to numbers, or text."""
    if text in ("true", "false"):
        return text == "true"
    if ":" in text:
        pairs = [pair.partition(":") for pair in text.split(",")]
        return {name: _value(value) for name, _, value in pairs}
    try:
        return float(text)
    except ValueError:
        return text


def pairs(option: str, given: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Return the two names of each CELL:SIGNAL.

    Raises
    ------
    ExperimentError
        If one is not of that form.
    """
    found = []
    for text in given:
        cell, colon, signal = text.partition(":")
        if not (cell and colon and signal):
            raise ExperimentError(f"{option} {shown(text)}; allowed: CELL:SIGNAL, such as HSC:PDGFB; correct it")
        found.append((cell, signal))
    return tuple(found)
