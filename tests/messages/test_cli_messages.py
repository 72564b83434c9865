"""What a person reads on a bad command line: one line, the right exit code, and nothing half-written."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

import hepatalk.plots
import hepatalk.plots.view
import hepatalk.report
from hepatalk.cli import folder
from hepatalk.errors import OutputError
from hepatalk.experiments.experiment import load_experiment, overridden, parse_experiment
from hepatalk.experiments.run import Run, perform
from hepatalk.knowledge.load import Knowledge, load
from hepatalk.results.store import load_result, save_result

HEPATALK = str(Path(sys.executable).with_name("hepatalk"))
OUT = ("--out", "result")


def refused(arguments: Sequence[str], cwd: Path, code: int = 2) -> str:
    """Return the one line that a command which must fail leaves on the error stream."""
    before = sorted(cwd.rglob("*"))
    done = subprocess.run([HEPATALK, *arguments], cwd=cwd, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout) == (code, ""), done.stderr
    assert done.stderr.count("\n") == 1 and done.stderr.endswith("\n") and "Traceback" not in done.stderr
    assert sorted(cwd.rglob("*")) == before
    return done.stderr.rstrip("\n")


# --- names, genes, options -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (["run", "phx7O"], ["unknown experiment 'phx7O'", "nearest: phx7", "hepatalk list experiments"]),
        (["run", "phx0"], ["'phx0'", "phx1 to phx99", "for no resection use 'sham'"]),
        (["run", "phx100"], ["'phx100'", "phx1 to phx99"]),
        (["run", "phx70", "--knockout", "Il7x"], ["unknown gene 'Il7x'", "Il6"]),
        (["run", "phx70", "--knockout", "HGF"], ["'HGF'", "human symbol", "rat symbol is Hgf"]),
        (["run", "phx70", "--knockout", "LPS"], ["'LPS'", "signal", "not a rat gene"]),
        (["run", "phx70", "--knockout", "Hgf@LSCE"], ["unknown cell 'LSCE'", "LSEC"]),
        (["run", "phx70", "--species", "ratt"], ["unknown species 'ratt'", "nearest: rat"]),
        (["run", "hep_culture", "--engine", "lobule"], ["'lobule'", "a culture has no lobule", "population"]),
        (["run", "phx70", "--cells-every", "6"], ["--cells-every", "only a lobule", "--engine lobule"]),
        (["run", "phx70", "--replicates", "0"], ["--replicates 0", "1 (one lobule) or more"]),
        (["run", "phx70", "--replicates", "-3", "--engine", "lobule"], ["--replicates -3", "1 (one lobule) or more"]),
        (["run", "phx70", "--replicates", "two"], ["--replicates", "integer"]),
        (["run", "phx70", "--replicates", "3"], ["--replicates 3", "only a lobule", "--engine lobule"]),
        (
            ["run", "phx70", "--engine", "lobule", "--replicates", "3", "--checkpoint", "c.npz"],
            ["--replicates 3 with --checkpoint", "--out DIR", "leave --checkpoint out"],
        ),
        (
            ["run", "phx70", "--engine", "lobule", "--replicates", "3", "--film"],
            ["--replicates 3 with --film", "leave --film out"],
        ),
        (
            ["run", "phx70", "--engine", "lobule", "--replicates", "2", "--members", "2"],
            ["--replicates 2 with --members", "leave --members out"],
        ),
        (
            ["run", "hep_culture", "--engine", "lobule", "--replicates", "2"],
            ["replicate with seed 0", "a culture has no lobule", "population"],
        ),
        (
            ["run", "phx", "--bisect", "--engine", "lobule", "--replicates", "2"],
            ["--bisect with", "--replicates", "leave it out"],
        ),
        (["run", "phx70", "--engine", "populaton"], ["unknown engine", "population"]),
        (["run", "phx70", "--days", "-3"], ["'days'", "-3.0", "0 < days <= 3650"]),
        (["run", "phx70", "--days", "nan"], ["'days'", "nan", "0 < days <= 3650"]),
        (["run", "phx70", "--days", "two"], ["--days", "number"]),
        (["run", "phx70", "--every", "0"], ["'every'", "0 h"]),
        (["run", "phx70", "--set", "hgf_half_live=1"], ["unknown parameter 'hgf_half_live'", "hgf_half_life"]),
        (["run", "phx70", "--set", "hgf_half_life"], ["--set 'hgf_half_life'", "PARAM=VALUE"]),
        (["run", "phx70", "--set", "hgf_half_life=inf"], ["--set", "finite"]),
        (["run", "phx70", "--hypothesis", "il6_sing"], ["unknown hypothesis 'il6_sing'", "il6_sign"]),
        (["run", "phx70", "--dyas", "3"], ["unknown option '--dyas'", "--days", "hepatalk run --help"]),
        (["run"], ["NAME|FILE", "hepatalk run --help"]),
        (["rnu", "phx70"], ["unknown command 'rnu'", "nearest: run", "hepatalk --help"]),
        (["list", "signal"], ["unknown kind 'signal'", "nearest: signals"]),
        (["list", "cells", "--differs"], ["--differs", "only parameters"]),
        (["explain", "HGFF"], ["unknown name 'HGFF'", "nearest: HGF"]),
        (["explain"], ["explain needs a name", "--run DIR"]),
        (["explain", "HGF", "--at", "3 h"], ["--readout and --at need --run DIR"]),
        (["explain", "--run", "nowhere"], ["--readout NAME and --at TIME"]),
        (["explain", "--run", "nowhere", "--readout", "shear", "--at", "24"], ["'24'", "no unit", "'24 h'"]),
        (["explain", "--run", "nowhere", "--readout", "shear", "--at", "24h"], ["no folder 'nowhere'", "run --out"]),
        (["report", "nowhere"], ["no folder 'nowhere'", "run --out"]),
        (["compare", "nowhere"], ["compare needs two runs", "got 1"]),
        (["compare", "--hypotheses", "il6_sing"], ["unknown hypothesis 'il6_sing'", "il6_sign"]),
        (["run", "phx70", "--members", "0"], ["--members 0", "allowed: 1 (the best fit alone) or more"]),
        (["run", "phx", "--bisect", "--members", "3"], ["--bisect with --members"]),
        (["check", "--engine", "lobules"], ["'lobules'", "lobule", "population", "check --help"]),
        (["score", "--only", "T1-1x"], ["unknown observation 'T1-1x'", "T1-1", "hepatalk list observations"]),
        (["score", "--members", "0"], ["--members 0", "allowed: 1 (the best fit alone) or more", "leave it out"]),
        (["score", "--members", "100000"], ["allowed", "scripts/make_ensemble.py"]),
        (["claims", "--members", "-1"], ["--members -1", "allowed: 1 (the best fit alone) or more"]),
        (["claims", "C00x", "--nulls"], ["unknown claim 'C00x'", "hepatalk list claims"]),
    ],
)  # fmt: skip
def test_bad_input_is_one_line_and_exit_code_2(arguments: list[str], wanted: list[str], tmp_path: Path) -> None:
    out = OUT if arguments[0] == "run" and len(arguments) > 1 else ()
    line = refused([*arguments, *out], tmp_path)
    for part in wanted:
        assert part in line
    assert "see see" not in line


def test_a_figure_of_an_unknown_format_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    line = refused(["compare", "a", "b", "--out", "both.gif"], tmp_path, code=1)
    assert "'.gif'" in line and ".png" in line


# --- files ---------------------------------------------------------------------------------------------------------

_PHX = "title: t\nreadouts: [liver_volume]\nschedule: [{{at: 0 h, injury: partial_hepatectomy, fraction: {}}}]\n"


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        *((_PHX.format(f).encode(), ["schedule[0].fraction", "0 < fraction < 1"]) for f in ("0", "1", "1.2", ".nan")),
        (b"- a\n- b\n", ["holds a list", "allowed: a mapping"]),
        (b"title: !!python/object/apply:os.system [id]\n", ["tag"]),
        (b"\x00\x01\x02\xff\xfe", ["binary file", "UTF-8"]),
        (b"title: [unclosed\n", ["not valid YAML", "line"]),
        (b"", ["empty"]),
    ],
)
def test_a_bad_file_is_one_line(content: bytes, wanted: list[str], tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_bytes(content)
    line = refused(["run", "mine.yaml", *OUT], tmp_path)
    assert "mine.yaml" in line
    for part in wanted:
        assert part in line


# --- where it cannot be written ------------------------------------------------------------------------------------


def test_a_file_in_the_way_is_found_before_the_run(tmp_path: Path) -> None:
    (tmp_path / "result").write_text("mine", encoding="utf-8")
    start = time.monotonic()
    line = refused(["run", "phx70", "--days", "3650", "--every", "1", *OUT], tmp_path, code=1)
    assert "a file is in its way" in line and "--out" in line
    assert time.monotonic() - start < 10.0  # such a run takes far longer


def test_a_film_without_a_folder_is_refused(tmp_path: Path) -> None:
    said = refused(["run", "phx70", "--engine", "lobule", "--film"], tmp_path)
    assert "--film" in said
    assert "--out" in said


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="nothing refuses the superuser")
def test_a_folder_that_refuses_is_found_before_the_run(tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    assert "Permission denied" in refused(["run", "phx70", "--out", "locked/result"], tmp_path, code=1)


def test_somebody_elses_files_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "result").mkdir()
    (tmp_path / "result" / "report.html").write_text("mine", encoding="utf-8")
    assert "holds report.html, but no hepatalk result" in refused(["run", "phx70", *OUT], tmp_path, code=1)


@pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX shell")
def test_a_disk_that_fills_up_leaves_nothing(tmp_path: Path) -> None:
    # A limit on the size of a file stops a write as a full disk does.
    command = f"ulimit -f 8; exec '{HEPATALK}' run phx70 --days 2 --out new/result"
    done = subprocess.run(["sh", "-c", command], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1
    assert "no space left on the disk of 'new/result'" in done.stderr and done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_an_output_that_is_full_is_one_line(tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [HEPATALK, "list", "cells"], cwd=tmp_path, stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 1
    assert done.stderr.startswith("cannot write the output: No space left") and done.stderr.count("\n") == 1


# --- Ctrl-C --------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX")
@pytest.mark.parametrize("after_s", [0.4, 3.0])
def test_ctrl_c_is_one_word_and_exit_code_130(after_s: float, tmp_path: Path) -> None:
    # A test runner may have been started with Ctrl-C ignored, and children inherit that.
    listen = (
        "import os, sys; from signal import *; signal(SIGINT, default_int_handler); os.execv(sys.argv[1], sys.argv[1:])"
    )
    command = [sys.executable, "-c", listen, HEPATALK, "run", "phx70", "--days", "3650", "--every", "1", *OUT]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        time.sleep(after_s)
        process.send_signal(signal.SIGINT)
        said, error = process.communicate(timeout=30)
    assert (process.returncode, said, error) == (130, "", "interrupted\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX")
@pytest.mark.parametrize("after_s", [3.0, 8.0])  # processes start; they are at work
def test_ctrl_c_ends_the_scoreboard_and_its_processes(after_s: float, tmp_path: Path) -> None:
    listen = (
        "import os, sys; from signal import *; signal(SIGINT, default_int_handler); os.execv(sys.argv[1], sys.argv[1:])"
    )
    command = [sys.executable, "-c", listen, HEPATALK, "score"]
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        time.sleep(after_s)
        os.killpg(process.pid, signal.SIGINT)  # a terminal sends it to the workers too
        # The workers hold the pipes too: this returns only when all of them have gone.
        said, error = process.communicate(timeout=30)
    assert (process.returncode, said, error) == (130, "", "interrupted\n")


# --- a folder is written whole or not at all -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def knowledge() -> Knowledge:
    return load()


@pytest.fixture(scope="module")
def finished(knowledge: Knowledge) -> Run:
    return perform("sham", days=1.0, knowledge=knowledge)


@pytest.fixture
def pictures(monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException | None], None]:
    """Return a function that puts quick stand-ins in the place of figures and report; the report may fail."""

    def stand_in(failure: BaseException | None = None) -> None:
        def save_figures(run: Run, directory: Path, view: object) -> None:
            (directory / "volume.png").write_text(run.experiment.title, encoding="utf-8")

        def write_report(run: Run, path: Path, knowledge: Knowledge, **parts: object) -> None:
            path.write_text("half", encoding="utf-8")
            if failure is not None:
                raise failure
            path.write_text(run.experiment.title, encoding="utf-8")

        monkeypatch.setattr(hepatalk.plots, "save_figures", save_figures)
        monkeypatch.setattr(hepatalk.plots.view, "view_of", lambda run, knowledge: None)
        monkeypatch.setattr(hepatalk.report, "write_report", write_report)

    return stand_in


def contents(directory: Path) -> dict[str, bytes]:
    return {p.relative_to(directory).as_posix(): p.read_bytes() for p in directory.rglob("*") if p.is_file()}


def test_a_second_run_replaces_the_first(
    finished: Run, knowledge: Knowledge, pictures: Callable[..., None], tmp_path: Path
) -> None:
    pictures()
    folder.write_run(finished, tmp_path / "r", knowledge)
    (tmp_path / "r" / "figures" / "old.png").write_text("old", encoding="utf-8")
    (tmp_path / "r" / "notes.txt").write_text("the user's", encoding="utf-8")
    second = perform("sham", days=2.0, knowledge=knowledge)
    assert folder.write_run(second, tmp_path / "r", knowledge) == tmp_path / "r" / "report.html"
    assert load_result(tmp_path / "r").content_hash() == second.result.content_hash()
    assert load_experiment(tmp_path / "r" / "experiment.yaml") == second.experiment
    names = {name for name in contents(tmp_path / "r") if not name.startswith("result.zarr/")}
    assert names == {
        "provenance.json",
        "experiment.yaml",
        "report.html",
        "table.csv",
        "figures/volume.png",
        "notes.txt",
    }


@pytest.mark.parametrize(
    ("failure", "raised"),
    [
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), OutputError),
        (KeyboardInterrupt(), KeyboardInterrupt),
        (ValueError("a bug"), ValueError),
    ],
)
def test_a_failure_leaves_the_old_run_or_nothing(
    failure: BaseException,
    raised: type[BaseException],
    finished: Run,
    knowledge: Knowledge,
    pictures: Callable[..., None],
    tmp_path: Path,
) -> None:
    pictures()
    folder.write_run(finished, tmp_path / "old", knowledge)
    before = contents(tmp_path)
    pictures(failure)
    for directory in (tmp_path / "old", tmp_path / "new" / "deeper"):
        with pytest.raises(raised):
            folder.write_run(finished, directory, knowledge)
    assert contents(tmp_path) == before
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("name", ["sham", "phx70", "phx70_anti_il6", "phx70_held_flow", "second_phx"])
def test_an_experiment_survives_the_round_trip_through_its_file(name: str) -> None:
    posed = overridden(
        load_experiment(name), days=30.0, every_h=0.1, knockouts=("Il6@KC",), parameters={"hgf_half_life": 1e-5}
    )
    assert parse_experiment(folder.experiment_text(posed), name, from_file=True) == posed


def test_what_never_happens_is_left_out_of_the_file() -> None:
    posed = overridden(load_experiment("second_phx"), days=7.0)
    again = parse_experiment(folder.experiment_text(posed), "second_phx", from_file=True)
    assert again.schedule == posed.schedule[:1]


# --- saved runs that are not sound ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def saved(finished: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("saved")
    save_result(finished.result, directory)
    (directory / "experiment.yaml").write_text(folder.experiment_text(finished.experiment), encoding="utf-8")
    return directory


@pytest.fixture
def two_runs(saved: Path, tmp_path: Path) -> Path:
    for name in ("a", "b"):
        shutil.copytree(saved, tmp_path / name)
    return tmp_path


def test_a_damaged_result_is_one_line(two_runs: Path) -> None:
    chunk = next(
        p for p in (two_runs / "b" / "result.zarr" / "liver_volume").rglob("*") if p.is_file() and p.name != "zarr.json"
    )
    chunk.write_bytes(chunk.read_bytes()[:-3])
    line = refused(["compare", "a", "b"], two_runs)
    assert "the result in 'b' is damaged" in line


def test_a_result_without_its_experiment_cannot_be_explained(two_runs: Path) -> None:
    (two_runs / "a" / "experiment.yaml").unlink()
    line = refused(["explain", "--run", "a", "--readout", "shear", "--at", "1 h"], two_runs)
    assert "the run in 'a' cannot be repeated" in line


def test_an_experiment_that_is_not_the_results_is_noticed(two_runs: Path) -> None:
    shutil.copy(two_runs / "a" / "experiment.yaml", two_runs / "kept.yaml")
    text = (two_runs / "a" / "experiment.yaml").read_text(encoding="utf-8")
    (two_runs / "a" / "experiment.yaml").write_text(text.replace("days: 1.0", "days: 2.0"), encoding="utf-8")
    assert "is not the experiment of the result beside it" in refused(["report", "a"], two_runs)


@pytest.mark.parametrize(
    ("readout", "at", "wanted"), [("shaer", "1 h", "unknown readout 'shaer'"), ("shear", "9 d", "outside this run")]
)
def test_what_is_not_in_a_run_is_refused(readout: str, at: str, wanted: str, two_runs: Path) -> None:
    assert wanted in refused(["explain", "--run", "a", "--readout", readout, "--at", at], two_runs)
