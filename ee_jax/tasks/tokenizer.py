"""The tokenizer of a language model's run: where it comes from, and where it is kept."""

from collections.abc import Sequence

from tokenizers import Tokenizer

from ee_jax.data.bpe import train_bpe
from ee_jax.data.text import load_tokenizer
from ee_jax.models.language_source import CHAT_TEMPLATE, LanguageSource
from ee_jax.run_folder import RunFolder

TOKENIZER = "tokenizer.json"  # in a run's folder, and in that of every model it exports


def keep_pretrained(source: LanguageSource, vocabulary: int, folder: RunFolder) -> Tokenizer:
    """Writes the tokenizer of the weights into a run's folder, with the chat template if any.

    Returns:
      The tokenizer.

    Raises:
      UserError: there is none, or it has other ids than the weights.
    """
    tokenizer = source.tokenizer(vocabulary)
    with folder.writing(TOKENIZER) as part:
        source.keep_tokenizer(tokenizer, part)
    if source.chat_template is not None:
        with folder.writing(CHAT_TEMPLATE) as part:
            part.write_text(source.chat_template, encoding="utf-8")
    return tokenizer


def keep_trained(
    vocabulary: int, documents: Sequence[str], folder: RunFolder, ends: bool = False
) -> Tokenizer:
    """The tokenizer in a run's folder, trained on the documents where there is none yet.

    Args:
      vocabulary: of how many tokens.
      documents: what it is trained on.
      folder: of the run.
      ends: whether the token that it adds to a text ends it, rather than begin it.
    """
    if not folder.holds(TOKENIZER):
        tokenizer = train_bpe(documents, vocabulary, ends)
        with folder.writing(TOKENIZER) as part:
            part.write_text(tokenizer.to_str(pretty=True), encoding="utf-8")
        folder.seal()
    return load_tokenizer(folder.path)
