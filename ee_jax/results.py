"""What a run found, of any task: what `results.json` holds, and every report is made from."""

import dataclasses
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from ee_jax.atomic_io import parse_object
from ee_jax.errors import UserError
from ee_jax.manifest import check_files, is_sealed

RESULTS = "results.json"

T = TypeVar("T")
Metrics = Mapping[str, float | None]  # None: not defined on these examples


@dataclass(frozen=True, kw_only=True)
class ExitAlone:
    """One exit, had it answered every example of the test split."""

    depth: int
    metrics: Metrics
    ece: float | None = None  # expected calibration error of its confidence
    auroc: float | None = None  # of its confidence, for its answer being right
    temperature: float | None = None  # fitted on the validation split


@dataclass(frozen=True, kw_only=True)
class CurvePoint:
    """A threshold, computed from the trace of the test split."""

    threshold: float
    quality: float | None
    mean_depth: float


@dataclass(frozen=True, kw_only=True)
class Point:
    """A setting that was run on the test split, and what it gave."""

    threshold: float  # of all exits; where each has its own, the lowest
    threshold_E: tuple[float, ...] | None = None
    confidence: str
    policy: str | None = None  # what deeper blocks see of skipped tokens, in decoding
    calibrated_for: tuple[str, ...] = ()  # labels of the calibrations that chose it
    quality: float | None  # the first of the metrics
    metrics: Metrics
    inconsistency: float  # how far the answers are from the full model's, in [0, 1]
    mean_depth: float  # blocks
    ideal_speedup: float
    flops_speedup: float
    measured_speedup: dict[int, float | None] = dataclasses.field(default_factory=dict)
    exit_counts: tuple[int, ...]  # examples or tokens that each exit answered
    unlike_trace: int = 0  # examples that stopped elsewhere than their trace says


@dataclass(frozen=True, kw_only=True)
class Calibrated:
    """What a calibration chose, what it promises, and what it did on the test split.

    Attributes:
      label: a short name, the three parts below it: `ltt 2 %`.
      kind: the method, and `per exit` where thresholds were searched for each: `ltt`.
      amount: what was allowed: `2`.
      unit: of the amount: `%`, or `blocks`.
      risk: what is kept below the level: a name in RISKS, `loss` or `quality`.
      level: the risk allowed; of a budget, the mean depth.
      delta: the chance of more than that, where the method gives one.
      threshold: of all exits; where each has its own, the lowest.
      certified_risk: the level; 0 of the full model; None where nothing is promised.
    """

    label: str
    kind: str
    amount: str
    unit: str
    method: str
    risk: str
    level: float
    delta: float | None
    promise: str
    threshold: float
    threshold_E: tuple[float, ...] | None
    full_model: bool
    certified_risk: float | None
    calibration_risk: float | None
    calibration_mean_depth: float
    examples: int
    ended: str
    warning: str
    confidence: str | None = None
    policy: str | None = None  # of a language model
    test_risk: float | None = None
    test_mean_depth: float | None = None

    @property
    def thresholds(self) -> float | tuple[float, ...]:
        """A number for all exits, or one for each."""
        return self.threshold if self.threshold_E is None else self.threshold_E


@dataclass(frozen=True, kw_only=True)
class Speculation:
    """Self-speculative decoding against plain decoding."""

    batch: int
    depth: int  # blocks that draft
    drafted: int  # tokens a draft
    acceptance: float | None
    tokens_a_pass: float
    speedup: float | None
    same_tokens: bool


@dataclass(frozen=True, kw_only=True)
class AgainstStatic:
    """Settings of a strategy against models without exits that take the same measured time.

    The static quality is on the straight line between the two models next to a setting in time,
    as of examples that go to one of the two by lot. Differences are ours - theirs; intervals
    are of 95 %, from a bootstrap over the test examples, the same for all, at these times.

    Attributes:
      strategy: with exits.
      batch: of the measured times.
      threshold: of each setting; where exits have their own, the lowest.
      time: of each, over that of the full model without exits.
      quality: of each.
      static_quality: of the static models at its time.
      low, high: of each difference.
      mean: of the differences.
      mean_low, mean_high: of their mean.
    """

    strategy: str
    batch: int
    threshold: tuple[float, ...]
    time: tuple[float, ...]
    quality: tuple[float, ...]
    static_quality: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    mean: float
    mean_low: float
    mean_high: float


@dataclass(frozen=True, kw_only=True)
class StrategyResults:
    """What a run found of one strategy.

    Attributes:
      static_blocks: of a model without exits; None: it has exits.
    """

    full_quality: float | None  # of the last exit
    exits: tuple[ExitAlone, ...]
    points: tuple[Point, ...]
    calibrated: tuple[Calibrated, ...] = ()
    curve: tuple[CurvePoint, ...] = ()
    speculation: tuple[Speculation, ...] = ()
    examples: int | None = None  # of the test split that were judged, or tokens
    train_seconds: float = 0.0
    static_blocks: int | None = None


