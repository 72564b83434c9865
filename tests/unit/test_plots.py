"""The pictures of a run: what they hold, what they say about real animals, and how they reach the disk."""

from __future__ import annotations

import dataclasses
import re
import xml.etree.ElementTree as ET
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from hepatalk.errors import OutputError, ResultError, UnknownNameError
from hepatalk.experiments.comparison import matches_animals, rat_groups, rat_study, volume_error
from hepatalk.experiments.experiment import Experiment, load_experiment, parse_experiment
from hepatalk.experiments.marks import later_injuries, marks, peaks_after
from hepatalk.experiments.run import Run, perform
from hepatalk.knowledge.load import Knowledge, load
from hepatalk.plots import comparison, figures, save_figures
from hepatalk.plots.captions import TITLES, caption
from hepatalk.plots.files import write_whole
from hepatalk.plots.palette import CELL_COLOURS, CELLS, day_ticks, duration, root_ticks, shades, shortened, state_tints
from hepatalk.plots.view import View, view_of
from hepatalk.results.result import Result

NAMES = ("liver_volume", "s_phase", "signals", "states", "flow", "drivers", "hepatocytes")


@pytest.fixture(scope="module")
def knowledge() -> Knowledge:
    return load()


@pytest.fixture(scope="module")
def run(knowledge: Knowledge) -> Run:
    return perform("phx70", knowledge=knowledge)


@pytest.fixture(scope="module")
def view(run: Run, knowledge: Knowledge) -> View:
    return view_of(run, knowledge)


@pytest.fixture(scope="module")
def drawn(run: Run, view: View) -> dict[str, Figure]:
    return figures(run, view=view)


def words_of(figure: Figure) -> str:
    """Return every text of a figure, in one line."""
    return " ".join(" ".join(text.get_text().split()) for text in figure.findobj(lambda a: hasattr(a, "get_text")))


def changed(result: Result, **fields: Any) -> Result:
    return dataclasses.replace(result, provenance=dataclasses.replace(result.provenance, **fields))


# --- Real animals beside a run ----------------------------------------------------------------------------------------


def test_group_means_are_those_of_the_study() -> None:
    carbohydrate, chow = rat_groups("liver_volume_fraction")
    assert (carbohydrate.diet, chow.diet) == ("Carbohydrate", "Chow")
    both = carbohydrate.both_sexes
    np.testing.assert_allclose(carbohydrate.time_h[both], [0.3, 10, 24, 48, 72, 168, 336])
    np.testing.assert_allclose(
        carbohydrate.mean[both], [0.327, 0.396, 0.515, 0.697, 0.807, 0.910, 0.937], rtol=0, atol=1e-3
    )
    assert carbohydrate.n == (22, 15, 21, 19, 19, 4, 11, 5)
    assert (rat_study().source, rat_study().licence) == ("barnhart2023", "CC BY")


def test_volume_error_is_the_root_mean_square_over_times_with_both_sexes(run: Run) -> None:
    group = rat_groups("liver_volume_fraction")[0]
    both = group.both_sexes
    expected = [run.result.at("liver_volume", float(t)) for t in group.time_h[both]]
    by_hand = float(np.mean((np.array(expected) - group.mean[both]) ** 2) ** 0.5)
    assert volume_error(run.result) == pytest.approx(by_hand, rel=1e-12)


@pytest.mark.parametrize(
    "fields",
    [
        {"species": "mouse"},
        {"changes": ()},
        {"changes": ("0 h: 0.3 of the liver removed",)},
        {"changes": ("24 h: 0.7 of the liver removed",)},
        {"changes": ("0 h: 0.7 of the liver removed", "0 h: 0.9 of IL6 neutralised")},
    ],
)
def test_volume_error_is_none_where_the_rats_are_no_comparison(run: Run, fields: dict[str, Any]) -> None:
    assert volume_error(run.result) is not None
    assert volume_error(changed(run.result, **fields)) is None


def posed(schedule: str, species: str = "rat") -> Experiment:
    return parse_experiment(f"title: t\nspecies: {species}\nschedule: {schedule}\nreadouts: [liver_volume]\n", "test")


RESECTION = "{at: 0 h, injury: partial_hepatectomy, fraction: %s}"


