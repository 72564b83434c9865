"""The interactive pictures, as plotly's JSON.

They are plain dictionaries: plotly's own classes would check every property again at each report, which the tests do
once, and importing them takes longer than drawing.
"""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from hepatalk.experiments.comparison import AnimalGroup
from hepatalk.plots.captions import READOUT_NAMES, REMNANT, band_label, diet_label, state_label, titles
from hepatalk.plots.palette import (
    CELL_COLOURS,
    CELL_NAMES,
    DIET_COLOURS,
    INK,
    MODEL,
    day_ticks,
    duration,
    fold_text,
    root_hours,
    root_ticks,
    shades,
    shortened,
    state_tints,
)
from hepatalk.plots.view import Drive, View

__all__ = ["charts"]

Chart = dict[str, Any]

_DASHES = {"HEP": "solid", "KC": "dash", "BEC": "dashdot", "HSC": "dot", "LSEC": "longdash"}
_GRID = "#e6e6e6"
#: Blue for less, red for more, white for health (ColorBrewer's RdBu, safe for colour-vision deficiencies).
_DIVERGING = [
    [0.0, "#053061"],
    [0.125, "#2166ac"],
    [0.25, "#4393c3"],
    [0.375, "#92c5de"],
    [0.5, "#ffffff"],
    [0.625, "#f4a582"],
    [0.75, "#d6604d"],
    [0.875, "#b2182b"],
    [1.0, "#67001f"],
]


def charts(view: View) -> dict[str, Chart]:
    """Return the figures of a run by name, each as ``{"data": [...], "layout": {...}}`` with plain values.

    All text that comes from records is escaped, since plotly reads a little HTML.
    """
    draw = {
        "liver_volume": _volume,
        "s_phase": _s_phase,
        "signals": _signals,
        "states": _states,
        "flow": _flow,
        "drivers": _drivers,
        "hepatocytes": _hepatocytes,
    }
    return {name: draw[name](view) for name in titles(view)}


def _safe(text: str) -> str:
    return html.escape(text, quote=False)


def _numbers(values: npt.ArrayLike, digits: int = 4) -> list[float]:
    """Return numbers to a few significant digits: a picture shows no more, and the file stays small."""
    return [float(f"{v:.{digits}g}") for v in np.asarray(values, dtype=float).ravel()]


def _axis(title: str, **changes: Any) -> dict[str, Any]:
    shared = {"showline": True, "linecolor": "#8a8a8a", "ticks": "outside", "gridcolor": _GRID, "zeroline": False}
    return {"title": {"text": title, "standoff": 8}, **shared, **changes}


def _root_axis(end_h: float, label: str, gap: float = 0.06, **changes: Any) -> dict[str, Any]:
    positions, texts = root_ticks(end_h, gap)
    limits = [0.0, 1.01 * math.sqrt(end_h)]
    return _axis(f"{label} (hours to days)", tickvals=_numbers(positions, 6), ticktext=texts, range=limits, **changes)


def _layout(height: int, **changes: Any) -> dict[str, Any]:
    base: dict[str, Any] = {
        "height": height,
        "margin": {"l": 70, "r": 20, "t": 60, "b": 60},
        "font": {"family": "system-ui, 'Segoe UI', Roboto, Helvetica, Arial, sans-serif", "size": 13, "color": INK},
        "paper_bgcolor": "white",
        "plot_bgcolor": "white",
        "hovermode": "x unified",
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "traceorder": "normal"},
    }
    return base | changes


def _line(x: list[float], y: npt.ArrayLike, name: str, colour: str, **changes: Any) -> dict[str, Any]:
    line = {"color": colour, "width": 2.2, "dash": changes.pop("dash", "solid"), "simplify": False}
    return {"type": "scatter", "mode": "lines", "x": x, "y": _numbers(y), "name": name, "line": line, **changes}


