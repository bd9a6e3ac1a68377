"""Files that are written whole or not at all."""

import json
import os
from pathlib import Path
from typing import Any


def part_of(path: Path) -> Path:
    """What a file is called while it is being written."""
    return path.with_name(path.name + ".part")


def write_text(path: Path, text: str) -> None:
    """Writes the file in one move; makes its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part_of(path).write_text(text, encoding="utf-8")
    os.replace(part_of(path), path)


def write_json(path: Path, content: Any) -> None:
    """The same of JSON, which does not know nan."""
    write_text(path, json.dumps(content, indent=1, allow_nan=False) + "\n")
