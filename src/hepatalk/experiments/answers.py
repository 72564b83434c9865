"""What both scoreboards ask of their runs: each distinct run is made once for each animal, in several processes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from hepatalk.engines.base import Progress
from hepatalk.errors import ExperimentError, HepatalkError, unknown
from hepatalk.experiments.bench import Bench
from hepatalk.experiments.cycled import cycled_shares
from hepatalk.experiments.experiment import Experiment
from hepatalk.experiments.kept import Answer, Kept, Wanted
from hepatalk.experiments.parallel import in_parallel
from hepatalk.experiments.posing import key_of, onset, pose, reduced
from hepatalk.experiments.run import Run, perform
from hepatalk.knowledge.findings import value_faults
from hepatalk.knowledge.load import Knowledge

__all__ = [
    "AGREE",
    "Animal",
    "Answer",
    "Demand",
    "Member",
    "Wanted",
    "ask",
    "check_members",
    "free_values",
    "herd",
    "share",
]

#: Share of the parameter sets that must agree.
AGREE = 0.8
#: Runs that one process makes before it reports.
CHUNK = 6

Member = Mapping[str, float]


@dataclass(frozen=True)
class Animal:
    """A virtual animal.

    Attributes
    ----------
    knowledge : Knowledge
    values : mapping of str to float
        Parameter values that replace those of the knowledge base.
    silenced : tuple of str
        Rows whose influence is held at rest.
    hypotheses : tuple of str
        Alternatives switched on beside those of a run.
    """

    knowledge: Knowledge
    values: Member = field(default_factory=dict)
    silenced: tuple[str, ...] = ()
    hypotheses: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """16 hexadecimal digits that differ between animals that differ in anything."""
        content = [self.knowledge.version, sorted(self.values.items()), sorted(self.silenced), self.hypotheses]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]


@dataclass
class Demand:
    """The runs that are wanted and the numbers to take from each."""

    where: str
    title: str
    specs: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    numbers: dict[str, dict[Wanted, None]] = field(default_factory=dict)

    def want(self, spec: Mapping[str, Any], number: Wanted) -> None:
        """Note that a number of a run is wanted."""
        key = key_of(spec)
        self.specs[key] = spec
        self.numbers.setdefault(key, {})[number] = None


_Task = tuple[Mapping[str, Any], tuple[Wanted, ...]]
_Job = tuple[Animal, str, str, tuple[_Task, ...]]


def check_members(knowledge: Knowledge, members: Sequence[Member]) -> None:
    """Raise for what would otherwise fail everywhere: no member, an unknown parameter, or a value it cannot have.

    Raises
    ------
    ExperimentError, UnknownNameError
    """
    if not members:
        raise ExperimentError("a score needs parameter sets, got none; allowed: one or more; leave 'members' out")
    names = {p.id for p in knowledge.parameters}
    for number, member in enumerate(members, start=1):
        for name in member:
            if name not in names:
                raise unknown("parameter", name, names, "see 'hepatalk list parameters'")
        for name, allowed in value_faults(knowledge, member):
            raise ExperimentError(
                f"parameter set {number}: {name!r} is {member[name]!r}; allowed: {allowed}; correct the value"
            )


def herd(knowledge: Knowledge, members: Sequence[Member] | None, hypotheses: Sequence[str] = ()) -> list[Animal]:
    """Return the animal with the records' own values, then one for each member; raises as `check_members`."""
    if members is not None:
        check_members(knowledge, members)
    for name in hypotheses:
        if name not in knowledge.hypothesis:
            raise unknown("hypothesis", name, knowledge.hypothesis, "see 'hepatalk list hypotheses'")
    chosen = tuple(hypotheses)
    return [Animal(knowledge, hypotheses=chosen), *(Animal(knowledge, dict(m), (), chosen) for m in members or ())]


def share(held: Sequence[bool]) -> float:
    """Return the share that agrees: of the members, or of the best fit, which stands first, where it is alone."""
    counted = held[1:] or held
    return sum(counted) / len(counted)


