"""Sections of a lobule: cells, sinusoids and vessels as a microscope would show them, coloured by what is asked for.

A section is a slice of some thickness across the central vein. Hepatocytes are the polygons that they take of the plane
(what is nearest to each), other cells discs of their size, sinusoids strips of their width in the red of blood.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from matplotlib import colormaps
from matplotlib.collections import EllipseCollection, LineCollection, PolyCollection
from matplotlib.colors import Normalize, to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Patch, Polygon
from scipy.spatial import Voronoi

from hepatalk.engines.lobule.network import VENULE
from hepatalk.errors import ResultError, unknown
from hepatalk.plots.frame import styled
from hepatalk.plots.palette import CELL_COLOURS, CELL_NAMES, INK, MUTED, shades

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from hepatalk.engines.lobule.geometry import Geometry

__all__ = ["section"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

#: What a section can be coloured by, besides values.
WAYS = ("type", "zone", "depth", "flow")
_BIP = "#56B4E9"
_COLOURS = CELL_COLOURS | {"BIP": _BIP}
_NAMES = CELL_NAMES | {"BIP": "bipotential cells"}
_BLOOD, _VEIN, _VENULE, _TRACT, _DUCT = "#C8102E", "#4D6FA8", "#7C93C2", "#EFE7DA", "#FFFFFF"
_HEPATOCYTE = shades(CELL_COLOURS["HEP"], 10)
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
        For values of another number than sites or cells, or a height outside the slab.
    """
    height = geometry.anatomy.height
    middle = 0.5 * height if z is None else z
    if not 0.0 <= middle <= height:
        raise ResultError(f"section at z = {middle:g} um; allowed: 0 to {height:.4g}, the height of the slab")
    slab = geometry.anatomy.hepatocyte_diameter if thickness is None else thickness
    values = _values(geometry, colour_by)
    with styled():
        figure = Figure(figsize=(_SIZE_IN, _SIZE_IN), dpi=_DOTS, facecolor="white")
        axes = figure.add_axes((0.01, 0.05, 0.98, 0.90))
        _tissue(axes, geometry, middle, slab, colour_by, values, limits)
        _vessels(axes, geometry)
        _blood(axes, geometry, middle, slab, by_flow=isinstance(colour_by, str) and colour_by == "flow")
        _small_cells(axes, geometry, middle, slab, plain=not (isinstance(colour_by, str) and colour_by == "type"))
        _surroundings(axes, geometry)
        axes.set_title(title or f"Section at {middle:.0f} µm, {slab:.0f} µm thick", pad=4)
        _key(figure, axes, geometry, colour_by, values, limits, label)
    return figure


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
    g: Geometry,
    z: float,
    slab: float,
    colour_by: str | npt.ArrayLike,
    values: Floats | None,
    limits: tuple[float, float] | None,
) -> None:
    """Draw the share of the plane of each hepatocyte in the slice."""
    cells = g.cells
    here = np.flatnonzero((cells.type == g.types.index("HEP")) & (np.abs(cells.position[:, 2] - z) <= 0.5 * slab))
    points = cells.position[here, :2]
    polygons = _shares(g, points)
    if values is not None:
        face: Any = colormaps["viridis"](_scale(values[here], limits)(values[here]))
    elif isinstance(colour_by, str) and colour_by == "zone":
        face = [_ZONES[k - 1] for k in g.sites.zone[cells.site[here]]]
    elif isinstance(colour_by, str) and colour_by == "flow":
        face = ["#F6F1EA"] * len(here)
    else:
        # Neighbours differ a little, as cells do; the order of the cells gives the tint.
        face = [_HEPATOCYTE[1 + k % 3] for k in here]
    axes.add_collection(PolyCollection(polygons, facecolors=face, edgecolors="white", linewidths=0.7, zorder=1))
    if isinstance(colour_by, str) and colour_by == "type":
        nucleus = 0.34 * cells.diameter[here]
        _discs(axes, points, nucleus, to_rgba(_HEPATOCYTE[8], 0.55), zorder=1.5)


