"""The models of golden/: real Hugging Face folders whose hidden states are known."""

from functools import cache
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from flax import nnx

from ee_jax.models.exit_model import ExitModel
from ee_jax.models.export import shapes_of
from ee_jax.models.heads import ExitDesign
from ee_jax.models.huggingface import load_backbone
from ee_jax.models.language import LanguageDesign
from ee_jax.models.language_source import find_language
from ee_jax.models.transformer import bind
from ee_jax.tokens import Tokens

FOLDER = Path(__file__).parent / "golden"
ENCODERS = [
    "bert", "roberta", "albert", "xlm-roberta", "camembert", "distilbert", "electra", "mpnet",
    "modernbert",
]  # fmt: skip
DECODERS = [
    "llama", "llama3", "yarn", "mistral", "qwen2", "qwen3", "gpt2", "gpt_neox", "olmo2", "phi3",
    "gemma2", "gemma3",
]  # fmt: skip
SOURCED = ["t5", "t5_v1_1", "bart", "mbart", "marian"]  # decoders with an encoder
TIED = ["llama3", "gpt2"]  # whose output is the embedding
LAYERS = (1, 3, 4)  # of 4 blocks


@cache
def golden_backbone(name):
    """The backbone, loaded once; nobody changes it."""
    return load_backbone(FOLDER / name)


def golden_language(name):
    """A decoder with its output, and no exit but the last."""
    config, values = find_language(str(FOLDER / name)).weights()
    return bind(shapes_of(config, LanguageDesign((config.blocks,))), values)


def read_sourced(folder):
    """Architecture and parameters of a decoder with an encoder, and no exit but the last."""
    return find_language(str(folder)).weights()


def load_golden(name):
    """The arrays that Hugging Face transformers computed."""
    return dict(np.load(FOLDER / name / "golden.npz"))


def golden_inputs(name):
    """Rows of 9, 6 and 1 tokens, with types where the model has several."""
    golden = load_golden(name)
    parts = (golden.get(key) for key in ("tokens_BT", "mask_BT", "types_BT"))
    return Tokens(*(None if part is None else jnp.asarray(part) for part in parts))


def make_model(name, head="linear", *, learned=False, pooling="mean", seed=0, gain=1.0):
    """A golden backbone with heads of random weights, biases included."""
    design = ExitDesign(LAYERS, 3, head, pooling, learned)
    model = ExitModel(golden_backbone(name), design, rngs=nnx.Rngs(seed))
    random = np.random.default_rng(seed)
    for _, variable in nnx.to_flat_state(nnx.state(model.exits, nnx.Param)):
        value = variable.get_value()
        noise = random.normal(size=value.shape, scale=gain * value.shape[0] ** -0.5)
        variable.set_value(jnp.asarray(noise, jnp.float32))
    return model


def run_blocks(backbone, tokens):
    """Hidden states after the embedding and after every block."""
    state = backbone.embed(tokens)
    hidden = [state.hidden_BTD]
    for index in range(backbone.config.blocks):
        state = backbone.segment(state, index, index + 1)
        hidden.append(state.hidden_BTD)
    return np.stack(hidden)
