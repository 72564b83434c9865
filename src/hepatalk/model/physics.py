r"""Physical laws: what flow, shear, oxygen and metabolic load are, given the cells of the liver.

===============  =========================================================================================
quantity         law (relative to health, so 1 at rest, unless a unit is given)
===============  =========================================================================================
capacity         hepatocyte mass: the functional mass of the liver
demand           body.demand
load             demand / capacity: metabolic demand on each unit of functional mass (`hepatalk.model.supply`)
function         capacity / demand; the share of function lost is 1 - function
inflow           body.inflow x (1 + response): portal inflow, whatever the size of the liver. The response to the
                 share of function lost is inflow_fast x lost at once, and a slow part that approaches
                 inflow_slow x lost with the time constant inflow_time (h). There is none while
                 body.inflow_answers is 0: inflow is then held
artery, blood    what comes by the artery, which answers to portal inflow, and all blood (`hepatalk.model.supply`)
sinusoid_flow    q = blood / LSECs of the zone: sinusoids are as many as their lining allows
radius (zone)    q^b x gates: sinusoids distend as flow through them rises (b = distension_exponent)
shear (zone)     q / radius^3: wall shear of Poiseuille flow, 4 mu q / (pi r^3)
volume (zone)    hepatocyte mass and cells of the other types at their volume shares + sinusoids x radius^2 + dead
                 tissue beyond the trace that health has (`hepatalk.model.damage`) + a third of body.space
volume           sum over the zones: fraction of the healthy liver
tissue_volume    volume - body.space: without the fluid beside the tissue, of which a body has none
flow             inflow / volume: portal flow per liver volume
vascular (zone)  LSECs per hepatocyte mass
oxygen (zone)    what the endothelium and the blood bring against what is used (`hepatalk.model.supply`)
size (zone)      hepatocyte mass / hepatocytes
density (zone)   cells of a type / volume of the zone
tissue           cells of a type in the whole liver / volume, which every zone sees alike
shortfall        Hill function of load around 1 / critical_function, 0 to 1 (per h)
deficit          d deficit/dt = shortfall - deficit_recovery x deficit, in h; death is the moment at which it
                 reaches lethal_deficit
===============  =========================================================================================

Where the liver has two lobes, `hepatalk.model.lobes` divides inflow and demand, and inflow, volume, flow, load and
tissue are those of the lobe; capacity, function, shortfall and what clears systemic signals are those of the whole.

A law that carries a silenced row (``physics.flow``, ``physics.shear``, ...) is held at its healthy value. Without a
slow and a fast response, inflow is what the body sends.

Sources: conserved portal inflow and the distension exponent come from pigs (Hammond et al. 2019, Clin Sci 133:153); the
parameter records carry every number's source. Poiseuille's law and Michaelis-Menten use are textbook physics.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hepatalk.model import damage, lobes, supply
from hepatalk.model.laws import Law, hill
from hepatalk.model.places import ZONES, Place, at
from hepatalk.model.tape import Slot

if TYPE_CHECKING:
    from hepatalk.model.compiler import Compiler

__all__ = ["resting_zone_volume", "write", "write_failure"]

#: Hill power of the shortfall: functions of the liver fail one after the other, from 5 to 95% over a factor 7 of load.
FAILURE_STEEPNESS = 3.0
#: Amounts below these (of a healthy liver's) count as these, so that ratios stay finite.
_LEAST = 1e-6
_LEAST_OF_A_TYPE = 1e-3


def resting_zone_volume(c: Compiler, place: Place) -> float:
    """Return the healthy volume of a place, as a fraction of the healthy liver.

    Raises
    ------
    KnowledgeError
        If a volume share has no parameter record.
    """
    total = 0.0
    for cell in c.knowledge.cells:
        if place.zone in cell.zones:
            total += c.value(cell.volume_share) * c.shares(cell.id, place)
    return total + c.value("sinusoid_volume_share") * c.shares("LSEC", place)


def write(c: Compiler) -> None:
    """Write flow, shear, volume, load and oxygen on the tape.

    Parameters
    ----------
    c : Compiler
        With the states of HEP, LSEC and KC declared in every zone.

    Raises
    ------
    KnowledgeError
        If a parameter that a law needs has no record.
    ModelError
        If the cells that a law needs are not there.
    """
    t = c.tape
    one, zero, tiny = t.number(1.0), t.number(0.0), t.number(_LEAST)
    capacity = lobes.total(c, "HEP.mass", "capacity")
    demand = t.op(Law.PRODUCT, [], [c.p("body.demand")], name="demand")
    supply.write_load(c, demand, capacity, "load")
    t.op(Law.RATIO, [capacity, demand], [one, tiny], name="function")
    _write_inflow(c)
    supply.write_blood(c)
    t.op(Law.PRODUCT, [], [c.p("body.space")], name="space")
    if len(c.lobes) > 1:
        lobes.write_division(c)
    lobes.total(c, "KC.count", "KC.total", by_lobe=False)
    c.gates.ask("physics.radius")
    for place in c.places:
        _zone_volume(c, place, _sinusoids(c, place))
        damage.write_dead_area(c, place)
        _oxygen(c, place)
        mass_and_count = [c.slot(f"HEP.mass@{place}"), c.slot(f"HEP.count@{place}")]
        t.op(Law.RATIO, mass_and_count, [one, tiny], name=f"size@{place}")
    volume = lobes.total(c, "volume", "volume")
    t.op(Law.LINEAR, [volume, c.slot("space")], [zero, one, t.number(-1.0)], name="tissue_volume")
    for lobe in c.lobes:
        inflow_and_volume = [c.slot(at("inflow", lobe)), c.slot(at("volume", lobe))]
        c.law(t.op(Law.RATIO, inflow_and_volume, [one, tiny]), "flow", "physics.flow", lobe)
    for cell in c.knowledge.cells:
        for place in c.places_of(cell.id):
            scale = t.number(resting_zone_volume(c, place) / c.shares(cell.id, place))
            count_and_volume = [c.slot(f"{cell.id}.count@{place}"), c.slot(f"volume@{place}")]
            t.op(Law.RATIO, count_and_volume, [scale, tiny], name=f"density.{cell.id}@{place}")
        for lobe in c.lobes:
            counts = [c.slot(f"{cell.id}.count@{Place(z, lobe)}") for z in cell.zones]
            total = t.op(Law.LINEAR, counts, [zero] + [one] * len(counts))
            t.op(Law.RATIO, [total, c.slot(at("volume", lobe))], [one, tiny], name=at(f"tissue.{cell.id}", lobe))


def _write_inflow(c: Compiler) -> None:
    """Total portal inflow: what the body sends x (1 + response to the share of function lost).

    Part of the response comes at once, part slowly. The lost share is at most 1, so that inflow stays positive while
    both parts of the response to it are above -1 together; it is negative where function exceeds demand.
    """
    t = c.tape
    slow = t.state("inflow_response", "x healthy inflow")
    c.rest_values[slow] = 0.0
    one = t.number(1.0)
    lost = t.op(Law.LINEAR, [c.slot("function")], [one, t.number(-1.0)], name="lost_function")
    pace = t.param("rest:pace inflow_response", 1.0 / c.value("inflow_time"))
    t.flux(slow, t.op(Law.PRODUCT, [lost], [pace, c.p("inflow_slow")]), 1.0)
    t.flux(slow, t.op(Law.PRODUCT, [slow], [pace]), -1.0)
    at_once = t.op(Law.PRODUCT, [lost], [c.p("inflow_fast")])
    # 1, and 0 while an intervention holds the inflow: whatever the liver asks for, the hand on the vessel decides.
    answers = t.param("body.inflow_answers", 1.0)
    response = t.op(Law.LINEAR, [slow, at_once], [one, answers, answers])
    t.op(Law.PRODUCT, [response], [c.p("body.inflow")], name="inflow")


def _sinusoids(c: Compiler, place: Place) -> Slot:
    """Write the flow through each sinusoid of a place, its radius and its wall shear; return the radius."""
    t = c.tape
    one = t.number(1.0)
    share, least = t.number(c.zone_share("LSEC", place.zone)), t.number(_LEAST_OF_A_TYPE)
    blood_and_lining = [c.slot(at("blood", place.lobe)), c.slot(f"LSEC.count@{place}")]
    per_sinusoid = t.op(Law.RATIO, blood_and_lining, [share, least])
    per_sinusoid = c.law(per_sinusoid, "sinusoid_flow", "physics.sinusoid_flow", place)
    free_radius = t.op(Law.POWER, [per_sinusoid], [one, c.p("distension_exponent")])
    radius = t.op(Law.PRODUCT, [free_radius, *c.gates.gate("physics.radius", place)], [])
    radius = c.law(radius, "radius", "physics.radius", place)
    resistance = t.op(Law.POWER, [radius], [one, t.number(-3.0)])
    c.law(t.op(Law.PRODUCT, [per_sinusoid, resistance], []), "shear", "physics.shear", place)
    return radius


def _zone_volume(c: Compiler, place: Place, radius: Slot) -> None:
    """Write the volume of a zone, as a fraction of the healthy liver."""
    t = c.tape
    parts, weights = [], []
    for cell in c.knowledge.cells:
        if place.zone in cell.zones:
            parts.append(c.slot(f"{cell.id}.{'mass' if cell.has_mass else 'count'}@{place}"))
            weights.append(c.p(cell.volume_share))
    lumen = t.op(Law.PRODUCT, [c.slot(f"LSEC.count@{place}"), radius, radius], [])
    weights.append(c.p("sinusoid_volume_share"))
    dead = [c.slot(f"dead.{manner}@{place}") for manner in damage.MANNERS]
    one, trace = t.number(1.0), t.number(-sum(damage.dead_at_rest(c, manner, place) for manner in damage.MANNERS))
    inputs = [*parts, lumen, *dead, c.slot("space")]
    arguments = [trace, *weights, one, one, t.number(c.lobe_share(place.lobe) / len(ZONES))]
    if not place.lobe:
        t.op(Law.LINEAR, inputs, arguments, name=f"volume@{place}")
        return
    # A lobe may be taken out whole: then nothing is left of it, and not a trace less than nothing.
    volume = t.op(Law.LINEAR, inputs, arguments)
    t.op(Law.POWER, [volume], [one, one], name=f"volume@{place}")


def _oxygen(c: Compiler, place: Place) -> None:
    """Write the lining per hepatocyte mass of a zone and the oxygen that it brings."""
    t = c.tape
    scale = t.number(c.shares("HEP", place) / c.shares("LSEC", place))
    lining = t.op(Law.RATIO, [c.slot(f"LSEC.count@{place}"), c.slot(f"HEP.mass@{place}")], [scale, t.number(_LEAST)])
    lining = c.law(lining, "vascular", "physics.vascular", place)
    supply.write_oxygen(c, lining, place)


def write_failure(c: Compiler) -> None:
    """Accumulated shortfall of function, in h: what toxins a failing liver leaves in the body.

    A Hill function of load rises from almost 0 while function suffices to 1 per h far below the critical
    function; the shortfall is cleared at a constant relative rate. The model only keeps the account: that an animal
    dies when it reaches ``lethal_deficit`` is an event for which the engine looks while it solves.

    Raises
    ------
    KnowledgeError
        If ``critical_function``, ``deficit_recovery`` or ``lethal_deficit`` has no record.
    """
    t = c.tape
    critical = 1.0 / c.value("critical_function")
    deficit = t.state("deficit", "h")
    c.rest_values[deficit] = float(hill(1.0, critical, FAILURE_STEEPNESS)) / c.value("deficit_recovery")
    shape = [t.param("rest:critical load", critical), t.number(FAILURE_STEEPNESS)]
    t.flux(deficit, t.op(Law.HILL, [c.slot("load")], shape, name="shortfall"), 1.0)
    t.flux(deficit, t.op(Law.PRODUCT, [deficit], [c.p("deficit_recovery")]), -1.0)
    t.op(Law.PRODUCT, [], [c.p("lethal_deficit")], name="lethal_deficit")
