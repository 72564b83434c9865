"""Lobules that differ in their seed alone: an experiment run many times, and what the runs have in common.

Each replicate is a run of its own, in one of several processes. With a folder it is kept there as a checkpoint (see
`hepatalk.engines.lobule.checkpoint`), on the way and when it has ended: a second call with the same experiment goes on
from what there is, to the last bit, and takes more replicates as well; one of another experiment is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hepatalk.engines.base import Progress
from hepatalk.errors import EngineError, ExperimentError, HepatalkError
from hepatalk.experiments.parallel import in_parallel
from hepatalk.experiments.run import perform
from hepatalk.knowledge.load import Knowledge
from hepatalk.results.result import Result

if TYPE_CHECKING:
    from hepatalk.engines.lobule.engine import LobuleSettings

__all__ = ["Asked", "Replicates", "kept_as", "replicate"]

Floats = npt.NDArray[np.float64]

#: Number of replicates from which on they are run in several processes: one takes longer than starting these.
_FEW = 2


@dataclass(frozen=True)
class Asked:
    """What is run with each seed: arguments of `hepatalk.experiments.run.perform` by name.

    Attributes
    ----------
    experiment : str
    options : mapping
        Other arguments, without seed, engine, knowledge and lobule.
    """

    experiment: str
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class _Job:
    asked: Asked
    knowledge: Knowledge
    seed: int
    settings: LobuleSettings


@dataclass(frozen=True)
class _Failure:
    text: str
    bad_input: bool


@dataclass(frozen=True, eq=False)
class Replicates:
    """What replicates have in common.

    Attributes
    ----------
    mean : Result
        Means of all readouts, under their names; a first wave is the mean over the replicates that have one.
    sd : mapping of str to (n_times,) float array
        Standard deviations of all readouts over the replicates (n - 1); 0 for one replicate.
    figures : mapping of str to (float, float)
        Mean and standard deviation of the figures that describe each replicate, as in `Result.summary`: the highest
        value of each, say, which is not that of the mean.
    seeds : tuple of int
    """

    mean: Result
    sd: Mapping[str, Floats]
    figures: Mapping[str, tuple[float, float]]
    seeds: tuple[int, ...]

    @classmethod
    def of(cls, results: Sequence[Result]) -> Replicates:
        """Return what results that differ in seed alone have in common.

        Raises
        ------
        ExperimentError
            If there is none, or they are of different experiments, models or times.
        """
        if not results:
            raise ExperimentError("no replicate; allowed: 1 or more; run some")
        first = results[0]
        for other in results[1:]:
            same = first.identity | {"seed": 0} == other.identity | {"seed": 0}
            if not (same and first.names == other.names and np.array_equal(first.time_h, other.time_h)):
                raise ExperimentError(
                    f"replicates of {first.provenance.experiment} and {other.provenance.experiment} that are not of "
                    "one experiment, model and length; allowed: runs that differ in seed alone; run them anew"
                )
        many = {n: np.array([r.readout(n) for r in results]) for n in first.names}
        figures = [r.summary() for r in results]
        spread = {k: _of([f[k] for f in figures if k in f]) for k in dict.fromkeys(k for f in figures for k in f)}
        waves = {
            n: (spread[f"{n}.first_peak"][0], spread[f"{n}.first_peak_h"][0])
            for n in first.names
            if f"{n}.first_peak" in spread
        }
        mean = Result.build(
            first.time_h,
            {n: x.mean(axis=0) for n, x in many.items()},
            {n: first.unit(n) for n in first.names},
            {n: first.definition(n) for n in first.names},
            first.provenance,
            first_waves=waves,
        )
        sd = {n: x.std(axis=0, ddof=1) if len(x) > 1 else np.zeros(x.shape[1]) for n, x in many.items()}
        return cls(mean, sd, spread, tuple(r.provenance.seed for r in results))

    def to_json(self) -> dict[str, Any]:
        """Return the object that ``hepatalk run --replicates --json`` prints.

        Returns
        -------
        dict
            As `Result.to_json` for the means, and ``replicates``: ``number``, ``seeds``, ``sd`` (as ``readouts``) and
            ``summary`` (mean and sd of each figure over the replicates).
        """
        return self.mean.to_json() | {
            "replicates": {
                "number": len(self.seeds),
                "seeds": list(self.seeds),
                "sd": {n: x.tolist() for n, x in self.sd.items()},
                "summary": {n: {"mean": m, "sd": s} for n, (m, s) in self.figures.items()},
            }
        }


def _of(values: Sequence[float]) -> tuple[float, float]:
    """Return mean and standard deviation."""
    x = np.array(values)
    return float(x.mean()), float(x.std(ddof=1)) if len(x) > 1 else 0.0


def kept_as(folder: Path, seed: int) -> Path:
    """Return the file that holds a replicate."""
    return folder / f"seed_{seed}.npz"


def replicate(
    asked: Asked,
    seeds: Sequence[int],
    settings: LobuleSettings,
    knowledge: Knowledge,
    *,
    folder: Path | None = None,
    alone: bool = False,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Replicates:
    """Run an experiment in lobules that differ in their seed.

    Parameters
    ----------
    asked : Asked
    seeds : sequence of int
        One for each replicate.
    settings : LobuleSettings
        Of each lobule.
    knowledge : Knowledge
    folder : Path, optional
        Where replicates are kept, and found again.
    alone : bool
        Run the first one before the others: when nothing is compiled yet, it compiles for all.
    workers : int, optional
        Processes; as many as there are processors when omitted.
    progress : callable, optional
        Told the fraction of the replicates done.

    Returns
    -------
    Replicates

    Raises
    ------
    ExperimentError
        If the experiment cannot be run, or a file of the folder is of another run.
    EngineError
        If a replicate fails on the way; those that have ended stay in the folder.
    """
    jobs = []
    for seed in seeds:
        own = settings
        if folder is not None:
            own = replace(settings, checkpoint=kept_as(folder, seed), checkpoint_stays=True)
        jobs.append(_Job(asked, knowledge, seed, own))
    cut = 1 if alone and len(jobs) > 1 else 0
    found: list[Result] = []
    for part in (jobs[:cut], jobs[cut:]):
        if part:
            told = None if progress is None else _part_of(progress, len(found), len(part), len(jobs))
            done = in_parallel(_result, part, workers=workers, few=_FEW, progress=told)
            found += [_sound(result, job) for result, job in zip(done, part, strict=True)]
    return Replicates.of(found)


def _part_of(progress: Progress, before: int, number: int, total: int) -> Progress:
    """Return what tells the fraction of all jobs, for a part of them."""
    return lambda share: progress((before + share * number) / total)


def _sound(found: Result | _Failure, job: _Job) -> Result:
    if isinstance(found, Result):
        return found
    text = f"replicate with seed {job.seed}: {found.text}"
    raise ExperimentError(text) if found.bad_input else EngineError(text)


def _result(job: _Job) -> Result | _Failure:
    """Run one replicate, on one thread: the other processors have replicates of their own."""
    import numba

    threads = numba.get_num_threads()
    numba.set_num_threads(1)
    try:
        result = perform(
            job.asked.experiment,
            engine="lobule",
            seed=job.seed,
            knowledge=job.knowledge,
            lobule=job.settings,
            **job.asked.options,
        ).result
    except HepatalkError as error:
        # Errors with arguments of their own do not survive the way between processes.
        return _Failure(str(error), error.exit_code == 2)
    finally:
        numba.set_num_threads(threads)
    return replace(result, states=None, state_names=())
