"""A run on disk: all from which it goes on to the last bit, written so that a crash leaves the old file or the new.

The file is NumPy's npz. It carries what it belongs to: the model, the tissue, the schedule, the times of output and the
seed; a run of anything else does not go on from it.
"""

from __future__ import annotations

import errno
import hashlib
import os
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hepatalk.engines.lobule.arrays import CellArrays
from hepatalk.engines.lobule.network import Network
from hepatalk.engines.lobule.state import State, empty_cells
from hepatalk.errors import EngineError, OutputError
from hepatalk.model.schedule import Change

__all__ = ["Progressed", "key_of", "read", "write"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

#: What a reader of arrays raises on bytes that are none, or not all of them.
_UNREADABLE = (OSError, ValueError, TypeError, KeyError, RuntimeError, EOFError, zipfile.BadZipFile, zlib.error)
#: Changes with the meaning of what is written.
_FORMAT = 3


@dataclass
class Progressed:
    """How far a run has come.

    Attributes
    ----------
    state : State
    out : (n_times, n_states) float array
        Filled up to ``done``.
    which : (n_times,) int array
        Set of parameters in force at each time.
    sets : list of (n_params,) float array
    done : int
        Outputs that are filled.
    """

    state: State
    out: Floats
    which: Ints
    sets: list[Floats]
    done: int


def key_of(
    model_hash: str,
    seed: int,
    tolerance: float,
    tissue: Sequence[npt.NDArray[Any]],
    changes: Sequence[Change],
    times: Floats,
) -> dict[str, str]:
    """Return what a run is of, part by part, so that a message can say which part differs."""

    def digest(*parts: bytes) -> str:
        h = hashlib.sha256()
        for part in parts:
            h.update(len(part).to_bytes(8, "little") + part)
        return h.hexdigest()[:16]

    return {
        "model": model_hash,
        "seed": str(seed),
        "tolerance": repr(tolerance),
        "tissue": digest(*(np.ascontiguousarray(x).tobytes() for x in tissue)),
        "schedule": digest(*(repr(c).encode() for c in changes)),
        "times of output": digest(np.ascontiguousarray(times).tobytes()),
        "format": str(_FORMAT),
    }


def write(path: Path, key: dict[str, str], run: Progressed) -> None:
    """Write how far a run has come, in place of what was there.

    Raises
    ------
    EngineError
        If the file cannot be written; what was there stays.
    OutputError
        If that is because the disk is full.
    """
    s = run.state
    arrays: dict[str, Any] = {f"key.{name}": np.array(value) for name, value in key.items()}
    arrays |= {f"cells.{name}": x[: s.n] for name, x in s.cells._asdict().items()}
    for name in ("level", "waiting", "drawn"):
        arrays |= {f"{name}.{k}": x for k, x in enumerate(getattr(s, name))}
    if s.network is not None:
        arrays |= {f"network.{f.name}": getattr(s.network, f.name) for f in fields(Network)}
    for f in fields(State):
        value = getattr(s, f.name)
        if f.name not in ("cells", "level", "waiting", "drawn", "network"):
            arrays[f"state.{f.name}"] = np.array(np.nan if value is None else value)
    arrays |= {"out": run.out[: run.done], "which": run.which[: run.done], "sets": np.array(run.sets)}
    part = path.with_name(path.name + ".part")
    try:
        with part.open("wb") as file:
            np.savez(file, **arrays)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as e:
        part.unlink(missing_ok=True)
        if e.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            there = "run it again: it goes on from what was last written" if path.exists() else "run it again"
            raise OutputError(f"checkpoint {path}: {e.strerror}; free some space, and {there}") from e
        raise EngineError(
            f"checkpoint {path}: {e.strerror or e}; allowed: a file that can be written; give another"
        ) from e


def read(path: Path, key: dict[str, str], n_times: int, n_states: int) -> Progressed | None:
    """Return how far a run has come, None if there is no file.

    Raises
    ------
    EngineError
        If the file is of another run (names what differs) or cannot be read.
    """
    if not path.exists():
        return None
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except _UNREADABLE as e:
        raise EngineError(f"checkpoint {path}: it cannot be read ({e}); remove it to begin anew") from e
    for name, value in key.items():
        found = str(arrays.get(f"key.{name}", "none"))
        if found != value:
            told = "the model (records, species, parameters, hypotheses)" if name == "model" else f"the {name}"
            raise EngineError(
                f"checkpoint {path}: its {name} is {found}, this run's is {value}: {told} has changed; allowed: the "
                "run that wrote it; remove the file to begin anew"
            )
    try:
        state = _state(arrays)
        out, which = np.empty((n_times, n_states)), np.zeros(n_times, dtype=np.int64)
        done = len(arrays["out"])
        out[:done], which[:done] = arrays["out"], arrays["which"]
        return Progressed(state, out, which, list(arrays["sets"]), done)
    except _UNREADABLE as e:
        raise EngineError(f"checkpoint {path}: it cannot be read ({e}); remove it to begin anew") from e


def _state(arrays: dict[str, Any]) -> State:
    n = int(arrays["state.n"])
    cells = empty_cells(n + max(n // 4, 4096))
    kept = {}
    for name in CellArrays._fields:
        whole = getattr(cells, name)
        whole[:n] = arrays[f"cells.{name}"]
        kept[name] = whole
    values: dict[str, Any] = {"cells": CellArrays(**kept)}
    for name in ("level", "waiting", "drawn"):
        values[name] = [arrays[f"{name}.{k}"] for k in range(sum(x.startswith(f"{name}.") for x in arrays))]
    kept_network = {f.name: arrays[f"network.{f.name}"] for f in fields(Network) if f"network.{f.name}" in arrays}
    values["network"] = Network(**kept_network) if kept_network else None
    for f in fields(State):
        if f.name in values:
            continue
        x = arrays[f"state.{f.name}"]
        values[f.name] = x if x.ndim else x.item()
    state = State(**values)
    died = state.died_at_h
    return replace(state, died_at_h=None if died is None or np.isnan(died) else died)
