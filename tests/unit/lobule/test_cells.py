"""Clocks and fates of cells, without a model: a few compartments with given rates, against what is known of them.

Seeds are fixed, so that every test gives the same verdict for ever; limits are at about p = 1e-5.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from hepatalk.engines.lobule.arrays import CellArrays, FateArrays
from hepatalk.engines.lobule.census_kernels import count_cells, foresee
from hepatalk.engines.lobule.kernels import FULL, arrive, bury, first_clock, resolve, tick
from hepatalk.engines.lobule.state import empty_cells
from hepatalk.model.fates import NOTHING, FateKind

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
#: (kind, origin, target, other, column of the rate, column of the chance)
Rule = tuple[FateKind, int, int, int, int, int]
LEAST_P = 1e-5
NO_LABELS = np.full((0, 1, 8), -1.0)


def ints(*values: int) -> Ints:
    return np.array(values, dtype=np.int64)


def table(rules: list[Rule], n_comps: int, *, mass: tuple[int, ...] = (), size: float = 1.0) -> FateArrays:
    """Return fates in one zone; compartments in ``mass`` have mass."""
    ordered = sorted(rules, key=lambda r: r[1])
    has_mass = np.zeros(n_comps, dtype=np.uint8)
    has_mass[list(mass)] = 1
    return FateArrays(
        zone_of=ints(0),
        gate=np.zeros((1, 1), dtype=np.int64),
        start=ints(*np.searchsorted([r[1] for r in ordered], np.arange(n_comps + 1)).tolist()),
        rate=ints(*(r[4] for r in ordered)),
        kind=ints(*(int(r[0]) for r in ordered)),
        target=ints(*(r[2] for r in ordered)),
        other=ints(*(r[3] for r in ordered)),
        chance=ints(*(r[5] for r in ordered)),
        zone=np.zeros(len(ordered), dtype=np.int64),
        size=np.full(len(ordered), size),
        has_mass=has_mass,
        walks=np.zeros(1, dtype=np.uint8),
    )


def founders(n: int, seed: int, capacity: int | None = None) -> CellArrays:
    cells = empty_cells(n if capacity is None else capacity)
    cells.ident[:n] = cells.clone[:n] = np.arange(n)
    cells.parent[:n] = NOTHING
    cells.volume[:n] = 1.0
    cells.clock[:n] = [first_clock(seed, i, 0) for i in range(n)]
    return cells


class Dish:
    """Cells of one site that live by a table of fates."""

    def __init__(self, fates: FateArrays, n: int, seed: int, capacity: int | None = None) -> None:
        self.fates, self.seed = fates, seed
        self.cells, self.n, self.ident = founders(n, seed, capacity), n, n
        self.tally = np.zeros(len(fates.kind), dtype=np.int64)

    def step(
        self, rates: list[float], h: float, chances: list[float] | None = None, labels: Floats = NO_LABELS
    ) -> None:
        c, f, pace = self.cells, self.fates, np.array([rates])
        tick(c.clock, c.fired, c.site, c.comp, self.n, pace, f.zone_of, f.start, f.rate, f.has_mass.size, h)
        likely = np.array([chances or [0.0]])
        self.n, self.ident = resolve(c, self.n, self.ident, self.seed, pace, likely, f, labels, self.tally)
        if self.n != FULL:
            self.n = bury(c, self.n)

    def idents(self) -> list[int]:
        return sorted(self.cells.ident[: self.n].tolist())


DEATH = table([(FateKind.DEATH, 0, NOTHING, NOTHING, 0, NOTHING)], 1)
BIRTH = table([(FateKind.DIVISION, 0, 0, NOTHING, 0, NOTHING)], 1)
BOTH = table([(FateKind.DIVISION, 0, 0, NOTHING, 0, NOTHING), (FateKind.DEATH, 0, NOTHING, NOTHING, 1, NOTHING)], 1)


def assert_moments(counts: Floats, mean: float, variance: float) -> None:
    """Mean and variance of a sample are those of the law, within 4.4 standard errors of each."""
    n = len(counts)
    centred = counts - mean
    assert abs(centred.mean()) < 4.4 * np.sqrt(variance / n)
    spread = (centred**2).std(ddof=1) / np.sqrt(n)
    assert abs((centred**2).mean() - variance) < 4.4 * spread


# ----------------------------------------------------------------------------------------------------- waiting times


def test_clocks_are_exponential() -> None:
    by_cell = np.array([first_clock(3, i, 0) for i in range(20_000)])
    by_event = np.array([first_clock(3, 11, e) for e in range(20_000)])
    for drawn in (by_cell, by_event):
        assert stats.kstest(drawn, "expon").pvalue > LEAST_P
    assert (by_cell > 0.0).all()


def test_waiting_times_are_exponential_with_the_total_rate() -> None:
    """Of 20,000 cells with two ways to go at 0.3 and 0.1 per h, seen in steps far shorter than the waiting."""
    rules: list[Rule] = [(FateKind.DEATH, 0, NOTHING, NOTHING, k, NOTHING) for k in (0, 1)]
    dish = Dish(table(rules, 1), 20_000, seed=5)
    left, h = [dish.n], 0.25
    while dish.n > 50:
        dish.step([0.3, 0.1], h)
        left.append(dish.n)
    died = -np.diff(left)
    edges = np.arange(len(left)) * h
    share = np.append(np.diff(1.0 - np.exp(-0.4 * edges)), np.exp(-0.4 * edges[-1]))
    seen = np.append(died, left[-1])
    enough = share * 20_000 > 10
    seen, share = (np.append(x[enough], x[~enough].sum()) for x in (seen, share))
    assert stats.chisquare(seen, share * 20_000).pvalue > LEAST_P
    # Which of the two it was: 3 to 1, whenever it was.
    assert stats.binomtest(int(dish.tally[0]), int(dish.tally.sum()), 0.75).pvalue > LEAST_P


def test_a_chain_of_stages_is_gamma_distributed() -> None:
    """Three moves at one rate: cells arrive in the last compartment after a gamma time, however long the step is."""
    rules: list[Rule] = [(FateKind.MOVE, k, k + 1, NOTHING, 0, NOTHING) for k in range(3)]
    for h in (4.0, 0.5):
        dish = Dish(table(rules, 4), 10_000, seed=8)
        for _ in range(round(4.0 / h)):
            dish.step([0.5], h)
        counts = count_cells(dish.cells, dish.n, 1, 4)[0][0]
        expected = 10_000 * np.append(stats.poisson.pmf(range(3), 2.0), stats.poisson.sf(2, 2.0))
        assert stats.chisquare(counts, expected).pvalue > LEAST_P


def test_steps_do_not_change_who_dies() -> None:
    """The integral of the rate decides, not how it is cut into steps."""
    whole, cut = Dish(DEATH, 3000, seed=2), Dish(DEATH, 3000, seed=2)
    whole.step([0.2], 5.0)
    for rate, h in ((0.1, 4.0), (0.9, 0.5), (0.3, 0.5)):  # 1.0 in total, at other paces
        cut.step([rate], h)
    assert whole.idents() == cut.idents()
    assert 0 < whole.n < 3000


# ---------------------------------------------------------------------------------------------------- birth and death


def test_pure_death_has_mean_and_variance_of_a_binomial() -> None:
    share, n = np.exp(-0.05 * 24.0), 100
    counts = []
    for seed in range(300):
        dish = Dish(DEATH, n, seed)
        for _ in range(12):
            dish.step([0.05], 2.0)
        counts.append(dish.n)
    assert_moments(np.array(counts, dtype=float), n * share, n * share * (1.0 - share))


@pytest.mark.parametrize("steps", [1, 40])
def test_pure_birth_makes_clones_of_geometric_size(steps: int) -> None:
    """Yule (1925): from one cell the number at t is geometric with p = e^-bt; in one step as in many."""
    n, grown = 4000, 1.5
    dish = Dish(BIRTH, n, seed=1, capacity=60_000)
    for _ in range(steps):
        dish.step([0.1], grown / 0.1 / steps)
    sizes = np.bincount(dish.cells.clone[: dish.n], minlength=n)
    assert len(sizes) == n
    assert_moments(sizes.astype(float), np.exp(grown), np.exp(grown) * (np.exp(grown) - 1.0))
    p = np.exp(-grown)
    seen = np.bincount(np.minimum(sizes, 15), minlength=16)[1:]
    expected = n * np.append(stats.geom.pmf(np.arange(1, 15), p), stats.geom.sf(14, p))
    assert stats.chisquare(seen, expected).pvalue > LEAST_P


def test_birth_and_death_together() -> None:
    """Mean e^((b-d)t), variance (b+d)/(b-d) e^((b-d)t) (e^((b-d)t) - 1) for each founder (Kendall 1948)."""
    b, d, t, n = 0.10, 0.06, 20.0, 4000
    dish = Dish(BOTH, n, seed=4, capacity=60_000)
    for _ in range(40):
        dish.step([b, d], t / 40)
    sizes = np.bincount(dish.cells.clone[: dish.n], minlength=n).astype(float)
    g = np.exp((b - d) * t)
    assert_moments(sizes, g, (b + d) / (b - d) * g * (g - 1.0))
    assert dish.n == n + dish.tally[0] - dish.tally[1]
    assert dish.ident == n + dish.tally[0]


def test_mothers_and_daughters_are_independent() -> None:
    """What is left to wait for after a division does not depend on how long the mother waited."""
    dish = Dish(BIRTH, 5000, seed=6, capacity=20_000)
    dish.step([0.1], 5.0)
    c = dish.cells
    # Who has divided at all, and the first daughter of each: what came later is chosen by what is compared.
    divided = c.ident[:5000][c.events[:5000] > 0]
    waited = np.array([first_clock(6, int(i), 0) for i in divided])
    again = np.array([first_clock(6, int(i), 1) for i in divided])
    mothers, place = np.unique(c.parent[5000 : dish.n], return_index=True)
    own = np.array([first_clock(6, int(i), 0) for i in c.ident[5000 + place]])
    theirs = np.array([first_clock(6, int(i), 1) for i in mothers])
    for one, other in ((waited, again), (own, theirs)):
        assert len(one) > 1500
        assert abs(stats.spearmanr(one, other).statistic) < 4.4 / np.sqrt(len(one))


def test_no_room_is_said() -> None:
    dish = Dish(BIRTH, 100, seed=1, capacity=101)
    dish.step([0.5], 10.0)
    assert dish.n == FULL


# ---------------------------------------------------------------------------------------------------- single fates


def test_a_division_shares_the_volume_and_inherits() -> None:
    fates = table([(FateKind.DIVISION, 0, 1, NOTHING, 0, NOTHING)], 2, mass=(0, 1))
    dish = Dish(fates, 50, seed=3, capacity=100)
    dish.cells.volume[:50] = np.linspace(0.5, 2.0, 50)
    dish.cells.marks[:50] = np.arange(50) % 4
    dish.cells.position[:50] = np.random.default_rng(1).uniform(size=(50, 3))
    before = dish.cells.volume[:50].copy()
    dish.step([1e3], 1.0)
    c = dish.cells
    assert dish.n == 100
    mother = c.parent[50:100]
    np.testing.assert_array_equal(np.sort(mother), np.arange(50))
    np.testing.assert_array_equal(c.clone[50:100], mother)
    np.testing.assert_array_equal(c.marks[50:100], mother % 4)
    np.testing.assert_array_equal(c.volume[50:100], 0.5 * before[mother])
    np.testing.assert_array_equal(c.volume[:50], 0.5 * before)
    np.testing.assert_array_equal(c.position[50:100], c.position[mother])
    assert set(c.comp[:100]) == {1}
    assert dish.idents() == list(range(100))


@pytest.mark.parametrize("chance", [0.0, 0.27, 1.0])
def test_a_division_skips_cytokinesis_with_its_probability(chance: float) -> None:
    fates = table([(FateKind.DIVISION, 0, 1, 2, 0, 0)], 3, mass=(0, 1, 2))
    n = 4000
    dish = Dish(fates, n, seed=3, capacity=2 * n)
    dish.step([1e3], 1.0, [chance])
    double = int((dish.cells.comp[: dish.n] == 2).sum())
    assert dish.n == 2 * n - double
    assert dish.cells.volume[: dish.n].sum() == pytest.approx(n)
    assert (dish.cells.volume[: dish.n][dish.cells.comp[: dish.n] == 2] == 1.0).all()
    assert stats.binomtest(double, n, chance).pvalue > LEAST_P


def test_a_convert_keeps_its_clone_and_takes_the_size_of_its_new_type() -> None:
    fates = table([(FateKind.CONVERSION, 0, 1, NOTHING, 0, NOTHING)], 2, mass=(1,), size=0.4)
    dish = Dish(fates, 20, seed=3)
    dish.cells.clone[:20] = 7
    dish.step([1e3], 1.0)
    assert dish.n == dish.ident == 20
    assert set(dish.cells.comp[:20]) == {1}
    assert set(dish.cells.clone[:20]) == {7}
    np.testing.assert_array_equal(dish.cells.volume[:20], 0.4)


@pytest.mark.parametrize("beyond", [0.0, 0.3, 1.0])
def test_a_convert_within_health_takes_the_origin_of_those_it_joins(beyond: float) -> None:
    """Bit 0 and bit 1 tell of origin, bit 2 is a user's label, which nobody takes away."""
    fates = table([(FateKind.CONVERSION, 0, 1, NOTHING, 0, 0)], 2)
    descent = np.full((3, 1, 2), -1.0)
    descent[0, 0, 1], descent[1, 0, 1] = 0.2, 0.8
    n = 5000
    dish = Dish(fates, n, seed=9)
    dish.cells.marks[:n] = 0b101
    dish.step([1e3], 1.0, [beyond], descent)
    marks = dish.cells.marks[:n]
    assert (marks & 0b100 > 0).all()
    assert set((marks & 0b011).tolist()) <= {0b01, 0b10}
    kept = beyond + (1.0 - beyond) * 0.2
    assert stats.binomtest(int((marks & 1 > 0).sum()), n, kept).pvalue > LEAST_P