def _band(view: View, name: str, x: list[float], colour: str, **changes: Any) -> list[dict[str, Any]]:
    """Return the band of a readout as a pale fill: its lower edge, then its upper one filled down to it."""
    bands = view.result.bands
    if bands is None or name not in bands.curves:
        return []
    scale, band = changes.pop("scale", 1.0), bands.curves[name]
    label = band_label(bands, view.result.provenance.species)
    shared: dict[str, Any] = {"type": "scatter", "mode": "lines", "x": x, "line": {"width": 0}, "hoverinfo": "skip"}
    shared |= {"legendgroup": "bands", "name": label, "showlegend": False}
    red, green, blue = (int(colour[k : k + 2], 16) for k in (1, 3, 5))
    fill: dict[str, Any] = {"fill": "tonexty", "fillcolor": f"rgba({red},{green},{blue},0.16)", "showlegend": True}
    return [
        shared | {"y": _numbers(scale * band.low)} | {k: v for k, v in changes.items() if k != "showlegend"},
        shared | {"y": _numbers(scale * band.high)} | fill | changes,
    ]


def _health(axis: str = "y", x: str = "x") -> dict[str, Any]:
    """Return the dotted line at the healthy level."""
    line = {"color": "#8a8a8a", "width": 1, "dash": "dot"}
    return {"type": "line", "xref": f"{x} domain", "x0": 0, "x1": 1, "yref": axis, "y0": 1, "y1": 1, "line": line}


def _points(group: AnimalGroup, end_h: float, *, root: bool, **changes: Any) -> dict[str, Any]:
    """Return group means with SD within the run."""
    inside = group.time_h <= end_h
    x = root_hours(group.time_h[inside]) if root else group.time_h[inside] / 24.0
    n = [count for count, kept in zip(group.n, inside, strict=True) if kept]
    colour = DIET_COLOURS[group.diet]
    sd = [None if math.isnan(v) else v for v in _numbers(group.sd[inside])]
    return {
        "type": "scatter",
        "mode": "markers",
        "x": _numbers(x, 6),
        "y": _numbers(group.mean[inside]),
        "customdata": n,
        "text": [duration(float(t)) for t in group.time_h[inside]],
        "name": f"{diet_label(group.diet)} (mean ± SD)",
        "error_y": {"type": "data", "array": sd, "color": colour, "thickness": 1.2, "width": 4},
        "marker": {"color": colour, "size": 8, "symbol": "circle" if group.diet == "Carbohydrate" else "square-open"},
        "hovertemplate": "%{y:.3f} at %{text}, n = %{customdata}",
        **changes,
    }


def _days(view: View) -> list[float]:
    return _numbers(view.result.time_h / 24.0, 6)


def _times(view: View) -> list[str]:
    """Return the output times as people say them, for axes whose positions are no times."""
    return [duration(float(t)) for t in view.result.time_h]


def _early_ticks(end_h: float) -> dict[str, Any]:
    """Return ticks in hours for the first three days of an axis of days, where the run is short enough."""
    if not 96.0 <= end_h <= 504.0:
        return {}
    later = [float(d) for d in day_ticks(end_h) if d > 3.0]
    days = [0.0, 0.5, 1.0, 2.0, 3.0, *later]
    return {"tickvals": days, "ticktext": ["0", *(f"{24 * d:g} h" for d in days[1:5]), *(f"{d:g} d" for d in later)]}


def _volume(view: View) -> Chart:
    end_h = float(view.result.time_h[-1])
    data = _band(view, "liver_volume", _days(view), MODEL)
    data.append(_line(_days(view), view.result.readout("liver_volume"), "model", MODEL, hovertemplate="%{y:.3f}"))
    if view.animals is not None:
        data += [_points(group, end_h, root=False) for group in view.animals.volume]
    layout = _layout(
        430,
        xaxis=_axis(f"{view.time_label} (hours, then days)", rangemode="tozero", **_early_ticks(end_h)),
        yaxis=_axis(f"liver volume ({_safe(view.result.unit('liver_volume'))})", rangemode="tozero"),
        shapes=[_health()],
    )
    if view.error is not None:
        text = f"RMSE against the carbohydrate-fed rats: {view.error:.3f}"
        place = {"xref": "paper", "yref": "paper", "x": 0.99, "y": 0.05, "xanchor": "right", "showarrow": False}
        layout["annotations"] = [{"text": text, **place}]
    return {"data": data, "layout": layout}


