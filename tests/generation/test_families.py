"""Every family of decoders goes through the cache: positions, norms of heads, RoPE scalings."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ee_jax.generation.decoder import Decoder
from ee_jax.generation.programs import Static
from ee_jax.tokens import Tokens
from tests.models.golden_models import golden_language

PROMPTS = [[5, 9, 2, 7], [1, 4]]
TOKENS = 6


@pytest.mark.parametrize("name", ["gpt2", "llama3", "qwen3"])
def test_decoding_says_what_the_whole_text_says(name):
    model = golden_language(name)
    out = Decoder(model).run(Static(0), None, PROMPTS, TOKENS)
    full = jax.jit(lambda ids_BT: model.logits(model.features(whole(ids_BT))[-1]))
    for prompt, ids_N in zip(PROMPTS, np.asarray(out.ids_BN), strict=True):
        text = jnp.asarray([[*prompt, *ids_N]])
        said_T = full(text)[0].argmax(-1)
        np.testing.assert_array_equal(said_T[len(prompt) - 1 : -1], ids_N)


def whole(ids_BT):
    return Tokens(ids_BT, jnp.ones(ids_BT.shape, bool))
