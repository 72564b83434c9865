"""Values that a parameter cannot take are refused with the range, before anything runs."""

from __future__ import annotations

import pytest

from hepatalk.errors import HepatalkError
from hepatalk.experiments.run import run


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("hgf_half_life", -1.0, "above 0"),
        ("half_shear", -2.0, "above 0"),
        ("power_shear", 0.0, "above 0"),
        ("gain_strong", -5.0, "from 0"),
        ("weight_half", 1.5, "from 0 to 1"),
        ("hep_commit_rate", -0.1, "from 0"),
        ("hgf_store", -3.0, "above 0"),
        ("lethal_deficit", -1.0, "above 0"),
        ("body.demand", -1.0, "above 0"),
        ("node_ec50", 2.0, "below 1/2"),
    ],
)
def test_a_value_out_of_range(name: str, value: float, allowed: str) -> None:
    with pytest.raises(HepatalkError) as caught:
        run("sham", days=0.1, set={name: value})
    message = str(caught.value)
    assert name in message
    assert allowed in message
    assert "\n" not in message
    assert caught.value.exit_code == 2
