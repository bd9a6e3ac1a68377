"""`ee_jax.load` of a language model: what it writes, what it computes, and that it is saved."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import ee_jax
from ee_jax.errors import UserError
from ee_jax.inference.sampling import Sampling
from ee_jax.models.language_source import CHAT_TEMPLATE
from ee_jax.results import Calibrated, to_json
from ee_jax.runs.generation.text_generation import Request, TextGeneration
from tests.runs.generation.conftest import LAYERS, VOCABULARY

PROMPTS = ["a cat", "a hat on a", "sat"]


@pytest.fixture(scope="module")
def model(exported):
    return ee_jax.load(exported)


@pytest.mark.parametrize("asked", [{}, {"threshold": 0.3}, {"draft": 1}, {"threshold": 1.0}])
def test_texts_are_those_of_the_command_one_by_one(model, exported, asked):
    texts = model.generate(PROMPTS, tokens=9, **asked)
    for prompt, text in zip(PROMPTS, texts, strict=True):
        alone = TextGeneration(Request(str(exported), prompt, 9, **asked))
        expected = [token for some in alone.tokens() for token in some]
        assert text == "".join(token.text for token in expected)
        if asked.get("threshold") == 0.3 or "draft" in asked:
            assert text.depths == [token.depth for token in expected]
    assert model.generate(PROMPTS[1], tokens=9, **asked) == texts[1]


def test_a_text_knows_its_depths(model):
    text = model.generate("a cat", threshold=0.3, tokens=12)
    assert text == "".join(token.text for token in text.tokens)
    assert {*text.depths} <= {*LAYERS}
    assert len({*text.depths}) > 1
    assert text.mean_depth == pytest.approx(np.mean(text.depths))
    full = model.generate("a cat", tokens=12)
    assert full.depths == [LAYERS[-1]] * 12
    assert full.tokens[0].confidence is None  # the static decoder asks none
    assert model.generate([], tokens=3) == []


def test_logits_at_the_exits_are_a_pure_function(model):
    ids_BT = jnp.asarray([model.tokenizer.encode(text).ids[:2] for text in PROMPTS[:2]])
    logits = jax.jit(model.apply)(model.parameters, ids_BT)
    assert logits.shape == (len(model.exits), 2, 2, VOCABULARY)
    first = model.generate("a cat", tokens=1).tokens[0].id
    whole = jnp.asarray([model.tokenizer.encode("a cat").ids])
    assert int(model.apply(model.parameters, whole)[-1, 0, -1].argmax()) == first

    def loss(values):
        return jax.nn.logsumexp(model.apply(values, ids_BT)[0])

    gradient = jax.grad(lambda values: loss(values).sum())(model.parameters)
    assert float(jnp.abs(gradient["backbone.blocks.0.mlp.up.kernel"]).max()) > 0
    # The first exit reads nothing of the blocks after it.
    assert float(jnp.abs(gradient["backbone.blocks.2.mlp.up.kernel"]).max()) == 0


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_what_is_saved_is_loaded(exported, tmp_path, precision):
    model = ee_jax.load(exported, precision)
    loaded = ee_jax.load(ee_jax.save(model, tmp_path / "saved"))
    assert (loaded.precision, loaded.exits, loaded.trained) == (precision, LAYERS, True)
    assert loaded.stops == model.stops
    for path, value in model.parameters.items():
        assert (loaded.parameters[path] == value).all(), path
    asked = {"threshold": 0.3, "tokens": 9, "sampling": Sampling(1.0), "seed": 3}
    assert loaded.generate(PROMPTS, **asked) == model.generate(PROMPTS, **asked)
    ee_jax.save(loaded, tmp_path / "saved")  # a model may be replaced
    assert ee_jax.load(tmp_path / "saved").exits == LAYERS


def test_a_model_without_exits_is_saved_with_those_of_the_logit_lens(copied, tmp_path):
    (copied / "exits.json").unlink()
    (copied / CHAT_TEMPLATE).write_text("{{ messages[0].content }}")
    model = ee_jax.load(copied)
    assert model.exits == LAYERS
    assert not model.trained
    loaded = ee_jax.load(ee_jax.save(model, tmp_path / "saved"))
    assert not loaded.trained
    assert loaded.chat_template == model.chat_template is not None
    assert loaded.generate("a cat", tokens=5) == model.generate("a cat", tokens=5)


def test_chosen_thresholds_are_found_and_saved(copied, tmp_path):
    choice = Calibrated(
        label="ltt 2 %", kind="ltt", amount="2", unit="%", method="ltt", risk="consistency",
        level=0.02, delta=0.1, promise="risk at most 2 %", threshold=0.7, threshold_E=None,
        full_model=False, certified_risk=0.02, calibration_risk=0.01,
        calibration_mean_depth=2.0, examples=9, ended="found", warning="",
        confidence="max_prob", policy="propagate",
    )  # fmt: skip
    (copied / "calibration.json").write_text(json.dumps({"choices": [to_json(choice)]}))
    model = ee_jax.load(copied)
    assert model.threshold_of("ltt 2 %") == 0.7
    assert model.choices_of("margin", "propagate") == {}
    saved = ee_jax.load(ee_jax.save(model, tmp_path / "saved"))
    assert saved.calibrated == (choice,)
    with pytest.raises(UserError, match="no calibration `ltt 1 %` in this run: "):
        saved.threshold_of("ltt 1 %")


def test_what_cannot_be_loaded_or_saved_is_one_line(model, exported, tmp_path):
    with pytest.raises(UserError, match="no weights in 'nosuch'"):
        ee_jax.load("nosuch")
    with pytest.raises(UserError, match="no precision 'int8'"):
        ee_jax.load(exported, "int8")
    (tmp_path / "manifest.json").write_text("{}")
    with pytest.raises(UserError, match="holds no trained model: finish its run"):
        ee_jax.load(tmp_path)
    with pytest.raises(UserError, match="holds something else than a model: give a new"):
        ee_jax.save(model, tmp_path)
    with pytest.raises(UserError, match="--threshold 2: it is from 0 to 1"):
        model.generate("a cat", threshold=2)
