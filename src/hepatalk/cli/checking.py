"""``hepatalk check``: is the knowledge sound, and does every statement do something."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from hepatalk.cli.console import background, note, print_json, say, table
from hepatalk.errors import ExperimentError, unknown

if TYPE_CHECKING:
    from hepatalk.experiments.influence import Influence
    from hepatalk.knowledge.findings import Finding
    from hepatalk.knowledge.load import Knowledge

__all__ = ["register"]

_ENGINES = ("population",)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("check", short_help="Check the knowledge: sources, units, orphans, the healthy steady state")(check)


def check(
    influence: Annotated[
        bool, typer.Option("--influence", help="Silence each statement in turn, for many minutes.")
    ] = False,
    engine: Annotated[
        str, typer.Option(metavar="population|lobule", help="The lobule is not part of this version.")
    ] = "population",
    json: Annotated[bool, typer.Option("--json", help="One JSON object, and nothing else.")] = False,
) -> None:
    """Check every record and the model that they make. Exits with 1 if anything is wrong.

    A note or a warning is no fault; each finding names file, record, field, value and what is allowed.
    """
    if engine == "lobule":
        raise ExperimentError(
            "check --engine lobule is not part of this version; allowed: population; leave --engine out"
        )
    if engine not in _ENGINES:
        raise unknown("engine", engine, _ENGINES, "'hepatalk check --help'")

    from hepatalk.knowledge.load import load

    knowledge = load()
    note("checking records and model ...")
    found = background(lambda: _findings(knowledge))
    errors = [f for f in found if f.severity == "error"]
    influences = background(lambda: _influences(knowledge)) if influence and not errors else None
    if json:
        print_json(
            {
                "errors": len(errors),
                "findings": [
                    {"severity": f.severity, "check": f.check, "file": f.file, "record": f.record, "message": str(f)}
                    for f in found
                ],
                "influence": None if influences is None else [_influence_row(i) for i in influences],
            }
        )
    else:
        _print_findings(found, knowledge)
        if influences is not None:
            _print_influences(influences)
        elif influence:
            say("influence was not measured: mend the errors first")
    if errors:
        raise typer.Exit(1)


def _findings(knowledge: Knowledge) -> tuple[Finding, ...]:
    from hepatalk.experiments.observations import load_claims, load_observations, load_rat_groups
    from hepatalk.knowledge.lint import lint
    from hepatalk.model.checks import check_model
    from hepatalk.model.compiler import compile_model

    claims = load_claims()
    load_observations()
    load_rat_groups()
    found = lint(knowledge, [c.id for c in claims])
    if any(f.severity == "error" for f in found):
        return found  # records that contradict each other make no model worth examining
    return (*found, *check_model(compile_model(knowledge), knowledge))


def _print_findings(found: Sequence[Finding], knowledge: Knowledge) -> None:
    for severity in ("note", "warning", "error"):
        for finding in found:
            if finding.severity == severity:
                say(f"{severity}: {finding}")
    counts = {s: sum(f.severity == s for f in found) for s in ("error", "warning", "note")}
    say(
        f"{len(knowledge.interactions)} statements, {len(knowledge.parameters)} parameters, "
        f"{len(knowledge.sources)} sources: "
        f"{counts['error']} errors, {counts['warning']} warnings, {counts['note']} notes"
    )


def _influences(knowledge: Knowledge) -> list[Influence]:
    from hepatalk.experiments.influence import influence

    last = [-1]

    def progress(done: float) -> None:
        if int(done * 100) > last[0]:
            last[0] = int(done * 100)
            note(f"influence: {last[0]}% of the statements")

    return influence(knowledge, progress)


def _influence_row(i: Influence) -> dict[str, object]:
    return {"row": i.row, "change": i.change, "readout": i.readout, "experiment": i.experiment}


def _size(change: float) -> str:
    """Return a relative change: a percentage, or a factor where a percentage would be past reading."""
    if change <= 10.0:
        return f"{change:.2%}"
    return f"x {1.0 + change:.3g}" if change < 1e6 else "x 1e6 or more"


def _print_influences(found: Sequence[Influence]) -> None:
    from hepatalk.experiments.influence import SILENT

    silent = [i for i in found if i.change < SILENT]
    say()
    table(
        ("statement", "largest change", "of", "in", ""),
        [(i.row, _size(i.change), i.readout, i.experiment, "silent" if i.change < SILENT else "") for i in found],
        right=("largest change",),
    )
    say(f"{len(silent)} of {len(found)} statements with terms are silent (no readout changes by {SILENT:.1%})")
