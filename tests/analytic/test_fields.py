"""Signals on a grid against solutions that are known: point and line sources, a spreading Gaussian, published cases."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest
from scipy.special import erf, k0

from hepatalk.engines.lobule.fields import advance, integrate, steady
from hepatalk.engines.lobule.voxels import Grid, grid

Floats = npt.NDArray[np.float64]

NONE = np.zeros(1)
MINUTE = 1.0 / 60.0


def _deficit(made: Grid, position: Floats, uptake: float, diffusivity: float, times: Floats, per: int = 4) -> Floats:
    """Return what sinks of constant rate (level um^3/h) take away, (times, M); levels fall from 1, walls hold 1.

    What is missing obeys the same equation with sources for sinks, and cannot become negative as long as the level
    itself may, which is how the published case poses it.
    """
    production = made.spread(position, np.full(len(position), uptake))[None]
    none, out, now = np.zeros_like(production), [], np.zeros_like(production)
    for before, after in zip(np.r_[0.0, times[:-1]], times, strict=True):
        now = integrate(
            now, production, none, made.transport, np.array([diffusivity]), NONE, after - before, 10.0**-per
        ).level
        out.append(now[0])
    return np.array(out)


@pytest.mark.parametrize("n", [31])
def test_a_point_source_decays_as_exp_of_r_over_r(n: int) -> None:
    # Steady diffusion with decay: c = P / (4 pi D r) exp(-r / sqrt(D / k)).
    edge, diffusivity, loss = 10.0, 3.6e4, 20.0
    made = grid(n, n, n, edge, walls="open")
    one = np.ones((1, made.centre.shape[0]))
    source = made.spread(np.zeros((1, 3)), np.array([1e6]))[None]
    level = steady(source, loss * one, made.transport, np.array([diffusivity]), NONE, 1e-12).level[0]
    r = np.linalg.norm(made.centre, axis=1)
    ring = (r > 4.0 * edge) & (r < 9.0 * edge)
    exact = 1e6 / (4.0 * np.pi * diffusivity * r[ring]) * np.exp(-r[ring] / np.sqrt(diffusivity / loss))
    assert np.sqrt(diffusivity / loss) == pytest.approx(42.4, abs=0.1)
    # Four edges away a voxel is a point to two per cent, and the walls, 3.7 lengths away, take the rest.
    assert level[ring] == pytest.approx(exact, rel=0.03)


def test_a_line_source_decays_as_the_bessel_function() -> None:
    # The line is a column of voxels, the walls across it are closed: c = q / (2 pi D) K0(r / sqrt(D / k)).
    errors = []
    for refine in (1, 2):
        edge, n = 10.0 / refine, 60 * refine + 1
        made = grid(n, n, 1, edge)
        one = np.ones((1, n * n))
        source = made.spread(np.zeros((1, 3)), np.array([1e6 * edge]))[None]  # 1e6 level um^2/h per um of the line
        level = steady(source, 20.0 * one, made.transport, np.array([3.6e4]), NONE, 1e-12).level[0]
        r = np.linalg.norm(made.centre, axis=1)
        ring = (r > 39.0) & (r < 90.0)
        exact = 1e6 / (2.0 * np.pi * 3.6e4) * k0(r[ring] / np.sqrt(3.6e4 / 20.0))
        errors.append(np.abs(level[ring] / exact - 1.0).max())
    assert errors[0] < 0.02
    assert errors[1] < errors[0] / 3.0


def _gaussian(refine: int, h: float, tolerance: float = 1e-12) -> tuple[float, float]:
    """Return the greatest error of a spreading Gaussian, and its spread of squares by which it must have grown."""
    edge, n, diffusivity = 20.0 / refine, 40 * refine, 1e4
    made = grid(n, n, 1, edge)
    first, duration = 0.2, 0.1
    faces = (np.arange(n + 1) - n / 2) * edge

    def exact(t: float) -> Floats:
        # Means over voxels, as finite volumes hold them.
        width = np.sqrt(4.0 * diffusivity * t)
        mean = np.sqrt(np.pi) * width / 2.0 * np.diff(erf(faces / width)) / edge
        return np.outer(mean, mean).ravel() * first / t

    level, none = exact(first)[None], np.zeros((1, n * n))
    for _ in range(round(duration / h)):
        level = advance(level, none, none, made.transport, np.array([diffusivity]), NONE, h, tolerance).level
    square, start = (made.centre**2).sum(axis=1), exact(first)
    grown = level[0] @ square / level.sum() - start @ square / start.sum()
    return float(np.abs(level[0] - exact(first + duration)).max()), float(grown)


def test_a_gaussian_spreads_with_second_order_in_space() -> None:
    errors = [_gaussian(refine, 0.002)[0] for refine in (1, 2)]
    assert np.log2(errors[0] / errors[1]) == pytest.approx(2.0, abs=0.1)
    assert errors[1] < 1e-3  # of a peak of 0.67


def test_a_gaussian_grows_by_four_d_t() -> None:
    # In two dimensions the mean square of the distance grows by 4 D t, on a grid as in space.
    assert _gaussian(1, 0.01)[1] == pytest.approx(4.0 * 1e4 * 0.1, rel=1e-3)


def test_a_step_is_of_second_order_in_time() -> None:
    # A cosine between closed walls decays at the rate 4 D / edge^2 sin(pi / 2n)^2 of the grid, plus the loss.
    n, edge, diffusivity, loss, duration = 12, 20.0, 1e5, 3.0, 0.2
    made = grid(n, 1, 1, edge)
    wave = 0.5 * np.cos(np.pi * (made.centre[:, 0] / (n * edge) + 0.5))[None]
    rate = loss + 4.0 * diffusivity / edge**2 * np.sin(np.pi / (2 * n)) ** 2
    exact = 2.0 / loss + (1.0 - 2.0 / loss) * np.exp(-loss * duration) + wave * np.exp(-rate * duration)
    one = np.ones((1, n))

    def error(steps: int) -> float:
        level = 1.0 + wave
        for _ in range(steps):
            level = advance(
                level, 2.0 * one, loss * one, made.transport, np.array([diffusivity]), NONE, duration / steps, 1e-14
            ).level
        return float(np.abs(level - exact).max())

    errors = [error(steps) for steps in (8, 16, 32, 64)]
    for coarse, finer in pairwise(errors):
        assert np.log2(coarse / finer) == pytest.approx(2.0, abs=0.1)


#: Concentration at the centre and its mean (uM) after 0.1, 0.5, 1, 2, 5 and 10 min: published analytic solution,
#: CompuTiX/diffusion_single/CellsAtCenter/analytical_values.csv of PerMedCoE/observatory_benchmark, commit acce722f.
PUBLISHED = np.array(
    [
        [0.1, 8.947337, 9.986105],
        [0.5, 7.868075, 9.931543],
        [1.0, 7.518685, 9.875949],
        [2.0, 7.269436, 9.817176],
        [5.0, 7.145256, 9.785264],
        [10.0, 7.139354, 9.783741],
    ]
)
#: Its twelve cells, um.
TWELVE = np.array(
    [
        [x, y, 0.0]
        for x, ys in ((-30, (-10, 10)), (-10, (-30, -10, 10, 30)), (10, (-30, -10, 10, 30)), (30, (-10, 10)))
        for y in ys
    ]
)


def _box(position: Floats, at: Floats | None, minutes: float, modes: int = 401) -> float:
    """Return the level missing at a point, or its mean, by the sine series of the published case: L 240 um, D 2000.

    Per cell 20 uM/min in a voxel of 20 um: 160,000 uM um^3/min. Products of one-dimensional heat kernels are
    integrated over time.
    """
    from scipy.integrate import quad

    L, D = 240.0, 2000.0
    k = np.arange(1, modes)[:, None] * np.pi / L

    def kernel(t: float, axis: int) -> Floats:
        decay = np.exp(-D * k**2 * t) * np.sin(k * (position[:, axis] + L / 2))
        weight = (1.0 - np.cos(k * L)) / (k * L) if at is None else np.sin(k * (at[axis] + L / 2))
        return 2.0 / L * (decay * weight).sum(axis=0)

    def rate(t: float) -> float:
        return float((kernel(t, 0) * kernel(t, 1) * kernel(t, 2)).sum())

    # In powers of ten, because the kernel has a sharp start.
    edges = np.r_[0.0, np.geomspace(1e-4, 1.0, 9)] * minutes
    return 1.6e5 * sum(quad(rate, a, b, epsrel=1e-8)[0] for a, b in pairwise(edges))


def _shared(position: Floats) -> Floats:
    """Return the centres of the eight voxels of 10 um that meet at each position."""
    return np.concatenate([position + np.array([a, b, c]) for a in (-5, 5) for b in (-5, 5) for c in (-5, 5)])


@pytest.mark.parametrize(("minutes", "centre", "mean"), PUBLISHED[[0, 2, 5]])
def test_our_series_is_the_published_analytic_solution(minutes: float, centre: float, mean: float) -> None:
    assert 10.0 - _box(TWELVE, np.zeros(3), minutes) == pytest.approx(centre, abs=2e-3)
    assert 10.0 - _box(TWELVE, None, minutes) == pytest.approx(mean, abs=2e-5)


def test_twelve_sinks_at_the_centre_follow_the_published_curve() -> None:
    # The published case has 12 voxels a side and sinks on their corners in z; 24 a side resolve it.
    made = grid(24, 24, 24, 10.0, walls="open")
    times = PUBLISHED[:, 0] * MINUTE
    missing = _deficit(made, _shared(TWELVE), 1.6e5 * 60.0 / 8.0, 2000.0 * 60.0, times)
    near = made.voxel(_shared(np.zeros((1, 3))))
    assert 10.0 - missing.mean(axis=1) == pytest.approx(PUBLISHED[:, 2], abs=2e-3)
    assert 10.0 - missing[:, near].mean(axis=1) == pytest.approx(PUBLISHED[:, 1], abs=0.05)


def test_a_single_sink_in_a_box_of_three_voxels() -> None:
    # Domain, voxels, D, walls and uptake as the published settings have them: 60 um in voxels of 20 um.
    made = grid(3, 3, 3, 20.0, walls="open")
    missing = _deficit(made, np.zeros((1, 3)), 20.0 * 8000.0 * 60.0, 2000.0 * 60.0, np.array([10.0 * MINUTE]))[0]
    # Three dimensions of three voxels can be solved by hand: eigenvectors of (-1, 2, -1) with walls half an edge away.
    one = np.array([[3.0, -1.0, 0.0], [-1.0, 2.0, -1.0], [0.0, -1.0, 3.0]]) * 2000.0 / 400.0
    eye = np.eye(3)
    whole = np.kron(np.kron(one, eye), eye) + np.kron(np.kron(eye, one), eye) + np.kron(np.kron(eye, eye), one)
    exact = np.linalg.solve(whole, np.eye(27)[13] * 20.0)
    assert missing == pytest.approx(exact, rel=1e-4)
    assert 10.0 - missing[13] == pytest.approx(9.2, abs=0.2)


def test_a_thousand_sinks_follow_the_series() -> None:
    # A thousand voxels of 20 um take up 2 uM/min each, on their own grid and on one of half the edge.
    position = grid(12, 12, 12, 20.0).centre[np.random.default_rng(2024).choice(1728, 1000, replace=False)]
    times = np.array([0.5, 2.0, 10.0]) * MINUTE
    exact = np.array([_box(position, None, 60.0 * t, 61) / 10.0 for t in times])
    errors = []
    for n, sinks in ((12, position), (24, _shared(position))):
        made = grid(n, n, n, 240.0 / n, walls="open")
        uptake = 1.6e4 * 60.0 * 1000.0 / len(sinks)
        missing = _deficit(made, sinks, uptake, 2000.0 * 60.0, times).mean(axis=1)
        errors.append(np.abs(missing / exact - 1.0).max())
    assert exact[-1] == pytest.approx(0.68, abs=0.01)
    # Walls half an edge away from the centres are of second order, and so is the whole.
    assert errors[0] < 0.04
    assert errors[0] / errors[1] > 3.5
