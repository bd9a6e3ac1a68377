"""Files of rows of generated faults: refused with their line, or read as plain readers do."""

import io
import json
import os
import re
import struct

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ee_jax.data.dataset_dir import Columns, DatasetDir
from ee_jax.data.own_sources import builder_of_own
from ee_jax.data.prepared import open_at, prepare_at
from ee_jax.data.tables import ENDINGS, read_table
from ee_jax.data.text_files import builder_of_text_path
from ee_jax.data.unlabelled import read_unlabelled
from ee_jax.errors import UserError
from tests.generated import EXAMPLES, damaged, outcome

ANY = Columns()
WORDS = ("bad", "good")
LABELLED = [(f"text {n}, of {WORDS[n % 2]} news", WORDS[n % 2]) for n in range(60)]

# Texts and labels that a careless reader would change.
FIELDS = st.text(max_size=6) | st.sampled_from(
    ["", " ", '"', '""', "a,b", "a\tb", "a\nb", "a\r\nb", "\r", "\x85", "\u2028", "\x00",
     "\ufeff",
     "nan", "NaN", "1", "01", "-1", "--1", "1.5", "1e999", "inf", "9" * 400, "9" * 5000, "true",
     "None", "\x1b[2J", "a" * 2000, "½", "\U0001f600"]
)  # fmt: skip
HEADERS = st.sampled_from(
    [["text", "label"], ["text", "label", "id"], ["sentence", "score"], ["text_a", "text_b",
     "label"],
     ["text"], ["label"], ["text", "text"], ["a\nb", "label"], [""], [*map(str, range(200))]]
)  # fmt: skip


def quoted(field, separator):
    odd = set(field) & {separator, '"', "\n", "\r"}
    return '"' + field.replace('"', '""') + '"' if odd else field


@st.composite
def tables(draw, separator):
    """The bytes of a table, sound but for its values, and now and then of a row too long."""
    header = draw(HEADERS)
    end = draw(st.sampled_from(["\n", "\r\n", "\r"]))
    short = draw(st.sampled_from([0] * 9 + [1, -1]))
    width = st.lists(FIELDS, min_size=len(header) + short, max_size=len(header) + short)
    rows = draw(st.lists(width, max_size=4))
    if header == ["text", "label"] and draw(st.booleans()):
        rows = [*map(list, LABELLED), *rows]
    lines = [separator.join(quoted(f, separator) for f in row) for row in [header, *rows]]
    text = end.join(lines) + draw(st.sampled_from(["", end, end * 2]))
    encoding = draw(st.sampled_from(["utf-8"] * 6 + ["utf-8-sig", "utf-16", "latin-1"]))
    return text.encode(encoding, errors="replace")


@st.composite
def maybe_damaged(draw, contents):
    content = draw(contents)
    return draw(damaged(content)) if draw(st.booleans()) else content


LONG = 4096  # characters that the parser takes at a time


def parsed(text, separator):
    """RFC 4180 by hand: rows of fields, or None where a quote is not as it should be."""
    rows, row, field, at, state = [], [], "", 0, "start"
    while at < len(text):
        char = text[at]
        two = text[at : at + 2]
        if state == "quoted":
            if two == '""':
                field, at = field + '"', at + 1
            elif char == '"':
                state = "closed"
            else:
                run = text[at : at + LONG].partition('"')[0]
                field, at = field + run, at + len(run) - 1
        elif char == '"' and state == "start":
            state = "quoted"
        elif char in "\r\n":
            at += two == "\r\n"
            rows.append([*row, field] if row or field or state != "line" else [])
            row, field, state = [], "", "line"
            at += 1
            state = "start"
            continue
        elif char == separator:
            row, field, state = [*row, field], "", "start"
        elif state == "closed":
            return None
        else:
            run = re.split(rf"[{separator}\r\n]", text[at : at + LONG], maxsplit=1)[0]
            field, state, at = field + run, "plain", at + len(run) - 1
        at += 1
    if state == "quoted":
        return None
    return [*rows, [*row, field]] if row or field or state == "closed" else rows


def reference(content, separator):
    """The rows under the header by its names, or None of no such table."""
    try:
        found = parsed(content.decode("utf-8-sig"), separator)
    except UnicodeDecodeError:
        return None
    if not found:
        return None
    header, *rows = found
    rows = [row for row in rows if row != [""] and row]
    if header == [""] or len({*header}) < len(header):
        return None
    if not rows or any(len(row) != len(header) for row in rows):
        return None
    return [dict(zip(header, row, strict=True)) for row in rows]


