"""The files of a run's report."""

from pathlib import Path

from ee_jax.report.calibrated import calibration_table
from ee_jax.report.exit_depths import exit_depths
from ee_jax.report.figures import save
from ee_jax.report.page import page
from ee_jax.report.quality_depth import quality_depth
from ee_jax.report.render import to_csv, to_markdown
from ee_jax.report.results import Results
from ee_jax.report.tables import exit_table, speed_table


def write(results: Results, folder: Path) -> list[Path]:
    """Writes tables, figures and page into the folder; returns their paths."""
    tables = {
        "table": speed_table(results),
        "exits": exit_table(results),
        "calibration": calibration_table(results),
    }
    texts = {f"{name}.md": to_markdown(table) for name, table in tables.items()}
    texts |= {f"{name}.csv": to_csv(table) for name, table in tables.items()}
    texts["report.html"] = page(results)
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    figures = {"quality_depth.png": quality_depth, "exit_depths.png": exit_depths}
    drawn = [save(draw(results), folder / name) for name, draw in figures.items()]
    return [*(folder / name for name in texts), *drawn]
