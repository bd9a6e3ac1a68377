"""The parts of a block, as small modules; `Architecture` chooses among them."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float, Int

from ee_jax.models.architecture import Architecture
from ee_jax.models.attention import (
    Scores,
    attend,
    attend_heads,
    attention_bias,
    rope_frequencies,
    rotate,
)
from ee_jax.models.norms import Norm, make_norm

Hidden = Float[Array, "B T D"]
Positions = Int[Array, "b T"]  # from 0; b is 1 where all rows begin at once
Part = Callable[[Hidden], Hidden]


def gelu(x: Array) -> Array:
    """GELU by `erf` (Hendrycks & Gimpel 2016); `jax.nn.gelu` takes the slower `erfc`."""
    return x * (0.5 + 0.5 * jax.lax.erf(x * math.sqrt(0.5)))


def gelu_tanh(x: Array) -> Array:
    """GELU's approximation by `tanh`, as in GPT-2 and ALBERT."""
    return jax.nn.gelu(x, approximate=True)


ACTIVATIONS = {"gelu": gelu, "gelu_tanh": gelu_tanh, "silu": jax.nn.silu, "relu": jax.nn.relu}


def dropout(x: Array, rate: float, key: Array | None) -> Array:
    """Zeroes a share `rate` of `x` and rescales the rest; the identity without a key."""
    if key is None or rate == 0.0:
        return x
    kept = jax.random.bernoulli(key, 1.0 - rate, x.shape)
    return jnp.where(kept, x / (1.0 - rate), 0.0)


def make_linear(inputs: int, outputs: int, bias: bool, rngs: nnx.Rngs) -> nnx.Linear:
    """A projection, initialised as BERT's."""
    init = nnx.initializers.truncated_normal(0.02)
    return nnx.Linear(inputs, outputs, use_bias=bias, kernel_init=init, rngs=rngs)


class Memory(NamedTuple):
    """What the blocks of a decoder look at of an encoder's output, S tokens a row."""

    key_BKSH: Float[Array, "B K S H"]
    value_BKSH: Float[Array, "B K S H"]
    bias_B1S: Float[Array, "B 1 S"]  # keeps padding from being seen


class Attention(nnx.Module):
    """Multi-head attention, grouped where K < N; of block number `index`."""

    def __init__(self, config: Architecture, index: int = 0, *, rngs: nnx.Rngs):
        self.config = config
        self.window = config.window_of(index)
        self.rope = config.rope_of(index)
        self.scores = Scores(config.score_size, config.score_cap)
        width, size = config.width, config.head_size
        inner, kv_inner = config.heads * size, config.kv_heads * size
        qkv_bias, bias = config.bias != "none", config.bias == "all"
        self.query = make_linear(width, inner, qkv_bias, rngs)
        self.key = make_linear(width, kv_inner, qkv_bias, rngs)
        self.value = make_linear(width, kv_inner, qkv_bias, rngs)
        self.out = make_linear(inner, width, bias, rngs)
        normed = config.head_norm or config.width_norm
        widths = (inner, kv_inner) if config.width_norm else (size, size)
        self.query_norm = make_norm(config, widths[0], rngs) if normed else None
        self.key_norm = make_norm(config, widths[1], rngs) if normed else None

    def __call__(self, hidden_BTD: Hidden, bias_BTS: Array) -> Hidden:
        """Mixes the positions that the bias lets each one see."""
        position_BT = jnp.arange(hidden_BTD.shape[1])[None]
        query_BTNH = self.queries(hidden_BTD, position_BT)
        key_BTKH, value_BTKH = self.keys(hidden_BTD, position_BT)
        mixed_BTNH = attend(query_BTNH, key_BTKH, value_BTKH, bias_BTS, self.scores)
        return self.merge(mixed_BTNH)

    def mix(self, query_BTNH: Array, key_BKSH: Array, value_BKSH: Array, bias: Array) -> Array:
        """The heads' results on keys and values as a cache holds them."""
        return attend_heads(query_BTNH, key_BKSH, value_BKSH, bias, self.scores)

    def queries(self, hidden_BTD: Hidden, position_BT: Positions) -> Array:
        """What each position looks for, [B, T, N, H]."""
        return self._placed(self.query(hidden_BTD), self.query_norm, position_BT)

    def keys(self, hidden_BTD: Hidden, position_BT: Positions) -> tuple[Array, Array]:
        """What each position is found by, and what it gives, both [B, T, K, H]."""
        key_BTKH = self._placed(self.key(hidden_BTD), self.key_norm, position_BT)
        return key_BTKH, self._heads(self.value(hidden_BTD))

    def merge(self, mixed_BTNH: Array) -> Hidden:
        """The heads' results, projected back to D."""
        return self.out(mixed_BTNH.reshape(*mixed_BTNH.shape[:2], -1))

    def _heads(self, x_BTF: Array) -> Array:
        return x_BTF.reshape(*x_BTF.shape[:2], -1, self.config.head_size)

    def _placed(self, x_BTF: Array, norm: Norm | None, position_BT: Positions) -> Array:
        if norm is not None and self.config.width_norm:
            x_BTF = norm(x_BTF)
        x_BTNH = self._heads(x_BTF)
        if norm is not None and self.config.head_norm:
            x_BTNH = norm(x_BTNH)
        if self.config.positions != "rope":
            return x_BTNH
        frequency = rope_frequencies(self.rope, self.config.head_size)
        return rotate(x_BTNH, position_BT, frequency, self.rope.scale)


