"""The arrays of a result as the files of a Zarr 3 group, written directly.

A result has some 160 arrays of one chunk each. Through xarray and zarr each costs several milliseconds of bookkeeping,
twenty times what its bytes cost, so the two kinds of file that the format consists of are written here; a test compares
them with what xarray and zarr write.

Source
------
Zarr core specification, version 3, https://zarr-specs.readthedocs.io/en/latest/v3/core/index.html.
"""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from hepatalk.results.result import Result

__all__ = ["array_files", "group_file", "zarr_files"]

#: NaN marks what is missing, since no stored value may be NaN; xarray keeps its fill value as the bytes in base64.
_FILL_VALUE = base64.standard_b64encode(struct.pack("<d", float("nan"))).decode()
_ZSTD_LEVEL = 0  # the default of the codec


def zarr_files(result: Result, attributes: Mapping[str, Any]) -> dict[str, bytes]:
    """Return the files of a group that holds a result.

    Parameters
    ----------
    result : Result
    attributes : mapping
        Attributes of the group, JSON values, beside those that identify the run.

    Returns
    -------
    dict of str to bytes
        By path within the group, with '/'.
    """
    own = {**result.identity, "readouts": list(result.names), **attributes}
    files = {"zarr.json": group_file(own)}

    def add(name: str, values: NDArray[np.float64], dimensions: Sequence[str], labels: Mapping[str, Any]) -> None:
        for path, content in array_files(values, dimensions, {**labels, "_FillValue": _FILL_VALUE}).items():
            files[f"{name}/{path}"] = content

    add("time", result.time_h, ("time",), {"units": "h"})
    for name, item in result.readouts.items():
        add(name, item.values, ("time",), item.labels())
    if result.states is not None:
        # Zarr 3 has no settled type for text arrays, so the names travel as an attribute.
        named = {"units": "engine units", "definition": "raw states of the engine"}
        add("state", result.states, ("time", "state_name"), named | {"state_names": list(result.state_names)})
    if result.bands is not None:
        add("band", result.bands.stacked(), ("band_readout", "band_curve", "time"), result.bands.labels())
    return files


def array_files(values: NDArray[Any], dimensions: Sequence[str], labels: Mapping[str, Any]) -> dict[str, bytes]:
    """Return description and chunk of an array; one chunk, because a series or a column is always read whole.

    Parameters
    ----------
    values : array
        Floats or integers, of any shape.
    dimensions : sequence of str
    labels : mapping
        Attributes of the array, JSON values.

    Returns
    -------
    dict of str to bytes
        By path within the array, with '/'.
    """
    from numcodecs.zstd import Zstd

    kind, shape = values.dtype, list(values.shape)
    order = {"configuration": {"endian": "little"}} if kind.itemsize > 1 else {}
    description = {
        "shape": shape,
        "data_type": kind.name,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [max(n, 1) for n in shape]}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": "NaN" if kind.kind == "f" else 0,
        "codecs": [
            {"name": "bytes", **order},
            {"name": "zstd", "configuration": {"level": _ZSTD_LEVEL, "checksum": False}},
        ],
        "attributes": dict(labels),
        "dimension_names": list(dimensions),
        "zarr_format": 3,
        "node_type": "array",
        "storage_transformers": [],
    }
    plain = np.ascontiguousarray(values, dtype=kind.newbyteorder("<")).tobytes()
    chunk = "/".join(["c", *("0" for _ in shape)])
    return {"zarr.json": _text(description), chunk: bytes(Zstd(level=_ZSTD_LEVEL).encode(plain))}


def group_file(attributes: Mapping[str, Any]) -> bytes:
    """Return the description of a group with such attributes, JSON values."""
    return _text({"attributes": dict(attributes), "zarr_format": 3, "node_type": "group"})


def _text(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, indent=2, allow_nan=False).encode()
