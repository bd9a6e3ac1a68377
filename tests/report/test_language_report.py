"""Reports and comparisons of language models, made by hand; nothing here was measured."""

import copy
import io

import pytest
from rich.console import Console

from ee_jax.calibration.choice import Choice
from ee_jax.calibration.describe import describe
from ee_jax.errors import UserError
from ee_jax.report import text
from ee_jax.report.compare import comparison
from ee_jax.report.findings import findings, headline
from ee_jax.report.render import to_terminal
from ee_jax.report.report import make_report
from ee_jax.results import to_json
from ee_jax.tasks.language_modeling.thresholds import MEANING
from tests.report.conftest import RESULTS as CLASSIFIED
from tests.report.conftest import made


def point(confidence, policy, threshold, perplexity, depth, calibrated_for=()):
    return {
        "confidence": confidence,
        "policy": policy,
        "threshold": threshold,
        "quality": perplexity,
        "metrics": {"perplexity": perplexity, "agreement": 1 - (threshold < 1) * 0.1},
        "inconsistency": (threshold < 1) * 0.1,
        "mean_depth": depth,
        "ideal_speedup": 4 / depth,
        "flops_speedup": 0.9 * 4 / depth,
        "exit_counts": [50, 50],
        "calibrated_for": [*calibrated_for],
    }


def choice(label, confidence, policy, threshold, depth):
    method = Choice(
        method="ltt", level=float(label.split()[1]) / 100, delta=0.05, threshold=threshold,
        risk=0.01, depth=depth, examples=100, ended="next candidate failed",
    )  # fmt: skip
    return to_json(describe(method, "consistency", confidence, policy)) | {"test_risk": 0.1}


def speculation(batch, speedup, acceptance, same_tokens=True):
    return {
        "depth": 2,
        "drafted": 4,
        "batch": batch,
        "acceptance": acceptance,
        "tokens_a_pass": 2.5,
        "speedup": speedup,
        "same_tokens": same_tokens,
    }


EXITS = [
    {"depth": depth, "metrics": {"perplexity": 12.0 / depth, "agreement": depth / 4}}
    for depth in (2, 4)
]
DISTILL = {
    "full_quality": 3.0,
    "examples": 2048,
    "exits": EXITS,
    "points": [
        point("max_prob", "propagate", 0.5, 3.45, 1.6),
        point("max_prob", "propagate", 0.9, 3.03, 3.2, ["ltt 5 %"]),
        point("max_prob", "propagate", 1.0, 3.0, 4.0, ["ltt 2 %"]),
        point("margin", "copy", 0.9, 3.02, 2.5),
        point("margin", "copy", 0.5, 9.0, 1.0, ["ltt 5 %"]),
        point("margin", "propagate", 0.9, 3.01, 2.5),
    ],
    "calibrated": [
        choice("ltt 2 %", "max_prob", "propagate", 1.0, 4.0),
        choice("ltt 5 %", "margin", "copy", 0.5, 3.5),  # unlike 1.0 on the test split
        choice("ltt 5 %", "max_prob", "propagate", 0.9, 3.1),
    ],
    "speculation": [
        speculation(1, 1.31, 0.625),
        speculation(8, 0.9, 0.5),
        speculation(1, 2.0, 0.9, same_tokens=False),
    ],
}
FROZEN = {
    "full_quality": 2.5,
    "examples": 2048,
    "exits": EXITS,
    "points": [
        point("max_prob", "propagate", 0.5, 40.0, 1.2),
        point("max_prob", "propagate", 0.99, 2.5, 3.9999),  # hardly a token stops
        point("max_prob", "propagate", 1.0, 2.5, 4.0),
    ],
    "calibrated": [],
    "speculation": [speculation(1, 0.8, None)],
}
RESULTS = {
    "name": "stories",
    "task": "language_modeling",
    "config_hash": "0123456789ab",
    "device": "1 x cpu: Example",
    "config": {"evaluation": {"rounds": 2}},
    "versions": {"jax": "0.11.0"},
    "metrics": ["perplexity", "agreement"],
    "risks": {"consistency": MEANING},
    "data": {
        "name": "text/stories",
        "version": "1.0.0",
        "length": 128,
        "rows": {"train": 100, "test": 16},
        "tokens": {"train": 12800, "test": 2048},
        "checksum": {"train": "a" * 64, "test": "b" * 64},
    },
    "model": {"blocks": 4, "vocabulary": 512},
    "strategies": {"distill": DISTILL, "frozen": FROZEN},
}


