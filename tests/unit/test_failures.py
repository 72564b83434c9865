"""Why the model fails: the records, what is held against them, and the pages that show them."""

from __future__ import annotations

import copy
import importlib
import re
from importlib import resources
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from hepatalk.errors import ExperimentError, UnknownNameError
from hepatalk.experiments.failures import Failure, Failures, account, load_failures, parse_failures
from hepatalk.experiments.nulls import Null, Nulls
from hepatalk.experiments.observations import load_observations
from hepatalk.experiments.score import Verdict, load_tests
from hepatalk.experiments.scorecard import RowScore, chosen_rows

ROOT = Path(__file__).parents[2]
CAUSES = {
    "missing_link",
    "weak_influence",
    "other_route",
    "flat_response",
    "opposite_effect",
    "demand_decides",
    "order_of_times",
    "timing",
    "near_miss",
    "too_strong",
    "calibration",
    "lethal_limit",
    "members_disagree",
    "reads_otherwise",
}
WHY = "Nothing leads from one to the other."


def text() -> str:
    return (resources.files("hepatalk.experiments") / "data" / "failures.yaml").read_text(encoding="utf-8")


def content(**changes: Any) -> dict[str, Any]:
    """Return a small file with changes."""
    small: dict[str, Any] = {
        "causes": {"timing": "too late", "calibration": "other numbers"},
        "claims": {"C001": {"cause": "timing", "why": WHY, "would_help": "an arrow"}},
        "observations": {"T1-01": {"cause": "calibration", "why": WHY}},
    }
    return copy.deepcopy(small) | changes


@pytest.fixture
def claims_page(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    return importlib.import_module("make_claims_page")


@pytest.fixture
def score_page(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    return importlib.import_module("make_score_page")


# --- records -------------------------------------------------------------------------------------------------------


def test_the_list_of_causes_is_closed_and_each_is_used() -> None:
    known = load_failures()
    assert set(known.causes) == CAUSES
    used = {f.cause for f in (*known.claims.values(), *known.observations.values())}
    assert used == CAUSES


def test_no_id_stands_twice() -> None:
    ids = re.findall(r"^  ([CT][0-9-]+):", text(), re.MULTILINE)
    assert len(ids) == len(set(ids)) == len(load_failures().claims) + len(load_failures().observations)


def test_only_what_is_posed_is_explained() -> None:
    posed = {t.id for t in load_tests() if t.status == "posable"}
    validated = {o.id for o in load_observations() if o.use == "validate"}
    scored = {r.id for r in chosen_rows([]) if r.checks} & validated
    assert set(load_failures().claims) <= posed
    assert set(load_failures().observations) <= scored


def test_each_explanation_says_something_of_its_own() -> None:
    known = load_failures()
    words = [" ".join(f.why.split()) for f in (*known.claims.values(), *known.observations.values())]
    assert len(words) == len(set(words))
    assert all(w.endswith(".") for w in words)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"claims": {"C001": {"cause": "timing"}}}, "claims.C001.why"),
        ({"claims": {"C001": {"cause": "timing", "why": "short"}}}, "claims.C001.why"),
        ({"claims": {"C001": {"cause": "timing", "why": WHY, "because": "x"}}}, "claims.C001.because"),
        ({"causes": ["timing"]}, "causes"),
        ({"rows": {}}, "rows"),
    ],
)
def test_what_does_not_fit_is_named(changed: dict[str, Any], words: str) -> None:
    with pytest.raises(ExperimentError) as error:
        parse_failures(content(**changed))
    assert str(error.value).startswith(f"failures.yaml: {words}: ")


