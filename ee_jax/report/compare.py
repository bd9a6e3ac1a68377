"""Runs side by side: one line a run and strategy."""

from collections.abc import Sequence

from ee_jax.errors import UserError
from ee_jax.report.compare_encoders import encoder_comparison
from ee_jax.report.compare_language import language_comparison
from ee_jax.report.render import Table
from ee_jax.report.results import Results, is_language


def comparison(
    runs: Sequence[Results], tolerance: float = 0.01, calibration: str | None = None
) -> Table:
    """Each strategy's full model, and what early exits gain within the tolerance.

    Args:
      tolerance: what may be lost against the strategy's own full model: 0.01 is a point of an
        encoder's quality, and a perplexity that is 1 % higher.
      calibration: for encoders, a label such as "ltt 2 %"; the points that it chose are shown.

    Raises:
      UserError: encoders and language models are mixed, or no run has the calibration.
    """
    languages = [results["name"] for results in runs if is_language(results)]
    if not languages:
        return encoder_comparison(runs, tolerance, calibration)
    if len(languages) < len(runs):
        raise UserError(
            f"run `{languages[0]}` is of a language model, others are of encoders: compare "
            "each kind by itself"
        )
    if calibration is not None:
        raise UserError(
            f"language models have no calibration `{calibration}`: leave --calibration out, "
            "--tolerance says what may be lost"
        )
    return language_comparison(runs, tolerance)
