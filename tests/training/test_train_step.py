"""What a stage changes and what it keeps, bit for bit."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from scipy.special import expit

from ee_jax.config import (
    Alternating,
    Frozen,
    GradientEquilibrium,
    Joint,
    Learned,
    OptimizerConfig,
    TwoStage,
)
from ee_jax.losses.batch_losses import classifier_losses, language_losses
from ee_jax.losses.exit_losses import NLL, exit_losses
from ee_jax.models.exit_model import ExitModel
from ee_jax.models.families.bert import bert
from ee_jax.models.families.llama import llama
from ee_jax.models.heads import ExitDesign
from ee_jax.models.language import LanguageDesign, LanguageModel
from ee_jax.models.transformer import Transformer, bind, parameters
from ee_jax.tokens import Tokens
from ee_jax.training.fit import StageFit
from ee_jax.training.optimizer import is_head, make_optimizer
from ee_jax.training.stage import ExitLayout, Term, always, is_score
from ee_jax.training.strategies import stages
from ee_jax.training.train_step import make_objective, make_step, partition, start_training
from tests.training.layouts import exits

FIT = OptimizerConfig(epochs=3.0, batch=8, learning_rate=1e-3, head_learning_rate=1e-2)
TOKENS_BT = np.arange(24, dtype=np.int32).reshape(3, 8) % 20
BATCH = Tokens(jnp.asarray(TOKENS_BT), jnp.ones((3, 8), bool)), jnp.arange(3)


def changed(before, after) -> set[str]:
    """The paths whose bits differ."""
    assert before.keys() == after.keys()
    return {
        path for path in before
        if np.asarray(before[path]).tobytes() != np.asarray(after[path]).tobytes()
    }  # fmt: skip


def run_stage(model, stage, values, read, mesh):
    """The whole model's parameters after a stage."""
    fit = StageFit(stage, classifier_losses(model), len(read.rows), mesh, 0.1)
    state, kept = fit.start(values)
    *_, last = fit.run(state, kept, read, seed=0)
    return kept | last.state.values


def test_a_frozen_backbone_keeps_every_bit(model, values, features, mesh):
    assert any(np.signbit(v[v == 0]).any() for v in map(np.asarray, values.values()))
    (stage,) = stages(Frozen(fit=FIT), exits(2), Learned())
    after = run_stage(model, stage, values, features, mesh)
    assert changed(values, after) == {path for path in values if is_head(path)}


def test_in_bfloat16_what_learns_is_float32_and_learns_nearly_the_same(model, values):
    """The step's losses and gradients differ by the rounding of what is computed, and do."""
    (stage,) = stages(Joint(fit=FIT), exits(2), None)
    found = {}
    for precision in ("float32", "bfloat16"):
        objective = make_objective(classifier_losses(model), stage, 10, precision=precision)
        trained, kept = partition(values, stage.trains)
        given = (trained, kept, jnp.int32(0), jax.random.key(0), BATCH)
        found[precision] = jax.value_and_grad(objective, has_aux=True)(*given)
    (exact, _), gradient = found["float32"]
    (loss, loss_E), half = found["bfloat16"]
    assert {value.dtype for value in half.values()} == {jnp.dtype("float32")} == {loss_E.dtype}
    assert 0 < abs(loss - exact) < 2.0**-7 * exact  # some of the 8 bits of a few roundings
    off = optax.tree.norm(jax.tree.map(jnp.subtract, half, gradient))
    assert 0 < off < 0.05 * optax.tree.norm(gradient)


def test_gradients_of_tables_are_summed_in_float32():
    """Few words are most of a text: a sum of their gradients in bfloat16 is 13 % off here."""
    words, exits = 300, (1, 2)
    backbone = Transformer(llama(words, 64, 2, 4, 2, 128, 64), rngs=nnx.Rngs(0))
    model = LanguageModel(backbone, LanguageDesign(exits), rngs=nnx.Rngs(1))
    ids_BT = np.random.default_rng(0).zipf(1.3, (32, 65)) % words
    rows = Tokens(jnp.asarray(ids_BT, jnp.int32), jnp.ones(ids_BT.shape, bool))
    (stage,) = stages(Joint(fit=FIT), ExitLayout(exits, own_last=False), None)
    trained, kept = partition(parameters(model), stage.trains)

    def gradient(precision):
        objective = make_objective(language_losses(model), stage, 10, precision=precision)
        given = (trained, kept, jnp.int32(0), jax.random.key(0), (rows, jnp.zeros(32, int)))
        return jax.jit(jax.grad(objective, has_aux=True))(*given)[0]

    exact, half = gradient("float32"), gradient("bfloat16")
    for path, wanted in exact.items():
        off = jnp.linalg.norm(half[path] - wanted) / jnp.linalg.norm(wanted)
        assert off < 0.02, path  # five roundings to 8 bits