def test_the_dead_are_buried_in_order() -> None:
    dish = Dish(DEATH, 1000, seed=4)
    clocks = dict(zip(dish.cells.ident[:1000].tolist(), dish.cells.clock[:1000].tolist(), strict=True))
    dish.step([0.1], 5.0)
    alive = [i for i, left in clocks.items() if left > 0.5]
    assert dish.cells.ident[: dish.n].tolist() == alive
    np.testing.assert_allclose(dish.cells.clock[: dish.n], [clocks[i] - 0.5 for i in alive], rtol=1e-12)


# ---------------------------------------------------------------------------------------------------------- arrivals


def _arrivals(pace: Floats, chance: float, hours: int, seed: int) -> tuple[Ints, CellArrays, int]:
    """Return the cells that come to each site in each hour."""
    m = len(pace)
    cells = empty_cells(40_000)
    waiting = np.array([[-np.log1p(-u)] for u in np.random.default_rng(seed).uniform(size=m)])
    drawn, sites = np.zeros((m, 1), dtype=np.int64), np.arange(m)
    n, ident, seen = 0, 0, []
    for _ in range(hours):
        before = n
        n, ident = arrive(
            cells, n, ident, seed, waiting, drawn, pace[:, None], np.full((m, 1), chance), sites, ints(1), ints(2),
            np.arange(3.0 * m).reshape(m, 3), 1.0,
        )  # fmt: skip
        seen.append(np.bincount(cells.site[before:n], minlength=m))
    return np.array(seen), cells, n


