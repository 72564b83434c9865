"""Published measurements, claims and rat group means: the records that runs are compared with.

The records are package data (``hepatalk/experiments/data/*.yaml``). They are read here, checked once, and handed out
frozen; nothing in this module computes a score. All times are hours after the injury; where a source speaks of longer
units, a month is 730 h and a year 8760 h.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from hepatalk.errors import KnowledgeError, nearest, shown

__all__ = [
    "ClaimRecord",
    "GroupPoint",
    "ObservationRecord",
    "Quantity",
    "load_claims",
    "load_observations",
    "load_rat_groups",
]

Topic = Literal[
    "mass_volume_survival",
    "growth_modes",
    "proliferation_timing",
    "signal_timing",
    "haemodynamics_and_volumetry",
    "lsec",
    "perturbations",
    "transdifferentiation",
    "context_numbers",
    "models",
]
Identifier = Annotated[str, Field(pattern=r"^[a-z][a-z0-9]*(_[a-z0-9]+)*$")]
Text = Annotated[str, Field(min_length=1)]

_OBSERVATIONS = "observations.yaml"
_CLAIMS = "claims.yaml"
_RAT_GROUPS = "rat_phx_barnhart2023.yaml"


class _Record(BaseModel):
    """What all records share: they do not change, a field they do not know is an error, numbers are finite."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Quantity(_Record):
    """One number of an observation, in machine-readable form.

    An interval ``a-b`` in the text is its midpoint, with ``spread`` = half its width and ``spread_kind`` = 'range'.
    A one-sided number has a name that ends in ``_lower_bound`` or ``_upper_bound``. A lopsided interval is
    given as separate ``_min`` and ``_max`` (or ``_ci95_low`` and ``_ci95_high``) quantities.

    Attributes
    ----------
    quantity : str
        What was measured, in snake_case; ``_before`` and ``_after`` mark values around an operation whose hour the
        text does not give.
    time_h : float or None
        Hours after the injury; None where the text gives none, or an interval.
    value : float
        The value, in `unit`.
    spread : float or None
        Its spread, in `unit`.
    spread_kind : {'sd', 'sem', 'range', 'unknown'} or None
        What the spread is; 'unknown' where the text shows ± without a word; None exactly if there is no spread.
    n : int or None
        Number of animals or patients, where the row states it for this value.
    unit : str
        Unit of `value` and `spread`; '1' for a plain number.
    """

    quantity: Identifier
    time_h: float | None
    value: float
    spread: Annotated[float, Field(ge=0)] | None
    spread_kind: Literal["sd", "sem", "range", "unknown"] | None
    n: Annotated[int, Field(ge=1)] | None
    unit: Text

    @model_validator(mode="after")
    def _spread_is_named(self) -> Quantity:
        if (self.spread is None) != (self.spread_kind is None):
            raise ValueError("spread and spread_kind come together: give both, or null for both")
        return self


class ObservationRecord(_Record):
    """One published observation, as text and, where sensible, as numbers.

    Attributes
    ----------
    id : str
        Such as 'T1-09'; the number before the dash is the topic's. Gaps in the numbering mean nothing.
    topic : str
        One of the ten topics.
    observable : str
        What was observed.
    species, perturbation, time, unit : str or None
        As the row gives them; None where it gives none.
    value : str
        The value as text.
    source : str or None
        Id of the source record; None where the source is not yet known.
    cited_as : str or None
        The citation in short; None where nothing is known of it.
    how : {'read', 'derived', 'recalled', 'not_found'}
        How the value is known: read in the source, computed from what was read, from memory, or looked for in vain.
    use : {'calibrate', 'validate', 'context', 'recalled'}
        What it may be used for; a recalled value may not calibrate or validate anything.
    quantities : tuple of Quantity
        The numbers in the text; empty where the row is a direction or an outcome in words.
    """

    id: Annotated[str, Field(pattern=r"^T([1-9]|10)-\d\d$")]
    topic: Topic
    observable: Text
    species: Text | None = None
    perturbation: Text | None = None
    time: Text | None = None
    value: Text
    unit: Text | None = None
    source: Identifier | None = None
    cited_as: Text | None = None
    how: Literal["read", "derived", "recalled", "not_found"]
    use: Literal["calibrate", "validate", "context", "recalled"]
    quantities: tuple[Quantity, ...] = ()

    @model_validator(mode="after")
    def _memory_proves_nothing(self) -> ObservationRecord:
        if (self.how == "recalled") != (self.use == "recalled"):
            raise ValueError("a recalled value has use 'recalled', and no other value has: find the source first")
        return self


