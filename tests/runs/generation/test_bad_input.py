"""What can be wrong with a request and a model: one line, before anything is compiled."""

import json
import shutil
import struct
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer

from ee_jax.errors import UserError
from ee_jax.inference import generator, memory
from ee_jax.runs.generation.text_generation import Request, TextGeneration
from tests.models.folders import change_config, change_tensors, shard
from tests.models.golden_models import FOLDER, golden_backbone
from tests.models.test_llama2c import write_llama2c


def error_of(folder, prompt="a cat", tokens=4, **asked) -> str:
    with pytest.raises(UserError) as error:
        next(TextGeneration(Request(str(folder), prompt, tokens, **asked)).tokens())
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.fixture(autouse=True)
def no_compilation(monkeypatch):
    def fail(*_, **__):
        raise AssertionError("compiled")

    monkeypatch.setattr(generator, "Program", fail)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"prompt": "a \udcff cat"}, "the prompt is not UTF-8: give --prompt in that"),
        ({"prompt": "a cat sat " * 30}, "prompt 1 of 1 has "),
        ({"tokens": 48}, "prompt 1 of 1 has "),
        ({"threshold": 1.5}, "--threshold 1.5: it is from 0 to 1"),
        ({"policy": "nosuch"}, "no policy 'nosuch': there are propagate, copy, recompute"),
        ({"precision": "int8"}, "no precision 'int8': there are float32, bfloat16"),
        ({"confidence": "nosuch"}, "no confidence 'nosuch': there are max_prob"),
        ({"confidence": "learned", "threshold": 0.5}, "{} has no learned confidence: "),
        ({"confidence": "saturation", "draft": 1}, "`saturation` compares exits, and"),
        ({"draft": 4}, "no exit after 4 blocks: the model's are after 1, 2, 3"),
        ({"draft": 3}, "the exit after all 3 blocks cannot draft: take an earlier one of 1, 2"),
    ],
)  # fmt: skip
def test_a_request_that_cannot_be_met(exported, asked, message):
    assert error_of(exported, **asked).startswith(message.format(exported))


@pytest.mark.parametrize("field", ["policy", "confidence", "precision"])
def test_a_mistyped_name_is_found_before_the_model_is_read(field):
    asked: Any = {field: "nosuch"}
    with pytest.raises(UserError, match=f"no {field} 'nosuch'"):
        Request("no folder", "a cat", 4, **asked)


def test_an_empty_prompt_needs_a_token_to_start_from(copied):
    path = copied / "tokenizer.json"
    given = json.loads(path.read_text()) | {"post_processor": None}
    path.write_text(json.dumps(given))
    assert error_of(copied, prompt="").startswith(f"the prompt is empty, and {copied} knows no")


def test_weights_that_do_not_match(copied):
    change_config(copied, intermediate_size=24)
    message = error_of(copied)
    assert message.startswith(f"the weights in {copied} do not fit its config.json: ")
    assert "mlp" in message


def test_weights_that_are_no_numbers(copied):
    """Their logits are none either, and the text would be over before it begins."""
    name = "model.layers.1.mlp.up_proj.weight"
    change_tensors(copied, lambda tensors: tensors | {name: tensors[name] * np.nan})
    assert error_of(copied).startswith(f"{name} in {copied} holds 256 numbers that are NaN or")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"rms_norm_eps": float("inf")}, "rms_norm_eps is inf, not a number above 0"),
        ({"num_hidden_layers": 10**9}, "num_hidden_layers is 1000000000, not a whole number"),
        ({"eos_token_id": [[1]]}, "eos_token_id is [[1]], not a token's id, a list of ids or"),
        ({"model_type": "gemma"}, "no model family 'gemma': did you mean `gemma2`? there "),
    ],
)
def test_a_config_that_describes_no_model(copied, change, said):
    change_config(copied, **change)
    path = copied / "config.json"
    assert error_of(copied).startswith(f"{path} describes no model that is built here: {said}")


def test_a_missing_shard(copied):
    names = shard(copied)
    (copied / names[1]).unlink()
    assert error_of(copied).startswith(f"{copied / names[1]} is missing: copy it from")


def test_a_tokenizer_with_other_ids(copied):
    path = copied / "tokenizer.json"
    tokenizer = Tokenizer.from_file(str(path))
    surplus = 281 - tokenizer.get_vocab_size()
    tokenizer.add_tokens([f"surplus {number}" for number in range(surplus)])
    tokenizer.save(str(path))
    assert error_of(copied).startswith(f"tokenizer.json in {copied} has ids up to 280, but ")


@pytest.mark.parametrize("end", [280, [0, 280]])
def test_a_tokenizer_that_does_not_know_what_ends_a_text(copied, end):
    """Another model's may have fewer ids, and then nothing else shows it."""
    change_config(copied, eos_token_id=end)
    shown = repr(end[-1] if isinstance(end, list) else end)
    message = f"{copied} ends a text with token {shown}, which its tokenizer does not"
    assert error_of(copied).startswith(message)


@pytest.mark.parametrize("layers", [[1, 1, 3], [0, 3], [2, 1, 3], ["1", 3]])
def test_exits_that_do_not_rise(copied, layers):
    (copied / "exits.json").write_text(json.dumps({"design": {"layers": layers}}))
    assert error_of(copied).startswith(f"{copied / 'exits.json'} does not describe exits (")


def test_a_file_that_is_not_llama2cs(copied):
    message = error_of(copied / "model.safetensors")
    assert message.endswith("or give the folder of safetensors")


def test_no_tokenizer(copied):
    (copied / "tokenizer.json").unlink()
    assert error_of(copied).startswith(f"no tokenizer.json in {copied}: ")


def test_the_folder_of_a_run_names_its_models(copied, tmp_path):
    model = shutil.copytree(copied, tmp_path / "run" / "joint" / "model")
    for folder in (tmp_path / "run", tmp_path / "run" / "joint"):
        assert error_of(folder) == f"{folder} holds no weights: give {model}"


def test_a_llama2c_file_needs_its_tokenizer_beside_it(tmp_path):
    path = tmp_path / "model.bin"
    path.write_bytes(write_llama2c(golden_backbone("llama")))
    for source in (path, tmp_path):  # the file, or the folder of the only one
        assert error_of(source) == (
            f"no tokenizer beside {path}: copy llama2.c's tok64.bin or tokenizer.bin there"
        )
    (tmp_path / "tok64.bin").write_bytes(
        struct.pack("<i", 3) + 5 * struct.pack("<fi3s", 0, 3, b"abc")
    )
    assert error_of(path).startswith(f"{tmp_path / 'tok64.bin'} has 4 tokens, but model.bin ")


def test_a_text_that_does_not_fit_memory(exported, monkeypatch):
    monkeypatch.setattr(memory, "available_bytes", lambda: 1000)
    assert error_of(exported).startswith("a batch of 1 rows of 20 tokens needs about ")


def test_an_encoder_is_no_language_model(tmp_path):
    assert error_of(FOLDER / "bert") == "a bert is no language model: give a decoder's weights"
    assert error_of(tmp_path / "nosuch").startswith("no weights in ")
