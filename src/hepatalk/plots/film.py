"""A film of a lobule: its section at every kept moment, one after another."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from matplotlib.animation import PillowWriter
from matplotlib.figure import Figure

from hepatalk.plots.frame import styled
from hepatalk.plots.palette import MUTED
from hepatalk.plots.series import key_of_states, legend, moment_label, panel

if TYPE_CHECKING:
    from hepatalk.plots.series import Painter

__all__ = ["write_film"]

_SIZE_IN, _DOTS, _FRAMES_PER_S = (6.4, 6.9), 100, 5
#: The last moment is shown for so many frames.
_STAND_STILL = 6


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
    tables = [painter.table(t) for t in painter.cells.times_h]
    frame = painter.scene(max(tables, key=lambda t: float(t.attrs["scale"]))).frame
    with styled():
        figure = Figure(figsize=_SIZE_IN, dpi=_DOTS, facecolor="white")
        writer = PillowWriter(fps=_FRAMES_PER_S)
        with writer.saving(figure, str(path), _DOTS):
            for k, table in enumerate(tables):
                figure.clear()
                axes = figure.add_axes((0.01, 0.12, 0.98, 0.82))
                panel(axes, painter, table, "state", frame)
                when = moment_label(float(table.attrs["time_h"]))
                figure.text(0.02, 0.985, f"{painter.title}, {when}", va="top", fontsize=12, fontweight="bold")
                legend(figure, key_of_states(), 0.015, 0.032, columns=4, size=7.2)
                hep = int((table["type"].values == "HEP").sum())
                text = f"Lobule engine, {painter.species}, seed {painter.seed}; {hep} hepatocytes. Model only."
                figure.text(0.02, 0.008, text, va="bottom", fontsize=7, color=MUTED)
                for _ in range(_STAND_STILL if k == len(tables) - 1 else 1):
                    writer.grab_frame()
