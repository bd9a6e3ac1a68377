"""Backbones from small parts, exit heads, and Hugging Face weights in and out."""

from ee_jax.exits.output import ExitOutput
from ee_jax.models.architecture import Architecture
from ee_jax.models.exit_model import ExitModel, static_logits
from ee_jax.models.export import export_model, import_model, read_exits
from ee_jax.models.families.bert import bert
from ee_jax.models.families.llama import llama
from ee_jax.models.files import find_weights
from ee_jax.models.heads import ExitDesign
from ee_jax.models.huggingface import load_backbone
from ee_jax.models.language import LanguageDesign, LanguageModel
from ee_jax.models.presets import PRESETS
from ee_jax.models.transformer import State, Transformer

__all__ = [
    "PRESETS",
    "Architecture",
    "ExitDesign",
    "ExitModel",
    "ExitOutput",
    "LanguageDesign",
    "LanguageModel",
    "State",
    "Transformer",
    "bert",
    "export_model",
    "find_weights",
    "import_model",
    "llama",
    "load_backbone",
    "read_exits",
    "static_logits",
]
