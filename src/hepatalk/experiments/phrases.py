"""Names, numbers, citations and terms of the knowledge in words that a biologist reads."""

from __future__ import annotations

from hepatalk.knowledge.load import Knowledge
from hepatalk.knowledge.records import (
    AccountAlternative,
    AccountTerms,
    Attracts,
    Carries,
    Conversion,
    Interaction,
    Parameter,
    Regulates,
    Secretes,
    Source,
    Stores,
    Term,
    Transition,
)

__all__ = ["because", "citation", "number", "phrase", "term_phrase", "terms_of", "verb", "with_unit"]

_TARGETS = {
    "release": "release of {0} from the matrix",
    "clearance": "removal of {0}",
    "mixing": "spread of {0} between zones",
    "supply": "supply of {0} from the blood",
    "blood": "supply of {0} from the blood",
    "binucleation": "skipped cytokinesis of {0}",
    "physics": "the law of {0}",
    "density": "{0} per volume of tissue",
    "tissue": "{0} per volume of the liver",
    "signal": "{0}",
    "target": "what drives {0}",
}


def terms_of(row: Interaction) -> tuple[Term, ...]:
    """Return the terms of a statement, also those that wait for a hypothesis."""
    return row.account.terms if isinstance(row.account, AccountTerms | AccountAlternative) else ()


def number(value: float | tuple[float, ...]) -> str:
    """Return a number, or one per zone, to four digits."""
    return ", ".join(f"{v:.4g}" for v in value) if isinstance(value, tuple) else f"{value:.4g}"


def with_unit(value: float | tuple[float, ...], unit: str) -> str:
    """Return a number with its unit, which a plain number has not."""
    return number(value) if unit == "1" else f"{number(value)} {unit}"


def verb(term: Regulates) -> str:
    """Return what a regulator does to its target, as a verb: a rate is raised or lowered, a node switched."""
    if term.target.startswith("node."):
        return {"activates": "activates", "inhibits": "inhibits", "permits": "is required by"}[term.effect]
    return {"activates": "raises", "inhibits": "lowers", "permits": "is required for"}[term.effect]


def because(parameter: Parameter) -> str:
    """Return in short where a number comes from."""
    return ", ".join(parameter.sources)


def citation(source: Source) -> str:
    """Return authors, year, title and journal of a source, as far as they are known."""
    who = source.authors or "authors not known"
    when = f" ({source.year})" if source.year else ""
    rest = ". ".join(part.rstrip(".") for part in (source.title, source.journal) if part)
    return f"{who}{when}. {rest}." if rest else f"{who}{when}."


def phrase(k: Knowledge, name: str) -> str:
    """Return a regulator or target in words.

    Parameters
    ----------
    k : Knowledge
    name : str
        Such as ``signal.HGF``, ``node.HEP.MET``, ``process.HEP.commit``, ``secretion.WNT.LSEC``.
    """
    kind, _, rest = name.partition(".")
    parts = rest.split(".") if rest else []
    if kind == "node" and len(parts) == 2:
        return f"{parts[1]} in {parts[0]}"
    if kind == "state" and len(parts) == 2:
        return f"{parts[1]} {parts[0]}"
    if kind == "process" and len(parts) == 2:
        return f"{parts[0]} {parts[1].replace('_', ' ')}{_steps(k, *parts)}"
    if kind == "secretion" and parts:
        return f"release of {parts[0]}" + (f" by {parts[1]}" if len(parts) > 1 else "")
    if kind == "target" and parts:
        return phrase(k, rest)
    return _TARGETS[kind].format(rest) if kind in _TARGETS and rest else name


def _steps(k: Knowledge, cell: str, process: str) -> str:
    """Return from which state to which a process leads, where it is a step."""
    for record in k.cell[cell].processes if cell in k.cell else ():
        if record.id == process and isinstance(record, Transition):
            return f" ({record.origin} to {record.to})"
        if record.id == process and isinstance(record, Conversion):
            return f" (to {record.becomes})"
    return ""


def term_phrase(k: Knowledge, term: Term) -> str:
    """Return a term in words, with the names and values of its parameters."""
    match term:
        case Secretes():
            where = f" in state {term.state}" if term.state else ""
            return f"{term.cell}{where} releases {term.signal}{_numbers(k, share=term.share)}"
        case Stores():
            return f"the matrix stores and releases {term.signal}"
        case Attracts():
            numbers = _numbers(k, speed=term.speed, half=term.half)
            return f"{term.cell} moves up the gradient of {term.signal}, in the lobule engine only{numbers}"
        case Carries():
            return f"carried by {phrase(k, term.target)}"
        case Regulates():
            needs = f", needs {' and '.join(term.needs)}" if term.needs else ""
            numbers = _numbers(k, gain=term.gain, weight=term.weight, half=term.half, power=term.power)
            return f"{phrase(k, term.by)} {verb(term)} {phrase(k, term.target)}{needs}{numbers}"


def _numbers(k: Knowledge, **names: str | None) -> str:
    """Return the parameters of a term as ``(half hgf_half = 2, ...)``."""
    shown = []
    for role, name in names.items():
        if name is not None:
            record = k.parameter.get(name)
            shown.append(f"{role} {name} = {number(record.value)}" if record else f"{role} {name}")
    return f" ({', '.join(shown)})" if shown else ""
