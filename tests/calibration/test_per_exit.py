import numpy as np
import pytest

from ee_jax.calibration.bitsets import Sample
from ee_jax.calibration.certify import certify
from ee_jax.calibration.descent import Descent
from ee_jax.calibration.per_exit import (
    COARSE,
    PATHS,
    certify_per_exit,
    greedy,
    greedy_paths,
    pareto_path,
    steps_of,
)
from ee_jax.calibration.risks import RISKS
from ee_jax.calibration.trace import Trace
from ee_jax.errors import UserError
from ee_jax.exits.stopping import Stopping


def world(examples=2000, seed=0):
    """Three exits: the first is always wrong, the second seldom where it is confident."""
    rng = np.random.default_rng(seed)
    confidence_NE = rng.random((examples, 3), np.float32)
    wrong_N = 2 * rng.random(examples) < 1 - confidence_NE[:, 1]
    loss_NE = np.stack([np.ones(examples), wrong_N, np.zeros(examples)], 1)
    return Trace(confidence_NE, loss_NE, np.array([2, 4, 6]))


def linear(threshold_JE):
    """Each step down saves a block; a step at exit 0 costs 3, at exit 1 costs 1."""
    down_JE = 20 * (1 - threshold_JE)
    return down_JE @ [3, 1, 0], 100 - down_JE @ [1, 1, 0]


def greedy_path(measure, exits):
    """With every step measured anew."""
    (path_JE,) = greedy_paths(steps_of(measure), 1, exits)
    return path_JE


def test_the_greedy_path_takes_cheap_steps_first():
    path_JE = greedy_path(linear, 3)
    cheap = np.stack([np.ones(21), COARSE, np.ones(21)], 1)
    dear = np.stack([COARSE[1:], np.zeros(20), np.ones(20)], 1)
    assert path_JE.tolist() == np.vstack([cheap, dear]).tolist()


def test_free_steps_are_taken_before_cheap_ones_and_useless_ones_last():
    def measure(threshold_JE):
        down_JE = 20 * (1 - threshold_JE)
        return down_JE @ [1, 0, 1, 0], 100 - down_JE @ [1, 1, 0, 0]

    path_JE = greedy_path(measure, 4)
    assert path_JE[20].tolist() == [1, 0, 1, 1]
    assert path_JE[40].tolist() == [0, 0, 1, 1]
    assert path_JE[60].tolist() == [0, 0, 0, 1]


def test_steps_without_any_effect_are_taken_at_once_as_something_may_come_after_them():
    def measure(threshold_JE):
        down_JE = 20 * (1 - threshold_JE)
        return down_JE[:, 0], 100 - down_JE[:, 0] - np.maximum(0, down_JE[:, 1] - 10)

    path_JE = greedy_path(measure, 3)
    assert path_JE[20].tolist() == [1, 0, 1]


STOPPINGS = [Stopping(), Stopping(min_depth=3, patience=1)]


@pytest.mark.parametrize("stopping", STOPPINGS, ids=["plain", "deep"])
@pytest.mark.parametrize("risk", ["gap", "signed_gap", "consistency"])
@pytest.mark.parametrize("values", [2, 5, 65])
def test_walks_side_by_side_are_those_with_every_step_measured_anew(values, risk, stopping):
    rng, exits = np.random.default_rng(values), 5
    trace = Trace(
        rng.random((400, exits)).round(2).astype(np.float32),
        # Of many steps no risk is added, or as much per block as of others. Sums are exact.
        rng.integers(0, values, (400, exits)) / (values - 1) * rng.integers(0, 2, (400, exits)),
        np.array([1, 2, 4, 5, 9]),
        rng.integers(0, 2, (400, exits)),
    )
    sample = Sample.of(trace, RISKS[risk](trace), COARSE, stopping)
    samples = [sample.take(rng.permutation(400)[:130]) for _ in range(3)]
    for path_JE, one in zip(greedy(samples), samples, strict=True):
        assert path_JE.tolist() == greedy_path(one.measure, exits).tolist()