class ClaimRecord(_Record):
    """One qualitative outcome that the model must show without being told.

    Attributes
    ----------
    id : str
        Such as 'C001'.
    rows : tuple of str
        Ids of the interactions that the claim tests.
    experiment, readout, expected : str
        What is done, what is looked at, and what should be seen: STATED by the review, or IMPLIED by what it states.
    refs : tuple of int
        Numbers of the review's references.
    kind : str
        Sort of outcome, such as 'direction' or 'timing'.
    difficulty : int
        From 1 (easy to pose) to 3.
    """

    id: Annotated[str, Field(pattern=r"^C\d{3}$")]
    rows: Annotated[tuple[Annotated[str, Field(pattern=r"^[A-Z]+(-[A-Z]+)*-\d\d$")], ...], Field(min_length=1)]
    experiment: Text
    readout: Text
    expected: Text
    refs: tuple[Annotated[int, Field(ge=1)], ...]
    kind: Literal["direction", "necessity", "number", "phenotype", "redundancy", "sufficiency", "threshold", "timing"]
    difficulty: Annotated[int, Field(ge=1, le=3)]


class GroupPoint(_Record):
    """Mean of one quantity over one group of rats at one time.

    Attributes
    ----------
    source : str
        Id of the source record.
    diet : {'Chow', 'Carbohydrate'}
        Diet of the group.
    sex : {'Male', 'Female', 'both'}
        Sex of the group; 'both' pools the animals, it does not average the two means.
    time_h : float
        Hours after partial hepatectomy; -24 is the day before.
    quantity, unit : str
        What was measured, and its unit.
    mean, median : float
        Over the animals of the group, in `unit`, rounded to four significant digits.
    sd : float or None
        Sample standard deviation (n - 1) in `unit`; None for a single animal.
    n : int
        Number of animals that have the value.
    """

    source: Identifier
    diet: Literal["Chow", "Carbohydrate"]
    sex: Literal["Male", "Female", "both"]
    time_h: float
    quantity: Identifier
    unit: Text
    mean: float
    sd: Annotated[float, Field(ge=0)] | None
    median: float
    n: Annotated[int, Field(ge=1)]

    @model_validator(mode="after")
    def _one_animal_has_no_sd(self) -> GroupPoint:
        if (self.sd is None) != (self.n == 1):
            raise ValueError("sd is null for a single animal, and a number for more")
        return self


class _GroupQuantity(_Record):
    """Unit and definition of a quantity of the rat file."""

    unit: Text
    definition: Text


class _GroupHeader(_Record):
    """The rat file without its points: where they come from, and what was measured."""

    source: Identifier
    licence: Text
    subject: Text
    quantities: dict[Identifier, _GroupQuantity]


_R = TypeVar("_R", bound=_Record)


def load_observations() -> tuple[ObservationRecord, ...]:
    """Return the published observations.

    Returns
    -------
    tuple of ObservationRecord
        304 records with unique ids, in the order of the file (by topic).

    Raises
    ------
    KnowledgeError
        If a record is malformed or an id occurs twice.
    """
    records = _parse_list(ObservationRecord, _read(_OBSERVATIONS), _OBSERVATIONS)
    _refuse_repeats([record.id for record in records], _OBSERVATIONS)
    return records


def load_claims() -> tuple[ClaimRecord, ...]:
    """Return the claims of the review.

    Returns
    -------
    tuple of ClaimRecord
        98 records with unique ids, in the order of the file.

    Raises
    ------
    KnowledgeError
        If a record is malformed or an id occurs twice.
    """
    records = _parse_list(ClaimRecord, _read(_CLAIMS), _CLAIMS)
    _refuse_repeats([record.id for record in records], _CLAIMS)
    return records


