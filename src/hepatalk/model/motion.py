"""Cells on the tape: their states in each place, and what moves, makes, enlarges and removes them.

Which compartments a cell type has, and which moves there are among them, is told by `hepatalk.model.populations`;
here each move gets its rate: baseline x the gates of the statements that act on its process. A process that carries a
silenced row runs at its baseline.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hepatalk.errors import ModelError
from hepatalk.knowledge.records import CellProcess, Conversion, Death, Growth, Influx, Migration, Timed, Transition
from hepatalk.model import conversion
from hepatalk.model.fates import Fate, FateKind, Growing
from hepatalk.model.laws import Law
from hepatalk.model.places import Place, at
from hepatalk.model.populations import Move, Population, RestingPopulation, influx_targets, resting_population
from hepatalk.model.tape import Slot

if TYPE_CHECKING:
    from hepatalk.model.compiler import Compiler

__all__ = ["death_rate", "declare", "write"]


def declare(c: Compiler) -> None:
    """Declare the states of all cells, with their healthy values.

    Raises
    ------
    ModelError
        For a negative rate, or a cell type whose healthy population cannot stand still.
    """
    for cell in c.knowledge.cells:
        population = Population(cell)
        rate = _base_rates(c, cell.id, population)
        share = c.value(cell.binucleate_share) if cell.binucleate_share else None
        resting = resting_population(population, rate, share)
        c.populations[cell.id] = (population, resting)
        c.death_rates[cell.id] = resting.death_rate
        for place in c.places_of(cell.id):
            _declare_in_place(c, population, resting, place)


def _declare_in_place(c: Compiler, population: Population, resting: RestingPopulation, place: Place) -> None:
    cell = population.cell
    share = c.shares(cell.id, place)
    here = []
    for compartment, amount in zip(population.compartments, resting.distribution, strict=True):
        name = f"{cell.id}.{compartment.label(cell)}@{place}"
        slot = c.tape.state(name, "fraction of healthy count", extensive=True)
        c.rest_values[slot] = float(amount) * share
        here.append(slot)
    c.cells_at[cell.id, place] = here
    count = c.tape.state(f"{cell.id}.count@{place}", "fraction of healthy count", extensive=True)
    c.rest_values[count] = share
    if cell.has_mass:
        mass = c.tape.state(f"{cell.id}.mass@{place}", "fraction of healthy mass", extensive=True)
        c.rest_values[mass] = share


def _base_rates(c: Compiler, cell: str, population: Population) -> dict[str, float]:
    """Return the baseline rate (per h; per stage of a timed process) of each move and influx."""
    rates: dict[str, float] = {}
    stages = {s.id: s.stages for s in population.cell.states}
    for process in population.cell.processes:
        match process:
            case Transition() | Influx():
                rates[process.id] = c.value(process.rate)
            case Timed():
                rates[process.id] = stages[process.state] / c.value(process.duration)
            case _:
                continue
        if not rates[process.id] >= 0:
            raise ModelError(
                f"process {cell}.{process.id}: rate {rates[process.id]!r} per h; allowed: not negative; "
                "correct the parameter"
            )
    return rates


def write(c: Compiler) -> None:
    """Write what moves the cells of every type in every place.

    Raises
    ------
    ModelError
        If the stated death rates of a cell type exceed its healthy turnover.
    """
    for cell, (population, resting) in c.populations.items():
        for place in c.places_of(cell):
            _write_moves(c, cell, population, resting, place)
            _write_loss_and_gain(c, cell, population, place)
            _write_travel(c, cell, population, place)


def _process_rate(c: Compiler, cell: str, process: CellProcess, base: int, place: Place) -> Slot:
    """Return the slot of a process's rate: baseline (position of a parameter, per h) x gates."""
    name = f"process.{cell}.{process.id}"
    c.gates.ask(name)
    factors = c.gates.gate(name, place)
    if c.is_silenced(name):
        factors = []
    return c.tape.op(Law.PRODUCT, factors, [base], name=f"{name}@{place}", rows=[*process.rows, *c.rows_of(name)])


# ------------------------------------------------------------------------------------------- moves among compartments


