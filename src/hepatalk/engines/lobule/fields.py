"""Signals on sites: implicit steps with an estimate of their error, and steady states.

For signal f and site i, with time in h and levels relative to health::

    dc_i/dt = production_i - loss_i c_i + T_i(c - rest)
    T_i(u)  = D_f / V_i (sum_j A_ij / L_ij (u_j - u_i) - W_i u_i) + m_f (p_i - u_i)

A_ij and L_ij are area and distance of a contact, W_i the conductance of walls that hold the healthy level, and p_i the
plasma beside the site, in balance with its sinusoid: at each node
``p = (sum Q_in p_in + m sum V u) / (sum Q_in + m sum V)``. The plasma that enters holds a share `returned` of the mean
of what leaves, plus `inlet`. Transport acts on the deviation from `rest`, so a healthy profile stands still.

A step is TR-BDF2 (Bank et al. 1985, doi:10.1109/T-ED.1985.22232), which is of second order and L-stable, with the
estimate of Hosea and Shampine (1996, doi:10.1016/0168-9274(95)00115-8). No such method keeps every level positive at
every step size (Bolley and Crouzeix 1978, doi:10.1051/m2an/1978120302371), so a step that would make a level negative
is refused; a shorter one succeeds. Signals that neither diffuse nor meet plasma follow the exact exponential, and those
that diffuse without plasma do so too where a setting asks for it (`hepatalk.engines.lobule.propagation_kernels`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from hepatalk.engines.lobule.field_kernels import decay, euler_blocks, steady_blocks, step_blocks, within
from hepatalk.engines.lobule.linear_kernels import LANES, Problem
from hepatalk.engines.lobule.propagation_kernels import STIFFEST, propagate_blocks, widths
from hepatalk.engines.lobule.transport import Plasma, Transport, plasma_order
from hepatalk.errors import EngineError

__all__ = [
    "FieldError",
    "Plasma",
    "Run",
    "Setting",
    "Step",
    "Transport",
    "advance",
    "integrate",
    "plasma_order",
    "steady",
]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

#: A level below this, and below what the tolerance of the linear solver leaves, refuses the step.
NEGATIVE = -1e-12
#: Residual of the linear systems, of the greatest level of a signal.
TOLERANCE = 1e-10


class FieldError(EngineError):
    """A step of a signal failed: what it would have done is not a number, negative, or not found.

    Parameters
    ----------
    message : str
    field : int
        Index of the signal.
    site : int
        Index of the site; -1 where all sites are meant.

    Attributes
    ----------
    field, site : int
    """

    def __init__(self, message: str, field: int, site: int) -> None:
        super().__init__(message)
        self.field, self.site = field, site


@dataclass(frozen=True, eq=False)
class Setting:
    """What stays the same from step to step beside the transport itself.

    Attributes
    ----------
    rest : (F, M) float array, optional
        Healthy levels, on which transport does nothing; 0 when omitted.
    returned : (F,) float array, optional
        Share of the mean level of plasma that leaves with which plasma enters, 0 to 1; 1 (a closed body) when omitted.
    inlet : (F,) float array, optional
        Added to the level of the plasma that enters, as a deviation from health; 0 when omitted.
    names : tuple of str
        Of the signals, for messages.
    positive : bool
        Where a step would make a level negative, take two of half the length by the implicit Euler method instead,
        which never does: of first order, for transients that the step is too long to follow.
    judged : bool
        Whether the error of a step is estimated, at the cost of a third of the linear systems; 0 otherwise.
    exact : bool
        Follow signals that diffuse and do not meet plasma without an error of time (see
        `hepatalk.engines.lobule.propagation_kernels`), unless implicit steps are cheaper; their error is then 0.
    """

    rest: Floats | None = None
    returned: Floats | None = None
    inlet: Floats | None = None
    names: tuple[str, ...] = ()
    positive: bool = False
    judged: bool = True
    exact: bool = False

    def name(self, index: int) -> str:
        """Return how a message calls a signal."""
        return f"signal {self.names[index]}" if index < len(self.names) else f"signal {index}"


#: Transport acts on the level itself, and what leaves with plasma comes back.
PLAIN = Setting()


class Step(NamedTuple):
    """What a step or a steady state returns.

    Attributes
    ----------
    level : (F, M) float array
    error : (F,) float array
        Estimate of the greatest error of a step at any site, in levels; 0 for the exact exponential and steady states.
    iterations : (F,) int array
        Of the linear solver.
    """

    level: Floats
    error: Floats
    iterations: Ints


class Run(NamedTuple):
    """What `integrate` returns.

    Attributes
    ----------
    level : (F, M) float array
    steps, refused : int
        Steps that were taken, and those that were tried and were too long.
    h : float
        The step that the error would allow next, h.
    """

    level: Floats
    steps: int
    refused: int
    h: float


def advance(
    level: Floats,
    production: Floats,
    loss: Floats,
    transport: Transport,
    diffusivity: Floats,
    exchange: Floats,
    h: float,
    tolerance: float = TOLERANCE,
    setting: Setting = PLAIN,
) -> Step:
    """Advance all signals by one step, with production and loss held.

    Parameters
    ----------
    level : (F, M) float array
        Relative to health.
    production : (F, M) float array
        Levels per h, not negative.
    loss : (F, M) float array
        1/h, not negative.
    transport : Transport
    diffusivity : (F,) float array
        um^2/h, not negative.
    exchange : (F,) float array
        With plasma, 1/h, not negative.
    h : float
        Step, h.
    tolerance : float
        Greatest residual of the linear systems, of the greatest level of the signal. Rows of the systems sum to at
        least one and their inverses are positive, so no level is off by more than twice this for each of the two
        systems of a step. Mass does not depend on it: what is left of the residual is made to sum to zero.
    setting : Setting

    Returns
    -------
    Step

    Raises
    ------
    FieldError
        If an input or a new level is not a number, an input or a new level is negative, or the linear solver does not
        reach its tolerance. The message names the signal and the site.
    """
    f = _problem(level, production, loss, transport, diffusivity, exchange, setting)
    if not (np.isfinite(h) and h > 0.0):
        raise EngineError(f"fields: a step of {h} h; it must be positive and finite")
    out, report, used = np.empty_like(f.level), np.zeros((f.level.shape[0], 2)), np.zeros(f.level.shape[0], np.int64)
    exact = _propagated(f, transport, h) if setting.exact else np.zeros(f.diffusivity.size, bool)
    local, lanes = _blocks(f, ~exact)
    decay(f, local, h, out)
    if exact.any():
        propagate_blocks(transport.tables, f, _company(f, np.flatnonzero(exact)), h, tolerance, out, used)
    for block in lanes:
        step_blocks(transport.tables, f, block, h, tolerance, out, report, used, setting.judged)
    if setting.positive:
        below = np.flatnonzero(~(out.min(axis=1, initial=0.0) >= NEGATIVE)).astype(np.int64)
        below = below[np.isin(below, local, invert=True) & ~exact[below]]
        if below.size:
            euler_blocks(transport.tables, f, _lanes(below), h, tolerance, out, report, used)
    _refuse(f, out, report[:, 1], tolerance, setting)
    _lift(out, transport.volume)
    return Step(out, report[:, 0].copy(), used)


def steady(
    production: Floats,
    loss: Floats,
    transport: Transport,
    diffusivity: Floats,
    exchange: Floats,
    tolerance: float = TOLERANCE,
    setting: Setting = PLAIN,
    guess: Floats | None = None,
) -> Step:
    """Return the levels at which nothing changes.

    Parameters
    ----------
    production, loss, transport, diffusivity, exchange, setting
        As in `advance`.
    tolerance : float
        Greatest rate of change that is left, of the greatest net production.
    guess : (F, M) float array, optional
        Where the linear solver starts; the healthy levels when omitted.

    Returns
    -------
    Step

    Raises
    ------
    FieldError
        As in `advance`, and if a signal has no steady state because nothing removes it.
    """
    still = np.zeros_like(production) if setting.rest is None else setting.rest
    start = still if guess is None else guess
    f = _problem(start, production, loss, transport, diffusivity, exchange, setting)
    local, lanes = _blocks(f)
    removed = f.loss.max(axis=1, initial=0.0) > 0.0
    removed |= (f.diffusivity > 0.0) & (transport.wall.max(initial=0.0) > 0.0)
    removed |= (f.exchange > 0.0) & (f.returned < 1.0)
    removed[local] = f.loss[local].min(axis=1, initial=np.inf) > 0.0
    if not removed.all():
        bad = int(np.argmin(removed))
        raise FieldError(f"{setting.name(bad)} has no steady state: nothing removes it; give it a loss", bad, -1)
    out, report, used = np.empty_like(f.level), np.zeros((f.level.shape[0], 2)), np.zeros(f.level.shape[0], np.int64)
    out[local] = f.production[local] / f.loss[local]
    for block in lanes:
        steady_blocks(transport.tables, f, block, tolerance, out, report, used)
    _refuse(f, out, report[:, 1], tolerance, setting)
    _lift(out, transport.volume)
    return Step(out, report[:, 0].copy(), used)


def integrate(
    level: Floats,
    production: Floats,
    loss: Floats,
    transport: Transport,
    diffusivity: Floats,
    exchange: Floats,
    duration: float,
    accuracy: float,
    setting: Setting = PLAIN,
    h: float | None = None,
) -> Run:
    """Advance all signals over a stretch of time in steps whose estimated error stays within `accuracy`.

    Parameters
    ----------
    level, production, loss, transport, diffusivity, exchange, setting
        As in `advance`.
    duration : float
        h.
    accuracy : float
        Greatest estimated error of a step, of the greatest level of the signal or of 1 if that is more. The linear
        systems are solved to a thousandth of it.
    h : float, optional
        First step, h; `duration` when omitted.

    Returns
    -------
    Run

    Raises
    ------
    FieldError
        As in `advance`, where a step of a millionth of `duration` fails too.
    """
    now, wish, steps, refused = 0.0, min(h or duration, duration), 0, 0
    while now < duration * (1.0 - 1e-12):
        h_try = min(wish, duration - now)
        try:
            made = advance(level, production, loss, transport, diffusivity, exchange, h_try, 1e-3 * accuracy, setting)
        except FieldError:
            if h_try < 1e-6 * duration:
                raise
            wish, refused = 0.25 * h_try, refused + 1
            continue
        size = np.maximum(np.maximum(made.level, level).max(axis=1, initial=0.0), 1.0)
        ratio = float((made.error / size).max(initial=0.0)) / accuracy
        factor = min(4.0, max(0.2, 0.85 * max(ratio, 1e-9) ** (-1.0 / 3.0)))
        if ratio > 1.0 and h_try >= 1e-6 * duration:
            wish, refused = factor * h_try, refused + 1
            continue
        now, level, steps, wish = now + h_try, made.level, steps + 1, max(factor * h_try, min(wish, factor * wish))
    return Run(level, steps, refused, wish)


def _problem(
    level: Floats,
    production: Floats,
    loss: Floats,
    transport: Transport,
    diffusivity: Floats,
    exchange: Floats,
    setting: Setting,
) -> Problem:
    """Return the inputs as the kernels read them, or raise."""
    shape = (diffusivity.size, transport.sites)
    still = np.zeros(shape) if setting.rest is None else setting.rest
    shares = np.ones(shape[0]) if setting.returned is None else setting.returned
    given = np.zeros(shape[0]) if setting.inlet is None else setting.inlet
    f = Problem(level, production, loss, still, diffusivity, exchange, shares, given)
    f = Problem(*(np.ascontiguousarray(x, dtype=np.float64) for x in f))
    for name, values in zip(Problem._fields, f, strict=True):
        _check(name, values, shape, setting)
    if transport.plasma is None and f.exchange.any():
        bad_one = int(np.flatnonzero(f.exchange)[0])
        raise FieldError(f"{setting.name(bad_one)} exchanges with plasma, but transport has none", bad_one, -1)
    return f


def _check(name: str, values: Floats, shape: tuple[int, int], setting: Setting) -> None:
    """Raise unless an input has its shape and allowed values."""
    if values.shape != (shape if name in {"level", "production", "loss", "rest"} else shape[:1]):
        raise EngineError(f"fields: {name} has shape {values.shape}; {shape[0]} signals on {shape[1]} sites do not")
    low, high, allowed = -np.inf, np.inf, "finite numbers"
    if name in {"production", "loss", "diffusivity", "exchange"}:
        low, allowed = 0.0, ">= 0"
    elif name == "returned":
        low, high, allowed = 0.0, 1.0, "0 to 1"
    if not within(values.ravel(), low, high):
        bad = ~(np.isfinite(values) & (values >= low) & (values <= high))
        where = tuple(int(x) for x in np.argwhere(bad)[0])
        site, place = (where[1], f" at site {where[1]}") if len(where) > 1 else (-1, "")
        text = f"{setting.name(where[0])} has a {name} of {values[where]}{place}; allowed: {allowed}"
        raise FieldError(text, where[0], site)


def _propagated(f: Problem, transport: Transport, h: float) -> npt.NDArray[np.bool_]:
    """Return which signals diffuse, do not meet plasma, and are no stiffer than polynomials are good for."""
    exact: npt.NDArray[np.bool_] = (f.diffusivity > 0.0) & (f.exchange == 0.0)
    if exact.any():
        exact &= h * widths(transport.tables, f) <= STIFFEST
    return exact


def _blocks(f: Problem, chosen: npt.NDArray[np.bool_] | None = None) -> tuple[Ints, list[Ints]]:
    """Return the signals that stay where they are, and the blocks of those that diffuse and of those in plasma too.

    Of those that move only the chosen ones.
    """
    plasma = f.exchange > 0.0
    moving = plasma | (f.diffusivity > 0.0)
    blocks = []
    picked = moving if chosen is None else moving & chosen
    for group in (np.flatnonzero(picked & ~plasma), np.flatnonzero(picked & plasma)):
        if group.size:
            blocks.append(_company(f, group))
    return np.flatnonzero(~moving), blocks


def _company(f: Problem, group: Ints) -> Ints:
    """Return signals in lanes so that those which take alike many iterations keep each other company."""
    return _lanes(group[np.argsort(f.diffusivity[group], kind="stable")])


def _lanes(signals: Ints) -> Ints:
    """Return signals in rows of `LANES`, the last one filled up with -1."""
    padded = np.full(-(-signals.size // LANES) * LANES, -1, np.int64)
    padded[: signals.size] = signals
    return padded.reshape(-1, LANES)


def _refuse(f: Problem, out: Floats, excess: Floats, tolerance: float, setting: Setting) -> None:
    """Raise if the result is not a number, has not been found, or is negative."""
    if not within(out.ravel(), -np.inf, np.inf):
        s, i = (int(x) for x in np.argwhere(~np.isfinite(out))[0])
        raise FieldError(f"{setting.name(s)} becomes {out[s, i]} at site {i}; take a shorter step", s, i)
    if excess.max(initial=0.0) > 1.0:
        s = int(np.argmax(excess))
        text = f"{setting.name(s)}: the linear solver stops at {excess[s]:.3g} times the residual that is allowed"
        raise FieldError(f"{text}; take a shorter step or a larger tolerance than {tolerance:g}", s, -1)
    lowest = out.min(axis=1, initial=0.0)
    if lowest.min(initial=0.0) >= NEGATIVE:
        return
    # What the tolerance of the linear solver leaves is no level either.
    allowed = np.minimum(NEGATIVE, -2.0 * tolerance * np.abs(out).max(axis=1, initial=0.0))
    if (lowest < allowed).any():
        s = int(np.argmax(lowest < allowed))
        i = int(np.argmin(out[s]))
        raise FieldError(f"{setting.name(s)} becomes {out[s, i]:.3g} at site {i}; take a shorter step", s, i)


def _lift(out: Floats, volume: Floats) -> None:
    """Set what rounding or the linear solver left below zero to zero, and take its mass from the rest of the signal."""
    for s in np.flatnonzero(out.min(axis=1, initial=0.0) < 0.0):
        before = float(out[s] @ volume)
        np.maximum(out[s], 0.0, out=out[s])
        after = float(out[s] @ volume)
        out[s] *= before / after if before > 0.0 else 1.0
