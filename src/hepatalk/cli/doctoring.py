"""``hepatalk doctor``: is this installation sound."""

from __future__ import annotations

import os
import platform
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from hepatalk.cli.console import background, note, say, table
from hepatalk.errors import HepatalkError

if TYPE_CHECKING:
    from hepatalk.experiments.run import Run

__all__ = ["register"]

_PACKAGES = (
    "numpy",
    "scipy",
    "numba",
    "scikit-sundae",
    "pydantic",
    "PyYAML",
    "xarray",
    "zarr",
    "pint",
    "typer",
    "rich",
    "plotly",
    "matplotlib",
)
#: CVODE and LSODA agree to this, as a fraction of each readout's largest value: a hundred times the solvers' tolerance.
_AGREEMENT = 1e-5
_HOURS = 48


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("doctor", short_help="Check this installation: packages, solvers, caches, permissions")(doctor)


def doctor() -> None:
    """Check Python, packages, both solvers, threads, caches and permissions. Exits with 1 if anything fails.

    What killed runs left in this folder and its results is removed.
    """
    checks: tuple[tuple[str, Callable[[], str]], ...] = (
        ("python", _python),
        ("hepatalk", _package),
        ("packages", _packages),
        ("threads", _threads),
        ("kernel cache", _kernel_cache),
        ("list cache", _list_cache),
        ("temporary files", lambda: _writable(Path(tempfile.gettempdir()))),
        ("this folder", lambda: _writable(Path.cwd())),
        ("left behind", _leftovers),
        ("knowledge", _knowledge),
        ("solvers, sham", lambda: background(lambda: _solvers("sham"))),
        ("solvers, phx70", lambda: background(lambda: _solvers("phx70"))),
    )
    rows, failed = [], 0
    for name, run in checks:
        note(f"checking {name} ...")
        try:
            rows.append((name, "ok", run()))
        except Exception as error:  # whatever fails is what the user came to hear of
            failed += 1
            text = str(error) if isinstance(error, HepatalkError) else f"{type(error).__name__}: {error}"
            rows.append((name, "FAILED", " ".join(text.split())))
    table(("check", "", "what was found"), rows)
    say()
    say(f"{failed} of {len(rows)} checks failed" if failed else "all is well")
    if failed:
        raise typer.Exit(1)


def _require(sound: bool, text: str) -> str:
    if not sound:
        raise HepatalkError(text)
    return text


def _python() -> str:
    found = f"{platform.python_version()} at {sys.executable} on {platform.platform()}"
    return found if sys.version_info >= (3, 11) else _require(False, f"{found}; 3.11 or newer is needed")


def _package() -> str:
    import hepatalk

    return f"{hepatalk.__version__} at {Path(hepatalk.__file__).parent}"


def _packages() -> str:
    from importlib import import_module
    from importlib.metadata import PackageNotFoundError, version

    found, broken = [], []
    for name in _PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            broken.append(f"{name} is not installed")
    for module in ("numba", "sksundae.cvode", "scipy.integrate", "xarray", "zarr"):
        try:
            import_module(module)
        except ImportError as error:
            broken.append(f"{module} cannot be imported ({error})")
    return _require(not broken, "; ".join(broken) + "; install hepatalk again") if broken else ", ".join(found)


def _threads() -> str:
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{usable} of {os.cpu_count()} processors may be used; a run uses one"


def _kernel_cache() -> str:
    folder = Path(os.environ.get("NUMBA_CACHE_DIR", ""))
    kept = sum(1 for _ in folder.rglob("*.nbc"))
    return f"{_writable(folder)}; {kept} compiled kernels" + ("" if kept else " (the first run compiles them)")


def _list_cache() -> str:
    from hepatalk._cache import user_cache

    folder = user_cache()
    return _writable(folder) if folder.is_dir() else f"{folder} does not exist yet"


def _writable(folder: Path) -> str:
    with tempfile.TemporaryFile(dir=folder) as stream:
        stream.write(b"hepatalk")
        stream.flush()
    return f"{folder} can be written"


def _leftovers() -> str:
    """Remove what killed runs left in this folder and two levels below it."""
    from hepatalk.cli.leftovers import clear

    gone = clear(Path.cwd(), below=True)
    return f"{gone} hidden folders of killed runs removed" if gone else "nothing of killed runs"


def _knowledge() -> str:
    from hepatalk.knowledge.load import load

    knowledge = load()
    return f"{len(knowledge.interactions)} statements, version {knowledge.version}"


def _solvers(name: str) -> str:
    """Run two days with CVODE and with LSODA and compare every readout."""
    from time import perf_counter

    import numpy as np

    from hepatalk.engines.population.engine import PopulationEngine
    from hepatalk.experiments.injuries import changes_of
    from hepatalk.experiments.readouts import measure
    from hepatalk.experiments.run import perform

    run: Run = perform(name, days=_HOURS / 24)
    times = np.arange(0.0, _HOURS + 1.0, 4.0)
    found: dict[str, Any] = {}
    spent: dict[str, float] = {}
    for solver in ("cvode", "lsoda"):
        start = perf_counter()
        course = PopulationEngine(solver=solver).run(run.model, changes_of(run.experiment), times)
        spent[solver] = perf_counter() - start
        found[solver] = measure(run.model, course)
    worst, where = 0.0, ""
    for readout, values in found["cvode"].items():
        gap = float(np.abs(values - found["lsoda"][readout]).max() / max(float(np.abs(values).max()), 1e-3))
        if gap > worst:
            worst, where = gap, readout
    text = f"CVODE {spent['cvode']:.2f} s, LSODA {spent['lsoda']:.2f} s; largest difference {worst:.1e}"
    text += f" of {where}" if where else ""
    return _require(worst < _AGREEMENT, text)
