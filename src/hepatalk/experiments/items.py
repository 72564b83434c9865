"""Items of a schedule: every injury and every intervention, and which values each of their fields allows.

An item says what is done to the animal and nothing about the model; `injuries` turns it into changes of the model.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Literal

from pydantic import Discriminator, Field, StringConstraints, Tag, model_validator

from hepatalk.experiments.culture import ConditionedMedium, Medium
from hepatalk.experiments.fields import AtOnce, Gene, Hours, Item, Lasting, Name, field, wrong
from hepatalk.experiments.lobes import Lobectomy, PortalEmbolisation, PortalLigation, Transection
from hepatalk.units import hours_text

__all__ = [
    "KINDS",
    "BileDuctLigation",
    "BlockDivision",
    "Body",
    "ConditionedMedium",
    "Deplete",
    "DepleteMatrix",
    "DrainBile",
    "DuctInjury",
    "Graft",
    "HepatocyteAblation",
    "HoldPortalFlow",
    "Injury",
    "Intervention",
    "Ischaemia",
    "Item",
    "KnockDown",
    "Label",
    "Medium",
    "Neutralise",
    "Overexpress",
    "PartialHepatectomy",
    "Recombinant",
    "ReleaseLigature",
    "ScaleDemand",
    "ScaleInflow",
    "ScheduleItem",
    "SerumTransfer",
    "SetParameter",
    "Shunt",
    "SplanchnicVasoconstriction",
    "Supplement",
    "TransferExosomes",
    "ZonalNecrosis",
    "record_of",
]

_FRACTION = {"gt": 0.0, "lt": 1.0}
_FACTOR = {"gt": 0.0, "le": 100.0}
_FACTOR_ALLOWED = "0 < factor <= 100"
_SHARE = {"ge": 0.0, "lt": 1.0}
_FOLD = Annotated[float, Field(gt=0.0, le=1000.0)]
_GENE = "GENE or GENE@CELL, in the symbols of the species"
_SIGNAL = "the name of a signal (hepatalk list signals)"
_MANNER_ALLOWED = "necrosis (alarms Kupffer cells), apoptosis (silent)"

Cell = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Za-z0-9_]{0,39}$")]
Manner = Literal["necrosis", "apoptosis"]


# --- injuries ------------------------------------------------------------------------------------------------------


class PartialHepatectomy(AtOnce):
    """Removal of a fraction of the liver: 0.70 leaves 30%."""

    injury: Literal["partial_hepatectomy"]
    fraction: float = field("0 < fraction < 1 (part of the liver removed)", "fraction: 0.70", **_FRACTION)


class Graft(Item):
    """A transplanted liver of `fraction` of what the body needs, in place of its own; 1 is a whole healthy liver.

    `cold_ischaemia` is the share of its hepatocytes and of its endothelium that does not survive the storage.
    """

    at: Hours = field("a time with unit", "at: 0 h")
    injury: Literal["graft"]
    fraction: float = field("0 < fraction <= 1.5 (graft over what the body needs)", "fraction: 0.30", gt=0.0, le=1.5)
    cold_ischaemia: float = field(
        "0 <= cold_ischaemia < 1 (share of hepatocytes and endothelium killed)",
        "cold_ischaemia: 0.1",
        default=0.0,
        **_SHARE,
    )


class BileDuctLigation(Lasting):
    """Bile no longer leaves the liver; `until` is when the ligature is opened."""

    at: Hours = field("a time with unit", "at: 0 h")
    injury: Literal["bile_duct_ligation"]


class DuctInjury(AtOnce):
    """A poison of the bile ducts, as DAPM: a fraction of the biliary epithelial cells dies."""

    injury: Literal["duct_injury"]
    fraction: float = field("0 < fraction < 1 (share of BECs killed)", "fraction: 0.7", **_FRACTION)


class HepatocyteAblation(AtOnce):
    """A fraction of the hepatocytes dies in all zones, and their remains stay until they are cleared."""

    injury: Literal["hepatocyte_ablation"]
    fraction: float = field("0 < fraction < 1 (share of hepatocytes killed)", "fraction: 0.5", **_FRACTION)
    manner: Manner = field(_MANNER_ALLOWED, "manner: necrosis", default="necrosis")


class ZonalNecrosis(AtOnce):
    """A poison that kills by zone: shares of the hepatocytes of zones 1 (portal), 2 and 3 (central)."""

    injury: Literal["zonal_necrosis"]
    zone1: float = field("0 <= zone1 < 1 (share of its hepatocytes killed)", "zone1: 0.0", default=0.0, **_SHARE)
    zone2: float = field("0 <= zone2 < 1 (share of its hepatocytes killed)", "zone2: 0.3", default=0.0, **_SHARE)
    zone3: float = field("0 <= zone3 < 1 (share of its hepatocytes killed)", "zone3: 0.9", default=0.0, **_SHARE)

    @model_validator(mode="after")
    def _kills_somewhere(self) -> ZonalNecrosis:
        if not (self.zone1 or self.zone2 or self.zone3):
            raise wrong("zone3", 0.0, "a share above 0 in one zone at least", "write, for example, `zone3: 0.9`")
        return self


class BlockDivision(Lasting):
    """Cells of a type cannot divide, as hepatocytes under 2-AAF.

    `efficacy` lowers the rate at which they enter the cycle (hepatocytes: S phase). Injury may raise that rate a
    hundredfold, so that a block worth the name is 0.99 or more.
    """

    injury: Literal["block_division"]
    cell: Cell = field("HEP, LSEC, HSC, KC, BEC, BIP", "cell: HEP")
    efficacy: float = field("0 < efficacy < 1 (for a complete block say 0.999)", "efficacy: 0.999", **_FRACTION)


class Ischaemia(Item):
    """Both inflows of the liver are clamped, all or a part of them, and opened again at `until`."""

    at: Hours = field("a time with unit", "at: 0 h")
    injury: Literal["ischaemia"]
    until: Hours = field("a time with unit, later than 'at'", "until: 60 min")
    fraction: float = field(
        "0 < fraction <= 1 (part of the inflow that is kept out)", "fraction: 1.0", default=1.0, gt=0.0, le=1.0
    )

    @model_validator(mode="after")
    def _opens_after_it_closes(self) -> Ischaemia:
        if self.until <= self.at:
            start = hours_text(self.at)
            raise wrong("until", hours_text(self.until), f"later than 'at' ({start})", "correct one of the two times")
        return self


# --- interventions -------------------------------------------------------------------------------------------------


class Neutralise(Lasting):
    """A blocking antibody or inhibitor: the free part of a signal is multiplied by 1 - fraction."""

    intervention: Literal["neutralise"]
    signal: Name = field(_SIGNAL, "signal: IL6")
    fraction: float = field("0 < fraction < 1 (for a complete block say 0.999)", "fraction: 0.9", **_FRACTION)


class Supplement(Lasting):
    """More of a signal than the body makes: its free part is multiplied by a factor above 1."""

    intervention: Literal["supplement"]
    signal: Name = field(_SIGNAL, "signal: HGF")
    factor: float = field("1 < factor <= 100", "factor: 2", gt=1.0, le=100.0)


class Recombinant(Lasting):
    """A signal infused at a constant rate, in units of its healthy supply: 5 adds five healthy supplies."""

    intervention: Literal["recombinant"]
    signal: Name = field(_SIGNAL, "signal: HGF")
    dose: float = field("0 < dose <= 1000 (in healthy supplies)", "dose: 5", gt=0.0, le=1000.0)


class SerumTransfer(Lasting):
    """Serum of another animal: several signals at once, each at a stated fold of what the animal itself has."""

    intervention: Literal["serum_transfer"]
    signals: dict[Name, _FOLD] = field(
        "names of signals, each with a fold: 0 < fold <= 1000", "signals: {HGF: 5, IL6: 3}", min_length=1
    )


class TransferExosomes(Lasting):
    """Exosomes of hepatocytes are given: the free part of them is multiplied by a factor above 1."""

    intervention: Literal["transfer_exosomes"]
    factor: float = field("1 < factor <= 100", "factor: 5", gt=1.0, le=100.0)


class KnockDown(Lasting):
    """What a gene makes falls by a fraction, from `at` to `until`; a knock-out from before belongs in `knockouts`."""

    intervention: Literal["knock_down"]
    gene: Gene = field(_GENE, "gene: Met@HEP")
    fraction: float = field("0 < fraction < 1 (for a complete loss say 0.999)", "fraction: 0.8", **_FRACTION)


class Overexpress(Lasting):
    """What a gene makes is multiplied by a factor above 1, from `at` to `until`."""

    intervention: Literal["overexpress"]
    gene: Gene = field(_GENE, "gene: Hgf@HSC")
    factor: float = field("1 < factor <= 100", "factor: 3", gt=1.0, le=100.0)


class Deplete(Item):
    """Cells of a type are removed at a moment, as by clodronate, gadolinium or gliotoxin; they may come back."""

    intervention: Literal["deplete"]
    cell: Cell = field("HEP, LSEC, HSC, KC, BEC, BIP, NK, T", "cell: KC")
    fraction: float = field("0 < fraction < 1 (for all cells say 0.999)", "fraction: 0.9", **_FRACTION)


class Label(Item):
    """Cells of a type, of one zone or all, get an inherited label, as by a recombinase; descendants keep it.

    With `marker: TERT`, only hepatocytes with high telomerase do, 4% of those of any zone (`tert_high_share`). They
    behave as their neighbours: their advantage over them is not in the model.
    """

    intervention: Literal["label"]
    cell: Cell = field("HEP, BIP, BEC, LSEC, HSC, KC", "cell: HEP")
    zone: Literal[1, 2, 3] | None = field("1 (portal), 2, 3 (central); all when left out", "zone: 1", default=None)
    marker: Literal["TERT"] | None = field("TERT; whatever the cells bear when left out", "marker: TERT", default=None)
    fraction: float = field("0 < fraction <= 1 (of the cells without the label)", "fraction: 1.0", gt=0.0, le=1.0)

    @model_validator(mode="after")
    def _cells_bear_the_marker(self) -> Label:
        if self.marker is not None and self.cell != "HEP":
            raise wrong(
                "marker", self.marker, "with cell HEP, whose subset it marks", "say `cell: HEP`, or leave it out"
            )
        return self


class DepleteMatrix(Item):
    """A fraction of the extracellular matrix is digested, and what was bound to it goes with it."""

    intervention: Literal["deplete_matrix"]
    fraction: float = field("0 < fraction < 1 (for all of it say 0.999)", "fraction: 0.5", **_FRACTION)


class SetParameter(Item):
    """A parameter of the model gets a new value, for good; a second item may set it back."""

    intervention: Literal["set_parameter"]
    parameter: Name = field("the name of a parameter (hepatalk list parameters)", "parameter: body.demand")
    value: float = field("a finite number, in the unit of the parameter", "value: 1.0")


class HoldPortalFlow(Lasting):
    """The inflow to the whole liver is held at a factor of the healthy one, as by a shunt or a band."""

    intervention: Literal["hold_portal_flow"]
    factor: float = field(_FACTOR_ALLOWED, "factor: 0.3", **_FACTOR)


class Shunt(Lasting):
    """A fraction of the portal inflow, and what it carries, goes round the liver (mesocaval, portacaval)."""

    intervention: Literal["shunt"]
    fraction: float = field("0 < fraction < 1 (part of the inflow diverted)", "fraction: 0.5", **_FRACTION)


class SplanchnicVasoconstriction(Lasting):
    """Less blood reaches the gut and so the liver (somatostatin, terlipressin): inflow is multiplied by a factor."""

    intervention: Literal["splanchnic_vasoconstriction"]
    factor: float = field("0 < factor < 1 (part of the inflow that is left)", "factor: 0.7", **_FRACTION)


class DrainBile(Lasting):
    """Bile is led outside; with `bile_return` it is given back to the gut, which is as if it were not drained."""

    intervention: Literal["drain_bile"]
    bile_return: bool = field("true, false", "bile_return: false", default=False)


class ReleaseLigature(Item):
    """The ligature of the bile duct is opened; bile flows again."""

    at: Hours = field("a time with unit", "at: 0 h")
    intervention: Literal["release_ligature"]


class ScaleDemand(Lasting):
    """The metabolic demand of the body is multiplied by a factor."""

    intervention: Literal["scale_demand"]
    factor: float = field(_FACTOR_ALLOWED, "factor: 1.5", **_FACTOR)


class ScaleInflow(Lasting):
    """All blood that enters the liver is multiplied by a factor."""

    intervention: Literal["scale_inflow"]
    factor: float = field(_FACTOR_ALLOWED, "factor: 1.5", **_FACTOR)


class Body(Lasting):
    """Diet or disease, as factors on what the body sends to the liver and asks of it; each may be left out."""

    intervention: Literal["body"]
    demand: float = field(_FACTOR_ALLOWED.replace("factor", "demand"), "demand: 1.2", default=1.0, **_FACTOR)
    inflow: float = field(_FACTOR_ALLOWED.replace("factor", "inflow"), "inflow: 1.2", default=1.0, **_FACTOR)
    endotoxin: float = field(_FACTOR_ALLOWED.replace("factor", "endotoxin"), "endotoxin: 3", default=1.0, **_FACTOR)
    noradrenaline: float = field(
        _FACTOR_ALLOWED.replace("factor", "noradrenaline"), "noradrenaline: 2", default=1.0, **_FACTOR
    )

    @property
    def factors(self) -> Mapping[str, float]:
        """The factors that differ from 1, by name."""
        every = {name: getattr(self, name) for name in ("demand", "inflow", "endotoxin", "noradrenaline")}
        return {name: value for name, value in every.items() if value != 1.0}

    @model_validator(mode="after")
    def _changes_something(self) -> Body:
        if not self.factors:
            raise wrong("demand", 1.0, "a factor other than 1 for one at least", "write, for example, `demand: 1.2`")
        return self


# --- which record is meant -----------------------------------------------------------------------------------------

Injury = (
    PartialHepatectomy
    | Graft
    | BileDuctLigation
    | DuctInjury
    | HepatocyteAblation
    | ZonalNecrosis
    | BlockDivision
    | Ischaemia
    | PortalLigation
    | PortalEmbolisation
    | Transection
    | Lobectomy
)
Intervention = (
    Neutralise
    | Supplement
    | Recombinant
    | SerumTransfer
    | TransferExosomes
    | KnockDown
    | Overexpress
    | Deplete
    | Label
    | DepleteMatrix
    | SetParameter
    | HoldPortalFlow
    | Shunt
    | SplanchnicVasoconstriction
    | DrainBile
    | ReleaseLigature
    | ScaleDemand
    | ScaleInflow
    | Body
    | Medium
    | ConditionedMedium
)

_INJURIES: dict[str, type[Item]] = {
    "partial_hepatectomy": PartialHepatectomy,
    "graft": Graft,
    "bile_duct_ligation": BileDuctLigation,
    "duct_injury": DuctInjury,
    "hepatocyte_ablation": HepatocyteAblation,
    "zonal_necrosis": ZonalNecrosis,
    "block_division": BlockDivision,
    "ischaemia": Ischaemia,
    "portal_ligation": PortalLigation,
    "portal_embolisation": PortalEmbolisation,
    "transection": Transection,
    "lobectomy": Lobectomy,
}
_INTERVENTIONS: dict[str, type[Item]] = {
    "neutralise": Neutralise,
    "supplement": Supplement,
    "recombinant": Recombinant,
    "serum_transfer": SerumTransfer,
    "transfer_exosomes": TransferExosomes,
    "knock_down": KnockDown,
    "overexpress": Overexpress,
    "deplete": Deplete,
    "label": Label,
    "deplete_matrix": DepleteMatrix,
    "set_parameter": SetParameter,
    "hold_portal_flow": HoldPortalFlow,
    "shunt": Shunt,
    "splanchnic_vasoconstriction": SplanchnicVasoconstriction,
    "drain_bile": DrainBile,
    "release_ligature": ReleaseLigature,
    "scale_demand": ScaleDemand,
    "scale_inflow": ScaleInflow,
    "body": Body,
    "medium": Medium,
    "conditioned_medium": ConditionedMedium,
}
#: The record of each name, by the field that holds the name.
KINDS = MappingProxyType({"injury": _INJURIES, "intervention": _INTERVENTIONS})


def _kind(item: object) -> str | None:
    """Return which record an item of the schedule is, as ``injury:NAME`` or ``intervention:NAME``."""
    if isinstance(item, Item):
        return next(f"{key}:{kind}" for key in KINDS for kind, cls in KINDS[key].items() if type(item) is cls)
    if not isinstance(item, Mapping) or ("injury" in item) == ("intervention" in item):
        return None
    key = "injury" if "injury" in item else "intervention"
    return f"{key}:{item[key]}"


def record_of(tag: str) -> type[Item]:
    """Return the record that a tag such as ``injury:graft`` stands for."""
    key, _, kind = tag.partition(":")
    return KINDS[key][kind]


ScheduleItem = Annotated[
    Annotated[PartialHepatectomy, Tag("injury:partial_hepatectomy")]
    | Annotated[Graft, Tag("injury:graft")]
    | Annotated[BileDuctLigation, Tag("injury:bile_duct_ligation")]
    | Annotated[DuctInjury, Tag("injury:duct_injury")]
    | Annotated[HepatocyteAblation, Tag("injury:hepatocyte_ablation")]
    | Annotated[ZonalNecrosis, Tag("injury:zonal_necrosis")]
    | Annotated[BlockDivision, Tag("injury:block_division")]
    | Annotated[Ischaemia, Tag("injury:ischaemia")]
    | Annotated[PortalLigation, Tag("injury:portal_ligation")]
    | Annotated[PortalEmbolisation, Tag("injury:portal_embolisation")]
    | Annotated[Transection, Tag("injury:transection")]
    | Annotated[Lobectomy, Tag("injury:lobectomy")]
    | Annotated[Neutralise, Tag("intervention:neutralise")]
    | Annotated[Supplement, Tag("intervention:supplement")]
    | Annotated[Recombinant, Tag("intervention:recombinant")]
    | Annotated[SerumTransfer, Tag("intervention:serum_transfer")]
    | Annotated[TransferExosomes, Tag("intervention:transfer_exosomes")]
    | Annotated[KnockDown, Tag("intervention:knock_down")]
    | Annotated[Overexpress, Tag("intervention:overexpress")]
    | Annotated[Deplete, Tag("intervention:deplete")]
    | Annotated[Label, Tag("intervention:label")]
    | Annotated[DepleteMatrix, Tag("intervention:deplete_matrix")]
    | Annotated[SetParameter, Tag("intervention:set_parameter")]
    | Annotated[HoldPortalFlow, Tag("intervention:hold_portal_flow")]
    | Annotated[Shunt, Tag("intervention:shunt")]
    | Annotated[SplanchnicVasoconstriction, Tag("intervention:splanchnic_vasoconstriction")]
    | Annotated[DrainBile, Tag("intervention:drain_bile")]
    | Annotated[ReleaseLigature, Tag("intervention:release_ligature")]
    | Annotated[ScaleDemand, Tag("intervention:scale_demand")]
    | Annotated[ScaleInflow, Tag("intervention:scale_inflow")]
    | Annotated[Body, Tag("intervention:body")]
    | Annotated[Medium, Tag("intervention:medium")]
    | Annotated[ConditionedMedium, Tag("intervention:conditioned_medium")],
    Discriminator(_kind),
]
