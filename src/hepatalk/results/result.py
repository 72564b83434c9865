"""What a run came to: named readouts over time, with units, definitions and provenance.

A result is a container and knows nobody: it computes nothing that a figure or a table would not. The arrays are kept
as plain read-only NumPy arrays; the labelled view (`Result.dataset`) is built on demand, because importing xarray
costs more than half a second and most commands only print numbers.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hepatalk.errors import ResultError, nearest, shown, unknown
from hepatalk.results.band import Bands
from hepatalk.results.provenance import Provenance

if TYPE_CHECKING:
    import xarray

__all__ = ["Readout", "Result"]

#: The part of the provenance that identifies a run; repeated in `Result.to_json` and in the attributes on disk.
IDENTITY = ("experiment", "title", "species", "engine", "seed", "model_hash", "knowledge_version")

#: Readout names become folder names, so only characters that every file system takes are allowed.
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(\.[A-Za-z0-9_+-]+)*")
_RESERVED = frozenset({"time", "state", "state_name", "band"})

#: Readouts of this family carry a first wave: (peak, time of the peak).
_WAVES = "s_phase."


@dataclass(frozen=True, eq=False)
class Readout:
    """One readout over time.

    Parameters
    ----------
    values : (n_times,) float array
        The readout at every time, in `unit`.
    unit : str
        Unit of the values; ``'1'`` for a fraction or a ratio.
    definition : str
        What is measured, in words.
    first_wave : (float, float) or None
        Height of the first wave (in `unit`) and its time (hours); only for ``s_phase.*``, where an engine counts it
        by generation, so that it cannot be read off the curve.
    """

    values: NDArray[np.float64]
    unit: str
    definition: str
    first_wave: tuple[float, float] | None = None

    def labels(self) -> dict[str, Any]:
        """Return what is kept beside the values: unit, definition, and the first wave if there is one."""
        labels: dict[str, Any] = {"units": self.unit, "definition": self.definition}
        if self.first_wave is not None:
            labels["first_peak"], labels["first_peak_h"] = self.first_wave
        return labels


@dataclass(frozen=True, eq=False, repr=False)
class Result:
    """The readouts of one run, optionally its raw states, and where they come from.

    Use `Result.build`. Whatever way a result is made, it is checked, its arrays are copied and made read-only.

    Parameters
    ----------
    time_h : (n_times,) float array
        Output times in hours, strictly increasing from 0.
    readouts : mapping of str to Readout
        At least one; the order is kept.
    provenance : Provenance
        Where the numbers come from.
    states : (n_times, n_states) float array or None
        The engine's raw states, in its own units.
    state_names : tuple of str
        One name for each column of `states`; empty without states.
    bands : Bands or None
        Between which values most virtual animals lie, for some of the readouts; only where it was asked for.

    Raises
    ------
    ResultError
        If lengths differ, times do not increase from 0, a value is not finite, or a name, unit or definition is bad.
    UnknownNameError
        From `readout`, `unit`, `definition`, `at` and `state`, for a name that the result does not hold.
    """

    time_h: NDArray[np.float64]
    readouts: Mapping[str, Readout]
    provenance: Provenance
    states: NDArray[np.float64] | None = None
    state_names: tuple[str, ...] = ()
    bands: Bands | None = None

    def __post_init__(self) -> None:
        """Check everything once, here, so that no method has to check again."""
        time_h = _checked_time(self.time_h)
        _check_names(self.readouts)
        checked = {name: _checked_readout(name, item, time_h) for name, item in self.readouts.items()}
        states, state_names = _checked_states(self.states, self.state_names, time_h)
        if self.bands is not None:
            self.bands.check(self.readouts, time_h.size)
        for field, value in (
            ("time_h", time_h),
            ("readouts", MappingProxyType(checked)),
            ("states", states),
            ("state_names", state_names),
        ):
            object.__setattr__(self, field, value)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle through the constructor: a copy in another process is checked and read-only too."""
        return Result, (self.time_h, dict(self.readouts), self.provenance, self.states, self.state_names, self.bands)

    def __repr__(self) -> str:
        """Return one line: what was run, how long, how many readouts."""
        origin = self.provenance
        return (
            f"<Result {origin.experiment}, {origin.species}, {origin.engine}: {len(self.readouts)} readouts at "
            f"{self.time_h.size} times to {self.time_h[-1]:g} h>"
        )

    @classmethod
    def build(
        cls,
        time_h: ArrayLike,
        readouts: Mapping[str, NDArray[np.float64]],
        units: Mapping[str, str],
        definitions: Mapping[str, str],
        provenance: Provenance,
        states: NDArray[np.float64] | None = None,
        state_names: Sequence[str] | None = None,
        first_waves: Mapping[str, tuple[float, float]] | None = None,
    ) -> Result:
        """Return the result made of an engine's arrays.

        Parameters
        ----------
        time_h : (n_times,) array-like
            Output times in hours, strictly increasing from 0.
        readouts : mapping of str to (n_times,) array
            Values by readout name.
        units, definitions : mapping of str to str
            For each readout, and for nothing else.
        provenance : Provenance
            Where the numbers come from.
        states : (n_times, n_states) array or None
            Raw states, if they are to be kept.
        state_names : sequence of str or None
            Names of the columns of `states`.
        first_waves : mapping of str to (float, float) or None
            By name of an ``s_phase.*`` readout, ``(first_peak, first_peak_h)``: the height of the first wave, counted
            by generation, as a fraction, and its time in hours.

        Returns
        -------
        Result
            Checked and read-only.

        Raises
        ------
        ResultError
            As for the class; also if units or definitions do not match the readouts.
        UnknownNameError
            If a first wave belongs to no readout.
        """
        waves = dict(first_waves or {})
        for name in waves:
            if name not in readouts:
                raise unknown("readout", name, readouts, "the readouts given to Result.build")
        for kind, texts in (("unit", units), ("definition", definitions)):
            _check_same_names(kind, readouts, texts)
        items = {
            name: Readout(values, units[name], definitions[name], waves.get(name)) for name, values in readouts.items()
        }
        return cls(np.asarray(time_h), items, provenance, states, tuple(state_names or ()))

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the readouts, in order."""
        return tuple(self.readouts)

    @property
    def identity(self) -> dict[str, Any]:
        """The part of the provenance that identifies the run."""
        return {name: getattr(self.provenance, name) for name in IDENTITY}

    @property
    def dataset(self) -> xarray.Dataset:
        """The labelled view: one variable over ``time`` for each readout, and ``state`` over (time, state_name).

        A fresh `xarray.Dataset` at each call, on the read-only arrays of this result: changing it changes no result.
        """
        import xarray

        variables: dict[str, Any] = {}
        for name, item in self.readouts.items():
            variables[name] = ("time", item.values, item.labels())
        coords: dict[str, Any] = {"time": ("time", self.time_h, {"units": "h"})}
        if self.states is not None:
            described = {"units": "engine units", "definition": "raw states of the engine"}
            variables["state"] = (("time", "state_name"), self.states, described)
            coords["state_name"] = ("state_name", np.array(self.state_names, dtype=np.str_))
        if self.bands is not None:
            variables["band"] = (("band_readout", "band_curve", "time"), self.bands.stacked(), self.bands.labels())
        return xarray.Dataset(variables, coords, self.identity | {"readouts": list(self.names)})

    @classmethod
    def from_dataset(cls, dataset: xarray.Dataset, provenance: Provenance) -> Result:
        """Return the result that `dataset` describes.

        Parameters
        ----------
        dataset : xarray.Dataset
            As made by the property `dataset`.
        provenance : Provenance
            Where the numbers come from.

        Returns
        -------
        Result
            Checked and read-only.

        Raises
        ------
        ResultError
            If a variable or an attribute is missing, or as for the class.
        """
        try:
            items: dict[str, Readout] = {}
            for name in dataset.attrs["readouts"]:
                variable = dataset[name]
                attrs = variable.attrs
                wave = (attrs["first_peak"], attrs["first_peak_h"]) if "first_peak" in attrs else None
                items[name] = Readout(variable.values, attrs["units"], attrs["definition"], wave)
            states = dataset["state"].values if "state" in dataset else None
            state_names = tuple(str(name) for name in dataset["state_name"].values) if states is not None else ()
            bands = Bands.read(dataset["band"].values, dataset["band"].attrs) if "band" in dataset else None
            return cls(dataset["time"].values, items, provenance, states, state_names, bands)
        except (KeyError, TypeError) as exc:
            raise ResultError(
                f"this dataset is not a result: {shown(str(exc))} is missing or of the wrong kind; "
                "allowed: what Result.dataset returns; run the experiment again"
            ) from exc

    def readout(self, name: str) -> NDArray[np.float64]:
        """Return a readout over time, (n_times,), read-only, in its `unit`; raises UnknownNameError."""
        return self._item(name).values

    def unit(self, name: str) -> str:
        """Return the unit of a readout; raises UnknownNameError."""
        return self._item(name).unit

    def definition(self, name: str) -> str:
        """Return what a readout measures, in words; raises UnknownNameError."""
        return self._item(name).definition

    def state(self, name: str) -> NDArray[np.float64]:
        """Return a raw state over time, (n_times,), read-only; raises UnknownNameError, also without any states."""
        if self.states is None or name not in self.state_names:
            raise unknown("state", name, self.state_names, "Result.state_names")
        column: NDArray[np.float64] = self.states[:, self.state_names.index(name)]
        return column

    def at(self, name: str, t: float) -> float:
        """Return a readout at any time, interpolated linearly between the two nearest output times.

        Parameters
        ----------
        name : str
            Name of a readout.
        t : float
            Time in hours, within the run.

        Returns
        -------
        float
            In the unit of the readout.

        Raises
        ------
        UnknownNameError
            If there is no such readout.
        ResultError
            If the time lies outside the run: nothing is extrapolated.
        """
        values = self.readout(name)
        end = float(self.time_h[-1])
        if not 0.0 <= t <= end:
            raise ResultError(f"time {t:g} h is outside this run; allowed: 0 to {end:g} h; run for longer with --days")
        return float(np.interp(t, self.time_h, values))

    def summary(self) -> dict[str, float]:
        """Return the figures that describe each readout.

        Returns
        -------
        dict of str to float
            For each readout ``NAME.max``, ``.t_max_h`` (the first time of the largest value, hours), ``.min`` and
            ``.end``; and, for each ``s_phase.*`` readout whose first wave the engine gave, ``.first_peak`` and
            ``.first_peak_h``. Where it gave none the two keys are absent: a first wave is counted by generation, so
            the curve cannot stand in for it.
        """
        figures: dict[str, float] = {}
        for name, item in self.readouts.items():
            top = int(np.argmax(item.values))
            figures[f"{name}.max"] = float(item.values[top])
            figures[f"{name}.t_max_h"] = float(self.time_h[top])
            figures[f"{name}.min"] = float(item.values.min())
            figures[f"{name}.end"] = float(item.values[-1])
            if item.first_wave is not None:
                figures[f"{name}.first_peak"], figures[f"{name}.first_peak_h"] = item.first_wave
        return figures

    def to_json(self) -> dict[str, Any]:
        """Return the object that ``hepatalk run --json`` prints.

        Returns
        -------
        dict
            ``experiment, species, engine, seed, model_hash, knowledge_version, time_h, readouts, summary``, and
            ``bands`` where there are any. All numbers are finite, because a result with any other is refused.
        """
        record: dict[str, Any] = {name: getattr(self.provenance, name) for name in IDENTITY if name != "title"}
        record["time_h"] = self.time_h.tolist()
        record["readouts"] = {name: item.values.tolist() for name, item in self.readouts.items()}
        record["summary"] = self.summary()
        if self.bands is not None:
            record["bands"] = self.bands.to_json()
        return record

    def content_hash(self) -> str:
        """Return the SHA-256 of the numbers and their labels, in hexadecimal; the provenance is not part of it.

        Two results have the same hash exactly if every number agrees to the last bit and all names, units,
        definitions and first waves agree. Bytes are hashed in little-endian order, whatever the processor's.
        """
        labels: dict[str, Any] = {
            "readouts": [[name, item.unit, item.definition, item.first_wave] for name, item in self.readouts.items()],
            "state_names": list(self.state_names),
            "n_times": self.time_h.size,
        }
        arrays = [self.time_h, *(item.values for item in self.readouts.values())]
        if self.bands is not None:
            labels["bands"] = [self.bands.members, self.bands.share, *self.bands.curves]
            arrays.append(self.bands.stacked())
        digest = hashlib.sha256(json.dumps(labels, sort_keys=True).encode("ascii"))
        for array in arrays if self.states is None else [*arrays, self.states]:
            digest.update(np.ascontiguousarray(array, dtype="<f8").tobytes())
        return digest.hexdigest()

    def _item(self, name: str) -> Readout:
        """Return a readout with its labels."""
        try:
            return self.readouts[name]
        except KeyError:
            raise unknown("readout", name, self.readouts, "hepatalk list readouts") from None


def _is_text(value: object) -> bool:
    """Tell whether a value is a text; files and callers without a type checker may hand in anything."""
    return isinstance(value, str)


def _as_floats(label: str, values: ArrayLike, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Return a read-only float64 copy of real numbers that must have a given shape."""
    raw = np.asarray(values)
    if raw.dtype.kind not in "fiub":
        raise ResultError(f"{label}: expected real numbers, got {raw.dtype}; give an array of floats")
    if raw.shape != shape:
        raise ResultError(f"{label}: expected shape {shape}, got {raw.shape}; give one value for each output time")
    copy = np.array(raw, dtype=np.float64, order="C")
    copy.flags.writeable = False
    return copy


