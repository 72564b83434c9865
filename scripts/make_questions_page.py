"""Run what everyone asks first, and write docs/questions.md with its figures; every comparison is worded from numbers.

The questions stand in `questions.yaml` beside this script.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import yaml

from hepatalk.experiments.bench import Bench
from hepatalk.experiments.experiment import catalogue_names, load_experiment
from hepatalk.experiments.observations import ObservationRecord, load_observations
from hepatalk.experiments.run import Run, perform
from hepatalk.experiments.scorecard import RowScore, fitted_rows, score
from hepatalk.knowledge.load import Knowledge, load
from hepatalk.plots.frame import day_axis, encoded, framed, hour_axis, placed, root_axis, styled
from hepatalk.plots.palette import CELL_COLOURS, INK, MODEL, MUTED, duration, shades

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats = npt.NDArray[np.float64]

HERE = Path(__file__).resolve().parent
DOCS = HERE.parent / "docs"
PAGE, FIGURES = DOCS / "questions.md", DOCS / "questions"
#: Less than this is no change: the line that both scoreboards draw for directions and for equality.
SAME = 0.05
#: A difference of volume smaller than this, in healthy volumes, is none.
SAME_VOLUME = 0.01
LONG_DAYS, WAVE_H = 60.0, 120.0
VOLUME_DAYS = (7, 14, 28)
HEAD = """# What everyone asks first

