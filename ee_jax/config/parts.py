"""How exits stop, how thresholds are chosen, what is measured: frozen, self-checking."""

from dataclasses import dataclass
from typing import Literal

from ee_jax.calibration.conformal import CONFORMAL
from ee_jax.calibration.decay import DECAYS
from ee_jax.calibration.methods import METHODS
from ee_jax.calibration.risks import RISKS
from ee_jax.checks import (
    check,
    check_bounded,
    check_counts,
    check_layers,
    check_name,
    check_positive,
    check_shares,
    check_types,
    resolve_layers,
    shown,
)
from ee_jax.evaluation.metrics import METRICS
from ee_jax.evaluation.text_quality import TEXT_METRICS
from ee_jax.exits.confidence import CONFIDENCES, check_confidence
from ee_jax.exits.stopping import RULES, Stopping, check_rule
from ee_jax.models.token_heads import FINAL_NORM, TOKEN_HEADS
from ee_jax.registry import Registry
from ee_jax.training.strategies import Learned

Pooling = Literal["first", "mean"]


@dataclass(frozen=True)
class Exits:
    """Where the model may stop, what answers there, and when it stops."""

    layers: tuple[int, ...] | None = None  # blocks run at each exit; None: every block
    confidence: str = "max_prob"  # a name in `exits.CONFIDENCES`
    learned: Learned = Learned()  # how the scores of the confidence `learned` learn
    head: str = "linear"  # of a classifier: a name in `models.heads.HEADS`
    pooling: Pooling = "mean"  # of a classifier: how a head reads a sequence
    # Of a language model: what an exit has before the shared projection, in TOKEN_HEADS.
    token_head: str = FINAL_NORM
    token_head_width: int | None = None  # rank of an adapter, size of an mlp; None: its own
    tolerance: float = 0.1  # in a regression, answers that are closer count as the same
    rule: str = "threshold"  # which of the confident stop: a name in `exits.RULES`
    min_depth: int = 1  # blocks that always run
    patience: int = 0  # exits in a row that must answer like the one before them
    # Of a model that writes: how thresholds fall from a text's first token on, in DECAYS.
    decay: str | None = None
    decay_tau: float = 4.0  # how fast

    def __post_init__(self) -> None:
        check_types(self, "exits.")
        check_layers(self.layers)
        check_name(self.confidence, CONFIDENCES, "exits.confidence")
        check_confidence(self.confidence)
        check_name(self.token_head, TOKEN_HEADS, "exits.token_head")
        check_counts(self, "exits.", "token_head_width")
        check_name(self.rule, RULES, "exits.rule")
        check_rule(self.rule)
        check_counts(self, "exits.", "min_depth")
        check(self.patience >= 0, "exits.patience", f"must be >= 0, not {self.patience}")
        check_bounded(self.patience, "exits.patience")
        check_positive(self.tolerance, "exits.tolerance")
        if self.decay is not None:
            check_name(self.decay, DECAYS, "exits.decay")
        check_positive(self.decay_tau, "exits.decay_tau")

    @property
    def stopping(self) -> Stopping:
        """Who may stop, but for the thresholds."""
        return Stopping(self.rule, self.min_depth, self.patience, self.tolerance)

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
    # Those that certify a threshold, at every level: names in `calibration.METHODS`.
    methods: tuple[str, ...] = ()
    risk: str = "consistency"  # what they keep below the level: a name in `calibration.RISKS`
    levels: tuple[float, ...] = (0.02, 0.05)
    delta: float = 0.05  # the chance of more than the level
    record: str | None = None  # a record of `ee-jax calibrate`, whose thresholds are run too
    temperature: bool = True  # of a classifier: one an exit, fitted on the validation split
    rows: int | None = None  # of a language model's calibration split, the first; None: all

    def __post_init__(self) -> None:
        check_types(self, "calibration.")
        for name in ("tolerances", "levels"):
            check_shares(getattr(self, name), f"calibration.{name}")
        known = Registry("method", **{**METHODS, **CONFORMAL})
        for method in self.methods:
            check_name(method, known, "calibration.methods")
        check_name(self.risk, RISKS, "calibration.risk")
        check(0 < self.delta < 1, "calibration.delta", f"must be in (0, 1), not {self.delta}")
        check_counts(self, "calibration.", "rows")


@dataclass(frozen=True)
class Decoding:
    """What is decoded for the wall clock: beginnings of the test split's rows, continued."""

    prompts: int = 32  # rows; they fill the largest batch of the wall clock
    prompt: int = 32  # tokens of a beginning
    tokens: int = 64  # new tokens

    def __post_init__(self) -> None:
        check_types(self, "evaluation.decoding.")
        check_counts(self, "evaluation.decoding.", "prompts", "prompt", "tokens")


@dataclass(frozen=True)
class Speculation:
    """Self-speculation: the first blocks draft, the others verify."""

    depths: tuple[int, ...]  # blocks that draft, each an exit
    drafted: tuple[int, ...] = (2, 4)  # tokens drafted at a time

    def __post_init__(self) -> None:
        check_types(self, "evaluation.speculation.")
        check_counts(self, "evaluation.speculation.", "depths", "drafted")


@dataclass(frozen=True)
class Evaluation:
    """What is measured on the test split."""

    thresholds: tuple[float, ...] = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
    batches: tuple[int, ...] = (1, 32)  # batch sizes of the wall clock
    rounds: int = 3  # interleaved passes that are timed
    # Of a classifier: names in `evaluation.METRICS`, the main one first; none: the data set's.
    metrics: tuple[str, ...] = ()
    # Of a language model. Confidences that are compared; none: that of the exits.
    confidences: tuple[str, ...] = ()
    # What later tokens see of skipped blocks: names in `inference.kv_policies.POLICIES`.
    policies: tuple[str, ...] = ("propagate",)
    rows: int | None = None  # of the test split, the first ones; None: all
    batch: int = 16  # rows at a time, where no clock runs
    decoding: Decoding | None = Decoding()  # None: no clock runs
    speculation: Speculation | None = None

    def __post_init__(self) -> None:
        check_types(self, "evaluation.")
        check_shares(self.thresholds, "evaluation.thresholds", least=1)
        check_counts(self, "evaluation.", "batches", "rounds", "batch", "rows")
        for name in self.confidences:
            check_name(name, CONFIDENCES, "evaluation.confidences")
        for name in self.metrics:
            known = Registry("metric", **{**METRICS, **TEXT_METRICS})
            check_name(name, known, "evaluation.metrics")
        once = len({*self.confidences}) == len(self.confidences)
        different = f"must name different confidences, not {shown(self.confidences)}"
        check(once, "evaluation.confidences", different)
        check(bool(self.policies), "evaluation.policies", "must name at least one policy")
