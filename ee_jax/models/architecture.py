"""What a Transformer is built from, as plain data; `families` knows the published ones."""

from dataclasses import dataclass, replace
from typing import Literal

Activation = Literal["gelu", "gelu_tanh", "silu", "relu"]


@dataclass(frozen=True)
class Rope:
    """Rotary positions (Su et al. 2021), and how they are stretched over longer texts.

    `linear` divides every frequency by `factor` (Chen et al. 2023). `llama3` does so where a
    turn takes more than `original_length / low` tokens, leaves alone what turns in fewer than
    `original_length / high`, and blends between (Llama 3.1, 2024); `yarn` blends evenly from
    pair to pair, and multiplies what has turned by `scale` (Peng et al. 2023, sec. 3).
    `dynamic` stretches what lies beyond the architecture's `max_length`, which nothing here
    reads. Where only a `share` of each head turns, it is the first numbers of the head, and the
    others have no position (Black et al. 2022, GPT-NeoX-20B, sec. 2.1.1).
    """

    theta: float = 10_000.0
    scaling: Literal["default", "linear", "llama3", "yarn", "dynamic"] = "default"
    factor: float = 1.0
    low: float = 1.0
    high: float = 4.0
    original_length: int = 8192
    share: float = 1.0  # of a head's numbers
    scale: float = 1.0  # of what has turned

    def turned(self, head_size: int) -> int:
        """How many numbers of a head turn."""
        return int(head_size * self.share)


# Where a block's norms stand about a part f, attention or MLP, and the residual sum:
# post: norm(x + f(x)) (Vaswani et al. 2017); pre: x + f(norm(x)) (Xiong et al. 2020); after:
# x + norm(f(x)) (OLMo 2, 2025); both: x + norm(f(norm(x))) (Gemma 2, 2024); parallel: as pre,
# but both parts read the block's own x (GPT-J, 2021).
NormPlace = Literal["post", "pre", "after", "both", "parallel"]


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
    norm: Literal["layer", "layer_unbiased", "rms", "rms_plus_one"] = "layer"
    norm_place: NormPlace = "post"
    norm_eps: float = 1e-12
    embedding_norm: bool = True  # a norm right after the embedding
    embedding_scale: float = 1.0  # of what is looked up for a token
    first_norm: bool = True  # the first block has a norm before its attention
    head_norm: bool = False  # a norm over each head's query and key
    width_norm: bool = False  # a norm over the queries of all heads, and one over the keys
    mlp: Literal["plain", "gated"] = "plain"
    activation: Activation = "gelu"
    positions: Literal["learned", "sinusoidal", "rope", "none"] = "learned"
    first_position: int = 0  # a learned position's number at the first token
    rope: Rope = Rope()
    relative_buckets: int = 0  # distances that add to the scores of each head; 0: none do
    relative_furthest: int = 128  # from where on they share a bucket
    causal: bool = False
    window: int | None = None  # a token sees so many to a side, itself the last; None: all
    local: tuple[bool, ...] = ()  # by block: whether it has the window; (): all have it
    local_rope: Rope | None = None  # of those blocks; None: that of all
    score_size: float | None = None  # its root divides the scores; None: H
    score_cap: float | None = None  # scores c become cap * tanh(c / cap)
    logit_cap: float | None = None  # the same of a language model's logits
    output_scale: float = 1.0  # of what a language model's output reads
    bias: Literal["all", "qkv", "none"] = "all"  # which projections have one
    tied_output: bool = False  # logits of a language model come from the token embedding
    output_bias: bool = False  # logits have a bias
    unsaid: tuple[int, ...] = ()  # tokens that a language model never says
    encoder: "Architecture | None" = None  # of texts that every block looks at too

    @property
    def stored_blocks(self) -> int:
        """Blocks whose parameters exist."""
        return 1 if self.shared else self.blocks

    def window_of(self, block: int) -> int | None:
        """How many tokens one sees in a block, to a side; None: all."""
        return self.window if not self.local or self.local[block] else None

    def of_block(self, block: int) -> "Architecture":
        """The architecture of which all blocks see as this one does."""
        seen = {"window": self.window_of(block), "rope": self.rope_of(block)}
        return replace(self, **seen, local=(), local_rope=None)

    def rope_of(self, block: int) -> Rope:
        """The rotary positions in a block."""
        is_local = bool(self.local) and self.local[block]
        return self.local_rope if is_local and self.local_rope is not None else self.rope
