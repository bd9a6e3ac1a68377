"""Rows that come and go in one batch: each says what it says alone, against plain loops."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ee_jax.compilation import Program
from ee_jax.errors import UserError
from ee_jax.exits.layouts import LAYOUTS
from ee_jax.inference import continuous, conversation
from ee_jax.inference.continuous import Asked, ContinuousDecoder
from ee_jax.inference.generator import Decoder
from ee_jax.inference.methods import EarlyExitDecoding, StaticDecoding
from ee_jax.inference.rules import Exiting
from ee_jax.inference.sampling import Sampling, draw, draw_rows
from tests.inference.models import CONTEXT, LAYERS, NO_STOPS, tiny
from tests.inference.plain import PlainLlama

RULE_AT = Exiting("max_prob").rule_at
PLAIN = PlainLlama(tiny())
DECODER = Decoder(tiny(), stops=NO_STOPS)


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(conversation, "CHUNKS", (2, 4))
    monkeypatch.setattr(continuous, "SLOTS", 16)
    monkeypatch.setattr(continuous, "slots_for", lambda n: conversation.slots_for(n, 16))


def served(batch, waiting, most=3, arrive=lambda turn: True):
    """What comes of requests, by number, that arrive as they may; each number's ids, exits."""
    queue, seats, found = [*enumerate(waiting)], {}, {n: ([], []) for n in range(len(waiting))}
    for turn in range(1000):
        while queue and batch.has_room and arrive(turn):
            number, asked = queue.pop(0)
            seats[batch.admit(asked)] = number
        if not (queue or seats):
            return found
        for came in batch.step(most):
            ids, exits = found[seats[came.row]]
            ids += came.ids
            exits += came.exits
            if came.ended:
                del seats[came.row]
    raise AssertionError("it never ends")


def check(found, waiting, policy="propagate"):
    for number, asked in enumerate(waiting):
        ids, exits, _ = PLAIN.decode([*asked.ids], asked.tokens, asked.threshold, policy)
        assert found[number] == (ids.tolist(), exits.tolist()), number


REQUESTS = [
    Asked([5, 9, 2], 9, 0.2),
    Asked([7], 4, 0.3),
    Asked([1, 4, 30, 22, 8, 63, 2], 12),
    Asked([11, 12], 1, 0.25),
    Asked([3, 3, 3, 60, 1], 20, 0.2),
    Asked([44], 17, 0.25),
    Asked([5, 9, 2], 9, 0.2),
]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("policy", ["propagate", "copy", "recompute"])
def test_each_row_says_what_plain_loops_say(layout, policy):
    method = EarlyExitDecoding(RULE_AT, policy, window=3, layout=layout)
    found = served(ContinuousDecoder(DECODER, method, 3), REQUESTS)
    check(found, REQUESTS, policy)
    depths = {exit for _, exits in found.values() for exit in exits}
    assert depths == {0, 1, 2}


@settings(max_examples=15)
@given(st.data())
def test_whoever_comes_whenever(data):
    """Prompts, thresholds and arrivals at random, on programs that are compiled once."""
    one = st.builds(
        Asked,
        st.lists(st.integers(0, 63), min_size=1, max_size=9),
        st.integers(1, 12),
        st.sampled_from([0.2, 0.25, 0.3, 1.0]),
    )
    waiting = data.draw(st.lists(one, min_size=1, max_size=7))
    waits = data.draw(st.lists(st.integers(0, 3), min_size=40, max_size=40))
    check(served(BATCH, waiting, arrive=lambda turn: waits[turn % 40] == 0), waiting)


BATCH = ContinuousDecoder(DECODER, EarlyExitDecoding(RULE_AT, window=3), 3)


