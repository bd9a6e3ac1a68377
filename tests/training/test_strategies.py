"""Which parameters each stage trains, on which weights."""

import numpy as np
import pytest

from ee_jax.config import Fit, Frozen, Joint
from ee_jax.training.strategies import stages

PATHS = {
    "backbone": ["backbone.embedding.tokens.embedding", "backbone.blocks.1.mlp.up.kernel"],
    "lower": ["exits.heads.0.out.kernel", "exits.heads.1.out.bias", "exits.scores.1.kernel"],
    # Head 12 is not head 1 or 2, whatever its path begins with.
    "last": ["exits.heads.12.out.kernel", "exits.scores.12.bias"],
}


def trained(stage) -> set[str]:
    """The groups of `PATHS` that a stage trains, each as a whole."""
    groups = {name: {stage.trains(path) for path in paths} for name, paths in PATHS.items()}
    assert all(len(answers) == 1 for answers in groups.values())
    return {name for name, answers in groups.items() if answers == {True}}


def test_joint_trains_everything_at_once():
    (stage,) = stages(Joint(weights="linear", fit=Fit(2.0)), exits=13)
    assert (stage.name, stage.fit, stage.backbone) == ("joint", Fit(2.0), True)
    assert trained(stage) == {"backbone", "lower", "last"}
    np.testing.assert_allclose(stage.weight_E, np.arange(1, 14) / 91, rtol=1e-15)


def test_frozen_trains_the_heads_alone():
    (stage,) = stages(Frozen(fit=Fit(2.0)), exits=13)
    assert (stage.name, stage.fit, stage.backbone) == ("heads", Fit(2.0), False)
    assert trained(stage) == {"lower", "last"}
    np.testing.assert_allclose(stage.weight_E, np.full(13, 1 / 13), rtol=1e-15)


def test_the_two_stages_of_deebert():
    first, second = stages(Frozen(first_stage=Fit(2.0), fit=Fit(4.0)), exits=13)
    assert (first.name, first.fit, first.backbone) == ("first_stage", Fit(2.0), True)
    assert trained(first) == {"backbone", "last"}
    assert first.weight_E.tolist() == [0.0] * 12 + [1.0]
    assert (second.name, second.fit, second.backbone) == ("heads", Fit(4.0), False)
    assert trained(second) == {"lower"}
    np.testing.assert_allclose(second.weight_E, [1 / 12] * 12 + [0.0], rtol=1e-15)


@pytest.mark.parametrize("strategy", [Joint(), Frozen(), Frozen(first_stage=Fit())])
def test_a_model_with_one_exit_can_be_trained(strategy):
    for stage in stages(strategy, exits=1):
        assert np.all(np.isfinite(stage.weight_E))