def _s_phase(view: View) -> Chart:
    x, data, notes = _days(view), [], []
    for cell in view.cells:
        y = 100.0 * view.result.readout(f"s_phase.{cell}")
        name = f"{CELL_NAMES[cell]} ({cell})"
        shown = cell == view.cells[-1]  # one entry in the legend for all
        data += _band(view, f"s_phase.{cell}", x, CELL_COLOURS[cell], scale=100.0, showlegend=shown)
        data.append(_line(x, y, name, CELL_COLOURS[cell], dash=_DASHES[cell], hovertemplate="%{y:.2f}%"))
    end_h = float(view.result.time_h[-1])
    tops = {w.cell: 100.0 * view.result.at(f"s_phase.{w.cell}", w.peak_h) for w in view.waves}
    for wave in view.waves:
        at = tops[wave.cell]
        # A label steps up over those of lower neighbours.
        near = [
            w
            for w in view.waves
            if abs(w.peak_h - wave.peak_h) < 0.15 * end_h and 0.0 < at - tops[w.cell] < 0.12 * max(tops.values())
        ]
        arrow = {
            "showarrow": True,
            "arrowhead": 0,
            "arrowwidth": 1,
            "ax": 40,
            "ay": -14 - 16 * len(near),
            "font": {"color": CELL_COLOURS[wave.cell]},
            "bgcolor": "rgba(255,255,255,0.75)",
        }
        notes.append({"x": wave.peak_h / 24.0, "y": at, "text": f"<b>{wave.cell} {duration(wave.peak_h)}</b>", **arrow})
    axes = {
        "xaxis": _axis(f"{view.time_label} (days)", rangemode="tozero"),
        "yaxis": _axis("cells in S phase (% of the type)", rangemode="tozero"),
    }
    return {"data": data, "layout": _layout(450, annotations=notes, **axes)}


def _signals(view: View) -> Chart:
    r, end_h = view.responses, float(view.result.time_h[-1])
    if not r.names:
        note = {"text": "no signal left its healthy level", "showarrow": False, "x": 0.5, "y": 0.5}
        note |= {"xref": "paper", "yref": "paper"}
        return {
            "data": [],
            "layout": _layout(
                200,
                annotations=[note],
                xaxis=_root_axis(end_h, view.time_label),
                yaxis=_axis("signal", showticklabels=False),
            ),
        }
    limit = float(np.clip(np.ceil(np.percentile(np.abs(r.log2_fold).max(axis=1), 75)), 1.0, 6.0))
    x = np.linspace(0.0, math.sqrt(end_h), 240)
    heat = {
        "type": "heatmap",
        "x": _numbers(x, 6),
        "y": [_safe(n) for n in r.names],
        "ygap": 1,
        "z": [_numbers(np.interp(x**2, view.result.time_h, row), 3) for row in r.log2_fold],
        "text": [[duration(round(float(t), 1)) for t in x**2]] * len(r.names),
        "zmin": -limit,
        "zmax": limit,
        "colorscale": _DIVERGING,
        "colorbar": {"title": {"text": "log2 (level / healthy level)", "side": "right"}, "thickness": 14, "x": 1.16},
        "hovertemplate": "%{y} at %{text}<br>log2 fold %{z:.2f}<extra></extra>",
    }
    dots = {
        "type": "scatter",
        "mode": "markers",
        "x": _numbers(root_hours(r.half_h), 6),
        "y": [_safe(n) for n in r.names],
        "marker": {"color": "white", "size": 8, "line": {"color": INK, "width": 1.2}},
        "showlegend": False,
        "text": [f"half-maximal at {duration(round(float(t), 1))}" for t in r.half_h],
        "hovertemplate": "%{y}: %{text}<extra></extra>",
    }
    side = {"xref": "paper", "x": 1.005, "xanchor": "left", "showarrow": False, "font": {"size": 11}}
    notes = [
        {"y": _safe(n), "text": f"{fold_text(float(v))} at {duration(float(t))}", **side}
        for n, v, t in zip(r.names, r.extreme, r.extreme_h, strict=True)
    ]
    layout = _layout(
        130 + 25 * len(r.names),
        hovermode="closest",
        annotations=notes,
        margin={"l": 130, "r": 190, "t": 30, "b": 60},
        xaxis=_root_axis(end_h, view.time_label) | {"range": [0.0, math.sqrt(end_h)]},
        yaxis=_axis("signal", autorange="reversed", showgrid=False, ticks=""),
    )
    return {"data": [heat, dots], "layout": layout}


