"""A user's rows as a data set: splits, labels, and a name that changes when the rows do."""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import tensorflow_datasets as tfds

from ee_jax.data.builder import Row, RowsBuilder
from ee_jax.data.held_out import Shares, split_of
from ee_jax.data.labels import Labelled, Labels, find_labels
from ee_jax.data.tables import check_text
from ee_jax.errors import UserError

# Of 100 hash values, how many go to each split, where the user's data lack it.
FROM_TRAIN = {"validation": 5, "calibration": 10, "test": 15, "train": 70}
FROM_DEV = {"validation": 30, "calibration": 70}  # where validation data are given
SPLITS = tuple(FROM_TRAIN)
Given = Mapping[str, Sequence[Labelled]]  # of train, and maybe validation, calibration, test


def builder_of_rows(name: str, source: str, given: Given, column: str) -> type[RowsBuilder]:
    """The builder of a user's rows.

    Args:
      name: what the data set is called, in words.
      source: what the rows were made from, e.g. a path.
      given: rows by split; those that are missing are made from train (or from validation) by
        the hash of each row's text, so that equal texts are in one split.
      column: the name of the labels' column.

    Raises:
      UserError: no training rows, an empty text, labels that cannot be learned, or a split
        that would be empty.
    """
    if not given.get("train"):
        raise UserError(f"{source}: no training rows: name their file train")
    for rows in given.values():
        _check_texts(rows)
    splits = split_rows(given)
    for split, rows in splits.items():
        if not rows:
            raise UserError(
                f"{source}: no row for {split}: give more rows, or a file for that split"
            )
    others = (row for split, rows in splits.items() if split != "train" for row in rows)
    labels = find_labels(splits["train"], others, column)
    made = {
        split: [(row.text, labels.number(row)) for row in rows]
        for split, rows in splits.items()
    }
    return _builder(name, source, made, labels)


def _builder(
    name: str, source: str, made: dict[str, list[Row]], labels: Labels
) -> type[RowsBuilder]:
    digest = hashlib.sha256(json.dumps([made, labels]).encode()).hexdigest()
    plain = re.sub(r"\W+", "_", name.lower()).strip("_")
    metrics = ("accuracy",) if labels.classes else ("pearson", "spearman")
    body: dict[str, Any] = {
        # TFDS reads the name from the class; a change of the rows is another data set.
        "name": f"own_{plain}_{digest[:12]}",
        "VERSION": tfds.core.Version("1.0.0"),
        "SOURCE": f"rows with sha256 {digest}",
        "DESCRIPTION": f"A user's rows, {source}.",
        "PAIRS": isinstance(made["train"][0][0], tuple),
        "METRICS": metrics,
        "LABEL_RANGE": labels.score_range,
        "classes": lambda self: list(labels.classes),
        "rows": lambda self: made,
    }
    return type("Own", (RowsBuilder,), body, skip_registration=True)


def split_rows(given: Given) -> dict[str, list[Labelled]]:
    """The rows of all four splits; missing ones are made by hash."""
    splits = {split: list(given.get(split, ())) for split in SPLITS}
    if splits["validation"] and not splits["calibration"]:
        splits |= _by_hash(splits["validation"], FROM_DEV)
    missing = {split for split, rows in splits.items() if not rows}
    if missing:
        shares = {s: share for s, share in FROM_TRAIN.items() if s in missing or s == "train"}
        splits |= _by_hash(splits["train"], shares)
    return splits


def _by_hash(rows: Iterable[Labelled], shares: Shares) -> dict[str, list[Labelled]]:
    found: dict[str, list[Labelled]] = {split: [] for split in shares}
    for row in rows:
        found[split_of(text_key(row.text), shares)].append(row)
    return found


def text_key(text: str | tuple[str, str]) -> str:
    """What is the same for texts that differ in spaces, and for a pair turned round."""
    texts = (text,) if isinstance(text, str) else text
    return "\t".join(sorted(" ".join(each.split()) for each in texts))


def _check_texts(rows: Sequence[Labelled]) -> None:
    for row in rows:
        texts = row.text if isinstance(row.text, tuple) else (row.text,)
        for text in texts:
            check_text(text, row.where)
