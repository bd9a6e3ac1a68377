"""Published architectures by name."""

from typing import Any

from ee_jax.models.families.albert import albert
from ee_jax.models.families.bert import bert
from ee_jax.models.families.roberta import roberta

LARGE: dict[str, Any] = {"width": 1024, "blocks": 24, "heads": 16, "hidden": 4096}

PRESETS = {
    "bert-base": bert(),
    "bert-large": bert(**LARGE),
    "roberta-base": roberta(bert(50_265, token_types=1, norm_eps=1e-5)),
    "roberta-large": roberta(bert(50_265, token_types=1, norm_eps=1e-5, **LARGE)),
    # Those of version 2.
    "albert-base": albert(bert(30_000, activation="gelu_tanh")),
    "albert-large": albert(bert(30_000, activation="gelu_tanh", **LARGE)),
    "minilm": bert(width=384, blocks=6, hidden=1536),
}