def test_arrivals_are_poisson_and_independent() -> None:
    pace = np.array([0.2, 1.0, 3.0])
    seen, cells, n = _arrivals(pace, 0.25, 4000, seed=2)
    for k, expected in enumerate(pace):
        most = int(stats.poisson.ppf(1.0 - 20 / 4000, expected))
        counts = np.bincount(np.minimum(seen[:, k], most), minlength=most + 1)
        law = np.append(stats.poisson.pmf(range(most), expected), stats.poisson.sf(most - 1, expected))
        assert stats.chisquare(counts, 4000 * law).pvalue > LEAST_P
        x = seen[:, k] - expected
        assert abs(np.corrcoef(x[1:], x[:-1])[0, 1]) < 4.4 / np.sqrt(4000)
    assert np.abs(np.corrcoef(seen.T)[np.triu_indices(3, 1)]).max() < 4.4 / np.sqrt(4000)
    assert n == seen.sum()
    np.testing.assert_array_equal(cells.ident[:n], np.arange(n))
    np.testing.assert_array_equal(cells.clone[:n], np.arange(n))
    np.testing.assert_array_equal(cells.position[:n, 0], 3.0 * cells.site[:n])
    assert stats.binomtest(int((cells.comp[:n] == 2).sum()), n, 0.25).pvalue > LEAST_P
    clocks = cells.clock[:n]
    assert stats.kstest(clocks, "expon").pvalue > LEAST_P


