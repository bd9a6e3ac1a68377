"""Runs side by side: one line a run and strategy."""

from collections.abc import Sequence

from ee_jax.errors import UserError
from ee_jax.report.compare_encoders import encoder_comparison
from ee_jax.report.compare_language import language_comparison
from ee_jax.report.render import Table
from ee_jax.report.results import Results, is_language, labels


def comparison(
    runs: Sequence[Results], tolerance: float = 0.01, calibration: str | None = None
) -> Table:
    """Each strategy's full model, and what early exits gain within the tolerance.

    Args:
      tolerance: what may be lost against the strategy's own full model: 0.01 is a point of an
        encoder's quality, and a perplexity that is 1 % higher.
      calibration: a label such as "ltt 2 %": what it chose without the test split is shown
        instead.

    Raises:
      UserError: encoders and language models are mixed, or no run has the calibration.
    """
    languages = [results["name"] for results in runs if is_language(results)]
    if languages and len(languages) < len(runs):
        raise UserError(
            f"run `{languages[0]}` is of a language model, others are of encoders: compare "
            "each kind by itself"
        )
    known = list(dict.fromkeys(label for results in runs for label in labels(results)))
    if calibration is not None and calibration not in known:
        raise UserError(
            f"no calibration `{calibration}` in these runs: choose from {', '.join(known)}"
        )
    compare = language_comparison if languages else encoder_comparison
    return compare(runs, tolerance, calibration)
