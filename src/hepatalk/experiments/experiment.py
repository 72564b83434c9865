"""An experiment: which animal, what is done to it and when, for how long, and what is read.

An experiment is a small YAML file, or a name of the catalogue. It says nothing about the model; `injuries` turns it
into changes of the model. What is wrong is said in one line: file, field, value, allowed values, next step.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    PlainSerializer,
    StringConstraints,
    Tag,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails, PydanticCustomError

from hepatalk.errors import ExperimentError, UnitError, UnknownNameError, nearest, shown, unknown
from hepatalk.experiments.reading import exists, mapping_of, read_text
from hepatalk.units import hours_text, parse_hours

__all__ = [
    "DEFAULT_READOUTS",
    "Experiment",
    "HoldPortalFlow",
    "Intervention",
    "Neutralise",
    "PartialHepatectomy",
    "ScaleDemand",
    "ScaleInflow",
    "ScheduleItem",
    "SetParameter",
    "Supplement",
    "catalogue_names",
    "experiment_from_mapping",
    "load_experiment",
    "overridden",
    "parse_experiment",
]

#: What the generated experiments phx1 ... phx99 read.
DEFAULT_READOUTS = (
    *("liver_volume", "hepatocyte_count", "hepatocyte_volume", "portal_flow", "function", "survived"),
    *("s_phase.HEP", "s_phase.BEC", "s_phase.LSEC", "s_phase.HSC", "s_phase.KC"),
)

_HOURLY_UNTIL_H = 672.0  # 28 d: finer output early, when the liver changes within hours
_MOST_OUTPUTS = 100_000
_CATALOGUE = Path(__file__).with_name("catalogue")
_LIST = "hepatalk list experiments"


# --- records -------------------------------------------------------------------------------------------------------


def _field(allowed: str, example: str, **constraints: Any) -> Any:
    """Make a field that knows, for its error messages, which values are allowed and an example to copy."""
    return Field(description=allowed, examples=[example], **constraints)


def _wrong(field: str, value: object, allowed: str, step: str) -> PydanticCustomError:
    """Make a pydantic error that carries the parts of the final message."""
    return PydanticCustomError("explained", "", {"field": field, "value": value, "allowed": allowed, "step": step})


def _hours(text: object) -> float:
    try:
        return parse_hours(text)
    except UnitError as error:
        raise PydanticCustomError("time", "{reason}", {"reason": str(error)}) from error


def _unique(names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        if names.count(name) > 1:
            raise _wrong("", name, "every name once", f"remove the second {name}")
    return names


Hours = Annotated[float, BeforeValidator(_hours), PlainSerializer(hours_text)]
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_.:-]{0,79}$")]
Gene = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9.-]{0,39}(@[A-Za-z][A-Za-z0-9_]{0,39})?$")]
Names = Annotated[tuple[Name, ...], Field(strict=False), AfterValidator(_unique)]
Genes = Annotated[tuple[Gene, ...], Field(strict=False), AfterValidator(_unique)]

_FRACTION = {"gt": 0.0, "lt": 1.0}
_FACTOR = {"gt": 0.0, "le": 100.0}
_FACTOR_ALLOWED = "0 < factor <= 100"


class _Record(BaseModel):
    """Common rules: nothing can be changed, no unknown field, no silent conversion, no NaN."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)


class _Item(_Record):
    at: Hours = _field("a time with unit", "at: 0 h")


class _Lasting(_Item):
    """An item that may end: without `until` it lasts to the end of the experiment."""

    until: Hours | None = _field("a time with unit, later than 'at'", "until: 48 h", default=None)

    @model_validator(mode="after")
    def _ends_after_it_starts(self) -> _Lasting:
        if self.until is not None and self.until <= self.at:
            start = hours_text(self.at)
            raise _wrong("until", hours_text(self.until), f"later than 'at' ({start})", "correct one of the two times")
        return self


