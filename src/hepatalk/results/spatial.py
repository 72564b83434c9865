"""Where things are in a lobule: measures over tables of cells, for pictures, tests and whoever looks at a run.

All of them take plain arrays, or the tables that `hepatalk.results.cells.Cells` returns with the healthy lobule beside
them. Lengths are in um, times in hours. Depth is the share of the tissue that blood has passed, 0 at the portal tracts
and 1 at the central vein: zones end at a third and two thirds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

if TYPE_CHECKING:
    import xarray

__all__ = [
    "Clones",
    "Entries",
    "binned",
    "clones_of",
    "closing",
    "distance_from_tracts",
    "exposure",
    "first_entries",
    "groups",
    "nearest",
    "radii",
    "segment_gap",
    "segments",
    "tissue_depth",
    "untouched",
    "worst_turn",
]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Anatomy = Mapping[str, npt.NDArray[Any]]

#: Points that are measured against all segments at a time: bounds the memory.
_AT_ONCE = 256
#: Two cells touch if the gap between them is below this share of the sum of their radii: the reach of the attraction in
#: the mechanics of the lobule engine.
TOUCH = 0.25


# ------------------------------------------------------------------------------------------------ depth


def tissue_depth(anatomy: Anatomy) -> Floats:
    """Return the depth of each site, (n_sites,): the share of the tissue before it in the order in which blood passes.

    Parameters
    ----------
    anatomy : mapping
        From `hepatalk.results.cells.Cells.anatomy`; ``site_depth`` and ``site_volume`` are used.
    """
    weight = np.asarray(anatomy["site_volume"], dtype=float)
    order = np.argsort(anatomy["site_depth"], kind="stable")
    depth = np.empty(len(weight))
    depth[order] = (np.cumsum(weight[order]) - 0.5 * weight[order]) / weight.sum()
    return depth


def binned(depth: Floats, values: Floats, *, bins: int = 10, weight: Floats | None = None) -> Floats:
    """Return the mean of values in equal parts of depth, (bins,); NaN where there is nothing.

    Parameters
    ----------
    depth : (n,) float array
        0 to 1.
    values : (n,) float array
        Those that are not finite are left out.
    bins : int
    weight : (n,) float array, optional
        Of each value; alike when omitted.
    """
    there = np.isfinite(values)
    place = np.clip((depth[there] * bins).astype(np.int64), 0, bins - 1)
    w = np.ones(len(place)) if weight is None else weight[there]
    total = np.bincount(place, weights=w, minlength=bins)
    summed = np.bincount(place, weights=w * values[there], minlength=bins)
    mean: Floats = np.divide(summed, total, out=np.full(bins, np.nan), where=total > 0.0)
    return mean


def worst_turn(profile: Floats, error: Floats) -> float:
    """Return the largest step of a profile against its own direction, in standard errors of the step; 0 for none.

    A profile that only rises or only falls has 0; a flat one with noise has a few.

    Parameters
    ----------
    profile, error : (n,) float array
        Means and their standard errors; parts that are not finite are left out. Steps without error count as infinite.
    """
    kept = np.isfinite(profile) & np.isfinite(error)
    p, e = profile[kept], error[kept]
    against = -np.sign(p[-1] - p[0]) * np.diff(p)
    spread = np.hypot(e[1:], e[:-1])
    turn = np.where(against > 0.0, against / np.where(spread > 0.0, spread, np.finfo(float).tiny), 0.0)
    return float(turn.max(initial=0.0))


# ------------------------------------------------------------------------------------------------ entries and clones


@dataclass(frozen=True)
class Entries:
    """When the cells of time zero first entered a state.

    Attributes
    ----------
    time_h : (n,) float array
        The first kept moment at which the cell was in the state; infinite if it was at none.
    depth : (n,) float array
        Where the cell was at time zero.
    zone : (n,) int array
        Its zone at time zero.
    """

    time_h: Floats
    depth: Floats
    zone: Ints

    def times_in(self, low: float, high: float) -> Floats:
        """Return the finite times of cells between two depths."""
        own = (self.depth >= low) & (self.depth < high) & np.isfinite(self.time_h)
        return self.time_h[own]


def first_entries(
    tables: Sequence[xarray.Dataset], depth_of_sites: Floats, *, cell: str = "HEP", state: str = "s"
) -> Entries:
    """Return when each cell of the first table is first seen in a state, in any of the tables.

    A cell keeps its identity when it divides, and its daughter gets a new one. Stays that begin and end between two
    tables are not seen: keep cells more often than the state lasts.

    Parameters
    ----------
    tables : sequence of xarray.Dataset
        In the order of time.
    depth_of_sites : (n_sites,) float array
        From `tissue_depth`.
    cell, state : str
    """
    first = tables[0]
    own = first["type"].values == cell
    ident = first["ident"].values[own]
    time_h = np.full(len(ident), np.inf)
    for table in tables:
        there = (table["type"].values == cell) & (table["state"].values == state)
        seen = np.isin(ident, table["ident"].values[there]) & ~np.isfinite(time_h)
        time_h[seen] = float(table.attrs["time_h"])
    return Entries(time_h, depth_of_sites[first["at_site"].values[own]], first["zone"].values[own].astype(np.int64))


@dataclass(frozen=True)
class Clones:
    """The cells of time zero with their descendants that live later.

    Attributes
    ----------
    size : (n,) int array
        Cells of each clone that live; above 0.
    founder_zone : (n,) int array
        Zone of the first cell at time zero; 0 for clones that came later, from blood.
    moved : (4, 4) int array
        Living cells by the zone of the founder (row) and their own zone (column); row 0 as for ``founder_zone``.
    """

    size: Ints
    founder_zone: Ints
    moved: Ints

    def of(self, zone: int) -> Ints:
        """Return the sizes of the clones whose founder was in a zone."""
        own: Ints = self.size[self.founder_zone == zone]
        return own


def clones_of(first: xarray.Dataset, last: xarray.Dataset, cell: str = "HEP") -> Clones:
    """Return the clones of a cell type.

    Parameters
    ----------
    first, last : xarray.Dataset
        Tables of two moments. The founder is the cell of ``first`` whose identity the clone has, of any type.
    cell : str
        Type of the cells that are counted in ``last``.
    """
    own = last["type"].values == cell
    found, where, size = np.unique(last["clone"].values[own], return_inverse=True, return_counts=True)
    founder = dict(zip(first["ident"].values.tolist(), first["zone"].values.tolist(), strict=True))
    zone = np.array([founder.get(int(c), 0) for c in found], dtype=np.int64)
    moved = np.zeros((4, 4), dtype=np.int64)
    np.add.at(moved, (zone[where.ravel()], last["zone"].values[own].astype(np.int64)), 1)
    return Clones(size.astype(np.int64), zone, moved)


# ------------------------------------------------------------------------------------------------ distances


def nearest(points: Floats, targets: Floats) -> Floats:
    """Return the distance from each point to the nearest target, (n,); infinite if there is none."""
    if not len(targets) or not len(points):
        return np.full(len(points), np.inf)
    return np.asarray(cKDTree(targets).query(points)[0], dtype=float)


def distance_from_tracts(position: Floats, anatomy: Anatomy, scale: float) -> Floats:
    """Return how far cells lie from the rim of the nearest portal tract, (n,) um; 0 within a tract.

    Parameters
    ----------
    position : (n, 3) float array
    anatomy : mapping
        ``corner`` and ``portal_tract_radius`` are used.
    scale : float
        Edge of the lobule relative to health, with which corners and tracts are carried along.
    """
    corner = np.asarray(anatomy["corner"], dtype=float) * scale
    away = nearest(np.asarray(position, dtype=float)[:, :2], corner)
    return np.maximum(away - float(anatomy["portal_tract_radius"][0]) * scale, 0.0)


def radii(table: xarray.Dataset, anatomy: Anatomy, types: Sequence[str]) -> Floats:
    """Return the radius of each cell of a table, (n_cells,) um: that of its type, by its volume.

    Parameters
    ----------
    table : xarray.Dataset
    anatomy : mapping
        ``cell_diameter`` is used.
    types : sequence of str
        In its order.
    """
    diameter = dict(zip(types, np.asarray(anatomy["cell_diameter"], dtype=float), strict=True))
    own = np.array([diameter[str(t)] for t in table["type"].values])
    return np.asarray(0.5 * own * np.cbrt(np.asarray(table["volume"].values, dtype=float)))


def segments(anatomy: Anatomy, scale: float) -> tuple[Floats, Floats, Floats]:
    """Return both ends (n, 3) and radii (n,) of the vessels of one lobule whose edge is scaled about its middle, um."""
    middle = np.append(np.asarray(anatomy["centre"], dtype=float).mean(axis=0), 0.5 * float(anatomy["height"][0]))
    ends = middle + (np.asarray(anatomy["node"], dtype=float)[anatomy["edge"]] - middle) * scale
    return ends[:, 0], ends[:, 1], np.asarray(anatomy["edge_radius"], dtype=float)


def segment_gap(points: Floats, start: Floats, end: Floats, radius: Floats) -> Floats:
    """Return the distance from each point to the wall of the nearest vessel, (n,) um; negative inside.

    Parameters
    ----------
    points : (n, 3) float array
    start, end : (m, 3) float array
        Ends of straight segments.
    radius : (m,) float array
    """
    along = end - start
    square = np.maximum((along**2).sum(axis=1), 1e-12)
    out = np.full(len(points), np.inf)
    for a in range(0, len(points), _AT_ONCE):
        here = points[a : a + _AT_ONCE, None, :] - start[None]
        share = np.clip((here * along).sum(axis=2) / square, 0.0, 1.0)
        gap = np.linalg.norm(here - share[..., None] * along, axis=2) - radius
        out[a : a + _AT_ONCE] = gap.min(axis=1, initial=np.inf)
    return out


def untouched(points: Floats, radius: Floats, others: Floats, their_radius: Floats) -> Flags:
    """Return which spheres touch none of the others, (n,) bool: see `TOUCH`."""
    if not len(others) or not len(points):
        return np.ones(len(points), dtype=bool)
    reach = (1.0 + TOUCH) * (radius + their_radius.max())
    near = cKDTree(others).query_ball_point(points, reach)
    touched: Flags = np.zeros(len(points), dtype=bool)
    for i, found in enumerate(near):
        k = np.asarray(found, dtype=np.int64)
        away = np.linalg.norm(others[k] - points[i], axis=1)
        touched[i] = bool((away <= (1.0 + TOUCH) * (radius[i] + their_radius[k])).any())
    return ~touched


def groups(points: Floats, radius: Floats) -> Ints:
    """Return the sizes of groups of spheres that touch each other, largest first.

    Parameters
    ----------
    points : (n, 3) float array
    radius : (n,) float array
    """
    n = len(points)
    if not n:
        return np.zeros(0, dtype=np.int64)
    pairs = cKDTree(points).query_pairs(2.0 * (1.0 + TOUCH) * float(radius.max()), output_type="ndarray")
    a, b = pairs[:, 0], pairs[:, 1]
    touch = np.linalg.norm(points[a] - points[b], axis=1) <= (1.0 + TOUCH) * (radius[a] + radius[b])
    graph = sparse.coo_array((np.ones(int(touch.sum())), (a[touch], b[touch])), shape=(n, n))
    label = connected_components(graph, directed=False)[1]
    size: Ints = np.sort(np.bincount(label))[::-1].astype(np.int64)
    return size


# ------------------------------------------------------------------------------------------------ fields


def exposure(field: Floats, at_site: Ints, weight: Floats) -> float:
    """Return how much more of a field cells see than the tissue has on the mean; 1 if they are strewn evenly.

    Parameters
    ----------
    field : (n_sites,) float array
        At every site; finite and not negative.
    at_site : (n_cells,) int array
        Sites of the cells; NaN comes back if there is none, or nothing of the field anywhere.
    weight : (n_sites,) float array
        Volume of each site, or how many cells of the kind health has there.
    """
    mean = float((field * weight).sum() / weight.sum())
    return float(field[at_site].mean()) / mean if len(at_site) and mean > 0.0 else float("nan")


def closing(from_rim: Floats, time_h: Floats) -> tuple[float, float]:
    """Return the speed (um/h) at which a gap closes from its rim, and the rank correlation that says whether it does.

    Parameters
    ----------
    from_rim : (n,) float array
        Distance of each place from the rim, um, inwards.
    time_h : (n,) float array
        When the place was closed; infinite for those that were not, which count as the last in the correlation and not
        in the speed.

    Returns
    -------
    tuple of float
        The slope of distance over time (infinite where all close together or from inside), and Spearman's correlation:
        1 for a gap that closes from the rim inwards, 0 for one that closes everywhere alike; NaN if it cannot be told.
    """
    from scipy.stats import rankdata

    if len(time_h) < 3 or len(np.unique(time_h)) == 1 or len(np.unique(from_rim)) == 1:
        return float("inf"), float("nan")
    correlation = float(np.corrcoef(rankdata(from_rim), rankdata(time_h))[0, 1])
    closed = np.isfinite(time_h)
    if closed.sum() < 3 or np.ptp(from_rim[closed]) == 0.0:
        return float("inf"), correlation
    slope = float(np.polyfit(from_rim[closed], time_h[closed], 1)[0])
    return (1.0 / slope if slope > 0.0 else float("inf")), correlation
