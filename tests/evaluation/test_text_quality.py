"""Metrics of texts: as the libraries have them, from counts alone, and by hand."""

import gzip
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ee_jax.errors import UserError
from ee_jax.evaluation.text_quality import (
    TEXT_METRICS,
    count_texts,
    dissimilarity,
    draw_scores,
    exact_match,
    find_metrics,
    mean_of,
    normalized,
    score_difference,
    score_interval,
    token_f1,
)

sacrebleu = pytest.importorskip("sacrebleu")
rouge_scorer = pytest.importorskip("rouge_score.rouge_scorer")

REAL = os.environ.get("EE_JAX_TEST_DATA")
NAMES = [*TEXT_METRICS]


def score(name, texts, references):
    metric = TEXT_METRICS[name]
    return metric.score(count_texts(metric, texts, references).sum(0))


@pytest.fixture(scope="module")
def german():
    """What a system could have made of real sentences, words lost and turned round."""
    if not REAL:
        pytest.skip("EE_JAX_TEST_DATA names no folder of real data")
    path = Path(REAL) / "seq2seq" / "opennmt_ende" / "tgt-test.txt.gz"
    right = gzip.decompress(path.read_bytes()).decode().split("\n")[:300]
    rng = np.random.default_rng(0)
    texts = []
    for line in right:
        words = [word for word in line.split() if rng.random() > 0.15]
        at = int(rng.integers(len(words))) if words else 0
        texts.append(" ".join(words[at:] + words[:at]))
    return texts, right


def test_bleu_and_chrf_of_a_corpus_are_sacrebleus(german):
    texts, right = german
    references = [[each] for each in right]
    bleu = sacrebleu.corpus_bleu(texts, [right]).score
    assert 20 < bleu < 90
    assert score("bleu", texts, references) == pytest.approx(bleu, abs=1e-9)
    chrf = sacrebleu.corpus_chrf(texts, [right]).score
    assert score("chrf", texts, references) == pytest.approx(chrf, abs=1e-9)


def test_several_references(german):
    texts, right = german
    other = [*right[1:], right[0]]
    references = [list(both) for both in zip(other, right, strict=True)]
    bleu = sacrebleu.corpus_bleu(texts, [other, right]).score
    assert score("bleu", texts, references) == pytest.approx(bleu, abs=1e-9)
    chrf = sacrebleu.corpus_chrf(texts, [other, right]).score
    assert score("chrf", texts, references) == pytest.approx(chrf, abs=1e-9)
    for name in NAMES:
        assert score(name, right, references) == pytest.approx(100)


@given(st.text("ab cé.", max_size=20), st.text("ab cé.", min_size=1, max_size=20))
def test_one_sentence_is_as_the_libraries_have_it(text, right):
    bleu = sacrebleu.sentence_bleu(text, [right], use_effective_order=True).score
    assert score("bleu", [text], [[right]]) == pytest.approx(bleu, abs=1e-9)
    chrf = sacrebleu.sentence_chrf(text, [right]).score
    assert score("chrf", [text], [[right]]) == pytest.approx(chrf, abs=1e-9)
    for name in NAMES:
        assert 0 <= dissimilarity(TEXT_METRICS[name], text, right) <= 1


def test_rouge_l_by_hand():
    # "the cat sat" of "the cat on the mat sat": 3 words in order, P = 3/3, R = 3/6.
    assert score("rouge_l", ["the cat sat"], [["the cat on the mat sat"]]) == pytest.approx(
        100 * 2 * 0.5 / 1.5
    )


def test_answers_by_hand():
    assert normalized(" The  U.S. Army,\n an army!") == "us army army"
    assert exact_match("the Army.", ["navy", "army"]) == 1
    assert exact_match("armies", ["army"]) == 0
    # words cat, sat of cat, cat, slept: 1 shared, 2 * 1 / (2 + 3)
    assert token_f1("The cat sat", ["a cat, cat slept"]) == pytest.approx(0.4)
    assert token_f1("cat sat", ["dog", "cat sat", "cat"]) == 1
    assert token_f1("the", ["a"]) == 0  # as SQuAD's script has it: nothing is shared
    assert token_f1("", ["cat"]) == 0
    assert score("token_f1", ["cat", "dog"], [["cat"], ["cat"]]) == 50


