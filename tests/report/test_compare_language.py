"""Language models' runs side by side, made by hand; nothing here was measured."""

import copy

import pytest

from ee_jax.errors import UserError
from ee_jax.report import text
from ee_jax.report.compare import comparison


def point(confidence, policy, threshold, perplexity, depth, calibrated_for=()):
    return {
        "confidence": confidence,
        "policy": policy,
        "threshold": threshold,
        "perplexity": perplexity,
        "agreement": 1 - (threshold < 1) * 0.1,
        "mean_depth": depth,
        "ideal_speedup": 4 / depth,
        "flops_speedup": 0.9 * 4 / depth,
        "exit_counts": [],
        "calibrated_for": [*calibrated_for],
    }


def choice(label, confidence, policy, threshold, depth):
    return {
        "label": label,
        "confidence": confidence,
        "policy": policy,
        "threshold": threshold,
        "calibration_mean_depth": depth,
    }


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


DISTILL = {
    "full_perplexity": 3.0,
    "tokens": 2048,
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
    "full_perplexity": 2.5,
    "tokens": 2048,
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
    "data": {
        "name": "text/stories",
        "version": "1.0.0",
        "length": 128,
        "checksum": {"train": "a" * 64, "test": "b" * 64},
    },
    "model": {"blocks": 4, "vocabulary": 512},
    "strategies": {"distill": DISTILL, "frozen": FROZEN},
}


@pytest.fixture
def results():
    return copy.deepcopy(RESULTS)


def test_one_line_a_run_and_strategy(results):
    """At most 3.03: both margins run 2.5 blocks, and `propagate` does at less perplexity."""
    owner = ["0123456789ab", "1.0.0"]
    assert comparison([results]).cells() == [
        ["stories", "distill", "3.00", "margin 0.90, propagate", "90.0", "2.50/4", "1.60",
         "1.31", "62.5", *owner],
        ["stories", "frozen", "2.50", "no gain", *[text.DASH] * 3, "0.80, no gain", text.DASH,
         *owner],
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("tolerance", "depth"), [(0.001, None), (0.004, 2.5), (0.01, 2.5), (0.15, 1.6), (2.0, 1.0)]
)
def test_the_least_depth_obeys_the_tolerance(results, tolerance, depth):
    table = comparison([results], tolerance)
    assert table.rows[0]["mean_depth"] == depth
    assert f"at most {100 * tolerance:g} % higher" in table.notes[0]


def test_drafts_only_where_a_run_drafts(results):
    """A run without speculation beside one with it has dashes; alone, no columns."""
    other = copy.deepcopy(results) | {"name": "plain"}
    for strategy in other["strategies"].values():
        strategy["speculation"] = []
    assert comparison([results, other]).cells()[2][7:9] == [text.DASH, text.DASH]
    alone = comparison([other])
    assert len(alone.columns) == len(comparison([results]).columns) - 2
    assert [*alone.rows[0]] == [*comparison([results]).rows[0]]
    assert "Drafting" not in " ".join(alone.notes)


def test_what_keeps_runs_from_being_compared(results):
    assert len(comparison([results, copy.deepcopy(results)]).notes) == 2
    other = copy.deepcopy(results)
    other["device"] = "1 x gpu: Other"
    other["data"]["checksum"]["test"] = "c" * 64
    other["model"]["vocabulary"] = 1024
    other["strategies"]["distill"]["tokens"] = 2000
    assert comparison([results, other]).notes[2:] == (
        "Not comparable, the data differ: "
        "text/stories 1.0.0 (checksum test bbbbbbbbbbbb, train aaaaaaaaaaaa); "
        "text/stories 1.0.0 (checksum test cccccccccccc, train aaaaaaaaaaaa).",
        "Perplexity is not comparable, the tokens differ: "
        "2,048 of a vocabulary of 512 in rows of 128; "
        "2,000 of a vocabulary of 1,024 in rows of 128.",
        "Speed is not comparable, the devices differ: 1 x cpu: Example; 1 x gpu: Other.",
    )


def test_the_points_that_a_calibration_chose(results):
    """ltt 5 %: the least depth is picked on the calibration split, whatever the test says."""
    table = comparison([results], calibration="ltt 5 %")
    assert "that ltt 5 % chose on the calibration split" in table.notes[0]
    distill, frozen = table.cells()
    assert distill[3:7] == ["max_prob 0.90, propagate", "90.0", "3.20/4", "1.25"]
    assert frozen[3:7] == [text.DASH] * 4
    full = comparison([results], calibration="ltt 2 %").cells()[0]
    assert full[3:7] == ["full model", "100.0", "4.00/4", "1.00"]


def test_an_unknown_calibration_is_one_line(results):
    known = "ltt 2 %, ltt 5 %"
    with pytest.raises(UserError, match=f"no calibration `ltt` in .* choose from {known}"):
        comparison([results], calibration="ltt")
