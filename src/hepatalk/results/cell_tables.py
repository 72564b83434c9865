"""Tables of cells and fields, written moment by moment while a lobule runs, so that memory stays flat.

``cells.zarr`` is a Zarr 3 group. Each moment is a group of its own, shaped like an AnnData object (``obs``, ``obsm``),
with the fields at the sites beside it; profiles over depth are small arrays at more times. A moment is prepared under
a hidden name and renamed: whatever is there is whole. The layout is described in ``docs/file_format.md``.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from hepatalk.errors import OutputError, shown
from hepatalk.results.arrays import array_files, group_file

if TYPE_CHECKING:
    from hepatalk.results.result import Result

__all__ = ["CELLS", "CELLS_FORMAT", "CELLS_VERSION", "DEPTH_BINS", "CellTables", "Moment", "parted", "table_times"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

#: Name of the folder, and of its format.
CELLS, CELLS_FORMAT, CELLS_VERSION = "cells.zarr", "hepatalk cells", 2
#: The tissue is divided into so many equal parts in the order of depth, from the portal tracts to the central vein.
DEPTH_BINS = 10
#: When cells are kept unless somebody says otherwise, in h; and the end.
_TIMES_H = (0.0, 6.0, 12.0, 24.0, 36.0, 48.0, 72.0, 96.0, 120.0, 168.0)
#: Profiles are kept so often, in h, and at most so many of them.
_PROFILE_EVERY_H, _MOST_PROFILES = 3.0, 120
#: Two times nearer than this are one.
_SAME_H = 1e-6
_ABSENT = -1
_COLUMNS = ("type", "state", "stage", "lineage", "nuclei", "generation")


class Moment(Protocol):
    """What is kept of a moment; `hepatalk.engines.lobule.record.Snapshot` says what the attributes are."""

    @property
    def time_h(self) -> float: ...  # noqa: D102
    @property
    def lobules(self) -> float: ...  # noqa: D102
    @property
    def scale(self) -> float: ...  # noqa: D102
    @property
    def types(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def compartments(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def labels(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def ident(self) -> Ints: ...  # noqa: D102
    @property
    def parent(self) -> Ints: ...  # noqa: D102
    @property
    def clone(self) -> Ints: ...  # noqa: D102
    @property
    def type_(self) -> Ints: ...  # noqa: D102
    @property
    def compartment(self) -> Ints: ...  # noqa: D102
    @property
    def site(self) -> Ints: ...  # noqa: D102
    @property
    def zone(self) -> Ints: ...  # noqa: D102
    @property
    def marks(self) -> Ints: ...  # noqa: D102
    @property
    def volume(self) -> Floats: ...  # noqa: D102
    @property
    def position(self) -> Floats: ...  # noqa: D102
    @property
    def site_position(self) -> Floats: ...  # noqa: D102
    @property
    def site_zone(self) -> Ints: ...  # noqa: D102
    @property
    def fields(self) -> Mapping[str, Floats]: ...  # noqa: D102
    @property
    def vessels(self) -> Mapping[str, npt.NDArray[Any]]: ...  # noqa: D102
    @property
    def measures(self) -> Mapping[str, float]: ...  # noqa: D102
    @property
    def anatomy(self) -> Mapping[str, npt.NDArray[Any]]: ...  # noqa: D102


def table_times(end_h: float, every_h: float | None = None) -> tuple[float, ...]:
    """Return when cells are kept: at some chosen hours or every so many, and at the end.

    Parameters
    ----------
    end_h : float
        Length of the run.
    every_h : float, optional
        Above 0.
    """
    if every_h is None:
        chosen = [t for t in _TIMES_H if t < end_h - _SAME_H]
    else:
        chosen = [k * every_h for k in range(math.ceil(end_h / every_h)) if k * every_h < end_h - _SAME_H]
    return (*chosen, end_h)


def _profile_times(end_h: float) -> tuple[float, ...]:
    every = max(_PROFILE_EVERY_H, end_h / _MOST_PROFILES)
    return (*(k * every for k in range(math.ceil(end_h / every)) if k * every < end_h - _SAME_H), end_h)


class CellTables:
    """Writes the moments that a lobule hands out; give it as ``keep`` of the settings of the engine.

    Parameters
    ----------
    path : Path
        The group; its folder must exist.
    end_h : float
        Length of the run.
    every_h : float, optional
        As for `table_times`.
    resume : bool
        Whether the run goes on from a checkpoint: what the folder holds of it stays. Otherwise it is emptied.

    Raises
    ------
    OutputError
        From every call, if the disk is full or refuses; nothing half-written stays.
    """

    def __init__(self, path: Path, end_h: float, every_h: float | None = None, *, resume: bool = False) -> None:
        self.path = path
        self._tables, self._profiles = list(table_times(end_h, every_h)), list(_profile_times(end_h))
        self.wanted_h = tuple(sorted({*self._tables, *self._profiles}))
        if not resume:
            shutil.rmtree(path, ignore_errors=True)
        # Each kind by itself: a run may have been broken off between a profile and the table of the same moment.
        self._tables = [t for t in self._tables if t > self._last("moments") + _SAME_H]
        self._profiles = [t for t in self._profiles if t > self._last("profiles") + _SAME_H]

    def __call__(self, moment: Moment) -> None:
        """Write what is wanted of a moment."""
        try:
            if moment.anatomy and not (self.path / "anatomy").exists():
                self._put("anatomy", _anatomy(moment))
            if self._profiles and moment.time_h >= self._profiles[0] - _SAME_H and moment.anatomy:
                self._profiles = [t for t in self._profiles if t > moment.time_h + _SAME_H]
                self._put(f"profiles/{_name(moment.time_h)}", _profile(moment))
            if self._tables and moment.time_h >= self._tables[0] - _SAME_H:
                self._tables = [t for t in self._tables if t > moment.time_h + _SAME_H]
                self._put(f"moments/{_name(moment.time_h)}", _table(moment))
        except OSError as error:
            raise OutputError(
                f"cells at {moment.time_h:g} h cannot be written into {shown(str(self.path.parent))}: "
                f"{error.strerror or error}; free some space or change permissions, or choose another folder with --out"
            ) from error

    def finish(self, result: Result, **settings: float) -> None:
        """Write the head of the group, which ties it to a result.

        Parameters
        ----------
        result : Result
            Of the same run.
        **settings : number
            Kept as attributes: hepatocytes and lobules asked for.

        Raises
        ------
        OSError
            If that cannot be written.
        """
        head = {
            "format": CELLS_FORMAT,
            "format_version": CELLS_VERSION,
            "of_result_sha256": result.content_hash(),
            **result.identity,
            **settings,
        }
        self.path.mkdir(parents=True, exist_ok=True)
        for kind in ("moments", "profiles"):
            (self.path / kind).mkdir(exist_ok=True)
            (self.path / kind / "zarr.json").write_bytes(group_file({}))
        (self.path / "zarr.json").write_bytes(group_file(head))

    def _last(self, kind: str) -> float:
        """Return the time of the last group of a kind."""
        return max((_time_of(p) for p in (self.path / kind).glob("h*") if p.is_dir()), default=-math.inf)

    def _put(self, name: str, files: Mapping[str, bytes]) -> None:
        """Write a group whole or not at all."""
        target = self.path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        hidden = target.with_name(f".{target.name}")
        shutil.rmtree(hidden, ignore_errors=True)
        try:
            for path, content in files.items():
                _write_file(hidden / path, content)
            hidden.rename(target)
        except BaseException:
            shutil.rmtree(hidden, ignore_errors=True)
            raise


def _write_file(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as file:
        file.write(content)


def _name(time_h: float) -> str:
    """Return the name of a moment; names sort as times do."""
    return f"h{time_h:011.5f}"


def _time_of(path: Path) -> float:
    return float(path.name[1:])


# ------------------------------------------------------------------------------------------------ what is written


def parted(compartment: str) -> dict[str, str]:
    """Return what the name of a compartment says: type, state; stage, lineage, nuclei, generation where it has them.

    Parameters
    ----------
    compartment : str
        Such as ``HEP.g1.0.mononucleate.generation0``.
    """
    type_, state, *more = compartment.split(".")
    said = {"type": type_, "state": state}
    for word in more:
        if word.isdigit():
            said["stage"] = word
        elif word.endswith("nucleate"):
            said["nuclei"] = word
        elif word.startswith("generation"):
            said["generation"] = word.removeprefix("generation")
        else:
            said["lineage"] = word
    return said


def _categories(compartments: Sequence[str]) -> dict[str, tuple[list[str], Ints]]:
    """Return for each column its categories, and the code of each compartment, -1 where it has none."""
    said = [parted(name) for name in compartments]
    out = {}
    for column in _COLUMNS:
        values = list(dict.fromkeys(s[column] for s in said if column in s))
        codes = [values.index(s[column]) if column in s else _ABSENT for s in said]
        out[column] = (values, np.array(codes, dtype=np.int64))
    return out


class _Files:
    """Collects the files of a group."""

    def __init__(self, **attributes: Any) -> None:
        self.files = {"zarr.json": group_file(attributes)}

    def add(self, name: str, values: npt.NDArray[Any], dimensions: Sequence[str], **labels: Any) -> None:
        """Add an array; groups on its way are added too."""
        for k in range(1, name.count("/") + 1):
            self.files.setdefault("/".join([*name.split("/")[:k], "zarr.json"]), group_file({}))
        for path, content in array_files(values, dimensions, labels).items():
            self.files[f"{name}/{path}"] = content


def _table(m: Moment) -> dict[str, bytes]:
    """Return the files of cells and fields at a moment."""
    out = _Files(time_h=m.time_h, lobules=m.lobules, scale=m.scale, **m.measures)
    for column, (values, codes) in _categories(m.compartments).items():
        out.add(f"obs/{column}", codes[m.compartment].astype(np.int16), ("cell",), categories=values)
    for column, numbers in (("ident", m.ident), ("parent", m.parent), ("clone", m.clone)):
        out.add(f"obs/{column}", numbers.astype(np.int64), ("cell",))
    out.add("obs/zone", m.zone.astype(np.int8), ("cell",))
    out.add("obs/site", m.site.astype(np.int32), ("cell",))
    out.add("obs/volume", m.volume.astype(np.float32), ("cell",), units="x a healthy cell of the type")
    bits = (m.marks[:, None] >> np.arange(len(m.labels))) & 1
    out.add("obsm/labels", bits.astype(np.uint8), ("cell", "label"), labels=list(m.labels))
    out.add("obsm/spatial", m.position.astype(np.float32), ("cell", "axis"), units="um")
    out.add("sites/spatial", m.site_position.astype(np.float32), ("site", "axis"), units="um")
    out.add("sites/zone", m.site_zone.astype(np.int8), ("site",))
    if m.anatomy:
        out.add("sites/depth", m.anatomy["site_depth"].astype(np.float32), ("site",), units="0 portal to 1 central")
    for name, part in m.vessels.items():
        kept = part.astype(np.float32 if part.dtype.kind == "f" else np.int32)
        across = ("axis",) if name == "node" else ("end",)
        out.add(f"vessels/{name}", kept, ("node" if name == "node" else "segment", *across)[: part.ndim])
    levels = np.array([m.fields[name] for name in m.fields], dtype=np.float32).reshape(len(m.fields), len(m.site_zone))
    out.add("fields", levels, ("field", "site"), names=list(m.fields), units="x health, but areas: share of a section")
    return out.files


def _anatomy(m: Moment) -> dict[str, bytes]:
    """Return the files of what does not change."""
    out = _Files(types=list(m.types))
    for name, values in m.anatomy.items():
        dimensions = [f"{name}_{k}" for k in range(values.ndim)]
        out.add(name, values if values.dtype.kind == "f" else values.astype(np.int64), dimensions)
    return out.files


def _profile(m: Moment) -> dict[str, bytes]:
    """Return the files of the profiles over depth: fields by the volume of sites, cells by number."""
    depth, weight = m.anatomy["site_depth"], m.anatomy["site_volume"]
    order = np.argsort(depth, kind="stable")
    before = np.empty(len(depth))
    before[order] = (np.cumsum(weight[order]) - 0.5 * weight[order]) / weight.sum()
    place = np.minimum((before * DEPTH_BINS).astype(np.int64), DEPTH_BINS - 1)
    rows: dict[str, Floats] = {"site_depth": _mean(place, depth, weight)}
    for name, values in m.fields.items():
        there = np.isfinite(values)
        rows[name] = _mean(place[there], values[there], weight[there])
    at, states = place[m.site], _categories(m.compartments)["state"]
    in_s = states[1][m.compartment] == (states[0].index("s") if "s" in states[0] else _ABSENT - 1)
    for k, cell in enumerate(m.types):
        own = m.type_ == k
        rows[f"count.{cell}"] = np.bincount(at[own], minlength=DEPTH_BINS).astype(float)
        rows[f"s_phase.{cell}"] = _mean(at[own], in_s[own].astype(float))
        rows[f"volume.{cell}"] = _mean(at[own], m.volume[own])
    out = array_files(
        np.array(list(rows.values()), dtype=np.float32),
        ("quantity", "depth"),
        {"names": list(rows), "time_h": m.time_h, "scale": m.scale, "lobules": m.lobules, **m.measures},
    )
    return out


def _mean(place: Ints, values: Floats, weight: Floats | None = None) -> Floats:
    """Return the mean in each bin of depth, NaN where there is nothing."""
    w = np.ones(len(values)) if weight is None else weight
    total = np.bincount(place, weights=w, minlength=DEPTH_BINS)
    summed = np.bincount(place, weights=w * values, minlength=DEPTH_BINS)
    mean: Floats = np.divide(summed, total, out=np.full(DEPTH_BINS, np.nan), where=total > 0.0)
    return mean
