"""The early-exit program of real, if tiny, models."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ee_jax.compilation import Program
from ee_jax.exits.confidence import confidences
from ee_jax.exits.rules import first_exit, threshold_rule
from ee_jax.exits.stopping import make_limits
from ee_jax.inference.early_exit import early_exit
from ee_jax.models.exit_model import static_logits
from ee_jax.models.transformer import bind, parameters
from ee_jax.tokens import Tokens
from tests.models.golden_models import LAYERS, make_model

B, T = 8, 6
SIZES = (3,)
# The same sums in fp32, in whatever order XLA chose for another batch size.
TOLERANCE = 1e-6
CASES = [
    ("bert", "max_prob"),
    ("llama", "saturation"),
    ("modernbert", "max_prob"),
    ("mpnet", "max_prob"),
]


@cache
def model_of(name):
    # Heads of small gain, so that logits are of size 1 and confidences spread.
    return make_model(name, "linear", gain=0.3)


@cache
def inputs():
    random = np.random.default_rng(0)
    mask_BT = np.arange(T) < random.integers(1, T + 1, (B, 1))
    return Tokens(jnp.asarray(random.integers(1, 60, (B, T)) * mask_BT), jnp.asarray(mask_BT))


class Counted:
    """The compiled early-exit program of a model, and how often it was traced."""

    def __init__(self, name, kind, sizes):
        self.model, self.values = model_of(name), parameters(model_of(name))
        self.kind, self.sizes, self.traces = kind, sizes, 0
        self.program = Program(self.run)

    def run(self, values, limits, inputs):
        self.traces += 1
        rule = threshold_rule(self.kind, limits)
        return early_exit(bind(self.model, values), inputs, rule, self.sizes)

    def __call__(self, threshold, inputs, **limits):
        return self.program(self.values, make_limits(threshold, LAYERS, **limits), inputs)


counted = cache(Counted)


def one_at_a_time(program, threshold):
    whole = inputs()
    each = (Tokens(whole.ids_BT[b : b + 1], whole.mask_BT[b : b + 1]) for b in range(B))
    rows = [program(threshold, row) for row in each]
    return jax.tree.map(lambda *parts: np.concatenate(parts), *rows)


def trace(name, kind):
    """Logits and confidences of all exits, in one full forward pass."""
    model = model_of(name)
    answers = jax.jit(lambda inputs: model.answers(model.features(inputs)))(inputs())
    return answers.logits, confidences(kind, answers, jnp.ones(len(LAYERS)))


def thresholds(confidence_EB):
    """Both ends, and between every two confidences of the model that are not too near."""
    levels = np.unique(np.append(confidence_EB, [0.0, 1.0]))
    gaps = np.diff(levels)
    return [0.0, *(levels[:-1] + gaps / 2)[gaps > 1e-3], 1.0]


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_threshold_1_is_the_static_program(name, kind):
    model = model_of(name)
    wanted_BC = jax.jit(lambda inputs: static_logits(model, inputs))(inputs())
    for sizes in ((), SIZES):
        out = counted(name, kind, sizes)(1.0, inputs())
        assert out.exit_B.tolist() == [len(LAYERS) - 1] * B
        np.testing.assert_allclose(out.logits_BC, wanted_BC, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_masked_compacted_and_single_at_every_threshold(name, kind):
    logits_EBC, confidence_EB = trace(name, kind)
    masked, compacted = counted(name, kind, ()), counted(name, kind, SIZES)
    seen = set()
    for threshold in thresholds(confidence_EB):
        limits = make_limits(threshold, LAYERS)
        exit_B = np.asarray(first_exit(limits, confidence_EB, logits_EBC.argmax(-1)))
        at = exit_B, np.arange(B)
        for out in (
            masked(threshold, inputs()),
            compacted(threshold, inputs()),
            one_at_a_time(masked, threshold),
        ):
            np.testing.assert_array_equal(out.exit_B, exit_B)
            np.testing.assert_allclose(out.logits_BC, logits_EBC[at], rtol=0, atol=TOLERANCE)
            np.testing.assert_allclose(
                out.confidence_B, confidence_EB[at], rtol=0, atol=TOLERANCE
            )
        seen.add(tuple(exit_B))
    assert len(seen) > 5  # the thresholds made a difference


def test_one_compilation_for_all_limits():
    run = counted("bert", "max_prob", SIZES)
    seen = {
        tuple(run(threshold, inputs(), **limits).exit_B.tolist())
        for threshold, limits in [
            (0.0, {}),
            (1.0, {}),
            (0.4, {}),
            ([0.0, 0.4, 0.5], {"temperature": [0.5, 1.0, 2.0]}),
        ]
    }
    assert len(seen) > 2
    assert run.traces == 1
