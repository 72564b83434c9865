"""What a report says of cells in a dish: there is no liver to measure, no blood, and nobody who could die."""

from __future__ import annotations

from html import escape

from hepatalk.experiments.culture import Culture
from hepatalk.experiments.marks import marks
from hepatalk.plots.palette import CELL_NAMES, duration
from hepatalk.plots.view import View
from hepatalk.report.tables import table

__all__ = ["in_words", "key_readouts_of_dish"]

_TIMES_H = (0.0, 6.0, 12.0, 24.0, 48.0, 72.0, 168.0, 336.0)
#: A share of cells in S phase below this is called none.
_NOTHING = 0.01


def in_words(view: View, dish: Culture) -> str:
    """Return one paragraph that says what was put into a dish and what came of it, unescaped."""
    result, end_h = view.result, float(view.result.time_h[-1])
    put = ", ".join(f"{CELL_NAMES.get(cell, cell)} ({_times(n)})" for cell, n in dish.cells.items())
    medium = ", ".join(f"{name} at {level:g} times its healthy level" for name, level in dish.medium.items())
    kept = " and kept there" if dish.held else ", given once"
    settled = f", {duration(-dish.at)} after they were put in" if dish.at < 0.0 else ""
    taken = f", taken from the animal at {duration(dish.at)}" if dish.at > 0.0 else ""
    said = [
        f"Cells of a {result.provenance.species} in a dish{taken}: {result.provenance.title}.",
        f"What was put in: {put}; medium: {medium + kept if medium else 'without any signal'}.",
        f"Followed for {duration(end_h)} after time zero{settled}.",
    ]
    for cell in view.cells:
        number = result.at(_number(cell), end_h) / max(result.at(_number(cell), 0.0), 1e-300)
        share = result.readout(f"s_phase.{cell}")
        top = float(share.max())
        divides = (
            f"up to {top:.1%} of them replicate DNA ({duration(float(result.time_h[int(share.argmax())]))})"
            if top > _NOTHING
            else f"hardly any replicate DNA ({top:.2%} at most)"
        )
        said.append(
            f"{CELL_NAMES[cell].capitalize()}: {number:.2f} times the number of time zero in the end; {divides}."
        )
    return " ".join(said)


def _number(cell: str) -> str:
    return "hepatocyte_count" if cell == "HEP" else f"count.{cell}"


def _times(n: float) -> str:
    many = "as many as" if n == 1.0 else f"{n:g} times as many as"
    return f"{many} in a healthy liver"


def key_readouts_of_dish(view: View) -> str:
    """Return a table of what the experiment reads, and of number and S phase of each cell type, over time."""
    result = view.result
    own = [name for name in view.run.experiment.readouts if name != "survived" and name in result.readouts]
    names = list(dict.fromkeys([*own, *(n for cell in view.cells for n in (_number(cell), f"s_phase.{cell}"))]))
    at = [m.at_h for m in marks(view.run, _TIMES_H)]
    rows = [
        (
            f"<code>{escape(name)}</code>",
            *(f"{result.at(name, t):.4g}" for t in at),
            escape(result.unit(name)),
        )
        for name in names
    ]
    return table(("Readout", *(duration(t) for t in at), "unit"), rows, "numbers")
