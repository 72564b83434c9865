r"""Signals on the tape: who releases them, what removes them, how they mix and what the matrix stores.

Levels are relative to the healthy mean over the zones. A local signal of level s in a zone obeys

    ds/dt = k (sum of sources - gates s) + m (mean of the zones - s) + release - binding,

k being ln 2 / half-life (per h) and m the mixing between zones (per h). Each source is share x activity x gates x
density of the releasing cells (x their size, where a type has mass), or of the cells that die per h, and the shares of
all sources add up to the resting supply of the zone, so that the signal stands still in health whoever makes it. A
systemic signal has one level, with portal inflow for a source:

    ds/dt = k (inflow x gates - gates x s x what removes it).

What leaves with the bile comes back by the gut: its supply is multiplied by what returns (`hepatalk.model.damage`).

``supply.SIGNAL`` is a parameter, 0 unless set: supply from outside, in healthy supplies.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from hepatalk.errors import KnowledgeError
from hepatalk.knowledge.records import Secretes, Signal
from hepatalk.model import motion
from hepatalk.model.laws import Law
from hepatalk.model.physics import resting_zone_volume
from hepatalk.model.populations import ZONES
from hepatalk.model.tape import Slot

if TYPE_CHECKING:
    from hepatalk.model.compiler import Compiler

__all__ = ["declare", "write"]

#: What a signal's ``cleared_by`` is called on the tape; clearance by nothing else is a constant.
_REMOVERS = {"volume": "volume", "HEP": "capacity", "KC": "KC.total", "bile": "bile_clearance", "none": ""}
#: A volume below this (fraction of the healthy liver) counts as this, so that densities stay finite.
_LEAST_VOLUME = 1e-6
#: Systemic signals see the lobule as a whole; statements on their supply are read in the middle zone.
_MIDDLE = 2


def declare(c: Compiler) -> None:
    """Declare the states of all signals and stores, with their healthy values."""
    for signal in c.knowledge.signals:
        for zone in ZONES if signal.kind != "systemic" else (None,):
            at = f"@{zone}" if zone else ""
            slot = c.tape.state(f"signal.{signal.id}{at}", "x healthy mean")
            c.rest_values[slot] = _resting_level(c, signal)[zone - 1] if zone else 1.0
            free = c.tape.param(f"free.{signal.id}", 1.0)
            c.tape.op(Law.PRODUCT, [slot], [free], name=f"free.{signal.id}{at}")
            if signal.id in c.stores:
                store = c.tape.state(f"store.{signal.id}{at}", "x healthy free amount", extensive=True)
                c.rest_values[store] = c.value(signal.store or "") * _resting_level(c, signal)[(zone or 1) - 1]


def write(c: Compiler) -> None:
    """Write what moves every signal.

    Raises
    ------
    KnowledgeError
        For a local signal without a source, or a source that is no cell type.
    """
    for signal in c.knowledge.signals:
        if signal.kind == "systemic":
            _write_systemic(c, signal)
        else:
            for zone in ZONES:
                _write_local(c, signal, zone)


# --------------------------------------------------------------------------------------------------- levels at rest


def _clearance(c: Compiler, signal: Signal) -> float:
    """Return the clearance rate constant of a signal, per h."""
    return math.log(2.0) / c.value(signal.half_life)


def _supply_profile(c: Compiler, signal: Signal) -> tuple[float, float, float]:
    """Return the resting supply of a local signal per zone (mean 1 over the zones)."""
    raw = c.profile(signal.zone_profile) if signal.zone_profile else (1.0, 1.0, 1.0)
    if not signal.blood_share:
        # A zone without any cell that releases the signal is supplied by mixing alone.
        terms = [s for _, s in c.secretions.get(signal.id, []) if s.cell in c.knowledge.cell]
        has = [any(z in c.knowledge.cell[s.cell].zones for s in terms) for z in ZONES]
        raw = (raw[0] * has[0], raw[1] * has[1], raw[2] * has[2])
    mean = sum(raw) / 3.0 or 1.0
    return (raw[0] / mean, raw[1] / mean, raw[2] / mean)


def _resting_level(c: Compiler, signal: Signal) -> tuple[float, float, float]:
    """Return the resting level per zone: supply against clearance and mixing with the mean."""
    k = _clearance(c, signal)
    mixing = c.value(signal.mixing) if signal.mixing else 0.0
    one, two, three = ((k * s + mixing) / (k + mixing) for s in _supply_profile(c, signal))
    return (one, two, three)


# ------------------------------------------------------------------------------------------------- systemic signals


def _write_systemic(c: Compiler, signal: Signal) -> None:
    t = c.tape
    k = t.param(f"clearance.{signal.id}", _clearance(c, signal))
    slot = c.slot(f"signal.{signal.id}")
    activity = c.activity(f"activity.signal.{signal.id}@blood", "blood", signal.genes, signal.family)
    for target in (f"secretion.{signal.id}", f"clearance.{signal.id}"):
        c.gates.ask(target)
    factors = c.gates.gate(f"secretion.{signal.id}", _MIDDLE)
    carried = f"supply.{signal.id}"
    supply = t.op(
        Law.PRODUCT,
        [c.slot("inflow"), *factors, *([c.slot("bile_supply")] if signal.cleared_by == "bile" else [])],
        [k, *([activity] if activity is not None else [])],
        name=carried,
        rows=[*signal.rows, *c.rows_of(carried)],
    )
    remover = _REMOVERS[signal.cleared_by]
    brakes = [slot, *([c.slot(remover)] if remover else []), *c.gates.gate(f"clearance.{signal.id}", _MIDDLE)]
    removed = t.op(Law.PRODUCT, brakes, [k])
    if c.is_silenced(carried):
        return  # the signal stays at its resting level
    t.flux(slot, supply, 1.0)
    t.flux(slot, removed, -1.0)
    added = t.param(f"supply.{signal.id}", 0.0)
    t.flux(slot, t.op(Law.PRODUCT, [], [k, added], name=f"added.{signal.id}"), 1.0)


# ---------------------------------------------------------------------------------------------------- local signals


def _write_local(c: Compiler, signal: Signal, zone: int) -> None:
    t = c.tape
    k = t.param(f"clearance.{signal.id}", _clearance(c, signal))
    slot = c.slot(f"signal.{signal.id}@{zone}")
    sources = _sources(c, signal, zone)
    if not sources:
        raise KnowledgeError(
            f"signal {signal.id!r} has no source; add a 'secretes' term to a row, or a blood_share to the signal"
        )
    one = t.number(1.0)
    from_outside = t.param(f"supply.{signal.id}", 0.0)
    supplied = t.op(Law.LINEAR, sources, [from_outside] + [one] * len(sources), name=f"supply.{signal.id}@{zone}")
    t.flux(slot, t.op(Law.PRODUCT, [supplied], [k]), 1.0)
    for target in (f"secretion.{signal.id}", f"clearance.{signal.id}", f"release.{signal.id}"):
        c.gates.ask(target)
    factors = c.gates.gate(f"clearance.{signal.id}", zone)
    removal = t.op(Law.PRODUCT, [slot, *factors], [k], name=f"removal.{signal.id}@{zone}")
    t.flux(slot, removal, -1.0)
    if signal.mixing:
        _write_mixing(c, signal, slot, c.p(signal.mixing))
    if signal.id in c.stores:
        _write_store(c, signal, zone)


def _write_mixing(c: Compiler, signal: Signal, slot: Slot, pace: int) -> None:
    """Exchange a zone's level with the mean of the zones at ``pace`` (position of a rate constant, per h)."""
    t = c.tape
    third = t.number(1.0 / 3.0)
    levels = [c.slot(f"signal.{signal.id}@{z}") for z in ZONES]
    mean = t.op(Law.LINEAR, levels, [t.number(0.0), third, third, third])
    mean = c.law(mean, f"mean.{signal.id}", f"mixing.{signal.id}", None)
    t.flux(slot, t.op(Law.PRODUCT, [mean], [pace]), 1.0)
    t.flux(slot, t.op(Law.PRODUCT, [slot], [pace]), -1.0)


