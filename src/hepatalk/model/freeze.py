"""The finished tape to arrays: the healthy state filled in, fluxes gathered by state, labels paired, groups named."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from hepatalk.model import anatomy, fates, tracers
from hepatalk.model.compiled import CompiledModel, Floats, Ints, Relabel
from hepatalk.model.places import ZONES, at
from hepatalk.model.rest import fill_resting_values
from hepatalk.model.tape import Tape

if TYPE_CHECKING:
    from hepatalk.model.compiler import Compiler

__all__ = ["freeze"]


def freeze(c: Compiler) -> CompiledModel:
    """Return the model that a compiler has written.

    Parameters
    ----------
    c : Compiler
        With its tape complete.

    Returns
    -------
    CompiledModel

    Raises
    ------
    ModelError
        If the nodes find no resting state.
    """
    t = c.tape
    rest = np.array([c.rest_values[i] for i in range(len(t.state_names))])
    rest, params = fill_resting_values(t, rest, c.node_relax)
    input_start, inputs = t.flat(t.inputs, slots=True)
    argument_start, arguments = t.flat(t.arguments, slots=False)
    flux_start, flux, coefficient = _fluxes(t)
    return CompiledModel(
        species=c.species,
        knowledge_version=c.knowledge.version,
        zones=len(ZONES),
        state_names=tuple(t.state_names),
        state_units=tuple(t.state_units),
        slot_names=tuple(t.op_names),
        param_names=tuple(t.param_names),
        extensive=np.array(t.extensive),
        rest=rest,
        params=params,
        law=np.array([int(x) for x in t.law], dtype=np.int64),
        input_start=input_start,
        inputs=inputs,
        argument_start=argument_start,
        arguments=arguments,
        flux_start=flux_start,
        flux=flux,
        coefficient=coefficient,
        rows=tuple(tuple(sorted(r)) for r in t.rows),
        input_rows=tuple(row for rows in t.input_rows for row in rows),
        activities=tuple(c.activities.values()),
        relabel=_relabel(c),
        groups=_groups(c),
        fates=fates.settled(
            [x.id for x in c.knowledge.cells], _with_descent(c), c.growing, c.exchanges, c.touches, t.settle
        ),
        lobes=c.lobes,
        anatomy=anatomy.gather(c),
        attractions=tuple(c.attractions),
    )


def _fluxes(t: Tape) -> tuple[Ints, Ints, Floats]:
    """Return (flux_start, flux, coefficient), with the coefficients of equal slots added."""
    by_state: dict[int, dict[int, float]] = defaultdict(lambda: defaultdict(float))
    for state, slot, coefficient in t.fluxes:
        by_state[state][t.settle(slot)] += coefficient
    lists = [by_state[i] for i in range(len(t.state_names))]
    start = np.zeros(len(lists) + 1, dtype=np.int64)
    start[1:] = np.cumsum([len(x) for x in lists])
    flux = np.array([slot for x in lists for slot in x], dtype=np.int64)
    coefficients = np.array([value for x in lists for value in x.values()], dtype=np.float64)
    return start, flux, coefficients


def _relabel(c: Compiler) -> Relabel:
    """Pair every compartment that bears a label with the one of the same cells without it, and tracers with counts."""
    settled, fresh = [], []
    for cell, (population, _) in c.populations.items():
        for place in c.places_of(cell):
            here = c.cells_at[cell, place]
            for i, k in enumerate(population.compartments):
                generation = None if k.generation is None else 0
                plain = replace(k, lineage=population.cell.lineages[0], generation=generation)
                if plain != k:
                    settled.append(here[i])
                    fresh.append(here[population.position[plain]])
    marks, counts = [], []
    for tracer, cells in tracers.origins(c).items():
        for cell in cells:
            for place in c.places_of(cell):
                marks.append(c.slot(f"{cell}.{tracer}@{place}"))
                counts.append(c.slot(f"{cell}.count@{place}"))
    lists = (settled, fresh, marks, counts, tracers.states(c))
    return Relabel(*(np.array(states, dtype=np.int64) for states in lists))


def _with_descent(c: Compiler) -> list[fates.Fate]:
    """Return the fates; those that are conversions with the slot that tells what counts as beyond health."""
    known = {f: c.tape.find(f"beyond_health.converted.{f.process}@{f.place}") for f in c.fates}
    return [f if f.kind is not fates.FateKind.CONVERSION else replace(f, chance=known[f]) for f in c.fates]


def _groups(c: Compiler) -> dict[str, Ints]:
    """Return the state indices of each cell type by state, lineage, nuclei and generation."""
    groups: dict[str, list[int]] = defaultdict(list)
    for cell, (population, _) in c.populations.items():
        for place in c.places_of(cell):
            groups[f"{cell}.count"].append(c.slot(f"{cell}.count@{place}"))
            if population.cell.has_mass:
                groups[f"{cell}.mass"].append(c.slot(f"{cell}.mass@{place}"))
            for slot, k in zip(c.cells_at[cell, place], population.compartments, strict=True):
                groups[cell].append(slot)
                groups[f"{cell}.{k.state}"].append(slot)
                if place.lobe:
                    groups[at(cell, place.lobe)].append(slot)
                    groups[at(f"{cell}.{k.state}", place.lobe)].append(slot)
                if len(population.cell.lineages) > 1:
                    groups[f"{cell}.{k.lineage}"].append(slot)
                if len(population.cell.nuclei) > 1:
                    groups[f"{cell}.{k.nuclei}"].append(slot)
                if k.generation is not None:
                    groups[f"{cell}.generation{k.generation}"].append(slot)
                    groups[f"{cell}.{k.state}.generation{k.generation}"].append(slot)
    return {name: np.array(slots, dtype=np.int64) for name, slots in groups.items()}
