"""The counter-based numbers as cells use them: keyed by seed, cell, event and purpose, over the keys that runs visit.

A battery on what `tests/unit/test_rng.py` says of the generator as such. Cells have small consecutive identities, few
events, and a handful of purposes: the keys of a run are the most regular that there can be, and all that tells two
draws apart may be one bit. Seeds are fixed; limits are at about p = 1e-5 for each number.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
import numpy.typing as npt
import pytest
from numba import njit
from scipy import stats

from hepatalk.engines.lobule.kernels import first_clock
from hepatalk.rng import Purpose, uniform, uniform_pair

Floats = npt.NDArray[np.float64]
CLOCK, CHOICE, SPLIT, COMES = (
    int(p) for p in (Purpose.CYCLE_PROGRESS, Purpose.FATE, Purpose.CYTOKINESIS, Purpose.RECRUITMENT)
)
PURPOSES = (CLOCK, CHOICE, SPLIT, COMES)
CELLS, EVENTS = 4096, 64
LEAST_P = 1e-5
WIDE = 4.5


@njit()
def _table(seed: int, first: int, cells: int, events: int, purpose: int) -> Floats:
    out = np.empty((cells, events))
    for i in range(cells):
        for e in range(events):
            out[i, e] = uniform(seed, first + i, e, purpose)
    return out


@njit()
def _pairs(seed: int, first: int, cells: int, events: int, purpose: int) -> Floats:
    out = np.empty((cells * events, 2))
    for i in range(cells):
        for e in range(events):
            out[i * events + e] = uniform_pair(seed, first + i, e, purpose)
    return out


@pytest.fixture(scope="module", params=[(1, 0), (2024, 10**9), (7, -CELLS - 1)], ids=["seed 1", "late", "vessels"])
def tables(request: pytest.FixtureRequest) -> dict[int, Floats]:
    """Draws by purpose, (cells, events): of a run's first cells, of late ones, and of the vessels of sites."""
    seed, first = request.param
    return {p: _table(seed, first, CELLS, EVENTS, p) for p in PURPOSES}


def uncorrelated(a: Floats, b: Floats) -> bool:
    return bool(abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < WIDE / np.sqrt(a.size))


def fills_the_square(a: Floats, b: Floats) -> bool:
    counts = np.histogram2d(a.ravel(), b.ravel(), bins=16, range=[[0, 1], [0, 1]])[0]
    return bool(stats.chisquare(counts.ravel()).pvalue > LEAST_P)


def test_uniform_over_all_and_in_every_slice(tables: dict[int, Floats]) -> None:
    """All draws of a purpose; those of each event over cells; the spread of the slices' own test values."""
    for x in tables.values():
        assert stats.chisquare(np.histogram(x, bins=1024, range=(0, 1))[0]).pvalue > LEAST_P
        assert stats.kstest(x.ravel(), "uniform").pvalue > LEAST_P
        slices = [stats.chisquare(np.histogram(x[:, e], bins=64, range=(0, 1))[0]).pvalue for e in range(EVENTS)]
        assert stats.kstest(slices, "uniform").pvalue > LEAST_P
        assert min(slices) > LEAST_P / 10


def test_neither_events_nor_neighbours_are_correlated(tables: dict[int, Floats]) -> None:
    """Serially along the events of a cell, and across identities one, two, powers of two apart."""
    for x in tables.values():
        for lag in (1, 2, 3, 8, 32):
            assert uncorrelated(x[:, lag:], x[:, :-lag])
            assert uncorrelated(x[lag:], x[:-lag])
        assert fills_the_square(x[:, 1:], x[:, :-1])
        assert fills_the_square(x[1:], x[:-1])
        # Diagonally: the next event of the next cell.
        assert uncorrelated(x[1:, 1:], x[:-1, :-1])


def test_bits_apart_in_the_identity_are_unrelated(tables: dict[int, Floats]) -> None:
    x = tables[CLOCK]
    for bit in range(12):
        other = np.arange(CELLS) ^ (1 << bit)
        own = np.arange(CELLS) < other
        assert uncorrelated(x[own], x[other[own]])


def test_purposes_do_not_know_of_each_other(tables: dict[int, Floats]) -> None:
    """The waiting time, the choice and the split of one event of one cell."""
    for a, b in combinations(PURPOSES, 2):
        assert uncorrelated(tables[a], tables[b])
        assert fills_the_square(tables[a], tables[b])
    # The clock of an event and the choice at it, one event later: what a cell in fact does.
    assert fills_the_square(tables[CLOCK][:, :-1], tables[CHOICE][:, 1:])


