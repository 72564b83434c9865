"""hepatalk: an executable, cited model of how the cells of the liver talk to each other while the liver regenerates.

The flow: `load` the knowledge, `compile_model`, pose an `experiment`, `run` it, look at the `Result`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from hepatalk import _cache

if TYPE_CHECKING:
    from hepatalk.errors import HepatalkError
    from hepatalk.experiments.experiment import Experiment
    from hepatalk.experiments.experiment import load_experiment as experiment
    from hepatalk.experiments.run import run
    from hepatalk.knowledge.load import Knowledge, load
    from hepatalk.model.compiler import compile_model
    from hepatalk.results.result import Result
    from hepatalk.results.store import load_result, save_result

__version__ = "0.1.0"

# Before anything can import Numba: its machine code must not outlive a change of a law.
_cache.prepare()

# Names are looked up on first use: importing the package alone costs almost nothing.
_HOME = {
    "Experiment": ("hepatalk.experiments.experiment", "Experiment"),
    "HepatalkError": ("hepatalk.errors", "HepatalkError"),
    "Knowledge": ("hepatalk.knowledge.load", "Knowledge"),
    "Result": ("hepatalk.results.result", "Result"),
    "compile_model": ("hepatalk.model.compiler", "compile_model"),
    "experiment": ("hepatalk.experiments.experiment", "load_experiment"),
    "load": ("hepatalk.knowledge.load", "load"),
    "load_result": ("hepatalk.results.store", "load_result"),
    "run": ("hepatalk.experiments.run", "run"),
    "save_result": ("hepatalk.results.store", "save_result"),
}

__all__ = [
    "Experiment",
    "HepatalkError",
    "Knowledge",
    "Result",
    "compile_model",
    "experiment",
    "load",
    "load_result",
    "run",
    "save_result",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'hepatalk' has no attribute {name!r}")
    module, attribute = _HOME[name]
    return getattr(importlib.import_module(module), attribute)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
