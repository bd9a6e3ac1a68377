"""Traces against NumPy in float64, and against what the compiled program does."""

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from scipy.special import expit, softmax

from ee_jax.calibration.choice import exits_taken
from ee_jax.compilation import data_mesh
from ee_jax.data.batches import evaluation_batches
from ee_jax.evaluation.passes import Passes, Programs
from ee_jax.evaluation.traces import ForwardPass, fit_temperatures, trace_of
from ee_jax.exits.output import ExitOutput
from ee_jax.exits.stopping import Stopping, make_limits
from ee_jax.models.exit_model import ExitModel
from ee_jax.models.families.bert import bert
from ee_jax.models.heads import ExitDesign
from ee_jax.models.transformer import Transformer, parameters

LAYERS, TEMPERATURE_E = (1, 3, 4), np.array([0.5, 1.0, 3.0])
LABEL_N = np.array([0, 1, 2, 3, 0])


@pytest.fixture(scope="module")
def answer() -> ExitOutput:
    """Three exits' answers to five examples."""
    draw = np.random.default_rng(0)
    shapes = (3, 5, 4), (3, 5, 6), (3, 5)
    logits, feature, score = (jnp.asarray(draw.normal(size=s), jnp.float32) for s in shapes)
    return ExitOutput(3 * logits, feature, score)


def numpy_confidence(kind: str, answer: ExitOutput) -> np.ndarray:
    """[N, E], one exit and example at a time."""
    logits, feature, score = (np.asarray(part, np.float64) for part in answer)
    confidence_NE = np.zeros((5, 3))
    for n in range(5):
        for e in range(3):
            p = softmax(logits[e, n] / TEMPERATURE_E[e])
            top, second = sorted(p)[:-3:-1]
            here, before = feature[e, n], feature[e - 1, n] if e else np.zeros(6)
            length = np.linalg.norm(here) * np.linalg.norm(before)
            confidence_NE[n, e] = {
                "max_prob": top,
                "margin": top - second,
                "entropy": 1 + (p * np.log(p)).sum() / np.log(4),
                "saturation": max(0, here @ before / length) if length else 0,
                "learned": expit(score[e, n]),
            }[kind]
    return confidence_NE


@pytest.mark.parametrize("kind", ["max_prob", "margin", "entropy", "saturation", "learned"])
def test_a_trace_by_hand(answer, kind):
    trace = trace_of(answer, LABEL_N, LAYERS, kind, TEMPERATURE_E, split="test")
    expected_NE = numpy_confidence(kind, answer)
    # fp32; a margin is the difference of two numbers of size 1.
    np.testing.assert_allclose(trace.confidence_NE, expected_NE, rtol=1e-5, atol=1e-6)
    prediction_NE = np.asarray(answer.logits).argmax(-1).T
    np.testing.assert_array_equal(trace.prediction_NE, prediction_NE)
    np.testing.assert_array_equal(trace.loss_NE, prediction_NE != LABEL_N[:, None])
    np.testing.assert_array_equal(trace.label_N, LABEL_N)
    assert trace.depth_E.tolist() == list(LAYERS)
    assert trace.header == {"confidence": kind, "split": "test"}


def test_a_trace_can_be_kept(answer, tmp_path):
    trace = trace_of(answer, LABEL_N, LAYERS, "max_prob", TEMPERATURE_E)
    trace.save(tmp_path / "trace.npz")
    kept = type(trace).load(tmp_path / "trace.npz")
    for name, column in trace.columns().items():
        np.testing.assert_array_equal(kept.columns()[name], column)


def test_temperatures_are_found_for_each_exit():
    """Labels drawn at known temperatures; logits twice as large have twice the temperature."""
    draw = np.random.default_rng(0)
    logits_NC = 2 * draw.normal(size=(2000, 4))
    p_NC = softmax(logits_NC / 1.5, axis=1)
    label_N = (draw.random((2000, 1)) > p_NC.cumsum(1)).sum(1)
    answer = ExitOutput(jnp.asarray(np.stack([logits_NC, 2 * logits_NC]), jnp.float32))
    first, second = fit_temperatures(answer, label_N)
    assert first == pytest.approx(1.5, rel=0.1)  # 2,000 draws
    assert second == pytest.approx(2 * first, rel=1e-6)


def test_the_compiled_program_stops_where_the_trace_says():
    """At thresholds that tell two examples apart, with temperatures and patience.

    They lie between two confidences that fp32 tells apart: one that is equal to a confidence
    is decided by the last bit, which two programs may round each its way.
    """
    config, rngs = bert(20, 8, 3, 2, 16, 8), nnx.Rngs(0)
    design = ExitDesign((1, 2, 3), classes=3)
    model = ExitModel(Transformer(config, rngs=rngs), design, rngs=rngs)
    values, mesh = parameters(model), data_mesh(1)
    draw = np.random.default_rng(0)
    rows = [draw.integers(20, size=size, dtype=np.int32) for size in draw.integers(1, 9, 13)]
    label_N = draw.integers(3, size=13).astype(np.int32)
    batches = list(evaluation_batches(rows, label_N, lengths=(8,), batch=2))
    forward = ForwardPass(model, mesh)
    answer = forward.answers(values, forward.features(values, batches, 13))
    trace = trace_of(answer, label_N, design.layers, "max_prob", TEMPERATURE_E)
    confidences = np.unique(trace.confidence_NE)
    apart = np.diff(confidences) > 1e-5
    thresholds = ((confidences[1:] + confidences[:-1]) / 2)[apart][::5]
    assert len(thresholds) > 3
    limits = [make_limits(t, design.layers, TEMPERATURE_E) for t in thresholds]
    for stopping in (Stopping(), Stopping(patience=1)):
        programs = Programs(model, mesh, "max_prob", stopping)
        passes = Passes(programs, values, limits, batches)
        expected_KN = exits_taken(trace, thresholds, stopping)
        for k in range(len(thresholds)):
            exit_N, prediction_N = passes.answers(k, 13, lambda: None)
            np.testing.assert_array_equal(exit_N, expected_KN[k])
            assert trace.prediction_NE is not None
            taken_N = trace.prediction_NE[np.arange(13), exit_N]
            np.testing.assert_array_equal(prediction_N, taken_N)


def test_a_trace_of_a_regression_by_hand(answer):
    """One logit, which is the answer; losses are squares over the squared range, at most 1."""
    answer = answer._replace(logits=answer.logits[..., :1])
    label_N = np.array([-1.5, 0, 0.25, 1, 1.5], np.float32)
    trace = trace_of(answer, label_N, LAYERS, "saturation", np.ones(3), (-2, 2), split="test")
    prediction_NE = np.asarray(answer.logits)[..., 0].T
    np.testing.assert_array_equal(trace.prediction_NE, prediction_NE)
    off_NE = prediction_NE.astype(float) - label_N.astype(float)[:, None]
    assert (np.abs(off_NE) > 4).any()
    expected_NE = np.where(np.abs(off_NE) > 4, 1, off_NE**2 / 16)
    np.testing.assert_allclose(trace.loss_NE, expected_NE, rtol=1e-12)
    assert trace.header == {"confidence": "saturation", "label_range": [-2, 2], "split": "test"}
    assert trace.label_range == (-2, 2)
