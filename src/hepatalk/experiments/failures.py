"""Why the model fails where it does: the records of ``failures.yaml``, for both scoreboards.

An explanation says what was seen when the failing runs were looked into. It changes no verdict, and one for a claim or
a row that passes is not shown.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hepatalk.errors import ExperimentError, unknown
from hepatalk.experiments.observations import load_claims, load_observations

__all__ = ["Account", "Failure", "Failures", "account", "load_failures", "parse_failures"]

_FILE = "failures.yaml"


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Failure(_Record):
    """Why one claim or observation fails.

    Attributes
    ----------
    cause : str
        One of the closed list of the file.
    why : str
        What was seen, with the numbers that show it.
    would_help : str or None
        What would mend it.
    """

    cause: str
    why: str = Field(min_length=20)
    would_help: str | None = Field(default=None, min_length=1)


class Failures(_Record):
    """The whole file.

    Attributes
    ----------
    causes : mapping of str to str
        The closed list, each with its meaning.
    claims, observations : mapping of str to Failure
        By id.
    """

    causes: dict[str, str]
    claims: dict[str, Failure]
    observations: dict[str, Failure]


@dataclass(frozen=True)
class Account:
    """What is known of the failures of a scoreboard.

    Attributes
    ----------
    by_cause : tuple of (str, tuple of str)
        Each cause with the failing ids that have it, the most frequent first.
    unexplained : tuple of str
        Failing ids without an explanation.
    passing : tuple of str
        Ids that have an explanation and do not fail.
    """

    by_cause: tuple[tuple[str, tuple[str, ...]], ...]
    unexplained: tuple[str, ...]
    passing: tuple[str, ...]


def parse_failures(content: object) -> Failures:
    """Turn the content of the file into records.

    Raises
    ------
    ExperimentError
        If something does not fit; names the field.
    UnknownNameError
        For a cause that is not on the list, or an id of no claim or observation.
    """
    try:
        found = Failures.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise ExperimentError(f"{_FILE}: {place or 'the file'}: {first['msg']}; correct it") from None
    _check(found.claims, found.causes, "claim", [c.id for c in load_claims()])
    _check(found.observations, found.causes, "observation", [o.id for o in load_observations()])
    return found


def _check(records: Mapping[str, Failure], causes: Iterable[str], kind: str, ids: Sequence[str]) -> None:
    """Raise for an id or a cause that does not exist."""
    for name, record in records.items():
        if name not in ids:
            raise unknown(f"{kind} in {_FILE}", name, ids, f"'hepatalk list {kind}s'")
        if record.cause not in set(causes):
            raise unknown(f"cause of {name} in {_FILE}", record.cause, causes, f"'causes' in {_FILE}")


@cache
def load_failures() -> Failures:
    """Return what is known of failures; raises as `parse_failures`."""
    text = (resources.files("hepatalk.experiments") / "data" / _FILE).read_text(encoding="utf-8")
    return parse_failures(yaml.load(text, Loader=yaml.CSafeLoader))


def account(known: Mapping[str, Failure], failing: Sequence[str], judged: Iterable[str]) -> Account:
    """Hold explanations against what fails.

    Parameters
    ----------
    known : mapping of str to Failure
    failing : sequence of str
        Ids that fail now.
    judged : iterable of str
        Ids that were looked at, failing or not: an explanation of another one is left alone.
    """
    counts = Counter(known[i].cause for i in failing if i in known)
    by_cause = tuple(
        (cause, tuple(i for i in failing if i in known and known[i].cause == cause))
        for cause, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    )
    return Account(
        by_cause,
        tuple(i for i in failing if i not in known),
        tuple(i for i in judged if i in known and i not in failing),
    )