@pytest.fixture
def results():
    return copy.deepcopy(RESULTS)


def test_one_line_a_run_and_strategy(results):
    """At most 3.03: both margins run 2.5 blocks, and the first of them is shown."""
    owner = ["0123456789ab", "1.0.0"]
    assert comparison([made(results)]).cells() == [
        ["stories", "distill", "perplexity", "3.00", "margin 0.90, copy", "2.50/4", "1.60",
         "1.31", "62.5", *owner],
        ["stories", "frozen", "perplexity", "2.50", *[text.DASH] * 3, "0.80, no gain",
         text.DASH, *owner],
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("tolerance", "depth"), [(0.001, None), (0.004, 2.5), (0.01, 2.5), (0.15, 1.6), (2.0, 1.0)]
)
def test_the_least_depth_obeys_the_tolerance(results, tolerance, depth):
    table = comparison([made(results)], tolerance)
    assert table.rows[0]["mean_depth"] == depth
    assert f"loses at most {100 * tolerance:g} % against" in table.notes[0]


def test_decoding_that_was_timed_shows_the_fastest(results):
    for number, point in enumerate(results["strategies"]["distill"]["points"]):
        point["measured_speedup"] = {"1": 1.3 + 0.1 * number}
    table = comparison([made(results)])
    assert table.cells()[0][4:6] == ["1.80", "2.50/4"]
    assert table.cells()[1][4:6] == [text.DASH, text.DASH]


def test_runs_of_other_tasks_stand_in_one_table(results):
    other = copy.deepcopy(CLASSIFIED)
    table = comparison([made(results), made(other)])
    assert [row["quality"] for row in table.rows] == ["perplexity"] * 2 + ["accuracy"] * 2
    assert table.cells()[0][4:6] == [text.DASH, text.DASH]  # nothing was timed
    assert table.cells()[2][4] == "1.70"
    assert "loses at most 1 % or 1 point against" in table.notes[0]


def test_drafts_only_where_a_run_drafts(results):
    """A run without speculation beside one with it has dashes; alone, no columns."""
    other = copy.deepcopy(results) | {"name": "plain"}
    for strategy in other["strategies"].values():
        strategy["speculation"] = []
    both = comparison([made(results), made(other)])
    assert both.cells()[2][7:9] == [text.DASH, text.DASH]
    alone = comparison([made(other)])
    assert len(alone.columns) == len(both.columns) - 2
    assert "Drafting" not in " ".join(alone.notes)


def test_what_keeps_runs_from_being_compared(results):
    assert len(comparison([made(results), made(copy.deepcopy(results))]).notes) == 2
    other = copy.deepcopy(results)
    other["device"] = "1 x gpu: Other"
    other["data"]["checksum"]["test"] = "c" * 64
    other["model"]["vocabulary"] = 1024
    other["strategies"]["distill"]["examples"] = 2000
    assert comparison([made(results), made(other)]).notes[2:] == (
        "Not comparable, the data differ: "
        "text/stories 1.0.0 (checksum test bbbbbbbbbbbb, train aaaaaaaaaaaa); "
        "text/stories 1.0.0 (checksum test cccccccccccc, train aaaaaaaaaaaa).",
        "Perplexity is not comparable, the tokens differ: "
        "2,048 of a vocabulary of 512 in rows of 128; "
        "2,000 of a vocabulary of 1,024 in rows of 128.",
        "Speed is not comparable, devices or precisions differ: "
        "1 x cpu: Example, float32; 1 x gpu: Other, float32.",
    )


