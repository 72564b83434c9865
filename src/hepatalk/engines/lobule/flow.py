"""Blood in the sinusoids: pressures, flows and shear by Poiseuille's law, and what plasma carries along.

Pressure
--------
A segment of radius r and length l conducts g = pi r^4 / (8 viscosity l) (Poiseuille). Flow is conserved at every node:
the sum over its segments of g (p_i - p_j) is what enters there from outside. All portal inlets have one pressure, which
comes out of the total that flows; arterioles bring given amounts; the outlets have pressure 0. The matrix is sparse,
symmetric and positive definite, and is factorised directly, with one step of refinement.

Plasma
------
Blood passes in seconds and tissue changes in minutes to hours, so that plasma is always at its steady state. At a node
that receives flow Q_k of concentration p_k and exchanges with tissue of level s_j at clearance c_j (um^3/h, the rate of
exchange times the volume of the tissue):

    p = (sum Q_k p_k + sum c_j s_j) / (sum Q_k + sum c_j),

nodes in the order of falling pressure, so that whatever flows in is known. What blood loses is what tissue gains.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array, csc_array
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import splu

from hepatalk.engines.lobule import graph_kernels
from hepatalk.engines.lobule.network import Network
from hepatalk.errors import GeometryError

__all__ = ["Course", "Exchange", "Flow", "ages", "course", "march", "solve"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
#: A segment whose flow is below this part of the whole carries nothing: below it lies rounding.
_STILL = 1e-13


@dataclass(frozen=True)
class Flow:
    """Steady flow through a network.

    Attributes
    ----------
    pressure : (n,) float array
        Pa above the central veins.
    flow : (e,) float array
        um^3/h, positive from the first to the second node of the segment.
    shear : (e,) float array
        At the wall, Pa: 4 viscosity |Q| / (pi r^3).
    source : (n,) float array
        What enters each node from outside, um^3/h; negative where blood leaves.
    transit : (e,) float array
        Time in the segment, h; infinite where nothing flows.
    """

    pressure: Floats
    flow: Floats
    shear: Floats
    source: Floats
    transit: Floats


def solve(
    network: Network,
    inflow: float,
    *,
    viscosity: float,
    arterial_share: float = 0.0,
    radius: Floats | None = None,
) -> Flow:
    """Return the flow of a network through which a given total passes.

    Parameters
    ----------
    network : Network
    inflow : float
        Into all lobules, um^3/h.
    viscosity : float
        Pa h.
    arterial_share : float
        Part of the inflow that arterioles bring, equal amounts each.
    radius : (e,) float array, optional
        Of the segments now, um; the healthy ones when omitted.

    Returns
    -------
    Flow

    Raises
    ------
    GeometryError
        For a radius that is not positive (names the segment), a part without way out (names a node), or an inflow or
        viscosity that no blood has.
    """
    r = network.radius if radius is None else np.asarray(radius, dtype=float)
    _check(network, inflow, viscosity, arterial_share, r)
    n = len(network.nodes)
    one, other = network.edges.T
    g = np.pi * r**4 / (8.0 * viscosity * network.length)
    # Unknowns: the portal pressure, then every node that is neither inlet nor outlet.
    place = np.full(n, -2, dtype=np.int64)
    place[network.outlets] = -1
    place[network.inlets] = 0
    free = place == -2
    place[free] = 1 + np.arange(int(free.sum()))
    arterial = network.arterial if len(network.arterial) else network.inlets
    source = np.zeros(n)
    source[arterial] = arterial_share * inflow / len(arterial)
    right: Floats = np.bincount(place[place >= 0], weights=source[place >= 0], minlength=int(free.sum()) + 1).astype(
        float
    )
    right[0] += (1.0 - arterial_share) * inflow
    unknown = _pressures(place[one], place[other], g, right)
    pressure = np.append(unknown, 0.0)[place]
    flow = g * (pressure[one] - pressure[other])
    leaves = np.bincount(one, weights=flow, minlength=n) - np.bincount(other, weights=flow, minlength=n)
    source[network.inlets] = leaves[network.inlets]
    source[network.outlets] = leaves[network.outlets]
    still = np.abs(flow) <= _STILL * inflow
    with np.errstate(divide="ignore"):
        transit = np.where(still, np.inf, np.pi * r**2 * network.length / np.where(still, 1.0, np.abs(flow)))
    shear = 4.0 * viscosity * np.abs(flow) / (np.pi * r**3)
    return Flow(pressure=pressure, flow=flow, shear=shear, source=source, transit=transit)


def _pressures(one: Ints, other: Ints, g: Floats, right: Floats) -> Floats:
    """Return the unknown pressures; place -1 is the outlet at 0, and segments within one place conduct nothing."""
    m = len(right)
    inner = (one >= 0) & (other >= 0) & (one != other)
    ends = np.concatenate([one[one >= 0], other[other >= 0]])
    apart = one != other
    weights = np.concatenate([(g * apart)[one >= 0], (g * apart)[other >= 0]])
    diagonal = np.bincount(ends, weights=weights, minlength=m)
    i, j, w = one[inner], other[inner], -g[inner]
    rows = np.concatenate([i, j, np.arange(m)])
    columns = np.concatenate([j, i, np.arange(m)])
    matrix = csc_array(coo_array((np.concatenate([w, w, diagonal]), (rows, columns)), shape=(m, m)))
    factor = splu(matrix, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})
    pressure = factor.solve(right)
    return np.asarray(pressure + factor.solve(right - matrix @ pressure))


def _check(network: Network, inflow: float, viscosity: float, arterial_share: float, r: Floats) -> None:
    if not (np.isfinite(inflow) and inflow > 0.0):
        raise GeometryError(f"lobule: inflow = {inflow:g} um^3/h; allowed: a finite number above 0")
    if not (np.isfinite(viscosity) and viscosity > 0.0):
        raise GeometryError(f"lobule: viscosity = {viscosity:g} Pa h; allowed: a finite number above 0")
    if not 0.0 <= arterial_share <= 1.0:
        raise GeometryError(f"lobule: arterial_share = {arterial_share:g}; allowed: 0 to 1")
    if r.shape != network.length.shape:
        raise GeometryError(f"lobule: {r.size} radii for {len(network.length)} segments; allowed: one each")
    bad = ~(np.isfinite(r) & (r > 0.0))
    if bad.any():
        k = int(np.flatnonzero(bad)[0])
        i, j = network.edges[k]
        raise GeometryError(
            f"lobule: segment {k} between nodes {i} and {j} has radius {r[k]:g} um; allowed: a finite number above 0"
        )
    n = len(network.nodes)
    graph = coo_array((np.ones(len(network.edges)), network.edges.T), shape=(n, n))
    label = connected_components(graph, directed=False)[1]
    for ends, what in ((network.outlets, "central vein"), (network.inlets, "portal vein")):
        cut = ~np.isin(label, np.unique(label[ends]))
        if cut.any():
            k = int(np.flatnonzero(cut)[0])
            x, y, z = network.nodes[k]
            raise GeometryError(
                f"lobule: no way from node {k} at ({x:.0f}, {y:.0f}, {z:.0f}) um to a {what}; "
                "allowed: a network in which every node has one"
            )


# ------------------------------------------------------------------------------------------------- what plasma carries


@dataclass(frozen=True)
class Exchange:
    """Which tissue the blood of each node meets.

    Attributes
    ----------
    start : (n + 1,) int array
        Entries of node i are ``start[i]:start[i+1]``.
    site : (k,) int array
    weight : (k,) float array
        Part of the site's exchange that happens there; the weights of a site add up to 1.
    """

    start: Ints
    site: Ints
    weight: Floats


@dataclass(frozen=True)
class Course:
    """The way of the blood, ready for `march`: nodes from high to low pressure, and what flows into each.

    Attributes
    ----------
    order : (n,) int array
        Nodes; each comes after all that flow into it.
    start : (n + 1,) int array
        Inflows of node i are ``start[i]:start[i+1]``.
    origin : (k,) int array
        The node each comes from.
    flow : (k,) float array
        um^3/h.
    time : (k,) float array
        For which blood is under way from there, h.
    source : (n,) float array
        What enters from outside, um^3/h.
    leaving : (n,) float array
        What leaves to the central vein, um^3/h.
    """

    order: Ints
    start: Ints
    origin: Ints
    flow: Floats
    time: Floats
    source: Floats
    leaving: Floats


def course(network: Network, flow: Flow) -> Course:
    """Return the way of the blood through a network.

    Parameters
    ----------
    network : Network
    flow : Flow
        Of the same network.

    Returns
    -------
    Course
    """
    n = len(network.nodes)
    total = float(np.maximum(flow.source, 0.0).sum())
    moving = np.abs(flow.flow) > _STILL * total
    ends = network.edges[moving]
    q = flow.flow[moving]
    origin = np.where(q > 0.0, ends[:, 0], ends[:, 1])
    target = np.where(q > 0.0, ends[:, 1], ends[:, 0])
    by_target = np.lexsort([origin, target])
    start = np.zeros(n + 1, dtype=np.int64)
    start[1:] = np.cumsum(np.bincount(target, minlength=n))
    return Course(
        # Blood runs down the pressure only, so that this order needs no search; ties hold no flow.
        order=np.argsort(-flow.pressure, kind="stable"),
        start=start,
        origin=origin[by_target],
        flow=np.abs(q)[by_target],
        time=flow.transit[moving][by_target],
        source=np.maximum(flow.source, 0.0),
        leaving=np.maximum(-flow.source, 0.0),
    )


def march(way: Course, exchange: Exchange, clearance: Floats, level: Floats, inlet: Floats) -> tuple[Floats, Floats]:
    """Return the steady concentrations of plasma along the sinusoids, and what tissue takes from it.

    Parameters
    ----------
    way : Course
    exchange : Exchange
    clearance : (F, M) float array
        Rate of exchange times volume of each site, um^3/h; not negative.
    level : (F, M) float array
        In the tissue of each site.
    inlet : (F,) float array
        Concentration in the blood that comes in.

    Returns
    -------
    plasma : (F, n) float array
        At the nodes.
    uptake : (F, M) float array
        Amount per h that passes from plasma to tissue; negative where tissue gives. For each field
        ``inlet * inflow = sum(leaving * plasma) + sum(uptake)``.
    """
    fields, sites = level.shape
    plasma = np.empty((fields, len(way.order)))
    uptake = np.zeros((fields, sites))
    graph_kernels.march(
        (way.order, way.start, way.origin, way.flow, way.source),
        (exchange.start, exchange.site, exchange.weight),
        np.ascontiguousarray(clearance, dtype=np.float64),
        np.ascontiguousarray(level, dtype=np.float64),
        np.ascontiguousarray(inlet, dtype=np.float64),
        plasma,
        uptake,
    )
    return plasma, uptake


def ages(way: Course) -> tuple[Floats, Floats]:
    """Return the mean time since blood came in, and the mean time until it leaves, at each node, h.

    Means are weighted by flow. Their sum, averaged over the inlets, is volume over flow.
    """
    tables = (way.order, way.start, way.origin, way.flow, way.time)
    return np.asarray(graph_kernels.ages(*tables, way.source)), np.asarray(
        graph_kernels.remaining(*tables, way.leaving)
    )
