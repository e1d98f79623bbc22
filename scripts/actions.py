"""Writes the table of actions to shared/actions.json, for the API and the command line. `--check` compares only."""

import json
import sys
from pathlib import Path

from simulator.actions.table import TABLE

FILE = Path(__file__).parent.parent / "shared" / "actions.json"


def describe_table() -> str:
    rows = [row.describe() for row in TABLE.values()]
    return json.dumps(rows, indent=1, ensure_ascii=False) + "\n"


def main() -> int:
    """1 when the file is stale and was only compared."""
    text = describe_table()
    if "--check" in sys.argv[1:]:
        return int(FILE.read_text(encoding="utf-8") != text)
    FILE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
