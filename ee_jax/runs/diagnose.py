"""The story of a diagnosis: a model, some text, and what early exit could buy there.

Nothing is trained. A model without exits of its own answers after every block by the logit
lens (final norm, shared output); one with trained exits by these.
"""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from ee_jax.atomic_io import expanded
from ee_jax.benchmarks.exit_clock import time_exits
from ee_jax.calibration.scores import auroc
from ee_jax.data.bpe import encode_documents
from ee_jax.data.text_files import find, read
from ee_jax.display import SILENT, Display
from ee_jax.errors import UserError
from ee_jax.evaluation import diagnosis
from ee_jax.evaluation.exit_scan import ExitScan, scan_text
from ee_jax.evaluation.perplexity import perplexity
from ee_jax.evaluation.reach import predicted_speedup, reach
from ee_jax.inference.flops import decoding_flops, static_decoding_flops
from ee_jax.inference.rules import Exiting
from ee_jax.models.architecture import Architecture
from ee_jax.models.flops import first_blocks, token_flops, unembedding_flops
from ee_jax.models.language import LanguageModel
from ee_jax.models.precision import PRECISIONS
from ee_jax.results import nan_to_none
from ee_jax.runs.generation.source import Source, open_source

DISAGREEMENTS = (0.01, 0.02, 0.05)
DRAFTS = 4  # tokens drafted before each verifying pass
LENGTH = 512  # of a row, where the model's context is not shorter
# Of the blocks that the oracle saves: below the first not worth having, above the second they
# are. The oracle knows the answers; a rule that does not gets a part of it.
LITTLE, MUCH = 0.15, 0.3


@dataclass(frozen=True)
class Request:
    """A model, a text, and how much of it."""

    model: str  # whatever `find_language` takes
    text: str  # a file or a folder
    tokens: int = 4096  # that are predicted
    length: int | None = None  # of a row; None: LENGTH, or the model's context
    batch: int = 1  # rows at a time
    precision: str | None = None  # one of PRECISIONS; None: as its run, else float32
    clock: int = 0  # rounds in which tokens that stop at each exit are timed; 0: none

    def __post_init__(self):
        _ = PRECISIONS[self.precision or "float32"]  # raises where there is none of this name


def diagnose(request: Request, display: Display = SILENT) -> dict[str, Any]:
    """What early exit could buy, as plain data.

    Args:
      request: what is asked.
      display: where progress is shown.

    Returns:
      The record that `report.diagnosis` shows.

    Raises:
      UserError: the model or the text cannot be had, or there is too little of it.
    """
    start = time.perf_counter()
    texts = read_texts(request.text)
    source = open_source(request.model, lens=True, precision=request.precision)
    config, layers = source.model.backbone.config, source.model.design.layers
    rows_NT = cut(texts, source, request)
    batches = [rows_NT[at : at + request.batch] for at in range(0, len(rows_NT), request.batch)]
    with display.bar("all exits on the text", len(batches)) as tick:
        scan = scan_text(source.model, batches, tick)
    length = rows_NT.shape[1] - 1
    found = summary(scan, np.array(layers), cost(config, length))
    reached = reaches(scan, source.model, length, request.clock, display)
    return {
        **asdict(request),
        "length": length,
        "tokens": scan.loss_EN.shape[1],
        "rows": len(rows_NT),
        "precision": source.model.backbone.dtype.name,
        "trained": source.trained,
        "blocks": config.blocks,
        **found,
        "reach": reached,
        "verdict": verdict(found, config.blocks, source.trained),
        "seconds": time.perf_counter() - start,
    }


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


