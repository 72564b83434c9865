"""Mechanics of cells against closed forms, balances and the order of the solver."""

from __future__ import annotations

import math

import numba
import numpy as np
import pytest
from scipy.optimize import brentq

from hepatalk.engines.lobule.motion import Bodies, Box, Mechanics, Moved, hexagon, relax, velocity

K, GAMMA, REACH = 2.0, 0.1, 1.5
LAW = Mechanics(np.array([[K]]), np.array([[1.0]]), np.array([GAMMA]), REACH, 3.0)


def one_kind(position: list[list[float]] | np.ndarray, radius: float | np.ndarray) -> Bodies:
    centres = np.array(position, dtype=float)
    return Bodies(centres, np.broadcast_to(radius, len(centres)).astype(float), np.zeros(len(centres), dtype=np.int8))


def crowd(n: int, edge: float, seed: int = 4) -> Bodies:
    """Return n cells of radius 5 in a cube, no two nearer than 4 um."""
    rng = np.random.default_rng(seed)
    kept: list[np.ndarray] = []
    while len(kept) < n:
        trial = rng.uniform(5, edge - 5, 3)
        if all(np.linalg.norm(trial - other) > 4 for other in kept):
            kept.append(trial)
    return one_kind(np.array(kept), 5.0)


def cube(edge: float) -> Box:
    return Box(np.vstack([np.eye(3), -np.eye(3)]), np.array([0, 0, 0, -edge, -edge, -edge], dtype=float))


def time_to_reach(distance: float, start: float, rest: float) -> float:
    """Return when two cells of LAW that start `start` apart are `distance` apart, h.

    dr/dt = -2 F(r) / gamma with F = K u ((d - u) / d)**2, u = r - rest, d = (reach - 1) rest; integrated by parts.
    """
    d = (REACH - 1) * rest

    def primitive(u: float) -> float:
        return math.log(abs(u / (d - u))) / d**2 + 1 / (d * (d - u))

    return -GAMMA * d**2 / (2 * K) * (primitive(distance - rest) - primitive(start - rest))


@pytest.mark.parametrize("start", [2.0, 9.0, 13.0])
@pytest.mark.parametrize("tolerance", [1e-3, 1e-4])
def test_two_cells_relax_as_the_closed_form_says(start: float, tolerance: float) -> None:
    """From overlap and from adhesion; the error of a run is near that allowed in a step."""
    cells = one_kind([[0, 0, 0], [start / math.sqrt(3)] * 3], 5.0)
    for duration in (0.005, 0.02, 0.06):
        moved = relax(cells, LAW, duration_h=duration, tolerance_um=tolerance)
        distance = float(np.linalg.norm(moved.position[1] - moved.position[0]))
        sign = math.copysign(1.0, 10 - start)
        exact = brentq(lambda r: time_to_reach(r, start, 10.0) - duration, start, 10 - sign * 1e-9, xtol=1e-13)  # noqa: B023
        assert abs(distance - exact) < 2 * tolerance
        assert moved.error_um <= tolerance
        np.testing.assert_allclose(moved.position.mean(axis=0), cells.position.mean(axis=0), atol=1e-12)


def test_the_solver_is_of_second_order() -> None:
    """Steps follow the root of the tolerance, and the error their square: it falls as the tolerance itself."""
    cells, duration = one_kind([[0, 0, 0], [4.0, 0, 0]], 5.0), 0.02
    exact = brentq(lambda r: time_to_reach(r, 4.0, 10.0) - duration, 4.0, 10 - 1e-9, xtol=1e-14)
    steps, errors = [], []
    for tolerance in (1e-3, 1e-4, 1e-5, 1e-6):
        moved = relax(cells, LAW, duration_h=duration, tolerance_um=tolerance)
        steps.append(math.log(moved.steps))
        errors.append(math.log(abs(moved.position[1, 0] - moved.position[0, 0] - exact)))
    order = -np.polyfit(steps, errors, 1)[0]
    assert order == pytest.approx(2.0, abs=0.15)


def test_pair_forces_cancel() -> None:
    cells = crowd(200, 60.0)
    speeds = velocity(cells, LAW)
    assert np.abs(speeds).max() > 1
    assert np.abs(speeds.sum(axis=0)).max() < 1e-12 * np.abs(speeds).sum()


def test_unequal_frictions_keep_their_weighted_centre() -> None:
    """What pushes one cell pushes the other: sum of friction times velocity is zero."""
    law = Mechanics(np.full((2, 2), K), np.ones((2, 2)), np.array([GAMMA, 10 * GAMMA]), REACH, 0.0)
    cells = Bodies(np.array([[0.0, 0, 0], [6.0, 0, 0]]), np.full(2, 5.0), np.array([0, 1], dtype=np.int8))
    moved = relax(cells, law, duration_h=1.0, tolerance_um=1e-3)
    shift = moved.position - cells.position
    assert shift[0, 0] == pytest.approx(-10 * shift[1, 0], rel=1e-9)
    assert moved.position[1, 0] - moved.position[0, 0] == pytest.approx(10.0, abs=1e-2)


def test_a_cell_leaves_a_wall_exponentially() -> None:
    cells = one_kind([[2.0, 50.0, 50.0]], 5.0)
    moved = relax(cells, LAW, cube(100.0), duration_h=0.03, tolerance_um=1e-4)
    rate = LAW.wall_stiffness / GAMMA
    assert moved.position[0, 0] == pytest.approx(5 - 3 * math.exp(-rate * 0.03), abs=1e-4)
    assert moved.position[0, 1:].tolist() == [50.0, 50.0]


def test_walls_hold_a_driven_crowd() -> None:
    """Each cell is driven outwards; none ends deeper in a wall than its share of the drive and the crowd allow."""
    box, cells = hexagon(40.0, 50.0), crowd(80, 50.0)
    centred = Bodies(cells.position - [25, 25, 0], cells.radius, cells.kind)
    outward = 2.0 * centred.position / np.linalg.norm(centred.position, axis=1)[:, None]
    with_drive = relax(centred, LAW, box, duration_h=2.0, tolerance_um=0.01, active=outward)
    gap = with_drive.position @ box.normal.T - box.offset
    assert gap.min() > 0
    assert (gap < 5.0 - 2.0 / LAW.wall_stiffness / 2).any()  # the drive does press cells into walls


def test_a_crowd_comes_to_rest_and_says_so() -> None:
    moved = relax(crowd(60, 50.0), LAW, cube(50.0), duration_h=100.0, tolerance_um=0.05, still_um_per_h=1e-4)
    assert moved.time_h < 100.0
    assert moved.movement_um < 0.05
    rested = one_kind(moved.position, 5.0)
    assert np.linalg.norm(velocity(rested, LAW, cube(50.0)), axis=1).max() <= 1e-4
    again = relax(rested, LAW, cube(50.0), duration_h=10.0, still_um_per_h=1e-4)
    assert (again.steps, again.time_h) == (0, 0.0)


def test_a_period_joins_floor_and_ceiling() -> None:
    """Two cells on both sides of the seam relax as the same two elsewhere."""
    box = Box(low_z=10.0, period=40.0)
    seam = relax(one_kind([[0, 0, 11.0], [0, 0, 47.0]], 5.0), LAW, box, duration_h=0.05, tolerance_um=1e-4)
    inside = relax(one_kind([[0, 0, 31.0], [0, 0, 27.0]], 5.0), LAW, box, duration_h=0.05, tolerance_um=1e-4)
    np.testing.assert_allclose(seam.position[:, 2], inside.position[:, 2] + [-20, 20], atol=1e-9)
    assert ((seam.position[:, 2] >= 10) & (seam.position[:, 2] < 50)).all()


def test_polar_cells_hold_beside_their_axis_only() -> None:
    centres, radius, kind = np.array([[0.0, 0, 0], [11.0, 0, 0]]), np.full(2, 5.0), np.zeros(2, dtype=np.int8)
    plain = velocity(Bodies(centres, radius, kind), LAW)[0, 0]
    assert plain > 0
    across = np.array([[0.0, 1, 0], [0, 0, 1]])
    along = np.array([[0.0, 1, 0], [1, 0, 0]])
    assert velocity(Bodies(centres, radius, kind, across), LAW)[0, 0] == pytest.approx(plain, rel=1e-14)
    assert velocity(Bodies(centres, radius, kind, along), LAW)[0, 0] == 0.0


def bits(moved: Moved) -> tuple[bytes, float, int, int, int, float, float]:
    rest = (moved.time_h, moved.steps, moved.rejected, moved.searches, moved.movement_um, moved.error_um)
    return (moved.position.tobytes(), *rest)


def test_threads_change_no_bit() -> None:
    if numba.config.NUMBA_NUM_THREADS < 2:
        pytest.skip("this machine gives Numba one thread")
    cells, before = crowd(300, 60.0), numba.get_num_threads()
    drive = np.random.default_rng(0).normal(size=cells.position.shape)
    found = []
    try:
        for threads in (1, 2, 1, 2):
            numba.set_num_threads(threads)
            found.append(bits(relax(cells, LAW, cube(60.0), duration_h=0.3, tolerance_um=0.02, active=drive)))
    finally:
        numba.set_num_threads(before)
    assert found[0][2] > 5
    assert len(set(found)) == 1


def test_a_permutation_of_cells_only_permutes_the_result() -> None:
    cells, shuffle = crowd(150, 60.0), np.random.default_rng(9).permutation(150)
    mixed = Bodies(cells.position[shuffle], cells.radius[shuffle], cells.kind[shuffle])
    first = relax(cells, LAW, cube(60.0), duration_h=0.05, tolerance_um=0.02)
    second = relax(mixed, LAW, cube(60.0), duration_h=0.05, tolerance_um=0.02)
    np.testing.assert_allclose(second.position, first.position[shuffle], rtol=0, atol=1e-10)
    assert bits(first) == bits(relax(cells, LAW, cube(60.0), duration_h=0.05, tolerance_um=0.02))
