r"""The population model a second time: slow, plain, and as a modeller would write it on paper.

Nothing here is shared with the compiled model: no tape, no slots, no compiled law. The equations are written from the
records, over dictionaries keyed by state names, with Hill functions spelled out. The healthy state (cell distributions,
death rates, binucleation probability, node activities, resting sums of gates) is solved here by methods of its own.

Conventions. ``z`` is a zone (1, 2, 3), None for the whole body. All amounts and levels are relative to health, rates
are per hour. A number that a record gives is ``number(name)``; the same number in a running animal, which an experiment
may have changed, is ``m.now(name)`` of a moment ``m``. What was solved for the healthy animal never changes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.linalg import expm

from hepatalk.knowledge.load import Knowledge

ZONES = (1, 2, 3)
#: Divisions since time zero that are told apart: none, one, two or more. Healthy cells count as "two or more".
LAST_GENERATION = 2

#: Floors below which a denominator does not fall, so that removing a cell type leaves finite numbers.
FLOOR = 1e-6
FLOOR_CAPACITY = 1e-3
FLOOR_LSEC = 1e-3
FLOOR_SHARE = 1e-9
FLOOR_LABELLED = 1e-12
#: Hill power of the shortfall of function.
FAILURE_POWER = 3.0

State = Mapping[str, float]
Floats = npt.NDArray[np.float64]


# ------------------------------------------------------------------------------------------------ response functions


def hill(x: float, K: float, n: float) -> float:
    """Return x^n / (K^n + x^n); nothing responds to nothing."""
    return float(x**n / (K**n + x**n)) if x > 0 else 0.0


def normal_hill(x: float, K: float, n: float) -> float:
    """Return the Hill function stretched so that f(0) = 0, f(K) = 1/2, f(1) = 1; 1 beyond."""
    if x <= 0:
        return 0.0
    if x >= 1:
        return 1.0
    B = (K**n - 1) / (2 * K**n - 1)
    C_to_n = B - 1
    return float(B * x**n / (C_to_n + x**n))


def power(x: float, n: float) -> float:
    """Return x^n, 0 where there is nothing to raise."""
    return float(x**n) if x > 0 else 0.0


# -------------------------------------------------------------------------------------------------------- vocabulary


class Compartment(NamedTuple):
    """Cells of one type in one zone that are alike in everything the model tells apart."""

    state: str
    stage: int
    lineage: str
    nuclei: str
    generation: int | None


class Rest(NamedTuple):
    """A healthy cell type: its distribution over compartments (sum 1) and what had to be solved for it."""

    share: dict[Compartment, float]
    death: float
    binucleation: float


class Journey(NamedTuple):
    """A way from a type and zone to another: per-cell rate, cells that arrive for one, size of a new cell."""

    cell: Any
    zone: int
    other: Any
    at: int
    origin: str
    to: str | None
    rate: float
    fold: float
    size: float


def compartments(cell: Any) -> list[Compartment]:
    """Return every compartment of a cell type."""
    generations = range(LAST_GENERATION + 1) if cell.counts_generations else [None]
    return [
        Compartment(state.id, stage, lineage, nuclei, generation)
        for lineage in cell.lineages
        for nuclei in cell.nuclei
        for generation in generations
        for state in cell.states
        for stage in range(state.stages)
    ]


def stages(cell: Any, state: str) -> int:
    """Return the number of stages of a state."""
    (found,) = [s.stages for s in cell.states if s.id == state]
    return int(found)


def state_name(cell: Any, c: Compartment, z: int) -> str:
    """Return the name of a compartment; what does not vary within the type is left out."""
    words = [cell.id, c.state]
    if stages(cell, c.state) > 1:
        words.append(str(c.stage))
    if len(cell.lineages) > 1:
        words.append(c.lineage)
    if len(cell.nuclei) > 1:
        words.append(c.nuclei)
    if c.generation is not None:
        words.append(f"generation{c.generation}")
    return ".".join(words) + f"@{z}"


def is_a(c: Compartment, word: str | None) -> bool:
    """Tell whether a word means a compartment: a state, lineage, nuclei, 'cycling', 'roused' or all (None)."""
    if word is None:
        return True
    if word == "cycling":
        return c.state in ("g1", "s", "g2m")
    if word == "roused":
        return c.state not in ("quiescent", "resting")
    return word in (c.state, c.lineage, c.nuclei)


def moves(
    cell: Any, n: Mapping[Compartment, float], rate: Mapping[str, float], p: float
) -> tuple[dict[Compartment, float], float]:
    """Return how cells move among compartments, and how many are added by division, per h.

    ``rate`` is per cell of the stage that a process empties. A dividing cell with one nucleus makes two cells, or with
    probability p one cell with two nuclei; a cell with two nuclei makes two cells with one.
    """
    d = dict.fromkeys(n, 0.0)
    added = 0.0
    single, double = cell.nuclei[0], cell.nuclei[-1]
    for c, amount in n.items():
        last = c.stage == stages(cell, c.state) - 1
        for process in cell.processes:
            if process.kind == "transition" and process.origin == c.state and last:
                flow = rate[process.id] * amount
                d[c] -= flow
                d[c._replace(state=process.to, stage=0)] += flow
            if process.kind != "timed" or process.state != c.state:
                continue
            flow = rate[process.id] * amount
            if not last:
                d[c] -= flow
                d[c._replace(stage=c.stage + 1)] += flow
            elif process.to is None:
                pass  # the passage ends here: other processes lead out of the last stage
            elif not process.divides:
                d[c] -= flow
                d[c._replace(state=process.to, stage=0)] += flow
            else:
                older = None if c.generation is None else min(c.generation + 1, LAST_GENERATION)
                daughter = Compartment(process.to, 0, c.lineage, single, older)
                d[c] -= flow
                if single != double and c.nuclei == single:
                    d[daughter] += 2 * (1 - p) * flow
                    d[daughter._replace(nuclei=double)] += p * flow
                    added += (1 - p) * flow
                else:
                    d[daughter] += 2 * flow
                    added += flow
    return d, added


def _newton_step(
    A0: Floats, A1: Floats, arrivals: Floats, double: Floats, share: float | None, n: Floats, d: float, p: float
) -> tuple[Floats, float, float]:
    """Return one step of Newton for (A0 + p A1 - d) n + arrivals = 0, sum n = 1, double.n = share (p = 0 if None)."""
    size = len(n)
    A = A0 + p * A1 - d * np.eye(size)
    slope = np.zeros((size + 2, size + 2))
    slope[:size, :size], slope[:size, size], slope[:size, size + 1] = A, -n, A1 @ n
    slope[size, :size] = 1.0
    if share is None:
        slope[size + 1, size + 1] = 1.0
        last = p
    else:
        slope[size + 1, :size] = double
        last = float(double @ n) - share
    miss = np.array([*(A @ n + arrivals), n.sum() - 1.0, last])
    step = np.linalg.solve(slope, -miss)
    return step[:size], float(step[size]), float(step[size + 1])


# ------------------------------------------------------------------------------------------------------------- model


class Moment:
    """One animal at one moment: its state, and the numbers an experiment has changed."""

    def __init__(
        self, reference: Reference, state: State, runtime: Mapping[str, float], *, resting: bool = False
    ) -> None:
        self.reference = reference
        self.state = state
        self.runtime = runtime
        self.resting = resting
        self.asked: set[str] = set()

    def __getitem__(self, name: str) -> float:
        return self.state[name]

    def now(self, name: str, otherwise: float | None = None) -> float:
        """Return a number in force: what the experiment set, else the record's (or ``otherwise``)."""
        self.asked.add(name)
        if name in self.runtime:
            return self.runtime[name]
        return self.reference.number(name) if otherwise is None else otherwise

    @cached_property
    def physics(self) -> dict[str, float]:
        """Flow, shear, volume, oxygen, load and densities at this moment, by name."""
        return self.reference.physics(self)

    def free(self, signal: str, z: int | None) -> float:
        """Return what is left of a signal after neutralisation or supplementation, as seen in a zone."""
        body = f"signal.{signal}"
        level = self[body] if body in self.state else self[f"{body}@{z}"]
        return level * self.now(f"free.{signal}", 1.0)


