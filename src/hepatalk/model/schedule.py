"""Changes that an experiment makes to a running model: to its state or its parameters, and nothing else.

A model knows no injury. Whatever happens to an animal reaches it as one of these changes, at a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Action", "Change"]

Action = Literal[
    "scale_extensive",
    "scale_state",
    "set_state",
    "kill",
    "seed",
    "renew",
    "mark",
    "set_parameter",
    "scale_parameter",
]


@dataclass(frozen=True)
class Change:
    """One change at one time.

    Attributes
    ----------
    at_h : float
        When, in hours; time zero is the reference of the experiment.
    action : Action
        ``scale_extensive`` multiplies every count and mass of the liver, or of the lobe that ``target`` names;
        concentrations stay as they are.
        ``scale_state`` multiplies the states whose name is ``target`` or begins with ``target.``.
        ``set_state`` gives the same states the value itself.
        ``seed`` makes the cells of a type as many as ``value`` x the healthy number, in every place and in the states
        in which they are; where there are none, none come.
        ``kill`` multiplies all cells of a type, and what volume they lose stays as dead tissue of the kind ``into``.
        ``renew`` puts a healthy liver of the size ``value`` in place of this one; blood and body stay as they are.
        ``mark`` gives the label ``target`` (``HEP.label`` or ``HEP.label@1``) to a fraction of the cells without it.
    target : str
        Parameter or state; for ``seed`` a cell type; for ``kill`` a cell type, or one in a zone as ``HEP@3`` (of every
        lobe); the letter of a lobe or 'liver' for ``scale_extensive``; ignored by ``renew``.
    value : float
        The factor, the share of cells left, the size (fraction of the healthy liver) or the new value.
    label : str
        What the user asked for, in words.
    into : str
        For ``kill``: the states, one in each zone, that take up the dead, such as ``dead.necrotic``; empty where
        nothing is left of them.
    """

    at_h: float
    action: Action
    target: str
    value: float
    label: str
    into: str = ""
