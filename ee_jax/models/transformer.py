"""The backbone: embedding, L blocks, final norm.

A model's parameters as a flat dictionary, by dotted path, and back.
"""

from collections.abc import Callable
from typing import NamedTuple, TypeVar

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float, Int

from ee_jax.models.architecture import Architecture
from ee_jax.models.attention import (
    MASKED,
    attention_bias,
    looks_back,
    relative_buckets,
    sinusoids,
)
from ee_jax.models.layers import Block, Memory, dropout, make_linear
from ee_jax.models.norms import make_norm
from ee_jax.tokens import Tokens


class State(NamedTuple):
    """What runs from block to block; B leads every array, so rows can be gathered."""

    hidden_BTD: Float[Array, "B T D"]
    mask_BT: Bool[Array, "B T"]


def look_up(table: nnx.Embed, ids: Int[Array, "*B"]) -> Float[Array, "*B D"]:
    """Rows of a table, in what it is kept in; `nnx.Embed` gives what it was made in."""
    return jnp.take(table.embedding.get_value(), ids, axis=0)


class Embedding(nnx.Module):
    """Tokens, positions and token types, as the architecture has them."""

    def __init__(self, config: Architecture, with_table: bool = True, *, rngs: nnx.Rngs):
        width = config.embedding_width or config.width

        def table(rows: int) -> nnx.Embed:
            init = nnx.initializers.normal(0.02)
            return nnx.Embed(rows, width, embedding_init=init, rngs=rngs)

        self.first = config.first_position
        self.scale = config.embedding_scale
        learned = config.positions == "learned"
        self.sinusoidal = config.positions == "sinusoidal"
        narrow = config.embedding_width is not None
        # An encoder looks its tokens up in its decoder's table.
        self.tokens = table(config.vocabulary) if with_table else None
        self.positions = table(self.first + config.max_length) if learned else None
        self.types = table(config.token_types) if config.token_types else None
        self.norm = make_norm(config, width, rngs) if config.embedding_norm else None
        self.project = make_linear(width, config.width, True, rngs) if narrow else None

    @property
    def table(self) -> nnx.Embed:
        """A row for each token."""
        assert self.tokens is not None, "an encoder's tokens are in its decoder's table"
        return self.tokens

    def __call__(
        self,
        tokens: Tokens,
        position_BT: Int[Array, "B T"] | None = None,
        table: nnx.Embed | None = None,
    ) -> Float[Array, "B T D"]:
        """Hidden states before the first block.

        Args:
          tokens: what is looked up.
          position_BT: of the tokens; None: 0, 1, 2, ...
          table: where; None: in the embedding's own.
        """
        hidden_BTD = look_up(table or self.table, tokens.ids_BT)
        if self.scale != 1.0:
            hidden_BTD *= jnp.asarray(self.scale, hidden_BTD.dtype)
        if self.positions is not None:
            last = self.first + hidden_BTD.shape[1]
            hidden_BTD += (
                self.positions.embedding[None, self.first : last]
                if position_BT is None
                else look_up(self.positions, self.first + position_BT)
            )
        if self.sinusoidal:
            time, width = hidden_BTD.shape[1:]
            at_BT = jnp.arange(time)[None] if position_BT is None else position_BT
            hidden_BTD += sinusoids(at_BT, width).astype(hidden_BTD.dtype)
        if self.types is not None:
            first = self.types.embedding[None, :1]
            hidden_BTD += (
                first if tokens.types_BT is None else look_up(self.types, tokens.types_BT)
            )
        if self.norm is not None:
            hidden_BTD = self.norm(hidden_BTD)
        return hidden_BTD if self.project is None else self.project(hidden_BTD)


