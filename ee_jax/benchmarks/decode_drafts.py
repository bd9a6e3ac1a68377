"""Drafters timed on prompts of a real model: each against plain decoding, token for token.

Random weights would write nothing that says how often drafts are right, so this one needs a
model and prompts such as it is asked. Prompts are read outside of the clock.
"""

import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ee_jax.benchmarks.decode_setup import Row
from ee_jax.display import SILENT, Display
from ee_jax.errors import UserError
from ee_jax.evaluation.decoding import acceptance
from ee_jax.evaluation.timing import speedup
from ee_jax.inference.adaptive_drafting import AdaptiveSpeculation, PassCosts
from ee_jax.inference.generator import Decoder, draft_exit_at, middle_exit
from ee_jax.inference.methods import (
    DecodingMethod,
    SelfSpeculation,
    StaticDecoding,
)
from ee_jax.inference.prompts import Ids, pack_prompts
from ee_jax.inference.prompts import Prompts as Packed
from ee_jax.models.language import LanguageDesign

DRAFTS = 4  # of an exit that always drafts as many


class Prompts(NamedTuple):
    """Prompts of one kind, as the model reads them."""

    name: str
    ids: Sequence[Ids]


def read_prompts(path: Path) -> list[str]:
    """The `prompt` of each line of a JSON Lines file.

    Raises:
      UserError: the file, or a line of it, cannot be read.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        prompts = [json.loads(line)["prompt"] for line in lines]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{path} cannot be read as prompts ({error!r}): each line is to be an object with "
            "a `prompt`"
        ) from None
    if not prompts or not all(isinstance(prompt, str) and prompt for prompt in prompts):
        raise UserError(f"{path}: each line needs a `prompt` that is a text, and not empty")
    return prompts


def drafting(name: str, design: LanguageDesign) -> DecodingMethod:
    """`lookup`, `auto`, or the blocks of an exit that always drafts.

    Raises:
      UserError: there is no such drafter.
    """
    if name in ("lookup", "auto"):
        return AdaptiveSpeculation(None if name == "lookup" else middle_exit(design))
    if not name.isdecimal():
        raise UserError(f"no drafter {name!r}: it is lookup, auto, or a number of blocks")
    return SelfSpeculation(draft_exit_at(design, int(name)), DRAFTS)


def bench_drafts(
    decoder: Decoder,
    prompts: Prompts,
    drafters: Sequence[str],
    batches: Sequence[int],
    tokens: int,
    repeats: int,
    display: Display = SILENT,
) -> Iterator[Row]:
    """A row for each batch and drafter, over all prompts in whole batches.

    `speedup` is the median over rounds of the seconds of plain decoding over those of the
    drafter, `slowest` that of the one batch of prompts that it serves worst. `same_tokens` is
    the share of tokens that are plain decoding's, which near-ties may keep below 1.

    Raises:
      UserError: there is no such drafter, or fewer prompts than rows.
    """
    design = decoder.model.design
    methods = {name: drafting(name, design) for name in drafters}
    sides = {"plain": StaticDecoding(len(design.layers) - 1), **methods}
    for batch in batches:
        if batch > len(prompts.ids):
            raise UserError(
                f"{prompts.name}: {len(prompts.ids)} prompts make no batch of {batch}"
            )
        starts = range(0, len(prompts.ids) - batch + 1, batch)
        packed = pack_prompts(prompts.ids, decoder.model.backbone.config, tokens)
        found: dict[str, list[Measured]] = {name: [] for name in sides}
        with display.bar(f"{prompts.name}, batch {batch}", len(starts)) as tick:
            for at in starts:
                rows = slice(at, at + batch)
                some = Packed(packed.ids_BP[rows], packed.length_B[rows])
                for name, one in _measure(decoder, some, tokens, sides, repeats).items():
                    found[name].append(one)
                tick()
        for name in methods:
            yield {
                "device": jax.devices()[0].device_kind,
                "precision": decoder.model.backbone.dtype.name,
                "prompts": prompts.name,
                "batch": batch,
                "batches": len(starts),
                "tokens": tokens,
                "drafter": name,
                **_compare(found["plain"], found[name]),
            }


class Measured(NamedTuple):
    """One batch of prompts, decoded in one way."""

    seconds_R: np.ndarray
    out: Any
    costs: PassCosts | None


def _measure(
    decoder: Decoder,
    packed: Packed,
    tokens: int,
    sides: dict[str, DecodingMethod],
    repeats: int,
) -> dict[str, Measured]:
    """Every side has decoded once before, and then they take turns."""
    request = decoder.request(packed, tokens)
    costs: dict[str, PassCosts | None] = dict.fromkeys(sides)
    for name, method in sides.items():
        decoder.check_memory(method, packed, tokens)
        if isinstance(method, AdaptiveSpeculation):
            costs[name] = decoder.pass_costs(method, request, tokens)

    def decode(name: str) -> tuple[float, Any]:
        method, shared = sides[name], jax.tree.map(jnp.asarray, costs[name])
        at = jax.block_until_ready(decoder.start(method, request, tokens))
        start = time.perf_counter()
        at = jax.block_until_ready(decoder.go_on(method, shared, at, request, tokens))
        return time.perf_counter() - start, at.out

    seconds: dict[str, list[float]] = {name: [] for name in sides}
    out = {name: jax.device_get(decode(name)[1]) for name in sides}
    for turn in range(repeats):
        for name in sorted(sides, reverse=turn % 2 == 1):
            seconds[name].append(decode(name)[0])
    return {name: Measured(np.array(seconds[name]), out[name], costs[name]) for name in sides}


def _compare(plain: list[Measured], found: list[Measured]) -> Row:
    slow_GR, fast_GR = (np.array([one.seconds_R for one in m]) for m in (plain, found))
    out, costs = [one.out for one in found], found[0].costs
    length = sum(int(each.length_B.sum()) for each in out)
    drafted = sum(int(each.drafted_B.sum()) for each in out)
    accepted = sum(int(each.accepted_B.sum()) for each in out)
    ids = zip([one.out.ids_BN for one in plain], [each.ids_BN for each in out], strict=True)
    # Of the row that takes part longest: how often each drafter had its turn.
    passes_A = np.sum([each.rounds_BA.max(0) for each in out], axis=0)
    return {
        "speedup": speedup(slow_GR.sum(0), fast_GR.sum(0)),
        "slowest": min(map(speedup, slow_GR, fast_GR)),
        "acceptance": acceptance(drafted, accepted),
        "tokens_a_pass": length / sum(int(each.rounds_B.sum()) for each in out),
        "same_tokens": float(np.mean([(one == two).mean() for one, two in ids])),
        "passes": passes_A.tolist(),
        "pass_costs": None if costs is None else _relative(costs),
    }


def _relative(costs: PassCosts) -> list[float]:
    cost_A = np.asarray(costs.cost_A, float)
    return (cost_A / cost_A[0]).round(3).tolist()
