"""Runs from llama2.c's files: the tokenizer beside the weights goes with the models."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from ee_jax.compilation import data_mesh
from ee_jax.config import Evaluation, Exits, Experiment, Model, SelfGenerated, Text
from ee_jax.display import SILENT, Display
from ee_jax.errors import UserError
from ee_jax.run_folder import RunFolder
from ee_jax.runs.generation.text_generation import Request, TextGeneration
from ee_jax.runs.run import run
from ee_jax.tasks.language_modeling.inputs import check
from ee_jax.tasks.language_modeling.rows import Rows, Sources
from ee_jax.tasks.language_modeling.task import LanguageModeling
from ee_jax.tasks.task import Trained
from tests.models.golden_models import golden_backbone
from tests.models.test_llama2c import write_llama2c

REAL = os.environ.get("EE_JAX_TEST_DATA")
DATA = SelfGenerated(train=8, calibration=4, test=4, length=8, batch=4)


def experiment(weights: Path) -> Experiment:
    return Experiment(
        "stories",
        task="language_modeling",
        data=DATA,
        model=Model(str(weights), dropout=0.0),
        evaluation=Evaluation(decoding=None),
    )


def sampled(planned: Experiment, folder: Path, display: Display = SILENT) -> Rows:
    return Sources(planned, check(planned), RunFolder(folder, planned), display).rows()


@pytest.fixture
def alone(tmp_path) -> Path:
    """Weights without a tokenizer."""
    path = tmp_path / "model.bin"
    path.write_bytes(write_llama2c(golden_backbone("llama")))
    return path


def test_rows_are_sampled_without_a_tokenizer(alone, tmp_path, capsys):
    rows = sampled(experiment(alone), tmp_path, Display())
    assert [len(split.rows) for split in rows.splits.values()] == [8, 4, 4]
    assert {row[0] for split in rows.splits.values() for row in split.rows} == {1}  # <s>
    said = "".join(capsys.readouterr().err.split())
    assert f"notokenizerbeside{alone}:copy" in said
    assert not (tmp_path / "tokenizer.json").exists()


def test_text_needs_a_tokenizer(alone, tmp_path):
    reading = replace(experiment(alone), data=Text("text/tiny", length=8))
    with pytest.raises(UserError, match=r"no tokenizer beside .*: copy llama2\.c's tok64\.bin"):
        run(reading, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.skipif(not REAL, reason="EE_JAX_TEST_DATA is not set: no stories260K.bin")
def test_what_a_run_exports_writes_as_the_file_does(tmp_path):
    """Of a prompt with bytes and spaces, and of a model that has learned nothing yet."""
    weights = Path(str(REAL)) / "stories260k" / "stories260K.bin"
    exits = Exits((3, 5), token_head="norm")
    planned = replace(experiment(weights), exits=exits)
    task = LanguageModeling(planned, RunFolder(tmp_path, planned), data_mesh(), SILENT)
    task.check()
    task.prepare()
    (tmp_path / "model").mkdir()
    task.export("frozen", Trained(task.values, 0.0), tmp_path / "model")
    prompt = "Zoë said: \N{SLIGHTLY SMILING FACE}  Once upon"
    texts = [
        [
            token
            for some in TextGeneration(Request(str(source), prompt, 40)).tokens()
            for token in some
        ]
        for source in (weights, tmp_path / "model")
    ]
    assert len(texts[0]) > 10
    assert [(t.id, t.name, t.text) for t in texts[0]] == [
        (t.id, t.name, t.text) for t in texts[1]
    ]
