"""The prompt, in one pass at full depth."""

import jax.numpy as jnp
from jaxtyping import Array, Int

from ee_jax.inference.segment import embed, run_blocks
from ee_jax.models.kv_cache import Cache, make_cache
from ee_jax.models.language import LanguageModel


def prefill(model: LanguageModel, ids_BP: Int[Array, "B P"], slots: int) -> Cache:
    """A cache of `slots` tokens a row that holds the prompts, padded on the right.

    What is written for padding is never seen: its slots are written anew before a token of
    their position looks. Decoding feeds the prompt's last token once more, so that the first
    new one may stop early like any other.
    """
    config = model.backbone.config
    batch, length = ids_BP.shape
    position_BP = jnp.broadcast_to(jnp.arange(length)[None], (batch, length))
    hidden_BPD = embed(model, ids_BP, position_BP)
    cache = make_cache(config, batch, slots)
    cache, _ = run_blocks(model, cache, hidden_BPD, position_BP, 0, config.blocks)
    return cache
