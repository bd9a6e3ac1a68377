"""What is in the figures, not how their pixels look."""

import subprocess
import sys
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.text import Annotation

from ee_jax.report.exit_depths import exit_depths
from ee_jax.report.figures import save, svg
from ee_jax.report.quality_depth import quality_depth
from ee_jax.report.report import make_report, write
from tests.report.conftest import made


def xy(line):
    return np.asarray(line.get_xydata()).T


def widths(axes):
    return [bar.get_width() for bar in axes.patches]


@pytest.fixture
def tiny(results):
    """One strategy, one exit, one point."""
    joint = results["strategies"]["joint"]
    full = joint["points"][2]
    full |= {"mean_depth": 1.0, "exit_counts": [100], "calibrated_for": []}
    joint |= {"exits": joint["exits"][:1], "points": [full], "calibrated": [], "curve": []}
    results["model"]["blocks"] = 1
    return results | {"strategies": {"joint": joint}}


def test_curves_points_and_full_models(results):
    axes = quality_depth(made(results)).axes[0]
    full, curve, plain, first, second, third = axes.lines[:6]
    np.testing.assert_allclose(xy(full)[1], 83.0)
    np.testing.assert_allclose(xy(curve)[0], [2.4, 3.2, 4.0, 6.0])
    np.testing.assert_allclose(xy(curve)[1], [70, 82, 82.2, 83])
    np.testing.assert_allclose(xy(plain)[0], [2.4, 4.0])
    np.testing.assert_allclose(
        [xy(line)[0] for line in (first, second, third)], [[6.0], [3.2], [3.2]]
    )
    assert len(axes.lines) == 9  # and frozen's, which has no calibrated threshold
    assert full.get_color() == curve.get_color() != axes.lines[6].get_color()


def test_marks_of_one_threshold_lie_one_inside_the_other(results):
    """0.62 was chosen twice, empirical 1 % (a circle) and ltt 5 % (a diamond)."""
    inner, outer = quality_depth(made(results)).axes[0].lines[4:6]
    assert (inner.get_marker(), outer.get_marker()) == ("o", "D")
    assert inner.get_markersize() < outer.get_markersize()
    assert inner.get_zorder() > outer.get_zorder()


def test_strategies_are_named_apart_at_their_full_models(results):
    results["strategies"]["frozen"]["full_quality"] = 0.83
    first, second = quality_depth(made(results)).axes[0].texts
    assert isinstance(first, Annotation)
    assert isinstance(second, Annotation)
    assert (first.get_text(), second.get_text()) == ("joint\n83.0 %", "frozen\n83.0 %")
    assert first.xy[1] > second.xy[1]


def test_the_upper_scale_is_blocks_over_depth(results):
    lower, upper = quality_depth(made(results)).axes
    assert lower.get_xlim() == upper.get_xlim()
    for position, label in zip(upper.get_xticks(), upper.get_xticklabels(), strict=True):
        assert position == pytest.approx(6 / float(label.get_text()))


def test_the_legend_names_the_marks(results):
    (legend,) = quality_depth(made(results)).legends
    labels = [label.get_text() for label in legend.get_texts()]
    chosen = ["empirical 1 %", "ltt 2 %", "ltt 5 %"]
    assert labels == ["every threshold", "measured", *chosen, "full model"]


def test_bars_are_the_shares_of_the_exits(results):
    key, joint, frozen = exit_depths(made(results)).axes
    np.testing.assert_allclose(widths(joint)[:6], [0.4, 0.2, 0.15, 0.1, 0.1, 0.05])
    assert len(widths(joint)) == 4 * 6
    assert (joint.get_title(loc="left"), frozen.get_title(loc="left")) == ("joint", "frozen")
    assert [bar.get_facecolor() for bar in key.patches] == [
        bar.get_facecolor() for bar in joint.patches[:6]
    ]


def test_bars_are_labelled_by_threshold_depth_and_share(results):
    axes = exit_depths(made(results)).axes[1]
    settings = [label.get_text() for label in axes.get_yticklabels()]
    assert settings == [
        "0.50", "0.62 (empirical 1 %, ltt 5 %)", "0.80", "1.00 (full depth, ltt 2 %)"
    ]  # fmt: skip
    said = [label.get_text() for label in axes.texts]
    assert said[:7] == ["40", "20", "15", "10", "10", "5", "2.40"]


def test_later_exits_are_darker(results):
    colors = [bar.get_facecolor() for bar in exit_depths(made(results)).axes[0].patches]
    luminance = [np.dot(color[:3], (0.2126, 0.7152, 0.0722)) for color in colors]
    assert np.all(np.diff(luminance) < 0)


def test_one_strategy_one_exit_one_point(tiny, tmp_path):
    (axes, _) = quality_depth(made(tiny)).axes
    assert len(axes.lines) == 3
    _, panel = exit_depths(made(tiny)).axes
    assert widths(panel) == [1.0]
    assert len(write(make_report(made(tiny)), tmp_path)) == 9


def test_svg_takes_the_page_s_ink_and_keeps_its_ids_apart(results):
    results["strategies"]["a <b> & $c$"] = results["strategies"].pop("frozen")
    drawn = svg(exit_depths(made(results)), "stops")
    root = ElementTree.fromstring(drawn)
    ids = [node.get("id", "stops-") for node in root.iter()]
    assert all(name.startswith("stops-") for name in ids)
    assert "currentColor" in drawn
    assert "#24292f" not in drawn
    assert "a <b> & $c$" in "".join(root.itertext())
    assert drawn == svg(exit_depths(made(results)), "stops")


def test_png_has_the_size_of_a_readme(results, tmp_path):
    path = save(quality_depth(made(results)), tmp_path / "figure.png")
    header = path.read_bytes()[:24]
    assert header[:4] == b"\x89PNG"
    assert int.from_bytes(header[16:20]) == 8 * 150


def test_the_caller_s_matplotlib_is_left_alone(results):
    with matplotlib.rc_context({"font.size": 7.5, "axes.edgecolor": "#123456"}):
        before = dict(matplotlib.rcParams)
        figure = quality_depth(made(results))
        assert to_hex(figure.axes[0].spines["left"].get_edgecolor()) == "#24292f"
        assert dict(matplotlib.rcParams) == before


def test_the_report_needs_neither_jax_nor_pyplot():
    assert loaded_by("ee_jax.report.report", "jax", "matplotlib.pyplot") == "set()"


def test_a_table_needs_neither_figures_nor_pages():
    for table in ("render", "tables", "compare"):
        assert loaded_by(f"ee_jax.report.{table}", "matplotlib", "jinja2") == "set()"


def loaded_by(module, *names):
    code = f"import sys, {module}; print({{*{names}}} & sys.modules.keys())"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()
