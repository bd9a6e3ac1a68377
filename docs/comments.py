"""Comments beside fields and above tables are their words in the reference.

The fields of our dataclasses and named tuples are explained by a comment on their line or above
it, which Griffe does not read.
"""

from pathlib import Path
from typing import Any

import griffe


class Comments(griffe.Extension):
    """Gives an attribute that has no docstring the comment that stands by it."""

    def on_attribute_instance(self, *, attr: griffe.Attribute, **_: Any) -> None:
        """Reads the comment of one attribute."""
        if attr.docstring or attr.lineno is None or attr.name.startswith("_"):
            return
        if not isinstance(attr.filepath, Path):  # of a namespace package, which is no file
            return
        lines = attr.lines_collection[attr.filepath]
        text = comment(lines, attr.lineno - 1, (attr.endlineno or attr.lineno) - 1)
        if text:
            attr.docstring = griffe.Docstring(text, parent=attr)


def comment(lines: list[str], first: int, last: int) -> str:
    """The comment lines right above, and what follows on the last line; a sentence each."""
    above: list[str] = []
    while first > 0 and lines[first - 1].strip().startswith("# "):
        first -= 1
        above.insert(0, lines[first].strip().removeprefix("# "))
    beside = lines[last].partition("  # ")[2].strip()
    parts = [part for part in (" ".join(above), beside) if part]
    return " ".join(map(_sentence, parts))


def _sentence(words: str) -> str:
    end = "" if words.endswith((".", "?")) else "."
    return f"{words[0].upper()}{words[1:]}{end}"
