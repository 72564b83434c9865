"""Cost of a simulated hour of cells and signals beside pyphysicell, at matched accuracy of the signals.

    python benchmarks/lobule_physicell.py [--cells 10000] [--minutes 3] [--engine]

Both sides get the same tissue: cells in a dense packing, cubic voxels of 20 um, ten signals that diffuse, decay, and
are made and taken up by the cells, and an hour in which makers begin at time zero and make twice as much from its
middle on.

pyphysicell (the Python form of PhysiCell, whose signals are those of BioFVM: Ghaffarizadeh et al. 2016,
doi:10.1093/bioinformatics/btv730) takes fixed steps; ours follow a bound of the error. First the greatest error of
each is found against a fine solution, at four moments of the hour, the cells held still. The fine solution is that of
many short implicit steps (TR-BDF2), another method than the polynomials that the lobule engine and ours here use, with
steps no longer than the engine's longest (12 min). Then each is timed with cells that push, grow and age: signals,
mechanics and what cells do, without set-up. Then the cost of equal errors is divided.

pyphysicell's mechanics (0.1 min) and its work on cells (6 min) keep their default steps in all rows; the steps of its
signals vary from the default, 0.01 min. It is timed over some simulated minutes and scaled linearly to an hour: its
steps are all alike. One thread each, processor time.

`--engine` adds the lobule engine as a whole (6500 hepatocytes; all signals and states of the model, blood, fates) for
the first day after a loss of 70%, beside pyphysicell with as many cells and voxels and ten signals.
"""

# ruff: noqa: T201 -- a script that reports by printing

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt

try:
    import pyphysicell as pc
    from pyphysicell import _kernels as pc_kernels
except ImportError:
    sys.exit("pyphysicell is not installed; install the locked requirements/bench.txt")

from lobule_motion import LAW, packing

from hepatalk.engines.lobule.engine import LONGEST_STEP_H
from hepatalk.engines.lobule.fields import Setting, advance, integrate
from hepatalk.engines.lobule.kernels import grow, tick
from hepatalk.engines.lobule.motion import Bodies, Box, relax
from hepatalk.engines.lobule.voxels import Grid, grid

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
SIGNALS, VOXEL_UM = 10, 20.0
#: Moments at which the error is looked at, min; the makers double at the middle of the hour.
MOMENTS, DOUBLED_AT, HOUR = (12.0, 30.0, 36.0, 60.0), 30.0, 60.0
#: Step of pyphysicell's signals unless told otherwise, min.
DEFAULT_MIN = 0.01
#: Largest error of a cell in a step of our mechanics, um: that of the lobule engine.
OUR_UM = 0.5
#: Volume of pyphysicell's default cell, um^3.
CELL_UM3 = 2494.0


@dataclass(frozen=True)
class Tissue:
    """The same for both: per signal D (um^2/min) and decay (1/min); per kind of cell secretion and uptake (1/min)."""

    cells: Bodies
    box: Box
    kind: Ints
    voxels: Grid
    side: int
    edge: float
    diffusivity: Floats
    decay: Floats
    secretion: Floats
    uptake: Floats

    def at_voxels(self) -> tuple[Floats, Floats]:
        """Return production per unit of strength, and loss, per h, (signals, voxels)."""
        share = np.full(len(self.kind), CELL_UM3)
        middle = self.cells.position - 0.5 * self.side * self.edge
        made = np.array([self.voxels.spread(middle, share * self.secretion[s][self.kind]) for s in range(SIGNALS)])
        taken = np.array([self.voxels.spread(middle, share * self.uptake[s][self.kind]) for s in range(SIGNALS)])
        return 60.0 * made, 60.0 * (self.decay[:, None] + taken)


def tissue(n: int, voxels: int = 0) -> Tissue:
    """Return n cells, a third of them (at one side) makers, in voxels of 20 um, or in about so many of any size."""
    cells, box = packing(n)
    high = float(cells.position.max()) + 1e-6
    side = round(voxels ** (1 / 3)) if voxels else int(np.ceil(high / VOXEL_UM))
    edge = high / side if voxels else VOXEL_UM
    rng = np.random.default_rng(3)
    maker = cells.position[:, 0] < np.quantile(cells.position[:, 0], 1.0 / 3.0)
    uptake = rng.uniform(0.1, 1.0, (SIGNALS, 2))
    secretion = np.zeros((SIGNALS, 2))
    secretion[:, 0] = rng.uniform(0.5, 2.0, SIGNALS)
    return Tissue(
        cells, box, np.where(maker, 0, 1), grid(side, side, side, edge), side, edge,
        rng.uniform(300.0, 3000.0, SIGNALS), rng.uniform(0.02, 0.2, SIGNALS), secretion, uptake,
    )  # fmt: skip


# ---------------------------------------------------------------------------------------------------------------- ours