def _write_moves(c: Compiler, cell: str, population: Population, resting: RestingPopulation, place: Place) -> None:
    t = c.tape
    here = c.cells_at[cell, place]
    count = c.slot(f"{cell}.count@{place}")
    rates = _move_rates(c, cell, population, place)
    single = double = None
    if population.cell.binucleation:
        single, double = _binucleation(c, cell, resting.binucleation, place)
    for move in population.moves():
        flow = t.op(Law.PRODUCT, [rates[move.process], here[move.origin]], [])
        t.flux(here[move.origin], flow, -1.0)
        made = flow
        if move.binucleating and single is not None and double is not None:
            made = t.op(Law.PRODUCT, [flow, single], [])
            paired = t.op(Law.PRODUCT, [flow, double], [])
            for target in move.binucleating:
                t.flux(here[target], paired, 1.0)
        c.fates.append(_fate_of(cell, move, rates[move.process], here, double, place))
        for target, number in move.arrivals:
            t.flux(here[target], made, number)
            if number > 1.0:
                t.flux(count, made, number - 1.0)
                c.made.setdefault((cell, place), []).append((made, number - 1.0))


def _fate_of(cell: str, move: Move, rate: Slot, here: list[Slot], double: Slot | None, place: Place) -> Fate:
    """Return what a move is for one cell."""
    target, number = move.arrivals[0]
    kind = FateKind.DIVISION if number > 1.0 else FateKind.MOVE
    other = here[move.binucleating[0]] if move.binucleating and double is not None else None
    chance = double if other is not None else None
    return Fate(kind, f"{cell}.{move.process}", str(place), rate, here[move.origin], here[target], other, chance)


def _move_rates(c: Compiler, cell: str, population: Population, place: Place) -> dict[str, Slot]:
    stages = {s.id: s.stages for s in population.cell.states}
    rates: dict[str, Slot] = {}
    for process in population.cell.processes:
        if isinstance(process, Transition):
            rates[process.id] = _process_rate(c, cell, process, c.p(process.rate), place)
        elif isinstance(process, Timed):
            pace = c.tape.param(f"pace.{cell}.{process.id}", stages[process.state] / c.value(process.duration))
            rates[process.id] = _process_rate(c, cell, process, pace, place)
    return rates


def _binucleation(c: Compiler, cell: str, probability: float, place: Place) -> tuple[Slot, Slot]:
    """Return the slots of (1 - p) and p, where p is the probability that a division skips cytokinesis.

    Statements act on the odds p/(1 - p), so that p stays a probability however strong they are.
    """
    t = c.tape
    name = f"binucleation.{cell}"
    c.gates.ask(name)
    base = t.param(f"rest:binucleation odds {cell}", probability / (1.0 - probability))
    odds = t.op(Law.PRODUCT, c.gates.gate(name, place), [base], name=f"{name}@{place}")
    one = t.number(1.0)
    p = t.op(Law.HILL, [odds], [one, one])
    return t.op(Law.NOT, [p], [one]), p


# ------------------------------------------------------------------------------------------ death, arrival and growth


def death_rate(c: Compiler, cell: str, place: Place) -> Slot:
    """Return the slot of the death rate of a cell type in a place, per h; written when it is first asked for.

    Raises
    ------
    ModelError
        If the stated death rates of the cell type exceed its healthy turnover.
    """
    t = c.tape
    name = f"death.{cell}@{place}"
    written = t.find(name)
    if written is not None:
        return written
    processes = [p for p in c.populations[cell][0].cell.processes if isinstance(p, Death)]
    healthy, given = c.death_rates[cell], sum(c.value(p.rate) for p in processes if p.rate != "solved")
    if given >= healthy:
        raise ModelError(
            f"cell type {cell}: its stated death rates ({given:.3g} per h) exceed its healthy turnover "
            f"({healthy:.3g} per h); lower them"
        )
    deaths = []
    for process in processes:
        solved = process.rate == "solved"
        base = t.param(f"rest:death {cell}.{process.id}", healthy - given) if solved else c.p(process.rate)
        deaths.append(_process_rate(c, cell, process, base, place))
    return t.op(Law.LINEAR, deaths, [t.number(0.0)] + [t.number(1.0)] * len(deaths), name=name)


def _write_loss_and_gain(c: Compiler, cell: str, population: Population, place: Place) -> None:
    t = c.tape
    here, count = c.cells_at[cell, place], c.slot(f"{cell}.count@{place}")
    total = death_rate(c, cell, place)
    for slot in (*here, count):
        t.flux(slot, t.op(Law.PRODUCT, [total, slot], []), -1.0)
    for process in population.cell.processes:
        if isinstance(process, Death):
            dying = c.slot(f"process.{cell}.{process.id}@{place}")
            c.fates += [Fate(FateKind.DEATH, f"{cell}.{process.id}", str(place), dying, slot) for slot in here]
        if isinstance(process, Influx):
            _write_influx(c, cell, population, process, place)
        elif isinstance(process, Growth):
            _write_growth(c, cell, process, total, place)


