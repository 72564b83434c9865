"""A built lobule beside what has been measured in livers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from hepatalk.engines.lobule.geometry import Geometry
from hepatalk.engines.lobule.network import SINUSOID
from hepatalk.engines.lobule.vessels import sinusoids

__all__ = ["Comparison", "compare", "measure", "segments_touched"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
_PER_MM3 = 1e9  # um^3 in a mm^3
_MM_PER_MM3 = 1e6  # a length density in um/um^3 as mm/mm^3
_SECONDS_PER_HOUR = 3600.0
_NEAR = 1.0  # um between the surfaces of a cell and a sinusoid that touch: the height of the space of Disse


@dataclass(frozen=True)
class Comparison:
    """One quantity of a lobule, and the range that it has to lie in.

    Attributes
    ----------
    quantity : str
    value : float
    unit : str
    low, high : float
    source : str
        Ids of the sources of the range.
    """

    quantity: str
    value: float
    unit: str
    low: float
    high: float
    source: str

    @property
    def within(self) -> bool:
        """Whether the value lies in the range."""
        return bool(self.low <= self.value <= self.high)


def compare(geometry: Geometry, expected: Mapping[str, tuple[float, float, str, str]]) -> tuple[Comparison, ...]:
    """Compare a lobule with measured ranges.

    Parameters
    ----------
    geometry : Geometry
    expected : mapping of quantity to (low, high, unit, source)
        As `hepatalk.model.anatomy.expected`; quantities of `measure` that it lacks are left out.

    Returns
    -------
    tuple of Comparison
    """
    found = measure(geometry)
    return tuple(
        Comparison(name, found[name], unit, low, high, source)
        for name, (low, high, unit, source) in expected.items()
        if name in found
    )


def measure(g: Geometry) -> dict[str, float]:
    """Return what can be measured in a lobule as in a liver.

    Returns
    -------
    dict of str to float
        Densities in 1/mm^3, ``sinusoid_length`` in mm/mm^3, ``sinusoid_diameter`` in um, ``flow_speed`` in um/s; the
        others are numbers or shares.
    """
    a, network, flow = g.anatomy, g.network, g.flow
    volume = a.tissue_volume * a.lobules
    number = dict(zip(g.types, np.bincount(g.cells.type, minlength=len(g.types)).tolist(), strict=True))
    own = network.kind == SINUSOID
    r, length, q = network.radius[own], network.length[own], np.abs(flow.flow[own])
    hepatocytes = g.cells.type == g.types.index("HEP")
    lining = number["LSEC"] + number["HSC"] + number["KC"]
    zone = g.sites.zone[g.cells.site[g.cells.type == g.types.index("KC")]]
    return {
        "hepatocyte_density": number["HEP"] / volume * _PER_MM3,
        "hepatocyte_fraction": float((np.pi / 6.0 * g.cells.diameter[hepatocytes] ** 3).sum()) / volume,
        "hepatocytes_across": _across(g, number["HEP"], volume),
        "sinusoid_fraction": float((np.pi * r**2 * length).sum()) / volume,
        "sinusoid_diameter": 2.0 * float(np.average(r, weights=length)),
        "sinusoid_length": float(length.sum()) / volume * _MM_PER_MM3,
        "flow_speed": float(np.average(q / (np.pi * r**2), weights=q)) / _SECONDS_PER_HOUR,
        "npc_number": (len(g.cells.type) - number["HEP"]) / number["HEP"],
        "kc_density": number["KC"] / volume * _PER_MM3,
        "kc_share": number["KC"] / lining if lining else 0.0,
        "kc_periportal": float(np.mean(zone == 1)) if len(zone) else 0.0,
        "hsc_share": number["HSC"] / len(g.cells.type),
        "sinusoids_per_hsc": float(np.mean(segments_touched(g, "HSC"))) if number["HSC"] else 0.0,
    }


def _across(g: Geometry, hepatocytes: int, volume: float) -> float:
    """Return the way from portal tract to central vein in hepatocytes, by the cube root of their density."""
    a = g.anatomy
    way = a.lobule_radius - a.central_vein_radius - a.portal_tract_radius
    return float(way * (hepatocytes / volume) ** (1.0 / 3.0))


def segments_touched(g: Geometry, cell: str) -> Ints:
    """Return how many segments of sinusoid each cell of a type touches.

    Parameters
    ----------
    g : Geometry
    cell : str
        Cell type.

    Returns
    -------
    (k,) int array
        In the order of the cells.
    """
    own = np.flatnonzero(g.cells.type == g.types.index(cell))
    if len(own) == 0:
        return np.zeros(0, dtype=np.int64)
    lining = sinusoids(g.network.nodes, g.network.edges, g.network.kind)
    reach = 0.5 * g.cells.diameter[own] + _NEAR
    widest = float(g.network.radius.max())
    position = g.cells.position[own]
    near = cKDTree(lining.points).query_ball_point(position, reach + widest)
    touched = np.zeros(len(own), dtype=np.int64)
    for k, found in enumerate(near):
        points = np.asarray(found, dtype=np.int64)
        gap = np.linalg.norm(lining.points[points] - position[k], axis=1) - g.network.radius[lining.edge[points]]
        touched[k] = len(np.unique(lining.edge[points[gap <= reach[k]]]))
    return touched
