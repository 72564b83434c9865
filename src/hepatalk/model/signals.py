r"""Signals on the tape: who releases them, what removes them, how they mix and what the matrix stores.

Levels are relative to the healthy mean over the zones. A local signal of level s in a zone obeys

    ds/dt = k (sum of sources - gates s) + m (mean of the zones - s) + release - binding,

k being ln 2 / half-life (per h) and m the mixing between zones (per h). The mean counts each zone by its volume over
its healthy one, so that a zone that is gone has no say; the blood mixes across lobes, not tissue. Each source is
share x activity x gates x density of the releasing cells (x their size, where a type has mass), or of the cells that
die per h, and the shares of all sources add up to the resting supply of the zone, so that the signal stands still in
health whoever makes it. A systemic signal has one level:

    ds/dt = k (demand x gates - gates x s x what removes it).

Its supply is what the body releases, which goes with the size of the body, as demand does, and not with portal inflow:
portal blood that is led past the liver comes back by the artery, with what it carries. What leaves with the bile comes
back by the gut: its supply is multiplied by what returns (`hepatalk.model.damage`).

``supply.SIGNAL`` is a parameter, 0 unless set: supply from outside, in healthy supplies.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from hepatalk.errors import KnowledgeError
from hepatalk.knowledge.records import Secretes, Signal
from hepatalk.model import motion
from hepatalk.model.fates import Exchange, Presented, Touch
from hepatalk.model.laws import Law
from hepatalk.model.lobes import mean_of_lobes
from hepatalk.model.physics import resting_zone_volume
from hepatalk.model.places import ZONES, Place, at
from hepatalk.model.tape import Slot

if TYPE_CHECKING:
    from hepatalk.model.compiler import Compiler

__all__ = ["declare", "write"]

#: What a signal's ``cleared_by`` is called on the tape; clearance by nothing else is a constant.
_REMOVERS = {"volume": "volume", "HEP": "capacity", "KC": "KC.total", "bile": "bile_clearance", "none": ""}
#: The name of the exchange between zones by the blood, which lobes have in common; tissue mixes within a lobe.
_BY_BLOOD = "blood_mixing"
#: A volume below this (fraction of the healthy liver) counts as this, so that densities stay finite.
_LEAST_VOLUME = 1e-6
#: Systemic signals see the lobule as a whole; statements on their supply are read in the middle zone.
_MIDDLE = 2


def declare(c: Compiler) -> None:
    """Declare the states of all signals and stores, with their healthy values."""
    for signal in c.knowledge.signals:
        for place in c.places if signal.kind != "systemic" else (None,):
            here = f"@{place}" if place else ""
            slot = c.tape.state(f"signal.{signal.id}{here}", "x healthy mean")
            c.rest_values[slot] = _resting_level(c, signal)[place.zone - 1] if place else 1.0
            free = c.tape.param(f"free.{signal.id}", 1.0)
            c.tape.op(Law.PRODUCT, [slot], [free], name=f"free.{signal.id}{here}")
            if signal.id in c.stores:
                store = c.tape.state(f"store.{signal.id}{here}", "x healthy free amount", extensive=True)
                zone, share = (place.zone, c.lobe_share(place.lobe)) if place else (1, 1.0)
                c.rest_values[store] = c.value(signal.store or "") * _resting_level(c, signal)[zone - 1] * share


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
            for place in c.places:
                _write_local(c, signal, place)


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
    factors = _gates_of_body(c, f"secretion.{signal.id}")
    carried = f"supply.{signal.id}"
    # 1, and 0 where no body is left that could release anything.
    released = t.param("body.release", 1.0)
    supply = t.op(
        Law.PRODUCT,
        [c.slot("demand"), *factors, *([c.slot("bile_supply")] if signal.cleared_by == "bile" else [])],
        [k, released, *([activity] if activity is not None else [])],
        name=carried,
        rows=[*signal.rows, *c.rows_of(carried)],
    )
    remover = _REMOVERS[signal.cleared_by]
    brakes = [slot, *([c.slot(remover)] if remover else []), *_gates_of_body(c, f"clearance.{signal.id}")]
    removed = t.op(Law.PRODUCT, brakes, [k])
    if c.is_silenced(carried):
        return  # the signal stays at its resting level
    t.flux(slot, supply, 1.0)
    t.flux(slot, removed, -1.0)
    added = t.param(f"supply.{signal.id}", 0.0)
    t.flux(slot, t.op(Law.PRODUCT, [], [k, added], name=f"added.{signal.id}"), 1.0)


def _gates_of_body(c: Compiler, target: str) -> list[Slot]:
    """Return the factors on a rate of the whole body; of two lobes each counts by its volume."""
    factors = [c.gates.gate(target, Place(_MIDDLE, lobe)) for lobe in c.lobes]
    if len(c.lobes) == 1 or not factors[0]:
        return factors[0]
    return [mean_of_lobes(c, [c.tape.op(Law.PRODUCT, here, []) for here in factors])]


# ---------------------------------------------------------------------------------------------------- local signals


def _write_local(c: Compiler, signal: Signal, place: Place) -> None:
    t = c.tape
    k = t.param(f"clearance.{signal.id}", _clearance(c, signal))
    slot = c.slot(f"signal.{signal.id}@{place}")
    sources = _sources(c, signal, place)
    if not sources:
        raise KnowledgeError(
            f"signal {signal.id!r} has no source; add a 'secretes' term to a row, or a blood_share to the signal"
        )
    one = t.number(1.0)
    from_outside = t.param(f"supply.{signal.id}", 0.0)
    supplied = t.op(Law.LINEAR, sources, [from_outside] + [one] * len(sources), name=f"supply.{signal.id}@{place}")
    t.flux(slot, t.op(Law.PRODUCT, [supplied], [k]), 1.0)
    for target in (f"secretion.{signal.id}", f"clearance.{signal.id}", f"release.{signal.id}"):
        c.gates.ask(target)
    factors = c.gates.gate(f"clearance.{signal.id}", place)
    removal = t.op(Law.PRODUCT, [slot, *factors], [k], name=f"removal.{signal.id}@{place}")
    t.flux(slot, removal, -1.0)
    if signal.mixing:
        _write_mixing(c, signal, slot, place)
    if signal.kind == "contact":
        c.touches.append(Touch(slot, c.slot(f"free.{signal.id}@{place}"), tuple(_presented(c, signal, place))))
    if signal.id in c.stores:
        _write_store(c, signal, place)


def _presented(c: Compiler, signal: Signal, place: Place) -> list[Presented]:
    """Return who presents a contact signal in a place: the cells behind its sources, as those take them."""
    terms = [s for _, s in c.secretions.get(signal.id, []) if place.zone in c.knowledge.cell[s.cell].zones]
    total = sum(c.value(s.share) for s in terms)
    found = []
    for term in terms:
        population, _ = c.populations[term.cell]
        here = c.cells_at[term.cell, place]
        chosen = range(len(here)) if term.state is None else population.select(term.state)
        states = tuple(here[i] for i in chosen)
        found.append(Presented(term.cell, states, _density(c, term, place), c.value(term.share) / total))
    return found


def _density(c: Compiler, term: Secretes, place: Place) -> Slot:
    """Return the slot of the number of releasing cells per volume, 1 in health."""
    t = c.tape
    cells, amount = c.selected(term.cell, term.state, place)
    scale = t.param(f"rest:density {term.cell}.{term.state or 'all'}@{place}", resting_zone_volume(c, place) / amount)
    return t.op(Law.RATIO, [cells, c.slot(f"volume@{place}")], [scale, t.number(_LEAST_VOLUME)])


def _write_mixing(c: Compiler, signal: Signal, slot: Slot, place: Place) -> None:
    """Exchange a place's level with the mean of the zones: of its lobe, or of all lobes where the blood mixes them."""
    t = c.tape
    pace = c.p(signal.mixing or "")
    shared = signal.mixing == _BY_BLOOD
    means = []
    for lobe in c.lobes if shared else (place.lobe,):
        means.append(_mean_of_zones(c, f"signal.{signal.id}", lobe))
    mean = mean_of_lobes(c, means) if shared else means[0]
    mean = c.law(mean, f"mean.{signal.id}", f"mixing.{signal.id}", None if shared else place.lobe)
    gain, loss = t.op(Law.PRODUCT, [mean], [pace]), t.op(Law.PRODUCT, [slot], [pace])
    t.flux(slot, gain, 1.0)
    t.flux(slot, loss, -1.0)
    c.exchanges.append(Exchange(slot, gain, loss, pace, shared))


