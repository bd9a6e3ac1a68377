"""What a diagnosis reads of a model: all exits on a text, and what each of them costs.

A language model predicts the tokens of the text; a classifier answers its lines, or the rows of
a table. Both without exits of their own answer after every block by what the last one answers
by: the logit lens.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from ee_jax.atomic_io import expanded
from ee_jax.benchmarks.exit_clock import ExitClock, time_exits, time_texts
from ee_jax.data.bpe import encode_documents
from ee_jax.data.dataset_dir import Columns
from ee_jax.data.text import encode
from ee_jax.data.text_files import find, read
from ee_jax.data.unlabelled import read_unlabelled
from ee_jax.display import Display
from ee_jax.errors import UserError
from ee_jax.evaluation.exit_scan import ExitScan, scan_answers, scan_text
from ee_jax.inference.flops import decoding_flops, static_decoding_flops
from ee_jax.inference.rules import Exiting
from ee_jax.models.architecture import Architecture
from ee_jax.models.exit_model import with_last_head
from ee_jax.models.flops import (
    block_flops,
    exit_flops,
    first_blocks,
    head_flops,
    static_flops,
    token_flops,
    unembedding_flops,
)
from ee_jax.models.language import LanguageModel
from ee_jax.models.precision import PRECISIONS
from ee_jax.models.transformer import bind
from ee_jax.runs.classifier import BATCH, TrainedClassifier
from ee_jax.runs.generation.source import Source, open_source
from ee_jax.runs.trained import find_exported, is_classifier

LENGTH = 512  # of a row, where the model's context is not shorter


@dataclass(frozen=True)
class Request:
    """A model, a text, and how much of it."""

    model: str  # whatever `find_language` takes, or what holds a trained classifier
    text: str  # a file or a folder
    tokens: int = 4096  # that are predicted
    length: int | None = None  # of a row; None: LENGTH, or the model's context
    batch: int = 1  # rows at a time
    precision: str | None = None  # one of PRECISIONS; None: as its run, else float32
    clock: int = 0  # rounds in which what stops at each exit is timed; 0: none

    def __post_init__(self):
        _ = PRECISIONS[self.precision or "float32"]  # raises where there is none of this name


class Costs(NamedTuple):
    """What one token, or text, costs that stops at each exit, and the static program's."""

    cost_E: Float[np.ndarray, " E"]
    static: float


@dataclass(frozen=True)
class Scanned:
    """All exits of a model on a text.

    Attributes:
      scan: what they say.
      of: what N counts: tokens, or texts.
      layers: blocks run at each exit.
      trained: whether the exits are.
      facts: what the record says of the text and of the model.
      answer_flops: of one exit's answer.
      block_flops: of one block.
      flops: what is counted, by the name of a confidence.
      time: measures what stops at each exit, by the name of a confidence.
    """

    scan: ExitScan
    of: str
    layers: tuple[int, ...]
    trained: bool
    facts: dict[str, Any]
    answer_flops: int
    block_flops: int
    flops: Callable[[str], Costs]
    time: Callable[[str], ExitClock]


def scan_model(request: Request, display: Display) -> Scanned:
    """All exits of the model on the text.

    Raises:
      UserError: the model or the text cannot be had, or there is too little of it.
    """
    path = expanded(request.model)
    exported = find_exported(path) if path.is_dir() else None
    if exported is not None and is_classifier(exported):
        return _scan_classifier(exported, request, display)
    return _scan_language(request, display)


def _scan_language(request: Request, display: Display) -> Scanned:
    texts = read_texts(request.text)
    source = open_source(request.model, lens=True, precision=request.precision)
    model, rows_NT = source.model, cut(texts, source, request)
    batches = [rows_NT[at : at + request.batch] for at in range(0, len(rows_NT), request.batch)]
    with display.bar("all exits on the text", len(batches)) as tick:
        scan = scan_text(model, batches, tick)
    config, length = model.backbone.config, rows_NT.shape[1] - 1
    middle = (length + 1) // 2  # of a row
    facts = {
        "length": length,
        "tokens": scan.prediction_EN.shape[1],
        "rows": len(rows_NT),
        "precision": model.backbone.dtype.name,
    }
    return Scanned(
        scan, "tokens", model.design.layers, source.trained, facts,
        unembedding_flops(config), _mean_block(config, middle),
        flops=partial(_token_costs, model, middle),
        time=lambda name: time_exits(model, name, request.clock, display),
    )  # fmt: skip


