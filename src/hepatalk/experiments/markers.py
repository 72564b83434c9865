"""Markers by which an experiment may label a share of a cell type, as a recombinase behind a promoter does.

A marker says which share of the cells of a type bears it, and no more: marked cells behave as the average of their type
and zone, so that a label never changes what happens. That hepatocytes with high telomerase divide more than their
neighbours (Lin et al. 2018, Nature 556:244) is therefore not in the model.
"""

from __future__ import annotations

from hepatalk.experiments.experiment import Experiment
from hepatalk.experiments.items import Item, Label
from hepatalk.knowledge.load import Knowledge

__all__ = ["MARKERS", "with_shares"]

#: Parameter that holds the share of cells with a marker; the same in all zones.
MARKERS = {"TERT": "tert_high_share"}


def with_shares(experiment: Experiment, knowledge: Knowledge) -> Experiment:
    """Return the experiment with each marker replaced by the share of cells that bears it.

    Parameters
    ----------
    experiment : Experiment
    knowledge : Knowledge

    Returns
    -------
    Experiment
        The same one where no item has a marker.
    """
    if not any(isinstance(item, Label) and item.marker for item in experiment.schedule):
        return experiment
    schedule: list[Item] = []
    for item in experiment.schedule:
        if isinstance(item, Label) and item.marker:
            share = float(knowledge.parameter[MARKERS[item.marker]].value)  # type: ignore[arg-type]
            schedule.append(item.model_copy(update={"marker": None, "fraction": share * item.fraction}))
        else:
            schedule.append(item)
    return experiment.model_copy(update={"schedule": tuple(schedule)})