def test_a_step_without_effect_is_free_whatever_was_added_before():
    """Thirds and tenths leave a rest in floating point when they are taken away again."""
    rng = np.random.default_rng(0)
    risk_NE = rng.choice([0.1, 1 / 3, 0.7], (50, 3)).repeat(2, axis=1)
    trace = Trace(rng.random((50, 6), np.float32), risk_NE, np.arange(1, 7))
    place_EN = Sample.of(trace, risk_NE, COARSE).place_EN
    assert place_EN is not None
    descent = Descent(place_EN[None], risk_NE.T[None], trace.depth_E, len(COARSE))
    at_1E, added = np.zeros((1, 6), int), []
    for exit in (0, 2, 4, 3, 1):
        for _ in COARSE[1:]:
            added.append(descent(at_1E)[0][0, exit])
            at_1E[0, exit] += 1
    stops_E = (trace.confidence_NE > 0).argmax(1)
    assert (np.array(added[60:]) == 0).all()
    assert (stops_E == 0).all()


def test_thresholds_that_all_exits_share_are_in_the_pool():
    def together(threshold_JE):
        down_JE = 20 * (1 - threshold_JE[:, :3])
        shared_J = np.ptp(down_JE, axis=1) == 0
        return np.where(shared_J, 0.001, 1) * down_JE.sum(1), 100 - down_JE.sum(1)

    shared = np.stack([COARSE, COARSE, COARSE, np.ones(21)], 1)
    assert pareto_path(together, greedy_path(together, 4))[1:].tolist() == shared.tolist()


def test_nothing_on_a_pareto_path_is_beaten_by_anything_else_on_it():
    path_JE = pareto_path(linear, greedy_path(linear, 3))
    risk_J, depth_J = linear(path_JE)
    assert path_JE[0].tolist() == [1, 1, 1]
    assert (path_JE[:, -1] == 1).all()
    assert (np.diff(risk_J)[1:] > 0).all()
    assert (np.diff(depth_J)[1:] < 0).all()


@pytest.mark.parametrize("search", PATHS)
def test_a_threshold_for_each_exit_beats_one_for_all_where_an_exit_is_useless(search):
    trace, fresh = world(), world(20_000, seed=1)
    shared = certify(trace, "ltt", "gap", 0.05)
    each = certify_per_exit(trace, "ltt", "gap", 0.05, search=search)
    assert isinstance(each.threshold, tuple)
    assert each.threshold[0] > 0.9
    assert each.threshold[1] < 0.9
    assert each.depth < shared.depth - 0.25
    first, second, _ = each.threshold
    stops_1 = fresh.confidence_NE[:, 0] > first
    stops_2 = ~stops_1 & (fresh.confidence_NE[:, 1] > second)
    risk = (stops_1 * fresh.loss_NE[:, 0] + stops_2 * fresh.loss_NE[:, 1]).mean()
    assert risk <= 0.05


def test_no_example_draws_the_path_and_tests_it(monkeypatch):
    trace, drawn = world(101), []

    def everything(samples):
        path_JE = np.array([[1.0, 1.0, 1.0], [0.0, 0.0, 1.0]])
        drawn.append(samples[0].measure(path_JE)[0][1])
        return [path_JE]

    monkeypatch.setitem(PATHS, "everything", everything)
    choice = certify_per_exit(trace, "ltt", "gap", 1.0, search="everything")
    assert (choice.threshold, choice.examples) == ((0, 0, 1), 51)
    # All stop at the first exit, in one half or the other.
    total = trace.loss_NE[:, 0].sum()
    assert 50 * drawn[0] + 51 * choice.risk == pytest.approx(total, rel=1e-12)


def test_one_example_and_one_exit():
    one = Trace(np.ones((1, 2), np.float32), np.ones((1, 2)), np.array([1, 2]))
    with pytest.raises(UserError, match="one example cannot be halved"):
        certify_per_exit(one, "ltt", "gap", 0.1)
    full = Trace(np.ones((50, 1), np.float32), np.ones((50, 1)), np.array([6]))
    for search in PATHS:
        assert certify_per_exit(full, "ltt", "gap", 0.5, search=search).depth == 6
