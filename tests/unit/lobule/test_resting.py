"""Health of contact signals: cells rest before contacts are measured, and what nodes make of what cells then see.

Two things have to be told apart. Contacts differ from cell to cell, which moves the mean of a node a little. Rare
senders are there or not, which moves it much: a law that saturates, read by few cells that see much and many that see
nothing, has a lower mean than at the mean (Jensen). Only the first is a matter of how what is seen is normalised.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from hepatalk.engines.lobule.anatomy import Anatomy
from hepatalk.engines.lobule.geometry import build
from hepatalk.engines.lobule.layout import Evaluation
from hepatalk.engines.lobule.resting import at_rest
from hepatalk.engines.lobule.state import State, first_cells
from hepatalk.engines.lobule.system import LobuleSystem
from hepatalk.engines.lobule.tables import compartments_of
from hepatalk.engines.lobule.tissue import Tissue, from_geometry
from hepatalk.engines.lobule.touch import touching
from hepatalk.knowledge.load import load
from hepatalk.model.compiled import CompiledModel
from hepatalk.model.compiler import compile_model

Floats = npt.NDArray[np.float64]
Census = tuple[Floats, Floats, Floats]
DRAWS = 60


@pytest.fixture(scope="module")
def model() -> CompiledModel:
    return compile_model(load(), "rat")


@pytest.fixture(scope="module")
def built(model: CompiledModel) -> Tissue:
    return from_geometry(build(Anatomy.of(model.anatomy, hepatocytes=700), seed=1), compartments_of(model))


@pytest.fixture(scope="module")
def system(model: CompiledModel, built: Tissue) -> LobuleSystem:
    return LobuleSystem(model, built, 1, 1e-2)


@pytest.fixture
def state(system: LobuleSystem) -> State:
    return system.healthy(*first_cells(system.comps, system.tissue, 1), 0.0)


# ----------------------------------------------------------------------------------------------- cells at rest


def contacts(system: LobuleSystem, position: Floats, receiver: str, sender: str) -> int:
    """Return how many pairs of two cell types touch."""
    assert system.contacts is not None
    types, of = system.comps.types, system.tissue.type_
    one, other = touching(position, system.contacts._reach[of], np.zeros(len(of), dtype=np.int64))
    return int(((of[one] == types.index(receiver)) & (of[other] == types.index(sender))).sum())


def test_cells_rest_where_more_time_changes_little(model: CompiledModel) -> None:
    """As built, BECs would come to touch more hepatocytes by 40%; at rest, three days change a twentieth at most.

    In a lobule large enough that a pair of BECs more or less is no tenth of them.
    """
    tissue = from_geometry(build(Anatomy.of(model.anatomy, hepatocytes=2000), seed=1), compartments_of(model))
    system = LobuleSystem(model, tissue, 1, 1e-2)
    state = system.healthy(*first_cells(system.comps, system.tissue, 1), 0.0)
    assert system.motion is not None
    assert system.endothelium is not None
    begun = state.cells.position[: state.n].copy()
    np.testing.assert_array_equal(begun, system.tissue.cell_position)
    for _ in range(12):
        system.motion.settle(state, 0.0)
        system.endothelium.renew(state)
        system.motion.confine(state)
    end = state.cells.position[: state.n]
    for pair in (("HEP", "LSEC"), ("KC", "LSEC"), ("BEC", "HEP"), ("BEC", "BEC")):
        assert contacts(system, end, *pair) == pytest.approx(contacts(system, begun, *pair), rel=0.05), pair
    first, later = (contacts(system, x, "BEC", "HEP") for x in (tissue.cell_position, begun))
    assert later > 1.3 * first


def test_rest_keeps_cells_vessels_and_zones(system: LobuleSystem, built: Tissue) -> None:
    rested = at_rest(built, system.comps, 1)
    np.testing.assert_array_equal(rested.type_, built.type_)
    np.testing.assert_array_equal(rested.zone, built.zone)
    common = built.expected.sum(axis=0) > 10.0  # of rarer ones there may be fractions of a cell
    assert common.sum() == 5
    np.testing.assert_allclose(rested.expected.sum(axis=0)[common], built.expected.sum(axis=0)[common], rtol=1e-9)
    assert rested.space is built.space
    own = np.bincount(rested.cell_site, weights=rested.type_ == 0, minlength=rested.n_sites)
    np.testing.assert_array_equal(rested.expected[:, 0], own)
    np.testing.assert_array_equal(rested.cell_position, system.tissue.cell_position)  # the same every time


# ----------------------------------------------------------------------------------------- what health then sees


def expected(system: LobuleSystem, state: State) -> Census:
    """Return cells in the states that health has in the mean, in fractions of a cell, each beside what it touches."""
    c, zone = system.comps, system.tissue.zone
    commonest = np.array([_own(system, k)[np.argmax(c.rest[0, _own(system, k)])] for k in range(len(c.types))])
    state.cells.comp[: state.n] = commonest[c.type_of[state.cells.comp[: state.n]]]
    system.see_contacts(state)
    count = np.zeros((system.tissue.n_sites, c.n))
    for k in range(len(c.types)):
        own = _own(system, k)
        total = np.maximum(c.rest[:, own].sum(axis=1, keepdims=True), 1e-12)
        count[:, own] = system.tissue.expected[:, [k]] * (c.rest[:, own] / total)[zone]
    return count, count.copy(), system.census(state)[2]


def drawn(system: LobuleSystem, state: State, rng: np.random.Generator) -> Census:
    """Return cells each of which is in a state drawn from those of health."""
    c, zone = system.comps, system.tissue.zone[state.cells.site[: state.n]]
    type_ = c.type_of[state.cells.comp[: state.n]].copy()
    for k in range(len(c.types)):
        own = _own(system, k)
        for z in range(3):
            here = np.flatnonzero((type_ == k) & (zone == z))
            if len(here):
                state.cells.comp[here] = rng.choice(own, size=len(here), p=c.rest[z, own] / c.rest[z, own].sum())
    system.see_contacts(state)
    return system.census(state)


def _own(system: LobuleSystem, kind: int) -> npt.NDArray[np.int64]:
    return np.flatnonzero(system.comps.type_of == kind)


def standing(system: LobuleSystem, state: State, census: Census) -> Evaluation:
    """Evaluate a tissue whose contact signals are at the level that its senders keep up."""
    assert system.contacts is not None
    level = [x.copy() for x in state.level]
    now = system.evaluation(state, level=level, census=census)
    for z, p in enumerate(system.programs):
        for k, i in enumerate(p.states[p.moving]):
            signal = system.model.state_names[i].partition("@")[0].removeprefix("signal.")
            if signal in system.contacts.names:
                level[z][:, k] = now.production[z][:, k] / now.loss[z][:, k]
    return system.evaluation(state, level=level, census=census)


def seen(system: LobuleSystem, now: Evaluation, census: Census) -> dict[tuple[str, str, int], float]:
    """Return what the cells of a type see of each contact signal, x health: the mean over cells of a zone."""
    assert system.contacts is not None
    out = {}
    for f, receiver in system.contacts.who:
        name, cell = system.contacts.names[f], system.comps.types[receiver]
        for z, (p, sites) in enumerate(zip(system.programs, system.sites, strict=True)):
            column = p.seen.get((system.model.slot_index[f"free.{name}@{z + 1}"], cell))
            number = census[0][np.ix_(sites, _own(system, receiver))].sum(axis=1)
            if column is not None and number.any():
                rest = system.model.rest[system.model.slot_index[f"signal.{name}@{z + 1}"]]
                out[name, cell, z + 1] = float(np.average(now.rows[z][:, column], weights=number) / rest)
    return out


def node(system: LobuleSystem, now: Evaluation, name: str) -> float:
    """Return what a node moves to, x health, as the sums over a zone have it; the mean over the zones it lives in."""
    found = []
    for z, (p, sites) in enumerate(zip(system.programs, system.sites, strict=True)):
        i = system.model.slot_index.get(f"node.{name}@{z + 1}")
        if i is None:
            continue
        k = int(np.flatnonzero(p.states[p.moving] == i)[0])
        target = now.production[z][:, k] / now.loss[z][:, k]
        found.append(float(system.tissue.weight[sites] @ target) / system.model.rest[i])
    return float(np.mean(found))


#: Nodes that read contact signals, and how far unlike contacts alone may move their mean.
READERS = {"HEP.CTNNB1": 0.08, "HEP.NOTCH": 0.02, "BEC.GLI": 0.05, "BEC.NOTCH": 0.08}


def test_with_senders_as_in_the_mean_health_is_seen_and_nodes_rest(system: LobuleSystem, state: State) -> None:
    census = expected(system, state)
    now = standing(system, state, census)
    found = seen(system, now, census)
    assert {("WNT", "HEP", 3), ("ICAM1", "KC", 1), ("JAG1", "BEC", 1), ("HH", "BEC", 1)} <= set(found)
    for key, level in found.items():
        assert level == pytest.approx(1.0, rel=1e-9), key
    for name, error in READERS.items():
        assert node(system, now, name) == pytest.approx(1.0, abs=error), name


def test_without_its_rare_senders_a_node_falls_to_what_the_others_present(system: LobuleSystem, state: State) -> None:
    """BECs see HSCs in two thirds of their JAG1 and half of their Hedgehog; no HSC is roused."""
    count, volume, marked = expected(system, state)
    hsc = _own(system, system.comps.types.index("HSC"))
    roused = hsc[system.comps.rest[0, hsc] < 0.5]
    count[:, roused] = 0.0
    now = standing(system, state, (count, volume, marked))
    found = seen(system, now, (count, volume, marked))
    assert found["JAG1", "BEC", 1] == pytest.approx(1.0 / 3.0, rel=0.02)
    assert found["HH", "BEC", 1] == pytest.approx(0.5, rel=0.02)
    for name in ("HEP.NOTCH", "BEC.NOTCH", "BEC.GLI"):
        assert node(system, now, name) < 0.55, name
    assert node(system, now, "HEP.CTNNB1") == pytest.approx(1.0, abs=READERS["HEP.CTNNB1"])


def test_chance_leaves_the_mean_of_what_is_seen_and_lowers_what_saturates(system: LobuleSystem, state: State) -> None:
    """Two of a hundred HSCs are roused: Notch and GLI of single lobules are at a half to four fifths of health."""
    rng = np.random.Generator(np.random.PCG64(7))
    nodes: dict[str, list[float]] = {name: [] for name in READERS}
    levels = []
    for _ in range(DRAWS):
        census = drawn(system, state, rng)
        now = standing(system, state, census)
        levels.append(seen(system, now, census)["JAG1", "HEP", 2])
        for name, values in nodes.items():
            values.append(node(system, now, name))
    assert abs(np.mean(levels) - 1.0) < 3.0 * np.std(levels, ddof=1) / np.sqrt(DRAWS)
    for name in ("HEP.NOTCH", "BEC.NOTCH", "BEC.GLI"):
        assert 0.5 < np.mean(nodes[name]) < 0.85, name
    assert np.mean(nodes["HEP.CTNNB1"]) == pytest.approx(1.0, abs=READERS["HEP.CTNNB1"])
