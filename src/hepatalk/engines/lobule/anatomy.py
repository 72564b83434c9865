"""The numbers that a lobule is built from, checked before anything is built.

Lengths are in um, volumes in um^3, times in h. `Anatomy.of` takes the values that a compiled model carries under the
names of their records, so that no number of anatomy stands in code.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields

from hepatalk.errors import GeometryError

__all__ = ["DEFAULT_HEPATOCYTES", "TYPES", "Anatomy"]

#: Cell types in the order of the numbers in `hepatalk.engines.lobule.geometry.Cells.type`.
TYPES = ("HEP", "LSEC", "HSC", "KC", "BEC", "BIP")
#: Hepatocytes in one lobule unless told otherwise; with the other cells about 4,700.
DEFAULT_HEPATOCYTES = 3000
#: Hepatocytes of all lobules: with the other cells, and at about 2 kB each, more do not fit into 16 GB of memory.
_MOST_HEPATOCYTES = 5_000_000
#: The least height of a slab, in diameters of a hepatocyte: below it a lobule is a miniature, smaller but not flatter.
_LEAST_LAYERS = 1.5
_HEXAGON = 1.5 * math.sqrt(3.0)  # area of a regular hexagon over the square of its radius
_SECONDS_PER_HOUR = 3600.0
_LENGTHS = {
    "lobule_radius": "lobule_radius",
    **{
        name: f"lobule_{name}"
        for name in (
            *("central_vein_radius", "portal_tract_radius", "portal_vein_radius", "venule_radius"),
            *("sinusoid_radius", "sinusoid_spacing", "site_edge", "hepatocyte_diameter"),
            *("vessel_contact", "kc_spacing"),
        )
    },
}
_NUMBERS = (
    *("lobule_sinusoid_widening", "lobule_sinusoid_spread", "lobule_sinusoid_branching"),
    *("lobule_perfusion", "lobule_viscosity", "arterial_share"),
    *("lobule_sprout_group", "lobule_sprout_lining", "lobule_least_lining"),
    *("lobule_sprout_speed", "lobule_bip_speed"),
)


@dataclass(frozen=True)
class Anatomy:
    """What one lobule, or several like it, is built from.

    Attributes
    ----------
    lobule_radius : float
        From the central vein to a corner of the hexagon, um.
    height : float
        Along the central vein, um.
    central_vein_radius, portal_tract_radius, portal_vein_radius, venule_radius : float
        um. Venules bring portal blood along the faces of the hexagon.
    sinusoid_radius : float
        Mean, um.
    sinusoid_widening : float
        Radius at the central vein over radius at the portal tract.
    sinusoid_spread : float
        Standard deviation of the logarithm of the radius among segments.
    sinusoid_spacing : float
        Least distance of two branching points, um; their mean nearest neighbour is little farther.
    sinusoid_branching : float
        Mean number of segments that meet in a branching point.
    site_edge : float
        Cube root of the mean volume of a site, um.
    hepatocyte_diameter : float
        Of the sphere of a hepatocyte's volume, um.
    vessel_contact : float
        Hepatocytes nearer to a vessel than this touch it, um.
    kc_spacing : float
        KCs keep this far apart, um.
    sprout_group : float
        Hepatocytes that stand together without a vessel and draw a sprout, at least.
    sprout_lining : float
        LSECs per length of sinusoid, relative to health, from which they sprout.
    least_lining : float
        LSECs per length of sinusoid, relative to health, below which sinusoids close.
    sprout_speed : float
        Of the tip of a new sinusoid, um/h.
    bip_speed : float
        Of a bipotential cell on its way to another zone, um/h.
    hepatocytes, lobules, portal_triads : int
        Hepatocytes of one lobule; lobules; triads of one lobule (6).
    cells_per_hepatocyte, volume_share : mapping of cell type to float
        Healthy cells per hepatocyte; share of the liver's volume.
    zone_share : mapping of cell type to three floats
        How a type's cells are divided among zones 1 to 3.
    perfusion : float
        Blood per volume of tissue, 1/h.
    arterial_share : float
        Part of the blood that comes by the artery.
    viscosity : float
        Of blood in sinusoids, Pa h.

    Raises
    ------
    GeometryError
        When made of numbers that no lobule can have.
    """

    lobule_radius: float
    height: float
    central_vein_radius: float
    portal_tract_radius: float
    portal_vein_radius: float
    venule_radius: float
    sinusoid_radius: float
    sinusoid_widening: float
    sinusoid_spread: float
    sinusoid_spacing: float
    sinusoid_branching: float
    site_edge: float
    hepatocyte_diameter: float
    vessel_contact: float
    kc_spacing: float
    sprout_group: float
    sprout_lining: float
    least_lining: float
    sprout_speed: float
    bip_speed: float
    hepatocytes: int
    cells_per_hepatocyte: Mapping[str, float]
    volume_share: Mapping[str, float]
    zone_share: Mapping[str, tuple[float, float, float]]
    perfusion: float
    arterial_share: float
    viscosity: float
    lobules: int = 1
    portal_triads: int = 6

    def __post_init__(self) -> None:
        _check_numbers(self)
        _check_fit(self)

    @classmethod
    def of(cls, values: Mapping[str, float], *, hepatocytes: int = DEFAULT_HEPATOCYTES, lobules: int = 1) -> Anatomy:
        """Return the anatomy of a species, with the height that gives a lobule its hepatocytes.

        A lobule of so few hepatocytes that the slab would be thinner than one and a half of them becomes a miniature:
        radius, vein and portal tracts shrink by one factor until the slab has that height; cells and sinusoids keep
        their size.

        Parameters
        ----------
        values : mapping of str to float
            `CompiledModel.anatomy`: lobule parameters by the names of their records, ``TYPE.volume_share``,
            ``TYPE.number`` (cells per hepatocyte) and ``TYPE.zone_share@1`` to ``3``.
        hepatocytes : int
            In one lobule.
        lobules : int
            How many, side by side.

        Raises
        ------
        GeometryError
            If a value is missing or impossible.
        """
        for name, value in (("hepatocytes", hepatocytes), ("lobules", lobules)):
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise GeometryError(f"lobule: {name} = {value!r}; allowed: a whole number from 1; correct it")
        if hepatocytes * lobules > _MOST_HEPATOCYTES:
            raise GeometryError(
                f"lobule: {lobules} x {hepatocytes} hepatocytes; allowed: up to {_MOST_HEPATOCYTES} in all; "
                "ask for fewer"
            )
        wanted = [*_LENGTHS.values(), *_NUMBERS]
        wanted += [f"{cell}.{part}" for cell in TYPES for part in ("number", "volume_share")]
        wanted += [f"{cell}.zone_share@{zone}" for cell in TYPES for zone in (1, 2, 3)]
        missing = [name for name in wanted if name not in values]
        if missing:
            raise GeometryError(
                f"lobule: {len(missing)} numbers of anatomy are missing, the first is {missing[0]!r}; "
                "build from the anatomy of a compiled model"
            )
        for name in wanted:
            if not math.isfinite(values[name]):
                raise GeometryError(f"lobule: {name} = {values[name]}; allowed: a finite number; correct the record")
        lengths = {field: values[name] for field, name in _LENGTHS.items()}
        share = values["HEP.volume_share"]
        if not (0.0 < share <= 1.0 and lengths["hepatocyte_diameter"] > 0.0 and lengths["lobule_radius"] > 0.0):
            _refuse_sizes(share, lengths)
        volume = hepatocytes * math.pi / 6.0 * lengths["hepatocyte_diameter"] ** 3 / share
        height, shrink = _height(volume, lengths)
        for name in ("lobule_radius", "central_vein_radius", "portal_tract_radius", "portal_vein_radius"):
            lengths[name] *= shrink
        return cls(
            height=height,
            hepatocytes=hepatocytes,
            lobules=lobules,
            cells_per_hepatocyte={cell: values[f"{cell}.number"] for cell in TYPES},
            volume_share={cell: values[f"{cell}.volume_share"] for cell in TYPES},
            zone_share={cell: _zones(values, cell) for cell in TYPES},
            viscosity=values["lobule_viscosity"] * 1e-3 / _SECONDS_PER_HOUR,
            sinusoid_widening=values["lobule_sinusoid_widening"],
            sinusoid_spread=values["lobule_sinusoid_spread"],
            sinusoid_branching=values["lobule_sinusoid_branching"],
            sprout_group=values["lobule_sprout_group"],
            sprout_lining=values["lobule_sprout_lining"],
            least_lining=values["lobule_least_lining"],
            sprout_speed=values["lobule_sprout_speed"],
            bip_speed=values["lobule_bip_speed"],
            perfusion=values["lobule_perfusion"],
            arterial_share=values["arterial_share"],
            lobule_radius=lengths["lobule_radius"],
            central_vein_radius=lengths["central_vein_radius"],
            portal_tract_radius=lengths["portal_tract_radius"],
            portal_vein_radius=lengths["portal_vein_radius"],
            venule_radius=lengths["venule_radius"],
            sinusoid_radius=lengths["sinusoid_radius"],
            sinusoid_spacing=lengths["sinusoid_spacing"],
            site_edge=lengths["site_edge"],
            hepatocyte_diameter=lengths["hepatocyte_diameter"],
            vessel_contact=lengths["vessel_contact"],
            kc_spacing=lengths["kc_spacing"],
        )

    @property
    def tissue_area(self) -> float:
        """Cross-section of a lobule without its vein and its parts of the portal tracts, um^2."""
        return _tissue_area(self.lobule_radius, self.central_vein_radius, self.portal_tract_radius)

    @property
    def tissue_volume(self) -> float:
        """Volume of one lobule without its vein and its parts of the portal tracts, um^3."""
        return self.tissue_area * self.height

    @property
    def inflow(self) -> float:
        """Blood that enters all lobules, um^3/h."""
        return self.perfusion * self.tissue_volume * self.lobules

    @property
    def cell_volume(self) -> Mapping[str, float]:
        """Volume of one healthy cell of each type, um^3: its share of the liver over its number."""
        hepatocyte = math.pi / 6.0 * self.hepatocyte_diameter**3
        per = hepatocyte / self.volume_share["HEP"]
        return {
            cell: hepatocyte if cell == "HEP" else per * self.volume_share[cell] / self.cells_per_hepatocyte[cell]
            for cell in TYPES
        }

    @property
    def cell_diameter(self) -> Mapping[str, float]:
        """Diameter of the sphere of a healthy cell's volume, for each type, um."""
        return {cell: (6.0 * volume / math.pi) ** (1.0 / 3.0) for cell, volume in self.cell_volume.items()}

    def count(self, cell: str) -> int:
        """Return the number of healthy cells of a type in one lobule."""
        return round(self.cells_per_hepatocyte[cell] * self.hepatocytes)

    @property
    def sites(self) -> int:
        """Number of sites of one lobule, at least one for each zone."""
        return max(3, round(self.tissue_volume / self.site_edge**3))


