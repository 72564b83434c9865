"""Cell populations: which compartments a cell type has, how cells move among them, and their healthy distribution.

A compartment is (state, stage, lineage, nuclei, generation) of a cell type in a zone. Generations count divisions since
time zero and are labels only, as lineages are: they never enter a rate. Stages of one state form a chain with equal
mean dwell times, so that the dwell time in the state is gamma distributed (the "linear chain trick").
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from hepatalk.errors import ModelError
from hepatalk.knowledge.records import CellType, Influx, Timed, Transition

__all__ = [
    "GENERATIONS",
    "Compartment",
    "Move",
    "Population",
    "RestingPopulation",
    "influx_targets",
    "resting_population",
]

Floats = npt.NDArray[np.float64]

#: Generations told apart: undivided since time zero, divided once, divided twice or more.
GENERATIONS = 3


@dataclass(frozen=True)
class Compartment:
    """One compartment of a cell type (in any zone).

    Attributes
    ----------
    state : str
    stage : int
        Place in the chain of stages of the state, from 0.
    lineage, nuclei : str
        As the cell type's record names them.
    generation : int or None
        Divisions since time zero, up to ``GENERATIONS - 1`` or more; None where they are not counted.
    """

    state: str
    stage: int
    lineage: str
    nuclei: str
    generation: int | None

    def label(self, cell: CellType) -> str:
        """Return the part of the state's name that tells this compartment from the others of the cell type."""
        parts = [self.state]
        if _stages(cell, self.state) > 1:
            parts.append(str(self.stage))
        if len(cell.lineages) > 1:
            parts.append(self.lineage)
        if len(cell.nuclei) > 1:
            parts.append(self.nuclei)
        if self.generation is not None:
            parts.append(f"generation{self.generation}")
        return ".".join(parts)


def _stages(cell: CellType, state: str) -> int:
    for s in cell.states:
        if s.id == state:
            return s.stages
    known = ", ".join(s.id for s in cell.states)
    raise ModelError(f"cell type {cell.id}: unknown state {state!r}; allowed: {known}; correct the process")


