"""A text and its record: what was decoded, where, how it reads."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ee_jax.data.text import load_tokenizer
from ee_jax.display import Display
from ee_jax.errors import UserError
from ee_jax.inference.flops import decoding_flops_speedup
from ee_jax.inference.generator import Decoder
from ee_jax.inference.methods import StaticDecoding
from ee_jax.inference.rules import Exiting
from ee_jax.inference.sampling import Sampling
from ee_jax.models.export import import_language
from ee_jax.models.language import LanguageDesign
from ee_jax.runs.generation.source import open_source
from ee_jax.runs.generation.text_generation import EVERY, Request, TextGeneration

REAL = os.environ.get("EE_JAX_TEST_DATA")
PROMPT, TOKENS = "a cat sat", 20


def request(folder: Path, **changes) -> Request:
    return replace(Request(str(folder), PROMPT, TOKENS), **changes)


def tokens_of(story: TextGeneration) -> list:
    return [token for some in story.tokens() for token in some]


@pytest.fixture(scope="module")
def full(exported) -> list[int]:
    """What the static decoder gives, all at once."""
    decoder = Decoder(import_language(exported))
    ids = load_tokenizer(exported).encode(PROMPT).ids
    return decoder.run(StaticDecoding(2), None, [ids], TOKENS).ids_BN[0].tolist()


def test_tokens_come_a_few_at_a_time_and_are_those_of_the_full_model(exported, full):
    some = list(TextGeneration(request(exported)).tokens())
    assert [len(part) for part in some] == [EVERY, EVERY, TOKENS - 2 * EVERY]
    tokens = [token for part in some for token in part]
    assert [token.id for token in tokens] == full
    assert {token.depth for token in tokens} == {3}


def test_speculation_gives_the_same_tokens_and_tells_no_depths(exported, full):
    story = TextGeneration(request(exported, draft=1))
    tokens = tokens_of(story)
    assert [token.id for token in tokens] == full
    assert {token.depth for token in tokens} == {None}
    speed = story.record(repeats=1)["speed"]
    assert 0 <= speed["acceptance"] <= 1
    assert speed["tokens_a_pass"] >= 1


@pytest.mark.parametrize(("draft", "drafters"), [("lookup", 4), ("auto", 7)])
def test_drafting_as_it_pays_gives_the_same_tokens(exported, full, draft, drafters):
    story = TextGeneration(request(exported, draft=draft))
    assert [token.id for token in tokens_of(story)] == full
    speed = story.record(repeats=1)["speed"]
    assert len(speed["passes"]) == drafters
    assert sum(speed["passes"].values()) * speed["tokens_a_pass"] == pytest.approx(TOKENS)


def test_a_drafter_that_is_not_there(exported):
    with pytest.raises(UserError, match="no drafter 'more': give --draft blocks, or one of "):
        request(exported, draft="more")


def test_the_record_adds_up(exported):
    story = TextGeneration(request(exported, threshold=0.3))
    record = story.record(repeats=1)
    tokens, speed = record["generated"], record["speed"]
    depths = [token["depth"] for token in tokens]
    assert len(set(depths)) > 1, "the threshold tells tokens apart"
    assert speed["mean_depth"] == pytest.approx(np.mean(depths))
    assert speed["ideal_speedup"] == pytest.approx(3 / np.mean(depths))
    fraction = speed["tokens_per_second"] / speed["static_tokens_per_second"]
    assert speed["measured_speedup"] == pytest.approx(fraction)  # of one round
    for token in tokens:
        assert token["depth"] == 3 or token["confidence"] > 0.3
    ids = load_tokenizer(exported).encode(PROMPT).ids + [token["id"] for token in tokens]
    design = LanguageDesign((1, 2, 3))
    asked = import_language(exported).backbone.config, design, Exiting("max_prob")
    exit_BT, last = np.array([depths]) - 1, len(ids) - len(tokens) - 1
    flops = decoding_flops_speedup(*asked, "propagate", exit_BT, first=last)
    assert speed["flops_speedup"] == pytest.approx(flops)
    whole = load_tokenizer(exported).decode(ids)
    # Bytes at the very end that are no character yet are not part of the text.
    assert whole.rstrip("\N{REPLACEMENT CHARACTER}").startswith(PROMPT + record["text"][:-1])


def test_a_seed_decides_what_is_sampled(exported):
    warm = Sampling(temperature=1.0)
    texts = [
        [
            token.id
            for token in tokens_of(TextGeneration(request(exported, sampling=warm, seed=seed)))
        ]
        for seed in (0, 0, 1)
    ]
    assert texts[0] == texts[1] != texts[2]


def test_a_model_without_exits_stops_early_only_where_that_is_asked(copied, capsys):
    (copied / "exits.json").unlink()
    assert open_source(str(copied), lens=False).model.design.layers == (3,)
    TextGeneration(request(copied), Display())
    assert capsys.readouterr().err == ""
    story = TextGeneration(request(copied, threshold=0.3), Display())
    assert story.layers == (1, 2, 3)
    assert "no trained exits" in capsys.readouterr().err


def test_without_trained_exits_a_draft_comes_from_the_logit_lens(copied, full, capsys):
    (copied / "exits.json").unlink()
    for threshold in (None, 0.3):
        story = TextGeneration(request(copied, draft=2, threshold=threshold), Display())
        assert story.layers == (1, 2, 3)
        assert "no trained exits" in capsys.readouterr().err
        assert [token.id for token in tokens_of(story)] == full


def test_an_empty_prompt_begins_where_texts_begin(exported):
    """At the start token, as llama2.c does."""
    text = tokens_of(TextGeneration(request(exported, prompt="")))
    decoder = Decoder(import_language(exported))
    out = decoder.run(StaticDecoding(2), None, [[0]], TOKENS)  # <|start|>
    assert [token.id for token in text] == out.ids_BN[0].tolist()


def test_a_text_is_over_where_the_next_one_would_begin(exported, copied):
    assert open_source(str(exported), lens=False).stops == (0,)  # <|start|>
    config = copied / "config.json"
    config.write_text(config.read_text().replace("{", '{"eos_token_id": [5, 7],', 1))
    assert open_source(str(copied), lens=False).stops == (0, 5, 7)


@pytest.mark.skipif(not REAL, reason="EE_JAX_TEST_DATA is not set: no stories260K.bin")
def test_a_llama2c_file_with_its_tokenizer():
    stories = Path(str(REAL)) / "stories260k"
    told = (stories / "expected_greedy_200.txt").read_text()
    prompt = "Once upon a time"
    story = TextGeneration(Request(str(stories / "stories260K.bin"), prompt, tokens=60))
    text = "".join(token.text for token in tokens_of(story))
    assert told.startswith(prompt + text)
    assert len(text) > 100
