"""Rows of token ids to batches of static shape, for training and for evaluation.

Every batch has one of a few static lengths (buckets), so that a program is compiled once for
each and padding stays small.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Generic, NamedTuple, TypeVar

import grain
import numpy as np
from jaxtyping import Bool, Int32, Num

from ee_jax.data.text import Row, SourcedRow, TokenRow, bucket_of
from ee_jax.errors import UserError
from ee_jax.tokens import Tokens

# Rows of a stream that nobody reads to its end. Grain reckons lengths in floats, in which those
# of a stream that it calls infinite can overflow.
_ENDLESS = 2**53
Labels = Num[np.ndarray, " N"]


class Batch(NamedTuple):
    """B rows padded to T tokens."""

    tokens: Tokens
    label_B: Num[np.ndarray, " B"]
    index_B: Int32[np.ndarray, " B"]  # number of the row, to restore the order
    valid_B: Bool[np.ndarray, " B"]  # False: a copy that fills the batch and counts for nothing


R = TypeVar("R", bound=Row)


@dataclass(frozen=True)
class Split(Generic[R]):
    """A split of a data set as token rows, all of one kind."""

    rows: Sequence[R]
    label_N: Num[np.ndarray, " N"]  # int32; float32 where there are no classes
    lengths: tuple[int, ...]

    def batches(self, batch: int) -> list[Batch]:
        """Every row once, in batches of static shapes."""
        batches = evaluation_batches(self.rows, self.label_N, lengths=self.lengths, batch=batch)
        return list(batches)

    def one_of_each(self, batch: int) -> list[Batch]:
        """See `one_of_each`."""
        return one_of_each(self.rows, self.label_N, lengths=self.lengths, batch=batch)


def training_batches(
    rows: Sequence[Row],
    label_N: Labels,
    *,
    lengths: Sequence[int],
    batch: int,
    seed: int,
    shard: int = 0,
    shards: int = 1,
) -> grain.DatasetIterator[Batch]:
    """Endless shuffled batches; `get_state` and `set_state` resume exactly.

    Each bucket is a stream of its own: all its rows in a new order, then all of them again in
    another, and so on, cut into batches of `batch` rows that run over the ends of the epochs.
    So no row is dropped, any two rows of a bucket have been seen equally often up to one, and a
    bucket of fewer rows than a batch repeats rows within the batch. The buckets take turns,
    always in the same pattern, in proportion to their rows (grain rounds that to 1 %).

    Shard s of S holds rows s, s + S, ... of every batch. All shards are at the same bucket, and
    what they hold together depends on neither S nor s, so S may change at a resume; `batch`,
    `lengths`, `seed` and the rows may not.

    Args:
      rows: tokens, all with types or all without; what exceeds the last of `lengths` is cut.
      label_N: their labels.
      lengths: the static lengths, rising.
      batch: rows of a batch over all shards.
      seed: decides the order of the rows, not that of the buckets.
      shard: which part of every batch to give.
      shards: number of parts.

    Raises:
      UserError: no rows, a row without tokens, or a batch that does not divide by `shards`.
    """
    _check(rows, label_N)
    if batch % shards:
        raise UserError(f"batch {batch} does not divide by {shards} shards: change one of them")
    assert 0 <= shard < shards, (shard, shards)
    streams, weights = [], []
    for length, members in _buckets(rows, lengths).items():
        shuffled = grain.MapDataset.source(members).seed(seed).shuffle()
        share = shuffled.repeat()[shard:_ENDLESS:shards]
        make = partial(_batch, rows, label_N, length)
        streams.append(share.batch(batch // shards, batch_fn=make))
        weights.append(len(members))
    mixed = grain.MapDataset.mix(streams, weights)
    # In memory: grain's own threads would only fight over the interpreter.
    return iter(mixed.to_iter_dataset(grain.ReadOptions(num_threads=0)))


def evaluation_batches(
    rows: Sequence[Row], label_N: Labels, *, lengths: Sequence[int], batch: int
) -> Iterator[Batch]:
    """Each row once, bucket after bucket, in order within a bucket.

    The last batch of a bucket is filled with copies of its last row that are not valid.

    Raises:
      UserError: no rows, or a row without tokens.
    """
    _check(rows, label_N)
    return (
        _batch(rows, label_N, length, chosen, copies=batch - len(chosen))
        for length, members in _buckets(rows, lengths).items()
        for chosen in (members[at : at + batch] for at in range(0, len(members), batch))
    )


def one_of_each(
    rows: Sequence[Row], label_N: Labels, *, lengths: Sequence[int], batch: int
) -> list[Batch]:
    """A batch of each shape that batches of these rows have, in training or evaluation.

    It holds copies of a bucket's first row: what matters is its shape.
    """
    _check(rows, label_N)
    return [
        _batch(rows, label_N, length, members[:1], copies=batch - 1)
        for length, members in _buckets(rows, lengths).items()
    ]


def _check(rows: Sequence[Row], label_N: Labels) -> None:
    assert len(rows) == len(label_N), (len(rows), len(label_N))
    if not rows:
        raise UserError("no rows to make batches of: check the split and its file")
    empty = next((index for index, row in enumerate(rows) if not len(row)), None)
    if empty is not None:
        raise UserError(f"row {empty} has no tokens: remove its text or add special tokens")


def _buckets(rows: Sequence[Row], lengths: Sequence[int]) -> dict[int, list[int]]:
    """The numbers of the rows in each bucket that has any, by length."""
    members: dict[int, list[int]] = {length: [] for length in lengths}
    for index, row in enumerate(rows):
        members[bucket_of(len(row), lengths)].append(index)
    return {length: found for length, found in members.items() if found}


def _batch(
    rows: Sequence[Row],
    label_N: Labels,
    length: int,
    members: Sequence[int],
    copies: int = 0,
) -> Batch:
    """The rows numbered `members`, cut or padded to `length`, and `copies` of the last one."""
    index_B = np.array([*members, *[members[-1]] * copies], np.int32)
    tokens = pad_rows([rows[index] for index in index_B], length)
    valid_B = np.arange(len(index_B)) < len(members)
    return Batch(tokens, label_N[index_B], index_B, valid_B)


def pad_rows(rows: Sequence[Row], length: int) -> Tokens:
    """Rows of one kind, cut or padded to `length` tokens; or to the bucket of this length.

    Args:
      rows: all with types, all with sources and one stretch, or none with either.
      length: T.
    """
    sourced = [row for row in rows if isinstance(row, SourcedRow)]
    if sourced:
        source = _pad([row.source_S for row in sourced], length)
        target = _pad([row.target_T for row in sourced], sourced[0].room(length))
        return target._replace(source=source)
    return _pad([row for row in rows if not isinstance(row, SourcedRow)], length)


def _pad(rows: Sequence[TokenRow], length: int) -> Tokens:
    time_B = np.array([min(len(row), length) for row in rows])
    # A row's ids, or its ids and types.
    padded = np.zeros((len(rows), length, *rows[0].shape[1:]), np.int32)
    for place, (row, time) in enumerate(zip(rows, time_B, strict=True)):
        padded[place, :time] = row[:time]
    mask_BT = np.arange(length) < time_B[:, None]
    if padded.ndim == 3:
        return Tokens(padded[..., 0], mask_BT, padded[..., 1])
    return Tokens(padded, mask_BT)
