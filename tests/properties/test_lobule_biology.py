"""What a lobule shows by its mechanism, and the measures of where things are in it, on tables made by hand."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import xarray

from hepatalk.engines.lobule.anatomy import Anatomy
from hepatalk.engines.lobule.changes import apply_change
from hepatalk.engines.lobule.geometry import build
from hepatalk.engines.lobule.record import Snapshot, take
from hepatalk.engines.lobule.state import State, first_cells
from hepatalk.engines.lobule.system import LobuleSystem
from hepatalk.engines.lobule.tables import compartments_of
from hepatalk.engines.lobule.tissue import from_geometry
from hepatalk.experiments.experiment import load_experiment
from hepatalk.experiments.injuries import changes_of
from hepatalk.knowledge import load
from hepatalk.model import compile_model
from hepatalk.results import spatial

Floats = npt.NDArray[np.float64]


# ------------------------------------------------------------------------------------------------ by mechanism


@pytest.fixture(scope="module")
def system() -> LobuleSystem:
    model = compile_model(load())
    tissue = from_geometry(build(Anatomy.of(model.anatomy, hepatocytes=600), seed=1), compartments_of(model))
    return LobuleSystem(model, tissue, 1, 1e-2)


def healthy(system: LobuleSystem) -> State:
    cells, n, ident = first_cells(system.comps, system.tissue, 1)
    state = system.healthy(cells, n, ident, 0.0)
    system.make_fresh(state)
    return state


def by_depth(moment: Snapshot, field: str) -> Floats:
    depth = spatial.tissue_depth(moment.anatomy)
    return spatial.binned(depth, moment.fields[field], bins=6, weight=moment.anatomy["site_volume"])


@pytest.mark.parametrize(("field", "sign"), [("oxygen", -1.0), ("signal.WNT", 1.0), ("node.HEP.CTNNB1", 1.0)], ids=str)
def test_resting_gradients_run_one_way(system: LobuleSystem, field: str, sign: float) -> None:
    """Oxygen falls from the tracts to the central vein, Wnt and what follows it rise; nowhere back by 3%."""
    profile = by_depth(take(system, healthy(system)), field)
    assert sign * np.log(profile[-1] / profile[0]) > np.log(1.5)
    assert spatial.worst_turn(profile, np.full(6, 0.03 / np.sqrt(2.0)) * profile.mean()) <= 1.0


def test_zones_hold_a_third_of_the_hepatocytes_each(system: LobuleSystem) -> None:
    moment = take(system, healthy(system))
    own = moment.type_ == moment.types.index("HEP")
    shares = np.bincount(moment.zone[own], minlength=4)[1:] / own.sum()
    assert shares == pytest.approx([1 / 3] * 3, abs=0.06)


def test_zonal_necrosis_kills_by_zone(system: LobuleSystem) -> None:
    """As many of each zone as the experiment says, to within four standard errors of its draws; nobody else."""
    state = healthy(system)
    before = take(system, state)
    for change in changes_of(load_experiment("ccl4")):
        apply_change(system, state, change)
    state.bury()
    after = take(system, state)
    for k, name in enumerate(before.types):
        for zone, left in ((1, 1.0), (2, 0.7), (3, 0.1)):
            then, now = (int(((m.type_ == k) & (m.zone == zone)).sum()) for m in (before, after))
            share = left if name == "HEP" else 1.0
            assert abs(now - then * share) <= 4.0 * np.sqrt(then * share * (1.0 - share)), (name, zone)


# ------------------------------------------------------------------------------------------------ measures


def table(**columns: object) -> xarray.Dataset:
    """Return a table of cells, all hepatocytes of zone 1 at site 0 unless columns say otherwise."""
    n = len(np.asarray(columns["ident"]))
    given = {"type": np.full(n, "HEP"), "state": np.full(n, "resting"), "zone": np.ones(n, dtype=int),
             "at_site": np.zeros(n, dtype=int), "volume": np.ones(n), "clone": columns["ident"], **columns}  # fmt: skip
    time_h = given.pop("time_h", 0.0)
    return xarray.Dataset({k: ("cell", np.asarray(v)) for k, v in given.items()}, attrs={"time_h": time_h})


def test_depth_goes_by_tissue() -> None:
    anatomy = {"site_depth": np.array([0.9, 0.1, 0.2]), "site_volume": np.array([2.0, 1.0, 1.0])}
    assert spatial.tissue_depth(anatomy).tolist() == [0.75, 0.125, 0.375]


def test_binned_leaves_out_what_is_not_there() -> None:
    values = np.array([1.0, 3.0, np.nan, 8.0])
    found = spatial.binned(np.array([0.0, 0.1, 0.2, 1.0]), values, bins=3, weight=np.array([1.0, 3.0, 1.0, 1.0]))
    np.testing.assert_array_equal(found, [2.5, np.nan, 8.0])


@pytest.mark.parametrize(
    ("profile", "turn"),
    [([1.0, 2.0, 3.0], 0.0), ([3.0, 1.0, 0.0], 0.0), ([1.0, 3.0, 2.0, 4.0], 5.0), ([2.0, 2.0], 0.0)],
)
def test_worst_turn(profile: list[float], turn: float) -> None:
    error = np.full(len(profile), 0.2 / np.sqrt(2.0))
    assert spatial.worst_turn(np.array(profile), error) == pytest.approx(turn)


def test_first_entries_are_of_the_cells_of_time_zero() -> None:
    """A cell counts from its first time; a daughter, a cell of another type and one that never enters do not."""
    tables = [
        table(ident=[1, 2, 3, 4], type=["HEP", "HEP", "HEP", "KC"], at_site=[0, 1, 1, 0], zone=[1, 3, 3, 1]),
        table(ident=[1, 2, 3, 4], type=["HEP", "HEP", "HEP", "KC"], state=["s", "g1", "g1", "s"], time_h=12.0),
        table(ident=[1, 2, 3, 9], state=["s", "s", "g1", "s"], time_h=24.0),
    ]
    found = spatial.first_entries(tables, np.array([0.2, 0.9]))
    np.testing.assert_array_equal(found.time_h, [12.0, 24.0, np.inf])
    np.testing.assert_array_equal(found.depth, [0.2, 0.9, 0.9])
    np.testing.assert_array_equal(found.times_in(0.5, 1.0), [24.0])


def test_clones_by_zone_of_the_founder() -> None:
    first = table(ident=[1, 2, 3], zone=[1, 3, 3])
    last = table(ident=[1, 4, 5, 2, 7], clone=[1, 1, 1, 2, 7], zone=[1, 2, 3, 3, 3])
    found = spatial.clones_of(first, last)
    assert found.of(1).tolist() == [3]
    assert found.of(3).tolist() == [1], "a clone that has died out is not counted"
    assert found.of(0).tolist() == [1], "one that came from elsewhere has no zone"
    assert found.moved[1].tolist() == [0, 1, 1, 1]
    assert found.moved[3].tolist() == [0, 0, 0, 1]


def test_distances() -> None:
    points = np.array([[0.0, 0.0, 0.0], [10.0, 0.0, 0.0]])
    np.testing.assert_array_equal(spatial.nearest(points, np.array([[0.0, 3.0, 4.0]])), [5.0, np.sqrt(125.0)])
    assert np.isinf(spatial.nearest(points, np.zeros((0, 3)))).all()
    anatomy = {"corner": np.array([[10.0, 0.0]]), "portal_tract_radius": np.array([3.0])}
    np.testing.assert_array_equal(spatial.distance_from_tracts(points, anatomy, 1.0), [7.0, 0.0])
    np.testing.assert_array_equal(spatial.distance_from_tracts(points, anatomy, 2.0), [14.0, 4.0])


def test_gap_to_a_vessel() -> None:
    """Beside, beyond the end, and inside; many points give what each gives alone."""
    start, end = np.array([[0.0, 0.0, 0.0]]), np.array([[10.0, 0.0, 0.0]])
    points = np.array([[5.0, 4.0, 0.0], [13.0, 4.0, 0.0], [5.0, 0.5, 0.0]])
    np.testing.assert_allclose(spatial.segment_gap(points, start, end, np.array([1.0])), [3.0, 4.0, -0.5])
    many = np.repeat(points, 200, axis=0)
    np.testing.assert_allclose(spatial.segment_gap(many, start, end, np.array([1.0])), np.repeat([3.0, 4.0, -0.5], 200))


def test_vessels_stretch_about_the_middle_of_the_lobule() -> None:
    anatomy = {"centre": np.array([[0.0, 0.0]]), "height": np.array([20.0]), "edge": np.array([[0, 1]]),
               "node": np.array([[0.0, 0.0, 10.0], [5.0, 0.0, 0.0]]), "edge_radius": np.array([2.0])}  # fmt: skip
    start, end, radius = spatial.segments(anatomy, 2.0)
    assert (start.tolist(), end.tolist(), radius.tolist()) == ([[0.0, 0.0, 10.0]], [[10.0, 0.0, -10.0]], [2.0])


def test_what_touches() -> None:
    """A gap of a quarter of both radii still touches."""
    points, radius = np.array([[0.0, 0.0, 0.0], [24.0, 0.0, 0.0], [60.0, 0.0, 0.0]]), np.array([10.0, 10.0, 10.0])
    assert spatial.groups(points, radius).tolist() == [2, 1]
    assert spatial.groups(points[:0], radius[:0]).tolist() == []
    lsec = np.array([[13.0, 0.0, 0.0]])
    np.testing.assert_array_equal(spatial.untouched(points, radius, lsec, np.array([2.0])), [False, False, True])
    assert spatial.untouched(points, radius, lsec[:0], np.zeros(0)).all()


def test_exposure() -> None:
    field, volume = np.array([0.0, 1.0]), np.array([3.0, 1.0])
    assert spatial.exposure(field, np.array([1, 1, 0]), volume) == pytest.approx(8.0 / 3.0)
    assert np.isnan(spatial.exposure(field, np.zeros(0, dtype=int), volume))
    assert np.isnan(spatial.exposure(0.0 * field, np.array([1]), volume))


def test_closing_from_the_rim() -> None:
    away = np.array([5.0, 15.0, 25.0, 35.0])
    assert spatial.closing(away, 10.0 + away / 2.0) == pytest.approx((2.0, 1.0))
    assert spatial.closing(away, np.array([10.0, 15.0, 20.0, np.inf])) == pytest.approx((2.0, 1.0))
    speed, correlation = spatial.closing(away, 50.0 - away)
    assert np.isinf(speed)
    assert correlation == pytest.approx(-1.0)
    assert np.isnan(spatial.closing(away, np.full(4, np.inf))[1])
    assert np.isnan(spatial.closing(away, np.full(4, 7.0))[1])
