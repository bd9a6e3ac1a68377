"""Every family of decoders goes through the cache: positions, norms of heads, RoPE scalings."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ee_jax.inference.generator import Decoder
from ee_jax.inference.methods import SelfSpeculation, StaticDecoding
from ee_jax.models.export import with_exits
from ee_jax.models.language import LanguageDesign
from ee_jax.models.transformer import parameters
from ee_jax.tokens import Tokens
from tests.models.golden_models import golden_language

PROMPTS = [[5, 9, 2, 7], [1, 4]]
TOKENS = 6


@pytest.mark.parametrize("name", ["gpt2", "llama3", "qwen3", "mistral"])
def test_decoding_says_what_the_whole_text_says(name):
    model = golden_language(name)
    tokens = 30 if name == "mistral" else TOKENS  # past its window of 20
    out = Decoder(model).run(StaticDecoding(0), None, PROMPTS, tokens)
    full = jax.jit(lambda ids_BT: model.logits(model.features(whole(ids_BT))[-1]))
    for prompt, ids_N in zip(PROMPTS, np.asarray(out.ids_BN), strict=True):
        text = jnp.asarray([[*prompt, *ids_N]])
        said_T = full(text)[0].argmax(-1)
        np.testing.assert_array_equal(said_T[len(prompt) - 1 : -1], ids_N)


def test_drafts_of_rows_at_the_end_of_their_context():
    """A row runs past it while others draft: learned positions that do not exist are no NaN."""
    golden = golden_language("gpt2")
    config = golden.backbone.config
    model = with_exits(config, parameters(golden), LanguageDesign((1, 2, config.blocks)))
    decoder, tokens = Decoder(model), 16
    prompts = [[3] * (config.max_length - tokens), *PROMPTS]
    plain = decoder.run(StaticDecoding(2), None, prompts, tokens)
    draft = decoder.run(SelfSpeculation(0, 8), None, prompts, tokens)
    np.testing.assert_array_equal(draft.ids_BN, plain.ids_BN)


def whole(ids_BT):
    return Tokens(ids_BT, jnp.ones(ids_BT.shape, bool))