@pytest.mark.parametrize(
    ("experiment", "expected"),
    [
        (posed(f"[{RESECTION % 0.70}]"), True),
        (posed(f"[{RESECTION % 0.65}]"), True),
        (posed(f"[{RESECTION % 0.75}]"), True),
        (posed(f"[{RESECTION % 0.64}]"), False),
        (posed(f"[{RESECTION % 0.76}]"), False),
        (posed(f"[{RESECTION % 0.70}]", "mouse"), False),
        (posed("[{at: 5 h, injury: partial_hepatectomy, fraction: 0.7}]"), False),
        (posed(f"[{RESECTION % 0.70}, {RESECTION.replace('0 h', '48 h') % 0.70}]"), False),
        (posed("[]"), False),
        (load_experiment("phx70_anti_il6"), True),
    ],
)
def test_points_belong_beside_a_rat_with_that_resection_alone(experiment: Experiment, expected: bool) -> None:
    assert matches_animals(experiment) is expected


def containers_in(figure: Figure) -> int:
    return sum(len(axes.containers) for axes in figure.axes)


def test_points_are_drawn_for_the_rat(drawn: dict[str, Figure], view: View) -> None:
    assert containers_in(drawn["liver_volume"]) == 4  # two diets in each of two panels
    assert containers_in(drawn["flow"]) == 2
    assert view.error is not None
    assert f"RMSE {view.error:.3f}" in words_of(drawn["liver_volume"])


def test_no_points_beside_another_resection(knowledge: Knowledge) -> None:
    other = perform("phx30", days=1, knowledge=knowledge)
    shown = view_of(other, knowledge)
    drawn = figures(other, view=shown)
    assert shown.animals is None
    assert containers_in(drawn["liver_volume"]) == containers_in(drawn["flow"]) == 0
    assert "No group means of real animals" in words_of(drawn["liver_volume"])
    assert "RMSE" not in words_of(drawn["liver_volume"])


def test_points_beside_a_treated_rat_say_that_the_rats_were_not(view: View, run: Run) -> None:
    assert view.animals is not None
    treated = dataclasses.replace(view, animals=dataclasses.replace(view.animals, treated_otherwise=True), error=None)
    drawn = figures(run, view=treated)
    assert "The rats had the resection alone" in words_of(drawn["liver_volume"])
    assert "RMSE" not in words_of(drawn["liver_volume"])


@pytest.mark.parametrize("name", ["liver_volume", "flow"])
def test_caption_names_n_species_source_and_licence(view: View, name: str) -> None:
    text = caption(view, name)
    assert view.animals is not None
    group = (view.animals.volume if name == "liver_volume" else view.animals.flow)[0]
    for part in ("Rattus norvegicus", "Barnhart", "10.3389/fphys.2023.1102393", "(CC BY)", "mean ± SD"):
        assert part in text
    assert f"n = {', '.join(map(str, group.n))}" in text


# --- Figures ----------------------------------------------------------------------------------------------------------


def test_all_figures_are_there(drawn: dict[str, Figure]) -> None:
    assert tuple(drawn) == NAMES == tuple(TITLES)


@pytest.mark.parametrize("name", NAMES)
def test_axes_have_labels_and_units(drawn: dict[str, Figure], name: str) -> None:
    unit = re.compile(r"\(.+\)|^x healthy|^capacity/demand|log2|^signal$")
    for axes in (a for a in drawn[name].axes if a.axison and not a.get_ylabel().startswith("log2")):
        assert re.search(r"\((hours|days)", axes.get_xlabel()), (name, axes.get_xlabel())
        if name != "drivers" and not (name == "liver_volume" and axes is drawn[name].axes[1]):
            assert unit.search(axes.get_ylabel()), (name, axes.get_ylabel())
    if name == "drivers":  # its rows are labelled one by one, and share one unit
        assert words_of(drawn[name]).count("in ln(rate / healthy rate)") >= len(drawn[name].axes)
    if name == "signals":
        assert "log2 (level / healthy level)" in words_of(drawn[name])


def test_each_cell_type_has_its_colour_everywhere(drawn: dict[str, Figure]) -> None:
    lines = [line for line in drawn["s_phase"].axes[0].lines if len(line.get_xdata()) > 1]  # type: ignore[arg-type]
    assert [line.get_color() for line in lines[: len(CELLS)]] == [CELL_COLOURS[cell] for cell in CELLS]
    titles = [axes.get_title(loc="left") for axes in drawn["states"].axes[: len(CELLS)]]
    assert [text.rpartition("(")[2].rstrip(")") for text in titles] == list(CELLS)
    assert len({line.get_linestyle() + str(line._dash_pattern) for line in lines[: len(CELLS)]}) == len(CELLS)  # type: ignore[attr-defined]


