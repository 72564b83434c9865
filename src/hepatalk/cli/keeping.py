"""What ``run --engine lobule --out`` keeps of the cells: where they go while the lobule runs, and how often."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from hepatalk.errors import ExperimentError, OutputError, shown

if TYPE_CHECKING:
    from hepatalk.results.cell_tables import CellTables
    from hepatalk.results.cells import Cells
    from hepatalk.results.result import Result

__all__ = ["checked_every", "finished_cells", "going_on", "prepared", "put_back", "tables_for"]

#: Shortest time between two tables, h: the solver's own steps are hardly shorter.
_LEAST_EVERY_H = 0.1
#: How many moments a film has unless somebody says otherwise.
_FILM_MOMENTS = 40


@contextmanager
def prepared(out: Path | None, engine: str) -> Iterator[Path | None]:
    """Yield the hidden folder into which a lobule's cells go while it runs; None where there is nothing to keep."""
    if out is None or engine != "lobule":
        yield None
        return
    from hepatalk.cli.folder import staged

    with staged(out) as stage:
        yield stage


@contextmanager
def going_on(checkpoint: Path | None, engine: str) -> Iterator[None]:
    """Tell whom the disk stops how to go on; remove the checkpoint once all else is written.

    Raises
    ------
    OutputError
        As from within, with what to do next.
    """
    try:
        yield
    except OutputError as error:
        if engine != "lobule":
            raise
        more = "with --checkpoint FILE, a run that was broken off goes on"
        if checkpoint is not None and checkpoint.exists():
            more = f"run it again, and it goes on from {shown(str(checkpoint))}"
        raise OutputError(str(error) if "run it again" in str(error) else f"{error}; {more}") from error
    if checkpoint is not None:
        checkpoint.unlink(missing_ok=True)


@contextmanager
def put_back(tables: CellTables | None, stage: Path | None) -> Iterator[None]:
    """Put cells back beside their checkpoint if what follows fails: they are needed again when the run goes on."""
    from hepatalk.results.cell_tables import CELLS

    try:
        yield
    except BaseException:
        if tables is not None and stage is not None and (stage / CELLS).is_dir() and not tables.path.exists():
            shutil.move(stage / CELLS, tables.path)
        raise


def checked_every(every_h: float | None, film: bool, engine: str, out: Path | None) -> None:
    """Refuse what cannot be kept.

    Raises
    ------
    ExperimentError
        For an option of cells without a lobule or a folder, or a time that is none.
    """
    for option, given in (("--cells-every", every_h is not None), ("--film", film)):
        if given and engine != "lobule":
            raise ExperimentError(f"{option}: only a lobule has cells; allowed: with --engine lobule; add that")
        if given and out is None:
            raise ExperimentError(f"{option} without --out; allowed: with a folder for the cells; add --out DIR")
    if every_h is not None and not (math.isfinite(every_h) and every_h >= _LEAST_EVERY_H):
        raise ExperimentError(f"--cells-every {every_h:g} h; allowed: {_LEAST_EVERY_H:g} h or more; correct the number")


def tables_for(
    stage: Path | None, end_h: float, every_h: float | None, film: bool, checkpoint: Path | None
) -> CellTables | None:
    """Return who writes the cells of a run; beside its checkpoint, where it has one, so that they go on with it."""
    if stage is None:
        return None
    from hepatalk.results.cell_tables import CELLS, CellTables

    every = end_h / _FILM_MOMENTS if film and every_h is None else every_h
    if checkpoint is None:
        return CellTables(stage / CELLS, end_h, every)
    return CellTables(checkpoint.with_name(f"{checkpoint.name}.cells"), end_h, every, resume=checkpoint.exists())


def finished_cells(tables: CellTables, stage: Path, result: Result, hepatocytes: int, lobules: int) -> Cells:
    """Tie tables to the result of their run, and return them as they lie in the hidden folder.

    Raises
    ------
    OutputError
        If the disk refuses.
    """
    from hepatalk.results.cell_tables import CELLS
    from hepatalk.results.cells import load_cells

    try:
        tables.finish(result, hepatocytes=hepatocytes, lobules=lobules)
        if tables.path != stage / CELLS:  # they were kept beside a checkpoint
            shutil.move(tables.path, stage / CELLS)
    except OSError as error:
        # Between two disks, what is moved is copied file by file, and all refusals come in one.
        reason = "the disk is full, or refuses" if isinstance(error, shutil.Error) else error.strerror or error
        raise OutputError(
            f"the cells cannot be written into {shown(str(stage.parent))}: {reason}; free some space, "
            "or choose another folder with --out"
        ) from error
    return load_cells(stage)
