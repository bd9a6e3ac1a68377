"""The TSV files of GLUE: their quirks, and whatever can be wrong with them."""

import gzip
from pathlib import Path

import pytest

from ee_jax.data.glue_files import Task, read_rows
from ee_jax.errors import UserError
from tests.data.tiny_glue import COLA, ROWS, SST2, TinyCola, TinySst2

SST2_ROWS = [('a " fine film', 1), ("fine film", 1), ("not\u2028again", 0), ("dull", 0)]
COLA_ROWS = [('"Go," she said.', 1), ("Him go.", 0), ("Go.", 1), ("I goes.", 0)]


def put(path: Path, content: str | bytes) -> None:
    path.parent.mkdir(exist_ok=True)
    content = content.encode() if isinstance(content, str) else content
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


@pytest.mark.parametrize("suffix", ["tsv", "tsv.gz"])
@pytest.mark.parametrize("folder", ["SST-2", "sst2", "SST2"])
def test_plain_and_gzipped_in_any_spelling(tmp_path, folder, suffix):
    put(tmp_path / folder / f"train.{suffix}", SST2["train"])
    assert read_rows(TinySst2.TASK, tmp_path, "train")[:4] == SST2_ROWS


@pytest.mark.parametrize(
    ("task", "text", "rows"),
    [(TinySst2.TASK, SST2["train"], SST2_ROWS), (TinyCola.TASK, COLA["train"], COLA_ROWS)],
)
@pytest.mark.parametrize(
    "change",
    [
        lambda text: text,
        lambda text: text.removesuffix("\n"),
        lambda text: "\ufeff" + text,
        lambda text: text.replace("\n", "\r\n"),
    ],
    ids=["as it is", "no last newline", "byte-order mark", "carriage returns"],
)
def test_the_same_rows_however_the_file_was_saved(tmp_path, task, text, rows, change):
    put(tmp_path / task.folder / "train.tsv", change(text))
    found = read_rows(task, tmp_path, "train")
    assert found[:4] == rows
    assert len(found) == ROWS["train"]


def test_columns_are_found_by_name(tmp_path):
    text = "label\tindex\tsentence\n1\t7\tgood\n0\t8\tbad\n"
    put(tmp_path / "SST-2" / "dev.tsv", text)
    assert read_rows(TinySst2.TASK, tmp_path, "dev") == [("good", 1), ("bad", 0)]


SST2_HEADER, COLA_HEADER = "sentence\tlabel\n", "source\tlabel\tstar\tsentence\n"


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("sentence\tlable\na\t1\nb\t0\n", "1: no column `label`, only sentence, lable:"),
        ("text\tlabel\na\t1\nb\t0\n", "1: no column `sentence`, only text, label:"),
        ("a\t1\nb\t0\n", "1: no column `sentence`, only a, 1:"),
        ("", "1: no column `sentence`, only :"),
        (SST2_HEADER + "a\t1\nb\t2\n", "3: label `2` is none of 0, 1:"),
        (SST2_HEADER + "a\t\nb\t1\n", "2: label `` is none of 0, 1:"),
        (SST2_HEADER + "a\t1\nb\n", "3: 1 columns, not 2:"),
        (SST2_HEADER + "a\t1\n\nb\t1\n", "3: 1 columns, not 2:"),
        (SST2_HEADER + "a\t1\n", " has 1 rows, not the official 2:"),
        (SST2_HEADER + "a\t1\n" * 1234, " has 1,234 rows, not the official 2:"),
        (b"sentence\tlabel\na\xff\t1\nb\t0\n", "cannot read "),
    ],
)
def test_a_bad_file_with_a_header(tmp_path, content, what):
    check_error(tmp_path, TinySst2.TASK, content, what)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("gj04\t1\tIt rains.\ngj04\t0\t*\tb\n", "1: 3 columns, not 4:"),
        ("gj04\t1\t\ta\ngj04\t*\t0\tb\n", "2: label `*` is none of 0, 1:"),
        (COLA_HEADER + "gj04\t1\t\ta\n", "1: label `label` is none of 0, 1:"),
        (COLA["train"], " has 104 rows, not the official 2:"),
        ("", "1: 1 columns, not 4:"),
    ],
)
def test_a_bad_file_without_a_header(tmp_path, content, what):
    check_error(tmp_path, TinyCola.TASK, content, what)


def check_error(folder: Path, task: Task, content: str | bytes, what: str) -> None:
    path = folder / task.folder / "dev.tsv"
    put(path, content)
    with pytest.raises(UserError) as error:
        read_rows(task, folder, "dev")
    message = str(error.value)
    assert what in message
    assert str(path) in message
    assert message.endswith(": fetch the file again")
    assert "\n" not in message


@pytest.mark.parametrize(
    "damage", [lambda b: b[:-20], lambda b: b"no gzip", lambda b: b[:12] + b"x" * 9]
)
def test_a_broken_gzip_file_is_named(tmp_path, damage):
    path = tmp_path / "SST-2" / "dev.tsv.gz"
    put(path, SST2["dev"])
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(UserError, match=r"cannot read .*/SST-2/dev\.tsv\.gz \(.*\): fetch"):
        read_rows(TinySst2.TASK, tmp_path, "dev")


def test_what_is_missing_is_named_with_what_there_should_be(tmp_path):
    should = r"it should hold SST-2/train\.tsv and SST-2/dev\.tsv \(or \.tsv\.gz\)"
    with pytest.raises(UserError, match=rf"no folder /nowhere: {should}"):
        read_rows(TinySst2.TASK, Path("/nowhere"), "train")
    with pytest.raises(UserError, match=rf"no folder SST-2 in {tmp_path}: {should}"):
        read_rows(TinySst2.TASK, tmp_path, "train")
    put(tmp_path / "SST-2" / "dev.tsv", SST2["dev"])
    with pytest.raises(
        UserError, match=rf"no train\.tsv and no train\.tsv\.gz in {tmp_path}/SST-2:"
    ):
        read_rows(TinySst2.TASK, tmp_path, "train")
