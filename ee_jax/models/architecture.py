"""What a Transformer is built from, as plain data; `families` knows the published ones."""

from dataclasses import dataclass
from typing import Literal

Activation = Literal["gelu", "gelu_tanh", "silu"]


@dataclass(frozen=True)
class Rope:
    """Rotary positions (Su et al. 2021), and how they are stretched over longer texts.

    `linear` divides every frequency by `factor` (Chen et al. 2023). `llama3` does so where a
    turn takes more than `original_length / low` tokens, leaves alone what turns in fewer than
    `original_length / high`, and blends between (Llama 3.1, 2024).
    """

    theta: float = 10_000.0
    scaling: Literal["default", "linear", "llama3"] = "default"
    factor: float = 1.0
    low: float = 1.0
    high: float = 4.0
    original_length: int = 8192


@dataclass(frozen=True)
class Architecture:
    """The sizes and the parts of one backbone; nothing in it says encoder or decoder."""

    family: str  # whose checkpoints it has: a name in FAMILIES
    vocabulary: int  # V
    width: int  # D
    blocks: int  # L
    heads: int  # N
    kv_heads: int  # K; fewer than N: grouped-query attention
    head_size: int  # H
    hidden: int  # F
    max_length: int  # T at most
    token_types: int = 0  # segment embeddings; 0: none
    embedding_width: int | None = None  # None: D; else a projection to D follows the embedding
    shared: bool = False  # all blocks are one: its parameters exist once
    norm: Literal["layer", "rms"] = "layer"
    norm_place: Literal["post", "pre"] = "post"  # after the residual sum, or before the part
    norm_eps: float = 1e-12
    embedding_norm: bool = True  # a norm right after the embedding
    head_norm: bool = False  # a norm over each head's query and key
    mlp: Literal["plain", "gated"] = "plain"
    activation: Activation = "gelu"
    positions: Literal["learned", "rope"] = "learned"
    first_position: int = 0  # a learned position's number at the first token
    rope: Rope = Rope()
    causal: bool = False
    window: int | None = None  # a token sees so many, itself the last (Mistral); None: all
    bias: Literal["all", "qkv", "none"] = "all"  # which projections have one
    tied_output: bool = False  # logits of a language model come from the token embedding

    @property
    def stored_blocks(self) -> int:
        """Blocks whose parameters exist."""
        return 1 if self.shared else self.blocks
