"""A language model with its tokenizer, wherever the two lie."""

import json
from pathlib import Path
from typing import NamedTuple

from tokenizers import Tokenizer

from ee_jax.atomic_io import expanded
from ee_jax.data.bpe import BETWEEN
from ee_jax.data.llama2c import llama2c_tokenizer_beside
from ee_jax.data.text import check_vocabulary, load_tokenizer
from ee_jax.errors import UserError
from ee_jax.models.architecture import Architecture
from ee_jax.models.export import (
    EXITS,
    import_language,
    read_language,
    with_exits,
)
from ee_jax.models.files import find_weights, has_weights
from ee_jax.models.language import LanguageDesign, LanguageModel
from ee_jax.models.llama2c import find_llama2c, read_llama2c
from ee_jax.models.transformer import Parameters


class Source(NamedTuple):
    """What text is made with."""

    model: LanguageModel
    trained: bool  # whether its exits are
    tokenizer: Tokenizer
    stops: tuple[int, ...]  # ids after which a text is over


def open_source(name: str, lens: bool) -> Source:
    """The model and the tokenizer of a folder, a hub name or a llama2.c file.

    Args:
      lens: gives a model that has no exits of its own one after every block, which reads the
        final norm and the output (the logit lens); else it has the last exit only.

    Raises:
      UserError: one of the two is missing, or they do not belong together.
    """
    path = expanded(name)
    if checkpoint := find_llama2c(name):
        config, values = read_llama2c(checkpoint)
        tokenizer = llama2c_tokenizer_beside(checkpoint, config.vocabulary)
        return Source(_without_exits(config, values, lens), False, tokenizer, _ends(tokenizer))
    _check_not_a_run(path)
    folder = find_weights(name)
    trained = (folder / EXITS).is_file()
    if trained:
        model = import_language(folder)
    else:
        model = _without_exits(*read_language(str(folder)), lens)
    tokenizer = load_tokenizer(folder)
    check_vocabulary(tokenizer, model.backbone.config.vocabulary, folder)
    return Source(model, trained, tokenizer, _ends(tokenizer, folder / "config.json"))


def _check_not_a_run(path: Path) -> None:
    """Raises UserError for the folder of a run or of a strategy: the models lie below."""
    if has_weights(path):
        return
    below = [*path.glob("model"), *sorted(path.glob("*/model"))]
    if models := [folder for folder in below if has_weights(folder)]:
        raise UserError(f"{path} holds no weights: give {' or '.join(map(str, models))}")


def _without_exits(config: Architecture, values: Parameters, lens: bool) -> LanguageModel:
    first = 1 if lens else config.blocks
    design = LanguageDesign(tuple(range(first, config.blocks + 1)))
    return with_exits(config, values, design)


def _ends(tokenizer: Tokenizer, config: Path | None = None) -> tuple[int, ...]:
    """What ends a text by the config, stands between texts, or begins the next one."""
    ids = _ends_by_config(tokenizer, config) if config else []
    ids += [tokenizer.token_to_id(token) for token in BETWEEN]
    ids += tokenizer.encode("").ids[:1]
    return tuple(sorted({token for token in ids if token is not None}))


def _ends_by_config(tokenizer: Tokenizer, config: Path) -> list[int | None]:
    """None where it says nothing.

    Raises:
      UserError: the tokenizer does not know one, and so is another model's.
    """
    given = json.loads(config.read_text()).get("eos_token_id")
    ids = given if isinstance(given, list) else [given]
    nan_to_none = {*tokenizer.get_vocab(with_added_tokens=True).values(), None}
    if others := [token for token in ids if token not in nan_to_none]:
        raise UserError(
            f"{config} ends a text with token {others[0]!r}, which tokenizer.json beside it "
            "does not have: take both from one model"
        )
    return ids