def cost(config: Architecture, length: int) -> dict[str, float]:
    """FLOPs of an exit's answer and of the mean block, for a token in the middle of a row."""
    middle_1 = np.array([(length + 1) // 2])
    blocks = first_blocks(config, token_flops, middle_1)[-1].item()
    answer, block = unembedding_flops(config), blocks // config.blocks
    return {"answer_flops": answer, "block_flops": block, "answer_blocks": answer / block}


def summary(
    scan: ExitScan, depth_E: Int[np.ndarray, " E"], cost: dict[str, float]
) -> dict[str, Any]:
    """The numbers of a diagnosis, from what all exits say."""
    agrees_NE = diagnosis.agreements(scan.prediction_EN)
    oracle_N = diagnosis.oracle_exit(agrees_NE)
    count_E = np.bincount(oracle_N, minlength=len(depth_E))
    exits = [_exit(scan, agrees_NE, depth_E, exit) for exit in range(len(depth_E))]
    best = [
        diagnosis.best_speedup(agrees_NE, depth_E, share, cost["answer_blocks"])._asdict()
        for share in DISAGREEMENTS
    ]
    return {
        "exits": [
            {**row, "oracle_tokens": int(count)}
            for row, count in zip(exits, count_E, strict=True)
        ],
        "oracle_mean_depth": float(depth_E[oracle_N].mean()),
        "first_mean_depth": float(depth_E[diagnosis.first_agreement(agrees_NE)].mean()),
        "cost": cost,
        "best": best,
        "drafts": DRAFTS,
    }


def reaches(
    scan: ExitScan, model: LanguageModel, length: int, rounds: int, display: Display
) -> list[dict[str, Any]]:
    """What a threshold on each confidence reaches, and how fast tokens come that stop so."""
    agrees_NE, depth_E = diagnosis.agreements(scan.prediction_EN), np.array(model.design.layers)
    rows, clocks = [], {}
    for name, score_EN in scan.score_EN.items():
        counted, asks = _counted(model, name, (length + 1) // 2), Exiting(name).reads_logits
        if rounds and asks not in clocks:  # those of a kind take as long
            clocks[asks] = time_exits(model, name, rounds, display)
        for share in DISAGREEMENTS:
            found, timed = reach(score_EN, agrees_NE, depth_E, share), clocks.get(asks)
            count_E = found.exit_count_E
            rows.append({
                "confidence": name,
                **found._asdict(),
                "ideal_speedup": int(depth_E[-1]) / found.mean_depth,
                "flops_speedup": predicted_speedup(count_E, *counted),
                "timed_speedup": timed and predicted_speedup(count_E, *timed),
            })  # fmt: skip
    return rows


def _counted(
    model: LanguageModel, confidence: str, position: int
) -> tuple[Float[np.ndarray, " E"], float]:
    """FLOPs of a token that stops at each exit, and of the static decoder's."""
    config, design = model.backbone.config, model.design
    exit_E1 = np.arange(len(design.layers))[:, None]
    asked = config, design, Exiting(confidence), "propagate", exit_E1
    flops_E1 = decoding_flops(*asked, first=position)
    return flops_E1[:, 0], static_decoding_flops(config, exit_E1[-1:], position).item()


def _exit(
    scan: ExitScan,
    agrees_NE: Bool[np.ndarray, "N E"],
    depth_E: Int[np.ndarray, " E"],
    exit: int,
) -> dict[str, Any]:
    """One exit, had it answered every token, or drafted it."""
    agrees_N, depth = agrees_NE[:, exit], int(depth_E[exit])
    share = float(agrees_N.mean())
    return {
        "depth": depth,
        "agreement": share,
        "perplexity": perplexity(scan.loss_EN[exit]),
        "cosine": float(scan.cosine_EN[exit].mean()),
        "auroc": {
            name: nan_to_none(auroc(score_EN[exit], agrees_N))
            for name, score_EN in scan.score_EN.items()
        },
        "tokens_a_pass": diagnosis.tokens_a_pass(share, DRAFTS),
        "draft_speedup": diagnosis.speculation_speedup(share, DRAFTS, depth / int(depth_E[-1])),
    }


def verdict(found: dict[str, Any], blocks: int, trained: bool) -> str:
    """What the numbers come to, in plain words."""
    saved = 1 - found["oracle_mean_depth"] / blocks
    worth = (
        "are not worth having" if saved < LITTLE
        else "may be worth having" if saved < MUCH
        else "are worth having"
    )  # fmt: skip
    half = next(row["depth"] for row in found["exits"] if row["agreement"] >= 0.5)
    after = f"after block {half} of {blocks}" if half < blocks else f"the last, {blocks}"
    drafter = max(found["exits"][:-1], key=lambda row: row["draft_speedup"], default=None)
    lines = [
        f"{'Trained' if trained else 'Untrained'} exits {worth}: the first that agrees with "
        f"the full model on half of the tokens is {after}, and an oracle that knows from where "
        f"on all agree saves {100 * saved:.0f} % of the blocks."
    ]
    if drafter and drafter["draft_speedup"] > 1:
        lines.append(
            f"Drafts by the exit after block {drafter['depth']} would ideally give "
            f"{drafter['draft_speedup']:.2f} times the speed."
        )
    else:
        lines.append("No exit drafts well enough to gain by speculation.")
    if saved < MUCH:
        lines.append("Train exits further." if trained else "Train exits first.")
    return " ".join(lines)
