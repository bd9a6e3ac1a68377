"""Encoder-decoders: tokens are transformers' own, exits those of the parallel pass."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ee_jax.errors import UserError
from ee_jax.inference.kv_policies import POLICIES
from ee_jax.inference.methods import EarlyExitDecoding, SelfSpeculation, StaticDecoding
from ee_jax.inference.rules import Exiting
from ee_jax.inference.source_decoder import SourceDecoder
from ee_jax.inference.teacher_forcing import teacher_forced
from ee_jax.models.attention import MASKED
from ee_jax.models.export import with_exits
from ee_jax.models.language import LanguageDesign, reading
from ee_jax.runs.generation.source import open_source
from ee_jax.tokens import Tokens
from tests.models.golden_models import FOLDER, golden_inputs, load_golden, read_sourced

# What every text begins with, of which BART's second token is forced.
OPENINGS = {"t5": [0], "t5_v1_1": [0], "bart": [2, 0], "mbart": [2], "marian": [63]}
NAMES = [*OPENINGS]
LAYERS = (1, 2, 4)


def golden(name):
    """The model with exits, what transformers made, and the texts that both read."""
    model = with_exits(*read_sourced(FOLDER / name), LanguageDesign(LAYERS))
    return model, load_golden(name), golden_inputs(name)


@pytest.mark.parametrize("name", NAMES)
def test_logits_are_those_of_transformers(name):
    model, arrays, source = golden(name)
    ids_BT = jnp.asarray(arrays["target_BT"])
    tokens = Tokens(ids_BT, jnp.ones(ids_BT.shape, bool), source=source)
    logits_BTV = jax.jit(lambda: model.logits(model.features(tokens)[-1]))()
    wanted_BTV = np.array(arrays["logits_BTV"])
    wanted_BTV[..., model.backbone.config.unsaid] = MASKED  # by the way transformers generates
    assert logits_BTV.max(-1).std() > 0.1, "tokens differ"
    # fp32 through 8 blocks; transformers' own is as far from its fp64.
    atol = 5e-5 * np.abs(arrays["logits_BTV"]).max()
    np.testing.assert_allclose(logits_BTV, wanted_BTV, rtol=0, atol=atol)


@pytest.mark.parametrize("name", NAMES)
def test_greedy_tokens_are_those_of_transformers(name):
    model, arrays, source = golden(name)
    decoder = SourceDecoder(model)
    decoder.read_source(source)
    wanted_BN = arrays["greedy_BT"][:, len(OPENINGS[name]) :]
    request = 3 * [OPENINGS[name]], wanted_BN.shape[1]
    out = decoder.run(StaticDecoding(2), None, *request)
    np.testing.assert_array_equal(out.ids_BN, wanted_BN)
    never = EarlyExitDecoding(Exiting("max_prob").rule_at)
    early = decoder.run(never, 1.0, *request)
    np.testing.assert_array_equal(early.ids_BN, out.ids_BN)
    drafted = decoder.run(SelfSpeculation(1, 3), None, *request)
    np.testing.assert_array_equal(drafted.ids_BN, out.ids_BN)


@pytest.mark.parametrize("name", NAMES[1:])
@pytest.mark.parametrize("policy", [*POLICIES])
def test_exits_token_by_token_are_those_of_the_parallel_pass(name, policy):
    model, _, source = golden(name)
    threshold, exiting = 0.1, Exiting("max_prob")
    opening = 3 * [OPENINGS[name]]
    first = len(OPENINGS[name])
    decoder = SourceDecoder(model)
    decoder.read_source(source)
    method = EarlyExitDecoding(exiting.rule_at, policy)
    out = decoder.run(method, threshold, opening, 12)
    assert len({*out.exit_BN.flat}) > 1
    ids_BT = jnp.asarray(np.concatenate([opening, out.ids_BN], axis=1))

    @jax.jit
    def forced():
        rule_at = exiting.rule_at(threshold, LAYERS)
        first_B, seeing = jnp.full(3, first), reading(model, source)
        return teacher_forced(seeing, POLICIES[policy], rule_at, ids_BT, first_B)

    whole = forced()
    said = slice(first - 1, first + 11)
    np.testing.assert_array_equal(whole.exit_BT[:, said], out.exit_BN)
    np.testing.assert_allclose(whole.confidence_BT[:, said], out.confidence_BN, atol=1e-5)


def test_a_text_longer_than_the_encoders_positions():
    model, _, _ = golden("bart")
    ids_BT = jnp.ones((1, 41), jnp.int32)
    with pytest.raises(
        UserError, match=r"a text of 41 tokens.* longer than the 40 that the enc"
    ):
        SourceDecoder(model).read_source(Tokens(ids_BT, ids_BT > 0))


def test_a_command_that_gives_it_no_other_text():
    with pytest.raises(UserError, match="holds a t5, which writes of a text that its encoder"):
        open_source(str(FOLDER / "t5"), lens=True)
