"""The tape on which the compiler writes a model: states, parameters and operations, with nothing written twice."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from hepatalk.errors import ModelError
from hepatalk.model.laws import Law

__all__ = ["Slot", "Tape"]

#: Reference to a value: states count up from 0, operations count down from -1 until `Tape.settle`.
Slot = int


@dataclass
class Tape:
    """Collects states, parameters, operations and fluxes in the order in which they are written.

    Attributes
    ----------
    state_names, state_units, extensive : list
        One entry per state; extensive ones are counts, masses and stores of the liver.
    param_names, params : list
        One entry per parameter; NaN until the resting values are filled in.
    law, inputs, arguments, op_names, rows, input_rows : list
        One entry per operation, as in `hepatalk.model.compiled.CompiledModel`, with slots not yet settled.
    fluxes : list of (state, slot, coefficient)
    """

    state_names: list[str] = field(default_factory=list)
    state_units: list[str] = field(default_factory=list)
    extensive: list[bool] = field(default_factory=list)
    param_names: list[str] = field(default_factory=list)
    params: list[float] = field(default_factory=list)
    law: list[Law] = field(default_factory=list)
    inputs: list[tuple[Slot, ...]] = field(default_factory=list)
    arguments: list[tuple[int, ...]] = field(default_factory=list)
    op_names: list[str] = field(default_factory=list)
    rows: list[set[str]] = field(default_factory=list)
    input_rows: list[tuple[str, ...]] = field(default_factory=list)
    fluxes: list[tuple[int, Slot, float]] = field(default_factory=list)
    _state: dict[str, int] = field(default_factory=dict)
    _param: dict[str, int] = field(default_factory=dict)
    _op: dict[tuple[Law, tuple[Slot, ...], tuple[int, ...]], Slot] = field(default_factory=dict)
    _named: dict[str, Slot] = field(default_factory=dict)

    def state(self, name: str, unit: str, *, extensive: bool = False) -> Slot:
        """Declare a state and return its slot.

        Raises
        ------
        ModelError
            If there is a state of that name.
        """
        if name in self._state:
            raise ModelError(f"state {name!r} is declared twice; rename one of the records that make it")
        self._state[name] = len(self.state_names)
        self.state_names.append(name)
        self.state_units.append(unit)
        self.extensive.append(extensive)
        return self._state[name]

    def param(self, name: str, value: float) -> int:
        """Declare a parameter, or return the one of that name.

        Raises
        ------
        ModelError
            If the parameter of that name has another value.
        """
        if name in self._param:
            position = self._param[name]
            both_open = math.isnan(self.params[position]) and math.isnan(value)
            if self.params[position] != value and not both_open:
                raise ModelError(
                    f"parameter {name!r} has two values, {self.params[position]!r} and {value!r}; give them two names"
                )
            return position
        self._param[name] = len(self.params)
        self.param_names.append(name)
        self.params.append(value)
        return self._param[name]

    def number(self, value: float) -> int:
        """Return the position of an anonymous constant."""
        return self.param(f"rest:number {value!r}", value)

    def op(
        self,
        law: Law,
        inputs: Sequence[Slot],
        arguments: Sequence[int] = (),
        *,
        name: str = "",
        rows: Iterable[str] = (),
        input_rows: Sequence[str] | None = None,
    ) -> Slot:
        """Write an operation, or return the equal one that stands already, and add the rows behind it.

        Parameters
        ----------
        law : Law
        inputs : sequence of Slot
            States, or operations that stand already.
        arguments : sequence of int
            Positions of parameters.
        name : str
            What the value is called; anonymous values may be shared.
        rows : iterable of str
            Ids of the statements behind the operation.
        input_rows : sequence of str, optional
            Which statement brings each input, '' for none. Operations that gather statements must have a name of
            their own, so that two targets never share one.

        Returns
        -------
        Slot
        """
        key = (law, tuple(inputs), tuple(arguments))
        slot = self._op.get(key)
        if slot is None or (name and self.op_names[-slot - 1] not in ("", name)):
            self.law.append(law)
            self.inputs.append(key[1])
            self.arguments.append(key[2])
            self.op_names.append("")
            self.rows.append(set())
            self.input_rows.append(tuple(input_rows or [""] * len(inputs)))
            slot = -len(self.law)
            self._op[key] = slot
        if name:
            self.op_names[-slot - 1] = name
            self._named[name] = slot
        self.rows[-slot - 1].update(rows)
        return slot

    def flux(self, state: Slot, slot: Slot, coefficient: float) -> None:
        """Add ``coefficient * slot`` to the derivative of a state."""
        if coefficient != 0.0:
            self.fluxes.append((state, slot, coefficient))

    def find(self, name: str) -> Slot | None:
        """Return the slot of a named state or operation, None if there is none."""
        if name in self._state:
            return self._state[name]
        return self._named.get(name)

    @property
    def names(self) -> list[str]:
        """Names of all states and named operations."""
        return [n for n in (*self.state_names, *self.op_names) if n]

    def settle(self, slot: Slot) -> int:
        """Return the final index of a slot: states first, operations after them."""
        return slot if slot >= 0 else len(self.state_names) - slot - 1

    def flat(
        self, lists: Sequence[Sequence[int]], *, slots: bool
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return a list of lists as two arrays, with slots settled.

        Returns
        -------
        start : (n_lists + 1,) int array
        values : (n_values,) int array
            The values of list k are ``values[start[k]:start[k + 1]]``.
        """
        start = np.zeros(len(lists) + 1, dtype=np.int64)
        start[1:] = np.cumsum([len(x) for x in lists])
        values = [self.settle(v) if slots else v for x in lists for v in x]
        return start, np.asarray(values, dtype=np.int64)
