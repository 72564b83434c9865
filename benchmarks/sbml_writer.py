"""A minimal writer of SBML Level 3 Version 1 from a compiled model, so that another simulator runs its equations.

It writes what `hepatalk.engines.population.kernels` evaluates and nothing else: no units, no annotations, no
compartments, no reactions. It serves the benchmark; it is no exchange format.

========================  ==========================================================================================
compiled model            SBML
========================  ==========================================================================================
state ``i``               parameter ``s<i>`` with a rate rule: the sum of coefficient times slot
operation ``k``           parameter ``o<k>`` with an assignment rule; used once, it is folded into the rule that uses it
parameter ``j``           a number, or the constant parameter ``p<j>`` with ``numbers='parameters'``
========================  ==========================================================================================

The names of the model stand in the ``name`` attributes. Laws with a guard (`HILL` at or below zero, the floor of
`RATIO`) keep it as a ``piecewise``, so that the two right-hand sides are equal everywhere. On sound states no guard
acts, and ``guards=False`` leaves them out: libRoadRunner watches each ``piecewise`` as a possible event and writes a
branch for it, and had not loaded this model with them after five minutes.

Source
------
Hucka et al. (2010), SBML Level 3 Version 1 Core, doi 10.1038/npre.2010.4959.1.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal
from xml.sax.saxutils import quoteattr

import numpy as np
import numpy.typing as npt

from hepatalk.model.compiled import CompiledModel
from hepatalk.model.laws import Law

__all__ = ["MATHML", "SBML", "write_sbml"]

SBML = "http://www.sbml.org/sbml/level3/version1/core"
MATHML = "http://www.w3.org/1998/Math/MathML"

Floats = npt.NDArray[np.float64]
Numbers = Literal["inline", "parameters"]

#: Laws whose value needs an input more than once; what they read gets a name of its own.
READ_TWICE = frozenset({Law.HILL, Law.NORMAL_HILL, Law.POWER, Law.RATIO})


def write_sbml(
    model: CompiledModel,
    state: Floats | None = None,
    *,
    numbers: Numbers = "inline",
    guards: bool = True,
    fold: bool = True,
    keep: Iterable[str] = (),
) -> str:
    """Return a model as SBML text.

    Parameters
    ----------
    model : CompiledModel
    state : (n_states,) float array, optional
        Where the run starts; the healthy state without it.
    numbers : {'inline', 'parameters'}
        Whether a parameter's value is written where it is used, with all that depends on numbers alone worked out
        (fastest to run), or stays a named parameter that can be set after loading.
    guards : bool
        Write what a law does outside its sound range (amounts below zero, node inputs above one, densities under their
        floor).
    fold : bool
        Fold operations that are used once into the rule that uses them. A simulator that compiles a getter for every
        rule loads such a text much faster.
    keep : iterable of str
        Names of operations that must have a rule of their own, for reading them out. Others that no state depends on
        are left out.

    Raises
    ------
    KeyError
        If ``keep`` names no operation.
    """
    writer = _Writer(model, numbers, guards)
    start = model.rest if state is None else state
    ruled = writer.choose_rules({model.slot_index[name] - model.n_states for name in keep}, fold)
    out = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<sbml xmlns="{SBML}" level="3" version="1">',
        f'<model id="hepatalk" name={quoteattr(f"hepatalk {model.species} {model.hash}")}>',
        "<listOfParameters>",
    ]
    for i, name in enumerate(model.state_names):
        out.append(f'<parameter id="s{i}" name={quoteattr(name)} value="{float(start[i])!r}" constant="false"/>')
    out += [f'<parameter id="o{k}" name={quoteattr(model.slot_names[k])} constant="false"/>' for k in ruled]
    if numbers == "parameters":
        for j, name in enumerate(model.param_names):
            value = float(model.params[j])
            out.append(f'<parameter id="p{j}" name={quoteattr(name)} value="{value!r}" constant="true"/>')
    out += ["</listOfParameters>", "<listOfRules>"]
    out += [_rule("assignmentRule", f"o{k}", writer.operation(k)) for k in ruled]
    out += [_rule("rateRule", f"s{i}", writer.rate(i)) for i in range(model.n_states)]
    out += ["</listOfRules>", "</model>", "</sbml>", ""]
    return "\n".join(out)


def _rule(kind: str, variable: str, math: str) -> str:
    return f'<{kind} variable="{variable}"><math xmlns="{MATHML}">{math}</math></{kind}>'


# ------------------------------------------------------------------------------------------------------- MathML


def _cn(value: float) -> str:
    """Return a number; repr gives the same double back, and e-notation has an element of its own in MathML."""
    text = repr(float(value))
    if "e" in text:
        mantissa, exponent = text.split("e")
        return f'<cn type="e-notation">{mantissa}<sep/>{int(exponent)}</cn>'
    return f"<cn>{text}</cn>"


def _ci(name: str) -> str:
    return f"<ci>{name}</ci>"


def _apply(operator: str, *arguments: str) -> str:
    return f"<apply><{operator}/>{''.join(arguments)}</apply>"


def _sum(terms: Sequence[str]) -> str:
    if not terms:
        return _cn(0.0)
    return terms[0] if len(terms) == 1 else _apply("plus", *terms)


def _product(factors: Sequence[str]) -> str:
    factors = [f for f in factors if f != _cn(1.0)]
    if not factors:
        return _cn(1.0)
    return factors[0] if len(factors) == 1 else _apply("times", *factors)


def _piecewise(*pieces: tuple[str, str], otherwise: str) -> str:
    body = "".join(f"<piece>{value}{condition}</piece>" for value, condition in pieces)
    return f"<piecewise>{body}<otherwise>{otherwise}</otherwise></piecewise>"


def _power(base: str, exponent: float) -> str:
    """Return ``base**exponent``; the kernels multiply for small whole exponents, and so does the text."""
    if exponent in (1.0, 2.0, 3.0, 4.0):
        return _product([base] * int(exponent))
    return _apply("power", base, _cn(exponent))


# ------------------------------------------------------------------------------------------------------- the tape


@dataclass
class _Writer:
    """Writes single rules; knows which operations have a name."""

    model: CompiledModel
    numbers: Numbers
    guards: bool
    ruled: set[int] = field(default_factory=set)

    def choose_rules(self, kept: set[int], fold: bool) -> list[int]:
        """Choose the operations that get a rule, in the order of the tape, and remember them."""
        m, n = self.model, self.model.n_states
        uses = np.zeros(m.n_ops, dtype=np.int64)
        for slot in m.flux.tolist():
            if slot >= n:
                uses[slot - n] += 1
        needed = np.zeros(m.n_ops, dtype=bool)
        # Backwards: an operation needs earlier ones only, so all its uses are counted when its turn comes.
        for k in reversed(range(m.n_ops)):
            needed[k] = bool(uses[k]) or k in kept
            if needed[k]:
                weight = 2 if Law(m.law[k]) in READ_TWICE else 1
                for slot in self._inputs(k):
                    if slot >= n:
                        uses[slot - n] += weight
        self.ruled = {k for k in range(m.n_ops) if needed[k] and (not fold or uses[k] > 1 or k in kept)}
        return sorted(self.ruled)

    def _inputs(self, k: int) -> list[int]:
        if Law(self.model.law[k]) is Law.CONSTANT:
            return []
        return [int(i) for i in self.model.inputs[self.model.input_start[k] : self.model.input_start[k + 1]]]

    def slot(self, slot: int) -> str:
        """Return a reference to a slot, or the whole expression of an operation without a rule."""
        n = self.model.n_states
        if slot < n:
            return _ci(f"s{slot}")
        return _ci(f"o{slot - n}") if slot - n in self.ruled else self.operation(slot - n)

    def rate(self, state: int) -> str:
        """Return the derivative of a state, per h."""
        m = self.model
        places = range(m.flux_start[state], m.flux_start[state + 1])
        return _sum([_product([_cn(m.coefficient[f]), self.slot(int(m.flux[f]))]) for f in places])

    def operation(self, k: int) -> str:
        """Return the expression of an operation."""
        m = self.model
        x = [self.slot(i) for i in self._inputs(k)]
        positions = m.arguments[m.argument_start[k] : m.argument_start[k + 1]].tolist()
        values = [float(m.params[j]) for j in positions]
        if self.numbers == "inline":
            return _inline_law(Law(m.law[k]), x, values, self.guards)
        return _named_law(Law(m.law[k]), x, [_ci(f"p{j}") for j in positions], self.guards)


def _weighted(x: Sequence[str], weights: Sequence[str]) -> list[str]:
    return [_product([w, v]) for w, v in zip(weights, x, strict=True)]


def _inline_law(law: Law, x: Sequence[str], c: Sequence[float], guards: bool) -> str:
    """Return one operation with the numbers written in and what depends on them alone worked out."""
    match law:
        case Law.PRODUCT:
            return _product([_cn(float(np.prod(c))), *x])
        case Law.LINEAR:
            first = [_cn(c[0])] if c[0] != 0.0 else []
            return _sum([*first, *_weighted(x, [_cn(w) for w in c[1:]])])
        case Law.RELAX:
            return _sum([_product([_cn(c[0] / c[1]), x[0]]), _product([_cn(-1.0 / c[1]), x[1]])])
        case Law.GATE:
            return _sum([_cn(1.0 / c[0]), *_weighted(x, [_cn(w / c[0]) for w in c[1:]])])
        case Law.HILL:
            half, xn = _cn(c[0] ** c[1]), _power(x[0], c[1])
            return _guarded(x[0], _apply("divide", xn, _sum([half, xn])), guards)
        case Law.NORMAL_HILL:
            kn = c[0] ** c[1]
            b, xn = (kn - 1.0) / (2.0 * kn - 1.0), _power(x[0], c[1])
            value = _apply("divide", _product([_cn(b), xn]), _sum([_cn(b - 1.0), xn]))
            return _guarded(x[0], value, guards, one=True)
        case Law.POWER:
            return _guarded(x[0], _product([_cn(c[0]), _power(x[0], c[1])]), guards)
        case _:
            return _named_law(law, x, [_cn(v) for v in c], guards)


def _named_law(law: Law, x: Sequence[str], c: Sequence[str], guards: bool) -> str:
    """Return one operation, its parameters as they are: the table of `hepatalk.model.laws`, word for word."""
    one = _cn(1.0)
    match law:
        case Law.CONSTANT:
            out = c[0]
        case Law.LINEAR:
            out = _sum([c[0], *_weighted(x, c[1:])])
        case Law.PRODUCT:
            out = _product([*c, *x])
        case Law.GATE:
            out = _apply("divide", _sum([one, *_weighted(x, c[1:])]), c[0])
        case Law.BRAKE:
            out = _apply("divide", c[0], _sum([one, *_weighted(x, c[1:])]))
        case Law.ANY:
            left = [_apply("minus", one, w) for w in _weighted(x, c)]
            out = _apply("minus", one, _product(left))
        case Law.NOT:
            out = _apply("minus", one, _product([c[0], x[0]]))
        case Law.RELAX:
            out = _apply("divide", _apply("minus", _product([c[0], x[0]]), x[1]), c[1])
        case _:
            out = _named_curve(law, x, c, guards)
    return out


def _named_curve(law: Law, x: Sequence[str], c: Sequence[str], guards: bool) -> str:
    """Return one operation of the laws that have a guard."""
    one = _cn(1.0)
    match law:
        case Law.RATIO:
            bottom = _piecewise((x[1], _apply("gt", x[1], c[1])), otherwise=c[1]) if guards else x[1]
            return _product([c[0], _apply("divide", x[0], bottom)])
        case Law.POWER:
            return _guarded(x[0], _product([c[0], _apply("power", x[0], c[1])]), guards)
        case Law.HILL:
            xn = _apply("power", _apply("divide", x[0], c[0]), c[1])
            return _guarded(x[0], _apply("divide", xn, _sum([one, xn])), guards)
        case Law.NORMAL_HILL:
            kn, xn = _apply("power", c[0], c[1]), _apply("power", x[0], c[1])
            b = _apply("divide", _apply("minus", kn, one), _apply("minus", _product([_cn(2.0), kn]), one))
            value = _apply("divide", _product([b, xn]), _sum([_apply("minus", b, one), xn]))
            return _guarded(x[0], value, guards, one=True)
        case _:
            raise NotImplementedError(f"no MathML is written for law {law.name}")


def _guarded(x: str, value: str, guards: bool, *, one: bool = False) -> str:
    """Return ``value`` for x > 0, else 0; with ``one`` also 1 from x = 1 on."""
    if not guards:
        return value
    pieces = [(_cn(0.0), _apply("leq", x, _cn(0.0)))]
    if one:
        pieces.append((_cn(1.0), _apply("geq", x, _cn(1.0))))
    return _piecewise(*pieces, otherwise=value)
