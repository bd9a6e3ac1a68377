"""Early exit against models without exits that take the same measured time.

Time is measured over that of the full model without exits, batch by batch and interleaved, so
those of one run's models compare. A setting whose time lies between those of two static
models is put beside the straight line between them: what one gets who gives each example by lot
to one of the two. Settings that are faster than the fastest static model, or slower than the
slowest, have none to be put beside.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Real

from ee_jax.calibration.choice import predictions
from ee_jax.calibration.empirical import Quality
from ee_jax.calibration.trace import Trace
from ee_jax.evaluation.contrasts import DRAWS, Contrast, Drawn, draw, line_weights
from ee_jax.exits.stopping import Stopping
from ee_jax.results import AgainstStatic, Point, StrategyResults


class Timed(NamedTuple):
    """A setting or a static model: what it answers, and its time at each batch size."""

    threshold: float
    answer_N: Real[np.ndarray, " N"]
    time: Mapping[int, float]  # over the full static model's


def against_static(
    strategies: Mapping[str, StrategyResults],
    traces: Mapping[str, Trace],
    metric: Quality,
    stopping: Stopping,
    draws: int = DRAWS,
) -> list[AgainstStatic]:
    """A row for each strategy with exits and batch size that has settings to compare.

    Args:
      strategies: what a run found, of models with and without exits.
      traces: of the test split, of each.
      metric: of the quality.
      stopping: who might stop, but for the thresholds.
      draws: of the bootstrap.
    """
    statics = [
        _static(found, traces[name])
        for name, found in strategies.items()
        if found.static_blocks is not None
    ]
    if not statics:
        return []
    rows = []
    for name, found in strategies.items():
        if found.static_blocks is None:
            settings = early_settings(found, traces[name], stopping)
            label_N = traces[name].label_N
            assert label_N is not None  # a run writes them
            answer_AN = [each.answer_N for each in (*settings, *statics)]
            drawn = draw(metric, answer_AN, label_N, draws)
            rows += _rows(name, settings, statics, drawn)
    return rows


def _static(found: StrategyResults, trace: Trace) -> Timed:
    assert trace.prediction_NE is not None
    return Timed(1.0, trace.prediction_NE[:, -1], times(found.points[0]))


def times(point: Point) -> dict[int, float]:
    """Of each batch size that was timed: the time over that of the full static model."""
    return {batch: 1 / value for batch, value in point.measured_speedup.items() if value}


def early_settings(found: StrategyResults, trace: Trace, stopping: Stopping) -> list[Timed]:
    """The settings that were measured and may stop early, by rising threshold."""
    points = sorted((p for p in found.points if p.threshold < 1), key=lambda p: p.threshold)
    settings = []
    for point in points:
        threshold_K = np.array([point.threshold_E or point.threshold])
        answer_N = predictions(trace, threshold_K, stopping)[0]
        settings.append(Timed(point.threshold, answer_N, times(point)))
    return settings


def _rows(
    name: str, settings: Sequence[Timed], statics: Sequence[Timed], drawn: Drawn
) -> list[AgainstStatic]:
    batches = dict.fromkeys(batch for each in statics for batch in each.time)
    return [row for batch in batches if (row := _row(name, batch, settings, statics, drawn))]


def _row(
    name: str, batch: int, settings: Sequence[Timed], statics: Sequence[Timed], drawn: Drawn
) -> AgainstStatic | None:
    """None where no setting's time lies between static models', or a quality is not defined."""
    place_K = np.array([each.time.get(batch, np.nan) for each in statics])
    compared = []
    for number, setting in enumerate(settings):
        time = setting.time.get(batch, np.nan)
        weight_K = line_weights(time, place_K)
        if weight_K is not None:
            compared.append((number, time, _beside(number, len(settings), weight_K)))
    if not compared:
        return None
    numbers, time_P, weight_PA = zip(*compared, strict=True)
    each = [drawn.contrast(weight_A) for weight_A in weight_PA]
    mean = drawn.contrast(np.mean(weight_PA, axis=0))
    if not np.isfinite(mean).all():  # a correlation with answers that are all the same
        return None
    quality = [float(drawn.quality_A[number]) for number in numbers]
    return AgainstStatic(
        strategy=name,
        batch=batch,
        threshold=tuple(settings[number].threshold for number in numbers),
        time=tuple(map(float, time_P)),
        quality=tuple(quality),
        static_quality=tuple(q - c.value for q, c in zip(quality, each, strict=True)),
        low=tuple(c.low for c in each),
        high=tuple(c.high for c in each),
        **_of_mean(mean),
    )


def _beside(
    number: int, settings: int, weight_K: Float[np.ndarray, " K"]
) -> Float[np.ndarray, " A"]:
    """1 for the setting and the negated weights of the static models, which come after all."""
    return np.concatenate([np.eye(settings)[number], -weight_K])


def _of_mean(mean: Contrast) -> dict[str, float]:
    return {"mean": mean.value, "mean_low": mean.low, "mean_high": mean.high}
