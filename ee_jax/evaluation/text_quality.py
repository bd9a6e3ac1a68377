"""Metrics of generated texts against references, and how sure they are.

A metric counts something in each text, and is a function of the counts' sum over a corpus: so a
corpus that is drawn anew from the same texts is scored without reading a text again. All go
from 0 to 100, the larger the better; of several references each metric takes the best.
"""

import re
import string
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from importlib.util import find_spec
from typing import Any, NamedTuple

import chex
import numpy as np
from jaxtyping import Float

from ee_jax.errors import UserError
from ee_jax.evaluation.contrasts import DRAWS, Contrast, Drawn
from ee_jax.evaluation.statistics import Interval
from ee_jax.registry import Registry

CHARACTERS = 6  # of chrF's longest n-grams
BETA = 2  # how many times as much recall weighs as precision in chrF


class TextMetric(NamedTuple):
    """What is counted in a text, and the metric of a corpus from the sum of that."""

    count: Callable[[str, Sequence[str]], Sequence[float]]  # (text, references) -> S numbers
    score: Callable[[Float[np.ndarray, " S"]], float]  # of their sum over all texts
    needs: tuple[str, ...] = ()  # modules that `ee_jax[seq2seq]` installs


def normalized(text: str) -> str:
    """A text as SQuAD's script compares it (Rajpurkar et al. 2016, arXiv:1606.05250, sec. 6.1).

    In lower case, without punctuation, without a, an and the, and with single spaces.
    """
    plain = "".join(each for each in text.lower() if each not in string.punctuation)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", plain).split())


def exact_match(text: str, references: Sequence[str]) -> float:
    """1 where the text is a reference, both as `normalized` has them, else 0."""
    return float(normalized(text) in map(normalized, references))


def token_f1(text: str, references: Sequence[str]) -> float:
    """F1 of the words that a text and a reference share, both as `normalized` has them.

    2 P R / (P + R) = 2 shared / (words of both), of the best reference; 0 where none is shared
    (SQuAD's script; Rajpurkar et al. 2016, sec. 6.1).
    """
    return max(_shared_f1(text, reference) for reference in references)


def _shared_f1(text: str, reference: str) -> float:
    said, right = Counter(normalized(text).split()), Counter(normalized(reference).split())
    shared = (said & right).total()
    return 2 * shared / (said.total() + right.total()) if shared else 0.0


def rouge_l(text: str, references: Sequence[str]) -> float:
    """ROUGE-L's F of the best reference (Lin 2004), with Porter's stems, from 0 to 1.

    Only the letters a to z and digits are read, so it is for English.
    """
    return float(_rouge().score_multi(references, text)["rougeL"].fmeasure)


def bleu_counts(text: str, references: Sequence[str]) -> list[float]:
    """Of n-grams of 1 to 4 words how many are right, then how many there are; both lengths."""
    found = _bleu().sentence_score(text, references)
    return [*found.counts, *found.totals, found.sys_len, found.ref_len]


def bleu_of(count_S: Float[np.ndarray, " S"]) -> float:
    """BLEU (Papineni et al. 2002) of a corpus or a sentence, as sacrebleu has it (Post 2018).

    Where no text has 4 words, shorter n-grams alone count, as sacrebleu has it of a sentence.
    """
    right, total, lengths = np.split(count_S.astype(int), (4, 8))
    found = _bleu().compute_bleu(
        right.tolist(), total.tolist(), *lengths.tolist(),
        smooth_method="exp", effective_order=True,
    )  # fmt: skip
    return float(found.score)


def chrf_counts(text: str, references: Sequence[str]) -> list[float]:
    """Of n-grams of 1 to 6 characters: how many a text has, its best reference, and both."""
    return max((_chrf_counts(text, each) for each in references), key=_chrf_of_list)


def _chrf_counts(text: str, reference: str) -> list[float]:
    from sacrebleu.metrics.helpers import extract_all_char_ngrams

    both = [extract_all_char_ngrams(each, CHARACTERS, False) for each in (text, reference)]
    counts: list[float] = []
    for said, right in zip(*both, strict=True):
        has = said.total() if right else 0  # a reference too short for these is no mistake
        counts += [has, right.total(), (said & right).total()]
    return counts


def _chrf_of_list(counts: Sequence[float]) -> float:
    return chrf_of(np.asarray(counts, float))


def chrf_of(count_S: Float[np.ndarray, " S"]) -> float:
    """chrF2 (Popović 2015): F of the mean precision and recall over the n-grams' lengths.

    (1 + b^2) P R / (b^2 P + R) with b = 2, over those lengths of which both sides have some.
    """
    count_O3 = count_S.reshape(CHARACTERS, 3)
    said_O, right_O, shared_O = count_O3[(count_O3[:, :2] > 0).all(1)].T
    if not shared_O.sum():
        return 0.0
    precision, recall = np.mean(shared_O / said_O), np.mean(shared_O / right_O)
    f = (1 + BETA**2) * precision * recall / (BETA**2 * precision + recall)
    return float(100 * f)


