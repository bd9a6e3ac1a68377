"""Small language models, made once."""

from functools import cache

import jax.numpy as jnp
import numpy as np
from flax import nnx

from ee_jax.models.families.llama import llama
from ee_jax.models.language import LanguageDesign, LanguageModel
from ee_jax.models.transformer import Transformer, bind, parameters

VOCABULARY, BLOCKS, CONTEXT = 64, 3, 40
LAYERS = (1, 2, 3)
PROMPTS = [[5, 9, 2], [7], [1, 4, 30, 22, 8, 63, 2], [11, 12]]
NO_STOPS = (-1, -2)  # as many as the tests that have some, so that no program is compiled anew


@cache
def tiny(learned=False):
    """A Llama whose random weights are large enough that its exits are sure now and then."""
    config = llama(VOCABULARY, 24, BLOCKS, heads=4, kv_heads=2, hidden=32, max_length=CONTEXT)
    design = LanguageDesign(LAYERS, learned=learned)
    model = LanguageModel(Transformer(config, rngs=nnx.Rngs(0)), design, rngs=nnx.Rngs(0))
    random, values = np.random.default_rng(0), {}
    for name, value in parameters(model).items():
        spread = 0.1 if value.ndim == 1 else 1.5 * value.shape[0] ** -0.5
        noise = random.normal(size=value.shape, scale=1.0 if "embedding" in name else spread)
        values[name] = jnp.asarray(noise + name.endswith("scale"), jnp.float32)
    return bind(model, values)
