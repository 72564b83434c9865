"""How each observation is scored: the records of ``score_rows.yaml``. The rules are in SCORING.md."""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from hepatalk.errors import ExperimentError
from hepatalk.experiments.bands import Scale, SpreadKind
from hepatalk.experiments.posing import Reduce

__all__ = ["Check", "Reading", "RowReduce", "ScoreRow", "ScoreRows", "load_rows", "parse_rows"]

_FILE = "score_rows.yaml"

RowReduce = (
    Reduce
    | Literal["rise", "regained", "waves", "first_max_h", "steepest_h", "reaches_h", "rise_h", "falls_h", "onset_h"]
    | Literal["death_h", "doubling_h"]
)


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Reading(_Record):
    """A number taken from a run, or a plain number; what is not said is as in the check that it belongs to.

    Attributes
    ----------
    run : str or None
    readout : str, tuple of str or None
        Several are added up.
    reduce : str or None
    at_h, level, value : float or None
    """

    run: str | None = None
    readout: str | tuple[str, ...] | None = None
    reduce: RowReduce | None = None
    at_h: float | None = None
    level: float | None = None
    value: float | None = None


class Check(_Record):
    """One thing that the runs must show: reading / over - minus + offset, in a band or beside a control.

    Attributes
    ----------
    compare : {'band', 'least', 'most', 'greater', 'less', 'about'}
        The first three need `value` and `scale`, the others `than`.
    value, spread : float or None
        What the source states.
    margin : float
        Of 'greater', 'less' and 'about', as a fraction of the control.
    """

    run: str
    readout: str | tuple[str, ...]
    reduce: RowReduce
    at_h: float | None = None
    level: float | None = None
    over: Reading | None = None
    minus: Reading | None = None
    offset: float = 0.0
    compare: Literal["band", "least", "most", "greater", "less", "about"] = "band"
    value: float | None = None
    scale: Scale | None = None
    spread: float | None = Field(default=None, ge=0.0)
    spread_kind: SpreadKind | None = None
    than: Reading | None = None
    margin: float = 0.05

    @model_validator(mode="after")
    def _has_what_it_is_compared_with(self) -> Check:
        banded = self.compare in ("band", "least", "most")
        if banded != (self.value is not None and self.scale is not None) or banded == (self.than is not None):
            raise ValueError(f"compare {self.compare!r} needs {'value and scale' if banded else 'than'} and no other")
        if (self.spread is None) != (self.spread_kind is None):
            raise ValueError("spread and spread_kind come together")
        return self


class ScoreRow(_Record):
    """How one observation is scored, or why it cannot be.

    Attributes
    ----------
    id : str
        Of the observation.
    reason : str or None
        Of the closed list; None where the row is or will be scored.
    awaits : tuple of str
        Experiments or interventions that this version may not have.
    duplicate_of, contradicts : str or None
        Another row.
    cross_species : str or None
        The animal of the row, where its runs are on another.
    """

    id: str
    reason: str | None = None
    note: str | None = None
    awaits: tuple[str, ...] = ()
    duplicate_of: str | None = None
    contradicts: str | None = None
    cross_species: str | None = None
    checks: tuple[Check, ...] = ()

    @model_validator(mode="after")
    def _is_scored_or_not(self) -> ScoreRow:
        if (self.reason is None) != bool(self.checks or self.awaits):
            raise ValueError("a row has checks or awaits something, or else one reason")
        if (self.duplicate_of is None) != (self.reason != "duplicate_of"):
            raise ValueError("reason duplicate_of and the field duplicate_of come together")
        return self

    @property
    def runs(self) -> tuple[str, ...]:
        """Names of the runs that the row needs, each once."""
        named = [x for c in self.checks for x in (c.run, *(r.run for r in (c.over, c.minus, c.than) if r is not None))]
        return tuple(dict.fromkeys(x for x in named if x is not None))


class ScoreRows(_Record):
    """The whole file: reasons with their meaning, runs by name, and a row for each observation."""

    reasons: dict[str, str]
    runs: dict[str, dict[str, Any]]
    rows: tuple[ScoreRow, ...]

    @model_validator(mode="after")
    def _names_exist(self) -> ScoreRows:
        for row in self.rows:
            if row.reason is not None and row.reason not in self.reasons:
                raise ValueError(f"{row.id}: reason {row.reason!r}; allowed: {', '.join(self.reasons)}")
            for name in row.runs:
                if name not in self.runs:
                    raise ValueError(f"{row.id}: run {name!r} is not among 'runs'")
        return self


def parse_rows(content: object) -> ScoreRows:
    """Turn the content of the file into records.

    Raises
    ------
    ExperimentError
        If something does not fit; names the field.
    """
    try:
        return ScoreRows.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise ExperimentError(f"{_FILE}: {place or 'the file'}: {first['msg']}; correct it") from None


@cache
def load_rows() -> ScoreRows:
    """Return how each observation is scored, in the order of the observations."""
    text = (resources.files("hepatalk.experiments") / "data" / _FILE).read_text(encoding="utf-8")
    return parse_rows(yaml.load(text, Loader=yaml.CSafeLoader))
