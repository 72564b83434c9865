"""Cells and fields of a lobule, read again: a table for each kept moment, and profiles over depth and time."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hepatalk.errors import ResultError, shown
from hepatalk.results.cell_tables import CELLS, CELLS_FORMAT, CELLS_VERSION, DEPTH_BINS

if TYPE_CHECKING:
    import xarray

__all__ = ["Cells", "load_cells", "to_anndata"]

_RUN_AGAIN = "run the experiment again with --engine lobule --out"
#: What a reader of arrays raises on bytes that are none.
_UNREADABLE = (OSError, KeyError, ValueError, TypeError, RuntimeError, json.JSONDecodeError)


@dataclass(frozen=True)
class Cells:
    """The cells of a run, on disk.

    Attributes
    ----------
    path : Path
        The Zarr group.
    times_h : tuple of float
        When cells were kept: the first step from each wanted time on.
    attributes : mapping
        Experiment, species, seed, model hash, and the size of the lobule.
    """

    path: Path
    times_h: tuple[float, ...]
    attributes: dict[str, Any]
    _names: tuple[str, ...] = field(repr=False)

    def __len__(self) -> int:
        return len(self.times_h)

    def at(self, time_h: float) -> xarray.Dataset:
        """Return cells and fields at the kept moment that is nearest to a time.

        Parameters
        ----------
        time_h : float

        Returns
        -------
        xarray.Dataset
            Along ``cell``: ``ident``, ``parent`` (-1 for none), ``clone``, ``type``, ``state``, ``stage``, ``lineage``,
            ``nuclei``, ``generation`` (texts, '' for none), ``zone`` (1 periportal to 3), ``at_site``, ``volume`` (x a
            healthy cell), ``labels`` (cell, label), ``spatial`` (cell, axis; um). Along ``site``: ``site_spatial``,
            ``site_zone``, ``site_depth``, ``fields`` (field, site; x health). Sinusoids, in the coordinates and with
            the radii of the healthy lobule: ``node`` (node, axis; um), ``edge`` (segment, end), ``edge_radius`` (um),
            ``edge_kind`` (1 for portal venules). Attributes ``time_h``, ``scale`` (edge of the lobule), ``lobules``
            (relative to health), and the measures of the vessels.

        Raises
        ------
        ResultError
            If the table is damaged.
        """
        k = int(np.argmin(np.abs(np.array(self.times_h) - time_h)))
        try:
            return _dataset(self.path / "moments" / self._names[k])
        except _UNREADABLE as error:
            raise _damaged(self.path, f"the cells at {self.times_h[k]:g} h", error) from error

    def anatomy(self) -> dict[str, npt.NDArray[Any]]:
        """Return the healthy lobule, as `hepatalk.engines.lobule.record.anatomy_of` has it; empty without space."""
        if not (self.path / "anatomy").is_dir():
            return {}
        try:
            return {name: values for name, (values, _) in _arrays(self.path / "anatomy").items()}
        except _UNREADABLE as error:
            raise _damaged(self.path, "the anatomy", error) from error

    @property
    def types(self) -> tuple[str, ...]:
        """Cell types, in the order of ``cell_diameter``."""
        return tuple(_head(self.path / "anatomy")["types"])

    def profiles(self) -> xarray.Dataset:
        """Return profiles over time and depth: ten equal parts of the tissue, from portal (0) to central (1).

        Returns
        -------
        xarray.Dataset
            ``profile`` (time, quantity, depth): the fields, ``site_depth``, and for each cell type ``count.TYPE``
            (cells of the sample), ``s_phase.TYPE`` (share in S phase), ``volume.TYPE`` (x health); NaN where a bin has
            none. Along time: ``scale``, ``lobules``, and of the vessels ``sinusoid_length`` (um), ``sinusoid_share``
            (of the tissue's volume), ``avascular`` (share of the hepatocytes that touch no vessel),
            ``avascular_groups`` (of neighbours among them, large enough to draw a sprout), ``avascular_group`` (mean
            number of cells in these), ``largest_group``.
        """
        import xarray

        try:
            found = [_array(p) for p in sorted((self.path / "profiles").glob("h*"))]
        except _UNREADABLE as error:
            raise _damaged(self.path, "a profile", error) from error
        names = found[0][1]["names"] if found else []
        values = np.array([v for v, _ in found], dtype=float).reshape(len(found), len(names), DEPTH_BINS)
        return xarray.Dataset(
            {
                "profile": (("time", "quantity", "depth"), values),
                **{
                    name: ("time", [float(a[name]) for _, a in found])
                    for name in ("scale", "lobules", *_measured(found))
                },
            },
            coords={
                "time": [float(a["time_h"]) for _, a in found],
                "quantity": names,
                "depth": (np.arange(DEPTH_BINS) + 0.5) / DEPTH_BINS,
            },
        )


def load_cells(directory: str | Path) -> Cells:
    """Return the cells that a run of the lobule engine left in its folder; tables are read when they are asked for.

    Parameters
    ----------
    directory : path
        What ``hepatalk run --engine lobule --out`` wrote.

    Raises
    ------
    ResultError
        If the folder holds no cells, those of another run than its result, or another format.
    """
    path = Path(directory) / CELLS
    where = shown(str(directory))
    if not path.is_dir():
        raise ResultError(f"{where} holds no {CELLS}; allowed: the folder of a run of the lobule engine; {_RUN_AGAIN}")
    try:
        head = _head(path)
        names = tuple(sorted(p.name for p in (path / "moments").glob("h*")))
        times = tuple(float(_head(path / "moments" / name)["time_h"]) for name in names)
    except _UNREADABLE as error:
        raise _damaged(path, "its head", error) from error
    if head.get("format") != CELLS_FORMAT or head.get("format_version") != CELLS_VERSION:
        said = f"{head.get('format')} {head.get('format_version')}"
        raise ResultError(
            f"{shown(str(path))} is of the format {shown(said)}; allowed: {CELLS_FORMAT} {CELLS_VERSION}; {_RUN_AGAIN}"
        )
    record = Path(directory) / "provenance.json"
    if record.is_file():
        kept = json.loads(record.read_bytes()).get("content_sha256")
        if kept != head.get("of_result_sha256"):
            raise ResultError(f"the cells in {where} are not of the result beside them; {_RUN_AGAIN}")
    return Cells(path, times, head, names)


def to_anndata(table: xarray.Dataset) -> Any:
    """Return a moment as an AnnData object: ``obs`` of the cells, ``obsm['spatial']``, fields and sites in ``uns``.

    Parameters
    ----------
    table : xarray.Dataset
        From `Cells.at`.

    Raises
    ------
    ResultError
        If the package anndata is not installed.
    """
    try:
        import anndata
        import pandas
    except ImportError as error:
        raise ResultError(
            f"to_anndata needs the package {error.name}, which is not installed; "
            "allowed: pip install anndata; Cells.at works without it"
        ) from error
    columns = {str(n): v.values for n, v in table.data_vars.items() if v.dims == ("cell",) and n != "ident"}
    obs = pandas.DataFrame(columns, index=[str(i) for i in table["ident"].values])
    for name in ("type", "state", "stage", "lineage", "nuclei", "generation"):
        obs[name] = obs[name].astype("category")
    for label in table["label"].values:
        obs[f"label_{label}"] = table["labels"].sel(label=label).values
    return anndata.AnnData(
        obs=obs,
        obsm={"spatial": table["spatial"].values},
        uns={
            **{str(k): v for k, v in table.attrs.items()},
            "fields": {str(n): table["fields"].sel(field=n).values for n in table["field"].values},
            "site_spatial": table["site_spatial"].values,
        },
    )


def _dataset(path: Path) -> xarray.Dataset:
    """Return the table of a moment."""
    import xarray

    variables: dict[str, Any] = {}
    for name, (values, labels) in _arrays(path / "obs").items():
        shown_as = np.array([*labels["categories"], ""])[values] if "categories" in labels else values
        variables["at_site" if name == "site" else name] = ("cell", shown_as)
    marks, named = _array(path / "obsm" / "labels")
    variables["labels"] = (("cell", "label"), marks.astype(bool))
    variables["spatial"] = (("cell", "axis"), _array(path / "obsm" / "spatial")[0])
    for name, (values, _) in _arrays(path / "sites").items():
        variables[f"site_{name}"] = (("site", "axis") if values.ndim > 1 else ("site",), values)
    if (path / "vessels").is_dir():
        dimensions = {"node": ("node", "axis"), "edge": ("segment", "end")}
        for name, (values, _) in _arrays(path / "vessels").items():
            variables[name] = (dimensions.get(name, ("segment",)), values)
    levels, about = _array(path / "fields")
    variables["fields"] = (("field", "site"), levels)
    coords = {"label": named["labels"], "axis": ["x", "y", "z"], "field": about["names"]}
    return xarray.Dataset(variables, coords=coords, attrs=_head(path))


def _head(path: Path) -> dict[str, Any]:
    """Return the attributes of a group or an array."""
    head = json.loads((path / "zarr.json").read_bytes())["attributes"]
    if not isinstance(head, dict):
        raise TypeError("attributes are no object")
    return head


def _array(path: Path) -> tuple[npt.NDArray[Any], dict[str, Any]]:
    """Return an array and its attributes."""
    import zarr

    opened = zarr.open_array(str(path), mode="r")
    return np.asarray(opened[...]), dict(opened.attrs)


def _arrays(path: Path) -> dict[str, tuple[npt.NDArray[Any], dict[str, Any]]]:
    """Return all arrays of a group."""
    return {p.name: _array(p) for p in sorted(path.iterdir()) if p.is_dir() and not p.name.startswith(".")}


def _measured(found: list[tuple[npt.NDArray[Any], dict[str, Any]]]) -> list[str]:
    """Return the names of the measures that stand beside profiles."""
    return [k for k in found[0][1] if k not in ("names", "time_h", "scale", "lobules")] if found else []


def _damaged(path: Path, what: str, error: Exception) -> ResultError:
    reason = " ".join(str(error).split()) or type(error).__name__
    return ResultError(f"{shown(str(path))} is damaged: {what} cannot be read ({reason}); {_RUN_AGAIN}")
