"""Several results in one picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from hepatalk.errors import ResultError
from hepatalk.plots.frame import day_axis, framed, placed, styled
from hepatalk.plots.palette import MUTED, shortened
from hepatalk.results.result import Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["draw_comparison"]

#: Okabe and Ito's hues; dash patterns carry the same information in grey.
_LINES = (
    ("#000000", ()),
    ("#D55E00", (5, 1.5)),
    ("#0072B2", (1, 1.2)),
    ("#009E73", (5, 1.5, 1, 1.5)),
    ("#A6447F", (9, 2)),
    ("#B8860B", (3, 3)),
)


def draw_comparison(results: Sequence[Result], readouts: Sequence[str]) -> Figure:
    """Return a figure with one panel for each readout and one line for each result."""
    if not results or not readouts:
        raise ResultError("nothing to compare; give at least one result and one readout (hepatalk list readouts)")
    curves = [[result.readout(name) for result in results] for name in readouts]
    names = _told_apart(results)
    columns = min(len(readouts), 2)
    rows = -(-len(readouts) // columns)
    legend = 0.19 * len(results)
    words = (
        "Model runs; dotted: health."
        if any(results[0].unit(n).startswith(("x", "fraction of h")) for n in readouts)
        else "Model runs."
    )
    with styled():
        figure, below = framed("Runs compared", words, 0.9 + 2.6 * rows + legend)
        grid = placed(figure, below, rows, columns, top=0.75 + legend, wspace=0.28, hspace=0.5)
        end_h = max(float(result.time_h[-1]) for result in results)
        for axes, name, values in zip(grid, readouts, curves, strict=False):
            for k, (result, y) in enumerate(zip(results, values, strict=True)):
                colour, dashes = _LINES[k % len(_LINES)]
                axes.plot(result.time_h / 24.0, y, color=colour, dashes=dashes or (None, None), label=names[k])
            unit = results[0].unit(name)
            if unit.startswith(("x", "fraction of h")):
                axes.axhline(1.0, color=MUTED, linewidth=0.8, linestyle=(0, (1, 2)))
            axes.set_ylim(min(0.0, *(float(y.min()) for y in values)), None)
            axes.set_title(shortened(results[0].definition(name), 58), fontsize=9)
            axes.set_ylabel(f"{name} ({unit})")
            day_axis(axes, end_h, "time")
        for axes in grid[len(readouts) :]:
            axes.set_axis_off()
        handles, labels = grid[0].get_legend_handles_labels()
        figure.legend(
            handles, labels, loc="upper left", bbox_to_anchor=(0.01, 1.0 - 0.35 / figure.get_figheight()), ncols=1
        )
    return figure


def _told_apart(results: Sequence[Result]) -> list[str]:
    """Return a legend entry for each result: its title, and what else differs where titles repeat."""
    names = []
    titles = [r.provenance.title for r in results]
    for result in results:
        origin = result.provenance
        name = f"{origin.experiment}: {origin.title}, {origin.species}"
        if titles.count(origin.title) > 1:
            extra = [*origin.knockouts, *origin.hypotheses, *(f"{k} = {v}" for k, v in origin.parameters_set.items())]
            name += f" ({', '.join(extra)})" if extra else ""
        names.append(shortened(name, 100))
    return [f"{name} [{k + 1}]" if names.count(name) > 1 else name for k, name in enumerate(names)]
