"""Draw the published cases of cycling, climbing and growing cells, as the parts of the lobule engine answer them.

Usage: ``python scripts/make_growth_cases.py`` writes docs/lobule_cases_growth.png. What the cases are, where they come
from and which convention is used stands in docs/lobule_cases.md; tests/analytic/test_growth_cases.py judges the same
curves.
"""

# ruff: noqa: T201 -- a script reports by printing

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hepatalk.engines.lobule.arrays import FateArrays
from hepatalk.engines.lobule.chemotaxis import climbing, gradient
from hepatalk.engines.lobule.division import daughters
from hepatalk.engines.lobule.fields import steady
from hepatalk.engines.lobule.grid import contacts
from hepatalk.engines.lobule.kernels import first_clock, resolve, tick
from hepatalk.engines.lobule.motion import Bodies, Mechanics, relax
from hepatalk.engines.lobule.state import empty_cells
from hepatalk.engines.lobule.voxels import Grid, grid
from hepatalk.model.fates import NOTHING, FateKind
from hepatalk.rng import Purpose, uniform

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

#: G1, S, G2, M of the unit tests, h; of the monolayer.
PHASES_H, MONOLAYER_PHASES_H = (7.0, 6.0, 3.0, 2.0), (6.0, 1.5, 1.0, 1.0)
#: Stages of each phase: a standard deviation of 10% of its mean, as the stochastic case has it.
STOCHASTIC_STAGES = 100
RADIUS_UM = 5.0
NO_LABELS = np.full((0, 1, 1), -1.0)


