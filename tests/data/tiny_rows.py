"""A data set of seven rows, `tiny`, and one whose writer loses rows."""

import tensorflow_datasets as tfds

from ee_jax.data.builder import RowsBuilder

ROWS = {
    "train": [("zürich", 1), ("a", 0), ("b", 1), ("a", 0), ("c", 1)],
    "test": [("x", 1), ("y", 0)],
}


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