def _write_travel(c: Compiler, cell: str, population: Population, place: Place) -> None:
    """Write what takes cells out of their type or zone: conversions, and migration to the next zone."""
    for process in population.cell.processes:
        if isinstance(process, Conversion) and place.zone in c.knowledge.cell[process.becomes].zones:
            given = conversion.base_rate(c, cell, process, place)
            solved = process.rate == "solved"
            base = c.tape.param(f"rest:{cell}.{process.id}@{place}", given) if solved else c.p(process.rate)
            conversion.write_conversion(c, cell, process, _process_rate(c, cell, process, base, place), place)
        elif isinstance(process, Migration) and place.zone + 1 in population.cell.zones:
            rate = _process_rate(c, cell, process, c.p(process.rate), place)
            conversion.write_migration(c, cell, process, rate, place)


def _write_influx(c: Compiler, cell: str, population: Population, process: Influx, place: Place) -> None:
    """Cells arrive with the blood of the lobe: rate x all of it x the zone's share of the type.

    Where the process names a lineage, the fraction e^3/(1 + e^3) of the arrivals bears it, e being the excess over the
    healthy rate in units of that rate (none in health, half at twofold arrival); the rest counts as resident.
    """
    t = c.tape
    rate = _process_rate(c, cell, process, c.p(process.rate), place)
    arriving = t.op(Law.PRODUCT, [rate, c.slot(at("blood", place.lobe))], [t.number(c.zone_share(cell, place.zone))])
    here, first = c.cells_at[cell, place], population.cell.lineages[0]
    t.flux(c.slot(f"{cell}.count@{place}"), arriving, 1.0)
    lineage, healthy = process.lineage or first, c.value(process.rate) * c.shares(cell, place)
    if lineage == first or healthy == 0.0:
        for i in influx_targets(population, process, lineage):
            t.flux(here[i], arriving, 1.0)
            c.fates.append(Fate(FateKind.ARRIVAL, f"{cell}.{process.id}", str(place), arriving, target=here[i]))
        return
    one = t.number(1.0)
    beyond = t.op(Law.LINEAR, [arriving], [t.number(-1.0), t.number(1.0 / healthy)])
    labelled = t.op(Law.HILL, [beyond], [one, t.number(3.0)])
    (bearing,) = influx_targets(population, process, lineage)
    (plain,) = influx_targets(population, process, first)
    t.flux(here[bearing], t.op(Law.PRODUCT, [arriving, labelled], []), 1.0)
    t.flux(here[plain], t.op(Law.PRODUCT, [arriving, t.op(Law.NOT, [labelled], [one])], []), 1.0)
    name = f"{cell}.{process.id}"
    states = {"target": here[plain], "other": here[bearing]}
    c.fates.append(Fate(FateKind.ARRIVAL, name, str(place), arriving, chance=labelled, **states))


def _write_growth(c: Compiler, cell: str, process: Growth, death: Slot, place: Place) -> None:
    """dM/dt = (k + d0 + e) G M v^-q - (k + d) M, v = M/N: synthesis falls short in cells that are large already.

    e makes good what new cells lack where cells of other types join (`hepatalk.model.conversion`). With q = 1 a cell
    would tend to the size G; with q near 0 it would grow as long as G is above 1.
    """
    t = c.tape
    mass, size = c.slot(f"{cell}.mass@{place}"), c.slot(f"size@{place}")
    k = c.value(process.rate)
    lacking = conversion.carried_mass(c, cell, place)
    base = t.param(f"rest:synthesis {cell}.{process.id}@{place}", k + c.death_rates[cell] + lacking)
    synthesis = _process_rate(c, cell, process, base, place)
    opposing = t.param(f"rest:minus {process.restoring}", -c.value(process.restoring))
    shortfall = t.op(Law.POWER, [size], [t.number(1.0), opposing])
    c.growing.append(Growing(cell, str(place), synthesis, c.p(process.rate), opposing))
    t.flux(mass, t.op(Law.PRODUCT, [synthesis, mass, shortfall], []), 1.0)
    t.flux(mass, t.op(Law.PRODUCT, [mass], [c.p(process.rate)]), -1.0)
    t.flux(mass, t.op(Law.PRODUCT, [death, mass], []), -1.0)
