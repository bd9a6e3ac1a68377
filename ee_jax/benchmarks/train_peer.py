"""A training step of ours against one of torch, on the same weights and examples."""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np

from ee_jax.benchmarks.exit_loop import Bench, Row
from ee_jax.benchmarks.loop_peer import WARMUP, in_torch
from ee_jax.benchmarks.train_step import DROPOUT, Steps, alone, fine_tuning
from ee_jax.display import SILENT, Display
from ee_jax.evaluation.timing import interleave, milliseconds, speedup
from ee_jax.models.transformer import bind
from ee_jax.training.optimizer import OptimizerConfig


def bench_train_torch(
    name: str, batch: int, seq: int, repeats: int, display: Display = SILENT
) -> Iterator[Row]:
    """A row without dropout and one with it: fine-tuning with the last exit only.

    Both sides make the loss, the gradient, clip it, and take a step of AdamW. Dropout is on the
    outputs of attention and MLP, not on attention's weights, on both sides. `ratio` is the
    median over rounds of ours / torch's, `difference` that of the first losses, relative; with
    dropout they are of other draws.
    """
    for dropout in (0.0, DROPOUT):
        bench, inputs = fine_tuning(name, batch, seq)
        torch = _torch_step(bench, inputs, dropout)
        ours = Steps(bench, alone(bench), inputs, dropout)
        _, metrics = jax.device_get(ours())
        first = float(metrics.loss), torch()
        sides: dict[str, Callable[[], Any]] = {"ours": ours, "torch": torch}
        with display.bar(f"dropout {dropout}", repeats + WARMUP) as tick:
            seconds = interleave(sides, repeats, WARMUP, tick)
        yield {
            "model": name,
            "seq": seq,
            "batch": batch,
            "dropout": dropout,
            "step_ms": milliseconds(seconds["ours"]),
            "torch_ms": milliseconds(seconds["torch"]),
            "ratio": speedup(seconds["ours"], seconds["torch"]),
            "difference": abs(first[0] - first[1]) / first[1],
            "compile_s": ours.compile_seconds,
        }


def _torch_step(bench: Bench, inputs: Any, dropout: float) -> Callable[[], float]:
    """A step on a batch, again and again; returns its loss."""
    options = {"hidden_dropout_prob": dropout, "attention_probs_dropout_prob": 0.0}
    model = bind(bench.model, bench.values)
    backbone = in_torch(model, "AutoModel", add_pooling_layer=False, **options).train()
    import torch

    tokens, label_B = inputs
    ids, mask = (torch.tensor(np.asarray(part)).long() for part in tokens[:2])
    label = torch.tensor(np.asarray(label_B)).long()
    head = torch.nn.Linear(backbone.config.hidden_size, 2)
    for parameter, leaf in ((head.weight, "kernel"), (head.bias, "bias")):
        value = np.asarray(bench.values[f"exits.heads.0.out.{leaf}"])
        parameter.data = torch.tensor(value.T.copy())
    fit, learned = OptimizerConfig(), [*backbone.parameters(), *head.parameters()]
    optimizer = torch.optim.AdamW(_groups(backbone, head, fit))

    def step() -> float:
        optimizer.zero_grad()
        hidden = backbone(input_ids=ids, attention_mask=mask).last_hidden_state
        loss = torch.nn.functional.cross_entropy(head(hidden.mean(1)), label)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(learned, fit.clip)
        optimizer.step()
        return float(loss)

    return step


def _groups(backbone: Any, head: Any, fit: OptimizerConfig) -> list[dict[str, Any]]:
    """What torch's optimizer is given: weights decay, biases and norms do not."""
    found = []
    for module, rate in ((backbone, fit.learning_rate), (head, fit.head_learning_rate)):
        for decays in (True, False):
            some = [p for p in module.parameters() if (p.ndim > 1) is decays]
            decay = fit.weight_decay if decays else 0.0
            found.append({"params": some, "lr": rate, "weight_decay": decay})
    return found
