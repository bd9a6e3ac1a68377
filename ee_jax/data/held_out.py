"""Rows to hold out of a training set whose rows have texts in common.

What is chosen on held-out rows should hold for the official dev set, so they have to be as new
to the model as that set is. Which rows go together differs between the tasks:

- `by_sentence`: of the 66,978 different texts of SST-2's training set, 60,093 are phrases that
  stand, word for word, inside another one. Held out each by its own hash, nearly all would
  share words with training rows that hold them or that they hold. So a sentence is held out
  together with its phrases. (None of the dev set's sentences is in SST-2's training set.)
- `by_shared_text`: a premise of MNLI stands in three pairs, a sentence of QNLI's in as many as
  there are questions about its paragraph. Pairs that share a text are held out together, also
  those that share one only through other pairs.
- `by_pair`: QQP's pairs form a graph of questions, and GLUE drew the dev set out of it pair by
  pair: 29,852 of its questions stand in the training set too
  (https://github.com/nyu-mll/GLUE-baselines/issues/29). Rows held out pair by pair are as new
  as that. Parts of the graph that share no question with the rest would be newer than the dev
  set, and of another kind: questions that few others resemble.

Texts to splits by their hashes: of all hash values, each split has its share.

The hash of a text decides alone, so a text is in the same split whatever else there is.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence, Set
from itertools import combinations
from typing import Any

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from ee_jax.data.builder import Row

Shares = Mapping[str, int]  # of hash values, how many go to each split, in turn


def split_of(text: str, shares: Shares) -> str:
    """The split of a text."""
    return split_at(hash_value(text, shares), shares)


def hash_value(text: str, shares: Shares) -> int:
    """The hash of a text as one of as many values as there are shares."""
    return int(sha256(text), 16) % sum(shares.values())


def split_at(value: int, shares: Shares) -> str:
    """The split that a hash value goes to."""
    for split, share in shares.items():
        if value < share:
            return split
        value -= share
    raise IndexError("the value is beyond all shares")


def sha256(text: str) -> str:
    """In hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


# Of 1,000 hash values, how many go to each split. A phrase of several sentences follows the
# one that stands last here: what is in a training sentence is trained on.
SHARES = {"validation": 30, "calibration": 75, "train": 895}
_TRAINED = sum(SHARES.values()) - 1  # the hash value of a row of the training split
# The largest share of all pairs that hang together and are held out: a larger group would be
# too much of its split.
LARGEST = 0.01

# The hash value of each text, the same for those that go together.
Grouping = Callable[[Sequence[Any]], list[int]]


def held_out(rows: Sequence[Row], grouping: Grouping) -> dict[str, list[Row]]:
    """The rows of each split of `SHARES`.

    The hash value that `grouping` gives its text decides where a row goes, so equal texts are
    in one split, and the order of the file plays no part.

    Within a split, rows are in the order of the hashes of their texts, so the first rows are a
    fair sample of it.
    """
    splits: dict[str, list[Row]] = {split: [] for split in SHARES}
    points = grouping([text for text, _ in rows])
    for row, point in sorted(zip(rows, points, strict=True), key=lambda found: _key(found[0])):
        splits[split_at(point, SHARES)].append(row)
    return splits


def by_sentence(texts: Sequence[str]) -> list[int]:
    """The hash value of each text's sentence, the largest where it stands in several.

    A sentence is a text that stands in no other. No text of a held-out split stands in a
    training text.
    """
    words = [_spaced(text) for text in texts]
    points, different = {}, set(words)
    for text in sorted(different, key=lambda text: len(text.split()), reverse=True):
        if text in points:  # a part of a sentence; so is whatever stands in it
            continue
        points[text] = _point(text)
        for part in _inside(text, different):
            points[part] = max(points.get(part, 0), points[text])
    return [points[text] for text in words]


def by_shared_text(pairs: Sequence[tuple[str, str]]) -> list[int]:
    """The hash value of the first text, by name, of all that hang together with a pair.

    No text is in two splits. Pairs that hang together and are more than `LARGEST` of all are
    trained on.
    """
    number: dict[str, int] = {}
    text_N2 = np.array(
        [[number.setdefault(_spaced(t), len(number)) for t in pair] for pair in pairs]
    )
    edges = coo_array((np.ones(len(pairs)), text_N2.T), shape=(len(number), len(number)))
    group_of = connected_components(edges, directed=False)[1]
    first = {group_of[number[text]]: text for text in sorted(number, reverse=True)}
    group_N = group_of[text_N2[:, 0]]
    large = np.bincount(group_N) > LARGEST * len(pairs)
    point_of = {g: _TRAINED if large[g] else _point(text) for g, text in first.items()}
    return [point_of[group] for group in group_N]


def by_pair(pairs: Sequence[tuple[str, str]]) -> list[int]:
    """The hash value of each pair, whichever of its texts comes first."""
    return [_point("\t".join(sorted(map(_spaced, pair)))) for pair in pairs]


def _inside(text: str, texts: Set[str]) -> set[str]:
    """Those of `texts` that are some of the words of `text`, one after the other."""
    words = text.split()
    spans = (" ".join(words[a:b]) for a, b in combinations(range(len(words) + 1), 2))
    return {span for span in spans if span in texts} - {text}


def _spaced(text: str) -> str:
    """With single spaces."""
    return " ".join(text.split())


def _key(row: Row) -> str:
    text, _ = row
    return sha256(text if isinstance(text, str) else "\t".join(text))


def _point(text: str) -> int:
    return hash_value(text, SHARES)
