"""Exit heads of a language model: where they start, what they compute, one's own."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from ee_jax.errors import UserError
from ee_jax.inference.decode_loop import start_memory
from ee_jax.inference.exit_step import ExitStep
from ee_jax.inference.generator import Decoder
from ee_jax.inference.kv_policies import POLICIES
from ee_jax.inference.methods import SelfSpeculation, StaticDecoding
from ee_jax.inference.rules import Exiting
from ee_jax.inference.segment import prefill
from ee_jax.inference.teacher_forcing import teacher_forced
from ee_jax.models.attention import rope_frequencies, rotate
from ee_jax.models.exit_features import PLAIN
from ee_jax.models.export import export_model, import_language, with_exits
from ee_jax.models.families.gpt2 import gpt2
from ee_jax.models.families.llama import llama
from ee_jax.models.language import LanguageDesign, LanguageModel
from ee_jax.models.precision import in_precision
from ee_jax.models.token_heads import TOKEN_HEADS, TokenHead
from ee_jax.models.transformer import Transformer, bind, parameters
from ee_jax.tokens import Tokens

LLAMA = llama(13, width=8, blocks=3, heads=2, kv_heads=1, hidden=12, max_length=16)
GPT2 = gpt2(13, width=8, blocks=3, heads=2, hidden=12, max_length=16)
IDS_BT = jnp.asarray(np.random.default_rng(0).integers(0, 13, (2, 9)), jnp.int32)
TOKENS = Tokens(IDS_BT, jnp.ones(IDS_BT.shape, bool))


def plain_values(config):
    """A backbone whose final norm is not the one that norms start with, on states of size 1."""
    design = LanguageDesign((config.blocks,))
    model = LanguageModel(Transformer(config, rngs=nnx.Rngs(1)), design, rngs=nnx.Rngs(2))
    values, rng = parameters(model), np.random.default_rng(3)
    for path, value in values.items():
        if "norm" in path:
            values[path] = value + jnp.asarray(rng.normal(0, 0.3, value.shape), jnp.float32)
        if "embedding" in path:
            values[path] = 50 * value
    return values


def model_with(head, config=LLAMA, width=None, noise=0.0):
    """The model whose heads have learned `noise`."""
    model = with_exits(config, plain_values(config), LanguageDesign((1, 2, 3), head, width))
    values, rng = parameters(model), np.random.default_rng(4)
    for path, value in values.items():
        if path.startswith("heads."):
            values[path] = value + jnp.asarray(rng.normal(0, noise, value.shape), jnp.float32)
    return bind(model, values)


@pytest.mark.parametrize("config", [LLAMA, GPT2], ids=["llama", "gpt2"])
@pytest.mark.parametrize("head", ["norm", "adapter", "mlp", "block"])
def test_a_head_starts_as_the_logit_lens(head, config):
    lens = model_with("final_norm", config).features(TOKENS)
    # Two norms in the place of one: an epsilon more of 1e-5.
    np.testing.assert_allclose(model_with(head, config).features(TOKENS), lens, rtol=2e-4)


def test_an_mlp_against_plain_numpy():
    model = model_with("mlp", width=5, noise=0.3)
    hidden_BTD = np.asarray(model.exit_states(TOKENS).hidden_EBTD[0]).astype(np.float64)
    value = {
        path: np.asarray(each).astype(np.float64) for path, each in parameters(model).items()
    }

    def of(name):
        return value[f"heads.0.{name}"]

    def norm(x, scale):
        return x / np.sqrt((x**2).mean(-1, keepdims=True) + LLAMA.norm_eps) * scale

    x = norm(hidden_BTD, of("norm.scale"))
    gate = x @ of("part.gate.kernel")
    added = (gate / (1 + np.exp(-gate)) * (x @ of("part.up.kernel"))) @ of("part.down.kernel")
    wanted = norm(x + added, of("out_norm.scale"))
    np.testing.assert_allclose(model.features(TOKENS)[0], wanted, rtol=2e-5, atol=2e-5)
    np.testing.assert_allclose(model.read(0, jnp.float32(hidden_BTD)), x, rtol=2e-5, atol=2e-5)


def test_a_block_against_plain_numpy():
    """Each token looks at what the backbone's last block made of it and of those before."""
    model = model_with("block", width=5, noise=0.3)
    states = model.exit_states(TOKENS)
    value = {
        path: np.asarray(each).astype(np.float64) for path, each in parameters(model).items()
    }

    def of(name):
        return value[f"heads.1.{name}"]

    def norm(x, scale):
        return x / np.sqrt((x**2).mean(-1, keepdims=True) + LLAMA.norm_eps) * scale

    position_1T = jnp.arange(IDS_BT.shape[1])[None]
    keys = model.backbone.block(1).keys(states.hidden_EBTD[0], position_1T)
    key_BTH, value_BTH = (np.asarray(part)[:, :, 0] for part in keys)  # one head has them
    x_BTD = norm(np.asarray(states.hidden_EBTD[1], np.float64), of("norm.scale"))
    query_BTNH = (x_BTD @ of("attention.query.kernel")).reshape(2, 9, 2, 4)
    query_BTNH = np.asarray(
        rotate(jnp.float32(query_BTNH), position_1T, rope_frequencies(LLAMA.rope, 4))
    )
    added_BTD = np.zeros_like(x_BTD)
    for row, at in np.ndindex(2, 9):
        found = []
        for query_H in query_BTNH[row, at]:
            score_S = key_BTH[row, : at + 1] @ query_H / 2
            weight_S = np.exp(score_S) / np.exp(score_S).sum()
            found.append(weight_S @ value_BTH[row, : at + 1])
        added_BTD[row, at] = np.concatenate(found) @ of("attention.out.kernel")
    mixed = x_BTD + added_BTD
    y = norm(mixed, of("mlp_norm.scale"))
    gate = y @ of("mlp.gate.kernel")
    after = (gate / (1 + np.exp(-gate)) * (y @ of("mlp.up.kernel"))) @ of("mlp.down.kernel")
    wanted = norm(mixed + after, of("out_norm.scale"))
    np.testing.assert_allclose(states.feature_EBTD[1], wanted, rtol=2e-5, atol=2e-5)


