"""The short table at the end of a run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from hepatalk.cli.console import say, table

if TYPE_CHECKING:
    from hepatalk.experiments.run import Run

__all__ = ["print_summary"]

_TIMES_H = (0.0, 10.0, 24.0, 48.0, 72.0, 168.0, 336.0)
#: Numbers below this are what rounding leaves of zero.
_ROUNDING = 1e-12
_VOLUME, _DIET = "liver_volume_fraction", "Carbohydrate"


def print_summary(run: Run) -> None:
    """Print what a person wants to know of a run.

    Parameters
    ----------
    run : Run
    """
    result, posed = run.result, run.experiment
    origin = result.provenance
    say(
        f"{origin.experiment}: {posed.title}; {posed.species}, {posed.days:g} d, {origin.engine} engine, "
        f"seed {origin.seed}"
    )
    say(f"model {origin.model_hash}, knowledge {origin.knowledge_version}")
    say()
    if posed.culture is not None:
        _print_dish(run)
        return
    _print_volume(run)
    say()
    _print_waves(run)
    say()
    figures = result.summary()
    at_once, at_end = result.at("portal_flow", 0.0), figures["portal_flow.end"]
    say(f"portal flow per volume: {at_once:.2f} x healthy at once, {at_end:.2f} at the end")
    count, size = figures["hepatocyte_count.end"], figures["hepatocyte_volume.end"]
    say(f"hepatocytes at the end: number {count:.3f}, size {size:.3f} x healthy")
    died = run.course.died_at_h
    say("survived" if died is None else f"died at {died:g} h; the curves hold the last values from there on")


def _print_dish(run: Run) -> None:
    """Print what the experiment reads of cells in a dish, at times."""
    from hepatalk.experiments.marks import marks

    result, culture = run.result, run.experiment.culture
    cells = {} if culture is None else culture.cells
    say("in the dish: " + ", ".join(f"{cell} x {n:g}" for cell, n in cells.items()) + " of a healthy liver")
    times = [m.at_h for m in marks(run, _TIMES_H)]
    names = [name for name in run.experiment.readouts if name != "survived"]
    rows = [(name, *(_figure(result.at(name, t)) for t in times), result.unit(name)) for name in names]
    columns = tuple(f"{t:g} h" for t in times)
    table(("readout", *columns, "unit"), rows, right=columns)


def _figure(value: float) -> str:
    """Return a number to four digits; what is left of a level by rounding is nothing."""
    return "0" if abs(value) < _ROUNDING else f"{value:.4g}"


def _print_volume(run: Run) -> None:
    """Print liver volume at times, beside the rats where they may be compared."""
    from hepatalk.experiments.comparison import rat_groups, volume_error
    from hepatalk.experiments.marks import marks

    result = run.result
    error = volume_error(result)
    end = float(result.time_h[-1])
    if error is None:
        noted = marks(run, _TIMES_H)
        columns: tuple[str, ...] = ("time [h]", "liver volume [fraction of healthy]")
        rows = [(f"{m.at_h:g}", f"{result.at('liver_volume', m.at_h):.3f}", m.note) for m in noted]
        table((*columns, ""), rows, right=columns)
        return
    rats = next(g for g in rat_groups(_VOLUME) if g.diet == _DIET)
    columns = ("time [h]", "liver volume", "rats, mean", "sd", "n")
    rows_of_rats = [
        (f"{t:g}", f"{result.at('liver_volume', float(t)):.3f}", f"{mean:.3f}", f"{sd:.3f}", str(n))
        for t, mean, sd, n, both in zip(rats.time_h, rats.mean, rats.sd, rats.n, rats.both_sexes, strict=True)
        if both and t <= end
    ]
    # Later than the rats were followed, the run goes on.
    later = [m.at_h for m in marks(run, ()) if m.at_h > float(rats.time_h[-1])]
    rows_of_rats += [(f"{t:g}", f"{result.at('liver_volume', t):.3f}", "-", "-", "-") for t in later]
    table(columns, rows_of_rats, right=columns)
    say(f"off the rats by {error:.3f} (root mean square, fraction of the healthy volume)")
    say("rats: carbohydrate-fed, both sexes, 70% PHx; Barnhart et al. 2023, doi:10.3389/fphys.2023.1102393")


def _print_waves(run: Run) -> None:
    """Print the first wave of S phase of each cell type, and the highest S phase after each later injury."""
    from hepatalk.experiments.marks import later_injuries, peaks_after

    result = run.result
    figures = result.summary()
    waves = []
    for name in result.names:
        if f"{name}.first_peak_h" in figures:
            waves.append(
                (figures[f"{name}.first_peak_h"], figures[f"{name}.first_peak"], name.removeprefix("s_phase."))
            )
    _print_peaks("S phase, first wave", sorted(waves))
    for start in later_injuries(run):
        say()
        peaks = [(p.at_h, p.height, p.cell) for p in peaks_after(run, start)]
        _print_peaks(f"S phase, highest after {start:g} h", peaks)


def _print_peaks(what: str, waves: Sequence[tuple[float, float, str]]) -> None:
    # A type that hardly divides has no wave worth a time.
    rows = [(cell, f"{height:.3f}", f"{time:g}" if height > 0.01 else "-") for time, height, cell in waves]
    columns = (what, "peak [fraction]", "at [h]")
    table(columns, rows, right=columns[1:])
