"""Where a language model lies, and how what belongs to it is read: one class for each form.

A Hugging Face folder, a GGUF file and a checkpoint of llama2.c hold the same: parameters, a
tokenizer, what ends a text, maybe a chat template. Who reads a model asks for these, and does
not ask which form it has.
"""

import json
from abc import ABC, abstractmethod
from functools import cached_property
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from ee_jax.atomic_io import expanded, parse_object
from ee_jax.data.bpe import BETWEEN, start_token
from ee_jax.data.gguf import Header, is_gguf, read_header
from ee_jax.data.llama2c import START_ID, llama2c_tokenizer_beside, llama2c_tokenizers
from ee_jax.data.text import check_vocabulary, keep_tokenizer, load_tokenizer
from ee_jax.errors import UserError
from ee_jax.models.architecture import Architecture
from ee_jax.models.export import shapes_of
from ee_jax.models.families.fields import check_fields
from ee_jax.models.files import files_read, find_in_package, find_weights, has_weights, is_addon
from ee_jax.models.huggingface import from_tensors, read_architecture, read_checkpoint
from ee_jax.models.language import LanguageDesign
from ee_jax.models.llama2c import find_llama2c, read_llama2c
from ee_jax.models.precision import cast
from ee_jax.models.transformer import Parameters, parameters

CHAT_TEMPLATE = "chat_template.jinja"  # beside a tokenizer, as transformers has it


class LanguageSource(ABC):
    """A language model on disk, as its weights came; exits of its own are another's to read."""

    chat_template: str | None = None  # in Jinja, of a conversation

    def __init__(self, path: Path):
        self.path = path  # the file or the folder

    @abstractmethod
    def weights(self, precision: str = "float32") -> tuple[Architecture, Parameters]:
        """Architecture and parameters of the model without exits.

        Args:
          precision: in which the model is to compute.

        Raises:
          UserError: they cannot be read, or are not a language model's.
        """

    @abstractmethod
    def tokenizer(self, vocabulary: int) -> Tokenizer:
        """The tokenizer of weights that embed so many tokens.

        Raises:
          UserError: there is none, or it has other ids than the weights.
        """

    def keep_tokenizer(self, tokenizer: Tokenizer, kept: Path) -> None:
        """Writes the tokenizer as a `tokenizer.json`."""
        kept.write_text(tokenizer.to_str(pretty=True), encoding="utf-8")

    def start(self, vocabulary: int) -> int:
        """The token from which the model writes.

        Raises:
          UserError: the tokenizer is missing, or has no such token.
        """
        return start_token(self.tokenizer(vocabulary))

    @property
    def reads_sources(self) -> bool:
        """Whether it has an encoder, and so writes of another text."""
        return False

    def opening(self, vocabulary: int) -> list[int]:
        """The tokens with which every text begins that the model writes: `start`.

        Of a decoder with an encoder those that its config names, of which the second is there
        where it forces the first token of all texts, such as the language of a translation.

        Raises:
          UserError: they are not known.
        """
        return [self.start(vocabulary)]

    def ends(self) -> list[int]:
        """The ids that end a text by what lies with the weights."""
        return []

    def files(self) -> list[Path]:
        """The files that a run with this model reads."""
        return [self.path]

    def stops(self, tokenizer: Tokenizer) -> tuple[int, ...]:
        """What ends a text, stands between texts, or begins the next one.

        Raises:
          UserError: the tokenizer does not know one, and so is another model's.
        """
        ends, known = self.ends(), {*tokenizer.get_vocab(with_added_tokens=True).values()}
        if others := [token for token in ends if token not in known]:
            raise UserError(
                f"{self.path} ends a text with token {others[0]!r}, which its tokenizer does "
                "not have: take both from one model"
            )
        between = [tokenizer.token_to_id(token) for token in BETWEEN]
        ids = [*ends, *between, *tokenizer.encode("").ids[:1]]
        return tuple(sorted({token for token in ids if token is not None}))