def test_a_head_that_looks_back_drafts_and_decodes_statically():
    """The exit's own greedy tokens are those of its features; drafts are verified as ever."""
    model = model_with("block", noise=0.3)
    decoder, prompts = Decoder(model), [[1, 2, 3], [4, 5]]
    own = decoder.run(StaticDecoding(0), None, prompts, 6)
    whole_BT = np.concatenate([[[*prompts[0], *own.ids_BN[0]]]], 0)
    tokens = Tokens(jnp.asarray(whole_BT), jnp.ones(whole_BT.shape, bool))
    said_T = model.logits(model.features(tokens)[0, 0]).argmax(-1)
    np.testing.assert_array_equal(said_T[2:-1], own.ids_BN[0])
    full = decoder.run(StaticDecoding(2), None, prompts, 6)
    drafted = decoder.run(SelfSpeculation(0, 2), None, prompts, 6)
    np.testing.assert_array_equal(drafted.ids_BN, full.ids_BN)


def test_gradients_through_a_head_that_looks_back():
    """Equilibrium scales what reaches a segment, through keys as through states."""
    model = model_with("block", noise=0.3)

    def loss(values, forward):
        feature_EBTD = bind(model, values).features(TOKENS, forward)
        return (feature_EBTD[0] ** 2 * jnp.arange(8.0)[None, None]).sum()

    plain = jax.grad(loss)(parameters(model), PLAIN)
    shared = jax.grad(loss)(parameters(model), PLAIN._replace(equilibrium=True))
    for path, value in plain.items():
        if path.startswith("backbone.blocks.0."):
            np.testing.assert_allclose(shared[path], value / 3, rtol=1e-4, atol=1e-5)


