"""Pairs of texts from the files that people have: all read, none in two splits."""

import gzip
import json
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ee_jax.data.pair_files import find_pair_files
from ee_jax.data.pairs import Found, Pair, checksum, read_pairs, split_pairs
from ee_jax.errors import UserError
from tests.generated import EXAMPLES, altered, damaged, outcome

REAL = os.environ.get("EE_JAX_TEST_DATA")
real = pytest.mark.skipif(not REAL, reason="EE_JAX_TEST_DATA names no folder of real data")
SEQ2SEQ = Path(REAL or "") / "seq2seq"


def write(path: Path, text: str) -> Path:
    content = text.encode()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def lines(word: str, count: int = 3) -> str:
    return "".join(f"{word} {number}\n" for number in range(count))


def write_sides(folder: Path, form: str, sides=("src", "tgt"), splits=("train", "val", "test")):
    """Files with a text a line, three in each."""
    for split in splits:
        for side, word in zip(sides, ("eins", "one"), strict=True):
            write(folder / form.format(split=split, side=side), lines(f"{split} {word}"))


@pytest.mark.parametrize(
    ("form", "sides", "named"),
    [
        ("{side}-{split}.txt", ("src", "tgt"), False),
        ("{side}-{split}.txt.gz", ("src", "tgt"), False),
        ("{split}.{side}", ("source", "target"), False),
        ("{split}.{side}", ("en", "de"), True),
        ("{split}.en-de.{side}.gz", ("en", "de"), True),
        ("{split}.{side}.txt", ("zh-CN", "en_XX"), True),
    ],
)
def test_a_file_for_each_side(tmp_path, form, sides, named):
    write_sides(tmp_path, form, sides)
    write(tmp_path / "README.md", "train")
    write(tmp_path / f"notes.{sides[0]}", "of no split")
    found = read_pairs(str(tmp_path), *(sides if named else ()))
    assert found == {
        split: [Pair(f"{word} eins {n}", f"{word} one {n}") for n in range(3)]
        for split, word in (("train", "train"), ("validation", "val"), ("test", "test"))
    }


def test_a_line_ends_where_files_say_and_nowhere_else(tmp_path):
    write(tmp_path / "src-train.txt", "\ufeffa\u2028b\rc\r\n  d \r\n")
    write(tmp_path / "tgt-train.txt", "1\n2")
    for split in ("dev", "test"):
        write(tmp_path / f"src-{split}.txt", "x")
        write(tmp_path / f"tgt-{split}.txt", "y")
    found = read_pairs(str(tmp_path))
    assert found["train"] == [Pair("a\u2028b\rc", "1"), Pair("  d ", "2")]
    assert found["validation"] == [Pair("x", "y")]


ROWS = [(f"a long text, number {n}", f'short "{n}"') for n in range(60)]


def table(ending: str, names: tuple[str, str]) -> str:
    if ending == ".jsonl":
        return "".join(json.dumps(dict(zip(names, row, strict=True))) + "\n" for row in ROWS)
    separator = {".tsv": "\t", ".csv": ","}[ending]
    quoted = [[f'"{text.replace(chr(34), 2 * chr(34))}"' for text in row] for row in ROWS]
    return "\n".join(separator.join(row) for row in [[*names], *quoted]) + "\n"


@pytest.mark.parametrize("ending", [".tsv", ".csv", ".jsonl", ".tsv.gz", ".jsonl.gz"])
@pytest.mark.parametrize(
    ("names", "wanted"),
    [(("article", "highlights"), ()), (("zusammen", "kurz"), ("zusammen", "kurz"))],
)
def test_a_table_is_split_by_hash(tmp_path, ending, names, wanted):
    path = write(tmp_path / f"rows{ending}", table(ending.removesuffix(".gz"), names))
    found = read_pairs(str(path), *wanted)
    assert read_pairs(str(tmp_path), *wanted) == found  # the only file of its folder
    assert all(found.values())
    assert sorted(pair[:2] for pairs in found.values() for pair in pairs) == sorted(ROWS)
    assert len({checksum(pairs) for pairs in found.values()}) == 3


def test_targets_of_json_lines_may_be_several(tmp_path):
    row = {"source": "Who?", "target": ["she", "her"]}
    for split in ("train", "valid", "test"):
        write(tmp_path / f"{split}.jsonl", json.dumps(row))
    pair = read_pairs(str(tmp_path))["test"][0]
    assert pair == Pair("Who?", "she", ("her",))
    assert pair.every_reference == ("she", "her")


