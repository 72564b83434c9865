"""The page and the figure of the lobule's biology."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from lobule_biology_lines import (
    AGREES,
    LINES,
    NOT,
    OPEN,
    ZONES,
    One,
    Row,
    Runs,
    avascular,
    clones,
    distance_from_tracts,
    entries,
    filled,
    profile,
)

from hepatalk.plots.palette import CELL_COLOURS, INK, shades

TOLD = """\
Made by `python verification/lobule_biology.py --keep DIR --hepatocytes {size} --seeds {n}`: {n} lobules of {size}
hepatocytes each, rats, seeds 1 to {n}; nothing is fitted to a line of this page. Numbers are means over the lobules ±
their standard deviation. "Clearly" means by two standard errors over the lobules, which with so few of them is a
rough word. What a line needs was written before its numbers were seen, but for four: the lag of zone 2 after CCl4
and the sizes asked of distances, which were added later and only make it harder to agree, and VEGF by zone, which was
added when its profile had been seen. "Agrees" for an input of
the model or of an experiment is no finding. Ids such as T3-17 are observations, HSC-BEC-03 statements of the review.
{small}
"""
NOTES = """\
Why lines fail, as far as it is known (written with the runs of three lobules of 1000 hepatocytes):

- **Gradients.** What a zone's record gives stays in three steps: oxygen that cells have is the zone's resting value
  times what blood has kept relative to health, and Wnt acts where LSECs make it. The blood's oxygen falls gradually
  on the whole, but single parts of a small lobule lie out of line. The third of the hepatocytes with high β-catenin
  is more cells deep than the rim with glutamine synthetase of rats: nothing in the model is narrower than a zone.
- **S phase.** Zones enter within an hour or so of each other after resection: what starts hepatocytes (load,
  blood-borne growth factors) is nearly alike everywhere. No zone abstains, as the middle of the lobule does not stand
  out in mice.
- **LSECs and VEGF** are highest centrally where rats have them highest periportally: in the model hypoxia (HIF of
  zone 3) drives VEGF, and VEGF drives LSECs. It is no matter of space: the population engine has VEGF of 2.5, 5.7 and
  6.9 in zones 1 to 3 at 60 h, and 14, 24 and 24% of its LSECs in cycle from 60 to 84 h ([lobule.md](lobule.md)).
- **Avascular clusters** come, and sprouts take them back, but they are not largest before S phase of LSECs peaks:
  both come at about day four.
- **Ductules** grow to nearly twice their cells and stay at the tracts: BECs live in zone 1 alone, and only
  bipotential cells move.
- **Dead tissue** is cleared everywhere alike, as its law knows no distance; hepatocytes come back from the rim, since
  those that divide are outside.
- **Arrivals.** Cells of the blood arrive where the local rates are high; those that are there do not walk, unless
  chemotaxis is asked for, and then by little. Shares of KCs and HSCs activated at sites are of few cells each.

