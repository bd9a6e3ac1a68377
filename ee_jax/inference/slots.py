"""Rows that come and go in the slots of a static batch, each at its own place and depth.

One compiled step runs over all rows (Yu et al. 2022, Orca: scheduling by the iteration). A row
that nobody holds is carried along: it has ended, so it holds nobody up, and it writes beyond
the cache, which is dropped. What a row says does not depend on who sits beside it, but for the
order in which sums are rounded.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from ee_jax.inference.decode_loop import (
    Generated,
    is_stop,
    nothing_yet,
    put_tokens,
    static_step,
)
from ee_jax.inference.exit_step import Memory
from ee_jax.inference.methods import EarlyExitDecoding
from ee_jax.inference.sampling import draw_rows, keys_at
from ee_jax.inference.segment import extend
from ee_jax.models.kv_cache import make_cache
from ee_jax.models.language import LanguageModel


class Seat(NamedTuple):
    """What a row is given when it begins: numbers, or an array of them that B leads."""

    token: Int[Array, "*B"]  # the prompt's last, which is fed first
    position: Int[Array, "*B"]  # of that token
    left: Int[Array, "*B"]  # tokens that may still come
    threshold: Float[Array, "*B"]  # 1: it never stops early
    temperature: Float[Array, "*B"]  # 0: the likeliest token
    top_p: Float[Array, "*B"]
    key: PRNGKeyArray


class Rows(NamedTuple):
    """Where every row is."""

    memory: Memory
    seat: Seat
    going_B: Bool[Array, " B"]


def no_rows(model: LanguageModel, method: EarlyExitDecoding, batch: int, slots: int) -> Rows:
    """B rows that nobody holds, of so many slots of a cache each."""
    config, dtype = model.backbone.config, model.backbone.dtype
    memory = method.memory(model, make_cache(config, batch, slots, dtype))
    key_B = jax.vmap(jax.random.key)(jnp.zeros(batch, jnp.uint32))
    # Arrays that are all taken over must not be one and the same.
    whole, real = (lambda: jnp.zeros(batch, jnp.int32)), (lambda: jnp.ones(batch))
    seat = Seat(whole(), whole(), whole(), real(), real(), real(), key_B)
    return Rows(memory, seat, jnp.zeros(batch, bool))


def read_chunk(
    model: LanguageModel,
    rows: Rows,
    row: Int[Array, ""],
    ids_T: Int[Array, " T"],
    first: Int[Array, ""],
) -> Rows:
    """The next tokens of a row's prompt, from position `first` on, see `extend`."""

    def own(part: Array) -> Array:
        return jax.lax.dynamic_slice_in_dim(part, row, 1)

    def put(part: Array, new: Array) -> Array:
        return jax.lax.dynamic_update_slice_in_dim(part, new, row, 0)

    cache = rows.memory.cache
    read = extend(model, jax.tree.map(own, cache), ids_T[None], first[None])
    memory = rows.memory._replace(cache=jax.tree.map(put, cache, read))
    return rows._replace(memory=memory)


def sit_down(rows: Rows, row: Int[Array, ""], seat: Seat) -> Rows:
    """A row begins whose prompt the cache holds, but for the last token."""
    seats = jax.tree.map(lambda all_B, one: all_B.at[row].set(one), rows.seat, seat)
    return Rows(rows.memory, seats, rows.going_B.at[row].set(True))


State = tuple[Rows, Generated, Array]  # the last: tokens of every row that goes on


def advance(
    model: LanguageModel,
    method: EarlyExitDecoding,
    rows: Rows,
    stop_S: Int[Array, " S"],
    most: int,
    early: bool,
) -> tuple[Rows, Generated]:
    """Up to `most` tokens of every row that goes on; fewer where one ends, and makes room.

    Args:
      model: all rows'.
      method: how tokens stop, given a threshold an exit and row.
      rows: at least one of which goes on.
      stop_S: ids that end a row.
      most: tokens.
      early: whether any row may stop early; else no exit is asked.
    """
    batch, exits = rows.going_B.size, len(model.design.layers)
    slots = rows.memory.cache[0].key_BKSH.shape[2]
    threshold_EB = jnp.broadcast_to(rows.seat.threshold[None], (exits, batch))
    exiting, static = method.step(model, threshold_EB), static_step(model, exits - 1)

    def cond(state: State) -> Array:
        now, _, count = state
        return (count < most) & now.going_B.any() & (now.going_B == rows.going_B).all()

    def body(state: State) -> State:
        (memory, seat, going_B), out, count = state
        ended_B = ~going_B
        position_B = jnp.where(going_B, seat.position, slots)
        at = seat.token, position_B, count, ended_B
        if early:
            memory, stopped = exiting(memory, *at)
        else:
            cache, stopped = static(memory.cache, *at)
            memory = memory._replace(cache=cache)
        keys_B = keys_at(seat.key, seat.position)
        token_B = draw_rows(keys_B, stopped.logits_BC, seat.temperature, seat.top_p)
        out = put_tokens(out, count, ended_B, token_B, stopped)
        ends_B = is_stop(token_B, stop_S) | (seat.left <= 1)
        moved = seat._replace(
            token=token_B, position=seat.position + going_B, left=seat.left - going_B
        )
        going_B = going_B & ~ends_B
        return Rows(_of(memory, going_B), moved, going_B), out, count + 1

    start = rows, nothing_yet(batch, most), jnp.int32(0)
    rows, out, _ = jax.lax.while_loop(cond, body, start)
    return rows, out


def _of(memory: Memory, going_B: Bool[Array, " B"]) -> Memory:
    """The memory in which a row that nobody holds lacks nothing."""
    pending = memory.pending
    missing_BE = jnp.where(going_B[:, None], pending.missing_BE, 0)
    return memory._replace(pending=pending._replace(missing_BE=missing_BE))
