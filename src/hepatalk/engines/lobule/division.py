"""Where the daughters of a dividing cell lie, and how large they are."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hepatalk.engines.lobule import motion_kernels as kernels
from hepatalk.engines.lobule.grid import check_cells
from hepatalk.errors import EngineError, ModelError
from hepatalk.rng import check_seed

__all__ = ["daughters"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


def daughters(
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

    Volume and its centre are kept: ``r_1**3 + r_2**3 = radius**3``. Both daughters lie within their mother and one of
    them touches her outline from inside, so that no neighbour meets a new overlap; that of the daughters is left to
    `hepatalk.engines.lobule.motion.relax`.

    With alignment, daughters lie along the sinusoid, as hepatocytes of the regenerating mouse liver do
    (hepatocyte-sinusoid alignment: Hoehme et al. 2010, PNAS 107:10371, doi 10.1073/pnas.0909374107), which of them
    downstream being drawn. Without it, and for a zero axis, the direction is uniform on the sphere.

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
        As for `hepatalk.engines.lobule.grid.check_cells`; or if an axis is not finite or rows are missing.
    ModelError
        If `unevenness` is out of its range.
    """
    if not 0 <= unevenness < 1:
        raise ModelError(f"unevenness {unevenness:g}; allowed: from 0 (halves) to below 1")
    position, radius = np.ascontiguousarray(position, dtype=float), np.ascontiguousarray(radius, dtype=float)
    check_cells(position, radius)
    if not (axis.shape == position.shape and cell.shape == event.shape == radius.shape):
        raise EngineError(
            f"axes {axis.shape}, cells {cell.shape} and events {event.shape}; allowed: one row for each of the "
            f"{radius.size} dividing cells"
        )
    if not np.isfinite(axis).all():
        raise EngineError(f"axis of cell {cell[np.argmin(np.isfinite(axis).all(axis=1))]}; allowed: finite numbers")
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
