"""Small language models, made once."""

from functools import cache

import jax.numpy as jnp
import numpy as np
from flax import nnx

from ee_jax.models.language import LanguageDesign, LanguageModel
from tests.models.golden_models import golden_backbone

LAYERS = (1, 2, 4)
VOCABULARY = 64
PROMPTS = [[5, 9, 2], [7], [1, 4, 30, 22, 8, 63, 2], [11, 12]]


@cache
def tiny(name="llama", layers=LAYERS, learned=False, gain=1.5):
    """A golden backbone; the output projection is random, and sure of itself now and then."""
    design = LanguageDesign(layers, learned=learned)
    model = LanguageModel(golden_backbone(name), design, rngs=nnx.Rngs(0))
    random = np.random.default_rng(0)
    if model.output is not None:
        shape = model.output.kernel.get_value().shape
        noise = random.normal(size=shape, scale=gain * shape[0] ** -0.5)
        model.output.kernel.set_value(jnp.asarray(noise, jnp.float32))
    for score in model.scores:
        shape = score.kernel.get_value().shape
        score.kernel.set_value(jnp.asarray(random.normal(size=shape), jnp.float32))
    return model
