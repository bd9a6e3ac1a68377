"""What a Transformer is built from, as plain data."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Architecture:
    """The sizes and the parts of one backbone; nothing in it says encoder or decoder."""

    vocabulary: int  # V
    width: int  # D
    blocks: int  # L
    heads: int  # N
    kv_heads: int  # K; fewer than N: grouped-query attention
    hidden: int  # F
    max_length: int  # T at most
    token_types: int = 0  # segment embeddings; 0: none
    norm: Literal["layer", "rms"] = "layer"
    norm_place: Literal["post", "pre"] = "post"  # after the residual sum, or before the part
    norm_eps: float = 1e-12
    embedding_norm: bool = True  # a norm right after the embedding
    mlp: Literal["plain", "gated"] = "plain"
    activation: Literal["gelu", "silu"] = "gelu"
    positions: Literal["learned", "rope"] = "learned"
    rope_theta: float = 10_000.0
    causal: bool = False
    bias: bool = True
    tied_output: bool = False  # logits of a language model come from the token embedding

    @property
    def head_size(self) -> int:
        """H."""
        return self.width // self.heads


def bert(
    vocabulary: int = 30_522,
    width: int = 768,
    blocks: int = 12,
    heads: int = 12,
    hidden: int = 3072,
    max_length: int = 512,
    token_types: int = 2,
    norm_eps: float = 1e-12,
) -> Architecture:
    """BERT (Devlin et al. 2019): post-norm blocks, learned positions; BERT-base by default."""
    return Architecture(
        vocabulary, width, blocks, heads, heads, hidden, max_length, token_types,
        norm_eps=norm_eps,
    )  # fmt: skip


def llama(
    vocabulary: int,
    width: int,
    blocks: int,
    heads: int,
    kv_heads: int,
    hidden: int,
    max_length: int,
    norm_eps: float = 1e-5,
    rope_theta: float = 10_000.0,
) -> Architecture:
    """Llama (Touvron et al. 2023): pre-norm causal blocks, RMSNorm, RoPE, SwiGLU, no bias."""
    return Architecture(
        vocabulary, width, blocks, heads, kv_heads, hidden, max_length,
        norm="rms", norm_place="pre", norm_eps=norm_eps, embedding_norm=False, mlp="gated",
        activation="silu", positions="rope", rope_theta=rope_theta, causal=True, bias=False,
    )  # fmt: skip


PRESETS = {
    "bert-base": bert(),
    "minilm": bert(width=384, blocks=6, hidden=1536),
}