def our_levels(t: Tissue, accuracy: float) -> tuple[list[Floats], int, float]:
    """Return levels at the moments, products with the operator of a signal, and processor time, s."""
    made, lost = t.at_voxels()
    level, out, work, none = np.zeros(made.shape), [], 0.0, np.zeros(SIGNALS)
    now, spent = 0.0, 0.0
    for moment in MOMENTS:
        strength = 2.0 if now >= DOUBLED_AT else 1.0
        hours = (moment - now) / 60.0
        steps = int(np.ceil(hours / LONGEST_STEP_H - 1e-9))
        begin = time.process_time()
        for _ in range(steps):
            step = advance(
                level, strength * made, lost, t.voxels.transport, 60.0 * t.diffusivity, none, hours / steps, accuracy,
                Setting(exact=True),
            )  # fmt: skip
            level, work = step.level, work + float(step.iterations.mean())
        spent += time.process_time() - begin
        now = moment
        out.append(level)
    return out, round(work), spent


def fine_levels(t: Tissue, accuracy: float, first_min: float) -> tuple[list[Floats], int, float]:
    """Return levels at the moments by implicit steps, steps taken, and processor time, s."""
    made, lost = t.at_voxels()
    level, out, steps = np.zeros(made.shape), [], 0
    none, now, spent = np.zeros(SIGNALS), 0.0, 0.0
    h: float | None = first_min / 60.0
    for moment in MOMENTS:
        strength = 2.0 if now >= DOUBLED_AT else 1.0
        begin = time.process_time()
        run = integrate(
            level, strength * made, lost, t.voxels.transport, 60.0 * t.diffusivity, none,
            (moment - now) / 60.0, accuracy,
            h=first_min / 60.0 if now in {0.0, DOUBLED_AT} else h,
        )  # fmt: skip
        spent += time.process_time() - begin
        level, h, now, steps = run.level, run.h, moment, steps + run.steps
        out.append(level)
    return out, steps, spent


def our_cells(t: Tissue) -> float:
    """Return the processor time of an hour of mechanics, growth and clocks, s."""
    n = len(t.kind)
    site, comp, start = np.zeros(n, np.int64), np.zeros(n, np.int64), np.array([0, 1])
    clock, fired, volume = np.full(n, 9.0), np.zeros(n, np.uint8), np.ones(n)
    for timed in (False, True):
        begin = time.process_time()
        relax(t.cells, LAW, t.box, duration_h=1.0, tolerance_um=OUR_UM)
        for _ in range(10):
            grow(volume, site, comp, n, np.ones(1, np.uint8), np.zeros((1, 3)), np.ones(1), True, 0.1)
            tick(clock, fired, site, comp, n, np.full((1, 1), 1e-3), site[:1], start, site[:1], 1, 0.1)
        if timed:
            return time.process_time() - begin
    raise AssertionError


# --------------------------------------------------------------------------------------------------------- pyphysicell


def simulation(t: Tissue, dt: float) -> pc.Simulation:
    """Return pyphysicell's form of the tissue."""
    m = pc.Model(random_seed=1, omp_num_threads=1, calculate_gradients=False)
    high = t.side * t.edge
    m.domain = pc.Domain(0.0, high, 0.0, high, 0.0, high, t.edge, t.edge, t.edge, False)
    m.time.dt_diffusion = dt
    for s in range(SIGNALS):
        m.substrates.append(pc.Substrate(f"s{s}", float(t.diffusivity[s]), float(t.decay[s])))
    for k, name in enumerate(("maker", "taker")):
        kind = pc.CellType(name, k)
        for s in range(SIGNALS):
            made, taken = float(t.secretion[s, k]), float(t.uptake[s, k])
            # Secretion stops at its target; far above all levels, it is a source that nothing stops.
            kind.secretion[f"s{s}"] = pc.SecretionEntry(made / FAR, FAR, taken)
        m.cell_types.append(kind)
    m.initial_cells = [
        (*map(float, p), ("maker", "taker")[k]) for p, k in zip(t.cells.position, t.kind, strict=True)
    ]  # fmt: skip
    return pc.Simulation(m)


#: Target of secretion, in levels.
FAR = 1e6


def their_levels(t: Tissue, dt: float) -> list[Floats]:
    """Return levels at the moments with the cells held still."""
    sim = simulation(t, dt)
    c, env = sim.cells, sim.microenvironment
    sim._sample_fields()  # finds the voxel of each cell
    volume = np.full(c.n, CELL_UM3)
    made, taken, target, none = (
        np.ascontiguousarray(x[: c.n]).copy()
        for x in (c.secretion_rate, c.uptake_rate, c.secretion_target, c.net_export_rate)
    )
    out, steps = [], 0
    for moment in MOMENTS:
        while steps < round(moment / dt):
            if steps == round(DOUBLED_AT / dt):
                made *= 2.0
            env.step(dt)
            pc_kernels.secretion_uptake(
                env.density, c.voxel[: c.n], volume, made, taken, target, none, env.voxel_volume, dt, None
            )
            steps += 1
        d = env.density  # (z, y, x, signal)
        out.append(np.ascontiguousarray(np.transpose(d, (3, 2, 1, 0))).reshape(SIGNALS, -1))
    return out


