"""GGUF files of generated faults: what is read is a model, or one line says what is wrong."""

import struct

import numpy as np
import pytest
from hypothesis import example, given, settings

from ee_jax.data.gguf import VERSIONS, is_gguf, read_header
from ee_jax.data.gguf_tokenizer import end_ids, read_gguf_tokenizer
from ee_jax.errors import UserError
from ee_jax.models.gguf import read_gguf
from ee_jax.models.language_source import find_language
from tests.generated import EXAMPLES, damaged, outcome

pytest.importorskip("gguf", reason="gguf is not installed: pip install 'ee_jax[gguf]'")

from tests.models.gguf_files import Kind, tokenizer_fields, write_gguf


@pytest.fixture(scope="module", params=["gpt2", "llama"])
def content(request, tmp_path_factory):
    """A file of a model with each kind of tokenizer: its header, and the rest."""
    path = tmp_path_factory.mktemp("gguf") / "model.gguf"
    own = {
        key.replace(".", "__"): value for key, value in tokenizer_fields(request.param).items()
    }
    write_gguf(path, kinds=[Kind.Q4_0], tied=True, **own)
    first = min(entry.start for entry in read_header(path).tensors.values())
    whole = path.read_bytes()
    return whole[:first], whole[first:]


def read_whole(path):
    """All that is read of a file, but for building the model: tensors to numbers and all."""
    header = read_header(path)
    config, tensors = read_gguf(header)
    numbers = [np.asarray(own) for own in tensors.values()]
    tokenizer = read_gguf_tokenizer(header)
    ids = tokenizer.encode("the cat <|im_start|> 123\n\n\u00e9").ids
    tokenizer.decode(ids)
    return config, numbers, end_ids(header)


@EXAMPLES
def test_damaged_files(content, tmp_path, examples):
    head, tail = content
    path = tmp_path / "model.gguf"

    @settings(max_examples=examples)
    @example(head[:8] + struct.pack("<QQ", 2**64 - 1, 2**64 - 1) + head[24:] + tail)
    @example(head[:8] + struct.pack("<QQ", 0, 0) + head[24:] + tail)
    @given(damaged(head).map(lambda given: given + tail) | damaged(head + tail))
    def body(given):
        path.write_bytes(given)
        found = outcome(read_whole, path)
        if not isinstance(found, UserError):
            assert all(np.isfinite(each).all() for each in found[1])
            assert sum(each.size for each in found[1]) <= 32 * len(given)

    body()


def test_a_file_that_is_cut_anywhere(content, tmp_path):
    head, tail = content
    path = tmp_path / "model.gguf"
    for end in [*range(0, len(head), 11), *range(len(head) - 40, len(head))]:
        path.write_bytes(head[:end])
        assert isinstance(outcome(read_whole, path), UserError), end
    for end in range(0, len(tail), len(tail) // 20):
        path.write_bytes(head + tail[:end])
        assert isinstance(outcome(read_whole, path), UserError), end


def string(text):
    return struct.pack("<Q", len(text)) + text.encode()


def scalar(key, kind, form, value):
    return string(key) + struct.pack(f"<I{form}", kind, value)


def file_of(fields=(), tensors=(), version=3, counts=None):
    """A file with these fields and tensors, each as bytes."""
    counts = counts or (len(tensors), len(fields))
    start = b"GGUF" + struct.pack("<IQQ", version, *counts)
    return start + b"".join(fields) + b"".join(tensors) + bytes(64)


def tensor(name, shape, kind=0, offset=0):
    axes = struct.pack(f"<I{len(shape)}Q", len(shape), *shape)
    return string(name) + axes + struct.pack("<IQ", kind, offset)


TOKENS = string("tokenizer.ggml.tokens")
ABSURD = {
    "nothing": (b"", "no GGUF file that can be read"),
    "older": (b"ggjt" + bytes(20), "it begins with b'ggjt', not b'GGUF'"),
    "fields": (file_of(counts=(0, 2**63)), "no GGUF file that can be read"),
    "tensors": (file_of(counts=(2**63, 0)), "no GGUF file that can be read"),
    "strings": (file_of([TOKENS + struct.pack("<IIQ", 9, 8, 2**62)]), "ends within its header"),
    "numbers": (file_of([TOKENS + struct.pack("<IIQ", 9, 12, 2**61)]), ", and 64 are left"),
    "arrays": (file_of([TOKENS + struct.pack("<IIQ", 9, 9, 2)]), "kind 9, which is not known"),
    "string": (file_of([struct.pack("<Q", 2**64 - 1)]), "begins 18446744073709551615 bytes"),
    "kind": (file_of([string("a") + struct.pack("<I", 77)]), "values of kind 77, which is not"),
    "twice": (file_of([scalar("a", 4, "I", 1)] * 2), "a stands in it twice"),
    "name": (file_of([scalar("a\nb", 4, "I", 1)]), r"a name in it is 'a\nb'"),
    "axes": (file_of([], [tensor("t", [1] * 9)]), "tensor t has 9 axes"),
    "empty": (file_of([], [tensor("t", [0, 4])]), "tensor t has the shape (4, 0)"),
    "same": (file_of([], [tensor("t", [1])] * 2), "tensor t stands in it twice"),
    "shape": (file_of([], [tensor("t", [2**62, 2**62])]), "does not hold: fetch it again"),
    "offset": (file_of([], [tensor("t", [1], offset=2**63)]), "does not hold: fetch it again"),
    "block": (file_of([], [tensor("t", [31], kind=2)]), "does not hold: fetch it again"),
    "overlap": (file_of([], [tensor(f"{n}", [10]) for n in range(99)]), "said to take 3960"),
    "alignment": (file_of([scalar("general.alignment", 4, "I", 3)]), "is 3, not a power of"),
    "zero": (file_of([scalar("general.alignment", 4, "I", 0)]), "is 0, not a power of two"),
    "big": (file_of(version=3 << 24), "is big-endian: convert it, gguf-convert-endian"),
    "first": (file_of(version=1), "is of version 1 of GGUF, and 2 and 3 are read"),
}  # fmt: skip


@pytest.mark.parametrize("name", ABSURD)
def test_absurd_files(tmp_path, name):
    given, message = ABSURD[name]
    path = tmp_path / "model.gguf"
    path.write_bytes(given)
    error = outcome(find_language(str(path)).weights)
    assert isinstance(error, UserError)
    assert message in str(error)
    assert str(path) in str(error)


def test_the_second_version_is_read_too(content, tmp_path):
    path = tmp_path / "model"
    whole = b"".join(content)
    for version in VERSIONS:
        path.write_bytes(whole[:4] + version.to_bytes(4, "little") + whole[8:])
        assert is_gguf(path)
        assert read_whole(path)[2] == [2]


def test_no_file(tmp_path):
    with pytest.raises(UserError, match="no GGUF file that can be read"):
        read_header(tmp_path / "nothing.gguf")
    assert not is_gguf(tmp_path / "nothing")
