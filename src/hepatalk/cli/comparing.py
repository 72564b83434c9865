"""``hepatalk compare`` and ``hepatalk report``: looking at saved runs."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hepatalk.cli.console import background, note, print_json, say, table
from hepatalk.errors import ExperimentError, OutputError, ResultError, nearest, shown

if TYPE_CHECKING:
    from hepatalk.results.result import Result

__all__ = ["register"]

_FORMATS = (".png", ".svg", ".pdf")
_TIMES_H = (24.0, 72.0, 168.0)
_CURVES = ("liver_volume", "hepatocyte_count", "hepatocyte_volume", "portal_flow", "s_phase.HEP", "s_phase.LSEC")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("compare", short_help="Compare saved runs: hepatalk compare results/a results/b")(compare)
    app.command("report", short_help="Write the report of a saved run again")(report)


def compare(
    runs: Annotated[
        list[Path] | None,
        typer.Argument(metavar="RUN RUN...", help="Folders that 'hepatalk run --out' wrote; with --hypotheses, ids."),
    ] = None,
    hypotheses: Annotated[
        bool, typer.Option("--hypotheses", help="Compare disputed alternatives with the default; all without ids.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE.png", help="A figure of the runs over each other: .png, .svg or .pdf.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object, and nothing else.")] = False,
) -> None:
    """Put the key readouts of two or more saved runs side by side.

    Differences are against the first run. With --hypotheses each disputed alternative is run against the default on
    both scoreboards and on the catalogue: which claim or observation tells them apart, and which experiment would.
    """
    if hypotheses:
        if out is not None:
            raise OutputError("--out with --hypotheses; allowed: --json, or neither; leave --out out")
        from hepatalk.cli.hypotheses import compare_alternatives

        compare_alternatives(tuple(str(name) for name in runs or ()), json)
        return
    runs = runs or []
    if len(runs) < 2:
        raise ExperimentError(
            f"compare needs two runs or more, got {len(runs)}; allowed: folders that "
            "hepatalk run --out wrote; name another"
        )
    if out is not None and out.suffix.lower() not in _FORMATS:
        allowed = ", ".join(nearest(out.suffix, _FORMATS))
        raise OutputError(f"--out {shown(str(out))} ends in {shown(out.suffix)}; allowed: {allowed}; rename it")

    from hepatalk.results.store import load_result

    results = [load_result(run) for run in runs]
    labels = _labels(runs)
    found = [_figures(result) for result in results]
    names = [n for n in found[0] if all(n in f for f in found)]
    if json:
        print_json({label: {n: f[n] for n in names} for label, f in zip(labels, found, strict=True)})
    else:
        _print_comparison(results, labels, found, names)
    if out is not None:
        _draw(results, out)
        note(f"figure: {out}") if json else say(f"figure: {out}")


def _labels(runs: list[Path]) -> list[str]:
    """Return the shortest names that tell the folders apart."""
    names = [run.resolve().name for run in runs]
    return names if len(set(names)) == len(names) else [str(run) for run in runs]


def _figures(result: Result) -> dict[str, float]:
    """Return the figures that tell one run from another."""
    summary, end = result.summary(), float(result.time_h[-1])
    found: dict[str, float] = {}
    for time in _TIMES_H:
        if time < end:
            found[f"liver_volume at {time:g} h"] = result.at("liver_volume", time)
    for name in ("liver_volume", "hepatocyte_count", "hepatocyte_volume", "portal_flow", "function", "survived"):
        if f"{name}.end" in summary:
            found[f"{name}.end"] = summary[f"{name}.end"]
    for name in ("portal_flow.max", "hepatocyte_volume.max"):
        if name in summary:
            found[name] = summary[name]
    return found | {n: v for n, v in summary.items() if n.endswith((".first_peak", ".first_peak_h"))}


def _print_comparison(
    results: list[Result], labels: list[str], found: list[dict[str, float]], names: list[str]
) -> None:
    for label, result in zip(labels, results, strict=True):
        origin = result.provenance
        extras = [f"knock-out of {gene}" for gene in origin.knockouts] + [f"hypothesis {h}" for h in origin.hypotheses]
        extras += [f"{name} = {value}" for name, value in origin.parameters_set.items()]
        more = f", {', '.join(extras)}" if extras else ""
        say(
            f"{label}: {origin.title}{more}; {origin.species}, "
            f"{float(result.time_h[-1]) / 24.0:g} d, model {origin.model_hash}"
        )
    if len({r.provenance.knowledge_version for r in results}) > 1:
        say("the runs were made from different states of the knowledge: not every difference is the experiments'")
    if len({float(r.time_h[-1]) for r in results}) > 1:
        say("the runs are not equally long: their ends (.end) are at different times")
    say()
    columns = ["readout", *labels, *(f"{label} - {labels[0]}" for label in labels[1:])]
    rows = []
    for name in names:
        values = [f[name] for f in found]
        rows.append([name, *(f"{v:.4g}" for v in values), *(f"{v - values[0]:+.3g}" for v in values[1:])])
    table(columns, rows, right=columns[1:])


def _draw(results: list[Result], out: Path) -> None:
    from hepatalk.cli.folder import replace_file
    from hepatalk.plots import comparison

    shared = [n for n in _CURVES if all(n in r.readouts for r in results)]
    figure = comparison(results, shared)
    stream = io.BytesIO()
    figure.savefig(stream, format=out.suffix.lower().removeprefix("."))
    replace_file(out, stream.getvalue())


def report(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A folder that 'hepatalk run --out' wrote.")],
) -> None:
    """Write report, figures and table of a saved run again, for instance after an update of hepatalk.

    The experiment is run again. If the knowledge has changed since, the saved result is left as it is.
    """
    from hepatalk.cli.folder import check_writable, load_saved, run_again, saved_cells, write_run
    from hepatalk.knowledge.load import load

    saved, posed = load_saved(run)
    check_writable(run)
    note(f"running the experiment of {run} again ...")
    knowledge = load()
    cells = saved_cells(run, saved)
    again = background(lambda: run_again(saved, posed, knowledge, cells))
    then, now = saved.provenance.model_hash, again.model.hash
    if then != now:
        raise ResultError(
            f"the knowledge has changed since the run in {shown(str(run))} was saved (model {then} then, "
            f"{now} now), and its report with it; run it again: hepatalk run {run / 'experiment.yaml'} --out DIR"
        )
    from dataclasses import replace

    path = write_run(replace(again, result=saved), run, knowledge, cells=cells)
    say(f"report: {path}")
