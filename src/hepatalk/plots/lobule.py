"""Sections of a lobule: cells, sinusoids and vessels as a microscope would show them, coloured by what is asked for.

A section is a slice of some thickness across the central vein. Hepatocytes are the polygons that they take of the plane
(what is nearest to each), other cells discs of their size, sinusoids strips of their width in the red of blood.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from matplotlib import colormaps
from matplotlib.colors import Normalize, to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from hepatalk.errors import ResultError, unknown
from hepatalk.plots.frame import styled
from hepatalk.plots.scene import (
    BLOOD,
    COLOURS,
    HEPATOCYTE,
    NAMES,
    VEIN,
    Scene,
    blood,
    discs,
    in_slice,
    length_bar,
    outline,
    scene_of,
    shares_of_plane,
    small_cells,
    vessels,
    window,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from hepatalk.engines.lobule.geometry import Geometry

__all__ = ["section"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

#: What a section can be coloured by, besides values.
WAYS = ("type", "zone", "depth", "flow")
_ZONES = ("#F8D9A8", "#F0B27A", "#D98452")
_SIZE_IN, _DOTS = 9.2, 160


def section(
    geometry: Geometry,
    *,
    colour_by: str | npt.ArrayLike = "type",
    z: float | None = None,
    thickness: float | None = None,
    label: str = "",
    limits: tuple[float, float] | None = None,
    title: str = "",
) -> Figure:
    """Draw a section across the central veins.

    Parameters
    ----------
    geometry : Geometry
        As built by `hepatalk.engines.lobule.geometry.build`.
    colour_by : {'type', 'zone', 'depth', 'flow'} or array
        An array has a value for each site, or for each cell.
    z : float, optional
        Height of the middle of the slice, um; half the height of the slab when omitted.
    thickness : float, optional
        um; the diameter of a hepatocyte when omitted.
    label : str
        What the values of an array are, for the scale.
    limits : (float, float), optional
        Ends of the scale; those of the values when omitted.
    title : str

    Returns
    -------
    Figure

    Raises
    ------
    UnknownNameError
        For a way to colour that does not exist.
    ResultError
        For values of another number than sites or cells, a height outside the slab, or no thickness.
    """
    middle, slab = _slice(geometry, z, thickness)
    values = _values(geometry, colour_by)
    with styled():
        figure = Figure(figsize=(_SIZE_IN, _SIZE_IN), dpi=_DOTS, facecolor="white")
        axes = figure.add_axes((0.01, 0.05, 0.98, 0.90))
        scene = scene_of(geometry)
        per_um = window(axes, scene.frame, 1.2 * scene.size["portal_tract_radius"])
        _tissue(axes, geometry, scene, middle, slab, colour_by, values, limits)
        vessels(axes, scene)
        q = np.abs(geometry.flow.flow)
        by_flow = isinstance(colour_by, str) and colour_by == "flow"
        blood(axes, scene, middle, slab, per_um, colormaps["inferno_r"](_flow_scale(q)(q)) if by_flow else None)
        by_type = isinstance(colour_by, str) and colour_by == "type"
        small_cells(axes, scene, middle, slab, cells=("LSEC", "HSC", "KC", "BEC", "BIP") if by_type else ("BEC",))
        outline(axes, scene.frame)
        axes.set_title(title or f"Section at {middle:.0f} µm, {slab:.0f} µm thick", pad=4)
        _key(figure, axes, geometry, colour_by, values, limits, label)
    return figure


def _slice(geometry: Geometry, z: float | None, thickness: float | None) -> tuple[float, float]:
    """Return the middle and the thickness of a slice, um."""
    height = geometry.anatomy.height
    middle = 0.5 * height if z is None else z
    if not 0.0 <= middle <= height:
        raise ResultError(f"section at z = {middle:g} um; allowed: 0 to {height:.4g}, the height of the slab")
    slab = geometry.anatomy.hepatocyte_diameter if thickness is None else thickness
    if not slab > 0.0:
        raise ResultError(f"section of thickness {slab:g} um; allowed: above 0")
    return middle, slab


def _values(geometry: Geometry, colour_by: str | npt.ArrayLike) -> Floats | None:
    """Return a value for each cell; None where colours are no values."""
    cells, sites = geometry.cells, geometry.sites
    if isinstance(colour_by, str):
        if colour_by not in WAYS:
            raise unknown("way to colour a section", colour_by, WAYS, "the parameter colour_by of section")
        return sites.depth[cells.site] if colour_by == "depth" else None
    given = np.asarray(colour_by, dtype=float)
    if given.shape == sites.depth.shape:
        return np.asarray(given[cells.site])
    if given.shape == cells.site.shape:
        return given
    raise ResultError(
        f"{given.size} values to colour by; allowed: {len(sites.depth)}, one for each site, "
        f"or {len(cells.site)}, one for each cell"
    )


# ------------------------------------------------------------------------------------------------ tissue


def _tissue(
    axes: Axes,
    geometry: Geometry,
    g: Scene,
    z: float,
    slab: float,
    colour_by: str | npt.ArrayLike,
    values: Floats | None,
    limits: tuple[float, float] | None,
) -> None:
    """Draw the share of the plane of each hepatocyte in the slice."""
    here = in_slice(g, "HEP", z, slab)
    if values is not None:
        face: Any = colormaps["viridis"](_scale(values[here], limits)(values[here]))
    elif isinstance(colour_by, str) and colour_by == "zone":
        face = [_ZONES[k - 1] for k in geometry.sites.zone[g.site[here]]]
    elif isinstance(colour_by, str) and colour_by == "flow":
        face = ["#F6F1EA"] * len(here)
    else:
        # Neighbours differ a little, as cells do; the order of the cells gives the tint.
        face = [HEPATOCYTE[1 + k % 3] for k in here]
    shares_of_plane(axes, g, here, face)
    if isinstance(colour_by, str) and colour_by == "type":
        discs(axes, g.position[here, :2], 0.34 * g.diameter[here], to_rgba(HEPATOCYTE[8], 0.55), zorder=1.5)


def _scale(values: Floats, limits: tuple[float, float] | None) -> Normalize:
    finite = values[np.isfinite(values)]
    low, high = limits or ((float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0))
    return Normalize(low, high if high > low else low + 1.0, clip=True)


def _flow_scale(q: Floats) -> Normalize:
    return Normalize(0.0, float(np.quantile(q, 0.98)), clip=True)


# ------------------------------------------------------------------------------------------------ key


def _key(
    figure: Figure,
    axes: Axes,
    g: Geometry,
    colour_by: str | npt.ArrayLike,
    values: Floats | None,
    limits: tuple[float, float] | None,
    label: str,
) -> None:
    """Add the bar of length, the names of the colours, or the scale."""
    length_bar(axes)
    blue_red = [Patch(color=VEIN, label="veins, portal venules"), Patch(color=BLOOD, label="sinusoids, artery")]
    if isinstance(colour_by, str) and colour_by in {"type", "zone"}:
        if colour_by == "zone":
            names = ("zone 1, periportal", "zone 2", "zone 3, pericentral")
            own = [Patch(color=c, label=t) for c, t in zip(_ZONES, names, strict=True)]
        else:
            own = [
                Patch(color=HEPATOCYTE[3] if c == "HEP" else COLOURS[c], label=NAMES[c])
                for c in g.types
                if (g.cells.type == g.types.index(c)).any()
            ]
        figure.legend(
            handles=[*own, *blue_red],
            loc="lower left",
            ncol=4,
            fontsize=8.2,
            bbox_to_anchor=(0.01, 0.0),
            handlelength=1.2,
        )
        return
    q = np.abs(g.flow.flow)
    seconds = 3600.0
    norm = _flow_scale(q / seconds) if values is None else _scale(values, limits)
    text = "blood, µm³/s" if values is None else (label or "share of the way of the blood, 0 portal to 1 central")
    below = figure.add_axes((0.05, 0.045, 0.38, 0.014))
    from matplotlib.cm import ScalarMappable

    bar_of = figure.colorbar(
        ScalarMappable(norm, colormaps["inferno_r" if values is None else "viridis"]),
        cax=below,
        orientation="horizontal",
    )
    bar_of.outline.set_visible(False)
    below.set_xlabel(text, fontsize=8.5)
