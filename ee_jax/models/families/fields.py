"""What each field of a `config.json` may be, in all families: one table.

A field that is absent is the family's to judge; one that stands here and is of another kind
would load as a wrong model, or fail far from where it was read.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple


class Kind(NamedTuple):
    """A kind of value: how it is recognised, and what it is called."""

    holds: Callable[[Any], bool]
    words: str


LARGEST = 2**31 - 1  # what an index of 32 bits reaches
DEEPEST = 4096  # blocks; no published model has a fourth of it


def _is_whole(value: Any, least: int, most: int = LARGEST) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_positive(value: Any) -> bool:
    return _is_number(value) and 0 < value < math.inf


def _are_ids(value: Any) -> bool:
    ids = value if isinstance(value, list) else [value]
    return all(_is_whole(token, 0) for token in ids)


def _or_null(kind: Kind) -> Kind:
    return Kind(lambda value: value is None or kind.holds(value), f"{kind.words} or null")


SIZE = Kind(lambda value: _is_whole(value, 1), f"a whole number from 1 to {LARGEST}")
COUNT = Kind(lambda value: _is_whole(value, 0), f"a whole number from 0 to {LARGEST}")
ID = Kind(lambda value: _is_whole(value, 0), "a token's id")
PADDING = Kind(lambda value: _is_whole(value, -1), "a token's id or -1")
BLOCKS = Kind(lambda value: _is_whole(value, 1, DEEPEST), f"a whole number from 1 to {DEEPEST}")
EPSILON = Kind(lambda value: _is_positive(value) and value < 1, "a number above 0 and below 1")
POSITIVE = Kind(_is_positive, "a finite number above 0")
PART = Kind(lambda value: _is_positive(value) and value <= 1, "a number above 0 and up to 1")
FLAG = Kind(lambda value: isinstance(value, bool), "true or false")
NAME = Kind(lambda value: isinstance(value, str), "a string")
NAMES = Kind(
    lambda value: isinstance(value, list) and all(map(NAME.holds, value)), "a list of strings"
)
TABLE = Kind(lambda value: isinstance(value, dict), "an object of names and values")
IDS = _or_null(Kind(_are_ids, "a token's id, a list of ids"))

# By the field's name, whichever families have it.
FIELDS: dict[str, Kind] = {
    "model_type": NAME,
    **dict.fromkeys(("vocab_size", "hidden_size", "intermediate_size", "embedding_size"), SIZE),
    **dict.fromkeys(("num_attention_heads", "n_embd", "n_head", "n_positions"), SIZE),
    "max_position_embeddings": SIZE,
    **dict.fromkeys(("num_hidden_layers", "n_layer"), BLOCKS),
    **dict.fromkeys(("num_key_value_heads", "head_dim", "n_inner"), _or_null(SIZE)),
    "sliding_window": _or_null(SIZE),
    "type_vocab_size": COUNT,
    **dict.fromkeys(("layer_norm_eps", "layer_norm_epsilon", "rms_norm_eps"), EPSILON),
    **dict.fromkeys(("hidden_act", "activation_function"), NAME),
    "tie_word_embeddings": FLAG,
    "layer_types": _or_null(NAMES),
    **dict.fromkeys(("bos_token_id", "eos_token_id"), IDS),
    "pad_token_id": _or_null(PADDING),
    **dict.fromkeys(("rope_parameters", "rope_scaling"), _or_null(TABLE)),
    **dict.fromkeys(("rope_theta", "rotary_emb_base", "rope_local_base_freq"), POSITIVE),
    **dict.fromkeys(("global_rope_theta", "local_rope_theta"), POSITIVE),
    **dict.fromkeys(("rotary_pct", "partial_rotary_factor"), PART),
    **dict.fromkeys(("dim", "n_heads", "hidden_dim", "relative_attention_num_buckets"), SIZE),
    **dict.fromkeys(("n_layers", "num_layers"), BLOCKS),
    "num_decoder_layers": _or_null(BLOCKS),
    **dict.fromkeys(("d_model", "d_kv", "d_ff", "num_heads"), SIZE),
    **dict.fromkeys(("encoder_layers", "decoder_layers"), BLOCKS),
    **dict.fromkeys(("encoder_attention_heads", "decoder_attention_heads"), SIZE),
    **dict.fromkeys(("encoder_ffn_dim", "decoder_ffn_dim"), SIZE),
    **dict.fromkeys(("scale_embedding", "share_encoder_decoder_embeddings"), FLAG),
    **dict.fromkeys(("decoder_start_token_id", "forced_bos_token_id"), _or_null(ID)),
    "relative_attention_max_distance": SIZE,
    "feed_forward_proj": NAME,
    "activation": NAME,
    "hidden_activation": _or_null(NAME),
    "norm_eps": EPSILON,
    **dict.fromkeys(("local_attention", "sliding_window_pattern"), SIZE),
    "global_attn_every_n_layers": SIZE,
    **dict.fromkeys(("use_parallel_residual", "scale_decoder_outputs"), FLAG),
    "query_pre_attn_scalar": POSITIVE,
    **dict.fromkeys(("attn_logit_softcapping", "final_logit_softcapping"), _or_null(POSITIVE)),
}
# By the name in `rope_parameters` or `rope_scaling`.
ROPE_FIELDS: dict[str, Kind] = {
    **dict.fromkeys(("rope_type", "type"), NAME),
    **dict.fromkeys(("rope_theta", "factor", "low_freq_factor", "high_freq_factor"), POSITIVE),
    **dict.fromkeys(("beta_fast", "beta_slow", "attention_factor"), _or_null(POSITIVE)),
    **dict.fromkeys(("mscale", "mscale_all_dim"), _or_null(POSITIVE)),
    "truncate": FLAG,
    "original_max_position_embeddings": SIZE,
    "partial_rotary_factor": PART,
}


def check_fields(
    given: dict[str, Any], fields: dict[str, Kind] = FIELDS, where: str = ""
) -> None:
    """Raises ValueError: the first field of another kind than it may be."""
    for name, kind in fields.items():
        if name in given and not kind.holds(given[name]):
            value = repr(given[name])
            shown = value if len(value) <= 40 else f"{value[:40]}..."
            raise ValueError(f"{name}{where} is {shown}, not {kind.words}")
