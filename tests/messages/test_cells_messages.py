"""Cells that cannot be kept or read: one line that names the folder, what is wrong and the next step."""

from __future__ import annotations

import errno
import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from hepatalk.cli.keeping import checked_every
from hepatalk.errors import ExperimentError, HepatalkError, OutputError, ResultError
from hepatalk.results import Provenance, Result, cell_tables, save_result
from hepatalk.results.cell_tables import CELLS, CellTables
from hepatalk.results.cells import load_cells, to_anndata


def moment(time_h: float = 0.0) -> Any:
    """Three cells at two sites, without a place in space."""
    return SimpleNamespace(
        time_h=time_h,
        lobules=1.0,
        scale=1.0,
        types=("HEP", "KC"),
        compartments=("HEP.resting.mononucleate.generation0", "KC.resting"),
        labels=("label",),
        ident=np.array([0, 1, 2]),
        parent=np.array([-1, -1, 0]),
        clone=np.array([0, 1, 0]),
        type_=np.array([0, 1, 0]),
        compartment=np.array([0, 1, 0]),
        site=np.array([0, 1, 1]),
        zone=np.array([1, 2, 2]),
        marks=np.array([0, 1, 0]),
        volume=np.ones(3),
        position=np.zeros((3, 3)),
        site_position=np.zeros((2, 3)),
        site_zone=np.array([1, 2]),
        fields={"signal.HGF": np.array([1.0, 2.0])},
        anatomy={},
        vessels={},
        measures={},
    )


def result() -> Result:
    provenance = Provenance("phx70", "a title", "rat", "lobule", 1, "abc", "1", created="2026-01-31T12:00:00+00:00")
    return Result.build([0.0, 1.0], {"liver_volume": np.ones(2)}, {"liver_volume": "1"}, {"liver_volume": "d"},
                        provenance)  # fmt: skip


def refusal(kind: type[HepatalkError], call: Callable[[], object]) -> str:
    with pytest.raises(kind) as caught:
        call()
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    return message


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    folder = Path("run")
    folder.mkdir()
    tables = CellTables(folder / CELLS, 1.0)
    tables(moment())
    tables(moment(1.0))
    tables.finish(result(), hepatocytes=2, lobules=1)
    save_result(result(), folder)
    return folder


def test_a_table_of_cells_without_a_place_is_read_back(run: Path) -> None:
    cells = load_cells(run)
    assert cells.times_h == (0.0, 1.0)
    assert cells.anatomy() == {}
    assert cells.at(0.9)["labels"].values.ravel().tolist() == [False, True, False]
    assert len(cells.profiles()["time"]) == 0


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_while_streaming(run: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    written = []
    plain = cell_tables._write_file

    def full(path: Path, content: bytes) -> None:
        if len(written) == 5:
            raise OSError(code, "No space left on device")
        written.append(path)
        plain(path, content)

    monkeypatch.setattr(cell_tables, "_write_file", full)
    tables = CellTables(run / "half.zarr", 1.0)
    message = refusal(OutputError, lambda: tables(moment()))
    assert message == (
        "cells at 0 h cannot be written into 'run': No space left on device; free some space or change permissions, "
        "or choose another folder with --out"
    )
    assert [p for p in (run / "half.zarr").rglob("*") if p.is_file()] == []


def test_no_cells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert refusal(ResultError, lambda: load_cells("other")) == (
        "'other' holds no cells.zarr; allowed: the folder of a run of the lobule engine; "
        "run the experiment again with --engine lobule --out"
    )


def test_cells_of_another_run(run: Path) -> None:
    record = json.loads((run / "provenance.json").read_text())
    (run / "provenance.json").write_text(json.dumps(record | {"content_sha256": "0"}))
    assert refusal(ResultError, lambda: load_cells(run)).startswith("the cells in 'run' are not of the result beside")


def test_another_format(run: Path) -> None:
    head = json.loads((run / CELLS / "zarr.json").read_text())
    head["attributes"]["format_version"] = 7
    (run / CELLS / "zarr.json").write_text(json.dumps(head))
    assert "allowed: hepatalk cells 2" in refusal(ResultError, lambda: load_cells(run))


@pytest.mark.parametrize("name", ["obs/ident/c/0", "obs/state/zarr.json", "fields/c/0/0", "zarr.json"])
def test_a_damaged_table(run: Path, name: str) -> None:
    cells = load_cells(run)
    first = sorted((run / CELLS / "moments").glob("h*"))[0]
    (first / name).write_bytes(b"{broken")
    message = refusal(ResultError, lambda: cells.at(0.0))
    assert message.startswith("'run/cells.zarr' is damaged: the cells at 0 h cannot be read")
    assert message.endswith("run the experiment again with --engine lobule --out")


def test_without_anndata(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "anndata", None)
    message = refusal(ResultError, lambda: to_anndata(load_cells(run).at(0.0)))
    assert "pip install anndata" in message


def test_with_anndata(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stub = SimpleNamespace(AnnData=SimpleNamespace)
    monkeypatch.setitem(sys.modules, "anndata", stub)
    found = to_anndata(load_cells(run).at(0.0))
    assert found.obs.index.tolist() == ["0", "1", "2"]
    assert found.obs["type"].tolist() == ["HEP", "KC", "HEP"]
    assert str(found.obs["type"].dtype) == "category"
    assert found.obs["label_label"].tolist() == [False, True, False]
    assert found.obsm["spatial"].shape == (3, 3)
    assert found.uns["fields"]["signal.HGF"].tolist() == [1.0, 2.0]


@pytest.mark.parametrize(
    ("every", "film", "engine", "out", "said"),
    [
        (6.0, False, "population", Path("x"), "--cells-every: only a lobule has cells"),
        (None, True, "population", Path("x"), "--film: only a lobule has cells"),
        (6.0, False, "lobule", None, "--cells-every without --out"),
        (0.01, False, "lobule", Path("x"), "--cells-every 0.01 h; allowed: 0.1 h or more"),
        (float("nan"), False, "lobule", Path("x"), "--cells-every nan h; allowed: 0.1 h or more"),
    ],
)
def test_options_of_cells(every: float | None, film: bool, engine: str, out: Path | None, said: str) -> None:
    assert refusal(ExperimentError, lambda: checked_every(every, film, engine, out)).startswith(said)
