"""Pairs of texts: a source, and the target that a model is to write of it.

From two files with a text a line, from tables, and from the JSON of SQuAD (Rajpurkar et al.
2016, arXiv:1606.05250). Splits that a folder lacks are drawn from the training pairs by hash,
all pairs of one source, or of one context of questions, together.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ee_jax.data.held_out import split_of
from ee_jax.data.own_rows import text_key
from ee_jax.data.pair_files import SQUAD, PairFiles, find_pair_files
from ee_jax.data.registry import nearest
from ee_jax.data.tables import check_text, ending_of, parse_json, read_table, read_text
from ee_jax.errors import UserError

# Of 100 hash values, how many go to each split, where the user's data lack it.
SHARES = {"validation": 15, "test": 15, "train": 70}
SPLITS = ("train", "validation", "test")
# Usual names of the two columns, the source's first.
COLUMNS = (
    ("source", "target"),
    ("src", "tgt"),
    ("document", "summary"),
    ("article", "highlights"),
    ("dialogue", "summary"),
    ("text", "summary"),
    ("question", "answer"),
)


class Pair(NamedTuple):
    """A source, and what is to be written of it."""

    source: str
    target: str
    references: tuple[str, ...] = ()  # further right targets

    @property
    def every_reference(self) -> tuple[str, ...]:
        """All that would be right: the target first."""
        return (self.target, *self.references)


class Found(NamedTuple):
    """A pair, and the text that decides its split."""

    key: str
    pair: Pair


def read_pairs(
    name: str, source: str | None = None, target: str | None = None
) -> dict[str, list[Pair]]:
    """The pairs of each split.

    Args:
      name: a folder with files of the splits, or of all pairs; or a file of all pairs.
      source: the column of the source, or the word for it in names of files; None: found by
        usual names.
      target: that of the target.

    Returns:
      Those of `train`, `validation` and `test`, in the order of the files.

    Raises:
      UserError: no pairs, or one with an empty side; says which file and line.
    """
    files = find_pair_files(name, source, target)
    found = {split: list(_read(each, source, target)) for split, each in files.items()}
    for split, each in files.items():
        if not found[split]:
            raise UserError(f"{each.source} holds no pairs: give a file with some")
    made = {split: [each.pair for each in rows] for split, rows in split_pairs(found).items()}
    for split, pairs in made.items():
        if not pairs:
            where = f"{name}: no pair for {split}"
            raise UserError(f"{where}: give more pairs, or a file for that split")
    return made


def checksum(pairs: Sequence[Pair]) -> str:
    """The SHA-256 of the pairs in order, in hexadecimal."""
    return hashlib.sha256(json.dumps(pairs).encode()).hexdigest()


def split_pairs(given: Mapping[str, Sequence[Found]]) -> dict[str, list[Found]]:
    """The pairs of all splits; those that are not given are drawn from `train` by hash.

    All pairs of one key go to one split, whatever else there is.
    """
    splits = {split: list(given.get(split, ())) for split in SPLITS}
    drawn = {
        split: share for split, share in SHARES.items() if split == "train" or not splits[split]
    }
    rows, splits["train"] = splits["train"], []
    for row in rows:
        splits[split_of(text_key(row.key), drawn)].append(row)
    return splits


def _read(files: PairFiles, source: str | None, target: str | None) -> Iterator[Found]:
    if files.source != files.target:
        return _lines(files)
    if ending_of(files.source) == SQUAD:
        return _squad(files.source)
    return _table(files.source, source, target)


def _lines(files: PairFiles) -> Iterator[Found]:
    """A text a line; line ends alone are taken off."""
    one, other = (read_text(path).removesuffix("\n").split("\n") for path in files)
    if len(one) != len(other):
        raise UserError(
            f"{files.source} has {len(one):,} lines and {files.target} {len(other):,}: line n "
            "of one must go with line n of the other"
        )
    for number, texts in enumerate(zip(one, other, strict=True), start=1):
        sides = zip(texts, files, ("source", "target"), strict=True)
        checked = [
            check_text(text.removesuffix("\r"), f"{path}:{number}", side)
            for text, path, side in sides
        ]
        yield Found(checked[0], Pair(checked[0], checked[1]))


def _table(path: Path, source: str | None, target: str | None) -> Iterator[Found]:
    lines = read_table(path)
    columns = find_sides([*lines[0].fields], source, target, path)
    for line in lines:
        for column in columns:
            if column not in line.fields:
                raise UserError(f"{line.where}: no `{column}`: give it in every row")
        text, answer = (line.fields[column] for column in columns)
        answers = answer if isinstance(answer, list) and answer else [answer]
        yield _found(line.where, text, text, answers)


def _found(where: str, key: object, source: object, targets: Sequence[object]) -> Found:
    checked = check_text(source, where, "source")
    target, *references = [check_text(each, where, "target") for each in targets]
    return Found(check_text(key, where, "context"), Pair(checked, target, tuple(references)))


def find_sides(
    header: Sequence[str], source: str | None, target: str | None, path: Path
) -> tuple[str, str]:
    """The columns of the two sides, by the names that are wanted, or else by usual names.

    Args:
      header: the names in the table.
      source: what the user calls the source; None: one of `COLUMNS`.
      target: what the user calls the target.
      path: the table, for errors.

    Raises:
      UserError: one is not there; says the nearest name.
    """
    for side, name in (("source", source), ("target", target)):
        if name is not None and name not in header:
            near = nearest(name, [*map(str, header)])
            raise UserError(f"{path}: no column `{name}` for data.{side}: {near}")
    for names in COLUMNS:
        one, other = source or names[0], target or names[1]
        if {one, other} <= {*header} and one != other:
            return one, other
    raise UserError(
        f"{path}: no columns of a source and a target, such as "
        f"{' or '.join(' + '.join(names) for names in COLUMNS[:3])}, among "
        f"{', '.join(map(str, header))}: name them with data.source and data.target"
    )


def _squad(path: Path) -> Iterator[Found]:
    """Questions about paragraphs, as T5 writes them (Raffel et al. 2020, appendix D.15)."""
    content = parse_json(read_text(path), path)
    for paragraph in _each(path, _each(path, [content], "data"), "paragraphs"):
        context = paragraph.get("context")
        for question in _each(path, [paragraph], "qas"):
            where = f"{path}, question {question.get('id')}"
            asked = check_text(question.get("question"), where, "question")
            given = [each.get("text") for each in _each(path, [question], "answers")]
            answers = dict.fromkeys(check_text(each, where, "answer") for each in given)
            if not answers:
                mend = "leave out what cannot be answered"
                raise UserError(f"{where}: it has no answer: {mend}")
            source = f"question: {asked} context: {context}"
            yield _found(where, context, source, [*answers])


def _each(path: Path, parts: Any, name: str) -> Iterator[dict[str, Any]]:
    """The objects in the lists of that name; a UserError where there is no such list."""
    for part in parts:
        inner = part.get(name) if isinstance(part, dict) else None
        if not isinstance(inner, list) or not all(isinstance(each, dict) for each in inner):
            mend = "save rows of another form as JSON lines (.jsonl)"
            raise UserError(f"{path}: no list `{name}` of objects, as SQuAD has them: {mend}")
        yield from inner
