"""What the pictures of a run show, as numbers: gathered once, drawn by matplotlib and by plotly."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hepatalk.experiments.comparison import AnimalGroup, Study, matches_animals, rat_groups, rat_study, volume_error
from hepatalk.experiments.culture import Culture
from hepatalk.experiments.drivers import Driver, Prepared, Turn, drivers, drivers_over_time, since_peak
from hepatalk.experiments.items import PartialHepatectomy
from hepatalk.experiments.run import Run
from hepatalk.knowledge.load import Knowledge, load
from hepatalk.plots.palette import CELLS
from hepatalk.results.result import Result

__all__ = ["Animals", "Drive", "DriveRow", "Growth", "Moment", "Responses", "View", "Wave", "view_of"]

Floats = npt.NDArray[np.float64]

DRIVEN = ("s_phase.HEP", "liver_volume")
MOST_SIGNALS = 20
#: A signal that never leaves health by more than this (log2 fold; about 7%) is not said to respond.
LEAST_RESPONSE = 0.1
#: A signal that never reaches this part of its healthy level in a dish was washed away and does not come back.
LEAST_IN_DISH = 0.01
#: How far above its start a share of cells in S phase must rise to count as a wave.
LEAST_WAVE = 1.2
#: Statements drawn for a readout: those that act on the process itself, and those upstream of it.
MOST_DIRECT, MOST_UPSTREAM = 7, 7
#: A statement that never reaches this part of the strongest push is not drawn.
LEAST_SHARE = 0.03
#: How many statements of each moment are listed in a report.
MOST_LISTED = 10
#: Name of the moment at which a wave falls fastest.
FALL = "steepest fall"
#: When the driving statements are looked at: dense where much happens.
_LOOKED_AT_H = (0.0, 1.0, 3.0, 6.0, 12.0, 24.0, 48.0, 72.0, 120.0, 168.0, 240.0, 336.0, 672.0, 2160.0, 8760.0)


@dataclass(frozen=True)
class Animals:
    """Real animals that belong beside a run."""

    study: Study
    volume: tuple[AnimalGroup, ...]
    flow: tuple[AnimalGroup, ...]
    #: True where the run holds something beside the resection that the animals did not have.
    treated_otherwise: bool


@dataclass(frozen=True)
class Wave:
    """The first wave of S phase of a cell type: height as a fraction of the type, time in h."""

    cell: str
    peak: float
    peak_h: float


@dataclass(frozen=True)
class Responses:
    """Signals in order of appearance.

    Attributes
    ----------
    names : tuple (n_signals,) of str
    log2_fold : (n_signals, n_times) float array
        log2 of the level over its healthy value.
    half_h : (n_signals,) float array
        When half of the largest change was first reached, hours.
    extreme, extreme_h : (n_signals,) float arrays
        The level (x healthy) farthest from health, and when (hours).
    """

    names: tuple[str, ...]
    log2_fold: Floats
    half_h: Floats
    extreme: Floats
    extreme_h: Floats


@dataclass(frozen=True)
class DriveRow:
    """One statement's push on a readout over time; ``effect`` (n_times,) is on ln(rate / healthy rate)."""

    row: str
    claim: str
    level: int
    effect: Floats


@dataclass(frozen=True)
class Moment:
    """What drives a readout at one time, strongest first."""

    name: str
    at_h: float
    drivers: tuple[Driver, ...]


@dataclass(frozen=True)
class Drive:
    """What drives one readout: over time, and at the moments that matter."""

    readout: str
    time_h: Floats
    rows: tuple[DriveRow, ...]
    moments: tuple[Moment, ...]
    #: What changed between the peak and the steepest fall after it, where there is one.
    turn: Turn | None = None


@dataclass(frozen=True)
class Growth:
    """Hepatocyte mass as what was left, what these cells grew by, and new cells; each (n_times,), of healthy mass."""

    remnant: Floats
    enlargement: Floats
    new_cells: Floats


