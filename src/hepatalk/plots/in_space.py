"""All pictures of a run of the lobule engine, as files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hepatalk.plots.series import Painter
    from hepatalk.results.cells import Cells
    from hepatalk.results.result import Result

__all__ = ["draw_film", "lobule_figures", "painter_of"]


def painter_of(cells: Cells, result: Result) -> Painter:
    """Return who draws the cells of a run."""
    from hepatalk.plots.series import Painter

    origin = result.provenance
    return Painter(cells, origin.seed, origin.species, origin.title)


def lobule_figures(cells: Cells, result: Result) -> dict[str, bytes]:
    """Draw the pictures of a run in space.

    Parameters
    ----------
    cells : Cells
        With at least one kept moment, of lobules in space.
    result : Result
        Of the same run.

    Returns
    -------
    dict of str to bytes
        PNG by file name: ``sections.png`` (a series over time), ``section_24h.png`` and others (one moment each),
        ``zones.png``, ``tissue.png``, ``clones.png``.
    """
    from hepatalk.plots.frame import encoded
    from hepatalk.plots.series import alone_times, moment_name, one_moment, series
    from hepatalk.plots.tissue import clones, tissue, zones

    painter = painter_of(cells, result)
    drawn = {"sections": series(painter), "zones": zones(painter), "tissue": tissue(painter, result)}
    drawn["clones"] = clones(painter)
    for time_h in alone_times(cells):
        drawn[f"section_{moment_name(time_h)}"] = one_moment(painter, time_h)
    return {f"{name}.png": encoded(figure, "png") for name, figure in drawn.items()}


def draw_film(cells: Cells, result: Result, path: Path) -> None:
    """Write a GIF of the kept moments; see `hepatalk.plots.film.write_film`."""
    from hepatalk.plots.film import write_film

    write_film(painter_of(cells, result), path)
