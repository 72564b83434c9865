"""Oxygen and bile acids in the blood of a lobule: carried along the sinusoids and taken up on the way.

Blood passes in seconds and tissue changes in minutes to hours, so that blood is always at its steady state. Nodes are
taken from high to low pressure, and each mixes what flows in; along a segment of flow q hepatocytes take up

    q dc/dx = -u c / (K + c)     oxygen: Michaelis-Menten, K as measured,
    q dc/dx = -u c               bile acids: in proportion.

Both are solved exactly along every segment, so that no length of segment makes an error; what blood loses is what cells
take. u is that of the hepatocytes of the sites beside the segment, in proportion to their mass. Two numbers are fitted
to records when a lobule is built, and none after that: oxygen is used so fast that healthy blood leaves with the
pressure that the record gives, and bile acids are cleared so fast that a first passage takes the recorded share.

The body's law stays what it is. A site reads

    what the model says reaches the liver x r(site) / r(site, in health),

r being the content of the blood at the site over the mean content of the blood that enters: what a passage leaves of
it. In health that is 1 everywhere, so that a healthy lobule stands still, as with three well-mixed zones; the gradient
itself is `Uptake.absolute`. What reaches the liver (total supply of oxygen, level of bile acids in the body) already
holds how much blood comes and by which vessel; r adds where it gets to.

Content of oxygen is taken as proportional to its pressure: the curve of haemoglobin is a straight line here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.spatial import cKDTree

from hepatalk.engines.lobule.flow import Flow
from hepatalk.engines.lobule.network import Network
from hepatalk.engines.lobule.uptake_kernels import sweep
from hepatalk.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hepatalk.engines.lobule.tissue import Tissue

__all__ = ["Carried", "Passage", "Uptake", "along", "passage_of", "segments_beside"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

#: A segment whose flow is below this part of the whole carries nothing: below it lies rounding.
_STILL = 1e-13
#: Halvings by which the healthy rate of uptake is found: to the last digit.
_HALVINGS = 200
#: A level of the healthy inflow below which nothing is left to compare with.
_LEAST = 1e-9
_PASSAGE = "lobule_first_pass_"
_OXYGEN = ("lobule_oxygen_inflow", "lobule_oxygen_outflow", "lobule_oxygen_half", "arterial_oxygen_share")


@dataclass(frozen=True)
class Passage:
    """A network with its flow, ready to be swept: nodes from high to low pressure, and what flows into each.

    Attributes
    ----------
    order : (n,) int array
    start : (n + 1,) int array
    segment, origin : (k,) int array
    flow : (k,) float array
        um^3/h.
    source : (n,) float array
        What enters from outside, um^3/h.
    edges : (e, 2) int array
    still : (e,) bool array
        Segments without flow.
    """

    order: Ints
    start: Ints
    segment: Ints
    origin: Ints
    flow: Floats
    source: Floats
    edges: Ints
    still: npt.NDArray[np.bool_]

    @property
    def inflow(self) -> float:
        """All that enters, um^3/h."""
        return float(self.source.sum())


def passage_of(edges: Ints, flow: Flow) -> Passage:
    """Return the way of the blood through a network.

    Parameters
    ----------
    edges : (e, 2) int array
    flow : Flow
        Of the same network.
    """
    n = len(flow.pressure)
    entering = np.maximum(flow.source, 0.0)
    still = np.abs(flow.flow) <= _STILL * entering.sum()
    moving = np.flatnonzero(~still)
    q = flow.flow[moving]
    origin = np.where(q > 0.0, edges[moving, 0], edges[moving, 1])
    target = np.where(q > 0.0, edges[moving, 1], edges[moving, 0])
    by_target = np.lexsort([moving, target])
    start = np.zeros(n + 1, dtype=np.int64)
    start[1:] = np.cumsum(np.bincount(target, minlength=n))
    return Passage(
        # Blood runs down the pressure only, so that this order needs no search; ties hold no flow.
        order=np.argsort(-flow.pressure, kind="stable").astype(np.int64),
        start=start,
        segment=moving[by_target].astype(np.int64),
        origin=origin[by_target].astype(np.int64),
        flow=np.abs(q)[by_target],
        source=entering,
        edges=edges,
        still=still,
    )


@dataclass(frozen=True)
class Carried:
    """What blood carries through a network.

    Attributes
    ----------
    node : (n,) float array
        Content at the nodes.
    along : (e,) float array
        Mean content in each segment.
    uptake : (e,) float array
        Content x um^3/h.
    inflow, outflow : float
        Mean content of the blood that enters, and of that which leaves.
    """

    node: Floats
    along: Floats
    uptake: Floats
    inflow: float
    outflow: float


def along(way: Passage, inlet: Floats, wish: Floats, half: float, *, more: float = 1.0) -> Carried:
    """Return what blood carries, at its steady state.

    Parameters
    ----------
    way : Passage
    inlet : (n,) float array
        Content of what enters at each node.
    wish : (e,) float array
        Largest uptake of each segment (content x um^3/h), or its clearance (um^3/h) where ``half`` is infinite.
    half : float
        Content at which uptake is half of the largest; infinite for uptake in proportion.
    more : float
        Flow relative to that of the passage, everywhere alike.

    Raises
    ------
    EngineError
        If uptake is negative or not finite (names the segment), or no blood flows.
    """
    bad = np.flatnonzero(~(np.isfinite(wish) & (wish >= 0.0)))
    if bad.size:
        raise EngineError(f"blood: segment {bad[0]} takes up {wish[bad[0]]:g}; allowed: finite numbers from 0")
    if not (math.isfinite(more) and more > 0.0):
        raise EngineError(f"blood: a flow of {more:g} x healthy; allowed: a finite number above 0")
    node, mean, uptake = np.zeros(len(way.order)), np.zeros(len(wish)), np.zeros(len(wish))
    flow, source = way.flow * more, way.source * more
    sweep(
        node, mean, uptake, way.order, way.start, way.segment, way.origin, flow, source, inlet, wish, half
    )  # fmt: skip
    mean[way.still] = node[way.edges[way.still]].mean(axis=1)
    total = float(source.sum())
    brought = float(source @ inlet)
    return Carried(node, mean, uptake, brought / total, (brought - float(uptake.sum())) / total)


def segments_beside(network: Network, position: Floats) -> sparse.csr_array:
    """Return how the sites share the segments, (n_sites, n_segments); rows add up to 1.

    A segment belongs to the site whose middle is nearest to its own, with the weight of its length; a site without any
    takes the nearest segment.
    """
    middle = network.nodes[network.edges].mean(axis=1)
    owner = cKDTree(position).query(middle)[1]
    bare = np.setdiff1d(np.arange(len(position)), owner)
    nearest = cKDTree(middle).query(position[bare])[1] if len(bare) else np.zeros(0, dtype=np.int64)
    rows = np.concatenate([owner, bare])
    columns = np.concatenate([np.arange(len(middle)), nearest])
    shape = (len(position), len(middle))
    table = sparse.csr_array((network.length[columns], (rows, columns)), shape=shape)
    table.sort_indices()
    return sparse.csr_array(sparse.diags_array(1.0 / table.sum(axis=1)) @ table)


@dataclass(frozen=True)
class _Cargo:
    """Something that blood carries.

    Attributes
    ----------
    slot : str
        The quantity of the body in whose place sites read their part.
    signal : str
        State of the body whose own clearance says how fast cells take it up now; empty for oxygen.
    inlet : (n,) float array
    half : float
    outflow : float
        Healthy content of the blood that leaves.
    """

    slot: str
    signal: str
    inlet: Floats
    half: float
    outflow: float


class Uptake:
    """What sites see of oxygen and of the signals that a first passage takes out of the blood.

    Parameters
    ----------
    anatomy : mapping of str to float
        `CompiledModel.anatomy`.
    tissue : Tissue
        In space.
    hepatocytes : (n_sites,) float array
        Healthy hepatocytes at each site.

    Attributes
    ----------
    names, slots, signals : tuple of str
        What is carried (``oxygen``, ``BA``), and as in the records of the model.
    healthy : (n_cargo, n_sites) float array
        Healthy content at each site over that of the blood that enters.
    inflow : (n_cargo,) float array
        Healthy content of the blood that enters: mmHg for oxygen, 1 for signals.

    Raises
    ------
    EngineError
        If a number is missing, or no rate of uptake leaves what the records say.
    """

    def __init__(self, anatomy: Mapping[str, float], tissue: Tissue, hepatocytes: Floats) -> None:
        if tissue.space is None:
            raise EngineError("blood carries in space; allowed: a tissue made from a geometry")
        self.space = tissue.space
        g = self.space.geometry
        self._position = tissue.position
        self._now = (g.network, segments_beside(g.network, tissue.position))
        self._hepatocytes = hepatocytes / hepatocytes.sum()
        self._cargo = _cargo_of(anatomy, g.network, g.anatomy.arterial_share)
        self.slots = tuple(c.slot for c in self._cargo)
        self.signals = tuple(c.signal for c in self._cargo)
        self.names = tuple("oxygen" if not c.signal else c.signal.removeprefix("signal.") for c in self._cargo)
        way = passage_of(g.network.edges, g.flow)
        self._rate = np.array([self._fitted(way, c) for c in self._cargo])
        ones, same = np.ones(tissue.n_sites), np.ones(len(self._cargo))
        found = [self._carried(way, k, ones, same, 1.0) for k in range(len(self._cargo))]
        self.inflow = np.array([c.inflow for c in found])
        self.healthy = np.stack([(self._now[1] @ c.along) / c.inflow for c in found])
        if not (self.healthy > _LEAST).all():
            k, i = np.argwhere(~(self.healthy > _LEAST))[0]
            raise EngineError(f"no {self.names[k]} reaches site {i} in health; build smaller sites")

    def _wish(self, mass: Floats) -> Floats:
        """Return how uptake at sites of a relative mass is divided among the segments; 1 in all for health."""
        out: Floats = np.asarray(self._now[1].T @ (self._hepatocytes * mass))
        return out

    def _see(self, network: Network) -> sparse.csr_array:
        """Take the vessels of now, and return which of them lie beside each site."""
        if network is not self._now[0]:
            self._now = (network, segments_beside(network, self._position))
        return self._now[1]

    def _carried(self, way: Passage, k: int, mass: Floats, pace: Floats, more: float) -> Carried:
        c = self._cargo[k]
        # Branching points of sprouts come after those of health; nothing enters there from outside.
        inlet = np.zeros(len(way.order))
        inlet[: len(c.inlet)] = c.inlet
        return along(way, inlet, self._wish(mass) * self._rate[k] * pace[k], c.half, more=more)

    def _fitted(self, way: Passage, cargo: _Cargo) -> float:
        """Return the rate of uptake of all healthy hepatocytes at which healthy blood leaves with its content."""
        wish = self._wish(np.ones(len(self._hepatocytes)))

        def leaves(rate: float) -> float:
            return along(way, cargo.inlet, wish * rate, cargo.half).outflow

        low, high = 0.0, way.inflow
        while leaves(high) > cargo.outflow:
            low, high = high, 2.0 * high
            if not math.isfinite(high):
                raise EngineError(f"blood: no uptake leaves {cargo.outflow:g} of {cargo.slot}; correct its record")
        for _ in range(_HALVINGS):
            middle = 0.5 * (low + high)
            if middle in (low, high):
                break
            low, high = (middle, high) if leaves(middle) > cargo.outflow else (low, middle)
        return 0.5 * (low + high)

    def at_sites(self, network: Network, flow: Flow, mass: Floats, pace: Floats, more: float) -> Floats:
        """Return what a passage leaves at each site, relative to health, (n_cargo, n_sites).

        Parameters
        ----------
        network : Network
            The vessels of now, in the coordinates of health: those of health first, then what sprouted.
        flow : Flow
            Through it, its total being that of health.
        mass : (n_sites,) float array
            Mass of hepatocytes relative to health.
        pace : (n_cargo,) float array
            Uptake of each unit of mass relative to health.
        more : float
            All blood of a lobule relative to health.
        """
        beside = self._see(network)
        way = passage_of(network.edges, flow)
        out = np.empty(self.healthy.shape)
        for k in range(len(out)):
            found = self._carried(way, k, mass, pace, more)
            out[k] = (beside @ found.along) / found.inflow / self.healthy[k]
        return out

    def absolute(self, relative: Floats) -> Floats:
        """Return contents at the sites, (n_cargo, n_sites): mmHg for oxygen, part of the inflow's for signals.

        Parameters
        ----------
        relative : (n_cargo, n_sites) float array
            As from `at_sites`, for blood that enters with its healthy content.
        """
        out: Floats = relative * self.healthy * self.inflow[:, None]
        return out


def _cargo_of(anatomy: Mapping[str, float], network: Network, arterial_share: float) -> list[_Cargo]:
    """Return what the records say that blood carries."""
    missing = [name for name in _OXYGEN if name not in anatomy]
    if missing:
        raise EngineError(f"blood: the model's anatomy has no {missing[0]!r}; build from a compiled model")
    mean, leaves, half, share = (anatomy[name] for name in _OXYGEN)
    if not 0.0 < leaves < mean or not half > 0.0:
        raise EngineError(
            f"blood: oxygen of {mean:g} mmHg that leaves with {leaves:g}, half of the uptake at {half:g}; allowed: "
            "above 0, and less where it leaves; correct the records"
        )
    n = len(network.nodes)
    inlet = np.full(n, mean)
    if len(network.arterial) and 0.0 < arterial_share < 1.0:
        inlet[:] = mean * (1.0 - share) / (1.0 - arterial_share)
        inlet[network.arterial] = mean * share / arterial_share
    cargo = [_Cargo("oxygen_supply", "", inlet, half, leaves)]
    for name in sorted(n for n in anatomy if n.startswith(_PASSAGE)):
        signal = name.removeprefix(_PASSAGE).upper()
        taken = anatomy[name]
        if not 0.0 < taken < 1.0:
            raise EngineError(f"blood: {name} = {taken:g}; allowed: between 0 and 1; correct the record")
        cargo.append(_Cargo(f"free.{signal}", f"signal.{signal}", np.ones(n), math.inf, 1.0 - taken))
    return cargo
