"""What each statement does: the largest change of any readout when its influence is held at rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hepatalk.engines.base import Progress
from hepatalk.experiments.parallel import in_parallel
from hepatalk.experiments.readouts import tells_descent
from hepatalk.experiments.run import perform
from hepatalk.knowledge.load import Knowledge
from hepatalk.knowledge.records import AccountTerms

__all__ = ["CATALOGUE", "SILENT", "Influence", "influence"]

#: Experiments over which influence is measured: a small, the standard and a very large resection, and damage in place.
CATALOGUE = ("phx30", "phx70", "phx85", "bdl", "ccl4")
DAYS = 14.0
#: A row whose removal changes no readout by this share of its range or value is silent.
SILENT = 1e-3
#: Changes of a share of cells by descent are told relative to at least this share.
LEAST_SHARE = 0.01


@dataclass(frozen=True)
class Influence:
    """The largest change that silencing a statement makes.

    Attributes
    ----------
    row : str
    change : float
        max over readouts and times of |silenced - full| / max(|full|, 1% of the readout's own maximum).
    readout, experiment : str
        Where that is.
    on_organ : float
        The same over liver volume, hepatocyte mass and S-phase readouts alone.
    """

    row: str
    change: float
    readout: str
    experiment: str
    on_organ: float


def influence(
    knowledge: Knowledge,
    progress: Progress | None = None,
    *,
    rows: Sequence[str] | None = None,
    experiments: Sequence[str] = CATALOGUE,
    workers: int | None = None,
) -> list[Influence]:
    """Silence every statement in turn and measure the largest change of any readout.

    Parameters
    ----------
    knowledge : Knowledge
    progress : callable, optional
        Told the fraction done.
    rows : sequence of str, optional
        Rows to silence; all rows with terms when omitted.
    experiments : sequence of str
    workers : int, optional
        Processes; as many as there are processors when omitted.

    Returns
    -------
    list of Influence
        Weakest first.
    """
    chosen = (
        [i.id for i in knowledge.interactions if isinstance(i.account, AccountTerms)] if rows is None else list(rows)
    )
    full = {name: _readouts(name, knowledge, ()) for name in experiments}
    jobs = [(row, knowledge, full, tuple(experiments)) for row in chosen]
    found = in_parallel(_one, jobs, workers=workers, progress=progress)
    return sorted(found, key=lambda i: i.change)


Curves = dict[str, npt.NDArray[np.float64]]


def _readouts(experiment: str, knowledge: Knowledge, silenced: tuple[str, ...]) -> Curves:
    result = perform(experiment, species="rat", days=DAYS, every=2.0, knowledge=knowledge, silenced=silenced).result
    return {name: result.readout(name) for name in result.names}


def _one(job: tuple[str, Knowledge, dict[str, Curves], tuple[str, ...]]) -> Influence:
    row, knowledge, full, experiments = job
    best, where, in_which, organ = 0.0, "", "", 0.0
    for experiment in experiments:
        silenced = _readouts(experiment, knowledge, (row,))
        for name, curve in full[experiment].items():
            # Shares by descent are next to nothing after a resection; a change of nothing is no influence.
            least = LEAST_SHARE if tells_descent(name) else 0.01 * max(float(np.abs(curve).max()), 1e-12)
            scale = np.maximum(np.abs(curve), least)
            change = float((np.abs(silenced[name] - curve) / scale).max())
            if change > best:
                best, where, in_which = change, name, experiment
            if name in ("liver_volume", "hepatocyte_mass") or name.startswith("s_phase."):
                organ = max(organ, change)
    return Influence(row, best, where, in_which, organ)
