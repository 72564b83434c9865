"""Run what everyone asks first, and write docs/questions.md with its figures; every comparison is worded from numbers.

The questions stand in `questions.yaml` beside this script.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml
from questions_told import TELL, VOLUME_DAYS, Floats, Outcome, on_each_other, rounded, share, tell_series

from hepatalk.experiments.bench import Bench
from hepatalk.experiments.experiment import catalogue_names
from hepatalk.experiments.observations import ObservationRecord, load_observations
from hepatalk.experiments.run import Run, perform
from hepatalk.experiments.scorecard import RowScore, fitted_rows, score
from hepatalk.knowledge.load import Knowledge, load
from hepatalk.plots.frame import day_axis, encoded, framed, hour_axis, placed, root_axis, styled
from hepatalk.plots.palette import CELL_COLOURS, INK, MODEL, MUTED, duration, shades

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

HERE = Path(__file__).resolve().parent
DOCS = HERE.parent / "docs"
PAGE, FIGURES = DOCS / "questions.md", DOCS / "questions"
LONG_DAYS, WAVE_H = 60.0, 120.0
#: What fits beside each other in a legend; a line's sample counts as eight letters.
LEGEND_LETTERS = 140
#: Dashes of lines that may lie on each other: each leaves room for those before it.
DASHES = ((4.0, 2.0), (2.0, 3.0), (1.0, 3.0))
HEAD = """# What everyone asks first