def test_triples_fill_the_cube(tables: dict[int, Floats]) -> None:
    x = tables[CLOCK]
    triples = x[:, : EVENTS - EVENTS % 3].reshape(-1, 3)
    counts = np.histogramdd(triples, bins=8, range=[(0, 1)] * 3)[0]
    assert stats.chisquare(counts.ravel()).pvalue > LEAST_P


def test_runs_up_and_down_and_gaps(tables: dict[int, Floats]) -> None:
    """Knuth's tests along the events of cells: of runs, and of gaps between visits to a tenth of the range."""
    x = tables[CHOICE]
    rising = np.diff(x, axis=1) > 0
    turns = (rising[:, 1:] != rising[:, :-1]).sum(axis=1)
    n = EVENTS
    mean, variance = 2 * (n - 2) / 3, (16 * n - 29) / 90
    assert abs(turns.mean() - mean) < WIDE * np.sqrt(variance / CELLS)
    assert abs(turns.var(ddof=1) / variance - 1.0) < WIDE * np.sqrt(2.0 / CELLS) * 1.5
    flat = x.ravel()
    gaps = np.diff(np.flatnonzero(flat < 0.1))
    counts = np.bincount(np.minimum(gaps, 40), minlength=41)[1:]
    law = np.append(stats.geom.pmf(np.arange(1, 40), 0.1), stats.geom.sf(39, 0.1))
    assert stats.chisquare(counts, law * len(gaps)).pvalue > LEAST_P


def test_low_bits_are_as_good_as_high_ones(tables: dict[int, Floats]) -> None:
    whole = (tables[CLOCK].ravel() * 2.0**53).astype(np.int64)
    n = len(whole)
    for bit in range(0, 53, 4):
        ones = int((whole >> bit & 1).sum())
        assert abs(ones - n / 2) < WIDE * np.sqrt(n) / 2


def test_the_two_numbers_of_a_pair_are_independent() -> None:
    for first in (0, -2048):
        pairs = _pairs(3, first, 2048, 32, SPLIT)
        assert uncorrelated(pairs[:, 0], pairs[:, 1])
        assert fills_the_square(pairs[:, 0], pairs[:, 1])
        assert uncorrelated(pairs[1:, 0], pairs[:-1, 1])


@pytest.mark.parametrize("what", ["seed", "cell", "event", "purpose"])
def test_avalanche(what: str) -> None:
    """One bit of one part of the key, of the sizes that runs have, flips half of the 53 bits of a number."""
    place = ("seed", "cell", "event", "purpose").index(what)
    width = {"seed": 20, "cell": 24, "event": 10, "purpose": 4}[what]
    flipped = np.zeros((width, 53))
    trials = 400
    rng = np.random.default_rng(place)
    for _ in range(trials):
        key = [int(rng.integers(100)), int(rng.integers(50_000)), int(rng.integers(60)), int(rng.choice(PURPOSES))]
        before = int(uniform(*key) * 2.0**53)
        for bit in range(width):
            other = key.copy()
            other[place] ^= 1 << bit
            difference = before ^ int(uniform(*other) * 2.0**53)
            flipped[bit] += [difference >> k & 1 for k in range(53)]
    share = flipped / trials
    assert abs(share.mean() - 0.5) < WIDE * 0.5 / np.sqrt(trials * share.size)
    assert np.abs(share - 0.5).max() < 5.5 * 0.5 / np.sqrt(trials)


def test_no_two_keys_of_a_run_give_one_number() -> None:
    """Of half a million draws no two are the same: by chance one such set in 65,000 would have a pair."""
    draws = np.concatenate([_table(1, 0, 2048, EVENTS, p).ravel() for p in PURPOSES])
    assert len(np.unique(draws)) == len(draws)


def test_clocks_of_a_run_are_exponential_and_independent(tables: dict[int, Floats]) -> None:
    """The sum of the first k clocks of a cell is gamma distributed: what chains of stages are made of."""
    clocks = -np.log1p(-tables[CLOCK])
    for k in (1, 2, 5, 20):
        assert stats.kstest(clocks[:, :k].sum(axis=1), stats.gamma(k).cdf).pvalue > LEAST_P
    assert first_clock(1, 5, 3) == -np.log(1.0 - uniform(1, 5, 3, CLOCK))


def test_different_seeds_are_different_runs() -> None:
    x = [_table(seed, 0, 1024, 32, CLOCK) for seed in (1, 2, 3, 2**40 + 1)]
    for a, b in combinations(x, 2):
        assert uncorrelated(a, b)
        assert not np.isin(a, b).any()
