"""Random numbers that depend on who asks, when and what for, and on nothing else.

A draw is a pure function of (seed, cell id, step, purpose). There is no generator to advance, so the numbers are the
same for any number of threads, in any order of the cells, and after a checkpoint. The function is Philox-4x32-10 of
Salmon, Moraes, Dror and Shaw (2011), "Parallel random numbers: as easy as 1, 2, 3", doi 10.1145/2063384.2063405:
ten rounds that multiply, split and mix a 128-bit counter under a 64-bit key.

How the 192 bits are spent:

=========  ======  ============================================
input      bits    range
=========  ======  ============================================
seed       64      key words 0 (low) and 1 (high)
cell       64      counter words 0 (low) and 1 (high)
step       32      counter word 2
purpose    32      counter word 3
=========  ======  ============================================

Inside the functions every word travels as an unsigned 64-bit integer with its upper half empty: mixed signed and
unsigned integers become floating-point numbers in Numba, and a product of two 32-bit words needs 64 bits.
Nothing here is cached on disk by itself; the kernels that inline these functions decide that.
"""

from __future__ import annotations

import math
from enum import IntEnum

import numpy as np
from numba import njit

from hepatalk.errors import HepatalkError, shown

__all__ = ["Purpose", "check_seed", "normal", "philox4x32", "uniform", "uniform_pair"]

_LARGEST_SEED = 2**63 - 1  # the widest integer that every caller (NumPy, Numba, JSON readers) holds without a change

# Constants of Philox-4x32: two multipliers and two key increments (Salmon et al. 2011, table 2 and section 3.3).
_MULTIPLIER_0 = np.uint64(0xD2511F53)
_MULTIPLIER_1 = np.uint64(0xCD9E8D57)
_INCREMENT_0 = np.uint64(0x9E3779B9)
_INCREMENT_1 = np.uint64(0xBB67AE85)
_ROUNDS = 10

_LOW_WORD = np.uint64(0xFFFFFFFF)
_WORD_BITS = np.uint64(32)
_DROPPED_BITS = np.uint64(11)  # 64 random bits - 53 bits of a double's mantissa
_SPACING = 2.0**-53


class Purpose(IntEnum):
    """What a draw decides; two decisions of one cell in one step never share a number.

    The values are part of the definition of a run: a new purpose takes a new number, an old one is never reused.
    """

    PRIMING = 1
    CYCLE_ENTRY = 2
    CYCLE_PROGRESS = 3
    CYTOKINESIS = 4
    DIVISION_AXIS = 5
    DIVISION_SHARE = 6
    APOPTOSIS = 7
    NECROSIS = 8
    ACTIVATION = 9
    RECRUITMENT = 10
    MIGRATION = 11
    FATE = 12
    RESECTION = 13
    PLACEMENT = 14
    INITIAL_STATE = 15
    VIRTUAL_ANIMAL = 16
    LABEL = 17


def check_seed(seed: int) -> int:
    """Return the seed of a run if it can be used, unchanged.

    Parameters
    ----------
    seed : int
        The seed as the user gave it.

    Returns
    -------
    int
        The same number.

    Raises
    ------
    HepatalkError
        If `seed` is not a whole number from 0 to 2**63 - 1.
    """
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed <= _LARGEST_SEED:
        raise HepatalkError(f"seed {shown(seed)}; allowed: a whole number from 0 to {_LARGEST_SEED}; try --seed 1")
    return seed


@njit()
def philox4x32(
    counter_0: np.uint64,
    counter_1: np.uint64,
    counter_2: np.uint64,
    counter_3: np.uint64,
    key_0: np.uint64,
    key_1: np.uint64,
) -> tuple[np.uint64, np.uint64, np.uint64, np.uint64]:
    """Mix a 128-bit counter under a 64-bit key: Philox-4x32 with ten rounds.

    Parameters
    ----------
    counter_0, counter_1, counter_2, counter_3 : uint64
        The counter, four 32-bit words.
    key_0, key_1 : uint64
        The key, two 32-bit words.

    Returns
    -------
    tuple of four uint64
        Four random 32-bit words.
    """
    for _ in range(_ROUNDS):
        product_0 = _MULTIPLIER_0 * counter_0
        product_1 = _MULTIPLIER_1 * counter_2
        counter_0 = (product_1 >> _WORD_BITS) ^ counter_1 ^ key_0
        counter_1 = product_1 & _LOW_WORD
        counter_2 = (product_0 >> _WORD_BITS) ^ counter_3 ^ key_1
        counter_3 = product_0 & _LOW_WORD
        key_0 = (key_0 + _INCREMENT_0) & _LOW_WORD
        key_1 = (key_1 + _INCREMENT_1) & _LOW_WORD
    return counter_0, counter_1, counter_2, counter_3


@njit()
def uniform_pair(seed: int, cell: int, step: int, purpose: int) -> tuple[float, float]:
    """Return two independent uniform numbers for one decision, such as the two angles of a direction.

    Parameters
    ----------
    seed : int
        Seed of the run, 0 to 2**63 - 1.
    cell : int
        Identity of the cell, 0 to 2**63 - 1, never reused within a run.
    step : int
        Number of the time step, 0 to 2**32 - 1.
    purpose : int
        A `Purpose`.

    Returns
    -------
    tuple of two float
        Each one of the 2**53 multiples of 2**-53 in [0, 1).
    """
    wide_seed = np.uint64(seed)
    wide_cell = np.uint64(cell)
    word_0, word_1, word_2, word_3 = philox4x32(
        wide_cell & _LOW_WORD,
        wide_cell >> _WORD_BITS,
        np.uint64(step) & _LOW_WORD,
        np.uint64(purpose) & _LOW_WORD,
        wide_seed & _LOW_WORD,
        wide_seed >> _WORD_BITS,
    )
    first = ((word_0 << _WORD_BITS) | word_1) >> _DROPPED_BITS
    second = ((word_2 << _WORD_BITS) | word_3) >> _DROPPED_BITS
    return float(first) * _SPACING, float(second) * _SPACING


@njit()
def uniform(seed: int, cell: int, step: int, purpose: int) -> float:
    """Return the uniform number in [0, 1) of one cell, step and purpose.

    The same bits on every machine. See `uniform_pair` for the arguments.
    """
    return uniform_pair(seed, cell, step, purpose)[0]


@njit()
def normal(seed: int, cell: int, step: int, purpose: int) -> float:
    """Return the standard normal number of one cell, step and purpose (Box and Muller 1958).

    One of the two numbers of the transform is used; the other would tie two decisions to one draw. The number may
    differ in its last bit between machines whose mathematical libraries round ``log`` or ``cos`` differently. See
    `uniform_pair` for the arguments.
    """
    radius, angle = uniform_pair(seed, cell, step, purpose)
    # 1 - u lies in (0, 1], so the logarithm is finite; the largest number possible is 8.57.
    return math.sqrt(-2.0 * math.log(1.0 - radius)) * math.cos(2.0 * math.pi * angle)
