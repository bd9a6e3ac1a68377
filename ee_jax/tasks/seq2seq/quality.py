"""How good written texts are, and what early exits cost them."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from ee_jax.calibration.risks import performance_gap
from ee_jax.data.pairs import Pair
from ee_jax.evaluation.text_quality import (
    TEXT_METRICS,
    TextMetric,
    count_texts,
    dissimilarity,
)

RISKS = {
    "consistency": "how far a text is from what the full model writes of the same source: 1 - "
    "the quality that it has with that as its reference",
    "gap": "how much worse a text is than the full model's: the latter's quality less its own, "
    "text by text, 0 at least",
}


def qualities(
    metrics: Sequence[str], texts: Sequence[str], pairs: Sequence[Pair]
) -> dict[str, float]:
    """Each metric of the texts against the pairs' references, from 0 to 1."""
    references = [pair.every_reference for pair in pairs]
    counted = {name: count_texts(TEXT_METRICS[name], texts, references) for name in metrics}
    return {n: TEXT_METRICS[n].score(count_NS.sum(0)) / 100 for n, count_NS in counted.items()}


def losses(
    risk: str,
    metric: TextMetric,
    texts: Sequence[str],
    full: Sequence[str],
    pairs: Sequence[Pair],
) -> Float[np.ndarray, " N"]:
    """1 - the metric of each text: by the full model's, or of the risk `gap` by the references.

    Args:
      risk: a name in RISKS (CALM, Schuster et al. 2022, sec. 4: textual or risk consistency).
      metric: of one text.
      texts: of a setting.
      full: the full model's of the same sources.
      pairs: of the same sources.
    """
    if risk == "consistency":
        both = zip(texts, full, strict=True)
        return np.array([dissimilarity(metric, text, other) for text, other in both])
    references = [pair.every_reference for pair in pairs]
    count_NS = count_texts(metric, texts, references)
    return np.clip([1 - metric.score(count_S) / 100 for count_S in count_NS], 0, 1)


def mean_risk(
    risk: str,
    metric: TextMetric,
    texts: Sequence[str],
    full: Sequence[str],
    pairs: Sequence[Pair],
) -> float:
    """The mean of a risk over texts, as calibration reckons it; arguments as of `losses`."""
    both = [losses(risk, metric, each, full, pairs) for each in (texts, full)]
    return float(performance_gap(np.stack(both, axis=1))[:, 0].mean())
