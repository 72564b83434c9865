"""What one cell may do: the moves of the tape told apart, for engines that follow cells one by one.

The tape tells how amounts of cells change. Beside it the compiler keeps, for every compartment in every place, the
things that can happen to a cell there, each with the slot of its rate: so that both engines take the same numbers from
the same operations, and no rule exists in one engine alone.

=============  ==============================================================================================
kind           what happens, and what ``rate`` is
=============  ==============================================================================================
MOVE           the cell goes to compartment ``target``; rate per cell and h
DIVISION       two cells appear in ``target``; with the probability ``chance`` one binucleate cell in ``other``
               instead; rate per cell and h
DEATH          the cell is lost; rate per cell and h
ARRIVAL        a cell comes with the blood into ``target``, with the probability ``chance`` into ``other`` instead;
               rate as a fraction of the healthy number of the type, per h
CONVERSION     the cell becomes one of another type, in ``target``, of the size ``size`` (of a healthy cell); the
               fraction ``chance`` of the conversions counts as beyond the exchange of health; per cell and h
MIGRATION      the cell goes to the same compartment of the next zone; rate per cell and h
=============  ==============================================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

__all__ = ["NOTHING", "Exchange", "Fate", "FateKind", "Fates", "Growing", "Presented", "Touch", "settled"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

#: Stands where there is no state, slot or parameter.
NOTHING = -1


class FateKind(IntEnum):
    """What can happen to a cell."""

    MOVE = 0
    DIVISION = 1
    DEATH = 2
    ARRIVAL = 3
    CONVERSION = 4
    MIGRATION = 5


@dataclass(frozen=True)
class Fate:
    """One thing that can happen to the cells of a compartment, with slots of the unfinished tape.

    Attributes
    ----------
    kind : FateKind
    process : str
        ``CELL.PROCESS``, as the records call it.
    place : str
        Text of the place.
    rate : int or None
        Slot; None where the rate is the parameter ``constant``.
    origin, target, other : int or None
        States.
    chance : int or None
        Slot of a probability.
    constant : int or None
        Position of a parameter.
    size : float
        Of the new cell, relative to a healthy one; 1 where nothing else is said.
    """

    kind: FateKind
    process: str
    place: str
    rate: int | None
    origin: int | None = None
    target: int | None = None
    other: int | None = None
    chance: int | None = None
    constant: int | None = None
    size: float = 1.0


@dataclass(frozen=True)
class Growing:
    """How the cells of a type change their mass in a place: dv/dt = v (synthesis v^-restoring - decay), per h.

    Attributes
    ----------
    cell, place : str
    synthesis : int
        Slot, per h.
    decay, opposing : int
        Positions of the parameters of the decay (per h) and of minus the power of restoring.
    """

    cell: str
    place: str
    synthesis: int
    decay: int
    opposing: int


@dataclass(frozen=True)
class Exchange:
    """The exchange of a signal between zones, which an engine with a space of its own replaces by transport.

    Attributes
    ----------
    state : int
        State of the signal in its place.
    gain, loss : int
        Slots of what comes and what goes, per h.
    pace : int
        Position of the parameter that gives the exchange, per h.
    by_blood : bool
        Whether the blood does it, which all lobes share; tissue otherwise.
    """

    state: int
    gain: int
    loss: int
    pace: int
    by_blood: bool


@dataclass(frozen=True)
class Presented:
    """Cells that present a contact signal in a place.

    Attributes
    ----------
    cell : str
        Their type.
    states : tuple of int
        States of the model that count them.
    density : int
        Slot of their number per volume, relative to health.
    share : float
        Their share of the resting supply in the place.
    """

    cell: str
    states: tuple[int, ...]
    density: int
    share: float


@dataclass(frozen=True)
class Touch:
    """A contact signal in a place: an engine that knows which cells touch says who sees it.

    Attributes
    ----------
    state, free : int
        State of the signal, and the slot that regulation reads.
    by : tuple of Presented
    """

    state: int
    free: int
    by: tuple[Presented, ...]


@dataclass(frozen=True)
class Fates:
    """The fates of all compartments, growth and exchange, with settled slots.

    Attributes
    ----------
    cells : tuple of str
        Cell types, in the order of the knowledge.
    kind, rate, origin, target, other, chance, constant : (n_fates,) int array
        As in `Fate`; `NOTHING` where there is none.
    size : (n_fates,) float array
    process, place : tuple (n_fates,) of str
    growing : tuple of Growing
    exchanges : tuple of Exchange
    touches : tuple of Touch
    """

    cells: tuple[str, ...]
    kind: Ints
    rate: Ints
    origin: Ints
    target: Ints
    other: Ints
    chance: Ints
    constant: Ints
    size: Floats
    process: tuple[str, ...]
    place: tuple[str, ...]
    growing: tuple[Growing, ...] = ()
    exchanges: tuple[Exchange, ...] = ()
    touches: tuple[Touch, ...] = ()


def settled(
    cells: Sequence[str],
    fates: Sequence[Fate],
    growing: Sequence[Growing],
    exchanges: Sequence[Exchange],
    touches: Sequence[Touch],
    settle: Callable[[int], int],
) -> Fates:
    """Return the fates with the final indices of slots.

    Parameters
    ----------
    cells : sequence of str
    fates : sequence of Fate
    growing : sequence of Growing
    exchanges : sequence of Exchange
    touches : sequence of Touch
    settle : callable
        From a slot of the tape to its final index.
    """

    def column(name: str, *, slots: bool) -> Ints:
        values = [getattr(f, name) for f in fates]
        return np.array([NOTHING if v is None else settle(v) if slots else v for v in values], dtype=np.int64)

    return Fates(
        cells=tuple(cells),
        kind=np.array([int(f.kind) for f in fates], dtype=np.int64),
        rate=column("rate", slots=True),
        origin=column("origin", slots=True),
        target=column("target", slots=True),
        other=column("other", slots=True),
        chance=column("chance", slots=True),
        constant=column("constant", slots=False),
        size=np.array([f.size for f in fates]),
        process=tuple(f.process for f in fates),
        place=tuple(f.place for f in fates),
        growing=tuple(Growing(g.cell, g.place, settle(g.synthesis), g.decay, g.opposing) for g in growing),
        exchanges=tuple(
            Exchange(settle(e.state), settle(e.gain), settle(e.loss), e.pace, e.by_blood) for e in exchanges
        ),
        touches=tuple(
            Touch(
                settle(x.state),
                settle(x.free),
                tuple(Presented(p.cell, tuple(map(settle, p.states)), settle(p.density), p.share) for p in x.by),
            )
            for x in touches
        ),
    )