def test_stop_tokens_and_limits_end_a_row_and_the_slot_is_used_again():
    stop = int(PLAIN.decode([5, 9, 2], 9, 0.2, "propagate")[0][4])
    batch = ContinuousDecoder(
        Decoder(tiny(), stops=(stop, -2)), EarlyExitDecoding(RULE_AT, window=3), 2
    )
    found = served(batch, REQUESTS)
    for number, asked in enumerate(REQUESTS):
        ids = PLAIN.decode([*asked.ids], asked.tokens, asked.threshold, "propagate")[0].tolist()
        until = ids.index(stop) + 1 if stop in ids else len(ids)
        assert found[number][0] == ids[:until]


def test_a_row_that_is_given_up_makes_room_and_disturbs_nobody():
    batch = ContinuousDecoder(DECODER, EarlyExitDecoding(RULE_AT, window=3), 2)
    first = batch.admit(Asked([1, 4, 30, 22, 8, 63, 2], 25, 0.2))
    batch.step()
    batch.drop(first)  # while its prompt is read
    again = batch.admit(Asked([1, 4], 25, 0.2))
    batch.step()
    batch.drop(again)  # while it writes
    check(served(batch, REQUESTS), REQUESTS)


def test_sampled_rows_are_those_of_a_decoder_alone():
    waiting = [Asked([5, 9, 2], 8, 1.0, 1.0, 0.9, seed) for seed in range(4)]
    waiting.insert(2, Asked([7], 8))
    found = served(BATCH, waiting)
    sampled = Decoder(tiny(), Sampling(1.0, top_p=0.9), NO_STOPS)
    for number, asked in enumerate(waiting):
        decoder = sampled if asked.temperature else DECODER
        method = StaticDecoding(len(LAYERS) - 1)
        *_, out = decoder.stream(method, None, [asked.ids], 8, 8, asked.seed)
        assert found[number][0] == out.ids_BN[0].tolist()


def test_rows_that_are_drawn_each_in_its_own_way():
    logits_BV = jax.random.normal(jax.random.key(0), (6, 50)) * 3
    key_B = jax.vmap(jax.random.key)(jnp.arange(6, dtype=jnp.uint32))
    warm_B, top_B = [0.0, 1.0, 0.5, 1.0, 0.0, 2.0], [1.0, 1.0, 0.5, 0.3, 0.2, 1.0]
    drawn_B = draw_rows(key_B, logits_BV, jnp.array(warm_B), jnp.array(top_B))
    for b, (warm, top) in enumerate(zip(warm_B, top_B, strict=True)):
        assert drawn_B[b] == draw(key_B[b], logits_BV[b], Sampling(warm, top_p=top))


def test_a_second_round_compiles_nothing():
    served(BATCH, REQUESTS)
    before = Program.compiled
    served(BATCH, [Asked([*asked.ids[::-1]], asked.tokens, 0.22) for asked in REQUESTS])
    assert Program.compiled == before


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"threshold": 1.5}, "threshold 1.5: it is from 0 to 1"),
        ({"temperature": -1.0}, "temperature -1.0: it is 0"),
        ({"top_p": 0.0}, "top_p 0.0: it is above 0"),
        ({"seed": -1}, "seed -1: it is from 0"),
        ({"ids": [], "tokens": 1}, "prompt 1 of 1 is empty"),
        ({"tokens": CONTEXT}, "prompt 1 of 1 has 2 tokens, and 40 more do not fit"),
    ],
)
def test_what_cannot_be_decoded_is_one_line(asked, message):
    with pytest.raises(UserError) as error:
        BATCH.check(Asked(**{"ids": [1, 2], "tokens": 4, **asked}))
    assert str(error.value).startswith(message)


def test_confidences_are_those_of_the_exits():
    row = BATCH.admit(REQUESTS[0])
    (came,) = BATCH.step(9)
    assert came.row == row
    sure = PLAIN.decode([5, 9, 2], 9, 0.2, "propagate")[2]
    assert came.confidences is not None
    np.testing.assert_allclose(came.confidences, sure, atol=1e-4)