@dataclass(frozen=True)
class View:
    """All that the pictures of a run need."""

    run: Run
    knowledge: Knowledge
    animals: Animals | None
    error: float | None
    waves: tuple[Wave, ...]
    responses: Responses
    drives: tuple[Drive, ...]
    growth: Growth

    @property
    def result(self) -> Result:
        """The result of the run."""
        return self.run.result

    @property
    def dish(self) -> Culture | None:
        """What a dish holds, None for an animal."""
        return self.run.experiment.culture

    @property
    def cells(self) -> tuple[str, ...]:
        """Cell types of which there are any, in the order of `CELLS`."""
        return CELLS if self.dish is None else tuple(cell for cell in CELLS if cell in self.dish.cells)

    @property
    def time_label(self) -> str:
        """What the time axis counts from."""
        resected = any(isinstance(i, PartialHepatectomy) and i.at == 0.0 for i in self.run.experiment.schedule)
        return "time after resection" if resected else "time"

    def states(self, cell: str) -> tuple[str, ...]:
        """Return the states of a cell type as they are stacked: at rest first, dividing last."""
        prefix = f"state.{cell}."
        names = [n.removeprefix(prefix) for n in self.result.names if n.startswith(prefix)]
        return tuple(sorted(names, key=lambda state: {"resting": 0, "quiescent": 0, "refractory": 1}.get(state, 2)))


def view_of(run: Run, knowledge: Knowledge | None = None) -> View:
    """Gather what the pictures of a run show.

    Parameters
    ----------
    run : Run
    knowledge : Knowledge, optional
        The shipped knowledge base when omitted.

    Returns
    -------
    View
        To be handed to `figures`, `save_figures` and `write_report` when more than one of them is wanted.
    """
    facts = load() if knowledge is None else knowledge
    error, prepared = volume_error(run.result), Prepared(run)
    animals = None
    if matches_animals(run.experiment):
        groups = rat_groups("liver_volume_fraction"), rat_groups("portal_flow_per_volume_ratio")
        animals = Animals(rat_study(), *groups, treated_otherwise=error is None)
    return View(
        run,
        facts,
        animals,
        error,
        _waves(run.result, CELLS if run.experiment.culture is None else tuple(run.experiment.culture.cells)),
        _responses(run.result, LEAST_IN_DISH if run.experiment.culture is not None else 0.0),
        tuple(_drive(run, readout, facts, prepared) for readout in _driven(run)),
        _growth(run.result),
    )


def _driven(run: Run) -> tuple[str, ...]:
    """Return the readouts whose drivers are looked for; a dish has no liver whose volume could be driven."""
    culture = run.experiment.culture
    if culture is None:
        return DRIVEN
    return tuple(f"s_phase.{cell}" for cell in CELLS if cell in culture.cells)[:1]


def _waves(result: Result, cells: Collection[str]) -> tuple[Wave, ...]:
    """Return the first waves, earliest first."""
    found = []
    for cell in (cell for cell in CELLS if cell in cells):
        item = result.readouts.get(f"s_phase.{cell}")
        # At rest a few cells divide too; the largest of their ripples is no wave.
        if item is not None and item.first_wave is not None and item.first_wave[0] > LEAST_WAVE * item.values[0]:
            found.append(Wave(cell, *item.first_wave))
    return tuple(sorted(found, key=lambda wave: wave.peak_h))