@dataclass(frozen=True)
class Move:
    """A movement between compartments, at the rate of the process it belongs to.

    Attributes
    ----------
    process : str
        Id of the process.
    origin : int
        The compartment that cells leave.
    arrivals : tuple of (int, float)
        Compartments that they reach, and how many cells arrive for each that left.
    binucleating : tuple of int or None
        Where a division may skip cytokinesis: the compartments of the one binucleate cell that it then makes.
    """

    process: str
    origin: int
    arrivals: tuple[tuple[int, float], ...]
    binucleating: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Population:
    """All compartments of a cell type and the moves among them; rates are looked up by process id.

    Parameters
    ----------
    cell : CellType
    """

    cell: CellType

    @cached_property
    def compartments(self) -> tuple[Compartment, ...]:
        """Compartments in a fixed order: lineage, nuclei, generation, state, stage."""
        generations: tuple[int | None, ...] = tuple(range(GENERATIONS)) if self.cell.counts_generations else (None,)
        return tuple(
            Compartment(state.id, stage, lineage, nuclei, generation)
            for lineage in self.cell.lineages
            for nuclei in self.cell.nuclei
            for generation in generations
            for state in self.cell.states
            for stage in range(state.stages)
        )

    @cached_property
    def position(self) -> dict[Compartment, int]:
        """Index of each compartment."""
        return {c: i for i, c in enumerate(self.compartments)}

    def moves(self) -> list[Move]:
        """Return every movement of the population's processes (deaths and influxes apart).

        Raises
        ------
        ModelError
            If a process names a state that the cell type does not have.
        """
        out: list[Move] = []
        for process in self.cell.processes:
            if isinstance(process, Transition):
                out += self._transition(process)
            elif isinstance(process, Timed):
                out += self._timed(process)
        return out

    def _transition(self, process: Transition) -> list[Move]:
        last = _stages(self.cell, process.origin) - 1
        return [
            Move(process.id, i, ((self._at(c, process.to, 0), 1.0),))
            for i, c in enumerate(self.compartments)
            if c.state == process.origin and c.stage == last
        ]

    def _timed(self, process: Timed) -> list[Move]:
        last = _stages(self.cell, process.state) - 1
        out = []
        for i, c in enumerate(self.compartments):
            if c.state != process.state:
                continue
            if c.stage < last:
                out.append(Move(process.id, i, ((self._at(c, c.state, c.stage + 1), 1.0),)))
            elif process.to is not None and not process.divides:
                out.append(Move(process.id, i, ((self._at(c, process.to, 0), 1.0),)))
            elif process.to is not None:
                out.append(self._division(process.id, process.to, i, c))
        return out

    def _division(self, process: str, to: str, i: int, c: Compartment) -> Move:
        """Return the division of compartment ``i`` into cells of state ``to``.

        A mononucleate cell makes two mononucleate daughters or one binucleate cell; a binucleate cell makes two
        mononucleate daughters.
        """
        generation = None if c.generation is None else min(c.generation + 1, GENERATIONS - 1)
        single = Compartment(to, 0, c.lineage, self.cell.nuclei[0], generation)
        if len(self.cell.nuclei) == 1 or c.nuclei != self.cell.nuclei[0]:
            return Move(process, i, ((self.position[single], 2.0),))
        double = Compartment(to, 0, c.lineage, self.cell.nuclei[1], generation)
        return Move(process, i, ((self.position[single], 2.0),), binucleating=(self.position[double],))

    def _at(self, c: Compartment, state: str, stage: int) -> int:
        return self.position[Compartment(state, stage, c.lineage, c.nuclei, c.generation)]

    def select(self, word: str) -> list[int]:
        """Return the compartments of a state, a lineage or nuclei class.

        'cycling' is g1, s and g2m; 'roused' is every state but the first, in which a healthy cell rests: an activated
        stellate cell stays one while it divides.

        Raises
        ------
        ModelError
            If the word selects nothing; names the words that do.
        """
        if word == "cycling":
            chosen = [i for i, c in enumerate(self.compartments) if c.state in ("g1", "s", "g2m")]
        elif word == "roused":
            chosen = [i for i, c in enumerate(self.compartments) if c.state != self.cell.states[0].id]
        else:
            chosen = [i for i, c in enumerate(self.compartments) if word in (c.state, c.lineage, c.nuclei)]
        if not chosen:
            words = {w for c in self.compartments for w in (c.state, c.lineage, c.nuclei)}
            allowed = sorted(words | {"cycling", "roused"})
            raise ModelError(
                f"cell type {self.cell.id}: no state {word!r}; allowed: {', '.join(allowed)}; correct the term"
            )
        return chosen

    @cached_property
    def settled(self) -> list[int]:
        """Compartments that carry the healthy population: the last generation, of the first lineage.

        Labels say nothing of what a cell does. Generations are made fresh at time zero; another lineage than the first
        is that of cells that came from the blood beyond what comes in health, so health has none of it.
        """
        first, last = self.cell.lineages[0], (None, GENERATIONS - 1)
        return [i for i, c in enumerate(self.compartments) if c.generation in last and c.lineage == first]


@dataclass(frozen=True)
class RestingPopulation:
    """The healthy population of a type, and what was solved for it.

    Attributes
    ----------
    distribution : (n_compartments,) float array
        Share of each compartment; sums to 1.
    death_rate : float
        Per h.
    binucleation : float
        Probability that a division of a mononucleate cell skips cytokinesis.
    """

    distribution: Floats
    death_rate: float
    binucleation: float


