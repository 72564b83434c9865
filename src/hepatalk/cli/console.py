"""What every command shares: writing to the terminal, waiting for long work, and being interrupted."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["background", "note", "print_json", "say", "table", "uninterrupted", "warn", "width"]

T = TypeVar("T")

#: Width of lines in a file or pipe: nothing is cut there, so that grep and awk see whole records.
_ENDLESS = 100_000


def _own_stderr() -> int | None:
    """Return the error stream as it is now: while a solver runs, what is written to stream 2 is held back."""
    try:
        return os.dup(2)
    except OSError:  # started without an error stream
        return None


_STDERR = _own_stderr()


def width() -> int:
    """Return the width of lines: the terminal's, or no limit in a pipe or file."""
    return shutil.get_terminal_size((100, 24)).columns if sys.stdout.isatty() else _ENDLESS


def say(text: str = "") -> None:
    """Write a line to the output."""
    sys.stdout.write(f"{text}\n")


def warn(text: str) -> None:
    """Write a line to the error stream."""
    if _STDERR is not None:
        os.write(_STDERR, f"{text}\n".encode(errors="backslashreplace"))


def note(text: str) -> None:
    """Tell a person who watches what is going on; a script hears nothing."""
    if sys.stderr is not None and sys.stderr.isatty():
        warn(text)


def print_json(value: Any) -> None:
    """Write one JSON value and nothing else."""
    say(json.dumps(value, allow_nan=False, ensure_ascii=False))


def _console(stream: TextIO) -> Console:
    from rich.console import Console

    colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    return Console(file=stream, width=width(), force_terminal=colour, highlight=False, markup=False, emoji=False)


def table(columns: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[str] = (), title: str = "") -> None:
    """Write a table: columns side by side in a terminal, one line for each row in a pipe.

    Parameters
    ----------
    columns : sequence of str
        Headings.
    rows : sequence of sequence of str
    right : sequence of str
        Headings of columns that stand flush right.
    title : str
        A line above the table.
    """
    from rich.table import Table
    from rich.text import Text

    shown = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for name in columns:
        # Names are never cut: they are what a person copies.
        fixed = name in (columns[0], *right)
        shown.add_column(name, justify="right" if name in right else "left", no_wrap=fixed, overflow="fold")
    for row in rows:
        shown.add_row(*(Text(cell) for cell in row))
    stream = io.StringIO()
    _console(stream).print(shown)
    if title:
        say(title)
    for line in stream.getvalue().splitlines():
        say(line.rstrip())


# ------------------------------------------------------------------------------------------------ long work


def background(work: Callable[[], T]) -> T:
    """Do long work in a second thread, so that Ctrl-C is heard at once.

    A signal is delivered between two steps of Python in the main thread. If that thread were inside the solver, the
    interrupt would arrive in one of the solver's callbacks, which may not raise.

    Parameters
    ----------
    work : callable
        Must not write any file: it is abandoned, not stopped, when the user interrupts.

    Returns
    -------
    object
        What `work` returned; what it raised is raised here.
    """
    done: list[T] = []
    failed: list[BaseException] = []

    def target() -> None:
        try:
            done.append(work())
        except BaseException as error:  # handed on below, whatever it is
            failed.append(error)

    thread = threading.Thread(target=target, daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(0.1)  # Windows delivers no signal while a thread waits without limit
    if failed:
        raise failed[0]
    return done[0]


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Hold back Ctrl-C while a few files change places."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
