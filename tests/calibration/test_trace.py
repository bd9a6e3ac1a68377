import json
import re
from dataclasses import replace

import numpy as np
import pytest

from ee_jax.calibration.columns import HEADER, validate
from ee_jax.calibration.trace import Trace
from ee_jax.errors import UserError


def smallest():
    return {
        "confidence_NE": np.array([[0.2, 1.0], [0.5, 0.9], [0.0, 0.3]]),
        "loss_NE": np.array([[1.0, 0.0], [0.0, 0.0], [0.25, 1.0]]),
        "depth_E": np.array([4, 8]),
    }


def whole():
    optional = {
        "prediction_NE": np.array([[1, 0], [2, 2], [1, 1]]),
        "label_N": np.array([0, 2, 3]),
    }
    return {**smallest(), **optional}


def write(path, columns):
    with path.open("wb") as file:
        np.savez(file, allow_pickle=False, **columns)


def one_line(message):
    return f"^{re.escape(message)}$"


def test_a_trace_comes_back_from_its_file(tmp_path):
    header = {"data": "stdlib_docstrings", "split": "validation", "confidence": "max_prob"}
    trace = replace(Trace.of(whole()), header=header)
    trace.save(tmp_path / "trace.npz")
    back = Trace.load(tmp_path / "trace.npz")
    assert back.header == {**header, **HEADER}
    for name, column in whole().items():
        np.testing.assert_array_equal(back.columns()[name], column.astype(np.float32))


def test_a_trace_made_by_anybody_needs_three_columns_and_may_have_more(tmp_path):
    write(tmp_path / "theirs.npz", {**smallest(), "entropy_NE": np.zeros((3, 2))})
    trace = Trace.load(tmp_path / "theirs.npz")
    assert trace.header == {}
    assert trace.columns().keys() == smallest().keys()
    assert trace.full_loss_N.tolist() == [0, 0, 1]


def test_confidences_are_float32_as_in_the_compiled_loop_and_losses_are_not():
    trace = Trace.of({**smallest(), "loss_NE": np.full((3, 2), 0.1)})
    assert trace.confidence_NE.dtype == np.float32
    assert trace.loss_NE[0, 0] == 0.1


def test_true_and_false_are_losses():
    trace = Trace.of({**smallest(), "loss_NE": np.array([[True, False]] * 3)})
    assert trace.loss_NE[0].tolist() == [1, 0]


def test_some_examples_of_a_trace():
    part = Trace.of(whole()).take(np.array([2, 0]))
    assert part.label_N is not None
    assert part.label_N.tolist() == [3, 0]
    assert part.loss_NE.tolist() == [[0.25, 1], [1, 0]]
    assert part.depth_E.tolist() == [4, 8]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "trace.npz"
    (tmp_path / "trace.npz.part").write_bytes(b"of a process that was killed")
    Trace.of(smallest()).save(path)
    before = path.read_bytes()

    def full_disk(file, **columns):
        file.write(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr(np, "savez", full_disk)
    with pytest.raises(UserError, match=r"cannot write .*No space left"):
        Trace.of(whole()).save(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def change(name, index, value):
    column = whole()[name].astype(float)
    column[index] = value
    return {name: column}


BAD = {
    "no losses": (
        {"loss_NE": None},
        "column `loss_NE` is missing: a trace needs confidence_NE, loss_NE, depth_E",
    ),
    "one confidence an example": (
        {"confidence_NE": np.zeros(3)},
        "column `confidence_NE` has 1 axes: make it examples x exits",
    ),
    "text": (
        {"loss_NE": np.full((3, 2), "0.5")},
        "column `loss_NE` is <U3: write numbers",
    ),
    "another number of examples": (
        {"loss_NE": np.zeros((4, 2))},
        "column `loss_NE` has 4 examples but `confidence_NE` has 3: write both anew",
    ),
    "another number of exits": (
        {"depth_E": np.array([2, 4, 8])},
        "column `depth_E` has 3 exits but `confidence_NE` has 2: write both anew",
    ),
    "labels of other examples": (
        {"label_N": np.zeros(2, int)},
        "column `label_N` has 2 examples but `confidence_NE` has 3: write both anew",
    ),
    "no examples": (
        {"confidence_NE": np.zeros((0, 2))},
        "column `confidence_NE` has no examples: write at least one",
    ),
    "a confidence that is not a number": (
        change("confidence_NE", (2, 1), np.nan),
        "column `confidence_NE` is nan at example 2, exit 1, not in [0, 1]: "
        "a sigmoid brings any score there",
    ),
    "an infinite confidence": (
        change("confidence_NE", (0, 1), np.inf),
        "column `confidence_NE` is inf at example 0, exit 1, not in [0, 1]: "
        "a sigmoid brings any score there",
    ),
    "a loss that is not a number": (
        change("loss_NE", (1, 0), np.nan),
        "column `loss_NE` is nan at example 1, exit 0, not in [0, 1]: "
        "divide by the largest loss there can be",
    ),
    "a loss above 1": (
        change("loss_NE", (1, 0), 1.5),
        "column `loss_NE` is 1.5 at example 1, exit 0, not in [0, 1]: "
        "divide by the largest loss there can be",
    ),
    "a loss below 0": (
        change("loss_NE", (1, 0), -0.5),
        "column `loss_NE` is -0.5 at example 1, exit 0, not in [0, 1]: "
        "divide by the largest loss there can be",
    ),
    "a depth twice": (
        {"depth_E": np.array([8, 8])},
        "column `depth_E` is 8 at exit 1, "
        "but counts the blocks run at each exit: write e.g. [4, 8]",
    ),
    "a depth of half a block": (
        {"depth_E": np.array([0.5, 8])},
        "column `depth_E` is 0.5 at exit 0, "
        "but counts the blocks run at each exit: write e.g. [4, 8]",
    ),
    "probabilities for predictions": (
        {"prediction_NE": np.full((3, 2), 0.75)},
        "column `prediction_NE` is 0.75 at example 0, exit 0, "
        "not the number of a class: write the most probable one's, or of a regression the "
        "header's label_range",
    ),
}


@pytest.mark.parametrize("mistake", BAD)
def test_a_bad_column_is_one_line_that_names_file_column_and_cure(mistake, tmp_path):
    changed, message = BAD[mistake]
    columns = {k: v for k, v in {**whole(), **changed}.items() if v is not None}
    path = tmp_path / "bad.npz"
    write(path, columns)
    with pytest.raises(UserError, match=one_line(f"{path}: {message}")):
        Trace.load(path)
    with pytest.raises(UserError, match=one_line(f"mine: {message}")):
        validate(columns, "mine")


def test_a_bad_trace_is_not_written(tmp_path):
    path = tmp_path / "trace.npz"
    bad = replace(Trace.of(smallest()), depth_E=np.array([8, 4]))
    with pytest.raises(UserError, match=r"^the trace for .*: column `depth_E`"):
        bad.save(path)
    assert not path.exists()


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("not JSON", "column `header` is no JSON object: write a JSON object, or leave it out"),
        ("[1]", "column `header` is no JSON object: write a JSON object, or leave it out"),
        (
            json.dumps({**HEADER, "version": 2}),
            'column `header` says {"format": "ee_jax trace", "version": 2}: '
            'this version reads {"format": "ee_jax trace", "version": 1}',
        ),
    ],
)
def test_a_header_that_cannot_be_read(header, message, tmp_path):
    write(tmp_path / "t.npz", {**smallest(), "header": np.array(header)})
    with pytest.raises(UserError, match=one_line(f"{tmp_path / 't.npz'}: {message}")):
        Trace.load(tmp_path / "t.npz")


