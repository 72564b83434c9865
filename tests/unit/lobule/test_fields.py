"""Signals on sites: against a dense reference, what is conserved, what is refused, and the same bits always."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pytest
from scipy.linalg import expm

from hepatalk.engines.lobule import linear_kernels
from hepatalk.engines.lobule.fields import FieldError, Setting, Transport, advance, integrate, plasma_order, steady
from hepatalk.engines.lobule.voxels import grid
from hepatalk.errors import EngineError

Floats = npt.NDArray[np.float64]
GAMMA = 2.0 - np.sqrt(2.0)


@dataclass(frozen=True)
class Network:
    edges: npt.NDArray[np.int64]
    flow: Floats
    inflow: Floats
    node: npt.NDArray[np.int64]


@dataclass(frozen=True)
class Case:
    """A random piece of tissue: 24 sites of unequal size, seven signals of all kinds."""

    transport: Transport
    network: Network
    level: Floats
    production: Floats
    loss: Floats
    rest: Floats
    diffusivity: Floats
    exchange: Floats
    returned: Floats
    inlet: Floats


@pytest.fixture
def case() -> Case:
    rng = np.random.default_rng(7)
    regular = grid(4, 3, 2, 20.0, walls="open").transport
    sites, signals = regular.sites, 7
    area = _symmetric(regular, lambda i, j: 300.0 + 10.0 * (i + j))
    distance = _symmetric(regular, lambda i, j: 18.0 + 0.1 * (i + j))
    # Two inlets that meet, a branch, two outlets; node 6 carries no plasma; flows given against the edges too.
    edges = np.array([[0, 2], [1, 2], [3, 2], [2, 4], [3, 5], [4, 5], [6, 5]])
    flow = np.array([3e6, 1e6, -1.5e6, 2.5e6, 1e6, 0.5e6, 0.0])
    inflow = np.array([3e6, 1e6, 0.0, -0.5e6, -2e6, -1.5e6, 0.0])
    node = rng.integers(-1, 6, sites)
    transport = replace(
        regular,
        area=area,
        distance=distance,
        volume=rng.uniform(5e3, 9e3, sites),
        wall=regular.wall * 0.3,
        plasma=plasma_order(edges, flow, inflow, node),
    )

    def draw(low: float, high: float) -> Floats:
        return rng.uniform(low, high, (signals, sites))

    return Case(
        transport,
        Network(edges, flow, inflow, node),
        draw(0.5, 1.5),
        draw(0.2, 1.0),
        draw(0.1, 2.0),
        draw(0.8, 1.2),
        np.array([0.0, 100.0, 1e4, 2e3, 0.0, 500.0, 3e3]),
        np.array([0.0, 0.0, 0.0, 4.0, 40.0, 400.0, 9.0]),
        np.array([1.0, 1.0, 1.0, 1.0, 0.3, 0.0, 0.9]),
        np.array([0.0, 0.0, 0.0, 0.0, 0.4, 0.7, 0.1]),
    )


def _symmetric(t: Transport, rule: Callable[[int, int], float]) -> Floats:
    here = np.repeat(np.arange(t.sites), np.diff(t.start))
    return np.array([rule(int(i), int(j)) for i, j in zip(here, t.other, strict=True)])


def _dense(c: Case, s: int) -> tuple[Floats, Floats]:
    """Return the matrix and the constant of ``du/dt = B u + b`` for the deviation of signal s, written out slowly."""
    t, n = c.transport, c.transport.sites
    B, b = np.zeros((n, n)), c.production[s] - c.loss[s] * c.rest[s]
    for i in range(n):
        B[i, i] -= c.loss[s, i] + c.diffusivity[s] * t.wall[i] / t.volume[i]
        for e in range(t.start[i], t.start[i + 1]):
            g = c.diffusivity[s] * t.area[e] / t.distance[e] / t.volume[i]
            B[i, t.other[e]] += g
            B[i, i] -= g
    m = c.exchange[s]
    if m == 0.0:
        return B, b
    # Levels of plasma at nodes from balances, the inflow as one more unknown: K p = X u + y.
    w, nodes = c.network, c.network.inflow.size
    K, X, y = np.zeros((nodes + 1, nodes + 1)), np.zeros((nodes + 1, n)), np.zeros(nodes + 1)
    for (a, z), q in zip(w.edges, w.flow, strict=True):
        up, down = (a, z) if q >= 0 else (z, a)
        K[down, down] += abs(q)
        K[down, up] -= abs(q)
    entering = np.maximum(w.inflow, 0.0)
    for k in range(nodes):
        K[k, k] += entering[k]
        K[k, nodes] -= entering[k]
        here = np.flatnonzero(w.node == k)
        K[k, k] += m * t.volume[here].sum()
        X[k, here] = m * t.volume[here]
        if K[k, k] == 0.0:  # neither plasma nor sites
            K[k, k] = 1.0
    K[nodes, nodes] = entering.sum()
    K[nodes, :nodes] = -c.returned[s] * np.maximum(-w.inflow, 0.0)
    y[nodes] = c.inlet[s] * entering.sum()
    p_of_u, p_given = np.linalg.solve(K, X), np.linalg.solve(K, y)
    for i in range(n):
        if w.node[i] >= 0:
            B[i] += m * p_of_u[w.node[i]]
            B[i, i] -= m
            b[i] += m * p_given[w.node[i]]
    return B, b


def _arguments(c: Case) -> tuple[Floats, Floats, Floats, Transport, Floats, Floats]:
    return c.level, c.production, c.loss, c.transport, c.diffusivity, c.exchange


def _options(c: Case, names: tuple[str, ...] = ()) -> Setting:
    return Setting(c.rest, c.returned, c.inlet, names)


@pytest.mark.parametrize("h", [0.002, 0.02])
def test_a_step_equals_the_dense_method(case: Case, h: float) -> None:
    step = advance(*_arguments(case), h, 1e-13, setting=_options(case))
    for s in range(1, 7):
        B, b = _dense(case, s)
        u, eye = case.level[s] - case.rest[s], np.eye(b.size)
        left = eye - 0.5 * GAMMA * h * B
        middle = np.linalg.solve(left, u + 0.5 * GAMMA * h * (B @ u + 2.0 * b))
        weights = 1.0 / (GAMMA * (2.0 - GAMMA)), (1.0 - GAMMA) ** 2 / (GAMMA * (2.0 - GAMMA))
        end = np.linalg.solve(left, weights[0] * middle - weights[1] * u + 0.5 * GAMMA * h * b)
        assert step.level[s] == pytest.approx(case.rest[s] + end, abs=1e-10)


def test_many_short_steps_equal_the_matrix_exponential(case: Case) -> None:
    duration = 0.05
    run = integrate(*_arguments(case), duration, 1e-10, setting=_options(case))
    for s in range(7):
        B, b = _dense(case, s)
        still = np.linalg.solve(B, -b)
        exact = case.rest[s] + still + expm(duration * B) @ (case.level[s] - case.rest[s] - still)
        assert run.level[s] == pytest.approx(exact, abs=2e-7)


def test_the_steady_state_equals_the_dense_solution(case: Case) -> None:
    found = steady(*_arguments(case)[1:], 1e-14, setting=_options(case))
    for s in range(7):
        B, b = _dense(case, s)
        assert found.level[s] == pytest.approx(case.rest[s] + np.linalg.solve(B, -b), rel=1e-9)


def test_the_estimate_of_the_error_is_near_the_error_of_smooth_steps(case: Case) -> None:
    smooth = integrate(*_arguments(case), 0.02, 1e-6, setting=_options(case)).level
    step = advance(smooth, *_arguments(case)[1:], 0.01, 1e-12, setting=_options(case))
    for s in range(1, 7):
        B, b = _dense(case, s)
        still = np.linalg.solve(B, -b)
        exact = case.rest[s] + still + expm(0.01 * B) @ (smooth[s] - case.rest[s] - still)
        assert 0.3 < step.error[s] / np.abs(step.level[s] - exact).max() < 4.0


def test_a_signal_that_stays_where_it_is_follows_the_exact_exponential(case: Case) -> None:
    h = 30.0
    step = advance(*_arguments(case), 0.001, setting=_options(case))
    assert step.error[0] == 0.0
    assert step.iterations[0] == 0
    alone = advance(*(x[:1] for x in (case.level, case.production, case.loss)), case.transport, *np.zeros((2, 1)), h)
    target = case.production[0] / case.loss[0]
    assert alone.level[0] == pytest.approx(target + (case.level[0] - target) * np.exp(-case.loss[0] * h), rel=1e-14)


def test_a_signal_without_loss_that_stays_where_it_is_grows_by_what_is_made(case: Case) -> None:
    none = np.zeros_like(case.loss[:1])
    alone = advance(case.level[:1], case.production[:1], none, case.transport, *np.zeros((2, 1)), 2.0)
    assert alone.level == pytest.approx(case.level[:1] + 2.0 * case.production[:1], rel=1e-15)


def test_health_stands_still_to_the_last_bit(case: Case) -> None:
    production = case.loss * case.rest
    step = advance(
        case.rest,
        production,
        case.loss,
        case.transport,
        case.diffusivity,
        case.exchange,
        5.0,
        setting=Setting(case.rest),
    )
    assert np.array_equal(step.level, case.rest)
    assert not step.error.any()


@pytest.mark.parametrize("tolerance", [1e-4, 1e-10])
def test_a_closed_body_keeps_its_mass_whatever_the_tolerance(case: Case, tolerance: float) -> None:
    closed = replace(case.transport, wall=np.zeros(case.transport.sites))
    none = np.zeros_like(case.level)
    before = case.level @ closed.volume
    level = case.level
    for _ in range(5):
        level = advance(level, none, none, closed, case.diffusivity, case.exchange, 0.003, tolerance).level
    assert level @ closed.volume == pytest.approx(before, rel=1e-13)
    assert np.abs(level[1:] - case.level[1:]).max() > 1e-3  # and it has moved


def test_exchange_brings_a_closed_body_to_one_level(case: Case) -> None:
    reached = replace(case.transport, wall=np.zeros(24), plasma=_everywhere(case))
    none = np.zeros((1, 24))
    run = integrate(case.level[:1], none, none, reached, np.zeros(1), np.full(1, 40.0), 50.0, 1e-6)
    mean = case.level[0] @ reached.volume / reached.volume.sum()
    assert run.level[0] == pytest.approx(np.full(24, mean), rel=1e-7)


def _everywhere(c: Case) -> object:
    w = c.network
    return plasma_order(w.edges, w.flow, w.inflow, np.arange(24) % 6)


def test_one_tube_follows_the_analytic_exponential() -> None:
    # Tissue held at zero takes up m V from plasma that flows by: dp/dx = -m V p / (Q L), first order in the nodes.
    errors = []
    for nodes in (50, 100, 200):
        tube = grid(nodes, 1, 1, 10.0)
        flow = 2e5 * np.ones(nodes - 1)
        inflow = np.zeros(nodes)
        inflow[0], inflow[-1] = 2e5, -2e5
        edges = np.stack([np.arange(nodes - 1), np.arange(1, nodes)], axis=1)
        volume = 1e5 / nodes
        transport = replace(
            tube.transport,
            volume=np.full(nodes, volume),
            plasma=plasma_order(edges, flow, inflow, np.arange(nodes)),
        )
        m, loss = 3.0, 1e7  # a loss so fast that the tissue is empty
        one = np.ones((1, nodes))
        made = steady(
            0 * one,
            loss * one,
            transport,
            np.zeros(1),
            np.full(1, m),
            setting=Setting(returned=np.zeros(1), inlet=np.ones(1)),
        )
        plasma = made.level[0] * (loss + m) / m
        # Balance at a node: p_k (Q + m V) = Q p_(k-1), exact to the residual.
        expected = (1.0 + m * volume / 2e5) ** -np.arange(1.0, nodes + 1.0)
        assert plasma == pytest.approx(expected, rel=1e-6)
        errors.append(abs(plasma[-1] - np.exp(-m * 1e5 / 2e5)))
    assert errors[0] / errors[1] == pytest.approx(2.0, rel=0.05)
    assert errors[1] / errors[2] == pytest.approx(2.0, rel=0.05)


def test_no_signal_depends_on_its_company(case: Case) -> None:
    together = advance(*_arguments(case), 0.01, setting=_options(case))
    for s in range(7):
        one = [x[s : s + 1] for x in (case.level, case.production, case.loss)]
        rates = [x[s : s + 1] for x in (case.diffusivity, case.exchange)]
        setting = Setting(*(x[s : s + 1] for x in (case.rest, case.returned, case.inlet)))
        alone = advance(*one, case.transport, *rates, 0.01, setting=setting)
        assert np.array_equal(alone.level[0], together.level[s])
        assert alone.error[0] == together.error[s]
        assert alone.iterations[0] == together.iterations[s]


SCRIPT = """
import hashlib
from dataclasses import replace
import numba
import numpy as np
from hepatalk.engines.lobule.fields import advance, plasma_order
from hepatalk.engines.lobule.voxels import grid
numba.set_num_threads({threads})
rng = np.random.default_rng(3)
t = grid(6, 5, 4, 20.0).transport
index = np.arange(120).reshape(6, 20)
edges = np.stack([index[:-1].ravel(), index[1:].ravel()], axis=1)
inflow = np.repeat([2e6, 0, 0, 0, 0, -2e6], 20)
t = replace(t, plasma=plasma_order(edges, np.full(100, 2e6), inflow, np.arange(120)))
draw = lambda: rng.uniform(0.5, 1.5, (23, 120))
level, production, loss = draw(), draw(), draw()
exchange = np.where(np.arange(23) > 12, 30.0, 0.0)
for _ in range(3):
    level = advance(level, production, loss, t, np.linspace(0, 2e4, 23), exchange, 0.005).level
