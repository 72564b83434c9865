"""What all static pictures have in common: style, axes, caption, and their way to a file."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import matplotlib
from matplotlib.figure import Figure

from hepatalk.plots.palette import INK, MUTED, day_ticks, root_ticks

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["day_axis", "encoded", "framed", "hour_axis", "placed", "root_axis", "styled"]

WIDTH = 9.2  # inches: 1100 pixels at 120 dots per inch fit a laptop's screen, and a landscape page
_STYLE: Any = {
    "font.family": "DejaVu Sans",  # comes with matplotlib, so that pictures look the same everywhere
    "font.size": 9.5,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "text.color": INK,
    "lines.linewidth": 1.8,
    "lines.solid_capstyle": "round",
    "legend.frameon": False,
    "svg.fonttype": "path",
    "svg.hashsalt": "hepatalk",
}
_LINE_IN = 0.165  # height of a line of the caption, inches
_MARGINS_IN = {"left": 0.8, "right": 0.32, "top": 0.62, "bottom": 0.55}


@contextmanager
def styled() -> Iterator[None]:
    """Draw in the house style, and leave the user's own settings as they were."""
    with matplotlib.rc_context(_STYLE):
        yield


def framed(title: str, caption: str, height: float) -> tuple[Figure, float]:
    """Return a figure with title and caption, and the height in inches that the caption takes.

    Parameters
    ----------
    title, caption : str
    height : float
        Of the part that holds the axes, inches.
    """
    lines = textwrap.wrap(caption, 158)
    below = _LINE_IN * len(lines) + 0.18
    figure = Figure(figsize=(WIDTH, height + below), facecolor="white")
    total = height + below
    figure.text(0.012, 1.0 - 0.10 / total, title, ha="left", va="top", fontsize=12.5, fontweight="bold")
    figure.text(
        0.012,
        (below - 0.08) / total,
        "\n".join(lines),
        ha="left",
        va="top",
        fontsize=7.8,
        color="#333333",
        linespacing=1.35,
    )
    return figure, below


def placed(figure: Figure, below: float, rows: int = 1, columns: int = 1, **changes: Any) -> list[Axes]:
    """Add a grid of axes above the caption; margins in inches, and ``width_ratios``, ``hspace``, ... may be changed."""
    total = figure.get_figheight()
    m = _MARGINS_IN | {side: changes.pop(side) for side in tuple(changes) if side in _MARGINS_IN}
    grid = figure.add_gridspec(
        rows,
        columns,
        left=m["left"] / WIDTH,
        right=1.0 - m["right"] / WIDTH,
        top=1.0 - m["top"] / total,
        bottom=(m["bottom"] + below) / total,
        **changes,
    )
    return [figure.add_subplot(grid[r, c]) for r in range(rows) for c in range(columns)]


def root_axis(axes: Axes, end_h: float, label: str, gap: float = 0.06) -> None:
    """Make the horizontal axis one of square roots of hours; ``gap`` is the least distance of two labels."""
    positions, texts = root_ticks(end_h, gap)
    axes.set_xlim(0.0, max(end_h, 1e-6) ** 0.5)
    axes.set_xticks(positions, texts)
    axes.set_xlabel(f"{label} (hours to days, square-root scale)" if gap < 0.1 else f"{label} (hours to days)")


def day_axis(axes: Axes, end_h: float, label: str) -> None:
    """Make the horizontal axis one of days, on data in days."""
    axes.set_xlim(-0.012 * end_h / 24.0, end_h / 24.0 * 1.012)
    axes.set_xticks(day_ticks(end_h))
    axes.set_xlabel(f"{label} (days)")


def hour_axis(axes: Axes, end_h: float, label: str) -> None:
    """Make the horizontal axis one of hours, on data in hours."""
    axes.set_xlim(-0.015 * end_h, end_h * 1.015)
    step = 12.0 if end_h > 24.0 else max(end_h / 6.0, 1e-6)
    axes.set_xticks([k * step for k in range(int(end_h / step + 1e-9) + 1)])
    axes.set_xlabel(f"{label} (hours)")


def encoded(figure: Figure, kind: str) -> bytes:
    """Return a figure as the bytes of a file of a kind: 'png' (120 dots per inch), 'svg' or 'pdf'."""
    buffer = io.BytesIO()
    # Without dates, equal pictures are equal files.
    metadata: dict[str, dict[str, Any]] = {
        "png": {"Software": "hepatalk"},
        "svg": {"Creator": "hepatalk", "Date": None},
        "pdf": {"Creator": "hepatalk", "CreationDate": None},
    }
    with styled():
        figure.savefig(buffer, format=kind, dpi=120, metadata=metadata[kind])
    return buffer.getvalue()