def _shares(g: Geometry, points: Floats) -> list[Floats]:
    """Return the Voronoi polygon of each point; mirror images across the faces bound the outer ones."""
    f = g.frame
    apothem = f.radius * np.sqrt(0.75)
    own = f.lobule_of(points)
    mirrored = []
    for k, centre in enumerate(f.centre):
        local = points[own == k] - centre
        for inward in f.inward:
            distance = apothem + local @ inward
            near = distance < 0.3 * apothem
            mirrored.append(centre + local[near] - 2.0 * distance[near, None] * inward)
    outside = np.concatenate(mirrored)
    inner = np.flatnonzero(f.to_face(outside) < 0.0)
    far = 10.0 * float(np.abs(f.corner).max()) * np.array([[1, 0], [-1, 0], [0, 1], [0, -1]])
    diagram = Voronoi(np.concatenate([points, outside[inner], far]))
    polygons = []
    for k in range(len(points)):
        corners = diagram.regions[diagram.point_region[k]]
        shape = diagram.vertices[corners]
        middle = points[k]
        reach = np.linalg.norm(shape - middle, axis=1)
        # A cell at a hole (vessel) would fill it: none reaches farther than its own size.
        most = 1.5 * g.anatomy.hepatocyte_diameter
        polygons.append(middle + (shape - middle) * np.minimum(1.0, most / np.maximum(reach, 1e-9))[:, None])
    return polygons


def _scale(values: Floats, limits: tuple[float, float] | None) -> Normalize:
    finite = values[np.isfinite(values)]
    low, high = limits or ((float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0))
    return Normalize(low, high if high > low else low + 1.0, clip=True)


def _discs(axes: Axes, points: Floats, diameter: Floats, colour: Any, *, zorder: float, edge: str = "none") -> None:
    axes.add_collection(
        EllipseCollection(
            diameter,
            diameter,
            np.zeros(len(points)),
            units="xy",
            offsets=points,
            offset_transform=axes.transData,
            facecolors=[colour],
            edgecolors=edge,
            linewidths=0.5,
            zorder=zorder,
        )
    )


# ------------------------------------------------------------------------------------------------ vessels and blood


def _vessels(axes: Axes, g: Geometry) -> None:
    a, f = g.anatomy, g.frame
    for x, y in f.centre:
        axes.add_patch(Circle((x, y), a.central_vein_radius, facecolor=_VEIN, edgecolor=INK, linewidth=1.0, zorder=4))
    for x, y in f.corner:
        axes.add_patch(
            Circle((x, y), a.portal_tract_radius, facecolor=_TRACT, edgecolor="#B9A88F", linewidth=0.8, zorder=4)
        )
        axes.add_patch(Circle((x, y), a.portal_vein_radius, facecolor=_VEIN, edgecolor=INK, linewidth=0.9, zorder=5))
    for (x, y), angle in zip(g.ducts.position, g.ducts.outwards, strict=True):
        beside = 0.5 * (a.portal_vein_radius + a.portal_tract_radius)
        # The artery lies beside the duct, a third of the way to the next lobule.
        turn = np.radians(38.0)
        corner = np.array([x, y]) - beside * np.array([np.cos(angle), np.sin(angle)])
        at = corner + beside * np.array([np.cos(angle + turn), np.sin(angle + turn)])
        size = 0.22 * (a.portal_tract_radius - a.portal_vein_radius) + 1.0
        axes.add_patch(Circle((at[0], at[1]), size, facecolor=_BLOOD, edgecolor="#7A0A1C", linewidth=1.2, zorder=5))
        axes.add_patch(Circle((x, y), g.ducts.radius, facecolor=_DUCT, edgecolor="none", zorder=5))


def _blood(axes: Axes, g: Geometry, z: float, slab: float, *, by_flow: bool) -> None:
    """Draw the parts of the sinusoids that lie in the slice, as wide as they are."""
    network = g.network
    one, other = network.nodes[network.edges[:, 0]], network.nodes[network.edges[:, 1]]
    low, high = np.minimum(one[:, 2], other[:, 2]), np.maximum(one[:, 2], other[:, 2])
    here = np.flatnonzero((high >= z - 0.5 * slab) & (low <= z + 0.5 * slab))
    one, other = one[here], other[here]
    rise = other[:, 2] - one[:, 2]
    level = np.abs(rise) < 1e-9
    safe = np.where(level, 1.0, rise)
    ends = np.sort(np.column_stack([(z - 0.5 * slab - one[:, 2]) / safe, (z + 0.5 * slab - one[:, 2]) / safe]), axis=1)
    start = np.where(level, 0.0, np.clip(ends[:, 0], 0.0, 1.0))[:, None]
    stop = np.where(level, 1.0, np.clip(ends[:, 1], 0.0, 1.0))[:, None]
    strips = np.stack([(one + start * (other - one))[:, :2], (one + stop * (other - one))[:, :2]], axis=1)
    colours: Any = [_VENULE if kind == VENULE else "#D33A50" for kind in network.kind[here]]
    if by_flow:
        q = np.abs(g.flow.flow)
        colours = colormaps["inferno_r"](_flow_scale(q)(q[here]))
    points = _points_per_um(axes, g)
    widths = 2.0 * network.radius[here] * points
    for colour, more, order in ((["#FFFFFF"], 1.6, 2.0), (colours, 0.0, 2.2)):
        axes.add_collection(
            LineCollection(list(strips), colors=colour, linewidths=widths + more, capstyle="round", zorder=order)
        )


