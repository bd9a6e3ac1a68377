"""`ee-jax reproduce deebert --backbone google-bert/bert-base-uncased`, on a tiny backbone.

The backbone lies in the hub client's cache under that name, in the layout of that checkpoint: a
masked language model's tensors of 2018, with their prefix, gamma and beta, and heads that are
left alone; a WordPiece tokenizer.
"""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer, normalizers, pre_tokenizers, processors
from tokenizers.models import WordPiece

import ee_jax
from ee_jax.cli import main
from ee_jax.data.registry import DATASETS
from ee_jax.models import files
from ee_jax.results import read_results
from tests.runs.tiny_cola import write_files
from tests.runs.tiny_sentences import WORDS
from tests.runs.tiny_weights import SPECIAL, write_weights

pytest.importorskip("huggingface_hub")
constants = pytest.importorskip("huggingface_hub.constants")
NAME, COMMIT = "google-bert/bert-base-uncased", "0" * 40
# As that checkpoint's config.json has them, beside the sizes.
CONFIG = {
    "architectures": ["BertForMaskedLM"],
    "attention_probs_dropout_prob": 0.1,
    "gradient_checkpointing": False,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1,
    "initializer_range": 0.02,
    "layer_norm_eps": 1e-12,
    "model_type": "bert",
    "pad_token_id": 0,
    "position_embedding_type": "absolute",
    "transformers_version": "4.6.0.dev0",
    "use_cache": True,
}


def write_checkpoint(folder: Path, work: Path) -> None:
    """A tiny BERT as the files of that checkpoint."""
    plain = write_weights(work, 2, length=64)
    sizes = json.loads((plain / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(sizes | CONFIG))
    tensors = load_file(plain / "model.safetensors")
    width = sizes["hidden_size"]
    old = {_old(name): tensor for name, tensor in tensors.items() if "exits." not in name}
    old |= {
        "bert.pooler.dense.weight": np.zeros((width, width), np.float32),
        "bert.pooler.dense.bias": np.zeros(width, np.float32),
        "cls.predictions.bias": np.zeros(sizes["vocab_size"], np.float32),
        "cls.predictions.transform.LayerNorm.gamma": np.ones(width, np.float32),
        "cls.predictions.transform.dense.weight": np.zeros((width, width), np.float32),
        "cls.seq_relationship.weight": np.zeros((2, width), np.float32),
    }
    save_file(old, folder / "model.safetensors", metadata={"format": "pt"})
    _write_tokenizer(folder)


def _old(name: str) -> str:
    name = "bert." + name.removeprefix("bert.")
    name = name.replace("LayerNorm.weight", "LayerNorm.gamma")
    return name.replace("LayerNorm.bias", "LayerNorm.beta")


def _write_tokenizer(folder: Path) -> None:
    words = [*SPECIAL, *WORDS]
    (folder / "vocab.txt").write_text("".join(f"{word}\n" for word in words))
    (folder / "tokenizer_config.json").write_text('{"do_lower_case": true}')
    numbers = {word: number for number, word in enumerate(words)}
    tokenizer = Tokenizer(WordPiece(numbers, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)  # pyright: ignore[reportAttributeAccessIssue]
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()  # pyright: ignore[reportAttributeAccessIssue]
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))  # pyright: ignore[reportAttributeAccessIssue]
    tokenizer.save(str(folder / "tokenizer.json"))


@pytest.fixture(scope="module")
def reproduced(tmp_path_factory) -> Path:
    """The folder of the study's sweep over one task and seed."""
    root = tmp_path_factory.mktemp("deebert")
    repository = root / "hub" / "models--google-bert--bert-base-uncased"
    snapshot = repository / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(COMMIT)
    write_checkpoint(snapshot, root / "plain")
    shutil.rmtree(root / "plain")
    manual = write_files(root / "glue")
    line = [
        "reproduce", "deebert", "--backbone", NAME, "--tasks", "cola", "--manual-dir", manual,
        "--output", root / "out", "--data.lengths", "8", "--evaluation.batches", "1",
    ]  # fmt: skip
    stages = ("0.first", "0.fit", "1.fit", "2.fit")
    for stage in stages:
        line += [f"--strategies.{stage}.epochs", "0.5"]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(Path(__file__).parents[2])
        patch.setenv("EE_JAX_DATA", str(root / "data"))
        patch.setattr(constants, "HF_HUB_CACHE", str(root / "hub"))
        patch.setattr(constants, "HF_HUB_OFFLINE", True)
        patch.setitem(DATASETS, "glue/cola", "tests.runs.tiny_cola:ReadableCola")
        files.fetch.cache_clear()
        main([*map(str, line)])
        files.fetch.cache_clear()
    return root / "out"


def test_the_run_is_of_the_recipe_and_the_models_without_exits(reproduced):
    results = read_results(reproduced / "cola" / "seed_0")
    assert results.model["weights"] == NAME
    assert [*results.strategies] == ["two_stage", "single", "truncated_1"]
    assert results.config["exits"]["confidence"] == "entropy"
    assert [point.unlike_trace for s in results.strategies.values() for point in s.points] == (
        [0] * sum(len(s.points) for s in results.strategies.values())
    )


def test_the_model_is_read_and_answers(reproduced):
    model = ee_jax.load(reproduced / "cola" / "seed_0" / "two_stage")
    (answer,) = model(["Read the FILE"], threshold=0.5)  # its tokenizer lowers letters
    assert answer == model(["read the file"], threshold=0.5)[0]
    assert ee_jax.load(reproduced / "cola" / "seed_0" / "truncated_1").exits == (1,)


def test_papers_cells_claims_and_settings_are_there(reproduced):
    study = json.loads((reproduced / "study.json").read_text())
    assert study["failed"] == []
    found = study["tables"]
    assert {row["backbone"] for row in found["paper"]["rows"]} <= {"bert-base", None}
    strategies = {row["strategy"] for row in found["operating_points"]["rows"]}
    assert strategies == {"two_stage", "single", "truncated_1"}
    assert len(found["claims"]["rows"]) == 3
    page = (reproduced / "report.html").read_text()
    assert "Settings beside the model without exits" in page
    assert "models without exits" in page  # the figure's legend
