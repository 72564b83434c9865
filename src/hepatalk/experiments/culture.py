"""Cells in a dish: which cells, what is in the medium, and what a schedule can and cannot ask of them.

The model knows no culture. When the cells are put into the dish, all that the animal was to them ends: the cell types
that are not chosen have no cells, blood no longer comes, signals and matrix are washed away, oxygen comes with the air,
and each cell is offered the same work however many there are. All of it is `Change`, as for any injury:

=======================  =========================================================================================
chosen cells             as many as stated, x those of a healthy liver, in the states in which they were taken
other cells              none
signals, stores, dead    0, but for what the medium brings; matrix is digested to get the cells
body.inflow, .arterial   0: no flow, no shear, nothing that blood carries
body.oxygen_beside_blood `oxygen`: the supply that the cells have in a liver, unless stated otherwise
body.demand_shared       0: load is `body.demand` for each unit of mass; a medium does not run short
body.space               fluid beside the cells, so that cells and medium have `space` x the volume of a liver
lethal_deficit           out of reach: there is nobody who could die
=======================  =========================================================================================

A signal that is held in the medium is set to its level, and its release, clearance and binding to matrix are slowed to
nothing, as if the medium were renewed all the time; one given once is set and left to the cells.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StringConstraints

from hepatalk.errors import ExperimentError, UnknownNameError, nearest, shown
from hepatalk.experiments.fields import Hours, Item, Lasting, Name, Record, SignedHours, field
from hepatalk.model.compiled import CompiledModel
from hepatalk.model.schedule import Change
from hepatalk.model.visitors import VISITORS
from hepatalk.units import hours_text

__all__ = [
    "SEEDED",
    "ConditionedMedium",
    "Culture",
    "Medium",
    "culture_changes",
    "refuse_in_culture",
]

#: With this the line of a run's changes begins that tells that it is a culture.
SEEDED = "cells put into a dish:"
#: Turnover of a signal that is held, x its own: small enough that nothing moves it within years.
_STILL = 1e-9
#: A shortfall of function that no run reaches, in h.
_NOBODY_DIES_H = 1e12
_ALLOWED_CELLS = "names of cell types, or names with a number above 0 up to 100 (x the cells of a healthy liver)"
_LEVELS_ALLOWED = "names of signals, each with a level: 0 <= level <= 1000 (x the healthy level in the liver)"
#: What an item of a schedule can still do when the cells are in a dish.
_IN_A_DISH = frozenset(
    (
        *("hepatocyte_ablation", "duct_injury", "block_division", "neutralise", "supplement", "recombinant"),
        *("transfer_exosomes", "knock_down", "overexpress", "deplete", "label", "deplete_matrix", "set_parameter"),
        *("scale_demand", "medium", "conditioned_medium"),
    )
)
#: Parameters that the dish itself sets.
_OF_THE_DISH = (
    *("body.inflow", "body.inflow_answers", "body.arterial_inflow", "body.oxygen_beside_blood", "body.demand_shared"),
    *("body.release", "body.space", "lethal_deficit"),
)

Cell = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Za-z0-9_]{0,39}$")]
_Level = Annotated[float, Field(ge=0.0, le=1000.0)]


def _numbered(cells: Any) -> Any:
    """Read a list of cell types as one liver's worth of each."""
    if isinstance(cells, (list, tuple)) and all(isinstance(c, str) for c in cells) and len(set(cells)) == len(cells):
        return dict.fromkeys(cells, 1.0)
    return cells


