"""What a check says, what a check is, and where in the records the things that checks look at are named."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from hepatalk.errors import KnowledgeError, nearest, shown
from hepatalk.knowledge.load import Knowledge
from hepatalk.knowledge.records import (
    AccountAlternative,
    AccountTerms,
    Attracts,
    Carries,
    CellType,
    Conversion,
    Death,
    Growth,
    Hypothesis,
    Influx,
    Migration,
    Regulates,
    Secretes,
    Signal,
    Stores,
    Timed,
    Transition,
)

__all__ = [
    "LAW_PARAMETERS",
    "MARKER_PARAMETERS",
    "REFERENCE_PARAMETERS",
    "ROLES",
    "Check",
    "Finding",
    "ParameterUse",
    "PlacedTerm",
    "Role",
    "Severity",
    "changes",
    "choices",
    "parameter_uses",
    "placed_terms",
    "value_faults",
]

Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True)
class Finding:
    """One thing that a check found, rendered by ``str`` as one line.

    Attributes
    ----------
    file : str
        File in the knowledge folder, or ``compiled model`` for what no single record is to blame for.
    record, field : str
        Id of the record and the field in it.
    value : object
        What stands there.
    allowed : str
        What may stand there, the nearest first.
    message : str
        Why, and what to do.
    check : str
        Id of the rule.
    severity : {'error', 'warning', 'note'}
    """

    file: str
    record: str
    field: str
    value: object
    allowed: str
    message: str
    check: str = ""
    severity: Severity = "error"

    def __str__(self) -> str:
        text = (
            f"{self.file}: record {self.record!r}: field {self.field!r}: value {shown(self.value)}; "
            f"allowed: {self.allowed}; {self.message}"
        )
        return str(KnowledgeError(text))  # errors know how to stay on one line, whatever text they repeat


@dataclass(frozen=True)
class Check:
    """A rule on the records alone; subclasses say which."""

    id: ClassVar[str]
    title: ClassVar[str]
    severity: ClassVar[Severity] = "error"

    def run(self, k: Knowledge, claim_ids: Collection[str] = ()) -> list[Finding]:
        """Return what breaks the rule.

        Parameters
        ----------
        k : Knowledge
        claim_ids : collection of str
            Ids of the claims, which belong to a higher layer; empty where they are not known.
        """
        raise NotImplementedError

    def found(
        self, k: Knowledge, kind: str, record: str, field: str, value: object, allowed: str, message: str
    ) -> Finding:
        """Return a finding of this rule on a record of a kind."""
        file = k.origin.get((kind, record), kind)
        return Finding(file, record, field, value, allowed, message, self.id, self.severity)


def choices(name: str, allowed: Iterable[str]) -> str:
    """Return the allowed names as a message shows them: the nearest first, and how many there are."""
    names = set(allowed)
    close = nearest(name, names)
    return f"{', '.join(close)} ({len(names)} in all)" if close else "none exists yet"


# ----------------------------------------------------------------------------------------------------------- terms


@dataclass(frozen=True)
class PlacedTerm:
    """A term and where it stands; ``hypothesis`` names the alternative that it waits for, None for what always runs."""

    kind: str
    record: str
    field: str
    term: Secretes | Regulates | Carries | Stores | Attracts
    hypothesis: str | None


def placed_terms(k: Knowledge) -> Iterator[PlacedTerm]:
    """Yield every term of the rows and of the hypotheses."""
    for row in k.interactions:
        account = row.account
        if isinstance(account, AccountTerms | AccountAlternative):
            hypothesis = account.hypothesis if isinstance(account, AccountAlternative) else None
            for i, term in enumerate(account.terms):
                yield PlacedTerm("interactions", row.id, f"account.terms.{i}", term, hypothesis)
    for record in k.hypotheses:
        for i, term in enumerate(record.switch.terms if record.switch else ()):
            yield PlacedTerm("hypotheses", record.id, f"switch.terms.{i}", term, record.id)


def changes(k: Knowledge, hypothesis: Hypothesis) -> bool:
    """Tell whether switching a hypothesis on changes anything: a row held, a term, a parameter."""
    s = hypothesis.switch
    if s is not None and (s.silence or s.parameters):
        return True
    return any(p.hypothesis == hypothesis.id for p in placed_terms(k))


# ------------------------------------------------------------------------------------------------------ parameters


@dataclass(frozen=True)
class Role:
    """What a parameter must be where it is used.

    ``unit`` is the unit in which the laws take it, ``low`` and ``high`` the range of each of its numbers (``low``
    itself excluded with ``above``, ``high`` with ``below``), ``zones`` whether it has one number per zone and ``total``
    what these add up to.
    """

    name: str
    unit: str
    low: float = float("-inf")
    high: float = float("inf")
    above: bool = False
    below: bool = False
    zones: bool = False
    total: float | None = None

    def holds(self, value: float) -> bool:
        """Tell whether a number lies in the range."""
        high_enough = value > self.low if self.above else value >= self.low
        return high_enough and (value < self.high if self.below else value <= self.high)

    @property
    def range(self) -> str:
        """The range in words."""
        low = f"{'above' if self.above else 'from'} {self.low:g}" if self.low > float("-inf") else "any"
        high = f" to {'below ' if self.below else ''}{self.high:g}" if self.high < float("inf") else ""
        return low + high


ROLES = {
    role.name: role
    for role in (
        Role("rate", "1/h", low=0.0),
        Role("time", "h", low=0.0, above=True),
        Role("fraction", "1", low=0.0, high=1.0),
        Role("part", "1", low=0.0, high=1.0, above=True, below=True),
        Role("weight", "1", low=0.0, high=1.0),
        Role("share", "1", low=0.0),
        Role("gain", "1", low=0.0),
        Role("level", "1", low=0.0, above=True),
        Role("power", "1", low=0.0, above=True),
        Role("number", "1"),
        Role("length", "um", low=0.0, above=True),
        Role("viscosity", "mPa*s", low=0.0, above=True),
        Role("density", "1/mm^3", low=0.0, above=True),
        Role("length density", "mm/mm^3", low=0.0, above=True),
        Role("speed", "um/s", low=0.0, above=True),
        Role("pace", "um/h", low=0.0),
        Role("gradient", "1/um", low=0.0, above=True),
        Role("zone share", "1", low=0.0, high=1.0, zones=True, total=1.0),
        Role("zone profile", "1", low=0.0, zones=True),
    )
}

#: The anatomy that a lobule is built from.
_ANATOMY = {
    **{
        f"lobule_{name}": "length"
        for name in (
            *("radius", "central_vein_radius", "portal_tract_radius", "portal_vein_radius", "venule_radius"),
            *("sinusoid_radius", "sinusoid_spacing", "site_edge", "hepatocyte_diameter"),
            *("vessel_contact", "kc_spacing"),
        )
    },
    "lobule_sprout_speed": "pace",
    "lobule_bip_speed": "pace",
    **{
        f"lobule_{name}": "level"
        for name in (
            "sinusoid_widening",
            "sinusoid_branching",
            "lsec_number",
            "hsc_number",
            "kc_number",
            "sprout_group",
            "sprout_lining",
        )
    },
    "lobule_sinusoid_spread": "share",
    "lobule_least_lining": "share",
    "lobule_perfusion": "rate",
    "lobule_viscosity": "viscosity",
}

#: What a built lobule is compared with: no law takes these, so that a knowledge base may lack them.
REFERENCE_PARAMETERS = {
    "lobule_check_hepatocyte_density": "density",
    "lobule_check_hepatocyte_fraction": "part",
    "lobule_check_hepatocytes_across": "level",
    "lobule_check_hsc_share": "part",
    "lobule_check_kc_density": "density",
    "lobule_check_kc_periportal": "part",
    "lobule_check_kc_share": "part",
    "lobule_check_npc_number": "level",
    "lobule_check_sinusoid_diameter": "length",
    "lobule_check_sinusoid_fraction": "part",
    "lobule_check_sinusoid_length": "length density",
    "lobule_check_sinusoids_per_hsc": "level",
    "lobule_check_flow_speed": "speed",
}

#: Shares of cells that bear a marker, which experiments ask for and no model does.
MARKER_PARAMETERS = frozenset({"tert_high_share"})

#: Parameters that the laws of physics and the anatomy of the lobule ask for by name, and what they take them for.
LAW_PARAMETERS = {
    **_ANATOMY,
    "arterial_buffer": "fraction",
    "arterial_oxygen_share": "fraction",
    "arterial_share": "part",
    "body.arterial_inflow": "share",
    "body.demand": "level",
    "body.demand_shared": "fraction",
    "body.oxygen_beside_blood": "share",
    "body.space": "share",
    "body.bile_flow": "share",
    "body.bile_return": "share",
    "body.inflow": "level",
    "bile_detox_share": "fraction",
    "bile_pressure_limit": "level",
    "bile_synthesis_share": "fraction",
    "bile_transit": "time",
    "dead_cell_clearance": "rate",
    "dead_cell_other_share": "fraction",
    "critical_function": "level",
    "deficit_recovery": "rate",
    "distension_exponent": "power",
    "inflow_fast": "number",
    "inflow_slow": "number",
    "inflow_time": "time",
    "lethal_deficit": "time",
    "lobe_b_share": "part",
    "nk_return_time": "time",
    "oxygen_extraction": "level",
    "oxygen_profile": "zone profile",
    "portal_collaterals": "fraction",
    "sinusoid_volume_share": "fraction",
    "t_cell_return_time": "time",
}

_SIGNAL_ROLES = {
    "half_life": "time",
    "mixing": "rate",
    "zone_profile": "zone profile",
    "blood_share": "share",
    "store": "level",
    "release": "rate",
}
_TERM_ROLES = {"gain": "gain", "weight": "weight", "half": "level", "power": "power"}


@dataclass(frozen=True)
class ParameterUse:
    """A field of a record that names a parameter, and what it takes the parameter for."""

    parameter: str
    kind: str
    record: str
    field: str
    role: Role
    hypothesis: str | None = None


def parameter_uses(k: Knowledge) -> Iterator[ParameterUse]:
    """Yield every use of a parameter by a record; the laws' own (`LAW_PARAMETERS`) are not among them."""
    for cell in k.cells:
        yield from _of_cell(cell)
    for signal in k.signals:
        yield from _of_signal(signal)
    for node in k.nodes:
        yield ParameterUse(node.tau, "nodes", f"{node.cell}.{node.id}", "tau", ROLES["time"])
    for placed in placed_terms(k):
        yield from _of_term(placed)


