"""What decoding would do on given text, in one parallel pass.

Deeper blocks make keys and values of tokens that have stopped as the policy says, all tokens at
once and not one after the other: the numbers are those of decoding token by token. Perplexity
and agreement at any threshold are one program.

Work over many tokens a few at a time, so that [tokens, vocabulary] never exists whole.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from ee_jax.exits.output import ExitOutput
from ee_jax.exits.rules import Rule, Update, Verdict, exit_update
from ee_jax.inference.kv_policies import Policy
from ee_jax.inference.rules import RuleAt
from ee_jax.inference.segment import TokenState, embed, run_segment
from ee_jax.models.kv_cache import make_cache, seen_by
from ee_jax.models.language import LanguageModel

CHUNK = 256  # tokens at a time


def in_chunks(function: Callable[[Any], Any], inputs: Any, size: int = CHUNK) -> Any:
    """`function` of a pytree of arrays that N leads, `size` rows of it at a time.

    The last chunk is filled up with zeros, whose results are dropped.
    """
    rows = jax.tree.leaves(inputs)[0].shape[0]
    size = min(size, rows)
    chunks = -(-rows // size)

    def split(array: jax.Array) -> jax.Array:
        more = [(0, chunks * size - rows)] + [(0, 0)] * (array.ndim - 1)
        return jnp.pad(array, more).reshape(chunks, size, *array.shape[1:])

    def join(array: jax.Array) -> jax.Array:
        return array.reshape(chunks * size, *array.shape[2:])[:rows]

    return jax.tree.map(join, jax.lax.map(function, jax.tree.map(split, inputs)))


class Forced(NamedTuple):
    """What the exits where the tokens of a text stopped say of the tokens after them."""

    exit_BT: Int[Array, "B T"]
    confidence_BT: Float[Array, "B T"]
    feature_BTD: Float[Array, "B T D"]  # what the exit read; `model.logits` makes logits of it
    prediction_BT: Int[Array, "B T"]
    loss_BT: Float[Array, "B T"]  # nats that the text's next token costs; 0 at the last


def teacher_forced(
    model: LanguageModel,
    policy: Policy,
    rule_at: RuleAt,
    ids_BT: Int[Array, "B T"],
    first_B: Int[Array, " B"],
    chunk: int = CHUNK,
) -> Forced:
    """The pass over texts, padded on the right.

    Args:
        model: a causal language model.
        policy: what deeper blocks see of tokens that stopped.
        rule_at: gives the rule for the n-th tokens after the prompts.
        ids_BT: the texts.
        first_B: where each text goes on after its prompt, 1 at least: the tokens from the
            prompt's last on may stop, those before it run all blocks, as they do in prefill.
        chunk: tokens whose logits exist at the same time.
    """
    batch, time = ids_BT.shape
    position_BT = jnp.broadcast_to(jnp.arange(time)[None], (batch, time))
    count_BT = position_BT - first_B[:, None] + 1
    state = _start(model, rule_at, count_BT, embed(model, ids_BT, position_BT))
    for exit in range(len(model.design.layers)):
        state = _through(model, policy, rule_at, position_BT, count_BT, state, exit, chunk)
    next_BT = jnp.roll(ids_BT, -1, axis=1)
    prediction_BT, loss_BT = _against(model, state.feature_BTD, next_BT, chunk)
    loss_BT = jnp.where(position_BT < time - 1, loss_BT, 0.0)
    return Forced(state.exit_BT, state.confidence_BT, state.feature_BTD, prediction_BT, loss_BT)


class TeacherForcedState(NamedTuple):
    """All tokens on their way from exit to exit."""

    layers: Any  # keys and values of the layers run so far
    hidden_BTD: Float[Array, "B T D"]
    stopped_BT: Bool[Array, "B T"]
    rule_state: Any  # B*T leads every array
    exit_BT: Int[Array, "B T"]
    confidence_BT: Float[Array, "B T"]
    feature_BTD: Float[Array, "B T D"]


def _start(
    model: LanguageModel, rule_at: RuleAt, count_BT: Array, hidden_BTD: Array
) -> TeacherForcedState:
    batch, time, width = hidden_BTD.shape
    hidden_ND = hidden_BTD.reshape(batch * time, width)
    answer = jax.eval_shape(lambda: ExitOutput(model.logits(hidden_ND), hidden_ND))
    state = rule_at(count_BT.reshape(-1)).init(answer)
    zero_BT = jnp.zeros((batch, time))
    stopped_BT, exit_BT = zero_BT.astype(bool), zero_BT.astype(jnp.int32)
    return TeacherForcedState(
        (), hidden_BTD, stopped_BT, state, exit_BT, zero_BT, jnp.zeros_like(hidden_BTD)
    )


def _through(
    model: LanguageModel,
    policy: Policy,
    rule_at: RuleAt,
    position_BT: Array,
    count_BT: Array,
    state: TeacherForcedState,
    exit: int,
    chunk: int,
) -> TeacherForcedState:
    """The segment of exit number `exit`, and who stops after it."""
    layers = model.design.layers
    start = (0, *layers)[exit]
    batch, time, _ = state.hidden_BTD.shape
    empty = make_cache(model.backbone.config, batch, time)[start : layers[exit]]
    below = state.layers[start - 1] if start else empty[0]
    tokens = TokenState(state.hidden_BTD, position_BT, state.stopped_BT)
    part, hidden_BTD = run_segment(model, policy, empty, below, tokens, start)

    last = seen_by(model.backbone, layers[exit] - 1, position_BT, part[-1])
    feature_BTD = model.feature(exit, hidden_BTD, last)
    parts = hidden_BTD, feature_BTD, count_BT, state.stopped_BT
    flat = (part.reshape(batch * time, *part.shape[2:]) for part in parts)
    now: Update = in_chunks(
        lambda part: _update(model, rule_at, exit, *part), (*flat, state.rule_state), chunk
    )
    here_BT, stopped_BT, confidence_BT = (part.reshape(batch, time) for part in now[:3])
    return TeacherForcedState(
        (*state.layers, *part),
        hidden_BTD,
        stopped_BT,
        now.rule_state,
        jnp.where(here_BT, exit, state.exit_BT),
        jnp.where(here_BT, confidence_BT, state.confidence_BT),
        jnp.where(here_BT[..., None], feature_BTD, state.feature_BTD),
    )


def _update(
    model: LanguageModel,
    rule_at: RuleAt,
    exit: int,
    hidden_ND: Array,
    feature_ND: Array,
    count_N: Array,
    stopped_N: Array,
    rule_state: Any,
) -> Update:
    rule = _after_prompt(rule_at(count_N), count_N)
    answer = model.answer(exit, hidden_ND, feature_ND if rule.reads_logits else None)
    is_last = exit == len(model.design.layers) - 1
    return exit_update(rule, jnp.int32(exit), is_last, answer, stopped_N, rule_state)


def _after_prompt(rule: Rule, count_N: Array) -> Rule:
    """The rule, which lets no token stop before the prompt's last."""

    def step(exit: Array, answer: ExitOutput, state: Any) -> tuple[Verdict, Any]:
        verdict, state = rule.step(exit, answer, state)
        return verdict._replace(stop_B=verdict.stop_B & (count_N >= 0)), state

    return Rule(rule.init, step, rule.reads_logits)


def _against(
    model: LanguageModel, feature_BTD: Array, next_BT: Array, chunk: int
) -> tuple[Array, Array]:
    """Predictions, and what the next tokens cost."""

    def judge(part: tuple[Array, Array]) -> tuple[Array, Array]:
        feature_ND, next_N = part
        log_p_NV = jax.nn.log_softmax(model.logits(feature_ND))
        loss_N = -jnp.take_along_axis(log_p_NV, next_N[:, None], axis=1)[:, 0]
        return log_p_NV.argmax(-1).astype(jnp.int32), loss_N

    flat = feature_BTD.reshape(-1, feature_BTD.shape[-1]), next_BT.reshape(-1)
    return tuple(part.reshape(next_BT.shape) for part in in_chunks(judge, flat, chunk))
