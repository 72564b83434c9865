"""A lobule as it is built: counts, places, contacts, zones, and what is refused."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from typing import Any

import numpy as np
import pytest
import typer
from scipy.spatial import cKDTree

from hepatalk.cli import checking
from hepatalk.engines.lobule.anatomy import TYPES, Anatomy
from hepatalk.engines.lobule.compare import compare, measure, segments_touched
from hepatalk.engines.lobule.geometry import Geometry, build, mixed, zones_only
from hepatalk.engines.lobule.hexagons import frame
from hepatalk.engines.lobule.network import SINUSOID, VENULE
from hepatalk.engines.lobule.points import centres, draws, even_sample, keep_apart, quotas
from hepatalk.engines.lobule.sites import zones
from hepatalk.errors import GeometryError, HepatalkError
from hepatalk.knowledge.load import load
from hepatalk.model.anatomy import expected
from hepatalk.model.compiler import compile_model


@pytest.fixture(scope="module")
def values() -> dict[str, float]:
    return dict(compile_model(load(), "rat").anatomy)


@pytest.fixture(scope="module")
def lobule(values: dict[str, float]) -> Geometry:
    return build(Anatomy.of(values, hepatocytes=1500), seed=3)


@pytest.fixture(scope="module")
def three(values: dict[str, float]) -> Geometry:
    return build(Anatomy.of(values, hepatocytes=300, lobules=3), seed=3)


def same(one: Any, other: Any) -> bool:
    """Whether two structures hold the same bits."""
    if is_dataclass(one):
        return all(same(getattr(one, f.name), getattr(other, f.name)) for f in fields(one))
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()
    return bool(one == other)


# --- Anatomy ----------------------------------------------------------------------------------------------------------


def test_the_height_gives_the_hepatocytes_asked_for(values: dict[str, float]) -> None:
    for hepatocytes in (60, 600, 6000, 20000):
        a = Anatomy.of(values, hepatocytes=hepatocytes)
        taken = hepatocytes * a.cell_volume["HEP"]
        assert taken / a.tissue_volume == pytest.approx(values["HEP.volume_share"], rel=1e-12)


def test_a_large_lobule_has_the_species_radius_and_a_small_one_is_a_miniature(values: dict[str, float]) -> None:
    large, small = Anatomy.of(values), Anatomy.of(values, hepatocytes=60)
    assert large.lobule_radius == values["lobule_radius"]
    shrink = small.lobule_radius / values["lobule_radius"]
    assert shrink < 0.5
    assert small.central_vein_radius == pytest.approx(shrink * values["lobule_central_vein_radius"])
    assert small.height == pytest.approx(1.5 * values["lobule_hepatocyte_diameter"])
    assert small.sinusoid_radius == values["lobule_sinusoid_radius"]


def test_cells_fill_what_the_model_gives_them(values: dict[str, float]) -> None:
    a = Anatomy.of(values)
    for cell in TYPES:
        share = a.cells_per_hepatocyte[cell] * a.hepatocytes * a.cell_volume[cell] / a.tissue_volume
        assert share == pytest.approx(values[f"{cell}.volume_share"], rel=1e-12)
        assert a.cell_diameter[cell] == pytest.approx((6.0 * a.cell_volume[cell] / math.pi) ** (1 / 3))


BAD: list[tuple[str, float, list[str]]] = [
    ("lobule_radius", 0.0, ["lobule_radius", "above 0"]),
    ("lobule_radius", -5.0, ["lobule_radius", "above 0"]),
    ("lobule_radius", 60.0, ["leave no tissue", "vessels smaller"]),
    ("lobule_hepatocyte_diameter", 0.0, ["hepatocyte_diameter", "above 0"]),
    ("lobule_sinusoid_radius", -1.0, ["sinusoid_radius", "above 0"]),
    ("lobule_sinusoid_radius", 15.0, ["leave no room for cells", "below 14.5"]),
    ("lobule_sinusoid_spacing", 500.0, ["sinusoid_spacing", "500", "more hepatocytes"]),
    ("lobule_sinusoid_spacing", 0.0, ["sinusoid_spacing", "above 0"]),
    ("lobule_central_vein_radius", 500.0, ["leave no tissue"]),
    ("lobule_portal_vein_radius", 60.0, ["portal vein", "at most the tract's"]),
    ("lobule_site_edge", 5.0, ["3000 hepatocytes on", "larger site_edge"]),
    ("lobule_site_edge", -5.0, ["site_edge", "above 0"]),
    ("lobule_radius", math.nan, ["lobule_radius", "nan", "finite"]),
    ("HEP.volume_share", 0.0, ["HEP.volume_share", "above 0"]),
    ("KC.number", 0.0, ["KC", "above 0"]),
    ("KC.zone_share@1", -0.1, ["zone_share", "from 0"]),
    ("arterial_share", 1.5, ["arterial_share", "0 to 1"]),
    ("lobule_viscosity", 0.0, ["viscosity", "above 0"]),
    ("lobule_perfusion", math.inf, ["lobule_perfusion", "finite"]),
]


@pytest.mark.parametrize(("name", "value", "texts"), BAD)
def test_impossible_anatomy_is_refused(values: dict[str, float], name: str, value: float, texts: list[str]) -> None:
    with pytest.raises(GeometryError) as caught:
        Anatomy.of(values | {name: value})
    for text in texts:
        assert text in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("hepatocytes", [0, -3, True, 2.5])
def test_a_lobule_without_hepatocytes_is_refused(values: dict[str, float], hepatocytes: int) -> None:
    with pytest.raises(GeometryError, match=r"hepatocytes = .*whole number from 1"):
        Anatomy.of(values, hepatocytes=hepatocytes)
    with pytest.raises(GeometryError, match=r"lobules = .*whole number from 1"):
        Anatomy.of(values, lobules=hepatocytes)


def test_too_few_hepatocytes_for_sinusoids_are_refused(values: dict[str, float]) -> None:
    with pytest.raises(GeometryError, match="ask for more hepatocytes"):
        Anatomy.of(values, hepatocytes=5)


def test_missing_numbers_are_named(values: dict[str, float]) -> None:
    without = {name: value for name, value in values.items() if name != "lobule_radius"}
    with pytest.raises(GeometryError, match="1 numbers of anatomy are missing, the first is 'lobule_radius'"):
        Anatomy.of(without)


def test_a_changed_anatomy_is_checked_again(lobule: Geometry) -> None:
    with pytest.raises(GeometryError, match="5 portal triads"):
        replace(lobule.anatomy, portal_triads=5)
    with pytest.raises(GeometryError, match="height = nan"):
        replace(lobule.anatomy, height=math.nan)


@pytest.mark.parametrize("seed", [-1, 2**63])
def test_a_seed_that_is_none_is_refused(lobule: Geometry, seed: int) -> None:
    for make in (build, zones_only, mixed):
        with pytest.raises(HepatalkError, match="seed"):
            make(lobule.anatomy, seed=seed)


# --- The whole --------------------------------------------------------------------------------------------------------


def test_a_seed_makes_the_same_lobule_and_another_a_different_one(values: dict[str, float]) -> None:
    a = Anatomy.of(values, hepatocytes=200)
    assert same(build(a, seed=7), build(a, seed=7))
    assert not same(build(a, seed=7).network.nodes, build(a, seed=8).network.nodes)


def test_counts_are_those_asked_for(lobule: Geometry, three: Geometry) -> None:
    for g in (lobule, three):
        counts = np.bincount(g.cells.type, minlength=len(TYPES))
        wanted = [g.anatomy.count(cell) * g.anatomy.lobules for cell in TYPES]
        assert counts.tolist() == wanted
        assert g.types == TYPES


def test_cells_of_each_type_are_divided_among_zones_as_the_model_says(lobule: Geometry) -> None:
    zone = lobule.sites.zone[lobule.cells.site]
    for cell in ("LSEC", "HSC", "KC", "BEC"):
        own = zone[lobule.cells.type == TYPES.index(cell)]
        share = np.bincount(own, minlength=4)[1:] / len(own)
        np.testing.assert_allclose(share, lobule.anatomy.zone_share[cell], atol=1.0 / len(own))


def test_every_lobule_lies_within_its_boundary(lobule: Geometry, three: Geometry) -> None:
    for g in (lobule, three):
        inside = np.einsum("nk,pk->np", g.cells.position, g.boundary.normal) - g.boundary.offset[g.cells.lobule]
        assert inside.min() > -1e-6
        middle = g.boundary.centre @ g.boundary.normal.T - g.boundary.offset
        np.testing.assert_allclose(middle[:, :6], g.anatomy.lobule_radius * math.sqrt(0.75))
        np.testing.assert_allclose(middle[:, 6:], 0.5 * g.anatomy.height)


def test_cells_and_sites_belong_to_the_same_lobule(three: Geometry) -> None:
    np.testing.assert_array_equal(three.cells.lobule, three.sites.lobule[three.cells.site])
    hepatocytes = three.cells.type == 0
    np.testing.assert_array_equal(np.bincount(three.cells.lobule[hepatocytes]), 300)


def test_every_site_has_hepatocytes_and_each_is_in_the_nearest_one(lobule: Geometry) -> None:
    own = lobule.cells.type == 0
    number = np.bincount(lobule.cells.site[own], minlength=len(lobule.sites.depth))
    assert number.min() >= 1
    nearest = cKDTree(lobule.sites.position).query(lobule.cells.position[own])[1]
    np.testing.assert_array_equal(nearest, lobule.cells.site[own])


# --- Places of cells --------------------------------------------------------------------------------------------------


def _positions(g: Geometry, cell: str) -> tuple[np.ndarray, np.ndarray]:
    own = g.cells.type == TYPES.index(cell)
    return g.cells.position[own], g.cells.edge[own]


def _from_axis(g: Geometry, position: np.ndarray, edge: np.ndarray) -> np.ndarray:
    one, other = g.network.nodes[g.network.edges[edge, 0]], g.network.nodes[g.network.edges[edge, 1]]
    along = other - one
    t = np.clip(((position - one) * along).sum(axis=1) / (along**2).sum(axis=1), 0.0, 1.0)
    return np.asarray(np.linalg.norm(position - one - t[:, None] * along, axis=1))


def test_lsecs_lie_on_the_wall_and_kcs_in_the_lumen(lobule: Geometry) -> None:
    position, edge = _positions(lobule, "LSEC")
    radius = lobule.network.radius[edge]
    # Mirrors and faces press a few of them flat.
    assert np.mean(np.abs(_from_axis(lobule, position, edge) - radius) < 1e-9) > 0.85
    position, edge = _positions(lobule, "KC")
    assert (_from_axis(lobule, position, edge) < lobule.network.radius[edge]).all()
    assert (lobule.network.kind[edge] == SINUSOID).all()


def test_nearly_every_hsc_touches_at_least_two_sinusoids(lobule: Geometry) -> None:
    touched = segments_touched(lobule, "HSC")
    assert len(touched) == lobule.anatomy.count("HSC")
    assert np.mean(touched >= 2) > 0.99
    assert 2.5 < touched.mean() < 6.0


def test_hepatocytes_stand_beside_sinusoids_and_not_in_them(lobule: Geometry) -> None:
    position, edge = _positions(lobule, "HEP")
    gap = _from_axis(lobule, position, edge) - lobule.network.radius[edge]
    assert np.mean(gap < 0.0) < 0.01
    # A plate is one cell thick: hardly any hepatocyte is without a sinusoid within its own diameter.
    assert np.mean(gap < lobule.anatomy.hepatocyte_diameter) > 0.97
    assert cKDTree(position).query(position, k=2)[0][:, 1].min() > 0.3 * lobule.anatomy.hepatocyte_diameter


def test_ducts_and_canals_lie_at_the_portal_tracts(lobule: Geometry) -> None:
    tract = lobule.anatomy.portal_tract_radius
    for cell, reach in (("BEC", tract), ("BIP", tract + 0.5 * lobule.anatomy.cell_diameter["BIP"] + 1e-6)):
        position, _ = _positions(lobule, cell)
        assert len(position) > 0
        assert (lobule.frame.to_corner(position) <= reach).all()
    zone = lobule.sites.zone[lobule.cells.site[lobule.cells.type == TYPES.index("BEC")]]
    assert (zone == 1).all()


# --- Sinusoids --------------------------------------------------------------------------------------------------------


def test_sinusoids_lead_from_tracts_to_the_vein(lobule: Geometry, three: Geometry) -> None:
    for g in (lobule, three):
        network = g.network
        np.testing.assert_allclose(
            network.length, np.linalg.norm(np.diff(network.nodes[network.edges], axis=1)[:, 0], axis=1)
        )
        assert network.radius.min() > 0.0
        np.testing.assert_allclose(g.frame.to_vein(network.nodes[network.outlets]), g.anatomy.central_vein_radius)
        np.testing.assert_allclose(g.frame.to_corner(network.nodes[network.inlets]), 0.0, atol=1e-9)
        pairs = np.sort(network.edges, axis=1)
        assert len(np.unique(pairs, axis=0)) == len(pairs)
        assert (pairs[:, 0] != pairs[:, 1]).all()


def test_sinusoids_widen_towards_the_vein_and_run_along_the_radius(lobule: Geometry) -> None:
    network = lobule.network
    own = network.kind == SINUSOID
    middle = network.nodes[network.edges[own]].mean(axis=1)
    to_vein = lobule.frame.to_vein(middle)
    inner = to_vein < np.quantile(to_vein, 0.25)
    outer = to_vein > np.quantile(to_vein, 0.75)
    assert network.radius[own][inner].mean() > 1.15 * network.radius[own][outer].mean()
    along = np.diff(network.nodes[network.edges[own]], axis=1)[:, 0]
    along /= np.linalg.norm(along, axis=1)[:, None]
    radial = np.abs((along[:, :2] * middle[:, :2]).sum(axis=1)) / to_vein
    assert np.mean(radial**2) > 0.45  # one third where directions are at random


def test_few_sinusoids_end_blind(lobule: Geometry) -> None:
    degree = np.bincount(lobule.network.edges.ravel(), minlength=len(lobule.network.nodes))
    inner = np.setdiff1d(np.arange(len(degree)), np.concatenate([lobule.network.inlets, lobule.network.outlets]))
    assert np.mean(degree[inner] < 2) < 0.01
    assert degree.mean() == pytest.approx(lobule.anatomy.sinusoid_branching, abs=0.1)


def test_neighbouring_lobules_share_tracts_and_venules(three: Geometry) -> None:
    assert len(three.frame.corner) == 18 - 5  # two faces less two corners each, and the middle corner once more
    levels = len(np.unique(three.network.nodes[three.network.inlets, 2]))
    assert len(three.network.inlets) == 13 * levels
    assert (three.network.kind == VENULE).any()


# --- Sites ------------------------------------------------------------------------------------------------------------


def test_sites_share_the_volume_and_touch_both_ways(lobule: Geometry, three: Geometry) -> None:
    for g in (lobule, three):
        s = g.sites
        assert s.volume.sum() == pytest.approx(g.anatomy.tissue_volume * g.anatomy.lobules, rel=1e-12)
        assert s.volume.min() > 0.2 * s.volume.mean()
        one = np.repeat(np.arange(len(s.volume)), np.diff(s.start))
        forward = dict(zip(zip(one.tolist(), s.other.tolist(), strict=True), s.area.tolist(), strict=True))
        assert all(forward[j, i] == area for (i, j), area in forward.items())
        np.testing.assert_allclose(s.distance, np.linalg.norm(s.position[one] - s.position[s.other], axis=1))
        assert (np.diff(s.start) >= 1).all()


def test_the_area_of_contact_is_that_of_planes(lobule: Geometry) -> None:
    # Round parts of volume V that fill space have about 5.3 V^(2/3) of surface; those at the rim have a free side.
    s = lobule.sites
    one = np.repeat(np.arange(len(s.volume)), np.diff(s.start))
    area = np.bincount(one, weights=s.area)
    surface = area / s.volume ** (2.0 / 3.0)
    assert 2.0 < np.median(surface) < 5.8
    assert surface.max() < 7.0


def test_zones_hold_a_third_of_the_hepatocytes_each_in_the_order_of_depth(lobule: Geometry) -> None:
    s = lobule.sites
    number = np.bincount(lobule.cells.site[lobule.cells.type == 0], minlength=len(s.depth))
    share = np.bincount(s.zone, weights=number)[1:] / number.sum()
    np.testing.assert_allclose(share, 1.0 / 3.0, atol=number.max() / number.sum())
    assert s.depth.min() >= 0.0
    assert s.depth.max() <= 1.0
    for zone in (1, 2):
        assert s.depth[s.zone == zone].max() <= s.depth[s.zone == zone + 1].min()
    to_vein = lobule.frame.to_vein(s.position)
    assert np.corrcoef(to_vein, s.depth)[0, 1] < -0.8


def test_zones_of_few_sites() -> None:
    assert zones(np.array([0.1, 0.5, 0.9]), np.array([1, 100, 1])).tolist() == [1, 2, 3]
    assert zones(np.array([0.9, 0.1, 0.5]), np.array([5, 5, 5])).tolist() == [3, 1, 2]


def test_the_exchange_of_every_site_is_divided_whole(lobule: Geometry) -> None:
    e = lobule.sites.exchange
    total = np.bincount(e.site, weights=e.weight, minlength=len(lobule.sites.depth))
    np.testing.assert_allclose(total, 1.0, rtol=1e-12)
    assert e.start[-1] == len(e.site)
    assert (e.weight > 0.0).all()


# --- Comparison, artificial geometries --------------------------------------------------------------------------------


@pytest.mark.parametrize("species", ["rat", "mouse", "human"])
def test_a_lobule_lies_within_what_was_measured(species: str) -> None:
    knowledge = load()
    model = compile_model(knowledge, species)  # type: ignore[arg-type]
    rows = compare(build(Anatomy.of(model.anatomy), seed=2), expected(knowledge, species))  # type: ignore[arg-type]
    assert len(rows) == sum(p.id.startswith("lobule_check_") for p in knowledge.parameters)
    assert [row.quantity for row in rows if not row.within] == []
    assert all(row.source and row.unit for row in rows)


def test_a_lobule_outside_is_said_to_be_so(lobule: Geometry) -> None:
    found = measure(lobule)["kc_share"]
    row = compare(lobule, {"kc_share": (found + 0.1, 1.0, "1", "x"), "other": (0.0, 1.0, "1", "x")})
    assert [(r.quantity, r.within) for r in row] == [("kc_share", False)]


def test_check_leaves_with_1_where_a_lobule_is_outside(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], lobule: Geometry
) -> None:
    monkeypatch.setattr("hepatalk.model.anatomy.expected", lambda *_: {"kc_share": (0.9, 1.0, "1", "bouwens1986")})
    monkeypatch.setattr("hepatalk.engines.lobule.geometry.build", lambda *_, **__: lobule)
    with pytest.raises(typer.Exit) as caught:
        checking._check_lobule(load(), as_json=False)
    assert caught.value.exit_code == 1
    said = capsys.readouterr().out
    assert said.count("outside\n") == 3
    assert "3 quantities of 3 lobules: 3 outside their range" in said


def test_anatomy_is_part_of_the_hash(lobule: Geometry) -> None:
    knowledge = load()
    plain, other = (compile_model(knowledge, "rat", overrides=o) for o in ({}, {"lobule_radius": 410.0}))
    assert plain.hash != other.hash
    assert other.anatomy == {**plain.anatomy, "lobule_radius": 410.0}
    assert np.array_equal(plain.params, other.params)


@pytest.mark.parametrize("make", [zones_only, mixed])
def test_three_sites_have_the_cells_of_the_model(values: dict[str, float], make: Callable[..., Geometry]) -> None:
    a = Anatomy.of(values, hepatocytes=900)
    g = make(a, seed=5)
    assert g.sites.zone.tolist() == [1, 2, 3]
    assert g.sites.volume.sum() == pytest.approx(a.tissue_volume)
    number = np.array([np.bincount(g.cells.site[g.cells.type == k], minlength=3) for k in range(len(TYPES))])
    assert number.sum(axis=1).tolist() == [a.count(cell) for cell in TYPES]
    assert number[0].tolist() == [300, 300, 300]
    np.testing.assert_allclose(number[3] / number[3].sum(), a.zone_share["KC"], atol=1.0 / number[3].sum())
    assert same(g, make(a, seed=5))
    inside = g.cells.position @ g.boundary.normal.T - g.boundary.offset[g.cells.lobule]
    assert inside.min() >= 0.0


def test_zones_only_do_not_touch_and_share_the_blood_alike(values: dict[str, float]) -> None:
    g = zones_only(Anatomy.of(values, hepatocytes=900), seed=5)
    assert len(g.sites.other) == 0
    assert g.sites.start.tolist() == [0, 0, 0, 0]
    through = -g.flow.source[g.network.outlets]
    np.testing.assert_allclose(through, g.anatomy.inflow / 3.0, rtol=1e-12)


def test_mixed_sites_all_touch_at_one_node(values: dict[str, float]) -> None:
    g = mixed(Anatomy.of(values, hepatocytes=900), seed=5)
    assert g.sites.start.tolist() == [0, 2, 4, 6]
    assert g.sites.other.tolist() == [1, 2, 0, 2, 0, 1]
    assert len(set(g.sites.node.tolist())) == 1


# --- Helpers of the building ------------------------------------------------------------------------------------------


def test_hexagons_share_corners() -> None:
    for lobules, corners, faces in ((1, 6, 6), (2, 10, 11), (3, 13, 15), (7, 24, 30)):
        f = frame(100.0, 10.0, lobules)
        assert (len(f.corner), len(f.face)) == (corners, faces)
        apart = [np.hypot(*(a - b)) for i, a in enumerate(f.centre) for b in f.centre[:i]]
        assert all(d > 100.0 * math.sqrt(3.0) - 1e-6 for d in apart)


def test_points_keep_apart() -> None:
    candidates = np.hstack([draws(1, 0, 3000), draws(1, 1, 3000)[:, :1]])
    kept = candidates[keep_apart(candidates, 0, 0.1)]
    assert 300 < len(kept) < 1000
    assert cKDTree(kept).query(kept, k=2)[0][:, 1].min() >= 0.1
    assert keep_apart(np.zeros((5, 3)), 3, 0.1).tolist() == [0, 1, 2]


def test_quotas_add_up_and_samples_are_even() -> None:
    assert quotas(10, np.array([1.0, 1.0, 1.0])).sum() == 10
    assert quotas(6, np.array([0.98, 0.015, 0.005])).tolist() == [6, 0, 0]
    chosen = even_sample(np.array([1.0, 0.0, 3.0]), 40, 0.5)
    assert np.bincount(chosen, minlength=3).tolist() == [10, 0, 30]
    assert len(even_sample(np.ones(3), 0, 0.5)) == 0


def test_centres_share_a_cloud_alike() -> None:
    cloud = np.hstack([draws(2, 0, 4000), draws(2, 1, 4000)[:, :1]])
    points = centres(cloud, 20, 1.0 / 20.0, 4, 0, 20)
    size = np.bincount(cKDTree(points).query(cloud)[1], minlength=20)
    assert size.min() > 0.5 * size.mean()
    assert size.max() < 1.6 * size.mean()
