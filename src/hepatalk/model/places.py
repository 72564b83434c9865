"""Places of a liver: the zones of its lobules, in one lobe or in two that share their blood.

An undivided liver has the three zones and nothing else. In a liver of two lobes every zone is there twice, and what
stands in a place, a zone of a lobe, is named ``HEP.count@A1``: lobe A, zone 1.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["LOBES", "ZONES", "Lobe", "Place", "at", "lobes_of"]

#: Zones of the lobule, in the direction of the blood: periportal, middle, pericentral.
ZONES = (1, 2, 3)
#: A lobe by its letter; '' for the liver that is not divided.
Lobe = str
#: The lobes of a divided liver. B is the smaller one that surgery leaves.
LOBES: tuple[Lobe, ...] = ("A", "B")


class Place(NamedTuple):
    """A zone of a lobe; its text is what follows the ``@`` in the names of states."""

    zone: int
    lobe: Lobe = ""

    def __str__(self) -> str:
        return f"{self.lobe}{self.zone}"

    @property
    def inwards(self) -> Place:
        """The place that the blood reaches next."""
        return Place(self.zone + 1, self.lobe)


def lobes_of(count: int) -> tuple[Lobe, ...]:
    """Return the lobes of a liver that has ``count`` of them.

    Raises
    ------
    ValueError
        Unless ``count`` is 1 or 2.
    """
    if count not in (1, len(LOBES)):
        raise ValueError(f"a liver of {count!r} lobes; allowed: 1 or {len(LOBES)}")
    return ("",) if count == 1 else LOBES


def at(name: str, lobe: Lobe) -> str:
    """Return the name of a quantity of a lobe: ``flow@A``, or ``flow`` where the liver is not divided."""
    return f"{name}@{lobe}" if lobe else name
