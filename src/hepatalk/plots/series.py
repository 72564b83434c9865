"""Sections of a lobule over time, coloured by cell type and by what the cells are doing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from scipy.spatial import cKDTree

from hepatalk.plots.frame import styled
from hepatalk.plots.palette import CELL_COLOURS, INK, MUTED, duration, shades
from hepatalk.plots.scene import (
    BLOOD,
    COLOURS,
    HEPATOCYTE,
    NAMES,
    VEIN,
    Scene,
    blood,
    discs,
    ground,
    in_slice,
    length_bar,
    outline,
    scene_of_moment,
    shares_of_plane,
    small_cells,
    vessels,
    window,
)

if TYPE_CHECKING:
    import xarray
    from matplotlib.axes import Axes

    from hepatalk.results.cells import Cells

__all__ = [
    "PHASES",
    "Painter",
    "alone_times",
    "keys",
    "moment_label",
    "moment_name",
    "nearest_times",
    "one_moment",
    "panel",
    "series",
]

Floats = npt.NDArray[np.float64]

#: What hepatocytes are doing: tints of their colour, darker nearer to division.
PHASES = {"resting": 0, "primed": 2, "g1": 4, "s": 6, "g2m": 9}
_PHASE_NAMES = {"resting": "resting", "primed": "primed", "g1": "G1", "s": "S phase", "g2m": "G2 and M"}
_NECROSIS = "#4B3F72"
#: Cells that are drawn only while they are in such a state, by type; others when they divide.
_ROUSED = {"HSC": "activated", "KC": "activated"}
_CYCLING = ("g1", "s", "g2m")
#: Pictures of one moment, and panels of a series, are of the kept times nearest to these and of the last one, h.
_ALONE_H, _SERIES_H = (0.0, 24.0, 48.0, 72.0, 168.0), (0.0, 24.0, 48.0, 72.0)
#: Width from which the keys of types and of states stand side by side, inches.
_BOTH_KEYS_IN = 14.0
_DARKEST = 0.8
#: Levels of sites are evened out over this distance, um, in pixels of this size.
_BLUR_UM, _PIXEL_UM = 18.0, 4.0


@dataclass(frozen=True)
class Painter:
    """Draws moments of one run.

    Attributes
    ----------
    cells : Cells
    seed : int
    species, title : str
        For captions.
    """

    cells: Cells
    seed: int
    species: str
    title: str

    def table(self, time_h: float) -> xarray.Dataset:
        """Return the cells of a moment."""
        return self.cells.at(time_h)

    def scene(self, table: xarray.Dataset) -> Scene:
        """Return what is to be drawn of a moment."""
        columns = {"type": "type", "position": "spatial", "volume": "volume", "site": "at_site"}
        arrays = {ours: table[theirs].values for ours, theirs in columns.items()}
        drawn = {name: table[name].values for name in ("node", "edge", "edge_radius", "edge_kind")}
        return scene_of_moment({**self.anatomy, **drawn}, self.cells.types, float(table.attrs["scale"]), arrays)

    @cached_property
    def anatomy(self) -> dict[str, npt.NDArray[Any]]:
        """The healthy lobule."""
        return self.cells.anatomy()

    @property
    def height(self) -> float:
        """Height of a healthy lobule, um; sections lie in its middle."""
        return float(self.anatomy["height"][0])

    @property
    def slab(self) -> float:
        """Thickness of a section, um: the diameter of a hepatocyte."""
        return float(self.anatomy["hepatocyte_diameter"][0])


def moment_label(time_h: float) -> str:
    """Return a time as people say it: the step at which cells were kept is at most minutes after the wanted hour."""
    whole = round(time_h)
    return duration(float(whole) if abs(time_h - whole) < 0.25 else round(time_h, 1))


def moment_name(time_h: float) -> str:
    """Return a time for the name of a file: ``24h``."""
    whole = round(time_h)
    return f"{whole}h" if abs(time_h - whole) < 0.25 else f"{time_h:.1f}h"


def nearest_times(times_h: Sequence[float], wanted: Sequence[float]) -> list[float]:
    """Return the kept times nearest to wanted ones within their range, each once, and the last one."""
    kept = np.array(times_h)
    chosen = {float(kept[np.argmin(np.abs(kept - t))]) for t in wanted if t <= kept[-1] + 0.25}
    return sorted({*chosen, float(kept[-1])})


# ------------------------------------------------------------------------------------------------ one panel


def panel(axes: Axes, painter: Painter, table: xarray.Dataset, way: str, frame: Any, *, bar: bool = True) -> int:
    """Draw a section of a moment and return how many hepatocytes it cuts.

    Parameters
    ----------
    axes : Axes
    painter : Painter
    table : xarray.Dataset
    way : {'type', 'state'}
    frame : Frame
        Of the largest lobule that any panel shows, so that all have one scale.
    bar : bool
        Whether to draw the bar of length.
    """
    scene = painter.scene(table)
    z, slab = 0.5 * painter.height, painter.slab
    per_um = window(axes, frame, 1.25 * painter.anatomy["portal_tract_radius"][0] * frame.radius / _radius(painter))
    here = in_slice(scene, "HEP", z, slab)
    ground(axes, scene.frame)
    # Under the cells the veil shows in the gaps only; over them it tells how much of each place is dead.
    _dead(axes, painter, table, scene, z, order=0.6 if way == "type" else 1.8)
    if way == "type":
        shares_of_plane(axes, scene, here, [HEPATOCYTE[1 + int(k) % 3] for k in table["ident"].values[here]])
        nuclei = 0.34 * scene.diameter[here]
        discs(axes, scene.position[here, :2], nuclei, (*to_rgb(HEPATOCYTE[8]), 0.55), zorder=1.5)
        blood(axes, scene, z, slab, per_um)
        small_cells(axes, scene, z, slab, cells=("LSEC", "HSC", "KC", "BEC", "BIP"))
    else:
        states = table["state"].values
        tints = [HEPATOCYTE[PHASES.get(str(states[k]), 0)] for k in here]
        shares_of_plane(axes, scene, here, tints)
        blood(axes, scene, z, slab, per_um, alpha=0.22)
        _busy(axes, scene, states, z, slab)
    vessels(axes, scene)
    outline(axes, scene.frame)
    if bar:
        length_bar(axes, size=8.0)
    return len(here)


def _radius(painter: Painter) -> float:
    return float(painter.anatomy["lobule_radius"][0])


def _busy(axes: Axes, scene: Scene, states: npt.NDArray[Any], z: float, slab: float) -> None:
    """Draw the cells beside hepatocytes that are activated, or divide: the latter darker."""
    for cell in ("LSEC", "HSC", "KC", "BEC", "BIP"):
        own = in_slice(scene, cell, z, slab)
        tints = shades(COLOURS[cell], 10)
        for which, tint, more in ((_ROUSED.get(cell, ""), COLOURS[cell], 1.15), ("cycle", tints[9], 1.15)):
            chosen = [k for k in own if (states[k] in _CYCLING if which == "cycle" else states[k] == which)]
            if chosen:
                size = scene.diameter[chosen] * more * (0.75 if cell == "LSEC" else 1.0)
                discs(axes, scene.position[chosen, :2], size, tint, zorder=6 if cell == "BEC" else 3.2, edge="white")


def _dead(axes: Axes, painter: Painter, table: xarray.Dataset, scene: Scene, z: float, order: float) -> None:
    """Lay a veil over dead tissue, as dense as its share of the section."""
    names = [str(n) for n in table["field"].values]
    if "dead_area" not in names:
        return
    share = table["fields"].sel(field="dead_area").values.astype(float)
    f = scene.frame
    low, high = f.corner.min(axis=0), f.corner.max(axis=0)
    counts = np.maximum(2, ((high - low) / _PIXEL_UM).astype(int))
    x, y = (np.linspace(low[k], high[k], counts[k]) for k in (0, 1))
    plane = np.column_stack([a.ravel() for a in np.meshgrid(x, y)])
    sites = table["site_spatial"].values.astype(float)
    lobule = painter.anatomy["site_lobule"]
    sites[:, :2] += (float(table.attrs["scale"]) - 1.0) * painter.anatomy["centre"][lobule]
    near, which = cKDTree(sites).query(np.column_stack([plane, np.full(len(plane), z)]), k=min(4, len(sites)))
    near, which = near.reshape(len(plane), -1), which.reshape(len(plane), -1)
    weight = np.exp(-(near - near[:, :1]) / _BLUR_UM)
    level = (share[which] * weight).sum(axis=1) / weight.sum(axis=1)
    picture = np.zeros((len(plane), 4))
    picture[:, :3] = to_rgb(_NECROSIS)
    picture[:, 3] = np.where(f.to_face(plane) > 0.0, np.clip(level, 0.0, 1.0) * _DARKEST, 0.0)
    axes.imshow(
        picture.reshape(counts[1], counts[0], 4),
        extent=(low[0], high[0], low[1], high[1]),
        origin="lower",
        interpolation="bilinear",
        zorder=order,
    )


# ------------------------------------------------------------------------------------------------ keys


def key_of_types(types: Sequence[str]) -> list[Any]:
    dots = [
        Line2D([], [], marker="o", linestyle="none", color=HEPATOCYTE[3] if c == "HEP" else COLOURS[c], label=NAMES[c])
        for c in types
    ]
    return [*dots, Patch(color=VEIN, label="veins, portal venules"), Patch(color=BLOOD, label="sinusoids, artery")]


def key_of_states() -> list[Any]:
    phases = [Patch(color=HEPATOCYTE[k], label=f"HEP {_PHASE_NAMES[name]}") for name, k in PHASES.items()]
    roused = [
        Line2D([], [], marker="o", linestyle="none", color=CELL_COLOURS[c], label=f"{c} activated") for c in _ROUSED
    ]
    cycling = [
        Line2D([], [], marker="o", linestyle="none", color=shades(CELL_COLOURS[c], 10)[9], label=f"{c} in cycle")
        for c in ("LSEC", "HSC", "KC", "BEC")
    ]
    return [*phases, *roused, *cycling, Patch(color=_NECROSIS, alpha=_DARKEST, label="dead tissue")]


# ------------------------------------------------------------------------------------------------ figures


def one_moment(painter: Painter, time_h: float) -> Figure:
    """Draw a section of a moment twice, by cell type and by state."""
    table = painter.table(time_h)
    frame = painter.scene(table).frame
    with styled():
        figure = Figure(figsize=(12.0, 7.0), dpi=120, facecolor="white")
        for k, way in enumerate(("type", "state")):
            axes = figure.add_axes((0.005 + 0.5 * k, 0.125, 0.49, 0.79))
            cut = panel(axes, painter, table, way, frame)
            legend(figure, key_of_types(painter.cells.types) if k == 0 else key_of_states(), 0.01 + 0.5 * k, 0.055)
        when = moment_label(float(table.attrs["time_h"]))
        figure.text(0.012, 0.985, f"{painter.title}, {when}", va="top", fontsize=14, fontweight="bold")
        figure.text(0.012, 0.94, "cell types", va="top", fontsize=11, color=MUTED)
        figure.text(0.512, 0.94, "what the cells are doing", va="top", fontsize=11, color=MUTED)
        _caption(figure, painter, table, cut)
    return figure


def legend(figure: Figure, handles: list[Any], x: float, y: float, columns: int = 4, size: float = 8.2) -> None:
    figure.legend(
        handles=handles,
        loc="lower left",
        ncol=columns,
        fontsize=size,
        bbox_to_anchor=(x, y),
        handlelength=1.1,
        columnspacing=1.2,
        labelspacing=0.35,
        borderpad=0.0,
    )


def keys(figure: Figure, types: Sequence[str], height: float) -> None:
    """Draw the keys of types and of states at the foot of a series; one above the other where it is narrow.

    Parameters
    ----------
    figure : Figure
    types : sequence of str
    height : float
        Of the figure, inches.
    """
    stacked = float(figure.get_figwidth()) < _BOTH_KEYS_IN
    legend(figure, key_of_types(types), 0.008, (0.95 if stacked else 0.42) / height)
    legend(figure, key_of_states(), 0.008 if stacked else 0.5, 0.42 / height, columns=6 if stacked else 5)


def _caption(figure: Figure, painter: Painter, table: xarray.Dataset, cut: int) -> None:
    n, hep = table.sizes["cell"], int((table["type"].values == "HEP").sum())
    text = (
        f"Lobule engine, {painter.species}, seed {painter.seed}; section of {painter.slab:.0f} µm at mid-height: "
        f"{cut} of {hep} hepatocytes, {n} cells in all. Edge of the lobule "
        f"{float(table.attrs['scale']):.2f} x healthy; {float(table.attrs['lobules']):.0%} of the lobules are there.\n"
        "Hepatocytes: what is nearest to each; other cells: discs (LSECs smaller than their volume). "
        "Right: other cells are shown only when activated or in cycle; veil: share of dead tissue. Model only."
    )
    figure.text(0.012, 0.045, text, va="top", fontsize=7.8, color="#333333", linespacing=1.35)


def series(painter: Painter) -> Figure:
    """Draw sections of several moments at one scale: by cell type above, by state below."""
    times = nearest_times(painter.cells.times_h, _SERIES_H)
    tables = [painter.table(t) for t in times]
    largest = max(tables, key=lambda t: float(t.attrs["scale"]))
    frame = painter.scene(largest).frame
    n = len(times)
    panel_in = 2.9
    width = max(panel_in * n, 11.0)
    foot = 1.5 if width < _BOTH_KEYS_IN else 1.05
    height = 2 * panel_in + foot + 0.7
    with styled():
        figure = Figure(figsize=(width, height), dpi=120, facecolor="white")
        cuts = []
        for row, way in enumerate(("type", "state")):
            bottom = (foot + panel_in * (1 - row)) / height
            for k, table in enumerate(tables):
                axes = figure.add_axes((k / n, bottom, 0.995 / n, panel_in / height * 0.985))
                cuts.append(panel(axes, painter, table, way, frame, bar=k == n - 1))
                if row == 0:
                    _head(axes, table)
        figure.text(0.008, 1.0 - 0.09 / height, f"{painter.title}", va="top", fontsize=13, fontweight="bold")
        keys(figure, painter.cells.types, height)
        hep = ", ".join(str(int((t["type"].values == "HEP").sum())) for t in tables)
        figure.text(
            0.008,
            0.34 / height,
            f"Lobule engine, {painter.species}, seed {painter.seed}; sections of {painter.slab:.0f} µm at mid-height, "
            f"all of one scale; hepatocytes of the lobule: {hep}. Above: cell types. Below: what the cells are doing;\n"
            "other cells are shown there only when activated or in cycle. Veil: share of dead tissue. Model only.",
            va="top",
            fontsize=7.8,
            color="#333333",
            linespacing=1.35,
        )
    return figure


def _head(axes: Axes, table: xarray.Dataset) -> None:
    axes.text(
        0.5,
        1.0,
        f"{moment_label(float(table.attrs['time_h']))}   (edge ×{float(table.attrs['scale']):.2f})",
        transform=axes.transAxes,
        ha="center",
        va="bottom",
        fontsize=10.5,
        fontweight="bold",
        color=INK,
    )


def alone_times(cells: Cells) -> list[float]:
    """Return the times of which there is a picture of its own."""
    return nearest_times(cells.times_h, _ALONE_H)