class CrossAttention(Attention):
    """Attention to an encoder's output, of which the keys and values are made once."""

    def __init__(self, config: Architecture, *, rngs: nnx.Rngs):
        plain = replace(config, positions="none", window=None, local=(), relative_buckets=0)
        super().__init__(plain, rngs=rngs)
        self.memory: Memory | None = nnx.data(None)  # of the texts at hand

    def remember(self, hidden_BSD: Hidden, mask_BS: Bool[Array, "B S"]) -> Memory:
        """What it looks at of an encoder's output."""
        keys = self.keys(hidden_BSD, jnp.zeros((1, 1), jnp.int32))
        key_BKSH, value_BKSH = (part_BSKH.transpose(0, 2, 1, 3) for part_BSKH in keys)
        return Memory(key_BKSH, value_BKSH, attention_bias(mask_BS, causal=False))

    def look(self, hidden_BTD: Hidden) -> Hidden:
        """What each position finds in the memory."""
        assert self.memory is not None, "the encoder's output is remembered first"
        query_BTNH = self.queries(hidden_BTD, jnp.zeros((1, 1), jnp.int32))
        return self.merge(self.mix(query_BTNH, *self.memory))


class MLP(nnx.Module):
    """Two projections with an activation between them, or the gated form (SwiGLU)."""

    def __init__(self, config: Architecture, *, rngs: nnx.Rngs):
        self.activation = ACTIVATIONS[config.activation]
        width, hidden, bias = config.width, config.hidden, config.bias == "all"
        self.up = make_linear(width, hidden, bias, rngs)
        self.down = make_linear(hidden, width, bias, rngs)
        gated = config.mlp == "gated"
        self.gate = make_linear(width, hidden, bias, rngs) if gated else None

    def __call__(self, hidden_BTD: Hidden) -> Hidden:
        """Each position alone."""
        if self.gate is None:
            return self.down(self.activation(self.up(hidden_BTD)))
        return self.down(self.activation(self.gate(hidden_BTD)) * self.up(hidden_BTD))


class Block(nnx.Module):
    """One transformer layer: attention and MLP, each with its residual and its norms."""

    def __init__(self, config: Architecture, index: int = 0, *, rngs: nnx.Rngs):
        def norm(there: bool) -> Norm | None:
            return make_norm(config, config.width, rngs) if there else None

        self.norm_place = config.norm_place
        self.attention = Attention(config, index, rngs=rngs)
        self.attention_norm = norm(config.first_norm or index > 0)
        self.attention_out_norm = norm(config.norm_place == "both")
        looks = config.encoder is not None
        self.cross = CrossAttention(config, rngs=rngs) if looks else None
        self.cross_norm = norm(looks)
        self.mlp = MLP(config, rngs=rngs)
        self.mlp_norm = norm(True)
        self.mlp_out_norm = norm(config.norm_place == "both")

    def __call__(
        self, hidden_BTD: Hidden, bias_BTS: Array, rate: float = 0.0, key: Array | None = None
    ) -> Hidden:
        """Runs the block; with a key, dropout at `rate` on both parts' outputs."""
        keys = (None, None) if key is None else jax.random.split(key)

        def attention(x: Hidden) -> Hidden:
            return dropout(self.attention(x, bias_BTS), rate, keys[0])

        def mlp(x: Hidden) -> Hidden:
            return dropout(self.mlp(x), rate, keys[1])

        return self._residual(hidden_BTD, attention, mlp)

    def keys(self, hidden_BTD: Hidden, position_BT: Positions) -> tuple[Array, Array]:
        """The keys and values that the block makes of hidden states, both [B, T, K, H]."""
        if self.norm_place not in ("post", "after"):
            hidden_BTD = _normed(self.attention_norm, hidden_BTD)
        return self.attention.keys(hidden_BTD, position_BT)

    def attend(
        self,
        hidden_BTD: Hidden,
        position_BT: Positions,
        key_BKSH: Array,
        value_BKSH: Array,
        bias_BTS: Array,
    ) -> Hidden:
        """Runs the block on keys and values that are there already, its own among them."""

        def attention(x: Hidden) -> Hidden:
            query_BTNH = self.attention.queries(x, position_BT)
            mixed_BTNH = self.attention.mix(query_BTNH, key_BKSH, value_BKSH, bias_BTS)
            return self.attention.merge(mixed_BTNH)

        return self._residual(hidden_BTD, attention, self.mlp)

    def _residual(self, hidden_BTD: Hidden, attention: Part, mlp: Part) -> Hidden:
        parts = [
            (attention, self.attention_norm, self.attention_out_norm),
            (mlp, self.mlp_norm, self.mlp_out_norm),
        ]
        if self.cross is not None:
            parts.insert(1, (self.cross.look, self.cross_norm, None))
        block_BTD = hidden_BTD  # what the block was given
        for part, norm, out_norm in parts:
            match self.norm_place:
                case "post":
                    hidden_BTD = _normed(norm, hidden_BTD + part(hidden_BTD))
                case "after":
                    hidden_BTD = hidden_BTD + _normed(norm, part(hidden_BTD))
                case "parallel":
                    hidden_BTD = hidden_BTD + part(_normed(norm, block_BTD))
                case _:  # "pre" has no second norm
                    out_BTD = part(_normed(norm, hidden_BTD))
                    hidden_BTD = hidden_BTD + _normed(out_norm, out_BTD)
        return hidden_BTD


def _normed(norm: Norm | None, hidden_BTD: Hidden) -> Hidden:
    return hidden_BTD if norm is None else norm(hidden_BTD)
