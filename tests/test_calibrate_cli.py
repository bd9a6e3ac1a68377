"""`ee-jax calibrate`: what it prints and writes, and its one-line errors."""

import json
from pathlib import Path

import numpy as np
import pytest

from ee_jax.calibration.certify import certify
from ee_jax.calibration.sequences import SequenceTrace
from ee_jax.calibration.trace import Trace
from ee_jax.cli import main

EXAMPLES, LAYERS = 300, [2, 4, 6]


def columns(examples=EXAMPLES):
    """The surer an exit, the seldomer its answer is unlike the last exit's."""
    rng = np.random.default_rng(0)
    confidence_NE = rng.random((examples, 3))
    bad_NE = rng.random((examples, 3)) < (0.5, 0.3, 0) * (1 - confidence_NE)
    return {
        "confidence_NE": confidence_NE,
        "loss_NE": bad_NE.astype(float),
        "depth_E": np.array(LAYERS),
        "prediction_NE": bad_NE.astype(int),
    }


@pytest.fixture
def write(tmp_path):
    """Writes columns as anybody would, without this project's code."""

    def write(**changes) -> str:
        path = tmp_path / "foreign.npz"
        kept = {k: v for k, v in {**columns(), **changes}.items() if v is not None}
        np.savez(path, **kept)
        return str(path)

    return write


@pytest.fixture
def calibrate(capsys):
    """Runs the command; returns what it printed, and the files that it names."""

    def calibrate(*arguments) -> tuple[str, list[Path]]:
        main(["calibrate", *arguments])
        out, err = capsys.readouterr()
        return out, [Path(line) for line in err.splitlines()]

    return calibrate


def error_of(capsys, *arguments) -> str:
    with pytest.raises(SystemExit) as left:
        main(["calibrate", *arguments])
    out, err = capsys.readouterr()
    assert left.value.code == 2
    assert out == ""
    assert err.count("\n") == 1
    return err.removeprefix("ee-jax: ").strip()


def test_the_table_and_the_files_beside_the_trace(write, calibrate):
    path = write()
    out, files = calibrate(path, "--level", "0.1", "--trials", "20")
    choice = certify(Trace.load(path), "ltt", "consistency", 0.1)
    assert f"threshold       {choice.threshold:.2f}" in out
    assert "risk at most 10 % for at least 95 % of calibration sets" in out
    assert "20 random splits: 150 to calibrate, 150 held out" in out
    stem = "foreign-ltt-consistency-0.1"
    assert files == [Path(path).with_name(f"{stem}.json"), Path(path).with_name(f"{stem}.png")]
    assert files[1].read_bytes()[:4] == b"\x89PNG"


@pytest.mark.parametrize(
    "more",
    [
        [],
        ["--method", "crc", "--risk", "gap", "--level", "0.1"],
        ["--method", "empirical"],
        ["--method", "conformal_per_exit", "--level", "0.3"],
        ["--per-exit", "greedy", "--level", "0.2"],
        ["--depth", "4"],
        ["--min-depth", "4", "--patience", "1"],
        ["--method", "crc_paper", "--share", "0.8"],
        ["--risk", "signed_gap", "--method", "ucb", "--level", "0.2"],
    ],
)
def test_json_is_the_record(write, calibrate, tmp_path, more):
    out, files = calibrate(write(), *more, "--trials", "2", "--json", "--output", str(tmp_path))
    record = json.loads(out)
    assert record == json.loads(files[0].read_text())
    assert files[0].parent == tmp_path
    assert record["exit_layers"] == LAYERS
    assert 0 <= record["choice"]["threshold"] <= 1
    assert record["trials"]["splits"] == 2
    assert record["choice"]["level"] in [row["level"] for row in record["levels"]]


def test_a_budget_is_kept_on_the_trace(write, calibrate):
    out, _ = calibrate(write(), "--depth", "4", "--json", "--trials", "5")
    choice = json.loads(out)["choice"]
    assert choice["calibration_mean_depth"] <= 4
    assert choice["label"] == "budget 4 blocks"
    assert choice["certified_risk"] is None


def test_a_trace_of_whole_sequences(tmp_path, calibrate):
    loss_NK = np.tile([0.0, 0.0, 1.0], (200, 1))
    depth_NK = np.tile([8.0, 4.5, 2.0], (200, 1))
    SequenceTrace(np.array([1.0, 0.7, 0.4]), loss_NK, depth_NK).save(tmp_path / "s.npz")
    out, _ = calibrate(str(tmp_path / "s.npz"), "--json", "--trials", "5")
    record = json.loads(out)
    assert record["choice"]["threshold"] == 0.7
    assert record["exit_layers"] is None
    assert record["full_depth"] == 8
    assert record["trials"]["depth"]["mean"] == 4.5


def test_too_few_examples_give_the_full_model_and_say_how_many_would_do(write, calibrate):
    out, files = calibrate(write(), "--level", "0.001", "--trials", "2")
    assert "1.00 (the full model)" in out
    assert "2,995 would do" in " ".join(out.split())
    choice = json.loads(files[0].read_text())["choice"]
    assert choice["full_model"]
    assert choice["certified_risk"] == 0
    assert choice["ended"] == "too few examples"


