"""The smallest remnant that keeps an animal alive: an outcome of the model, found by bisection."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from hepatalk.engines.base import Progress
from hepatalk.errors import ExperimentError
from hepatalk.experiments.experiment import DEFAULT_READOUTS, experiment_from_mapping
from hepatalk.experiments.run import perform
from hepatalk.knowledge.load import Knowledge
from hepatalk.knowledge.records import Species

__all__ = ["Remnant", "Trial", "smallest_remnant"]

#: Resections that are tried at all.
SMALLEST, LARGEST = 0.01, 0.99


@dataclass(frozen=True)
class Trial:
    """One resection that was tried.

    Attributes
    ----------
    fraction : float
        Of the liver removed.
    died_at_h : float or None
        In h; None for an animal that lives to the end.
    """

    fraction: float
    died_at_h: float | None


@dataclass(frozen=True)
class Remnant:
    """The edge of survival.

    Attributes
    ----------
    survived : float or None
        Largest fraction removed that is survived; None if the smallest resection tried kills.
    lethal : float or None
        Smallest fraction removed that kills; None if the largest resection tried is survived.
    tolerance, days : float
        How near the two are; how long each animal is watched.
    trials : tuple of Trial
        In the order in which they were made.
    """

    survived: float | None
    lethal: float | None
    tolerance: float
    days: float
    trials: tuple[Trial, ...]

    @property
    def smallest(self) -> float | None:
        """The smallest remnant that is survived, as a fraction of the healthy liver."""
        return None if self.survived is None else 1.0 - self.survived

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {"smallest_survivable_remnant": self.smallest, **asdict(self)}


def smallest_remnant(
    *,
    tolerance: float = 0.01,
    species: Species | None = None,
    days: float | None = None,
    knockouts: Sequence[str] = (),
    set: Mapping[str, float] | None = None,
    hypotheses: Sequence[str] = (),
    items: Sequence[Mapping[str, object]] = (),
    knowledge: Knowledge | None = None,
    progress: Progress | None = None,
) -> Remnant:
    """Find the smallest remnant after resection at time zero that keeps an animal alive.

    Survival is taken to fall once as the resection grows, which the trials made here cannot show to be otherwise.

    Parameters
    ----------
    tolerance : float
        Width of the answer, as a fraction of the healthy liver; 0.01 to 0.5.
    species, days, knockouts, set, hypotheses, knowledge
        As for `hepatalk.experiments.run.run`.
    items : sequence of mapping
        What else is done to every animal, as in the schedule of a file.
    progress : callable, optional
        Told the fraction done.

    Returns
    -------
    Remnant

    Raises
    ------
    ExperimentError
        For a tolerance that is not allowed.
    HepatalkError
        As for a run.
    """
    if not 0.01 <= tolerance <= 0.5:
        raise ExperimentError(f"tolerance {tolerance!r}; allowed: 0.01 to 0.5; write, for example, 0.01")
    trials: list[Trial] = []
    rounds = 2 + math.ceil(math.log2((LARGEST - SMALLEST) / tolerance))

    def lives(fraction: float) -> bool:
        injury = {"at": "0 h", "injury": "partial_hepatectomy", "fraction": fraction}
        fields = {"title": "a resection", "schedule": (injury,), "readouts": DEFAULT_READOUTS}
        posed = experiment_from_mapping(fields, "bisection")
        done = perform(
            posed, species=species, days=days, knockouts=knockouts, set=set, hypotheses=hypotheses, items=items,
            knowledge=knowledge,
        )  # fmt: skip
        trials.append(Trial(fraction, done.course.died_at_h))
        if progress is not None:
            progress(min(1.0, len(trials) / rounds))
        return done.course.died_at_h is None

    watched = 14.0 if days is None else days
    if lives(LARGEST):
        return Remnant(LARGEST, None, tolerance, watched, tuple(trials))
    if not lives(SMALLEST):
        return Remnant(None, SMALLEST, tolerance, watched, tuple(trials))
    low, high = SMALLEST, LARGEST
    while high - low > tolerance + 1e-9:
        # Whole percentages, so that the answer has a name (phxNN) that anyone can run.
        middle = round((low + high) / 2.0, 2)
        low, high = (middle, high) if lives(middle) else (low, middle)
    return Remnant(low, high, tolerance, watched, tuple(trials))
