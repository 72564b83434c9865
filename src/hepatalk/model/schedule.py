"""Changes that an experiment makes to a running model: to its state or its parameters, and nothing else.

A model knows no injury. Whatever happens to an animal reaches it as one of these changes, at a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Action", "Change"]

Action = Literal["scale_extensive", "scale_state", "set_parameter", "scale_parameter"]


@dataclass(frozen=True)
class Change:
    """One change at one time.

    Attributes
    ----------
    at_h : float
        When, in hours; time zero is the reference of the experiment.
    action : {'scale_extensive', 'scale_state', 'set_parameter', 'scale_parameter'}
        ``scale_extensive`` multiplies every count and mass of the liver; concentrations stay as they are.
        ``scale_state`` multiplies the states whose name is ``target`` or begins with ``target.``.
    target : str
        Parameter or state; ignored by ``scale_extensive``.
    value : float
        The factor or the new value.
    label : str
        What the user asked for, in words.
    """

    at_h: float
    action: Action
    target: str
    value: float
    label: str
