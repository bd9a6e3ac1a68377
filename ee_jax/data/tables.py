"""Rows of a table file with the number of the line that each begins on.

TSV and CSV as spreadsheets and pandas write them (a field with a separator, a quote or a line
end in it stands in double quotes, a quote in it twice), JSON lines, and Parquet; those of text
plain or gzipped.
"""

import csv
import gzip
import io
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from ee_jax.checks import shown
from ee_jax.errors import UserError

SEPARATORS = {".tsv": "\t", ".csv": ","}
ENDINGS = (*SEPARATORS, ".jsonl", ".parquet")
LONGEST = 2**24  # characters of a field
GROWS = 100  # of gzip; texts grow about 4 times, and a broken or hostile file 1,032 times
SMALL = 2**26  # bytes that any may grow to
ROWS_A_BYTE = 8  # of Parquet; rows of texts take bytes, and a footer may promise any number


class Line(NamedTuple):
    """One row, by the names of its columns."""

    where: str  # file and line, for errors
    fields: dict[str, Any]


def read_table(path: Path) -> list[Line]:
    """The rows of a file, told by its ending.

    Args:
      path: a file that ends in one of `ENDINGS`, and maybe in `.gz`.

    Returns:
      Every row under the header; of TSV and CSV the fields are text.

    Raises:
      UserError: it cannot be read, is no such table, or has no rows; says which line.
    """
    ending = ending_of(path)
    if ending not in ENDINGS:
        raise UserError(f"{path} ends in none of {', '.join(ENDINGS)}: save it as one of them")
    if not path.is_file():
        raise UserError(f"{path} is no file: give one")
    if ending == ".parquet":
        lines = list(_parquet(path))
    elif ending == ".jsonl":
        lines = list(_json_lines(path))
    else:
        lines = list(_separated(path, SEPARATORS[ending]))
    if not lines:
        raise UserError(f"{path} has no rows: give a file with some")
    return lines


def ending_of(path: Path) -> str:
    """What tells a file's kind: `.tsv` of `rows.tsv`, and of `rows.tsv.gz`."""
    return Path(path.stem if path.suffix == ".gz" else path.name).suffix


def read_text(path: Path) -> str:
    """The text of a UTF-8 file, gzipped or not; a UserError that says which line is not."""
    try:
        content = gunzip(path) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        why = getattr(error, "strerror", None) or error
        raise UserError(f"cannot read {path} ({why}): check it") from None
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise UserError(f"{path}:{line}: not UTF-8 text: save the file as UTF-8") from None


def check_text(text: object, where: str, what: str = "text") -> str:
    """The text itself; a UserError where it is none, empty, or cannot be written down.

    Args:
      text: what a row holds.
      where: file and line, for errors.
      what: which text of the row, for errors.
    """
    if not isinstance(text, str):
        raise UserError(f"{where}: the {what} is {shown(text)}, not text: mend it")
    if not text.isascii() and text != text.encode(errors="replace").decode():
        half = "half of a surrogate pair, which is no character"
        raise UserError(f"{where}: the {what} holds {half}: mend it")
    if not text.strip():
        raise UserError(f"{where}: the {what} is empty: give one, or leave it out")
    return text


def parse_json(text: str, path: Path, first: int = 1) -> Any:
    """What a file's JSON says, or one line's; a UserError that says which line is none.

    Args:
      text: the JSON.
      path: where it stands, for errors.
      first: the line that it begins on.
    """
    try:
        found = json.loads(text)
        if "\\u" in text:  # which can write halves of characters
            json.dumps(found, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        half = "half of a surrogate pair, which is no character"
        raise UserError(f"{path}:{first}: {half}: mend the line") from None
    except json.JSONDecodeError as error:
        line = first + error.lineno - 1
        raise UserError(f"{path}:{line}: not JSON ({error.msg}): mend the line") from None
    except (ValueError, RecursionError) as error:
        what = "nested too deep" if isinstance(error, RecursionError) else error
        raise UserError(f"{path}:{first}: not JSON ({what}): mend the line") from None
    return found


def _separated(path: Path, separator: str) -> Iterator[Line]:
    csv.field_size_limit(LONGEST)
    reader = csv.reader(io.StringIO(read_text(path), ""), delimiter=separator, strict=True)
    header = _next(path, reader, 1)
    if header is None:
        return
    if len({*header}) < len(header):
        raise UserError(f"{path}:1: two columns have one name: give each its own")
    while True:
        number = reader.line_num + 1
        fields = _next(path, reader, number)
        if fields is None:
            return
        if fields:  # an empty line is no row
            yield Line(f"{path}:{number}", _by_name(path, number, header, fields))


def _next(path: Path, reader: Any, number: int) -> list[str] | None:
    try:
        return next(reader, None)
    except csv.Error as error:
        mend = 'a field with a quote in it stands in quotes, with "" for each'
        closes = "a quote never closes" if "unexpected end" in str(error) else str(error)
        raise UserError(f"{path}:{number}: {closes}: {mend}") from None


def _by_name(path: Path, number: int, header: list[str], fields: list[str]) -> dict[str, str]:
    if len(fields) != len(header):
        raise UserError(
            f"{path}:{number}: {len(fields)} fields, but the header names {len(header)} "
            f"({', '.join(header)}): make them as many"
        )
    return dict(zip(header, fields, strict=True))


def _json_lines(path: Path) -> Iterator[Line]:
    for number, text in enumerate(read_text(path).split("\n"), start=1):
        if not text.strip():
            continue
        fields = parse_json(text, path, number)
        if not isinstance(fields, dict):
            raise UserError(f'{path}:{number}: not an object, as {{"text": "..."}} is one')
        yield Line(f"{path}:{number}", fields)


def _parquet(path: Path) -> Iterator[Line]:
    import pyarrow.parquet

    try:
        # Not `read_table`, which takes folders of the path for columns.
        with pyarrow.parquet.ParquetFile(path) as file:
            claimed, names = file.metadata.num_rows, file.schema_arrow.names
            if claimed > ROWS_A_BYTE * path.stat().st_size:
                raise ValueError(f"it says that it has {claimed} rows, more than it holds")
            if len({*names}) < len(names):
                raise ValueError("two columns have one name")
            rows = file.read().to_pylist()
    except Exception as error:  # whatever Arrow makes of a broken file
        raise UserError(f"cannot read {path} ({error}): check it") from None
    for number, fields in enumerate(rows, start=1):
        yield Line(f"{path}, row {number}", fields)


def gunzip(path: Path) -> bytes:
    """The content of a gzipped text, of which no more is unpacked than a text may hold.

    Raises:
      UserError: it unpacks to more than `SMALL` and than `GROWS` times its size.
    """
    most = max(SMALL, GROWS * path.stat().st_size)
    with gzip.open(path) as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise UserError(
            f"{path} unpacks to more than {most / 2**20:,.0f} MiB, as no text of its size "
            "does: if that is right, unpack it yourself"
        )
    return content
