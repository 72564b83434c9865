"""What both scoreboards share: from a run as it is written in data to an experiment, and from curves to numbers.

A run is a mapping with `experiment` (or a schedule alone), `days`, `species`, `knockouts`, `hypotheses` and `schedule`;
cells in a dish that are not in the catalogue have `culture` beside their schedule.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy.signal import find_peaks

from hepatalk.experiments.experiment import Experiment, experiment_from_mapping, load_experiment, overridden

__all__ = ["NOTHING", "Reduce", "beyond", "key_of", "onset", "pose", "reduced"]

Floats = npt.NDArray[np.float64]

#: Differences below this count as none.
NOTHING = 1e-9
#: The first hour of a wave is where it has this share of its first peak.
ONSET = 0.1
#: A curve has risen when it is this share above its start.
RISEN = 0.05
#: A peak counts when it stands out by this share of the highest value.
STANDS_OUT = 0.05
ALIVE = 0.5

Reduce = Literal["max", "min", "end", "at", "time_of_max", "first_peak", "first_peak_h", "mean"]


def key_of(spec: Mapping[str, Any]) -> str:
    """Return a key that is the same for the same run."""
    return repr(sorted(spec.items(), key=lambda item: item[0]))


def pose(spec: Mapping[str, Any], where: str, title: str) -> Experiment:
    """Return the experiment of a run: one of the catalogue, with items added to its schedule, or a schedule alone.

    Parameters
    ----------
    spec : mapping
    where : str
        The file it stands in, for messages.
    title : str
        Title of a run that is a schedule alone.

    Raises
    ------
    HepatalkError
        If there is no such experiment, or the schedule does not fit.
    """
    items = spec.get("schedule", ())
    if "experiment" not in spec:
        fields = {"title": title, "readouts": ["liver_volume"], "schedule": items, "days": float(spec["days"])}
        posed = experiment_from_mapping(fields | {"culture": spec.get("culture")}, where)
    else:
        posed = load_experiment(spec["experiment"])
        if items:
            dumped = posed.model_dump()
            posed = experiment_from_mapping({**dumped, "schedule": (*dumped["schedule"], *items)}, where)
    return overridden(
        posed,
        species=spec.get("species"),
        days=float(spec["days"]) if "days" in spec else None,
        knockouts=tuple(spec.get("knockouts", ())),
        hypotheses=tuple(spec.get("hypotheses", ())),
    )


def beyond(value: float, control: float, rises: bool) -> float:
    """Return how far a value is beyond its control, as a fraction of it; a difference too small to count is none."""
    difference = (1.0 if rises else -1.0) * (value - control)
    return (difference if abs(difference) >= NOTHING else 0.0) / max(abs(control), NOTHING)


def reduced(t: Floats, y: Floats, reduce: str, at_h: float | None = None, level: float | None = None) -> float | None:
    """Turn a curve into a number.

    Parameters
    ----------
    t, y : (n,) float array
        Hours, rising, and the curve.
    reduce : str
        One of the names below, or one of those that end in ``_h``, which are times.
    at_h, level : float, optional
        The hour of ``at``, ``regained`` and ``doubling_h``; the level of ``reaches_h`` (absolute) and ``falls_h``
        (share of the rise).

    Returns
    -------
    float or None
        None where what is asked for never happens.

    Raises
    ------
    ValueError
        For an unknown name.
    """
    if reduce.endswith("_h") or reduce == "time_of_max":
        return _when(t, y, reduce, at_h, level)
    hour = at_h or 0.0
    # Nothing is extrapolated: the run may have ended early.
    if reduce in ("at", "regained") and hour > t[-1]:
        return None
    start = float(y[0])
    values: dict[str, Callable[[], float]] = {
        "max": lambda: float(y.max()),
        "min": lambda: float(y.min()),
        "end": lambda: float(y[-1]),
        "mean": lambda: float(np.trapezoid(y, t) / (t[-1] - t[0])),
        "at": lambda: float(np.interp(hour, t, y)),
        "rise": lambda: float(y.max() - start),
        "regained": lambda: float((np.interp(hour, t, y) - start) / max(1.0 - start, NOTHING)),
        "waves": lambda: float(len(_peaks(y))),
    }
    if reduce not in values:
        raise ValueError(f"a curve cannot be reduced to {reduce!r}")
    return values[reduce]()


def _peaks(y: Floats) -> npt.NDArray[np.intp]:
    found: npt.NDArray[np.intp] = find_peaks(y, prominence=STANDS_OUT * max(float(y.max()), NOTHING))[0]
    return found


def _when(t: Floats, y: Floats, reduce: str, at_h: float | None, level: float | None) -> float | None:
    top = int(y.argmax())
    match reduce:
        case "time_of_max":
            return float(t[top])
        case "first_max_h":
            peaks = _peaks(y)
            return float(t[peaks[0]]) if len(peaks) else None
        case "steepest_h":
            i = int((np.diff(y) / np.diff(t)).argmax())
            return float(0.5 * (t[i] + t[i + 1]))
        case "reaches_h":
            return _first(t, y, float(level or 0.0))
        case "rise_h":
            start = float(y[0])
            return _first(t, y, start + RISEN * (start if start > NOTHING else float(y.max())))
        case "falls_h":
            rest = float(y[0]) + float(level or 0.0) * float(y[top] - y[0])
            later = np.flatnonzero(y[top:] <= rest)
            return float(t[top + later[0]]) if len(later) and y[top] - y[0] > NOTHING else None
        case "death_h":
            dead = np.flatnonzero(y < ALIVE)
            return float(t[dead[0]]) if len(dead) else None
        case "doubling_h":
            growth = np.log(np.interp(at_h or 0.0, t, y) / y[0])
            return float((at_h or 0.0) * np.log(2.0) / growth) if growth > NOTHING else None
    raise ValueError(f"a curve cannot be reduced to {reduce!r}")


def _first(t: Floats, y: Floats, line: float) -> float | None:
    """Return the first time at or above a line, between two times of output by a straight line."""
    above = np.flatnonzero(y >= line)
    if not len(above):
        return None
    i = int(above[0])
    if i == 0 or y[i] == y[i - 1]:
        return float(t[i])
    return float(t[i - 1] + (line - y[i - 1]) / (y[i] - y[i - 1]) * (t[i] - t[i - 1]))


def onset(t: Floats, y: Floats, first_peak: float) -> float | None:
    """Return the first time at a tenth of a first peak, None where there is no peak."""
    return _first(t, y, ONSET * first_peak) if first_peak > NOTHING else None
