"""Docstrings of a Python standard library, read from its sources and never imported.

A row is a docstring and the top-level module or package in which it stands.

`stdlib_docstrings`: which module of the standard library does a docstring belong to?

Real text and labels on every machine, without a download: the docstrings of the Python that is
running. Another Python has other docstrings, so its version is the version of the data.
"""

import ast
import functools
import platform
import sys
import sysconfig
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import tensorflow_datasets as tfds

from ee_jax.data import held_out
from ee_jax.data.builder import Row, RowsBuilder

MAX_CHARACTERS = 300
MIN_WORDS = 4
CLASSES = 20
# Of 100 hash values, how many go to each split.
SHARES = {"train": 67, "validation": 8, "calibration": 12, "test": 13}

_NOT_THE_LIBRARY = {"site-packages", "dist-packages", "lib-dynload", "__pycache__"}
_TESTS = {"test", "tests", "idle_test"}
# Programs that ship inside the library's folder.
_PROGRAMS = {"idlelib", "lib2to3", "turtledemo"}
_SKIPPED = _NOT_THE_LIBRARY | _TESTS | _PROGRAMS
_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def sources(stdlib: Path) -> Iterator[tuple[str, Path]]:
    """Module and path of every source of a public module, in the order of the paths.

    A module whose name starts with `_` is private: often a second writing of a public one,
    such as `_pyio` of `io`.
    """
    for path in sorted(stdlib.rglob("*.py")):
        parts = path.relative_to(stdlib).parts
        module = parts[0].removesuffix(".py")
        if not module.startswith("_") and _SKIPPED.isdisjoint(parts[:-1]):
            yield module, path


def docstrings(source: bytes) -> list[str]:
    """Docstrings of the module, classes and functions of `source`, folded and cut.

    Those of fewer than `MIN_WORDS` words are left out; a source that is not Python has none.
    """
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return []
    nodes = (node for node in ast.walk(tree) if isinstance(node, _DOCUMENTED))
    texts = [_fold(ast.get_docstring(node, clean=False) or "") for node in nodes]
    return [text for text in texts if len(text.split()) >= MIN_WORDS]


def _fold(text: str) -> str:
    """Single spaces, `MAX_CHARACTERS` at most, nothing that UTF-8 cannot hold."""
    folded = " ".join(text.split())[:MAX_CHARACTERS].rstrip()
    return folded.encode("utf-8", "replace").decode("utf-8")


def module_of_text(stdlib: Path) -> dict[str, str]:
    """Each text once, with its module.

    A text that stands in two modules has no right answer and is left out altogether, so that
    nothing depends on which module is read first.
    """
    modules: dict[str, set[str]] = {}
    for module, path in sources(stdlib):
        for text in docstrings(path.read_bytes()):
            modules.setdefault(text, set()).add(module)
    return {text: found.pop() for text, found in modules.items() if len(found) == 1}


def largest(modules: Counter[str], count: int) -> list[str]:
    """The `count` modules with the most texts in the order of their names; ties by name."""
    ranked = sorted(modules, key=lambda module: (-modules[module], module))
    return sorted(ranked[:count])


def split_of(text: str) -> str:
    """The split of a text: its hash decides, whatever else is in the data set."""
    return held_out.split_of(text, SHARES)


def labelled_docstrings(
    stdlib: Path, classes: int = CLASSES
) -> tuple[list[str], dict[str, list[tuple[str, int]]]]:
    """Class names and, for each split, (text, label) in the order of the texts' hashes.

    That order mixes the modules, so the first rows of a split are a fair sample of it.
    """
    module_of = module_of_text(stdlib)
    names = largest(Counter(module_of.values()), classes)
    label_of = {name: label for label, name in enumerate(names)}
    splits: dict[str, list[tuple[str, int]]] = {split: [] for split in SHARES}
    for text in sorted(module_of, key=held_out.sha256):
        if module_of[text] in label_of:
            splits[split_of(text)].append((text, label_of[module_of[text]]))
    return names, splits


@functools.cache
def _read() -> tuple[list[str], dict[str, list[tuple[str, int]]]]:
    return labelled_docstrings(Path(sysconfig.get_path("stdlib")))


class StdlibDocstrings(RowsBuilder):
    """Docstrings of the running Python's standard library and the modules they stand in."""

    # TFDS takes three numbers only: a release candidate shares them with the release, and is
    # told from it by SOURCE.
    VERSION = tfds.core.Version("{}.{}.{}".format(*sys.version_info[:3]))
    SOURCE = f"Python {platform.python_version()}"
    DESCRIPTION = f"Docstrings of the standard library of {SOURCE}, with their modules."

    def classes(self) -> list[str]:
        """Names of the modules with the most docstrings."""
        return _read()[0]

    def rows(self) -> dict[str, Iterable[Row]]:
        """Docstring and number of its module."""
        return dict(_read()[1])
