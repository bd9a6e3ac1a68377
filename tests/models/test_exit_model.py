"""Heads, pooling, and the ways through a model with exits."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from ee_jax.models.exit_features import Forward
from ee_jax.models.exit_model import ExitModel, static_logits
from ee_jax.models.heads import HEADS, ExitDesign, ExitHeads, pool
from ee_jax.models.transformer import Transformer, bind, parameters
from tests.models.golden_models import LAYERS, golden_inputs, load_golden, make_model

B, D, C = 5, 8, 3
# fp32 sums of 8 to 32 products of numbers of size 1.
TOLERANCE = 5e-6


def make_heads(head, learned=False):
    return ExitHeads(ExitDesign(LAYERS, C, head, learned=learned), D, rngs=nnx.Rngs(0))


def random(*shape):
    return jnp.asarray(np.random.default_rng(0).normal(size=shape), jnp.float32)


@pytest.mark.parametrize("learned", [False, True])
@pytest.mark.parametrize("head", HEADS)
def test_shapes(head, learned):
    heads = make_heads(head, learned)
    for exit in range(len(LAYERS)):
        answer = heads(exit, random(B, D))
        assert answer.logits.shape == (B, C)
        assert answer.feature is not None
        assert answer.feature.shape == (B, D)
        assert heads(exit, random(D)).logits.shape == (C,)
        if answer.score is None:
            assert not learned
        else:
            assert learned
            assert answer.score.shape == (B,)


def logits_of(head, values, feature):
    """Each head's formula, in numpy."""
    projected = feature @ values["out.kernel"] + values["out.bias"]
    if head == "linear":
        return projected
    if head == "shared":
        centred = feature - feature.mean(-1, keepdims=True)
        normed = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-6)
        normed = normed * values["norm.scale"] + values["norm.bias"]
        return normed @ values["out.kernel"] + values["out.bias"]
    hidden = feature @ values["dense.kernel"] + values["dense.bias"]
    between = {"pooler": np.tanh, "mlp": lambda x: np.asarray(jax.nn.gelu(x, False))}[head]
    return between(hidden) @ values["out.kernel"] + values["out.bias"]


@pytest.mark.parametrize("head", HEADS)
def test_formulas(head):
    model = make_model("bert", head)
    feature = np.asarray(random(B, 32))
    for exit in range(len(LAYERS)):
        own = model.exits.heads[0 if head == "shared" else exit]
        values = {path: np.asarray(value) for path, value in parameters(own).items()}
        np.testing.assert_allclose(
            model.exits(exit, jnp.asarray(feature)).logits,
            logits_of(head, values, feature),
            rtol=0,
            atol=TOLERANCE,
        )


@pytest.mark.parametrize("head", HEADS)
def test_only_shared_is_one_head_for_all_exits(head):
    heads = make_heads(head)
    sets = {path.split(".")[1] for path in parameters(heads)}
    assert sets == ({"0"} if head == "shared" else {"0", "1", "2"})
    feature = random(B, D)
    first, last = heads(0, feature).logits, heads(2, feature).logits
    assert np.array_equal(first, last) == (head == "shared")


def test_one_score_serves_all_exits_where_it_is_shared():
    design = ExitDesign(LAYERS, C, learned=True, shared_score=True)
    heads = ExitHeads(design, D, rngs=nnx.Rngs(0))
    feature_BD = jnp.ones((B, D))
    first, *others = [heads(exit, feature_BD) for exit in range(len(LAYERS))]
    assert first.score is not None
    for other in others:
        np.testing.assert_array_equal(other.score, first.score)
        assert np.any(other.logits != first.logits)
    assert len([path for path in parameters(heads) if path.startswith("scores")]) == 2


def test_learned_scores_are_an_exits_own_even_where_the_head_is_shared():
    heads = make_heads("shared", learned=True)
    first_B, last_B = (np.array(heads(exit, random(B, D)).score) for exit in (0, 2))
    assert not np.array_equal(first_B, last_B)


