"""The folder that ``run --out`` writes: result, experiment, report, figures and table, whole or not at all.

Everything is made in a hidden folder inside the result's folder. Then the result is saved (see
`hepatalk.results.store`), and the other files change places with the old ones, with Ctrl-C held back. A failure before
that leaves what the folder held.
"""

from __future__ import annotations

import contextlib
import csv
import errno
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from hepatalk.cli.console import uninterrupted
from hepatalk.cli.leftovers import STAGE, clear, stage_in
from hepatalk.errors import HepatalkError, OutputError, ResultError, shown
from hepatalk.results.cell_tables import CELLS

if TYPE_CHECKING:
    from hepatalk.experiments.experiment import Experiment
    from hepatalk.experiments.run import Run
    from hepatalk.knowledge.load import Knowledge
    from hepatalk.plots.aside import Artist
    from hepatalk.results.cells import Cells
    from hepatalk.results.result import Result

__all__ = [
    "EXPERIMENT",
    "FIGURES",
    "REPORT",
    "TABLE",
    "check_writable",
    "experiment_text",
    "load_saved",
    "made_folder",
    "replace_file",
    "run_again",
    "saved_cells",
    "staged",
    "write_run",
]

EXPERIMENT, REPORT, TABLE, FIGURES = "experiment.yaml", "report.html", "table.csv", "figures"
_OURS = (EXPERIMENT, REPORT, TABLE, FIGURES)
_FILM = "film.gif"
_RECORD = "provenance.json"


# --- before the run ------------------------------------------------------------------------------------------------


def check_writable(directory: Path) -> None:
    """Refuse a folder that cannot be written, before an experiment is run for it.

    Parameters
    ----------
    directory : Path
        It need not exist; nothing is left behind.

    Raises
    ------
    OutputError
        If a file is in the way, the folder refuses, or it holds files of our names that are not ours.
    """
    with _told(directory):
        folder = directory.absolute()
        while not os.path.lexists(folder) and folder.parent != folder:
            folder = folder.parent
        if not folder.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        with tempfile.TemporaryDirectory(prefix=STAGE, dir=folder):
            pass
    _refuse_foreign(directory)


def made_folder(directory: Path) -> Path:
    """Return a folder, made if it is not there.

    Raises
    ------
    OutputError
        If it cannot be made.
    """
    with _told(directory):
        directory.mkdir(parents=True, exist_ok=True)
    return directory


def _refuse_foreign(directory: Path) -> None:
    """Refuse to replace somebody's own files that happen to bear our names."""
    present = [name for name in (*_OURS, CELLS) if os.path.lexists(directory / name)]
    if present and not _is_result(directory):
        raise OutputError(
            f"{shown(str(directory))} holds {' and '.join(present)}, but no hepatalk result, and is left as it is; "
            "choose another folder with --out, or move those files away"
        )


