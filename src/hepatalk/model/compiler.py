"""Records to a `CompiledModel`: the only module of the model layer that sees knowledge.

The compiler writes one tape: physics, then signals, nodes, gates and cells, zone by zone. It holds no biology of its
own: what is secreted by whom, what acts on what and how strongly stands in the records. Physical laws (flow, shear,
oxygen, load) are in `hepatalk.model.physics`.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from hepatalk.errors import KnowledgeError, ModelError, nearest, unknown
from hepatalk.knowledge.load import Knowledge
from hepatalk.knowledge.records import (
    AccountAlternative,
    AccountTerms,
    Carries,
    Death,
    Growth,
    Influx,
    Regulates,
    Secretes,
    Signal,
    Species,
    Stores,
    Timed,
    Transition,
)
from hepatalk.model import physics
from hepatalk.model.compiled import Activity, CompiledModel, Relabel
from hepatalk.model.gates import GateBuilder, Statement
from hepatalk.model.laws import Law
from hepatalk.model.populations import Population, RestingPopulation, influx_targets, resting_population
from hepatalk.model.rest import fill_resting_values
from hepatalk.model.tape import Slot, Tape

__all__ = ["compile_model"]

ZONES = (1, 2, 3)


def compile_model(
    knowledge: Knowledge,
    species: Species = "rat",
    *,
    hypotheses: Sequence[str] = (),
    overrides: Mapping[str, float] | None = None,
    silenced: Iterable[str] = (),
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
        Parameter values that replace the records'.
    silenced : iterable of str
        Rows whose influence is held at its resting value.

    Raises
    ------
    UnknownNameError
        For an unknown hypothesis, parameter or row.
    KnowledgeError, ModelError
        If the records do not fit together.
    """
    return _Compiler(knowledge, species, tuple(hypotheses), dict(overrides or {}), frozenset(silenced)).compile()