class PartialHepatectomy(_Item):
    """Removal of a fraction of the liver: 0.70 leaves 30%."""

    injury: Literal["partial_hepatectomy"]
    fraction: float = _field("0 < fraction < 1 (part of the liver removed)", "fraction: 0.70", **_FRACTION)


class Neutralise(_Lasting):
    """A blocking antibody or inhibitor: the free part of a signal is multiplied by 1 - fraction."""

    intervention: Literal["neutralise"]
    signal: Name = _field("the name of a signal (hepatalk list signals)", "signal: IL6")
    fraction: float = _field("0 < fraction < 1 (for a complete block say 0.999)", "fraction: 0.9", **_FRACTION)


class Supplement(_Lasting):
    """More of a signal than the body makes: its free part is multiplied by a factor above 1."""

    intervention: Literal["supplement"]
    signal: Name = _field("the name of a signal (hepatalk list signals)", "signal: HGF")
    factor: float = _field("1 < factor <= 100", "factor: 2", gt=1.0, le=100.0)


class SetParameter(_Item):
    """A parameter of the model gets a new value, for good; a second item may set it back."""

    intervention: Literal["set_parameter"]
    parameter: Name = _field("the name of a parameter (hepatalk list parameters)", "parameter: body.demand")
    value: float = _field("a finite number, in the unit of the parameter", "value: 1.0")


class HoldPortalFlow(_Lasting):
    """The inflow to the whole liver is held at a factor of the healthy one, as by a shunt or a band."""

    intervention: Literal["hold_portal_flow"]
    factor: float = _field(_FACTOR_ALLOWED, "factor: 0.3", **_FACTOR)


class ScaleDemand(_Lasting):
    """The metabolic demand of the body is multiplied by a factor."""

    intervention: Literal["scale_demand"]
    factor: float = _field(_FACTOR_ALLOWED, "factor: 1.5", **_FACTOR)


class ScaleInflow(_Lasting):
    """All blood that enters the liver is multiplied by a factor."""

    intervention: Literal["scale_inflow"]
    factor: float = _field(_FACTOR_ALLOWED, "factor: 1.5", **_FACTOR)


Intervention = Neutralise | Supplement | SetParameter | HoldPortalFlow | ScaleDemand | ScaleInflow

_INJURIES: dict[str, type[_Item]] = {"partial_hepatectomy": PartialHepatectomy}
_INTERVENTIONS: dict[str, type[_Item]] = {
    "neutralise": Neutralise,
    "supplement": Supplement,
    "set_parameter": SetParameter,
    "hold_portal_flow": HoldPortalFlow,
    "scale_demand": ScaleDemand,
    "scale_inflow": ScaleInflow,
}
_KINDS = MappingProxyType({"injury": _INJURIES, "intervention": _INTERVENTIONS})


def _kind(item: object) -> str | None:
    """Return which record an item of the schedule is, as ``injury:NAME`` or ``intervention:NAME``."""
    if isinstance(item, _Item):
        return next(f"{key}:{kind}" for key in _KINDS for kind, cls in _KINDS[key].items() if type(item) is cls)
    if not isinstance(item, Mapping) or ("injury" in item) == ("intervention" in item):
        return None
    key = "injury" if "injury" in item else "intervention"
    return f"{key}:{item[key]}"


ScheduleItem = Annotated[
    Annotated[PartialHepatectomy, Tag("injury:partial_hepatectomy")]
    | Annotated[Neutralise, Tag("intervention:neutralise")]
    | Annotated[Supplement, Tag("intervention:supplement")]
    | Annotated[SetParameter, Tag("intervention:set_parameter")]
    | Annotated[HoldPortalFlow, Tag("intervention:hold_portal_flow")]
    | Annotated[ScaleDemand, Tag("intervention:scale_demand")]
    | Annotated[ScaleInflow, Tag("intervention:scale_inflow")],
    Discriminator(_kind),
]