class Culture(Record):
    """Cells taken out of the animal and put into a dish.

    Attributes
    ----------
    cells : dict of str to float
        Cell types and how many, x those of a healthy liver.
    at : float
        When, in hours; before that the schedule acts on the animal. Cells settle until time zero where it is negative.
    medium : dict of str to float
        Levels of signals in the medium from then on, x the healthy level in the liver.
    held : bool
        Whether these levels are held, or given once.
    space : float
        Volume of cells and medium together, x that of a healthy liver.
    oxygen : float
        Supply of oxygen, x that of a healthy liver.
    """

    cells: Annotated[dict[Cell, Annotated[float, Field(gt=0.0, le=100.0)]], BeforeValidator(_numbered)] = field(
        _ALLOWED_CELLS, "cells: [HEP, KC]", min_length=1
    )
    at: SignedHours = field("a time with unit", "at: -24 h", default=-24.0)
    medium: dict[Name, _Level] = field(_LEVELS_ALLOWED, "medium: {EGF: 1}", default={})
    held: bool = field("true, false", "held: true", default=True)
    space: float = field(
        "0 < space <= 10000 (volume of cells and medium, x a healthy liver)",
        "space: 1",
        default=1.0,
        gt=0.0,
        le=10_000.0,
    )
    oxygen: float = field("0 <= oxygen <= 10 (supply, x that of a liver)", "oxygen: 1", default=1.0, ge=0.0, le=10.0)


class Medium(Lasting):
    """Signals in the medium of a dish get stated levels; at `until` they are what they are in the medium of the dish.

    `held` keeps the levels, as by a medium that is renewed all the time; otherwise the cells use and add to them.
    """

    intervention: Literal["medium"]
    signals: dict[Name, _Level] = field(_LEVELS_ALLOWED, "signals: {HGF: 5}", min_length=1)
    held: bool = field("true, false", "held: false", default=False)


class ConditionedMedium(Lasting):
    """The medium of another culture: what is dissolved in it, not what sits on cells or in matrix.

    `source` is a culture of the catalogue, a YAML file or the folder of a saved run; `after` the time of its run at
    which its medium is taken (its end when left out); `fraction` its share in the medium, the rest being that of this
    dish. `levels` are those of the signals in it; they are found when the experiment is run.
    """

    intervention: Literal["conditioned_medium"]
    source: Annotated[str, StringConstraints(min_length=1, max_length=500)] = field(
        "a culture of the catalogue, a YAML file, or the folder of a saved run", "source: hsc_culture"
    )
    after: Hours | None = field("a time with unit, within the run of the source", "after: 48 h", default=None)
    fraction: float = field(
        "0 < fraction <= 1 (share of conditioned medium)", "fraction: 1.0", default=1.0, gt=0.0, le=1.0
    )
    held: bool = field("true, false", "held: false", default=False)
    levels: dict[Name, _Level] | None = field(_LEVELS_ALLOWED, "levels: {HGF: 1.2}", default=None)


# --- what cannot be asked ------------------------------------------------------------------------------------------


def _kind(item: Item) -> str:
    return str(getattr(item, "injury", None) or getattr(item, "intervention", None))


def refuse_in_culture(culture: Culture | None, schedule: Sequence[Item], names: Collection[str]) -> None:
    """Raise for what a dish cannot have done to it, and for what only a dish can.

    Parameters
    ----------
    culture : Culture or None
    schedule : sequence of Item
    names : collection of str
        Parameters that the experiment sets from the start.

    Raises
    ------
    ExperimentError
        If a medium is changed where there is none; if something is done to vessels, ducts, lobes or body, which cells
        in a dish do not have; if an item names cells that are not in the dish, or a parameter that the dish sets.
    """
    for index, item in enumerate(schedule):
        in_dish = culture is not None and (item.at >= culture.at or _lasts_into(item, culture.at))
        if isinstance(item, (Medium, ConditionedMedium)) and (culture is None or item.at < culture.at):
            raise ExperimentError(_no_dish(index, item, culture))
        if culture is None or not in_dish:
            continue
        if _kind(item) not in _IN_A_DISH:
            allowed = ", ".join(sorted(_IN_A_DISH))
            raise ExperimentError(
                f"schedule[{index}]: {_kind(item)} at '{hours_text(item.at)}' cannot be done to cells in a dish; "
                f"allowed: {allowed}; take it out, or let it end before the cells are taken: "
                f"'{hours_text(culture.at)}'"
            )
        cell = getattr(item, "cell", None) or {"hepatocyte_ablation": "HEP", "duct_injury": "BEC"}.get(_kind(item))
        if cell is not None and cell not in (*culture.cells, "BIP"):
            raise ExperimentError(
                f"schedule[{index}]: {_kind(item)} needs {cell}, of which there are none in the dish; "
                f"allowed: {', '.join(culture.cells)}; add {cell} to culture.cells or take it out"
            )
        if getattr(item, "parameter", None) in _OF_THE_DISH:
            raise ExperimentError(_is_set_by_dish(f"schedule[{index}].parameter", str(getattr(item, "parameter", ""))))
    for name in names if culture is not None else ():
        if name in _OF_THE_DISH:
            raise ExperimentError(_is_set_by_dish(f"set.{name}", name))


