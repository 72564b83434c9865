"""Drawing in a process of its own, while the process that asked for the pictures does something else.

The pictures of a run take longer than all the rest of it. The other process is started early, so that its imports are
done when the run is; it returns bytes and writes no file, and whatever becomes of it, the pictures are drawn: if it
dies, or cannot be started, they are drawn here.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing import get_context
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from hepatalk.plots.view import View

__all__ = ["Artist", "drawing_aside"]

#: How long to wait for the other process before looking whether it lives, s; Ctrl-C is heard in between.
_LOOK_S = 0.1


class Artist:
    """Draws the pictures of one run, in the other process if there is one.

    Parameters
    ----------
    line : Connection or None
        To the other process.
    """

    def __init__(self, line: Connection | None) -> None:
        self._line = line
        self._view: View | None = None

    def begin(self, view: View) -> None:
        """Hand over what is to be drawn."""
        self._view = view
        if self._line is not None:
            try:
                self._line.send(view)
            except OSError:  # it is gone
                self._line = None

    def pictures(self) -> dict[str, bytes]:
        """Wait for the pictures that `begin` asked for, and return them by file name.

        Raises
        ------
        Exception
            What drawing raised.
        """
        from hepatalk.plots import encoded_figures

        if self._view is None:
            raise RuntimeError("nothing has been handed over to be drawn")
        answer: dict[str, bytes] | Exception | None = None
        if self._line is not None:
            with suppress(EOFError, OSError):  # it has died
                while not self._line.poll(_LOOK_S):
                    pass
                answer = self._line.recv()
        if isinstance(answer, Exception):
            raise answer
        return encoded_figures(self._view) if answer is None else answer


@contextmanager
def drawing_aside() -> Iterator[Artist]:
    """Yield an artist with a process of its own, where there is a processor for it; the process ends with the block."""
    from hepatalk.experiments.parallel import deaf_children

    if (os.cpu_count() or 1) < 2:
        yield Artist(None)
        return
    # Not forked: a copy of a process that has run the solver hangs in its thread library.
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_draw, args=(theirs,), daemon=True)
    try:
        try:
            with deaf_children():
                process.start()
        except OSError:  # no more processes or no memory
            yield Artist(None)
            return
        finally:
            theirs.close()  # so that the end of the other process is the end of the line
        yield Artist(ours)
    finally:
        ours.close()
        if process.pid is not None:
            process.terminate()
            process.join()


def _draw(line: Connection) -> None:
    """Draw what comes down the line and send the pictures, or what went wrong, back."""
    from hepatalk.plots import encoded_figures

    _warm_up()
    try:
        view = line.recv()
    except EOFError:  # nothing is wanted any more
        return
    try:
        answer: dict[str, bytes] | Exception = encoded_figures(view)
    except Exception as error:  # it is raised in the process that asked
        answer = error
    with suppress(OSError):
        line.send(answer)


def _warm_up() -> None:
    """Import what drawing needs, with its fonts and writers of files, while the run that is to be drawn is computed."""
    import hepatalk.plots.panels  # noqa: F401 - for its own imports
    from hepatalk.plots.frame import encoded, framed

    for kind in ("png", "svg"):
        encoded(framed("title", "caption", 1.0)[0], kind)
