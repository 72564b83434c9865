"""Where a result comes from: the question, the model, the software and the sources behind it.

A provenance is written into every saved result and compared with it when the result is read again (see
``docs/file_format.md``), so all of its values are plain JSON values and survive a round trip exactly.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib.metadata
import json
import operator
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from hepatalk.errors import ResultError, nearest, shown

__all__ = ["Provenance", "Scalar", "collect_versions"]

#: What a parameter may be set to in an experiment.
Scalar = float | int | str | bool

#: Distributions whose release can change the numbers of a result, or how its file is read.
_DISTRIBUTIONS = ("hepatalk", "numpy", "scipy", "numba", "scikit-sundae", "xarray", "zarr")


def collect_versions() -> dict[str, str]:
    """Return the releases of Python, of hepatalk and of the libraries that shape a result.

    Returns
    -------
    dict of str to str
        Release by distribution name, ``python`` included; ``'not installed'`` for a distribution without metadata,
        which is what hepatalk itself is when it runs from its source folder.
    """
    return {"python": platform.python_version()} | {name: _release(name) for name in _DISTRIBUTIONS}


@functools.cache
def _release(name: str) -> str:
    """Return the release of a distribution: what is imported stays what it is while the process lives."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _now() -> str:
    """Return the present moment as UTC ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


@dataclass(frozen=True)
class Provenance:
    """Everything needed to ask the same question again.

    Parameters
    ----------
    experiment : str
        Name of the experiment, such as ``'phx70'``.
    title : str
        The experiment in words.
    species : str
        ``'rat'``, ``'mouse'`` or ``'human'``.
    engine : str
        ``'population'`` or ``'lobule'``.
    seed : int
        The user's seed.
    model_hash : str
        Hash of the compiled model.
    knowledge_version : str
        Version of the knowledge records.
    changes : tuple of str
        What the schedule did, one line for each change, in order.
    parameters_set : mapping of str to number or str
        Parameters that the user set, by id.
    knockouts : tuple of str
        ``GENE`` or ``GENE@CELL``, as given.
    hypotheses : tuple of str
        Ids of the alternative hypotheses that were switched on.
    versions : mapping of str to str
        Releases of the software; by default `collect_versions`.
    created : str
        UTC time of the run, ISO 8601; by default now. Given in tests, so that they do not depend on the clock.
    platform : str
        Operating system and processor, without any name of a machine or a user.
    sources : tuple of str
        Ids of the sources that the model cites.

    Raises
    ------
    ResultError
        If a value is not of its kind, or could not be written as JSON (an infinite parameter, for instance).
    """

    experiment: str
    title: str
    species: str
    engine: str
    seed: int
    model_hash: str
    knowledge_version: str
    changes: tuple[str, ...] = ()
    parameters_set: Mapping[str, Scalar] = field(default_factory=dict)
    knockouts: tuple[str, ...] = ()
    hypotheses: tuple[str, ...] = ()
    versions: Mapping[str, str] = field(default_factory=collect_versions)
    created: str = field(default_factory=_now)
    platform: str = field(default_factory=platform.platform)
    sources: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Bring lists, NumPy scalars and the caller's dictionaries into plain values of our own, and check them."""
        for item in dataclasses.fields(self):
            object.__setattr__(self, item.name, _plain(item.name, getattr(self, item.name)))
        try:
            json.dumps(self.to_dict(), allow_nan=False)
        except ValueError as exc:
            raise ResultError(
                "provenance: a parameter was set to a value that is not finite; allowed: finite numbers; "
                f"give another value to one of {', '.join(self.parameters_set)}"
            ) from exc

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON values, in the order of the class.

        Returns
        -------
        dict
            Tuples as lists, mappings as fresh dictionaries.
        """
        record: dict[str, Any] = {}
        for item in dataclasses.fields(self):
            value = getattr(self, item.name)
            if isinstance(value, tuple):
                value = list(value)
            elif isinstance(value, Mapping):
                value = dict(value)
            record[item.name] = value
        return record

    @classmethod
    def from_dict(cls, record: object) -> Provenance:
        """Return the provenance that `to_dict` described.

        Parameters
        ----------
        record : object
            What was read from a file; it is checked field by field.

        Returns
        -------
        Provenance
            Equal to the one that was written.

        Raises
        ------
        ResultError
            If the record is not a mapping, lacks a field, has one too many, or a value is of the wrong kind.
        """
        if not isinstance(record, Mapping):
            raise ResultError(
                f"provenance: expected a mapping of fields, got {shown(record)}; run the experiment again"
            )
        names = [item.name for item in dataclasses.fields(cls)]
        for name in names:
            if name not in record:
                raise ResultError(f"provenance: the field {shown(name)} is missing; run the experiment again")
        for name in record:
            if name not in names:
                raise ResultError(
                    f"provenance: unknown field {shown(name)}; nearest: {', '.join(nearest(str(name), names))}; "
                    "remove the field, or run the experiment again"
                )
        return cls(**record)


def _plain(name: str, value: object) -> object:
    """Return one field as a plain value: ``str``, ``int``, a tuple of ``str`` or a fresh ``dict``."""
    if name == "seed":
        return _plain_seed(value)
    if name in ("changes", "knockouts", "hypotheses", "sources"):
        if isinstance(value, (list, tuple)) and all(isinstance(element, str) for element in value):
            return tuple(str(element) for element in value)
        raise _wrong_kind(name, value, "a list of texts")
    if name in ("parameters_set", "versions"):
        return _plain_mapping(name, value)
    if not isinstance(value, str):
        raise _wrong_kind(name, value, "a text")
    if name == "created":
        _check_utc(value)
    return str(value)


def _plain_seed(value: object) -> int:
    """Return the seed as ``int``; a truth value or a float is a mistake, a NumPy integer is not."""
    if not isinstance(value, bool) and hasattr(value, "__index__"):
        return operator.index(value)
    raise _wrong_kind("seed", value, "an integer")


def _plain_mapping(name: str, value: object) -> dict[str, Scalar]:
    """Return a fresh dictionary of texts to plain scalars (``versions``: to texts)."""
    if not isinstance(value, Mapping):
        raise _wrong_kind(name, value, "a mapping")
    kinds = (str,) if name == "versions" else (str, bool, int, float)
    plain: dict[str, Scalar] = {}
    for key, element in value.items():
        scalar = element.item() if hasattr(element, "item") else element
        if not isinstance(key, str) or not isinstance(scalar, kinds):
            raise _wrong_kind(f"{name}.{key}", element, "a text" if name == "versions" else "a number or a text")
        plain[key] = scalar
    return plain


def _check_utc(created: str) -> None:
    """Refuse a time of creation that is not UTC in ISO 8601: provenances are compared and sorted by it."""
    try:
        moment = datetime.fromisoformat(created)
    except ValueError as exc:
        raise _wrong_kind("created", created, "a time like 2026-01-31T12:00:00+00:00") from exc
    if moment.utcoffset() != timedelta(0):
        raise _wrong_kind("created", created, "a time in UTC like 2026-01-31T12:00:00+00:00")


def _wrong_kind(name: str, value: object, expected: str) -> ResultError:
    """Make the error for a field whose value is of the wrong kind."""
    return ResultError(f"provenance: {shown(name)} is {shown(value)}; allowed: {expected}; correct it, or run again")
