"""An experiment on many virtual animals: between which values most of them lie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from hepatalk.engines.base import Progress
from hepatalk.errors import ExperimentError, HepatalkError
from hepatalk.experiments.answers import Animal, Member, check_members, free_values
from hepatalk.experiments.experiment import DEFAULT_READOUTS, Experiment
from hepatalk.experiments.parallel import in_parallel
from hepatalk.experiments.run import Run, perform
from hepatalk.knowledge.load import Knowledge
from hepatalk.results.band import Bands

__all__ = ["SHARE", "with_bands"]

#: The share of animals that lies inside a band: from the 5% to the 95% quantile.
SHARE = 0.9
#: Readouts that have a band whatever the experiment reads, because pictures show them.
DRAWN = (*DEFAULT_READOUTS, "shear", "oxygen")

_Curves = dict[str, npt.NDArray[np.float64]]
_Job = tuple[Animal, Experiment, tuple[str, ...]]


def with_bands(
    run: Run,
    members: Sequence[Member],
    knowledge: Knowledge,
    *,
    workers: int | None = None,
    progress: Progress | None = None,
) -> tuple[Run, tuple[str, ...]]:
    """Run an experiment on many virtual animals and add bands to its result.

    Parameters
    ----------
    run : Run
        The experiment on the best fit; its curves stay as they are.
    members : sequence of mapping
        Parameter sets, as values that replace those of the knowledge base.
    knowledge : Knowledge
        That of the run.
    workers : int, optional
        Processes; as many as there are processors when omitted.
    progress : callable, optional
        Told the fraction of the animals done.

    Returns
    -------
    run : Run
        With bands for every readout of the experiment and for those that pictures show.
    not_run : tuple of str
        For each animal that could not be run, the reason; these are in no band.

    Raises
    ------
    ExperimentError
        If there is no member, or none can be run.
    UnknownNameError
        For an unknown parameter.
    """
    check_members(knowledge, members)
    posed = run.experiment
    names = tuple(n for n in dict.fromkeys((*posed.readouts, *DRAWN)) if n in run.result.readouts)
    jobs: list[_Job] = [(Animal(knowledge, dict(member)), posed, names) for member in members]
    found = in_parallel(_curves, jobs, workers=workers, progress=progress)
    ran = [curves for curves in found if not isinstance(curves, str)]
    not_run = tuple(reason for reason in found if isinstance(reason, str))
    if not ran:
        raise ExperimentError(
            f"none of {len(members)} virtual animals can be run ({not_run[0]}); allowed: animals that can; "
            "leave --members out to see the best fit"
        )
    bands = Bands.of({name: np.array([curves[name] for curves in ran]) for name in names}, SHARE)
    return replace(run, result=replace(run.result, bands=bands)), not_run


def _curves(job: _Job) -> _Curves | str:
    """Return the readouts of one animal, or why it could not be run."""
    animal, posed, names = job
    try:
        result = perform(posed, knowledge=animal.knowledge, set=free_values(animal, posed)).result
    except HepatalkError as error:
        return str(error)
    return {name: result.readout(name) for name in names}
