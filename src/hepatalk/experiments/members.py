"""The virtual animals that are shipped: parameter sets that meet the calibration data equally well.

``data/ensemble_rat.csv`` has one row per member and one column per uncertain number, in the units of the parameter
records; its first lines, which begin with '#', say for which model it was made. `hepatalk.inference.ensemble` says
how members are drawn.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources

from hepatalk.errors import ExperimentError

__all__ = ["Members", "load_members", "members_text", "parse_members"]

_FILE = "ensemble_rat.csv"
_MODEL = "# model_hash: "


@dataclass(frozen=True)
class Members:
    """Parameter sets of virtual animals.

    Attributes
    ----------
    model_hash : str
        Of the rat's model for which they were made.
    sets : tuple of dict of str to float
        Values by parameter id, in the units of the records.
    """

    model_hash: str
    sets: tuple[Mapping[str, float], ...]

    def first(self, number: int) -> tuple[Mapping[str, float], ...]:
        """Return the first `number` members; they are in random order, so that any beginning is a fair sample.

        Raises
        ------
        ExperimentError
            If there are fewer.
        """
        if not 1 <= number <= len(self.sets):
            raise ExperimentError(
                f"members: value {number}; allowed: 1 to {len(self.sets)}; more are drawn with scripts/make_ensemble.py"
            )
        return self.sets[:number]


def members_text(model_hash: str, sets: Sequence[Mapping[str, float]], misfits: Sequence[float] = ()) -> str:
    """Return the text of an ensemble file.

    Parameters
    ----------
    model_hash : str
    sets : sequence of dict of str to float
        Values by parameter id, the same ids in each.
    misfits : sequence of float, optional
        Of each member against the calibration data, in half-bands; kept as a comment.
    """
    names = list(sets[0])
    lines = [f"{_MODEL}{model_hash}", "# made by scripts/make_ensemble.py; one row per virtual animal"]
    if misfits:
        lines.append("# misfits, in half-bands, in order: " + " ".join(f"{m:.3f}" for m in misfits))
    lines.append(",".join(names))
    lines += [",".join(f"{member[name]:.4g}" for name in names) for member in sets]
    return "\n".join(lines) + "\n"


def parse_members(text: str, name: str = _FILE) -> Members:
    """Return the members in the text of an ensemble file.

    Raises
    ------
    ExperimentError
        If the text is not an ensemble file.
    """
    lines = text.splitlines()
    if not lines or not lines[0].startswith(_MODEL):
        raise ExperimentError(f"{name}: first line; allowed: '{_MODEL}...'; make it with scripts/make_ensemble.py")
    rows = csv.DictReader([line for line in lines if not line.startswith("#")])
    try:
        sets = tuple({k: float(v) for k, v in row.items()} for row in rows)
    except (TypeError, ValueError) as error:
        raise ExperimentError(
            f"{name}: {error}; allowed: numbers only; make it with scripts/make_ensemble.py"
        ) from error
    return Members(lines[0].removeprefix(_MODEL).strip(), sets)


@cache
def load_members() -> Members:
    """Return the members that are shipped with the package.

    Raises
    ------
    ExperimentError
        If there is no file, or it is damaged.
    """
    file = resources.files("hepatalk.experiments") / "data" / _FILE
    if not file.is_file():
        raise ExperimentError(
            f"this version ships no virtual animals ({_FILE}); allowed: the best fit alone, or animals drawn with "
            "scripts/make_ensemble.py; leave --members out"
        )
    return parse_members(file.read_text(encoding="utf-8"))
