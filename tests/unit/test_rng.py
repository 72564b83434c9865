"""Random numbers: published vectors, who they depend on, and whether they look random.

Statistical tests use fixed seeds, so they give the same verdict for ever; limits are at about p = 1e-5 or wider.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numba import njit, prange
from scipy import stats

from hepatalk.errors import HepatalkError
from hepatalk.rng import Purpose, check_seed, normal, philox4x32, uniform, uniform_pair

_FATE, _AXIS = int(Purpose.FATE), int(Purpose.DIVISION_AXIS)

# Known answers of philox4x32 with ten rounds: file kat_vectors of the Random123 library, which goes with the paper.
# Counter, key, answer.
_KNOWN_ANSWERS = [
    ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
]


@njit()
def _by_cell(seed: int, cells: int, step: int, purpose: int) -> np.ndarray:
    drawn = np.empty(cells)
    for cell in range(cells):
        drawn[cell] = uniform(seed, cell, step, purpose)
    return drawn


@njit()
def _by_step(seed: int, cell: int, steps: int, purpose: int) -> np.ndarray:
    drawn = np.empty(steps)
    for step in range(steps):
        drawn[step] = uniform(seed, cell, step, purpose)
    return drawn


@njit()
def _normal_by_cell(seed: int, cells: int) -> np.ndarray:
    drawn = np.empty(cells)
    for cell in range(cells):
        drawn[cell] = normal(seed, cell, 0, _AXIS)
    return drawn


@njit(parallel=True)
def _in_parallel(seed: int, cells: int, step: int, purpose: int) -> np.ndarray:
    drawn = np.empty(cells)
    for cell in prange(cells):
        drawn[cell] = uniform(seed, cell, step, purpose)
    return drawn


def _words(text: str) -> list[np.uint64]:
    return [np.uint64(int(word, 16)) for word in text.split()]


@pytest.mark.parametrize(("counter", "key", "answer"), _KNOWN_ANSWERS)
def test_published_known_answers(counter: str, key: str, answer: str) -> None:
    mixed = philox4x32(*_words(counter), *_words(key))
    assert [f"{int(word):08x}" for word in mixed] == answer.split()


@pytest.mark.parametrize(("counter", "key", "answer"), _KNOWN_ANSWERS)
def test_published_known_answers_without_compilation(counter: str, key: str, answer: str) -> None:
    mixed = philox4x32.py_func(*_words(counter), *_words(key))
    assert [f"{int(word):08x}" for word in mixed] == answer.split()


@pytest.mark.parametrize(("counter", "key", "answer"), _KNOWN_ANSWERS)
def test_arguments_fill_the_words_of_counter_and_key(counter: str, key: str, answer: str) -> None:
    c0, c1, c2, c3 = (int(word) for word in _words(counter))
    k0, k1 = (int(word) for word in _words(key))
    a0, a1, a2, a3 = (int(word) for word in _words(answer))
    expected = ((a0 << 32 | a1) >> 11) * 2.0**-53, ((a2 << 32 | a3) >> 11) * 2.0**-53
    arguments: list[Any] = [np.uint64(k0 | k1 << 32), np.uint64(c0 | c1 << 32), np.uint64(c2), np.uint64(c3)]
    assert uniform_pair(*arguments) == expected


def test_uniform_is_the_first_of_the_pair_and_repeats() -> None:
    assert uniform(7, 8, 9, _FATE) == uniform_pair(7, 8, 9, _FATE)[0] == uniform.py_func(7, 8, 9, _FATE)
    assert uniform(7, 8, 9, Purpose.FATE) == uniform(7, 8, 9, _FATE)


def test_threads_and_order_change_nothing() -> None:
    np.testing.assert_array_equal(_in_parallel(3, 10_001, 5, _FATE), _by_cell(3, 10_001, 5, _FATE))


def test_each_argument_matters_up_to_its_last_bit() -> None:
    base = (2**62 + 5, 2**62 + 6, 2**31 + 7, _FATE)
    values = {uniform(*base)}
    bits = [(0, 63), (1, 63), (2, 32), (3, 31)]
    for argument, width in bits:
        for bit in range(width):
            changed = list(base)
            changed[argument] ^= 1 << bit
            values.add(uniform(*changed))
    assert len(values) == 1 + sum(width for _, width in bits)


def test_purposes_are_distinct_and_stay_as_they_are() -> None:
    assert len({int(purpose) for purpose in Purpose}) == len(Purpose)
    assert (Purpose.PRIMING, Purpose.FATE, Purpose.VIRTUAL_ANIMAL) == (1, 12, 16)


@pytest.mark.parametrize("seed", [0, 1, 2**63 - 1])
def test_uniform_has_range_mean_variance_and_shape(seed: int) -> None:
    count = 200_000
    drawn = _by_cell(seed, count, 0, _FATE)
    assert drawn.min() >= 0.0
    assert drawn.max() < 1.0
    assert abs(drawn.mean() - 0.5) < 4.5 * np.sqrt(1 / 12 / count)
    assert abs(drawn.var() - 1 / 12) < 4.5 * np.sqrt(1 / 180 / count)
    assert stats.chisquare(np.histogram(drawn, bins=256, range=(0.0, 1.0))[0]).pvalue > 1e-5
    assert stats.kstest(drawn, "uniform").pvalue > 1e-5


@pytest.mark.parametrize("lag", [1, 2, 7])
def test_neighbours_in_cell_and_step_are_uncorrelated(lag: int) -> None:
    count = 200_000
    for drawn in (_by_cell(11, count, 3, _FATE), _by_step(11, 3, count, _FATE)):
        assert abs(np.corrcoef(drawn[:-lag], drawn[lag:])[0, 1]) < 4.5 / np.sqrt(count)


def test_pairs_of_neighbours_fill_the_square() -> None:
    drawn = _by_cell(5, 200_000, 1, _FATE)
    counts = np.histogram2d(drawn[0::2], drawn[1::2], bins=16, range=[[0, 1], [0, 1]])[0]
    assert stats.chisquare(counts.ravel()).pvalue > 1e-5


def test_purposes_seeds_and_steps_are_uncorrelated() -> None:
    count = 100_000
    streams = [_by_cell(1, count, 0, 1), _by_cell(1, count, 0, 2), _by_cell(2, count, 0, 1), _by_cell(1, count, 1, 1)]
    off_diagonal = np.corrcoef(streams)[np.triu_indices(len(streams), 1)]
    assert np.abs(off_diagonal).max() < 4.5 / np.sqrt(count)


def test_the_two_numbers_of_a_pair_are_uncorrelated() -> None:
    pairs = np.array([uniform_pair(1, cell, 0, _AXIS) for cell in range(20_000)])
    assert abs(np.corrcoef(pairs.T)[0, 1]) < 4.5 / np.sqrt(len(pairs))


@pytest.mark.parametrize("word", range(6))
def test_avalanche_one_flipped_bit_flips_half_of_the_output(word: int) -> None:
    generator = np.random.default_rng(word)
    flips = np.zeros((32, 128))
    trials = 100
    for _ in range(trials):
        words = [np.uint64(value) for value in generator.integers(0, 2**32, 6)]
        before = philox4x32(*words)
        for bit in range(32):
            changed = list(words)
            changed[word] ^= np.uint64(1 << bit)
            after = philox4x32(*changed)
            difference = sum((int(a) ^ int(b)) << 32 * k for k, (a, b) in enumerate(zip(before, after, strict=True)))
            flips[bit] += [difference >> k & 1 for k in range(128)]
    share = flips / trials
    assert abs(share.mean() - 0.5) < 5 * 0.5 / np.sqrt(trials * share.size)
    # The largest of 4,096 binomial shares: 5.2 standard deviations is about p = 1e-3 for all of them together.
    assert np.abs(share - 0.5).max() < 5.5 * 0.5 / np.sqrt(trials)


def test_normal_is_standard_normal() -> None:
    count = 200_000
    drawn = _normal_by_cell(9, count)
    assert np.isfinite(drawn).all()
    assert abs(drawn.mean()) < 4.5 / np.sqrt(count)
    assert abs(drawn.var() - 1.0) < 4.5 * np.sqrt(2 / count)
    assert abs(stats.kurtosis(drawn)) < 4.5 * np.sqrt(24 / count)
    assert stats.kstest(drawn, "norm").pvalue > 1e-5


@pytest.mark.parametrize("seed", [0, 1, 2**63 - 1])
def test_good_seeds(seed: int) -> None:
    assert check_seed(seed) == seed


@pytest.mark.parametrize("seed", [-1, 2**63, 1.0, True, "1", None])
def test_bad_seeds(seed: object) -> None:
    with pytest.raises(HepatalkError) as caught:
        check_seed(seed)  # type: ignore[arg-type]
    assert str(caught.value).startswith("seed ")
    assert "allowed: a whole number from 0 to 9223372036854775807; try --seed 1" in str(caught.value)
