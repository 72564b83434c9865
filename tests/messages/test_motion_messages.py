"""What the mechanics of cells refuses, and what it says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from hepatalk.engines.lobule.motion import (
    Bodies,
    Box,
    Mechanics,
    contacts,
    daughters,
    hexagon,
    relax,
    scale,
    velocity,
)
from hepatalk.errors import HepatalkError

LAW = Mechanics(np.array([[1.0]]), np.array([[0.5]]), np.array([0.1]), 1.5, 2.0)
CELLS = Bodies(np.array([[0.0, 0, 20], [9.0, 0, 20], [18.0, 0, 20]]), np.full(3, 5.0), np.zeros(3, dtype=np.int8))


def at(row: int, place: list[float]) -> Bodies:
    position = CELLS.position.copy()
    position[row] = place
    return replace(CELLS, position=position)


def divide(**changes: object) -> None:
    given = {"axis": np.ones((3, 3)), "seed": 1, "cell": np.arange(3), "event": np.zeros(3, dtype=int)} | changes
    daughters(CELLS.position, CELLS.radius, **given)  # type: ignore[arg-type]


REFUSED: dict[str, tuple[Callable[[], object], str, int]] = {
    "nowhere": (lambda: relax(at(1, [0, np.nan, 0]), LAW, duration_h=1), r"^cell 1 is at \(0, nan, 0\) um; allowed", 1),
    "infinite": (lambda: velocity(at(2, [np.inf, 0, 0]), LAW), "^cell 2 is at .inf", 1),
    "no size": (lambda: velocity(replace(CELLS, radius=np.array([5.0, 5, 0])), LAW), "^cell 2 has radius 0 um", 1),
    "same centre": (lambda: velocity(at(2, [9, 0, 20]), LAW), "^cell 1 .* same centre .* place daughters apart", 1),
    "outside": (
        lambda: relax(at(1, [50, 0, 20]), LAW, hexagon(40, 40), duration_h=1),
        r"^cell 1 at \(50, 0, 20\) um is outside wall 0; allowed: at most one radius \(5 um\)",
        1,
    ),
    "driven through a wall": (
        lambda: relax(CELLS, LAW, hexagon(40, 40), duration_h=9, active=np.array([[0, 0, 0], [0, 0, 0], [0, 0, 1e3]])),
        "^cell 2 .* is outside wall 7; .* look at what drives it",
        1,
    ),
    "wild force": (
        lambda: relax(CELLS, LAW, duration_h=1, active=np.array([[0, 0, 0], [0, np.nan, 0], [0, 0, 0]])),
        "^cell 1 has velocity .*nan.* look at its active force",
        1,
    ),
    "too many steps": (lambda: relax(CELLS, LAW, duration_h=9, most_steps=2), "cells reached .* in 2 steps; cell", 1),
    "kind": (lambda: velocity(replace(CELLS, kind=np.array([0, 1, 0], dtype=np.int8)), LAW), "one of 0 to 0", 1),
    "active rows": (lambda: velocity(CELLS, LAW, active=np.zeros((2, 3))), r"^active of shape \(2, 3\)", 1),
    "polarity rows": (lambda: velocity(replace(CELLS, polarity=np.zeros((1, 3))), LAW), "^polarity of shape", 1),
    "radius rows": (lambda: contacts(CELLS.position, np.ones(2), 1.0), "one row per cell", 1),
    "reach of contacts": (lambda: contacts(CELLS.position, CELLS.radius, 0.0), "^reach 0 and skin 0", 2),
    "short period": (
        lambda: contacts(CELLS.position, CELLS.radius, 1.5, period=29),
        "^period 29 um .* least 30 um",
        2,
    ),
    "tolerance": (lambda: relax(CELLS, LAW, duration_h=1, tolerance_um=0), "tolerance 0 um", 2),
    "duration": (lambda: relax(CELLS, LAW, duration_h=-1), "^duration -1 h", 2),
    "one-sided table": (
        lambda: Mechanics(np.array([[1.0, 2], [3, 1]]), np.ones((2, 2)), np.ones(2), 1.5, 1),
        "^stiffness differs from its mirror image",
        2,
    ),
    "pull as push": (lambda: replace(LAW, adhesion=np.array([[-1.0]])), r"^adhesion of shape \(1, 1\)", 2),
    "no friction": (lambda: replace(LAW, friction=np.zeros(1)), "^friction; allowed", 2),
    "reach": (lambda: replace(LAW, reach=1.0), "^reach 1; allowed: above 1", 2),
    "wall stiffness": (lambda: replace(LAW, wall_stiffness=-1.0), "^wall stiffness -1", 2),
    "crooked wall": (lambda: Box(np.array([[0, 0, 2.0]]), np.zeros(1)), "^the normal of wall 0", 2),
    "walls without offsets": (lambda: Box(np.eye(3), np.zeros(2)), "2 finite offsets", 2),
    "growth": (lambda: scale(CELLS.position, 0.0, np.zeros(3)), r"^growth by \[0.0, 0.0, 0.0\]", 2),
    "unevenness": (lambda: divide(unevenness=1.0), "^unevenness 1", 2),
    "seed": (lambda: divide(seed=-1), "^seed -1", 2),
    "axes": (lambda: divide(axis=np.ones((2, 3))), "one row for each of the 3 dividing cells", 1),
    "axis": (lambda: divide(axis=np.array([[1.0, 0, 0], [np.nan, 0, 0], [0, 0, 1]])), "^axis of cell 1", 1),
}


@pytest.mark.parametrize("name", REFUSED)
def test_it_is_refused_in_one_line(name: str) -> None:
    act, text, code = REFUSED[name]
    with pytest.raises(HepatalkError, match=text) as caught:
        act()
    assert caught.value.exit_code == code
    assert "\n" not in str(caught.value)


def test_no_cells_are_no_fault() -> None:
    none = Bodies(np.zeros((0, 3)), np.zeros(0), np.zeros(0, dtype=np.int8))
    assert relax(none, LAW, duration_h=1).position.shape == (0, 3)
    assert velocity(none, LAW, hexagon(40, 40)).shape == (0, 3)
    assert contacts(none.position, none.radius, 1.5).start.tolist() == [0]
