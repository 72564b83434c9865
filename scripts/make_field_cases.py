#!/usr/bin/env python3
"""Draw docs/lobule_cases_fields.png: the published diffusion cases, as docs/lobule_cases.md describes them.

python scripts/make_field_cases.py
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np
import numpy.typing as npt

from hepatalk.engines.lobule.fields import integrate
from hepatalk.engines.lobule.voxels import grid

Floats = npt.NDArray[np.float64]

#: min, centre and mean in uM: analytical_values.csv of PerMedCoE/observatory_benchmark, commit acce722f.
PUBLISHED = np.array(
    [
        [0.1, 8.947337, 9.986105],
        [0.5, 7.868075, 9.931543],
        [1.0, 7.518685, 9.875949],
        [2.0, 7.269436, 9.817176],
        [5.0, 7.145256, 9.785264],
        [10.0, 7.139354, 9.783741],
    ]
)
RINGS = ((-30, (-10, 10)), (-10, (-30, -10, 10, 30)), (10, (-30, -10, 10, 30)), (30, (-10, 10)))
TWELVE = np.array([[x, y, 0.0] for x, ys in RINGS for y in ys])
MINUTES = np.r_[0.02, 0.05, np.arange(0.1, 1.0, 0.1), np.arange(1.0, 10.1, 0.5)]


def course(voxels: int, sinks: Floats, uptake: float) -> tuple[Floats, Floats]:
    """Return centre and mean (uM) over `MINUTES` in a box of 240 um whose walls hold 10 uM.

    Parameters
    ----------
    voxels : int
        Along each side.
    sinks : (n, 3) float array
        um.
    uptake : float
        Of each, uM um^3/min.
    """
    made = grid(voxels, voxels, voxels, 240.0 / voxels, walls="open")
    corners = np.array([[a, b, c] for a in (-1, 1) for b in (-1, 1) for c in (-1, 1)]) * 1e-3
    source = made.spread((sinks[:, None] + corners).reshape(-1, 3), np.full(8 * len(sinks), uptake * 60.0 / 8.0))[None]
    near, now, before = made.voxel(corners), np.zeros_like(source), 0.0
    centre, mean = [], []
    for minute in MINUTES:
        step = (minute - before) / 60.0
        now = integrate(now, source, 0.0 * source, made.transport, np.array([1.2e5]), np.zeros(1), step, 1e-4).level
        before = minute
        centre.append(10.0 - now[0, near].mean())
        mean.append(10.0 - now[0].mean())
    return np.array(centre), np.array(mean)


def main() -> int:
    """Draw the figure.

    Returns
    -------
    int
        0.
    """
    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 3, figsize=(11, 3.4), layout="constrained")
    for voxels, style in ((12, "--"), (24, "-")):
        centre, mean = course(voxels, TWELVE, 1.6e5)
        axes[0].plot(MINUTES, centre, style, color="tab:blue", label=f"here, voxels of {240 // voxels} um")
        axes[1].plot(MINUTES, mean, style, color="tab:blue")
    for axis, column, name in ((axes[0], 1, "at the centre"), (axes[1], 2, "mean")):
        axis.plot(PUBLISHED[:, 0], PUBLISHED[:, column], "o", color="black", mfc="none", label="published analytic")
        axis.set(title=f"12 sinks, {name}", xlabel="time (min)", ylabel="concentration (uM)")
    axes[0].legend(frameon=False)
    position = grid(12, 12, 12, 20.0).centre[np.random.default_rng(2024).choice(1728, 1000, replace=False)]
    _, mean = course(12, position, 1.6e4)
    axes[2].plot(MINUTES, mean, "--", color="tab:blue")
    _, mean = course(24, position, 1.6e4)
    axes[2].plot(MINUTES, mean, color="tab:blue")
    axes[2].set(title="1,000 sinks, mean", xlabel="time (min)", ylabel="concentration (uM)")
    figure.savefig(Path(__file__).parents[1] / "docs" / "lobule_cases_fields.png", dpi=110, metadata={"Software": None})
    return 0


if __name__ == "__main__":
    sys.exit(main())
