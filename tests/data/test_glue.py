"""GLUE as data sets: from a folder of tiny files, and from the real ones."""

import os
from itertools import combinations
from pathlib import Path

import pytest
from tensorflow_datasets.text.glue import Glue

from ee_jax.data.glue import Cola, GlueBuilder, Qnli, Sst2
from ee_jax.data.glue_files import read_rows
from ee_jax.data.held_out import by_shared_text, held_out
from ee_jax.data.prepared import open_split, prepare
from ee_jax.data.registry import DATASETS, builder_of
from ee_jax.errors import UserError
from tests.data.tiny_glue import ROWS, TINY, files_of, write_files

REAL = os.environ.get("EE_JAX_TEST_DATA")
real = pytest.mark.skipif(
    not REAL, reason="EE_JAX_TEST_DATA is not set: no official GLUE files"
)
SPLITS = ("validation", "calibration", "train", "test")


@pytest.fixture(autouse=True)
def tiny_tasks(monkeypatch):
    for config, kind in TINY.items():
        path = f"tests.data.tiny_glue:{kind.__name__}"
        monkeypatch.setitem(DATASETS, f"glue/tiny_{config}", path)
    monkeypatch.delenv("EE_JAX_MANUAL_DIR", raising=False)


@pytest.fixture
def files(tmp_path) -> Path:
    return write_files(tmp_path / "files")


@pytest.mark.parametrize("config", TINY)
def test_the_dev_set_is_the_test_split_and_training_rows_are_shared_out(
    tmp_path, files, config
):
    name, kind = f"glue/tiny_{config}", TINY[config]
    tallies = prepare(name, tmp_path, files).splits
    tests = {"test": "dev"}
    if config == "mnli":
        tests = {"test": "dev_matched", "test_mismatched": "dev_mismatched"}
    assert list(tallies) == [*SPLITS[:3], *tests]
    assert sum(tallies[split].rows for split in SPLITS[:3]) == ROWS["train"]
    assert min(tally.rows for tally in tallies.values()) > 0
    for split, file in tests.items():
        opened = open_split(name, split, tmp_path)
        rows = list(zip(opened.texts, opened.label_N.tolist(), strict=True))
        assert rows == files_of(kind)[file][1]
        assert opened.label_N.dtype == ("float32" if config == "stsb" else "int32")
    found = {text for split in SPLITS[:3] for text in open_split(name, split, tmp_path).texts}
    assert found >= {text for text, _ in files_of(kind)["train"][1]}


@pytest.mark.parametrize(
    ("config", "classes", "metrics", "rows"),
    [
        ("cola", ("unacceptable", "acceptable"), ("matthews",), (8_551, 1_043)),
        ("sst2", ("negative", "positive"), ("accuracy",), (67_349, 872)),
        ("mrpc", ("not_equivalent", "equivalent"), ("f1", "accuracy"), (3_668, 408)),
        ("qqp", ("not_duplicate", "duplicate"), ("f1", "accuracy"), (363_846, 40_430)),
        ("stsb", (), ("pearson", "spearman"), (5_749, 1_500)),
        (
            "mnli",
            ("entailment", "neutral", "contradiction"),
            ("accuracy",),
            (392_702, 9_815, 9_832),
        ),
        ("qnli", ("entailment", "not_entailment"), ("accuracy",), (104_743, 5_463)),
        ("rte", ("entailment", "not_entailment"), ("accuracy",), (2_490, 277)),
    ],
)
def test_classes_are_those_of_tfds_and_metrics_and_rows_those_of_glue(
    config, classes, metrics, rows
):
    kind = builder_of(f"glue/{config}")
    assert issubclass(kind, GlueBuilder)
    dev = ("dev_matched", "dev_mismatched") if config == "mnli" else ("dev",)
    assert kind.TASK.rows == dict(zip(("train", *dev), rows, strict=True))
    found = kind.CLASSES, kind.METRICS, kind.LABEL_RANGE
    assert found == (classes, metrics, None if classes else (0.0, 5.0))
    stock = next(stock for stock in Glue.BUILDER_CONFIGS if stock.name == config)
    assert classes == tuple(stock.label_classes or ())
    assert len(stock.text_features) == (2 if kind.PAIRS else 1)
    if config != "mrpc":  # TFDS has its columns in code
        assert tuple(stock.text_features.values()) == kind.TASK.texts


def test_the_folder_may_come_from_the_environment(tmp_path, files, monkeypatch):
    monkeypatch.setenv("EE_JAX_MANUAL_DIR", str(files))
    assert prepare("glue/tiny_sst2", tmp_path).folder == tmp_path / "glue_sst2" / "1.0.0"


def test_the_files_are_not_needed_again(tmp_path, files):
    first = prepare("glue/tiny_sst2", tmp_path, files)
    assert prepare("glue/tiny_sst2", tmp_path, "/nowhere") == first
    assert prepare("glue/tiny_sst2", tmp_path) == first


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
    for name in (name for name in DATASETS if name.startswith("glue/")):
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
def test_the_official_pairs():
    """QNLI's dev set, whose training set is not at hand; labels counted with `zcat | cut`."""
    assert REAL
    rows = read_rows(Qnli.TASK, "dev", Path(REAL) / "glue")
    assert sum(label for _, label in rows) == 2_761
    assert rows[0] == (
        (
            "What came into force after the new constitution was herald?",
            "As of that day, the new constitution heralding the Second Republic came into "
            "force.",
        ),
        0,
    )
    held = held_out(rows, by_shared_text)
    assert [len(held[split]) for split in SPLITS[:3]] == [126, 400, 4_937]


def test_a_missing_training_file_is_named(tmp_path, files):
    (files / "QNLI" / "train.tsv").unlink()
    with pytest.raises(UserError, match=r"no train\.tsv and no train\.tsv\.gz in .*/QNLI:"):
        prepare("glue/tiny_qnli", tmp_path, files)


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
    train, dev = (read_rows(task, file, Path(REAL) / "glue") for file in ("train", "dev"))
    texts = {text for text, _ in train}
    assert len(texts) == different
    assert len(train) - len(texts) == repeated
    assert len(set(train)) - len(texts) == two_labels
    assert sum(text in texts for text, _ in dev) == in_dev
    found: set[str] = set()
    for text in sorted(map(str, texts), key=lambda text: -text.count(" ")):
        if text not in found:  # else what stands in it stands in a longer one too
            spans = combinations(range(text.count(" ") + 2), 2)
            parts = {" ".join(text.split(" ")[a:b]) for a, b in spans}
            found |= (parts & texts) - {text}
    assert len(found) == phrases
