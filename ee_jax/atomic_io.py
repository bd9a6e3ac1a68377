"""Files that are written whole or not at all, and never through a link to somewhere else.

JSON objects as they are written here, and as they are read back.
"""

import json
import math
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def expanded(path: str | Path) -> Path:
    """The path with `~` for the user's home; as it is where that user has none."""
    return Path(os.path.expanduser(path))


def resolved(path: Path) -> Path:
    """Where the path leads, by its links; as far as they lead where they go round.

    `Path.resolve` raises of links that go round, and no OSError.
    """
    return Path(os.path.realpath(path))


def part_of(path: Path) -> Path:
    """What a file, or a folder, is called while it is being written."""
    return path.with_name(path.name + ".part")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path to write to, which takes the place of `path` if the block ends well.

    What a killed process left there is removed first, and so is a link, which a file opened for
    writing would follow. The folder of `path` is made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = part_of(path)
    part.unlink(missing_ok=True)
    try:
        yield part
        os.replace(part, path)
    except BaseException as error:
        part.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno and error.filename is None:
            error.filename = str(path)  # a write that the disk has no room for names no file
        if not isinstance(error, OSError) and (
            said := re.search(r"os error (\d+)", str(error))
        ):
            number = int(said[1])  # of a library in Rust, such as safetensors
            raise OSError(number, os.strerror(number), str(path)) from error
        raise


def write_text(path: Path, text: str) -> None:
    """Writes the file in one move; makes its folder."""
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8")


def json_text(content: Any) -> str:
    """JSON as it is written here; JSON does not know nan."""
    return json.dumps(content, indent=1, allow_nan=False) + "\n"


def write_json(path: Path, content: Any) -> None:
    """Writes JSON in one move; makes its folder."""
    write_text(path, json_text(content))


def parse_object(text: str) -> dict[str, Any]:
    """The object that a JSON text is.

    Args:
      text: of a file that may be anybody's.

    Raises:
      ValueError: it is no JSON object; numbers in it are nan, infinite or too long; it is
        nested deeper than can be read.
    """
    try:
        found = json.loads(text, parse_constant=_finite, parse_float=_finite)
    except RecursionError:
        raise ValueError("it is nested too deep") from None
    if not isinstance(found, dict):
        raise ValueError("it is no object")
    return found


def _finite(written: str) -> float:
    if not math.isfinite(number := float(written)):
        raise ValueError(f"{written:.40} is no number of JSON, or too large")
    return number
