"""What a language model's exits read in training: with blocks dropped, and without."""

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from ee_jax.models.exit_features import Forward
from ee_jax.models.families.llama import llama
from ee_jax.models.language import LanguageDesign, LanguageModel
from ee_jax.models.transformer import State, Transformer
from ee_jax.tokens import Tokens

TOKENS = Tokens(jnp.arange(12).reshape(3, 4), jnp.ones((3, 4), bool))


@pytest.fixture(scope="module")
def model() -> LanguageModel:
    rngs = nnx.Rngs(0)
    backbone = Transformer(llama(13, 8, 4, 2, 1, 16, 8), rngs=rngs)
    return LanguageModel(backbone, LanguageDesign((1, 3, 4), "norm"), rngs=rngs)


def test_a_row_reads_only_the_blocks_it_keeps(model):
    kept_LB = jnp.asarray(np.array([[1, 1, 0], [1, 0, 1], [1, 0, 0], [1, 1, 1]], bool))
    feature_EBTD = model.features(TOKENS, Forward(kept_LB=kept_LB))
    for row, blocks in enumerate([(0, 1, 2, 3), (0, 3), (1, 3)]):
        state, read = model.backbone.embed(TOKENS), []
        for block in range(4):
            if block in blocks:
                state = model.backbone.segment(state, block, block + 1)
            read.append(state)
        for exit, depth in enumerate(model.design.layers):
            state: State = read[depth - 1]
            expected_TD = model.feature(exit, state.hidden_BTD)[row]
            # One sum in two programs.
            np.testing.assert_allclose(feature_EBTD[exit, row], expected_TD, atol=1e-5)


def test_features_are_what_answers_read(model):
    state = model.backbone.segment(model.backbone.embed(TOKENS), 0, 3)
    answer = model.answer(1, state.hidden_BTD, None)
    np.testing.assert_allclose(model.features(TOKENS)[1], answer.feature, atol=1e-6)
