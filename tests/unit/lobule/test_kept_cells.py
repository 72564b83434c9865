"""Cells and fields of a lobule on disk: what was handed out comes back, and pictures and page show it."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from PIL import Image, ImageColor

from hepatalk.engines.lobule.anatomy import TYPES
from hepatalk.engines.lobule.engine import LobuleSettings
from hepatalk.engines.lobule.record import Snapshot
from hepatalk.experiments.run import Run, perform
from hepatalk.knowledge.load import load
from hepatalk.plots.in_space import draw_film, lobule_figures, painter_of
from hepatalk.plots.palette import CELL_COLOURS
from hepatalk.plots.series import PHASES, keys, moment_label, moment_name, nearest_times, one_moment, series
from hepatalk.plots.tissue import clones, tissue, zones
from hepatalk.report import write_report
from hepatalk.report.space import CHART, _lighter, three_d
from hepatalk.results import load_result, save_result
from hepatalk.results.cell_tables import CELLS, DEPTH_BINS, CellTables, parted, table_times
from hepatalk.results.cells import Cells, load_cells

END_H = 30.0


class Kept:
    """Writes moments, and keeps them here too."""

    def __init__(self, tables: CellTables) -> None:
        self.tables, self.moments = tables, []

    def __call__(self, moment: Snapshot) -> None:
        self.moments.append(moment)
        self.tables(moment)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Run, list[Snapshot]]:
    folder = tmp_path_factory.mktemp("run")
    tables = CellTables(folder / CELLS, END_H)
    keep = Kept(tables)
    settings = LobuleSettings(hepatocytes=150, cells_at_h=tables.wanted_h, keep=keep)
    run = perform("phx70", days=END_H / 24.0, engine="lobule", seed=4, lobule=settings)
    tables.finish(run.result, hepatocytes=150, lobules=1)
    save_result(run.result, folder)
    return folder, run, keep.moments


@pytest.fixture(scope="module")
def cells(kept: tuple[Path, Run, list[Snapshot]]) -> Cells:
    return load_cells(kept[0])


def test_default_times_lie_inside_the_run_and_hold_its_end() -> None:
    assert table_times(96.0) == (0.0, 6.0, 12.0, 24.0, 36.0, 48.0, 72.0, 96.0)
    assert table_times(30.0, 8.0) == (0.0, 8.0, 16.0, 24.0, 30.0)
    assert table_times(16.0, 8.0) == (0.0, 8.0, 16.0)


def test_the_name_of_a_compartment_is_taken_apart() -> None:
    said = parted("HEP.g1.2.binucleate.generation1")
    assert said == {"type": "HEP", "state": "g1", "stage": "2", "nuclei": "binucleate", "generation": "1"}
    assert parted("LSEC.progenitor.marrow") == {"type": "LSEC", "state": "progenitor", "lineage": "marrow"}


def test_what_was_handed_out_comes_back(kept: tuple[Path, Run, list[Snapshot]], cells: Cells) -> None:
    _, _, moments = kept
    assert np.allclose(cells.times_h, [0.0, 6.0, 12.0, 24.0, 30.0], atol=0.25)
    assert cells.attributes["hepatocytes"] == 150
    assert cells.attributes["seed"] == 4
    for time_h in cells.times_h:
        m = next(m for m in moments if abs(m.time_h - time_h) < 1e-9)
        table = cells.at(time_h)
        for column, values in (("ident", m.ident), ("parent", m.parent), ("clone", m.clone), ("zone", m.zone)):
            assert np.array_equal(table[column].values, values)
        assert np.array_equal(table["at_site"].values, m.site)
        assert np.allclose(table["volume"].values, m.volume, rtol=1e-6)
        assert np.allclose(table["spatial"].values, m.position, rtol=1e-6, atol=1e-4)
        names = [m.compartments[k] for k in m.compartment]
        assert table["state"].values.tolist() == [parted(n)["state"] for n in names]
        assert table["nuclei"].values.tolist() == [parted(n).get("nuclei", "") for n in names]
        assert np.allclose(table["fields"].sel(field="signal.HGF"), m.fields["signal.HGF"], rtol=1e-6, equal_nan=True)
        from_hep = table["labels"].sel(label="from_HEP").values
        assert np.array_equal(from_hep, (m.marks >> m.labels.index("from_HEP")) & 1)
        assert table.attrs["lobules"] == pytest.approx(0.3)
    assert cells.at(0.0)["type"].values.tolist().count("HEP") == 150


def test_profiles_hold_every_cell_and_the_mean_of_every_field(
    kept: tuple[Path, Run, list[Snapshot]], cells: Cells
) -> None:
    profiles = cells.profiles()
    assert profiles["profile"].shape[2] == DEPTH_BINS
    assert len(profiles["time"]) == 11
    m = kept[2][-1]
    last = profiles["profile"].isel(time=-1)
    for k, cell in enumerate(m.types):
        assert last.sel(quantity=f"count.{cell}").values.sum() == (m.type_ == k).sum()
    depth = last.sel(quantity="site_depth").values
    assert np.all(np.diff(depth[np.isfinite(depth)]) > 0.0)
    level = m.fields["signal.IL6"]
    means = last.sel(quantity="signal.IL6").values
    assert np.nanmin(level) * (1 - 1e-6) <= np.nanmin(means)
    assert np.nanmax(means) <= np.nanmax(level) * (1 + 1e-6)
    own = m.type_ == m.types.index("HEP")
    volume, count = last.sel(quantity="volume.HEP").values, last.sel(quantity="count.HEP").values
    assert np.nansum(volume * count) == pytest.approx(m.volume[own].sum(), rel=1e-5)


def test_a_resumed_run_keeps_what_it_had_and_does_not_write_it_again(
    kept: tuple[Path, Run, list[Snapshot]], tmp_path: Path
) -> None:
    moments = kept[2]
    first = CellTables(tmp_path / CELLS, END_H)
    for m in moments[:5]:
        first(m)
    stamp = {p: p.stat().st_mtime_ns for p in (tmp_path / CELLS).rglob("zarr.json")}
    again = CellTables(tmp_path / CELLS, END_H, resume=True)
    for m in moments[3:]:  # the checkpoint was older than the last moment kept
        again(m)
    assert {p: p.stat().st_mtime_ns for p in stamp} == stamp
    names = sorted(p.name for p in (tmp_path / CELLS / "moments").iterdir() if p.is_dir())
    assert names == sorted(p.name for p in (kept[0] / CELLS / "moments").iterdir() if p.is_dir())
    CellTables(tmp_path / CELLS, END_H)
    assert not (tmp_path / CELLS).exists()


# ------------------------------------------------------------------------------------------------ pictures and page


def test_times_are_told_as_people_do() -> None:
    assert [moment_label(t) for t in (0.0, 24.07, 72.1, 6.5)] == ["0 h", "24 h", "3 d", "6.5 h"]
    assert [moment_name(t) for t in (0.0, 168.2, 6.5)] == ["0h", "168h", "6.5h"]
    assert nearest_times([0.0, 6.1, 24.1, 30.0], [0.0, 24.0, 48.0]) == [0.0, 24.1, 30.0]


def test_sections_grow_with_the_lobule_and_colour_cells_by_state(
    kept: tuple[Path, Run, list[Snapshot]], cells: Cells
) -> None:
    painter = painter_of(cells, kept[1].result)
    late, early = (painter.scene(painter.table(t)) for t in (END_H, 0.0))
    scale = float(painter.table(END_H).attrs["scale"])
    assert scale > 1.05
    assert late.frame.radius == pytest.approx(scale * early.frame.radius)
    assert np.all(late.frame.to_face(late.position[late.of("HEP")]) > -1.0)
    figure = one_moment(painter, END_H)
    by_state = next(c for c in figure.axes[1].collections if isinstance(c, PolyCollection))
    states = set(painter.table(END_H)["state"].values[late.of("HEP")])
    assert len({tuple(c) for c in by_state.get_facecolor()}) == len(states & set(PHASES))
    assert any("150" in t.get_text() and "seed 4" in t.get_text() for t in series(painter).texts)


def test_every_picture_is_drawn_and_says_seed_and_number(
    kept: tuple[Path, Run, list[Snapshot]], cells: Cells, tmp_path: Path
) -> None:
    result = kept[1].result
    drawn = lobule_figures(cells, result)
    wanted = {"sections.png", "zones.png", "tissue.png", "clones.png", "section_0h.png", "section_24h.png"}
    assert wanted <= set(drawn)
    for content in drawn.values():
        with Image.open(io.BytesIO(content)) as picture:
            assert picture.format == "PNG"
    painter = painter_of(cells, result)
    for figure in (zones(painter), tissue(painter, result), clones(painter)):
        text = " ".join(t.get_text() for t in figure.texts).replace("\n", " ")
        assert "seed 4" in text
        assert "Model only" in text
    draw_film(cells, result, tmp_path / "film.gif")
    with Image.open(tmp_path / "film.gif") as film:
        assert film.n_frames == len(cells.times_h)


def test_clones_add_up(kept: tuple[Path, Run, list[Snapshot]], cells: Cells) -> None:
    figure = clones(painter_of(cells, kept[1].result))
    for axes in figure.axes:
        assert sum(p.get_height() for p in axes.patches) == pytest.approx(100.0)


def test_the_page_shows_the_lobule_and_says_what_it_cannot(
    kept: tuple[Path, Run, list[Snapshot]], cells: Cells, tmp_path: Path
) -> None:
    chart = three_d(cells)
    per_time = len(cells.types) + 1
    assert len(chart["data"]) == per_time * len(chart["layout"]["sliders"][0]["steps"])
    assert [d["visible"] for d in chart["data"][: per_time + 1]] == [True] * per_time + [False]
    drawn = lobule_figures(cells, kept[1].result)
    page = write_report(kept[1], tmp_path / "report.html", load(), cells=cells, pictures=drawn)
    assert page.stat().st_size < 6_000_000
    text = page.read_text(encoding="utf-8")
    assert f"id='chart-{CHART}'" in text
    assert text.count("src='data:image/png;base64,") == 4
    assert "cannot express" in text
    assert "ALPPS" in text
    charts = json.loads(text.partition('type="application/json">')[2].partition("</script>")[0])
    assert CHART in charts


def test_cells_are_tied_to_their_result(kept: tuple[Path, Run, list[Snapshot]]) -> None:
    head = json.loads((kept[0] / CELLS / "zarr.json").read_bytes())["attributes"]
    assert head["of_result_sha256"] == load_result(kept[0]).content_hash()


def test_pictures_of_the_page_are_light_and_keep_the_colours_of_rare_cells() -> None:
    picture = Image.effect_noise((1740, 900), 120.0).convert("RGB")
    for k, colour in enumerate(CELL_COLOURS.values()):
        picture.paste(colour, (100 * k, 0, 100 * k + 30, 30))
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG")
    with Image.open(io.BytesIO(_lighter(buffer.getvalue()))) as light:
        shown = light.convert("RGB")
    share = shown.width / 1740
    assert shown.width <= 1400
    for k, colour in enumerate(CELL_COLOURS.values()):
        found = shown.getpixel((round((100 * k + 15) * share), round(15 * share)))
        assert np.abs(np.array(found) - np.array(ImageColor.getrgb(colour))).max() < 16


@pytest.mark.parametrize("moments", [1, 2, 5])
def test_keys_of_a_series_do_not_overlap(moments: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """However few moments there are, the keys of types and of states stand apart, inside the picture."""
    figure = Figure(figsize=(max(2.9 * moments, 11.0), 8.0), dpi=120)
    FigureCanvasAgg(figure)
    keys(figure, TYPES, 8.0)
    figure.canvas.draw()
    one, other = (x.get_window_extent() for x in figure.legends)
    assert not one.overlaps(other)
    assert max(one.x1, other.x1) <= figure.bbox.x1
    assert min(one.y0, other.y0) > 0.35 * 120  # above the words at the foot
