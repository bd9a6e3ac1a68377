"""A data set of made-up sentences, `sentences`: which of three things is done with a file?"""

import random

import tensorflow_datasets as tfds

from ee_jax.data.builder import RowsBuilder

VERBS = {"read": ("read", "load"), "write": ("write", "save"), "close": ("close", "end")}
FILLERS = ["the", "file", "a", "line", "of", "text", "again", "then"]
WORDS = FILLERS + [verb for verbs in VERBS.values() for verb in verbs]
ROWS = {"train": 96, "validation": 24, "calibration": 33, "test": 35}


def sentence(number: int, draw: random.Random) -> tuple[str, int]:
    """2 to 6 words, one of them a verb of the label's."""
    label = number % len(VERBS)
    words = draw.choices(FILLERS, k=draw.randint(1, 5))
    words.insert(draw.randint(0, len(words)), draw.choice(list(VERBS.values())[label]))
    return " ".join(words), label


class Sentences(RowsBuilder, skip_registration=True):
    VERSION = tfds.core.Version("1.0.0")
    SOURCE = "a generator with seed 0"
    DESCRIPTION = "Made-up sentences."

    def classes(self):
        return list(VERBS)

    def rows(self):
        draw = random.Random(0)
        return {
            split: [sentence(number, draw) for number in range(rows)]
            for split, rows in ROWS.items()
        }


class Lengths(Sentences, skip_registration=True):
    """The same sentences; the label is their number of words, in units of two."""

    METRICS = ("pearson", "spearman")
    LABEL_RANGE = (0.0, 3.0)

    def classes(self):
        return []

    def rows(self):
        return {
            split: [(text, len(text.split()) / 2) for text, _ in rows]
            for split, rows in super().rows().items()
        }
