"""Whether a model can be compiled with the parameter values that someone asks for."""

from __future__ import annotations

import math
from collections.abc import Mapping

from hepatalk.errors import ModelError, unknown
from hepatalk.knowledge.findings import value_faults
from hepatalk.knowledge.load import Knowledge

__all__ = ["check_overrides"]


def check_overrides(knowledge: Knowledge, overrides: Mapping[str, float]) -> None:
    """Raise if a parameter that is asked to have another value does not exist, or cannot have that value.

    Raises
    ------
    UnknownNameError
        For a parameter without a record.
    ModelError
        For a condition of the body, or a value that is not allowed.
    """
    for name, value in overrides.items():
        if name not in knowledge.parameter:
            raise unknown("parameter", name, knowledge.parameter, "see 'hepatalk list parameters'")
        if name.startswith("body."):
            raise ModelError(
                f"parameter {name!r} is the condition of an animal, not of the model; allowed: a change in a "
                "schedule (scale_demand, scale_inflow, set_parameter); put it there"
            )
        if not math.isfinite(value):
            raise ModelError(f"parameter {name!r}: value {value!r}; allowed: a finite number; correct the value")
    for name, allowed in value_faults(knowledge, overrides):
        raise ModelError(f"parameter {name!r}: value {overrides.get(name)!r}; allowed: {allowed}; correct the value")