def test_what_is_no_mapping_is_refused() -> None:
    with pytest.raises(ExperimentError, match=r"^failures\.yaml: the file: "):
        parse_failures([])


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (
            {"claims": {"C0010": {"cause": "timing", "why": WHY}}},
            "unknown claim in failures.yaml 'C0010'; nearest: C001",
        ),
        (
            {"observations": {"T1-99": {"cause": "timing", "why": WHY}}},
            "unknown observation in failures.yaml 'T1-99'; nearest: ",
        ),
        (
            {"claims": {"C001": {"cause": "timings", "why": WHY}}},
            "unknown cause of C001 in failures.yaml 'timings'; nearest: timing, calibration (2 allowed",
        ),
    ],
)
def test_unknown_ids_and_causes_are_refused(changed: dict[str, Any], words: str) -> None:
    with pytest.raises(UnknownNameError) as error:
        parse_failures(content(**changed))
    assert str(error.value).startswith(words)


# --- what fails now ------------------------------------------------------------------------------------------------


def test_explanations_are_held_against_what_fails() -> None:
    known = {
        i: Failure(cause=c, why=WHY) for i, c in (("a", "timing"), ("b", "near_miss"), ("c", "timing"), ("d", "timing"))
    }
    found = account(known, ["b", "c", "a", "x"], ["a", "b", "c", "d", "x", "y"])
    assert found.by_cause == (("timing", ("c", "a")), ("near_miss", ("b",)))
    assert found.unexplained == ("x",)
    assert found.passing == ("d",)


# --- pages ---------------------------------------------------------------------------------------------------------


def verdict(i: str, status: str) -> Verdict:
    return Verdict(i, status, "what decides it", -0.1, 0.0, f"stated of {i}", False)  # type: ignore[arg-type]


def row(i: str, status: str, use: str = "validate") -> RowScore:
    return RowScore(i, "topic", use, status, "what decides it", f"stated of {i}", -0.1)  # type: ignore[arg-type]


def test_the_claims_page_shows_causes_and_what_is_not_explained(
    claims_page: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims_page, "load_failures", lambda: Failures.model_validate(content()))
    verdicts = [verdict("C001", "fail"), verdict("C002", "fail"), verdict("C008", "pass")]
    nulls = Nulls(tuple(Null(v.id, False, 0, 20) for v in verdicts), (), ())
    page = claims_page.page(verdicts, nulls)
    assert "| stated of C001 | what decides it | timing |" in page
    assert "| stated of C002 | what decides it | not explained yet |" in page
    assert "| stated of C008 | what decides it |\n" in page
    assert "1 of 2 failures are explained; 1 are not explained yet." in page
    assert "| timing | 1 | too late |\n| not explained yet | 1 | |" in page
    assert f"### Timing (1)\n\nToo late.\n\n- **C001** (stated of C001). {WHY} *Would help:* an arrow." in page
    assert "### Not explained yet (1)\n\n- **C002** (stated of C002)." in page


def test_the_score_page_explains_validation_rows_alone(score_page: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(score_page, "load_failures", lambda: Failures.model_validate(content()))
    rows = [row("T1-01", "fail"), row("T1-02", "fail"), row("T1-10", "pass"), row("T1-03", "fail", "recalled")]
    page = score_page.page(rows)
    assert "| T1-01 | -0.10 | stated of T1-01 | what decides it | calibration |" in page
    assert "| T1-02 | -0.10 | stated of T1-02 | what decides it | not explained yet |" in page
    assert "| T1-03 | -0.10 | stated of T1-03 | what decides it |\n" in page
    assert "#### Not explained yet (1)\n\n- **T1-02** (stated of T1-02)." in page
    assert page.count("### Why they fail") == 1


def test_an_explanation_of_a_row_that_passes_is_left_out_and_told(
    claims_page: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    known = Failures.model_validate(content())
    monkeypatch.setattr(claims_page, "load_failures", lambda: known)
    verdicts = [verdict("C001", "pass"), verdict("C002", "fail")]
    page = claims_page.page(verdicts, Nulls(tuple(Null(v.id, False, 0, 20) for v in verdicts), (), ()))
    assert WHY not in page
    claims_page.told_of.report(known.claims, ["C002"], ["C001", "C002"])
    assert capsys.readouterr().err.splitlines() == [
        "failures.yaml: C001 does not fail; its explanation is left out of the page",
        "failures.yaml: C002 fails and is not explained yet",
    ]
