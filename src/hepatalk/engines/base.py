"""What every engine offers, and how a run ends."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from hepatalk.model.compiled import CompiledModel
from hepatalk.model.schedule import Change

__all__ = ["Course", "Engine", "Progress"]

Floats = npt.NDArray[np.float64]
#: Called with the fraction of the run that is done, between 0 and 1.
Progress = Callable[[float], None]


@dataclass(frozen=True)
class Course:
    """The raw outcome of a run.

    Attributes
    ----------
    time_h : (n_times,) float array
    states : (n_times, n_states) float array
    params : (n_times, n_params) float array or (n_params,)
        Parameters in force at each time, as indices into ``param_sets``.
    param_sets : (n_sets, n_params) float array
    param_set_of : (n_times,) int array
    died_at_h : float or None
    """

    time_h: Floats
    states: Floats
    param_sets: Floats
    param_set_of: npt.NDArray[np.int64]
    died_at_h: float | None


class Engine(Protocol):
    """Runs a compiled model under a schedule of changes."""

    def run(
        self,
        model: CompiledModel,
        changes: Sequence[Change],
        time_h: Floats,
        *,
        lead_in: Sequence[Change] = (),
        start: Floats | None = None,
        progress: Progress | None = None,
    ) -> Course:
        """Run and return the course at the given times; ``time_h[0]`` is 0, just after the changes of time zero."""
        ...