def value_faults(k: Knowledge, values: Mapping[str, float]) -> Iterator[tuple[str, str]]:
    """Yield (parameter, what is allowed) for every value that some use of the parameter cannot take.

    Parameters
    ----------
    k : Knowledge
    values : mapping of str to float
        New values of existing parameters, in the units of their records.
    """
    if not values:  # the walk through all records would find nothing
        return
    roles: dict[str, list[Role]] = {name: [ROLES[LAW_PARAMETERS[name]]] for name in values if name in LAW_PARAMETERS}
    for use in parameter_uses(k):
        if use.parameter in values:
            roles.setdefault(use.parameter, []).append(use.role)
    for name, value in values.items():
        for role in roles.get(name, []):
            if not role.holds(value):
                yield name, f"{role.range} ({role.unit})"
                break
    half, power = (_number(k, values, name) for name in ("node_ec50", "node_hill"))
    if {"node_ec50", "node_hill"} & set(values) and half is not None and power is not None and not half**power < 0.5:
        yield "node_ec50", "node_ec50 ** node_hill below 1/2, which normalised-Hill logic needs"


def _number(k: Knowledge, values: Mapping[str, float], name: str) -> float | None:
    """Return a single-valued parameter's number with new values applied, None where it has no record."""
    value = values.get(name, k.parameter[name].value if name in k.parameter else None)
    return value if isinstance(value, float) else None


