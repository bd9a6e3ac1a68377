"""Keys and values of the tokens so far: one array a layer, of static shape.

A stacked cache would be sliced, and so copied, at every block. Slot s of a row holds its token
at position s, so rows of different lengths need no padding on the left; what a slot holds
before its token has been written is never seen.

Projections of few vectors at a time, as decoding has them.

XLA multiplies a few rows on CPUs faster where a kernel lies [outputs, inputs] and the vectors
are columns. How a kernel lies is a property of the compiled program: checkpoints and training
keep theirs.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float, Int

from ee_jax.models.architecture import Architecture
from ee_jax.models.language import LanguageModel, tied_logits
from ee_jax.models.layers import Block, CrossAttention
from ee_jax.models.token_heads import LastKV
from ee_jax.models.transformer import Transformer


class KV(NamedTuple):
    """The keys and values of one layer, S slots a row."""

    key_BKSH: Float[Array, "B K S H"]
    value_BKSH: Float[Array, "B K S H"]


Cache = tuple[KV, ...]  # a layer each


def make_cache(
    config: Architecture, batch: int, slots: int, dtype: DTypeLike = jnp.float32
) -> Cache:
    """An empty cache."""
    shape = (batch, config.kv_heads, slots, config.head_size)

    def empty() -> Array:
        return jnp.zeros(shape, dtype)

    return tuple(KV(empty(), empty()) for _ in range(config.blocks))


def grown(cache: Cache, slots: int) -> Cache:
    """The cache with so many slots a row, the new ones at the end and empty."""

    def grow(part_BKSH: Array) -> Array:
        more = slots - part_BKSH.shape[2]
        return jnp.pad(part_BKSH, ((0, 0), (0, 0), (0, more), (0, 0)))

    return jax.tree.map(grow, cache)


def cache_bytes(config: Architecture, batch: int, slots: int, itemsize: int = 4) -> int:
    """What `make_cache` allocates, where a number takes so many bytes."""
    numbers = 2 * config.blocks * batch * config.kv_heads * slots * config.head_size
    return itemsize * numbers


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
    backbone: Transformer, index: int, hidden_BTD: Array, position_BT: Int[Array, "B T"], kv: KV
) -> Float[Array, "B T D"]:
    """Runs a block on tokens that the cache holds; each sees those before it and itself."""
    key_BKSH, value_BKSH, _, bias_BTS = seen_by(backbone, index, position_BT, kv)
    block = backbone.block(index)
    return block.attend(hidden_BTD, position_BT, key_BKSH, value_BKSH, bias_BTS)


def seen_by(
    backbone: Transformer, index: int, position_BT: Int[Array, "B T"], kv: KV
) -> LastKV:
    """What tokens at these positions see of the cache of a block."""
    bias_BTS = backbone.cache_bias(position_BT, kv.key_BKSH.shape[2], index)
    return LastKV(*kv, position_BT, bias_BTS)


def read(kv: KV, position_BT: Int[Array, "B T"]) -> KV:
    """What the cache holds at these positions, [B, K, T, H]."""
    slot_B1T1 = position_BT[:, None, :, None]
    return KV(*(jnp.take_along_axis(part, slot_B1T1, axis=2, mode="clip") for part in kv))


def project(x: Float[Array, "*B I"], weight_OI: Float[Array, "O I"]) -> Float[Array, "*B O"]:
    """x W^T, in float32. The barriers keep XLA from taking the transposes into the product."""
    columns_IN = jax.lax.optimization_barrier(x.reshape(-1, x.shape[-1]).T)
    product_ON = jnp.matmul(weight_OI, columns_IN, preferred_element_type=jnp.float32)
    product_ON = jax.lax.optimization_barrier(product_ON)
    return product_ON.T.reshape(*x.shape[:-1], -1)


def tied_logits_of_few(
    feature: Float[Array, "*B D"], weight_VD: Float[Array, "V D"]
) -> Float[Array, "*B V"]:
    """`tied_logits`; several vectors at once as columns, a single one is faster as it is."""
    alone = feature.size == feature.shape[-1]
    return (tied_logits if alone else project)(feature, weight_VD)


class DecodeLayout(nnx.Module):
    """A linear layer whose kernel lies transposed."""

    def __init__(self, linear: nnx.Linear):
        self.weight = nnx.Param(linear.kernel.get_value().T)
        self.bias = None if linear.bias is None else nnx.Param(linear.bias.get_value())

    def __call__(self, x: Float[Array, "*B I"]) -> Float[Array, "*B O"]:
        """W x + b."""
        return self.sums(x).astype(x.dtype)

    def sums(self, x: Float[Array, "*B I"]) -> Float[Array, "*B O"]:
        """The same in float32."""
        product = project(x, self.weight.get_value())
        if self.bias is None:
            return product
        return product + jnp.expand_dims(self.bias.get_value(), range(x.ndim - 1))


def in_decode_layout(model: LanguageModel) -> LanguageModel:
    """A copy of the model, to decode with: its projections hold their kernels transposed.

    Those that read another text, all of whose tokens come at once, stay as they are.
    """
    model = nnx.clone(model)
    model.tied_logits = tied_logits_of_few
    nodes = [
        (path, node) for path, node in nnx.iter_graph(model) if isinstance(node, nnx.Module)
    ]
    for path, module in nodes:
        if path[:2] == ("backbone", "encoder"):
            continue
        once = ("key", "value") if isinstance(module, CrossAttention) else ()
        for name, part in list(vars(module).items()):
            if isinstance(part, nnx.Linear) and name not in once:
                setattr(module, name, DecodeLayout(part))
    return model
