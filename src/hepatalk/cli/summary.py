"""The short table at the end of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hepatalk.cli.console import say, table

if TYPE_CHECKING:
    from hepatalk.experiments.run import Run
    from hepatalk.results.result import Result

__all__ = ["print_summary"]

_TIMES_H = (0.0, 10.0, 24.0, 48.0, 72.0, 168.0, 336.0, 672.0)
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
    _print_volume(result)
    say()
    _print_waves(result)
    say()
    figures = result.summary()
    at_once, at_end = result.at("portal_flow", 0.0), figures["portal_flow.end"]
    say(f"portal flow per volume: {at_once:.2f} x healthy at once, {at_end:.2f} at the end")
    count, size = figures["hepatocyte_count.end"], figures["hepatocyte_volume.end"]
    say(f"hepatocytes at the end: number {count:.3f}, size {size:.3f} x healthy")
    died = run.course.died_at_h
    say("survived" if died is None else f"died at {died:g} h; the curves hold the last values from there on")


def _print_volume(result: Result) -> None:
    """Print liver volume at times, beside the rats where they may be compared."""
    from hepatalk.experiments.comparison import rat_groups, volume_error

    error = volume_error(result)
    end = float(result.time_h[-1])
    if error is None:
        times = sorted({t for t in _TIMES_H if t <= end} | {end})
        columns: tuple[str, ...] = ("time [h]", "liver volume [fraction of healthy]")
        table(columns, [(f"{t:g}", f"{result.at('liver_volume', t):.3f}") for t in times], right=columns)
        return
    rats = next(g for g in rat_groups(_VOLUME) if g.diet == _DIET)
    columns = ("time [h]", "liver volume", "rats, mean", "sd", "n")
    rows = [
        (f"{t:g}", f"{result.at('liver_volume', float(t)):.3f}", f"{mean:.3f}", f"{sd:.3f}", str(n))
        for t, mean, sd, n, both in zip(rats.time_h, rats.mean, rats.sd, rats.n, rats.both_sexes, strict=True)
        if both and t <= end
    ]
    table(columns, rows, right=columns)
    say(f"off the rats by {error:.3f} (root mean square, fraction of the healthy volume)")
    say("rats: carbohydrate-fed, both sexes, 70% PHx; Barnhart et al. 2023, doi:10.3389/fphys.2023.1102393")


def _print_waves(result: Result) -> None:
    """Print the first wave of S phase of each cell type, in order of time."""
    figures = result.summary()
    waves = []
    for name in result.names:
        if f"{name}.first_peak_h" in figures:
            waves.append(
                (figures[f"{name}.first_peak_h"], figures[f"{name}.first_peak"], name.removeprefix("s_phase."))
            )
    # A type that hardly divides has no wave worth a time.
    rows = [(cell, f"{height:.3f}", f"{time:g}" if height > 0.01 else "-") for time, height, cell in sorted(waves)]
    columns = ("S phase, first wave", "peak [fraction]", "at [h]")
    table(columns, rows, right=columns[1:])