def _checked_time(values: ArrayLike) -> NDArray[np.float64]:
    """Return the output times, (n_times,) in hours, if they are finite and increase strictly from 0."""
    time_h = _as_floats("time_h", values, (np.size(values),))
    if time_h.size == 0:
        raise ResultError("time_h: no output times; give at least the time 0")
    if not np.isfinite(time_h).all():
        where = int(np.argmin(np.isfinite(time_h)))
        raise ResultError(f"time_h: entry {where} is {time_h[where]}; allowed: finite hours; correct the output times")
    if time_h[0] != 0.0:
        raise ResultError(
            f"time_h: the first time is {time_h[0]:g} h; it must be 0, just after the changes of time zero"
        )
    if (np.diff(time_h) <= 0.0).any():
        where = int(np.argmax(np.diff(time_h) <= 0.0)) + 1
        raise ResultError(
            f"time_h: entry {where} ({time_h[where]:g} h) does not come after {time_h[where - 1]:g} h; "
            "allowed: strictly increasing hours; correct the output times"
        )
    return time_h


def _check_names(readouts: Mapping[str, Readout]) -> None:
    """Refuse names that could not be told apart, or not be written, on some file system."""
    if not readouts:
        raise ResultError("a result needs at least one readout; see hepatalk list readouts")
    folded: dict[str, str] = {}
    for name in readouts:
        if not _is_text(name) or not _NAME.fullmatch(name) or name in _RESERVED:
            raise ResultError(
                f"readout name {shown(name)} cannot be stored; allowed: letters, digits, '_', '+', '-' and '.', "
                f"starting with a letter, other than {', '.join(sorted(_RESERVED))}; rename the readout"
            )
        twin = folded.setdefault(name.casefold(), name)
        if twin != name:
            raise ResultError(
                f"readouts {shown(twin)} and {shown(name)} differ in case alone, which some file systems cannot keep "
                "apart; rename one of them"
            )


