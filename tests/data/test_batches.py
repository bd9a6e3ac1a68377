"""Properties of batches over rows whose tokens and labels tell which row they are."""

import tempfile
from collections import Counter
from itertools import islice

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ee_jax.data.batches import Batch, evaluation_batches, training_batches
from ee_jax.data.text import Row, SourcedRow, bucket_of
from ee_jax.errors import UserError

LENGTHS = (4, 8, 12)
row_lengths = st.lists(st.integers(1, 20), min_size=1, max_size=40)
# 3, 20, 0 and 11 rows up to 4, 8, 12 and beyond, where rows are cut to 12.
SIZES = [2] * 3 + [7] * 20 + [19] * 11


def rows_of(sizes: list[int]) -> tuple[list[np.ndarray], np.ndarray]:
    """Row n is made of n * 100 + 1, n * 100 + 2, ...; its label is 3 * n."""
    rows = [np.arange(1, size + 1, dtype=np.int32) + 100 * n for n, size in enumerate(sizes)]
    return rows, 3 * np.arange(len(sizes), dtype=np.int32)


def train(sizes=SIZES, *, batch=4, seed=0, **shard):
    return training_batches(*rows_of(sizes), lengths=LENGTHS, batch=batch, seed=seed, **shard)


def check(batch: Batch, sizes: list[int], batch_size: int) -> None:
    """Every row is what its number says, in the bucket that it belongs to."""
    rows, label_N = rows_of(sizes)
    length = batch.tokens.ids_BT.shape[1]
    assert batch.tokens.ids_BT.shape == batch.tokens.mask_BT.shape == (batch_size, length)
    dtypes = [array.dtype for array in jax.tree.leaves(batch)]
    assert dtypes == [np.int32, bool, np.int32, np.int32, bool]
    np.testing.assert_array_equal(batch.label_B, label_N[batch.index_B])
    for tokens_T, mask_T, index in zip(*batch.tokens[:2], batch.index_B, strict=True):
        assert length == bucket_of(sizes[index], LENGTHS)
        np.testing.assert_array_equal(tokens_T[mask_T], rows[index][:length])
        assert mask_T[: mask_T.sum()].all()  # padding only at the end
        assert not tokens_T[~mask_T].any()


def same(left, right):
    pairs = zip(jax.tree.leaves(left), jax.tree.leaves(right), strict=True)
    return all(np.array_equal(a, b) for a, b in pairs)


def share(batch, shard, shards) -> Batch:
    return jax.tree.map(lambda whole: whole[shard::shards], batch)


def seen(batches: list[Batch]) -> Counter[int]:
    return Counter(int(index) for batch in batches for index in batch.index_B)