def _responses(result: Result, least: float = 0.0) -> Responses:
    """Return the signals that respond most, in order of the time of their half-maximal response.

    Those that never exceed ``least`` (x healthy) are left out.
    """
    names = [n for n in result.names if n.startswith("signal.") and float(result.readout(n).max()) >= least]
    time_h = result.time_h
    levels = np.array([result.readout(n) for n in names]).reshape(len(names), len(time_h))
    logs = np.log2(np.maximum(levels, 2.0**-20))
    size = np.abs(logs).max(axis=1, initial=0.0)
    chosen = [int(i) for i in np.argsort(-size, kind="stable")[:MOST_SIGNALS] if size[i] >= LEAST_RESPONSE]
    half = {}
    for i in chosen:
        top = int(np.abs(logs[i]).argmax())
        change = np.abs(levels[i, : top + 1] - 1.0)
        after = int(np.argmax(change >= 0.5 * change[top]))
        before = max(after - 1, 0)
        span = change[after] - change[before]
        part = (0.5 * change[top] - change[before]) / span if span > 0.0 else 0.0
        half[i] = float(time_h[before] + part * (time_h[after] - time_h[before]))
    order = sorted(chosen, key=lambda i: half[i])
    tops = np.abs(logs[order]).argmax(axis=1) if order else np.zeros(0, dtype=int)
    return Responses(
        tuple(names[i].removeprefix("signal.") for i in order),
        logs[order],
        np.array([half[i] for i in order]),
        np.array([levels[i, t] for i, t in zip(order, tops, strict=True)]),
        time_h[tops],
    )


def _growth(result: Result) -> Growth:
    """Split mass = number x cell volume: growth of the cells that were left, and new cells at their present size."""
    count, volume = result.readout("hepatocyte_count"), result.readout("hepatocyte_volume")
    remnant = np.full_like(count, count[0] * volume[0])
    enlargement = count[0] * (volume - volume[0])
    return Growth(remnant, enlargement, (count - count[0]) * volume)


def _moments(result: Result, readout: str) -> list[tuple[str, float]]:
    """Return the times at which a readout rises fastest, falls fastest after its peak (if it does), and ends."""
    time_h, values = result.time_h, result.readout(readout)
    slope = np.gradient(values, time_h) if len(time_h) > 1 else np.zeros(1)
    top = int(values.argmax())
    # The very first hour holds the injury itself, so the rise is looked for after it.
    start = int(np.searchsorted(time_h, 1.0))
    moments = []
    if top > start:
        moments.append(("steepest rise", float(time_h[start + int(slope[start : top + 1].argmax())])))
    if readout.startswith("s_phase.") and top < len(values) - 1:
        moments.append((FALL, float(time_h[top + int(slope[top:].argmin())])))
    return [*moments, ("end of the run", float(time_h[-1]))]


def _drive(run: Run, readout: str, facts: Knowledge, prepared: Prepared) -> Drive:
    """Return what drives a readout; the rows drawn are the strongest at the moments listed."""
    moments = tuple(
        Moment(name, at_h, drivers(run, readout, at_h, len(facts.interactions), knowledge=facts, prepared=prepared))
        for name, at_h in _moments(run.result, readout)
    )
    best: dict[str, Driver] = {}
    for driver in (d for moment in moments for d in moment.drivers):
        known = best.get(driver.row)
        if known is None or abs(driver.effect) > abs(known.effect):
            best[driver.row] = driver
    ranked = sorted(best.values(), key=lambda d: -abs(d.effect))
    ranked = [d for d in ranked if abs(d.effect) >= LEAST_SHARE * abs(ranked[0].effect)]
    shown = [d for d in ranked if d.level == 1][:MOST_DIRECT] + [d for d in ranked if d.level > 1][:MOST_UPSTREAM]
    end_h = float(run.result.time_h[-1])
    times = np.union1d([t for t in _LOOKED_AT_H if t < end_h], [m.at_h for m in moments])
    effects = drivers_over_time(run, readout, [float(t) for t in times], prepared=prepared) if shown else {}
    rows = tuple(DriveRow(d.row, d.claim, d.level, effects[d.row]) for d in shown if d.row in effects)
    listed = tuple(Moment(m.name, m.at_h, m.drivers[:MOST_LISTED]) for m in moments)
    falls = [m.at_h for m in moments if m.name == FALL]
    turn = since_peak(run, readout, falls[0], MOST_LISTED, knowledge=facts, prepared=prepared) if falls else None
    return Drive(readout, times, rows, listed, turn)
