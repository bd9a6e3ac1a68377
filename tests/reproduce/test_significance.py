"""Areas, tests and the table of strategies, on runs made by hand."""

from dataclasses import replace

import pytest

from ee_jax.report.render import Table, to_markdown
from ee_jax.report.text import MINUS
from ee_jax.reproduce.aggregate import against, areas
from ee_jax.reproduce.comparison_table import headline
from ee_jax.reproduce.side_by_side import chosen_table, full_table
from ee_jax.reproduce.swept import Failed, Swept
from tests.reproduce.small_runs import LABEL, POINTS, finished, strategy, trace

# At threshold 0.7 the surer half stops at the first exit.
SURE = [0.8, 0.8, 0.6, 0.6]
RIGHT, WRONG_EARLY, WRONG = [0, 0], [1, 0], [1, 1]


def contest(seed=0, shift=-0.1, joint=None, frozen=None):
    joint = trace([RIGHT] * 4, SURE) if joint is None else joint
    frozen = trace([WRONG, WRONG, WRONG, RIGHT], SURE) if frozen is None else frozen
    traces = {"joint": joint, "frozen": frozen}
    return finished(seed=seed, traces=traces, joint=strategy(), frozen=strategy(shift=shift))


def changed(run, **fields):
    """The run with other results of `frozen`."""
    strategies = dict(run.results.strategies)
    strategies["frozen"] = replace(strategies["frozen"], **fields)
    return replace(run, results=replace(run.results, strategies=strategies))


def test_areas_by_hand():
    """(0.70 + 0.86) / 2, (0.86 + 0.89) / 2, (0.89 + 0.90) / 2 over depths 1 to 4."""
    reach, area = areas([contest()])
    assert reach == (1, 4)
    assert area["joint"] == pytest.approx((0.78 + 0.875 + 0.895) / 3)
    assert area["frozen"] == pytest.approx((0.78 + 0.875 + 0.895) / 3 - 0.1)


def test_areas_only_where_every_curve_goes():
    run = contest()
    frozen = run.results.strategies["frozen"]  # less its shallowest point: depth 1
    run = changed(run, curve=frozen.curve[:-1])
    reach, area = areas([run])
    assert reach == (2, 4)
    assert area["joint"] == pytest.approx((0.875 + 0.895) / 2)


def test_one_exit_has_no_area():
    points = POINTS[:1]
    run = finished(joint=strategy(points), frozen=strategy(points))
    assert areas([run]) == (None, {"joint": None, "frozen": None})


def test_a_quality_that_is_nowhere_defined_has_no_area():
    run = contest()
    curve = run.results.strategies["frozen"].curve
    run = changed(run, curve=tuple(replace(point, quality=None) for point in curve))
    assert areas([run]) == (None, {"joint": None, "frozen": None})


def test_full_models_are_tested_in_pairs():
    """Three of four are wrong only in the second: 2 x 1/8, as in McNemar's test."""
    found = against([contest()], "frozen", "joint")
    assert found == (0.75, 0.25)
    assert against([contest()], "joint", "frozen") == (-0.75, 0.25)


def test_what_calibration_chose_is_tested_where_it_stops():
    """The first two stop early: joint is wrong there alone, and frozen nowhere."""
    joint = trace([WRONG_EARLY, WRONG_EARLY, WRONG_EARLY, RIGHT], SURE)
    run = contest(joint=joint, frozen=trace([RIGHT] * 4, SURE))
    assert against([run], "joint", "frozen", LABEL) == (0.5, 0.5)  # 2 x 1/4
    assert against([run], "joint", "frozen") == (0, 1)


def test_seeds_are_averaged_before_examples_are_paired():
    """Losses 1 and 0 on the same example make 1/2; two such examples: p = 2 x 1/4."""
    once = contest(frozen=trace([WRONG, WRONG, RIGHT, RIGHT], SURE))
    never = contest(seed=1, frozen=trace([RIGHT] * 4, SURE))
    assert against([once, never], "frozen", "joint") == (0.25, 0.5)


def test_no_test_without_traces_or_without_a_choice():
    assert against([finished(a=strategy(), b=strategy())], "a", "b") is None
    assert against([contest()], "joint", "frozen", "ltt 2 %") is None


SWEPT = Swept((contest(), contest(seed=1, shift=-0.2)), (Failed("cola", 0, "no data"),))


def test_full_models_side_by_side():
    table = full_table("x", SWEPT)
    joint, frozen = table.rows
    assert (joint["quality"], joint["seeds"], joint["p"]) == (90, 2, None)
    assert frozen["quality"] == pytest.approx(75)
    assert (frozen["low"], frozen["high"]) == (pytest.approx(70), pytest.approx(80))
    assert (frozen["better"], frozen["p"]) == (-75, 0.25)
    text = to_markdown(table)
    assert f"{MINUS}75.0 (0.250)" in text
    assert "Failed: cola, seed 0: no data" in text


def test_what_calibration_chose_side_by_side():
    """Early, frozen is wrong where it was before: the same three of four."""
    table = chosen_table("x", SWEPT)
    joint, frozen = table.rows
    assert (joint["calibration"], joint["quality"]) == (LABEL, pytest.approx(86))
    assert joint["difference"] == frozen["difference"] == pytest.approx(-4)
    assert (joint["mean_depth"], joint["measured_speedup_b1"]) == (2, 2)
    assert (frozen["better"], frozen["p"]) == (-75, 0.25)
    assert "2.00/4" in to_markdown(table)


def test_a_calibration_that_did_not_choose_for_every_seed_has_no_row():
    run = contest(seed=1)
    points = run.results.strategies["frozen"].points
    run = changed(run, points=tuple(replace(p, calibrated_for=()) for p in points))
    rows = chosen_table("x", Swept((contest(), run))).rows
    assert [row["strategy"] for row in rows] == ["joint"]


def test_p_is_never_shown_as_nothing():
    many = [0.8] * 40
    run = contest(joint=trace([RIGHT] * 40, many), frozen=trace([WRONG] * 40, many))
    assert f"{MINUS}100.0 (under 0.001)" in to_markdown(full_table("x", Swept((run,))))


def test_a_sweep_in_which_all_failed_has_empty_tables():
    swept = Swept((), (Failed("sst2", 0, "no weights"),))
    table = full_table("x", swept)
    assert table.rows == chosen_table("x", swept).rows == ()
    assert headline({"strategies": table}, swept) == "1 of 1 run failed."


def test_the_headline_names_every_full_model():
    said = "sst2: accuracy at full depth joint 90.0, frozen 75.0. 1 of 3 runs failed."
    assert headline({"strategies": full_table("x", SWEPT)}, SWEPT) == said


@pytest.mark.parametrize(
    ("gaps", "said"),
    [
        ([None, None], "None of the paper's 2 cells has a number of ours beside it."),
        ([-1.0, 0.5], "2 of the paper's 2 cells have a number of ours beside them, "
         f"from {MINUS}1.0 to +0.5 points from theirs."),
    ],
)  # fmt: skip
def test_the_headline_beside_a_paper(gaps, said):
    rows = [{"source": "table 1", "against_paper": gap} for gap in gaps]
    ours_alone = {"source": None, "against_paper": None}
    paper = Table("x", (), (*[row for row in rows if row["against_paper"]], ours_alone))
    not_run = Table("x", (), tuple(row for row in rows if not row["against_paper"]))
    assert headline({"paper": paper, "not_run": not_run}, Swept()) == said
