import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ee_jax.calibration.certify import certify, certify_outcomes, risk_outcomes
from ee_jax.calibration.choice import GRID, Outcomes
from ee_jax.calibration.empirical import SLACK
from ee_jax.calibration.methods import METHODS, NOTHING
from ee_jax.calibration.trace import Trace
from ee_jax.calibration.ucb import Gambler
from ee_jax.errors import UserError
from ee_jax.exits.stopping import Stopping
from tests.calibration.small_traces import traces

every_method = pytest.mark.parametrize("method", METHODS)
CERTIFIED = [name for name, method in METHODS.items() if method.promise != NOTHING]
ANYWHERE = [name for name, method in METHODS.items() if method.anywhere]


def candidates_with(risk_K, examples=1000):
    """Candidates from 1 down, of which the given shares of the examples are lost."""
    threshold_K = 1 - np.arange(len(risk_K)) / 10
    loss_KN = (np.arange(examples) < np.round(np.array(risk_K)[:, None] * examples)).astype(
        float
    )
    depth_KN = np.full(loss_KN.shape, 10) - np.arange(len(risk_K))[:, None]
    return Outcomes(threshold_K, depth_KN, loss_KN)


@every_method
def test_the_last_rejected_is_returned_not_the_first_that_failed(method):
    choice = certify_outcomes(candidates_with([0, 0.01, 0.02, 0.2, 0.3]), method, 0.1, 0.05)
    assert choice.threshold == 0.8
    assert choice.risk == 0.02
    assert choice.depth == 8
    assert choice.ended == "next candidate failed"
    assert choice.warning == ""


def test_only_what_promises_something_of_this_calibration_set_has_a_delta():
    def delta(method):
        return certify_outcomes(candidates_with([0, 0.01]), method, 0.1, 0.05).delta

    with_delta = {method for method in METHODS if delta(method) == 0.05}
    assert with_delta == {"ltt", "ltt_hoeffding", "clopper_pearson", "ucb"}
    assert delta("crc") is delta("crc_paper") is delta("naive") is delta("empirical") is None


@every_method
def test_what_is_fine_again_below_a_failure_is_left_alone_but_by_those_that_say_so(method):
    choice = certify_outcomes(candidates_with([0, 0.01, 0.2, 0.01, 0.3]), method, 0.1, 0.05)
    assert choice.threshold == (0.7 if method in ANYWHERE else 0.9)
    assert ANYWHERE == ["naive", "crc_paper"]


def test_a_loss_that_falls_costs_the_promise_that_needs_rising_ones():
    """190 of 1,000 examples are lost at 0.8 and not at 0.7."""
    falls = candidates_with([0, 0.01, 0.2, 0.01, 0.3])
    assert certify_outcomes(falls, "crc_paper", 0.1, 0.05).falling == 190
    assert certify_outcomes(falls, "crc", 0.1, 0.05).falling == 0
    rises = candidates_with([0, 0.01, 0.2])
    assert certify_outcomes(rises, "crc_paper", 0.1, 0.05).falling == 0


@given(traces(), st.sampled_from((0.0, 0.1, 0.3)))
def test_the_papers_risk_control_is_ours_where_losses_rise(trace, level):
    found = risk_outcomes(trace, "gap", GRID)
    rising_KN = np.maximum.accumulate(found.loss_KN)
    pair = [
        certify_outcomes(found._replace(loss_KN=rising_KN), method, level, 0.1).threshold
        for method in ("crc", "crc_paper")
    ]
    assert pair[0] == pair[1]


def lowest_in_plain_python(trace, risk, level):
    """Jazbec et al. 2024: the smallest threshold whose mean risk is at most the level."""
    found = risk_outcomes(trace, risk, GRID)
    fine = found.threshold_K[found.loss_KN.mean(1) <= level + SLACK]
    return fine.min()


