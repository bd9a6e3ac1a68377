"""The tasks of GLUE (Wang et al. 2018, arXiv:1804.07461), from the official TSV files.

The rows may not be redistributed. The user names the folder with the official files, or TFDS
fetches and unpacks them (`glue_stock`); the rows are the same. GLUE publishes no labels for its
test files, which are not used; the splits are

- `test`: the official dev set, in its order; of MNLI the matched one, and `test_mismatched` is
  the other. Nothing is chosen on them.
- `validation`, `calibration`: 3 % and 7.5 % of the official training set, held out with all
  that belongs to them (see `held_out`)
- `train`: the rest of the official training set

Every official row is in one of them, also where a text comes twice (SST-2: 371 rows repeat the
text of another, 5 texts have both labels; CoLA: 19 and 11). 16 rows of CoLA's dev set, and
none of SST-2's, are in the training set too.

GLUE replaced QQP's archive (https://github.com/tensorflow/datasets/pull/3031): the present one
has 363,846 training rows that are whole, the first one had 363,849.

Rows of the tasks of GLUE as TFDS itself keeps them, in the user's TFDS folder.

TFDS needs TensorFlow to unpack what it downloads, and to read what it has prepared in its
default format; it reads `array_record` files without it.
"""

from collections.abc import Iterable
from functools import partial
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds

from ee_jax.data.builder import Row, RowsBuilder
from ee_jax.data.glue_files import Task, read_rows
from ee_jax.data.held_out import by_pair, by_sentence, by_shared_text, held_out
from ee_jax.errors import UserError


def read_stock(task: Task, file: str) -> list[Row]:
    """The rows of the official `file` of `task` in its order, as `read_rows` gives them.

    Prepares the task in TFDS's folder ($TFDS_DATA_DIR, else ~/tensorflow_datasets) unless it is
    there already.

    Raises:
      UserError: it is not there and cannot be downloaded or unpacked; it cannot be read; too
        few or too many rows.
    """
    split = file.replace("dev", "validation")
    try:
        builder = _prepared(task.config)
        config: Any = builder.builder_config
        texts = list(config.text_features)  # first, second
        examples = sorted(_examples(builder, split), key=lambda example: example["idx"])
        rows = [_row(example, texts) for example in examples]
    except Exception as error:  # whatever a download and its unpacking can run into
        raise _no_stock(task, error) from error
    task.check_rows(len(rows), file, f"{split} of {builder.data_dir}")
    return rows


def _prepared(config: str) -> tfds.core.GeneratorBasedBuilder:
    from tensorflow_datasets.text.glue import Glue  # not among the data sets TFDS knows by name

    found = Glue(config=config)
    if not found.data_path.exists():
        found = Glue(config=config, file_format="array_record")
        found.download_and_prepare()
    return found


def _examples(builder: Any, split: str) -> Iterable[dict[str, Any]]:
    if builder.info.file_format == tfds.core.FileFormat.ARRAY_RECORD:
        return builder.as_data_source(split)
    return tfds.as_numpy(builder.as_dataset(split=split))


def _row(example: dict[str, Any], texts: list[str]) -> Row:
    first, *second = (example[text].decode().strip() for text in texts)
    text = (first, second[0]) if second else first
    return text, np.asarray(example["label"]).item()


def _no_stock(task: Task, error: Exception) -> UserError:
    reason = " ".join(str(error).split()) or type(error).__name__
    return UserError(
        f"cannot get `glue/{task.config}` from TFDS ({reason:.200}): name the folder that "
        f"holds {task.files} with `--manual-dir` (in a config: `data.manual_dir`) or "
        "EE_JAX_MANUAL_DIR, or install tensorflow and importlib_resources, with which TFDS "
        "downloads and reads it"
    )


# Split -> the official file that is it.
_TESTS = {"dev": "test", "dev_matched": "test", "dev_mismatched": "test_mismatched"}


