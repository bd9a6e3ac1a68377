"""Tokenizer files of llama2.c, one of them written here."""

import struct

import pytest

from ee_jax.data.llama2c import read_llama2c_tokenizer
from ee_jax.errors import UserError

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


def test_no_file(tmp_path):
    with pytest.raises(UserError, match=r"nothing.bin"):
        read_llama2c_tokenizer(tmp_path / "nothing.bin")
