"""The installed command, as a person uses it: every command once, in a process of its own."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from hepatalk.cli.index import KINDS
from hepatalk.results.cells import load_cells
from hepatalk.results.store import load_result, save_result

HEPATALK = str(Path(sys.executable).with_name("hepatalk"))
COMMANDS = ("run", "list", "explain", "check", "claims", "score", "compare", "report", "doctor")


def hepatalk(*arguments: str, cwd: Path, code: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([HEPATALK, *arguments], cwd=cwd, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a saved run of two days, with its printed table in ``said.txt`` beside it."""
    folder = tmp_path_factory.mktemp("saved")
    said = hepatalk("run", "phx70", "--days", "2", "--seed", "3", "--out", "phx70", cwd=folder).stdout
    (folder / "said.txt").write_text(said, encoding="utf-8")
    return folder / "phx70"


# --- run -----------------------------------------------------------------------------------------------------------


def test_run_json_is_one_object_with_the_agreed_keys_and_writes_nothing(tmp_path: Path) -> None:
    done = hepatalk("run", "phx70", "--species", "rat", "--json", cwd=tmp_path)
    assert done.stderr == ""
    assert done.stdout.count("\n") == 1
    found = json.loads(done.stdout)
    identity = ["experiment", "species", "engine", "seed", "model_hash", "knowledge_version"]
    assert list(found) == [*identity, "time_h", "readouts", "summary"]
    assert [found[k] for k in identity[:4]] == ["phx70", "rat", "population", 0]
    assert found["time_h"] == [float(t) for t in range(337)]
    assert all(len(v) == 337 and all(map(math.isfinite, v)) for v in found["readouts"].values())
    assert {"liver_volume", "s_phase.HEP", "signal.HGF", "node.HEP.STAT3", "survived"} <= set(found["readouts"])
    assert {"liver_volume.end", "s_phase.HEP.first_peak", "s_phase.HEP.first_peak_h"} <= set(found["summary"])
    assert list(tmp_path.iterdir()) == []


def test_run_an_injury_of_the_catalogue_with_an_intervention_of_the_command_line(tmp_path: Path) -> None:
    more = ("--days", "2", "--every", "24", "--intervene", "deplete cell=KC fraction=0.9 at=-24h")
    plain = json.loads(hepatalk("run", "bdl", "--json", "--days", "2", "--every", "24", cwd=tmp_path).stdout)
    found = json.loads(hepatalk("run", "bdl", "--json", *more, cwd=tmp_path).stdout)
    assert found["readouts"]["signal.BA"][-1] > 2.0
    assert found["readouts"]["count.KC"][0] < 0.2 < plain["readouts"]["count.KC"][0]


def test_run_phx_bisect_finds_the_edge_of_survival(tmp_path: Path) -> None:
    found = json.loads(
        hepatalk("run", "phx", "--bisect", "--tolerance", "0.3", "--days", "4", "--json", cwd=tmp_path).stdout
    )
    assert 0.0 < found["lethal"] - found["survived"] <= 0.3
    assert found["smallest_survivable_remnant"] == pytest.approx(1.0 - found["survived"])
    assert all((t["died_at_h"] is None) == (t["fraction"] <= found["survived"]) for t in found["trials"])
    said = hepatalk("run", "phx70", "--bisect", cwd=tmp_path, code=2).stderr
    assert said.startswith("--bisect with the experiment 'phx70'; allowed: 'hepatalk run phx --bisect'")


def test_run_sham_changes_nothing_and_takes_its_options(tmp_path: Path) -> None:
    done = hepatalk(
        "run",
        "sham",
        "--days",
        "30",
        "--every",
        "24",
        "--seed",
        "7",
        "--set",
        "hgf_half_life=0.1",
        "--json",
        cwd=tmp_path,
    )
    found = json.loads(done.stdout)
    assert found["seed"] == 7
    assert found["time_h"] == [24.0 * k for k in range(31)]
    assert max(abs(v - 1.0) for v in found["readouts"]["liver_volume"]) < 0.01


