"""A row of tokens that goes on from turn to turn: only what is new is read.

The cache stays between turns. Of the next prompt, the tokens that it begins with are known, as
far as they are those that the cache holds; what comes after them is read in chunks of a few
static lengths, over whatever the cache held there. The cache grows by doubling. So there is a
program for each of a few lengths, and never one for each prompt.

What an earlier answer left in the cache is what its own depths made: where its tokens stopped
early, the policy's keys and values.
"""

from collections.abc import Generator, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ee_jax.inference.decode_loop import Ends, Request
from ee_jax.inference.exit_step import Memory
from ee_jax.inference.generator import Decoder
from ee_jax.inference.methods import DecodingMethod
from ee_jax.inference.prompts import pack_prompts
from ee_jax.models.kv_cache import Cache, grown, make_cache

CHUNKS = (16, 64, 256)  # tokens that are read at a time
SLOTS = 512  # of a cache at first
EVERY = 4  # tokens that are decoded between two looks, after the first


def slots_for(tokens: int, least: int = SLOTS) -> int:
    """The slots of a cache for so many tokens: a power of two times the least."""
    while least < tokens:
        least *= 2
    return least


def chunks(ids: Sequence[int], first: int) -> Iterator[tuple[int, np.ndarray]]:
    """The tokens from position `first` on: where each chunk begins, and its ids, padded."""
    while first < len(ids):
        left = len(ids) - first
        size = next((size for size in CHUNKS if size >= left), CHUNKS[-1])
        chunk_T = np.zeros(size, np.int32)
        some = ids[first : first + size]
        chunk_T[: len(some)] = some
        yield first, chunk_T
        first += size


def common_prefix(one: Sequence[int], other: Sequence[int]) -> int:
    """How many tokens two rows begin with alike."""
    pairs = zip(one, other, strict=False)
    return next((n for n, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))


def left_by(at: Any) -> tuple[Cache, int]:
    """The cache of a method that has stopped, and how many of its row's tokens it holds whole.

    Args:
      at: where the method is, of one row.
    """
    if hasattr(at, "cache"):  # of speculation
        return at.cache, int(at.position_B[0])
    if not isinstance(at.memory, Memory):
        return at.memory, int(at.position_B[0])
    missing = int(at.memory.pending.missing_BE.max())
    return at.memory.cache, int(at.position_B[0]) - missing


class Conversation:
    """One row, and the cache of what it has come to.

    Attributes:
      held: the tokens whose keys and values the cache holds.
      read: how many the last prompt had that the cache did not hold.
    """

    def __init__(self, decoder: Decoder):
        self._decoder = decoder
        self._cache: Cache | None = None
        self.held: list[int] = []
        self.read = 0

    def answer(
        self,
        method: DecodingMethod,
        shared: Any,
        ids: Sequence[int],
        tokens: int,
        seed: int = 0,
    ) -> Generator[Any]:
        """What follows the tokens so far: what there is, again and again, the last time whole.

        Whoever closes the iterator stops the answer; the conversation can go on from there.

        Args:
          method: how to decode; another than before may be taken.
          shared: what its program shares, such as a threshold.
          ids: the conversation from its beginning.
          tokens: how many may follow. Each number is a program of its own.
          seed: of the sampling.

        Raises:
          UserError: they do not fit the context, or the memory.
        """
        decoder = self._decoder
        packed = pack_prompts([ids], decoder.model.backbone.config, 1)
        decoder.check_memory(method, packed, tokens)
        cached = self._read(ids, slots_for(len(ids) + tokens + method.spare))
        request = self._request(ids, cached, tokens, seed)
        if method.measured and shared is None:
            slots = cached[0].key_BKSH.shape[2]
            shared = decoder.pass_costs(method, request, tokens, slots)
        shared = jax.tree.map(jnp.asarray, shared)
        at, out = decoder.begin(method, cached, request, tokens), None
        try:
            for until in (1, *range(1 + EVERY, tokens + EVERY, EVERY)):
                at = decoder.go_on(method, shared, at, request, min(until, tokens))
                out = jax.device_get(at.out)
                yield out
                if at.ended_B.all():
                    return
        finally:
            self._keep(at, [*ids, *([] if out is None else out.ids_BN[0].tolist())])

    def _read(self, ids: Sequence[int], slots: int) -> Cache:
        """A cache of all tokens but the last, which decoding feeds."""
        kept = common_prefix(self.held, ids[:-1])
        cached, self._cache, self.held = self._cache, None, []
        if cached is None:
            backbone = self._decoder.model.backbone
            cached = make_cache(backbone.config, 1, slots, backbone.dtype)
        elif cached[0].key_BKSH.shape[2] < slots:
            cached = grown(cached, slots)
        self.read = len(ids) - kept
        for first, chunk_T in chunks(ids[:-1], kept):
            cached = self._decoder.read(cached, chunk_T[None], np.array([first], np.int32))
        return cached

    def _request(self, ids: Sequence[int], cached: Cache, tokens: int, seed: int) -> Request:
        """The tokens, padded as the cache is: one shape for each of its lengths."""
        slots, context = cached[0].key_BKSH.shape[2], self._decoder.model.backbone.config
        ids_BP = np.zeros((1, slots), np.int32)
        ids_BP[0, : len(ids)] = ids
        room = min(tokens, context.max_length - len(ids))
        stop_S = jnp.asarray(self._decoder.stops, jnp.int32)
        ends = Ends(stop_S, jnp.full(1, room, jnp.int32))
        length_B = jnp.full(1, len(ids), jnp.int32)
        return Request(jnp.asarray(ids_BP), length_B, ends, jax.random.key(seed))

    def _keep(self, at: Any, ids: list[int]) -> None:
        """What the next turn goes on from; nothing where the arrays were taken over."""
        if any(leaf.is_deleted() for leaf in jax.tree.leaves(at)):
            return
        self._cache, whole = left_by(at)
        self.held = ids[:whole]
