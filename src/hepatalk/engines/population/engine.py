"""The population engine: one ordinary differential equation in three zones, solved by CVODE with an exact Jacobian.

CVODE (Hindmarsh et al. 2005, doi 10.1145/1089014.1089020) is reached through scikit-sundae; SciPy's LSODA is the
cross-check and the fallback where scikit-sundae has no wheel. The solver starts anew at each change of the schedule and
its first step is fixed, so that the times at which output is wanted do not alter a single bit of the solution's steps.

Death is an event: the solver looks for the moment at which the accumulated shortfall of function becomes lethal. From
then on the course holds the last output before it.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from hepatalk.engines.base import Course, Progress, hold_after_death
from hepatalk.engines.population.blame import largest_term, slot_in_words
from hepatalk.engines.population.changes import apply_change, relabelled
from hepatalk.engines.population.jacobian import Sparsity, sparsity_of
from hepatalk.engines.population.kernels import GradientTables, derivative, evaluate, jacobian
from hepatalk.errors import EngineError
from hepatalk.model.compiled import CompiledModel
from hepatalk.model.schedule import Change

__all__ = ["PopulationEngine", "System"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Solver = Literal["cvode", "lsoda"]

FIRST_STEP_H = 1e-6
#: A state below this many absolute tolerances is an error: sound runs reach about -1 of them.
NEGATIVE_LIMIT = 100.0
MAX_STEPS_PER_OUTPUT = 100_000
#: Times closer than this are the same time.
SAME_TIME_H = 1e-9
#: Fastest movement (per h) of any state of a healthy liver that is rounding and not drift.
REST_TOLERANCE = 1e-9


@dataclass
class System:
    """A model's right-hand side and Jacobian with their work space; never raises inside the solver.

    Parameters
    ----------
    model : CompiledModel
    params : (n_params,) float array
        Parameters in force; may be replaced between solves.
    sparsity : Sparsity
        Where the Jacobian has entries.

    Attributes
    ----------
    calls : int
        How often the derivative has been evaluated.
    """

    model: CompiledModel
    params: Floats
    sparsity: Sparsity
    calls: int = 0
    _values: Floats = field(init=False)
    _gradient: Floats = field(init=False)
    _tape: tuple[Ints, Ints, Ints, Ints, Ints] = field(init=False)
    _tables: GradientTables = field(init=False)
    _lethal: int = field(init=False)

    def __post_init__(self) -> None:
        m = self.model
        self._values = np.zeros(m.n_states + m.n_ops)
        self._gradient = np.zeros(self.sparsity.n_gradient)
        self._tape = (m.law, m.input_start, m.inputs, m.argument_start, m.arguments)
        s = self.sparsity
        self._tables = GradientTables(
            s.gradient_start, s.scatter_start, s.scatter, m.flux, m.coefficient, s.entry_start, s.entry
        )
        self._lethal = m.param_index.get("lethal_deficit", 0)

    def values(self, y: Floats) -> Floats:
        """Return all slots at a state, (n_states + n_ops,); a view that the next call overwrites."""
        self._values[: self.model.n_states] = y
        evaluate(self._values, self.params, *self._tape)
        return self._values

    def rhs(self, t: float, y: Floats, yp: Floats) -> None:
        """Fill ``yp`` with the derivative, per h."""
        del t
        self.calls += 1
        derivative(yp, self.values(y), self.model.flux_start, self.model.flux, self.model.coefficient)

    def death(self, t: float, y: Floats, margin: Floats) -> None:
        """Fill ``margin`` with what is left before the accumulated shortfall is lethal, in h; 1 without one."""
        del t
        index = self.model.slot_index
        if "deficit" not in index:
            margin[0] = 1.0
            return
        margin[0] = self.params[self._lethal] - y[index["deficit"]]

    def jac(self, t: float, y: Floats, yp: Floats, entries: Floats) -> None:
        """Fill ``entries``, (nnz,), with the Jacobian's nonzero entries in compressed-column order, per h."""
        del t, yp
        jacobian(entries, self._gradient, self.values(y), self.params, *self._tape, self._tables)


