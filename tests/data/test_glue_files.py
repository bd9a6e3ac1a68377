"""The TSV files of GLUE: their quirks, and whatever can be wrong with them."""

import gzip
import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ee_jax.data.glue_files import Task, read_rows
from ee_jax.errors import UserError
from tests.data.tiny_glue import (
    COLA,
    HEADERS,
    PAIRS,
    SST2,
    SST2_ROWS,
    TINY,
    TinyCola,
    TinyMnli,
    TinyQqp,
    TinySst2,
    TinyStsb,
    files_of,
)


def put(path: Path, content: str | bytes) -> None:
    path.parent.mkdir(exist_ok=True)
    content = content.encode() if isinstance(content, str) else content
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


@pytest.mark.parametrize("suffix", ["tsv", "tsv.gz"])
@pytest.mark.parametrize("folder", ["SST-2", "sst2", "SST2"])
def test_plain_and_gzipped_in_any_spelling(tmp_path, folder, suffix):
    put(tmp_path / folder / f"train.{suffix}", SST2["train"])
    assert read_rows(TinySst2.TASK, "train", tmp_path)[:4] == SST2_ROWS


@pytest.mark.parametrize("kind", TINY.values(), ids=TINY)
@pytest.mark.parametrize(
    "change",
    [
        lambda text: text,
        lambda text: text.removesuffix("\n"),
        lambda text: "\ufeff" + text.removeprefix("\ufeff"),
        lambda text: text.replace("\n", "\r\n"),
    ],
    ids=["as it is", "no last newline", "byte-order mark", "carriage returns"],
)
def test_the_same_rows_however_the_file_was_saved(tmp_path, kind, change):
    for file, (text, rows) in files_of(kind).items():
        put(tmp_path / kind.TASK.folder / f"{file}.tsv", change(text))
        found = read_rows(kind.TASK, file, tmp_path)
        assert found[: len(rows)] == rows
        assert len(found) == kind.TASK.rows[file]


def test_rows_of_qqp_that_ends_of_lines_have_broken_are_left_out(tmp_path):
    """As GLUE's first archive had them; an empty question is one that was asked."""
    broken = "7\t8\t9\tWas he\n\tand if so, when?\t0\n"
    text = f"{HEADERS['QQP']}\n{broken}1\t2\t3\tHow?\t\t0\n{broken}4\t5\t6\tA?\tB?\t1\n"
    put(tmp_path / "QQP" / "dev.tsv", text)
    rows = [(("How?", ""), 0), (("A?", "B?"), 1)]
    assert read_rows(TinyQqp.TASK, "dev", tmp_path) == rows


# Any text but ends of columns and lines; spaces around it are not part of it.
fields = st.text(st.characters(exclude_characters="\t\n\r", codec="utf-8"), min_size=1).filter(
    lambda text: text == text.strip()
)
long = st.integers(1, 20).map(lambda words: "a \u2029 \x85 \x1c word's \"" * 10**3 * words)


@given(st.lists(st.tuples(fields | long, fields), min_size=2, max_size=2))
@example([('"', "'"), ("x\u2028\u2028y", "\x00\x1e.\x0b.")])
def test_what_is_written_is_what_is_read(pairs):
    lines = [f"-\t{first}\t{second}\tentailment\n" for first, second in pairs]
    with tempfile.TemporaryDirectory() as folder:
        put(Path(folder) / "RTE" / "dev.tsv", f"{HEADERS['RTE']}\n{''.join(lines)}")
        rows = read_rows(TINY["rte"].TASK, "dev", Path(folder))
    assert rows == [(pair, 0) for pair in pairs]


def test_columns_are_found_by_name(tmp_path):
    text = "label\tindex\tsentence\n1\t7\tgood\n0\t8\tbad\n"
    put(tmp_path / "SST-2" / "dev.tsv", text)
    assert read_rows(TinySst2.TASK, "dev", tmp_path) == [("good", 1), ("bad", 0)]


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
        (SST2_HEADER + "a\t1\n \t1\n", "3: column `sentence` is empty:"),
        (SST2_HEADER + "a\t1\nb\rc\t1\n", "3: 1 columns, not 2:"),
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
        ("gj04\t1\t\ta\ngj04\t1\t\t\n", "2: column `sentence` is empty:"),
        ("", " has 0 rows, not the official 2:"),
    ],
)
def test_a_bad_file_without_a_header(tmp_path, content, what):
    check_error(tmp_path, TinyCola.TASK, content, what)


@pytest.mark.parametrize("kind", PAIRS, ids=lambda kind: kind.TASK.folder)
def test_a_bad_file_of_pairs(tmp_path, kind):
    """A file of two rows with a column renamed, a label changed, a text emptied, a row lost."""
    task, file = kind.TASK, [*kind.TASK.rows][1]
    header, first, last = files_of(kind)[file][0].removesuffix("\n").split("\n")
    columns = header.removeprefix("\ufeff").split("\t")

    def with_last(column: str, value: str) -> str:
        fields = last.split("\t")
        fields[columns.index(column)] = value
        return "\n".join((header, first, "\t".join(fields)))

    second = task.texts[1]
    bad = {f"{header}\n{first}\n": " has 1 rows, not the official 2:"}
    for column in (*task.texts, task.label):
        renamed = header.replace(column, "other")
        bad[f"{renamed}\n{first}\n{last}\n"] = f":1: no column `{column}`, only "
    kinds = "score `maybe` is no number" if task.scores else "label `maybe` is none of"
    bad[with_last(task.label, "maybe")] = f":3: {kinds}"
    if not task.unedited:
        bad[with_last(second, "  ")] = f":3: column `{second}` is empty:"
        more = f"{len(columns) + 1} columns, not {len(columns)}"
        bad[with_last(second, "a\ttab")] = f":3: {more}"
    for content, what in bad.items():
        check_error(tmp_path, task, content, what, file)


@pytest.mark.parametrize("score", ["nan", "inf", "-0.1", "5.01", "", "4,5"])
def test_a_score_that_is_none(tmp_path, score):
    text, _ = files_of(TinyStsb)["dev"]
    what = f":3: score `{score}` is no number from 0 to 5:"
    check_error(tmp_path, TinyStsb.TASK, text.replace("5.000", score), what)


def check_error(
    folder: Path, task: Task, content: str | bytes, what: str, file: str = "dev"
) -> None:
    path = folder / task.folder / f"{file}.tsv"
    put(path, content)
    with pytest.raises(UserError) as error:
        read_rows(task, file, folder)
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
        read_rows(TinySst2.TASK, "dev", tmp_path)


def test_what_is_missing_is_named_with_what_there_should_be(tmp_path):
    should = r"it should hold SST-2/train\.tsv and SST-2/dev\.tsv \(or \.tsv\.gz\)"
    with pytest.raises(UserError, match=rf"no folder /nowhere: {should}"):
        read_rows(TinySst2.TASK, "train", Path("/nowhere"))
    with pytest.raises(UserError, match=rf"no folder SST-2 in {tmp_path}: {should}"):
        read_rows(TinySst2.TASK, "train", tmp_path)
    put(tmp_path / "SST-2" / "dev.tsv", SST2["dev"])
    with pytest.raises(
        UserError, match=rf"no train\.tsv and no train\.tsv\.gz in {tmp_path}/SST-2:"
    ):
        read_rows(TinySst2.TASK, "train", tmp_path)


def test_all_files_of_mnli_are_named():
    names = "MNLI/train.tsv, MNLI/dev_matched.tsv and MNLI/dev_mismatched.tsv (or .tsv.gz)"
    assert TinyMnli.TASK.files == f"{names} of the official GLUE archive"
