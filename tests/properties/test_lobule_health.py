"""A lobule in space to which nothing happens: numbers, volume and zones stay, within the sampling error.

Five days: what drifts in a month by its own rule would drift in these. What chance adds in a month, and why it adds
more in a small lobule, is in `docs/lobule_health.md`.
"""

from __future__ import annotations

import numpy as np
import pytest

from hepatalk.engines.lobule.engine import LobuleEngine, LobuleSettings
from hepatalk.engines.lobule.record import Snapshot
from hepatalk.engines.lobule.system import LobuleSystem
from hepatalk.knowledge import load
from hepatalk.model import compile_model
from hepatalk.model.compiled import CompiledModel
from hepatalk.model.fates import FateKind

HEPATOCYTES, DAYS = 1000, 5
ZONES = (1, 2, 3)


@pytest.fixture(scope="module")
def model() -> CompiledModel:
    return compile_model(load())


@pytest.fixture(scope="module")
def rest(model: CompiledModel) -> tuple[LobuleEngine, list[Snapshot]]:
    kept: list[Snapshot] = []
    at_h = tuple(24.0 * d for d in range(DAYS + 1))
    settings = LobuleSettings(hepatocytes=HEPATOCYTES, cells_at_h=at_h, keep=kept.append)
    engine = LobuleEngine.in_space(model, 1, settings)
    engine.run(model, [], np.array(at_h))
    assert [round(m.time_h / 24.0) for m in kept] == list(range(DAYS + 1))
    return engine, kept


def test_numbers_of_each_type_stay(model: CompiledModel, rest: tuple[LobuleEngine, list[Snapshot]]) -> None:
    """Numbers change by no more than as many births, deaths and arrivals as there were scatter."""
    engine, kept = rest
    assert engine.last is not None
    system = LobuleSystem(model, engine.tissue, 1, 5e-2)
    t, c = system.table, system.comps
    origin = np.repeat(np.arange(len(t.start) - 1), np.diff(t.start)) % c.n
    for k, cell in enumerate(c.types):
        own = c.type_of[origin] == k
        ends = np.isin(t.kind, (FateKind.DEATH, FateKind.DIVISION)) & own
        turned = max(float(engine.last.tally[ends].sum()), 4.0)
        change = int((kept[-1].type_ == k).sum()) - int((kept[0].type_ == k).sum())
        assert abs(change) < 4.4 * np.sqrt(turned), cell  # p < 1e-5 for each


def test_volume_and_shape_stay(rest: tuple[LobuleEngine, list[Snapshot]]) -> None:
    _, kept = rest
    hep = kept[0].types.index("HEP")
    mass = [float(m.volume[m.type_ == hep].sum()) for m in kept]
    assert np.abs(np.array(mass) / mass[0] - 1.0).max() < 0.01
    assert max(abs(m.scale - 1.0) for m in kept) < 0.005


def test_zones_stay(rest: tuple[LobuleEngine, list[Snapshot]]) -> None:
    """Shares of hepatocytes by zone, and the profiles that make the zones.

    When cells first make room for each other, some leave the portal tracts for good: 3% of those of zone 1. Shares are
    compared from the first day on.
    """
    _, kept = rest
    hep = kept[0].types.index("HEP")

    def shares(m: Snapshot) -> np.ndarray:
        return np.array([(m.zone[m.type_ == hep] == z).mean() for z in ZONES])

    def levels(m: Snapshot, name: str) -> np.ndarray:
        return np.array([np.nanmean(m.fields[name][m.site_zone == z]) for z in ZONES])

    assert np.abs(shares(kept[0]) - 1.0 / 3.0).max() < 0.03
    for m in kept[1:]:
        assert np.abs(shares(m) - shares(kept[1])).max() < 0.015
        np.testing.assert_allclose(levels(m, "oxygen"), levels(kept[0], "oxygen"), rtol=0.04)
        assert (np.diff(levels(m, "oxygen")) < 0.0).all()
        # Few cells make WNT: their number at a site jumps by one, and the order stays.
        np.testing.assert_allclose(levels(m, "signal.WNT"), levels(kept[0], "signal.WNT"), rtol=0.25)
        assert (np.diff(levels(m, "signal.WNT")) > 0.0).all()