class HuggingFaceFolder(LanguageSource):
    """A folder with `config.json`, safetensors and `tokenizer.json`."""

    def weights(self, precision: str = "float32") -> tuple[Architecture, Parameters]:
        """Those of `config.json` and the safetensors."""
        config, tensors = read_checkpoint(self.path)
        wanted = parameters(shapes_of(config, LanguageDesign((config.blocks,))))
        return config, from_tensors(config, wanted, tensors, self.path, precision=precision)

    @property
    def reads_sources(self) -> bool:
        """As `config.json` says."""
        return read_architecture(self.path).encoder is not None

    def tokenizer(self, vocabulary: int) -> Tokenizer:
        """That of `tokenizer.json`."""
        tokenizer = load_tokenizer(self.path)
        check_vocabulary(tokenizer, vocabulary, self.path)
        return tokenizer

    def keep_tokenizer(self, tokenizer: Tokenizer, kept: Path) -> None:
        """Copies `tokenizer.json` as it is."""
        keep_tokenizer(self.path, kept)

    def ends(self) -> list[int]:
        """What the config says, which was checked when the weights were read."""
        given = json.loads((self.path / "config.json").read_text()).get("eos_token_id")
        ids = given if isinstance(given, list) else [given]
        return [token for token in ids if token is not None]

    def opening(self, vocabulary: int) -> list[int]:
        """Of a decoder with an encoder what the config says of generation."""
        given = json.loads((self.path / "config.json").read_text())
        if not given.get("is_encoder_decoder"):
            return super().opening(vocabulary)
        names = ("decoder_start_token_id", "forced_bos_token_id")
        start, forced = map({**given, **self._generation()}.get, names)
        if start is None:
            raise UserError(
                f"{self.path / 'config.json'} has no `{names[0]}`, with which its texts begin: "
                "put it there, as the model's card gives it"
            )
        ids = [token for token in (start, forced) if token is not None]
        if max(ids) >= vocabulary:
            raise UserError(
                f"the texts of {self.path} begin with token {max(ids)}, but it embeds "
                f"{vocabulary}: take all files from one model"
            )
        return ids

    def _generation(self) -> dict[str, Any]:
        """What a file of its own says of generation; older folders have all in the config."""
        path = self.path / "generation_config.json"
        try:
            given = parse_object(path.read_text(encoding="utf-8")) if path.is_file() else {}
            check_fields(given)
        except (OSError, ValueError) as error:
            raise UserError(f"{path} cannot be read ({error}): fetch it again") from None
        return given

    def files(self) -> list[Path]:
        """All in the folder that may be read."""
        return files_read(self.path)

    @cached_property
    def chat_template(self) -> str | None:
        """In a file of its own, or, as older ones have it, in the tokenizer's config."""
        alone, older = self.path / CHAT_TEMPLATE, self.path / "tokenizer_config.json"
        try:
            if alone.is_file():
                return alone.read_text(encoding="utf-8")
            given = parse_object(older.read_text(encoding="utf-8")) if older.is_file() else {}
        except (OSError, ValueError) as error:
            raise UserError(
                f"the chat template in {self.path} cannot be read ({error}): fetch it again"
            ) from None
        found = given.get("chat_template")
        return found if isinstance(found, str) else None


class Llama2cFile(LanguageSource):
    """A checkpoint of llama2.c with its tokenizer beside it."""

    def weights(self, precision: str = "float32") -> tuple[Architecture, Parameters]:
        """Those of the file."""
        config, values = read_llama2c(self.path)
        return config, cast(values, precision)

    def tokenizer(self, vocabulary: int) -> Tokenizer:
        """That of the file beside."""
        return llama2c_tokenizer_beside(self.path, vocabulary)

    def start(self, vocabulary: int) -> int:
        """Known without a tokenizer."""
        return START_ID

    def files(self) -> list[Path]:
        """The checkpoint, and tokenizers of llama2.c's names."""
        return [self.path, *llama2c_tokenizers(self.path)]


class GGUFFile(LanguageSource):
    """A file of llama.cpp's, with everything in it."""

    @cached_property
    def _header(self) -> Header:
        return read_header(self.path)

    def weights(self, precision: str = "float32") -> tuple[Architecture, Parameters]:
        """Those of the file, unpacked."""
        from ee_jax.models.gguf import LLAMA_CPP, read_gguf

        config, tensors = read_gguf(self._header)
        wanted = parameters(shapes_of(config, LanguageDesign((config.blocks,))))
        return config, from_tensors(config, wanted, tensors, self.path, LLAMA_CPP, precision)

    def tokenizer(self, vocabulary: int) -> Tokenizer:
        """That of the metadata."""
        from ee_jax.data.gguf_tokenizer import read_gguf_tokenizer

        tokenizer = read_gguf_tokenizer(self._header)
        check_vocabulary(tokenizer, vocabulary, self.path)
        return tokenizer

    def ends(self) -> list[int]:
        """Those of a text, of a turn and of a message."""
        from ee_jax.data.gguf_tokenizer import end_ids

        return end_ids(self._header)

    @cached_property
    def chat_template(self) -> str | None:
        """That of the metadata."""
        return self._header.value("tokenizer.chat_template", str)


def check_alone(config: Architecture, where: str | Path) -> None:
    """Raises the UserError of a model that writes of another text, where it is given none.

    Args:
      config: of the model.
      where: it lies.
    """
    if config.encoder is not None:
        raise UserError(
            f"{where} holds a {config.family}, which writes of a text that its encoder reads: "
            "`ee-jax predict` gives it texts, and the task `seq2seq` trains it"
        )


def find_language(source: str) -> LanguageSource:
    """The language model that a config or a command names.

    Args:
      source: a GGUF file, a llama2.c file, a folder with one of these or with safetensors, an
        installed package with safetensors or one GGUF file, or a name on the Hugging Face Hub.

    Raises:
      UserError: there is none, or there are several.
    """
    path = expanded(source)
    if path.is_file():
        return GGUFFile(path) if is_gguf(path) else Llama2cFile(path)
    if has_weights(path):
        return HuggingFaceFolder(path)
    if is_addon(path):
        from ee_jax.models.addon import Addon

        return Addon(path)
    if found := sorted(path.glob("*.gguf")) if path.is_dir() else []:
        return GGUFFile(_only(found, path))
    if checkpoint := find_llama2c(source):
        return Llama2cFile(checkpoint)
    packed = find_in_package(source, "*.gguf")
    if packed and not find_in_package(source, "model.safetensors*"):
        return GGUFFile(_only(packed, source))
    return HuggingFaceFolder(find_weights(source))


def _only(found: list[Path], where: Path | str) -> Path:
    if len(found) > 1:
        raise UserError(f"{where} holds several models: give {' or '.join(map(str, found))}")
    return found[0]
