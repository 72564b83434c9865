"""Compiled loops of the lobule engine: they know arrays only, and the machine-code cache is keyed by their text."""