def test_an_adapter_adds_a_matrix_of_its_rank():
    model = model_with("adapter", width=2, noise=0.3)
    part: Any = model.heads[1].part  # pyright: ignore[reportAttributeAccessIssue]
    added_DD = part(jnp.eye(8))
    assert np.linalg.matrix_rank(added_DD, tol=1e-5) == 2
    np.testing.assert_allclose(part(2 * jnp.eye(8)), 2 * added_DD, rtol=1e-6)


@pytest.mark.parametrize("head", ["adapter", "mlp", "block"])
@pytest.mark.parametrize("policy", ["propagate", "copy", "recompute"])
@pytest.mark.parametrize("confidence", ["saturation", "max_prob"], ids=["blind", "reads"])
@pytest.mark.parametrize("layout", ["loops", "nested"])
def test_decoding_answers_with_the_head_where_a_row_stops(head, policy, confidence, layout):
    """Token by token as in the parallel pass, rows at depths of their own."""
    model = model_with(head, noise=0.3)
    threshold = {"saturation": 0.96, "max_prob": 0.086}[confidence]
    rule_at = Exiting(confidence).rule_at(threshold, model.design.layers)
    policy, one_B = POLICIES[policy], jnp.ones(2, jnp.int32)
    whole = jax.jit(lambda: teacher_forced(model, policy, rule_at, IDS_BT, one_B))()
    assert len({*np.asarray(whole.exit_BT)[:, :8].flat}) > 1
    memory = start_memory(model, prefill(model, IDS_BT[:, :1], 9))

    @jax.jit
    def step(memory, at):
        rule = rule_at(jnp.full(2, at))
        token_B, position_B = IDS_BT[:, at], jnp.full(2, at)
        return ExitStep(model, policy, rule, layout)(
            memory, token_B, position_B, jnp.zeros(2, bool)
        )

    for at in range(8):
        memory, stopped = step(memory, at)
        wanted_BV = model.logits(whole.feature_BTD[:, at])
        np.testing.assert_array_equal(stopped.exit_B, whole.exit_BT[:, at])
        # One sum in two programs.
        np.testing.assert_allclose(stopped.logits_BC, wanted_BV, atol=2e-5)


def test_a_model_comes_back_from_its_folder(tmp_path):
    model = model_with("mlp", width=5, noise=0.3)
    export_model(model, tmp_path)
    back = import_language(tmp_path)
    assert back.design == model.design
    np.testing.assert_array_equal(back.features(TOKENS), model.features(TOKENS))


class Doubled(TokenHead):
    """A user's head."""

    def __init__(self, config, width, *, rngs):
        self.factor = nnx.Param(jnp.float32(2))

    def __call__(self, hidden, last=None):
        return hidden * self.factor.get_value()


def test_a_head_of_ones_own_goes_through_the_same_door(tmp_path):
    TOKEN_HEADS.register("doubled", Doubled)
    try:
        model = model_with("doubled")
        hidden_EBTD = model.exit_states(TOKENS).hidden_EBTD
        np.testing.assert_array_equal(model.features(TOKENS)[0], 2 * hidden_EBTD[0])
        export_model(model, tmp_path)
        import_language(tmp_path)
    finally:
        del TOKEN_HEADS["doubled"]
    with pytest.raises(UserError, match="no token head 'doubled'"):
        import_language(tmp_path)


def test_a_head_computes_in_what_its_model_does():
    half = in_precision(model_with("mlp", noise=0.3), "bfloat16")
    hidden_BTD = half.exit_states(TOKENS).hidden_EBTD[0]
    assert half.feature(0, hidden_BTD).dtype == jnp.bfloat16
    kinds = {path: value.dtype for path, value in parameters(half).items() if "heads" in path}
    norms = {path for path, kind in kinds.items() if kind == jnp.float32}
    assert norms == {path for path in kinds if "norm" in path}
