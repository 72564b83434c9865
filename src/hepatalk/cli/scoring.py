"""``hepatalk claims`` and ``hepatalk score``: what the review says and what was measured, and what the model does."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from hepatalk.cli.console import background, print_json, say, table, width
from hepatalk.cli.members import chosen_members, refuse_members, told

if TYPE_CHECKING:
    from hepatalk.experiments.failures import Failure
    from hepatalk.experiments.kept import Kept
    from hepatalk.experiments.nulls import Null, Nulls
    from hepatalk.experiments.score import Verdict
    from hepatalk.experiments.scorecard import RowScore

__all__ = ["register"]

_ORDER = {"fail": 0, "pass": 1, "not_posable": 2, "not_scored": 2}
_USES = ("validate", "calibrate", "recalled", "context")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("claims", short_help="Pose the review's claims to the model: which pass, which fail, and why")(claims)
    app.command("score", short_help="Score the published observations: which are met, which are not, and why")(score)


def claims(
    ids: Annotated[list[str] | None, typer.Argument(metavar="[CLAIM]...", help="Claims; all when omitted.")] = None,
    members: Annotated[int, typer.Option(metavar="N", help="Virtual animals; 1 is the best fit alone.")] = 1,
    nulls: Annotated[
        bool, typer.Option("--nulls", help="Also a model without crosstalk, and 20 with shuffled signs.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="One JSON list, and nothing else.")] = False,
) -> None:
    """Run every claim as a virtual experiment with its control, failing ones first.

    The predicates were written from the claims alone, each before its first run. A failing claim is a finding, not an
    error: the exit code stays 0. No claim is used to fit the model. With --members a claim passes when four in five
    virtual animals show it; reason and margin are those of the best fit. What was run is kept: an interrupted
    scoreboard goes on where it was. With --nulls, a claim that passes without crosstalk, or in more than half of the
    models with shuffled signs, is marked uninformative.
    """
    from hepatalk.experiments.score import chosen_tests, score_claims

    names = tuple(ids or ())
    chosen_tests(names)  # what is wrong is said before anything long begins
    refuse_members(members)

    def work() -> tuple[Sequence[Verdict], Nulls | None]:
        from hepatalk.knowledge.load import load

        knowledge = load()
        chosen = chosen_members(members, knowledge)
        kept = _kept(members > 1 or nulls)
        verdicts = score_claims(names, knowledge=knowledge, members=chosen, progress=told("claims"), kept=kept)
        if not nulls:
            return verdicts, None
        from hepatalk.experiments.nulls import score_nulls

        return verdicts, score_nulls(names, knowledge=knowledge, progress=told("null models"), kept=kept)

    verdicts, beside = background(work)
    from hepatalk.experiments.failures import load_failures

    known = load_failures().claims
    if json:
        by_id = {n.id: n for n in beside.claims} if beside else {}
        print_json([_row(v, by_id.get(v.id)) | _explained(known, v.id, v.status) for v in verdicts])
        return
    _print_claims(verdicts, beside)
    _print_why(known, [v.id for v in verdicts if v.status == "fail"], named=bool(names))


def _explained(known: Mapping[str, Failure], i: str, status: str) -> dict[str, object]:
    """Return why a row fails, as fields of JSON; nothing is said of one that does not fail."""
    found = known.get(i) if status == "fail" else None
    return {name: getattr(found, name, None) for name in ("cause", "why", "would_help")}


def _print_why(known: Mapping[str, Failure], failing: Sequence[str], *, named: bool) -> None:
    """Say why rows fail: each in its own words where rows were asked for by name, otherwise how often each cause is."""
    from hepatalk.experiments.failures import account

    found = account(known, failing, failing)
    if not failing:
        return
    counts = [f"{len(ids)} {cause.replace('_', ' ')}" for cause, ids in found.by_cause]
    counts += [f"{len(found.unexplained)} not explained yet"] if found.unexplained else []
    if not named:
        say(f"why they fail: {', '.join(counts)} (name one to read why)")
        return
    for i in failing:
        words = f"{known[i].cause.replace('_', ' ')}: {known[i].why}" if i in known else "not explained yet"
        if i in known and known[i].would_help:
            words += f" Would help: {known[i].would_help}."
        for line in textwrap.wrap(f"{i} fails, {words}", width=width(), subsequent_indent="  "):
            say(line)


def _kept(wanted: bool) -> Kept | None:
    """Return where answers are kept, for scoreboards that take long."""
    if not wanted:
        return None
    from hepatalk.experiments.kept import Kept

    return Kept()


def _print_claims(verdicts: Sequence[Verdict], nulls: Nulls | None) -> None:
    ranked = sorted(verdicts, key=lambda v: (_ORDER[v.status], v.id))
    by_id = {n.id: n for n in nulls.claims} if nulls else {}
    many = any(v.members for v in verdicts)
    columns = ["claim", "status", "margin", *(["agree"] if many else []), *(["nulls"] if nulls else [])]
    rows = []
    for v in ranked:
        cells = [v.id, v.status, "" if v.margin is None else f"{v.margin:+.2f}"]
        cells += [_agree(v.agree, v.not_run)] if many else []
        cells += [_null(by_id[v.id])] if nulls else []
        rows.append([*cells, v.stated, v.reason])
    table([*columns, "what is claimed", "what decides it"], rows)
    counts = Counter(v.status for v in verdicts)
    posed = counts["pass"] + counts["fail"]
    say(
        f"{counts['pass']} of {posed} posed claims pass; {counts['not_posable']} of {len(verdicts)} cannot be posed yet"
    )
    if nulls is not None:
        empty = sum(v.status == "pass" and by_id[v.id].uninformative for v in verdicts)
        say(
            f"{empty} of the {counts['pass']} that pass are uninformative; {len(nulls.silenced)} rows are silent "
            f"without crosstalk; {len(nulls.broken)} of the models with shuffled signs cannot be used"
        )


def _agree(agree: float | None, not_run: int) -> str:
    """Return the share of members that agree, with those that could not be run."""
    if agree is None:
        return ""
    return f"{agree:.0%}" + (f" ({not_run} not run)" if not_run else "")


def _null(n: Null) -> str:
    if n.without_crosstalk is None:
        return ""
    said = f"{'pass' if n.without_crosstalk else 'fail'}, {n.shuffled}/{n.of}"
    return f"{said}: uninformative" if n.uninformative else said


def _row(v: Verdict, n: Null | None) -> dict[str, object]:
    row: dict[str, object] = {"id": v.id, "status": v.status, "reason": v.reason, "margin": v.margin, "agree": v.agree}
    row |= {"members": v.members, "not_run": v.not_run}
    if n is not None:
        row |= {"without_crosstalk": n.without_crosstalk, "shuffled": n.shuffled, "shuffled_of": n.of}
        row["uninformative"] = n.uninformative if v.status != "not_posable" else None
    return row


def score(
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="ID", help="Rows such as T1-10, with commas between them, or repeated."),
    ] = None,
    members: Annotated[int, typer.Option(metavar="N", help="Virtual animals; 1 is the best fit alone.")] = 1,
    json: Annotated[bool, typer.Option("--json", help="One JSON list, and nothing else.")] = False,
) -> None:
    """Compare the model with every published observation, failing ones first.

    How each is scored was written before the first run. Rows the fit has seen (calibrate) and rows without a source at
    hand (recalled) are counted apart. A failing row is a finding, not an error: the exit code stays 0. With --members a
    row passes when four in five virtual animals meet it; values and margins are those of the best fit. What was run is
    kept: an interrupted scoreboard goes on where it was.
    """
    from hepatalk.experiments.scorecard import chosen_rows
    from hepatalk.experiments.scorecard import score as scored

    ids = tuple(name.strip() for text in only or () for name in text.split(",") if name.strip())
    chosen_rows(ids)  # what is wrong is said before anything long begins
    refuse_members(members)

    def work() -> Sequence[RowScore]:
        from hepatalk.knowledge.load import load

        knowledge = load()
        chosen = chosen_members(members, knowledge)
        return scored(ids, knowledge=knowledge, members=chosen, progress=told("score"), kept=_kept(members > 1))

    found = background(work)
    from hepatalk.experiments.failures import load_failures

    known = load_failures().observations
    if json:
        print_json([_score_row(r) | _explained(known, r.id, r.status) for r in found])
        return
    for use in _USES:
        rows = sorted((r for r in found if r.use == use), key=lambda r: (_ORDER[r.status], r.margin or 0.0))
        if rows:
            many = any(r.members for r in rows)
            table(
                ["row", "status", "margin", *(["agree"] if many else []), "what was observed", "what decides it"],
                [_score_cells(r, many) for r in rows],
                title=f"{use}:",
            )
            say()
    _print_totals(found)
    _print_why(known, [r.id for r in found if r.status == "fail" and (ids or r.use == _USES[0])], named=bool(ids))


def _score_cells(r: RowScore, many: bool) -> list[str]:
    margin = "" if r.margin is None else f"{r.margin:+.2f}"
    return [r.id, r.status, margin, *([_agree(r.agree, r.not_run)] if many else []), r.stated, r.reason]


def _print_totals(found: Sequence[RowScore]) -> None:
    from hepatalk.experiments.scorecard import tally

    for topic in dict.fromkeys(r.topic for r in found):
        here = [r for r in found if r.topic == topic and r.use == "validate"]
        if here:
            say(f"{topic}: {tally(here)}")
    say()
    for use in _USES:
        here = [r for r in found if r.use == use]
        if here:
            say(f"{use}: {tally(here)}")


def _score_row(r: RowScore) -> dict[str, object]:
    first = ("id", "status", "reason", "margin", "value", "low", "high", "use", "topic")
    return {name: getattr(r, name) for name in (*first, "agree", "held", "checks", "fitted", "members", "not_run")}
