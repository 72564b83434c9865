"""What commands that run many virtual animals share: ``--members``, and telling how far they are."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from hepatalk.cli.console import note, warn
from hepatalk.errors import ExperimentError

if TYPE_CHECKING:
    from hepatalk.knowledge.load import Knowledge

__all__ = ["chosen_members", "refuse_members", "told"]

#: Seconds between two lines of progress.
_EVERY_S = 5.0


def refuse_members(number: int) -> None:
    """Say at once that there are not so many members.

    Raises
    ------
    ExperimentError
    """
    if number < 1:
        raise ExperimentError(f"--members {number}; allowed: 1 (the best fit alone) or more; leave it out for the fit")
    if number > 1:
        from hepatalk.experiments.members import load_members

        load_members().first(number)


def chosen_members(number: int, knowledge: Knowledge) -> Sequence[Mapping[str, float]] | None:
    """Return the first members of the ensemble, None where one is asked for: the best fit.

    Raises
    ------
    ExperimentError
        For a number that there is not.
    """
    refuse_members(number)
    if number == 1:
        return None
    from hepatalk.experiments.members import load_members
    from hepatalk.model.compiler import compile_model

    members, here = load_members(), compile_model(knowledge).hash
    if members.model_hash != here:
        warn(
            f"the virtual animals were drawn for model {members.model_hash}, this is {here}: they may miss the "
            "calibration data; scripts/make_ensemble.py draws them anew"
        )
    return members.first(number)


def told(what: str, of: str = " of the runs") -> Callable[[float], None]:
    """Return what tells a person the share done and how long the rest will take, every few seconds."""
    start = time.monotonic()
    last = [start]

    def progress(done: float) -> None:
        now = time.monotonic()
        if done == 0.0:
            note(f"{what}: making the runs ...")
        elif now - last[0] >= _EVERY_S or done >= 1.0:
            last[0] = now
            left = (now - start) * (1.0 / done - 1.0)
            rest = f"{left:.0f} s" if left < 90.0 else f"{left / 60.0:.0f} min"
            note(f"{what}: {done:.0%}{of}" + (f", about {rest} left" if done < 1.0 else ""))

    return progress
