"""Models with exits in lm-evaluation-harness, against plain loops over full forward passes."""

import json
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import ee_jax
from ee_jax.errors import UserError

pytest.importorskip("lm_eval", reason="lm_eval is not installed: pip install 'ee_jax[eval]'")

from ee_jax.runs.harness import HarnessModel

QUESTION = "a cat sat on"
CHOICES = (" a mat", " a hat", " the", " a mat, a hat")


@pytest.fixture(scope="module")
def folder(exported):
    return exported


@pytest.fixture(scope="module")
def loaded(folder):
    return ee_jax.load(folder)


def asked(*pairs) -> list[Any]:
    return [SimpleNamespace(args=pair) for pair in pairs]


def plain(loaded, ids):
    """Log-probabilities of every next token, at the last exit of a full forward pass."""
    logits_ETV = loaded.apply(loaded.parameters, jnp.asarray([ids]))[:, 0]
    return np.asarray(jax.nn.log_softmax(logits_ETV[-1]))


def test_likelihoods_are_those_of_plain_passes(folder, loaded):
    model = HarnessModel(str(folder), batch_size=3)
    found = model.loglikelihood(asked(*[(QUESTION, choice) for choice in CHOICES]))
    for choice, (likelihood, greedy) in zip(CHOICES, found, strict=True):
        ids = loaded.tokenizer.encode(QUESTION + choice).ids
        first = len(loaded.tokenizer.encode(QUESTION).ids)
        log_p_TV = plain(loaded, ids)
        wanted = sum(log_p_TV[at - 1, ids[at]] for at in range(first, len(ids)))
        said = [int(log_p_TV[at - 1].argmax()) for at in range(first, len(ids))]
        assert likelihood == pytest.approx(wanted, rel=1e-4)
        assert greedy == (said == ids[first:])
    assert model.get_model_info()["ee_jax"]["mean_depth"] == loaded.exits[-1]


def test_a_threshold_lets_tokens_stop_and_their_depth_is_told(folder, loaded):
    low = HarnessModel(str(folder), threshold=0.0)
    found = low.loglikelihood(asked((QUESTION, CHOICES[0])))
    ids = loaded.tokenizer.encode(QUESTION + CHOICES[0]).ids
    first = len(loaded.tokenizer.encode(QUESTION).ids)
    info = low.get_model_info()["ee_jax"]
    assert (info["mean_depth"], info["tokens"]) == (1, len(ids) - first)
    full = HarnessModel(str(folder)).loglikelihood(asked((QUESTION, CHOICES[0])))
    assert found[0][0] != pytest.approx(full[0][0], rel=1e-3)


def test_long_texts_are_scored_token_by_token_once(folder, loaded):
    """Each token after at least one other, in windows of the length."""
    text = "a cat sat on the mat " * 4
    model = HarnessModel(str(folder), max_length=12, batch_size=2)
    (found,) = model.loglikelihood_rolling(asked((text,)))
    ids = loaded.tokenizer.encode(text, add_special_tokens=False).ids
    assert model.get_model_info()["ee_jax"]["tokens"] == len(ids) > 24
    wanted, begun = 0.0, [model.prefix_token_id, *ids]
    done = 0
    while done < len(ids):
        many = min(11, len(ids)) if done == 0 else min(11, len(ids) - done)
        end = done + many
        seen = begun[max(0, end - 11) : end + 1]
        log_p_TV = plain(loaded, seen)
        wanted += sum(
            log_p_TV[len(seen) - 1 - k, seen[len(seen) - k]] for k in range(many, 0, -1)
        )
        done = end
    assert found == pytest.approx(wanted, rel=1e-4)


def test_texts_are_the_decoders_up_to_the_first_stop(folder, loaded):
    model = HarnessModel(str(folder), batch_size=2, max_gen_toks=20)
    prompts = [QUESTION, "a dog", "the"]
    texts = model.generate_until(asked(*[(prompt, {"until": []}) for prompt in prompts]))
    wanted = loaded.generate(prompts, tokens=20)
    assert texts == [loaded.tokenizer.decode([t.id for t in text.tokens]) for text in wanted]
    stop = texts[0][3:5]
    (cut,) = model.generate_until(asked((QUESTION, {"until": [stop]})))
    assert cut == texts[0][: texts[0].index(stop)]


def test_a_task_in_a_file_end_to_end(folder, tmp_path):
    rows = [
        {"question": QUESTION, "choices": list(CHOICES[:3]), "gold": i % 3} for i in range(6)
    ]
    (tmp_path / "rows.json").write_text("\n".join(map(json.dumps, rows)))
    (tmp_path / "task.yaml").write_text(
        f"""task: own_choices
dataset_path: json
dataset_kwargs:
  data_files:
    test: {tmp_path / "rows.json"}
test_split: test
output_type: multiple_choice
doc_to_text: "{{{{question}}}}"
doc_to_choice: choices
doc_to_target: gold
metric_list:
  - metric: acc
"""
    )
    command = [sys.executable, "-m", "ee_jax.runs.harness", "--model", "ee_jax"]
    command += ["--model_args", f"path={folder},threshold=0.5", "--tasks", "own_choices"]
    command += ["--include_path", str(tmp_path), "--output_path", str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-2000:]
    (written,) = (tmp_path / "out").rglob("results*.json")
    results = json.loads(written.read_text())
    assert results["results"]["own_choices"]["acc,none"] == pytest.approx(1 / 3)
    info = results["config"]["ee_jax"]
    assert 1 <= info["mean_depth"] <= info["blocks"]
    assert info["threshold"] == 0.5


def test_what_cannot_be_asked_is_one_line(folder, tmp_path):
    with pytest.raises(UserError, match="no weights in"):
        HarnessModel(str(tmp_path / "nowhere"))
    with pytest.raises(UserError, match="from 0 to 1"):
        HarnessModel(str(folder), threshold=1.5)
    with pytest.raises(UserError, match="batch_size 'auto'"):
        HarnessModel(str(folder), batch_size="auto")
    with pytest.raises(UserError, match="no learned confidence"):
        HarnessModel(str(folder), threshold=0.5, confidence="learned")
    short = HarnessModel(str(folder), max_length=4)
    with pytest.raises(UserError, match="give a larger max_length"):
        short.loglikelihood(asked((QUESTION, " the mat and the cat and the dog")))
