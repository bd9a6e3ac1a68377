"""A tiny BERT with random weights, in a folder as Hugging Face writes them."""

from pathlib import Path

from flax import nnx
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing

from ee_jax.models.exit_model import ExitModel
from ee_jax.models.export import export_model
from ee_jax.models.families.bert import bert
from ee_jax.models.heads import ExitDesign
from ee_jax.models.transformer import Transformer, bind, parameters
from tests.runs.tiny_sentences import WORDS

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")


def write_weights(folder: Path, blocks: int, scale: float = 1.0, length: int = 16) -> Path:
    """A Hugging Face folder; some weights are -0.0, which adding 0.0 would turn into 0.0."""
    numbers = {word: number for number, word in enumerate([*SPECIAL, *WORDS])}
    config, rngs = bert(len(numbers), 16, blocks, 2, 32, length), nnx.Rngs(0)
    model = ExitModel(Transformer(config, rngs=rngs), ExitDesign((blocks,), 3), rngs=rngs)
    values = {
        path: scale * value if path.endswith("kernel") else value
        for path, value in parameters(model).items()
    }
    bias = "backbone.blocks.0.mlp.up.bias"
    export_model(bind(model, values | {bias: -values[bias]}), folder)
    tokenizer = Tokenizer(WordLevel(numbers, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()  # pyright: ignore[reportAttributeAccessIssue]
    tokenizer.post_processor = TemplateProcessing(  # pyright: ignore[reportAttributeAccessIssue]
        single="[CLS] $A [SEP]",
        pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder
