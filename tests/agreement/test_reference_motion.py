"""The compiled mechanics against a slow second implementation: every pair, no grid, plain Python numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hepatalk.engines.lobule.motion import Bodies, Box, Mechanics, contacts, hexagon, relax, velocity


def reference_velocity(
    cells: Bodies, law: Mechanics, box: Box, active: list[list[float]] | None = None
) -> list[list[float]]:
    """Return the velocity of each cell, um/h, from the equations as the documentation of the engine writes them."""
    n = len(cells.radius)
    out = []
    for i in range(n):
        force = [0.0, 0.0, 0.0] if active is None else list(active[i])
        for j in range(n):
            if j != i:
                pull = pair_force(cells, law, box, i, j)
                force = [a + b for a, b in zip(force, pull, strict=True)]
        for normal, offset in zip(box.normal.tolist(), box.offset.tolist(), strict=True):
            gap = sum(a * b for a, b in zip(normal, cells.position[i].tolist(), strict=True)) - offset
            overlap = max(float(cells.radius[i]) - gap, 0.0)
            force = [f + law.wall_stiffness * overlap * a for f, a in zip(force, normal, strict=True)]
        out.append([f / float(law.friction[cells.kind[i]]) for f in force])
    return out


def pair_force(cells: Bodies, law: Mechanics, box: Box, i: int, j: int) -> list[float]:
    """Return the force of cell j on cell i, nN."""
    away = (cells.position[j] - cells.position[i]).tolist()
    if box.period > 0:
        away[2] = min((away[2] + k * box.period for k in (-2, -1, 0, 1, 2)), key=abs)
    r = math.sqrt(sum(a * a for a in away))
    s = float(cells.radius[i] + cells.radius[j])
    end = law.reach * s
    if r >= end:
        return [0.0, 0.0, 0.0]
    u = [a / r for a in away]
    k = float(law.stiffness[cells.kind[i], cells.kind[j]])
    size = k * (r - s) * ((end - r) / (end - s)) ** 2
    if r > s:
        size *= float(law.adhesion[cells.kind[i], cells.kind[j]])
        if len(cells.polarity):
            for axis in (cells.polarity[i].tolist(), cells.polarity[j].tolist()):
                size *= 1 - sum(a * b for a, b in zip(axis, u, strict=True)) ** 2
    return [size * a for a in u]


BOXES = {
    "free": Box(),
    "hexagon": hexagon(75.0, 80.0),
    "periodic": hexagon(75.0, 80.0, periodic=True),
    "four-bins": hexagon(75.0, 75.0, periodic=True),
}


def tissue(seed: int, n: int = 120, *, polar: bool = True) -> Bodies:
    """Return cells of two kinds, crowded, some over the walls, with an axis or without."""
    rng = np.random.default_rng(seed)
    position = np.column_stack([rng.uniform(-50, 50, n), rng.uniform(-42, 42, n), rng.uniform(0, 75, n)])
    axis = rng.normal(size=(n, 3))
    axis /= np.linalg.norm(axis, axis=1)[:, None]
    axis[::4] = 0
    kind = (np.arange(n) % 3 == 0).astype(np.int8)
    radius = np.where(kind == 1, 5.0, 10.0) * rng.uniform(0.8, 1.2, n)
    return Bodies(position, radius, kind, axis if polar else np.zeros((0, 3)))


LAW = Mechanics(np.array([[3.0, 2.0], [2.0, 1.0]]), np.array([[0.5, 0.1], [0.1, 0.0]]), np.array([0.2, 0.05]), 1.5, 4.0)


@pytest.mark.parametrize("polar", [True, False])
@pytest.mark.parametrize("name", BOXES)
def test_velocities_equal_the_reference(name: str, polar: bool) -> None:
    cells, box = tissue(7, polar=polar), BOXES[name]
    active = np.random.default_rng(8).normal(size=cells.position.shape)
    expected = np.array(reference_velocity(cells, LAW, box, active.tolist()))
    assert np.abs(expected).max() > 10
    found = velocity(cells, LAW, box, active=active)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12 * np.abs(expected).max())


@pytest.mark.parametrize("name", BOXES)
@pytest.mark.parametrize("reach", [1.0, 1.5])
def test_contacts_are_all_pairs_within_reach(name: str, reach: float) -> None:
    cells, box = tissue(3, 200), BOXES[name]
    near = contacts(cells.position, cells.radius, reach, low_z=box.low_z, period=box.period)
    for i in range(200):
        away = cells.position - cells.position[i]
        if box.period > 0:
            away[:, 2] -= box.period * np.round(away[:, 2] / box.period)
        within = np.linalg.norm(away, axis=1) < reach * (cells.radius + cells.radius[i])
        within[i] = False
        assert near.of(i).tolist() == np.flatnonzero(within).tolist()


def test_a_step_equals_a_step_of_the_reference() -> None:
    cells, box, h = tissue(5, 60), BOXES["periodic"], 1e-4
    first = np.array(reference_velocity(cells, LAW, box))
    ahead = Bodies(cells.position + h * first, cells.radius, cells.kind, cells.polarity)
    second = np.array(reference_velocity(ahead, LAW, box))
    moved = relax(cells, LAW, box, duration_h=h, tolerance_um=1.0)
    assert moved.steps == 1
    expected = cells.position + h * (first + second) / 2
    expected[:, 2] -= box.period * np.floor(expected[:, 2] / box.period)
    np.testing.assert_allclose(moved.position, expected, rtol=0, atol=1e-12 * 80)
    error = np.linalg.norm(h * (second - first) / 2, axis=1).max()
    assert moved.error_um == pytest.approx(error, rel=1e-9)


def test_a_thin_cloud_needs_no_more_bins_than_it_has_cells() -> None:
    """A grid over the whole extent would have 10^15 bins."""
    rng = np.random.default_rng(2)
    position = np.vstack([rng.uniform(0, 30, (50, 3)), [[1e6, 1e6, 1e6]]])
    radius = np.full(51, 5.0)
    near = contacts(position, radius, 1.5)
    gap = np.linalg.norm(position[:, None] - position, axis=2) + np.diag(np.full(51, np.inf))
    assert [near.of(i).tolist() for i in range(51)] == [np.flatnonzero(row < 15).tolist() for row in gap]


def test_a_cell_may_have_more_neighbours_than_a_list_has_room_for_at_first() -> None:
    position = np.random.default_rng(1).normal(size=(300, 3))
    near = contacts(position, np.full(300, 20.0), 1.5)
    assert np.diff(near.start).tolist() == [299] * 300
