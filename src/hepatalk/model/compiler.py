"""Records to a `CompiledModel`: the only part of the model layer that sees knowledge.

The compiler writes one tape, in this order: states of cells, signals and nodes; physical laws; then what moves the
signals, the nodes and the cells, place by place. It holds no biology of its own: what is secreted by whom, what acts on
what and how strongly stands in the records. The chapters are

- this module: hypotheses, parameters, terms, activities of genes, regulators, and the order of everything;
- `hepatalk.model.gates`: statements to the gates and brakes of a target;
- `hepatalk.model.physics`: flow, shear, oxygen, load, failure;
- `hepatalk.model.lobes`: how blood and load divide between two lobes;
- `hepatalk.model.supply`: blood by vein and artery, oxygen, and how demand becomes load;
- `hepatalk.model.visitors`: cells that are a level of the body;
- `hepatalk.model.damage`: dead tissue, and the way of bile acids;
- `hepatalk.model.signals`: secretion, clearance, mixing, stores;
- `hepatalk.model.nodes`: activities inside cells;
- `hepatalk.model.motion`: cells, their states and how they move among them;
- `hepatalk.model.freeze`: the finished tape to arrays.

Silencing
---------
A silenced row keeps the influence that it has in health. The Hill response of a regulating term is held at its
resting value, and a source releases its resting share whatever becomes of its cells. Of what carries a silenced row, a
law or the target of a node is held at its resting value, a process or the release of a store runs at its baseline
without gates, and a systemic signal stays at its resting level. A silenced store neither binds nor releases.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from hepatalk.errors import KnowledgeError, ModelError, nearest, unknown
from hepatalk.knowledge.load import Knowledge
from hepatalk.knowledge.records import (
    AccountAlternative,
    AccountTerms,
    Attracts,
    Carries,
    Regulates,
    Secretes,
    Species,
    Stores,
    Term,
)
from hepatalk.model import attraction, damage, motion, nodes, physics, signals, tracers, visitors
from hepatalk.model.compiled import Activity, CompiledModel
from hepatalk.model.fates import Exchange, Fate, Growing, Touch
from hepatalk.model.freeze import freeze
from hepatalk.model.gates import GateBuilder, Statement
from hepatalk.model.laws import Law
from hepatalk.model.places import ZONES, Lobe, Place, at, lobes_of
from hepatalk.model.populations import Population, RestingPopulation
from hepatalk.model.requests import check_overrides
from hepatalk.model.tape import Slot, Tape

__all__ = ["Compiler", "compile_model"]


def compile_model(
    knowledge: Knowledge,
    species: Species = "rat",
    *,
    hypotheses: Sequence[str] = (),
    overrides: Mapping[str, float] | None = None,
    silenced: Iterable[str] = (),
    lobes: int = 1,
) -> CompiledModel:
    """Compile records to a model with its healthy steady state.

    Parameters
    ----------
    knowledge : Knowledge
    species : {'rat', 'mouse', 'human'}
        Chooses parameter values and gene symbols.
    hypotheses : sequence of str
        Ids of alternatives to switch on.
    overrides : mapping, optional
        Parameter values that replace the records', in the units of the records.
    silenced : iterable of str
        Rows whose influence is held at its resting value.
    lobes : {1, 2}
        Two make a liver of lobes A and B, which share the blood of the body (`hepatalk.model.lobes`).

    Returns
    -------
    CompiledModel

    Raises
    ------
    UnknownNameError
        For an unknown hypothesis, parameter or row.
    KnowledgeError, ModelError
        If the records do not fit together.
    ValueError
        For another number of lobes.
    """
    chosen = (tuple(hypotheses), dict(overrides or {}), frozenset(silenced), lobes_of(lobes))
    return Compiler(knowledge, species, *chosen).compile()


@dataclass
class Compiler:
    """The state of one compilation, and the words in which the chapters of a model are written.

    Parameters
    ----------
    knowledge, species, hypotheses, overrides, silenced
        As for `compile_model`.
    lobes : tuple of str
        Letters of the lobes; one empty name for a liver that is not divided.

    Attributes
    ----------
    tape : Tape
        What has been written so far.
    gates : GateBuilder
        Gives the factors by which statements act on a target.
    rest_values : dict of state slot to float
        The healthy value of each state.
    node_relax : dict of node state to slot
        The operation by which each node approaches its target.
    activities : dict of parameter name to Activity
        Parameters that scale what genes make.
    populations : dict of cell type to (Population, RestingPopulation)
    cells_at : dict of (cell type, place) to list of slots
        The compartments of a cell type in a place, in the order of its `Population`.
    death_rates : dict of cell type to float
        The death rate that balances the healthy turnover, per h.
    made : dict of (cell type, place) to list of (slot, number)
        What each kind of division adds to the cells of a type, per h.
    flows : list of ((cell type, place), (cell type, place), slot, ratio)
        Cells that go from one type or place to another, per h, and how many arrive for each that leaves.
    fates, growing, exchanges, touches : list
        What single cells may do, how they grow, and the exchange between zones (`hepatalk.model.fates`).
    secretions, statements, stores, carriers : dict
        The terms of all rows, by signal or target, as they are gathered.
    carried : set of str
        Processes and laws that have asked for the rows they carry.
    attractions : list of Attraction
        Who moves up which signal.
    """

    knowledge: Knowledge
    species: Species
    hypotheses: tuple[str, ...]
    overrides: dict[str, float]
    silenced: frozenset[str]
    lobes: tuple[Lobe, ...] = ("",)
    tape: Tape = field(default_factory=Tape)
    gates: GateBuilder = field(init=False)
    rest_values: dict[Slot, float] = field(default_factory=dict)
    node_relax: dict[Slot, Slot] = field(default_factory=dict)
    activities: dict[str, Activity] = field(default_factory=dict)
    populations: dict[str, tuple[Population, RestingPopulation]] = field(default_factory=dict)
    cells_at: dict[tuple[str, Place], list[Slot]] = field(default_factory=dict)
    death_rates: dict[str, float] = field(default_factory=dict)
    made: dict[tuple[str, Place], list[tuple[Slot, float]]] = field(default_factory=dict)
    flows: list[tuple[tuple[str, Place], tuple[str, Place], Slot, float]] = field(default_factory=list)
    fates: list[Fate] = field(default_factory=list)
    growing: list[Growing] = field(default_factory=list)
    exchanges: list[Exchange] = field(default_factory=list)
    touches: list[Touch] = field(default_factory=list)
    secretions: dict[str, list[tuple[str, Secretes]]] = field(default_factory=lambda: defaultdict(list))
    statements: dict[str, list[Statement]] = field(default_factory=lambda: defaultdict(list))
    stores: dict[str, str] = field(default_factory=dict)
    carried: set[str] = field(default_factory=set)
    carriers: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    attractions: list[attraction.Attraction] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.gates = GateBuilder(self.tape, self.statements, self.regulator, self.p, self._gene_activity)

    # ------------------------------------------------------------------------------------------------ whole

    def compile(self) -> CompiledModel:
        """Write the tape and freeze it; raises as `compile_model`. A compiler compiles once."""
        self._apply_hypotheses()
        self._check_requests()
        self._gather_terms()
        motion.declare(self)
        tracers.declare(self)
        damage.declare(self)
        visitors.declare(self)
        signals.declare(self)
        nodes.declare(self)
        physics.write(self)
        visitors.write(self)
        damage.write_bile(self)
        signals.write(self)
        nodes.write(self)
        motion.write(self)
        tracers.write(self)
        damage.write_dead(self)
        physics.write_failure(self)
        self.gates.check_all_used()
        self._check_carriers()
        return freeze(self)

    def _apply_hypotheses(self) -> None:
        for name in self.hypotheses:
            if name not in self.knowledge.hypothesis:
                raise unknown("hypothesis", name, self.knowledge.hypothesis, "see 'hepatalk list hypotheses'")
            switch = self.knowledge.hypothesis[name].switch
            if switch is None:
                continue
            self.silenced |= frozenset(switch.silence)
            for key, value in switch.parameters.items():
                self.overrides.setdefault(key, value)

    def _check_requests(self) -> None:
        check_overrides(self.knowledge, self.overrides)
        for row in self.silenced:
            if row not in self.knowledge.interaction:
                raise unknown("interaction", row, self.knowledge.interaction, "see 'hepatalk list interactions'")

    def _check_carriers(self) -> None:
        for target, rows in self.carriers.items():
            if target not in self.carried:
                raise KnowledgeError(
                    f"row {min(rows)}: 'carries' target {target!r} is nothing the model has; "
                    f"nearest: {_near(target, self.carried)}; correct the target"
                )

    # ------------------------------------------------------------------------------------------- parameters

    def value(self, name: str, part: int | None = None) -> float:
        """Return the number of a parameter record for this species, with overrides.

        Parameters
        ----------
        name : str
            Id of the record.
        part : {0, 1, 2}, optional
            Which of three values, for a record that has one per zone.

        Returns
        -------
        float
            In the unit of the record.

        Raises
        ------
        KnowledgeError
            If there is no such record, or it has three values and no part is asked for.
        """
        record = self.knowledge.parameter.get(name)
        if record is None:
            raise KnowledgeError(
                f"parameter {name!r} has no record; nearest: {_near(name, self.knowledge.parameter)}; "
                "add it under parameters/"
            )
        number = record.value_in(self.species)
        if name in self.overrides:
            number = self.overrides[name]
        if isinstance(number, tuple):
            if part is None:
                raise KnowledgeError(f"parameter {name!r} has three values where one is needed; give a single value")
            return number[part]
        return number

    def p(self, name: str) -> int:
        """Return the position of a named parameter on the tape; raises as `value`."""
        return self.tape.param(name, self.value(name))

    def profile(self, name: str) -> tuple[float, float, float]:
        """Return the values of a parameter in zones 1 to 3; a record with one value has it in every zone."""
        return (self.value(name, 0), self.value(name, 1), self.value(name, 2))

    # ------------------------------------------------------------------------------------------------ terms

    def _gather_terms(self) -> None:
        chosen = set(self.hypotheses)
        for row in self.knowledge.interactions:
            account = row.account
            if isinstance(account, AccountTerms) or (
                isinstance(account, AccountAlternative) and account.hypothesis in chosen
            ):
                for term in account.terms:
                    self._gather(row.id, term)
        for name in self.hypotheses:
            switch = self.knowledge.hypothesis[name].switch
            for term in switch.terms if switch else ():
                self._gather(f"hypothesis:{name}", term)

    def _gather(self, row: str, term: Term) -> None:
        match term:
            case Secretes():
                for other, earlier in self.secretions[term.signal]:
                    if (earlier.cell, earlier.state) == (term.cell, term.state):
                        raise KnowledgeError(
                            f"row {row}: {term.cell} is a source of {term.signal} already, by row {other}; "
                            "allowed: one row per source; merge the two"
                        )
                self.secretions[term.signal].append((row, term))
            case Regulates():
                self.statements[term.target].append(Statement(row, term, row in self.silenced))
            case Stores():
                self.stores[term.signal] = row
            case Attracts():
                attraction.gather(self, row, term)
            case Carries():
                self.carriers[term.target].add(row)

    def rows_of(self, target: str) -> set[str]:
        """Return the rows that a process or physical law carries, and note that it exists."""
        self.carried.add(target)
        return self.carriers.get(target, set())

    def is_silenced(self, target: str) -> bool:
        """Return whether a row that a process or physical law carries is silenced."""
        return bool(self.rows_of(target) & self.silenced)

    # ---------------------------------------------------------------------------------------------- activities

    def activity(self, name: str, cell: str, genes: tuple[str, ...], family: str | None) -> int | None:
        """Return the parameter that scales what some genes make in a cell type.

        Parameters
        ----------
        name : str
            What the parameter is called; 1 in the wild type.
        cell : str
            Cell type, or 'blood'.
        genes : tuple of str
            Ids of genes, which share alike.
        family : str or None
            Id of a family, whose genes and shares then count instead.

        Returns
        -------
        int or None
            Position on the tape; None where the species has none of the genes.

        Raises
        ------
        KnowledgeError
            For an unknown gene or family.
        """
        given: tuple[float, ...] | None = None
        if family is not None:
            record = self.knowledge.family.get(family)
            if record is None:
                near = _near(family, self.knowledge.family)
                raise KnowledgeError(f"{name}: family {family!r} is unknown; nearest: {near}; correct it")
            genes, given = record.genes, record.shares
        shares = given or tuple(1.0 / len(genes) for _ in genes)
        symbols: dict[str, float] = defaultdict(float)
        for gene, share in zip(genes, shares, strict=True):
            entry = self.knowledge.gene.get(gene)
            if entry is None:
                near = _near(gene, self.knowledge.gene)
                raise KnowledgeError(f"{name}: gene {gene!r} is unknown; nearest: {near}; correct it")
            found = entry.symbols(self.species)
            for symbol in found:
                symbols[symbol] += share / len(found)
        if not symbols:
            return None
        position = self.tape.param(name, 1.0)
        self.activities[name] = Activity(name, cell, dict(symbols))
        return position

    def _gene_activity(self, gene: str, cell: str) -> int | None:
        return self.activity(f"activity.gene.{gene}@{cell}", cell, (gene,), None)

    # ------------------------------------------------------------------------------------- slots and laws

    def slot(self, name: str) -> Slot:
        """Return the slot of a named quantity; raises `ModelError` if the tape has none of that name yet."""
        slot = self.tape.find(name)
        if slot is None:
            raise ModelError(f"the model has no quantity {name!r}; it is needed by a law; add the record that makes it")
        return slot

    def held(self, slot: Slot, label: str) -> Slot:
        """Return an operation that keeps the healthy value of a slot: what is left of a silenced influence."""
        resting = self.tape.param(f"rest:held {label}", float("nan"))
        return self.tape.op(Law.CONSTANT, [slot], [resting])

    def law(self, slot: Slot, name: str, target: str, where: Place | Lobe | None) -> Slot:
        """Name the value of a physical law, held at rest when the statement that carries it is silenced.

        Parameters
        ----------
        slot : Slot
            The value.
        name : str
            What it is called on the tape, without its place.
        target : str
            What a 'carries' term calls the law.
        where : Place, str or None
            A place or the letter of a lobe; None or '' for a law of the whole liver.
        """
        rows = self.rows_of(target)
        label = f"{name}@{where}" if where else name
        if rows & self.silenced:
            slot = self.held(slot, label)
        one = self.tape.number(1.0)
        return self.tape.op(Law.PRODUCT, [slot], [one], name=label, rows=rows)

    @property
    def places(self) -> tuple[Place, ...]:
        """Every zone of every lobe."""
        return tuple(Place(zone, lobe) for lobe in self.lobes for zone in ZONES)

    def places_of(self, cell: str) -> tuple[Place, ...]:
        """Return the places where a cell type lives."""
        return tuple(Place(zone, lobe) for lobe in self.lobes for zone in self.knowledge.cell[cell].zones)

    def lobe_share(self, lobe: Lobe) -> float:
        """Return the healthy volume of a lobe, as a fraction of the healthy liver; 1 where it is not divided."""
        if not lobe:
            return 1.0
        remnant = self.value("lobe_b_share")
        return remnant if lobe == self.lobes[-1] else 1.0 - remnant

    def zone_share(self, cell: str, zone: int) -> float:
        """Return the resting share of a cell type in a zone (fraction of the type in the lobe)."""
        return self.profile(self.knowledge.cell[cell].zone_share)[zone - 1]

    def shares(self, cell: str, place: Place) -> float:
        """Return the resting share of a cell type in a place (fraction of the type)."""
        return self.zone_share(cell, place.zone) * self.lobe_share(place.lobe)

    def selected(self, cell: str, word: str | None, place: Place) -> tuple[Slot, float]:
        """Return the cells that a word of a term selects in a place.

        Parameters
        ----------
        cell : str
            Cell type.
        word : str or None
            A state, lineage or nuclei class, 'cycling' or 'roused'; None for all cells.
        place : Place

        Returns
        -------
        slot : Slot
            Their amount, as a fraction of the healthy count of the type.
        resting : float
            That amount in health.

        Raises
        ------
        ModelError
            If the word selects nothing.
        """
        if word is None:
            return self.slot(f"{cell}.count@{place}"), self.shares(cell, place)
        population, resting = self.populations[cell]
        chosen = population.select(word)
        here = self.cells_at[cell, place]
        one, zero = self.tape.number(1.0), self.tape.number(0.0)
        slot = self.tape.op(
            Law.LINEAR, [here[i] for i in chosen], [zero] + [one] * len(chosen), name=f"{cell}.{word}@{place}"
        )
        return slot, float(resting.distribution[chosen].sum()) * self.shares(cell, place)

    def regulator(self, name: str, place: Place) -> Slot:
        """Return the slot of a regulator as a place sees it.

        A signal counts by its free level, a state (``state.CELL.WORD``) by its share of the cells of the
        place. Whatever has no value of its own there is looked up for the lobe, then for the whole body.

        Raises
        ------
        KnowledgeError
            If the place has nothing of that name; names the nearest regulators.
        """
        parts = name.split(".")
        slot: Slot | None = None
        if parts[0] == "signal" and len(parts) == 2:
            slot = self.tape.find(f"free.{parts[1]}@{place}")
            slot = self.tape.find(f"free.{parts[1]}") if slot is None else slot
        elif parts[0] == "node" and len(parts) == 3:
            slot = self.tape.find(f"{name}@{place}")
        elif parts[0] == "state" and len(parts) == 3 and parts[1] in self.populations:
            chosen, _ = self.selected(parts[1], parts[2], place)
            total = self.slot(f"{parts[1]}.count@{place}")
            slot = self.tape.op(
                Law.RATIO, [chosen, total], [self.tape.number(1.0), self.tape.number(1e-9)], name=f"{name}@{place}"
            )
        else:
            slot = self.tape.find(f"{name}@{place}")
            slot = self.tape.find(at(name, place.lobe)) if slot is None else slot
            slot = self.tape.find(name) if slot is None else slot
        if slot is None:
            known = {n.split("@")[0].replace("free.", "signal.") for n in self.tape.names}
            raise KnowledgeError(
                f"regulator {name!r} is nothing that zone {place} has; nearest: {_near(name, known)}; correct the term"
            )
        return slot


def _near(name: str, known: Collection[str]) -> str:
    """Return the known names that resemble one, for a message."""
    return ", ".join(nearest(name, known))
