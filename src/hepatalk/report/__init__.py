"""The report of a run: one HTML file that shows, explains and cites, and loads nothing from anywhere."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hepatalk.experiments.run import Run
    from hepatalk.knowledge.load import Knowledge
    from hepatalk.plots.view import View
    from hepatalk.results.cells import Cells

__all__ = ["write_report"]


def write_report(
    run: Run,
    path: str | Path,
    knowledge: Knowledge | None = None,
    *,
    view: View | None = None,
    cells: Cells | None = None,
    pictures: Mapping[str, bytes] | None = None,
) -> Path:
    """Write the report of a run.

    Parameters
    ----------
    run : Run
    path : path
        The file to write, or replace; whole or not at all.
    knowledge : Knowledge, optional
        The shipped knowledge base when omitted.
    view : View, optional
        What `hepatalk.plots.view.view_of` gathered from the run, where it is at hand.
    cells : Cells, optional
        Of a lobule, where they were kept: adds a section with a view in three dimensions.
    pictures : mapping of str to bytes, optional
        For that section: PNG by file name, from `hepatalk.plots.in_space.lobule_figures`.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    OutputError
        If the folder cannot be written or the disk is full.
    """
    from hepatalk.plots.files import write_whole
    from hepatalk.plots.view import view_of
    from hepatalk.report.page import page

    html = page(view_of(run, knowledge) if view is None else view, cells, pictures or {})
    write_whole(Path(path), html.encode("utf-8"))
    return Path(path)
