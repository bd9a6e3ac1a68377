"""A stage from its first step to its last."""

import re
from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest

from ee_jax.calibration.scores import auroc
from ee_jax.config import Frozen, Joint, Learned, OptimizerConfig
from ee_jax.errors import UserError
from ee_jax.losses.batch_losses import classifier_losses
from ee_jax.models.transformer import bind
from ee_jax.training.fit import Examples, StageFit, steps_of
from ee_jax.training.strategies import stages
from tests.training.layouts import exits

FIT = OptimizerConfig(epochs=3.0, batch=8, learning_rate=1e-3, head_learning_rate=1e-2)


def joint(**changes):
    return stages(Joint(fit=replace(FIT, **changes)), exits(2))[0]


def heads(**changes):
    return stages(Frozen(fit=replace(FIT, **changes)), exits(2))[0]


@pytest.fixture
def make_fit(model, mesh):
    """A stage on 32 examples."""
    return lambda stage, dropout=0.0: StageFit(
        stage, classifier_losses(model), 32, mesh, dropout
    )


def test_steps_are_the_epochs_rounded_up():
    # 2.5 epochs of 10 examples are 25, in batches of 4.
    assert steps_of(replace(FIT, epochs=2.5, batch=4), 10) == 7
    assert steps_of(replace(FIT, epochs=0.1, batch=32), 10) == 1


def test_a_fit_counts_its_steps_and_leaves_the_callers_parameters(make_fit, values, features):
    fit = make_fit(heads())
    before = {path: np.array(value) for path, value in values.items()}
    points = [point.step for point in fit.run(*fit.start(values), features, seed=0)]
    assert points == list(range(1, fit.steps + 1)) == list(range(1, 13))
    assert fit.compile_seconds > 0
    for path, value in values.items():
        np.testing.assert_array_equal(value, before[path])


def test_a_fit_learns_and_its_seed_decides_every_loss(make_fit, values, examples):
    fit = make_fit(joint(epochs=10.0), dropout=0.1)

    def losses(seed):
        return [float(p.metrics.loss) for p in fit.run(*fit.start(values), examples, seed)]

    first = losses(0)
    assert np.mean(first[-4:]) < 0.8 * np.mean(first[:4])
    assert losses(0) == first
    assert losses(1) != first


def test_features_made_once_give_the_losses_of_the_full_forward_pass(
    make_fit, values, examples, features
):
    once = make_fit(heads())
    again = make_fit(heads())  # the same stage, on tokens
    runs = [fit.run(*fit.start(values), read, seed=0)
            for fit, read in ((once, features), (again, examples))]  # fmt: skip
    for quick, slow in zip(*runs, strict=True):
        # fp32, two programs that add in another order, and 12 steps in which it grows.
        np.testing.assert_allclose(quick.metrics.loss_E, slow.metrics.loss_E, rtol=1e-4)


def test_a_learned_confidence_finds_out_which_answers_are_right(make_fit, model, values):
    """Half the examples say their label and that they do; the others say nothing."""
    label_N = np.arange(32, dtype=np.int32) % 3
    tells_N = np.arange(32) < 16
    feature_END = np.zeros((2, 32, 8), np.float32)
    feature_END[:, np.arange(32), label_N] = np.where(tells_N, 3.0, 0.0)
    feature_END[:, :, 4] = tells_N
    examples = Examples([np.zeros(1, np.int32)] * 32, label_N, (8,), feature_END)
    fit_of = replace(FIT, epochs=40.0, head_learning_rate=0.1)
    (stage,) = stages(Frozen(fit=fit_of), exits(2), Learned())
    fit = make_fit(stage)
    *_, last = fit.run(*fit.start(values), examples, seed=0)
    answer = bind(model, values | last.state.values).answers(jnp.asarray(feature_END))
    right_EN = np.asarray(answer.logits).argmax(-1) == label_N
    assert right_EN[:, tells_N].all()
    for score_N, right_N in zip(np.asarray(answer.score), right_EN, strict=True):
        assert auroc(score_N, right_N) > 0.8


@pytest.mark.parametrize(
    "stage", [joint(learning_rate=1e30, warmup=0.0), heads(head_learning_rate=1e30, warmup=0.0)]
)
def test_a_broken_step_is_named(make_fit, values, examples, features, stage):
    fit = make_fit(stage)
    with pytest.raises(UserError) as error:
        list(
            fit.run(*fit.start(values), examples if stage.name == "joint" else features, seed=0)
        )
    assert re.fullmatch(
        rf"training broke in stage `{stage.name}` at step \d: loss \S+, gradient norm \S+; the "
        r"last checkpoint is kept: lower .*",
        str(error.value),
    )
