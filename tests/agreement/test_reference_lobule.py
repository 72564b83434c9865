"""The lobule engine's step against a slow one in plain Python: levels to 1e-9, events exactly."""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hepatalk.engines.lobule.engine import LobuleEngine, step
from hepatalk.engines.lobule.state import State
from hepatalk.engines.lobule.system import LobuleSystem
from hepatalk.engines.lobule.tables import compartments_of
from hepatalk.engines.lobule.tissue import zones_only
from hepatalk.knowledge import load
from hepatalk.model import compile_model
from hepatalk.model.compiled import CompiledModel
from hepatalk.model.fates import FateKind
from hepatalk.model.schedule import Change

SOURCE = (Path(__file__).parent / "reference_lobule.py").read_text(encoding="utf-8")
SEED = 3
#: More BIPs than health has, so that they convert.
NUMBERS = {"HEP": 450, "LSEC": 120, "HSC": 60, "KC": 100, "BEC": 60, "BIP": 200}
CHANGES = [
    Change(0.0, "scale_extensive", "liver", 0.3, "70% of the liver removed"),
    Change(0.0, "mark", "HEP.label", 0.4, "a label"),
    Change(0.0, "scale_parameter", "bip_to_hepatocyte_rate", 300.0, "more conversion"),
]


@pytest.fixture(scope="module")
def model() -> CompiledModel:
    return compile_model(load())


@pytest.fixture(scope="module")
def slow() -> Any:
    module = types.ModuleType("reference_lobule")
    sys.modules["reference_lobule"] = module  # where its dataclasses look for their names
    exec(compile(SOURCE, "reference_lobule.py", "exec"), module.__dict__)
    return module


def as_reference(slow: Any, system: LobuleSystem, state: State) -> Any:
    """Return the tissue of the reference that a state of the engine stands for."""
    c, m = system.comps, system.model
    level = {int(i): float(x) for i, x in zip(system.body.states, state.body, strict=True)}
    for p, x in zip(system.programs, state.level, strict=True):
        level |= {int(i): float(v) for i, v in zip(p.states[p.moving], x[0], strict=True)}
    a = state.cells
    cells = [
        slow.Cell(
            int(c.state[a.site[i], a.comp[i]]),
            int(a.ident[i]),
            int(a.parent[i]),
            int(a.clone[i]),
            int(a.events[i]),
            float(a.clock[i]),
            float(a.volume[i]),
            {bit for b, bit in enumerate(c.bits) if a.marks[i] >> b & 1},
        )
        for i in range(state.n)
    ]
    arrivals = {z: [j for j in range(len(m.fates.kind)) if m.fates.kind[j] == FateKind.ARRIVAL
                    and m.fates.place[j] == str(z + 1)] for z in range(3)}  # fmt: skip
    return slow.Tissue(
        level,
        cells,
        state.ident,
        {j: float(state.waiting[z][0, k]) for z in arrivals for k, j in enumerate(arrivals[z])},
        {j: int(state.drawn[z][0, k]) for z in arrivals for k, j in enumerate(arrivals[z])},
        state.params.tolist(),
        state.lobules,
        NUMBERS,
    )


@pytest.mark.parametrize("hours", [0.0, 4.0, 30.0, 44.0])
def test_a_step_is_the_reference_step(model: CompiledModel, slow: Any, hours: float) -> None:
    tissue = zones_only(compartments_of(model), NUMBERS)
    engine = LobuleEngine(SEED, tissue)
    engine.run(model, CHANGES, np.array([0.0, hours]) if hours else np.array([0.0]))
    state = engine.last
    assert state is not None
    system = LobuleSystem(model, tissue, SEED, 1e-2)
    happened = 0
    for _ in range(3):
        t = as_reference(slow, system, state)
        before, tally = state.time_h, int(state.tally.sum())
        state.step_h = 0.2  # the longest that its error allows
        step(system, state, before + 0.2)
        happened += int(state.tally.sum()) - tally
        slow.Reference(model, SEED).step(t, state.time_h - before)
        want = as_reference(slow, system, state)
        got_levels, levels = (np.array([x.level[i] for i in want.level]) for x in (t, want))
        np.testing.assert_allclose(got_levels, levels, rtol=1e-9, atol=1e-12)
        assert t.next_ident == want.next_ident
        assert t.drawn == want.drawn
        for name in ("state", "ident", "parent", "clone", "events", "labels"):
            assert [getattr(c, name) for c in t.cells] == [getattr(c, name) for c in want.cells], name
        for name in ("clock", "volume"):
            np.testing.assert_allclose(*([getattr(c, name) for c in x.cells] for x in (t, want)), rtol=1e-9, atol=1e-11)
    assert happened > 3 or hours < 30.0
