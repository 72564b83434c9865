"""Values, derivatives and the dense Jacobian of a compiled model, in plain Python: slow, and easy to check by eye."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from hepatalk.model.compiled import CompiledModel
from hepatalk.model.laws import Law, hill_slope, normal_hill_slope, power_slope
from hepatalk.model.rest import apply_law

__all__ = ["Linearised", "partials"]

Floats = npt.NDArray[np.float64]


def partials(law: Law, x: list[float], c: list[float]) -> list[float]:
    """Return the derivative of one operation with respect to each of its inputs.

    Parameters
    ----------
    law : Law
    x : list of float
        Inputs.
    c : list of float
        Parameters, as `hepatalk.model.rest.apply_law` takes them.
    """
    slopes = [0.0] * len(x)
    match law:
        case Law.LINEAR:
            slopes = c[1:]
        case Law.PRODUCT:
            slopes = [float(np.prod([*c, *x[:j], *x[j + 1 :]])) for j in range(len(x))]
        case Law.RATIO:
            bottom = max(x[1], c[1])
            slopes = [c[0] / bottom, -c[0] * x[0] / bottom**2 if x[1] > c[1] else 0.0]
        case Law.POWER:
            slopes = [c[0] * power_slope(x[0], c[1])]
        case Law.HILL:
            slopes = [hill_slope(x[0], c[0], c[1])]
        case Law.NORMAL_HILL:
            slopes = [normal_hill_slope(x[0], c[0], c[1])]
        case Law.GATE:
            slopes = [a / c[0] for a in c[1:]]
        case Law.BRAKE:
            total = 1.0 + sum(a * h for a, h in zip(c[1:], x, strict=True))
            slopes = [-c[0] * a / total**2 for a in c[1:]]
        case Law.ANY:
            left = [1.0 - w * v for w, v in zip(c, x, strict=True)]
            slopes = [w * float(np.prod([*left[:j], *left[j + 1 :]])) for j, w in enumerate(c)]
        case Law.NOT:
            slopes = [-c[0]]
        case Law.RELAX:
            slopes = [c[0] / c[1], -1.0 / c[1]]
    return slopes


@dataclass(frozen=True)
class Linearised:
    """A model at a state.

    Parameters
    ----------
    model : CompiledModel
    state : (n_states,) float array
    """

    model: CompiledModel
    state: Floats

    def _operation(self, k: int, values: Floats) -> tuple[Law, list[int], list[float], list[float]]:
        m = self.model
        inputs = m.inputs[m.input_start[k] : m.input_start[k + 1]].tolist()
        arguments = m.arguments[m.argument_start[k] : m.argument_start[k + 1]]
        return Law(int(m.law[k])), inputs, values[inputs].tolist(), m.params[arguments].tolist()

    @cached_property
    def values(self) -> Floats:
        """All slots at the state, (n_states + n_ops,)."""
        n = self.model.n_states
        values = np.concatenate([self.state, np.zeros(self.model.n_ops)])
        for k in range(self.model.n_ops):
            law, _, x, c = self._operation(k, values)
            values[n + k] = apply_law(law, x, c)
        return values

    def gather(self, slots: Floats) -> Floats:
        """Return the sums of the fluxes into each state, of values per slot or of rows per slot."""
        m = self.model
        out = np.zeros((m.n_states, *slots.shape[1:]))
        for i in range(m.n_states):
            f = slice(m.flux_start[i], m.flux_start[i + 1])
            out[i] = m.coefficient[f] @ slots[m.flux[f]]
        return out

    @cached_property
    def derivative(self) -> Floats:
        """Time derivative of each state, per h, (n_states,)."""
        return self.gather(self.values)

    @cached_property
    def jacobian(self) -> Floats:
        """Derivative of each time derivative with respect to each state, per h, (n_states, n_states)."""
        n = self.model.n_states
        slopes = np.zeros((len(self.values), n))
        slopes[:n] = np.eye(n)
        for k in range(self.model.n_ops):
            law, inputs, x, c = self._operation(k, self.values)
            if inputs:
                slopes[n + k] = np.asarray(partials(law, x, c)) @ slopes[inputs]
        return self.gather(slopes)

    @cached_property
    def modes(self) -> tuple[npt.NDArray[np.complex128], npt.NDArray[np.complex128]]:
        """Eigenvalues of the Jacobian, per h, the largest real part first, and the eigenvectors in columns.

        Tracers are left out (their rows of the vectors are 0): no rate depends on them, so that the eigenvalues of the
        others stay as they are, while a label has neither a healthy value nor a reason to fade.
        """
        n = self.model.n_states
        kept = np.setdiff1d(np.arange(n), self.model.relabel.tracers)
        eigenvalues, vectors = np.linalg.eig(self.jacobian[np.ix_(kept, kept)])
        order = np.argsort(-eigenvalues.real)
        whole = np.zeros((n, len(kept)), dtype=np.complex128)
        whole[kept] = vectors[:, order]
        return eigenvalues[order].astype(np.complex128), whole

    @cached_property
    def left(self) -> npt.NDArray[np.complex128]:
        """Left eigenvectors in rows, (n_modes, n_states); a pseudoinverse, as chains of equal stages have too few."""
        return np.asarray(np.linalg.pinv(self.modes[1]), dtype=np.complex128)
