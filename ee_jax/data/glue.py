"""The tasks of GLUE (Wang et al. 2018, arXiv:1804.07461), from the official TSV files.

The rows may not be redistributed, so the user fetches the files. GLUE publishes no labels for
its test files, which are not used; the splits are

- `test`: the official dev set, in its order. Nothing is chosen on it.
- `validation`, `calibration`: 3 % and 7.5 % of the sentences of the official training set, with
  all their phrases (see `held_out`)
- `train`: the rest of the official training set

Every official row is in one of them, also where a text comes twice (SST-2: 371 rows repeat the
text of another, 5 texts have both labels; CoLA: 19 and 11). 16 rows of CoLA's dev set, and
none of SST-2's, are in the training set too.
"""

from collections.abc import Iterable
from typing import ClassVar

import tensorflow_datasets as tfds

from ee_jax.data.builder import Row, RowsBuilder
from ee_jax.data.glue_files import Task, read_rows
from ee_jax.data.held_out import held_out


class GlueBuilder(RowsBuilder, skip_registration=True):
    """A task from the folder `manual_dir`."""

    VERSION = tfds.core.Version("1.0.0")  # of the splits: the rows are GLUE's
    TASK: ClassVar[Task]
    CLASSES: ClassVar[tuple[str, ...]]

    def classes(self) -> list[str]:
        """The names that TFDS gives the labels too."""
        return list(self.CLASSES)

    def rows(self) -> dict[str, Iterable[Row]]:
        """The official dev set as `test`, and the parts of the official training set."""
        assert self.manual_dir is not None
        train, dev = (read_rows(self.TASK, self.manual_dir, file) for file in ("train", "dev"))
        return {**held_out(train), "test": dev}


class Sst2(GlueBuilder, skip_registration=True):
    """Sentences of film reviews and phrases of them: is the opinion good?"""

    name = "glue_sst2"
    SOURCE = "the official TSV files of GLUE SST-2"
    DESCRIPTION = "GLUE SST-2 with the official dev set as test split."
    TASK = Task(
        "SST-2", "sentence", "label", labels=("0", "1"), rows={"train": 67_349, "dev": 872}
    )
    MANUAL = TASK.files
    CLASSES = ("negative", "positive")


class Cola(GlueBuilder, skip_registration=True):
    """Sentences from books on linguistics: are they grammatical?"""

    name = "glue_cola"
    SOURCE = "the official TSV files of GLUE CoLA"
    DESCRIPTION = "GLUE CoLA with the official dev set as test split."
    TASK = Task(
        "CoLA",
        "sentence",
        "label",
        labels=("0", "1"),
        rows={"train": 8_551, "dev": 1_043},
        columns=("source", "label", "star", "sentence"),
    )
    MANUAL = TASK.files
    CLASSES = ("unacceptable", "acceptable")
    METRICS = ("matthews",)