def load_rat_groups() -> tuple[GroupPoint, ...]:
    """Return the group means of rats after 70% partial hepatectomy.

    Returns
    -------
    tuple of GroupPoint
        One point per quantity, diet, sex and time at which at least one animal was measured.

    Raises
    ------
    KnowledgeError
        If the file is malformed, a point has a quantity without unit, or a group occurs twice.

    Notes
    -----
    The portal flow of this study is per volume of the liver that is left, not the total inflow: it equals mean velocity
    x vessel cross-section / liver volume. ``total_portal_inflow_ratio`` is the total.

    References
    ----------
    Barnhart et al. 2023, Front Physiol 14:1102393, doi:10.3389/fphys.2023.1102393 (CC BY).
    """
    return _parse_groups(_read(_RAT_GROUPS), _RAT_GROUPS)


def _read(name: str) -> object:
    """Return the content of a package data file."""
    path = resources.files("hepatalk") / "experiments" / "data" / name
    try:
        # CSafeLoader is a safe loader: it makes plain values only.
        return yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    except (OSError, yaml.YAMLError) as error:
        raise KnowledgeError(f"cannot read {name}: {error}; restore the file or install hepatalk again") from error


def _parse_list(model: type[_R], content: object, file: str) -> tuple[_R, ...]:
    """Turn the content of a file into records of one model."""
    if not isinstance(content, list):
        raise KnowledgeError(f"{file} holds {shown(content)}; allowed: a list of {model.__name__}")
    return tuple(_parse(model, item, file, f"record {position}") for position, item in enumerate(content, start=1))


def _parse_groups(content: object, file: str) -> tuple[GroupPoint, ...]:
    """Turn the content of the rat file into points that carry its source and their units."""
    if not isinstance(content, Mapping) or not isinstance(content.get("points"), list):
        raise KnowledgeError(f"{file} has no list 'points'; add it below 'quantities'")
    header = _parse(_GroupHeader, {key: value for key, value in content.items() if key != "points"}, file, "header")
    points: list[GroupPoint] = []
    for position, item in enumerate(content["points"], start=1):
        name = item.get("quantity") if isinstance(item, Mapping) else None
        if name not in header.quantities:
            close = ", ".join(nearest(str(name), header.quantities))
            raise KnowledgeError(
                f"{file}, point {position}: unknown quantity {shown(name)}; allowed: {close}; "
                "correct it, or add it to 'quantities' with its unit"
            )
        filled = {**item, "source": header.source, "unit": header.quantities[name].unit}
        points.append(_parse(GroupPoint, filled, file, f"point {position}"))
    _refuse_repeats([f"{p.quantity} {p.diet} {p.sex} {p.time_h:g} h" for p in points], file)
    return tuple(points)


def _parse(model: type[_R], item: object, file: str, where: str) -> _R:
    """Turn one item into a record, or say in one line what is wrong with it."""
    try:
        return model.model_validate(item)
    except ValidationError as error:
        name = item.get("id") if isinstance(item, Mapping) else None
        place = f"{file}, {where}" + (f" ({name})" if name is not None else "")
        raise KnowledgeError(f"{place}: {_explain(error)}; correct the record") from error


def _explain(error: ValidationError) -> str:
    """Say the first fault that pydantic found: the field, the value, and what is allowed, the nearest first."""
    first: Mapping[str, Any] = error.errors(include_url=False)[0]
    field = ".".join(str(part) for part in first["loc"]) or "the record"
    if first["type"] == "literal_error":
        allowed = re.findall(r"'([^']*)'", first["ctx"]["expected"])
        ranked = nearest(str(first["input"]), allowed, n=len(allowed))
        return f"{field} is {shown(first['input'])}; allowed: {', '.join(ranked)}"
    if first["type"] in {"missing", "extra_forbidden"}:
        return f"{field}: {first['msg']}"
    # The whole record is no help in a message about how its fields fit together.
    value = "" if first["type"] == "value_error" else f" is {shown(first['input'])}"
    return f"{field}{value}: {first['msg']}"


def _refuse_repeats(keys: Sequence[str], file: str) -> None:
    """Raise if a key occurs twice."""
    seen: set[str] = set()
    for key in keys:
        if key in seen:
            raise KnowledgeError(f"{file}: {shown(key)} occurs twice; each is allowed once: remove or rename one")
        seen.add(key)