@given(traces(), st.sampled_from(("gap", "signed_gap")), st.sampled_from((0.0, 0.1, 0.3)))
def test_the_naive_threshold_is_the_smallest_that_fits(trace, risk, level):
    found = certify(trace, "naive", risk, level)
    assert found.threshold == lowest_in_plain_python(trace, risk, level)
    assert found.depth <= certify(trace, "empirical", risk, level).depth


@pytest.mark.parametrize("method", ["ltt", "ltt_hoeffding", "ucb", "crc", "empirical"])
def test_a_signed_gap_is_certified_as_a_loss_in_0_to_1(method):
    """Half a risk and a half: what is certified of it at half a level and a half."""
    rng = np.random.default_rng(0)
    share_K = np.linspace(0, 0.3, 11)[:, None]
    lost_KN = (rng.random((11, 2000)) < share_K).astype(float)
    signed_KN = lost_KN - (rng.random((11, 2000)) < share_K / 2)
    candidates = candidates_with(np.zeros(11), 2000)
    signed = certify_outcomes(
        candidates._replace(loss_KN=signed_KN, low=-1.0), method, 0.08, 0.05
    )
    halved = certify_outcomes(
        candidates._replace(loss_KN=(signed_KN + 1) / 2), method, 0.54, 0.05
    )
    assert signed.threshold == halved.threshold != 1
    assert signed.risk == pytest.approx(2 * halved.risk - 1, abs=1e-12)  # rounded


def test_the_running_maximum_of_a_signed_gap_is_that_of_the_clipped_one():
    rng = np.random.default_rng(1)
    signed_KN = rng.integers(-1, 2, (11, 500)).astype(float)
    signed_KN[0] = 0
    found = candidates_with(np.zeros(11), 500)._replace(loss_KN=signed_KN, low=-1.0)
    clipped = found._replace(loss_KN=np.maximum(0, signed_KN), low=0.0)
    for level in (0.3, 0.5, 0.9):
        pair = [
            certify_outcomes(each, "crc", level, 0.1).threshold for each in (found, clipped)
        ]
        assert pair[0] == pair[1]


@pytest.mark.parametrize("loss", [-0.5, 1.5, np.nan])
def test_a_risk_that_is_out_of_range_is_refused(loss):
    found = Outcomes(np.array([1.0, 0.5]), np.ones((2, 1)), np.array([[0.0], [loss]]))
    with pytest.raises(UserError, match=r"risks lie from .* a risk must lie in \[0, 1\]"):
        certify_outcomes(found, "ltt", 0.1, 0.1)


@every_method
def test_a_walk_to_the_edge_of_the_grid_says_so(method):
    choice = certify_outcomes(candidates_with([0, 0.01, 0.02]), method, 0.1, 0.05)
    assert (choice.threshold, choice.ended) == (0.8, "edge of the grid")


@every_method
def test_nothing_certified_is_the_full_model_without_a_warning_if_examples_sufficed(method):
    choice = certify_outcomes(candidates_with([0, 0.5]), method, 0.1, 0.05)
    assert choice.is_full_model
    assert (choice.threshold, choice.risk, choice.depth) == (1, 0, 10)
    assert (choice.ended, choice.warning) == ("next candidate failed", "")


@pytest.mark.parametrize("method", CERTIFIED)
def test_too_few_examples_say_how_many_would_do(method):
    def certified(examples):
        return certify_outcomes(candidates_with([0, 0], examples), method, 0.1, 0.05)

    needed = METHODS[method].fewest_examples(0.1, 0.05)
    assert needed
    assert certified(needed).threshold == 0.9
    choice = certified(needed - 1)
    assert choice.is_full_model
    assert choice.ended == "too few examples"
    assert (
        f"on {needed - 1} examples, {needed} would do: using the full model" in choice.warning
    )