def test_peaks_are_labelled_with_their_times(drawn: dict[str, Figure], view: View) -> None:
    assert view.waves
    assert [w.peak_h for w in view.waves] == sorted(w.peak_h for w in view.waves)
    for wave in view.waves:
        assert f"{wave.cell} {duration(wave.peak_h)}" in words_of(drawn["s_phase"])


def test_signals_stand_in_order_of_their_half_maximal_response(view: View) -> None:
    r = view.responses
    assert 10 <= len(r.names) <= 20
    assert list(r.half_h) == sorted(r.half_h)
    for i, name in enumerate(r.names):
        level = view.result.readout(f"signal.{name}")
        np.testing.assert_allclose(2.0 ** r.log2_fold[i], level, rtol=1e-9)
        reached = abs(np.interp(r.half_h[i], view.result.time_h, level) - 1.0)
        assert reached == pytest.approx(0.5 * abs(r.extreme[i] - 1.0), rel=1e-6)


def test_growth_adds_up_to_the_mass(view: View) -> None:
    g = view.growth
    mass = view.result.readout("hepatocyte_count") * view.result.readout("hepatocyte_volume")
    np.testing.assert_allclose(g.remnant + g.enlargement + g.new_cells, mass, rtol=1e-12)


def test_drivers_are_looked_at_where_the_readout_rises_most(view: View) -> None:
    for drive in view.drives:
        assert drive.rows
        assert all(row.effect.shape == drive.time_h.shape for row in drive.rows)
        levels = [row.level > 1 for row in drive.rows]
        assert levels == sorted(levels)
        rise = next(m for m in drive.moments if m.name == "steepest rise")
        y = view.result.readout(drive.readout)
        slope = np.gradient(y, view.result.time_h)
        top = int(y.argmax())
        assert np.interp(rise.at_h, view.result.time_h, slope) == pytest.approx(slope[1 : top + 1].max())
        assert drive.moments[-1].at_h == view.result.time_h[-1]


def test_a_resting_liver_can_be_drawn(knowledge: Knowledge, tmp_path: Path) -> None:
    sham = perform("sham", days=1, knowledge=knowledge)
    shown = view_of(sham, knowledge)
    assert shown.responses.names == ()
    assert len(save_figures(sham, tmp_path, ("svg",), view=shown)) == len(NAMES)


# --- Files ------------------------------------------------------------------------------------------------------------


def test_files_are_written_for_each_format(run: Run, view: View, tmp_path: Path) -> None:
    only = {"flow": figures(run, view=view)["flow"]}
    assert set(only) <= set(NAMES)
    paths = save_figures(run, tmp_path / "new" / "folder", view=view)
    assert [p.name for p in paths] == [f"{name}.{kind}" for name in NAMES for kind in ("png", "svg")]
    assert sorted(p.name for p in (tmp_path / "new" / "folder").iterdir()) == sorted(p.name for p in paths)
    for path in paths:
        if path.suffix == ".png":
            assert path.read_bytes().startswith(b"\x89PNG")
        else:
            assert ET.parse(path).getroot().tag.endswith("svg")


def test_unknown_format_is_refused(run: Run, view: View, tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match=r"unknown picture format 'gif'; nearest: .*png"):
        save_figures(run, tmp_path, ("gif",), view=view)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "a.png"
    target.write_bytes(b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OutputError, match=r"cannot write .*a\.png.*No space left") as caught:
        write_whole(target, b"new")
    assert "\n" not in str(caught.value)
    assert target.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]


def test_a_file_in_the_way_of_the_folder_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="cannot write"):
        write_whole(tmp_path / "file" / "a.png", b"new")


# --- Comparison -------------------------------------------------------------------------------------------------------


def test_comparison_draws_each_result_in_each_panel(run: Run) -> None:
    other = changed(run.result, experiment="other", title="another <title>")
    figure = comparison([run.result, other], ["liver_volume", "s_phase.HEP", "signal.IL6"])
    panels = [axes for axes in figure.axes if axes.axison]
    assert [axes.get_ylabel().split(" ")[0] for axes in panels] == ["liver_volume", "s_phase.HEP", "signal.IL6"]
    assert all("(" in axes.get_ylabel() and axes.get_xlabel() == "time (days)" for axes in panels)
    assert "another <title>" in words_of(figure)