@dataclass
class _Compiler:
    knowledge: Knowledge
    species: Species
    hypotheses: tuple[str, ...]
    overrides: dict[str, float]
    silenced: frozenset[str]
    tape: Tape = field(default_factory=Tape)
    rest_values: dict[int, float] = field(default_factory=dict)
    node_relax: dict[int, int] = field(default_factory=dict)
    activities: dict[str, Activity] = field(default_factory=dict)
    populations: dict[str, tuple[Population, RestingPopulation]] = field(default_factory=dict)
    cells_at: dict[tuple[str, int], list[Slot]] = field(default_factory=dict)
    death_rates: dict[str, float] = field(default_factory=dict)
    secretions: dict[str, list[tuple[str, Secretes]]] = field(default_factory=lambda: defaultdict(list))
    statements: dict[str, list[Statement]] = field(default_factory=lambda: defaultdict(list))
    stores: dict[str, str] = field(default_factory=dict)
    carried: set[str] = field(default_factory=set)
    carriers: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    # ------------------------------------------------------------------------------------------------ whole

    def compile(self) -> CompiledModel:
        """Write the tape and freeze it."""
        self._apply_hypotheses()
        self._check_overrides()
        self._gather_terms()
        self.gates = GateBuilder(self.tape, self.statements, self._regulator, self.p, self._gene_activity)
        self._declare_cells()
        self._declare_signals()
        self._declare_nodes()
        physics.write(self)
        self._write_signals()
        self._write_nodes()
        self._write_cells()
        physics.write_failure(self)
        self.gates.check_all_used()
        self._check_carriers()
        return self._freeze()

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

    def _check_overrides(self) -> None:
        for name, value in self.overrides.items():
            if name not in self.knowledge.parameter:
                raise unknown("parameter", name, self.knowledge.parameter, "see 'hepatalk list parameters'")
            if name.startswith("body."):
                raise ModelError(
                    f"parameter {name!r} is the condition of an animal, not of the model; allowed: a change in a "
                    "schedule (scale_demand, scale_inflow, set_parameter); put it there"
                )
            if not math.isfinite(value):
                raise ModelError(f"parameter {name!r}: value {value!r}; allowed: a finite number; correct the value")
        for row in self.silenced:
            if row not in self.knowledge.interaction:
                raise unknown("interaction", row, self.knowledge.interaction, "see 'hepatalk list interactions'")

    def _check_carriers(self) -> None:
        for target, rows in self.carriers.items():
            if target not in self.carried:
                near = ", ".join(nearest(target, sorted(self.carried)))
                raise KnowledgeError(
                    f"row {min(rows)}: 'carries' target {target!r} is nothing the model has; nearest: {near}; correct the target"
                )

    # ------------------------------------------------------------------------------------------- parameters

    def value(self, name: str, part: int | None = None) -> float:
        """Return the number of a parameter record for this species, with overrides."""
        record = self.knowledge.parameter.get(name)
        if record is None:
            known = list(self.knowledge.parameter)
            raise KnowledgeError(
                f"parameter {name!r} has no record; nearest: {', '.join(nearest(name, known))}; add it under parameters/"
            )
        number: float | tuple[float, float, float] = record.value
        if record.species and self.species in record.species:
            number = record.species[self.species]
        if name in self.overrides:
            number = self.overrides[name]
        if isinstance(number, tuple):
            if part is None:
                raise KnowledgeError(f"parameter {name!r} has three values where one is needed; give a single value")
            return number[part]
        return number

    def p(self, name: str) -> int:
        """Return the position of a named parameter on the tape."""
        return self.tape.param(name, self.value(name))

    def profile(self, name: str) -> tuple[float, float, float]:
        """Return a three-zone parameter, normalised so that its mean over zones is 1 (profile) or sum 1 (shares)."""
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

    def _gather(self, row: str, term: Secretes | Regulates | Carries | Stores) -> None:
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
            case Carries():
                self.carriers[term.target].add(row)

    def rows_of(self, target: str) -> set[str]:
        """Return the rows that a process or physical law carries."""
        self.carried.add(target)
        return self.carriers.get(target, set())

    # ---------------------------------------------------------------------------------------------- activities

    def _activity(self, name: str, cell: str, genes: tuple[str, ...], family: str | None) -> int | None:
        """Return the parameter that scales what these genes make in a cell type, or None without genes."""
        if family is not None:
            record = self.knowledge.family.get(family)
            if record is None:
                raise KnowledgeError(
                    f"{name}: family {family!r} is unknown; nearest: {', '.join(nearest(family, list(self.knowledge.family)))}; correct it"
                )
            genes = record.genes
            shares = record.shares or tuple(1.0 / len(genes) for _ in genes)
        else:
            shares = tuple(1.0 / len(genes) for _ in genes)
        symbols: dict[str, float] = defaultdict(float)
        for gene, share in zip(genes, shares, strict=True):
            entry = self.knowledge.gene.get(gene)
            if entry is None:
                raise KnowledgeError(
                    f"{name}: gene {gene!r} is unknown; nearest: {', '.join(nearest(gene, list(self.knowledge.gene)))}; correct it"
                )
            found = entry.symbols(self.species)
            for symbol in found:
                symbols[symbol] += share / len(found)
        if not symbols:
            return None
        position = self.tape.param(name, 1.0)
        self.activities[name] = Activity(name, cell, dict(symbols))
        return position

    def _gene_activity(self, gene: str, cell: str) -> int | None:
        return self._activity(f"activity.gene.{gene}@{cell}", cell, (gene,), None)

    def held(self, slot: Slot, label: str) -> Slot:
        """Return an operation that keeps the healthy value of a slot: what is left of a silenced influence."""
        resting = self.tape.param(f"rest:held {label}", float("nan"))
        return self.tape.op(Law.CONSTANT, [slot], [resting])

    def law(self, slot: Slot, name: str, target: str, zone: int | None) -> Slot:
        """Name the value of a physical law, held at rest when the statement that carries it is silenced."""
        rows = self.rows_of(target)
        label = f"{name}@{zone}" if zone else name
        if rows & self.silenced:
            slot = self.held(slot, label)
        one = self.tape.number(1.0)
        return self.tape.op(Law.PRODUCT, [slot], [one], name=label, rows=rows)

    # ------------------------------------------------------------------------------------------------- cells

    def _declare_cells(self) -> None:
        for cell in self.knowledge.cells:
            population = Population(cell)
            rate = self._base_rates(cell.id, population)
            share = self.value(cell.binucleate_share) if cell.binucleate_share else None
            resting = resting_population(population, rate, share)
            self.populations[cell.id] = (population, resting)
            shares = self.profile(cell.zone_share)
            for zone in cell.zones:
                here = []
                for compartment, amount in zip(population.compartments, resting.distribution, strict=True):
                    slot = self.tape.state(
                        f"{cell.id}.{compartment.label(cell)}@{zone}", "fraction of healthy count", extensive=True
                    )
                    self.rest_values[slot] = float(amount) * shares[zone - 1]
                    here.append(slot)
                self.cells_at[cell.id, zone] = here
                count = self.tape.state(f"{cell.id}.count@{zone}", "fraction of healthy count", extensive=True)
                self.rest_values[count] = shares[zone - 1]
                if cell.has_mass:
                    mass = self.tape.state(f"{cell.id}.mass@{zone}", "fraction of healthy mass", extensive=True)
                    self.rest_values[mass] = shares[zone - 1]

    def _base_rates(self, cell_id: str, population: Population) -> dict[str, float]:
        rates: dict[str, float] = {}
        stages = {s.id: s.stages for s in population.cell.states}
        for process in population.cell.processes:
            match process:
                case Transition() | Influx():
                    rates[process.id] = self.value(process.rate)
                case Timed():
                    rates[process.id] = stages[process.state] / self.value(process.duration)
                case _:
                    continue
            if not rates[process.id] >= 0:
                raise ModelError(
                    f"process {cell_id}.{process.id}: rate {rates[process.id]!r} per h; allowed: not negative; correct the parameter"
                )
        return rates

    def shares(self, cell: str, zone: int) -> float:
        """Return the resting share of a cell type in a zone (fraction of the type)."""
        return self.profile(self.knowledge.cell[cell].zone_share)[zone - 1]

    def slot(self, name: str) -> Slot:
        """Return the slot of a named quantity that must exist."""
        slot = self.tape.find(name)
        if slot is None:
            raise ModelError(f"the model has no quantity {name!r}; it is needed by a law; add the record that makes it")
        return slot

    def selected(self, cell: str, word: str | None, zone: int) -> tuple[Slot, float]:
        """Return the slot of the cells in a state (all when None) in a zone and their resting amount."""
        if word is None:
            return self.slot(f"{cell}.count@{zone}"), self.shares(cell, zone)
        population, resting = self.populations[cell]
        chosen = population.select(word)
        here = self.cells_at[cell, zone]
        one, zero = self.tape.number(1.0), self.tape.number(0.0)
        slot = self.tape.op(
            Law.LINEAR, [here[i] for i in chosen], [zero] + [one] * len(chosen), name=f"{cell}.{word}@{zone}"
        )
        return slot, float(resting.distribution[chosen].sum()) * self.shares(cell, zone)

    # -------------------------------------------------------------------------------------------- regulators

    def _regulator(self, name: str, zone: int) -> Slot:
        """Return the slot of a regulator's name as seen in a zone."""
        parts = name.split(".")
        slot: Slot | None = None
        if parts[0] == "signal" and len(parts) == 2:
            slot = self.tape.find(f"free.{parts[1]}@{zone}")
            slot = self.tape.find(f"free.{parts[1]}") if slot is None else slot
        elif parts[0] == "node" and len(parts) == 3:
            slot = self.tape.find(f"{name}@{zone}")
        elif parts[0] == "state" and len(parts) == 3 and parts[1] in self.populations:
            chosen, _ = self.selected(parts[1], parts[2], zone)
            total = self.slot(f"{parts[1]}.count@{zone}")
            slot = self.tape.op(
                Law.RATIO, [chosen, total], [self.tape.number(1.0), self.tape.number(1e-9)], name=f"{name}@{zone}"
            )
        else:
            slot = self.tape.find(f"{name}@{zone}")
            slot = self.tape.find(name) if slot is None else slot
        if slot is None:
            known = sorted(
                {
                    n.split("@")[0].replace("free.", "signal.")
                    for n in [*self.tape.state_names, *self.tape.op_names]
                    if n
                }
            )
            raise KnowledgeError(
                f"regulator {name!r} is nothing that zone {zone} has; nearest: {', '.join(nearest(name, known))}; correct the term"
            )
        return slot

    # ----------------------------------------------------------------------------------------------- signals

    def _declare_signals(self) -> None:
        for signal in self.knowledge.signals:
            local = signal.kind != "systemic"
            for zone in ZONES if local else (None,):
                at = f"@{zone}" if zone else ""
                slot = self.tape.state(f"signal.{signal.id}{at}", "x healthy mean")
                self.rest_values[slot] = self._resting_level(signal)[zone - 1] if zone else 1.0
                free = self.tape.param(f"free.{signal.id}", 1.0)
                self.tape.op(Law.PRODUCT, [slot], [free], name=f"free.{signal.id}{at}")
                if signal.id in self.stores:
                    store = self.tape.state(f"store.{signal.id}{at}", "x healthy free amount", extensive=True)
                    self.rest_values[store] = (
                        self.value(signal.store or "") * self._resting_level(signal)[(zone or 1) - 1]
                    )

    def _supply_profile(self, signal: Signal) -> tuple[float, float, float]:
        """Return the resting supply of a local signal per zone (mean 1 over the volume of the lobule)."""
        raw = self.profile(signal.zone_profile) if signal.zone_profile else (1.0, 1.0, 1.0)
        if not signal.blood_share:
            # A zone without any cell that releases the signal is supplied by mixing alone.
            terms = [s for _, s in self.secretions.get(signal.id, []) if s.cell in self.knowledge.cell]
            has = [any(z in self.knowledge.cell[s.cell].zones for s in terms) for z in ZONES]
            raw = (raw[0] * has[0], raw[1] * has[1], raw[2] * has[2])
        mean = sum(raw) / 3.0 or 1.0
        return (raw[0] / mean, raw[1] / mean, raw[2] / mean)

    def _resting_level(self, signal: Signal) -> tuple[float, float, float]:
        """Return the resting level per zone: supply against clearance and mixing with the mean."""
        k = self.clearance(signal)
        mixing = self.value(signal.mixing) if signal.mixing else 0.0
        a, b, c = ((k * s + mixing) / (k + mixing) for s in self._supply_profile(signal))
        return (a, b, c)

    def clearance(self, signal: Signal) -> float:
        """Return the clearance rate constant of a signal, per h."""
        return math.log(2.0) / self.value(signal.half_life)

    def _write_signals(self) -> None:
        for signal in self.knowledge.signals:
            if signal.kind == "systemic":
                self._write_body_signal(signal)
            else:
                for zone in ZONES:
                    self._write_local_signal(signal, zone)

    def _write_body_signal(self, signal: Signal) -> None:
        """Amount balance in the blood: inflow x gates - clearance by what removes it."""
        t = self.tape
        k = t.param(f"clearance.{signal.id}", self.clearance(signal))
        slot = self.slot(f"signal.{signal.id}")
        activity = self._activity(f"activity.signal.{signal.id}@blood", "blood", signal.genes, signal.family)
        for target in (f"secretion.{signal.id}", f"clearance.{signal.id}"):
            self.gates.ask(target)
        # Blood-borne signals see the lobule as a whole; statements on their supply are read in the middle zone.
        factors = self.gates.gate(f"secretion.{signal.id}", 2)
        supply = t.op(
            Law.PRODUCT, [self.slot("inflow"), *factors], [k, *([activity] if activity is not None else [])],
            name=f"supply.{signal.id}", rows=[*signal.rows, *self.rows_of(f"supply.{signal.id}")],
        )  # fmt: skip
        remover = {"volume": "volume", "HEP": "capacity", "KC": "KC.total", "none": ""}[signal.cleared_by]
        removed = t.op(
            Law.PRODUCT,
            [slot, *([self.slot(remover)] if remover else []), *self.gates.gate(f"clearance.{signal.id}", 2)],
            [k],
        )
        if self.rows_of(f"supply.{signal.id}") & self.silenced:
            return  # the signal stays at its resting level
        t.flux(slot, supply, 1.0)
        t.flux(slot, removed, -1.0)
        added = t.param(f"supply.{signal.id}", 0.0)
        t.flux(slot, t.op(Law.PRODUCT, [], [k, added], name=f"added.{signal.id}"), 1.0)

    def _write_local_signal(self, signal: Signal, zone: int) -> None:
        t = self.tape
        k = t.param(f"clearance.{signal.id}", self.clearance(signal))
        slot = self.slot(f"signal.{signal.id}@{zone}")
        sources = self._sources(signal, zone)
        if not sources:
            raise KnowledgeError(
                f"signal {signal.id!r} has no source; add a 'secretes' term to a row, or a blood_share to the signal"
            )
        one = t.number(1.0)
        supplied = t.op(
            Law.LINEAR,
            sources,
            [t.param(f"supply.{signal.id}", 0.0)] + [one] * len(sources),
            name=f"supply.{signal.id}@{zone}",
        )
        t.flux(slot, t.op(Law.PRODUCT, [supplied], [k]), 1.0)
        for target in (f"secretion.{signal.id}", f"clearance.{signal.id}", f"release.{signal.id}"):
            self.gates.ask(target)
        t.flux(
            slot,
            t.op(
                Law.PRODUCT,
                [slot, *self.gates.gate(f"clearance.{signal.id}", zone)],
                [k],
                name=f"removal.{signal.id}@{zone}",
            ),
            -1.0,
        )
        if signal.mixing:
            m = self.p(signal.mixing)
            third = t.number(1.0 / 3.0)
            mean = t.op(
                Law.LINEAR, [self.slot(f"signal.{signal.id}@{z}") for z in ZONES], [t.number(0.0), third, third, third]
            )
            mean = self.law(mean, f"mean.{signal.id}", f"mixing.{signal.id}", None)
            t.flux(slot, t.op(Law.PRODUCT, [mean], [m]), 1.0)
            t.flux(slot, t.op(Law.PRODUCT, [slot], [m]), -1.0)
        if signal.id in self.stores:
            self._write_store(signal, zone)

    def _sources(self, signal: Signal, zone: int) -> list[Slot]:
        """Return one slot per source of a local signal: share x activity x gates x density of the releasing cells."""
        t = self.tape
        terms = [
            (row, s)
            for row, s in self.secretions.get(signal.id, [])
            if zone in self.knowledge.cell[self._known_cell(row, s.cell)].zones
        ]
        weight = {id(s): self.value(s.share) for _, s in terms}
        blood = self.value(signal.blood_share) if signal.blood_share else 0.0
        total = sum(weight.values()) + blood
        supply = self._supply_profile(signal)[zone - 1]
        if not terms and not blood:
            return [] if not self.secretions.get(signal.id) else [t.op(Law.PRODUCT, [], [t.number(0.0)])]
        slots = []
        for row, term in terms:
            cells, resting = self.selected(term.cell, term.state, zone)
            density = t.op(Law.RATIO, [cells, self.slot(f"volume@{zone}")],
                           [t.param(f"rest:density {term.cell}.{term.state or 'all'}@{zone}", self.zone_volume(zone) / resting), t.number(1e-6)])  # fmt: skip
            target = f"secretion.{signal.id}.{term.cell}"
            self.gates.ask(target)
            factors = self.gates.gate(target, zone, also=[f"secretion.{signal.id}"])
            activity = self._activity(
                f"activity.signal.{signal.id}@{term.cell}", term.cell, signal.genes, signal.family
            )
            share = t.param(
                f"rest:share {signal.id} {term.cell}.{term.state or 'all'}@{zone}", supply * weight[id(term)] / total
            )
            arguments = [share, *([activity] if activity is not None else [])]
            name = f"source.{signal.id}.{term.cell}.{term.state or 'all'}@{zone}"
            if row in self.silenced:
                slots.append(t.op(Law.PRODUCT, [], [share], name=name, rows=[row]))
            else:
                slots.append(t.op(Law.PRODUCT, [density, *factors], arguments, name=name, rows=[row]))
        if blood:
            share = t.param(f"rest:share {signal.id} blood@{zone}", supply * blood / total)
            factors = self.gates.gate(f"secretion.{signal.id}", zone)
            slots.append(
                self.law(
                    t.op(Law.PRODUCT, [self.slot("flow"), *factors], [share]),
                    f"source.{signal.id}.blood",
                    f"blood.{signal.id}",
                    zone,
                )
            )
        return slots

    def _known_cell(self, row: str, cell: str) -> str:
        if cell not in self.knowledge.cell:
            raise KnowledgeError(
                f"row {row}: cell {cell!r} is unknown; allowed: {', '.join(self.knowledge.cell)}; correct the term"
            )
        return cell

    def zone_volume(self, zone: int) -> float:
        """Return the resting volume of a zone as a fraction of the healthy liver."""
        return physics.resting_zone_volume(self, zone)

    def _write_store(self, signal: Signal, zone: int) -> None:
        """Matrix-bound pool: free factor binds in proportion to matrix, bound factor is released; balanced at rest.

        The pool is an amount (it shrinks with the liver), the free factor a concentration: hence the volume.
        """
        t = self.tape
        row = self.stores[signal.id]
        slot, store = self.slot(f"signal.{signal.id}@{zone}"), self.slot(f"store.{signal.id}@{zone}")
        size, release = self.value(signal.store or ""), self.value(signal.release or "")
        volume = self.slot(f"volume@{zone}")
        resting_volume = self.zone_volume(zone)
        matrix, free = self.slot(f"free.ECM@{zone}"), self.slot(f"free.{signal.id}@{zone}")
        factors = self.gates.gate(f"release.{signal.id}", zone)
        if self.rows_of(f"release.{signal.id}") & self.silenced:
            factors = []
        if row in self.silenced:
            return
        freed = t.op(Law.PRODUCT, [store, *factors], [self.p(signal.release or "")],
                     name=f"release.{signal.id}@{zone}", rows=[row, *self.rows_of(f"release.{signal.id}")])  # fmt: skip
        per_volume = t.op(Law.RATIO, [freed, volume], [t.number(resting_volume), t.number(1e-6)])
        # ECM is normalised to its healthy mean, which differs between zones only if the matrix had a profile.
        binding = t.param(f"rest:binding {signal.id}", size * release)
        bound = t.op(Law.PRODUCT, [free, matrix], [binding], name=f"binding.{signal.id}@{zone}", rows=[row])
        in_pool = t.op(Law.PRODUCT, [bound, volume], [t.number(1.0 / resting_volume)])
        t.flux(slot, per_volume, 1.0)
        t.flux(slot, bound, -1.0)
        t.flux(store, in_pool, 1.0)
        t.flux(store, freed, -1.0)

    # ------------------------------------------------------------------------------------------------- nodes

    def _declare_nodes(self) -> None:
        for node in self.knowledge.nodes:
            for zone in self.knowledge.cell[node.cell].zones:
                slot = self.tape.state(f"node.{node.cell}.{node.id}@{zone}", "activity, 0 to 1")
                self.rest_values[slot] = 0.0

    def _write_nodes(self) -> None:
        for node in self.knowledge.nodes:
            name = f"node.{node.cell}.{node.id}"
            self.gates.ask(name)
            activity = self._activity(f"activity.{name}", node.cell, node.genes, node.family)
            ymax = activity if activity is not None else self.tape.number(1.0)
            for zone in self.knowledge.cell[node.cell].zones:
                slot = self.slot(f"{name}@{zone}")
                target = self.gates.node_target(name, zone)
                rows = self.rows_of(name)
                if rows & self.silenced:
                    target = self.held(target, f"{name}@{zone}")
                relax = self.tape.op(
                    Law.RELAX, [target, slot], [ymax, self.p(node.tau)], name=f"relax.{name}@{zone}", rows=rows
                )
                self.tape.flux(slot, relax, 1.0)
                self.node_relax[slot] = relax

    # ------------------------------------------------------------------------------------- cells, in motion

    def _write_cells(self) -> None:
        for cell, (population, resting) in self.populations.items():
            for zone in population.cell.zones:
                self._write_population(cell, population, resting, zone)

    def _process_rate(
        self, cell: str, process: Transition | Timed | Death | Influx | Growth, base: int, zone: int
    ) -> Slot:
        name = f"process.{cell}.{process.id}"
        self.gates.ask(name)
        factors = self.gates.gate(name, zone)
        if self.rows_of(name) & self.silenced:
            factors = []
        return self.tape.op(
            Law.PRODUCT, factors, [base], name=f"{name}@{zone}", rows=[*process.rows, *self.rows_of(name)]
        )

    def _write_population(self, cell: str, population: Population, resting: RestingPopulation, zone: int) -> None:
        t = self.tape
        here = self.cells_at[cell, zone]
        count = self.slot(f"{cell}.count@{zone}")
        stages = {s.id: s.stages for s in population.cell.states}
        rates: dict[str, Slot] = {}
        for process in population.cell.processes:
            if isinstance(process, Transition):
                rates[process.id] = self._process_rate(cell, process, self.p(process.rate), zone)
            elif isinstance(process, Timed):
                pace = t.param(f"pace.{cell}.{process.id}", stages[process.state] / self.value(process.duration))
                rates[process.id] = self._process_rate(cell, process, pace, zone)
        single = double = None
        if population.cell.binucleation:
            single, double = self._binucleation(cell, resting.binucleation, zone)
        for move in population.moves():
            flow = t.op(Law.PRODUCT, [rates[move.process], here[move.origin]], [])
            t.flux(here[move.origin], flow, -1.0)
            made = flow
            if move.binucleating and single is not None and double is not None:
                made = t.op(Law.PRODUCT, [flow, single], [])
                paired = t.op(Law.PRODUCT, [flow, double], [])
                for target in move.binucleating:
                    t.flux(here[target], paired, 1.0)
            for target, number in move.arrivals:
                t.flux(here[target], made, number)
                if number > 1.0:
                    t.flux(count, made, number - 1.0)
        self._write_loss_and_gain(cell, population, resting, zone)

    def _binucleation(self, cell: str, probability: float, zone: int) -> tuple[Slot, Slot]:
        """Return the slots of (1 - p) and p, where p is the probability that a division skips cytokinesis.

        Statements act on the odds p/(1 - p), so that p stays a probability however strong they are.
        """
        t = self.tape
        self.gates.ask(f"binucleation.{cell}")
        base = t.param(f"rest:binucleation odds {cell}", probability / (1.0 - probability))
        odds = t.op(
            Law.PRODUCT, self.gates.gate(f"binucleation.{cell}", zone), [base], name=f"binucleation.{cell}@{zone}"
        )
        one = t.number(1.0)
        p = t.op(Law.HILL, [odds], [one, one])
        return t.op(Law.NOT, [p], [one]), p

    def _write_loss_and_gain(self, cell: str, population: Population, resting: RestingPopulation, zone: int) -> None:
        t = self.tape
        here, count = self.cells_at[cell, zone], self.slot(f"{cell}.count@{zone}")
        deaths = []
        given = sum(
            self.value(p.rate) for p in population.cell.processes if isinstance(p, Death) and p.rate != "solved"
        )
        if given >= resting.death_rate:
            raise ModelError(
                f"cell type {cell}: its stated death rates ({given:.3g} per h) exceed its healthy turnover ({resting.death_rate:.3g} per h); lower them"
            )
        self.death_rates[cell] = resting.death_rate
        for process in population.cell.processes:
            if isinstance(process, Death):
                base = (
                    t.param(f"rest:death {cell}.{process.id}", resting.death_rate - given)
                    if process.rate == "solved"
                    else self.p(process.rate)
                )
                deaths.append(self._process_rate(cell, process, base, zone))
            elif isinstance(process, Influx):
                self._write_influx(cell, population, process, zone)
        total = t.op(Law.LINEAR, deaths, [t.number(0.0)] + [t.number(1.0)] * len(deaths), name=f"death.{cell}@{zone}")
        for slot in (*here, count):
            t.flux(slot, t.op(Law.PRODUCT, [total, slot], []), -1.0)
        for process in population.cell.processes:
            if isinstance(process, Growth):
                self._write_growth(cell, process, total, zone)

    def _write_influx(self, cell: str, population: Population, process: Influx, zone: int) -> None:
        t = self.tape
        rate = self._process_rate(cell, process, self.p(process.rate), zone)
        arriving = t.op(Law.PRODUCT, [rate, self.slot("inflow")], [t.number(self.shares(cell, zone))])
        here = self.cells_at[cell, zone]
        for i in influx_targets(population, process):
            t.flux(here[i], arriving, 1.0)
        t.flux(self.slot(f"{cell}.count@{zone}"), arriving, 1.0)

    def _write_growth(self, cell: str, process: Growth, death: Slot, zone: int) -> None:
        """dM/dt = (k + d0) N G - (k + d) M: synthesis per cell, decay per mass; v = M/N settles at G."""
        t = self.tape
        count, mass = self.slot(f"{cell}.count@{zone}"), self.slot(f"{cell}.mass@{zone}")
        k = self.value(process.rate)
        base = t.param(f"rest:synthesis {cell}.{process.id}", k + self.death_rates[cell])
        synthesis = self._process_rate(cell, process, base, zone)
        t.flux(mass, t.op(Law.PRODUCT, [synthesis, count], []), 1.0)
        t.flux(mass, t.op(Law.PRODUCT, [mass], [self.p(process.rate)]), -1.0)
        t.flux(mass, t.op(Law.PRODUCT, [death, mass], []), -1.0)

    # ------------------------------------------------------------------------------------------------ freeze

    def _freeze(self) -> CompiledModel:
        t = self.tape
        rest = np.array([self.rest_values[i] for i in range(len(t.state_names))])
        rest, params = fill_resting_values(t, rest, self.node_relax)
        input_start, inputs = t.flat(t.inputs, slots=True)
        argument_start, arguments = t.flat(t.arguments, slots=False)
        by_state: dict[int, dict[int, float]] = defaultdict(lambda: defaultdict(float))
        for state, slot, coefficient in t.fluxes:
            by_state[state][t.settle(slot)] += coefficient
        flux_lists = [list(by_state[i]) for i in range(len(t.state_names))]
        coefficient = np.array([by_state[i][j] for i, js in enumerate(flux_lists) for j in js])
        flux_start = np.zeros(len(flux_lists) + 1, dtype=np.int64)
        flux_start[1:] = np.cumsum([len(x) for x in flux_lists])
        return CompiledModel(
            species=self.species,
            knowledge_version=self.knowledge.version,
            zones=len(ZONES),
            state_names=tuple(t.state_names),
            state_units=tuple(t.state_units),
            slot_names=tuple(t.op_names),
            param_names=tuple(t.param_names),
            extensive=np.array(t.extensive),
            rest=rest,
            params=params,
            law=np.array([int(x) for x in t.law], dtype=np.int64),
            input_start=input_start,
            inputs=inputs,
            argument_start=argument_start,
            arguments=arguments,
            flux_start=flux_start,
            flux=np.array([j for js in flux_lists for j in js], dtype=np.int64),
            coefficient=coefficient,
            rows=tuple(tuple(sorted(r)) for r in t.rows),
            input_rows=tuple(row for rows in t.input_rows for row in rows),
            activities=tuple(self.activities.values()),
            relabel=self._relabel(),
            groups=self._groups(),
        )

    def _relabel(self) -> Relabel:
        """Pair every compartment that bears a label with the one of the same cells without it."""
        settled, fresh = [], []
        for cell, (population, _) in self.populations.items():
            for zone in population.cell.zones:
                here = self.cells_at[cell, zone]
                for i, c in enumerate(population.compartments):
                    plain = replace(
                        c, lineage=population.cell.lineages[0], generation=None if c.generation is None else 0
                    )
                    if plain != c:
                        settled.append(here[i])
                        fresh.append(here[population.position[plain]])
        return Relabel(np.array(settled, dtype=np.int64), np.array(fresh, dtype=np.int64))

    def _groups(self) -> dict[str, np.typing.NDArray[np.int64]]:
        groups: dict[str, list[int]] = defaultdict(list)
        for cell, (population, _) in self.populations.items():
            for zone in population.cell.zones:
                groups[f"{cell}.count"].append(self.slot(f"{cell}.count@{zone}"))
                if population.cell.has_mass:
                    groups[f"{cell}.mass"].append(self.slot(f"{cell}.mass@{zone}"))
                for slot, c in zip(self.cells_at[cell, zone], population.compartments, strict=True):
                    groups[cell].append(slot)
                    groups[f"{cell}.{c.state}"].append(slot)
                    if len(population.cell.lineages) > 1:
                        groups[f"{cell}.{c.lineage}"].append(slot)
                    if len(population.cell.nuclei) > 1:
                        groups[f"{cell}.{c.nuclei}"].append(slot)
                    if c.generation is not None:
                        groups[f"{cell}.generation{c.generation}"].append(slot)
                        groups[f"{cell}.{c.state}.generation{c.generation}"].append(slot)
        return {name: np.array(slots, dtype=np.int64) for name, slots in groups.items()}
