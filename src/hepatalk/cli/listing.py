"""``hepatalk list``: what there is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hepatalk.cli.console import print_json, say, table
from hepatalk.cli.index import KINDS, records
from hepatalk.errors import UnknownNameError, unknown

if TYPE_CHECKING:
    from hepatalk.cli.index import Rows

__all__ = ["register"]

Columns = Mapping[str, Callable[[Mapping[str, Any]], str]]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("list", short_help="List cells, signals, statements, parameters, experiments, readouts, ...")(list_)


def list_(
    kind: Annotated[str, typer.Argument(metavar="KIND", help="|".join(KINDS))],
    differs: Annotated[
        bool, typer.Option("--differs", help="Of the parameters, those that differ between species.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="One JSON list of whole records, and nothing else.")] = False,
) -> None:
    """List everything of a kind.

    Kinds: cells, signals, nodes, genes, interactions, parameters, experiments, claims, observations, readouts,
    hypotheses, sources. In a pipe each record is one line. What a name means: hepatalk explain NAME.
    """
    if kind not in KINDS:
        raise unknown("kind", kind, KINDS, "'hepatalk list --help'")
    if differs and kind != "parameters":
        raise UnknownNameError(
            f"--differs with {kind}: only parameters differ between species; allowed: list parameters --differs"
        )
    rows = records(kind)
    if differs:
        rows = [_by_species(r) for r in rows if _differs(r)]
    if json:
        print_json(rows)
        return
    if kind == "experiments":
        rows = _resections_in_one(rows)
    if not rows:
        say("no parameter differs between species in this version")
        return
    columns = _SPECIES_COLUMNS if differs else _COLUMNS[kind]
    table(list(columns), [[cell(r) for cell in columns.values()] for r in rows])
    say()
    foot = f"{len(rows)} {kind}; hepatalk explain {_EXAMPLE.get(kind, 'NAME')} tells more"
    say(_DIFFERS.format(n=len(rows)) if differs else _FOOT.get(kind, foot).format(n=len(rows)))


def _resections_in_one(rows: Rows) -> Rows:
    """Return the experiments with phx1 to phx99 as one line."""
    family = [r for r in rows if r["name"].startswith("phx") and r["name"][3:].isdigit()]
    one = dict(family[0], name="phx1 ... phx99", title="partial hepatectomy of that percentage, such as phx70")
    return [r for r in rows if r not in family] + [one]


def _text(field: str) -> Callable[[Mapping[str, Any]], str]:
    return lambda r: _joined(r.get(field))


def _joined(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Sequence):
        return ", ".join(_joined(v) for v in value)
    return str(value)


def _identifiers(r: Mapping[str, Any]) -> str:
    return f"doi:{r['doi']}" if r["doi"] else f"PMID:{r['pmid']}" if r["pmid"] else r["pmcid"] or ""


def _schedule(r: Mapping[str, Any]) -> str:
    said = []
    for item in r["schedule"]:
        what = item.get("injury") or item.get("intervention")
        detail = item.get("signal") or item.get("parameter") or item.get("cell") or item.get("gene") or ""
        said.append(" ".join(part for part in (what.replace("_", " "), detail, f"at {item['at']}") if part))
    return "; ".join(said) or "nothing"


def _in_species(r: Mapping[str, Any], species: str) -> dict[str, Any]:
    """Return value, source and reason of a parameter in a species, and whether they are the species' own."""
    own = (r["species"] or {}).get(species)
    stated = own if isinstance(own, Mapping) else r if own is None else dict(r, value=own)
    return {field: stated[field] for field in ("value", "source", "reason")} | {"own": own is not None}


def _differs(r: Mapping[str, Any]) -> bool:
    return any(_in_species(r, s)["value"] != r["value"] for s in r["species"] or {})


def _by_species(r: Mapping[str, Any]) -> dict[str, Any]:
    """Return the whole record with what holds in each species, its own number or the rat's."""
    return dict(r, by_species={s: _in_species(r, s) for s in _ANIMALS})


