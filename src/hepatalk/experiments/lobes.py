"""What is done to one of two lobes: items of a schedule, and what a schedule of them cannot ask for.

Lobe A is the larger one, lobe B the remnant that surgery wants to grow. An experiment that names a lobe, in its
schedule, its readouts or its parameters, runs on a liver of two; every other runs on one that is not divided.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal

from hepatalk.errors import ExperimentError
from hepatalk.experiments.fields import Hours, Item, Lasting, field
from hepatalk.model.lobes import patency
from hepatalk.model.places import LOBES
from hepatalk.model.schedule import Change
from hepatalk.units import hours_text

__all__ = [
    "LOBE_PARAMETERS",
    "Lobectomy",
    "PortalEmbolisation",
    "PortalLigation",
    "Transection",
    "lobe_changes",
    "names_a_lobe",
    "parameter_changes",
    "refuse_impossible",
]

#: Parameters that act only where a liver is divided.
LOBE_PARAMETERS = ("lobe_b_share", "arterial_share", "portal_collaterals", *(patency(lobe) for lobe in LOBES))
_COLLATERALS = "portal_collaterals"
_NECROTIC = "dead.necrotic"
_LOBE_ALLOWED = "A (the larger lobe), B (the future remnant)"
_LETTER = Literal["A", "B"]


class _PortalBranch(Lasting):
    """The portal branch of a lobe is closed, all of it or in part."""

    at: Hours = field("a time with unit", "at: 0 h")
    lobe: _LETTER = field(_LOBE_ALLOWED, "lobe: A")
    fraction: float = field(
        "0 < fraction <= 1 (part of the branch that is closed)", "fraction: 1.0", default=1.0, gt=0.0, le=1.0
    )


class PortalLigation(_PortalBranch):
    """The portal branch of a lobe is tied; `until` is when the ligature is opened. The artery stays open."""

    injury: Literal["portal_ligation"]


class PortalEmbolisation(_PortalBranch):
    """The portal branch of a lobe is filled; `until` is when it has opened again, as after an absorbable plug.

    To the model it is what a ligature is: that a plug reaches into the small branches and leaves fewer collaterals is
    not told apart, unless `set: {portal_collaterals: ...}` says so.
    """

    injury: Literal["portal_embolisation"]


class Transection(Item):
    """The tissue between the lobes is cut, and with it the collaterals; cells along the cut die."""

    at: Hours = field("a time with unit", "at: 0 h")
    injury: Literal["transection"]
    necrosis: float = field(
        "0 <= necrosis < 1 (share of the hepatocytes of both lobes killed along the cut)",
        "necrosis: 0.03",
        default=0.03,
        ge=0.0,
        lt=1.0,
    )


class Lobectomy(Item):
    """A lobe is removed."""

    at: Hours = field("a time with unit", "at: 0 h")
    injury: Literal["lobectomy"]
    lobe: _LETTER = field(_LOBE_ALLOWED, "lobe: A")


def names_a_lobe(schedule: Iterable[Item], names: Iterable[str]) -> bool:
    """Tell whether an experiment needs a liver of two lobes.

    Parameters
    ----------
    schedule : iterable of Item
    names : iterable of str
        Readouts and parameters that the experiment names.
    """
    asked = [*names, *(p for item in schedule if (p := getattr(item, "parameter", None)) is not None)]
    done = any(isinstance(item, (_PortalBranch, Transection, Lobectomy)) for item in schedule)
    return done or any(name in LOBE_PARAMETERS or name.endswith(tuple(f".{lobe}" for lobe in LOBES)) for name in asked)


def lobe_changes(item: Item) -> Iterator[Change]:
    """Yield what an item does to the state of a lobe or of both."""
    match item:
        case Lobectomy(at=at, lobe=lobe):
            yield Change(at, "scale_extensive", lobe, 0.0, f"lobe {lobe} removed")
        case Transection(at=at, necrosis=killed) if killed:
            label = f"{killed:.4g} of the hepatocytes killed along the cut between the lobes"
            yield Change(at, "kill", "HEP", 1.0 - killed, label, _NECROTIC)


def parameter_changes(item: Item) -> list[tuple[str, float, bool, str]]:
    """Return what an item sets of the portal branches: parameter, value, that it is set, and words for it."""
    match item:
        case PortalLigation(lobe=lobe, fraction=fraction):
            return [(patency(lobe), 1.0 - fraction, True, f"{fraction:.4g} of the portal branch of lobe {lobe} tied")]
        case PortalEmbolisation(lobe=lobe, fraction=fraction):
            return [(patency(lobe), 1.0 - fraction, True, f"{fraction:.4g} of the portal branch of lobe {lobe} filled")]
        case Transection():
            return [(_COLLATERALS, 0.0, True, "tissue between the lobes cut, no collaterals")]
    return []


def refuse_impossible(schedule: Sequence[Item]) -> None:
    """Raise for what cannot be done to two lobes.

    Raises
    ------
    ExperimentError
        If both lobes are removed, one is removed twice or tied after its removal, or the portal blood has no way: both
        branches are closed at a time, or one is while the other lobe is gone.
    """
    removed: dict[str, tuple[int, float]] = {}
    for index, item in sorted(enumerate(schedule), key=lambda entry: entry[1].at):
        if isinstance(item, Lobectomy):
            if removed and item.lobe not in removed:
                first = next(iter(removed.values()))[0]
                raise ExperimentError(
                    f"schedule[{first}] and schedule[{index}] remove both lobes, and no liver is left; allowed: one "
                    "lobectomy; remove one of them"
                )
            if item.lobe in removed:
                raise ExperimentError(_gone(index, item.lobe, *removed[item.lobe]))
            removed[item.lobe] = (index, item.at)
        elif isinstance(item, _PortalBranch) and item.lobe in removed:
            raise ExperimentError(_gone(index, item.lobe, *removed[item.lobe]))
    _refuse_no_way(schedule, removed)


def _refuse_no_way(schedule: Sequence[Item], removed: Mapping[str, tuple[int, float]]) -> None:
    """Raise if at some time neither lobe takes portal blood; `removed` has the item and time by which a lobe goes."""
    closed = [(i, x) for i, x in enumerate(schedule) if isinstance(x, _PortalBranch) and x.fraction == 1.0]
    for (i, one), (j, two) in itertools.combinations(sorted(closed, key=lambda entry: entry[1].at), 2):
        if one.lobe != two.lobe and (one.until is None or two.at < one.until):
            low, high = sorted((i, j))
            raise ExperimentError(
                f"schedule[{low}] and schedule[{high}] close the portal branches of both lobes at "
                f"'{hours_text(two.at)}'; allowed: one branch at a time, or a fraction below 1; remove one of them"
            )
    for (i, tied), (lobe, (j, at_h)) in itertools.product(closed, removed.items()):
        if tied.lobe != lobe and (tied.until is None or tied.until > at_h):
            low, high = sorted((i, j))
            raise ExperimentError(
                f"schedule[{low}] and schedule[{high}] leave the portal blood no way at "
                f"'{hours_text(max(tied.at, at_h))}': lobe {lobe} is removed and the branch of lobe {tied.lobe} is "
                "closed; allowed: one of them, or a fraction below 1; remove one of them"
            )


def _gone(index: int, lobe: str, removal: int, at_h: float) -> str:
    left = ", ".join(other for other in LOBES if other != lobe)
    return (
        f"schedule[{index}].lobe: value '{lobe}', but schedule[{removal}] removes lobe {lobe} at '{hours_text(at_h)}'; "
        f"allowed: {left}, or a time before that; correct one of the two"
    )