def _zones(values: Mapping[str, float], cell: str) -> tuple[float, float, float]:
    return (values[f"{cell}.zone_share@1"], values[f"{cell}.zone_share@2"], values[f"{cell}.zone_share@3"])


def _tissue_area(radius: float, vein: float, tract: float) -> float:
    # Six corners of 120 degrees each cut out two whole circles of portal tract.
    return _HEXAGON * radius**2 - math.pi * (vein**2 + 2.0 * tract**2)


def _height(volume: float, lengths: Mapping[str, float]) -> tuple[float, float]:
    """Return the height of the slab and the factor by which its cross-section shrinks."""
    area = _tissue_area(lengths["lobule_radius"], lengths["central_vein_radius"], lengths["portal_tract_radius"])
    if not area > 0.0:
        raise GeometryError(
            f"lobule: a central vein of radius {lengths['central_vein_radius']:g} um and portal tracts of "
            f"{lengths['portal_tract_radius']:g} um leave no tissue in a lobule of radius "
            f"{lengths['lobule_radius']:g} um; make the vessels smaller or the lobule larger"
        )
    least = _LEAST_LAYERS * lengths["hepatocyte_diameter"]
    height = volume / area
    return (height, 1.0) if height >= least else (least, math.sqrt(height / least))


def _refuse_sizes(share: float, lengths: Mapping[str, float]) -> None:
    for name in ("hepatocyte_diameter", "lobule_radius"):
        if not lengths[name] > 0.0:
            raise GeometryError(f"lobule: {name} = {lengths[name]:g} um; allowed: above 0; correct the record")
    raise GeometryError(f"lobule: HEP.volume_share = {share:g}; allowed: above 0, to 1; correct the record")


