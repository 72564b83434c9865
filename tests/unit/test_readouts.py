"""What readouts mean: all necrosis of hepatocytes, and signals as cells see them."""

from __future__ import annotations

import numpy as np
import pytest

from hepatalk.experiments.experiment import parse_experiment
from hepatalk.experiments.readouts import readouts_of
from hepatalk.experiments.run import perform
from hepatalk.knowledge.load import load
from hepatalk.knowledge.records import Death
from hepatalk.model.compiler import compile_model


@pytest.mark.parametrize("lobes", [1, 2])
def test_necrosis_of_hepatocytes_is_every_process_of_that_manner(lobes: int) -> None:
    k = load()
    model = compile_model(k, lobes=lobes)
    processes = [p for p in k.cell["HEP"].processes if isinstance(p, Death) and p.manner == "necrosis"]
    slots = {model.slot_index[f"process.HEP.{p.id}@{place}"] for p in processes for place in model.places}
    assert len(processes) > 1
    assert set(readouts_of(model)["necrosis.HEP"].over) == slots


def test_necrosis_is_the_sum_of_its_causes() -> None:
    result = perform("sfss", days=2.0, every=6.0).result
    causes = result.readout("shear_injury.HEP") + result.readout("anoxia.HEP")
    assert np.all(result.readout("necrosis.HEP") > causes)
    assert result.at("shear_injury.HEP", 24.0) > 0.1 * result.at("necrosis.HEP", 24.0)


@pytest.mark.parametrize(("signal", "item", "factor"), [
    ("IL6", "neutralise, signal: IL6, fraction: 0.9", 0.1),
    ("VEGFA", "supplement, signal: VEGFA, factor: 4", 4.0),
    ("LPS", "body, endotoxin: 3", 3.0),
])  # fmt: skip
def test_a_signal_is_shown_as_cells_see_it(signal: str, item: str, factor: float) -> None:
    head = f"title: x\ndays: 1\nreadouts: [signal.{signal}]\nschedule:\n"
    text = f"{head}  - {{at: 0 h, until: 12 h, intervention: {item}}}\n"
    run = perform(parse_experiment(text, "x"), every=6.0)
    shown = run.result.readout(f"signal.{signal}")
    column = [i for i, n in enumerate(run.model.state_names) if n.split("@")[0] == f"signal.{signal}"]
    made = run.course.states[:, column].mean(axis=1)
    assert shown[0] == pytest.approx(factor, rel=1e-6)
    np.testing.assert_allclose(shown[:2], factor * made[:2], rtol=1e-9)
    np.testing.assert_allclose(shown[2:], made[2:], rtol=1e-9)  # the treatment has ended
