"""What a language model reads, and what it is before it has exits."""

from dataclasses import dataclass

from ee_jax.checks import check, check_counts, check_rate, check_types


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