@pytest.mark.parametrize("name", ["bleu", "chrf", "rouge_l"])
def test_a_bootstrap_is_that_of_the_texts(german, name):
    """From counts alone what scoring the drawn texts again gives."""
    texts, right = (column[:20] for column in german)
    metric, references = TEXT_METRICS[name], [[each] for each in right]
    counts = count_texts(metric, texts, references), count_texts(metric, right, references)
    drawn = draw_scores(metric, counts, draws=5, seed=3)
    rng = np.random.default_rng(3)
    for found in drawn.quality_BA:
        at = rng.integers(20, size=20)
        again = score(name, [texts[n] for n in at], [references[n] for n in at])
        assert found == pytest.approx([again, 100])


def test_intervals_and_differences(german):
    texts, right = german
    metric, references = TEXT_METRICS["bleu"], [[each] for each in right]
    count_NS = count_texts(metric, texts, references)
    found = score_interval(metric, count_NS, draws=199)
    assert found.low < metric.score(count_NS.sum(0)) < found.high
    assert score_interval(metric, count_NS, draws=199) == found
    same = score_difference(metric, count_NS, count_NS, draws=199)
    assert same == (0, 0, 0, 1)
    worse = score_difference(metric, count_NS, count_texts(metric, right, references), 199)
    assert worse.high < 0
    assert worse.p_value == pytest.approx(2 / 200)


def test_an_interval_of_a_mean_covers_it_as_often_as_it_says():
    metric, rng = mean_of(exact_match), np.random.default_rng(0)
    covered = []
    for seed in range(200):
        count_NS = np.stack([rng.random(80) < 0.3, np.ones(80)], 1).astype(float)
        found = score_interval(metric, count_NS, draws=199, seed=seed)
        covered.append(found.low <= 30 <= found.high)
    assert 0.88 <= np.mean(covered) <= 0.99


@pytest.mark.parametrize("name", ["rouge_l", "bleu", "token_f1"])
def test_dissimilarity(name):
    metric = TEXT_METRICS[name]
    assert dissimilarity(metric, "", "") == dissimilarity(metric, "yes", "yes") == 0
    assert dissimilarity(metric, "", "yes") == dissimilarity(metric, "no", "yes") == 1
    near = dissimilarity(metric, "a dog sat on my mat today", "a cat sat on my mat today")
    assert 0 < near < dissimilarity(metric, "my mat was red today", "a cat sat on my mat today")


def test_names(monkeypatch):
    assert [*find_metrics(["bleu", "token_f1"])] == ["bleu", "token_f1"]
    with pytest.raises(UserError, match="no text metric 'blue': did you mean `bleu`"):
        find_metrics(["blue"])
    own = mean_of(lambda text, references: float(len(text) <= len(references[0])))
    monkeypatch.setitem(TEXT_METRICS, "short", own)
    metric = find_metrics(["short"])["short"]
    assert metric.score(count_texts(metric, ["a", "bbb"], [["cc"], ["cc"]]).sum(0)) == 50


def test_without_the_extra_a_metric_says_what_to_install(tmp_path):
    """Where the package is not there; those of questions need none."""
    code = """if True:
        import sys
        from importlib.machinery import PathFinder
        hidden = {"sacrebleu", "rouge_score"}
        find = PathFinder.find_spec
        PathFinder.find_spec = lambda name, *rest: (
            None if name.split(".")[0] in hidden else find(name, *rest))
        from ee_jax.evaluation.text_quality import find_metrics
        find_metrics(["exact_match"])
        try:
            find_metrics(["bleu"])
        except Exception as error:
            print(error)
    """
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout == (
        "the metric bleu needs the package sacrebleu: pip install 'ee_jax[seq2seq]'\n"
    )