def cycle(stages: int, *, dies: bool = False) -> FateArrays:
    """Return a cycle of four phases; the last stage divides. With ``dies`` every stage may become a dead body."""
    n = 4 * stages
    rules = []
    for k in range(n):
        last = k == n - 1
        rules.append((int(FateKind.DIVISION if last else FateKind.MOVE), k, 0 if last else k + 1, k // stages))
        if dies:
            rules.append((int(FateKind.MOVE), k, n, 4))
    kind, origin, target, rate = (np.array(column, dtype=np.int64) for column in zip(*rules, strict=True))
    return FateArrays(
        zone_of=np.zeros(1, dtype=np.int64),
        gate=np.zeros((1, 1), dtype=np.int64),
        start=np.searchsorted(origin, np.arange(n + 2)),
        rate=rate,
        kind=kind,
        target=target,
        other=np.full(len(kind), NOTHING),
        chance=np.full(len(kind), NOTHING),
        zone=np.zeros(len(kind), dtype=np.int64),
        size=np.ones(len(kind)),
        has_mass=np.zeros(n + 1, dtype=np.uint8),
        walks=np.zeros(1, dtype=np.uint8),
    )


class Colony:
    """Cells that cycle, by the engine's clocks and fates; a row of rates for each of ``sites`` kinds of place."""

    def __init__(self, n: int, stages: int, seed: int, capacity: int, sites: int = 1, *, dies: bool = False) -> None:
        self.fates = cycle(stages, dies=dies)._replace(
            zone_of=np.zeros(sites, dtype=np.int64), gate=np.zeros((sites, 1), dtype=np.int64)
        )
        self.cells, self.n, self.ident, self.seed, self.stages = empty_cells(capacity), n, n, seed, 4 * stages
        c = self.cells
        c.ident[:n] = c.clone[:n] = np.arange(n)
        c.parent[:n] = NOTHING
        c.clock[:n] = [first_clock(seed, i, 0) for i in range(n)]
        self.tally = np.zeros(len(self.fates.kind), dtype=np.int64)

    def step(self, rates: Floats, h: float) -> int:
        """Let h hours pass; return how many cells there were before."""
        c, f, before = self.cells, self.fates, self.n
        tick(c.clock, c.fired, c.site, c.comp, self.n, rates, f.zone_of, f.start, f.rate, f.has_mass.size, h)
        self.n, self.ident = resolve(
            c, self.n, self.ident, self.seed, rates, np.zeros((len(rates), 1)), f, NO_LABELS, self.tally
        )
        return before

    def radius(self) -> Floats:
        """Return radii, um: volume doubles along the cycle; a dead body keeps the size of a young cell."""
        comp = self.cells.comp[: self.n]
        grown = np.where(comp < self.stages, comp / self.stages, 0.0)
        return RADIUS_UM * 2.0 ** (grown / 3.0)

    def part(self, before: int, *, flat: bool) -> None:
        """Part mothers and daughters, in the plane or in any direction."""
        c = self.cells
        born = np.arange(before, self.n)
        if not born.size:
            return
        order = np.argsort(c.ident[: self.n])
        mother = order[np.searchsorted(c.ident[: self.n], c.parent[born], sorter=order)]
        angle = [2 * math.pi * uniform(self.seed, int(i), 1, int(Purpose.PLACEMENT)) for i in c.ident[born]]
        axis = np.column_stack([np.cos(angle), np.sin(angle), np.zeros(len(angle))])
        both, _ = daughters(
            c.position[mother],
            np.full(len(born), RADIUS_UM * 2 ** (1 / 3)),
            axis if flat else np.zeros_like(axis),
            seed=self.seed,
            cell=c.ident[mother],
            event=c.events[mother],
        )
        c.position[mother], c.position[born] = both[:, 0], both[:, 1]


def cycling(stages: int, cells: int, hours: Floats, seed: int = 1) -> Floats:
    """Return how many cells there are at some hours; all begin as newborn ones."""
    colony = Colony(cells, stages, seed, 40 * cells)
    rates = np.array([[stages / p for p in PHASES_H]])
    count, now = [], 0.0
    for hour in hours:
        if hour > now:
            colony.step(rates, hour - now)
        now = hour
        count.append(float(colony.n))
    return np.array(count)


def climb(minutes: float = 60.0, every_min: float = 1.0, steepness: float = 0.0) -> tuple[Floats, Floats, Floats]:
    """One cell near a sink climbs the gradient that the sink makes, at 1 um/min; minutes, places, place of the sink.

    The published program has a sink at (1.2, 2.3, 3.4) cell diameters, walls that hold 1, and a cell at the origin
    whose force of 1 has the direction of the gradient. With ``steepness`` the field is -steepness |x - x0|^2 / 2, and
    the cell drifts in proportion to the gradient.
    """
    box = grid(24, 24, 24, 10.0, walls="open")
    sink = np.array([12.0, 23.0, 34.0])
    if steepness > 0.0:
        level = -0.5 * steepness * ((box.centre - sink) ** 2).sum(axis=1)
    else:
        loss = box.spread(sink[None], np.array([2e4]))[None]
        level = 1.0 - steady(loss, loss, box.transport, np.array([1e4]), np.zeros(1), 1e-10).level[0]
    slopes = gradient(level, box.centre, box.transport.start, box.transport.other)
    law = Mechanics(np.zeros((1, 1)), np.zeros((1, 1)), np.ones(1), 1.5, 0.0)
    place = np.zeros((1, 3))
    rows, kind = [place[0]], np.zeros(1, dtype=np.int8)
    for _ in range(round(minutes / every_min)):
        slope = between(box, slopes, place)
        active = 60.0 * slope if steepness > 0.0 else climbing(slope, law.friction[kind], 60.0)
        place = relax(
            Bodies(place, np.full(1, RADIUS_UM), kind), law, duration_h=every_min / 60, active=active
        ).position
        rows.append(place[0])
    return np.arange(len(rows)) * every_min, np.array(rows), sink


def between(box: Grid, values: Floats, place: Floats) -> Floats:
    """Return values at places between the middles of voxels: the weighted mean of eight (trilinear)."""
    at = place / box.edge + 0.5 * np.array(box.shape) - 0.5
    low = np.clip(np.floor(at).astype(np.int64), 0, np.array(box.shape) - 2)
    part = at - low
    out = np.zeros((len(place), values.shape[1]))
    for corner in np.ndindex(2, 2, 2):
        weight = np.prod(np.where(np.array(corner) == 1, part, 1.0 - part), axis=1)
        a, b, c = (low + np.array(corner)).T
        out += weight[:, None] * values[(a * box.shape[1] + b) * box.shape[2] + c]
    return out


@dataclass(frozen=True)
class Growth:
    """What a growing colony was over time, and where its cells are in the end."""

    hours: Floats
    count: Floats
    diameter: Floats
    place: Floats
    radius: Floats
    free: npt.NDArray[np.bool_]
    level: Floats


def pressed(place: Floats, radius: Floats, reach: float = 1.25) -> Floats:
    """Return the overlap of each cell with those that touch it, in its radii."""
    near = contacts(place, radius, reach)
    here = np.repeat(np.arange(len(radius)), np.diff(near.start))
    other = near.other
    gap = np.linalg.norm(place[here] - place[other], axis=1)
    return np.bincount(here, np.maximum(radius[here] + radius[other] - gap, 0.0), len(radius)) / radius


def contact_law(pace_per_h: float) -> Mechanics:
    """Return the contact of the lobule engine, with its own adhesion and reach."""
    return Mechanics(np.full((1, 1), pace_per_h), np.full((1, 1), 0.1), np.ones(1), 1.25, 0.0)


def monolayer(hours: float = 120.0, limit: float = 0.6, seed: int = 2, step_h: float = 0.5) -> Growth:
    """Grow a flat colony from one cell; cells overlapped by more than ``limit`` radii stand still in G1 and G2."""
    stages = 10
    colony = Colony(1, stages, seed, 6000, sites=2)
    rates = np.array([[stages / p for p in MONOLAYER_PHASES_H]] * 2)
    rates[1, [0, 2]] = 0.0
    law, c = contact_law(10.0), colony.cells
    count, diameter, times = [1.0], [2 * RADIUS_UM], [0.0]
    for k in range(round(hours / step_h)):
        n = colony.n
        c.site[:n] = pressed(c.position[:n], colony.radius()) > limit
        colony.part(colony.step(rates, step_h), flat=True)
        settle(colony, law, step_h)
        times.append((k + 1) * step_h)
        count.append(float(colony.n))
        diameter.append(2 * across(c.position[: colony.n], 2))
    place, radius = c.position[: colony.n].copy(), colony.radius()
    return Growth(*map(np.array, (times, count, diameter)), place, radius, pressed(place, radius) <= limit, np.zeros(0))


def settle(colony: Colony, law: Mechanics, h: float) -> None:
    """Let the cells of a colony push each other apart."""
    place = colony.cells.position[: colony.n]
    kind = np.zeros(colony.n, dtype=np.int8)
    place[:] = relax(Bodies(place.copy(), colony.radius(), kind), law, duration_h=h, tolerance_um=0.1).position


def across(place: Floats, dimensions: int) -> float:
    """Return the radius of the disc (2) or ball (3) whose cells have this mean distance from their middle, um."""
    away = np.linalg.norm(place - place.mean(axis=0), axis=1).mean()
    return float(away * (dimensions + 1) / dimensions) + RADIUS_UM


#: Relative to 38 mmHg outside: cells do not cycle below 5; they die below 5, at the full rate below 2.5.
CYCLES_ABOVE, DIES_BELOW, DIES_MOST_BELOW = 5 / 38, 5 / 38, 2.5 / 38
MOST_DEATH_PER_H = 1 / 6
#: Diffusion, um^2/h, and uptake of a young cell such that oxygen falls over 12 um of solid cells: in life less.
OXYGEN_UM2_PER_H, OXYGEN_LENGTH_UM = 6e6, 12.0


def oxygen(box: Grid, place: Floats) -> Floats:
    """Return the steady oxygen around living cells, of that at the walls of the box."""
    pace = OXYGEN_UM2_PER_H / OXYGEN_LENGTH_UM**2
    uptake = box.spread(place, np.full(len(place), pace * 4 / 3 * math.pi * RADIUS_UM**3))[None]
    missing = steady(uptake, uptake, box.transport, np.array([OXYGEN_UM2_PER_H]), np.zeros(1), 1e-6)
    return 1.0 - missing.level[0]


def spheroid(hours: float = 200.0, seed: int = 3, step_h: float = 1.0, voxels: int = 24) -> Growth:
    """Grow a ball from one cell in a box of 240 um; oxygen limits the cycle and kills what is far inside."""
    stages = 4
    box = grid(voxels, voxels, voxels, 240.0 / voxels, walls="open")
    m = len(box.centre)
    colony = Colony(1, stages, seed, 12000, sites=m, dies=True)
    law, c = contact_law(20.0), colony.cells
    count, diameter, times, level = [1.0], [2 * RADIUS_UM], [0.0], np.ones(m)
    for k in range(round(hours / step_h)):
        alive = c.comp[: colony.n] < colony.stages
        c.site[: colony.n] = box.voxel(c.position[: colony.n])
        level = oxygen(box, c.position[: colony.n][alive])
        share = np.clip((level - CYCLES_ABOVE) / (1.0 - CYCLES_ABOVE), 0.0, 1.0)
        dying = MOST_DEATH_PER_H * np.clip((DIES_BELOW - level) / (DIES_BELOW - DIES_MOST_BELOW), 0.0, 1.0)
        rates = np.column_stack([*(share * stages / p for p in MONOLAYER_PHASES_H), dying])
        colony.part(colony.step(rates, step_h), flat=False)
        settle(colony, law, step_h)
        times.append((k + 1) * step_h)
        count.append(float(colony.n))
        diameter.append(2 * across(c.position[: colony.n], 3))
    alive = c.comp[: colony.n] < colony.stages
    place = c.position[: colony.n].copy()
    return Growth(*map(np.array, (times, count, diameter)), place, colony.radius(), alive, level)


def main() -> None:
    """Draw the figure."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, 3, figsize=(12.0, 7.2), layout="constrained")
    hours = np.arange(0.0, 72.5, 0.5)
    for stages, name, n in ((4000, "fixed phases", 20), (STOCHASTIC_STAGES, "10% spread", 1000)):
        axes[0, 0].plot(hours, cycling(stages, n, hours) / n, label=name)
    axes[0, 0].set(title="Cycle of 18 h", xlabel="h", ylabel="cells for each at 0 h", yscale="log")
    minutes, place, sink = climb()
    axes[0, 1].plot(minutes, np.linalg.norm(place - sink, axis=1), label="distance from the sink")
    axes[0, 1].plot(minutes, np.linalg.norm(place, axis=1), label="from where it began")
    axes[0, 1].set(title="Chemotaxis", xlabel="min", ylabel="µm")
    flat, ball = monolayer(), spheroid()
    for g, name in ((flat, "monolayer"), (ball, "spheroid")):
        axes[0, 2].plot(g.hours, g.diameter, label=name)
        axes[1, 0].plot(g.hours, g.count, label=name)
        print(f"{name}: {g.count[-1]:.0f} cells, {g.free.mean():.0%} free or alive, {g.diameter[-1]:.1f} um")
    axes[0, 2].set(title="Diameter", xlabel="h", ylabel="µm")
    axes[1, 0].set(title="Cells", xlabel="h", ylabel="number", yscale="log")
    for axis, g, told in ((axes[1, 1], flat, ("free", "pressed")), (axes[1, 2], ball, ("alive", "dead"))):
        near = np.abs(g.place[:, 2]) < RADIUS_UM
        for own, colour, name in ((g.free, "tab:orange", told[0]), (~g.free, "0.45", told[1])):
            axis.scatter(*g.place[near & own, :2].T, s=6, color=colour, label=name)
        axis.set(aspect="equal", xlabel="µm", ylabel="µm", title="in the end" + (", slice" if g is ball else ""))
    for axis in axes.flat:
        axis.legend(frameon=False, fontsize=8)
        axis.spines[["top", "right"]].set_visible(False)
    path = Path(__file__).resolve().parents[1] / "docs" / "lobule_cases_growth.png"
    figure.savefig(path, dpi=110, metadata={"Software": None})
    print(path.name)


if __name__ == "__main__":
    main()
