"""Language models to disk and back, and exits added to one that has none."""

from dataclasses import replace

import numpy as np
import pytest
from flax import nnx

from ee_jax.errors import UserError
from ee_jax.models.export import (
    add_exits,
    export_model,
    import_language,
    shapes_of,
)
from ee_jax.models.families.llama import llama
from ee_jax.models.language import LanguageDesign, LanguageModel
from ee_jax.models.language_source import find_language
from ee_jax.models.presets import PRESETS
from ee_jax.models.transformer import Transformer, bind, parameters

CONFIG = llama(13, 8, 2, 2, 1, 16, 8)
DESIGN = LanguageDesign((1, 2), "norm", learned=True)


def make(config, design) -> LanguageModel:
    rngs = nnx.Rngs(0)
    return LanguageModel(Transformer(config, rngs=rngs), design, rngs=rngs)


def test_a_folder_gives_back_every_bit(tmp_path):
    for tied in (True, False):
        model = make(replace(CONFIG, tied_output=tied), DESIGN)
        export_model(model, tmp_path / str(tied))
        again = import_language(tmp_path / str(tied))
        assert again.design == DESIGN
        assert again.backbone.config == model.backbone.config
        values, back = parameters(model), parameters(again)
        assert values.keys() == back.keys()
        for path, value in values.items():
            assert np.asarray(value).tobytes() == np.asarray(back[path]).tobytes()


def test_exits_start_from_the_final_norm_and_undecided(tmp_path):
    plain = make(CONFIG, LanguageDesign((2,)))
    values = parameters(plain)
    scale = 2 * values["backbone.final_norm.scale"]
    plain = bind(plain, values | {"backbone.final_norm.scale": scale})
    export_model(plain, tmp_path)
    config, values = find_language(str(tmp_path)).weights()
    with_exits = add_exits(config, values, DESIGN)
    assert values.items() <= with_exits.items()
    np.testing.assert_array_equal(with_exits["heads.0.out_norm.scale"], scale)
    assert not with_exits["scores.0.kernel"].any()
    bind(shapes_of(config, DESIGN), with_exits)


def test_what_only_a_trained_model_has_is_not_made_up():
    values = parameters(make(CONFIG, LanguageDesign((2,))))
    del values["output.kernel"]
    with pytest.raises(AssertionError, match=r"output\.kernel is missing"):
        add_exits(CONFIG, values, DESIGN)


def test_what_does_not_fit_is_refused(tmp_path):
    with pytest.raises(UserError, match="bert is no language model"):
        shapes_of(PRESETS["bert-base"], DESIGN)
    with pytest.raises(UserError, match="after block 3, but the model has 2"):
        shapes_of(CONFIG, LanguageDesign((1, 3)))
    with pytest.raises(UserError, match="no weights in"):
        find_language(str(tmp_path / "nothing")).weights()
