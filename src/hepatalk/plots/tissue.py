"""What a lobule does over time and depth: heat maps, curves of what a section shows, and sizes of clones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from matplotlib.colors import LogNorm, Normalize

from hepatalk.plots.frame import day_axis, framed, placed, styled
from hepatalk.plots.palette import CELL_COLOURS, INK, MODEL, MUTED, day_ticks, shades
from hepatalk.plots.series import moment_label
from hepatalk.results.spatial import clones_of

if TYPE_CHECKING:
    import xarray
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from hepatalk.plots.series import Painter
    from hepatalk.results.result import Result

__all__ = ["clones", "tissue", "zones"]

Floats = npt.NDArray[np.float64]

#: Sizes of clones that share a bar: from, to.
_SIZES = ((1, 1), (2, 2), (3, 4), (5, 8), (9, 16), (17, 10**9))
_ZONES = ("periportal (zone 1)", "middle (zone 2)", "pericentral (zone 3)")
_LINES_OF_ZONES = (1.0 / 3.0, 2.0 / 3.0)
#: Signals are drawn from this part of health to this many times health, at least.
_LEAST_FOLD = 2.0


@dataclass(frozen=True)
class _Map:
    """A heat map: a quantity of the profiles, what it is called, and how it is coloured."""

    quantity: str
    name: str
    kind: str  # 'share' and 'mmHg' from 0, 'fold' about health on a log scale

    @property
    def unit(self) -> str:
        return "× health" if self.kind == "fold" else self.kind


_MAPS = (
    _Map("s_phase.HEP", "hepatocytes in S phase", "share"),
    _Map("volume.HEP", "hepatocyte volume", "fold"),
    _Map("shear", "wall shear", "fold"),
    _Map("oxygen", "oxygen", "fold"),
    _Map("blood.oxygen", "oxygen in the blood", "mmHg"),
    _Map("blood.BA", "bile acids left in the blood", "share"),
    _Map("signal.HGF", "HGF", "fold"),
    _Map("signal.TGFB1", "TGFB1", "fold"),
    _Map("signal.WNT", "WNT (LSEC)", "fold"),
    _Map("signal.IL6", "IL-6", "fold"),
    _Map("signal.ECM", "matrix", "fold"),
    _Map("dead_area", "dead tissue in section", "share"),
)


def zones(painter: Painter) -> Figure:
    """Draw heat maps over time and depth: from the portal tracts (top) to the central vein (bottom)."""
    profiles = painter.cells.profiles()
    known = [m for m in _MAPS if m.quantity in profiles["quantity"].values]
    sites = len(painter.anatomy["site_depth"])
    caption = (
        f"Lobule engine, {painter.species}, seed {painter.seed}; {sites} sites in ten equal parts of the tissue, in "
        f"the order in which blood passes them; {len(profiles['time'])} times. Dashed: borders of the zones. S "
        "phase and cell volume are those of the cells in the part. What is relative to health has colours on a log "
        "scale, white at health; grey: no site or cell. Model only."
    )
    with styled():
        figure, below = framed(f"{painter.title}: time and depth", caption, 2.05 * ((len(known) + 1) // 2) + 0.75)
        rows = (len(known) + 1) // 2
        axes = placed(figure, below, rows, 2, left=1.0, right=0.55, hspace=0.62, wspace=0.34)
        for ax, one in zip(axes, known, strict=False):
            _heat(figure, ax, profiles, one)
        for ax in axes[len(known) :]:
            ax.set_visible(False)
        for ax in axes[: len(known)][-2:]:
            ax.set_xlabel("time (days)")
    return figure


def _edges(middle: Floats) -> Floats:
    """Return the borders between columns, half-way between times; the outer ones at the ends."""
    if len(middle) == 1:
        return np.array([middle[0], middle[0] + 1.0])
    half = 0.5 * (middle[1:] + middle[:-1])
    return np.concatenate([[middle[0]], half, [middle[-1] + 0.5 * (middle[-1] - middle[-2])]])


def _heat(figure: Figure, axes: Axes, profiles: xarray.Dataset, one: _Map) -> None:
    days = profiles["time"].values / 24.0
    values = profiles["profile"].sel(quantity=one.quantity).values.T
    depth = np.linspace(0.0, 1.0, len(values) + 1)
    norm, colours = _scale(values, one.kind)
    drawn = axes.pcolormesh(_edges(days), depth, np.ma.masked_invalid(values), norm=norm, cmap=colours, rasterized=True)
    axes.set_facecolor("#BDBDBD")
    axes.set_ylim(1.0, 0.0)
    axes.set_xlim(0.0, max(float(days[-1]), 1e-6))
    axes.set_xticks(day_ticks(float(profiles["time"].values[-1])))
    for line in _LINES_OF_ZONES:
        axes.axhline(line, color=INK, linewidth=0.7, linestyle=(0, (4, 3)), alpha=0.6)
    axes.set_yticks([0.0, 1.0], ["portal", "central"])
    axes.spines[["top", "right"]].set_visible(True)
    axes.set_title(one.name, pad=4)
    bar = figure.colorbar(drawn, ax=axes, pad=0.02, fraction=0.06, aspect=14)
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=7.5, length=2)
    if isinstance(norm, LogNorm):
        ticks = _fold_ticks(float(norm.vmin or 0.5), float(norm.vmax or 2.0))
        bar.set_ticks(ticks, labels=[f"{t:g}" for t in ticks])
        bar.ax.minorticks_off()
    bar.ax.set_title(one.unit, fontsize=7.5, loc="left", fontweight="normal", pad=3)


def _scale(values: Floats, kind: str) -> tuple[Normalize, Any]:
    """Return the scale of colours: of shares from 0 up, of folds about health, which is white."""
    finite = values[np.isfinite(values)]
    if kind != "fold":
        return Normalize(0.0, max(float(finite.max(initial=0.0)), 0.01)), "YlOrRd"
    positive = np.maximum(finite, 1e-3)
    most = max(_LEAST_FOLD, float(positive.max(initial=1.0)), float(1.0 / positive.min(initial=1.0)))
    most = min(most, 64.0)
    return LogNorm(1.0 / most, most, clip=True), "RdBu_r"


def _fold_ticks(low: float, high: float) -> list[float]:
    """Return round folds between two, health among them."""
    every = [k for k in (1 / 50, 1 / 20, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0) if low <= k <= high]
    return [float(f"{t:.2g}") for t in every]


# ------------------------------------------------------------------------------------------------ curves


def tissue(painter: Painter, result: Result) -> Figure:
    """Draw what a pathologist would measure: dead area, hepatocytes per area, sinusoids, matrix, size of the lobule."""
    profiles = painter.cells.profiles()
    hours = profiles["time"].values
    scale = profiles["scale"].values
    at = dict(zip([str(q) for q in profiles["quantity"].values], profiles["profile"].values.transpose(1, 0, 2),
                  strict=True))  # fmt: skip
    healthy = float(painter.anatomy["site_volume"].sum())
    number = at["count.HEP"].sum(axis=1)
    size = painter.slab * np.cbrt(_mean(at["volume.HEP"], at["count.HEP"]))
    per_mm2 = number / (healthy * scale**3) * size * 1e6
    curves = [
        ("dead tissue", "% of section", result.time_h, 100.0 * result.readout("dead_cell_area"), MODEL),
        ("hepatocytes cut", "per mm²", hours, per_mm2, CELL_COLOURS["HEP"]),
        ("edge of the lobule", "× health", hours, scale, INK),
        ("matrix (ECM)", "× health", result.time_h, result.readout("signal.ECM"), CELL_COLOURS["HSC"]),
        ("hepatocytes", "number", hours, number, CELL_COLOURS["HEP"]),
    ]
    if "sinusoid_share" in profiles:
        measured = (
            ("sinusoids", "% of tissue volume", "sinusoid_share", 100.0, "#C8102E"),
            ("without a sinusoid", "% of hepatocytes", "avascular", 100.0, CELL_COLOURS["LSEC"]),
            ("largest group of these", "hepatocytes", "largest_group", 1.0, CELL_COLOURS["LSEC"]),
        )
        curves[2:2] = [(n, unit, hours, by * profiles[m].values, colour) for n, unit, m, by, colour in measured]
    caption = (
        f"Lobule engine, {painter.species}, seed {painter.seed}; {int(number[0])} hepatocytes at the start, "
        f"{int(number[-1])} in the end. Hepatocytes per mm²: number per volume times mean diameter, whole "
        "lobule. Sinusoids: all segments of the moment, new ones included, as wide as the model has them. Without a "
        "sinusoid: hepatocytes that touch none of healthy width. Dotted: first value. Model only."
    )
    with styled():
        figure, below = framed(f"{painter.title}: tissue", caption, 5.2)
        axes = placed(figure, below, 2, 4, left=0.75, hspace=0.5, wspace=0.5)
        for ax, (name, unit, x, y, colour) in zip(axes, curves, strict=False):
            ax.plot(x / 24.0, y, color=colour)
            ax.axhline(y[0], color=MUTED, linewidth=0.9, linestyle=":")
            ax.set_title(name)
            ax.set_ylabel(unit)
            ax.set_ylim(0.0, max(float(np.nanmax(y)) * 1.12, 1e-3))
            day_axis(ax, float(result.time_h[-1]), "time")
        for ax in axes[len(curves) :]:
            ax.set_visible(False)
    return figure


def _mean(values: Floats, weight: Floats) -> Floats:
    """Return the mean over depth, by number of cells."""
    w = np.where(np.isfinite(values), weight, 0.0)
    total = w.sum(axis=1)
    summed = (np.nan_to_num(values) * w).sum(axis=1)
    mean: Floats = np.divide(summed, total, out=np.zeros(len(total)), where=total > 0.0)
    return mean


# ------------------------------------------------------------------------------------------------ clones


def clones(painter: Painter) -> Figure:
    """Draw how many of the hepatocytes belong to clones of each size, by the zone of the first cell of the clone."""
    cells = painter.cells
    first, last = painter.table(cells.times_h[0]), painter.table(cells.times_h[-1])
    when = moment_label(float(last.attrs["time_h"]))
    found = clones_of(first, last)
    caption = (
        f"Lobule engine, {painter.species}, seed {painter.seed}; a clone is a cell of time zero with its descendants "
        f"that live after {when}: {len(found.size)} clones of {int(found.size.sum())} hepatocytes. "
        "Zone: where the first cell was. n: clones. Whole lobule, nothing is lost by sectioning. Model only."
    )
    with styled():
        figure, below = framed(f"{painter.title}: hepatocyte clones after {when}", caption, 3.6)
        axes = placed(figure, below, 1, 3, left=0.75, top=0.95, wspace=0.12)
        tints = [shades(CELL_COLOURS["HEP"], 10)[k] for k in (3, 5, 7)]
        labels = [f"{a}" if a == b else (f"{a}+" if b > 10**6 else f"{a}-{b}") for a, b in _SIZES]
        for k, ax in enumerate(axes):
            sizes = found.of(k + 1)
            bars = [100.0 * ((sizes >= a) & (sizes <= b)).sum() / max(len(sizes), 1) for a, b in _SIZES]
            drawn = ax.bar(labels, bars, color=tints[k], width=0.75)
            ax.bar_label(drawn, labels=[f"{v:.0f}" if v >= 0.5 else "" for v in bars], fontsize=8, padding=2)
            mean = float(sizes.mean()) if len(sizes) else 0.0
            ax.set_title(f"{_ZONES[k]}\nmean size {mean:.2f}, n = {len(sizes)}", fontsize=9.5)
            ax.set_ylim(0.0, 108.0)
            ax.set_xlabel("hepatocytes in the clone")
            if k:
                ax.tick_params(labelleft=False)
        axes[0].set_ylabel("% of the clones")
    return figure