def test_equal_titles_are_told_apart(run: Run) -> None:
    knocked = changed(run.result, knockouts=("Il6",))
    words = words_of(comparison([run.result, knocked], ["liver_volume"]))
    assert "(Il6)" in words


def test_comparison_refuses_what_it_cannot_draw(run: Run) -> None:
    with pytest.raises(UnknownNameError, match="unknown readout 'liver_vol'; nearest: liver_volume"):
        comparison([run.result], ["liver_vol"])
    with pytest.raises(ResultError, match="nothing to compare"):
        comparison([], ["liver_volume"])
    with pytest.raises(ResultError, match="nothing to compare"):
        comparison([run.result], [])


# --- Small things -----------------------------------------------------------------------------------------------------


def test_shades_go_from_light_to_dark() -> None:
    for colour in CELL_COLOURS.values():
        grey = [int(s[1:3], 16) * 0.3 + int(s[3:5], 16) * 0.59 + int(s[5:7], 16) * 0.11 for s in shades(colour, 6)]
        assert all(a - b > 10 for a, b in pairwise(grey))


@pytest.mark.parametrize("end_h", [0.5, 6.0, 72.0, 336.0, 8760.0, 87600.0])
def test_ticks_stay_within_the_axis_and_apart(end_h: float) -> None:
    positions, texts = root_ticks(end_h)
    assert len(positions) == len(texts) >= 1
    assert positions[-1] <= (1.001 * end_h) ** 0.5
    gaps = np.diff(positions) / end_h**0.5
    assert (gaps >= 0.055).all()
    assert len(day_ticks(end_h)) <= 12


@pytest.mark.parametrize(
    ("hours", "text"),
    [(0.3, "0.3 h"), (47.0, "47 h"), (48.0, "2 d"), (75.0, "75 h"), (177.0, "7.4 d"), (336.0, "14 d")],
)
def test_durations_read_as_people_say_them(hours: float, text: str) -> None:
    assert duration(hours) == text


def test_long_claims_are_cut_at_a_word() -> None:
    assert shortened("short", 10) == "short"
    assert shortened("one two three four", 12) == "one two…"
    assert len(shortened("x" * 50, 12)) <= 12


def test_the_labels_of_direct_and_upstream_statements_never_meet(drawn: dict[str, Figure]) -> None:
    """Also where a single statement acts directly: its label had run into the one below it."""
    figure = drawn["drivers"]
    figure.draw_without_rendering()
    seen = 0
    for axes in figure.axes:
        boxes = [t.get_window_extent() for t in axes.texts if t.get_text() in ("direct", "upstream")]
        seen += len(boxes)
        assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
    assert seen >= 3


def test_cells_at_rest_are_paler_than_cells_at_work() -> None:
    """In health a third of Kupffer cells are refractory: a picture of health must be pale."""
    tints = state_tints(CELL_COLOURS["KC"], ("resting", "refractory", "activated", "g1", "s", "g2m"))
    light = [sum(int(t[i : i + 2], 16) for i in (1, 3, 5)) for t in tints]
    assert all(a > b for a, b in pairwise(light))
    assert light[1] > 0.7 * 3 * 255


# --- Times in tables -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def twice(knowledge: Knowledge) -> Run:
    return perform("second_phx", knowledge=knowledge)


def test_long_runs_are_tabulated_to_their_end(knowledge: Knowledge) -> None:
    found = marks(perform("phx70", days=60.0, knowledge=knowledge), (0.0, 24.0, 336.0))
    assert [m.at_h for m in found] == [0.0, 24.0, 336.0, 672.0, 1344.0, 1440.0]
    assert found[-1].note == "end"


def test_a_second_injury_has_its_own_times(twice: Run) -> None:
    assert later_injuries(twice) == (672.0,)
    found = {m.at_h: m.note for m in marks(twice, (0.0, 24.0))}
    assert found == {0.0: "", 24.0: "", 671.0: "before the injury", 672.0: "just after the injury",
                     696.0: "24 h later", 1344.0: "672 h later"}  # fmt: skip
    assert twice.result.at("liver_volume", 671.0) > 0.9
    assert twice.result.at("liver_volume", 672.0) < 0.4
    hep = next(p for p in peaks_after(twice, 672.0) if p.cell == "HEP")
    assert 690.0 < hep.at_h < 720.0
    assert hep.height == pytest.approx(float(twice.result.readout("s_phase.HEP")[672:].max()))
