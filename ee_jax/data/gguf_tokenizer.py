"""The tokenizer that a GGUF file's metadata describe, as one of Hugging Face's `tokenizers`.

Two kinds: byte-level BPE (`gpt2`), whose text is first split as the field `pre` names, and
SentencePiece's BPE (`llama`), whose merges follow from the scores. What splits, and what stands
before a text, is as llama.cpp has it, whose format this is.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from tokenizers import AddedToken, Regex, Tokenizer, decoders, pre_tokenizers, processors
from tokenizers.models import BPE

from ee_jax.data.gguf import Header
from ee_jax.data.llama2c import LONGEST, sentencepiece_tokenizer
from ee_jax.errors import UserError

KEY = "tokenizer.ggml."
# What `token_type` says of a token.
NORMAL, UNKNOWN, CONTROL, USER_DEFINED = 1, 2, 3, 4
GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
# Llama 3's takes up to three digits together, Qwen's each alone.
LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
DEFAULT = (r"[\p{P}\$\+<=>\^~\|]+", GPT2, r"\p{N}+", "[0-9][0-9][0-9]")
OF_LLAMA3 = ("llama-bpe", "llama3", "llama-v3")  # these also begin every text with a token
# What text is split by, one after the other.
SPLITS: dict[str, tuple[str, ...]] = {
    "default": DEFAULT,
    "gpt-2": (GPT2,),
    **dict.fromkeys(("smollm", "starcoder", "refact"), (r"\p{N}", GPT2)),
    **dict.fromkeys(OF_LLAMA3, (LLAMA3,)),
    **dict.fromkeys(("qwen2", "deepseek-r1-qwen"), (LLAMA3.replace("{1,3}", ""),)),
}


class Vocabulary(NamedTuple):
    """Every token by its id, and of what kind it is."""

    tokens: list[str]
    kind_V: np.ndarray

    def of(self, *kinds: int) -> list[str]:
        """The tokens of these kinds."""
        return [self.tokens[id] for id in np.flatnonzero(np.isin(self.kind_V, kinds))]

    @property
    def ids(self) -> dict[str, int]:
        """The id of each token."""
        return {token: id for id, token in enumerate(self.tokens)}


def read_gguf_tokenizer(header: Header) -> Tokenizer:
    """The tokenizer of a model.

    Raises:
      UserError: the file has none, or one of another kind; or its parts do not fit together.
    """
    kind = header.value(f"{KEY}model", str)
    if kind not in BUILDERS:
        raise UserError(
            f"{header.path} has {f'a tokenizer {kind!r:.40}' if kind else 'no tokenizer'}, and "
            f"only {' and '.join(BUILDERS)} are read: take a file of another model"
        )
    try:
        vocabulary = _vocabulary(header)
        tokenizer = BUILDERS[kind](header, vocabulary)
        specials = [_whole(token, True) for token in vocabulary.of(UNKNOWN, CONTROL)]
        tokenizer.add_special_tokens(specials)
        tokenizer.add_tokens([_whole(token, False) for token in vocabulary.of(USER_DEFINED)])
        if starts := _starts(header, vocabulary):
            tokenizer.post_processor = starts  # pyright: ignore[reportAttributeAccessIssue]
    except UserError:
        raise
    except Exception as error:  # `tokenizers` raises nothing narrower
        raise UserError(
            f"the tokenizer in {header.path} does not fit together ({str(error)!r:.200}): "
            "fetch the file again"
        ) from error
    return tokenizer


def end_ids(header: Header) -> list[int]:
    """The ids after which a text, a turn or a message is over."""
    keys = [f"{KEY}{what}_token_id" for what in ("eos", "eot", "eom")]
    return sorted({id for key in keys if (id := header.value(key, int)) is not None})


def _vocabulary(header: Header) -> Vocabulary:
    tokens = header.value(f"{KEY}tokens", list, [])
    kind_V = header.value(f"{KEY}token_type", np.ndarray, np.full(len(tokens), NORMAL))
    if not tokens or len(set(tokens)) < len(tokens) or len(kind_V) != len(tokens):
        raise UserError(
            f"{header.path} lists {len(tokens)} tokens, {len(set(tokens))} of them different, "
            f"and {len(kind_V)} kinds of tokens: fetch the file again"
        )
    return Vocabulary(tokens, kind_V)


def _whole(token: str, special: bool) -> AddedToken:
    """A token that is found in the text before anything splits it."""
    return AddedToken(token, special=special, normalized=False)


def _byte_level(header: Header, vocabulary: Vocabulary) -> Tokenizer:
    pre = _pre(header)
    if pre not in SPLITS:
        raise UserError(
            f"{header.path} splits text by {pre!r:.40} ({KEY}pre), and only by "
            f"{', '.join(SPLITS)} is known here: take a Hugging Face folder of the model"
        )
    merges = list(map(_parts, header.value(f"{KEY}merges", list, [])))
    model = BPE(vocabulary.ids, merges, ignore_merges=pre in OF_LLAMA3)
    splits = [pre_tokenizers.Split(Regex(split), "isolated") for split in SPLITS[pre]]
    as_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    parts: dict[str, Any] = {  # which the stubs know as read-only
        "pre_tokenizer": pre_tokenizers.Sequence([*splits, as_bytes]),
        "decoder": decoders.ByteLevel(),
    }
    tokenizer = Tokenizer(model)
    for name, part in parts.items():
        setattr(tokenizer, name, part)
    return tokenizer


def _pre(header: Header) -> str:
    return header.value(f"{KEY}pre", str, "default")


def _parts(merge: str) -> tuple[str, str]:
    """What a merge joins: two tokens with a space between, with which the first may begin."""
    cut = merge.index(" ", 1)
    return merge[:cut], merge[cut + 1 :]


def _sentencepiece(header: Header, vocabulary: Vocabulary) -> Tokenizer:
    score_V = header.value(f"{KEY}scores", np.ndarray)
    if (
        score_V is None
        or len(score_V) != len(vocabulary.tokens)
        or not np.isfinite(score_V).all()
    ):
        raise UserError(
            f"{header.path} has no score for each of its {len(vocabulary.tokens)} tokens "
            f"({KEY}scores): fetch the file again"
        )
    if (longest := max(map(len, vocabulary.tokens))) > LONGEST:
        raise ValueError(f"a token has {longest} characters")
    unknown = vocabulary.of(UNKNOWN)
    pieces = list(_scored(vocabulary, score_V))
    prefix = header.value(f"{KEY}add_space_prefix", bool, True)
    return sentencepiece_tokenizer(
        vocabulary.ids, pieces, unknown[0] if unknown else None, prefix
    )


def _scored(vocabulary: Vocabulary, score_V: np.ndarray) -> Iterator[tuple[str, float]]:
    """The tokens that merges lead to, with their scores."""
    for id in np.flatnonzero(np.isin(vocabulary.kind_V, (NORMAL, USER_DEFINED))):
        yield vocabulary.tokens[id], float(score_V[id])


def _starts(header: Header, vocabulary: Vocabulary) -> processors.TemplateProcessing | None:
    """What puts the start token before a text; None where the model has none."""
    always = header.value(f"{KEY}model", str) == "llama" or _pre(header) in OF_LLAMA3
    start = header.value(f"{KEY}bos_token_id", int)
    if start is None or not header.value(f"{KEY}add_bos_token", bool, always):
        return None
    token = vocabulary.tokens[start]
    return processors.TemplateProcessing(single=[token, "$A"], special_tokens=[(token, start)])


BUILDERS = {"gpt2": _byte_level, "llama": _sentencepiece}