def says_where(error, path):
    assert str(path) in str(error)


@EXAMPLES
@pytest.mark.parametrize("ending", [".tsv", ".csv"])
def test_separated(tmp_path, examples, ending):
    path, separator = tmp_path / f"rows{ending}", {".tsv": "\t", ".csv": ","}[ending]

    @settings(max_examples=examples)
    @example(b"")
    @example(b"text\xff")
    @example("text\tlabel\na\t1\n".encode("utf-16"))
    @example(b'text\tlabel\n"a\t1\n')
    @example(b"text\tlabel\n" + b"a\t" * 10_000 + b"\n")
    @example(b"\t".join(b"%d" % n for n in range(10_000)) + b"\na\n")
    @example(b'"a\nb"\tlabel\n1\n')
    @example(b"text\tlabel\n" + b"a" * 2**20 + b"\t1\n")
    @example(b"text\tlabel\n" + b"".join(b"t%d\t--%d\n" % (n, n % 3) for n in range(99)))
    @example(b"text\tlabel\n" + b"".join(b"t%d\t%s1\n" % (n, b"9" * 5000) for n in range(99)))
    @example(b"text\tscore\n" + b"".join(b"t%d\t1e%d\n" % (n, n) for n in range(99)))
    @given(maybe_damaged(tables(separator)))
    def body(content):
        path.write_bytes(content)
        found, wanted = outcome(read_table, path), reference(content, separator)
        if isinstance(found, UserError):
            assert wanted is None
            says_where(found, path)
        else:
            assert [line.fields for line in found] == wanted
        built = outcome(builder_of_own, str(path), ANY)
        if not isinstance(built, UserError):
            check_builds(built, wanted)

    body()


def check_builds(kind, wanted):
    """All rows are there once, whatever split, and each has one of the classes or a score."""
    rows = [row for part in kind(data_dir="/nowhere").rows().values() for row in part]
    assert len(rows) == len(wanted)
    classes = kind(data_dir="/nowhere").classes()
    low, high = kind.LABEL_RANGE or (0, len(classes) - 1)
    assert all(low <= label <= high for _, label in rows)
    if classes and "text" in wanted[0] and "text_a" not in wanted[0]:
        kept = sorted((text, classes[int(label)]) for text, label in rows)
        assert kept == sorted((row["text"], str(row["label"])) for row in wanted)


NUMBER = st.integers() | st.floats() | st.sampled_from([10**400, -(10**18), 10**19, 1e300])
LEAF = st.none() | st.booleans() | NUMBER | FIELDS | st.sampled_from(["\ud800", "a\udfff"])
VALUE = (
    LEAF | st.lists(LEAF, max_size=2) | st.dictionaries(st.text(max_size=2), LEAF, max_size=2)
)
OBJECT = st.dictionaries(st.sampled_from(["text", "label", "score", "text_a", "text_b"]), VALUE)
DEEP = b'{"text": ' + b"[" * 100_000 + b"]" * 100_000 + b', "label": 1}\n'


@st.composite
def json_lines(draw):
    objects = draw(st.lists(OBJECT | VALUE, max_size=4))
    if draw(st.booleans()):
        objects = [*({"text": text, "label": label} for text, label in LABELLED), *objects]
    return "".join(json.dumps(each) + "\n" for each in objects).encode()


def labels(label):
    """A file whose labels, but for one row in three, are this."""
    rows = (f'{{"text": "t {n}", "label": {label if n % 3 else 1}}}\n' for n in range(99))
    return "".join(rows).encode()


@EXAMPLES
def test_json_lines(tmp_path, examples):
    path = tmp_path / "rows.jsonl"

    @settings(max_examples=examples)
    @example(DEEP)
    @example(labels("NaN"))
    @example(labels("Infinity"))
    @example(labels("9" * 400))
    @example(labels('{"a": 1}'))
    @example(labels('"a\\nb"'))
    @example(labels('"\\ud800"'))
    @example(labels("0").replace(b"t 7", b"\\ud800"))
    @example(labels('"01"'))
    @given(maybe_damaged(json_lines()))
    def body(content):
        path.write_bytes(content)
        found = outcome(read_table, path)
        if isinstance(found, UserError):
            says_where(found, path)
        else:
            lines = content.decode("utf-8-sig").split("\n")
            wanted = [json.loads(line) for line in lines if line.strip()]
            assert repr([line.fields for line in found]) == repr(wanted)  # nan is nan
        built = outcome(builder_of_own, str(path), ANY)
        if not isinstance(built, UserError):
            check_builds(built, [line.fields for line in read_table(path)])

    body()


