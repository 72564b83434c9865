"""The plain-language summary: sentences whose every number is computed from the run."""

from __future__ import annotations

from hepatalk.experiments.marks import later_injuries
from hepatalk.plots.captions import READOUT_NAMES
from hepatalk.plots.palette import CELL_NAMES, duration
from hepatalk.plots.view import View
from hepatalk.report.dish import in_words

__all__ = ["summary"]

#: Departures from health below this are called none.
_NOTHING = 0.01


def summary(view: View) -> str:
    """Return one paragraph that says what happened in the run, unescaped."""
    if view.dish is not None:
        return in_words(view, view.dish)
    sentences = [
        _what_was_done(view),
        *(_regrowth(view) if _injured(view) else [_stayed(view)]),
        _against_animals(view),
    ]
    return " ".join(sentence for sentence in sentences if sentence)


def _injured(view: View) -> bool:
    volume = view.result.readout("liver_volume")
    return bool(abs(volume - 1.0).max() > _NOTHING)


def _what_was_done(view: View) -> str:
    origin, end_h = view.result.provenance, float(view.result.time_h[-1])
    what = f" ({'; '.join(origin.changes)})" if origin.changes else " (nothing is done to the animal)"
    died = view.run.course.died_at_h
    death = (
        "" if died is None else f" The animal dies {duration(died)} after time zero; readouts go on as if it did not."
    )
    return f"A virtual {origin.species}: {origin.title}{what}, followed for {duration(end_h)}.{death}"


def _stayed(view: View) -> str:
    volume = view.result.readout("liver_volume")
    return f"The liver volume stays within {abs(volume - 1.0).max():.2%} of its healthy value."


def _regrowth(view: View) -> list[str]:
    """Say how the volume went, by which cells, and what the flow did."""
    result, end_h = view.result, float(view.result.time_h[-1])
    injuries = later_injuries(view.run)
    marks = [h for h in (24.0, 72.0, 168.0) if h < min((*injuries, end_h))]
    course = ", ".join(f"{result.at('liver_volume', h):.2f} at {duration(h)}" for h in marks)
    last = f"{result.at('liver_volume', end_h):.2f} at the end ({duration(end_h)})"
    said = [
        f"The liver volume is {result.at('liver_volume', 0.0):.2f} of the healthy volume just after time zero, "
        + (f"{course} and {last}." if course else f"and {last}.")
    ]
    for injury_h in injuries:
        before = float(result.time_h[result.time_h < injury_h][-1])
        then, now = result.at("liver_volume", before), result.at("liver_volume", injury_h)
        said.append(f"The injury at {duration(injury_h)} takes it from {then:.2f} to {now:.2f}.")
    waves = [wave for wave in view.waves if wave.peak > _NOTHING]
    if waves:
        size, at_h = waves[0].peak, waves[0].peak_h
        first = f"{CELL_NAMES[waves[0].cell]} replicate their DNA first ({size:.0%} of them at {duration(at_h)})"
        later = "; ".join(f"{CELL_NAMES[w.cell]} follow at {duration(w.peak_h)} ({w.peak:.0%})" for w in waves[1:])
        said.append(f"{first[0].upper()}{first[1:]}{'; ' + later if later else ''}.")
    else:
        said.append("No cell type has a wave of DNA synthesis worth the name (none above 1%).")
    number, size = result.at("hepatocyte_count", end_h), result.at("hepatocyte_volume", end_h)
    said.append(
        f"In the end there are {number:.2f} of the healthy number of hepatocytes, each {size:.2f} times its healthy "
        f"volume. {READOUT_NAMES['portal_flow'].capitalize()} is {result.at('portal_flow', 0.0):.1f} times the healthy "
        f"one at once and {result.at('portal_flow', end_h):.1f} times in the end."
    )
    return said


def _against_animals(view: View) -> str:
    if view.error is None:
        return ""
    return (
        f"Against the group means of real carbohydrate-fed rats the root mean squared error of the volume is "
        f"{view.error:.3f} of the healthy volume."
    )
