"""Attention and positions, as functions over plain arrays."""

import math

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

    Shape [B, 1, T], or [B, T, T] where each position sees only what came before it, of that
    the last `window` positions with itself among them.
    """
    seen = mask_BT[:, None, :]
    if causal:
        position_1T = jnp.arange(mask_BT.shape[1])[None]
        seen = seen & looks_back(position_1T, mask_BT.shape[1], window)
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


def attend(
    query_BTNH: Float[Array, "B T N H"],
    key_BSKH: Float[Array, "B S K H"],
    value_BSKH: Float[Array, "B S K H"],
    bias_BTS: Float[Array, "B t S"],
) -> Float[Array, "B T N H"]:
    """Scaled dot-product attention (Vaswani et al. 2017, eq. 1), K dividing N."""
    key_BKSH, value_BKSH = (part.transpose(0, 2, 1, 3) for part in (key_BSKH, value_BSKH))
    return attend_heads(query_BTNH, key_BKSH, value_BKSH, bias_BTS)


def attend_heads(
    query_BTNH: Float[Array, "B T N H"],
    key_BKSH: Float[Array, "B K S H"],
    value_BKSH: Float[Array, "B K S H"],
    bias_BTS: Float[Array, "B t S"],
) -> Float[Array, "B T N H"]:
    """`attend` where the keys of a head lie together, as a cache holds them.

    Batched matrix products over [B*K, ...], and the softmax's division after the second
    product: H numbers for each query are divided there, and not its S weights.
    """
    batch, time, heads, size = query_BTNH.shape
    kv_heads, source = key_BKSH.shape[1:3]
    group = heads // kv_heads  # query heads that share a key head lie beside each other

    rows = batch * kv_heads
    query = query_BTNH.reshape(batch, time, kv_heads, group, size) / math.sqrt(size)
    query = query.transpose(0, 2, 3, 1, 4).reshape(rows, group * time, size)
    key, value = (part.reshape(rows, source, size) for part in (key_BKSH, value_BKSH))
    if bias_BTS.shape[1] > 1:
        bias_BTS = jnp.tile(bias_BTS, (1, group, 1))

    score = _product("rth,rsh->rts", query, key) + jnp.repeat(bias_BTS, kv_heads, axis=0)
    weight = jnp.exp(score - jax.lax.stop_gradient(score.max(-1, keepdims=True)))
    mixed = _product("rts,rsh->rth", weight.astype(value.dtype), value)
    mixed = (mixed * (1 / weight.sum(-1, keepdims=True))).astype(value.dtype)
    mixed = mixed.reshape(batch, kv_heads, group, time, size).transpose(0, 3, 1, 2, 4)
    return mixed.reshape(batch, time, heads, size)


def _product(axes: str, left: Array, right: Array) -> Array:
    """A batched matrix product, whose sums are float32."""
    return jnp.einsum(axes, left, right, preferred_element_type=jnp.float32)


def rope_frequencies(rope: Rope, size: int) -> Float[np.ndarray, " H/2"]:
    """The angle, in radians a token, by which each pair of a head of `size` H turns."""
    frequency = rope.theta ** (-2 * np.arange(size // 2) / size)
    if rope.scaling == "linear":
        frequency = frequency / rope.factor
    if rope.scaling == "llama3":
        turns = rope.original_length * frequency / (2 * np.pi)
        kept = np.clip((turns - rope.low) / (rope.high - rope.low), 0.0, 1.0)
        frequency = kept * frequency + (1 - kept) * frequency / rope.factor
    return frequency.astype(np.float32)


def rotate(
    x_BTNH: Float[Array, "B T N H"],
    position_BT: Int[Array, "b T"],
    frequency: Float[np.ndarray, " H/2"],
) -> Float[Array, "B T N H"]:
    """Rotary positions (Su et al. 2021), halves of H paired as Llama's weights expect."""
    half = x_BTNH.shape[-1] // 2
    angle = position_BT[:, :, None, None] * frequency[None, None, None]
    left, right = x_BTNH[..., :half], x_BTNH[..., half:]
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    turned = jnp.concatenate([left * cos - right * sin, right * cos + left * sin], axis=-1)
    return turned.astype(x_BTNH.dtype)
