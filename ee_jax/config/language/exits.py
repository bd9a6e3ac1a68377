"""Where a language model may stop, and what says when."""

from dataclasses import dataclass
from typing import Literal

from ee_jax.config.checks import check, check_layers, check_types, resolve_layers

TokenConfidence = Literal["max_prob", "margin", "entropy", "saturation", "learned"]


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
