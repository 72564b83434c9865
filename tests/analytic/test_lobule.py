"""The steps of the lobule engine: order of convergence, and what is left when the tolerance falls."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from hepatalk.engines.lobule import engine as stepping
from hepatalk.engines.lobule.engine import LobuleEngine
from hepatalk.engines.lobule.state import State
from hepatalk.engines.lobule.system import LobuleSystem
from hepatalk.engines.lobule.tables import compartments_of
from hepatalk.engines.lobule.tissue import Tissue, zones_only
from hepatalk.engines.population.engine import PopulationEngine
from hepatalk.model.compiled import CompiledModel
from hepatalk.model.schedule import Change

Floats = npt.NDArray[np.float64]
PHX70 = Change(0.0, "scale_extensive", "liver", 0.3, "70% of the liver removed")


def tissue_of(model: CompiledModel, hepatocytes: int) -> Tissue:
    numbers = {t: round(hepatocytes * model.anatomy[f"{t}.number"]) for t in model.fates.cells}
    return zones_only(compartments_of(model), numbers)


def settled(model: CompiledModel) -> tuple[LobuleSystem, State]:
    """Return a system two hours after 70% resection, when the first transients are over."""
    tissue = tissue_of(model, 3000)
    engine = LobuleEngine(1, tissue)
    engine.run(model, [PHX70], np.array([0.0, 2.0]))
    assert engine.last is not None
    return LobuleSystem(model, tissue, 1, 1e-2), engine.last


def levels_after(system: LobuleSystem, state: State, hours: float, steps: int) -> Floats:
    """Advance levels alone by the engine's two stages, cells standing still."""
    level, body = state.level, state.body
    before = (state.level, state.body)
    for _ in range(steps):
        state.level, state.body = level, body
        now = system.evaluation(state)
        first, first_body, _ = system.advance(state, now, now, hours / steps)
        then = system.evaluation(state, level=first, body=first_body)
        level, body, _ = system.advance(state, now, then, hours / steps)
    state.level, state.body = before
    return np.concatenate([*(x.ravel() for x in level), body])


def test_levels_converge_with_second_order(rat: CompiledModel) -> None:
    system, state = settled(rat)
    reference = levels_after(system, state, 0.2, 256)
    errors = []
    for steps in (4, 8, 16, 32):
        off = (levels_after(system, state, 0.2, steps) - reference) / (0.05 + reference)
        errors.append(float(np.sqrt(np.mean(off**2))))
    orders = np.log2(np.array(errors[:-1]) / np.array(errors[1:]))
    assert errors[0] > 1e-7  # else there is nothing to converge
    np.testing.assert_allclose(orders[-2:], 2.0, atol=0.25)


def test_levels_are_exact_where_the_law_is_linear(rat: CompiledModel) -> None:
    """With production and loss held, a step of any length ends where the closed form does."""
    system, state = settled(rat)
    now = system.evaluation(state)
    for h in (1e-6, 0.1, 50.0):
        level, body, _ = system.advance(state, now, now, h)
        for z in range(3):
            p, loss, y = now.production[z], now.loss[z], state.level[z]
            rest = np.divide(p, loss, out=np.zeros_like(p), where=loss > 0.0)
            exact = np.where(loss > 0.0, rest + (y - rest) * np.exp(-loss * h), y + p * h)
            np.testing.assert_allclose(level[z], exact, rtol=1e-9, atol=1e-12)
        assert np.isfinite(body).all()


def test_the_error_of_splitting_falls_with_the_step(rat: CompiledModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bile acids, and the mass of hepatocytes on which they depend: of 60,000 cells counting leaves 0.02% of either."""
    index = [rat.slot_index[n] for n in ("signal.BA", "node.HEP.YAP@1", "HEP.mass@2")]
    tissue, time_h = tissue_of(rat, 60_000), np.array([0.0, 3.0])
    exact = PopulationEngine().run(rat, [PHX70], time_h).states[-1, index]
    off = []
    for tolerance, longest in ((1.0, 1.0), (1e-2, 0.2)):
        monkeypatch.setattr(stepping, "LONGEST_STEP_H", longest)
        found = LobuleEngine(1, tissue, tolerance).run(rat, [PHX70], time_h).states[-1, index]
        off.append(float(np.abs(found / exact - 1.0).max()))
    assert off[0] > 4.0 * off[1]
    assert off[1] < 5e-4


def test_cells_and_levels_do_not_lag_behind_each_other(rat: CompiledModel) -> None:
    """A step half a step late would make mass 0.1 h too small: 0.2% at 6 h, of which counting hides nothing."""
    time_h = np.array([0.0, 6.0, 7.0])
    mass = [rat.slot_index[f"HEP.mass@{z}"] for z in (1, 2, 3)]
    expected = PopulationEngine().run(rat, [PHX70], time_h).states[1:, mass].sum(axis=1)
    found = LobuleEngine(1, tissue_of(rat, 60_000)).run(rat, [PHX70], time_h).states[1, mass].sum()
    late_h = (expected[0] - found) / (expected[1] - expected[0])
    assert abs(late_h) < 0.02
