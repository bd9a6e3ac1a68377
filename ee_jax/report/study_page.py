"""The page of a study: one HTML file that needs nothing else."""

from collections.abc import Mapping

from matplotlib.figure import Figure

from ee_jax.report.render import Table
from ee_jax.report.report import inline, template


def study_page(
    title: str,
    headline: str,
    tables: Mapping[str, Table],
    figure: Figure | None,
    facts: Mapping[str, str],
) -> str:
    """The HTML text: finding, figure, tables under their headings, what was run."""
    return template("study").render(
        title=title,
        headline=headline,
        tables=tables,
        figure=figure and inline(figure, "study"),
        facts=facts,
    )
