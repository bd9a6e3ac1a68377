"""Language models from GGUF files, llama.cpp's format: Llama, Qwen2 and Qwen3.

The `gguf` library unpacks what is quantized, a tensor at a time: reading a model takes the
memory of its fp32 parameters and of one tensor beside them.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ee_jax.data.gguf import Header, TensorEntry
from ee_jax.errors import UserError
from ee_jax.models.architecture import Architecture, Rope
from ee_jax.models.attention import rope_frequencies
from ee_jax.models.families.family import Config, Tensors, refuse_others
from ee_jax.models.families.fields import BLOCKS, EPSILON, POSITIVE, SIZE, check_fields
from ee_jax.models.families.llama import LLAMA
from ee_jax.models.families.rope import write_rope
from ee_jax.models.huggingface import check_blocks, check_finite, describe
from ee_jax.models.llama2c import halves

ARCHITECTURES = ("llama", "qwen2", "qwen3")
# Llama's parameters by llama.cpp's names.
LLAMA_CPP = replace(
    LLAMA,
    prefix="",
    modules={"embedding.tokens": "token_embd", "final_norm": "output_norm", "output": "output"},
    stem="blk.{}",
    block={
        "attention.query": "attn_q",
        "attention.key": "attn_k",
        "attention.value": "attn_v",
        "attention.out": "attn_output",
        "attention.query_norm": "attn_q_norm",
        "attention.key_norm": "attn_k_norm",
        "attention_norm": "attn_norm",
        "mlp.gate": "ffn_gate",
        "mlp.up": "ffn_up",
        "mlp.down": "ffn_down",
        "mlp_norm": "ffn_norm",
    },
)
# What a file says of its model, after the architecture's name and a dot: Hugging Face's words.
SIZES = {
    "embedding_length": "hidden_size",
    "block_count": "num_hidden_layers",
    "attention.head_count": "num_attention_heads",
    "feed_forward_length": "intermediate_size",
    "context_length": "max_position_embeddings",
}
OTHERS = {
    "attention.head_count_kv": "num_key_value_heads",
    "attention.key_length": "head_dim",
    "attention.layer_norm_rms_epsilon": "rms_norm_eps",
}
KINDS = {
    **dict.fromkeys((*SIZES, *OTHERS), SIZE),
    "block_count": BLOCKS,
    "attention.layer_norm_rms_epsilon": EPSILON,
    "rope.freq_base": POSITIVE,
}
# Those of Llama 3.1 and later; what they say is stored as a divisor of each frequency.
LLAMA3 = Rope(scaling="llama3", factor=8.0, low=1.0, high=4.0, original_length=8192)
DIVISORS = "rope_freqs.weight"


class Packing(NamedTuple):
    """How ggml packs numbers, and what unpacks them."""

    numbers: int  # in a block
    bytes: int
    unpack: Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class PackedTensor:
    """A tensor of a file that stays as it is packed there until NumPy asks for its numbers."""

    name: str
    path: Path
    entry: TensorEntry
    packing: Packing
    head_size: int | None = None  # of heads whose outputs turn in pairs beside each other
    turned: bool = False
    dtype = np.dtype(np.float32)

    @property
    def size(self) -> int:
        """In bytes of the file."""
        return prod(self.entry.shape) // self.packing.numbers * self.packing.bytes

    @property
    def shape(self) -> tuple[int, ...]:
        """As its numbers will have it."""
        return self.entry.shape[::-1] if self.turned else self.entry.shape

    @property
    def T(self) -> "PackedTensor":
        """The transposed one."""
        return replace(self, turned=not self.turned)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        packed = np.fromfile(self.path, np.uint8, self.size, offset=self.entry.start)
        rows = packed.reshape(prod(self.entry.shape[:-1]), -1)
        with np.errstate(all="ignore"):  # a block may have any scale: what comes out is checked
            numbers = self.packing.unpack(rows).reshape(self.entry.shape)
        check_finite(numbers, self.name, self.path)
        if self.head_size:
            numbers = halves(numbers, self.head_size)
        return np.asarray(numbers.T if self.turned else numbers, dtype)


def read_gguf(header: Header) -> tuple[Architecture, Tensors]:
    """What a file says of its model, and its tensors, still packed.

    Raises:
      UserError: the library is missing; or the file is damaged, or not of a model, or of one
        that is not built here.
    """
    path, tensors = header.path, _packed(header)
    try:
        config = _architecture(header, tensors)
    except ValueError as error:
        raise UserError(f"{path} describes no model that is built here: {error}") from None
    check_blocks(config, LLAMA_CPP, tensors, path)
    if config.family == "llama":  # of which llama.cpp stores queries and keys so
        pairs = tuple(f".{name}.weight" for name in ("attn_q", "attn_k"))
        tensors |= {
            name: replace(own, head_size=config.head_size)
            for name, own in tensors.items()
            if name.endswith(pairs)
        }
    return config, tensors


def _packed(header: Header) -> dict[str, PackedTensor]:
    """The tensors of a file that is long enough for them.

    Raises:
      UserError: it is not, or packs one in a way that the library does not know.
    """
    kinds = {entry.kind for entry in header.tensors.values()}
    packings = {kind: _packing(kind, header.path) for kind in sorted(kinds)}
    tensors = {
        name: PackedTensor(name, header.path, entry, packings[entry.kind])
        for name, entry in header.tensors.items()
    }
    length = header.path.stat().st_size
    for name, own in tensors.items():
        if own.entry.shape[-1] % own.packing.numbers or own.entry.start + own.size > length:
            raise UserError(
                f"{name} in {header.path} is said to be of shape {own.entry.shape} at byte "
                f"{own.entry.start}, which a file of {length} bytes does not hold: fetch it "
                "again"
            )
    if (claimed := sum(own.size for own in tensors.values())) > length:
        raise UserError(
            f"{header.path} has {length} bytes, and its tensors are said to take {claimed}: "
            "fetch the file again"
        )
    return tensors


def _packing(kind: int, path: Path) -> Packing:
    """Raises UserError: the library is not installed, or cannot unpack this."""
    try:
        from gguf import GGML_QUANT_SIZES, GGMLQuantizationType
        from gguf.quants import dequantize
    except ImportError:
        raise UserError(f"{path} is a GGUF file: pip install 'ee_jax[gguf]'") from None

    def unpack(packed: np.ndarray) -> np.ndarray:
        return dequantize(packed, own)

    try:
        own = GGMLQuantizationType(kind)
        numbers, size = GGML_QUANT_SIZES[own]
        unpack(np.zeros((1, size), np.uint8))
    except (ValueError, KeyError, NotImplementedError) as error:
        raise UserError(
            f"{path} has tensors of a kind that the gguf library does not unpack ({error}): "
            "take a file of another quantization"
        ) from None
    return Packing(numbers, size, unpack)


def _architecture(header: Header, tensors: dict[str, PackedTensor]) -> Architecture:
    """Raises ValueError: no model that is built here."""
    name = header.value("general.architecture", str)
    if name not in ARCHITECTURES:
        raise ValueError(f"its architecture is {name!r:.40}, not {', '.join(ARCHITECTURES)}")
    fields = header.metadata
    check_fields(fields, {f"{name}.{key}": kind for key, kind in KINDS.items()})
    _refuse_variants(name, fields)
    needed = {f"{name}.{key}" for key in (*SIZES, "attention.layer_norm_rms_epsilon")}
    if missing := sorted(needed - fields.keys()) + sorted(
        {"token_embd.weight"} - tensors.keys()
    ):
        raise ValueError(f"it has no {missing[0]}")
    theirs = {key: word for key, word in (SIZES | OTHERS).items() if f"{name}.{key}" in fields}
    given: Config = {word: fields[f"{name}.{key}"] for key, word in theirs.items()}
    given |= {
        "model_type": name,
        "vocab_size": tensors["token_embd.weight"].shape[0],
        "tie_word_embeddings": "output.weight" not in tensors,
    }
    config = describe(given)
    turned = fields.get(f"{name}.rope.dimension_count", config.head_size)
    refuse_others(
        {"rope.dimension_count": turned}, **{"rope.dimension_count": config.head_size}
    )
    rope = _rope(name, fields)
    if DIVISORS in tensors:
        rope = _llama3(rope, config.head_size, np.asarray(tensors[DIVISORS]))
    return describe({**given, **write_rope(rope)})


def _refuse_variants(name: str, fields: dict[str, Any]) -> None:
    """Raises ValueError: a variant that would load and give wrong numbers."""
    plain = {"expert_count": 0, "attention.sliding_window": 0, "attention.causal": True}
    refuse_others(fields, **{f"{name}.{key}": value for key, value in plain.items()})


def _rope(name: str, fields: dict[str, Any]) -> Rope:
    theta = fields.get(f"{name}.rope.freq_base", 10_000.0)
    # As llama.cpp: linear where nothing is said, and of no effect where no factor is given.
    scaling = fields.get(f"{name}.rope.scaling.type", "linear")
    if scaling not in ("none", "linear"):
        raise ValueError(f"rope.scaling.type is {scaling!r:.40}, not 'none' or 'linear'")
    older = fields.get(f"{name}.rope.scale_linear", 0.0)
    factor = fields.get(f"{name}.rope.scaling.factor", older)
    if scaling == "none" or factor in (0.0, 1.0):
        return Rope(theta)
    return Rope(theta, "linear", factor)


def _llama3(rope: Rope, head_size: int, divisors: np.ndarray) -> Rope:
    """The rotary positions whose frequencies are divided as the file says.

    Raises:
      ValueError: not as Llama 3 divides them.
    """
    plain = rope_frequencies(replace(rope, scaling="default"), head_size)
    made = replace(LLAMA3, theta=rope.theta, factor=float(divisors.max(initial=1.0)))
    for scaled in (replace(rope, scaling="default"), made):
        wanted = plain / rope_frequencies(scaled, head_size)
        if divisors.shape == wanted.shape and np.allclose(divisors, wanted, rtol=1e-4):
            return scaled
    raise ValueError(f"{DIVISORS} divides frequencies otherwise than Llama 3 does")
