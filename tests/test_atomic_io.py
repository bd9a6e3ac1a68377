"""Files that are there whole or not at all."""

import errno
from pathlib import Path

import pytest

from ee_jax.atomic_io import replacing


def write_half(path: Path) -> None:
    with replacing(path) as part:
        part.write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_write_that_fails_names_the_file_and_leaves_the_old_one(tmp_path):
    """`write` knows no name, so that the line of a full disk said `the output`."""
    path = tmp_path / "table.md"
    path.write_text("old")
    with pytest.raises(OSError, match="No space") as error:
        write_half(path)
    assert error.value.filename == str(path)
    assert path.read_text() == "old"
    assert [*tmp_path.iterdir()] == [path]


def test_what_a_killed_process_left_is_replaced(tmp_path):
    (tmp_path / "table.md.part").write_text("half of another")
    with replacing(tmp_path / "table.md") as part:
        part.write_text("new")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [
        ("table.md", "new")
    ]
