"""Fitting parameters to observations."""
