"""Mouse and human: numbers of their own in records, what is fitted to what, and the script that writes them."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import yaml

from hepatalk.errors import UnknownNameError
from hepatalk.experiments.observations import load_observations
from hepatalk.inference.species import FREE, TIED, SpeciesObjective, data_of, pace
from hepatalk.knowledge import load
from hepatalk.knowledge.load import Knowledge
from hepatalk.knowledge.records import Parameter, Species, SpeciesNumber
from hepatalk.model.compiler import compile_model

OBSERVATIONS = {o.id: o for o in load_observations()}
SOURCE = "fitted: scripts/calibrate_species.py"


@pytest.fixture(scope="module")
def knowledge() -> Knowledge:
    return load()


@pytest.fixture(scope="module")
def script(repository: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("calibrate_species", repository / "scripts" / "calibrate_species.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def record(**more: object) -> Parameter:
    return Parameter.model_validate(
        {"id": "p", "value": 2.0, "unit": "h", "meaning": "m", "source": "assumed", "reason": "because", **more}
    )


def test_a_number_alone_comes_from_where_the_record_does() -> None:
    p = record(species={"human": 5.0})
    own = p.of_species("human")
    assert own == SpeciesNumber(value=5.0, source="assumed", reason="because")
    assert (p.value_in("human"), p.value_in("mouse"), p.of_species("mouse")) == (5.0, 2.0, None)


def test_a_species_number_has_a_source_and_a_prior_of_its_own() -> None:
    p = record(species={"mouse": {"value": 7, "source": ["a", "b"], "prior": [1, 9]}})
    own = p.of_species("mouse")
    assert own is not None
    assert (own.value, own.sources, own.prior, own.reason) == (7.0, ("a", "b"), (1.0, 9.0), None)


def test_an_assumed_species_number_needs_a_reason() -> None:
    with pytest.raises(ValueError, match="needs a written 'reason'"):
        record(species={"mouse": {"value": 7, "source": "assumed"}})


@pytest.mark.parametrize("species", ["mouse", "human"])
def test_the_model_of_a_species_has_its_own_numbers_and_else_the_rats(knowledge: Knowledge, species: Species) -> None:
    rat, own = compile_model(knowledge, "rat"), compile_model(knowledge, species)
    fitted = {f.name for f in FREE[species]} | {name for name, _, _ in TIED.get(species, ())}
    for name, i in rat.param_index.items():
        if name in fitted:
            assert own.params[own.param_index[name]] == knowledge.parameter[name].value_in(species) != rat.params[i]
        elif name in knowledge.parameter and name in own.param_index:
            assert own.params[own.param_index[name]] == rat.params[i], name


@pytest.mark.parametrize("species", ["mouse", "human"])
def test_only_calibration_rows_of_the_species_are_fitted(species: Species) -> None:
    rows = [OBSERVATIONS[d.id.rstrip("b")] for d in data_of(species)]
    assert {r.use for r in rows} == {"calibrate"}
    assert {r.species for r in rows} == {species}


def test_the_human_rows_carry_the_numbers_of_the_observations() -> None:
    donors = {"phx58": "liver_volume_share_right_donors", "phx37": "liver_volume_share_left_donors"}
    for d in data_of("human"):
        said = {q.quantity: q for q in OBSERVATIONS[d.id.rstrip("b")].quantities}[donors[d.experiment]]
        assert (d.at_h, d.value) == (said.time_h, said.value / 100.0)


def test_the_rat_has_no_rows_of_this_kind() -> None:
    with pytest.raises(UnknownNameError, match=r"'rat'; nearest: human, mouse"):
        data_of("rat")


def test_times_scale_as_the_fourth_root_of_body_mass() -> None:
    assert pace("rat") == 1.0
    assert pace("human") == pytest.approx(280.0**0.25)
    assert pace("mouse") < 1.0 < pace("human")


@pytest.mark.parametrize("species", ["mouse", "human"])
def test_records_hold_what_the_script_fits(knowledge: Knowledge, species: Species) -> None:
    """Whoever changes what is fitted, or a prior, or refits the rat, runs the script again."""
    fitted = {p.id for p in knowledge.parameters if (own := p.of_species(species)) and SOURCE in own.sources}
    assert fitted == {f.name for f in FREE[species]}
    for free in FREE[species]:
        own = knowledge.parameter[free.name].of_species(species)
        assert own is not None and own.prior is not None and own.reason == free.reason
        assert own.prior[0] <= own.value <= own.prior[1]
        assert own.sources == ((SOURCE, "west2005") if free.kind in ("rate", "time") else (SOURCE,))


def test_what_is_tied_follows_by_the_same_factor(knowledge: Knowledge) -> None:
    for name, leads, why in TIED["human"]:
        ours, theirs = knowledge.parameter[name], knowledge.parameter[leads]
        own = ours.of_species("human")
        assert own is not None and (own.sources, own.reason) == (("assumed",), why)
        factor = theirs.value_in("human") / theirs.value  # type: ignore[operator]
        assert own.value == pytest.approx(ours.value * factor, rel=1e-3)


@pytest.mark.parametrize("species", ["mouse", "human"])
def test_the_fitted_numbers_are_the_best_nearby_and_better_than_the_rats(
    knowledge: Knowledge, species: Species
) -> None:
    objective = SpeciesObjective(knowledge, species)
    best = objective.start()
    rat = np.log([float(knowledge.parameter[n].value) for n in objective.names])  # type: ignore[arg-type]
    cost = {name: float(np.sum(objective.residuals(x) ** 2)) for name, x in (("fit", best), ("rat", rat))}
    assert cost["fit"] < 0.2 * cost["rat"]
    for step in 0.2 * np.eye(len(best)):
        for x in (best + step, best - step):
            inside = np.clip(x, objective.low, objective.high)
            assert float(np.sum(objective.residuals(inside) ** 2)) >= 0.99 * cost["fit"]


@pytest.mark.parametrize("species", ["mouse", "human"])
def test_every_number_of_a_species_lies_in_its_band(knowledge: Knowledge, species: Species) -> None:
    objective = SpeciesObjective(knowledge, species)
    said = objective.model_values(objective.start())
    for d, v in zip(objective.data, said, strict=True):
        assert abs(d.residual(v)) <= 2.0, (d.id, v)


def test_a_year_costs_no_more_times_than_there_are_data(knowledge: Knowledge) -> None:
    from hepatalk.inference.species import grid

    assert list(grid([d for d in data_of("human") if d.experiment == "phx58"])) == [
        0.0, 168.0, 336.0, 730.0, 2190.0, 4380.0, 8760.0, 35040.0,
    ]  # fmt: skip
    assert len(grid([d for d in data_of("mouse") if d.experiment == "phx78"])) == 169


def test_writing_replaces_the_number_of_one_species_only(script: ModuleType) -> None:
    block = "- id: p\n  value: 2.0\n  unit: h\n  meaning: m\n  source: a\n"
    free = replace(FREE["mouse"][0], reason="the mouse's own")
    once = script.with_species(block, "mouse", script.entry(free, 7.0, (1.0, 9.0)))
    both = script.with_species(once, "human", script.entry(replace(free, kind="rate"), 8.0, (1.0, 9.0)))
    again = script.with_species(both, "mouse", script.entry(free, 6.0, (1.0, 9.0)))
    assert again.count("  species:\n") == 1
    p = Parameter.model_validate(yaml.safe_load(again)[0])
    assert (p.value, p.value_in("mouse"), p.value_in("human")) == (2.0, 6.0, 8.0)
    mouse, human = p.of_species("mouse"), p.of_species("human")
    assert mouse is not None and human is not None
    assert (mouse.reason, mouse.sources) == ("the mouse's own", (SOURCE,))
    assert human.sources == (SOURCE, "west2005")
