"""A regular grid of cubes as a `Transport`: for cases with known solutions and for comparison with other tools."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hepatalk.engines.lobule.transport import Transport
from hepatalk.errors import EngineError

__all__ = ["Grid", "grid"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Grid:
    """Cubes in a box whose centre is the origin.

    Attributes
    ----------
    shape : tuple of int
        Numbers of voxels along x, y and z; voxel (a, b, c) is site ``(a * ny + b) * nz + c``.
    edge : float
        um.
    centre : (M, 3) float array
        um.
    transport : Transport
    """

    shape: tuple[int, int, int]
    edge: float
    centre: Floats
    transport: Transport

    def voxel(self, position: Floats) -> Ints:
        """Return the voxel that holds each position.

        Parameters
        ----------
        position : (n, 3) float array
            um.

        Returns
        -------
        (n,) int array

        Raises
        ------
        EngineError
            If a position lies outside the box.
        """
        place = np.floor(position / self.edge + 0.5 * np.array(self.shape)).astype(np.int64)
        outside = np.flatnonzero(((place < 0) | (place >= np.array(self.shape))).any(axis=1))
        if outside.size:
            raise EngineError(f"voxels: position {outside[0]} lies outside the box")
        return (place[:, 0] * self.shape[1] + place[:, 1]) * self.shape[2] + place[:, 2]

    def spread(self, position: Floats, amount: Floats) -> Floats:
        """Return what cells make or take up, per volume of their voxels.

        Parameters
        ----------
        position : (n, 3) float array
            um.
        amount : (n,) float array
            Per cell: level um^3/h for production, um^3/h for uptake.

        Returns
        -------
        (M,) float array
            Level/h, or 1/h.
        """
        return np.bincount(self.voxel(position), amount, self.centre.shape[0]) / self.edge**3


def grid(nx: int, ny: int, nz: int, edge: float, *, walls: str = "closed") -> Grid:
    """Build a regular grid.

    Parameters
    ----------
    nx, ny, nz : int
        Numbers of voxels, at least 1.
    edge : float
        Of a voxel, um.
    walls : {'closed', 'open', 'centre'}
        'closed' lets nothing pass (Neumann). 'open' holds the rest level on the faces of the box (Dirichlet), half
        an edge from the centres of the outer voxels. 'centre' holds it a whole edge away, as if a layer of voxels
        outside the box had it.

    Returns
    -------
    Grid

    Raises
    ------
    EngineError
        If a number, the edge or the kind of wall is not allowed.
    """
    shape = (nx, ny, nz)
    if min(shape) < 1 or not (np.isfinite(edge) and edge > 0.0):
        raise EngineError(f"voxels: a grid of {nx} x {ny} x {nz} with an edge of {edge} um; all must be positive")
    gap = {"closed": np.inf, "open": 0.5 * edge, "centre": edge}.get(walls)
    if gap is None:
        raise EngineError(f"voxels: walls are 'closed', 'open' or 'centre', not {walls!r}")
    axes = np.meshgrid(*(np.arange(n) for n in shape), indexing="ij")
    place = np.stack([axis.ravel() for axis in axes], axis=1).astype(np.int64)
    sites = place.shape[0]
    index, strides = np.arange(sites, dtype=np.int64), (ny * nz, nz, 1)
    here, there, wall = [], [], np.zeros(sites)
    for axis in range(3):
        for way in (-1, 1):
            target = place[:, axis] + way
            inside = (target >= 0) & (target < shape[axis])
            here.append(index[inside])
            there.append(index[inside] + way * strides[axis])
            wall[~inside] += edge**2 / gap
    first, second = np.concatenate(here), np.concatenate(there)
    order = np.lexsort((second, first))
    start = np.searchsorted(first[order], np.arange(sites + 1)).astype(np.int64)
    ones = np.ones(order.size)
    made = Transport(start, second[order], edge**2 * ones, edge * ones, np.full(sites, edge**3), wall)
    return Grid(shape, edge, (place - 0.5 * (np.array(shape) - 1)) * edge, made)
