"""What a readout is: a ratio of sums of slots of a model."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["NO_CELLS", "Readout"]

#: Fewer cells than this, of the healthy number, are rounding: a lobe that is gone has none, nor has a dish of others.
NO_CELLS = 1e-6


@dataclass(frozen=True)
class Readout:
    """A readout as slots of a model.

    Attributes
    ----------
    name, unit, definition : str
        As users see them.
    over, under : tuple of int
        Slots summed above and below the fraction line; no ``under`` means 1.
    weights : tuple of int
        Slots by which those above the line are weighted in a mean, one for each; no weights mean a plain sum.
    scale : float
        Factor on the ratio.
    least : float
        Below this what stands under the line is nothing, and the readout is 0: there is no share of what is not there.
    drivers : tuple of (str, float)
        Processes or targets whose rates move this readout, with the sign of their effect: what 'explain --run' asks.
    balance : bool
        Whether the drivers are gains and losses of one amount, which count in proportion to their size.
    """

    name: str
    unit: str
    definition: str
    over: tuple[int, ...]
    under: tuple[int, ...] = ()
    weights: tuple[int, ...] = ()
    scale: float = 1.0
    least: float = 0.0
    drivers: tuple[tuple[str, float], ...] = ()
    balance: bool = False
