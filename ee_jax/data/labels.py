"""Labels of a user's rows: classes by words or numbers, or scores."""

import math
from collections.abc import Iterable, Sequence
from numbers import Number
from typing import Any, NamedTuple

import numpy as np

from ee_jax.checks import UNWRITTEN, WIDEST, shown
from ee_jax.errors import UserError

LARGEST = 1e9  # of a score; single precision must tell labels apart
SCORE = "score"  # a column of this name holds numbers, whatever they are


class Labelled(NamedTuple):
    """A row of a user's data before its label is a number."""

    text: str | tuple[str, str]
    label: Any
    where: str  # file and line, for errors


class Labels(NamedTuple):
    """What labels stand for: classes, in the order of their numbers, or scores."""

    classes: tuple[str, ...]  # none of scores
    score_range: tuple[float, float] | None = None  # the lowest and the highest

    def number(self, row: Labelled) -> int | float:
        """The class's number, or the score as float32 holds it."""
        if self.classes:
            return self.classes.index(str(row.label))
        return _as_float32(float(row.label))


def find_labels(
    training: Sequence[Labelled], others: Iterable[Labelled], column: str
) -> Labels:
    """What the labels are, from those of the training rows; the others must have the same.

    A column `score`, or numbers of which any is a fraction, are scores; all else are classes,
    whole numbers in their order, and words in the alphabet's.

    Args:
      training: the rows that are trained on.
      others: all other rows.
      column: the name of the labels' column.

    Raises:
      UserError: a label is missing, is no number among scores, is not among the training rows,
        or there is one class only.
    """
    others = list(others)
    for row in (*training, *others):
        _check_label(row)
    if _are_scores(training, column):
        return Labels((), _range([*training, *others]))
    classes = (*_in_order({str(row.label) for row in training}),)
    if len(classes) < 2:
        where = training[0].where.rpartition(":")[0] or training[0].where
        only = training[0].label
        raise UserError(f"{where}: every label is `{only}`: give rows of two classes")
    known = {*classes}
    for row in others:
        if str(row.label) not in known:
            raise UserError(
                f"{row.where}: label `{row.label}` is in no training row: add some, or leave "
                "out the row"
            )
    return Labels(classes)


def _check_label(row: Labelled) -> None:
    """Raises unless a label is a word, which has one line, or a number."""
    label = row.label
    if label is None or (isinstance(label, str) and not label.strip()) or label != label:
        raise UserError(f"{row.where}: the label is empty: give one, or leave out the row")
    if isinstance(label, float) and math.isinf(label):
        raise UserError(f"{row.where}: the label is {label}: give a finite number")
    whole = isinstance(label, int) and abs(label) >= WIDEST
    word = isinstance(label, str) and not UNWRITTEN.search(label)
    if whole or not (word or isinstance(label, Number | np.generic)):
        raise UserError(f"{row.where}: the label is {shown(label)}: give a word or a number")


def _are_scores(rows: Sequence[Labelled], column: str) -> bool:
    numbers = [_number(row.label) for row in rows]
    if column == SCORE:
        for row, number in zip(rows, numbers, strict=True):
            _check_score(row, number)
        return True
    known = [number for number in numbers if number is not None]
    return len(known) == len(rows) and any(number % 1 for number in known)


def _number(label: Any) -> float | None:
    try:
        return None if isinstance(label, bool) else float(label)
    except (TypeError, ValueError, OverflowError):
        return None


def _check_score(row: Labelled, number: float | None) -> None:
    if number is None or not math.isfinite(number):
        raise UserError(f"{row.where}: the score `{row.label}` is no finite number: mend it")
    if abs(number) >= LARGEST:
        mend = "divide all by one number"
        raise UserError(f"{row.where}: the score {number:g} is beyond 10^9: {mend}")


def _range(rows: Sequence[Labelled]) -> tuple[float, float]:
    """The lowest and the highest score."""
    for row in rows:
        _check_score(row, _number(row.label))
    scores = [_as_float32(float(row.label)) for row in rows]
    low, high = min(scores), max(scores)
    if low == high:
        raise UserError(f"{rows[0].where}: every score is {low:g}: give rows that differ")
    return low, high


def _as_float32(value: float) -> float:
    return float(np.float32(value))


def _in_order(labels: Iterable[str]) -> list[str]:
    labels = list(labels)
    whole = all(label.removeprefix("-").isdecimal() and len(label) < 20 for label in labels)
    # 1 and 01 are two words of one number: the words decide, in every process alike.
    return sorted(labels, key=lambda label: (int(label), label) if whole else (0, label))
