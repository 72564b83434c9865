"""Calibration of the mouse and the human: the rat's numbers, but for the few that their own observations can fix.

Everything else stays the rat's. The objective is the rat's (`hepatalk.inference.calibration`), over the rows of the
species. A fitted number has a prior of its own: a range around the rat's, or a stated one. Where it sets a pace, the
range is centred on the rat's pace at the body mass of the species: times scale as mass^(1/4) and rates as its inverse
(West and Brown 2005, J Exp Biol 208:1575, doi 10.1242/jeb.01589).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

import numpy as np
import numpy.typing as npt
import yaml

from hepatalk.engines.base import Course
from hepatalk.engines.population.engine import PopulationEngine
from hepatalk.errors import ModelError, unknown
from hepatalk.experiments.readouts import measure
from hepatalk.inference.calibration import Datum, Objective, read, resection
from hepatalk.knowledge.load import Knowledge
from hepatalk.knowledge.records import Species
from hepatalk.model.compiled import CompiledModel
from hepatalk.model.compiler import compile_model
from hepatalk.model.linear import Linearised

__all__ = ["FREE", "TIED", "Free", "SpeciesObjective", "data_of", "pace"]

Floats = npt.NDArray[np.float64]

#: Body mass (kg), for paces: a laboratory mouse, a laboratory rat, a human adult. Textbook values, assumed.
BODY_MASS: Mapping[Species, float] = {"mouse": 0.025, "rat": 0.25, "human": 70.0}
#: A shortfall that no run reaches, so that a lethal one is measured and does not end the run (x the lethal one).
_BEYOND_DEATH = 1e3
#: Growth of a disturbance of health (per h) that costs as much as one study one half-band off, and the
#: decay that each must keep: health is a stable fixed point, whatever the data say.
_GROWTH, _DECAY = 2e-7, 2e-7
#: Hours in which waves of division are looked for.
_WAVE_H = 240.0


def pace(species: Species) -> float:
    """Return how much longer than in the rat times are by body mass alone: (mass / rat's mass)^(1/4)."""
    return float((BODY_MASS[species] / BODY_MASS["rat"]) ** 0.25)


@dataclass(frozen=True)
class Free:
    """A number that is fitted for a species.

    Attributes
    ----------
    name : str
    low, high : float
        The prior, as multiples of the rat's number (at the pace of the species where ``kind`` says so) or as numbers.
    kind : {'rat', 'time', 'rate', 'number'}
        'rat' and 'number': multiples of the rat's number, or numbers as they stand. 'time' and 'rate': multiples of
        the rat's number times the pace, or over it.
    reason : str
        Why it may differ, and why by that much.
    """

    name: str
    low: float
    high: float
    kind: str
    reason: str

    def prior(self, rat: float, species: Species) -> tuple[float, float]:
        """Return the range of the species, rounded to four digits, in the unit of the record."""
        unit = {"number": 1.0, "rat": rat, "time": rat * pace(species), "rate": rat / pace(species)}[self.kind]
        return float(f"{self.low * unit:.4g}"), float(f"{self.high * unit:.4g}")


#: What is fitted, for each species. Few numbers: more could not be told apart by these data.
FREE: Mapping[Species, tuple[Free, ...]] = {
    "mouse": (
        Free(
            "hep_g1_duration", 1 / 3, 3.0, "rat",
            "body size does not say: the smaller animal is the later one; the rat's number x/: 3",
        ),
        Free(
            "lethal_deficit", 0.1, 4.0, "time",
            "a time, at the pace of a mouse, and wide to the low side, since the rat's is assumed",
        ),
    ),
    "human": (
        Free(
            "hep_growth_rate", 0.2, 5.0, "rate",
            "sets the pace of enlargement; around the rat's at the pace of a human, x/: 5",
        ),
        Free(
            "hep_size_restoring", 0.02, 2.0, "number",
            "sets the reach of enlargement; from a cell that grows while loaded (0) to one that holds its size (2)",
        ),
        Free(
            "hep_commit_rate", 0.05, 2.0, "rate",
            "sets the pace of division; around the rat's at the pace of a human, and wide to the low side",
        ),
        Free(
            "gain_load_cycle", 0.02, 2.0, "rat",
            "sets how much load hastens division; from a fiftieth of the rat's to twice that",
        ),
    ),
}  # fmt: skip


#: What follows a fitted number by the same factor from the rat's: (number, the fitted one, why).
TIED: Mapping[Species, tuple[tuple[str, str, str], ...]] = {
    "human": (
        (
            "hep_necrosis_rate",
            "hep_commit_rate",
            "negligible beside turnover, as in the rat: the rat's by the factor of hep_commit_rate; "
            "at the rat's rate health would be unstable",
        ),
        ("hep_shear_injury_rate", "hep_commit_rate", "as hep_necrosis_rate"),
    ),
}


def data_of(species: Species) -> tuple[Datum, ...]:
    """Return what the mouse or the human is fitted to: its calibration rows, and no other.

    Raises
    ------
    UnknownNameError
        If there are no such rows.
    """
    if species not in FREE:
        raise unknown("species with rows of its own", species, FREE, "hepatalk.inference.calibration for the rat")
    file = resources.files("hepatalk.experiments") / "data" / f"calibration_{species}.yaml"
    content: dict[str, Any] = yaml.load(file.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    return tuple(Datum(**row) for row in content["rows"])


class SpeciesObjective(Objective):
    """Residuals of a species as a function of the logarithms of its fitted parameters; all others are the rat's.

    Parameters
    ----------
    knowledge : Knowledge
    species : {'mouse', 'human'}

    Attributes
    ----------
    low, high : (n_names,) float array
        Logarithms of the bounds of the species' priors.
    """

    def __init__(self, knowledge: Knowledge, species: Species) -> None:
        self.species: Species = species
        self.free = FREE[species]
        self.lethal = float(knowledge.parameter["lethal_deficit"].value)  # type: ignore[arg-type]
        super().__init__(knowledge, tuple(f.name for f in self.free), data_of(species))

    def __post_init__(self) -> None:
        rat = [float(self.knowledge.parameter[n].value) for n in self.names]  # type: ignore[arg-type]
        self.priors = [f.prior(v, self.species) for f, v in zip(self.free, rat, strict=True)]
        self.low, self.high = np.log(self.priors).T
        studies: dict[str, int] = defaultdict(int)
        for d in self.data:
            studies[d.study] += 1
        self.weight = np.array([1.0 / np.sqrt(studies[d.study]) for d in self.data])
        self.engine = PopulationEngine(rtol=1e-6, atol=1e-9)

    def start(self) -> Floats:
        """Return the logarithms of the species' numbers, or of the rat's, inside the priors, (n_names,)."""
        values = [self.knowledge.parameter[n].value_in(self.species) for n in self.names]
        return np.clip(np.log(np.asarray(values, dtype=np.float64)), self.low + 1e-6, self.high - 1e-6)

    def tied(self, values: Mapping[str, float]) -> dict[str, float]:
        """Return the numbers that follow fitted ones, in the units of the records."""
        rat = {n: float(p.value) for n, p in self.knowledge.parameter.items() if isinstance(p.value, float)}
        return {
            name: float(f"{rat[name] * values[leads] / rat[leads]:.4g}")
            for name, leads, _ in TIED.get(self.species, ())
            if leads in values
        }

    def values_with(self, overrides: Mapping[str, float]) -> Floats:
        """Return what the model of the species says about each datum, (n_data,).

        Numbers that the species has of its own and that are not fitted here are the records'.

        Raises
        ------
        EngineError, ModelError
            If it cannot be compiled or solved.
        """
        overrides = {**overrides, **self.tied(overrides)}
        lethal = overrides.get("lethal_deficit", self.lethal)
        model = compile_model(
            self.knowledge, self.species, overrides={**overrides, "lethal_deficit": lethal * _BEYOND_DEATH}
        )
        courses = {
            name: self.engine.run(model, resection(name), grid([d for d in self.data if d.experiment == name]))
            for name in dict.fromkeys(d.experiment for d in self.data)
        }
        return np.array([read_of_species(model, courses[d.experiment], d, lethal) for d in self.data])

    def residuals(self, x: Floats) -> Floats:
        """Return weighted residuals, prior terms and that of stability, (n_data + n_names + 1,).

        The last is 0 where every small disturbance of health fades: a pace of division so slow that the loss of cells
        outruns their replacement fits the data and is no animal.
        """
        values = dict(zip(self.names, map(float, np.exp(x)), strict=True))
        try:
            model = compile_model(self.knowledge, self.species, overrides={**values, **self.tied(values)})
        except ModelError:
            return np.append(super().residuals(x), 30.0)
        grows = float(Linearised(model, model.rest).modes[0][0].real) + _DECAY
        return np.append(super().residuals(x), np.clip(grows / _GROWTH, 0.0, 30.0))


def grid(data: list[Datum]) -> Floats:
    """Return the hours of a run: those of the data, so that years cost little; every hour where a course is read."""
    times = {0.0} | {d.at_h for d in data if d.at_h is not None}
    courses = [d for d in data if not d.reads.startswith("at.") and d.reads != "size_to_number"]
    if courses:
        end = max(_WAVE_H if d.at_h is None else d.at_h for d in courses)
        times |= set(np.arange(0.0, end + 1.0).tolist())
    return np.array(sorted(times))


def read_of_species(model: CompiledModel, course: Course, datum: Datum, lethal: float) -> float:
    """Return what a run says about a datum: as `calibration.read`, and two more.

    ``lethal_share`` is the highest accumulated shortfall of function over the one at which an animal dies;
    ``size_to_number`` is ln(mean hepatocyte size) / ln(hepatocytes over those left behind): 1 where enlargement and
    division have each multiplied the mass of the remnant by the same factor.

    Raises
    ------
    ModelError
        If the datum reads something else.
    """
    if datum.reads == "lethal_share":
        return float(course.states[:, model.state_names.index("deficit")].max() / lethal)
    if datum.reads == "size_to_number":
        found = measure(model, course, ["hepatocyte_volume", "hepatocyte_count"])
        size, count = (np.interp(datum.at_h or 0.0, course.time_h, curve) for curve in found.values())
        return float(np.log(size) / np.log(count / count_left(datum)))
    return read(model, course, datum)


def count_left(datum: Datum) -> float:
    """Return the share of hepatocytes that a resection leaves behind."""
    return 1.0 - 0.01 * float(datum.experiment.removeprefix("phx"))
