"""Lint: what a careful curator would object to in the records, one small class per rule.

The rules look at records alone; those that need a compiled model are in `hepatalk.model.checks`. Every finding is one
line that names the file, the record, the field, the value and what is allowed.
"""

from __future__ import annotations

from collections.abc import Collection

from hepatalk.knowledge import lint_actors, lint_evidence, lint_meaning, lint_names, lint_numbers, lint_rows, lint_terms
from hepatalk.knowledge.findings import Check, Finding, Severity
from hepatalk.knowledge.load import Knowledge

__all__ = ["ALL_CHECKS", "Check", "Finding", "Severity", "lint"]

ALL_CHECKS: tuple[Check, ...] = (
    lint_rows.CheckRowsAccounted(),
    lint_names.CheckIdsUnique(),
    lint_names.CheckGenesExist(),
    lint_names.CheckMakersNamed(),
    lint_names.CheckGeneSymbols(),
    lint_names.CheckSynonyms(),
    lint_names.CheckFamilies(),
    lint_names.CheckOntologyIds(),
    lint_names.CheckCellStates(),
    lint_names.CheckLawCells(),
    lint_terms.CheckTermNames(),
    lint_terms.CheckTermShape(),
    lint_terms.CheckZonesMeet(),
    lint_terms.CheckSignalsSecreted(),
    lint_terms.CheckNodesDriven(),
    lint_numbers.CheckParametersExist(),
    lint_numbers.CheckUnusedParameters(),
    lint_numbers.CheckSourced(),
    lint_numbers.CheckFinite(),
    lint_numbers.CheckPrior(),
    lint_numbers.CheckUnitKnown(),
    lint_numbers.CheckUnitFitsRole(),
    lint_numbers.CheckRange(),
    lint_numbers.CheckZoneShape(),
    lint_numbers.CheckVolumeShares(),
    lint_numbers.CheckNormalHill(),
    lint_rows.CheckRowsExist(),
    lint_rows.CheckOutcomesClaimed(),
    lint_rows.CheckClaimsExist(),
    lint_evidence.CheckSourcesExist(),
    lint_evidence.CheckSourcesDistinct(),
    lint_evidence.CheckEvidence(),
    lint_evidence.CheckEvidenceLinks(),
    lint_evidence.CheckStance(),
    lint_rows.CheckHypotheses(),
    lint_rows.CheckDuplicateTerms(),
    lint_rows.CheckDoubleInfluence(),
    lint_rows.CheckDuplicateClaims(),
    lint_meaning.CheckSignal(),
    lint_meaning.CheckPathway(),
    lint_meaning.CheckSign(),
    lint_actors.CheckActors(),
)


def lint(knowledge: Knowledge, claim_ids: Collection[str] = ()) -> tuple[Finding, ...]:
    """Apply every rule on records.

    Parameters
    ----------
    knowledge : Knowledge
    claim_ids : collection of str
        Ids of the claims that exist, which belong to a higher layer; when empty, claims are not looked up.

    Returns
    -------
    tuple of Finding
        In the order of `ALL_CHECKS`, and of the records within a rule.

    Raises
    ------
    KnowledgeError
        If ``rows.yaml`` cannot be read.
    """
    return tuple(finding for check in ALL_CHECKS for finding in check.run(knowledge, claim_ids))
