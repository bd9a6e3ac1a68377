"""GLUE out of TFDS's own folder, prepared there with TFDS's own features."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tensorflow_datasets.core import constants
from tensorflow_datasets.text.glue import Glue

from ee_jax.data.glue import GlueBuilder, Sst2, read_stock
from ee_jax.data.glue_files import read_rows
from ee_jax.data.prepared import prepare
from ee_jax.data.registry import DATASETS
from ee_jax.errors import UserError
from tests.data.tiny_glue import (
    PAIRS,
    TINY,
    TinyMnli,
    TinySst2,
    TinyStsb,
    files_of,
    write_files,
)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """TFDS's folder has nothing in it."""
    monkeypatch.setattr(constants, "DATA_DIR", str(tmp_path / "tfds"))
    monkeypatch.delenv("EE_JAX_MANUAL_DIR", raising=False)
    for config, kind in TINY.items():
        path = f"tests.data.tiny_glue:{kind.__name__}"
        monkeypatch.setitem(DATASETS, f"glue/tiny_{config}", path)


class Stock(Glue, skip_registration=True):
    """TFDS's builder, on the tiny files instead of those that it would download."""

    name = "glue"
    code_path = None  # TFDS would need a package to find it that it does not install
    kind: type[GlueBuilder]
    files: Path

    def _split_generators(self, _):
        rows = {
            file: read_rows(self.kind.TASK, file, self.files) for file in self.kind.TASK.rows
        }
        return {
            file.replace("dev", "validation"): self._examples(found)
            for file, found in rows.items()
        }

    def _examples(self, rows: list) -> Iterator[tuple[int, dict[str, Any]]]:
        """As TFDS makes them; writing mixes them by their keys."""
        config: Any = self.builder_config
        for number, (text, label) in enumerate(rows):
            texts = (text,) if isinstance(text, str) else text
            named = dict(zip(config.text_features, texts, strict=True))
            yield number, {**named, "label": label, "idx": np.int32(number)}


def prepare_stock(kind: type[GlueBuilder]) -> None:
    """Prepares the task in TFDS's folder as TFDS would."""
    stock = Stock(config=kind.TASK.config, file_format="array_record")
    stock.kind = kind
    stock.files = write_files(Path(constants.DATA_DIR).parent / "files", (kind,))
    stock.download_and_prepare()


@pytest.mark.parametrize("kind", [TinySst2, TinyMnli, TinyStsb], ids=lambda k: k.TASK.config)
def test_the_same_data_set_from_tfds_as_from_the_files(tmp_path, kind):
    prepare_stock(kind)
    name = f"glue/tiny_{kind.TASK.config}"
    stock = prepare(name, tmp_path / "from_tfds")
    files = prepare(name, tmp_path / "from_files", tmp_path / "files")
    assert replace(stock, folder=files.folder) == files


@pytest.mark.parametrize("kind", PAIRS, ids=lambda kind: kind.TASK.config)
def test_features_of_every_pair_are_found_in_their_order(kind):
    prepare_stock(kind)
    file = [*kind.TASK.rows][-1]
    assert read_stock(kind.TASK, file) == files_of(kind)[file][1]


def test_what_is_neither_there_nor_to_be_had_names_both_ways(tmp_path, monkeypatch, capfd):
    def offline(*_):
        raise ConnectionError("no way out:\n  the host is unknown")

    monkeypatch.setattr(Glue, "download_and_prepare", offline)
    with pytest.raises(UserError) as error:
        prepare("glue/mnli", tmp_path / "data")
    message = str(error.value)
    reason = "no way out: the host is unknown"
    assert message.startswith(f"cannot get `glue/mnli` from TFDS ({reason}): ")
    assert (
        "name the folder that holds MNLI/train.tsv, MNLI/dev_matched.tsv and "
        "MNLI/dev_mismatched.tsv (or .tsv.gz) of the official GLUE archive with `--manual-dir` "
        "(in a config: `data.manual_dir`) or EE_JAX_MANUAL_DIR, or install tensorflow and "
        "importlib_resources" in message
    )
    assert "\n" not in message
    assert not list((tmp_path / "data").rglob("*.*"))
    assert capfd.readouterr() == ("", "")


def test_another_number_of_rows_is_not_the_task():
    prepare_stock(TinySst2)
    what = r"validation of .*/tfds/glue/sst2/2\.0\.0 has 2 rows, not the official 872: fetch"
    with pytest.raises(UserError, match=what):
        read_stock(Sst2.TASK, "dev")