@given(row_lengths, st.integers(1, 9))
def test_evaluation_gives_each_row_once(sizes, batch_size):
    batches = list(evaluation_batches(*rows_of(sizes), lengths=LENGTHS, batch=batch_size))
    for batch in batches:
        check(batch, sizes, batch_size)
        assert batch.valid_B[0]
    valid = np.concatenate([batch.index_B[batch.valid_B] for batch in batches])
    assert sorted(valid) == list(range(len(sizes)))
    # As few batches as static shapes allow.
    buckets = Counter(bucket_of(size, LENGTHS) for size in sizes)
    assert len(batches) == sum(-(-rows // batch_size) for rows in buckets.values())


@settings(max_examples=25, deadline=None)
@given(row_lengths, st.integers(1, 6), st.integers(1, 30), st.integers(0, 5))
def test_training_sees_the_rows_of_a_bucket_equally_often(sizes, batch_size, steps, seed):
    batches = list(islice(train(sizes, batch=batch_size, seed=seed), steps))
    for batch in batches:
        check(batch, sizes, batch_size)
        assert batch.valid_B.all()
    counts = seen(batches)
    for length in LENGTHS:
        times = [
            counts[n] for n, size in enumerate(sizes) if bucket_of(size, LENGTHS) == length
        ]
        assert not times or max(times) - min(times) <= 1


def test_buckets_take_turns_in_proportion_to_their_rows():
    steps = Counter(batch.tokens.ids_BT.shape[1] for batch in islice(train(), 170))
    # 3 : 20 : 11 of 34. Grain rounds the shares to 100 : 666 : 366 and is never a turn ahead.
    assert steps[4] == pytest.approx(15, abs=1)
    assert steps[8] == pytest.approx(100, abs=1)
    assert steps[12] == pytest.approx(55, abs=1)


def test_each_epoch_has_an_order_of_its_own():
    batches = list(islice(train([2] * 12), 9))  # one bucket, three epochs of three batches
    epochs = [
        [int(index) for batch in batches[at : at + 3] for index in batch.index_B]
        for at in (0, 3, 6)
    ]
    assert [sorted(epoch) for epoch in epochs] == [list(range(12))] * 3
    assert len({tuple(epoch) for epoch in [*epochs, list(range(12))]}) == 4


def test_the_seed_decides():
    first = list(islice(train(seed=1), 20))
    assert same(first, list(islice(train(seed=1), 20)))
    assert not same(first, list(islice(train(seed=2), 20)))


def test_a_bucket_smaller_than_the_batch_repeats_its_rows():
    batch = next(train([2, 2, 2], batch=8))
    assert sorted(seen([batch]).values()) == [2, 3, 3]


def test_resumes_exactly():
    iterator = train()
    list(islice(iterator, 7))
    state = iterator.get_state()
    rest = list(islice(iterator, 30))
    fresh = train()
    fresh.set_state(state)
    assert same(list(islice(fresh, 30)), rest)


def test_orbax_saves_and_restores_the_iterator():
    from orbax.checkpoint import v1 as ocp

    iterator = train()
    list(islice(iterator, 7))
    with tempfile.TemporaryDirectory() as folder, ocp.training.Checkpointer(folder) as saver:
        saver.save_checkpointables(7, {"data": iterator})
        rest = list(islice(iterator, 30))
        fresh = train()
        saver.load_checkpointables(7, {"data": fresh})
        assert same(list(islice(fresh, 30)), rest)


@pytest.mark.parametrize("shards", [2, 4])
def test_shards_together_are_the_whole_batch(shards):
    parts = [train(batch=8, shard=shard, shards=shards) for shard in range(shards)]
    for whole in islice(train(batch=8), 30):
        for shard, part in enumerate(parts):
            assert same([next(part)], [share(whole, shard, shards)])


def test_another_number_of_shards_may_resume():
    whole = train(batch=8)
    list(islice(whole, 5))
    half = train(batch=8, shard=1, shards=2)
    half.set_state(whole.get_state())
    assert same([next(half)], [share(next(whole), 1, 2)])


def typed_rows_of(sizes: list[int]) -> tuple[list[np.ndarray], np.ndarray]:
    """The same rows, each token with the type of its number's last bit."""
    rows, label_N = rows_of(sizes)
    return [np.stack([row, row % 2], 1) for row in rows], label_N


def check_types(typed: Batch, plain: Batch) -> None:
    ids_BT, mask_BT = plain.tokens.ids_BT, plain.tokens.mask_BT
    assert plain.tokens.types_BT is None
    np.testing.assert_array_equal(typed.tokens.types_BT, np.where(mask_BT, ids_BT % 2, 0))
    assert typed.tokens.types_BT.dtype == np.int32
    assert same(
        typed._replace(tokens=typed.tokens[:2]), plain._replace(tokens=plain.tokens[:2])
    )


@given(row_lengths, st.integers(1, 9))
def test_rows_of_pairs_have_their_types(sizes, batch_size):
    shape = {"lengths": LENGTHS, "batch": batch_size}
    plain = evaluation_batches(*rows_of(sizes), **shape)
    for batch in evaluation_batches(*typed_rows_of(sizes), **shape):
        check_types(batch, next(plain))
    assert next(plain, None) is None


def test_rows_of_pairs_have_their_types_in_training_too():
    typed = training_batches(*typed_rows_of(SIZES), lengths=LENGTHS, batch=4, seed=0)
    for batch, plain in zip(islice(typed, 9), train(), strict=False):
        check_types(batch, plain)


def test_numbers_stay_numbers():
    rows, _ = rows_of([2, 3])
    label_N = np.array([0.5, 4.25], np.float32)
    (batch,) = evaluation_batches(rows, label_N, lengths=LENGTHS, batch=3)
    assert batch.label_B.dtype == np.float32
    assert batch.label_B.tolist() == [0.5, 4.25, 4.25]


def test_what_the_user_can_mend_is_said_at_the_call():
    with pytest.raises(UserError, match="batch 6 does not divide by 4 shards"):
        train(batch=6, shards=4)
    rows, label_N = rows_of([3, 0])
    with pytest.raises(UserError, match="row 1 has no tokens"):
        evaluation_batches(rows, label_N, lengths=LENGTHS, batch=2)
    with pytest.raises(UserError, match="no rows"):
        train([])


def sourced(source: int, target: int, stretch: float = 1.0) -> SourcedRow:
    """So many tokens of a source, and of a target after the one that it begins with."""
    return SourcedRow(np.arange(1, source + 1), np.arange(target + 1), stretch)


def test_a_pair_is_in_the_first_bucket_that_holds_both_sides():
    rows = [sourced(3, 8), sourced(4, 2, stretch=2.0), sourced(2, 9, stretch=2.0)]
    assert [len(row) for row in rows] == [8, 4, 5]
    assert [row.room(8) for row in rows] == [9, 17, 17]


def test_sources_and_targets_are_padded_each_to_its_own():
    rows: list[Row] = [sourced(3, 5, 0.5), sourced(9, 2, 0.5), sourced(2, 1, 0.5)]
    found = list(evaluation_batches(rows, np.arange(3), lengths=(4, 12), batch=2))
    assert [batch.index_B.tolist() for batch in found] == [[2, 2], [0, 1]]
    small, large = (batch.tokens for batch in found)
    assert small.ids_BT.shape == (2, 3)
    assert small.source.ids_BT.shape == (2, 4)
    assert large.ids_BT.tolist() == [[0, 1, 2, 3, 4, 5, 0], [0, 1, 2, 0, 0, 0, 0]]
    assert large.source.mask_BT.sum(1).tolist() == [3, 9]
    assert large.before_last().ids_BT.shape == (2, 6)
    assert large.before_last().source is large.source
