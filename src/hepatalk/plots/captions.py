"""The words below the pictures; every number in them comes from a record or from the run."""

from __future__ import annotations

from hepatalk.experiments.comparison import AnimalGroup
from hepatalk.knowledge.records import Source
from hepatalk.plots.palette import CELL_NAMES, duration
from hepatalk.plots.view import View
from hepatalk.results.band import Bands

__all__ = [
    "READOUT_NAMES",
    "REMNANT",
    "TITLES",
    "band_label",
    "caption",
    "citation",
    "diet_label",
    "state_label",
    "titles",
]

TITLES = {
    "liver_volume": "Liver volume",
    "s_phase": "Cells in S phase, by cell type",
    "signals": "Signals in order of appearance",
    "states": "What the cells are doing",
    "flow": "Flow, shear, function and oxygen",
    "drivers": "What drives it: statements that push and brake",
    "hepatocytes": "Enlargement and division",
}

READOUT_NAMES = {
    "liver_volume": "liver volume",
    "s_phase.HEP": "hepatocytes in S phase",
    "portal_flow": "portal flow per volume",
    "shear": "wall shear of the sinusoids",
    "function": "function",
    "oxygen": "oxygen in the tissue",
    "hepatocyte_count": "number",
    "hepatocyte_volume": "cell volume",
    "hepatocyte_mass": "mass",
}


#: What the mass at time zero is called, in an animal and in a dish.
REMNANT = {False: "left by the injury", True: "cells at time zero"}
#: Figures that say nothing of cells in a dish: no blood reaches it, and it is not a liver.
_NOT_OF_A_DISH = frozenset(("liver_volume", "flow"))


def titles(view: View) -> dict[str, str]:
    """Return the figures that a run has, by name, with their titles: all of `TITLES`, or those of a dish."""
    if view.dish is None:
        return dict(TITLES)
    without = _NOT_OF_A_DISH if "HEP" in view.dish.cells else _NOT_OF_A_DISH | {"hepatocytes"}
    return {name: title for name, title in TITLES.items() if name not in without}


def diet_label(diet: str) -> str:
    """Return how a diet group is called in a legend."""
    return {"Carbohydrate": "rats, carbohydrate diet", "Chow": "rats, chow"}[diet]


def state_label(state: str) -> str:
    """Return how a state of a cell type is called in a legend."""
    return {"g1": "G1", "s": "S phase", "g2m": "G2 and M"}.get(state, state.replace("_", " "))


def citation(source: Source) -> str:
    """Return a source in one line, without its DOI: authors, year, title, journal; what is unknown is left out."""
    who = f"{source.authors} et al." if source.authors else source.id
    parts = [f"{who} ({source.year})" if source.year else who, source.title, source.journal]
    return ". ".join(part.strip().rstrip(".") for part in parts if part) + "."


def caption(view: View, name: str) -> str:
    """Return the caption of a figure; names are those of `TITLES`, ``drivers_map`` and ``signals_map``."""
    return " ".join(part for part in (*_WORDS[name](view), _band(view, name)) if part)


def band_label(bands: Bands, species: str) -> str:
    """Return how a band is called in a legend."""
    animals = {"mouse": "mice", "human": "humans"}.get(species, f"{species}s")
    return f"{bands.share:.0%} of {bands.members} virtual {animals}"


def _band(view: View, name: str) -> str:
    bands = view.result.bands
    if bands is None or name not in ("liver_volume", "s_phase", "flow"):
        return ""
    return (
        f"Pale: from the {50.0 * (1.0 - bands.share):g}% to the {50.0 * (1.0 + bands.share):g}% quantile of "
        f"{bands.members} virtual animals, parameter sets that meet the calibration data equally well."
    )


def _counts(group: AnimalGroup, end_h: float) -> str:
    inside = [(t, n) for t, n in zip(group.time_h, group.n, strict=True) if t <= end_h]
    times = ", ".join(f"{t:g}" for t, _ in inside)
    return f"{diet_label(group.diet).removeprefix('rats, ')} n = {', '.join(str(n) for _, n in inside)} at {times} h"


