"""The figure and page of a study, on the results of a run made by hand."""

import copy

import numpy as np
import pytest

from ee_jax.report.study_figure import study_figure
from tests.report.conftest import made


@pytest.fixture
def timed(results):
    """The config names the thresholds that were measured without a calibration."""
    results["config"]["evaluation"]["thresholds"] = [0.5, 0.8, 1.0]
    return results


def lines(axes):
    drawn = [line for line in axes.lines if line.get_marker() == "o"]
    return {line.get_color(): np.asarray(line.get_xydata()) for line in drawn}


def test_a_row_for_each_task_and_two_panels(timed):
    figure = study_figure({"sst2": [made(timed)], "cola": [made(timed), made(timed)]})
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles == ["sst2", "", "cola, 2 seeds", ""]
    assert figure.axes[1].get_xlabel() == "measured time at batch 1, % of the full model's"


def test_time_is_the_share_of_the_full_models(timed):
    """Joint at 0.5, 0.8 and 1.0 ran 2.25, 1.4 and 1.02 times as fast at batch 1."""
    _, right = study_figure({"sst2": [made(timed)]}).axes
    joint = lines(right)["C0"]
    assert joint[:, 0] == pytest.approx([100 / 2.25, 100 / 1.4, 100 / 1.02])
    assert joint[:, 1] == pytest.approx([70.0, 82.2, 83.0])


def test_several_seeds_are_drawn_with_their_mean(timed):
    other = copy.deepcopy(timed)
    for point in other["strategies"]["joint"]["points"]:
        point["quality"] -= 0.1
    _, right = study_figure({"sst2": [made(timed), made(other)]}).axes
    assert lines(right)["C0"][:, 1] == pytest.approx([65.0, 77.2, 78.0])
    thin = [
        line for line in right.lines if line.get_color() == "C0" and line.get_linewidth() == 0.8
    ]
    assert len(thin) == 2


def test_a_quality_that_is_not_defined_is_left_out(timed):
    timed["strategies"]["joint"]["curve"][0]["quality"] = None
    left, _ = study_figure({"sst2": [made(timed)]}).axes
    drawn = [line.get_ydata() for line in left.lines if line.get_color() == "C0"]
    assert any(np.isnan(y).sum() == 1 for y in map(np.asarray, drawn))
