"""OLMo 2 (2025): a Llama whose norms follow its parts, and whose queries and keys have some."""

from dataclasses import replace

from ee_jax.models.architecture import Architecture
from ee_jax.models.families import llama
from ee_jax.models.families.family import Config, Family, refuse_others
from ee_jax.models.families.rope import read_rope


def olmo2(config: Architecture) -> Architecture:
    """An OLMo 2 of the sizes of the Llama `config`."""
    return replace(config, family="olmo2", norm_place="after", width_norm=True)


def read(given: Config) -> Architecture:
    """The architecture of an OLMo 2's config."""
    refuse_others(given, hidden_act="silu", attention_bias=False)
    return olmo2(replace(llama.read_sizes(given), rope=read_rope(given)))


BLOCK = {
    **llama.BLOCK,
    "attention_norm": "post_attention_layernorm",
    "mlp_norm": "post_feedforward_layernorm",
}

OLMO2 = Family("model.", llama.MODULES, "layers.{}", BLOCK, read, llama.write)
