"""Static pictures of a run, for paper and screen.

matplotlib is imported when something is drawn, not when this package is imported.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hepatalk.errors import unknown

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from hepatalk.experiments.run import Run
    from hepatalk.knowledge.load import Knowledge
    from hepatalk.plots.view import View
    from hepatalk.results.result import Result

__all__ = ["FORMATS", "comparison", "encoded_figures", "figures", "save_figures"]

#: What a picture can be saved as.
FORMATS = ("png", "svg", "pdf")


def figures(run: Run, *, knowledge: Knowledge | None = None, view: View | None = None) -> dict[str, Figure]:
    """Draw the pictures of a run.

    Parameters
    ----------
    run : Run
    knowledge : Knowledge, optional
        The shipped knowledge base when omitted.
    view : View, optional
        What `hepatalk.plots.view.view_of` gathered from the run, where it is at hand.

    Returns
    -------
    dict of str to Figure
        ``liver_volume``, ``s_phase``, ``signals``, ``states``, ``flow``, ``drivers``, ``hepatocytes``, in this order.
    """
    from hepatalk.plots.panels import draw_all
    from hepatalk.plots.view import view_of

    return draw_all(view_of(run, knowledge) if view is None else view)


def save_figures(
    run: Run,
    directory: str | Path,
    formats: Sequence[str] = ("png", "svg"),
    *,
    knowledge: Knowledge | None = None,
    view: View | None = None,
) -> list[Path]:
    """Draw the pictures of a run and save each as ``NAME.FORMAT``.

    Parameters
    ----------
    run, knowledge, view
        As for `figures`.
    directory : path
        Made if it does not exist; files of the same names are replaced, each whole or not at all.
    formats : sequence of {'png', 'svg', 'pdf'}

    Returns
    -------
    list of Path
        What was written, by figure, then by format.

    Raises
    ------
    UnknownNameError
        For a format that is not one of these.
    OutputError
        If the folder cannot be written or the disk is full.
    """
    from hepatalk.plots.files import write_whole
    from hepatalk.plots.view import view_of

    for wanted in formats:
        if wanted not in FORMATS:
            raise unknown("picture format", wanted, FORMATS, "the parameter formats of save_figures")
    drawn = encoded_figures(view_of(run, knowledge) if view is None else view, formats)
    files = {Path(directory) / name: content for name, content in drawn.items()}
    for path, content in files.items():
        write_whole(path, content)
    return list(files)


def encoded_figures(view: View, formats: Sequence[str] = ("png", "svg")) -> dict[str, bytes]:
    """Draw the pictures of a run and return them as files.

    Parameters
    ----------
    view : View
        What `hepatalk.plots.view.view_of` gathered from the run.
    formats : sequence of {'png', 'svg', 'pdf'}

    Returns
    -------
    dict of str to bytes
        By ``NAME.FORMAT``: by figure, then by format.
    """
    from hepatalk.plots.panels import draw_all, encoded

    return {f"{name}.{kind}": encoded(figure, kind) for name, figure in draw_all(view).items() for kind in formats}


def comparison(results: Sequence[Result], readouts: Sequence[str]) -> Figure:
    """Draw readouts of several results over each other.

    Parameters
    ----------
    results : sequence of Result
        At least one.
    readouts : sequence of str
        At least one; one panel each.

    Returns
    -------
    Figure

    Raises
    ------
    UnknownNameError
        For a readout that a result does not hold.
    ResultError
        Where there is nothing to draw.
    """
    from hepatalk.plots.compare import draw_comparison

    return draw_comparison(results, readouts)
