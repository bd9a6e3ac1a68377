"""A language model with its tokenizer, wherever the two lie."""

from pathlib import Path
from typing import NamedTuple

from tokenizers import Tokenizer

from ee_jax.atomic_io import expanded
from ee_jax.errors import UserError
from ee_jax.models.addon import read_language
from ee_jax.models.export import EXITS, check_causal, read_exits, with_exits
from ee_jax.models.files import has_weights, is_addon
from ee_jax.models.huggingface import read_architecture
from ee_jax.models.language import LanguageDesign, LanguageModel
from ee_jax.models.language_source import LanguageSource, check_alone, find_language


class Source(NamedTuple):
    """What text is made with."""

    model: LanguageModel
    trained: bool  # whether its exits are
    tokenizer: Tokenizer
    stops: tuple[int, ...]  # ids after which a text is over
    opening: list[int]  # ids from which a model that writes of another text begins
    chat_template: str | None  # in Jinja; None: the model has none


def open_source(
    name: str, lens: bool, precision: str | None = None, sourced: bool = False
) -> Source:
    """The model and the tokenizer of whatever `find_language` finds.

    Args:
      name: of a file, a folder, a package, or on the hub.
      lens: gives a model that has no exits of its own one after every block, which reads the
        final norm and the output (the logit lens); else it has the last exit only.
      precision: in which it computes; None: as its run did, else in float32.
      sourced: whether it may be a model that writes of another text.

    Raises:
      UserError: one of the two is missing, or they do not belong together.
    """
    _check_not_a_run(expanded(name))
    source = find_language(name)
    trained = (source.path / EXITS).is_file()
    if trained:
        if not is_addon(source.path):  # a classifier has exits of another kind
            check_causal(read_architecture(source.path))
        notes = read_exits(source.path, LanguageDesign)
        trained = notes.get("trained", True)  # a saved model may say no
        model = read_language(source.path, precision or notes.get("precision") or "float32")
    else:
        model = _without_exits(source, lens, precision or "float32")
    config = model.backbone.config
    if not sourced:
        check_alone(config, name)
    tokenizer = source.tokenizer(config.vocabulary)
    if config.encoder is None:
        return Source(
            model, trained, tokenizer, source.stops(tokenizer), [], source.chat_template
        )
    ends, opening = tuple(source.ends()), source.opening(config.vocabulary)
    return Source(model, trained, tokenizer, ends, opening, source.chat_template)


def _check_not_a_run(path: Path) -> None:
    """Raises UserError for the folder of a run or of a strategy: the models lie below."""
    if is_model(path):
        return
    below = [*path.glob("model"), *sorted(path.glob("*/model"))]
    if models := [folder for folder in below if is_model(folder)]:
        raise UserError(f"{path} holds no weights: give {' or '.join(map(str, models))}")


def is_model(path: Path) -> bool:
    """True for a folder with weights, be they the exits' alone."""
    return has_weights(path) or is_addon(path)


def _without_exits(source: LanguageSource, lens: bool, precision: str) -> LanguageModel:
    config, values = source.weights(precision)
    first = 1 if lens else config.blocks
    design = LanguageDesign(tuple(range(first, config.blocks + 1)))
    return with_exits(config, values, design)
