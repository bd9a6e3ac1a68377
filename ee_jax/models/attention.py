"""Attention and positions, as functions over plain arrays."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from ee_jax.models.architecture import Rope

# Finite, so that a row with nothing to see gives no NaN; below all scores, so that none is seen
# through it.
MASKED = -(2.0**100)


def attention_bias(
    mask_BT: Bool[Array, "B T"], causal: bool, window: int | None = None
) -> Float[Array, "B t T"]:
    """What is added to the scores: 0 where a query may look, `MASKED` elsewhere.

    Shape [B, 1, T], or [B, T, T] where each position sees only what came before it, or where
    there is a `window`: that many positions to a side, itself among them.
    """
    seen, position_T = mask_BT[:, None, :], jnp.arange(mask_BT.shape[1])
    if causal:
        seen = seen & looks_back(position_T[None], mask_BT.shape[1], window)
    elif window is not None:
        seen = seen & (jnp.abs(position_T[:, None] - position_T[None]) < window)[None]
    return jnp.where(seen, 0.0, MASKED)


def looks_back(
    position_BT: Int[Array, "b T"], source: int, window: int | None
) -> Bool[Array, "b T S"]:
    """Which of the positions 0 to S - 1 a causal query at each position may look at.

    Args:
      position_BT: of the queries.
      source: S, the number of keys.
      window: how many positions a query sees, itself the last (Jiang et al. 2023, Mistral 7B,
        sec. 2); None: all up to itself.
    """
    source_S, query_BT1 = jnp.arange(source)[None, None], position_BT[..., None]
    seen = source_S <= query_BT1
    return seen if window is None else seen & (source_S > query_BT1 - window)


def distance_buckets(buckets: int, furthest: int) -> Int[np.ndarray, " F"]:
    """The bucket of each distance from 0 to `furthest`, from where on all share one.

    The first half of the buckets holds one distance each, the others' widths grow by a factor
    (Raffel et al. 2020, T5, sec. 2.1).
    """
    near, distance_F = buckets // 2, np.arange(furthest + 1)
    turns_F = np.log(np.maximum(distance_F, near).astype(np.float32) / near)
    far_F = near + (turns_F / math.log(furthest / near) * (buckets - near)).astype(int)
    return np.where(distance_F < near, distance_F, np.minimum(far_F, buckets - 1))


def relative_buckets(
    position_BT: Int[Array, "b T"], source: int, buckets: int, furthest: int, causal: bool
) -> Int[Array, "b T S"]:
    """The bucket of each key's distance from each query.

    Args:
      position_BT: of the queries.
      source: S, the number of keys, at positions from 0.
      buckets: how many there are, an even number from 4; half of them are for keys that come
        later, where such are seen.
      furthest: the distance from which on all share a bucket.
      causal: whether no later key is seen.
    """
    after_BTS = jnp.arange(source)[None, None] - position_BT[..., None]
    if causal:
        bucket_F = jnp.asarray(distance_buckets(buckets, furthest))
        return bucket_F[jnp.clip(-after_BTS, 0, furthest)]
    bucket_F = jnp.asarray(distance_buckets(buckets // 2, furthest))
    return bucket_F[jnp.minimum(jnp.abs(after_BTS), furthest)] + buckets // 2 * (after_BTS > 0)


class Scores(NamedTuple):
    """What becomes of the products of queries and keys, before the softmax."""

    size: float | None = None  # its root divides them; None: H
    cap: float | None = None  # c becomes cap * tanh(c / cap) (Gemma 2, 2024); None: stays


PLAIN = Scores()


def attend(
    query_BTNH: Float[Array, "B T N H"],
    key_BSKH: Float[Array, "B S K H"],
    value_BSKH: Float[Array, "B S K H"],
    bias_BTS: Float[Array, "B *n t S"],
    scores: Scores = PLAIN,
) -> Float[Array, "B T N H"]:
    """Scaled dot-product attention (Vaswani et al. 2017, eq. 1), K dividing N."""
    key_BKSH, value_BKSH = (part.transpose(0, 2, 1, 3) for part in (key_BSKH, value_BSKH))
    return attend_heads(query_BTNH, key_BKSH, value_BKSH, bias_BTS, scores)


def attend_heads(
    query_BTNH: Float[Array, "B T N H"],
    key_BKSH: Float[Array, "B K S H"],
    value_BKSH: Float[Array, "B K S H"],
    bias_BTS: Float[Array, "B *n t S"],
    scores: Scores = PLAIN,
) -> Float[Array, "B T N H"]:
    """`attend` where the keys of a head lie together, as a cache holds them.

    Batched matrix products over [B*K, ...], and the softmax's division after the second
    product: H numbers for each query are divided there, and not its S weights.

    Args:
      query_BTNH: N heads.
      key_BKSH: K heads, each for N / K of the queries'.
      value_BKSH: the same.
      bias_BTS: added to the scores; of all heads, or [B, N, T, S], of each.
      scores: how they are scaled.
    """
    batch, time, heads, size = query_BTNH.shape
    kv_heads, source = key_BKSH.shape[1:3]
    group = heads // kv_heads  # query heads that share a key head lie beside each other

    rows = batch * kv_heads
    query = query_BTNH.reshape(batch, time, kv_heads, group, size)
    query = query / math.sqrt(size if scores.size is None else scores.size)
    query = query.transpose(0, 2, 3, 1, 4).reshape(rows, group * time, size)
    key, value = (part.reshape(rows, source, size) for part in (key_BKSH, value_BKSH))

    score = _product("rth,rsh->rts", query, key)
    if scores.cap is not None:
        score = scores.cap * jnp.tanh(score / scores.cap)
    score = score + _of_rows(bias_BTS, kv_heads, group)
    weight = jnp.exp(score - jax.lax.stop_gradient(score.max(-1, keepdims=True)))
    mixed = _product("rts,rsh->rth", weight.astype(value.dtype), value)
    mixed = (mixed * (1 / weight.sum(-1, keepdims=True))).astype(value.dtype)
    mixed = mixed.reshape(batch, kv_heads, group, time, size).transpose(0, 3, 1, 2, 4)
    return mixed.reshape(batch, time, heads, size)


def _of_rows(bias_BTS: Array, kv_heads: int, group: int) -> Float[Array, "R t S"]:
    """The bias of B*K rows of scores, each of the queries of `group` heads in turn."""
    if bias_BTS.ndim == 4:  # each head's own
        return bias_BTS.reshape(-1, group * bias_BTS.shape[2], bias_BTS.shape[3])
    if bias_BTS.shape[1] > 1:
        bias_BTS = jnp.tile(bias_BTS, (1, group, 1))
    return jnp.repeat(bias_BTS, kv_heads, axis=0)


def _product(axes: str, left: Array, right: Array) -> Array:
    """A batched matrix product, whose sums are float32."""
    return jnp.einsum(axes, left, right, preferred_element_type=jnp.float32)


def sinusoids(position_BT: Int[Array, "b T"], width: int) -> Float[Array, "b T D"]:
    """Positions that nothing learns: sines, then cosines, of falling frequencies.

    The numbers of Vaswani et al. (2017, sec. 3.5), which has the two in turns.

    Args:
      position_BT: of the tokens.
      width: D, numbers of a token.
    """
    frequency_P = 10_000.0 ** (-2 * np.arange((width + 1) // 2) / width)
    angle_BTP = position_BT[..., None] * frequency_P.astype(np.float32)[None, None]
    return jnp.concatenate([jnp.sin(angle_BTP), jnp.cos(angle_BTP)], axis=-1)[..., :width]


def rope_frequencies(rope: Rope, size: int) -> Float[np.ndarray, " P"]:
    """The angle, in radians a token, by which each pair of a head of `size` H turns."""
    size = rope.turned(size)
    frequency = rope.theta ** (-2 * np.arange(size // 2) / size)
    if rope.scaling == "linear":
        frequency = frequency / rope.factor
    if rope.scaling == "llama3":
        turns = rope.original_length * frequency / (2 * np.pi)
        kept = np.clip((turns - rope.low) / (rope.high - rope.low), 0.0, 1.0)
        frequency = kept * frequency + (1 - kept) * frequency / rope.factor
    if rope.scaling == "yarn":
        kept = _kept_by_yarn(rope, size)
        frequency = kept * frequency + (1 - kept) * frequency / rope.factor
    return frequency.astype(np.float32)


def _kept_by_yarn(rope: Rope, size: int) -> Float[np.ndarray, " P"]:
    """How much of each pair's frequency stays (Peng et al. 2023, sec. 3.2).

    Falls from 1 to 0 between two whole numbers of pairs: where a pair turns `high` times in
    `original_length` tokens, and where it turns `low` times.
    """

    def pair(turns: float) -> float:
        length = rope.original_length / (2 * math.pi * turns)
        return size * math.log(length) / (2 * math.log(rope.theta))

    first, last = max(math.floor(pair(rope.high)), 0), min(math.ceil(pair(rope.low)), size - 1)
    passed = (np.arange(size // 2) - first) / max(last - first, 1e-3)
    return 1.0 - np.clip(passed, 0.0, 1.0)


def rotate(
    x_BTNH: Float[Array, "B T N H"],
    position_BT: Int[Array, "b T"],
    frequency: Float[np.ndarray, " P"],
    scale: float = 1.0,
) -> Float[Array, "B T N H"]:
    """Rotary positions (Su et al. 2021), halves paired as Llama's weights expect.

    P pairs turn, the halves of the first 2 P numbers of a head, and are multiplied by `scale`;
    the others stay as they are.
    """
    half = frequency.shape[-1]
    angle = position_BT[:, :, None, None] * frequency[None, None, None]
    left, right, still = jnp.split(x_BTNH, [half, 2 * half], axis=-1)
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    if scale != 1.0:
        cos, sin = scale * cos, scale * sin
    turned = [left * cos - right * sin, right * cos + left * sin]
    whole = turned if 2 * half == x_BTNH.shape[-1] else [*turned, still]
    return jnp.concatenate(whole, axis=-1).astype(x_BTNH.dtype)
