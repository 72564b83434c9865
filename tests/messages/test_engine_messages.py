"""What the engine says when a run goes wrong: the state, the time, the term, and the statement behind it."""

from __future__ import annotations

import numpy as np
import pytest

from hepatalk.engines.population.blame import slot_in_words, state_in_words
from hepatalk.engines.population.engine import PopulationEngine
from hepatalk.errors import EngineError
from hepatalk.knowledge import load
from hepatalk.model import compile_model
from hepatalk.model.compiled import CompiledModel
from hepatalk.model.schedule import Change


@pytest.fixture(scope="module")
def model() -> CompiledModel:
    return compile_model(load())


@pytest.mark.parametrize(
    ("state", "term", "row"),
    [
        ("node.HEP.MET", "approach of node MET of HEP to its drive, zone", "HEP-HSC-11"),
        ("HEP.resting", "process prime of HEP, zone", "HEP-KC-08"),
    ],
)
def test_a_negative_state_is_named_with_time_term_and_statement(
    model: CompiledModel, state: str, term: str, row: str
) -> None:
    """A state made negative by force stands for what a fault in a law would do."""
    names = [n for n in model.state_names if n.startswith(state)]
    assert names
    with pytest.raises(EngineError) as caught:
        PopulationEngine().run(model, [Change(5.0, "scale_state", state, -1.0, "a fault")], np.array([0.0, 4.0, 6.0]))
    text = str(caught.value)
    assert any(f"state {name!r} is negative (" in text for name in names)
    assert " at 5 h; largest term: " in text
    assert term in text
    assert row in text
    assert "operation" not in text
    assert "\n" not in text


def test_every_term_of_every_state_has_words(model: CompiledModel) -> None:
    for slot in sorted(set(model.flux.tolist())):
        said = slot_in_words(model, slot)
        assert said
        assert "operation" not in said


def test_words_of_states() -> None:
    assert state_in_words("signal.HGF@2") == "signal HGF, zone 2"
    assert state_in_words("process.HEP.commit@1") == "process commit of HEP, zone 1"
    assert state_in_words("deficit") == "deficit"
    assert state_in_words("signal.HGF@A2") == "signal HGF, zone 2, lobe A"
    assert state_in_words("flow@B") == "flow, lobe B"


def test_a_lobe_that_the_model_does_not_have(model: CompiledModel) -> None:
    change = Change(0.0, "scale_extensive", "A", 0.0, "lobe A removed")
    with pytest.raises(EngineError) as caught:
        PopulationEngine().run(model, [change], np.array([0.0, 1.0]))
    assert str(caught.value) == "unknown part of the liver 'A'; allowed: liver; correct the schedule"
