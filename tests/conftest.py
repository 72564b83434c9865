"""Settings shared by all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

# No test opens a window, whatever the machine's own configuration says.
os.environ["MPLBACKEND"] = "Agg"

# Time limits per example fail on a busy machine and say nothing about the code. On CI the examples are the same in
# every run, so that a change fails for what it did; elsewhere new ones are drawn each time.
settings.register_profile("hepatalk", deadline=None, print_blob=True, derandomize=bool(os.environ.get("CI")))
settings.load_profile("hepatalk")


@pytest.fixture(scope="session")
def repository() -> Path:
    """Root folder of the checkout."""
    return Path(__file__).resolve().parents[1]