class Experiment(_Record):
    """One virtual experiment.

    Attributes
    ----------
    title : str
        What is done, in words.
    species : {'rat', 'mouse', 'human'}
        The animal.
    days : float
        Length in days.
    every : float or None
        Output step in hours; None is hourly to 28 d and then daily.
    schedule : tuple of ScheduleItem
        What is done to the animal, in the order of the file; times in hours.
    readouts : tuple of str
        What is read; whether a readout exists is checked when the experiment is run.
    germline : bool
        Whether knock-outs are from birth, so that the animal has its own steady state.
    hypotheses, knockouts : tuple of str
        Alternatives switched on; genes taken away, as ``GENE`` or ``GENE@CELL``.
    set : dict of str to float
        Parameter values that replace the sourced ones from the start, in the unit of each parameter.
    """

    title: Annotated[str, StringConstraints(min_length=1, max_length=200)] = _field(
        "text of 1 to 200 characters", "title: 70% partial hepatectomy"
    )
    species: Literal["rat", "mouse", "human"] = _field("rat, mouse, human", "species: rat", default="rat")
    days: float = _field("0 < days <= 3650", "days: 14", default=14.0, gt=0.0, le=3650.0)
    every: Hours | None = _field("a time with unit, longer than 0 h", "every: 1 h", default=None)
    schedule: Annotated[tuple[ScheduleItem, ...], Field(strict=False)] = _field(
        "a list of injuries and interventions", "schedule: []", default=(), max_length=1000
    )
    readouts: Names = _field(
        "a list of readout names, at least one (hepatalk list readouts)", "readouts: [liver_volume]", min_length=1
    )
    germline: bool = _field("true, false", "germline: false", default=False)
    hypotheses: Names = _field("a list of hypothesis ids", "hypotheses: []", default=())
    knockouts: Genes = _field("a list of GENE or GENE@CELL", "knockouts: [Il6]", default=())
    set: dict[Name, float] = _field("parameter names with finite numbers", "set: {body.demand: 1.0}", default={})

    @model_validator(mode="after")
    def _output_is_bounded(self) -> Experiment:
        if self.every is not None and not self.end_h / _MOST_OUTPUTS <= self.every <= self.end_h:
            allowed = f"{hours_text(self.end_h / _MOST_OUTPUTS)} to {hours_text(self.end_h)}"
            raise _wrong("every", hours_text(self.every), allowed, "write, for example, `every: 1 h`")
        return self

    @property
    def end_h(self) -> float:
        """Length of the experiment in hours."""
        return self.days * 24.0

    def output_times_h(self) -> tuple[float, ...]:
        """Return the times of output in hours: from 0, rising, the end included."""
        if self.every is not None:
            times = _steps(0.0, self.end_h, self.every)
        else:
            times = _steps(0.0, min(self.end_h, _HOURLY_UNTIL_H), 1.0)
            if self.end_h > _HOURLY_UNTIL_H:
                times += _steps(_HOURLY_UNTIL_H, self.end_h, 24.0)
        return (*times, self.end_h)


def _steps(start: float, end: float, step: float) -> tuple[float, ...]:
    """Return start, start + step, ... short of the end; multiples, so that rounding does not add up."""
    count = int((end - start) / step) + 2
    return tuple(time for k in range(count) if (time := start + k * step) < end - 1e-9 * step)


# --- names and files -----------------------------------------------------------------------------------------------


def catalogue_names() -> tuple[str, ...]:
    """Return the names of the experiments kept as files; ``phx1`` to ``phx99`` exist besides."""
    return tuple(sorted(path.stem for path in _CATALOGUE.glob("*.yaml")))


