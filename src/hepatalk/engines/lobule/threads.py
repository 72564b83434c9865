"""How many threads a piece of work is worth."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numba

__all__ = ["WORTH_CELLS", "as_worth"]

#: Cells from which on threads pay in the mechanics: starting them costs tens of microseconds for each of thousands of
#: short loops, and milliseconds where other programs hold the processors.
WORTH_CELLS = 20_000


@contextmanager
def as_worth(cells: int) -> Iterator[None]:
    """Do what is within on one thread where there are few cells; no number depends on it.

    Parameters
    ----------
    cells : int
    """
    before = numba.get_num_threads()
    if cells >= WORTH_CELLS or before == 1:
        yield
        return
    numba.set_num_threads(1)
    try:
        yield
    finally:
        numba.set_num_threads(before)