When these runs were made `aaf_phx` itself stopped in the lobule with an error of the linear solver (a signal that had
faded to nothing and was made again; mended since). So division is blocked from the resection on here.
"""
ORDER = (NOT, OPEN, AGREES)
HEADS = {NOT: "Does not agree", OPEN: "Cannot be told", AGREES: "Agrees"}
ZONE_NAMES = ("zone 1", "zone 2", "zone 3")
SPAN = dict(capsize=2, elinewidth=0.8)


def write(folders: Mapping[str, Sequence[Path]], hepatocytes: int, docs: Path) -> None:
    """Measure everything and write page and figure."""
    runs = {case: [One(f) for f in found] for case, found in folders.items()}
    rows = [row for line in LINES for row in line(runs)]
    _figure(runs, docs / "lobule_biology.png")
    (docs / "lobule_biology.md").write_text(_page(rows, runs, hepatocytes), encoding="utf-8")
    for row in rows:
        print(row.verdict, "|", row.line, "|", row.measure, "|", row.number, flush=True)  # noqa: T201


def _page(rows: Sequence[Row], runs: Runs, hepatocytes: int) -> str:
    count = {v: sum(r.verdict == v for r in rows) for v in ORDER}
    a = runs["sham"][0].anatomy
    small = (
        f"The radius of these lobules (to a corner) is {float(a['lobule_radius'][0]):.0f} µm. With few hepatocytes "
        "the slab stays as thick as one and a half of them and the hexagon shrinks: distances in µm are a miniature's."
    )
    out = [
        "# What the lobule shows of biology, and what it does not",
        "",
        TOLD.format(size=hepatocytes, n=len(runs["sham"]), small=small),
        f"Of {len(rows)} measures {count[AGREES]} agree, {count[NOT]} do not, {count[OPEN]} cannot be told.",
        "",
        NOTES,
        "",
        "![Gradients, S phase, avascular cells, ductules, necrosis and clones](lobule_biology.png)",
        "",
    ]
    for v in ORDER:
        found = [r for r in rows if r.verdict == v]
        if not found:
            continue
        out += [f"## {HEADS[v]}", "", "| line | measure | run | number | needs | what is said of animals |",
                "| --- | --- | --- | --- | --- | --- |"]  # fmt: skip
        out += [f"| {r.line} | {r.measure} | {r.run} | {r.number} | {r.needs} | {r.said} |" for r in found]
        out.append("")
    return "\n".join(out)


def _figure(runs: Runs, path: Path) -> None:
    mpl.use("Agg")
    import matplotlib.pyplot as plt

    with mpl.rc_context({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False}):
        figure, axes = plt.subplots(2, 3, figsize=(12.5, 7.4), layout="constrained")
        for draw, ax in zip((_gradients, _entered, _avascular, _ductules, _necrosis, _clones), axes.flat, strict=True):
            draw(ax, runs)
        figure.savefig(path, dpi=110)


def _depth(ax: Any) -> None:
    ax.set_xlim(0.0, 1.0)
    ax.set_xticks([0.0, 1 / 3, 2 / 3, 1.0], ["portal", "⅓", "⅔", "central"])
    ax.set_xlabel("depth: share of the tissue that blood has passed")


def _band(ax: Any, x: Any, y: Any, **style: Any) -> None:
    """Draw the mean over lobules and what they span."""
    drawn = ax.plot(x, np.nanmean(y, axis=0), **style)
    ax.fill_between(x, np.nanmin(y, axis=0), np.nanmax(y, axis=0), color=drawn[0].get_color(), alpha=0.2, linewidth=0)


def _gradients(ax: Any, runs: Runs) -> None:
    x = (np.arange(9) + 0.5) / 9
    for field, name, colour in (("oxygen", "oxygen", "#C8102E"), ("signal.WNT", "Wnt", "#1B6CA8"),
                                ("node.HEP.CTNNB1", "β-catenin of hepatocytes", "#2E7D32")):  # fmt: skip
        p = profile(runs["sham"], field, 48.0)
        _band(ax, x, p / p.mean(axis=1, keepdims=True), label=name, color=colour, marker="o", markersize=3)
    _depth(ax)
    ax.set_ylim(0.0)
    ax.set_ylabel("× mean of the lobule")
    ax.legend(frameon=False, loc="upper left")
    ax.set_title("At rest (sham, 48 h)", loc="left")


def _entered(ax: Any, runs: Runs) -> None:
    phx = runs["phx70"]
    time_h = np.array(phx[0].cells.times_h)
    tint = shades(CELL_COLOURS["HEP"], 10)
    for k, (low, high) in enumerate(ZONES):
        shares = []
        for o in phx:
            e = entries(o)
            own = e.time_h[(e.depth >= low) & (e.depth < high)]
            shares.append([(own <= t + 0.5).mean() for t in np.round(time_h)])
        _band(ax, np.round(time_h) / 24, 100 * np.array(shares), label=ZONE_NAMES[k], color=tint[(3, 5, 8)[k]])
    ax.set_xlabel("days after 70% resection")
    ax.set_ylabel("% of hepatocytes that have entered S")
    ax.set_ylim(0.0, 100.0)
    ax.legend(frameon=False, loc="lower right")
    ax.set_title("First S phase by zone of origin", loc="left")


def _avascular(ax: Any, runs: Runs) -> None:
    found = [avascular(o) for o in runs["phx70"]]
    days = found[0].time_h / 24
    _band(ax, days, 100 * np.array([a.share for a in found]), color=INK, label="touch neither sinusoid nor LSEC")
    _band(ax, days, 100 * np.array([a.bare for a in found]), color=CELL_COLOURS["HEP"], label="touch no sinusoid")
    curves = [o.curves for o in runs["phx70"]]
    _band(ax, curves[0]["time_h"] / 24, np.array([100 * c["s_phase.LSEC"] for c in curves]),
          color=CELL_COLOURS["LSEC"], label="LSECs in S phase")  # fmt: skip
    ax.set_xlabel("days after 70% resection")
    ax.set_ylabel("%")
    ax.set_ylim(0.0, 26.0)
    ax.legend(frameon=False, loc="upper left")
    ax.set_title("Hepatocytes without a vessel", loc="left")


def _ductules(ax: Any, runs: Runs) -> None:
    moments = (("sham", 0.0, "health"), ("bdl", 240.0, "bile-duct ligation, 10 d"),
               ("blocked", 240.0, "blocked division + resection, 10 d"))  # fmt: skip
    for (case, time_h, name), colour in zip(moments, ("#9E9E9E", CELL_COLOURS["BEC"], "#B5651D"), strict=True):
        away = []
        for o in runs[case]:
            t = o.at(time_h)
            own = np.isin(t["type"].values, ["BEC", "BIP"])
            away.append(distance_from_tracts(t["spatial"].values[own], o.anatomy, float(t.attrs["scale"])))
        every = np.sort(np.concatenate(away))[::-1]
        ax.step(every, np.arange(1, len(every) + 1) / len(away), color=colour, label=name, where="post")
    ax.set_xlabel("µm from the rim of the portal tract")
    ax.set_ylabel("BECs and bipotential cells at least\nso far, per lobule (in tracts: 0 µm)")
    ax.set_xlim(left=0.5)
    ax.set_ylim(0.0, 30.0)
    ax.legend(frameon=False)
    ax.set_title("Ductular reaction", loc="left")


def _necrosis(ax: Any, runs: Runs) -> None:
    pairs = list(zip(runs["ccl4"], runs["sham"], strict=True))
    tints = shades(CELL_COLOURS["HEP"], 10)
    for time_h, colour in zip((0.0, 24.0, 48.0, 72.0, 168.0), (INK, *[tints[k] for k in (8, 6, 4, 2)]), strict=True):
        course = np.array([filled(o, r, time_h) for o, r in pairs])
        ax.plot((np.arange(15) + 0.5) / 15, course.mean(axis=0), color=colour, label=f"{time_h:.0f} h")
    _depth(ax)
    ax.set_ylim(0.0)
    ax.set_ylabel("hepatocytes, × health")
    ax.legend(frameon=False, loc="lower left")
    ax.set_title("Zonal necrosis (CCl4-like)", loc="left")


def _clones(ax: Any, runs: Runs) -> None:
    tint = shades(CELL_COLOURS["HEP"], 10)
    for j, case in enumerate(("phx70", "ccl4")):
        mean = np.array([[clones(o).of(z).mean() for z in (1, 2, 3)] for o in runs[case]])
        for k in range(3):
            ax.bar(j + 0.27 * (k - 1), mean[:, k].mean(), 0.25, yerr=mean[:, k].std(), color=tint[(3, 5, 8)[k]],
                   label=ZONE_NAMES[k] if j == 0 else None, error_kw=SPAN)  # fmt: skip
    ax.set_xticks([0, 1], ["70% resection, 7 d", "zonal necrosis, 7 d"])
    ax.axhline(1.0, color=INK, linewidth=0.7, linestyle=":")
    ax.set_ylabel("mean cells per living clone")
    ax.set_ylim(0.0, ax.get_ylim()[1] * 1.2)
    ax.legend(frameon=False, title="founder in", ncols=3, loc="upper center")
    ax.set_title("Hepatocyte clones by zone of founder", loc="left")
