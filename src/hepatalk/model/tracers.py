r"""Lineage labels that are inherited: how much of each cell type descends from cells marked at one moment.

A tracer is an amount per cell type and place (a zone, of a lobe where there are two), in the unit of the type's count.
Marked cells behave as all cells of their type and place do, so the marked amount L among N obeys

    dL/dt = (division - death) L + sum over flows in (flow x share of its origin) - sum over flows out (flow x L/N),

flows being conversions and migrations. Cells from the blood come unmarked. No rate depends on a tracer.

Two kinds are there. ``from_TYPE`` marks, at time zero, all cells of a type that takes part in conversions, and those
that lineage tracing cannot tell from it (``counts_as``). It tells of conversion beyond the exchange of health, so that
it stands still in an animal that is left alone: of the cells that arrive by a conversion, the fraction e^4/(1 + e^4)
bears the share of the type they come from and the rest the share of the type they join, e being the difference of the
flow from the healthy one in units of that one (a half at twofold flow, 0.9999 at elevenfold). ``label`` is the user's
own: nothing bears it until a change marks a fraction of a cell type, as a recombinase would.

State names begin with the cell type (``HEP.label@1``), so that whatever removes cells of a type, by the name of its
states, removes their labels in proportion.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hepatalk.knowledge.records import Conversion
from hepatalk.model.laws import Law
from hepatalk.model.tape import Slot

if TYPE_CHECKING:
    from hepatalk.model.compiler import Compiler

__all__ = ["LABEL", "declare", "origins", "states", "write"]

#: The tracer that a user sets.
LABEL = "label"
#: Fewer cells than this (of the healthy number) have no share of their own.
_LEAST = 1e-12


def origins(c: Compiler) -> dict[str, list[str]]:
    """Return the tracers of origin: for each, the types whose cells bear it at time zero."""
    joined: set[str] = set()
    for cell in c.knowledge.cells:
        for process in cell.processes:
            if isinstance(process, Conversion):
                joined |= {cell.id, process.becomes}
    found: dict[str, list[str]] = {}
    for cell in c.knowledge.cells:
        if cell.id in joined:
            found.setdefault(f"from_{cell.counts_as or cell.id}", []).append(cell.id)
    return found


def _tracers(c: Compiler) -> dict[str, list[str]]:
    """Return the cell types in which each tracer is followed."""
    found = origins(c)
    joined = [cell for cells in found.values() for cell in cells]
    return {**dict.fromkeys(found, joined), LABEL: [cell.id for cell in c.knowledge.cells]}


def states(c: Compiler) -> list[Slot]:
    """Return the states of all tracers."""
    return [
        c.slot(f"{cell}.{tracer}@{place}")
        for tracer, cells in _tracers(c).items()
        for cell in cells
        for place in c.places_of(cell)
    ]


def declare(c: Compiler) -> None:
    """Declare the states of all tracers; in health, before time zero, nothing is marked."""
    for tracer, cells in _tracers(c).items():
        for cell in cells:
            for place in c.places_of(cell):
                slot = c.tape.state(f"{cell}.{tracer}@{place}", "fraction of healthy count", extensive=True)
                c.rest_values[slot] = 0.0


def write(c: Compiler) -> None:
    """Write what moves the tracers, after everything that moves cells."""
    t = c.tape
    one, least = t.number(1.0), t.number(_LEAST)
    for tracer, cells in _tracers(c).items():
        for cell in cells:
            for place in c.places_of(cell):
                mark, count = c.slot(f"{cell}.{tracer}@{place}"), c.slot(f"{cell}.count@{place}")
                share = t.op(Law.RATIO, [mark, count], [one, least], name=f"share.{cell}.{tracer}@{place}")
                made = c.made.get((cell, place), [])
                if made:
                    slots = [slot for slot, _ in made]
                    numbers = [t.number(number) for _, number in made]
                    added = t.op(Law.LINEAR, slots, [t.number(0.0), *numbers])
                    t.flux(mark, t.op(Law.PRODUCT, [added, share], []), 1.0)
                t.flux(mark, t.op(Law.PRODUCT, [c.slot(f"death.{cell}@{place}"), mark], []), -1.0)
        for (cell, place), (other, there), flow, ratio in c.flows:
            if cell not in cells or other not in cells:
                continue
            origin, target = (c.slot(f"share.{name}.{tracer}@{at}") for name, at in ((cell, place), (other, there)))
            marked = t.op(Law.PRODUCT, [flow, origin], [])
            t.flux(c.slot(f"{cell}.{tracer}@{place}"), marked, -1.0)
            if tracer == LABEL or cell == other:
                t.flux(c.slot(f"{other}.{tracer}@{there}"), marked, ratio)
                continue
            beyond = _beyond_health(c, flow)
            within = t.op(Law.NOT, [beyond], [one])
            t.flux(c.slot(f"{other}.{tracer}@{there}"), t.op(Law.PRODUCT, [marked, beyond], []), ratio)
            t.flux(c.slot(f"{other}.{tracer}@{there}"), t.op(Law.PRODUCT, [flow, target, within], []), ratio)


def _beyond_health(c: Compiler, flow: Slot) -> Slot:
    """Return the fraction of a conversion that counts as beyond the healthy exchange."""
    t = c.tape
    one = t.number(1.0)
    name = f"beyond_health.{t.op_names[-flow - 1]}"
    healthy = t.op(Law.CONSTANT, [flow], [t.param(f"rest:healthy {name}", float("nan"))])
    fold = t.op(Law.RATIO, [flow, healthy], [one, t.number(_LEAST)])
    change = t.op(Law.LINEAR, [fold], [t.number(-1.0), one])
    squared = t.op(Law.PRODUCT, [change, change], [])
    return t.op(Law.HILL, [squared], [one, t.number(2.0)], name=name)
