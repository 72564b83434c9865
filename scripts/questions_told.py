"""What became of virtual animals, and comparisons of them in words that are made from the numbers."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hepatalk.plots.palette import duration

Floats = npt.NDArray[np.float64]

#: Less than this is no change: the line that both scoreboards draw for directions and for equality.
SAME = 0.05
#: A difference of volume smaller than this, in healthy volumes, is none.
SAME_VOLUME = 0.01
#: Days after the operation at which volumes are told.
VOLUME_DAYS = (7, 14, 28)


@dataclass(frozen=True)
class Outcome:
    """What became of one animal.

    Attributes
    ----------
    label : str
    wave, peak_h : float
        Height of the first wave as a fraction of hepatocytes, and when it is highest (h).
    volume : (n,) float array
        The volume that the question is about.
    died_h : float or None
    time_h : (n,) float array
    curves : dict of str to (n,) float arrays
        Readouts by name, NaN from death on.
    units : dict of str to str
    hash : str
        Of the model.
    """

    label: str
    wave: float
    peak_h: float
    volume: Floats
    died_h: float | None
    time_h: Floats
    curves: dict[str, Floats]
    units: dict[str, str]
    hash: str

    def at(self, readout: str, hours: float) -> float:
        """Return a readout at a time; NaN for a dead animal, or after the end."""
        if hours > self.time_h[-1]:
            return float("nan")
        return float(np.interp(hours, self.time_h, self.curves[readout]))

    def volume_at(self, days: float) -> float:
        """Return the volume after some days; NaN for a dead animal, or after the end."""
        hours = days * 24.0
        return float("nan") if hours > self.time_h[-1] else float(np.interp(hours, self.time_h, self.volume))

    def reduced(self, readout: str, how: str) -> float:
        """Return a readout as a column asks for it: 'max', 'min', 'at 14 d', 'at 48 h'."""
        if match := re.fullmatch(r"at (\d+) ([hd])", how):
            return self.at(readout, float(match[1]) * (24.0 if match[2] == "d" else 1.0))
        return float({"max": np.nanmax, "min": np.nanmin}[how](self.curves[readout]))


# ------------------------------------------------------------------------------------------------------------- words


def rounded(value: float, digits: int) -> str:
    """Return a number with as many digits, never with an exponent: what is under a millionth is 0."""
    if abs(value) < 1e-6:
        return "0"
    return np.format_float_positional(value, precision=digits, fractional=False, trim="-")


def share(value: float) -> str:
    """Return a fraction in per cent, with two digits below one per cent."""
    return f"{value:.1%}" if value >= 0.01 else f"{rounded(100.0 * value, 2)}%"


def moved(value: float, control: float) -> str:
    """Say how an amount differs from its control: 'falls by 54%', 'rises 2.3-fold', 'stays within 5% (+2%)'."""
    if not control > 0.0:
        return f"is {value:.2g} where the control has none"
    change = value / control - 1.0
    if abs(change) < SAME:
        return f"stays within {SAME:.0%} ({change:+.1%})"
    if change >= 1.0:
        return f"rises {rounded(value / control, 2)}-fold"
    return f"falls by {-change:.0%}" if change < 0.0 else f"rises by {change:.0%}"


def later(hours: float) -> str:
    """Say a shift of time: '6 h later', 'at the same hour'."""
    if abs(hours) < 1.0:
        return "at the same hour"
    return f"{abs(hours):.0f} h {'later' if hours > 0.0 else 'earlier'}"


def lower(value: float, control: float) -> str:
    """Say a difference of volumes in parts of the healthy volume; NaN is a dead animal."""
    if np.isnan(value):
        return "not reached: the animal is dead"
    difference = value - control
    if np.isnan(control) or abs(difference) < SAME_VOLUME:
        return f"{value:.2f}, the same within {SAME_VOLUME}" if not np.isnan(control) else f"{value:.2f}"
    return f"{value:.2f}, {abs(difference):.2f} {'higher' if difference > 0.0 else 'lower'}"


def listed(parts: Sequence[str]) -> str:
    """Join parts with semicolons, and 'and' before the last."""
    return parts[0] if len(parts) == 1 else f"{'; '.join(parts[:-1])}; and {parts[-1]}"


def tell_waves(outcomes: Sequence[Outcome]) -> str:
    """Compare first waves and volumes with the control."""
    control, *others = outcomes
    parts = [
        f"**{o.label}** the wave {moved(o.wave, control.wave)} and peaks {later(o.peak_h - control.peak_h)}; "
        f"volume at 14 d is {lower(o.volume_at(14), control.volume_at(14))}"
        for o in others
    ]
    dead = [f"{o.label} dies after {duration(round(o.died_h))}" for o in outcomes if o.died_h is not None]
    deaths = f" Of these {len(outcomes)} animals, {listed(dead)}." if dead else ""
    return (
        f"Against *{control.label}* (first wave {share(control.wave)} of hepatocytes at {control.peak_h:.0f} h): "
        f"{listed(parts)}.{deaths}"
    )


def tell_division(outcomes: Sequence[Outcome]) -> str:
    """Split the regained hepatocyte mass into cell number and cell size: mass is number times mean volume."""
    parts = []
    for o in outcomes:
        mass, number = (np.log(o.at(name, 336.0) / o.at(name, 0.0)) for name in ("hepatocyte_mass", "hepatocyte_count"))
        parts.append(f"{number / mass:.0%} with *{o.label}*")
    return (
        "Of the hepatocyte mass regained in 14 d (on a logarithmic scale, where number and size add up), new cells "
        f"are {' and '.join(parts)}; the rest is growth of cells."
    )


def tell_series(outcomes: Sequence[Outcome], edge: tuple[int, int] | None) -> str:
    """Say where the wave begins and is highest, and where animals die."""
    highest = max(outcomes, key=lambda o: o.wave)
    first = next(o for o in outcomes if o.wave >= 0.1 * highest.wave)
    rises = all(a.wave <= b.wave for a, b in itertools.pairwise(outcomes))
    shape = "grows with every step of the series" if rises else f"is highest at {highest.label} and falls beyond"
    dead = [f"{o.label} dies after {duration(round(o.died_h))}" for o in outcomes if o.died_h is not None]
    said = f"Of the series, {listed(dead)}." if dead else "No animal of the series dies."
    if edge is not None:
        said += f" Bisected to one per cent: the loss of {edge[0]}% is survived for 28 d, that of {edge[1]}% kills."
    return (
        f"The first wave {shape} (highest with {highest.label} removed: {share(highest.wave)} of hepatocytes at "
        f"{highest.peak_h:.0f} h); the smallest loss of the series with a tenth of that is {first.label}. {said}"
    )


def tell_descent(outcomes: Sequence[Outcome]) -> str:
    """Say what share of hepatocytes came from biliary cells, with division against without."""
    parts = []
    for free, blocked in zip(outcomes[::2], outcomes[1::2], strict=True):
        a, b = (float(np.nanmax(o.curves["hepatocytes_from_bec"])) for o in (free, blocked))
        parts.append(
            f"**{free.label}**: at most {share(a)} with division and {share(b)} without; the share {moved(b, a)}"
        )
    dead = [f"{o.label} dies after {duration(round(o.died_h))}" for o in outcomes if o.died_h is not None]
    return f"Hepatocytes that descend from biliary cells: {listed(parts)}.{' ' + listed(dead) + '.' if dead else ''}"


def tell_overshoot(outcomes: Sequence[Outcome]) -> str:
    """Say how many animals overshoot, and how far they end from the control."""
    control, *others = outcomes
    over = [o.label for o in outcomes if np.nanmax(o.volume) > 1.0 + SAME]
    said = f"in {listed(over)}" if over else f"in none of these {len(outcomes)} animals"
    top = max(outcomes, key=lambda o: float(np.nanmax(o.volume)))
    days = control.time_h[-1] / 24.0
    ends = [f"**{o.label}** {lower(float(o.volume[-1]), float(control.volume[-1]))}" for o in others]
    return (
        f"Volume goes more than 5% above health {said} (highest: {top.label}, {np.nanmax(top.volume):.2f}). After "
        f"{days:.0f} d, against {control.volume[-1]:.2f} with *{control.label}*, it is {listed(ends)}."
    )


def tell_growth(outcomes: Sequence[Outcome]) -> str:
    """Say by how much the volume in question has grown since time zero."""
    parts = []
    for o in outcomes:
        gains = [f"{o.volume_at(d) / o.volume_at(0) - 1.0:+.0%} after {d} d" for d in VOLUME_DAYS]
        parts.append(f"**{o.label}** {', '.join(gains)}")
    first, second = (o.volume_at(7) / o.volume_at(0) - 1.0 for o in outcomes[:2])
    return (
        f"The part that is to stay changes in volume by: {listed(parts)}. Against *{outcomes[1].label}*, the gain of "
        f"the first week with *{outcomes[0].label}* {moved(first, second)}."
    )


def tell_ends(outcomes: Sequence[Outcome]) -> str:
    """Say where volume ends and when 95% of health is reached, and whether species differ at all."""
    parts = []
    for o in outcomes:
        reached = np.flatnonzero(o.volume >= 1.0 - SAME)
        hour = duration(float(o.time_h[reached[0]])) if len(reached) else ""
        when = f"95% of health after {hour}" if hour else "95% of health never"
        end = o.volume[-1]
        parts.append(f"**{o.label}** {'dead' if np.isnan(end) else f'{end:.2f}'} ({when})")
    same = on_each_other(outcomes)
    equal = (
        f" The curves of {' and '.join(same)} lie on that of {outcomes[0].label}: nothing that moves volume differs."
        if same
        else ""
    )
    return f"Volume after {outcomes[0].time_h[-1] / 24:.0f} d: {listed(parts)}.{equal}"


def on_each_other(outcomes: Sequence[Outcome]) -> list[str]:
    """Return the labels of the animals whose volume is that of the first to a millionth."""
    first, *rest = outcomes
    return [
        o.label
        for o in rest
        if o.volume.shape == first.volume.shape and np.allclose(o.volume, first.volume, rtol=1e-6, equal_nan=True)
    ]


TELL: dict[str, Callable[[Sequence[Outcome]], str]] = {
    "waves": tell_waves,
    "division": tell_division,
    "descent": tell_descent,
    "overshoot": tell_overshoot,
    "growth": tell_growth,
    "ends": tell_ends,
}
