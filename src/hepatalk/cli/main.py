"""The command ``hepatalk``: which commands there are, and how each of them ends.

Whatever goes wrong is one line on the error stream and an exit code: 2 for bad input, 1 for a run that failed, 130 for
Ctrl-C. Nothing heavy is imported here or at the top of a command's module: help, lists and refusals are immediate.
"""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType
from typing import Any

from hepatalk.errors import HepatalkError, nearest, shown

__all__ = ["main"]

INTERRUPTED = 130
BROKEN_PIPE = 141


def main() -> int:
    """Run the command line of this process.

    Returns
    -------
    int
        The exit code.
    """
    code = 1
    try:
        _hear_interrupts()
        code = _run(sys.argv[1:])
        sys.stdout.flush()
    except KeyboardInterrupt:
        return _interrupted()
    except BrokenPipeError:
        code = _reader_left()
    except OSError as error:
        code = _report(error)
    return code


def _run(arguments: list[str]) -> int:
    """Run one command and turn what it raises into a line and an exit code."""
    try:
        app = _command()
        with app.make_context("hepatalk", arguments) as context:
            app.invoke(context)
    except (KeyboardInterrupt, BrokenPipeError):
        raise
    except HepatalkError as error:
        _say(str(error))
        return error.exit_code
    except Exception as error:
        return _report(error)
    return 0


def _command() -> Any:
    """Return the command line as a group of commands."""
    import typer

    from hepatalk.cli import checking, comparing, doctoring, explaining, listing, running, scoring

    app = typer.Typer(
        name="hepatalk",
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        help="An executable, cited model of how the cells of the liver talk to each other while the liver regenerates.",
        epilog="Start with: hepatalk run phx70 --out results/phx70, then hepatalk explain HGF. "
        "Bad input exits with 2, a failed run with 1.",
    )

    @app.callback()
    def options(
        version: bool = typer.Option(
            False, "--version", help="Print the version and leave.", is_eager=True, callback=_print_version
        ),
    ) -> None:
        del version  # its callback has done what there is to do

    for module in (running, listing, explaining, checking, scoring, comparing, doctoring):
        module.register(app)
    return typer.main.get_command(app)


def _print_version(wanted: bool) -> None:
    if wanted:
        import typer

        from hepatalk import __version__

        sys.stdout.write(f"hepatalk {__version__}\n")
        raise typer.Exit


# ---------------------------------------------------------------------------------------------------- endings


def _report(error: Exception) -> int:
    """Say what went wrong in one line and return the exit code."""
    kind = type(error).__name__
    if kind == "Exit":  # how help and --version end
        return int(getattr(error, "exit_code", 0))
    if kind == "Abort":
        return _interrupted()
    if kind == "NoArgsIsHelpError":
        sys.stdout.write(f"{error}\n")
        return 0
    if hasattr(error, "format_message"):
        _say(_usage_line(error))
        return 2
    if isinstance(error, OSError) and error.errno is not None and error.filename is None:
        _say(f"cannot write the output: {error.strerror}; free some space, or send it elsewhere")
        _discard_output()
        return 1
    if isinstance(error, MemoryError):
        _say("there is not enough memory for this; ask for fewer cells, animals or days, or close other programs")
        return 1
    if os.environ.get("HEPATALK_TRACEBACK"):
        import traceback

        traceback.print_exception(error)
    _say(f"internal error {kind}: {_short(error)}; run with HEPATALK_TRACEBACK=1 for details")
    return 1


def _short(error: Exception) -> str:
    text = " ".join(str(error).split()) or "no message"
    return text if len(text) <= 200 else f"{text[:197]}..."


def _usage_line(error: Any) -> str:
    """Return one line for a command line that cannot be understood: the thing, the nearest names, the next step."""
    context = getattr(error, "ctx", None)
    where = context.command_path if context is not None else "hepatalk"
    help_step = f"see '{where} --help'"
    message = " ".join(error.format_message().split()).rstrip(".")
    name = getattr(error, "option_name", None)
    if type(error).__name__ == "NoSuchOption" and name and context is not None:
        options = [o for p in context.command.params for o in p.opts if o.startswith("-")] + ["--help"]
        return f"unknown option {shown(name)}; nearest: {', '.join(nearest(name, options, 3))}; {help_step}"
    commands = getattr(getattr(context, "command", None), "commands", None)
    if commands and message.startswith("No such command"):
        wrong = message.split("'")[1]
        return f"unknown command {shown(wrong)}; nearest: {', '.join(nearest(wrong, commands, 3))}; {help_step}"
    return f"{message}; {help_step}"


def _say(line: str) -> None:
    from hepatalk.cli.console import warn

    sys.stdout.flush()
    warn(line)


def _hear_interrupts() -> None:
    """Make Ctrl-C raise KeyboardInterrupt here, and end a forked worker without a word."""
    owner = os.getpid()

    def handler(number: int, frame: FrameType | None) -> None:
        if os.getpid() != owner:
            os._exit(INTERRUPTED)
        raise KeyboardInterrupt

    # A shell that started this in the background has told it to ignore Ctrl-C; it goes on doing so.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, handler)


def _interrupted() -> int:
    """Say so and leave at once: a solver may still be at work in another thread, and owns nothing on the disk."""
    import multiprocessing
    import multiprocessing.util

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for child in multiprocessing.active_children():
        child.terminate()
    # Semaphores of a process pool would be reported as leaked by another process, after the last word.
    multiprocessing.util._run_finalizers(0)  # type: ignore[attr-defined]
    from hepatalk.cli.console import warn

    warn("interrupted")
    os._exit(INTERRUPTED)


def _reader_left() -> int:
    """Be quiet when the reader of a pipe has gone."""
    _discard_output()
    return BROKEN_PIPE


def _discard_output() -> None:
    """Send what is still buffered nowhere, or the interpreter would complain about it on its way out."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
