"""Tiny GGUF files of random weights, written by the `gguf` library's own writer."""

from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, GGUFWriter
from gguf.quants import dequantize, quantize
from tokenizers.pre_tokenizers import ByteLevel

Kind = GGMLQuantizationType
# What the library packs itself, and what it only unpacks: of these, random blocks.
PACKED = [Kind.F32, Kind.F16, Kind.BF16, Kind.Q8_0, Kind.Q4_0, Kind.Q4_1, Kind.Q5_0, Kind.Q5_1]
BLOCKS = [Kind.Q2_K, Kind.Q3_K, Kind.Q4_K, Kind.Q5_K, Kind.Q6_K, Kind.IQ4_NL, Kind.IQ4_XS]
# Those whose logits transformers gave: architecture, and how the file is written. Of the blocks
# two, as transformers does not unpack all.
MIXED = [*PACKED, Kind.Q4_K, Kind.Q6_K]
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("llama", {"kinds": MIXED}),
    "llama_tied": ("llama", {"tied": True}),
    "qwen2": ("qwen2", {"kinds": MIXED}),
    "qwen3": ("qwen3", {"kinds": MIXED}),
}
WIDTH, HIDDEN, DEPTH, HEADS, KV_HEADS = 256, 256, 3, 4, 2
HEAD_SIZES = {"llama": 64, "qwen2": 64, "qwen3": 128}
EPSILON, THETA, CONTEXT = 1e-3, 1000.0, 64

ALPHABET = sorted(ByteLevel.alphabet())
MERGES = ["a t", "c at", "Ġ cat", "h e", "t he", "Ġ the", "1 2", "12 3", "Ġ Ġ", "Ċ Ċ"]
CONTROL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
BYTE_LEVEL = [*CONTROL, *ALPHABET, *(merge.replace(" ", "") for merge in MERGES), "<think>"]
PIECES = {"▁": -1.0, "a": -2.0, "t": -3.0, "c": -4.0, "at": -0.1, "cat": -0.2, "▁cat": -0.3}
SENTENCEPIECE = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *PIECES]
# Kind and split of tokenizers that transformers rebuilds as llama.cpp reads them.
TOKENIZERS: dict[str, tuple[str, str | None]] = {
    "gpt-2": ("gpt2", "gpt-2"),
    "llama-bpe": ("gpt2", "llama-bpe"),
    "qwen2": ("gpt2", "qwen2"),
    "sentencepiece": ("llama", None),
}
TEMPLATE = "{% for message in messages %}<|im_start|>{{ message['content'] }}{% endfor %}"


