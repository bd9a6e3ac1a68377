"""The files of a run's report."""

from pathlib import Path

from ee_jax.report.calibrated import calibration_table
from ee_jax.report.exit_depths import exit_depths
from ee_jax.report.figures import save
from ee_jax.report.files import write_texts
from ee_jax.report.page import page
from ee_jax.report.quality_depth import quality_depth
from ee_jax.report.results import Results
from ee_jax.report.tables import exit_table, speed_table


def write(results: Results, folder: Path) -> list[Path]:
    """Writes tables, figures and page into the folder; returns their paths."""
    tables = {
        "table": speed_table(results),
        "exits": exit_table(results),
        "calibration": calibration_table(results),
    }
    texts = write_texts(folder, tables, {"report.html": page(results)})
    figures = {"quality_depth.png": quality_depth, "exit_depths.png": exit_depths}
    drawn = [save(draw(results), folder / name) for name, draw in figures.items()]
    return [*texts, *drawn]
