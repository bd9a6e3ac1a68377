"""`text/NAME`: the documents of a folder of text files, for language models.

NAME is the user's, and so are the files: data sets of several folders lie side by side.
"""

import gzip
import hashlib
import re
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar

import tensorflow_datasets as tfds

from ee_jax.data.builder import Row, RowsBuilder
from ee_jax.data.documents import splits_of
from ee_jax.errors import UserError

ENDINGS = (".txt", ".txt.gz")


class TextFiles(RowsBuilder, skip_registration=True):
    """Documents of the text files in `manual_dir`, and the files they stand in."""

    VERSION = tfds.core.Version("1.0.0")  # of documents and splits
    SOURCE = "text files"
    DESCRIPTION = "Documents of text files, each with the file it stands in."
    MANUAL: ClassVar[str | None] = "one or more files that end in .txt or .txt.gz"

    @classmethod
    def source_of(cls, manual_dir: Path | None) -> str:
        """Says which files, so that a change of them is found."""
        digest = hashlib.sha256()
        for path in find(manual_dir):
            digest.update(f"{path.name}\0".encode() + path.read_bytes())
        return f"{cls.SOURCE}, sha256 {digest.hexdigest()}"

    def classes(self) -> list[str]:
        """The files' names."""
        return [path.name for path in find(self.manual_dir)]

    def rows(self) -> dict[str, Iterable[Row]]:
        """The documents of each split, in the order of the files."""
        splits = splits_of({path.name: read(path) for path in find(self.manual_dir)})
        empty = [split for split, rows in splits.items() if not rows]
        if empty:
            raise UserError(
                f"the text in {self.manual_dir} gives no document for {', '.join(empty)}: add "
                "text, or name the files of each split so: train.txt, valid.txt, test.txt"
            )
        return dict(splits)


def builder_of_text(name: str) -> type[TextFiles]:
    """The builder of the data set `text/NAME`."""
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        made = "lower-case letters, digits and _, as in text/shakespeare"
        raise UserError(f"no data set `text/{name}`: name your own text with {made}")
    # TFDS reads the name from the class.
    return type("Text", (TextFiles,), {"name": f"text_{name}"}, skip_registration=True)


def find(folder: Path | None) -> list[Path]:
    """The text files in `folder`, by name."""
    if folder is None:
        ways = "`--manual-dir` (in a config: `data.manual_dir`)"
        raise UserError(f"name the folder of your text files with {ways}")
    if not folder.is_dir():
        raise UserError(f"no folder {folder}: it should hold {TextFiles.MANUAL}")
    found = sorted(
        path for path in folder.iterdir() if path.name.endswith(ENDINGS) and path.is_file()
    )
    if not found:
        raise UserError(f"no text in {folder}: it should hold {TextFiles.MANUAL}")
    return found


def read(path: Path) -> str:
    """The text of a file, plain or gzipped; newlines are made `\\n`."""
    try:
        content = path.read_bytes()
        content = gzip.decompress(content) if path.suffix == ".gz" else content
        text = content.decode("utf-8-sig")
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise UserError(f"cannot read {path} ({error}): save it as UTF-8 text") from error
    return text.replace("\r\n", "\n").replace("\r", "\n")