def test_files_that_are_no_traces(tmp_path):
    with pytest.raises(UserError, match=r"^no trace at .*: check the path"):
        Trace.load(tmp_path / "none.npz")
    (tmp_path / "text.npz").write_text("confidence, loss")
    np.save(tmp_path / "one.npy", np.zeros(3))
    np.savez(tmp_path / "pickled.npz", confidence_NE=np.array([{}], dtype=object))
    Trace.of(smallest()).save(tmp_path / "half.npz")
    (tmp_path / "half.npz").write_bytes((tmp_path / "half.npz").read_bytes()[:500])
    (tmp_path / "empty.npz").touch()
    for name in ("text.npz", "one.npy", "pickled.npz", "half.npz", "empty.npz"):
        with pytest.raises(UserError, match=r"is no \.npz of plain arrays: write it"):
            Trace.load(tmp_path / name)
    with pytest.raises(UserError, match=r"^cannot read .*Is a directory.*: check the path$"):
        Trace.load(tmp_path)
    with pytest.raises(UserError, match=r"^cannot write .*: make room .* choose another path$"):
        Trace.of(smallest()).save(tmp_path / "text.npz" / "trace.npz")


def of_regression(label_range=(0, 5)):
    numbers = {
        "prediction_NE": np.array([[0.5, 1.25], [2.0, 2.5], [6.0, 4.0]]),
        "label_N": np.array([0.4, 2.0, 5.0]),
    }
    header = np.array(json.dumps({"label_range": label_range}))
    return {**smallest(), **numbers, "header": header}


def test_a_regression_has_numbers_for_answers_and_a_range(tmp_path):
    trace = Trace.of(of_regression())
    assert trace.label_range == (0, 5)
    trace.save(tmp_path / "trace.npz")
    back = Trace.load(tmp_path / "trace.npz")
    assert back.label_range == (0, 5)
    np.testing.assert_array_equal(
        back.prediction_NE, np.float32(of_regression()["prediction_NE"])
    )
    np.testing.assert_array_equal(back.label_N, np.array([0.4, 2, 5], np.float32))
    assert Trace.of(whole()).label_range is None


@pytest.mark.parametrize("given", [[5, 0], [0], "0 to 5", [0, "5"], 5])
def test_a_range_is_two_numbers_that_rise(given):
    with pytest.raises(
        UserError, match=r"^mine: the header's label_range is .*e\.g\. \[0, 5\]$"
    ):
        Trace.of(of_regression(given), "mine")


def test_an_answer_that_is_no_number():
    columns = of_regression()
    columns["prediction_NE"][1, 0] = np.nan
    wanted = "mine: column `prediction_NE` is nan at example 1, exit 0, not a number: write"
    with pytest.raises(UserError, match=re.escape(wanted)):
        Trace.of(columns, "mine")