def test_deebert_changes_backbone_and_last_head_then_the_lower_heads_and_then_the_scores(
    model, values, examples, features, mesh
):
    learned = Learned("consistent", "balanced", fit=FIT)
    first, second, third = stages(TwoStage(first=FIT, fit=FIT), exits(2), learned)
    backbone = {path for path in values if not is_head(path)}
    last, scores = (
        {path for path in values if path.startswith(start)}
        for start in ("exits.heads.1", "exits.scores")
    )
    tuned = run_stage(model, first, values, examples, mesh)
    assert changed(values, tuned) == backbone | last
    headed = run_stage(model, second, tuned, features, mesh)
    assert changed(tuned, headed) == {*values} - backbone - last - scores
    after = run_stage(model, third, headed, features, mesh)
    assert {"exits.scores.0.kernel", "exits.scores.0.bias"} <= changed(headed, after) <= scores


@pytest.mark.parametrize("strategy", [Joint(fit=FIT), Frozen(fit=FIT)])
def test_the_optimizer_keeps_two_moments_of_what_learns_and_nothing_else(values, strategy):
    (stage,) = stages(strategy, exits(2), Learned())
    trained, kept = partition(values, stage.trains)
    state = start_training(trained, make_optimizer(FIT, 9)).optimizer
    moments = sum(leaf.size for leaf in jax.tree.leaves(state) if leaf.dtype == jnp.float32)
    learns = [path for path in values if strategy.name == "joint" or is_head(path)]
    assert sorted(trained) == sorted(learns)
    assert {*trained, *kept} == {*values}
    assert moments == 2 * sum(values[path].size for path in learns)


def one_step(model, stage, values, dropout):
    """A compiled step of plain descent at rate 1, from the untrained parameters."""
    optimizer = optax.sgd(1.0)
    step = jax.jit(
        make_step(make_objective(classifier_losses(model), stage, 9, dropout), optimizer)
    )
    trained, kept = partition(values, stage.trains)
    state = start_training(trained, optimizer)
    return lambda seed, number=0: step(
        state._replace(step=jnp.int32(number)), kept, jax.random.key(seed), BATCH
    )


def test_weights_on_the_last_exit_give_the_gradient_of_its_plain_loss(model, values):
    @jax.jit
    def plain(values):
        bound = bind(model, values)
        loss_E = exit_losses([NLL], bound.answers(bound.features(BATCH[0])).logits, BATCH[1])[0]
        return loss_E[-1], loss_E

    (stage,) = stages(Joint(weights=(0.0, 1.0)), exits(2))
    state, metrics = one_step(model, stage, values, dropout=0.0)(seed=0)
    gradient = {path: values[path] - state.values[path] for path in values}
    expected, loss_E = jax.grad(plain, has_aux=True)(values)
    # A learned confidence has its own loss, whose gradient reaches nothing else.
    for path in values.keys() - {path for path in values if path.startswith("exits.scores")}:
        # fp32, two programs that add in another order, and parameters of size 1.
        np.testing.assert_allclose(gradient[path], expected[path], rtol=1e-5, atol=1e-6)
    assert not gradient["exits.heads.0.out.kernel"].any()
    np.testing.assert_allclose(metrics.loss_E, loss_E, rtol=1e-6)
    norm = np.sqrt(sum(float((g**2).sum()) for g in gradient.values()))
    np.testing.assert_allclose(metrics.gradient_norm, norm, rtol=1e-5)


def exits_after(path: str) -> int:
    """Of three exits, one a block; a head's own counts alone."""
    if is_head(path):
        return 1
    return next((3 - block for block in range(3) if f"blocks.{block}." in path), 3)


