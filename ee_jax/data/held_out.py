"""Rows to hold out of a training set whose texts are pieces of each other.

Of the 66,978 different texts of SST-2's training set, 60,093 are phrases that stand, word for
word, inside another one. Held out each by the hash of its own text, nearly all would share
words with training rows that hold them or that they hold, and whatever is chosen on them would
be chosen on text that the model has learned. So a sentence is held out together with its
phrases.
"""

import hashlib
from collections.abc import Set
from itertools import combinations

from ee_jax.data.builder import Row

# Of 1,000 hash values, how many go to each split. A phrase of several sentences follows the
# one that stands last here: what is in a training sentence is trained on.
SHARES = {"validation": 30, "calibration": 75, "train": 895}


def held_out(rows: list[Row]) -> dict[str, list[Row]]:
    """The rows of each split of `SHARES`.

    The hash of its sentence decides where a row goes: the text of the training set that holds
    the row's text and is held by no other. No text of a held-out split stands in a training
    text, equal texts are in one split, and the order of the file plays no part.

    Within a split, rows are in the order of the hashes of their texts, so the first rows are a
    fair sample of it.
    """
    texts = {text: " ".join(text.split()) for text, _ in rows}
    points = _points(set(texts.values()))
    splits: dict[str, list[Row]] = {split: [] for split in SHARES}
    for text, label in sorted(rows, key=lambda row: _sha256(row[0])):
        splits[_split_at(points[texts[text]])].append((text, label))
    return splits


def _points(texts: Set[str]) -> dict[str, int]:
    """The hash value of each text's sentence, the largest where it stands in several."""
    points: dict[str, int] = {}
    for text in sorted(texts, key=lambda text: len(text.split()), reverse=True):
        if text in points:  # a part of a sentence; so is whatever stands in it
            continue
        points[text] = _point(text)
        for part in _inside(text, texts):
            points[part] = max(points.get(part, 0), points[text])
    return points


def _inside(text: str, texts: Set[str]) -> set[str]:
    """Those of `texts` that are some of the words of `text`, one after the other."""
    words = text.split()
    spans = (" ".join(words[a:b]) for a, b in combinations(range(len(words) + 1), 2))
    return {span for span in spans if span in texts} - {text}


def _point(text: str) -> int:
    return int(_sha256(text), 16) % sum(SHARES.values())


def _split_at(point: int) -> str:
    for split, share in SHARES.items():
        if point < share:
            return split
        point -= share
    raise AssertionError("unreachable")


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
