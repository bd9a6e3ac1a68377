"""Which files of a folder hold pairs of texts, and of which split.

A file may hold both sides of each pair, as a table or as the JSON of SQuAD; or each side has a
file of its own, a text a line, and their names differ in one word: `src-train.txt` and
`tgt-train.txt`, `train.en` and `train.de`, `train.en-de.en` and `train.en-de.de`, all of them
plain or gzipped.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ee_jax.atomic_io import expanded
from ee_jax.data.documents import split_of_name
from ee_jax.data.registry import nearest
from ee_jax.data.tables import ENDINGS, ending_of
from ee_jax.errors import UserError

SQUAD = ".json"
BOTH = (*ENDINGS, SQUAD)  # of files that hold both sides
# How the two sides are called, in names of files.
SIDES = (("src", "tgt"), ("source", "target"))


class PairFiles(NamedTuple):
    """The files of a split's two sides; the same one twice where it holds both."""

    source: Path
    target: Path


def find_pair_files(
    name: str, source: str | None = None, target: str | None = None
) -> dict[str, PairFiles]:
    """The files of each split, by their names.

    Args:
      name: a folder, or a file that holds both sides.
      source: the word for the source in names of files, such as `en`; None: one of `SIDES`.
      target: that for the target.

    Returns:
      Those of `train`, and of `validation` and `test` where there are such. One file, or one
      pair of files, whose name speaks of no split is `train`: all of it is yet to be split.

    Raises:
      UserError: there are none of pairs, or two of one split.
    """
    path = expanded(name)
    if path.is_file():
        if ending_of(path) not in BOTH:
            mend = "where each side has a file, give their folder"
            raise UserError(f"{path} ends in none of {', '.join(BOTH)}: {mend}")
        return {"train": PairFiles(path, path)}
    if not path.is_dir():
        beside = [each.name for each in path.parent.glob("*")] if path.parent.is_dir() else []
        near = nearest(path.name, beside) if beside else "check the path"
        raise UserError(f"no file or folder {path}: {near}")
    files = [file for file in sorted(path.iterdir()) if file.is_file()]
    sides = {(source or one, target or other): None for one, other in SIDES}  # each once
    found = [PairFiles(file, file) for file in files if ending_of(file) in BOTH]
    for pair in sides:
        found += _of_sides(files, *pair)
    return _by_split(path, found, [*sides])


def _of_sides(files: Sequence[Path], source: str, target: str) -> list[PairFiles]:
    """Files whose names differ only in a word, `source` in one and `target` in the other."""
    by_name: dict[str, Path] = {}
    for file in files:
        if ending_of(file) not in BOTH:
            by_name.setdefault(file.name.removesuffix(".gz"), file)
    found = [
        PairFiles(file, by_name[other])
        for name, file in by_name.items()
        for other in _renamed(name, source, target)
        if other in by_name
    ]
    if found:
        _check_whole([*by_name.values()], found, source, target)
    return found


def _renamed(name: str, old: str, new: str) -> list[str]:
    """The name with one word put for another, at each place where it stands."""
    word = re.finditer(rf"(?<![^\W_]){re.escape(old)}(?![^\W_])", name)
    return [f"{name[: at.start()]}{new}{name[at.end() :]}" for at in word]


def _check_whole(
    files: Sequence[Path], found: Sequence[PairFiles], source: str, target: str
) -> None:
    """Raises UserError where a split has one side alone."""
    whole = {split_of_name(pair.source.name) for pair in found} | {None}
    for file in files:
        other = [*_renamed(file.name, source, target), *_renamed(file.name, target, source)]
        if other and split_of_name(file.name) not in whole:
            raise UserError(f"{file} has no other side: put {other[0]} beside it")


def _by_split(
    path: Path, found: Sequence[PairFiles], sides: Sequence[tuple[str, str]]
) -> dict[str, PairFiles]:
    if not found:
        names = " or ".join(f"train.{one} and train.{other}" for one, other in sides)
        mend = "name the two sides with data.source and data.target"
        raise UserError(
            f"no pairs of texts in {path}: it should hold a file that ends in "
            f"{', '.join(BOTH)}, or two such as {names}; {mend}"
        )
    named = [(split_of_name(files.source.name), files) for files in found]
    if any(split for split, _ in named):  # then others, such as notes, are of none
        named = [(split, files) for split, files in named if split]
    splits: dict[str, PairFiles] = {}
    for split, files in named:
        if (split := split or "train") in splits:
            both = f"{splits[split].source} and {files.source} are both of {split}"
            raise UserError(f"{both}: keep one, or say train, validation or test in the names")
        splits[split] = files
    if "train" not in splits:
        first = next(iter(splits.values())).source
        raise UserError(f"no training pairs in {path}: it holds {first.name}: add a train file")
    return splits
