"""The tape of a model divided by zone, so that it can be evaluated at every site of a lobule.

An operation belongs to a zone if it depends on states of that zone alone, whatever it takes from the body; it is of the
body if it depends on none, or joins several zones. Operations of the body are evaluated once, on the sums over all
sites. Those of a zone are evaluated at each of its sites, as if the whole zone were like that site: the values of the
site stand in for the zone's, so that a lobule whose sites are alike is the population model.

Only what the sites need is kept: the rates of fates and of growth, and what moves signals, stores, nodes and dead
tissue. Cells themselves are agents.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from hepatalk.engines.lobule.receivers import Key, by_receiver
from hepatalk.errors import EngineError
from hepatalk.model.compiled import CompiledModel
from hepatalk.model.fates import NOTHING
from hepatalk.model.laws import Law

__all__ = [
    "BodyProgram",
    "Fluxes",
    "ZoneProgram",
    "body_program",
    "follow_local",
    "places_of_slots",
    "zone_program",
]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

#: Place of what belongs to no zone.
BODY = 0


@dataclass(frozen=True)
class Fluxes:
    """What moves some quantities, as production and relative loss: dy/dt = P - L y.

    Attributes
    ----------
    start : (n + 1,) int array
        Fluxes of quantity k are ``start[k]:start[k+1]``.
    place : (n_fluxes,) int array
        Where the value of each flux stands.
    coefficient : (n_fluxes,) float array
        Positive: a part of P. Negative: a loss in proportion to the quantity itself.
    tau : (n_fluxes,) int array
        For the approach of a node to its target: position of the parameter with its time constant, else `NOTHING`.
    """

    start: Ints
    place: Ints
    coefficient: Floats
    tau: Ints


@dataclass(frozen=True)
class ZoneProgram:
    """The operations of one zone, for rows of (external values, states of the zone, forced values, operations).

    Attributes
    ----------
    zone : int
    external : (n_external,) int array
        Slots of the whole model that a row takes over.
    states : (n_states,) int array
        States of the zone.
    forced : (n_forced,) int array
        Slots whose values the lobule gives by itself (flow of a sinusoid network, ...), in place of their operations.
    law, input_start, inputs, argument_start, arguments : int arrays
        The tape of the zone, as in `hepatalk.model.compiled.CompiledModel`, inputs being places in the row.
    moving : (n_moving,) int array
        Places within ``states`` of what is moved by fluxes and not by cells.
    fluxes : Fluxes
        Of the moving states; places in the row.
    column : mapping of slot to place in the row
    seen : mapping of (slot, cell type) to place in the row
        What cells of a type see of a contact signal, in place of the slot that others read: values that the lobule
        gives by itself, after the first operations are done.
    late : int
        How many operations, the last ones, depend on what is seen.
    """

    zone: int
    external: Ints
    states: Ints
    forced: Ints
    law: Ints
    input_start: Ints
    inputs: Ints
    argument_start: Ints
    arguments: Ints
    moving: Ints
    fluxes: Fluxes
    column: dict[int, int] = field(repr=False)
    seen: dict[tuple[int, str], int] = field(repr=False, default_factory=dict)
    late: int = 0

    @property
    def width(self) -> int:
        """Length of a row."""
        return len(self.external) + len(self.states) + len(self.forced) + len(self.seen) + len(self.law)

    @cached_property
    def early(self) -> tuple[Ints, Ints, Ints, Ints, Ints]:
        """The tape as far as nothing depends on what is seen."""
        k = len(self.law) - self.late
        i, a = self.input_start[k], self.argument_start[k]
        parts = (self.law[:k], self.input_start[: k + 1], self.inputs[:i])
        return (*parts, self.argument_start[: k + 1], self.arguments[:a])

    @cached_property
    def last(self) -> tuple[Ints, Ints, Ints, Ints, Ints]:
        """The rest of the tape."""
        k = len(self.law) - self.late
        i, a = self.input_start[k], self.argument_start[k]
        starts = (self.input_start[k:] - i, self.argument_start[k:] - a)
        return self.law[k:], starts[0], self.inputs[i:], starts[1], self.arguments[a:]


@dataclass(frozen=True)
class BodyProgram:
    """What moves the states of the body.

    Attributes
    ----------
    states : (n,) int array
    fluxes : Fluxes
        Places are slots of the whole model.
    """

    states: Ints
    fluxes: Fluxes


def places_of_slots(m: CompiledModel) -> Ints:
    """Return the zone to which every slot belongs, (n_states + n_ops,); `BODY` for none.

    Raises
    ------
    EngineError
        For a model of two lobes.
    """
    if len(m.lobes) > 1:
        raise EngineError(
            "a lobule is the same in every lobe; allowed: experiments on a liver that is not divided; "
            "use --engine population for two lobes"
        )
    place = np.full(m.n_states + m.n_ops, BODY, dtype=np.int64)
    for i, name in enumerate(m.state_names):
        _, _, where = name.partition("@")
        place[i] = int(where) if where else BODY
    for k in range(m.n_ops):
        zones = {int(place[i]) for i in m.inputs[m.input_start[k] : m.input_start[k + 1]]} - {BODY}
        place[m.n_states + k] = zones.pop() if len(zones) == 1 else BODY
    return place


def follow_local(m: CompiledModel, place: Ints, zone: int, local: Collection[int]) -> Ints:
    """Return the places of slots, those of the body that depend on local values alone and on the body being the zone's.

    Parameters
    ----------
    m : CompiledModel
    place : (n_slots,) int array
        From `places_of_slots`.
    zone : int
    local : collection of int
        Slots of the body that have a value of their own at every site.
    """
    out, n = place.copy(), m.n_states
    joins = np.zeros(len(place), dtype=bool)  # what depends on any zone
    joins[:n] = place[:n] != BODY
    follows = np.zeros(len(place), dtype=bool)
    follows[list(local)] = True
    for k in range(m.n_ops):
        inputs = m.inputs[m.input_start[k] : m.input_start[k + 1]]
        joins[n + k] = joins[inputs].any()
        follows[n + k] |= follows[inputs].any()
    out[n:][(place[n:] == BODY) & follows[n:] & ~joins[n:]] = zone
    return out


def _fluxes(m: CompiledModel, states: Ints, column: dict[int, int], without: Collection[int]) -> Fluxes:
    """Return what moves some states; ``column`` gives the place of each slot."""
    start, place, coefficient, tau = [0], [], [], []
    for i in states:
        for j in range(m.flux_start[i], m.flux_start[i + 1]):
            slot = int(m.flux[j])
            if slot in without:
                continue
            k = slot - m.n_states
            place.append(column[slot])
            coefficient.append(float(m.coefficient[j]))
            relaxes = k >= 0 and m.law[k] == Law.RELAX
            tau.append(int(m.arguments[m.argument_start[k] + 1]) if relaxes else NOTHING)
        start.append(len(place))
    ints = (np.array(x, dtype=np.int64) for x in (start, place, tau))
    first, places, taus = ints
    return Fluxes(first, places, np.array(coefficient, dtype=np.float64), taus)


def body_program(m: CompiledModel) -> BodyProgram:
    """Return what moves the states that belong to no zone."""
    states = np.flatnonzero(["@" not in name for name in m.state_names]).astype(np.int64)
    every = {slot: slot for slot in range(m.n_states + m.n_ops)}
    return BodyProgram(states, _fluxes(m, states, every, ()))


def zone_program(
    m: CompiledModel, zone: int, place: Ints, *, wanted: Collection[int] = (), forced: Collection[int] = (),
    transported: bool = False, touched: Collection[int] = (),
) -> ZoneProgram:  # fmt: skip
    """Return the operations that the sites of a zone need.

    Parameters
    ----------
    m : CompiledModel
    zone : int
    place : (n_slots,) int array
        From `places_of_slots`.
    wanted : collection of int
        Further slots of the zone whose values are needed.
    forced : collection of int
        Slots of the zone that the lobule gives by itself.
    transported : bool
        Leave out the exchange of signals between zones, in place of which the lobule has transport.
    touched : collection of int
        Slots of which each cell type sees what touches it.
    """
    n = m.n_states
    states = np.flatnonzero(place[:n] == zone).astype(np.int64)
    cells = set(np.concatenate([m.groups[c] for c in m.groups]).tolist()) | set(m.relabel.tracers.tolist())
    moving = np.array([i for i, s in enumerate(states) if int(s) not in cells], dtype=np.int64)
    without = {s for e in m.fates.exchanges for s in (e.gain, e.loss)} if transported else set()
    rates = _slots_of_fates(m, zone)
    needed = {int(s) for i in states[moving] for s in m.flux[m.flux_start[i] : m.flux_start[i + 1]]} - without
    ops = _cone(m, zone, place, {*needed, *rates, *wanted}, set(forced))
    own = {int(s) for s in states} | set(forced) | {n + k for k in ops}
    used = {int(i) for k in ops for i in m.inputs[m.input_start[k] : m.input_start[k + 1]]}
    external = np.array(sorted((used | needed | set(rates)) - own), dtype=np.int64)
    lines, late, seen = by_receiver(m, ops, touched)
    order: list[Key] = [*external.tolist(), *states.tolist(), *sorted(forced), *seen, *(x.key for x in lines)]
    place_of = {key: i for i, key in enumerate(order)}
    column = {key: i for key, i in place_of.items() if isinstance(key, int)}
    inputs = [[place_of[i] for i in x.inputs] for x in lines]
    arguments = [m.arguments[m.argument_start[x.op] : m.argument_start[x.op + 1]].tolist() for x in lines]
    return ZoneProgram(
        zone=zone,
        external=external,
        states=states,
        forced=np.array(sorted(forced), dtype=np.int64),
        law=np.array([m.law[x.op] for x in lines], dtype=np.int64),
        input_start=_starts(inputs),
        inputs=np.array([i for x in inputs for i in x], dtype=np.int64),
        argument_start=_starts(arguments),
        arguments=np.array([i for x in arguments for i in x], dtype=np.int64),
        moving=moving,
        fluxes=_fluxes(m, states[moving], column, without),
        column=column,
        seen={key: place_of[key] for key in seen},
        late=late,
    )


def _starts(lists: list[list[int]]) -> Ints:
    return np.concatenate([[0], np.cumsum([len(x) for x in lists])]).astype(np.int64)


def _slots_of_fates(m: CompiledModel, zone: int) -> set[int]:
    """Return the slots of the rates and chances of all fates in a zone, and of growth."""
    f = m.fates
    here = np.array([p == str(zone) for p in f.place], dtype=bool)
    slots = {int(s) for s in (*f.rate[here], *f.chance[here]) if s != NOTHING}
    return slots | {g.synthesis for g in f.growing if g.place == str(zone)}


def _cone(m: CompiledModel, zone: int, place: Ints, wanted: set[int], forced: set[int]) -> list[int]:
    """Return the operations of a zone on which some slots depend, in order."""
    found: set[int] = set()
    stack = [s for s in wanted if s >= m.n_states]
    while stack:
        slot = stack.pop()
        k = slot - m.n_states
        if k < 0 or k in found or slot in forced or place[slot] != zone:
            continue
        found.add(k)
        stack += [int(i) for i in m.inputs[m.input_start[k] : m.input_start[k + 1]]]
    return sorted(found)
