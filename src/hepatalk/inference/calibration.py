"""Calibration of the rat: fitted parameters, residuals, and what they are compared with.

The objective is a sum over studies of the mean squared residual of the study's numbers, each divided by half of its
band, plus a weak pull to the middle of each prior on a logarithmic scale. Claims are never fitted.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

import numpy as np
import numpy.typing as npt
import yaml

from hepatalk.engines.base import Course
from hepatalk.engines.population.engine import PopulationEngine
from hepatalk.errors import EngineError, ModelError
from hepatalk.experiments.cycled import cycled_shares
from hepatalk.experiments.observations import GroupPoint, load_rat_groups
from hepatalk.experiments.readouts import measure
from hepatalk.experiments.waves import first_waves
from hepatalk.knowledge.load import Knowledge
from hepatalk.model.compiled import CompiledModel
from hepatalk.model.compiler import compile_model
from hepatalk.model.schedule import Change

__all__ = ["Datum", "InflowObjective", "Objective", "data_of_rat", "flow_of_rat", "logistic_error", "read"]

Floats = npt.NDArray[np.float64]

#: Half-bands: half of the default bands in which an observation counts as met.
HALF_BAND_VOLUME = 0.04
HALF_BAND_AMOUNT = np.log(1.5) / 2.0
HALF_BAND_TIME = 0.125
LEAST_HALF_BAND_H = 3.0
#: Weight of a parameter at the edge of its prior, in the same units as one study one half-band off.
PRIOR_WEIGHT = 0.3


@dataclass(frozen=True)
class Datum:
    """One number the model is fitted to.

    Attributes
    ----------
    scale : {'volume', 'amount', 'time'}
        How it is compared: difference, logarithm, or hours.
    half_band : float or None
        The standard error where the source gives a spread (of the logarithm, for an amount); else half of the default
        band.
    """

    id: str
    study: str
    experiment: str
    reads: str
    value: float
    scale: str
    at_h: float | None = None
    half_band: float | None = None

    def residual(self, model_value: float) -> float:
        """Return (model - observed) in half-bands."""
        if self.scale == "volume":
            return (model_value - self.value) / (self.half_band or HALF_BAND_VOLUME)
        if self.scale == "amount":
            return float(np.log(max(model_value, 1e-9) / self.value) / (self.half_band or HALF_BAND_AMOUNT))
        return (model_value - self.value) / max(HALF_BAND_TIME * self.value, LEAST_HALF_BAND_H)


def data_of_rat() -> tuple[Datum, ...]:
    """Return everything the rat is fitted to: group means of liver volume, and the calibration rows."""
    text = (resources.files("hepatalk.experiments") / "data" / "calibration_rat.yaml").read_text(encoding="utf-8")
    content: dict[str, Any] = yaml.load(text, Loader=yaml.CSafeLoader)
    groups = content["rat_groups"]
    data = [
        Datum(
            f"{p.diet} {p.time_h:g} h",
            groups["study"],
            "phx70",
            "at.liver_volume",
            p.mean,
            "volume",
            p.time_h,
            standard_error(p),
        )
        for p in load_rat_groups()
        if p.quantity == groups["volume"] and p.sex == groups["sex"] and p.diet in groups["diets"] and p.time_h > 0
    ]
    data += [Datum(**row) for row in content["rows"]]
    return tuple(data)


def flow_of_rat() -> tuple[Datum, ...]:
    """Return the group means of portal flow per liver volume after 70% resection, x the animal's own before it.

    They are of the same study as the volumes. Means of ratios are compared as logarithms, in units of SD / (mean
    sqrt(n)), but never less than half of the default band of an amount: flow velocities are read to a tenth or so.
    """
    data = []
    for p in load_rat_groups():
        wanted = p.quantity == "portal_flow_per_volume_ratio" and p.sex == "both" and p.time_h > 0
        if not wanted:
            continue
        error = standard_error(p)
        half = HALF_BAND_AMOUNT if error is None else max(error / p.mean, HALF_BAND_AMOUNT)
        name = f"{p.diet} {p.time_h:g} h, flow"
        data.append(Datum(name, "barnhart2023", "phx70", "at.portal_flow", p.mean, "amount", p.time_h, half))
    return tuple(data)


def standard_error(point: GroupPoint) -> float | None:
    """Return SD / sqrt(n) of a group mean, None where the group has one animal."""
    return None if point.sd is None or point.n < 2 else point.sd / float(np.sqrt(point.n))


def read(model: CompiledModel, course: Course, datum: Datum) -> float:
    """Return what a run says about a datum.

    ``at.READOUT`` at ``at_h``; ``max.`` and ``time_of_max.READOUT``; ``first_peak.CELL`` and ``onset.CELL`` (first hour
    at a tenth of the first peak) of S phase; ``doubling.CELL`` over the first three days; ``regained_share`` of the
    removed volume; ``entered_s`` and ``second_cycle``, shares of the residual hepatocytes by generation.

    Parameters
    ----------
    model : CompiledModel
    course : Course
        Hourly.
    datum : Datum

    Returns
    -------
    float
        In the unit of the datum: fraction of healthy, or h.

    Raises
    ------
    ModelError
        If the datum reads something else.
    """
    what, _, name = datum.reads.partition(".")
    t = course.time_h
    if what in ("at", "max", "time_of_max"):
        curve = measure(model, course, [name])[name]
        if what == "at":
            return float(np.interp(datum.at_h or 0.0, t, curve))
        return float(curve.max()) if what == "max" else float(t[curve.argmax()])
    if what == "first_peak":
        return peak_time(model, course, name)
    if what == "onset":
        total = course.states[:, model.groups[name]].sum(axis=1)
        first = (
            course.states[:, model.groups.get(f"{name}.s.generation0", model.groups[f"{name}.s"])].sum(axis=1) / total
        )
        return float(np.interp(0.1 * first.max(), first[: first.argmax() + 1], t[: first.argmax() + 1]))
    if what == "doubling":
        count = course.states[:, model.groups[f"{name}.count"]].sum(axis=1)
        growth = np.log(np.interp(72.0, t, count) / count[0])
        return float(72.0 * np.log(2.0) / max(growth, 1e-6))
    if what == "regained_share":
        volume = measure(model, course, ["liver_volume"])["liver_volume"]
        removed = 0.01 * float(datum.experiment.removeprefix("phx"))
        return float((np.interp(datum.at_h or 0.0, t, volume) - (1.0 - removed)) / removed)
    return _by_generation(model, course, what, datum.at_h or 0.0)


def peak_time(model: CompiledModel, course: Course, cell: str) -> float:
    """Return the time of the first S-phase wave between the grid points, from a parabola through the top three."""
    _, at = first_waves(model, course)[f"s_phase.{cell}"]
    total = course.states[:, model.groups[cell]].sum(axis=1)
    curve = course.states[:, model.groups.get(f"{cell}.s.generation0", model.groups[f"{cell}.s"])].sum(axis=1) / total
    i = int(np.searchsorted(course.time_h, at))
    if 0 < i < len(curve) - 1:
        left, top, right = curve[i - 1 : i + 2]
        bend = left - 2 * top + right
        if bend < 0:
            return float(at + 0.5 * (left - right) / bend * (course.time_h[i + 1] - course.time_h[i]))
    return at


def _by_generation(model: CompiledModel, course: Course, what: str, at_h: float) -> float:
    if what not in ("entered_s", "second_cycle"):
        raise ModelError(
            f"calibration reads {what!r}; allowed: at, max, time_of_max, first_peak, onset, doubling, regained_share, "
            "entered_s, second_cycle; correct the datum"
        )
    i = min(int(np.searchsorted(course.time_h, at_h)), len(course.time_h) - 1)
    once, twice = cycled_shares(model, course)
    return float(once[i] if what == "entered_s" else twice[i])


@dataclass
class Objective:
    """Residuals of the rat as a function of the logarithms of the fitted parameters.

    Parameters
    ----------
    knowledge : Knowledge
    names : sequence of str
        Ids of the fitted parameters; each needs a prior.
    data : sequence of Datum

    Attributes
    ----------
    low, high : (n_names,) float array
        Logarithms of the bounds of the priors.
    weight : (n_data,) float array
        1 / sqrt(numbers of the same study).

    Raises
    ------
    ModelError
        If a parameter has no prior.
    """

    knowledge: Knowledge
    names: Sequence[str]
    data: Sequence[Datum]

    failures = (EngineError, ModelError)

    def __post_init__(self) -> None:
        priors = [self.knowledge.parameter[n].prior for n in self.names]
        if any(p is None for p in priors):
            lacking = [n for n, p in zip(self.names, priors, strict=True) if p is None]
            raise ModelError(f"fitted parameters need a prior: {lacking}; add it to the records")
        self.low = np.log([p[0] for p in priors if p])
        self.high = np.log([p[1] for p in priors if p])
        per_study: dict[str, int] = defaultdict(int)
        for d in self.data:
            per_study[d.study] += 1
        self.weight = np.array([1.0 / np.sqrt(per_study[d.study]) for d in self.data])
        self.engine = PopulationEngine(rtol=1e-6, atol=1e-9)

    def start(self) -> Floats:
        """Return the logarithms of the records' values, (n_names,), inside the priors."""
        values = np.log([float(self.knowledge.parameter[n].value) for n in self.names])  # type: ignore[arg-type]
        return np.clip(values, self.low + 1e-6, self.high - 1e-6)

    def values(self, x: Floats) -> dict[str, float]:
        """Return parameter values, rounded to four digits as they are written to the records."""
        return {n: float(f"{v:.4g}") for n, v in zip(self.names, np.exp(x), strict=True)}

    def model_values(self, x: Floats) -> Floats:
        """Return what the model says about each datum, (n_data,)."""
        return self.values_with(dict(zip(self.names, map(float, np.exp(x)), strict=True)))

    def values_with(self, overrides: Mapping[str, float]) -> Floats:
        """Return what the model with these parameter values says about each datum, (n_data,).

        Raises
        ------
        EngineError, ModelError
            If it cannot be compiled or solved.
        """
        model = compile_model(self.knowledge, "rat", overrides=overrides)
        ends: dict[str, float] = defaultdict(float)
        for d in self.data:
            ends[d.experiment] = max(ends[d.experiment], d.at_h or 0.0, 240.0 if d.at_h is None else 0.0)
        courses = {
            name: self.engine.run(model, resection(name), np.arange(0.0, end + 1.0)) for name, end in ends.items()
        }
        return np.array([read(model, courses[d.experiment], d) for d in self.data])

    def residuals(self, x: Floats) -> Floats:
        """Return weighted residuals and prior terms, (n_data + n_names,); a failed run is far off, not an error."""
        try:
            said = self.model_values(x)
        except self.failures:
            return np.full(len(self.data) + len(x), 30.0)
        fit = np.array([d.residual(v) for d, v in zip(self.data, said, strict=True)]) * self.weight
        middle, half = 0.5 * (self.low + self.high), 0.5 * (self.high - self.low)
        return np.concatenate([np.clip(fit, -30.0, 30.0), PRIOR_WEIGHT * (x - middle) / half])


