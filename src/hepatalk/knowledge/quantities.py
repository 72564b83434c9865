"""The physical quantities of the model: what they are called, what they mean, what they follow from.

They have no records of their own because the laws that make them stand in the model, but people and statements name
them ("shear stress", "portal flow"), so that their words belong to what is known.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["QUANTITIES", "Quantity"]


@dataclass(frozen=True)
class Quantity:
    """A quantity of the body, the liver or a zone.

    Attributes
    ----------
    id : str
        Its name in terms.
    name, meaning : str
    synonyms : tuple of str
    follows : tuple of str
        Ids of the quantities that its law takes.
    """

    id: str
    name: str
    meaning: str
    synonyms: tuple[str, ...] = ()
    follows: tuple[str, ...] = ()


_RELATIVE = "relative to health, so 1 at rest"

QUANTITIES: tuple[Quantity, ...] = (
    Quantity("demand", "metabolic demand", "metabolic demand of the body on the liver", ("body demand",)),
    Quantity("capacity", "functional capacity", "mass of hepatocytes: the functional mass", ("hepatocyte mass",)),
    Quantity(
        "load", "metabolic load", f"demand on each unit of hepatocyte mass, {_RELATIVE}", ("overload",),
        ("demand", "capacity"),
    ),
    Quantity(
        "function", "liver function", f"capacity over demand, {_RELATIVE}", ("function loss",), ("demand", "capacity")
    ),
    Quantity("inflow", "portal inflow", f"portal inflow of the whole liver, {_RELATIVE}", ("total portal flow",)),
    Quantity("NK", "natural killer cells", f"natural killer cells in the liver, {_RELATIVE}", ("NK cells",)),
    Quantity("T", "T cells", f"T cells in the liver, {_RELATIVE}", ("T lymphocytes",)),
    Quantity(
        "artery", "arterial inflow", f"flow through the hepatic artery, {_RELATIVE}",
        ("arterial flow", "hepatic artery flow"), ("inflow",),
    ),
    Quantity(
        "flow", "portal flow", f"portal flow per liver volume, {_RELATIVE}",
        ("portal flow per volume", "portal vein flow", "portal venous flow", "flow", "blood flow", "hyperperfusion",
         "portal vein flow per gram of tissue"),
        ("inflow", "volume"),
    ),
    Quantity(
        "sinusoid_flow", "sinusoidal flow", f"flow through each sinusoid of a zone, {_RELATIVE}",
        ("flow per sinusoid",), ("inflow", "artery"),
    ),
    Quantity(
        "radius", "sinusoid radius", f"radius of the sinusoids of a zone, {_RELATIVE}", ("sinusoidal radius",),
        ("sinusoid_flow",),
    ),
    Quantity(
        "shear", "shear stress", f"wall shear stress of the sinusoids of a zone, {_RELATIVE}",
        ("fluid shear stress", "wall shear", "excess shear stress", "shear stress above tolerance"),
        ("sinusoid_flow", "radius"),
    ),
    Quantity(
        "vascular", "vascularity", f"endothelium per hepatocyte mass of a zone, {_RELATIVE}", ("vessel density",)
    ),
    Quantity(
        "oxygen", "oxygen", "oxygen level of a zone", ("oxygenation", "oxygen supply", "perfusion", "hypoxia"),
        ("vascular", "inflow", "artery"),
    ),
    Quantity("size", "cell size", f"volume of a hepatocyte of a zone, {_RELATIVE}", ("hepatocyte size",)),
    Quantity("density", "cell density", f"cells of a type per volume of a zone, {_RELATIVE}", ("crowding",),
             ("volume",)),
    Quantity("bile_clearance", "clearance of bile acids", f"bile acids that hepatocytes pass on, {_RELATIVE}",
             ("bile excretion",), ("capacity",)),
    Quantity("bile_pressure", "pressure in the bile ducts", f"pressure in the bile ducts, {_RELATIVE}",
             ("pressure in the ducts", "biliary pressure")),
    Quantity("necrotic_area", "necrotic area", "share of the volume of a zone that is necrotic cells",
             ("damage-associated molecules", "necrosis area"), ("volume",)),
    Quantity("dead_area", "dead cell area", "share of the volume of a zone that is dead cells",
             ("hepatocyte debris", "debris of dead cells"), ("volume",)),
    Quantity("dead_cell_removal", "removal of dead cells", f"pace at which dead cells are cleared, {_RELATIVE}",
             ("clearance of debris",), ("density",)),
    Quantity("volume", "liver volume", "volume of the liver as a fraction of the healthy one", ("liver size",)),
)  # fmt: skip