def test_the_points_that_a_calibration_chose(results):
    """ltt 5 %: the least depth is picked on the calibration split, whatever the test says."""
    table = comparison([made(results)], calibration="ltt 5 %")
    assert "ltt 5 %: the threshold that it chose on the calibration split" in table.notes[0]
    distill, frozen = table.cells()
    assert distill[4:7] == ["max_prob 0.90, propagate", "3.20/4", "1.25"]
    assert frozen[4:7] == [text.DASH] * 3
    full = comparison([made(results)], calibration="ltt 2 %").cells()[0]
    assert full[4:7] == ["full model", "4.00/4", "1.00"]


def test_the_report_has_settings_exits_promises_and_drafts(results):
    report = make_report(made(results))
    assert [*report.tables] == ["table", "exits", "calibration", "speculation"]
    assert report.tables["table"].cells()[0] == [
        "distill", "max_prob", "propagate", "0.50", "", "3.45", "90.0", "+15.0 %", "1.60",
        "2.50", "2.25",
    ]  # fmt: skip
    assert report.tables["exits"].cells()[0] == ["distill", "2", "6.00", "50.0"]
    copied = report.tables["calibration"].cells()[1]
    assert copied[:7] == [
        "distill", "margin", "copy", "ltt 5 %", "consistency", "5.0", "5 %"
    ]  # fmt: skip
    notes = report.tables["calibration"].notes
    assert "on the row's own text" in notes[0]
    assert "best of several lines may break it" in notes[2]
    assert "Self-speculation" in report.page
    assert "teacher-forced" in report.page
    first, _ = report.figures["quality_depth.png"].axes
    assert first.get_yscale() == "log"
    assert first.get_ylabel() == "perplexity on the test split"
    bars = report.figures["exit_depths.png"].axes[1]
    assert bars.get_yticklabels()[0].get_text() == "max_prob, propagate: 0.50"


def test_the_terminal_keeps_words_whole(results):
    for point in results["strategies"]["distill"]["points"]:
        point["measured_speedup"] = {"1": 1.25}
    console = Console(width=80, file=io.StringIO(), record=True)
    console.print(to_terminal(make_report(made(results)).tables["table"]))
    lines = console.export_text().splitlines()
    assert max(map(len, lines)) <= 80
    words = {*" ".join(lines).split()}
    assert {"confidence", "propagate", "perplexity"} <= words
    row = next(line.split() for line in lines if "distill" in line)
    assert row[:3] == ["distill", "max_prob", "propagate"]


def test_words_name_the_setting_of_least_depth(results):
    assert headline(made(results)) == (
        "Nothing was gained: within 5 % of the best full model's perplexity of 2.50, nothing "
        "stopped early."
    )
    del results["strategies"]["frozen"]
    assert headline(made(results)) == (
        "Within 5 % of the best full model's perplexity of 3.00, distill ran 2.50 of 4 blocks "
        "(margin above 0.90, copy; FLOPs speed-up 1.44; speed was not measured)."
    )
    certified, fell_back = findings(made(results))
    assert certified == (
        "distill, ltt 5 % (threshold 0.90 of max_prob, propagate): perplexity of 3.03 on the "
        "test split, +1.0 % against the full model, 10.0 % answered unlike it, mean depth 3.20 "
        "of 4."
    )
    assert fell_back.startswith("distill, ltt 2 %: no early exit could be calibrated")


def test_an_unknown_calibration_is_one_line(results):
    known = "ltt 2 %, ltt 5 %"
    with pytest.raises(UserError, match=f"no calibration `ltt` in .* choose from {known}"):
        comparison([made(results)], calibration="ltt")