def parquet(table):
    import pyarrow
    import pyarrow.parquet

    out = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table(table), out)
    return out.getvalue()


TEXTS, LABELS = map(list, zip(*LABELLED, strict=True))
PARQUET = parquet({"text": TEXTS, "label": LABELS})
# The footer's length, and its bytes: what says where everything lies.
FOOTER = struct.unpack("<I", PARQUET[-8:-4])[0]


@EXAMPLES
def test_parquet(tmp_path, examples):
    path = tmp_path / "rows.parquet"
    footers = damaged(PARQUET[-8 - FOOTER :]).map(lambda end: PARQUET[: -8 - FOOTER] + end)

    @settings(max_examples=examples)
    @example(b"")
    @example(b"PAR1" * 3)
    @example(PARQUET[:-8] + struct.pack("<I", 2**31 - 1) + b"PAR1")
    @example(parquet({"text": ["a"] * 9, "label": [float("nan")] * 9}))
    @example(parquet({"text": [b"\xff"] * 60, "label": LABELS}))
    @example(parquet({"text": TEXTS, "label": [[1]] * 60}))
    @example(parquet({}))
    @given(damaged(PARQUET) | footers)
    def body(content):
        path.write_bytes(content)
        found = outcome(read_table, path)
        if isinstance(found, UserError):
            says_where(found, path)
        else:
            assert len(found) <= 8 * len(content)
        outcome(builder_of_own, str(path), ANY)

    body()


@EXAMPLES
def test_texts_without_labels(tmp_path, examples):
    """Lines end as Python's files have them: what else Unicode calls a line's end does not."""
    path = tmp_path / "lines.txt"

    @settings(max_examples=examples)
    @example(b"a\xe2\x80\xa8b\x0cc\n")
    @given(maybe_damaged(st.lists(FIELDS, max_size=5).map(lambda f: "\n".join(f).encode())))
    def body(content):
        path.write_bytes(content)
        found = outcome(lambda: list(read_unlabelled(str(path), ANY)))
        if isinstance(found, UserError):
            assert re.search(rf"{path}(:\d+:| holds no text)", str(found))
        else:
            with path.open(encoding="utf-8-sig") as file:
                assert found == [line.rstrip("\r\n") for line in file]
        outcome(builder_of_text_path, str(path))

    body()


def test_what_is_no_file(tmp_path):
    """Folders, broken links and links in a circle, where a file should lie."""
    for number, ending in enumerate(ENDINGS):
        folder = tmp_path / str(number)
        (folder / f"train{ending}").mkdir(parents=True)
        (folder / f"rows{ending}").symlink_to(folder / "nowhere")
        (folder / f"round{ending}").symlink_to(folder / f"round{ending}")
        os.mkfifo(folder / f"pipe{ending}")
        for name in ("train", "rows", "round", "pipe"):
            for read in (read_table, lambda p: builder_of_own(str(p), ANY)):
                assert isinstance(outcome(read, folder / f"{name}{ending}"), UserError)
        assert isinstance(outcome(builder_of_own, str(folder), ANY), UserError)


def test_labels_that_only_other_splits_have_and_words_of_one_number(tmp_path):
    rows = "".join(f"t{n}\t{('1', '01', '1.0')[n % 3]}\n" for n in range(99))
    (tmp_path / "train.tsv").write_text(f"text\tlabel\n{rows}")
    found = outcome(builder_of_own, str(tmp_path), ANY)
    assert found(data_dir="/nowhere").classes() == ["01", "1", "1.0"]


def test_odd_rows_come_back_as_they_were(tmp_path):
    """Through the files that TFDS writes: texts and class names of every kind."""
    names = ["½", "a b", " a", "nan", "#", "'\"", "\U0001f600", "a,b"]
    odd = ["\x00", "\x85a", "\u2028b", "\ufeffc", "\r", "a\r\nb"]
    rows = [{"text": f"{odd[n % 6]} {n}", "label": names[n % 8]} for n in range(160)]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    directory = DatasetDir.of(str(path), tmp_path / "data")
    classes = prepare_at(directory).classes
    found = [open_at(directory, split) for split in directory.load().splits]
    kept = [
        (text, classes[label])
        for part in found
        for text, label in zip(part.texts, part.label_N, strict=True)
    ]
    assert sorted(kept) == sorted((row["text"], row["label"]) for row in rows)