def _flow_scale(q: Floats) -> Normalize:
    return Normalize(0.0, float(np.quantile(q, 0.98)), clip=True)


def _points_per_um(axes: Axes, g: Geometry) -> float:
    """Return how many points of print a um takes, and set the axes so that it stays that many."""
    f = g.frame
    reach = f.corner.max(axis=0) - f.corner.min(axis=0) + 2.4 * g.anatomy.portal_tract_radius
    middle = 0.5 * (f.corner.max(axis=0) + f.corner.min(axis=0))
    box = axes.get_position()
    width, height = box.width * _SIZE_IN, box.height * _SIZE_IN
    per_inch = float(max(reach[0] / width, reach[1] / height))
    axes.set_xlim(middle[0] - 0.5 * per_inch * width, middle[0] + 0.5 * per_inch * width)
    axes.set_ylim(middle[1] - 0.5 * per_inch * height, middle[1] + 0.5 * per_inch * height)
    return 72.0 / per_inch


def _small_cells(axes: Axes, g: Geometry, z: float, slab: float, *, plain: bool) -> None:
    cells = g.cells
    for cell in ("LSEC", "HSC", "KC", "BEC", "BIP"):
        own = (cells.type == g.types.index(cell)) & (np.abs(cells.position[:, 2] - z) <= 0.5 * slab)
        if plain and cell != "BEC":
            continue
        # Endothelium is flat: its disc would hide the sinusoid.
        size = cells.diameter[own] * {"LSEC": 0.5, "HSC": 0.8, "BEC": 0.9}.get(cell, 1.0)
        _discs(axes, cells.position[own, :2], size, _COLOURS[cell], zorder=6 if cell == "BEC" else 3, edge="white")


def _surroundings(axes: Axes, g: Geometry) -> None:
    f = g.frame
    for own in f.corners:
        axes.add_patch(
            Polygon(
                f.corner[own],
                closed=True,
                fill=False,
                edgecolor=MUTED,
                linewidth=1.0,
                linestyle=(0, (5, 4)),
                zorder=3.5,
            )
        )
    axes.set_aspect("equal")
    axes.set_axis_off()


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
    low, high = axes.get_xlim()
    bottom, top = axes.get_ylim()
    bar = next(length for length in (500.0, 200.0, 100.0, 50.0, 20.0, 10.0) if length <= 0.25 * (high - low))
    x, y = high - 0.03 * (high - low), bottom + 0.012 * (top - bottom)
    axes.plot([x - bar, x], [y, y], color=INK, linewidth=3.0, solid_capstyle="butt", zorder=9)
    axes.text(
        x - 0.5 * bar, y + 0.008 * (top - bottom), f"{bar:.0f} µm", ha="center", va="bottom", fontsize=9, zorder=9
    )
    vessels = [Patch(color=_VEIN, label="veins, portal venules"), Patch(color=_BLOOD, label="sinusoids, artery")]
    if isinstance(colour_by, str) and colour_by in {"type", "zone"}:
        if colour_by == "zone":
            names = ("zone 1, periportal", "zone 2", "zone 3, pericentral")
            own = [Patch(color=c, label=t) for c, t in zip(_ZONES, names, strict=True)]
        else:
            own = [
                Patch(color=_HEPATOCYTE[3] if c == "HEP" else _COLOURS[c], label=_NAMES[c])
                for c in g.types
                if (g.cells.type == g.types.index(c)).any()
            ]
        figure.legend(
            handles=[*own, *vessels],
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
