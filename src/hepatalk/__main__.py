"""``python -m hepatalk`` is ``hepatalk``."""

from __future__ import annotations

import sys

from hepatalk.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
