"""A user's own rows: what is read, how it is split, and what is refused with its line."""

import csv
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from ee_jax.data.dataset_dir import Columns, DatasetDir
from ee_jax.data.describe import describe, duplicates, propose_lengths
from ee_jax.data.own_rows import text_key
from ee_jax.data.own_sources import builder_of_own, is_own
from ee_jax.data.prepared import open_at, prepare_at
from ee_jax.errors import UserError

TEXTS = [f"sentence number {n} is of {'good' if n % 3 else 'bad'} news" for n in range(200)]
ROWS = [(text, int(n % 3 > 0)) for n, text in enumerate(TEXTS)]
ANY = Columns()
WORDS = ("bad", "good")


def write_tsv(path: Path, header: list[str], rows: list[tuple]) -> Path:
    separator = "\t" if path.suffix == ".tsv" else ","
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter=separator).writerows([header, *rows])
    return path


def prepared(name: str, root: Path, columns: Columns = ANY) -> DatasetDir:
    directory = DatasetDir.of(name, root, columns)
    prepare_at(directory)
    return directory


def rows_of(directory: DatasetDir) -> dict[str, list[tuple]]:
    splits = directory.load().splits
    found = {split: open_at(directory, split) for split in splits}
    return {s: list(zip(e.texts, e.label_N.tolist(), strict=True)) for s, e in found.items()}


def write(path: Path) -> Path:
    """The rows in the form that the ending says."""
    named = [(text, WORDS[label]) for text, label in ROWS]
    if path.suffix in (".tsv", ".csv"):
        return write_tsv(path, ["text", "label"], named)
    if path.suffix == ".jsonl":
        lines = [json.dumps({"label": word, "text": text}) for text, word in named]
        path.write_text("\n".join(lines) + "\n")
        return path
    import pyarrow
    import pyarrow.parquet

    texts, words = map(list, zip(*named, strict=True))
    pyarrow.parquet.write_table(pyarrow.table({"text": texts, "label": words}), path)
    return path


@pytest.mark.parametrize("ending", [".tsv", ".csv", ".jsonl", ".parquet"])
def test_one_file_of_any_kind_is_the_same_data_set(tmp_path, ending):
    found = prepared(str(write(tmp_path / f"rows{ending}")), tmp_path / "data")
    splits = rows_of(found)
    assert found.load().classes == WORDS
    assert sorted(row for rows in splits.values() for row in rows) == sorted(ROWS)
    assert {split: len(rows) for split, rows in splits.items()} == {
        "validation": 11, "calibration": 24, "test": 29, "train": 136,
    }  # fmt: skip
    assert {text for text, _ in splits["test"]}.isdisjoint(text for text, _ in splits["train"])


def test_the_order_of_the_file_moves_no_row_to_another_split(tmp_path):
    write_tsv(tmp_path / "one.tsv", ["text", "label"], ROWS)
    write_tsv(tmp_path / "other.tsv", ["text", "label"], ROWS[::-1])
    one, other = (
        rows_of(prepared(str(tmp_path / f"{n}.tsv"), tmp_path)) for n in ("one", "other")
    )
    assert {s: sorted(rows) for s, rows in one.items()} == {
        s: sorted(rows) for s, rows in other.items()
    }


