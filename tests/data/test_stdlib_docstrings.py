"""The docstrings of the Python that runs this test."""

import logging
import sys
import unittest
import urllib.parse
from pathlib import Path

import pytest
import tensorflow_datasets as tfds

from ee_jax.data.dataset_dir import Prepared
from ee_jax.data.prepared import Examples, open_split, prepare

SPLITS = ("train", "validation", "calibration", "test")


@pytest.fixture(scope="session")
def prepared(tmp_path_factory) -> Prepared:
    return prepare("stdlib_docstrings", tmp_path_factory.mktemp("stdlib"))


@pytest.fixture(scope="session")
def splits(prepared) -> dict[str, Examples]:
    root = prepared.folder.parent.parent
    return {split: open_split("stdlib_docstrings", split, root) for split in SPLITS}


def test_version_is_that_of_python(prepared):
    assert prepared.folder.name == ".".join(map(str, sys.version_info[:3]))


def test_size(splits):
    """Room for other Pythons (3,928 rows on 3.11.7, 3,684 on 3.12.1, 3,658 on 3.13.0)."""
    sizes = [len(splits[split].texts) for split in SPLITS]
    assert 3_400 <= sum(sizes) <= 4_200
    for size, share in zip(sizes, (0.67, 0.08, 0.12, 0.13), strict=True):
        # Hash values are uniform: five standard deviations of a binomial share.
        assert abs(size - share * sum(sizes)) < 5 * (sum(sizes) * share * (1 - share)) ** 0.5


def test_every_class_is_in_every_split(splits):
    for examples in splits.values():
        assert set(examples.label_N.tolist()) == set(range(20))
        assert len(examples.classes) == 20


def test_no_text_twice_anywhere(splits):
    texts = [text for examples in splits.values() for text in examples.texts]
    assert len(set(texts)) == len(texts)


@pytest.mark.parametrize(
    ("documented", "module"),
    [
        (logging.Logger.setLevel, "logging"),
        (unittest.TestCase.assertAlmostEqual, "unittest"),
        (urllib.parse.urljoin, "urllib"),
        (tfds, None),  # a package that is not of the library
    ],
)
def test_live_docstrings_are_found_under_their_module(splits, documented, module):
    text = " ".join(documented.__doc__.split())[:300].rstrip()
    found = [
        examples.classes[label]
        for examples in splits.values()
        for candidate, label in zip(examples.texts, examples.label_N, strict=True)
        if candidate == text
    ]
    assert found == ([module] if module else [])


def test_tfds_finds_the_prepared_data_by_name(prepared, splits):
    root: Path = prepared.folder.parent.parent
    builder = tfds.builder("stdlib_docstrings", data_dir=root, file_format="array_record")
    source = builder.as_data_source("test[:2]")  # pyright: ignore[reportCallIssue]
    assert [row["text"].decode() for row in source] == splits["test"].texts[:2]
