"""What all records are made of: the base class, fields, and where a number comes from."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

__all__ = ["Name", "Number", "Record", "Sourced", "Whole"]


def _no_truth_value(value: object) -> object:
    """Refuse ``true`` and ``yes``, which Python would take for 1."""
    if isinstance(value, bool):
        raise PydanticCustomError("number_wanted", "a number, not true or false")
    return value


Name = Annotated[str, Field(min_length=1)]
Number = Annotated[float, BeforeValidator(_no_truth_value)]
Whole = Annotated[int, BeforeValidator(_no_truth_value)]


class Record(BaseModel):
    """Base of all records: frozen, and an unknown field is an error rather than silently ignored."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)


class Sourced(Record):
    """Where a number comes from.

    ``source`` names `Source` records, or is ``assumed``, ``definition`` (the number follows from what the quantity
    means, as a healthy level of 1 does), either with a written ``reason``, or ``fitted: <script>``. ``prior`` is the
    range (low, high) of a number that may be fitted, in the same unit.
    """

    source: str | tuple[str, ...]
    reason: str | None = None
    prior: tuple[Number, Number] | None = None

    @model_validator(mode="after")
    def _assumed_needs_reason(self) -> Sourced:
        if self.source == "assumed" and not self.reason:
            raise ValueError("a number whose source is 'assumed' needs a written 'reason'")
        return self

    @property
    def sources(self) -> tuple[str, ...]:
        """Return the source ids as a tuple (``assumed``, ``definition`` and ``fitted: ...`` as they stand)."""
        return (self.source,) if isinstance(self.source, str) else self.source