def squad(paragraphs: int = 40) -> dict:
    def question(number: int) -> dict:
        answers = [{"text": text} for text in ("yes", f"no {number}", "yes")]
        return {"id": f"q{number}", "question": "Is it?", "answers": answers}

    made = [
        {"context": f"Text {n}.", "qas": [question(2 * n), question(2 * n + 1)]}
        for n in range(paragraphs)
    ]
    return {"data": [{"paragraphs": made[::2]}, {"paragraphs": made[1::2]}]}


def test_questions_are_split_by_their_context(tmp_path):
    path = write(tmp_path / "squad.json", json.dumps(squad()))
    found = read_pairs(str(path))
    pairs = [pair for split in found.values() for pair in split]
    assert len(pairs) == 80
    assert Pair("question: Is it? context: Text 3.", "yes", ("no 7",)) in pairs
    contexts = [{pair.source for pair in split} for split in found.values()]
    assert sum(map(len, contexts)) == len(set.union(*contexts)) == 40


@given(st.lists(st.sampled_from("abcdefgh"), max_size=30))
def test_equal_sources_share_a_split_whatever_else_there_is(sources):
    rows = [Found(key, Pair(f" {key}", str(n))) for n, key in enumerate(sources)]
    splits = split_pairs({"train": rows})
    assert sorted(row for split in splits.values() for row in split) == sorted(rows)
    where = [{row.key for row in split} for split in splits.values()]
    assert sum(map(len, where)) == len(set(sources))
    alone = split_pairs({"train": rows[:1]})
    assert all(row in splits[split] for split in alone for row in alone[split])


@EXAMPLES
def test_altered_squad_is_read_or_refused(tmp_path, examples):
    path = tmp_path / "squad.json"

    def encode(content):
        return json.dumps(content).encode()

    @settings(max_examples=examples)
    @given(altered(squad(30)).map(encode) | damaged(encode(squad(30))))
    def body(content):
        path.write_bytes(content)
        found = outcome(read_pairs, str(path))
        if isinstance(found, UserError):
            assert str(path) in str(found)
        else:
            texts = [text for pairs in found.values() for pair in pairs for text in pair[:2]]
            assert all(text.strip() and text.encode() for text in texts)

    body()


def test_given_splits_stay_as_they_are():
    rows = {
        split: [Found(str(n), Pair(str(n), split)) for n in range(200)]
        for split in ("train", "test")
    }
    found = split_pairs(rows)
    assert found["test"] == rows["test"]
    assert 0 < len(found["validation"]) < 60
    assert len(found["train"]) + len(found["validation"]) == 200


@real
def test_opennmt():
    found = read_pairs(str(SEQ2SEQ / "opennmt_ende"))
    assert {split: len(pairs) for split, pairs in found.items()} == {
        "train": 10_000, "validation": 3_000, "test": 2_737,
    }  # fmt: skip
    first = "Orlando Bloom and Miranda Kerr still love each other"
    assert found["test"][0] == Pair(
        first, "Orlando Bloom und Miranda Kerr lieben sich noch immer"
    )


@real
def test_xquad():
    found = read_pairs(str(SEQ2SEQ / "xquad"))
    assert sum(map(len, found.values())) == 1190
    contexts = [
        {pair.source.split(" context: ")[1] for pair in pairs} for pairs in found.values()
    ]
    assert sum(map(len, contexts)) == len(set.union(*contexts)) == 240
    assert [len(context) for context in contexts] == pytest.approx([168, 36, 36], abs=15)
    every = [pair for pairs in found.values() for pair in pairs]
    asked = "question: How many points did the Panthers defense surrender? context: The Panth"
    assert [pair.target for pair in every if pair.source.startswith(asked)] == ["308"]


@real
def test_gsm8k(tmp_path):
    found = read_pairs(str(Path(REAL or "") / "gsm8k"))
    assert len(found["test"]) == 1319
    assert len(found["train"]) + len(found["validation"]) == 7473


