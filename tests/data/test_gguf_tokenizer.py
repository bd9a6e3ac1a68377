"""Tokenizers from the metadata of GGUF files."""

import json
import re

import pytest

from ee_jax.data.gguf import read_header
from ee_jax.data.gguf_tokenizer import end_ids, read_gguf_tokenizer
from ee_jax.errors import UserError
from tests.models.golden_models import FOLDER

pytest.importorskip("gguf", reason="gguf is not installed: pip install 'ee_jax[gguf]'")

from tests.models.gguf_files import (
    BYTE_LEVEL,
    SENTENCEPIECE,
    TOKENIZERS,
    tokenizer_fields,
    write_gguf,
)


def header_of(folder, model="gpt2", pre: str | None = "qwen2", **changes):
    own = {key.replace(".", "__"): value for key, value in tokenizer_fields(model, pre).items()}
    more = {f"tokenizer__ggml__{key}": value for key, value in changes.items()}
    return read_header(write_gguf(folder / "model.gguf", tied=True, **own | more))


def tokens_of(tokenizer, text):
    return tokenizer.encode(text).tokens


@pytest.mark.parametrize("name", TOKENIZERS)
def test_ids_are_those_of_transformers(tmp_path, name):
    golden = json.loads((FOLDER / "gguf.json").read_text())[name]
    tokenizer = read_gguf_tokenizer(header_of(tmp_path, *TOKENIZERS[name]))
    for known in golden:
        ids = tokenizer.encode(known["text"], add_special_tokens=False).ids
        assert ids == known["ids"], known["text"]
        assert tokenizer.decode(ids) == known["text"]


@pytest.mark.parametrize(
    ("pre", "wanted"),
    [
        ("gpt-2", ["123", "4", "Ġ", "Ġcat", "Ġ", "Ġ", "1"]),
        ("smollm", ["1", "2", "3", "4", "Ġ", "Ġcat", "ĠĠ", "1"]),
        ("qwen2", ["1", "2", "3", "4", "Ġ", "Ġcat", "Ġ", "Ġ", "1"]),
        ("llama-bpe", ["<|endoftext|>", "123", "4", "Ġ", "Ġcat", "Ġ", "Ġ", "1"]),
        ("default", ["123", "4", "Ġ", "Ġcat", "Ġ", "Ġ", "1"]),
        (None, ["123", "4", "Ġ", "Ġcat", "Ġ", "Ġ", "1"]),
    ],
)
def test_what_splits_decides_what_is_joined(tmp_path, pre, wanted):
    """Digits alone, by threes or by the word; spaces before a digit together or not."""
    tokenizer = read_gguf_tokenizer(header_of(tmp_path, pre=pre))
    assert tokens_of(tokenizer, "1234  cat  1") == wanted


def test_special_tokens_are_found_in_the_text(tmp_path):
    tokenizer = read_gguf_tokenizer(header_of(tmp_path))
    text = "<|im_start|>the cat<think> at<|im_end|>"
    ids = tokenizer.encode(text).ids
    wanted = ["<|im_start|>", "the", "Ġcat", "<think>", "Ġ", "at", "<|im_end|>"]
    assert [BYTE_LEVEL[id] for id in ids] == wanted
    assert tokenizer.decode(ids) == "the cat<think> at"  # that is no special one
    assert tokenizer.decode(ids, skip_special_tokens=False) == text


def test_what_begins_a_text(tmp_path):
    """As the file says; else what llama.cpp does for its kind."""
    for model, pre, said, first in [
        ("gpt2", "qwen2", {}, "a"),
        ("gpt2", "qwen2", {"add_bos_token": True}, "<|endoftext|>"),
        ("gpt2", "llama-bpe", {}, "<|endoftext|>"),
        ("gpt2", "llama-bpe", {"add_bos_token": False}, "a"),
        ("gpt2", "llama-bpe", {"bos_token_id": ...}, "a"),
        ("llama", None, {}, "<s>"),
        ("llama", None, {"add_bos_token": False}, "▁"),
        ("llama", None, {"add_bos_token": False, "add_space_prefix": False}, "a"),
    ]:
        tokenizer = read_gguf_tokenizer(header_of(tmp_path, model, pre, **said))
        assert tokens_of(tokenizer, "a")[0] == first


def test_sentencepiece_joins_by_score_and_spells_the_rest_in_bytes(tmp_path):
    tokenizer = read_gguf_tokenizer(header_of(tmp_path, "llama", None))
    assert tokens_of(tokenizer, "cat é") == ["<s>", "▁cat", "▁", "<0xC3>", "<0xA9>"]
    assert tokens_of(tokenizer, "</s>a")[1] == "</s>"
    assert tokenizer.decode(tokenizer.encode("  cat\n é").ids) == "  cat\n é"


def test_what_ends_a_text(tmp_path):
    assert end_ids(header_of(tmp_path)) == [2]
    assert end_ids(header_of(tmp_path, eot_token_id=1, eom_token_id=2)) == [1, 2]
    assert end_ids(header_of(tmp_path, eos_token_id=...)) == []


REFUSED = [
    ({"model": "t5"}, "has a tokenizer 't5', and only gpt2 and llama are read"),
    ({"model": ...}, "has no tokenizer, and only gpt2 and llama are read"),
    ({"model": 3}, "tokenizer.ggml.model in {} is not a string"),
    ({"pre": "tekken"}, "splits text by 'tekken' (tokenizer.ggml.pre), and only by default"),
    ({"tokens": [*BYTE_LEVEL[:-1], "a"]}, "lists 270 tokens, 269 of them different, and 270"),
    ({"token_type": [1, 2]}, "lists 270 tokens, 270 of them different, and 2 kinds of tokens"),
    ({"merges": ["a x y"]}, "the tokenizer in {} does not fit together ("),
    ({"merges": ["ab"]}, "the tokenizer in {} does not fit together ("),
    ({"bos_token_id": 10**6, "add_bos_token": True}, "the tokenizer in {} does not fit"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "message"), REFUSED)
def test_what_is_no_tokenizer_is_one_line(tmp_path, changes, message):
    header = header_of(tmp_path, **changes)
    with pytest.raises(UserError, match=re.escape(message.format(header.path))) as error:
        read_gguf_tokenizer(header)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("scores", [..., [1.0], [float("nan")] * len(SENTENCEPIECE)])
def test_sentencepiece_needs_a_score_for_each(tmp_path, scores):
    header = header_of(tmp_path, "llama", None, scores=scores)
    with pytest.raises(UserError, match="has no score for each of its 266 tokens"):
        read_gguf_tokenizer(header)
