"""What a report shows of a lobule in space: pictures, a view in three dimensions, and what it cannot express."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hepatalk.plots.palette import MUTED
from hepatalk.plots.scene import COLOURS, NAMES, VEIN
from hepatalk.plots.series import moment_label, nearest_times

if TYPE_CHECKING:
    import xarray

    from hepatalk.results.cells import Cells

__all__ = ["CHART", "in_space", "three_d"]

#: Name of the chart in three dimensions.
CHART = "lobule"
#: What the page has room for: moments (and the last one), dots of all moments; pixels and bytes of a picture.
_MOMENTS_H, _MOST_POINTS = (0.0, 24.0, 48.0, 72.0), 12_000
_WIDTHS, _MOST_BYTES = (1400, 1250, 1100, 950, 800), 280_000
#: Diameter of a dot, in pixels, in health.
_DOT = {"HEP": 9.0, "KC": 6.0, "HSC": 4.5, "LSEC": 3.0, "BEC": 4.5, "BIP": 4.5}
_PICTURES = {
    "sections.png": ("Sections over time", "Sections of the lobule at several times, by cell type and by state"),
    "zones.png": ("Time and depth", "Heat maps of S phase, cell volume and signals over time and depth"),
    "tissue.png": ("The tissue as a section shows it", "Curves of dead tissue, hepatocytes per area and matrix"),
    "clones.png": ("Clones", "Sizes of hepatocyte clones by zone"),
}
_CANNOT = (
    "two lobes (ALPPS, ligation or embolisation of a branch of the portal vein); cells in a dish; start states set by "
    "hand, and losses from germline. The population engine runs these."
)
_LIMITS = (
    "vessels sprout in straight lines and not towards a signal; cells of one type at one site (about 50 µm) share "
    "the activity of their nodes, and so see the mean of what touches them (Notch and Jagged, Fn14 and TWEAK); "
    "blood carries oxygen and bile acids, and other signals of the body reach every site alike; cells are spheres, "
    "flat ones reach farther; only Kupffer and stellate cells crawl, along sinusoids, and bipotential cells walk. "
    "One lobule is one draw: its numbers scatter about the mean of many."
)


def in_space(cells: Cells, pictures: Mapping[str, bytes]) -> str:
    """Return the section of the page, as HTML.

    Parameters
    ----------
    cells : Cells
    pictures : mapping of str to bytes
        PNG by file name, from `hepatalk.plots.in_space.lobule_figures`.
    """
    hepatocytes = int(cells.attributes.get("hepatocytes", 0))
    parts = [
        f"<p>This run followed single cells in a lobule built for {hepatocytes} hepatocytes. The curves above are its "
        f"sums, scaled to the liver. Cells and fields at {len(cells.times_h)} times lie in <code>cells.zarr</code>.</p>"
    ]
    for name, (title, words) in _PICTURES.items():
        if name in pictures:
            source = base64.standard_b64encode(_lighter(pictures[name])).decode()
            parts.append(
                f"<h3>{escape(title)}</h3><figure><img class='picture' alt='{escape(words)}' "
                f"src='data:image/png;base64,{source}'></figure>"
            )
    parts.append(
        f"<h3>In three dimensions</h3><figure><div id='chart-{CHART}' role='img' aria-label='Cells in space'></div>"
        f"<figcaption>{escape(_caption(cells))}</figcaption></figure>"
        f"<p><b>What the lobule engine cannot express:</b> {escape(_CANNOT)}</p>"
        f"<p><b>Its limits:</b> {escape(_LIMITS)}</p>"
    )
    return "".join(parts)


def _lighter(picture: bytes) -> bytes:
    """Return a PNG in 256 colours, and smaller the more it shows: a page has room for so many bytes of each."""
    from PIL import Image

    with Image.open(io.BytesIO(picture)) as opened:
        plain = opened.convert("RGB")
    for width in _WIDTHS:
        plain.thumbnail((width, 2 * width))
        buffer = io.BytesIO()
        # Rare colours, such as those of rare cells, keep a place.
        few = plain.quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
        few.save(buffer, format="PNG", optimize=True)
        if buffer.tell() <= _MOST_BYTES:
            break
    return buffer.getvalue()


def _every(tables: list[xarray.Dataset]) -> int:
    """Return which cells are drawn: every so many of each type."""
    return max(1, -(-sum(t.sizes["cell"] for t in tables) // _MOST_POINTS))


def _shown(cells: Cells) -> list[xarray.Dataset]:
    return [cells.at(t) for t in nearest_times(cells.times_h, _MOMENTS_H)]


def _caption(cells: Cells) -> str:
    every = _every(_shown(cells))
    which = "Every cell" if every == 1 else f"One cell in {every}"
    return (
        f"{which} of the lobule, in µm; the slider goes through the kept times. A click on a name hides a cell type. "
        f"Seed {cells.attributes['seed']}. Model only."
    )


def three_d(cells: Cells) -> dict[str, Any]:
    """Return the chart in three dimensions: a trace for each cell type and time, and a slider."""
    tables = _shown(cells)
    every, types = _every(tables), cells.types
    reach = max(float(np.abs(t["spatial"].values[:, :2]).max(initial=1.0)) for t in tables)
    heights = np.concatenate([t["spatial"].values[:, 2] for t in tables])
    data, steps = [], []
    for k, table in enumerate(tables):
        kind, at = table["type"].values, np.round(table["spatial"].values).astype(int)
        for cell in types:
            own = np.flatnonzero(kind == cell)[::every]
            data.append(_dots(cell, at[own], k == 0))
        data.append(_lines(cells, float(table.attrs["scale"]), k == 0))
        seen = [j == k for j in range(len(tables)) for _ in range(len(types) + 1)]
        label = moment_label(float(table.attrs["time_h"]))
        steps.append({"label": label, "method": "restyle", "args": [{"visible": seen}]})
    axis = {"title": {"text": ""}, "showbackground": False, "gridcolor": "#E6E6E6", "zeroline": False, "color": MUTED}
    low, high = float(heights.min(initial=0.0)), float(heights.max(initial=1.0))
    layout = {
        "height": 640,
        "margin": {"l": 20, "r": 20, "t": 10, "b": 30},
        "paper_bgcolor": "white",
        "font": {"family": "system-ui, sans-serif", "size": 13},
        "legend": {"itemsizing": "constant", "x": 0.0, "y": 1.0},
        "scene": {
            "xaxis": {**axis, "range": [-reach, reach], "title": {"text": "µm"}},
            "yaxis": {**axis, "range": [-reach, reach]},
            "zaxis": {**axis, "range": [low, high]},
            "aspectmode": "data",
            "camera": {"eye": {"x": 0.0, "y": -1.25, "z": 1.25}},
        },
        "sliders": [{"steps": steps, "active": 0, "currentvalue": {"prefix": "time: "}, "pad": {"t": 20, "b": 30}}],
    }
    return {"data": data, "layout": layout}


def _lines(cells: Cells, scale: float, seen: bool) -> dict[str, Any]:
    """Return the edges of the lobules and their central veins; gaps between lines are None."""
    a = cells.anatomy()
    middle, half = 0.5 * float(a["height"][0]), 0.5 * float(a["height"][0]) * scale
    low, high = round(middle - half), round(middle + half)
    x: list[int | None] = []
    y: list[int | None] = []
    z: list[int | None] = []
    for centre, own in zip(a["centre"], a["corners"], strict=True):
        ring = np.round(centre + (a["corner"][[*own, own[0]]] - centre) * scale).astype(int)
        posts = [np.array([[p[0], p[1], low], [p[0], p[1], high]]) for p in (*ring[:6], np.round(centre).astype(int))]
        rings = [np.column_stack([ring, np.full(7, level)]) for level in (low, high)]
        for line in (*rings, *posts):
            for axis, values in zip((x, y, z), line.T, strict=True):
                axis.extend([*(int(v) for v in values), None])
    return {
        "type": "scatter3d",
        "mode": "lines",
        "name": "edges, central vein",
        "visible": seen,
        "x": x,
        "y": y,
        "z": z,
        "line": {"color": VEIN, "width": 3},
        "hoverinfo": "skip",
    }


def _dots(cell: str, at: npt.NDArray[Any], seen: bool) -> dict[str, Any]:
    return {
        "type": "scatter3d",
        "mode": "markers",
        "name": NAMES[cell],
        "legendgroup": cell,
        "visible": seen,
        "x": at[:, 0].tolist(),
        "y": at[:, 1].tolist(),
        "z": at[:, 2].tolist(),
        "marker": {
            "size": _DOT[cell],
            "color": COLOURS[cell],
            "opacity": 0.45 if cell == "HEP" else 1.0,
            "line": {"width": 0},
        },
        "hovertemplate": f"{NAMES[cell]}<extra></extra>",
    }
