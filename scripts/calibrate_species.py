"""Fit the mouse or the human: python scripts/calibrate_species.py [--species mouse|human] [--write] [--seeds N].

What the observations of a species can fix is fitted, and all else stays the rat's; run it again after the rat has been
fitted anew. Prints the fitted numbers with the rat's and their priors, those at a bound, how well the data fix each,
every residual, and how many numbers stand against how many parameters. With --write the numbers go to the field
`species` of the parameter records, with this script as their source; the rat's `value` is not touched.
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

from hepatalk.inference.calibration import PRIOR_WEIGHT
from hepatalk.inference.species import FREE, TIED, Free, SpeciesObjective
from hepatalk.knowledge import load
from hepatalk.knowledge.load import default_folder
from hepatalk.knowledge.records import SPECIES, Species

Floats = npt.NDArray[np.float64]
SOURCE = "fitted: scripts/calibrate_species.py"


def fit(objective: SpeciesObjective, start: Floats, evaluations: int) -> tuple[Floats, float]:
    """Return the best point of one local search and its cost."""
    done = least_squares(
        objective.residuals, start, bounds=(objective.low, objective.high), diff_step=0.02, max_nfev=evaluations,
        x_scale=0.3,
    )  # fmt: skip
    return done.x, float(2.0 * done.cost)


def starting_point(objective: SpeciesObjective, seed: int) -> Floats:
    """Return where a search starts: 0 the records, 1 the middles of the priors, others anywhere in the priors."""
    if seed == 0:
        return objective.start()
    if seed == 1:
        return 0.5 * (objective.low + objective.high)
    inside = np.random.default_rng(seed).uniform(0.05, 0.95, len(objective.low))
    return objective.low + inside * (objective.high - objective.low)


def spreads(objective: SpeciesObjective, x: Floats) -> Floats:
    """Return the spread of each logarithm that data and prior leave, (n_names,), over half the width of its prior.

    From the Jacobian of the residuals at the best point, with a half-band as the standard error of a datum, each datum
    counted as one, and the prior as a normal distribution with half its width as deviation. 1: the data are silent.
    """
    half, step = 0.5 * (objective.high - objective.low), 0.02
    weight = np.concatenate([1.0 / objective.weight, np.full(len(x), 1.0 / PRIOR_WEIGHT), [1.0]])
    base = objective.residuals(x)
    moved = [objective.residuals(x + step * unit) for unit in np.eye(len(x))]
    jacobian = weight[:, None] * (np.array(moved) - base).T / step
    return np.sqrt(np.diag(np.linalg.inv(jacobian.T @ jacobian))) / half  # type: ignore[no-any-return]


def report(objective: SpeciesObjective, x: Floats) -> None:
    """Print parameters, priors, bounds and residuals."""
    print(f"\n{objective.species}")
    print(f"{'parameter':20s} {'rat':>9s} {'value':>9s}   {'prior':22s} {'spread':>6s}  at a bound")
    values = objective.values(x)
    rat = {f.name: float(objective.knowledge.parameter[f.name].value) for f in objective.free}  # type: ignore[arg-type]
    for free, v, (lo, hi), s in zip(
        objective.free, values.values(), objective.priors, spreads(objective, x), strict=True
    ):
        edge = "low" if v < lo * 1.02 else "high" if v > hi / 1.02 else ""
        print(f"{free.name:20s} {rat[free.name]:9.4g} {v:9.4g}   {f'{lo:.3g} to {hi:.3g}':22s} {s:6.2f}  {edge}")
    before = objective.values_with(rat)
    said = objective.values_with(values)
    print(f"\n{'datum':8s} {'of':6s} {'reads':22s} {'observed':>9s} {'rat says':>9s} {'fitted':>9s} half-bands")
    for d, a, b in zip(objective.data, before, said, strict=True):
        what = f"{d.reads} {'' if d.at_h is None else f'{d.at_h:g} h'}"
        print(f"{d.id:8s} {d.experiment:6s} {what:22s} {d.value:9.3g} {a:9.3g} {b:9.3g} {d.residual(b):10.2f}")
    volume = [v - d.value for d, v in zip(objective.data, said, strict=True) if d.reads == "at.liver_volume"]
    print(f"liver volume: RMSE {np.sqrt(np.mean(np.square(volume))):.4f} over {len(volume)} numbers")
    studies = len({d.study for d in objective.data})
    print(f"{len(objective.data)} numbers of {studies} studies, {len(objective.names)} fitted parameters")


def write(objective: SpeciesObjective, values: dict[str, float]) -> None:
    """Put the values into the field `species` of the records, each with its source, reason and prior."""
    rows = {f.name: entry(f, values[f.name], p) for f, p in zip(objective.free, objective.priors, strict=True)}
    for name, leads, why in TIED.get(objective.species, ()):
        rows[name] = (
            f"      value: {objective.tied(values)[name]!r}\n      source: assumed\n      reason: '{quoted(why)}'\n"
        )
        print(f"{name} follows {leads}: {objective.tied(values)[name]:.4g}")
    for path in sorted((default_folder() / "parameters").glob("*.yaml")):
        text = path.read_text(encoding="utf-8")
        for name, lines in rows.items():
            block = re.compile(rf"(- id: {re.escape(name)}\n(?:  .*\n)*)").search(text)
            if block is not None:
                text = text.replace(block[1], with_species(block[1], objective.species, lines))
        path.write_text(text, encoding="utf-8")


def entry(free: Free, value: float, prior: tuple[float, float]) -> str:
    """Return the lines of a species' number: a pace also names where its centre comes from."""
    source = f"['{SOURCE}', west2005]" if free.kind in ("rate", "time") else f"'{SOURCE}'"
    reason = f"reason: '{quoted(free.reason)}'"
    lines = (f"value: {value!r}", f"source: {source}", reason, f"prior: [{prior[0]!r}, {prior[1]!r}]")
    return "".join(f"      {line}\n" for line in lines)


def quoted(text: str) -> str:
    """Return text as it stands between single quotes in YAML."""
    return text.replace("'", "''")


def with_species(block: str, species: Species, lines: str) -> str:
    """Return the text of a parameter record with the number of a species in place of the one it may have had."""
    block = re.sub(rf"    {species}:\n(?:      .*\n)*", "", block)
    if "  species:\n" not in block:
        block += "  species:\n"
    return block.replace("  species:\n", f"  species:\n    {species}:\n{lines}")


def main() -> int:
    """Run the searches for each species and report the best."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--species", choices=[s for s in SPECIES if s in FREE], help="one of them; both if left out")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--seeds", type=int, default=2, help="searches: records, middles of the priors, then anywhere")
    parser.add_argument("--evaluations", type=int, default=25, help="steps of each local search")
    options = parser.parse_args()
    chosen: list[Species] = [s for s in SPECIES if s in FREE and options.species in (None, s)]
    for species in chosen:
        objective = SpeciesObjective(load(), species)
        found = []
        for seed in range(max(1, options.seeds)):
            before = time.monotonic()
            x, cost = fit(objective, starting_point(objective, seed), options.evaluations)
            print(f"{species}, start {seed}: cost {cost:.3f} in {time.monotonic() - before:.0f} s", flush=True)
            found.append((cost, seed, x))
        best = min(found, key=lambda f: f[:2])[2]
        report(objective, best)
        if options.write:
            write(objective, objective.values(best))
            print(f"written to the parameter records, field species, {species}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
