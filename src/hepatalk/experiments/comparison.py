"""A run beside real animals: which runs may be compared, with which group means, and how far apart they are."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import numpy as np
import numpy.typing as npt
import yaml

from hepatalk.experiments.experiment import Experiment
from hepatalk.experiments.items import PartialHepatectomy
from hepatalk.experiments.observations import load_rat_groups
from hepatalk.results.result import Result

__all__ = ["AnimalGroup", "Study", "matches_animals", "rat_groups", "rat_study", "volume_error"]

Floats = npt.NDArray[np.float64]

#: The rats lost 70% of the liver by intention; what surgery leaves varies by a few per cent.
RESECTION_LOW, RESECTION_HIGH = 0.65, 0.75

_FILE = "rat_phx_barnhart2023.yaml"
_VOLUME = "liver_volume_fraction"
#: The group whose means a run is scored against; the chow group has few animals.
_SCORED_DIET = "Carbohydrate"
#: How a provenance words a resection, which is all that a saved result tells of it.
_RESECTION = re.compile(r"0 h: (0?\.\d+) of the liver removed")


@dataclass(frozen=True)
class Study:
    """Where the rats' group means come from.

    Attributes
    ----------
    source, licence, subject : str
        Id of the source record; licence of the data; which animals, in words.
    """

    source: str
    licence: str
    subject: str


@dataclass(frozen=True)
class AnimalGroup:
    """Means of one quantity over one diet group, sexes pooled, by time.

    Attributes
    ----------
    diet : str
        'Chow' or 'Carbohydrate'.
    unit : str
        Of `mean` and `sd`.
    time_h, mean, sd : (n_times,) float arrays
        Hours after resection; mean and sample standard deviation over animals (NaN where there is one animal).
    n : tuple of int
        Animals at each time.
    both_sexes : (n_times,) bool array
        Where the pool holds animals of both sexes.
    """

    diet: str
    unit: str
    time_h: Floats
    mean: Floats
    sd: Floats
    n: tuple[int, ...]
    both_sexes: npt.NDArray[np.bool_]


@cache
def rat_study() -> Study:
    """Return the study behind the rats' group means."""
    text = (resources.files("hepatalk") / "experiments" / "data" / _FILE).read_text(encoding="utf-8")
    header: dict[str, Any] = yaml.load(text.partition("\npoints:")[0], Loader=yaml.CSafeLoader)
    return Study(header["source"], header["licence"], header["subject"])


@cache
def rat_groups(quantity: str) -> tuple[AnimalGroup, ...]:
    """Return the rats' group means of a quantity after resection, sexes pooled.

    Parameters
    ----------
    quantity : str
        Such as ``liver_volume_fraction`` or ``portal_flow_per_volume_ratio``.

    Returns
    -------
    tuple of AnimalGroup
        One for each diet that has the quantity, carbohydrate first.
    """
    points = [p for p in load_rat_groups() if p.quantity == quantity and p.time_h > 0.0]
    groups = []
    for diet in ("Carbohydrate", "Chow"):
        pooled = sorted((p for p in points if p.diet == diet and p.sex == "both"), key=lambda p: p.time_h)
        sexes = [{p.sex for p in points if p.diet == diet and p.time_h == pool.time_h} for pool in pooled]
        if pooled:
            groups.append(
                AnimalGroup(
                    diet,
                    pooled[0].unit,
                    np.array([p.time_h for p in pooled]),
                    np.array([p.mean for p in pooled]),
                    np.array([np.nan if p.sd is None else p.sd for p in pooled]),
                    tuple(p.n for p in pooled),
                    np.array([{"Male", "Female"} <= present for present in sexes]),
                )
            )
    return tuple(groups)


def matches_animals(experiment: Experiment) -> bool:
    """Tell whether the rats' points belong beside a run: a rat whose only injury is such a resection at time zero.

    Parameters
    ----------
    experiment : Experiment
        It may hold interventions beside the injury, which the rats did not have.
    """
    injuries = [item for item in experiment.schedule if "injury" in type(item).model_fields]
    if experiment.species != "rat" or len(injuries) != 1:
        return False
    only = injuries[0]
    return isinstance(only, PartialHepatectomy) and only.at == 0.0 and RESECTION_LOW <= only.fraction <= RESECTION_HIGH


def volume_error(result: Result) -> float | None:
    """Return how far the liver volume of a run is from the carbohydrate-fed rats, sexes pooled.

    Parameters
    ----------
    result : Result

    Returns
    -------
    float or None
        Root of the mean squared difference from the group means, as a fraction of the healthy volume, over the times
        within the run at which both sexes were measured. None where the comparison means nothing: another species,
        another resection, or anything done to the animal beside the resection.
    """
    done = result.provenance.changes
    resection = _RESECTION.fullmatch(done[0]) if len(done) == 1 else None
    if result.provenance.species != "rat" or resection is None:
        return None
    if not RESECTION_LOW <= float(resection[1]) <= RESECTION_HIGH or "liver_volume" not in result.readouts:
        return None
    group = next(g for g in rat_groups(_VOLUME) if g.diet == _SCORED_DIET)
    inside = group.both_sexes & (group.time_h <= result.time_h[-1])
    if not inside.any():
        return None
    model = np.array([result.at("liver_volume", float(t)) for t in group.time_h[inside]])
    return float(np.sqrt(np.mean((model - group.mean[inside]) ** 2)))
