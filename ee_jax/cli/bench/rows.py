"""How a benchmark's rows are printed: each as soon as it is known."""

import json
from collections.abc import Iterable
from typing import Any


def print_rows(rows: Iterable[dict[str, Any]], as_json: bool) -> None:
    """Prints a table with a header, or a JSON object a row."""
    for number, row in enumerate(rows):
        if as_json:
            print(json.dumps(row), flush=True)
            continue
        if number == 0:
            print("  ".join(f"{name:>14}" for name in row))
        print("  ".join(f"{_short(value):>14}" for value in row.values()), flush=True)


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
