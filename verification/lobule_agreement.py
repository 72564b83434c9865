"""Compare the lobule engine in well-mixed zones with the population engine; write a table and a figure.

    python verification/lobule_agreement.py --replicates 20 --hours 96

The small form that runs with every change, and what can be expected of such a comparison, are in
`tests/agreement/test_lobule.py`. The table goes to `docs/lobule_agreement.md`, the figure beside it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib as mpl
import numpy as np
import numpy.typing as npt

from hepatalk.engines.lobule.engine import LobuleEngine
from hepatalk.engines.lobule.tables import compartments_of
from hepatalk.engines.lobule.tissue import zones_only
from hepatalk.engines.population.engine import PopulationEngine
from hepatalk.experiments.experiment import load_experiment
from hepatalk.experiments.injuries import changes_of
from hepatalk.experiments.readouts import measure
from hepatalk.knowledge import load
from hepatalk.model import compile_model
from hepatalk.model.compiled import CompiledModel
from hepatalk.model.schedule import Change

Floats = npt.NDArray[np.float64]
DOCS = Path(__file__).resolve().parents[1] / "docs"
TOLERANCE = 1e-2
#: A tenth of the tolerance, of the value; and what the population engine's solver leaves where nothing is.
STEPS, OF_SOLVER = 0.1 * TOLERANCE, 1e-6
CURVES = ("liver_volume", "hepatocyte_count", "s_phase.HEP", "signal.IL6")


TOLD = """\
The lobule engine runs in three well-mixed zones, joined by the model's own exchange, with counted cells; the population
engine solves the same model for amounts. {n} quantities of the zones are compared every two hours: signals, stores,
nodes, dead tissue, cells of each type, hepatocytes by state, and mass (BIPs are left out: they are too few). The
columns give the share of times and quantities at which the mean of the replicates is within three standard errors of
the population engine's curve. Where three standard errors are below 0.1% of the value, the error of the steps (a tenth
of the tolerance) decides; the sixth column says how often. The last columns are standard errors at the peaks of four
curves. What may be expected, and why, is told in `tests/agreement/test_lobule.py`.
"""


def cases() -> dict[str, list[Change]]:
    """Return the changes of each case."""
    phx30, phx70, bdl = (list(changes_of(load_experiment(name))) for name in ("phx30", "phx70", "bdl"))
    no_met = Change(0.0, "set_parameter", "activity.node.HEP.MET", 0.0, "hepatocytes without MET")
    return {"sham": [], "phx30": phx30, "phx70": phx70, "phx70 without MET": [*phx70, no_met], "bdl": bdl}


def quantities(model: CompiledModel) -> dict[str, list[int]]:
    """Return the states that add up to each quantity of a zone, as in the test."""
    found: dict[str, list[int]] = {}
    for i, name in enumerate(model.state_names):
        base, _, zone = name.partition("@")
        cell, _, rest = base.partition(".")
        state = rest.partition(".")[0]
        of_cells = cell != "BIP" and state in ("count", "mass")
        if of_cells or cell in ("signal", "node", "store", "dead"):
            found[name] = [i]
        elif cell == "HEP" and not state.startswith(("from_", "label")):
            found.setdefault(f"HEP.{state}@{zone}", []).append(i)
    return found


def compared(expected: Floats, found: Floats) -> tuple[Floats, Floats]:
    """Return where the mean is within three standard errors (or the error of steps), and where the latter is larger.

    Parameters
    ----------
    expected : (n_times, n_quantities) float array
    found : (n_replicates, n_times, n_quantities) float array
    """
    three = 3.0 * found.std(axis=0, ddof=1) / np.sqrt(len(found))
    steps = STEPS * np.abs(expected) + OF_SOLVER
    return np.abs(found.mean(axis=0) - expected) <= np.maximum(three, steps), three < steps


def main() -> None:
    """Run all cases and write what came out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--replicates", type=int, default=20)
    parser.add_argument("--hepatocytes", type=int, default=30_000)
    parser.add_argument("--hours", type=float, default=96.0)
    given = parser.parse_args()
    mpl.use("Agg")
    import matplotlib.pyplot as plt

    model = compile_model(load())
    numbers = {t: round(given.hepatocytes * model.anatomy[f"{t}.number"]) for t in model.fates.cells}
    tissue = zones_only(compartments_of(model), numbers)
    asked, time_h = quantities(model), np.arange(0.0, given.hours + 1.0, 2.0)
    figure, axes = plt.subplots(len(cases()), len(CURVES), figsize=(12, 12), sharex=True, layout="constrained")
    lines = []
    for row, (name, changes) in zip(axes, cases().items(), strict=True):
        population = PopulationEngine().run(model, changes, time_h)
        runs = [LobuleEngine(s, tissue, TOLERANCE).run(model, changes, time_h) for s in range(1, given.replicates + 1)]
        sums = [
            np.stack([x.states[1:, own].sum(axis=1) for own in asked.values()], axis=1) for x in (population, *runs)
        ]
        within, quiet = compared(sums[0], np.array(sums[1:]))
        curves, want = [measure(model, c, list(CURVES)) for c in runs], measure(model, population, list(CURVES))
        errors = []
        for axis, curve in zip(row, CURVES, strict=True):
            all_ = np.array([c[curve] for c in curves])
            error = all_.std(axis=0, ddof=1) / np.sqrt(len(all_))
            peak = int(np.argmax(want[curve]))
            errors.append(f"{100 * error[peak] / want[curve][peak]:.2f}%")
            axis.fill_between(time_h, all_.mean(axis=0) - 3 * error, all_.mean(axis=0) + 3 * error, alpha=0.5)
            axis.plot(time_h, want[curve], "k", linewidth=0.8)
            axis.set_title(f"{name}: {curve}", fontsize=8)
        kinds = [
            f"{100 * within[:, [n.startswith(k) for n in asked]].mean():.1f}%" for k in ("signal.", "node.", "HEP.")
        ]
        cells = [name, f"{100 * within.mean():.1f}%", *kinds, f"{100 * quiet.mean():.0f}%", *errors]
        lines.append("| " + " | ".join(cells) + " |")
        print(lines[-1], flush=True)  # noqa: T201 - minutes pass between two of them
    for axis in axes[-1]:
        axis.set_xlabel("h")
    figure.savefig(DOCS / "lobule_agreement.png", dpi=80)
    (DOCS / "lobule_agreement.md").write_text(page(lines, given, len(asked)), encoding="utf-8")


def page(lines: list[str], given: argparse.Namespace, n: int) -> str:
    """Return the page with the table."""
    head = ["case", "all", "signals", "nodes", "hepatocytes", "by the steps", *(f"error of {c}" for c in CURVES)]
    return "\n".join(
        [
            "# The two engines side by side",
            "",
            f"Made by `python verification/lobule_agreement.py --replicates {given.replicates} --hepatocytes "
            f"{given.hepatocytes} --hours {given.hours:g}`.",
            "",
            TOLD.format(n=n),
            "| " + " | ".join(head) + " |",
            "| " + " | ".join(["---"] * len(head)) + " |",
            *lines,
            "",
            "![Population engine (black), three standard errors about the mean of the lobules](lobule_agreement.png)",
            "",
        ]
    )


if __name__ == "__main__":
    main()
