"""The first wave of division: when it passes and how high it is."""

from __future__ import annotations

import numpy as np

from hepatalk.engines.base import Course
from hepatalk.experiments.readout import NO_CELLS
from hepatalk.model.compiled import CompiledModel

__all__ = ["first_waves"]


def first_waves(model: CompiledModel, course: Course) -> dict[str, tuple[float, float]]:
    """Return (height, time in h) of the first wave of S phase of each cell type.

    For types whose generations are counted, the first wave is that of cells undivided since time zero, as a share of
    the whole type; for the others it is the first local maximum that reaches half of the highest value.

    Parameters
    ----------
    model : CompiledModel
    course : Course
        Hourly, or finer than the waves.

    Returns
    -------
    dict of str to (float, float)
        By readout, ``s_phase.CELL``: height as a fraction of the cells of the type, time in h.
    """
    found = {}
    for name in (n for n in model.groups if n.endswith(".s")):
        cell = name.removesuffix(".s")
        total = course.states[:, model.groups[cell]].sum(axis=1)
        first = model.groups.get(f"{cell}.s.generation0", model.groups[name])
        curve = course.states[:, first].sum(axis=1) / np.maximum(total, 1e-300)
        curve = np.where(total < NO_CELLS, 0.0, curve)
        i = int(curve.argmax())
        if f"{cell}.s.generation0" not in model.groups:
            rises = (
                np.flatnonzero(
                    (curve[1:-1] >= curve[:-2]) & (curve[1:-1] > curve[2:]) & (curve[1:-1] >= 0.5 * curve.max())
                )
                + 1
            )
            i = int(rises[0]) if len(rises) else i
        found[f"s_phase.{cell}"] = (float(curve[i]), float(course.time_h[i]))
    return found