def _is_result(directory: Path) -> bool:
    try:
        record = json.loads((directory / _RECORD).read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(record, dict) and str(record.get("format", "")).startswith("hepatalk")


@contextlib.contextmanager
def _told(directory: Path) -> Iterator[None]:
    """Turn what the operating system refuses into one line for the user."""
    try:
        yield
    except OSError as error:
        where, elsewhere = shown(str(directory)), "choose another folder with --out"
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        in_the_way = error.errno in (errno.ENOTDIR, errno.EEXIST)
        if full:
            raise OutputError(f"no space left on the disk of {where}; free some space, or {elsewhere}") from error
        if in_the_way:
            raise OutputError(f"cannot make the folder {where}: a file is in its way; {elsewhere}") from error
        reason = error.strerror or str(error)
        raise OutputError(f"cannot write into {where}: {reason}; change its permissions, or {elsewhere}") from error


# --- after the run -------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def staged(directory: Path) -> Iterator[Path]:
    """Make the hidden folder for a run that writes while it runs; it goes in the end, and all that is in it.

    Raises
    ------
    OutputError
        If it cannot be made, or the folder holds files of our names that are not ours.
    """
    with contextlib.ExitStack() as stack:
        with _told(directory):
            stage = stack.enter_context(_staged(directory))
        _refuse_foreign(directory)
        yield stage


def write_run(
    run: Run,
    directory: Path,
    knowledge: Knowledge,
    artist: Artist | None = None,
    *,
    stage: Path | None = None,
    cells: Cells | None = None,
    film: bool = False,
) -> Path:
    """Write a run with its report into a folder; a run that it holds is replaced.

    Parameters
    ----------
    run : Run
    directory : Path
        Made if it does not exist.
    knowledge : Knowledge
        For the citations of the report.
    artist : Artist, optional
        Draws the figures, beside this process perhaps; without one they are drawn here.
    stage : Path, optional
        From `staged`, where the run has already left what it wrote; cells among it.
    cells : Cells, optional
        Those of a lobule, in the hidden folder, or already in the folder itself.
    film : bool
        Whether to make a film of the cells.

    Returns
    -------
    Path
        The report.

    Raises
    ------
    OutputError
        If anything cannot be written; what the folder held is still there, and nothing half-written beside it.
    """
    with _told(directory), contextlib.ExitStack() as stack:
        hidden = stack.enter_context(_staged(directory)) if stage is None else stage
        _refuse_foreign(directory)
        _fill(run, directory, knowledge, artist, hidden, cells, film)
    return directory / REPORT


def _fill(
    run: Run,
    directory: Path,
    knowledge: Knowledge,
    artist: Artist | None,
    stage: Path,
    cells: Cells | None,
    film: bool,
) -> None:
    """Make all files in the hidden folder, and let them change places with the old ones."""
    from hepatalk.plots import save_figures
    from hepatalk.plots.files import write_whole
    from hepatalk.plots.view import view_of
    from hepatalk.report import write_report
    from hepatalk.results.store import save_result

    view = view_of(run, knowledge)  # gathered once for figures and report
    (stage / FIGURES).mkdir()
    if artist is None:
        save_figures(run, stage / FIGURES, view=view)
    else:
        artist.begin(view)
    (stage / EXPERIMENT).write_text(experiment_text(run.experiment, run.result), encoding="utf-8")
    _write_table(stage / TABLE, run.result)
    pictures = _cell_pictures(cells, run.result, stage / FIGURES if film else None)
    write_report(run, stage / REPORT, knowledge, view=view, cells=cells, pictures=pictures)
    if artist is not None:
        pictures |= artist.pictures()
    for name, content in pictures.items():
        write_whole(stage / FIGURES / name, content)
    save_result(run.result, directory)
    with uninterrupted():
        for name in _OURS:
            _swap(stage, directory, name)
        if (stage / CELLS).exists():
            _swap(stage, directory, CELLS)
        elif cells is None and (directory / CELLS).is_dir():  # of the run that was here before
            (directory / CELLS).rename(stage / f"old-{CELLS}")


def _cell_pictures(cells: Cells | None, result: Result, film: Path | None) -> dict[str, bytes]:
    """Return the pictures of a lobule by file name; make the film, where a folder for it is named."""
    if cells is None or not cells.times_h:
        return {}
    from hepatalk.plots.in_space import draw_film, lobule_figures

    if film is not None:
        draw_film(cells, result, film / _FILM)
    return lobule_figures(cells, result)


@contextlib.contextmanager
def _staged(directory: Path) -> Iterator[Path]:
    """Make a hidden folder inside a folder, and remove it, and all folders made for it that stay empty."""
    made = []
    folder = directory.absolute()
    while not os.path.lexists(folder):
        made.append(folder)
        folder = folder.parent
    try:
        directory.mkdir(parents=True, exist_ok=True)
        clear(directory)
        with stage_in(directory) as stage:
            yield stage
    finally:
        with contextlib.suppress(OSError):  # the innermost that is not empty ends this
            for folder in made:
                folder.rmdir()


def _swap(stage: Path, directory: Path, name: str) -> None:
    """Put a new file or folder in the place of the old one, which goes to the hidden folder."""
    if (directory / name).is_dir() and not (directory / name).is_symlink():
        (directory / name).rename(stage / f"old-{name}")
    (stage / name).replace(directory / name)


def _write_table(path: Path, result: Result) -> None:
    """Write every readout over time as CSV, with the unit in the heading."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(["time [h]", *(f"{name} [{result.unit(name)}]" for name in result.names)])
        columns = [result.time_h, *(result.readout(name) for name in result.names)]
        rows.writerows([f"{value:.9g}" for value in row] for row in zip(*columns, strict=True))


def experiment_text(experiment: Experiment, result: Result | None = None) -> str:
    """Return an experiment as a YAML file that `hepatalk run` reads back to the same experiment.

    Parameters
    ----------
    experiment : Experiment
        Items of the schedule at or after its end never happen and are left out: a file may not hold them.
    result : Result, optional
        Names where the experiment came from, in a comment.
    """
    import yaml

    lasting = tuple(item for item in experiment.schedule if item.at < experiment.end_h)
    data = experiment.model_copy(update={"schedule": lasting}).model_dump(mode="json", exclude_none=True)
    kept = {key: value for key, value in data.items() if value not in ({}, [])} | {"schedule": data["schedule"]}
    text = yaml.safe_dump(kept, sort_keys=False, allow_unicode=True, width=120, default_flow_style=None)
    origin = (
        "" if result is None else f"# {result.provenance.experiment}, as it was run; seed {result.provenance.seed}\n"
    )
    return f"{origin}{text}"


def replace_file(path: Path, content: bytes) -> None:
    """Write a file whole or not at all.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    with _told(path):
        handle, name = tempfile.mkstemp(prefix=STAGE, dir=path.absolute().parent)
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(content)
            Path(name).chmod(0o644)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


# --- reading it again ----------------------------------------------------------------------------------------------


def load_saved(directory: Path) -> tuple[Result, Experiment]:
    """Return a saved result and the experiment beside it.

    Parameters
    ----------
    directory : Path
        What `run --out` wrote.

    Raises
    ------
    ResultError
        If the folder holds no sound run, or its experiment is not the one of its result.
    """
    from hepatalk.experiments.experiment import load_experiment
    from hepatalk.results.store import load_result

    clear(directory)
    saved = load_result(directory)
    origin = saved.provenance
    try:
        posed = load_experiment(directory / EXPERIMENT)
    except HepatalkError as error:
        raise ResultError(f"the run in {shown(str(directory))} cannot be repeated: {error}") from error
    asked = (posed.title, posed.species, posed.knockouts, posed.hypotheses, dict(posed.set), posed.end_h)
    settings = (origin.species, origin.knockouts, origin.hypotheses, dict(origin.parameters_set))
    if asked != (origin.title, *settings, float(saved.time_h[-1])):
        raise ResultError(
            f"{shown(str(directory / EXPERIMENT))} is not the experiment of the result beside it; "
            "run it again with hepatalk run --out, or restore the file"
        )
    return saved, posed


def saved_cells(directory: Path, saved: Result) -> Cells | None:
    """Return the cells beside a saved result, None where its engine has none or they were not kept.

    Raises
    ------
    ResultError
        If they are damaged, or of another run.
    """
    if saved.provenance.engine != "lobule" or not (directory / CELLS).is_dir():
        return None
    from hepatalk.results.cells import load_cells

    return load_cells(directory)


def run_again(saved: Result, posed: Experiment, knowledge: Knowledge, cells: Cells | None = None) -> Run:
    """Run the experiment of a saved result again, a lobule in the size that its cells tell.

    Its model hash differs from the saved one where the knowledge has changed since.
    """
    from hepatalk.experiments.run import perform

    origin = saved.provenance
    if cells is None:
        return perform(posed, engine=origin.engine, seed=origin.seed, knowledge=knowledge)
    from hepatalk.engines.lobule.engine import LobuleSettings

    settings = LobuleSettings(
        hepatocytes=int(cells.attributes["hepatocytes"]), lobules=int(cells.attributes["lobules"])
    )
    return perform(posed, engine=origin.engine, seed=origin.seed, knowledge=knowledge, lobule=settings)
