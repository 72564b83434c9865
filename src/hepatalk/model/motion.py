"""Cells on the tape: their states in each zone, and what moves, makes, enlarges and removes them.

Which compartments a cell type has, and which moves there are among them, is told by `hepatalk.model.populations`;
here each move gets its rate: baseline x the gates of the statements that act on its process. A process that carries a
silenced row runs at its baseline.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hepatalk.errors import ModelError
from hepatalk.knowledge.records import CellProcess, Conversion, Death, Growth, Influx, Migration, Timed, Transition
from hepatalk.model import conversion
from hepatalk.model.laws import Law
from hepatalk.model.populations import Population, RestingPopulation, influx_targets, resting_population
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
        shares = c.profile(cell.zone_share)
        for zone in cell.zones:
            _declare_in_zone(c, population, resting, zone, shares[zone - 1])


def _declare_in_zone(c: Compiler, population: Population, resting: RestingPopulation, zone: int, share: float) -> None:
    cell = population.cell
    here = []
    for compartment, amount in zip(population.compartments, resting.distribution, strict=True):
        name = f"{cell.id}.{compartment.label(cell)}@{zone}"
        slot = c.tape.state(name, "fraction of healthy count", extensive=True)
        c.rest_values[slot] = float(amount) * share
        here.append(slot)
    c.cells_at[cell.id, zone] = here
    count = c.tape.state(f"{cell.id}.count@{zone}", "fraction of healthy count", extensive=True)
    c.rest_values[count] = share
    if cell.has_mass:
        mass = c.tape.state(f"{cell.id}.mass@{zone}", "fraction of healthy mass", extensive=True)
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
    """Write what moves the cells of every type in every zone.

    Raises
    ------
    ModelError
        If the stated death rates of a cell type exceed its healthy turnover.
    """
    for cell, (population, resting) in c.populations.items():
        for zone in population.cell.zones:
            _write_moves(c, cell, population, resting, zone)
            _write_loss_and_gain(c, cell, population, zone)
            _write_travel(c, cell, population, zone)


def _process_rate(c: Compiler, cell: str, process: CellProcess, base: int, zone: int) -> Slot:
    """Return the slot of a process's rate: baseline (position of a parameter, per h) x gates."""
    name = f"process.{cell}.{process.id}"
    c.gates.ask(name)
    factors = c.gates.gate(name, zone)
    if c.is_silenced(name):
        factors = []
    return c.tape.op(Law.PRODUCT, factors, [base], name=f"{name}@{zone}", rows=[*process.rows, *c.rows_of(name)])


# ------------------------------------------------------------------------------------------- moves among compartments


def _write_moves(c: Compiler, cell: str, population: Population, resting: RestingPopulation, zone: int) -> None:
    t = c.tape
    here = c.cells_at[cell, zone]
    count = c.slot(f"{cell}.count@{zone}")
    rates = _move_rates(c, cell, population, zone)
    single = double = None
    if population.cell.binucleation:
        single, double = _binucleation(c, cell, resting.binucleation, zone)
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
                c.made.setdefault((cell, zone), []).append((made, number - 1.0))


def _move_rates(c: Compiler, cell: str, population: Population, zone: int) -> dict[str, Slot]:
    stages = {s.id: s.stages for s in population.cell.states}
    rates: dict[str, Slot] = {}
    for process in population.cell.processes:
        if isinstance(process, Transition):
            rates[process.id] = _process_rate(c, cell, process, c.p(process.rate), zone)
        elif isinstance(process, Timed):
            pace = c.tape.param(f"pace.{cell}.{process.id}", stages[process.state] / c.value(process.duration))
            rates[process.id] = _process_rate(c, cell, process, pace, zone)
    return rates


def _binucleation(c: Compiler, cell: str, probability: float, zone: int) -> tuple[Slot, Slot]:
    """Return the slots of (1 - p) and p, where p is the probability that a division skips cytokinesis.

    Statements act on the odds p/(1 - p), so that p stays a probability however strong they are.
    """
    t = c.tape
    name = f"binucleation.{cell}"
    c.gates.ask(name)
    base = t.param(f"rest:binucleation odds {cell}", probability / (1.0 - probability))
    odds = t.op(Law.PRODUCT, c.gates.gate(name, zone), [base], name=f"{name}@{zone}")
    one = t.number(1.0)
    p = t.op(Law.HILL, [odds], [one, one])
    return t.op(Law.NOT, [p], [one]), p


# ------------------------------------------------------------------------------------------ death, arrival and growth