class Transformer(nnx.Module):
    """A backbone of equal blocks; causal or not, shared or not, as `config` says."""

    def __init__(self, config: Architecture, with_table: bool = True, *, rngs: nnx.Rngs):
        self.config = config
        self.embedding = Embedding(config, with_table, rngs=rngs)
        other = config.encoder
        self.encoder = None if other is None else Transformer(other, False, rngs=rngs)
        stored = range(config.stored_blocks)
        self.blocks = nnx.List([Block(config, index, rngs=rngs) for index in stored])
        normed = config.norm_place == "post"
        self.final_norm = None if normed else make_norm(config, config.width, rngs)
        rows, init = config.relative_buckets, nnx.initializers.normal(0.02)
        made = nnx.Embed(rows, config.heads, embedding_init=init, rngs=rngs) if rows else None
        self.relative = made

    @property
    def dtype(self) -> jnp.dtype:
        """What it computes in: what its projections are kept in."""
        return jax.tree.leaves(nnx.state(self.blocks[0].mlp.down))[0].dtype

    def block(self, index: int) -> Block:
        """Block number `index`, from 0; the same one for all where they are shared."""
        return self.blocks[0 if self.config.shared else index]

    def embed(
        self,
        tokens: Tokens,
        rate: float = 0.0,
        key: Array | None = None,
        table: nnx.Embed | None = None,
    ) -> State:
        """The state before the first block; an encoder looks up in its decoder's `table`."""
        hidden_BTD = self.embedding(tokens, table=table).astype(self.dtype)
        return State(dropout(hidden_BTD, rate, key), tokens.mask_BT)

    def segment(
        self,
        state: State,
        start: int,
        stop: int,
        rate: float = 0.0,
        key: Array | None = None,
        kept_LB: Bool[Array, "L B"] | None = None,
    ) -> State:
        """Runs the blocks `start` to `stop` (exclusive); `kept_LB`: which rows run them.

        A block that a row drops is computed all the same and its result thrown away: what runs
        does not depend on the draw, so devices that share a model never wait for each other.
        """
        hidden_BTD = state.hidden_BTD
        windows = dict.fromkeys(map(self.config.window_of, range(start, stop)))
        bias_of = {window: self.attention_bias(state.mask_BT, window) for window in windows}
        for index in range(start, stop):
            bias_BTS = bias_of[self.config.window_of(index)]
            block_key = None if key is None else jax.random.fold_in(key, index)
            after_BTD = self.block(index)(hidden_BTD, bias_BTS, rate, block_key)
            if kept_LB is not None:
                after_BTD = jnp.where(kept_LB[index, :, None, None], after_BTD, hidden_BTD)
            hidden_BTD = after_BTD
        return State(hidden_BTD, state.mask_BT)

    def attention_bias(
        self, mask_BT: Bool[Array, "B T"], window: int | None
    ) -> Float[Array, "B *n t T"]:
        """What is added to the scores of blocks with this window."""
        bias_BTS = attention_bias(mask_BT, self.config.causal, window)
        if self.relative is None:
            return bias_BTS
        time = mask_BT.shape[1]
        own = self._relative_bias(self.relative, jnp.arange(time)[None], time)
        return bias_BTS[:, None] + own

    def cache_bias(
        self, position_BT: Int[Array, "b T"], slots: int, index: int
    ) -> Float[Array, "b *n T S"]:
        """The same of tokens at these positions that look into a cache, in block `index`."""
        seen_BTS = looks_back(position_BT, slots, self.config.window_of(index))
        bias_BTS = jnp.where(seen_BTS, 0.0, MASKED)
        if self.relative is None:
            return bias_BTS
        return bias_BTS[:, None] + self._relative_bias(self.relative, position_BT, slots)

    def _relative_bias(
        self, table: nnx.Embed, position_BT: Int[Array, "b T"], source: int
    ) -> Float[Array, "b N T S"]:
        config = self.config
        asked = config.relative_buckets, config.relative_furthest, config.causal
        bucket_BTS = relative_buckets(position_BT, source, *asked)
        return look_up(table, bucket_BTS).astype(jnp.float32).transpose(0, 3, 1, 2)

    def remember(
        self, source: Tokens, rate: float = 0.0, key: Array | None = None
    ) -> list[Memory]:
        """What each block looks at of a text that the encoder reads; with a key, by dropout."""
        assert self.encoder is not None, "a decoder alone reads no other text"
        encoder, blocks = self.encoder, self.encoder.config.blocks
        keys = (None, None) if key is None else jax.random.split(key)
        state = encoder.embed(source, rate, keys[0], self.embedding.table)
        state = encoder.segment(state, 0, blocks, rate, keys[1])
        hidden_BSD = encoder.norm(state.hidden_BTD)
        looks = [block.cross for block in self.blocks if block.cross is not None]
        return [look.remember(hidden_BSD, source.mask_BT) for look in looks]

    def norm(self, hidden: Float[Array, "*B D"]) -> Float[Array, "*B D"]:
        """The final norm, where the architecture has one."""
        return hidden if self.final_norm is None else self.final_norm(hidden)


M = TypeVar("M", bound=nnx.Module)


def looking_at(model: M, backbone: Callable[[M], Transformer], memory: list[Memory]) -> M:
    """A copy of the model whose backbone's blocks look at a memory, one each."""
    graph, state = nnx.split(model)
    model = nnx.merge(graph, state)
    for block, each in zip(backbone(model).blocks, memory, strict=True):
        assert block.cross is not None, "the blocks of a decoder alone look at no other text"
        block.cross.memory = nnx.data(each)
    return model


Parameters = dict[str, Array]


def parameters(module: nnx.Module) -> Parameters:
    """Every parameter by its dotted path, e.g. `backbone.blocks.0.mlp.up.kernel`."""
    flat = nnx.to_flat_state(nnx.state(module, nnx.Param))
    return {".".join(map(str, keys)): variable.get_value() for keys, variable in flat}


def bind(module: M, values: Parameters) -> M:
    """A copy of `module`, which may be abstract, with these parameters in it."""
    graph, state = nnx.split(module)
    flat = nnx.to_flat_state(state)
    filled = [(keys, old.replace(values[".".join(map(str, keys))])) for keys, old in flat]
    return nnx.merge(graph, nnx.from_flat_state(filled))
