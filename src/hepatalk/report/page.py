"""The page as a whole: style, script, and the order of the parts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from html import escape
from importlib import resources
from typing import TYPE_CHECKING, Any

from hepatalk.plots.captions import caption, titles
from hepatalk.plots.view import View
from hepatalk.report import sections
from hepatalk.report.charts import charts
from hepatalk.report.dish import key_readouts_of_dish
from hepatalk.report.space import CHART, in_space, three_d
from hepatalk.report.words import summary

if TYPE_CHECKING:
    from hepatalk.results.cells import Cells

__all__ = ["page"]

#: What browsers may do with the page: run what it holds, and reach nothing.
_POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"

#: Charts that are drawn in another way than the static figures of the same name.
_CAPTION_OF = {"drivers": "drivers_map", "signals": "signals_map"}


_WHY = (
    "Which statements of the knowledge base push a readout up, and which hold it back, at the moments that matter. "
    "The number is a statement's share in ln(rate / healthy rate) of the processes behind the readout; what acts "
    "upstream acts through what acts directly, so the shares must not be added across steps. Open a line for the "
    "statement, its papers, who disputes it, and the terms it became."
)


def page(view: View, cells: Cells | None = None, pictures: Mapping[str, bytes] | None = None) -> str:
    """Return the whole report as one HTML text, with a section of the cells of a lobule where they were kept."""
    origin = view.result.provenance
    title = f"{origin.title}, {origin.species}"
    space = cells if cells is not None and cells.times_h else None
    drawn = charts(view) | ({} if space is None else {CHART: three_d(space)})
    parts = [
        ("key", "Key readouts", key_readouts_of_dish(view) if view.dish is not None else sections.key_readouts(view)),
        ("figures", "Figures", _figures(view)),
        *([] if space is None else [("space", "In space", in_space(space, pictures or {}))]),
        ("why", "What started it, what stopped it", f"<p>{escape(_WHY)}</p>{sections.why(view)}"),
        ("disputes", "Disputes and hypotheses", sections.disputes(view)),
        ("provenance", "Provenance", sections.provenance(view)),
        ("cite", "How to cite", sections.citations(view)),
    ]
    menu = "".join(f'<a href="#{anchor}">{escape(name)}</a>' for anchor, name, _ in parts)
    body = "".join(
        f'<section id="{anchor}"><h2>{escape(name)}</h2>{content}</section>' for anchor, name, content in parts
    )
    return (
        "<!DOCTYPE html>\n"
        f'<html lang="en"><head><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="generator" content="hepatalk">'
        f"<title>{escape(title)} - hepatalk</title><style>{_own('style.css')}</style></head><body><main>"
        f"<h1>{escape(title)}</h1><p class='muted'>A run of the liver model hepatalk: experiment "
        f"<code>{escape(origin.experiment)}</code>, model <code>{escape(origin.model_hash)}</code>, "
        f"knowledge <code>{escape(origin.knowledge_version)}</code>.</p>"
        f"<p class='summary'>{escape(summary(view))}</p><nav>{menu}</nav>{body}</main>"
        f'<script id="charts" type="application/json">{_embedded(drawn)}</script>'
        f"<script>{_plotly()}</script><script>{_own('draw.js')}</script></body></html>\n"
    )


def _figures(view: View) -> str:
    """Return the places of the charts, each with its caption."""
    noscript = "<noscript><p>The figures need JavaScript; the PNG and SVG files of the run do not.</p></noscript>"
    return noscript + "".join(
        f"<h3>{escape(title)}</h3><figure><div id='chart-{name}' role='img' aria-label='{escape(title)}'></div>"
        f"<figcaption>{escape(caption(view, _CAPTION_OF.get(name, name)))}</figcaption></figure>"
        for name, title in titles(view).items()
    )


def _embedded(value: Any) -> str:
    """Return JSON that cannot end the script element it stands in."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False, ensure_ascii=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _own(name: str) -> str:
    """Return a file that lies beside this module."""
    return (resources.files("hepatalk.report") / name).read_text(encoding="utf-8")


def _plotly() -> str:
    """Return plotly.js from the file that comes with the plotly package: its Python side is not needed."""
    return (resources.files("plotly") / "package_data" / "plotly.min.js").read_text(encoding="utf-8")