def death_rate(c: Compiler, cell: str, zone: int) -> Slot:
    """Return the slot of the death rate of a cell type in a zone, per h; written when it is first asked for.

    Raises
    ------
    ModelError
        If the stated death rates of the cell type exceed its healthy turnover.
    """
    t = c.tape
    name = f"death.{cell}@{zone}"
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
        deaths.append(_process_rate(c, cell, process, base, zone))
    return t.op(Law.LINEAR, deaths, [t.number(0.0)] + [t.number(1.0)] * len(deaths), name=name)


def _write_loss_and_gain(c: Compiler, cell: str, population: Population, zone: int) -> None:
    t = c.tape
    here, count = c.cells_at[cell, zone], c.slot(f"{cell}.count@{zone}")
    total = death_rate(c, cell, zone)
    for slot in (*here, count):
        t.flux(slot, t.op(Law.PRODUCT, [total, slot], []), -1.0)
    for process in population.cell.processes:
        if isinstance(process, Influx):
            _write_influx(c, cell, population, process, zone)
        elif isinstance(process, Growth):
            _write_growth(c, cell, process, total, zone)


def _write_travel(c: Compiler, cell: str, population: Population, zone: int) -> None:
    """Write what takes cells out of their type or zone: conversions, and migration to the next zone."""
    for process in population.cell.processes:
        if isinstance(process, Conversion) and zone in c.knowledge.cell[process.becomes].zones:
            given = conversion.base_rate(c, cell, process, zone)
            solved = process.rate == "solved"
            base = c.tape.param(f"rest:{cell}.{process.id}@{zone}", given) if solved else c.p(process.rate)
            conversion.write_conversion(c, cell, process, _process_rate(c, cell, process, base, zone), zone)
        elif isinstance(process, Migration) and zone + 1 in population.cell.zones:
            rate = _process_rate(c, cell, process, c.p(process.rate), zone)
            conversion.write_migration(c, cell, process, rate, zone)


def _write_influx(c: Compiler, cell: str, population: Population, process: Influx, zone: int) -> None:
    """Cells arrive with the portal inflow: rate x inflow x the zone's share of the type.

    Where the process names a lineage, the fraction e^3/(1 + e^3) of the arrivals bears it, e being the excess over the
    healthy rate in units of that rate (none in health, half at twofold arrival); the rest counts as resident.
    """
    t = c.tape
    rate = _process_rate(c, cell, process, c.p(process.rate), zone)
    arriving = t.op(Law.PRODUCT, [rate, c.slot("inflow")], [t.number(c.shares(cell, zone))])
    here, first = c.cells_at[cell, zone], population.cell.lineages[0]
    t.flux(c.slot(f"{cell}.count@{zone}"), arriving, 1.0)
    lineage, healthy = process.lineage or first, c.value(process.rate) * c.shares(cell, zone)
    if lineage == first or healthy == 0.0:
        for i in influx_targets(population, process, lineage):
            t.flux(here[i], arriving, 1.0)
        return
    one = t.number(1.0)
    beyond = t.op(Law.LINEAR, [arriving], [t.number(-1.0), t.number(1.0 / healthy)])
    labelled = t.op(Law.HILL, [beyond], [one, t.number(3.0)])
    for i in influx_targets(population, process, lineage):
        t.flux(here[i], t.op(Law.PRODUCT, [arriving, labelled], []), 1.0)
    for i in influx_targets(population, process, first):
        t.flux(here[i], t.op(Law.PRODUCT, [arriving, t.op(Law.NOT, [labelled], [one])], []), 1.0)


def _write_growth(c: Compiler, cell: str, process: Growth, death: Slot, zone: int) -> None:
    """dM/dt = (k + d0 + e) G M v^-q - (k + d) M, v = M/N: synthesis falls short in cells that are large already.

    e makes good what new cells lack where cells of other types join (`hepatalk.model.conversion`). With q = 1 a cell
    would tend to the size G; with q near 0 it would grow as long as G is above 1.
    """
    t = c.tape
    mass, size = c.slot(f"{cell}.mass@{zone}"), c.slot(f"size@{zone}")
    k = c.value(process.rate)
    lacking = conversion.carried_mass(c, cell, zone)
    base = t.param(f"rest:synthesis {cell}.{process.id}@{zone}", k + c.death_rates[cell] + lacking)
    synthesis = _process_rate(c, cell, process, base, zone)
    opposing = t.param(f"rest:minus {process.restoring}", -c.value(process.restoring))
    shortfall = t.op(Law.POWER, [size], [t.number(1.0), opposing])
    t.flux(mass, t.op(Law.PRODUCT, [synthesis, mass, shortfall], []), 1.0)
    t.flux(mass, t.op(Law.PRODUCT, [mass], [c.p(process.rate)]), -1.0)
    t.flux(mass, t.op(Law.PRODUCT, [death, mass], []), -1.0)
