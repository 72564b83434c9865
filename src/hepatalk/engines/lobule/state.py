"""Everything that changes during a run of the lobule engine, in one object that can be copied, saved and resumed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from hepatalk.engines.lobule.arrays import CellArrays
from hepatalk.engines.lobule.kernels import bury, first_clock
from hepatalk.engines.lobule.network import Network
from hepatalk.engines.lobule.tables import Compartments
from hepatalk.engines.lobule.tissue import Tissue
from hepatalk.model.fates import NOTHING
from hepatalk.rng import Purpose, uniform

__all__ = ["State", "empty_cells", "first_cells", "room_for"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

#: Room beyond the cells that are there, as a share of them, and at least so many.
_SPARE, _SPARE_CELLS = 0.25, 4096


@dataclass
class State:
    """The moment of a run.

    Attributes
    ----------
    time_h : float
    lobules : float
        How many lobules there are, relative to the healthy liver; the cells are those of a sample of them.
    params : (n_params,) float array
        In force.
    body : (n_body,) float array
        States that belong to no zone.
    level : list of (n_sites_of_zone, n_moving) float array
        Signals, stores, nodes and dead tissue at each site, in the units of the model's states.
    cells : CellArrays
    n : int
        Number of cells.
    ident : int
        Identity of the next new cell.
    waiting, drawn : list of (n_sites_of_zone, n_sources) array
        Arrivals from the blood: see `hepatalk.engines.lobule.kernels.arrive`.
    step_h : float
        Length of the next step.
    tally : (n_fates,) int array
        How often each fate has happened.
    flow_at_sites : (n_sites,) float array
        How the network divides blood among the sites, relative to health.
    carried : (n_cargo, n_sites) float array
        What a passage of the blood leaves at each site of oxygen and of the signals that it loses, relative to health.
    touch_at, touch_chance, touch_bare : arrays
        Contacts as they were counted last: see `hepatalk.engines.lobule.touch.Touching`.
    network : Network or None
        The sinusoids, in the coordinates of the healthy lobule; None for a tissue without a place in space.
    sprouts : (k, 3, 3) float array
        Sprouts on their way: where each begins, its middle, and where it will end, in the coordinates of health, um.
    sprout_grown : (k,) float array
        How far the tip of each has come, um.
    flow_seen_at_h : float
        When the network was last solved.
    scale : float
        Edge of the lobule relative to health.
    moved_at_h : float
        When cells were last given room.
    steps : int
        Steps taken.
    touched : int
        How often cells were chosen from outside (killed, labelled): tells the draws of one choice from the next.
    died_at_h : float or None
    """

    time_h: float
    lobules: float
    params: Floats
    body: Floats
    level: list[Floats]
    cells: CellArrays
    n: int
    ident: int
    waiting: list[Floats]
    drawn: list[Ints]
    tally: Ints
    step_h: float
    flow_at_sites: Floats
    carried: Floats
    touch_at: Ints
    touch_chance: Floats
    touch_bare: npt.NDArray[np.bool_]
    network: Network | None = None
    sprouts: Floats = field(default_factory=lambda: np.zeros((0, 3, 3)))
    sprout_grown: Floats = field(default_factory=lambda: np.zeros(0))
    flow_seen_at_h: float = -np.inf
    scale: float = 1.0
    moved_at_h: float = -np.inf
    steps: int = 0
    touched: int = 0
    died_at_h: float | None = None

    def bury(self) -> None:
        """Remove the dead from the arrays."""
        self.n = bury(self.cells, self.n)


def empty_cells(capacity: int) -> CellArrays:
    """Return arrays for a number of cells, all zero."""

    def ints() -> Ints:
        return np.zeros(capacity, dtype=np.int64)

    def flags() -> npt.NDArray[np.uint8]:
        return np.zeros(capacity, dtype=np.uint8)

    return CellArrays(
        comp=ints(),
        site=ints(),
        goal=np.full(capacity, NOTHING, dtype=np.int64),
        ident=ints(),
        parent=ints(),
        clone=ints(),
        events=ints(),
        marks=ints(),
        clock=np.zeros(capacity),
        volume=np.zeros(capacity),
        position=np.zeros((capacity, 3)),
        fired=flags(),
        dead=flags(),
    )


def _fill(cells: CellArrays, source: CellArrays, n: int) -> None:
    """Copy the first ``n`` cells."""
    for whole, part in zip(cells, source, strict=True):
        np.copyto(cast(Any, whole)[:n], cast(Any, part)[:n])


def room_for(cells: CellArrays, n: int) -> CellArrays:
    """Return the arrays, larger if hardly any room is left behind the first ``n`` cells."""
    spare = max(int(n * _SPARE), _SPARE_CELLS)
    if n + spare // 2 < len(cells.comp):
        return cells
    larger = empty_cells(n + spare)
    _fill(larger, cells, n)
    return larger


def first_cells(comps: Compartments, tissue: Tissue, seed: int, shift: int = 0) -> tuple[CellArrays, int, int]:
    """Return the cells of a healthy lobule, their number and the next identity.

    Which compartment a cell is in follows the healthy distribution of its type and zone by systematic sampling: the
    numbers differ from the expected ones by less than one cell, and every cell has its fair chance.

    Parameters
    ----------
    comps : Compartments
    tissue : Tissue
    seed : int
    shift : int
        Identity of the first cell.
    """
    n = len(tissue.type_)
    cells = empty_cells(n + max(int(n * _SPARE), _SPARE_CELLS))
    cells.site[:n] = tissue.cell_site
    cells.ident[:n] = cells.clone[:n] = np.arange(shift, shift + n)
    cells.parent[:n] = NOTHING
    cells.volume[:n] = 1.0
    cells.position[:n] = tissue.cell_position
    draws = np.array([uniform(seed, i, 0, int(Purpose.INITIAL_STATE)) for i in range(shift, shift + n)])
    zones = tissue.zone[tissue.cell_site]
    for z in range(len(comps.state)):
        for k in range(len(comps.types)):
            here = np.flatnonzero((zones == z) & (tissue.type_ == k))
            if not len(here):
                continue
            order = here[np.argsort(draws[here], kind="stable")]
            offset = uniform(seed, shift, 1 + z * len(comps.types) + k, int(Purpose.INITIAL_STATE))
            at = (np.arange(len(order)) + offset) / len(order)
            own = np.flatnonzero(comps.type_of == k)
            edges = np.cumsum(comps.rest[z, own])
            chosen = own[np.minimum(np.searchsorted(edges / edges[-1], at, side="right"), len(own) - 1)]
            # Systematic sampling walks the cells in the order of their draws, so that neighbours are not alike.
            cells.comp[order] = chosen
    for i in range(n):
        cells.clock[i] = first_clock(seed, int(cells.ident[i]), 0)
    return cells, n, shift + n