def resting_population(
    population: Population, rate: Mapping[str, float], binucleate_share: float | None
) -> RestingPopulation:
    """Solve the death rate (and the binucleation probability) at which the healthy population stands still.

    Parameters
    ----------
    population : Population
    rate : mapping
        Rate (per h, per stage) of each move process and each influx at rest.
    binucleate_share : float or None
        Share of binucleate cells that the resting population must have.

    Returns
    -------
    RestingPopulation

    Raises
    ------
    ModelError
        If no such death rate or probability exists.
    """
    # Here, not above: the import takes longer than all that is done with it, and a stored model needs none of it.
    from scipy.optimize import brentq

    keep = population.settled
    at = {k: i for i, k in enumerate(keep)}
    arrivals = np.zeros(len(keep))
    for process in population.cell.processes:
        if isinstance(process, Influx):
            for i in influx_targets(population, process, population.cell.lineages[0]):
                if i in at:
                    arrivals[at[i]] += rate[process.id]

    def solve(p: float) -> tuple[Floats, float]:
        return _standing_still(_move_matrix(population, rate, at, p), arrivals, population.cell.id)

    p = 0.0
    if binucleate_share is not None:
        double = [at[i] for i in population.select(population.cell.nuclei[1]) if i in at]

        def excess(q: float) -> float:
            return float(solve(q)[0][double].sum()) - binucleate_share

        if excess(0.0) > 0 or excess(0.999) < 0:
            raise ModelError(
                f"cell type {population.cell.id}: no binucleation probability gives a binucleate share of "
                f"{binucleate_share}; allowed: a share that divisions can make; correct the parameter"
            )
        p = float(brentq(excess, 0.0, 0.999, xtol=1e-15, rtol=8.9e-16))
    shares, death = solve(p)
    full = np.zeros(len(population.compartments))
    full[keep] = shares
    return RestingPopulation(full, death, p)


def _move_matrix(population: Population, rate: Mapping[str, float], at: Mapping[int, int], p: float) -> Floats:
    """Return A of dn/dt = A n (per h) over the compartments ``at``, with binucleation probability p."""
    a = np.zeros((len(at), len(at)))
    for move in population.moves():
        if move.origin not in at:
            continue
        k, o = rate[move.process], at[move.origin]
        a[o, o] -= k
        share = 1.0 - p if move.binucleating else 1.0
        for target, number in move.arrivals:
            a[at[target], o] += k * number * share
        for target in move.binucleating or ():
            a[at[target], o] += k * p
    return a


def influx_targets(population: Population, process: Influx, lineage: str) -> list[int]:
    """Return the compartments of a lineage in which cells from the blood arrive."""
    return [
        i
        for i, c in enumerate(population.compartments)
        if c.state == process.to
        and c.stage == 0
        and c.lineage == lineage
        and c.nuclei == population.cell.nuclei[0]
        and c.generation in (None, 0)
    ]


def _standing_still(a: Floats, arrivals: Floats, cell: str) -> tuple[Floats, float]:
    """Return (distribution, d) with (A - d I) n + arrivals = 0 and sum n = 1."""
    from scipy.optimize import brentq

    values, vectors = np.linalg.eig(a)
    lead = int(np.argmax(values.real))
    growth = float(values[lead].real)
    if not arrivals.any():
        n = np.abs(vectors[:, lead].real)
        n /= n.sum()
        d = growth
    else:
        eye = np.eye(len(a))

        def total(d: float) -> float:
            return float(np.linalg.solve(d * eye - a, arrivals).sum()) - 1.0

        low = growth * (1 + 1e-9) + 1e-12
        d = float(brentq(total, low, growth + 10 * arrivals.sum() + 1e-3, xtol=1e-18, rtol=8.9e-16))
        n = np.linalg.solve(d * eye - a, arrivals)
    if d <= 0 or (n < -1e-12).any():
        raise ModelError(
            f"cell type {cell}: its healthy population cannot stand still (turnover {d:.3g} per h); check its rates"
        )
    return n, d