def test_a_folder_of_splits_keeps_them_and_cuts_dev_in_two(tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    for name, part in (("train", ROWS[:120]), ("dev", ROWS[120:160]), ("test", ROWS[160:])):
        write_tsv(folder / f"{name}.csv", ["sentence", "label"], part)
    splits = rows_of(prepared(str(folder), tmp_path / "data"))
    assert splits["train"] == ROWS[:120]
    assert splits["test"] == ROWS[160:]
    assert sorted(splits["validation"] + splits["calibration"]) == sorted(ROWS[120:160])
    assert splits["validation"]
    assert splits["calibration"]


def test_a_file_that_changes_is_another_data_set(tmp_path):
    path = write_tsv(tmp_path / "rows.tsv", ["text", "label"], ROWS)
    first = prepared(str(path), tmp_path / "data")
    write_tsv(path, ["text", "label"], [*ROWS, ("one more", 0)])
    second = prepared(str(path), tmp_path / "data")
    assert first.folder != second.folder
    assert sum(map(len, rows_of(second).values())) == len(ROWS) + 1


def test_pairs_and_scores(tmp_path):
    rows = [(f"a {n}", f"b {n}", n / 40) for n in range(200)]
    path = write_tsv(tmp_path / "pairs.tsv", ["text_a", "text_b", "score"], rows)
    found = prepared(str(path), tmp_path / "data")
    assert (0.0, pytest.approx(4.975)) == found.kind.LABEL_RANGE
    assert found.kind.METRICS == ("pearson", "spearman")
    pairs = {row for split in rows_of(found).values() for row in split}
    assert (("a 7", "b 7"), pytest.approx(7 / 40)) in [*pairs]
    assert open_at(found, "train").label_N.dtype == np.float32


def test_whole_numbers_are_classes_in_their_order_and_columns_can_be_named(tmp_path):
    rows = [(f"row {n}", n % 11, n) for n in range(300)]
    path = write_tsv(tmp_path / "rows.tsv", ["body", "stars", "id"], rows)
    found = prepared(str(path), tmp_path, Columns("body", None, "stars"))
    assert found.load().classes == tuple(map(str, range(11)))


def test_quotes_separators_and_line_ends_in_a_field(tmp_path):
    odd = 'a\ttab, a "quote"\nand a line'
    path = write_tsv(tmp_path / "rows.tsv", ["text", "label"], [*ROWS, (odd, 1)])
    splits = rows_of(prepared(str(path), tmp_path / "data"))
    assert odd in [text for rows in splits.values() for text, _ in rows]


def test_rows_of_a_function(tmp_path, monkeypatch):
    (tmp_path / "my_rows.py").write_text(
        "def make():\n    return {'train': [(f'text {n}', 'ab'[n % 2]) for n in range(99)]}\n"
        "def broken():\n    return {'train': [1, 2]}\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    assert prepared("my_rows:make", tmp_path).load().classes == ("a", "b")
    with pytest.raises(UserError, match="my_rows:broken gives no labelled rows: return"):
        builder_of_own("my_rows:broken", ANY)
    with pytest.raises(UserError, match="my_rows:nothing: AttributeError"):
        builder_of_own("my_rows:nothing", ANY)
    sys.modules.pop("my_rows", None)


def test_a_tensorflow_data_set_that_lies_prepared(tmp_path, monkeypatch):
    path = write_tsv(tmp_path / "rows.tsv", ["text", "label"], [(t, WORDS[n]) for t, n in ROWS])
    directory = prepared(str(path), tmp_path / "data")
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setattr(
        "tensorflow_datasets.core.constants.DATA_DIR", str(tmp_path / "data"), raising=False
    )
    kept = builder_of_own(f"tfds/{directory.kind.name}", ANY)
    assert kept(data_dir=str(tmp_path / "again")).classes() == ["bad", "good"]
    with pytest.raises(UserError, match="tfds/no_such_set cannot be had"):
        builder_of_own("tfds/no_such_set", ANY)


def test_a_hugging_face_folder(tmp_path):
    datasets = pytest.importorskip("datasets")
    texts, words = zip(*[(text, WORDS[label]) for text, label in ROWS], strict=True)
    made = datasets.Dataset.from_dict({"text": texts, "label": words})
    made = made.class_encode_column("label")
    datasets.DatasetDict({"train": made}).save_to_disk(tmp_path / "s")
    kept = builder_of_own(f"hf/{tmp_path / 's'}", ANY)
    assert kept(data_dir=str(tmp_path / "again")).classes() == ["bad", "good"]


def test_a_missing_package_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(UserError, match=r"hf/x needs the package datasets: pip install"):
        builder_of_own("hf/x", ANY)


HEAD = "text\tlabel\n"
BAD = {
    "no label": ("text\tclass\na\t1\n", r"rows\.tsv: no column of the label, such as label or"),
    "no text": ("words\tlabel\na\t1\n", r"no column of the text, such as text or sentence"),
    "one class": (
        HEAD + "".join(f"t {n}\tx\n" for n in range(99)),
        "every label is `x`: give rows of two",
    ),
    "empty text": (HEAD + "a\t1\n \t2\n", r"rows\.tsv:3: the text is empty"),
    "empty label": (HEAD + "".join(f"t {n}\t\n" for n in range(99)), "the label is empty"),
    "too many": (
        HEAD + "a\t1\nb\t2\tc\n",
        r"rows\.tsv:3: 3 fields, but the header names 2 \(te",
    ),
    "too few": (HEAD + "a\n", r"rows\.tsv:2: 1 fields, but the header names 2"),
    "quote": (HEAD + 'a\t1\n"b\t2\nc\t1\n', r"rows\.tsv:3: a quote never closes"),
    "stray quote": (HEAD + '"a" b\t1\n', r"rows\.tsv:2: .*expected after"),
    "nothing": (HEAD, r"rows\.tsv has no rows"),
    "nothing at all": ("", r"rows\.tsv has no rows"),
    "twice": ("text\ttext\tlabel\n", r"rows\.tsv:1: two columns have one name"),
    "few": (HEAD + "a\t1\nb\t2\n", r"rows\.tsv: no row for .*: give more rows"),
    "no score": (
        "text\tscore\n" + "".join(f"t {n}\t{n if n % 7 else 'x'}\n" for n in range(99)),
        r"the score `x` is no finite number",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_broken_table_is_one_line_that_says_where(tmp_path, case):
    content, message = BAD[case]
    path = tmp_path / "rows.tsv"
    path.write_text(content)
    with pytest.raises(UserError, match=message) as error:
        builder_of_own(str(path), ANY)
    assert "\n" not in str(error.value)


def test_a_label_that_only_the_test_split_has(tmp_path):
    for name, part in (("train", ROWS), ("test", [("a", 0), ("b", 2)])):
        write_tsv(tmp_path / f"{name}.tsv", ["text", "label"], part)
    with pytest.raises(UserError, match=r"test\.tsv:3: label `2` is in no training row"):
        builder_of_own(str(tmp_path), ANY)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("rows.tsv", b"text\tlabel\na\t1\n\xff\xfe\t1\n", r"rows\.tsv:3: not UTF-8 text: save"),
        ("rows.jsonl", b'{"text": "a", "label": 1}\n{"text"\n', r"rows\.jsonl:2: not JSON"),
        ("rows.jsonl", b'{"text": "a", "label": 1}\n[1]\n', r"rows\.jsonl:2: not an object"),
        ("rows.jsonl", b'{"text": "a", "label": 1}\n{"text": 3, "label": 1}\n',
         r"rows\.jsonl:2: the text is 3, not text"),
        ("rows.jsonl", b'{"text": "a", "label": 1}\n{"label": 1}\n',
         r"rows\.jsonl:2: no `text`: give it in every row"),
        ("rows.parquet", b"no parquet", r"cannot read .*rows\.parquet"),
    ],
)  # fmt: skip
def test_other_broken_files(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=message) as error:
        builder_of_own(str(tmp_path / name), ANY)
    assert "\n" not in str(error.value)


def test_what_is_not_there(tmp_path):
    path = write_tsv(tmp_path / "rows.tsv", ["body", "label"], ROWS)
    other = shutil.copy(path, tmp_path / "rows.xls")
    cases = {
        (str(tmp_path / "row.tsv"), ANY): r"no file .*row\.tsv: did you mean `rows\.tsv`",
        (str(tmp_path), ANY): r"no training rows in .*: it should hold one of train\.tsv",
        (str(other), ANY): r"rows\.xls ends in none of \.tsv, \.csv",
        (str(path), Columns("bodi")): "no column `bodi` for text_column: did you mean `body`",
    }
    for asked, message in cases.items():
        with pytest.raises(UserError, match=message):
            builder_of_own(*asked)


def test_what_is_a_users_own(tmp_path):
    assert all(
        map(is_own, ("x.tsv", "./x", "/x", "~/x", "tfds/x", "hf/x", "a.b:c", str(tmp_path)))
    )
    assert not any(map(is_own, ("glue/sst2", "stdlib_docstrings", "stdlib")))


def test_lengths_are_few_and_hold_most_rows():
    assert propose_lengths([3] * 90 + [20] * 8 + [60] * 2) == (8, 24, 64)
    assert propose_lengths([5]) == (8,)
    tokens_N = np.random.default_rng(0).integers(4, 200, 5000)
    lengths = propose_lengths(tokens_N.tolist())
    assert lengths == (104, 168, 192, 200)
    assert np.mean(tokens_N <= lengths[-1]) >= 0.995


def test_duplicates_are_counted_whatever_their_spaces(tmp_path):
    assert text_key("a  b\n") == text_key("a b")
    assert text_key(("x", "y")) == text_key(("y", "x"))
    texts = {"train": ["a b", "c"], "test": ["a  b", "d"], "validation": ["e"]}
    assert duplicates(texts) == {"train, test": 1}
    for name, part in (("train", ROWS), ("test", [*ROWS[:2], ("new", 0), ("newer", 1)])):
        write_tsv(tmp_path / f"{name}.tsv", ["text", "label"], part)
    found = describe(prepared(str(tmp_path), tmp_path / "data"))
    assert sum(count for pair, count in found["duplicates"].items() if "test" in pair) == 2
    assert found["classes"].keys() == {"0", "1"}
    assert found["rows"]["test"] == 4