def _check_numbers(a: Anatomy) -> None:
    """Refuse numbers that are not finite, not positive, or no shares."""
    may_be_zero = {"sinusoid_spread", "arterial_share", "portal_tract_radius", "least_lining", "bip_speed"}
    for field in fields(a):
        value = getattr(a, field.name)
        for name, number in (
            [(f"{field.name}[{key}]", v) for key, v in value.items()]
            if isinstance(value, Mapping)
            else [(field.name, value)]
        ):
            for one in number if isinstance(number, tuple) else (number,):
                if not math.isfinite(one):
                    raise GeometryError(f"lobule: {name} = {one}; allowed: a finite number; correct it")
                low_enough = isinstance(value, Mapping) or field.name in may_be_zero
                if one < 0.0 or (one == 0.0 and not low_enough):
                    allowed = "from 0" if low_enough else "above 0"
                    raise GeometryError(f"lobule: {name} = {one:g}; allowed: {allowed}; correct it")
    if a.least_lining >= 1.0 or a.sprout_lining <= 1.0:
        raise GeometryError(
            f"lobule: least_lining = {a.least_lining:g} and sprout_lining = {a.sprout_lining:g}; allowed: below 1 and "
            "above 1, or vessels of health would close or sprout; correct the records"
        )
    if a.arterial_share > 1.0:
        raise GeometryError(f"lobule: arterial_share = {a.arterial_share:g}; allowed: 0 to 1; correct it")
    for cell in TYPES:
        known = all(cell in m for m in (a.cells_per_hepatocyte, a.volume_share, a.zone_share))
        if not known or (cell != "HEP" and not a.cells_per_hepatocyte[cell] > 0.0):
            raise GeometryError(f"lobule: {cell} has no number, volume or zone share above 0; allowed: all three")


