import numpy as np
import pytest
from flax import nnx

from ee_jax.models.few_rows import FewRows, for_few_rows
from ee_jax.models.language import LanguageDesign, LanguageModel
from tests.models.golden_models import golden_backbone, golden_inputs


@pytest.mark.parametrize("name", ["llama", "qwen2", "gpt2"])
def test_a_model_for_few_rows_says_what_the_model_says(name):
    model = LanguageModel(golden_backbone(name), LanguageDesign((2, 4)), rngs=nnx.Rngs(0))
    tokens = golden_inputs(name)
    ours = for_few_rows(model)
    wanted = model.logits(model.features(tokens))
    np.testing.assert_allclose(ours.logits(ours.features(tokens)), wanted, atol=1e-4)
    block = ours.backbone.block(0)
    assert isinstance(block.attention.key, FewRows)
    assert isinstance(block.mlp.down, FewRows)
    assert isinstance(model.backbone.block(0).mlp.down, nnx.Linear), (
        "the model itself is as it was"
    )