def _small(rows: int, columns: int, k: int, gap_x: float, gap_y: float) -> tuple[dict[str, Any], dict[str, Any], str]:
    """Return the domains of the k-th of a grid of axes, and its suffix in plotly's names."""
    width, height = (1.0 - gap_x * (columns - 1)) / columns, (1.0 - gap_y * (rows - 1)) / rows
    row, column = divmod(k, columns)
    left, top = column * (width + gap_x), 1.0 - row * (height + gap_y)
    suffix = "" if k == 0 else str(k + 1)
    x = {"domain": [left, left + width], "anchor": f"y{suffix}"}
    y = {"domain": [max(top - height, 0.0), top], "anchor": f"x{suffix}"}
    return x, y, suffix


def _heading(text: str, x: dict[str, Any], y: dict[str, Any], colour: str = INK) -> dict[str, Any]:
    place = {
        "xref": "paper",
        "yref": "paper",
        "x": x["domain"][0],
        "y": y["domain"][1],
        "xanchor": "left",
        "yanchor": "bottom",
    }
    return {"text": f"<b>{text}</b>", "showarrow": False, "font": {"color": colour, "size": 14}, **place}


def _key(states: Sequence[str], colour: str, x: dict[str, Any], y: dict[str, Any]) -> dict[str, Any]:
    """Return a key to the tints of one panel, beside it, in the order in which they are stacked."""
    tints = state_tints(colour, states)
    rows = [
        f"<span style='color:{tint}'>■</span> {state_label(_safe(s))}" for s, tint in zip(states, tints, strict=True)
    ]
    place = {
        "xref": "paper",
        "yref": "paper",
        "x": x["domain"][1] + 0.008,
        "y": sum(y["domain"]) / 2,
        "xanchor": "left",
        "yanchor": "middle",
    }
    return {"text": "<br>".join(reversed(rows)), "showarrow": False, "align": "left", "font": {"size": 12}, **place}


