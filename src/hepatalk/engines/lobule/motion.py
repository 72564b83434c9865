"""Mechanics of cells: centre-based, overdamped, in three dimensions.

A cell is a sphere. Inertia is nothing beside friction, so that velocities follow forces at once::

    friction[kind_i] dx_i/dt = sum_j F(|x_j - x_i|) u_ij + sum_w wall + active_i        u_ij from i towards j

**Pair force** (nN; positive pulls), between cells whose centres are r apart, s = R_i + R_j, r_A = reach s::

    F(r) = k (r - s) ((r_A - r) / (r_A - s))**2     r < s: repulsion
    F(r) = a k (r - s) ((r_A - r) / (r_A - s))**2   s < r < r_A: adhesion, a = adhesion
    F(r) = 0                                        r > r_A

This is the cubic law, one of those compared by Mathias, Coulier, Bouchnita and Hellander 2020 (Bull Math Biol 82:132,
doi 10.1007/s11538-020-00810-2; ``mu (r - r_A)**2 (r - s)`` with r_A = 1.5 s in their program CBMOS), written so that k
is its slope at rest. Overlapping spheres as such: Osborne et al. 2017 (PLoS Comput Biol 13:e1005387,
doi 10.1371/journal.pcbi.1005387). It was taken because it meets zero smoothly at r_A, which a solver of second order
needs (a force that is cut off costs it that order), and holds no function whose last bit differs between machines.

**Polarity** (optional): the adhesion of a pair is multiplied by (1 - (p_i . u)**2) (1 - (p_j . u)**2), p the unit axis
of a cell. Cells with an axis hold to each other beside it, not along it, and so form sheets. This form is assumed: the
simplest one that is smooth, needs no constant and leaves the forces of a pair equal and opposite.

**Walls**: a cell that overlaps a plane is pushed back by ``wall_stiffness`` times the overlap.

Limits. Spheres do not deform, so volume that is compressed away does not come back elsewhere; forces are central: no
shear, no torque, no friction between cells; each pair acts as if alone. Repulsion is bounded, to
``k s (reach / (reach - 1))**2`` at full overlap, so cells that are driven harder than this pass through each other.
Adhesion reaches second neighbours of a dense packing (the nearest at 1.41 s) when ``reach`` exceeds that. Friction acts
against a medium at rest.

Units: um, h, nN; stiffness nN/um, friction nN h/um. Only stiffness / friction (1/h) matters unless active forces act.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NoReturn

import numpy as np
import numpy.typing as npt

from hepatalk.engines.lobule import motion_kernels as kernels
from hepatalk.engines.lobule.bodies import Bodies, Box, Mechanics, hexagon, scale
from hepatalk.engines.lobule.division import daughters
from hepatalk.engines.lobule.grid import Neighbours, check_cells, contacts, spatial_order
from hepatalk.engines.lobule.stabilised import MOST_STAGES, fastest_decay, reach_of, stabilised_step, stages_for
from hepatalk.engines.lobule.threads import as_worth
from hepatalk.errors import EngineError, ModelError

__all__ = ["Bodies", "Box", "Mechanics", "Moved", "contacts", "daughters", "hexagon", "relax", "scale", "velocity"]

Floats = npt.NDArray[np.float64]

#: Margin of a list of neighbours relative to the largest radius: larger means longer lists that last for more steps.
_SKIN = 0.3
#: The next step aims at this part of the tolerance, and changes by no more than these factors.
_SAFETY, _SHRINK, _GROW = 0.9, 0.2, 5.0
#: Aimed at: rate of the fastest decay times step. Heun's method damps it best at 1 and is unstable above 2.
_DAMPED = 1.0
#: A step that lasts so many times of the fastest decay takes stages for it.
_STIFF = 2.0
#: Change of a cell's velocity in a step, of the velocity, from which on it is a matter of stiffness.
_TURNS = 0.7
#: Steps between two looks at the fastest decay.
_LOOK_EVERY = 3
#: A step below this part of the duration cannot be told from rounding.
_SHORTEST = 1e-12
_NO_ROWS = np.zeros((0, 3))


@dataclass(frozen=True)
class Moved:
    """Where cells have gone, and what it took.

    Attributes
    ----------
    position : (n, 3) float array
        um.
    time_h : float
        How much time has passed: less than asked for when the cells came to rest.
    steps, rejected, searches : int
        Steps taken, steps tried in vain, and lists of neighbours made.
    movement_um : float
        Longest movement of a cell in the last step.
    error_um : float
        Largest estimated error of a cell in any step.
    """

    position: Floats
    time_h: float
    steps: int
    rejected: int
    searches: int
    movement_um: float
    error_um: float


def velocity(cells: Bodies, law: Mechanics, box: Box | None = None, *, active: Floats | None = None) -> Floats:
    """Return the velocities of all cells.

    Parameters
    ----------
    cells : Bodies
    law : Mechanics
    box : Box, optional
        Unbounded space when omitted.
    active : (n, 3) float array, optional
        Own forces, nN; a drift (chemotaxis) is its velocity times the friction.

    Returns
    -------
    (n, 3) float array
        um/h.

    Raises
    ------
    EngineError
        Names the cell that is nowhere, outside the box, or has its centre where another one has it.
    """
    with as_worth(cells.radius.size):
        flow = _Flow(cells, law, box or Box(), active, skin=0.0)
        out = np.empty((cells.radius.size, 3))
        out[flow.order] = flow.velocity(flow.begin())
    return out


def relax(
    cells: Bodies,
    law: Mechanics,
    box: Box | None = None,
    *,
    duration_h: float,
    tolerance_um: float = 0.01,
    still_um_per_h: float = 0.0,
    active: Floats | None = None,
    most_steps: int = 100_000,
) -> Moved:
    """Move the cells until the time is over or they have come to rest.

    Heun's method with Euler's inside: their distance, which is the error of the worse one, is kept below the tolerance
    in every step and for every cell. The better one is used. Where steps could be longer but for the fastest decay, a
    stabilised method takes over, with an estimate of its own error (`hepatalk.engines.lobule.stabilised`). The result
    depends on the arguments alone: not on the
    number of threads, and not on earlier calls.

    Parameters
    ----------
    cells : Bodies
    law : Mechanics
    box : Box, optional
        Unbounded space when omitted.
    duration_h : float
        h.
    tolerance_um : float
        Largest estimated error of a cell in a step, um.
    still_um_per_h : float
        Cells are at rest when none of them is faster, um/h; 0 never ends early.
    active : (n, 3) float array, optional
        Own forces, nN, constant over the duration.
    most_steps : int
        Steps, rejected ones included, after which the run is given up.

    Returns
    -------
    Moved

    Raises
    ------
    EngineError
        As for `velocity`, at the step where it happens; or when the steps are used up.
    ModelError
        If a tolerance or duration is no positive number.
    """
    if not (math.isfinite(duration_h) and duration_h >= 0 and math.isfinite(tolerance_um) and tolerance_um > 0):
        raise ModelError(f"duration {duration_h:g} h, tolerance {tolerance_um:g} um; allowed: not below 0, above 0")
    with as_worth(cells.radius.size):
        return _relaxed(cells, law, box or Box(), duration_h, tolerance_um, still_um_per_h, active, most_steps)


def _relaxed(
    cells: Bodies,
    law: Mechanics,
    box: Box,
    duration_h: float,
    tolerance_um: float,
    still_um_per_h: float,
    active: Floats | None,
    most_steps: int,
) -> Moved:
    """Do what `relax` says."""
    n = cells.radius.size
    margin = _SKIN * float(cells.radius.max()) if n else 0.0
    flow = _Flow(cells, law, box, active, skin=margin)
    here = flow.begin()
    step = _Stepper(flow, tolerance_um)
    time, h, steps, rejected, movement, worst = 0.0, duration_h, 0, 0, 0.0, 0.0
    slope = np.array(flow.velocity(here))
    while n and time < duration_h:
        fastest = math.sqrt(float((slope**2).sum(axis=1).max()))
        if fastest <= still_um_per_h and still_um_per_h > 0:
            break
        if fastest > 0:  # no further than the margin of the list, half of it to each side
            h = min(h, 0.5 * margin / fastest)
        h = min(h, step.longest)
        last = h >= duration_h - time
        h = duration_h - time if last else h
        there, ends, sound, factor = step.take(here, slope, h)
        if steps + rejected >= most_steps or (not last and h < _SHORTEST * duration_h):
            _stuck(time, duration_h, int(flow.order[np.argmax(step.error)]), most_steps)
        if not sound:
            rejected += 1
            h *= min(factor, _SAFETY)
            continue
        time = duration_h if last else time + h
        h *= factor
        steps += 1
        movement, worst = float(step.moved.max()), max(worst, float(step.error.max()))
        here, slope = there, np.array(flow.velocity(there)) if ends is None else ends
        if time < duration_h:
            step.look(here, slope)
    if box.period > 0:
        here[:, 2] -= box.period * np.floor((here[:, 2] - box.low_z) / box.period)
    position = np.empty_like(here)
    position[flow.order] = here
    return Moved(position, time, steps, rejected, flow.searches, movement, worst)


class _Stepper:
    """Steps of Heun's method, and of a stabilised one where the fastest decay is faster than what is to be followed.

    Attributes
    ----------
    longest : float
        Step beyond which no method is stable, h.
    error, moved : (n,) float array
        Of each cell in the last step that was tried, um.
    """

    def __init__(self, flow: _Flow, tolerance: float) -> None:
        self._flow, self._tolerance = flow, tolerance
        n = flow.radius.size
        self.longest, self._decay, self._stiff, self._looked = math.inf, 0.0, False, 0
        self.error, self.moved, self._towards = np.empty(n), np.empty(n), np.zeros((n, 3))

    def take(self, here: Floats, slope: Floats, h: float) -> tuple[Floats, Floats | None, bool, float]:
        """Return where a step leads, velocities there if known, if it is sound, and what to multiply it with."""
        if h * self._decay > _STIFF:
            return self._stabilised(here, slope, h)
        middle, there = np.empty_like(here), np.empty_like(here)
        kernels.euler(middle, here, slope, h)
        second = self._flow.velocity(middle, trial=True)
        kernels.heun(there, self.error, self.moved, here, slope, second, h)
        sound, factor, wanted = _judge_step(self.error, self._tolerance, h * slope)
        # The cell that is worst tells too: one that turns back within the step is held by a stiffness, not by its way.
        worst = int(np.argmax(self.error))
        turns = 2.0 * float(self.error[worst]) > _TURNS * h * math.sqrt(float((slope[worst] ** 2).sum()))
        self._stiff = sound and (wanted > factor or turns)
        if self._stiff:
            self._towards, factor = second - slope, wanted
        return there, None, sound, factor

    def _stabilised(self, here: Floats, slope: Floats, h: float) -> tuple[Floats, Floats | None, bool, float]:
        flow = self._flow
        there = stabilised_step(self._trial, here, slope, h, stages_for(h * self._decay))
        ends = np.array(flow.velocity(there, trial=True))
        kernels.distances(self.error, self.moved, here, there, slope, ends, h)
        wrong = float(self.error.max())
        sound = wrong <= self._tolerance
        factor = _SAFETY * (self._tolerance / wrong) ** (1.0 / 3.0) if wrong > 0 else _GROW
        if sound:
            flow.judge(there)
        else:
            self._looked = _LOOK_EVERY  # it may have become faster
            factor = factor if math.isfinite(wrong) else _SHRINK
        return there, ends, sound, min(_GROW, max(_SHRINK, factor))

    def look(self, here: Floats, slope: Floats) -> None:
        """Look how fast the fastest decay is, after a step that was sound, where it counts."""
        known = self._decay > 0.0
        self._looked += 1
        if not (self._stiff or known) or (known and self._looked < _LOOK_EVERY):
            return
        self._looked = 0
        for _ in range(1 if known else 2):
            if not self._towards.any():
                break
            self._decay, self._towards = fastest_decay(self._trial, here, slope, self._towards)
        self.longest = reach_of(MOST_STAGES) / self._decay if self._decay > 0.0 else math.inf

    def _trial(self, position: Floats) -> Floats:
        return self._flow.velocity(position, trial=True)


class _Flow:
    """The right-hand side, with the list of neighbours that it keeps while no cell has left its margin.

    Cells stand in an order of their own in which neighbours are near each other in memory; `order` holds their numbers.
    """

    def __init__(self, cells: Bodies, law: Mechanics, box: Box, active: Floats | None, skin: float) -> None:
        n = cells.radius.size
        check_cells(cells.position, cells.radius)
        for name, rows, empty in (("polarity", cells.polarity, True), ("active", active, True)):
            if rows is not None and rows.shape != (n, 3) and not (empty and rows.shape == (0, 3)):
                raise EngineError(f"{name} of shape {rows.shape}; allowed: ({n}, 3), one row per cell")
        if cells.kind.shape != (n,) or (n and not 0 <= cells.kind.min() <= cells.kind.max() < law.friction.size):
            raise EngineError(f"kinds of cells; allowed: one of 0 to {law.friction.size - 1} for each of {n} cells")
        self.law, self.box, self.skin = law, box, skin
        self.order = spatial_order(cells.position, law.reach * float(cells.radius.max())) if n else np.zeros(0, int)
        self._start = cells.position
        self.radius = self._sorted(cells.radius)
        self.kind = cells.kind.astype(np.int8)[self.order]
        self.polarity = self._sorted(cells.polarity)
        self.active = _NO_ROWS if active is None else self._sorted(active)
        self.searches = 0
        self._listed = np.empty((0, 3))
        self._near = Neighbours(np.zeros(n + 1, dtype=np.int64), np.zeros(0, dtype=np.int32))
        self._out, self._status = np.empty((n, 3)), np.empty(n, dtype=np.int32)
        self._stiffness, self._adhesion, self._friction, self._normal, self._offset = (
            np.ascontiguousarray(table, dtype=float)
            for table in (law.stiffness, law.adhesion, law.friction, box.normal, box.offset)
        )

    def begin(self) -> Floats:
        """Return the positions at the beginning, in the order of this class."""
        return self._sorted(self._start)

    def _sorted(self, rows: Floats) -> Floats:
        """Return rows in the order of this class; no rows stay none."""
        return np.asarray(rows, dtype=float)[self.order] if len(rows) else np.zeros(rows.shape)

    def velocity(self, position: Floats, *, trial: bool = False) -> Floats:
        """Return the velocities, um/h, in an array that the next call overwrites; a trial is not judged."""
        self._search(position)
        kernels.velocity(
            self._out,
            self._status,
            position,
            self.radius,
            self.kind,
            self.polarity,
            self.active,
            self._near.start,
            self._near.other,
            self._stiffness,
            self._adhesion,
            self._friction,
            float(self.law.reach),
            float(self.law.wall_stiffness),
            self._normal,
            self._offset,
            float(self.box.period),
        )
        if not trial:
            self.judge(position)
        return self._out

    def _search(self, position: Floats) -> None:
        """Make a new list if a cell may have a neighbour that the old one does not hold."""
        if self._listed.size and self.skin > 0:
            away = ((position - self._listed) ** 2).sum(axis=1).max()
            if away <= (0.5 * self.skin) ** 2:
                return
        box = self.box
        self._near = contacts(position, self.radius, self.law.reach, low_z=box.low_z, period=box.period, skin=self.skin)
        self._listed = position.copy()
        self.searches += 1

    def judge(self, position: Floats) -> None:
        """Raise `EngineError` for the first cell that the kernel found unsound."""
        bad = np.flatnonzero(self._status)
        if bad.size:
            row = int(bad[np.argmin(self.order[bad])])
            cell, state = int(self.order[row]), int(self._status[row])
            x, y, z = position[row]
            if state == kernels.COINCIDENT:
                raise EngineError(
                    f"cell {cell} at ({x:g}, {y:g}, {z:g}) um has the same centre as another one; allowed: any "
                    "distance above 0; place daughters apart"
                )
            raise EngineError(
                f"cell {cell} at ({x:g}, {y:g}, {z:g}) um is outside wall {state - 1}; allowed: at most one radius "
                f"({self.radius[row]:g} um) behind it; raise the stiffness of the walls, or look at what drives it"
            )
        wild = ~np.isfinite(self._out).all(axis=1)
        if wild.any():
            row = int(np.argmax(wild))
            raise EngineError(
                f"cell {self.order[row]} has velocity {self._out[row].tolist()} um/h; allowed: finite numbers; look at "
                "its active force and polarity"
            )


def _judge_step(error: Floats, tolerance: float, straight: Floats) -> tuple[bool, float, float]:
    """Return whether a step is sound, what to multiply the next one with, and what accuracy alone would.

    Parameters
    ----------
    error : (n,) float array
        Of each cell in the step, um.
    tolerance : float
        um.
    straight : (n, 3) float array
        Movements of Euler's method in the step, um.

    Returns
    -------
    sound : bool
    factor, wanted : float

    Notes
    -----
    The error grows with the square of the step. Near rest it says nothing, as all movements are small, and steps would
    grow until they are unstable and cells jitter by the tolerance. So the fastest decay, which the change of velocities
    along the step shows, must be followed stably, and the next step aims at damping it well.
    """
    wrong, length = float(error.max()), math.sqrt(float((straight**2).sum()))
    decay = 2.0 * math.sqrt(float((error**2).sum()))
    wanted = _SAFETY * math.sqrt(tolerance / wrong) if wrong > 0 else _GROW
    factor = min(wanted, _DAMPED * length / decay) if decay > 0 else wanted
    factor, wanted = (min(_GROW, max(_SHRINK, x)) for x in (factor, wanted))
    return wrong <= tolerance and decay <= 2.0 * length, factor, wanted


def _stuck(time: float, duration: float, cell: int, most_steps: int) -> NoReturn:
    """Say which cell held the run up."""
    raise EngineError(
        f"cells reached {time:g} of {duration:g} h in {most_steps} steps; cell {cell} has the largest error; "
        "allowed: a larger tolerance, or a softer contact"
    )
