"""Models without exits: what learns, from what, and how deep they are."""

import numpy as np
import pytest

from ee_jax.config import Joint, OptimizerConfig, Single, Truncated, baselines
from ee_jax.errors import UserError
from tests.training.layouts import exits

FIT = OptimizerConfig(epochs=2.0)


def test_the_baselines_of_four_blocks():
    found = baselines(4, FIT)
    assert [s.name for s in found] == ["single", "truncated_1", "truncated_2", "truncated_3"]
    assert [s.static_blocks(4) for s in found] == [4, 1, 2, 3]
    assert Joint().static_blocks(4) is None


@pytest.mark.parametrize("strategy", baselines(3, FIT))
def test_everything_learns_from_the_only_answer(strategy):
    (stage,) = strategy.stages(exits(1))
    assert stage.fit is FIT
    assert all(map(stage.trains, ("backbone.blocks.0.mlp.up.kernel", "exits.heads.0.bias")))
    (term,) = stage.losses
    np.testing.assert_array_equal(term.weights(0, 4), [1.0])


@pytest.mark.parametrize("blocks", [4, 5])
def test_a_truncated_model_is_shorter_than_the_backbone(blocks):
    with pytest.raises(UserError, match=r"`truncated\.blocks` must be fewer than the"):
        Truncated(blocks=blocks).static_blocks(4)


def test_a_model_has_a_block():
    with pytest.raises(UserError, match=r"`truncated\.blocks`"):
        Truncated(blocks=0)
    assert Single().static_blocks(1) == 1