def _mean_of_zones(c: Compiler, name: str, lobe: str) -> Slot:
    """Return the mean of a level over the zones of a lobe, each zone by its volume over its healthy one."""
    t = c.tape
    zero, one = t.number(0.0), t.number(1.0)
    weights = []
    for z in ZONES:
        place = Place(z, lobe)
        kept = f"kept@{place}"
        slot = t.find(kept)
        if slot is None:
            scale = t.number(1.0 / resting_zone_volume(c, place))
            slot = t.op(Law.PRODUCT, [c.slot(f"volume@{place}")], [scale], name=kept)
        weights.append(slot)
    weighed = [
        t.op(Law.PRODUCT, [weight, c.slot(f"{name}@{Place(z, lobe)}")], [])
        for z, weight in zip(ZONES, weights, strict=True)
    ]
    whole = t.find(at("kept", lobe))
    if whole is None:
        whole = t.op(Law.LINEAR, weights, [zero, one, one, one], name=at("kept", lobe))
    return t.op(Law.RATIO, [t.op(Law.LINEAR, weighed, [zero, one, one, one]), whole], [one, t.number(_LEAST_VOLUME)])


def _sources(c: Compiler, signal: Signal, place: Place) -> list[Slot]:
    """Return one slot per source of a local signal: share x activity x gates x density (x size) of the cells."""
    t = c.tape
    terms = [
        (row, s)
        for row, s in c.secretions.get(signal.id, [])
        if place.zone in c.knowledge.cell[_known_cell(c, row, s.cell)].zones
    ]
    weights = [c.value(s.share) for _, s in terms]
    blood = c.value(signal.blood_share) if signal.blood_share else 0.0
    total = sum(weights) + blood
    supply = _supply_profile(c, signal)[place.zone - 1]
    if not terms and not blood:
        return [] if not c.secretions.get(signal.id) else [t.op(Law.PRODUCT, [], [t.number(0.0)])]
    slots = [
        _source(c, signal, row, term, place, supply * weight / total)
        for (row, term), weight in zip(terms, weights, strict=True)
    ]
    if blood:
        share = t.param(f"rest:share {signal.id} blood@{place}", supply * blood / total)
        factors = c.gates.gate(f"secretion.{signal.id}", place)
        brought = t.op(Law.PRODUCT, [c.slot(at("flow", place.lobe)), *factors], [share])
        slots.append(c.law(brought, f"source.{signal.id}.blood", f"blood.{signal.id}", place))
    return slots