def load_experiment(name_or_path: str | Path) -> Experiment:
    """Return an experiment of the catalogue, or one from a file.

    Parameters
    ----------
    name_or_path : str or Path
        A name such as ``sham``, ``phx70`` (any of phx1 ... phx99) or ``phx70_anti_il6``; or a path, which is what ends
        in .yaml or .yml, contains a folder, or is given as a `Path`.

    Returns
    -------
    Experiment
        Validated.

    Raises
    ------
    UnknownNameError
        If there is no such name.
    ExperimentError
        If the file cannot be read or what it says is not a valid experiment.
    """
    text = str(name_or_path)
    known = catalogue_names()
    if isinstance(name_or_path, Path) or re.search(r"[/\\]|\.ya?ml$", text):
        path = Path(text)
        if path.stem in known and not exists(text):
            raise ExperimentError(f"{shown(text)}: no such file; allowed: an existing file, or the name '{path.stem}'")
        return parse_experiment(read_text(path), text, from_file=True)
    if text in known:
        return parse_experiment(read_text(_CATALOGUE / f"{text}.yaml"), text)
    if match := re.fullmatch(r"phx([-+]?[0-9]+(?:\.[0-9]+)?)%?", text):
        return _phx(text, match[1])
    if exists(text):
        raise ExperimentError(f"{shown(text)} is not an experiment; allowed: a .yaml or .yml file, or a name ({_LIST})")
    raise unknown("experiment", text, [*known, *(f"phx{percent}" for percent in range(1, 100))], _LIST)


def parse_experiment(text: str, where: str, *, from_file: bool = False) -> Experiment:
    """Return the experiment that a YAML text describes.

    Parameters
    ----------
    text : str
        One YAML document.
    where : str
        Name of the text in error messages.
    from_file : bool
        Whether an item that starts at or after the end is refused; a person who wrote one made a mistake.

    Returns
    -------
    Experiment
        Validated.

    Raises
    ------
    ExperimentError
        With one line that names what is wrong.
    """
    experiment = experiment_from_mapping(mapping_of(text, where), where)
    for index, item in enumerate(experiment.schedule if from_file else ()):
        if item.at >= experiment.end_h:
            raise ExperimentError(
                f"{where}: field 'schedule[{index}].at': value {shown(hours_text(item.at))}; "
                f"allowed: before the end of the experiment ({hours_text(experiment.end_h)}); raise days or correct it"
            )
    return experiment


def experiment_from_mapping(data: Mapping[str, object], where: str) -> Experiment:
    """Return the experiment that a mapping describes, such as ``model_dump()`` of another one.

    Parameters
    ----------
    data : mapping
        Field names and values; times as text with units.
    where : str
        Name of the mapping in error messages.

    Returns
    -------
    Experiment
        Validated.

    Raises
    ------
    ExperimentError
        If a field is unknown, missing or has a value that is not allowed.
    """
    try:
        return Experiment.model_validate(dict(data))
    except ValidationError as error:
        details = sorted(error.errors(include_url=False), key=lambda detail: detail["type"] != "extra_forbidden")
        more = f" (and {len(details) - 1} more)" if len(details) > 1 else ""
        raise ExperimentError(f"{where}: {_explain(details[0])}{more}") from error


def overridden(
    experiment: Experiment,
    where: str = "command line",
    *,
    species: str | None = None,
    days: float | None = None,
    every_h: float | None = None,
    knockouts: Sequence[str] = (),
    hypotheses: Sequence[str] = (),
    parameters: Mapping[str, float] | None = None,
) -> Experiment:
    """Return an experiment with some of its fields replaced or added to, validated again.

    Parameters
    ----------
    experiment : Experiment
        Stays as it is.
    where : str
        Name of the origin in error messages.
    species, days, every_h : optional
        Replace the experiment's own; `every_h` is in hours.
    knockouts, hypotheses : sequence of str
        Added to the experiment's own.
    parameters : mapping of str to float, optional
        Added to `Experiment.set`, the new value winning.

    Returns
    -------
    Experiment
        Items of the schedule that now lie after the end stay, and never happen.

    Raises
    ------
    ExperimentError
        If a value is not allowed.
    """
    data = experiment.model_dump()
    data |= {key: value for key, value in (("species", species), ("days", days)) if value is not None}
    if every_h is not None:
        data["every"] = f"{every_h!r} h"
    data["knockouts"] = tuple(dict.fromkeys((*experiment.knockouts, *knockouts)))
    data["hypotheses"] = tuple(dict.fromkeys((*experiment.hypotheses, *hypotheses)))
    data["set"] = experiment.set | dict(parameters or {})
    return experiment_from_mapping(data, where)


