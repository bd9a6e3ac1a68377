"""What a folder consists of, and how each file was when it was written.

`manifest.json` in a folder lists its files with their sizes and their SHA-256. A folder below
that has a manifest of its own is one entry in it, that manifest, so that an exported model can
be taken out of its run and still be checked. What reads a file back calls `check_files` first:
a flipped bit is an error, never a number.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ee_jax.atomic_io import parse_object, resolved, write_json
from ee_jax.errors import UserError

MANIFEST = "manifest.json"
CHECKPOINTS = "checkpoints"  # of no use to a finished run, and each with its own manifest
FORMAT = {"format": "ee_jax manifest", "version": 1}


class Entry(NamedTuple):
    """A file as it was written."""

    bytes: int
    sha256: str


def entry_of(path: Path) -> Entry:
    """The file as it is now."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Entry(path.stat().st_size, digest)


def is_sealed(folder: Path) -> bool:
    """True for a folder that has a manifest."""
    return (folder / MANIFEST).is_file()


def seal(
    folder: Path,
    coming: Mapping[str, bytes] | None = None,
    kept: Mapping[str, Entry] | None = None,
) -> None:
    """Writes the manifest of all files that are in the folder now.

    Args:
      folder: of a run, a checkpoint or a model.
      coming: files that will be written right after, by name, so that whoever finds them finds
        them listed.
      kept: entries that stay as they are, of files that were written and listed before.
    """
    found = dict(kept or {})
    for name in files_of(folder):
        if name not in found:
            found[name] = entry_of(folder / name)
    for name, content in (coming or {}).items():
        found[name] = Entry(len(content), hashlib.sha256(content).hexdigest())
    files = {name: found[name]._asdict() for name in sorted(found)}
    write_json(folder / MANIFEST, {**FORMAT, "files": files})


def files_of(folder: Path) -> list[str]:
    """Names of the files below a folder; of a sealed folder below, that of its manifest."""
    return sorted(path.relative_to(folder).as_posix() for path in _walk(folder))


def _walk(folder: Path) -> Iterator[Path]:
    for path in folder.iterdir():
        if path.name.startswith(".") or path.suffix == ".part" or path.name == CHECKPOINTS:
            continue
        if path.is_dir() and not path.is_symlink():
            yield from [path / MANIFEST] if is_sealed(path) else _walk(path)
        elif path.name != MANIFEST:
            yield path


def read_manifest(folder: Path, mend: str) -> dict[str, Entry]:
    """The entries by name.

    Raises:
      UserError: it is missing or damaged; ends with `mend`.
    """
    path = folder / MANIFEST
    try:
        content = parse_object(path.read_text(encoding="utf-8"))
        if not FORMAT.items() <= content.items():
            raise ValueError("it is no manifest of this version")
        return {name: Entry(**entry) for name, entry in content["files"].items()}
    except FileNotFoundError:
        raise UserError(f"{path} is missing: {mend}") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path} cannot be read ({error}): {mend}") from None


def check_files(folder: Path, mend: str, names: Iterable[str] | None = None) -> None:
    """Raises unless files are as they were written.

    Args:
      folder: a sealed one.
      mend: what to do about a file, the end of the error's line; without its manifest the whole
        folder is worth nothing.
      names: which of its files; None: all that the manifest lists.

    Raises:
      UserError: the first file that is missing, changed, or not listed.
    """
    listed = read_manifest(folder, f"copy {folder} again, or delete {folder}")
    for name in listed if names is None else names:
        if name not in listed:
            raise UserError(f"{folder / name} is not in {MANIFEST} beside it: {mend}")
        if fault := _fault(folder / name, listed[name]):
            raise UserError(f"{folder / name} {fault}: {mend}")


def check_in_folder(path: Path) -> None:
    """Checks a file by the manifest of its folder, or of the nearest above that has one.

    A file that it does not list, as one that was copied there, is not checked.

    Raises:
      UserError: it is not as it was written.
    """
    path = resolved(path)
    folder = next(filter(is_sealed, path.parents), None)
    if folder is not None:
        mend = f"copy {folder} again, or, if the change is yours, move the file out of it"
        name = path.relative_to(folder).as_posix()
        if name in read_manifest(folder, mend):
            check_files(folder, mend, [name])


class Fault(NamedTuple):
    """A file that is not as it was written."""

    path: Path
    what: str


def faults(folder: Path) -> list[Fault]:
    """What is not as it was written in a sealed folder and in those below it."""
    try:
        listed = read_manifest(folder, "")
    except UserError:
        return [Fault(folder / MANIFEST, "cannot be read")]
    found = [Fault(folder / name, _fault(folder / name, listed[name])) for name in listed]
    below = [folder / name for name in listed if Path(name).name == MANIFEST]
    return [
        *(fault for fault in found if fault.what),
        *(fault for path in below if path.is_file() for fault in faults(path.parent)),
    ]


def unlisted(folder: Path) -> list[Path]:
    """The files of a sealed folder that its manifest does not list."""
    listed = read_manifest(folder, "copy the folder again")
    return [folder / name for name in files_of(folder) if name not in listed]


def _fault(path: Path, written: Entry) -> str:
    """What is wrong with a file, or nothing."""
    if not path.is_file():
        return "is missing"
    if entry_of(path) != written:
        return "is not as it was written (its SHA-256 differs)"
    return ""


def read_object(path: Path, mend: str) -> dict[str, Any]:
    """A JSON object; a UserError that ends with `mend` where there is none."""
    try:
        return parse_object(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise UserError(f"{path} cannot be read ({error}): {mend}") from None