def _sources(c: Compiler, signal: Signal, zone: int) -> list[Slot]:
    """Return one slot per source of a local signal: share x activity x gates x density (x size) of the cells."""
    t = c.tape
    terms = [
        (row, s)
        for row, s in c.secretions.get(signal.id, [])
        if zone in c.knowledge.cell[_known_cell(c, row, s.cell)].zones
    ]
    weights = [c.value(s.share) for _, s in terms]
    blood = c.value(signal.blood_share) if signal.blood_share else 0.0
    total = sum(weights) + blood
    supply = _supply_profile(c, signal)[zone - 1]
    if not terms and not blood:
        return [] if not c.secretions.get(signal.id) else [t.op(Law.PRODUCT, [], [t.number(0.0)])]
    slots = [
        _source(c, signal, row, term, zone, supply * weight / total)
        for (row, term), weight in zip(terms, weights, strict=True)
    ]
    if blood:
        share = t.param(f"rest:share {signal.id} blood@{zone}", supply * blood / total)
        factors = c.gates.gate(f"secretion.{signal.id}", zone)
        brought = t.op(Law.PRODUCT, [c.slot("flow"), *factors], [share])
        slots.append(c.law(brought, f"source.{signal.id}.blood", f"blood.{signal.id}", zone))
    return slots