Virtual experiments that nearly every reader wants to see, with what comes out, agreeing or not. Made by
`python scripts/make_questions_page.py` from `scripts/questions.yaml`; do not edit. Every number and every comparison is
worded by the script from runs of the best fit (model of the rat: `{hash}`); a difference under 5% is called none. The
first wave is the share of hepatocytes in S phase that have not divided since time zero, at its highest; volume is a
fraction of the healthy volume. A knock-out takes effect a week before the operation. The observations are those of the
[scoreboard](score.md), with what it says of each: *fitted* ones were seen by the calibration and prove nothing, the
others were not; those marked *recalled* are from memory. The calibration has also seen the mean volumes of 28 rats
after 70% resection: that course is a fit, too."""


@dataclass(frozen=True)
class Case:
    """One animal of a question: what is done to it, and how its line looks."""

    label: str
    experiment: str
    colour: str
    species: str | None = None
    knockouts: tuple[str, ...] = ()
    items: tuple[dict[str, object], ...] = ()
    dashed: bool = False


@dataclass(frozen=True)
class Question:
    """One section of the page; fields as in `questions.yaml`."""

    id: str
    title: str
    ask: str
    days: float
    cases: tuple[Case, ...]
    panels: tuple[str, ...]
    tell: tuple[str, ...]
    rows: tuple[str, ...]
    observations: tuple[str, ...]
    columns: dict[str, str] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    wave: str = "s_phase.HEP"
    volume: str = "liver_volume"


# -------------------------------------------------------------------------------------------------------------- runs


def questions() -> tuple[Question, ...]:
    """Return the questions of the file."""
    found = []
    for record in yaml.safe_load((HERE / "questions.yaml").read_text(encoding="utf-8")):
        cases = tuple(Case(**_fields(case)) for case in record.pop("cases"))
        found.append(Question(cases=cases, **_fields(record)))
    return tuple(found)


def _fields(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record with its lists as tuples."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in record.items()}


def posable(question: Question) -> bool:
    """Tell whether the catalogue has all that a question needs."""
    return set(question.needs) <= set(catalogue_names())


def outcome(label: str, done: Run, wave: str, volume: str) -> Outcome:
    """Return what became of an animal; a wave that the engine does not count is the highest point of its curve."""
    result, died = done.result, done.course.died_at_h
    time_h = np.asarray(result.time_h)
    alive = np.ones(time_h.shape, dtype=bool) if died is None else time_h <= died
    summary = result.summary()
    curves = {name: np.where(alive, item.values, np.nan) for name, item in result.readouts.items()}
    return Outcome(
        label,
        summary.get(f"{wave}.first_peak", summary[f"{wave}.max"]),
        summary.get(f"{wave}.first_peak_h", summary[f"{wave}.t_max_h"]),
        curves[volume],
        died,
        time_h,
        curves,
        {name: result.unit(name) for name in result.readouts},
        result.provenance.model_hash,
    )


def asked(question: Question, knowledge: Knowledge, bench: Bench) -> list[Outcome]:
    """Run the animals of a question."""
    return [
        outcome(
            case.label,
            perform(
                case.experiment,
                species=case.species,  # type: ignore[arg-type] # checked by the experiment
                days=question.days,
                knockouts=case.knockouts,
                items=case.items,
                knowledge=knowledge,
                bench=bench,
            ),
            question.wave,
            question.volume,
        )
        for case in question.cases
    ]


def edge_of(outcomes: Sequence[Outcome], lives: Callable[[int], bool]) -> tuple[int, int] | None:
    """Return the largest percentage survived and the smallest that kills, one apart; None if the series has no edge."""
    percent = [int(o.label.rstrip("%")) for o in outcomes]
    low = max((p for p, o in zip(percent, outcomes, strict=True) if o.died_h is None), default=None)
    high = min((p for p, o in zip(percent, outcomes, strict=True) if o.died_h is not None), default=None)
    if low is None or high is None or low > high:
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if lives(middle) else (low, middle)
    return low, high


# ----------------------------------------------------------------------------------------------------------- figures


def _named() -> dict[str, str]:
    """Return the colours that a case may name; each but black in three strengths."""
    found = {"ink": INK}
    for name, colour in {"blue": MODEL, **CELL_COLOURS}.items():
        tints = shades(colour, 7)
        found |= {name: colour, f"{name} light": tints[2], f"{name} dark": tints[6]}
    return found


NAMED = _named()


def colours(question: Question) -> list[str]:
    """Return the colour of each line."""
    tints = iter(shades(MODEL, sum(c.colour == "dose" for c in question.cases) + 1)[1:])
    return [next(tints) if c.colour == "dose" else NAMED[c.colour] for c in question.cases]


def drawn(question: Question, outcomes: Sequence[Outcome], caption: str) -> Figure:
    """Return the figure of a question: one panel for each readout, one line for each animal, a cross at death."""
    names = question.panels
    letters = sum(len(case.label) + 8 for case in question.cases)
    columns = len(question.cases) if letters <= LEGEND_LETTERS else 3
    legend = 0.2 * -(-len(question.cases) // columns)
    with styled():
        figure, below = framed(question.title, caption, 3.3 + legend)
        wide = [1.25, *([1.0] * (len(names) - 1))] if len(names) > 1 else [1.0]
        grid = placed(figure, below, 1, len(names), top=0.72 + legend, left=0.78, wspace=0.42, width_ratios=wide)
        for axes, name in zip(grid, names, strict=True):
            if name == "waves":
                dose_panel(axes, outcomes, colours(question))
            else:
                panel(axes, name, question, outcomes)
        handles, labels = grid[0].get_legend_handles_labels()
        top = 1.0 - 0.34 / figure.get_figheight()
        figure.legend(
            handles, labels, loc="upper left", bbox_to_anchor=(0.01, top), ncols=columns, fontsize=8.5, handlelength=2.6
        )
    return figure


LABELS = {
    "liver_volume": "liver volume\n(fraction of healthy)",
    "liver_volume.B": "volume of the lobe that stays\n(fraction of healthy)",
    "s_phase.HEP": "hepatocytes in S phase\n(%)",
    "s_phase.HEP.B": "hepatocytes in S phase\nin that lobe (%)",
    "shear.B": "sinusoidal shear in that lobe\n(× healthy)",
    "hepatocyte_volume": "mean volume of a hepatocyte\n(× healthy)",
    "hepatocyte_count": "number of hepatocytes\n(fraction of healthy)",
    "hepatocytes_from_bec": "hepatocytes from\nbiliary cells (%)",
    "node.HEP.STAT3": "STAT3 in hepatocytes\n(activity, 0 to 1)",
    "node.HEP.SMAD": "SMAD in hepatocytes\n(activity, 0 to 1)",
    "signal.TGFB1": "TGF-β1 (× healthy)",
    "signal.WNT": "WNT (× healthy)",
}


def panel(axes: Axes, name: str, question: Question, outcomes: Sequence[Outcome]) -> None:
    """Draw one readout: S phase, signals and nodes over the first days, the rest over the whole course."""
    early = name.startswith(("s_phase", "signal", "node"))
    percent = name.startswith("s_phase") or name == "hepatocytes_from_bec"
    end_h = min(question.days * 24.0, (168.0 if name.startswith("signal") else WAVE_H) if early else np.inf)
    dashes = iter(DASHES)
    for o, case, colour in zip(outcomes, question.cases, colours(question), strict=True):
        until = o.time_h <= end_h
        x = place_of(o.time_h[until], early, question.days)
        y = o.curves[name][until] * (100.0 if percent else 1.0)
        axes.plot(x, y, color=colour, dashes=next(dashes) if case.dashed else (None, None), label=case.label)
        last = np.flatnonzero(~np.isnan(y))
        if o.died_h is not None and o.died_h <= end_h and len(last):
            axes.plot(x[last[-1]], y[last[-1]], marker="X", markersize=7, color=colour, markeredgecolor="white")
    unit = outcomes[0].units[name]
    if (not early and unit.startswith(("x", "fraction of h"))) or name.startswith("signal"):
        axes.axhline(1.0, color=MUTED, linewidth=0.8, linestyle=(0, (1, 2)))
    axes.set_ylim(bottom=0.0)
    axes.set_ylabel(LABELS.get(name, f"{name}\n({unit.replace('x ', '× ')})"), fontsize=8.8)
    if early:
        hour_axis(axes, end_h, "time")
        axes.set_xticks(np.arange(0.0, end_h + 1.0, 24.0 if end_h <= WAVE_H else 48.0))
    elif question.days > LONG_DAYS:
        root_axis(axes, question.days * 24.0, "time", 0.16 if len(question.panels) > 1 else 0.06)
    else:
        day_axis(axes, end_h, "time")


def place_of(time_h: Floats, early: bool, days: float) -> Floats:
    """Return positions on the axis that `panel` makes: hours, days, or square roots of hours."""
    if early:
        return time_h
    return np.sqrt(time_h) if days > LONG_DAYS else time_h / 24.0


def dose_panel(axes: Axes, outcomes: Sequence[Outcome], tints: Sequence[str]) -> None:
    """Draw the first wave by the share removed; a cross for those that die."""
    removed = [float(o.label.rstrip("%")) for o in outcomes]
    axes.plot(removed, [100.0 * o.wave for o in outcomes], color=MUTED, linewidth=1.0, zorder=1)
    for x, o, tint in zip(removed, outcomes, tints, strict=True):
        axes.scatter(
            x, 100.0 * o.wave, marker="o" if o.died_h is None else "X", s=46, color=tint, edgecolor=INK, lw=0.5
        )
    axes.set(xlabel="removed (% of the liver)", xlim=(0.0, 100.0), xticks=range(0, 101, 20))
    axes.set_ylim(bottom=0.0)
    axes.set_ylabel("first wave\n(% of hepatocytes)", fontsize=8.8)


# -------------------------------------------------------------------------------------------------------------- page


def number(value: float) -> str:
    """Return a number for a table; a dead animal has none."""
    return "–" if np.isnan(value) else rounded(value, 3)


def cell(text: str) -> str:
    """Return a text that stays in one cell of a table."""
    return text.replace("|", "\\|").replace("\n", " ")


def table(question: Question, outcomes: Sequence[Outcome]) -> list[str]:
    """Return the numbers of a question."""
    more = [f"{name}, {how}" for name, how in question.columns.items()]
    head = ["", "first wave", "at", *(f"volume at {d} d" for d in VOLUME_DAYS), *(f"`{m}`" for m in more), "survival"]
    out = [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
    for o in outcomes:
        cells = [o.label, share(o.wave), f"{o.peak_h:.0f} h", *(number(o.volume_at(d)) for d in VOLUME_DAYS)]
        cells += [number(o.reduced(name, how)) for name, how in question.columns.items()]
        cells.append("alive" if o.died_h is None else f"dies after {duration(round(o.died_h))}")
        out.append(f"| {' | '.join(cells)} |")
    return out


def page_of(row: str) -> str:
    """Return the address of a statement, seen from docs/."""
    return f"crosstalk/{row.rpartition('-')[0].lower()}.md#{row.lower()}"


def statements(question: Question, claims: dict[str, str]) -> list[str]:
    """Return the statements that bear on a question, each with a link to its page."""
    return [f"- [{row}]({page_of(row)}): {claims[row]}" for row in question.rows]


def literature(question: Question, records: dict[str, ObservationRecord], scores: dict[str, RowScore]) -> list[str]:
    """Return what was observed, what it was used for, and how the model scores on it."""
    out = ["| row | what was observed | in | used | the model |", "| --- | --- | --- | --- | --- |"]
    for name in question.observations:
        r, s = records[name], scores[name]
        used = "*fitted*" if name in fitted_rows() else {"recalled": "*recalled*"}.get(r.use, "not fitted")
        unit = "" if r.unit in (None, "1", "direction", "outcome", "qualitative") else f" {r.unit}"
        seen = f"{r.observable}: {r.value}{unit}"
        where = ", ".join(t for t in (r.species, r.perturbation, r.time) if t)
        said = "not scored" if s.status == "not_scored" else s.status
        out.append(f"| {name} | {cell(seen)} | {cell(where)} | {used} | {said}: {cell(s.reason)} |")
    return out


def tally(question: Question, scores: Mapping[str, RowScore]) -> str:
    """Count what became of the observations of a question."""
    here = [scores[name] for name in question.observations]
    met, missed = (sum(s.status == status for s in here) for status in ("pass", "fail"))
    fitted = sum(s.fitted for s in here)
    return (
        f"Of {len(here)} observations that bear on it the model meets {met} and misses {missed}; "
        f"{len(here) - met - missed} cannot be scored. {fitted or 'None'} {'was' if fitted == 1 else 'were'} fitted."
    )


def section(
    question: Question, outcomes: Sequence[Outcome], sentences: Iterable[str], rest: Sequence[str]
) -> list[str]:
    """Return the section of one question."""
    return [
        f"\n## {question.title}\n",
        f"*{question.ask}*\n",
        f"![{question.title}](questions/{question.id}.png)\n",
        *table(question, outcomes),
        "",
        *sentences,
        "",
        *rest,
    ]


def told(question: Question, outcomes: Sequence[Outcome], lives: Callable[[int], bool]) -> list[str]:
    """Return the comparisons that a question asks for, in words."""
    return [
        tell_series(outcomes, edge_of(outcomes, lives)) if name == "series" else TELL[name](outcomes)
        for name in question.tell
    ]


def main() -> int:
    """Write the page and its figures."""
    knowledge, bench = load(), Bench()
    wanted = questions()
    records = {r.id: r for r in load_observations()}
    claims = {i.id: i.claim for i in knowledge.interactions}
    posed = [q for q in wanted if posable(q)]
    scores = {s.id: s for s in score(sorted({o for q in posed for o in q.observations}), knowledge=knowledge)}
    FIGURES.mkdir(exist_ok=True)

    def lives(percent: int) -> bool:
        return perform(f"phx{percent}", days=28, knowledge=knowledge, bench=bench).course.died_at_h is None

    parts: list[str] = []
    size, model = 0, ""
    for question in wanted:
        if question not in posed:
            lacking = ", ".join(f"`{n}`" for n in question.needs if n not in catalogue_names())
            parts += [f"\n## {question.title}\n", f"Cannot be posed in this version: the catalogue has no {lacking}."]
            continue
        outcomes = asked(question, knowledge, bench)
        model = model or outcomes[0].hash
        same = on_each_other(outcomes)
        caption = f"Model runs, best fit{'' if question.id == 'end' else ', rat'}. Dotted: health."
        caption += f" On the line of {outcomes[0].label}: {', '.join(same)}." if same else ""
        caption += " ✕: the animal dies." if any(o.died_h is not None for o in outcomes) else ""
        data = encoded(drawn(question, outcomes, caption), "png")
        (FIGURES / f"{question.id}.png").write_bytes(data)
        size += len(data)
        rest = ["The statements that bear on it:", "", *statements(question, claims), ""]
        rest += [tally(question, scores), "", *literature(question, records, scores)]
        parts += section(question, outcomes, told(question, outcomes, lives), rest)
    PAGE.write_text("\n".join([HEAD.format(hash=model[:12]), *parts]) + "\n", encoding="utf-8")
    sys.stdout.write(f"docs/{PAGE.name}: {len(posed)} of {len(wanted)} questions; figures {size / 1024:.0f} kB\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
