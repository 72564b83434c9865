"""``hepatalk run --engine lobule --replicates N``: many lobules that differ in their seed, their mean and spread."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hepatalk.cli.console import background, note, print_json, say, table
from hepatalk.errors import ExperimentError

if TYPE_CHECKING:
    from hepatalk.engines.lobule.engine import LobuleSettings
    from hepatalk.experiments.replicates import Asked, Replicates

__all__ = ["MEAN", "RECORD", "SPREAD", "refuse_replicates", "run_replicates"]

#: Files that are written into the folder, and the folder in it that holds the replicates.
RECORD, MEAN, SPREAD, KEPT = "replicates.json", "mean.csv", "spread.csv", "replicates"
#: Share in S phase from which on a first wave has a time.
_WAVE = 0.01
#: Readouts of the printed table, where the run has them.
_SHOWN = ("liver_volume", "hepatocyte_count", "hepatocyte_volume", "portal_flow")


def refuse_replicates(number: int, engine: str, others: Mapping[str, bool]) -> None:
    """Refuse numbers that are none, and what does not go with many lobules.

    Parameters
    ----------
    number : int
    engine : str
    others : mapping of str to bool
        Options that do not go with it, and whether they are given.

    Raises
    ------
    ExperimentError
    """
    if number < 1:
        raise ExperimentError(f"--replicates {number}; allowed: 1 (one lobule) or more; correct the number")
    if number == 1:
        return
    if engine != "lobule":
        raise ExperimentError(
            f"--replicates {number}: only a lobule has chance in it; allowed: with --engine lobule; add that"
        )
    given = [name for name, is_given in others.items() if is_given]
    if given:
        raise ExperimentError(
            f"--replicates {number} with {' and '.join(given)}; allowed: with --out DIR, where replicates are kept on "
            f"the way; leave {' and '.join(given)} out"
        )


def run_replicates(
    asked: Asked, number: int, seed: int, settings: LobuleSettings, out: Path | None, json_: bool, compiled: bool
) -> None:
    """Run replicates with the seeds from one on, write what they have in common, and print it.

    Raises
    ------
    HepatalkError
        As from `hepatalk.experiments.replicates.replicate`, or if the folder cannot be written.
    """
    from hepatalk.cli.folder import check_writable
    from hepatalk.cli.members import told
    from hepatalk.experiments.replicates import replicate
    from hepatalk.knowledge.load import load

    if out is not None:
        check_writable(out)
    knowledge = load()
    with _kept(out) as folder:
        found = background(
            lambda: replicate(
                asked,
                range(seed, seed + number),
                settings,
                knowledge,
                folder=folder,
                alone=not compiled,
                progress=told("replicates", ""),
            )
        )
    if out is not None:
        _write(found, out)
    if json_:
        print_json(found.to_json())
        return
    _print(found)
    if out is not None:
        say()
        say(f"means and spread: {out / MEAN}, {out / SPREAD}, {out / RECORD}")


@contextmanager
def _kept(out: Path | None) -> Iterator[Path | None]:
    """Yield the folder in which replicates are kept; it goes again where nothing has come into it."""
    if out is None:
        yield None
        return
    from hepatalk.cli.folder import made_folder

    new = [p for p in (out / KEPT, out, *out.parents) if not p.exists()]
    folder = made_folder(out / KEPT)
    note(f"replicates are kept in {folder}: the same command goes on from there")
    try:
        yield folder
    finally:
        with suppress(OSError):  # the innermost that is not empty ends this
            for made in new:
                made.rmdir()


def _write(found: Replicates, out: Path) -> None:
    """Write the record and two tables, each whole or not at all."""
    from hepatalk.cli.folder import replace_file

    mean = found.mean
    replace_file(out / RECORD, json.dumps(found.to_json(), allow_nan=False).encode())
    replace_file(out / MEAN, _csv(found, {n: mean.readout(n) for n in mean.names}))
    replace_file(out / SPREAD, _csv(found, found.sd))


def _csv(found: Replicates, columns: Mapping[str, Any]) -> bytes:
    """Return all readouts over time, with the unit in the heading."""
    mean, stream = found.mean, io.StringIO(newline="")
    rows = csv.writer(stream)
    rows.writerow(["time [h]", *(f"{name} [{mean.unit(name)}]" for name in mean.names)])
    every = [mean.time_h, *(columns[name] for name in mean.names)]
    rows.writerows([f"{value:.9g}" for value in row] for row in zip(*every, strict=True))
    return stream.getvalue().encode()


def _print(found: Replicates) -> None:
    """Print what a person wants to know of many lobules."""
    import numpy as np

    mean, n = found.mean, len(found.seeds)
    origin, end = mean.provenance, float(mean.time_h[-1])
    say(f"{origin.experiment}: {origin.title}; {origin.species}, {end / 24.0:g} d, {n} lobules")
    say(f"model {origin.model_hash}, knowledge {origin.knowledge_version}; seeds {found.seeds[0]} to {found.seeds[-1]}")
    say()
    times = [t for t in (0.0, 24.0, 48.0, 72.0, 168.0, 336.0) if t <= end]
    names = [name for name in _SHOWN if name in mean.names]
    columns = ("mean, sd", *(f"{t:g} h" for t in times))
    rows = []
    for name in names:
        sd = [float(np.interp(t, mean.time_h, found.sd[name])) for t in times]
        rows.append((name, *(f"{mean.at(name, t):.3f}, {s:.3f}" for t, s in zip(times, sd, strict=True))))
    table(columns, rows, right=columns[1:])
    say()
    waves = []
    for name in mean.names:
        if f"{name}.first_peak" in found.figures:
            height, at = found.figures[f"{name}.first_peak"], found.figures[f"{name}.first_peak_h"]
            # A type that hardly divides has no wave worth a time.
            when = f"{at[0]:.1f}, {at[1]:.1f}" if height[0] > _WAVE else "-"
            waves.append((name.removeprefix("s_phase."), f"{height[0]:.3f}, {height[1]:.3f}", when))
    columns = ("S phase, first wave", "peak: mean, sd", "at [h]: mean, sd")
    table(columns, waves, right=columns[1:])
    if "survived" in mean.names:
        died = round((1.0 - mean.at("survived", end)) * n)
        if died:
            say(f"{died} of {n} died; their curves hold the last values from there on")
