"""Work in several processes: fresh ones, deaf to Ctrl-C, with results in order and progress as they come."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from multiprocessing import get_context
from typing import TypeVar

from hepatalk.engines.base import Progress

__all__ = ["FEW", "deaf_children", "in_parallel"]

J = TypeVar("J")
R = TypeVar("R")

#: Fewer jobs than this are done here: starting other processes would take longer.
FEW = 4


def in_parallel(
    work: Callable[[J], R],
    jobs: Sequence[J],
    *,
    workers: int | None = None,
    few: int = FEW,
    progress: Progress | None = None,
    took: Callable[[int, R], None] | None = None,
) -> list[R]:
    """Do independent jobs, in as many processes as are worth it.

    Parameters
    ----------
    work : callable
        A function of a module, for it is found by its name in the other processes; jobs and results are pickled.
    jobs : sequence
    workers : int, optional
        Processes; as many as there are processors when omitted. With one, the jobs are done here.
    few : int
        Fewer jobs than this are done here.
    progress : callable, optional
        Told the fraction of the jobs done: 0 at the start, 1 at the end.
    took : callable, optional
        Told (place of the job, its result) at once when a result is there, in any order, always in this process.

    Returns
    -------
    list
        Results in the order of the jobs.

    Raises
    ------
    Exception
        Whatever a job raises; jobs that have not begun are then dropped.
    """
    found: dict[int, R] = {}
    if progress is not None:
        progress(0.0)
    if progress is not None and not jobs:
        progress(1.0)

    def arrived(place: int, result: R) -> None:
        found[place] = result
        if took is not None:
            took(place, result)
        if progress is not None:
            progress(len(found) / len(jobs))

    count = min(workers or os.cpu_count() or 1, len(jobs))
    if count <= 1 or len(jobs) < few:
        for place, job in enumerate(jobs):
            arrived(place, work(job))
    else:
        _in_pool(work, jobs, count, arrived)
    return [found[place] for place in range(len(jobs))]


def _in_pool(work: Callable[[J], R], jobs: Sequence[J], count: int, arrived: Callable[[int, R], None]) -> None:
    # Forked copies of a process that has run the solver hang in its thread library; fresh ones do not.
    pool = ProcessPoolExecutor(count, mp_context=get_context("spawn"))
    try:
        with deaf_children():
            places = {pool.submit(work, job): place for place, job in enumerate(jobs)}
        for future in as_completed(places):
            arrived(places[future], future.result())
    finally:
        # After an error or Ctrl-C nothing new is begun; at the end there is nothing to drop.
        pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def deaf_children() -> Iterator[None]:
    """Leave Ctrl-C, which a terminal sends to all processes, to this one: processes inherit what is blocked."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
