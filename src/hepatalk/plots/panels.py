"""The static pictures of a run, one function each."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from matplotlib.patheffects import withStroke

from hepatalk.plots.captions import READOUT_NAMES, REMNANT, TITLES, band_label, caption, diet_label, state_label, titles
from hepatalk.plots.frame import day_axis, encoded, framed, hour_axis, placed, root_axis, styled
from hepatalk.plots.palette import (
    BRAKE,
    CELL_COLOURS,
    CELL_DASHES,
    CELL_NAMES,
    DIET_COLOURS,
    INK,
    MODEL,
    MUTED,
    PUSH,
    day_ticks,
    duration,
    fold_text,
    root_hours,
    shades,
    shortened,
    state_tints,
)
from hepatalk.plots.view import Drive, View

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

    from hepatalk.experiments.comparison import AnimalGroup

__all__ = ["draw_all", "encoded"]

Floats = npt.NDArray[np.float64]

#: Levels below this log2 fold, about 30% under health, are hatched.
LOW_LOG2 = -0.5
_MARKERS = {"Carbohydrate": "o", "Chow": "s"}


def draw_all(view: View) -> dict[str, Figure]:
    """Return all pictures of a run by name, in the order in which a report shows them."""
    draw = {
        "liver_volume": _volume,
        "s_phase": _s_phase,
        "signals": _signals,
        "states": _states,
        "flow": _flow,
        "drivers": _drivers,
        "hepatocytes": _hepatocytes,
    }
    with styled():
        return {name: draw[name](view) for name in titles(view)}


def _end_h(view: View) -> float:
    return float(view.result.time_h[-1])


def _title(view: View, name: str) -> str:
    origin = view.result.provenance
    return shortened(f"{TITLES[name]} — {origin.title}, {origin.species}", 96)


def _points(axes: Axes, groups: tuple[AnimalGroup, ...], end_h: float, place: Callable[[Floats], Floats]) -> None:
    """Draw group means with SD within the run; ``place`` turns hours into positions on the axis."""
    for k, group in enumerate(groups):
        inside = group.time_h <= end_h
        # The two groups were measured at the same hours: they stand beside each other.
        shift = (k - 0.5) * 0.009 * float(place(np.array([end_h]))[0])
        axes.errorbar(
            place(group.time_h[inside]) + shift,
            group.mean[inside],
            yerr=group.sd[inside],
            fmt=_MARKERS[group.diet],
            color=DIET_COLOURS[group.diet],
            markerfacecolor="white" if group.diet == "Chow" else DIET_COLOURS[group.diet],
            markersize=5.5,
            capsize=2.5,
            linewidth=1.1,
            label=diet_label(group.diet),
            zorder=3,
        )


def _band(axes: Axes, x: Floats, view: View, name: str, **look: Any) -> float:
    """Fill the band of a readout, where there is one, and return how high it goes; ``look`` may hold a scale."""
    bands = view.result.bands
    if bands is None or name not in bands.curves:
        return 0.0
    scale: float = look.pop("scale", 1.0)
    band = bands.curves[name]
    style: dict[str, Any] = {"color": MODEL, "alpha": 0.18, "linewidth": 0.0, "zorder": 0.5} | look
    axes.fill_between(x, scale * band.low[: len(x)], scale * band.high[: len(x)], **style)
    return scale * float(band.high.max())


def _band_name(view: View) -> str | None:
    bands = view.result.bands
    return None if bands is None else band_label(bands, view.result.provenance.species)


def _hours(time_h: Floats) -> Floats:
    return time_h


def _days(time_h: Floats) -> Floats:
    return time_h / 24.0


def _to_hours(days: npt.ArrayLike) -> npt.ArrayLike:
    return 24.0 * np.asarray(days, dtype=float)


def _to_days(hours: npt.ArrayLike) -> npt.ArrayLike:
    return np.asarray(hours, dtype=float) / 24.0


def _volume(view: View) -> Figure:
    figure, below = framed(_title(view, "liver_volume"), caption(view, "liver_volume"), 4.3)
    early, late = placed(figure, below, 1, 2, width_ratios=(1.0, 1.35), wspace=0.12)
    t, y, end_h = view.result.time_h, view.result.readout("liver_volume"), _end_h(view)
    first_h = min(72.0, end_h)
    for axes, place, until in ((early, _hours, first_h), (late, _days, end_h)):
        here = t <= until
        axes.plot(place(t[here]), y[here], color=MODEL, linewidth=2.2, label="model", zorder=2)
        top = _band(axes, place(t[here]), view, "liver_volume", label=_band_name(view))
        axes.axhline(1.0, color=MUTED, linewidth=0.8, linestyle=(0, (1, 2)), zorder=1)
        if view.animals is not None:
            _points(axes, view.animals.volume, until, place)
    tallest = max(
        [float(y.max()), top] + ([float(np.nanmax(g.mean + g.sd)) for g in view.animals.volume] if view.animals else [])
    )
    for axes in (early, late):
        axes.set_ylim(0.0, max(1.08, 1.05 * tallest))
    hour_axis(early, first_h, view.time_label)
    day_axis(late, end_h, view.time_label)
    early.set_ylabel(f"liver volume ({view.result.unit('liver_volume')})")
    early.set_title(f"the first {duration(first_h)}", color=MUTED, fontweight="normal")
    late.set_title("the whole course", color=MUTED, fontweight="normal")
    late.tick_params(labelleft=False)
    late.legend(loc="lower right", bbox_to_anchor=(1.0, 0.08))
    if view.error is not None:
        late.text(
            0.985,
            0.04,
            f"model − carbohydrate-fed rats: RMSE {view.error:.3f}",
            transform=late.transAxes,
            ha="right",
            fontsize=9,
        )
    return figure


def _s_phase(view: View) -> Figure:
    figure, below = framed(_title(view, "s_phase"), caption(view, "s_phase"), 4.4)
    (axes,) = placed(figure, below, top=0.85, right=0.4)
    t, end_h = view.result.time_h, _end_h(view)
    highest = max((float(view.result.readout(f"s_phase.{c}").max()) for c in view.cells), default=0.0) * 100.0
    for cell in view.cells:
        y = 100.0 * view.result.readout(f"s_phase.{cell}")
        axes.plot(
            t / 24.0,
            y,
            color=CELL_COLOURS[cell],
            dashes=CELL_DASHES[cell] or (None, None),
            label=f"{CELL_NAMES[cell]} ({cell})",
        )
        top = _band(axes, t / 24.0, view, f"s_phase.{cell}", scale=100.0, color=CELL_COLOURS[cell])
        highest = max(highest, top)
    if view.result.bands is not None:
        axes.fill_between([], [], [], color=MUTED, alpha=0.3, linewidth=0.0, label=_band_name(view))
    # Labels go up in a staircase to the right of the peaks, so that neighbours do not cover each other.
    taken: list[tuple[float, float]] = []
    for wave in sorted(view.waves, key=lambda w: w.peak):
        at = 100.0 * view.result.at(f"s_phase.{wave.cell}", wave.peak_h)
        day, height = wave.peak_h / 24.0, at
        while any(abs(day - a) < 0.2 * end_h / 24.0 and abs(height - b) < 0.06 * highest for a, b in taken):
            height += 0.02 * highest
        taken.append((day, height))
        axes.plot([day], [at], "o", color=CELL_COLOURS[wave.cell], markersize=5.5, zorder=4)
        axes.annotate(
            f"{wave.cell} {duration(wave.peak_h)}",
            (day, at),
            (day + 0.0005 * end_h, height + 0.012 * highest),
            color=CELL_COLOURS[wave.cell],
            fontsize=9.5,
            fontweight="bold",
            va="bottom",
            path_effects=[withStroke(linewidth=2.5, foreground="white")],
        )
    axes.set_ylim(0.0, max(1.12 * highest, 0.1))
    axes.set_ylabel("cells in S phase (% of the type)")
    day_axis(axes, end_h, view.time_label)
    above = axes.secondary_xaxis("top", functions=(_to_hours, _to_days))
    above.set_xlabel("hours", fontsize=8.5, color=MUTED)
    above.set_xticks([24.0 * d for d in day_ticks(end_h)])
    above.tick_params(labelsize=8, labelcolor=MUTED)
    axes.legend(loc="upper right", bbox_to_anchor=(1.0, 0.98))
    return figure


def _signals(view: View) -> Figure:
    r, end_h = view.responses, _end_h(view)
    n = len(r.names)
    figure, below = framed(_title(view, "signals"), caption(view, "signals"), 1.5 + 0.215 * max(n, 3))
    (axes,) = placed(figure, below, left=1.15, right=2.35)
    root_axis(axes, end_h, view.time_label)
    if not n:
        axes.set_yticks([])
        axes.set_ylabel("signals")
        axes.text(0.5, 0.5, "no signal left its healthy level", transform=axes.transAxes, ha="center", color=MUTED)
        return figure
    # Resampled evenly on the drawn axis, so that the first hours keep their width.
    x = np.linspace(0.0, end_h**0.5, 400)
    grid = np.array([np.interp(x**2, view.result.time_h, row) for row in r.log2_fold])
    limit = float(np.clip(np.ceil(np.percentile(np.abs(r.log2_fold).max(axis=1), 75)), 1.0, 6.0))
    image = axes.imshow(
        grid,
        aspect="auto",
        cmap="RdBu_r",
        vmin=-limit,
        vmax=limit,
        extent=(0.0, float(x[-1]), n - 0.5, -0.5),
        interpolation="nearest",
    )
    for i, row in enumerate(grid):  # a grey print shows no sign: what is below health is hatched as well
        low = {
            "where": row < LOW_LOG2,
            "facecolor": "none",
            "edgecolor": "#00000066",
            "hatch": "/////",
            "linewidth": 0.0,
        }
        axes.fill_between(x, i - 0.5, i + 0.5, **low)
    axes.plot(
        root_hours(r.half_h),
        np.arange(n),
        "o",
        markersize=4.5,
        markerfacecolor="white",
        markeredgecolor=INK,
        markeredgewidth=1.0,
        clip_on=False,
    )
    axes.set_yticks(np.arange(n), r.names)
    axes.set_ylabel("signal")
    axes.tick_params(axis="y", length=0)
    for i in range(n):
        axes.text(
            1.012,
            i,
            f"{fold_text(r.extreme[i])} at {duration(r.extreme_h[i])}",
            transform=axes.get_yaxis_transform(),
            va="center",
            fontsize=8.5,
        )
    _colour_bar(figure, axes, image)
    return figure


def _colour_bar(figure: Figure, axes: Axes, image: AxesImage) -> None:
    """Add the scale of the heat map, beside the levels in words."""
    top, bottom = axes.get_position().y1, axes.get_position().y0
    bar = figure.colorbar(
        image, cax=figure.add_axes((0.915, bottom + 0.15 * (top - bottom), 0.014, 0.7 * (top - bottom))), extend="both"
    )
    bar.set_label("log2 (level / healthy level)")
    bar.outline.set_linewidth(0.5)


def _states(view: View) -> Figure:
    figure, below = framed(_title(view, "states"), caption(view, "states"), 6.6)
    grid = placed(figure, below, 3, 2, wspace=0.52, hspace=0.62, right=1.3)
    x, end_h = root_hours(view.result.time_h), _end_h(view)
    for axes, cell in zip(grid, view.cells, strict=False):
        states = view.states(cell)
        shares = [100.0 * view.result.readout(f"state.{cell}.{state}") for state in states]
        tints = state_tints(CELL_COLOURS[cell], states)
        areas = axes.stackplot(x, shares, colors=tints, edgecolor="white", linewidth=0.4)
        axes.set_ylim(0.0, 100.0)
        axes.set_yticks([0, 50, 100])
        axes.set_title(f"{CELL_NAMES[cell]} ({cell})", color=CELL_COLOURS[cell])
        axes.set_ylabel("share (%)")
        root_axis(axes, end_h, view.time_label, gap=0.11)
        axes.legend(
            areas[::-1],
            [state_label(state) for state in states[::-1]],
            loc="center left",
            bbox_to_anchor=(1.0, 0.5),
            fontsize=8,
            handlelength=1.1,
            labelspacing=0.3,
        )
    for axes in grid[len(view.cells) :]:
        axes.set_axis_off()
    return figure


def _flow(view: View) -> Figure:
    figure, below = framed(_title(view, "flow"), caption(view, "flow"), 5.6)
    grid = placed(figure, below, 2, 2, wspace=0.24, hspace=0.5)
    end_h = _end_h(view)
    for axes, name in zip(grid, ("portal_flow", "shear", "function", "oxygen"), strict=True):
        y = view.result.readout(name)
        x = root_hours(view.result.time_h)
        axes.plot(x, y, color=MODEL, label="model")
        top = max(float(y.max()), _band(axes, x, view, name, label=_band_name(view)))
        axes.axhline(1.0, color=MUTED, linewidth=0.8, linestyle=(0, (1, 2)))
        if name == "portal_flow" and view.animals is not None:
            _points(axes, view.animals.flow, end_h, root_hours)
        if name == "portal_flow" and (view.animals is not None or view.result.bands is not None):
            axes.legend(loc="upper right")
        axes.set_ylim(0.0, max(1.15, 1.08 * top, axes.get_ylim()[1] if name == "portal_flow" else 0.0))
        axes.set_title(READOUT_NAMES[name])
        axes.set_ylabel(view.result.unit(name))
        root_axis(axes, end_h, view.time_label, gap=0.1)
        axes.set_xlim(0.0, 1.015 * end_h**0.5)
    return figure


def _drivers(view: View) -> Figure:
    drives = view.drives
    n = sum(max(len(d.rows), 1) for d in drives)
    figure, below = framed(_title(view, "drivers"), caption(view, "drivers"), 1.6 + 0.3 * n + 0.5 * (len(drives) - 1))
    grid = placed(
        figure,
        below,
        len(drives),
        1,
        left=4.75,
        right=0.35,
        top=0.95,
        hspace=0.3,
        height_ratios=[max(len(d.rows), 1) for d in drives],
    )
    for axes, drive in zip(grid, drives, strict=True):
        _drive(axes, drive, view)
    return figure


def _drive(axes: Axes, drive: Drive, view: View) -> None:
    """Draw the rows of one readout, each with its own zero line."""
    name = READOUT_NAMES.get(drive.readout, drive.readout)
    axes.annotate(
        f"{name} ({drive.readout})",
        (0.0, 1.0),
        xycoords="axes fraction",
        xytext=(-4.65 * 72, 8),
        textcoords="offset points",
        fontweight="bold",
        fontsize=10,
    )
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    root_axis(axes, float(drive.time_h[-1]), view.time_label)
    axes.set_ylabel("")
    if not drive.rows:
        axes.set_yticks([])
        axes.text(
            0.5, 0.5, "no statement drives it away from health", transform=axes.transAxes, ha="center", color=MUTED
        )
        return
    x = root_hours(drive.time_h)
    scale = max(float(np.percentile(np.abs([row.effect for row in drive.rows]), 95)), 1e-3)
    for i, row in enumerate(drive.rows):
        y = np.clip(row.effect / scale, -1.0, 1.0) * 0.46
        axes.fill_between(x, i - np.maximum(y, 0.0), i, color=PUSH, linewidth=0)
        axes.fill_between(x, i, i - np.minimum(y, 0.0), color=BRAKE, linewidth=0)
        axes.axhline(i, color=MUTED, linewidth=0.5)
    axes.set_ylim(len(drive.rows) - 0.4, -0.6)
    axes.set_yticks(
        range(len(drive.rows)), [f"{shortened(row.claim, 66)}  {row.row}" for row in drive.rows], fontsize=7.5
    )
    direct = sum(row.level == 1 for row in drive.rows)
    if 0 < direct < len(drive.rows):
        axes.axhline(direct - 0.5, color=INK, linewidth=0.9, linestyle=(0, (4, 3)))
    # Both labels stand at the border between the two kinds, one on each side, where the last days are quiet.
    border = direct - 0.5
    for text, shown, away, side in (
        ("direct", direct > 0, -0.06, "bottom"),
        ("upstream", direct < len(drive.rows), 0.06, "top"),
    ):
        if shown:
            axes.text(0.998, border + away, text, transform=axes.get_yaxis_transform(), ha="right", va=side,
                      fontsize=7.5, color=MUTED)  # fmt: skip
    axes.annotate(
        f"above its line: pushes, below: brakes; full row: ±{scale:.1f} in ln(rate / healthy rate)",
        (1.0, 1.0),
        xycoords="axes fraction",
        xytext=(0, 8),
        textcoords="offset points",
        ha="right",
        va="bottom",
        fontsize=7.5,
        color=MUTED,
    )


def _hepatocytes(view: View) -> Figure:
    figure, below = framed(_title(view, "hepatocytes"), caption(view, "hepatocytes"), 4.2)
    left, right = placed(figure, below, 1, 2, wspace=0.26)
    days, end_h = view.result.time_h / 24.0, _end_h(view)
    colour = CELL_COLOURS["HEP"]
    lines = (
        ("hepatocyte_mass", (), INK, 2.4),
        ("hepatocyte_count", (), colour, 1.8),
        ("hepatocyte_volume", (4, 2), colour, 1.8),
    )
    for name, dashes, ink, width in lines:
        y = view.result.readout(name)
        left.plot(days, y, color=ink, dashes=dashes or (None, None), linewidth=width, label=READOUT_NAMES[name])
    left.axhline(1.0, color=MUTED, linewidth=0.8, linestyle=(0, (1, 2)))
    left.set_ylim(0.0, None)
    left.set_ylabel("of hepatocytes (x healthy)")
    left.legend(loc="lower right")
    g = view.growth
    tints = shades(colour, 5)
    lower, middle, upper = g.remnant, g.remnant + g.enlargement, g.remnant + g.enlargement + g.new_cells
    right.fill_between(days, 0.0, lower, color=tints[0], label=REMNANT[view.dish is not None], linewidth=0)
    right.fill_between(days, lower, middle, color=tints[2], label="growth of the cells left", linewidth=0)
    right.fill_between(days, middle, upper, color=tints[3], label="new cells", linewidth=0)
    right.plot(days, upper, color=INK, linewidth=1.4)
    right.set_ylim(0.0, left.get_ylim()[1] if upper.max() < left.get_ylim()[1] else None)
    right.set_ylabel(f"hepatocyte mass ({view.result.unit('hepatocyte_mass')})")
    handles, labels = right.get_legend_handles_labels()
    right.legend(handles[::-1], labels[::-1], loc="upper left", ncols=1)
    for axes, title in ((left, "number, size and mass"), (right, "what the mass is made of")):
        axes.set_title(title, color=MUTED, fontweight="normal")
        day_axis(axes, end_h, view.time_label)
    return figure
