"""The text files of a report."""

from collections.abc import Mapping
from pathlib import Path

from ee_jax.report.render import Table, to_csv, to_markdown


def write_texts(
    folder: Path, tables: Mapping[str, Table], others: Mapping[str, str]
) -> list[Path]:
    """Writes tables as NAME.md and NAME.csv, and other texts by their names; their paths."""
    texts = {f"{name}.md": to_markdown(table) for name, table in tables.items()}
    texts |= {f"{name}.csv": to_csv(table) for name, table in tables.items()}
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in (texts | dict(others)).items():
        (folder / name).write_text(text, encoding="utf-8")
    return [folder / name for name in (*texts, *others)]
