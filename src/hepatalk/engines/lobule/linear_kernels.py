"""Compiled linear algebra of signals on sites: diffusion and plasma, four signals side by side.

A system has the operator ``A = shift + s (loss - T)`` for each signal, where T is diffusion between neighbouring sites,
diffusion to walls, and exchange with plasma that runs along the sinusoids. Signals are solved in blocks of `LANES`:
the tables of the graph are read once for all signals of a block. No lane reads another one, every sum runs in the
order of the sites, and a block is worked on by one thread, so results have the same bits on any number of threads and
in any company. Lengths in um, times in h, flows in um^3/h.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

__all__ = ["EPSILON", "LANES", "Problem", "System", "Tables", "apply", "assemble", "row_sums", "solve", "solve_roughly"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

#: Signals that are solved side by side.
LANES = 4
#: Spacing of numbers at one.
EPSILON = float(np.finfo(np.float64).eps)
#: Of a linear system, before it is given up.
MAX_ITERATIONS = 500


class Tables(NamedTuple):
    """The graph as the kernels read it.

    Attributes
    ----------
    start : (M + 1,) int array
    other : (n,) int array
        Neighbours of site i are ``other[start[i]:start[i+1]]``.
    coupling : (n,) float array
        Contact area over distance and volume of the site, 1/um^2.
    total : (M,) float array
        Sum of the couplings of a site, those to walls included, 1/um^2.
    volume : (M,) float array
        um^3.
    node : (M,) int array
        Place of the site's plasma in the upstream order; -1 for none.
    inflow, through, outflow : (N,) float array
        What enters a node from outside, passes it, and leaves to outside, um^3/h.
    in_start : (N + 1,) int array
    in_from : (k,) int array
    in_flow : (k,) float array
        Nodes that feed a node, all earlier in the order, and their flows, um^3/h.
    site_start : (N + 1,) int array
    site : (p,) int array
        Sites that exchange with a node.
    """

    start: Ints
    other: Ints
    coupling: Floats
    total: Floats
    volume: Floats
    node: Ints
    inflow: Floats
    through: Floats
    outflow: Floats
    in_start: Ints
    in_from: Ints
    in_flow: Floats
    site_start: Ints
    site: Ints


class Problem(NamedTuple):
    """All signals of one call.

    Attributes
    ----------
    level, production, loss, rest : (F, M) float array
        Level, production (level/h), loss (1/h) and healthy level.
    diffusivity, exchange, returned, inlet : (F,) float array
        um^2/h; 1/h; share of the outflow that returns to the inlets; level that is added to the inflow.
    """

    level: Floats
    production: Floats
    loss: Floats
    rest: Floats
    diffusivity: Floats
    exchange: Floats
    returned: Floats
    inlet: Floats


class System(NamedTuple):
    """The operator of a block and its preconditioner, the same operator without neighbours.

    Attributes
    ----------
    plasma : bool
        Whether any signal of the block exchanges with plasma.
    diagonal, inverse, weight, sieve : (M, LANES) float array
        Diagonal; its inverse; volume; volume over diagonal.
    spread, take, rate : (LANES,) float array
        s D, s m and m.
    share, echo : (N, LANES) float array
        Inverse of what dilutes plasma at a node, and its answer to an inflow of one: in A.
    sieve_share, sieve_echo : (N, LANES) float array
        The same in the preconditioner.
    back, sieve_back : (LANES,) float array
        From the outflow of plasma without return to the level of the inflow with it.
    """

    plasma: bool
    diagonal: Floats
    inverse: Floats
    weight: Floats
    sieve: Floats
    spread: Floats
    take: Floats
    rate: Floats
    share: Floats
    echo: Floats
    sieve_share: Floats
    sieve_echo: Floats
    back: Floats
    sieve_back: Floats


@njit(cache=True, nogil=True)
def _sweep(t: Tables, weight: Floats, share: Floats, rate: Floats, x: Floats, p: Floats) -> None:
    """Fill the levels of plasma downstream from inflows of zero: ``p = (sum Q p_up + m sum weight x) share``."""
    in_start, in_from, in_flow, site_start, sites = t.in_start, t.in_from, t.in_flow, t.site_start, t.site
    m0, m1, m2, m3 = rate[0], rate[1], rate[2], rate[3]
    for n in range(in_start.size - 1):
        a0 = a1 = a2 = a3 = 0.0
        for e in range(site_start[n], site_start[n + 1]):
            i = sites[e]
            a0 += weight[i, 0] * x[i, 0]
            a1 += weight[i, 1] * x[i, 1]
            a2 += weight[i, 2] * x[i, 2]
            a3 += weight[i, 3] * x[i, 3]
        a0, a1, a2, a3 = m0 * a0, m1 * a1, m2 * a2, m3 * a3
        for e in range(in_start[n], in_start[n + 1]):
            up, flow = in_from[e], in_flow[e]
            a0 += flow * p[up, 0]
            a1 += flow * p[up, 1]
            a2 += flow * p[up, 2]
            a3 += flow * p[up, 3]
        p[n, 0] = a0 * share[n, 0]
        p[n, 1] = a1 * share[n, 1]
        p[n, 2] = a2 * share[n, 2]
        p[n, 3] = a3 * share[n, 3]


@njit(cache=True, nogil=True)
def _returns(t: Tables, back: Floats, p: Floats, inlet: Floats) -> None:
    """Fill the level of the inflow (LANES,) to which plasma `p`, made without return, leads when it returns."""
    inlet[:] = 0.0
    for n in range(t.through.size):
        if t.outflow[n] > 0.0:
            for k in range(LANES):
                inlet[k] += t.outflow[n] * p[n, k]
    for k in range(LANES):
        inlet[k] *= back[k]


@njit(cache=True, nogil=True)
def _echoes(t: Tables, share: Floats, returned: Floats, echo: Floats, back: Floats) -> None:
    """Fill the answer of plasma to an inflow of one, and the gain of its return."""
    inflow = 0.0
    for n in range(t.through.size):
        inflow += t.inflow[n]
        for k in range(LANES):
            q = t.inflow[n]
            for e in range(t.in_start[n], t.in_start[n + 1]):
                q += t.in_flow[e] * echo[t.in_from[e], k]
            echo[n, k] = q * share[n, k]
    for k in range(LANES):
        kept = inflow * (1.0 - returned[k])
        for n in range(t.through.size):
            kept += returned[k] * t.outflow[n] * (1.0 - echo[n, k])
        back[k] = returned[k] / kept if kept > 0.0 else 0.0


@njit(cache=True, nogil=True)
def assemble(t: Tables, f: Problem, lanes: Ints, shift: float, s: float) -> System:
    """Return ``shift + s (loss - T)`` for the signals of a block; a lane of -1 is the identity."""
    sites, nodes = t.volume.size, t.through.size
    diagonal, inverse = np.ones((sites, LANES)), np.empty((sites, LANES))
    weight, sieve = np.empty((sites, LANES)), np.empty((sites, LANES))
    rate, spread, returned = np.zeros(LANES), np.zeros(LANES), np.zeros(LANES)
    for k in range(LANES):
        if lanes[k] >= 0:
            rate[k], spread[k] = f.exchange[lanes[k]], s * f.diffusivity[lanes[k]]
            returned[k] = f.returned[lanes[k]]
    take = s * rate
    for i in range(sites):
        for k in range(LANES):
            if lanes[k] >= 0:
                diagonal[i, k] = shift + s * f.loss[lanes[k], i] + spread[k] * t.total[i]
                if t.node[i] >= 0:
                    diagonal[i, k] += take[k]
            weight[i, k] = t.volume[i]
            inverse[i, k] = 1.0 / diagonal[i, k] if diagonal[i, k] > 0.0 else 0.0
            sieve[i, k] = t.volume[i] * inverse[i, k]
    share, sieve_share = np.zeros((nodes, LANES)), np.zeros((nodes, LANES))
    echo, sieve_echo = np.zeros((nodes, LANES)), np.zeros((nodes, LANES))
    back, sieve_back = np.zeros(LANES), np.zeros(LANES)
    plasma = rate.max() > 0.0
    if plasma:
        for n in range(nodes):
            for k in range(LANES):
                whole = free = t.through[n]
                for e in range(t.site_start[n], t.site_start[n + 1]):
                    i = t.site[e]
                    whole += rate[k] * t.volume[i]
                    free += rate[k] * (t.volume[i] - take[k] * sieve[i, k])
                share[n, k] = 1.0 / whole if whole > 0.0 else 0.0
                sieve_share[n, k] = 1.0 / free if free > 0.0 else 0.0
        _echoes(t, share, returned, echo, back)
        _echoes(t, sieve_share, returned, sieve_echo, sieve_back)
    return System(
        plasma, diagonal, inverse, weight, sieve, spread, take, rate,
        share, echo, sieve_share, sieve_echo, back, sieve_back,
    )  # fmt: skip


@njit(cache=True, nogil=True)
def apply(t: Tables, a: System, x: Floats, p: Floats, y: Floats) -> None:
    """Fill ``y = A x``; `p` (N, LANES) is work space."""
    start, other, coupling, diagonal = t.start, t.other, t.coupling, a.diagonal
    d0, d1, d2, d3 = a.spread[0], a.spread[1], a.spread[2], a.spread[3]
    for i in range(start.size - 1):
        s0 = s1 = s2 = s3 = 0.0
        for e in range(start[i], start[i + 1]):
            j, g = other[e], coupling[e]
            s0 += g * x[j, 0]
            s1 += g * x[j, 1]
            s2 += g * x[j, 2]
            s3 += g * x[j, 3]
        y[i, 0] = diagonal[i, 0] * x[i, 0] - d0 * s0
        y[i, 1] = diagonal[i, 1] * x[i, 1] - d1 * s1
        y[i, 2] = diagonal[i, 2] * x[i, 2] - d2 * s2
        y[i, 3] = diagonal[i, 3] * x[i, 3] - d3 * s3
    if a.plasma:
        inlet = np.empty(LANES)
        _sweep(t, a.weight, a.share, a.rate, x, p)
        _returns(t, a.back, p, inlet)
        _deliver(t.node, p, inlet, a.echo, a.take, y)


@njit(cache=True, nogil=True)
def _deliver(node: Ints, p: Floats, inlet: Floats, echo: Floats, take: Floats, y: Floats) -> None:
    """Take from `y` what sites get from plasma."""
    m0, m1, m2, m3 = take[0], take[1], take[2], take[3]
    p0, p1, p2, p3 = inlet[0], inlet[1], inlet[2], inlet[3]
    for i in range(node.size):
        n = node[i]
        if n >= 0:
            y[i, 0] -= m0 * (p[n, 0] + p0 * echo[n, 0])
            y[i, 1] -= m1 * (p[n, 1] + p1 * echo[n, 1])
            y[i, 2] -= m2 * (p[n, 2] + p2 * echo[n, 2])
            y[i, 3] -= m3 * (p[n, 3] + p3 * echo[n, 3])


@njit(cache=True, nogil=True)
def _precondition(t: Tables, a: System, b: Floats, p: Floats, z: Floats) -> None:
    """Fill the solution z of A without its neighbours: each site alone, and plasma by one sweep downstream."""
    inlet = np.empty(LANES)
    z[:] = b
    _sweep(t, a.sieve, a.sieve_share, a.rate, b, p)
    _returns(t, a.sieve_back, p, inlet)
    _deliver(t.node, p, inlet, a.sieve_echo, -a.take, z)
    _scale(a.inverse, z)


@njit(cache=True, nogil=True)
def _scale(inverse: Floats, z: Floats) -> None:
    """Multiply `z` by `inverse`."""
    for i in range(z.shape[0]):
        z[i, 0] *= inverse[i, 0]
        z[i, 1] *= inverse[i, 1]
        z[i, 2] *= inverse[i, 2]
        z[i, 3] *= inverse[i, 3]


@njit(cache=True, nogil=True)
def _residual(b: Floats, r: Floats, worst: Floats) -> None:
    """Turn ``r = A x`` into ``b - A x``, and fill the greatest of each signal."""
    _add(b, np.ones(LANES), r, -np.ones(LANES), r)
    _greatest(r, worst)


@njit(cache=True, nogil=True)
def _greatest(r: Floats, worst: Floats) -> None:
    """Fill the greatest absolute value of each signal."""
    w0 = w1 = w2 = w3 = 0.0
    for i in range(r.shape[0]):
        w0 = max(w0, abs(r[i, 0]))
        w1 = max(w1, abs(r[i, 1]))
        w2 = max(w2, abs(r[i, 2]))
        w3 = max(w3, abs(r[i, 3]))
    worst[0], worst[1], worst[2], worst[3] = w0, w1, w2, w3


@njit(cache=True, nogil=True)
def _add(x: Floats, alpha: Floats, y: Floats, beta: Floats, out: Floats) -> None:
    """Fill ``out = alpha x + beta y``; `out` may be either of them."""
    a0, a1, a2, a3 = alpha[0], alpha[1], alpha[2], alpha[3]
    b0, b1, b2, b3 = beta[0], beta[1], beta[2], beta[3]
    for i in range(x.shape[0]):
        out[i, 0] = a0 * x[i, 0] + b0 * y[i, 0]
        out[i, 1] = a1 * x[i, 1] + b1 * y[i, 1]
        out[i, 2] = a2 * x[i, 2] + b2 * y[i, 2]
        out[i, 3] = a3 * x[i, 3] + b3 * y[i, 3]


@njit(cache=True, nogil=True)
def _dots(weight: Floats, x: Floats, y: Floats, out: Floats) -> None:
    """Fill the products of each signal, summed in the order of the sites."""
    d0 = d1 = d2 = d3 = 0.0
    for i in range(x.shape[0]):
        v = weight[i]
        d0 += v * x[i, 0] * y[i, 0]
        d1 += v * x[i, 1] * y[i, 1]
        d2 += v * x[i, 2] * y[i, 2]
        d3 += v * x[i, 3] * y[i, 3]
    out[0], out[1], out[2], out[3] = d0, d1, d2, d3


@njit(cache=True, nogil=True)
def _direct(inverse: Floats, r: Floats, beta: Floats, p: Floats) -> None:
    """Turn the search direction: ``p = inverse r + beta p``."""
    b0, b1, b2, b3 = beta[0], beta[1], beta[2], beta[3]
    for i in range(r.shape[0]):
        p[i, 0] = inverse[i, 0] * r[i, 0] + b0 * p[i, 0]
        p[i, 1] = inverse[i, 1] * r[i, 1] + b1 * p[i, 1]
        p[i, 2] = inverse[i, 2] * r[i, 2] + b2 * p[i, 2]
        p[i, 3] = inverse[i, 3] * r[i, 3] + b3 * p[i, 3]


@njit(cache=True, nogil=True)
def _weigh(weight: Floats, inverse: Floats, r: Floats, out: Floats) -> None:
    """Fill the products of r with ``inverse r``."""
    d0 = d1 = d2 = d3 = 0.0
    for i in range(r.shape[0]):
        v = weight[i]
        d0 += v * inverse[i, 0] * r[i, 0] * r[i, 0]
        d1 += v * inverse[i, 1] * r[i, 1] * r[i, 1]
        d2 += v * inverse[i, 2] * r[i, 2] * r[i, 2]
        d3 += v * inverse[i, 3] * r[i, 3] * r[i, 3]
    out[0], out[1], out[2], out[3] = d0, d1, d2, d3


@njit(cache=True, nogil=True)
def _conjugate(t: Tables, a: System, x: Floats, r: Floats, goal: Floats, worst: Floats, used: Ints) -> None:
    """Conjugate gradients in the product weighted by volume, in which A without plasma is symmetric.

    `x` and its residual `r` are overwritten; ends when no signal's greatest residual exceeds its goal, or breaks down.
    """
    p, q, none = np.zeros_like(x), np.empty_like(x), np.empty((0, LANES))
    rho, new, denominator, alpha = np.zeros(LANES), np.zeros(LANES), np.zeros(LANES), np.zeros(LANES)
    beta, one = np.zeros(LANES), np.ones(LANES)
    live = worst > goal
    while live.any() and used.max() < MAX_ITERATIONS:
        _weigh(t.volume, a.inverse, r, new)
        for k in range(LANES):
            beta[k] = new[k] / rho[k] if rho[k] != 0.0 else 0.0
            rho[k] = new[k]
        _direct(a.inverse, r, beta, p)
        apply(t, a, p, none, q)
        _dots(t.volume, p, q, denominator)
        for k in range(LANES):
            alpha[k] = rho[k] / denominator[k] if live[k] and denominator[k] != 0.0 else 0.0
            used[k] += live[k]
        _add(x, one, p, alpha, x)
        _add(r, one, q, -alpha, r)
        _greatest(r, worst)
        for k in range(LANES):
            live[k] = live[k] and worst[k] > goal[k] and alpha[k] != 0.0


@njit(cache=True, nogil=True)
def _bicgstab(t: Tables, a: System, x: Floats, r: Floats, goal: Floats, worst: Floats, used: Ints) -> None:
    """Stabilised bi-conjugate gradients (van der Vorst 1992, doi:10.1137/0913035), preconditioned from the right.

    Arguments and end as in `_conjugate`; A need not be symmetric.
    """
    shadow, p, v = r.copy(), np.zeros_like(x), np.zeros_like(x)
    y, z, u, w = np.empty_like(x), np.empty_like(x), np.empty_like(x), np.empty((t.through.size, LANES))
    rho, alpha, omega, beta = np.ones(LANES), np.ones(LANES), np.ones(LANES), np.zeros(LANES)
    new, other, one = np.zeros(LANES), np.zeros(LANES), np.ones(LANES)
    live = worst > goal
    while live.any() and used.max() < MAX_ITERATIONS:
        _dots(t.volume, shadow, r, new)
        for k in range(LANES):
            beta[k] = (new[k] / rho[k]) * (alpha[k] / omega[k]) if rho[k] * omega[k] != 0.0 else 0.0
            rho[k] = new[k]
        _add(p, beta, v, -beta * omega, p)
        _add(r, one, p, one, p)
        _precondition(t, a, p, w, y)
        apply(t, a, y, w, v)
        _dots(t.volume, shadow, v, new)
        for k in range(LANES):
            alpha[k] = rho[k] / new[k] if live[k] and new[k] != 0.0 else 0.0
        _add(r, one, v, -alpha, r)
        _precondition(t, a, r, w, z)
        apply(t, a, z, w, u)
        _dots(t.volume, u, r, new)
        _dots(t.volume, u, u, other)
        for k in range(LANES):
            omega[k] = new[k] / other[k] if live[k] and other[k] != 0.0 else 0.0
            used[k] += live[k]
        _add(x, one, y, alpha, x)
        _add(x, one, z, omega, x)
        _add(r, one, u, -omega, r)
        _greatest(r, worst)
        for k in range(LANES):
            live[k] = live[k] and worst[k] > goal[k] and alpha[k] * omega[k] != 0.0


@njit(cache=True, nogil=True)
def row_sums(t: Tables, a: System, p: Floats, gain: Floats) -> None:
    """Fill the sum of all rows of A, weighted by volume, of each signal."""
    one, rows = np.ones_like(a.diagonal), np.empty_like(a.diagonal)
    apply(t, a, one, p, rows)
    _dots(t.volume, one, rows, gain)


@njit(cache=True, nogil=True)
def _balance(volume: Floats, gain: Floats, x: Floats, r: Floats) -> None:
    """Shift each signal as a whole, so that what is left of the residual sums to zero: no mass is made or lost by it.

    Rows of A sum to at least one in a step, so the shift is no more than the greatest residual.
    """
    for k in range(LANES):
        if gain[k] > 0.0:
            total = 0.0
            for i in range(volume.size):
                total += volume[i] * r[i, k]
            total /= gain[k]
            for i in range(volume.size):
                x[i, k] += total


@njit(cache=True, nogil=True)
def solve(t: Tables, a: System, gain: Floats, x: Floats, b: Floats, goal: Floats, used: Ints) -> Floats:
    """Solve ``A x = b`` from the guess in `x` until the true residual is within `goal`; return what it is in the end.

    The recurrences of the solvers drift from the true residual, and bi-conjugate gradients can break down: either is
    mended by starting anew from the residual.

    Parameters
    ----------
    t : Tables
    a : System
    gain : (LANES,) float array
        From `row_sums`, to balance mass; 0 to leave it.
    x, b : (M, LANES) float array
        Guess, overwritten with the solution; right-hand side.
    goal : (LANES,) float array
        Greatest residual that is allowed.
    used : (LANES,) int array
        The numbers of iterations are added to it.

    Returns
    -------
    (LANES,) float array
        Greatest residual, before balance.
    """
    r, worst = np.empty_like(x), np.empty(LANES)
    p, spent = np.empty((t.through.size, LANES)), np.zeros(LANES, np.int64)
    for _ in range(8):
        apply(t, a, x, p, r)
        _residual(b, r, worst)
        if (worst <= goal).all() or spent.max() >= MAX_ITERATIONS:
            break
        _iterate(t, a, x, r, goal, worst, spent)
    _balance(t.volume, gain, x, r)
    used += spent
    return worst


@njit(cache=True, nogil=True)
def solve_roughly(t: Tables, a: System, x: Floats, b: Floats, goal: Floats, used: Ints) -> None:
    """Solve ``A x = b`` from zero, about to `goal`; `b` is overwritten."""
    worst = np.empty(LANES)
    x[:] = 0.0
    _greatest(b, worst)
    _iterate(t, a, x, b, goal, worst, used)


@njit(cache=True, nogil=True)
def _iterate(t: Tables, a: System, x: Floats, r: Floats, goal: Floats, worst: Floats, used: Ints) -> None:
    """Iterate with the method that suits A; arguments as in `_conjugate`."""
    if a.plasma:
        _bicgstab(t, a, x, r, goal, worst, used)
    else:
        _conjugate(t, a, x, r, goal, worst, used)
