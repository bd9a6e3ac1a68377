"""A real model: a Llama of 5 blocks trained on TinyStories."""

import json
import os
from functools import cache
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from ee_jax.data.llama2c import read_llama2c_tokenizer
from ee_jax.exits.rules import depth_rule
from ee_jax.inference.adaptive_drafting import AdaptiveSpeculation, PassCosts
from ee_jax.inference.generator import Decoder
from ee_jax.inference.kv_policies import POLICIES
from ee_jax.inference.methods import (
    EarlyExitDecoding,
    SelfSpeculation,
    StaticDecoding,
)
from ee_jax.inference.rules import Exiting
from ee_jax.inference.teacher_forcing import teacher_forced
from ee_jax.models.language import LanguageDesign, LanguageModel
from ee_jax.models.llama2c import read_llama2c
from ee_jax.models.transformer import Transformer, bind

DATA = os.environ.get("EE_JAX_TEST_DATA")
pytestmark = pytest.mark.skipif(DATA is None, reason="EE_JAX_TEST_DATA is not set")
LAYERS = (1, 2, 3, 4, 5)
BEGIN = 1  # the id that stories begin with
PROMPTS, NEW = 200, 24


def folder():
    return Path(str(DATA)) / "stories260k"


@cache
def stories():
    config, values = read_llama2c(folder() / "stories260K.bin")
    model = nnx.eval_shape(
        lambda: LanguageModel(
            Transformer(config, rngs=nnx.Rngs(0)), LanguageDesign(LAYERS), rngs=nnx.Rngs(0)
        )
    )
    return bind(model, values)


@cache
def decoder():
    return Decoder(stories())


@cache
def tokenizer():
    return read_llama2c_tokenizer(folder() / "tok512.bin")


@cache
def reference():
    return json.loads((folder() / "reference.json").read_text())


@pytest.mark.parametrize(
    ("method", "shared"),
    [(StaticDecoding(4), None), (EarlyExitDecoding(Exiting().rule_at), 1.0)],
)
def test_greedy_text_is_known_byte_for_byte(method, shared):
    out = decoder().run(method, shared, [[BEGIN]], 200)
    assert [BEGIN, *out.ids_BN[0].tolist()][:200] == reference()["greedy_token_ids_from_bos"]
    text = tokenizer().decode([BEGIN, *out.ids_BN[0].tolist()])
    assert text.encode() == (folder() / "expected_greedy_200.txt").read_bytes()


def test_the_tokenizer_reads_the_text_back():
    text = (folder() / "expected_greedy_200.txt").read_text()
    assert tokenizer().encode(text).ids[:200] == reference()["greedy_token_ids_from_bos"]
    odd = "Zoë  said: 😀\n"
    assert tokenizer().decode(tokenizer().encode(odd).ids) == odd


def test_every_exit_of_the_full_model_says_what_is_known():
    """The logit lens: answers of every block's hidden state, nothing skipped before it."""
    wanted = reference()["logit_lens_on_own_greedy_text"]
    ids_BT = jnp.asarray([reference()["greedy_token_ids_from_bos"]])

    @jax.jit
    def lens(depth):
        def stop_at(count_N):
            return depth_rule(jnp.full(count_N.shape, depth), LAYERS)

        first_B = jnp.ones(1, jnp.int32)
        return teacher_forced(stories(), POLICIES["recompute"], stop_at, ids_BT, first_B)

    rows = {depth: lens(depth) for depth in LAYERS}
    for depth, at in zip(LAYERS, wanted, strict=True):
        loss = float(rows[depth].loss_BT[0, :-1].mean())
        same = float((rows[depth].prediction_BT == rows[5].prediction_BT).mean())
        assert loss == pytest.approx(at["ce_next"], abs=1e-4)
        assert same == pytest.approx(at["agree_with_last"], abs=1e-6)
    first = stories().logits(rows[5].feature_BTD[0, 0])[:8]
    np.testing.assert_allclose(first, reference()["last_logits_pos0_first8"], atol=1e-4)


@cache
def prompts():
    """Pieces of the model's own story: 1 to 16 tokens from anywhere in it."""
    ids, random = reference()["greedy_token_ids_from_bos"], np.random.default_rng(0)
    starts, lengths = random.integers(0, 180, PROMPTS), random.integers(1, 17, PROMPTS)
    return [ids[start : start + length] for start, length in zip(starts, lengths, strict=True)]


@cache
def plainly():
    return decoder().run(StaticDecoding(4), None, prompts(), NEW).ids_BN


@pytest.mark.parametrize("batch", [1, 8])
def test_speculation_gives_the_tokens_of_plain_decoding(batch):
    groups = [prompts()[i : i + batch] for i in range(0, PROMPTS, batch)]
    accepted = drafted = 0
    for number, group in enumerate(groups):
        out = decoder().run(SelfSpeculation(3, 4), None, group, NEW)
        np.testing.assert_array_equal(out.ids_BN, plainly()[number * batch :][:batch])
        accepted, drafted = accepted + out.accepted_B.sum(), drafted + out.drafted_B.sum()
    # The fourth block's answer is the fifth's in 0.56 of all places: of four drafts in a row,
    # (0.56 + 0.56^2 + 0.56^3 + 0.56^4) / 4 = 0.29 would be taken.
    assert 0.2 < accepted / drafted < 0.4


@pytest.mark.parametrize("batch", [1, 8])
def test_adaptive_speculation_gives_the_tokens_of_plain_decoding(batch):
    method = AdaptiveSpeculation(3, drafts=(1, 3))
    costs = PassCosts(np.array([1, 1.1, 1.2, 1.4, 1.6], np.float32), np.int32(-1))
    groups = [prompts()[i : i + batch] for i in range(0, PROMPTS, batch)]
    rounds_A = np.zeros(5, int)
    for number, group in enumerate(groups):
        out = decoder().run(method, costs, group, NEW)
        np.testing.assert_array_equal(out.ids_BN, plainly()[number * batch :][:batch])
        rounds_A += out.rounds_BA.sum(0)
    assert rounds_A[1:].any()