def _lasts_into(item: Item, at_h: float) -> bool:
    """Return whether something lasting has not ended when the cells are taken."""
    until = getattr(item, "until", None)
    if until is None:
        lasting = isinstance(item, Lasting) or getattr(item, "every", None) is not None
        return lasting and _kind(item) not in _IN_A_DISH
    return bool(until > at_h)


def _no_dish(index: int, item: Item, culture: Culture | None) -> str:
    start = f"schedule[{index}]: {_kind(item)} at '{hours_text(item.at)}'"
    if culture is None:
        return (
            f"{start} needs cells in a dish, and this is an animal; allowed: serum_transfer, recombinant or supplement "
            "in an animal; add a 'culture:' (or --culture) or take it out"
        )
    return (
        f"{start} comes before the cells are in the dish; allowed: from '{hours_text(culture.at)}' on; "
        "correct one of the two times"
    )


def _is_set_by_dish(where: str, name: str) -> str:
    return (
        f"{where}: {shown(name)} is set by the dish itself; allowed: culture.oxygen, culture.space, and any other "
        "parameter; leave it out"
    )


# --- what changes --------------------------------------------------------------------------------------------------


def culture_changes(culture: Culture, schedule: Sequence[Item], model: CompiledModel, end_h: float) -> list[Change]:
    """Return what happens to the model when its cells are put into a dish, and whenever its medium is changed.

    Parameters
    ----------
    culture : Culture
    schedule : sequence of Item
        Of which the changes of medium count; those that are conditioned with their levels.
    model : CompiledModel
        Of a liver that is not divided.
    end_h : float
        End of the experiment.

    Returns
    -------
    list of Change
        In order of time; before whatever else happens at the same time.

    Raises
    ------
    ExperimentError
        If the dish is too small for its cells, or taken at or after the end, or two changes of medium contradict each
        other.
    UnknownNameError
        For a cell type or a signal that the model does not have.
    """
    if culture.at >= end_h:
        raise ExperimentError(
            f"culture.at: value '{hours_text(culture.at)}'; allowed: before the end of the experiment "
            f"('{hours_text(end_h)}'); raise days or correct it"
        )
    found = [*_seeding(culture, model), *_media(culture, schedule, model)]
    return sorted((c for c in found if c.at_h < end_h), key=lambda change: change.at_h)


def _seeding(culture: Culture, model: CompiledModel) -> Iterator[Change]:
    """Yield what happens when the cells are put into the dish."""
    types = [name.removesuffix(".count") for name in model.groups if name.endswith(".count")]
    for cell in culture.cells:
        if cell not in types:
            near = ", ".join(nearest(cell, types))
            raise UnknownNameError(f"culture.cells: unknown cell {shown(cell)}; nearest: {near}; hepatalk list cells")
    volume = sum(n * float(model.params[model.position(f"{c.lower()}_volume_share")]) for c, n in culture.cells.items())
    if volume >= culture.space:
        raise ExperimentError(
            f"culture.space: value {culture.space:g}, but the cells alone have {volume:.3g} x the volume of a liver; "
            "allowed: more than that; raise space or put in fewer cells"
        )
    at, words = culture.at, ", ".join(f"{c} x {n:g}" for c, n in culture.cells.items())
    for cell in types:
        yield Change(at, "seed", cell, culture.cells.get(cell, 0.0), f"{SEEDED} {words}")
    for washed in ("signal", "store", "dead", *VISITORS):
        yield Change(at, "set_state", washed, 0.0, f"{SEEDED} {washed} washed away")
    given = {name: 0.0 for name in _OF_THE_DISH} | {
        "body.oxygen_beside_blood": culture.oxygen,
        "body.space": culture.space - volume,
        "lethal_deficit": _NOBODY_DIES_H,
    }
    for name, value in given.items():
        yield Change(at, "set_parameter", name, value, f"{SEEDED} {name} {value:.4g}")


