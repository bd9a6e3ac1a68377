"""A language model's text by its path: files, nested folders, JSON lines, few documents."""

import json
from pathlib import Path

import pytest

from ee_jax.data.dataset_dir import DatasetDir
from ee_jax.data.documents import SHARES, splits_of
from ee_jax.data.prepared import open_at, prepare_at
from ee_jax.data.text_files import builder_of_text_path
from ee_jax.errors import UserError

LINE = "line number {} of a short text\n"


def texts_of(path: Path, root: Path) -> dict[str, list]:
    directory = DatasetDir(str(path), builder_of_text_path(str(path)), root)
    prepare_at(directory)
    return {split: open_at(directory, split).texts for split in SHARES}


def test_eight_short_files_give_every_split_text(tmp_path):
    folder = tmp_path / "texts"
    lines = []
    for number in range(8):
        own = [LINE.format(f"{number}.{line}") for line in range(400)]
        (folder / f"part{number}").mkdir(parents=True)
        (folder / f"part{number}" / "words.txt").write_text("".join(own))
        lines += own
    splits = texts_of(folder, tmp_path / "data")
    assert all(splits.values())
    made = "".join(text for texts in splits.values() for text in texts)
    assert sorted(made.splitlines(keepends=True)) == sorted(lines)
    assert len("".join(splits["train"])) > len(made) / 2


def test_text_is_cut_only_as_finely_as_it_must():
    paragraph = "word " * 900 + "\n\n"
    whole = splits_of({"a.txt": "".join(f"{n} {paragraph}" for n in range(200))})
    assert all(len(text) >= 4096 for texts in whole.values() for text, _ in texts)
    short = splits_of({"a.txt": "".join(LINE.format(n) for n in range(400))})
    assert all(short.values())
    assert max(len(text) for text, _ in short["train"]) > 2 * len(LINE)


def test_each_json_line_is_a_document(tmp_path):
    path = tmp_path / "texts.jsonl"
    texts = [f"story {n}\n\nand its end" for n in range(200)]
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    splits = texts_of(path, tmp_path / "data")
    assert sorted(text for found in splits.values() for text in found) == sorted(texts)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", b'{"text": "x"}\n{"words": "x"}\n', r"a\.jsonl:2: no `text`"),
        ("a.txt", b"fine\n\xff\n", r"a\.txt:2: not UTF-8 text: save the file"),
        ("a.txt", b"\n \n", r"gives no document for"),
        ("a.md", b"text", r"a\.md: it is no text; "),
    ],
)
def test_broken_text_is_one_line(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=message) as error:
        texts_of(tmp_path / name, tmp_path / "data")
    assert "\n" not in str(error.value)


def test_a_path_that_is_not_there_names_the_nearest(tmp_path):
    (tmp_path / "stories").mkdir()
    with pytest.raises(UserError, match=r"is not there; did you mean `stories`"):
        builder_of_text_path(str(tmp_path / "storys"))
