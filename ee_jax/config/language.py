"""The parts of a language model's experiment: text, model, exits, strategies, evaluation."""

import math
from dataclasses import dataclass
from typing import Literal

from ee_jax.config.checks import (
    check,
    check_counts,
    check_layers,
    check_names,
    check_pause,
    check_positive,
    check_rate,
    check_seed,
    check_shares,
    check_types,
    resolve_layers,
)
from ee_jax.config.strategies import Fit, Frozen, Joint

TokenConfidence = Literal["max_prob", "margin", "entropy", "saturation", "learned"]
Policy = Literal["propagate", "copy", "recompute"]
RowMethod = Literal["empirical", "ltt", "ltt_hoeffding", "ucb", "crc"]


@dataclass(frozen=True)
class Text:
    """A data set of text, in rows of a static length; its validation split calibrates."""

    name: str  # text/NAME, made of the text files in `manual_dir`
    folder: str | None = None  # where prepared data sets live; None: the user's cache
    manual_dir: str | None = None  # the text files
    length: int = 256  # tokens that a row predicts, T

    def __post_init__(self) -> None:
        check_types(self, "data.")
        check_counts(self, "data.", "length")
        ok = self.name.startswith("text/")
        check(ok, "data.name", f"must be text/ and a name of your own, not {self.name}")


@dataclass(frozen=True)
class SelfGenerated:
    """Text that the model itself writes, from a start token on; kept in the run's folder.

    So exits can be added to a model whose training text is not at hand.
    """

    train: int = 4096  # rows
    calibration: int = 256
    test: int = 512
    length: int = 256  # tokens that a row predicts, T
    batch: int = 64  # rows sampled at a time

    def __post_init__(self) -> None:
        check_types(self, "data.")
        check_counts(self, "data.", "train", "calibration", "test", "length", "batch")


@dataclass(frozen=True)
class Pretrained:
    """A model that has been trained, from its weights."""

    weights: str  # Hugging Face folder, a package with one, or a llama2.c file
    dropout: float = 0.0  # on embeddings and on each block's two outputs, in training

    def __post_init__(self) -> None:
        check_types(self, "model.")
        check_rate(self.dropout, "model.dropout")


@dataclass(frozen=True)
class Scratch:
    """A Llama of these sizes, from random weights; its tokenizer is trained on the text."""

    vocabulary: int = 1024  # V, of a byte-level BPE
    width: int = 192  # D
    blocks: int = 6  # L
    heads: int = 6  # N
    kv_heads: int = 6  # K
    hidden: int = 512  # F
    dropout: float = 0.0

    def __post_init__(self) -> None:
        check_types(self, "model.")
        check_rate(self.dropout, "model.dropout")
        check_counts(self, "model.", "width", "blocks", "heads", "kv_heads", "hidden")
        least = f"must be above 256, a token for each byte and a start, not {self.vocabulary}"
        check(self.vocabulary > 256, "model.vocabulary", least)
        even = self.width % (2 * self.heads) == 0
        check(even, "model.heads", f"must give heads of even size, not {self.heads}")
        shared = self.heads % self.kv_heads == 0
        check(shared, "model.kv_heads", f"must divide `heads`, not {self.kv_heads}")


@dataclass(frozen=True)
class LanguageExits:
    """Where the model may stop, and what says when."""

    layers: tuple[int, ...] | None = None  # blocks run at each exit; None: every block
    own_norms: bool = False  # a norm for each exit; else all read the backbone's final norm
    confidences: tuple[TokenConfidence, ...] = (
        "max_prob",
    )  # all are judged; `learned` is trained

    def __post_init__(self) -> None:
        check_types(self, "exits.")
        check_layers(self.layers)
        once = bool(self.confidences) and len({*self.confidences}) == len(self.confidences)
        different = f"must name different confidences, not {self.confidences}"
        check(once, "exits.confidences", different)

    def resolve(self, blocks: int) -> tuple[int, ...]:
        """The exit layers on a backbone of `blocks` blocks; the last is `blocks`."""
        return resolve_layers(self.layers, blocks, "model")