def _check_fit(a: Anatomy) -> None:
    """Refuse parts that do not fit into each other."""
    if a.portal_triads != 6:
        raise GeometryError(f"lobule: {a.portal_triads} portal triads; allowed: 6, one at each corner")
    if a.portal_vein_radius > a.portal_tract_radius:
        raise GeometryError(
            f"lobule: portal vein of radius {a.portal_vein_radius:g} um in a tract of {a.portal_tract_radius:g} um; "
            "allowed: at most the tract's; make it smaller"
        )
    free = a.lobule_radius * math.sqrt(0.75) - a.central_vein_radius
    room = min(free, a.lobule_radius - a.central_vein_radius - a.portal_tract_radius)
    if not room > 0.0 or not a.tissue_area > 0.0 or 2.0 * a.portal_tract_radius >= a.lobule_radius:
        raise GeometryError(
            f"lobule: a central vein of radius {a.central_vein_radius:g} um and portal tracts of "
            f"{a.portal_tract_radius:g} um leave no tissue in a lobule of radius {a.lobule_radius:g} um; "
            "make the vessels smaller or the lobule larger"
        )
    if a.sinusoid_spacing > 0.75 * room:
        raise GeometryError(
            f"lobule: sinusoid_spacing = {a.sinusoid_spacing:g} um, with {room:.3g} um between portal tract and "
            f"central vein; allowed: up to {0.75 * room:.3g}; ask for more hepatocytes or a closer spacing"
        )
    if 2.0 * a.sinusoid_radius >= a.sinusoid_spacing:
        raise GeometryError(
            f"lobule: sinusoids of radius {a.sinusoid_radius:g} um every {a.sinusoid_spacing:g} um leave no room for "
            f"cells; allowed: a radius below {a.sinusoid_spacing / 2.0:g}; correct one of them"
        )
    if a.hepatocytes < a.sites:
        raise GeometryError(
            f"lobule: {a.hepatocytes} hepatocytes on {a.sites} sites; allowed: at least one on each; ask for more "
            "hepatocytes or a larger site_edge"
        )
