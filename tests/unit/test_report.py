"""The report: one file that loads nothing, says what was run, cites, and escapes whatever text it is given."""

from __future__ import annotations

import dataclasses
import html
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from hepatalk.errors import OutputError
from hepatalk.experiments.run import Run, perform
from hepatalk.knowledge.load import Knowledge, load
from hepatalk.plots.captions import TITLES, caption
from hepatalk.plots.palette import duration
from hepatalk.plots.view import View, view_of
from hepatalk.report import write_report
from hepatalk.report.charts import charts
from hepatalk.report.evidence import doi_link, statement
from hepatalk.report.words import summary

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)> & \"quoted\" 'text'"


@pytest.fixture(scope="module")
def knowledge() -> Knowledge:
    return load()


@pytest.fixture(scope="module")
def run(knowledge: Knowledge) -> Run:
    return perform("phx70", knowledge=knowledge)


@pytest.fixture(scope="module")
def view(run: Run, knowledge: Knowledge) -> View:
    return view_of(run, knowledge)


@pytest.fixture(scope="module")
def text(run: Run, view: View, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("report") / "report.html"
    assert write_report(run, path, view=view) == path
    assert path.stat().st_size < 6_000_000
    return path.read_text(encoding="utf-8")


class Page(HTMLParser):
    """Collects the tags of a page and its text outside of scripts and styles."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("script", "style"):
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join("".join(self.words).split())


def test_page_is_well_formed_and_has_its_parts(text: str) -> None:
    page = Page(text)
    assert page.open == []
    for heading in (
        "Key readouts",
        "What started it, what stopped it",
        "Disputes and hypotheses",
        "Provenance",
        "How to cite",
        *TITLES.values(),
    ):
        assert heading in page.text
    assert [a["id"] for tag, a in page.tags if tag == "div" and (a.get("id") or "").startswith("chart-")] == [
        f"chart-{name}" for name in TITLES
    ]


def test_nothing_is_loaded_from_anywhere(text: str) -> None:
    page = Page(text)
    for tag, attributes in page.tags:
        assert "src" not in attributes
        assert tag not in ("link", "iframe", "object", "embed", "base", "img")
        target = attributes.get("href") or "#"
        assert target.startswith("#") or (tag == "a" and target.startswith("https://doi.org/10."))
    policy = next(a["content"] for tag, a in page.tags if a.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert policy.startswith("default-src 'none'")
    assert "http" not in policy
    assert not re.search(r"url\(|@import", (re.search(r"<style>(.*?)</style>", text, re.S) or [""])[0])
    assert text.count("plotly.js v") == 1


def test_the_button_that_sends_figures_away_is_not_offered(text: str) -> None:
    assert 'modeBarButtons: [["toImage", "zoom2d", "pan2d", "resetScale2d"]]' in text
    assert "showSendToCloud: false" in text


def test_data_are_named_with_n_species_and_source(text: str, view: View) -> None:
    words = Page(text).text
    for name in ("liver_volume", "flow"):
        assert " ".join(caption(view, name).split()) in words
    for part in ("n = 22, 15, 21", "Rattus norvegicus", "Barnhart", "(CC BY)"):
        assert part in words


def test_summary_holds_the_numbers_of_the_run(text: str, view: View) -> None:
    words = summary(view)
    assert words in html.unescape(Page(text).text)
    assert f"{view.result.at('liver_volume', 24.0):.2f} at 24 h" in words
    assert f"{view.error:.3f}" in words
    for wave in view.waves:
        if wave.peak > 0.01:
            assert duration(wave.peak_h) in words


def test_summary_of_a_resting_liver_says_so(knowledge: Knowledge) -> None:
    words = summary(view_of(perform("sham", days=1, knowledge=knowledge), knowledge))
    assert "nothing is done to the animal" in words
    assert "stays within" in words
    assert "replicate" not in words


def test_key_readouts_stand_beside_the_rats(text: str, view: View) -> None:
    words = Page(text).text
    assert f"{view.result.at('liver_volume', 24.0):.3f}" in words
    assert "0.515 ± 0.087" in words
    assert "not measured" in words  # chow-fed rats at 14 d


def test_statements_open_to_their_evidence(knowledge: Knowledge, view: View, text: str) -> None:
    shown = {driver.row for drive in view.drives for moment in drive.moments for driver in moment.drivers}
    assert shown
    page = Page(text).text
    for row in shown:
        record = knowledge.interaction[row]
        assert " ".join(record.claim.split()) in page
        for item in record.evidence:
            assert item.source in page


def test_contested_statement_names_who_opposes_it(knowledge: Knowledge) -> None:
    record = next(i for i in knowledge.interactions if i.stance == "contested" and i.opposed_by)
    shown = Page(statement(knowledge, record.id)).text
    assert "Stance: contested" in shown
    assert record.opposed_by[0] in shown


@pytest.mark.parametrize("kind", ["terms", "outcome", "alternative", "not_run"])
def test_each_account_has_words(knowledge: Knowledge, kind: str) -> None:
    for record in (i for i in knowledge.interactions if i.account.kind == kind):
        shown = Page(statement(knowledge, record.id)).text
        assert "In the model" in shown
        assert "Evidence" in shown


def test_row_without_statement_is_said_to_be_one(knowledge: Knowledge) -> None:
    assert "belongs to no statement" in statement(knowledge, "XX-99")


def test_provenance_and_citations_are_complete(text: str, view: View) -> None:
    words = Page(text).text
    origin = view.result.provenance
    for part in (origin.model_hash, origin.knowledge_version, *origin.changes, *origin.sources, "python"):
        assert part in words


def hostile(knowledge: Knowledge) -> tuple[Run, Knowledge]:
    """Return a run and a knowledge base in which every free text is an attack."""
    run = perform("phx70", days=1, knowledge=knowledge)
    interactions = tuple(i.model_copy(update={"claim": HOSTILE, "context": HOSTILE}) for i in knowledge.interactions)
    sources = tuple(s.model_copy(update={"title": HOSTILE}) for s in knowledge.sources)
    hypotheses = tuple(h.model_copy(update={"title": HOSTILE, "default": HOSTILE}) for h in knowledge.hypotheses)
    facts = dataclasses.replace(knowledge, interactions=interactions, sources=sources, hypotheses=hypotheses)
    origin = dataclasses.replace(
        run.result.provenance, title=HOSTILE, changes=(HOSTILE,), hypotheses=(HOSTILE,), knockouts=(HOSTILE,)
    )
    readouts = {n: dataclasses.replace(r, unit=HOSTILE, definition=HOSTILE) for n, r in run.result.readouts.items()}
    result = dataclasses.replace(run.result, provenance=origin, readouts=readouts)
    return dataclasses.replace(run, result=result), facts


def test_hostile_text_stays_text(knowledge: Knowledge, tmp_path: Path) -> None:
    bad, facts = hostile(knowledge)
    text = write_report(bad, tmp_path / "bad.html", facts).read_text(encoding="utf-8")
    page = Page(text)
    assert page.open == []
    assert sum(tag == "script" for tag, _ in page.tags) == 3
    assert not [
        tag for tag, attributes in page.tags if tag == "img" or any(name.startswith("on") for name in attributes)
    ]
    assert HOSTILE in page.text
    embedded = re.search(r'<script id="charts" type="application/json">(.*?)</script>', text, re.S)
    assert embedded is not None
    assert "<" not in embedded[1]
    for shown in _texts(json.loads(embedded[1])):
        # plotly reads a little HTML: only the tags that the charts write themselves may be there.
        assert not re.search(r"<(?!/?b>|br>|/?span|extra>|/extra>)", shown), shown


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for item in value.values() for text in _texts(item)]
    return [text for item in value for text in _texts(item)] if isinstance(value, list) else []


def test_dois_are_anchors_with_safe_addresses() -> None:
    assert 'href="https://doi.org/10.1038/nature09493"' in doi_link("10.1038/nature09493")
    odd = Page(doi_link('10.1016/0-"><script>(x)'))
    assert [tag for tag, _ in odd.tags] == ["a"]
    assert "no DOI" in doi_link(None)


def test_charts_are_what_plotly_accepts(view: View) -> None:
    import plotly.graph_objects as go

    for name, chart in charts(view).items():
        figure = go.Figure(chart)  # refuses any property or value that plotly does not know
        assert name in TITLES
        axes = [v for k, v in chart["layout"].items() if re.fullmatch(r"[xy]axis\d*", k)]
        assert len(axes) >= 2
        titles = [axis["title"]["text"] for axis in axes]
        assert all(re.search(r"\(|^x healthy|^capacity/demand|^signal$", t) for t in titles if t), titles
        assert len(figure.data) == len(chart["data"]) > 0


def test_report_is_whole_or_not_there(run: Run, view: View, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "report.html"
    target.write_text("old", encoding="utf-8")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OutputError, match="No space left"):
        write_report(run, target, view=view)
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]
    assert target.read_text(encoding="utf-8") == "old"


def test_numbered_references_of_the_review_are_shown_as_papers(knowledge: Knowledge) -> None:
    """As `hepatalk explain` does: [14] stands for a paper, and how sure that is."""
    known = {r.number: r for r in knowledge.references}
    row = next(
        r
        for r in knowledge.interactions
        if any(e.source == "review2022" and any(known[n].sources for n in e.refs if n in known) for e in r.evidence)
    )
    said = statement(knowledge, row.id)
    for evidence in row.evidence:
        for number in evidence.refs if evidence.source == "review2022" else ():
            for source in known[number].sources:
                assert f"[{number}] " in said
                assert html.escape(source) in said


def test_a_reference_that_nobody_knows_is_said_to_be_unknown(knowledge: Knowledge) -> None:
    unknown = {r.number for r in knowledge.references if not r.sources}
    row = next(r for r in knowledge.interactions if any(unknown & set(e.refs) for e in r.evidence))
    assert "which paper this is, is not known here" in statement(knowledge, row.id)


def test_the_report_says_what_stopped_the_wave(text: str, view: View) -> None:
    drive = next(d for d in view.drives if d.readout == "s_phase.HEP")
    assert drive.turn is not None
    page = Page(text).text
    assert f"What changed from the peak ({duration(drive.turn.peak_h)}) to the steepest fall" in page
    down = [d for d in drive.turn.drivers if d.effect < 0.0]
    assert down
    assert page.count("turned it down") == len(down)


def test_a_second_injury_is_in_tables_and_words(knowledge: Knowledge, tmp_path: Path) -> None:
    twice = perform("second_phx", knowledge=knowledge)
    found = view_of(twice, knowledge)
    page = Page(write_report(twice, tmp_path / "r.html", view=found).read_text(encoding="utf-8")).text
    assert "28 d (just after the injury)" in page
    assert "Highest after the injury at 28 d, % in S phase" in page
    before, after = (twice.result.at("liver_volume", h) for h in (671.0, 672.0))
    assert after < 0.5 * before
    assert f"The injury at 28 d takes it from {before:.2f} to {after:.2f}." in summary(found)
