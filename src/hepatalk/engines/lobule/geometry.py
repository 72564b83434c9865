"""Lobules in space: vessels, sinusoids, sites and cells in one piece; and two artificial ones for comparison.

`build` makes one lobule or several, side by side. `zones_only` and `mixed` make three sites, one for each zone, without
any exchange between them or with all of it: there the lobule engine has to agree with the population engine.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from hepatalk.engines.lobule.anatomy import TYPES, Anatomy
from hepatalk.engines.lobule.cells import Cells, Ducts, ducts, hepatocytes, place
from hepatalk.engines.lobule.flow import Exchange, Flow, solve
from hepatalk.engines.lobule.hexagons import Frame, frame
from hepatalk.engines.lobule.network import SINUSOID, Network, grow
from hepatalk.engines.lobule.points import draws, quotas
from hepatalk.engines.lobule.sites import Sites, divide, fill, zones
from hepatalk.engines.lobule.vessels import sinusoids
from hepatalk.rng import check_seed

__all__ = ["Boundary", "Geometry", "build", "mixed", "zones_only"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
_STAGE_BOX = 30


@dataclass(frozen=True)
class Boundary:
    """The hexagonal prisms that hold the cells.

    A point x lies in lobule k if ``normal @ x >= offset[k]`` for all eight planes. Top and bottom are mirrors.

    Attributes
    ----------
    centre : (L, 3) float array
        Middle of the axis of each lobule, um.
    axis : (3,) float array
        Direction of the central veins.
    normal : (8, 3) float array
        Inward unit normals: six faces, bottom, top.
    offset : (L, 8) float array
        um.
    """

    centre: Floats
    axis: Floats
    normal: Floats
    offset: Floats


@dataclass(frozen=True)
class Geometry:
    """Lobules in health.

    Attributes
    ----------
    anatomy : Anatomy
    seed : int
    types : tuple of str
        Names of the numbers in ``cells.type``.
    frame : Frame
        Centres and corners of the hexagons.
    network : Network
    flow : Flow
        In health.
    sites : Sites
    cells : Cells
    boundary : Boundary
    ducts : Ducts
    """

    anatomy: Anatomy
    seed: int
    types: tuple[str, ...]
    frame: Frame
    network: Network
    flow: Flow
    sites: Sites
    cells: Cells
    boundary: Boundary
    ducts: Ducts


def build(anatomy: Anatomy, *, seed: int) -> Geometry:
    """Build healthy lobules.

    Parameters
    ----------
    anatomy : Anatomy
    seed : int
        The same seed makes the same lobules to the last bit.

    Returns
    -------
    Geometry

    Raises
    ------
    GeometryError
        If the parts do not fit into each other.
    HepatalkError
        For a seed that is no whole number from 0 to 2**63 - 1.
    """
    check_seed(seed)
    f = frame(anatomy.lobule_radius, anatomy.height, anatomy.lobules)
    network = grow(anatomy, f, seed)
    flow = _flow(anatomy, network)
    lining = sinusoids(network.nodes, network.edges, network.kind)
    cloud = fill(anatomy, f, lining)
    sites = divide(anatomy, f, network, flow, cloud, lining, seed)
    position, edge = hepatocytes(anatomy, f, network, cloud, lining, seed)
    own = f.lobule_of(position)
    at = np.empty(len(position), dtype=np.int64)
    for k in range(anatomy.lobules):
        here = np.flatnonzero(sites.lobule == k)
        at[own == k] = here[cKDTree(sites.position[here]).query(position[own == k])[1]]
    sites = replace(sites, zone=zones(sites.depth, np.bincount(at, minlength=len(sites.depth))))
    return Geometry(
        anatomy=anatomy,
        seed=seed,
        types=TYPES,
        frame=f,
        network=network,
        flow=flow,
        sites=sites,
        cells=place(anatomy, f, network, lining, sites, (position, edge, at), seed),
        boundary=_boundary(f),
        ducts=ducts(anatomy, f),
    )


def _flow(a: Anatomy, network: Network) -> Flow:
    return solve(network, a.inflow, viscosity=a.viscosity, arterial_share=a.arterial_share)


def _boundary(f: Frame) -> Boundary:
    lobules = len(f.centre)
    normal = np.zeros((8, 3))
    normal[:6, :2] = f.inward
    normal[6, 2], normal[7, 2] = 1.0, -1.0
    centre = np.column_stack([f.centre, np.full(lobules, 0.5 * f.height)])
    half = np.append(np.full(6, f.radius * np.sqrt(0.75)), [0.5 * f.height, 0.5 * f.height])
    return Boundary(centre=centre, axis=np.array([0.0, 0.0, 1.0]), normal=normal, offset=centre @ normal.T - half)


# ------------------------------------------------------------------------------------------------ artificial ones


def zones_only(anatomy: Anatomy, *, seed: int) -> Geometry:
    """Return three sites, one for each zone, that nothing passes between.

    Each has its own sinusoid with a third of the blood, and a third of the hepatocytes; other cells as the model's
    zone shares say. The three stand side by side as boxes, without contact.

    Parameters
    ----------
    anatomy : Anatomy
        Of one lobule; gives numbers and sizes of cells and the blood.
    seed : int
        Of the positions in the boxes.
    """
    return _three(anatomy, seed, together=False)


def mixed(anatomy: Anatomy, *, seed: int) -> Geometry:
    """Return three sites, one for each zone, in such close contact that they share everything that can move.

    As `zones_only`, but all three lie at one sinusoid and touch each other over an area and a distance at which
    diffusion evens out any difference in less than a second.
    """
    return _three(anatomy, seed, together=True)


def _three(a: Anatomy, seed: int, *, together: bool) -> Geometry:
    check_seed(seed)
    volume = a.tissue_volume * a.lobules / 3.0
    edge = volume ** (1.0 / 3.0)
    middle = np.array([[0.5 * edge, (k + 0.5) * edge, 0.5 * edge] for k in range(3)])
    network, exchange, node = _tubes(a, middle, edge, together=together)
    pairs = 2 * 3 if together else 0
    others = np.array([[j for j in range(3) if j != k] for k in range(3)]).ravel()[:pairs]
    sites = Sites(
        position=middle,
        volume=np.full(3, volume),
        node=node,
        start=np.array([0, 2, 4, 6]) if together else np.zeros(4, dtype=np.int64),
        other=others.astype(np.int64),
        area=np.full(pairs, 100.0 * edge**2),
        distance=np.ones(pairs),
        depth=np.array([1.0, 3.0, 5.0]) / 6.0,
        zone=np.array([1, 2, 3]),
        lobule=np.zeros(3, dtype=np.int64),
        exchange=exchange,
    )
    f = frame(a.lobule_radius, a.height, 1)
    boundary = Boundary(
        centre=np.array([[0.5 * edge, 1.5 * edge, 0.5 * edge]]),
        axis=np.array([0.0, 0.0, 1.0]),
        normal=np.array([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]], dtype=float),
        offset=np.array([[0.0, -edge, 0.0, -3.0 * edge, 0.0, -edge]]),
    )
    return Geometry(
        anatomy=a,
        seed=seed,
        types=TYPES,
        frame=f,
        network=network,
        flow=_flow(a, network),
        sites=sites,
        cells=_boxed(a, sites, edge, seed),
        boundary=boundary,
        ducts=ducts(a, f),
    )


def _tubes(a: Anatomy, middle: Floats, edge: float, *, together: bool) -> tuple[Network, Exchange, Ints]:
    """Return one sinusoid through all sites, or one through each."""
    rows = middle[1:2] if together else middle
    n = len(rows)
    half = np.array([0.5 * edge, 0.0, 0.0])
    nodes = np.concatenate([rows - half, rows, rows + half])
    first = np.arange(n)
    edges = np.concatenate([np.column_stack([first, first + n]), np.column_stack([first + n, first + 2 * n])])
    network = Network(
        nodes=nodes,
        edges=edges,
        length=np.full(2 * n, 0.5 * edge),
        radius=np.full(2 * n, a.sinusoid_radius),
        kind=np.full(2 * n, SINUSOID),
        inlets=first,
        outlets=first + 2 * n,
        arterial=first + n,
    )
    # Nodes n..2n-1 lie in the sites; one node serves all three where they are together.
    start = np.zeros(3 * n + 1, dtype=np.int64)
    start[n + 1 :] = 3
    if not together:
        start[n + 1 : 2 * n + 1] = np.arange(1, n + 1)
    exchange = Exchange(start=start, site=np.arange(3), weight=np.ones(3))
    return network, exchange, np.full(3, n) if together else first + n


def _boxed(a: Anatomy, sites: Sites, edge: float, seed: int) -> Cells:
    """Place the cells of each type in the boxes of their zones."""
    site = []
    for cell in TYPES:
        site.append(np.repeat(np.arange(3), quotas(a.count(cell) * a.lobules, np.array(a.zone_share[cell]))))
    sizes = [len(s) for s in site]
    at = np.concatenate(site)
    u = np.hstack([draws(seed, _STAGE_BOX, len(at)), draws(seed, _STAGE_BOX + 1, len(at))[:, :1]])
    return Cells(
        type=np.repeat(np.arange(len(TYPES)), sizes),
        position=sites.position[at] + (u - 0.5) * edge,
        diameter=np.repeat([a.cell_diameter[cell] for cell in TYPES], sizes),
        site=at,
        edge=np.zeros(len(at), dtype=np.int64),
        lobule=np.zeros(len(at), dtype=np.int64),
    )