def _states(view: View) -> Chart:
    end_h = float(view.result.time_h[-1])
    roots, times = _numbers(root_hours(view.result.time_h), 6), _times(view)
    data: list[dict[str, Any]] = []
    deep = (len(view.cells) + 1) // 2
    layout = _layout(140 + 240 * deep, showlegend=False, hovermode="closest", annotations=[])
    for k, cell in enumerate(view.cells):
        x, y, suffix = _small(deep, 2, k, 0.24, 0.13)
        states = view.states(cell)
        for state, tint in zip(states, state_tints(CELL_COLOURS[cell], states), strict=True):
            data.append(
                {
                    "type": "scatter",
                    "mode": "lines",
                    "stackgroup": cell,
                    "x": roots,
                    "name": state_label(_safe(state)),
                    "y": _numbers(100.0 * view.result.readout(f"state.{cell}.{state}"), 3),
                    "fillcolor": tint,
                    "line": {"width": 0.5, "color": "white", "simplify": False},
                    "xaxis": f"x{suffix}",
                    "yaxis": f"y{suffix}",
                    "text": times,
                    "hovertemplate": "%{y:.1f}% at %{text}",
                    "hoveron": "points",
                }
            )
        layout[f"xaxis{suffix}"] = _root_axis(end_h, view.time_label, 0.11, **x) | {"range": [0.0, math.sqrt(end_h)]}
        layout[f"yaxis{suffix}"] = _axis("share (%)", range=[0, 100], **y)
        layout["annotations"].append(_heading(f"{CELL_NAMES[cell]} ({cell})", x, y, CELL_COLOURS[cell]))
        layout["annotations"].append(_key(states, CELL_COLOURS[cell], x, y))
    layout["margin"] = layout["margin"] | {"r": 130}
    return {"data": data, "layout": layout}


def _flow(view: View) -> Chart:
    end_h = float(view.result.time_h[-1])
    roots = _numbers(root_hours(view.result.time_h), 6)
    data: list[dict[str, Any]] = []
    layout = _layout(680, annotations=[], shapes=[], hovermode="closest")
    layout["legend"] = layout["legend"] | {"y": 1.06}
    layout["margin"] = layout["margin"] | {"t": 90}
    for k, name in enumerate(("portal_flow", "shear", "function", "oxygen")):
        x, y, suffix = _small(2, 2, k, 0.1, 0.2)
        place = {"xaxis": f"x{suffix}", "yaxis": f"y{suffix}"}
        words = {"text": _times(view), "hovertemplate": "%{y:.3f} at %{text}", "showlegend": k == 0}
        data += _band(view, name, roots, MODEL, showlegend=k == 0, **place)
        data.append(_line(roots, view.result.readout(name), "model", MODEL, **words, **place))
        if name == "portal_flow" and view.animals is not None:
            data += [_points(group, end_h, root=True, **place) for group in view.animals.flow]
        layout[f"xaxis{suffix}"] = _root_axis(end_h, view.time_label, 0.1, **x)
        layout[f"yaxis{suffix}"] = _axis(_safe(view.result.unit(name)), rangemode="tozero", **y)
        layout["annotations"].append(_heading(READOUT_NAMES[name], x, y))
        layout["shapes"].append(_health(f"y{suffix}", f"x{suffix}"))
    return {"data": data, "layout": layout}


def _drivers(view: View) -> Chart:
    data: list[dict[str, Any]] = []
    heights = [max(len(d.rows), 1) for d in view.drives]
    layout = _layout(
        200 + 27 * sum(heights), hovermode="closest", annotations=[], margin={"l": 430, "r": 120, "t": 40, "b": 60}
    )
    gap = 0.14
    top = 1.0
    for k, (drive, rows) in enumerate(zip(view.drives, heights, strict=True)):
        share = (1.0 - gap * (len(heights) - 1)) * rows / sum(heights)
        suffix = "" if k == 0 else str(k + 1)
        domain = [max(top - share, 0.0), top]
        x: dict[str, Any] = {"domain": [0.0, 1.0], "anchor": f"y{suffix}"}
        y: dict[str, Any] = {"domain": domain, "anchor": f"x{suffix}"}
        top -= share + gap
        data += _drive(drive, suffix, domain)
        layout[f"xaxis{suffix}"] = _root_axis(float(drive.time_h[-1]), view.time_label, **x) | {
            "range": [0.0, math.sqrt(float(drive.time_h[-1]))]
        }
        layout[f"yaxis{suffix}"] = _axis("", autorange="reversed", showgrid=False, ticks="", tickfont={"size": 11}, **y)
        words = "" if drive.rows else ": no statement drives it away from health"
        heading = f"{READOUT_NAMES.get(drive.readout, drive.readout)} ({drive.readout}){words}"
        layout["annotations"].append(_heading(_safe(heading), x, y))
    return {"data": data, "layout": layout}


