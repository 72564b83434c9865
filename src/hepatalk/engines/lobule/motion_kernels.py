"""Compiled right-hand side of the mechanics of cells, the two stages of its solver, and the places of daughters.

Every parallel loop gathers: a thread writes the elements of its own cells and nothing else, and sums over neighbours
run in the order of the cells, so the number of threads cannot change a bit. The equations are those of
`hepatalk.engines.lobule.motion`.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from numba import njit, prange

from hepatalk.rng import Purpose, uniform, uniform_pair

__all__ = ["COINCIDENT", "blend", "daughters", "distances", "euler", "heun", "strength", "velocity"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Kinds = npt.NDArray[np.int8]
Shorts = npt.NDArray[np.int32]

#: Status of a cell that shares its centre with another one; a wall that was crossed is 1 + its number; 0 is sound.
COINCIDENT = -1
#: Centres nearer than this part of their rest distance have no direction.
_SAME = 1e-9
_AXIS, _SHARE = int(Purpose.DIVISION_AXIS), int(Purpose.DIVISION_SHARE)


@njit(cache=True, nogil=True)
def strength(distance: float, rest: float, reach: float, stiffness: float, adhesion: float) -> float:
    """Return the pair force, nN: positive pulls, negative pushes.

    Parameters
    ----------
    distance : float
        Between the centres, um, below ``reach * rest``.
    rest : float
        Sum of the radii, um.
    reach : float
        Where the force ends, relative to `rest`, above 1.
    stiffness : float
        Slope of the force at rest on the side of repulsion, nN/um.
    adhesion : float
        The slope on the side of attraction relative to that.

    Returns
    -------
    float
        ``stiffness (distance - rest) ((reach rest - distance) / (reach rest - rest))**2``, times `adhesion` beyond
        `rest`.
    """
    far = reach * rest
    part = (far - distance) / (far - rest)
    force = stiffness * (distance - rest) * part * part
    return force * adhesion if distance > rest else force


@njit(cache=True, nogil=True)
def _walls(
    x: float, y: float, z: float, radius: float, stiffness: float, normal: Floats, offset: Floats
) -> tuple[float, float, float, int]:
    """Return the force of all walls on a cell, nN, and 1 + the number of the first wall that it is behind, or 0."""
    fx, fy, fz, behind = 0.0, 0.0, 0.0, 0
    for w in range(offset.size):
        gap = normal[w, 0] * x + normal[w, 1] * y + normal[w, 2] * z - offset[w]
        if gap < radius:
            push = stiffness * (radius - gap)
            fx += push * normal[w, 0]
            fy += push * normal[w, 1]
            fz += push * normal[w, 2]
            if gap < -radius and behind == 0:
                behind = w + 1
    return fx, fy, fz, behind


@njit(cache=True, nogil=True, parallel=True, error_model="numpy")
def velocity(  # noqa: PLR0913, PLR0917 - arrays cannot be bundled without a cost per call
    out: Floats,
    status: Shorts,
    position: Floats,
    radius: Floats,
    kind: Kinds,
    polarity: Floats,
    active: Floats,
    start: Ints,
    other: Shorts,
    stiffness: Floats,
    adhesion: Floats,
    friction: Floats,
    reach: float,
    wall_stiffness: float,
    normal: Floats,
    offset: Floats,
    period: float,
) -> None:
    """Fill the velocities: forces of neighbours, walls and the cell itself, divided by its friction.

    Parameters
    ----------
    out : (n, 3) float array
        Overwritten, um/h.
    status : (n,) int32 array
        Overwritten: 0, `COINCIDENT`, or 1 + the number of a wall behind which the whole cell lies.
    position : (n, 3) float array
        um.
    radius : (n,) float array
        um.
    kind : (n,) int8 array
        Row of the tables below.
    polarity : (n, 3) or (0, 3) float array
        Unit axes; a zero row is a cell without one; without rows no cell has one.
    active : (n, 3) or (0, 3) float array
        Own force of each cell, nN.
    start : (n + 1,) int array
    other : (n_pairs,) int32 array
        Neighbours, at least all within reach.
    stiffness, adhesion : (n_kinds, n_kinds) float array
        As for `strength`; symmetric.
    friction : (n_kinds,) float array
        nN h/um.
    reach : float
        As for `strength`.
    wall_stiffness : float
        nN/um.
    normal : (n_walls, 3) float array
        Inward unit normals.
    offset : (n_walls,) float array
        um; a point x is inside where ``normal . x >= offset``.
    period : float
        Along z, um; 0 for none.
    """
    polar = polarity.shape[0] > 0
    driven = active.shape[0] > 0
    narrow = 1.0 / ((reach - 1.0) * (reach - 1.0))
    for i in prange(position.shape[0]):
        x, y, z, own = position[i, 0], position[i, 1], position[i, 2], radius[i]
        fx, fy, fz = 0.0, 0.0, 0.0
        same, row = False, kind[i]
        for p in range(start[i], start[i + 1]):
            # Nothing in here depends on where a neighbour is but numbers: a jump that cannot be foreseen costs more.
            j = np.uint32(other[p])
            dx, dy, dz = position[j, 0] - x, position[j, 1] - y, position[j, 2] - z
            if period > 0.0:
                dz -= period * np.rint(dz / period)
            rest = own + radius[j]
            distance = math.sqrt(dx * dx + dy * dy + dz * dz)
            same |= distance <= _SAME * rest
            grip = adhesion[row, kind[j]]
            if polar:
                length = max(distance, _SAME * rest)
                along_i = (polarity[i, 0] * dx + polarity[i, 1] * dy + polarity[i, 2] * dz) / length
                along_j = (polarity[j, 0] * dx + polarity[j, 1] * dy + polarity[j, 2] * dz) / length
                grip *= (1.0 - along_i * along_i) * (1.0 - along_j * along_j)
            # `strength` over the distance.
            over, left = distance - rest, max(reach * rest - distance, 0.0)
            over *= grip if over > 0.0 else 1.0
            force = narrow * stiffness[row, kind[j]] * over * left * left / (max(distance, _SAME * rest) * rest * rest)
            fx += force * dx
            fy += force * dy
            fz += force * dz
        wx, wy, wz, behind = _walls(x, y, z, own, wall_stiffness, normal, offset)
        fx, fy, fz = fx + wx, fy + wy, fz + wz
        state = COINCIDENT if same else behind
        if driven:
            fx += active[i, 0]
            fy += active[i, 1]
            fz += active[i, 2]
        drag = friction[kind[i]]
        out[i, 0], out[i, 1], out[i, 2] = fx / drag, fy / drag, fz / drag
        status[i] = state


@njit(cache=True, nogil=True, parallel=True)
def euler(out: Floats, position: Floats, slope: Floats, h: float) -> None:
    """Fill ``out = position + h slope``; all (n, 3), um, um/h and h."""
    for i in prange(position.shape[0]):
        for axis in range(3):
            out[i, axis] = position[i, axis] + h * slope[i, axis]


@njit(cache=True, nogil=True, parallel=True)
def blend(
    out: Floats,
    position: Floats,
    now: Floats,
    before: Floats,
    slope: Floats,
    first: Floats,
    mu: float,
    nu: float,
    ahead: float,
    back: float,
) -> None:
    """Fill a stage of a stabilised step; all (n, 3).

    ``out = (1 - mu - nu) position + mu now + nu before + ahead slope + back first``, um, um/h and h. `out` may be
    `before`.
    """
    for i in prange(position.shape[0]):
        for axis in range(3):
            out[i, axis] = (
                (1.0 - mu - nu) * position[i, axis]
                + mu * now[i, axis]
                + nu * before[i, axis]
                + ahead * slope[i, axis]
                + back * first[i, axis]
            )


@njit(cache=True, nogil=True, parallel=True)
def distances(error: Floats, moved: Floats, here: Floats, there: Floats, first: Floats, last: Floats, h: float) -> None:
    """Fill the error of a stabilised step and the movement of each cell.

    Parameters
    ----------
    error, moved : (n,) float array
        Overwritten: ``|0.8 (here - there) + 0.4 h (first + last)|``, the estimate of Sommeijer, Shampine and Verwer
        (1998), and ``|there - here|``, um.
    here, there : (n, 3) float array
        um.
    first, last : (n, 3) float array
        Velocities there, um/h.
    h : float
        h.
    """
    for i in prange(here.shape[0]):
        wrong, far = 0.0, 0.0
        for axis in range(3):
            step = there[i, axis] - here[i, axis]
            off = 0.4 * h * (first[i, axis] + last[i, axis]) - 0.8 * step
            wrong += off * off
            far += step * step
        error[i] = math.sqrt(wrong)
        moved[i] = math.sqrt(far)


@njit(cache=True, nogil=True, parallel=True)
def heun(
    out: Floats,
    error: Floats,
    moved: Floats,
    position: Floats,
    first: Floats,
    second: Floats,
    h: float,
) -> None:
    """Fill the position after a step of Heun's method, its distance from Euler's, and the movement.

    Parameters
    ----------
    out : (n, 3) float array
        Overwritten: ``position + h (first + second) / 2``, um.
    error, moved : (n,) float array
        Overwritten: ``|h (second - first) / 2|`` and ``|out - position|``, um.
    position, first, second : (n, 3) float array
        um; velocities at the beginning and at Euler's end of the step, um/h.
    h : float
        Length of the step, h.
    """
    for i in prange(position.shape[0]):
        wrong, far = 0.0, 0.0
        for axis in range(3):
            difference = 0.5 * h * (second[i, axis] - first[i, axis])
            step = 0.5 * h * (first[i, axis] + second[i, axis])
            wrong += difference * difference
            far += step * step
            out[i, axis] = position[i, axis] + step
        error[i] = math.sqrt(wrong)
        moved[i] = math.sqrt(far)


@njit(cache=True, nogil=True)
def daughters(
    place: Floats,
    size: Floats,
    position: Floats,
    radius: Floats,
    axis: Floats,
    seed: int,
    cell: Ints,
    event: Ints,
    aligned: bool,
    unevenness: float,
) -> None:
    """Fill centres and radii of two daughters of each cell; see `hepatalk.engines.lobule.motion.daughters`.

    Parameters
    ----------
    place : (m, 2, 3) float array
    size : (m, 2) float array
        Overwritten, um.
    position, axis : (m, 3) float array
    radius : (m,) float array
    seed : int
    cell, event : (m,) int array
    aligned : bool
    unevenness : float
    """
    for i in range(radius.size):
        u, v = uniform_pair(seed, cell[i], event[i], _AXIS)
        length = math.sqrt(axis[i, 0] ** 2 + axis[i, 1] ** 2 + axis[i, 2] ** 2)
        if aligned and length > 0.0:
            sign = 1.0 if u < 0.5 else -1.0
            ax, ay, az = sign * axis[i, 0] / length, sign * axis[i, 1] / length, sign * axis[i, 2] / length
        else:  # Archimedes: the height of a uniform point on the sphere is uniform
            az = 1.0 - 2.0 * u
            flat = math.sqrt(max(1.0 - az * az, 0.0))
            ax, ay = flat * math.cos(2.0 * math.pi * v), flat * math.sin(2.0 * math.pi * v)
        share = 0.5
        if unevenness > 0.0:
            share += unevenness * (uniform(seed, cell[i], event[i], _SHARE) - 0.5)
        size[i, 0] = radius[i] * share ** (1.0 / 3.0)
        size[i, 1] = radius[i] * (1.0 - share) ** (1.0 / 3.0)
        apart = min((radius[i] - size[i, 0]) / (1.0 - share), (radius[i] - size[i, 1]) / share)
        for k in range(3):
            direction = ax if k == 0 else (ay if k == 1 else az)
            place[i, 0, k] = position[i, k] + apart * (1.0 - share) * direction
            place[i, 1, k] = position[i, k] - apart * share * direction
