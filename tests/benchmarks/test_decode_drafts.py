"""Rows of drafters: what they say adds up, and prompts that cannot be read are one line."""

import pytest

from ee_jax.benchmarks.decode_drafts import Prompts, bench_drafts, drafting, read_prompts
from ee_jax.errors import UserError
from ee_jax.inference.adaptive_drafting import AdaptiveSpeculation
from ee_jax.inference.generator import Decoder, middle_exit
from ee_jax.inference.methods import SelfSpeculation
from ee_jax.models.language import LanguageDesign
from tests.inference.models import PROMPTS, tiny


def test_a_row_for_each_batch_and_drafter():
    prompts = Prompts("four", PROMPTS)
    asked = ["lookup", "auto", "1"]
    rows = list(bench_drafts(Decoder(tiny()), prompts, asked, [1, 2], tokens=8, repeats=2))
    assert [(row["batch"], row["drafter"]) for row in rows] == [
        (batch, name) for batch in (1, 2) for name in asked
    ]
    for row in rows:
        assert row["batches"] * row["batch"] == len(PROMPTS)
        assert row["same_tokens"] == 1.0
        assert row["slowest"] > 0
        assert row["tokens_a_pass"] >= 1
        drafters = {"lookup": 4, "auto": 7, "1": 1}[row["drafter"]]
        assert len(row["passes"]) == drafters
        if row["drafter"] == "1":
            assert row["pass_costs"] is None
        else:
            assert row["pass_costs"][0] == 1.0
            assert len(row["pass_costs"]) == drafters


def test_drafters_by_name():
    design = LanguageDesign((2, 4, 6, 8))
    assert drafting("lookup", design) == AdaptiveSpeculation(None)
    assert drafting("auto", design) == AdaptiveSpeculation(1)
    assert drafting("6", design) == SelfSpeculation(2, 4)
    for name, message in (("more", "no drafter 'more'"), ("8", "the exit after all 8 blocks")):
        with pytest.raises(UserError, match=message):
            drafting(name, design)


@pytest.mark.parametrize(
    ("layers", "exit"), [((1, 2, 3), 0), ((2, 4, 6, 8), 1), ((5, 6), 0), ((6,), None)]
)
def test_the_middle_exit(layers, exit):
    assert middle_exit(LanguageDesign(layers)) == exit


def test_prompts_are_read_from_lines(tmp_path):
    path = tmp_path / "prompts.jsonl"
    path.write_text('{"prompt": "one\\ntwo"}\n{"prompt": "three"}\n')
    assert read_prompts(path) == ["one\ntwo", "three"]


@pytest.mark.parametrize(
    "text", ["", "no json\n", '{"text": "a"}\n', '{"prompt": 3}\n', "[]\n"]
)
def test_what_is_no_file_of_prompts(tmp_path, text):
    path = tmp_path / "prompts.jsonl"
    path.write_text(text)
    with pytest.raises(UserError, match="each line"):
        read_prompts(path)


def test_a_batch_of_more_than_there_are():
    prompts = Prompts("four", PROMPTS)
    with pytest.raises(UserError, match="four: 4 prompts make no batch of 5"):
        list(bench_drafts(Decoder(tiny()), prompts, ["lookup"], [5], tokens=8, repeats=1))