def test_run_leaves_a_folder_and_says_where_the_report_is(saved: Path) -> None:
    said = (saved.parent / "said.txt").read_text(encoding="utf-8")
    assert said.rstrip().endswith(f"report: {Path('phx70') / 'report.html'}")
    assert "rats, mean" in said and "root mean square" in said and "HEP" in said and "survived" in said
    assert {p.name for p in saved.iterdir()} == {
        *("result.zarr", "provenance.json", "experiment.yaml", "report.html", "figures", "table.csv")
    }
    assert {p.suffix for p in (saved / "figures").iterdir()} == {".png", ".svg"}
    rows = (saved / "table.csv").read_text(encoding="utf-8").splitlines()
    assert len(rows) == 1 + 49
    assert rows[0].startswith("time [h],liver_volume [fraction of healthy],")


def test_run_says_on_stderr_what_was_chosen_and_whose_numbers_run(tmp_path: Path) -> None:
    chosen = [f"--hypothesis={name}" for name in ("nk_role", "hypoxia_cue", "kc_net_effect")]
    done = hepatalk("run", "phx30", "--days", "1", "--species", "mouse", *chosen, "--json", cwd=tmp_path)
    lines = done.stderr.splitlines()
    assert re.fullmatch(
        r"species mouse: 2 numbers are calibrated on it \(hep_g1_duration, lethal_deficit\); "
        r"the other \d+ are the rat's \(hepatalk list parameters --differs shows what differs\)",
        lines[0],
    )
    assert lines[1].startswith("hypothesis nk_role: of its 2 alternatives this one runs: Inhibitory")
    assert len(lines) == 2  # hypotheses with one alternative leave nothing to choose
    json.loads(done.stdout)


# --- list ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_list_gives_every_kind_as_json(kind: str, tmp_path: Path) -> None:
    rows = json.loads(hepatalk("list", kind, "--json", cwd=tmp_path).stdout)
    assert len(rows) >= 5
    assert all(row.get("id") or row.get("name") for row in rows)


def test_list_is_one_line_for_each_record_in_a_pipe(tmp_path: Path) -> None:
    said = hepatalk("list", "interactions", cwd=tmp_path).stdout.splitlines()
    rows = json.loads(hepatalk("list", "interactions", "--json", cwd=tmp_path).stdout)
    assert said[0].split()[:3] == ["id", "from", "to"]
    assert [line.split()[0] for line in said[1 : 1 + len(rows)]] == [row["id"] for row in rows]


def test_list_differs_gives_each_species_with_its_number_and_source(tmp_path: Path) -> None:
    rows = json.loads(hepatalk("list", "parameters", "--differs", "--json", cwd=tmp_path).stdout)
    found = {r["id"]: r for r in rows}
    assert {"hep_g1_duration", "lethal_deficit", "hep_growth_rate", "hep_size_restoring"} <= set(found)
    for row in rows:
        own = row["by_species"]
        assert list(own) == ["rat", "mouse", "human"]
        assert row["unit"] and all(stated["source"] for stated in own.values())
        assert len({stated["value"] for stated in own.values()}) > 1
        assert own["rat"] == {"value": row["value"], "source": row["source"], "reason": row["reason"], "own": False}
    mouse = found["lethal_deficit"]["by_species"]["mouse"]
    assert mouse["own"] and mouse["source"] == ["fitted: scripts/calibrate_species.py", "west2005"]
    assert found["lethal_deficit"]["by_species"]["human"]["value"] == found["lethal_deficit"]["value"]

    lines = hepatalk("list", "parameters", "--differs", cwd=tmp_path).stdout.splitlines()
    assert [line.split()[0] for line in lines[1 : 1 + len(rows)]] == [row["id"] for row in rows]
    line = next(re.split(r"\s{2,}", x.strip()) for x in lines if x.startswith("lethal_deficit"))
    mine = "fitted: scripts/calibrate_species.py, west2005"
    assert line[1:] == ["10.5", f"{mouse['value']:.4g}", "-", "h", "assumed", mine, "-"]


