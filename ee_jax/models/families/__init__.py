"""The families whose checkpoints are read and written: one file each, this table over them.

A family is a table of names, a reader and a writer of its `config.json`.
"""

from ee_jax.models.families.albert import ALBERT
from ee_jax.models.families.bert import BERT
from ee_jax.models.families.family import Family
from ee_jax.models.families.gpt2 import GPT2
from ee_jax.models.families.llama import KINDS, LLAMA
from ee_jax.models.families.roberta import ROBERTA
from ee_jax.registry import Registry

# By the `model_type` of a config.
FAMILIES: Registry[Family] = Registry(
    "model family",
    albert=ALBERT,
    bert=BERT,
    gpt2=GPT2,
    roberta=ROBERTA,
    **dict.fromkeys(KINDS, LLAMA),
)
