"""The families whose checkpoints are read and written: one file each, this table over them.

A family is a table of names, a reader and a writer of its `config.json`. Its file is loaded
when a config first names it: many families cost those nothing who want one.
"""

from importlib import import_module
from typing import Any

from ee_jax.models.families.family import Family
from ee_jax.registry import Registry


class Families(Registry[Any]):
    """Families by the `model_type` of a config; those not loaded yet by their file's name."""

    def __getitem__(self, name: str) -> Family:
        """The family, of the file's name in capitals."""
        found = super().__getitem__(name)
        if isinstance(found, str):
            found = self[name] = getattr(import_module(f"{__name__}.{found}"), found.upper())
        return found


FAMILIES = Families(
    "model family",
    **{
        "albert": "albert",
        "bart": "bart",
        "bert": "bert",
        "camembert": "roberta",
        "distilbert": "distilbert",
        "electra": "electra",
        "gemma2": "gemma",
        "gemma3_text": "gemma",
        "gpt2": "gpt2",
        "gpt_neox": "gpt_neox",
        "llama": "llama",
        "marian": "bart",
        "mbart": "bart",
        "mistral": "llama",
        "modernbert": "modernbert",
        "mpnet": "mpnet",
        "olmo2": "olmo2",
        "phi3": "phi3",
        "mt5": "t5",
        "qwen2": "llama",
        "qwen3": "llama",
        "roberta": "roberta",
        "t5": "t5",
        "xlm-roberta": "roberta",
    },
)
