"""Typed records of what is known: one frozen class per kind of fact, validated on load.

Every record can be edited by hand in YAML. A record never refers to a number directly: rates, halves, gains and shares
are names of `Parameter` records, so that each number stands in one place with its unit, its source or its reason.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag

from hepatalk.knowledge.base import Name, Number, Record, Sourced, Whole

Species = Literal["rat", "mouse", "human"]
SPECIES: tuple[Species, ...] = ("rat", "mouse", "human")

RowId = Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9]*(-[A-Z0-9]+)*-\d{2}$")]


# ------------------------------------------------------------------------------------------------ sources and genes


class Source(Record):
    """A publication, with how far it was read."""

    id: Name
    authors: str | None = None
    year: Whole | None = None
    title: str | None = None
    journal: str | None = None
    doi: Annotated[str, Field(pattern=r"^10\.\d{4,9}/\S+$")] | None = None
    pmid: Annotated[str, Field(pattern=r"^\d{1,9}$")] | None = None
    pmcid: Annotated[str, Field(pattern=r"^PMC\d+$")] | None = None
    read: Literal["abstract", "full_text", "citation_line", "indexing_page", "none"]
    note: str | None = None


class ReviewReference(Record):
    """A number in the bibliography of the review and the papers it probably stands for."""

    number: Whole
    sources: tuple[str, ...] = ()
    link: Literal["matched", "recalled", "unknown"]
    supports: str | None = None
    note: str | None = None


class Gene(Record):
    """A gene with its symbol in each species (absent where there is no orthologue)."""

    id: Name
    name: str
    human: str | tuple[str, ...] | None = None
    mouse: str | tuple[str, ...] | None = None
    rat: str | tuple[str, ...] | None = None
    hgnc: str | None = None
    synonyms: tuple[str, ...] = ()
    note: str | None = None

    def symbols(self, species: Species) -> tuple[str, ...]:
        """Return the symbols of the gene in a species, empty where it has no orthologue."""
        value = getattr(self, species)
        if value is None:
            return ()
        return (value,) if isinstance(value, str) else tuple(value)


class Family(Record):
    """A named group of genes used where the literature names no member; a knocked-out member costs its share."""

    id: Name
    genes: tuple[str, ...]
    shares: tuple[Number, ...] | None = None
    note: str | None = None


class GlossaryEntry(Record):
    """A name used in the review with its preferred form and ontology id."""

    id: Name
    name: str
    kind: str
    ontology: str | None = None
    genes: tuple[str, ...] = ()
    synonyms: tuple[str, ...] = ()
    note: str | None = None


# ----------------------------------------------------------------------------------------------------- parameters


class SpeciesNumber(Sourced):
    """The number of a parameter in one species; without a ``prior`` that of the parameter holds."""

    value: Number


#: In complaints of pydantic: which of two ways of writing a species' number was meant.
ALONE, WITH_SOURCE = "[number alone]", "[number with source]"
SpeciesValue = Annotated[
    Annotated[Number, Tag(ALONE)] | Annotated[SpeciesNumber, Tag(WITH_SOURCE)],
    Discriminator(lambda v: WITH_SOURCE if isinstance(v, dict | SpeciesNumber) else ALONE),
]


class Parameter(Sourced):
    """A number with its unit and where it comes from.

    ``value`` is one number, or three for zones 1 to 3; ``species`` gives other numbers where a species has its own:
    a `SpeciesNumber`, or the number alone, which then comes from where the record's number does.
    """

    id: Name
    value: Number | tuple[Number, Number, Number]
    unit: str
    meaning: str
    species: dict[Species, SpeciesValue] | None = None
    quote_from: str | None = None

    def of_species(self, species: Species) -> SpeciesNumber | None:
        """Return the number that a species has of its own, None where the number of the record holds for it."""
        own = (self.species or {}).get(species)
        if own is None or isinstance(own, SpeciesNumber):
            return own
        return SpeciesNumber(value=own, source=self.source, reason=self.reason)

    def value_in(self, species: Species) -> float | tuple[float, float, float]:
        """Return the number of a species, or one per zone, in the unit of the record."""
        own = self.of_species(species)
        return self.value if own is None else own.value


# ---------------------------------------------------------------------------------------------------------- cells


class CellState(Record):
    """A state of a cell type; more than one stage makes its dwell time less variable than exponential."""

    id: Name
    stages: Whole = Field(default=1, ge=1, le=20)
    meaning: str


class Transition(Record):
    """Cells leave the last stage of ``origin`` for the first stage of ``to`` at ``rate`` (per h) x gates."""

    kind: Literal["transition"] = "transition"
    id: Name
    origin: str
    to: str
    rate: str
    rows: tuple[str, ...] = ()


class Timed(Record):
    """Cells pass the stages of ``state`` in a mean time ``duration`` (h); with ``to`` they then move on."""

    kind: Literal["timed"]
    id: Name
    state: str
    duration: str
    to: str | None = None
    divides: bool = False
    rows: tuple[str, ...] = ()


class Death(Record):
    """All states die at ``rate`` x gates; ``rate: solved`` balances the healthy turnover."""

    kind: Literal["death"]
    id: Name
    rate: str
    manner: Literal["apoptosis", "necrosis"]
    rows: tuple[str, ...] = ()


class Influx(Record):
    """Cells arrive from the blood in the first stage of ``to`` at ``rate`` (fraction of the healthy pool per h)."""

    kind: Literal["influx"]
    id: Name
    to: str
    lineage: str | None = None
    rate: str
    rows: tuple[str, ...] = ()


class Growth(Record):
    """Cell mass turns over at ``rate``; gates raise synthesis, and size lowers it by size^-``restoring``."""

    kind: Literal["growth"]
    id: Name
    rate: str
    restoring: str
    rows: tuple[str, ...] = ()


class Conversion(Record):
    """Cells in state ``origin`` become cells of type ``becomes``, in its state ``to``, in the zone where they are.

    ``rate`` is per h x gates; ``rate: solved`` balances the conversion the other way in each zone, so that health has
    no net flow. Only cells with one nucleus convert. ``size`` is the size of a new cell (x that of a healthy one)
    where the new type has mass.
    """

    kind: Literal["conversion"]
    id: Name
    origin: str
    becomes: str
    to: str
    rate: str
    size: str | None = None
    rows: tuple[str, ...] = ()


class Migration(Record):
    """Cells in state ``origin`` move a zone further inwards at ``rate`` (per h) x gates.

    They come back ungated, at the rate that keeps the healthy shares of the zones.
    """

    kind: Literal["migration"]
    id: Name
    origin: str
    rate: str
    rows: tuple[str, ...] = ()


CellProcess = Annotated[
    Transition | Timed | Death | Influx | Growth | Conversion | Migration, Field(discriminator="kind")
]


class CellType(Record):
    """A cell type: where it lives, its states, and the closed list of things it can do.

    ``number`` names the healthy number of its cells per healthy hepatocyte: conversions need it to count cells of two
    types in one unit. ``counts_as`` names the type as which lineage tracing counts its cells at time zero.
    """

    id: Name
    name: str
    ontology: str | None = None
    synonyms: tuple[str, ...] = ()
    description: str
    zones: tuple[Whole, ...]
    zone_share: str
    volume_share: str
    number: str | None = None
    counts_as: str | None = None
    lineages: tuple[str, ...] = ("resident",)
    nuclei: tuple[str, ...] = ("mononucleate",)
    binucleation: str | None = None
    binucleate_share: str | None = None
    counts_generations: bool = False
    has_mass: bool = False
    states: tuple[CellState, ...]
    processes: tuple[CellProcess, ...]


# ------------------------------------------------------------------------------------------------ signals and nodes


class Signal(Record):
    """A message between cells, or a physical cue, relative to its healthy mean.

    ``local`` signals have a value per zone; ``body`` signals one value for the animal.
    """

    id: Name
    name: str
    kind: Literal["soluble", "contact", "matrix", "vesicle", "systemic"]
    genes: tuple[str, ...] = ()
    family: str | None = None
    chebi: str | None = None
    synonyms: tuple[str, ...] = ()
    half_life: str
    mixing: str | None = None
    zone_profile: str | None = None
    cleared_by: Literal["volume", "HEP", "KC", "bile", "none"] = "volume"
    blood_share: str | None = None
    store: str | None = None
    release: str | None = None
    rows: tuple[str, ...] = ()
    note: str | None = None


class Node(Record):
    """An intracellular activity in [0, 1] of one cell type (normalised-Hill logic)."""

    id: Name
    cell: str
    name: str
    genes: tuple[str, ...] = ()
    family: str | None = None
    tau: str
    note: str | None = None


# --------------------------------------------------------------------------------------------------- interactions


class Secretes(Record):
    """A cell type (in one of its states) releases a signal; ``share`` weighs it against the other sources.

    With ``dying`` its dying cells release it: the source follows their number per h instead of the number present.
    """

    kind: Literal["secretes"]
    cell: str
    state: str | None = None
    dying: bool = False
    signal: str
    share: str


class Regulates(Record):
    """A regulator activates or inhibits a target.

    Targets that are rates: activators with the same ``gate`` label are alternatives (they add), gates multiply, an
    inhibitor divides. Targets that are nodes: activators are alternatives (fuzzy OR), ``permits`` requires (AND, to
    the degree ``weight``), an inhibitor takes away its weight.
    """

    kind: Literal["regulates"]
    by: str
    target: str
    effect: Literal["activates", "inhibits", "permits"]
    gain: str | None = None
    weight: str | None = None
    half: str | None = None
    power: str | None = None
    gate: str | None = None
    needs: tuple[str, ...] = ()


class Carries(Record):
    """The statement is carried by a process or physical law that is written elsewhere."""

    kind: Literal["carries"]
    target: str


class Stores(Record):
    """A soluble signal binds to the matrix and is released from it."""

    kind: Literal["stores"]
    signal: str


class Attracts(Record):
    """Cells of a type move up the gradient of a signal, as far as it rises above the healthy one.

    They drift at ``speed`` (um/h) at most, half as fast where the signal rises by ``half`` (x its healthy mean, per um)
    beyond its healthy gradient. Engines without places inside a zone cannot express it.
    """

    kind: Literal["attracts"]
    cell: str
    signal: str
    speed: str
    half: str


Term = Annotated[Secretes | Regulates | Carries | Stores | Attracts, Field(discriminator="kind")]


class AccountTerms(Record):
    """The statement runs: it compiles to these terms."""

    kind: Literal["terms"]
    terms: tuple[Term, ...] = Field(min_length=1)
    note: str | None = None


class AccountOutcome(Record):
    """The statement must come out of the others: it is a claim to test, not an input."""

    kind: Literal["outcome"]
    claims: tuple[str, ...] = ()
    note: str | None = None


class AccountAlternative(Record):
    """The statement belongs to a hypothesis that is off by default; its terms run when that is chosen."""

    kind: Literal["alternative"]
    hypothesis: str
    terms: tuple[Term, ...] = ()
    note: str | None = None


class AccountNotRun(Record):
    """The statement cannot run, and why."""

    kind: Literal["not_run"]
    reason: Literal[
        "definition",
        "structure",
        "open_question",
        "pure_number",
        "method",
        "history",
        "no_direction",
        "outside_scope",
    ]
    note: str


Account = Annotated[AccountTerms | AccountOutcome | AccountAlternative | AccountNotRun, Field(discriminator="kind")]


class Evidence(Record):
    """A source behind a statement and how sure the link is."""

    source: str
    refs: tuple[Whole, ...] = ()
    link: Literal["matched", "recalled", "unknown", "direct"] | None = None
    species: str | None = None
    assay: str | None = None
    note: str | None = None


class Interaction(Record):
    """One statement about liver-cell crosstalk and what becomes of it in the model.

    ``read_as`` says in one line through what the terms act where the statement's own signal or pathway is not among
    what they name: it speaks of something that the model has not, or of a step that another row carries.
    """

    id: RowId
    claim: str
    mode: Literal["self_replication", "transdifferentiation", "both"]
    stage: Literal["initiation", "proliferation", "angiogenesis", "termination", "any"]
    source: tuple[str, ...]
    signal: str | None = None
    receptor: str | None = None
    pathway: tuple[str, ...] = ()
    read_as: Annotated[str, Field(min_length=10)] | None = None
    target: tuple[str, ...]
    process: str
    sign: Literal["+", "-", "0", "?"]
    context: str | None = None
    certainty: Literal["established", "suggested", "unknown"]
    evidence: tuple[Evidence, ...] = Field(min_length=1)
    stance: Literal["supported", "contested", "refuted"] = "supported"
    opposed_by: tuple[str, ...] = ()
    account: Account


class Dispute(Record):
    """Where the review and the primary literature differ."""

    id: Name
    rows: tuple[str, ...]
    review_says: str
    literature_says: str
    sources: tuple[str, ...] = ()
    effect: Literal["none", "wording", "dynamics"]
    hypothesis: str | None = None
    note: str | None = None


class Switch(Record):
    """What choosing a hypothesis changes: rows held at rest, extra terms, parameters."""

    silence: tuple[str, ...] = ()
    terms: tuple[Term, ...] = ()
    parameters: dict[str, Number] = Field(default_factory=dict)


class Hypothesis(Record):
    """A disputed mechanism that users can switch on.

    ``runs`` is the number, from 1, of the alternative that runs when it is switched on; it may be left out where there
    is one. It stays out of a hypothesis that changes nothing.
    """

    id: Name
    title: str
    question: str
    default: str
    alternatives: tuple[str, ...] = ()
    rows: tuple[str, ...] = ()
    disputes: tuple[str, ...] = ()
    switch: Switch | None = None
    runs: Whole | None = Field(default=None, ge=1)
    note: str | None = None
