"""A result checks what it is given, and answers with the numbers it was given."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from hepatalk.errors import ResultError, UnknownNameError
from hepatalk.results import Provenance, Readout, Result, collect_versions

TIME = np.array([0.0, 12.0, 24.0, 48.0])
VALUES = {
    "liver_volume": np.array([0.3, 0.4, 0.5, 0.7]),
    "s_phase.HEP": np.array([0.0, 0.1, 0.3, 0.3]),
}


def provenance(**changes: Any) -> Provenance:
    fields: dict[str, Any] = {
        "experiment": "phx70",
        "title": "70% partial hepatectomy",
        "species": "rat",
        "engine": "population",
        "seed": 7,
        "model_hash": "abc",
        "knowledge_version": "1",
        "versions": {"python": "3.11.0"},
        "created": "2026-01-31T12:00:00+00:00",
        "platform": "test",
    }
    return Provenance(**(fields | changes))


def build(**changes: Any) -> Result:
    arguments: dict[str, Any] = {
        "time_h": TIME,
        "readouts": VALUES,
        "units": dict.fromkeys(VALUES, "1"),
        "definitions": {name: f"what {name} is" for name in VALUES},
        "provenance": provenance(),
        "first_waves": {"s_phase.HEP": (0.32, 30.0)},
    }
    return Result.build(**(arguments | changes))


def one(values: Any, name: str = "liver_volume", **changes: Any) -> Result:
    arguments: dict[str, Any] = {
        "readouts": {name: values},
        "units": {name: "1"},
        "definitions": {name: "d"},
        "first_waves": None,
    }
    return build(**(arguments | changes))


# --- what it answers ---------------------------------------------------------------------------------------------


def test_readouts_units_and_definitions_come_back_in_order() -> None:
    result = build()
    assert result.names == ("liver_volume", "s_phase.HEP")
    assert result.time_h.tolist() == TIME.tolist()
    assert result.readout("s_phase.HEP").tolist() == VALUES["s_phase.HEP"].tolist()
    assert result.unit("liver_volume") == "1"
    assert result.definition("liver_volume") == "what liver_volume is"
    assert repr(result) == "<Result phx70, rat, population: 2 readouts at 4 times to 48 h>"


@pytest.mark.parametrize(("t", "expected"), [(0.0, 0.3), (6.0, 0.35), (24.0, 0.5), (36.0, 0.6), (48.0, 0.7)])
def test_at_interpolates_linearly(t: float, expected: float) -> None:
    assert build().at("liver_volume", t) == pytest.approx(expected, rel=1e-15)


def test_summary_holds_the_figures_of_each_readout_and_the_first_wave_of_s_phase() -> None:
    assert build().summary() == {
        "liver_volume.max": 0.7,
        "liver_volume.t_max_h": 48.0,
        "liver_volume.min": 0.3,
        "liver_volume.end": 0.7,
        "s_phase.HEP.max": 0.3,
        "s_phase.HEP.t_max_h": 24.0,  # the first of two equal maxima
        "s_phase.HEP.min": 0.0,
        "s_phase.HEP.end": 0.3,
        "s_phase.HEP.first_peak": 0.32,
        "s_phase.HEP.first_peak_h": 30.0,
    }


def test_without_a_first_wave_the_summary_does_not_make_one_up() -> None:
    assert not [key for key in build(first_waves=None).summary() if "first_peak" in key]


def test_json_has_exactly_the_promised_keys_and_only_finite_numbers() -> None:
    record = build().to_json()
    assert list(record) == [
        "experiment", "species", "engine", "seed", "model_hash", "knowledge_version", "time_h", "readouts", "summary",
    ]  # fmt: skip
    assert json.loads(json.dumps(record, allow_nan=False)) == record
    assert record["seed"] == 7
    assert record["time_h"] == TIME.tolist()
    assert record["readouts"] == {name: values.tolist() for name, values in VALUES.items()}
    assert record["summary"] == build().summary()


def test_dataset_is_labelled_and_changing_it_changes_no_result() -> None:
    result = build(states=np.arange(8.0).reshape(4, 2), state_names=["HEP.G0", "HEP.S"])
    dataset = result.dataset
    assert dataset["liver_volume"].dims == ("time",)
    assert dataset["liver_volume"].attrs == {"units": "1", "definition": "what liver_volume is"}
    assert dataset["s_phase.HEP"].attrs["first_peak_h"] == 30.0
    assert dataset["time"].attrs == {"units": "h"}
    assert dataset["time"].dtype == np.float64
    assert dataset["state"].sel(state_name="HEP.S").values.tolist() == [1.0, 3.0, 5.0, 7.0]
    assert dataset.attrs["experiment"] == "phx70"
    assert dataset.attrs["title"] == "70% partial hepatectomy"
    del dataset["liver_volume"]
    assert "liver_volume" in result.dataset
    with pytest.raises(ValueError, match="read-only"):
        result.dataset["liver_volume"].values[0] = 2.0


@pytest.mark.parametrize("states", [None, np.arange(8.0).reshape(4, 2)])
def test_from_dataset_undoes_dataset(states: Any) -> None:
    result = build(states=states, state_names=None if states is None else ["a", "b"])
    back = Result.from_dataset(result.dataset, result.provenance)
    assert back.content_hash() == result.content_hash()
    assert back.dataset.identical(result.dataset)


def test_states_are_found_by_name() -> None:
    result = build(states=np.arange(8.0).reshape(4, 2), state_names=["a", "b"])
    assert result.state("b").tolist() == [1.0, 3.0, 5.0, 7.0]
    with pytest.raises(UnknownNameError, match="nearest: b, a"):
        result.state("bb")
    with pytest.raises(UnknownNameError, match="none exists"):
        build().state("a")


def test_a_result_shares_no_memory_with_the_engine_and_cannot_be_changed() -> None:
    buffer = VALUES["liver_volume"].copy()
    result = one(buffer)
    buffer[0] = 99.0
    assert result.readout("liver_volume")[0] == 0.3
    for array in (result.time_h, result.readout("liver_volume")):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1.0
    with pytest.raises(AttributeError, match="cannot assign"):
        result.time_h = TIME  # type: ignore[misc]
    with pytest.raises(TypeError):
        result.readouts["x"] = Readout(TIME, "1", "d")  # type: ignore[index]


def test_a_pickled_result_is_equal_and_still_read_only() -> None:
    result = build(states=np.arange(8.0).reshape(4, 2), state_names=["a", "b"])
    back = pickle.loads(pickle.dumps(result))
    assert back.content_hash() == result.content_hash()
    assert back.provenance == result.provenance
    assert not back.readout("liver_volume").flags.writeable


def test_content_hash_sees_one_bit_and_every_label() -> None:
    base = build(states=np.zeros((4, 1)), state_names=["a"])
    nudged = VALUES["liver_volume"].copy()
    nudged[2] = np.nextafter(nudged[2], 1.0)
    others = [
        build(),
        build(states=np.full((4, 1), -0.0), state_names=["a"]),
        build(states=np.zeros((4, 1)), state_names=["b"]),
        build(readouts=VALUES | {"liver_volume": nudged}, states=np.zeros((4, 1)), state_names=["a"]),
        build(units=dict.fromkeys(VALUES, "h"), states=np.zeros((4, 1)), state_names=["a"]),
        build(definitions=dict.fromkeys(VALUES, "d"), states=np.zeros((4, 1)), state_names=["a"]),
        build(first_waves=None, states=np.zeros((4, 1)), state_names=["a"]),
        build(time_h=TIME * 1.5, states=np.zeros((4, 1)), state_names=["a"]),
    ]
    assert len({result.content_hash() for result in [base, *others]}) == len(others) + 1
    assert build(states=np.zeros((4, 1)), state_names=["a"]).content_hash() == base.content_hash()


def test_importing_results_does_not_import_xarray_or_zarr() -> None:
    code = "import sys, hepatalk.results; print([m for m in ('xarray', 'zarr', 'pandas') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# --- what it refuses ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ask", [Result.readout, Result.unit, Result.definition, lambda r, n: r.at(n, 0.0)])
def test_an_unknown_readout_is_answered_with_the_nearest(ask: Any) -> None:
    with pytest.raises(UnknownNameError, match=r"unknown readout 's_phase.HPE'; nearest: s_phase.HEP, .*list readouts"):
        ask(build(), "s_phase.HPE")


@pytest.mark.parametrize("t", [-1e-9, 48.1, float("nan"), float("inf")])
def test_no_time_outside_the_run_is_answered(t: float) -> None:
    with pytest.raises(ResultError, match="outside this run; allowed: 0 to 48 h; run for longer"):
        build().at("liver_volume", t)


@pytest.mark.parametrize(
    ("time_h", "message"),
    [
        ([], "no output times"),
        ([0.0, 1.0, 1.0, 2.0], r"entry 2 \(1 h\) does not come after 1 h"),
        ([0.0, 2.0, 1.0, 3.0], r"entry 2 \(1 h\) does not come after 2 h"),
        ([1.0, 2.0, 3.0, 4.0], "the first time is 1 h; it must be 0"),
        ([0.0, np.nan, 2.0, 3.0], "entry 1 is nan"),
        ([0.0, 1.0, 2.0, np.inf], "entry 3 is inf"),
        ([[0.0, 1.0], [2.0, 3.0]], "expected shape"),
        (["0", "1", "2", "3"], "expected real numbers"),
    ],
)
def test_times_that_do_not_increase_from_zero_are_refused(time_h: Any, message: str) -> None:
    with pytest.raises(ResultError, match=f"time_h.*{message}"):
        build(time_h=time_h)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.zeros(3), r"'liver_volume': expected shape \(4,\), got \(3,\)"),
        (np.zeros((4, 1)), r"expected shape \(4,\)"),
        (np.array([0, 1, np.nan, np.inf]), "'liver_volume' is nan at 24 h; allowed: finite numbers"),
        (np.array([0, 1, 2, -np.inf]), "'liver_volume' is -inf at 48 h"),
        (np.array([0, 1, 2, 1j]), "expected real numbers, got complex128"),
        (np.array([None] * 4), "expected real numbers, got object"),
    ],
)
def test_values_that_are_no_finite_series_are_refused(values: Any, message: str) -> None:
    with pytest.raises(ResultError, match=message):
        one(values)


@pytest.mark.parametrize("dtype", [np.float32, np.int64, np.bool_])
def test_other_real_numbers_become_float64(dtype: Any) -> None:
    values = one(np.array([0, 1, 1, 0], dtype=dtype)).readout("liver_volume")
    assert values.dtype == np.float64
    assert values.tolist() == [0.0, 1.0, 1.0, 0.0]


@pytest.mark.parametrize("name", ["", ".", "a/b", "a\\b", "..", "__x", "time", "state", "state_name", "a b", "a.", 3])
def test_names_that_cannot_be_folders_are_refused(name: Any) -> None:
    with pytest.raises(ResultError, match="cannot be stored; allowed: letters"):
        one(np.zeros(4), name)


def test_names_that_differ_in_case_alone_are_refused() -> None:
    names = dict.fromkeys(["signal.NO", "signal.No"], "1")
    with pytest.raises(ResultError, match=r"'signal.NO' and 'signal.No' differ in case alone"):
        build(readouts=dict.fromkeys(names, np.zeros(4)), units=names, definitions=names, first_waves=None)


def test_a_result_without_readouts_is_refused() -> None:
    with pytest.raises(ResultError, match="at least one readout"):
        build(readouts={}, units={}, definitions={}, first_waves=None)


@pytest.mark.parametrize("kind", ["unit", "definition"])
@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ({}, "'liver_volume' has no {kind}; give one"),
        ({"liver_volume": "d", "liver_volum": "d"}, "'liver_volum', which is no readout.*nearest: liver_volume"),
        ({"liver_volume": "  "}, "'liver_volume' has no {kind}: got '"),
        ({"liver_volume": 1}, "'liver_volume' has no {kind}: got 1"),
    ],
)
def test_each_readout_needs_its_unit_and_definition(kind: str, texts: Any, message: str) -> None:
    with pytest.raises(ResultError, match=message.format(kind=kind)):
        one(np.zeros(4), **{f"{kind}s": texts})


@pytest.mark.parametrize(
    "wave", [(24.0, 0.3), (0.3, 49.0), (0.3, -1.0), (np.nan, 1.0), (0.3, np.nan), (0.3,), ("a", 1.0), 0.3]
)
def test_a_first_wave_is_a_fraction_and_a_time_of_the_run_in_this_order(wave: Any) -> None:
    with pytest.raises(ResultError, match=r"first wave of 's_phase.HEP' is .*; allowed: .*; correct it"):
        build(first_waves={"s_phase.HEP": wave})


def test_a_first_wave_belongs_to_an_s_phase_readout() -> None:
    with pytest.raises(ResultError, match=r"'liver_volume' has a first wave; allowed: only s_phase"):
        build(first_waves={"liver_volume": (0.3, 24.0)})
    with pytest.raises(UnknownNameError, match=r"unknown readout 's_phase.HP'; nearest: s_phase.HEP"):
        build(first_waves={"s_phase.HP": (0.3, 24.0)})


@pytest.mark.parametrize(
    ("states", "names", "message"),
    [
        (None, ["a"], "1 state names were given without states"),
        (np.zeros((4, 2)), None, "state names must be distinct"),
        (np.zeros((4, 2)), ["a", "a"], "state names must be distinct"),
        (np.zeros((4, 2)), ["a", ""], "state names must be distinct"),
        (np.zeros((4, 2)), ["a"], r"states: expected shape \(4, 1\), got \(4, 2\)"),
        (np.zeros((3, 2)), ["a", "b"], r"states: expected shape \(4, 2\)"),
        (np.array([[0, 0], [0, np.inf], [0, 0], [0, 0]]), ["a", "b"], "state 'b' is inf at 12 h"),
    ],
)
def test_states_must_match_their_names_and_times(states: Any, names: Any, message: str) -> None:
    with pytest.raises(ResultError, match=message):
        build(states=states, state_names=names)


@pytest.mark.parametrize("missing", ["readouts attribute", "variable", "units"])
def test_a_dataset_that_is_no_result_is_refused(missing: str) -> None:
    dataset = build().dataset
    if missing == "readouts attribute":
        del dataset.attrs["readouts"]
    elif missing == "variable":
        del dataset["liver_volume"]
    else:
        del dataset["liver_volume"].attrs["units"]
    with pytest.raises(ResultError, match="this dataset is not a result"):
        Result.from_dataset(dataset, provenance())


# --- provenance --------------------------------------------------------------------------------------------------


def test_provenance_survives_json() -> None:
    origin = provenance(
        changes=["0 h: resect 70%"],
        parameters_set={"k_on": np.float64(0.1), "n": np.int64(2), "law": "hill", "flag": True},
        knockouts=("Il6@KC",),
        hypotheses=["junD_early"],
        sources=("ding2010",),
        seed=np.int64(7),
    )
    back = Provenance.from_dict(json.loads(json.dumps(origin.to_dict())))
    assert back == origin
    assert back.changes == ("0 h: resect 70%",)
    assert type(back.seed) is int
    assert type(origin.parameters_set["k_on"]) is float
    assert list(origin.to_dict()) == list(Provenance.__dataclass_fields__)


def test_provenance_does_not_follow_the_callers_dictionary() -> None:
    given: dict[str, Any] = {"k_on": 0.1}
    origin = provenance(parameters_set=given)
    given["k_on"] = 9.0
    origin.to_dict()["parameters_set"]["k_on"] = 9.0
    assert origin.parameters_set == {"k_on": 0.1}


def test_by_default_a_provenance_tells_time_versions_and_platform() -> None:
    fields = {name: getattr(provenance(), name) for name in ("experiment", "title", "species", "engine", "seed")}
    origin = Provenance(**fields, model_hash="abc", knowledge_version="1")
    assert origin.created.endswith("+00:00")
    assert origin.platform
    assert origin.versions == collect_versions()
    expected = {"hepatalk", "python", "numpy", "scipy", "numba", "scikit-sundae", "xarray", "zarr"}
    assert set(origin.versions) == expected
    assert origin.versions["numpy"] == np.__version__


def test_a_distribution_without_metadata_is_called_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hepatalk.results.provenance._DISTRIBUTIONS", ("no-such-distribution",))
    assert collect_versions()["no-such-distribution"] == "not installed"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": 1.5}, "'seed' is 1.5; allowed: an integer"),
        ({"seed": True}, "'seed' is True; allowed: an integer"),
        ({"title": None}, "'title' is None; allowed: a text"),
        ({"knockouts": "Il6"}, "'knockouts' is 'Il6'; allowed: a list of texts"),
        ({"sources": [1]}, r"'sources' is \[1\]; allowed: a list of texts"),
        ({"parameters_set": [1]}, "'parameters_set' is .*allowed: a mapping"),
        ({"parameters_set": {"k": [1]}}, r"'parameters_set.k' is \[1\]; allowed: a number or a text"),
        ({"parameters_set": {"k_on": float("nan")}}, "not finite; allowed: finite numbers; .*k_on"),
        ({"versions": {"numpy": 2}}, "'versions.numpy' is 2; allowed: a text"),
        ({"created": "yesterday"}, "'created' is 'yesterday'; allowed: a time like"),
        ({"created": "2026-01-31T12:00:00"}, "allowed: a time in UTC"),
        ({"created": "2026-01-31T12:00:00+01:00"}, "allowed: a time in UTC"),
    ],
)
def test_provenance_refuses_values_of_the_wrong_kind(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ResultError, match=message):
        provenance(**changes)


def test_a_provenance_record_has_exactly_its_fields() -> None:
    record = provenance().to_dict()
    with pytest.raises(ResultError, match="unknown field 'sede'; nearest: seed"):
        Provenance.from_dict(record | {"sede": 1})
    del record["seed"]
    with pytest.raises(ResultError, match="the field 'seed' is missing"):
        Provenance.from_dict(record)
    with pytest.raises(ResultError, match="expected a mapping of fields, got None"):
        Provenance.from_dict(None)
