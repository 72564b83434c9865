"""Hexagons side by side: centres, corners and faces of lobules, and what lies inside.

The first lobule has its central vein at the origin. Corners lie at 0, 60, ... degrees from the centre, the middles of
faces at 30, 90, ... degrees; the central vein runs along z. Further lobules stand around the first in rings.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Frame", "frame"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
_FACES = np.radians(30.0 + 60.0 * np.arange(6))
_CORNERS = np.radians(60.0 * np.arange(6))


@dataclass(frozen=True)
class Frame:
    """Where lobules stand.

    Attributes
    ----------
    radius, height : float
        um.
    centre : (L, 2) float array
        Central veins.
    corner : (C, 2) float array
        Every corner once; neighbours share them.
    corners : (L, 6) int array
        Those of each lobule, counterclockwise.
    face : (F, 2) int array
        Corners at the ends of every face, each face once.
    inward : (6, 2) float array
        Unit normals of the faces of any lobule, towards its centre.
    """

    radius: float
    height: float
    centre: Floats
    corner: Floats
    corners: Ints
    face: Ints
    inward: Floats

    def lobule_of(self, points: Floats) -> Ints:
        """Return the lobule whose central vein is nearest, which is the one that a point inside belongs to."""
        d = ((points[:, None, :2] - self.centre[None]) ** 2).sum(axis=2)
        return np.asarray(np.argmin(d, axis=1))

    def to_face(self, points: Floats) -> Floats:
        """Return the distance (n,) to the nearest face of the point's own lobule; negative outside all lobules."""
        local = points[:, :2] - self.centre[self.lobule_of(points)]
        apothem = self.radius * np.sqrt(0.75)
        return np.asarray((apothem + local @ self.inward.T).min(axis=1))

    def to_vein(self, points: Floats) -> Floats:
        """Return the distance (n,) to the axis of the nearest central vein."""
        return np.asarray(np.hypot(*(points[:, :2] - self.centre[self.lobule_of(points)]).T))

    def to_corner(self, points: Floats) -> Floats:
        """Return the distance (n,) to the nearest corner of the point's own lobule."""
        own = self.corner[self.corners[self.lobule_of(points)]]
        return np.asarray(np.sqrt(((points[:, None, :2] - own) ** 2).sum(axis=2)).min(axis=1))


def frame(radius: float, height: float, lobules: int) -> Frame:
    """Return the frame of so many lobules, in rings around the first.

    Parameters
    ----------
    radius, height : float
        um.
    lobules : int
        At least 1.
    """
    centre = _lattice(lobules) * radius * np.sqrt(3.0)
    spokes = radius * np.column_stack([np.cos(_CORNERS), np.sin(_CORNERS)])
    every = (centre[:, None] + spokes[None]).reshape(-1, 2)
    # Corners that neighbours share agree to rounding; a lattice of a thousandth of a radius tells others apart.
    keys = np.round(every / radius * 1e3).astype(np.int64)
    _, first, which = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    corners = which.reshape(lobules, 6)
    faces = np.stack([corners, np.roll(corners, -1, axis=1)], axis=2).reshape(-1, 2)
    return Frame(
        radius=radius,
        height=height,
        centre=centre,
        corner=every[first],
        corners=corners,
        face=np.unique(np.sort(faces, axis=1), axis=0),
        inward=-np.column_stack([np.cos(_FACES), np.sin(_FACES)]),
    )


def _lattice(n: int) -> Floats:
    """Return ``n`` points of the triangular lattice of spacing 1, nearest to the origin first, then by angle."""
    reach = int(np.ceil(np.sqrt(n))) + 1
    i, j = (a.ravel() for a in np.meshgrid(np.arange(-reach, reach + 1), np.arange(-reach, reach + 1)))
    first, second = (np.array([np.cos(a), np.sin(a)]) for a in _FACES[:2])
    points = i[:, None] * first + j[:, None] * second
    distance = np.round(np.hypot(*points.T), 6)
    angle = np.round(np.arctan2(points[:, 1], points[:, 0]) % (2.0 * np.pi), 6)
    return np.asarray(points[np.lexsort([angle, distance])[:n]])