def ask(
    demand: Demand,
    animals: Sequence[Animal],
    *,
    workers: int | None = None,
    progress: Progress | None = None,
    kept: Kept | None = None,
) -> list[dict[str, Answer]]:
    """Make every run that is wanted for every animal.

    Parameters
    ----------
    demand : Demand
    animals : sequence of Animal
        Equal ones are run once.
    workers : int, optional
        Processes; as many as there are processors when omitted.
    progress : callable, optional
        Told the fraction of the runs done, 0 when they start.
    kept : Kept, optional
        Where answers are looked up first and kept as they come.

    Returns
    -------
    list of dict of str to Answer
        For each animal, by `hepatalk.experiments.posing.key_of` of the run.
    """
    keys = [animal.key for animal in animals]
    found: dict[str, dict[str, Answer]] = {key: {} for key in keys}
    jobs: list[_Job] = []
    places: list[tuple[str, list[str]]] = []
    for key, animal in {k: a for k, a in zip(keys, animals, strict=True)}.items():
        missing = []
        for run, numbers in demand.numbers.items():
            known = None if kept is None else kept.find(key, run, numbers)
            if known is None:
                missing.append(run)
            else:
                found[key][run] = known
        for runs in _chunks(missing, demand):
            places.append((key, runs))
            tasks = tuple((demand.specs[r], tuple(demand.numbers[r])) for r in runs)
            jobs.append((animal, demand.where, demand.title, tasks))

    def took(place: int, answers: list[Answer]) -> None:
        key, runs = places[place]
        for run, answer in zip(runs, answers, strict=True):
            found[key][run] = answer
            if kept is not None:
                kept.keep(key, run, answer)

    many = sum(len(runs) for _, runs in places) > CHUNK
    in_parallel(_made, jobs, workers=workers, few=2 if many else len(jobs) + 1, progress=progress, took=took)
    return [found[key] for key in keys]


def _chunks(runs: Sequence[str], demand: Demand) -> list[list[str]]:
    """Cut runs into pieces; those that share a compiled model stand together."""

    def model(run: str) -> str:
        spec = demand.specs[run]
        return repr([spec.get(name) for name in ("species", "hypotheses", "set")])

    ordered = sorted(runs, key=model)
    return [ordered[k : k + CHUNK] for k in range(0, len(ordered), CHUNK)]


def _made(job: _Job) -> list[Answer]:
    """Make the runs of one job; what is wrong with a run is its answer."""
    animal, where, title, tasks = job
    bench = Bench()
    answers: list[Answer] = []
    for spec, numbers in tasks:
        try:
            posed = pose(spec, where, title)
            done = perform(
                posed,
                knowledge=animal.knowledge,
                set=free_values(animal, posed),
                hypotheses=animal.hypotheses,
                silenced=animal.silenced,
                bench=bench,
            )
            answers.append({number: _number(done, number) for number in numbers})
        except HepatalkError as error:
            # What rests on this run fails with the model's own words for it.
            answers.append(str(error))
    return answers


def free_values(animal: Animal, posed: Experiment) -> dict[str, float]:
    """Return the animal's own numbers, less those that are settled: by the run, a hypothesis, or its species' own."""
    taken = set(posed.set) | {p.id for p in animal.knowledge.parameters if p.species and posed.species in p.species}
    for name in (*posed.hypotheses, *animal.hypotheses):
        switch = animal.knowledge.hypothesis[name].switch if name in animal.knowledge.hypothesis else None
        taken |= set(switch.parameters) if switch else set()
    return {name: value for name, value in animal.values.items() if name not in taken}


def _number(done: Run, wanted: Wanted) -> float | None:
    """Return what a run says, None where what is asked for never happens."""
    names, reduce, at_h, level = wanted
    result = done.result
    if reduce in ("first_peak", "first_peak_h", "onset_h"):
        summary = result.summary()
        if reduce == "onset_h":
            return onset(result.time_h, result.readout(names[0]), float(summary[f"{names[0]}.first_peak"]))
        return float(summary[f"{names[0]}.{reduce}"])
    curve = sum((_curve(done, name) for name in names), start=np.zeros(len(result.time_h)))
    return reduced(result.time_h, curve, reduce, at_h, level)


def _curve(done: Run, name: str) -> npt.NDArray[np.float64]:
    if name in ("cycled_once.HEP", "cycled_twice.HEP"):
        once, twice = cycled_shares(done.model, done.course)
        return once if name == "cycled_once.HEP" else twice
    return done.result.readout(name)
