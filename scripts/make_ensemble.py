"""Draw virtual animals: python scripts/make_ensemble.py [--members N] [--workers N] [--recheck] [--write].

Draws members by seed (1, 2, 3, ...) until N are kept, and prints how many were left out and why, how far the data
narrow each uncertain number, and what they leave open. With --write the members go to
experiments/data/ensemble_rat.csv and the page docs/ensemble.md with its figure is renewed. Drafts stay in --drafts,
so that an interrupted run goes on.

After a change of the model that hardly moves the calibration data, --recheck draws nothing: it judges the shipped
members again, by the same rule with today's best fit, sensitivities and limit, and keeps those that still meet it. If
fewer than --members do, it says how many and writes nothing.
"""

# A script talks to whoever runs it:
# ruff: noqa: T201
from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from hepatalk.experiments.members import load_members, members_text
from hepatalk.inference.calibration import data_of_rat
from hepatalk.inference.ensemble import Draft, Prior, Sampler, constraint
from hepatalk.knowledge import load
from hepatalk.knowledge.load import Knowledge
from hepatalk.model.compiler import compile_model

ROOT = Path(__file__).resolve().parent.parent
ENSEMBLE = ROOT / "src" / "hepatalk" / "experiments" / "data" / "ensemble_rat.csv"
PAGE = ROOT / "docs" / "ensemble.md"
FIGURE = ROOT / "docs" / "ensemble.png"
#: A number whose spread is narrowed by less than this share of its prior is not identified.
OPEN_ABOVE = 0.8

_sampler: dict[str, Sampler] = {}


def model_hash(knowledge: Knowledge) -> str:
    """Return the hash of the rat's model, for which members are made."""
    return compile_model(knowledge, "rat").hash


def stored(store: Path, knowledge: Knowledge) -> dict[str, Any]:
    """Return what an interrupted run has left for this model: sensitivities and drafts."""
    known: dict[str, Any] = json.loads(store.read_text(encoding="utf-8")) if store.exists() else {}
    return known if known.get("model_hash") == model_hash(knowledge) else {}


def draw(seed: int, jacobian: list[list[float]]) -> Draft:
    """Draw one member in a worker, which makes its sampler once."""
    if "here" not in _sampler:
        _sampler["here"] = Sampler(load(), data_of_rat(), jacobian=np.array(jacobian))
    return _sampler["here"].draw(seed)


def drafts_until(sampler: Sampler, members: int, workers: int, store: Path) -> list[Draft]:
    """Return all drafts, in order of their seeds, until enough are kept."""
    model = model_hash(sampler.knowledge)
    drafts = [Draft(**d) for d in stored(store, sampler.knowledge).get("drafts", [])]
    started, already = time.monotonic(), len(drafts)
    jacobian = sampler.jacobian.tolist()
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        while len(kept(sampler, drafts)) < members:
            seeds = range(len(drafts) + 1, len(drafts) + 1 + 4 * workers)
            drafts += pool.map(draw, seeds, [jacobian] * len(seeds))
            store.write_text(
                json.dumps({"model_hash": model, "jacobian": jacobian, "drafts": [asdict(d) for d in drafts]}),
                encoding="utf-8",
            )
            have, took = len(kept(sampler, drafts)), time.monotonic() - started
            rest = took / max(len(drafts) - already, 1) * len(drafts) / max(have, 1) * max(members - have, 0)
            print(f"{len(drafts)} drawn, {have} of {members} kept, about {rest / 60:.0f} min left", file=sys.stderr)
    return drafts


def kept(sampler: Sampler, drafts: list[Draft]) -> list[Draft]:
    """Return the drafts that are kept, without near copies."""
    chosen: list[Draft] = []
    for d in drafts:
        if d.kept and not sampler.is_near_copy(d, chosen):
            chosen.append(d)
    return chosen


def judge(number: int, values: dict[str, float], jacobian: list[list[float]]) -> Draft:
    """Judge a shipped member again, in a worker, which makes its sampler once; `number` is its row."""
    if "here" not in _sampler:
        _sampler["here"] = Sampler(load(), data_of_rat(), jacobian=np.array(jacobian))
    draft = _sampler["here"].judge(values)
    if not draft.kept:
        print(f"member {number} ({draft.misfit:.2f}): {draft.why}", file=sys.stderr)
    return draft


