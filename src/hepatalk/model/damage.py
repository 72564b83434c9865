r"""Dead tissue and bile: what is left of cells that died, and where bile acids go.

===============  =========================================================================================
quantity         law (relative to health, so 1 at rest, unless a unit is given)
===============  =========================================================================================
dead (zone)      volume of dead cells, as a fraction of the healthy liver, necrotic and apoptotic apart:
                 d(necrotic)/dt = necrosis of hepatocytes x their volume - c necrotic,
                 d(apoptotic)/dt = - c apoptotic, with c = dead_cell_clearance x
                 (s + (1 - s) density of Kupffer cells), s = dead_cell_other_share. It takes up room until then.
necrotic_area    necrotic / volume of the zone: the share of a section that is necrotic, 0 to 1
dead_area        (necrotic + apoptotic) / volume of the zone
bile_clearance   capacity x (d + (1 - d) body.bile_flow): hepatocytes take bile acids up; d = bile_detox_share of
                 them leaves by another way than the bile (changed, back to the blood, with the urine)
bile_return      d return/dt = (body.bile_flow x body.bile_return - return) / bile_transit: what reaches the gut
                 comes back
bile_supply      s + (1 - s) return, with s = bile_synthesis_share: new bile acids and those that come back
bile_pressure    P / (1 + (P - 1) body.bile_flow), P = bile_pressure_limit: pressure in the ducts, secretion that
                 ceases at P x the healthy pressure against an outlet of conductance body.bile_flow
===============  =========================================================================================

The remains of the turnover of a healthy liver (apoptosis) are gone within hours and are not counted. What bile acids a
small liver holds up are taken to be few against those of the gut, so that the return follows the flow of bile and not
its content.

Sources: the parameter records carry them; that ligated rats keep up a tenfold bile-acid content by passing bile acids
in the urine is Kinugasa et al. 1981, J Lipid Res 22:201.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hepatalk.knowledge.records import Death
from hepatalk.model.laws import Law
from hepatalk.model.places import Place
from hepatalk.model.tape import Slot

if TYPE_CHECKING:
    from hepatalk.model.compiler import Compiler

__all__ = ["MANNERS", "dead_at_rest", "declare", "write_bile", "write_dead", "write_dead_area"]

#: Kinds of dead cells; only the necrotic spill what alarms.
MANNERS = ("necrotic", "apoptotic")
_LEAST_VOLUME = 1e-6


def declare(c: Compiler) -> None:
    """Declare the states of dead tissue and of the bile acids on their way back, with their healthy values."""
    for manner in MANNERS:
        for place in c.places:
            slot = c.tape.state(f"dead.{manner}@{place}", "fraction of healthy liver volume", extensive=True)
            c.rest_values[slot] = dead_at_rest(c, manner, place)
    c.rest_values[c.tape.state("bile_return", "x healthy return")] = 1.0


def dead_at_rest(c: Compiler, manner: str, place: Place) -> float:
    """Return the volume of dead cells in a healthy place: necrosis against clearance.

    Raises
    ------
    KnowledgeError
        If a parameter that the law needs has no record.
    """
    if manner != "necrotic":
        return 0.0
    necrosis = sum(c.value(name) for name in _necrosis_rates(c))
    volume = c.value(c.knowledge.cell["HEP"].volume_share) * c.shares("HEP", place)
    return necrosis * volume / c.value("dead_cell_clearance")


def _necrosis_rates(c: Compiler) -> dict[str, str]:
    """Return the processes by which hepatocytes die of necrosis, by the parameter that holds their rate."""
    deaths = (p for p in c.knowledge.cell["HEP"].processes if isinstance(p, Death))
    return {p.rate: p.id for p in deaths if p.manner == "necrosis" and p.rate != "solved"}


def write_dead(c: Compiler) -> None:
    """Write what makes and clears dead tissue; after the cells, whose deaths it takes up.

    Raises
    ------
    KnowledgeError
        If a parameter that the law needs has no record.
    """
    t = c.tape
    other = c.value("dead_cell_other_share")
    for place in c.places:
        macrophages = t.op(Law.LINEAR, [c.slot(f"density.KC@{place}")], [t.number(other), t.number(1.0 - other)])
        macrophages = c.law(macrophages, "dead_cell_removal", "physics.dead_cell_removal", place)
        for manner in MANNERS:
            dead = c.slot(f"dead.{manner}@{place}")
            t.flux(dead, t.op(Law.PRODUCT, [dead, macrophages], [c.p("dead_cell_clearance")]), -1.0)
        mass, dead = c.slot(f"HEP.mass@{place}"), c.slot(f"dead.necrotic@{place}")
        for process in _necrosis_rates(c).values():
            rate = c.slot(f"process.HEP.{process}@{place}")
            lost = t.op(Law.PRODUCT, [rate, mass], [c.p(c.knowledge.cell["HEP"].volume_share)])
            t.flux(dead, lost, 1.0)


def write_dead_area(c: Compiler, place: Place) -> None:
    """Write the shares of a zone's volume that are necrotic, and dead in any manner, 0 to 1."""
    t = c.tape
    one, least = t.number(1.0), t.number(_LEAST_VOLUME)
    volume, dead = c.slot(f"volume@{place}"), [c.slot(f"dead.{manner}@{place}") for manner in MANNERS]
    share = t.op(Law.RATIO, [dead[0], volume], [one, least])
    c.law(share, "necrotic_area", "physics.necrotic_area", place)
    total = t.op(Law.LINEAR, dead, [t.number(0.0), one, one])
    c.law(t.op(Law.RATIO, [total, volume], [one, least]), "dead_area", "physics.dead_area", place)


def write_bile(c: Compiler) -> None:
    """Write the way of bile acids through liver and gut, and the pressure in the ducts.

    Raises
    ------
    KnowledgeError
        If a parameter that the law needs has no record.
    """
    t = c.tape
    one = t.number(1.0)
    flow = t.op(Law.PRODUCT, [], [c.p("body.bile_flow")], name="bile_flow")
    other_way = c.value("bile_detox_share")
    handled = t.op(Law.LINEAR, [flow], [t.number(other_way), t.number(1.0 - other_way)])
    cleared = t.op(Law.PRODUCT, [c.slot("capacity"), handled], [])
    c.law(cleared, "bile_clearance", "physics.bile_clearance", None)
    back = c.slot("bile_return")
    pace = t.param("rest:pace bile_return", 1.0 / c.value("bile_transit"))
    t.flux(back, t.op(Law.PRODUCT, [flow], [pace, c.p("body.bile_return")]), 1.0)
    t.flux(back, t.op(Law.PRODUCT, [back], [pace]), -1.0)
    made = c.value("bile_synthesis_share")
    t.op(Law.LINEAR, [back], [t.number(made), t.number(1.0 - made)], name="bile_supply")
    limit = c.value("bile_pressure_limit")
    outlet = t.op(Law.LINEAR, [flow], [one, t.number(limit - 1.0)])
    highest: Slot = t.op(Law.PRODUCT, [], [t.param("rest:bile_pressure_limit", limit)])
    pressure = t.op(Law.RATIO, [highest, outlet], [one, one])
    c.law(pressure, "bile_pressure", "physics.bile_pressure", None)
