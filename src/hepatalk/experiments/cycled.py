"""How many of the original hepatocytes have been through S phase, from the generations that cells belong to."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hepatalk.engines.base import Course
from hepatalk.model.compiled import CompiledModel

__all__ = ["cycled_shares"]

Floats = npt.NDArray[np.float64]


def cycled_shares(model: CompiledModel, course: Course) -> tuple[Floats, Floats]:
    """Return the shares of the original hepatocytes that entered S at least once, and that began a second cycle.

    Each original cell is worth two cells after one division and four after two; death is slow on this scale.

    Parameters
    ----------
    model : CompiledModel
    course : Course

    Returns
    -------
    once, twice : (n_times,) float array
    """
    g, y = model.groups, course.states
    before_s = sum(y[:, g[f"HEP.{s}.generation0"]].sum(axis=1) for s in ("resting", "primed", "g1"))
    zero, one, more = (y[:, g[f"HEP.generation{k}"]].sum(axis=1) for k in range(3))
    originals = zero + one / 2.0 + more / 4.0
    return 1.0 - before_s / originals, 1.0 - (zero + one / 2.0) / originals