def test_nobody_comes_at_pace_zero() -> None:
    assert _arrivals(np.zeros(2), 0.0, 50, seed=1)[2] == 0


# ------------------------------------------------------------------------------------------------- what is foreseen


def test_what_is_foreseen_is_the_mean_of_what_happens() -> None:
    """To first order in the step; the volume of cells with mass follows them."""
    rules: list[Rule] = [
        (FateKind.DIVISION, 0, 1, 2, 0, 0),
        (FateKind.DEATH, 0, NOTHING, NOTHING, 1, NOTHING),
        (FateKind.MOVE, 1, 0, NOTHING, 2, NOTHING),
        (FateKind.CONVERSION, 1, 3, NOTHING, 1, NOTHING),
        (FateKind.CONVERSION, 3, 1, NOTHING, 2, NOTHING),
    ]
    fates = table(rules, 4, mass=(0, 1, 2), size=0.5)
    rates, h, n = [0.8, 0.3, 0.5], 1e-3, 1000
    count = np.array([[n, n, 0.0, n]])
    volume = np.array([[1.5 * n, 0.7 * n, 0.0, n]])
    later, larger = foresee(count, volume, np.array([rates]), np.array([[0.25]]), fates, np.array([0.2]), h)
    change, grown = (later - count)[0] / h / n, (larger - volume)[0] / h / n
    np.testing.assert_allclose(change, [-1.1 + 0.5, 1.2 - 0.8 + 0.5, 0.2, 0.3 - 0.5], atol=1e-9)
    lost = [0.2 * 1.5 - 1.1 * 1.5 + 0.5 * 0.7, 0.2 * 0.7 + 0.6 * 1.5 - 0.8 * 0.7 + 0.5 * 0.5, 0.2 * 1.5, 0.3 - 0.5]
    np.testing.assert_allclose(grown, lost, atol=1e-9)
