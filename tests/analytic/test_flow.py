"""Poiseuille flow and plasma in networks whose solution can be written down."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import time

import numpy as np
import pytest

from hepatalk.engines.lobule.anatomy import Anatomy
from hepatalk.engines.lobule.flow import Course, Exchange, ages, course, march, solve
from hepatalk.engines.lobule.geometry import Geometry, build, mixed, zones_only
from hepatalk.engines.lobule.network import Network
from hepatalk.errors import GeometryError
from hepatalk.knowledge.load import load
from hepatalk.model.compiler import compile_model

VISCOSITY = 1e-6  # Pa h


@pytest.fixture(scope="module")
def anatomy() -> Anatomy:
    return Anatomy.of(compile_model(load(), "rat").anatomy, hepatocytes=1500)


@pytest.fixture(scope="module")
def lobule(anatomy: Anatomy) -> Geometry:
    return build(anatomy, seed=4)


def network(edges: list[tuple[int, int]], length: list[float], radius: list[float], **ends: list[int]) -> Network:
    n = max(max(e) for e in edges) + 1
    return Network(
        nodes=np.column_stack([np.arange(n, dtype=float), np.zeros(n), np.zeros(n)]),
        edges=np.array(edges),
        length=np.array(length),
        radius=np.array(radius),
        kind=np.zeros(len(edges), dtype=np.int64),
        inlets=np.array(ends["inlets"]),
        outlets=np.array(ends["outlets"]),
        arterial=np.array(ends.get("arterial", []), dtype=np.int64),
    )


def conductance(radius: float, length: float) -> float:
    return math.pi * radius**4 / (8.0 * VISCOSITY * length)


def chain(n: int, length: float = 10.0, radius: float = 4.0) -> Network:
    return network([(i, i + 1) for i in range(n)], [length] * n, [radius] * n, inlets=[0], outlets=[n])


# --- Pressure and flow ------------------------------------------------------------------------------------------------


def test_one_tube_is_poiseuilles() -> None:
    flow = solve(network([(0, 1)], [250.0], [4.0], inlets=[0], outlets=[1]), 5e6, viscosity=VISCOSITY)
    assert flow.pressure[0] == pytest.approx(5e6 / conductance(4.0, 250.0), rel=1e-13)
    assert flow.flow[0] == pytest.approx(5e6, rel=1e-13)
    assert flow.shear[0] == pytest.approx(4.0 * VISCOSITY * 5e6 / (math.pi * 4.0**3), rel=1e-13)
    assert flow.transit[0] == pytest.approx(math.pi * 16.0 * 250.0 / 5e6, rel=1e-13)
    # Shear times wall is pressure times lumen.
    assert flow.shear[0] * 2.0 * math.pi * 4.0 * 250.0 == pytest.approx(flow.pressure[0] * math.pi * 16.0, rel=1e-12)


def test_a_branching_network_divides_by_conductance() -> None:
    #      /- 2 -\
    # 0 - 1       4 - 5
    #      \- 3 -/
    radii, lengths = [5.0, 4.0, 3.0, 3.5, 4.5, 5.5], [100.0, 80.0, 120.0, 60.0, 70.0, 90.0]
    edges = [(0, 1), (1, 2), (1, 3), (4, 2), (3, 4), (4, 5)]
    flow = solve(network(edges, lengths, radii, inlets=[0], outlets=[5]), 3e6, viscosity=VISCOSITY)
    g = [conductance(r, x) for r, x in zip(radii, lengths, strict=True)]
    upper, lower = 1.0 / (1.0 / g[1] + 1.0 / g[3]), 1.0 / (1.0 / g[2] + 1.0 / g[4])
    share = upper / (upper + lower)
    expected = 3e6 * np.array([1.0, share, 1.0 - share, -share, 1.0 - share, 1.0])
    np.testing.assert_allclose(flow.flow, expected, rtol=1e-12)
    assert flow.pressure[0] == pytest.approx(3e6 * (1.0 / g[0] + 1.0 / (upper + lower) + 1.0 / g[5]), rel=1e-12)


def test_a_balanced_bridge_carries_nothing() -> None:
    edges = [(0, 1), (0, 2), (1, 3), (2, 3), (1, 2)]
    net = network(edges, [50.0] * 5, [4.0] * 5, inlets=[0], outlets=[3])
    flow = solve(net, 1e6, viscosity=VISCOSITY)
    assert abs(flow.flow[4]) < 1e-9
    assert math.isinf(flow.transit[4])
    np.testing.assert_allclose(flow.flow[:4], 5e5, rtol=1e-12)


def test_narrowing_a_segment_is_the_fourth_power_of_its_radius() -> None:
    net = network([(0, 1), (0, 1)], [50.0, 50.0], [4.0, 4.0], inlets=[0], outlets=[1])
    flow = solve(net, 1e6, viscosity=VISCOSITY, radius=np.array([4.0, 2.0]))
    assert flow.flow[0] / flow.flow[1] == pytest.approx(16.0, rel=1e-12)


def test_the_artery_enters_where_it_opens() -> None:
    edges = [(0, 1), (1, 2)]
    net = network(edges, [50.0] * 2, [4.0] * 2, inlets=[0], outlets=[2], arterial=[1])
    flow = solve(net, 1e6, viscosity=VISCOSITY, arterial_share=0.25)
    np.testing.assert_allclose(flow.flow, [7.5e5, 1e6], rtol=1e-12)
    np.testing.assert_allclose(flow.source, [7.5e5, 2.5e5, -1e6], rtol=1e-12)


def test_flow_is_conserved_at_every_node(lobule: Geometry) -> None:
    net, flow, total = lobule.network, lobule.flow, lobule.anatomy.inflow
    n = len(net.nodes)
    net_out = np.bincount(net.edges[:, 0], weights=flow.flow, minlength=n)
    net_out -= np.bincount(net.edges[:, 1], weights=flow.flow, minlength=n)
    assert np.abs(net_out - flow.source).max() <= 1e-12 * total
    assert flow.source[net.inlets].sum() + flow.source[net.arterial].sum() == pytest.approx(total, rel=1e-12)
    assert -flow.source[net.outlets].sum() == pytest.approx(total, rel=1e-12)
    assert np.ptp(flow.pressure[net.inlets]) == 0.0
    assert (flow.pressure >= 0.0).all()
    inner = np.setdiff1d(np.arange(n), net.outlets)
    assert flow.pressure[inner].min() > 0.0


def test_dissipation_is_the_work_of_the_heart(lobule: Geometry) -> None:
    net, flow = lobule.network, lobule.flow
    drop = flow.pressure[net.edges[:, 0]] - flow.pressure[net.edges[:, 1]]
    assert (drop * flow.flow).sum() == pytest.approx((flow.pressure * flow.source).sum(), rel=1e-12)


def test_flow_is_linear_and_viscosity_only_raises_pressure(lobule: Geometry) -> None:
    a = lobule.anatomy
    twice = solve(lobule.network, 2.0 * a.inflow, viscosity=3.0 * a.viscosity, arterial_share=a.arterial_share)
    np.testing.assert_allclose(twice.flow, 2.0 * lobule.flow.flow, rtol=1e-9, atol=1e-12 * a.inflow)
    np.testing.assert_allclose(twice.pressure, 6.0 * lobule.flow.pressure, rtol=1e-9)


def test_wider_sinusoids_lower_the_pressure(lobule: Geometry) -> None:
    a = lobule.anatomy
    wide = solve(lobule.network, a.inflow, viscosity=a.viscosity, radius=1.1 * lobule.network.radius)
    plain = solve(lobule.network, a.inflow, viscosity=a.viscosity)
    assert wide.pressure.max() == pytest.approx(plain.pressure.max() / 1.1**4, rel=1e-9)


def test_three_thousand_segments_are_solved_at_once() -> None:
    g = build(Anatomy.of(compile_model(load(), "rat").anatomy, hepatocytes=6000), seed=1)
    assert len(g.network.length) > 3000
    taken = []
    for _ in range(5):
        start = time.perf_counter()
        solve(g.network, g.anatomy.inflow, viscosity=g.anatomy.viscosity, arterial_share=0.25)
        taken.append(time.perf_counter() - start)
    assert min(taken) < 0.1  # 0.02 s on a machine of one's own


# --- What is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("radius", [0.0, -1.0, math.nan, math.inf])
def test_a_radius_that_is_none_is_refused(radius: float) -> None:
    with pytest.raises(GeometryError, match=r"segment 1 between nodes 1 and 2 has radius"):
        solve(chain(3), 1.0, viscosity=VISCOSITY, radius=np.array([4.0, radius, 4.0]))


def test_a_part_without_way_is_refused() -> None:
    parts = network([(0, 1), (2, 3)], [10.0] * 2, [4.0] * 2, inlets=[0], outlets=[1])
    with pytest.raises(GeometryError, match=r"no way from node 2 at .* to a central vein"):
        solve(parts, 1.0, viscosity=VISCOSITY)
    parts = network([(0, 1), (2, 3)], [10.0] * 2, [4.0] * 2, inlets=[0], outlets=[1, 3])
    with pytest.raises(GeometryError, match=r"no way from node 2 at .* to a portal vein"):
        solve(parts, 1.0, viscosity=VISCOSITY)


@pytest.mark.parametrize(
    ("inflow", "settings", "text"),
    [
        (0.0, {}, "inflow = 0"),
        (math.nan, {}, "inflow = nan"),
        (1.0, {"viscosity": 0.0}, "viscosity = 0"),
        (1.0, {"arterial_share": -0.1}, "arterial_share = -0.1"),
        (1.0, {"radius": np.ones(2)}, "2 radii for 3 segments"),
    ],
)
def test_settings_that_no_blood_has_are_refused(inflow: float, settings: dict[str, float], text: str) -> None:
    with pytest.raises(GeometryError, match=text):
        solve(chain(3), inflow, **({"viscosity": VISCOSITY} | settings))  # type: ignore[arg-type]


# --- Plasma -----------------------------------------------------------------------------------------------------------


def tube(n: int) -> tuple[Course, Exchange]:
    """A tube of so many segments of which each ends in its own site."""
    net = chain(n)
    start = np.concatenate([[0], np.arange(n + 1)])
    return course(net, solve(net, 2.0, viscosity=VISCOSITY)), Exchange(start, np.arange(n), np.ones(n))


def test_plasma_of_a_tube_approaches_tissue_exponentially() -> None:
    # dp/dx = -(c/Q)(p - s): p = s + (p_in - s) exp(-c x / Q); one step in each node is first order in its length.
    errors = []
    for n in (50, 100, 200):
        way, exchange = tube(n)
        plasma, uptake = march(way, exchange, np.full((1, n), 3.0 / n), np.full((1, n), 0.5), np.array([1.0]))
        exact = 0.5 + 0.5 * np.exp(-1.5 * np.arange(n + 1) / n)
        errors.append(float(np.abs(plasma[0] - exact).max()))
        assert uptake.sum() == pytest.approx(2.0 * (1.0 - plasma[0, -1]), rel=1e-12)
    assert errors[0] < 0.005
    assert 1.9 < errors[0] / errors[1] < 2.1
    assert 1.9 < errors[1] / errors[2] < 2.1


def test_plasma_of_a_few_nodes_is_the_formula() -> None:
    way, exchange = tube(2)
    plasma, uptake = march(way, exchange, np.array([[3.0, 5.0]]), np.array([[0.2, 0.7]]), np.array([1.0]))
    first = (2.0 * 1.0 + 3.0 * 0.2) / 5.0
    second = (2.0 * first + 5.0 * 0.7) / 7.0
    np.testing.assert_allclose(plasma[0], [1.0, first, second], rtol=1e-14)
    np.testing.assert_allclose(uptake[0], [3.0 * (first - 0.2), 5.0 * (second - 0.7)], rtol=1e-14)


def test_streams_mix_by_their_flow() -> None:
    net = network(
        [(0, 1), (0, 2), (1, 3), (2, 3), (3, 4)], [10.0] * 5, [4.0, 3.0, 4.0, 3.0, 5.0], inlets=[0], outlets=[4]
    )
    flow = solve(net, 1e6, viscosity=VISCOSITY)
    exchange = Exchange(np.array([0, 0, 1, 1, 1, 1]), np.array([0]), np.ones(1))
    plasma, _ = march(course(net, flow), exchange, np.array([[1e12]]), np.array([[0.0]]), np.array([1.0]))
    assert plasma[0, 1] == pytest.approx(0.0, abs=1e-5)
    assert plasma[0, 3] == pytest.approx(flow.flow[1] / 1e6, rel=1e-4)


def test_mass_is_conserved_whatever_tissue_does(lobule: Geometry) -> None:
    rng = np.random.default_rng(1)
    sites = len(lobule.sites.depth)
    way = course(lobule.network, lobule.flow)
    clearance = rng.lognormal(0.0, 2.0, (6, sites)) * lobule.anatomy.inflow / sites
    level, inlet = rng.lognormal(0.0, 1.0, (6, sites)), rng.lognormal(0.0, 1.0, 6)
    plasma, uptake = march(way, lobule.sites.exchange, clearance, level, inlet)
    brought = inlet * way.source.sum()
    np.testing.assert_allclose(brought, (way.leaving * plasma).sum(axis=1) + uptake.sum(axis=1), rtol=1e-11)
    # No plasma is richer or poorer than all that it comes from.
    assert (plasma <= np.maximum(level.max(axis=1), inlet)[:, None] * (1 + 1e-12)).all()
    assert (plasma >= np.minimum(level.min(axis=1), inlet)[:, None] * (1 - 1e-12)).all()


def test_plasma_is_linear_in_what_it_meets(lobule: Geometry) -> None:
    rng = np.random.default_rng(2)
    sites = len(lobule.sites.depth)
    way, exchange = course(lobule.network, lobule.flow), lobule.sites.exchange
    clearance = np.full((1, sites), lobule.anatomy.inflow / sites)
    one, two = rng.random((1, sites)), rng.random((1, sites))
    a, _ = march(way, exchange, clearance, one, np.array([1.0]))
    b, _ = march(way, exchange, clearance, two, np.array([0.5]))
    both, _ = march(way, exchange, clearance, 2.0 * one + two, np.array([2.5]))
    np.testing.assert_allclose(both, 2.0 * a + b, rtol=1e-12)


def test_tissue_in_balance_with_blood_changes_nothing(lobule: Geometry) -> None:
    sites = len(lobule.sites.depth)
    way = course(lobule.network, lobule.flow)
    clearance = np.full((1, sites), lobule.anatomy.inflow)
    plasma, uptake = march(way, lobule.sites.exchange, clearance, np.ones((1, sites)), np.ones(1))
    np.testing.assert_allclose(plasma, 1.0, rtol=1e-12)
    np.testing.assert_allclose(uptake, 0.0, atol=1e-9 * lobule.anatomy.inflow)


def test_what_all_sites_take_up_falls_along_the_way(lobule: Geometry) -> None:
    sites = lobule.sites
    way = course(lobule.network, lobule.flow)
    clearance = sites.volume[None] / sites.volume.sum() * lobule.anatomy.inflow
    plasma, _ = march(way, sites.exchange, clearance, np.zeros((1, len(sites.depth))), np.ones(1))
    at = plasma[0, sites.node]
    means = [float(at[sites.zone == zone].mean()) for zone in (1, 2, 3)]
    assert means[0] > means[1] > means[2]
    assert np.corrcoef(at, sites.depth)[0, 1] < -0.7
    # With even flow what leaves would be exp(-1); streams of unequal speed let more pass.
    left = float((way.leaving * plasma[0]).sum() / way.leaving.sum())
    assert math.exp(-1.0) < left < 0.55


def test_each_node_comes_after_all_that_flow_into_it(lobule: Geometry) -> None:
    way = course(lobule.network, lobule.flow)
    place = np.empty(len(way.order), dtype=np.int64)
    place[way.order] = np.arange(len(way.order))
    target = np.repeat(np.arange(len(way.order)), np.diff(way.start))
    assert (place[way.origin] < place[target]).all()
    assert (way.flow > 0.0).all()


def test_the_time_in_the_lobule_is_volume_over_flow(lobule: Geometry) -> None:
    net, flow = lobule.network, lobule.flow
    way = course(net, flow)
    age, rest = ages(way)
    moving = np.isfinite(flow.transit)
    volume = float((math.pi * net.radius**2 * net.length)[moving].sum())
    total = float(way.source.sum())
    assert float((way.leaving * age).sum()) == pytest.approx(volume, rel=1e-9)
    assert float((way.source * rest).sum()) == pytest.approx(volume, rel=1e-9)
    assert volume / total > 0.0


def test_artificial_lobules_carry_what_they_should(anatomy: Anatomy) -> None:
    for make in (zones_only, mixed):
        g = make(anatomy, seed=1)
        way = course(g.network, g.flow)
        level, clearance = np.zeros((1, 3)), np.full((1, 3), anatomy.inflow / 3.0)
        plasma, uptake = march(way, g.sites.exchange, clearance, level, np.ones(1))
        assert uptake.sum() == pytest.approx(0.5 * anatomy.inflow, rel=1e-12)
        np.testing.assert_allclose(plasma[0, g.sites.node], 0.5, rtol=1e-12)


def test_the_number_of_threads_changes_no_bit() -> None:
    program = (
        "import hashlib, numpy as np, numba\n"
        "from hepatalk.engines.lobule.anatomy import Anatomy\n"
        "from hepatalk.engines.lobule.geometry import build\n"
        "from hepatalk.engines.lobule.flow import course, march\n"
        "from hepatalk.knowledge.load import load\n"
        "from hepatalk.model.compiler import compile_model\n"
        "g = build(Anatomy.of(compile_model(load(), 'rat').anatomy, hepatocytes=300), seed=1)\n"
        "m = len(g.sites.depth)\n"
        "level = np.arange(7 * m, dtype=float).reshape(7, m)\n"
        "p, u = march(course(g.network, g.flow), g.sites.exchange, 1e5 + level, level, np.arange(7.0))\n"
        "print(hashlib.sha256(p.tobytes() + u.tobytes() + g.cells.position.tobytes()).hexdigest())\n"
    )
    seen = set()
    for threads in ("1", "2"):
        environment = {**os.environ, "NUMBA_NUM_THREADS": threads}
        done = subprocess.run(
            [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
        )
        seen.add(done.stdout.strip())
    assert len(seen) == 1
