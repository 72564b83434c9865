"""Tissue as the engine needs it: sites in zones, what lies beside what, and where the first cells are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

from hepatalk.engines.lobule.tables import Compartments
from hepatalk.errors import EngineError

__all__ = ["Tissue", "zones_only"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Tissue:
    """Sites and cells of a healthy lobule.

    Attributes
    ----------
    zone : (n_sites,) int array
        From 0, in ascending order.
    weight : (n_sites,) float array
        Healthy volume of each site as a share of its zone; adds up to 1 in every zone.
    gate : (n_sites, n_zones) int array
        The site of each zone that a cell at a site reaches first; the site itself in its own zone.
    position : (n_sites, 3) float array
        In um.
    near : (n_sites, n_sites) sparse array or None
        Over which sites the number of cells that a site has beside it is averaged, rows adding up to 1; None for the
        site alone.
    expected : (n_sites, n_types) float array
        Cells of each type at each site in health. Of a rare type it may be a fraction of a cell; positive in every zone
        in which the type lives, at one site at least.
    type_, cell_site : (n_cells,) int array
        Cell type and site of each cell.
    cell_position : (n_cells, 3) float array
        In um.
    """

    zone: Ints
    weight: Floats
    gate: Ints
    position: Floats
    near: sparse.csr_array | None
    expected: Floats
    type_: Ints
    cell_site: Ints
    cell_position: Floats

    @property
    def n_sites(self) -> int:
        """Number of sites."""
        return len(self.zone)


def zones_only(comps: Compartments, numbers: Mapping[str, int]) -> Tissue:
    """Return a tissue of three well-mixed zones, with the exchange of the population model between them.

    Parameters
    ----------
    comps : Compartments
    numbers : mapping of cell type to int
        Cells of each type in the three zones together.

    Raises
    ------
    EngineError
        If a cell type has no cell.
    """
    n_zones = len(comps.state)
    types, sites = [], []
    for k, cell in enumerate(comps.types):
        number = numbers.get(cell, 0)
        if number < 1:
            raise EngineError(
                f"{number} cells of type {cell}; allowed: one or more of {', '.join(comps.types)}; ask for more "
                "hepatocytes"
            )
        here = np.floor(number * comps.share[:, k] + 0.5).astype(int)
        types += [k] * int(here.sum())
        sites += np.repeat(np.arange(n_zones), here).tolist()
    return Tissue(
        zone=np.arange(n_zones),
        weight=np.ones(n_zones),
        gate=np.tile(np.arange(n_zones), (n_zones, 1)),
        position=np.zeros((n_zones, 3)),
        near=None,
        expected=comps.share * np.array([float(numbers[cell]) for cell in comps.types]),
        type_=np.array(types, dtype=np.int64),
        cell_site=np.array(sites, dtype=np.int64),
        cell_position=np.zeros((len(types), 3)),
    )
