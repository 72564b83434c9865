"""``hepatalk check``: is the knowledge sound, and does every statement do something."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from hepatalk.cli.console import background, note, print_json, say, table
from hepatalk.errors import unknown

if TYPE_CHECKING:
    from hepatalk.engines.lobule.compare import Comparison
    from hepatalk.experiments.influence import Influence
    from hepatalk.knowledge.findings import Finding
    from hepatalk.knowledge.load import Knowledge
    from hepatalk.knowledge.records import Species

__all__ = ["register"]

_ENGINES = ("population", "lobule")
#: The lobule that is built to be compared.
_SEED = 1


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("check", short_help="Check the knowledge: sources, units, orphans, the healthy steady state")(check)


def check(
    influence: Annotated[
        bool, typer.Option("--influence", help="Silence each statement in turn, for many minutes.")
    ] = False,
    engine: Annotated[
        str, typer.Option(metavar="population|lobule", help="lobule: compare built lobules with measurements.")
    ] = "population",
    json: Annotated[bool, typer.Option("--json", help="One JSON object, and nothing else.")] = False,
) -> None:
    """Check every record and the model that they make. Exits with 1 if anything is wrong.

    A note or a warning is no fault; each finding names file, record, field, value and what is allowed.
    """
    if engine not in _ENGINES:
        raise unknown("engine", engine, _ENGINES, "'hepatalk check --help'")

    from hepatalk.knowledge.load import load

    knowledge = load()
    if engine == "lobule":
        _check_lobule(knowledge, as_json=json)
        return
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


def _check_lobule(knowledge: Knowledge, *, as_json: bool) -> None:
    """Build the default lobule of each species and print it beside what has been measured."""
    from hepatalk.knowledge.records import SPECIES

    note("building a lobule of each species ...")
    found = {species: background(partial(_compared, knowledge, species)) for species in SPECIES}
    outside = sum(not row.within for rows in found.values() for row in rows)
    if as_json:
        print_json(
            {"outside": outside, "lobules": {s: [_comparison_row(r) for r in rows] for s, rows in found.items()}}
        )
    else:
        for species, rows in found.items():
            say(f"{species}: a lobule as built, and the range of measurements")
            table(
                ("quantity", "lobule", "low", "high", "unit", "source", ""),
                [
                    (r.quantity, f"{r.value:.4g}", f"{r.low:.4g}", f"{r.high:.4g}", r.unit, r.source, _verdict(r))
                    for r in rows
                ],
                right=("lobule", "low", "high"),
            )
            say()
        say(f"{sum(map(len, found.values()))} quantities of {len(found)} lobules: {outside} outside their range")
    if outside:
        raise typer.Exit(1)


def _compared(knowledge: Knowledge, species: Species) -> tuple[Comparison, ...]:
    from hepatalk.engines.lobule.anatomy import Anatomy
    from hepatalk.engines.lobule.compare import compare
    from hepatalk.engines.lobule.geometry import build
    from hepatalk.model.anatomy import expected
    from hepatalk.model.compiler import compile_model

    model = compile_model(knowledge, species)
    return compare(build(Anatomy.of(model.anatomy), seed=_SEED), expected(knowledge, species))


def _comparison_row(r: Comparison) -> dict[str, object]:
    return {
        "quantity": r.quantity,
        "value": r.value,
        "unit": r.unit,
        "low": r.low,
        "high": r.high,
        "source": r.source,
        "within": r.within,
    }


def _verdict(r: Comparison) -> str:
    return "" if r.within else "outside"


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
