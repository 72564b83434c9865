"""Daughters lie within their mother, along the sinusoid or anywhere, and draws depend on who divides alone."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import kstest

from hepatalk.engines.lobule.motion import Bodies, Box, Mechanics, daughters, hexagon, relax, scale
from hepatalk.rng import Purpose, uniform_pair

N = 2000


@pytest.fixture(scope="module")
def mothers() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    return {
        "position": rng.uniform(-100, 100, (N, 3)),
        "radius": rng.uniform(8, 12, N),
        "axis": 3.0 * rng.normal(size=(N, 3)),
        "cell": np.arange(N) * 7,
        "event": np.arange(N) % 5,
    }


@pytest.mark.parametrize("unevenness", [0.0, 0.6])
@pytest.mark.parametrize("aligned", [True, False])
def test_volume_and_its_centre_are_kept_within_the_mother(
    mothers: dict[str, np.ndarray], aligned: bool, unevenness: float
) -> None:
    place, size = daughters(**mothers, seed=3, aligned=aligned, unevenness=unevenness)
    np.testing.assert_allclose((size**3).sum(axis=1), mothers["radius"] ** 3, rtol=1e-12)
    share = size**3 / (size**3).sum(axis=1)[:, None]
    np.testing.assert_allclose((share[:, :, None] * place).sum(axis=1), mothers["position"], atol=1e-10)
    out = np.linalg.norm(place - mothers["position"][:, None], axis=2) + size - mothers["radius"][:, None]
    assert out.max() < 1e-10
    assert np.abs(out.max(axis=1)).max() < 1e-10  # one of them touches the outline
    assert (np.linalg.norm(place[:, 0] - place[:, 1], axis=1) > 0.3 * mothers["radius"]).all()
    if unevenness:
        assert kstest(share[:, 0], "uniform", args=(0.2, 0.6)).pvalue > 1e-3
    else:
        assert np.array_equal(size[:, 0], size[:, 1])


def directions(mothers: dict[str, np.ndarray], **options: bool) -> np.ndarray:
    place, _ = daughters(**mothers, seed=3, **options)
    apart = place[:, 0] - place[:, 1]
    return apart / np.linalg.norm(apart, axis=1)[:, None]


def test_aligned_daughters_lie_along_the_sinusoid_either_way_round(mothers: dict[str, np.ndarray]) -> None:
    axis = mothers["axis"] / np.linalg.norm(mothers["axis"], axis=1)[:, None]
    along = (directions(mothers, aligned=True) * axis).sum(axis=1)
    np.testing.assert_allclose(np.abs(along), 1.0, atol=1e-12)
    assert abs((along > 0).mean() - 0.5) < 4 * 0.5 / np.sqrt(N)


def test_other_daughters_lie_anywhere(mothers: dict[str, np.ndarray]) -> None:
    free = directions(mothers, aligned=False)
    for k in range(3):
        assert kstest(free[:, k], "uniform", args=(-1, 2)).pvalue > 1e-3
    none = {**mothers, "axis": np.zeros((N, 3))}
    assert np.array_equal(directions(none, aligned=True), free)  # a cell without a sinusoid


def test_the_draw_is_that_of_the_cell_and_its_event(mothers: dict[str, np.ndarray]) -> None:
    free = directions(mothers, aligned=False)
    for i in (0, 17, 1999):
        u, _ = uniform_pair(3, int(mothers["cell"][i]), int(mothers["event"][i]), int(Purpose.DIVISION_AXIS))
        assert free[i, 2] == pytest.approx(1 - 2 * u, abs=1e-12)
    back = {name: value[::-1].copy() for name, value in mothers.items()}
    assert np.array_equal(daughters(**back, seed=3)[0][::-1], daughters(**mothers, seed=3)[0])


def test_daughters_part_until_they_touch() -> None:
    place, size = daughters(
        np.zeros((1, 3)), np.array([10.0]), np.array([[0.0, 0, 1]]), seed=1, cell=np.array([5]), event=np.array([0])
    )
    law = Mechanics(np.array([[1.0]]), np.array([[0.5]]), np.array([0.1]), 1.5, 1.0)
    moved = relax(Bodies(place[0], size[0], np.zeros(2, dtype=np.int8)), law, duration_h=2.0)
    assert np.linalg.norm(moved.position[0] - moved.position[1]) == pytest.approx(size.sum(), abs=0.02)
    np.testing.assert_allclose(moved.position[:, :2], 0, atol=1e-12)


def test_growth_is_affine_and_takes_the_walls_along() -> None:
    rng = np.random.default_rng(5)
    centre, factor = np.array([3.0, -2.0, 10.0]), np.array([1.2, 1.3, 1.1])
    box = hexagon(50.0, 40.0)
    points = rng.uniform(-80, 80, (500, 3))
    grown = scale(points, factor, centre)
    np.testing.assert_allclose(grown - centre, factor * (points - centre), atol=1e-12)
    larger = box.scaled(factor, centre)
    inside = (points @ box.normal.T >= box.offset).all(axis=1)
    assert 0 < inside.sum() < 500
    assert np.array_equal((grown @ larger.normal.T >= larger.offset).all(axis=1), inside)
    slab = Box(low_z=5.0, period=40.0).scaled(2.0, centre)
    assert (slab.low_z, slab.period) == (0.0, 80.0)


def test_a_hexagon_has_its_corners_where_they_were_asked_for() -> None:
    box = hexagon(50.0, 40.0, centre=(7.0, 9.0))
    corners = np.array([[7 + 50 * np.cos(a), 9 + 50 * np.sin(a), 20.0] for a in np.arange(6) * np.pi / 3])
    gap = corners @ box.normal[:6].T - box.offset[:6]
    assert (np.sort(gap, axis=1)[:, :2] < 1e-9).all()  # each corner lies on two walls
    assert gap.min() > -1e-9
    assert (np.array([[7, 9, -1.0], [7, 9, 41.0]]) @ box.normal.T - box.offset).min(axis=1).tolist() == [-1.0, -1.0]
