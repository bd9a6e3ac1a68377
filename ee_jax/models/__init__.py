"""Backbones from small parts, exit heads, and Hugging Face weights in and out."""

from ee_jax.models.architecture import PRESETS, Architecture, bert, llama
from ee_jax.models.exit_model import ExitModel, static_logits
from ee_jax.models.export import export_model, import_model, read_exits
from ee_jax.models.heads import Answer, ExitDesign
from ee_jax.models.huggingface import find_weights, load_backbone
from ee_jax.models.language import LanguageDesign, LanguageModel
from ee_jax.models.transformer import State, Transformer

__all__ = [
    "PRESETS",
    "Answer",
    "Architecture",
    "ExitDesign",
    "ExitModel",
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
