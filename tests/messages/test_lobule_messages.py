"""What the lobule engine refuses, and what it says."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from hepatalk.engines.lobule.anatomy import Anatomy
from hepatalk.engines.lobule.engine import LobuleEngine, LobuleSettings, step
from hepatalk.engines.lobule.flow import Flow
from hepatalk.engines.lobule.geometry import build
from hepatalk.engines.lobule.layout import Evaluation
from hepatalk.engines.lobule.state import State, first_cells
from hepatalk.engines.lobule.system import LobuleSystem
from hepatalk.engines.lobule.tables import compartments_of
from hepatalk.engines.lobule.tissue import Space, Tissue, from_geometry, zones_only
from hepatalk.errors import EngineError, HepatalkError
from hepatalk.knowledge import load
from hepatalk.model import compile_model
from hepatalk.model.compiled import CompiledModel
from hepatalk.model.schedule import Change

SHORT = np.array([0.0, 0.01])


@pytest.fixture(scope="module")
def model() -> CompiledModel:
    return compile_model(load())


@pytest.fixture(scope="module")
def zones(model: CompiledModel) -> Tissue:
    return zones_only(compartments_of(model), dict.fromkeys(model.fates.cells, 300))


def said(work: Callable[[], object]) -> str:
    with pytest.raises(HepatalkError) as caught:
        work()
    text = str(caught.value)
    assert "\n" not in text
    return text


CHANGES = {
    "cells from nowhere": (
        ("scale_state", "KC", 2.0),
        "state 'KC' times 2: cells do not come from nowhere in a lobule; allowed: 0 to 1; use --engine population",
    ),
    "unknown state": (("scale_state", "KX", 0.5), "unknown state 'KX'; nearest: KC, "),
    "unknown cell": (
        ("kill", "HEPP", 0.5),
        "unknown cell 'HEPP'; allowed: HEP, LSEC, HSC, KC, BEC, BIP; correct the schedule",
    ),
    "unknown label": (("mark", "HEP.mark", 0.5), "unknown label 'HEP.mark'; nearest: "),
    "lobe": (
        ("scale_extensive", "A", 0.5),
        "unknown part of the liver 'A'; allowed: liver; use --engine population for two lobes",
    ),
    "set": (("set_state", "KC", 0.0), "a lobule's state cannot be set; allowed: what happens in an animal; "),
    "seed": (("seed", "KC", 1.0), "a lobule's state cannot be set; allowed: what happens in an animal; "),
    "unknown parameter": (("set_parameter", "hep_prime_rat", 0.5), "unknown parameter 'hep_prime_rat'; nearest: "),
}


@pytest.mark.parametrize("case", CHANGES)
def test_changes_that_a_lobule_cannot_have(model: CompiledModel, zones: Tissue, case: str) -> None:
    (action, target, value), expected = CHANGES[case]
    change = Change(0.0, action, target, value, "what was asked")  # type: ignore[arg-type]
    assert expected in said(lambda: LobuleEngine(1, zones).run(model, [change], SHORT))


def test_a_start_state(model: CompiledModel, zones: Tissue) -> None:
    text = said(lambda: LobuleEngine(1, zones).run(model, [], SHORT, start=model.rest))
    assert text.startswith("the lobule engine begins with a healthy tissue; allowed: ")
    assert text.endswith("use --engine population for a start state")


def test_two_lobes(model: CompiledModel, zones: Tissue) -> None:
    two = replace(model, lobes=("A", "B"))
    text = said(lambda: LobuleSystem(two, zones, 1, 1e-2))
    assert text.startswith("a lobule is the same in every lobe; allowed: experiments on a liver that is not divided")


@pytest.mark.parametrize("when", ["at once", "later"])
@pytest.mark.parametrize(
    ("parameter", "what"),
    [
        ("supply.IL6", r"^'signal\.IL6' is not finite at site \d \(zone \d\) at "),
        ("hep_prime_rate", r"^the rate of 'HEP\.prime' is not finite at site \d \(zone \d\) at "),
        ("supply.LPS", r"^'signal\.LPS' of the body is not finite at "),
    ],
)
def test_what_is_not_finite_is_named_in_its_step(
    model: CompiledModel, zones: Tissue, parameter: str, what: str, when: str
) -> None:
    at_h = 0.0 if when == "at once" else 0.05
    change = Change(at_h, "set_parameter", parameter, float("nan"), "a fault")
    text = said(lambda: LobuleEngine(1, zones).run(model, [change], np.array([0.0, 0.1])))
    assert re.search(what, text), text
    assert f" at {at_h:g} h; check the parameters set" in text


@pytest.mark.parametrize("what", ["volume", "clock", "position"])
@pytest.mark.parametrize("nothing", [float("nan"), float("inf")])
def test_a_cell_whose_numbers_are_not_finite_is_named_in_its_step(
    model: CompiledModel, monkeypatch: pytest.MonkeyPatch, what: str, nothing: float
) -> None:
    engine = LobuleEngine.in_space(model, 1, LobuleSettings(hepatocytes=150))
    system = LobuleSystem(model, engine.tissue, 1, 5e-2)
    cells, n, ident = first_cells(system.comps, engine.tissue, 1)
    state = system.healthy(cells, n, ident, 0.0)
    state.step_h = 0.01
    step(system, state, 1.0)
    plain = LobuleSystem._grow

    def lost(self: LobuleSystem, state: State, now: Evaluation, then: Evaluation, h: float) -> None:
        plain(self, state, now, then, h)
        getattr(state.cells, what)[7] = nothing

    monkeypatch.setattr(LobuleSystem, "_grow", lost)
    before, h = state.time_h, state.step_h
    text = said(lambda: step(system, state, 1.0))
    site = int(state.cells.site[7])
    zone = int(engine.tissue.zone[site]) + 1
    assert text == (
        f"the {what} of cell 7 (HEP, site {site}, zone {zone}) is not finite at {before + h:.6g} h; "
        "check the parameters set"
    )


def test_flow_that_is_not_finite_is_named(model: CompiledModel, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = LobuleEngine.in_space(model, 1, LobuleSettings(hepatocytes=150))
    plain = Space.at_sites

    def lost(self: Space, flow: Flow) -> np.ndarray:
        out = plain(self, flow)
        out[4] = np.nan
        return out

    monkeypatch.setattr(Space, "at_sites", lost)
    zone = int(engine.tissue.zone[4]) + 1
    text = said(lambda: engine.run(model, [], SHORT))
    assert text == f"the flow at site 4 (zone {zone}) is not finite at 0 h; check the parameters set"


def test_no_step_is_short_enough(model: CompiledModel, zones: Tissue) -> None:
    change = Change(0.0, "scale_extensive", "liver", 0.3, "70% removed")
    text = said(lambda: LobuleEngine(1, zones, 1e-30).run(model, [change], SHORT))
    assert text.startswith("no step is short enough at 0 h (error ")


def test_tissue_without_cells(model: CompiledModel, zones: Tissue) -> None:
    comps = compartments_of(model)
    few = dict.fromkeys(model.fates.cells, 30) | {"BIP": 0}
    assert said(lambda: zones_only(comps, few)) == (
        "0 cells of type BIP; allowed: one or more of HEP, LSEC, HSC, KC, BEC, BIP; ask for more hepatocytes"
    )
    bare = zones.expected.copy()
    bare[1, 3] = 0.0
    without = replace(zones, expected=bare)
    assert said(lambda: LobuleSystem(model, without, 1, 1e-2)) == (
        "the tissue has no KC in zone 2; allowed: some; build a larger tissue"
    )


def test_tissue_without_a_zone_or_with_strangers(model: CompiledModel) -> None:
    geometry = build(Anatomy.of(model.anatomy, hepatocytes=300), seed=1)
    comps = compartments_of(model)
    flat = replace(geometry, sites=replace(geometry.sites, zone=np.minimum(geometry.sites.zone, 2)))
    assert said(lambda: from_geometry(flat, comps)).startswith("the tissue lacks a zone; allowed: sites in all 3")
    strange = replace(geometry, types=("HEP", "LSEC", "HSC", "NEURON", "BEC", "BIP"))
    assert "cell type 'NEURON' of the tissue is not in the model; allowed: HEP" in said(
        lambda: from_geometry(strange, comps)
    )


def test_all_of_these_are_errors_of_the_engine(model: CompiledModel, zones: Tissue) -> None:
    with pytest.raises(EngineError):
        LobuleEngine(1, zones).run(model, [], SHORT, start=model.rest)
