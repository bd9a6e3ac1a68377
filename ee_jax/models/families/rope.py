"""Rotary positions in a `config.json`, as `rope_parameters` or in the older spelling."""

from ee_jax.models.architecture import Rope
from ee_jax.models.families.family import Config, check_positive, refuse_others

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
}


def read_rope(given: Config) -> Rope:
    """The rotary positions of a whole config; ValueError for a scaling not built here.

    Where both spellings are given, the older one counts, as in Hugging Face's own reader.
    """
    rope = given.get("rope_scaling") or given.get("rope_parameters") or {}
    if any(isinstance(part, dict) for part in rope.values()):
        raise ValueError("the rotary positions are not the same in all blocks")
    scaling = rope.get("rope_type", rope.get("type", "default"))
    if scaling not in SCALINGS:
        raise ValueError(f"rope scaling {scaling!r} is not one of {', '.join(SCALINGS)}")
    refuse_others({**given, **rope}, partial_rotary_factor=1.0)
    theta = rope.get("rope_theta", given.get("rope_theta", 10_000.0))
    fields = {ours: rope[key] for ours, key in SCALINGS[scaling].items()}
    for name, value in {"theta": theta, **fields}.items():
        check_positive(f"{name} of the rotary positions", value)
    return Rope(theta, scaling, **fields)


def write_rope(rope: Rope) -> Config:
    """A config's keys of rotary positions, in both spellings.

    Who reads only the older one takes a base of 10,000 where `rope_theta` is missing.
    """
    fields = {key: getattr(rope, ours) for ours, key in SCALINGS[rope.scaling].items()}
    scaling = {"rope_type": rope.scaling, **fields}
    return {
        "rope_parameters": {"rope_theta": rope.theta, **scaling},
        "rope_theta": rope.theta,
        "rope_scaling": scaling if fields else None,
    }