def _mean_block(config: Architecture, position: int) -> int:
    """FLOPs of the mean block for a token at this position."""
    return first_blocks(config, token_flops, np.array([position]))[-1].item() // config.blocks


def _token_costs(model: LanguageModel, position: int, confidence: str) -> Costs:
    """FLOPs of a token that stops at each exit, and of the static decoder's."""
    config, design = model.backbone.config, model.design
    exit_E1 = np.arange(len(design.layers))[:, None]
    asked = config, design, Exiting(confidence), "propagate", exit_E1
    flops_E1 = decoding_flops(*asked, first=position)
    return Costs(flops_E1[:, 0], static_decoding_flops(config, exit_E1[-1:], position).item())


def read_texts(where: str) -> list[str]:
    """The texts of a file or of all text files in a folder, one after another."""
    found = map(read, find(Path(expanded(where)), nested=True).values())
    texts = [text for each in found for text in ([each] if isinstance(each, str) else each)]
    if not any(text.strip() for text in texts):
        raise UserError(f"the text in {where} is empty: give a file with some")
    return texts


def cut(texts: Sequence[str], source: Source, request: Request) -> Int[np.ndarray, "R T"]:
    """Full rows of length + 1 tokens, from the beginning of the text and side by side.

    Each text follows the token that the tokenizer begins one with; a row begins where the one
    before ends, in the midst of a text.

    Raises:
      UserError: the rows do not fit the model, or there are fewer tokens than asked for.
    """
    context = source.model.backbone.config.max_length
    length = min(request.length or min(LENGTH, context), request.tokens)
    if length > context:
        raise UserError(f"--length {length}: {request.model} takes at most {context} tokens")
    ids_N = np.concatenate(encode_documents(source.tokenizer, texts))
    rows = request.tokens // length
    if len(ids_N) < rows * (length + 1):
        have = len(ids_N) // (length + 1) * length
        raise UserError(
            f"the text in {request.text} has {len(ids_N)} tokens, too few for --tokens "
            f"{request.tokens}: give more text, or --tokens {have or max(len(ids_N) - 1, 1)}"
        )
    return ids_N[: rows * (length + 1)].reshape(rows, length + 1)


def _scan_classifier(folder: Path, request: Request, display: Display) -> Scanned:
    """Every text of the file, by the exits of its classifier."""
    trained = TrainedClassifier(folder, request.precision)
    if not trained.classes:
        raise UserError(f"{folder} is a regression: exits of classes agree, its do not")
    texts = list(read_unlabelled(request.text, Columns()))
    model = trained.module
    has_exits = len(model.design.layers) > 1
    if not has_exits:
        every = tuple(range(1, model.backbone.config.blocks + 1))
        model = bind(*with_last_head(model, trained.parameters, every))
    rows = encode(trained.tokenizer, texts, trained.longest)
    batches = list(trained.batches(rows, max(request.batch, BATCH)))
    with display.bar("all exits on the texts", len(batches)) as tick:
        scan = scan_answers(model, batches, len(rows), tick)
    times = [len(row) for row in rows]
    config, design, middle = model.backbone.config, model.design, int(np.median(times))
    facts = {"texts": len(rows), "precision": trained.precision, "tokens_a_text": middle}
    costs = [exit_flops(config, design, time) for time in times]
    static = float(np.mean([static_flops(config, design, time) for time in times]))
    return Scanned(
        scan, "texts", design.layers, has_exits, facts,
        head_flops(design, config.width), block_flops(config, middle),
        flops=lambda name: Costs(np.mean(costs, axis=0), static),
        time=lambda name: time_texts(model, name, middle, request.clock, display),
    )  # fmt: skip
