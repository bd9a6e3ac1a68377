"""Rows of the tasks of GLUE as TFDS itself keeps them, in the user's TFDS folder.

TFDS needs TensorFlow to unpack what it downloads, and to read what it has prepared in its
default format; it reads `array_record` files without it.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from ee_jax.data.builder import Row
from ee_jax.data.glue_files import Task
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
