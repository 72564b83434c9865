"""What blood carries and cells take from it: tubes and networks whose solution can be written down."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
from scipy.optimize import brentq

from hepatalk.engines.lobule.anatomy import Anatomy
from hepatalk.engines.lobule.changes import apply_change
from hepatalk.engines.lobule.flow import Flow, solve
from hepatalk.engines.lobule.geometry import build
from hepatalk.engines.lobule.network import Network
from hepatalk.engines.lobule.state import first_cells
from hepatalk.engines.lobule.system import LobuleSystem
from hepatalk.engines.lobule.tables import compartments_of
from hepatalk.engines.lobule.tissue import Tissue, from_geometry, zones_only
from hepatalk.engines.lobule.uptake import Uptake, along, passage_of
from hepatalk.engines.lobule.uptake_kernels import left_over
from hepatalk.errors import EngineError
from hepatalk.knowledge.load import load
from hepatalk.model.compiled import CompiledModel
from hepatalk.model.compiler import compile_model
from hepatalk.model.schedule import Change

Floats = npt.NDArray[np.float64]
VISCOSITY = 1e-6  # Pa h


def network(edges: list[tuple[int, int]], inlets: list[int], outlets: list[int], arterial: list[int]) -> Network:
    n = max(max(e) for e in edges) + 1
    rng = np.random.Generator(np.random.PCG64(2))
    return Network(
        nodes=np.column_stack([np.arange(n, dtype=float), np.zeros(n), np.zeros(n)]),
        edges=np.array(edges),
        length=rng.uniform(20.0, 60.0, len(edges)),
        radius=rng.uniform(3.0, 6.0, len(edges)),
        kind=np.zeros(len(edges), dtype=np.int64),
        inlets=np.array(inlets),
        outlets=np.array(outlets),
        arterial=np.array(arterial, dtype=np.int64),
    )


def tube(n: int) -> tuple[Network, Flow]:
    net = network([(i, i + 1) for i in range(n)], [0], [n], [])
    return net, solve(net, 1e5, viscosity=VISCOSITY)


BRANCHED = [(0, 2), (1, 2), (1, 3), (2, 4), (3, 4), (2, 5), (4, 6), (5, 6), (3, 7), (6, 7)]


@pytest.fixture
def branched() -> tuple[Network, Flow]:
    net = network(BRANCHED, [0, 1], [7], [3])
    return net, solve(net, 1e5, viscosity=VISCOSITY, arterial_share=0.25)


@pytest.mark.parametrize("n", [1, 7, 100])
def test_a_tube_is_exponential_however_it_is_cut(n: int) -> None:
    net, flow = tube(n)
    wish = np.full(n, 2e5 / n)
    found = along(passage_of(net.edges, flow), np.full(n + 1, 3.0), wish, math.inf)
    assert found.node == pytest.approx(3.0 * np.exp(-2.0 * np.arange(n + 1) / n), rel=1e-12)
    assert found.outflow == pytest.approx(3.0 * math.exp(-2.0), rel=1e-9)


@pytest.mark.parametrize("half", [0.1, 5.6, 200.0])
@pytest.mark.parametrize("taken", [1.0, 35.0, 65.0, 300.0])
def test_saturable_uptake_solves_its_equation(half: float, taken: float) -> None:
    """c + K ln c falls by u/q along a vessel."""
    left = left_over(65.0, taken, half)
    assert 0.0 <= left < 65.0
    start = 65.0 + half * math.log(65.0) - taken
    if left < 1e-250:
        assert start / half < -500.0
        return
    exact = math.exp(brentq(lambda z: math.exp(z) + half * z - start, -600.0, math.log(65.0), xtol=1e-14))
    assert left == pytest.approx(exact, rel=1e-10)


def test_saturable_uptake_does_not_depend_on_cuts() -> None:
    ends = []
    for n in (1, 40):
        net, flow = tube(n)
        ends.append(along(passage_of(net.edges, flow), np.full(n + 1, 65.0), np.full(n, 4e6 / n), 5.6).node[-1])
    assert 20.0 < ends[0] < 40.0
    assert ends[0] == pytest.approx(ends[1], rel=1e-11)


def test_little_and_saturated_uptake_are_limits() -> None:
    net, flow = tube(5)
    way, ones = passage_of(net.edges, flow), np.ones(6)
    linear = along(way, ones, np.full(5, 3e4), math.inf)
    wide = along(way, ones, np.full(5, 3e4 * 1e7), 1e7)
    assert wide.node == pytest.approx(linear.node, rel=1e-6)
    # At most what the wall wants, all along: c0 - u/q.
    flat = along(way, np.full(6, 60.0), np.full(5, 4e5), 1e-9)
    assert flat.node == pytest.approx(60.0 - 4.0 * np.arange(6), rel=1e-8)
    none = along(way, ones, np.zeros(5), math.inf)
    assert none.node.tolist() == [1.0] * 6


def test_a_network_solves_its_linear_equations(branched: tuple[Network, Flow]) -> None:
    net, flow = branched
    inlet = np.array([1.0, 2.0, 0.0, 5.0, 0.0, 0.0, 0.0, 0.0])
    wish = np.random.Generator(np.random.PCG64(3)).uniform(0.0, 4e4, len(net.edges))
    found = along(passage_of(net.edges, flow), inlet, wish, math.inf)
    n = len(inlet)
    matrix, right = np.zeros((n, n)), np.zeros(n)
    for e, (i, j) in enumerate(net.edges):
        q = flow.flow[e]
        a, b = (i, j) if q > 0.0 else (j, i)
        matrix[b, b] += abs(q)
        matrix[b, a] -= abs(q) * math.exp(-wish[e] / abs(q))
    entering = np.maximum(flow.source, 0.0)
    matrix[np.diag_indices(n)] += entering
    right += entering * inlet
    assert found.node == pytest.approx(np.linalg.solve(matrix, right), rel=1e-10)


@pytest.mark.parametrize("half", [5.6, math.inf])
def test_what_blood_loses_cells_take(branched: tuple[Network, Flow], half: float) -> None:
    net, flow = branched
    inlet = np.array([40.0, 40.0, 0.0, 120.0, 0.0, 0.0, 0.0, 0.0])
    wish = np.linspace(1e4, 1e5, len(net.edges)) * (10.0 if math.isfinite(half) else 1.0)
    found = along(passage_of(net.edges, flow), inlet, wish, half)
    entering, leaving = np.maximum(flow.source, 0.0), np.maximum(-flow.source, 0.0)
    assert found.uptake.sum() > 0.1 * float(entering @ inlet)
    assert float(leaving @ found.node + found.uptake.sum()) == pytest.approx(float(entering @ inlet), rel=1e-10)
    assert found.outflow * leaving.sum() == pytest.approx(float(leaving @ found.node), rel=1e-9)


def test_faster_blood_keeps_more() -> None:
    net, flow = tube(10)
    way, inlet, wish = passage_of(net.edges, flow), np.ones(11), np.full(10, 2e4)
    ends = [along(way, inlet, wish, math.inf, more=q).node[-1] for q in (0.5, 1.0, 3.0)]
    assert ends == pytest.approx([math.exp(-2.0 / q) for q in (0.5, 1.0, 3.0)], rel=1e-12)


@pytest.mark.parametrize(("wish", "more", "message"), [(-1.0, 1.0, "segment 2"), (1.0, 0.0, "a flow of 0 x healthy")])
def test_impossible_uptake_is_refused(wish: float, more: float, message: str) -> None:
    net, flow = tube(4)
    wishes = np.array([1.0, 1.0, wish, 1.0])
    with pytest.raises(EngineError, match=message):
        along(passage_of(net.edges, flow), np.ones(5), wishes, 1.0, more=more)


# -------------------------------------------------------------------------------------------------------- a lobule


@pytest.fixture(scope="module")
def model() -> CompiledModel:
    return compile_model(load(), "rat")


@pytest.fixture(scope="module")
def tissue(model: CompiledModel) -> Tissue:
    return from_geometry(build(Anatomy.of(model.anatomy, hepatocytes=1000), seed=1), compartments_of(model))


@pytest.fixture(scope="module")
def uptake(model: CompiledModel, tissue: Tissue) -> Uptake:
    return Uptake(model.anatomy, tissue, tissue.expected[:, 0])


def depths(tissue: Tissue) -> Floats:
    assert tissue.space is not None
    return tissue.space.geometry.sites.depth[tissue.space.order]


def test_oxygen_falls_from_the_portal_to_the_central_end(uptake: Uptake, tissue: Tissue, model: CompiledModel) -> None:
    healthy = dict(zip(uptake.names, uptake.absolute(np.ones(uptake.healthy.shape)), strict=True))
    order = np.argsort(depths(tissue))
    first, last = order[: len(order) // 10], order[-(len(order) // 10) :]
    # Arterial blood opens beside the tracts, so that single sites have more than the mixed blood.
    assert 55.0 < healthy["oxygen"][first].mean() < 75.0
    assert 28.0 < healthy["oxygen"][last].mean() < 38.0
    for level in healthy.values():
        bands = [level[part].mean() for part in np.array_split(order, 5)]
        assert (np.diff(bands) < 0.0).all(), bands
    assert healthy["BA"].max() <= 1.0
    assert healthy["BA"][last].mean() == pytest.approx(1.0 - model.anatomy["lobule_first_pass_ba"], abs=0.06)


def test_health_is_one_everywhere(uptake: Uptake, tissue: Tissue) -> None:
    assert tissue.space is not None
    ones = np.ones(tissue.n_sites)
    found = uptake.at_sites(tissue.space.network, tissue.space.geometry.flow, ones, np.ones(2), 1.0)
    assert found == pytest.approx(np.ones(found.shape), rel=1e-12)


def test_more_blood_brings_more_to_the_central_end_and_less_uptake_as_well(uptake: Uptake, tissue: Tissue) -> None:
    assert tissue.space is not None
    flow, ones = tissue.space.geometry.flow, np.ones(tissue.n_sites)
    order = np.argsort(depths(tissue))
    first, last = order[: len(order) // 5], order[-(len(order) // 5) :]
    for mass, pace, more in ((ones, np.ones(2), 3.0), (ones, np.full(2, 0.5), 1.0), (0.5 * ones, np.ones(2), 1.0)):
        for level in uptake.at_sites(tissue.space.network, flow, mass, pace, more):
            assert (level > 1.0 - 1e-9).all()
            assert level[last].mean() > 1.15
            assert level[last].mean() > level[first].mean()
    starved = uptake.at_sites(tissue.space.network, flow, ones, np.ones(2), 0.3)
    assert (starved < 1.0).all()
    assert (starved[:, last].mean(axis=1) < 0.3).all()


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("lobule_oxygen_outflow", 70.0, "that leaves with 70"),
        ("lobule_oxygen_half", 0.0, "half of the uptake at 0"),
        ("lobule_first_pass_ba", 1.0, "lobule_first_pass_ba = 1"),
        ("lobule_oxygen_inflow", None, "'lobule_oxygen_inflow'"),
    ],
)
def test_impossible_records_are_refused(
    model: CompiledModel, tissue: Tissue, name: str, value: float | None, message: str
) -> None:
    anatomy = {k: v for k, v in model.anatomy.items() if k != name} | ({} if value is None else {name: value})
    with pytest.raises(EngineError, match=message):
        Uptake(anatomy, tissue, tissue.expected[:, 0])


def test_sites_read_their_part_of_what_reaches_the_liver(model: CompiledModel, tissue: Tissue) -> None:
    """In health the model's own oxygen, everywhere; with three times the blood through each lobule more, centrally."""
    system = LobuleSystem(model, tissue, 1, 1e-2)
    state = system.healthy(*first_cells(system.comps, system.tissue, 1), 0.0)
    healthy = system.evaluation(state)
    for z, p in enumerate(system.programs):
        oxygen = healthy.rows[z][:, p.column[model.slot_index[f"oxygen@{z + 1}"]]]
        assert oxygen == pytest.approx(np.full(len(oxygen), oxygen[0]), rel=1e-9)
    apply_change(system, state, Change(0.0, "scale_extensive", "liver", 0.3, "cut"))
    system.see_flow(state, system.evaluation(state))
    now = system.evaluation(state)
    oxygen_now, acids = [], []
    for z, p in enumerate(system.programs):
        column = p.column[model.slot_index[f"oxygen@{z + 1}"]]
        oxygen_now.append(float((now.rows[z][:, column] / healthy.rows[z][:, column]).mean()))
        acids.append(float(now.rows[z][:, p.column[model.slot_index["free.BA"]]].mean()))
    assert oxygen_now[0] < oxygen_now[1] < oxygen_now[2]
    assert 1.1 < oxygen_now[2] < 1.5
    assert 1.0 < acids[0] < acids[1] < acids[2]


def test_well_mixed_zones_carry_and_touch_nothing(model: CompiledModel) -> None:
    comps = compartments_of(model)
    numbers = {t: round(3000 * model.anatomy[f"{t}.number"]) for t in comps.types}
    system = LobuleSystem(model, zones_only(comps, numbers), 1, 1e-2)
    assert system.uptake is None
    assert system.contacts is None
    assert all(not p.seen and not p.late and not len(p.forced) for p in system.programs)
