"""What a lobule is built from: numbers that travel with the compiled model, and what a built one is compared with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from hepatalk.knowledge.load import Knowledge
from hepatalk.knowledge.records import Species
from hepatalk.model.places import ZONES

if TYPE_CHECKING:
    from hepatalk.model.compiler import Compiler

__all__ = ["expected", "gather"]

_PREFIX, _CHECK = "lobule_", "lobule_check_"


def gather(c: Compiler) -> dict[str, float]:
    """Return the anatomy of a compiler's species, with its overrides.

    Parameters
    ----------
    c : Compiler

    Returns
    -------
    dict of str to float
        As `hepatalk.model.compiled.CompiledModel.anatomy`; empty where the records hold no anatomy.
    """
    own = [p.id for p in c.knowledge.parameters if p.id.startswith(_PREFIX) and not p.id.startswith(_CHECK)]
    if not own:
        return {}
    found = {name: c.value(name) for name in (*own, "arterial_share", "arterial_oxygen_share")}
    for cell in c.knowledge.cells:
        number = cell.number or f"{_PREFIX}{cell.id.lower()}_number"
        if number in c.knowledge.parameter:  # without, the lobule engine says that the type's number is missing
            found[f"{cell.id}.number"] = c.value(number)
        found[f"{cell.id}.volume_share"] = c.value(cell.volume_share)
        for zone in ZONES:
            found[f"{cell.id}.zone_share@{zone}"] = c.zone_share(cell.id, zone)
    return found


def expected(knowledge: Knowledge, species: Species) -> Mapping[str, tuple[float, float, str, str]]:
    """Return what a built lobule is compared with.

    Parameters
    ----------
    knowledge : Knowledge
    species : str

    Returns
    -------
    mapping of str to (float, float, str, str)
        By quantity, without the prefix of the records: low, high, their unit, and the sources.
    """
    found = {}
    for p in knowledge.parameters:
        if p.id.startswith(_CHECK):
            own = p.of_species(species)
            low, high = (own.prior if own is not None else None) or p.prior or (float("-inf"), float("inf"))
            sources = own.sources if own is not None else p.sources
            found[p.id.removeprefix(_CHECK)] = (low, high, p.unit, ", ".join(sources))
    return found
