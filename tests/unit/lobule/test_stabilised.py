"""Stabilised steps of the mechanics: order, reach, the decay that is found, and where the mechanics takes them."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest

from hepatalk.engines.lobule import motion
from hepatalk.engines.lobule.motion import Bodies, Box, Mechanics, relax
from hepatalk.engines.lobule.stabilised import (
    MOST_STAGES,
    fastest_decay,
    reach_of,
    stabilised_step,
    stages_for,
)

Floats = npt.NDArray[np.float64]
RATES = np.array([0.1, 1.0, 7.0, 30.0])[:, None] * np.ones((1, 3))


def decay(position: Floats) -> Floats:
    """Return the velocities of cells that go home, each at its own pace."""
    return -RATES * position


def crowd(n: int, edge: float) -> tuple[Bodies, Box]:
    rng = np.random.default_rng(4)
    box = Box(np.vstack([np.eye(3), -np.eye(3)]), np.array([0.0] * 3 + [-edge] * 3))
    return Bodies(rng.uniform(2.0, edge - 2.0, (n, 3)), np.full(n, 5.0), np.zeros(n, dtype=np.int8)), box


@pytest.mark.parametrize("stages", [2, 3, 5, MOST_STAGES])
def test_the_step_is_of_second_order(stages: int) -> None:
    begin = np.array([[1.0, 2.0, -3.0]] * 4)
    errors = []
    for h in (2e-3, 1e-3):
        there = stabilised_step(decay, begin, decay(begin), h, stages)
        errors.append(float(np.abs(there - begin * np.exp(-RATES * h)).max()))
    assert math.log2(errors[0] / errors[1]) == pytest.approx(3.0, abs=0.1)  # of one step


@pytest.mark.parametrize("stages", range(2, MOST_STAGES + 1))
def test_no_decay_grows_within_the_reach_of_the_stages(stages: int) -> None:
    assert stages_for(reach_of(stages)) == stages
    begin = np.ones((4, 3))
    for share in np.linspace(0.05, 1.0, 20):
        h = share * reach_of(stages) / RATES.max()
        there = stabilised_step(decay, begin, decay(begin), h, stages)
        assert (np.abs(there) <= 1.0).all()
    beyond = stabilised_step(decay, begin, decay(begin), 2.0 * reach_of(stages + 1) / RATES.max(), stages)
    assert np.abs(beyond).max() > 1.0


def test_the_fastest_decay_is_found() -> None:
    here = np.ones((4, 3))
    towards = np.ones((4, 3))
    for _ in range(5):
        found, towards = fastest_decay(decay, here, decay(here), towards)
    assert found == pytest.approx(1.2 * 30.0, rel=1e-3)  # with its margin


def test_crowds_take_stabilised_steps_and_end_where_short_steps_end(monkeypatch: pytest.MonkeyPatch) -> None:
    law = Mechanics(np.array([[10.0]]), np.array([[0.5]]), np.array([1.0]), 1.5, 20.0)
    cells, box = crowd(200, 60.0)
    taken = []

    def counted(*given: object) -> Floats:
        taken.append(given[-1])
        return stabilised_step(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(motion, "stabilised_step", counted)
    rough = relax(cells, law, box, duration_h=1.0, tolerance_um=0.1)
    assert taken
    assert max(taken) <= MOST_STAGES  # type: ignore[type-var]
    fine = relax(cells, law, box, duration_h=1.0, tolerance_um=1e-3)
    assert rough.steps < 0.5 * fine.steps
    assert rough.error_um <= 0.1
    off = np.linalg.norm(rough.position - fine.position, axis=1)
    assert off.mean() < 0.1  # the error that each step may have
