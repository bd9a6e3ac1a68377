"""Our static decoder against `generate` of Hugging Face transformers in torch."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from ee_jax.benchmarks.decode_setup import Load, Row, Setup, Timed, load_of
from ee_jax.benchmarks.loop_peer import in_torch
from ee_jax.display import SILENT, Display
from ee_jax.errors import UserError
from ee_jax.evaluation.timing import interleave, milliseconds, speedup
from ee_jax.inference.generator import Decoder
from ee_jax.inference.methods import StaticDecoding
from ee_jax.models.language import LanguageModel

WARMUP = 2  # torch settles on its kernels in the first calls


def bench_generate(
    setup: Setup,
    batches: Sequence[int],
    load: Load,
    repeats: int,
    display: Display = SILENT,
) -> Iterator[Row]:
    """A row for each batch: the same weights and prompts, greedy, prompts read on the clock.

    `ratio` is the median over rounds of ours / torch's; `agreement` the share of tokens that
    are the same.

    Raises:
      UserError: another precision than float32.
    """
    if setup.precision != "float32":
        raise UserError("torch is timed in float32: leave out --precision")
    model = setup.make()
    theirs, decoder = _torch_side(model), Decoder(model)
    exit = len(model.design.layers) - 1
    for batch in batches:
        timed = Timed(decoder, batch, load)
        ours = partial(timed.whole, StaticDecoding(exit))
        torch = theirs(np.asarray(timed.request.ids_BP)[:, : load.prompt], load.tokens)
        sides = {"static": ours, "torch": torch}
        with display.bar(f"batch {batch}", repeats + WARMUP) as tick:
            seconds = interleave(sides, repeats, WARMUP, tick)
        same_BN = np.asarray(ours().ids_BN) == torch()[:, load.prompt :].numpy()
        yield {
            **load_of(setup, batch, load),
            "static_ms": milliseconds(seconds["static"]) / load.tokens,
            "torch_ms": milliseconds(seconds["torch"]) / load.tokens,
            "ratio": speedup(seconds["static"], seconds["torch"]),
            "agreement": float(same_BN.mean()),
        }


def _torch_side(model: LanguageModel) -> Callable[[np.ndarray, int], Callable[[], Any]]:
    peer = in_torch(model, "AutoModelForCausalLM")
    import torch

    def side(ids_BP: np.ndarray, tokens: int) -> Callable[[], Any]:
        ids = torch.tensor(ids_BP, dtype=torch.int64)
        seen = torch.ones_like(ids)

        def run() -> Any:
            with torch.inference_mode():
                return peer.generate(
                    ids, attention_mask=seen, max_new_tokens=tokens, min_new_tokens=tokens,
                    do_sample=False, pad_token_id=0,
                )  # fmt: skip

        return run

    return side
