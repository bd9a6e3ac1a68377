"""Which parameters each stage trains, on which weights."""

import jax
import numpy as np
import pytest

from ee_jax.config import (
    Alternating,
    Distill,
    Frozen,
    GradientEquilibrium,
    Joint,
    Learned,
    Mixed,
    OptimizerConfig,
    SelfDistill,
    TwoStage,
)
from ee_jax.losses.exit_losses import NLL
from ee_jax.training.stage import in_turn, last, lower, lower_mean
from ee_jax.training.strategies import stages
from tests.training.layouts import exits

PATHS = {
    "backbone": ["backbone.embedding.tokens.embedding", "backbone.blocks.1.mlp.up.kernel"],
    "lower": ["exits.heads.0.out.kernel", "exits.heads.1.out.bias"],
    # Head 12 is not head 1 or 2, whatever its path begins with.
    "last": ["exits.heads.12.out.kernel"],
    "scores": ["exits.scores.1.kernel", "exits.scores.12.bias"],
}
ONE, OTHER = OptimizerConfig(2.0), OptimizerConfig(4.0)


def trained(stage) -> set[str]:
    """The groups of `PATHS` that a stage trains, each as a whole."""
    groups = {name: {stage.trains(path) for path in paths} for name, paths in PATHS.items()}
    assert all(len(answers) == 1 for answers in groups.values())
    return {name for name, answers in groups.items() if answers == {True}}


def weights_of(stage, step=0) -> np.ndarray:
    """The weights of a stage's last loss, of 4 steps."""
    return np.asarray(stage.losses[-1].weights(step, 4))


def check(stage, name, fit, groups, weight_E):
    assert (stage.name, stage.fit) == (name, fit)
    assert trained(stage) == groups
    np.testing.assert_allclose(weights_of(stage), weight_E, rtol=1e-6)


def first_stage(stage):
    check(stage, "first", ONE, {"backbone", "last"}, [0.0] * 12 + [1.0])
    assert stage.losses[0].loss is NLL


EVERYTHING = {*PATHS}


def test_joint_trains_everything_at_once():
    (stage,) = stages(Joint(weights="linear", fit=ONE), exits(13), Learned())
    check(stage, "joint", ONE, EVERYTHING, np.arange(1, 14) / 91)
    (stage,) = stages(Joint(weights="strided", stride=2, fit=ONE), exits(3))
    np.testing.assert_allclose(weights_of(stage), np.array([1, 3, 5]) / 9, rtol=1e-6)


def test_frozen_trains_the_heads_alone():
    (stage,) = stages(Frozen(fit=ONE), exits(13), Learned())
    groups = {"lower", "last", "scores"}
    check(stage, "heads", ONE, groups, np.full(13, 1 / 13))


def test_the_two_stages_of_deebert():
    first, second = stages(TwoStage(first=ONE, fit=OTHER), exits(13))
    first_stage(first)
    groups = {"lower", "scores"}
    check(second, "heads", OTHER, groups, [1 / 12] * 12 + [0.0])


def test_the_two_stages_of_fastbert():
    first, second = stages(Distill(first=ONE, fit=OTHER), exits(13))
    first_stage(first)
    groups = {"lower", "scores"}
    check(second, "distill", OTHER, groups, [1.0] * 12 + [0.0])


def test_mixed_is_the_last_exit_and_then_all():
    first, second = stages(Mixed(first=ONE, fit=OTHER), exits(13))
    first_stage(first)
    check(second, "joint", OTHER, EVERYTHING, np.full(13, 1 / 13))


def test_equilibrium_and_self_distillation_are_sums_over_all_exits():
    (stage,) = stages(GradientEquilibrium(fit=ONE), exits(13))
    check(stage, "equilibrium", ONE, EVERYTHING, np.ones(13))
    assert stage.equilibrium
    (stage,) = stages(SelfDistill(fit=ONE), exits(13))
    check(stage, "self_distill", ONE, EVERYTHING, np.ones(13))
    assert not stage.equilibrium


@pytest.mark.parametrize(
    ("variant", "even"), [("paper", [1.0, 1.0, 1.0]), ("code_lte", [1.0, 1.0, 0.0])]
)
def test_alternation_begins_with_the_last_exit_alone(variant, even):
    """Steps 1, 2, 3, 4; the program is one, and is given how many have been taken."""
    (stage,) = stages(Alternating(variant=variant), exits(3))
    weights = jax.jit(lambda step: stage.losses[0].weights(step, 4))
    odd = [0.0, 0.0, 1.0]
    for taken, weight_E in enumerate([odd, even, odd, even]):
        assert weights(np.int32(taken)).tolist() == weight_E


def test_in_turn_also_without_jit():
    weights = in_turn(np.array([0.25, 0.75]), np.array([0.5, 0.5]))
    assert [weights(step, 4).tolist() for step in (0, 1, 2)] == [
        [0.25, 0.75], [0.5, 0.5], [0.25, 0.75]
    ]  # fmt: skip


@pytest.mark.parametrize("strategy", [Joint(), Frozen(), TwoStage(), Mixed(), Distill()])
def test_scores_learn_with_the_last_stage(strategy):
    *before, last = stages(strategy, exits(13), Learned())
    assert last.scores is not None
    assert "scores" in trained(last)
    for stage in before:
        assert stage.scores is None
        assert "scores" not in trained(stage)


@pytest.mark.parametrize("strategy", [Joint(), Frozen(), TwoStage(), Alternating()])
def test_scores_learn_alone_in_a_stage_of_their_own(strategy):
    plain = stages(strategy, exits(13))
    *before, own = stages(strategy, exits(13), Learned(fit=ONE))
    check(own, "scores", ONE, {"scores"}, np.zeros(13))
    assert own.scores is not None
    for stage, same in zip(before, plain, strict=True):
        assert trained(stage) == trained(same) - {"scores"}
        assert stage.scores is None


@pytest.mark.parametrize(
    "make",
    [Joint, Frozen, TwoStage, Mixed, Alternating, GradientEquilibrium, Distill, SelfDistill],
)
def test_a_model_with_one_exit_can_be_trained(make):
    for stage in stages(make(), exits(1), Learned("consistent", fit=ONE)):
        assert np.all(np.isfinite(weights_of(stage)))


def test_weights_of_the_last_exit_and_of_those_before_it():
    assert last(3).tolist() == [0, 0, 1]
    assert lower(3).tolist() == [1, 1, 0]
    assert lower_mean(3).tolist() == [0.5, 0.5, 0]
    assert lower_mean(1).tolist() == [0]  # no exit before it
