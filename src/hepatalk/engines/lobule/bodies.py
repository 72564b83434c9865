"""Cells, the forces between them and the walls around them, as the mechanics of the lobule takes them.

The equations are in `hepatalk.engines.lobule.motion`. Units: um, h, nN.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from hepatalk.errors import ModelError

__all__ = ["Bodies", "Box", "Mechanics", "hexagon", "scale"]

Floats = npt.NDArray[np.float64]
Kinds = npt.NDArray[np.int8]

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
                raise ModelError(
                    f"{name} differs from its mirror image; allowed: a symmetric table; forces come in pairs"
                )
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
            raise ModelError(
                f"walls of shape {self.normal.shape} with {self.offset.size} finite offsets; allowed: (n, 3), n"
            )
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
