"""Diffusion by Chebyshev polynomials: against the matrix exponential, within its bound, and the same bits always."""

from __future__ import annotations

from dataclasses import replace

import numba
import numpy as np
import numpy.typing as npt
import pytest
from scipy.linalg import expm

from hepatalk.engines.lobule import propagation_kernels
from hepatalk.engines.lobule.fields import Setting, Transport, advance
from hepatalk.engines.lobule.linear_kernels import Problem
from hepatalk.engines.lobule.propagation_kernels import STIFFEST, coefficients, widths
from hepatalk.engines.lobule.voxels import grid

Floats = npt.NDArray[np.float64]
EXACT = Setting(exact=True)
SIGNALS = 6


def tissue(walls: str = "open") -> Transport:
    regular = grid(5, 4, 3, 20.0, walls=walls).transport
    rng = np.random.default_rng(5)
    return replace(regular, volume=rng.uniform(4e3, 9e3, regular.sites))


def draws(t: Transport) -> tuple[Floats, Floats, Floats, Floats]:
    """Return levels, production, loss and diffusivity."""
    rng = np.random.default_rng(6)
    level, production, loss = (rng.uniform(0.0, 2.0, (SIGNALS, t.sites)) for _ in range(3))
    return level, production, loss, np.array([50.0, 400.0, 2e3, 5e3, 1e4, 3e4])


def dense(
    t: Transport, s: int, level: Floats, production: Floats, loss: Floats, rest: Floats, d: float, h: float
) -> Floats:
    """Return the level of a signal by the exponential of the whole operator."""
    m = t.sites
    a = np.diag(loss[s])
    for i in range(m):
        for e in range(t.start[i], t.start[i + 1]):
            g = d * t.area[e] / t.distance[e] / t.volume[i]
            a[i, i] += g
            a[i, t.other[e]] -= g
        a[i, i] += d * t.wall[i] / t.volume[i]
    source = production[s] - loss[s] * rest[s]
    whole = np.zeros((m + 1, m + 1))
    whole[:m, :m], whole[:m, m] = -a * h, source * h
    end: Floats = (expm(whole) @ np.append(level[s] - rest[s], 1.0))[:m] + rest[s]
    return end


@pytest.mark.parametrize("tolerance", [1e-2, 1e-5, 1e-10])
@pytest.mark.parametrize("h", [0.01, 0.3, 5.0])
def test_levels_are_those_of_the_exponential_within_the_bound(h: float, tolerance: float) -> None:
    t = tissue()
    level, production, loss, d = draws(t)
    rest = np.full(level.shape, 0.3)
    made = advance(level, production, loss, t, d, np.zeros(SIGNALS), h, tolerance, replace(EXACT, rest=rest))
    for s in range(SIGNALS):
        true = dense(t, s, level, production, loss, rest, float(d[s]), h)
        assert np.abs(made.level[s] - true).max() <= tolerance * max(1.0, float(level[s].max())) + 1e-12
    assert (made.error == 0.0).all()
    assert made.iterations[-1] > made.iterations[0]  # more for what diffuses faster


def test_nothing_is_made_or_lost_by_diffusion() -> None:
    t = tissue("closed")
    level, production, _, d = draws(t)
    none = np.zeros_like(production)
    made = advance(level, none, none, t, d, np.zeros(SIGNALS), 1.0, 1e-3, EXACT)
    assert np.allclose(made.level @ t.volume, level @ t.volume, rtol=1e-13, atol=0.0)


def test_what_stands_still_stays_to_the_last_bit() -> None:
    t = tissue("closed")
    level, _, loss, d = draws(t)
    level = np.ones_like(level)
    made = advance(level, loss * level, loss, t, d, np.zeros(SIGNALS), 0.5, 1e-6, EXACT)
    assert np.array_equal(made.level, level)


def test_a_signal_has_the_same_bits_in_any_company_and_on_any_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    t = tissue()
    level, production, loss, d = draws(t)
    together = advance(level, production, loss, t, d, np.zeros(SIGNALS), 0.2, 1e-6, EXACT)
    for s in range(SIGNALS):
        own = [x[[s]] for x in (level, production, loss)]
        alone = advance(*own, t, d[[s]], np.zeros(1), 0.2, 1e-6, EXACT)
        assert np.array_equal(alone.level[0], together.level[s])
        assert alone.iterations[0] == together.iterations[s]
    monkeypatch.setattr(propagation_kernels, "_WORTH_THREADS", 0)
    before = numba.get_num_threads()
    for threads in {1, min(2, numba.config.NUMBA_NUM_THREADS)}:
        numba.set_num_threads(threads)
        again = advance(level, production, loss, t, d, np.zeros(SIGNALS), 0.2, 1e-6, EXACT)
        assert np.array_equal(again.level, together.level)
    numba.set_num_threads(before)


@pytest.mark.parametrize(("low", "high", "h"), [(0.0, 1.0, 0.1), (0.3, 40.0, 1.0), (0.0, 4e3, 2.0), (2.0, 2.0, 3.0)])
@pytest.mark.parametrize("error", [1e-2, 1e-6, 1e-12])
def test_the_terms_that_are_left_out_are_as_small_as_they_must_be(
    low: float, high: float, h: float, error: float
) -> None:
    points = int(np.sqrt(h * (high - low) * (10.0 - np.log(error)))) + 16  # as a step chooses them
    c = np.empty(points)
    terms = coefficients(low, high, h, error, c)
    at = np.linspace(low, high, 301)
    x = (at - 0.5 * (low + high)) / max(0.5 * (high - low), 1e-300)
    z = h * at
    phi = np.divide(-np.expm1(-z), z, out=np.ones_like(z), where=z > 0.0)
    assert 1 <= terms <= points
    assert np.abs(np.polynomial.chebyshev.chebval(x, c[:terms]) - phi).max() <= error + 1e-13
    assert terms == 1 or np.abs(c[terms - 1 :]).sum() > error


def test_stiff_signals_take_implicit_steps() -> None:
    t = tissue()
    level, production, loss, d = draws(t)
    d = d * 1e4
    none = np.zeros(SIGNALS)
    f = Problem(level, production, loss, np.zeros_like(level), d, none, none, none)
    stiff = 0.2 * widths(t.tables, f) > STIFFEST
    assert stiff.any()
    assert not stiff.all()
    mixed = advance(level, production, loss, t, d, none, 0.2, 1e-8, replace(EXACT, positive=True))
    implicit = advance(level, production, loss, t, d, none, 0.2, 1e-8, Setting(positive=True))
    assert np.array_equal(mixed.level[stiff], implicit.level[stiff])
    assert (mixed.error[~stiff] == 0.0).all()
    assert (implicit.error > 0.0).all()
