"""Documents, splits, tokens and rows: nothing is lost on the way, nothing is in two splits."""

import gzip
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ee_jax.data.bpe import START, encode_documents, start_token, train_bpe
from ee_jax.data.documents import LEAST, documents, split_of_name, splits_of
from ee_jax.data.prepared import open_split, prepare
from ee_jax.data.text import pack
from ee_jax.data.text_files import read
from ee_jax.errors import UserError

PARAGRAPH = "All the world's a stage, and all the men and women merely players.\n" * 20
TEXT = "\n".join(PARAGRAPH.replace("world", f"world {number}") for number in range(240))


@given(st.text("ab \n", max_size=60), st.integers(1, 9))
def test_documents_joined_are_the_text(text, least):
    found = documents(text, least)
    assert "".join(found).strip() == text.strip()
    assert all(len(document) >= least for document in found[:-1])


def test_documents_are_cut_after_blank_lines_only():
    assert documents("a\nb\n\nc\n \n\nd", least=1) == ["a\nb\n\n", "c\n \n\n", "d"]
    assert documents("a\n\nb\n\nc", least=4) == ["a\n\nb\n\n", "c"]
    assert documents(" \n\n ") == []


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("train.txt", "train"),
        ("wiki.valid.txt.gz", "validation"),
        ("Stories-GPT4-dev.txt", "validation"),
        ("test.txt", "test"),
        ("contest.txt", None),
        ("train_or_test.txt", None),
    ],
)
def test_split_of_a_file_name(name, split):
    assert split_of_name(name) == split


def test_names_decide_where_all_speak_and_hashes_where_not():
    named = splits_of({"train.txt": TEXT, "valid.txt": "v", "test.txt": "t"})
    assert {split: len(rows) for split, rows in named.items()} == {
        "train": len(documents(TEXT)), "validation": 1, "test": 1,
    }  # fmt: skip
    assert named["test"] == [("t", 2)]
    no_validation = splits_of({"train.txt": TEXT, "test.txt": "t"})
    assert no_validation["test"] == [("t", 1)]
    kept, held_out = no_validation["train"], no_validation["validation"]
    assert sorted(kept + held_out) == sorted(named["train"])
    assert 0 < len(held_out) < len(kept)
    hashed = splits_of({"train.txt": TEXT, "other.txt": "t"})
    assert sum(map(len, hashed.values())) == len(documents(TEXT)) + 1
    assert all(hashed.values())


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("texts")
    (folder / "train.txt").write_text(TEXT)
    (folder / "test.txt.gz").write_bytes(gzip.compress(b"one\r\ntwo"))
    (folder / "notes.md").write_text("not a text file")
    return folder


def test_a_folder_becomes_a_data_set(folder, tmp_path):
    prepared = prepare("text/plays", tmp_path, folder)
    assert prepared.folder == tmp_path / "text_plays" / "1.1.0"
    assert prepared.classes == ("test.txt.gz", "train.txt")
    assert open_split("text/plays", "test", tmp_path).texts == ["one\ntwo"]
    train = open_split("text/plays", "train", tmp_path)
    validation = open_split("text/plays", "validation", tmp_path)
    assert {*train.texts, *validation.texts} == set(documents(TEXT))
    assert set(train.label_N) == {1}
    assert prepare("text/plays", tmp_path, folder) == prepared


def test_a_file_that_unpacks_to_far_more_than_texts_do_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("ee_jax.data.tables.SMALL", 2**16)
    path = tmp_path / "train.txt.gz"
    path.write_bytes(gzip.compress(b"a" * 2**16))  # small enough, whatever it was
    assert len(read(path)) == 2**16
    path.write_bytes(gzip.compress(b"a" * 2**22))
    with pytest.raises(
        UserError, match=r"train\.txt\.gz unpacks to more than .* MiB, as no text"
    ):
        read(path)


def test_a_folder_at_home(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(folder.parent))
    for _ in ("built", "found"):
        prepared = prepare("text/plays", tmp_path, f"~/{folder.name}")
        assert prepared.classes == ("test.txt.gz", "train.txt")


def test_other_files_under_the_same_name_are_refused(folder, tmp_path):
    prepare("text/plays", tmp_path / "data", folder)
    other = tmp_path / "other"
    other.mkdir()
    for path in folder.iterdir():
        (other / path.name).write_bytes(path.read_bytes())
    prepare("text/plays", tmp_path / "data", other)  # the same content
    (other / "train.txt").write_text(TEXT + "more")
    with pytest.raises(UserError, match=r"made from other files than those in .*other"):
        prepare("text/plays", tmp_path / "data", other)


def test_bad_input_is_one_line(tmp_path):
    (tmp_path / "folder.txt").mkdir()
    cases = {
        "no folder .*missing": tmp_path / "missing",
        "no text in": tmp_path,
    }
    for what, where in cases.items():
        with pytest.raises(UserError, match=what):
            prepare("text/plays", tmp_path / "data", where)
    with pytest.raises(UserError, match=r"text/Plays.*lower-case"):
        prepare("text/Plays", tmp_path, tmp_path)
    (tmp_path / "a.txt").write_bytes(b"\xff\xfe\xfd")
    with pytest.raises(UserError, match=r"a\.txt:1: not UTF-8 text"):
        prepare("text/plays", tmp_path / "data", tmp_path)
    (tmp_path / "a.txt").write_text("short")
    with pytest.raises(UserError, match=r"gives no document for .*name the files"):
        prepare("text/plays", tmp_path / "data", tmp_path)


def test_any_text_comes_back_from_the_trained_tokenizer():
    tokenizer = train_bpe(documents(TEXT), 300)
    assert tokenizer.get_vocab_size() == 300
    text = "Zürich, \N{SNOWMAN}\n\n  merely players"
    (ids,) = encode_documents(tokenizer, [text])
    assert ids[0] == start_token(tokenizer) == tokenizer.token_to_id(START) == 0
    assert tokenizer.decode(ids[1:].tolist()) == text
    assert len(ids) < len(text.encode())
    with pytest.raises(UserError, match="must be above 256"):
        train_bpe(["a"], 256)


@given(st.lists(st.integers(1, 30), min_size=1, max_size=6), st.integers(2, 9))
def test_every_token_is_packed_once_and_in_order(sizes, length):
    documents = [np.arange(size, dtype=np.int32) + 100 * n for n, size in enumerate(sizes)]
    rows = pack(documents, length)
    np.testing.assert_array_equal(np.concatenate(rows), np.concatenate(documents))
    assert all(len(row) == length for row in rows[:-1])
    assert rows[0].dtype == np.int32


@pytest.mark.skipif("EE_JAX_TEST_DATA" not in os.environ, reason="EE_JAX_TEST_DATA is not set")
def test_shakespeare(tmp_path):
    prepare("text/shakespeare", tmp_path, Path(os.environ["EE_JAX_TEST_DATA"]) / "lm")
    texts = [
        text for split in ("train", "validation", "test")
        for text in open_split("text/shakespeare", split, tmp_path).texts
    ]  # fmt: skip
    assert sum(map(len, texts)) == 1_115_394
    assert sorted(map(len, texts))[1] >= LEAST  # all but the last
