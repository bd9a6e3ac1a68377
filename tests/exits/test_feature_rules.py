"""Rules that read no logits decide as those that do."""

import jax.numpy as jnp
import numpy as np
import pytest

from ee_jax.exits.rules import Rule, depth_rule, threshold_rule
from ee_jax.exits.stopping import RULES, Stopping, make_limits
from tests.exits.table_model import LAYERS, heads, make_table, start


def answers(table):
    """Every exit's answer, with the logits and without."""
    for exit, head in enumerate(heads(table)):
        state = start()
        count_B, path_B2 = state["deep"]
        factor = float(np.prod(np.arange(exit + 1) + 2))
        answer = head({**state, "deep": (count_B + exit + 1, path_B2 * factor)})
        yield exit, answer, answer._replace(logits=jnp.zeros((len(answer.logits), 0)))


@pytest.fixture(autouse=True)
def seeing_rule():
    """The plain rule, which says that it reads what exits answer."""
    RULES["seeing"] = RULES["threshold"]._replace(reads_predictions=True)
    yield
    del RULES["seeing"]


@pytest.mark.parametrize("confidence", ["saturation", "learned"])
def test_confidences_of_features_need_no_logits(confidence):
    limits = make_limits(np.array([0.2, 0.4, 0.5, 0.6]), LAYERS)
    blind: Rule = threshold_rule(confidence, limits, Stopping(min_depth=2))
    seeing: Rule = threshold_rule(confidence, limits, Stopping("seeing", min_depth=2))
    assert not blind.reads_logits
    assert seeing.reads_logits
    states, stops = None, []
    for exit, answer, bare in answers(make_table(0)):
        states = states or (seeing.init(answer), blind.init(bare))
        theirs, seen = seeing.step(jnp.int32(exit), answer, states[0])
        ours, unseen = blind.step(jnp.int32(exit), bare, states[1])
        states = seen, unseen
        np.testing.assert_array_equal(ours.stop_B, theirs.stop_B)
        np.testing.assert_array_equal(ours.confidence_B, theirs.confidence_B)
        stops.append(np.asarray(ours.stop_B))
    assert not stops[0].any()  # of depth 1
    assert 0 < np.mean(stops[1:]) < 1


def test_depths_that_are_no_exits_stop_at_the_next():
    depth_B = jnp.asarray([1, 2, 3, 4, 5, 7])
    rule, stops = depth_rule(depth_B, LAYERS), []
    for exit, _, bare in answers(make_table(0)):
        verdict, _ = rule.step(jnp.int32(exit), bare, rule.init(bare))
        stops.append(np.asarray(verdict.stop_B))
    assert np.argmax(stops, axis=0).tolist() == [0, 1, 2, 2, 3, 3]
