"""GLUE as data sets: from a folder of tiny files, and from the real ones."""

import os
from itertools import combinations
from pathlib import Path

import pytest

from ee_jax.data.glue import Cola, Sst2
from ee_jax.data.glue_files import read_rows
from ee_jax.data.prepared import open_split, prepare
from ee_jax.data.registry import DATASETS, builder_of
from ee_jax.errors import UserError
from tests.data.tiny_glue import COLA, ROWS, SST2

REAL = os.environ.get("EE_JAX_TEST_DATA")
real = pytest.mark.skipif(
    not REAL, reason="EE_JAX_TEST_DATA is not set: no official GLUE files"
)
SPLITS = ("validation", "calibration", "train", "test")


@pytest.fixture(autouse=True)
def tiny_tasks(monkeypatch):
    monkeypatch.setitem(DATASETS, "glue/tiny_sst2", "tests.data.tiny_glue:TinySst2")
    monkeypatch.setitem(DATASETS, "glue/tiny_cola", "tests.data.tiny_glue:TinyCola")
    monkeypatch.delenv("EE_JAX_MANUAL_DIR", raising=False)


@pytest.fixture
def files(tmp_path) -> Path:
    folder = tmp_path / "files"
    for name, task in (("SST-2", SST2), ("CoLA", COLA)):
        (folder / name).mkdir(parents=True)
        for file, text in task.items():
            (folder / name / f"{file}.tsv").write_text(text)
    return folder


@pytest.mark.parametrize(
    ("name", "dev", "classes"),
    [
        (
            "glue/tiny_sst2",
            [("it ' s charming", 1), ("bleak", 0)],
            ("negative", "positive"),
        ),
        (
            "glue/tiny_cola",
            [("It rains.", 1), ("Rains it not.", 0)],
            ("unacceptable", "acceptable"),
        ),
    ],
)
def test_the_dev_set_is_the_test_split_and_training_rows_are_shared_out(
    tmp_path, files, name, dev, classes
):
    tallies = prepare(name, tmp_path, files).splits
    assert tuple(tallies) == SPLITS
    assert tallies["test"].rows == 2
    assert sum(tallies[split].rows for split in SPLITS[:3]) == ROWS["train"]
    test = open_split(name, "test", tmp_path)
    assert list(zip(test.texts, test.label_N.tolist(), strict=True)) == dev
    assert test.classes == classes


def test_the_folder_may_come_from_the_environment(tmp_path, files, monkeypatch):
    monkeypatch.setenv("EE_JAX_MANUAL_DIR", str(files))
    assert prepare("glue/tiny_sst2", tmp_path).folder == tmp_path / "tiny_sst2" / "1.0.0"


def test_the_files_are_not_needed_again(tmp_path, files):
    first = prepare("glue/tiny_sst2", tmp_path, files)
    assert prepare("glue/tiny_sst2", tmp_path, "/nowhere") == first
    assert prepare("glue/tiny_sst2", tmp_path) == first


def test_without_a_folder_the_error_says_what_it_should_hold(tmp_path):
    with pytest.raises(
        UserError,
        match=r"`glue/sst2` is made from files that you fetch: name the folder that holds "
        r"SST-2/train\.tsv and SST-2/dev\.tsv \(or \.tsv\.gz\) of the official GLUE archive "
        r"with `--manual-dir` \(in a config: `data\.manual_dir`\) or EE_JAX_MANUAL_DIR$",
    ):
        prepare("glue/sst2", tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_bad_file_leaves_nothing_half_built(tmp_path, files):
    (files / "SST-2" / "dev.tsv").write_text("sentence\tlabel\na\t1\nb\tx\n")
    with pytest.raises(UserError, match=r"dev\.tsv:3: label `x` is none of 0, 1"):
        prepare("glue/tiny_sst2", tmp_path / "data", files)
    assert [path for path in (tmp_path / "data").rglob("*") if path.is_file()] == []


def test_the_command_that_builds_it_names_the_data_set_and_the_flag(tmp_path):
    command = r"ee-jax data prepare glue/sst2 --manual-dir DIR`$"
    with pytest.raises(UserError, match=r"data set `glue/sst2` is not in .*" + command):
        open_split("glue/sst2", "train", tmp_path)


def test_the_version_is_not_that_of_python():
    for name in ("glue/sst2", "glue/cola"):
        assert str(builder_of(name).VERSION) == "1.0.0"
        assert "ython" not in builder_of(name).SOURCE


@real
@pytest.mark.parametrize(
    ("name", "rows", "ones"),
    [
        ("glue/cola", (225, 618, 7_708, 1_043), (6_023, 721)),
        ("glue/sst2", (1_908, 4_785, 60_656, 872), (37_569, 444)),
    ],
)
def test_the_official_files(tmp_path, name, rows, ones):
    """Labels counted with `zcat | cut | sort | uniq -c`."""
    assert REAL
    splits = prepare(name, tmp_path, Path(REAL) / "glue").splits
    assert tuple(splits[split].rows for split in SPLITS) == rows
    opened = {split: open_split(name, split, tmp_path) for split in SPLITS}
    official = sum(int(opened[split].label_N.sum()) for split in SPLITS[:3])
    assert (official, int(opened["test"].label_N.sum())) == ones
    texts = {split: set(opened[split].texts) for split in SPLITS[:3]}
    assert texts["train"].isdisjoint(texts["validation"] | texts["calibration"])
    assert texts["validation"].isdisjoint(texts["calibration"])


@real
@pytest.mark.parametrize(
    ("task", "different", "repeated", "two_labels", "in_dev", "phrases"),
    [(Sst2.TASK, 66_978, 371, 5, 0, 60_093), (Cola.TASK, 8_532, 19, 11, 16, 29)],
    ids=["sst2", "cola"],
)
def test_what_is_said_of_texts_that_come_twice(
    task, different, repeated, two_labels, in_dev, phrases
):
    assert REAL
    train, dev = (read_rows(task, Path(REAL) / "glue", file) for file in ("train", "dev"))
    texts = {text for text, _ in train}
    assert len(texts) == different
    assert len(train) - len(texts) == repeated
    assert len(set(train)) - len(texts) == two_labels
    assert sum(text in texts for text, _ in dev) == in_dev
    found: set[str] = set()
    for text in sorted(texts, key=lambda text: -text.count(" ")):
        if text not in found:  # else what stands in it stands in a longer one too
            spans = combinations(range(text.count(" ") + 2), 2)
            parts = {" ".join(text.split(" ")[a:b]) for a, b in spans}
            found |= (parts & texts) - {text}
    assert len(found) == phrases
