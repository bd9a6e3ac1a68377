"""A conversation that keeps its cache says what one says that reads all of it anew."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ee_jax.compilation import Program
from ee_jax.errors import UserError
from ee_jax.inference import conversation
from ee_jax.inference.conversation import Conversation, chunks, common_prefix, slots_for
from ee_jax.inference.generator import Decoder
from ee_jax.inference.methods import EarlyExitDecoding, SelfSpeculation, StaticDecoding
from ee_jax.inference.rules import Exiting, forced_at
from tests.inference.models import CONTEXT, LAYERS, NO_STOPS, tiny
from tests.inference.plain import PlainLlama

FULL = StaticDecoding(len(LAYERS) - 1)
EARLY = EarlyExitDecoding(Exiting("max_prob").rule_at)
DRAFT = SelfSpeculation(0, 2)
SHARED = {FULL: None, EARLY: 0.25, DRAFT: None}


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(conversation, "CHUNKS", (2, 4))
    monkeypatch.setattr(conversation, "SLOTS", 16)


@pytest.fixture(scope="module")
def decoder():
    return Decoder(tiny(), stops=NO_STOPS)


def answer(talk, method, ids, tokens=6, stop_after=None):
    turns = talk.answer(method, SHARED[method], ids, tokens)
    out = None
    for out in turns:
        if stop_after is not None and out.length_B[0] >= stop_after:
            turns.close()
    assert out is not None
    return out.ids_BN[0, : out.length_B[0]].tolist()


@pytest.mark.parametrize("method", [FULL, DRAFT])
def test_every_turn_is_the_full_models_and_reads_only_what_is_new(decoder, method):
    plain, talk, ids = PlainLlama(tiny()), Conversation(decoder), [5, 9, 2]
    for new in ([], [7, 1], [30], [4, 4, 4]):
        ids = ids + new
        said = answer(talk, method, ids)
        assert said == plain.decode(ids, len(said), 1.0, "propagate")[0].tolist()
        ids = ids + said
    assert talk.read <= 3 + 2  # the new tokens, and the answer's last, which was never fed


def test_what_the_cache_holds_is_what_early_exits_left(decoder):
    """A turn after an early answer goes on as one text of the same depths would."""
    plain, talk = PlainLlama(tiny()), Conversation(decoder)
    first = answer(talk, EARLY, [5, 9, 2], 10)
    ids, exits, _ = plain.decode([5, 9, 2], 10, 0.25, "propagate")
    assert first == ids.tolist()
    assert len({*exits}) > 1
    assert talk.held == [5, 9, 2, *first][: len(talk.held)]
    cache, whole = talk._cache, len(talk.held)
    assert cache is not None
    # The same depths in one parallel pass leave the same keys and values.
    depth_BN = np.array(LAYERS)[exits][None]
    forced = Conversation(decoder)
    *_, out = forced.answer(
        EarlyExitDecoding(forced_at, layout="conds"), depth_BN, [5, 9, 2], 10
    )
    assert out.ids_BN[0].tolist() == first
    assert forced._cache is not None
    for one, other in zip(cache, forced._cache, strict=True):
        np.testing.assert_allclose(one[0][:, :, :whole], other[0][:, :, :whole], atol=1e-4)
    assert len(answer(talk, EARLY, [5, 9, 2, *first, 7], 4)) == 4


def test_methods_take_turns_over_one_cache(decoder):
    plain, talk, ids = PlainLlama(tiny()), Conversation(decoder), [11, 12]
    for method in (DRAFT, FULL, DRAFT):
        said = answer(talk, method, ids, 4)
        assert said == plain.decode(ids, len(said), 1.0, "propagate")[0].tolist()
        ids += [*said, 3]


def test_another_history_falls_back_to_what_is_common(decoder):
    plain, talk = PlainLlama(tiny()), Conversation(decoder)
    answer(talk, FULL, [5, 9, 2, 8, 8])
    other = [5, 9, 30, 1]
    assert answer(talk, FULL, other) == plain.decode(other, 6, 1.0, "propagate")[0].tolist()
    assert talk.read == 2


def test_an_answer_may_be_stopped_and_the_conversation_goes_on(decoder):
    plain, talk = PlainLlama(tiny()), Conversation(decoder)
    said = answer(talk, FULL, [5, 9, 2], 12, stop_after=5)
    assert len(said) == 5
    ids = [5, 9, 2, *said, 1]
    assert answer(talk, FULL, ids) == plain.decode(ids, 6, 1.0, "propagate")[0].tolist()
    assert talk.read == 2


def test_turns_of_any_length_compile_a_few_programs(decoder):
    lengths = [3, 5, 6, 7, 9, 10]
    talk = Conversation(decoder)
    for length in lengths:  # compiles
        answer(talk, FULL, [*range(length)], 6)
    before = Program.compiled
    for length in lengths[::-1]:
        answer(talk, FULL, [*range(1, 1 + length)], 6)
    assert Program.compiled == before


def test_the_context_is_the_end(decoder):
    talk, ids = Conversation(decoder), [7] * (CONTEXT - 3)
    assert len(answer(talk, FULL, ids, 6)) == 3
    with pytest.raises(UserError, match=f"has {CONTEXT} tokens, and 1 more do not fit"):
        answer(talk, FULL, [7] * CONTEXT)


def test_depths_may_be_forced(decoder):
    """Every token at the first exit: what the last ones lack is read again."""
    method = EarlyExitDecoding(forced_at, window=2)
    talk = Conversation(decoder)
    *_, out = talk.answer(method, np.full((1, 12), 1), [5, 9, 2], 12)
    assert (out.exit_BN == 0).all()
    assert len(talk.held) < 3 + 11
    assert answer(talk, FULL, [5, 9, 2, *out.ids_BN[0].tolist()], 4)


@given(st.lists(st.integers(0, 60), max_size=40), st.integers(0, 40))
def test_chunks_hold_every_token_once(ids, first):
    found = {}
    for start, chunk in chunks(ids, first):
        assert len(chunk) in conversation.CHUNKS
        found |= {start + n: token for n, token in enumerate(chunk.tolist())}
    assert [found[n] for n in range(first, len(ids))] == ids[first:]


@settings(max_examples=50)
@given(st.lists(st.integers(0, 2)), st.lists(st.integers(0, 2)))
def test_the_common_prefix_is_the_longest(one, other):
    count = common_prefix(one, other)
    assert one[:count] == other[:count]
    assert one[count : count + 1] != other[count : count + 1] or count == len(one) == len(other)


def test_slots_double():
    assert [slots_for(n, 16) for n in (1, 16, 17, 33)] == [16, 16, 32, 64]
