"""How good written texts are, and what early exits cost them."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from ee_jax.calibration.risks import performance_gap
from ee_jax.data.pairs import Pair
from ee_jax.evaluation.text_quality import TEXT_METRICS, rouge_distance

RISKS = {
    "consistency": "how far a text is from what the full model writes of the same source: "
    "1 - ROUGE-L between the two",
    "gap": "how much farther a text is from its references than the full model's: 1 - ROUGE-L "
    "to the nearest, less that of the full model's text, 0 at least",
}


def qualities(
    metrics: Sequence[str], texts: Sequence[str], pairs: Sequence[Pair]
) -> dict[str, float]:
    """Each metric of the texts against the pairs' references."""
    references = [pair.every_reference for pair in pairs]
    return {name: TEXT_METRICS[name](texts, references).value for name in metrics}


def losses(
    risk: str, texts: Sequence[str], full: Sequence[str], pairs: Sequence[Pair]
) -> Float[np.ndarray, " N"]:
    """1 - ROUGE-L of each text: to the full model's, or of the risk `gap` to the references.

    Args:
      risk: a name in RISKS (CALM, Schuster et al. 2022, sec. 4: textual or risk consistency).
      texts: of a setting.
      full: the full model's of the same sources.
      pairs: of the same sources.
    """
    references = [pair.every_reference for pair in pairs]
    others = [(text,) for text in full] if risk == "consistency" else references
    return np.array([rouge_distance(*both) for both in zip(texts, others, strict=True)])


def mean_risk(
    risk: str, texts: Sequence[str], full: Sequence[str], pairs: Sequence[Pair]
) -> float:
    """The mean of a risk over texts, as calibration reckons it; arguments as of `losses`."""
    both = [losses(risk, each, full, pairs) for each in (texts, full)]
    return float(performance_gap(np.stack(both, axis=1))[:, 0].mean())