def _said_of(species: str, field: str) -> Callable[[Mapping[str, Any]], str]:
    """Return the value or the source in a species; a dash where it has no number of its own."""

    def said(r: Mapping[str, Any]) -> str:
        found = r["by_species"][species]
        return _joined(found[field]) if found["own"] or species == _ANIMALS[0] else "-"

    return said


#: The first is the one whose numbers hold where another has none of its own.
_ANIMALS = ("rat", "mouse", "human")
_COLUMNS: Mapping[str, Columns] = {
    "cells": {
        "id": _text("id"),
        "name": _text("name"),
        "states": lambda r: ", ".join(s["id"] for s in r["states"]),
        "what it does": _text("description"),
    },
    "signals": {
        "id": _text("id"),
        "name": _text("name"),
        "kind": _text("kind"),
        "genes": lambda r: _joined(r["genes"]) or r["family"] or "",
        "also called": _text("synonyms"),
    },
    "nodes": {
        "id": lambda r: f"{r['cell']}.{r['id']}",
        "name": _text("name"),
        "genes": lambda r: _joined(r["genes"]) or r["family"] or "",
    },
    "genes": {
        "id": _text("id"),
        "human": _text("human"),
        "mouse": _text("mouse"),
        "rat": _text("rat"),
        "name": _text("name"),
        "HGNC": _text("hgnc"),
        "also called": _text("synonyms"),
    },
    "interactions": {
        "id": _text("id"),
        "from": _text("source"),
        "to": _text("target"),
        "sign": _text("sign"),
        "stance": _text("stance"),
        "becomes": lambda r: r["account"]["kind"].replace("_", " "),
        "statement": _text("claim"),
    },
    "parameters": {
        "id": _text("id"),
        "value": _text("value"),
        "unit": _text("unit"),
        "source": _text("source"),
        "meaning": _text("meaning"),
    },
    "experiments": {"name": _text("name"), "days": _text("days"), "what is done": _schedule, "title": _text("title")},
    "claims": {
        "id": _text("id"),
        "experiment": _text("experiment"),
        "readout": _text("readout"),
        "expected": _text("expected"),
    },
    "observations": {
        "id": _text("id"),
        "use": _text("use"),
        "species": _text("species"),
        "observable": _text("observable"),
        "after": _text("perturbation"),
        "value": lambda r: " ".join(filter(None, (r["value"], r["unit"]))),
        "source": _text("source"),
    },
    "readouts": {"name": _text("name"), "unit": _text("unit"), "definition": _text("definition")},
    "hypotheses": {
        "id": _text("id"),
        "question": _text("question"),
        "default": _text("default"),
        "switched on": _text("switched_on"),
    },
    "sources": {
        "id": _text("id"),
        "year": _text("year"),
        "title": _text("title"),
        "journal": _text("journal"),
        "identifier": _identifiers,
        "read": _text("read"),
    },
}
_SPECIES_COLUMNS: Columns = {
    "id": _text("id"),
    **{s: _said_of(s, "value") for s in _ANIMALS},
    "unit": _text("unit"),
    **{f"source, {s}": _said_of(s, "source") for s in _ANIMALS},
}
_EXAMPLE = {
    "cells": "LSEC",
    "signals": "HGF",
    "nodes": "HEP.MET",
    "genes": "Met",
    "interactions": "HEP-HSC-23",
    "parameters": "hgf_half_life",
    "readouts": "liver_volume",
    "hypotheses": "il6_sign",
    "sources": "uematsu1999",
}
_DIFFERS = (
    "{n} parameters differ between species; a dash stands where the rat's number holds, as it does for all others; "
    "hepatalk explain NAME tells why"
)
_FOOT = {
    "experiments": "run one with: hepatalk run phx70; or your own: hepatalk run FILE.yaml",
    "claims": "{n} claims: what must come out without being put in; never fitted",
    "observations": "{n} observations: published numbers and directions",
}
