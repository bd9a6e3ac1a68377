"""Strategies of language models: what learns, from what, and that the step is all state."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from ee_jax.config import (
    EELLM,
    DistillTrained,
    Frozen,
    Joint,
    LayerSkip,
    Learned,
    OptimizerConfig,
)
from ee_jax.errors import UserError
from ee_jax.losses.batch_losses import language_losses
from ee_jax.models.families.llama import llama
from ee_jax.models.language import LanguageDesign, LanguageModel
from ee_jax.models.transformer import Transformer, bind, parameters
from ee_jax.tokens import Tokens
from ee_jax.training.stage import ExitLayout, trains_backbone
from ee_jax.training.strategies import stages
from ee_jax.training.strategies.layerskip import warmed_up
from ee_jax.training.train_step import make_objective, partition

DESIGN = LanguageDesign((1, 2, 3), "norm", learned=True)
ROWS = Tokens(
    jnp.asarray(np.arange(20, dtype=np.int32).reshape(4, 5) % 13),
    jnp.asarray(np.arange(5) < np.array([[5], [5], [3], [2]])),
)
INPUTS = (ROWS, jnp.zeros(4))
FIT = OptimizerConfig(batch=4)
CALM = Learned("consistent")


def stage_of(strategy, design=DESIGN):
    """The one stage of a strategy on a language model."""
    paths = parameters(make_model(design)).keys()
    layout = ExitLayout(design.layers, own_last=False)
    (stage,) = stages(strategy, layout, CALM if design.learned else None, paths)
    return stage


def make_model(design=DESIGN) -> LanguageModel:
    rngs = nnx.Rngs(0)
    blocks = design.layers[-1]
    config = replace(llama(13, 8, blocks, 2, 1, 16, 8), tied_output=True)
    return LanguageModel(Transformer(config, rngs=rngs), design, rngs=rngs)


@pytest.fixture(scope="module")
def model() -> LanguageModel:
    return make_model()


def loss_of(model, stage, dropout=0.0):
    """(step, key) -> the loss and those of the exits."""
    loss = jax.jit(make_objective(language_losses(model), stage, 10, dropout))
    trained, kept = partition(parameters(model), stage.trains)

    def at(step=0, key=0):
        value, loss_E = loss(trained, kept, jnp.int32(step), jax.random.key(key), INPUTS)
        return float(value), np.asarray(loss_E)

    return at


def gradient_of(model, stage):
    loss = jax.jit(
        jax.grad(make_objective(language_losses(model), stage, 10, 0.0), has_aux=True)
    )
    return loss(parameters(model), {}, jnp.int32(0), jax.random.key(0), INPUTS)[0]


def logits_of(model, values):
    """All logits at once, the next tokens, and which of them count."""
    bound = bind(model, values)
    states = bound.exit_states(Tokens(ROWS.ids_BT[:, :-1], ROWS.mask_BT[:, :-1]))
    return bound.logits(states.feature_EBTD), states.hidden_EBTD


def means(token_EBT):
    counts_BT = np.asarray(ROWS.mask_BT[:, 1:], float)
    return (token_EBT * counts_BT[None]).sum((1, 2)) / counts_BT.sum()


def test_joint_is_the_weighted_sum_of_next_token_losses_and_the_scores(model):
    stage = stage_of(Joint(weights=(1.0, 2.0, 5.0), fit=FIT))
    value, loss_E = loss_of(model, stage)()
    logits, hidden = logits_of(model, parameters(model))
    log_p = jax.nn.log_softmax(logits)
    picked = np.take_along_axis(
        np.asarray(log_p), np.broadcast_to(ROWS.ids_BT[None, :, 1:, None], (3, 4, 4, 1)), -1
    )
    np.testing.assert_allclose(loss_E, means(-picked[..., 0]), rtol=1e-5)  # fp32 sums
    right = np.asarray(logits.argmax(-1) == logits.argmax(-1)[-1:], float)
    p = np.stack([jax.nn.sigmoid(model.score(exit, hidden[exit])) for exit in range(3)])
    scores = means(-right * np.log(p) - (1 - right) * np.log(1 - p))[:2].mean()
    np.testing.assert_allclose(value, loss_E @ [1, 2, 5] / 8 + scores, rtol=1e-5)


def test_a_score_shapes_nothing_but_itself(model):
    def without_scores(values):
        logits, _ = logits_of(model, values)
        log_p = jax.nn.log_softmax(logits[-1])
        next_BT1 = ROWS.ids_BT[:, 1:, None]
        counts_BT = ROWS.mask_BT[:, 1:]
        picked = jnp.take_along_axis(log_p, next_BT1, -1)[..., 0]
        return -(picked * counts_BT).sum() / counts_BT.sum()

    stage = stage_of(Joint(weights=(0.0, 0.0, 1.0), fit=FIT))
    gradient = gradient_of(model, stage)
    expected = jax.jit(jax.grad(without_scores))(parameters(model))
    for path, value in gradient.items():
        if path.startswith("scores."):
            assert path.startswith("scores.2.") or value.any()
        else:
            np.testing.assert_allclose(value, expected[path], rtol=1e-4, atol=1e-6)


def test_towards_the_last_exit_the_last_learns_nothing(model):
    stage = stage_of(DistillTrained(temperature=2.0, fit=FIT))
    value, _ = loss_of(model, stage)()
    logits, _ = logits_of(model, parameters(model))
    log_p = np.asarray(jax.nn.log_softmax(logits / 2.0))
    gap_E = means(4 * (np.exp(log_p[-1]) * (log_p[-1] - log_p)).sum(-1))
    plain = stage_of(Joint(weights=(0.0, 0.0, 1.0), fit=FIT))
    at_last, loss_E = loss_of(model, plain)()
    # Both hold the scores' loss too.
    np.testing.assert_allclose(value, gap_E[:2].mean() + at_last - loss_E[-1], rtol=1e-4)
    # The teacher is detached: the block after the last early exit gets no gradient.
    gradient = gradient_of(model, stage)
    late = [path for path in gradient if path.startswith("backbone.blocks.2.")]
    assert late
    assert not any(np.abs(gradient[path]).max() > 1e-7 for path in late)


def test_what_learns():
    everything = [Joint(), LayerSkip(), EELLM(first=(0.0, 0.0), last=(0.5, 0.5))]
    for strategy in everything:
        stage = stage_of(strategy)
        assert stage.trains("backbone.blocks.0.mlp.up.kernel")
        assert stage.trains("heads.0.out_norm.scale")
    for strategy in (Frozen(), DistillTrained()):
        stage = stage_of(strategy)
        assert not stage.trains("backbone.final_norm.scale")
        assert not stage.trains("output.kernel")
        assert stage.trains("scores.1.kernel")


@pytest.mark.parametrize("strategy", [Frozen(fit=FIT), DistillTrained(fit=FIT), Joint(fit=FIT)])
def test_dropout_is_for_a_backbone_that_learns(model, strategy):
    stage = stage_of(strategy)
    learns = trains_backbone(stage, [*parameters(model)])
    (plain, plain_E), (dropped, dropped_E) = (loss_of(model, stage, p)() for p in (0.0, 0.5))
    assert (dropped == plain) == (not learns)
    assert np.array_equal(dropped_E, plain_E) == (not learns)
    assert learns == isinstance(strategy, Joint)


def test_a_score_that_is_alone_has_nothing_to_foretell():
    design = LanguageDesign((1,), learned=True)
    alone, stage = make_model(design), stage_of(Joint(fit=FIT), design)
    value, loss_E = loss_of(alone, stage)()
    assert value == loss_E[0] > 0
    assert all(np.isfinite(part).all() for part in gradient_of(alone, stage).values())


def test_layerskip_follows_the_step_alone(model):
    strategy = LayerSkip(p_max=0.5, ramp="exponential", interval=2, fit=FIT)
    stage = stage_of(strategy)
    again = stage_of(strategy)
    # The last exit has 2 + 0.2, the second 0.2, the first nothing.
    np.testing.assert_allclose(stage.losses[0].weights(0, 9), [0, 0, 1], atol=1e-6)
    np.testing.assert_allclose(
        stage.losses[0].weights(1, 9), [0, 0.2 / 2.4, 2.2 / 2.4], rtol=1e-5
    )
    assert stage.drops is not None
    np.testing.assert_allclose(stage.drops(8, 9), 0.5 * np.array([0, 0.414214, 1]), rtol=1e-5)
    assert not stage.drops(0, 9).any()
    one, other = loss_of(model, stage), loss_of(model, again)
    assert one(7, 3)[0] == other(7, 3)[0]
    assert one(7, 4)[0] != one(7, 3)[0]
    # Nothing is dropped at the first step of the ramp.
    np.testing.assert_array_equal(one(0, 4)[1], one(0, 3)[1])


def test_ee_llm_warms_up():
    first_E, last_E = [0.0, 0.1, 1.0], [0.5, 0.3, 1.0]
    for shape, share in (("linear", 0.25), ("cosine", 0.146447)):  # (1 - cos 45 degrees) / 2
        weight_E = warmed_up(first_E, last_E, 2, 8, shape)
        expected = [0.5 * share, 0.1 + 0.2 * share, 1.0]
        np.testing.assert_allclose(weight_E, expected, rtol=1e-5)
        np.testing.assert_allclose(warmed_up(first_E, last_E, 8, 8, shape), last_E, rtol=1e-6)


def test_ee_llm_scales_a_token_by_its_probability(model):
    strategy = EELLM(loss="confidence_weighted", first=(1.0, 1.0), last=(1.0, 1.0), fit=FIT)
    value, _ = loss_of(model, stage_of(strategy))()
    plain = replace(strategy, loss="nll")
    plain, _ = loss_of(model, stage_of(plain))()
    logits, _ = logits_of(model, parameters(model))
    log_p = np.asarray(jax.nn.log_softmax(logits))
    index = np.broadcast_to(ROWS.ids_BT[None, :, 1:, None], (3, 4, 4, 1))
    loss = -np.take_along_axis(log_p, index, -1)[..., 0]
    expected = means(np.exp(log_p).max(-1) * loss).sum() - means(loss).sum()
    np.testing.assert_allclose(value - plain, expected, rtol=1e-3)  # a difference


def test_strategies_that_do_not_fit_the_exits():
    nothing = LanguageDesign((1, 2, 3))
    with pytest.raises(UserError, match=r"these have nothing: name more exits\.layers, or"):
        stage_of(DistillTrained(), nothing)
    with pytest.raises(UserError, match="each of the 2 early exits"):
        stage_of(EELLM(), nothing)
    with pytest.raises(UserError, match="needs an early exit"):
        stage_of(LayerSkip(), LanguageDesign((3,)))