def random_blocks(
    shape: tuple[int, ...], kind: Kind, random: np.random.Generator
) -> np.ndarray:
    """Bytes that unpack to numbers of a reasonable size; blocks that do not are zero."""
    numbers, size = GGML_QUANT_SIZES[kind]
    blocks = random.integers(0, 256, (int(np.prod(shape)) // numbers, size), dtype=np.uint8)
    with np.errstate(all="ignore"):
        largest = np.abs(dequantize(blocks, kind)).max(1, initial=0)
    blocks[~(largest < 1)] = 0
    return blocks.reshape(*shape[:-1], -1)


def pack(values: np.ndarray, kind: Kind, random: np.random.Generator) -> np.ndarray:
    """Values, or where the library packs none of this kind random ones."""
    if kind in PACKED:
        return quantize(values.astype(np.float32), kind)
    return random_blocks(values.shape, kind, random)


def shapes(architecture: str, vocabulary: int) -> dict[str, tuple[int, ...]]:
    """Every tensor but the output."""
    head = HEAD_SIZES[architecture]
    inner, kv_inner = HEADS * head, KV_HEADS * head
    block = {
        "attn_norm.weight": (WIDTH,),
        "attn_q.weight": (inner, WIDTH),
        "attn_k.weight": (kv_inner, WIDTH),
        "attn_v.weight": (kv_inner, WIDTH),
        "attn_output.weight": (WIDTH, inner),
        "ffn_norm.weight": (WIDTH,),
        "ffn_gate.weight": (HIDDEN, WIDTH),
        "ffn_up.weight": (HIDDEN, WIDTH),
        "ffn_down.weight": (WIDTH, HIDDEN),
    }
    if architecture == "qwen2":
        block |= {
            "attn_q.bias": (inner,),
            "attn_k.bias": (kv_inner,),
            "attn_v.bias": (kv_inner,),
        }
    if architecture == "qwen3":
        block |= {"attn_q_norm.weight": (head,), "attn_k_norm.weight": (head,)}
    blocks = {
        f"blk.{index}.{name}": shape for index in range(DEPTH) for name, shape in block.items()
    }
    return {"token_embd.weight": (vocabulary, WIDTH), **blocks, "output_norm.weight": (WIDTH,)}


def tokenizer_fields(model: str = "gpt2", pre: str | None = "qwen2") -> dict[str, Any]:
    """The metadata of a tokenizer, without what stands before each key."""
    if model == "gpt2":
        kinds = [3] * len(CONTROL) + [1] * (len(BYTE_LEVEL) - len(CONTROL) - 1) + [4]
        own = {"tokens": BYTE_LEVEL, "token_type": kinds, "merges": MERGES}
        own |= {"bos_token_id": 0, "eos_token_id": 2} | ({"pre": pre} if pre else {})
    else:
        kinds = [2, 3, 3] + [6] * 256 + [1] * len(PIECES)
        scores = [0.0] * (len(SENTENCEPIECE) - len(PIECES)) + list(PIECES.values())
        own = {"tokens": SENTENCEPIECE, "token_type": kinds, "scores": scores}
        own |= {"bos_token_id": 1, "eos_token_id": 2}
    fields = {f"tokenizer.ggml.{key}": value for key, value in {"model": model, **own}.items()}
    return {**fields, "tokenizer.chat_template": TEMPLATE}


def model_fields(architecture: str) -> dict[str, Any]:
    """The metadata of the model."""
    head = HEAD_SIZES[architecture]
    own = {
        "block_count": DEPTH,
        "context_length": CONTEXT,
        "embedding_length": WIDTH,
        "feed_forward_length": HIDDEN,
        "attention.head_count": HEADS,
        "attention.head_count_kv": KV_HEADS,
        "attention.key_length": head,
        "attention.value_length": head,
        "attention.layer_norm_rms_epsilon": EPSILON,
        "rope.freq_base": THETA,
        "rope.dimension_count": head,
    }
    return {f"{architecture}.{key}": value for key, value in own.items()}


def write_gguf(
    path: Path,
    architecture: str = "llama",
    kinds: list[Kind] | None = None,
    tied: bool = False,
    more: dict[str, np.ndarray] | None = None,
    **changes: Any,
) -> Path:
    """Writes a model of random weights, the same for the same arguments.

    Args:
      path: of the file.
      architecture: its name.
      kinds: of the matrices, one after the other and again; None: fp32.
      tied: whether the output is left out.
      more: tensors that come on top.
      **changes: fields of the metadata, `__` for a dot; `...` leaves one out.
    """
    changed = {key.replace("__", "."): value for key, value in changes.items()}
    tokenizer = {} if "tokenizer.ggml.model" in changed else tokenizer_fields()
    fields = {**model_fields(architecture), **tokenizer, **changed}
    vocabulary = len(fields["tokenizer.ggml.tokens"])
    wanted = shapes(architecture, vocabulary)
    if not tied:
        wanted["output.weight"] = (vocabulary, WIDTH)
    random = np.random.default_rng(0)
    writer = GGUFWriter(path, changed.pop("general.architecture", architecture))
    for key, value in fields.items():
        if value is not ... and key != "general.architecture":
            _add(writer, key, value)
    kinds, matrices = kinds or [Kind.F32], 0
    for name, shape in wanted.items():
        noise = random.normal(size=shape)
        if len(shape) == 1:
            writer.add_tensor(name, (0.3 * noise + ("norm" in name)).astype(np.float32))
            continue
        kind = kinds[matrices % len(kinds)]
        matrices += 1
        values = noise if name.startswith("token") else 1.5 * noise / shape[1] ** 0.5
        writer.add_tensor(name, pack(values, kind, random), raw_dtype=kind)
    for name, values in (more or {}).items():
        writer.add_tensor(name, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _add(writer: GGUFWriter, key: str, value: Any) -> None:
    match value:
        case bool():
            writer.add_bool(key, value)
        case int():
            writer.add_uint32(key, value)
        case float():
            writer.add_float32(key, value)
        case str():
            writer.add_string(key, value)
        case _:
            writer.add_array(key, value)
