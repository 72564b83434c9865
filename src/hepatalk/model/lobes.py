r"""Two lobes: how blood and metabolic load divide between them.

The lobes A and B have their own cells, signals, nodes, volumes, flow, shear, oxygen and load. They share what the body
has one of: demand, total inflow, systemic signals, bile acids, the account of lost function. What a lobe had in health
is its share of the whole liver (B ``lobe_b_share``, A the rest).

===============  =========================================================================================
quantity         law (relative to the healthy liver)
===============  =========================================================================================
bed (lobe)       LSECs of the lobe: its sinusoids
open (lobe)      p + (1 - p) k p', p and p' being the patency of the portal branch of this lobe and of the other one
                 (``lobe.A.portal``, 1 open, 0 closed), k = portal_collaterals: behind a closed branch the portal blood
                 comes by collaterals from the other lobe, if that one is open
portal (lobe)    bed x open / sum of bed x open: share of the portal blood
blood (lobe)     a artery bed / sum of bed + (1 - a) inflow portal, a = arterial_share: blood in the sinusoids of the
                 lobe. All blood is the same however it divides
inflow (lobe)    inflow x blood of the lobe / blood: what flow per volume is read from, as in the undivided liver
load (lobe)      that of `hepatalk.model.supply`, of demand x (blood of the lobe / blood) and the capacity of the lobe:
                 the metabolic load of the body comes with the blood
===============  =========================================================================================

The function of the liver stays capacity of both lobes / demand, and the account of lost function follows it: cells of
a lobe without portal blood work for the body as others do. That is a choice and the upper bound of what they do.

A liver whose lobes are alike, with open branches, is the undivided one: each law then gives both lobes its values. No
law tells one kind of injury from another, nor knows a lobe that shall grow.

What is left out: the conductance of a bed does not follow the radius of its sinusoids, the hepatic artery answers to
the portal inflow of the whole liver and not to that of a lobe (it follows the bed), and bile acids have one level in
both lobes.

Sources: the parameter records carry them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from hepatalk.model.laws import Law
from hepatalk.model.places import ZONES, Lobe, Place, at
from hepatalk.model.supply import write_load
from hepatalk.model.tape import Slot

if TYPE_CHECKING:
    from hepatalk.model.compiler import Compiler

__all__ = ["mean_of_lobes", "patency", "total", "write_division"]

#: Amounts below this (of a healthy liver's) count as this, so that ratios stay finite.
_LEAST = 1e-6


def patency(lobe: Lobe) -> str:
    """Return the name of the parameter that says how open the portal branch of a lobe is: 1 in health, 0 if closed."""
    return f"lobe.{lobe}.portal"


def total(c: Compiler, amount: str, name: str, *, by_lobe: bool = True) -> Slot:
    """Write the sum of an amount over all places, and of each lobe if there are two (``NAME@A``).

    Parameters
    ----------
    c : Compiler
    amount : str
        Name of what is summed, without its place.
    name : str
        What the sum is called.
    by_lobe : bool
        Whether the sum of a lobe is wanted under a name of its own.
    """
    t = c.tape
    zero, one = t.number(0.0), t.number(1.0)
    if len(c.lobes) == 1 or not by_lobe:
        here = [c.slot(f"{amount}@{place}") for place in c.places]
        return t.op(Law.LINEAR, here, [zero] + [one] * len(here), name=name)
    sums = []
    for lobe in c.lobes:
        sums.append(_of_lobe(c, amount, name, lobe))
    return t.op(Law.LINEAR, sums, [zero] + [one] * len(sums), name=name)


def mean_of_lobes(c: Compiler, values: Sequence[Slot]) -> Slot:
    """Write the mean of one value per lobe, each counted by the volume of its lobe; the value itself of one lobe."""
    if len(values) == 1:
        return values[0]
    t = c.tape
    weighted = [
        t.op(Law.PRODUCT, [c.slot(at("volume", lobe)), value], []) for lobe, value in zip(c.lobes, values, strict=True)
    ]
    one = t.number(1.0)
    summed = t.op(Law.LINEAR, weighted, [t.number(0.0)] + [one] * len(weighted))
    return t.op(Law.RATIO, [summed, c.slot("volume")], [one, t.number(_LEAST)])


def write_division(c: Compiler) -> None:
    """Write bed, portal share, blood and load of both lobes.

    Parameters
    ----------
    c : Compiler
        With capacity, demand, inflow and artery written.

    Raises
    ------
    KnowledgeError
        If ``arterial_share`` or ``portal_collaterals`` has no record.
    """
    t = c.tape
    zero, one, tiny = t.number(0.0), t.number(1.0), t.number(_LEAST)
    collaterals = c.p("portal_collaterals")
    arterial = c.value("arterial_share")
    open_share = {lobe: t.op(Law.PRODUCT, [], [t.param(patency(lobe), 1.0)]) for lobe in c.lobes}
    beds, supplied = {}, {}
    for lobe, other in zip(c.lobes, reversed(c.lobes), strict=True):
        beds[lobe] = _of_lobe(c, "LSEC.count", "bed", lobe)
        # 1 - (1 - p)(1 - k p')
        shut = t.op(Law.NOT, [open_share[lobe]], [one])
        lacking = t.op(Law.NOT, [open_share[other]], [collaterals])
        both = t.op(Law.PRODUCT, [shut, lacking], [])
        reached = t.op(Law.NOT, [both], [one], name=at("open", lobe))
        supplied[lobe] = t.op(Law.PRODUCT, [beds[lobe], reached], [])
    of_beds = t.op(Law.LINEAR, list(beds.values()), [zero, one, one])
    of_supplied = t.op(Law.LINEAR, list(supplied.values()), [zero, one, one])
    for lobe in c.lobes:
        portal = t.op(Law.RATIO, [supplied[lobe], of_supplied], [one, tiny], name=at("portal", lobe))
        artery = t.op(Law.RATIO, [beds[lobe], of_beds], [one, tiny])
        ways = [t.op(Law.PRODUCT, [c.slot("artery"), artery], []), t.op(Law.PRODUCT, [c.slot("inflow"), portal], [])]
        weights = [zero, t.number(arterial), t.number(1.0 - arterial)]
        blood = t.op(Law.LINEAR, ways, weights, name=at("blood", lobe))
        share = t.op(Law.RATIO, [blood, c.slot("blood")], [one, tiny])
        t.op(Law.PRODUCT, [c.slot("inflow"), share], [], name=at("inflow", lobe))
        asked = t.op(Law.PRODUCT, [c.slot("demand"), share], [], name=at("demand", lobe))
        write_load(c, asked, c.slot(at("capacity", lobe)), at("load", lobe))


def _of_lobe(c: Compiler, amount: str, name: str, lobe: Lobe) -> Slot:
    """Write the sum of an amount over the zones of a lobe."""
    t = c.tape
    here = [c.slot(f"{amount}@{Place(z, lobe)}") for z in ZONES]
    return t.op(Law.LINEAR, here, [t.number(0.0)] + [t.number(1.0)] * len(here), name=at(name, lobe))
