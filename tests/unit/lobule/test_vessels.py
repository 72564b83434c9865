"""Vessels that sprout and close: on a network made by hand, in a built lobule, and through a checkpoint."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from hepatalk.engines.lobule import geometry
from hepatalk.engines.lobule.anatomy import Anatomy
from hepatalk.engines.lobule.checkpoint import Progressed, read, write
from hepatalk.engines.lobule.engine import LobuleEngine, LobuleSettings
from hepatalk.engines.lobule.flow import solve
from hepatalk.engines.lobule.network import SINUSOID, VENULE, Network
from hepatalk.engines.lobule.sprouts import Budget, Rules, regress, sprout
from hepatalk.engines.lobule.state import State, first_cells
from hepatalk.engines.lobule.system import LobuleSystem
from hepatalk.engines.lobule.tables import compartments_of
from hepatalk.engines.lobule.tissue import Tissue, from_geometry
from hepatalk.engines.lobule.vessels import avascular, gaps, lengths_in_sites, pieces
from hepatalk.knowledge.load import load
from hepatalk.model.compiled import CompiledModel
from hepatalk.model.compiler import compile_model

Floats = npt.NDArray[np.float64]

RULES = Rules(least_gap=1.0, least_group=3, sprout_lining=1.05, least_lining=0.5, reach=55.0, near_node=11.0)


def ladder() -> Network:
    """Two tubes 80 um apart that begin in one inlet and end in one outlet, 200 um farther."""
    nodes = np.array([[0, 40, 0], *[[x, y, 0] for y in (0, 80) for x in (50, 100, 150)], [200, 40, 0]], dtype=float)
    edges = np.array([[0, 1], [1, 2], [2, 3], [3, 7], [0, 4], [4, 5], [5, 6], [6, 7]])
    return Network(
        nodes=nodes,
        edges=edges,
        length=np.linalg.norm(nodes[edges[:, 0]] - nodes[edges[:, 1]], axis=1),
        radius=np.full(8, 4.0),
        kind=np.full(8, SINUSOID),
        inlets=np.array([0]),
        outlets=np.array([7]),
        arterial=np.array([0]),
    )


def budget(network: Network, lining: float) -> Budget:
    """One site, one zone, whose LSECs could line so many times the length that there is."""
    length = np.array([network.length.sum()])
    one = sparse.csr_array(np.ones((1, 1)))
    middle = np.array([[100.0, 40.0, 0.0]])
    return Budget(middle, one, lining * length, np.array([0]), lining * length, length.copy())


def grown(network: Network, cells: Floats, lining: float, rules: Rules = RULES) -> tuple[Network, Budget, int]:
    b = budget(network, lining)
    new, found = sprout(
        network,
        cells,
        np.full(len(cells), 11.0),
        b,
        rules,
        inwards=lambda at: np.array([1.0, 0.0]),
        wide=lambda at: 4.0,
    )
    return new, b, len(found)


def one_piece(network: Network) -> bool:
    n = len(network.nodes)
    graph = sparse.coo_array((np.ones(len(network.edges)), network.edges.T), shape=(n, n))
    return int(connected_components(graph, directed=False)[0]) == 1


GROUP = np.array([[88.0, 40.0, 0.0], [110.0, 40.0, 0.0], [99.0, 40.0, 19.0]])


def test_hepatocytes_away_from_vessels_stand_in_groups_of_neighbours() -> None:
    position = np.array([[0.0, 0, 0], [20, 0, 0], [40, 0, 0], [120, 0, 0], [60, 0, 0]])
    found = avascular(position, np.full(5, 11.0), np.array([2.0, 5.0, 3.0, 9.0, 0.5]), 1.0)
    assert found.cell.tolist() == [0, 1, 2, 3]
    assert sorted(found.size.tolist()) == [1, 3]
    assert len(set(found.cluster[:3].tolist())) == 1


def test_a_gap_is_the_way_from_surface_to_wall() -> None:
    n = ladder()
    gap = gaps(pieces(n.nodes, n.edges), n.radius, np.array([[75.0, 30.0, 0.0]]), np.array([11.0]))
    assert gap[0] == pytest.approx(30.0 - 4.0 - 11.0, abs=0.1)


def test_a_sprout_crosses_a_group_without_a_vessel() -> None:
    old = ladder()
    new, b, found = grown(old, GROUP, 1.5)
    assert found == 1
    added = new.length.sum() - old.length.sum()
    assert b.length[0] == pytest.approx(new.length.sum())  # what is lined is counted
    assert 80.0 <= added <= 100.0  # from one tube to the other
    assert len(new.edges) - len(new.nodes) == len(old.edges) - len(old.nodes) + 1  # one more loop
    assert one_piece(new)
    assert np.array_equal(new.nodes[: len(old.nodes)], old.nodes)
    gap = gaps(pieces(new.nodes, new.edges), new.radius, GROUP, np.full(3, 11.0))
    assert (gap <= RULES.least_gap).all()


def test_flow_is_conserved_through_a_sprout() -> None:
    new, _, _ = grown(ladder(), GROUP + np.array([30.0, 8.0, 0.0]), 1.5)
    flow = solve(new, 1e6, viscosity=1e-6)
    into = np.bincount(new.edges[:, 1], weights=flow.flow, minlength=len(new.nodes))
    out = np.bincount(new.edges[:, 0], weights=flow.flow, minlength=len(new.nodes))
    inner = np.setdiff1d(np.arange(len(new.nodes)), [0, 7])
    assert np.abs(into - out)[inner].max() < 1e-6
    assert (np.abs(flow.flow) > 0.0).any()


@pytest.mark.parametrize(
    ("cells", "lining"),
    [(GROUP, 1.0), (GROUP, 1.04), (GROUP, 1.1), (GROUP[:2], 1.5), (GROUP - [0.0, 30.0, 0.0], 1.5), (GROUP[:0], 1.5)],
    ids=["health", "chance", "less than a sprout", "no group", "at a vessel", "no cells"],
)
def test_nothing_sprouts_without_endothelium_and_a_group(cells: Floats, lining: float) -> None:
    old = ladder()
    new, _, found = grown(old, cells, lining)
    assert found == 0
    assert new is old


def test_vessels_without_endothelium_close_but_none_that_is_the_only_way() -> None:
    bare = ladder()
    edges = np.concatenate([bare.edges, [[2, 5], [3, 6]]])  # two rungs, 80 um each
    length = np.append(bare.length, [80.0, 80.0])
    old = replace(bare, edges=edges, length=length, radius=np.full(10, 4.0), kind=np.full(10, SINUSOID))
    b = budget(old, 0.1)
    lined = bare.nodes[bare.edges].mean(axis=1)  # an LSEC on each segment, none on the rungs
    new, closed = regress(old, lined, b, RULES)
    assert closed == 2
    assert np.array_equal(new.edges, bare.edges)
    assert one_piece(new)
    degree = np.bincount(new.edges.ravel(), minlength=len(new.nodes))
    assert (degree[: len(new.nodes)] >= np.where(np.isin(np.arange(len(new.nodes)), new.outlets), 1, 2)).all()
    assert b.length[0] == pytest.approx(new.length.sum())
    solve(new, 1e6, viscosity=1e-6)


@pytest.mark.parametrize("lining", [0.5, 1.0, 2.0])
def test_stretched_endothelium_keeps_its_vessels(lining: float) -> None:
    old = ladder()
    assert regress(old, np.zeros((0, 3)), budget(old, lining), RULES) == (old, 0)


# ---------------------------------------------------------------------------------------------------- a built lobule


@pytest.fixture(scope="module")
def model() -> CompiledModel:
    return compile_model(load(), "rat")


@pytest.fixture(scope="module")
def healthy(model: CompiledModel) -> Tissue:
    built = geometry.build(Anatomy.of(model.anatomy, hepatocytes=200), seed=3)
    return from_geometry(built, compartments_of(model))


def thinned(model: CompiledModel) -> Tissue:
    """Return a tissue without the vessels of one side that can be spared, in which single hepatocytes draw sprouts."""
    values = {**model.anatomy, "lobule_sprout_group": 1.0, "lobule_sprout_lining": 1.001}
    tissue = from_geometry(geometry.build(Anatomy.of(values, hepatocytes=200), seed=3), compartments_of(model))
    assert tissue.space is not None
    n = tissue.space.geometry.network
    middle = tissue.position
    length = np.asarray(tissue.space.length.sum(axis=1)).ravel()
    own = sparse.csr_array(np.eye(len(middle)))
    none = np.where(middle[:, 0] > np.median(middle[:, 0]), 0.0, length)
    b = Budget(middle, own, none, tissue.zone, np.bincount(tissue.zone, weights=length), length.copy())
    fewer, closed = regress(n, np.zeros((0, 3)), b, RULES)
    assert closed > 5
    table = lengths_in_sites(fewer.nodes, fewer.edges, fewer.kind, middle)
    return replace(tissue, space=replace(tissue.space, network=fewer, length=table))


def begun(model: CompiledModel, tissue: Tissue) -> tuple[LobuleSystem, State]:
    system = LobuleSystem(model, tissue, 3, 0.05)
    state = system.healthy(*first_cells(system.comps, tissue, 3), 0.0)
    return system, state


def test_a_lobule_that_lacks_vessels_sprouts_and_keeps_its_flow(model: CompiledModel) -> None:
    tissue = thinned(model)
    system, state = begun(model, tissue)
    assert system.endothelium is not None
    assert state.network is not None
    before, widened = state.network, np.ones(tissue.n_sites)
    measured = system.endothelium.measures(state, widened)
    assert measured["avascular_groups"] >= 1
    assert not system.endothelium.renew(state)  # on their way, and no part of the network
    assert len(state.sprouts) >= 1
    assert np.array_equal(state.sprout_grown, np.zeros(len(state.sprouts)))
    assert state.network is before
    many = len(state.sprouts)
    assert not system.endothelium.renew(state, 0.1)  # too short for any
    assert len(state.sprouts) == many
    assert system.endothelium.renew(state, 24.0)
    after = system.endothelium.measures(state, widened)
    assert after["avascular"] < measured["avascular"]
    assert after["sinusoid_share"] > measured["sinusoid_share"]
    new = state.network
    assert one_piece(new)
    assert np.array_equal(new.nodes[: len(before.nodes)], before.nodes)
    assert new.length == pytest.approx(np.linalg.norm(new.nodes[new.edges[:, 0]] - new.nodes[new.edges[:, 1]], axis=1))
    assert (np.bincount(new.edges.ravel(), minlength=len(new.nodes)) > 0).all()
    # Not more than the endothelium carries: the length of health.
    assert tissue.space is not None
    own = tissue.space.geometry.network
    assert new.length[new.kind == SINUSOID].sum() <= own.length[own.kind == SINUSOID].sum() + 1e-6
    assert (new.kind == VENULE).sum() == (before.kind == VENULE).sum()
    space = system.endothelium.space(state)
    flow = space.flow_of(space.along_segments(widened))
    leaves = np.bincount(new.edges[:, 0], weights=flow.flow, minlength=len(new.nodes)) - np.bincount(
        new.edges[:, 1], weights=flow.flow, minlength=len(new.nodes)
    )
    total = np.maximum(flow.source, 0.0).sum()
    assert np.abs(leaves - flow.source).max() < 1e-12 * total
    assert space.at_sites(flow).mean() == pytest.approx(1.0, abs=0.3)


def test_cells_that_live_on_sinusoids_are_on_them(model: CompiledModel, healthy: Tissue) -> None:
    system, state = begun(model, healthy)
    assert system.endothelium is not None
    assert state.network is not None
    rng = np.random.default_rng(1)
    state.cells.position[: state.n, :2] += rng.normal(0.0, 6.0, (state.n, 2))
    system.endothelium.hold(state, np.arange(state.n))
    type_ = system.comps.type_of[state.cells.comp[: state.n]]
    n = state.network
    p = pieces(n.nodes, n.edges, np.flatnonzero(n.kind == SINUSOID))
    wall = gaps(p, n.radius, state.cells.position[: state.n], np.zeros(state.n))
    lsec, kc = (type_ == system.comps.types.index(name) for name in ("LSEC", "KC"))
    assert np.abs(wall[lsec]).max() < 1.5
    assert wall[kc].max() < 0.0


def test_health_has_the_flow_of_health(model: CompiledModel, healthy: Tissue) -> None:
    assert healthy.space is not None
    flow = healthy.space.flow_of(np.ones(len(healthy.space.network.edges)))
    assert healthy.space.at_sites(flow) == pytest.approx(np.ones(healthy.n_sites))
    total = np.asarray(healthy.space.length.sum(axis=1)).ravel().sum()
    n = healthy.space.network
    assert total == pytest.approx(n.length[n.kind == SINUSOID].sum())


def test_a_healthy_lobule_neither_sprouts_nor_closes(model: CompiledModel, healthy: Tissue) -> None:
    engine = LobuleEngine(3, healthy, 0.05, LobuleSettings(hepatocytes=200))
    engine.run(model, [], np.linspace(0.0, 24.0, 5))
    assert engine.last is not None
    assert healthy.space is not None
    assert engine.last.network is healthy.space.network


class BrokenError(Exception):
    """Stands for a run that is cut off."""


def test_a_run_whose_vessels_grow_goes_on_to_the_last_bit(model: CompiledModel, tmp_path: Path) -> None:
    tissue, times = thinned(model), np.linspace(0.0, 14.0, 8)
    path = tmp_path / "run.npz"

    def engine(file: Path | None) -> LobuleEngine:
        return LobuleEngine(3, tissue, 0.05, LobuleSettings(hepatocytes=200, checkpoint=file, checkpoint_every_s=0.0))

    whole = engine(None)
    course = whole.run(model, [], times)

    def stop(done: float) -> None:
        if done * 14.0 > 7.0:
            raise BrokenError

    with pytest.raises(BrokenError):
        engine(path).run(model, [], times, progress=stop)
    assert path.exists()
    rest = engine(path)
    again = rest.run(model, [], times)
    assert np.array_equal(course.states, again.states)
    one, other = whole.last, rest.last
    assert one is not None
    assert other is not None
    assert one.network is not None
    assert other.network is not None
    assert tissue.space is not None
    assert len(one.network.edges) > len(tissue.space.network.edges)
    for name in ("nodes", "edges", "length", "radius", "kind", "inlets", "outlets", "arterial"):
        assert np.array_equal(getattr(one.network, name), getattr(other.network, name)), name
    assert np.array_equal(one.cells.position[: one.n], other.cells.position[: other.n])


def test_a_tissue_without_space_has_no_vessels(model: CompiledModel, tmp_path: Path) -> None:
    from hepatalk.engines.lobule.tissue import zones_only

    comps = compartments_of(model)
    tissue = zones_only(comps, dict.fromkeys(comps.types, 60))
    system = LobuleSystem(model, tissue, 1, 0.01)
    state = system.healthy(*first_cells(system.comps, tissue, 1), 0.0)
    assert system.endothelium is None
    assert state.network is None
    run = Progressed(state, np.empty((1, model.n_states)), np.zeros(1, dtype=np.int64), [state.params], 0)
    write(tmp_path / "run.npz", {}, run)
    kept = read(tmp_path / "run.npz", {}, 1, model.n_states)
    assert kept is not None
    assert kept.state.network is None
