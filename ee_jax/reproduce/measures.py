"""What claims are of: each a weighted sum of the qualities of one seed's settings.

A curve goes through the settings that the config asks for, joined by straight lines; depths,
times and FLOPs are taken as measured.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ee_jax.evaluation.contrasts import area_weights, line_weights
from ee_jax.reproduce.answers import FULL, Key, MeasuredSetting, SeedRun, Weights

Measure = Callable[[SeedRun], Weights | None]  # None: the seed has no such sum
Settings = Mapping[Key, MeasuredSetting]
Saving = Literal["layers", "FLOPs", "time"]


@dataclass(frozen=True)
class AtFullDepth:
    """The last exit of one strategy - that of another."""

    first: str
    second: str = "single"

    def __call__(self, seed: SeedRun) -> Weights | None:
        """Both at full depth."""
        pair: dict[Key, float] = {(self.first, FULL): 1.0, (self.second, FULL): -1.0}
        return pair if all(key in seed.settings for key in pair) else None


@dataclass(frozen=True)
class AtSaving:
    """A strategy where it saves a share of the full model's cost - `single`."""

    strategy: str
    saved: float
    of: Saving = "layers"
    batch: int = 1  # of the time

    def __call__(self, seed: SeedRun) -> Weights | None:
        """On the curve at that cost, against the full model without exits."""
        settings, single = seed.of(self.strategy), seed.single()
        if single is None:
            return None
        cost = [cost_of(setting, seed, self.of, self.batch) for setting in settings.values()]
        line = weights_on(dict(zip(settings, cost, strict=True)), 1 - self.saved)
        return line and difference(line, {single: 1.0})


@dataclass(frozen=True)
class AtEqualDepth:
    """The mean quality of one strategy over the depths that both reach - that of another."""

    first: str
    second: str

    def __call__(self, seed: SeedRun) -> Weights | None:
        """The area between their curves, over the width."""
        return between(seed.of(self.first), seed.of(self.second))


@dataclass(frozen=True)
class PatienceAtEqualDepth:
    """The mean quality of patience over the depths - that of the confidence, on one model."""

    strategy: str

    def __call__(self, seed: SeedRun) -> Weights | None:
        """The area between the curves of the two."""
        return between(seed.patience(self.strategy), seed.of(self.strategy))


@dataclass(frozen=True)
class AtEqualTime:
    """A strategy's early exits - the static models of equal measured time, in the mean."""

    strategy: str
    batch: int = 1

    def __call__(self, seed: SeedRun) -> Weights | None:
        """Over the settings whose time lies between those of models without exits."""
        statics = {key: p.time.get(self.batch) for key, p in seed.statics().items()}
        early = {k: p for k, p in seed.of(self.strategy).items() if k[1] != FULL}
        each = [
            difference({key: 1.0}, line)
            for key, setting in early.items()
            if (line := weights_on(statics, setting.time.get(self.batch)))
        ]
        total: dict[Key, float] = {}
        for weights in each:
            for key, weight in weights.items():
                total[key] = total.get(key, 0.0) + weight / len(each)
        return total or None


def cost_of(
    setting: MeasuredSetting, seed: SeedRun, of: Saving, batch: int = 1
) -> float | None:
    """What a setting takes, over the full model."""
    costs = {
        "layers": setting.depth / seed.blocks,
        "FLOPs": setting.flops,
        "time": setting.time.get(batch),
    }
    return costs[of]


def weights_on(place_of: Mapping[Key, float | None], place: float | None) -> Weights | None:
    """The weights of settings for the straight line between the two next to a place.

    None outside of all places; settings of unknown place are left out.
    """
    known = {key: where for key, where in place_of.items() if where is not None}
    if place is None or not known:
        return None
    weight_K = line_weights(place, np.array([*known.values()]))
    if weight_K is None:
        return None
    return {key: float(w) for key, w in zip(known, weight_K, strict=True) if w}


def between(first: Settings, second: Settings) -> Weights | None:
    """The mean of one curve - that of another, over the depths that both reach."""
    depths = [[setting.depth for setting in curve.values()] for curve in (first, second)]
    if not all(depths):
        return None
    low, high = max(map(min, depths)), min(map(max, depths))
    if low >= high:
        return None
    one, other = (
        dict(zip(curve, area_weights(np.array(depth_P), low, high).tolist(), strict=True))
        for curve, depth_P in zip((first, second), depths, strict=True)
    )
    return difference(one, other)


def difference(first: Weights, second: Weights) -> dict[Key, float]:
    """The difference of two sums."""
    keys = dict.fromkeys([*first, *second])
    return {key: first.get(key, 0.0) - second.get(key, 0.0) for key in keys}
