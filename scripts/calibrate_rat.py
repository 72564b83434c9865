"""Fit the rat: python scripts/calibrate_rat.py [--write] [--seeds N] [--evaluations N].

Prints the fitted parameters with their priors, those at a bound, every residual, and the error of a logistic curve on
the same volume points. Then the response of portal inflow (hypothesis portal_inflow) is fitted to the flow means, all
else held: conserved inflow, the default, has no number that flow could set. With --write the values go to the records,
with this script as their source.
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

from hepatalk.inference.calibration import InflowObjective, Objective, data_of_rat, flow_of_rat, logistic_error
from hepatalk.knowledge import load
from hepatalk.knowledge.load import default_folder

Floats = npt.NDArray[np.float64]

#: Parameters that are fitted; each has a prior in its record.
FITTED = (
    "hep_growth_rate",
    "gain_load_growth",
    "gain_load_synthesis",
    "half_load_growth",
    "hep_g1_duration",
    "hep_commit_rate",
    "gain_cyclin_commit",
    "node_growth",
    "gain_load_cycle",
    "half_load_cycle",
    "power_growth",
    "gain_mitogen",
    "gain_mitogen_cycle",
    "gain_vegf",
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


def fit_inflow(objective: InflowObjective) -> Floats:
    """Return the best response of portal inflow to lost function, (3,)."""
    middle = 0.5 * (objective.low + objective.high)
    done = least_squares(
        objective.residuals, middle, bounds=(objective.low, objective.high), diff_step=0.02, x_scale=[0.3, 0.3, 4.0]
    )
    return np.array([float(f"{v:.3g}") for v in done.x])


def report_flow(objective: InflowObjective, x: Floats) -> None:
    """Print how both laws of portal inflow meet the measured flow per volume."""
    print(f"\nportal flow per volume, {len(objective.data)} numbers")
    for n, v, lo, hi in zip(objective.names, x, objective.low, objective.high, strict=True):
        edge = "low" if v < lo + 0.02 * (hi - lo) else "high" if v > hi - 0.02 * (hi - lo) else ""
        print(f"{n:22s} {v:10.4g}   {lo:.3g} to {hi:.3g}{'':6s} {edge}")
    conserved = objective.model_values(np.array([0.0, 0.0, x[2]]))
    fitted = objective.model_values(x)
    print(f"{'datum':26s} {'observed':>9s} {'conserved':>9s} {'half-bands':>10s} {'fitted':>9s} {'half-bands':>10s}")
    for d, a, b in zip(objective.data, conserved, fitted, strict=True):
        print(f"{d.id:26s} {d.value:9.3g} {a:9.3g} {d.residual(a):10.2f} {b:9.3g} {d.residual(b):10.2f}")
    observed = np.array([d.value for d in objective.data])
    for name, said in (("conserved inflow (default)", conserved), ("portal_inflow", fitted)):
        print(f"{name}: RMSE {np.sqrt(np.mean((said - observed) ** 2)):.3f} of flow per volume, x healthy")


def write_inflow(values: dict[str, float]) -> None:
    """Put the fitted response into the switch of the hypothesis ``portal_inflow``."""
    path = default_folder() / "hypotheses.yaml"
    text = path.read_text(encoding="utf-8")
    inside = ", ".join(f"{name}: {value!r}" for name, value in values.items())
    start = text.index("- id: portal_inflow\n")
    head, tail = text[:start], text[start:]
    path.write_text(
        head + re.sub(r"parameters: \{[^}]*\}", f"parameters: {{{inside}}}", tail, count=1), encoding="utf-8"
    )


def starting_point(objective: Objective, seed: int) -> Floats:
    """Return where a search starts: 0 the records, 1 the middles of the priors, others anywhere in the priors."""
    if seed == 0:
        return objective.start()
    if seed == 1:
        return 0.5 * (objective.low + objective.high)
    inside = np.random.default_rng(seed).uniform(0.05, 0.95, len(objective.low))
    return objective.low + inside * (objective.high - objective.low)


def write(values: dict[str, float]) -> None:
    """Put the values into the parameter records with this script as their source."""
    for path in sorted((default_folder() / "parameters").glob("*.yaml")):
        text = path.read_text(encoding="utf-8")
        for name, value in values.items():
            block = re.compile(rf"(- id: {re.escape(name)}\n(?:  .*\n)*?)(?=- id:|\Z)")
            found = block.search(text)
            if found is None:
                continue
            # Only the record's own lines: a species' number stands deeper.
            new = re.sub(r"(?m)^  value: .*\n", f"  value: {value!r}\n", found[1])
            new = re.sub(r"(?m)^  source: .*\n", "  source: 'fitted: scripts/calibrate_rat.py'\n", new)
            text = text.replace(found[1], new)
        path.write_text(text, encoding="utf-8")


def main() -> int:
    """Run the searches and report the best."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true")
    parser.add_argument(
        "--seeds",
        type=int,
        default=1,
        help="searches: from the records, from the middles of the priors, then from anywhere in the priors",
    )
    parser.add_argument("--evaluations", type=int, default=25, help="steps of each local search")
    options = parser.parse_args()
    knowledge = load()
    objective = Objective(knowledge, FITTED, data_of_rat())
    best: tuple[Floats, float] | None = None
    for seed in range(options.seeds):
        start = starting_point(objective, seed)
        before = time.monotonic()
        x, cost = fit(objective, start, options.evaluations)
        took = time.monotonic() - before
        first = float(np.sum(objective.residuals(start) ** 2))
        print(f"start {seed}: cost {first:.2f} -> {cost:.2f} in {took:.0f} s", flush=True)
        if best is None or cost < best[1]:
            best = (x, cost)
    if best is None:
        return 1
    report(objective, best[0])
    inflow = InflowObjective(knowledge, objective.values(best[0]), flow_of_rat())
    response = fit_inflow(inflow)
    report_flow(inflow, response)
    if options.write:
        write(objective.values(best[0]))
        write_inflow(dict(zip(inflow.names, map(float, response), strict=True)))
        print("written to the parameter records and to the hypothesis portal_inflow")
    return 0


if __name__ == "__main__":
    sys.exit(main())
