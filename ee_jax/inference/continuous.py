"""Continuous batching for a caller: prompts go in at any time, tokens come out as they come.

A prompt is read a chunk at a time between the steps of the rows that are already writing
(Agrawal et al. 2023, SARATHI: chunked prefills), so a long one holds nobody up for long.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ee_jax.compilation import Program
from ee_jax.errors import UserError
from ee_jax.inference.conversation import SLOTS, chunks, slots_for
from ee_jax.inference.decode_loop import Generated
from ee_jax.inference.generator import Decoder
from ee_jax.inference.memory import check_memory
from ee_jax.inference.methods import EarlyExitDecoding
from ee_jax.inference.prompts import pack_prompts
from ee_jax.inference.sampling import Sampling
from ee_jax.inference.slots import Rows, Seat, advance, no_rows, read_chunk, sit_down
from ee_jax.models.kv_cache import grown
from ee_jax.models.transformer import Parameters, bind

EVERY = 4  # tokens of a row between two looks


@dataclass(frozen=True)
class Asked:
    """A prompt, and how to go on from it."""

    ids: Sequence[int]
    tokens: int  # at most
    threshold: float = 1.0  # 1: no token stops early
    temperature: float = 0.0  # 0: the likeliest token
    top_p: float = 1.0
    seed: int = 0

    def __post_init__(self):
        if not 0 <= self.threshold <= 1:
            raise UserError(f"threshold {self.threshold}: it is from 0 to 1 (never)")
        if not 0 <= self.seed < 2**32:
            raise UserError(f"seed {self.seed}: it is from 0 to 2^32 - 1")
        Sampling(self.temperature, top_p=self.top_p)


class Came(NamedTuple):
    """What has come of a row since the last look."""

    row: int
    ids: list[int]
    exits: list[int]  # numbers of the exits that gave them
    confidences: list[float] | None  # of those exits; None where none was asked
    ended: bool


class _Held(NamedTuple):
    asked: Asked
    chunks: deque[tuple[int, np.ndarray]]  # of the prompt, still to be read


class ContinuousDecoder:
    """A batch of static size whose rows are prompts of anybody's.

    Attributes:
      rows: how many prompts can be under way at the same time.
    """

    def __init__(self, decoder: Decoder, method: EarlyExitDecoding, rows: int):
        self.rows = rows
        self._decoder, self._method, self._slots = decoder, method, SLOTS
        self._held: dict[int, _Held] = {}
        self._going: set[int] = set()
        self._stop_S = jnp.asarray(decoder.stops, jnp.int32)
        self._read, self._sit = self._compile_read(), Program(sit_down, donate=(0,))
        self._advance = cache(self._compile_advance)
        self._state: Rows | None = None

    @property
    def has_room(self) -> bool:
        """Whether another prompt can be taken."""
        return len(self._held) < self.rows

    def check(self, asked: Asked) -> None:
        """Raises the UserError of a prompt that can never be decoded."""
        config = self._decoder.model.backbone.config
        packed = pack_prompts([asked.ids], config, asked.tokens)
        padded = packed.ids_BP.shape[1]
        check_memory(config, self._decoder.values, self.rows, padded, asked.tokens, 0)

    def admit(self, asked: Asked) -> int:
        """Takes a prompt, where there is room; the number of its row."""
        row = min({*range(self.rows)} - {*self._held})
        needed = slots_for(len(asked.ids) + asked.tokens)
        if self._state is None or (not self._held and needed < self._slots):
            self._slots, model = needed, bind(self._decoder.model, self._decoder.values)
            self._state = no_rows(model, self._method, self.rows, needed)
        elif needed > self._slots:
            self._slots, memory = needed, self._state.memory
            memory = memory._replace(cache=grown(memory.cache, needed))
            self._state = self._state._replace(memory=memory)
        self._held[row] = _Held(asked, deque(chunks(asked.ids[:-1], 0)))
        return row

    def drop(self, row: int) -> None:
        """Gives up a row before its end."""
        del self._held[row]
        if row in self._going:
            self._going.remove(row)
            assert self._state is not None
            going_B = self._state.going_B.at[row].set(False)
            self._state = self._state._replace(going_B=going_B)

    def step(self, most: int = EVERY) -> list[Came]:
        """Reads a chunk of the prompt that waits longest, and decodes what goes on.

        Args:
          most: tokens of a row.
        """
        self._begin_next()
        if not self._going:
            return []
        asked = [self._held[row].asked for row in self._going]
        early = any(one.threshold < 1 for one in asked)
        values, at = self._decoder.values, self._state
        state, out = self._advance(early, most)(values, at, self._stop_S)
        self._state = state
        out, going_B = jax.device_get((out, state.going_B))
        return [self._came(row, out, going_B, early) for row in sorted(self._going)]

    def _begin_next(self) -> None:
        """A chunk of a prompt; after its last one the row goes on."""
        row = next((row for row in self._held if row not in self._going), None)
        if row is None:
            return
        asked, left = self._held[row]
        number = jnp.int32(row)
        if left:
            first, ids_T = left.popleft()
            values, at = self._decoder.values, self._state
            given = number, jnp.asarray(ids_T), jnp.int32(first)
            self._state = self._read(values, at, *given)
        if not left:
            self._state = self._sit(self._state, number, _seat(asked))
            self._going.add(row)

    def _came(self, row: int, out: Generated, going_B: np.ndarray, early: bool) -> Came:
        length, ended = int(out.length_B[row]), not going_B[row]
        if ended:
            self._going.remove(row)
            del self._held[row]
        ids, exits, sure = (part[row, :length].tolist() for part in out[:3])
        return Came(row, ids, exits, sure if early else None, ended)

    def _compile_read(self) -> Program:
        def run(values: Parameters, rows: Rows, row: Any, ids_T: Any, first: Any) -> Rows:
            return read_chunk(bind(self._decoder.model, values), rows, row, ids_T, first)

        return Program(run, donate=(1,))

    def _compile_advance(self, early: bool, most: int) -> Program:
        def run(values: Parameters, rows: Rows, stop_S: Any) -> tuple[Rows, Generated]:
            model = bind(self._decoder.model, values)
            return advance(model, self._method, rows, stop_S, most, early)

        return Program(run, donate=(1,))


def _seat(asked: Asked) -> Seat:
    return Seat(
        token=jnp.int32(asked.ids[-1]),
        position=jnp.int32(len(asked.ids) - 1),
        left=jnp.int32(asked.tokens),
        threshold=jnp.float32(asked.threshold),
        temperature=jnp.float32(asked.temperature),
        top_p=jnp.float32(asked.top_p),
        key=jax.random.fold_in(jax.random.key(asked.seed), 0),  # as a decoder's first row
    )
