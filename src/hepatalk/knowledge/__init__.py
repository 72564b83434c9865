"""What is known: typed, cited records of cells, signals, nodes, interactions, parameters and sources."""

from hepatalk.knowledge.load import Knowledge, load

__all__ = ["Knowledge", "load"]
