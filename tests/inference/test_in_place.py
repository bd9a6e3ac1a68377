"""The cache is updated where it lies: no compiled program copies it."""

import re

import jax
import jax.numpy as jnp
import pytest

from ee_jax.inference.adaptive_drafting import AdaptiveSpeculation, PassCosts
from ee_jax.inference.generator import Decoder
from ee_jax.inference.methods import EarlyExitDecoding, SelfSpeculation
from ee_jax.inference.prompts import pack_prompts
from ee_jax.inference.rules import Exiting
from ee_jax.models.transformer import bind
from tests.inference.models import PROMPTS, tiny

TOKENS = 20


@pytest.mark.parametrize(
    "method",
    [
        EarlyExitDecoding(Exiting().rule_at),
        EarlyExitDecoding(Exiting().rule_at, "copy"),
        SelfSpeculation(1, 3),
        AdaptiveSpeculation(1, (1, 3)),
    ],
    ids=["exits", "exits, copy", "speculation", "adaptive"],
)
def test_no_copy_has_the_shape_of_the_cache(method):
    decoder = Decoder(tiny())
    request = decoder.request(pack_prompts(PROMPTS, tiny().backbone.config, TOKENS), TOKENS)
    at = decoder.start(method, request, TOKENS)

    def run(values, shared, at, until):
        model = bind(decoder.model, values)
        return method.go_on(model, shared, at, request.ends, decoder.sampling, until)

    shared = jnp.float32(0.2)
    if isinstance(method, AdaptiveSpeculation):
        shared = PassCosts(jnp.ones(len(method.drafters)), jnp.int32(-1))
    compiled = jax.jit(run, donate_argnums=2).lower(
        decoder.values, shared, at, jnp.int32(TOKENS)
    )
    text = compiled.compile().as_text() or ""
    slots = request.ids_BP.shape[1] + TOKENS + method.spare
    shape = re.escape(f"f32[{len(PROMPTS)},2,{slots},6]")
    assert re.search(shape, text)
    assert not re.findall(rf"= {shape}\S* copy\(.*", text)
