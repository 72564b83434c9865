"""``hepatalk explain``: what a name stands for, and why a readout moved."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hepatalk.cli.console import background, note, print_json, say, table, width
from hepatalk.errors import ExperimentError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from hepatalk.experiments.drivers import Driver, Turn
    from hepatalk.experiments.explain import Explanation, Paper, Statement

__all__ = ["register"]

#: Lines of a page are no longer than this: longer ones are hard to read.
_WIDEST = 100
_MOST_STATEMENTS = 12


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("explain", short_help="Who says so, and what it became: hepatalk explain HGF")(explain)


def explain(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="ID|NAME", help="A signal, cell, node, statement, gene, parameter, hypothesis, readout or source."
        ),
    ] = None,
    run: Annotated[Path | None, typer.Option(metavar="DIR", help="Look into this run instead.")] = None,
    readout: Annotated[str | None, typer.Option(metavar="NAME", help="With --run: which readout.")] = None,
    at: Annotated[str | None, typer.Option(metavar="TIME", help="With --run: when, such as 24h or '3 d'.")] = None,
    limit: Annotated[int, typer.Option(metavar="N", min=1, max=1000, help="With --run: how many statements.")] = 12,
    all_: Annotated[bool, typer.Option("--all", help="Every statement, however many.")] = False,
    json: Annotated[bool, typer.Option("--json", help="One JSON object, and nothing else.")] = False,
) -> None:
    """Explain a name, or rank the statements that drive a readout of a run at a time.

    \b
    hepatalk explain HGF
    hepatalk explain c-Met
    hepatalk explain HEP-HSC-23
    hepatalk explain --run results/phx70 --readout s_phase.HEP --at 24h
    """  # noqa: D301 - \b keeps the lines of the example apart
    if run is not None:
        if name is not None or readout is None or at is None:
            raise ExperimentError(
                "explain --run DIR needs --readout NAME and --at TIME, and no other name; "
                "write, for example, --readout s_phase.HEP --at 24h"
            )
        _explain_run(run, readout, at, limit, json)
        return
    if readout is not None or at is not None:
        raise ExperimentError(
            "--readout and --at need --run DIR; allowed: a folder that hepatalk run --out wrote; add --run"
        )
    if name is None:
        raise ExperimentError(
            "explain needs a name, or --run DIR; allowed: what 'hepatalk list' shows; "
            "write, for example, hepatalk explain HGF"
        )
    page = _page(name)
    if json:
        print_json(page.to_json())
    else:
        _print_page(page, len(page.statements) if all_ else _MOST_STATEMENTS)


def _page(name: str) -> Explanation:
    from hepatalk.cli.index import records
    from hepatalk.experiments.explain import explain as look_up
    from hepatalk.knowledge.load import load

    return look_up(load(), name, lambda: records("readouts"))


# --------------------------------------------------------------------------------------------------- a page


def _print_page(page: Explanation, most: int) -> None:
    from hepatalk.experiments.statements import REVIEW

    columns = min(width(), _WIDEST)
    say(page.id)
    _wrapped(page.title, columns, "", "")
    say()
    label_width = max((len(label) for label, _ in page.facts), default=0) + 2
    for label, text in page.facts:
        _wrapped(text, columns, label.ljust(label_width), " " * label_width)
    for group in page.groups:
        say()
        say(group.title)
        for line in group.lines:
            _wrapped(line, columns, "  ", "    ")
    if page.statements:
        say()
        say(f"Statements ({len(page.statements)})")
        for statement in page.statements[:most]:
            say()
            _print_statement(statement, columns)
        if len(page.statements) > most:
            rest = ", ".join(s.row for s in page.statements[most:])
            say()
            _wrapped(f"{len(page.statements) - most} more (add --all to see them): {rest}", columns, "  ", "  ")
        review = next((p for s in page.statements for p in s.papers if p.id == REVIEW), None)
        if review is not None:
            say()
            _wrapped(f"The review: {review.citation} doi:{review.doi}", columns, "", "  ")


def _print_statement(s: Statement, columns: int) -> None:
    from hepatalk.experiments.statements import REVIEW

    doubt = "" if s.stance == "supported" else f" ({s.stance})"
    doubt += "" if s.certainty == "established" else f" ({s.certainty})"
    _wrapped(f"{s.claim}{doubt}", columns, f"  {s.row}  ", "    ")
    for paper in s.papers:
        line = f"the review, which {paper.link}" if paper.id == REVIEW else _paper_line(paper)
        _wrapped(line, columns, "    says     ", " " * 13)
    for dispute in s.disputes:
        _wrapped(dispute, columns, "    but      ", " " * 13)
    _wrapped(s.account, columns, "    becomes  ", " " * 13)
    for term in s.terms:
        _wrapped(term, columns, "             - ", " " * 15)


def _paper_line(paper: Paper) -> str:
    identifier = f" doi:{paper.doi}" if paper.doi else f" PMID:{paper.pmid}" if paper.pmid else " (no identifier known)"
    return f"{paper.citation}{identifier} [{paper.link}]"


def _wrapped(text: str, columns: int, first: str, later: str) -> None:
    # Identifiers and DOIs are copied from here, so nothing is broken inside a word.
    lines = textwrap.wrap(
        text,
        max(columns, 40),
        initial_indent=first,
        subsequent_indent=later,
        break_long_words=False,
        break_on_hyphens=False,
    )
    for line in lines or [first.rstrip()]:
        say(line)


# ---------------------------------------------------------------------------------------------------- a run


def _explain_run(directory: Path, readout: str, at: str, limit: int, json: bool) -> None:
    from hepatalk.units import parse_hours

    at_h = parse_hours(at)

    from hepatalk.cli.folder import load_saved, run_again, saved_cells
    from hepatalk.knowledge.load import load

    saved, posed = load_saved(directory)
    saved.at(readout, at_h)  # refuses what is not in the run before it is repeated
    note(f"running the experiment of {directory} again ...")
    knowledge = load()
    again = background(lambda: run_again(saved, posed, knowledge, saved_cells(directory, saved)))

    from hepatalk.experiments.drivers import Prepared, drivers, since_peak

    prepared = Prepared(again)
    found = drivers(again, readout, at_h, limit, knowledge=knowledge, prepared=prepared)
    turn = since_peak(again, readout, at_h, limit, knowledge=knowledge, prepared=prepared)
    value, unit = again.result.at(readout, at_h), again.result.unit(readout)
    changed = again.model.hash != saved.provenance.model_hash
    if json:
        print_json(
            {
                "run": saved.provenance.experiment,
                "readout": readout,
                "at_h": at_h,
                "value": value,
                "unit": unit,
                "model_hash": again.model.hash,
                "saved_model_hash": saved.provenance.model_hash,
                "knowledge_changed": changed,
                "drivers": [asdict(d) for d in found],
                "since_peak": None if turn is None else asdict(turn),
            }
        )
        return
    if changed:
        say(
            f"The knowledge has changed since this run was saved (model {saved.provenance.model_hash} then, "
            f"{again.model.hash} now): what follows is the run as it would be today."
        )
        say()
    course = _course(again.result.readout(readout), again.result.time_h, at_h)
    say(f"{readout} of {saved.provenance.experiment} at {at_h:g} h: {value:.4g} ({unit}), {course}")
    say()
    if not found:
        say("No statement pushes it away from health at that time.")
        return
    _print_drivers("push", found)
    say()
    if turn is not None:
        _print_turn(turn)
    if turn is not None and turn.drivers:
        say("change: push now minus push at the time of the highest value (- turned it down, + kept it up).")
    say("push: change of the logarithm of the driving rates against health (+ raises the readout, - holds it back).")
    say("level: 1 acts on the process itself, 2 and more upstream. hepatalk explain STATEMENT tells who says so.")


def _print_turn(turn: Turn) -> None:
    what = f"What changed since the highest value, {turn.peak:.4g} at {turn.peak_h:g} h"
    say(f"{what}: a minus turned it down" if turn.drivers else f"{what}: no statement pushes otherwise now")
    say()
    if turn.drivers:
        _print_drivers("change", turn.drivers)
        say()


def _print_drivers(what: str, found: Sequence[Driver]) -> None:
    rows = [(f"{d.effect:+.3f}", str(d.level), d.row, d.via, d.claim) for d in found]
    table((what, "level", "statement", "through", "what it says"), rows, right=(what, "level"))


def _course(values: NDArray[np.float64], times: NDArray[np.float64], at_h: float) -> str:
    """Say whether a readout rises or falls around a time."""
    import numpy as np

    before, after = (float(np.interp(t, times, values)) for t in (at_h - 1.0, at_h + 1.0))
    change = (after - before) / max(float(np.abs(values).max()), 1e-12)
    return "rising" if change > 1e-3 else "falling" if change < -1e-3 else "level"