def test_how_many_examples_are_needed_by_hand():
    def needed(method):
        return METHODS[method].fewest_examples(0.05, 0.05)

    assert needed("crc") == 19  # 1 / 0.05 - 1
    assert needed("ltt") == 59  # ln 0.05 / ln 0.95
    assert needed("clopper_pearson") == 59
    assert needed("ltt_hoeffding") == 600  # ln 20 / (2 0.05^2)


@pytest.mark.parametrize("method", CERTIFIED)
def test_a_level_of_0_is_the_full_model_and_says_why(method):
    choice = certify_outcomes(candidates_with([0, 0]), method, 0.0, 0.05)
    assert choice.is_full_model
    assert choice.warning.endswith("even 1,000,000 would not do: using the full model")


@every_method
def test_a_level_of_1_allows_everything(method):
    choice = certify_outcomes(candidates_with([0, 0.5, 1]), method, 1.0, 0.05)
    assert choice.threshold == 0.8


@every_method
@given(trace=traces(), risk=st.sampled_from(["gap", "consistency"]), patience=st.integers(0, 2))
def test_any_trace_gets_an_answer(method, trace, risk, patience):
    if method == "clopper_pearson":
        risk = "consistency"
    choice = certify(trace, method, risk, 0.2, 0.1, stopping=Stopping(patience=patience))
    assert choice.is_full_model == (choice.threshold == 1)
    assert 0 <= choice.risk <= 1
    assert choice.depth <= trace.depth_E[-1]
    if len(trace.depth_E) == 1:
        assert choice.risk == 0


def test_confidences_of_exactly_1_do_not_stop_at_1():
    trace = Trace(
        np.ones((100, 2), np.float32), np.repeat([[1.0, 0.0]], 100, axis=0), np.array([1, 2])
    )
    choice = certify(trace, "ltt", "gap", 0.5)
    assert (choice.threshold, choice.risk, choice.depth) == (1, 0, 2)


def test_a_sorted_trace_is_shuffled_before_bets_are_made():
    # The same 40 losses of 1000, first or last: in that order one passes and one does not.
    first_N = (np.arange(1000) < 40).astype(float)
    passes = [Gambler.of(n, 0.1).wins(0.05) for n in (first_N, first_N[::-1])]
    assert passes == [False, True]

    def passes_shuffled(loss_N):
        loss_KN = np.stack([np.zeros(1000), loss_N])
        found = Outcomes(np.array([1.0, 0.5]), np.ones((2, 1000)), loss_KN)
        return not certify_outcomes(found, "ucb", 0.05, 0.1).is_full_model

    assert passes_shuffled(first_N) == passes_shuffled(first_N[::-1])


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"method": "magic"}, r"no method `magic`: choose from empirical, naive, ltt, "),
        ({"risk": "regret"}, r"no risk `regret`: choose from gap, signed_gap, consistency"),
        ({"level": 1.5}, r"level is 1.5: choose a risk in \[0, 1\], e.g. 0.05"),
        ({"level": float("nan")}, r"level is nan: choose a risk in"),
        ({"delta": 0.0}, r"delta is 0.0: choose a chance between 0 and 1, e.g. 0.05"),
        ({"threshold_K": np.array([0.9])}, r"candidate thresholds must fall from 1"),
    ],
)
def test_a_request_that_no_trace_can_answer(request_, message):
    trace = Trace(np.ones((1, 1), np.float32), np.ones((1, 1)), np.array([1]))
    good = {"method": "ltt", "risk": "gap", "level": 0.05, "delta": 0.05}
    with pytest.raises(UserError, match=message):
        certify(trace, **{**good, **request_})


def test_clopper_pearson_refuses_half_a_loss():
    found = Outcomes(np.array([1.0, 0.5]), np.ones((2, 1)), np.array([[0.0], [0.5]]))
    with pytest.raises(UserError, match="clopper_pearson needs a risk of 0 or 1: use ltt"):
        certify_outcomes(found, "clopper_pearson", 0.1, 0.1)
