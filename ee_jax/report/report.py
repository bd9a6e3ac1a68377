"""A report as files: tables, figures and a page, of any task and of studies."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from matplotlib.figure import Figure

from ee_jax.report.figures import save
from ee_jax.report.render import Table, to_csv, to_markdown


class Report(NamedTuple):
    """What a run is shown as; `table` among the tables is what the terminal shows."""

    tables: Mapping[str, Table]  # by the name of their files, without an ending
    figures: Mapping[str, Figure]  # by the name of their file
    page: str  # HTML that needs nothing else


def write(report: Report, folder: Path) -> list[Path]:
    """Writes tables, figures and page into the folder; returns their paths."""
    texts = write_texts(folder, report.tables, {"report.html": report.page})
    return [*texts, *(save(figure, folder / name) for name, figure in report.figures.items())]


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
