"""Virtual animals: parameter sets that meet the calibration data equally well.

One best fit hides what the data leave open. Members are drawn by randomising data and prior and optimising (Bardsley et
al. 2019, "Scalable optimization-based sampling on function space", arXiv 1903.00870):

1. Uncertain numbers are the fitted ones and every assumed strength, half response, steepness, rate, duration and
   half-life. Their priors are those of their records, or the assumed value x/: `SPREAD`; either is read as plus and
   minus two standard deviations of the logarithm. Fitted numbers stay inside their prior.
2. With J the sensitivities of the weighted residuals at the best fit x*, a member starts at
   ``x* + (J'J + P)^-1 (J'(e - r*) + P (p - x*))``: r* is the residual there, e noise on every number, p a draw from the
   prior and P its precision. What no datum constrains keeps its draw from the prior.
3. Gauss-Newton steps bring the member back to its own noisy data, now with the full model; J learns from each step.
4. A member is kept if the data without noise cannot tell it from the best fit: its cost is higher by no more than the
   `ALIKE` quantile of chi-squared, with as many degrees of freedom as the data fix directions, tr(J (J'J + P)^-1 J').
   Every disturbance of its healthy state must die out. A near copy of a member that is kept already is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import chi2

from hepatalk.errors import ModelError
from hepatalk.inference.calibration import Datum, Objective
from hepatalk.knowledge.load import Knowledge
from hepatalk.knowledge.records import Parameter
from hepatalk.model.compiler import compile_model
from hepatalk.model.linear import Linearised

__all__ = ["Draft", "Prior", "Sampler", "constraint", "prior_of", "uncertain"]

Floats = npt.NDArray[np.float64]

#: Prior of an assumed number without one of its own: within this factor of its value at two standard deviations.
SPREAD = 1.6
#: Numbers that their meaning fixes: whole powers and the full weight.
_FIXED = frozenset({"power_one", "power_two", "power_four", "weight_full"})
_BEGINNINGS = ("gain_", "half_", "power_", "weight_", "node_")
_ENDINGS = ("_rate", "_duration", "_half_life", "_mixing", "_store")
#: Quantile of chi-squared up to which a member counts as fitting as well as the best.
ALIKE = 0.95
#: Members whose distance (root mean square, in standard deviations of the prior) is below this count as one.
NEAR_COPY = 0.25
#: Growth rates of disturbances (per h) up to this count as zero.
NO_GROWTH = 1e-9
#: Steps of each search.
STEPS = 9
#: Noise on each number, in half-bands; searches end early, so that a whole one would leave most members beyond `limit`.
NOISE = 0.5
#: Step of the difference quotients, in logarithms.
STEP = 0.03


@dataclass(frozen=True)
class Prior:
    """Normal prior of the logarithm of a number, with hard bounds where the record states a prior.

    Attributes
    ----------
    name : str
    middle, deviation : float
        Of the natural logarithm.
    low, high : float
        Bounds of the logarithm; infinite where there are none.
    """

    name: str
    middle: float
    deviation: float
    low: float
    high: float


def prior_of(parameter: Parameter) -> Prior | None:
    """Return the prior of an uncertain parameter, None for a number that is sourced, defined or not positive."""
    if parameter.id.startswith("lobule_"):
        return None  # anatomy: what is fitted and drawn, the model without space, does not ask for it
    value = parameter.value
    if not isinstance(value, float | int) or parameter.id in _FIXED or value <= 0:
        return None
    if parameter.prior is not None and parameter.source != "assumed":
        low, high = np.log(parameter.prior[0]), np.log(parameter.prior[1])
        return Prior(parameter.id, float(low + high) / 2, float(high - low) / 4, float(low), float(high))
    uncertain_kind = parameter.id.startswith(_BEGINNINGS) or parameter.id.endswith(_ENDINGS)
    if parameter.source != "assumed" or not uncertain_kind:
        return None
    deviation = float(np.log(SPREAD)) / 2
    highest = 0.0 if parameter.id.startswith("weight_") else np.inf
    return Prior(parameter.id, float(np.log(value)), deviation, -np.inf, highest)


def uncertain(knowledge: Knowledge) -> tuple[Prior, ...]:
    """Return the priors of all uncertain numbers, fitted ones first, in the order of the records."""
    priors = [p for p in map(prior_of, knowledge.parameter.values()) if p is not None]
    return tuple(sorted(priors, key=lambda p: not np.isfinite(p.low)))


@dataclass(frozen=True)
class Draft:
    """A drawn parameter set and how it was judged.

    Attributes
    ----------
    values : dict of str to float
        Uncertain numbers, four digits.
    misfit : float
        Root of the mean over studies of their mean square residual, in half-bands, against the data without noise.
    growth : float
        Largest real part of the eigenvalues of the healthy state, per h.
    kept : bool
    why : str
        Empty, or the reason for which it was left out.
    """

    values: dict[str, float]
    misfit: float
    growth: float
    kept: bool
    why: str


class Sampler:
    """Draws members of the ensemble.

    Parameters
    ----------
    knowledge : Knowledge
    data : sequence of Datum
    jacobian : (n_data, n_priors) float array, optional
        Sensitivities that are known already.
    progress : callable, optional
        Called with (done, total) while sensitivities are computed.

    Attributes
    ----------
    priors : tuple of Prior
    best : (n_priors,) float array
        Logarithms of the records' values.
    jacobian : (n_data, n_priors) float array
        Of the weighted residuals with respect to the logarithms.

    Raises
    ------
    ModelError
        If the records' own values cannot be run.
    """

    def __init__(
        self,
        knowledge: Knowledge,
        data: Sequence[Datum],
        *,
        jacobian: Floats | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        self.knowledge = knowledge
        self.priors = uncertain(knowledge)
        self.names = tuple(p.name for p in self.priors)
        self.middle = np.array([p.middle for p in self.priors])
        self.deviation = np.array([p.deviation for p in self.priors])
        self.low = np.array([p.low for p in self.priors])
        self.high = np.array([p.high for p in self.priors])
        self.best = np.log([float(knowledge.parameter[n].value) for n in self.names])  # type: ignore[arg-type]
        self.objective = Objective(knowledge, (), data)
        residual = self.residuals(self.best)
        if residual is None:
            raise ModelError("the records' own parameter values cannot be run; run 'hepatalk check' to see why")
        self.residual: Floats = residual
        if jacobian is None:
            jacobian = self._sensitivities(residual, progress or (lambda done, total: None))
        self.jacobian = jacobian
        precision = np.diag(1.0 / self.deviation**2)
        self.covariance = np.linalg.inv(self.jacobian.T @ self.jacobian + precision)

    def residuals(self, x: Floats) -> Floats | None:
        """Return weighted residuals (n_data,), None where the model cannot be run."""
        o = self.objective
        try:
            said = o.values_with({n: float(np.exp(v)) for n, v in zip(self.names, x, strict=True)})
        except o.failures:
            return None
        weighted: Floats = np.array([d.residual(v) for d, v in zip(o.data, said, strict=True)]) * o.weight
        return weighted

    def _sensitivities(self, here: Floats, progress: Callable[[int, int], None]) -> Floats:
        out = np.zeros((len(here), len(self.names)))
        for j in range(len(self.names)):
            there = None
            for step in (STEP, -STEP):
                moved = self.best.copy()
                moved[j] += step
                there = self.residuals(moved)
                if there is not None:
                    out[:, j] = (there - here) / step
                    break
            progress(j + 1, len(self.names))
        return out

    def _misfit(self, residual: Floats) -> float:
        studies = len({d.study for d in self.objective.data})
        return float(np.sqrt(residual @ residual / studies))

    @property
    def misfit(self) -> float:
        """Misfit of the best fit, as `Draft.misfit`."""
        return self._misfit(self.residual)

    @property
    def directions(self) -> float:
        """How many directions of the uncertain numbers the data fix, of `len(names)`."""
        return float(np.trace(self.jacobian @ self.covariance @ self.jacobian.T))

    @property
    def limit(self) -> float:
        """Largest misfit of a member that is kept."""
        studies = len({d.study for d in self.objective.data})
        beyond = float(chi2.ppf(ALIKE, max(self.directions, 1.0)))
        return float(np.sqrt(self.misfit**2 + beyond / studies))

    def draw(self, seed: int) -> Draft:
        """Draw and judge one member; the same seed gives the same member.

        Parameters
        ----------
        seed : int
            Not negative.

        Returns
        -------
        Draft
            Not yet compared with other members.
        """
        rng = np.random.default_rng(seed)
        precision = 1.0 / self.deviation**2
        # A normal draw would leave fitted numbers near the middle; their prior says no more than the bounds.
        bounded = np.isfinite(self.low)
        prior = np.where(
            bounded,
            rng.uniform(np.where(bounded, self.low, 0.0), np.where(bounded, self.high, 1.0)),
            self.middle + self.deviation * rng.standard_normal(len(self.names)),
        )
        noise = NOISE * rng.standard_normal(len(self.objective.data)) * self.objective.weight
        pull = self.jacobian.T @ (noise - self.residual) + precision * (prior - self.best)
        x = self.best + self.covariance @ pull
        x = np.clip(x, self.low, self.high)
        return self._judge(self._settle(x, prior, noise))

    def judge(self, values: Mapping[str, float]) -> Draft:
        """Judge a member that was drawn before, under the model and the rule of today.

        Parameters
        ----------
        values : dict of str to float
            What it was drawn with. A number that counts as uncertain only since then keeps the value of its record.

        Returns
        -------
        Draft
            With `values` of all uncertain numbers, four digits.

        Raises
        ------
        ModelError
            If it sets a number that is not uncertain any more.
        """
        gone = sorted(set(values) - set(self.names))
        if gone:
            raise ModelError(f"member: number {gone[0]!r} is not uncertain in this model; draw the members anew")
        recorded = dict(zip(self.names, np.exp(self.best), strict=True))
        return self._judge(np.log([values.get(n, recorded[n]) for n in self.names]))

    def _settle(self, x: Floats, prior: Floats, noise: Floats) -> Floats:
        """Return the best point of some Gauss-Newton steps; their Jacobian learns from each (Broyden's rule)."""
        precision, jacobian = 1.0 / self.deviation**2, self.jacobian.copy()
        r = self.residuals(x)
        best_x, best_cost, fraction = x, np.inf, 1.0
        for _ in range(STEPS):
            if r is None:
                # Where the model cannot be run, go half of the way back to the best fit.
                x = 0.5 * (x + self.best)
                r = self.residuals(x)
                continue
            cost = float((r - noise) @ (r - noise) + np.sum(((x - prior) / self.deviation) ** 2))
            fraction = min(1.0, 2.0 * fraction) if cost < best_cost else 0.5 * fraction
            if cost < best_cost:
                best_x, best_cost, best_r = x, cost, r
            slope = jacobian.T @ (best_r - noise) + precision * (best_x - prior)
            step = np.linalg.solve(jacobian.T @ jacobian + np.diag(precision), slope)
            there = np.clip(best_x - fraction * step, self.low, self.high)
            r, moved = self.residuals(there), there - best_x
            x = there
            if r is not None and moved @ moved > 0.0:
                jacobian += np.outer(r - best_r - jacobian @ moved, moved) / (moved @ moved)
        return best_x

    def _judge(self, x: Floats) -> Draft:
        values = {n: float(f"{np.exp(v):.4g}") for n, v in zip(self.names, x, strict=True)}
        r = self.residuals(np.log(list(values.values())))
        if r is None:
            return Draft(values, np.inf, np.nan, False, "cannot be run")
        misfit = self._misfit(r)
        if misfit > self.limit:
            return Draft(values, misfit, np.nan, False, "misses the calibration data")
        model = compile_model(self.knowledge, "rat", overrides=values)
        growth = float(Linearised(model, model.rest).modes[0][0].real)
        if growth > NO_GROWTH:
            return Draft(values, misfit, growth, False, "its healthy state is unstable")
        return Draft(values, misfit, growth, True, "")

    def distance(self, a: Draft, b: Draft) -> float:
        """Return the root mean square difference of two members, in standard deviations of the prior."""
        apart = [np.log(a.values[n] / b.values[n]) for n in self.names]
        return float(np.sqrt(np.mean((np.array(apart) / self.deviation) ** 2)))

    def is_near_copy(self, draft: Draft, others: Sequence[Draft]) -> bool:
        """Return whether a member is closer than `NEAR_COPY` to one of the others."""
        return any(self.distance(draft, other) < NEAR_COPY for other in others)


def constraint(priors: Sequence[Prior], members: Sequence[dict[str, float]]) -> dict[str, float]:
    """Return, for each number, the spread of its logarithm among members over that of its prior: 1 says unconstrained.

    The deviation of a bounded prior is that of a uniform distribution between its bounds.
    """
    out = {}
    for p in priors:
        spread = float(np.std(np.log([m[p.name] for m in members])))
        whole = (p.high - p.low) / np.sqrt(12.0) if np.isfinite(p.low) else p.deviation
        out[p.name] = spread / whole
    return out
