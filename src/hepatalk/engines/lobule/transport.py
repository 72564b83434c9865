"""How signals get from site to site: contacts of sites, walls, and plasma along the sinusoids.

`Transport` is the graph as arrays; `plasma_order` brings a network with its flow into the order in which plasma meets
its nodes. Lengths in um, times in h, flows in um^3/h.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from hepatalk.engines.lobule.linear_kernels import Tables
from hepatalk.errors import EngineError

__all__ = ["Plasma", "Transport", "plasma_order"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

#: Share of a node's flow by which inflow and outflow may differ; flow solvers conserve to far less.
_LEAK = 1e-9


def _no_floats() -> Floats:
    return np.zeros(0)


def _no_ints() -> Ints:
    return np.zeros(0, np.int64)


@dataclass(frozen=True, eq=False)
class Plasma:
    """Nodes of the sinusoids in the order in which plasma meets them.

    Attributes
    ----------
    node : (M,) int array
        Place in the order of the node with which a site exchanges; -1 for none.
    order : (N,) int array
        The caller's number of each node.
    inflow, through, outflow : (N,) float array
        What enters a node from outside the network, passes it, and leaves the network there, um^3/h.
    in_start : (N + 1,) int array
    in_from : (k,) int array
    in_flow : (k,) float array
        Node n is fed by ``in_from[in_start[n]:in_start[n+1]]``, all of them earlier in the order, with flows in um^3/h.
    """

    node: Ints
    order: Ints = field(default_factory=_no_ints)
    inflow: Floats = field(default_factory=_no_floats)
    through: Floats = field(default_factory=_no_floats)
    outflow: Floats = field(default_factory=_no_floats)
    in_start: Ints = field(default_factory=lambda: np.zeros(1, np.int64))
    in_from: Ints = field(default_factory=_no_ints)
    in_flow: Floats = field(default_factory=_no_floats)


@dataclass(frozen=True, eq=False)
class Transport:
    """Sites, their contacts, their walls and their plasma.

    Attributes
    ----------
    start : (M + 1,) int array
    other : (n,) int array
        Neighbours of site i are ``other[start[i]:start[i+1]]``; each contact stands at both sites.
    area : (n,) float array
        Contact area, um^2.
    distance : (n,) float array
        Between the centres, um.
    volume : (M,) float array
        um^3.
    wall : (M,) float array
        Sum of area over distance to walls that hold the healthy level, um; 0 where walls let nothing pass.
    plasma : Plasma or None
        None where no signal exchanges with plasma.

    Raises
    ------
    EngineError
        If arrays do not fit each other, a volume, area or distance is not positive and finite, or the contacts are
        not the same seen from both sites.
    """

    start: Ints
    other: Ints
    area: Floats
    distance: Floats
    volume: Floats
    wall: Floats
    plasma: Plasma | None = None

    def __post_init__(self) -> None:
        sites = self.volume.size
        shapes = (self.start.size == sites + 1, self.other.size == self.area.size == self.distance.size)
        if not all(shapes) or self.start[0] != 0 or self.start[-1] != self.other.size or self.wall.size != sites:
            raise EngineError("transport: start, other, area, distance, volume and wall do not fit each other")
        for name, values in (("volume", self.volume), ("area", self.area), ("distance", self.distance)):
            bad = np.flatnonzero(~((values > 0.0) & np.isfinite(values)))
            if bad.size:
                raise EngineError(f"transport: {name} {bad[0]} is {values[bad[0]]}; it must be positive and finite")
        if (~((self.wall >= 0.0) & np.isfinite(self.wall))).any():
            raise EngineError("transport: the conductance of a wall is negative or not finite")
        if self.plasma is not None and self.plasma.node.size != sites:
            raise EngineError(f"transport: plasma knows {self.plasma.node.size} sites, not {sites}")
        self._check_contacts()

    def _check_contacts(self) -> None:
        """Raise unless each contact stands at both sites with one conductance: else diffusion would make mass."""
        here = np.repeat(np.arange(self.volume.size), np.diff(self.start))
        if self.other.size and (self.other.min() < 0 or self.other.max() >= self.volume.size):
            raise EngineError("transport: a neighbour is not among the sites")
        there, back = np.lexsort((self.other, here)), np.lexsort((here, self.other))
        a, b = here[there], here[back]
        same = np.array_equal(a, self.other[back]) and np.array_equal(self.other[there], b)
        g = self.area / self.distance
        if not same or not np.allclose(g[there], g[back], rtol=1e-12, atol=0.0):
            raise EngineError("transport: a contact between two sites is not the same seen from both")

    @property
    def sites(self) -> int:
        """Return the number of sites."""
        return int(self.volume.size)

    @cached_property
    def tables(self) -> Tables:
        """Return the graph as the kernels read it."""
        here = np.repeat(np.arange(self.sites), np.diff(self.start))
        coupling = self.area / self.distance / self.volume[here]
        total = np.bincount(here, coupling, self.sites) + self.wall / self.volume
        p = Plasma(np.full(self.sites, -1, np.int64)) if self.plasma is None else self.plasma
        held = np.flatnonzero(p.node >= 0)
        held = held[np.argsort(p.node[held], kind="stable")]
        site_start = np.searchsorted(p.node[held], np.arange(p.through.size + 1)).astype(np.int64)
        arrays = (self.volume, p.node, p.inflow, p.through, p.outflow, p.in_start, p.in_from, p.in_flow)
        return Tables(self.start, self.other, coupling, total, *arrays, site_start, held.astype(np.int64))


def plasma_order(edges: Ints, flow: Floats, inflow: Floats, node: Ints) -> Plasma:
    """Bring a network with its flow into the order in which plasma meets its nodes.

    Parameters
    ----------
    edges : (e, 2) int array
        Nodes of each vessel.
    flow : (e,) float array
        From the first node to the second, um^3/h; negative for the other way.
    inflow : (n,) float array
        What enters each node from outside; negative for what leaves there, um^3/h.
    node : (M,) int array
        Node with which each site exchanges; -1 for none.

    Returns
    -------
    Plasma

    Raises
    ------
    EngineError
        If flow is not finite, runs in a circle, or is not conserved at a node; the message names the node.
    """
    count = inflow.size
    if not (np.isfinite(flow).all() and np.isfinite(inflow).all()):
        raise EngineError("plasma: a flow is not finite")
    source = np.where(flow >= 0.0, edges[:, 0], edges[:, 1])
    target = np.where(flow >= 0.0, edges[:, 1], edges[:, 0])
    running = flow != 0.0
    source, target, amount = source[running], target[running], np.abs(flow[running])
    order = _upstream_first(source, target, count)
    place = np.empty(count, np.int64)
    place[order] = np.arange(count)
    by_target = np.lexsort((place[source], place[target]))
    in_from, in_flow = place[source[by_target]], amount[by_target]
    in_start = np.searchsorted(place[target[by_target]], np.arange(count + 1)).astype(np.int64)
    entering = np.maximum(inflow, 0.0)[order]
    through = (entering + np.bincount(place[target], amount, count)).astype(np.float64)
    # What leaves is what is left over, so that no plasma is lost by rounding.
    outflow = (through - np.bincount(place[source], amount, count)).astype(np.float64)
    wrong = np.flatnonzero(np.abs(outflow - np.maximum(-inflow, 0.0)[order]) > _LEAK * np.max(through, initial=0.0))
    if wrong.size:
        raise EngineError(f"plasma: flow is not conserved at node {order[wrong[0]]}")
    outflow[inflow[order] >= 0.0] = 0.0
    held = np.where(node >= 0, place[np.maximum(node, 0)], -1) if count else np.full(node.size, -1)
    return Plasma(held.astype(np.int64), order, entering, through, outflow, in_start, in_from, in_flow)


def _upstream_first(source: Ints, target: Ints, count: int) -> Ints:
    """Return the nodes so that each comes after all that feed it (Kahn 1962, doi:10.1145/368996.369025)."""
    by_source = np.argsort(source, kind="stable")
    leaving = target[by_source]
    start = np.searchsorted(source[by_source], np.arange(count + 1))
    missing = np.bincount(target, minlength=count)
    order = list(np.flatnonzero(missing == 0))
    for n in order:  # grows while it is read
        for m in leaving[start[n] : start[n + 1]]:
            missing[m] -= 1
            if missing[m] == 0:
                order.append(m)
    if len(order) < count:
        raise EngineError(f"plasma: flow runs in a circle through node {np.flatnonzero(missing > 0)[0]}")
    return np.array(order, np.int64)