def _check_same_names(kind: str, readouts: Mapping[str, Any], texts: Mapping[str, str]) -> None:
    """Refuse units or definitions that are missing for a readout, or belong to none."""
    for name in readouts:
        if name not in texts:
            raise ResultError(f"readout {shown(name)} has no {kind}; give one to Result.build")
    for name in texts:
        if name not in readouts:
            raise ResultError(
                f"a {kind} was given for {shown(name)}, which is no readout of this result; nearest: "
                f"{', '.join(nearest(name, readouts))}; remove it or add the readout"
            )


def _checked_readout(name: str, item: Readout, time_h: NDArray[np.float64]) -> Readout:
    """Return a readout with a read-only copy of its values, (n_times,), if all of them are finite."""
    values = _as_floats(f"readout {shown(name)}", item.values, time_h.shape)
    if not np.isfinite(values).all():
        where = int(np.argmin(np.isfinite(values)))
        raise ResultError(
            f"readout {shown(name)} is {values[where]} at {time_h[where]:g} h; allowed: finite numbers; "
            "check the parameters of the run"
        )
    for kind, text in (("unit", item.unit), ("definition", item.definition)):
        if not _is_text(text) or not text.strip():
            raise ResultError(f"readout {shown(name)} has no {kind}: got {shown(text)}; give a text ('1' if unitless)")
    return Readout(values, item.unit, item.definition, _checked_wave(name, item.first_wave, float(time_h[-1])))


