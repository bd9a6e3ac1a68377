"""The page of a run: one HTML file that needs nothing else."""

import json

import jinja2
from markupsafe import Markup
from matplotlib.figure import Figure

from ee_jax.report import metrics
from ee_jax.report.calibrated import calibration_table
from ee_jax.report.exit_depths import exit_depths
from ee_jax.report.figures import svg
from ee_jax.report.findings import findings, headline
from ee_jax.report.quality_depth import quality_depth
from ee_jax.report.report import Report
from ee_jax.report.results import Results, batches
from ee_jax.report.tables import exit_table, speed_table


def classification_report(results: Results) -> Report:
    """The report of a classifier's run."""
    tables = {
        "table": speed_table(results),
        "exits": exit_table(results),
        "calibration": calibration_table(results),
    }
    figures = {
        "quality_depth.png": quality_depth(results),
        "exit_depths.png": exit_depths(results),
    }
    return Report(tables, figures, page(results))


def page(results: Results) -> str:
    """The HTML text: finding, table, figures, calibration, and how it was measured."""
    return template("page").render(
        results=results,
        quality=metrics.name(results["quality"]),
        headline=headline(results),
        findings=findings(results),
        batches=batches(results),
        rounds=results["config"].get("evaluation", {}).get("rounds"),
        config=json.dumps(results["config"], indent=2),
        speed=speed_table(results),
        exits=exit_table(results),
        calibrated=calibration_table(results),
        quality_depth=inline(quality_depth(results), "quality-depth"),
        exit_depths=inline(exit_depths(results), "exit-depths"),
    )


def inline(figure: Figure, name: str) -> Markup:
    """The figure as SVG in a page; Matplotlib escapes the text that it draws."""
    return Markup(svg(figure, name))


def template(name: str) -> jinja2.Template:
    """A page's template: `base` holds its style, `parts` its tables."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("ee_jax.report", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(f"{name}.html.jinja")
