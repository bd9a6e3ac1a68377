"""Tables, figures and the page of a run: pure functions of its `results`."""

from ee_jax.report.calibrated import calibration_table
from ee_jax.report.compare import comparison
from ee_jax.report.exit_depths import exit_depths
from ee_jax.report.figures import save, svg
from ee_jax.report.findings import findings, headline
from ee_jax.report.page import page
from ee_jax.report.quality_depth import quality_depth
from ee_jax.report.render import Column, Table, to_csv, to_markdown, to_terminal
from ee_jax.report.tables import exit_table, speed_table
from ee_jax.report.write import write

__all__ = [
    "Column",
    "Table",
    "calibration_table",
    "comparison",
    "exit_depths",
    "exit_table",
    "findings",
    "headline",
    "page",
    "quality_depth",
    "save",
    "speed_table",
    "svg",
    "to_csv",
    "to_markdown",
    "to_terminal",
    "write",
]