def _checked_wave(name: str, wave: tuple[float, float] | None, end_h: float) -> tuple[float, float] | None:
    """Return a first wave as (fraction, hours); the limits also catch a pair that was given in the other order."""
    if wave is None:
        return None
    if not name.startswith(_WAVES):
        raise ResultError(f"readout {shown(name)} has a first wave; allowed: only {_WAVES}* readouts; leave it out")
    try:
        peak, peak_h = (float(number) for number in wave)
    except (TypeError, ValueError) as exc:
        raise ResultError(
            f"first wave of {shown(name)} is {shown(wave)}; allowed: the pair (first_peak, first_peak_h); correct it"
        ) from exc
    # A fraction may exceed 1 by the solver's rounding, never by more.
    if not (math.isfinite(peak) and -1e-6 <= peak <= 1.0 + 1e-6 and 0.0 <= peak_h <= end_h):
        raise ResultError(
            f"first wave of {shown(name)} is ({peak:g}, {peak_h:g}); allowed: a fraction between 0 and 1, then a time "
            f"between 0 and {end_h:g} h; correct it"
        )
    return peak, peak_h


def _checked_states(
    states: ArrayLike | None, names: Sequence[str], time_h: NDArray[np.float64]
) -> tuple[NDArray[np.float64] | None, tuple[str, ...]]:
    """Return the raw states, (n_times, n_states), and their names, if they match and are finite."""
    names = tuple(names)
    if states is None:
        if names:
            raise ResultError(f"{len(names)} state names were given without states; give both or neither")
        return None, ()
    if not names or len(set(names)) != len(names) or not all(_is_text(name) and name for name in names):
        raise ResultError(f"state names must be distinct texts, at least one; got {shown(list(names))}; correct them")
    checked = _as_floats("states", states, (time_h.size, len(names)))
    if not np.isfinite(checked).all():
        row, column = (int(index) for index in np.argwhere(~np.isfinite(checked))[0])
        raise ResultError(
            f"state {shown(names[column])} is {checked[row, column]} at {time_h[row]:g} h; allowed: finite numbers; "
            "check the parameters of the run"
        )
    return checked, names