def test_explain_tells_what_a_species_has_of_its_own(tmp_path: Path) -> None:
    said = hepatalk("explain", "hep_g1_duration", cwd=tmp_path).stdout
    assert "in the mouse" in said and "fitted: scripts/calibrate_species.py" in said


def test_list_experiments_names_the_catalogue_and_the_resections(tmp_path: Path) -> None:
    said = hepatalk("list", "experiments", cwd=tmp_path).stdout
    assert "sham" in said and "phx1 ... phx99" in said and "phx70_anti_il6" in said


def test_list_imports_nothing_heavy(tmp_path: Path) -> None:
    heavy = {"numpy", "numba", "scipy", "yaml", "xarray", "zarr", "matplotlib", "plotly", "pint", "hepatalk.knowledge"}
    code = (
        "import sys; from hepatalk.cli.main import main; sys.argv = ['hepatalk', 'list', 'cells']; main(); "
        f"sys.stderr.write(' '.join(sorted({heavy} & set(sys.modules))))"
    )
    hepatalk("list", "cells", cwd=tmp_path)  # the first list after a change of the knowledge reads all of it
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


# --- explain -------------------------------------------------------------------------------------------------------


def test_explain_hgf_tells_who_releases_it_who_answers_and_who_says_so(tmp_path: Path) -> None:
    said = hepatalk("explain", "HGF", cwd=tmp_path).stdout
    for wanted in (
        "Who releases it",
        "HSC (hepatic stellate cell)",
        "Who answers",
        "MET in HEP",
        "human HGF; mouse Hgf; rat Hgf",
    ):
        assert wanted in said
    assert "HEP-HSC-11" in said and "doi:10." in said and "becomes" in said and "half-life" in said


def test_explain_finds_a_thing_by_any_of_its_names(tmp_path: Path) -> None:
    first = {
        name: hepatalk("explain", name, cwd=tmp_path).stdout.splitlines()[0]
        for name in ("Hgf", "scatter factor", "c-Met", "HGFR")
    }
    assert first == {"Hgf": "HGF", "scatter factor": "HGF", "c-Met": "HEP.MET", "HGFR": "HEP.MET"}


@pytest.mark.parametrize(
    ("name", "kind", "wanted"),
    [
        ("LSEC", "cell", "What it releases"),
        ("HEP-HSC-11", "statement", "becomes"),
        ("hgf_half_life", "parameter", "Where it is used"),
        ("il6_sign", "hypothesis", "--hypothesis il6_sign"),
        ("s_phase.HEP", "readout", "What moves it"),
        ("uematsu1999", "source", "doi"),
    ],
)
def test_explain_has_a_page_for_every_kind(name: str, kind: str, wanted: str, tmp_path: Path) -> None:
    assert wanted in hepatalk("explain", name, cwd=tmp_path).stdout
    assert json.loads(hepatalk("explain", name, "--json", cwd=tmp_path).stdout)["kind"] == kind


def test_explain_run_ranks_the_statements_behind_a_readout(saved: Path) -> None:
    done = hepatalk(
        "explain", "--run", str(saved), "--readout", "s_phase.HEP", "--at", "24h", "--json", cwd=saved.parent
    )
    found = json.loads(done.stdout)
    assert (found["run"], found["readout"], found["at_h"], found["knowledge_changed"]) == (
        "phx70",
        "s_phase.HEP",
        24.0,
        False,
    )
    effects = [abs(d["effect"]) for d in found["drivers"]]
    assert len(effects) == 12 and effects == sorted(effects, reverse=True) and effects[-1] > 0
    assert found["value"] == pytest.approx(load_result(saved).at("s_phase.HEP", 24.0), rel=1e-9)


def _of_another_knowledge(saved: Path, folder: Path) -> Path:
    """Return a copy of a saved run that says it was made by another model."""
    shutil.copytree(saved, folder)
    result = load_result(saved)
    save_result(replace(result, provenance=replace(result.provenance, model_hash="0" * 16)), folder)
    return folder


