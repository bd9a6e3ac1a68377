"""Rotary positions and the kinds of attention in a `config.json`, by block.

Rotary positions are there as `rope_parameters` or in the older spelling, for all blocks or for
each kind of attention; kinds as `layer_types`, or by a pattern.
"""

import math
from collections.abc import Callable
from typing import Any

from ee_jax.models.architecture import Architecture, Rope
from ee_jax.models.families.family import Config, refuse_others
from ee_jax.models.families.fields import ROPE_FIELDS, check_fields

# What each scaling reads: our field and their key.
SCALINGS = {
    "default": {},
    "linear": {"factor": "factor"},
    "llama3": {
        "factor": "factor",
        "low": "low_freq_factor",
        "high": "high_freq_factor",
        "original_length": "original_max_position_embeddings",
    },
    "yarn": {
        "factor": "factor",
        "low": "beta_slow",
        "high": "beta_fast",
        "original_length": "original_max_position_embeddings",
        "scale": "attention_factor",
    },
    "dynamic": {"factor": "factor"},
}
FULL, SLIDING = "full_attention", "sliding_attention"  # kinds of attention
SHARE = "partial_rotary_factor"


def read_rope(given: Config, share: float | None = None) -> Rope:
    """The rotary positions of a whole config; ValueError for a scaling not built here.

    Where both spellings are given, the older one counts, as in Hugging Face's own reader.

    Args:
      given: the config.
      share: of a head that turns where the config says nothing; None: no part may.
    """
    rope = given.get("rope_scaling") or given.get("rope_parameters") or {}
    if any(isinstance(part, dict) for part in rope.values()):
        raise ValueError("the rotary positions are not the same in all blocks")
    check_fields(rope, ROPE_FIELDS, " of the rotary positions")
    scaling = rope.get("rope_type", rope.get("type", "default"))
    if scaling not in SCALINGS:
        raise ValueError(f"rope scaling {scaling!r} is not one of {', '.join(SCALINGS)}")
    if share is None:
        refuse_others({**given, **rope}, **{SHARE: 1.0})
    part = {"share": {SHARE: share or 1.0, **given, **rope}[SHARE]}
    theta = rope.get("rope_theta", given.get("rope_theta", 10_000.0))
    if scaling == "yarn":
        rope = _with_defaults_of_yarn(rope, given)
    fields = {ours: rope[key] for ours, key in SCALINGS[scaling].items()}
    made = Rope(theta, scaling, **fields, **part)
    if made.low >= made.high:
        low = SCALINGS[scaling]["low"]
        raise ValueError(f"{low} {made.low} is not below that of high, {made.high}")
    return made


def _with_defaults_of_yarn(rope: Config, given: Config) -> Config:
    """The fields of YaRN with those that are left out, as Hugging Face's reader has them.

    Queries and keys are multiplied by sqrt(1/t) = 0.1 ln(factor) + 1 (Peng et al. 2023, eq.
    22), or by the ratio of two such numbers.
    """
    refuse_others(rope, truncate=True)
    rope = {key: value for key, value in rope.items() if value is not None}
    whole = {
        "beta_fast": 32.0,
        "beta_slow": 1.0,
        "original_max_position_embeddings": given.get("max_position_embeddings"),
        **rope,
    }
    if "attention_factor" not in rope:
        log = 0.1 * max(math.log(rope["factor"]), 0.0)
        above, below = rope.get("mscale") or 0.0, rope.get("mscale_all_dim") or 0.0
        if not (above and below):
            above, below = 1.0, 0.0
        whole["attention_factor"] = (above * log + 1.0) / (below * log + 1.0)
    return whole


def write_rope(rope: Rope) -> Config:
    """A config's keys of rotary positions, in both spellings.

    Who reads only the older one takes a base of 10,000 where `rope_theta` is missing.
    """
    part = {} if rope.share == 1.0 else {SHARE: rope.share}
    fields = {key: getattr(rope, ours) for ours, key in SCALINGS[rope.scaling].items()}
    scaling = {"rope_type": rope.scaling, **fields}
    return {
        "rope_parameters": {"rope_theta": rope.theta, **scaling, **part},
        "rope_theta": rope.theta,
        "rope_scaling": scaling if fields else None,
        **part,
    }


def read_ropes(given: Config, theta: float, local_theta: float) -> tuple[Rope, Rope]:
    """The rotary positions of blocks that see all, and of local ones; ValueError as above.

    Args:
      given: the config; its `rope_scaling` is of blocks that see all.
      theta: of blocks that see all, where `rope_parameters` does not say it.
      local_theta: the same of local ones.
    """
    by_kind = given.get("rope_parameters") or {}
    if not all(kind in (FULL, SLIDING) and _is_table(part) for kind, part in by_kind.items()):
        raise ValueError(f"rope_parameters are not those of {FULL} and of {SLIDING}")
    full = {**(by_kind.get(FULL) or {}), **(given.get("rope_scaling") or {})}
    local = by_kind.get(SLIDING)
    return (
        read_rope({"rope_parameters": full, "rope_theta": theta}),
        read_rope({"rope_parameters": local, "rope_theta": local_theta}),
    )


def write_ropes(config: Architecture) -> Config:
    """The rotary positions of both kinds, in the newer spelling."""
    local = config.local_rope or config.rope
    ropes = {FULL: config.rope, SLIDING: local}
    return {
        "rope_parameters": {
            kind: write_rope(rope)["rope_parameters"] for kind, rope in ropes.items()
        }
    }


def _is_table(part: Any) -> bool:
    return part is None or isinstance(part, dict)


def read_local(given: Config, blocks: int, is_local: Callable[[int], bool]) -> tuple[bool, ...]:
    """Which blocks see their window alone; ValueError for kinds that are not built here.

    Args:
      given: the config.
      blocks: how many there are.
      is_local: whether the block of a number is so, where there are no `layer_types`.
    """
    kinds = given.get("layer_types")
    if kinds is None:
        return tuple(is_local(block) for block in range(blocks))
    if others := {*kinds} - {FULL, SLIDING}:
        raise ValueError(f"layer_types has {', '.join(map(repr, sorted(others)))}")
    if len(kinds) != blocks:
        raise ValueError(f"layer_types has {len(kinds)} of {blocks} blocks")
    return tuple(kind == SLIDING for kind in kinds)


def write_local(config: Architecture) -> Config:
    """The kinds of attention by block."""
    return {"layer_types": [SLIDING if local else FULL for local in config.local]}
