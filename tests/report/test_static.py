"""Models without exits in tables, figures and sentences."""

import numpy as np
import pytest

from ee_jax.report.figures import exit_depths
from ee_jax.report.findings import headline
from ee_jax.report.quality_depth import quality_depth
from ee_jax.report.quality_time import quality_time
from ee_jax.report.render import to_markdown
from ee_jax.report.report import make_report
from ee_jax.report.static import against_static, static_table, verdict
from ee_jax.report.study import study_figure
from ee_jax.report.tables import speed_table
from tests.report.conftest import curve, exits, made, point


def static(quality, blocks, batch_1, batch_32):
    one = point(1.0, quality, float(blocks), [100], batch_1, batch_32)
    return {
        "full_quality": quality, "exits": exits([quality], [0.8]), "curve": curve([]),
        "calibrated": [], "points": [one], "static_blocks": blocks,
    }  # fmt: skip


def xy(line) -> np.ndarray:
    return np.asarray(line.get_xydata())


AGAINST = {
    "strategy": "joint", "batch": 1, "threshold": [0.5, 0.62], "time": [0.45, 0.6],
    "quality": [0.70, 0.82], "static_quality": [0.72, 0.79], "low": [-0.05, 0.01],
    "high": [0.01, 0.05], "mean": 0.005, "mean_low": -0.02, "mean_high": 0.03,
}  # fmt: skip


@pytest.fixture
def beside(results):
    """`single` has more than either full model; `truncated_2` is as fast as can be."""
    results["strategies"] |= {
        "truncated_2": static(0.68, 2, 2.6, 2.7),
        "single": static(0.84, 6, 1.0, 1.0),
    }
    batch_32 = AGAINST | {"batch": 32, "mean": 0.02, "mean_low": 0.01, "mean_high": 0.03}
    results["against_static"] = [AGAINST, batch_32]
    results["config"]["evaluation"]["thresholds"] = [0.5, 0.8, 1.0]  # which a study draws
    return made(results)


def test_a_sentence_a_strategy_says_what_the_interval_does(beside):
    joint, frozen = against_static(beside)
    assert joint == (
        "joint, at equal measured time: early exit cannot be told from the static model at "
        "batch 1 (+0.5 points of accuracy, 95 % interval \N{MINUS SIGN}2.0 to +3.0, mean of 2 "
        "settings) and beats the static model at batch 32 (+2.0 points of accuracy, 95 % "
        "interval +1.0 to +3.0, mean of 2 settings)."
    )
    assert frozen.startswith("frozen: no setting's measured time lies between those of models")
    assert [verdict(*each) for each in ((0.1, 0.2), (-0.2, -0.1), (-0.1, 0.1))] == [
        "beats", "loses to", "cannot be told from",
    ]  # fmt: skip


def test_the_table_has_a_row_a_setting_and_batch(beside):
    table = static_table(beside)
    assert [(row["batch"], row["threshold"]) for row in table.rows] == [
        (1, 0.5), (1, 0.62), (32, 0.5), (32, 0.62),
    ]  # fmt: skip
    assert table.rows[0]["difference"] == pytest.approx(-0.02)
    assert "|            45.0 |       70.0 |   72.0 |" in to_markdown(table)


def test_settings_stand_against_the_model_without_exits(beside):
    table = speed_table(beside)
    rows = {(row["strategy"], row["threshold"]): row for row in table.rows}
    assert rows["joint", 0.62]["against_single"] == pytest.approx(-2)
    assert rows["single", 1.0]["against_single"] == 0
    short = rows["truncated_2", 1.0]
    assert (short["chosen_by"], short["difference"]) == ("no exits", None)
    assert "no gain" not in table.cells()[-2][-1]


def test_a_short_model_is_no_full_model_of_the_headline(results):
    """Were `truncated_2` one, the best would be its 90 %."""
    results["strategies"]["truncated_2"] = static(0.90, 2, 2.6, 2.7)
    assert "the best full model's 83.0 %" in headline(made(results))


def test_figures_draw_the_models_without_exits_as_one_line(beside):
    axes = quality_depth(beside).axes[0]
    (line,) = [each for each in axes.lines if each.get_marker() == "s" and len(xy(each)) > 1]
    np.testing.assert_allclose(xy(line), [[2, 68], [6, 84]])
    left, right = quality_time(beside).axes
    np.testing.assert_allclose(xy(left.lines[-1]), [[100 / 2.6, 68], [100, 84]])
    np.testing.assert_allclose(xy(right.lines[-1]), [[100 / 2.7, 68], [100, 84]])
    panels = study_figure({"task": [beside, beside]}).axes
    np.testing.assert_allclose(xy(panels[0].lines[-1]), [[2, 68], [6, 84]])
    titles = [panel.get_title() for panel in exit_depths(beside).axes]
    assert "truncated_2" not in titles


def test_the_page_has_them_where_there_are_any(beside, results):
    report = make_report(beside)
    assert "Against models without exits" in report.page
    assert "cannot be told from the static model" in report.page
    assert "quality_time.png" in report.figures
    for name in ("truncated_2", "single"):
        del results["strategies"][name]
    del results["against_static"]
    plain = make_report(made(results))
    assert "without exits" not in plain.page
    assert {"static"} - {*plain.tables} == {"static"}