def test_a_run_of_other_knowledge_is_explained_as_such_and_its_report_is_not_rewritten(
    saved: Path, tmp_path: Path
) -> None:
    other = _of_another_knowledge(saved, tmp_path / "other")
    before = (other / "report.html").stat()
    said = hepatalk("explain", "--run", "other", "--readout", "liver_volume", "--at", "1 d", cwd=tmp_path).stdout
    assert said.startswith("The knowledge has changed since this run was saved (model 0000000000000000 then,")
    error = hepatalk("report", "other", cwd=tmp_path, code=2).stderr
    assert error.startswith("the knowledge has changed since the run in 'other'") and error.count("\n") == 1
    assert (other / "report.html").stat() == before


# --- compare, report, doctor, help ---------------------------------------------------------------------------------


def test_compare_tells_the_differences_and_draws_them(saved: Path, tmp_path: Path) -> None:
    _of_another_knowledge(saved, tmp_path / "twin")
    said = hepatalk("compare", str(saved), "twin", "--out", "both.png", cwd=tmp_path).stdout
    assert "twin - phx70" in said and "liver_volume.end" in said and "s_phase.HEP.first_peak_h" in said
    assert said.rstrip().endswith("figure: both.png")
    assert (tmp_path / "both.png").read_bytes().startswith(b"\x89PNG")
    assert {p.name for p in tmp_path.iterdir()} == {"twin", "both.png"}


def test_report_writes_the_report_again(saved: Path, tmp_path: Path) -> None:
    shutil.copytree(saved, tmp_path / "again")
    (tmp_path / "again" / "report.html").unlink()
    assert hepatalk("report", "again", cwd=tmp_path).stdout == f"report: {Path('again') / 'report.html'}\n"
    assert (
        (tmp_path / "again" / "report.html").read_text(encoding="utf-8").lstrip().lower().startswith("<!doctype html")
    )
    assert load_result(tmp_path / "again").content_hash() == load_result(saved).content_hash()


def test_doctor_finds_this_installation_sound(tmp_path: Path) -> None:
    said = hepatalk("doctor", cwd=tmp_path).stdout
    assert said.rstrip().endswith("all is well")
    assert said.count(" ok ") == 12 and "LSODA" in said
    assert list(tmp_path.iterdir()) == []


def test_check_of_the_lobule_prints_it_beside_measurements(tmp_path: Path) -> None:
    found = json.loads(hepatalk("check", "--engine", "lobule", "--json", cwd=tmp_path).stdout)
    assert found["outside"] == 0
    assert list(found["lobules"]) == ["rat", "mouse", "human"]
    for rows in found["lobules"].values():
        assert {"hepatocyte_density", "sinusoid_fraction", "kc_share"} <= {row["quantity"] for row in rows}
        assert all(row["low"] <= row["value"] <= row["high"] and row["source"] for row in rows)
    text = hepatalk("check", "--engine", "lobule", cwd=tmp_path).stdout
    assert "sinusoid_fraction" in text
    assert "0 outside their range" in text
    assert list(tmp_path.iterdir()) == []


def test_check_finds_no_error(tmp_path: Path) -> None:
    found = json.loads(hepatalk("check", "--json", cwd=tmp_path).stdout)
    assert found["errors"] == 0
    assert found["influence"] is None


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str, tmp_path: Path) -> None:
    said = hepatalk(command, "--help", cwd=tmp_path).stdout
    assert said.startswith(f"Usage: hepatalk {command} ")
    assert all(len(line) <= 80 for line in said.splitlines())


def test_the_bare_command_shows_what_there_is(tmp_path: Path) -> None:
    said = hepatalk(cwd=tmp_path).stdout
    assert all(f"\n  {command} " in said for command in COMMANDS)
    assert said == hepatalk("--help", cwd=tmp_path).stdout


def test_the_module_is_the_command(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "hepatalk", "--version"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, hepatalk("--version", cwd=tmp_path).stdout)