def _of_cell(cell: CellType) -> Iterator[ParameterUse]:
    yield ParameterUse(cell.zone_share, "cells", cell.id, "zone_share", ROLES["zone share"])
    yield ParameterUse(cell.volume_share, "cells", cell.id, "volume_share", ROLES["fraction"])
    if cell.binucleate_share is not None:
        yield ParameterUse(cell.binucleate_share, "cells", cell.id, "binucleate_share", ROLES["fraction"])
    if cell.number is not None:
        yield ParameterUse(cell.number, "cells", cell.id, "number", ROLES["level"])
    for process in cell.processes:
        field = f"processes.{process.id}"
        match process:
            case Timed():
                yield ParameterUse(process.duration, "cells", cell.id, f"{field}.duration", ROLES["time"])
            case Transition() | Influx() | Growth():
                yield ParameterUse(process.rate, "cells", cell.id, f"{field}.rate", ROLES["rate"])
                if isinstance(process, Growth):
                    yield ParameterUse(process.restoring, "cells", cell.id, f"{field}.restoring", ROLES["power"])
            case Death() | Conversion() | Migration():
                if process.rate != "solved":
                    yield ParameterUse(process.rate, "cells", cell.id, f"{field}.rate", ROLES["rate"])
                if isinstance(process, Conversion) and process.size is not None:
                    yield ParameterUse(process.size, "cells", cell.id, f"{field}.size", ROLES["level"])


def _of_signal(signal: Signal) -> Iterator[ParameterUse]:
    for field, role in _SIGNAL_ROLES.items():
        name = getattr(signal, field)
        if name is not None:
            yield ParameterUse(name, "signals", signal.id, field, ROLES[role])


def _of_term(placed: PlacedTerm) -> Iterator[ParameterUse]:
    term = placed.term
    named: dict[str, str] = {}
    if isinstance(term, Secretes):
        named = {"share": "share"}
    elif isinstance(term, Regulates):
        named = _TERM_ROLES
    elif isinstance(term, Attracts):
        named = {"speed": "pace", "half": "gradient"}
    for field, role in named.items():
        name = getattr(term, field)
        if name is not None:
            yield ParameterUse(
                name, placed.kind, placed.record, f"{placed.field}.{field}", ROLES[role], placed.hypothesis
            )