print(hashlib.sha256(level.tobytes()).hexdigest())
"""


def test_one_and_two_threads_give_the_same_bits() -> None:
    env = os.environ | {"NUMBA_NUM_THREADS": "2"}
    runs = [
        subprocess.run(
            [sys.executable, "-c", SCRIPT.format(threads=n)], env=env, capture_output=True, text=True, check=True
        ).stdout
        for n in (1, 2)
    ]
    assert len(runs[0].strip()) == 64
    assert runs[0] == runs[1]


@pytest.mark.parametrize("name", ["level", "production", "loss", "rest"])
def test_what_is_not_a_number_is_named_by_signal_and_site(case: Case, name: str) -> None:
    values = getattr(case, name).copy()
    values[3, 11] = np.nan
    broken = replace(case, **{name: values})
    with pytest.raises(FieldError, match=f"signal TGFB1 has a {name} of nan at site 11") as caught:
        advance(*_arguments(broken), 0.01, setting=_options(broken, ("a", "b", "c", "TGFB1")))
    assert (caught.value.field, caught.value.site) == (3, 11)


@pytest.mark.parametrize("name", ["production", "loss"])
def test_a_negative_rate_is_named(case: Case, name: str) -> None:
    values = getattr(case, name).copy()
    values[2, 5] = -0.1
    broken = replace(case, **{name: values})
    with pytest.raises(FieldError, match=rf"signal 2 has a {name} of -0\.1 at site 5; allowed: >= 0"):
        advance(*_arguments(broken), 0.01, setting=_options(broken))


def test_a_share_that_returns_above_one_is_named(case: Case) -> None:
    broken = replace(case, returned=np.array([1, 1, 1, 1, 1.5, 0, 0.9]))
    with pytest.raises(FieldError, match=r"signal 4 has a returned of 1\.5; allowed: 0 to 1"):
        advance(*_arguments(broken), 0.01, setting=_options(broken))


def test_a_step_that_would_make_a_level_negative_is_refused_and_a_shorter_one_is_not() -> None:
    t = grid(9, 9, 9, 20.0).transport
    level, none = np.zeros((1, t.sites)), np.zeros((1, t.sites))
    level[0, 364] = 1.0
    problem = (level, none, none, t, np.full(1, 1e5), np.zeros(1))
    with pytest.raises(FieldError, match=r"signal HGF becomes -0.* at site 364; take a shorter step") as caught:
        advance(*problem, 0.02, setting=Setting(names=("HGF",)))
    assert (caught.value.field, caught.value.site) == (0, 364)
    assert advance(*problem, 0.0005, setting=Setting(names=("HGF",))).level.min() >= 0.0
    run = integrate(*problem, 0.02, 1e-3)
    assert run.refused > 0
    assert run.level.min() >= 0.0
    assert run.level.sum() == pytest.approx(1.0, rel=1e-12)


def test_a_signal_that_had_faded_to_nothing_is_made_again() -> None:
    """The residual allowed follows what the step makes, not the last trace, whose digits no number has."""
    t = grid(5, 5, 5, 20.0).transport
    trace = 1e-100 * np.linspace(0.5, 1.5, t.sites)[None, :]
    made = np.linspace(0.1, 1.0, t.sites)[None, :]
    problem = (made, np.full((1, t.sites), 0.3), t, np.full(1, 1e5), np.zeros(1))
    again = advance(trace, *problem, 0.2).level
    np.testing.assert_allclose(again, advance(np.zeros_like(trace), *problem, 0.2).level, rtol=1e-6)
    assert again.min() > 0.0


def test_levels_that_overflow_are_named() -> None:
    t = grid(3, 1, 1, 20.0).transport
    one = np.ones((1, 3))
    with pytest.raises(FieldError, match=r"signal 0 becomes (inf|nan|-inf) at site"):
        advance(one, 1e308 * one, 0.0 * one, t, np.full(1, 1e4), np.zeros(1), 1e3)


def test_a_solver_that_does_not_arrive_names_the_signal(case: Case) -> None:
    t = grid(2000, 1, 1, 1.0).transport
    rng = np.random.default_rng(1)
    production, loss = rng.uniform(0, 1, (1, 2000)), np.full((1, 2000), 1e-9)
    with pytest.raises(FieldError, match=r"signal IL6: the linear solver stops at .* times the residual"):
        steady(production, loss, t, np.full(1, 1e4), np.zeros(1), setting=Setting(names=("IL6",)))
    assert linear_kernels.MAX_ITERATIONS < 2000


def test_a_signal_that_nothing_removes_has_no_steady_state(case: Case) -> None:
    t = grid(3, 1, 1, 20.0).transport
    with pytest.raises(FieldError, match="signal 0 has no steady state: nothing removes it"):
        steady(np.ones((1, 3)), np.zeros((1, 3)), t, np.full(1, 1e4), np.zeros(1))


def test_exchange_without_plasma_is_refused(case: Case) -> None:
    bare = replace(case, transport=replace(case.transport, plasma=None))
    with pytest.raises(FieldError, match="signal 3 exchanges with plasma, but transport has none"):
        advance(*_arguments(bare), 0.01, setting=_options(bare))


@pytest.mark.parametrize("h", [0.0, -1.0, np.nan])
def test_a_step_of_no_length_is_refused(case: Case, h: float) -> None:
    with pytest.raises(EngineError, match="fields: a step of"):
        advance(*_arguments(case), h)


def test_shapes_that_do_not_fit_are_refused(case: Case) -> None:
    with pytest.raises(EngineError, match=r"fields: loss has shape \(7, 3\); 7 signals on 24 sites do not"):
        advance(case.level, case.production, case.loss[:, :3], *_arguments(case)[3:], 0.1)
