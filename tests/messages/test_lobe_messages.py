"""What is said of lobes that do not exist, or of what two lobes cannot bear."""

from __future__ import annotations

import pytest

from hepatalk.errors import ExperimentError, ModelError
from hepatalk.experiments.experiment import experiment_from_mapping
from hepatalk.experiments.injuries import changes_of
from hepatalk.experiments.run import perform

TIED_A = {"at": "0 h", "injury": "portal_ligation", "lobe": "A"}
TIED_B = {"at": "2 d", "injury": "portal_embolisation", "lobe": "B"}
A_OUT = {"at": "7 d", "injury": "lobectomy", "lobe": "A"}
B_OUT = {"at": "8 d", "injury": "lobectomy", "lobe": "B"}


def pose(*schedule: dict[str, object]) -> None:
    data = {"title": "t", "schedule": schedule, "readouts": ["liver_volume"]}
    changes_of(experiment_from_mapping(data, "x.yaml"))


@pytest.mark.parametrize(
    ("schedule", "said"),
    [
        (
            [{**TIED_A, "lobe": "C"}],
            "x.yaml: field 'schedule[0].lobe': value 'C'; allowed: A (the larger lobe), B (the future remnant); "
            "write, for example, `lobe: A`",
        ),
        (
            [{"at": "0 h", "injury": "lobectomy"}],
            "x.yaml: field 'schedule[0].lobe' is missing; allowed: A (the larger lobe), B (the future remnant); "
            "write, for example, `lobe: A`",
        ),
        (
            [{**TIED_A, "fraction": 1.5}],
            "x.yaml: field 'schedule[0].fraction': value 1.5; allowed: 0 < fraction <= 1 (part of the branch that is "
            "closed); write, for example, `fraction: 1.0`",
        ),
        (
            [{**TIED_A, "until": "0 h"}],
            "x.yaml: field 'schedule[0].until': value '0 h'; allowed: later than 'at' (0 h); correct one of the two "
            "times",
        ),
        (
            [{"at": "0 h", "injury": "transection", "necrosis": 1.0}],
            "x.yaml: field 'schedule[0].necrosis': value 1.0; allowed: 0 <= necrosis < 1 (share of the hepatocytes of "
            "both lobes killed along the cut); write, for example, `necrosis: 0.03`",
        ),
        (
            [A_OUT, B_OUT],
            "schedule[0] and schedule[1] remove both lobes, and no liver is left; allowed: one lobectomy; remove one "
            "of them",
        ),
        (
            [A_OUT, {**A_OUT, "at": "9 d"}],
            "schedule[1].lobe: value 'A', but schedule[0] removes lobe A at '168 h'; allowed: B, or a time before "
            "that; correct one of the two",
        ),
        (
            [{**TIED_A, "at": "8 d"}, A_OUT],
            "schedule[0].lobe: value 'A', but schedule[1] removes lobe A at '168 h'; allowed: B, or a time before "
            "that; correct one of the two",
        ),
        (
            [TIED_A, TIED_B],
            "schedule[0] and schedule[1] close the portal branches of both lobes at '48 h'; allowed: one branch at a "
            "time, or a fraction below 1; remove one of them",
        ),
        (
            [A_OUT, {**TIED_B, "at": "8 d"}],
            "schedule[0] and schedule[1] leave the portal blood no way at '192 h': lobe A is removed and the branch "
            "of lobe B is closed; allowed: one of them, or a fraction below 1; remove one of them",
        ),
        (
            [TIED_A, {**TIED_A, "fraction": 0.5}],
            "schedule[0] and schedule[1] contradict each other: both change 'lobe.A.portal' at '0 h'; allowed: one "
            "at a time where one of them sets the value; remove one or let it begin when the other has ended",
        ),
    ],
)
def test_schedules_that_cannot_be(schedule: list[dict[str, object]], said: str) -> None:
    with pytest.raises(ExperimentError) as caught:
        pose(*schedule)
    assert str(caught.value) == said


@pytest.mark.parametrize(
    "schedule",
    [
        [TIED_A, A_OUT],
        [{**TIED_A, "until": "1 d"}, TIED_B],
        [{**TIED_A, "fraction": 0.9}, TIED_B],
        [TIED_A, {"at": "0 h", "injury": "transection"}, A_OUT],
        [A_OUT, {**TIED_B, "at": "8 d", "fraction": 0.5}],
    ],
)
def test_schedules_that_can(schedule: list[dict[str, object]]) -> None:
    pose(*schedule)


def test_a_lobe_has_a_size() -> None:
    with pytest.raises(ModelError, match=r"parameter 'lobe_b_share': value 1.0; allowed: above 0 to below 1 \(1\);"):
        perform("pvl", set={"lobe_b_share": 1.0})