def _drive(drive: Drive, suffix: str, domain: list[float]) -> list[dict[str, Any]]:
    """Return the heat map of one readout, at the times looked at; direct statements on top."""
    if not drive.rows:
        return []
    effects = np.array([row.effect for row in drive.rows])
    limit = float(f"{max(float(np.percentile(np.abs(effects), 97)), 1e-3):.2g}")
    # Evenly spaced columns on the drawn axis, since the times looked at are not.
    x = np.linspace(0.0, math.sqrt(float(drive.time_h[-1])), 120)
    labels = [_safe(f"{shortened(row.claim, 56)}  {row.row}") for row in drive.rows]
    where = ["acts directly" if row.level == 1 else f"acts upstream, step {row.level}" for row in drive.rows]
    return [
        {
            "type": "heatmap",
            "x": _numbers(x, 6),
            "y": labels,
            "z": [_numbers(np.interp(x, root_hours(drive.time_h), row), 3) for row in effects],
            "text": [[f"{text}, at {duration(round(float(t), 1))}" for t in x**2] for text in where],
            "zmin": -limit,
            "zmax": limit,
            "colorscale": _DIVERGING,
            "ygap": 2,
            "xaxis": f"x{suffix}",
            "yaxis": f"y{suffix}",
            "colorbar": {
                "title": {"text": "push (+) or brake (−),<br>ln(rate / healthy rate)", "side": "right"},
                "thickness": 14,
                "len": domain[1] - domain[0],
                "y": sum(domain) / 2,
            },
            "hovertemplate": "%{y}<br>%{z:+.2f} (%{text})<extra></extra>",
        }
    ]


def _hepatocytes(view: View) -> Chart:
    x, colour, g = _days(view), CELL_COLOURS["HEP"], view.growth
    left, right = {"domain": [0.0, 0.45], "anchor": "y"}, {"domain": [0.55, 1.0], "anchor": "y2"}
    data = [
        _line(
            x, view.result.readout("hepatocyte_mass"), READOUT_NAMES["hepatocyte_mass"], INK, hovertemplate="%{y:.3f}"
        ),
        _line(
            x,
            view.result.readout("hepatocyte_count"),
            READOUT_NAMES["hepatocyte_count"],
            colour,
            hovertemplate="%{y:.3f}",
        ),
        _line(
            x,
            view.result.readout("hepatocyte_volume"),
            READOUT_NAMES["hepatocyte_volume"],
            colour,
            dash="dash",
            hovertemplate="%{y:.3f}",
        ),
    ]
    tints = shades(colour, 5)
    areas = (
        (g.remnant, REMNANT[view.dish is not None], tints[0]),
        (g.enlargement, "growth of the cells left", tints[2]),
        (g.new_cells, "new cells", tints[3]),
    )
    bottom = np.zeros_like(g.remnant)
    for k, (part, name, tint) in enumerate(areas):
        bottom = bottom + part
        data.append(
            _line(
                x,
                bottom,
                name,
                INK if k == 2 else tint,
                fill="tozeroy" if k == 0 else "tonexty",
                fillcolor=tint,
                xaxis="x2",
                yaxis="y2",
                customdata=_numbers(part),
                hovertemplate="%{customdata:.3f}",
            )
        )
    label = f"{view.time_label} (days)"
    layout = _layout(
        430,
        xaxis=_axis(label, rangemode="tozero", **left),
        xaxis2=_axis(label, rangemode="tozero", **right),
        shapes=[_health()],
        yaxis=_axis("of hepatocytes (x healthy)", rangemode="tozero", anchor="x"),
        yaxis2=_axis(
            f"hepatocyte mass ({_safe(view.result.unit('hepatocyte_mass'))})", rangemode="tozero", anchor="x2"
        ),
    )
    return {"data": data, "layout": layout}
