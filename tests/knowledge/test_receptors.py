"""A ligand that one cell hears by a receptor reaches no other cell without one."""

from __future__ import annotations

import pytest

from hepatalk.knowledge.findings import placed_terms
from hepatalk.knowledge.load import Knowledge, load
from hepatalk.knowledge.records import Regulates

#: Nodes that are a receptor: their genes are what a ligand needs.
RECEPTORS = frozenset({"MET", "EGFR", "KDR", "PDGFRB", "HTR2B", "NR1H4", "GPBAR1"})
#: Terms (row, signal, target) that do without, and why.
EXCUSED = {
    ("HEP-BEC-12", "BA", "node.BEC.YAP"): "no receptor is named between bile acids and YAP",
    ("TD-HEP-BEC-21", "BA", "node.HEP.YAP"): "no receptor is named between bile acids and YAP",
    ("TDP-03", "BA", "node.BIP.YAP"): "no receptor is named between bile acids and YAP",
    ("PHY-17", "BA", "process.HEP.necrosis"): "they dissolve membranes",
    ("HEP-LSEC-10", "VEGFA", "process.LSEC.recruit_marrow"): "acts in the marrow, on cells that are no LSECs yet",
    ("KC-BEC-04", "IL6", "process.KC.recruit_monocyte"): "acts in the blood, by what other cells release",
}  # fmt: skip


def without(k: Knowledge) -> list[tuple[str, str, str]]:
    """Return the terms by a signal that needs a receptor somewhere and has none here: row, signal and target."""
    receptors = {f"node.{n.cell}.{n.id}" for n in k.nodes if set(n.genes) & RECEPTORS}
    terms = [
        (p.record, p.term) for p in placed_terms(k) if isinstance(p.term, Regulates) and p.term.by.startswith("signal.")
    ]
    # What only permits a receptor to answer (NO, MET) is not its ligand.
    heard = {t.by for _, t in terms if t.needs or (t.target in receptors and t.effect == "activates")}
    return [
        (row, t.by.removeprefix("signal."), t.target)
        for row, t in terms
        if t.by in heard and not t.needs and t.target not in receptors
    ]


def test_whoever_hears_a_ligand_has_its_receptor() -> None:
    found = without(load())
    assert sorted(set(found) - set(EXCUSED)) == []
    assert sorted(set(EXCUSED) - set(found)) == []


@pytest.mark.parametrize(("gene", "signal"), [("MET", "HGF"), ("EGFR", "TGFA")])
def test_a_receptor_is_the_same_gene_in_every_cell_that_hears_its_ligand(gene: str, signal: str) -> None:
    k = load()
    nodes = {f"node.{n.cell}.{n.id}": set(n.genes) for n in k.nodes}
    for p in placed_terms(k):
        t = p.term
        if isinstance(t, Regulates) and t.by == f"signal.{signal}":
            assert gene in {*t.needs, *nodes.get(t.target, ())}, f"{p.record} {t.target}"
