"""The docstrings of a fake library, counted by hand."""

import hashlib
from collections import Counter
from pathlib import Path

import pytest

from ee_jax.data.docstrings import (
    docstrings,
    labelled_docstrings,
    largest,
    module_of_text,
    sources,
    split_of,
)

ALPHA = '''"""Alpha  does one\n   thing   well."""
raise SystemExit("sources are read, never imported")
class One:
    """A class that is documented."""
    def short(self):
        """Only three words."""
    async def later(self):
        """An asynchronous method counts too."""
def again():
    """A class
    that is documented."""
def shared():
    """This text stands in two modules."""
def plain():
    "a" + "string that is no docstring"
'''
BETA = '''def shared():
    """This text stands in two modules."""
'''
DEEP = '''"""A module deep inside the package beta."""
'''
LIBRARY = {
    "alpha.py": ALPHA,
    "beta/__init__.py": BETA,
    "beta/sub/deep.py": DEEP,
    "gamma.py": '"""Gamma has just this one docstring."""',
    "broken.py": '"""This source is not valid Python."""\ndef (:\n',
}
ELSEWHERE = [
    "_private.py",
    "beta/tests/test_beta.py",
    "idlelib/editor.py",
    "idlelib/idle_test/test_editor.py",
    "lib2to3/pytree.py",
    "site-packages/package/__init__.py",
    "test/test_alpha.py",
    "turtledemo/clock.py",
]


@pytest.fixture
def library(tmp_path: Path) -> Path:
    others = dict.fromkeys(ELSEWHERE, '"""This must not be read at all."""')
    for name, text in (LIBRARY | others).items():
        path = tmp_path / "test" / name  # the skipped names count inside the library only
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "test"


def test_only_public_library_sources_are_read(library):
    found = [
        (module, path.relative_to(library).as_posix()) for module, path in sources(library)
    ]
    expected = [
        ("alpha", "alpha.py"),
        ("beta", "beta/__init__.py"),
        ("beta", "beta/sub/deep.py"),
    ]
    assert found == [*expected, ("broken", "broken.py"), ("gamma", "gamma.py")]


def test_each_text_once_and_none_of_two_modules(library):
    assert module_of_text(library) == {
        "Alpha does one thing well.": "alpha",
        "A class that is documented.": "alpha",
        "An asynchronous method counts too.": "alpha",
        "A module deep inside the package beta.": "beta",
        "Gamma has just this one docstring.": "gamma",
    }


def test_long_texts_are_cut():
    # 60 times "word " is 300 characters, the last of them a space.
    assert docstrings(f'"""{"word " * 80}"""'.encode()) == [" ".join(["word"] * 60)]


def test_text_that_utf8_cannot_hold_is_replaced():
    assert docstrings(rb'"""A lone surrogate \ud800 stands here."""') == [
        "A lone surrogate ? stands here."
    ]


def test_largest_modules_with_ties_by_name():
    counts = Counter({"one": 1, "gamma": 2, "beta": 2, "zeta": 5, "alpha": 2})
    assert largest(counts, 3) == ["alpha", "beta", "zeta"]


@pytest.mark.parametrize(
    ("text", "split"),
    # SHA-256 modulo 100, found with sha256sum and bc: 37, 68, 84, 88.
    [
        ("Return a list of names.", "train"),
        ("Return a list of words.", "validation"),
        ("Close the file and stop.", "calibration"),
        ("Run the loop until done.", "test"),
    ],
)
def test_split_of_a_text_never_changes(text, split):
    assert split_of(text) == split


def test_smaller_modules_are_left_out_and_splits_are_by_text(library):
    names, splits = labelled_docstrings(library, classes=2)
    assert names == ["alpha", "beta"]  # beta and gamma have one text each
    rows = {text: (names[label], split) for split in splits for text, label in splits[split]}
    kept = {text: module for text, module in module_of_text(library).items() if module in names}
    assert rows == {text: (module, split_of(text)) for text, module in kept.items()}
    for found in splits.values():
        hashes = [hashlib.sha256(text.encode()).digest() for text, _ in found]
        assert hashes == sorted(hashes)
