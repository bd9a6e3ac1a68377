"""Calibration around a run: a record of a trace, thresholds of a run, a record in a run."""

import json
from dataclasses import replace

import numpy as np
import pytest

from ee_jax.calibration.certify import certify
from ee_jax.calibration.choice import Choice, exits_taken
from ee_jax.calibration.describe import describe
from ee_jax.calibration.request import trial
from ee_jax.calibration.trace import Trace
from ee_jax.calibration.trials import Splits
from ee_jax.config import Calibration, Exits, Experiment
from ee_jax.errors import UserError
from ee_jax.evaluation.metrics import accuracy
from ee_jax.runs.calibrate import Request, calibrate, write
from ee_jax.runs.run import run
from ee_jax.tasks.calibrator import Setting, check_exits, load_record, recorded, settings
from ee_jax.tasks.classification.thresholds import Calibrator

LAYERS = (1, 2)
REQUEST = Request(level=0.3, delta=0.1)


def trace_of(examples=200, seed=0, **header):
    rng = np.random.default_rng(seed)
    confidence_NE = rng.random((examples, 2), np.float32)
    wrong_NE = rng.random((examples, 2)) < (0.5, 0) * (1 - confidence_NE)
    header = {"confidence": "max_prob", **header}
    return Trace(
        confidence_NE,
        wrong_NE.astype(float),
        np.array(LAYERS),
        wrong_NE.astype(int),
        np.zeros(examples, int),
        header,
    )


@pytest.fixture
def record(tmp_path):
    """A record of a trace of `joint`, at temperatures of 1, and where it was written."""
    trace_of(model="joint", temperatures=[1.0, 1.0]).save(tmp_path / "trace.npz")
    record = calibrate(tmp_path / "trace.npz", REQUEST, trials=10)
    return record, write(record)[0]


def test_a_record_is_certify_and_trials(record, tmp_path):
    found, _ = record
    trace = Trace.load(tmp_path / "trace.npz")
    choice = certify(trace, "ltt", "consistency", 0.3, 0.1)
    assert found["choice"]["threshold"] == choice.threshold != 1
    assert found["choice"]["calibration_risk"] == choice.risk
    (trials,) = trial(trace, REQUEST, [0.3], Splits(200, 10))
    assert found["trials"]["risk"]["mean"] == trials.risk_S.mean()
    assert found["trials"]["depth"]["median"] == np.median(trials.depth_S)
    assert found["trials"]["above_level"] == np.mean(trials.risk_S > 0.3)
    levels = [row["level"] for row in found["levels"]]
    assert levels == pytest.approx(np.arange(1, 11) * 0.06)


def test_a_record_is_read_as_it_was_written(record):
    found, path = record
    assert load_record(path) == found


@pytest.mark.parametrize("level", [0.0, 1.0])
def test_the_ends_of_the_levels(tmp_path, level):
    trace_of().save(tmp_path / "trace.npz")
    record = calibrate(tmp_path / "trace.npz", Request(level=level), trials=2)
    assert record["choice"]["full_model"] == (level == 0)
    assert all(0 <= row["level"] <= 1 for row in record["levels"])


def broken(path, **changes):
    """The record's file with fields changed, those of its choice too."""
    record = json.loads(path.read_text())
    for key, value in changes.items():
        part = record["choice"] if key in record["choice"] else record
        part[key] = value
    path.write_text(json.dumps(record))
    return path


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": "other"}, "is no record of `ee-jax calibrate`"),
        ({"exit_layers": None}, "is the record of a trace of whole sequences"),
        ({"choice": None}, "`choice` is None"),
        (
            {"threshold": "0.5"},
            "`choice` (invalid value for type, expected float @ $.threshold)",
        ),
        ({"threshold": 1.5}, "a threshold lies in [0, 1], not [1.5]"),
        ({"threshold_E": [0.5, 2.0]}, "a threshold lies in [0, 1], not [0.5, 2.0]"),
        ({"threshold_E": [0.5, 0.6, 1.0]}, "3 thresholds for 2 exits"),
        ({"exit_layers": [2, 4]}, "has exit_layers [2, 4], but the experiment has [1, 2]"),
        ({"patience": 1}, "has patience 1, but the experiment has 0"),
        ({"header": {"confidence": "entropy"}}, "has confidence entropy, but the experiment"),
    ],
)
def test_a_record_that_a_run_cannot_use_is_one_line(record, changes, message):
    path = broken(record[1], **changes)
    with pytest.raises(UserError) as error:
        check_exits(load_record(path), LAYERS, Exits())
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("text", "message"), [(None, "no record at"), ("{", "cannot be read")])
def test_a_record_that_is_no_file_or_no_json(tmp_path, text, message):
    path = tmp_path / "record.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UserError, match=message):
        load_record(path)