Virtual experiments that nearly every reader wants to see, with what comes out, agreeing or not. Made by
`python scripts/make_questions_page.py` from `scripts/questions.yaml`; do not edit. Every number and every comparison is
worded by the script from runs of the best fit (model `{hash}`); a difference under 5% is called none. The first wave is
the share of hepatocytes in S phase that have not divided since time zero, at its highest; volume is a fraction of the
healthy volume. A knock-out takes effect a week before the operation. The observations are those of the
[scoreboard](score.md), with what it says of each: *fitted* ones were seen by the calibration and prove nothing, the
others were not; those marked *recalled* are from memory.
"""


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


@dataclass(frozen=True)
class Outcome:
    """What became of one animal.

    Attributes
    ----------
    label : str
    wave, peak_h : float
        Height of the first wave as a fraction of hepatocytes, and when it is highest (h).
    died_h : float or None
    time_h : (n,) float array
    curves : dict of str to (n,) float arrays
        Readouts by name, NaN from death on.
    units : dict of str to str
    hash : str
        Of the model.
    """

    label: str
    wave: float
    peak_h: float
    died_h: float | None
    time_h: Floats
    curves: dict[str, Floats]
    units: dict[str, str]
    hash: str

    def at(self, readout: str, hours: float) -> float:
        """Return a readout at a time; NaN for a dead animal, or after the end."""
        if hours > self.time_h[-1]:
            return float("nan")
        return float(np.interp(hours, self.time_h, self.curves[readout]))

    def reduced(self, readout: str, how: str) -> float:
        """Return a readout as a column asks for it: 'max', 'min', 'at 14 d', 'at 48 h'."""
        if match := re.fullmatch(r"at (\d+) ([hd])", how):
            return self.at(readout, float(match[1]) * (24.0 if match[2] == "d" else 1.0))
        return float({"max": np.nanmax, "min": np.nanmin}[how](self.curves[readout]))


# ------------------------------------------------------------------------------------------------------------- words


def moved(value: float, control: float) -> str:
    """Say how an amount differs from its control: 'falls by 54%', 'rises 2.3-fold', 'stays within 5% (+2%)'."""
    if not control > 0.0:
        return f"is {value:.2g} where the control has none"
    change = value / control - 1.0
    if abs(change) < SAME:
        return f"stays within {SAME:.0%} ({change:+.0%})"
    if change >= 1.0:
        return f"rises {value / control:.2g}-fold"
    return f"falls by {-change:.0%}" if change < 0.0 else f"rises by {change:.0%}"


def later(hours: float) -> str:
    """Say a shift of time: '6 h later', 'at the same hour'."""
    if abs(hours) < 1.0:
        return "at the same hour"
    return f"{abs(hours):.0f} h {'later' if hours > 0.0 else 'earlier'}"


def lower(value: float, control: float) -> str:
    """Say a difference of volumes in parts of the healthy volume; NaN is a dead animal."""
    if np.isnan(value):
        return "not reached: the animal is dead"
    difference = value - control
    if np.isnan(control) or abs(difference) < SAME_VOLUME:
        return f"{value:.2f}, the same within {SAME_VOLUME}" if not np.isnan(control) else f"{value:.2f}"
    return f"{value:.2f}, {abs(difference):.2f} {'higher' if difference > 0.0 else 'lower'}"


def listed(parts: Sequence[str]) -> str:
    """Join parts with semicolons, and 'and' before the last."""
    return parts[0] if len(parts) == 1 else f"{'; '.join(parts[:-1])}; and {parts[-1]}"


def tell_waves(outcomes: Sequence[Outcome]) -> str:
    """Compare first waves and volumes with the control."""
    control, *others = outcomes
    parts = [
        f"**{o.label}** the wave {moved(o.wave, control.wave)} and peaks {later(o.peak_h - control.peak_h)}; "
        f"volume at 14 d is {lower(o.at('liver_volume', 336.0), control.at('liver_volume', 336.0))}"
        for o in others
    ]
    dead = [f"{o.label} dies after {duration(round(o.died_h))}" for o in outcomes if o.died_h is not None]
    deaths = f" Of these {len(outcomes)} animals, {listed(dead)}." if dead else ""
    return (
        f"Against *{control.label}* (first wave {control.wave:.1%} of hepatocytes at {control.peak_h:.0f} h): "
        f"{listed(parts)}.{deaths}"
    )


def tell_division(outcomes: Sequence[Outcome]) -> str:
    """Split the regained hepatocyte mass into cell number and cell size: mass is number times mean volume."""
    parts = []
    for o in outcomes:
        mass, number = (
            np.log(o.at(name, 336.0) / o.at(name, 0.0)) for name in ("hepatocyte_mass", "hepatocyte_count")
        )
        parts.append(f"{number / mass:.0%} with *{o.label}*")
    return (
        "Of the hepatocyte mass regained in 14 d (on a logarithmic scale, where number and size add up), new cells "
        f"are {' and '.join(parts)}; the rest is growth of cells."
    )


def tell_series(outcomes: Sequence[Outcome], edge: tuple[int, int] | None) -> str:
    """Say where the wave begins and is highest, and where animals die."""
    highest = max(outcomes, key=lambda o: o.wave)
    first = next(o for o in outcomes if o.wave >= 0.1 * highest.wave)
    rises = all(a.wave <= b.wave for a, b in zip(outcomes, outcomes[1:], strict=False))
    shape = "grows with every step of the series" if rises else f"is highest at {highest.label} and falls beyond"
    dead = [f"{o.label} dies after {duration(round(o.died_h))}" for o in outcomes if o.died_h is not None]
    said = f"Of the series, {listed(dead)}." if dead else "No animal of the series dies."
    if edge is not None:
        said += f" To one per cent of the liver, the loss of {edge[0]}% is survived for 28 d and that of {edge[1]}% kills."
    return (
        f"The first wave {shape} ({highest.wave:.1%} of hepatocytes at {highest.peak_h:.0f} h); the smallest loss with "
        f"a tenth of that is {first.label}. {said}"
    )


def tell_descent(outcomes: Sequence[Outcome]) -> str:
    """Say what share of hepatocytes came from biliary cells, with division against without."""
    parts = []
    for free, blocked in zip(outcomes[::2], outcomes[1::2], strict=True):
        a, b = (float(np.nanmax(o.curves["hepatocytes_from_bec"])) for o in (free, blocked))
        parts.append(f"**{free.label}**: {a:.1%} at most with division and {b:.1%} without, which {moved(b, a)}")
    dead = [f"{o.label} dies after {duration(round(o.died_h))}" for o in outcomes if o.died_h is not None]
    return f"Hepatocytes that descend from biliary cells: {listed(parts)}.{' ' + listed(dead) + '.' if dead else ''}"


def tell_overshoot(outcomes: Sequence[Outcome]) -> str:
    """Say how high volume goes and where it is at the end."""
    parts = []
    for o in outcomes:
        volume = o.curves["liver_volume"]
        top, end = float(np.nanmax(volume)), float(volume[-1])
        over = "above health by more than 5%" if top > 1.0 + SAME else "never more than 5% above health"
        parts.append(f"**{o.label}** {over} (highest {top:.2f}), at {end:.2f} after {o.time_h[-1] / 24:.0f} d")
    return f"Volume is, with {listed(parts)}."


def tell_ends(outcomes: Sequence[Outcome]) -> str:
    """Say where volume ends and when 95% of health is reached, and whether species differ at all."""
    parts = []
    for o in outcomes:
        volume = o.curves["liver_volume"]
        reached = np.flatnonzero(volume >= 1.0 - SAME)
        when = f"95% of health is reached after {duration(float(o.time_h[reached[0]]))}" if len(reached) else "95% of health is never reached"
        end = volume[-1]
        parts.append(f"**{o.label}** {'dead' if np.isnan(end) else f'{end:.3f}'} ({when})")
    rat, *rest = outcomes
    equal = [
        o.label
        for o in rest
        if o.time_h.shape == rat.time_h.shape
        and np.allclose(o.curves["liver_volume"], rat.curves["liver_volume"], rtol=1e-6, atol=1e-9, equal_nan=True)
    ]
    same = f" The curves of {' and '.join(equal)} are the rat's: no number of theirs differs." if equal else ""
    return f"Volume after {outcomes[0].time_h[-1] / 24:.0f} d: {listed(parts)}.{same}"


TELL: dict[str, Callable[[Sequence[Outcome]], str]] = {
    "waves": tell_waves,
    "division": tell_division,
    "descent": tell_descent,
    "overshoot": tell_overshoot,
    "ends": tell_ends,
}


# -------------------------------------------------------------------------------------------------------------- runs


def questions() -> tuple[Question, ...]:
    """Return the questions of the file."""
    found = []
    for record in yaml.safe_load((HERE / "questions.yaml").read_text(encoding="utf-8")):
        cases = tuple(Case(**{k: tuple(v) if isinstance(v, list) else v for k, v in c.items()}) for c in record["cases"])
        rest = {k: tuple(v) if isinstance(v, list) else v for k, v in record.items() if k != "cases"}
        found.append(Question(cases=cases, **rest))
    return tuple(found)


def posable(question: Question) -> bool:
    """Tell whether the catalogue has all that a question needs."""
    return set(question.needs) <= set(catalogue_names())


def outcome(label: str, done: Run) -> Outcome:
    """Return what became of an animal."""
    result, died = done.result, done.course.died_at_h
    time_h = np.asarray(result.time_h)
    alive = np.ones(time_h.shape, dtype=bool) if died is None else time_h <= died
    summary = result.summary()
    return Outcome(
        label,
        summary["s_phase.HEP.first_peak"],
        summary["s_phase.HEP.first_peak_h"],
        died,
        time_h,
        {name: np.where(alive, item.values, np.nan) for name, item in result.readouts.items()},
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


def panels_of(question: Question) -> tuple[str, ...]:
    """Return the readouts drawn; 'shared' stands for the first two that all experiments of a question read."""
    if question.panels != ("shared",):
        return question.panels
    read = [load_experiment(case.experiment).readouts for case in question.cases]
    return tuple(name for name in read[0] if name != "survived" and all(name in r for r in read))[:2]


def colours(question: Question) -> list[str]:
    """Return the colour of each line."""
    tints = iter(shades(MODEL, sum(c.colour == "dose" for c in question.cases) + 1)[1:])
    named = {"ink": INK, **CELL_COLOURS}
    return [next(tints) if c.colour == "dose" else named[c.colour] for c in question.cases]


def drawn(question: Question, outcomes: Sequence[Outcome], caption: str) -> Figure:
    """Return the figure of a question: one panel for each readout, one line for each animal, a cross at death."""
    names = panels_of(question)
    per_row = 4 if len(question.cases) > 5 else 3
    columns = 6 if len(question.cases) > 6 else per_row
    legend = 0.2 * -(-len(question.cases) // columns)
    with styled():
        figure, below = framed(question.title, caption, 3.15 + legend)
        wide = [1.25, *([1.0] * (len(names) - 1))] if len(names) > 1 else [1.0]
        grid = placed(figure, below, 1, len(names), top=0.72 + legend, left=0.72, wspace=0.36, width_ratios=wide)
        for axes, name in zip(grid, names, strict=True):
            if name == "waves":
                dose_panel(axes, outcomes, colours(question))
            else:
                panel(axes, name, question, outcomes)
        handles, labels = grid[0].get_legend_handles_labels()
        top = 1.0 - 0.34 / figure.get_figheight()
        figure.legend(handles, labels, loc="upper left", bbox_to_anchor=(0.01, top), ncols=columns, fontsize=8.5)
    return figure


LABELS = {
    "liver_volume": "liver volume\n(fraction of healthy)",
    "s_phase.HEP": "hepatocytes in S phase (%)",
    "hepatocyte_volume": "mean hepatocyte volume (× healthy)",
    "hepatocyte_count": "hepatocytes (fraction of healthy)",
    "hepatocytes_from_bec": "hepatocytes from biliary cells (%)",
}


def panel(axes: Axes, name: str, question: Question, outcomes: Sequence[Outcome]) -> None:
    """Draw one readout: S phase, signals and nodes over the first days, the rest over the whole course."""
    early = name.startswith(("s_phase", "signal", "node"))
    percent = name.startswith("s_phase") or name == "hepatocytes_from_bec"
    end_h = min(question.days * 24.0, (168.0 if name.startswith("signal") else WAVE_H) if early else np.inf)
    for o, case, colour in zip(outcomes, question.cases, colours(question), strict=True):
        until = o.time_h <= end_h
        x = place_of(o.time_h[until], early, question.days)
        y = o.curves[name][until] * (100.0 if percent else 1.0)
        axes.plot(x, y, color=colour, dashes=(5, 1.5) if case.dashed else (None, None), label=case.label)
        last = np.flatnonzero(~np.isnan(y))
        if o.died_h is not None and o.died_h <= end_h and len(last):
            axes.plot(x[last[-1]], y[last[-1]], marker="X", markersize=7, color=colour, markeredgecolor="white")
    unit = outcomes[0].units[name]
    if not early and unit.startswith(("x", "fraction of h")) or name.startswith("signal"):
        axes.axhline(1.0, color=MUTED, linewidth=0.8, linestyle=(0, (1, 2)))
    axes.set_ylim(bottom=0.0)
    axes.set_ylabel(LABELS.get(name, f"{name.removeprefix('signal.')} ({unit.replace('x ', '× ')})"), fontsize=8.8)
    if early:
        hour_axis(axes, end_h, "time")
        axes.set_xticks(np.arange(0.0, end_h + 1.0, 24.0))
    elif question.days > LONG_DAYS:
        root_axis(axes, question.days * 24.0, "time", 0.1 if len(panels_of(question)) > 1 else 0.06)
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
        axes.scatter(x, 100.0 * o.wave, marker="o" if o.died_h is None else "X", s=46, color=tint, edgecolor=INK, lw=0.5)
    axes.set(xlabel="removed (% of the liver)", xlim=(0.0, 100.0), xticks=range(0, 101, 20))
    axes.set_ylim(bottom=0.0)
    axes.set_ylabel("first wave (% of hepatocytes)", fontsize=8.8)


# -------------------------------------------------------------------------------------------------------------- page


def number(value: float) -> str:
    """Return a number for a table; a dead animal has none."""
    return "–" if np.isnan(value) else f"{value:.3g}"


def cell(text: str) -> str:
    """Return a text that stays in one cell of a table."""
    return text.replace("|", "\\|").replace("\n", " ")


def table(question: Question, outcomes: Sequence[Outcome]) -> list[str]:
    """Return the numbers of a question."""
    more = [f"{name}, {how}" for name, how in question.columns.items()]
    head = ["", "first wave", "at", *(f"volume at {d} d" for d in VOLUME_DAYS), *(f"`{m}`" for m in more), "survival"]
    out = [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
    for o in outcomes:
        cells = [o.label, f"{o.wave:.2%}", f"{o.peak_h:.0f} h", *(number(o.at("liver_volume", 24.0 * d)) for d in VOLUME_DAYS)]
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


def literature(
    question: Question, records: dict[str, ObservationRecord], scores: dict[str, RowScore]
) -> list[str]:
    """Return what was observed, what it was used for, and how the model scores on it."""
    out = ["| row | what was observed | in | used | the model |", "| --- | --- | --- | --- | --- |"]
    for name in question.observations:
        r, s = records[name], scores[name]
        used = "*fitted*" if name in fitted_rows() else {"recalled": "*recalled*"}.get(r.use, "not fitted")
        seen = f"{r.observable}: {r.value}{'' if r.unit in (None, 'direction', 'outcome', 'qualitative') else f' {r.unit}'}"
        where = ", ".join(t for t in (r.species, r.perturbation, r.time) if t)
        said = "not scored" if s.status == "not_scored" else s.status
        out.append(f"| {name} | {cell(seen)} | {cell(where)} | {used} | {said}: {cell(s.reason)} |")
    return out


def section(question: Question, outcomes: Sequence[Outcome], sentences: Iterable[str], rest: Sequence[str]) -> list[str]:
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
        caption = f"Model runs, best fit{'' if question.id == 'end' else ', rat'}. Dotted: health."
        caption += " ✕: the animal dies." if any(o.died_h is not None for o in outcomes) else ""
        data = encoded(drawn(question, outcomes, caption), "png")
        (FIGURES / f"{question.id}.png").write_bytes(data)
        size += len(data)
        rest = ["The statements that bear on it:", "", *statements(question, claims), ""]
        rest += [*literature(question, records, scores)] if question.observations else []
        parts += section(question, outcomes, told(question, outcomes, lives), rest)
    PAGE.write_text("\n".join([HEAD.format(hash=model[:12]), *parts]) + "\n", encoding="utf-8")
    sys.stdout.write(f"docs/{PAGE.name}: {len(posed)} of {len(wanted)} questions; figures {size / 1024:.0f} kB\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