@dataclass(frozen=True, kw_only=True)
class Results:
    """What a run found.

    Attributes:
      metrics: names of what was measured; the first is called the quality.
      data: `name`, `version`, `rows` and `checksum` by split, and what else a task says.
      model: `blocks`, `parameters`, and what else a task says.
      risks: what each risk of a calibration counts, in words.
      precision: what the model computed in.
      matmul_precision: of its products of float32.
      seconds: what took how long; `compile_saved` is what programs that an earlier command
        had compiled would have taken, which is no part of the others.
      programs: how many the process that finished the run compiled, or read from the cache,
        once for each of their shapes.
    """

    name: str
    task: str
    config: Mapping[str, Any]
    config_hash: str
    versions: Mapping[str, str]
    device: str
    precision: str = "float32"
    matmul_precision: str = "float32"
    data: Mapping[str, Any]
    model: Mapping[str, Any]
    metrics: tuple[str, ...]
    risks: Mapping[str, str] = dataclasses.field(default_factory=dict)
    seconds: Mapping[str, float] = dataclasses.field(default_factory=dict)
    programs: int = 0
    strategies: Mapping[str, StrategyResults]
    against_static: tuple[AgainstStatic, ...] = ()

    @property
    def quality(self) -> str:
        """The metric that thresholds are judged by."""
        return self.metrics[0]

    @property
    def machine(self) -> str:
        """Where it was run, and in which precision."""
        return f"{self.device}, {self.precision}"

    @property
    def blocks(self) -> int:
        """Blocks of the full model."""
        return self.model["blocks"]


def nan_to_none(value: float) -> float | None:
    """The value, or what JSON has for nan, which it does not know."""
    return None if math.isnan(value) else float(value)


def to_json(results: Any) -> dict[str, Any]:
    """A dataclass of results as JSON types."""
    return json.loads(json.dumps(dataclasses.asdict(results)))


def from_json(kind: type[T], content: Any) -> T:
    """The dataclass, or other type, that `to_json` made the content of.

    Raises:
      ValueError: fields are missing, unknown or of another type; says the first of them.
    """
    import cattrs

    try:
        return _converter().structure(content, kind)
    except Exception as error:
        first, *others = cattrs.transform_error(error) or [repr(error)]
        said = f"{first}, and {len(others)} more" if others else first
        raise ValueError(said) from None


@cache
def _converter() -> Any:
    """Takes values as they are: by itself, cattrs makes a number of `"1"` or of true."""
    import cattrs

    converter = cattrs.Converter(forbid_extra_keys=True)
    for kind, taken in ((str, str), (bool, bool), (float, (int, float))):
        converter.register_structure_hook(kind, _as_it_is(kind, taken))
    converter.register_structure_hook(int, _whole)
    return converter


def _as_it_is(kind: type, taken: Any) -> Callable[[Any, Any], Any]:
    def structure(value: Any, _: Any) -> Any:
        if not isinstance(value, taken) or (kind is float and isinstance(value, bool)):
            raise TypeError(f"{value!r:.40} is no {kind.__name__}")
        return kind(value)

    return structure


def _whole(value: Any, _: Any) -> int:
    """A whole number, or one that is a key of JSON: those are text."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise TypeError(f"{value!r:.40} is no whole number")
    if not -(2**63) <= int(value) < 2**63:
        raise ValueError("a whole number is too large")
    return int(value)


def read_results(path: Path) -> Results:
    """The results of a run, from its folder or its results.json.

    Raises:
      UserError: there are none, or of another version of ee_jax.
    """
    path = path / RESULTS if path.is_dir() else path
    if not path.is_file():
        raise UserError(f"no results at {path}: give the folder of a finished run")
    if is_sealed(path.parent):
        check_files(path.parent, "delete it and run again", [path.name])
    try:
        content = parse_object(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise UserError(f"{path} cannot be read ({error}): delete it and run again") from None
    try:
        results = from_json(Results, content)
        check_described(vars(results))
        if not results.strategies:
            raise ValueError("it has no strategies")
        return results
    except ValueError as error:
        raise UserError(f"{path} is of no run of this version ({error}): run again") from None


# What every report says of data and model; the others where a task has them.
DESCRIBED = {
    "data": {"name": str, "version": str, "rows": dict[str, int], "checksum": dict[str, str]},
    "model": {"blocks": int},
}
MAYBE = {"data": {"length": int}, "model": {"vocabulary": int, "parameters": int}}


def check_described(described: Mapping[str, Any]) -> None:
    """Raises a ValueError of a description that no report could be made from.

    Args:
      described: `data`, `model` and `metrics`, as `Results` has them.
    """
    for part, fields in DESCRIBED.items():
        given = described.get(part, {})
        if lacks := [name for name in fields if name not in given]:
            raise ValueError(f"says no {', '.join(lacks)} of its {part}")
        fields = fields | {n: k for n, k in MAYBE[part].items() if n in given}
        for name, kind in fields.items():
            try:
                found = from_json(kind, given[name])
            except ValueError as error:
                raise ValueError(f"{error}.{part}.{name}") from None
            if kind is int and found < 1:
                raise ValueError(f"{found} is no {name} @ $.{part}.{name}")
    if not described.get("metrics"):
        raise ValueError("names no metrics: the first is the quality")
