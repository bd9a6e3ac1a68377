"""The formulas of a diagnosis against loops, brute force and numbers by hand."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from hypothesis import given
from hypothesis import strategies as st

from ee_jax.evaluation.diagnosis import (
    agreements,
    best_speedup,
    first_agreement,
    oracle_exit,
    speculation_speedup,
    tokens_a_pass,
)
from ee_jax.evaluation.exit_scan import scan_text
from ee_jax.exits.confidence import confidences
from ee_jax.exits.output import ExitOutput
from ee_jax.models.families.llama import llama
from ee_jax.models.language import LanguageDesign, LanguageModel
from ee_jax.models.transformer import Transformer
from ee_jax.tokens import Tokens

PREDICTIONS = st.integers(1, 5).flatmap(
    lambda exits: st.lists(
        st.lists(st.integers(0, 2), min_size=exits, max_size=exits), min_size=1, max_size=6
    )
)


@given(PREDICTIONS)
def test_first_agreement_and_oracle_are_those_of_loops(rows):
    agrees_NE = agreements(np.array(rows).T)
    for row, first, oracle in zip(
        rows, first_agreement(agrees_NE), oracle_exit(agrees_NE), strict=True
    ):
        last = row[-1]
        assert first == min(e for e in range(len(row)) if row[e] == last)
        assert oracle == min(e for e in range(len(row)) if set(row[e:]) == {last})
        assert first <= oracle


@given(PREDICTIONS, st.sampled_from([0.0, 0.01, 0.2, 0.34, 0.5, 1.0]))
def test_no_assignment_of_exits_does_better(rows, share):
    """All assignments for up to 4 tokens and 4 exits, of those that disagree seldom enough."""
    agrees_NE = agreements(np.array(rows).T)[:4, -4:]
    tokens, exits = agrees_NE.shape
    depth_E = np.cumsum(np.arange(2, 2 + exits))
    allowed = [
        depth_E[list(chosen)].mean()
        for chosen in itertools.product(range(exits), repeat=tokens)
        if sum(not agrees_NE[n, e] for n, e in enumerate(chosen)) <= share * tokens
    ]
    best = best_speedup(agrees_NE, depth_E, share, 0.5)
    assert best.mean_depth == pytest.approx(min(allowed))


def test_best_speedup_by_hand():
    """Depths 4, 2, 1, 4 of 4; one of four tokens let go: (1 + 2 + 1 + 4) / 4 = 2."""
    agrees_NE = np.array([[0, 0, 0, 1], [0, 1, 0, 1], [1, 1, 1, 1], [0, 0, 0, 1]], bool)
    best = best_speedup(agrees_NE, np.arange(1, 5), 0.25, 2.0)
    assert best == (0.25, 2.0, 2.0, 1.5)


def test_speculation_by_hand():
    assert tokens_a_pass(0.0, 4) == 1
    assert tokens_a_pass(1.0, 4) == 5
    assert tokens_a_pass(0.5, 2) == 1.75
    assert tokens_a_pass(0.8, 4) == pytest.approx((1 - 0.8**5) / (1 - 0.8))
    assert speculation_speedup(0.5, 2, 0.25) == pytest.approx(1.75 / 1.5)


@pytest.fixture(scope="module")
def model():
    rngs = nnx.Rngs(0)
    backbone = Transformer(llama(40, 16, 3, 2, 1, 16, 12), rngs=rngs)
    return LanguageModel(backbone, LanguageDesign((1, 2, 3), learned=True), rngs=rngs)


def test_the_scan_gives_what_plain_logits_give(model):
    ids_BT = np.random.default_rng(0).integers(0, 40, (3, 9))
    scan = scan_text(model, [ids_BT[:2], ids_BT[2:]])
    states = model.exit_states(Tokens(ids_BT[:, :-1], np.ones((3, 8), bool)))
    hidden_END, feature_END = (part.reshape(3, 24, 16) for part in states)
    score_EN = jnp.stack([model.score(exit, hidden_END[exit]) for exit in range(3)])
    logits_ENV = model.logits(feature_END)
    next_N = ids_BT[:, 1:].ravel()
    loss_EN = -jax.nn.log_softmax(logits_ENV)[:, np.arange(24), next_N]
    assert scan.loss_EN is not None
    np.testing.assert_array_equal(scan.prediction_EN, logits_ENV.argmax(-1))
    # fp32 sums in another order.
    np.testing.assert_allclose(scan.loss_EN, loss_EN, rtol=1e-4)
    answer = ExitOutput(logits_ENV, feature_END, score_EN)
    assert {*scan.score_EN} == {"saturation", "max_prob", "margin", "entropy", "learned"}
    for name, found_EN in scan.score_EN.items():
        wanted_EN = confidences(name, answer, jnp.ones(3))
        np.testing.assert_allclose(found_EN, wanted_EN, atol=2e-6)
    for exit, feature_ND in enumerate(np.asarray(feature_END)):
        for n, (one, last) in enumerate(zip(feature_ND, feature_END[-1], strict=True)):
            cosine = float(one @ last / np.linalg.norm(one) / np.linalg.norm(last))
            assert scan.cosine_EN[exit, n] == pytest.approx(cosine, abs=1e-5)