@pytest.mark.skipif(sys.platform == "win32", reason="pipes are POSIX")
@pytest.mark.parametrize("kind", ["cells", "interactions"])
def test_a_reader_that_leaves_early_is_no_error(kind: str, tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            [HEPATALK, "list", kind], cwd=tmp_path, stdout=writer, stderr=subprocess.PIPE, check=False
        )
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (141, b"")


# --- score ---------------------------------------------------------------------------------------------------------


def test_score_json_is_one_list_of_the_rows_asked_for(tmp_path: Path) -> None:
    done = hepatalk("score", "--json", "--only", "T3-02,T1-11", "--only", "T1-03", cwd=tmp_path)
    found = {row["id"]: row for row in json.loads(done.stdout)}
    assert list(found) == ["T1-03", "T1-11", "T3-02"]
    keys = ["id", "status", "reason", "margin", "value", "low", "high", "use", "topic", "agree", "held", "checks"]
    assert all(
        list(row) == [*keys, "fitted", "members", "not_run", "cause", "why", "would_help"] for row in found.values()
    )
    assert (found["T1-03"]["status"], found["T1-03"]["margin"]) == ("not_scored", None)
    volume = found["T1-11"]
    assert (volume["low"], volume["high"], volume["use"]) == (pytest.approx(0.29), pytest.approx(0.45), "validate")
    assert (volume["status"] == "pass") == (volume["low"] <= volume["value"] <= volume["high"])
    assert found["T3-02"]["checks"] == 2
    assert done.stderr == ""  # progress is for terminals
    assert list(tmp_path.iterdir()) == []


def test_score_prints_failing_rows_first_and_the_denominators(tmp_path: Path) -> None:
    said = hepatalk("score", "--only", "T1-11,T1-10,T1-03,T3-10", cwd=tmp_path).stdout.splitlines()
    starts = [line.split()[0] for line in said if line.startswith("T")]
    status = [line.split()[1] for line in said if line.startswith("T")]
    assert set(starts) == {"T1-11", "T1-10", "T1-03", "T3-10"}
    failing = {line.split()[0] for line in said if line.startswith("T") and line.split()[1] == "fail"}
    assert {line.split()[0] for line in said if line.startswith("T") and line.split()[1] == "fails,"} == failing
    assert status[:3] == sorted(status[:3], key=["fail", "pass", "not_scored"].index)
    assert any(
        line.startswith("validate: ") and line.endswith("2 of 3 are scored (not: 1 no_such_readout)") for line in said
    )
    assert any(line.startswith("calibrate: ") and line.endswith("1 of 1 are scored") for line in said)


# --- a lobule in space ---------------------------------------------------------------------------------------------


def test_a_lobule_keeps_its_cells_until_another_run_takes_the_folder(tmp_path: Path) -> None:
    small = ("--engine", "lobule", "--hepatocytes", "150", "--days", "0.5", "--seed", "3")
    more = ("--cells-every", "6", "--film", "--checkpoint", "run.npz", "--out", "l")
    hepatalk("run", "phx70", *small, *more, cwd=tmp_path)
    cells = load_cells(tmp_path / "l")
    assert [round(t) for t in cells.times_h] == [0, 6, 12]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["l"]
    figures = {p.name for p in (tmp_path / "l" / "figures").iterdir()}
    assert {"sections.png", "section_12h.png", "zones.png", "tissue.png", "clones.png", "film.gif"} <= figures
    report = (tmp_path / "l" / "report.html").read_text(encoding="utf-8")
    assert "chart-lobule" in report
    before = {p: p.read_bytes() for p in (tmp_path / "l" / "cells.zarr").rglob("*") if p.is_file()}
    hepatalk("report", "l", cwd=tmp_path)
    assert {p: p.read_bytes() for p in before} == before
    assert (tmp_path / "l" / "report.html").read_text(encoding="utf-8") == report
    hepatalk("run", "sham", "--days", "1", "--out", "l", cwd=tmp_path)
    assert not (tmp_path / "l" / "cells.zarr").exists()
    assert not list((tmp_path / "l").glob(".*"))
