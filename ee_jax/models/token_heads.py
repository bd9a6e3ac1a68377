"""Exit heads of a language model: from a hidden state to what the shared projection reads.

A head has two functions of any number of tokens. `read` is what a learned confidence judges by,
next to nothing to compute; calling the head gives the feature, which the rule may never ask for
before a token stops. A head starts as the logit lens: `out_norm`, where it has one, as the
backbone's final norm, and what it adds at zero.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
from flax import nnx
from jaxtyping import Array, Float, Int

from ee_jax.models.architecture import Architecture
from ee_jax.models.flops import Count, mix_flops, seen
from ee_jax.models.layers import Attention, make_linear
from ee_jax.models.norms import make_norm
from ee_jax.registry import Registry

Hidden = Float[Array, "*B D"]


class LastKV(NamedTuple):
    """Keys and values of the last block before an exit, and what each token sees of them."""

    key_BKSH: Float[Array, "B K S H"]
    value_BKSH: Float[Array, "B K S H"]
    position_BT: Int[Array, "b T"]  # of the tokens that look
    bias_BTS: Float[Array, "B T S"]  # added to their scores


class TokenHead(nnx.Module):
    """What a head is; this one is the hidden state itself.

    Attributes:
      looks_back: whether it reads the tokens before, of whom it then gets `last`.
    """

    looks_back = False

    def read(self, hidden: Hidden) -> Hidden:
        """What a learned confidence judges by."""
        return hidden

    def __call__(self, hidden: Hidden, last: LastKV | None = None) -> Hidden:
        """What the projection reads."""
        return hidden


class OwnNorm(TokenHead):
    """A norm of its own in the place of the final one."""

    def __init__(self, config: Architecture, width: int | None, *, rngs: nnx.Rngs):
        self.out_norm = make_norm(config, config.width, rngs)

    def read(self, hidden: Hidden) -> Hidden:
        """The feature itself."""
        return self.out_norm(hidden)

    def __call__(self, hidden: Hidden, last: LastKV | None = None) -> Hidden:
        """The hidden state under the norm."""
        return self.out_norm(hidden)


class Residual(TokenHead):
    """A hidden state under a norm, what a part of the head's own adds to it, and a norm.

    The norm of a normed state is that of the state itself, so that a head which adds nothing is
    the logit lens; and what it adds is measured against a state of unit size, however large
    those of the backbone are.
    """

    def __init__(self, config: Architecture, part: Callable[[Hidden], Hidden], rngs: nnx.Rngs):
        self.norm = make_norm(config, config.width, rngs)
        self.part = part
        self.out_norm = make_norm(config, config.width, rngs)

    def read(self, hidden: Hidden) -> Hidden:
        """The hidden state under the first norm."""
        return self.norm(hidden)

    def __call__(self, hidden: Hidden, last: LastKV | None = None) -> Hidden:
        """The state with what the part adds, under the second norm."""
        normed = self.norm(hidden)
        return self.out_norm((normed + self.part(normed)).astype(hidden.dtype))


def _from_zero(inputs: int, outputs: int, rngs: nnx.Rngs) -> nnx.Linear:
    zeros = nnx.initializers.zeros_init()
    return nnx.Linear(inputs, outputs, use_bias=False, kernel_init=zeros, rngs=rngs)


class LowRank(nnx.Module):
    """up(down(x)), a matrix of rank `width` (as LoRA's, Hu et al. 2022, sec. 4.1)."""

    def __init__(self, config: Architecture, width: int, *, rngs: nnx.Rngs):
        self.down = make_linear(config.width, width, False, rngs)
        self.up = _from_zero(width, config.width, rngs)

    def __call__(self, x: Hidden) -> Hidden:
        """What is added."""
        return self.up(self.down(x))


class GatedUnit(nnx.Module):
    """A gated MLP of hidden size `width` (SwiGLU, Shazeer 2020, eq. 6)."""

    def __init__(self, config: Architecture, width: int, *, rngs: nnx.Rngs):
        self.gate = make_linear(config.width, width, False, rngs)
        self.up = make_linear(config.width, width, False, rngs)
        self.down = _from_zero(width, config.width, rngs)

    def __call__(self, x: Hidden) -> Hidden:
        """What is added."""
        return self.down(jax.nn.silu(self.gate(x)) * self.up(x))


class SharedKeys(Attention):
    """Attention to keys and values that another block has made.

    Cross-layer attention (Brandon et al. 2024): it has queries and an output of its own.
    """

    def __init__(self, config: Architecture, *, rngs: nnx.Rngs):
        super().__init__(config, rngs=rngs)
        del self.key, self.value, self.key_norm
        self.out = _from_zero(config.heads * config.head_size, config.width, rngs)

    def look(self, x_BTD: Float[Array, "B T D"], last: LastKV) -> Float[Array, "B T D"]:
        """What the tokens find."""
        query_BTNH = self.queries(x_BTD, last.position_BT)
        return self.merge(self.mix(query_BTNH, last.key_BKSH, last.value_BKSH, last.bias_BTS))


class OwnBlock(TokenHead):
    """A transformer block of the exit's own (as Balcony's, Jamialahmadi et al. 2025).

    It looks at the keys and values of the last block that has run, so that an exit has no cache
    of its own and tokens that stopped before it leave nothing to be made. Norms are placed as
    in `Residual`.
    """

    looks_back = True

    def __init__(self, config: Architecture, width: int, *, rngs: nnx.Rngs):
        self.norm = make_norm(config, config.width, rngs)
        self.attention = SharedKeys(config, rngs=rngs)
        self.mlp_norm = make_norm(config, config.width, rngs)
        self.mlp = GatedUnit(config, width, rngs=rngs)
        self.out_norm = make_norm(config, config.width, rngs)

    def read(self, hidden: Hidden) -> Hidden:
        """The hidden state under the first norm."""
        return self.norm(hidden)

    def __call__(self, hidden: Hidden, last: LastKV | None = None) -> Hidden:
        """The state after the block, under the last norm."""
        if last is None:
            raise ValueError("a head that looks back needs the keys of the block before it")
        normed = self.norm(hidden)
        mixed = normed + self.attention.look(normed, last)
        return self.out_norm((mixed + self.mlp(self.mlp_norm(mixed))).astype(hidden.dtype))


def adapter(config: Architecture, width: int | None, *, rngs: nnx.Rngs) -> Residual:
    """A low-rank adapter, by default of an eighth of the backbone's width."""
    rank = width or max(config.width // 8, 1)
    return Residual(config, LowRank(config, rank, rngs=rngs), rngs)


def mlp(config: Architecture, width: int | None, *, rngs: nnx.Rngs) -> Residual:
    """A gated MLP, by default as wide as those of the backbone's blocks."""
    return Residual(config, GatedUnit(config, width or config.hidden, rngs=rngs), rngs)


def block(config: Architecture, width: int | None, *, rngs: nnx.Rngs) -> OwnBlock:
    """A block, its MLP by default as wide as those of the backbone's."""
    return OwnBlock(config, width or config.hidden, rngs=rngs)


FINAL_NORM = "final_norm"  # exits have nothing of their own: the logit lens

# From an architecture (as the block before the exit has it), a width (None: the head's own) and
# `rngs` to a head.
TOKEN_HEADS: Registry[Callable[..., TokenHead] | None] = Registry(
    "token head", final_norm=None, norm=OwnNorm, adapter=adapter, mlp=mlp, block=block
)


def make_heads(
    config: Architecture,
    head: str,
    width: int | None,
    layers: Sequence[int],
    rngs: nnx.Rngs,
) -> list[TokenHead]:
    """The heads of all exits but the last; none where they have nothing of their own."""
    make = TOKEN_HEADS[head]
    if make is None:
        return []
    return [make(config.of_block(depth - 1), width, rngs=rngs) for depth in layers[:-1]]


def token_head_flops(
    config: Architecture, head: str, width: int | None, context: Count
) -> Count:
    """What a head of this name costs one token, beside its norms; a multiply-add is 2.

    Counted from its parameters of two dimensions, each of which multiplies the token once, and
    where it looks back, two products with each token that it sees.

    Args:
      config: of the backbone, as the block before the exit has it.
      head: a name in TOKEN_HEADS.
      width: of the head; None: its own.
      context: tokens up to it, itself among them.

    Returns:
      FLOPs of a token.
    """
    made = nnx.eval_shape(
        lambda: nnx.List(make_heads(config, head, width, (1, 2), nnx.Rngs(0)))
    )
    leaves = jax.tree.leaves(nnx.state(made, nnx.Param))
    products = sum(2 * leaf.size for leaf in leaves if leaf.ndim == 2)
    looks = sum(head.looks_back for head in made)
    return products + looks * mix_flops(config, seen(config, context))