@dataclass
class PopulationEngine:
    """Runs a compiled model as a system of ordinary differential equations.

    Parameters
    ----------
    rtol : float
        Relative tolerance of the solver.
    atol : float
        Absolute tolerance, on the scale of each state (1 for fractions and relative signals).
    solver : {'cvode', 'lsoda'}
    """

    rtol: float = 1e-7
    atol: float = 1e-10
    solver: Solver = "cvode"
    _sparsity: dict[str, Sparsity] = field(default_factory=dict, repr=False)

    def system(self, model: CompiledModel) -> System:
        """Return the right-hand side and Jacobian of a model."""
        return System(model, model.params.copy(), self._pattern(model))

    def _pattern(self, model: CompiledModel) -> Sparsity:
        key = model.hash
        if key not in self._sparsity:
            self._sparsity[key] = sparsity_of(model)
        return self._sparsity[key]

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
        """Run a model, from its healthy state unless told otherwise.

        Parameters
        ----------
        model : CompiledModel
        changes : sequence of Change
            In the order of their times; those of time zero act before the first output.
        time_h : (n_times,) float array
            Strictly increasing from 0.
        lead_in : sequence of Change
            Changes before time zero (knock-outs), at negative times.
        start : (n_states,) float array, optional
            The state to start from; the healthy one when omitted, which is verified first.
        progress : callable, optional
            Told the fraction done.

        Returns
        -------
        Course

        Raises
        ------
        EngineError
            If the healthy state does not stand still, the solver fails, or a state becomes negative or not finite;
            names state, time and term. If a change names a state that the model does not have.
        ModelError
            If a change names a parameter that the model does not have.
        """
        system = self.system(model)
        if start is None:
            self._verify_rest(system)
        y = (model.rest if start is None else np.asarray(start, dtype=np.float64)).copy()
        died: float | None = None
        if lead_in:
            before = min(c.at_h for c in lead_in)
            y, died, _ = self._march(system, y, list(lead_in), np.array([before, 0.0]), None)
        y = relabelled(model, y)
        _, found, (states, sets, which) = self._march(system, y, list(changes), time_h, progress)
        died = found if died is None else died
        if died is not None:
            states = hold_after_death(states, time_h, died)
        return Course(np.asarray(time_h), states, np.array(sets), which, died)

    def _verify_rest(self, system: System) -> None:
        """Raise if the healthy state of a model moves."""
        yp = np.empty(system.model.n_states)
        system.rhs(0.0, system.model.rest, yp)
        worst = int(np.abs(yp).argmax())
        if not np.abs(yp[worst]) <= REST_TOLERANCE:
            raise EngineError(
                f"the healthy state does not stand still: {system.model.state_names[worst]!r} moves by "
                f"{yp[worst]:.3g} per h; allowed: nothing moves; undo the last change of a parameter or record"
            )

    def _march(
        self, system: System, y: Floats, changes: list[Change], times: Floats, progress: Progress | None
    ) -> tuple[Floats, float | None, tuple[Floats, list[Floats], npt.NDArray[np.int64]]]:
        """Solve piece by piece between changes; outputs at a change's time are those just after it."""
        states = np.empty((len(times), system.model.n_states))
        which = np.zeros(len(times), dtype=np.int64)
        sets: list[Floats] = []
        pending = sorted(changes, key=lambda c: c.at_h)
        now, end = float(times[0]), float(times[-1])
        died: float | None = None
        while True:
            while pending and pending[0].at_h <= now + SAME_TIME_H:
                y = apply_change(system.model, system.params, y, pending.pop(0))
            sets.append(system.params.copy())
            stop = min(pending[0].at_h, end) if pending else end
            inside = np.flatnonzero((times >= now - SAME_TIME_H) & (times <= stop + SAME_TIME_H))
            wanted = times[inside]
            grid = np.unique(np.concatenate([[now], wanted[wanted > now + SAME_TIME_H], [stop]]))
            found = None
            course = y[None, :]
            if len(grid) > 1:
                course, found = self._solve(system, y, grid)
                y = course[-1].copy()
            states[inside] = course[np.clip(np.searchsorted(grid, wanted - SAME_TIME_H), 0, len(grid) - 1)]
            which[inside] = len(sets) - 1
            died = found if died is None else died
            if progress is not None and end > 0:
                progress(max(0.0, stop / end))
            if stop >= end - SAME_TIME_H:
                break
            now = stop
        return y, died, (states, sets, which)

    # ------------------------------------------------------------------------------------------- solvers

    def _solve(self, system: System, y: Floats, grid: Floats) -> tuple[Floats, float | None]:
        """Return the course on a grid of times, (n_times, n_states), and the time of death if there was one."""
        self._try_first(system, y, float(grid[0]))
        course, died = self._cvode(system, y, grid) if self.solver == "cvode" else self._lsoda(system, y, grid)
        self._check(system, course, grid)
        return course, died

    def _try_first(self, system: System, y: Floats, t: float) -> None:
        """Evaluate both callbacks before the solver does: it cannot survive an error in its first call."""
        yp, entries = np.empty_like(y), np.empty(system.sparsity.pattern.nnz)
        system.rhs(t, y, yp)
        system.jac(t, y, yp, entries)
        for name, array in (("derivative", yp), ("Jacobian", entries)):
            if not np.isfinite(array).all():
                raise EngineError(
                    f"the {name} is not finite at {t:g} h: {self._blame(system, y)}; check the parameters set"
                )

    def _cvode(self, system: System, y: Floats, grid: Floats) -> tuple[Floats, float | None]:
        # Idle OpenMP threads of the solver library would otherwise spin and slow whatever else the machine does.
        os.environ.setdefault("OMP_WAIT_POLICY", "passive")
        from sksundae.cvode import CVODE

        def death(t: float, x: Floats, margin: Floats) -> None:
            # A function of its own: scikit-sundae sets attributes on it, which a method does not take.
            system.death(t, x, margin)

        died: float | None = None
        course = np.empty((len(grid), len(y)))
        course[0] = y
        with warnings.catch_warnings():
            # The pattern is needed beside the Jacobian; scikit-sundae 1.2 warns that it will not build one from it.
            warnings.filterwarnings("ignore", message="Custom sparse Jacobian approximation", category=UserWarning)
            solver = CVODE(
                system.rhs,
                jacfn=system.jac,
                sparsity=system.sparsity.pattern,
                linsolver="sparse",
                rtol=self.rtol,
                atol=self.atol,
                first_step=FIRST_STEP_H,
                max_num_steps=MAX_STEPS_PER_OUTPUT,
                eventsfn=death,
                num_events=1,
            )
        with quiet_stderr() as said:
            solver.init_step(float(grid[0]), y)
            for i in range(1, len(grid)):
                result = solver.step(float(grid[i]), tstop=float(grid[-1]))
                while result.success and float(result.t) < grid[i] - SAME_TIME_H:
                    # The solver has stopped at the moment of death; it goes on so that every readout stays finite.
                    died = float(result.t) if died is None else died
                    result = solver.step(float(grid[i]), tstop=float(grid[-1]))
                if not result.success:
                    raise EngineError(
                        f"the solver stopped at {float(result.t):.4g} h of {grid[-1]:g} h: {result.message}; "
                        f"{self._blame(system, np.asarray(result.y))}; {said()}"
                    )
                course[i] = result.y
        return course, died

    def _lsoda(self, system: System, y: Floats, grid: Floats) -> tuple[Floats, float | None]:
        from scipy.integrate import solve_ivp

        yp, margin = np.empty_like(y), np.empty(1)

        def f(t: float, x: Floats) -> Floats:
            system.rhs(t, x, yp)
            return yp.copy()

        def death(t: float, x: Floats) -> float:
            system.death(t, x, margin)
            return float(margin[0])

        result: Any = solve_ivp(
            f,
            (float(grid[0]), float(grid[-1])),
            y,
            method="LSODA",
            t_eval=grid,
            rtol=self.rtol,
            atol=self.atol,
            first_step=FIRST_STEP_H,
            events=death,
        )
        if not result.success:
            raise EngineError(f"the solver stopped at {result.t[-1]:.4g} h: {result.message}; try the default solver")
        crossings = result.t_events[0]
        return np.ascontiguousarray(result.y.T), float(crossings[0]) if len(crossings) else None

    # --------------------------------------------------------------------------------------------- checks

    def _check(self, system: System, course: Floats, grid: Floats) -> None:
        """Raise if a state is not finite, or further below zero than the solver's tolerance explains."""
        if not np.isfinite(course).all():
            i, j = np.argwhere(~np.isfinite(course))[0]
            raise EngineError(
                f"state {system.model.state_names[j]!r} is not finite at {grid[i]:g} h; "
                f"{self._blame(system, course[max(i - 1, 0)])}; check the parameters set"
            )
        low = course.min(axis=0)
        # inflow_response is a deviation and may be negative; every other state is an amount.
        low[[k for k, name in enumerate(system.model.state_names) if name == "inflow_response"]] = 0.0
        j = int(low.argmin())
        if low[j] < -NEGATIVE_LIMIT * self.atol:
            i = int(course[:, j].argmin())
            raise EngineError(
                f"state {system.model.state_names[j]!r} is negative ({low[j]:.3g}) at {grid[i]:g} h; largest term: "
                f"{largest_term(system.model, system.values(course[i]), j)}; tighten rtol or check the parameters set"
            )

    def _blame(self, system: System, y: Floats) -> str:
        """Name the state that moves fastest, or the first operation that is not finite."""
        m = system.model
        values = system.values(np.nan_to_num(np.asarray(y, dtype=np.float64)))
        bad = np.flatnonzero(~np.isfinite(values))
        if len(bad):
            k = int(bad[0])
            return f"first at {slot_in_words(m, k)}"
        yp = np.empty(m.n_states)
        derivative(yp, values, m.flux_start, m.flux, m.coefficient)
        j = int(np.abs(yp).argmax())
        return f"fastest state {m.state_names[j]!r} ({yp[j]:.3g} per h)"


@contextlib.contextmanager
def quiet_stderr() -> Iterator[Any]:
    """Catch what C code writes to the error stream; yields a function that returns its last line."""
    try:
        saved = os.dup(2)
    except OSError:
        yield lambda: ""
        return
    with tempfile.TemporaryFile() as sink:
        os.dup2(sink.fileno(), 2)
        try:

            def said() -> str:
                sink.seek(0)
                lines = [line.strip() for line in sink.read().decode(errors="replace").splitlines() if line.strip()]
                return lines[-1] if lines else "no message of the solver"

            yield said
        finally:
            os.dup2(saved, 2)
            os.close(saved)
