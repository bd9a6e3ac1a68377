"""`stdlib_docstrings`: which module of the standard library does a docstring belong to?

Real text and labels on every machine, without a download: the docstrings of the Python that is
running. Another Python has other docstrings, so its version is the version of the data.
"""

import functools
import platform
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path

import tensorflow_datasets as tfds

from ee_jax.data.builder import Row, RowsBuilder
from ee_jax.data.docstrings import labelled_docstrings


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