def _source(c: Compiler, signal: Signal, row: str, term: Secretes, zone: int, resting: float) -> Slot:
    """Return the slot of one cell type's release in a zone, ``resting`` in health; constant when silenced."""
    t = c.tape
    who = f"{term.cell}.{term.state or 'all'}@{zone}"
    cells, amount = c.selected(term.cell, term.state, zone)
    volume = c.slot(f"volume@{zone}")
    scale = t.param(f"rest:density {who}", resting_zone_volume(c, zone) / amount)
    density = t.op(Law.RATIO, [cells, volume], [scale, t.number(_LEAST_VOLUME)])
    if term.dying:
        turnover = t.param(f"rest:1/turnover {term.cell}", 1.0 / c.death_rates[term.cell])
        density = t.op(Law.PRODUCT, [density, motion.death_rate(c, term.cell, zone)], [turnover])
    target = f"secretion.{signal.id}.{term.cell}"
    c.gates.ask(target)
    factors = c.gates.gate(target, zone, also=[f"secretion.{signal.id}"])
    activity = c.activity(f"activity.signal.{signal.id}@{term.cell}", term.cell, signal.genes, signal.family)
    share = t.param(f"rest:share {signal.id} {who}", resting)
    name = f"source.{signal.id}.{who}"
    if row in c.silenced:
        return t.op(Law.PRODUCT, [], [share], name=name, rows=[row])
    arguments = [share, *([activity] if activity is not None else [])]
    # A cell of twice the mass makes twice the protein; otherwise large cells would fall silent for being few.
    size = [c.slot(f"size@{zone}")] if c.knowledge.cell[term.cell].has_mass else []
    return t.op(Law.PRODUCT, [density, *size, *factors], arguments, name=name, rows=[row])


def _known_cell(c: Compiler, row: str, cell: str) -> str:
    if cell not in c.knowledge.cell:
        raise KnowledgeError(
            f"row {row}: cell {cell!r} is unknown; allowed: {', '.join(c.knowledge.cell)}; correct the term"
        )
    return cell


def _write_store(c: Compiler, signal: Signal, zone: int) -> None:
    """Matrix-bound pool: free factor binds in proportion to matrix, bound factor is released; balanced at rest.

    The pool is an amount (it shrinks with the liver), the free factor a concentration: hence the volume.
    """
    t = c.tape
    row = c.stores[signal.id]
    slot, store = c.slot(f"signal.{signal.id}@{zone}"), c.slot(f"store.{signal.id}@{zone}")
    size, release = c.value(signal.store or ""), c.value(signal.release or "")
    volume = c.slot(f"volume@{zone}")
    resting_volume = resting_zone_volume(c, zone)
    matrix, free = c.slot(f"free.ECM@{zone}"), c.slot(f"free.{signal.id}@{zone}")
    name = f"release.{signal.id}"
    factors = c.gates.gate(name, zone)
    if c.is_silenced(name):
        factors = []
    if row in c.silenced:
        return
    pace = c.p(signal.release or "")
    freed = t.op(Law.PRODUCT, [store, *factors], [pace], name=f"{name}@{zone}", rows=[row, *c.rows_of(name)])
    per_volume = t.op(Law.RATIO, [freed, volume], [t.number(resting_volume), t.number(_LEAST_VOLUME)])
    # ECM is normalised to its healthy mean, which differs between zones only if the matrix had a profile.
    binding = t.param(f"rest:binding {signal.id}", size * release)
    bound = t.op(Law.PRODUCT, [free, matrix], [binding], name=f"binding.{signal.id}@{zone}", rows=[row])
    in_pool = t.op(Law.PRODUCT, [bound, volume], [t.number(1.0 / resting_volume)])
    t.flux(slot, per_volume, 1.0)
    t.flux(slot, bound, -1.0)
    t.flux(store, in_pool, 1.0)
    t.flux(store, freed, -1.0)