def mean_of(one: Callable[[str, Sequence[str]], float], needs: tuple[str, ...] = ()) -> Any:
    """The metric of a corpus that is the mean of a number from 0 to 1 of each text."""

    def count(text: str, references: Sequence[str]) -> tuple[float, float]:
        return one(text, references), 1.0

    return TextMetric(count, lambda count_S: float(100 * count_S[0] / count_S[1]), needs)


TEXT_METRICS: Registry[TextMetric] = Registry(
    "text metric",
    bleu=TextMetric(bleu_counts, bleu_of, ("sacrebleu",)),
    chrf=TextMetric(chrf_counts, chrf_of, ("sacrebleu",)),
    rouge_l=mean_of(rouge_l, ("rouge_score",)),
    exact_match=mean_of(exact_match),
    token_f1=mean_of(token_f1),
)


def find_metrics(names: Iterable[str]) -> dict[str, TextMetric]:
    """The metrics of these names.

    Raises:
      UserError: one is not registered, or the package that it needs is not installed.
    """
    found = {name: TEXT_METRICS[name] for name in names}
    for name, metric in found.items():
        for module in metric.needs:
            if find_spec(module) is None:
                mend = "pip install 'ee_jax[seq2seq]'"
                raise UserError(f"the metric {name} needs the package {module}: {mend}")
    return found


def count_texts(
    metric: TextMetric, texts: Sequence[str], references: Sequence[Sequence[str]]
) -> Float[np.ndarray, "N S"]:
    """What a metric counts in each text.

    Args:
      metric: one of `TEXT_METRICS`.
      texts: what was generated.
      references: of each text, at least one.

    Returns:
      A row for each text; their sum is what `metric.score` takes.
    """
    pairs = zip(texts, references, strict=True)
    return np.array([metric.count(text, right) for text, right in pairs], float)


def draw_scores(
    metric: TextMetric,
    counts: Sequence[Float[np.ndarray, "N S"]],
    draws: int = DRAWS,
    seed: int = 0,
) -> Drawn:
    """The scores of each system, on the corpus and on bootstraps of it (Koehn 2004).

    All systems see the same draws, so their difference is a paired bootstrap:
    `draw_scores(metric, (one, other)).contrast(np.array([1.0, -1.0]))`.

    Args:
      metric: what scores.
      counts: what it counted in each text of each system, in the same order of the sources.
      draws: how often N texts are drawn with replacement.
      seed: of the draws.
    """
    chex.assert_equal_shape(counts)
    count_NAS = np.stack(counts, 1)
    rng, texts = np.random.default_rng(seed), len(count_NAS)
    score_BA = np.empty((draws, len(counts)))
    for score_A in score_BA:
        times_N = np.bincount(rng.integers(texts, size=texts), minlength=texts)
        score_A[:] = [metric.score(sum_S) for sum_S in np.tensordot(times_N, count_NAS, 1)]
    return Drawn(np.array([metric.score(each) for each in count_NAS.sum(0)]), score_BA)


def score_interval(
    metric: TextMetric,
    count_NS: Float[np.ndarray, "N S"],
    draws: int = DRAWS,
    seed: int = 0,
) -> Interval:
    """Where 95 % of the scores lie when the texts are drawn again with replacement."""
    found = draw_scores(metric, [count_NS], draws, seed).contrast(np.ones(1))
    return Interval(found.low, found.high)


def score_difference(
    metric: TextMetric,
    first_NS: Float[np.ndarray, "N S"],
    second_NS: Float[np.ndarray, "N S"],
    draws: int = DRAWS,
    seed: int = 0,
) -> Contrast:
    """The score of first - second on the same sources, its 95 % interval and p-value."""
    drawn = draw_scores(metric, (first_NS, second_NS), draws, seed)
    return drawn.contrast(np.array([1.0, -1.0]))


def dissimilarity(metric: TextMetric, text: str, full: str) -> float:
    """How far a text is from the full model's: 1 - score / 100, in [0, 1].

    The loss of textual consistency (CALM, Schuster et al. 2022, arXiv:2207.07061, sec. 4).
    Equal texts are at 0, also where they are empty.

    Args:
      metric: such as ROUGE-L, or BLEU, which is smoothed.
      text: what was generated with early exits.
      full: what the full model generated.
    """
    if text == full:
        return 0.0
    score = metric.score(np.asarray(metric.count(text, [full]), float))
    return float(np.clip(1 - score / 100, 0.0, 1.0))


@lru_cache
def _bleu() -> Any:
    from sacrebleu.metrics import BLEU  # pyright: ignore[reportPrivateImportUsage]

    return BLEU(effective_order=True)


@lru_cache
def _rouge() -> Any:
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(["rougeL"], use_stemmer=True)
