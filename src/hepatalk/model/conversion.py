r"""Cells that change their type or their zone, and how health stays as it is while they do.

A conversion takes cells with one nucleus from a state of one type to a state of another, within a zone. Cells of two
types are counted in units of their own healthy number, so a flow of f of the one is f x N_from / N_to of the other,
N being the healthy cells per hepatocyte.

In health every pair of types exchanges the same number of cells both ways in each zone (detailed balance): the rate of
one way is given, the other is solved from

    k_AB n_A N_A = k_BA n_B N_B,

n being the healthy amount in the state that converts. Migration is balanced likewise between neighbouring zones. So
the healthy state is a fixed point whatever the rates, and a population's own turnover is not changed by conversion.

A converted cell joins the first lineage of its new type and counts there as one that has divided often, as those of a
settled population do: both are labels, and the line it comes from has divided.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from hepatalk.errors import ModelError
from hepatalk.knowledge.records import Conversion, Migration
from hepatalk.model.fates import Fate, FateKind
from hepatalk.model.laws import Law
from hepatalk.model.places import Place
from hepatalk.model.populations import Population
from hepatalk.model.tape import Slot

if TYPE_CHECKING:
    from hepatalk.model.compiler import Compiler

__all__ = ["base_rate", "carried_mass", "conversions_between", "return_rate", "write_conversion", "write_migration"]


def _able(population: Population, state: str) -> list[int]:
    """Return the compartments whose cells convert: the last stage of a state, one nucleus.

    Raises
    ------
    ModelError
        If the cell type has no such state.
    """
    cell = population.cell
    last = {s.id: s.stages - 1 for s in cell.states}.get(state)
    if last is None:
        known = ", ".join(s.id for s in cell.states)
        raise ModelError(f"cell type {cell.id}: no state {state!r} to convert; allowed: {known}; correct the process")
    nuclei = cell.nuclei[0]
    return [i for i, c in enumerate(population.compartments) if (c.state, c.stage, c.nuclei) == (state, last, nuclei)]


def _arrival(population: Population, state: str) -> int:
    """Return the compartment in which converted cells arrive: first stage, one nucleus, labels settled."""
    settled = ((i, population.compartments[i]) for i in population.settled)
    nuclei = population.cell.nuclei[0]
    return next(i for i, c in settled if (c.state, c.stage, c.nuclei) == (state, 0, nuclei))


def _healthy(c: Compiler, cell: str, state: str, place: Place) -> float:
    """Return the healthy cells of a zone that convert from a state, per healthy hepatocyte of the liver."""
    population, resting = c.populations[cell]
    here = float(resting.distribution[_able(population, state)].sum())
    return here * c.shares(cell, place) * number_of(c, cell)


def number_of(c: Compiler, cell: str) -> float:
    """Return the healthy number of a cell type per hepatocyte.

    Raises
    ------
    ModelError
        If its record gives none.
    """
    name = c.knowledge.cell[cell].number
    if name is None:
        raise ModelError(f"cell type {cell}: cells that convert need the field 'number'; add it to the record")
    return c.value(name)


def conversions_between(c: Compiler, cell: str, other: str) -> Iterator[Conversion]:
    """Yield the conversions by which cells of one type become another."""
    for process in c.knowledge.cell[cell].processes:
        if isinstance(process, Conversion) and process.becomes == other:
            yield process


def base_rate(c: Compiler, cell: str, process: Conversion, place: Place) -> float:
    """Return the healthy rate (per h) of a conversion in a zone: as given, or in balance with the way back.

    Raises
    ------
    ModelError
        If a rate to be solved has no way back, or that lies between other states.
    """
    if process.rate != "solved":
        return c.value(process.rate)
    back = [p for p in conversions_between(c, process.becomes, cell) if p.rate != "solved"]
    if not back or any((p.origin, p.to) != (process.to, process.origin) for p in back):
        raise ModelError(
            f"process {cell}.{process.id}: rate 'solved'; allowed: where {process.becomes} converts back at a given "
            f"rate between the same states ({process.to} to {process.origin}); correct one of the two"
        )
    arriving = sum(c.value(p.rate) for p in back) * _healthy(c, process.becomes, process.to, place)
    return arriving / _healthy(c, cell, process.origin, place)


def carried_mass(c: Compiler, cell: str, place: Place) -> float:
    """Return by how much synthesis must exceed decay in health (per h): new cells bring less mass than old ones take.

    Parameters
    ----------
    c : Compiler
    cell : str
        A type with mass.
    place : Place
    """
    lacking = 0.0
    for other in c.knowledge.cells:
        if place.zone in other.zones:
            for process in conversions_between(c, other.id, cell):
                arriving = base_rate(c, other.id, process, place) * _healthy(c, other.id, process.origin, place)
                size = c.value(process.size) if process.size is not None else 1.0
                lacking += arriving * (1.0 - size) / (c.shares(cell, place) * number_of(c, cell))
    return lacking


def write_conversion(c: Compiler, cell: str, process: Conversion, rate: Slot, place: Place) -> None:
    """Write the flow from a type to another in a zone, with the mass that it takes and brings.

    Parameters
    ----------
    c : Compiler
    cell : str
        The type that cells leave.
    process : Conversion
    rate : Slot
        Its rate, per h.
    place : Place
    """
    t = c.tape
    here, there = c.cells_at[cell, place], c.cells_at[process.becomes, place]
    ratio = number_of(c, cell) / number_of(c, process.becomes)
    origins = _able(c.populations[cell][0], process.origin)
    zero, one = t.number(0.0), t.number(1.0)
    for i in origins:
        t.flux(here[i], t.op(Law.PRODUCT, [rate, here[i]], []), -1.0)
    able = t.op(Law.LINEAR, [here[i] for i in origins], [zero] + [one] * len(origins))
    flow = t.op(Law.PRODUCT, [rate, able], [], name=f"converted.{cell}.{process.id}@{place}")
    t.flux(c.slot(f"{cell}.count@{place}"), flow, -1.0)
    arrival = _arrival(c.populations[process.becomes][0], process.to)
    size = c.value(process.size) if process.size is not None else 1.0
    name = f"{cell}.{process.id}"
    for i in origins:
        states = {"origin": here[i], "target": there[arrival]}
        c.fates.append(Fate(FateKind.CONVERSION, name, str(place), rate, size=size, **states))
    for slot in (there[arrival], c.slot(f"{process.becomes}.count@{place}")):
        t.flux(slot, flow, ratio)
    if c.knowledge.cell[cell].has_mass:
        t.flux(c.slot(f"{cell}.mass@{place}"), t.op(Law.PRODUCT, [flow, c.slot(f"size@{place}")], []), -1.0)
    if c.knowledge.cell[process.becomes].has_mass:
        t.flux(c.slot(f"{process.becomes}.mass@{place}"), flow, ratio * size)
    c.flows.append(((cell, place), (process.becomes, place), flow, ratio))


def return_rate(c: Compiler, cell: str, process: Migration, place: Place) -> float:
    """Return the rate (per h) at which cells come back from the next zone: k share(here) / share(there)."""
    return c.value(process.rate) * c.shares(cell, place) / c.shares(cell, place.inwards)


def write_migration(c: Compiler, cell: str, process: Migration, rate: Slot, place: Place) -> None:
    """Write the movement between a zone and the next one inwards.

    Parameters
    ----------
    c : Compiler
    cell : str
    process : Migration
    rate : Slot
        Its inward rate, per h.
    place : Place
        In zone 1 or 2.
    """
    t = c.tape
    back = t.param(f"rest:return {cell}.{process.id}@{place}", return_rate(c, cell, process, place))
    zero, one = t.number(0.0), t.number(1.0)
    near, far = c.cells_at[cell, place], c.cells_at[cell, place.inwards]
    origins = _able(c.populations[cell][0], process.origin)
    for i in origins:
        inwards = t.op(Law.PRODUCT, [rate, near[i]], [])
        outwards = t.op(Law.PRODUCT, [far[i]], [back])
        for slot, flow, sign in ((near[i], inwards, -1), (far[i], inwards, 1), (far[i], outwards, -1)):
            t.flux(slot, flow, sign)
        t.flux(near[i], outwards, 1.0)
        name = f"{cell}.{process.id}"
        c.fates.append(Fate(FateKind.MIGRATION, name, str(place), rate, near[i], far[i]))
        c.fates.append(Fate(FateKind.MIGRATION, name, str(place.inwards), None, far[i], near[i], constant=back))
    for origin, target, hands in ((place, place.inwards, ([rate], [])), (place.inwards, place, ([], [back]))):
        cells = [c.cells_at[cell, origin][i] for i in origins]
        able = t.op(Law.LINEAR, cells, [zero] + [one] * len(cells))
        flow = t.op(Law.PRODUCT, [able, *hands[0]], hands[1], name=f"moved.{cell}.{process.id}@{origin}-{target}")
        t.flux(c.slot(f"{cell}.count@{origin}"), flow, -1.0)
        t.flux(c.slot(f"{cell}.count@{target}"), flow, 1.0)
        c.flows.append(((cell, origin), (cell, target), flow, 1.0))
