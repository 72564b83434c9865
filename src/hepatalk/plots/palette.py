"""Colours, line styles and time axes that all pictures share, so that a cell type looks the same everywhere.

The hues are those of Okabe and Ito's palette, which people with any common colour-vision deficiency can tell apart
(https://jfly.uni-koeln.de/color/); the dash patterns and direct labels carry the same information in a grey print.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

__all__ = [
    "BRAKE",
    "CELLS",
    "CELL_COLOURS",
    "CELL_DASHES",
    "CELL_NAMES",
    "DIET_COLOURS",
    "INK",
    "MODEL",
    "MUTED",
    "PUSH",
    "day_ticks",
    "duration",
    "fold_text",
    "root_hours",
    "root_ticks",
    "shades",
    "shortened",
    "state_tints",
]

Floats = npt.NDArray[np.float64]

CELLS = ("HEP", "KC", "BEC", "HSC", "LSEC")
CELL_NAMES = {
    "HEP": "hepatocytes",
    "KC": "Kupffer cells",
    "BEC": "cholangiocytes",
    "HSC": "stellate cells",
    "LSEC": "sinusoidal endothelial cells",
}
CELL_COLOURS = {"HEP": "#D55E00", "KC": "#0072B2", "BEC": "#009E73", "HSC": "#B8860B", "LSEC": "#A6447F"}
#: Lengths of dash and gap in line widths; none is a solid line.
CELL_DASHES: dict[str, tuple[float, ...]] = {
    "HEP": (),
    "KC": (5, 1.5),
    "BEC": (5, 1.5, 1, 1.5),
    "HSC": (1, 1.2),
    "LSEC": (9, 2),
}
INK, MUTED = "#1a1a1a", "#6b6b6b"
#: Lines of the model that belong to no cell type.
MODEL = "#34618F"
#: Groups of real animals differ in marker and lightness, not in hue.
DIET_COLOURS = {"Carbohydrate": "#000000", "Chow": "#8a8a8a"}
PUSH, BRAKE = "#D55E00", "#0072B2"

_MARKS_H = (
    *((0, "0"), (1, "1 h"), (3, "3 h"), (6, "6 h"), (12, "12 h"), (24, "1 d"), (48, "2 d"), (72, "3 d"), (120, "5 d")),
    *((168, "7 d"), (240, "10 d"), (336, "14 d"), (504, "21 d"), (672, "28 d"), (1440, "60 d"), (2160, "90 d")),
    *((4320, "180 d"), (8760, "365 d"), (26280, "3 y"), (87600, "10 y")),
)


def shades(colour: str, n: int) -> tuple[str, ...]:
    """Return `n` tints of a colour from nearly white to the colour darkened: an order that survives a grey print."""
    base = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)], dtype=float)
    white, dark = np.full(3, 255.0), 0.45 * base
    out = []
    for k in range(n):
        x = 0.12 + 0.88 * (k / max(n - 1, 1))
        mixed = white + (base - white) * (x / 0.6) if x < 0.6 else base + (dark - base) * ((x - 0.6) / 0.4)
        out.append("#" + "".join(f"{round(float(c)):02x}" for c in mixed))
    return tuple(out)


#: How far from rest a state is, in steps of lightness from 0; one that is not listed stands with the activated ones.
#: A refractory cell is at rest, though not ready: in health a third of Kupffer cells are, and health is pale.
_STATE_RANK = {"resting": 0, "quiescent": 0, "refractory": 1, "g1": 5, "s": 7, "g2m": 9}
_ACTIVE_RANK, _STEPS = 3, 10


def state_tints(colour: str, states: Sequence[str]) -> tuple[str, ...]:
    """Return the tint of each state of a cell type: the same step of lightness for the same state everywhere."""
    ramp = shades(colour, _STEPS)
    return tuple(ramp[_STATE_RANK.get(state, _ACTIVE_RANK)] for state in states)


def root_hours(time_h: npt.ArrayLike) -> Floats:
    """Return positions on an axis that goes with the square root of time: hours and weeks on one axis."""
    return np.asarray(np.sqrt(np.maximum(np.asarray(time_h, dtype=float), 0.0)))


def root_ticks(end_h: float, gap: float = 0.055) -> tuple[list[float], list[str]]:
    """Return tick positions (square roots of hours) and labels for an axis up to `end_h`.

    Labels closer than `gap` (a part of the axis) to a later one are left out.
    """
    inside = [(math.sqrt(h), text) for h, text in _MARKS_H if h <= end_h * 1.001]
    kept: list[tuple[float, str]] = []
    for position, text in reversed(inside):  # from the end, which is always labelled
        if not kept or kept[-1][0] - position >= gap * math.sqrt(end_h):
            kept.append((position, text))
    return [p for p, _ in reversed(kept)], [t for _, t in reversed(kept)]


def day_ticks(end_h: float, most: int = 8) -> list[float]:
    """Return whole days for the ticks of a linear axis up to `end_h`."""
    days = end_h / 24.0
    for step in (0.25, 0.5, 1, 2, 7, 14, 30, 60, 90, 365, 730):
        if days / step <= most:
            return [float(k * step) for k in range(int(days / step + 1e-9) + 1)]
    return [0.0, days]


def duration(hours: float) -> str:
    """Return a time as people say it: hours up to two days, then days."""
    whole_days = hours >= 48.0 and hours % 24.0 == 0.0
    if hours < 168.0 and not whole_days:
        return f"{hours:.3g} h"
    return f"{hours / 24.0:.1f} d".replace(".0 d", " d")


def fold_text(value: float) -> str:
    """Return a level relative to health, as ×12 or ×0.09: two digits tell all that a model can."""
    return f"×{value:.0f}" if value >= 9.95 else f"×{value:.2g}"


def shortened(text: str, most: int) -> str:
    """Return a text cut at a word to at most `most` characters, with an ellipsis where something was cut."""
    text = " ".join(text.split())
    if len(text) <= most:
        return text
    return text[: most - 1].rsplit(" ", 1)[0].rstrip(" ,;:") + "…"
