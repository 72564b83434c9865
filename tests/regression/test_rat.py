"""What the calibrated rat must show: the course after 70% and 30% resection, against the published group means."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import hepatalk
from hepatalk.experiments.observations import load_rat_groups
from hepatalk.results.result import Result


@pytest.fixture(scope="module")
def phx70() -> Result:
    return hepatalk.run("phx70", species="rat")


@pytest.fixture(scope="module")
def phx30() -> Result:
    return hepatalk.run("phx30", species="rat")


def carbohydrate_volumes() -> list[tuple[float, float]]:
    return [
        (p.time_h, p.mean)
        for p in load_rat_groups()
        if p.quantity == "liver_volume_fraction" and p.diet == "Carbohydrate" and p.sex == "both" and p.time_h > 0
    ]


def test_volume_follows_the_carbohydrate_fed_rats(phx70: Result) -> None:
    points = [p for p in carbohydrate_volumes() if p[0] != 96]  # 96 h: four males only
    assert len(points) == 7
    errors = [phx70.at("liver_volume", t) - v for t, v in points]
    assert float(np.sqrt(np.mean(np.square(errors)))) < 0.05


def test_volume_rises_before_any_cell_is_born(phx70: Result) -> None:
    born = phx70.at("hepatocyte_count", 12.0) / phx70.at("hepatocyte_count", 0.0) - 1.0
    assert born < 0.01
    assert phx70.at("liver_volume", 10.0) > 1.1 * phx70.at("liver_volume", 0.0)


def test_hepatocytes_replicate_first_and_endothelium_last(phx70: Result) -> None:
    s = phx70.summary()
    assert s["s_phase.HEP.first_peak"] > 0.1
    assert 20.0 <= s["s_phase.HEP.first_peak_h"] <= 32.0
    for later in ("KC", "BEC"):
        assert s[f"s_phase.{later}.t_max_h"] > s["s_phase.HEP.first_peak_h"]
    assert 55.0 <= s["s_phase.LSEC.t_max_h"] <= 100.0


def test_portal_flow_jumps_at_once_and_returns_with_the_volume(phx70: Result) -> None:
    flow, volume = phx70.readout("portal_flow"), phx70.readout("liver_volume")
    assert flow[0] > 2.5
    assert flow[-1] < 1.2
    assert np.allclose(flow * volume, 1.0, rtol=1e-9)  # inflow is conserved by default


def test_a_small_resection_is_made_good_by_enlargement(phx70: Result, phx30: Result) -> None:
    assert phx30.summary()["s_phase.HEP.max"] <= 0.5 * phx70.summary()["s_phase.HEP.max"]
    size, count = phx30.readout("hepatocyte_volume"), phx30.readout("hepatocyte_count")
    assert np.all(size[24:] - 1.0 > 2.0 * (count[24:] / count[0] - 1.0))
    assert phx30.at("liver_volume", 336.0) > 0.9


def test_readouts_are_finite_to_the_end_also_after_death() -> None:
    result = hepatalk.run("phx97", days=7)
    assert result.readout("survived")[0] == 1.0
    assert result.readout("survived")[-1] == 0.0
    assert all(np.isfinite(result.readout(n)).all() for n in result.names)
    assert result.summary()["survived.end"] == 0.0


def test_the_output_step_changes_no_bit() -> None:
    hourly = hepatalk.run("phx70", days=3)
    coarse = hepatalk.run("phx70", days=3, every=6.0)
    for name in hourly.names:
        assert np.array_equal(hourly.readout(name)[::6], coarse.readout(name)), name
    assert hourly.summary()["s_phase.HEP.first_peak_h"] == coarse.summary()["s_phase.HEP.first_peak_h"]


def test_without_claims_and_observations_the_model_is_the_same(tmp_path: Path) -> None:
    """A copy of the package without experiments/data compiles to the same hash and runs to the same bits."""
    home = tmp_path
    shutil.copytree(Path(hepatalk.__file__).parent, home / "hepatalk", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.rmtree(home / "hepatalk" / "experiments" / "data")
    script = (
        "import hashlib, hepatalk, numpy as np\n"
        "r = hepatalk.run('phx70', days=1)\n"
        "v = np.ascontiguousarray(r.readout('liver_volume')).tobytes()\n"
        "print(r.provenance.model_hash, hashlib.sha256(v).hexdigest())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=home,
        env={**os.environ, "PYTHONPATH": str(home)},
        capture_output=True,
        text=True,
        check=True,
    )
    result = hepatalk.run("phx70", days=1)
    here = hashlib.sha256(np.ascontiguousarray(result.readout("liver_volume")).tobytes()).hexdigest()
    assert done.stdout.split() == [result.provenance.model_hash, here]
