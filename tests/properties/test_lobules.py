"""Several lobules side by side are one liver: totals are scaled as those of one are."""

from __future__ import annotations

import numpy as np
import pytest

from hepatalk.engines.lobule.engine import LobuleEngine, LobuleSettings
from hepatalk.experiments.readouts import measure
from hepatalk.knowledge import load
from hepatalk.model import compile_model
from hepatalk.model.compiled import CompiledModel
from hepatalk.model.schedule import Change

PHX70 = Change(0.0, "scale_extensive", "liver", 0.3, "70% of the liver removed")
HOURS = np.array([0.0, 12.0, 24.0])


@pytest.fixture(scope="module")
def model() -> CompiledModel:
    return compile_model(load())


def followed(model: CompiledModel, hepatocytes: int, lobules: int) -> tuple[LobuleEngine, dict[str, np.ndarray]]:
    engine = LobuleEngine.in_space(model, 5, LobuleSettings(hepatocytes=hepatocytes, lobules=lobules))
    return engine, measure(model, engine.run(model, [PHX70], HOURS))


def test_three_lobules_are_the_liver_that_one_is(model: CompiledModel) -> None:
    one, single = followed(model, 450, 1)
    three, together = followed(model, 150, 3)
    assert one.last is not None
    assert three.last is not None
    begin = [np.bincount(e.tissue.type_, minlength=6) for e in (one, three)]
    np.testing.assert_allclose(begin[1], begin[0], atol=3)
    assert together["hepatocyte_count"][0] == pytest.approx(0.3, rel=0.001)
    for name in ("liver_volume", "hepatocyte_count"):
        np.testing.assert_allclose(together[name], single[name], rtol=0.03)
    # Every lobule takes part: each grows, and keeps its cells.
    lobule = three.tissue.space.geometry.sites.lobule[three.tissue.space.order]  # type: ignore[union-attr]
    cells = three.last.cells
    volume = np.bincount(lobule[cells.site[: three.last.n]], weights=cells.volume[: three.last.n])
    assert len(volume) == 3
    assert volume.min() > 1.1 * begin[1].sum() / 3
