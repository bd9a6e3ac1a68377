"""One segment of a language model on tokens whose past is in a cache; the prompt."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from ee_jax.inference.kv_policies import Policy
from ee_jax.models.kv_cache import KV, Cache, attend_cache, make_cache, make_kv, read, write
from ee_jax.models.language import LanguageModel
from ee_jax.tokens import Tokens


class TokenState(NamedTuple):
    """Tokens on their way through the blocks, T a row."""

    hidden_BTD: Float[Array, "B T D"]
    position_BT: Int[Array, "B T"]
    stopped_BT: Bool[Array, "B T"]


def embed(
    model: LanguageModel, ids_BT: Int[Array, "B T"], position_BT: Int[Array, "B T"]
) -> Float[Array, "B T D"]:
    """Hidden states before the first block.

    A row that waits for others may run past the context. What it makes there is thrown away,
    but must be a number: a NaN would reach others through the slot that it is written to.
    """
    tokens = Tokens(ids_BT, jnp.ones(ids_BT.shape, bool))
    last = model.backbone.config.max_length - 1
    return model.backbone.embedding(tokens, jnp.minimum(position_BT, last))


def run_blocks(
    model: LanguageModel,
    cache: Cache,
    hidden_BTD: Float[Array, "B T D"],
    position_BT: Int[Array, "B T"],
    start: int,
    stop: int,
) -> tuple[Cache, Float[Array, "B T D"]]:
    """The blocks `start` to `stop` (exclusive); `cache` holds their layers only."""
    written = []
    for kv, index in zip(cache, range(start, stop), strict=True):
        block = model.backbone.block(index)
        kv = write(kv, make_kv(block, hidden_BTD, position_BT), position_BT)
        hidden_BTD = attend_cache(model.backbone, index, hidden_BTD, position_BT, kv)
        written.append(kv)
    return tuple(written), hidden_BTD


def run_segment(
    model: LanguageModel,
    policy: Policy,
    cache: Cache,
    below: KV,
    tokens: TokenState,
    start: int,
) -> tuple[Cache, Float[Array, "B T D"]]:
    """The blocks from `start` on, as many as `cache` has layers.

    Tokens that have stopped go through them as the policy says; `below` is the layer of the
    cache below the first.
    """
    hidden_BTD, position_BT, stopped_BT = tokens
    under, written = read(below, position_BT), []
    for index, kv in enumerate(cache, start):
        block = model.backbone.block(index)
        ran = make_kv(block, hidden_BTD, position_BT)
        skipped = policy.make(block, hidden_BTD, position_BT, under)
        both = zip(skipped, ran, strict=True)
        under = KV(*(jnp.where(stopped_BT[:, None, :, None], *parts) for parts in both))
        kv = write(kv, under, position_BT)
        after_BTD = attend_cache(model.backbone, index, hidden_BTD, position_BT, kv)
        kept = stopped_BT[..., None] & (not policy.runs_on)
        hidden_BTD = jnp.where(kept, hidden_BTD, after_BTD)
        written.append(kv)
    return tuple(written), hidden_BTD


def fill_segment(
    model: LanguageModel,
    policy: Policy,
    cache: Cache,
    below: KV,
    tokens: TokenState,
    start: int,
) -> tuple[Cache, Float[Array, "B T D"]]:
    """`run_segment` for tokens of which those that have stopped are filled in, no other."""
    hidden_BTD, position_BT, missing_BT = tokens
    under, written = read(below, position_BT), []
    for index, kv in enumerate(cache, start):
        block = model.backbone.block(index)
        under = policy.make(block, hidden_BTD, position_BT, under)
        kv = write(kv, under, position_BT, missing_BT)
        if policy.runs_on:
            after_BTD = attend_cache(model.backbone, index, hidden_BTD, position_BT, kv)
            hidden_BTD = jnp.where(missing_BT[..., None], after_BTD, hidden_BTD)
        written.append(kv)
    return tuple(written), hidden_BTD


def prefill(model: LanguageModel, ids_BP: Int[Array, "B P"], slots: int) -> Cache:
    """A cache of `slots` tokens a row that holds the prompts, padded on the right.

    What is written for padding is never seen: its slots are written anew before a token of
    their position looks. Decoding feeds the prompt's last token once more, so that the first
    new one may stop early like any other.
    """
    batch = ids_BP.shape[0]
    cache = make_cache(model.backbone.config, batch, slots, model.backbone.dtype)
    return extend(model, cache, ids_BP, jnp.zeros(batch, jnp.int32))


def extend(
    model: LanguageModel, cache: Cache, ids_BT: Int[Array, "B T"], first_B: Int[Array, " B"]
) -> Cache:
    """The cache with the next tokens of each row, padded on the right as in `prefill`.

    Args:
      model: all of whose blocks run.
      cache: of the tokens before them.
      ids_BT: the tokens.
      first_B: the positions of each row's first.
    """
    position_BT = first_B[:, None] + jnp.arange(ids_BT.shape[1])[None]
    hidden_BTD = embed(model, ids_BT, position_BT)
    return run_blocks(model, cache, hidden_BTD, position_BT, 0, len(cache))[0]
