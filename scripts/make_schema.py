"""Write the JSON Schema of every kind of record to docs/schema/, from the record classes themselves.

An editor that knows JSON Schema then checks and completes the YAML of the knowledge base while it is typed.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from pydantic import TypeAdapter

from hepatalk.knowledge.load import KINDS

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "schema"


def schemas() -> dict[str, str]:
    """Return the text of each schema file by name."""
    out = {}
    for kind, record in KINDS.items():
        schema = TypeAdapter(list[record]).json_schema()  # type: ignore[valid-type]
        schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": f"hepatalk {kind}", **schema}
        out[f"{kind}.schema.json"] = json.dumps(schema, indent=1, sort_keys=True) + "\n"
    return out


def main() -> int:
    """Write all files."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, text in schemas().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
        sys.stdout.write(f"docs/schema/{name}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
