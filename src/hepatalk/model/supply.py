r"""What reaches the cells of the liver: blood by two ways, the oxygen in it, and the work that is asked of them.

===============  =========================================================================================
quantity         law (relative to health, so 1 at rest)
===============  =========================================================================================
artery           body.arterial_inflow x max(0, 1 + c (1 - a)/a (1 - inflow)), a = arterial_share: the hepatic artery
                 makes good the share c = arterial_buffer of the portal blood that is missing, and gives way to as
                 much of what is too much
blood            (1 - a) inflow + a artery: all blood in the sinusoids
oxygen_supply    (1 - w) inflow + w artery, w = arterial_oxygen_share: the oxygen that the blood brings
oxygen (zone)    profile x x(1 + k)/(x + k), x = vascular x oxygen_supply + body.oxygen_beside_blood: supply against
                 Michaelis-Menten use (k = oxygen_extraction)
load             s demand / capacity + (1 - s) demand, s = body.demand_shared: a body has one demand, which its
                 hepatocytes share (s = 1); a fluid of given composition offers the same to each of them (s = 0)
===============  =========================================================================================

With healthy portal inflow the artery carries what it carries in health, however small the liver: the buffer answers to
portal inflow, not to what becomes of it. What portal blood carries from the gut comes with ``inflow`` alone.

Sources: the parameter records carry them. That the compensation is much the same over the whole range of portal flow is
what Lautt et al. 1990 report of cats.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hepatalk.model.laws import Law
from hepatalk.model.places import Place
from hepatalk.model.tape import Slot

if TYPE_CHECKING:
    from hepatalk.model.compiler import Compiler

__all__ = ["write_blood", "write_load", "write_oxygen"]

#: A capacity below this (of a healthy liver's) counts as this, so that load stays finite.
_LEAST_CAPACITY = 1e-3


def write_load(c: Compiler, asked: Slot, capacity: Slot, name: str) -> None:
    """Write the metabolic load on each unit of hepatocyte mass.

    Parameters
    ----------
    c : Compiler
        With ``demand`` written.
    asked, capacity : Slot
        What the body asks of these hepatocytes in all, and their mass.
    name : str
        What the load is called on the tape.

    Raises
    ------
    KnowledgeError
        If ``body.demand_shared`` has no record.
    """
    t = c.tape
    one = t.number(1.0)
    shared = t.op(Law.PRODUCT, [], [c.p("body.demand_shared")])
    offered = t.op(Law.NOT, [shared], [one])
    of_body = t.op(Law.RATIO, [asked, capacity], [one, t.number(_LEAST_CAPACITY)])
    parts = [t.op(Law.PRODUCT, [of_body, shared], []), t.op(Law.PRODUCT, [c.slot("demand"), offered], [])]
    t.op(Law.LINEAR, parts, [t.number(0.0), one, one], name=name)


def write_blood(c: Compiler) -> None:
    """Write arterial flow, all blood, and the oxygen that it brings.

    Parameters
    ----------
    c : Compiler
        With ``inflow`` written, which is portal.

    Raises
    ------
    KnowledgeError
        If a parameter that a law needs has no record.
    """
    t = c.tape
    zero, one = t.number(0.0), t.number(1.0)
    inflow = c.slot("inflow")
    a, w = c.value("arterial_share"), c.value("arterial_oxygen_share")
    slope = c.value("arterial_buffer") * (1.0 - a) / a
    open_to = t.op(Law.LINEAR, [inflow], [t.number(1.0 + slope), t.number(-slope)])
    # The power 1 of less than nothing is nothing: an artery can close, and no more.
    wanted = t.op(Law.POWER, [open_to], [one, one])
    artery = c.law(t.op(Law.PRODUCT, [wanted], [c.p("body.arterial_inflow")]), "artery", "physics.artery", None)
    t.op(Law.LINEAR, [inflow, artery], [zero, t.number(1.0 - a), t.number(a)], name="blood")
    t.op(Law.LINEAR, [inflow, artery], [zero, t.number(1.0 - w), t.number(w)], name="oxygen_supply")


def write_oxygen(c: Compiler, lining: Slot, place: Place) -> None:
    """Write the oxygen of a place, from its endothelium per hepatocyte mass and from what the blood brings.

    Raises
    ------
    KnowledgeError
        If a parameter that the law needs has no record.
    """
    t = c.tape
    half = c.value("oxygen_extraction")
    by_blood = t.op(Law.PRODUCT, [lining, c.slot("oxygen_supply")], [])
    brought = t.op(Law.LINEAR, [by_blood], [c.p("body.oxygen_beside_blood"), t.number(1.0)])
    used = t.op(Law.HILL, [brought], [t.number(half), t.number(1.0)])
    level = c.profile("oxygen_profile")[place.zone - 1] * (1.0 + half)
    c.law(t.op(Law.PRODUCT, [used], [t.number(level)]), "oxygen", "physics.oxygen", place)