def _source(c: Compiler, signal: Signal, row: str, term: Secretes, place: Place, resting: float) -> Slot:
    """Return the slot of one cell type's release in a zone, ``resting`` in health; constant when silenced."""
    t = c.tape
    who = f"{term.cell}.{term.state or 'all'}@{place}"
    density = _density(c, term, place)
    if term.dying:
        turnover = t.param(f"rest:1/turnover {term.cell}", 1.0 / c.death_rates[term.cell])
        density = t.op(Law.PRODUCT, [density, motion.death_rate(c, term.cell, place)], [turnover])
    target = f"secretion.{signal.id}.{term.cell}"
    c.gates.ask(target)
    factors = c.gates.gate(target, place, also=[f"secretion.{signal.id}"])
    activity = c.activity(f"activity.signal.{signal.id}@{term.cell}", term.cell, signal.genes, signal.family)
    share = t.param(f"rest:share {signal.id} {who}", resting)
    name = f"source.{signal.id}.{who}"
    if row in c.silenced:
        return t.op(Law.PRODUCT, [], [share], name=name, rows=[row])
    arguments = [share, *([activity] if activity is not None else [])]
    # A cell of twice the mass makes twice the protein; otherwise large cells would fall silent for being few.
    size = [c.slot(f"size@{place}")] if c.knowledge.cell[term.cell].has_mass else []
    return t.op(Law.PRODUCT, [density, *size, *factors], arguments, name=name, rows=[row])


def _known_cell(c: Compiler, row: str, cell: str) -> str:
    if cell not in c.knowledge.cell:
        raise KnowledgeError(
            f"row {row}: cell {cell!r} is unknown; allowed: {', '.join(c.knowledge.cell)}; correct the term"
        )
    return cell


def _write_store(c: Compiler, signal: Signal, place: Place) -> None:
    """Matrix-bound pool: free factor binds in proportion to matrix, bound factor is released; balanced at rest.

    The pool is an amount (it shrinks with the liver), the free factor a concentration: hence the volume.
    """
    t = c.tape
    row = c.stores[signal.id]
    slot, store = c.slot(f"signal.{signal.id}@{place}"), c.slot(f"store.{signal.id}@{place}")
    size, release = c.value(signal.store or ""), c.value(signal.release or "")
    volume = c.slot(f"volume@{place}")
    # The pool of a lobe is its part of that of the liver: so is the volume in whose unit a level is an amount.
    resting_volume = resting_zone_volume(c, place) / c.lobe_share(place.lobe)
    matrix, free = c.slot(f"free.ECM@{place}"), c.slot(f"free.{signal.id}@{place}")
    name = f"release.{signal.id}"
    factors = c.gates.gate(name, place)
    if c.is_silenced(name):
        factors = []
    if row in c.silenced:
        return
    pace = c.p(signal.release or "")
    freed = t.op(Law.PRODUCT, [store, *factors], [pace], name=f"{name}@{place}", rows=[row, *c.rows_of(name)])
    per_volume = t.op(Law.RATIO, [freed, volume], [t.number(resting_volume), t.number(_LEAST_VOLUME)])
    # ECM is normalised to its healthy mean, which differs between zones only if the matrix had a profile.
    binding = t.param(f"rest:binding {signal.id}", size * release)
    bound = t.op(Law.PRODUCT, [free, matrix], [binding], name=f"binding.{signal.id}@{place}", rows=[row])
    in_pool = t.op(Law.PRODUCT, [bound, volume], [t.number(1.0 / resting_volume)])
    t.flux(slot, per_volume, 1.0)
    t.flux(slot, bound, -1.0)
    t.flux(store, in_pool, 1.0)
    t.flux(store, freed, -1.0)
