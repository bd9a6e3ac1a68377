"""BERT's tokenizer from its older files: `vocab.txt`, and what `tokenizer_config.json` says."""

import json
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from ee_jax.errors import UserError

VOCABULARY = "vocab.txt"
SPECIAL = ("[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]")
NEEDED = SPECIAL[:3]


def read_wordpiece(folder: Path) -> Tokenizer:
    """WordPiece (Devlin et al. 2019) over the pieces of `vocab.txt`, a line each.

    Whether texts become lower case stands in `tokenizer_config.json`; where it says nothing,
    they do unless a piece has a capital.

    Raises:
      UserError: a file cannot be read, or the special tokens are not there.
    """
    path = folder / VOCABULARY
    try:
        pieces = path.read_text(encoding="utf-8").split("\n")
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read ({error}): fetch the file again") from None
    pieces = [piece.rstrip("\r") for piece in pieces]
    ids = {piece: number for number, piece in enumerate(pieces) if piece}
    if missing := [token for token in NEEDED if token not in ids]:
        raise UserError(f"{path} has no {', '.join(missing)}: it is no vocabulary of a BERT")
    options = _options(folder / "tokenizer_config.json")
    ordinary = (piece for piece in pieces if piece not in SPECIAL)
    lower = options.get("do_lower_case")
    lower = all(piece == piece.lower() for piece in ordinary) if lower is None else lower
    return _assemble(ids, bool(lower), options)


def _options(path: Path) -> dict[str, Any]:
    try:
        given = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        if not isinstance(given, dict):
            raise ValueError("it is no object of names and values")
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path} cannot be read ({error}): fetch the file again") from None
    return given


def _assemble(ids: dict[str, int], lower: bool, options: dict[str, Any]) -> Tokenizer:
    """As Hugging Face's BERT is put together, but for padding and truncation."""
    model = models.WordPiece(ids, unk_token="[UNK]", max_input_chars_per_word=100)
    tokenizer = Tokenizer(model)
    tokenizer.add_special_tokens([token for token in SPECIAL if token in ids])
    accents = options.get("strip_accents")
    # The stubs know the tokenizer's parts as read-only.
    parts: dict[str, object] = {
        "normalizer": normalizers.BertNormalizer(
            handle_chinese_chars=bool(options.get("tokenize_chinese_chars", True)),
            strip_accents=None if accents is None else bool(accents),
            lowercase=lower,
        ),
        "pre_tokenizer": pre_tokenizers.BertPreTokenizer(),
        "decoder": decoders.WordPiece(),
        "post_processor": processors.TemplateProcessing(
            single="[CLS]:0 $A:0 [SEP]:0",
            pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1",
            special_tokens=[(token, ids[token]) for token in ("[CLS]", "[SEP]")],
        ),
    }
    for name, part in parts.items():
        setattr(tokenizer, name, part)
    return tokenizer
