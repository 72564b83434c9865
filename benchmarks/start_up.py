"""Measure what starting costs: imports, the command line's listing, and a whole run, each in processes of its own.

Usage: ``python benchmarks/start_up.py [--repeats N]``. *Cold* means the first process after the caches that hepatalk
writes (byte code) are bypassed; the files themselves may be in the system's memory already.
"""

# ruff: noqa: S603, T201 -- a script that starts its own interpreter and reports by printing

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

LIST_GOAL = 4.0
RUN_GOAL_S = 4.0


@dataclass(frozen=True)
class Timing:
    """Seconds of each process, or why there are none."""

    seconds: tuple[float, ...] = ()
    problem: str = ""

    @property
    def median(self) -> float:
        """Median, s."""
        return statistics.median(self.seconds)

    def text(self) -> str:
        """Return one cell of the report."""
        if self.problem:
            return f"not available ({self.problem})"
        return f"median {self.median:6.3f} s, least {min(self.seconds):6.3f} s"


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the timings and their ratios; return 0 whatever they are."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--repeats", type=int, default=5, help="processes of each kind (default 5)")
    repeats = parser.parse_args(arguments).repeats
    command = command_line()
    numpy = measure(["-c", "import numpy"], repeats)
    show("import numpy", numpy)
    show("import hepatalk", measure(["-c", "import hepatalk"], repeats))
    if command is None:
        print("command line: not available (hepatalk.cli.main cannot be run)")
        return 0
    show("list cells, cold", measure([*command, "list", "cells"], repeats, cold=True))
    listing = measure([*command, "list", "cells"], repeats, warm_up=True)
    show("list cells, warm", listing)
    if not listing.problem:
        ratio = listing.median / numpy.median
        print(f"  {ratio:.1f} x import numpy (goal: under {LIST_GOAL:g}: {verdict(ratio < LIST_GOAL)})")
    whole = measure([*command, "run", "phx70", "--json"], repeats, warm_up=True)
    show("run phx70 --json, warm", whole)
    if not whole.problem:
        print(f"  goal: under {RUN_GOAL_S:g} s: {verdict(whole.median < RUN_GOAL_S)}")
    return 0


def command_line() -> list[str] | None:
    """Return the interpreter's arguments that start the command line, None if there is none yet."""
    for start in (["-m", "hepatalk"], ["-c", "from hepatalk.cli.main import main; main()"]):
        found = subprocess.run([sys.executable, *start, "--help"], capture_output=True, check=False)
        if found.returncode == 0 and found.stdout:
            return start
    return None


def measure(arguments: Sequence[str], repeats: int, *, warm_up: bool = False, cold: bool = False) -> Timing:
    """Time whole processes of this interpreter, each in an empty folder; stop at the first that fails."""
    spent = []
    for i in range(-1 if warm_up else 0, repeats):
        with tempfile.TemporaryDirectory() as folder:
            environment = dict(os.environ)
            if cold:
                environment["PYTHONPYCACHEPREFIX"] = str(Path(folder, "bytecode"))
            work = Path(folder, "work")
            work.mkdir()
            start = time.perf_counter()
            done = subprocess.run(
                [sys.executable, *arguments], capture_output=True, text=True, check=False, cwd=work, env=environment
            )
            seconds = time.perf_counter() - start
        if done.returncode != 0:
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            return Timing(problem=f"exit status {done.returncode}: {last}")
        if i >= 0:
            spent.append(seconds)
    return Timing(tuple(spent))


def show(name: str, timing: Timing) -> None:
    """Print one line of the report."""
    print(f"{name:24s} {timing.text()}", flush=True)


def verdict(met: bool) -> str:
    """Return a word for a goal."""
    return "met" if met else "MISSED"


if __name__ == "__main__":
    raise SystemExit(main())
