"""Where a language model may stop, and what says when."""

from dataclasses import dataclass

from ee_jax.checks import check, check_layers, check_name, check_types, resolve_layers
from ee_jax.exits.confidence import CONFIDENCES, traits
from ee_jax.training.strategies import Learned


@dataclass(frozen=True)
class LanguageExits:
    """Where the model may stop, and what says when."""

    layers: tuple[int, ...] | None = None  # blocks run at each exit; None: every block
    own_norms: bool = False  # a norm for each exit; else all read the backbone's final norm
    # Names in `exits.CONFIDENCES`: all are evaluated, and `learned` is trained.
    confidences: tuple[str, ...] = ("max_prob",)
    # How the scores of the confidence `learned` learn: as CALM's, to agree with the last exit.
    learned: Learned = Learned(target="consistent")

    def __post_init__(self) -> None:
        check_types(self, "exits.")
        check_layers(self.layers)
        for name in self.confidences:
            check_name(name, CONFIDENCES, "exits.confidences")
            many = "counts every token of the vocabulary: leave it out"
            check(not traits(name).counts_classes, "exits.confidences", f"`{name}` {many}")
        once = bool(self.confidences) and len({*self.confidences}) == len(self.confidences)
        different = f"must name different confidences, not {self.confidences}"
        check(once, "exits.confidences", different)

    @property
    def scores(self) -> Learned | None:
        """How scores learn, where a confidence needs any."""
        return self.learned if "learned" in self.confidences else None

    def resolve(self, blocks: int) -> tuple[int, ...]:
        """The exit layers on a backbone of `blocks` blocks; the last is `blocks`."""
        return resolve_layers(self.layers, blocks, "model")