def _phx(name: str, percent: str) -> Experiment:
    """Make the experiment phxNN: NN percent of the liver is removed at time zero."""
    if not re.fullmatch(r"[1-9][0-9]?", percent) or name != f"phx{percent}":
        stripped = percent.lstrip("+0")
        step = "for no resection use 'sham'" if not stripped.strip(".0-") else "choose a whole percentage"
        if re.fullmatch(r"[1-9][0-9]?", stripped):
            step = f"write 'phx{stripped}'"
        raise UnknownNameError(f"experiment {shown(name)}; allowed: phx1 to phx99, no leading zero or sign; {step}")
    injury = {"at": "0 h", "injury": "partial_hepatectomy", "fraction": int(percent) / 100.0}
    title = f"{percent}% partial hepatectomy"
    return experiment_from_mapping({"title": title, "schedule": (injury,), "readouts": DEFAULT_READOUTS}, name)


# --- messages ------------------------------------------------------------------------------------------------------


def _explain(detail: ErrorDetails) -> str:
    """Turn one of pydantic's errors into: field, value, allowed values, next step."""
    location, kind, value = detail["loc"], detail["type"], detail["input"]
    inside_item = len(location) > 2 and location[0] == "schedule"
    record = _record(str(location[2])) if inside_item else Experiment
    path = _path(tuple(part for k, part in enumerate(location) if not (inside_item and k == 2)))
    if kind in ("union_tag_not_found", "union_tag_invalid"):
        return _explain_item(path, value)
    if kind == "extra_forbidden":
        fields = list(record.model_fields)
        close = ", ".join(nearest(str(location[-1]), fields, 3))
        return f"unknown field {shown(path)}; nearest: {close}; allowed: {', '.join(fields)}; correct or remove it"
    if kind == "time":
        return f"field {shown(path)}: {detail['msg']}"
    if kind == "explained":
        parts = detail["ctx"]
        full = ".".join(part for part in (path, parts["field"]) if part)
        return f"field {shown(full)}: value {shown(parts['value'])}; allowed: {parts['allowed']}; {parts['step']}"
    field = record.model_fields[str(location[3 if inside_item else 0])]
    allowed, step = field.description, f"write, for example, `{(field.examples or [''])[0]}`"
    if kind == "missing":
        return f"field {shown(path)} is missing; allowed: {allowed}; {step}"
    return f"field {shown(path)}: value {shown(value)}; allowed: {allowed}; {step}"


def _explain_item(path: str, item: object) -> str:
    """Say why an item of the schedule is neither an injury nor an intervention."""
    example = "write, for example, `- {at: 0 h, injury: partial_hepatectomy, fraction: 0.70}`"
    if not isinstance(item, Mapping):
        return f"field {shown(path)}: value {shown(item)}; allowed: a mapping; {example}"
    if ("injury" in item) == ("intervention" in item):
        number = "both" if "injury" in item else "none"
        return f"field {shown(path)} has {number} of 'injury' and 'intervention'; allowed: exactly one; {example}"
    key = "injury" if "injury" in item else "intervention"
    names = nearest(str(item[key]), _KINDS[key], len(_KINDS[key]))
    return f"field {shown(f'{path}.{key}')}: value {shown(item[key])}; allowed: {', '.join(names)}; choose one"


def _record(tag: str) -> type[_Item]:
    """Return the record that a tag of `_kind` stands for."""
    key, _, kind = tag.partition(":")
    return _KINDS[key][kind]


def _path(location: tuple[int | str, ...]) -> str:
    """Write a location the way a person would: ``schedule[0].fraction``."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in location if part != "[key]")
    return "".join(parts).removeprefix(".")
