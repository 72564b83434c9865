"""What both pages of scores say of failures: causes with their counts, then each failure in its own words."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence

from hepatalk.experiments.failures import Account, Failure, Failures, account

UNEXPLAINED = "not explained yet"


def lines(
    known: Failures, of: Mapping[str, Failure], failing: Sequence[str], stated: Mapping[str, str], level: int = 3
) -> list[str]:
    """Return the section on why rows fail.

    Parameters
    ----------
    known : Failures
        For the list of causes.
    of : mapping of str to Failure
        The explanations of this scoreboard.
    failing : sequence of str
        In the order in which they are shown.
    stated : mapping of str to str
        What each says, by id.
    level : int
        Of the headings, one for each cause.
    """
    mark = "#" * level
    found = account(of, failing, failing)
    missing = len(found.unexplained)
    out = [
        f"{len(failing) - missing} of {len(failing)} failures are explained; {missing} are {UNEXPLAINED}. Each was",
        "looked into by running it, and nothing was changed for it. Causes and reasons stand in",
        "`src/hepatalk/experiments/data/failures.yaml`; numbers are those of the best fit when they were written.",
        "",
        *summary(known, found),
    ]
    for cause, ids in found.by_cause:
        out += ["", f"{mark} {headed(named(cause))} ({len(ids)})", "", f"{headed(known.causes[cause])}.", ""]
        for i in ids:
            more = f" *Would help:* {whole(of[i].would_help)}" if of[i].would_help else ""
            out.append(f"- **{i}** ({stated[i]}). {whole(of[i].why)}{more}")
    if found.unexplained:
        out += ["", f"{mark} {headed(UNEXPLAINED)} ({len(found.unexplained)})", ""]
        out += [f"- **{i}** ({stated[i]})." for i in found.unexplained]
    return out


def summary(known: Failures, found: Account) -> list[str]:
    """Return the table of causes with their counts."""
    out = ["| cause | failures | what it means |", "| --- | --- | --- |"]
    out += [f"| {named(cause)} | {len(ids)} | {known.causes[cause]} |" for cause, ids in found.by_cause]
    if found.unexplained:
        out.append(f"| {UNEXPLAINED} | {len(found.unexplained)} | |")
    return out


def cause_of(of: Mapping[str, Failure], i: str) -> str:
    """Return the cause of a failing row, in words."""
    return named(of[i].cause) if i in of else UNEXPLAINED


def named(cause: str) -> str:
    """Return a cause as words."""
    return cause.replace("_", " ")


def headed(words: str) -> str:
    """Return words with a capital letter at their beginning."""
    return words[:1].upper() + words[1:]


def whole(text: str | None) -> str:
    """Return a text that stays on one line and ends in a full stop."""
    words = " ".join((text or "").split())
    return words if words.endswith(".") else f"{words}."


def report(of: Mapping[str, Failure], failing: Sequence[str], judged: Iterable[str]) -> None:
    """Say on the error stream which explanations are of rows that pass now, and which rows have none."""
    found = account(of, failing, judged)
    for i in found.passing:
        sys.stderr.write(f"failures.yaml: {i} does not fail; its explanation is left out of the page\n")
    for i in found.unexplained:
        sys.stderr.write(f"failures.yaml: {i} fails and is {UNEXPLAINED}\n")
