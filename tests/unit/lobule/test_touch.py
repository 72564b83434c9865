"""Contact signals: who touches whom, and what a cell sees of what its neighbours present."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from hepatalk.engines.lobule.anatomy import Anatomy
from hepatalk.engines.lobule.geometry import build
from hepatalk.engines.lobule.layout import Evaluation
from hepatalk.engines.lobule.local import places_of_slots, zone_program
from hepatalk.engines.lobule.row_kernels import evaluate_sites
from hepatalk.engines.lobule.state import State, first_cells
from hepatalk.engines.lobule.system import LobuleSystem
from hepatalk.engines.lobule.tables import compartments_of
from hepatalk.engines.lobule.tissue import from_geometry
from hepatalk.engines.lobule.touch import REACH, Contacts, touching
from hepatalk.knowledge.load import load
from hepatalk.model.compiled import CompiledModel
from hepatalk.model.compiler import compile_model

Floats = npt.NDArray[np.float64]


@pytest.fixture(scope="module")
def model() -> CompiledModel:
    return compile_model(load(), "rat")


@pytest.fixture(scope="module")
def system(model: CompiledModel) -> LobuleSystem:
    tissue = from_geometry(build(Anatomy.of(model.anatomy, hepatocytes=700), seed=1), compartments_of(model))
    return LobuleSystem(model, tissue, 1, 1e-2)


@pytest.fixture
def state(system: LobuleSystem) -> State:
    fresh = system.healthy(*first_cells(system.comps, system.tissue, 1), 0.0)
    system.see_contacts(fresh)  # the cells of health are at rest: see hepatalk.engines.lobule.resting
    return fresh


def contacts_of(system: LobuleSystem) -> Contacts:
    assert system.contacts is not None
    return system.contacts


def seen(system: LobuleSystem, now: Evaluation, signal: str, cell: str) -> Floats:
    """Return what the cells of a type see at every site; NaN in zones where none lives."""
    out = np.full(system.tissue.n_sites, np.nan)
    for z, (p, sites) in enumerate(zip(system.programs, system.sites, strict=True)):
        column = p.seen.get((system.model.slot_index[f"free.{signal}@{z + 1}"], cell))
        if column is not None:
            out[sites] = now.rows[z][:, column]
    return out


def of_type(system: LobuleSystem, state: State, cell: str) -> npt.NDArray[np.int64]:
    return np.flatnonzero(system.comps.type_of[state.cells.comp[: state.n]] == system.comps.types.index(cell))


def test_cells_touch_within_reach_and_in_one_lobule() -> None:
    reach = np.array([11.0, 4.0])
    for share, lobule, pairs in ((0.999, [0, 0], [(0, 1), (1, 0)]), (1.001, [0, 0], []), (0.5, [0, 1], [])):
        position = np.array([[0.0, 0.0, 0.0], [0.0, share * REACH * 15.0, 0.0]])
        receiver, sender = touching(position, reach, np.array(lobule))
        assert list(zip(receiver.tolist(), sender.tolist(), strict=True)) == pairs


@pytest.mark.parametrize("zone", [1, 2, 3])
def test_operations_written_for_each_receiver_are_those_of_the_tape(model: CompiledModel, zone: int) -> None:
    """Where every type sees the level of the zone, all values are those of the tape as it was."""
    place = places_of_slots(model)
    free = [t.free for t in model.fates.touches if place[t.state] == zone]
    wanted = [model.slot_index[f"volume@{zone}"]]
    plain = zone_program(model, zone, place, wanted=wanted)
    split = zone_program(model, zone, place, wanted=wanted, touched=free)
    assert {cell for _, cell in split.seen} >= {"HEP", "KC"}
    assert 0 < split.late < len(split.law)
    rng = np.random.Generator(np.random.PCG64(zone))
    front = len(plain.external) + len(plain.states)
    assert np.array_equal(plain.external, split.external)
    one, other = np.zeros((1, plain.width)), np.zeros((1, split.width))
    one[0, :front] = other[0, :front] = rng.uniform(0.1, 3.0, front)
    evaluate_sites(one, model.params, plain.law, plain.input_start, plain.inputs, plain.argument_start, plain.arguments)
    evaluate_sites(other[:, : -split.late], model.params, *split.early)
    for (slot, _), column in split.seen.items():
        other[0, column] = other[0, split.column[slot]]
    evaluate_sites(other, model.params, *split.last)
    for slot, column in plain.column.items():
        assert other[0, split.column[slot]] == one[0, column]


def test_only_what_a_type_sees_moves_its_own_targets(model: CompiledModel) -> None:
    place = places_of_slots(model)
    p = zone_program(model, 2, place, touched=[model.slot_index["free.JAG1@2"]])
    assert {cell for _, cell in p.seen} == {"HEP", "BIP"}
    row = np.ones((1, p.width))
    targets = {}
    for hep in (0.5, 5.0):
        evaluate_sites(row[:, : -p.late], model.params, *p.early)
        for (_, cell), column in p.seen.items():
            row[0, column] = hep if cell == "HEP" else 1.0
        evaluate_sites(row, model.params, *p.last)
        targets[hep] = {
            cell: float(row[0, p.column[model.slot_index[f"drive.node.{cell}.NOTCH@2"]]]) for cell in ("HEP", "BIP")
        }
    assert targets[0.5]["BIP"] == targets[5.0]["BIP"]
    assert targets[0.5]["HEP"] < targets[5.0]["HEP"]


def test_one_in_health_in_the_mean_of_each_zone(system: LobuleSystem, state: State) -> None:
    now = system.evaluation(state)
    for signal, cell, error in (("WNT", "HEP", 0.03), ("ICAM1", "KC", 0.05)):
        own = of_type(system, state, cell)
        site = state.cells.site[own]
        level = seen(system, now, signal, cell)[site]
        for z in range(3):
            here = system.tissue.zone[site] == z
            rest = system.model.rest[system.model.slot_index[f"signal.{signal}@{z + 1}"]]
            assert level[here].mean() == pytest.approx(rest, rel=error)
            assert level[here].std() > 0.05 * rest  # contacts differ from cell to cell


def test_without_a_sender_that_touches_nothing_is_seen(system: LobuleSystem, state: State) -> None:
    """All LSECs are led far away; then one comes back to one hepatocyte."""
    hep, lsec = of_type(system, state, "HEP"), of_type(system, state, "LSEC")
    before = seen(system, system.evaluation(state), "WNT", "HEP")
    state.cells.position[lsec] += np.array([5000.0, 0.0, 0.0])
    system.see_contacts(state)
    assert (seen(system, system.evaluation(state), "WNT", "HEP") == 0.0).all()
    assert before.min() > 0.0
    # A lone hepatocyte far outside, at the site where it was, and an LSEC beside it.
    one, other = int(hep[0]), int(lsec[0])
    state.cells.position[one] = (-5000.0, 0.0, 0.0)
    reach = contacts_of(system)._reach[[system.comps.types.index(t) for t in ("HEP", "LSEC")]].sum()
    for share, touches in ((0.99, True), (1.01, False)):
        state.cells.position[other] = (-5000.0, share * REACH * reach, 0.0)
        system.see_contacts(state)
        level = seen(system, system.evaluation(state), "WNT", "HEP")
        assert np.flatnonzero(level).tolist() == ([int(state.cells.site[one])] if touches else [])
        mean = (state.touch_at[:, 0] == 0).sum()
        assert (mean == 1) == touches
        if touches:
            at, of = state.cells.site[one], state.cells.site[other]
            number = [int((state.cells.site[x] == s).sum()) for x, s in ((hep, at), (lsec, of))]
            (chance,) = state.touch_chance[state.touch_at[:, 0] == 0]
            assert chance == pytest.approx(1.0 / (number[0] * number[1]), rel=1e-12)


def test_senders_that_are_gone_present_nothing_at_once(system: LobuleSystem, state: State) -> None:
    count, volume, marked = system.census(state)
    bare = count.copy()
    bare[:, system.comps.type_of == system.comps.types.index("LSEC")] = 0.0
    now = system.evaluation(state, census=(bare, volume, marked))
    assert (seen(system, now, "WNT", "HEP") == 0.0).all()


def test_the_order_of_the_cells_means_nothing(system: LobuleSystem, state: State) -> None:
    before = state.touch_at.copy(), state.touch_chance.copy(), state.touch_bare.copy()
    order = np.random.Generator(np.random.PCG64(5)).permutation(state.n)
    for values in state.cells:
        values[: state.n] = values[order]
    system.see_contacts(state)
    for one, other in zip(before, (state.touch_at, state.touch_chance, state.touch_bare), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_receiver_sees_only_those_that_present(system: LobuleSystem, state: State) -> None:
    """Stellate cells present while roused: none is, so that nothing is seen; then all of one site are."""
    c = system.comps
    hsc = of_type(system, state, "HSC")
    kind = next(
        k
        for k in contacts_of(system).kinds
        if contacts_of(system).names[contacts_of(system).who[k.who][0]] == "TGFA_HSC"
    )
    quiet = next(i for i in np.flatnonzero(c.type_of == c.types.index("HSC")) if not kind.presents[i])
    loud = next(int(i) for i in np.flatnonzero(kind.presents))
    state.cells.comp[hsc] = quiet
    system.see_contacts(state)
    assert (seen(system, system.evaluation(state), "TGFA_HSC", "BIP") == 0.0).all()
    site = int(state.cells.site[hsc[0]])
    state.cells.comp[hsc[state.cells.site[hsc] == site]] = loud
    at_once = seen(system, system.evaluation(state), "TGFA_HSC", "BIP")
    system.see_contacts(state)
    counted = seen(system, system.evaluation(state), "TGFA_HSC", "BIP")
    near = np.linalg.norm(system.tissue.position - system.tissue.position[site], axis=1) < 130.0
    for level in (at_once, counted):
        assert level[site] > 0.0
        assert (level[~near] == 0.0).all()
    np.testing.assert_allclose(at_once, counted, rtol=1e-9)