def test_one_example_has_no_trials(tmp_path, calibrate):
    np.savez(tmp_path / "one.npz", **columns(1))
    out, files = calibrate(str(tmp_path / "one.npz"))
    assert "on 1 example, 59 would" in " ".join(out.split())
    assert [path.suffix for path in files] == [".json"]
    assert json.loads(files[0].read_text())["trials"] is None


NAN_NE = columns()["confidence_NE"].copy()
NAN_NE[7, 1] = np.nan


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"loss_NE": None}, "column `loss_NE` is missing: a trace needs"),
        ({"loss_NE": np.zeros((9, 3))}, "`loss_NE` has 9 examples but `confidence_NE` has 300"),
        ({"depth_E": np.array([2, 4])}, "`depth_E` has 2 exits but `confidence_NE` has 3"),
        (
            {"loss_NE": np.full((EXAMPLES, 3), 1.5)},
            "`loss_NE` is 1.5 at example 0, exit 0, not",
        ),
        (
            {"confidence_NE": NAN_NE},
            "`confidence_NE` is nan at example 7, exit 1, not in [0, 1]",
        ),
        ({"prediction_NE": None}, "consistency needs `prediction_NE`: write it, or use"),
    ],
)
def test_a_bad_trace_is_one_line(write, capsys, changes, message):
    path = write(**changes)
    assert message in error_of(capsys, path)
    assert not list(Path(path).parent.glob("*.json"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--method", "lttt"], "no method `lttt`: choose from empirical, naive, ltt"),
        (["--risk", "regret"], "no risk `regret`: choose from gap, signed_gap, consistency"),
        (["--level", "2"], "level is 2.0: choose a risk in [0, 1]"),
        (["--level", "nan"], "'nan' is no finite number"),
        (["--delta", "0"], "delta is 0.0: choose a chance between 0 and 1"),
        (["--per-exit", "best"], "no search `best`: choose from greedy, pareto"),
        (["--per-exit", "greedy", "--method", "conformal"], "conformal walks no path"),
        (["--per-exit", "greedy", "--depth", "4"], "a budget is kept by one threshold"),
        (["--depth", "1"], "no mean depth of 1: the smallest threshold, 0, runs 2.00 blocks"),
        (["--depth", "0"], "the budget is 0.0 blocks: allow at least one"),
        (["--depth", "4", "--level", "0.1"], "leave out --level"),
        (["--depth", "4", "--method", "crc"], "not allowed with argument"),
        (["--min-depth", "0"], "min_depth is 0, of 3 exits and 6 blocks: choose from 1 to 6"),
        (["--min-depth", "99"], "min_depth is 99, of 3 exits and 6 blocks"),
        (["--patience", str(10**30)], "of 3 exits and 6 blocks: choose from 0 to 3"),
        (["--patience", "-1"], "patience is -1, of 3 exits"),
        (["--share", "0"], "share is 0.0: calibrate on more than 0, less than 1"),
        (["--share", "0.001"], "share is 0.001, which calibrates on 0 of 300 examples"),
        (
            ["--share", "0.004", "--per-exit", "greedy"],
            "on 1 example, and a search halves them",
        ),
        (["--trials", str(10**12)], "is too large: give one below 2^31"),
        (["--trials", str(10**7)], "ask for 1 to 1,000,000"),
        (["--method", "conformal", "--risk", "signed_gap"], "a risk of 0 or 1: use crc"),
        (["--method", "clopper_pearson", "--risk", "signed_gap"], "needs a risk of 0 or 1"),
        (["--trials", "0"], "'0' is no whole number above 0"),
    ],
)
def test_a_bad_request_is_one_line(write, capsys, arguments, message):
    assert message in error_of(capsys, write(), *arguments)


def test_a_trace_that_is_not_there(capsys, tmp_path):
    assert error_of(capsys, str(tmp_path / "no.npz")).startswith("no trace at ")


def test_a_folder_that_cannot_be_made(write, capsys, tmp_path):
    (tmp_path / "file").write_text("")
    assert "give another output folder" in error_of(
        capsys, write(), "--trials", "1", "--output", str(tmp_path / "file")
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "consistency is measured from the full model, whose `loss_NK` is not 0"),
        (["--risk", "gap", "--per-exit", "greedy"], "no exits for ltt for each exit"),
        (["--risk", "gap", "--method", "conformal"], "no exits for conformal"),
        (["--risk", "gap", "--patience", "1"], "no exits for a rule, min_depth or"),
    ],
)
def test_what_whole_sequences_cannot_answer(tmp_path, capsys, arguments, message):
    path, half_NK = tmp_path / "s.npz", np.full((20, 2), 0.5)
    SequenceTrace(np.array([1.0, 0.7]), half_NK, half_NK + 1).save(path)
    assert message in error_of(capsys, str(path), *arguments)
