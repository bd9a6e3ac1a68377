"""The header of a GGUF file, llama.cpp's format: its metadata, and where each tensor lies.

The reader of the `gguf` library trusts every count; here a count is believed only as far as the
file's own bytes bear it out, so that a damaged file is one line. And of a vocabulary of 49,000
tokens, an array each there and 2.4 seconds, the header is read in a tenth of a second.
"""

from mmap import ACCESS_READ, mmap
from pathlib import Path
from struct import Struct, error
from typing import Any, NamedTuple

import numpy as np

from ee_jax.errors import UserError

MAGIC = b"GGUF"
VERSIONS = (2, 3)  # the first counted in 32 bits
U32, U64 = Struct("<I"), Struct("<Q")
# By the number of a value's kind; two are read otherwise.
SCALARS = {
    number: np.dtype(f"<{kind}")
    for number, kind in enumerate(("u1", "i1", "u2", "i2", "u4", "i4", "f4", "?"))
} | {10: np.dtype("<u8"), 11: np.dtype("<i8"), 12: np.dtype("<f8")}
STRING, ARRAY = 8, 9
MOST_AXES = 4
ALIGNMENT = 32  # of tensors, where the file does not say
WORDS = {str: "a string", int: "a whole number", bool: "true or false", list: "strings"}


class TensorEntry(NamedTuple):
    """A tensor in the table of a file."""

    shape: tuple[int, ...]  # as NumPy has it, the axis that moves fastest last
    kind: int  # ggml's number for how its values are packed
    start: int  # in bytes from the file's beginning


class Header(NamedTuple):
    """What a file says before its tensors."""

    path: Path
    metadata: dict[str, Any]  # arrays of strings are lists, others NumPy's
    tensors: dict[str, TensorEntry]

    def value(self, key: str, kind: type, default: Any = None) -> Any:
        """A field of the metadata, or the default where there is none.

        Raises:
          UserError: it holds another kind of value.
        """
        found = self.metadata.get(key)
        if found is None:
            return default
        if type(found) is not kind:
            what = WORDS.get(kind, "numbers")
            raise UserError(f"{key} in {self.path} is not {what}: take another file")
        return found


def is_gguf(path: Path) -> bool:
    """True for a file that by its name or by its first bytes is one of this format."""
    if path.suffix == ".gguf":
        return True
    try:
        with path.open("rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError:
        return False


def read_header(path: Path) -> Header:
    """All that stands before the tensors.

    Raises:
      UserError: the file is not there, is of another format or byte order, or its header does
        not fit into it.
    """
    try:
        with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as content:
            return _read(path, _Cursor(content))
    except error:
        problem = "it ends within its header"
    except OverflowError:
        problem = "a number in it is beyond all files"
    except (ValueError, OSError) as found:
        problem = str(found)
    raise UserError(f"{path} is no GGUF file that can be read ({problem}): fetch it again")


class _Cursor:
    """A place in the file, which moves on with all that is read."""

    def __init__(self, content: mmap):
        self.content, self.at = content, 0

    def number(self, form: Struct) -> int:
        (found,) = form.unpack_from(self.content, self.at)
        self.at += form.size
        return found

    def _claim(self, size: int) -> int:
        """The place of the next `size` bytes; ValueError where the file has fewer."""
        start, left = self.at, len(self.content) - self.at
        if size > left:
            raise ValueError(f"byte {start} begins {size} bytes, and {left} are left")
        self.at += size
        return start

    def string(self) -> str:
        start = self._claim(self.number(U64))
        return self.content[start : self.at].decode()

    def name(self) -> str:
        found = self.string()
        if not found.isprintable():
            raise ValueError(f"a name in it is {found[:40]!r}")
        return found

    def numbers(self, kind: int, count: int) -> np.ndarray:
        if kind not in SCALARS:
            raise ValueError(f"byte {self.at} begins values of kind {kind}, which is not known")
        dtype = SCALARS[kind]
        start = self._claim(count * dtype.itemsize)
        return np.frombuffer(self.content, dtype, count, start).copy() if count else np.empty(0)

    def value(self) -> Any:
        kind = self.number(U32)
        if kind == STRING:
            return self.string()
        if kind != ARRAY:
            return self.numbers(kind, 1)[0].item()
        kind, count = self.number(U32), self.number(U64)
        if kind == STRING:  # each takes bytes of the file, whatever the count says
            return [self.string() for _ in range(count)]
        return self.numbers(kind, count)


def _read(path: Path, cursor: _Cursor) -> Header:
    if (magic := cursor.content[: len(MAGIC)]) != MAGIC:
        raise ValueError(f"it begins with {magic!r}, not {MAGIC!r}")
    cursor.at = len(MAGIC)
    _check_version(path, cursor.number(U32))
    tensors, fields = cursor.number(U64), cursor.number(U64)
    metadata: dict[str, Any] = {}
    for _ in range(fields):
        if (key := cursor.name()) in metadata:
            raise ValueError(f"{key} stands in it twice")
        metadata[key] = cursor.value()
    entries: dict[str, TensorEntry] = {}
    for _ in range(tensors):
        if (name := cursor.name()) in entries:
            raise ValueError(f"tensor {name} stands in it twice")
        entries[name] = _entry(name, cursor)
    begin = _first_tensor(metadata, cursor.at)
    entries = {name: own._replace(start=begin + own.start) for name, own in entries.items()}
    return Header(path, metadata, entries)


def _check_version(path: Path, version: int) -> None:
    if version.to_bytes(4, "big") in {known.to_bytes(4, "little") for known in VERSIONS}:
        raise UserError(f"{path} is big-endian: convert it, gguf-convert-endian {path} little")
    if version not in VERSIONS:
        raise UserError(
            f"{path} is of version {version} of GGUF, and {' and '.join(map(str, VERSIONS))} "
            "are read: convert the model again with today's llama.cpp"
        )


def _entry(name: str, cursor: _Cursor) -> TensorEntry:
    axes = cursor.number(U32)
    if not 1 <= axes <= MOST_AXES:
        raise ValueError(f"tensor {name} has {axes} axes")
    shape = tuple(cursor.number(U64) for _ in range(axes))[::-1]
    if 0 in shape:
        raise ValueError(f"tensor {name} has the shape {shape}")
    return TensorEntry(shape, cursor.number(U32), cursor.number(U64))


def _first_tensor(metadata: dict[str, Any], header: int) -> int:
    """Where tensors begin: after a header of so many bytes, at the next aligned one."""
    alignment = metadata.get("general.alignment", ALIGNMENT)
    if type(alignment) is not int or alignment < 1 or alignment & (alignment - 1):
        raise ValueError(f"general.alignment is {alignment!r:.40}, not a power of two")
    return -(-header // alignment) * alignment
