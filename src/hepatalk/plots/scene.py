"""What a section of lobules shows, and the parts it is drawn of; sections of any moment are drawn from these."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from matplotlib.collections import EllipseCollection, LineCollection, PolyCollection
from matplotlib.patches import Circle, Polygon
from scipy.spatial import Voronoi

from hepatalk.engines.lobule.hexagons import Frame
from hepatalk.engines.lobule.network import VENULE
from hepatalk.plots.palette import CELL_COLOURS, CELL_NAMES, INK, MUTED, shades

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from hepatalk.engines.lobule.geometry import Geometry

__all__ = [
    "BLOOD", "COLOURS", "HEPATOCYTE", "NAMES", "VEIN", "Scene", "blood", "discs", "ground", "in_slice", "length_bar",
    "outline", "polygons", "scene_of", "scene_of_moment", "shares_of_plane", "small_cells", "vessels", "window",
]  # fmt: skip

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_BIP = "#56B4E9"
COLOURS = CELL_COLOURS | {"BIP": _BIP}
NAMES = CELL_NAMES | {"BIP": "bipotential cells"}
BLOOD, VEIN, _TRACT, _DUCT, _SINUSOID = "#C8102E", "#4D6FA8", "#EFE7DA", "#FFFFFF", "#D33A50"
_VENULE, _GROUND = "#7C93C2", "#F5F1EC"
HEPATOCYTE = shades(CELL_COLOURS["HEP"], 10)
#: Endothelium is flat: a disc of its volume would hide the sinusoid.
_SHOWN = {"LSEC": 0.5, "HSC": 0.8, "BEC": 0.9}


@dataclass(frozen=True)
class Scene:
    """Lobules at a moment.

    Attributes
    ----------
    frame : Frame
    types : tuple of str
    type_ : (n,) int array
    position : (n, 3) float array
        um.
    diameter : (n,) float array
        um.
    site : (n,) int array
    nodes : (m, 3) float array
    edges : (e, 2) int array
    radius : (e,) float array
    kind : (e,) int array
    duct : (d, 2) float array
    duct_outwards : (d,) float array
    size : mapping of str to float
        ``central_vein_radius``, ``portal_tract_radius``, ``portal_vein_radius``, ``duct_radius``, ``height``,
        ``hepatocyte_diameter``, um.
    """

    frame: Frame
    types: tuple[str, ...]
    type_: Ints
    position: Floats
    diameter: Floats
    site: Ints
    nodes: Floats
    edges: Ints
    radius: Floats
    kind: Ints
    duct: Floats
    duct_outwards: Floats
    size: Mapping[str, float]

    def of(self, cell: str) -> npt.NDArray[np.bool_]:
        """Return which cells are of a type."""
        return self.type_ == self.types.index(cell) if cell in self.types else np.zeros(len(self.type_), dtype=bool)


def scene_of(g: Geometry) -> Scene:
    """Return the scene of healthy lobules."""
    a = g.anatomy
    return Scene(
        frame=g.frame,
        types=g.types,
        type_=g.cells.type,
        position=g.cells.position,
        diameter=g.cells.diameter,
        site=g.cells.site,
        nodes=g.network.nodes,
        edges=g.network.edges,
        radius=g.network.radius,
        kind=g.network.kind,
        duct=g.ducts.position,
        duct_outwards=g.ducts.outwards,
        size={
            "central_vein_radius": a.central_vein_radius,
            "portal_tract_radius": a.portal_tract_radius,
            "portal_vein_radius": a.portal_vein_radius,
            "duct_radius": g.ducts.radius,
            "height": a.height,
            "hepatocyte_diameter": a.hepatocyte_diameter,
        },
    )


def scene_of_moment(
    anatomy: Mapping[str, npt.NDArray[Any]],
    types: Sequence[str],
    scale: float,
    cells: Mapping[str, npt.NDArray[Any]],
) -> Scene:
    """Return the scene of a kept moment: everything enlarged as the lobules are, side by side as in health.

    Parameters
    ----------
    anatomy : mapping of str to array
        From `hepatalk.results.cells.Cells.anatomy`.
    types : sequence of str
    scale : float
        Edge of a lobule relative to health.
    cells : mapping of str to array
        ``type`` (texts), ``position``, ``volume``, ``site`` of the cells.
    """
    one = {name: float(values[0]) for name, values in anatomy.items() if values.shape == (1,)}
    sizes = ("central_vein_radius", "portal_tract_radius", "portal_vein_radius", "duct_radius", "height")
    frame = Frame(
        radius=one["lobule_radius"] * scale,
        height=one["height"] * scale,
        centre=anatomy["centre"] * scale,
        corner=anatomy["corner"] * scale,
        corners=anatomy["corners"],
        face=anatomy["face"],
        inward=anatomy["inward"],
    )
    middle = np.array([0.0, 0.0, 0.5 * one["height"]])
    number = np.array([list(types).index(t) for t in cells["type"]], dtype=np.int64)
    # Every lobule is enlarged about its own middle; here they are moved apart by as much.
    lobule = anatomy["site_lobule"][cells["site"]]
    apart = np.column_stack([(scale - 1.0) * anatomy["centre"][lobule], np.zeros(len(lobule))])
    return Scene(
        frame=frame,
        types=tuple(types),
        type_=number,
        position=cells["position"] + apart,
        diameter=anatomy["cell_diameter"][number] * np.cbrt(cells["volume"]),
        site=cells["site"],
        nodes=middle + (anatomy["node"] - middle) * scale,
        edges=anatomy["edge"],
        radius=anatomy["edge_radius"],
        kind=anatomy["edge_kind"],
        duct=anatomy["duct"] * scale,
        duct_outwards=anatomy["duct_outwards"],
        size={**{n: one[n] * scale for n in sizes}, "hepatocyte_diameter": one["hepatocyte_diameter"]},
    )


# ------------------------------------------------------------------------------------------------ cells


def polygons(g: Scene, points: Floats) -> list[Floats]:
    """Return the Voronoi polygon of each point (n, 2); mirror images across the faces bound the outer ones."""
    if len(points) == 0:
        return []
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
    shares = []
    for k in range(len(points)):
        corners = diagram.regions[diagram.point_region[k]]
        shape = diagram.vertices[corners]
        middle = points[k]
        reach = np.linalg.norm(shape - middle, axis=1)
        # A cell at a hole (vessel) would fill it: none reaches farther than its own size.
        most = 1.5 * g.size["hepatocyte_diameter"]
        shares.append(middle + (shape - middle) * np.minimum(1.0, most / np.maximum(reach, 1e-9))[:, None])
    return shares


def shares_of_plane(axes: Axes, g: Scene, here: Ints, face: Any) -> None:
    """Draw the share of the plane of each of some hepatocytes, in its colour."""
    drawn = polygons(g, g.position[here, :2])
    axes.add_collection(PolyCollection(drawn, facecolors=face, edgecolors="white", linewidths=0.7, zorder=1))


def in_slice(g: Scene, cell: str, z: float, slab: float) -> Ints:
    """Return the cells of a type whose middle lies in a slice."""
    return np.flatnonzero(g.of(cell) & (np.abs(g.position[:, 2] - z) <= 0.5 * slab))


def discs(axes: Axes, points: Floats, diameter: Floats, colour: Any, *, zorder: float, edge: str = "none") -> None:
    """Draw discs (n, 2), all of one colour or each of its own (a list of n)."""
    axes.add_collection(
        EllipseCollection(
            diameter,
            diameter,
            np.zeros(len(points)),
            units="xy",
            offsets=points,
            offset_transform=axes.transData,
            facecolors=colour if isinstance(colour, list) else [colour],
            edgecolors=edge,
            linewidths=0.5,
            zorder=zorder,
        )
    )


def small_cells(axes: Axes, g: Scene, z: float, slab: float, *, cells: Sequence[str]) -> None:
    """Draw the cells of some types in the slice, in the colour of the type."""
    for cell in cells:
        own = in_slice(g, cell, z, slab)
        size = g.diameter[own] * _SHOWN.get(cell, 1.0)
        discs(axes, g.position[own, :2], size, COLOURS[cell], zorder=6 if cell == "BEC" else 3, edge="white")


# ------------------------------------------------------------------------------------------------ vessels and blood


def vessels(axes: Axes, g: Scene) -> None:
    """Draw central veins, and portal tracts with vein, artery and duct."""
    a, f = g.size, g.frame
    tract, vein = a["portal_tract_radius"], a["portal_vein_radius"]
    for x, y in f.centre:
        axes.add_patch(Circle((x, y), a["central_vein_radius"], facecolor=VEIN, edgecolor=INK, linewidth=1.0, zorder=4))
    for x, y in f.corner:
        axes.add_patch(Circle((x, y), tract, facecolor=_TRACT, edgecolor="#B9A88F", linewidth=0.8, zorder=4))
        axes.add_patch(Circle((x, y), vein, facecolor=VEIN, edgecolor=INK, linewidth=0.9, zorder=5))
    for (x, y), angle in zip(g.duct, g.duct_outwards, strict=True):
        beside = 0.5 * (vein + tract)
        # The artery lies beside the duct, a third of the way to the next lobule.
        turn = np.radians(38.0)
        corner = np.array([x, y]) - beside * np.array([np.cos(angle), np.sin(angle)])
        at = corner + beside * np.array([np.cos(angle + turn), np.sin(angle + turn)])
        size = 0.22 * (tract - vein) + 1.0
        axes.add_patch(Circle((at[0], at[1]), size, facecolor=BLOOD, edgecolor="#7A0A1C", linewidth=1.2, zorder=5))
        axes.add_patch(Circle((x, y), a["duct_radius"], facecolor=_DUCT, edgecolor="none", zorder=5))


def in_plane(g: Scene, z: float, slab: float) -> tuple[Ints, Floats]:
    """Return the segments that a slice holds a part of, and the ends of these parts, (n, 2, 2)."""
    one, other = g.nodes[g.edges[:, 0]], g.nodes[g.edges[:, 1]]
    low, high = np.minimum(one[:, 2], other[:, 2]), np.maximum(one[:, 2], other[:, 2])
    here = np.flatnonzero((high >= z - 0.5 * slab) & (low <= z + 0.5 * slab))
    one, other = one[here], other[here]
    rise = other[:, 2] - one[:, 2]
    level = np.abs(rise) < 1e-9
    safe = np.where(level, 1.0, rise)
    ends = np.sort(np.column_stack([(z - 0.5 * slab - one[:, 2]) / safe, (z + 0.5 * slab - one[:, 2]) / safe]), axis=1)
    start = np.where(level, 0.0, np.clip(ends[:, 0], 0.0, 1.0))[:, None]
    stop = np.where(level, 1.0, np.clip(ends[:, 1], 0.0, 1.0))[:, None]
    return here, np.stack([(one + start * (other - one))[:, :2], (one + stop * (other - one))[:, :2]], axis=1)


def blood(axes: Axes, g: Scene, z: float, slab: float, per_um: float, colours: Any = None, alpha: float = 1.0) -> None:
    """Draw the parts of the sinusoids that lie in the slice, as wide as they are.

    Parameters
    ----------
    axes : Axes
    g : Scene
    z, slab : float
        Middle and thickness of the slice, um.
    per_um : float
        Points of print that a um takes, from `window`.
    colours : (n_segments,) list, optional
        Of all segments; those of blood when omitted.
    alpha : float
    """
    here, strips = in_plane(g, z, slab)
    shown = [_VENULE if g.kind[k] == VENULE else _SINUSOID for k in here] if colours is None else colours[here]
    widths = 2.0 * g.radius[here] * per_um
    casing = [(["#FFFFFF"], min(1.6, 3.0 * per_um), 2.0)] if alpha == 1.0 else []
    for colour, more, order in (*casing, (shown, 0.0, 2.2)):
        axes.add_collection(
            LineCollection(
                list(strips), colors=colour, linewidths=widths + more, capstyle="round", zorder=order, alpha=alpha
            )
        )


# ------------------------------------------------------------------------------------------------ the plane


def window(axes: Axes, frame: Frame, margin: float) -> float:
    """Set the axes to show lobules with a margin (um), and return how many points of print a um takes."""
    reach = frame.corner.max(axis=0) - frame.corner.min(axis=0) + 2.0 * margin
    middle = 0.5 * (frame.corner.max(axis=0) + frame.corner.min(axis=0))
    box, figure = axes.get_position(), axes.get_figure(root=True)
    if figure is None:
        raise ValueError("axes without a figure have no size")
    inches = figure.get_size_inches()
    width, height = box.width * float(inches[0]), box.height * float(inches[1])
    per_inch = float(max(reach[0] / width, reach[1] / height))
    axes.set_xlim(middle[0] - 0.5 * per_inch * width, middle[0] + 0.5 * per_inch * width)
    axes.set_ylim(middle[1] - 0.5 * per_inch * height, middle[1] + 0.5 * per_inch * height)
    axes.set_aspect("equal")
    axes.set_axis_off()
    return 72.0 / per_inch


def ground(axes: Axes, frame: Frame) -> None:
    """Fill the hexagons with the paper of tissue, so that gaps between cells are no holes in the page."""
    for own in frame.corners:
        axes.add_patch(Polygon(frame.corner[own], closed=True, facecolor=_GROUND, edgecolor="none", zorder=0.2))


def outline(axes: Axes, frame: Frame, *, colour: str = MUTED, width: float = 1.0) -> None:
    """Draw the hexagons."""
    for own in frame.corners:
        axes.add_patch(
            Polygon(
                frame.corner[own],
                closed=True,
                fill=False,
                edgecolor=colour,
                linewidth=width,
                linestyle=(0, (5, 4)),
                zorder=3.5,
            )
        )


def length_bar(axes: Axes, *, size: float = 9.0, lift: float = 0.012) -> None:
    """Draw a bar of a round length in the lower right corner, with its length."""
    low, high = axes.get_xlim()
    bottom, top = axes.get_ylim()
    bar = next(length for length in (500.0, 200.0, 100.0, 50.0, 20.0, 10.0) if length <= 0.25 * (high - low))
    x, y = high - 0.03 * (high - low), bottom + lift * (top - bottom)
    axes.plot([x - bar, x], [y, y], color=INK, linewidth=3.0, solid_capstyle="butt", zorder=9)
    axes.text(
        x - 0.5 * bar, y + 0.008 * (top - bottom), f"{bar:.0f} µm", ha="center", va="bottom", fontsize=size, zorder=9
    )