def their_cost(t: Tissue, dt: float, minutes: float) -> float:
    """Return the processor time of an hour, s, scaled from some minutes of whole steps."""
    sim = simulation(t, dt)
    sim.step()  # what is due at once: all clocks
    begin, first = time.process_time(), sim.t
    while sim.t < first + minutes - 1e-9:
        sim.step()
    return (time.process_time() - begin) * HOUR / (sim.t - first)


# ------------------------------------------------------------------------------------------------------------- reports


def _error(found: list[Floats], fine: list[Floats]) -> float:
    """Return the greatest error at any moment and voxel, of the greatest level of its signal."""
    return max(float((np.abs(a - b).max(axis=1) / b.max(axis=1)).max()) for a, b in zip(found, fine, strict=True))


def matched(n: int, minutes: float) -> None:
    """Print both sides and the ratios at equal errors."""
    t = tissue(n)
    print(f"{n} cells, {t.side**3} voxels of {t.edge:.0f} um, {SIGNALS} signals; an hour; one thread, processor time")
    our_levels(t, 1e-2)
    fine, steps, spent = fine_levels(t, 1e-7, 1e-3)
    print(f"reference: {steps} implicit steps, {spent:.1f} s")
    cells = our_cells(t)
    print(f"ours, mechanics and cells: {cells:.2f} s")
    ends = [relax(t.cells, LAW, t.box, duration_h=1.0, tolerance_um=x).position for x in (1e-3, OUR_UM)]
    off = np.linalg.norm(ends[1] - ends[0], axis=1)
    print(f"  places after the hour: off by {off.mean():.1e} um in the mean, {off.max():.1e} at most")
    ours = []
    for accuracy in (1e-1, 1e-2, 1e-3, 1e-4, 1e-5):
        level, work, spent = our_levels(t, accuracy)
        ours.append((_error(level, fine), spent + cells))
        print(
            f"  ours, bound {accuracy:7.0e}: {work:4d} products, error {ours[-1][0]:.1e}, signals {spent:5.2f} s, "
            f"all {spent + cells:5.2f} s"
        )
    known = 0.0
    for dt in (0.01, 0.02, 0.05, 0.1, 0.2, 0.001, 0.003):
        # Below the default the error follows from the order, which the rows above show: such runs take an hour.
        error = _error(their_levels(t, dt), fine) if dt >= DEFAULT_MIN else known * dt / DEFAULT_MIN
        known = error if dt == DEFAULT_MIN else known
        spent = their_cost(t, dt, minutes if dt >= DEFAULT_MIN else 0.1 * minutes + 0.2)
        equal = [cost for e, cost in ours if e <= error]
        ratio = f"ratio {spent / min(equal):6.1f}" if equal else "we have no run as good"
        note = " (its default)" if dt == DEFAULT_MIN else " (error by its order)" if dt < DEFAULT_MIN else ""
        print(f"  pyphysicell, {dt:.3f} min: error {error:.1e}, {spent:8.2f} s, {ratio}{note}", flush=True)


def engine(minutes: float, hepatocytes: int) -> None:
    """Print the cost of a day of the whole engine beside pyphysicell with as many cells and voxels."""
    from hepatalk.engines.lobule.engine import LobuleEngine, LobuleSettings
    from hepatalk.knowledge import load
    from hepatalk.model import compile_model
    from hepatalk.model.schedule import Change

    model = compile_model(load(), "rat")
    lobule = LobuleEngine.in_space(model, 0, LobuleSettings(hepatocytes=hepatocytes))
    change = [Change(0.0, "scale_extensive", "liver", 0.3, "70% of the liver removed")]
    lobule.run(model, change, np.array([0.0, 0.1]))
    at: list[float] = []
    lobule.run(model, change, np.array([0.0, 24.0]), progress=lambda _: at.append(time.process_time()))
    # From the end of the first step on: what is before it is set-up, which is not counted on the other side either.
    spent = (at[-1] - at[0]) * len(at) / (len(at) - 1)
    n, sites = len(lobule.tissue.type_), lobule.tissue.n_sites
    t = tissue(n, sites)
    print(
        f"\nthe whole engine, {n} cells, {sites} sites, first day: {spent:.1f} s; pyphysicell with {t.side**3} voxels"
    )
    for dt in (0.01, 0.1):
        theirs = 24.0 * their_cost(t, dt, minutes)
        print(f"  pyphysicell, {dt:.2f} min: {theirs:.0f} s, ratio {theirs / spent:.1f}")


def main() -> int:
    """Run the benchmark.

    Returns
    -------
    int
        0.
    """
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--cells", type=int, default=10_000)
    parser.add_argument("--minutes", type=float, default=3.0, help="of pyphysicell that are timed")
    parser.add_argument("--engine", action="store_true", help="also the lobule engine as a whole")
    parser.add_argument("--hepatocytes", type=int, default=6500, help="of that lobule")
    given = parser.parse_args()
    numba.set_num_threads(1)
    matched(given.cells, given.minutes)
    if given.engine:
        engine(given.minutes, given.hepatocytes)
    return 0


if __name__ == "__main__":
    sys.exit(main())
