"""The parts of a block, as small modules; `Architecture` chooses among them."""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int

from ee_jax.models.architecture import Architecture
from ee_jax.models.attention import attend, attend_heads, rope_frequencies, rotate
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


ACTIVATIONS = {"gelu": gelu, "gelu_tanh": gelu_tanh, "silu": jax.nn.silu}


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


class Attention(nnx.Module):
    """Multi-head attention, grouped where K < N."""

    def __init__(self, config: Architecture, *, rngs: nnx.Rngs):
        self.config = config
        width, size = config.width, config.head_size
        inner, kv_inner = config.heads * size, config.kv_heads * size
        qkv_bias, bias = config.bias != "none", config.bias == "all"
        self.query = make_linear(width, inner, qkv_bias, rngs)
        self.key = make_linear(width, kv_inner, qkv_bias, rngs)
        self.value = make_linear(width, kv_inner, qkv_bias, rngs)
        self.out = make_linear(inner, width, bias, rngs)
        self.query_norm = make_norm(config, size, rngs) if config.head_norm else None
        self.key_norm = make_norm(config, size, rngs) if config.head_norm else None

    def __call__(self, hidden_BTD: Hidden, bias_BTS: Array) -> Hidden:
        """Mixes the positions that the bias lets each one see."""
        position_BT = jnp.arange(hidden_BTD.shape[1])[None]
        query_BTNH = self.queries(hidden_BTD, position_BT)
        key_BTKH, value_BTKH = self.keys(hidden_BTD, position_BT)
        return self.merge(attend(query_BTNH, key_BTKH, value_BTKH, bias_BTS))

    def queries(self, hidden_BTD: Hidden, position_BT: Positions) -> Array:
        """What each position looks for, [B, T, N, H]."""
        query_BTNH = self._heads(self.query(hidden_BTD))
        return self._placed(query_BTNH, self.query_norm, position_BT)

    def keys(self, hidden_BTD: Hidden, position_BT: Positions) -> tuple[Array, Array]:
        """What each position is found by, and what it gives, both [B, T, K, H]."""
        key_BTKH = self._heads(self.key(hidden_BTD))
        value_BTKH = self._heads(self.value(hidden_BTD))
        return self._placed(key_BTKH, self.key_norm, position_BT), value_BTKH

    def merge(self, mixed_BTNH: Array) -> Hidden:
        """The heads' results, projected back to D."""
        return self.out(mixed_BTNH.reshape(*mixed_BTNH.shape[:2], -1))

    def _heads(self, x_BTF: Array) -> Array:
        return x_BTF.reshape(*x_BTF.shape[:2], -1, self.config.head_size)

    def _placed(self, x_BTNH: Array, norm: Norm | None, position_BT: Positions) -> Array:
        if norm is not None:
            x_BTNH = norm(x_BTNH)
        if self.config.positions != "rope":
            return x_BTNH
        frequency = rope_frequencies(self.config.rope, self.config.head_size)
        return rotate(x_BTNH, position_BT, frequency)


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
    """One transformer layer: attention and MLP, each with its residual and its norm."""

    def __init__(self, config: Architecture, *, rngs: nnx.Rngs):
        self.norm_first = config.norm_place == "pre"
        self.attention = Attention(config, rngs=rngs)
        self.attention_norm = make_norm(config, config.width, rngs)
        self.mlp = MLP(config, rngs=rngs)
        self.mlp_norm = make_norm(config, config.width, rngs)

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
        if self.norm_first:
            hidden_BTD = self.attention_norm(hidden_BTD)
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
            mixed_BTNH = attend_heads(query_BTNH, key_BKSH, value_BKSH, bias_BTS)
            return self.attention.merge(mixed_BTNH)

        return self._residual(hidden_BTD, attention, self.mlp)

    def _residual(self, hidden_BTD: Hidden, attention: Part, mlp: Part) -> Hidden:
        if self.norm_first:
            hidden_BTD = hidden_BTD + attention(self.attention_norm(hidden_BTD))
            return hidden_BTD + mlp(self.mlp_norm(hidden_BTD))
        hidden_BTD = self.attention_norm(hidden_BTD + attention(hidden_BTD))
        return self.mlp_norm(hidden_BTD + mlp(hidden_BTD))
