"""An experiment: which animal, what is done to it and when, for how long, and what is read.

An experiment is a small YAML file, or a name of the catalogue. It says nothing about the model; `injuries` turns it
into changes of the model. What is wrong is said in one line: file, field, value, allowed values, next step.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, ValidationError, model_validator
from pydantic_core import ErrorDetails

from hepatalk.errors import ExperimentError, UnknownNameError, nearest, shown, unknown
from hepatalk.experiments.culture import Culture
from hepatalk.experiments.fields import Genes, Hours, Name, Names, Record, field, wrong
from hepatalk.experiments.items import KINDS, ScheduleItem, record_of
from hepatalk.experiments.lobes import names_a_lobe
from hepatalk.experiments.reading import exists, mapping_of, read_text
from hepatalk.units import hours_text

__all__ = [
    "DEFAULT_READOUTS",
    "Experiment",
    "catalogue_names",
    "experiment_from_mapping",
    "load_experiment",
    "overridden",
    "parse_experiment",
    "with_items",
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


class Experiment(Record):
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
    culture : Culture or None
        Cells in a dish instead of an animal, from some time on.
    """

    title: Annotated[str, StringConstraints(min_length=1, max_length=200)] = field(
        "text of 1 to 200 characters", "title: 70% partial hepatectomy"
    )
    species: Literal["rat", "mouse", "human"] = field("rat, mouse, human", "species: rat", default="rat")
    days: float = field("0 < days <= 3650", "days: 14", default=14.0, gt=0.0, le=3650.0)
    every: Hours | None = field("a time with unit, longer than 0 h", "every: 1 h", default=None)
    schedule: Annotated[tuple[ScheduleItem, ...], Field(strict=False)] = field(
        "a list of injuries and interventions", "schedule: []", default=(), max_length=1000
    )
    readouts: Names = field(
        "a list of readout names, at least one (hepatalk list readouts)", "readouts: [liver_volume]", min_length=1
    )
    germline: bool = field("true, false", "germline: false", default=False)
    hypotheses: Names = field("a list of hypothesis ids", "hypotheses: []", default=())
    knockouts: Genes = field("a list of GENE or GENE@CELL", "knockouts: [Il6]", default=())
    set: dict[Name, float] = field("parameter names with finite numbers", "set: {body.demand: 1.0}", default={})
    culture: Culture | None = field(
        "a mapping of what the dish holds", "culture: {cells: [HEP, KC], medium: {EGF: 1}}", default=None
    )

    @model_validator(mode="after")
    def _output_is_bounded(self) -> Experiment:
        if self.every is not None and not self.end_h / _MOST_OUTPUTS <= self.every <= self.end_h:
            allowed = f"{hours_text(self.end_h / _MOST_OUTPUTS)} to {hours_text(self.end_h)}"
            raise wrong("every", hours_text(self.every), allowed, "write, for example, `every: 1 h`")
        return self

    @property
    def end_h(self) -> float:
        """Length of the experiment in hours."""
        return self.days * 24.0

    @property
    def lobes(self) -> int:
        """How many lobes the liver needs: 2 where the experiment names one of them."""
        return 2 if names_a_lobe(self.schedule, (*self.readouts, *self.set)) else 1

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
    if from_file:
        _refuse_late(experiment, where)
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
    culture: Mapping[str, object] | None = None,
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
    culture : mapping, optional
        Fields of `Culture` that replace the experiment's own, or make a culture of it.

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
    if culture:
        data["culture"] = {**(data["culture"] or {}), **culture}
    return experiment_from_mapping(data, where)


def with_items(experiment: Experiment, items: Sequence[Mapping[str, object]], where: str) -> Experiment:
    """Return an experiment with more items in its schedule, validated again.

    Parameters
    ----------
    experiment : Experiment
        Stays as it is.
    items : sequence of mapping
        As in the schedule of a file.
    where : str
        Name of the origin in error messages.

    Raises
    ------
    ExperimentError
        If an item is not valid, or begins at or after the end.
    """
    if not items:
        return experiment
    data = experiment.model_dump()
    known = len(data["schedule"])
    posed = experiment_from_mapping({**data, "schedule": (*data["schedule"], *items)}, where)
    _refuse_late(posed, where, known)
    return posed


def _refuse_late(experiment: Experiment, where: str, first: int = 0) -> None:
    """Raise for an item, from position `first` on, that would never happen."""
    for index, item in enumerate(experiment.schedule):
        if index >= first and item.at >= experiment.end_h:
            raise ExperimentError(
                f"{where}: field 'schedule[{index}].at': value {shown(hours_text(item.at))}; "
                f"allowed: before the end of the experiment ({hours_text(experiment.end_h)}); raise days or correct it"
            )


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
    inside_dish = len(location) > 1 and location[0] == "culture"
    record = record_of(str(location[2])) if inside_item else Culture if inside_dish else Experiment
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
    field = record.model_fields[str(location[3 if inside_item else 1 if inside_dish else 0])]
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
    other = "intervention" if key == "injury" else "injury"
    if str(item[key]) in KINDS[other]:
        return f"field {shown(f'{path}.{key}')}: {shown(item[key])} is an {other}; allowed: {other}; write it there"
    names = nearest(str(item[key]), KINDS[key], len(KINDS[key]))
    return f"field {shown(f'{path}.{key}')}: value {shown(item[key])}; allowed: {', '.join(names)}; choose one"


def _path(location: tuple[int | str, ...]) -> str:
    """Write a location the way a person would: ``schedule[0].fraction``."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in location if part != "[key]")
    return "".join(parts).removeprefix(".")