def rechecked(sampler: Sampler, sets: Sequence[Mapping[str, float]], workers: int) -> list[Draft]:
    """Return the shipped members as they are judged under the model of today, in their order."""
    known, jacobian = [dict(values) for values in sets], sampler.jacobian.tolist()
    found: list[Draft] = []
    if workers < 1:
        return [sampler.judge(values) for values in known]
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        for draft in pool.map(judge, range(1, len(known) + 1), known, [jacobian] * len(known)):
            found.append(draft)
            print(f"\rjudged again: {len(found)} of {len(known)}", end="", file=sys.stderr)
    print(file=sys.stderr)
    return found


def refusal(sampler: Sampler, drafts: Sequence[Draft], least: int) -> str:
    """Return why members judged again cannot be shipped, empty if they can."""
    still = kept(sampler, list(drafts))
    if len(still) >= least:
        return ""
    why = Counter(d.why or ("near copy" if d not in still else "kept") for d in drafts)
    said = ", ".join(f"{v} {k}" for k, v in why.most_common())
    left = f"{len(still)} of {len(drafts)} members are left ({said})"
    return f"{left}; allowed: {least} at least; draw anew without --recheck"


def figure(priors: tuple[Prior, ...], members: list[Draft], ratio: dict[str, float]) -> None:
    """Draw the marginal of each number against its prior, the best known first."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    ordered = sorted(priors, key=lambda p: ratio[p.name])
    columns = 8
    rows = -(-len(ordered) // columns)
    fig, axes = plt.subplots(rows, columns, figsize=(17, 1.35 * rows), layout="constrained")
    for ax in axes.flat[len(ordered) :]:
        ax.set_axis_off()
    for ax, p in zip(axes.flat, ordered, strict=False):
        values = np.log([m.values[p.name] for m in members])
        bounded = np.isfinite(p.low)
        low, high = (p.low, p.high) if bounded else (p.middle - 3 * p.deviation, p.middle + 3 * p.deviation)
        x = np.linspace(low, high, 100)
        flat = np.full_like(x, 1.0 / (high - low))
        bell = np.exp(-0.5 * ((x - p.middle) / p.deviation) ** 2) / (p.deviation * np.sqrt(2 * np.pi))
        ax.fill_between(np.exp(x), flat if bounded else bell, color="0.85", linewidth=0)
        density, edges = np.histogram(values, bins=12, range=(low, high), density=True)
        ax.stairs(density, np.exp(edges), color="#1f5a99")
        ax.set_xscale("log")
        ax.set_title(f"{p.name}  {ratio[p.name]:.2f}", fontsize=7)
        ax.tick_params(labelsize=6)
        ax.minorticks_off()
        ax.set_yticks([])
        ticks = np.exp([low, 0.5 * (low + high), high])
        ax.set_xticks(ticks, [f"{t:.2g}" for t in ticks])
    fig.suptitle(
        f"{len(members)} virtual rats (blue) against the prior (grey); the number is spread over that of the prior",
        fontsize=10,
    )
    fig.savefig(FIGURE, dpi=110)


def drawn_line(sampler: Sampler, drafts: list[Draft]) -> str:
    """Return how many were drawn and what became of them."""
    members = kept(sampler, drafts)
    why = Counter(d.why or ("near copy" if d not in members else "kept") for d in drafts)
    return (
        f"{len(drafts)} drawn (seeds 1 to {len(drafts)}): " + ", ".join(f"{v} {k}" for k, v in why.most_common()) + "."
    )


def line_after_recheck(old: str, drafts: Sequence[Draft]) -> str:
    """Return the line of a page on how its members were drawn, with what became of them since."""
    drawn = next(line for line in old.splitlines() if re.match(r"\d+ drawn ", line)).partition(" Judged again")[0]
    still = sum(d.kept for d in drafts)
    return f"{drawn} Judged again after the model was changed: {still} of {len(drafts)} still meet the rule."


def page(knowledge: Knowledge, sampler: Sampler, drafts: list[Draft], ratio: dict[str, float], drawn: str) -> str:
    """Return the page on what the data say about each number; `drawn` says how the members came about."""
    members = kept(sampler, drafts)
    left_open = sorted((n for n in ratio if ratio[n] > OPEN_ABOVE), key=lambda n: -ratio[n])
    known = sorted((n for n in ratio if ratio[n] <= OPEN_ABOVE), key=lambda n: ratio[n])
    lines = [
        "# Virtual rats: what the data fix and what they leave open",
        "",
        "Made by `scripts/make_ensemble.py`; how members are drawn is told in `hepatalk.inference.ensemble`. They are",
        "the parameter sets behind `--members`.",
        "",
        drawn,
        f"{len(sampler.objective.data)} numbers of {len({d.study for d in sampler.objective.data})} studies constrain",
        f"{len(ratio)} uncertain numbers. Misfit of the members (root mean square over studies, in half-bands):",
        f"{min(d.misfit for d in members):.2f} to {max(d.misfit for d in members):.2f}; of the best fit"
        f" {sampler.misfit:.2f}; limit {sampler.limit:.2f}. The data fix {sampler.directions:.1f} directions of"
        f" {len(ratio)}.",
        "",
        "![marginals against priors](ensemble.png)",
        "",
        f"## What the data narrow ({len(known)})",
        "",
        "Spread of the logarithm among members over that of the prior: 0 is known, 1 is as open as before.",
        "",
        "| number | spread / prior | best fit | members (5% to 95%) | meaning |",
        "| --- | --- | --- | --- | --- |",
    ]
    for n in known:
        low, high = np.quantile([m.values[n] for m in members], [0.05, 0.95])
        p = knowledge.parameter[n]
        lines.append(f"| `{n}` | {ratio[n]:.2f} | {p.value:.3g} | {low:.3g} to {high:.3g} {p.unit} | {p.meaning} |")
    lines += ["", f"## What the data cannot identify ({len(left_open)})", ""]
    lines += [f"- `{n}` ({ratio[n]:.2f}): {knowledge.parameter[n].meaning}" for n in left_open]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Draw, report, and write if asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--members", type=int, default=100)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--drafts", type=Path, default=ROOT / "build" / "ensemble_drafts.json")
    parser.add_argument("--recheck", action="store_true", help="judge the shipped members again, draw none")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    options.drafts.parent.mkdir(parents=True, exist_ok=True)
    knowledge = load()
    known = stored(options.drafts, knowledge)
    sampler = Sampler(
        knowledge,
        data_of_rat(),
        jacobian=np.array(known["jacobian"]) if "jacobian" in known else None,
        progress=lambda done, total: print(f"\rsensitivity {done} of {total}", end="", file=sys.stderr),
    )
    print(f"\nbest fit: misfit {sampler.misfit:.2f}", file=sys.stderr)
    options.drafts.write_text(
        json.dumps({**known, "model_hash": model_hash(knowledge), "jacobian": sampler.jacobian.tolist()}),
        encoding="utf-8",
    )
    if options.recheck:
        drafts = rechecked(sampler, load_members().sets, options.workers)
        refused = refusal(sampler, drafts, options.members)
        if refused:
            print(refused, file=sys.stderr)
            return 1
        drawn = line_after_recheck(PAGE.read_text(encoding="utf-8"), drafts)
    else:
        try:
            drafts = drafts_until(sampler, options.members, options.workers, options.drafts)
        except KeyboardInterrupt:
            print(f"interrupted; the drafts are in {options.drafts}, run again to go on", file=sys.stderr)
            return 130
        drawn = drawn_line(sampler, drafts)
    members = kept(sampler, drafts)[: options.members]
    ratio = constraint(sampler.priors, [m.values for m in members])
    print(page(knowledge, sampler, drafts, ratio, drawn))
    if options.write:
        text = members_text(model_hash(knowledge), [m.values for m in members], [m.misfit for m in members])
        ENSEMBLE.write_text(text, encoding="utf-8")
        PAGE.write_text(page(knowledge, sampler, drafts, ratio, drawn), encoding="utf-8")
        figure(sampler.priors, members, ratio)
    return 0


if __name__ == "__main__":
    sys.exit(main())