class Reference:
    """The population model of a species.

    Parameters
    ----------
    knowledge : Knowledge
    species : {'rat', 'mouse', 'human'}
    params_overrides : mapping, optional
        Numbers that replace the records' before the healthy state is solved.

    Attributes
    ----------
    state_names : tuple of str
    rest : dict
        The healthy state.
    tissue : set of str
        States that are amounts of liver: what a resection takes its share of.
    """

    def __init__(
        self, knowledge: Knowledge, species: str = "rat", params_overrides: Mapping[str, float] | None = None
    ) -> None:
        self.knowledge = knowledge
        self.species = species
        self.overrides = dict(params_overrides or {})
        accounts = [row.account for row in knowledge.interactions if row.account.kind == "terms"]
        terms: list[Any] = [term for account in accounts for term in account.terms]
        self.secretions = [t for t in terms if t.kind == "secretes"]
        self.influences = [t for t in terms if t.kind == "regulates"]
        self.stored = {t.signal for t in terms if t.kind == "stores"}
        self.labels = self._who_bears_labels()
        self.healthy_cells = {cell.id: self._solve_cells(cell) for cell in knowledge.cells}
        self.rest, self.tissue = self._resting_state_without_nodes()
        self.state_names = tuple(self.rest)
        self._solve_nodes()
        self._resting_sums: dict[tuple[str, str, int | None], float] = {}
        self._healthy = Moment(self, self.rest, {}, resting=True)

    # ------------------------------------------------------------------------------------------------- the interface

    def rhs(self, state: State | npt.ArrayLike, runtime: Mapping[str, float] | None = None) -> Floats:
        """Return the time derivative of every state, per h, in the order of `state_names`.

        Parameters
        ----------
        state : mapping or (n_states,) array
        runtime : mapping, optional
            Numbers that differ from the healthy animal's: ``body.*``, ``free.SIGNAL``, ``supply.SIGNAL``,
            ``activity.*``, or a parameter record.

        Raises
        ------
        KeyError
            For a name in ``runtime`` that is nothing in the equations.
        """
        m = self._moment(state, runtime)
        d = dict.fromkeys(self.state_names, 0.0)
        self._inflow_response(m, d)
        for signal in self.knowledge.signals:
            if signal.kind == "systemic":
                self._body_signal(m, d, signal)
            else:
                for z in ZONES:
                    self._local_signal(m, d, signal, z)
        for node in self.knowledge.nodes:
            for z in self.knowledge.cell[node.cell].zones:
                name = f"node.{node.cell}.{node.id}"
                top = m.now(f"activity.{name}", 1.0)
                d[f"{name}@{z}"] = (top * self._node_target(m, name, z) - m[f"{name}@{z}"]) / m.now(node.tau)
        turnover = {(cell.id, z): self._cells(m, d, cell, z) for cell in self.knowledge.cells for z in cell.zones}
        journeys = self._journeys(m)
        for journey in journeys:
            self._travel(m, d, journey)
        self._labels(m, d, turnover, journeys)
        self._dead(m, d)
        self._failure(m, d)
        unknown = set(m.runtime) - m.asked
        if unknown:
            raise KeyError(f"nothing in the equations is called {sorted(unknown)}")
        return np.array([d[name] for name in self.state_names])

    def readings(self, state: State | npt.ArrayLike, runtime: Mapping[str, float] | None = None) -> dict[str, float]:
        """Return the physics at a state: volume, load, flow, shear@z, oxygen@z and what they are made of."""
        return dict(self._moment(state, runtime).physics)

    def resected(self, state: State, fraction: float) -> dict[str, float]:
        """Return the state after a fraction of the liver is removed: amounts shrink, concentrations stay."""
        return {name: x * (1 - fraction) if name in self.tissue else x for name, x in state.items()}

    def _moment(self, state: State | npt.ArrayLike, runtime: Mapping[str, float] | None) -> Moment:
        if not isinstance(state, Mapping):
            state = dict(zip(self.state_names, np.asarray(state, dtype=float).tolist(), strict=True))
        return Moment(self, state, dict(runtime or {}))

    def number(self, name: str, z: int | None = None) -> float:
        """Return the number of a parameter record for the species, of a zone where it has three."""
        if name in self.overrides:
            return self.overrides[name]
        record = self.knowledge.parameter[name]
        own = (record.species or {}).get(self.species, record.value)  # type: ignore[call-overload]
        value = getattr(own, "value", own)
        if not isinstance(value, tuple):
            return float(value)
        assert z is not None, f"{name} has a value for each zone"
        return float(value[z - 1])

    def zone_share(self, cell: str, z: int) -> float:
        """Return the fraction of a healthy cell type that lives in a zone."""
        return self.number(self.knowledge.cell[cell].zone_share, z)

    def healthy_volume(self, z: int) -> float:
        """Return the healthy volume of a zone, x the volume of the healthy liver: cells and sinusoids."""
        here = [cell for cell in self.knowledge.cells if z in cell.zones]
        cells = sum(self.number(cell.volume_share) * self.zone_share(cell.id, z) for cell in here)
        return cells + self.number("sinusoid_volume_share") * self.zone_share("LSEC", z)

    # ---------------------------------------------------------------------------------------------- the healthy state

    def _solve_cells(self, cell: Any) -> Rest:
        """Solve (A(p) - d) n + arrivals = 0, sum n = 1, binucleate cells = their share, for n, d and p by Newton.

        Binucleation is linear in p, so A(p) = A(0) + p (A(1) - A(0)); columns of A are what `moves` does to one cell.
        Labels are as they are after for ever: every cell has divided often and, where cells come from the blood,
        descends from those.
        """
        generation = LAST_GENERATION if cell.counts_generations else None
        lineage = cell.lineages[0]
        here = [c for c in compartments(cell) if c.generation == generation and c.lineage == lineage]
        A0, A1 = self._movement(cell, here, 0.0), self._movement(cell, here, 1.0) - self._movement(cell, here, 0.0)
        blood = [process for process in cell.processes if process.kind == "influx"]
        arrivals = np.array(
            [sum(self.number(b.rate) * self._receives(cell, b, c, lineage) for b in blood) for c in here]
        )
        double = np.array([float(c.nuclei != cell.nuclei[0]) for c in here])
        share = self.number(cell.binucleate_share) if cell.binucleate_share else None

        # Left alone for long, any population settles to its own stable distribution: a good first guess.
        p = 0.0 if share is None else 0.5
        n = expm((A0 + p * A1) * 1e4) @ np.ones(len(here))
        n /= n.sum()
        d = float(((A0 + p * A1) @ n).sum())
        if arrivals.any():
            # Begin between the population's own growth and the sum of both: Newton then cannot overshoot.
            d += 0.5 * float(arrivals.sum())
            n = np.linalg.solve(d * np.eye(len(here)) - A0 - p * A1, arrivals)
        for _ in range(100):
            dn, dd, dp = _newton_step(A0, A1, arrivals, double, share, n, d, p)
            n, d, p = n + dn, d + dd, p + dp
            if max(np.abs(dn).max(), abs(dd), abs(dp)) < 1e-15:
                break
        assert (n > 0).all() and d > 0 and 0 <= p < 1, f"{cell.id}: no healthy population"
        distribution = dict.fromkeys(compartments(cell), 0.0)
        distribution.update(zip(here, n.tolist(), strict=True))
        return Rest(distribution, d, p)

    def _who_bears_labels(self) -> dict[str, list[str]]:
        """Return the inherited labels: one per type of origin among those that convert, and the user's own on all."""
        steps = [(c, p) for c in self.knowledge.cells for p in c.processes if p.kind == "conversion"]
        able = [c.id for c in self.knowledge.cells if any(c.id in (a.id, p.becomes) for a, p in steps)]
        kinds = {f"from_{self.knowledge.cell[name].counts_as or name}" for name in able}
        return {**dict.fromkeys(sorted(kinds), able), "label": [c.id for c in self.knowledge.cells]}

    def _movement(self, cell: Any, here: list[Compartment], p: float) -> Floats:
        """Return the matrix that takes healthy cells to their movement; a column is what happens to one cell."""
        rate = {}
        for process in cell.processes:
            if process.kind == "transition":
                rate[process.id] = self.number(process.rate)
            elif process.kind == "timed":
                rate[process.id] = stages(cell, process.state) / self.number(process.duration)
        columns = []
        for one in here:
            d, _ = moves(cell, {c: float(c == one) for c in here}, rate, p)
            columns.append([d[c] for c in here])
        return np.array(columns).T

    @staticmethod
    def _receives(cell: Any, process: Any, c: Compartment, lineage: str) -> bool:
        """Tell whether cells from the blood arrive in a compartment: first stage, one nucleus, never divided here."""
        return (
            c.state == process.to
            and c.stage == 0
            and c.lineage == lineage
            and c.nuclei == cell.nuclei[0]
            and c.generation in (None, 0)
        )

    def _resting_state_without_nodes(self) -> tuple[dict[str, float], set[str]]:
        rest: dict[str, float] = {}
        tissue: set[str] = set()
        for cell in self.knowledge.cells:
            for z in cell.zones:
                part = self.zone_share(cell.id, z)
                amounts = {state_name(cell, c, z): x * part for c, x in self.healthy_cells[cell.id].share.items()}
                amounts[f"{cell.id}.count@{z}"] = part
                if cell.has_mass:
                    amounts[f"{cell.id}.mass@{z}"] = part
                amounts |= {
                    f"{cell.id}.{label}@{z}": 0.0 for label, bearers in self.labels.items() if cell.id in bearers
                }
                rest |= amounts
                tissue |= set(amounts)
        for signal in self.knowledge.signals:
            if signal.kind == "systemic":
                rest[f"signal.{signal.id}"] = 1.0
                continue
            for z in ZONES:
                level = self._healthy_level(signal, z)
                rest[f"signal.{signal.id}@{z}"] = level
                if signal.id in self.stored:
                    rest[f"store.{signal.id}@{z}"] = self.number(signal.store or "") * level
                    tissue.add(f"store.{signal.id}@{z}")
        for z in ZONES:
            rest[f"dead.necrotic@{z}"], rest[f"dead.apoptotic@{z}"] = self._healthy_dead(z), 0.0
            tissue |= {f"dead.necrotic@{z}", f"dead.apoptotic@{z}"}
        rest["bile_return"] = 1.0
        rest["inflow_response"] = 0.0
        rest["NK"] = rest["T"] = 1.0
        load = 1.0
        shortfall = hill(load, 1 / self.number("critical_function"), FAILURE_POWER)
        rest["deficit"] = shortfall / self.number("deficit_recovery")
        for node in self.knowledge.nodes:
            for z in self.knowledge.cell[node.cell].zones:
                rest[f"node.{node.cell}.{node.id}@{z}"] = 0.0
        return rest, tissue

    def _healthy_dead(self, z: int) -> float:
        """Return the volume of necrotic cells at which their clearance keeps up with healthy necrosis."""
        hep = self.knowledge.cell["HEP"]
        necrosis = sum(self.number(p.rate) for p in hep.processes if p.kind == "death" and p.manner == "necrosis")
        return necrosis * self.number(hep.volume_share) * self.zone_share("HEP", z) / self.number("dead_cell_clearance")

    def _supply(self, signal: Any, z: int) -> float:
        """Return the healthy supply of a zone, x the mean of the zones: by profile, 0 where nothing can release it."""

        def raw(zone: int) -> float:
            cells = [self.knowledge.cell[t.cell] for t in self.secretions if t.signal == signal.id]
            reached = bool(signal.blood_share) or any(zone in cell.zones for cell in cells)
            return (self.number(signal.zone_profile, zone) if signal.zone_profile else 1.0) * reached

        mean = sum(raw(zone) for zone in ZONES) / 3
        return raw(z) / mean

    def _clearance(self, signal: Any) -> float:
        return math.log(2) / self.number(signal.half_life)

    def _healthy_level(self, signal: Any, z: int) -> float:
        """Return the level at which k (supply - level) + mixing (1 - level) = 0."""
        k = self._clearance(signal)
        mixing = self.number(signal.mixing) if signal.mixing else 0.0
        return (k * self._supply(signal, z) + mixing) / (k + mixing)

    def _solve_nodes(self) -> None:
        """Let the nodes go halfway to their targets, from silence, until nothing moves."""
        names = [(f"node.{n.cell}.{n.id}", z) for n in self.knowledge.nodes for z in self.knowledge.cell[n.cell].zones]
        for _ in range(2000):
            m = Moment(self, self.rest, {}, resting=True)
            aims = {f"{name}@{z}": self._node_target(m, name, z) for name, z in names}
            moved = max(abs(aim - self.rest[name]) for name, aim in aims.items())
            for name, aim in aims.items():
                self.rest[name] += 0.5 * (aim - self.rest[name])
            if moved < 1e-15:
                return
        raise AssertionError("the nodes find no resting activity")

    # -------------------------------------------------------------------------------------------------- influences

    def _level(self, m: Moment, name: str, z: int | None) -> float:
        """Return the value of a regulator as seen in a zone."""
        kind, *rest = name.split(".")
        if kind == "signal":
            return m.free(rest[0], z)
        if kind == "node":
            return m[f"{name}@{z}"]
        if kind == "state":
            cell = self.knowledge.cell[rest[0]]
            chosen = sum(m[state_name(cell, c, z or 0)] for c in compartments(cell) if is_a(c, rest[1]))
            return chosen / max(m[f"{cell.id}.count@{z}"], FLOOR_SHARE)
        if name in ("NK", "T"):
            return m[name]
        physics = m.physics
        return physics[f"{name}@{z}"] if f"{name}@{z}" in physics else physics[name]

    def _response(self, m: Moment, term: Any, z: int | None) -> float:
        """Return the response to a regulator: a Hill function, scaled by the genes that the response needs."""
        K, n = m.now(term.half), m.now(term.power)
        x = self._level(m, term.by, z)
        between_nodes = term.by.startswith("node.") and term.target.startswith("node.")
        h = normal_hill(x, K, n) if between_nodes else hill(x, K, n)
        target = term.target.split(".")
        # The cell that responds: process.CELL.x, node.CELL.x, binucleation.CELL, secretion.SIGNAL.CELL, or none.
        place = {"process": 1, "node": 1, "binucleation": 1, "secretion": 2}.get(target[0], len(target))
        cell = target[place] if place < len(target) else ""
        for gene in term.needs:
            h *= m.now(f"activity.gene.{gene}@{cell}", 1.0)
        return h

    def _gates(self, m: Moment, z: int | None, *targets: str) -> float:
        """Return the factor on a rate: alternatives (of one gate label) add, gates multiply, inhibitors divide.

        Each sum is taken relative to its value in health, so the factor is 1 there.
        """
        sums: dict[str, list[Any]] = {}
        brakes: list[Any] = []
        for term in self.influences:
            if term.target in targets and term.effect == "activates":
                sums.setdefault(term.gate or "", []).append(term)
            elif term.target in targets and term.effect == "inhibits":
                brakes.append(term)
        if m.resting:
            return 1.0
        factor = 1.0
        for terms in sums.values():
            factor *= self._sum(m, terms, z) / self._resting_sum(terms, z)
        for term in brakes:
            factor /= self._sum(m, [term], z) / self._resting_sum([term], z)
        return factor

    def _sum(self, m: Moment, terms: list[Any], z: int | None) -> float:
        return 1 + sum(m.now(term.gain) * self._response(m, term, z) for term in terms)

    def _resting_sum(self, terms: list[Any], z: int | None) -> float:
        key = (str([id(term) for term in terms]), terms[0].target, z)
        if key not in self._resting_sums:
            self._resting_sums[key] = self._sum(self._healthy, terms, z)
        return self._resting_sums[key]

    def _node_target(self, m: Moment, node: str, z: int) -> float:
        """Return what a node tends to: any activator will do, none may inhibit, what is required must be there."""
        target, silent, driven = 1.0, 1.0, False
        for term in self.influences:
            if term.target != node:
                continue
            w, h = m.now(term.weight), self._response(m, term, z)
            if term.effect == "activates":
                driven = True
                silent *= 1 - w * h
            elif term.effect == "inhibits":
                target *= 1 - w * h
            else:
                target *= 1 - w * (1 - h)
        return target * (1 - silent) if driven else target

    # ----------------------------------------------------------------------------------------------------- physics

    def physics(self, m: Moment) -> dict[str, float]:
        """Return what the cells of the liver make of flow, shear, oxygen and metabolic load."""
        q: dict[str, float] = {}
        q["capacity"] = sum(m[f"HEP.mass@{z}"] for z in ZONES)
        shared = m.now("body.demand_shared")
        asked = m.now("lobe.demand", m.now("body.demand"))
        q["load"] = shared * asked / max(q["capacity"], FLOOR_CAPACITY) + (1 - shared) * m.now("body.demand")
        q["function"] = q["capacity"] / max(m.now("body.demand"), FLOOR)
        answer = m["inflow_response"] + m.now("inflow_fast") * (1 - q["function"])
        response = 1 + m.now("body.inflow_answers", 1.0) * answer
        q["inflow"] = m.now("body.inflow") * response
        by_artery = self.number("arterial_share")
        spared = (
            self.number("arterial_buffer") * (1 - by_artery) * (1 - q["inflow"])
        )  # in healthy flows of both vessels
        q["artery"] = m.now("body.arterial_inflow") * max(0.0, by_artery + spared) / by_artery
        q["blood"] = m.now("lobe.blood", by_artery * q["artery"] + (1 - by_artery) * q["inflow"])
        with_artery = self.number("arterial_oxygen_share")
        q["oxygen_supply"] = m.now("lobe.oxygen_supply", with_artery * q["artery"] + (1 - with_artery) * q["inflow"])
        flow, other_way, limit = (
            m.now("body.bile_flow"),
            self.number("bile_detox_share"),
            self.number("bile_pressure_limit"),
        )
        q["bile_clearance"] = q["capacity"] * (other_way + (1 - other_way) * flow)
        q["bile_pressure"] = limit / (1 + (limit - 1) * flow)
        q["KC.total"] = sum(m[f"KC.count@{z}"] for z in ZONES)
        for z in ZONES:
            self._sinusoids(m, q, z)
        q["volume"] = sum(q[f"volume@{z}"] for z in ZONES)
        for cell in self.knowledge.cells:
            q[f"tissue.{cell.id}"] = sum(m[f"{cell.id}.count@{z}"] for z in cell.zones) / max(q["volume"], FLOOR)
        q["flow"] = m.now("lobe.inflow", q["inflow"]) / max(q["volume"], FLOOR)
        for cell in self.knowledge.cells:
            for z in cell.zones:
                per_volume = m[f"{cell.id}.count@{z}"] / max(q[f"volume@{z}"], FLOOR)
                q[f"density.{cell.id}@{z}"] = per_volume * self.healthy_volume(z) / self.zone_share(cell.id, z)
        return q

    def _sinusoids(self, m: Moment, q: dict[str, float], z: int) -> None:
        """Flow through one sinusoid, its radius, wall shear (Poiseuille), the volume of the zone, and oxygen."""
        lining, mass = m[f"LSEC.count@{z}"], m[f"HEP.mass@{z}"]
        part = self.zone_share("LSEC", z)
        through_one = q["blood"] * part / max(lining, FLOOR_LSEC)
        radius = power(through_one, m.now("distension_exponent")) * self._gates(m, z, "physics.radius")
        q[f"sinusoid_flow@{z}"] = through_one
        q[f"radius@{z}"] = radius
        q[f"shear@{z}"] = through_one * power(radius, -3.0)
        lumen = m.now("sinusoid_volume_share") * lining * radius**2
        cells = 0.0
        for cell in self.knowledge.cells:
            if z in cell.zones:
                size = m[f"{cell.id}.mass@{z}"] if cell.has_mass else m[f"{cell.id}.count@{z}"]
                cells += m.now(cell.volume_share) * size
        dead = m[f"dead.necrotic@{z}"] + m[f"dead.apoptotic@{z}"]
        q[f"volume@{z}"] = cells + lumen + dead - self._healthy_dead(z) + m.now("body.space") / 3
        q[f"necrotic_area@{z}"] = m[f"dead.necrotic@{z}"] / max(q[f"volume@{z}"], FLOOR)
        q[f"dead_area@{z}"] = dead / max(q[f"volume@{z}"], FLOOR)
        vessels = lining / max(mass, FLOOR) * self.zone_share("HEP", z) / part
        # Supply against Michaelis-Menten use, 1 x profile in health.
        scale = 1 + self.number("oxygen_extraction")
        q[f"vascular@{z}"] = vessels
        brought = vessels * q["oxygen_supply"] + m.now("body.oxygen_beside_blood")
        extracted = hill(brought, self.number("oxygen_extraction"), 1.0)
        q[f"oxygen@{z}"] = self.number("oxygen_profile", z) * scale * extracted
        q[f"size@{z}"] = mass / max(m[f"HEP.count@{z}"], FLOOR)

    def _inflow_response(self, m: Moment, d: dict[str, float]) -> None:
        """The slow part of the answer of total inflow to the share of function lost."""
        aim = m.now("inflow_slow") * (1 - m.physics["function"])
        d["inflow_response"] = (aim - m["inflow_response"]) / self.number("inflow_time")
        d["NK"] = (m.physics["blood"] - m["NK"]) / self.number("nk_return_time")
        d["T"] = (m.physics["blood"] - m["T"]) / self.number("t_cell_return_time")

    def _dead(self, m: Moment, d: dict[str, float]) -> None:
        """Necrosis adds to the dead, Kupffer cells and others clear them; bile that reaches the gut comes back."""
        hep = self.knowledge.cell["HEP"]
        other = self.number("dead_cell_other_share")
        for z in ZONES:
            clearance = m.now("dead_cell_clearance") * (other + (1 - other) * m.physics[f"density.KC@{z}"])
            necrosis = 0.0
            for p in hep.processes:
                if p.kind == "death" and p.manner == "necrosis":
                    necrosis += m.now(p.rate) * self._gates(m, z, f"process.HEP.{p.id}")
            died = necrosis * m.now(hep.volume_share) * m[f"HEP.mass@{z}"]
            d[f"dead.necrotic@{z}"] = died - clearance * m[f"dead.necrotic@{z}"]
            d[f"dead.apoptotic@{z}"] = -clearance * m[f"dead.apoptotic@{z}"]
        aim = m.now("body.bile_flow") * m.now("body.bile_return")
        d["bile_return"] = (aim - m["bile_return"]) / self.number("bile_transit")

    def _failure(self, m: Moment, d: dict[str, float]) -> None:
        """What a failing liver leaves in the body."""
        shortfall = hill(m.physics["load"], 1 / self.number("critical_function"), FAILURE_POWER)
        d["deficit"] = shortfall - m.now("deficit_recovery") * m["deficit"]

    # ----------------------------------------------------------------------------------------------------- signals

    def _body_signal(self, m: Moment, d: dict[str, float], signal: Any) -> None:
        """Blood-borne: released as demand has it, out by what clears it. Influences are read in the middle zone."""
        name, k = f"signal.{signal.id}", m.now(f"clearance.{signal.id}", self._clearance(signal))
        removers = {"volume": "volume", "HEP": "capacity", "bile": "bile_clearance", "KC": "KC.total"}
        remover = removers.get(signal.cleared_by)
        supply = m.now("body.release", 1.0) * m.now("body.demand") * self._gates(m, 2, f"secretion.{signal.id}")
        supply *= m.now(f"activity.{name}@blood", 1.0)
        if signal.cleared_by == "bile":
            made = self.number("bile_synthesis_share")
            supply *= made + (1 - made) * m["bile_return"]
        removal = m[name] * self._gates(m, 2, f"clearance.{signal.id}")
        if remover is not None:
            removal *= m.physics[remover]
        d[name] = k * (supply + m.now(f"supply.{signal.id}", 0.0) - removal)

    def _local_signal(self, m: Moment, d: dict[str, float], signal: Any, z: int) -> None:
        """Released by cells (and blood), cleared, mixed among the zones, held by the matrix."""
        name, k = f"signal.{signal.id}", m.now(f"clearance.{signal.id}", self._clearance(signal))
        here = f"{name}@{z}"
        supply = m.now(f"supply.{signal.id}", 0.0) + self._release(m, signal, z)
        d[here] = k * supply - k * m[here] * self._gates(m, z, f"clearance.{signal.id}")
        if signal.mixing:
            kept = {zone: m.physics[f"volume@{zone}"] / self.healthy_volume(zone) for zone in ZONES}
            mean = sum(kept[zone] * m[f"{name}@{zone}"] for zone in ZONES) / sum(kept.values())
            d[here] += m.now(signal.mixing) * (mean - m[here])
        if signal.id in self.stored:
            store = f"store.{signal.id}@{z}"
            growth = m.physics[f"volume@{z}"] / self.healthy_volume(z)
            freed = m.now(signal.release) * m[store] * self._gates(m, z, f"release.{signal.id}")
            binding = self.number(signal.store) * self.number(signal.release)
            bound = binding * m.free(signal.id, z) * m.free("ECM", z)
            d[here] += freed / max(growth, FLOOR / self.healthy_volume(z)) - bound
            d[store] = bound * growth - freed

    def _release(self, m: Moment, signal: Any, z: int) -> float:
        """Each source gives its share of the healthy supply x its density x what acts on it."""
        sources = [t for t in self.secretions if t.signal == signal.id and z in self.knowledge.cell[t.cell].zones]
        blood = self.number(signal.blood_share) if signal.blood_share else 0.0
        shares = sum(self.number(t.share) for t in sources) + blood
        total = 0.0
        for t in sources:
            cell = self.knowledge.cell[t.cell]
            chosen = [c for c in compartments(cell) if is_a(c, t.state)]
            if t.state is None:
                amount, healthy = m[f"{cell.id}.count@{z}"], 1.0
            else:
                amount = sum(m[state_name(cell, c, z)] for c in chosen)
                healthy = sum(self.healthy_cells[cell.id].share[c] for c in chosen)
            if t.dying:
                # The dead of the hour take the place of the living.
                amount *= self._death(m, cell, z)
                healthy *= self.healthy_cells[cell.id].death
            density = amount / max(m.physics[f"volume@{z}"], FLOOR)
            if cell.has_mass:
                density *= m.physics[f"size@{z}"]  # twice the mass, twice the product
            healthy_density = healthy * self.zone_share(cell.id, z) / self.healthy_volume(z)
            gates = self._gates(m, z, f"secretion.{signal.id}.{cell.id}", f"secretion.{signal.id}")
            activity = m.now(f"activity.signal.{signal.id}@{cell.id}", 1.0)
            total += self.number(t.share) / shares * density / healthy_density * gates * activity
        if blood:
            total += blood / shares * m.physics["flow"] * self._gates(m, z, f"secretion.{signal.id}")
        return self._supply(signal, z) * total

    # ------------------------------------------------------------------------------------------------------- cells

    def _death(self, m: Moment, cell: Any, z: int) -> float:
        """Return the death rate of a cell type, per h."""
        healthy = self.healthy_cells[cell.id]
        deaths = [process for process in cell.processes if process.kind == "death"]
        stated = sum(self.number(process.rate) for process in deaths if process.rate != "solved")
        death = 0.0
        for process in deaths:
            base = healthy.death - stated if process.rate == "solved" else m.now(process.rate)
            death += base * self._gates(m, z, f"process.{cell.id}.{process.id}")
        return death

    def _cells(self, m: Moment, d: dict[str, float], cell: Any, z: int) -> tuple[float, float]:
        """Movement among compartments, death, arrivals from the blood, and growth of mass.

        Returns how many cells division adds, and the death rate, per h.
        """
        healthy = self.healthy_cells[cell.id]
        count = f"{cell.id}.count@{z}"

        def gates(process: Any) -> float:
            return self._gates(m, z, f"process.{cell.id}.{process.id}")

        rate = {}
        for process in cell.processes:
            if process.kind == "transition":
                rate[process.id] = m.now(process.rate) * gates(process)
            elif process.kind == "timed":
                pace = stages(cell, process.state) / self.number(process.duration)
                rate[process.id] = m.now(f"pace.{cell.id}.{process.id}", pace) * gates(process)
        # Influences act on the odds p : (1 - p), so that no influence makes p more than certain.
        odds = healthy.binucleation / (1 - healthy.binucleation) * self._gates(m, z, f"binucleation.{cell.id}")
        p = odds / (1 + odds)
        n = {c: m[state_name(cell, c, z)] for c in compartments(cell)}
        moved, added = moves(cell, n, rate, p)

        death = self._death(m, cell, z)
        for c, amount in n.items():
            d[state_name(cell, c, z)] = moved[c] - death * amount
        d[count] = added - death * m[count]

        for process in cell.processes:
            if process.kind == "influx":
                arriving = m.now(process.rate) * gates(process) * m.physics["blood"] * self.zone_share(cell.id, z)
                # Who arrives beyond the healthy rate bears the lineage of the process, the others the first one.
                fold = arriving / (self.number(process.rate) * self.zone_share(cell.id, z))
                excess = max(0.0, fold - 1.0) if process.lineage else 0.0
                marked = excess**3 / (1.0 + excess**3)
                for c in n:
                    into = d[state_name(cell, c, z)]
                    into += arriving * (1.0 - marked) * self._receives(cell, process, c, cell.lineages[0])
                    into += arriving * marked * self._receives(cell, process, c, process.lineage or "")
                    d[state_name(cell, c, z)] = into
                d[count] += arriving
            elif process.kind == "growth":
                # Mass makes mass, less so in cells that are large already; all mass decays and dies with its cells.
                mass = f"{cell.id}.mass@{z}"
                size = m.physics[f"size@{z}"]
                short = size ** -self.number(process.restoring) if size > 0.0 else 0.0
                needed = self.number(process.rate) + healthy.death + self._mass_shortage(cell, z)
                synthesis = needed * gates(process) * m[mass] * short
                d[mass] = synthesis - (m.now(process.rate) + death) * m[mass]
        return added, death

    # ------------------------------------------------------------------------------------- changes of type and zone

    def _can_convert(self, cell: Any, state: str) -> list[Compartment]:
        last = stages(cell, state) - 1
        return [c for c in compartments(cell) if (c.state, c.stage, c.nuclei) == (state, last, cell.nuclei[0])]

    def _healthy_flow(self, cell: Any, process: Any, z: int) -> float:
        """Return the cells that a conversion of given rate takes in health, per h and healthy hepatocyte."""
        share = self.healthy_cells[cell.id].share
        amount = sum(share[c] for c in self._can_convert(cell, process.origin)) * self.zone_share(cell.id, z)
        return self.number(process.rate) * amount * self.number(cell.number)

    def _base(self, m: Moment, cell: Any, process: Any, z: int) -> float:
        """Return the ungated rate of a conversion; in health as many cells come back as leave."""
        if process.rate != "solved":
            return m.now(process.rate)
        other = self.knowledge.cell[process.becomes]
        back = [p for p in other.processes if p.kind == "conversion" and p.becomes == cell.id]
        share = self.healthy_cells[cell.id].share
        amount = sum(share[c] for c in self._can_convert(cell, process.origin)) * self.zone_share(cell.id, z)
        return sum(self._healthy_flow(other, p, z) for p in back) / (amount * self.number(cell.number))

    def _mass_shortage(self, cell: Any, z: int) -> float:
        """Return what newly formed cells lack in mass against those that leave, per h and mass in health."""
        lack = 0.0
        for other in self.knowledge.cells:
            for p in other.processes:
                if p.kind == "conversion" and p.becomes == cell.id and z in other.zones:
                    size = self.number(p.size) if p.size else 1.0
                    lack += self._healthy_flow(other, p, z) * (1 - size)
        return lack / (self.zone_share(cell.id, z) * self.number(cell.number)) if lack else 0.0

    def _journeys(self, m: Moment) -> list[Journey]:
        """Return every way out of a cell type or a zone with its rate per cell, and how many cells arrive for one."""
        found = []
        for cell in self.knowledge.cells:
            for p in cell.processes:
                for z in cell.zones:
                    gates = self._gates(m, z, f"process.{cell.id}.{p.id}")
                    if p.kind == "conversion" and z in self.knowledge.cell[p.becomes].zones:
                        other = self.knowledge.cell[p.becomes]
                        fold = self.number(cell.number) / self.number(other.number)
                        size = self.number(p.size) if p.size else 1.0
                        found.append(
                            Journey(cell, z, other, z, p.origin, p.to, self._base(m, cell, p, z) * gates, fold, size)
                        )
                    elif p.kind == "migration" and z + 1 in cell.zones:
                        back = self.number(p.rate) * self.zone_share(cell.id, z) / self.zone_share(cell.id, z + 1)
                        found.append(Journey(cell, z, cell, z + 1, p.origin, None, m.now(p.rate) * gates, 1.0, 1.0))
                        found.append(Journey(cell, z + 1, cell, z, p.origin, None, back, 1.0, 1.0))
        return found

    def _leaving(self, m: Moment, j: Journey) -> dict[Compartment, float]:
        return {c: j.rate * m[state_name(j.cell, c, j.zone)] for c in self._can_convert(j.cell, j.origin)}

    @staticmethod
    def _conversion(j: Journey) -> Any:
        """Return the process behind a journey from type to type."""
        return next(
            p
            for p in j.cell.processes
            if (p.kind, getattr(p, "becomes", ""), getattr(p, "to", "")) == ("conversion", j.other.id, j.to)
        )

    def _travel(self, m: Moment, d: dict[str, float], j: Journey) -> None:
        """Take cells away at one end and let them arrive at the other, with their mass."""
        leaving = self._leaving(m, j)
        total = sum(leaving.values())
        for c, flow in leaving.items():
            d[state_name(j.cell, c, j.zone)] -= flow
            if j.to is None:
                d[state_name(j.other, c, j.at)] += flow
        if j.to is not None:
            # Who is new in a type has no past in it: the first lineage, and divided often as all settled cells have.
            generation = LAST_GENERATION if j.other.counts_generations else None
            new = Compartment(j.to, 0, j.other.lineages[0], j.other.nuclei[0], generation)
            d[state_name(j.other, new, j.at)] += j.fold * total
        d[f"{j.cell.id}.count@{j.zone}"] -= total
        d[f"{j.other.id}.count@{j.at}"] += j.fold * total
        if j.cell.has_mass:
            d[f"{j.cell.id}.mass@{j.zone}"] -= total * m.physics[f"size@{j.zone}"]
        if j.other.has_mass:
            d[f"{j.other.id}.mass@{j.at}"] += j.fold * total * j.size

    def _labels(
        self,
        m: Moment,
        d: dict[str, float],
        turnover: Mapping[tuple[str, int], tuple[float, float]],
        journeys: list[Journey],
    ) -> None:
        """Inherited labels: labelled cells divide, die and travel as all cells of their type and zone do."""
        for label, bearers in self.labels.items():

            def part(name: str, z: int, label: str = label) -> float:
                return m[f"{name}.{label}@{z}"] / max(m[f"{name}.count@{z}"], FLOOR_LABELLED)

            for name in bearers:
                for z in self.knowledge.cell[name].zones:
                    added, death = turnover[name, z]
                    d[f"{name}.{label}@{z}"] = added * part(name, z) - death * m[f"{name}.{label}@{z}"]
            for j in journeys:
                if j.cell.id in bearers and j.other.id in bearers:
                    flow = sum(self._leaving(m, j).values())
                    mine, theirs = part(j.cell.id, j.zone), part(j.other.id, j.at)
                    d[f"{j.cell.id}.{label}@{j.zone}"] -= flow * mine
                    if label != "label" and j.cell.id != j.other.id:
                        # Labels of origin tell of what goes beyond the healthy exchange.
                        share = self.healthy_cells[j.cell.id].share
                        able = sum(share[c] for c in self._can_convert(j.cell, j.origin))
                        alone = self._base(self._healthy, j.cell, self._conversion(j), j.zone)
                        usual = alone * able * self.zone_share(j.cell.id, j.zone)
                        change = (flow / max(usual, FLOOR_LABELLED) - 1.0) ** 4
                        mine = (mine * change + theirs) / (change + 1.0)
                    d[f"{j.other.id}.{label}@{j.at}"] += j.fold * flow * mine
