"""Mechanics of cells: centre-based, overdamped, in three dimensions.

A cell is a sphere. Inertia is nothing beside friction, so that velocities follow forces at once::

    friction[kind_i] dx_i/dt = sum_j F(|x_j - x_i|) u_ij + sum_w wall + active_i        u_ij from i towards j

**Pair force** (nN; positive pulls), between cells whose centres are r apart, s = R_i + R_j, r_A = reach s::

    F(r) = k (r - s) ((r_A - r) / (r_A - s))**2     r < s: repulsion
    F(r) = a k (r - s) ((r_A - r) / (r_A - s))**2   s < r < r_A: adhesion, a = adhesion
    F(r) = 0                                        r > r_A

This is the cubic law, one of the three compared by Mathias, Coulier, Bouchnita and Hellander 2020 (Bull Math Biol
82:132, doi 10.1007/s11538-020-00810-2; there ``mu (r - r_A)**2 (r - s)`` with r_A = 1.5 s), written so that k is its slope
at rest. Overlapping spheres as such: Osborne et al. 2017 (PLoS Comput Biol 13:e1005387, doi 10.1371/journal.pcbi.1005387).
It was taken because it meets zero smoothly at r_A, which a solver of second order needs (cutting a force off costs it
that order), and holds no function whose last bit differs between machines.

**Polarity** (optional): the adhesion of a pair is multiplied by (1 - (p_i . u)**2) (1 - (p_j . u)**2), p the unit axis of a
cell. Cells with an axis hold to each other beside it, not along it, and so form sheets. Hepatocytes are polar in the
model of Hoehme et al. 2010 (PNAS 107:10371, doi 10.1073/pnas.0909374107); this form is assumed: the simplest one that is
smooth, needs no constant and leaves the forces of a pair equal and opposite.

**Walls**: a cell that overlaps a plane is pushed back by ``wall_stiffness`` times the overlap.

Limits. Spheres do not deform, so volume that is compressed away does not come back elsewhere; forces are central: no
shear, no torque, no friction between cells; each pair acts as if alone. Repulsion is bounded (k s (reach/(reach - 1))**2
at full overlap), so cells that are driven harder than this pass through each other. Adhesion reaches second neighbours
of a dense packing (the nearest at 1.41 s) when ``reach`` exceeds that. Friction acts against a medium at rest.

Units: um, h, nN; stiffness nN/um, friction nN h/um. Only stiffness / friction (1/h) matters unless active forces act.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import NoReturn

import numpy as np
import numpy.typing as npt

from hepatalk.engines.lobule.grid import Neighbours, check_cells, contacts
from hepatalk.engines.lobule.kernels import motion as kernels
from hepatalk.errors import EngineError, ModelError
from hepatalk.rng import check_seed

__all__ = ["Bodies", "Box", "Mechanics", "Moved", "contacts", "daughters", "hexagon", "relax", "scale", "velocity"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Kinds = npt.NDArray[np.int8]

#: Margin of a list of neighbours relative to the largest radius: larger means longer lists that last for more steps.
_SKIN = 0.3
#: The next step aims at this part of the tolerance, and changes by no more than these factors.
_SAFETY, _SHRINK, _GROW = 0.9, 0.2, 5.0
#: A step below this part of the duration cannot be told from rounding.
_SHORTEST = 1e-12
_NO_ROWS = np.zeros((0, 3))


@dataclass(frozen=True)
class Mechanics:
    """How cells of each kind act on each other; kinds are numbered from 0.

    Attributes
    ----------
    stiffness : (n_kinds, n_kinds) float array
        Slope of the repulsion at rest, nN/um; symmetric, not negative.
    adhesion : (n_kinds, n_kinds) float array
        Slope of the attraction at rest relative to that; symmetric, not negative.
    friction : (n_kinds,) float array
        nN h/um, positive.
    reach : float
        Where attraction ends, relative to the sum of the radii; above 1.
    wall_stiffness : float
        nN/um, not negative.
    """

    stiffness: Floats
    adhesion: Floats
    friction: Floats
    reach: float
    wall_stiffness: float

    def __post_init__(self) -> None:
        """Refuse what is not physical; raises `ModelError`."""
        n = self.friction.size
        for name in ("stiffness", "adhesion"):
            table = getattr(self, name)
            if table.shape != (n, n) or not (np.isfinite(table).all() and (table >= 0).all()):
                raise ModelError(f"{name} of shape {table.shape}; allowed: ({n}, {n}), finite, none below 0")
            if not np.array_equal(table, table.T):
                raise ModelError(f"{name} differs from its mirror image; allowed: a symmetric table; forces come in pairs")
        if self.friction.ndim != 1 or not (np.isfinite(self.friction).all() and (self.friction > 0).all()):
            raise ModelError("friction; allowed: one finite number above 0 per kind of cell, in nN h/um")
        if not (math.isfinite(self.reach) and self.reach > 1):
            raise ModelError(f"reach {self.reach:g}; allowed: above 1, where cells touch; 1.5 is usual")
        if not (math.isfinite(self.wall_stiffness) and self.wall_stiffness >= 0):
            raise ModelError(f"wall stiffness {self.wall_stiffness:g} nN/um; allowed: finite, not below 0")


@dataclass(frozen=True)
class Box:
    """A convex prism that holds the tissue; without walls and period it is the whole space.

    Attributes
    ----------
    normal : (n_walls, 3) float array
        Inward unit normals.
    offset : (n_walls,) float array
        um; a point x is inside where ``normal @ x >= offset``.
    low_z, period : float
        Where the periodic axis z begins and how long it is, um; period 0 for none.
    """

    normal: Floats = field(default_factory=_NO_ROWS.copy)
    offset: Floats = field(default_factory=lambda: np.zeros(0))
    low_z: float = 0.0
    period: float = 0.0

    def __post_init__(self) -> None:
        """Refuse walls that are none; raises `ModelError`."""
        if self.normal.shape != (self.offset.size, 3) or not np.isfinite(self.offset).all():
            raise ModelError(f"walls of shape {self.normal.shape} with {self.offset.size} finite offsets; allowed: (n, 3), n")
        crooked = ~np.isclose((self.normal**2).sum(axis=1), 1.0, rtol=0, atol=1e-9)
        if crooked.any():
            raise ModelError(f"the normal of wall {int(np.argmax(crooked))} has not length 1; divide it by its length")

    def scaled(self, factor: float | Floats, centre: Floats) -> Box:
        """Return the box after the growth that `scale` applies to cells."""
        stretch = np.broadcast_to(np.asarray(factor, dtype=float), (3,))
        # n.x >= o with x = c + (y - c)/f becomes (n/f).y >= o - n.c + (n/f).c
        tilted = self.normal / stretch
        length = np.sqrt((tilted**2).sum(axis=1))
        offset = (self.offset - self.normal @ centre + tilted @ centre) / length
        low_z = float(centre[2] + (self.low_z - centre[2]) * stretch[2])
        return Box(tilted / length[:, None], offset, low_z, float(self.period * stretch[2]))


@dataclass(frozen=True)
class Bodies:
    """Cells as the mechanics sees them.

    Attributes
    ----------
    position : (n, 3) float array
        Centres, um.
    radius : (n,) float array
        um.
    kind : (n,) int8 array
        Row of the tables of `Mechanics`.
    polarity : (n, 3) or (0, 3) float array
        Unit axes, zero rows for cells without; without rows no cell has one.
    """

    position: Floats
    radius: Floats
    kind: Kinds
    polarity: Floats = field(default_factory=_NO_ROWS.copy)


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


def hexagon(corner: float, height: float, *, periodic: bool = False, centre: tuple[float, float] = (0.0, 0.0)) -> Box:
    """Return a hexagonal prism that stands on z = 0, with a corner on the x axis of its centre.

    Parameters
    ----------
    corner : float
        From the axis to a corner, um.
    height : float
        um.
    periodic : bool
        Whether z is periodic, rather than bounded by a floor and a ceiling.
    centre : tuple of two float
        Of the hexagon, um.

    Returns
    -------
    Box
        Six walls, or eight.
    """
    angle = np.pi / 6 + np.pi / 3 * np.arange(6)
    normal = np.column_stack([-np.cos(angle), -np.sin(angle), np.zeros(6)])
    offset = normal[:, :2] @ np.array(centre) - corner * math.sqrt(0.75)
    if periodic:
        return Box(normal, offset, 0.0, height)
    return Box(np.vstack([normal, [[0, 0, 1], [0, 0, -1]]]), np.append(offset, [0.0, -height]))


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
    return _Flow(cells, law, box or Box(), active, skin=0.0).velocity(cells.position)


def relax(  # noqa: PLR0913 - each is one decision of the caller
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

    Heun's method with Euler's inside: the two agree to second order, and their distance, the error of the worse one, is
    kept below the tolerance in every step and for every cell. The better one is used. The result depends on the
    arguments alone: not on the number of threads, and not on earlier calls.

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
    box = box or Box()
    n = cells.radius.size
    margin = _SKIN * float(cells.radius.max()) if n else 0.0
    flow = _Flow(cells, law, box, active, skin=margin)
    here = np.array(cells.position, dtype=float, order="C")
    middle, there, error, moved = np.empty_like(here), np.empty_like(here), np.empty(n), np.empty(n)
    time, h, steps, rejected, movement, worst = 0.0, duration_h, 0, 0, 0.0, 0.0
    slope, second = np.array(flow.velocity(here)), np.empty_like(here)
    while n and time < duration_h:
        fastest = math.sqrt(float((slope**2).sum(axis=1).max()))
        if fastest <= still_um_per_h and still_um_per_h > 0:
            break
        if fastest > 0:  # no further than the margin of the list, half of it to each side
            h = min(h, 0.5 * margin / fastest)
        last = h >= duration_h - time
        h = duration_h - time if last else h
        kernels.euler(middle, here, slope, h)
        second = flow.velocity(middle, trial=True)
        kernels.heun(there, error, moved, here, slope, second, h)
        wrong = float(error.max())
        factor = min(_GROW, max(_SHRINK, _SAFETY * math.sqrt(tolerance_um / wrong))) if wrong > 0 else _GROW
        if steps + rejected >= most_steps or (not last and h < _SHORTEST * duration_h):
            _stuck(time, duration_h, error, most_steps)
        if not wrong <= tolerance_um:
            rejected += 1
            h *= factor if wrong > 0 else _SHRINK
            continue
        time = duration_h if last else time + h
        h *= factor
        steps += 1
        here, there = there, here
        movement, worst = float(moved.max()), max(worst, wrong)
        slope = np.array(flow.velocity(here))
    if box.period > 0:
        here[:, 2] -= box.period * np.floor((here[:, 2] - box.low_z) / box.period)
    return Moved(here, time, steps, rejected, flow.searches, movement, worst)


class _Flow:
    """The right-hand side, with the list of neighbours that it keeps while no cell has left its margin."""

    def __init__(self, cells: Bodies, law: Mechanics, box: Box, active: Floats | None, skin: float) -> None:
        n = cells.radius.size
        check_cells(cells.position, cells.radius)
        for name, rows, empty in (("polarity", cells.polarity, True), ("active", active, True)):
            if rows is not None and rows.shape != (n, 3) and not (empty and rows.shape == (0, 3)):
                raise EngineError(f"{name} of shape {rows.shape}; allowed: ({n}, 3), one row per cell")
        if cells.kind.shape != (n,) or (n and not 0 <= cells.kind.min() <= cells.kind.max() < law.friction.size):
            raise EngineError(f"kinds of cells; allowed: one of 0 to {law.friction.size - 1} for each of {n} cells")
        self.law, self.box, self.skin = law, box, skin
        self.radius = np.ascontiguousarray(cells.radius, dtype=float)
        self.kind = np.ascontiguousarray(cells.kind, dtype=np.int8)
        self.polarity = np.ascontiguousarray(cells.polarity, dtype=float)
        self.active = _NO_ROWS if active is None else np.ascontiguousarray(active, dtype=float)
        self.searches = 0
        self._listed = np.empty((0, 3))
        self._near = Neighbours(np.zeros(n + 1, dtype=np.int64), np.zeros(0, dtype=np.int32))
        self._out, self._status = np.empty((n, 3)), np.empty(n, dtype=np.int32)

    def velocity(self, position: Floats, *, trial: bool = False) -> Floats:
        """Return the velocities, um/h, in an array that the next call overwrites; a trial is not judged."""
        position = np.ascontiguousarray(position, dtype=float)
        self._search(position)
        law, box = self.law, self.box
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
            np.ascontiguousarray(law.stiffness, dtype=float),
            np.ascontiguousarray(law.adhesion, dtype=float),
            np.ascontiguousarray(law.friction, dtype=float),
            float(law.reach),
            float(law.wall_stiffness),
            np.ascontiguousarray(box.normal, dtype=float),
            np.ascontiguousarray(box.offset, dtype=float),
            float(box.period),
        )
        if not trial:
            self._judge(position)
        return self._out

    def _search(self, position: Floats) -> None:
        """Make a new list if a cell may have a neighbour that the old one does not hold."""
        if self._listed.size and self.skin > 0:
            away = ((position - self._listed) ** 2).sum(axis=1).max()
            if away <= (0.5 * self.skin) ** 2:
                return
        box = self.box
        self._near = contacts(
            position, self.radius, self.law.reach, low_z=box.low_z, period=box.period, skin=self.skin
        )
        self._listed = position.copy()
        self.searches += 1

    def _judge(self, position: Floats) -> None:
        """Raise `EngineError` for the first cell that the kernel found unsound."""
        bad = np.flatnonzero(self._status)
        if bad.size:
            cell, state = int(bad[0]), int(self._status[bad[0]])
            x, y, z = position[cell]
            if state == kernels.COINCIDENT:
                raise EngineError(
                    f"cell {cell} at ({x:g}, {y:g}, {z:g}) um has the same centre as another one; allowed: any distance "
                    "above 0; place daughters apart"
                )
            raise EngineError(
                f"cell {cell} at ({x:g}, {y:g}, {z:g}) um is outside wall {state - 1}; allowed: at most one radius "
                f"({self.radius[cell]:g} um) behind it; raise the stiffness of the walls, or look at what drives it"
            )
        wild = ~np.isfinite(self._out).all(axis=1)
        if wild.any():
            cell = int(np.argmax(wild))
            raise EngineError(
                f"cell {cell} has velocity {self._out[cell].tolist()} um/h; allowed: finite numbers; look at its active "
                "force and polarity"
            )


def _stuck(time: float, duration: float, error: Floats, most_steps: int) -> NoReturn:
    """Say which cell held the run up."""
    cell = int(np.argmax(error))
    raise EngineError(
        f"cells reached {time:g} of {duration:g} h in {most_steps} steps; cell {cell} has the largest error; allowed: a "
        "larger tolerance, or a softer contact"
    )


def daughters(  # noqa: PLR0913 - each is one fact of a division
    position: Floats,
    radius: Floats,
    axis: Floats,
    *,
    seed: int,
    cell: Ints,
    event: Ints,
    aligned: bool = True,
    unevenness: float = 0.0,
) -> tuple[Floats, Floats]:
    """Place the two daughters of each dividing cell.

    Volume and its centre are kept: ``r_1**3 + r_2**3 = radius**3``. Both daughters lie within their mother and one of them
    touches her outline from inside, so that no neighbour meets a new overlap; that of the daughters is left to `relax`.

    With alignment, daughters lie along the sinusoid, as hepatocytes of the regenerating mouse liver do (hepatocyte-sinusoid
    alignment: Hoehme et al. 2010, PNAS 107:10371, doi 10.1073/pnas.0909374107), which of them downstream being drawn.
    Without it, and for a zero axis, the direction is uniform on the sphere.

    Parameters
    ----------
    position : (m, 3) float array
        Centres of the mothers, um.
    radius : (m,) float array
        um.
    axis : (m, 3) float array
        Direction of the nearest sinusoid, of any length; a zero row where there is none.
    seed : int
        Of the run.
    cell : (m,) int array
        Identity of each mother.
    event : (m,) int array
        How many events each mother has had: draws are made for (seed, cell, event, purpose).
    aligned : bool
        Whether the axes count.
    unevenness : float
        The first daughter's share of the volume is uniform on 0.5 -+ unevenness / 2; 0 (exact halves) up to below 1.

    Returns
    -------
    position : (m, 2, 3) float array
        um.
    radius : (m, 2) float array
        um.

    Raises
    ------
    EngineError
        As for `grid.check_cells`.
    ModelError
        If `unevenness` is out of its range.
    """
    if not 0 <= unevenness < 1:
        raise ModelError(f"unevenness {unevenness:g}; allowed: from 0 (halves) to below 1")
    position, radius = np.ascontiguousarray(position, dtype=float), np.ascontiguousarray(radius, dtype=float)
    check_cells(position, radius)
    place, size = np.empty((radius.size, 2, 3)), np.empty((radius.size, 2))
    kernels.daughters(
        place,
        size,
        position,
        radius,
        np.ascontiguousarray(axis, dtype=float),
        check_seed(seed),
        np.ascontiguousarray(cell, dtype=np.int64),
        np.ascontiguousarray(event, dtype=np.int64),
        aligned,
        float(unevenness),
    )
    return place, size


def scale(position: Floats, factor: float | Floats, centre: Floats) -> Floats:
    """Return positions after a uniform growth of the tissue: ``centre + factor * (position - centre)``.

    Parameters
    ----------
    position : (n, 3) float array
        um.
    factor : float or (3,) float array
        Along x, y and z; positive. The tissue's volume grows by the product of the three.
    centre : (3,) float array
        The point that stays, um.

    Returns
    -------
    (n, 3) float array
        um. Radii follow the volumes of the cells, not this.

    Raises
    ------
    ModelError
        If a factor is not a positive number.
    """
    stretch = np.broadcast_to(np.asarray(factor, dtype=float), (3,))
    if not (np.isfinite(stretch).all() and (stretch > 0).all()):
        raise ModelError(f"growth by {stretch.tolist()}; allowed: finite factors above 0")
    return np.asarray(centre + stretch * (position - centre))
