"""Few cells are moved on one thread, and no bit depends on how many there are."""

from __future__ import annotations

import numba
import numpy as np
import pytest

from hepatalk.engines.lobule import threads
from hepatalk.engines.lobule.motion import Bodies, Box, Mechanics, relax
from hepatalk.engines.lobule.threads import as_worth

LAW = Mechanics(np.array([[10.0]]), np.array([[0.3]]), np.array([1.0]), 1.5, 20.0)


def crowd(n: int) -> Bodies:
    rng = np.random.default_rng(2)
    return Bodies(rng.uniform(1.0, 79.0, (n, 3)), rng.uniform(4.0, 6.0, n), np.zeros(n, dtype=np.int8))


def test_few_cells_take_one_thread_and_the_number_comes_back() -> None:
    before = numba.get_num_threads()
    with as_worth(threads.WORTH_CELLS - 1):
        assert numba.get_num_threads() == 1
    assert numba.get_num_threads() == before
    with as_worth(threads.WORTH_CELLS):
        assert numba.get_num_threads() == before
    with pytest.raises(ValueError, match="within"), as_worth(1):
        raise ValueError("within")
    assert numba.get_num_threads() == before


def test_the_mechanics_has_the_same_bits_on_all_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    cells, box = crowd(500), Box(np.vstack([np.eye(3), -np.eye(3)]), np.array([0.0] * 3 + [-80.0] * 3))
    few = relax(cells, LAW, box, duration_h=0.2, tolerance_um=0.05)
    monkeypatch.setattr(threads, "WORTH_CELLS", 0)
    many = relax(cells, LAW, box, duration_h=0.2, tolerance_um=0.05)
    assert np.array_equal(few.position, many.position)
    assert (few.steps, few.rejected, few.searches) == (many.steps, many.rejected, many.searches)
