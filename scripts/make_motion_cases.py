"""Draw the mechanical cases that published tools were compared on, as the lobule engine answers them.

Usage: ``python scripts/make_motion_cases.py`` writes docs/lobule_cases_motion.png. What the cases are, where they come
from and which convention is used stands in docs/lobule_cases.md; tests/analytic/test_motion_cases.py judges the same
curves.
"""

# ruff: noqa: T201 -- a script reports by printing

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from hepatalk.engines.lobule.motion import Bodies, Mechanics, relax

Floats = npt.NDArray[np.float64]

MINUTE_H, SECOND_H = 1 / 60, 1 / 3600
RADIUS_UM = 5.0
#: 0.12 kg/s in nN h/um, the friction of the impulse case.
IMPULSE_FRICTION = 0.12 * 1e9 / 1e6 / 3600
IMPULSE_NN = 0.02


def law(rate_per_h: float, friction: tuple[float, float] = (1.0, 1.0)) -> Mechanics:
    """Return the contact of two kinds of cells; `rate_per_h` is stiffness by the first friction."""
    stiffness = np.full((2, 2), rate_per_h * friction[0])
    return Mechanics(stiffness, np.ones((2, 2)), np.array(friction), 1.5, 0.0)


def course(
    x: list[float], contact: Mechanics, drive: list[Floats], interval_h: float, tolerance_um: float = 1e-4
) -> Floats:
    """Return x of cells on a line at the beginning and after each interval with its own force on each cell, nN."""
    kind = np.arange(len(x), dtype=np.int8)
    place = np.column_stack([x, np.zeros((len(x), 2))])
    rows = [place[:, 0]]
    for force in drive:
        active = np.column_stack([force, np.zeros((len(x), 2))])
        cells = Bodies(place, np.full(len(x), RADIUS_UM), kind)
        moved = relax(cells, contact, duration_h=interval_h, tolerance_um=tolerance_um, active=active)
        place = moved.position
        rows.append(place[:, 0])
    return np.array(rows)


def pushing(rate_per_h: float = 600.0) -> tuple[Floats, Floats]:
    """Two cells 30 um apart walk towards each other with 10 um/min for 10 min; distance every 0.1 min."""
    drive = [np.array([600.0, -600.0])] * 100
    x = course([-15.0, 15.0], law(rate_per_h), drive, 0.1 * MINUTE_H)
    return np.arange(101) * 0.1, x[:, 1] - x[:, 0]


def relaxation(rate_per_h: float = 60.0, friction: tuple[float, float] = (1.0, 1.0)) -> tuple[Floats, Floats]:
    """Two cells at 90% of their diameter part for 3 min; both places every 0.1 min."""
    x = course([-4.5, 4.5], law(rate_per_h, friction), [np.zeros(2)] * 30, 0.1 * MINUTE_H)
    return np.arange(31) * 0.1, x


def impulse() -> tuple[Floats, Floats]:
    """One cell that a force of 20 pN drives from 3 to 6 s; its place every 0.2 s for 12 s."""
    drive = [np.array([IMPULSE_NN if 15 <= k < 30 else 0.0]) for k in range(60)]
    x = course([0.0], law(0.0, (IMPULSE_FRICTION, 1.0)), drive, 0.2 * SECOND_H, 1e-8)
    return np.arange(61) * 0.2, x[:, 0]


def single_step() -> tuple[Floats, Floats]:
    """One cell that moves with 10 um/min for one step of 0.1 min; its place every 0.1 min for 1 min."""
    x = course([0.0], law(0.0), [np.array([600.0])] + [np.zeros(1)] * 9, 0.1 * MINUTE_H)
    return np.arange(11) * 0.1, x[:, 0]


def main() -> None:
    """Draw the figure."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, 2, figsize=(8.5, 6.0), layout="constrained")
    for rate in (120.0, 600.0, 3000.0):
        time, distance = pushing(rate)
        axes[0, 0].plot(time, distance, label=f"k/γ = {rate / 60:g} per min")
        print(f"pushing, {rate:g}/h: {distance[-1]:.4f} um after {time[-1]:g} min")
    axes[0, 0].set(title="Pushing", xlabel="min", ylabel="distance of centres, µm", xlim=(0, 4))
    for rate in (20.0, 60.0, 180.0):
        time, x = relaxation(rate)
        axes[0, 1].plot(time, x[:, 1] - x[:, 0], label=f"k/γ = {rate / 60:.2g} per min")
        print(f"relaxation, {rate:g}/h: {x[-1, 1] - x[-1, 0]:.4f} um after {time[-1]:g} min")
    axes[0, 1].set(title="Relaxation of an overlap", xlabel="min", ylabel="distance of centres, µm")
    time, x = relaxation(60.0, (1.0, 10.0))
    axes[1, 0].plot(time, x[:, 0] - x[0, 0], label="friction γ")
    axes[1, 0].plot(time, x[:, 1] - x[0, 1], label="friction 10 γ")
    print(f"unequal frictions: {x[-1, 0] - x[0, 0]:.4f} and {x[-1, 1] - x[0, 1]:.4f} um")
    axes[1, 0].set(title="Two cells of unequal friction", xlabel="min", ylabel="moved, µm")
    time, place = impulse()
    axes[1, 1].plot(time, 1e3 * place, label="20 pN from 3 to 6 s, 0.12 kg/s")
    print(f"impulse: {place[-1]:.6e} um; single step: {single_step()[1][-1]:.6f} um")
    axes[1, 1].set(title="One cell, impulse", xlabel="s", ylabel="moved, nm")
    for axis in axes.flat:
        axis.legend(frameon=False, fontsize=8)
        axis.spines[["top", "right"]].set_visible(False)
    path = Path(__file__).resolve().parents[1] / "docs" / "lobule_cases_motion.png"
    figure.savefig(path, dpi=110, metadata={"Software": None})
    print(path.name)


if __name__ == "__main__":
    main()
