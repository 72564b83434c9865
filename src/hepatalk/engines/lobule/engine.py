"""The lobule engine: cells as agents, and the model's tape evaluated at every site of their tissue.

A step of the length h, which a stated error bounds:

1. the tape is evaluated at every site; it gives what signals and nodes do and the rates of all fates,
2. signals, stores, nodes and dead tissue take an exponential step, are evaluated anew, and take it again with the mean
   of both evaluations: second order, positive, and stable for any half-life,
3. cells meet their fates with the mean of both rates (`hepatalk.engines.lobule.kernels`).

The difference between the two levels is the error estimate; if it is too large the step is taken again, shorter. The
cells are those of a sample of lobules. What is cut away is whole lobules, not cells of every one: what remains has to
carry the load of the body, and enlarges. All sums over the sample are scaled to the liver, in the units of the
population engine, so that every readout exists in both under one name.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hepatalk.engines.base import Course, Progress, hold_after_death
from hepatalk.engines.lobule.anatomy import DEFAULT_HEPATOCYTES
from hepatalk.engines.lobule.changes import apply_change
from hepatalk.engines.lobule.checkpoint import Progressed, key_of, read, write
from hepatalk.engines.lobule.drifting import Drift
from hepatalk.engines.lobule.record import Snapshot, take
from hepatalk.engines.lobule.state import State, first_cells, room_for
from hepatalk.engines.lobule.system import LobuleSystem
from hepatalk.engines.lobule.tables import compartments_of
from hepatalk.engines.lobule.tissue import Tissue, from_geometry
from hepatalk.errors import EngineError
from hepatalk.model.compiled import CompiledModel
from hepatalk.model.schedule import Change

__all__ = ["LobuleEngine", "LobuleSettings"]

Floats = npt.NDArray[np.float64]

#: Bound of the error of a step in space, where chance among few neighbours is larger. Two days after the loss of 70% of
#: the liver, in a lobule of 1000 hepatocytes, 0.03 in place of 0.01 moves the volume by less than 0.1%, 0.1 by 0.3%.
TOLERANCE_IN_SPACE = 5e-2
#: The first step after a change, and the longest one, in h.
FIRST_STEP_H, LONGEST_STEP_H = 1e-3, 0.2
#: How much the next step may be longer or shorter than this one.
_MOST, _LEAST, _SAFETY = 2.0, 0.2, 0.9
#: A step is taken again if its error is so many tolerances.
_TOO_MUCH = 2.0
SHORTEST_STEP_H = 1e-7
SAME_TIME_H = 1e-9


@dataclass(frozen=True)
class LobuleSettings:
    """How large a lobule is, and what is kept of it.

    Attributes
    ----------
    hepatocytes : int
        Of the healthy lobule, other cells beside them.
    lobules : int
        Side by side.
    cells_at_h : tuple of float
        Times at which cells and fields are kept, in h.
    keep : callable, optional
        Gets each `hepatalk.engines.lobule.record.Snapshot`.
    checkpoint : Path, optional
        File in which the run is kept on the way, and from which it goes on if the file is there.
    checkpoint_every_s : float
        Seconds between two writings of it.
    checkpoint_stays : bool
        Whether the file holds the end of the run and stays, for the caller to remove once the result is safe.
    chemotaxis : tuple of (str, str)
        Cell types and signals that they climb beside those of the records: see `hepatalk.engines.lobule.drifting`.
    """

    hepatocytes: int = DEFAULT_HEPATOCYTES
    lobules: int = 1
    cells_at_h: tuple[float, ...] = ()
    keep: Callable[[Snapshot], None] | None = None
    checkpoint: Path | None = None
    checkpoint_every_s: float = 60.0
    checkpoint_stays: bool = False
    chemotaxis: tuple[tuple[str, str], ...] = ()


@dataclass
class LobuleEngine:
    """Runs a compiled model cell by cell.

    Parameters
    ----------
    seed : int
    tissue : Tissue
    tolerance : float
        Bound of the error of a step in signals, nodes and stores, relative to 0.05 + their size.
    settings : LobuleSettings
    """

    seed: int
    tissue: Tissue
    tolerance: float = 1e-2
    settings: LobuleSettings = field(default_factory=LobuleSettings)
    last: State | None = field(default=None, repr=False)

    @classmethod
    def in_space(cls, model: CompiledModel, seed: int, settings: LobuleSettings) -> LobuleEngine:
        """Return an engine for lobules built from the anatomy that a model carries.

        Raises
        ------
        GeometryError
            If no lobule has such an anatomy.
        """
        from hepatalk.engines.lobule.anatomy import Anatomy
        from hepatalk.engines.lobule.geometry import build

        anatomy = Anatomy.of(model.anatomy, hepatocytes=settings.hepatocytes, lobules=settings.lobules)
        tissue = from_geometry(build(anatomy, seed=seed), compartments_of(model))
        return cls(seed, tissue, TOLERANCE_IN_SPACE, settings)

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
            If a quantity is not finite (names it, its site and the time), a change cannot be expressed in a lobule, or
            a checkpoint is of another run.
        """
        if start is not None:
            raise EngineError(
                "the lobule engine begins with a healthy tissue; allowed: losses of genes at a time (germline: false); "
                "use --engine population for a start state"
            )
        times = np.asarray(time_h, dtype=np.float64)
        system = LobuleSystem(model, self.tissue, self.seed, self.tolerance)
        if self.tissue.space is not None:
            system.drift = Drift(system, self.settings.chemotaxis)
        course = _Marching(system, list(changes), times, self.settings, progress)
        key = self._key(model, (*lead_in, *changes), times)
        resumed = read(self.settings.checkpoint, key, len(times), model.n_states) if self.settings.checkpoint else None
        if resumed is None:
            cells, n, ident = first_cells(system.comps, system.tissue, self.seed)
            state = system.healthy(cells, n, ident, min((c.at_h for c in lead_in), default=0.0))
            if lead_in:
                _Marching(system, list(lead_in), np.array([0.0]), LobuleSettings(), None).go(state)
            system.make_fresh(state)
            resumed = Progressed(
                state, np.empty((len(times), model.n_states)), np.zeros(len(times), dtype=np.int64), [], 0
            )
        course.go(resumed.state, resumed, key)
        self.last = resumed.state
        if self.settings.checkpoint and self.settings.checkpoint_stays:
            write(self.settings.checkpoint, key, resumed)
        elif self.settings.checkpoint:
            self.settings.checkpoint.unlink(missing_ok=True)
        states, died = resumed.out, resumed.state.died_at_h
        if died is not None:
            states = hold_after_death(states, times, died)
        return Course(times, states, np.array(resumed.sets), resumed.which, died)

    def _key(self, model: CompiledModel, changes: Sequence[Change], times: Floats) -> dict[str, str]:
        t = self.tissue
        arrays = (t.zone, t.weight, t.position, t.type_, t.cell_site, t.cell_position)
        key = key_of(model.hash, self.seed, self.tolerance, arrays, changes, times)
        return {**key, "chemotaxis": repr(self.settings.chemotaxis)}


