r"""Physical laws: what flow, shear, oxygen and metabolic load are, given the cells of the liver.

=============  ===========================================================================================
quantity       law (all relative to health, so 1 at rest)
=============  ===========================================================================================
inflow         body.inflow x response: what the gut sends, whatever the size of the liver (response 1 by default)
q (zone)       inflow / LSECs: flow through each sinusoid, sinusoids being as many as their lining allows
radius (zone)  q^b / contraction: sinusoids distend as flow through them rises
shear (zone)   q / radius^3: wall shear of Poiseuille flow, 4 mu q / (pi r^3)
volume         hepatocyte mass and cells of the other types at their volume shares + sinusoids x radius^2
flow           inflow / volume: portal flow per liver volume
load           body.demand / hepatocyte mass: metabolic demand on each unit of functional mass
vascular       LSECs per hepatocyte mass
oxygen         profile x x(1 + k)/(x + k), x = vascular: supply against Michaelis-Menten use
=============  ===========================================================================================

Sources: conserved portal inflow and the distension exponent come from pigs (Hammond et al. 2019, Clin Sci 133:153); the
parameter records carry every number's source. Poiseuille's law and Michaelis-Menten use are textbook physics.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hepatalk.model.laws import Law, hill
from hepatalk.model.populations import ZONES
from hepatalk.model.tape import Slot

if TYPE_CHECKING:
    from hepatalk.model.compiler import Compiler

__all__ = ["resting_zone_volume", "write", "write_failure"]

#: Hill power of the shortfall: from 5% to 95% of it within a factor 2 of load.
FAILURE_STEEPNESS = 8.0


def resting_zone_volume(c: Compiler, zone: int) -> float:
    """Return the healthy volume of a zone, as a fraction of the healthy liver."""
    total = 0.0
    for cell in c.knowledge.cells:
        if zone in cell.zones:
            total += c.value(cell.volume_share) * c.shares(cell.id, zone)
    return total + c.value("sinusoid_volume_share") * c.shares("LSEC", zone)


def write(c: Compiler) -> None:
    """Write flow, shear, volume, load and oxygen on the tape."""
    t = c.tape
    one, zero, tiny = t.number(1.0), t.number(0.0), t.number(1e-6)
    capacity = t.op(Law.LINEAR, [c.slot(f"HEP.mass@{z}") for z in ZONES], [zero, one, one, one], name="capacity")
    demand = t.op(Law.PRODUCT, [], [c.p("body.demand")], name="demand")
    t.op(Law.RATIO, [demand, capacity], [one, t.number(1e-3)], name="load")
    t.op(Law.RATIO, [capacity, demand], [one, tiny], name="function")
    inflow = _inflow(c)
    t.op(Law.LINEAR, [c.slot(f"KC.count@{z}") for z in ZONES], [zero, one, one, one], name="KC.total")
    c.gates.ask("physics.radius")
    volumes = []
    for z in ZONES:
        per_sinusoid = t.op(
            Law.RATIO,
            [inflow, c.slot(f"LSEC.count@{z}")],
            [t.number(c.shares("LSEC", z)), t.number(1e-3)],
        )
        per_sinusoid = c.law(per_sinusoid, "sinusoid_flow", "physics.sinusoid_flow", z)
        free_radius = t.op(Law.POWER, [per_sinusoid], [one, c.p("distension_exponent")])
        radius = t.op(Law.PRODUCT, [free_radius, *c.gates.gate("physics.radius", z)], [])
        radius = c.law(radius, "radius", "physics.radius", z)
        resistance = t.op(Law.POWER, [radius], [one, t.number(-3.0)])
        c.law(t.op(Law.PRODUCT, [per_sinusoid, resistance], []), "shear", "physics.shear", z)
        volumes.append(_zone_volume(c, z, radius))
        x = t.op(Law.RATIO, [c.slot(f"LSEC.count@{z}"), c.slot(f"HEP.mass@{z}")],
                 [t.number(c.shares("HEP", z) / c.shares("LSEC", z)), tiny])  # fmt: skip
        x = c.law(x, "vascular", "physics.vascular", z)
        used = t.op(Law.HILL, [x], [t.number(c.value("oxygen_extraction")), one])
        level = c.profile("oxygen_profile")[z - 1] * (1.0 + c.value("oxygen_extraction"))
        c.law(t.op(Law.PRODUCT, [used], [t.number(level)]), "oxygen", "physics.oxygen", z)
        t.op(Law.RATIO, [c.slot(f"HEP.mass@{z}"), c.slot(f"HEP.count@{z}")], [one, tiny], name=f"size@{z}")
    volume = t.op(Law.LINEAR, volumes, [zero, one, one, one], name="volume")
    c.law(t.op(Law.RATIO, [inflow, volume], [one, tiny]), "flow", "physics.flow", None)
    for cell in c.knowledge.cells:
        for z in cell.zones:
            scale = t.number(resting_zone_volume(c, z) / c.shares(cell.id, z))
            t.op(
                Law.RATIO,
                [c.slot(f"{cell.id}.count@{z}"), c.slot(f"volume@{z}")],
                [scale, tiny],
                name=f"density.{cell.id}@{z}",
            )


def _inflow(c: Compiler) -> int:
    """Total portal inflow: what the body sends x (1 + response to the share of function lost).

    Part of the response comes at once, part slowly; the lost share stays below 1, so that inflow stays positive.
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
    response = t.op(Law.LINEAR, [slow, at_once], [one, one, one])
    return t.op(Law.PRODUCT, [response], [c.p("body.inflow")], name="inflow")


def _zone_volume(c: Compiler, z: int, radius: int) -> int:
    t = c.tape
    parts, weights = [], []
    for cell in c.knowledge.cells:
        if z in cell.zones:
            parts.append(c.slot(f"{cell.id}.{'mass' if cell.has_mass else 'count'}@{z}"))
            weights.append(c.p(cell.volume_share))
    lumen = t.op(Law.PRODUCT, [c.slot(f"LSEC.count@{z}"), radius, radius], [])
    return t.op(
        Law.LINEAR, [*parts, lumen], [t.number(0.0), *weights, c.p("sinusoid_volume_share")], name=f"volume@{z}"
    )


def write_failure(c: Compiler) -> None:
    """Accumulated shortfall of function: what toxins a failing liver leaves in the body.

    A steep Hill function of load rises from almost 0 while function suffices to 1 per h far below the critical
    function; the shortfall is cleared at a constant relative rate. An animal dies when it exceeds ``lethal_deficit``.
    """
    t = c.tape
    critical = 1.0 / c.value("critical_function")
    deficit = t.state("deficit", "h")
    c.rest_values[deficit] = float(hill(1.0, critical, FAILURE_STEEPNESS)) / c.value("deficit_recovery")
    short = t.op(
        Law.HILL,
        [c.slot("load")],
        [t.param("rest:critical load", critical), t.number(FAILURE_STEEPNESS)],
        name="shortfall",
    )
    t.flux(deficit, short, 1.0)
    t.flux(deficit, t.op(Law.PRODUCT, [deficit], [c.p("deficit_recovery")]), -1.0)
    t.op(Law.PRODUCT, [], [c.p("lethal_deficit")], name="lethal_deficit")
