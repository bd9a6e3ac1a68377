"""Tokenizer files of llama2.c, one of them written here."""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ee_jax.data.llama2c import read_llama2c_tokenizer
from ee_jax.errors import UserError
from tests.generated import EXAMPLES, damaged, outcome

# The first three stand for the special ones; then bytes, then pieces by falling score.
PIECES = ["<unk>", "\n<s>\n", "\n</s>\n", *(f"<0x{byte:02X}>" for byte in range(256))]
PIECES += ["ab", " a", "abc", "a", "b", "c", " "]


def content(pieces=PIECES):
    rows = [
        struct.pack("<fi", -float(number), len(piece.encode())) + piece.encode()
        for number, piece in enumerate(pieces)
    ]
    return struct.pack("<i", 7) + b"".join(rows)


def test_the_best_pieces_are_joined_first(tmp_path):
    path = tmp_path / "tok.bin"
    path.write_bytes(content())
    tokenizer = read_llama2c_tokenizer(path)
    # A space is put before the text; "ab" scores above " a", so "a" is not the space's.
    assert tokenizer.encode("abc").tokens == ["<s>", "▁", "abc"]
    assert tokenizer.encode("a b").tokens == ["<s>", "▁a", "▁", "b"]
    assert tokenizer.encode("c\n").tokens == ["<s>", "▁", "c", "<0x0A>"]
    for text in ("abc", "a b", "é ab\n"):
        assert tokenizer.decode(tokenizer.encode(text).ids) == text
    assert tokenizer.token_to_id("<0x0A>") == 13


@pytest.mark.parametrize(
    "damage",
    [lambda b: b"", lambda b: b[:-1], lambda b: b + b"x", lambda b: b[:40] + b"\xff" * 9],
)
def test_files_of_another_kind(tmp_path, damage):
    path = tmp_path / "tok.bin"
    path.write_bytes(damage(content()))
    with pytest.raises(UserError, match=r"no tokenizer of llama2.c in .*tok.bin"):
        read_llama2c_tokenizer(path)


def row(length, piece=b"abc", score=0.0):
    return struct.pack("<fi", score, length) + piece


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (row(-8, b""), "piece 266 has -8 bytes"),  # the next piece would be this one again
        (row(-1), "piece 266 has -1 bytes"),
        (row(2**31 - 1), "piece 266 has 2147483647 bytes"),
        (row(5000, b"a" * 5000), "piece 266 has 5000 bytes"),
        (row(3, score=float("nan")), "piece 266 has 3 bytes and scores nan"),
        (row(900), "bytes"),
    ],
)
def test_a_piece_that_the_file_cannot_hold(tmp_path, wrong, said):
    path = tmp_path / "tok.bin"
    path.write_bytes(content() + wrong)
    with pytest.raises(UserError, match=rf"no tokenizer of llama2.c in .*tok.bin.*{said}"):
        read_llama2c_tokenizer(path)


ROWS = st.builds(
    lambda piece, score, length: row(len(piece) if length is None else length, piece, score),
    st.binary(max_size=4),
    st.floats(width=32),
    st.none() | st.integers(-9, 2000),
)


@EXAMPLES
def test_generated_files(tmp_path, examples):
    path = tmp_path / "tok.bin"

    @settings(max_examples=examples)
    @given(
        damaged(content()) | st.lists(ROWS, max_size=6).map(lambda r: bytes(4) + b"".join(r))
    )
    def body(content):
        path.write_bytes(content)
        found = outcome(read_llama2c_tokenizer, path)
        if not isinstance(found, UserError):
            assert found.encode("ab").ids[0] == found.token_to_id("<s>") == 1

    body()


def test_no_file(tmp_path):
    with pytest.raises(UserError, match=r"nothing.bin"):
        read_llama2c_tokenizer(tmp_path / "nothing.bin")
