"""What came out of a run: labelled readouts, where they come from, and how they are kept on disk."""

from hepatalk.results.provenance import Provenance, collect_versions
from hepatalk.results.result import Readout, Result
from hepatalk.results.store import load_result, save_result

__all__ = ["Provenance", "Readout", "Result", "collect_versions", "load_result", "save_result"]