@dataclass(frozen=True)
class Towards:
    """Early exits learn the last exit's distribution of the next token.

    Only what the exits have of their own learns, or with `backbone` everything, the last exit
    then from the text.
    """

    name: str = "distill"
    backbone: bool = False
    temperature: float = 1.0
    fit: Fit = Fit()

    def __post_init__(self) -> None:
        check_types(self, "distill.")
        check_positive(self.temperature, "distill.temperature")


@dataclass(frozen=True)
class LayerSkip:
    """Layer dropout and early-exit losses that grow with depth (Elhoushi et al. 2024)."""

    name: str = "layerskip"
    p_max: float = 0.1  # how often the last block is dropped
    ramp: Literal["none", "exponential"] = "none"  # of the drop rates over training
    e_scale: float = 0.2  # of the early exits' losses
    weights: Literal["layerskip", "torchtune_sum_l", "torchtune_linear_l"] = "layerskip"
    curriculum: Literal["none", "rotational", "gradual"] = "rotational"
    interval: int = 8  # R of the rotational curriculum: every R-th exit counts
    fit: Fit = Fit()

    def __post_init__(self) -> None:
        check_types(self, "layerskip.")
        check_rate(self.p_max, "layerskip.p_max")
        ok = 0 <= self.e_scale < math.inf
        check(ok, "layerskip.e_scale", f"must be >= 0 and finite, not {self.e_scale}")
        check_counts(self, "layerskip.", "interval")


@dataclass(frozen=True)
class WarmedUp:
    """Everything learns, early exits with weights that change over training (EE-LLM, 2024)."""

    name: str = "ee_llm"
    first: tuple[float, ...] = (0.0,)  # weights of the early exits at the first step
    last: tuple[float, ...] = (0.5,)  # and at the last; the last exit's is 1
    shape: Literal["linear", "cosine"] = "linear"
    by_confidence: bool = False  # a token's loss times its exit's largest probability
    fit: Fit = Fit()

    def __post_init__(self) -> None:
        check_types(self, "ee_llm.")
        ok = len(self.first) == len(self.last) and min((*self.first, *self.last)) >= 0
        check(ok, "ee_llm.first", "and `last` must hold a number >= 0 for each early exit")


LanguageStrategy = Joint | Frozen | Towards | LayerSkip | WarmedUp


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
    policies: tuple[Policy, ...] = ("propagate",)  # what later tokens see of skipped blocks
    batch: int = 16  # rows at a time
    rows: int | None = None  # of the test split, the first ones; None: all
    speculation: Speculation | None = None

    def __post_init__(self) -> None:
        check_types(self, "evaluation.")
        check_shares(self.thresholds, "evaluation.thresholds", least=1)
        check(bool(self.policies), "evaluation.policies", "must name at least one policy")
        check_counts(self, "evaluation.", "batch", "rows")


@dataclass(frozen=True)
class LanguageExperiment:
    """Everything that decides the numbers of one run of a language model."""

    name: str
    data: Text | SelfGenerated
    model: Pretrained | Scratch
    seed: int = 0
    exits: LanguageExits = LanguageExits()
    strategies: tuple[LanguageStrategy, ...] = (Joint(),)
    calibration: LanguageCalibration = LanguageCalibration()
    evaluation: LanguageEvaluation = LanguageEvaluation()
    checkpoint_seconds: float = 30.0  # between two checkpoints of training

    def __post_init__(self) -> None:
        check_types(self)
        check_names(self.strategies)
        check_pause(self.checkpoint_seconds)
        check_seed(self.seed)
        wrote = isinstance(self.data, SelfGenerated) and isinstance(self.model, Scratch)
        check(not wrote, "data", "`SelfGenerated` needs a model that has been trained")
