"""How a language model is judged: thresholds, the test split, self-speculation."""

from dataclasses import dataclass
from typing import Literal

from ee_jax.checks import check, check_counts, check_shares, check_types

RowMethod = Literal["empirical", "ltt", "ltt_hoeffding", "ucb", "crc"]


@dataclass(frozen=True)
class Speculation:
    """Self-speculation: the first blocks draft, the others verify."""

    depths: tuple[int, ...]  # blocks that draft, each an exit
    drafted: tuple[int, ...] = (2, 4)  # tokens drafted at a time
    prompts: int = 8  # rows of the test split, whose beginnings are continued
    prompt: int = 64  # tokens of a beginning
    tokens: int = 64  # new tokens
    batches: tuple[int, ...] = (1,)  # prompts at a time
    rounds: int = 3  # interleaved repetitions that are timed

    def __post_init__(self) -> None:
        check_types(self, "evaluation.speculation.")
        for name in ("depths", "drafted", "batches"):
            values = getattr(self, name)
            ok = bool(values) and min(values) >= 1
            check(ok, f"evaluation.speculation.{name}", f"must be >= 1, not {values}")
        check_counts(self, "evaluation.speculation.", "prompts", "prompt", "tokens", "rounds")
        most = max(self.batches)
        enough = f"must fill a batch of {most}, and are {self.prompts}"
        check(self.prompts >= most, "evaluation.speculation.prompts", enough)


@dataclass(frozen=True)
class LanguageCalibration:
    """How thresholds are chosen, on the calibration split, among those of the evaluation.

    A row's risk is the share of its tokens that are predicted unlike the full model, which
    reads the same text.
    """

    methods: tuple[RowMethod, ...] = ("empirical", "ltt")  # `empirical` promises nothing
    levels: tuple[float, ...] = (0.02, 0.05)  # of the risk, for every method
    delta: float = 0.05  # the chance of more than the level
    rows: int | None = None  # of the calibration split, the first ones; None: all

    def __post_init__(self) -> None:
        check_types(self, "calibration.")
        check_shares(self.levels, "calibration.levels")
        check(0 < self.delta < 1, "calibration.delta", f"must be in (0, 1), not {self.delta}")
        check_counts(self, "calibration.", "rows")


@dataclass(frozen=True)
class LanguageEvaluation:
    """What is measured on the test split."""

    thresholds: tuple[float, ...] = (0.5, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)
    # What later tokens see of skipped blocks: names in `inference.kv_policies.POLICIES`.
    policies: tuple[str, ...] = ("propagate",)
    batch: int = 16  # rows at a time
    rows: int | None = None  # of the test split, the first ones; None: all
    speculation: Speculation | None = None

    def __post_init__(self) -> None:
        check_types(self, "evaluation.")
        check_shares(self.thresholds, "evaluation.thresholds", least=1)
        check(bool(self.policies), "evaluation.policies", "must name at least one policy")
        check_counts(self, "evaluation.", "batch", "rows")
