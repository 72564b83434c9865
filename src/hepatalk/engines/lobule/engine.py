"""The lobule engine: cells as agents, and the model's tape evaluated at every site of their tissue.

A step of the length h, which a stated error bounds:

1. the tape is evaluated at every site; it gives what signals and nodes do and the rates of all fates,
2. signals, stores, nodes and dead tissue take an exponential step, are evaluated anew, and take it again with the mean
   of both evaluations: second order, positive, and stable for any half-life,
3. cells meet their fates with the mean of both rates (`hepatalk.engines.lobule.kernels`).

The difference between the two levels is the error estimate; if it is too large the step is taken again, shorter. The
cells are those of a sample of lobules. A resection takes lobules away, not cells from every lobule: what remains has to
carry the load of the body, and enlarges. All sums over the sample are scaled to the liver, in the units of the
population engine, so that every readout exists in both under one name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from hepatalk.engines.base import Course, Progress
from hepatalk.engines.lobule.changes import apply_change
from hepatalk.engines.lobule.state import State, first_cells, room_for
from hepatalk.engines.lobule.system import LobuleSystem
from hepatalk.engines.lobule.tissue import Tissue, zones_only
from hepatalk.errors import EngineError
from hepatalk.model.compiled import CompiledModel
from hepatalk.model.schedule import Change

__all__ = ["LobuleEngine"]

Floats = npt.NDArray[np.float64]

#: The first step after a change, and the longest one, in h.
FIRST_STEP_H, LONGEST_STEP_H = 1e-3, 0.2
#: How much the next step may be longer or shorter than this one.
_MOST, _LEAST, _SAFETY = 2.0, 0.2, 0.9
#: A step is taken again if its error is so many tolerances.
_TOO_MUCH = 2.0
SHORTEST_STEP_H = 1e-7
SAME_TIME_H = 1e-9


@dataclass
class LobuleEngine:
    """Runs a compiled model cell by cell.

    Parameters
    ----------
    seed : int
    hepatocytes : int
        How many the healthy tissue has.
    tissue : Tissue, optional
        Three well-mixed zones when omitted.
    tolerance : float
        Bound of the error of a step in signals, nodes and stores, relative to 0.05 + their size.
    """

    seed: int = 0
    hepatocytes: int = 3000
    tissue: Tissue | None = None
    tolerance: float = 1e-2
    last: State | None = field(default=None, repr=False)

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
        """Run a model, from its healthy state.

        Parameters
        ----------
        model : CompiledModel
        changes : sequence of Change
            Those of time zero act before the first output.
        time_h : (n_times,) float array
            Strictly increasing from 0. Between two steps the course is interpolated, so that output changes nothing.
        lead_in : sequence of Change
            Changes before time zero, at negative times.
        start : None
            This engine begins with a healthy tissue.
        progress : callable, optional
            Told the fraction done.

        Returns
        -------
        Course

        Raises
        ------
        EngineError
            If a quantity is not finite (names it, its site and the time), or a change cannot be expressed in a lobule.
        """
        if start is not None:
            raise EngineError(
                "the lobule engine begins with a healthy tissue; allowed: losses of genes at a time (germline: false); "
                "use --engine population for a start state"
            )
        system = self.system(model)
        state = self.first_state(system, min((c.at_h for c in lead_in), default=0.0))
        if lead_in:
            _march(system, state, list(lead_in), np.array([0.0]), None)
        system.make_fresh(state)
        states, sets, which = _march(system, state, list(changes), np.asarray(time_h), progress)
        self.last = state
        return Course(np.asarray(time_h), states, np.array(sets), which, state.died_at_h)

    def system(self, model: CompiledModel) -> LobuleSystem:
        """Return the model laid out over the tissue."""
        tissue = self.tissue
        if tissue is None:
            from hepatalk.engines.lobule.tables import compartments_of

            tissue = zones_only(compartments_of(model), {c: self.hepatocytes for c in model.fates.cells})
        return LobuleSystem(model, tissue, self.seed, self.tolerance)

    def first_state(self, system: LobuleSystem, time_h: float) -> State:
        """Return the healthy state at a time."""
        cells, n, ident = first_cells(system.comps, system.tissue, self.seed)
        return system.healthy(cells, n, ident, time_h)


def _march(
    system: LobuleSystem, state: State, changes: list[Change], times: Floats, progress: Progress | None
) -> tuple[Floats, list[Floats], npt.NDArray[np.int64]]:
    """Step from one change to the next; outputs at the time of a change are those just after it."""
    out = np.empty((len(times), system.model.n_states))
    which = np.zeros(len(times), dtype=np.int64)
    sets: list[Floats] = []
    pending = sorted(changes, key=lambda c: c.at_h)
    begin, end, done = state.time_h, float(times[-1]), 0
    while True:
        while pending and pending[0].at_h <= state.time_h + SAME_TIME_H:
            apply_change(system, state, pending.pop(0))
        sets.append(state.params.copy())
        stop = min(pending[0].at_h, end) if pending else end
        state.step_h = FIRST_STEP_H
        sums = system.sums(state)
        while done < len(times) and times[done] <= state.time_h + SAME_TIME_H:
            out[done], which[done] = sums, len(sets) - 1
            done += 1
        while state.time_h < stop - SAME_TIME_H:
            before, at = sums, state.time_h
            step(system, state, stop)
            sums = system.sums(state)
            last = state.time_h >= stop - SAME_TIME_H
            while done < len(times) and times[done] <= state.time_h + SAME_TIME_H:
                if last and pending and times[done] >= stop - SAME_TIME_H:
                    break  # just after the change, not before it
                share = min((times[done] - at) / (state.time_h - at), 1.0)
                out[done], which[done] = before + share * (sums - before), len(sets) - 1
                done += 1
            if progress is not None:
                progress((state.time_h - begin) / max(end - begin, SAME_TIME_H))
        if stop >= end - SAME_TIME_H and not (pending and pending[0].at_h <= end + SAME_TIME_H):
            return out, sets, which


def step(system: LobuleSystem, state: State, stop: float) -> None:
    """Take one step, not beyond the time ``stop``: levels first, cells after them.

    Levels are advanced with the mean of what they and the cells do at the beginning and what is expected of both at the
    end; cells with the mean of both rates. So neither lags behind the other: the mean over many cells is of second order.

    Raises
    ------
    EngineError
        If no step is short enough, or something is not finite.
    """
    now = system.evaluation(state)
    system.see_flow(state, now)
    while True:
        h = min(state.step_h, LONGEST_STEP_H, stop - state.time_h)
        if stop - state.time_h - h < 0.01 * h:
            h = stop - state.time_h
        level, body, _ = system.advance(state, now, now, h)
        census = system.foreseen(state, now, h)
        then = system.evaluation(state, level=level, body=body, time_h=state.time_h + h, census=census)
        new_level, new_body, carried = system.advance(state, now, then, h)
        error = max(system.error(level, body, new_level, new_body), carried)
        state.step_h = h * min(_MOST, max(_LEAST, _SAFETY / np.sqrt(max(error, 1e-12))))
        if error <= _TOO_MUCH:
            break
        if state.step_h < SHORTEST_STEP_H:
            raise EngineError(
                f"no step is short enough at {state.time_h:.6g} h (error {error:.3g} of the tolerance at {h:.3g} h); "
                "check the parameters set"
            )
    system.move_cells(state, now, then, h)
    state.level, state.body = new_level, new_body
    state.time_h += h
    state.steps += 1
    state.bury()
    state.cells = room_for(state.cells, state.n)
    system.see_death(state, now, h)
