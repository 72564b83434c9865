"""The compiled model: frozen arrays, names, and the statement behind every term. Engines see this and nothing else.

Layout
------
A *slot* is a number in one evaluation. Slots ``0 .. n_states-1`` are the states; slot ``n_states + k`` is the value of
operation ``k``. Operations stand in an order in which each needs earlier slots only. Operation ``k`` applies
``law[k]`` (see `hepatalk.model.laws.Law`) to the slots ``inputs[input_start[k]:input_start[k+1]]`` with the
parameters ``params[arguments[argument_start[k]:argument_start[k+1]]]``. The derivative of state ``i`` is
``sum(coefficient[j] * slot[flux[j]])`` for ``j`` in ``flux_start[i]:flux_start[i+1]``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from hepatalk.errors import ModelError, nearest
from hepatalk.model.fates import Fates
from hepatalk.model.places import Lobe, Place

__all__ = ["Activity", "Attraction", "CompiledModel", "Relabel"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Activity:
    """A parameter that scales what genes make in one cell type; 1 in the wild type.

    Attributes
    ----------
    parameter : str
    cell : str
        Cell type, or 'blood'.
    genes : mapping of str to float
        The species' symbols, with their share of what is made. The shares add up to 1, or to less where the species
        lacks some of the genes.
    """

    parameter: str
    cell: str
    genes: Mapping[str, float]


@dataclass(frozen=True)
class Attraction:
    """Cells that move up the gradient of a signal, beyond its healthy gradient.

    Attributes
    ----------
    cell, signal : str
    speed : float
        The most they drift, um/h.
    half : float
        Gradient at which they drift half as fast, x the healthy mean level, per um.
    row : str
        The statement, '' for none.
    """

    cell: str
    signal: str
    speed: float
    half: float
    row: str = ""


@dataclass(frozen=True)
class Relabel:
    """States that only differ in a label, and where the label starts at time zero.

    Attributes
    ----------
    settled, fresh : (n_pairs,) int array
        At time zero what is in state ``settled[i]`` moves to state ``fresh[i]``.
    marks, counts : (n_marks,) int array
        At time zero the tracer in state ``marks[i]`` becomes as large as the count of cells in ``counts[i]``.
    tracers : (n_tracers,) int array
        All states that hold inherited labels; no rate depends on them.
    """

    settled: Ints
    fresh: Ints
    marks: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    counts: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    tracers: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))


@dataclass(frozen=True)
class CompiledModel:
    """A model as arrays.

    Attributes
    ----------
    species : str
    knowledge_version : str
    zones : int
    state_names, slot_names, param_names : tuple of str
        Unnamed slots are ''. Parameters that belong to no record (resting values) begin with ``rest:``.
    state_units : tuple of str
    extensive : (n_states,) bool array
        True for counts, masses and stores of the liver.
    rest : (n_states,) float array
        The healthy steady state, labels settled.
    params : (n_params,) float array
        In the units of the records.
    law : (n_ops,) int array
    input_start, argument_start : (n_ops + 1,) int array
    inputs : (n_inputs,) int array
        Slots.
    arguments : (n_arguments,) int array
        Positions in ``params``.
    flux_start : (n_states + 1,) int array
    flux : (n_fluxes,) int array
        Slots, in amount of their state per h.
    coefficient : (n_fluxes,) float array
    rows : tuple (n_ops,) of tuple of str
        Ids of the statements behind each operation.
    input_rows : tuple (n_inputs,) of str
        The statement that brings each input of an operation, '' where none does.
    activities : tuple of Activity
    relabel : Relabel
    groups : mapping name -> (k,) int array
        State indices by cell type and state, for readouts: 'HEP', 'HEP.s', 'HEP.binucleate', 'HEP.s.generation0'; in a
        divided liver also by lobe: 'HEP@A', 'HEP.s@A'.
    fates : Fates
        What a single cell may do in each compartment, for engines that follow cells one by one.
    lobes : tuple of str
        Letters of the lobes; one empty name for a liver that is not divided.
    anatomy : mapping of str to float
        What a lobule is built from: parameters named ``lobule_...`` and ``arterial_share``, and by cell type its
        ``TYPE.number`` (per hepatocyte), ``TYPE.volume_share`` and ``TYPE.zone_share@1`` to ``3``.
    attractions : tuple of Attraction
        Which cells move up which signal, for engines in which a zone has places.
    """

    species: str
    knowledge_version: str
    zones: int
    state_names: tuple[str, ...]
    state_units: tuple[str, ...]
    slot_names: tuple[str, ...]
    param_names: tuple[str, ...]
    extensive: npt.NDArray[np.bool_]
    rest: Floats
    params: Floats
    law: Ints
    input_start: Ints
    inputs: Ints
    argument_start: Ints
    arguments: Ints
    flux_start: Ints
    flux: Ints
    coefficient: Floats
    rows: tuple[tuple[str, ...], ...]
    input_rows: tuple[str, ...]
    activities: tuple[Activity, ...]
    relabel: Relabel
    groups: Mapping[str, Ints]
    fates: Fates
    lobes: tuple[Lobe, ...] = ("",)
    anatomy: Mapping[str, float] = field(default_factory=dict)
    attractions: tuple[Attraction, ...] = ()

    @property
    def n_states(self) -> int:
        """Number of states."""
        return len(self.state_names)

    @property
    def places(self) -> tuple[Place, ...]:
        """Every zone of every lobe; the text of each follows the ``@`` in the names of states."""
        return tuple(Place(zone, lobe) for lobe in self.lobes for zone in range(1, self.zones + 1))

    @property
    def n_ops(self) -> int:
        """Number of operations."""
        return len(self.law)

    @cached_property
    def slot_index(self) -> Mapping[str, int]:
        """Slot of each named quantity (states included)."""
        names = (*self.state_names, *self.slot_names)
        return {name: i for i, name in enumerate(names) if name}

    @cached_property
    def param_index(self) -> Mapping[str, int]:
        """Position of each parameter."""
        return {name: i for i, name in enumerate(self.param_names)}

    @cached_property
    def hash(self) -> str:
        """Content hash (16 hex digits), equal on every machine: names, structure and values to 12 digits."""
        h = hashlib.sha256()
        for names in (self.state_names, self.slot_names, self.param_names):
            h.update("\n".join(names).encode())
        for ints in (
            self.law,
            self.input_start,
            self.inputs,
            self.argument_start,
            self.arguments,
            self.flux_start,
            self.flux,
        ):
            h.update(np.ascontiguousarray(ints, dtype="<i8").tobytes())
        for floats in (self.params, self.coefficient):
            h.update(",".join(f"{v:.12g}" for v in floats).encode())
        h.update(self.species.encode())
        h.update(",".join(f"{name}={value:.12g}" for name, value in sorted(self.anatomy.items())).encode())
        for a in self.attractions:
            h.update(f"{a.cell} {a.signal} {a.speed:.12g} {a.half:.12g}\n".encode())
        return h.hexdigest()[:16]

    def position(self, parameter: str) -> int:
        """Return the position of a parameter in ``params``.

        Raises
        ------
        ModelError
            If there is no such parameter; names the nearest ones.
        """
        try:
            return self.param_index[parameter]
        except KeyError:
            known = [n for n in self.param_names if not n.startswith("rest:")]
            raise ModelError(
                f"unknown parameter {parameter!r}; nearest: {', '.join(nearest(parameter, known))}; "
                "see 'hepatalk list parameters'"
            ) from None

    def with_params(self, values: Mapping[str, float]) -> CompiledModel:
        """Return a copy with some parameters replaced; resting values are not found anew.

        Raises
        ------
        ModelError
            If there is no such parameter.
        """
        params = self.params.copy()
        for name, value in values.items():
            params[self.position(name)] = value
        return replace(self, params=params)
