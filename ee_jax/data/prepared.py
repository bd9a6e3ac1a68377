"""Data sets that are built once, and checked when built and whenever a split is opened."""

import contextlib
import io
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from jaxtyping import Num
from tensorflow_datasets.core.utils import tqdm_utils
from tensorflow_datasets.proto import tf_example_pb2

from ee_jax.data.builder import Row, RowsBuilder, tally_of
from ee_jax.data.dataset_dir import DatasetDir, Prepared, write_down
from ee_jax.data.registry import manual_folder, nearest
from ee_jax.data.text import Text
from ee_jax.errors import UserError
from ee_jax.owned_folder import held

BUILDING = ".building-"  # folders of data sets that are not whole yet begin so
JUST_MADE = 60  # seconds

# Rows read at a time: one by one takes longer, all at once holds them all twice.
_CHUNK = 4096


@dataclass(frozen=True)
class Examples:
    """A split in memory; `classes[label_N[n]]` is the right answer for `texts[n]`.

    Without classes, the label is the answer itself, a number.
    """

    texts: list[Text]
    label_N: Num[np.ndarray, " N"]  # int32; float32 where there are no classes
    classes: tuple[str, ...]


def prepare(
    name: str, folder: str | Path | None = None, manual_dir: str | Path | None = None
) -> Prepared:
    """Builds data set `name` under `folder` (see `root_folder`) unless it is there already.

    A data set that is made from files which the user fetches finds them in `manual_dir` (see
    `manual_folder`). Once it is built, nothing reads them, except to see that files which may
    be any are still the same.

    Raises:
      UserError: no such data set, a folder that cannot be written, a broken data set, or files
        that are missing or are not those it is made from.
    """
    return prepare_at(DatasetDir.of(name, folder), manual_dir)


def prepare_at(directory: DatasetDir, manual_dir: str | Path | None = None) -> Prepared:
    """`prepare` at a directory, for data sets that are in no registry."""
    name = directory.name
    files = manual_folder(manual_dir) if directory.kind.MANUAL else None
    try:
        if not directory.folder.exists():
            directory.folder.parent.mkdir(parents=True, exist_ok=True)
            _build(directory, files)
    except OSError as error:
        mend = "make room or set EE_JAX_DATA to another folder"
        raise UserError(
            f"cannot build `{name}` in {directory.folder} ({error}): {mend}"
        ) from error
    prepared = directory.load()
    if manual_dir and prepared.source != directory.kind.source_of(files):
        raise directory.broken(f"it was made from other files than those in {files}")
    return prepared


def open_split(name: str, split: str, folder: str | Path | None = None) -> Examples:
    """The rows of a split of a prepared data set, after a check that they are those written.

    Raises:
      UserError: no such data set or split; not prepared; files missing, broken or changed.
    """
    return open_at(DatasetDir.of(name, folder), split)


def open_at(directory: DatasetDir, split: str) -> Examples:
    """`open_split` at a directory, for data sets that are in no registry."""
    name, prepared = directory.name, directory.load()
    if split not in prepared.splits:
        raise UserError(f"no split `{split}` in `{name}`: {nearest(split, [*prepared.splits])}")
    try:
        rows = _read(prepared.folder, split)
    except Exception as error:  # whatever the readers make of a broken file
        raise directory.broken(f"split {split} cannot be read") from error
    found, written = tally_of(rows), prepared.splits[split]
    if found.rows != written.rows:
        raise directory.broken(f"split {split} has {found.rows} rows, not {written.rows}")
    if found.sha256 != written.sha256:
        raise directory.broken(f"the rows of split {split} are not those that were written")
    kind = np.int32 if prepared.classes else np.float32
    label_N = np.array([label for _, label in rows], kind)
    return Examples([text for text, _ in rows], label_N, prepared.classes)


def _build(directory: DatasetDir, files: Path | None) -> None:
    """Builds in a folder of its own; only what is complete and checked moves to its place."""
    _sweep(directory.folder.parent)
    with (
        tempfile.TemporaryDirectory(prefix=BUILDING, dir=directory.folder.parent) as scratch,
        held(Path(scratch)),
    ):
        builder = directory.kind(data_dir=scratch, file_format="array_record", manual_dir=files)
        with quiet():
            offline = tfds.download.DownloadConfig(try_download_gcs=False)
            builder.download_and_prepare(download_config=offline)
        built = Path(builder.data_dir)
        _check(builder, built)
        classes = tuple(builder.classes())
        source = builder.source_of(files)
        write_down(Prepared(built, source, classes, builder.written), built)
        try:
            built.rename(directory.folder)
        except OSError:
            if (
                not directory.folder.exists()
            ):  # else another process was first, with the same rows
                raise


def _sweep(parent: Path) -> None:
    """Deletes what killed processes were building: nobody holds it, and it is not just made."""
    for path in parent.glob(f"{BUILDING}*"):
        if time.time() - path.stat().st_mtime < JUST_MADE:
            continue
        with contextlib.suppress(UserError), held(path):
            shutil.rmtree(path, ignore_errors=True)


def _check(builder: RowsBuilder, built: Path) -> None:
    """Raises unless the files hold the rows that were generated, in order."""
    for split, written in builder.written.items():
        found = tally_of(_read(built, split))
        if found != written:
            raise RuntimeError(
                f"{builder.name}/{split}: generated {written}, files hold {found}"
            )


def _read(folder: Path, split: str) -> list[Row]:
    """The rows as they are stored; TFDS's own decoding of features takes most of the time."""
    builder = tfds.builder_from_directory(folder)
    raw = tfds.decode.DeserializeMethod.RAW_BYTES
    # TFDS wraps the method in a way that hides its parameters.
    source = builder.as_data_source(split, deserialize_method=raw)  # pyright: ignore
    chunks = (range(at, min(at + _CHUNK, len(source))) for at in range(0, len(source), _CHUNK))
    return [_row(record) for chunk in chunks for record in source.__getitems__(chunk)]


def _row(record: bytes) -> Row:
    example: Any = tf_example_pb2.Example  # pyright: ignore  # made when it is imported
    feature = example.FromString(record).features.feature
    (text,) = feature["text"].bytes_list.value
    label = feature["label"]
    (number,) = label.int64_list.value or label.float_list.value
    if "second" not in feature:
        return text.decode(), number
    (second,) = feature["second"].bytes_list.value
    return (text.decode(), second.decode()), number


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without the lines and progress bars that TFDS writes to the terminal."""
    active = tqdm_utils._active
    tqdm_utils.display_progress_bar(False)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        tqdm_utils.display_progress_bar(active)
