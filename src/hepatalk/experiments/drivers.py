"""Why did it start, why did it stop: the statements that drive a readout at a time, ranked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hepatalk.errors import ExperimentError, unknown
from hepatalk.experiments.readouts import readouts_of
from hepatalk.experiments.run import Run
from hepatalk.knowledge.load import Knowledge, load
from hepatalk.model.attribution import Push, decode, pushes

__all__ = ["Driver", "Prepared", "Turn", "drivers", "drivers_over_time", "since_peak"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Driver:
    """One statement's push on a readout at a time.

    Attributes
    ----------
    row : str
        Statement id.
    claim : str
        What it says.
    effect : float
        Contribution to the logarithm of the driving rates relative to health: positive pushes the readout up.
    level : int
        1 where the statement acts on the process itself, 2 and more upstream of it.
    via : str
        What it acts through.
    """

    row: str
    claim: str
    effect: float
    level: int
    via: str


@dataclass(frozen=True)
class Turn:
    """What changed between the highest value of a readout and a later time.

    Attributes
    ----------
    peak_h, peak : float
        When the readout was highest before that time, in h, and its value then.
    drivers : tuple of Driver
        The statements whose pushes changed most; ``effect`` is push now minus push then.
    """

    peak_h: float
    peak: float
    drivers: tuple[Driver, ...]


#: A readout that is within this part of its highest value has not turned.
_STILL_THERE = 0.01


def drivers(
    run: Run,
    readout: str,
    at_h: float,
    limit: int = 12,
    *,
    knowledge: Knowledge | None = None,
    prepared: Prepared | None = None,
) -> tuple[Driver, ...]:
    """Rank the statements that drive a readout at a time.

    Parameters
    ----------
    run : Run
    readout : str
    at_h : float
        Time in hours, within the run.
    limit : int
        How many to return.
    knowledge : Knowledge, optional
        Whose claims are shown; the shipped knowledge base when omitted.
    prepared : Prepared, optional
        For many questions about one run.

    Returns
    -------
    tuple of Driver
        The strongest first, pushing or braking.

    Raises
    ------
    UnknownNameError
        For an unknown readout.
    ExperimentError
        For a time outside the run, or a readout that no process drives.
    """
    return _ranked(_Moments(run, readout, prepared).at(at_h), limit, knowledge)


def since_peak(
    run: Run,
    readout: str,
    at_h: float,
    limit: int = 12,
    *,
    knowledge: Knowledge | None = None,
    prepared: Prepared | None = None,
) -> Turn | None:
    """Rank the statements whose push on a readout changed most since it was highest: what turned it down.

    Health is no guide to what stops a rise, because what started it may still push when the rise is over. The push of
    a moment that lies before is.

    Parameters
    ----------
    run : Run
    readout : str
    at_h : float
        Time in hours, within the run.
    limit : int
        How many to return.
    knowledge : Knowledge, optional
        Whose claims are shown; the shipped knowledge base when omitted.
    prepared : Prepared, optional
        For many questions about one run.

    Returns
    -------
    Turn or None
        None while the readout is at its highest so far, or was never higher than at time zero, just after the injury.

    Raises
    ------
    UnknownNameError, ExperimentError
        As for `drivers`.
    """
    moments = _Moments(run, readout, prepared)
    now = moments.at(at_h)
    times, values = run.result.time_h, run.result.readout(readout)
    before = np.flatnonzero(times <= at_h)
    top = int(before[values[before].argmax()])
    here, highest = run.result.at(readout, at_h), float(values[top])
    if top == 0 or highest - here <= _STILL_THERE * abs(highest):
        return None
    then = moments.at(float(times[top]))
    changed: dict[str, Push] = {}
    for row in {**now, **then}:
        late, early = now.get(row), then.get(row)
        shown = late or early or Push()
        effect = (late.effect if late else 0.0) - (early.effect if early else 0.0)
        changed[row] = Push(effect, shown.level, shown.via)
    return Turn(float(times[top]), highest, _ranked(changed, limit, knowledge))


def _ranked(found: dict[str, Push], limit: int, knowledge: Knowledge | None) -> tuple[Driver, ...]:
    """Return the strongest pushes with their claims."""
    facts = load() if knowledge is None else knowledge
    claims = {i.id: i.claim for i in facts.interactions}
    ranked = sorted(found.items(), key=lambda item: (-abs(item[1].effect), item[0]))
    out = [
        Driver(row, claims.get(row, f"term of {row}"), float(p.effect), p.level, p.via)
        for row, p in ranked
        if abs(p.effect) > 1e-4
    ]
    return tuple(out[:limit])


def drivers_over_time(
    run: Run, readout: str, times: Sequence[float], *, prepared: Prepared | None = None
) -> dict[str, Floats]:
    """Return the push of each statement at several times.

    Parameters
    ----------
    run : Run
    readout : str
    times : sequence of float
        In h, within the run.
    prepared : Prepared, optional
        For many questions about one run.

    Returns
    -------
    dict of str to (n_times,) float array
        Contributions to the logarithm of the driving rates by row id; strongest first.

    Raises
    ------
    UnknownNameError, ExperimentError
        As for `drivers`.
    """
    columns: dict[str, Floats] = {}
    moments = _Moments(run, readout, prepared)
    for k, t in enumerate(times):
        for row, push in moments.at(float(t)).items():
            columns.setdefault(row, np.zeros(len(times)))[k] = push.effect
    return dict(sorted(columns.items(), key=lambda item: -float(np.abs(item[1]).max())))


class Prepared:
    """What every question about the drivers of one run needs of its model: the tape decoded, and health on it.

    Parameters
    ----------
    run : Run
    """

    def __init__(self, run: Run) -> None:
        self.model = run.model
        self.decoded = decode(run.model)
        self.rest = self.values(run.model.rest, run.model.params)

    def values(self, state: Floats, params: Floats) -> Floats:
        """Return all slots, (n_states + n_ops,), at a state, (n_states,), with parameters, (n_params,)."""
        from hepatalk.engines.population.kernels import evaluate

        m = self.model
        slots = np.empty(m.n_states + m.n_ops)
        slots[: m.n_states] = state
        evaluate(slots, params, m.law, m.input_start, m.inputs, m.argument_start, m.arguments)
        return slots


class _Moments:
    """Asks one run about many moments of one readout."""

    def __init__(self, run: Run, readout: str, prepared: Prepared | None) -> None:
        available = readouts_of(run.model)
        if readout not in available:
            raise unknown("readout", readout, available, "hepatalk list readouts")
        self.record = available[readout]
        if not self.record.drivers:
            driven = ", ".join(n for n, r in available.items() if r.drivers)
            raise ExperimentError(
                f"readout {readout!r} has no process that drives it; allowed: {driven[:200]}; ask for one of these"
            )
        self.run = run
        self.prepared = Prepared(run) if prepared is None else prepared

    def at(self, at_h: float) -> dict[str, Push]:
        """Return the push of every statement at a time, in h."""
        course = self.run.course
        if not 0.0 <= at_h <= course.time_h[-1]:
            raise ExperimentError(
                f"time {at_h:g} h is outside the run; allowed: 0 to {course.time_h[-1]:g} h; choose a time within it"
            )
        i = int(np.searchsorted(course.time_h, at_h, side="right")) - 1
        known = self.prepared
        now = known.values(_state_at(self.run, at_h), course.param_sets[course.param_set_of[i]])
        rates = {target: _rates(self.run, target) for target, _ in self.record.drivers}
        # Gains and losses of mass act in proportion to their size; steps of one chain count alike.
        sizes = {target: max((abs(float(now[s])) for s in slots), default=0.0) for target, slots in rates.items()}
        largest = max(sizes.values(), default=0.0)
        total: dict[str, Push] = {}
        for target, sign in self.record.drivers:
            weight = sizes[target] / largest if self.record.balance and largest > 0 else 1.0
            for row, push in pushes(self.run.model, now, known.rest, rates[target], known.decoded).items():
                total.setdefault(row, Push()).add(sign * weight * push.effect, push.level, push.via)
        return total


def _rates(run: Run, target: str) -> list[int]:
    """Return the slots of a process in every zone (``NAME@A``: of lobe A), or of a quantity of the whole body."""
    index = run.model.slot_index
    name, _, lobe = target.partition("@")
    places = [place for place in run.model.places if lobe in ("", place.lobe)]
    zoned = [s for place in places if (s := index.get(f"{name}@{place}")) is not None]
    return zoned or [s for s in (index.get(target),) if s is not None]


def _state_at(run: Run, at_h: float) -> Floats:
    t, y = run.course.time_h, run.course.states
    i = int(np.clip(np.searchsorted(t, at_h), 1, len(t) - 1))
    w = (at_h - t[i - 1]) / (t[i] - t[i - 1])
    return np.asarray((1.0 - w) * y[i - 1] + w * y[i])
