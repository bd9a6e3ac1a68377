"""A data set of seven rows, `tiny`, one whose writer loses rows, and one of pairs."""

import tensorflow_datasets as tfds

from ee_jax.data.builder import RowsBuilder

ROWS = {
    "train": [("zürich", 1), ("a", 0), ("b", 1), ("a", 0), ("c", 1)],
    "test": [("x", 1), ("y", 0)],
}
PAIRS = [
    (('"a\tquoted"\n', "line\u2028\r\x85separators"), 0.0),
    (("", "Zürich, \N{SNOWMAN} \N{GRINNING FACE}"), 5.0),
    (("a " * 20_000, "b"), 3.799999952316284),  # 3.8 as a float32
]


class Tiny(RowsBuilder, skip_registration=True):
    VERSION = tfds.core.Version("1.2.3")
    SOURCE = "this file"
    DESCRIPTION = "Seven rows."

    def classes(self):
        return ["no", "yes"]

    def rows(self):
        return dict(ROWS)


class Losing(Tiny, skip_registration=True):
    """Loses a row on the way to the file, as TFDS's parquet writer does."""

    name = "tiny"

    def _generate_examples(self, rows):
        return list(super()._generate_examples(rows))[:-1]


class TinyPairs(RowsBuilder, skip_registration=True):
    """Pairs of texts that a careless reader would change, with numbers for labels."""

    VERSION = tfds.core.Version("1.0.0")
    SOURCE = "this file"
    DESCRIPTION = "Three pairs."
    PAIRS = True
    LABEL_RANGE = (0.0, 5.0)

    def classes(self):
        return []

    def rows(self):
        return {"test": PAIRS}