#: A change of medium of one signal: time, place in the schedule (-1 for the dish itself), level, held, words, and its
#: own end.
_Step = tuple[float, int, float, bool, str, float | None]


def _media(culture: Culture, schedule: Sequence[Item], model: CompiledModel) -> Iterator[Change]:
    """Yield what happens to the level of each signal that any medium has."""
    known = [n.removeprefix("clearance.") for n in model.param_names if n.startswith("clearance.")]
    steps: dict[str, list[_Step]] = {}
    wanted: list[tuple[str, Mapping[str, float]]] = [("culture.medium", culture.medium)]
    wanted += [(f"schedule[{i}]", levels) for i, item in enumerate(schedule) for levels in [_levels(item, culture)]]
    for where, levels in wanted:
        for signal in levels:
            if signal not in known:
                near = ", ".join(nearest(signal, known))
                raise UnknownNameError(
                    f"{where}: unknown signal {shown(signal)}; nearest: {near}; see 'hepatalk list signals'"
                )
    for signal, level in culture.medium.items():
        steps[signal] = [(culture.at, -1, level, culture.held, f"medium: {signal} x {level:.4g}", None)]
    for index, item in sorted(enumerate(schedule), key=lambda entry: entry[1].at):
        for signal, level in _levels(item, culture).items():
            held = bool(getattr(item, "held", False))
            words = f"medium: {signal} x {level:.4g}" + (f", of {item.source}" if hasattr(item, "source") else "")
            until = getattr(item, "until", None)
            steps.setdefault(signal, []).append((item.at, index, level, held, words, until))
    for signal, course in steps.items():
        turnover = [t for t in (f"clearance.{signal}", f"rest:binding {signal}") if t in model.param_index]
        yield from _of_signal(signal, course, culture, turnover)


def _levels(item: Item, culture: Culture) -> Mapping[str, float]:
    """Return the levels that a change of medium brings, mixed with the medium of the dish; nothing for other items."""
    if isinstance(item, Medium):
        return item.signals
    if isinstance(item, ConditionedMedium):
        part, fresh = item.fraction, culture.medium
        return {s: part * v + (1.0 - part) * fresh.get(s, 0.0) for s, v in (item.levels or {}).items()}
    return {}


def _of_signal(signal: str, course: Sequence[_Step], culture: Culture, turnover: Sequence[str]) -> Iterator[Change]:
    """Yield the changes of one signal; a change of medium lasts until its end, or until the next one.

    `turnover` are the parameters that are slowed to nothing where the level is held.

    Raises
    ------
    ExperimentError
        If two changes come at one time, or the second before the stated end of the first.
    """
    basal = course[0] if course[0][1] < 0 else (culture.at, -1, 0.0, False, "", None)
    still = False
    # What the dish has from the start gives way to whatever comes at once with it.
    for k, (at, index, level, held, words, until) in enumerate(course):
        following = course[k + 1] if k + 1 < len(course) else None
        if following is not None and index >= 0 and (following[0] == at or (until or at) > following[0]):
            raise ExperimentError(
                f"schedule[{min(index, following[1])}] and schedule[{max(index, following[1])}] contradict each other: "
                f"both set {shown(signal)} in the medium at '{hours_text(following[0])}'; "
                "allowed: one at a time; remove one or let it begin when the other has ended"
            )
        moments = [(at, level, held, words)]
        if until is not None and (following is None or following[0] > until):
            moments.append((until, basal[2], basal[3], f"end of: {words}"))
        for time, value, hold, label in moments:
            yield Change(time, "set_state", f"signal.{signal}", value, label)
            if hold != still:
                factor = _STILL if hold else 1.0 / _STILL
                text = f"{label}, {'held' if hold else 'no longer held'}"
                for parameter in turnover:
                    yield Change(time, "scale_parameter", parameter, factor, text)
                still = hold
