"""Texts of tokens, as they come."""

from hypothesis import given
from hypothesis import strategies as st

from ee_jax.data.bpe import train_bpe
from ee_jax.data.documents import Detokenizer

BPE = train_bpe(["a cat sat on the mat"] * 3, 270)


@given(st.text(min_size=1), st.text(min_size=1))
def test_the_pieces_of_a_text_are_the_text(prompt, following):
    ids, more = BPE.encode(prompt).ids, BPE.encode(following, add_special_tokens=False).ids
    assert "".join(Detokenizer(BPE, ids).of(more)) == following


def test_a_character_is_the_piece_of_its_last_token():
    more = BPE.encode("x🎉y", add_special_tokens=False).ids
    pieces = Detokenizer(BPE, BPE.encode("a").ids).of(more)
    assert pieces == ["x", "", "", "", "🎉", "y"]


@given(st.lists(st.integers(0, 269), max_size=20))
def test_bytes_that_are_no_text_raise_nothing(ids):
    assert len(Detokenizer(BPE, [0]).of(ids)) == len(ids)
