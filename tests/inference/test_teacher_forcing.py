"""The parallel pass gives the numbers of decoding token by token."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.extend.core import jaxprs_in_params

from ee_jax.inference.decode_loop import exiting_step, start_memory
from ee_jax.inference.generator import Decoder
from ee_jax.inference.kv_policies import POLICIES
from ee_jax.inference.methods import EarlyExitDecoding
from ee_jax.inference.rules import Exiting
from ee_jax.inference.segment import prefill
from ee_jax.inference.teacher_forcing import teacher_forced
from ee_jax.models.export import with_exits
from ee_jax.models.language import LanguageDesign
from ee_jax.models.transformer import parameters
from tests.inference.models import LAYERS, PROMPTS, VOCABULARY, tiny
from tests.models.golden_models import golden_language

TOKENS, TIME = 17, 24
CLOSE = 1e-4  # logits in single precision, summed in another order
FADING = Exiting("max_prob", decay="calm_paper", tau=4.0, length=TOKENS)


@cache
def parallel(policy):
    """(ids_BT, first_B, threshold) -> Forced and the logits, compiled."""
    model = tiny()

    def run(ids_BT, first_B, threshold):
        rule_at = FADING.rule_at(threshold, LAYERS)
        out = teacher_forced(model, POLICIES[policy], rule_at, ids_BT, first_B, chunk=7)
        return out, model.logits(out.feature_BTD)

    return jax.jit(run)


@cache
def step_by_step(policy, batch, window=3):
    """Feeds a given text: the exits and logits of every token from the prompts' last on."""
    model = tiny()

    def run(ids_BT, first_B, threshold):
        cache = prefill(model, ids_BT, ids_BT.shape[1])
        step = exiting_step(model, POLICIES[policy], FADING.rule_at(threshold, LAYERS))
        ended_B = jnp.zeros(batch, bool)

        def feed(memory, count):
            position_B = first_B - 1 + count
            token_B = jnp.take_along_axis(ids_BT, position_B[:, None], 1, mode="clip")[:, 0]
            memory, stopped = step(memory, token_B, position_B, count, ended_B)
            return memory, stopped

        memory = start_memory(model, cache, window)
        return jax.lax.scan(feed, memory, jnp.arange(ids_BT.shape[1]))[1]

    return jax.jit(run)


def texts(batch, time=TIME, seed=0):
    """Random texts of several lengths, padded on the right, and lengths of their prompts."""
    random = np.random.default_rng(seed)
    length_B = random.integers(10, time + 1, batch)
    ids_BT = random.integers(1, VOCABULARY, (batch, time)) * (
        np.arange(time) < length_B[:, None]
    )
    return jnp.asarray(ids_BT, jnp.int32), random.integers(1, 9, batch), length_B


@pytest.mark.parametrize(
    ("policy", "batch"), [*((policy, 4) for policy in POLICIES), ("propagate", 1)]
)
@pytest.mark.parametrize("threshold", [0.2, 0.3])
def test_exits_and_logits_of_given_texts(policy, batch, threshold):
    ids_BT, first_B, length_B = texts(batch)
    first_B = jnp.asarray(first_B)
    forced, logits_BTV = parallel(policy)(ids_BT, first_B, threshold)
    stepped = step_by_step(policy, batch)(ids_BT, first_B, threshold)
    seen = set()
    for row in range(batch):
        start, stop = int(first_B[row]) - 1, int(length_B[row])
        span, steps = slice(start, stop), slice(stop - start)
        for ours, theirs in (
            (forced.exit_BT, stepped.exit_B),
            (forced.confidence_BT, stepped.confidence_B),
            (logits_BTV, stepped.logits_BC),
        ):
            np.testing.assert_allclose(ours[row, span], theirs[steps, row], atol=CLOSE)
        seen |= set(np.asarray(forced.exit_BT[row, span]).tolist())
        assert (forced.exit_BT[row, :start] == len(LAYERS) - 1).all()
    assert len(seen) == len(LAYERS)


def test_what_was_decoded_is_predicted_again():
    decoder = Decoder(tiny())
    out = decoder.run(EarlyExitDecoding(FADING.rule_at), 0.2, PROMPTS, TOKENS)
    rows = [[*prompt, *ids] for prompt, ids in zip(PROMPTS, out.ids_BN.tolist(), strict=True)]
    ids_BT = jnp.asarray([row + [0] * (TIME - len(row)) for row in rows])
    first_B = jnp.asarray([len(prompt) for prompt in PROMPTS])
    forced, _ = parallel("propagate")(ids_BT, first_B, 0.2)
    for row, prompt in enumerate(PROMPTS):
        span = slice(len(prompt) - 1, len(prompt) - 1 + TOKENS)
        np.testing.assert_array_equal(forced.prediction_BT[row, span], out.ids_BN[row])
        np.testing.assert_array_equal(forced.exit_BT[row, span], out.exit_BN[row])


def test_losses_are_the_next_tokens_surprise():
    ids_BT, first_B, _ = texts(4)
    forced, logits_BTV = parallel("propagate")(ids_BT, jnp.asarray(first_B), 0.2)
    log_p = jax.nn.log_softmax(logits_BTV[:, :-1])
    wanted = -np.take_along_axis(np.asarray(log_p), np.asarray(ids_BT)[:, 1:, None], 2)[..., 0]
    np.testing.assert_allclose(forced.loss_BT[:, :-1], wanted, atol=CLOSE)
    assert not forced.loss_BT[:, -1].any()


def test_rows_that_predict_as_many_tokens_as_the_context_holds():
    """They are one token longer; the last one has no learned position, and nothing reads it."""
    golden = golden_language("gpt2")
    config = golden.backbone.config
    model = with_exits(config, parameters(golden), LanguageDesign((1, config.blocks)))
    rule_at = Exiting().rule_at(0.05, model.design.layers)
    ids_BT = jnp.asarray(np.arange(config.max_length + 1)[None] % 64)
    policy, first_B = POLICIES["propagate"], jnp.ones(1, jnp.int32)
    long, fits = (
        jax.jit(teacher_forced, static_argnums=(1, 2))(model, policy, rule_at, ids, first_B)
        for ids in (ids_BT, ids_BT[:, :-1])
    )
    np.testing.assert_allclose(long.loss_BT[:, :-2], fits.loss_BT[:, :-1], rtol=1e-5)


def test_logits_of_all_tokens_never_exist():
    ids_BT, first_B, _ = texts(4)
    jaxpr = jax.make_jaxpr(
        lambda ids, first: teacher_forced(
            tiny(), POLICIES["propagate"], FADING.rule_at(0.2, LAYERS), ids, first, chunk=7
        )
    )(ids_BT, jnp.asarray(first_B))
    sizes = [int(np.prod(shape)) for shape in shapes(jaxpr.jaxpr) if VOCABULARY in shape]
    assert 7 * VOCABULARY in sizes, "the chunk's logits"
    assert max(sizes) < ids_BT.size * VOCABULARY


def shapes(jaxpr):
    for equation in jaxpr.eqns:
        yield from (variable.aval.shape for variable in equation.outvars)
        for inner in jaxprs_in_params(equation.params):
            yield from shapes(inner)
