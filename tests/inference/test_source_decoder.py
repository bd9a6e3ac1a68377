"""Encoder-decoders: tokens are transformers' own, exits those of the parallel pass."""

from pathlib import Path

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
from ee_jax.models.export import add_exits, shapes_of
from ee_jax.models.huggingface import from_tensors, read_checkpoint
from ee_jax.models.language import LanguageDesign, reading
from ee_jax.models.language_source import find_language
from ee_jax.models.transformer import bind, parameters
from ee_jax.tokens import Tokens

GOLDEN = Path(__file__).parents[1] / "models" / "golden"
NAMES = ["t5", "t5_v1_1"]
LAYERS = (1, 2, 4)
START = [[0], [0], [0]]  # what every text begins with


def golden(name):
    """The model with exits, what transformers made, and the texts that both read."""
    config, tensors = read_checkpoint(GOLDEN / name)
    whole = shapes_of(config, LanguageDesign((config.blocks,)))
    values = from_tensors(config, parameters(whole), tensors, GOLDEN / name)
    design = LanguageDesign(LAYERS)
    values |= add_exits(config, values, design)
    arrays = dict(np.load(GOLDEN / name / "golden.npz"))
    source = Tokens(jnp.asarray(arrays["tokens_BT"]), jnp.asarray(arrays["mask_BT"]))
    return bind(shapes_of(config, design), values), arrays, source


@pytest.mark.parametrize("name", NAMES)
def test_logits_are_those_of_transformers(name):
    model, arrays, source = golden(name)
    ids_BT = jnp.asarray(arrays["target_BT"])
    tokens = Tokens(ids_BT, jnp.ones(ids_BT.shape, bool), source=source)
    logits_BTV = jax.jit(lambda: model.logits(model.features(tokens)[-1]))()
    wanted_BTV = arrays["logits_BTV"]
    # fp32 through 8 blocks; transformers' own is as far from its fp64.
    atol = 5e-5 * np.abs(wanted_BTV).max()
    np.testing.assert_allclose(logits_BTV, wanted_BTV, rtol=0, atol=atol)


@pytest.mark.parametrize("name", NAMES)
def test_greedy_tokens_are_those_of_transformers(name):
    model, arrays, source = golden(name)
    decoder = SourceDecoder(model)
    decoder.read_source(source)
    out = decoder.run(StaticDecoding(2), None, START, 12)
    np.testing.assert_array_equal(out.ids_BN, arrays["greedy_BT"][:, 1:13])
    never = EarlyExitDecoding(Exiting("max_prob").rule_at)
    early = decoder.run(never, 1.0, START, 12)
    np.testing.assert_array_equal(early.ids_BN, out.ids_BN)
    drafted = decoder.run(SelfSpeculation(1, 3), None, START, 12)
    np.testing.assert_array_equal(drafted.ids_BN, out.ids_BN)


@pytest.mark.parametrize("policy", [*POLICIES])
def test_exits_token_by_token_are_those_of_the_parallel_pass(policy):
    model, _, source = golden("t5_v1_1")
    threshold, exiting = 0.1, Exiting("max_prob")
    decoder = SourceDecoder(model)
    decoder.read_source(source)
    method = EarlyExitDecoding(exiting.rule_at, policy)
    out = decoder.run(method, threshold, START, 12)
    assert len({*out.exit_BN.flat}) > 1
    ids_BT = jnp.asarray(np.concatenate([START, out.ids_BN], axis=1))

    @jax.jit
    def forced():
        rule_at = exiting.rule_at(threshold, LAYERS)
        first_B = jnp.ones(3, jnp.int32)
        return teacher_forced(
            reading(model, source), POLICIES[policy], rule_at, ids_BT, first_B
        )

    whole = forced()
    np.testing.assert_array_equal(whole.exit_BT[:, :12], out.exit_BN)
    np.testing.assert_allclose(whole.confidence_BT[:, :12], out.confidence_BN, atol=1e-5)


def test_a_command_that_gives_it_no_other_text():
    with pytest.raises(UserError, match="holds a t5, whose decoder says what its encoder"):
        find_language(str(GOLDEN / "t5")).weights()
