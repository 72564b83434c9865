"""One step of the lobule engine in three well-mixed zones, in plain Python: slow, cell by cell, to be read.

It shares the compiled model, its table of fates and the random numbers with the engine, and nothing else: no table of
compartments, no kernels, no rows of sites. Amounts are in the units of the model; a cell of a type of which health has
n stands for 1/n of it, times the lobules that are left.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from hepatalk.model import laws
from hepatalk.model.compiled import CompiledModel
from hepatalk.model.fates import NOTHING, FateKind
from hepatalk.model.laws import Law
from hepatalk.rng import Purpose, uniform, uniform_pair


@dataclass
class Cell:
    state: int  #: state of the model in which it counts
    ident: int
    parent: int
    clone: int
    events: int
    clock: float
    volume: float
    labels: set[str]
    alive: bool = True


@dataclass
class Tissue:
    """All that a step changes."""

    level: dict[int, float]  #: states that are no cells, by their number in the model
    cells: list[Cell]
    next_ident: int
    waiting: dict[int, float]  #: by arrival, its number in the fates
    drawn: dict[int, int]
    params: list[float]
    lobules: float
    number: dict[str, int]  #: cells of each type in health


@dataclass
class Reference:
    model: CompiledModel
    seed: int
    fates_of: dict[int, list[int]] = field(init=False)

    def __post_init__(self) -> None:
        m, f = self.model, self.model.fates
        self.fates_of = {}
        for j in range(len(f.kind)):
            if f.kind[j] != FateKind.ARRIVAL:
                self.fates_of.setdefault(int(f.origin[j]), []).append(j)
        self.arrivals = [j for j in range(len(f.kind)) if f.kind[j] == FateKind.ARRIVAL]
        self.growing = {(g.cell, g.place): g for g in f.growing}
        tracers = m.relabel.tracers.tolist()
        self.labels = list(dict.fromkeys(m.state_names[i].partition("@")[0].partition(".")[2] for i in tracers))

    def at(self, state: int) -> tuple[str, str]:
        """Return the cell type and the place of a state of cells."""
        name, _, place = self.model.state_names[state].partition("@")
        return name.partition(".")[0], place

    def has_mass(self, state: int) -> bool:
        cell, place = self.at(state)
        return f"{cell}.mass@{place}" in self.model.slot_index

    # ------------------------------------------------------------------------------------------------ evaluation

    def amounts(self, t: Tissue, count: dict[int, float], volume: dict[int, float]) -> list[float]:
        """Return all states, from levels and from numbers and volumes of cells by compartment."""
        m = self.model
        y = [0.0] * m.n_states
        for i, value in t.level.items():
            y[i] = value
        for state, n in count.items():
            cell, place = self.at(state)
            unit = t.lobules / t.number[cell]
            y[state] = n * unit
            y[m.slot_index[f"{cell}.count@{place}"]] += n * unit
            if self.has_mass(state):
                y[m.slot_index[f"{cell}.mass@{place}"]] += volume[state] * unit
        for c in t.cells:
            cell, place = self.at(c.state)
            for label in c.labels:
                y[m.slot_index[f"{cell}.{label}@{place}"]] += t.lobules / t.number[cell]
        return y

    def slots(self, t: Tissue, y: list[float]) -> list[float]:
        """Return states and operations."""
        m, out, p = self.model, list(y), t.params
        for k in range(m.n_ops):
            x = [out[i] for i in m.inputs[m.input_start[k] : m.input_start[k + 1]]]
            a = [p[i] for i in m.arguments[m.argument_start[k] : m.argument_start[k + 1]]]
            out.append(_value(Law(int(m.law[k])), x, a))
        return out

    def pace(self, t: Tissue, slots: list[float], i: int, y: float) -> tuple[float, float]:
        """Return production and relative loss of a level."""
        m, made, lost = self.model, 0.0, 0.0
        for j in range(m.flux_start[i], m.flux_start[i + 1]):
            k, c, value = m.flux[j] - m.n_states, float(m.coefficient[j]), slots[m.flux[j]]
            if k >= 0 and m.law[k] == Law.RELAX:  # (target - y) / tau
                tau = t.params[m.arguments[m.argument_start[k] + 1]]
                made, lost = made + c * value + c / tau * y, lost + c / tau
            elif c < 0.0 and abs(y) > 1e-300:
                lost -= c * value / y
            else:
                made += c * value
        return made, lost

    def rate(self, t: Tissue, slots: list[float], j: int) -> float:
        f = self.model.fates
        return slots[f.rate[j]] if f.rate[j] != NOTHING else t.params[f.constant[j]]

    def chance(self, slots: list[float], j: int) -> float:
        f = self.model.fates
        return slots[f.chance[j]] if f.chance[j] != NOTHING else 0.0

    def growth(self, t: Tissue, slots: list[float], cell: str, place: str) -> tuple[float, float, float, float]:
        """Return synthesis, decay, power and mean size of the cells of a type with mass."""
        g, index = self.growing[cell, place], self.model.slot_index
        size = slots[index[f"{cell}.mass@{place}"]] / slots[index[f"{cell}.count@{place}"]]
        return slots[g.synthesis], t.params[g.decay], t.params[g.opposing], size

    # ------------------------------------------------------------------------------------------------------ steps

    def step(self, t: Tissue, h: float) -> None:
        """Advance a tissue by ``h`` hours, in place."""
        count: dict[int, float] = {}
        volume: dict[int, float] = {}
        for c in t.cells:
            count[c.state] = count.get(c.state, 0.0) + 1.0
            volume[c.state] = volume.get(c.state, 0.0) + c.volume
        now = self.slots(t, self.amounts(t, count, volume))
        before = dict(t.level)
        t.level = self.advanced(t, before, now, now, h)
        later = self.expected(t, count, volume, now, h)
        then = self.slots(t, self.amounts(t, *later))
        t.level = self.advanced(t, before, now, then, h, after=t.level)
        self.move(t, now, then, h)

    def advanced(
        self,
        t: Tissue,
        y: dict[int, float],
        now: list[float],
        then: list[float],
        h: float,
        after: dict[int, float] | None = None,
    ) -> dict[int, float]:
        """Return the exact solution of dy/dt = P - L y with the mean of P and of L at both ends."""
        out = {}
        for i, value in y.items():
            made, lost = self.pace(t, now, i, value)
            made2, lost2 = self.pace(t, then, i, value if after is None else after[i])
            p, x = 0.5 * (made + made2), 0.5 * (lost + lost2) * h
            out[i] = value * math.exp(-x) + p * h * (-math.expm1(-x) / x if abs(x) > 1e-8 else 1.0 - 0.5 * x)
        return out

    def expected(
        self, t: Tissue, count: dict[int, float], volume: dict[int, float], now: list[float], h: float
    ) -> tuple[dict[int, float], dict[int, float]]:
        """Return numbers and volumes by compartment that are to be expected after ``h`` hours."""
        f, n, v = self.model.fates, dict(count), dict(volume)

        def add(state: int, cells: float, size: float) -> None:
            n[state] = n.get(state, 0.0) + cells
            v[state] = v.get(state, 0.0) + size

        for state, here in count.items():
            whole = volume[state]
            if self.has_mass(state):
                synthesis, decay, power, size = self.growth(t, now, *self.at(state))
                add(state, 0.0, (synthesis * size**power - decay) * whole * h)
            for j in self.fates_of.get(state, []):
                share = self.rate(t, now, j) * h
                add(state, -share * here, -share * whole)
                kind, to, other = FateKind(int(f.kind[j])), int(f.target[j]), self.chance(now, j)
                if kind == FateKind.DIVISION:
                    add(to, 2.0 * (1.0 - other) * share * here,
                        (1.0 - other) * share * (whole if self.has_mass(to) else 2.0 * here))  # fmt: skip
                    if f.other[j] != NOTHING:
                        add(int(f.other[j]), other * share * here, other * share * whole)
                elif kind == FateKind.CONVERSION:
                    add(to, share * here, share * here * (f.size[j] if self.has_mass(to) else 1.0))
                elif kind != FateKind.DEATH:
                    add(to, share * here, share * (whole if self.has_mass(to) else here))
        for j in self.arrivals:
            coming, other = self.rate(t, now, j) * t.number[self.at(int(f.target[j]))[0]] / t.lobules * h, 0.0
            if f.other[j] != NOTHING:
                other = self.chance(now, j)
                add(int(f.other[j]), other * coming, other * coming)
            add(int(f.target[j]), (1.0 - other) * coming, (1.0 - other) * coming)
        return {s: max(x, 0.0) for s, x in n.items()}, {s: max(x, 0.0) for s, x in v.items()}

    def move(self, t: Tissue, now: list[float], then: list[float], h: float) -> None:
        """Let cells grow, meet their fates and arrive."""

        def rate(j: int) -> float:
            return 0.5 * (self.rate(t, now, j) + self.rate(t, then, j))

        def hazard(state: int) -> float:
            return sum(rate(j) for j in self.fates_of.get(state, []))

        def clock(cell: Cell) -> float:
            return -math.log(1.0 - uniform(self.seed, cell.ident, cell.events, int(Purpose.CYCLE_PROGRESS)))

        for c in t.cells:
            if self.has_mass(c.state):
                mean = [
                    0.5 * (a + b)
                    for a, b in zip(
                        self.growth(t, now, *self.at(c.state)), self.growth(t, then, *self.at(c.state)), strict=True
                    )
                ]
                c.volume *= math.exp((mean[0] * mean[3] ** mean[2] - mean[1]) * h)
            c.clock -= hazard(c.state) * h
        i = 0
        while i < len(t.cells):  # daughters stand behind all others, and have their turn
            c = t.cells[i]
            while c.alive and c.clock <= 0.0:
                total = hazard(c.state)
                left = -c.clock / total
                c.events += 1
                wanted = uniform(self.seed, c.ident, c.events, int(Purpose.FATE)) * total
                for j in self.fates_of[c.state]:
                    wanted -= rate(j)
                    if wanted < 0.0:
                        break
                daughter = self.happen(t, c, j, now, 0.5 * (self.chance(now, j) + self.chance(then, j)))
                c.clock = clock(c) - left * hazard(c.state)
                if daughter is not None:
                    daughter.clock = clock(daughter) - left * hazard(daughter.state)
                    t.cells.append(daughter)
            i += 1
        self.arrive(t, rate, clock, now, then, h)
        t.cells = [c for c in t.cells if c.alive]

    def happen(self, t: Tissue, c: Cell, j: int, now: list[float], chance: float) -> Cell | None:
        """Let fate ``j`` happen to a cell; return the daughter that it has, if any."""
        f, kind = self.model.fates, FateKind(int(self.model.fates.kind[j]))
        if kind == FateKind.DEATH:
            c.alive = False
        elif kind in (FateKind.MOVE, FateKind.MIGRATION):
            c.state = int(f.target[j])
        elif kind == FateKind.CONVERSION:
            c.state = int(f.target[j])
            c.volume = float(f.size[j]) if self.has_mass(c.state) else 1.0
            stays, other = uniform_pair(self.seed, c.ident, c.events, int(Purpose.CYTOKINESIS))
            if f.chance[j] == NOTHING or stays < chance:
                return None
            cell, place = self.at(c.state)
            count = now[self.model.slot_index[f"{cell}.count@{place}"]]
            for label in [x for x in self.labels if x.startswith("from_")]:
                slot = self.model.slot_index.get(f"{cell}.{label}@{place}")
                if slot is None:
                    continue
                share = now[slot] / count if count > 0.0 else 0.0
                c.labels = c.labels | {label} if 0.0 <= other < share else c.labels - {label}
                other -= share
        elif f.other[j] != NOTHING and uniform(self.seed, c.ident, c.events, int(Purpose.CYTOKINESIS)) < chance:
            c.state = int(f.other[j])
        else:
            c.state = int(f.target[j])
            c.volume *= 0.5 if self.has_mass(c.state) else 1.0
            t.next_ident += 1
            return Cell(c.state, t.next_ident - 1, c.ident, c.clone, 0, 0.0, c.volume, set(c.labels))
        return None

    def arrive(
        self,
        t: Tissue,
        rate: Callable[[int], float],
        clock: Callable[[Cell], float],
        now: list[float],
        then: list[float],
        h: float,
    ) -> None:
        """Let cells come with the blood, zone by zone."""
        f = self.model.fates
        for place in ("1", "2", "3"):
            here = [j for j in self.arrivals if f.place[j] == place]
            for k, j in enumerate(here):
                cell = self.at(int(f.target[j]))[0]
                t.waiting[j] -= rate(j) * t.number[cell] / t.lobules * h
                while t.waiting[j] <= 0.0:
                    t.drawn[j] += 1
                    vessel = -1 - ((int(place) - 1) * len(here) + k)
                    first, second = uniform_pair(self.seed, vessel, t.drawn[j], int(Purpose.RECRUITMENT))
                    t.waiting[j] -= math.log(1.0 - first)
                    chance = 0.5 * (self.chance(now, j) + self.chance(then, j))
                    state = int(f.other[j] if f.other[j] != NOTHING and second < chance else f.target[j])
                    new = Cell(state, t.next_ident, NOTHING, t.next_ident, 0, 0.0, 1.0, set())
                    new.clock = clock(new)
                    t.cells.append(new)
                    t.next_ident += 1


def _value(law: Law, x: list[float], a: list[float]) -> float:  # noqa: C901, PLR0911 - one line for each law
    """Return the value of an operation."""
    match law:
        case Law.CONSTANT:
            return a[0]
        case Law.LINEAR:
            return a[0] + sum(w * v for w, v in zip(a[1:], x, strict=True))
        case Law.PRODUCT:
            return math.prod([*a, *x])
        case Law.RATIO:
            return a[0] * laws.ratio(x[0], x[1], a[1])
        case Law.POWER:
            return a[0] * laws.power(x[0], a[1])
        case Law.HILL:
            return laws.hill(x[0], a[0], a[1])
        case Law.NORMAL_HILL:
            return laws.normal_hill(x[0], a[0], a[1])
        case Law.GATE:
            return (1.0 + sum(w * v for w, v in zip(a[1:], x, strict=True))) / a[0]
        case Law.BRAKE:
            return a[0] / (1.0 + sum(w * v for w, v in zip(a[1:], x, strict=True)))
        case Law.ANY:
            return 1.0 - math.prod(1.0 - w * v for w, v in zip(a, x, strict=True))
        case Law.NOT:
            return 1.0 - a[0] * x[0]
        case Law.RELAX:
            return laws.relax(x[0], x[1], a[0], a[1])
