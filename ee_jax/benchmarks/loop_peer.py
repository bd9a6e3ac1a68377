"""Our static program against Hugging Face transformers in torch, on the same weights.

A model of ours in torch, by Hugging Face transformers: the peer of benchmarks.
"""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import jax
import numpy as np

from ee_jax.benchmarks.exit_loop import Bench, Row
from ee_jax.compilation import Program
from ee_jax.display import SILENT, Display
from ee_jax.errors import UserError
from ee_jax.evaluation.timing import interleave, milliseconds, speedup
from ee_jax.models.exit_model import ExitModel
from ee_jax.models.export import export_model
from ee_jax.models.language import LanguageModel
from ee_jax.models.transformer import Parameters, bind
from ee_jax.tokens import Tokens


def in_torch(model: ExitModel | LanguageModel, kind: str, **options: Any) -> Any:
    """The same weights as transformers' class `kind`, ready to be called without gradients.

    Raises:
      UserError: torch or transformers is not installed.
    """
    try:
        import torch  # noqa: F401, without it transformers has no models
        import transformers
    except ImportError:
        raise UserError("torch is not installed: pip install 'ee_jax[bench]'") from None
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    with tempfile.TemporaryDirectory() as folder:
        export_model(model, Path(folder))
        return getattr(transformers, kind).from_pretrained(folder, **options).eval()


WARMUP = 3  # torch settles on its kernels in the first calls


def bench_torch(
    name: str,
    seqs: Sequence[int],
    batches: Sequence[int],
    repeats: int,
    display: Display = SILENT,
) -> Iterator[Row]:
    """A row for each batch and length: the last hidden states, by us and by torch.

    `ratio` is the median over rounds of ours / torch's; `difference` the largest between the
    two results.
    """
    bench = Bench.of(name)
    theirs = _torch_side(bench)
    ours = Program(_hidden(bench))
    for seq, batch in product(seqs, batches):
        tokens = bench.batch(batch, seq)
        static = partial(ours.at(bench.values, tokens), bench.values, tokens)
        torch = theirs(tokens)
        sides = {"static": static, "torch": torch}
        with display.bar(f"batch {batch} x {seq}", repeats + WARMUP) as tick:
            seconds = interleave(sides, repeats, WARMUP, tick)
        yield {
            "model": name,
            "seq": seq,
            "batch": batch,
            "depth": bench.blocks,
            "static_ms": milliseconds(seconds["static"]),
            "torch_ms": milliseconds(seconds["torch"]),
            "ratio": speedup(seconds["static"], seconds["torch"]),
            "difference": float(np.abs(np.asarray(static()) - torch().numpy()).max()),
        }


def _hidden(bench: Bench) -> Callable[..., jax.Array]:
    def run(values: Parameters, tokens: Tokens) -> jax.Array:
        backbone = bind(bench.model, values).backbone
        return backbone.segment(backbone.embed(tokens), 0, bench.blocks).hidden_BTD

    return run


def _torch_side(bench: Bench) -> Callable[[Tokens], Callable[[], Any]]:
    model = in_torch(bind(bench.model, bench.values), "AutoModel", add_pooling_layer=False)
    import torch

    def side(tokens: Tokens) -> Callable[[], Any]:
        ids, mask = (torch.tensor(np.asarray(part)).long() for part in tokens[:2])

        def run() -> Any:
            with torch.inference_mode():
                return model(input_ids=ids, attention_mask=mask).last_hidden_state

        return run

    return side
