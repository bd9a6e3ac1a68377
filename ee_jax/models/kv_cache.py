"""Keys and values of the tokens so far: one array a layer, of static shape.

A stacked cache would be sliced, and so copied, at every block. Slot s of a row holds its token
at position s, so rows of different lengths need no padding on the left; what a slot holds
before its token has been written is never seen.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from ee_jax.models.architecture import Architecture
from ee_jax.models.attention import MASKED
from ee_jax.models.layers import Block


class KV(NamedTuple):
    """The keys and values of one layer, S slots a row."""

    key_BKSH: Float[Array, "B K S H"]
    value_BKSH: Float[Array, "B K S H"]


Cache = tuple[KV, ...]  # a layer each


def make_cache(config: Architecture, batch: int, slots: int) -> Cache:
    """An empty cache."""
    shape = (batch, config.kv_heads, slots, config.head_size)
    return tuple(KV(jnp.zeros(shape), jnp.zeros(shape)) for _ in range(config.blocks))


def cache_bytes(config: Architecture, batch: int, slots: int) -> int:
    """What `make_cache` allocates, in fp32."""
    return 2 * 4 * config.blocks * batch * config.kv_heads * slots * config.head_size


def write(
    kv: KV,
    new: KV,
    position_BT: Int[Array, "B T"],
    mask_BT: Bool[Array, "B T"] | None = None,
) -> KV:
    """`new`, [B, K, T, H], put at its positions; what the mask leaves out is not written."""
    rows, heads, slots, _ = kv.key_BKSH.shape
    slot_BT = position_BT if mask_BT is None else jnp.where(mask_BT, position_BT, slots)
    at = jnp.arange(rows)[:, None, None], jnp.arange(heads)[None, :, None], slot_BT[:, None]
    return KV(
        *(
            old.at[at].set(part, mode="drop", unique_indices=mask_BT is None)
            for old, part in zip(kv, new, strict=True)
        )
    )


def make_kv(block: Block, hidden_BTD: Array, position_BT: Int[Array, "B T"]) -> KV:
    """The block's keys and values of hidden states, as the cache holds them."""
    keys = block.keys(hidden_BTD, position_BT)
    return KV(*(part_BTKH.transpose(0, 2, 1, 3) for part_BTKH in keys))


def attend_cache(
    block: Block, hidden_BTD: Array, position_BT: Int[Array, "B T"], kv: KV
) -> Float[Array, "B T D"]:
    """Runs the block on tokens that the cache holds; each sees those before it and itself."""
    slots_S = jnp.arange(kv.key_BKSH.shape[2])
    seen_BTS = slots_S[None, None] <= position_BT[..., None]
    return block.attend(hidden_BTD, position_BT, *kv, jnp.where(seen_BTS, 0.0, MASKED))


def read(kv: KV, position_BT: Int[Array, "B T"]) -> KV:
    """What the cache holds at these positions, [B, K, T, H]."""
    slot_B1T1 = position_BT[:, None, :, None]
    return KV(*(jnp.take_along_axis(part, slot_B1T1, axis=2, mode="clip") for part in kv))
