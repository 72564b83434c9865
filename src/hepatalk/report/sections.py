"""The parts of a report that are text and tables, as HTML; all text is escaped here."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np

from hepatalk.experiments.comparison import AnimalGroup
from hepatalk.experiments.drivers import Driver
from hepatalk.experiments.marks import later_injuries, marks, peaks_after
from hepatalk.plots.captions import READOUT_NAMES
from hepatalk.plots.palette import CELL_COLOURS, CELL_NAMES, duration
from hepatalk.plots.view import Drive, Moment, View
from hepatalk.report.evidence import source_item, statement
from hepatalk.report.tables import table

__all__ = ["citations", "disputes", "key_readouts", "provenance", "why"]

_VOLUME_H = (0.3, 24.0, 48.0, 72.0, 168.0, 336.0)
_FLOW_H = (0.3, 10.0, 24.0, 72.0, 168.0, 336.0)


# --- key readouts ----------------------------------------------------------------------------------------------------


def key_readouts(view: View) -> str:
    """Return the tables of volume, first waves and portal flow, beside the rats where they belong."""
    animals = view.animals
    volume = _beside("liver_volume", _VOLUME_H, view, () if animals is None else animals.volume)
    flow = _beside("portal_flow", _FLOW_H, view, () if animals is None else animals.flow)
    waves = table(
        ("Cell type", "First wave, % in S phase", "Time of its peak"),
        (
            (
                f"<b style='color:{CELL_COLOURS[w.cell]}'>{CELL_NAMES[w.cell]} ({w.cell})</b>",
                f"{100.0 * w.peak:.1f}",
                duration(w.peak_h),
            )
            for w in view.waves
        ),
        "numbers",
    )
    waves += "".join(_waves_after(view, start) for start in later_injuries(view.run))
    waves = waves if view.waves else "<p>No cell type has a wave of DNA synthesis.</p>"
    error = "" if view.error is None else f"<p>Volume, model against carbohydrate-fed rats: RMSE {view.error:.3f}.</p>"
    return (
        f"<h3>Liver volume ({escape(view.result.unit('liver_volume'))})</h3>{volume}{error}"
        f"<h3>DNA synthesis</h3>{waves}"
        f"<h3>Portal flow per liver volume ({escape(view.result.unit('portal_flow'))})</h3>{flow}"
    )


def _waves_after(view: View, start_h: float) -> str:
    """Return a table of the highest S phase of each cell type after a later injury."""
    rows = [
        (f"<b style='color:{CELL_COLOURS[p.cell]}'>{CELL_NAMES[p.cell]} ({p.cell})</b>", f"{100.0 * p.height:.1f}",
         duration(p.at_h))
        for p in peaks_after(view.run, start_h) if p.cell in CELL_COLOURS
    ]  # fmt: skip
    return table(
        ("Cell type", f"Highest after the injury at {duration(start_h)}, % in S phase", "Time"), rows, "numbers"
    )


def _beside(readout: str, times: Sequence[float], view: View, groups: Sequence[AnimalGroup]) -> str:
    """Return a table of a readout at some times, each with the group means of the same hour."""
    head = ["Time", "Model", *(f"Rats, {group.diet.lower()} (mean ± SD, n)" for group in groups)]
    rows = [
        [
            duration(m.at_h) + (f" <span class='muted'>({m.note})</span>" if m.note else ""),
            f"{view.result.at(readout, m.at_h):.3f}",
            *(_group_at(group, m.at_h) for group in groups),
        ]
        for m in marks(view.run, times)
    ]
    return table(head, rows, "numbers")


def _group_at(group: AnimalGroup, time_h: float) -> str:
    found = np.flatnonzero(np.abs(group.time_h - time_h) < 1e-6)
    if not len(found):
        return "<span class='muted'>not measured</span>"
    i = int(found[0])
    spread = "" if np.isnan(group.sd[i]) else f" ± {group.sd[i]:.3f}"
    return f"{group.mean[i]:.3f}{spread} <span class='muted'>({group.n[i]})</span>"


# --- drivers ---------------------------------------------------------------------------------------------------------


def why(view: View) -> str:
    """Return what pushed and what braked, at the moments that matter, each statement to be opened."""
    return "".join(_drive(drive, view) for drive in view.drives)


def _drive(drive: Drive, view: View) -> str:
    name = READOUT_NAMES.get(drive.readout, drive.readout)
    moments = "".join(_moment(moment, view) for moment in drive.moments)
    turned = _turned(drive, view)
    return f"<h3>{escape(name[0].upper() + name[1:])} <code>{escape(drive.readout)}</code></h3>{moments}{turned}"


def _turned(drive: Drive, view: View) -> str:
    """Return what changed between the peak and the steepest fall: what stopped it."""
    if drive.turn is None or not drive.turn.drivers:
        return ""
    largest = max(abs(driver.effect) for driver in drive.turn.drivers)
    lines = "".join(_driver(driver, largest, view, ("kept it up", "turned it down")) for driver in drive.turn.drivers)
    return f"<h4>What changed from the peak ({duration(drive.turn.peak_h)}) to the steepest fall</h4>{lines}"


def _moment(moment: Moment, view: View) -> str:
    heading = f"<h4>{escape(moment.name[0].upper() + moment.name[1:])}: {duration(moment.at_h)}</h4>"
    if not moment.drivers:
        return f"{heading}<p class='muted'>No statement drives it away from health then.</p>"
    largest = max(abs(driver.effect) for driver in moment.drivers)
    return heading + "".join(_driver(driver, largest, view) for driver in moment.drivers)


def _driver(driver: Driver, largest: float, view: View, verbs: tuple[str, str] = ("pushes", "brakes")) -> str:
    """Return one statement as a line that opens: sign, size, what it says; then its evidence and terms."""
    pushes = driver.effect > 0.0
    sign, kind = ("▲", "push") if pushes else ("▼", "brake")
    verb = verbs[0] if pushes else verbs[1]
    width = 100.0 * abs(driver.effect) / largest if largest > 0.0 else 0.0
    how = "directly" if driver.level == 1 else f"upstream, step {driver.level}"
    via = f" through <code>{escape(driver.via)}</code>" if driver.via else ""
    return (
        f"<details class='driver'><summary><span class='{kind}'>{sign} {verb}</span>"
        f"<span class='size'>{driver.effect:+.2f}</span>"
        f"<span class='track'><span class='bar {kind}' style='width:{width:.0f}%'></span></span>"
        f"<span class='what'>{escape(driver.claim)} <code>{escape(driver.row)}</code></span></summary>"
        f"<div class='statement'><p class='muted'>Acts {how}{via}.</p>"
        f"{statement(view.knowledge, driver.row)}</div></details>"
    )


# --- disputes, provenance, citations ---------------------------------------------------------------------------------


def disputes(view: View) -> str:
    """Return which disputed mechanisms were switched, and the choices that ran."""
    chosen = view.result.provenance.hypotheses
    known = view.knowledge.hypothesis
    if chosen:
        titles = "; ".join(f"{known[h].title} ({h})" if h in known else h for h in chosen)
        lead = f"<p>Switched on in this run: <b>{escape(titles)}</b>.</p>"
    else:
        lead = "<p>No alternative was switched on: every disputed mechanism ran as its default says.</p>"
    items = []
    for hypothesis in view.knowledge.hypotheses:
        ran = "alternative" if hypothesis.id in chosen else "default"
        others = "".join(f"<li>{escape(text)}</li>" for text in hypothesis.alternatives)
        rows = f"<p class='muted'>Statements: {escape(', '.join(hypothesis.rows))}.</p>" if hypothesis.rows else ""
        items.append(
            f"<details><summary>{escape(hypothesis.title)} <code>{escape(hypothesis.id)}</code> "
            f"<span class='muted'>{ran}</span></summary>"
            f"<div class='statement'><p><b>{escape(hypothesis.question)}</b></p>"
            f"<p>Default: {escape(hypothesis.default)}</p><p>Alternatives:</p><ul>{others}</ul>{rows}</div></details>"
        )
    return lead + "".join(items)


def provenance(view: View) -> str:
    """Return where the numbers come from: question, model, software."""
    origin = view.result.provenance
    changes = "<br>".join(escape(text) for text in origin.changes) or "none"
    settings = ", ".join(f"{name} = {value}" for name, value in origin.parameters_set.items()) or "none"
    rows = [
        ("Experiment", f"{escape(origin.title)} <code>{escape(origin.experiment)}</code>"),
        ("Species", escape(origin.species)),
        ("Engine, seed", f"{escape(origin.engine)}, {origin.seed}"),
        ("Changes", changes),
        ("Parameters set", escape(settings)),
        ("Knock-outs", escape(", ".join(origin.knockouts)) or "none"),
        ("Hypotheses", escape(", ".join(origin.hypotheses)) or "none"),
        ("Model hash", f"<code>{escape(origin.model_hash)}</code>"),
        ("Knowledge version", f"<code>{escape(origin.knowledge_version)}</code>"),
        ("Content hash of the result", f"<code>{escape(view.result.content_hash()[:16])}</code>"),
        ("Software", escape(", ".join(f"{name} {version}" for name, version in origin.versions.items()))),
        ("Platform", escape(origin.platform)),
        ("Run on", escape(origin.created)),
    ]
    return table(("What", "Value"), [(f"<b>{name}</b>", value) for name, value in rows])


def citations(view: View) -> str:
    """Return how to cite the run, and every source the model or the data of this report rest on."""
    origin = view.result.provenance
    names = set(origin.sources)
    if view.animals is not None:
        names.add(view.animals.study.source)
    items = "".join(f"<li>{source_item(view.knowledge, name)}</li>" for name in sorted(names))
    version = origin.versions.get("hepatalk", "")
    return (
        f"<p>Cite the software with its version and the model it ran: hepatalk {escape(version)}, model "
        f"<code>{escape(origin.model_hash)}</code>, knowledge <code>{escape(origin.knowledge_version)}</code>; "
        f"and the sources of what you use.</p><details><summary>The {len(names)} sources of this run</summary>"
        f"<ol class='sources'>{items}</ol></details>"
    )
