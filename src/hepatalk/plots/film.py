"""A film of a lobule: its section at every kept moment, one after another."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

from matplotlib.figure import Figure

from hepatalk.plots.frame import encoded, styled
from hepatalk.plots.palette import MUTED
from hepatalk.plots.series import key_of_states, legend, moment_label, panel

if TYPE_CHECKING:
    import xarray

    from hepatalk.engines.lobule.hexagons import Frame
    from hepatalk.plots.series import Painter

__all__ = ["write_film"]

_SIZE_IN = (5.6, 6.1)
#: How long a moment is shown, and the last one, in ms.
_MOMENT_MS, _LAST_MS = 200, 1200


def write_film(painter: Painter, path: Path) -> None:
    """Write a GIF of the section, coloured by what the cells are doing; all frames have one scale.

    Parameters
    ----------
    painter : Painter
    path : Path

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    from PIL import Image

    tables = [painter.table(t) for t in painter.cells.times_h]
    frame = painter.scene(max(tables, key=lambda t: float(t.attrs["scale"]))).frame
    pictures = []
    for table in tables:
        with Image.open(io.BytesIO(encoded(_picture(painter, table, frame), "png"))) as opened:
            # Rare colours, such as those of rare cells, keep a place among the 256 of a GIF.
            pictures.append(opened.convert("RGB").quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE))
    shown_ms = [_MOMENT_MS] * (len(pictures) - 1) + [_LAST_MS]
    pictures[0].save(path, format="GIF", save_all=True, append_images=pictures[1:], duration=shown_ms, loop=0)


def _picture(painter: Painter, table: xarray.Dataset, frame: Frame) -> Figure:
    """Return the picture of one moment."""
    with styled():
        figure = Figure(figsize=_SIZE_IN, facecolor="white")
        axes = figure.add_axes((0.01, 0.12, 0.98, 0.82))
        panel(axes, painter, table, "state", frame)
        when = moment_label(float(table.attrs["time_h"]))
        figure.text(0.02, 0.985, f"{painter.title}, {when}", va="top", fontsize=11, fontweight="bold")
        legend(figure, key_of_states(), 0.015, 0.032, columns=4, size=7.0)
        hep = int((table["type"].values == "HEP").sum())
        text = f"Lobule engine, {painter.species}, seed {painter.seed}; {hep} hepatocytes. Model only."
        figure.text(0.02, 0.008, text, va="bottom", fontsize=7, color=MUTED)
    return figure
