"""What the fields of an experiment have in common: types, allowed values in words, and how an error is carried."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
    model_validator,
)
from pydantic_core import PydanticCustomError

from hepatalk.errors import UnitError
from hepatalk.units import hours_text, parse_hours

__all__ = [
    "AtOnce",
    "Gene",
    "Genes",
    "Hours",
    "Item",
    "Lasting",
    "Name",
    "Names",
    "Record",
    "SignedHours",
    "field",
    "wrong",
]


def field(allowed: str, example: str, **constraints: Any) -> Any:
    """Make a field that knows, for its error messages, which values are allowed and an example to copy."""
    return Field(description=allowed, examples=[example], **constraints)


def wrong(name: str, value: object, allowed: str, step: str) -> PydanticCustomError:
    """Make a pydantic error that carries the parts of the final message."""
    return PydanticCustomError("explained", "", {"field": name, "value": value, "allowed": allowed, "step": step})


def _hours(text: object) -> float:
    try:
        return parse_hours(text)
    except UnitError as error:
        raise PydanticCustomError("time", "{reason}", {"reason": str(error)}) from error


def _signed_hours(text: object) -> float:
    """Read a time that may lie before time zero: ``-24 h``."""
    if isinstance(text, str) and text.lstrip().startswith("-"):
        return -_hours(text.lstrip()[1:]) + 0.0
    return _hours(text)


def _unique(names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        if names.count(name) > 1:
            raise wrong("", name, "every name once", f"remove the second {name}")
    return names


Hours = Annotated[float, BeforeValidator(_hours), PlainSerializer(hours_text)]
SignedHours = Annotated[float, BeforeValidator(_signed_hours), PlainSerializer(hours_text)]
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_.:-]{0,79}$")]
Gene = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9.-]{0,39}(@[A-Za-z][A-Za-z0-9_]{0,39})?$")]
Names = Annotated[tuple[Name, ...], Field(strict=False), AfterValidator(_unique)]
Genes = Annotated[tuple[Gene, ...], Field(strict=False), AfterValidator(_unique)]


class Record(BaseModel):
    """Common rules: nothing can be changed, no unknown field, no silent conversion, no NaN."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)


class Item(Record):
    """What every item has: a time. What is done before time zero is done to a healthy animal."""

    at: SignedHours = field("a time with unit", "at: 0 h")


class Lasting(Item):
    """An item that may end: without `until` it lasts to the end of the experiment."""

    until: SignedHours | None = field("a time with unit, later than 'at'", "until: 48 h", default=None)

    @model_validator(mode="after")
    def _ends_after_it_starts(self) -> Lasting:
        if self.until is not None and self.until <= self.at:
            start = hours_text(self.at)
            raise wrong("until", hours_text(self.until), f"later than 'at' ({start})", "correct one of the two times")
        return self


class AtOnce(Item):
    """An injury of one moment, which may come again: `every` some time, before `until` if that is given."""

    at: Hours = field("a time with unit", "at: 0 h")
    every: Hours | None = field("a time with unit, longer than 0 h", "every: 72 h", default=None, gt=0.0)
    until: Hours | None = field("a time with unit, later than 'at'", "until: 6 week", default=None)

    @model_validator(mode="after")
    def _repeats_make_sense(self) -> AtOnce:
        if self.until is not None and self.every is None:
            raise wrong(
                "until", hours_text(self.until), "'until' only with 'every'", "add 'every', or leave 'until' out"
            )
        if self.until is not None and self.until <= self.at:
            start = hours_text(self.at)
            raise wrong("until", hours_text(self.until), f"later than 'at' ({start})", "correct one of the two times")
        return self
