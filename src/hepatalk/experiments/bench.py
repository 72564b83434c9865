"""What several runs of the same animals share: compiled models and a solver that knows their structure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hepatalk.knowledge.load import Knowledge
from hepatalk.knowledge.records import Species
from hepatalk.model.compiled import CompiledModel
from hepatalk.model.compiler import compile_model

if TYPE_CHECKING:
    from hepatalk.engines.population.engine import PopulationEngine

__all__ = ["Bench"]

#: Models kept; runs that share one should follow each other.
KEPT = 4


def _new_solver() -> PopulationEngine:
    """Return an engine; its import takes half a second, and a run that is only read again needs none."""
    from hepatalk.engines.population.engine import PopulationEngine

    return PopulationEngine()


@dataclass
class Bench:
    """Compiles each model once for runs that differ in schedule, length or knock-outs only.

    Attributes
    ----------
    solver : PopulationEngine
        Remembers the sparsity of the models that it has seen.
    """

    solver: PopulationEngine = field(default_factory=_new_solver)
    _models: dict[tuple[object, ...], CompiledModel] = field(default_factory=dict, repr=False)

    def model(
        self,
        knowledge: Knowledge,
        species: Species,
        hypotheses: Sequence[str],
        overrides: Mapping[str, float],
        silenced: Sequence[str],
        lobes: int = 1,
    ) -> CompiledModel:
        """Return a compiled model; arguments and errors as for `hepatalk.model.compiler.compile_model`."""
        values, held = tuple(sorted(overrides.items())), tuple(sorted(silenced))
        key = (knowledge.version, species, tuple(hypotheses), values, held, lobes)
        if key not in self._models:
            if len(self._models) >= KEPT:
                self._models.clear()
                self.solver = _new_solver()
            self._models[key] = compile_model(
                knowledge, species, hypotheses=hypotheses, overrides=overrides, silenced=silenced, lobes=lobes
            )
        return self._models[key]
