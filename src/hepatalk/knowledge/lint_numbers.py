"""Rules on numbers: where each comes from, its unit, its shape and its range."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from hepatalk.errors import UnitError
from hepatalk.knowledge.findings import (
    LAW_PARAMETERS,
    MARKER_PARAMETERS,
    REFERENCE_PARAMETERS,
    ROLES,
    Check,
    Finding,
    ParameterUse,
    choices,
    parameter_uses,
    placed_terms,
)
from hepatalk.knowledge.load import Knowledge
from hepatalk.knowledge.records import SPECIES, Parameter, Regulates, Species, SpeciesNumber
from hepatalk.units import check_dimensions, convert

__all__ = [
    "CheckFinite",
    "CheckNormalHill",
    "CheckParametersExist",
    "CheckPrior",
    "CheckRange",
    "CheckSourced",
    "CheckUnitFitsRole",
    "CheckUnitKnown",
    "CheckUnusedParameters",
    "CheckVolumeShares",
    "CheckZoneShape",
]

#: What may stand in place of a source, with a written reason.
UNSOURCED = ("assumed", "definition")
_SUM_TOLERANCE = 1e-9


def numbers(parameter: Parameter, species: Species | None = None) -> tuple[float, ...]:
    """Return the numbers of a parameter in a species, one or one per zone; the general ones without a species."""
    value = parameter.value if species is None else parameter.value_in(species)
    return value if isinstance(value, tuple) else (value,)


def species_numbers(parameter: Parameter) -> Iterator[tuple[str, SpeciesNumber]]:
    """Yield the numbers that species have of their own, with the name of the field."""
    for species in SPECIES:
        own = parameter.of_species(species)
        if own is not None:
            yield f"species.{species}", own


def _all_uses(k: Knowledge) -> Iterator[ParameterUse]:
    yield from parameter_uses(k)
    for name, role in LAW_PARAMETERS.items():
        yield ParameterUse(name, "parameters", name, "id", ROLES[role])
    for name, role in REFERENCE_PARAMETERS.items():
        if name in k.parameter:
            yield ParameterUse(name, "parameters", name, "id", ROLES[role])


@dataclass(frozen=True)
class CheckParametersExist(Check):
    """Every parameter that a record or a law names has a record."""

    id = "parameters-exist"
    title = "Parameters that are named exist"

    def run(self, k: Knowledge, claim_ids: Collection[str] = ()) -> list[Finding]:
        """Return the uses of unknown parameters."""
        found = [
            self.found(
                k,
                u.kind,
                u.record,
                u.field,
                u.parameter,
                choices(u.parameter, k.parameter),
                "correct the name or add the parameter",
            )
            for u in _all_uses(k)
            if u.parameter not in k.parameter
        ]
        for record in k.hypotheses:
            for name in record.switch.parameters if record.switch else ():
                if name not in k.parameter:
                    found.append(
                        self.found(
                            k,
                            "hypotheses",
                            record.id,
                            "switch.parameters",
                            name,
                            choices(name, k.parameter),
                            "correct the name",
                        )
                    )
        return found


@dataclass(frozen=True)
class CheckUnusedParameters(Check):
    """Every parameter is used by a record or by a law; one that only a hypothesis uses counts."""

    id = "parameters-used"
    title = "Parameters are used"
    severity = "warning"

    def run(self, k: Knowledge, claim_ids: Collection[str] = ()) -> list[Finding]:
        """Return the parameters that nobody uses."""
        used = {u.parameter for u in _all_uses(k)} | MARKER_PARAMETERS
        return [
            self.found(
                k,
                "parameters",
                p.id,
                "id",
                p.id,
                "a parameter that a record or a law names",
                "nobody uses it; remove it, or name it where it belongs",
            )
            for p in k.parameters
            if p.id not in used
        ]


@dataclass(frozen=True)
class CheckSourced(Check):
    """A number has a source, or the word for having none with a reason, or the script that fitted it."""

    id = "numbers-sourced"
    title = "Numbers say where they come from"

    def run(self, k: Knowledge, claim_ids: Collection[str] = ()) -> list[Finding]:
        """Return the numbers without a source or a reason."""
        found = []
        for p in k.parameters:
            found += self._one(k, p, "", p)
            for species, own in (p.species or {}).items():
                if isinstance(own, SpeciesNumber):
                    found += self._one(k, p, f"species.{species}.", own)
        return found

    def _one(self, k: Knowledge, p: Parameter, where: str, stated: Parameter | SpeciesNumber) -> list[Finding]:
        def wrong(field: str, value: object, allowed: str, advice: str) -> Finding:
            return self.found(k, "parameters", p.id, where + field, value, allowed, advice)

        found = []
        if not stated.sources:
            found.append(wrong("source", stated.source, "source ids, or 'assumed' with a reason", "name a source"))
        for name in stated.sources:
            if name in UNSOURCED:
                if not (stated.reason or "").strip():
                    advice = f"the source is '{name}'; say why this number"
                    found.append(wrong("reason", stated.reason, "a written reason", advice))
            elif name.startswith("fitted:"):
                if not name.removeprefix("fitted:").strip():
                    found.append(wrong("source", name, "'fitted: <script>'", "name the script that fitted it"))
            elif name not in k.source:
                allowed = f"{choices(name, k.source)}, 'assumed' or 'definition' with a reason, 'fitted: <script>'"
                found.append(wrong("source", name, allowed, "correct the source"))
        return found


@dataclass(frozen=True)
class CheckFinite(Check):
    """Values, priors, overrides, shares and the settings of hypotheses are finite."""

    id = "numbers-finite"
    title = "Numbers are finite"

    def run(self, k: Knowledge, claim_ids: Collection[str] = ()) -> list[Finding]:
        """Return the numbers that are not finite."""
        stated: list[tuple[str, str, str, float]] = []
        for p in k.parameters:
            stated += [("parameters", p.id, "value", v) for v in numbers(p)]
            stated += [("parameters", p.id, "prior", v) for v in p.prior or ()]
            for field, own in species_numbers(p):
                stated += [("parameters", p.id, field, v) for v in (own.value, *(own.prior or ()))]
        for f in k.families:
            stated += [("families", f.id, "shares", v) for v in f.shares or ()]
        for h in k.hypotheses:
            settings = h.switch.parameters if h.switch else {}
            stated += [("hypotheses", h.id, f"switch.parameters.{name}", v) for name, v in settings.items()]
        return [
            self.found(k, kind, record, field, v, "a finite number", "correct the number")
            for kind, record, field, v in stated
            if not math.isfinite(v)
        ]


@dataclass(frozen=True)
class CheckPrior(Check):
    """A prior runs from low to high and holds the value of every species."""

    id = "prior-holds-value"
    title = "Priors contain their values"

    def run(self, k: Knowledge, claim_ids: Collection[str] = ()) -> list[Finding]:
        """Return the priors that are turned round or leave out the value."""
        found = []
        for p in k.parameters:
            if p.prior is not None:
                found += self._one(k, p, "prior", p.prior, [("value", v) for v in numbers(p)])
            for field, own in species_numbers(p):
                if own.prior is not None:
                    found += self._one(k, p, f"{field}.prior", own.prior, [(field, own.value)])
                elif p.prior is not None and p.prior[0] < p.prior[1]:
                    found += self._one(k, p, "prior", p.prior, [(field, own.value)])
        return found

    def _one(
        self, k: Knowledge, p: Parameter, where: str, prior: tuple[float, float], stated: list[tuple[str, float]]
    ) -> list[Finding]:
        low, high = prior
        if not low < high:
            wanted = "[low, high] with low < high"
            return [self.found(k, "parameters", p.id, where, list(prior), wanted, "swap or widen the two")]
        allowed = f"{low:g} to {high:g}, the prior"
        return [
            self.found(k, "parameters", p.id, field, v, allowed, "correct the value or widen the prior")
            for field, v in stated
            if not low <= v <= high
        ]


@dataclass(frozen=True)
class CheckUnitKnown(Check):
    """Every unit can be read."""

    id = "unit-known"
    title = "Units are known"

    def run(self, k: Knowledge, claim_ids: Collection[str] = ()) -> list[Finding]:
        """Return the units that nobody can read."""
        unreadable = {unit for unit in {p.unit for p in k.parameters} if not _known(unit)}
        return [
            self.found(k, "parameters", p.id, "unit", p.unit, "units such as h, 1/h, 1", "correct the unit")
            for p in k.parameters
            if p.unit in unreadable
        ]


def _known(unit: str) -> bool:
    try:
        check_dimensions(unit, unit)
    except UnitError:
        return False
    return True


@dataclass(frozen=True)
class CheckUnitFitsRole(Check):
    """A parameter has the unit that its use needs, exactly: nothing is converted on the quiet."""

    id = "unit-fits-role"
    title = "Units fit what the parameter is used for"

    def run(self, k: Knowledge, claim_ids: Collection[str] = ()) -> list[Finding]:
        """Return each parameter whose unit does not fit, once per unit that is wanted of it."""
        found: dict[tuple[str, str], Finding] = {}
        readable = {p.unit for p in k.parameters if _known(p.unit)}
        reasons: dict[tuple[str, str], str] = {}
        for u in _all_uses(k):
            p = k.parameter.get(u.parameter)
            if p is None or p.unit not in readable or (p.id, u.role.unit) in found:
                continue
            if (p.unit, u.role.unit) not in reasons:
                reasons[p.unit, u.role.unit] = self._misfit(p.unit, u.role.unit)
            reason = reasons[p.unit, u.role.unit]
            if reason:
                found[p.id, u.role.unit] = self.found(
                    k,
                    "parameters",
                    p.id,
                    "unit",
                    p.unit,
                    f"'{u.role.unit}'",
                    f"{reason}; {u.record} takes it as a {u.role.name} ({u.field})",
                )
        return list(found.values())

    @staticmethod
    def _misfit(unit: str, wanted: str) -> str:
        try:
            factor = convert(1.0, unit, wanted)
        except UnitError:
            return "another dimension"
        return "" if factor == 1.0 else f"nothing is converted silently: write the value times {factor:g} in '{wanted}'"


@dataclass(frozen=True)
class CheckRange(Check):
    """A number lies in the range that its use allows, in every species."""

    id = "range-fits-role"
    title = "Values fit what the parameter is used for"

    def run(self, k: Knowledge, claim_ids: Collection[str] = ()) -> list[Finding]:
        """Return each value outside the range of a use, once per role."""
        found: dict[tuple[str, str], Finding] = {}
        for u in _all_uses(k):
            p = k.parameter.get(u.parameter)
            if p is None or (p.id, u.role.name) in found:
                continue
            stated = [("value", v) for v in numbers(p)]
            stated += [(field, own.value) for field, own in species_numbers(p)]
            for field, v in stated:
                if math.isfinite(v) and not u.role.holds(v):
                    found[p.id, u.role.name] = self.found(
                        k,
                        "parameters",
                        p.id,
                        field,
                        v,
                        u.role.range,
                        f"{u.record} takes it as a {u.role.name} ({u.field})",
                    )
        return list(found.values())


@dataclass(frozen=True)
class CheckZoneShape(Check):
    """One number per zone where zones are told apart, one number elsewhere; zone shares add up to 1."""

    id = "zone-shape"
    title = "Zone values have a number per zone, shares add up to 1"

    def run(self, k: Knowledge, claim_ids: Collection[str] = ()) -> list[Finding]:
        """Return values of the wrong shape or sum, and shares of zones where the cell type does not live."""
        found: dict[tuple[str, str], Finding] = {}
        for u in _all_uses(k):
            p = k.parameter.get(u.parameter)
            if p is None:
                continue
            allowed = self._shape(p, u)
            if allowed:
                shape = self.found(
                    k, "parameters", p.id, "value", p.value, allowed, f"{u.record} takes it as a {u.role.name}"
                )
                found.setdefault((p.id, allowed), shape)
            elif u.role.zones and p.species:
                found[p.id, "species"] = self.found(
                    k,
                    "parameters",
                    p.id,
                    "species",
                    p.species,
                    "no species value for a number per zone",
                    "a single number cannot replace three; make a parameter per species",
                )
        return list(found.values())

    @staticmethod
    def _shape(p: Parameter, u: ParameterUse) -> str:
        if u.role.zones != isinstance(p.value, tuple):
            return "three numbers, for zones 1, 2, 3" if u.role.zones else "one number"
        if u.role.total is not None and abs(sum(numbers(p)) - u.role.total) > _SUM_TOLERANCE:
            return f"numbers that add up to {u.role.total:g} (they add up to {sum(numbers(p)):.9g})"
        if u.role.name == "zone profile" and not sum(numbers(p)) > 0.0:
            return "numbers of which one is above 0"
        return ""


@dataclass(frozen=True)
class CheckVolumeShares(Check):
    """Cells and sinusoids fill the healthy liver: their shares add up to 1 in every species."""

    id = "volume-shares"
    title = "Volume shares add up to 1"

    def run(self, k: Knowledge, claim_ids: Collection[str] = ()) -> list[Finding]:
        """Return the species whose shares do not add up."""
        names = [*(c.volume_share for c in k.cells), "sinusoid_volume_share"]
        if any(n not in k.parameter or isinstance(k.parameter[n].value, tuple) for n in names):
            return []  # other rules say so
        found = []
        for species in SPECIES:
            total = sum(numbers(k.parameter[n], species)[0] for n in names)
            if not abs(total - 1.0) <= _SUM_TOLERANCE:
                found.append(
                    self.found(
                        k,
                        "parameters",
                        "sinusoid_volume_share",
                        "value",
                        total,
                        "shares that add up to 1",
                        f"{species}: {' + '.join(names)}; correct one of them",
                    )
                )
        return found


@dataclass(frozen=True)
class CheckNormalHill(Check):
    """Between nodes the normalised Hill function needs 0 < half < 1 and half^power < 1/2 (Kraeutler et al. 2010)."""

    id = "normal-hill"
    title = "Normalised Hill functions exist"

    def run(self, k: Knowledge, claim_ids: Collection[str] = ()) -> list[Finding]:
        """Return the terms between nodes for which there is no such function."""
        found = []
        for placed in placed_terms(k):
            t = placed.term
            if not isinstance(t, Regulates) or not (t.by.startswith("node.") and t.target.startswith("node.")):
                continue
            half, power = k.parameter.get(t.half or ""), k.parameter.get(t.power or "")
            if half is None or power is None:
                continue
            for species in SPECIES:
                h, n = numbers(half, species)[0], numbers(power, species)[0]
                if not (0.0 < h < 1.0 and n > 0.0 and h**n < 0.5):
                    found.append(
                        self.found(
                            k,
                            placed.kind,
                            placed.record,
                            f"{placed.field}.half",
                            half.id,
                            "0 < half < 1 and half^power < 1/2",
                            f"half {h:g} and power {n:g} of {t.by} on {t.target}; lower half or raise power",
                        )
                    )
                    break
        return found