class GlueBuilder(RowsBuilder, skip_registration=True):
    """A task from the folder `manual_dir`, or from TFDS where the user names none."""

    VERSION = tfds.core.Version("1.0.0")  # of the splits: the rows are GLUE's
    TASK: ClassVar[Task]
    CLASSES: ClassVar[tuple[str, ...]]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Sets what follows from the task."""
        task = cls.TASK
        cls.name = f"glue_{task.config}"
        cls.SOURCE = f"the official TSV files of GLUE {task.folder}"
        cls.DESCRIPTION = f"GLUE {task.folder} with the official dev set as test split."
        cls.MANUAL = task.files
        cls.PAIRS = len(task.texts) == 2
        cls.LABEL_RANGE = task.scores
        super().__init_subclass__(**kwargs)

    def classes(self) -> list[str]:
        """The names that TFDS gives the labels too."""
        return list(self.CLASSES)

    def rows(self) -> dict[str, Iterable[Row]]:
        """The official dev set as `test`, and the parts of the official training set."""
        read = partial(read_rows, folder=self.manual_dir) if self.manual_dir else read_stock
        train, *tests = self.TASK.rows
        held = self.hold_out(read(self.TASK, train))
        return {**held, **{_TESTS[file]: read(self.TASK, file) for file in tests}}

    def hold_out(self, train: list[Row]) -> dict[str, list[Row]]:
        """The parts of the training set."""
        return held_out(train, by_shared_text if self.PAIRS else by_sentence)


class Cola(GlueBuilder, skip_registration=True):
    """Sentences from books on linguistics: are they grammatical?"""

    TASK = Task(
        "CoLA",
        ("sentence",),
        "label",
        labels=("0", "1"),
        rows={"train": 8_551, "dev": 1_043},
        columns=("source", "label", "star", "sentence"),
    )
    CLASSES = ("unacceptable", "acceptable")
    METRICS = ("matthews",)


class Sst2(GlueBuilder, skip_registration=True):
    """Sentences of film reviews and phrases of them: is the opinion good?"""

    TASK = Task(
        "SST-2",
        ("sentence",),
        "label",
        labels=("0", "1"),
        rows={"train": 67_349, "dev": 872},
    )
    CLASSES = ("negative", "positive")


class Mrpc(GlueBuilder, skip_registration=True):
    """Sentences from the news: do they say the same?"""

    TASK = Task(
        "MRPC",
        ("#1 String", "#2 String"),
        "Quality",
        labels=("0", "1"),
        rows={"train": 3_668, "dev": 408},
    )
    CLASSES = ("not_equivalent", "equivalent")
    METRICS = ("f1", "accuracy")


class Qqp(GlueBuilder, skip_registration=True):
    """Questions from Quora: do they ask the same?"""

    TASK = Task(
        "QQP",
        ("question1", "question2"),
        "is_duplicate",
        labels=("0", "1"),
        rows={"train": 363_846, "dev": 40_430},
        unedited=True,
    )
    CLASSES = ("not_duplicate", "duplicate")
    METRICS = ("f1", "accuracy")

    def hold_out(self, train: list[Row]) -> dict[str, list[Row]]:
        """Pair by pair, as GLUE drew the dev set."""
        return held_out(train, by_pair)


class Stsb(GlueBuilder, skip_registration=True):
    """Sentences from news, captions and forums: how much do they say the same, from 0 to 5?"""

    TASK = Task(
        "STS-B",
        ("sentence1", "sentence2"),
        "score",
        scores=(0.0, 5.0),
        rows={"train": 5_749, "dev": 1_500},
    )
    CLASSES = ()
    METRICS = ("pearson", "spearman")


class Mnli(GlueBuilder, skip_registration=True):
    """A premise and a hypothesis: does the one follow from the other?"""

    TASK = Task(
        "MNLI",
        ("sentence1", "sentence2"),
        "gold_label",
        labels=("entailment", "neutral", "contradiction"),
        rows={"train": 392_702, "dev_matched": 9_815, "dev_mismatched": 9_832},
    )
    CLASSES = TASK.labels


class Qnli(GlueBuilder, skip_registration=True):
    """A question and a sentence from Wikipedia: does the one answer the other?"""

    TASK = Task(
        "QNLI",
        ("question", "sentence"),
        "label",
        labels=("entailment", "not_entailment"),
        rows={"train": 104_743, "dev": 5_463},
    )
    CLASSES = TASK.labels


class Rte(GlueBuilder, skip_registration=True):
    """A text from the news and a hypothesis: does the one follow from the other?"""

    TASK = Task(
        "RTE",
        ("sentence1", "sentence2"),
        "label",
        labels=("entailment", "not_entailment"),
        rows={"train": 2_490, "dev": 277},
    )
    CLASSES = TASK.labels