class _Marching:
    """Steps from one change to the next, fills the output, and keeps what is to be kept."""

    def __init__(
        self,
        system: LobuleSystem,
        changes: list[Change],
        times: Floats,
        settings: LobuleSettings,
        progress: Progress | None,
    ) -> None:
        self.system, self.times, self.settings, self.progress = system, times, settings, progress
        self.changes = sorted(changes, key=lambda c: c.at_h)
        self.written = time.monotonic()

    def go(self, state: State, run: Progressed | None = None, key: dict[str, str] | None = None) -> None:
        """March to the last time of output."""
        system, times = self.system, self.times
        end = float(times[-1])
        if run is None:
            n = system.model.n_states
            run = Progressed(state, np.empty((len(times), n)), np.zeros(len(times), dtype=np.int64), [], 0)
        begun = bool(run.sets)
        begin = state.time_h
        pending = [c for c in self.changes if not begun or c.at_h > state.time_h + SAME_TIME_H]
        shots = [t for t in sorted(self.settings.cells_at_h) if not begun or t > state.time_h + SAME_TIME_H]
        while True:
            if not begun:
                while pending and pending[0].at_h <= state.time_h + SAME_TIME_H:
                    apply_change(system, state, pending.pop(0))
                run.sets.append(state.params.copy())
                state.step_h = FIRST_STEP_H
            begun = False
            stop = min(pending[0].at_h, end) if pending else end
            sums = system.sums(state)
            self._fill(run, sums, sums, state.time_h, state.time_h, math.inf)
            shots = self._keep(state, shots)
            while state.time_h < stop - SAME_TIME_H:
                before, at = sums, state.time_h
                step(system, state, stop)
                sums = system.sums(state)
                last = state.time_h >= stop - SAME_TIME_H and bool(pending)
                self._fill(run, before, sums, at, state.time_h, stop if last else math.inf)
                if not last:
                    shots = self._keep(state, shots)
                self._save(run, key)
                if self.progress is not None:
                    self.progress((state.time_h - begin) / max(end - begin, SAME_TIME_H))
            if stop >= end - SAME_TIME_H and not (pending and pending[0].at_h <= end + SAME_TIME_H):
                return

    def _fill(self, run: Progressed, before: Floats, now: Floats, at: float, to: float, until: float) -> None:
        """Fill the outputs between two moments; those at a change are filled just after it, not before."""
        while run.done < len(self.times) and self.times[run.done] <= to + SAME_TIME_H:
            wanted = float(self.times[run.done])
            if wanted >= until - SAME_TIME_H:
                return
            share = min((wanted - at) / (to - at), 1.0) if to > at else 1.0
            run.out[run.done], run.which[run.done] = before + share * (now - before), len(run.sets) - 1
            run.done += 1

    def _keep(self, state: State, shots: list[float]) -> list[float]:
        """Keep cells and fields at the first step from each wanted time on; return the times still to come."""
        if self.settings.keep is None or not shots or state.time_h < shots[0] - SAME_TIME_H:
            return shots
        self.settings.keep(take(self.system, state))
        return [t for t in shots if t > state.time_h + SAME_TIME_H]

    def _save(self, run: Progressed, key: dict[str, str] | None) -> None:
        path = self.settings.checkpoint
        if path is None or key is None or time.monotonic() - self.written < self.settings.checkpoint_every_s:
            return
        write(path, key, run)
        self.written = time.monotonic()


def step(system: LobuleSystem, state: State, stop: float) -> None:
    """Take one step, not beyond the time ``stop``: levels first, cells after them.

    Levels are advanced with the mean of what they and the cells do at the beginning and what is expected of both at the
    end; cells with the mean of both rates. So neither lags behind the other: the mean over many cells is of second
    order.

    Raises
    ------
    EngineError
        If no step is short enough, or something is not finite.
    """
    now = system.evaluation(state)
    system.see_flow(state, now)
    system.give_room(state, now)
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
