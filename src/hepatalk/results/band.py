"""Between which values most virtual animals lie: what the data leave open, over time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepatalk.errors import ResultError, shown, unknown

__all__ = ["Band", "Bands"]

#: Names of the curves of a band, in the order in which they are stored.
CURVES = ("low", "median", "high")


@dataclass(frozen=True, eq=False)
class Band:
    """The middle of many virtual animals for one readout; each (n_times,), in the unit of the readout."""

    low: NDArray[np.float64]
    median: NDArray[np.float64]
    high: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Bands:
    """The bands of a result.

    Use `Bands.of`. Arrays are copied and made read-only.

    Parameters
    ----------
    members : int
        How many animals.
    share : float
        The share of them that lies inside at each time.
    curves : mapping of str to Band
        By name of the readout.

    Raises
    ------
    ResultError
        If a band is not finite, or not in order.
    """

    members: int
    share: float
    curves: Mapping[str, Band]

    def __post_init__(self) -> None:
        """Check everything once."""
        if self.members < 1 or not 0.0 < self.share <= 1.0:
            raise ResultError(
                f"bands of {self.members} animals with a share of {self.share}; allowed: 1 or more, 0 to 1"
            )
        checked = {name: _checked(name, band) for name, band in self.curves.items()}
        object.__setattr__(self, "curves", MappingProxyType(checked))

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle through the constructor."""
        return Bands, (self.members, self.share, dict(self.curves))

    @classmethod
    def of(cls, curves: Mapping[str, NDArray[np.float64]], share: float) -> Bands:
        """Return the bands of many curves.

        Parameters
        ----------
        curves : mapping of str to (n_animals, n_times) array
            By name of the readout; as many animals for each.
        share : float
            The share of animals that is to lie inside at each time.

        Returns
        -------
        Bands
        """
        edge = 0.5 * (1.0 - share)
        bands = {n: Band(*np.quantile(many, (edge, 0.5, 1.0 - edge), axis=0)) for n, many in curves.items()}
        return cls(len(next(iter(curves.values()))), share, bands)

    def stacked(self) -> NDArray[np.float64]:
        """Return all curves, (n_readouts, 3, n_times): low, median, high."""
        return np.array([[getattr(band, c) for c in CURVES] for band in self.curves.values()])

    def labels(self) -> dict[str, Any]:
        """Return what `stacked` needs to be read again."""
        return {
            "readouts": list(self.curves),
            "curves": list(CURVES),
            "members": self.members,
            "share": self.share,
        }

    @classmethod
    def read(cls, stacked: NDArray[np.float64], labels: Mapping[str, Any]) -> Bands:
        """Return the bands of what `stacked` and `labels` gave; raises KeyError or TypeError for anything else."""
        curves = {str(name): Band(*three) for name, three in zip(labels["readouts"], stacked, strict=True)}
        return cls(int(labels["members"]), float(labels["share"]), curves)

    def check(self, readouts: Iterable[str], n_times: int) -> None:
        """Refuse a band of something that is no readout of a result, or of other times.

        Raises
        ------
        UnknownNameError, ResultError
        """
        names = set(readouts)
        for name, band in self.curves.items():
            if name not in names:
                raise unknown("readout", name, names, "the readouts of the result")
            if band.low.size != n_times:
                raise ResultError(
                    f"band of {shown(name)}: {band.low.size} values; allowed: one for each of {n_times} times; "
                    "run the animals with the same output times"
                )

    def to_json(self) -> dict[str, dict[str, list[float]]]:
        """Return ``{readout: {low, high, median}}``."""
        return {n: {c: getattr(b, c).tolist() for c in ("low", "high", "median")} for n, b in self.curves.items()}


def _checked(name: str, band: Band) -> Band:
    copies = []
    for curve in CURVES:
        values = np.array(getattr(band, curve), dtype=np.float64)
        if not np.isfinite(values).all():
            raise ResultError(f"band of {shown(name)}: {curve} is not finite; allowed: finite numbers; check the runs")
        values.flags.writeable = False
        copies.append(values)
    low, median, high = copies
    if not low.shape == median.shape == high.shape or (low > median).any() or (median > high).any():
        raise ResultError(f"band of {shown(name)}: allowed: low <= median <= high at every time; correct the order")
    return Band(low, median, high)
