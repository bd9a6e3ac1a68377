"""The search for learning rates: what is scaled, what is chosen, and by which rows."""

from ee_jax.config import Experiment, Frozen, Joint, OptimizerConfig, Single, TwoStage
from ee_jax.reproduce.search import Searched, scaled, search_table

FIT = OptimizerConfig(epochs=2.0, learning_rate=1e-4, head_learning_rate=1e-3)


def test_all_rates_of_all_stages_are_scaled_and_nothing_else():
    found = scaled(TwoStage(first=FIT, fit=OptimizerConfig(head_learning_rate=2e-3)), 2.0)
    assert isinstance(found, TwoStage)
    assert found.first == OptimizerConfig(2.0, learning_rate=2e-4, head_learning_rate=2e-3)
    assert found.fit.head_learning_rate == 4e-3
    assert scaled(Joint(fit=FIT), 1.0) == Joint(fit=FIT)


def test_each_strategy_takes_its_best_factor_and_of_equals_the_first():
    found = Searched(
        "sst2",
        {
            "joint": {0.5: 0.7, 1.0: 0.8, 2.0: 0.6},
            "frozen": {0.5: 0.5, 1.0: 0.4, 2.0: 0.5},
            "single": {0.5: None, 1.0: None, 2.0: None},
        },
    )
    assert [found.factor(name) for name in found.qualities] == [1.0, 0.5, 1.0]
    strategies = (Joint(fit=FIT), Frozen(fit=FIT), Single(fit=FIT))
    joint, frozen, single = found.applied(Experiment("x", strategies=strategies)).strategies
    assert (joint, single) == (strategies[0], strategies[2])
    assert isinstance(frozen, Frozen)
    assert frozen.fit.head_learning_rate == 5e-4
    rows = search_table("rates", [found]).rows
    assert [row["factor"] for row in rows if row["chosen"]] == [1.0, 0.5, 1.0]
    assert (rows[0]["quality"], rows[-1]["quality"]) == (70, None)
