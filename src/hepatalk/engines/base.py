"""What every engine offers, and how a run ends."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from hepatalk.model.compiled import CompiledModel
from hepatalk.model.schedule import Change

__all__ = ["Course", "Engine", "Progress", "hold_after_death"]

Floats = npt.NDArray[np.float64]
#: Called with the fraction of the run that is done, between 0 and 1.
Progress = Callable[[float], None]


@dataclass(frozen=True)
class Course:
    """The raw outcome of a run.

    Attributes
    ----------
    time_h : (n_times,) float array
        In h from time zero.
    states : (n_times, n_states) float array
        In the units of the model's states; held from the moment of death on.
    param_sets : (n_sets, n_params) float array
        The parameters in force between one change and the next.
    param_set_of : (n_times,) int array
        Which of the sets is in force at each time.
    died_at_h : float or None
        The moment of death; None for an animal that lives, negative for one that died before time zero.
    """

    time_h: Floats
    states: Floats
    param_sets: Floats
    param_set_of: npt.NDArray[np.int64]
    died_at_h: float | None


def hold_after_death(states: Floats, time_h: Floats, died: float) -> Floats:
    """Return the course, (n_times, n_states), with everything held at the last output before death.

    Parameters
    ----------
    states : (n_times, n_states) float array
    time_h : (n_times,) float array
    died : float
        In h; negative when it was before time zero, and the first output is then held.
    """
    out = states.copy()
    after = np.flatnonzero(time_h > died)
    if len(after):
        last = max(int(after[0]) - 1, 0)
        out[after] = out[last]
    return out


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
        """Run a model under a schedule of changes.

        Parameters
        ----------
        model : CompiledModel
        changes : sequence of Change
            Those of time zero act before the first output.
        time_h : (n_times,) float array
            Strictly increasing from 0, which is just after the changes of time zero.
        lead_in : sequence of Change
            Changes before time zero, at negative times.
        start : (n_states,) float array, optional
            The state to start from; the healthy one when omitted.
        progress : callable, optional
            Told the fraction done.

        Returns
        -------
        Course
            At the given times.

        Raises
        ------
        EngineError
            If the run fails.
        """
        ...