def _data(view: View, groups: tuple[AnimalGroup, ...], what: str) -> str:
    """Say what the points are: which animals, how many, and whose data."""
    if view.animals is None:
        return ""
    study = view.animals.study
    source = view.knowledge.source.get(study.source)
    whose = study.source if source is None else citation(source).rstrip(".")
    doi = f", doi:{source.doi}" if source is not None and source.doi else ""
    end_h = float(view.result.time_h[-1])
    counts = "; ".join(_counts(group, end_h) for group in groups)
    other = "The rats had the resection alone, this run did not." if view.animals.treated_otherwise else ""
    return (
        f"Points: {what}, rats (Rattus norvegicus), 70% partial hepatectomy, both sexes pooled, mean ± SD; {counts}. "
        f"Data: {whose}{doi} ({study.licence}). {other}"
    ).strip()


def _volume(view: View) -> tuple[str, ...]:
    if view.animals is None:
        return "Line: model.", _no_animals(view)
    error = ""
    if view.error is not None:
        error = (
            f"Root mean squared error of the model against the carbohydrate-fed rats: {view.error:.3f} of the healthy "
            "volume, over the times at which both sexes were measured."
        )
    return "Line: model.", _data(view, view.animals.volume, "measured liver volume"), error


def _no_animals(view: View) -> str:
    what = f"this experiment in the {view.result.provenance.species}"
    return f"No group means of real animals are held for {what}, so none are drawn."


def _s_phase(view: View) -> tuple[str, ...]:
    waves = "; ".join(f"{CELL_NAMES[w.cell]} {w.peak:.1%} at {duration(w.peak_h)}" for w in view.waves)
    return (
        "Share of each cell type that is replicating its DNA, in the model.",
        f"First waves, labelled: {waves}." if waves else "",
    )


def _signals(view: View) -> tuple[str, ...]:
    n = len(view.responses.names)
    if not n:
        return ("No signal left its healthy level.",)
    return (
        f"The {n} signals that respond most, from the earliest (top) to the latest half-maximal response (dot).",
        "White: healthy level; hatched: more than 30% below it; the text on the right gives the level farthest from",
        "health and when it is reached. Time on a square-root scale. Model only.",
    )


def _signals_map(view: View) -> tuple[str, ...]:
    return tuple(part.replace(" hatched: more than 30% below it;", "") for part in _signals(view))


def _states(view: View) -> tuple[str, ...]:
    return (
        "Share of each cell type in each state, in the model; darker is nearer to division.",
        "Time on a square-root scale.",
    )


def _flow(view: View) -> tuple[str, ...]:
    if view.animals is None:
        return "Lines: model; dotted: health.", _no_animals(view)
    what = "portal flow per liver volume over the same animal's value before the operation"
    return "Lines: model; dotted: health.", _data(view, view.animals.flow, what)


def _drivers(view: View) -> tuple[str, ...]:
    return (
        "Each row is one statement of the knowledge base: above its line it pushes the readout up, below it brakes.",
        f"Height: {_SHARE}; heights are cut where they would leave their row.",
        _UPSTREAM,
        "Time on a square-root scale. Model only.",
    )


def _drivers_map(view: View) -> tuple[str, ...]:
    return (
        "Each row is one statement of the knowledge base: red pushes the readout up, blue holds it back, white is",
        "health;",
        f"the colour is {_SHARE}; the strongest colours are cut.",
        "Statements that act directly stand first, in order of strength; those upstream of them follow.",
        _UPSTREAM,
        "Time on a square-root scale. Model only.",
    )


def _hepatocytes(view: View) -> tuple[str, ...]:
    result = view.result
    end = float(result.time_h[-1])
    return (
        f"In the model, after {duration(end)}: number {result.at('hepatocyte_count', end):.2f}, mean cell volume",
        f"{result.at('hepatocyte_volume', end):.2f} and mass {result.at('hepatocyte_mass', end):.2f} of the healthy",
        "values. Right: mass at time zero, growth of these cells, and new cells at their present",
        "size.",
    )


_SHARE = (
    "a statement's share in ln(rate / healthy rate) of the processes behind the readout, gains and losses weighted by "
    "their size"
)
_UPSTREAM = "Upstream statements act through the direct ones, so shares of the two groups must not be added."

_WORDS = {
    "liver_volume": _volume,
    "s_phase": _s_phase,
    "signals": _signals,
    "signals_map": _signals_map,
    "states": _states,
    "flow": _flow,
    "drivers": _drivers,
    "drivers_map": _drivers_map,
    "hepatocytes": _hepatocytes,
}
