"""Sections of a lobule: what is drawn, in which colours, and what is refused."""

from __future__ import annotations

import io

import numpy as np
import pytest
from matplotlib.collections import EllipseCollection, LineCollection, PolyCollection
from matplotlib.colors import to_hex

from hepatalk.engines.lobule.anatomy import TYPES, Anatomy
from hepatalk.engines.lobule.geometry import Geometry, build
from hepatalk.errors import ResultError, UnknownNameError
from hepatalk.knowledge.load import load
from hepatalk.model.compiler import compile_model
from hepatalk.plots.lobule import WAYS, section
from hepatalk.plots.palette import CELL_COLOURS


@pytest.fixture(scope="module")
def lobule() -> Geometry:
    return build(Anatomy.of(compile_model(load(), "rat").anatomy, hepatocytes=300, lobules=2), seed=1)


def hepatocytes(lobule: Geometry, low: float, high: float) -> int:
    z = lobule.cells.position[lobule.cells.type == 0, 2]
    return int(((z >= low) & (z <= high)).sum())


@pytest.mark.parametrize("way", WAYS)
def test_every_hepatocyte_of_the_slice_is_drawn(lobule: Geometry, way: str) -> None:
    figure = section(lobule, colour_by=way, z=15.0, thickness=20.0)
    polygons = [c for c in figure.axes[0].collections if isinstance(c, PolyCollection)]
    assert len(polygons) == 1
    assert len(polygons[0].get_paths()) == hepatocytes(lobule, 5.0, 25.0)
    assert any(isinstance(c, LineCollection) for c in figure.axes[0].collections)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=40)
    assert buffer.getvalue().startswith(b"\x89PNG")


def test_cell_types_have_their_colours_and_names(lobule: Geometry) -> None:
    figure = section(lobule)
    shown = {
        to_hex(c.get_facecolor()[0]).upper()
        for c in figure.axes[0].collections
        if isinstance(c, EllipseCollection) and len(c.get_facecolor())
    }
    assert {CELL_COLOURS[cell] for cell in ("LSEC", "HSC", "KC", "BEC")} <= shown
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert {"hepatocytes", "Kupffer cells", "stellate cells"} <= set(names)
    assert any("µm" in text.get_text() for text in figure.axes[0].texts)


def test_values_of_sites_and_of_cells_colour_alike(lobule: Geometry) -> None:
    value = np.linspace(0.0, 2.0, len(lobule.sites.depth))
    by_site = section(lobule, colour_by=value, label="IL-6, x health", limits=(0.0, 2.0))
    by_cell = section(lobule, colour_by=value[lobule.cells.site], limits=(0.0, 2.0))
    first, second = (f.axes[0].collections[0].get_facecolor() for f in (by_site, by_cell))
    np.testing.assert_array_equal(first, second)
    assert len(np.unique(np.asarray(first), axis=0)) > 5
    assert by_site.axes[1].get_xlabel() == "IL-6, x health"


def test_sinusoids_are_as_wide_as_they_are(lobule: Geometry) -> None:
    figure = section(lobule)
    axes = figure.axes[0]
    figure.draw_without_rendering()
    um_per_point = 1.0 / (
        72.0 / figure.dpi * abs(axes.transData.transform((1.0, 0.0)) - axes.transData.transform((0, 0)))[0]
    )
    widths = np.concatenate([c.get_linewidths() for c in axes.collections if isinstance(c, LineCollection)][1:2])
    assert np.median(widths) * um_per_point == pytest.approx(2.0 * np.median(lobule.network.radius), rel=0.25)


def test_what_cannot_be_drawn_is_refused(lobule: Geometry) -> None:
    with pytest.raises(UnknownNameError, match="unknown way to colour a section 'types'; nearest: type"):
        section(lobule, colour_by="types")
    with pytest.raises(ResultError, match=r"3 values to colour by; allowed: \d+, one for each site"):
        section(lobule, colour_by=[1.0, 2.0, 3.0])
    with pytest.raises(ResultError, match=r"section at z = 900 um; allowed: 0 to"):
        section(lobule, z=900.0)
    with pytest.raises(ResultError, match=r"thickness"):
        section(lobule, thickness=0.0)


def test_an_empty_slice_is_a_picture_all_the_same(lobule: Geometry) -> None:
    figure = section(lobule, z=0.0, thickness=1e-6)
    assert len(figure.axes) >= 1
    assert lobule.types == TYPES
