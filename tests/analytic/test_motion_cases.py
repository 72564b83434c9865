"""The mechanical cases of published comparisons of tools (docs/lobule_cases.md), judged by what they must come to."""

from __future__ import annotations

import importlib.util
import math
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.optimize import brentq


@pytest.fixture(scope="module")
def cases(repository: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_motion_cases", repository / "scripts" / "make_motion_cases.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def pull(r: float) -> float:
    """Return force by stiffness at distance r of two cells of radius 5 um and reach 1.5, um."""
    return (r - 10) * ((15 - r) / 5) ** 2 if r < 15 else 0.0


@pytest.mark.parametrize("rate", [120.0, 600.0, 3000.0])
def test_pushing(cases: ModuleType, rate: float) -> None:
    """Free flight, then a solution of high accuracy, then the balance of drive and repulsion."""
    time, distance = cases.pushing(rate)
    free = time < 0.75
    np.testing.assert_allclose(distance[free], 30 - 20 * time[free], atol=1e-9)
    exact = solve_ivp(
        lambda _, r: [-1200 - 2 * rate * pull(r[0])],
        (0.0, 2.0 / 60),
        [30.0],
        "Radau",
        time[:21] / 60,
        rtol=1e-9,
        atol=1e-10,
        max_step=1e-4,
    )
    np.testing.assert_allclose(distance[:21], exact.y[0], atol=5e-3)
    balance = brentq(lambda r: rate * pull(r) + 600, 5, 10)
    assert distance[-1] == pytest.approx(balance, abs=1e-6)


@pytest.mark.parametrize("rate", [20.0, 60.0, 180.0])
def test_relaxation(cases: ModuleType, rate: float) -> None:
    time, x = cases.relaxation(rate)
    distance = x[:, 1] - x[:, 0]

    def primitive(u: float) -> float:
        return math.log(abs(u / (5 - u))) / 25 + 1 / (5 * (5 - u))

    def late(r: float, hours: float) -> float:
        return -25 / (2 * rate) * (primitive(r - 10) - primitive(-1.0)) - hours

    exact = [brentq(late, 9.0, 10 - 1e-12, args=(t / 60,), xtol=1e-12) for t in time]
    np.testing.assert_allclose(distance, exact, atol=2e-4)  # twice the tolerance of a step: there are two cells
    np.testing.assert_allclose(x.sum(axis=1), 0, atol=1e-12)


def test_relaxation_of_unequal_frictions(cases: ModuleType) -> None:
    """The distance relaxes at the mean of the mobilities; the sluggish cell moves a tenth as far."""
    _, x = cases.relaxation(60.0, (1.0, 10.0))
    shift = x - x[0]
    np.testing.assert_allclose(shift[1:, 0], -10 * shift[1:, 1], rtol=1e-9)
    _, equal = cases.relaxation(60.0 * 0.55)
    np.testing.assert_allclose(x[:, 1] - x[:, 0], equal[:, 1] - equal[:, 0], atol=1e-3)


def test_impulse(cases: ModuleType) -> None:
    """v = F / friction = 20 pN / 0.12 kg/s = 1.667e-4 um/s for 3 s, and no inertia before or after."""
    time, place = cases.impulse()
    expected = np.clip(time - 3, 0, 3) * 20e-12 / 0.12 * 1e6
    np.testing.assert_allclose(place, expected, rtol=1e-9, atol=1e-16)
    assert place[-1] == pytest.approx(5e-4, rel=1e-9)


def test_single_step(cases: ModuleType) -> None:
    time, place = cases.single_step()
    np.testing.assert_allclose(place, np.minimum(time, 0.1) * 10, atol=1e-12)