def test_a_promise_is_of_the_model_that_was_calibrated(record):
    same = recorded(record[0], "joint", np.ones(2))
    assert (same.label, same.warning) == ("recorded ltt 30 %", "")
    other = recorded(record[0], "frozen", np.array([1.0, 1.1]))
    assert other.warning == (
        "calibrated on a trace of joint: promises nothing of frozen; "
        "calibrated at other temperatures: promises nothing here"
    )


def test_a_run_chooses_for_tolerances_for_methods_at_levels_and_by_the_record(record):
    asked = Calibration(
        tolerances=(0.1,), methods=("ltt", "crc"), levels=(0.2, 0.3), record=str(record[1])
    )
    calibrator = Calibrator(Experiment("x", calibration=asked), LAYERS, accuracy)
    test = trace_of(seed=1)
    chosen = calibrator.choose("joint", trace_of(), test, np.ones(2))
    assert [choice.label for choice in chosen] == [
        "empirical 10 %", "ltt 20 %", "ltt 30 %", "crc 20 %", "crc 30 %", "recorded ltt 30 %"
    ]  # fmt: skip
    for choice in chosen:
        exit_N = exits_taken(test, np.array([choice.threshold]))[0]
        # Here every wrong answer is one unlike the full model's, which is always right.
        lost = test.loss_NE[np.arange(200), exit_N].mean()
        assert choice.test_risk == pytest.approx(lost, rel=1e-12)
        assert choice.test_mean_depth == np.mean(1 + exit_N)


@pytest.mark.parametrize("method", ["clopper_pearson", "conformal"])
def test_methods_that_need_a_risk_of_0_or_1_are_refused_for_a_regression(method):
    asked = Experiment("x", calibration=Calibration(methods=("ltt", method)))
    calibrator = Calibrator(asked, LAYERS, accuracy)
    calibrator.check(regression=False)
    with pytest.raises(UserError, match=f"`calibration.methods` has {method}, which needs"):
        calibrator.check(regression=True)


def test_a_threshold_is_measured_once_with_all_its_labels():
    found = Choice(
        method="ltt", level=0.1, threshold=0.5, risk=0, depth=2, examples=9, ended="found"
    )

    def chosen(label, threshold, threshold_E=None):
        choice = describe(found, "gap")
        return replace(choice, label=label, threshold=threshold, threshold_E=threshold_E)

    measured = settings(
        (0.5, 1.0),
        [chosen("a", 0.7), chosen("b", 0.5), chosen("c", 0.7), chosen("d", 0.5, (0.5, 0.8))],
    )
    assert measured == [
        Setting(0.5, ("b",)),
        Setting(1.0),
        Setting(0.7, ("a", "c")),
        Setting((0.5, 0.8), ("d",)),
    ]


def test_a_run_measures_certified_thresholds_and_those_of_a_record(
    experiment, record, tmp_path
):
    path = broken(record[1], threshold=0.35, threshold_E=[0.35, 1.0])
    asked = Calibration(methods=("ltt",), levels=(0.001, 0.4), record=str(path))
    small = replace(experiment, strategies=experiment.strategies[:1], calibration=asked)
    (strategy,) = run(small, tmp_path / "run").strategies.values()
    labels = ["empirical 1 %", "ltt 0.1 %", "ltt 40 %", "recorded ltt 30 %"]
    chosen = {choice.label: choice for choice in strategy.calibrated}
    assert list(chosen) == labels
    assert chosen["ltt 0.1 %"].full_model
    assert "would do: using the full model" in chosen["ltt 0.1 %"].warning
    points = [point for point in strategy.points if point.calibrated_for]
    shown = [label for point in points for label in point.calibrated_for]
    assert sorted(shown) == sorted(labels)
    for point in points:
        assert point.unlike_trace == 0
        assert point.inconsistency * 35 == pytest.approx(round(point.inconsistency * 35))
        for label in point.calibrated_for:
            assert chosen[label].test_mean_depth == pytest.approx(point.mean_depth)
            if chosen[label].risk == "consistency":
                assert chosen[label].test_risk == pytest.approx(point.inconsistency)
    assert "recorded ltt 30 %" in (tmp_path / "run" / "report.html").read_text()


def test_a_bad_record_stops_a_run_before_it_trains(experiment, record, tmp_path):
    path = broken(record[1], exit_layers=[3, 6])
    asked = replace(experiment, calibration=Calibration(record=str(path)))
    with pytest.raises(UserError, match="calibrate a trace of this model"):
        run(asked, tmp_path / "run")
    assert not list((tmp_path / "run").glob("*/metrics.jsonl"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"levels": (0.05, 2.0)}, "`calibration.levels` must lie in [0, 1]"),
        ({"delta": 0.0}, "`calibration.delta` must be in (0, 1)"),
        ({"methods": ("lttt",)}, "`calibration.methods` names no method 'lttt': did you mean"),
        ({"risk": "regret"}, "`calibration.risk` names no risk 'regret': there are gap"),
    ],
)
def test_the_config_checks_itself(changes, message):
    with pytest.raises(UserError) as error:
        Calibration(**changes)
    assert message in str(error.value)
