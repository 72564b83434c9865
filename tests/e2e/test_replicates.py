"""Many lobules from the command line: what they have in common, going on, and ends on the way."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

HEPATALK = str(Path(sys.executable).with_name("hepatalk"))
SMALL = ("run", "phx70", "--engine", "lobule", "--hepatocytes", "300", "--days", "0.1", "--every", "0.6")


def hepatalk(*arguments: str, cwd: Path, code: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([HEPATALK, *arguments], cwd=cwd, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with two replicates to which a third was added later."""
    folder = tmp_path_factory.mktemp("replicates")
    hepatalk(*SMALL, "--replicates", "2", "--seed", "4", "--out", "found", cwd=folder)
    kept = folder / "found" / "replicates" / "seed_4.npz"
    before = kept.stat().st_mtime_ns
    first = np.load(kept)["out"]
    hepatalk(*SMALL, "--replicates", "3", "--seed", "4", "--out", "found", cwd=folder)
    assert kept.stat().st_mtime_ns >= before
    assert np.array_equal(np.load(kept)["out"], first)
    return folder / "found"


def test_means_and_spread_are_those_of_the_single_runs(three: Path, tmp_path: Path) -> None:
    found = json.loads((three / "replicates.json").read_text(encoding="utf-8"))
    assert found["replicates"]["number"] == 3
    assert found["replicates"]["seeds"] == [4, 5, 6]
    single = [json.loads(hepatalk(*SMALL, "--seed", str(s), "--json", cwd=tmp_path).stdout) for s in (4, 5, 6)]
    assert list(found["readouts"]) == list(single[0]["readouts"])
    for name, mean in found["readouts"].items():
        many = np.array([one["readouts"][name] for one in single])
        assert np.allclose(mean, many.mean(axis=0), rtol=1e-13, atol=1e-15)
        assert np.allclose(found["replicates"]["sd"][name], many.std(axis=0, ddof=1), rtol=1e-9, atol=1e-15)
    highest = [one["summary"]["signal.IL6.max"] for one in single]
    assert found["replicates"]["summary"]["signal.IL6.max"]["mean"] == pytest.approx(np.mean(highest), rel=1e-13)
    assert found["replicates"]["summary"]["signal.IL6.max"]["sd"] > 0.0


def test_tables_have_all_readouts_under_their_names(three: Path) -> None:
    found = json.loads((three / "replicates.json").read_text(encoding="utf-8"))
    for name, columns in (("mean.csv", found["readouts"]), ("spread.csv", found["replicates"]["sd"])):
        with (three / name).open(encoding="utf-8", newline="") as stream:
            heading, *rows = list(csv.reader(stream))
        assert [h.partition(" [")[0] for h in heading] == ["time", *columns]
        assert [float(r[0]) for r in rows] == pytest.approx(found["time_h"], rel=1e-8)
        at = list(columns).index("liver_volume") + 1
        assert [float(r[at]) for r in rows] == pytest.approx(columns["liver_volume"], rel=1e-8, abs=1e-12)


def test_what_is_kept_of_another_run_is_refused(three: Path) -> None:
    record = (three / "replicates.json").read_bytes()
    other = hepatalk(
        *SMALL, "--replicates", "2", "--seed", "4", "--set", "hgf_half_life=0.2", "--out", three.name,
        cwd=three.parent, code=1,
    )  # fmt: skip
    assert other.stderr.count("\n") == 1
    assert "replicate with seed 4" in other.stderr
    assert "the model (records, species, parameters, hypotheses) has changed" in other.stderr
    assert (three / "replicates.json").read_bytes() == record


@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX")
def test_ctrl_c_keeps_what_is_done_and_ends_all_processes(tmp_path: Path) -> None:
    listen = (
        "import os, sys; from signal import *; signal(SIGINT, default_int_handler); os.execv(sys.argv[1], sys.argv[1:])"
    )
    more = ("--replicates", "40", "--out", "many")
    with subprocess.Popen(
        [sys.executable, "-c", listen, HEPATALK, *SMALL, *more],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    ) as process:  # fmt: skip
        until = time.monotonic() + 200.0
        while not (tmp_path / "many" / "replicates" / "seed_0.npz").exists() and time.monotonic() < until:
            time.sleep(0.1)
        os.killpg(process.pid, signal.SIGINT)
        # The workers hold the pipes too: this returns only when all of them have gone.
        said, error = process.communicate(timeout=60)
    assert (process.returncode, said, error) == (130, "", "interrupted\n")
    kept = sorted(p.name for p in (tmp_path / "many" / "replicates").glob("*.npz"))
    assert "seed_0.npz" in kept
    assert len(kept) < 40
    hepatalk(*SMALL, "--replicates", "1", "--json", cwd=tmp_path)
    found = hepatalk(*SMALL, "--replicates", "2", "--out", "many", "--json", cwd=tmp_path)
    assert json.loads(found.stdout)["replicates"]["seeds"] == [0, 1]
