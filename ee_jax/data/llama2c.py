"""The tokenizer files of llama2.c (Karpathy 2023)."""

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
LONGEST = 1024  # bytes of a piece, many times those of any vocabulary


def read_llama2c_tokenizer(path: Path) -> Tokenizer:
    """SentencePiece's BPE from a file like `tokenizer.bin`, as a tokenizer of Hugging Face's.

    Texts begin with `<s>`, and what is not in the vocabulary is spelt in bytes.

    Raises:
      UserError: there is no such file, or it is another format's.
    """
    pieces = _read_pieces(path)
    ids = {piece: number for number, (piece, _) in enumerate(pieces)}
    model = BPE(
        ids, _merges(pieces, ids), unk_token=SPECIAL[0], byte_fallback=True, fuse_unk=True
    )
    tokenizer = Tokenizer(model)
    tokenizer.add_special_tokens(SPECIAL)
    tokenizer.normalizer = normalizers.Sequence(  # pyright: ignore[reportAttributeAccessIssue]
        [normalizers.Prepend(SPACE), normalizers.Replace(" ", SPACE)]
    )
    tokenizer.decoder = decoders.Sequence(  # pyright: ignore[reportAttributeAccessIssue]
        [
            decoders.Replace(SPACE, " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    tokenizer.post_processor = processors.TemplateProcessing(  # pyright: ignore
        single="<s> $A", special_tokens=[("<s>", START_ID)]
    )
    return tokenizer


def llama2c_tokenizer_beside(weights: Path, vocabulary: int) -> Tokenizer:
    """The tokenizer in the folder of a llama2.c checkpoint, under one of llama2.c's names.

    Raises:
      UserError: there is none, or it has other ids than the checkpoint.
    """
    names = (f"tok{vocabulary}.bin", "tokenizer.bin")
    found = [path for name in names if (path := weights.parent / name).is_file()]
    if not found:
        raise UserError(
            f"no tokenizer beside {weights}: copy llama2.c's {' or '.join(names)} there"
        )
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


def _merges(pieces: list[tuple[str, float]], ids: dict[str, int]) -> list[tuple[str, str]]:
    """What is joined, best first: every pair of pieces whose join is one, by its score."""
    best_first = sorted(pieces[len(SPECIAL) :], key=lambda piece: -piece[1])
    return [
        (piece[:cut], piece[cut:])
        for piece, _ in best_first
        for cut in range(1, len(piece))
        if piece[:cut] in ids and piece[cut:] in ids
    ]