@dataclass
class InflowObjective:
    """Residuals of measured portal flow as a function of the response of inflow to lost function.

    Conserved inflow has no free number. Its alternative (hypothesis ``portal_inflow``) has three: the change at once,
    the slow change, and the time of the latter.

    Parameters
    ----------
    knowledge : Knowledge
    overrides : mapping of str to float
        Values of all other fitted parameters.
    data : sequence of Datum

    Attributes
    ----------
    names : tuple of str
    low, high : (3,) float array
        Bounds of the priors, in the units of the records.

    Raises
    ------
    ModelError
        If one of the three has no prior.
    """

    knowledge: Knowledge
    overrides: Mapping[str, float]
    data: Sequence[Datum]

    names = ("inflow_fast", "inflow_slow", "inflow_time")

    def __post_init__(self) -> None:
        priors = [self.knowledge.parameter[n].prior for n in self.names]
        if any(p is None for p in priors):
            raise ModelError(f"the response of inflow needs a prior for each of {', '.join(self.names)}; add them")
        self.low = np.array([p[0] for p in priors if p], dtype=np.float64)
        self.high = np.array([p[1] for p in priors if p], dtype=np.float64)
        self.engine = PopulationEngine(rtol=1e-6, atol=1e-9)

    def model_values(self, x: Floats) -> Floats:
        """Return flow per volume at each datum, (n_data,), x healthy; x as in `names`, (3,)."""
        overrides = {**self.overrides, **dict(zip(self.names, map(float, x), strict=True))}
        model = compile_model(self.knowledge, "rat", overrides=overrides)
        end = max(d.at_h or 0.0 for d in self.data)
        course = self.engine.run(model, resection("phx70"), np.concatenate([[0.0, 0.3], np.arange(1.0, end + 1.0)]))
        return np.array([read(model, course, d) for d in self.data])

    def residuals(self, x: Floats) -> Floats:
        """Return (model - observed) in half-bands, (n_data,)."""
        return np.array([d.residual(v) for d, v in zip(self.data, self.model_values(x), strict=True)])


def resection(name: str) -> list[Change]:
    """Return the changes of ``phxNN``."""
    fraction = 0.01 * float(name.removeprefix("phx"))
    return [Change(0.0, "scale_extensive", "liver", 1.0 - fraction, name)]


def logistic_error(data: Sequence[Datum]) -> tuple[float, Mapping[str, float]]:
    """Return the RMSE of a three-parameter logistic curve on the volume points, and its parameters.

    V(t) = plateau / (1 + (plateau / start - 1) exp(-rate t)).
    """
    from scipy.optimize import least_squares

    points = [(d.at_h or 0.0, d.value) for d in data if d.study == "barnhart2023"]
    t, v = np.array(points).T

    def curve(p: Floats) -> Floats:
        return p[0] / (1.0 + (p[0] / p[1] - 1.0) * np.exp(-p[2] * t))  # type: ignore[no-any-return]

    fit = least_squares(lambda p: curve(p) - v, [0.95, 0.33, 0.03])
    return float(np.sqrt(np.mean(fit.fun**2))), dict(
        zip(("plateau", "start", "rate_per_h"), map(float, fit.x), strict=True)
    )