def test_equilibrium_makes_a_segments_gradient_the_mean_over_the_exits_after_it():
    """Of gradients 1, 4 and 10 block 0 gets 5; were they not scaled up again, 2.67.

    That takes three exits: behind the last but one the factor is 1.
    """
    rngs = nnx.Rngs(0)
    backbone = Transformer(bert(20, 8, 3, 2, 16, 8), rngs=rngs)
    model = ExitModel(backbone, ExitDesign((1, 2, 3), classes=3), rngs=rngs)
    values = parameters(model)

    @jax.jit
    @jax.grad
    def of_exit(values, exit):
        bound = bind(model, values)
        return exit_losses([NLL], bound.answers(bound.features(BATCH[0])).logits, BATCH[1])[0][
            exit
        ]

    each = [of_exit(values, exit) for exit in range(3)]
    (stage,) = stages(GradientEquilibrium(), exits(3))
    state, metrics = one_step(model, stage, values, dropout=0.0)(seed=0)
    # The sum of all losses, as without.
    assert metrics.loss == pytest.approx(float(metrics.loss_E.sum()), rel=1e-6)
    for path in values:
        mean = sum(gradient[path] for gradient in each) / exits_after(path)
        # fp32, programs that add in another order, and parameters of size 1.
        gradient = values[path] - state.values[path]
        np.testing.assert_allclose(gradient, mean, rtol=1e-4, atol=1e-6)


def test_alternation_trains_the_last_head_alone_and_then_all(model, values):
    (stage,) = stages(Alternating(), exits(2))
    step = one_step(model, stage, values, dropout=0.0)
    kernel = "exits.heads.0.out.kernel"
    for taken, lower_learns in enumerate([False, True, False]):
        state, metrics = step(seed=0, number=taken)
        assert bool((state.values[kernel] != values[kernel]).any()) == lower_learns
        wanted = metrics.loss_E.sum() if lower_learns else metrics.loss_E[-1]
        assert metrics.loss == pytest.approx(float(wanted), rel=1e-6)


@pytest.mark.parametrize(
    "learned", [Learned(), Learned("correct", "squared"), Learned("consistent", "geometric")]
)
def test_no_gradient_of_a_learned_confidence_reaches_what_it_judges(model, values, learned):
    (joint,) = stages(Joint(), exits(2), learned)
    alone = replace(joint, losses=(Term(NLL, always(np.zeros(2))),))
    state, metrics = one_step(model, alone, values, dropout=0.0)(seed=0)
    assert metrics.loss > 0
    touched = changed(values, state.values)
    assert "exits.scores.0.kernel" in touched
    # -0.0 - 0.0 is 0.0 with plain descent: compare numbers, not bits.
    for path in touched - {path for path in values if is_score(path)}:
        np.testing.assert_array_equal(values[path], state.values[path])


def test_a_regression_learns_numbers_and_how_far_off_they_are():
    """Heads of one output: squared errors, and scores that learn 1 - |tanh(error)|."""
    rngs = nnx.Rngs(0)
    design = ExitDesign((1, 2), classes=1, learned=True, shared_score=True)
    model = ExitModel(Transformer(bert(20, 8, 2, 2, 16, 8), rngs=rngs), design, rngs=rngs)
    lte = Learned("correct", "squared", shared=True)
    (stage,) = stages(Joint(weights="uniform", fit=FIT), exits(2), lte)
    inputs = BATCH[0], jnp.array([0.0, 2.5, 5.0])
    step = jax.jit(
        make_step(make_objective(classifier_losses(model), stage, 9, 0.0), optax.sgd(0.01))
    )
    first = start_training(parameters(model), optax.sgd(0.01))
    state, metrics = step(first, {}, jax.random.key(0), inputs)
    answer = jax.jit(lambda tokens: model.answers(model.features(tokens)))(inputs[0])
    error_EB = np.asarray(answer.logits)[..., 0] - np.asarray(inputs[1])
    np.testing.assert_allclose(metrics.loss_E, (error_EB**2).mean(1), rtol=1e-5)
    own = np.mean((expit(answer.score) - (1 - np.abs(np.tanh(error_EB)))) ** 2)
    assert metrics.loss == pytest.approx(np.mean(error_EB**2) + own, rel=1e-5)
    assert step(state, {}, jax.random.key(0), inputs)[1].loss < metrics.loss
    assert changed(first.values, state.values) >= {"exits.scores.0.kernel"}


def test_dropout_follows_the_key_and_the_step(model, values):
    step = one_step(model, stages(Joint(), exits(2))[0], values, dropout=0.5)
    loss = {at: float(step(*at)[1].loss) for at in ((0, 0), (1, 0), (0, 1))}
    assert len(set(loss.values())) == 3
    assert float(step(0, 0)[1].loss) == loss[0, 0]
