"""The files of a saved result are those that xarray and zarr write for the same arrays."""

from __future__ import annotations

import json

import numpy as np
import pytest

from hepatalk.results import Provenance, Result
from hepatalk.results.arrays import zarr_files
from hepatalk.results.band import Bands


def result(*, states: bool, bands: bool) -> Result:
    rng = np.random.default_rng(5)
    readouts = {"s_phase.HEP": rng.random(7), "liver_volume": rng.random(7), "signal.HGF": np.zeros(7)}
    made = Result.build(
        np.arange(7.0),
        readouts,
        dict.fromkeys(readouts, "x healthy"),
        {name: f"what {name} is, with \N{GREEK SMALL LETTER ALPHA}" for name in readouts},
        Provenance("phx70", "a title", "rat", "population", 3, "abc", "1", created="2026-01-31T12:00:00+00:00"),
        rng.random((7, 2)) if states else None,
        ["a", "b"] if states else None,
        {"s_phase.HEP": (0.3, 1.5)},
    )
    if not bands:
        return made
    band = Bands.of({"liver_volume": rng.random((4, 7))}, 0.9)
    return Result(made.time_h, made.readouts, made.provenance, made.states, made.state_names, band)


def written_by_xarray(given: Result, attributes: dict[str, object]) -> dict[str, bytes]:
    """Return the same files as xarray and zarr make them."""
    from zarr.storage import MemoryStore

    dataset = given.dataset
    dataset.attrs |= attributes
    if "state" in dataset:
        dataset = dataset.drop_vars("state_name")
        dataset["state"].attrs["state_names"] = list(given.state_names)
    encoding = {name: {"chunks": dataset[name].shape, "_FillValue": float("nan")} for name in dataset.variables}
    buffers: dict[str, object] = {}
    dataset.to_zarr(MemoryStore(buffers), mode="w", zarr_format=3, consolidated=False, encoding=encoding)
    return {key: buffer.to_bytes() for key, buffer in buffers.items()}


@pytest.mark.parametrize(("states", "bands"), [(True, True), (True, False), (False, False)])
def test_the_files_are_those_of_xarray_and_zarr(states: bool, bands: bool) -> None:
    given, attributes = result(states=states, bands=bands), {"format": "hepatalk result", "format_version": 1}
    ours, theirs = zarr_files(given, attributes), written_by_xarray(given, attributes)
    assert sorted(ours) == sorted(theirs)
    for path, content in ours.items():
        if path.endswith("zarr.json"):
            assert json.loads(content) == json.loads(theirs[path]), path
        else:
            assert content == theirs[path], path
