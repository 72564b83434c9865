"""Fit the rat: python scripts/calibrate_rat.py [--write] [--seeds N] [--evaluations N].

Prints the fitted parameters with their priors, those at a bound, every residual, and the error of a logistic curve on
the same volume points. With --write the values go to the parameter records, with this script as their source.
"""

# A script talks to whoever runs it:
# ruff: noqa: T201
from __future__ import annotations

import argparse
import re
import sys
import time

import numpy as np
import numpy.typing as npt
from scipy.optimize import least_squares

from hepatalk.experiments.observations import load_rat_groups
from hepatalk.experiments.run import run
from hepatalk.inference.calibration import Objective, data_of_rat, logistic_error
from hepatalk.knowledge import load
from hepatalk.knowledge.load import default_folder

Floats = npt.NDArray[np.float64]

#: Parameters that are fitted; each has a prior in its record.
FITTED = (
    "hep_growth_rate",
    "gain_load_growth",
    "half_load_growth",
    "hep_g1_duration",
    "hep_commit_rate",
    "gain_cyclin_commit",
    "node_growth",
    "gain_load_cycle",
    "half_load_cycle",
    "gain_brake",
    "half_tgfb",
    "power_growth",
    "gain_mitogen",
    "gain_vegf",
    "half_oxygen",
    "gain_release",
    "hep_size_restoring",
)


def fit(objective: Objective, start: Floats, evaluations: int) -> tuple[Floats, float]:
    """Return the best point of one local search and its cost."""
    done = least_squares(
        objective.residuals,
        start,
        bounds=(objective.low, objective.high),
        diff_step=0.02,
        max_nfev=evaluations,
        x_scale=0.3,
        loss="linear",
    )
    return done.x, float(2.0 * done.cost)


def report(objective: Objective, x: Floats) -> None:
    """Print parameters, priors, bounds and residuals."""
    print(f"\n{'parameter':22s} {'value':>10s}   prior              at a bound")
    for n, v, lo, hi in zip(objective.names, np.exp(x), np.exp(objective.low), np.exp(objective.high), strict=True):
        edge = "low" if v < lo * 1.02 else "high" if v > hi / 1.02 else ""
        print(f"{n:22s} {v:10.4g}   {lo:.3g} to {hi:.3g}{'':6s} {edge}")
    said = objective.model_values(x)
    print(f"\n{'datum':22s} {'study':14s} {'observed':>9s} {'model':>9s} {'half-bands':>10s}")
    for d, v in zip(objective.data, said, strict=True):
        print(f"{d.id:22s} {d.study:14s} {d.value:9.3g} {v:9.3g} {d.residual(v):10.2f}")
    volume = [(d, v) for d, v in zip(objective.data, said, strict=True) if d.study == "barnhart2023"]
    rmse = np.sqrt(np.mean([(v - d.value) ** 2 for d, v in volume]))
    error, parameters = logistic_error(objective.data)
    studies = len({d.study for d in objective.data})
    print(f"\n{len(objective.data)} numbers of {studies} studies, {len(objective.names)} fitted parameters")
    curve = ", ".join(f"{k} {v:.3g}" for k, v in parameters.items())
    print(f"liver volume: RMSE {rmse:.4f}; three-parameter logistic on the same points {error:.4f} ({curve})")


def report_flow() -> None:
    """Print how both laws of portal inflow meet the measured flow per volume, to which nothing is fitted."""
    points = [
        p
        for p in load_rat_groups()
        if p.quantity == "portal_flow_per_volume_ratio"
        and p.sex == "both"
        and p.diet == "Carbohydrate"
        and p.time_h > 0
    ]
    for name, hypotheses in (("conserved inflow", []), ("portal_inflow", ["portal_inflow"])):
        result = run("phx70", species="rat", hypotheses=hypotheses)
        errors = [result.at("portal_flow", p.time_h) - p.mean for p in points]
        said = ", ".join(f"{p.time_h:g} h {result.at('portal_flow', p.time_h):.2f}/{p.mean:.2f}" for p in points)
        print(f"portal flow per volume, {name}: RMSE {np.sqrt(np.mean(np.square(errors))):.2f} (model/rats: {said})")


def write(values: dict[str, float]) -> None:
    """Put the values into the parameter records with this script as their source."""
    for path in sorted((default_folder() / "parameters").glob("*.yaml")):
        text = path.read_text(encoding="utf-8")
        for name, value in values.items():
            block = re.compile(rf"(- id: {re.escape(name)}\n(?:  .*\n)*?)(?=- id:|\Z)")
            found = block.search(text)
            if found is None:
                continue
            new = re.sub(r"  value: .*\n", f"  value: {value!r}\n", found[1])
            new = re.sub(r"  source: .*\n", "  source: 'fitted: scripts/calibrate_rat.py'\n", new)
            text = text.replace(found[1], new)
        path.write_text(text, encoding="utf-8")


def main() -> int:
    """Run the searches and report the best."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--seeds", type=int, default=1, help="local searches; the first starts from the records")
    parser.add_argument("--evaluations", type=int, default=25, help="steps of each local search")
    options = parser.parse_args()
    objective = Objective(load(), FITTED, data_of_rat())
    best: tuple[Floats, float] | None = None
    for seed in range(options.seeds):
        rng = np.random.default_rng(seed)
        start = objective.start()
        if seed:
            start = np.clip(start + rng.normal(0.0, 0.3, len(start)), objective.low + 1e-6, objective.high - 1e-6)
        before = time.monotonic()
        x, cost = fit(objective, start, options.evaluations)
        took = time.monotonic() - before
        first = float(np.sum(objective.residuals(start) ** 2))
        print(f"seed {seed}: cost {first:.2f} -> {cost:.2f} in {took:.0f} s", flush=True)
        if best is None or cost < best[1]:
            best = (x, cost)
    if best is None:
        return 1
    report(objective, best[0])
    if options.write:
        write(objective.values(best[0]))
        print("written to the parameter records")
    report_flow()
    return 0


if __name__ == "__main__":
    sys.exit(main())
