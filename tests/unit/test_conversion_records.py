"""Conversions in the records: what is said of one that would not leave health as it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hepatalk.engines.population.engine import PopulationEngine
from hepatalk.errors import KnowledgeError, ModelError
from hepatalk.experiments.phrases import phrase
from hepatalk.knowledge import Knowledge, load
from hepatalk.knowledge.lint import lint
from hepatalk.knowledge.records import Conversion, Migration
from hepatalk.model import compile_model
from hepatalk.model.checks import check_model
from hepatalk.model.schedule import Change

TINY = Path(__file__).parents[1] / "knowledge" / "tiny"


def with_cell(k: Knowledge, name: str, **changes: Any) -> Knowledge:
    return replace(k, cells=tuple(c.model_copy(update=changes) if c.id == name else c for c in k.cells))


def converting(there: dict[str, Any] | None = None, back: dict[str, Any] | None = None, **cell: Any) -> Knowledge:
    """Return the tiny knowledge in which Kupffer cells and endothelium turn into each other, with fields changed.

    ``there`` changes the conversion of the former (which is given), ``back`` that of the latter (solved), further
    fields those of the record of the Kupffer cell.
    """
    k = load(TINY)
    step = {"kind": "conversion", "id": "turn", "origin": "resting", "to": "resting"}
    one = Conversion(**(step | {"becomes": "LSEC", "rate": "influx_rate"} | (there or {})))  # type: ignore[arg-type]
    two = Conversion(**(step | {"becomes": "KC", "rate": "solved"} | (back or {})))  # type: ignore[arg-type]
    move = Migration(kind="migration", id="spread", origin="resting", rate="growth_rate")
    fields = {"number": "half", "processes": (*k.cell["KC"].processes, one, move), **cell}
    k = with_cell(k, "KC", **fields)
    return with_cell(k, "LSEC", number="gain", processes=(*k.cell["LSEC"].processes, two))


def test_two_cell_types_that_convert_stand_still_in_health() -> None:
    k = converting()
    assert not [f for f in lint(k, ("C001",)) if f.severity == "error"]
    model = compile_model(k)
    assert not [f for f in check_model(model, k) if f.severity == "error"]
    course = PopulationEngine().run(model, [], np.array([0.0, 1e4]))
    counts = model.groups["KC.count"]
    np.testing.assert_allclose(course.states[-1, counts], model.rest[counts], rtol=1e-6)


def test_labels_of_both_kinds_are_made_for_types_that_convert() -> None:
    names = compile_model(converting()).state_names
    labels = {n.split("@")[0] for n in names if ".from_" in n or n.split("@")[0].endswith(".label")}
    assert labels == {
        *(f"{cell}.from_{origin}" for cell in ("KC", "LSEC") for origin in ("KC", "LSEC")),
        *(f"{cell}.label" for cell in ("HEP", "KC", "LSEC")),
    }
    names = compile_model(converting(counts_as="LSEC")).state_names
    assert not [n for n in names if ".from_KC" in n]  # tracing cannot tell them from endothelium


def test_a_conversion_is_named_in_words() -> None:
    assert phrase(converting(), "process.KC.turn") == "KC turn (to LSEC)"


FAULTS: list[tuple[Callable[[], Knowledge], str]] = [
    (lambda: converting(number=None), "field 'number'"),
    (lambda: converting({"becomes": "LSECC"}), "allowed: LSEC"),
    (lambda: converting({"becomes": "KC"}), "field 'processes.turn.becomes'"),
    (lambda: converting({"to": "restin"}), "allowed: resting"),
    (lambda: converting({"origin": "activated"}), "one conversion of LSEC back, between the same states"),
    (lambda: converting({"rate": "solved"}), "one of the two rates 'solved'"),
    (lambda: converting(back={"rate": "growth_rate"}), "one of the two rates 'solved'"),
    (lambda: converting(counts_as="LSECC"), "field 'counts_as'"),
    (
        lambda: converting(states=tuple(s.model_copy(update={"stages": 2}) for s in load(TINY).cell["KC"].states)),
        "one stage",
    ),
]


@pytest.mark.parametrize("number", range(len(FAULTS)))
def test_a_faulty_conversion_is_found(number: int) -> None:
    make, said = FAULTS[number]
    found = [str(f) for f in lint(make(), ("C001",)) if f.check == "cell-states"]
    assert found
    assert any(said in line and "\n" not in line for line in found), found


COMPILED: list[tuple[Callable[[], Knowledge], str]] = [
    (lambda: converting(number=None), "cell type KC: cells that convert need the field 'number'"),
    (lambda: converting({"rate": "solved"}), "rate 'solved'; allowed: where KC converts back at a given rate"),
    (lambda: converting(back={"to": "activated"}), "between the same states (activated to resting)"),
    (lambda: converting({"to": "restin"}, {"origin": "restin"}), "cell type LSEC: no state 'restin' to convert"),
]


@pytest.mark.parametrize("number", range(len(COMPILED)))
def test_a_conversion_out_of_balance_does_not_compile(number: int) -> None:
    make, said = COMPILED[number]
    with pytest.raises((ModelError, KnowledgeError)) as caught:
        compile_model(make())
    assert said in str(caught.value)


def test_the_dying_release_in_proportion_to_their_number() -> None:
    """A signal of dying hepatocytes follows their death rate; one of living ones does not."""
    k = load()
    model = compile_model(k)
    at = model.slot_index
    kill = [Change(0.0, "scale_parameter", "rest:death HEP.apoptosis", 5.0, "")]
    course = PopulationEngine().run(model, kill, np.array([0.0, 200.0]))
    debris = course.states[-1, [at[f"signal.DEBRIS@{z}"] for z in (1, 2, 3)]]
    assert debris == pytest.approx(5.0, rel=0.15)
