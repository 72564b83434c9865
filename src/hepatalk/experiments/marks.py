"""The times at which a run is tabulated: close after each injury, wide later, and always its end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hepatalk.experiments.run import Run

__all__ = ["Mark", "Peak", "later_injuries", "marks", "peaks_after"]

#: Times that follow the first two weeks, in h: 4, 8 and 13 weeks, half a year, a year, and then years.
_LATE_H = (672.0, 1344.0, 2184.0, 4380.0, 8760.0, 17520.0, 43800.0, 87600.0)


@dataclass(frozen=True)
class Mark:
    """A time in a table, in h, and what there is to say of it."""

    at_h: float
    note: str = ""


@dataclass(frozen=True)
class Peak:
    """The highest share of a cell type in S phase after an injury: a fraction, and when, in h after time zero."""

    cell: str
    height: float
    at_h: float


def later_injuries(run: Run) -> tuple[float, ...]:
    """Return the times of injuries after time zero, in h, within the run."""
    end = float(run.result.time_h[-1])
    items = (item for item in run.experiment.schedule if "injury" in type(item).model_fields)
    return tuple(sorted({float(item.at) for item in items if 0.0 < item.at < end}))


def marks(run: Run, early_h: Sequence[float]) -> tuple[Mark, ...]:
    """Return the times at which to tabulate a run.

    Parameters
    ----------
    run : Run
    early_h : sequence of float
        Times after an injury within the first two weeks, in h, increasing.

    Returns
    -------
    tuple of Mark
        `early_h` and wider steps after time zero and again after each later injury, each of which stands with the
        values just before and just after it; the end of the run.
    """
    times, end = run.result.time_h, float(run.result.time_h[-1])
    starts = (0.0, *later_injuries(run))
    found: dict[float, str] = {}
    for start, until in zip(starts, (*starts[1:], end), strict=True):
        if start > 0.0:
            before = float(times[max(int(np.searchsorted(times, start)) - 1, 0)])
            found[before] = "before the injury"
            found[start] = "just after the injury"
        for mark in (*early_h, *_LATE_H):
            last = until == end
            if start + mark < until or (last and start + mark <= until):
                found.setdefault(start + mark, f"{mark:g} h later" if start > 0.0 else "")
    found.setdefault(end, "end")
    return tuple(Mark(t, found[t]) for t in sorted(found))


def peaks_after(run: Run, start_h: float) -> tuple[Peak, ...]:
    """Return the highest S phase of each cell type between an injury and the next, or the end; earliest first."""
    end = float(run.result.time_h[-1])
    until = min((t for t in later_injuries(run) if t > start_h), default=end + 1.0)
    times = run.result.time_h
    inside = np.flatnonzero((times >= start_h) & (times < until))
    found = []
    for name in run.result.names:
        if name.startswith("s_phase.") and len(inside):
            values = run.result.readout(name)[inside]
            i = int(values.argmax())
            found.append(Peak(name.removeprefix("s_phase."), float(values[i]), float(times[inside[i]])))
    return tuple(sorted(found, key=lambda p: p.at_h))
