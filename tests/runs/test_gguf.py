"""Runs from GGUF files: what is exported writes as the file does, and keeps what is its own."""

import json

import pytest

import ee_jax
from ee_jax.config import (
    Calibration,
    Evaluation,
    Exits,
    Experiment,
    Frozen,
    Model,
    OptimizerConfig,
    SelfGenerated,
)
from ee_jax.errors import UserError
from ee_jax.manifest import entry_of
from ee_jax.models.language_source import CHAT_TEMPLATE
from ee_jax.runs.generation.chat import promise
from ee_jax.runs.generation.language_model import generate
from ee_jax.runs.generation.source import open_source
from ee_jax.runs.generation.text_generation import Request
from ee_jax.runs.run import run
from ee_jax.runs.trained import load_answering

pytest.importorskip("gguf", reason="gguf is not installed: pip install 'ee_jax[gguf]'")

from tests.models.gguf_files import TEMPLATE, Kind, write_gguf

PROMPT = "<|im_start|>the cat  12\n\n caf\u00e9"
FIT = OptimizerConfig(epochs=1.0, batch=4, learning_rate=1e-2, head_learning_rate=1e-2)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The file, and the folder of a run that trained exits on it and left the rest alone."""
    folder = tmp_path_factory.mktemp("gguf")
    path = write_gguf(folder / "tiny.gguf", kinds=[Kind.Q4_0, Kind.Q8_0])
    planned = Experiment(
        "tiny",
        task="language_modeling",
        data=SelfGenerated(train=8, calibration=4, test=4, length=8, batch=4),
        model=Model(str(path), dropout=0.0),
        exits=Exits((1, 3), token_head="norm"),
        strategies=(Frozen(fit=FIT),),
        calibration=Calibration(tolerances=(0.5,), methods=()),
        evaluation=Evaluation(decoding=None, batches=(1,), rounds=1, batch=4, rows=4),
    )
    run(planned, folder / "run")
    return path, folder / "run"


def test_what_is_exported_writes_as_the_file_does(finished):
    path, folder = finished
    model = folder / "frozen" / "model"
    wanted = generate(path, PROMPT, tokens=24)
    assert len(wanted) > 5
    assert generate(model, PROMPT, tokens=24) == wanted


def test_a_run_is_loaded_with_what_it_chose(finished, tmp_path):
    path, folder = finished
    model = ee_jax.load(folder)
    assert (model.exits, model.trained) == ((1, 3), True)
    assert model.generate(PROMPT, tokens=24) == ee_jax.load(path).generate(PROMPT, tokens=24)
    assert [choice.label for choice in model.calibrated] == ["empirical 50 %"]
    chosen = model.threshold_of("empirical 50 %")
    saved = ee_jax.load(ee_jax.save(model, tmp_path / "saved"))
    assert saved.threshold_of("empirical 50 %") == chosen
    assert saved.generate(PROMPT, chosen, tokens=9) == model.generate(PROMPT, chosen, tokens=9)
    assert promise(saved, Request("", "", 1, chosen)) in (
        "no agreement is promised",  # an empirical choice promises nothing
        "the full model's own tokens",
    )
    with pytest.raises(UserError, match="is a language model: ask it with `ee-jax generate`"):
        load_answering(folder)


def test_what_belongs_to_the_model_is_kept_beside_it(finished):
    path, folder = finished
    model = folder / "frozen" / "model"
    file, exported = open_source(str(path), lens=False), open_source(str(model), lens=False)
    assert exported.trained
    assert exported.stops == file.stops == (0, 2)
    assert exported.chat_template == file.chat_template == TEMPLATE
    assert (model / CHAT_TEMPLATE).read_text() == TEMPLATE
    assert exported.tokenizer.encode(PROMPT).ids == file.tokenizer.encode(PROMPT).ids


def test_a_run_knows_the_file_again(finished):
    path, folder = finished
    inputs = json.loads((folder / "config.json").read_text())["inputs"]
    assert inputs == {str(path): entry_of(path).sha256}