@pytest.mark.parametrize("head", ["mlp", "shared"])
def test_the_score_learns_and_leaves_the_features_alone(head):
    model = make_model("bert", head, learned=True)
    inputs = golden_inputs("bert")

    def score(values):
        bound = bind(model, values)
        answer = bound.answers(bound.features(inputs))
        assert answer.score is not None
        return answer.score.sum()

    gradient = jax.jit(jax.grad(score))(parameters(model))
    reached = {path for path, value in gradient.items() if np.any(value)}
    assert reached == {path for path in gradient if path.startswith("exits.scores.")}
    assert len(reached) == 2 * len(LAYERS)


def test_pool_by_hand():
    hidden_BTD = jnp.array([[[1.0, 2.0], [3.0, 6.0], [100.0, 100.0]], [[5.0, 5.0]] * 3])
    mask_BT = jnp.array([[True, True, False], [True, True, True]])
    np.testing.assert_array_equal(pool(hidden_BTD, mask_BT, "mean"), [[2, 4], [5, 5]])
    np.testing.assert_array_equal(pool(hidden_BTD, mask_BT, "first"), [[1, 2], [5, 5]])


@pytest.mark.parametrize(
    ("name", "pooling"),
    [("bert", "mean"), ("roberta", "first"), ("albert", "mean"), ("llama", "first")],
)
def test_every_way_through_the_model_is_the_same(name, pooling):
    """Features and answers, segments and heads, and the static programs."""
    model = make_model(name, "mlp", pooling=pooling)
    inputs = golden_inputs(name)
    feature_EBD = model.features(inputs)
    answers = model.answers(feature_EBD)
    state = model.backbone.embed(inputs)
    for exit, (segment, head) in enumerate(zip(model.segments(), model.heads(), strict=True)):
        state = segment(state)
        answer = head(state)
        np.testing.assert_array_equal(answer.logits, answers.logits[exit])
        np.testing.assert_array_equal(answer.feature, feature_EBD[exit])
        static_BC = static_logits(model, inputs, depth=LAYERS[exit])
        np.testing.assert_array_equal(static_BC, answers.logits[exit])
    np.testing.assert_array_equal(static_logits(model, inputs), answers.logits[-1])


def test_the_heads_of_a_causal_backbone_read_normed_states():
    model = make_model("llama", pooling="first")
    feature_EBD = model.features(golden_inputs("llama"))
    first_EBD = load_golden("llama")["hidden_LBTD"][list(LAYERS), :, 0]
    scale_D = np.asarray(parameters(model)["backbone.final_norm.scale"])
    rms = np.sqrt((first_EBD**2).mean(-1, keepdims=True) + model.backbone.config.norm_eps)
    np.testing.assert_allclose(feature_EBD, first_EBD / rms * scale_D, rtol=0, atol=1e-5)


def test_dropout_reaches_the_features_only_with_a_key():
    model, inputs = make_model("bert"), golden_inputs("bert")
    plain = model.features(inputs)
    np.testing.assert_array_equal(model.features(inputs, Forward(0.3)), plain)
    one, two = (model.features(inputs, Forward(0.3, jax.random.key(seed))) for seed in (0, 1))
    assert not np.array_equal(one, plain)
    assert not np.array_equal(one, two)


def test_parameters_go_out_and_into_an_abstract_module():
    model = make_model("bert", "pooler", learned=True)
    values = parameters(model)
    assert values["backbone.blocks.3.mlp.up.kernel"].shape == (32, 48)
    assert values["exits.heads.2.dense.kernel"].shape == (32, 32)

    def make():
        rngs = nnx.Rngs(1)
        return ExitModel(Transformer(model.backbone.config, rngs=rngs), model.design, rngs=rngs)

    abstract = nnx.eval_shape(make)
    assert {path: value.shape for path, value in parameters(abstract).items()} == {
        path: value.shape for path, value in values.items()
    }
    bound = bind(abstract, values)
    again = parameters(bound)
    assert again.keys() == values.keys()
    assert all(np.array_equal(again[path], values[path]) for path in values)
    inputs = golden_inputs("bert")
    np.testing.assert_array_equal(static_logits(bound, inputs), static_logits(model, inputs))


def test_binding_leaves_the_module_as_it_was():
    model = make_model("bert")
    values = parameters(model)
    bound = bind(model, {path: value + 1 for path, value in values.items()})
    for path, value in parameters(model).items():
        np.testing.assert_array_equal(value, values[path])
        np.testing.assert_array_equal(parameters(bound)[path], values[path] + 1)
