"""The tokenizer files of llama2.c (Karpathy 2023)."""

import re
from collections.abc import Sequence
from math import isfinite
from pathlib import Path
from struct import Struct, error

from tokenizers import Tokenizer, decoders, normalizers, processors
from tokenizers.models import BPE

from ee_jax.errors import UserError

START, PIECE = Struct("<i"), Struct("<fi")  # longest piece; a piece's score and length
SPECIAL = ["<unk>", "<s>", "</s>"]  # the first three ids, whatever the file calls them
START_ID = SPECIAL.index("<s>")  # of the token before every text
SPACE = "▁"
ANY = "tokenizer.bin"  # of any vocabulary; else `tok512.bin`, of one of 512
NAMES = re.compile(rf"tok\d+\.bin|{re.escape(ANY)}")
LONGEST = 1024  # bytes of a piece, many times those of any vocabulary


def read_llama2c_tokenizer(path: Path) -> Tokenizer:
    """SentencePiece's BPE from a file like `tokenizer.bin`, as a tokenizer of Hugging Face's.

    Texts begin with `<s>`, and what is not in the vocabulary is spelt in bytes.

    Raises:
      UserError: there is no such file, or it is another format's.
    """
    pieces = _read_pieces(path)
    ids = {piece: number for number, (piece, _) in enumerate(pieces)}
    tokenizer = sentencepiece_tokenizer(ids, pieces[len(SPECIAL) :], SPECIAL[0])
    tokenizer.add_special_tokens(SPECIAL)
    tokenizer.post_processor = processors.TemplateProcessing(  # pyright: ignore
        single="<s> $A", special_tokens=[("<s>", START_ID)]
    )
    return tokenizer


def sentencepiece_tokenizer(
    ids: dict[str, int],
    scored: Sequence[tuple[str, float]],
    unknown: str | None,
    prefix: bool = True,
) -> Tokenizer:
    """SentencePiece's BPE (Kudo and Richardson 2018) without special tokens.

    Args:
      ids: of all pieces; a space in one is written as `SPACE`.
      scored: the pieces that others are joined to, the one with the best score first.
      unknown: the piece for what cannot even be spelt in bytes.
      prefix: whether a space is put before a text.
    """
    model = BPE(ids, _merges(scored, ids), unk_token=unknown, byte_fallback=True, fuse_unk=True)
    tokenizer = Tokenizer(model)
    before = [normalizers.Prepend(SPACE)] if prefix else []
    tokenizer.normalizer = normalizers.Sequence(  # pyright: ignore[reportAttributeAccessIssue]
        [*before, normalizers.Replace(" ", SPACE)]
    )
    after = [decoders.Strip(" ", 1, 0)] if prefix else []
    tokenizer.decoder = decoders.Sequence(  # pyright: ignore[reportAttributeAccessIssue]
        [decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse(), *after]
    )
    return tokenizer


def llama2c_tokenizers(weights: Path) -> list[Path]:
    """What lies beside a checkpoint under llama2.c's names, those with a number first."""
    found = [path for path in weights.parent.glob("tok*.bin") if path.is_file()]
    return sorted((path for path in found if NAMES.fullmatch(path.name)), key=_by_name)


def _by_name(path: Path) -> tuple[bool, str]:
    return path.name == ANY, path.name


def llama2c_tokenizer_beside(weights: Path, vocabulary: int) -> Tokenizer:
    """The tokenizer in the folder of a llama2.c checkpoint, under one of llama2.c's names.

    Raises:
      UserError: there is none, or it has other ids than the checkpoint.
    """
    own = f"tok{vocabulary}.bin"
    found = [path for path in llama2c_tokenizers(weights) if path.name in (own, ANY)]
    if not found:
        raise UserError(f"no tokenizer beside {weights}: copy llama2.c's {own} or {ANY} there")
    tokenizer = read_llama2c_tokenizer(found[0])
    if (known := tokenizer.get_vocab_size()) != vocabulary:
        raise UserError(
            f"{found[0]} has {known} tokens, but {weights.name} embeds {vocabulary}: take both "
            "from one model"
        )
    return tokenizer


def _read_pieces(path: Path) -> list[tuple[str, float]]:
    """Every piece with its score, in the order of the ids."""
    try:
        content, at, pieces = path.read_bytes(), START.size, []
        while at < len(content):
            score, length = PIECE.unpack_from(content, at)
            at += PIECE.size + length
            if not 0 <= length <= LONGEST or not isfinite(score):
                raise ValueError(f"piece {len(pieces)} has {length} bytes and scores {score}")
            pieces.append((content[at - length : at].decode().replace(" ", SPACE), score))
        if at != len(content) or len(pieces) <= len(SPECIAL):
            raise ValueError(f"{len(pieces)} pieces, {len(content)} bytes")
    except (OSError, ValueError, error) as problem:
        raise UserError(
            f"no tokenizer of llama2.c in {path} ({problem}): copy the file again"
        ) from None
    return [(name, 0.0) for name in SPECIAL] + pieces[len(SPECIAL) :]


def _merges(scored: Sequence[tuple[str, float]], ids: dict[str, int]) -> list[tuple[str, str]]:
    """What is joined, best first: every pair of pieces whose join is one, by its score."""
    best_first = sorted(scored, key=lambda piece: -piece[1])
    return [
        (piece[:cut], piece[cut:])
        for piece, _ in best_first
        for cut in range(1, len(piece))
        if piece[:cut] in ids and piece[cut:] in ids
    ]