HEAD = "source\ttarget\n"
BAD = {
    "unequal": ({"src-train.txt": "a\nb\n", "tgt-train.txt": "a\n"},
                r"src-train\.txt has 2 lines and .*tgt-train\.txt 1: line n"),
    "empty side": ({"src-train.txt": "a\nb\n", "tgt-train.txt": "a\n \n"},
                   r"tgt-train\.txt:2: the target is empty: give one"),
    "empty files": ({"src-train.txt": "", "tgt-train.txt": ""},
                    r"src-train\.txt:1: the source is empty"),
    "bytes": ({"src-train.txt": "a\n", "tgt-train.txt": b"a\n\xff\n"},
              r"tgt-train\.txt:2: not UTF-8"),
    "no gzip": ({"src-train.txt.gz": b"plain", "tgt-train.txt": "a\n"},
                r"cannot read .*src-train\.txt\.gz \(Not a gzipped"),
    "cut gzip": ({"src-train.txt.gz": gzip.compress(b"a\n" * 99)[:-12], "tgt-train.txt": "a"},
                 r"cannot read .*src-train\.txt\.gz \("),
    "one side": ({"src-train.txt": "a", "tgt-train.txt": "a", "src-test.txt": "a"},
                 r"src-test\.txt has no other side: put tgt-test\.txt beside it"),
    "no train": ({"src-test.txt": "a", "tgt-test.txt": "a"}, r"no training pairs in .*add a"),
    "twice": ({"train.tsv": HEAD, "train.jsonl": "{}"}, r"are both of train: keep one"),
    "unnamed": ({"a.tsv": HEAD, "b.tsv": HEAD}, r"a\.tsv and .*b\.tsv are both of train"),
    "nothing": ({"words.txt": "a"}, r"no pairs of texts in .*data\.source and data\.target"),
    "no rows": ({"train.tsv": HEAD}, r"train\.tsv has no rows"),
    "few": ({"train.tsv": HEAD + "a\tb\n"}, r"no pair for .*: give more pairs"),
    "columns": ({"train.tsv": "en\tde\na\tb\n"}, r"train\.tsv: no columns of a source and"),
    "empty field": ({"train.tsv": HEAD + "a\tb\nc\t\n"}, r"train\.tsv:3: the target is empty"),
    "no field": ({"train.jsonl": '{"source": "a", "target": "b"}\n{"source": "a"}\n'},
                 r"train\.jsonl:2: no `target`: give it in every row"),
    "number": ({"train.jsonl": '{"source": "a", "target": 3}\n'},
               r":1: the target is 3, not"),
    "no targets": ({"train.jsonl": '{"source": "a", "target": []}\n'},
                   r":1: the target is \[\]"),
    "bad line": ({"train.jsonl": '{"source": "a", "target": "b"}\n{"so\n'},
                 r"train\.jsonl:2: not JSON \("),
    "bad json": ({"train.json": '{"data":\n [}'},
                 r"train\.json:2: not JSON \(Expecting value\)"),
    "half": ({"train.json": '{"data": "\\ud800"}'}, r"json:1: half of a surrogate"),
    "list": ({"train.json": '[{"source": "a", "target": "b"}]'}, r"no list `data`.*\.jsonl"),
    "no qas": ({"train.json": '{"data": [{"paragraphs": [{"context": "a"}]}]}'}, r"list `qas`"),
    "no question": ({"train.json": json.dumps(squad()).replace("Is it?", "", 1)},
                    r"train\.json, question q0: the question is empty"),
    "no answer": ({"train.json": json.dumps(squad()).replace('"yes"', "[]", 1)},
                  r"train\.json, question q0: the answer is \[\], not text"),
    "no answers": (
        {"train.json": '{"data": [{"paragraphs": [{"context": "a", "qas": [{"id": "x", '
                       '"question": "b", "answers": []}]}]}]}'},
        r"question x: it has no answer: leave out"),
    "no context": ({"train.json": json.dumps(squad()).replace('"Text 0."', "null", 1)},
                   r"question q0: the context is None, not text"),
    "no pairs": ({"train.json": '{"data": []}'}, r"train\.json holds no pairs"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_pairs_are_one_line_that_says_where(tmp_path, case):
    files, message = BAD[case]
    for name, content in files.items():
        data = content if isinstance(content, bytes) else content.encode()
        (tmp_path / name).write_bytes(data)
    with pytest.raises(UserError, match=message) as error:
        read_pairs(str(tmp_path))
    assert "\n" not in str(error.value)


def test_names_that_are_wrong(tmp_path):
    write_sides(tmp_path, "{split}.{side}", ("en", "de"))
    with pytest.raises(UserError, match=r"no pairs of texts in .*train\.en and train\.fr"):
        find_pair_files(str(tmp_path), "en", "fr")
    with pytest.raises(UserError, match=r"train\.en ends in none of .*give their folder"):
        find_pair_files(str(tmp_path / "train.en"))
    with pytest.raises(
        UserError, match=r"no file or folder .*tran.en: did you mean `train.en`"
    ):
        find_pair_files(str(tmp_path / "tran.en"))
    path = write(tmp_path / "rows.tsv", HEAD + "a\tb\n")
    with pytest.raises(
        UserError, match=r"no column `sourc` for data.source: did you mean `source`"
    ):
        read_pairs(str(path), "sourc")
