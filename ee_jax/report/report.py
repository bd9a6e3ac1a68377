"""The report of a run of any task: tables, figures and a page, as files."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
from markupsafe import Markup
from matplotlib.figure import Figure

from ee_jax.atomic_io import write_text
from ee_jax.display import plain
from ee_jax.report import metrics
from ee_jax.report.calibrated import calibration_table
from ee_jax.report.figures import exit_depths, save, svg
from ee_jax.report.findings import findings, headline
from ee_jax.report.quality_depth import quality_depth
from ee_jax.report.quality_time import quality_time
from ee_jax.report.render import Table, to_csv, to_markdown
from ee_jax.report.select import batches, has_policies, statics
from ee_jax.report.static import against_static, static_table
from ee_jax.report.tables import exit_table, speculation_table, speed_table
from ee_jax.results import Results


class Report(NamedTuple):
    """What a run is shown as; `table` among the tables is what the terminal shows."""

    tables: Mapping[str, Table]  # by the name of their files, without an ending
    figures: Mapping[str, Figure]  # by the name of their file
    page: str  # HTML that needs nothing else


def make_report(results: Results) -> Report:
    """Quality, depth and speed, where examples stop, and what calibration chose."""
    tables = {
        "table": speed_table(results),
        "exits": exit_table(results),
        "calibration": calibration_table(results),
    }
    if (speculation := speculation_table(results)).rows:
        tables["speculation"] = speculation
    if statics(results):
        tables["static"] = static_table(results)
    figures = {
        "quality_depth.png": quality_depth(results),
        "exit_depths.png": exit_depths(results),
    }
    if statics(results) and batches(results):
        figures["quality_time.png"] = quality_time(results)
    return Report(tables, figures, page(results, tables, figures))


def page(results: Results, tables: Mapping[str, Table], figures: Mapping[str, Figure]) -> str:
    """The HTML text: finding, tables, figures, and how it was measured."""
    timed = figures.get("quality_time.png")
    return template("page").render(
        results=results,
        quality=metrics.name(results.quality),
        headline=headline(results),
        findings=findings(results),
        against_static=against_static(results),
        batches=batches(results),
        decodes=has_policies(results),
        judged="auroc" in tables["exits"].rows[0],
        rounds=results.config.get("evaluation", {}).get("rounds"),
        config=json.dumps(results.config, indent=2),
        tables=tables,
        quality_depth=inline(figures["quality_depth.png"], "quality-depth"),
        exit_depths=inline(figures["exit_depths.png"], "exit-depths"),
        quality_time=inline(timed, "quality-time") if timed else None,
    )


def inline(figure: Figure, name: str) -> Markup:
    """The figure as SVG in a page; Matplotlib escapes the text that it draws."""
    return Markup(svg(figure, name))


def template(name: str) -> jinja2.Template:
    """A page's template: `base` holds its style, `parts` its tables."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("ee_jax.report", "."),
        autoescape=True,
        finalize=_plain_text,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(f"{name}.html.jinja")


def _plain_text(value: Any) -> Any:
    """Text without what is not to be seen; a figure is markup, and stays."""
    shown = isinstance(value, str) and not isinstance(value, Markup)
    return plain(value, "\n\t") if shown else value


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
    for name, text in (texts | dict(others)).items():
        write_text(folder / name, text)
    return [folder / name for name in (*texts, *others)]
